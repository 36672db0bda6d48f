//! The protocol shared by all engines: checks before and after a batch, custom losses, and the
//! count of updates. A [`Backend`] does the computation.

use ndarray::ArrayViewMut2;

#[cfg(feature = "mpi")]
use super::flat::{Flat, Key, Packed};
use super::{build_note, check_classes, check_scores, check_weight, nothing_accumulated};
use crate::{
    Adjoints, Engine, Error, Float, Gradients, Input, Network, Objective, Optimizer, ReadOut,
    Record, Recording, Result, Samples, State, StepReport,
    dropout::{Dropped, Masks},
    finite::check_finite,
    memory,
    optim::check_same,
    state::Carry,
};

/// The purpose of a batch.
#[derive(Clone, Copy)]
pub(crate) enum Mode<'a, F: Float = f32> {
    /// Only the loss.
    Evaluate,
    /// The gradients, which the back end keeps.
    Gradients {
        /// What is dropped; the network's input is without it already.
        masks: Option<&'a Masks>,
    },
    /// An update with these settings; `measure` requests the gradient norms.
    Train {
        optimizer: &'a Optimizer<F>,
        measure: bool,
        masks: Option<&'a Masks>,
    },
}

impl<'a, F: Float> Mode<'a, F> {
    /// Whether the mode includes a backward pass.
    pub fn backward(self) -> bool {
        !matches!(self, Mode::Evaluate)
    }

    /// What is dropped.
    pub fn masks(self) -> Option<&'a Masks> {
        match self {
            Mode::Evaluate => None,
            Mode::Gradients { masks } | Mode::Train { masks, .. } => masks,
        }
    }
}

/// The Euclidean norm of each layer's gradients, if requested.
pub(crate) type Norms = Option<Vec<f64>>;

/// The back end of an engine: holds parameters and what the optimizer keeps, and runs batches that [`Driver`] has
/// checked. It rejects NaN and infinity in the input itself, while reading it.
pub(crate) trait Backend<F: Float>: Send {
    /// A short description of the device.
    fn describe(&self) -> String;

    /// The network's structure. Its parameters may be out of date.
    fn structure(&self) -> &Network<F>;

    /// A copy of the current network.
    fn network(&mut self) -> Result<Network<F>>;

    /// Replaces the network by one of the same structure.
    fn set_network(&mut self, network: Network<F>) -> Result<()>;

    /// The `count` tensors that the optimizer keeps, after at least one update.
    fn kept(&mut self, count: usize) -> Result<Vec<Gradients<F>>>;

    /// Replaces what the optimizer keeps; empty before its first update.
    fn set_kept(&mut self, kept: &[Gradients<F>]) -> Result<()>;

    /// Whether all parameters and what the optimizer keeps are finite, as far as known without a
    /// search.
    fn finite(&self) -> bool;

    /// Checks that the input fits.
    fn check_input(&self, input: Input<'_, F>) -> Result<()> {
        input.check_shape(self.structure())
    }

    /// Checks that a batch fits.
    fn check(&self, samples: Samples<'_, F>, objective: &Objective<F>) -> Result<()> {
        self.check_input(samples.input)?;
        objective.loss.check_kind(samples.targets)?;
        objective.loss.check_steps(samples.input.num_steps())?;
        samples.check_targets(self.structure())
    }

    /// Runs the network; unless the mode is to evaluate, [`run_back`](Self::run_back) on the same input
    /// follows.
    ///
    /// Here and below, `carry` is given if the pass does not begin at rest. What of it is at its end does
    /// not matter after an error.
    fn forward(
        &mut self,
        input: Input<'_, F>,
        record: &Record,
        mode: Mode<'_, F>,
        carry: Option<Carry<'_, F>>,
    ) -> Result<Recording<F>>;

    /// Each sample's class.
    fn classify(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        let recording = self.forward(input, &Record::Output, Mode::Evaluate, None)?;
        classes.copy_from_slice(&recording.classify(read_out));
        Ok(())
    }

    /// Each sample's scores.
    fn scores(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        mut scores: ArrayViewMut2<'_, F>,
    ) -> Result<()> {
        let recording = self.forward(input, &Record::Output, Mode::Evaluate, None)?;
        scores.assign(&recording.scores(read_out));
        Ok(())
    }

