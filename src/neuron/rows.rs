//! The neurons of a layer for a whole batch, one step at a time: equations (2) and (3) of the
//! [reference engine](mod@crate::engine::reference), which has the loop over time. Arrays are `[B,
//! N]`; nothing is optimized.

use ndarray::{Array1, Array2, ArrayView2, ArrayViewMut2};

use super::{Adjoint, Arithmetic, List, Neuron, Num, Relaxed, Scalar};
use crate::Float;

/// The kind of spike.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spikes<'a, F> {
    /// 0 or 1.
    Hard,
    /// Those of a relaxed network, for [`gradcheck`](crate::gradcheck).
    Soft(Relaxed<'a, F>),
}

/// Destination for the recording of one step of a layer.
pub(crate) struct StepMut<'a, F> {
    pub spk: ArrayViewMut2<'a, F>,
    pub mem: ArrayViewMut2<'a, F>,
    /// The other kept values; empty if only the membrane is kept.
    pub kept: Vec<ArrayViewMut2<'a, F>>,
}

/// What is known of the state before a step.
pub(crate) enum Before<'a, F> {
    /// The values kept of the previous step.
    Kept(Vec<ArrayView2<'a, F>>),
    /// The state itself: there is no previous step.
    State(&'a [Array2<F>]),
}

/// The values kept of two consecutive steps.
pub(crate) struct Around<'a, F> {
    /// Of the previous step.
    pub before: Before<'a, F>,
    /// Of this step.
    pub kept: Vec<ArrayView2<'a, F>>,
}

/// The gradients arriving at one step of a layer from the loss and the layer above.
pub(crate) struct Arriving<'a, F> {
    /// With respect to the recorded membrane, if any.
    pub g: Option<ArrayView2<'a, F>>,
    /// With respect to the spikes.
    pub e: ArrayView2<'a, F>,
}

/// The results of the adjoint of one step.
pub(crate) struct Back<F: Float> {
    /// `∂L/∂I_t`.
    pub current: Array2<F>,
    /// `∂L/∂` each constant, of each neuron, `[N]`, summed over the batch.
    pub constants: Vec<Array1<F>>,
}

/// (2) and (3) for neurons of any type, in a precision.
pub(crate) trait Rows<F: Float> {
    /// (2): computes the recorded values from the state before a step and the input current. The
    /// state is overwritten with the one after the step.
    fn step(
        &self,
        spikes: Spikes<'_, F>,
        constants: &[Array1<F>],
        state: &mut [Array2<F>],
        current: &Array2<F>,
        out: StepMut<'_, F>,
    );

    /// (3): computes the adjoint from the arriving gradients and from `h`, the gradient passed back
    /// by the next step. `h` is overwritten with the gradient for the previous step.
    fn adjoint(
        &self,
        spikes: Spikes<'_, F>,
        constants: &[Array1<F>],
        around: Around<'_, F>,
        arriving: Arriving<'_, F>,
        h: &mut [Array2<F>],
    ) -> Back<F>;
}

impl<F: Float, N: Neuron> Rows<F> for N {
    fn step(
        &self,
        spikes: Spikes<'_, F>,
        constants: &[Array1<F>],
        state: &mut [Array2<F>],
        current: &Array2<F>,
        out: StepMut<'_, F>,
    ) {
        match spikes {
            Spikes::Hard => step(*self, Scalar::new(), constants, state, current, out),
            Spikes::Soft(relaxed) => step(*self, relaxed, constants, state, current, out),
        }
    }

    fn adjoint(
        &self,
        spikes: Spikes<'_, F>,
        constants: &[Array1<F>],
        around: Around<'_, F>,
        arriving: Arriving<'_, F>,
        h: &mut [Array2<F>],
    ) -> Back<F> {
        match spikes {
            Spikes::Hard => adjoint(*self, Scalar::new(), constants, around, arriving, h),
            Spikes::Soft(relaxed) => adjoint(*self, relaxed, constants, around, arriving, h),
        }
    }
}

fn step<F: Float, N: Neuron, A: Arithmetic<V = F>>(
    neuron: N,
    a: A,
    constants: &[Array1<F>],
    state: &mut [Array2<F>],
    current: &Array2<F>,
    mut out: StepMut<'_, F>,
) {
    for ((b, n), &current) in current.indexed_iter() {
        let constants = constants_of::<F, N, A>(a, constants, n);
        let before = N::State::from_fn(|i| Num(a, state[i][[b, n]]));
        let (spike, kept) = neuron.step(constants, before, Num(a, current));
        let after = neuron.state(constants, kept);
        out.spk[[b, n]] = a.gate(spike.1, F::one());
        out.mem[[b, n]] = after.as_ref()[N::MEMBRANE].1;
        for (to, kept) in out.kept.iter_mut().zip(kept.as_ref()) {
            to[[b, n]] = kept.1;
        }
        for (to, after) in state.iter_mut().zip(after.as_ref()) {
            to[[b, n]] = after.1;
        }
    }
}

fn adjoint<F: Float, N: Neuron, A: Arithmetic<V = F>>(
    neuron: N,
    a: A,
    constants: &[Array1<F>],
    around: Around<'_, F>,
    arriving: Arriving<'_, F>,
    h: &mut [Array2<F>],
) -> Back<F> {
    let mut back = Back {
        current: Array2::zeros(arriving.e.dim()),
        constants: vec![Array1::zeros(arriving.e.ncols()); constants.len()],
    };
    if let Some(g) = arriving.g {
        h[N::MEMBRANE] += &g;
    }
    for ((b, n), &e) in arriving.e.indexed_iter() {
        let constants = constants_of::<F, N, A>(a, constants, n);
        let of = |rows: &[ArrayView2<'_, F>]| N::Kept::from_fn(|i| Num(a, rows[i][[b, n]]));
        let before = match &around.before {
            Before::Kept(rows) => neuron.state(constants, of(rows)),
            Before::State(start) => N::State::from_fn(|i| Num(a, start[i][[b, n]])),
        };
        let after = N::State::from_fn(|i| Num(a, h[i][[b, n]]));
        let adjoint: Adjoint<N, A> =
            neuron.adjoint(constants, before, of(&around.kept), after, Num(a, e));
        back.current[[b, n]] = adjoint.current.1;
        for (to, before) in h.iter_mut().zip(adjoint.before.as_ref()) {
            to[[b, n]] = before.1;
        }
        for (to, share) in back.constants.iter_mut().zip(adjoint.constants.as_ref()) {
            to[n] += share.1;
        }
    }
    back
}

/// The constants of neuron `n`, from lists of one or of `N`.
fn constants_of<F: Float, N: Neuron, A: Arithmetic<V = F>>(
    a: A,
    constants: &[Array1<F>],
    n: usize,
) -> N::Constants<Num<A>> {
    N::Constants::from_fn(|i| Num(a, constants[i][if constants[i].len() == 1 { 0 } else { n }]))
}
