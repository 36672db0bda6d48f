//! The options of the optimizer and its learning rate.

use clap::{Args, ValueEnum};
use spikegrad::{
    Error, Optimizer, Result, Schedule,
    optim::{Adam, Adamax, Rule, Sgd, schedule::Curve},
};

use crate::args::{between, number};

/// What `--optimizer` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Sgd,
    Adam,
    Adamw,
    Adamax,
}

/// What `--schedule` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    Constant,
    Step,
    Exponential,
    Cosine,
    OneCycle,
}

/// The options.
#[derive(Debug, Args)]
pub struct Options {
    /// Optimizer, as torch.optim has it
    #[arg(long, value_enum, default_value = "adam")]
    optimizer: Kind,

    /// Learning rate [default: 5e-4; sgd 1e-3, adamax 2e-3]
    #[arg(long, value_parser = number(0.0, 1e3), allow_negative_numbers = true)]
    lr: Option<f64>,

    /// Momentum of sgd, 0 to below 1 [default: 0.9]
    #[arg(long, value_name = "MU", value_parser = number(0.0, 0.999_999),
          allow_negative_numbers = true)]
    momentum: Option<f64>,

    /// Weight decay [default: 0; adamw 0.01]
    #[arg(long, value_name = "LAMBDA", value_parser = number(0.0, 1e3),
          allow_negative_numbers = true)]
    weight_decay: Option<f64>,

    /// How the learning rate changes: step takes a tenth of it after each third of the run,
    /// exponential falls to a hundredth at its end, cosine to 0; one-cycle rises from a 25th in the
    /// first 30 % of the run, then falls to nearly 0
    #[arg(long, value_enum, default_value = "constant")]
    schedule: Shape,

    /// Updates over which the learning rate rises to its first value
    #[arg(long, value_name = "N", default_value = "0", value_parser = between(0, 1_000_000_000),
          allow_negative_numbers = true)]
    warmup: usize,

    /// Largest norm of a step's gradients; larger ones are scaled down to it [default: no limit]
    #[arg(long, value_name = "NORM", value_parser = number(1e-6, 1e9),
          allow_negative_numbers = true)]
    clip_norm: Option<f64>,
}

impl Options {
    /// The optimizer for a run of so many updates.
    pub fn optimizer(&self, updates: usize) -> Result<Optimizer> {
        let lr = |default| self.lr.unwrap_or(default);
        if let (Some(momentum), false) = (self.momentum, self.optimizer == Kind::Sgd) {
            return Err(wrong(
                "--momentum",
                momentum,
                "no momentum, except with --optimizer sgd",
            ));
        }
        let decay = |default| self.weight_decay.unwrap_or(default);
        let rule: Rule = match self.optimizer {
            Kind::Sgd => {
                let sgd = Sgd::new(lr(1e-3)).momentum(self.momentum.unwrap_or(0.9));
                sgd.weight_decay(decay(0.0)).into()
            }
            Kind::Adam => Adam::new(lr(5e-4)).weight_decay(decay(0.0)).into(),
            Kind::Adamw => Adam::adamw(lr(5e-4)).weight_decay(decay(0.01)).into(),
            Kind::Adamax => Adamax::new(lr(2e-3)).weight_decay(decay(0.0)).into(),
        };
        let Some(left) = updates.checked_sub(self.warmup).filter(|left| *left > 0) else {
            let expected = format!("less than the {updates} updates of the run");
            return Err(wrong("--warmup", self.warmup, &expected));
        };
        let left = left as u64;
        let curve = match self.schedule {
            Shape::Constant => Curve::Constant,
            Shape::Step => Curve::Step {
                every: left.div_ceil(3),
                gamma: 0.1,
            },
            Shape::Exponential => Curve::Exponential {
                gamma: 0.01_f64.powf(1.0 / left as f64),
            },
            Shape::Cosine => Schedule::cosine(left).curve,
            Shape::OneCycle => Schedule::one_cycle(left).curve,
        };
        let mut optimizer = Optimizer::from(rule);
        optimizer.schedule = Schedule {
            warmup: self.warmup as u64,
            curve,
        };
        optimizer.clip_norm = self.clip_norm;
        Ok(optimizer)
    }
}

/// `Adam, lr 0.0005`, and what else is not usual.
pub fn describe(optimizer: &Optimizer) -> String {
    let rule = &optimizer.rule;
    let mut text = format!("{}, lr {}", rule.name(), rule.lr());
    let decay = match rule {
        Rule::Sgd(sgd) => {
            text += &format!(", momentum {}", sgd.momentum);
            sgd.weight_decay
        }
        Rule::Adam(adam) => adam.weight_decay,
        Rule::Adamax(adamax) => adamax.weight_decay,
        _ => 0.0,
    };
    if decay > 0.0 {
        text += &format!(", weight decay {decay}");
    }
    let Schedule { warmup, curve } = optimizer.schedule;
    match curve {
        Curve::Constant => {}
        Curve::Step { every, gamma } => text += &format!(", times {gamma} every {every} updates"),
        Curve::Exponential { gamma } => text += &format!(", times {gamma:.5} every update"),
        Curve::Cosine { updates, .. } => text += &format!(", cosine over {updates} updates"),
        Curve::OneCycle { updates, .. } => text += &format!(", one cycle of {updates} updates"),
        _ => {}
    }
    if warmup > 0 {
        text += &format!(" after {warmup} of warm-up");
    }
    text
}

fn wrong(name: &str, value: impl ToString, expected: &str) -> Error {
    Error::InvalidParameter {
        name: name.into(),
        value: value.to_string(),
        expected: expected.into(),
    }
}
