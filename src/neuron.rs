//! The leaky integrate-and-fire neuron: one step forward and its adjoint, side by side.
//!
//! Symbols: `u` membrane, `v` membrane after an immediate reset, `s` spike, `r` reset, `I` input
//! current, `β` decay, `θ` threshold, `Θ` the Heaviside step with `Θ(0) = 0` (a membrane exactly
//! at the threshold does not fire), `σ'` the [surrogate](crate::Surrogate). The membrane starts
//! at `u_{−1} = 0`.
//!
//! # Forward
//!
//! | | [`FireThenIntegrate`](Dynamics::FireThenIntegrate) | [`IntegrateThenFire`](Dynamics::IntegrateThenFire) | [`IntegrateFireReset`](Dynamics::IntegrateFireReset) |
//! |---|---|---|---|
//! | spike | `s_t = Θ(u_{t−1} − θ)` | `s_t = Θ(u_t − θ)` | `s_t = Θ(u_t − θ)` |
//! | reset signal | `r_t = s_t` | `r_t = Θ(u_{t−1} − θ)` | `r_t = s_t` |
//! | subtract | `u_t = β u_{t−1} + I_t − β θ r_t` | `u_t = β u_{t−1} + I_t − θ r_t` | `u_t = β v_{t−1} + I_t`, `v_t = u_t − θ r_t` |
//! | zero | `u_t = β (1 − r_t) u_{t−1} + I_t` | `u_t = β (1 − r_t) u_{t−1} + I_t` | `u_t = β v_{t−1} + I_t`, `v_t = (1 − r_t) u_t` |
//! | none | `u_t = β u_{t−1} + I_t` | `u_t = β u_{t−1} + I_t` | `u_t = v_t = β v_{t−1} + I_t` |
//! | recorded | `s_t`, `u_t` | `s_t`, `u_t` | `s_t`, `v_t` |
//!
//! # Adjoint
//!
//! Write `e_t = ∂L/∂s_t` for what arrives from the layer above (or from a loss on spikes), and
//! `h_t` for what arrives at the recorded membrane: the loss's own `g_t` plus what step `t+1` sends
//! back. The chain rule through one step gives `a_t = ∂L/∂u_t = ∂L/∂I_t` and what goes back to
//! step `t−1`. An attached reset lets a gradient through `r`; a detached one treats `r` as a
//! constant, and the terms in `[brackets]` drop out.
//!
//! * **FireThenIntegrate**: `u_t` is last, so `a_t = h_t`. The spike read `u_{t−1}`:
//!   `k_t = σ'(u_{t−1} − θ) · (e_t + [∂u_t/∂r_t · a_t])`, and back goes `∂u_t/∂u_{t−1} · a_t + k_t`.
//! * **IntegrateThenFire**: the spike read `u_t`: `k_t = σ'(u_t − θ) · e_t`, `a_t = h_t + k_t`; the
//!   reset read `u_{t−1}`: `[ρ_t = σ'(u_{t−1} − θ) · ∂u_t/∂r_t · a_t]`, and back goes
//!   `∂u_t/∂u_{t−1} · a_t + [ρ_t]`.
//! * **IntegrateFireReset**: `k_t = σ'(u_t − θ) · (e_t + [∂v_t/∂r_t · h_t])`,
//!   `a_t = ∂v_t/∂u_t · h_t + k_t`, and back goes `β a_t`.
//!
//! with `∂u/∂r` (or `∂v/∂r`) the coefficient of `r` in the table. Unrolled over time these are
//! `a_t = g_t + β a_{t+1} + σ'(u_t − θ) e_{t+1}` and its siblings.
//!
//! Decay and threshold, where learnt, collect `∂L/∂β = Σ_t a_t · ∂u_t/∂β` and
//! `∂L/∂θ = Σ_t (∂u_t/∂θ · a_t − k_t − [ρ_t])` (in IntegrateFireReset `∂v_t/∂θ · h_t` in place of
//! the first term): the threshold enters the reset by its own value, and every spike (and attached
//! reset) by `−σ'`, since each reads `u − θ`.

use crate::{Error, Float, Result, Surrogate};

/// Order of events within a time step; see the [module's table](self).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Dynamics {
    /// The spike reads the membrane of the step before: the neuron class written out in snnTorch's
    /// tutorial 5. The reset subtracts `β θ`, not `θ`.
    #[default]
    FireThenIntegrate,
    /// snnTorch's `Leaky`: the spike reads the new membrane, and resets it one step later.
    IntegrateThenFire,
    /// SpikingJelly's and Norse's order: integrate, fire, reset at once. The recorded membrane is
    /// the one after the reset.
    IntegrateFireReset,
}

