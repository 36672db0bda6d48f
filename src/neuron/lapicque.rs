//! Lapicque's neuron: a leaky integrate-and-fire neuron given by the resistance and the capacitance of
//! its membrane. snnTorch's `Lapicque`.
//!
//! # Forward
//!
//! With resistance `R`, capacitance `C` and time step `T`, `δ = 1 − T/(RC)` and `γ = T/C`:
//!
//! ```text
//! r_t = H(u_{t−1} − θ)      s_t = H(u_t − θ)
//! subtract   u_t = δ u_{t−1} + γ I_t − θ r_t
//! zero       u_t = (1 − r_t)(δ u_{t−1} + γ I_t)
//! none       u_t = δ u_{t−1} + γ I_t
//! ```
//!
//! This is a [`Synaptic`](super::Synaptic) whose current does not outlast its step (`α = 0`): a reset
//! to zero clears the current that arrives with it. The other [orders of events](super::Dynamics) are
//! there as well.
//!
//! **The decay is not the `beta` that snnTorch is given.** From `beta` it takes `R = 1` and `C =
//! T/ln(1/β)`, and then `1 − T/(RC)`, Euler's first order of `e^{−T/RC} = β`. So the membrane decays
//! by `δ = 1 + ln β`, 0.895 for `beta = 0.9`, and the gain is `γ = −ln β`. Its `learn_beta` has no
//! effect, since the membrane does not read `beta`; here `δ` and `γ` can be trained.
//!
//! # Adjoint
//!
//! That of [`synaptic`] with `α = 0`. Its `c_t = γ d_t` is `∂L/∂I_t`, and `∂L/∂γ = Σ_t d_t I_t`.
//!
//! Source: snnTorch 1.0 (`snntorch.Lapicque`).

use super::{
    Adjoint, Arithmetic, Constant, Dynamics, Neuron, Neurons, Num, PerNeuron, Reset, Spike,
    UNCOMMON, Visit, leaky, setters, synaptic,
};
use crate::{Result, Surrogate};

/// Description of a layer of Lapicque's neurons.
///
/// The defaults are snnTorch's: threshold 1, [`Dynamics::IntegrateThenFire`], reset by subtraction,
/// detached, arctan surrogate.
///
/// ```
/// use spikegrad::{Lapicque, Network};
///
/// let neuron = Lapicque::circuit(5.0, 4.0, 1.0);
/// assert_eq!(neuron.decay, 0.95.into());
/// let network: Network = Network::builder(4)
///     .layer(3, neuron)
///     .layer(2, Lapicque::new(0.9))
///     .build()?;
/// let decay = network.layers()[1].constant("decay").unwrap()[0];
/// assert!((decay - 0.8946).abs() < 1e-4);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Lapicque {
    /// Membrane decay per step `δ = 1 − T/(RC)`, in `[−1, 1]`.
    pub decay: PerNeuron,
    /// Gain from current to membrane `γ = T/C`.
    pub gain: PerNeuron,
    /// Firing threshold `θ`, above 0; 1 by default.
    pub threshold: PerNeuron,
    /// Which of `δ`, `γ` and `θ` are trained.
    pub learn: [bool; 3],
    /// Order of events.
    pub dynamics: Dynamics,
    /// The effect of a spike on the membrane and on the current of the same step.
    pub reset: Reset,
    /// Whether the reset is a constant of the backward pass.
    pub detach_reset: bool,
    /// Surrogate for the derivative of the spike.
    pub surrogate: Surrogate,
}

impl Lapicque {
    /// snnTorch's `snn.Lapicque(beta)`, with the [decay](self) that it gives: `1 + ln beta`.
    pub fn new(beta: f64) -> Self {
        let log = libm::log(beta);
        Lapicque::of(1.0 + log, -log)
    }

    /// snnTorch's `snn.Lapicque(R=r, C=c, time_step=time_step)`.
    pub fn circuit(r: f64, c: f64, time_step: f64) -> Self {
        Lapicque::of(1.0 - time_step / (r * c), time_step / c)
    }

