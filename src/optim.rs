//! Optimizers: rules that turn gradients into updates.
//!
//! | rule | PyTorch | kept for each weight |
//! |---|---|---|
//! | [`Sgd`] | `torch.optim.SGD` | nothing; with momentum, a buffer |
//! | [`Adam`] | `torch.optim.Adam` | two moments |
//! | [`Adam::adamw`] | `torch.optim.AdamW` | two moments |
//! | [`Adamax`] | `torch.optim.Adamax` | a moment and a maximum |
//!
//! An [`Optimizer`] is a rule and what it keeps. Its learning rate can follow a [`Schedule`], some
//! tensors can have [settings of their own](Optimizer::group), and gradients can be
//! [clipped](Optimizer::clip_norm). Each rule is one function over an
//! [`Arithmetic`](crate::neuron::Arithmetic), which every engine on the CPU runs; the CUDA kernels
//! mirror it.

pub mod adam;
pub mod adamax;
pub mod schedule;
pub mod sgd;
mod step;
mod update;

use std::{collections::BTreeSet, fmt::Display};

use ndarray::ArrayD;

pub use self::{adam::Adam, adamax::Adamax, schedule::Schedule, sgd::Sgd};
pub(crate) use self::{
    step::Step,
    update::{Update, Updates, with_step},
};
use crate::{Error, Float, Gradients, Network, Result, finite::check_finite};

/// The rule of an optimizer, with its settings.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// Adam or AdamW.
    Adam(Adam),
    /// Adamax.
    Adamax(Adamax),
}

/// Runs an expression with the settings of any rule.
macro_rules! with_settings {
    ($rule:expr, $settings:ident => $body:expr) => {
        match $rule {
            Rule::Sgd($settings) => $body,
            Rule::Adam($settings) => $body,
            Rule::Adamax($settings) => $body,
        }
    };
}

impl Rule {
    /// The base learning rate, which a [`Schedule`] scales.
    pub fn lr(&self) -> f64 {
        with_settings!(self, settings => settings.lr)
    }

    /// Sets the base learning rate.
    pub fn set_lr(&mut self, lr: f64) {
        with_settings!(self, settings => settings.lr = lr);
    }

    /// PyTorch's name of the class.
    pub fn name(&self) -> &'static str {
        match self {
            Rule::Sgd(_) => "SGD",
            Rule::Adam(adam) if adam.decoupled => "AdamW",
            Rule::Adam(_) => "Adam",
            Rule::Adamax(_) => "Adamax",
        }
    }

    /// PyTorch's names of the numbers kept for each weight, in the order of the engines' buffers.
    pub(crate) fn kept(&self) -> &'static [&'static str] {
        match self {
            Rule::Sgd(sgd) if sgd.momentum > 0.0 => &["momentum_buffer"],
            Rule::Sgd(_) => &[],
            Rule::Adam(_) => &["exp_avg", "exp_avg_sq"],
            Rule::Adamax(_) => &["exp_avg", "exp_inf"],
        }
    }

    fn check<F: Float>(&self) -> Result<()> {
        let within = |error| match error {
            Error::InvalidParameter {
                name,
                value,
                expected,
            } => Error::InvalidParameter {
                name: format!("{}: {name}", self.name()),
                value,
                expected,
            },
            error => error,
        };
        let check = || {
            finite_from_0("lr", self.lr())?;
            let fits = F::from_f64(self.lr()).is_finite();
            require(
                "lr",
                self.lr(),
                fits,
                &format!("a number that {} can hold", F::NAME),
            )?;
            match self {
                Rule::Sgd(sgd) => sgd.check(),
                Rule::Adam(adam) => adam.check::<F>(),
                Rule::Adamax(adamax) => adamax.check::<F>(),
            }
        };
        check().map_err(within)
    }

    /// The constants of update `n`, from 1, at a learning rate.
    fn update<F: Float>(&self, lr: f64, n: u64) -> Update<F> {
        match self {
            Rule::Sgd(sgd) if sgd.momentum > 0.0 => Update::Momentum(sgd::Momentum::new(sgd, lr)),
            Rule::Sgd(sgd) => Update::Sgd(sgd::Plain::new(sgd, lr)),
            Rule::Adam(adam) => Update::Adam(adam::Moments::new(adam, lr, n)),
            Rule::Adamax(adamax) => Update::Adamax(adamax::Maximum::new(adamax, lr, n)),
        }
    }
}

/// Settings of their own for some tensors: a parameter group of PyTorch.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Names of the tensors, as `fc1.weight` or `lif2.beta`.
    pub tensors: Vec<String>,
    /// Their settings, of the optimizer's own rule.
    pub rule: Rule,
}

