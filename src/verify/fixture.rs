//! Reads a fixture: a safetensors file with an input, parameters, and what another library computed
//! of them. [`docs::port`](crate::docs::port) describes the format.
//!
//! Everything is checked here: unknown metadata or tensors, missing ones, wrong shapes and types are
//! errors that name the file and the entry. Nothing is computed here.

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

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use ndarray::{Array2, Array3, ArrayD, Ix2, Ix3, IxDyn};
use safetensors::{Dtype, SafeTensors};

use super::{
    Tensors,
    metadata::{Metadata, Wrong},
};
use crate::{
    Adam, Error, Float, Loss, Network, Objective, Result,
    data::{Batch, Dataset},
    files,
    synapses::Recurrence,
    tensors,
};

/// The longest file that is read.
const MAX_FILE: u64 = 256 << 20;

type Checked<T> = std::result::Result<T, Wrong>;

/// A file with an input, parameters, and what another library computed of them.
///
/// ```
/// use spikegrad::{CpuEngine, verify::Fixture};
///
/// let fixture = Fixture::load("tests/fixtures/reset_tutorial5.safetensors")?;
/// // This file describes its network; `fill` takes the parameters into a network of the program.
/// let network = fixture.network().expect("sizes, decays, thresholds, rule").cast();
/// let mut engine = CpuEngine::new(network, fixture.objective(), fixture.adam())?;
/// let report = fixture.check(&mut engine)?;
/// assert!(report.passes(), "{report}");
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fixture {
    path: PathBuf,
    name: String,
    network: Option<Network<f64>>,
    pub(super) source: Source,
    num_steps: usize,
    targets: Vec<usize>,
    /// Where it is stated.
    pub(super) loss: Option<Loss<f64>>,
    /// Where it is stated.
    pub(super) rate_l1: Option<f64>,
    adam: Adam,
    updates: usize,
    rounded_gradients: bool,
    pub(super) single: bool,
    parameters: Tensors,
    expected: Tensors,
}

/// Where the input comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// `[B, n_in]`, at every step.
    Constant(Array2<f64>),
    /// `[T, B, n_in]`.
    Sequence(Array3<f64>),
    /// Images of a data set in their order, from this one on; a new batch for each update.
    Images { first: usize, batches: Vec<Batch> },
}

impl Fixture {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; [`Error::Format`] where it is not a safetensors file, is
    /// longer than 256 MiB, or an entry is unknown, missing, or of another type or shape.
    pub fn load(path: impl AsRef<Path>) -> Result<Fixture> {
        let path = path.as_ref();
        let bytes = files::read(path, MAX_FILE)?;
        let file = files::tensors(path, &bytes)?;
        Self::read(path, &bytes, &file).map_err(|wrong| format(path, wrong))
    }

