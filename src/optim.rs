//! Adam, as `torch.optim.Adam` computes it.
//!
//! For each trained value `w` with gradient `g`, at update `n = 1, 2, …`:
//!
//! ```text
//! m ← β₁ m + (1 − β₁) g          v ← β₂ v + (1 − β₂) g²
//! w ← w − lr/(1 − β₁ⁿ) · m / (√v/√(1 − β₂ⁿ) + ε)
//! ```
//!
//! `ε` is added outside the root. With [`clip_norm`](Adam::clip_norm), the gradients are first
//! scaled so that their joint norm is at most that value, as `torch.nn.utils.clip_grad_norm_` does:
//!
//! ```text
//! g ← g · min(1, clip / (‖g‖₂ + 1e-6))
//! ```
//!
//! Source: Kingma & Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, algorithm 1, with
//! the bias corrections arranged as in PyTorch.

use ndarray::{Array1, ArrayD, Zip};

use crate::{
    Error, Float, Gradients, Network, Result,
    finite::check_finite,
    neuron::{Arithmetic, Num, Scalar},
};

/// The Adam optimizer: settings and moments.
///
/// If `g²` overflowed, `v` would stay infinite and the weight would never change again. All engines
/// therefore report such an update as an [`Error::NonFinite`] that names the tensor and the update.
/// In `f32` this takes a gradient beyond 1.8e19: use a smaller surrogate, fewer steps,
/// [`clip_norm`](Adam::clip_norm) or `f64`.
///
/// ```
/// use spikegrad::{Adam, Gradients, Leaky, Network};
///
/// let mut network: Network = Network::builder(2).layer(1, Leaky::new(0.9)).build()?;
/// let before = network.clone();
/// let mut gradients = Gradients::zeros(&network);
/// gradients.tensors_mut().into_iter().for_each(|(_, mut g)| g.fill(3.0));
///
/// let mut adam = Adam::new(5e-4);
/// adam.step(&mut network, &gradients)?;
/// // The first update moves every weight by the learning rate, against the gradient's sign.
/// let moved = before.layers()[0].bias() - network.layers()[0].bias();
/// assert!((moved[0] - 5e-4).abs() < 1e-7);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Adam<F: Float = f32> {
    /// Learning rate, at least 0.
    pub lr: f64,
    /// Decay of the running mean of the gradients, in `[0, 1)`; 0.9 by default.
    pub beta1: f64,
    /// Decay of the running mean of their squares, in `[0, 1)`; 0.999 by default.
    pub beta2: f64,
    /// Added to the denominator, above 0; 1e-8 by default.
    pub eps: f64,
    /// Largest Euclidean norm of all gradients together, above 0; `None`, the default, disables
    /// clipping.
    pub clip_norm: Option<f64>,
    pub(crate) step: u64,
    /// `m` and `v`; `None` before the first step.
    pub(crate) moments: Option<(Gradients<F>, Gradients<F>)>,
}

