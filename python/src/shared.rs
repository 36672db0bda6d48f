//! An engine that several threads of Python may call, one at a time.

use std::{
    sync::{Arc, Mutex, PoisonError, TryLockError},
    thread::{self, ThreadId},
};

use numpy::ndarray::ArrayViewMut2;
use spikegrad::{
    Engine, Error, Gradients, Input, Network, Objective, Optimizer, ReadOut, Record, Recording,
    Result, Samples, State, StepReport,
};

use pyo3::prelude::*;

use crate::{arrays::Number, errors::detached, fork};

/// An engine behind a lock that is held for one call at a time, so that a training loop's callback, and other
/// threads, can use the engine between two batches.
#[derive(Clone)]
pub struct Shared<F: Number> {
    engine: Arc<Mutex<Box<dyn Engine<F>>>>,
    /// The thread in a call.
    caller: Arc<Mutex<Option<ThreadId>>>,
    objective: Objective<F>,
    outputs: usize,
}

impl<F: Number> Shared<F> {
    /// Shares an engine of a network of so many outputs.
    pub fn new(engine: Box<dyn Engine<F>>, outputs: usize) -> Self {
        let objective = engine.objective().clone();
        Shared {
            engine: Arc::new(Mutex::new(engine)),
            caller: Arc::default(),
            objective,
            outputs,
        }
    }

    /// Number of outputs of the network.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// [`call`](Self::call) without the GIL: the thread that is in a call may wait for it.
    pub fn run<R: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&mut dyn Engine<F>) -> Result<R> + Send,
    ) -> PyResult<R> {
        detached(py, || self.call(call))
    }

    /// Runs a call; others wait. A call from within one, by a loss of one's own, is refused.
    pub fn call<R>(&self, call: impl FnOnce(&mut dyn Engine<F>) -> Result<R>) -> Result<R> {
        fork::check()?;
        let this = thread::current().id();
        let caller = || self.caller.lock().unwrap_or_else(PoisonError::into_inner);
        let mut engine = match self.engine.try_lock() {
            Ok(engine) => engine,
            Err(TryLockError::WouldBlock) if *caller() == Some(this) => {
                return Err(Error::Unsupported {
                    what: "a call from within a call".into(),
                    by: "an engine".into(),
                    instead: "let the loss use its arguments alone".into(),
                });
            }
            Err(TryLockError::WouldBlock) => {
                self.engine.lock().unwrap_or_else(PoisonError::into_inner)
            }
            Err(TryLockError::Poisoned(engine)) => engine.into_inner(),
        };
        *caller() = Some(this);
        let result = call(&mut **engine);
        *caller() = None;
        result
    }
}

impl<F: Number> Engine<F> for Shared<F> {
    fn describe(&self) -> String {
        self.call(|engine| Ok(engine.describe()))
            .unwrap_or_else(|error| error.to_string())
    }
    fn forward(&mut self, input: Input<'_, F>, record: &Record) -> Result<Recording<F>> {
        self.call(|engine| engine.forward(input, record))
    }
    fn forward_from(
        &mut self,
        state: &mut State<F>,
        input: Input<'_, F>,
        record: &Record,
    ) -> Result<Recording<F>> {
        self.call(|engine| engine.forward_from(state, input, record))
    }
    fn classify(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        self.call(|engine| engine.classify(input, read_out, classes))
    }
    fn scores(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        scores: ArrayViewMut2<'_, F>,
    ) -> Result<()> {
        self.call(|engine| engine.scores(input, read_out, scores))
    }
    fn evaluate(&mut self, samples: Samples<'_, F>) -> Result<StepReport> {
        self.call(|engine| engine.evaluate(samples))
    }
    fn gradients(&mut self, samples: Samples<'_, F>) -> Result<(f64, Gradients<F>)> {
        self.call(|engine| engine.gradients(samples))
    }
    fn train_step(&mut self, samples: Samples<'_, F>) -> Result<StepReport> {
        self.call(|engine| engine.train_step(samples))
    }
    fn train_step_from(
        &mut self,
        state: &mut State<F>,
        samples: Samples<'_, F>,
    ) -> Result<StepReport> {
        self.call(|engine| engine.train_step_from(state, samples))
    }
    fn accumulate_from(
        &mut self,
        state: &mut State<F>,
        samples: Samples<'_, F>,
        weight: f64,
    ) -> Result<StepReport> {
        self.call(|engine| engine.accumulate_from(state, samples, weight))
    }
    fn accumulate(&mut self, samples: Samples<'_, F>, weight: f64) -> Result<StepReport> {
        self.call(|engine| engine.accumulate(samples, weight))
    }
    fn gradients_mut(
        &mut self,
        edit: &mut dyn FnMut(&mut Gradients<F>) -> Result<()>,
    ) -> Result<()> {
        self.call(|engine| engine.gradients_mut(edit))
    }
    fn update(&mut self) -> Result<()> {
        self.call(|engine| engine.update())
    }
    fn clear_gradients(&mut self) {
        // It fails from within a call alone, where nothing may change.
        let _ = self.call(|engine| {
            engine.clear_gradients();
            Ok(())
        });
    }
    fn prefetch(&mut self, samples: Samples<'_, F>) -> Result<()> {
        self.call(|engine| engine.prefetch(samples))
    }
    fn measure_gradients(&mut self, on: bool) {
        let _ = self.call(|engine| {
            engine.measure_gradients(on);
            Ok(())
        });
    }
    fn to_network(&mut self) -> Result<Network<F>> {
        self.call(|engine| engine.to_network())
    }
    fn set_network(&mut self, network: Network<F>) -> Result<()> {
        self.call(|engine| engine.set_network(network))
    }
    fn objective(&self) -> &Objective<F> {
        &self.objective
    }
    fn to_optimizer(&mut self) -> Result<Optimizer<F>> {
        self.call(|engine| engine.to_optimizer())
    }
    fn set_optimizer(&mut self, optimizer: Optimizer<F>) -> Result<()> {
        self.call(|engine| engine.set_optimizer(optimizer))
    }
    fn learning_rate(&self) -> f64 {
        self.call(|engine| Ok(engine.learning_rate()))
            .unwrap_or(f64::NAN)
    }
    fn set_learning_rate(&mut self, lr: f64) -> Result<()> {
        self.call(|engine| engine.set_learning_rate(lr))
    }
}
