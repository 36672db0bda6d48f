//! Weights as safetensors files, by PyTorch's names and shapes (feature `safetensors`).
//!
//! The tensors are `fc1.weight [out, in]`, `fc1.bias [out]`, …, and where they are learnt `lif1.beta`
//! and `lif1.threshold`: what `safetensors.torch.load_file` reads and the `load_state_dict` of a class
//! with layers `fc1`, `fc2`, … takes. The metadata describe the neurons, so that weights are not loaded
//! into others by mistake. It is not a checkpoint: the optimizer's state is not in it.
//!
//! - [`Network::save_safetensors`] writes a file.
//! - [`Network::load`] makes the network that a file describes.
//! - [`Network::load_safetensors`] loads a file into a network that is built already, also one that
//!   PyTorch or snnTorch wrote, and refuses other neurons; [`Network::load_safetensors_with`] takes the
//!   file's neurons, or keeps the network's.
//!
//! # The metadata
//! All values are text. `spikegrad.weights` is the version of this description, 1; `format` is `pt`, as
//! other readers of PyTorch's tensors expect. `network.sizes` has inputs and neurons of each layer
//! (`784 1000 10`). For each layer there are `lif1.beta` and `lif1.threshold` (`0.95`, or
//! `[0.95, 0.9]` with one number for each neuron; the initial ones where they are learnt),
//! `lif1.learn_beta`, `lif1.learn_threshold`, `lif1.dynamics`, `lif1.reset`, `lif1.detach_reset` and
//! `lif1.surrogate`. Numbers come back with the very same bits.
//!
//! # Files of snnTorch
//! A `state_dict` with snnTorch's neurons `lif1`, `lif2`, … holds their settings as tensors, mostly
//! scalars: a shape of `[]` is read as `[1]`. Of each layer's tensors `lifK.…`
//!
//! - `beta` and `threshold` are parameters where the network learns them, else compared with its own;
//! - `reset_mechanism_val` (0, 1, 2) is compared with the network's reset; it also says that the neuron
//!   is one of snnTorch's, which never [fire before they integrate](crate::Dynamics::FireThenIntegrate);
//! - `graded_spikes_factor` must be 1, since spikes are 1 here;
//! - `mem` is a state, not a setting, and is ignored: a network starts at 0;
//! - any other belongs to another kind of neuron than [`Leaky`](crate::Leaky), and is refused as
//!   unexpected.
//!
//! Such a file does not record the surrogate, nor whether the reset is detached: the network keeps its
//! own.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

pub(crate) mod describe;
pub(crate) mod header;
mod neurons;
mod source;

use std::{collections::BTreeMap, fs, path::Path};

use ndarray::ArrayViewD;

use crate::{Float, Network, Result, files};
use header::{Entry, START};
use source::Source;

/// Bytes of a file for each parameter, at most: in double precision, with Adam's moments beside it.
const BYTES_PER_PARAMETER: u64 = 24;

/// Bytes of metadata for each neuron, at most: its decay and its threshold.
const BYTES_PER_NEURON: u64 = 64;

/// Bytes that a file may hold besides.
const MARGIN: u64 = 16 << 20;

/// The entry of the metadata that marks the description of a network, and the description's version.
const MARK: &str = "spikegrad.weights";
const VERSION: &str = "1";

/// What stands before a layer's number in the names of its settings.
const LIF: &str = "lif";

/// What to do where a file describes other neurons than the network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mismatch {
    /// Refuse the file. Decay, threshold, order of events, reset, detachment and surrogate are
    /// compared, if the file has them. A decay or threshold that the network learns is a parameter: it
    /// is loaded, not compared. Whether the file's was learnt does not matter.
    #[default]
    Refuse,
    /// Give the network the file's neurons: every setting that the file has.
    TakeOver,
    /// Keep the network's neurons, and load the parameters alone.
    Keep,
}

