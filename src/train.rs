//! The training loop and its history.
//!
//! [`Trainer::fit`] loops over epochs and batches and calls a callback after each. You can also
//! write the loop yourself, in ten lines:
//!
//! ```
//! # use ndarray::Array2;
//! use spikegrad::{Adam, Device, Input, Leaky, Loss, Network, data::Dataset};
//! # let images = Array2::from_shape_fn((8, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
//! # let data = Dataset::new(images, (0..8).map(|b| b % 2).collect(), 2)?;
//!
//! let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
//! let mut engine = Device::Cpu.engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-2))?;
//! for epoch in 0..5 {
//!     for batch in data.batches(4)?.shuffled(0, epoch) {
//!         let report = engine.train_step(Input::constant(batch.images.view(), 10).classes(&batch.targets))?;
//!         println!("epoch {epoch}: loss {:.3}", report.loss);
//!     }
//! }
//! # Ok::<(), spikegrad::Error>(())
//! ```

mod early_stopping;
mod inactive;
mod step;
mod warnings;

use std::{ops::ControlFlow, time::Duration};

pub use early_stopping::{EarlyStopping, best_epoch};
pub use inactive::{Activity, InactiveLayer};

use crate::{
    Engine, Error, Result, StepReport,
    data::{Data, Draw, Order, OwnedSamples},
    stopwatch::Stopwatch,
};

/// The settings of a training run.
///
/// ```
/// use spikegrad::Trainer;
/// let trainer = Trainer { epochs: 1, ..Trainer::default() };
/// assert_eq!((trainer.batch_size, trainer.num_steps), (128, 25));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Trainer {
    /// Passes over the training set; 5 by default.
    pub epochs: usize,
    /// Samples per batch; 128 by default. The last batch of an epoch may have fewer: see
    /// [`drop_last`](Self::drop_last).
    pub batch_size: usize,
    /// Time steps `T` of a constant input; 25 by default. Sequences have their own.
    pub num_steps: usize,
    /// Seed of the shuffles; 0 by default.
    pub seed: u64,
    /// Whether the last batch of an epoch is left out if it has fewer samples than the others; true by
    /// default (each epoch is shuffled anew). PyTorch's `DataLoader` keeps it by default. Its update counts
    /// as any other, and its loss in the epoch's mean.
    pub drop_last: bool,
    /// Parts in which each batch is computed, one after another; 1 by default. They are of one size, but for
    /// the last, so there can be fewer: 8 samples in 5 parts are 4 of 2. The gradients of the parts are
    /// [accumulated](Engine::accumulate), each weighted by its share of the samples, before the batch's one
    /// update. More parts need less memory. The loss must be a mean over samples, as all built-in losses are;
    /// an activity penalty is a sum, and refused. Gradients accumulated by the program are discarded, and
    /// reports have no gradient norms.
    pub accumulate: usize,
    /// Truncated backpropagation through time: windows of so many steps, each with an update of its own
    /// whose gradients stop where the window begins, as snnTorch's `backprop.TBPTT` has it. The state of
    /// the neurons goes on from window to window; the last may be shorter. `None` by default: all steps
    /// in one.
    ///
    /// Each window is trained by itself. A loss on spike counts or rates, on the largest or on the last
    /// membrane, compares those of the window with the target, and an activity penalty is that of its
    /// spikes. A batch's report adds up the windows' losses for
    /// [`CrossEntropyMembrane`](crate::Loss::CrossEntropyMembrane), which is a sum over steps, and has their
    /// mean otherwise; that compares with a report of all steps only for means over steps
    /// (`CrossEntropyRate`, `MseMembrane`, values at each step). Correct answers and gradient norms are those of
    /// the last window. An error in a later window leaves the updates of the windows before it, and the
    /// batch is not in the history: a run that goes on repeats them.
    pub truncate: Option<usize>,
}

impl Default for Trainer {
    fn default() -> Self {
        Trainer {
            epochs: 5,
            batch_size: 128,
            num_steps: 25,
            seed: 0,
            drop_last: true,
            accumulate: 1,
            truncate: None,
        }
    }
}