    fn of(decay: f64, gain: f64) -> Self {
        Lapicque {
            decay: decay.into(),
            gain: gain.into(),
            threshold: PerNeuron::Shared(1.0),
            learn: [false; 3],
            dynamics: Dynamics::IntegrateThenFire,
            reset: Reset::Subtract,
            detach_reset: true,
            surrogate: Surrogate::default(),
        }
    }

    setters! {
        settings {
            dynamics: Dynamics = "the order of events";
            reset: Reset = "the reset";
            detach_reset: bool = "whether the reset is a constant of the backward pass";
            surrogate: Surrogate = "the surrogate gradient";
        }
        constants {
            decay, learn_decay: 0 = "`δ`";
            gain, learn_gain: 1 = "`γ`";
            threshold, learn_threshold: 2 = "`θ`";
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
        }
    }
}

impl From<Lapicque> for Neurons {
    fn from(neuron: Lapicque) -> Self {
        let rule = neuron.rule();
        let values = [neuron.decay, neuron.gain, neuron.threshold];
        Neurons::given(rule, values, neuron.learn)
    }
}

/// The equations of [`Lapicque`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// The rule by which the membrane fires and resets.
    pub(crate) membrane: leaky::Rule,
}

impl Rule {
    #[inline(always)]
    fn driven(self) -> synaptic::Rule {
        synaptic::Rule {
            membrane: self.membrane,
            old_current: false,
        }
    }
}

impl Neuron for Rule {
    const NAME: &'static str = "lapicque";
    const CONSTANTS: &'static [Constant] = &[
        Constant::new("decay", -1.0, 1.0, "a decay from -1 to 1"),
        Constant::finite("gain"),
        Constant::THRESHOLD,
    ];

    /// `δ`, `γ`, `θ`.
    type Constants<V: Copy> = [V; 3];
    /// The recorded membrane.
    type State<V: Copy> = [V; 1];
    /// The membrane as [`synaptic`] keeps it, and the input current.
    type Kept<V: Copy> = [V; 2];

    /// One kernel for all settings, with and without learned constants.
    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        visit.visit::<UNCOMMON>(self)
    }

    #[inline(always)]
    fn step<A: Arithmetic>(
        self,
        [decay, gain, theta]: [Num<A>; 3],
        [before]: [Num<A>; 1],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 2]) {
        let zero = before.literal(0.0);
        let constants = [zero, decay, gain, theta];
        self.driven().step(constants, [before, zero], current)
    }

    #[inline(always)]
    fn state<A: Arithmetic>(
        self,
        [decay, gain, theta]: [Num<A>; 3],
        kept: [Num<A>; 2],
    ) -> [Num<A>; 1] {
        let constants = [theta.literal(0.0), decay, gain, theta];
        let [u, _] = self.driven().state(constants, kept);
        [u]
    }

    #[inline(always)]
    fn adjoint<A: Arithmetic>(
        self,
        [decay, gain, theta]: [Num<A>; 3],
        [before]: [Num<A>; 1],
        kept: [Num<A>; 2],
        [h]: [Num<A>; 1],
        e: Num<A>,
    ) -> Adjoint<Self, A> {
        let zero = h.literal(0.0);
        let constants = [zero, decay, gain, theta];
        let back = self
            .driven()
            .adjoint(constants, [before, zero], kept, [h, zero], e);
        let [_, d_decay, d_gain, d_theta] = back.constants;
        Adjoint {
            current: back.current,
            before: [back.before[0]],
            constants: [d_decay, d_gain, d_theta],
        }
    }

    fn settings(self) -> Vec<(&'static str, String)> {
        Neuron::settings(self.membrane)
    }

    fn check(self, place: &str) -> Result<()> {
        Neuron::check(self.membrane, place)
    }

    #[inline(always)]
    fn spikes_first(self) -> bool {
        self.membrane.spikes_first()
    }
}
