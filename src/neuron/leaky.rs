//! The leaky integrate-and-fire neuron: one step forward and its adjoint, side by side.
//!
//! Symbols: `u` membrane, `v` membrane after an immediate reset, `s` spike, `r` reset, `I` input
//! current, `β` decay, `θ` threshold, `H` the Heaviside step with `H(0) = 0` (a neuron whose
//! membrane equals the threshold does not fire), `σ'` the [surrogate](crate::Surrogate). The
//! membrane starts at `u_{−1} = 0`, unless it is [set](crate::NetworkBuilder::initial_membrane).
//!
//! # Forward
//!
//! | | [`FireThenIntegrate`](Dynamics::FireThenIntegrate) | [`IntegrateThenFire`](Dynamics::IntegrateThenFire) | [`IntegrateFireReset`](Dynamics::IntegrateFireReset) |
//! |---|---|---|---|
//! | spike | `s_t = H(u_{t−1} − θ)` | `s_t = H(u_t − θ)` | `s_t = H(u_t − θ)` |
//! | reset signal | `r_t = s_t` | `r_t = H(u_{t−1} − θ)` | `r_t = s_t` |
//! | subtract | `u_t = β u_{t−1} + I_t − β θ r_t` | `u_t = β u_{t−1} + I_t − θ r_t` | `u_t = β v_{t−1} + I_t`, `v_t = u_t − θ r_t` |
//! | zero | `u_t = β (1 − r_t) u_{t−1} + I_t` | `u_t = β (1 − r_t) u_{t−1} + I_t` | `u_t = β v_{t−1} + I_t`, `v_t = (1 − r_t) u_t` |
//! | none | `u_t = β u_{t−1} + I_t` | `u_t = β u_{t−1} + I_t` | `u_t = v_t = β v_{t−1} + I_t` |
//! | recorded | `s_t`, `u_t` | `s_t`, `u_t` | `s_t`, `v_t` |
//!
//! # Adjoint
//!
//! Let `e_t = ∂L/∂s_t` be the gradient from the layer above (or from a loss on spikes), and `h_t`
//! the gradient of the recorded membrane: `g_t` from the loss plus the contribution of step `t+1`.
//! The chain rule through one step gives `a_t = ∂L/∂u_t = ∂L/∂I_t` and the gradient passed back to
//! step `t−1`. An attached reset passes a gradient through `r`; a detached reset treats `r` as a
//! constant, and the terms in `[brackets]` drop out.
//!
//! * **FireThenIntegrate**: `u_t` is computed last, so `a_t = h_t`. The spike reads `u_{t−1}`: `k_t
//!   = σ'(u_{t−1} − θ) · (e_t + [∂u_t/∂r_t · a_t])`, and step `t−1` receives `∂u_t/∂u_{t−1} · a_t +
//!   k_t`.
//! * **IntegrateThenFire**: the spike reads `u_t`: `k_t = σ'(u_t − θ) · e_t`, `a_t = h_t + k_t`.
//!   The reset reads `u_{t−1}`: `[ρ_t = σ'(u_{t−1} − θ) · ∂u_t/∂r_t · a_t]`, and step `t−1`
//!   receives `∂u_t/∂u_{t−1} · a_t + [ρ_t]`.
//! * **IntegrateFireReset**: `k_t = σ'(u_t − θ) · (e_t + [∂v_t/∂r_t · h_t])`, `a_t = ∂v_t/∂u_t ·
//!   h_t + k_t`, and step `t−1` receives `β a_t`.
//!
//! `∂u/∂r` (or `∂v/∂r`) is the coefficient of `r` in the table. Unrolled over time, the first rule
//! reads `a_t = g_t + β a_{t+1} + σ'(u_t − θ) e_{t+1}`; the others are similar.
//!
//! Learned decays and thresholds accumulate `∂L/∂β = Σ_t a_t · ∂u_t/∂β` and `∂L/∂θ = Σ_t (∂u_t/∂θ ·
//! a_t − k_t − [ρ_t])` (in IntegrateFireReset `∂v_t/∂θ · h_t` replaces the first term): the
//! threshold enters the reset directly, and every spike (and attached reset) with `−σ'`, since each
//! reads `u − θ`.

use super::{
    Adjoint, Arithmetic, Constant, Neuron, Neurons, Num, PerNeuron, Spike, UNCOMMON, Visit,
};
use std::fmt;

