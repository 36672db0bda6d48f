//! Arithmetic on the lanes of a warp.
//!
//! Inactive lanes are computed too and thrown away, so every operation must be total: integers wrap,
//! and a division by zero gives all ones, as hardware does, after being reported for active lanes.
//! `fma` is fused; `add`, `mul`, `div`, `sqrt` round once, as IEEE 754 wants. The approximate
//! instructions (`.approx`, `.full`) are computed in float64 and rounded to float32: closer than a GPU,
//! whose results may differ in the last bits. A NaN's payload is the host's.

use super::bits::{extract, insert, permute};
use super::compare::mask_of;
use super::registers::Value;
use super::warp::Warp;
use crate::decode::form::*;
use crate::error::{Checked, Fault, Rule};
use crate::memory::{Lanes, per_lane};
use crate::ptx::Type;

impl Warp<'_> {
    /// The lanes of a source, all of which in `mask` must have been written.
    #[inline(always)]
    pub fn get<T: Value>(&self, index: R, mask: u32) -> Checked<Lanes<T>> {
        T::check(&self.registers, self.kernel, index, mask)?;
        Ok(T::lanes(&self.registers, index))
    }

    #[inline(always)]
    pub fn set<T: Value>(&mut self, index: R, values: &Lanes<T>, mask: u32) {
        T::set(&mut self.registers, index, values, mask);
    }

    #[inline(always)]
    pub fn map1<T: Value, U: Value>(
        &mut self,
        mask: u32,
        d: R,
        a: R,
        f: impl Fn(T) -> U,
    ) -> Checked {
        let a = self.get::<T>(a, mask)?;
        let d_values = per_lane(|lane| f(a[lane]));
        self.set(d, &d_values, mask);
        Ok(())
    }

    #[inline(always)]
    pub fn map2<T: Value, S: Value, U: Value>(
        &mut self,
        mask: u32,
        (d, a, b): (R, R, R),
        f: impl Fn(T, S) -> U,
    ) -> Checked {
        let (a, b) = (self.get::<T>(a, mask)?, self.get::<S>(b, mask)?);
        let values = per_lane(|lane| f(a[lane], b[lane]));
        self.set(d, &values, mask);
        Ok(())
    }

    #[inline(always)]
    pub fn map3<T: Value, S: Value, Q: Value, U: Value>(
        &mut self,
        mask: u32,
        (d, a, b, c): (R, R, R, R),
        f: impl Fn(T, S, Q) -> U,
    ) -> Checked {
        let (a, b, c) = (
            self.get::<T>(a, mask)?,
            self.get::<S>(b, mask)?,
            self.get::<Q>(c, mask)?,
        );
        let values = per_lane(|lane| f(a[lane], b[lane], c[lane]));
        self.set(d, &values, mask);
        Ok(())
    }

    #[inline(never)]
    pub fn unary(&mut self, mask: u32, op: Unary, ty: Type, d: R, a: R) -> Checked {
        use Type::*;
        let approximate = |f: fn(f64) -> f64| move |x: f32| f(f64::from(x)) as f32;
        match (op, ty) {
            (Unary::Neg, F32) => self.map1(mask, d, a, |x: f32| -x),
            (Unary::Neg, F64) => self.map1(mask, d, a, |x: f64| -x),
            (Unary::Neg, U16 | S16) => self.map1(mask, d, a, i16::wrapping_neg),
            (Unary::Neg, U64 | S64) => self.map1(mask, d, a, i64::wrapping_neg),
            (Unary::Neg, _) => self.map1(mask, d, a, i32::wrapping_neg),
            (Unary::Abs, F32) => self.map1(mask, d, a, f32::abs),
            (Unary::Abs, F64) => self.map1(mask, d, a, f64::abs),
            (Unary::Abs, U16 | S16) => self.map1(mask, d, a, i16::wrapping_abs),
            (Unary::Abs, U64 | S64) => self.map1(mask, d, a, i64::wrapping_abs),
            (Unary::Abs, _) => self.map1(mask, d, a, i32::wrapping_abs),
            (Unary::Not, U16 | S16) => self.map1(mask, d, a, |x: u16| !x),
            (Unary::Not, U64 | S64) => self.map1(mask, d, a, |x: u64| !x),
            (Unary::Not, _) => self.map1(mask, d, a, |x: u32| !x),
            (Unary::Sqrt, F64) => self.map1(mask, d, a, f64::sqrt),
            (Unary::Sqrt, _) => self.map1(mask, d, a, f32::sqrt),
            (Unary::Rcp, F64) => self.map1(mask, d, a, |x: f64| 1.0 / x),
            (Unary::Rcp, _) => self.map1(mask, d, a, |x: f32| 1.0 / x),
            (Unary::Rsqrt, _) => self.map1(mask, d, a, approximate(|x| 1.0 / x.sqrt())),
            (Unary::Ex2, _) => self.map1(mask, d, a, approximate(f64::exp2)),
            (Unary::Lg2, _) => self.map1(mask, d, a, approximate(f64::log2)),
            (Unary::Sin, _) => self.map1(mask, d, a, approximate(f64::sin)),
            (Unary::Cos, _) => self.map1(mask, d, a, approximate(f64::cos)),
            (Unary::Tanh, _) => self.map1(mask, d, a, approximate(f64::tanh)),
            (Unary::Popc, U64 | S64) => self.map1(mask, d, a, |x: u64| x.count_ones()),
            (Unary::Popc, _) => self.map1(mask, d, a, |x: u32| x.count_ones()),
            (Unary::Clz, U64 | S64) => self.map1(mask, d, a, |x: u64| x.leading_zeros()),
            (Unary::Clz, _) => self.map1(mask, d, a, |x: u32| x.leading_zeros()),
            (Unary::Brev, U64 | S64) => self.map1(mask, d, a, |x: u64| x.reverse_bits()),
            (Unary::Brev, _) => self.map1(mask, d, a, |x: u32| x.reverse_bits()),
        }
    }

    /// The commonest inline, in the executor's loop with its vector instructions; the others apart,
    /// since code of all of them there would take minutes to compile.
    #[inline(always)]
    pub fn binary(&mut self, mask: u32, op: Binary, ty: Type, d: R, a: R, b: R) -> Checked {
        use Type::*;
        let r = (d, a, b);
        match (op, ty) {
            (Binary::Add, F32) => self.map2(mask, r, |x: f32, y: f32| x + y),
            (Binary::Sub, F32) => self.map2(mask, r, |x: f32, y: f32| x - y),
            (Binary::Mul, F32) => self.map2(mask, r, |x: f32, y: f32| x * y),
            (Binary::Add, U32 | S32) => self.map2(mask, r, u32::wrapping_add),
            (Binary::Add, U64 | S64) => self.map2(mask, r, u64::wrapping_add),
            (Binary::And, U32 | S32) => self.map2(mask, r, |x: u32, y: u32| x & y),
            _ => self.other_binary(mask, op, ty, r),
        }
    }

    #[inline(never)]
    fn other_binary(&mut self, mask: u32, op: Binary, ty: Type, r: (R, R, R)) -> Checked {
        use Type::*;
        if matches!(op, Binary::Div | Binary::Rem) && !ty.is_float() {
            self.refuse_zero(mask, ty, r.2)?;
        }
        match (op, ty) {
            (Binary::Add, F64) => self.map2(mask, r, |x: f64, y: f64| x + y),
            (Binary::Add, U16 | S16) => self.map2(mask, r, u16::wrapping_add),
            (Binary::Add, U64 | S64) => self.map2(mask, r, u64::wrapping_add),
            (Binary::Add, _) => self.map2(mask, r, u32::wrapping_add),
            (Binary::Sub, F64) => self.map2(mask, r, |x: f64, y: f64| x - y),
            (Binary::Sub, U16 | S16) => self.map2(mask, r, u16::wrapping_sub),
            (Binary::Sub, U64 | S64) => self.map2(mask, r, u64::wrapping_sub),
            (Binary::Sub, _) => self.map2(mask, r, u32::wrapping_sub),
            (Binary::Mul, F64) => self.map2(mask, r, |x: f64, y: f64| x * y),
            (Binary::Mul, U16 | S16) => self.map2(mask, r, u16::wrapping_mul),
            (Binary::Mul, U64 | S64) => self.map2(mask, r, u64::wrapping_mul),
            (Binary::Mul, _) => self.map2(mask, r, u32::wrapping_mul),
            (Binary::MulHi, U16) => self.map2(mask, r, |x: u16, y: u16| {
                ((u32::from(x) * u32::from(y)) >> 16) as u16
            }),
            (Binary::MulHi, S16) => self.map2(mask, r, |x: i16, y: i16| {
                ((i32::from(x) * i32::from(y)) >> 16) as i16
            }),
            (Binary::MulHi, S32) => self.map2(mask, r, |x: i32, y: i32| {
                ((i64::from(x) * i64::from(y)) >> 32) as i32
            }),
            (Binary::MulHi, U64) => self.map2(mask, r, |x: u64, y: u64| {
                ((u128::from(x) * u128::from(y)) >> 64) as u64
            }),
            (Binary::MulHi, S64) => self.map2(mask, r, |x: i64, y: i64| {
                ((i128::from(x) * i128::from(y)) >> 64) as i64
            }),
            (Binary::MulHi, _) => self.map2(mask, r, |x: u32, y: u32| {
                ((u64::from(x) * u64::from(y)) >> 32) as u32
            }),
            (Binary::Div, F32) => self.map2(mask, r, |x: f32, y: f32| x / y),
            (Binary::Div, F64) => self.map2(mask, r, |x: f64, y: f64| x / y),
            (Binary::Div, U16) => {
                self.map2(mask, r, |x: u16, y: u16| x.checked_div(y).unwrap_or(!0))
            }
            (Binary::Div, S16) => self.map2(mask, r, |x: i16, y: i16| {
                x.wrapping_div(y | i16::from(y == 0))
            }),
            (Binary::Div, S32) => self.map2(mask, r, |x: i32, y: i32| {
                x.wrapping_div(y | i32::from(y == 0))
            }),
            (Binary::Div, U64) => {
                self.map2(mask, r, |x: u64, y: u64| x.checked_div(y).unwrap_or(!0))
            }
            (Binary::Div, S64) => self.map2(mask, r, |x: i64, y: i64| {
                x.wrapping_div(y | i64::from(y == 0))
            }),
            (Binary::Div, _) => self.map2(mask, r, |x: u32, y: u32| x.checked_div(y).unwrap_or(!0)),
            (Binary::Rem, U16) => {
                self.map2(mask, r, |x: u16, y: u16| x.checked_rem(y).unwrap_or(!0))
            }
            (Binary::Rem, S16) => self.map2(mask, r, |x: i16, y: i16| {
                x.wrapping_rem(y | i16::from(y == 0))
            }),
            (Binary::Rem, S32) => self.map2(mask, r, |x: i32, y: i32| {
                x.wrapping_rem(y | i32::from(y == 0))
            }),
            (Binary::Rem, U64) => {
                self.map2(mask, r, |x: u64, y: u64| x.checked_rem(y).unwrap_or(!0))
            }
            (Binary::Rem, S64) => self.map2(mask, r, |x: i64, y: i64| {
                x.wrapping_rem(y | i64::from(y == 0))
            }),
            (Binary::Rem, _) => self.map2(mask, r, |x: u32, y: u32| x.checked_rem(y).unwrap_or(!0)),
            (Binary::Min, F32) => self.map2(mask, r, |x: f32, y: f32| {
                if lesser(f64::from(x), f64::from(y)) {
                    x
                } else {
                    y
                }
            }),
            (Binary::Min, F64) => {
                self.map2(mask, r, |x: f64, y: f64| if lesser(x, y) { x } else { y })
            }
            (Binary::Min, U16) => self.map2(mask, r, |x: u16, y: u16| x.min(y)),
            (Binary::Min, S16) => self.map2(mask, r, |x: i16, y: i16| x.min(y)),
            (Binary::Min, S32) => self.map2(mask, r, |x: i32, y: i32| x.min(y)),
            (Binary::Min, U64) => self.map2(mask, r, |x: u64, y: u64| x.min(y)),
            (Binary::Min, S64) => self.map2(mask, r, |x: i64, y: i64| x.min(y)),
            (Binary::Min, _) => self.map2(mask, r, |x: u32, y: u32| x.min(y)),
            (Binary::Max, F32) => self.map2(mask, r, |x: f32, y: f32| {
                if lesser(-f64::from(x), -f64::from(y)) {
                    x
                } else {
                    y
                }
            }),
            (Binary::Max, F64) => {
                self.map2(mask, r, |x: f64, y: f64| if lesser(-x, -y) { x } else { y })
            }
            (Binary::Max, U16) => self.map2(mask, r, |x: u16, y: u16| x.max(y)),
            (Binary::Max, S16) => self.map2(mask, r, |x: i16, y: i16| x.max(y)),
            (Binary::Max, S32) => self.map2(mask, r, |x: i32, y: i32| x.max(y)),
            (Binary::Max, U64) => self.map2(mask, r, |x: u64, y: u64| x.max(y)),
            (Binary::Max, S64) => self.map2(mask, r, |x: i64, y: i64| x.max(y)),
            (Binary::Max, _) => self.map2(mask, r, |x: u32, y: u32| x.max(y)),
            (Binary::And, U64 | S64) => self.map2(mask, r, |x: u64, y: u64| x & y),
            (Binary::And, _) => self.map2(mask, r, |x: u32, y: u32| x & y),
            (Binary::Or, U64 | S64) => self.map2(mask, r, |x: u64, y: u64| x | y),
            (Binary::Or, _) => self.map2(mask, r, |x: u32, y: u32| x | y),
            (Binary::Xor, U64 | S64) => self.map2(mask, r, |x: u64, y: u64| x ^ y),
            (Binary::Xor, _) => self.map2(mask, r, |x: u32, y: u32| x ^ y),
            // Amounts of the width or more give 0, or copies of the sign.
            (Binary::Shl, U16 | S16) => {
                self.map2(mask, r, |x: u16, y: u32| if y < 16 { x << y } else { 0 })
            }
            (Binary::Shl, U64 | S64) => {
                self.map2(mask, r, |x: u64, y: u32| if y < 64 { x << y } else { 0 })
            }
            (Binary::Shl, _) => {
                self.map2(mask, r, |x: u32, y: u32| if y < 32 { x << y } else { 0 })
            }
            (Binary::Shr, S16) => self.map2(mask, r, |x: i16, y: u32| x >> y.min(15)),
            (Binary::Shr, S32) => self.map2(mask, r, |x: i32, y: u32| x >> y.min(31)),
            (Binary::Shr, S64) => self.map2(mask, r, |x: i64, y: u32| x >> y.min(63)),
            (Binary::Shr, U16) => {
                self.map2(mask, r, |x: u16, y: u32| if y < 16 { x >> y } else { 0 })
            }
            (Binary::Shr, U64) => {
                self.map2(mask, r, |x: u64, y: u32| if y < 64 { x >> y } else { 0 })
            }
            (Binary::Shr, _) => {
                self.map2(mask, r, |x: u32, y: u32| if y < 32 { x >> y } else { 0 })
            }
            // The sign of the first, the magnitude of the second.
            (Binary::CopySign, F64) => self.map2(mask, r, |x: f64, y: f64| y.copysign(x)),
            (Binary::CopySign, _) => self.map2(mask, r, |x: f32, y: f32| y.copysign(x)),
        }
    }

    fn refuse_zero(&self, mask: u32, ty: Type, b: R) -> Checked {
        let zeros = match ty {
            Type::U64 | Type::S64 => mask_of(&self.get::<u64>(b, mask)?.map(|y| y == 0)),
            _ => mask_of(&self.get::<u32>(b, mask)?.map(|y| y == 0)),
        };
        match zeros & mask {
            0 => Ok(()),
            zeros => Err(Fault::new(
                Rule::DivisionByZero,
                zeros.trailing_zeros(),
                "an integer division by zero",
            )),
        }
    }

    #[inline(always)]
    pub fn ternary(&mut self, mask: u32, op: Ternary, ty: Type, r: (R, R, R, R)) -> Checked {
        match (op, ty) {
            (Ternary::Mad, Type::F32) => {
                self.map3(mask, r, |x: f32, y: f32, z: f32| x.mul_add(y, z))
            }
            (Ternary::Mad, Type::U32 | Type::S32) => {
                self.map3(mask, r, |x: u32, y: u32, z: u32| {
                    x.wrapping_mul(y).wrapping_add(z)
                })
            }
            _ => self.other_ternary(mask, op, ty, r),
        }
    }

    #[inline(never)]
    fn other_ternary(&mut self, mask: u32, op: Ternary, ty: Type, r: (R, R, R, R)) -> Checked {
        use Type::*;
        match (op, ty) {
            (Ternary::Mad, F64) => self.map3(mask, r, |x: f64, y: f64, z: f64| x.mul_add(y, z)),
            (Ternary::Mad, U16 | S16) => self.map3(mask, r, |x: u16, y: u16, z: u16| {
                x.wrapping_mul(y).wrapping_add(z)
            }),
            (Ternary::Mad, U64 | S64) => self.map3(mask, r, |x: u64, y: u64, z: u64| {
                x.wrapping_mul(y).wrapping_add(z)
            }),
            (Ternary::Mad, _) => self.map3(mask, r, |x: u32, y: u32, z: u32| {
                x.wrapping_mul(y).wrapping_add(z)
            }),
            (Ternary::MadHi, S64) => self.map3(mask, r, |x: i64, y: i64, z: i64| {
                (((i128::from(x) * i128::from(y)) >> 64) as i64).wrapping_add(z)
            }),
            (Ternary::MadHi, U64) => self.map3(mask, r, |x: u64, y: u64, z: u64| {
                (((u128::from(x) * u128::from(y)) >> 64) as u64).wrapping_add(z)
            }),
            (Ternary::MadHi, S32) => self.map3(mask, r, |x: i32, y: i32, z: i32| {
                (((i64::from(x) * i64::from(y)) >> 32) as i32).wrapping_add(z)
            }),
            (Ternary::MadHi, S16) => self.map3(mask, r, |x: i16, y: i16, z: i16| {
                (((i32::from(x) * i32::from(y)) >> 16) as i16).wrapping_add(z)
            }),
            (Ternary::MadHi, U16) => self.map3(mask, r, |x: u16, y: u16, z: u16| {
                (((u32::from(x) * u32::from(y)) >> 16) as u16).wrapping_add(z)
            }),
            (Ternary::MadHi, _) => self.map3(mask, r, |x: u32, y: u32, z: u32| {
                (((u64::from(x) * u64::from(y)) >> 32) as u32).wrapping_add(z)
            }),
            (Ternary::Bfe, U64 | S64) => self.map3(mask, r, |x: u64, start: u32, length: u32| {
                extract(x, start, length, 64, ty.is_signed())
            }),
            (Ternary::Bfe, _) => self.map3(mask, r, |x: u32, start: u32, length: u32| {
                extract(u64::from(x), start, length, 32, ty.is_signed()) as u32
            }),
            (Ternary::Prmt, _) => self.map3(mask, r, permute),
            (Ternary::ShfL(clamp), _) => self.map3(mask, r, |low: u32, high: u32, by: u32| {
                let by = if clamp { by.min(32) } else { by & 31 };
                ((u64::from(high) << 32 | u64::from(low)) << by >> 32) as u32
            }),
            (Ternary::ShfR(clamp), _) => self.map3(mask, r, |low: u32, high: u32, by: u32| {
                let by = if clamp { by.min(32) } else { by & 31 };
                ((u64::from(high) << 32 | u64::from(low)) >> by) as u32
            }),
            (Ternary::Lop3(table), _) => self.map3(mask, r, |x: u32, y: u32, z: u32| {
                let term = |bit: u8, value: u32| if table >> bit & 1 != 0 { value } else { 0 };
                term(0, !x & !y & !z)
                    | term(1, !x & !y & z)
                    | term(2, !x & y & !z)
                    | term(3, !x & y & z)
                    | term(4, x & !y & !z)
                    | term(5, x & !y & z)
                    | term(6, x & y & !z)
                    | term(7, x & y & z)
            }),
        }
    }

    #[inline(never)]
    pub fn bfi(&mut self, mask: u32, ty: Type, (d, a, b, c, e): (R, R, R, R, R)) -> Checked {
        let (start, length) = (self.get::<u32>(c, mask)?, self.get::<u32>(e, mask)?);
        if ty.bytes() == 8 {
            let (a, b) = (self.get::<u64>(a, mask)?, self.get::<u64>(b, mask)?);
            let values = per_lane(|l| insert(a[l], b[l], start[l], length[l], 64));
            self.set::<u64>(d, &values, mask);
        } else {
            let (a, b) = (self.get::<u32>(a, mask)?, self.get::<u32>(b, mask)?);
            let values = per_lane(|l| {
                insert(u64::from(a[l]), u64::from(b[l]), start[l], length[l], 32) as u32
            });
            self.set::<u32>(d, &values, mask);
        }
        Ok(())
    }

    #[inline(never)]
    pub fn mul_wide(&mut self, mask: u32, ty: Type, d: R, a: R, b: R, c: Option<R>) -> Checked {
        match (ty, c) {
            (Type::U32, None) => self.map2(mask, (d, a, b), |x: u32, y: u32| {
                u64::from(x) * u64::from(y)
            }),
            (Type::S32, None) => self.map2(mask, (d, a, b), |x: i32, y: i32| {
                i64::from(x) * i64::from(y)
            }),
            (Type::U16, None) => self.map2(mask, (d, a, b), |x: u16, y: u16| {
                u32::from(x) * u32::from(y)
            }),
            (_, None) => self.map2(mask, (d, a, b), |x: i16, y: i16| {
                i32::from(x) * i32::from(y)
            }),
            (Type::U32, Some(c)) => self.map3(mask, (d, a, b, c), |x: u32, y: u32, z: u64| {
                (u64::from(x) * u64::from(y)).wrapping_add(z)
            }),
            (Type::S32, Some(c)) => self.map3(mask, (d, a, b, c), |x: i32, y: i32, z: i64| {
                (i64::from(x) * i64::from(y)).wrapping_add(z)
            }),
            (Type::U16, Some(c)) => self.map3(mask, (d, a, b, c), |x: u16, y: u16, z: u32| {
                (u32::from(x) * u32::from(y)).wrapping_add(z)
            }),
            (_, Some(c)) => self.map3(mask, (d, a, b, c), |x: i16, y: i16, z: i32| {
                (i32::from(x) * i32::from(y)).wrapping_add(z)
            }),
        }
    }
}

/// PTX's `min` takes the number if one operand is NaN, and counts -0 as less than +0.
fn lesser(x: f64, y: f64) -> bool {
    y.is_nan() || x < y || (x == y && x.is_sign_negative())
}
