//! A weights file: its tensors by name, and the description in its metadata. The file is untrusted:
//! each shape is checked against the network or the description before values are used, and every
//! number must be finite and in range.

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
    path::Path,
};

use ndarray::{Array1, Array2, ArrayViewD, ArrayViewMutD, IxDyn};
use safetensors::{Dtype, tensor::TensorView};

use super::{
    LIF, MARK, Mismatch, VERSION,
    describe::{self, Described, Fields, SIZES, Unfit, out_of_range, shortened},
    neurons::{Constant, Told, compare, take_over},
};
use crate::{
    Error, Float, Layer, Network, Reset, Result,
    checkpoint::{self, decode, text::LAYER},
    files,
    neuron::Neurons,
    tensors,
};

type Fit<T> = std::result::Result<T, Unfit>;

/// Tensors of snnTorch's neurons that are neither a decay nor a threshold.
const RESET: &str = "reset_mechanism_val";
const GRADED: &str = "graded_spikes_factor";
const STATE: &str = "mem";

/// A file of weights.
pub(super) struct Source<'a> {
    path: &'a Path,
    tensors: BTreeMap<String, TensorView<'a>>,
    described: Option<Described>,
}

impl<'a> Source<'a> {
    /// The tensors in a file's bytes and, if `described`, the description in its metadata; `known`
    /// are neurons that it may name.
    pub fn new(
        path: &'a Path,
        bytes: &'a [u8],
        described: bool,
        known: &[Neurons],
    ) -> Result<Self> {
        let tensors: BTreeMap<_, _> = files::tensors(path, bytes)?.tensors().into_iter().collect();
        let read =
            |bytes| Fields::of(bytes).and_then(|fields| network(fields, bytes, &tensors, known));
        let described = match described {
            true => read(bytes).map_err(|unfit| unfit.of(path))?,
            false => None,
        };
        Ok(Source {
            path,
            tensors,
            described,
        })
    }

    /// The network that the file describes.
    pub fn build<F: Float>(&self) -> Result<Network<F>> {
        let Some(Described {
            sizes,
            neurons,
            synapses,
        }) = &self.described
        else {
            let expected = "the description of a network; for a file without one, build the network and use \
                            Network::load_safetensors";
            return Err(files::format_error(
                self.path, "metadata", expected, "missing",
            ));
        };
        let layers = sizes.windows(2).zip(neurons.iter().zip(synapses)).zip(1..);
        let layers = layers.filter_map(|((pair, (neuron, synapses)), k)| {
            let &[inputs, neurons] = pair else {
                return None;
            };
            let mut shapes = tensors::shapes(inputs, neurons, *synapses, neuron);
            // Learned constants may be in the description instead.
            shapes.constants.clear();
            Some((k, shapes, *synapses, neuron))
        });
        let names = layers.clone().flat_map(|(k, shapes, ..)| {
            let named = shapes.named(k, drop, drop).into_iter();
            named.map(|(name, ())| name)
        });
        self.check_names(names.collect(), neurons.len(), false)?;
        // Zeros, if the file has tensors of their shapes.
        let layers = layers.map(|(k, shapes, synapses, neuron)| {
            let matrix = |file: &mut &Self, name: String, shape: [usize; 2]| {
                file.floats(&name, &shape).map(|_| Array2::zeros(shape))
            };
            let vector = |file: &mut &Self, name: String, len: usize| {
                file.floats(&name, &[len]).map(|_| Array1::zeros(len))
            };
            let zeros = shapes.read(k, &mut &*self, matrix, vector)?;
            Ok(Layer::of(synapses, neuron.clone(), zeros))
        });
        let layers = layers.collect::<Fit<Vec<_>>>();
        let layers = layers.map_err(|unfit| unfit.of(self.path))?;
        let mut network = Network::from_layers(layers);
        self.load_into(&mut network, Mismatch::TakeOver)?;
        Ok(network)
    }

