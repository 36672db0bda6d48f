//! The longest chain of a block: of instructions that wait for one another's results, however many could
//! be issued at once.
//!
//! An instruction begins when its operands are there, and when the last conditional branch before it was
//! decided: GPUs do not guess. Its result is there four cycles later for each of its issue slots; [`FAR`]
//! cycles later if it comes from global memory, [`NEAR`] if from shared memory or other lanes. After a
//! barrier all begins when the last of what was before it has begun. Stores are waited for by barriers
//! alone, and what a load brings by those that use it.
//!
//! With the issue slots of the longest warp this bounds the time of a block that has a multiprocessor for
//! itself: a schedule that issues an instruction of the warp whenever one is ready is idle only while the
//! chain advances, so it takes at most as long as both together (R. L. Graham, Bounds on multiprocessing
//! timing anomalies, 1969).

use super::slots::slots;
use crate::decode::form::*;
use crate::ptx::{Space, Type};

/// Cycles to a value from global memory, from shared memory or another lane, and from arithmetic.
const FAR: u64 = 600;
const NEAR: u64 = 30;
const DEPENDENT: u64 = 4;

/// What an instruction waits for and leaves, as numbers that count through all three register files.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    sources: Vec<u16>,
    results: Vec<u16>,
    latency: u64,
    slots: u64,
    /// A branch that is not always taken.
    decides: bool,
}

/// The uses of all of a kernel's instructions.
pub fn uses(kernel: &Kernel) -> Vec<Uses> {
    let wide = kernel.narrow.len() as u16;
    let files = Files {
        wide,
        predicates: wide + kernel.wide.len() as u16,
    };
    kernel.code.iter().map(|inst| files.uses(inst)).collect()
}

struct Files {
    wide: u16,
    predicates: u16,
}

impl Files {
    fn of(&self, wide: bool, r: R) -> u16 {
        if wide { self.wide + r } else { r }
    }

    fn reg(&self, r: Reg) -> u16 {
        self.of(r.bits == 64, r.index)
    }

    fn predicate(&self, r: R) -> u16 {
        self.predicates + r
    }

