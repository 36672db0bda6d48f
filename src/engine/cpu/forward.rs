//! The forward pass of one block of neurons over all time steps; [`backward`](super::backward) is
//! its counterpart.
//!
//! For one sample and up to 64 neurons the state stays in registers for all `T` steps. A step reads
//! a current (or none, if it is the same at each), writes the kept values to the trace
//! `[T][kept][vectors]`, and one spike word. A sample's trace of 1,000 leaky neurons and 25 steps
//! is 100 KB and stays in L2. Per vector and step of the tutorial's neuron: a comparison, a fused
//! multiply-add, a subtraction, a store.
//!
//! The equations are the neuron's own ([`Neuron::step`]), on vectors.

use std::ops::Range;

use super::{
    layout::LayerState,
    simd::{F32x16, Kernel, LANES, Simd},
    vectors::Vectors,
};
use crate::neuron::{List, Neuron, Num, UNCOMMON};

/// The forward pass of some blocks of one sample.
pub(crate) struct Forward<'a> {
    pub layer: &'a LayerState,
    /// The first block.
    pub block: usize,
    pub num_steps: usize,
    /// The steps to run: all of them, or one of a recurrent layer.
    pub steps: Range<usize>,
    /// The current of the `n`th block at the `t`th of these steps starts at `n·block_stride + t·stride`; a
    /// `stride` of 0 is one that is the same at every step.
    pub current: &'a [F32x16],
    pub block_stride: usize,
    pub stride: usize,
    /// `[block][T][kept][vectors]`, or empty if not needed.
    pub trace: &'a mut [F32x16],
    /// `[block][T]`.
    pub words: &'a mut [u64],
    /// The layer's state before these steps, `[block][number][vectors]`; empty at rest.
    pub start: &'a [F32x16],
    /// The same after them, or empty if not needed.
    pub end: &'a mut [F32x16],
}

/// [`Forward`] for a neuron type with numbered settings.
pub(super) struct ForwardOf<'a, N, const SETTINGS: usize>(pub Forward<'a>, pub N);

impl<N: Neuron, const SETTINGS: usize> Kernel for ForwardOf<'_, N, SETTINGS> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ForwardOf(forward, neuron) = self;
        let (vectors, steps) = (forward.layer.vectors, forward.num_steps);
        let step_trace = N::Kept::<()>::LEN * vectors;
        let block_trace = steps * step_trace;
        let state = N::State::<()>::LEN * vectors;
        let traced = !forward.trace.is_empty();
        for (n, words) in forward.words.chunks_exact_mut(steps).enumerate() {
            let words = &mut words[forward.steps.clone()];
            words.fill(0);
            let live = forward.layer.live_bits(forward.block + n);
            let mut at = 0;
            while at < vectors {
                let group = Group {
                    neuron,
                    layer: forward.layer,
                    vector: (forward.block + n) * vectors + at,
                    at,
                    current: &forward.current[n * forward.block_stride + at..],
                    stride: forward.stride,
                    live,
                    trace: if traced {
                        &mut forward.trace[n * block_trace..][..block_trace]
                            [forward.steps.start * step_trace..]
                    } else {
                        &mut []
                    },
                    words: &mut *words,
                    start: block_of(forward.start, forward.block + n, state),
                    end: block_of_mut(forward.end, forward.block + n, state),
                };
                at += match (S::ACCUMULATORS, vectors - at) {
                    (4.., 4..) if fits::<N, SETTINGS>() => group.run::<S, SETTINGS, 4>(s),
                    (_, 2..) => group.run::<S, SETTINGS, 2>(s),
                    _ => group.run::<S, SETTINGS, 1>(s),
                };
            }
        }
    }
}

/// Whether what a step needs of four vectors has room in the registers: not the several numbers of a state
/// with settings that are not known.
const fn fits<N: Neuron, const SETTINGS: usize>() -> bool {
    SETTINGS != UNCOMMON || <N::State<()> as List<()>>::LEN == 1
}

