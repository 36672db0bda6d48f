//! The current-based (CUBA) leaky integrate-and-fire neuron: a decaying synaptic current drives the
//! membrane. Covers snnTorch's `Synaptic` and SpyTorch's neuron.
//!
//! In addition to the [symbols](super) of the parent module: `i` synaptic current, `α` its decay,
//! `γ` the gain from current to membrane, `j` the current that the membrane reads.
//!
//! # Forward
//!
//! ```text
//! i_t = α i_{t−1} + I_t        j_t = i_t (new current) or i_{t−1} (old current)
//! ```
//!
//! | | [`FireThenIntegrate`](Dynamics::FireThenIntegrate) | [`IntegrateThenFire`](Dynamics::IntegrateThenFire) | [`IntegrateFireReset`](Dynamics::IntegrateFireReset) |
//! |---|---|---|---|
//! | spike | `s_t = H(u_{t−1} − θ)` | `s_t = H(u_t − θ)` | `s_t = H(u_t − θ)` |
//! | reset signal | `r_t = s_t` | `r_t = H(u_{t−1} − θ)` | `r_t = s_t` |
//! | subtract | `u_t = β u_{t−1} + γ j_t − β θ r_t` | `u_t = β u_{t−1} + γ j_t − θ r_t` | `u_t = β v_{t−1} + γ j_t`, `v_t = u_t − θ r_t` |
//! | zero | `u_t = (1 − r_t)(β u_{t−1} + γ j_t)` | `u_t = (1 − r_t)(β u_{t−1} + γ j_t)` | `u_t = β v_{t−1} + γ j_t`, `v_t = (1 − r_t) u_t` |
//!
//! A reset to zero also clears the current of the same step; in this the neuron differs from a
//! [`Leaky`](super::Leaky) behind a synapse. snnTorch's `Synaptic` is IntegrateThenFire with the
//! new current, SpyTorch's neuron FireThenIntegrate with the old current and reset to zero.
//!
//! # Adjoint
//!
//! With `a_t = ∂L/∂u_t` as in [`leaky`], `c_t = ∂L/∂i_t = ∂L/∂I_t`, and `d_t = ∂u_t/∂(γ j_t) ·
//! a_t`, which is `(1 − r_t) a_t` if a reset to zero clears the current, else `a_t`:
//!
//! ```text
//! new current   c_t = γ d_t + α c_{t+1}
//! old current   c_t = γ d_{t+1} + α c_{t+1}
//! ∂L/∂α = Σ_t c_t i_{t−1}    ∂L/∂γ = Σ_t d_t j_t
//! ```
//!
//! Sources: snnTorch 1.0 (`snntorch.Synaptic`); Zenke's SpyTorch tutorials.

use super::{
    Adjoint, Arithmetic, Constant, Dynamics, Neuron, Neurons, Num, PerNeuron, Reset, Spike,
    UNCOMMON, Visit, leaky,
};
use crate::{Result, Surrogate};

/// Description of a layer of current-based leaky integrate-and-fire neurons.
///
/// The defaults are snnTorch's: gain 1, threshold 1, [`Dynamics::IntegrateThenFire`], the new
/// current, reset by subtraction, detached, arctan surrogate. The
/// [builder](crate::NetworkBuilder::build) checks all settings.
///
/// ```
/// use spikegrad::{Network, Synaptic};
///
/// let network: Network = Network::builder(4)
///     .layer(3, Synaptic::new(0.9, 0.8).learn_alpha(true))
///     .layer(2, Synaptic::spytorch(0.8, 0.9))
///     .build()?;
/// assert_eq!(network.layers()[0].constant("alpha").unwrap()[0], 0.9);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Synaptic {
    /// Decay of the synaptic current per step `α`, in `[0, 1]`.
    pub alpha: PerNeuron,
    /// Membrane decay per step `β`, in `[0, 1]`.
    pub beta: PerNeuron,
    /// Gain from current to membrane `γ`; 1 by default.
    pub gain: PerNeuron,
    /// Firing threshold `θ`, above 0; 1 by default.
    pub threshold: PerNeuron,
    /// Which of `α`, `β`, `γ` and `θ` are trained.
    pub learn: [bool; 4],
    /// Order of events.
    pub dynamics: Dynamics,
    /// The effect of a spike on the membrane and on the current of the same step.
    pub reset: Reset,
    /// Whether the reset is detached, a constant of the backward pass (default), or passes a
    /// gradient on.
    pub detach_reset: bool,
    /// Surrogate for the derivative of the spike.
    pub surrogate: Surrogate,
    /// Whether the membrane reads the current of the previous step.
    pub old_current: bool,
}

