//! The neurons of a layer: equations of any type, and the values of their constants.

use std::{any::Any, fmt, sync::Arc};

use rand_chacha::ChaCha8Rng;

use super::{Constant, List, Neuron, PerNeuron, rows::Rows};
use crate::{Error, Result, engine::Kernels};

/// The neurons of a layer: their equations and the value of each constant. The argument of
/// [`NetworkBuilder::layer`](crate::NetworkBuilder::layer).
///
/// [`Leaky`](super::Leaky) and the crate's other neurons convert into it. A custom [`Neuron`] gets
/// its constants here:
///
/// ```
/// # use spikegrad::neuron::{Neuron, Neurons};
/// # fn neurons(neuron: impl Neuron) -> Neurons {
/// Neurons::new(neuron)
///     .constant("beta", 0.9)
///     .constant("threshold", vec![1.0, 1.5])
///     .learn("beta", true)
/// # }
/// ```
///
/// The [builder](crate::NetworkBuilder::build) checks all settings.
#[derive(Debug, Clone)]
pub struct Neurons {
    equations: Arc<dyn Equations>,
    /// In the order of [`Neuron::CONSTANTS`].
    given: Vec<Given>,
    /// A given constant that the neuron does not have.
    unknown: Option<String>,
    /// The membrane before the first step.
    start: PerNeuron,
}

/// The name and the range of the membrane before the first step.
const START: Constant = Constant::finite("initial_membrane");

/// The value of a constant in a layer.
#[derive(Debug, Clone, PartialEq)]
struct Given {
    value: PerNeuron,
    learn: bool,
}

impl Neurons {
    /// Neurons with these equations. Every constant needs a value.
    pub fn new<N: Neuron>(equations: N) -> Self {
        let not_given = Given {
            value: PerNeuron::Shared(f64::NAN),
            learn: false,
        };
        Neurons {
            equations: Arc::new(equations),
            given: vec![not_given; N::CONSTANTS.len()],
            unknown: None,
            start: PerNeuron::Shared(0.0),
        }
    }

    /// Neurons of this crate, all constants given.
    pub(super) fn given<N: Neuron, const C: usize>(
        rule: N,
        values: [PerNeuron; C],
        learn: [bool; C],
    ) -> Self {
        let each = N::CONSTANTS.iter().zip(values.into_iter().zip(learn));
        each.fold(Neurons::new(rule), |neurons, (constant, (value, learn))| {
            let neurons = neurons.constant(constant.name, value);
            neurons.learn(constant.name, learn)
        })
    }

    /// Sets a constant: one value for the layer, a `Vec` with one per neuron, or a
    /// [`Draw`](super::Draw) of one per neuron.
    pub fn constant(mut self, name: &str, value: impl Into<PerNeuron>) -> Self {
        if let Some(given) = self.find(name) {
            given.value = value.into();
        }
        self
    }

    /// Sets the membrane before the first step, 0 by default: one value for the layer, one per neuron, or a
    /// [`Draw`](super::Draw) of one per neuron. The rest of the [state](Neuron::State) is 0. It is not trained.
    pub fn start(mut self, membrane: impl Into<PerNeuron>) -> Self {
        self.start = at_zero(membrane.into());
        self
    }

    /// Sets whether a constant is trained along with the weights.
    pub fn learn(mut self, name: &str, learn: bool) -> Self {
        if let Some(given) = self.find(name) {
            given.learn = learn;
        }
        self
    }

    fn find(&mut self, name: &str) -> Option<&mut Given> {
        let place = self.constants().iter().position(|known| known.name == name);
        match place {
            Some(place) => self.given.get_mut(place),
            None => {
                self.unknown.get_or_insert_with(|| name.into());
                None
            }
        }
    }

