//! The processes that train together, with the feature `mpi`: the first one reports, plots and writes, all
//! compute. Without the feature there is one.

use std::{cell::Cell, collections::BTreeMap, process::ExitCode};

use spikegrad::{Device, Engine, Result};

use crate::{args::Args, report};

/// Raised where a checkpoint could not be written: all end their run. Signals have lower numbers.
pub const UNSAVED: u32 = 1000;

/// The processes, as this one sees them.
pub struct Processes {
    #[cfg(feature = "mpi")]
    world: spikegrad::World,
    #[cfg(feature = "mpi")]
    others: Option<spikegrad::World>,
    /// What this process has raised.
    own: Cell<u32>,
    /// Shards of a batch.
    pub shards: usize,
}

#[cfg(feature = "mpi")]
impl Processes {
    /// Those that `mpirun` has started; or one.
    pub fn join(args: Option<&Args>) -> Result<Processes> {
        let seconds = args.and_then(|args| args.patience);
        let bound = seconds.map(|seconds| std::time::Duration::from_secs(seconds as u64));
        let world = spikegrad::World::join(bound)?;
        let usual = if world.is_launched() { 8 } else { 1 };
        let shards = args.and_then(|args| args.shards);
        Ok(Processes {
            shards: shards.unwrap_or(usual),
            own: Cell::new(0),
            others: None,
            world,
        })
    }

    /// One process of several, on its own; it tells the `others` now and then that it is alive.
    pub fn apart(shards: usize, others: &spikegrad::World) -> Processes {
        Processes {
            world: spikegrad::World::alone(),
            others: Some(others.clone()),
            own: Cell::new(0),
            shards,
        }
    }

    /// Tells others that this process is alive, if it works apart from them.
    pub fn beat(&self) -> Result<()> {
        self.others.as_ref().map_or(Ok(()), spikegrad::World::beat)
    }

    /// All of them.
    pub fn world(&self) -> &spikegrad::World {
        &self.world
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.world.size()
    }

    /// Whether this is the one that reports and writes.
    pub fn first(&self) -> bool {
        self.world.rank() == 0
    }

    /// The device of this process.
    pub fn device(&self, device: Device) -> Device {
        self.world.device(device)
    }

    /// An engine that all processes drive together.
    pub fn engine(&self, engine: Box<dyn Engine>) -> Result<Box<dyn Engine>> {
        if self.count() == 1 && self.shards == 1 {
            return Ok(engine);
        }
        let world = self.world.clone();
        let engine = spikegrad::Parallel::with_shards(world, engine, self.shards)?;
        Ok(Box::new(engine))
    }

    /// Refuses a process with other options or data.
    pub fn check_same(&self, settings: &BTreeMap<String, String>) -> Result<()> {
        if self.count() == 1 {
            return Ok(());
        }
        let mut settings = settings.clone();
        let options: Vec<String> = std::env::args().skip(1).collect();
        settings.insert("the command line".into(), options.join(" "));
        self.world.check_same(&settings)
    }

    /// The bytes that the first process has.
    pub fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        self.world.broadcast(bytes)
    }

    /// Asks all to end their run, after their next step.
    pub fn raise(&self, reason: u32) {
        self.own.set(reason.max(self.own.get()));
        self.world.raise(reason);
    }

    /// Why the run ends here, on all processes alike; 0 while it goes on.
    pub fn raised(&self) -> u32 {
        match self.count() {
            1 => self.own.get(),
            _ => self.world.raised(),
        }
    }

    /// Prints what was noticed.
    pub fn warn(&self) {
        let warnings = self.world.warnings();
        if self.first() {
            warnings
                .iter()
                .for_each(|warning| report::line("warning", warning));
        }
    }

    /// Ends all processes after an error.
    pub fn fail(&self, code: u8, message: &str) -> ExitCode {
        match self.count() {
            1 => report::error(message),
            _ => self.world.abort(code, || match self.first() {
                true => report::error(message),
                false => report::error(&format!("rank {}: {message}", self.world.rank())),
            }),
        }
        ExitCode::from(code)
    }
}

#[cfg(not(feature = "mpi"))]
impl Processes {
    pub fn join(_: Option<&Args>) -> Result<Processes> {
        Ok(Processes {
            own: Cell::new(0),
            shards: 1,
        })
    }

    pub fn count(&self) -> usize {
        1
    }

    pub fn first(&self) -> bool {
        true
    }

    pub fn device(&self, device: Device) -> Device {
        device
    }

    pub fn engine(&self, engine: Box<dyn Engine>) -> Result<Box<dyn Engine>> {
        Ok(engine)
    }

    pub fn check_same(&self, _: &BTreeMap<String, String>) -> Result<()> {
        Ok(())
    }

    pub fn broadcast(&self, bytes: Vec<u8>) -> Result<Vec<u8>> {
        Ok(bytes)
    }

    pub fn raise(&self, reason: u32) {
        self.own.set(reason.max(self.own.get()));
    }

    pub fn raised(&self) -> u32 {
        self.own.get()
    }

    pub fn warn(&self) {}

    pub fn beat(&self) -> Result<()> {
        Ok(())
    }

    pub fn fail(&self, code: u8, message: &str) -> ExitCode {
        report::error(message);
        ExitCode::from(code)
    }
}