impl Synaptic {
    /// snnTorch's `snn.Synaptic(alpha, beta)` with its defaults: `alpha` is the decay of the
    /// current, `beta` that of the membrane (each one value for the layer, or a `Vec` with one per
    /// neuron).
    pub fn new(alpha: impl Into<PerNeuron>, beta: impl Into<PerNeuron>) -> Self {
        Synaptic {
            alpha: alpha.into(),
            beta: beta.into(),
            gain: PerNeuron::Shared(1.0),
            threshold: PerNeuron::Shared(1.0),
            learn: [false; 4],
            dynamics: Dynamics::IntegrateThenFire,
            reset: Reset::Subtract,
            detach_reset: true,
            surrogate: Surrogate::default(),
            old_current: false,
        }
    }

    /// The neuron of Zenke's SpyTorch tutorials 1 to 4: fire, then integrate the old current, reset to
    /// zero, fast sigmoid of slope 100. (Tutorial 5 has a [gain](Self::gain) of `1 − beta`.)
    pub fn spytorch(alpha: impl Into<PerNeuron>, beta: impl Into<PerNeuron>) -> Self {
        Synaptic::new(alpha, beta)
            .dynamics(Dynamics::FireThenIntegrate)
            .reset(Reset::Zero)
            .old_current(true)
            .surrogate(Surrogate::FastSigmoid { slope: 100.0 })
    }

    /// Sets the gain from current to membrane.
    pub fn gain(mut self, gain: impl Into<PerNeuron>) -> Self {
        self.gain = gain.into();
        self
    }

    /// Sets the threshold.
    pub fn threshold(mut self, threshold: impl Into<PerNeuron>) -> Self {
        self.threshold = threshold.into();
        self
    }

    /// Sets the order of events.
    pub fn dynamics(mut self, dynamics: Dynamics) -> Self {
        self.dynamics = dynamics;
        self
    }

    /// Sets the reset.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }

    /// Sets whether the reset is a constant of the backward pass.
    pub fn detach_reset(mut self, detach: bool) -> Self {
        self.detach_reset = detach;
        self
    }

    /// Sets the surrogate gradient.
    pub fn surrogate(mut self, surrogate: Surrogate) -> Self {
        self.surrogate = surrogate;
        self
    }

    /// Sets whether the membrane reads the current of the previous step.
    pub fn old_current(mut self, old: bool) -> Self {
        self.old_current = old;
        self
    }

    /// Trains `α` along with the weights, clamped to `[0, 1]` after each update.
    pub fn learn_alpha(mut self, learn: bool) -> Self {
        self.learn[0] = learn;
        self
    }

    /// Trains `β` along with the weights, clamped to `[0, 1]` after each update.
    pub fn learn_beta(mut self, learn: bool) -> Self {
        self.learn[1] = learn;
        self
    }

    /// Trains `γ` along with the weights.
    pub fn learn_gain(mut self, learn: bool) -> Self {
        self.learn[2] = learn;
        self
    }

    /// Trains `θ` along with the weights, clamped to at least [`MIN_THRESHOLD`](super::MIN_THRESHOLD).
    pub fn learn_threshold(mut self, learn: bool) -> Self {
        self.learn[3] = learn;
        self
    }

    /// The equations of this description.
    pub fn rule(&self) -> Rule {
        Rule {
            membrane: leaky::Rule {
                dynamics: self.dynamics,
                reset: self.reset,
                detach_reset: self.detach_reset,
                surrogate: self.surrogate,
            },
            old_current: self.old_current,
        }
    }
}