    fn read(path: &Path, bytes: &[u8], file: &SafeTensors<'_>) -> Checked<Fixture> {
        let header = SafeTensors::read_metadata(bytes);
        let (_, header) =
            header.map_err(|e| Wrong::new("content", e.to_string(), "a safetensors file"))?;
        let mut meta = Metadata::new(header.metadata().as_ref())?;
        let (mut parameters, mut expected) = (Tensors::new(), Tensors::new());
        for (name, view) in file.tensors() {
            let values = decode(&name, view.dtype(), view.shape(), view.data())?;
            match is_parameter(&name) {
                true => parameters.insert(name, values),
                false => expected.insert(name, values),
            };
        }
        let stated_steps = meta.optional("num_steps")?;
        let network = match meta.has_structure() {
            true => Some(described(&mut meta, &parameters)?),
            false => None,
        };
        let num_steps = match (stated_steps, expected.get("spk1")) {
            (Some(steps), _) => steps,
            (None, Some(spk)) if network.is_none() => {
                spk.shape().first().copied().unwrap_or_default()
            }
            _ => meta.required("num_steps")?,
        };
        if num_steps == 0 {
            return Err(Wrong::new("metadata num_steps", "0", "at least 1"));
        }

        let targets = classes(&take(&mut expected, "targets")?)?;
        let classes = network.as_ref().map_or(usize::MAX, Network::outputs);
        if let Some(bad) = targets.iter().find(|&&target| target >= classes) {
            return Err(Wrong::new(
                "tensor targets",
                format!("class {bad} in one place"),
                format!("classes below {classes}"),
            ));
        }
        let inputs = parameters.get("fc1.weight").and_then(|w| w.shape().get(1));
        let inputs = inputs.copied().ok_or_else(|| missing("fc1.weight"))?;
        let source = match meta.optional("first_image")? {
            Some(first) => Source::Images {
                first,
                batches: Vec::new(),
            },
            None => source(
                take(&mut expected, "x")?,
                (num_steps, targets.len(), inputs),
            )?,
        };
        let mut number = |key: &str, default: f64| {
            let value: Option<f64> = meta.optional(key)?;
            Ok::<f64, Wrong>(value.unwrap_or(default))
        };
        let adam = Adam::new(number("lr", 5e-4)?)
            .betas(number("beta1", 0.9)?, number("beta2", 0.999)?)
            .eps(number("eps", 1e-8)?);
        let from = meta.optional::<String>("from")?;
        let library = meta.optional::<String>("library")?;
        let spikes = meta.choice("spikes", &[("float32", true), ("float64", false)])?;
        // How a library was called: for the reader, not for the computation.
        meta.ignore("reset_delay");
        let fixture = Fixture {
            path: path.into(),
            name: path
                .file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
            network,
            source,
            num_steps,
            targets,
            loss: meta.loss()?,
            rate_l1: meta.optional("rate_l1")?,
            adam,
            updates: meta.optional("updates")?.unwrap_or(0),
            rounded_gradients: spikes
                .unwrap_or(from.as_deref() == Some("snntorch") && library.is_none()),
            single: file
                .tensor("fc1.weight")
                .is_ok_and(|view| view.dtype() == Dtype::F32),
            parameters,
            expected,
        };
        meta.finish()?;
        if let Some(network) = &fixture.network {
            fixture.check_expected(network)?;
        }
        Ok(fixture)
    }

    /// The images of which the file names the first, where it has no input of its own
    /// ([`needs_images`](Self::needs_images)): a batch for each update, in the order of the data set.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] where the data set has too few of them; [`Error::Format`] where
    /// the targets of the file are not their labels.
    pub fn with_images(mut self, images: &Dataset) -> Result<Self> {
        let batch = self.targets.len();
        if let Source::Images { first, batches } = &mut self.source {
            let batch_of = |n: usize| {
                // Past the end of the images, and past that of the integers, is an error alike.
                let from = first.saturating_add(batch.saturating_mul(n));
                images.batch(&(from..from.saturating_add(batch)).collect::<Vec<_>>())
            };
            *batches = (0..self.updates.max(1))
                .map(batch_of)
                .collect::<Result<_>>()?;
            if batches.first().is_none_or(|b| b.targets != self.targets) {
                let wrong = Wrong::new(
                    "tensor targets",
                    "something else",
                    "the labels of the images that first_image names",
                );
                return Err(format(&self.path, wrong));
            }
        }
        Ok(self)
    }

    /// Whether the input is images of a data set that [`with_images`](Self::with_images) has not yet
    /// brought.
    pub fn needs_images(&self) -> bool {
        matches!(&self.source, Source::Images { batches, .. } if batches.is_empty())
    }

    /// The file's name without its ending.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network that the metadata describe, with the file's parameters; `None` where they describe
    /// none.
    pub fn network(&self) -> Option<&Network<f64>> {
        self.network.as_ref()
    }