/// The neurons of one block from vector `at` on.
struct Group<'a, N> {
    neuron: N,
    layer: &'a LayerState,
    /// The first vector among those of the layer.
    vector: usize,
    at: usize,
    /// The bits of the block's neurons; the others are padding.
    live: u64,
    current: &'a [F32x16],
    stride: usize,
    trace: &'a mut [F32x16],
    words: &'a mut [u64],
    /// Of the block.
    start: &'a [F32x16],
    end: &'a mut [F32x16],
}

impl<N: Neuron> Group<'_, N> {
    /// `G` of its vectors, which it returns. The conditions are constants, so that only the kernels that an
    /// instruction set runs are compiled for it.
    #[inline(always)]
    fn run<S: Simd, const SETTINGS: usize, const G: usize>(self, s: S) -> usize {
        if const { G > 2 && (S::ACCUMULATORS < 4 || !fits::<N, SETTINGS>()) } {
            return G; // not reached: the caller looks at registers and settings
        }
        if const { S::ACCUMULATORS < 4 && SETTINGS > 1 } {
            s.call(GroupOf::<_, UNCOMMON, G>(self))
        } else {
            s.call(GroupOf::<_, SETTINGS, G>(self))
        }
    }
}

/// `G` vectors of neurons.
struct GroupOf<'a, N, const SETTINGS: usize, const G: usize>(Group<'a, N>);

impl<N: Neuron, const SETTINGS: usize, const G: usize> Kernel for GroupOf<'_, N, SETTINGS, G> {
    /// `G`.
    type Out = usize;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        self.0.forward::<S, SETTINGS, G>(s);
        G
    }
}

impl<N: Neuron> Group<'_, N> {
    #[inline(always)]
    fn forward<S: Simd, const SETTINGS: usize, const G: usize>(self, s: S) {
        let (a, vectors) = (Vectors(s), self.layer.vectors);
        let neuron = self.neuron.known::<SETTINGS>();
        let constants: [_; G] = constants::<N, S, G>(self.layer, self.vector, s);
        let mut state = state::<N, S, G>(s, self.start, vectors, self.at);
        let still: [S::V; G] = load(s, self.current);
        let traced = !self.trace.is_empty();
        for (t, word) in self.words.iter_mut().enumerate() {
            let current: [S::V; G] = if self.stride == 0 {
                still
            } else {
                load(s, &self.current[t * self.stride..])
            };
            let mut bits = 0_u64;
            let mut kept: [N::Kept<_>; G] = zeros(s);
            for g in 0..G {
                let spike;
                (spike, kept[g]) = neuron.step(constants[g], state[g], Num(a, current[g]));
                state[g] = neuron.state(constants[g], kept[g]);
                bits |= u64::from(s.bits(spike.1)) << (g * LANES);
            }
            *word |= (bits << (self.at * LANES)) & self.live;
            if traced {
                for i in 0..N::Kept::<()>::LEN {
                    let row = &mut self.trace[(t * N::Kept::<()>::LEN + i) * vectors + self.at..];
                    let row = &mut row[..G];
                    for g in 0..G {
                        s.store(kept[g].as_ref()[i].1, &mut row[g]);
                    }
                }
            }
        }
        for (i, row) in self.end.chunks_exact_mut(vectors).enumerate() {
            for g in 0..G {
                s.store(state[g].as_ref()[i].1, &mut row[self.at + g]);
            }
        }
    }
}

/// One block of a state, whose blocks have `len` vectors; empty if the state is.
pub(super) fn block_of(state: &[F32x16], block: usize, len: usize) -> &[F32x16] {
    state
        .get(block * len..(block + 1) * len)
        .unwrap_or_default()
}

fn block_of_mut(state: &mut [F32x16], block: usize, len: usize) -> &mut [F32x16] {
    state
        .get_mut(block * len..(block + 1) * len)
        .unwrap_or_default()
}