/// An optimizer: a rule with its settings, the number of updates made, and what the rule keeps.
///
/// The settings convert into it, so functions that take an optimizer take `Adam::new(5e-4)` too.
///
/// ```
/// use spikegrad::optim::{Adam, Optimizer, Schedule};
///
/// let adam = Adam::adamw(5e-4);
/// let optimizer: Optimizer = Optimizer::from(adam)
///     .schedule(Schedule::one_cycle(1000))
///     .group(["fc1.bias", "fc2.bias"], adam.weight_decay(0.0))
///     .clip_norm(1.0);
/// assert_eq!(optimizer.learning_rate(), 5e-4 / 25.0);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Optimizer<F: Float = f32> {
    /// The rule of all tensors without a group.
    pub rule: Rule,
    /// The schedule of every learning rate, the groups' included.
    pub schedule: Schedule,
    /// Tensors with settings of their own.
    pub groups: Vec<Group>,
    /// Largest Euclidean norm of all gradients together, above 0; `None`, the default, disables
    /// clipping.
    pub clip_norm: Option<f64>,
    pub(crate) step: u64,
    /// What the rule keeps, in the order of `kept_names`; empty before the first update.
    pub(crate) kept: Vec<Gradients<F>>,
    /// The names of what is kept: those of the rule that has made the updates.
    pub(crate) kept_names: &'static [&'static str],
}

macro_rules! from_settings {
    ($($rule:ident),*) => { $(
        impl From<$rule> for Rule {
            fn from(settings: $rule) -> Self {
                Rule::$rule(settings)
            }
        }

        impl<F: Float> From<$rule> for Optimizer<F> {
            fn from(settings: $rule) -> Self {
                Rule::from(settings).into()
            }
        }

        impl $rule {
            /// This rule with a learning rate that follows a schedule.
            pub fn schedule<F: Float>(self, schedule: Schedule) -> Optimizer<F> {
                Optimizer::from(self).schedule(schedule)
            }

            /// This rule with a largest norm of all gradients together; see
            /// [`Optimizer::clip_norm`].
            pub fn clip_norm<F: Float>(self, max_norm: f64) -> Optimizer<F> {
                Optimizer::from(self).clip_norm(max_norm)
            }
        }
    )* };
}
from_settings!(Sgd, Adam, Adamax);

impl<F: Float> From<Rule> for Optimizer<F> {
    fn from(rule: Rule) -> Self {
        Optimizer {
            rule,
            schedule: Schedule::default(),
            groups: Vec::new(),
            clip_norm: None,
            step: 0,
            kept: Vec::new(),
            kept_names: &[],
        }
    }
}

impl<F: Float> Optimizer<F> {
    /// Sets the schedule of the learning rate.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Gives some tensors settings of their own, for the same rule.
    pub fn group<S: Into<String>>(
        mut self,
        tensors: impl IntoIterator<Item = S>,
        rule: impl Into<Rule>,
    ) -> Self {
        self.groups.push(Group {
            tensors: tensors.into_iter().map(Into::into).collect(),
            rule: rule.into(),
        });
        self
    }

    /// Sets the largest norm of all gradients together. Larger gradients are scaled down before the
    /// update, as `torch.nn.utils.clip_grad_norm_` does: `g ← g · min(1, clip / (‖g‖₂ + 1e-6))`.
    pub fn clip_norm(mut self, max_norm: f64) -> Self {
        self.clip_norm = Some(max_norm);
        self
    }

    /// Number of updates made so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The learning rate of the next update, for tensors without a group.
    pub fn learning_rate(&self) -> f64 {
        self.schedule.rate(self.rule.lr(), self.step)
    }

    /// What the rule keeps for each weight, under PyTorch's names (`exp_avg`, `momentum_buffer` …);
    /// empty before the first update.
    pub fn state(&self) -> Vec<(&'static str, &Gradients<F>)> {
        let names = self.kept_names.iter().copied();
        names.zip(&self.kept).collect()
    }

