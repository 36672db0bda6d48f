//! Checkpoints: a run on disk, from which it goes on to the same bits (feature `safetensors`).
//!
//! A [`Checkpoint`] holds all that a run depends on: parameters, Adam's moments and settings, the
//! network's structure, the objective, the trainer's settings, what was measured so far, and
//! settings of the program's own. There is no state of a random generator in it, because a run
//! carries none: the order of an epoch is a function of its number and the seed
//! ([`Batches`](crate::data::Batches)), so the [`Position`] says it all.
//!
//! [`CheckpointDir`] keeps checkpoints in a folder, so that at every instant a whole one is there. Its
//! [`warnings`](CheckpointDir::warnings) tell what a network mount does not offer.
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
//! A safetensors file, so that any reader of those can look into it. Its metadata, all text, has
//! `format`, `version`, `crc32` and the configuration ([`Checkpoint::configuration`]); its tensors are
//! the parameters by PyTorch's names, the moments as `adam.exp_avg.fc1.weight` and
//! `adam.exp_avg_sq.fc1.weight` …, and the history as columns (`history.batch.loss` …).
//! Numbers come back with the very same bits. `crc32` is the CRC-32 of every other byte of the file,
//! as eight lower-case digits: a change within 32 neighbouring bits is always noticed, any other but
//! for one in 2³². Equal states give equal files.
//!
//! Every version of this crate reads the versions of the format up to its own, and says so of a later
//! one.
//!
//! A file grows with the history, by some 70 bytes a batch, and so does what a save costs: see
//! [`Checkpoint::new`].

pub(crate) mod decode;
#[doc(hidden)]
pub mod disk;
mod encode;
mod folder;
mod lock;
mod mount;
pub(crate) mod text;

use std::{collections::BTreeMap, path::Path};

pub use folder::{CheckpointDir, Found};

use crate::{
    Adam, Device, Engine, Error, History, Network, Objective, Result, Trainer, files,
    neuron::Neurons, train::Position, weights::describe::SIZES,
};

/// The version of the format that is written.
const VERSION: u32 = 1;

/// The value of the metadata's `format`.
pub(crate) const FORMAT: &str = "spikegrad checkpoint";

/// What stands before the checksum's digits; no JSON string can hold it, since it would escape the
/// quotes.
const CHECKSUM: &[u8] = br#""crc32":""#;

/// Length of the checksum's digits.
const DIGITS: usize = 8;

/// What stands before a parameter's name in those of its moments, by PyTorch's names of them.
const FIRST: &str = "adam.exp_avg.";
const SECOND: &str = "adam.exp_avg_sq.";

/// The tensors of measured gradients: norms `[M, layers]`, and the batches `[M]` that they are of,
/// counted from 0 over all epochs.
const NORMS: &str = "history.batch.gradient_norms";
const MEASURED: &str = "history.batch.gradient_norms.batch";

/// A run as it stands between two batches.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Structure and parameters.
    pub network: Network,
    /// The optimizer with its moments.
    pub adam: Adam,
    /// What is trained by; `None` after loading if it was a [custom](crate::Loss::custom) loss, which
    /// no file can hold.
    pub objective: Option<Objective>,
    /// Settings of the run.
    pub trainer: Trainer,
    /// The batch that comes next.
    pub position: Position,
    /// What was measured so far; may be empty, where a loop of one's own keeps none.
    pub history: History,
    /// Settings of the program's own, by name.
    pub settings: BTreeMap<String, String>,
}

impl Checkpoint {
    /// What a run is now: the engine's parameters and moments (brought back from its device), the
    /// trainer's settings, and the history up to here, from which the position follows.
    ///
    /// The history is copied, and written again by each save. In a run of many hundred epochs, in
    /// which that comes to more than the parameters do, save less often: once an epoch, say.
    ///
    /// # Errors
    /// [`Error::Device`] where they cannot be brought back.
    pub fn new(engine: &mut dyn Engine, trainer: &Trainer, history: &History) -> Result<Self> {
        Ok(Checkpoint {
            network: engine.to_network()?,
            adam: engine.to_optimizer()?,
            objective: Some(engine.objective().clone()),
            trainer: trainer.clone(),
            position: history.position(),
            history: history.clone(),
            settings: BTreeMap::new(),
        })
    }

    /// Adds settings of the program's own: what else decides the result, such as the data's name.
    pub fn with_settings(mut self, settings: &BTreeMap<String, String>) -> Self {
        let pairs = settings.iter().map(|(k, v)| (k.clone(), v.clone()));
        self.settings.extend(pairs);
        self
    }

    /// An engine on `device` that goes on from here.
    ///
    /// # Errors
    /// As [`Device::engine`]; [`Error::InvalidParameter`] where the loss was a custom one: give it to
    /// [`Device::engine`] with the network and the optimizer.
    pub fn engine(&self, device: Device) -> Result<Box<dyn Engine>> {
        let objective = self.objective.clone().ok_or_else(|| {
            let expected = "a built-in one: a custom loss is not in a checkpoint, so build the engine \
                            with it, the checkpoint's network and its optimizer";
            Error::parameter("loss of the checkpoint", "custom", expected)
        })?;
        device.engine(self.network.clone(), objective, self.adam.clone())
    }

    /// All that decides the result of the run, as text by name, but for the parameters themselves,
    /// the position, and the number of epochs. Two runs with equal configurations and equal data are
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

    /// Refuses to go on with another configuration than this checkpoint's.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] with the first name of [`configuration`](Self::configuration) that
    /// differs, its value in `run`, and the one here.
    pub fn check_same_run(&self, run: &Checkpoint) -> Result<()> {
        let (here, there) = (self.configuration(), run.configuration());
        // Other sizes may mean other layers: they come first.
        let sizes = SIZES.to_string();
        let names = [&sizes].into_iter().chain(here.keys()).chain(there.keys());
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

    /// The whole file, as it is written.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a parameter, moment or loss that is not finite, by name;
    /// [`Error::InvalidParameter`] or [`Error::Shape`] where the parts do not fit each other.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        encode::encode(self, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads a whole file's bytes.
    ///
    /// # Errors
    /// [`Error::Format`] for anything but a whole, undamaged checkpoint of a known version whose
    /// numbers are finite and in range, and whose parts fit each other.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        Self::from_bytes_with(bytes, &[])
    }

    /// The same, where the network may have neurons of the program's own: those that the program
    /// knows. The file has their names, settings and constants; the equations are the program's.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes); [`Error::Format`] for neurons that are not among `known`,
    /// or that have other settings there.
    pub fn from_bytes_with(bytes: &[u8], known: &[Neurons]) -> Result<Self> {
        decode::decode(bytes, Path::new("checkpoint"), known).map_err(Error::from)
    }

    /// Reads one file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, or is no regular file; else as
    /// [`from_bytes`](Self::from_bytes), with the path.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes =
            disk::Disk::read(&disk::Os, path).map_err(|e| files::failed("read", path, e))?;
        decode::decode(&bytes, path, &[]).map_err(Error::from)
    }
}
