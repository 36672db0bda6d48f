//! The leaky integrate-and-fire neuron with an adaptive threshold (ALIF), in Bellec's order and in
//! Yin's.
//!
//! In addition to the [symbols](super) of the parent module: `b` adaptation, `ρ` its decay, `ψ` how much
//! of it is added to the threshold, `A` the adapted threshold.
//!
//! # Forward
//!
//! With `γ = 1 − β` (normalized) or 1:
//!
//! ```text
//! b_t = ρ b_{t−1} + (1 − ρ) s_{t−1}
//! A_t = θ + ψ b_t
//! u_t = β u_{t−1} + γ I_t − A_t s_{t−1}
//! s_t = H(z_t)
//! ```
//!
//! | | spike | detached |
//! |---|---|---|
//! | Bellec (LSNN-official) | reads the old membrane, scaled: `z_t = (u_{t−1} − A_t)/A_t` | nothing |
//! | Yin (SRNN) | reads the new membrane: `z_t = u_t − A_t` | nothing |
//!
//! `z` is what the surrogate reads. Each of these settings stands for itself, and either way of `s_{t−1}`,
//! into the reset (`A_t s_{t−1}`) and into the adaptation, can be detached.
//!
//! # Adjoint
//!
//! The spike is part of the state, so its gradient arrives with the others. With `h` the gradients of
//! `u_t`, `b_t` and `s_t` as states, `ζ` the membrane that the spike reads, and `e` the gradient of the
//! spike from above:
//!
//! ```text
//! k = σ'(z_t) (e + h^s)
//! ∂L/∂ζ = k          ∂L/∂A_t through the spike = −k           scaled: k/A_t,  −k ζ/A_t²
//! a = h^u + [new membrane] ∂L/∂ζ                              ∂L/∂u_t
//! w = −s_{t−1} a + the share of the spike                     ∂L/∂A_t
//! q = h^b + ψ w                                               ∂L/∂b_t
//! ∂L/∂I_t = γ a
//! u_{t−1} receives β a + [old membrane] ∂L/∂ζ,   b_{t−1} ρ q
//! s_{t−1} receives [attached adaptation] (1 − ρ) q − [attached reset] A_t a
//! ∂L/∂β = Σ a (u_{t−1} − [normalized] I_t)    ∂L/∂ρ = Σ q (b_{t−1} − s_{t−1})
//! ∂L/∂ψ = Σ w b_t                             ∂L/∂θ = Σ w
//! ```
//!
//! Sources: Bellec et al., *Long short-term memory and learning-to-learn in networks of spiking
//! neurons*, NeurIPS 2018, and its code LSNN-official (class `ALIF`); Yin, Corradi and Bohté, *Accurate
//! and efficient time-domain classification with adaptive spiking recurrent neural networks*, Nature
//! Machine Intelligence 3, 2021, and its code (`mem_update_adp`).

use super::{
    Adjoint, Arithmetic, Constant, Neuron, Neurons, Num, PerNeuron, Spike, UNCOMMON, Visit, setters,
};
use crate::{Result, Surrogate};

