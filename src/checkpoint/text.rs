//! The configuration as text, and back. A number is written with as many digits as it takes to come
//! back with the same bits; a name is the same for ever, whatever the type is called in the code.

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

use std::{collections::BTreeMap, str::FromStr};

use super::Checkpoint;
use crate::{Adam, Dynamics, Leaky, Loss, Objective, PerNeuron, Reset, Surrogate, Trainer};

/// A name in the file for each value.
type Names<T, const N: usize> = [(&'static str, T); N];

pub(super) const DYNAMICS: Names<Dynamics, 3> = [
    ("fire_then_integrate", Dynamics::FireThenIntegrate),
    ("integrate_then_fire", Dynamics::IntegrateThenFire),
    ("integrate_fire_reset", Dynamics::IntegrateFireReset),
];

pub(super) const RESETS: Names<Reset, 3> = [
    ("subtract", Reset::Subtract),
    ("zero", Reset::Zero),
    ("none", Reset::None),
];

/// The name of inputs and neurons of each layer.
pub(super) const SIZES: &str = "network.sizes";

/// A prefix of the settings of the program's own.
pub(super) const SETTING: &str = "setting.";

fn name_of<T: PartialEq, const N: usize>(names: &Names<T, N>, value: &T) -> String {
    let found = names.iter().find(|(_, known)| known == value);
    found.map_or_else(String::new, |(name, _)| (*name).into())
}

/// What a name stands for.
pub(super) fn named<T: Copy, const N: usize>(names: &Names<T, N>, text: &str) -> Option<T> {
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value)
}

/// The names, for a message.
pub(super) fn choices<T, const N: usize>(names: &Names<T, N>) -> String {
    let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

/// See [`Checkpoint::configuration`]. Each struct is taken apart field by field, so that a setting
/// added to one cannot be forgotten here.
pub(super) fn configuration(checkpoint: &Checkpoint) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    let mut put = |name: String, value: String| {
        map.insert(name, value);
    };
    let sizes: Vec<String> = (checkpoint.network.sizes().iter())
        .map(usize::to_string)
        .collect();
    put(SIZES.into(), sizes.join(" "));
    for (layer, k) in checkpoint.network.layers().iter().zip(1..) {
        let Leaky {
            beta,
            threshold,
            dynamics,
            reset,
            detach_reset,
            surrogate,
            learn_beta,
            learn_threshold,
        } = layer.neuron();
        for (name, value) in [
            ("beta", per_neuron(beta)),
            ("threshold", per_neuron(threshold)),
            ("dynamics", name_of(&DYNAMICS, dynamics)),
            ("reset", name_of(&RESETS, reset)),
            ("detach_reset", detach_reset.to_string()),
            ("surrogate", surrogate_text(*surrogate)),
            ("learn_beta", learn_beta.to_string()),
            ("learn_threshold", learn_threshold.to_string()),
        ] {
            put(format!("layer{k}.{name}"), value);
        }
    }
    let objective = checkpoint.objective.as_ref();
    match objective.and_then(|objective| Some((loss_text(&objective.loss)?, objective))) {
        Some((loss, Objective { loss: _, rate_l1 })) => {
            put("objective.loss".into(), loss);
            put("objective.rate_l1".into(), number(*rate_l1));
        }
        None => put("objective.loss".into(), CUSTOM.into()),
    }
    let Adam {
        lr,
        beta1,
        beta2,
        eps,
        clip_norm,
        step: _,
        moments: _,
    } = &checkpoint.adam;
    for (name, value) in [("lr", lr), ("beta1", beta1), ("beta2", beta2), ("eps", eps)] {
        put(format!("adam.{name}"), number(*value));
    }
    let clip_norm = clip_norm.map_or_else(|| NO_LIMIT.into(), number);
    put("adam.clip_norm".into(), clip_norm);
    let Trainer {
        epochs: _,
        batch_size,
        num_steps,
        seed,
    } = &checkpoint.trainer;
    put("trainer.batch_size".into(), batch_size.to_string());
    put("trainer.num_steps".into(), num_steps.to_string());
    put("trainer.seed".into(), seed.to_string());
    for (name, value) in &checkpoint.settings {
        put(format!("{SETTING}{name}"), value.clone());
    }
    map
}

/// The value of `adam.clip_norm` where there is none.
pub(super) const NO_LIMIT: &str = "none";

/// `0.95`, `1e-8`: read back, it has the same bits.
fn number(x: f64) -> String {
    format!("{x:?}")
}

/// `0.95`, or `[0.95, 0.9]`.
fn per_neuron(values: &PerNeuron) -> String {
    match values {
        PerNeuron::Shared(value) => number(*value),
        PerNeuron::Each(values) => format!("{values:?}"),
    }
}

pub(super) fn parse_per_neuron(text: &str) -> Option<PerNeuron> {
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

pub(super) fn parse_surrogate(text: &str) -> Option<Surrogate> {
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

/// `None` for a loss of the user's own.
fn loss_text(loss: &Loss) -> Option<String> {
    Some(match loss {
        Loss::CrossEntropyMembrane => "cross_entropy_membrane".into(),
        Loss::CrossEntropyCount => "cross_entropy_count".into(),
        Loss::CrossEntropyRate => "cross_entropy_rate".into(),
        Loss::CrossEntropyMaxMembrane => "cross_entropy_max_membrane".into(),
        Loss::MseCount {
            correct_rate,
            incorrect_rate,
        } => format!("mse_count {correct_rate:?} {incorrect_rate:?}"),
        Loss::MseMembrane {
            on_target,
            off_target,
        } => format!("mse_membrane {on_target:?} {off_target:?}"),
        Loss::Custom(_) => return None,
    })
}

/// The name of a loss of the user's own.
pub(super) const CUSTOM: &str = "custom";

/// A built-in loss.
pub(super) fn parse_loss(text: &str) -> Option<Loss> {
    let words: Vec<&str> = text.split(' ').collect();
    Some(match words[..] {
        ["cross_entropy_membrane"] => Loss::CrossEntropyMembrane,
        ["cross_entropy_count"] => Loss::CrossEntropyCount,
        ["cross_entropy_rate"] => Loss::CrossEntropyRate,
        ["cross_entropy_max_membrane"] => Loss::CrossEntropyMaxMembrane,
        ["mse_count", correct, incorrect] => Loss::MseCount {
            correct_rate: correct.parse().ok()?,
            incorrect_rate: incorrect.parse().ok()?,
        },
        ["mse_membrane", on, off] => Loss::MseMembrane {
            on_target: on.parse().ok()?,
            off_target: off.parse().ok()?,
        },
        _ => return None,
    })
}

/// The metadata of a file, each entry of which is taken once.
pub(super) struct Fields(pub BTreeMap<String, String>);

impl Fields {
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
pub(super) struct Unfit {
    pub what: String,
    pub expected: String,
    pub found: String,
}

/// Text of a file for a message: not all of it.
pub(super) fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{} …", text.get(..end).unwrap_or(text)),
        None => text.into(),
    }
}
