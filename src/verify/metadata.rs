//! The metadata of a fixture: text entries, each of them JSON, that describe a network and how it
//! was trained.

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

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::{
    Dynamics, Loss, PerNeuron, Reset, Surrogate,
    loss::Inverse,
    neuron::{Neuron, Neurons, leaky, synaptic},
    weights::describe::{self, Fields},
};

/// What is wrong with an entry or a tensor: what it is, what was found, what was expected.
pub(super) struct Wrong {
    pub what: String,
    pub found: String,
    pub expected: String,
}

impl Wrong {
    pub fn new(
        what: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Wrong {
            what: what.into(),
            found: found.into(),
            expected: expected.into(),
        }
    }
}

/// The longest text of an entry; parsed, a list takes some thirty times its length.
const MAX_TEXT: usize = 1 << 20;

/// As much of an entry as a message shows.
const SHOWN: usize = 80;

/// The keys that describe the network. A file has all that are needed, or none of them.
const STRUCTURE: [&str; 18] = [
    "layers",
    "sizes",
    "neuron",
    "syn_alpha",
    "beta",
    "gain",
    "threshold",
    "old_current",
    "dynamics",
    "reset",
    "detach_reset",
    "surrogate",
    "alpha",
    "slope",
    "learn_alpha",
    "learn_beta",
    "learn_gain",
    "learn_threshold",
];

/// The key of a constant's values: `alpha` is the sharpness of a surrogate.
fn key(constant: &str) -> &str {
    match constant {
        "alpha" => "syn_alpha",
        other => other,
    }
}

/// The entries, each to be asked for once; what is left over at the end is unknown.
pub(super) struct Metadata {
    entries: BTreeMap<String, String>,
}

/// A type that an entry may have.
pub(super) trait Entry: Sized {
    /// In words, for a message.
    const EXPECTED: &'static str;
    fn parse(value: &Value) -> Option<Self>;
}

impl Entry for f64 {
    const EXPECTED: &'static str = "a number";
    fn parse(value: &Value) -> Option<Self> {
        value.as_f64()
    }
}

