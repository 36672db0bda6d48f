//! The optimizer's settings and state in a checkpoint: as text in the metadata, and as tensors.
//!
//! The names of both begin with the rule's: `adam.lr`, `adam.exp_avg.fc1.weight`, `sgd.momentum`. Those of
//! a group's settings begin with its number: `group1.lr`. Version 1 of the format had Adam alone, without
//! weight decay, schedule and groups.

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

use super::file_tensors::FileTensors;
use crate::{
    Gradients, Network, Optimizer,
    optim::{Adam, Adamax, Group, Rule, Schedule, Sgd, schedule::Curve},
    weights::describe::{Fields, Unfit, number, out_of_range, shortened},
};

/// The value of `clip_norm` without clipping.
const NO_LIMIT: &str = "none";

/// The rule's name, with which its settings and tensors begin.
pub(super) fn prefix(rule: &Rule) -> &'static str {
    match rule {
        Rule::Sgd(_) => "sgd",
        Rule::Adam(_) => "adam",
        Rule::Adamax(_) => "adamax",
    }
}

/// The settings of a rule by name. Each struct is destructured field by field, so that no new setting can
/// be forgotten here.
fn settings(rule: &Rule) -> Vec<(&'static str, String)> {
    match *rule {
        Rule::Sgd(Sgd {
            lr,
            momentum,
            nesterov,
            weight_decay,
        }) => vec![
            ("lr", number(lr)),
            ("momentum", number(momentum)),
            ("nesterov", nesterov.to_string()),
            ("weight_decay", number(weight_decay)),
        ],
        Rule::Adam(Adam {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            decoupled,
        }) => vec![
            ("lr", number(lr)),
            ("beta1", number(beta1)),
            ("beta2", number(beta2)),
            ("eps", number(eps)),
            ("weight_decay", number(weight_decay)),
            ("decoupled", decoupled.to_string()),
        ],
        Rule::Adamax(Adamax {
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
        }) => vec![
            ("lr", number(lr)),
            ("beta1", number(beta1)),
            ("beta2", number(beta2)),
            ("eps", number(eps)),
            ("weight_decay", number(weight_decay)),
        ],
    }
}

/// Passes on everything but the state, as text by name.
pub(super) fn configuration(optimizer: &Optimizer, put: &mut impl FnMut(String, String)) {
    let Optimizer {
        rule,
        schedule: Schedule { warmup, curve },
        groups,
        clip_norm,
        step: _,
        kept: _,
        kept_names: _,
    } = optimizer;
    let name = prefix(rule);
    put("optimizer".into(), name.into());
    for (setting, value) in settings(rule) {
        put(format!("{name}.{setting}"), value);
    }
    let clip_norm = clip_norm.map_or_else(|| NO_LIMIT.into(), number);
    put(format!("{name}.clip_norm"), clip_norm);
    put("schedule".into(), curve_text(curve));
    put("schedule.warmup".into(), warmup.to_string());
    put("groups".into(), groups.len().to_string());
    for (Group { tensors, rule }, n) in groups.iter().zip(1_usize..) {
        put(format!("group{n}.tensors"), tensors.join(" "));
        for (setting, value) in settings(rule) {
            put(format!("group{n}.{setting}"), value);
        }
    }
}

fn curve_text(curve: &Curve) -> String {
    match curve {
        Curve::Constant => "constant".into(),
        Curve::Step { every, gamma } => format!("step {every} {gamma:?}"),
        Curve::Exponential { gamma } => format!("exponential {gamma:?}"),
        Curve::Cosine { updates, least } => format!("cosine {updates} {least:?}"),
        Curve::OneCycle {
            updates,
            rise,
            start_factor,
            end_factor,
        } => format!("one_cycle {updates} {rise:?} {start_factor:?} {end_factor:?}"),
    }
}

fn parse_curve(text: &str) -> Option<Curve> {
    let words: Vec<&str> = text.split(' ').collect();
    Some(match words[..] {
        ["constant"] => Curve::Constant,
        ["step", every, gamma] => Curve::Step {
            every: every.parse().ok()?,
            gamma: gamma.parse().ok()?,
        },
        ["exponential", gamma] => Curve::Exponential {
            gamma: gamma.parse().ok()?,
        },
        ["cosine", updates, least] => Curve::Cosine {
            updates: updates.parse().ok()?,
            least: least.parse().ok()?,
        },
        ["one_cycle", updates, rise, start, end] => Curve::OneCycle {
            updates: updates.parse().ok()?,
            rise: rise.parse().ok()?,
            start_factor: start.parse().ok()?,
            end_factor: end.parse().ok()?,
        },
        _ => return None,
    })
}