impl Neurons {
    /// The description, if these are current-based neurons.
    pub fn synaptic(&self) -> Option<Synaptic> {
        let rule = *self.equations::<Rule>()?;
        let each: Vec<_> = self
            .each()
            .map(|(_, value, learn)| (value, learn))
            .collect();
        let [alpha, beta, gain, threshold] = each.try_into().ok()?;
        Some(Synaptic {
            learn: [alpha.1, beta.1, gain.1, threshold.1],
            alpha: alpha.0.clone(),
            beta: beta.0.clone(),
            gain: gain.0.clone(),
            threshold: threshold.0.clone(),
            dynamics: rule.membrane.dynamics,
            reset: rule.membrane.reset,
            detach_reset: rule.membrane.detach_reset,
            surrogate: rule.membrane.surrogate,
            old_current: rule.old_current,
        })
    }
}

impl From<Synaptic> for Neurons {
    fn from(neuron: Synaptic) -> Self {
        let rule = neuron.rule();
        let values = [neuron.alpha, neuron.beta, neuron.gain, neuron.threshold];
        Neurons::given(rule, values, neuron.learn)
    }
}

/// The equations of the current-based neuron.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// The rule by which the membrane fires and resets.
    pub(crate) membrane: leaky::Rule,
    /// Whether the membrane reads `i_{t−1}` instead of `i_t`.
    pub(crate) old_current: bool,
}

impl Rule {
    /// `common` with the sharpness of this rule's surrogate.
    #[inline(always)]
    fn like(self, common: Rule) -> Rule {
        Rule {
            membrane: self.membrane.like(common.membrane),
            ..common
        }
    }

    /// `x` after a reset that subtracts `jump`.
    #[inline(always)]
    fn reset<A: Arithmetic>(self, r: Spike<A>, x: Num<A>, jump: Num<A>) -> Num<A> {
        self.membrane.fall(r, self.membrane.keep(r, x), jump)
    }
}