    /// The objective that the metadata state: by default the cross entropy of the membrane, and no
    /// price on spikes.
    pub fn objective<F: Float>(&self) -> Objective<F> {
        let loss = self.loss.as_ref().and_then(Loss::cast);
        Objective {
            loss: loss.unwrap_or(Loss::CrossEntropyMembrane),
            rate_l1: self.rate_l1.unwrap_or(0.0),
            penalties: Vec::new(),
        }
    }

    /// The optimizer that the metadata state, before its first update.
    pub fn adam(&self) -> Adam {
        self.adam
    }

    /// Number of time steps `T`.
    pub fn num_steps(&self) -> usize {
        self.num_steps
    }

    /// The class of each sample, `[B]`.
    pub fn targets(&self) -> &[usize] {
        &self.targets
    }

    /// Number of Adam updates on this batch.
    pub fn updates(&self) -> usize {
        self.updates
    }

    /// Whether gradients passed through single precision in the other library: snnTorch's surrogates
    /// cast spikes to `float32`, also in a model of `float64`. They then agree to 1e-6.
    pub fn rounded_gradients(&self) -> bool {
        self.rounded_gradients
    }

    /// Every tensor that is compared, by name.
    pub fn expected(&self) -> &Tensors {
        &self.expected
    }

    /// The parameters in the file, by name.
    pub(super) fn parameters(&self) -> &Tensors {
        &self.parameters
    }

    /// `network` with the file's parameters in place of its own.
    ///
    /// # Errors
    /// [`Error::Format`] where the file has other shapes, or lacks a weight or a bias. (Where it lacks
    /// a decay or a threshold that the network learns, the network's stays, and
    /// [`check`](Self::check) reports the difference.)
    pub fn fill<F: Float>(&self, network: &Network<F>) -> Result<Network<F>> {
        let mut filled = network.clone();
        let parameters = network.parameters();
        for (name, own) in &parameters {
            let Some(values) = self.parameters.get(name) else {
                match name.starts_with("fc") {
                    true => return Err(format(&self.path, missing(name))),
                    false => continue,
                }
            };
            let shape = expect_shape(name, own.shape(), values.shape());
            shape.map_err(|wrong| format(&self.path, wrong))?;
            filled
                .set_parameter(name, values.mapv(F::from_f64).view())
                .map_err(|error| {
                    let wrong = Wrong::new("content", error.to_string(), "values in range");
                    format(&self.path, wrong)
                })?;
        }
        Ok(filled)
    }

    /// After which updates the file holds the parameters, or has to: those named, and the last.
    pub(super) fn kept_updates(&self) -> BTreeSet<usize> {
        let number = |name: &String| name.strip_prefix("adam")?.split_once('.')?.0.parse().ok();
        let named = self.expected.keys().filter_map(number);
        let in_range = |n: &usize| (1..=self.updates).contains(n);
        named.chain([self.updates]).filter(in_range).collect()
    }

    /// As [`check_expected`](Self::check_expected), of a file that describes no network.
    pub(super) fn check_contents<F: Float>(&self, network: &Network<F>) -> Result<()> {
        let checked = self.check_expected(network);
        checked.map_err(|wrong| format(&self.path, wrong))
    }

