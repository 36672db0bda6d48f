//! A warp: 32 lanes that execute the same instruction wherever their paths agree.
//!
//! Lanes that part at a branch become groups, each with its place in the code. The group with the
//! lowest place runs; as soon as it reaches the place of another, the two are one again. Since device
//! functions are inlined and compilers lay loops out forwards, groups meet where paths join.

use super::chain::Chain;
use super::collective::Meeting;
use super::launch::Block;
use super::registers::Registers;
use crate::decode::form::*;
use crate::error::{Checked, Fault, Rule};
use crate::memory::local::Local;

/// Lanes at one place in the code.
#[derive(Clone, Copy, Debug)]
struct Group {
    pc: u32,
    lanes: u32,
}

pub struct Warp<'k> {
    pub kernel: &'k Kernel,
    pub registers: Registers,
    pub local: Local,
    /// The number of lane 0 in the block.
    pub first: u32,
    /// Lanes that the block has.
    pub existing: u32,
    /// Lanes that have not ended.
    pub live: u32,
    /// The clock of the last synchronisation of the whole warp.
    pub synchronised: u64,
    runnable: Vec<Group>,
    /// At a shuffle, vote or `bar.warp.sync`, for others to come.
    waiting: Vec<Group>,
    at_barrier: Vec<Group>,
    steps: u64,
    pub chain: Chain,
}

/// Why a warp stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Done,
    /// All live lanes are at this barrier.
    Barrier(u32),
}

/// A fault and the instruction that it happened at.
pub type Faulted = (u32, Box<Fault>);

impl<'k> Warp<'k> {
    pub fn new(kernel: &'k Kernel, template: &Registers) -> Self {
        Self {
            kernel,
            registers: template.clone(),
            local: Local::new(&kernel.local, 32),
            first: 0,
            existing: 0,
            live: 0,
            synchronised: 0,
            runnable: Vec::new(),
            waiting: Vec::new(),
            at_barrier: Vec::new(),
            steps: 0,
            chain: Chain::new(kernel),
        }
    }

    /// Makes the warp ready to run from the first instruction.
    pub fn start(&mut self, first: u32, existing: u32, clock: u64) {
        self.local.clear();
        (self.first, self.existing, self.live) = (first, existing, existing);
        self.synchronised = clock;
        self.steps = 0;
        self.chain.start();
        self.runnable.clear();
        self.runnable.push(Group {
            pc: 0,
            lanes: existing,
        });
        self.waiting.clear();
        self.at_barrier.clear();
    }

    /// Lets the lanes at the barrier go on.
    pub fn release(&mut self) {
        for group in self.at_barrier.drain(..) {
            self.runnable.push(Group {
                pc: group.pc + 1,
                lanes: group.lanes,
            });
        }
    }

    /// The group that runs next, joined with those at the same place.
    fn next_group(&mut self) -> Option<Group> {
        let pc = self.runnable.iter().map(|group| group.pc).min()?;
        let mut lanes = 0;
        self.runnable.retain(|group| {
            let here = group.pc == pc;
            lanes |= if here { group.lanes } else { 0 };
            !here
        });
        Some(Group { pc, lanes })
    }

