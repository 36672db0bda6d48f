//! Weights as safetensors files, with PyTorch's names and shapes (feature `safetensors`).
//!
//! The tensors are `fc1.weight [out, in]`, `fc1.bias [out]`, …, and, if learned, `lif1.beta` and
//! `lif1.threshold`. `safetensors.torch.load_file` and the `load_state_dict` of a class with layers
//! `fc1`, `fc2`, … can read them. The metadata describe the neurons, so that weights are not loaded
//! into different neurons by mistake. The file is not a checkpoint: it does not include the
//! optimizer's state.
//!
//! - [`Network::save_safetensors`] writes a file.
//! - [`Network::load`] rebuilds the network that a file describes.
//! - [`Network::load_safetensors`] loads a file, including one from PyTorch or snnTorch, into an
//!   existing network and rejects different neurons. [`Network::load_safetensors_with`] adopts the
//!   file's neurons or keeps the network's.
//!
//! # The metadata
//! All values are text. `spikegrad.weights` is the version of this description, 1; `format` is
//! `pt`, as other readers of PyTorch tensors expect. `network.sizes` has the numbers of inputs and
//! of neurons per layer (`784 1000 10`). Each layer has `lif1.beta` and `lif1.threshold` (`0.95`,
//! or `[0.95, 0.9]` with one number per neuron; the initial values if they are learned),
//! `lif1.learn_beta`, `lif1.learn_threshold`, `lif1.dynamics`, `lif1.reset`, `lif1.detach_reset`
//! and `lif1.surrogate`. Numbers are restored bit for bit.
//!
//! # Files of snnTorch
//! A `state_dict` with snnTorch's neurons `lif1`, `lif2`, … stores their settings as tensors,
//! mostly scalars: a shape of `[]` is read as `[1]`. The tensors `lifK.…` of each layer are handled
//! as follows:
//!
//! - `beta` and `threshold` are loaded if the network learns them, otherwise compared with its
//!   values;
//! - `reset_mechanism_val` (0, 1, 2) is compared with the network's reset; it also marks an
//!   snnTorch neuron, which never [fires before it integrates](crate::Dynamics::FireThenIntegrate);
//! - `graded_spikes_factor` must be 1, since spikes are 1 here;
//! - `mem` is a state, not a setting, and is ignored: membranes start where the network's do;
//! - any other tensor belongs to a neuron other than [`Leaky`](crate::Leaky) and is rejected as
//!   unexpected.
//!
//! Such a file records neither the surrogate nor the detachment of the reset; the network keeps its
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

use std::{collections::BTreeMap, path::Path};

use ndarray::ArrayViewD;

use crate::{Float, Network, Result, files};
use header::{Entry, START};
use source::Source;

/// Maximum bytes of a file per parameter: in double precision, with Adam's moments.
const BYTES_PER_PARAMETER: u64 = 24;

/// Maximum bytes of metadata per neuron: its decay and its threshold.
const BYTES_PER_NEURON: u64 = 64;

/// Additional bytes allowed in a file.
const MARGIN: u64 = 16 << 20;

/// The entry of the metadata that marks the description of a network, and the description's version.
const MARK: &str = "spikegrad.weights";
const VERSION: &str = "1";

/// The prefix of the layer number in the names of settings.
const LIF: &str = "lif";

/// What to do if a file describes different neurons than the network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mismatch {
    /// Reject the file. Decay, threshold, order of events, reset, detachment and surrogate are
    /// compared if the file has them. A decay or threshold that the network learns is a parameter:
    /// it is loaded, not compared, whether or not it was learned in the file.
    #[default]
    Refuse,
    /// Adopt the file's neurons: every setting that the file has.
    TakeOver,
    /// Keep the network's neurons and load only the parameters.
    Keep,
}

impl<F: Float> Network<F> {
    /// Writes all trained tensors to a file, in this network's precision, and describes the neurons in
    /// its metadata. Equal networks give equal files. The file is written under a temporary name in the
    /// same folder and then renamed, so a file that was there before survives a failure.
    ///
    /// # Errors
    /// [`Error::NonFinite`](crate::Error::NonFinite) if a parameter is NaN or infinite, which no reader
    /// accepts; [`Error::Io`](crate::Error::Io) with the path, if the file cannot be written;
    /// [`Error::InvalidParameter`](crate::Error::InvalidParameter) if the neurons' constants exceed
    /// the header size of the format (100 MB).
    pub fn save_safetensors(&self, path: impl AsRef<Path>) -> Result<()> {
        self.check_finite("")?;
        files::replace(path.as_ref(), &self.to_safetensors()?)
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
        let what = "the weights, with the neurons' constants";
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

    /// Rebuilds the network described by a file from [`save_safetensors`](Self::save_safetensors)
    /// or by a [checkpoint](crate::checkpoint): structure, neurons and parameters.
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
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read;
    /// [`Error::Format`](crate::Error::Format) if it is not a safetensors file, does not describe a
    /// network (then build one and use [`load_safetensors`](Self::load_safetensors)), or its
    /// tensors and its description do not match or are out of range;
    /// [`Error::Tensors`](crate::Error::Tensors) if tensors are missing or unexpected.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = files::read(path, u64::MAX)?;
        Source::new(path, &bytes, true, &[])?.build()
    }

    /// Replaces all trained tensors with those of a file, `f32` or `f64`, whose neurons must match
    /// this network's: [`load_safetensors_with`](Self::load_safetensors_with) with
    /// [`Mismatch::Refuse`].
    ///
    /// Files from PyTorch do not describe their neurons, so nothing is compared.
    ///
    /// # Errors
    /// As [`load_safetensors_with`](Self::load_safetensors_with).
    pub fn load_safetensors(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.load_safetensors_with(path, Mismatch::default())
    }

    /// Replaces all trained tensors with those of a file, `f32` or `f64`; `mismatch` says what to
    /// do if the file describes different neurons. Files from spikegrad describe them in the
    /// metadata, files from snnTorch in tensors. A decay or threshold that only this network learns
    /// is taken from the description.
    ///
    /// Tensors with names other than `fcK.…` and `lifK.…` are ignored, up to a limit: a file larger
    /// than 24 bytes per parameter plus 64 per neuron plus 16 MiB is rejected unread.
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
    /// [`Error::Io`](crate::Error::Io) if the file cannot be read;
    /// [`Error::Tensors`](crate::Error::Tensors) if tensors are missing or belong to layers that
    /// this network does not have; [`Error::Format`](crate::Error::Format) if it is not a
    /// safetensors file or too large for this network, its neurons differ, or a tensor has the
    /// wrong type or shape or contains NaN or infinity. On error the network is unchanged.
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