    fn uses(&self, inst: &Inst) -> Uses {
        let typed = |ty: Type, r: R| self.of(ty.bytes() == 8, r);
        let base = |address: &Address| address.base.map(|r| self.reg(r));
        let (mut sources, mut results) = (vec![self.predicate(inst.guard)], Vec::new());
        match &inst.op {
            &Op::Unary { op, ty, d, a } => {
                let counts = matches!(op, Unary::Popc | Unary::Clz);
                results.push(self.of(ty.bytes() == 8 && !counts, d));
                sources.push(typed(ty, a));
            }
            &Op::Binary { op, ty, d, a, b } => {
                results.push(typed(ty, d));
                let shift = matches!(op, Binary::Shl | Binary::Shr);
                sources.extend([typed(ty, a), self.of(ty.bytes() == 8 && !shift, b)]);
            }
            &Op::Ternary { op, ty, d, a, b, c } => {
                results.push(typed(ty, d));
                let field = op == Ternary::Bfe;
                let bc = [b, c].map(|r| self.of(ty.bytes() == 8 && !field, r));
                sources.extend([typed(ty, a), bc[0], bc[1]]);
            }
            &Op::Bfi { ty, d, a, b, c, e } => {
                results.push(typed(ty, d));
                sources.extend([typed(ty, a), typed(ty, b), c, e]);
            }
            &Op::MulWide { ty, d, a, b, c } => {
                let wide = ty.bytes() == 4;
                results.push(self.of(wide, d));
                sources.extend([a, b]);
                sources.extend(c.map(|c| self.of(wide, c)));
            }
            &Op::Setp {
                ty,
                d,
                not_d,
                a,
                b,
                also,
                ..
            } => {
                results.push(self.predicate(d));
                results.extend(not_d.map(|d| self.predicate(d)));
                sources.extend([typed(ty, a), typed(ty, b)]);
                sources.extend(also.map(|(_, p, _)| self.predicate(p)));
            }
            &Op::Testp { ty, d, a, .. } => {
                results.push(self.predicate(d));
                sources.push(typed(ty, a));
            }
            &Op::Select { wide, d, a, b, p } => {
                results.push(self.of(wide, d));
                sources.extend([self.of(wide, a), self.of(wide, b), self.predicate(p)]);
            }
            &Op::Slct {
                wide, d, a, b, c, ..
            } => {
                results.push(self.of(wide, d));
                sources.extend([self.of(wide, a), self.of(wide, b), c]);
            }
            &Op::Move { wide, d, a } => {
                results.push(self.of(wide, d));
                sources.push(self.of(wide, a));
            }
            &Op::Pack { bits, d, a, b } => {
                results.push(self.of(bits == 32, d));
                sources.extend([a, b]);
            }
            &Op::Unpack { bits, d, e, a } => {
                results.extend([d, e].into_iter().flatten());
                sources.push(self.of(bits == 32, a));
            }
            &Op::PredLogic { d, a, b, .. } => {
                results.push(self.predicate(d));
                sources.extend([self.predicate(a), self.predicate(b)]);
            }
            &Op::PredNot { d, a } | &Op::PredMove { d, a } => {
                results.push(self.predicate(d));
                sources.push(self.predicate(a));
            }
            &Op::Convert { d, a, .. } => {
                results.push(self.reg(d));
                sources.push(self.reg(a));
            }
            &Op::Window { d, a, .. } => {
                results.push(self.of(true, d));
                sources.push(self.of(true, a));
            }
            Op::Load(access) => {
                results.extend(access.registers().iter().map(|&r| self.reg(r)));
                sources.extend(base(&access.address));
            }
            Op::Store(access) => {
                sources.extend(access.registers().iter().map(|&r| self.reg(r)));
                sources.extend(base(&access.address));
            }
            Op::Atomic {
                d, address, b, c, ..
            } => {
                results.extend(d.map(|d| self.reg(d)));
                sources.push(self.reg(*b));
                sources.extend(c.map(|c| self.reg(c)));
                sources.extend(base(address));
            }
            &Op::BranchIndexed { index, .. } => sources.push(index),
            &Op::WarpSync { mask } => sources.push(mask),
            &Op::Shuffle {
                d,
                valid,
                a,
                b,
                c,
                mask,
                ..
            } => {
                results.push(d);
                results.extend(valid.map(|p| self.predicate(p)));
                sources.extend([a, b, c, mask]);
            }
            &Op::Vote { op, d, p, mask, .. } => {
                results.push(if op == Vote::Ballot {
                    d
                } else {
                    self.predicate(d)
                });
                sources.extend([self.predicate(p), mask]);
            }
            &Op::ActiveMask { d } => results.push(d),
            Op::Branch { .. } | Op::Exit | Op::Barrier { .. } | Op::Fence | Op::Trap => {}
        }
        let (_, slots) = slots(&inst.op);
        let latency = match &inst.op {
            Op::Load(access) => match access.space {
                Space::Param => 0,
                Space::Shared | Space::Local => NEAR,
                _ => FAR,
            },
            Op::Atomic { .. } => FAR,
            Op::Shuffle { .. } | Op::Vote { .. } => NEAR,
            _ => DEPENDENT * slots,
        };
        let branch = matches!(inst.op, Op::Branch { .. }) && inst.guard != TRUE;
        Uses {
            sources,
            results,
            latency,
            slots,
            decides: branch || matches!(inst.op, Op::BranchIndexed { .. }),
        }
    }
}

/// A warp's progress along its chains, in cycles from the start of its block.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    ready: Vec<u64>,
    /// When the next instruction may begin, and when the last of those before has begun.
    flow: u64,
    begun: u64,
    /// Issue slots since the last barrier.
    slots: u64,
}

impl Chain {
    pub fn new(kernel: &Kernel) -> Self {
        Chain {
            ready: vec![0; kernel.narrow.len() + kernel.wide.len() + kernel.predicates.len()],
            ..Chain::default()
        }
    }

    pub fn start(&mut self) {
        self.ready.fill(0);
        (self.flow, self.begun, self.slots) = (0, 0, 0);
    }

    /// An instruction; `whole`: of all lanes, so that nothing of its results is older.
    #[inline(always)]
    pub fn step(&mut self, uses: &Uses, whole: bool) {
        let ready = |at: u64, &r: &u16| at.max(self.ready[usize::from(r)]);
        let at = uses.sources.iter().fold(self.flow, ready);
        self.slots += uses.slots;
        if uses.slots > 0 {
            self.begun = self.begun.max(at); // else it only gives a register another name
        }
        if uses.decides {
            self.flow = at + DEPENDENT;
        }
        for &r in &uses.results {
            let slot = &mut self.ready[usize::from(r)];
            let done = at + uses.latency;
            *slot = if whole { done } else { done.max(*slot) };
        }
    }

    /// What this warp has at a barrier, or at its end: when its last instruction began, and its slots
    /// since the last one.
    pub fn arrive(&mut self) -> (u64, u64) {
        (self.begun, std::mem::take(&mut self.slots))
    }

    /// After a barrier that the last warp came to at `last`.
    pub fn release(&mut self, last: u64) {
        self.flow = last + NEAR;
        self.begun = self.flow;
    }
}
