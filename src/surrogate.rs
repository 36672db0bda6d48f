//! Surrogate gradients: replacements for the derivative of a spike.
//!
//! A spike is `s = H(x)`, `x = u − θ`: its derivative is zero almost everywhere, so no gradient
//! passes through it. The backward pass uses `σ'(x)` instead. Each `σ'` here is the exact
//! derivative of a function `σ`, the [soft spike](Surrogate::soft_spike). The network with `σ` in
//! place of `H` is differentiable, and the same backward code computes its exact gradient;
//! [`gradcheck`](crate::gradcheck) checks this by finite differences.
//!
//! | surrogate | `σ'(x)` | soft spike `σ(x)` |
//! |---|---|---|
//! | [`Arctan`](Surrogate::Arctan) | `(α/2) / (1 + (π/2·α·x)²)` | `atan(π/2·α·x)/π + 1/2` |
//! | [`FastSigmoid`](Surrogate::FastSigmoid) | `1 / (k·abs(x) + 1)²` | `x / (1 + k·abs(x)) + 1/2` |
//! | [`Sigmoid`](Surrogate::Sigmoid) | `k·p·(1 − p)`, `p = 1/(1 + e^(−kx))` | `p` |
//! | [`Triangular`](Surrogate::Triangular) | `1` for `x < 0`, `−1` for `x ≥ 0` | `1 − abs(x)` |
//! | [`StraightThrough`](Surrogate::StraightThrough) | `1` | `x + 1/2` |
//!
//! Every `σ'` is finite for every finite `x`.

use std::{f64::consts::PI, fmt};

use crate::{
    Error, Float, Result,
    neuron::{Arithmetic, Num, Scalar, Shape, Spike},
};

/// The function whose derivative replaces that of the Heaviside step in the backward pass.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Surrogate {
    /// `σ'(x) = (α/2) / (1 + (π/2·α·x)²)`; at `α = 2` it is `1 / (1 + (πx)²)`, as in snnTorch's
    /// tutorial 5 and its `surrogate.atan(alpha=2.0)`.
    ///
    /// Source: Fang et al., *Incorporating Learnable Membrane Time Constant to Enhance Learning of
    /// Spiking Neural Networks*, ICCV 2021.
    Arctan {
        /// Sharpness, above 0; 2 by default.
        alpha: f64,
    },
    /// `σ'(x) = 1 / (k·|x| + 1)²`, snnTorch's `surrogate.fast_sigmoid(slope=25)`.
    ///
    /// Source: Zenke & Ganguli, *SuperSpike*, Neural Computation 30, 2018.
    FastSigmoid {
        /// `k`, above 0; 25 by default in snnTorch.
        slope: f64,
    },
    /// `σ'(x) = k·p·(1 − p)` with `p` the logistic function of `k·x`, snnTorch's
    /// `surrogate.sigmoid(slope=25)`. Computed as `k·e/(1 + e)²`, `e = exp(−|kx|)`, which cannot
    /// overflow (snnTorch's formula is NaN more than about 3.5 below the threshold).
    ///
    /// Source: Zenke & Ganguli, *SuperSpike*, Neural Computation 30, 2018.
    Sigmoid {
        /// `k`, above 0; 25 by default in snnTorch.
        slope: f64,
    },
    /// `σ'(x) = 1` below the threshold and `−1` from the threshold on: the slopes of a triangle
    /// with its tip at the threshold, as in snnTorch's `surrogate.triangular(threshold=1)`. (In
    /// other libraries "triangular" means the function `max(0, 1 − |x|)` itself.)
    Triangular,
    /// `σ'(x) = 1`: the spike passes its gradient on unchanged, snnTorch's
    /// `surrogate.straight_through_estimator()`.
    ///
    /// Source: Bengio et al., *Estimating or Propagating Gradients Through Stochastic Neurons*,
    /// arXiv:1308.3432, 2013.
    StraightThrough,
}

impl Default for Surrogate {
    /// [`Surrogate::Arctan`] with `α = 2`.
    fn default() -> Self {
        Surrogate::Arctan { alpha: 2.0 }
    }
}

/// The name in files, with the sharpness: `arctan 2.0`.
impl fmt::Display for Surrogate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Surrogate::Arctan { alpha } => write!(f, "arctan {alpha:?}"),
            Surrogate::FastSigmoid { slope } => write!(f, "fast_sigmoid {slope:?}"),
            Surrogate::Sigmoid { slope } => write!(f, "sigmoid {slope:?}"),
            Surrogate::Triangular => f.write_str("triangular"),
            Surrogate::StraightThrough => f.write_str("straight_through"),
        }
    }
}

