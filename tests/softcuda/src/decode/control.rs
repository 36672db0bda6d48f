//! Branches, calls, barriers and the instructions of a whole warp.

use super::builder::{Builder, Result};
use super::form::*;
use crate::ptx::Operand;

impl Builder<'_> {
    /// Emits the instruction if it is one of these; `false` if it is none.
    pub fn control(&mut self, opcode: &str, mods: &[&str], o: &[Operand]) -> Result<bool> {
        match (opcode, mods) {
            ("bra", [] | ["uni"]) => match o {
                [Operand::Name(label)] => self.branch(label),
                _ => return Ok(false),
            },
            ("brx", ["idx"] | ["idx", "uni"]) => match o {
                [index, Operand::Name(table)] => {
                    let index = self.source(index, 32)?;
                    self.branch_indexed(index, table)?;
                }
                _ => return Ok(false),
            },
            ("call", [] | ["uni"]) => self.call(o)?,
            ("ret", [] | ["uni"]) if o.is_empty() => self.ret(),
            ("exit", []) if o.is_empty() => self.emit(Op::Exit),
            ("trap", []) if o.is_empty() => self.emit(Op::Trap),
            ("bar" | "barrier", ["sync"] | ["sync", "aligned"] | ["cta", "sync"]) => match o {
                [Operand::Integer(id @ 0..=15)] => self.emit(Op::Barrier { id: *id as u8 }),
                _ => return self.error("a barrier with a thread count is not supported"),
            },
            ("bar", ["warp", "sync"]) => {
                let [mask] = self.expect::<1>(o)?;
                let mask = self.source(mask, 32)?;
                self.emit(Op::WarpSync { mask });
            }
            ("shfl", ["sync", name, "b32"]) => {
                let op = match *name {
                    "up" => Shuffle::Up,
                    "down" => Shuffle::Down,
                    "bfly" => Shuffle::Bfly,
                    "idx" => Shuffle::Idx,
                    _ => return Ok(false),
                };
                let [d, a, b, c, mask] = self.expect::<5>(o)?;
                let (d, valid) = match d {
                    Operand::Pair(d, p) => {
                        let valid = Some(self.predicate_named(p)?);
                        (self.target(&Operand::Name(d.clone()), 32)?, valid)
                    }
                    d => (self.target(d, 32)?, None),
                };
                let (a, b) = (self.source(a, 32)?, self.source(b, 32)?);
                let (c, mask) = (self.source(c, 32)?, self.source(mask, 32)?);
                self.emit(Op::Shuffle {
                    op,
                    d,
                    valid,
                    a,
                    b,
                    c,
                    mask,
                });
            }
            ("vote", ["sync", name, kind]) => {
                let op = match (*name, *kind) {
                    ("all", "pred") => Vote::All,
                    ("any", "pred") => Vote::Any,
                    ("uni", "pred") => Vote::Uni,
                    ("ballot", "b32") => Vote::Ballot,
                    _ => return Ok(false),
                };
                let [d, p, mask] = self.expect::<3>(o)?;
                let d = match op {
                    Vote::Ballot => self.target(d, 32)?,
                    _ => self.predicate(d)?.0,
                };
                let (p, negated) = self.predicate(p)?;
                let mask = self.source(mask, 32)?;
                self.emit(Op::Vote {
                    op,
                    d,
                    p,
                    negated,
                    mask,
                });
            }
            ("activemask", ["b32"]) => {
                let [d] = self.expect::<1>(o)?;
                let d = self.target(d, 32)?;
                self.emit(Op::ActiveMask { d });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
