//! A network's structure as text by name, and back: what the metadata of weights and checkpoints hold.
//! A number is written with as many digits as it takes to come back with the same bits; a name is the
//! same for ever, whatever the type is called in the code.

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

use std::{collections::BTreeMap, path::Path, str::FromStr};

use ndarray::Array1;
use safetensors::SafeTensors;

use crate::{Dynamics, Error, Float, Layer, Leaky, Network, PerNeuron, Reset, Surrogate, files};

/// A name in the file for each value.
type Names<T, const N: usize> = [(&'static str, T); N];

const DYNAMICS: Names<Dynamics, 3> = [
    ("fire_then_integrate", Dynamics::FireThenIntegrate),
    ("integrate_then_fire", Dynamics::IntegrateThenFire),
    ("integrate_fire_reset", Dynamics::IntegrateFireReset),
];

const RESETS: Names<Reset, 3> = [
    ("subtract", Reset::Subtract),
    ("zero", Reset::Zero),
    ("none", Reset::None),
];

/// The name of inputs and neurons of each layer.
pub(crate) const SIZES: &str = "network.sizes";

fn name_of<T: PartialEq, const N: usize>(names: &Names<T, N>, value: &T) -> String {
    let found = names.iter().find(|(_, known)| known == value);
    found.map_or_else(String::new, |(name, _)| (*name).into())
}

/// What a name stands for.
fn named<T: Copy, const N: usize>(names: &Names<T, N>, text: &str) -> Option<T> {
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value)
}

/// The names, for a message.
fn choices<T, const N: usize>(names: &Names<T, N>) -> String {
    let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// The sizes of a network, and all settings of its neurons, as `{prefix}1.beta` …. Each struct is taken
/// apart field by field, so that a setting added to it cannot be forgotten here.
pub(crate) fn describe<F: Float>(network: &Network<F>, prefix: &str) -> BTreeMap<String, String> {
    let mut map = BTreeMap::from([(SIZES.into(), sizes(&network.sizes()))]);
    for (layer, k) in network.layers().iter().zip(1..) {
        for (name, value) in settings(layer) {
            map.insert(format!("{prefix}{k}.{name}"), value);
        }
    }
    map
}

/// `784 1000 10`.
pub(crate) fn sizes(sizes: &[usize]) -> String {
    let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
    sizes.join(" ")
}

/// The settings of a layer's neurons by name.
fn settings<F: Float>(layer: &Layer<F>) -> Vec<(&'static str, String)> {
    let Leaky {
        beta,
        threshold,
        dynamics: _,
        reset: _,
        detach_reset: _,
        surrogate: _,
        learn_beta,
        learn_threshold,
    } = layer.neuron();
    let mut settings = vec![
        ("beta", constant(beta, &layer.beta, *learn_beta)),
        (
            "threshold",
            constant(threshold, &layer.threshold, *learn_threshold),
        ),
        ("learn_beta", learn_beta.to_string()),
        ("learn_threshold", learn_threshold.to_string()),
    ];
    settings.extend(rules(layer.neuron()));
    settings
}

/// The settings of neurons that are the same for a whole layer, by name.
pub(crate) fn rules(neuron: &Leaky) -> [(&'static str, String); 4] {
    [
        ("dynamics", name_of(&DYNAMICS, &neuron.dynamics)),
        ("reset", name_of(&RESETS, &neuron.reset)),
        ("detach_reset", neuron.detach_reset.to_string()),
        ("surrogate", surrogate_text(neuron.surrogate)),
    ]
}

/// A constant's initial values where it is learnt, else those that the neurons have: a network that was
/// cast from single precision has other ones than it was built with.
fn constant<F: Float>(built: &PerNeuron, now: &Array1<F>, learnt: bool) -> String {
    let same = built
        .values()
        .iter()
        .map(|&x| F::of(x))
        .eq(now.iter().copied());
    match built {
        built if learnt || same => per_neuron(built),
        PerNeuron::Shared(_) => now.iter().map(|x| number(x.widen())).collect(),
        PerNeuron::Each(_) => format!("{:?}", now.mapv(F::widen).to_vec()),
    }
}

/// `0.95`, `1e-8`: read back, it has the same bits.
pub(crate) fn number(x: f64) -> String {
    format!("{x:?}")
}

/// A network's structure, read back.
pub(crate) struct Described {
    /// Inputs, then the neurons of each layer: two numbers or more, none of them 0.
    pub sizes: Vec<usize>,
    /// The neurons of each layer, their settings in range.
    pub neurons: Vec<Leaky>,
}

impl Described {
    /// Takes from the metadata what [`describe`] has put there. A network of more than `most` layers is
    /// refused: a list that is longer than the file's tensors is not worth its memory.
    pub fn take(fields: &mut Fields, prefix: &str, most: usize) -> Result<Self, Unfit> {
        let sizes = |text: &str| {
            if text.split(' ').nth(most).is_some() {
                return None;
            }
            let sizes: Option<Vec<usize>> = text.split(' ').map(|n| n.parse().ok()).collect();
            sizes.filter(|sizes| sizes.len() >= 2 && !sizes.contains(&0))
        };
        let expected = "two or more whole numbers of at least 1, with blanks between";
        let sizes = fields.get(SIZES, expected, sizes)?;
        let layers = sizes.iter().skip(1).zip(1..);
        let neurons = layers.map(|(&neurons, k)| neuron(fields, prefix, k, neurons));
        let neurons = neurons.collect::<Result<_, Unfit>>()?;
        Ok(Described { sizes, neurons })
    }
}

/// The settings of layer `k`, from 1.
fn neuron(fields: &mut Fields, prefix: &str, k: usize, neurons: usize) -> Result<Leaky, Unfit> {
    let name = |field: &str| format!("{prefix}{k}.{field}");
    let numbers = "a number, or [one, for, each] neuron";
    let flag = "true or false";
    let neuron = Leaky {
        beta: fields.get(&name("beta"), numbers, parse_per_neuron)?,
        threshold: fields.get(&name("threshold"), numbers, parse_per_neuron)?,
        dynamics: fields.get(&name("dynamics"), &choices(&DYNAMICS), |text| {
            named(&DYNAMICS, text)
        })?,
        reset: fields.get(&name("reset"), &choices(&RESETS), |text| {
            named(&RESETS, text)
        })?,
        detach_reset: fields.parse(&name("detach_reset"), flag)?,
        surrogate: fields.get(
            &name("surrogate"),
            "a surrogate's name and its sharpness",
            parse_surrogate,
        )?,
        learn_beta: fields.parse(&name("learn_beta"), flag)?,
        learn_threshold: fields.parse(&name("learn_threshold"), flag)?,
    };
    neuron
        .check(&format!("layer {k}"), neurons)
        .map_err(out_of_range)?;
    Ok(neuron)
}

/// `0.95`, or `[0.95, 0.9]`.
fn per_neuron(values: &PerNeuron) -> String {
    match values {
        PerNeuron::Shared(value) => number(*value),
        PerNeuron::Each(values) => format!("{values:?}"),
    }
}

fn parse_per_neuron(text: &str) -> Option<PerNeuron> {
    match text.strip_prefix('[') {
        None => text.parse().ok().map(PerNeuron::Shared),
        Some(rest) => {
            let values = rest.strip_suffix(']')?.split(", ");
            let values: Option<Vec<f64>> = values.map(|text| text.parse().ok()).collect();
            values.map(PerNeuron::Each)
        }
    }
}

fn surrogate_text(surrogate: Surrogate) -> String {
    match surrogate {
        Surrogate::Arctan { alpha } => format!("arctan {alpha:?}"),
        Surrogate::FastSigmoid { slope } => format!("fast_sigmoid {slope:?}"),
        Surrogate::Sigmoid { slope } => format!("sigmoid {slope:?}"),
        Surrogate::Triangular => "triangular".into(),
        Surrogate::StraightThrough => "straight_through".into(),
    }
}

fn parse_surrogate(text: &str) -> Option<Surrogate> {
    let words: Vec<&str> = text.split(' ').collect();
    Some(match words[..] {
        ["arctan", alpha] => Surrogate::Arctan {
            alpha: alpha.parse().ok()?,
        },
        ["fast_sigmoid", slope] => Surrogate::FastSigmoid {
            slope: slope.parse().ok()?,
        },
        ["sigmoid", slope] => Surrogate::Sigmoid {
            slope: slope.parse().ok()?,
        },
        ["triangular"] => Surrogate::Triangular,
        ["straight_through"] => Surrogate::StraightThrough,
        _ => return None,
    })
}

/// The metadata of a file, each entry of which is taken once.
pub(crate) struct Fields(pub BTreeMap<String, String>);

impl Fields {
    /// The metadata of a safetensors file's bytes.
    pub fn of(bytes: &[u8]) -> Result<Self, Unfit> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|e| Unfit {
            what: "content".into(),
            expected: "a safetensors file".into(),
            found: e.to_string(),
        })?;
        let metadata = header.metadata().iter().flatten();
        let metadata = metadata.map(|(name, value)| (name.clone(), value.clone()));
        Ok(Fields(metadata.collect()))
    }

    /// The text of an entry.
    pub fn text(&mut self, name: &str) -> Result<String, Unfit> {
        self.0.remove(name).ok_or_else(|| Unfit {
            what: name.into(),
            expected: "an entry of that name".into(),
            found: "nothing".into(),
        })
    }

    /// An entry as `read` reads it.
    pub fn get<T>(
        &mut self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Unfit> {
        let text = self.text(name)?;
        read(&text).ok_or_else(|| Unfit {
            what: name.into(),
            expected: expected.into(),
            found: shortened(&text),
        })
    }

    /// An entry that is a number, `true` or `false`.
    pub fn parse<T: FromStr>(&mut self, name: &str, expected: &str) -> Result<T, Unfit> {
        self.get(name, expected, |text| text.parse().ok())
    }
}

/// What does not fit in a file.
pub(crate) struct Unfit {
    pub what: String,
    pub expected: String,
    pub found: String,
}

impl Unfit {
    /// The error, with the file that does not fit.
    pub fn of(self, path: &Path) -> Error {
        files::format_error(path, self.what, self.expected, self.found)
    }
}

/// An error of a check that the whole crate shares.
pub(crate) fn out_of_range(error: Error) -> Unfit {
    Unfit {
        what: "content".into(),
        expected: "values in range".into(),
        found: error.to_string(),
    }
}

/// Text of a file for a message: one line, and not all of it.
pub(crate) fn shortened(text: &str) -> String {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(80).map(line).collect();
    if text.chars().nth(80).is_some() {
        short.push_str(" …");
    }
    short
}