impl Surrogate {
    /// `σ'(x)` at `x = u − θ`.
    ///
    /// ```
    /// use spikegrad::Surrogate;
    /// assert_eq!(Surrogate::default().derivative(0.0_f64), 1.0);
    /// assert!((Surrogate::default().derivative(1.0_f64) - 0.0919996683503752).abs() < 1e-15);
    /// ```
    pub fn derivative<F: Float>(&self, x: F) -> F {
        self.slope(Num(Scalar::new(), x)).1
    }

    /// The spike of a membrane `u` and a threshold, in the arithmetic of a neuron.
    #[inline(always)]
    pub fn spike<A: Arithmetic>(self, u: Num<A>, theta: Num<A>) -> Spike<A> {
        Spike(u.0, u.0.fire(self, u.1, theta.1))
    }

    /// `σ'(x)` at `x = u − θ`, in the arithmetic of a neuron.
    #[inline(always)]
    pub fn slope<A: Arithmetic>(self, x: Num<A>) -> Num<A> {
        Num(x.0, x.0.slope(self, x.1))
    }

    /// The same shape with the sharpness of `other`, if both have one.
    #[inline(always)]
    pub(crate) fn as_sharp_as(self, other: Surrogate) -> Surrogate {
        use Surrogate::*;
        let (Arctan { alpha: sharpness }
        | FastSigmoid { slope: sharpness }
        | Sigmoid { slope: sharpness }) = other
        else {
            return self;
        };
        match self {
            Arctan { .. } => Arctan { alpha: sharpness },
            FastSigmoid { .. } => FastSigmoid { slope: sharpness },
            Sigmoid { .. } => Sigmoid { slope: sharpness },
            Triangular | StraightThrough => self,
        }
    }

    /// `σ(x)`, the smooth function whose derivative [`derivative`](Self::derivative) is.
    ///
    /// ```
    /// use spikegrad::Surrogate;
    /// let (s, h) = (Surrogate::FastSigmoid { slope: 25.0 }, 1e-6);
    /// let difference = (s.soft_spike(0.3 + h) - s.soft_spike(0.3 - h)) / (2.0 * h);
    /// assert!((difference - s.derivative(0.3_f64)).abs() < 1e-9);
    /// ```
    pub fn soft_spike<F: Float>(&self, x: F) -> F {
        Shape::soft_spike(*self, x)
    }

    /// Checks that the sharpness is positive and finite.
    pub(crate) fn check(&self, place: &str) -> Result<()> {
        let (name, value) = match *self {
            Surrogate::Arctan { alpha } => ("arctan alpha", alpha),
            Surrogate::FastSigmoid { slope } => ("fast-sigmoid slope", slope),
            Surrogate::Sigmoid { slope } => ("sigmoid slope", slope),
            Surrogate::Triangular | Surrogate::StraightThrough => return Ok(()),
        };
        if value > 0.0 && value <= 1e30 {
            return Ok(());
        }
        Err(Error::parameter(
            format!("{place}: {name}"),
            value,
            "a number above 0, at most 1e30",
        ))
    }
}

impl Shape for Surrogate {
    #[inline(always)]
    fn constants(self) -> [f64; 2] {
        match self {
            Surrogate::Arctan { alpha } => [alpha / 2.0, PI / 2.0 * alpha],
            Surrogate::FastSigmoid { slope } => [1.0, slope],
            Surrogate::Sigmoid { slope } => [slope, slope],
            Surrogate::Triangular | Surrogate::StraightThrough => [1.0, 1.0],
        }
    }

    #[inline(always)]
    fn slope_with<A: Arithmetic>(self, [peak, scale]: [Num<A>; 2], x: Num<A>) -> Num<A> {
        match self {
            Surrogate::Arctan { .. } => {
                let y = scale * x;
                peak / y.mul_add(y, 1.0)
            }
            Surrogate::FastSigmoid { .. } => {
                let y = scale.mul_add(x.abs(), 1.0);
                peak / (y * y)
            }
            Surrogate::Sigmoid { .. } => {
                let e = (-(scale * x.abs())).exp();
                peak * e / ((1.0 + e) * (1.0 + e))
            }
            Surrogate::Triangular => (-x).select_above(0.0, 1.0, -1.0),
            Surrogate::StraightThrough => x.literal(1.0),
        }
    }

    fn soft_spike<F: Float>(self, x: F) -> F {
        let half = F::from_f64(0.5);
        match self {
            Surrogate::Arctan { alpha } => {
                (F::from_f64(PI / 2.0 * alpha) * x).atan() / F::from_f64(PI) + half
            }
            Surrogate::FastSigmoid { slope } => {
                x / (F::one() + F::from_f64(slope) * x.abs()) + half
            }
            Surrogate::Sigmoid { slope } => {
                let e = (-(F::from_f64(slope) * x).abs()).exp_portable();
                (if x < F::zero() { e } else { F::one() }) / (F::one() + e)
            }
            Surrogate::Triangular => F::one() - x.abs(),
            Surrogate::StraightThrough => x + half,
        }
    }
}
