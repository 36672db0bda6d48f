//! The neurons of one block, forward through all of time; [`back`](super::back) is the way back.
//!
//! For one sample and up to 64 neurons the membrane stays in registers for all `T` steps. A step
//! reads a current (or none, if it is the same at each), writes one row of the membrane trace
//! `[T][lanes]` and one spike word; a sample's trace of 1,000 neurons and 25 steps is 100 KB and
//! stays in L2. Per vector and step: a comparison, a fused multiply-add, a subtraction, a store.
//!
//! The arithmetic is that of [`Rule`](crate::neuron), line by line; the rule of the tutorial is a
//! constant of its own copy of the loop, every other is a branch outside the lanes. In the trace
//! stands the recorded membrane; with IntegrateFireReset the one before the reset (from which the
//! recorded one follows), since the surrogate reads that.

use super::{
    layout::LayerState,
    simd::{Kernel, LANES, Lane, Simd},
};
use crate::{Dynamics, Reset, neuron::Rule};

/// The rule of the tutorial, for which the loops are specialised.
const COMMON: Rule = Rule {
    dynamics: Dynamics::FireThenIntegrate,
    reset: Reset::Subtract,
    detach_reset: true,
};

/// Forward through all of time, some blocks of one sample.
pub(super) struct Forward<'a> {
    pub layer: &'a LayerState,
    /// The first block.
    pub block: usize,
    pub num_steps: usize,
    /// The current of the `n`th block at step `t` starts at `n·block_stride + t·stride`; a `stride` of
    /// 0 is one that is the same at every step.
    pub current: &'a [Lane],
    pub block_stride: usize,
    pub stride: usize,
    /// `[block][T][lanes]`, or empty if not wanted.
    pub trace: &'a mut [Lane],
    /// `[block][T]`.
    pub words: &'a mut [u64],
}

impl Kernel for Forward<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (lanes, steps) = (self.layer.lanes, self.num_steps);
        self.words.fill(0);
        let traced = !self.trace.is_empty();
        for (n, words) in self.words.chunks_exact_mut(steps).enumerate() {
            let mut at = 0;
            while at < lanes {
                let group = Group {
                    layer: self.layer,
                    block: self.block + n,
                    at,
                    current: &self.current[n * self.block_stride + at..],
                    stride: self.stride,
                    trace: if traced {
                        &mut self.trace[n * steps * lanes..][..steps * lanes]
                    } else {
                        &mut []
                    },
                    words: &mut *words,
                };
                let wide = S::ACCUMULATORS;
                at += match lanes - at {
                    4.. if wide >= 4 => group.forward::<S, 4>(s),
                    2.. => group.forward::<S, 2>(s),
                    _ => group.forward::<S, 1>(s),
                };
            }
        }
    }
}

/// `G` vectors of one block, from vector `at` on.
struct Group<'a> {
    layer: &'a LayerState,
    block: usize,
    at: usize,
    current: &'a [Lane],
    stride: usize,
    trace: &'a mut [Lane],
    words: &'a mut [u64],
}

impl Group<'_> {
    #[inline(always)]
    fn forward<S: Simd, const G: usize>(self, s: S) -> usize {
        if self.layer.rule() == COMMON {
            self.forward_as::<S, G>(s, COMMON)
        } else {
            let rule = self.layer.rule();
            self.forward_as::<S, G>(s, rule)
        }
    }

    #[inline(always)]
    fn forward_as<S: Simd, const G: usize>(self, s: S, rule: Rule) -> usize {
        let lanes = self.layer.lanes;
        let (beta, theta) = self.constants::<S, G>(s);
        let mut u = [s.splat(0.0); G];
        let still: [S::V; G] = std::array::from_fn(|g| s.load(&self.current[g]));
        let traced = !self.trace.is_empty();
        for (t, word) in self.words.iter_mut().enumerate() {
            let current: [S::V; G] = if self.stride == 0 {
                still
            } else {
                let row = &self.current[t * self.stride..][..G];
                std::array::from_fn(|g| s.load(&row[g]))
            };
            let mut bits = 0_u64;
            let mut pre = [s.splat(0.0); G];
            for g in 0..G {
                let spk;
                (spk, u[g], pre[g]) = step(s, rule, beta[g], theta[g], u[g], current[g]);
                bits |= u64::from(s.bits(spk)) << (g * LANES);
            }
            *word |= bits << (self.at * LANES);
            if traced {
                let row = &mut self.trace[t * lanes + self.at..][..G];
                for g in 0..G {
                    s.store(pre[g], &mut row[g]);
                }
            }
        }
        G
    }

    #[inline(always)]
    fn constants<S: Simd, const G: usize>(&self, s: S) -> ([S::V; G], [S::V; G]) {
        let start = self.block * self.layer.lanes + self.at;
        let (beta, theta) = (
            &self.layer.beta[start..][..G],
            &self.layer.theta[start..][..G],
        );
        (
            std::array::from_fn(|g| s.load(&beta[g])),
            std::array::from_fn(|g| s.load(&theta[g])),
        )
    }
}