/// What a spike does to the membrane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Reset {
    /// Subtracts the threshold (`β θ` in [`Dynamics::FireThenIntegrate`]).
    #[default]
    Subtract,
    /// Sets the membrane to zero.
    Zero,
    /// Leaves it alone.
    None,
}

/// A value for a whole layer, or one for each of its neurons (`[N]`).
#[derive(Debug, Clone, PartialEq)]
pub enum PerNeuron {
    /// All neurons share it.
    Shared(f64),
    /// One for each neuron, `[N]`.
    Each(Vec<f64>),
}

impl PerNeuron {
    pub(crate) fn values(&self) -> &[f64] {
        match self {
            PerNeuron::Shared(value) => std::slice::from_ref(value),
            PerNeuron::Each(values) => values,
        }
    }
}

impl From<f64> for PerNeuron {
    fn from(value: f64) -> Self {
        PerNeuron::Shared(value)
    }
}

impl From<Vec<f64>> for PerNeuron {
    fn from(values: Vec<f64>) -> Self {
        PerNeuron::Each(values)
    }
}

/// Description of a layer of leaky integrate-and-fire neurons.
///
/// The defaults are those of snnTorch's tutorial 5: threshold 1, reset by subtraction, detached,
/// [`Dynamics::FireThenIntegrate`], arctan surrogate. Nothing is checked here; the
/// [builder](crate::NetworkBuilder::build) checks everything at once.
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
    /// What a spike does to the membrane.
    pub reset: Reset,
    /// Whether the reset is a constant of the backward pass (default) or passes a gradient on.
    pub detach_reset: bool,
    /// Stand-in for the spike's derivative.
    pub surrogate: Surrogate,
    /// Whether `β` is trained; kept in `[0, 1]`.
    pub learn_beta: bool,
    /// Whether `θ` is trained; kept above 0.
    pub learn_threshold: bool,
}

impl Leaky {
    /// A neuron with decay `beta` (one for the layer, or a `Vec` with one for each neuron).
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

    /// snnTorch's `snn.Leaky(beta)` with its own defaults: threshold 1, integrate then fire, reset by
    /// subtraction one step later and detached, `surrogate.atan(alpha=2)`.
    ///
    /// [`Leaky::new`] is the class of snnTorch's tutorial 5 instead, which fires before it integrates.
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

    /// SpikingJelly's `LIFNode(tau)` with its own defaults: decay `1 − 1/tau`, threshold 1, integrate,
    /// fire and reset to zero within one step, reset attached, `Sigmoid(alpha=4)`. `tau` is at least
    /// 1, in steps.
    ///
    /// There the default `decay_input=True` divides the input by `tau` as well. Here the input is not
    /// scaled: divide the layer's weights and bias by `tau` when they are brought over. With
    /// `decay_input=False` they stay as they are. At the threshold itself SpikingJelly fires, and
    /// this neuron does not.
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

    /// Sets the threshold (one for the layer, or a `Vec` with one for each neuron).
    pub fn threshold(mut self, threshold: impl Into<PerNeuron>) -> Self {
        self.threshold = threshold.into();
        self
    }

    /// Sets the order of events.
    pub fn dynamics(mut self, dynamics: Dynamics) -> Self {
        self.dynamics = dynamics;
        self
    }

    /// Sets what a spike does to the membrane.
    pub fn reset(mut self, reset: Reset) -> Self {
        self.reset = reset;
        self
    }

    /// Says whether the reset is a constant of the backward pass.
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

    /// Trains `θ` along with the weights, clamped to at least [`MIN_THRESHOLD`].
    pub fn learn_threshold(mut self, learn: bool) -> Self {
        self.learn_threshold = learn;
        self
    }

    pub(crate) fn rule(&self) -> Rule {
        Rule {
            dynamics: self.dynamics,
            reset: self.reset,
            detach_reset: self.detach_reset,
        }
    }

