//! Learning rates that change: functions of the number of updates made.
//!
//! With the base rate `η` (a rule's `lr`) and `n = 0, 1, …` updates made before:
//!
//! | schedule | rate | PyTorch |
//! |---|---|---|
//! | constant | `η` | |
//! | step | `η γ^⌊n/k⌋` | `StepLR(step_size=k, gamma=γ)` |
//! | exponential | `η γⁿ` | `ExponentialLR(gamma=γ)` |
//! | cosine | `η₀ + (η − η₀)(1 + cos πn/N)/2`; `η₀` from `n = N` on | `CosineAnnealingLR(T_max=N, eta_min=η₀)`, which rises again after `N` |
//! | one cycle | cosine from `η/d` up to `η`, then down to `η/(d f)` | `OneCycleLR(max_lr=η, total_steps=N, cycle_momentum=False)` |
//!
//! The one cycle turns at `p N − 1` and ends at `N − 1`, with `p = 0.3`, `d = 25`, `f = 1e4` as in PyTorch;
//! later updates keep the last rate.
//!
//! A linear [warm-up](Schedule::warmup) of `k` updates goes before any of them: `η (n + 1)/k` for `n < k`,
//! then the schedule from its own start. In PyTorch: `SequentialLR([LinearLR(start_factor=1/k,
//! total_iters=k − 1), schedule], milestones=[k])`.
//!
//! PyTorch's schedulers are often stepped once per epoch; these count updates. A checkpoint stores the
//! schedule and the number of updates, so a resumed run has the same rates to the bit.

use std::f64::consts::PI;

use super::{above_0, finite_from_0, require};
use crate::Result;

/// A schedule of the learning rate. The [module](self) has the formulas.
///
/// ```
/// use spikegrad::optim::Schedule;
///
/// let schedule = Schedule::cosine(100).warmup(10);
/// assert_eq!(schedule.rate(1e-3, 0), 1e-4);
/// assert_eq!(schedule.rate(1e-3, 10), 1e-3);
/// assert_eq!(schedule.rate(1e-3, 60), 5e-4);
/// assert_eq!(schedule.rate(1e-3, 110), 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Schedule {
    /// Updates of linear warm-up before the curve begins; 0 by default.
    pub warmup: u64,
    /// The rate after the warm-up.
    pub curve: Curve,
}

/// The shape of a schedule after its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Curve {
    /// The base rate.
    #[default]
    Constant,
    /// A factor after each so many updates.
    Step {
        /// Updates between two factors, at least 1.
        every: u64,
        /// The factor `γ`, finite and at least 0.
        gamma: f64,
    },
    /// A factor after every update.
    Exponential {
        /// The factor `γ`, finite and at least 0.
        gamma: f64,
    },
    /// Half a cosine, from the base rate down to a least one.
    Cosine {
        /// Updates until the least rate, at least 1.
        updates: u64,
        /// The least rate `η₀`, finite and at least 0.
        least: f64,
    },
    /// Up and down once.
    OneCycle {
        /// Updates of the whole cycle, at least 1.
        updates: u64,
        /// The share of them that rises, `p`, from 0 to 1.
        rise: f64,
        /// The base rate over the first rate, `d`, above 0.
        start_factor: f64,
        /// The first rate over the last rate, `f`, above 0.
        end_factor: f64,
    },
}

impl Schedule {
    /// Always the base rate.
    pub fn constant() -> Self {
        Schedule::default()
    }

    /// Multiplies the rate by `gamma` after each `every` updates.
    pub fn step(every: u64, gamma: f64) -> Self {
        Curve::Step { every, gamma }.into()
    }

    /// Multiplies the rate by `gamma` after each update.
    pub fn exponential(gamma: f64) -> Self {
        Curve::Exponential { gamma }.into()
    }

    /// Falls along a cosine to 0 in so many updates.
    pub fn cosine(updates: u64) -> Self {
        let least = 0.0;
        Curve::Cosine { updates, least }.into()
    }

    /// Rises from a 25th of the base rate to it in the first 30 % of the updates, then falls to a
    /// ten-thousandth of the first rate.
    pub fn one_cycle(updates: u64) -> Self {
        Curve::OneCycle {
            updates,
            rise: 0.3,
            start_factor: 25.0,
            end_factor: 1e4,
        }
        .into()
    }

    /// Sets the number of updates of linear warm-up.
    pub fn warmup(mut self, updates: u64) -> Self {
        self.warmup = updates;
        self
    }

    /// The learning rate of the update that follows `made` earlier ones, for a base rate.
    pub fn rate(&self, base: f64, made: u64) -> f64 {
        match made.checked_sub(self.warmup) {
            None => base * ((made + 1) as f64 / self.warmup as f64),
            Some(made) => self.curve.rate(base, made),
        }
    }

    /// Checks the ranges of the settings.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](crate::Error::InvalidParameter) naming the setting.
    pub fn check(&self) -> Result<()> {
        let factor = |name: &str, x: f64| finite_from_0(&format!("schedule: {name}"), x);
        let above = |name: &str, x: f64| {
            let expected = "a finite number above 0";
            require(&format!("schedule: {name}"), x, above_0(x), expected)
        };
        let count =
            |name: &str, n: u64| require(&format!("schedule: {name}"), n, n > 0, "at least 1");
        match self.curve {
            Curve::Constant => Ok(()),
            Curve::Step { every, gamma } => {
                count("every", every)?;
                factor("gamma", gamma)
            }
            Curve::Exponential { gamma } => factor("gamma", gamma),
            Curve::Cosine { updates, least } => {
                count("updates", updates)?;
                factor("least", least)
            }
            Curve::OneCycle {
                updates,
                rise,
                start_factor,
                end_factor,
            } => {
                count("updates", updates)?;
                let good = (0.0..=1.0).contains(&rise);
                require("schedule: rise", rise, good, "a number from 0 to 1")?;
                above("start_factor", start_factor)?;
                above("end_factor", end_factor)
            }
        }
    }
}

impl From<Curve> for Schedule {
    fn from(curve: Curve) -> Self {
        Schedule { warmup: 0, curve }
    }
}

impl Curve {
    fn rate(&self, base: f64, made: u64) -> f64 {
        let n = made as f64;
        match *self {
            Curve::Constant => base,
            Curve::Step { every, gamma } => scaled(base, gamma, (made / every.max(1)) as f64),
            Curve::Exponential { gamma } => scaled(base, gamma, n),
            Curve::Cosine { updates, least } => cosine(base, least, (n / updates as f64).min(1.0)),
            Curve::OneCycle {
                updates,
                rise,
                start_factor,
                end_factor,
            } => {
                let (first, end) = (base / start_factor, updates as f64 - 1.0);
                let (last, turn) = (first / end_factor, rise * updates as f64 - 1.0);
                if n <= turn {
                    cosine(first, base, n / turn.max(f64::MIN_POSITIVE))
                } else if n < end {
                    cosine(base, last, (n - turn) / (end - turn))
                } else {
                    last
                }
            }
        }
    }
}

/// `base γⁿ`; 0 stays 0 although `γⁿ` may overflow.
fn scaled(base: f64, gamma: f64, n: f64) -> f64 {
    match base == 0.0 {
        true => 0.0,
        false => base * libm::pow(gamma, n),
    }
}

/// Half a cosine from one rate to another, `part` of the way from 0 to 1.
fn cosine(from: f64, to: f64, part: f64) -> f64 {
    let cosine = libm::cos(PI * part);
    from * ((1.0 + cosine) / 2.0) + to * ((1.0 - cosine) / 2.0)
}
