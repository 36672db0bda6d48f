//! The alpha neuron: two synaptic currents of opposite sign and different decays. Their difference
//! rises and falls after a spike as the alpha function does, and is the membrane. snnTorch's `Alpha`.
//!
//! # Forward
//!
//! In addition to the [symbols](super) of the parent module: `x` excitatory and `y` inhibitory current,
//! `α > β` their decays.
//!
//! ```text
//! r_t = H(u_{t−1} − θ)
//! x'_t = α x_{t−1} + I_t      y'_t = β y_{t−1} − I_t
//! m_t = τ (x'_t + y'_t)       τ = ln α/(ln β − ln α) + 1 = ln β/(ln β − ln α)
//! s_t = H(u_t − θ)
//! ```
//!
//! | reset | `x_t` | `y_t` | `u_t` |
//! |---|---|---|---|
//! | zero | `(1 − r_t) x'_t` | `(1 − r_t) y'_t` | `(1 − r_t) m_t` |
//! | subtract | `x'_t − θ r_t` | `(1 − r_t) y'_t` | `m_t + r_t y_{t−1}` |
//! | none | `x'_t` | `y'_t` | `m_t` |
//!
//! The second line is what snnTorch computes: the threshold is subtracted from the excitatory
//! current, and the inhibitory current is cleared. The membrane is no state of its own; it is carried
//! only because the reset reads it. The reset is detached.
//!
//! # Adjoint
//!
//! With `h` the gradients of `u_t`, `x_t` and `y_t` from step `t + 1` and from the loss, `κ = 1 − r_t`
//! where the reset clears and 1 elsewhere:
//!
//! ```text
//! a = h^u + σ'(u_t − θ) e                 ∂L/∂u_t
//! ∂L/∂m_t = κ a
//! x̂ = κ^x h^x + τ κ a                     ∂L/∂x'_t
//! ŷ = κ^y h^y + τ κ a                     ∂L/∂y'_t
//! ∂L/∂I_t = x̂ − ŷ
//! x_{t−1} receives α x̂,  y_{t−1} β ŷ + [subtract] r_t a,  u_{t−1} nothing
//! ∂L/∂α = Σ x̂ x_{t−1} + w ∂τ/∂α / τ       ∂L/∂β = Σ ŷ y_{t−1} + w ∂τ/∂β / τ
//! ∂L/∂θ = −Σ (σ'(u_t − θ) e + [subtract] r_t h^x)
//! ```
//!
//! where `w = κ a m_t`, which is `a u_t`, after a subtraction `a (u_t − r_t y_{t−1})`. With `l = ln β −
//! ln α`, `∂τ/∂α / τ = 1/(l α)` and `∂τ/∂β / τ = −ln α/(l β ln β)`.
//!
//! Source: snnTorch 1.0 (`snntorch.Alpha`).

use super::{
    Adjoint, Arithmetic, Constant, Neuron, Neurons, Num, PerNeuron, Reset, Spike, UNCOMMON, Visit,
    setters,
};
use crate::{Error, Result, Surrogate};

/// Description of a layer of alpha neurons.
///
/// The defaults are snnTorch's: threshold 1, reset to zero, arctan surrogate. `α` must be above `β` at the
/// start. Nothing keeps them apart if they are trained: the gain `τ` grows as they come close, and an
/// infinite one ends training with an error.
///
/// ```
/// use spikegrad::{Alpha, Network};
///
/// let neuron = Alpha::new(0.9, 0.8).learn_alpha(true);
/// let network: Network = Network::builder(4).layer(3, neuron).build()?;
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Alpha {
    /// Decay of the excitatory current per step `α`, above `β`, at most 1.
    pub alpha: PerNeuron,
    /// Decay of the inhibitory current per step `β`, from 1e-6, below 1.
    pub beta: PerNeuron,
    /// Firing threshold `θ`, above 0; 1 by default.
    pub threshold: PerNeuron,
    /// Which of `α`, `β` and `θ` are trained.
    pub learn: [bool; 3],
    /// The effect of a spike on the currents and the membrane; see the [module's table](self).
    pub reset: Reset,
    /// Surrogate for the derivative of the spike.
    pub surrogate: Surrogate,
}

impl Alpha {
    /// snnTorch's `snn.Alpha(alpha, beta)` with its defaults.
    pub fn new(alpha: impl Into<PerNeuron>, beta: impl Into<PerNeuron>) -> Self {
        Alpha {
            alpha: alpha.into(),
            beta: beta.into(),
            threshold: PerNeuron::Shared(1.0),
            learn: [false; 3],
            reset: Reset::Zero,
            surrogate: Surrogate::default(),
        }
    }

    setters! {
        settings {
            reset: Reset = "the reset";
            surrogate: Surrogate = "the surrogate gradient";
        }
        constants {
            alpha, learn_alpha: 0 = "`α`";
            beta, learn_beta: 1 = "`β`";
            threshold, learn_threshold: 2 = "`θ`";
        }
    }

