//! `cvt`: between integers and floats of all sizes, with PTX's rounding and saturation.

use super::warp::Warp;
use crate::decode::form::{Op, R, Reg, Round};
use crate::error::Checked;
use crate::memory::{Lanes, per_lane};
use crate::ptx::Type;

impl Warp<'_> {
    #[inline(never)]
    pub fn convert(&mut self, mask: u32, op: &Op) -> Checked {
        let &Op::Convert {
            to,
            from,
            round,
            integral,
            sat,
            d,
            a,
        } = op
        else {
            return Ok(());
        };
        let plain = !sat && !integral;
        // The conversions of address arithmetic and of counters, worth a loop of their own.
        match (to, from) {
            (Type::U64 | Type::S64, Type::U32) if plain && a.bits == 32 => {
                return self.map1(mask, d.index, a.index, |x: u32| u64::from(x));
            }
            (Type::S64 | Type::U64, Type::S32) if plain && a.bits == 32 => {
                return self.map1(mask, d.index, a.index, |x: i32| i64::from(x));
            }
            (Type::U32 | Type::S32, Type::U64 | Type::S64) if plain && d.bits == 32 => {
                return self.map1(mask, d.index, a.index, |x: u64| x as u32);
            }
            (Type::F32, Type::U32) if round == Round::Nearest && !sat => {
                return self.map1(mask, d.index, a.index, |x: u32| x as f32);
            }
            (Type::F32, Type::S32) if round == Round::Nearest && !sat => {
                return self.map1(mask, d.index, a.index, |x: i32| x as f32);
            }
            _ => {}
        }
        let raw = self.raw(a, mask)?;
        let values = per_lane(|lane| convert(raw[lane], to, from, round, integral, sat));
        self.set_raw(d, to, &values, mask);
        Ok(())
    }

    /// The bits of a register of either file.
    #[inline(always)]
    pub fn raw(&self, register: Reg, mask: u32) -> Checked<Lanes<u64>> {
        Ok(match register.bits {
            64 => self.get::<u64>(register.index, mask)?,
            _ => {
                let narrow = self.get::<u32>(register.index, mask)?;
                per_lane(|lane| u64::from(narrow[lane]))
            }
        })
    }

    /// Writes values of a type, sign-extended into a wider register if it is signed.
    #[inline(always)]
    pub fn set_raw(&mut self, register: Reg, ty: Type, values: &Lanes<u64>, mask: u32) {
        let index: R = register.index;
        let extend = |value: u64| match ty {
            Type::S8 => value as i8 as u64,
            Type::S16 => value as i16 as u64,
            Type::S32 => value as i32 as u64,
            Type::U8 => value & 0xff,
            Type::U16 => value & 0xffff,
            Type::U32 | Type::F32 => value & 0xffff_ffff,
            _ => value,
        };
        match register.bits {
            64 => self.set::<u64>(index, &per_lane(|lane| extend(values[lane])), mask),
            16 => self.set::<u32>(
                index,
                &per_lane(|lane| extend(values[lane]) as u32 & 0xffff),
                mask,
            ),
            _ => self.set::<u32>(index, &per_lane(|lane| extend(values[lane]) as u32), mask),
        }
    }
}

/// One value, as bits to bits.
fn convert(bits: u64, to: Type, from: Type, round: Round, integral: bool, sat: bool) -> u64 {
    if from.is_float() {
        let x = match from {
            Type::F32 => f64::from(f32::from_bits(bits as u32)),
            _ => f64::from_bits(bits),
        };
        let x = if integral { rounded(x, round) } else { x };
        return match to {
            Type::F32 => u64::from(saturated(narrowed(x, round), sat).to_bits()),
            Type::F64 if sat => (if x.is_nan() { 0.0 } else { x.clamp(0.0, 1.0) }).to_bits(),
            Type::F64 => x.to_bits(),
            // Rust's casts saturate and take NaN to 0, as PTX's conversions do.
            Type::U8 => u64::from(x as u8),
            Type::S8 => x as i8 as u64,
            Type::U16 => u64::from(x as u16),
            Type::S16 => x as i16 as u64,
            Type::S32 => x as i32 as u64,
            Type::U64 => x as u64,
            Type::S64 => x as i64 as u64,
            _ => u64::from(x as u32),
        };
    }
    let x: i128 = match from {
        Type::U8 => i128::from(bits as u8),
        Type::S8 => i128::from(bits as i8),
        Type::U16 => i128::from(bits as u16),
        Type::S16 => i128::from(bits as i16),
        Type::S32 => i128::from(bits as i32),
        Type::U64 => i128::from(bits),
        Type::S64 => i128::from(bits as i64),
        _ => i128::from(bits as u32),
    };
    match to {
        Type::F32 if round == Round::Nearest => u64::from(saturated(x as f32, sat).to_bits()),
        // Exact in float64, since the source has at most 32 bits.
        Type::F32 => u64::from(saturated(narrowed(x as f64, round), sat).to_bits()),
        Type::F64 => (x as f64).to_bits(),
        _ if sat => {
            let bits = to.bytes() as u32 * 8;
            let (low, high) = match to.is_signed() {
                true => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
                false => (0, (1i128 << bits) - 1),
            };
            x.clamp(low, high) as u64
        }
        _ => x as u64,
    }
}

fn saturated(x: f32, sat: bool) -> f32 {
    match sat {
        true if x.is_nan() => 0.0,
        true => x.clamp(0.0, 1.0),
        false => x,
    }
}

fn rounded(x: f64, round: Round) -> f64 {
    match round {
        Round::Nearest => x.round_ties_even(),
        Round::Zero => x.trunc(),
        Round::Down => x.floor(),
        Round::Up => x.ceil(),
    }
}

/// float64 to float32 in any direction: the nearest, moved by one step if it lies on the wrong side.
fn narrowed(x: f64, round: Round) -> f32 {
    let near = x as f32;
    let back = f64::from(near);
    match round {
        Round::Down if back > x => near.next_down(),
        Round::Up if back < x => near.next_up(),
        Round::Zero if back.abs() > x.abs() => {
            if near > 0.0 {
                near.next_down()
            } else {
                near.next_up()
            }
        }
        _ => near,
    }
}