impl Neuron for Rule {
    const NAME: &'static str = "synaptic";
    const CONSTANTS: &'static [Constant] = &[
        Constant::SYNAPSE,
        Constant::DECAY,
        Constant::finite("gain"),
        Constant::THRESHOLD,
    ];

    /// `α`, `β`, `γ`, `θ`.
    type Constants<V: Copy> = [V; 4];
    /// The recorded membrane and the current.
    type State<V: Copy> = [V; 2];
    /// The same; in IntegrateFireReset the membrane before the reset.
    type Kept<V: Copy> = [V; 2];

    #[inline(always)]
    fn step<A: Arithmetic>(
        self,
        [alpha, beta, gain, theta]: [Num<A>; 4],
        [before, old]: [Num<A>; 2],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 2]) {
        let m = self.membrane;
        let new = alpha.mul_add(old, current);
        let j = if self.old_current { old } else { new };
        let u = beta.mul_add(before, gain * j);
        match m.dynamics {
            Dynamics::FireThenIntegrate => {
                let s = m.fire(before, theta);
                (s, [self.reset(m.signal(s), u, beta * theta), new])
            }
            Dynamics::IntegrateThenFire => {
                let r = m.signal(m.fire(before, theta));
                let u = self.reset(r, u, theta);
                (m.fire(u, theta), [u, new])
            }
            Dynamics::IntegrateFireReset => (m.fire(u, theta), [u, new]),
        }
    }

    #[inline(always)]
    fn state<A: Arithmetic>(
        self,
        [_, _, _, theta]: [Num<A>; 4],
        [u, i]: [Num<A>; 2],
    ) -> [Num<A>; 2] {
        let m = self.membrane;
        match m.dynamics {
            Dynamics::FireThenIntegrate | Dynamics::IntegrateThenFire => [u, i],
            Dynamics::IntegrateFireReset => {
                let r = m.signal(m.fire(u, theta));
                [self.reset(r, u, theta), i]
            }
        }
    }

    #[inline(always)]
    fn adjoint<A: Arithmetic>(
        self,
        [alpha, beta, gain, theta]: [Num<A>; 4],
        [before, old]: [Num<A>; 2],
        [u, new]: [Num<A>; 2],
        [h, h_current]: [Num<A>; 2],
        e: Num<A>,
    ) -> Adjoint<Self, A> {
        let m = self.membrane;
        let j = if self.old_current { old } else { new };
        let zero = h.literal(0.0);
        let (clears, subtracts) = (m.reset == Reset::Zero, m.reset == Reset::Subtract);
        let slope = m.slope(m.read(before, u), theta);
        // The membrane: with a = ∂L/∂u_t, d = ∂L/∂(γ j_t), the gradient passed back to u_{t−1}, and
        // the derivatives with respect to β and θ, as in `leaky`.
        let (d, back, d_beta, d_theta) = match m.dynamics {
            Dynamics::FireThenIntegrate => {
                let (a, r) = (h, m.fire(before, theta));
                let fed = beta.mul_add(before, gain * j);
                let jump = if clears { fed } else { beta * theta };
                let e = if m.attached() { e - jump * a } else { e };
                let d = m.keep(r, a);
                let subtracted = if subtracts { r * theta } else { zero };
                let d_beta = d * before - subtracted * a;
                let d_theta = if subtracts { -(r * (beta * a)) } else { zero };
                (d, slope.mul_add(e, beta * d), d_beta, d_theta - slope * e)
            }
            Dynamics::IntegrateThenFire => {
                let r = m.fire(before, theta);
                let a = slope.mul_add(e, h);
                let d = m.keep(r, a);
                let fed = beta.mul_add(before, gain * j);
                let jump = if clears { fed } else { theta };
                let rho = match m.attached() {
                    true => -(m.slope(before, theta) * (jump * a)),
                    false => zero,
                };
                let d_theta = if subtracts { -(r * a) } else { zero };
                (
                    d,
                    beta.mul_add(d, rho),
                    d * before,
                    d_theta - slope * e - rho,
                )
            }
            Dynamics::IntegrateFireReset => {
                let r = m.fire(u, theta);
                let jump = if clears { u } else { theta };
                let e = if m.attached() { e - jump * h } else { e };
                let a = slope.mul_add(e, m.keep(r, h));
                let d_theta = if subtracts { -(r * h) } else { zero };
                (a, beta * a, a * before, d_theta - slope * e)
            }
        };
        // The synapse.
        let (c, back_current) = if self.old_current {
            (h_current, alpha.mul_add(h_current, gain * d))
        } else {
            let c = gain.mul_add(d, h_current);
            (c, alpha * c)
        };
        Adjoint {
            current: c,
            before: [back, back_current],
            constants: [c * old, d_beta, d * j, d_theta],
        }
    }

    fn settings(self) -> Vec<(&'static str, String)> {
        let mut settings = Neuron::settings(self.membrane);
        settings.push(("old_current", self.old_current.to_string()));
        settings
    }

    fn check(self, place: &str) -> Result<()> {
        Neuron::check(self.membrane, place)
    }

    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        match COMMON.iter().position(|&common| self.like(common) == self) {
            Some(0) => visit.visit::<1>(self),
            Some(1) => visit.visit::<2>(self),
            Some(2) => visit.visit::<3>(self),
            _ => visit.visit::<UNCOMMON>(self),
        }
    }

    #[inline(always)]
    fn known<const SETTINGS: usize>(self) -> Self {
        match SETTINGS {
            UNCOMMON => self,
            number => self.like(COMMON[number - 1]),
        }
    }

    #[inline(always)]
    fn spikes_first(self) -> bool {
        self.membrane.spikes_first()
    }
}

/// The rules with specialized loops, for any sharpness of the surrogate: snnTorch's `Synaptic`, SpyTorch's
/// neuron, and snnTorch's with the reset to zero and the surrogate that recurrent networks mostly have.
const COMMON: [Rule; 3] = {
    use {Dynamics::*, Reset::*, Surrogate::*};
    let (arctan, fast_sigmoid) = (Arctan { alpha: 2.0 }, FastSigmoid { slope: 25.0 });
    [
        Rule {
            membrane: leaky::Rule::new(IntegrateThenFire, Subtract, true, arctan),
            old_current: false,
        },
        Rule {
            membrane: leaky::Rule::new(FireThenIntegrate, Zero, true, fast_sigmoid),
            old_current: true,
        },
        Rule {
            membrane: leaky::Rule::new(IntegrateThenFire, Zero, true, fast_sigmoid),
            old_current: false,
        },
    ]
};
