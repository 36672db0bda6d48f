//! Reads a fixture: a safetensors file that describes a network, its input, and what another
//! library computed for it. The format is described in `tests/fixtures/README.md`.
//!
//! Everything is checked here: unknown metadata or tensors, missing ones, wrong shapes and types
//! are errors that name the file and the entry. Nothing is computed here.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use ndarray::{Array2, Array3, ArrayD, Ix2, Ix3, IxDyn};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use spikegrad::{
    Adam, Dynamics, Float, Leaky, Loss, Network, Objective, PerNeuron, Reset, Surrogate, files,
};

/// The longest file that is read: the largest fixture has 3 MB.
const MAX_FILE: u64 = 256 << 20;

/// A network, its input, and what is expected of it.
pub struct Fixture {
    /// The file's name without its ending.
    pub name: String,
    pub network: Network<f64>,
    pub source: Source,
    pub num_steps: usize,
    pub targets: Vec<usize>,
    pub loss: LossKind,
    pub rate_l1: f64,
    pub lr: f64,
    pub betas: (f64, f64),
    pub eps: f64,
    /// Number of Adam updates.
    pub updates: usize,
    /// Whether the gradients have passed through float32 on their way: snnTorch's surrogates cast
    /// spikes to float32, so its backward pass rounds `∂L/∂s` to float32 even in a float64 model.
    pub rounded_gradients: bool,
    /// Whether the file's own numbers are in float32.
    pub single: bool,
    /// Every tensor to compare with, by name.
    pub expected: BTreeMap<String, ArrayD<f64>>,
}

/// Where the input comes from.
pub enum Source {
    /// `[B, n_in]`, at every step.
    Constant(Array2<f64>),
    /// `[T, B, n_in]`.
    Sequence(Array3<f64>),
    /// MNIST's training images in file order, from this one on; a new batch for each update.
    Mnist { first_image: usize },
}

/// [`Loss`] without its precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossKind {
    CrossEntropyMembrane,
    CrossEntropyCount,
    CrossEntropyRate,
    CrossEntropyMaxMembrane,
    MseCount {
        correct_rate: f64,
        incorrect_rate: f64,
    },
    MseMembrane {
        on_target: f64,
        off_target: f64,
    },
}

impl Fixture {
    /// The objective in a precision.
    pub fn objective<F: Float>(&self) -> Objective<F> {
        let loss = match self.loss {
            LossKind::CrossEntropyMembrane => Loss::CrossEntropyMembrane,
            LossKind::CrossEntropyCount => Loss::CrossEntropyCount,
            LossKind::CrossEntropyRate => Loss::CrossEntropyRate,
            LossKind::CrossEntropyMaxMembrane => Loss::CrossEntropyMaxMembrane,
            LossKind::MseCount {
                correct_rate,
                incorrect_rate,
            } => Loss::MseCount {
                correct_rate,
                incorrect_rate,
            },
            LossKind::MseMembrane {
                on_target,
                off_target,
            } => Loss::MseMembrane {
                on_target,
                off_target,
            },
        };
        Objective {
            loss,
            rate_l1: self.rate_l1,
        }
    }

    /// The optimiser in a precision.
    pub fn adam<F: Float>(&self) -> Adam<F> {
        Adam::new(self.lr)
            .betas(self.betas.0, self.betas.1)
            .eps(self.eps)
    }

    /// Reads and checks a file.
    pub fn load(path: &Path) -> Result<Fixture, String> {
        let bytes = files::read(path, MAX_FILE).map_err(|e| e.to_string())?;
        let file = files::tensors(path, &bytes).map_err(|e| e.to_string())?;
        Self::read(path, &bytes, &file).map_err(|message| format!("{}: {message}", path.display()))
    }

    fn read(path: &Path, bytes: &[u8], file: &SafeTensors<'_>) -> Result<Fixture, String> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        let mut meta = Metadata::new(header.metadata().as_ref())?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.tensors() {
            tensors.insert(
                name.clone(),
                decode(&name, view.dtype(), view.shape(), view.data())?,
            );
        }

