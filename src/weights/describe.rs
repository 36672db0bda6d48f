//! Converts a network's structure to named text entries and back, for the metadata of weights and
//! checkpoints. Numbers have enough digits to be restored bit for bit. Names never change, even if
//! the type in the code is renamed.

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

use crate::{
    Dynamics, Error, Float, Layer, Network, PerNeuron, Reset, Surrogate, files,
    neuron::{
        Neuron, Neurons, adaptive, adlif, alpha, encoder, integrator, lapicque, leaky, lsnn,
        synaptic,
    },
    synapses::{Dropout, Pattern, Recurrence, Synapses},
};

const DYNAMICS: [Dynamics; 3] = [
    Dynamics::FireThenIntegrate,
    Dynamics::IntegrateThenFire,
    Dynamics::IntegrateFireReset,
];

const RESETS: [Reset; 3] = [Reset::Subtract, Reset::Zero, Reset::None];

/// The name of the entry for the sizes.
pub(crate) const SIZES: &str = "network.sizes";

/// The value of a name.
fn named<T: Copy + ToString>(values: &[T], text: &str) -> Option<T> {
    values
        .iter()
        .find(|known| known.to_string() == text)
        .copied()
}

/// The names, for a message.
fn choices<T: ToString>(values: &[T]) -> String {
    let names: Vec<String> = values.iter().map(T::to_string).collect();
    names.join(", ")
}