/// Description of a layer of leaky integrate-and-fire neurons with an adaptive threshold.
///
/// ```
/// use spikegrad::{Adaptive, Draw, Network, decay};
///
/// let slow = decay(200.0, 1.0);
/// let network: Network = Network::builder(4)
///     .layer(3, Adaptive::bellec(decay(20.0, 1.0), slow).adaptation(1.6).threshold(0.01))
///     .layer(2, Adaptive::yin(Draw::Normal { mean: 0.95, sd: 0.01 }, slow).learn_beta(true))
///     .build()?;
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Adaptive {
    /// Membrane decay per step `β`, in `[0, 1]`.
    pub beta: PerNeuron,
    /// Decay of the adaptation per step `ρ`, in `[0, 1]`.
    pub rho: PerNeuron,
    /// How much of the adaptation is added to the threshold `ψ`, 0 or above; 1.8 by default.
    pub adaptation: PerNeuron,
    /// Firing threshold at rest `θ`, above 0; 1 by default.
    pub threshold: PerNeuron,
    /// Which of `β`, `ρ`, `ψ` and `θ` are trained.
    pub learn: [bool; 4],
    /// Whether the spike reads the membrane of the previous step.
    pub old_membrane: bool,
    /// Whether the surrogate reads the distance to the threshold in parts of the threshold.
    pub scaled: bool,
    /// Whether the membrane reads the current times `1 − β`.
    pub normalized: bool,
    /// Whether the spike in the reset is a constant of the backward pass.
    pub detach_reset: bool,
    /// Whether the spike in the adaptation is a constant of the backward pass.
    pub detach_adaptation: bool,
    /// Surrogate for the derivative of the spike.
    pub surrogate: Surrogate,
}

impl Adaptive {
    /// Bellec's neuron: `beta` is the decay of the membrane, `rho` that of the adaptation.
    pub fn bellec(beta: impl Into<PerNeuron>, rho: impl Into<PerNeuron>) -> Self {
        Adaptive::yin(beta, rho).old_membrane(true).scaled(true)
    }

    /// Yin's neuron: `beta` is the decay of the membrane, `rho` that of the adaptation.
    pub fn yin(beta: impl Into<PerNeuron>, rho: impl Into<PerNeuron>) -> Self {
        Adaptive {
            beta: beta.into(),
            rho: rho.into(),
            adaptation: PerNeuron::Shared(1.8),
            threshold: PerNeuron::Shared(1.0),
            learn: [false; 4],
            old_membrane: false,
            scaled: false,
            normalized: true,
            detach_reset: false,
            detach_adaptation: false,
            surrogate: Surrogate::default(),
        }
    }

    setters! {
        settings {
            old_membrane: bool = "whether the spike reads the membrane of the previous step";
            scaled: bool = "whether the surrogate reads the distance in parts of the threshold";
            normalized: bool = "whether the membrane reads the current times `1 − β`";
            detach_reset: bool = "whether the spike in the reset is a constant of the backward pass";
            detach_adaptation: bool =
                "whether the spike in the adaptation is a constant of the backward pass";
            surrogate: Surrogate = "the surrogate gradient";
        }
        constants {
            beta, learn_beta: 0 = "`β`";
            rho, learn_rho: 1 = "`ρ`";
            adaptation, learn_adaptation: 2 = "`ψ`";
            threshold, learn_threshold: 3 = "`θ`";
        }
    }

    /// The equations of this description.
    pub fn rule(&self) -> Rule {
        Rule {
            old_membrane: self.old_membrane,
            scaled: self.scaled,
            normalized: self.normalized,
            detach_reset: self.detach_reset,
            detach_adaptation: self.detach_adaptation,
            surrogate: self.surrogate,
        }
    }
}

impl From<Adaptive> for Neurons {
    fn from(neuron: Adaptive) -> Self {
        let rule = neuron.rule();
        let values = [neuron.beta, neuron.rho, neuron.adaptation, neuron.threshold];
        Neurons::given(rule, values, neuron.learn)
    }
}

/// The equations of [`Adaptive`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    pub(crate) old_membrane: bool,
    pub(crate) scaled: bool,
    pub(crate) normalized: bool,
    pub(crate) detach_reset: bool,
    pub(crate) detach_adaptation: bool,
    pub(crate) surrogate: Surrogate,
}

impl Rule {
    /// `γ`.
    #[inline(always)]
    fn gain<A: Arithmetic>(self, beta: Num<A>) -> Num<A> {
        match self.normalized {
            true => 1.0 - beta,
            false => beta.literal(1.0),
        }
    }

    /// `z`, of the membrane that the spike reads.
    #[inline(always)]
    fn distance<A: Arithmetic>(self, read: Num<A>, threshold: Num<A>) -> Num<A> {
        match self.scaled {
            true => (read - threshold) / threshold,
            false => read - threshold,
        }
    }
}

