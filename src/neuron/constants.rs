//! The constants of neurons: their names, ranges, and values in a layer.

use std::fmt;

use rand_chacha::rand_core::RngCore;

use crate::{
    Float,
    draw::{normal, unit},
};

/// A value for a whole layer, or one for each of its neurons (`[N]`).
#[derive(Debug, Clone, PartialEq)]
pub enum PerNeuron {
    /// All neurons share it.
    Shared(f64),
    /// One for each neuron, `[N]`.
    Each(Vec<f64>),
    /// One for each neuron, drawn from the network's seed when it is built. The network, and the
    /// files of it, then have the values.
    Drawn(Draw),
}

impl PerNeuron {
    /// One value of a whole layer, or one for each neuron; none before they are drawn.
    pub fn values(&self) -> &[f64] {
        match self {
            PerNeuron::Shared(value) => std::slice::from_ref(value),
            PerNeuron::Each(values) => values,
            PerNeuron::Drawn(_) => &[],
        }
    }
}

/// A distribution of initial values. The values that it draws have the same bits on every machine.
///
/// ```
/// use spikegrad::{Draw, Network, Synaptic, decay};
///
/// // Time constants between 5 and 25 steps.
/// let beta = Draw::Uniform { low: decay(5.0, 1.0), high: decay(25.0, 1.0) };
/// let network: Network = Network::builder(4)
///     .layer(3, Synaptic::new(0.8, beta).learn_beta(true))
///     .seed(7)
///     .build()?;
/// assert_eq!(network.layers()[0].constant("beta").unwrap().len(), 3);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Draw {
    /// Uniform from `low` to `high`; both must be values that the constant may have.
    Uniform {
        /// The lowest value.
        low: f64,
        /// The highest value.
        high: f64,
    },
    /// Normal, clamped to the range of the constant.
    Normal {
        /// The mean; a value that the constant may have.
        mean: f64,
        /// The standard deviation, 0 or above.
        sd: f64,
    },
}

/// `uniform from 0.8 to 0.9`.
impl fmt::Display for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Draw::Uniform { low, high } => write!(f, "uniform from {low:?} to {high:?}"),
            Draw::Normal { mean, sd } => {
                write!(f, "normal with mean {mean:?} and deviation {sd:?}")
            }
        }
    }
}

impl Draw {
    /// Whether the distribution is one of a constant.
    pub(super) fn fits(self, constant: Constant) -> bool {
        match self {
            Draw::Uniform { low, high } => {
                constant.admits(low) && constant.admits(high) && low <= high
            }
            Draw::Normal { mean, sd } => constant.admits(mean) && (0.0..=1e30).contains(&sd),
        }
    }

    /// One value of a constant.
    pub(super) fn value(self, constant: Constant, rng: &mut impl RngCore) -> f64 {
        match self {
            Draw::Uniform { low, high } => (low + (high - low) * unit(rng)).clamp(low, high),
            Draw::Normal { mean, sd } => {
                let value = mean + sd * normal(rng);
                value.clamp(constant.low.max(-1e30), constant.high.min(1e30))
            }
        }
    }
}

impl From<Draw> for PerNeuron {
    fn from(draw: Draw) -> Self {
        PerNeuron::Drawn(draw)
    }
}

/// The decay per step of a time constant, `e^{−dt/τ}`, both in one unit; the same bits on every
/// machine.
///
/// ```
/// let beta = spikegrad::decay(20e-3, 1e-3);
/// assert!((beta - 0.951229).abs() < 1e-6);
/// ```
pub fn decay(tau: f64, dt: f64) -> f64 {
    libm::exp(-dt / tau)
}

impl From<f64> for PerNeuron {
    fn from(value: f64) -> Self {
        PerNeuron::Shared(value)
    }
}

impl From<Vec<f64>> for PerNeuron {
    fn from(values: Vec<f64>) -> Self {
        PerNeuron::Each(values)
    }
}

/// The lowest threshold; learned thresholds are clamped to it.
pub const MIN_THRESHOLD: f64 = 1e-6;

/// A constant of a neuron: its name in files and messages, and its range.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Constant {
    /// The name: `beta`. The tensor of layer 1 is `lif1.beta`.
    pub name: &'static str,
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
    /// The range in words.
    pub expected: &'static str,
}

impl Constant {
    /// A decay per step, `beta`, from 0 to 1.
    pub const DECAY: Constant = Constant::new("beta", 0.0, 1.0, "a decay from 0 to 1");
    /// The decay per step of a synaptic current, `alpha`, from 0 to 1.
    pub const SYNAPSE: Constant = Constant::new("alpha", 0.0, 1.0, "a decay from 0 to 1");
    /// The decay per step of an adaptation, `rho`, from 0 to 1.
    pub const ADAPTATION_DECAY: Constant = Constant::new("rho", 0.0, 1.0, "a decay from 0 to 1");
    /// The strength of an adaptation, `adaptation`, from 0 up.
    pub const ADAPTATION: Constant =
        Constant::new("adaptation", 0.0, f64::INFINITY, "a number from 0 to 1e30");
    /// A firing threshold, `threshold`, from [`MIN_THRESHOLD`] up.
    pub const THRESHOLD: Constant = Constant::new(
        "threshold",
        MIN_THRESHOLD,
        f64::INFINITY,
        "a number from 1e-6 to 1e30",
    );

    /// A constant from `low` to `high`; `expected` is the range in words. A learned constant is
    /// clamped to its range after each update.
    pub const fn new(name: &'static str, low: f64, high: f64, expected: &'static str) -> Self {
        Constant {
            name,
            low,
            high,
            expected,
        }
    }

    /// A constant that may be any finite number.
    pub const fn finite(name: &'static str) -> Self {
        Constant::new(name, f64::NEG_INFINITY, f64::INFINITY, "a finite number")
    }

    /// Whether a layer may have this value, or is clamped to it in single precision. Values beyond
    /// 1e30 would overflow.
    pub(crate) fn admits(self, value: f64) -> bool {
        let single = f32::from_f64(value);
        let clamped = single.as_f64() == value && self.range().contains(&single);
        (clamped || (self.low..=self.high).contains(&value)) && value.abs() <= 1e30
    }

    /// The range in a precision.
    pub(crate) fn range<F: Float>(self) -> std::ops::RangeInclusive<F> {
        F::from_f64(self.low)..=F::from_f64(self.high)
    }

    /// Clamps a learned value to the range. NaN and infinity are kept, so that they are detected.
    pub(crate) fn clamp<F: Float>(self, value: F) -> F {
        match self.range::<F>() {
            range if value < *range.start() => *range.start(),
            range if value > *range.end() => *range.end(),
            _ => value,
        }
    }
}