/// The sizes of a network, and all settings of its neurons and synapses, as `{prefix}1.beta` ….
pub(crate) fn describe<F: Float>(network: &Network<F>, prefix: &str) -> BTreeMap<String, String> {
    let mut map = BTreeMap::from([(SIZES.into(), sizes(&network.sizes()))]);
    for (layer, k) in network.layers().iter().zip(1..) {
        for (name, value) in settings(layer) {
            map.insert(format!("{prefix}{k}.{name}"), value);
        }
        for (name, value) in connections(layer.synapses) {
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
fn settings<F: Float>(layer: &Layer<F>) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for ((known, built, learnt), now) in layer.neuron.each().zip(&layer.constants) {
        settings.push((known.name.into(), constant(built, now, learnt)));
        settings.push((format!("learn_{}", known.name), learnt.to_string()));
    }
    if !layer.neuron.starts_at_zero() {
        let start = per_neuron(layer.neuron.initial_membrane());
        settings.push((START.into(), start));
    }
    let rules = rules(&layer.neuron).into_iter();
    settings.extend(rules.map(|(name, value)| (name.into(), value)));
    settings
}

/// The settings of synapses that differ from those of a linear layer, by name: files of the first version
/// have no others.
fn connections(synapses: Synapses) -> Vec<(&'static str, String)> {
    let mut settings = Vec::new();
    if !synapses.bias {
        settings.push((BIAS, "false".into()));
    }
    if !synapses.learn {
        settings.push((LEARN, "false".into()));
    }
    if let Some(Dropout { rate, seed }) = synapses.dropout {
        settings.push((DROPOUT, number(rate)));
        settings.push((DROPOUT_SEED, seed.to_string()));
    }
    let Some(recurrence) = synapses.recurrence else {
        return settings;
    };
    settings.push((LEARN_RECURRENT, recurrence.learn.to_string()));
    match recurrence.pattern {
        Pattern::OneToOne => settings.push((RECURRENT, ONE_TO_ONE.into())),
        Pattern::AllToAll { diagonal } => {
            settings.push((RECURRENT, ALL_TO_ALL.into()));
            settings.push((RECURRENT_BIAS, recurrence.bias.to_string()));
            settings.push((RECURRENT_DIAGONAL, diagonal.to_string()));
        }
    }
    settings
}

/// The synapses of layer `k`, from 1.
fn synapses(fields: &mut Fields, prefix: &str, k: usize) -> Result<Synapses, Unfit> {
    let name = |field: &str| format!("{prefix}{k}.{field}");
    let mut truth = |field: &str| -> Result<Option<bool>, Unfit> {
        let name = name(field);
        match fields.0.contains_key(&name) {
            true => fields.parse(&name, "true or false").map(Some),
            false => Ok(None),
        }
    };
    let (bias, learn) = (truth(BIAS)?.unwrap_or(true), truth(LEARN)?.unwrap_or(true));
    let recurrent = name(RECURRENT);
    let recurrence = match fields.0.contains_key(&recurrent) {
        false => None,
        true => {
            let patterns = |text: &str| match text {
                ALL_TO_ALL => Some(Recurrence::all_to_all()),
                ONE_TO_ONE => Some(Recurrence::one_to_one()),
                _ => None,
            };
            let expected = "all_to_all or one_to_one";
            let mut recurrence = fields.get(&recurrent, expected, patterns)?;
            let mut truth = |field| fields.parse(&name(field), "true or false");
            recurrence = recurrence.learn(truth(LEARN_RECURRENT)?);
            if recurrence.pattern != Pattern::OneToOne {
                let (bias, diagonal) = (truth(RECURRENT_BIAS)?, truth(RECURRENT_DIAGONAL)?);
                recurrence = recurrence.bias(bias).diagonal(diagonal);
            }
            Some(recurrence)
        }
    };
    let dropout = name(DROPOUT);
    let dropout = match fields.0.contains_key(&dropout) {
        false => None,
        true => {
            let expected = "a number above 0 and less than 1";
            let rate = |text: &str| {
                let rate = text.parse().ok();
                rate.filter(|&rate: &f64| rate > 0.0 && rate < 1.0)
            };
            let rate = fields.get(&dropout, expected, rate)?;
            let seed = fields.parse(&name(DROPOUT_SEED), "a whole number")?;
            Some(Dropout { rate, seed })
        }
    };
    Ok(Synapses {
        bias,
        learn,
        recurrence,
        dropout,
    })
}

/// Not `bias`: that is a constant of encoders.
const BIAS: &str = "has_bias";
const LEARN: &str = "learn_weight";
const DROPOUT: &str = "dropout";
const DROPOUT_SEED: &str = "dropout_seed";
const RECURRENT: &str = "recurrent";
const LEARN_RECURRENT: &str = "learn_recurrent";
const RECURRENT_BIAS: &str = "recurrent_bias";
const RECURRENT_DIAGONAL: &str = "recurrent_diagonal";
const ALL_TO_ALL: &str = "all_to_all";
const ONE_TO_ONE: &str = "one_to_one";

/// The settings shared by all neurons of a layer, by name.
pub(crate) fn rules(neuron: &Neurons) -> Vec<(&'static str, String)> {
    // Files of the first version contain only leaky neurons and do not name them.
    let kind = (neuron.name() != LEAKY).then(|| (KIND, neuron.name().into()));
    kind.into_iter().chain(neuron.settings()).collect()
}

/// The name of the setting for the membrane before the first step.
const START: &str = "initial_membrane";
/// The name of the setting for the neuron type.
const KIND: &str = "neuron";
const LEAKY: &str = leaky::Rule::NAME;

/// The initial values of a learned constant, otherwise the current values: a network cast from
/// single precision has different values than it was built with.
fn constant<F: Float>(built: &PerNeuron, now: &Array1<F>, learnt: bool) -> String {
    let same = built
        .values()
        .iter()
        .map(|&x| F::from_f64(x))
        .eq(now.iter().copied());
    match built {
        built if learnt || same => per_neuron(built),
        PerNeuron::Shared(_) => now.iter().map(|x| number(x.as_f64())).collect(),
        PerNeuron::Each(_) | PerNeuron::Drawn(_) => {
            format!("{:?}", now.mapv(F::as_f64).to_vec())
        }
    }
}

/// `0.95`, `1e-8`: reading it back gives the same bits.
pub(crate) fn number(x: f64) -> String {
    format!("{x:?}")
}

/// A network's structure, read back.
pub(crate) struct Described {
    /// Number of inputs, then neurons of each layer: at least two numbers, none of them 0.
    pub sizes: Vec<usize>,
    /// The neurons of each layer, their settings in range.
    pub neurons: Vec<Neurons>,
    /// The synapses of each layer.
    pub synapses: Vec<Synapses>,
}

impl Described {
    /// Reads the entries written by [`describe`]. Rejects a network of more than `most` layers, to
    /// limit memory by the file's tensors. `known` are custom neurons that the file may name.
    pub fn take(
        fields: &mut Fields,
        prefix: &str,
        most: usize,
        known: &[Neurons],
    ) -> Result<Self, Unfit> {
        let sizes = |text: &str| {
            if text.split(' ').nth(most).is_some() {
                return None;
            }
            let sizes: Option<Vec<usize>> = text.split(' ').map(|n| n.parse().ok()).collect();
            sizes.filter(|sizes| sizes.len() >= 2 && !sizes.contains(&0))
        };
        let expected = "two or more positive whole numbers, separated by blanks";
        let sizes = fields.get(SIZES, expected, sizes)?;
        let layers = sizes.iter().skip(1).zip(1..);
        let neurons = layers.map(|(&neurons, k)| neuron(fields, prefix, (k, neurons), known));
        let neurons = neurons.collect::<Result<Vec<_>, Unfit>>()?;
        let layers = 1..=neurons.len();
        let synapses = layers.map(|k| self::synapses(fields, prefix, k));
        let synapses = synapses.collect::<Result<_, Unfit>>()?;
        Ok(Described {
            sizes,
            neurons,
            synapses,
        })
    }
}

/// The neurons of layer `k`, from 1.
pub(crate) fn neuron(
    fields: &mut Fields,
    prefix: &str,
    (k, neurons): (usize, usize),
    known: &[Neurons],
) -> Result<Neurons, Unfit> {
    let name = |field: &str| format!("{prefix}{k}.{field}");
    let mut described = match fields.0.remove(&name(KIND)) {
        None => Neurons::new(leaky_rule(fields, &name)?),
        Some(kind) => match of_this_crate(fields, &name, &kind)? {
            Some(neurons) => neurons,
            None => own(fields, &name, &kind, known)?,
        },
    };
    for constant in described.constants() {
        let numbers = "a number, or [one, per, neuron]";
        let value = fields.get(&name(constant.name), numbers, parse_per_neuron)?;
        let learn = name(&format!("learn_{}", constant.name));
        let learn = fields.parse(&learn, "true or false")?;
        described = described
            .constant(constant.name, value)
            .learn(constant.name, learn);
    }
    let start = name(START);
    if fields.0.contains_key(&start) {
        let numbers = "a number, or [one, per, neuron]";
        described = described.start(fields.get(&start, numbers, parse_per_neuron)?);
    }
    let place = format!("layer {k}");
    described
        .check(&place, neurons)
        .and_then(|()| described.check_together(&place, neurons))
        .map_err(out_of_range)?;
    Ok(described)
}

/// The names of this crate's neurons.
const KINDS: [&str; 9] = [
    LEAKY,
    synaptic::Rule::NAME,
    integrator::Rule::NAME,
    encoder::Rule::NAME,
    lapicque::Rule::NAME,
    alpha::Rule::NAME,
    adaptive::Rule::NAME,
    lsnn::Rule::NAME,
    adlif::Rule::NAME,
];

/// Neurons of this crate, by the name of their kind; their constants are not yet given.
fn of_this_crate(
    fields: &mut Fields,
    name: &impl Fn(&str) -> String,
    kind: &str,
) -> Result<Option<Neurons>, Unfit> {
    let mut flag = |field: &str| fields.parse(&name(field), "true or false");
    Ok(Some(match kind {
        LEAKY => Neurons::new(leaky_rule(fields, name)?),
        synaptic::Rule::NAME => Neurons::new(synaptic::Rule {
            old_current: flag("old_current")?,
            membrane: leaky_rule(fields, name)?,
        }),
        integrator::Rule::NAME => Neurons::new(integrator::Rule {
            old_current: flag("old_current")?,
        }),
        encoder::Rule::NAME => Neurons::new(encoder::Rule {
            normalized: flag("normalized")?,
            late_reset: flag("late_reset")?,
            membrane: leaky_rule(fields, name)?,
        }),
        lapicque::Rule::NAME => Neurons::new(lapicque::Rule {
            membrane: leaky_rule(fields, name)?,
        }),
        alpha::Rule::NAME => Neurons::new(alpha::Rule {
            reset: reset(fields, name)?,
            surrogate: surrogate(fields, name)?,
        }),
        adaptive::Rule::NAME => Neurons::new(adaptive::Rule {
            old_membrane: flag("old_membrane")?,
            scaled: flag("scaled")?,
            normalized: flag("normalized")?,
            detach_reset: flag("detach_reset")?,
            detach_adaptation: flag("detach_adaptation")?,
            surrogate: surrogate(fields, name)?,
        }),
        lsnn::Rule::NAME => Neurons::new(lsnn::Rule {
            detach_reset: flag("detach_reset")?,
            surrogate: surrogate(fields, name)?,
        }),
        adlif::Rule::NAME => Neurons::new(adlif::Rule {
            surrogate: surrogate(fields, name)?,
        }),
        _ => return Ok(None),
    }))
}

fn reset(fields: &mut Fields, name: &impl Fn(&str) -> String) -> Result<Reset, Unfit> {
    fields.get(&name("reset"), &choices(&RESETS), |text| {
        named(&RESETS, text)
    })
}

fn surrogate(fields: &mut Fields, name: &impl Fn(&str) -> String) -> Result<Surrogate, Unfit> {
    let expected = "a surrogate's name and its sharpness";
    fields.get(&name("surrogate"), expected, parse_surrogate)
}

/// The settings of leaky neurons.
fn leaky_rule(fields: &mut Fields, name: &impl Fn(&str) -> String) -> Result<leaky::Rule, Unfit> {
    Ok(leaky::Rule {
        dynamics: fields.get(&name("dynamics"), &choices(&DYNAMICS), |text| {
            named(&DYNAMICS, text)
        })?,
        reset: reset(fields, name)?,
        detach_reset: fields.parse(&name("detach_reset"), "true or false")?,
        surrogate: surrogate(fields, name)?,
    })
}

/// Custom neurons with the name and settings of the file.
fn own(
    fields: &mut Fields,
    name: &impl Fn(&str) -> String,
    kind: &str,
    known: &[Neurons],
) -> Result<Neurons, Unfit> {
    let Some(found) = known.iter().find(|known| known.name() == kind) else {
        let names: Vec<&str> = known.iter().map(Neurons::name).collect();
        return Err(Unfit {
            what: name(KIND),
            expected: format!(
                "one of the neurons known to this program: {}",
                [&KINDS, &names[..]].concat().join(", ")
            ),
            found: shortened(kind),
        });
    };
    for (setting, have) in found.settings() {
        fields.get(&name(setting), &have, |text| (text == have).then_some(()))?;
    }
    Ok(found.clone())
}

/// `0.95`, or `[0.95, 0.9]`.
fn per_neuron(values: &PerNeuron) -> String {
    match values {
        PerNeuron::Shared(value) => number(*value),
        // A network's are drawn.
        PerNeuron::Each(_) | PerNeuron::Drawn(_) => format!("{:?}", values.values()),
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

/// The metadata of a file; each entry is used once.
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

/// A mismatch in a file.
pub(crate) struct Unfit {
    pub what: String,
    pub expected: String,
    pub found: String,
}

impl Unfit {
    /// The error, with the path of the file.
    pub fn of(self, path: &Path) -> Error {
        files::format_error(path, self.what, self.expected, self.found)
    }
}

/// An error of a check shared by the whole crate.
pub(crate) fn out_of_range(error: Error) -> Unfit {
    Unfit {
        what: "content".into(),
        expected: "values in range".into(),
        found: error.to_string(),
    }
}

/// Text of a file for a message: one line, truncated.
pub(crate) fn shortened(text: &str) -> String {
    let line = |c: char| if c.is_control() { ' ' } else { c };
    let mut short: String = text.chars().take(80).map(line).collect();
    if text.chars().nth(80).is_some() {
        short.push_str(" …");
    }
    short
}