    /// Runs until all lanes have ended or wait at one barrier.
    #[inline(always)]
    pub fn run(&mut self, block: &mut Block) -> Result<Stop, Faulted> {
        let kernel = self.kernel;
        while let Some(Group {
            mut pc,
            lanes: mut mask,
        }) = self.next_group()
        {
            let limit = self
                .runnable
                .iter()
                .map(|group| group.pc)
                .min()
                .unwrap_or(u32::MAX);
            while mask != 0 {
                if pc >= limit {
                    self.runnable.push(Group { pc, lanes: mask });
                    break;
                }
                let inst = &kernel.code[pc as usize];
                let fault = |fault| (pc, fault);
                let mut active = mask;
                if inst.guard != TRUE {
                    let guard = self
                        .registers
                        .predicate(kernel, inst.guard, mask)
                        .map_err(fault)?;
                    active = mask & if inst.negated { !guard } else { guard };
                }
                let count = &mut block.counts[pc as usize];
                count.0 += 1;
                count.1 += u64::from(active.count_ones());
                self.steps += 1;
                let whole = active == self.existing;
                self.chain.step(&block.uses[pc as usize], whole);
                if self.steps > block.options.budget {
                    let message = format!(
                        "the warp has executed {} instructions, more than the budget: an infinite loop?",
                        self.steps - 1
                    );
                    return Err((pc, Fault::new(Rule::Budget, mask.trailing_zeros(), message)));
                }
                match &inst.op {
                    Op::Branch { target } => {
                        let stay = mask & !active;
                        if stay == 0 {
                            pc = *target;
                        } else if active == 0 {
                            pc += 1;
                        } else {
                            block.stats.divergent_branches += 1;
                            self.runnable.push(Group {
                                pc: pc + 1,
                                lanes: stay,
                            });
                            self.runnable.push(Group {
                                pc: *target,
                                lanes: active,
                            });
                            mask = 0;
                        }
                        continue;
                    }
                    _ if active == 0 => {}
                    Op::BranchIndexed { index, targets } => {
                        let index = self.get::<u32>(*index, active).map_err(fault)?;
                        for lane in crate::memory::lanes(active) {
                            let Some(&target) = targets.get(index[lane] as usize) else {
                                let message = format!(
                                    "entry {} of a table of {}",
                                    index[lane],
                                    targets.len()
                                );
                                return Err((
                                    pc,
                                    Fault::new(Rule::OutOfBounds, lane as u32, message),
                                ));
                            };
                            self.runnable.push(Group {
                                pc: target,
                                lanes: 1 << lane,
                            });
                        }
                        if mask != active {
                            self.runnable.push(Group {
                                pc: pc + 1,
                                lanes: mask & !active,
                            });
                        }
                        mask = 0;
                        continue;
                    }
                    Op::Exit => {
                        self.live &= !active;
                        mask &= !active;
                    }
                    Op::Barrier { .. } => {
                        self.at_barrier.retain(|group| {
                            let here = group.pc == pc;
                            active |= if here { group.lanes } else { 0 };
                            !here
                        });
                        self.at_barrier.push(Group { pc, lanes: active });
                        mask &= !active;
                    }
                    Op::WarpSync { mask: members }
                    | Op::Shuffle { mask: members, .. }
                    | Op::Vote { mask: members, .. } => {
                        if mask != active {
                            self.runnable.push(Group {
                                pc: pc + 1,
                                lanes: mask & !active,
                            });
                        }
                        self.waiting.retain(|group| {
                            let here = group.pc == pc;
                            active |= if here { group.lanes } else { 0 };
                            !here
                        });
                        mask = active;
                        match self.meet(active, *members).map_err(fault)? {
                            Meeting::Wait => {
                                self.waiting.push(Group { pc, lanes: active });
                                mask = 0;
                            }
                            Meeting::Complete(members) => {
                                match &inst.op {
                                    op @ Op::Shuffle { .. } => {
                                        self.shuffle(active, &members, op).map_err(fault)?;
                                    }
                                    op @ Op::Vote { .. } => {
                                        self.vote(active, &members, op).map_err(fault)?;
                                    }
                                    _ => {}
                                }
                                let first = members[active.trailing_zeros() as usize];
                                if active == self.live && first & self.existing == self.live {
                                    self.synchronised = block.tick();
                                }
                                if !self.runnable.is_empty() {
                                    // `limit` no longer holds if lanes were left behind just now.
                                    self.runnable.push(Group {
                                        pc: pc + 1,
                                        lanes: mask,
                                    });
                                    mask = 0;
                                }
                            }
                        }
                    }
                    op => self
                        .execute(block, pc as usize, active, op)
                        .map_err(fault)?,
                }
                pc += 1;
            }
        }
        self.stopped()
    }