/// [`Rule::forward`] on a vector: the spike, the recorded membrane, and what the trace keeps.
#[inline(always)]
fn step<S: Simd>(
    s: S,
    rule: Rule,
    beta: S::V,
    theta: S::V,
    before: S::V,
    current: S::V,
) -> (S::M, S::V, S::V) {
    let drop = |r: S::M, v: S::V| s.sub(v, s.keep(r, v)); // (1 − r) v
    match rule.dynamics {
        Dynamics::FireThenIntegrate => {
            let spk = s.gt(before, theta);
            let mem = match rule.reset {
                Reset::Subtract => s.sub(
                    s.fma(beta, before, current),
                    s.keep(spk, s.mul(beta, theta)),
                ),
                Reset::Zero => s.fma(beta, drop(spk, before), current),
                Reset::None => s.fma(beta, before, current),
            };
            (spk, mem, mem)
        }
        Dynamics::IntegrateThenFire => {
            let r = s.gt(before, theta);
            let mem = match rule.reset {
                Reset::Subtract => s.sub(s.fma(beta, before, current), s.keep(r, theta)),
                Reset::Zero => s.fma(beta, drop(r, before), current),
                Reset::None => s.fma(beta, before, current),
            };
            (s.gt(mem, theta), mem, mem)
        }
        Dynamics::IntegrateFireReset => {
            let pre = s.fma(beta, before, current);
            let spk = s.gt(pre, theta);
            (spk, recorded(s, rule, theta, pre, spk), pre)
        }
    }
}

/// The membrane that is recorded, from the one that stands in the trace.
#[inline(always)]
pub(super) fn recorded<S: Simd>(s: S, rule: Rule, theta: S::V, pre: S::V, spk: S::M) -> S::V {
    match (rule.dynamics, rule.reset) {
        (Dynamics::IntegrateFireReset, Reset::Subtract) => s.sub(pre, s.keep(spk, theta)),
        (Dynamics::IntegrateFireReset, Reset::Zero) => s.sub(pre, s.keep(spk, pre)),
        _ => pre,
    }
}

/// A trace as rows `[T][row]`: spikes as 0 and 1, and the recorded membranes.
pub(super) struct Unroll<'a> {
    pub layer: &'a LayerState,
    pub num_steps: usize,
    pub trace: &'a [Lane],
    pub words: &'a [u64],
    pub spk: &'a mut [Lane],
    pub mem: &'a mut [Lane],
}

impl Kernel for Unroll<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (lanes, steps, row) = (self.layer.lanes, self.num_steps, self.layer.shape().row());
        for block in 0..self.layer.blocks {
            for t in 0..steps {
                for l in 0..lanes {
                    let (to, theta) = (
                        t * row + block * lanes + l,
                        s.load(&self.layer.theta[block * lanes + l]),
                    );
                    let spk = s.mask((self.words[block * steps + t] >> (l * LANES)) as u16);
                    let pre = s.load(&self.trace[(block * steps + t) * lanes + l]);
                    s.store(
                        recorded(s, self.layer.rule(), theta, pre, spk),
                        &mut self.mem[to],
                    );
                    s.store(s.keep(spk, s.splat(1.0)), &mut self.spk[to]);
                }
            }
        }
    }
}

/// Spike words `[block][T]` from spikes as 0 and 1, `[block][T][lanes]`.
pub(super) struct ReadWords<'a> {
    pub lanes: usize,
    pub spk: &'a [Lane],
    pub words: &'a mut [u64],
}

impl Kernel for ReadWords<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (word, spk) in self.words.iter_mut().zip(self.spk.chunks_exact(self.lanes)) {
            *word = 0;
            for (l, spk) in spk.iter().enumerate() {
                let fires = s.gt(s.load(spk), s.splat(0.0));
                *word |= u64::from(s.bits(fires)) << (l * LANES);
            }
        }
    }
}