/// The state of `G` vectors of neurons from vector `at` of a block on; at rest if the block is empty.
#[inline(always)]
pub(super) fn state<N: Neuron, S: Simd, const G: usize>(
    s: S,
    block: &[F32x16],
    vectors: usize,
    at: usize,
) -> [N::State<Num<Vectors<S>>>; G] {
    let mut state: [N::State<_>; G] = zeros(s);
    if !block.is_empty() {
        for (g, state) in state.iter_mut().enumerate() {
            *state = N::State::from_fn(|i| Num(Vectors(s), s.load(&block[i * vectors + at + g])));
        }
    }
    state
}

/// The constants of the `G` vectors of neurons from `vector` on.
#[inline(always)]
pub(super) fn constants<N: Neuron, S: Simd, const G: usize>(
    layer: &LayerState,
    vector: usize,
    s: S,
) -> [N::Constants<Num<Vectors<S>>>; G] {
    let rows = &layer.constants;
    let mut constants: [N::Constants<_>; G] = zeros(s);
    for (g, constants) in constants.iter_mut().enumerate() {
        *constants = N::Constants::from_fn(|i| Num(Vectors(s), s.load(&rows[i][vector + g])));
    }
    constants
}

/// The first `G` vectors of `from`. (A loop, since `std::array::from_fn` is not always inlined.)
#[inline(always)]
pub(super) fn load<S: Simd, const G: usize>(s: S, from: &[F32x16]) -> [S::V; G] {
    let from = &from[..G];
    let mut vectors = [s.splat(0.0); G];
    for (v, from) in vectors.iter_mut().zip(from) {
        *v = s.load(from);
    }
    vectors
}

/// Zeros for `G` vectors of neurons: a state at rest, or a zero gradient.
#[inline(always)]
pub(super) fn zeros<S: Simd, L: List<Num<Vectors<S>>>, const G: usize>(s: S) -> [L; G] {
    [L::from_fn(|_| Num(Vectors(s), s.splat(0.0))); G]
}

/// A trace as rows `[T][row]`: spikes as 0 and 1, and the recorded membranes.
pub(crate) struct Unroll<'a> {
    pub layer: &'a LayerState,
    pub num_steps: usize,
    pub trace: &'a [F32x16],
    pub words: &'a [u64],
    pub spk: &'a mut [F32x16],
    pub mem: &'a mut [F32x16],
}

/// [`Unroll`] for neurons of a type.
pub(crate) struct UnrollOf<'a, N>(pub Unroll<'a>, pub N);

impl<N: Neuron> Kernel for UnrollOf<'_, N> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let UnrollOf(unroll, neuron) = self;
        unroll.rows(neuron, s);
    }
}

impl Unroll<'_> {
    #[inline(always)]
    fn rows<N: Neuron, S: Simd>(self, neuron: N, s: S) {
        let (vectors, steps, row) = (self.layer.vectors, self.num_steps, self.layer.shape().row());
        for vector in 0..row {
            let (block, at) = (vector / vectors, vector % vectors);
            let [constants] = constants::<N, S, 1>(self.layer, vector, s);
            for t in 0..steps {
                let spike = s.mask((self.words[block * steps + t] >> (at * LANES)) as u16);
                let trace = &self.trace[(block * steps + t) * N::Kept::<()>::LEN * vectors + at..];
                let kept = N::Kept::from_fn(|i| Num(Vectors(s), s.load(&trace[i * vectors])));
                let state = neuron.state(constants, kept);
                let to = t * row + vector;
                s.store(state.as_ref()[N::MEMBRANE].1, &mut self.mem[to]);
                s.store(s.keep(spike, s.splat(1.0)), &mut self.spk[to]);
            }
        }
    }
}

/// Spike words `[block][T]` from spikes as 0 and 1, `[block][T][vectors]`.
pub(super) struct ReadWords<'a> {
    pub vectors: usize,
    pub spk: &'a [F32x16],
    pub words: &'a mut [u64],
}

impl Kernel for ReadWords<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (word, spk) in self
            .words
            .iter_mut()
            .zip(self.spk.chunks_exact(self.vectors))
        {
            *word = 0;
            for (l, spk) in spk.iter().enumerate() {
                let fires = s.gt(s.load(spk), s.splat(0.0));
                *word |= u64::from(s.bits(fires)) << (l * LANES);
            }
        }
    }
}
