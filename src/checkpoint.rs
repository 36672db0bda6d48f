//! Checkpoints: a run on disk that resumes to the same bits (feature `safetensors`).
//!
//! A [`Checkpoint`] holds everything a run depends on: parameters, the optimizer with its state, the
//! network's structure, the objective, the trainer's settings, the measurements so far, and the
//! program's own settings. It needs no random state: the order of an epoch is a function of its
//! number and the seed ([`Batches`](crate::data::Batches)), so the [`Position`] suffices.
//!
//! [`CheckpointDir`] keeps checkpoints in a folder that holds a whole one at every instant. Its
//! [`warnings`](CheckpointDir::warnings) list the guarantees that a network mount lacks.
//!
//! ```
//! # use ndarray::Array2;
//! # use spikegrad::data::Dataset;
//! # let images = Array2::from_shape_fn((32, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
//! # let data = Dataset::new(images, (0..32).map(|b| b % 2).collect(), 2)?;
//! # let dir = tempfile::tempdir().expect("a folder");
//! # let dir = dir.path().join("run");
//! use spikegrad::{Adam, Checkpoint, CheckpointDir, Device, History, Leaky, Loss, Network, Trainer};
//! use std::ops::ControlFlow;
//!
//! let trainer = Trainer { epochs: 3, batch_size: 4, ..Trainer::default() };
//! let run = |stop_after| -> spikegrad::Result<History> {
//!     let mut folder = CheckpointDir::open(&dir)?;
//!     let (mut engine, history) = match folder.load()? {
//!         Some(found) => (found.checkpoint.engine(Device::Auto)?, found.checkpoint.history),
//!         None => {
//!             let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
//!             let adam = Adam::new(1e-2);
//!             let engine = Device::Auto.engine(network, Loss::CrossEntropyMembrane, adam)?;
//!             (engine, History::default())
//!         }
//!     };
//!     let history = trainer.resume(&mut engine, &data, None, history, |engine, event| {
//!         let history = event.history();
//!         if history.batches.len() % 5 == 0 {
//!             folder.save_in_background(Checkpoint::new(engine, &trainer, history)?)?;
//!         }
//!         Ok(match history.batches.len() == stop_after {
//!             true => ControlFlow::Break(()),
//!             false => ControlFlow::Continue(()),
//!         })
//!     })?;
//!     folder.wait()?;
//!     Ok(history)
//! };
//! assert_eq!(run(11)?.batches.len(), 11); // as if it had been killed, the checkpoint at batch 10
//! assert_eq!(run(0)?.batches.len(), 24); // goes on at batch 10
//! # Ok::<(), spikegrad::Error>(())
//! ```
//!
//! # The file
//! A checkpoint is a safetensors file, so any safetensors reader can open it. Its metadata, all
//! text, has `format`, `version`, `crc32` and the configuration ([`Checkpoint::configuration`]).
//! Its tensors are the parameters under PyTorch's names, the optimizer's state as
//! `adam.exp_avg.fc1.weight`, `sgd.momentum_buffer.fc1.weight` …, and the history as columns
//! (`history.batch.loss` …). Numbers
//! are restored bit for bit. `crc32` is the CRC-32 of the rest of the file, as eight lower-case
//! hexadecimal digits: it detects every change within 32 adjacent bits, and any other change except
//! one in 2³². Equal states give equal files.
//!
//! Every version of this crate reads its own and all earlier versions of the format, and reports a
//! later version as an error.
//!
//! A file grows with the history by about 80 bytes per batch, and so does the cost of a save: see
//! [`Checkpoint::new`].

pub(crate) mod decode;
#[doc(hidden)]
pub mod disk;
mod encode;
mod file_tensors;
mod folder;
mod lock;
mod mount;
mod optimizer;
pub(crate) mod text;

use std::{collections::BTreeMap, path::Path};

pub use folder::{CheckpointDir, Found};

use crate::{
    Device, Engine, Error, History, Network, Objective, Optimizer, Result, Trainer, files,
    neuron::Neurons, train::Position, weights::describe::SIZES,
};

/// The current version of the format.
const VERSION: u32 = 2;

/// The value of the metadata's `format`.
pub(crate) const FORMAT: &str = "spikegrad checkpoint";

/// The text before the checksum's digits. No JSON string can contain it, since the quotes would be
/// escaped.
const CHECKSUM: &[u8] = br#""crc32":""#;

/// Length of the checksum's digits.
const DIGITS: usize = 8;

/// The tensor of each batch's learning rate, `[batches]`.
const RATES: &str = "history.batch.learning_rate";

/// The tensor of each batch's number of time steps, `[batches]`; missing if all are the trainer's.
const STEPS: &str = "history.batch.num_steps";

/// The tensors of measured gradients: norms `[M, layers]`, and their batches `[M]`, counted from 0
/// over all epochs.
const NORMS: &str = "history.batch.gradient_norms";
const MEASURED: &str = "history.batch.gradient_norms.batch";

