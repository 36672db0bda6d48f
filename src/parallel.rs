//! Data parallelism: one network, trained by several processes over MPI, with the same bits for any number of
//! them.
//!
//! Each process runs the same program on the same data. [`Parallel`] wraps its engine: of each batch it computes
//! its own share, the processes add up their gradients, and all update alike. The rest of the program, such as a
//! [`Trainer`](crate::Trainer), stays as it is.
//!
//! ```no_run
//! # use ndarray::Array2;
//! use spikegrad::{Adam, Device, Leaky, Loss, Network, Parallel, Trainer, World, data::Dataset};
//! use std::ops::ControlFlow;
//! # let images = Array2::from_shape_fn((64, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
//! # let data = Dataset::new(images, (0..64).map(|b| b % 2).collect(), 2)?;
//!
//! let world = World::join(None)?; // one process, where `mpirun` has not started several
//! let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
//! let engine = world.device(Device::Auto).engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-2))?;
//! let mut engine = Parallel::new(world.clone(), engine)?;
//! let trainer = Trainer { epochs: 3, batch_size: 32, ..Trainer::default() };
//! trainer.fit(&mut engine, &data, Some(&data), |_, _| Ok(ControlFlow::Continue(())))?;
//! if world.rank() == 0 {
//!     println!("{:?}", engine.to_network()?);
//! }
//! # use spikegrad::Engine;
//! # Ok::<(), spikegrad::Error>(())
//! ```
//!
//! # Bits
//! A batch is cut into shards, 8 by default; a shard's gradients are summed as the engine sums those of a batch,
//! and those of the shards in a fixed binary tree. Each process has the same number of neighbouring shards. So
//! 1, 2, 4 or 8 processes give the same weights, moments and reports, and a run can go on with another number of
//! them. Another number of *shards* gives other bits, which is why a checkpoint should state it. With one shard,
//! and one process, a step is the engine's own. What an engine cannot promise for one process, such as the same
//! bits on other hardware, it does not promise for several.
//!
//! The loss must be a mean over samples. An activity penalty [`rate_l1`](crate::Objective::rate_l1) is a sum, and
//! refused; [`RatePenalty`](crate::RatePenalty) is a mean.
//!
//! # Failures
//! A process that fails in a step tells the others, and all return the error. A process that ends without a word
//! is noticed at the latest when the bound of [`World::join`] is over; `mpirun` usually ends the others at once.
//! [`World::abort`] ends all. See [the chapter](crate::docs::parallel) for the whole.

mod note;
mod numbers;
mod ordinary;
mod sharded;
mod shards;
mod slow;
mod wire;
mod world;

use std::collections::BTreeMap;

use ndarray::ArrayViewMut2;

use self::{sharded::Sharded, world::Checksum};
use crate::{
    Engine, Error, Float, Gradients, Input, Network, Objective, Optimizer, ReadOut, Record,
    Recording, Result, Samples, State, StepReport,
};

pub use self::world::World;

/// An engine whose batches are computed by several processes. See the [module](self).
///
/// Calls of its methods are *collective*, if they train, evaluate, or touch gradients or optimizer: all processes
/// make them in the same order with the same arguments. [`forward`](Engine::forward),
/// [`classify`](Engine::classify), [`scores`](Engine::scores) and [`to_network`](Engine::to_network) are not; every
/// process has all parameters.
///
/// A [`State`] is that of the whole batch; of it, a process reads and replaces its own samples only.
pub struct Parallel<F: Float = f32> {
    world: World,
    shards: usize,
    engine: Box<dyn Engine<F>>,
    /// `None` with one shard, where the engine does everything.
    sharded: Option<Sharded<F>>,
}

impl<F: Float> Parallel<F> {
    /// Wraps the engine of each process of a world, with 8 shards. Collective.
    ///
    /// # Errors
    /// As [`with_shards`](Self::with_shards).
    pub fn new(world: World, engine: Box<dyn Engine<F>>) -> Result<Self> {
        Self::with_shards(world, engine, shards::SHARDS)
    }

