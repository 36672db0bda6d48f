//! Stochastic gradient descent, as `torch.optim.SGD` computes it.
//!
//! ```text
//! g ← g + λ w                                        weight decay
//! b ← μ b + g                                        momentum, from b = 0
//! w ← w − lr g,   with momentum w ← w − lr b,   Nesterov's w ← w − lr (g + μ b)
//! ```
//!
//! Source: Sutskever et al., *On the importance of initialization and momentum in deep learning*, ICML
//! 2013, with the learning rate outside the buffer as in PyTorch.

use super::{
    finite_from_0, require,
    step::{Step, decayed, faded},
};
use crate::{
    Float, Result,
    neuron::{Arithmetic, Num},
};

/// The settings of stochastic gradient descent. The [module](self) has the formulas.
///
/// ```
/// use spikegrad::{Loss, CpuEngine, Leaky, Network, optim::Sgd};
///
/// let network: Network = Network::builder(2).layer(1, Leaky::new(0.9)).build()?;
/// let sgd = Sgd::new(0.1).momentum(0.9).nesterov(true).weight_decay(1e-4);
/// CpuEngine::new(network, Loss::CrossEntropyMembrane, sgd)?;
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// `μ`, in `[0, 1)`; 0 by default, which keeps no buffer.
    pub momentum: f64,
    /// Whether the step looks ahead along the momentum; it requires one.
    pub nesterov: bool,
    /// `λ`, at least 0; 0 by default.
    pub weight_decay: f64,
}

impl Sgd {
    /// Plain gradient descent.
    pub fn new(lr: f64) -> Self {
        Sgd {
            lr,
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
        }
    }

    /// Sets the momentum `μ`.
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Chooses Nesterov's momentum.
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }

    /// Sets the weight decay `λ`.
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.weight_decay = weight_decay;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let Sgd {
            lr: _,
            momentum,
            nesterov,
            weight_decay,
        } = *self;
        let below_1 = (0.0..1.0).contains(&momentum);
        require("momentum", momentum, below_1, "a number from 0 to below 1")?;
        let expected = "above 0 for Nesterov's step";
        require("momentum", momentum, !nesterov || momentum > 0.0, expected)?;
        finite_from_0("weight_decay", weight_decay)
    }
}

/// The constants of one update without momentum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain<F> {
    pub lr: F,
    pub weight_decay: F,
}

impl<F: Float> Plain<F> {
    pub fn new(sgd: &Sgd, lr: f64) -> Self {
        Plain {
            lr: F::from_f64(lr),
            weight_decay: F::from_f64(sgd.weight_decay),
        }
    }
}

impl<F: Float> Step for Plain<F> {
    const KEPT: usize = 0;

    #[inline(always)]
    fn step<A: Arithmetic>(
        &self,
        w: Num<A>,
        g: Num<A>,
        kept: [Num<A>; 2],
    ) -> (Num<A>, [Num<A>; 2]) {
        let g = decayed(self.weight_decay, w, g);
        (w - g * self.lr.as_f64(), kept)
    }
}

/// The constants of one update with momentum.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Momentum<F> {
    pub lr: F,
    pub momentum: F,
    pub nesterov: bool,
    pub weight_decay: F,
}

impl<F: Float> Momentum<F> {
    pub fn new(sgd: &Sgd, lr: f64) -> Self {
        Momentum {
            lr: F::from_f64(lr),
            momentum: F::from_f64(sgd.momentum),
            nesterov: sgd.nesterov,
            weight_decay: F::from_f64(sgd.weight_decay),
        }
    }
}

impl<F: Float> Step for Momentum<F> {
    const KEPT: usize = 1;

    /// The buffer of a weight without gradients decays; it is set to 0 where it is no longer normal, as
    /// Adam's first moment is.
    #[inline(always)]
    fn step<A: Arithmetic>(
        &self,
        w: Num<A>,
        g: Num<A>,
        [buffer, unused]: [Num<A>; 2],
    ) -> (Num<A>, [Num<A>; 2]) {
        let g = decayed(self.weight_decay, w, g);
        let buffer = faded(buffer.mul_add(self.momentum.as_f64(), g));
        let along = match self.nesterov {
            true => buffer.mul_add(self.momentum.as_f64(), g),
            false => buffer,
        };
        (w - along * self.lr.as_f64(), [buffer, unused])
    }
}
