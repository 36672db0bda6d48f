//! Arithmetic, logic, comparisons, conversions and moves.
//!
//! Only the rounding to nearest even is accepted for arithmetic, and no `.ftz`: what runs is IEEE 754.

use super::builder::{Builder, Result};
use super::form::*;
use crate::ptx::{Instruction, Operand, Space, Type};

impl Builder<'_> {
    /// Emits one instruction, or says which part of it is unknown.
    pub fn instruction(&mut self, instruction: &Instruction) -> Result<()> {
        let parts: Vec<&str> = instruction.opcode.iter().map(String::as_str).collect();
        let operands = &instruction.operands[..];
        let opcode = parts[0];
        let mods = &parts[1..];
        if self.control(opcode, mods, operands)? || self.memory(opcode, mods, operands)? {
            return Ok(());
        }
        let Some((ty, mods)) = mods
            .split_last()
            .and_then(|(last, rest)| Some((Type::named(last)?, rest)))
        else {
            return self.error(format!(
                "instruction `{}` is not supported",
                parts.join(".")
            ));
        };
        match self.typed(opcode, mods, ty, operands)? {
            true => Ok(()),
            false => self.error(format!(
                "instruction `{}` is not supported",
                parts.join(".")
            )),
        }
    }

    fn typed(&mut self, opcode: &str, mods: &[&str], ty: Type, o: &[Operand]) -> Result<bool> {
        if ty == Type::Pred {
            return self.predicate_instruction(opcode, mods, o);
        }
        let bits = (ty.bytes() * 8) as u8;
        let float = ty.is_float();
        let integer = !float && bits >= 16;
        let plain = mods.is_empty();
        let rounded = mods == ["rn"] || plain;
        let approximate = mods == ["approx"] && ty == Type::F32;
        let unary = |op| Some((op, 1u8));
        let found = match opcode {
            "neg" if plain && bits >= 16 => unary(Unary::Neg),
            "abs" if plain && bits >= 16 => unary(Unary::Abs),
            "not" if plain && integer => unary(Unary::Not),
            "sqrt" if float && (mods == ["rn"] || approximate) => unary(Unary::Sqrt),
            "rcp" if float && (mods == ["rn"] || approximate) => unary(Unary::Rcp),
            "rsqrt" if approximate => unary(Unary::Rsqrt),
            "ex2" if approximate => unary(Unary::Ex2),
            "lg2" if approximate => unary(Unary::Lg2),
            "sin" if approximate => unary(Unary::Sin),
            "cos" if approximate => unary(Unary::Cos),
            "tanh" if approximate => unary(Unary::Tanh),
            "popc" if plain && bits >= 32 => unary(Unary::Popc),
            "clz" if plain && bits >= 32 => unary(Unary::Clz),
            "brev" if plain && bits >= 32 => unary(Unary::Brev),
            _ => None,
        };
        if let Some((op, flops)) = found {
            let [d, a] = self.expect::<2>(o)?;
            // A count is narrow, also of a wide operand.
            let counts = matches!(op, Unary::Popc | Unary::Clz);
            let d = self.target(d, if counts { 32 } else { bits })?;
            let a = self.source(a, bits)?;
            self.emit_flops(Op::Unary { op, ty, d, a }, if float { flops } else { 0 });
            return Ok(true);
        }
        let found = match opcode {
            "add" if (rounded && float) || (plain && integer) => Some(Binary::Add),
            "sub" if (rounded && float) || (plain && integer) => Some(Binary::Sub),
            "mul" if rounded && float => Some(Binary::Mul),
            "mul" if mods == ["lo"] && integer => Some(Binary::Mul),
            "mul" if mods == ["hi"] && integer => Some(Binary::MulHi),
            "div" if float && mods == ["rn"] => Some(Binary::Div),
            "div" if ty == Type::F32 && (mods == ["full"] || approximate) => Some(Binary::Div),
            "div" if plain && integer => Some(Binary::Div),
            "rem" if plain && integer => Some(Binary::Rem),
            "min" if plain && bits >= 16 => Some(Binary::Min),
            "max" if plain && bits >= 16 => Some(Binary::Max),
            "and" if plain && integer => Some(Binary::And),
            "or" if plain && integer => Some(Binary::Or),
            "xor" if plain && integer => Some(Binary::Xor),
            "shl" if plain && integer => Some(Binary::Shl),
            "shr" if plain && integer => Some(Binary::Shr),
            "copysign" if plain && float => Some(Binary::CopySign),
            _ => None,
        };
        if let Some(op) = found {
            let [d, a, b] = self.expect::<3>(o)?;
            let d = self.target(d, bits)?;
            let a = self.source(a, bits)?;
            let shift = matches!(op, Binary::Shl | Binary::Shr);
            let b = self.source(b, if shift { 32 } else { bits })?;
            let flops = u8::from(float && op != Binary::CopySign);
            self.emit_flops(Op::Binary { op, ty, d, a, b }, flops);
            return Ok(true);
        }
        match opcode {
            "fma" if float && mods == ["rn"] => self.ternary(Ternary::Mad, ty, o, [bits; 3], 2)?,
            "mad" if float && mods == ["rn"] => self.ternary(Ternary::Mad, ty, o, [bits; 3], 2)?,
            "mad" if integer && mods == ["lo"] => {
                self.ternary(Ternary::Mad, ty, o, [bits; 3], 0)?;
            }
            "mad" if integer && mods == ["hi"] => {
                self.ternary(Ternary::MadHi, ty, o, [bits; 3], 0)?;
            }
            "bfe" if plain && integer && bits >= 32 => {
                self.ternary(Ternary::Bfe, ty, o, [bits, 32, 32], 0)?;
            }
            "prmt" if plain && ty == Type::U32 => {
                self.ternary(Ternary::Prmt, ty, o, [32; 3], 0)?;
            }
            "shf" if ty == Type::U32 && mods.len() == 2 => {
                let clamp = match mods[1] {
                    "clamp" => true,
                    "wrap" => false,
                    _ => return Ok(false),
                };
                let op = match mods[0] {
                    "l" => Ternary::ShfL(clamp),
                    "r" => Ternary::ShfR(clamp),
                    _ => return Ok(false),
                };
                self.ternary(op, ty, o, [32; 3], 0)?;
            }
            "lop3" if plain && ty == Type::U32 && o.len() == 5 => {
                let Operand::Integer(table @ 0..=255) = o[4] else {
                    return self.error("`lop3` needs a table of 8 bits");
                };
                self.ternary(Ternary::Lop3(table as u8), ty, &o[..4], [32; 3], 0)?;
            }
            "bfi" if plain && bits >= 32 && !float => {
                let [d, a, b, c, e] = self.expect::<5>(o)?;
                let d = self.target(d, bits)?;
                let (a, b) = (self.source(a, bits)?, self.source(b, bits)?);
                let (c, e) = (self.source(c, 32)?, self.source(e, 32)?);
                self.emit(Op::Bfi { ty, d, a, b, c, e });
            }
            "mul" if mods == ["wide"] && integer && bits <= 32 => {
                let [d, a, b] = self.expect::<3>(o)?;
                let d = self.target(d, 2 * bits)?;
                let (a, b) = (self.source(a, bits)?, self.source(b, bits)?);
                self.emit(Op::MulWide {
                    ty,
                    d,
                    a,
                    b,
                    c: None,
                });
            }
            "mad" if mods == ["wide"] && integer && bits <= 32 => {
                let [d, a, b, c] = self.expect::<4>(o)?;
                let d = self.target(d, 2 * bits)?;
                let (a, b) = (self.source(a, bits)?, self.source(b, bits)?);
                let c = Some(self.source(c, 2 * bits)?);
                self.emit(Op::MulWide { ty, d, a, b, c });
            }
            "setp" if bits >= 16 => return self.setp(mods, ty, bits, o),
            "testp" if float && mods.len() == 1 => {
                let test = match mods[0] {
                    "finite" => Test::Finite,
                    "infinite" => Test::Infinite,
                    "number" => Test::Number,
                    "notanumber" => Test::NotANumber,
                    "normal" => Test::Normal,
                    "subnormal" => Test::Subnormal,
                    _ => return Ok(false),
                };
                let [d, a] = self.expect::<2>(o)?;
                let (d, _) = self.predicate(d)?;
                let a = self.source(a, bits)?;
                self.emit(Op::Testp { test, ty, d, a });
            }
            "selp" if plain && bits >= 16 => {
                let [d, a, b, p] = self.expect::<4>(o)?;
                let d = self.target(d, bits)?;
                let (a, b) = (self.source(a, bits)?, self.source(b, bits)?);
                let (p, negated) = self.predicate(p)?;
                let (a, b) = if negated { (b, a) } else { (a, b) };
                self.emit(Op::Select {
                    wide: bits == 64,
                    d,
                    a,
                    b,
                    p,
                });
            }
            "slct" if matches!(ty, Type::S32 | Type::F32) && mods.len() == 1 => {
                let Some(value) = Type::named(mods[0]) else {
                    return Ok(false);
                };
                let bits = (value.bytes() * 8) as u8;
                let [d, a, b, c] = self.expect::<4>(o)?;
                let d = self.target(d, bits)?;
                let (a, b) = (self.source(a, bits)?, self.source(b, bits)?);
                let c = self.source(c, 32)?;
                self.emit(Op::Slct {
                    wide: bits == 64,
                    float: ty == Type::F32,
                    d,
                    a,
                    b,
                    c,
                });
            }
            "mov" if plain && bits >= 16 => self.mov(bits, o)?,
            "cvt" => return self.cvt(mods, ty, o),
            "cvta" => return self.cvta(mods, ty, o),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The operands, if there are exactly `N`.
    pub fn expect<'o, const N: usize>(&self, o: &'o [Operand]) -> Result<[&'o Operand; N]> {
        let found: Vec<&Operand> = o.iter().collect();
        match found.try_into() {
            Ok(array) => Ok(array),
            Err(_) => self.error(format!("{} operands where {N} are needed", o.len())),
        }
    }

    fn ternary(
        &mut self,
        op: Ternary,
        ty: Type,
        o: &[Operand],
        bits: [u8; 3],
        flops: u8,
    ) -> Result<()> {
        let [d, a, b, c] = self.expect::<4>(o)?;
        let d = self.target(d, bits[0])?;
        let a = self.source(a, bits[0])?;
        let b = self.source(b, bits[1])?;
        let c = self.source(c, bits[2])?;
        self.emit_flops(Op::Ternary { op, ty, d, a, b, c }, flops);
        Ok(())
    }

    fn predicate_instruction(
        &mut self,
        opcode: &str,
        mods: &[&str],
        o: &[Operand],
    ) -> Result<bool> {
        if !mods.is_empty() {
            return Ok(false);
        }
        let op = match opcode {
            "and" => Logic::And,
            "or" => Logic::Or,
            "xor" => Logic::Xor,
            "not" | "mov" => {
                let [d, a] = self.expect::<2>(o)?;
                let (d, _) = self.predicate(d)?;
                let (a, negated) = self.predicate(a)?;
                let inverted = negated != (opcode == "not");
                self.emit(if inverted {
                    Op::PredNot { d, a }
                } else {
                    Op::PredMove { d, a }
                });
                return Ok(true);
            }
            _ => return Ok(false),
        };
        let [d, a, b] = self.expect::<3>(o)?;
        let (d, _) = self.predicate(d)?;
        let ((a, not_a), (b, not_b)) = (self.predicate(a)?, self.predicate(b)?);
        if not_a || not_b {
            return self.error("a negated operand of a predicate instruction");
        }
        self.emit(Op::PredLogic { op, d, a, b });
        Ok(true)
    }

    fn setp(&mut self, mods: &[&str], ty: Type, bits: u8, o: &[Operand]) -> Result<bool> {
        let Some((name, logic)) = mods.split_first() else {
            return Ok(false);
        };
        let compare = match *name {
            "eq" => Compare::Eq,
            "ne" => Compare::Ne,
            "lt" | "lo" => Compare::Lt,
            "le" | "ls" => Compare::Le,
            "gt" | "hi" => Compare::Gt,
            "ge" | "hs" => Compare::Ge,
            "equ" => Compare::Equ,
            "neu" => Compare::Neu,
            "ltu" => Compare::Ltu,
            "leu" => Compare::Leu,
            "gtu" => Compare::Gtu,
            "geu" => Compare::Geu,
            "num" => Compare::Num,
            "nan" => Compare::Nan,
            _ => return Ok(false),
        };
        let floats_only = !matches!(
            compare,
            Compare::Eq | Compare::Ne | Compare::Lt | Compare::Le | Compare::Gt | Compare::Ge
        );
        let unsigned_only = matches!(*name, "lo" | "ls" | "hi" | "hs");
        if (floats_only && !ty.is_float()) || (unsigned_only && (ty.is_float() || ty.is_signed())) {
            return Ok(false);
        }
        let (logic, count) = match logic {
            [] => (None, 3),
            ["and"] => (Some(Logic::And), 4),
            ["or"] => (Some(Logic::Or), 4),
            ["xor"] => (Some(Logic::Xor), 4),
            _ => return Ok(false),
        };
        if o.len() != count {
            return self.error(format!("{} operands where {count} are needed", o.len()));
        }
        let (d, not_d) = match &o[0] {
            Operand::Pair(d, e) => (self.predicate_named(d)?, Some(self.predicate_named(e)?)),
            other => (self.predicate(other)?.0, None),
        };
        let (a, b) = (self.source(&o[1], bits)?, self.source(&o[2], bits)?);
        let also = match logic {
            Some(logic) => {
                let (p, negated) = self.predicate(&o[3])?;
                Some((logic, p, negated))
            }
            None => None,
        };
        let flops = u8::from(ty.is_float());
        self.emit_flops(
            Op::Setp {
                compare,
                ty,
                d,
                not_d,
                a,
                b,
                also,
            },
            flops,
        );
        Ok(true)
    }

    fn mov(&mut self, bits: u8, o: &[Operand]) -> Result<()> {
        let [d, a] = self.expect::<2>(o)?;
        match (d, a) {
            (d, Operand::Vector(parts)) => {
                let [a, b] = self.expect::<2>(parts)?;
                let d = self.target(d, bits)?;
                let (a, b) = (self.source(a, bits / 2)?, self.source(b, bits / 2)?);
                self.emit(Op::Pack {
                    bits: bits / 2,
                    d,
                    a,
                    b,
                });
            }
            (Operand::Vector(parts), a) => {
                let [d, e] = self.expect::<2>(parts)?;
                let a = self.source(a, bits)?;
                let mut half = |part: &Operand| match part {
                    Operand::Sink => Ok(None),
                    part => self.target(part, bits / 2).map(Some),
                };
                let (d, e) = (half(d)?, half(e)?);
                self.emit(Op::Unpack {
                    bits: bits / 2,
                    d,
                    e,
                    a,
                });
            }
            (d, a) => {
                let d = self.target(d, bits)?;
                let a = self.source(a, bits)?;
                self.emit(Op::Move {
                    wide: bits == 64,
                    d,
                    a,
                });
            }
        }
        Ok(())
    }

    /// `cvt{.round}{.sat}.to.from`
    fn cvt(&mut self, mods: &[&str], from: Type, o: &[Operand]) -> Result<bool> {
        let Some((to, mods)) = mods.split_last() else {
            return Ok(false);
        };
        let Some(to) = Type::named(to) else {
            return Ok(false);
        };
        let mut round = None;
        let mut sat = false;
        for name in mods {
            match *name {
                "rn" => round = Some((Round::Nearest, false)),
                "rz" => round = Some((Round::Zero, false)),
                "rm" => round = Some((Round::Down, false)),
                "rp" => round = Some((Round::Up, false)),
                "rni" => round = Some((Round::Nearest, true)),
                "rzi" => round = Some((Round::Zero, true)),
                "rmi" => round = Some((Round::Down, true)),
                "rpi" => round = Some((Round::Up, true)),
                "sat" => sat = true,
                _ => return Ok(false),
            }
        }
        // Which rounding modifier is due follows from the types.
        let lossy = to.is_float() && (!from.is_float() || to.bytes() < from.bytes());
        let due = match round {
            None => !lossy && (to.is_float() || !from.is_float()),
            Some((_, false)) => lossy,
            Some((_, true)) => from.is_float() && (!to.is_float() || to == from),
        };
        // Other roundings of 64-bit operands are not needed so far, and not exact below.
        let exact = match round {
            Some((Round::Nearest, _)) | Some((_, true)) | None => true,
            Some((_, false)) => to == Type::F32 && (from == Type::F64 || from.bytes() <= 4),
        };
        if !due || !exact {
            return Ok(false);
        }
        let (round, integral) = round.unwrap_or((Round::Zero, false));
        let [d, a] = self.expect::<2>(o)?;
        let d = self.any(d)?;
        let a = match a {
            Operand::Name(_) => self.any(a)?,
            other => {
                let bits = ((from.bytes() * 8) as u8).max(16);
                Reg {
                    index: self.source(other, bits)?,
                    bits,
                }
            }
        };
        for (register, ty) in [(d, to), (a, from)] {
            let bits = (ty.bytes() * 8) as u8;
            if register.bits < bits || (ty.is_float() && register.bits != bits) {
                return self.error("a register is too narrow for the conversion");
            }
        }
        let flops = u8::from(to.is_float() && from.is_float());
        self.emit_flops(
            Op::Convert {
                to,
                from,
                round,
                integral,
                sat,
                d,
                a,
            },
            flops,
        );
        Ok(true)
    }

    fn cvta(&mut self, mods: &[&str], ty: Type, o: &[Operand]) -> Result<bool> {
        let (back, space) = match mods {
            ["to", space] => (true, *space),
            [space] => (false, *space),
            _ => return Ok(false),
        };
        let Some(space) = Space::named(space) else {
            return Ok(false);
        };
        if ty != Type::U64 || space == Space::Param {
            return Ok(false);
        }
        let [d, a] = self.expect::<2>(o)?;
        let d = self.target(d, 64)?;
        let a = self.source(a, 64)?;
        self.emit(Op::Window { space, back, d, a });
        Ok(true)
    }
}
