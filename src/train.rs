//! The training loop, and what it remembers.
//!
//! [`Trainer::fit`] is a plain loop over epochs and batches that calls back after each, with the
//! engine in hand; a loop of one's own takes ten lines and uses the same parts:
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
//!         let report = engine.train_step(Input::constant(batch.images.view(), 10), &batch.targets)?;
//!         println!("epoch {epoch}: loss {:.3}", report.loss);
//!     }
//! }
//! # Ok::<(), spikegrad::Error>(())
//! ```

use std::{
    fmt,
    time::{Duration, Instant},
};

use crate::{
    Engine, Error, Input, Result, StepReport,
    data::{Batch, Dataset},
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
    /// Samples per update; 128 by default. The rest of an epoch that fills no batch is left out
    /// (of that epoch: each is shuffled anew).
    pub batch_size: usize,
    /// Time steps `T` for which each image is shown; 25 by default.
    pub num_steps: usize,
    /// Seed of the shuffles; 0 by default.
    pub seed: u64,
}

impl Default for Trainer {
    fn default() -> Self {
        Trainer {
            epochs: 5,
            batch_size: 128,
            num_steps: 25,
            seed: 0,
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
    /// Loss and correct answers before the update.
    pub report: StepReport,
    /// Time of the training step alone.
    pub step_time: Duration,
}

/// One epoch.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct EpochRecord {
    /// From 0.
    pub epoch: usize,
    /// Mean loss of its training batches.
    pub train_loss: f64,
    /// Layers that were silent or saturated in every batch of it, from the input up.
    pub inactive: Vec<InactiveLayer>,
    /// Loss and correct answers over the whole validation set after it, where there is one.
    pub validation: Option<StepReport>,
    /// Training and validation.
    pub time: Duration,
}

/// A layer whose neurons (almost) never fired during an epoch, or (almost) always: it passes on
/// nothing of its input, and hardly any gradient, which is the commonest way in which a spiking
/// network fails to learn without an error. `Display` says what may help.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct InactiveLayer {
    /// From 0.
    pub layer: usize,
    /// Silent or saturated.
    pub activity: Activity,
    /// Its mean firing rate over the epoch, spikes per neuron and step.
    pub firing_rate: f64,
}

/// How a layer is inactive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Fewer than one spike in 10,000 neuron-steps, in every batch.
    Silent,
    /// A spike in more than nine of ten neuron-steps, in every batch. (Of the `T − 1` steps at which a
    /// neuron can fire in every order of events.)
    Saturated,
}

impl fmt::Display for InactiveLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, advice) = match self.activity {
            Activity::Silent => (
                "silent",
                "a lower threshold, a slower decay, larger weights or more steps may wake it",
            ),
            Activity::Saturated => (
                "saturated",
                "a higher threshold, a faster decay, smaller weights or a price on spikes may calm it",
            ),
        };
        let (layer, rate) = (self.layer + 1, self.firing_rate);
        write!(
            f,
            "layer {layer} was {state} for the whole epoch ({rate:.2e} spikes per neuron and step): {advice}"
        )
    }
}

/// The inactive layers of an epoch, from its batches.
fn inactive_layers(batches: &[BatchRecord], num_steps: usize) -> Vec<InactiveLayer> {
    let possible = match num_steps {
        0 | 1 => 1.0,
        steps => (steps - 1) as f64 / steps as f64,
    };
    let layers = batches.first().map_or(0, |b| b.report.firing_rate.len());
    let inactive = |layer: usize| {
        let rates = || batches.iter().map(|b| b.report.firing_rate[layer]);
        let activity = if rates().all(|rate| rate < 1e-4) {
            Activity::Silent
        } else if rates().all(|rate| rate > 0.9 * possible) {
            Activity::Saturated
        } else {
            return None;
        };
        Some(InactiveLayer {
            layer,
            activity,
            firing_rate: rates().sum::<f64>() / batches.len() as f64,
        })
    };
    (0..layers).filter_map(inactive).collect()
}

/// Everything that was measured during a run.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct History {
    /// Every training batch.
    pub batches: Vec<BatchRecord>,
    /// Every epoch.
    pub epochs: Vec<EpochRecord>,
}

impl History {
    /// The median time of a training step; zero before the first.
    pub fn median_step_time(&self) -> Duration {
        let mut times: Vec<Duration> = self.batches.iter().map(|b| b.step_time).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or_default()
    }
}

/// What a [`Trainer::fit`] callback is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A batch has been trained on.
    Batch {
        /// What came of it.
        record: &'a BatchRecord,
        /// Number of batches in each epoch.
        batches: usize,
    },
    /// An epoch is over, and validated.
    Epoch(&'a EpochRecord),
}

/// What a callback wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// End the run here; [`Trainer::fit`] returns what there is.
    Stop,
}

impl Trainer {
    /// Refuses settings that train nothing on this data.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a zero, or fewer samples than one batch.
    pub fn check(&self, train: &Dataset) -> Result<()> {
        for (name, value) in [
            ("epochs", self.epochs),
            ("num_steps", self.num_steps),
            ("batch_size", self.batch_size),
        ] {
            if value == 0 {
                return Err(Error::parameter(name, 0, "at least 1"));
            }
        }
        if train.len() < self.batch_size {
            let expected = format!("at least one batch of {}", self.batch_size);
            return Err(Error::parameter(
                "number of training samples",
                train.len(),
                expected,
            ));
        }
        Ok(())
    }

