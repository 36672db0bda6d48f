//! Norse's LSNN: a current-based neuron whose threshold rises with each spike and decays to its value at
//! rest.
//!
//! In addition to the [symbols](super) of the parent module: `i` synaptic current, `α` its decay, `b` what
//! is added to the threshold, `ρ` its decay, `ψ` by how much a spike raises it.
//!
//! # Forward
//!
//! ```text
//! u_t = β v_{t−1} + (1 − β) i_{t−1}      i_t = α i_{t−1} + I_t
//! d_t = ρ b_{t−1}
//! s_t = H(u_t − (θ + d_t))
//! v_t = (1 − s_t) u_t                    b_t = d_t + ψ s_t
//! ```
//!
//! `β = 1 − dt/τ_mem`, `α = 1 − dt/τ_syn`, `ρ = 1 − dt/τ_b`. The membrane reads the current of the step
//! before, and is recorded after the reset (`v`). Norse's `b` includes the threshold at rest, and starts
//! there; here it starts at 0. Norse's recurrent step detaches the spike in the reset and in the
//! adaptation, its feed-forward step detaches neither.
//!
//! # Adjoint
//!
//! With `h` the gradients of `v_t`, `i_t` and `b_t`, and the terms in `[brackets]` dropped where the spike
//! is detached:
//!
//! ```text
//! k = σ'(u_t − θ − d_t) (e + [ψ h^b − u_t h^v])
//! a = (1 − s_t) h^v + k                   ∂L/∂u_t
//! q = h^b − k                             ∂L/∂d_t
//! ∂L/∂I_t = h^i
//! v_{t−1} receives β a,  i_{t−1} α h^i + (1 − β) a,  b_{t−1} ρ q
//! ∂L/∂α = Σ h^i i_{t−1}    ∂L/∂β = Σ a (v_{t−1} − i_{t−1})    ∂L/∂ρ = Σ q b_{t−1}
//! ∂L/∂ψ = Σ s_t h^b        ∂L/∂θ = −Σ k
//! ```
//!
//! Source: Norse 1.1 (`lsnn_step`, `lsnn_feed_forward_step`).

use super::{
    Adjoint, Arithmetic, Constant, Neuron, Neurons, Num, PerNeuron, Spike, UNCOMMON, Visit, setters,
};
use crate::{Result, Surrogate};

/// Description of a layer of Norse's LSNN neurons.
///
/// ```
/// use spikegrad::{Lsnn, Network};
///
/// // dt 1 ms, time constants of 5, 10 and 100 ms.
/// let neuron = Lsnn::new(0.8, 0.9, 0.99).adaptation(0.5);
/// let network: Network = Network::builder(4).layer(3, neuron).build()?;
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Lsnn {
    /// Decay of the synaptic current per step `α`, in `[0, 1]`.
    pub alpha: PerNeuron,
    /// Membrane decay per step `β`, in `[0, 1]`.
    pub beta: PerNeuron,
    /// Decay of the adaptation per step `ρ`, in `[0, 1]`.
    pub rho: PerNeuron,
    /// By how much a spike raises the threshold `ψ`, 0 or above; 1.8 by default.
    pub adaptation: PerNeuron,
    /// Firing threshold at rest `θ`, above 0; 1 by default.
    pub threshold: PerNeuron,
    /// Which of `α`, `β`, `ρ`, `ψ` and `θ` are trained.
    pub learn: [bool; 5],
    /// Whether the spike in the reset and in the adaptation is a constant of the backward pass.
    pub detach_reset: bool,
    /// Surrogate for the derivative of the spike.
    pub surrogate: Surrogate,
}

impl Lsnn {
    /// Norse's neuron from its decays: of the current, the membrane and the adaptation. The spike is
    /// attached, and the surrogate is SuperSpike of slope 100, as in Norse.
    pub fn new(
        alpha: impl Into<PerNeuron>,
        beta: impl Into<PerNeuron>,
        rho: impl Into<PerNeuron>,
    ) -> Self {
        Lsnn {
            alpha: alpha.into(),
            beta: beta.into(),
            rho: rho.into(),
            adaptation: PerNeuron::Shared(1.8),
            threshold: PerNeuron::Shared(1.0),
            learn: [false; 5],
            detach_reset: false,
            surrogate: Surrogate::FastSigmoid { slope: 100.0 },
        }
    }

