//! The backward pass of one block of neurons over all time steps.
//!
//! Reads the trace of [`forward`](super::forward) once, computes `e` on the fly if the layer above
//! is narrow (10 classes: 10 fused multiply-adds for each vector and step, three steps sharing each
//! load of the weights), keeps `h` in registers, and writes `Σ_t a_t` or `a_t`. The equations are
//! the neuron's own ([`Neuron::adjoint`]), on vectors; with the arctan, one division for each
//! vector and step.

use std::ops::Range;

use super::{
    forward::{block_of, constants, load, state, zeros},
    layout::LayerState,
    planes::StridedView,
    simd::{F32x16, Kernel, Simd, flatten},
    vectors::Vectors,
};
use crate::neuron::{List, Neuron, Num, UNCOMMON};

/// The gradient of a layer's spikes from the layer above.
#[derive(Clone, Copy)]
pub(crate) enum FromAbove<'a> {
    /// Nothing.
    Nothing,
    /// `e`.
    Rows(StridedView<'a>),
    /// A narrow layer's `a`, `[T][vectors above]`, and the layer: `e_t = Σ_c a_t[c] W[c]`.
    Narrow {
        a: &'a [F32x16],
        above: &'a LayerState,
    },
}

/// The backward pass of all blocks of one sample.
pub(crate) struct Backward<'a> {
    pub layer: &'a LayerState,
    pub num_steps: usize,
    /// The steps to run: all of them, or one of a recurrent layer.
    pub steps: Range<usize>,
    /// As written by [`Forward`].
    pub trace: &'a [F32x16],
    /// As [`Forward`] began with it.
    pub start: &'a [F32x16],
    /// `∂L/∂` recorded membrane by the loss, if there is any.
    pub g: Option<StridedView<'a>>,
    pub e: FromAbove<'a>,
    /// What a spike of each neuron costs, a row that is added to every `e`; empty if nothing.
    pub penalty: &'a [F32x16],
    /// Whether `out` gets `Σ_t a_t`, `[block][vectors]`, instead of `a_t`, `[block][T][vectors]`.
    pub summed: bool,
    pub out: &'a mut [F32x16],
    /// What a recurrent layer's step passes back to the state before it, `[block][number][vectors]`: the
    /// gradient with respect to the state after these steps, overwritten with that before them. Empty for
    /// all steps at once.
    pub passed: &'a mut [F32x16],
    /// `∂L/∂` the constants of this sample, a row each; empty if none is learned. The sums of a recurrent
    /// layer's steps are added.
    pub learnt: &'a mut [Vec<F32x16>],
}

/// [`Backward`] for neurons of a type and the settings of a number; `LEARN`: whether the gradients
/// of the constants are needed.
pub(super) struct BackwardOf<'a, N, const SETTINGS: usize, const LEARN: bool>(
    pub Backward<'a>,
    pub N,
);

impl<N: Neuron, const SETTINGS: usize, const LEARN: bool> Kernel
    for BackwardOf<'_, N, SETTINGS, LEARN>
{
    type Out = ();
    /// With enough registers, a common neuron processes the arriving adjoints of several steps at
    /// once.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let BackwardOf(mut backward, neuron) = self;
        let vectors = backward.layer.vectors;
        for block in 0..backward.layer.blocks {
            let mut at = 0;
            while at < vectors {
                let group = Group {
                    backward: &mut backward,
                    neuron,
                    place: Place { block, at },
                };
                at += match (S::ACCUMULATORS, vectors - at) {
                    (8.., 4..) if fits::<N, SETTINGS, LEARN>() => {
                        group.run::<S, SETTINGS, LEARN, 4, 3>(s)
                    }
                    (4.., 2..) => group.run::<S, SETTINGS, LEARN, 2, 2>(s),
                    _ => group.run::<S, SETTINGS, LEARN, 1, 1>(s),
                };
            }
        }
    }
}

