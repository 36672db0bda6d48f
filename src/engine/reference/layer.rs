//! The layer that a page of the reference runs: the neurons' equations in its precision, and the terms of
//! recurrent synapses.

use std::marker::PhantomData;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, linalg::general_mat_mul};

use crate::{
    Float, Layer,
    float::ByPrecision,
    neuron::rows::{Around, Arriving, Back, Rows, Spikes, StepMut},
    tensors::{Recurrent, Tensors},
};

/// The equations of neurons in a precision.
struct RowsOf<'a>(PhantomData<&'a ()>);

impl<'a> ByPrecision for RowsOf<'a> {
    type Of<F: Float> = &'a dyn Rows<F>;
}

fn rows<F: Float>(layer: &Layer<F>) -> &dyn Rows<F> {
    let neuron = layer.neuron.run();
    F::choose::<RowsOf<'_>>(neuron, neuron)
}

impl<F: Float> Layer<F> {
    /// The state of a batch at rest, `[B, N]` for each entry: 0.
    pub(crate) fn rest(&self, batch: usize) -> Vec<Array2<F>> {
        vec![Array2::zeros((batch, self.neurons())); self.states()]
    }

    /// The state of a batch before the first step: that at rest with the layer's initial membranes.
    pub(crate) fn start(&self, batch: usize) -> Vec<Array2<F>> {
        let mut state = self.rest(batch);
        if let Some(membrane) = state.get_mut(self.neuron.run().membrane()) {
            for (n, mut column) in membrane.columns_mut().into_iter().enumerate() {
                column.fill(F::from_f64(self.neuron.start_of(n)));
            }
        }
        state
    }

    /// How many numbers the state of a neuron has: its own, then, in a recurrent layer, its last spike.
    pub(crate) fn states(&self) -> usize {
        self.neuron.run().states() + usize::from(self.recurrent.is_some())
    }

    /// The recurrent terms of (1), `s_{t−1} Vᵀ + c`, from the state before step `t`.
    pub(super) fn add_recurrent(&self, current: &mut Array2<F>, state: &[Array2<F>]) {
        let Some((recurrent, spikes)) = self.recurrent.as_ref().zip(state.last()) else {
            return;
        };
        match recurrent {
            Recurrent::AllToAll { weight, bias } => {
                *current += &spikes.dot(&weight.t());
                bias.iter().for_each(|bias| *current += bias);
            }
            Recurrent::OneToOne(each) => *current += &(spikes * each),
        }
    }

    /// The recurrent terms of (4), from `a_t` and `s_{t−1}`, and of (5), unless `t` is 0. Fixed weights, and
    /// a diagonal that is not there, have gradients of 0.
    pub(super) fn back_recurrent(
        &self,
        a: &Array2<F>,
        earlier: ArrayView2<'_, F>,
        gradient: &mut Tensors<F>,
        e_earlier: Option<ArrayViewMut2<'_, F>>,
    ) {
        let Some((recurrent, recurrence)) = self.recurrent.as_ref().zip(self.synapses.recurrence)
        else {
            return;
        };
        let one = F::one();
        match gradient.recurrent.as_mut().filter(|_| recurrence.learn) {
            None => {}
            Some(Recurrent::AllToAll { weight, bias }) => {
                general_mat_mul(one, &a.t(), &earlier, one, weight);
                if recurrence.without_diagonal() {
                    weight.diag_mut().fill(F::zero());
                }
                bias.iter_mut()
                    .for_each(|bias| *bias += &a.sum_axis(Axis(0)));
            }
            Some(Recurrent::OneToOne(each)) => *each += &(a * &earlier).sum_axis(Axis(0)),
        }
        match (recurrent, e_earlier) {
            (_, None) => {}
            (Recurrent::AllToAll { weight, .. }, Some(mut e)) => {
                general_mat_mul(one, a, weight, one, &mut e);
            }
            (Recurrent::OneToOne(each), Some(mut e)) => e += &(a * each),
        }
    }

    /// See [`Rows::step`]. The state ends with the step's spikes, if the layer is recurrent.
    pub(crate) fn step(
        &self,
        spikes: Spikes<'_, F>,
        state: &mut [Array2<F>],
        current: &Array2<F>,
        mut out: StepMut<'_, F>,
    ) {
        let (spk, mem) = (out.spk.view_mut(), out.mem);
        let kept = out.kept;
        rows(self).step(
            spikes,
            &self.constants,
            state,
            current,
            StepMut { spk, mem, kept },
        );
        if let (Some(_), Some(last)) = (&self.recurrent, state.last_mut()) {
            last.assign(&out.spk);
        }
    }

    /// See [`Rows::adjoint`].
    pub(crate) fn adjoint(
        &self,
        spikes: Spikes<'_, F>,
        around: Around<'_, F>,
        arriving: Arriving<'_, F>,
        h: &mut [Array2<F>],
    ) -> Back<F> {
        rows(self).adjoint(spikes, &self.constants, around, arriving, h)
    }
}