use crate::{Result, Surrogate};

/// Order of events within a time step; see the [module's table](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dynamics {
    /// The spike reads the membrane of the previous step, as in the neuron class of snnTorch's
    /// tutorial 5. The reset subtracts `β θ`, not `θ`. A spike comes one step after its cause, so
    /// no neuron fires in a run of one step: see [`Network::min_steps`](crate::Network::min_steps).
    #[default]
    FireThenIntegrate,
    /// snnTorch's `Leaky`: the spike reads the new membrane, and resets it one step later.
    IntegrateThenFire,
    /// SpikingJelly's and Norse's order: integrate, fire, and reset immediately. The membrane is
    /// recorded after the reset.
    IntegrateFireReset,
}

/// The name in files: `fire_then_integrate`.
impl fmt::Display for Dynamics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Dynamics::FireThenIntegrate => "fire_then_integrate",
            Dynamics::IntegrateThenFire => "integrate_then_fire",
            Dynamics::IntegrateFireReset => "integrate_fire_reset",
        })
    }
}

/// The effect of a spike on the membrane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reset {
    /// Subtracts the threshold (`β θ` in [`Dynamics::FireThenIntegrate`]).
    #[default]
    Subtract,
    /// Sets the membrane to zero.
    Zero,
    /// Leaves the membrane unchanged.
    None,
}

/// The name in files: `subtract`.
impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reset::Subtract => "subtract",
            Reset::Zero => "zero",
            Reset::None => "none",
        })
    }
}

/// Description of a layer of leaky integrate-and-fire neurons.
///
/// The defaults are those of snnTorch's tutorial 5: threshold 1, reset by subtraction, detached,
/// [`Dynamics::FireThenIntegrate`], arctan surrogate. The [builder](crate::NetworkBuilder::build)
/// checks all settings.
///
/// ```
/// use spikegrad::{Dynamics, Leaky, Reset, Surrogate};
///
/// let neuron = Leaky::new(0.9)
///     .threshold(0.5)
///     .dynamics(Dynamics::IntegrateThenFire)
///     .reset(Reset::Zero)
///     .surrogate(Surrogate::FastSigmoid { slope: 25.0 });
/// assert!(neuron.detach_reset);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Leaky {
    /// Membrane decay per step `β`, in `[0, 1]`.
    pub beta: PerNeuron,
    /// Firing threshold `θ`, above 0; 1 by default.
    pub threshold: PerNeuron,
    /// Order of events.
    pub dynamics: Dynamics,
    /// The effect of a spike on the membrane.
    pub reset: Reset,
    /// Whether the reset is detached, a constant of the backward pass (default), or passes a
    /// gradient on.
    pub detach_reset: bool,
    /// Surrogate for the derivative of the spike.
    pub surrogate: Surrogate,
    /// Whether `β` is trained; kept in `[0, 1]`.
    pub learn_beta: bool,
    /// Whether `θ` is trained; kept above 0.
    pub learn_threshold: bool,
}

impl Leaky {
    /// A neuron with decay `beta` (one value for the layer, or a `Vec` with one per neuron).
    pub fn new(beta: impl Into<PerNeuron>) -> Self {
        Leaky {
            beta: beta.into(),
            threshold: PerNeuron::Shared(1.0),
            dynamics: Dynamics::default(),
            reset: Reset::default(),
            detach_reset: true,
            surrogate: Surrogate::default(),
            learn_beta: false,
            learn_threshold: false,
        }
    }

    /// snnTorch's `snn.Leaky(beta)` with its defaults: threshold 1, integrate then fire, reset by
    /// subtraction one step later and detached, `surrogate.atan(alpha=2)`.
    ///
    /// [`Leaky::new`], by contrast, is the class of snnTorch's tutorial 5, which fires before it
    /// integrates.
    ///
    /// ```
    /// use spikegrad::{Dynamics, Leaky};
    ///
    /// let leaky = Leaky::new(0.9).dynamics(Dynamics::IntegrateThenFire);
    /// assert_eq!(Leaky::snntorch(0.9), leaky);
    /// ```
    pub fn snntorch(beta: impl Into<PerNeuron>) -> Self {
        Leaky::new(beta)
            .threshold(1.0)
            .dynamics(Dynamics::IntegrateThenFire)
            .reset(Reset::Subtract)
            .detach_reset(true)
            .surrogate(Surrogate::Arctan { alpha: 2.0 })
    }