    /// The equations of this description.
    pub fn rule(&self) -> Rule {
        Rule {
            reset: self.reset,
            surrogate: self.surrogate,
        }
    }
}

impl From<Alpha> for Neurons {
    fn from(neuron: Alpha) -> Self {
        let rule = neuron.rule();
        let values = [neuron.alpha, neuron.beta, neuron.threshold];
        Neurons::given(rule, values, neuron.learn)
    }
}

/// The equations of [`Alpha`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    pub(crate) reset: Reset,
    pub(crate) surrogate: Surrogate,
}

impl Neuron for Rule {
    const NAME: &'static str = "alpha";
    const CONSTANTS: &'static [Constant] = &[
        Constant::new("alpha", 1e-6, 1.0, "a decay from 1e-6 to 1"),
        Constant::new("beta", 1e-6, 1.0 - 1e-6, "a decay from 1e-6 to 1 - 1e-6"),
        Constant::THRESHOLD,
    ];

    /// `α`, `β`, `θ`.
    type Constants<V: Copy> = [V; 3];
    /// `u`, `x`, `y`.
    type State<V: Copy> = [V; 3];
    /// The same.
    type Kept<V: Copy> = [V; 3];

    /// One kernel for all settings, with and without learned constants.
    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        visit.visit::<UNCOMMON>(self)
    }

    #[inline(always)]
    fn step<A: Arithmetic>(
        self,
        [alpha, beta, theta]: [Num<A>; 3],
        [u, x, y]: [Num<A>; 3],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 3]) {
        let r = self.surrogate.spike(u, theta).detach();
        let (log_alpha, log_beta) = (alpha.ln(), beta.ln());
        let tau = log_beta / (log_beta - log_alpha);
        let (new_x, new_y) = (alpha.mul_add(x, current), beta.mul_add(y, -current));
        let m = tau * (new_x + new_y);
        let kept = match self.reset {
            Reset::Zero => [m - r * m, new_x - r * new_x, new_y - r * new_y],
            Reset::Subtract => [m + r * y, new_x - r * theta, new_y - r * new_y],
            Reset::None => [m, new_x, new_y],
        };
        (self.surrogate.spike(kept[0], theta), kept)
    }

    #[inline(always)]
    fn state<A: Arithmetic>(self, _: [Num<A>; 3], kept: [Num<A>; 3]) -> [Num<A>; 3] {
        kept
    }

    #[inline(always)]
    fn adjoint<A: Arithmetic>(
        self,
        [alpha, beta, theta]: [Num<A>; 3],
        [before, x, y]: [Num<A>; 3],
        [u, ..]: [Num<A>; 3],
        [h, h_x, h_y]: [Num<A>; 3],
        e: Num<A>,
    ) -> Adjoint<Self, A> {
        let r = self.surrogate.spike(before, theta).detach();
        let (log_alpha, log_beta) = (alpha.ln(), beta.ln());
        let apart = log_beta - log_alpha;
        let fired = self.surrogate.slope(u - theta) * e;
        let a = h + fired;
        let fed = log_beta / apart * a;
        let zero = h.literal(0.0);
        // ∂L/∂x', ∂L/∂y', κ a m, and the further terms of y_{t−1} and θ.
        let (x_hat, y_hat, weighted, jump, d_theta) = match self.reset {
            Reset::Zero => {
                let kept = |h: Num<A>| h - r * h;
                (kept(h_x + fed), kept(h_y + fed), a * u, zero, zero)
            }
            Reset::Subtract => {
                let m = u - r * y;
                let y_hat = h_y - r * h_y + fed;
                (h_x + fed, y_hat, a * m, r * a, r * h_x)
            }
            Reset::None => (h_x + fed, h_y + fed, a * u, zero, zero),
        };
        let by_alpha = weighted / (apart * alpha);
        let by_beta = weighted * log_alpha / (apart * beta * log_beta);
        Adjoint {
            current: x_hat - y_hat,
            before: [zero, alpha * x_hat, beta.mul_add(y_hat, jump)],
            constants: [
                x_hat.mul_add(x, by_alpha),
                y_hat * y - by_beta,
                -(fired + d_theta),
            ],
        }
    }

    fn settings(self) -> Vec<(&'static str, String)> {
        vec![
            ("reset", self.reset.to_string()),
            ("surrogate", self.surrogate.to_string()),
        ]
    }

    fn check(self, place: &str) -> Result<()> {
        self.surrogate.check(place)
    }

    fn check_constants(self, place: &str, constants: &[f64]) -> Result<()> {
        match *constants {
            [alpha, beta, _] if alpha <= beta => {
                let expected = format!("a decay above beta, {beta}");
                Err(Error::parameter(format!("{place}: alpha"), alpha, expected))
            }
            _ => Ok(()),
        }
    }
}
