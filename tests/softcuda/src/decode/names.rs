//! Operands: names to registers, special registers and addresses; immediates to constant registers.

use super::builder::{Binding, Builder, Result};
use super::form::*;
use crate::ptx::*;

impl Builder<'_> {
    /// The address of a variable, with the space it lies in.
    pub fn variable(&mut self, name: &str) -> Option<(Space, u64, u64)> {
        if let Some(Binding::Variable {
            space,
            address,
            bytes,
        }) = self.lookup(name)
        {
            return Some((*space, *address, *bytes));
        }
        if let Some(symbol) = self.symbols.get(name) {
            return Some((symbol.space, symbol.address, symbol.bytes));
        }
        let tree = self.tree;
        let variable = tree
            .variables
            .iter()
            .find(|v| v.name == name && v.space == Space::Shared)?;
        let address = self.shared(name, variable);
        Some((Space::Shared, address, variable.bytes))
    }

    /// The register of that name, of whatever file.
    pub fn register(&mut self, name: &str) -> Result<(Type, R)> {
        if let Some(special) = self.special(name)? {
            return Ok((Type::U32, special));
        }
        let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = name[stem.len()..].parse::<u64>().ok();
        let (key, number) = match self.lookup(name) {
            Some(Binding::Registers { count: None, .. }) => (name, None),
            _ => (stem, number),
        };
        let files = [
            self.kernel.predicates.len(),
            self.kernel.narrow.len(),
            self.kernel.wide.len(),
        ];
        let Some(Binding::Registers { ty, count, used }) = self.lookup(key) else {
            return self.error(format!("`{name}` is not a register"));
        };
        let ty = *ty;
        if let (Some(number), Some(count)) = (number, *count)
            && number >= count
        {
            return self.error(format!("register `{name}` is beyond `{key}<{count}>`"));
        }
        let slot = number.unwrap_or(0);
        if let Some(&index) = used.get(&slot) {
            return Ok((ty, index));
        }
        let file = match ty.bytes() {
            0 => 0,
            8 => 2,
            _ => 1,
        };
        if files[file] >= usize::from(R::MAX) {
            return self.error("too many registers");
        }
        let index = files[file] as R;
        used.insert(slot, index);
        let names = match file {
            0 => &mut self.kernel.predicates,
            1 => &mut self.kernel.narrow,
            _ => &mut self.kernel.wide,
        };
        names.push(name.to_owned());
        Ok((ty, index))
    }

    fn special(&mut self, name: &str) -> Result<Option<R>> {
        if let Some(&index) = self.specials.get(name) {
            return Ok(Some(index));
        }
        let axis = |name: &str| match name {
            "x" => Some(0),
            "y" => Some(1),
            "z" => Some(2),
            _ => None,
        };
        let special = match name.split_once('.') {
            Some(("%tid", a)) => axis(a).map(Special::Tid),
            Some(("%ntid", a)) => axis(a).map(Special::Ntid),
            Some(("%ctaid", a)) => axis(a).map(Special::Ctaid),
            Some(("%nctaid", a)) => axis(a).map(Special::Nctaid),
            Some(_) => None,
            None => match name {
                "%laneid" => Some(Special::LaneId),
                "%warpid" => Some(Special::WarpId),
                "%nwarpid" => Some(Special::NWarpId),
                "%smid" => Some(Special::Zero),
                "%lanemask_eq" => Some(Special::LaneMask(0)),
                "%lanemask_lt" => Some(Special::LaneMask(1)),
                "%lanemask_le" => Some(Special::LaneMask(2)),
                "%lanemask_gt" => Some(Special::LaneMask(3)),
                "%lanemask_ge" => Some(Special::LaneMask(4)),
                "%dynamic_smem_size" => Some(Special::DynamicShared),
                "WARP_SZ" => return Ok(Some(self.narrow_constant(32))),
                "%clock" | "%clock64" | "%clock_hi" | "%globaltimer" | "%gridid" | "%nsmid" => {
                    return self.error(format!("`{name}` would make a run unrepeatable"));
                }
                _ => None,
            },
        };
        let Some(special) = special else {
            return Ok(None);
        };
        let index = self.kernel.narrow.len() as R;
        self.kernel.narrow.push(name.to_owned());
        self.kernel
            .narrow_presets
            .push((index, Preset::Special(special)));
        self.specials.insert(name.to_owned(), index);
        Ok(Some(index))
    }

    fn narrow_constant(&mut self, value: u32) -> R {
        let kernel = &mut self.kernel;
        *self.narrow_constants.entry(value).or_insert_with(|| {
            let index = kernel.narrow.len() as R;
            kernel.narrow.push(format!("{value}"));
            kernel.narrow_presets.push((index, Preset::Value(value)));
            index
        })
    }

    fn wide_constant(&mut self, value: u64) -> R {
        let kernel = &mut self.kernel;
        *self.wide_constants.entry(value).or_insert_with(|| {
            let index = kernel.wide.len() as R;
            kernel.wide.push(format!("{value}"));
            kernel.wide_presets.push((index, value));
            index
        })
    }

    /// A constant as a register of `bits`.
    pub fn constant(&mut self, bits: u8, value: u64) -> R {
        match bits {
            64 => self.wide_constant(value),
            16 => self.narrow_constant(value as u32 & 0xffff),
            _ => self.narrow_constant(value as u32),
        }
    }

    pub fn predicate_named(&mut self, name: &str) -> Result<R> {
        match self.register(name)? {
            (Type::Pred, index) => Ok(index),
            _ => self.error(format!("`{name}` is not a predicate")),
        }
    }

    /// A predicate operand, with whether it is negated.
    pub fn predicate(&mut self, operand: &Operand) -> Result<(R, bool)> {
        match operand {
            Operand::Name(name) => Ok((self.predicate_named(name)?, false)),
            Operand::Not(name) => Ok((self.predicate_named(name)?, true)),
            Operand::Integer(value) => Ok((if *value == 0 { FALSE } else { TRUE }, false)),
            other => self.error(format!("{other:?} as a predicate")),
        }
    }

    /// A register operand of any width, but not a predicate.
    pub fn any(&mut self, operand: &Operand) -> Result<Reg> {
        let Operand::Name(name) = operand else {
            return self.error(format!("{operand:?} where a register is needed"));
        };
        match self.register(name)? {
            (Type::Pred, _) => self.error(format!("`{name}` is a predicate")),
            (ty, index) => Ok(Reg {
                index,
                bits: (ty.bytes() * 8) as u8,
            }),
        }
    }

    /// A destination register of exactly `bits`.
    pub fn target(&mut self, operand: &Operand, bits: u8) -> Result<R> {
        let register = self.any(operand)?;
        if register.bits != bits {
            return self.error(format!(
                "{operand:?} has {} bits, the instruction {bits}",
                register.bits
            ));
        }
        Ok(register.index)
    }

    /// A source of exactly `bits`: a register, an immediate, or the address of a variable.
    pub fn source(&mut self, operand: &Operand, bits: u8) -> Result<R> {
        match operand {
            Operand::Integer(value) => Ok(self.constant(bits, *value)),
            Operand::F32(value) if bits == 32 => Ok(self.constant(32, u64::from(*value))),
            Operand::F64(value) if bits == 64 => Ok(self.constant(64, *value)),
            Operand::Name(name) if bits >= 32 && !name.starts_with('%') => {
                match self.variable(name) {
                    Some((_, address, _)) => Ok(self.constant(bits, address)),
                    None => self.target(operand, bits),
                }
            }
            _ => self.target(operand, bits),
        }
    }
}
