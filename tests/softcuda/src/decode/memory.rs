//! Loads, stores, atomics and fences.

use super::builder::{Builder, Result};
use super::form::*;
use crate::ptx::{Operand, Space, Type};

impl Builder<'_> {
    /// Emits the instruction if it is one of these; `false` if it is none.
    pub fn memory(&mut self, opcode: &str, mods: &[&str], o: &[Operand]) -> Result<bool> {
        match opcode {
            "ld" | "ldu" | "st" => self.access(opcode == "st", mods, o),
            "atom" | "red" => self.atomic(opcode == "atom", mods, o),
            "membar" => match mods {
                ["gl" | "cta" | "sys"] => {
                    self.emit(Op::Fence);
                    Ok(true)
                }
                _ => Ok(false),
            },
            "fence" => match mods {
                ["sc" | "acq_rel", "cta" | "gpu" | "sys"] => {
                    self.emit(Op::Fence);
                    Ok(true)
                }
                _ => Ok(false),
            },
            _ => Ok(false),
        }
    }

    fn access(&mut self, store: bool, mods: &[&str], o: &[Operand]) -> Result<bool> {
        let Some((ty, mut mods)) = mods
            .split_last()
            .and_then(|(last, rest)| Some((Type::named(last)?, rest)))
        else {
            return Ok(false);
        };
        let mut count = 1;
        match mods.split_last() {
            Some((&"v2", rest)) => (count, mods) = (2, rest),
            Some((&"v4", rest)) => (count, mods) = (4, rest),
            _ => {}
        }
        if let Some((&"volatile", rest)) = mods.split_first() {
            mods = rest;
        }
        let mut space = Space::Generic;
        if let Some((name, rest)) = mods.split_first()
            && let Some(found) = Space::named(name)
        {
            (space, mods) = (found, rest);
        }
        // Hints for the caches change nothing here; `.nc` promises that nobody writes what is read.
        let hint = matches!(
            mods,
            [] | ["nc" | "ca" | "cg" | "cs" | "lu" | "cv" | "wb" | "wt"]
        );
        if !hint || ty == Type::Pred || count * ty.bytes() > 16 || o.len() != 2 {
            return Ok(false);
        }
        let (values, address) = if store {
            (&o[1], &o[0])
        } else {
            (&o[0], &o[1])
        };
        let values: Vec<&Operand> = match values {
            Operand::Vector(values) => values.iter().collect(),
            value => vec![value],
        };
        if values.len() as u64 != count {
            return self.error(format!(
                "{} registers for a vector of {count}",
                values.len()
            ));
        }
        let least = (ty.bytes() * 8) as u8;
        let mut registers = [Reg { index: 0, bits: 32 }; 4];
        for (register, value) in registers.iter_mut().zip(values) {
            *register = match value {
                Operand::Name(name) if name.starts_with('%') => self.any(value)?,
                value if store => {
                    let bits = least.max(16);
                    Reg {
                        index: self.source(value, bits)?,
                        bits,
                    }
                }
                _ => return self.error(format!("{value:?} as the target of a load")),
            };
            if register.bits < least || (ty.is_float() && register.bits != least) {
                return self.error(format!("{value:?} does not fit {ty:?}"));
            }
        }
        let address = self.address(address, &mut space)?;
        if store && matches!(space, Space::Param | Space::Const) {
            return self.error(format!("a store to {space:?} memory"));
        }
        let access = Access {
            space,
            ty,
            count: count as u8,
            registers,
            address,
        };
        self.emit(if store {
            Op::Store(access)
        } else {
            Op::Load(access)
        });
        Ok(true)
    }

    /// The address of an operand. A parameter of an inlined call changes the space to local.
    fn address(&mut self, operand: &Operand, space: &mut Space) -> Result<Address> {
        let Operand::Address { base, offset } = operand else {
            return self.error(format!("{operand:?} is not an address"));
        };
        let offset = *offset as u64;
        let Some(name) = base else {
            return Ok(Address { base: None, offset });
        };
        if let Some((lies, address, _)) = self.variable(name) {
            match (*space, lies) {
                (Space::Param, Space::Local) => *space = Space::Local,
                (named, lies) if named == lies => {}
                (Space::Generic, Space::Global) => {}
                (named, lies) => {
                    return self.error(format!(
                        "`{name}` lies in {lies:?}, not in {named:?} memory"
                    ));
                }
            }
            return Ok(Address {
                base: None,
                offset: address.wrapping_add(offset),
            });
        }
        let base = self.any(&Operand::Name(name.clone()))?;
        if base.bits < 32 {
            return self.error(format!("`{name}` is too narrow for an address"));
        }
        Ok(Address {
            base: Some(base),
            offset,
        })
    }

    /// `atom{.order}{.scope}{.space}.op.type d, [a], b{, c}`; `red` is the same without `d`.
    fn atomic(&mut self, returns: bool, mods: &[&str], o: &[Operand]) -> Result<bool> {
        let Some((ty, mut mods)) = mods
            .split_last()
            .and_then(|(last, rest)| Some((Type::named(last)?, rest)))
        else {
            return Ok(false);
        };
        if let Some((&("relaxed" | "acquire" | "release" | "acq_rel"), rest)) = mods.split_first() {
            mods = rest;
        }
        if let Some((&("cta" | "gpu" | "sys"), rest)) = mods.split_first() {
            mods = rest;
        }
        let mut space = Space::Generic;
        if let Some((name, rest)) = mods.split_first()
            && let Some(found) = Space::named(name)
        {
            (space, mods) = (found, rest);
        }
        let wide_or_narrow = matches!(ty.bytes(), 4 | 8);
        let op = match mods {
            ["add"] => Atomic::Add,
            ["min"] if !ty.is_float() => Atomic::Min,
            ["max"] if !ty.is_float() => Atomic::Max,
            ["inc"] if ty == Type::U32 => Atomic::Inc,
            ["dec"] if ty == Type::U32 => Atomic::Dec,
            ["and"] if !ty.is_float() => Atomic::And,
            ["or"] if !ty.is_float() => Atomic::Or,
            ["xor"] if !ty.is_float() => Atomic::Xor,
            ["exch"] if returns => Atomic::Exch,
            ["cas"] if returns => Atomic::Cas,
            _ => return Ok(false),
        };
        let known = matches!(space, Space::Generic | Space::Global | Space::Shared);
        let (d, o) = if returns {
            let Some((d, rest)) = o.split_first() else {
                return Ok(false);
            };
            (Some(d), rest)
        } else {
            (None, o)
        };
        if !wide_or_narrow || !known || o.len() != if op == Atomic::Cas { 3 } else { 2 } {
            return Ok(false);
        }
        let bits = (ty.bytes() * 8) as u8;
        let reg = |index| Reg { index, bits };
        let d = match d {
            None | Some(Operand::Sink) => None,
            Some(d) => Some(reg(self.target(d, bits)?)),
        };
        let address = self.address(&o[0], &mut space)?;
        let b = reg(self.source(&o[1], bits)?);
        let c = match o.get(2) {
            Some(c) => Some(reg(self.source(c, bits)?)),
            None => None,
        };
        self.emit(Op::Atomic {
            op,
            space,
            ty,
            d,
            address,
            b,
            c,
        });
        Ok(true)
    }
}