impl Neuron for Rule {
    const NAME: &'static str = "adaptive";
    const CONSTANTS: &'static [Constant] = &[
        Constant::DECAY,
        Constant::ADAPTATION_DECAY,
        Constant::ADAPTATION,
        Constant::THRESHOLD,
    ];

    /// `β`, `ρ`, `ψ`, `θ`.
    type Constants<V: Copy> = [V; 4];
    /// `u`, `b`, and the spike as a number.
    type State<V: Copy> = [V; 3];
    /// The same, and the input current.
    type Kept<V: Copy> = [V; 4];

    /// One kernel for all settings, with and without learned constants.
    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        visit.visit::<UNCOMMON>(self)
    }

    #[inline(always)]
    fn step<A: Arithmetic>(
        self,
        [beta, rho, psi, theta]: [Num<A>; 4],
        [before, old_b, fired]: [Num<A>; 3],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 4]) {
        let held = |detach: bool| if detach { fired.detach() } else { fired };
        let b = rho.mul_add(old_b, (1.0 - rho) * held(self.detach_adaptation));
        let threshold = psi.mul_add(b, theta);
        let fed = beta.mul_add(before, self.gain(beta) * current);
        let u = fed - threshold * held(self.detach_reset);
        let read = if self.old_membrane { before } else { u };
        let z = self.distance(read, threshold);
        let s = self.surrogate.spike(z, z.literal(0.0));
        (s, [u, b, s * z.literal(1.0), current])
    }

    #[inline(always)]
    fn state<A: Arithmetic>(self, _: [Num<A>; 4], [u, b, s, _]: [Num<A>; 4]) -> [Num<A>; 3] {
        [u, b, s]
    }

    #[inline(always)]
    fn adjoint<A: Arithmetic>(
        self,
        [beta, rho, psi, theta]: [Num<A>; 4],
        [before, old_b, fired]: [Num<A>; 3],
        [u, b, _, current]: [Num<A>; 4],
        [h, h_b, h_s]: [Num<A>; 3],
        e: Num<A>,
    ) -> Adjoint<Self, A> {
        let zero = h.literal(0.0);
        let threshold = psi.mul_add(b, theta);
        let read = if self.old_membrane { before } else { u };
        let k = self.surrogate.slope(self.distance(read, threshold)) * (e + h_s);
        let (by_read, by_threshold) = match self.scaled {
            true => {
                let k = k / threshold;
                (k, -(k * read / threshold))
            }
            false => (k, -k),
        };
        let (new, old) = match self.old_membrane {
            true => (zero, by_read),
            false => (by_read, zero),
        };
        let a = h + new;
        let w = by_threshold - fired * a;
        let q = psi.mul_add(w, h_b);
        let adapted = match self.detach_adaptation {
            true => zero,
            false => (1.0 - rho) * q,
        };
        let reset = if self.detach_reset {
            zero
        } else {
            threshold * a
        };
        let by_beta = if self.normalized {
            before - current
        } else {
            before
        };
        Adjoint {
            current: self.gain(beta) * a,
            before: [beta.mul_add(a, old), rho * q, adapted - reset],
            constants: [a * by_beta, q * (old_b - fired), w * b, w],
        }
    }

    fn settings(self) -> Vec<(&'static str, String)> {
        vec![
            ("old_membrane", self.old_membrane.to_string()),
            ("scaled", self.scaled.to_string()),
            ("normalized", self.normalized.to_string()),
            ("detach_reset", self.detach_reset.to_string()),
            ("detach_adaptation", self.detach_adaptation.to_string()),
            ("surrogate", self.surrogate.to_string()),
        ]
    }

    fn check(self, place: &str) -> Result<()> {
        self.surrogate.check(place)
    }

    #[inline(always)]
    fn spikes_first(self) -> bool {
        self.old_membrane
    }
}