/// One training batch.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BatchRecord {
    /// From 0.
    pub epoch: usize,
    /// Within the epoch, from 0.
    pub batch: usize,
    /// Loss and correct answers before the update; with [`Trainer::truncate`], see there.
    pub report: StepReport,
    /// Time of the training step alone; zero in WebAssembly without a clock.
    pub step_time: Duration,
    /// Learning rate of the update, with [`Trainer::truncate`] of the first.
    pub learning_rate: f64,
    /// Time steps `T`.
    pub num_steps: usize,
}

impl BatchRecord {
    /// The record of a batch, for the history of a loop of one's own; epoch and batch count from 0.
    pub fn new(
        epoch: usize,
        batch: usize,
        report: StepReport,
        step_time: Duration,
        learning_rate: f64,
        num_steps: usize,
    ) -> Self {
        BatchRecord {
            epoch,
            batch,
            report,
            step_time,
            learning_rate,
            num_steps,
        }
    }
}

/// One epoch.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EpochRecord {
    /// From 0.
    pub epoch: usize,
    /// Mean loss of the training batches.
    pub train_loss: f64,
    /// Loss and correct answers on the whole validation set after the epoch, if there is one.
    pub validation: Option<StepReport>,
    /// Time of training and validation; for a resumed epoch, its earlier steps and everything
    /// since. Zero in WebAssembly without a clock.
    pub time: Duration,
}

impl EpochRecord {
    /// The record of an epoch, for the history of a loop of one's own.
    pub fn new(
        epoch: usize,
        train_loss: f64,
        validation: Option<StepReport>,
        time: Duration,
    ) -> Self {
        EpochRecord {
            epoch,
            train_loss,
            validation,
            time,
        }
    }
}

/// A position in a run: the next batch. Both numbers count from 0.
///
/// If all batches of an epoch are done but its validation is not, `batch` is the number of batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// The epoch.
    pub epoch: usize,
    /// The batch within it.
    pub batch: usize,
}

/// All measurements of a run. [`Trainer::resume`] continues from it.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct History {
    /// Every training batch.
    pub batches: Vec<BatchRecord>,
    /// Every epoch.
    pub epochs: Vec<EpochRecord>,
    /// Likely mistakes: [`Trainer::warnings`] at the start of the run. Checkpoints do not store
    /// them; a resumed run recomputes them.
    pub warnings: Vec<String>,
}

impl History {
    /// The median time of a training step; zero before the first.
    pub fn median_step_time(&self) -> Duration {
        let mut times: Vec<Duration> = self.batches.iter().map(|b| b.step_time).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }

    /// The position of the run: after the last batch or epoch in this history.
    pub fn position(&self) -> Position {
        let epoch = self.epochs.len();
        let batches = self.batches.iter().rev();
        Position {
            epoch,
            batch: batches.take_while(|record| record.epoch >= epoch).count(),
        }
    }

    /// Checks that a run of a network with this many layers can have this history.
    #[cfg(feature = "safetensors")]
    pub(crate) fn check_whole(&self, layers: usize) -> Result<()> {
        let wrong = |what: String, found: String, expected: String| {
            Err(Error::parameter(
                format!("history: {what}"),
                found,
                expected,
            ))
        };
        let mut next = [(0, 0); 2];
        for (index, record) in self.batches.iter().enumerate() {
            let place = (record.epoch, record.batch);
            if !next.contains(&place) {
                let found = format!("batch {} of epoch {}", record.batch, record.epoch);
                let expected = "the batch after the previous record".into();
                return wrong(format!("record {index}"), found, expected);
            }
            let after = |n: usize| n.saturating_add(1);
            next = [(place.0, after(place.1)), (after(place.0), 0)];
            check_report(&format!("history: record {index}"), &record.report, layers)?;
        }
        // Only the last epoch may have batches but no record.
        let begun = if self.batches.is_empty() {
            0
        } else {
            next[1].0
        };
        let done = self.epochs.len();
        if done > begun || done.saturating_add(1) < begun {
            let expected = format!("{begun} or one less, from its batches");
            return wrong("number of epochs".into(), done.to_string(), expected);
        }
        self.check_epoch_numbers()?;
        for (index, record) in self.epochs.iter().enumerate() {
            if let Some(report) = &record.validation {
                check_report(&format!("history: validation {index}"), report, layers)?;
            }
        }
        Ok(())
    }