    /// Runs a batch whose loss the back end computes itself: loss, gradients and update, depending
    /// on the mode. `None` if it does not support this loss. If the loss is not finite, nothing is
    /// updated.
    fn run(
        &mut self,
        samples: Samples<'_, F>,
        objective: &Objective<F>,
        mode: Mode<'_, F>,
        carry: Option<Carry<'_, F>>,
    ) -> Result<Option<StepReport>> {
        let _ = (samples, objective, mode, carry);
        Ok(None)
    }

    /// Continues from a recording of all layers and the adjoints of a loss: gradients and update,
    /// depending on the mode. `start` is the state with which the recording began, unless it is at rest.
    fn run_back(
        &mut self,
        input: Input<'_, F>,
        recording: &Recording<F>,
        adjoints: &Adjoints<F>,
        mode: Mode<'_, F>,
        start: Option<&State<F>>,
    ) -> Result<Norms>;

    /// The gradients of the last batch; NaN or infinity is an error.
    fn gradients(&mut self) -> Result<Gradients<F>>;

    /// Adds `weight` times the gradients of the last batch to a sum, which `first` starts anew. If they
    /// are not finite, it is an error and the sum stays as it was.
    fn accumulate(&mut self, weight: f64, first: bool) -> Result<()>;

    /// A copy of the sum.
    fn sum(&mut self) -> Result<Gradients<F>>;

    /// Replaces the sum.
    fn set_sum(&mut self, gradients: &Gradients<F>) -> Result<()>;

    /// Updates the parameters from the sum. If it is not finite, it is an error and nothing changes.
    fn update(&mut self, optimizer: &Optimizer<F>) -> Result<()>;

    /// Recycles the memory of a recording.
    fn reclaim(&mut self, recording: Recording<F>) {
        drop(recording);
    }

    /// Starts copying a coming batch, which has not been [checked](Self::check), to the device.
    fn prefetch(&mut self, samples: Samples<'_, F>, objective: &Objective<F>) -> Result<()> {
        let _ = (samples, objective);
        Ok(())
    }

    /// The back end's own layout of its parameters as one vector, if it has one.
    #[cfg(feature = "mpi")]
    fn packed(&mut self) -> Option<&mut dyn Packed<F>> {
        None
    }
}

/// An engine built on a back end.
#[derive(Debug, Clone)]
pub(crate) struct Driver<B, F: Float = f32> {
    pub backend: B,
    objective: Objective<F>,
    /// Settings and count of updates; the back end holds what it keeps.
    optimizer: Optimizer<F>,
    /// Whether training steps report gradient norms.
    measures: bool,
    /// Whether the back end has a sum of gradients.
    accumulated: bool,
    /// How many batches are in it.
    parts: u64,
}

impl<F: Float, B: Backend<F>> Driver<B, F> {
    /// Checks the settings; then `open` creates the back end, which takes over what the optimizer keeps.
    pub fn new(
        network: Network<F>,
        objective: Objective<F>,
        mut optimizer: Optimizer<F>,
        open: impl FnOnce(Network<F>, &[Gradients<F>]) -> Result<B>,
    ) -> Result<Self> {
        objective.check()?;
        optimizer.check_for(&network)?;
        let kept = std::mem::take(&mut optimizer.kept);
        Ok(Driver {
            backend: open(network, &kept)?,
            objective,
            optimizer,
            measures: false,
            accumulated: false,
            parts: 0,
        })
    }

    fn check_forward(&self, input: Input<'_, F>, record: &Record) -> Result<()> {
        self.backend.check_input(input)?;
        record.check_for(self.backend.structure(), input)
    }

    fn check(&self, samples: Samples<'_, F>) -> Result<()> {
        self.backend.check(samples, &self.objective)
    }

    /// Reports by name what is not finite before or after an update: parameters, and what the
    /// optimizer keeps.
    fn check_parameters(&mut self, when: &str, update: u64) -> Result<()> {
        if self.backend.finite() {
            return Ok(());
        }
        let when = format!(" {when} update {update}");
        self.backend.network()?.check_finite(&when)?;
        for (kept, tensors) in self.to_optimizer()?.state() {
            let kept = match kept {
                "exp_avg_sq" => "second moment", // as an update that is refused calls it
                kept => kept,
            };
            for (name, values) in tensors.tensors() {
                check_finite(&format!("{kept} of {name}{when}"), values.iter())?;
            }
        }
        Ok(())
    }

    /// Runs an update, checking parameters before and after it.
    fn updating<T>(&mut self, update: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.check_parameters("before", self.optimizer.step + 1)?;
        let done = update(self)?;
        self.optimizer.step += 1;
        self.check_parameters("after", self.optimizer.step)?;
        Ok(done)
    }

