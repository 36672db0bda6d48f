//! The adaptive leaky integrate-and-fire neuron of sparch (adLIF): a second variable follows the membrane
//! and jumps with each spike, and is subtracted from the input.
//!
//! # Forward
//!
//! In addition to the [symbols](super) of the parent module: `w` adaptation, `β` its decay, `α` that of the
//! membrane, `a` how far the adaptation follows the membrane, `b` its jump.
//!
//! ```text
//! w_t = β w_{t−1} + a u_{t−1} + b s_{t−1}
//! u_t = α (u_{t−1} − s_{t−1}) + (1 − α)(I_t − w_t)
//! s_t = H(u_t − θ)
//! ```
//!
//! The reset subtracts 1, whatever the threshold, and nothing is detached. `s_{t−1}` is computed again from
//! the membrane of the state.
//!
//! # Adjoint
//!
//! With `h` the gradients of `u_t` and `w_t` from step `t + 1` and the loss:
//!
//! ```text
//! p = h^u + σ'(u_t − θ) e               ∂L/∂u_t
//! q = h^w − (1 − α) p                   ∂L/∂w_t
//! k = σ'(u_{t−1} − θ)(b q − α p)        through s_{t−1}
//! ∂L/∂I_t = (1 − α) p
//! u_{t−1} receives α p + a q + k,  w_{t−1} β q
//! ∂L/∂α = Σ p (u_{t−1} − s_{t−1} − I_t + w_t)    ∂L/∂β = Σ q w_{t−1}
//! ∂L/∂a = Σ q u_{t−1}      ∂L/∂b = Σ q s_{t−1}
//! ∂L/∂θ = −Σ (σ'(u_t − θ) e + k)
//! ```
//!
//! Source: Bittar and Garner, *A surrogate gradient spiking baseline for speech command recognition*,
//! Frontiers in Neuroscience 16, 2022, and its code sparch (`adLIFLayer`).

use super::{
    Adjoint, Arithmetic, Constant, Draw, Neuron, Neurons, Num, PerNeuron, Spike, UNCOMMON, Visit,
    setters,
};
use crate::{Result, Surrogate};

/// Description of a layer of sparch's adLIF neurons.
///
/// ```
/// use spikegrad::{AdLif, Network};
///
/// let network: Network = Network::builder(4)
///     .layer(3, AdLif::sparch())
///     .layer(2, AdLif::new(0.9, 0.98).a(0.5).b(1.0))
///     .build()?;
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AdLif {
    /// Membrane decay per step `α`, from `e^{−1/5}` to `e^{−1/25}`, sparch's limits.
    pub alpha: PerNeuron,
    /// Decay of the adaptation per step `β`, from `e^{−1/30}` to `e^{−1/120}`.
    pub beta: PerNeuron,
    /// How far the adaptation follows the membrane `a`, from −1 to 1; 0 by default.
    pub a: PerNeuron,
    /// The jump of the adaptation with a spike `b`, from 0 to 2; 0 by default.
    pub b: PerNeuron,
    /// Firing threshold `θ`, above 0; 1 by default.
    pub threshold: PerNeuron,
    /// Which of `α`, `β`, `a`, `b` and `θ` are trained.
    pub learn: [bool; 5],
    /// Surrogate for the derivative of the spike.
    pub surrogate: Surrogate,
}

impl AdLif {
    /// Neurons with a membrane of decay `alpha` and an adaptation of decay `beta`, arctan surrogate.
    pub fn new(alpha: impl Into<PerNeuron>, beta: impl Into<PerNeuron>) -> Self {
        AdLif {
            alpha: alpha.into(),
            beta: beta.into(),
            a: PerNeuron::Shared(0.0),
            b: PerNeuron::Shared(0.0),
            threshold: PerNeuron::Shared(1.0),
            learn: [false; 5],
            surrogate: Surrogate::default(),
        }
    }

    /// sparch's layer: `α`, `β`, `a` and `b` are drawn uniformly from their ranges for each neuron, and
    /// trained.
    pub fn sparch() -> Self {
        let [alpha, beta, a, b, _] = RANGES.map(|c| Draw::Uniform {
            low: c.low,
            high: c.high,
        });
        let mut neuron = AdLif::new(alpha, beta).a(a).b(b);
        neuron.learn = [true, true, true, true, false];
        neuron
    }