impl Entry for usize {
    const EXPECTED: &'static str = "a whole number";
    fn parse(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Entry for i64 {
    const EXPECTED: &'static str = "a whole number, which may be negative";
    fn parse(value: &Value) -> Option<Self> {
        value.as_i64()
    }
}

impl Entry for u32 {
    const EXPECTED: &'static str = "a whole number";
    fn parse(value: &Value) -> Option<Self> {
        value.as_u64()?.try_into().ok()
    }
}

impl Entry for bool {
    const EXPECTED: &'static str = "true or false";
    fn parse(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Entry for String {
    const EXPECTED: &'static str = "a string";
    fn parse(value: &Value) -> Option<Self> {
        value.as_str().map(String::from)
    }
}

impl Entry for Vec<usize> {
    const EXPECTED: &'static str = "a list of whole numbers";
    fn parse(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(usize::parse).collect()
    }
}

/// A number for the whole layer (or a list of one), or a list with one for each neuron.
impl Entry for PerNeuron {
    const EXPECTED: &'static str = "a number, or a list of them";
    fn parse(value: &Value) -> Option<Self> {
        if let Some(shared) = value.as_f64() {
            return Some(PerNeuron::Shared(shared));
        }
        let each: Option<Vec<f64>> = value.as_array()?.iter().map(Value::as_f64).collect();
        each.map(|each| match each[..] {
            [shared] => PerNeuron::Shared(shared),
            _ => PerNeuron::Each(each),
        })
    }
}

impl Entry for Vec<PerNeuron> {
    const EXPECTED: &'static str = "a number, or a list of them, for each layer";
    fn parse(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(PerNeuron::parse).collect()
    }
}

/// The entries of weights files for the neurons of each layer, without the layer's prefix.
impl Entry for Vec<BTreeMap<String, String>> {
    const EXPECTED: &'static str = "a list of objects of strings, one for each layer";
    fn parse(value: &Value) -> Option<Self> {
        let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.into()));
        let layer = |layer: &Value| layer.as_object()?.iter().map(text).collect();
        value.as_array()?.iter().map(layer).collect()
    }
}

impl Metadata {
    pub fn new(strings: Option<&HashMap<String, String>>) -> Result<Self, Wrong> {
        let mut entries = BTreeMap::new();
        for (key, text) in strings.into_iter().flatten() {
            if text.len() > MAX_TEXT {
                let (found, most) = (text.len(), MAX_TEXT);
                return Err(Wrong::new(
                    format!("length of metadata {key}"),
                    format!("{found} bytes"),
                    format!("at most {most}"),
                ));
            }
            entries.insert(key.clone(), text.clone());
        }
        Ok(Metadata { entries })
    }

    /// Whether the network is described.
    pub fn has_structure(&self) -> bool {
        STRUCTURE.iter().any(|key| self.entries.contains_key(*key))
    }

    pub fn optional<T: Entry>(&mut self, key: &str) -> Result<Option<T>, Wrong> {
        let Some(text) = self.entries.remove(key) else {
            return Ok(None);
        };
        let what = format!("metadata {key}");
        let value: Value = serde_json::from_str(&text)
            .map_err(|e| Wrong::new(&what, format!("{:?}", shown(&text)), format!("JSON ({e})")))?;
        match T::parse(&value) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(Wrong::new(what, shown(&text), T::EXPECTED)),
        }
    }

    pub fn required<T: Entry>(&mut self, key: &str) -> Result<T, Wrong> {
        let missing = || Wrong::new(format!("metadata {key}"), "missing", T::EXPECTED);
        self.optional(key)?.ok_or_else(missing)
    }

    /// One choice of several, by name.
    pub fn choice<T: Clone>(
        &mut self,
        key: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, Wrong> {
        let Some(name) = self.optional::<String>(key)? else {
            return Ok(None);
        };
        match choices.iter().find(|(known, _)| *known == name) {
            Some((_, choice)) => Ok(Some(choice.clone())),
            None => Err(Wrong::new(
                format!("metadata {key}"),
                format!("{:?}", shown(&name)),
                one_of(choices),
            )),
        }
    }

    fn required_choice<T: Clone>(&mut self, key: &str, choices: &[(&str, T)]) -> Result<T, Wrong> {
        let missing = || Wrong::new(format!("metadata {key}"), "missing", one_of(choices));
        self.choice(key, choices)?.ok_or_else(missing)
    }

    /// A value for each of `layers` layers. A gain is 1 where it is not stated.
    fn per_layer(&mut self, key: &str, layers: usize) -> Result<Vec<PerNeuron>, Wrong> {
        let entries: Vec<PerNeuron> = match key == "gain" && !self.entries.contains_key(key) {
            true => vec![PerNeuron::Shared(1.0); layers],
            false => self.required(key)?,
        };
        if entries.len() != layers {
            return Err(Wrong::new(
                format!("metadata {key}"),
                format!("a list of {}", entries.len()),
                format!("{layers}, one for each layer"),
            ));
        }
        Ok(entries)
    }

    /// The neurons of each layer, whose numbers of neurons are `sizes`.
    pub fn neurons(&mut self, sizes: &[usize]) -> Result<Vec<Neurons>, Wrong> {
        if let Some(described) = self.optional::<Vec<BTreeMap<String, String>>>("layers")? {
            return by_layer(described, sizes);
        }
        let layers = sizes.len();
        let membrane = self.rule()?;
        let kinds = [(leaky::Rule::NAME, false), (synaptic::Rule::NAME, true)];
        let mut common = match self.choice("neuron", &kinds)? {
            Some(true) => Neurons::new(synaptic::Rule {
                membrane,
                old_current: self.optional("old_current")?.unwrap_or(false),
            }),
            _ => Neurons::new(membrane),
        };
        let mut values = Vec::new();
        for constant in common.constants() {
            let learn = self.optional(&format!("learn_{}", constant.name))?;
            common = common.learn(constant.name, learn.unwrap_or(false));
            let of_layers = self.per_layer(key(constant.name), layers)?;
            values.push((constant.name, of_layers.into_iter()));
        }
        let neurons = (0..layers).map(|_| {
            let values = values.iter_mut();
            let values = values.filter_map(|(name, values)| Some((*name, values.next()?)));
            values.fold(common.clone(), |neurons, (name, value)| {
                neurons.constant(name, value)
            })
        });
        Ok(neurons.collect())
    }

    /// How the membranes of every layer fire and reset.
    fn rule(&mut self) -> Result<leaky::Rule, Wrong> {
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
        let surrogate = self.required_choice("surrogate", &surrogates)?;
        let takes_alpha = matches!(surrogate, Surrogate::Arctan { .. });
        let takes_slope = matches!(
            surrogate,
            Surrogate::FastSigmoid { .. } | Surrogate::Sigmoid { .. }
        );
        // A default that is written down although it means nothing is not a slip.
        for (name, value, idle) in [
            ("alpha", alpha, alpha != 2.0 && !takes_alpha),
            ("slope", slope, slope != 25.0 && !takes_slope),
        ] {
            if idle {
                return Err(Wrong::new(
                    format!("metadata {name}"),
                    value.to_string(),
                    format!("no such entry: the surrogate {surrogate:?} does not have it"),
                ));
            }
        }
        Ok(leaky::Rule {
            dynamics: self.required_choice("dynamics", &dynamics)?,
            reset: self.required_choice("reset", &resets)?,
            detach_reset: self.optional("detach_reset")?.unwrap_or(true),
            surrogate,
        })
    }

    /// The loss, where it is stated.
    pub fn loss(&mut self) -> Result<Option<Loss<f64>>, Wrong> {
        let mut number = |key: &str, default: f64| {
            let value: Option<f64> = self.optional(key)?;
            Ok::<f64, Wrong>(value.unwrap_or(default))
        };
        let (correct_rate, incorrect_rate) =
            (number("correct_rate", 1.0)?, number("incorrect_rate", 0.0)?);
        let (on_target, off_target) = (number("on_target", 1.0)?, number("off_target", 0.0)?);
        let first = self.optional("window_first")?.unwrap_or(0);
        let end = self.optional("window_end")?.unwrap_or(usize::MAX);
        let [on_step, off_step] = [self.optional("on_step")?, self.optional("off_step")?];
        let tolerance = self.optional("tolerance")?;
        let losses = [
            ("ce_membrane", Loss::CrossEntropyMembrane),
            ("ce_count", Loss::CrossEntropyCount),
            ("ce_rate", Loss::CrossEntropyRate),
            ("ce_max_membrane", Loss::CrossEntropyMaxMembrane),
            ("ce_last_membrane", Loss::CrossEntropyLastMembrane),
            (
                "ce_mean_membrane",
                Loss::CrossEntropyMeanMembrane { first, end },
            ),
            ("ce_temporal", Loss::CrossEntropyFirstSpike(Inverse::Negate)),
            (
                "ce_temporal_reciprocal",
                Loss::CrossEntropyFirstSpike(Inverse::Reciprocal),
            ),
            (
                "mse_temporal",
                Loss::MseFirstSpike {
                    on_target: on_step.unwrap_or(0),
                    off_target: off_step.unwrap_or(-1),
                    tolerance: tolerance.unwrap_or(0),
                },
            ),
            (
                "mse_count",
                Loss::MseCount {
                    correct_rate,
                    incorrect_rate,
                },
            ),
            (
                "mse_membrane",
                Loss::MseMembrane {
                    on_target,
                    off_target,
                },
            ),
        ];
        self.choice("loss", &losses)
    }

    /// How a library was called: for the reader, not for the computation.
    pub fn ignore(&mut self, key: &str) {
        self.entries.remove(key);
    }

    pub fn finish(self) -> Result<(), Wrong> {
        match self.entries.keys().next() {
            Some(key) => Err(Wrong::new(
                format!("metadata {key}"),
                "unknown",
                "an entry that the chapter on checking a port lists (spikegrad::docs::port)",
            )),
            None => Ok(()),
        }
    }
}

/// Neurons of any kind, described as in weights files.
fn by_layer(
    described: Vec<BTreeMap<String, String>>,
    sizes: &[usize],
) -> Result<Vec<Neurons>, Wrong> {
    if described.len() != sizes.len() {
        let found = format!("a list of {}", described.len());
        let expected = format!("{}, one for each layer", sizes.len());
        return Err(Wrong::new("metadata layers", found, expected));
    }
    let layers = described.into_iter().zip(sizes).zip(1..);
    let layers = layers.map(|((entries, &neurons), k)| {
        let entries = entries.into_iter();
        let mut fields = Fields(
            entries
                .map(|(name, text)| (format!("{k}.{name}"), text))
                .collect(),
        );
        let what = |name: &str| format!("metadata layers, {name}");
        let read = describe::neuron(&mut fields, "", (k, neurons), &[]);
        let read = read.map_err(|e| Wrong::new(what(&e.what), e.found, e.expected))?;
        match fields.0.keys().next() {
            Some(name) => Err(Wrong::new(what(name), "unknown", "a setting of the neuron")),
            None => Ok(read),
        }
    });
    layers.collect()
}

fn one_of<T>(choices: &[(&str, T)]) -> String {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    format!("one of {}", names.join(", "))
}

/// The beginning of a text, with an ellipsis where there is more.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some(_) => text.chars().take(SHOWN).chain(['…']).collect(),
        None => text.into(),
    }
}