impl<F: Float> Adam<F> {
    /// Adam with PyTorch's defaults: `betas = (0.9, 0.999)`, `eps = 1e-8`.
    pub fn new(lr: f64) -> Self {
        Adam {
            lr,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            clip_norm: None,
            step: 0,
            moments: None,
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

    /// Sets the largest norm of all gradients together. Larger gradients are scaled down before the
    /// update.
    pub fn clip_norm(mut self, max_norm: f64) -> Self {
        self.clip_norm = Some(max_norm);
        self
    }

    /// The factor that scales gradients of this norm before the update.
    pub(crate) fn clip_factor(&self, norm: f64) -> f64 {
        self.clip_norm
            .map_or(1.0, |max_norm| (max_norm / (norm + 1e-6)).min(1.0))
    }

    /// Number of updates made so far.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// The moments `m` and `v`; `None` before the first update.
    pub fn moments(&self) -> Option<(&Gradients<F>, &Gradients<F>)> {
        self.moments.as_ref().map(|(m, v)| (m, v))
    }

    /// Checks the ranges of the settings.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] naming the setting.
    pub fn check(&self) -> Result<()> {
        let finite_from_0 = |x: f64| x >= 0.0 && x.is_finite();
        let above_0 = |x: f64| x > 0.0 && x.is_finite();
        for (name, value, good, expected) in [
            (
                "lr",
                self.lr,
                finite_from_0(self.lr),
                "a finite number of at least 0",
            ),
            (
                "beta1",
                self.beta1,
                (0.0..1.0).contains(&self.beta1),
                "a number from 0 to below 1",
            ),
            (
                "beta2",
                self.beta2,
                (0.0..1.0).contains(&self.beta2),
                "a number from 0 to below 1",
            ),
            (
                "eps",
                self.eps,
                above_0(self.eps) && F::from_f64(self.eps) > F::zero(),
                "a finite number above 0, also when rounded to the network's precision",
            ),
            (
                "clip_norm",
                self.clip_norm.unwrap_or(1.0),
                self.clip_norm.is_none_or(above_0),
                "a finite number above 0",
            ),
        ] {
            if !good {
                return Err(Error::parameter(format!("adam: {name}"), value, expected));
            }
        }
        Ok(())
    }

    /// Updates all parameters in place and clamps learned constants to their ranges.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for settings out of range, [`Error::Shape`] if gradients or
    /// moments belong to another network, [`Error::NonFinite`] if a parameter or a gradient is not
    /// finite, or a second moment would become infinite. In these cases nothing changes. Also
    /// [`Error::NonFinite`] if an extreme learning rate has made a parameter infinite.
    pub fn step(&mut self, network: &mut Network<F>, gradients: &Gradients<F>) -> Result<()> {
        self.check()?;
        check_same(network, gradients, "gradients")?;
        if let Some((m, _)) = &self.moments {
            check_same(network, m, "moments of the optimizer")?;
        }
        network.check_finite(&format!(" before update {}", self.step + 1))?;
        let norm = self.clip_norm.map_or(0.0, |_| gradients.norm());
        if !norm.is_finite() {
            gradients.check_finite()?;
        }
        let (factor, update) = (F::from_f64(self.clip_factor(norm)), self.next_update());
        if !gradients.squares_fit(factor) {
            gradients.check_finite()?;
            let second = |v: F, g: F| update.second(v, g * factor);
            check_second(gradients, self.moments(), self.step + 1, second)?;
        }
        let (m, v) = self
            .moments
            .get_or_insert_with(|| (Gradients::zeros(network), Gradients::zeros(network)));
        self.step += 1;
        let tensors = network
            .parameters_mut()
            .into_iter()
            .zip(gradients.tensors());
        for (((_, w), (_, g)), ((_, m), (_, v))) in
            tensors.zip(m.tensors_mut().into_iter().zip(v.tensors_mut()))
        {
            Zip::from(w).and(g).and(m).and(v).for_each(|w, &g, m, v| {
                let number = |x| Num::new(Scalar::new(), x);
                let stepped = update.step(number(*w), number(g * factor), number(*m), number(*v));
                [*w, *m, *v] = stepped.map(Num::value);
            });
        }
        network.clamp();
        network.check_finite(&format!(" after update {}", self.step))
    }
}

/// Reports the tensor whose gradients would make a second moment infinite in update `update`.
/// `second` computes the new moment from the old one and a gradient.
pub(crate) fn check_second<F: Float>(
    gradients: &Gradients<F>,
    moments: Option<(&Gradients<F>, &Gradients<F>)>,
    update: u64,
    second: impl Fn(F, F) -> F,
) -> Result<()> {
    let before = moments.map(|(_, v)| v.tensors());
    for (n, (name, g)) in gradients.tensors().into_iter().enumerate() {
        let mut v = match &before {
            Some(before) => before[n].1.to_owned(),
            None => ArrayD::zeros(g.raw_dim()),
        };
        v.zip_mut_with(&g, |v, &g| *v = second(*v, g));
        check_finite(
            &format!("second moment of {name} in update {update}"),
            v.iter(),
        )?;
    }
    Ok(())
}

/// The constants of one update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Update<F = f32> {
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
}

impl<F: Float> Adam<F> {
    /// The constants of the next update.
    pub(crate) fn next_update(&self) -> Update<F> {
        let n = (self.step + 1) as f64;
        let correction = |beta: f64| 1.0 - libm::pow(beta, n);
        Update {
            beta1: F::from_f64(self.beta1),
            beta2: F::from_f64(self.beta2),
            gain1: F::from_f64(1.0 - self.beta1),
            gain2: F::from_f64(1.0 - self.beta2),
            step_size: F::from_f64(self.lr / correction(self.beta1)),
            scale: F::from_f64(1.0 / correction(self.beta2).sqrt()),
            eps: F::from_f64(self.eps),
        }
    }
}

impl<F: Float> Update<F> {
    /// The second moment that follows `v` for a gradient, as [`step`](Self::step) computes it.
    pub fn second(&self, v: F, g: F) -> F {
        self.beta2 * v + self.gain2 * (g * g)
    }