/// Whether what a step needs of four vectors has room in 32 registers: not the several numbers of a state
/// with settings that are not known, nor the gradients of constants.
const fn fits<N: Neuron, const SETTINGS: usize, const LEARN: bool>() -> bool {
    !LEARN && (SETTINGS != UNCOMMON || <N::State<()> as List<()>>::LEN == 1)
}

/// The neurons from `place` on.
struct Group<'a, 'b, N> {
    backward: &'a mut Backward<'b>,
    neuron: N,
    place: Place,
}

impl<N: Neuron> Group<'_, '_, N> {
    /// `G` of its vectors, which it returns; common settings take the arriving adjoints of `M` steps at
    /// once. The conditions are constants, so that only the kernels that an instruction set runs are
    /// compiled for it.
    #[inline(always)]
    fn run<S: Simd, const SETTINGS: usize, const LEARN: bool, const G: usize, const M: usize>(
        self,
        s: S,
    ) -> usize {
        if const { G > 1 && S::ACCUMULATORS < 2 * G || G > 2 && !fits::<N, SETTINGS, LEARN>() } {
            return G; // not reached: the caller looks at registers and settings
        }
        if const { SETTINGS == UNCOMMON || LEARN || !cfg!(optimized) } {
            s.call(GroupOf::<_, SETTINGS, LEARN, G, 1>(self))
        } else if const { S::ACCUMULATORS < 4 && SETTINGS > 1 } {
            s.call(GroupOf::<_, UNCOMMON, LEARN, G, 1>(self))
        } else {
            s.call(GroupOf::<_, SETTINGS, LEARN, G, M>(self))
        }
    }
}

/// `G` vectors of neurons, `M` steps' arriving adjoints at a time.
struct GroupOf<'a, 'b, N, const SETTINGS: usize, const LEARN: bool, const G: usize, const M: usize>(
    Group<'a, 'b, N>,
);

impl<N: Neuron, const SETTINGS: usize, const LEARN: bool, const G: usize, const M: usize> Kernel
    for GroupOf<'_, '_, N, SETTINGS, LEARN, G, M>
{
    /// `G`.
    type Out = usize;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let Group {
            backward,
            neuron,
            place,
        } = self.0;
        let neuron = neuron.known::<SETTINGS>();
        backward.group::<N, S, LEARN, G, M>(neuron, s, place);
        G
    }
}

/// The first vector of a group: its block, and its place in it.
#[derive(Clone, Copy)]
struct Place {
    block: usize,
    at: usize,
}

/// The state of a group of `G` vectors between backward steps.
struct Carried<N: Neuron, S: Simd, const G: usize> {
    /// The gradient of the previous state.
    h: [N::State<Num<Vectors<S>>>; G],
    /// The values kept of the next step to process.
    kept: [N::Kept<Num<Vectors<S>>>; G],
    /// `Σ_t a_t`.
    sum: [S::V; G],
    /// `∂L/∂` the constants.
    learnt: [N::Constants<Num<Vectors<S>>>; G],
}

