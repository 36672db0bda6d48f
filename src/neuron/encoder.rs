//! An encoder: a leaky integrate-and-fire neuron whose input is scaled and shifted by constants of its
//! own. Turns measurements into spikes, as the first layer of SpyTorch's tutorial 5 does.
//!
//! # Forward
//!
//! With gain `g`, bias `b`, and `γ = 1 − β` (normalized) or 1:
//!
//! ```text
//! j_t = g (I_t + b)
//! SpyTorch (FireThenIntegrate, reset to zero)   s_t = H(u_{t−1} − θ)
//!                                               u_t = (1 − s_t)(β u_{t−1} + γ j_t)
//!   with the late reset                         u_t = (1 − s_{t−1})(β u_{t−1} + γ j_t)
//! snnTorch (IntegrateThenFire, subtract)        u_t = β u_{t−1} + γ j_t − θ H(u_{t−1} − θ)
//!                                               s_t = H(u_t − θ)
//! ```
//!
//! and all other [orders of events](super::Dynamics) and resets of [`synaptic`], of which this is the
//! case `α = 0` with the current `I_t + b` and the gain `G = γ g`.
//!
//! SpyTorch's tutorial 5 computes a step's membrane before its spike, so the reset comes one step late: it
//! reads the spike of the step before. The neuron then often fires twice in a row.
//!
//! # Adjoint
//!
//! With `d_t = ∂u_t/∂(γ j_t) · a_t` as in [`synaptic`], whose adjoint gives `∂L/∂G = Σ_t d_t (I_t + b)`
//! and, with `G` held, `∂L/∂β`:
//!
//! ```text
//! ∂L/∂I_t = γ g d_t      ∂L/∂b = Σ_t γ g d_t      ∂L/∂g = γ ∂L/∂G
//! normalized: ∂L/∂β has the further term −g ∂L/∂G, since ∂G/∂β = −g
//! late reset: d_t = (1 − s_{t−1}) a_t; the spike in it is detached
//! ```
//!
//! Source: Zenke's SpyTorch, tutorial 5.

use super::{
    Adjoint, Arithmetic, Constant, Dynamics, Neuron, Neurons, Num, PerNeuron, Reset, Spike,
    UNCOMMON, Visit, leaky, setters, synaptic,
};
use crate::{Error, Result, Surrogate};

/// Description of a layer of encoders.
///
/// The defaults are those of SpyTorch's tutorial 5, but for its [late reset](Self::late_reset): gain 1, bias
/// 0, threshold 1, normalized, fire, then integrate, reset to zero, detached, fast sigmoid of slope 20.
///
/// ```
/// use spikegrad::{Draw, Encoder, Network, decay};
///
/// let encoder = Encoder::new(decay(20.0, 1.0))
///     .gain(Draw::Uniform { low: 0.5, high: 1.5 })
///     .learn_gain(true)
///     .learn_bias(true);
/// let network: Network = Network::builder(4).layer(8, encoder).build()?;
/// assert_eq!(network.layers()[0].constant("gain").unwrap().len(), 8);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Encoder {
    /// Membrane decay per step `β`, in `[0, 1]`.
    pub beta: PerNeuron,
    /// Gain of the input `g`; 1 by default.
    pub gain: PerNeuron,
    /// What is added to the input `b`; 0 by default.
    pub bias: PerNeuron,
    /// Firing threshold `θ`, above 0; 1 by default.
    pub threshold: PerNeuron,
    /// Which of `β`, `g`, `b` and `θ` are trained.
    pub learn: [bool; 4],
    /// Order of events.
    pub dynamics: Dynamics,
    /// The effect of a spike on the membrane and on the input of the same step.
    pub reset: Reset,
    /// Whether the reset is a constant of the backward pass.
    pub detach_reset: bool,
    /// Surrogate for the derivative of the spike.
    pub surrogate: Surrogate,
    /// Whether the membrane reads its input times `1 − β`.
    pub normalized: bool,
    /// Whether a spike resets the membrane one step late, as tutorial 5 computes it; false by default.
    /// True needs the defaults of `dynamics`, `reset` and `detach_reset`.
    pub late_reset: bool,
}

impl Encoder {
    /// An encoder of decay `beta`.
    pub fn new(beta: impl Into<PerNeuron>) -> Self {
        Encoder {
            beta: beta.into(),
            gain: PerNeuron::Shared(1.0),
            bias: PerNeuron::Shared(0.0),
            threshold: PerNeuron::Shared(1.0),
            learn: [false; 4],
            dynamics: Dynamics::FireThenIntegrate,
            reset: Reset::Zero,
            detach_reset: true,
            surrogate: Surrogate::FastSigmoid { slope: 20.0 },
            normalized: true,
            late_reset: false,
        }
    }

    setters! {
        settings {
            dynamics: Dynamics = "the order of events";
            reset: Reset = "the reset";
            detach_reset: bool = "whether the reset is a constant of the backward pass";
            surrogate: Surrogate = "the surrogate gradient";
            normalized: bool = "whether the membrane reads its input times `1 − β`";
            late_reset: bool = "whether a spike resets the membrane one step late, as in tutorial 5";
        }
        constants {
            beta, learn_beta: 0 = "`β`";
            gain, learn_gain: 1 = "`g`";
            bias, learn_bias: 2 = "`b`";
            threshold, learn_threshold: 3 = "`θ`";
        }
    }