    /// Checks every setting for a layer of `neurons`; `place` names the layer in messages.
    pub(crate) fn check(&self, place: &str, neurons: usize) -> Result<()> {
        self.surrogate.check(place)?;
        for (name, values, (low, high), range) in [
            ("beta", &self.beta, (0.0, 1.0), "a decay from 0 to 1"),
            (
                "threshold",
                &self.threshold,
                (MIN_THRESHOLD, 1e30),
                "a number from 1e-6 to 1e30",
            ),
        ] {
            let values = match values {
                PerNeuron::Each(each) if each.len() != neurons => {
                    let expected = format!("[{neurons}], one for each neuron");
                    return Err(Error::shape(
                        format!("{place}: {name}"),
                        expected,
                        &[each.len()],
                    ));
                }
                values => values.values(),
            };
            if let Some(bad) = values.iter().find(|v| !(low..=high).contains(*v)) {
                return Err(Error::parameter(format!("{place}: {name}"), bad, range));
            }
        }
        Ok(())
    }
}

/// The lowest threshold: a learnt one is kept from falling below it.
pub const MIN_THRESHOLD: f64 = 1e-6;

/// What decides the arithmetic of a step. Engines turn it into a constant, once per row of
/// neurons, by [`specialise!`], so that no neuron pays for a branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rule {
    pub dynamics: Dynamics,
    pub reset: Reset,
    pub detach_reset: bool,
}

/// What one step leaves behind.
#[derive(Clone, Copy)]
pub(crate) struct Fired<F> {
    /// `s_t`, sent up.
    pub spk: F,
    /// The recorded membrane: `u_t`, or `v_t` in IntegrateFireReset. The next step starts from it.
    pub mem: F,
    /// `u_t` as the spike of IntegrateFireReset read it, before the reset.
    pub pre: F,
    /// `r_t`.
    pub reset: F,
}

/// What the adjoint of one step sends where.
#[derive(Clone, Copy)]
pub(crate) struct Adjoint<F> {
    /// `a_t = ∂L/∂I_t`.
    pub current: F,
    /// To the recorded membrane of step `t−1`.
    pub back: F,
    /// This step's share of `∂L/∂β`.
    pub beta: F,
    /// This step's share of `∂L/∂θ`.
    pub theta: F,
}

/// One step's values, as the adjoint reads them.
#[derive(Clone, Copy)]
pub(crate) struct Step<F> {
    /// Recorded membrane of step `t−1` (0 at `t = 0`).
    pub before: F,
    /// The membrane that IntegrateFireReset's spike read.
    pub pre: F,
    /// `r_t`.
    pub reset: F,
    /// `σ'` where the spike of this step read it.
    pub slope: F,
    /// `σ'(u_{t−1} − θ)`, where the reset of IntegrateThenFire read it.
    pub reset_slope: F,
}

impl Rule {
    /// Whether a gradient passes through the reset.
    #[inline(always)]
    pub fn attached(self) -> bool {
        !self.detach_reset && !matches!(self.reset, Reset::None)
    }

    /// Whether the membrane that the spike read is not the one recorded.
    #[inline(always)]
    pub fn pre_differs(self) -> bool {
        matches!(self.dynamics, Dynamics::IntegrateFireReset) && !matches!(self.reset, Reset::None)
    }

    /// One neuron, one step. `fire` is `Θ` (or a soft spike), `hold` what the reset makes of its
    /// signal: the identity, or a constant in its place.
    #[inline(always)]
    pub fn forward<F: Float>(
        self,
        (beta, theta): (F, F),
        before: F,
        current: F,
        fire: impl Fn(F) -> F,
        hold: impl FnOnce(F) -> F,
    ) -> Fired<F> {
        let one = F::one();
        match self.dynamics {
            Dynamics::FireThenIntegrate => {
                let spk = fire(before - theta);
                let r = hold(spk);
                let mem = match self.reset {
                    Reset::Subtract => beta * before + current - beta * theta * r,
                    Reset::Zero => beta * (one - r) * before + current,
                    Reset::None => beta * before + current,
                };
                Fired {
                    spk,
                    mem,
                    pre: mem,
                    reset: r,
                }
            }
            Dynamics::IntegrateThenFire => {
                let r = hold(fire(before - theta));
                let mem = match self.reset {
                    Reset::Subtract => beta * before + current - theta * r,
                    Reset::Zero => beta * (one - r) * before + current,
                    Reset::None => beta * before + current,
                };
                Fired {
                    spk: fire(mem - theta),
                    mem,
                    pre: mem,
                    reset: r,
                }
            }
            Dynamics::IntegrateFireReset => {
                let pre = beta * before + current;
                let spk = fire(pre - theta);
                let r = hold(spk);
                let mem = match self.reset {
                    Reset::Subtract => pre - theta * r,
                    Reset::Zero => (one - r) * pre,
                    Reset::None => pre,
                };
                Fired {
                    spk,
                    mem,
                    pre,
                    reset: r,
                }
            }
        }
    }