impl Backward<'_> {
    /// `e` of `G` vectors at the `N` steps `t, t − 1, …`: several at once, so that a narrow layer's
    /// weights are loaded once for all of them.
    #[inline(always)]
    fn arriving<S: Simd, const G: usize, const N: usize>(
        &self,
        s: S,
        t: usize,
        block: usize,
        at: usize,
    ) -> [[S::V; G]; N] {
        let mut e = [[s.splat(0.0); G]; N];
        if !self.penalty.is_empty() {
            let penalty: [S::V; G] = load(s, &self.penalty[block * self.layer.vectors + at..]);
            e = [penalty; N];
        }
        match self.e {
            FromAbove::Nothing => {}
            FromAbove::Rows(rows) => {
                for (n, e) in e.iter_mut().enumerate() {
                    let rows = &rows.at(block, t - n, at)[..G];
                    for g in 0..G {
                        e[g] = s.add(s.load(&rows[g]), e[g]);
                    }
                }
            }
            FromAbove::Narrow { a, above } => {
                let (vectors, stride) = (self.layer.vectors, above.shape().row());
                let mut arriving: [&[f32]; N] = [&[]; N];
                for (n, row) in arriving.iter_mut().enumerate() {
                    *row = &flatten(&a[(t - n) * stride..][..stride])[..above.neurons];
                }
                let weights = &above.weight_t[block * above.neurons * vectors..];
                for (class, weights) in weights
                    .chunks_exact(vectors)
                    .take(above.neurons)
                    .enumerate()
                {
                    let weights: [S::V; G] = load(s, &weights[at..]);
                    for n in 0..N {
                        let a = s.splat(arriving[n][class]);
                        for g in 0..G {
                            e[n][g] = s.fma(a, weights[g], e[n][g]);
                        }
                    }
                }
            }
        }
        e
    }

    /// `G` vectors of one block; `M` steps' `e` at a time, 1 to 3.
    #[inline(always)]
    fn group<N: Neuron, S: Simd, const LEARN: bool, const G: usize, const M: usize>(
        &mut self,
        neuron: N,
        s: S,
        place: Place,
    ) {
        let vectors = self.layer.vectors;
        let vector = place.block * vectors + place.at;
        let (by_step, state_len) = (!self.passed.is_empty(), N::State::<()>::LEN * vectors);
        let after = block_of(self.passed, place.block, state_len);
        let mut carried = Carried::<N, S, G> {
            h: state::<N, S, G>(s, after, vectors, place.at),
            kept: self.kept::<N, S, G>(s, place, self.steps.end - 1),
            sum: [s.splat(0.0); G],
            learnt: zeros(s),
        };
        if LEARN && by_step {
            for (g, sums) in carried.learnt.iter_mut().enumerate() {
                let sum = |i: usize| Num(Vectors(s), s.load(&self.learnt[i][vector + g]));
                *sums = N::Constants::from_fn(sum);
            }
        }
        let constants = constants::<N, S, G>(self.layer, vector, s);
        // A macro, since a closure is not always inlined into vector code.
        macro_rules! step {
            ($t:expr, $e:expr) => {
                self.step::<N, S, LEARN, G>(neuron, s, place, &constants, &mut carried, $t, $e)
            };
        }
        // The gradient of a first spike that reads the state at the start reaches only the constants.
        let first_is_lost = neuron.spikes_first() && !LEARN;
        let mut left = self.steps.end;
        if M > 1 {
            // Step 0 reads another state before it, and is apart.
            let first = self.steps.start.max(1);
            while left >= first + M {
                // Unrolled by hand, since the compiler keeps a loop, and with it `e`, in memory.
                let e = self.arriving::<S, G, M>(s, left - 1, place.block, place.at);
                step!(left - 1, e[0]);
                step!(left - 2, e[1 % M]);
                if M > 2 {
                    step!(left - 3, e[2 % M]);
                }
                left -= M;
            }
            while left > first {
                left -= 1;
                let [e] = self.arriving::<S, G, 1>(s, left, place.block, place.at);
                step!(left, e);
            }
        }
        // All steps of one piece of code, whose many settings make it large; or step 0.
        while left > self.steps.start {
            left -= 1;
            let [e] = match left == 0 && first_is_lost {
                true => [[s.splat(0.0); G]],
                false => self.arriving::<S, G, 1>(s, left, place.block, place.at),
            };
            step!(left, e);
        }
        if by_step {
            let passed = &mut self.passed[place.block * state_len..][..state_len];
            for (i, row) in passed.chunks_exact_mut(vectors).enumerate() {
                for g in 0..G {
                    s.store(carried.h[g].as_ref()[i].1, &mut row[place.at + g]);
                }
            }
        }
        if self.summed {
            let out = &mut self.out[vector..][..G];
            for (out, sum) in out.iter_mut().zip(carried.sum) {
                s.store(sum, out);
            }
        }
        if LEARN {
            for (i, row) in self.learnt.iter_mut().enumerate() {
                for g in 0..G {
                    s.store(carried.learnt[g].as_ref()[i].1, &mut row[vector + g]);
                }
            }
        }
    }

    /// What was kept of step `t`.
    #[inline(always)]
    fn kept<N: Neuron, S: Simd, const G: usize>(
        &self,
        s: S,
        place: Place,
        t: usize,
    ) -> [N::Kept<Num<Vectors<S>>>; G] {
        let (planes, vectors) = (N::Kept::<()>::LEN, self.layer.vectors);
        let rows = &self.trace[(place.block * self.num_steps + t) * planes * vectors..];
        let rows = &rows[..planes * vectors];
        let mut kept: [N::Kept<_>; G] = zeros(s);
        for (g, kept) in kept.iter_mut().enumerate() {
            *kept =
                N::Kept::from_fn(|i| Num(Vectors(s), s.load(&rows[i * vectors + place.at + g])));
        }
        kept
    }

    /// The backward step `t`, with the gradient `e` of its spikes. Step 0 has the state at the start before it.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn step<N: Neuron, S: Simd, const LEARN: bool, const G: usize>(
        &mut self,
        neuron: N,
        s: S,
        place: Place,
        constants: &[N::Constants<Num<Vectors<S>>>; G],
        carried: &mut Carried<N, S, G>,
        t: usize,
        e: [S::V; G],
    ) {
        let (Place { block, at }, vectors) = (place, self.layer.vectors);
        if let Some(g_t) = self.g {
            let g_t = &g_t.at(block, t, at)[..G];
            for (g, own) in g_t.iter().enumerate() {
                let (own, h) = (Num(Vectors(s), s.load(own)), carried.h[g]);
                carried.h[g] = N::State::from_fn(|i| match i == N::MEMBRANE {
                    true => own + h.as_ref()[i],
                    false => h.as_ref()[i],
                });
            }
        }
        let (mut before, mut earlier): ([N::State<_>; G], _) = (zeros(s), carried.kept);
        if t == 0 {
            let start = block_of(self.start, block, N::State::<()>::LEN * vectors);
            before = state::<N, S, G>(s, start, vectors, at);
        } else {
            earlier = self.kept::<N, S, G>(s, place, t - 1);
            for (before, (&constants, kept)) in before.iter_mut().zip(constants.iter().zip(earlier))
            {
                *before = neuron.state(constants, kept);
            }
        }
        let out = match self.summed {
            true => &mut [],
            false => &mut self.out[(block * self.num_steps + t) * vectors + at..][..G],
        };
        for g in 0..G {
            let (kept, h) = (carried.kept[g], carried.h[g]);
            let adjoint = neuron.adjoint(constants[g], before[g], kept, h, Num(Vectors(s), e[g]));
            carried.h[g] = adjoint.before;
            match out.get_mut(g) {
                Some(out) => s.store(adjoint.current.1, out),
                None => carried.sum[g] = s.add(carried.sum[g], adjoint.current.1),
            }
            if LEARN {
                let (sum, share) = (carried.learnt[g], adjoint.constants);
                carried.learnt[g] = N::Constants::from_fn(|i| sum.as_ref()[i] + share.as_ref()[i]);
            }
        }
        carried.kept = earlier;
    }
}

/// `Σ |a|`: bounds every gradient computed from `a`, and is NaN or infinite if any `a` is.
pub(super) struct Size<'a>(pub &'a [F32x16]);

impl Kernel for Size<'_> {
    type Out = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        s.sum(
            self.0
                .iter()
                .fold(s.splat(0.0), |sum, a| s.add(sum, s.abs(s.load(a)))),
        )
    }
}