    /// Replaces all parameters of a network, and handles its neurons according to `mismatch`. On
    /// failure the network is partially changed.
    pub fn load_into<F: Float>(&self, network: &mut Network<F>, mismatch: Mismatch) -> Result<()> {
        let unfit = |unfit: Unfit| unfit.of(self.path);
        self.check_sizes(network).map_err(unfit)?;
        if mismatch == Mismatch::TakeOver {
            self.settle(network, take_over).map_err(unfit)?;
        }
        let names = network.parameters().into_iter().map(|(name, _)| name);
        let layers = network.layers().len();
        self.check_names(names.collect(), layers, mismatch == Mismatch::Keep)?;
        if mismatch == Mismatch::Refuse {
            self.settle(network, compare).map_err(unfit)?;
        }
        for (name, tensor) in network.parameters_mut() {
            // A learned constant may be in the description instead.
            if self.tensors.contains_key(&name) {
                self.assign(&name, tensor).map_err(unfit)?;
            }
        }
        (network.check_constants()).map_err(|e| unfit(out_of_range(e)))
    }

    /// Checks that the described layers have the network's sizes and synapses.
    fn check_sizes<F: Float>(&self, network: &Network<F>) -> Fit<()> {
        let have = network.sizes();
        match &self.described {
            Some(Described { sizes, .. }) if *sizes != have => Err(Unfit {
                what: SIZES.into(),
                expected: format!("{}, as in the network", describe::sizes(&have)),
                found: format!("{} in the file", shortened(&describe::sizes(sizes))),
            }),
            Some(Described { synapses, .. }) => {
                let layers = network.layers().iter().zip(synapses).zip(1..);
                let mut differing =
                    layers.filter(|((layer, found), _)| !layer.synapses().connect_as(**found));
                match differing.next() {
                    None => Ok(()),
                    Some(((layer, found), k)) => Err(Unfit {
                        what: format!("synapses of layer {k}"),
                        expected: format!("{}, as in the network", layer.synapses()),
                        found: format!("{found} in the file"),
                    }),
                }
            }
            None => Ok(()),
        }
    }