        let sizes: Vec<usize> = meta.list("sizes")?;
        if sizes.len() < 2 {
            return Err(format!(
                "metadata sizes has {} entries; expected at least 2",
                sizes.len()
            ));
        }
        let layers = sizes.len() - 1;
        let num_steps: usize = meta.required("num_steps")?;
        let neuron = meta.neuron()?;
        let (beta, threshold) = (
            meta.per_layer("beta", layers)?,
            meta.per_layer("threshold", layers)?,
        );
        // The file must hold what the metadata promise, before anything of that size is made.
        for k in 0..layers {
            let weight = tensors.get(&format!("fc{}.weight", k + 1));
            let weight = weight.ok_or_else(|| format!("tensor fc{}.weight is missing", k + 1))?;
            expect_shape(
                &format!("fc{}.weight", k + 1),
                &[sizes[k + 1], sizes[k]],
                weight.shape(),
            )?;
        }
        if num_steps == 0 {
            return Err("metadata num_steps is 0; expected at least 1".into());
        }
        let mut builder = Network::builder(sizes[0]);
        for k in 0..layers {
            let mut leaky = neuron.clone();
            (leaky.beta, leaky.threshold) = (beta[k].clone(), threshold[k].clone());
            builder = builder.layer(sizes[k + 1], leaky);
        }
        let mut network: Network<f64> = builder.build().map_err(|e| e.to_string())?;
        let names: Vec<(String, Vec<usize>)> = network
            .parameters()
            .into_iter()
            .map(|(name, values)| (name, values.shape().to_vec()))
            .collect();
        for (name, shape) in &names {
            let values = take(&mut tensors, name, Some(shape))?;
            network
                .set_parameter(name, values.view())
                .map_err(|e| e.to_string())?;
        }

        let targets = take(&mut tensors, "targets", None)?;
        if let Some(bad) = targets
            .iter()
            .find(|class| class.fract() != 0.0 || **class < 0.0)
        {
            return Err(format!(
                "targets holds {bad}; expected whole numbers from 0"
            ));
        }
        let batch = targets.len();
        expect_shape("targets", &[batch], targets.shape())?;
        let targets: Vec<usize> = targets.iter().map(|&class| class as usize).collect();
        if let Some(bad) = targets.iter().find(|&&class| class >= sizes[layers]) {
            return Err(format!(
                "targets holds class {bad}; expected classes below {}",
                sizes[layers]
            ));
        }
        let source = match meta.optional("first_image")? {
            Some(first_image) => Source::Mnist { first_image },
            None => {
                let x = take(&mut tensors, "x", None)?;
                let shape = x.shape().to_vec();
                if let Ok(x) = x.clone().into_dimensionality::<Ix2>() {
                    expect_shape("x", &[batch, sizes[0]], &shape)?;
                    Source::Constant(x)
                } else if let Ok(x) = x.into_dimensionality::<Ix3>() {
                    expect_shape("x", &[num_steps, batch, sizes[0]], &shape)?;
                    Source::Sequence(x)
                } else {
                    return Err(format!(
                        "tensor x has shape {shape:?}; expected [{batch}, {}] or [{num_steps}, {batch}, {}]",
                        sizes[0], sizes[0]
                    ));
                }
            }
        };
        let fixture = Fixture {
            name: path
                .file_stem()
                .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
            network,
            source,
            num_steps,
            targets,
            loss: meta.loss()?,
            rate_l1: meta.optional("rate_l1")?.unwrap_or(0.0),
            lr: meta.optional("lr")?.unwrap_or(5e-4),
            betas: (
                meta.optional("beta1")?.unwrap_or(0.9),
                meta.optional("beta2")?.unwrap_or(0.999),
            ),
            eps: meta.optional("eps")?.unwrap_or(1e-8),
            updates: meta.optional("updates")?.unwrap_or(0),
            rounded_gradients: {
                let from = meta.optional::<String>("from")?;
                let library = meta.optional::<String>("library")?;
                let spikes = [("float32", true), ("float64", false)];
                let default = from.as_deref() == Some("snntorch") && library.is_none();
                meta.choice("spikes", &spikes, Some(default))?
            },
            single: file
                .tensor("fc1.weight")
                .is_ok_and(|view| view.dtype() == Dtype::F32),
            expected: tensors,
        };
        meta.finish()?;
        fixture.check_expected(&sizes, &names)?;
        Ok(fixture)
    }

    /// After which updates the file holds the parameters, or has to: those named, and the last.
    pub fn kept_updates(&self) -> BTreeSet<usize> {
        let number = |name: &String| name.strip_prefix("adam")?.split_once('.')?.0.parse().ok();
        let named = self.expected.keys().filter_map(number);
        let in_range = |n: &usize| (1..=self.updates).contains(n);
        named.chain([self.updates]).filter(in_range).collect()
    }

    /// Names and shapes of what is to be compared: all that must be there, nothing unknown.
    fn check_expected(
        &self,
        sizes: &[usize],
        parameters: &[(String, Vec<usize>)],
    ) -> Result<(), String> {
        let (steps, batch, outputs) = (self.num_steps, self.targets.len(), sizes[sizes.len() - 1]);
        let mnist = matches!(self.source, Source::Mnist { .. });
        let kept = self.kept_updates();
        let mut known: BTreeMap<String, (Vec<usize>, bool)> = BTreeMap::new();
        let mut expect = |name: String, shape: Vec<usize>, required: bool| {
            known.insert(name, (shape, required));
        };
        for (k, &n) in sizes[1..].iter().enumerate() {
            expect(format!("spk{}", k + 1), vec![steps, batch, n], !mnist);
            expect(format!("mem{}", k + 1), vec![steps, batch, n], !mnist);
        }
        expect("loss".into(), vec![1], true);
        if self.loss == LossKind::CrossEntropyMembrane {
            expect("loss_per_step".into(), vec![steps], false);
        }
        expect("spike_count".into(), vec![batch, outputs], false);
        expect("accuracy".into(), vec![1], false);
        expect("firing_rate".into(), vec![sizes.len() - 1], false);
        for (name, shape) in parameters {
            expect(
                format!("grad.{name}"),
                if mnist { vec![1] } else { shape.clone() },
                true,
            );
            for &n in &kept {
                expect(
                    format!("adam{n}.{name}"),
                    shape.clone(),
                    !mnist || n != self.updates,
                );
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
                    return Err(format!(
                        "tensor {name} is missing; expected shape {shape:?}"
                    ));
                }
                None => {}
            }
        }
        match self.expected.keys().find(|name| !known.contains_key(*name)) {
            Some(name) => Err(format!(
                "tensor {name} is unknown; expected {}",
                join(known.keys())
            )),
            None => Ok(()),
        }
    }
}