    /// Replaces the number of updates made and what the rule keeps, as [`steps`](Self::steps) and
    /// [`state`](Self::state) return them: to go on where an optimizer elsewhere has stopped. After no
    /// update there is nothing to keep.
    ///
    /// ```
    /// use spikegrad::{Adam, Gradients, Leaky, Network, Optimizer};
    ///
    /// let mut network: Network = Network::builder(2).layer(1, Leaky::new(0.9)).build()?;
    /// let gradients = Gradients::zeros(&network);
    /// let mut optimizer: Optimizer = Adam::new(1e-3).into();
    /// optimizer.step(&mut network, &gradients)?;
    ///
    /// let mut other: Optimizer = Adam::new(1e-3).into();
    /// let state = optimizer.state().into_iter();
    /// other.set_state(optimizer.steps(), state.map(|(name, kept)| (name, kept.clone())))?;
    /// assert_eq!(other, optimizer);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the rule keeps something else, or for a negative mean of squares or
    /// maximum; [`Error::NonFinite`] for NaN or infinity. Then nothing changes.
    pub fn set_state<'n>(
        &mut self,
        steps: u64,
        state: impl IntoIterator<Item = (&'n str, Gradients<F>)>,
    ) -> Result<()> {
        let (names, kept): (Vec<_>, Vec<_>) = state.into_iter().unzip();
        let expected = match steps {
            0 => &[],
            _ => self.rule.kept(),
        };
        if names != expected {
            let what = format!("state of the optimizer after {steps} updates");
            return Err(Error::parameter(what, listed(&names), listed(expected)));
        }
        for (name, kept) in names.iter().zip(&kept) {
            for (tensor, values) in kept.tensors() {
                let what = format!("{name} of {tensor}");
                check_finite(&what, values.iter())?;
                let negative = values.iter().find(|x| **x < F::zero());
                if let (true, Some(found)) = (NEVER_NEGATIVE.contains(name), negative) {
                    return Err(Error::parameter(what, found, "numbers of at least 0"));
                }
            }
        }
        (self.step, self.kept, self.kept_names) = (steps, kept, expected);
        Ok(())
    }

    /// The first and the second of what a rule keeps, as the moments of [`Adam`]; `None` before the first
    /// update, and for a rule that keeps less.
    pub fn moments(&self) -> Option<(&Gradients<F>, &Gradients<F>)> {
        match &self.kept[..] {
            [first, second] => Some((first, second)),
            _ => None,
        }
    }

    /// Checks the ranges of the settings.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] naming the setting.
    pub fn check(&self) -> Result<()> {
        self.rule.check::<F>()?;
        self.schedule.check()?;
        let mut seen = BTreeSet::new();
        for (index, group) in self.groups.iter().enumerate() {
            group.rule.check::<F>()?;
            let (own, expected) = (group.rule.kept(), self.rule.kept());
            let (own_name, expected_name) = (group.rule.name(), self.rule.name());
            if own_name != expected_name || own != expected {
                let what = format!("rule of group {index}");
                let expected =
                    format!("{expected_name}, the optimizer's, which keeps {expected:?}");
                let found = format!("{own_name}, which keeps {own:?}");
                return Err(Error::parameter(what, found, expected));
            }
            for name in &group.tensors {
                let new = seen.insert(name);
                require("tensor of a group", name, new, "a tensor in no other group")?;
            }
        }
        let expected = "a finite number above 0";
        let clip_norm = self.clip_norm.unwrap_or(1.0);
        require("clip_norm", clip_norm, above_0(clip_norm), expected)
    }

    /// Checks settings, groups and state against a network.
    pub(crate) fn check_for(&self, network: &Network<F>) -> Result<()> {
        self.check()?;
        if !self.groups.is_empty() {
            let parameters = network.parameters();
            let known: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
            let named = self.groups.iter().flat_map(|group| &group.tensors);
            for name in named {
                let good = known.contains(&name.as_str());
                let expected = format!("one of {}", known.join(", "));
                require("tensor of a group", name, good, &expected)?;
            }
        }
        if self.step > 0
            && (self.kept_names != self.rule.kept() || self.kept.len() != self.kept_names.len())
        {
            let what = format!("state of the optimizer after {} updates", self.step);
            let expected = format!(
                "{}, which {} keeps: after a change of rule, begin with Optimizer::from(rule)",
                listed(self.rule.kept()),
                self.rule.name()
            );
            return Err(Error::parameter(what, listed(self.kept_names), expected));
        }
        for (name, kept) in self.state() {
            check_same(network, kept, &format!("{name} of the optimizer"))?;
        }
        Ok(())
    }

    /// The factor that scales gradients of this norm before the update.
    pub(crate) fn clip_factor(&self, norm: f64) -> f64 {
        self.clip_norm
            .map_or(1.0, |max_norm| (max_norm / (norm + 1e-6)).min(1.0))
    }

    /// The constants of the next update.
    pub(crate) fn next_updates(&self) -> Updates<F> {
        let update = |rule: &Rule| {
            let lr = self.schedule.rate(rule.lr(), self.step);
            rule.update(lr, self.step + 1)
        };
        let group = |group: &Group| (group.tensors.clone(), update(&group.rule));
        Updates {
            common: update(&self.rule),
            groups: self.groups.iter().map(group).collect(),
        }
    }