    /// Passes each layer the file's information about its neurons.
    fn settle<F: Float>(
        &self,
        network: &mut Network<F>,
        apply: impl Fn(&mut Layer<F>, usize, &Told<'_>) -> Fit<()>,
    ) -> Fit<()> {
        let described = self.described.iter().flat_map(|network| &network.neurons);
        let mut described = described.map(Some).chain(std::iter::repeat(None));
        for (layer, k) in network.layers_mut().iter_mut().zip(1..) {
            let told = self.told(k, layer, described.next().flatten())?;
            apply(layer, k, &told)?;
        }
        Ok(())
    }

    /// The file's information about the neurons of layer `k`, from 1.
    fn told<'d, F: Float>(
        &self,
        k: usize,
        layer: &Layer<F>,
        described: Option<&'d Neurons>,
    ) -> Fit<Told<'d>> {
        let neurons = layer.neurons();
        let fc = self.tensors.get(&tensors::weight(k));
        let single = fc.is_some_and(|weight| weight.dtype() == Dtype::F32);
        let constant = |name: &'static str| {
            let tensor = self.constant(&format!("lif{k}.{name}"), neurons)?;
            let described = described.and_then(|neurons| neurons.initial(name));
            let described = described.map(|value| Constant {
                values: value.values().to_vec(),
                single,
                tensor: false,
            });
            Ok((name, tensor.or(described)))
        };
        let kind = described.unwrap_or(&layer.neuron);
        let graded = format!("lif{k}.{GRADED}");
        if let Some(factor) = self.constant(&graded, neurons)?
            && let Some(other) = factor.values.iter().find(|factor| **factor != 1.0)
        {
            return Err(Unfit {
                what: graded,
                expected: "1, the value of a spike here".into(),
                found: describe::number(*other),
            });
        }
        Ok(Told {
            described,
            constants: (kind.constants().iter())
                .map(|known| constant(known.name))
                .collect::<Fit<_>>()?,
            snntorch: self.reset(&format!("lif{k}.{RESET}"))?,
        })
    }

    /// A setting of neurons stored as a tensor: one number, or one per neuron.
    fn constant(&self, name: &str, neurons: usize) -> Fit<Option<Constant>> {
        let Some(view) = self.tensors.get(name) else {
            return Ok(None);
        };
        if !matches!(view.shape(), [] | [1]) && view.shape() != [neurons] {
            let expected = match neurons {
                1 => "[] or [1]".into(),
                _ => format!("[], [1] or [{neurons}]"),
            };
            return Err(shape(name, expected, view.shape()));
        }
        let whole = |x: i64| x as f64;
        let values = match view.dtype() {
            Dtype::I32 => numbers(view.data(), |b| f64::from(i32::from_le_bytes(b))),
            Dtype::I64 => numbers(view.data(), |b| whole(i64::from_le_bytes(b))),
            _ => floats(name, view)?,
        };
        finite(name, &values)?;
        Ok(Some(Constant {
            values,
            single: view.dtype() == Dtype::F32,
            tensor: true,
        }))
    }

    /// snnTorch's number of a reset.
    fn reset(&self, name: &str) -> Fit<Option<Reset>> {
        let Some(constant) = self.constant(name, 1)? else {
            return Ok(None);
        };
        match constant.values[..] {
            [0.0] => Ok(Some(Reset::Subtract)),
            [1.0] => Ok(Some(Reset::Zero)),
            [2.0] => Ok(Some(Reset::None)),
            _ => Err(Unfit {
                what: name.into(),
                expected: "0, 1 or 2".into(),
                found: format!("{:?}", constant.values),
            }),
        }
    }

    /// Rejects a file that lacks some of `names` or tensors that it describes as learned, or has
    /// tensors of layers beyond `layers`. Tensors of neurons are ignored if the network's neurons
    /// are kept.
    fn check_names(&self, mut names: Vec<String>, layers: usize, keep: bool) -> Result<()> {
        // A constant described as fixed need not be a tensor.
        let mut fixed = BTreeSet::new();
        let described = self.described.iter().flat_map(|network| &network.neurons);
        for (neuron, k) in described.zip(1..) {
            for (constant, _, learnt) in neuron.each() {
                let name = tensors::constant(k, constant);
                match learnt {
                    true => names.push(name),
                    false => drop(fixed.insert(name)),
                }
            }
        }
        names.sort();
        names.dedup();
        let listed: BTreeSet<String> = names.iter().cloned().collect();
        names.retain(|name| !self.tensors.contains_key(name) && !fixed.contains(name));
        let missing = names;
        let known = |name: &str| match place(name) {
            None => true,
            Some((LIF, ..)) if keep => true,
            Some(_) if listed.contains(name) || fixed.contains(name) => true,
            Some(("fc", k, "weight" | "bias"))
            | Some((LIF, k, "beta" | "threshold" | RESET | GRADED | STATE)) => {
                (1..=layers).contains(&k)
            }
            Some(_) => false,
        };
        let unexpected = self.tensors.keys().filter(|name| !known(name));
        let unexpected: Vec<String> = unexpected.cloned().collect();
        if missing.is_empty() && unexpected.is_empty() {
            return Ok(());
        }
        Err(Error::Tensors {
            path: self.path.into(),
            missing,
            unexpected,
            found: self.tensors.keys().cloned().collect(),
        })
    }

    /// A tensor of floating-point numbers of this shape; `[]` is `[1]`.
    fn floats(&self, name: &str, expected: &[usize]) -> Fit<&TensorView<'a>> {
        let view = self.tensors.get(name).ok_or_else(|| Unfit {
            what: format!("tensor {name}"),
            expected: "a tensor of that name".into(),
            found: "nothing".into(),
        })?;
        if view.shape() != expected && !(view.shape().is_empty() && expected == [1]) {
            return Err(shape(name, format!("{expected:?}"), view.shape()));
        }
        match view.dtype() {
            Dtype::F32 | Dtype::F64 => Ok(view),
            other => Err(kind(name, other)),
        }
    }

    /// Overwrites a parameter.
    fn assign<F: Float>(&self, name: &str, mut tensor: ArrayViewMutD<'_, F>) -> Fit<()> {
        // snnTorch's threshold may be a whole number.
        let constant = match place(name) {
            Some((LIF, _, end)) if !end.starts_with("recurrent.") => {
                self.constant(name, tensor.len())?
            }
            _ => None,
        };
        let values: Vec<F> = match constant {
            Some(constant) if constant.values.len() == tensor.len() => {
                constant.values.iter().map(|&x| F::from_f64(x)).collect()
            }
            _ => floats(name, self.floats(name, tensor.shape())?)?,
        };
        finite(name, &values)?;
        let values = ArrayViewD::from_shape(IxDyn(tensor.shape()), &values);
        let values = values.map_err(|e| Unfit {
            what: format!("tensor {name}"),
            expected: "as many values as its shape".into(),
            found: e.to_string(),
        })?;
        tensor.assign(&values);
        Ok(())
    }
}

