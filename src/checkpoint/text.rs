//! Converts the configuration to text and back. Numbers have enough digits to be restored bit for
//! bit. Names never change, even if the type in the code is renamed.

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

use std::collections::BTreeMap;

use super::{Checkpoint, optimizer};
use crate::{
    Loss, Objective, RatePenalty, Trainer,
    loss::{Inverse, Quantity},
    weights::describe::{describe, number},
};

/// The prefix of the layer number in the names of settings.
pub(crate) const LAYER: &str = "layer";

/// The windows of a run, in its files only if it has some.
pub(super) const TRUNCATE: &str = "trainer.truncate";

/// Whether the last short batch is left out, in a run's files only if it is not.
pub(super) const DROP_LAST: &str = "trainer.drop_last";

/// The prefix of the program's own settings.
pub(super) const SETTING: &str = "setting.";

/// See [`Checkpoint::configuration`]. Each struct is destructured field by field, so that no new
/// setting can be forgotten here.
pub(super) fn configuration(checkpoint: &Checkpoint) -> BTreeMap<String, String> {
    let mut map = describe(&checkpoint.network, LAYER);
    let mut put = |name: String, value: String| {
        map.insert(name, value);
    };
    let objective = checkpoint.objective.as_ref();
    match objective.and_then(|objective| Some((loss_text(&objective.loss)?, objective))) {
        Some((
            loss,
            Objective {
                loss: _,
                rate_l1,
                penalties,
            },
        )) => {
            put("objective.loss".into(), loss);
            put("objective.rate_l1".into(), number(*rate_l1));
            if !penalties.is_empty() {
                let penalties: Vec<String> = penalties.iter().map(penalty_text).collect();
                put(PENALTIES.into(), penalties.join(", "));
            }
        }
        None => put("objective.loss".into(), CUSTOM.into()),
    }
    optimizer::configuration(&checkpoint.optimizer, &mut put);
    let Trainer {
        epochs: _,
        batch_size,
        num_steps,
        seed,
        drop_last,
        accumulate,
        truncate,
    } = &checkpoint.trainer;
    put("trainer.batch_size".into(), batch_size.to_string());
    put("trainer.num_steps".into(), num_steps.to_string());
    put("trainer.seed".into(), seed.to_string());
    put("trainer.accumulate".into(), accumulate.to_string());
    if !drop_last {
        put(DROP_LAST.into(), drop_last.to_string());
    }
    if let Some(steps) = truncate {
        put(TRUNCATE.into(), steps.to_string());
    }
    for (name, value) in &checkpoint.settings {
        put(format!("{SETTING}{name}"), value.clone());
    }
    map
}

/// The penalties on rates, in files only if there are some.
pub(super) const PENALTIES: &str = "objective.penalties";

fn penalty_text(penalty: &RatePenalty) -> String {
    let RatePenalty {
        lower,
        upper,
        strength,
        per_neuron,
        squared,
    } = penalty;
    let per = if *per_neuron { "neuron" } else { "layer" };
    let power = if *squared { 2 } else { 1 };
    format!("{per} {power} {lower:?} {upper:?} {strength:?}")
}

/// Penalties on rates.
pub(super) fn parse_penalties(text: &str) -> Option<Vec<RatePenalty>> {
    let penalty = |text: &str| {
        let words: Vec<&str> = text.split(' ').collect();
        let [per, power, lower, upper, strength] = words[..] else {
            return None;
        };
        let (lower, upper) = (lower.parse().ok()?, upper.parse().ok()?);
        let penalty = match per {
            "neuron" => RatePenalty::per_neuron(lower, upper),
            "layer" => RatePenalty::per_layer(lower, upper),
            _ => return None,
        };
        let penalty = penalty.strength(strength.parse().ok()?);
        match power {
            "1" => Some(penalty.l1()),
            "2" => Some(penalty),
            _ => None,
        }
    };
    text.split(", ").map(penalty).collect()
}