    /// SpikingJelly's `LIFNode(tau)` with its defaults: decay `1 − 1/tau`, threshold 1, integrate,
    /// fire and reset to zero within one step, reset attached, `Sigmoid(alpha=4)`. `tau` is at
    /// least 1, in steps.
    ///
    /// SpikingJelly's default `decay_input=True` also divides the input by `tau`. This crate does
    /// not scale the input: divide the layer's weights and bias by `tau` when porting. With
    /// `decay_input=False` keep them unchanged. A membrane equal to the threshold fires in
    /// SpikingJelly but not here.
    ///
    /// ```
    /// use spikegrad::{Dynamics, Leaky, Reset, Surrogate};
    ///
    /// let leaky = Leaky::new(0.5)
    ///     .dynamics(Dynamics::IntegrateFireReset)
    ///     .reset(Reset::Zero)
    ///     .detach_reset(false)
    ///     .surrogate(Surrogate::Sigmoid { slope: 4.0 });
    /// assert_eq!(Leaky::spikingjelly(2.0), leaky);
    /// ```
    pub fn spikingjelly(tau: f64) -> Self {
        Leaky::new(1.0 - 1.0 / tau)
            .threshold(1.0)
            .dynamics(Dynamics::IntegrateFireReset)
            .reset(Reset::Zero)
            .detach_reset(false)
            .surrogate(Surrogate::Sigmoid { slope: 4.0 })
    }

    /// Sets the threshold (one value for the layer, or a `Vec` with one per neuron).
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

    /// Trains `β` along with the weights, clamped to `[0, 1]` after each update.
    pub fn learn_beta(mut self, learn: bool) -> Self {
        self.learn_beta = learn;
        self
    }

    /// Trains `θ` along with the weights, clamped to at least [`MIN_THRESHOLD`](super::MIN_THRESHOLD).
    pub fn learn_threshold(mut self, learn: bool) -> Self {
        self.learn_threshold = learn;
        self
    }

    /// The equations of this description.
    pub fn rule(&self) -> Rule {
        Rule {
            dynamics: self.dynamics,
            reset: self.reset,
            detach_reset: self.detach_reset,
            surrogate: self.surrogate,
        }
    }
}

impl Neurons {
    /// The description, if these are leaky integrate-and-fire neurons.
    pub fn leaky(&self) -> Option<Leaky> {
        let rule = *self.equations::<Rule>()?;
        let mut constants = self.each();
        let ((_, beta, learn_beta), (_, threshold, learn_threshold)) =
            (constants.next()?, constants.next()?);
        Some(Leaky {
            beta: beta.clone(),
            threshold: threshold.clone(),
            dynamics: rule.dynamics,
            reset: rule.reset,
            detach_reset: rule.detach_reset,
            surrogate: rule.surrogate,
            learn_beta,
            learn_threshold,
        })
    }
}

impl From<Leaky> for Neurons {
    fn from(leaky: Leaky) -> Self {
        Neurons::new(leaky.rule())
            .constant("beta", leaky.beta)
            .constant("threshold", leaky.threshold)
            .learn("beta", leaky.learn_beta)
            .learn("threshold", leaky.learn_threshold)
    }
}

/// The equations of [`Leaky`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    pub(crate) dynamics: Dynamics,
    pub(crate) reset: Reset,
    pub(crate) detach_reset: bool,
    pub(crate) surrogate: Surrogate,
}

impl Rule {
    pub(super) const fn new(
        dynamics: Dynamics,
        reset: Reset,
        detach_reset: bool,
        surrogate: Surrogate,
    ) -> Self {
        Rule {
            dynamics,
            reset,
            detach_reset,
            surrogate,
        }
    }

    /// `common` with the sharpness of this rule's surrogate.
    #[inline(always)]
    pub(super) fn like(self, common: Rule) -> Rule {
        Rule {
            surrogate: common.surrogate.as_sharp_as(self.surrogate),
            ..common
        }
    }

    /// Whether this is the rule of snnTorch's tutorial 5, with any sharpness.
    #[cfg(feature = "cuda")]
    pub(crate) fn is_tutorial(self) -> bool {
        self.like(COMMON[0]) == self
    }

