//! The register files of a warp, stored register by register with the 32 lanes side by side, so that a
//! loop over the lanes is a loop over neighbours. Each register also has a mask of the lanes that it
//! was written in.

use crate::decode::form::{Kernel, Preset, R};
use crate::error::{Checked, Fault, Rule};
use crate::memory::Lanes;

#[derive(Clone, Debug, Default)]
pub struct Registers {
    pub narrow: Vec<Lanes<u32>>,
    pub wide: Vec<Lanes<u64>>,
    pub predicates: Vec<u32>,
    pub narrow_defined: Vec<u32>,
    pub wide_defined: Vec<u32>,
    pub predicates_defined: Vec<u32>,
}

impl Registers {
    /// Files with the constants of a kernel filled in.
    pub fn template(kernel: &Kernel) -> Self {
        let mut registers = Self {
            narrow: vec![[0; 32]; kernel.narrow.len()],
            wide: vec![[0; 32]; kernel.wide.len()],
            predicates: vec![0; kernel.predicates.len()],
            narrow_defined: vec![0; kernel.narrow.len()],
            wide_defined: vec![0; kernel.wide.len()],
            predicates_defined: vec![0; kernel.predicates.len()],
        };
        for &(index, preset) in &kernel.narrow_presets {
            if let Preset::Value(value) = preset {
                registers.narrow[usize::from(index)] = [value; 32];
            }
            registers.narrow_defined[usize::from(index)] = !0;
        }
        for &(index, value) in &kernel.wide_presets {
            registers.wide[usize::from(index)] = [value; 32];
            registers.wide_defined[usize::from(index)] = !0;
        }
        registers.predicates[1] = !0;
        registers.predicates_defined[0] = !0;
        registers.predicates_defined[1] = !0;
        registers
    }

    /// Copies a template over these files without allocating.
    pub fn reset(&mut self, template: &Self) {
        self.narrow.clone_from(&template.narrow);
        self.wide.clone_from(&template.wide);
        self.predicates.clone_from(&template.predicates);
        self.narrow_defined.clone_from(&template.narrow_defined);
        self.wide_defined.clone_from(&template.wide_defined);
        self.predicates_defined
            .clone_from(&template.predicates_defined);
    }

    #[inline(always)]
    pub fn predicate(&self, kernel: &Kernel, index: R, mask: u32) -> Checked<u32> {
        let undefined = mask & !self.predicates_defined[usize::from(index)];
        if undefined != 0 {
            return Err(uninitialised(
                &kernel.predicates[usize::from(index)],
                undefined,
            ));
        }
        Ok(self.predicates[usize::from(index)])
    }

    #[inline(always)]
    pub fn set_predicate(&mut self, index: R, value: u32, mask: u32) {
        let slot = &mut self.predicates[usize::from(index)];
        *slot = *slot & !mask | value & mask;
        self.predicates_defined[usize::from(index)] |= mask;
    }
}

#[cold]
pub fn uninitialised(name: &str, undefined: u32) -> Box<Fault> {
    let message = format!("reads register {name}, which was never written");
    Fault::new(
        Rule::UninitialisedRegister,
        undefined.trailing_zeros(),
        message,
    )
}

/// A type that a register can be read as: it knows its file and its bits there.
pub trait Value: Copy + Default {
    fn lanes(registers: &Registers, index: R) -> Lanes<Self>;
    fn set(registers: &mut Registers, index: R, values: &Lanes<Self>, mask: u32);
    /// Refuses if a lane of `mask` was never written.
    fn check(registers: &Registers, kernel: &Kernel, index: R, mask: u32) -> Checked;
}

macro_rules! value {
    ($ty:ty, $file:ident, $defined:ident, |$raw:ident| $from:expr, |$value:ident| $into:expr) => {
        impl Value for $ty {
            #[inline(always)]
            fn lanes(registers: &Registers, index: R) -> Lanes<Self> {
                let raw = &registers.$file[usize::from(index)];
                let mut values = [Self::default(); 32];
                for lane in 0..32 {
                    let $raw = raw[lane];
                    values[lane] = $from;
                }
                values
            }

            #[inline(always)]
            fn set(registers: &mut Registers, index: R, values: &Lanes<Self>, mask: u32) {
                let slot = &mut registers.$file[usize::from(index)];
                if mask == !0 {
                    for lane in 0..32 {
                        let $value = values[lane];
                        slot[lane] = $into;
                    }
                } else {
                    for lane in 0..32 {
                        let $value = values[lane];
                        slot[lane] = if mask >> lane & 1 != 0 {
                            $into
                        } else {
                            slot[lane]
                        };
                    }
                }
                registers.$defined[usize::from(index)] |= mask;
            }

            #[inline(always)]
            fn check(registers: &Registers, kernel: &Kernel, index: R, mask: u32) -> Checked {
                let undefined = mask & !registers.$defined[usize::from(index)];
                if undefined != 0 {
                    return Err(uninitialised(&kernel.$file[usize::from(index)], undefined));
                }
                Ok(())
            }
        }
    };
}

value!(u16, narrow, narrow_defined, |raw| raw as u16, |value| {
    u32::from(value)
});
value!(i16, narrow, narrow_defined, |raw| raw as i16, |value| {
    u32::from(value as u16)
});
value!(u32, narrow, narrow_defined, |raw| raw, |value| value);
value!(i32, narrow, narrow_defined, |raw| raw as i32, |value| value
    as u32);
value!(
    f32,
    narrow,
    narrow_defined,
    |raw| f32::from_bits(raw),
    |value| value.to_bits()
);
value!(u64, wide, wide_defined, |raw| raw, |value| value);
value!(i64, wide, wide_defined, |raw| raw as i64, |value| value
    as u64);
value!(
    f64,
    wide,
    wide_defined,
    |raw| f64::from_bits(raw),
    |value| value.to_bits()
);
