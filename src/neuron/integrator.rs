//! The leaky integrator: a membrane that never spikes and is never reset, for read-outs, with a
//! synapse in front of it or without one.
//!
//! In addition to the [symbols](super) of the parent module: `i` synaptic current, `α` its decay, `γ`
//! the gain from current to membrane, `j` the current that the membrane reads.
//!
//! # Forward
//!
//! ```text
//! i_t = α i_{t−1} + I_t        j_t = i_t (new current) or i_{t−1} (old current)
//! u_t = β u_{t−1} + γ j_t      s_t = 0
//! ```
//!
//! | source | `α` | current | `γ` |
//! |---|---|---|---|
//! | snnTorch, `Leaky(beta, reset_mechanism="none")`, its membrane | 0: no synapse | new | 1 |
//! | SpyTorch's read-out | `e^{−dt/τ_syn}` | old | 1, in tutorial 5 `1 − β` |
//! | Norse's `LI` | `1 − dt/τ_syn` | new | `1 − β`, `β = 1 − dt/τ_mem` |
//!
//! Norse's state is the current after its decay, `α i_t`.
//!
//! # Adjoint
//!
//! With `h_t` the gradient of the membrane, from the loss and from step `t + 1`, and `c_t = ∂L/∂i_t =
//! ∂L/∂I_t`:
//!
//! ```text
//! h_t = g_t + β h_{t+1}
//! new current   c_t = γ h_t + α c_{t+1}
//! old current   c_t = γ h_{t+1} + α c_{t+1}
//! ∂L/∂α = Σ_t c_t i_{t−1}    ∂L/∂β = Σ_t h_t u_{t−1}    ∂L/∂γ = Σ_t h_t j_t
//! ```
//!
//! No gradient reaches the layer above, or comes from it: there is no spike.

use super::{
    Adjoint, Arithmetic, Constant, Neuron, Neurons, Num, PerNeuron, Spike, UNCOMMON, Visit, setters,
};

/// Description of a layer of leaky integrators: membranes without spikes, to be read out.
///
/// By default the gain is 1 and there is no synapse. A loss on membranes reads it
/// ([`Loss::CrossEntropyMaxMembrane`](crate::Loss::CrossEntropyMaxMembrane)); one on spikes sees none.
///
/// ```
/// use spikegrad::{LeakyIntegrator, Network, Synaptic, decay};
///
/// let (alpha, beta) = (decay(10.0, 1.0), decay(20.0, 1.0));
/// let read_out = LeakyIntegrator::spytorch(alpha, beta).gain(1.0 - beta);
/// let network: Network = Network::builder(4)
///     .layer(3, Synaptic::spytorch(alpha, beta))
///     .layer(2, read_out)
///     .build()?;
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct LeakyIntegrator {
    /// Decay of the synaptic current per step `α`, in `[0, 1]`; 0, no synapse, by default.
    pub alpha: PerNeuron,
    /// Membrane decay per step `β`, in `[0, 1]`.
    pub beta: PerNeuron,
    /// Gain from current to membrane `γ`; 1 by default.
    pub gain: PerNeuron,
    /// Which of `α`, `β` and `γ` are trained.
    pub learn: [bool; 3],
    /// Whether the membrane reads the current of the previous step.
    pub old_current: bool,
}

impl LeakyIntegrator {
    /// A membrane of decay `beta`, without a synapse.
    pub fn new(beta: impl Into<PerNeuron>) -> Self {
        LeakyIntegrator {
            alpha: PerNeuron::Shared(0.0),
            beta: beta.into(),
            gain: PerNeuron::Shared(1.0),
            learn: [false; 3],
            old_current: false,
        }
    }

    /// The read-out of SpyTorch's tutorials 1 to 4, which reads the old current. (Tutorial 5 has a
    /// [gain](Self::gain) of `1 − beta`.)
    pub fn spytorch(alpha: impl Into<PerNeuron>, beta: impl Into<PerNeuron>) -> Self {
        LeakyIntegrator::new(beta).alpha(alpha).old_current(true)
    }

    setters! {
        settings {
            old_current: bool = "whether the membrane reads the current of the previous step";
        }
        constants {
            alpha, learn_alpha: 0 = "`α`";
            beta, learn_beta: 1 = "`β`";
            gain, learn_gain: 2 = "`γ`";
        }
    }

    /// The equations of this description.
    pub fn rule(&self) -> Rule {
        Rule {
            old_current: self.old_current,
        }
    }
}

impl From<LeakyIntegrator> for Neurons {
    fn from(neuron: LeakyIntegrator) -> Self {
        let values = [neuron.alpha, neuron.beta, neuron.gain];
        let old_current = neuron.old_current;
        Neurons::given(Rule { old_current }, values, neuron.learn)
    }
}

/// The equations of [`LeakyIntegrator`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Whether the membrane reads `i_{t−1}` instead of `i_t`.
    pub(crate) old_current: bool,
}

impl Neuron for Rule {
    const NAME: &'static str = "leaky_integrator";
    const CONSTANTS: &'static [Constant] =
        &[Constant::SYNAPSE, Constant::DECAY, Constant::finite("gain")];
    const SPIKES: bool = false;

    /// `α`, `β`, `γ`.
    type Constants<V: Copy> = [V; 3];
    /// The membrane and the current.
    type State<V: Copy> = [V; 2];
    /// The same.
    type Kept<V: Copy> = [V; 2];

    /// One kernel for all settings, with and without learned constants.
    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        visit.visit::<UNCOMMON>(self)
    }

    #[inline(always)]
    fn step<A: Arithmetic>(
        self,
        [alpha, beta, gain]: [Num<A>; 3],
        [before, old]: [Num<A>; 2],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 2]) {
        let new = alpha.mul_add(old, current);
        let j = if self.old_current { old } else { new };
        (current.silent(), [beta.mul_add(before, gain * j), new])
    }

    #[inline(always)]
    fn state<A: Arithmetic>(self, _: [Num<A>; 3], kept: [Num<A>; 2]) -> [Num<A>; 2] {
        kept
    }

    #[inline(always)]
    fn adjoint<A: Arithmetic>(
        self,
        [alpha, beta, gain]: [Num<A>; 3],
        [before, old]: [Num<A>; 2],
        [_, new]: [Num<A>; 2],
        [h, h_current]: [Num<A>; 2],
        _: Num<A>,
    ) -> Adjoint<Self, A> {
        let (c, back, j) = match self.old_current {
            true => (h_current, alpha.mul_add(h_current, gain * h), old),
            false => {
                let c = gain.mul_add(h, h_current);
                (c, alpha * c, new)
            }
        };
        Adjoint {
            current: c,
            before: [beta * h, back],
            constants: [c * old, h * before, h * j],
        }
    }

    fn settings(self) -> Vec<(&'static str, String)> {
        vec![("old_current", self.old_current.to_string())]
    }
}