/// The state of a run between two batches.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Structure and parameters.
    pub network: Network,
    /// The optimizer with its state.
    pub optimizer: Optimizer,
    /// The objective; `None` after loading if the loss was [custom](crate::Loss::custom), since a
    /// file cannot store one.
    pub objective: Option<Objective>,
    /// Settings of the run.
    pub trainer: Trainer,
    /// The next batch.
    pub position: Position,
    /// The measurements so far; may be empty if the program's own training loop keeps none.
    pub history: History,
    /// The program's own settings, by name.
    pub settings: BTreeMap<String, String>,
}

impl Checkpoint {
    /// Captures the current state of a run: the engine's parameters and moments (copied back from
    /// its device), the trainer's settings, and the history, which determines the position.
    ///
    /// Each save copies and writes the whole history. In a run of many hundred epochs the history
    /// outgrows the parameters; save less often then, for example once per epoch.
    ///
    /// # Errors
    /// [`Error::Device`] if they cannot be copied back.
    pub fn new(engine: &mut dyn Engine, trainer: &Trainer, history: &History) -> Result<Self> {
        Ok(Checkpoint {
            network: engine.to_network()?,
            optimizer: engine.to_optimizer()?,
            objective: Some(engine.objective().clone()),
            trainer: trainer.clone(),
            position: history.position(),
            history: history.clone(),
            settings: BTreeMap::new(),
        })
    }

    /// Adds the program's own settings: anything else that determines the result, such as the name
    /// of the data set.
    pub fn with_settings(mut self, settings: &BTreeMap<String, String>) -> Self {
        let pairs = settings.iter().map(|(k, v)| (k.clone(), v.clone()));
        self.settings.extend(pairs);
        self
    }

    /// Creates an engine on `device` that continues from this checkpoint.
    ///
    /// # Errors
    /// As [`Device::engine`]; [`Error::InvalidParameter`] if the loss was custom: pass it to
    /// [`Device::engine`] with the network and the optimizer.
    pub fn engine(&self, device: Device) -> Result<Box<dyn Engine>> {
        let objective = self.objective.clone().ok_or_else(|| {
            let expected = "a built-in loss: checkpoints do not store custom losses, so build the engine \
                            with it, the checkpoint's network and its optimizer";
            Error::parameter("loss of the checkpoint", "custom", expected)
        })?;
        let (network, optimizer) = (self.network.clone(), self.optimizer.clone());
        device.engine(network, objective, optimizer)
    }

    /// Everything that determines the result of the run, as text by name, except the parameters,
    /// the position and the number of epochs. Two runs with equal configurations and equal data are
    /// the same run.
    ///
    /// ```
    /// # use spikegrad::{Adam, Checkpoint, Device, History, Leaky, Loss, Network, Trainer};
    /// # let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
    /// # let mut engine = Device::Cpu.engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-2))?;
    /// let run = Checkpoint::new(&mut *engine, &Trainer::default(), &History::default())?;
    /// let configuration = run.configuration();
    /// assert_eq!(configuration["network.sizes"], "4 2");
    /// assert_eq!(configuration["layer1.beta"], "0.9");
    /// assert_eq!(configuration["adam.lr"], "0.01");
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn configuration(&self) -> BTreeMap<String, String> {
        text::configuration(self)
    }

    /// Checks that `run` has the same configuration as this checkpoint.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] with the first differing entry of
    /// [`configuration`](Self::configuration) and both values; one on which others depend comes first.
    pub fn check_same_run(&self, run: &Checkpoint) -> Result<()> {
        let (here, there) = (self.configuration(), run.configuration());
        // Those come first on which others depend: different sizes may mean different layers, and different
        // rules have different settings.
        let first = [SIZES, "optimizer", "schedule.warmup"].map(String::from);
        let names = first.iter().chain(here.keys()).chain(there.keys());
        let none = "nothing".to_string();
        for name in names {
            let (here, there) = (here.get(name), there.get(name));
            if here != there {
                let expected = format!("{}, as in the checkpoint", here.unwrap_or(&none));
                return Err(Error::parameter(name, there.unwrap_or(&none), expected));
            }
        }
        Ok(())
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// [`Error::NonFinite`] naming a parameter, moment or loss that is not finite;
    /// [`Error::InvalidParameter`] or [`Error::Shape`] if the parts do not match each other.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        encode::encode(self, &mut bytes)?;
        Ok(bytes)
    }

    /// Decodes the bytes of a file.
    ///
    /// # Errors
    /// [`Error::Format`] unless the bytes are a complete, undamaged checkpoint of a known version
    /// whose numbers are finite and in range and whose parts match each other.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes_with(bytes, &[])
    }

    /// Like [`from_bytes`](Self::from_bytes), but accepts the custom neurons in `known`. The file
    /// stores their names, settings and constants; the program supplies the equations.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes); [`Error::Format`] for neurons that are not in `known`
    /// or have different settings there.
    pub fn from_bytes_with(bytes: &[u8], known: &[Neurons]) -> Result<Self> {
        decode::decode(bytes, Path::new("checkpoint"), known).map_err(Error::from)
    }

    /// Reads one file.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read or is not a regular file; otherwise as
    /// [`from_bytes`](Self::from_bytes), with the path.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes =
            disk::Disk::read(&disk::Os, path).map_err(|e| files::failed("read", path, e))?;
        decode::decode(&bytes, path, &[]).map_err(Error::from)
    }
}
