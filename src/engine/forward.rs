//! Engines that forward each call to another engine: boxes, mutable references, and the public
//! engines, each of which wraps a [`Driver`](super::driver::Driver).

use ndarray::ArrayViewMut2;

#[cfg(feature = "cuda")]
use super::CudaEngine;
use super::{CpuEngine, Engine, ReferenceEngine};
use crate::{
    Float, Gradients, Input, Network, Objective, Optimizer, ReadOut, Record, Recording, Result,
    Samples, State, StepReport,
};

/// Forwards every method of the trait, including those with a default body, which would otherwise
/// hide the engine's implementation.
macro_rules! hand_on {
    ([$($header:tt)*] $F:ty, $self:ident => $inner:expr) => {
        $($header)* {
            fn describe(&$self) -> String {
                $inner.describe()
            }

            fn forward(&mut $self, input: Input<'_, $F>, record: &Record) -> Result<Recording<$F>> {
                $inner.forward(input, record)
            }

            fn forward_from(
                &mut $self,
                state: &mut State<$F>,
                input: Input<'_, $F>,
                record: &Record,
            ) -> Result<Recording<$F>> {
                $inner.forward_from(state, input, record)
            }

            fn classify(
                &mut $self,
                input: Input<'_, $F>,
                read_out: ReadOut,
                classes: &mut [usize],
            ) -> Result<()> {
                $inner.classify(input, read_out, classes)
            }

            fn scores(
                &mut $self,
                input: Input<'_, $F>,
                read_out: ReadOut,
                scores: ArrayViewMut2<'_, $F>,
            ) -> Result<()> {
                $inner.scores(input, read_out, scores)
            }

            fn evaluate(&mut $self, samples: Samples<'_, $F>) -> Result<StepReport> {
                $inner.evaluate(samples)
            }

            fn gradients(&mut $self, samples: Samples<'_, $F>) -> Result<(f64, Gradients<$F>)> {
                $inner.gradients(samples)
            }

            fn train_step(&mut $self, samples: Samples<'_, $F>) -> Result<StepReport> {
                $inner.train_step(samples)
            }

            fn train_step_from(
                &mut $self,
                state: &mut State<$F>,
                samples: Samples<'_, $F>,
            ) -> Result<StepReport> {
                $inner.train_step_from(state, samples)
            }

            fn accumulate_from(
                &mut $self,
                state: &mut State<$F>,
                samples: Samples<'_, $F>,
                weight: f64,
            ) -> Result<StepReport> {
                $inner.accumulate_from(state, samples, weight)
            }

            fn accumulate(&mut $self, samples: Samples<'_, $F>, weight: f64) -> Result<StepReport> {
                $inner.accumulate(samples, weight)
            }

            fn gradients_mut(
                &mut $self,
                edit: &mut dyn FnMut(&mut Gradients<$F>) -> Result<()>,
            ) -> Result<()> {
                $inner.gradients_mut(edit)
            }

            fn update(&mut $self) -> Result<()> {
                $inner.update()
            }

            fn clear_gradients(&mut $self) {
                $inner.clear_gradients()
            }

            fn prefetch(&mut $self, samples: Samples<'_, $F>) -> Result<()> {
                $inner.prefetch(samples)
            }

            fn measure_gradients(&mut $self, on: bool) {
                $inner.measure_gradients(on)
            }

            fn to_network(&mut $self) -> Result<Network<$F>> {
                $inner.to_network()
            }

            fn set_network(&mut $self, network: Network<$F>) -> Result<()> {
                $inner.set_network(network)
            }

            fn objective(&$self) -> &Objective<$F> {
                $inner.objective()
            }

            fn to_optimizer(&mut $self) -> Result<Optimizer<$F>> {
                $inner.to_optimizer()
            }

            fn set_optimizer(&mut $self, optimizer: Optimizer<$F>) -> Result<()> {
                $inner.set_optimizer(optimizer)
            }

            fn learning_rate(&$self) -> f64 {
                $inner.learning_rate()
            }

            fn set_learning_rate(&mut $self, lr: f64) -> Result<()> {
                $inner.set_learning_rate(lr)
            }

            #[cfg(feature = "mpi")]
            fn flat(&mut $self) -> Option<&mut dyn super::flat::Flat<$F>> {
                $inner.flat()
            }
        }
    };
}
hand_on!([impl<F: Float, E: Engine<F> + ?Sized> Engine<F> for Box<E>] F, self => (**self));
hand_on!([impl<F: Float, E: Engine<F> + ?Sized> Engine<F> for &mut E] F, self => (**self));
hand_on!([impl<F: Float> Engine<F> for ReferenceEngine<F>] F, self => self.0);
hand_on!([impl Engine for CpuEngine] f32, self => self.0);
#[cfg(feature = "cuda")]
hand_on!([impl Engine for CudaEngine] f32, self => self.0);