    /// Whether a gradient passes through the reset.
    #[inline(always)]
    pub(crate) fn attached(self) -> bool {
        !self.detach_reset && !matches!(self.reset, Reset::None)
    }

    /// Whether the spike reads a membrane that is not the recorded one.
    #[inline(always)]
    pub(crate) fn pre_differs(self) -> bool {
        matches!(self.dynamics, Dynamics::IntegrateFireReset) && !matches!(self.reset, Reset::None)
    }

    #[inline(always)]
    pub(super) fn fire<A: Arithmetic>(self, u: Num<A>, theta: Num<A>) -> Spike<A> {
        self.surrogate.spike(u, theta)
    }

    #[inline(always)]
    pub(super) fn slope<A: Arithmetic>(self, u: Num<A>, theta: Num<A>) -> Num<A> {
        self.surrogate.slope(u - theta)
    }

    /// The membrane that the spike of a step reads: the one before the step, or the step's own.
    #[inline(always)]
    pub(super) fn read<A: Arithmetic>(self, before: Num<A>, u: Num<A>) -> Num<A> {
        match self.dynamics {
            Dynamics::FireThenIntegrate => before,
            Dynamics::IntegrateThenFire | Dynamics::IntegrateFireReset => u,
        }
    }

    /// The reset signal of a spike.
    #[inline(always)]
    pub(super) fn signal<A: Arithmetic>(self, s: Spike<A>) -> Spike<A> {
        if self.detach_reset { s.detach() } else { s }
    }

    /// `(1 − r) x` with reset to zero, else `x`.
    #[inline(always)]
    pub(super) fn keep<A: Arithmetic>(self, r: Spike<A>, x: Num<A>) -> Num<A> {
        match self.reset {
            Reset::Zero => x - r * x,
            Reset::Subtract | Reset::None => x,
        }
    }

    /// `x − r·jump` with reset by subtraction, else `x`.
    #[inline(always)]
    pub(super) fn fall<A: Arithmetic>(self, r: Spike<A>, x: Num<A>, jump: Num<A>) -> Num<A> {
        match self.reset {
            Reset::Subtract => x - r * jump,
            Reset::Zero | Reset::None => x,
        }
    }
}

impl Neuron for Rule {
    const NAME: &'static str = "leaky";
    const CONSTANTS: &'static [Constant] = &[Constant::DECAY, Constant::THRESHOLD];

    /// `β`, `θ`.
    type Constants<V: Copy> = [V; 2];
    /// The recorded membrane.
    type State<V: Copy> = [V; 1];
    /// Also the recorded membrane; in IntegrateFireReset the membrane before the reset, which the
    /// surrogate reads.
    type Kept<V: Copy> = [V; 1];