fn join<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn expect_shape(name: &str, expected: &[usize], found: &[usize]) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!(
        "tensor {name} has shape {found:?}; expected {expected:?}"
    ))
}

fn take(
    tensors: &mut BTreeMap<String, ArrayD<f64>>,
    name: &str,
    shape: Option<&[usize]>,
) -> Result<ArrayD<f64>, String> {
    let values = tensors
        .remove(name)
        .ok_or_else(|| format!("tensor {name} is missing"))?;
    match shape {
        Some(shape) => expect_shape(name, shape, values.shape()).map(|()| values),
        None => Ok(values),
    }
}

fn decode(name: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Result<ArrayD<f64>, String> {
    fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        bytes
            .as_chunks::<N>()
            .0
            .iter()
            .map(|&chunk| number(chunk))
            .collect()
    }
    let values = match dtype {
        Dtype::F64 => each(bytes, f64::from_le_bytes),
        Dtype::F32 => each(bytes, |b| f64::from(f32::from_le_bytes(b))),
        Dtype::U8 => each(bytes, |[b]| f64::from(b)),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f64),
        other => {
            return Err(format!(
                "tensor {name} is of type {other:?}; expected F64, F32, U8 or I64"
            ));
        }
    };
    if let Some(bad) = values.iter().find(|x| !x.is_finite()) {
        return Err(format!(
            "tensor {name} holds {bad}; expected finite numbers"
        ));
    }
    ArrayD::from_shape_vec(IxDyn(shape), values).map_err(|e| format!("tensor {name}: {e}"))
}

/// The metadata, each entry to be asked for once; what is left over at the end is unknown.
struct Metadata {
    entries: HashMap<String, String>,
}

/// The longest text of an entry; parsed, a list takes some thirty times its length.
const MAX_TEXT: usize = 1 << 20;

impl Metadata {
    fn new(strings: Option<&HashMap<String, String>>) -> Result<Self, String> {
        let strings = strings.ok_or("has no metadata; expected sizes, num_steps, beta, …")?;
        if let Some((key, text)) = strings.iter().find(|(_, text)| text.len() > MAX_TEXT) {
            let length = text.len();
            return Err(format!(
                "metadata {key} has {length} bytes; expected at most {MAX_TEXT}"
            ));
        }
        Ok(Metadata {
            entries: strings.clone(),
        })
    }

    fn optional<T: serde::de::DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>, String> {
        let Some(text) = self.entries.remove(key) else {
            return Ok(None);
        };
        let value: Value = serde_json::from_str(&text)
            .map_err(|e| format!("metadata {key} is {text:?}; expected JSON ({e})"))?;
        let expected = match std::any::type_name::<T>() {
            "alloc::string::String" => "a string",
            "bool" => "true or false",
            "f64" => "a number",
            "usize" => "a whole number",
            _ => "a list of whole numbers, or of numbers",
        };
        let parsed = serde_json::from_value(value);
        parsed
            .map(Some)
            .map_err(|_| format!("metadata {key} is {text}; expected {expected}"))
    }

    fn required<T: serde::de::DeserializeOwned>(&mut self, key: &str) -> Result<T, String> {
        self.optional(key)?
            .ok_or_else(|| format!("metadata {key} is missing"))
    }

    fn list(&mut self, key: &str) -> Result<Vec<usize>, String> {
        self.required(key)
    }

