//! The constants of neurons: their names, ranges, and values in a layer.

use crate::Float;

/// A value for a whole layer, or one for each of its neurons (`[N]`).
#[derive(Debug, Clone, PartialEq)]
pub enum PerNeuron {
    /// All neurons share it.
    Shared(f64),
    /// One for each neuron, `[N]`.
    Each(Vec<f64>),
}

impl PerNeuron {
    pub(crate) fn values(&self) -> &[f64] {
        match self {
            PerNeuron::Shared(value) => std::slice::from_ref(value),
            PerNeuron::Each(values) => values,
        }
    }
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

    /// Whether a layer may have this value. Values beyond 1e30 would overflow.
    pub(crate) fn admits(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value) && value.abs() <= 1e30
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