    setters! {
        settings {
            surrogate: Surrogate = "the surrogate gradient";
        }
        constants {
            alpha, learn_alpha: 0 = "`α`";
            beta, learn_beta: 1 = "`β`";
            a, learn_a: 2 = "`a`";
            b, learn_b: 3 = "`b`";
            threshold, learn_threshold: 4 = "`θ`";
        }
    }

    /// The equations of this description.
    pub fn rule(&self) -> Rule {
        Rule {
            surrogate: self.surrogate,
        }
    }
}

impl From<AdLif> for Neurons {
    fn from(neuron: AdLif) -> Self {
        let rule = neuron.rule();
        let AdLif {
            alpha,
            beta,
            a,
            b,
            threshold,
            learn,
            ..
        } = neuron;
        Neurons::given(rule, [alpha, beta, a, b, threshold], learn)
    }
}

/// sparch's limits.
const RANGES: [Constant; 5] = [
    Constant::new(
        "alpha",
        0.818_730_753_077_981_8,
        0.960_789_439_152_323_2,
        "a decay from e^(-1/5) to e^(-1/25)",
    ),
    Constant::new(
        "beta",
        0.967_216_100_482_005_9,
        0.991_701_304_421_335_1,
        "a decay from e^(-1/30) to e^(-1/120)",
    ),
    Constant::new("a", -1.0, 1.0, "a number from -1 to 1"),
    Constant::new("b", 0.0, 2.0, "a number from 0 to 2"),
    Constant::THRESHOLD,
];

/// The equations of [`AdLif`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    pub(crate) surrogate: Surrogate,
}

impl Neuron for Rule {
    const NAME: &'static str = "adlif";
    const CONSTANTS: &'static [Constant] = &RANGES;

    /// `α`, `β`, `a`, `b`, `θ`.
    type Constants<V: Copy> = [V; 5];
    /// `u`, `w`.
    type State<V: Copy> = [V; 2];
    /// The same, and the input current.
    type Kept<V: Copy> = [V; 3];

    /// One kernel for all settings, with and without learned constants.
    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        visit.visit::<UNCOMMON>(self)
    }

    #[inline(always)]
    fn step<A: Arithmetic>(
        self,
        [alpha, beta, a, b, theta]: [Num<A>; 5],
        [before, old]: [Num<A>; 2],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 3]) {
        let fired = self.surrogate.spike(before, theta);
        let w = beta.mul_add(old, a * before) + fired * b;
        let left = before - fired * before.literal(1.0);
        let u = alpha.mul_add(left, (1.0 - alpha) * (current - w));
        (self.surrogate.spike(u, theta), [u, w, current])
    }

    #[inline(always)]
    fn state<A: Arithmetic>(self, _: [Num<A>; 5], [u, w, _]: [Num<A>; 3]) -> [Num<A>; 2] {
        [u, w]
    }

    #[inline(always)]
    fn adjoint<A: Arithmetic>(
        self,
        [alpha, beta, a, b, theta]: [Num<A>; 5],
        [before, old]: [Num<A>; 2],
        [u, w, current]: [Num<A>; 3],
        [h, h_w]: [Num<A>; 2],
        e: Num<A>,
    ) -> Adjoint<Self, A> {
        let fired = self.surrogate.spike(before, theta);
        let sent = self.surrogate.slope(u - theta) * e;
        let p = h + sent;
        let c = (1.0 - alpha) * p;
        let q = h_w - c;
        let k = self.surrogate.slope(before - theta) * (b * q - alpha * p);
        let left = before - fired * before.literal(1.0);
        Adjoint {
            current: c,
            before: [alpha.mul_add(p, a.mul_add(q, k)), beta * q],
            constants: [
                p * (left - current + w),
                q * old,
                q * before,
                fired * q,
                -(sent + k),
            ],
        }
    }

    fn settings(self) -> Vec<(&'static str, String)> {
        vec![("surrogate", self.surrogate.to_string())]
    }

    fn check(self, place: &str) -> Result<()> {
        self.surrogate.check(place)
    }
}