/// Reads a rule's settings, whose names begin with `prefix`.
fn rule(fields: &mut Fields, kind: &str, prefix: &str, version: u32) -> Result<Rule, Unfit> {
    let name = |setting: &str| format!("{prefix}.{setting}");
    let mut real = |setting: &str| fields.parse::<f64>(&name(setting), "a number");
    let rule = match kind {
        "sgd" => Rule::Sgd(Sgd {
            lr: real("lr")?,
            momentum: real("momentum")?,
            weight_decay: real("weight_decay")?,
            nesterov: fields.parse(&name("nesterov"), "true or false")?,
        }),
        "adamax" => Rule::Adamax(Adamax {
            lr: real("lr")?,
            beta1: real("beta1")?,
            beta2: real("beta2")?,
            eps: real("eps")?,
            weight_decay: real("weight_decay")?,
        }),
        _ => {
            let mut adam = Adam::new(real("lr")?).betas(real("beta1")?, real("beta2")?);
            adam.eps = real("eps")?;
            if version > 1 {
                adam.weight_decay = real("weight_decay")?;
                adam.decoupled = fields.parse(&name("decoupled"), "true or false")?;
            }
            Rule::Adam(adam)
        }
    };
    Ok(rule)
}

/// Reads the optimizer; its state is there if and only if it has made an update.
pub(super) fn optimizer(
    fields: &mut Fields,
    tensors: &mut FileTensors<'_, '_>,
    network: &Network,
    version: u32,
) -> Result<Optimizer, Unfit> {
    let kind = match version {
        1 => "adam",
        _ => fields.get("optimizer", "sgd, adam or adamax", |text| {
            ["sgd", "adam", "adamax"]
                .into_iter()
                .find(|kind| *kind == text)
        })?,
    };
    let mut optimizer = Optimizer::from(rule(fields, kind, kind, version)?);
    let clip_norm = format!("{kind}.clip_norm");
    optimizer.clip_norm = fields.get(&clip_norm, "a number or none", |text| match text {
        NO_LIMIT => Some(None),
        text => text.parse().ok().map(Some),
    })?;
    let step = format!("{kind}.step");
    // The count continues in doubles.
    optimizer.step = fields.get(&step, "a whole number up to 2^53", |text| {
        text.parse().ok().filter(|step| *step <= 1 << 53)
    })?;
    if version > 1 {
        let expected = "the name of a schedule and its numbers";
        optimizer.schedule = Schedule {
            curve: fields.get("schedule", expected, parse_curve)?,
            warmup: fields.parse("schedule.warmup", "a whole number")?,
        };
        let count: usize = fields.parse("groups", "a whole number")?;
        for n in 1..=count {
            // Missing if the count is wrong, so the loop is as long as the metadata at most.
            let what = format!("group{n}.tensors");
            let text = fields.text(&what)?;
            let rule = rule(fields, kind, &format!("group{n}"), version)?;
            // More than there are tensors cannot all be names of some.
            let most = tensors.0.len();
            let names: Vec<&str> = text
                .split_whitespace()
                .take(most.saturating_add(1))
                .collect();
            if names.len() > most {
                return Err(Unfit {
                    what,
                    expected: format!("at most {most} names, as many as there are tensors"),
                    found: shortened(&text),
                });
            }
            optimizer = optimizer.group(names, rule);
        }
    }
    optimizer.check().map_err(out_of_range)?;
    if optimizer.step > 0 {
        optimizer.kept_names = optimizer.rule.kept();
        for name in optimizer.kept_names {
            let prefix = format!("{kind}.{name}.");
            optimizer.kept.push(state(tensors, &prefix, network)?);
        }
    }
    optimizer.check_for(network).map_err(out_of_range)?;
    Ok(optimizer)
}

/// The tensors of one number that is kept; what is a mean of squares or a maximum is at least 0.
fn state(
    tensors: &mut FileTensors<'_, '_>,
    prefix: &str,
    network: &Network,
) -> Result<Gradients, Unfit> {
    let layers = network.layers().iter().zip(1..).map(|(layer, k)| {
        let size = (layer.inputs(), layer.neurons());
        tensors.trained(prefix, k, size, layer.synapses(), layer.neuron())
    });
    let kept = Gradients {
        layers: layers.collect::<Result<_, Unfit>>()?,
    };
    if prefix.ends_with("exp_avg_sq.") || prefix.ends_with("exp_inf.") {
        for (name, values) in kept.tensors() {
            if let Some(bad) = values.iter().find(|v| **v < 0.0) {
                return Err(Unfit {
                    what: format!("tensor {prefix}{name}"),
                    expected: "numbers of at least 0".into(),
                    found: bad.to_string(),
                });
            }
        }
    }
    Ok(kept)
}