/// What the metadata describe, if it is a network.
fn network(
    mut fields: Fields,
    bytes: &[u8],
    tensors: &BTreeMap<String, TensorView<'_>>,
    known: &[Neurons],
) -> Fit<Option<Described>> {
    let prefix = match (fields.0.remove(MARK), fields.0.get("format")) {
        (Some(version), _) if version == VERSION => LIF,
        (Some(version), _) => {
            return Err(Unfit {
                what: MARK.into(),
                expected: format!(
                    "{VERSION}, the version supported by spikegrad {}; a later one wrote the file",
                    env!("CARGO_PKG_VERSION")
                ),
                found: shortened(&version),
            });
        }
        (None, Some(format)) if format == checkpoint::FORMAT => {
            decode::verify(bytes)?;
            decode::version(&mut fields)?;
            LAYER
        }
        _ => return Ok(None),
    };
    Described::take(&mut fields, prefix, tensors.len(), known).map(Some)
}

/// `fc12.weight` as `("fc", 12, "weight")`: other names belong to no layer.
fn place(name: &str) -> Option<(&'static str, usize, &str)> {
    let (layer, rest) = name.split_once('.')?;
    let (part, number) = match (layer.strip_prefix("fc"), layer.strip_prefix(LIF)) {
        (Some(number), _) => ("fc", number),
        (_, Some(number)) => (LIF, number),
        _ => return None,
    };
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    // `fc01`, and numbers that overflow, are not layers.
    let k = number.parse().ok().filter(|_| !number.starts_with('0'));
    digits.then(|| (part, k.unwrap_or(usize::MAX), rest))
}

/// The values of a tensor of floating-point numbers.
fn floats<F: Float>(name: &str, view: &TensorView<'_>) -> Fit<Vec<F>> {
    match view.dtype() {
        Dtype::F32 => Ok(numbers(view.data(), |b| f32::from_le_bytes(b).into())),
        Dtype::F64 => Ok(numbers(view.data(), f64::from_le_bytes)),
        other => Err(kind(name, other)),
    }
}

fn numbers<F: Float, const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<F> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks
        .iter()
        .map(|&chunk| F::from_f64(number(chunk)))
        .collect()
}

fn finite<F: Float>(name: &str, values: &[F]) -> Fit<()> {
    match values.iter().find(|x| !x.is_finite()) {
        None => Ok(()),
        Some(bad) => Err(Unfit {
            what: format!("tensor {name}"),
            expected: "finite numbers".into(),
            found: bad.to_string(),
        }),
    }
}

#[cold]
fn kind(name: &str, found: Dtype) -> Unfit {
    Unfit {
        what: format!("type of {name}"),
        expected: "F32 or F64".into(),
        found: format!("{found:?}"),
    }
}

#[cold]
fn shape(name: &str, expected: String, found: &[usize]) -> Unfit {
    Unfit {
        what: format!("shape of {name}"),
        expected,
        found: format!("{found:?}"),
    }
}