    /// Trains, validates after each epoch where there is a validation set, and calls back after
    /// every batch and every epoch. The callback may use the engine: to evaluate something else,
    /// or to take the network as it is then.
    ///
    /// ```
    /// # use ndarray::Array2;
    /// # use spikegrad::{Adam, Device, Leaky, Loss, Network, Trainer, data::Dataset};
    /// use spikegrad::train::{Event, Flow};
    /// # let images = Array2::from_shape_fn((8, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
    /// # let data = Dataset::new(images, (0..8).map(|b| b % 2).collect(), 2)?;
    /// # let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
    /// # let mut engine = Device::Cpu.engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-2))?;
    ///
    /// let trainer = Trainer { epochs: 3, batch_size: 4, ..Trainer::default() };
    /// let mut best = None;
    /// let history = trainer.fit(&mut *engine, &data, Some(&data), |engine, event| {
    ///     if let Event::Epoch(record) = event
    ///         && let (Some(validation), Ok(network)) = (&record.validation, engine.network())
    ///         && best.as_ref().is_none_or(|(loss, _)| validation.loss < *loss)
    ///     {
    ///         best = Some((validation.loss, network));
    ///     }
    ///     Flow::Continue
    /// })?;
    /// assert_eq!((history.batches.len(), history.epochs.len()), (6, 3));
    /// assert!(best.is_some());
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] as [`check`](Self::check); [`Error::Shape`] where training and
    /// validation images differ in size; whatever the engine reports, at once: the engine then holds
    /// the parameters from before the failing step.
    pub fn fit(
        &self,
        engine: &mut dyn Engine,
        train: &Dataset,
        validation: Option<&Dataset>,
        mut callback: impl FnMut(&mut dyn Engine, Event<'_>) -> Flow,
    ) -> Result<History> {
        self.check(train)?;
        if let Some(validation) = validation {
            check_alike(train, validation)?;
        }
        let mut history = History::default();
        let (mut batch, mut next) = (Batch::default(), Batch::default());
        for epoch in 0..self.epochs {
            let started = Instant::now();
            let mut batches = train
                .batches(self.batch_size)?
                .shuffled(self.seed, epoch as u64)
                .drop_last(true)?;
            let count = batches.len();
            let mut sum = 0.0;
            batches.next_into(&mut next);
            for index in 0..count {
                std::mem::swap(&mut batch, &mut next);
                let more = batches.next_into(&mut next);
                let step = Instant::now();
                if more {
                    let input = Input::constant(next.images.view(), self.num_steps);
                    engine.prefetch(input, &next.targets)?;
                }
                let input = Input::constant(batch.images.view(), self.num_steps);
                let report = engine.train_step(input, &batch.targets)?;
                sum += report.loss;
                let record = BatchRecord {
                    epoch,
                    batch: index,
                    report,
                    step_time: step.elapsed(),
                };
                let event = Event::Batch {
                    record: &record,
                    batches: count,
                };
                let flow = callback(engine, event);
                history.batches.push(record);
                if flow == Flow::Stop {
                    return Ok(history);
                }
            }
            let validation = validation
                .map(|data| self.evaluate(engine, data))
                .transpose()?;
            let trained = &history.batches[history.batches.len() - count..];
            let record = EpochRecord {
                epoch,
                train_loss: sum / count as f64,
                inactive: inactive_layers(trained, self.num_steps),
                validation,
                time: started.elapsed(),
            };
            let flow = callback(engine, Event::Epoch(&record));
            history.epochs.push(record);
            if flow == Flow::Stop {
                break;
            }
        }
        Ok(history)
    }

    /// Loss and correct answers over a whole data set, the last, smaller batch included; each
    /// sample counts the same.
    ///
    /// # Errors
    /// Whatever the engine reports.
    pub fn evaluate(&self, engine: &mut dyn Engine, data: &Dataset) -> Result<StepReport> {
        let mut total: Option<StepReport> = None;
        let mut batches = data.batches(self.batch_size)?;
        let mut batch = Batch::default();
        while batches.next_into(&mut batch) {
            let input = Input::constant(batch.images.view(), self.num_steps);
            let report = engine.evaluate(input, &batch.targets)?;
            total = Some(match total {
                Some(total) => total.merge(&report),
                None => report,
            });
        }
        total.ok_or_else(|| Error::parameter("number of samples", 0, "at least 1"))
    }
}

/// Refuses a validation set that a network for this training set cannot take, before the training.
fn check_alike(train: &Dataset, validation: &Dataset) -> Result<()> {
    if validation.features() != train.features() {
        return Err(Error::shape(
            "validation images",
            format!("[N, {}], as the training images", train.features()),
            &[validation.len(), validation.features()],
        ));
    }
    if validation.classes() > train.classes() {
        return Err(Error::parameter(
            "number of validation classes",
            validation.classes(),
            format!("at most the {} of the training set", train.classes()),
        ));
    }
    Ok(())
}