    /// Checks that a run with `count` batches per epoch can have this history.
    fn check(&self, count: usize) -> Result<()> {
        let wrong = |what: String, found: usize, expected: String| {
            Err(Error::parameter(
                format!("history: {what}"),
                found,
                expected,
            ))
        };
        for (index, record) in self.batches.iter().enumerate() {
            let expected = (index / count, index % count);
            if (record.epoch, record.batch) != expected {
                return wrong(
                    format!("record {index}, batch of epoch {}", record.epoch),
                    record.batch,
                    format!(
                        "batch {} of epoch {}, with {count} batches per epoch",
                        expected.1, expected.0
                    ),
                );
            }
        }
        let (done, begun) = (
            self.batches.len() / count,
            self.batches.len().div_ceil(count),
        );
        let epochs = self.epochs.len();
        // The last epoch may not be validated yet.
        if !(begun.saturating_sub(1)..=done).contains(&epochs) {
            let expected = format!("{done}, from its {} batches", self.batches.len());
            return wrong("number of epochs".into(), epochs, expected);
        }
        self.check_epoch_numbers()
    }

    fn check_epoch_numbers(&self) -> Result<()> {
        match (self.epochs.iter().enumerate()).find(|(index, record)| record.epoch != *index) {
            Some((index, record)) => {
                let what = format!("history: number of epoch record {index}");
                Err(Error::parameter(what, record.epoch, index.to_string()))
            }
            None => Ok(()),
        }
    }
}

/// The event passed to a [`Trainer::fit`] callback.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A training batch has finished.
    Batch {
        /// The record.
        record: &'a BatchRecord,
        /// Number of batches in each epoch.
        batches: usize,
        /// All measurements so far, including this batch.
        history: &'a History,
    },
    /// An epoch, including its validation, has finished.
    Epoch {
        /// The record.
        record: &'a EpochRecord,
        /// All measurements so far, including this epoch.
        history: &'a History,
    },
}

impl<'a> Event<'a> {
    /// All measurements so far. A checkpoint needs them and the engine.
    pub fn history(&self) -> &'a History {
        match self {
            Event::Batch { history, .. } | Event::Epoch { history, .. } => history,
        }
    }
}

impl Trainer {
    /// Checks that the settings allow training on this data.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if a setting is zero, a batch has more parts than samples, or there are
    /// fewer samples than one batch.
    pub fn check(&self, train: &dyn Data) -> Result<()> {
        self.check_for(train.len())
    }

    /// [`check`](Self::check) for so many training samples.
    fn check_for(&self, samples: usize) -> Result<()> {
        self.check_numbers("")?;
        if self.accumulate > self.batch_size {
            let expected = format!("at most {}, the samples of a batch", self.batch_size);
            return Err(Error::parameter("accumulate", self.accumulate, expected));
        }
        let least = if self.drop_last { self.batch_size } else { 1 };
        if samples < least {
            let expected = format!("at least one batch of {least}");
            let what = "number of training samples";
            return Err(Error::parameter(what, samples, expected));
        }
        Ok(())
    }

    /// Number of batches in an epoch of so many samples.
    ///
    /// ```
    /// use spikegrad::Trainer;
    ///
    /// let trainer = Trainer { batch_size: 100, ..Trainer::default() };
    /// assert_eq!(trainer.batches_per_epoch(1080), 10);
    /// let trainer = Trainer { drop_last: false, ..trainer };
    /// assert_eq!(trainer.batches_per_epoch(1080), 11);
    /// ```
    pub fn batches_per_epoch(&self, samples: usize) -> usize {
        let batch_size = self.batch_size.max(1);
        match self.drop_last {
            true => samples / batch_size,
            false => samples.div_ceil(batch_size),
        }
    }

    /// Checks that no setting is zero; `prefix` precedes the setting's name.
    pub(crate) fn check_numbers(&self, prefix: &str) -> Result<()> {
        for (name, value) in [
            ("epochs", self.epochs),
            ("num_steps", self.num_steps),
            ("batch_size", self.batch_size),
            ("accumulate", self.accumulate),
            ("truncate", self.truncate.unwrap_or(1)),
        ] {
            if value == 0 {
                return Err(Error::parameter(format!("{prefix}{name}"), 0, "at least 1"));
            }
        }
        Ok(())
    }

