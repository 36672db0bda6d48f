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
//! snnTorch (IntegrateThenFire, subtract)        u_t = β u_{t−1} + γ j_t − θ H(u_{t−1} − θ)
//!                                               s_t = H(u_t − θ)
//! ```
//!
//! and all other [orders of events](super::Dynamics) and resets of [`synaptic`], of which this is the
//! case `α = 0` with the current `I_t + b` and the gain `G = γ g`.
//!
//! # Adjoint
//!
//! With `d_t = ∂u_t/∂(γ j_t) · a_t` as in [`synaptic`], whose adjoint gives `∂L/∂G = Σ_t d_t (I_t + b)`
//! and, with `G` held, `∂L/∂β`:
//!
//! ```text
//! ∂L/∂I_t = γ g d_t      ∂L/∂b = Σ_t γ g d_t      ∂L/∂g = γ ∂L/∂G
//! normalized: ∂L/∂β has the further term −g ∂L/∂G, since ∂G/∂β = −g
//! ```
//!
//! Source: Zenke's SpyTorch, tutorial 5.

use super::{
    Adjoint, Arithmetic, Constant, Dynamics, Neuron, Neurons, Num, PerNeuron, Reset, Spike,
    UNCOMMON, Visit, leaky, setters, synaptic,
};
use crate::{Result, Surrogate};

/// Description of a layer of encoders.
///
/// The defaults are those of SpyTorch's tutorial 5: gain 1, bias 0, threshold 1, normalized, fire, then
/// integrate, reset to zero, detached, fast sigmoid of slope 20.
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
}

impl Encoder {
    /// An encoder of SpyTorch's tutorial 5, of decay `beta`.
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
        }
    }

    setters! {
        settings {
            dynamics: Dynamics = "the order of events";
            reset: Reset = "the reset";
            detach_reset: bool = "whether the reset is a constant of the backward pass";
            surrogate: Surrogate = "the surrogate gradient";
            normalized: bool = "whether the membrane reads its input times `1 − β`";
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
    /// The recorded membrane.
    type State<V: Copy> = [V; 1];
    /// The membrane as [`synaptic`] keeps it, and `I_t + b`.
    type Kept<V: Copy> = [V; 2];

    /// One kernel for all settings, with and without learned constants.
    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        visit.visit::<UNCOMMON>(self)
    }

    #[inline(always)]
    fn step<A: Arithmetic>(
        self,
        constants: [Num<A>; 4],
        [before]: [Num<A>; 1],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 2]) {
        let (zero, (given, _)) = (current.literal(0.0), self.constants(constants));
        let shifted = current + constants[2];
        self.driven().step(given, [before, zero], shifted)
    }

    #[inline(always)]
    fn state<A: Arithmetic>(self, constants: [Num<A>; 4], kept: [Num<A>; 2]) -> [Num<A>; 1] {
        let [u, _] = self.driven().state(self.constants(constants).0, kept);
        [u]
    }

    #[inline(always)]
    fn adjoint<A: Arithmetic>(
        self,
        constants: [Num<A>; 4],
        [before]: [Num<A>; 1],
        kept: [Num<A>; 2],
        [h]: [Num<A>; 1],
        e: Num<A>,
    ) -> Adjoint<Self, A> {
        let (zero, (given, scale)) = (h.literal(0.0), self.constants(constants));
        let back = self
            .driven()
            .adjoint(given, [before, zero], kept, [h, zero], e);
        let [_, d_beta, d_whole, d_theta] = back.constants;
        let d_beta = match self.normalized {
            true => d_beta - constants[1] * d_whole,
            false => d_beta,
        };
        Adjoint {
            current: back.current,
            before: [back.before[0]],
            constants: [d_beta, scale * d_whole, back.current, d_theta],
        }
    }

    fn settings(self) -> Vec<(&'static str, String)> {
        let mut settings = Neuron::settings(self.membrane);
        settings.push(("normalized", self.normalized.to_string()));
        settings
    }

    fn check(self, place: &str) -> Result<()> {
        Neuron::check(self.membrane, place)
    }

    #[inline(always)]
    fn spikes_first(self) -> bool {
        self.membrane.spikes_first()
    }
}