    /// Names and shapes of what is to be compared, for a network: all that must be there, nothing
    /// unknown.
    fn check_expected<F: Float>(&self, network: &Network<F>) -> Checked<()> {
        let (steps, batch, outputs) = (self.num_steps, self.targets.len(), network.outputs());
        let images = matches!(self.source, Source::Images { .. });
        let kept = self.kept_updates();
        let mut known: BTreeMap<String, (Vec<usize>, bool)> = BTreeMap::new();
        let mut expect = |name: String, shape: Vec<usize>, required: bool| {
            known.insert(name, (shape, required));
        };
        for (layer, k) in network.layers().iter().zip(1..) {
            expect(
                format!("spk{k}"),
                vec![steps, batch, layer.neurons()],
                !images,
            );
            expect(
                format!("mem{k}"),
                vec![steps, batch, layer.neurons()],
                !images,
            );
        }
        expect("loss".into(), vec![1], true);
        if matches!(self.loss, None | Some(Loss::CrossEntropyMembrane)) {
            expect("loss_per_step".into(), vec![steps], false);
        }
        expect("spike_count".into(), vec![batch, outputs], false);
        expect("accuracy".into(), vec![1], false);
        expect("firing_rate".into(), vec![network.layers().len()], false);
        let parameters = network.parameters();
        for (name, values) in &parameters {
            let shape = || values.shape().to_vec();
            let gradient = if images { vec![1] } else { shape() };
            expect(format!("grad.{name}"), gradient, true);
            for &n in &kept {
                let required = !images || n != self.updates;
                expect(format!("adam{n}.{name}"), shape(), required);
            }
        }
        if self.updates > 0 {
            expect("adam_loss".into(), vec![self.updates], true);
            expect("adam_accuracy".into(), vec![self.updates], false);
        }
        for (name, (shape, required)) in &known {
            match self.expected.get(name) {
                Some(values) => expect_shape(name, shape, values.shape())?,
                None if *required => {
                    let expected = format!("a tensor of shape {shape:?}");
                    return Err(Wrong::new(format!("tensor {name}"), "missing", expected));
                }
                None => {}
            }
        }
        let listed = |name: &&String| known.contains_key(*name);
        if let Some(name) = self.expected.keys().find(|name| !listed(name)) {
            let known: Vec<&str> = known.keys().map(String::as_str).collect();
            let expected = format!("one of {}", known.join(", "));
            return Err(Wrong::new(format!("tensor {name}"), "unknown", expected));
        }
        let has = |name: &&String| parameters.iter().any(|(known, _)| known == *name);
        match self.parameters.keys().find(|name| !has(name)) {
            Some(name) => {
                let known: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
                let expected = format!("a parameter of the network: {}", known.join(", "));
                Err(Wrong::new(format!("tensor {name}"), "unknown", expected))
            }
            None => Ok(()),
        }
    }
}

/// The network of the metadata, with the file's parameters.
fn described(meta: &mut Metadata, parameters: &Tensors) -> Checked<Network<f64>> {
    let sizes: Vec<usize> = meta.required("sizes")?;
    let Some((&inputs, neurons)) = sizes.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return Err(Wrong::new(
            "metadata sizes",
            format!("a list of {}", sizes.len()),
            "at least 2: inputs, then the neurons of each layer",
        ));
    };
    let equations = meta.neurons(neurons)?;
    let mut builder = Network::builder(inputs);
    let layers = neurons.iter().zip(&sizes).zip(equations);
    for (((&neurons, &below), equations), k) in layers.zip(1_usize..) {
        // The file must hold what the metadata promise, before anything of that size is made.
        let name = tensors::weight(k);
        let weight = parameters.get(&name).ok_or_else(|| missing(&name))?;
        expect_shape(&name, &[neurons, below], weight.shape())?;
        builder = builder.layer(neurons, equations);
        // Which other tensors there are says how the layer is connected.
        let has = |name: String| parameters.contains_key(&name);
        if has(tensors::recurrent_weight(k)) {
            let all = Recurrence::all_to_all();
            builder = builder.recurrent(all.bias(has(tensors::recurrent_bias(k))));
        } else if has(tensors::recurrent_each(k)) {
            builder = builder.recurrent(Recurrence::one_to_one());
        }
        builder = builder.bias(has(tensors::bias(k)));
    }
    let content = |e: Error| Wrong::new("network", e.to_string(), "settings in range");
    let mut network: Network<f64> = builder.build().map_err(content)?;
    let names: Vec<(String, Vec<usize>)> = (network.parameters().into_iter())
        .map(|(name, values)| (name, values.shape().to_vec()))
        .collect();
    for (name, shape) in &names {
        let values = parameters.get(name).ok_or_else(|| missing(name))?;
        expect_shape(name, shape, values.shape())?;
        network
            .set_parameter(name, values.view())
            .map_err(content)?;
    }
    Ok(network)
}