    /// The name of the equations: `leaky`.
    pub fn name(&self) -> &'static str {
        self.equations.name()
    }

    /// The names and ranges of the constants.
    pub fn constants(&self) -> &'static [Constant] {
        self.equations.constants()
    }

    /// The initial value of a constant.
    pub fn initial(&self, name: &str) -> Option<&PerNeuron> {
        self.each()
            .find_map(|(constant, value, _)| (constant.name == name).then_some(value))
    }

    /// The membrane before the first step.
    pub fn initial_membrane(&self) -> &PerNeuron {
        &self.start
    }

    /// The membrane before the first step, of neuron `n`.
    pub(crate) fn start_of(&self, n: usize) -> f64 {
        match self.start.values() {
            [shared] => *shared,
            each => each.get(n).copied().unwrap_or(0.0),
        }
    }

    /// Whether every membrane begins at 0.
    pub(crate) fn starts_at_zero(&self) -> bool {
        self.start.values().iter().all(|membrane| *membrane == 0.0)
    }

    /// Whether they can spike: all but leaky integrators.
    pub fn spikes(&self) -> bool {
        self.equations.spikes()
    }

    /// Whether a constant is trained.
    pub fn learns(&self, name: &str) -> bool {
        self.each()
            .any(|(constant, _, learn)| constant.name == name && learn)
    }

    /// Each constant, its initial value, and whether it is trained.
    pub(crate) fn each(&self) -> impl Iterator<Item = (Constant, &PerNeuron, bool)> {
        let constants = self.constants().iter().zip(&self.given);
        constants.map(|(constant, given)| (*constant, &given.value, given.learn))
    }

    /// The settings of the equations, by name.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        self.equations.settings()
    }

    /// The equations, if they are of this type.
    pub fn equations<N: Neuron>(&self) -> Option<&N> {
        self.equations.as_any().downcast_ref()
    }

    /// The equations, for an engine.
    pub(crate) fn run(&self) -> &dyn Equations {
        &*self.equations
    }

    /// Checks every setting for a layer of `neurons`; `place` names the layer in messages.
    pub(crate) fn check(&self, place: &str, neurons: usize) -> Result<()> {
        if let Some(name) = &self.unknown {
            let names: Vec<&str> = self.constants().iter().map(|known| known.name).collect();
            let name = format!("{place}: constant {name}");
            let expected = format!("one of {}: {}", self.name(), names.join(", "));
            return Err(Error::parameter(name, "given", expected));
        }
        self.equations.check(place)?;
        let start = (START, &self.start, false);
        for (constant, value, _) in self.each().chain([start]) {
            let name = format!("{place}: {}", constant.name);
            if let PerNeuron::Drawn(draw) = value
                && !draw.fits(constant)
            {
                return Err(Error::parameter(name, draw, constant.expected));
            }
            if let PerNeuron::Each(each) = value
                && each.len() != neurons
            {
                let expected = format!("[{neurons}], one per neuron");
                return Err(Error::shape(name, expected, &[each.len()]));
            }
            if let Some(bad) = value.values().iter().find(|v| !constant.admits(**v)) {
                return Err(Error::parameter(name, bad, constant.expected));
            }
        }
        Ok(())
    }

    /// Checks what several constants must satisfy together, once all are values.
    pub(crate) fn check_together(&self, place: &str, neurons: usize) -> Result<()> {
        let values: Vec<&[f64]> = self.each().map(|(_, value, _)| value.values()).collect();
        // Of shared values alone, one neuron tells of all.
        let most = values.iter().map(|values| values.len()).max().unwrap_or(0);
        for n in 0..most.min(neurons) {
            let one = |values: &&[f64]| values.get(n).or(values.first()).copied();
            let constants: Vec<f64> = values.iter().filter_map(one).collect();
            self.equations.check_constants(place, &constants)?;
        }
        Ok(())
    }

    /// Draws the constants that are to be drawn.
    pub(crate) fn draw(&mut self, neurons: usize, [rng, of_membranes]: [&mut ChaCha8Rng; 2]) {
        for (constant, given) in self.equations.constants().iter().zip(&mut self.given) {
            if let PerNeuron::Drawn(draw) = given.value {
                let values = (0..neurons).map(|_| draw.value(*constant, rng));
                given.value = PerNeuron::Each(values.collect());
            }
        }
        if let PerNeuron::Drawn(draw) = self.start {
            let values = (0..neurons).map(|_| draw.value(START, of_membranes));
            self.start = at_zero(PerNeuron::Each(values.collect()));
        }
    }
}

