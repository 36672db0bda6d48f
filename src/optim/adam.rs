//! Adam and AdamW, as `torch.optim` computes them.
//!
//! For each trained value `w` with gradient `g`, at update `n = 1, 2, …`:
//!
//! ```text
//! g ← g + λ w                    Adam's weight decay
//! w ← w − lr λ w                 AdamW's instead
//! m ← β₁ m + (1 − β₁) g          v ← β₂ v + (1 − β₂) g²
//! w ← w − lr/(1 − β₁ⁿ) · m / (√v/√(1 − β₂ⁿ) + ε)
//! ```
//!
//! `ε` is added outside the root.
//!
//! Sources: Kingma & Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, algorithm 1, with the bias
//! corrections arranged as in PyTorch; Loshchilov & Hutter, *Decoupled Weight Decay Regularization*, ICLR
//! 2019.

use super::{
    above_0, finite_from_0, require,
    step::{Step, decayed, faded},
};
use crate::{
    Float, Result,
    neuron::{Arithmetic, Num},
};

/// The settings of Adam or AdamW. The [module](self) has the formulas.
///
/// If `g²` overflowed, `v` would stay infinite and the weight would never change again. All engines
/// therefore report such an update as an [`Error::NonFinite`](crate::Error::NonFinite) that names the
/// tensor and the update. In `f32` this takes a gradient beyond 1.8e19: use a smaller surrogate, fewer
/// steps, [`clip_norm`](super::Optimizer::clip_norm) or `f64`.
///
/// ```
/// use spikegrad::{Adam, Gradients, Leaky, Network, Optimizer};
///
/// let mut network: Network = Network::builder(2).layer(1, Leaky::new(0.9)).build()?;
/// let before = network.clone();
/// let mut gradients = Gradients::zeros(&network);
/// gradients.tensors_mut().into_iter().for_each(|(_, mut g)| g.fill(3.0));
///
/// let mut optimizer = Optimizer::from(Adam::new(5e-4));
/// optimizer.step(&mut network, &gradients)?;
/// // The first update moves every weight by the learning rate, against the gradient's sign.
/// let moved = before.layers()[0].bias() - network.layers()[0].bias();
/// assert!((moved[0] - 5e-4).abs() < 1e-7);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the running mean of the gradients, in `[0, 1)`; 0.9 by default.
    pub beta1: f64,
    /// Decay of the running mean of their squares, in `[0, 1)`; 0.999 by default.
    pub beta2: f64,
    /// Added to the denominator, above 0; 1e-8 by default.
    pub eps: f64,
    /// `λ`, at least 0; 0 by default.
    pub weight_decay: f64,
    /// Whether the decay acts on the weight directly (AdamW) rather than through the gradient.
    pub decoupled: bool,
}

impl Adam {
    /// `torch.optim.Adam` with its defaults: `betas = (0.9, 0.999)`, `eps = 1e-8`.
    pub fn new(lr: f64) -> Self {
        Adam {
            lr,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.0,
            decoupled: false,
        }
    }

    /// `torch.optim.AdamW` with its defaults: those of Adam and `weight_decay = 0.01`.
    pub fn adamw(lr: f64) -> Self {
        Adam {
            weight_decay: 1e-2,
            decoupled: true,
            ..Adam::new(lr)
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
        let Adam {
            lr: _,
            beta1,
            beta2,
            eps,
            weight_decay,
            decoupled: _,
        } = *self;
        check_means::<F>(beta1, beta2, eps)?;
        finite_from_0("weight_decay", weight_decay)
    }
}

/// Checks the settings that Adam and Adamax share.
pub(super) fn check_means<F: Float>(beta1: f64, beta2: f64, eps: f64) -> Result<()> {
    for (name, beta) in [("beta1", beta1), ("beta2", beta2)] {
        let good = (0.0..1.0).contains(&beta);
        require(name, beta, good, "a number from 0 to below 1")?;
    }
    let rounded = F::from_f64(eps);
    let good = above_0(eps) && rounded > F::zero() && rounded.is_finite();
    let expected = "a finite number above 0, also when rounded to the network's precision";
    require("eps", eps, good, expected)
}

/// The constants of one update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments<F> {
    pub beta1: F,
    pub beta2: F,
    /// `1 − β₁`, `1 − β₂`, rounded from double precision.
    pub gain1: F,
    pub gain2: F,
    /// `lr / (1 − β₁ⁿ)`.
    pub step_size: F,
    /// `1 / √(1 − β₂ⁿ)`.
    pub scale: F,
    pub eps: F,
    /// Adam's `λ`, 0 in AdamW.
    pub weight_decay: F,
    /// AdamW's `1 − lr λ`, 1 in Adam.
    pub shrink: F,
}

impl<F: Float> Moments<F> {
    /// Of update `n`, counted from 1.
    pub fn new(adam: &Adam, lr: f64, n: u64) -> Self {
        let correction = |beta: f64| 1.0 - libm::pow(beta, n as f64);
        let (coupled, shrink) = match adam.decoupled {
            true => (0.0, 1.0 - lr * adam.weight_decay),
            false => (adam.weight_decay, 1.0),
        };
        Moments {
            beta1: F::from_f64(adam.beta1),
            beta2: F::from_f64(adam.beta2),
            gain1: F::from_f64(1.0 - adam.beta1),
            gain2: F::from_f64(1.0 - adam.beta2),
            step_size: F::from_f64(lr / correction(adam.beta1)),
            scale: F::from_f64(1.0 / correction(adam.beta2).sqrt()),
            eps: F::from_f64(adam.eps),
            weight_decay: F::from_f64(coupled),
            shrink: F::from_f64(shrink),
        }
    }

    /// The second moment that follows `v` for a weight and its gradient, as the step computes it.
    pub fn second(&self, w: F, g: F, v: F) -> F {
        let g = match self.weight_decay > F::zero() {
            true => w * self.weight_decay + g,
            false => g,
        };
        self.beta2 * v + self.gain2 * (g * g)
    }
}

impl<F: Float> Step for Moments<F> {
    const KEPT: usize = 2;

    /// With coupled decay the gradient's square includes the weight's.
    #[inline(always)]
    fn can_overflow(&self) -> bool {
        self.weight_decay > F::zero()
    }

    /// While its gradients are 0, a first moment loses a tenth with each update and would stop at a
    /// few times the smallest subnormal number. Many processors multiply subnormals a hundred times
    /// more slowly. The moment is therefore set to 0 when it is no longer normal in `f32`, below
    /// 1.2e-38. With PyTorch's `ε` of 1e-8 this changes an update by at most 1.2e-30 times the
    /// learning rate, too little to change any weight that is not itself that small. (Second
    /// moments decay a hundred times more slowly: after a gradient of 1e-3 it takes 70,000 updates
    /// with zero gradients to get there.)
    #[inline(always)]
    fn step<A: Arithmetic>(
        &self,
        w: Num<A>,
        g: Num<A>,
        [m, v]: [Num<A>; 2],
    ) -> (Num<A>, [Num<A>; 2]) {
        let g = decayed(self.weight_decay, w, g);
        let w = match self.shrink == F::one() {
            true => w,
            false => w * self.shrink.as_f64(),
        };
        let first = faded(m.mul_add(self.beta1.as_f64(), g * self.gain1.as_f64()));
        let second = v.mul_add(self.beta2.as_f64(), g * g * self.gain2.as_f64());
        let root = second.sqrt();
        let below = root.mul_add(self.scale.as_f64(), self.eps.as_f64());
        let moved = first * self.step_size.as_f64() / below;
        (w - moved, [first, second])
    }
}