/// `None` for a custom loss.
fn loss_text(loss: &Loss) -> Option<String> {
    Some(match loss {
        Loss::CrossEntropyMembrane => "cross_entropy_membrane".into(),
        Loss::CrossEntropyCount => "cross_entropy_count".into(),
        Loss::CrossEntropyRate => "cross_entropy_rate".into(),
        Loss::CrossEntropyMaxMembrane => "cross_entropy_max_membrane".into(),
        Loss::CrossEntropyLastMembrane => "cross_entropy_last_membrane".into(),
        Loss::CrossEntropyMeanMembrane { first, end } => {
            format!("cross_entropy_mean_membrane {first} {end}")
        }
        Loss::CrossEntropyFirstSpike(Inverse::Negate) => "cross_entropy_first_spike negate".into(),
        Loss::CrossEntropyFirstSpike(Inverse::Reciprocal) => {
            "cross_entropy_first_spike reciprocal".into()
        }
        Loss::MseFirstSpike {
            on_target,
            off_target,
            tolerance,
        } => format!("mse_first_spike {on_target} {off_target} {tolerance}"),
        Loss::MseCount {
            correct_rate,
            incorrect_rate,
        } => format!("mse_count {correct_rate:?} {incorrect_rate:?}"),
        Loss::MseMembrane {
            on_target,
            off_target,
        } => format!("mse_membrane {on_target:?} {off_target:?}"),
        Loss::Mse(quantity) => format!("mse {}", quantity_text(*quantity)),
        Loss::Mae(quantity) => format!("mae {}", quantity_text(*quantity)),
        Loss::Custom(_) => return None,
    })
}

fn quantity_text(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Membrane => "membrane",
        Quantity::SpikeCount => "spike_count",
        Quantity::SpikeRate => "spike_rate",
    }
}

fn parse_quantity(text: &str) -> Option<Quantity> {
    let all = [
        Quantity::Membrane,
        Quantity::SpikeCount,
        Quantity::SpikeRate,
    ];
    all.into_iter()
        .find(|quantity| quantity_text(*quantity) == text)
}

/// The name of a custom loss.
pub(super) const CUSTOM: &str = "custom";

/// A built-in loss.
pub(super) fn parse_loss(text: &str) -> Option<Loss> {
    let words: Vec<&str> = text.split(' ').collect();
    Some(match words[..] {
        ["cross_entropy_membrane"] => Loss::CrossEntropyMembrane,
        ["cross_entropy_count"] => Loss::CrossEntropyCount,
        ["cross_entropy_rate"] => Loss::CrossEntropyRate,
        ["cross_entropy_max_membrane"] => Loss::CrossEntropyMaxMembrane,
        ["cross_entropy_last_membrane"] => Loss::CrossEntropyLastMembrane,
        ["cross_entropy_mean_membrane", first, end] => Loss::CrossEntropyMeanMembrane {
            first: first.parse().ok()?,
            end: end.parse().ok()?,
        },
        ["cross_entropy_first_spike", "negate"] => Loss::CrossEntropyFirstSpike(Inverse::Negate),
        ["cross_entropy_first_spike", "reciprocal"] => {
            Loss::CrossEntropyFirstSpike(Inverse::Reciprocal)
        }
        ["mse_first_spike", on, off, tolerance] => Loss::MseFirstSpike {
            on_target: on.parse().ok()?,
            off_target: off.parse().ok()?,
            tolerance: tolerance.parse().ok()?,
        },
        ["mse_count", correct, incorrect] => Loss::MseCount {
            correct_rate: correct.parse().ok()?,
            incorrect_rate: incorrect.parse().ok()?,
        },
        ["mse_membrane", on, off] => Loss::MseMembrane {
            on_target: on.parse().ok()?,
            off_target: off.parse().ok()?,
        },
        ["mse", quantity] => Loss::Mse(parse_quantity(quantity)?),
        ["mae", quantity] => Loss::Mae(parse_quantity(quantity)?),
        _ => return None,
    })
}