impl<F: Float> Network<F> {
    /// Writes all trained tensors to a file, in this network's precision, and describes the neurons in
    /// its metadata. Equal networks give equal files.
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) with the path, where it cannot be written;
    /// [`Error::InvalidParameter`](crate::Error::InvalidParameter) where the neurons' constants are
    /// more than the format's header may hold (100 MB).
    pub fn save_safetensors(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        fs::write(path, self.to_safetensors()?).map_err(|e| files::failed("write", path, e))
    }

    fn to_safetensors(&self) -> Result<Vec<u8>> {
        let (dtype, width) = match F::NAME {
            "f32" => ("F32", 4_usize),
            _ => ("F64", 8),
        };
        let tensors: BTreeMap<String, ArrayViewD<'_, F>> = self.parameters().into_iter().collect();
        let entries = tensors.iter().map(|(name, values)| Entry {
            name,
            dtype,
            shape: values.shape(),
            len: values.len().saturating_mul(width),
        });
        let mut metadata = describe::describe(self, LIF);
        metadata.insert(MARK.into(), VERSION.into());
        metadata.insert("format".into(), "pt".into());
        let what = "the weights, which holds the neurons' constants";
        let header = header::header(what, &metadata, entries)?;
        let parameters = self.num_parameters().saturating_mul(width);
        let length = parameters
            .saturating_add(header.len())
            .saturating_add(START);
        let mut bytes = Vec::with_capacity(length);
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header.as_bytes());
        for value in tensors.values().flat_map(|values| values.iter()) {
            match dtype {
                "F32" => bytes.extend(f32::from_f64(value.as_f64()).to_le_bytes()),
                _ => bytes.extend(value.as_f64().to_le_bytes()),
            }
        }
        Ok(bytes)
    }

    /// The network that a file describes, which [`save_safetensors`](Self::save_safetensors) has
    /// written, or a [checkpoint](crate::checkpoint): structure, neurons and parameters.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().expect("a folder");
    /// # let path = dir.path().join("model.safetensors");
    /// use spikegrad::{Leaky, Network};
    ///
    /// let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
    /// network.save_safetensors(&path)?;
    /// let loaded: Network = Network::load(&path)?;
    /// assert_eq!(loaded, network);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) where it cannot be read;
    /// [`Error::Format`](crate::Error::Format) where it is not a safetensors file, does not describe a
    /// network (build one then, and use [`load_safetensors`](Self::load_safetensors)), or its tensors
    /// and its description do not fit each other or are out of range;
    /// [`Error::Tensors`](crate::Error::Tensors) where tensors are missing or unexpected.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = files::read(path, u64::MAX)?;
        Source::new(path, &bytes, true, &[])?.build()
    }

    /// Replaces all trained tensors by those of a file, `f32` or `f64`, whose neurons must be this
    /// network's: as [`load_safetensors_with`](Self::load_safetensors_with) with
    /// [`Mismatch::Refuse`].
    ///
    /// A file from PyTorch does not describe its neurons: nothing is compared.
    ///
    /// # Errors
    /// As [`load_safetensors_with`](Self::load_safetensors_with).
    pub fn load_safetensors(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.load_safetensors_with(path, Mismatch::default())
    }

    /// Replaces all trained tensors by those of a file, `f32` or `f64`; `mismatch` says what to do
    /// where the file describes other neurons than this network has. In a file that spikegrad wrote,
    /// the metadata describe them; in one of snnTorch's, tensors do. A decay or threshold that this
    /// network learns, but the file's network did not, is taken from the description.
    ///
    /// Tensors by other names than `fcK.…` and `lifK.…` are ignored, up to a size: a file of more than
    /// 24 bytes for each parameter, 64 for each neuron and 16 MiB is refused unread.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().expect("a folder");
    /// # let path = dir.path().join("model.safetensors");
    /// use spikegrad::{Leaky, Mismatch, Network};
    ///
    /// let build = |beta| Network::builder(4).layer(2, Leaky::new(beta)).build::<f32>();
    /// build(0.9)?.save_safetensors(&path)?;
    /// let mut network = build(0.95)?;
    /// let error = network.load_safetensors(&path).unwrap_err();
    /// assert!(error.to_string().contains("lif1.beta is 0.9 in the file; expected 0.95"));
    /// network.load_safetensors_with(&path, Mismatch::TakeOver)?;
    /// assert_eq!(network.layers()[0].constant("beta").unwrap()[0], 0.9);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`](crate::Error::Io) where it cannot be read;
    /// [`Error::Tensors`](crate::Error::Tensors) where tensors are missing, or there are some of layers
    /// that this network does not have; [`Error::Format`](crate::Error::Format) where it is not a
    /// safetensors file or too large for this network, its neurons are others, or a tensor is of
    /// another type or shape, or holds a NaN or an infinity. The network is unchanged then.
    pub fn load_safetensors_with(
        &mut self,
        path: impl AsRef<Path>,
        mismatch: Mismatch,
    ) -> Result<()> {
        let path = path.as_ref();
        let parameters = (self.num_parameters() as u64).saturating_mul(BYTES_PER_PARAMETER);
        let neurons = self.layers().iter().map(|layer| layer.neurons() as u64);
        let neurons = neurons.fold(0, u64::saturating_add);
        let limit = neurons
            .saturating_mul(BYTES_PER_NEURON)
            .saturating_add(parameters)
            .saturating_add(MARGIN);
        let bytes = files::read(path, limit)?;
        let known: Vec<_> = self
            .layers()
            .iter()
            .map(|layer| layer.neuron.clone())
            .collect();
        let source = Source::new(path, &bytes, mismatch != Mismatch::Keep, &known)?;
        let mut loaded = self.clone();
        source.load_into(&mut loaded, mismatch)?;
        *self = loaded;
        Ok(())
    }
}