    /// Updates a weight `w` with its gradient `g`; returns the new `w`, `m` and `v`.
    ///
    /// While its gradients are 0, a first moment loses a tenth with each update and would stop at a
    /// few times the smallest subnormal number. Many processors multiply subnormals a hundred times
    /// more slowly. The moment is therefore set to 0 when it is no longer normal in `f32`, below
    /// 1.2e-38. With PyTorch's `ε` of 1e-8 this changes an update by at most 1.2e-30 times the
    /// learning rate, too little to change any weight that is not itself that small. (Second
    /// moments decay a hundred times more slowly: after a gradient of 1e-3 it takes 70,000 updates
    /// with zero gradients to get there.)
    #[inline(always)]
    pub fn step<A: Arithmetic>(&self, w: Num<A>, g: Num<A>, m: Num<A>, v: Num<A>) -> [Num<A>; 3] {
        let first = m.mul_add(self.beta1.as_f64(), g * self.gain1.as_f64());
        let second = v.mul_add(self.beta2.as_f64(), g * g * self.gain2.as_f64());
        let normal = w.literal(f32::MIN_POSITIVE.into());
        let first = normal.select_above(first.abs(), 0.0, first); // a NaN stays
        let root = second.sqrt();
        let below = root.mul_add(self.scale.as_f64(), self.eps.as_f64());
        let moved = first * self.step_size.as_f64() / below;
        [w - moved, first, second]
    }
}

impl Update {
    /// Squares of gradients below this cannot overflow the second moments: 9e18² is less than a
    /// quarter of the largest `f32`.
    pub const SAFE: f64 = 9e18;

    /// Updates a few values: learned constants.
    pub fn apply(
        &self,
        w: &mut Array1<f32>,
        g: &Array1<f32>,
        moments: &mut Option<(Array1<f32>, Array1<f32>)>,
    ) {
        let zeros = || Array1::zeros(w.len());
        let (m, v) = moments.get_or_insert_with(|| (zeros(), zeros()));
        let number = |x| Num::new(Scalar::<f32>::new(), x);
        for (((w, &g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
            let stepped = self.step(number(*w), number(g), number(*m), number(*v));
            [*w, *m, *v] = stepped.map(Num::value);
        }
    }
}

/// Checks that the tensors have the shapes of the network.
pub(crate) fn check_same<F: Float>(
    network: &Network<F>,
    tensors: &Gradients<F>,
    what: &str,
) -> Result<()> {
    let (parameters, tensors) = (network.parameters(), tensors.tensors());
    if parameters.len() != tensors.len() {
        let expected = format!("[{}], one per tensor of the network", parameters.len());
        return Err(Error::shape(what, expected, &[tensors.len()]));
    }
    for ((name, w), (other, g)) in parameters.iter().zip(&tensors) {
        if name != other || w.shape() != g.shape() {
            let expected = format!("{name} {:?}", w.shape());
            return Err(Error::shape(
                format!("{what}: {other}"),
                expected,
                g.shape(),
            ));
        }
    }
    Ok(())
}