    /// The same with another number of shards: a power of two that is a multiple of the number of processes.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for another number, and for an activity penalty; [`Error::Process`] if the
    /// processes differ in the program, in shards, network, objective, optimizer or device.
    pub fn with_shards(
        world: World,
        mut engine: Box<dyn Engine<F>>,
        shards: usize,
    ) -> Result<Self> {
        shards::check(shards, world.size())?;
        if shards > 1 && engine.objective().rate_l1 != 0.0 {
            let expected =
                "0 with several shards: it is a sum over the batch, unlike a RatePenalty";
            return Err(Error::parameter(
                "rate_l1",
                engine.objective().rate_l1,
                expected,
            ));
        }
        let sharded = match shards {
            1 => None,
            _ => Some(Sharded::new(world.clone(), &mut *engine, shards)?),
        };
        let mut parallel = Parallel {
            world,
            shards,
            engine,
            sharded,
        };
        let settings = parallel.settings()?;
        parallel.world.check_same(&settings)?;
        Ok(parallel)
    }

    /// The number of shards.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// The processes.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// What must be the same on all processes.
    fn settings(&mut self) -> Result<BTreeMap<String, String>> {
        let description = self.engine.describe();
        let device = description.split(',').next().unwrap_or_default();
        let mut settings = BTreeMap::from([
            ("shards".to_string(), self.shards.to_string()),
            ("precision".into(), F::NAME.into()),
            ("device".into(), device.into()),
            ("objective".into(), format!("{:?}", self.engine.objective())),
        ]);
        if let Some(sharded) = &self.sharded {
            let optimizer = &sharded.optimizer;
            let rules = (&optimizer.rule, &optimizer.schedule, &optimizer.groups);
            let mut sum = Checksum::default();
            let params = sharded.params().iter();
            params.for_each(|x| sum.add(&x.as_f64().to_bits().to_le_bytes()));
            settings.extend([
                ("optimizer".into(), format!("{rules:?}")),
                ("clip_norm".into(), format!("{:?}", optimizer.clip_norm)),
                ("number of updates made".into(), optimizer.step.to_string()),
                (
                    "network's sizes".into(),
                    format!("{:?}", self.engine.to_network()?.sizes()),
                ),
                ("parameters' checksum".into(), format!("{:016x}", sum.0)),
            ]);
        }
        Ok(settings)
    }

    /// Runs a step of the engine alone.
    fn alone<R>(&mut self, step: impl FnOnce(&mut dyn Engine<F>) -> Result<R>) -> Result<R> {
        let done = step(&mut *self.engine);
        self.world.agree(self.world.own_raised());
        done
    }
}

impl<F: Float> Engine<F> for Parallel<F> {
    fn describe(&self) -> String {
        let (own, processes) = (self.engine.describe(), self.world.size());
        let s = if self.shards == 1 { "" } else { "s" };
        let es = if processes == 1 { "" } else { "es" };
        format!(
            "{own}; {processes} process{es}, {} shard{s} a batch",
            self.shards
        )
    }

    fn forward(&mut self, input: Input<'_, F>, record: &Record) -> Result<Recording<F>> {
        self.engine.forward(input, record)
    }

    fn forward_from(
        &mut self,
        state: &mut State<F>,
        input: Input<'_, F>,
        record: &Record,
    ) -> Result<Recording<F>> {
        self.engine.forward_from(state, input, record)
    }

    fn classify(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        self.engine.classify(input, read_out, classes)
    }

    fn scores(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        scores: ArrayViewMut2<'_, F>,
    ) -> Result<()> {
        self.engine.scores(input, read_out, scores)
    }

    fn evaluate(&mut self, samples: Samples<'_, F>) -> Result<StepReport> {
        match &mut self.sharded {
            Some(sharded) => sharded.evaluate(&mut *self.engine, samples),
            None => self.alone(|engine| engine.evaluate(samples)),
        }
    }

    fn gradients(&mut self, samples: Samples<'_, F>) -> Result<(f64, Gradients<F>)> {
        match &mut self.sharded {
            Some(sharded) => sharded.gradients(&mut *self.engine, samples),
            None => self.engine.gradients(samples),
        }
    }

