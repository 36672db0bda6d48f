//! Adamax, as `torch.optim.Adamax` computes it.
//!
//! ```text
//! g ← g + λ w                    weight decay
//! m ← β₁ m + (1 − β₁) g          u ← max(β₂ u, |g| + ε)
//! w ← w − lr/(1 − β₁ⁿ) · m / u
//! ```
//!
//! Source: Kingma & Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, algorithm 2; `ε` is added
//! as in PyTorch.

use super::{
    adam::check_means,
    finite_from_0,
    step::{Step, decayed, faded},
};
use crate::{
    Float, Result,
    neuron::{Arithmetic, Num},
};

/// The settings of Adamax. The [module](self) has the formulas.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adamax {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the running mean of the gradients, in `[0, 1)`; 0.9 by default.
    pub beta1: f64,
    /// Decay of their running maximum, in `[0, 1)`; 0.999 by default.
    pub beta2: f64,
    /// Added to each gradient's size, above 0; 1e-8 by default.
    pub eps: f64,
    /// `λ`, at least 0; 0 by default.
    pub weight_decay: f64,
}

impl Adamax {
    /// Adamax with PyTorch's defaults: `betas = (0.9, 0.999)`, `eps = 1e-8`. PyTorch's learning rate is
    /// 2e-3.
    pub fn new(lr: f64) -> Self {
        Adamax {
            lr,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
        }
    }

    /// Sets both decays.
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        (self.beta1, self.beta2) = (beta1, beta2);
        self
    }

    /// Sets `ε`.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// Sets the weight decay `λ`.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    pub(super) fn check<F: Float>(&self) -> Result<()> {
        let Adamax {
            lr: _,
            beta1,
            beta2,
            eps,
            weight_decay,
        } = *self;
        check_means::<F>(beta1, beta2, eps)?;
        finite_from_0("weight_decay", weight_decay)
    }
}

/// The constants of one update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Maximum<F> {
    pub beta1: F,
    pub beta2: F,
    /// `1 − β₁`, rounded from double precision.
    pub gain1: F,
    /// `lr / (1 − β₁ⁿ)`.
    pub step_size: F,
    pub eps: F,
    pub weight_decay: F,
}

impl<F: Float> Maximum<F> {
    /// Of update `n`, counted from 1.
    pub fn new(adamax: &Adamax, lr: f64, n: u64) -> Self {
        Maximum {
            beta1: F::from_f64(adamax.beta1),
            beta2: F::from_f64(adamax.beta2),
            gain1: F::from_f64(1.0 - adamax.beta1),
            step_size: F::from_f64(lr / (1.0 - libm::pow(adamax.beta1, n as f64))),
            eps: F::from_f64(adamax.eps),
            weight_decay: F::from_f64(adamax.weight_decay),
        }
    }
}

impl<F: Float> Step for Maximum<F> {
    const KEPT: usize = 2;

    #[inline(always)]
    fn step<A: Arithmetic>(
        &self,
        w: Num<A>,
        g: Num<A>,
        [m, u]: [Num<A>; 2],
    ) -> (Num<A>, [Num<A>; 2]) {
        let g = decayed(self.weight_decay, w, g);
        let first = faded(m.mul_add(self.beta1.as_f64(), g * self.gain1.as_f64()));
        let (before, size) = (u * self.beta2.as_f64(), g.abs() + self.eps.as_f64());
        let largest = before.select_above(size, before, size);
        let moved = first * self.step_size.as_f64() / largest;
        (w - moved, [first, largest])
    }
}