    /// One instruction that leads to the next.
    #[inline(always)]
    fn execute(&mut self, block: &mut Block, at: usize, mask: u32, op: &Op) -> Checked {
        match op {
            &Op::Ternary { op, ty, d, a, b, c } => self.ternary(mask, op, ty, (d, a, b, c)),
            &Op::Binary { op, ty, d, a, b } => self.binary(mask, op, ty, d, a, b),
            &Op::Unary { op, ty, d, a } => self.unary(mask, op, ty, d, a),
            Op::Load(access) => self.load(block, mask, at, access),
            Op::Store(access) => self.store(block, mask, at, access),
            &Op::Move { wide, d, a } => {
                self.copy(mask, wide, d, a);
                Ok(())
            }
            Op::Setp { .. } => self.setp(mask, op),
            &Op::MulWide { ty, d, a, b, c } => self.mul_wide(mask, ty, d, a, b, c),
            &Op::Select { wide, d, a, b, p } => self.select(mask, wide, d, a, b, p),
            Op::Convert { .. } => self.convert(mask, op),
            &Op::Bfi { ty, d, a, b, c, e } => self.bfi(mask, ty, (d, a, b, c, e)),
            &Op::Testp { test, ty, d, a } => self.testp(mask, test, ty, d, a),
            Op::Slct { .. } => self.slct(mask, op),
            &Op::Pack { bits: 32, d, a, b } => self.map2(mask, (d, a, b), |low: u32, high: u32| {
                u64::from(high) << 32 | u64::from(low)
            }),
            &Op::Pack { d, a, b, .. } => self.map2(mask, (d, a, b), |low: u16, high: u16| {
                u32::from(high) << 16 | u32::from(low)
            }),
            &Op::Unpack { bits: 32, d, e, a } => {
                if let Some(d) = d {
                    self.map1(mask, d, a, |x: u64| x as u32)?;
                }
                e.map_or(Ok(()), |e| self.map1(mask, e, a, |x: u64| (x >> 32) as u32))
            }
            &Op::Unpack { d, e, a, .. } => {
                // The second half first: the first may overwrite the source.
                let x = self.get::<u32>(a, mask)?;
                if let Some(d) = d {
                    self.set(d, &x.map(|x| x as u16), mask);
                }
                if let Some(e) = e {
                    self.set(e, &x.map(|x| (x >> 16) as u16), mask);
                }
                Ok(())
            }
            &Op::PredLogic { op, d, a, b } => {
                let a = self.registers.predicate(self.kernel, a, mask)?;
                let b = self.registers.predicate(self.kernel, b, mask)?;
                let value = match op {
                    Logic::And => a & b,
                    Logic::Or => a | b,
                    Logic::Xor => a ^ b,
                };
                self.registers.set_predicate(d, value, mask);
                Ok(())
            }
            &Op::PredNot { d, a } => {
                let a = self.registers.predicate(self.kernel, a, mask)?;
                self.registers.set_predicate(d, !a, mask);
                Ok(())
            }
            &Op::PredMove { d, a } => {
                let a = self.registers.predicate(self.kernel, a, mask)?;
                self.registers.set_predicate(d, a, mask);
                Ok(())
            }
            &Op::Window { space, back, d, a } => self.window(mask, space, back, d, a),
            Op::Atomic { .. } => self.atomic(block, mask, at, op),
            &Op::ActiveMask { d } => {
                self.set(d, &[mask; 32], mask);
                Ok(())
            }
            Op::Fence => Ok(()),
            Op::Trap => Err(Fault::new(
                Rule::Trap,
                mask.trailing_zeros(),
                "the kernel trapped",
            )),
            Op::Branch { .. }
            | Op::BranchIndexed { .. }
            | Op::Exit
            | Op::Barrier { .. }
            | Op::WarpSync { .. }
            | Op::Shuffle { .. }
            | Op::Vote { .. } => unreachable!("handled by `run`"),
        }
    }

    /// No lane can run: all have ended, or wait.
    fn stopped(&self) -> Result<Stop, Faulted> {
        let line = |pc: u32| self.kernel.code[pc as usize].line;
        let divergence = |group: &Group, message: String| {
            (
                group.pc,
                Fault::new(Rule::Divergence, group.lanes.trailing_zeros(), message),
            )
        };
        if let Some(group) = self.waiting.first() {
            let elsewhere = self.waiting[1..].iter().chain(&self.at_barrier).next();
            let others = match elsewhere {
                Some(other) => format!("lanes {:#x} are at line {}", other.lanes, line(other.pc)),
                None => "which have ended".to_owned(),
            };
            let message = format!(
                "lanes {:#x} wait for lanes of their member mask that do not come: {others}",
                group.lanes
            );
            return Err(divergence(group, message));
        }
        match self.at_barrier[..] {
            [] => Ok(Stop::Done),
            [group] => Ok(Stop::Barrier(group.pc)),
            [ref group, ref other, ..] => {
                let message = format!(
                    "lanes {:#x} wait at this barrier, lanes {:#x} of the same warp at the one on line {}",
                    group.lanes,
                    other.lanes,
                    line(other.pc)
                );
                Err(divergence(group, message))
            }
        }
    }
}
