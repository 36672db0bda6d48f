//! The layer that a page of the reference runs: the neurons' equations in its precision.

use std::marker::PhantomData;

use ndarray::Array2;

use crate::{
    Float, Layer,
    float::ByPrecision,
    neuron::rows::{Around, Arriving, Back, Rows, Spikes, StepMut},
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

    /// How many numbers the state of a neuron has.
    pub(crate) fn states(&self) -> usize {
        self.neuron.run().states()
    }

    /// See [`Rows::step`].
    pub(crate) fn step(
        &self,
        spikes: Spikes<'_, F>,
        state: &mut [Array2<F>],
        current: &Array2<F>,
        out: StepMut<'_, F>,
    ) {
        rows(self).step(spikes, &self.constants, state, current, out);
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