    #[inline(always)]
    fn step<A: Arithmetic>(
        self,
        [beta, theta]: [Num<A>; 2],
        [before]: [Num<A>; 1],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 1]) {
        match self.dynamics {
            Dynamics::FireThenIntegrate => {
                let s = self.fire(before, theta);
                let r = self.signal(s);
                let u = beta.mul_add(self.keep(r, before), current);
                (s, [self.fall(r, u, beta * theta)])
            }
            Dynamics::IntegrateThenFire => {
                let r = self.signal(self.fire(before, theta));
                let u = beta.mul_add(self.keep(r, before), current);
                let u = self.fall(r, u, theta);
                (self.fire(u, theta), [u])
            }
            Dynamics::IntegrateFireReset => {
                let u = beta.mul_add(before, current);
                (self.fire(u, theta), [u])
            }
        }
    }

    #[inline(always)]
    fn state<A: Arithmetic>(self, [_, theta]: [Num<A>; 2], [u]: [Num<A>; 1]) -> [Num<A>; 1] {
        match self.dynamics {
            Dynamics::FireThenIntegrate | Dynamics::IntegrateThenFire => [u],
            Dynamics::IntegrateFireReset => {
                let r = self.signal(self.fire(u, theta));
                [self.fall(r, self.keep(r, u), theta)]
            }
        }
    }

    #[inline(always)]
    fn adjoint<A: Arithmetic>(
        self,
        [beta, theta]: [Num<A>; 2],
        [before]: [Num<A>; 1],
        [u]: [Num<A>; 1],
        [h]: [Num<A>; 1],
        e: Num<A>,
    ) -> Adjoint<Self, A> {
        let zero = h.literal(0.0);
        let resets_to_zero = matches!(self.reset, Reset::Zero);
        let subtracts = matches!(self.reset, Reset::Subtract);
        let slope = self.slope(self.read(before, u), theta);
        match self.dynamics {
            Dynamics::FireThenIntegrate => {
                let (a, r) = (h, self.fire(before, theta));
                // ∂u_t/∂r_t = −β u_{t−1} or −β θ: the gradient through an attached reset.
                let jump = if resets_to_zero { before } else { theta };
                let e = if self.attached() {
                    e - beta * jump * a
                } else {
                    e
                };
                let du_dbeta = self.fall(r, self.keep(r, before), theta);
                let du_dtheta = if subtracts { -(r * beta) } else { zero };
                Adjoint {
                    current: a,
                    before: [slope.mul_add(e, beta * self.keep(r, a))],
                    constants: [du_dbeta * a, du_dtheta * a - slope * e],
                }
            }
            Dynamics::IntegrateThenFire => {
                let r = self.fire(before, theta);
                let a = slope.mul_add(e, h);
                let back = beta * self.keep(r, a);
                // [ρ]: the gradient through an attached reset, which reads u_{t−1}.
                let jump = if resets_to_zero { beta * before } else { theta };
                let rho = if self.attached() {
                    -(self.slope(before, theta) * (jump * a))
                } else {
                    zero
                };
                let du_dtheta_a = if subtracts { -(r * a) } else { zero };
                Adjoint {
                    current: a,
                    before: [if self.attached() { back + rho } else { back }],
                    constants: [self.keep(r, before) * a, du_dtheta_a - slope * e - rho],
                }
            }
            Dynamics::IntegrateFireReset => {
                let r = self.fire(u, theta);
                // ∂v_t/∂r_t = −u_t or −θ.
                let jump = if resets_to_zero { u } else { theta };
                let e = if self.attached() { e - jump * h } else { e };
                let a = slope.mul_add(e, self.keep(r, h));
                let dv_dtheta_h = if subtracts { -(r * h) } else { zero };
                Adjoint {
                    current: a,
                    before: [beta * a],
                    constants: [before * a, dv_dtheta_h - slope * e],
                }
            }
        }
    }

    #[inline(always)]
    fn keeps_membrane(self) -> bool {
        !self.pre_differs()
    }

    #[inline(always)]
    fn spikes_first(self) -> bool {
        matches!(self.dynamics, Dynamics::FireThenIntegrate)
    }

    fn settings(self) -> Vec<(&'static str, String)> {
        let Rule {
            dynamics,
            reset,
            detach_reset,
            surrogate,
        } = self;
        vec![
            ("dynamics", dynamics.to_string()),
            ("reset", reset.to_string()),
            ("detach_reset", detach_reset.to_string()),
            ("surrogate", surrogate.to_string()),
        ]
    }

    fn check(self, place: &str) -> Result<()> {
        self.surrogate.check(place)
    }

    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        match COMMON.iter().position(|&common| self.like(common) == self) {
            Some(0) => visit.visit::<1>(self),
            Some(1) => visit.visit::<2>(self),
            Some(2) => visit.visit::<3>(self),
            Some(3) => visit.visit::<4>(self),
            Some(4) => visit.visit::<5>(self),
            Some(5) => visit.visit::<6>(self),
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
}

/// The rules with specialized loops, for any sharpness of the surrogate: the tutorial's neuron,
/// snnTorch's `Leaky` and SpikingJelly's hard reset, each with its most common surrogates.
const COMMON: [Rule; 6] = {
    use {Dynamics::*, Reset::*, Surrogate::*};
    let (arctan, slope) = (Arctan { alpha: 2.0 }, 25.0);
    [
        Rule::new(FireThenIntegrate, Subtract, true, arctan),
        Rule::new(IntegrateThenFire, Subtract, true, arctan),
        Rule::new(IntegrateThenFire, Subtract, true, FastSigmoid { slope }),
        Rule::new(IntegrateFireReset, Zero, true, arctan),
        Rule::new(IntegrateFireReset, Zero, false, arctan),
        Rule::new(IntegrateFireReset, Zero, false, Sigmoid { slope }),
    ]
};