    /// One choice of several, by name.
    fn choice<T: Copy>(
        &mut self,
        key: &str,
        choices: &[(&str, T)],
        default: Option<T>,
    ) -> Result<T, String> {
        let Some(name) = self.optional::<String>(key)? else {
            return default.ok_or_else(|| format!("metadata {key} is missing"));
        };
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let found = choices.iter().find(|(known, _)| *known == name);
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            format!(
                "metadata {key} is {name:?}; expected one of {}",
                names.join(", ")
            )
        })
    }

    /// A number for the whole layer (or a list of one), or a list with one for each neuron, for
    /// each layer.
    fn per_layer(&mut self, key: &str, layers: usize) -> Result<Vec<PerNeuron>, String> {
        let entries: Vec<Value> = self.required(key)?;
        if entries.len() != layers {
            return Err(format!(
                "metadata {key} has {} entries; expected {layers}",
                entries.len()
            ));
        }
        let entry = |value: Value| match &value {
            Value::Number(_) => serde_json::from_value::<f64>(value)
                .ok()
                .map(PerNeuron::Shared),
            _ => serde_json::from_value::<Vec<f64>>(value)
                .ok()
                .map(|each| match each[..] {
                    [shared] => PerNeuron::Shared(shared),
                    _ => PerNeuron::Each(each),
                }),
        };
        let parsed: Option<Vec<PerNeuron>> = entries.into_iter().map(entry).collect();
        parsed.ok_or_else(|| {
            format!("metadata {key}: expected a number, or a list of them, for each layer")
        })
    }

    fn neuron(&mut self) -> Result<Leaky, String> {
        let dynamics = [
            ("fire_then_integrate", Dynamics::FireThenIntegrate),
            ("integrate_then_fire", Dynamics::IntegrateThenFire),
            ("integrate_fire_reset", Dynamics::IntegrateFireReset),
        ];
        let resets = [
            ("subtract", Reset::Subtract),
            ("zero", Reset::Zero),
            ("none", Reset::None),
        ];
        let (alpha, slope) = (self.optional("alpha")?, self.optional("slope")?);
        let (alpha, slope): (f64, f64) = (alpha.unwrap_or(2.0), slope.unwrap_or(25.0));
        let surrogates = [
            ("atan", Surrogate::Arctan { alpha }),
            ("fast_sigmoid", Surrogate::FastSigmoid { slope }),
            ("sigmoid", Surrogate::Sigmoid { slope }),
            ("triangular", Surrogate::Triangular),
            ("straight_through", Surrogate::StraightThrough),
        ];
        let surrogate = self.choice("surrogate", &surrogates, None)?;
        let takes_alpha = matches!(surrogate, Surrogate::Arctan { .. });
        let takes_slope = matches!(
            surrogate,
            Surrogate::FastSigmoid { .. } | Surrogate::Sigmoid { .. }
        );
        // A default that stands there although it means nothing is no slip.
        for (name, idle) in [
            ("alpha", alpha != 2.0 && !takes_alpha),
            ("slope", slope != 25.0 && !takes_slope),
        ] {
            if idle {
                return Err(format!(
                    "metadata {name} means nothing to the surrogate {surrogate:?}"
                ));
            }
        }
        // How a library was called: for the reader, not for the computation.
        self.entries.remove("reset_delay");
        Ok(Leaky::new(0.0)
            .dynamics(self.choice("dynamics", &dynamics, None)?)
            .reset(self.choice("reset", &resets, None)?)
            .detach_reset(self.optional("detach_reset")?.unwrap_or(true))
            .surrogate(surrogate)
            .learn_beta(self.optional("learn_beta")?.unwrap_or(false))
            .learn_threshold(self.optional("learn_threshold")?.unwrap_or(false)))
    }

    fn loss(&mut self) -> Result<LossKind, String> {
        let mut number = |key: &str, default: f64| self.optional(key).map(|x| x.unwrap_or(default));
        let (correct_rate, incorrect_rate) =
            (number("correct_rate", 1.0)?, number("incorrect_rate", 0.0)?);
        let (on_target, off_target) = (number("on_target", 1.0)?, number("off_target", 0.0)?);
        let losses = [
            ("ce_membrane", LossKind::CrossEntropyMembrane),
            ("ce_count", LossKind::CrossEntropyCount),
            ("ce_rate", LossKind::CrossEntropyRate),
            ("ce_max_membrane", LossKind::CrossEntropyMaxMembrane),
            (
                "mse_count",
                LossKind::MseCount {
                    correct_rate,
                    incorrect_rate,
                },
            ),
            (
                "mse_membrane",
                LossKind::MseMembrane {
                    on_target,
                    off_target,
                },
            ),
        ];
        self.choice("loss", &losses, Some(LossKind::CrossEntropyMembrane))
    }

    fn finish(self) -> Result<(), String> {
        match self.entries.keys().min() {
            Some(key) => Err(format!(
                "metadata {key} is unknown; see tests/fixtures/README.md"
            )),
            None => Ok(()),
        }
    }
}