    /// Updates all parameters in place and clamps learned constants to their ranges.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for settings out of range, [`Error::Shape`] if gradients or
    /// state belong to another network, [`Error::NonFinite`] if a parameter or a gradient is not
    /// finite, or a second moment of [`Adam`] would become infinite. In these cases nothing changes. Also
    /// [`Error::NonFinite`] if an extreme learning rate has made a parameter infinite.
    pub fn step(&mut self, network: &mut Network<F>, gradients: &Gradients<F>) -> Result<()> {
        self.check_for(network)?;
        check_same(network, gradients, "gradients")?;
        network.check_finite(&format!(" before update {}", self.step + 1))?;
        let norm = self.clip_norm.map_or(0.0, |_| gradients.norm());
        if !norm.is_finite() {
            gradients.check_finite()?;
        }
        let (factor, updates) = (F::from_f64(self.clip_factor(norm)), self.next_updates());
        if !gradients.squares_fit(factor) || updates.can_overflow() {
            gradients.check_finite()?;
            updates.check_second(network, gradients, factor, &self.kept, self.step + 1)?;
        }
        if self.step == 0 {
            let zeros = || Gradients::zeros(network);
            self.kept_names = self.rule.kept();
            self.kept = self.kept_names.iter().map(|_| zeros()).collect();
        }
        self.step += 1;
        let fixed = network.fixed();
        let mut kept: Vec<_> = self
            .kept
            .iter_mut()
            .map(|kept| kept.tensors_mut().into_iter())
            .collect();
        for ((name, w), (_, g)) in network
            .parameters_mut()
            .into_iter()
            .zip(gradients.tensors())
        {
            let kept = kept.iter_mut().filter_map(Iterator::next);
            let kept = kept.map(|(_, values)| values).collect();
            if !fixed.contains(&name) {
                updates.of(|| name).apply(w, g, factor, kept);
            }
        }
        network.clamp();
        network.check_finite(&format!(" after update {}", self.step))
    }
}

/// Those of the numbers kept that are means of squares, or maxima of magnitudes.
const NEVER_NEGATIVE: [&str; 2] = ["exp_avg_sq", "exp_inf"];

/// What a rule keeps, for messages.
fn listed(names: &[&str]) -> String {
    match names {
        [] => "nothing".into(),
        names => names.join(" and "),
    }
}

impl<F: Float> Updates<F> {
    /// Reports the tensor whose gradients, scaled by `factor`, would make a second moment of Adam
    /// infinite in update `n`. `kept` is what the optimizer keeps; empty before the first update.
    pub(crate) fn check_second(
        &self,
        network: &Network<F>,
        gradients: &Gradients<F>,
        factor: F,
        kept: &[Gradients<F>],
        n: u64,
    ) -> Result<()> {
        let before = kept.get(1).map(Gradients::tensors);
        let tensors = network.parameters().into_iter().zip(gradients.tensors());
        for (index, ((name, w), (_, g))) in tensors.enumerate() {
            let Update::Adam(adam) = self.of(|| name.clone()) else {
                return Ok(());
            };
            let mut v = match &before {
                Some(before) => before[index].1.to_owned(),
                None => ArrayD::zeros(g.raw_dim()),
            };
            ndarray::Zip::from(&mut v)
                .and(&w)
                .and(&g)
                .for_each(|v, &w, &g| *v = adam.second(w, g * factor, *v));
            check_finite(&format!("second moment of {name} in update {n}"), v.iter())?;
        }
        Ok(())
    }
}

impl Update {
    /// Squares of gradients below this cannot overflow the second moments: 9e18² is less than a
    /// quarter of the largest `f32`.
    pub const SAFE: f64 = 9e18;
}

/// Checks that the tensors have the shapes of the network.
pub(crate) fn check_same<F: Float>(
    network: &Network<F>,
    tensors: &Gradients<F>,
    what: &str,
) -> Result<()> {
    let (parameters, tensors) = (network.parameters(), tensors.tensors());
    if parameters.len() != tensors.len() {
        let expected = format!("[{}], one per tensor of the network", parameters.len());
        return Err(Error::shape(what, expected, &[tensors.len()]));
    }
    for ((name, w), (other, g)) in parameters.iter().zip(&tensors) {
        if name != other || w.shape() != g.shape() {
            let expected = format!("{name} {:?}", w.shape());
            return Err(Error::shape(
                format!("{what}: {other}"),
                expected,
                g.shape(),
            ));
        }
    }
    Ok(())
}

/// An error that names a setting, unless it is good.
fn require(name: &str, value: impl Display, good: bool, expected: &str) -> Result<()> {
    match good {
        true => Ok(()),
        false => Err(Error::parameter(name, value, expected)),
    }
}

fn above_0(x: f64) -> bool {
    x > 0.0 && x.is_finite()
}

fn finite_from_0(name: &str, x: f64) -> Result<()> {
    let good = x >= 0.0 && x.is_finite();
    require(name, x, good, "a finite number of at least 0")
}