    /// Runs a pass that is given no state: from the initial membranes, if any is not 0.
    fn begin<R>(
        &mut self,
        batch: usize,
        pass: impl FnOnce(&mut Self, Option<Carry<'_, F>>) -> Result<R>,
    ) -> Result<R> {
        match State::initial(self.backend.structure(), batch) {
            Some(mut state) => state.carried(|carry| pass(self, Some(carry))),
            None => pass(self, None),
        }
    }

    /// A training step on samples that have been checked.
    fn train(
        &mut self,
        samples: Samples<'_, F>,
        carry: Option<Carry<'_, F>>,
    ) -> Result<StepReport> {
        self.dropping(samples, |driver, samples, masks| {
            driver.updating(|driver| {
                let mode = Mode::Train {
                    optimizer: &driver.optimizer,
                    measure: driver.measures,
                    masks,
                };
                run(&mut driver.backend, &driver.objective, samples, mode, carry)
            })
        })
    }

    /// Adds the gradients of samples that have been checked to the sum.
    fn add(
        &mut self,
        samples: Samples<'_, F>,
        weight: f64,
        carry: Option<Carry<'_, F>>,
    ) -> Result<StepReport> {
        check_weight::<F>(weight)?;
        let report = self.compute(samples, carry)?;
        self.backend.accumulate(weight, !self.accumulated)?;
        self.accumulated = true;
        self.parts += 1;
        Ok(report)
    }

    /// The gradients of samples that have been checked, which the back end keeps.
    fn compute(
        &mut self,
        samples: Samples<'_, F>,
        carry: Option<Carry<'_, F>>,
    ) -> Result<StepReport> {
        self.dropping(samples, |driver, samples, masks| {
            let (backend, objective) = (&mut driver.backend, &driver.objective);
            let mode = Mode::Gradients { masks };
            run(backend, objective, samples, mode, carry)
        })
    }

    /// Runs a training pass on samples without what the first layer drops, with the masks of the others.
    fn dropping<R>(
        &mut self,
        samples: Samples<'_, F>,
        pass: impl FnOnce(&mut Self, Samples<'_, F>, Option<&Masks>) -> Result<R>,
    ) -> Result<R> {
        let (network, batch) = (self.backend.structure(), samples.input.batch());
        let masks = Masks::draw(network, batch, self.optimizer.step, self.parts);
        let dropped = self.drop_inputs(masks.as_ref(), samples.input)?;
        pass(self, samples.without(dropped.as_ref()), masks.as_ref())
    }

    /// The input without what the first layer drops, if it drops anything. NaN and infinity are found before
    /// they could be dropped.
    fn drop_inputs(
        &self,
        masks: Option<&Masks>,
        input: Input<'_, F>,
    ) -> Result<Option<Dropped<F>>> {
        let Some(masks) = masks.filter(|masks| masks.of_input()) else {
            return Ok(None);
        };
        input.check(self.backend.structure())?;
        let shape = [input.num_steps(), 1, input.batch(), input.features()];
        memory::check::<F>("input without what is dropped", [shape])?;
        Ok(masks.drop(input))
    }
}

impl<F: Float, B: Backend<F>> Engine<F> for Driver<B, F> {
    fn describe(&self) -> String {
        format!("{}{}", self.backend.describe(), build_note())
    }

    fn forward(&mut self, input: Input<'_, F>, record: &Record) -> Result<Recording<F>> {
        self.check_forward(input, record)?;
        self.begin(input.batch(), |driver, carry| {
            driver.backend.forward(input, record, Mode::Evaluate, carry)
        })
    }

    fn forward_from(
        &mut self,
        state: &mut State<F>,
        input: Input<'_, F>,
        record: &Record,
    ) -> Result<Recording<F>> {
        self.check_forward(input, record)?;
        state.check(self.backend.structure(), input.batch())?;
        state.carried(|carry| {
            let mode = Mode::Evaluate;
            self.backend.forward(input, record, mode, Some(carry))
        })
    }

    fn classify(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        self.backend.check_input(input)?;
        check_classes(input, classes)?;
        match self.backend.structure().begins_at_zero() {
            true => self.backend.classify(input, read_out, classes),
            false => {
                let found = self.forward(input, &Record::Output)?.classify(read_out);
                classes.copy_from_slice(&found);
                Ok(())
            }
        }
    }

    fn scores(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        mut scores: ArrayViewMut2<'_, F>,
    ) -> Result<()> {
        self.backend.check_input(input)?;
        check_scores(input, self.backend.structure().outputs(), &scores)?;
        match self.backend.structure().begins_at_zero() {
            true => self.backend.scores(input, read_out, scores),
            false => {
                let found = self.forward(input, &Record::Output)?.scores(read_out);
                scores.assign(&found);
                Ok(())
            }
        }
    }

    fn evaluate(&mut self, samples: Samples<'_, F>) -> Result<StepReport> {
        self.check(samples)?;
        self.begin(samples.input.batch(), |driver, carry| {
            let (backend, objective) = (&mut driver.backend, &driver.objective);
            run(backend, objective, samples, Mode::Evaluate, carry)
        })
    }

    fn gradients(&mut self, samples: Samples<'_, F>) -> Result<(f64, Gradients<F>)> {
        self.check(samples)?;
        let batch = samples.input.batch();
        let report = self.begin(batch, |driver, carry| driver.compute(samples, carry))?;
        Ok((report.loss, self.backend.gradients()?))
    }

    fn train_step(&mut self, samples: Samples<'_, F>) -> Result<StepReport> {
        self.check(samples)?;
        let batch = samples.input.batch();
        self.begin(batch, |driver, carry| driver.train(samples, carry))
    }

    fn train_step_from(
        &mut self,
        state: &mut State<F>,
        samples: Samples<'_, F>,
    ) -> Result<StepReport> {
        self.check(samples)?;
        state.check(self.backend.structure(), samples.input.batch())?;
        state.carried(|carry| self.train(samples, Some(carry)))
    }

    fn accumulate(&mut self, samples: Samples<'_, F>, weight: f64) -> Result<StepReport> {
        self.check(samples)?;
        let batch = samples.input.batch();
        self.begin(batch, |driver, carry| driver.add(samples, weight, carry))
    }

    fn accumulate_from(
        &mut self,
        state: &mut State<F>,
        samples: Samples<'_, F>,
        weight: f64,
    ) -> Result<StepReport> {
        self.check(samples)?;
        state.check(self.backend.structure(), samples.input.batch())?;
        state.carried(|carry| self.add(samples, weight, Some(carry)))
    }

    fn gradients_mut(
        &mut self,
        edit: &mut dyn FnMut(&mut Gradients<F>) -> Result<()>,
    ) -> Result<()> {
        let mut sum = match self.accumulated {
            true => self.backend.sum()?,
            false => Gradients::zeros(self.backend.structure()),
        };
        edit(&mut sum)?;
        check_same(self.backend.structure(), &sum, "gradients")?;
        sum.check_finite()?;
        self.backend.set_sum(&sum)?;
        self.accumulated = true;
        Ok(())
    }

    fn update(&mut self) -> Result<()> {
        if !self.accumulated {
            return Err(nothing_accumulated());
        }
        self.updating(|driver| {
            driver.backend.update(&driver.optimizer)?;
            driver.accumulated = false;
            driver.parts = 0;
            Ok(())
        })
    }

    fn clear_gradients(&mut self) {
        self.accumulated = false;
        self.parts = 0;
    }

    fn prefetch(&mut self, samples: Samples<'_, F>) -> Result<()> {
        self.backend.prefetch(samples, &self.objective)
    }

    fn measure_gradients(&mut self, on: bool) {
        self.measures = on;
    }

    fn to_network(&mut self) -> Result<Network<F>> {
        self.backend.network()
    }

    fn objective(&self) -> &Objective<F> {
        &self.objective
    }

    fn set_network(&mut self, network: Network<F>) -> Result<()> {
        network.check_structure(self.backend.structure())?;
        self.backend.set_network(network)
    }

    fn to_optimizer(&mut self) -> Result<Optimizer<F>> {
        let mut optimizer = self.optimizer.clone();
        if optimizer.step > 0 {
            optimizer.kept_names = optimizer.rule.kept();
            optimizer.kept = self.backend.kept(optimizer.kept_names.len())?;
        }
        Ok(optimizer)
    }

    fn set_optimizer(&mut self, mut optimizer: Optimizer<F>) -> Result<()> {
        optimizer.check_for(self.backend.structure())?;
        let kept = std::mem::take(&mut optimizer.kept);
        self.backend.set_kept(&kept)?;
        self.optimizer = optimizer;
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.optimizer.learning_rate()
    }

    fn set_learning_rate(&mut self, lr: f64) -> Result<()> {
        let before = self.optimizer.rule.lr();
        self.optimizer.rule.set_lr(lr);
        let checked = self.optimizer.check();
        if checked.is_err() {
            self.optimizer.rule.set_lr(before);
        }
        checked
    }

    #[cfg(feature = "mpi")]
    fn flat(&mut self) -> Option<&mut dyn Flat<F>> {
        Some(self)
    }
}

#[cfg(feature = "mpi")]
impl<F: Float, B: Backend<F>> Flat<F> for Driver<B, F> {
    fn shard(
        &mut self,
        samples: Samples<'_, F>,
        state: Option<&mut State<F>>,
        key: Key,
    ) -> Result<StepReport> {
        self.check(samples)?;
        let batch = samples.input.batch();
        // The masks of what is dropped are drawn for this update and this part.
        let before = (self.optimizer.step, self.parts);
        (self.optimizer.step, self.parts) = (key.update, key.part);
        let report = match state {
            None => self.begin(batch, |driver, carry| driver.compute(samples, carry)),
            Some(state) => state
                .check(self.backend.structure(), batch)
                .and_then(|()| state.carried(|carry| self.compute(samples, Some(carry)))),
        };
        (self.optimizer.step, self.parts) = before;
        report
    }

    fn gradients(&mut self) -> Result<Gradients<F>> {
        self.backend.gradients()
    }

    fn packed(&mut self) -> Option<&mut dyn Packed<F>> {
        self.backend.packed()
    }
}

/// Runs one batch according to the mode. A loss that the back end does not support gets the
/// recording of the whole batch and returns adjoints, from which the back end continues.
fn run<F: Float>(
    backend: &mut impl Backend<F>,
    objective: &Objective<F>,
    samples: Samples<'_, F>,
    mode: Mode<'_, F>,
    mut carry: Option<Carry<'_, F>>,
) -> Result<StepReport> {
    let Samples { input, targets } = samples;
    let start = carry.as_ref().map(|carry| carry.start);
    let carried = carry.as_mut().map(Carry::reborrow);
    if let Some(report) = backend.run(samples, objective, mode, carried)? {
        return check_loss(backend, report, input, start);
    }
    Record::All.check_memory(backend.structure(), input)?;
    let recording = backend.forward(input, &Record::All, mode, carry)?;
    let (loss, adjoints) = objective.evaluate(&recording, targets)?;
    let read_outs = objective.loss.read_outs();
    let report = StepReport::by(read_outs, loss, &recording, targets)?;
    let mut report = check_loss(backend, report, input, start)?;
    if mode.backward() {
        report.gradient_norms = backend.run_back(input, &recording, &adjoints, mode, start)?;
    }
    backend.reclaim(recording);
    Ok(report)
}

/// Reports a non-finite loss. The error names the first non-finite parameter, or else the first
/// non-finite membrane, ordered by layer, step, sample and neuron. Samples run one by one, since a
/// recording of all of them may not fit into memory.
fn check_loss<F: Float>(
    backend: &mut impl Backend<F>,
    report: StepReport,
    input: Input<'_, F>,
    start: Option<&State<F>>,
) -> Result<StepReport> {
    if report.loss.is_finite() {
        return Ok(report);
    }
    backend.network()?.check_finite("")?;
    let mut first: Option<[usize; 4]> = None;
    for sample in 0..input.batch() {
        let mut start = start.map(|start| start.sample(sample));
        let mut record = |carry: Option<Carry<'_, F>>| {
            backend.forward(input.sample(sample), &Record::All, Mode::Evaluate, carry)
        };
        let recording = match &mut start {
            Some(start) => start.carried(|carry| record(Some(carry)))?,
            None => record(None)?,
        };
        let place = first_not_finite(&recording).map(|[k, t, _, n]| [k, t, sample, n]);
        first = first.into_iter().chain(place).min();
    }
    let position = match first {
        Some([k, t, b, n]) => format!("layer {}, step {t}, sample {b}, neuron {n}", k + 1),
        None => "its return value, although every membrane is finite".into(),
    };
    Err(Error::NonFinite {
        what: "loss".into(),
        value: report.loss.to_string(),
        position,
    })
}

/// The first membrane that is not finite: layer, step, sample, neuron, each from 0.
fn first_not_finite<F: Float>(recording: &Recording<F>) -> Option<[usize; 4]> {
    (0..recording.num_layers())
        .filter_map(|k| Some((k, recording.layer(k)?)))
        .find_map(|(k, trace)| {
            let ((t, b, n), _) = trace.mem.indexed_iter().find(|(_, u)| !u.is_finite())?;
            Some([k, t, b, n])
        })
}