    fn train_step(&mut self, samples: Samples<'_, F>) -> Result<StepReport> {
        match &mut self.sharded {
            Some(sharded) => sharded.train(&mut *self.engine, samples, None),
            None => self.alone(|engine| engine.train_step(samples)),
        }
    }

    fn train_step_from(
        &mut self,
        state: &mut State<F>,
        samples: Samples<'_, F>,
    ) -> Result<StepReport> {
        match &mut self.sharded {
            Some(sharded) => sharded.train(&mut *self.engine, samples, Some(state)),
            None => self.alone(|engine| engine.train_step_from(state, samples)),
        }
    }

    fn accumulate(&mut self, samples: Samples<'_, F>, weight: f64) -> Result<StepReport> {
        match &mut self.sharded {
            Some(sharded) => sharded.accumulate(&mut *self.engine, samples, None, weight),
            None => self.alone(|engine| engine.accumulate(samples, weight)),
        }
    }

    fn accumulate_from(
        &mut self,
        state: &mut State<F>,
        samples: Samples<'_, F>,
        weight: f64,
    ) -> Result<StepReport> {
        match &mut self.sharded {
            Some(sharded) => sharded.accumulate(&mut *self.engine, samples, Some(state), weight),
            None => self.alone(|engine| engine.accumulate_from(state, samples, weight)),
        }
    }

    fn gradients_mut(
        &mut self,
        edit: &mut dyn FnMut(&mut Gradients<F>) -> Result<()>,
    ) -> Result<()> {
        match &mut self.sharded {
            Some(sharded) => sharded.edit(&mut *self.engine, edit),
            None => self.engine.gradients_mut(edit),
        }
    }

    fn update(&mut self) -> Result<()> {
        match &mut self.sharded {
            Some(sharded) => sharded.update_accumulated(&mut *self.engine),
            None => self.alone(|engine| engine.update()),
        }
    }

    fn clear_gradients(&mut self) {
        match &mut self.sharded {
            Some(sharded) => sharded.clear(),
            None => self.engine.clear_gradients(),
        }
    }

    /// A process computes shards one by one, which are not announced.
    fn prefetch(&mut self, samples: Samples<'_, F>) -> Result<()> {
        match &self.sharded {
            Some(_) => Ok(()),
            None => self.engine.prefetch(samples),
        }
    }

    fn measure_gradients(&mut self, on: bool) {
        match &mut self.sharded {
            Some(sharded) => sharded.measures = on,
            None => self.engine.measure_gradients(on),
        }
    }

    fn to_network(&mut self) -> Result<Network<F>> {
        self.engine.to_network()
    }

    fn set_network(&mut self, network: Network<F>) -> Result<()> {
        self.engine.set_network(network)?;
        match &mut self.sharded {
            Some(sharded) => sharded.read_parameters(&mut *self.engine),
            None => Ok(()),
        }
    }

    fn objective(&self) -> &Objective<F> {
        self.engine.objective()
    }

    fn to_optimizer(&mut self) -> Result<Optimizer<F>> {
        match &mut self.sharded {
            Some(sharded) => sharded.whole_optimizer(&mut *self.engine),
            None => self.engine.to_optimizer(),
        }
    }

    fn set_optimizer(&mut self, optimizer: Optimizer<F>) -> Result<()> {
        match &mut self.sharded {
            Some(sharded) => sharded.set_optimizer(&mut *self.engine, optimizer),
            None => self.engine.set_optimizer(optimizer),
        }
    }

    fn learning_rate(&self) -> f64 {
        match &self.sharded {
            Some(sharded) => sharded.optimizer.learning_rate(),
            None => self.engine.learning_rate(),
        }
    }

    fn set_learning_rate(&mut self, lr: f64) -> Result<()> {
        let Some(sharded) = &mut self.sharded else {
            return self.engine.set_learning_rate(lr);
        };
        let mut changed = sharded.optimizer.clone();
        changed.rule.set_lr(lr);
        changed.check()?;
        sharded.optimizer = changed;
        Ok(())
    }
}