/// `fc1.weight`, `lif2.beta`, …
fn is_parameter(name: &str) -> bool {
    let numbered = |prefix: &str, known: &dyn Fn(&str) -> bool| {
        let rest = name
            .strip_prefix(prefix)
            .and_then(|rest| rest.split_once('.'));
        rest.is_some_and(|(k, end)| k.parse::<usize>().is_ok() && known(end))
    };
    // The network says which of them it has.
    numbered("fc", &|end| ["weight", "bias"].contains(&end)) || numbered("lif", &|_| true)
}

fn classes(targets: &ArrayD<f64>) -> Checked<Vec<usize>> {
    expect_shape("targets", &[targets.len()], targets.shape())?;
    let class = |&class: &f64| {
        let whole = class >= 0.0 && class.fract() == 0.0 && class < f64::from(u32::MAX);
        #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^32")]
        whole
            .then_some(class as usize)
            .ok_or_else(|| Wrong::new("tensor targets", class.to_string(), "whole numbers from 0"))
    };
    targets.iter().map(class).collect()
}

fn source(x: ArrayD<f64>, (steps, batch, inputs): (usize, usize, usize)) -> Checked<Source> {
    let shape = x.shape().to_vec();
    let (constant, sequence) = ([batch, inputs], [steps, batch, inputs]);
    match shape.len() {
        2 => expect_shape("x", &constant, &shape)?,
        3 => expect_shape("x", &sequence, &shape)?,
        _ => {
            return Err(Wrong::new(
                "shape of tensor x",
                format!("{shape:?}"),
                format!("{constant:?} or {sequence:?}"),
            ));
        }
    }
    let wrong = |e: ndarray::ShapeError| Wrong::new("tensor x", e.to_string(), "numbers");
    Ok(match shape.len() {
        2 => Source::Constant(x.into_dimensionality::<Ix2>().map_err(wrong)?),
        _ => Source::Sequence(x.into_dimensionality::<Ix3>().map_err(wrong)?),
    })
}

fn format(path: &Path, wrong: Wrong) -> Error {
    files::format_error(path, wrong.what, wrong.expected, wrong.found)
}

fn missing(name: &str) -> Wrong {
    Wrong::new(format!("tensor {name}"), "missing", "a tensor of that name")
}

fn expect_shape(name: &str, expected: &[usize], found: &[usize]) -> Checked<()> {
    if expected == found {
        return Ok(());
    }
    Err(Wrong::new(
        format!("shape of tensor {name}"),
        format!("{found:?}"),
        format!("{expected:?}"),
    ))
}

fn take(tensors: &mut Tensors, name: &str) -> Checked<ArrayD<f64>> {
    tensors.remove(name).ok_or_else(|| missing(name))
}

fn decode(name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Checked<ArrayD<f64>> {
    fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        let (chunks, _) = bytes.as_chunks::<N>();
        chunks.iter().map(|&chunk| number(chunk)).collect()
    }
    let values = match dtype {
        Dtype::F64 => each(bytes, f64::from_le_bytes),
        Dtype::F32 => each(bytes, |b| f64::from(f32::from_le_bytes(b))),
        Dtype::U8 => each(bytes, |[b]| f64::from(b)),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f64),
        other => {
            return Err(Wrong::new(
                format!("type of tensor {name}"),
                format!("{other:?}"),
                "F64, F32, U8 or I64",
            ));
        }
    };
    let what = format!("tensor {name}");
    if let Some(bad) = values.iter().find(|x| !x.is_finite()) {
        let found = format!("{bad} in one place");
        return Err(Wrong::new(what, found, "finite numbers"));
    }
    ArrayD::from_shape_vec(IxDyn(shape), values)
        .map_err(|e| Wrong::new(what, e.to_string(), "as many values as its shape"))
}
