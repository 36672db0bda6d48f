//! A box of an engine and a mutable reference to one are engines: each call goes through to the one
//! behind it.

use ndarray::ArrayViewMut2;

use super::Engine;
use crate::{
    Adam, Float, Gradients, Input, Network, Objective, ReadOut, Record, Recording, Result,
    StepReport,
};

/// Every method of the trait goes through, also one that the trait has a body for: that body would
/// hide what the engine does instead.
macro_rules! go_through {
    ($($pointer:ty),+) => {$(
        impl<F: Float, E: Engine<F> + ?Sized> Engine<F> for $pointer {
            fn describe(&self) -> String {
                (**self).describe()
            }

            fn forward(&mut self, input: Input<'_, F>, record: &Record) -> Result<Recording<F>> {
                (**self).forward(input, record)
            }

            fn classify(
                &mut self,
                input: Input<'_, F>,
                read_out: ReadOut,
                classes: &mut [usize],
            ) -> Result<()> {
                (**self).classify(input, read_out, classes)
            }

            fn scores(
                &mut self,
                input: Input<'_, F>,
                read_out: ReadOut,
                scores: ArrayViewMut2<'_, F>,
            ) -> Result<()> {
                (**self).scores(input, read_out, scores)
            }

            fn evaluate(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<StepReport> {
                (**self).evaluate(input, targets)
            }

            fn gradients(
                &mut self,
                input: Input<'_, F>,
                targets: &[usize],
            ) -> Result<(f64, Gradients<F>)> {
                (**self).gradients(input, targets)
            }

            fn train_step(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<StepReport> {
                (**self).train_step(input, targets)
            }

            fn prefetch(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<()> {
                (**self).prefetch(input, targets)
            }

            fn measure_gradients(&mut self, on: bool) {
                (**self).measure_gradients(on)
            }

            fn to_network(&mut self) -> Result<Network<F>> {
                (**self).to_network()
            }

            fn objective(&self) -> &Objective<F> {
                (**self).objective()
            }

            fn to_optimizer(&mut self) -> Result<Adam<F>> {
                (**self).to_optimizer()
            }
        }
    )+};
}
go_through!(Box<E>, &mut E);