    /// The adjoint of [`forward`](Self::forward): `h` arrives at the recorded membrane, `e` at the
    /// spike.
    #[inline(always)]
    pub fn adjoint<F: Float>(self, (beta, theta): (F, F), step: Step<F>, h: F, e: F) -> Adjoint<F> {
        let Step {
            before,
            pre,
            reset: r,
            slope,
            reset_slope,
        } = step;
        let (zero, one) = (F::zero(), F::one());
        let keep = if matches!(self.reset, Reset::Zero) {
            one - r
        } else {
            one
        };
        match self.dynamics {
            Dynamics::FireThenIntegrate => {
                let a = h;
                // ∂u_t/∂r_t, and what of it an attached reset lets through
                let through_reset = match self.reset {
                    _ if !self.attached() => zero,
                    Reset::Zero => -beta * before * a,
                    _ => -beta * theta * a,
                };
                let k = slope * (e + through_reset);
                let (du_dbeta, du_dtheta) = match self.reset {
                    Reset::Subtract => (before - theta * r, -beta * r),
                    _ => (keep * before, zero),
                };
                Adjoint {
                    current: a,
                    back: beta * keep * a + k,
                    beta: du_dbeta * a,
                    theta: du_dtheta * a - k,
                }
            }
            Dynamics::IntegrateThenFire => {
                let k = slope * e;
                let a = h + k;
                let rho = match self.reset {
                    _ if !self.attached() => zero,
                    Reset::Zero => reset_slope * -beta * before * a,
                    _ => reset_slope * -theta * a,
                };
                let du_dtheta = if matches!(self.reset, Reset::Subtract) {
                    -r
                } else {
                    zero
                };
                Adjoint {
                    current: a,
                    back: beta * keep * a + rho,
                    beta: keep * before * a,
                    theta: du_dtheta * a - k - rho,
                }
            }
            Dynamics::IntegrateFireReset => {
                let through_reset = match self.reset {
                    _ if !self.attached() => zero,
                    Reset::Zero => -pre * h,
                    _ => -theta * h,
                };
                let k = slope * (e + through_reset);
                let a = keep * h + k;
                let dv_dtheta = if matches!(self.reset, Reset::Subtract) {
                    -r
                } else {
                    zero
                };
                Adjoint {
                    current: a,
                    back: beta * a,
                    beta: before * a,
                    theta: dv_dtheta * h - k,
                }
            }
        }
    }
}

/// Runs `$body` with `$rule` bound to a constant equal to `$value`, so that the body is compiled
/// once for each rule, without a branch inside.
macro_rules! specialise {
    ($value:expr, |$rule:ident| $body:expr) => {
        specialise!(@dynamics $value, $rule, $body, FireThenIntegrate, IntegrateThenFire, IntegrateFireReset)
    };
    (@dynamics $value:expr, $rule:ident, $body:expr, $($dynamics:ident),*) => {
        match ($value.dynamics, $value.reset, $value.attached()) {
            $(
                ($crate::Dynamics::$dynamics, $crate::Reset::Subtract, false) =>
                    specialise!(@one $rule, $body, $dynamics, Subtract, true),
                ($crate::Dynamics::$dynamics, $crate::Reset::Subtract, true) =>
                    specialise!(@one $rule, $body, $dynamics, Subtract, false),
                ($crate::Dynamics::$dynamics, $crate::Reset::Zero, false) =>
                    specialise!(@one $rule, $body, $dynamics, Zero, true),
                ($crate::Dynamics::$dynamics, $crate::Reset::Zero, true) =>
                    specialise!(@one $rule, $body, $dynamics, Zero, false),
                ($crate::Dynamics::$dynamics, $crate::Reset::None, _) =>
                    specialise!(@one $rule, $body, $dynamics, None, true),
            )*
        }
    };
    (@one $rule:ident, $body:expr, $dynamics:ident, $reset:ident, $detach:literal) => {{
        let $rule = $crate::neuron::Rule {
            dynamics: $crate::Dynamics::$dynamics,
            reset: $crate::Reset::$reset,
            detach_reset: $detach,
        };
        $body
    }};
}
pub(crate) use specialise;