    setters! {
        settings {
            detach_reset: bool =
                "whether the spike in the reset and in the adaptation is a constant of the backward pass";
            surrogate: Surrogate = "the surrogate gradient";
        }
        constants {
            alpha, learn_alpha: 0 = "`α`";
            beta, learn_beta: 1 = "`β`";
            rho, learn_rho: 2 = "`ρ`";
            adaptation, learn_adaptation: 3 = "`ψ`";
            threshold, learn_threshold: 4 = "`θ`";
        }
    }

    /// The equations of this description.
    pub fn rule(&self) -> Rule {
        Rule {
            detach_reset: self.detach_reset,
            surrogate: self.surrogate,
        }
    }
}

impl From<Lsnn> for Neurons {
    fn from(neuron: Lsnn) -> Self {
        let rule = neuron.rule();
        let Lsnn {
            alpha,
            beta,
            rho,
            adaptation,
            threshold,
            learn,
            ..
        } = neuron;
        Neurons::given(rule, [alpha, beta, rho, adaptation, threshold], learn)
    }
}

/// The equations of [`Lsnn`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    pub(crate) detach_reset: bool,
    pub(crate) surrogate: Surrogate,
}

impl Neuron for Rule {
    const NAME: &'static str = "lsnn";
    const CONSTANTS: &'static [Constant] = &[
        Constant::SYNAPSE,
        Constant::DECAY,
        Constant::ADAPTATION_DECAY,
        Constant::ADAPTATION,
        Constant::THRESHOLD,
    ];

    /// `α`, `β`, `ρ`, `ψ`, `θ`.
    type Constants<V: Copy> = [V; 5];
    /// `v`, `i`, `b`.
    type State<V: Copy> = [V; 3];
    /// `u`, `i`, `d`: before the reset.
    type Kept<V: Copy> = [V; 3];

    /// One kernel for all settings, with and without learned constants.
    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        visit.visit::<UNCOMMON>(self)
    }

    #[inline(always)]
    fn step<A: Arithmetic>(
        self,
        [alpha, beta, rho, _, theta]: [Num<A>; 5],
        [v, i, b]: [Num<A>; 3],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 3]) {
        let u = beta.mul_add(v, (1.0 - beta) * i);
        let d = rho * b;
        let s = self.surrogate.spike(u, theta + d);
        (s, [u, alpha.mul_add(i, current), d])
    }

    #[inline(always)]
    fn state<A: Arithmetic>(
        self,
        [_, _, _, psi, theta]: [Num<A>; 5],
        [u, i, d]: [Num<A>; 3],
    ) -> [Num<A>; 3] {
        let s = self.surrogate.spike(u, theta + d);
        let r = if self.detach_reset { s.detach() } else { s };
        [u - r * u, i, d + r * psi]
    }

    #[inline(always)]
    fn adjoint<A: Arithmetic>(
        self,
        [alpha, beta, rho, psi, theta]: [Num<A>; 5],
        [v, i, b]: [Num<A>; 3],
        [u, _, d]: [Num<A>; 3],
        [h, h_i, h_b]: [Num<A>; 3],
        e: Num<A>,
    ) -> Adjoint<Self, A> {
        let threshold = theta + d;
        let s = self.surrogate.spike(u, threshold);
        let e = match self.detach_reset {
            true => e,
            false => e + psi * h_b - u * h,
        };
        let k = self.surrogate.slope(u - threshold) * e;
        let a = h - s * h + k;
        let q = h_b - k;
        Adjoint {
            current: h_i,
            before: [beta * a, alpha.mul_add(h_i, (1.0 - beta) * a), rho * q],
            constants: [h_i * i, a * (v - i), q * b, s * h_b, -k],
        }
    }

    fn settings(self) -> Vec<(&'static str, String)> {
        vec![
            ("detach_reset", self.detach_reset.to_string()),
            ("surrogate", self.surrogate.to_string()),
        ]
    }

    fn check(self, place: &str) -> Result<()> {
        self.surrogate.check(place)
    }
}
