//! Comparisons, selections and moves: what decides between values, and what hands them on.

use super::registers::Value;
use super::warp::Warp;
use crate::decode::form::*;
use crate::error::Checked;
use crate::memory::{Lanes, per_lane};
use crate::ptx::Type;

impl Warp<'_> {
    /// The lanes in which a comparison holds. A NaN is neither less, greater nor equal.
    #[inline(always)]
    fn compare<T: Value + PartialOrd>(
        &self,
        mask: u32,
        compare: Compare,
        a: R,
        b: R,
    ) -> Checked<u32> {
        let (a, b) = (self.get::<T>(a, mask)?, self.get::<T>(b, mask)?);
        let (lt, gt, eq) = (|| less(&a, &b), || less(&b, &a), || equal(&a, &b));
        Ok(match compare {
            Compare::Eq => eq(),
            Compare::Ne => lt() | gt(),
            Compare::Lt => lt(),
            Compare::Le => lt() | eq(),
            Compare::Gt => gt(),
            Compare::Ge => gt() | eq(),
            Compare::Equ => !(lt() | gt()),
            Compare::Neu => !eq(),
            Compare::Ltu => !(gt() | eq()),
            Compare::Leu => !gt(),
            Compare::Gtu => !(lt() | eq()),
            Compare::Geu => !lt(),
            Compare::Num => lt() | gt() | eq(),
            Compare::Nan => !(lt() | gt() | eq()),
        })
    }

    #[inline(never)]
    pub fn setp(&mut self, mask: u32, op: &Op) -> Checked {
        let &Op::Setp {
            compare,
            ty,
            d,
            not_d,
            a,
            b,
            also,
        } = op
        else {
            return Ok(());
        };
        let holds = match ty {
            Type::F32 => self.compare::<f32>(mask, compare, a, b)?,
            Type::F64 => self.compare::<f64>(mask, compare, a, b)?,
            Type::S16 => self.compare::<i16>(mask, compare, a, b)?,
            Type::U16 => self.compare::<u16>(mask, compare, a, b)?,
            Type::S32 => self.compare::<i32>(mask, compare, a, b)?,
            Type::S64 => self.compare::<i64>(mask, compare, a, b)?,
            Type::U64 => self.compare::<u64>(mask, compare, a, b)?,
            _ => self.compare::<u32>(mask, compare, a, b)?,
        };
        let with = match also {
            Some((_, p, negated)) => {
                let value = self.registers.predicate(self.kernel, p, mask)?;
                if negated { !value } else { value }
            }
            None => 0,
        };
        let join = |holds: u32| match also {
            Some((Logic::And, ..)) => holds & with,
            Some((Logic::Or, ..)) => holds | with,
            Some((Logic::Xor, ..)) => holds ^ with,
            None => holds,
        };
        self.registers.set_predicate(d, join(holds), mask);
        if let Some(not_d) = not_d {
            self.registers.set_predicate(not_d, join(!holds), mask);
        }
        Ok(())
    }

    pub fn testp(&mut self, mask: u32, test: Test, ty: Type, d: R, a: R) -> Checked {
        let classify = |x: f64, subnormal: bool| match test {
            Test::Finite => x.is_finite(),
            Test::Infinite => x.is_infinite(),
            Test::Number => !x.is_nan(),
            Test::NotANumber => x.is_nan(),
            Test::Normal => x.is_finite() && x != 0.0 && !subnormal,
            Test::Subnormal => subnormal,
        };
        let holds = if ty == Type::F64 {
            mask_of(
                &self
                    .get::<f64>(a, mask)?
                    .map(|x| classify(x, x.is_subnormal())),
            )
        } else {
            mask_of(
                &self
                    .get::<f32>(a, mask)?
                    .map(|x| classify(f64::from(x), x.is_subnormal())),
            )
        };
        self.registers.set_predicate(d, holds, mask);
        Ok(())
    }

    /// `selp`: a lane is defined where the operand that it takes is.
    #[inline(always)]
    pub fn select(&mut self, mask: u32, wide: bool, d: R, a: R, b: R, p: R) -> Checked {
        let p = self.registers.predicate(self.kernel, p, mask)?;
        let registers = &mut self.registers;
        let (d, a, b) = (usize::from(d), usize::from(a), usize::from(b));
        let (x, y) = (p & mask, !p & mask);
        if wide {
            let (left, right) = (registers.wide[a], registers.wide[b]);
            for lane in 0..32 {
                let slot = &mut registers.wide[d][lane];
                let chosen = if p >> lane & 1 != 0 {
                    left[lane]
                } else {
                    right[lane]
                };
                *slot = if mask >> lane & 1 != 0 { chosen } else { *slot };
            }
            let defined = &mut registers.wide_defined;
            defined[d] = defined[d] & !mask | defined[a] & x | defined[b] & y;
        } else {
            let (left, right) = (registers.narrow[a], registers.narrow[b]);
            for lane in 0..32 {
                let slot = &mut registers.narrow[d][lane];
                let chosen = if p >> lane & 1 != 0 {
                    left[lane]
                } else {
                    right[lane]
                };
                *slot = if mask >> lane & 1 != 0 { chosen } else { *slot };
            }
            let defined = &mut registers.narrow_defined;
            defined[d] = defined[d] & !mask | defined[a] & x | defined[b] & y;
        }
        Ok(())
    }

    /// `mov`: copies also whether a lane is defined, since compilers move values that nobody uses.
    #[inline(always)]
    pub fn copy(&mut self, mask: u32, wide: bool, d: R, a: R) {
        let defined = if wide {
            let values = u64::lanes(&self.registers, a);
            self.set::<u64>(d, &values, mask);
            &mut self.registers.wide_defined
        } else {
            let values = u32::lanes(&self.registers, a);
            self.set::<u32>(d, &values, mask);
            &mut self.registers.narrow_defined
        };
        let from = defined[usize::from(a)];
        let slot = &mut defined[usize::from(d)];
        *slot = *slot & !mask | from & mask;
    }

    pub fn slct(&mut self, mask: u32, op: &Op) -> Checked {
        let &Op::Slct {
            wide,
            float,
            d,
            a,
            b,
            c,
        } = op
        else {
            return Ok(());
        };
        let c = self.get::<u32>(c, mask)?;
        let first = c.map(|c| {
            if float {
                f32::from_bits(c) >= 0.0
            } else {
                c as i32 >= 0
            }
        });
        if wide {
            let (a, b) = (self.get::<u64>(a, mask)?, self.get::<u64>(b, mask)?);
            self.set(d, &per_lane(|l| if first[l] { a[l] } else { b[l] }), mask);
        } else {
            let (a, b) = (self.get::<u32>(a, mask)?, self.get::<u32>(b, mask)?);
            self.set(d, &per_lane(|l| if first[l] { a[l] } else { b[l] }), mask);
        }
        Ok(())
    }
}

#[inline(never)]
fn less<T: Copy + PartialOrd>(a: &Lanes<T>, b: &Lanes<T>) -> u32 {
    (0..32).fold(0, |mask, lane| mask | u32::from(a[lane] < b[lane]) << lane)
}

#[inline(never)]
fn equal<T: Copy + PartialEq>(a: &Lanes<T>, b: &Lanes<T>) -> u32 {
    (0..32).fold(0, |mask, lane| mask | u32::from(a[lane] == b[lane]) << lane)
}

/// The lanes that are set, as a mask.
pub fn mask_of(set: &Lanes<bool>) -> u32 {
    (0..32).fold(0, |mask, lane| mask | u32::from(set[lane]) << lane)
}