    /// Trains, validates after each epoch if there is a validation set, and calls the callback
    /// after every batch and every epoch. The callback can use the engine, for example to evaluate
    /// other data or copy the network. `Ok(ControlFlow::Continue(()))` continues,
    /// `Ok(ControlFlow::Break(()))` stops and returns the history so far, and an error stops and is
    /// returned. [`Error::callback`] wraps the program's own errors.
    ///
    /// ```
    /// # use ndarray::Array2;
    /// # use spikegrad::{Adam, Device, Leaky, Loss, Network, Trainer, data::Dataset};
    /// use spikegrad::train::Event;
    /// use std::ops::ControlFlow;
    /// # let images = Array2::from_shape_fn((8, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
    /// # let data = Dataset::new(images, (0..8).map(|b| b % 2).collect(), 2)?;
    /// # let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
    /// # let mut engine = Device::Cpu.engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-2))?;
    ///
    /// let trainer = Trainer { epochs: 3, batch_size: 4, ..Trainer::default() };
    /// let mut best = None;
    /// let history = trainer.fit(&mut engine, &data, Some(&data), |engine, event| {
    ///     if let Event::Epoch { record, .. } = event
    ///         && let Some(validation) = &record.validation
    ///         && best.as_ref().is_none_or(|(loss, _)| validation.loss < *loss)
    ///     {
    ///         best = Some((validation.loss, engine.to_network()?));
    ///     }
    ///     Ok(ControlFlow::Continue(()))
    /// })?;
    /// assert_eq!((history.batches.len(), history.epochs.len()), (6, 3));
    /// assert!(best.is_some());
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    ///
    /// On an error the history is lost; [`fit_into`](Self::fit_into) keeps it.
    ///
    /// # Errors
    /// Before the first step: [`Error::InvalidParameter`] as [`check`](Self::check), and for a
    /// label, in either set, without an output of the network; [`Error::Shape`] if samples, in either
    /// set, do not fit the network. During training: any error of the data, the engine or the callback.
    /// The engine then holds the parameters from before the failing update (unless
    /// [`Error::NonFinite`] names a parameter after its update). [`Error::NonFinite`] also names
    /// the update of the run.
    pub fn fit(
        &self,
        engine: &mut dyn Engine,
        train: &dyn Data,
        validation: Option<&dyn Data>,
        callback: impl FnMut(&mut dyn Engine, Event<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<History> {
        self.resume(engine, train, validation, History::default(), callback)
    }

    /// Like [`fit`](Self::fit), but continues after the end of `history`. The engine must have the
    /// parameters and the optimizer's moments of that position. The result has the same bits as an
    /// uninterrupted run. No random state is needed: the order of an epoch is a function of its
    /// number and the seed ([`Batches`](crate::data::Batches)).
    ///
    /// [`epochs`](Self::epochs) counts from the beginning of the run and can be increased.
    ///
    /// # Errors
    /// As [`fit`](Self::fit); [`Error::InvalidParameter`] if the history has a different number of
    /// batches per epoch or more epochs than the trainer.
    pub fn resume(
        &self,
        engine: &mut dyn Engine,
        train: &dyn Data,
        validation: Option<&dyn Data>,
        mut history: History,
        callback: impl FnMut(&mut dyn Engine, Event<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<History> {
        self.fit_into(engine, train, validation, &mut history, callback)?;
        Ok(history)
    }

    /// Like [`resume`](Self::resume), but appends to the caller's history (empty for a new run),
    /// which keeps all measurements when an error ends the run. History and engine are then at the
    /// same position, so you can save a checkpoint or continue (unless [`Error::NonFinite`] names a
    /// parameter after its update, or windows of the batch were trained, see
    /// [`truncate`](Self::truncate)).
    ///
    /// ```
    /// # use ndarray::Array2;
    /// # use spikegrad::{Adam, Device, History, Leaky, Loss, Network, Trainer, data::Dataset};
    /// # use std::ops::ControlFlow;
    /// # let images = Array2::from_shape_fn((8, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
    /// # let data = Dataset::new(images, (0..8).map(|b| b % 2).collect(), 2)?;
    /// # let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
    /// # let mut engine = Device::Cpu.engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-2))?;
    /// let trainer = Trainer { epochs: 3, batch_size: 4, ..Trainer::default() };
    /// let mut history = History::default();
    /// let fitted = trainer.fit_into(&mut engine, &data, None, &mut history, |_, _| {
    ///     Ok(ControlFlow::Continue(()))
    /// });
    /// println!("{} batches, then {fitted:?}", history.batches.len());
    /// # assert_eq!(history.batches.len(), 6);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`resume`](Self::resume).
    pub fn fit_into(
        &self,
        engine: &mut dyn Engine,
        train: &dyn Data,
        validation: Option<&dyn Data>,
        history: &mut History,
        mut callback: impl FnMut(&mut dyn Engine, Event<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.run(engine, train, validation, history, &mut callback)
    }

    /// [`fit_into`](Self::fit_into), compiled once for all callbacks.
    fn run(
        &self,
        engine: &mut dyn Engine,
        train: &dyn Data,
        validation: Option<&dyn Data>,
        history: &mut History,
        callback: &mut Callback<'_>,
    ) -> Result<()> {
        let samples = train.len();
        self.check_for(samples)?;
        history.check(self.batches_per_epoch(samples))?;
        let from = history.position();
        if from.epoch + usize::from(from.batch > 0) > self.epochs {
            let begun = from.epoch + usize::from(from.batch > 0);
            let expected = format!("at least {begun}, the number of epochs begun in the history");
            return Err(Error::parameter("epochs", self.epochs, expected));
        }
        if self.accumulate > 1 && engine.objective().rate_l1 > 0.0 {
            let expected = "1 with an activity penalty rate_l1, which is a sum over the batch";
            return Err(Error::parameter("accumulate", self.accumulate, expected));
        }
        let network = engine.to_network()?;
        train.check(&network, "training")?;
        if let Some(validation) = validation {
            validation.check(&network, "validation")?;
        }
        history.warnings = self.warnings(&network, train, validation);
        let starts = self.starts(&network, self.batch_size)?;
        let starts_of_last = match samples % self.batch_size {
            0 => Vec::new(),
            left => self.starts(&network, left)?,
        };
        drop(network);
        let (mut batch, mut next) = (OwnedSamples::default(), OwnedSamples::default());
        let earlier = history.batches.iter();
        let mut updates: usize = earlier.map(|b| self.updates_per_batch(b.num_steps)).sum();
        for epoch in from.epoch..self.epochs {
            let started = Stopwatch::start();
            let first = if epoch == from.epoch { from.batch } else { 0 };
            // The part of this epoch done by an earlier run.
            let earlier = &history.batches[history.batches.len() - first..];
            let spent: Duration = earlier.iter().map(|record| record.step_time).sum();

            let order = Order::new(samples, self.batch_size)?;
            let order = order
                .shuffled(self.seed, epoch as u64)
                .drop_last(self.drop_last)?;
            let count = order.left();
            let mut order = order.skip_to(first)?;
            draw(train, &mut order, epoch, self.num_steps, &mut next)?;
            for index in first..count {
                std::mem::swap(&mut batch, &mut next);
                let more = draw(train, &mut order, epoch, self.num_steps, &mut next)?;
                let step = Stopwatch::start();
                let next_steps = next.num_steps(self.num_steps);
                if more && self.accumulate <= 1 && self.updates_per_batch(next_steps) == 1 {
                    engine.prefetch(next.samples(self.num_steps))?;
                }
                let learning_rate = engine.learning_rate();
                let starts = match batch.batch() == self.batch_size {
                    true => &starts,
                    false => &starts_of_last,
                };
                let report = self.train_on(engine, &batch, starts, updates)?;
                let num_steps = batch.num_steps(self.num_steps);
                updates += self.updates_per_batch(num_steps);
                let record = BatchRecord {
                    epoch,
                    batch: index,
                    report,
                    step_time: step.elapsed(),
                    learning_rate,
                    num_steps,
                };
                history.batches.push(record.clone());
                let event = Event::Batch {
                    record: &record,
                    batches: count,
                    history,
                };
                if callback(engine, event)?.is_break() {
                    return Ok(());
                }
            }
            let validation = validation
                .map(|data| self.evaluate(engine, data))
                .transpose()
                .map_err(|error| {
                    at(error, || {
                        format!("in the validation of epoch {}", epoch + 1)
                    })
                })?;
            let trained = &history.batches[history.batches.len() - count..];
            let sum: f64 = trained.iter().map(|record| record.report.loss).sum();
            let record = EpochRecord {
                epoch,
                train_loss: sum / count as f64,
                validation,
                time: spent + started.elapsed(),
            };
            history.epochs.push(record.clone());
            let event = Event::Epoch {
                record: &record,
                history,
            };
            if callback(engine, event)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Loss and correct answers on a whole data set, including the last partial batch. Every sample
    /// has the same weight.
    ///
    /// # Errors
    /// Any error of the engine or the data; [`Error::InvalidParameter`] if there are no samples.
    pub fn evaluate(&self, engine: &mut dyn Engine, data: &dyn Data) -> Result<StepReport> {
        let mut total: Option<StepReport> = None;
        let mut order = Order::new(data.len(), self.batch_size)?;
        let mut batch = OwnedSamples::default();
        while draw(data, &mut order, 0, self.num_steps, &mut batch)? {
            let report = engine.evaluate(batch.samples(self.num_steps))?;
            total = Some(match total {
                Some(total) => total.merge(&report),
                None => report,
            });
        }
        total.ok_or_else(|| Error::parameter("number of samples", 0, "at least 1"))
    }
}

/// What [`Trainer::fit`] calls.
type Callback<'a> = dyn FnMut(&mut dyn Engine, Event<'_>) -> Result<ControlFlow<()>> + 'a;

/// Fills `batch` with the next samples of an epoch; returns false at its end. A constant input lasts
/// `num_steps` steps.
fn draw(
    data: &dyn Data,
    order: &mut Order,
    epoch: usize,
    num_steps: usize,
    batch: &mut OwnedSamples,
) -> Result<bool> {
    let Some(indices) = order.next() else {
        return Ok(false);
    };
    data.fill(Draw::new(indices, epoch), batch)?;
    batch.check(indices.len(), batch.num_steps(num_steps))?;
    Ok(true)
}

/// Checks that an engine can have made the report.
#[cfg(feature = "safetensors")]
fn check_report(what: &str, report: &StepReport, layers: usize) -> Result<()> {
    // Engines count the spikes of every layer.
    if report.firing_rate.len() != layers {
        let expected = format!("[{layers}], one per layer");
        let what = format!("{what}: firing rates");
        return Err(Error::shape(what, expected, &[report.firing_rate.len()]));
    }
    if report.samples == 0 {
        let what = format!("{what}: samples");
        return Err(Error::parameter(what, 0, "at least 1"));
    }
    let correct = report.correct_spike_count.max(report.correct_membrane);
    if correct > report.samples {
        let expected = format!("at most {}, its samples", report.samples);
        let what = format!("{what}: correct answers");
        return Err(Error::parameter(what, correct, expected));
    }
    if let Some(norms) = &report.gradient_norms {
        if norms.len() != layers {
            let expected = format!("[{layers}], one per layer");
            let what = format!("{what}: gradient norms");
            return Err(Error::shape(what, expected, &[norms.len()]));
        }
        if let Some(bad) = norms.iter().find(|x| !(0.0..f64::INFINITY).contains(*x)) {
            let what = format!("{what}: gradient norm");
            return Err(Error::parameter(what, bad, "a finite number of at least 0"));
        }
    }
    // NaN if a layer was not recorded.
    let rate = |x: &&f64| !(x.is_nan() || (0.0..=1.0).contains(*x));
    match report.firing_rate.iter().find(rate) {
        Some(bad) => {
            let what = format!("{what}: firing rate");
            Err(Error::parameter(what, bad, "a number from 0 to 1"))
        }
        None => Ok(()),
    }
}

/// Adds the update of the run, counted from 1, to a non-finite error.
fn in_update(error: Error, update: usize) -> Error {
    at(error, || format!("in update {update} of the run"))
}

/// Adds the position in a run to a non-finite error.
fn at(error: Error, place: impl FnOnce() -> String) -> Error {
    match error {
        Error::NonFinite {
            what,
            value,
            position,
        } => Error::NonFinite {
            what,
            value,
            position: format!("{position}, {}", place()),
        },
        error => error,
    }
}