impl Neurons {
    /// Whether others have the same equations, and constants of the same shapes, learned or not.
    pub(crate) fn is_like(&self, other: &Neurons) -> bool {
        let shape = |neurons: &Neurons| -> Vec<(usize, bool)> {
            let each = neurons.each();
            each.map(|(_, value, learn)| (value.values().len(), learn))
                .collect()
        };
        let same = self.equations.equals(&*other.equations) && self.start == other.start;
        same && shape(self) == shape(other)
    }

    /// Name, settings and the shapes of constants, for messages.
    pub(crate) fn summary(&self) -> String {
        let settings = self.equations.settings().into_iter();
        let settings = settings.map(|(name, value)| format!("{name} {value}"));
        let constants = self.each().map(|(constant, value, learn)| {
            let learnt = if learn { "learned" } else { "fixed" };
            format!("{} {learnt} [{}]", constant.name, value.values().len())
        });
        let start = match self.start.values() {
            _ if self.starts_at_zero() => None,
            [value] => Some(format!("initial_membrane {value}")),
            values => Some(format!("initial_membrane {values:?}")),
        };
        let all: Vec<String> = settings.chain(constants).chain(start).collect();
        format!("{} ({})", self.name(), all.join(", "))
    }
}

/// Zeros of each neuron are those of the layer, as a file without the setting has them.
fn at_zero(start: PerNeuron) -> PerNeuron {
    match start {
        PerNeuron::Each(values) if values.iter().all(|membrane| *membrane == 0.0) => 0.0.into(),
        start => start,
    }
}

impl PartialEq for Neurons {
    fn eq(&self, other: &Self) -> bool {
        let same = self.equations.equals(&*other.equations) && self.start == other.start;
        same && self.given == other.given
    }
}

/// A [`Neuron`] without its type: what engines call.
pub(crate) trait Equations:
    Rows<f32> + Rows<f64> + Kernels + fmt::Debug + Send + Sync
{
    fn name(&self) -> &'static str;
    fn constants(&self) -> &'static [Constant];
    fn settings(&self) -> Vec<(&'static str, String)>;
    fn check(&self, place: &str) -> Result<()>;
    fn check_constants(&self, place: &str, constants: &[f64]) -> Result<()>;
    /// Number of values in the state.
    fn states(&self) -> usize;
    /// Number of values kept of a step.
    fn kept(&self) -> usize;
    /// Number of kept entries that a recording has in addition to the membrane; 0 if only the
    /// membrane is kept.
    fn kept_beside_membrane(&self) -> usize;
    fn spikes_first(&self) -> bool;
    /// Whether it spikes at all.
    fn spikes(&self) -> bool;
    /// The membrane's place in the state.
    fn membrane(&self) -> usize;
    fn as_any(&self) -> &dyn Any;
    fn equals(&self, other: &dyn Equations) -> bool;
}

impl<N: Neuron> Equations for N {
    fn name(&self) -> &'static str {
        N::NAME
    }
    fn constants(&self) -> &'static [Constant] {
        N::CONSTANTS
    }
    fn settings(&self) -> Vec<(&'static str, String)> {
        Neuron::settings(*self)
    }
    fn check(&self, place: &str) -> Result<()> {
        Neuron::check(*self, place)
    }
    fn check_constants(&self, place: &str, constants: &[f64]) -> Result<()> {
        Neuron::check_constants(*self, place, constants)
    }
    fn states(&self) -> usize {
        N::State::<()>::LEN
    }
    fn kept(&self) -> usize {
        N::Kept::<()>::LEN
    }
    fn kept_beside_membrane(&self) -> usize {
        match self.keeps_membrane() {
            true => 0,
            false => Equations::kept(self),
        }
    }
    fn spikes_first(&self) -> bool {
        Neuron::spikes_first(*self)
    }
    fn spikes(&self) -> bool {
        N::SPIKES
    }
    fn membrane(&self) -> usize {
        N::MEMBRANE
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
    fn equals(&self, other: &dyn Equations) -> bool {
        other.as_any().downcast_ref::<N>() == Some(self)
    }
}
