//! Penalties on firing rates outside bounds.

use crate::{Error, Result};

/// A penalty on the firing rates of all hidden layers where they are outside bounds.
///
/// With `n` the spikes of a neuron of a sample, its rate is `r = n/T`; the rate of a layer is the mean of its
/// neurons'. `x` is the distance of the rate from the bounds, 0 within them. Each layer adds
///
/// ```text
/// per neuron   strength · mean_b mean_n f(x)      ∂/∂s_t[b, n] = strength · f'(x) x'(r)/(B N T)
/// per layer    strength · mean_b f(x)             ∂/∂s_t[b, n] = strength · f'(x) x'(r)/(B N T)
/// ```
///
/// with `f(x) = x²`, or `x` for [`l1`](Self::l1). A lower bound wakes silent neurons, an upper bound quiets
/// busy ones.
///
/// ```
/// use spikegrad::{Loss, Objective, RatePenalty};
///
/// let objective: Objective = Objective::from(Loss::CrossEntropyMaxMembrane)
///     .penalty(RatePenalty::per_neuron(0.01, 1.0).strength(10.0)) // at least 1 % of the steps
///     .penalty(RatePenalty::per_layer(0.0, 0.1)); // at most 10 % in the mean
/// # assert!(objective.check().is_ok());
/// ```
///
/// Source: Rossbroich, Gygax & Zenke, *Fluctuation-driven initialization for spiking neural network training*,
/// Neuromorphic Computing and Engineering 2, 2022 (`stork`'s lower and upper bounds, there on counts).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RatePenalty {
    /// Lowest rate without a penalty, from 0 to 1.
    pub lower: f64,
    /// Highest rate without a penalty, from `lower` to 1.
    pub upper: f64,
    /// Factor of the penalty, at least 0; 1 by default.
    pub strength: f64,
    /// Whether the rate is that of each neuron, or the mean of the layer's.
    pub per_neuron: bool,
    /// Whether the distance is squared; true by default.
    pub squared: bool,
}

impl RatePenalty {
    /// On the rate of each neuron.
    pub fn per_neuron(lower: f64, upper: f64) -> Self {
        RatePenalty {
            lower,
            upper,
            strength: 1.0,
            per_neuron: true,
            squared: true,
        }
    }

    /// On the mean rate of each layer.
    pub fn per_layer(lower: f64, upper: f64) -> Self {
        RatePenalty {
            per_neuron: false,
            ..Self::per_neuron(lower, upper)
        }
    }

    /// Sets the strength.
    pub fn strength(mut self, strength: f64) -> Self {
        self.strength = strength;
        self
    }

    /// Takes the distance itself instead of its square.
    pub fn l1(mut self) -> Self {
        self.squared = false;
        self
    }

    /// Checks the ranges of the settings.
    pub(super) fn check(&self) -> Result<()> {
        let within = |name: &str, x: f64, low: f64, high: f64| match (low..=high).contains(&x) {
            true => Ok(()),
            false => {
                let name = format!("{name} of a rate penalty");
                Err(Error::parameter(
                    name,
                    x,
                    format!("a number from {low} to {high}"),
                ))
            }
        };
        within("lower bound", self.lower, 0.0, 1.0)?;
        within("upper bound", self.upper, self.lower, 1.0)?;
        within("strength", self.strength, 0.0, 1e30)
    }

    /// `f` and its derivative with respect to the rate.
    fn of(&self, rate: f64) -> (f64, f64) {
        let distance = (rate - self.upper).max(0.0) - (self.lower - rate).max(0.0);
        match self.squared {
            true => (distance * distance, 2.0 * distance),
            false => (
                distance.abs(),
                if distance == 0.0 {
                    0.0
                } else {
                    distance.signum()
                },
            ),
        }
    }

    /// One sample's share of the penalty on a layer whose neurons have these spike counts, and, for each
    /// neuron, the derivative with respect to each of its spikes, which is passed to `add`.
    pub(crate) fn share(
        &self,
        counts: &[f64],
        num_steps: usize,
        batch: usize,
        mut add: impl FnMut(usize, f64),
    ) -> f64 {
        let (neurons, steps) = (counts.len() as f64, num_steps as f64);
        let scale = self.strength / batch as f64;
        if self.per_neuron {
            let mut sum = 0.0;
            for (n, count) in counts.iter().enumerate() {
                let (value, slope) = self.of(count / steps);
                sum += value;
                add(n, scale * slope / (neurons * steps));
            }
            return scale * sum / neurons;
        }
        let (value, slope) = self.of(counts.iter().sum::<f64>() / (neurons * steps));
        for n in 0..counts.len() {
            add(n, scale * slope / (neurons * steps));
        }
        scale * value
    }
}