    /// The equations of this description.
    pub fn rule(&self) -> Rule {
        Rule {
            membrane: leaky::Rule::new(
                self.dynamics,
                self.reset,
                self.detach_reset,
                self.surrogate,
            ),
            normalized: self.normalized,
            late_reset: self.late_reset,
        }
    }
}

impl From<Encoder> for Neurons {
    fn from(neuron: Encoder) -> Self {
        let rule = neuron.rule();
        let values = [neuron.beta, neuron.gain, neuron.bias, neuron.threshold];
        Neurons::given(rule, values, neuron.learn)
    }
}

/// The equations of [`Encoder`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// The rule by which the membrane fires and resets.
    pub(crate) membrane: leaky::Rule,
    /// Whether `γ` is `1 − β` instead of 1.
    pub(crate) normalized: bool,
    /// Whether the reset reads the spike of the step before.
    pub(crate) late_reset: bool,
}

impl Rule {
    #[inline(always)]
    fn driven(self) -> synaptic::Rule {
        synaptic::Rule {
            membrane: self.membrane,
            old_current: false,
        }
    }

    /// The constants of the current-based neuron, and `γ`.
    #[inline(always)]
    fn constants<A: Arithmetic>(
        self,
        [beta, gain, _, theta]: [Num<A>; 4],
    ) -> ([Num<A>; 4], Num<A>) {
        let scale = match self.normalized {
            true => 1.0 - beta,
            false => beta.literal(1.0),
        };
        ([beta.literal(0.0), beta, scale * gain, theta], scale)
    }
}

impl Neuron for Rule {
    const NAME: &'static str = "encoder";
    const CONSTANTS: &'static [Constant] = &[
        Constant::DECAY,
        Constant::finite("gain"),
        Constant::finite("bias"),
        Constant::THRESHOLD,
    ];

    /// `β`, `g`, `b`, `θ`.
    type Constants<V: Copy> = [V; 4];
    /// The recorded membrane, and the spike that a late reset waits for: `s_t`, otherwise 0.
    type State<V: Copy> = [V; 2];
    /// The membrane as [`synaptic`] keeps it, `I_t + b`, and the spike of the state.
    type Kept<V: Copy> = [V; 3];

    /// One kernel for all settings, with and without learned constants.
    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        visit.visit::<UNCOMMON>(self)
    }

    #[inline(always)]
    fn step<A: Arithmetic>(
        self,
        constants: [Num<A>; 4],
        [before, reset]: [Num<A>; 2],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 3]) {
        let (zero, (given, _)) = (current.literal(0.0), self.constants(constants));
        let shifted = current + constants[2];
        if self.late_reset {
            let [_, beta, gain, theta] = given;
            let s = self.membrane.fire(before, theta);
            let u = beta.mul_add(before, gain * shifted);
            return (s, [u - reset * u, shifted, s.detach() * u.literal(1.0)]);
        }
        let (s, [u, shifted]) = self.driven().step(given, [before, zero], shifted);
        (s, [u, shifted, zero])
    }

    #[inline(always)]
    fn state<A: Arithmetic>(
        self,
        constants: [Num<A>; 4],
        [u, shifted, reset]: [Num<A>; 3],
    ) -> [Num<A>; 2] {
        let given = self.constants(constants).0;
        let [u, _] = self.driven().state(given, [u, shifted]);
        [u, reset]
    }

    #[inline(always)]
    fn adjoint<A: Arithmetic>(
        self,
        constants: [Num<A>; 4],
        [before, reset]: [Num<A>; 2],
        [u, shifted, _]: [Num<A>; 3],
        [h, _]: [Num<A>; 2],
        e: Num<A>,
    ) -> Adjoint<Self, A> {
        let (zero, (given, scale)) = (h.literal(0.0), self.constants(constants));
        let (current, back, [d_beta, d_whole, d_theta]) = if self.late_reset {
            let [_, beta, gain, theta] = given;
            let (d, by_spike) = (h - reset * h, self.membrane.slope(before, theta) * e);
            let constants = [d * before, d * shifted, -by_spike];
            (gain * d, beta.mul_add(d, by_spike), constants)
        } else {
            let kept = [u, shifted];
            let back = self
                .driven()
                .adjoint(given, [before, zero], kept, [h, zero], e);
            let [_, d_beta, d_whole, d_theta] = back.constants;
            (back.current, back.before[0], [d_beta, d_whole, d_theta])
        };
        let d_beta = match self.normalized {
            true => d_beta - constants[1] * d_whole,
            false => d_beta,
        };
        Adjoint {
            current,
            before: [back, zero],
            constants: [d_beta, scale * d_whole, current, d_theta],
        }
    }

    fn settings(self) -> Vec<(&'static str, String)> {
        let mut settings = Neuron::settings(self.membrane);
        settings.push(("normalized", self.normalized.to_string()));
        settings.push(("late_reset", self.late_reset.to_string()));
        settings
    }

    fn check(self, place: &str) -> Result<()> {
        let m = self.membrane;
        let as_written =
            leaky::Rule::new(Dynamics::FireThenIntegrate, Reset::Zero, true, m.surrogate);
        if self.late_reset && m != as_written {
            let expected = "false, or true with FireThenIntegrate and a detached reset to zero";
            return Err(Error::parameter(
                format!("{place}: late_reset"),
                true,
                expected,
            ));
        }
        Neuron::check(m, place)
    }

    #[inline(always)]
    fn spikes_first(self) -> bool {
        self.membrane.spikes_first()
    }
}
