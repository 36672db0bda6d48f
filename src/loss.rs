//! Losses on the output layer: value and adjoint with respect to membranes and spikes.
//!
//! The table uses `C` classes, target `y_b` of sample `b`, output membranes `u [T, B, C]`, output
//! spikes `s [T, B, C]`, `p = softmax` over the classes and `1_c = [c = y_b]`.
//!
//! | loss | value | adjoint |
//! |---|---|---|
//! | [`CrossEntropyMembrane`](Loss::CrossEntropyMembrane) | `Σ_t mean_b( lse(u_t) − u_t[y] )` | `∂L/∂u_t = (p(u_t) − 1_c)/B` |
//! | [`CrossEntropyCount`](Loss::CrossEntropyCount) | `mean_b( lse(n) − n[y] )`, `n = Σ_t s_t` | `∂L/∂s_t = (p(n) − 1_c)/B` |
//! | [`CrossEntropyRate`](Loss::CrossEntropyRate) | `1/T Σ_t mean_b( lse(s_t) − s_t[y] )` | `∂L/∂s_t = (p(s_t) − 1_c)/(T B)` |
//! | [`CrossEntropyMaxMembrane`](Loss::CrossEntropyMaxMembrane) | `mean_b( lse(m) − m[y] )`, `m = max_t u_t` | `∂L/∂u_t = (p(m) − 1_c)/B` at the first `t` where `u_t = m`, else 0 |
//! | [`CrossEntropyLastMembrane`](Loss::CrossEntropyLastMembrane) | `mean_b( lse(m) − m[y] )`, `m = u_{T−1}` | `∂L/∂u_{T−1} = (p(m) − 1_c)/B`, else 0 |
//! | [`CrossEntropyMeanMembrane`](Loss::CrossEntropyMeanMembrane) | `mean_b( lse(m) − m[y] )`, `m` the mean of `u_t` over the `W` steps of a window | `∂L/∂u_t = (p(m) − 1_c)/(B W)` in the window, else 0 |
//! | [`CrossEntropyFirstSpike`](Loss::CrossEntropyFirstSpike) | `mean_b( lse(z) − z[y] )`, `z = −τ` or `1/(τ + 1)`, `τ` the first spike's step | `∂L/∂s_τ = −z'(τ) (p(z) − 1_c)/B`, else 0 |
//! | [`MseFirstSpike`](Loss::MseFirstSpike) | `mean_{b,c} (τ − τ*)²/T²`, 0 where `abs(τ − τ*)` is below the tolerance | `∂L/∂s_τ = −2(τ − τ*)/(T² B C)`, else 0 |
//! | [`MseCount`](Loss::MseCount) | `1/T mean_{b,c} (n − N)²`, `N = ⌊T·rate⌋` | `∂L/∂s_t = 2(n − N)/(T B C)` |
//! | [`MseMembrane`](Loss::MseMembrane) | `1/T Σ_t mean_{b,c} (u_t − U)²` | `∂L/∂u_t = 2(u_t − U)/(T B C)` |
//!
//! With target values `y` in place of classes, and `p` the membranes `u_t`, the last membrane `u_{T−1}`, the
//! count `Σ_t s_t` or the rate `1/T Σ_t s_t` ([`Quantity`]), `n` numbers in all:
//!
//! | loss | value | adjoint |
//! |---|---|---|
//! | [`Mse`](Loss::Mse) | `mean (p − y)²` | `∂L/∂p = 2(p − y)/n` |
//! | [`Mae`](Loss::Mae) | `mean abs(p − y)` | `∂L/∂p = sign(p − y)/n`, 0 where they are equal |
//!
//! `lse` is the log-sum-exp, shifted by the maximum. The values are snnTorch's
//! (`snntorch.functional`, version 1.0), without its population codes and class weights.
//!
//! The step `τ` of a neuron's first spike is `T − 1` if it has none. It has no derivative; as in snnTorch,
//! `∂τ/∂s_τ` is taken to be −1 and all others 0. So finite differences cannot check these two losses.

#[cfg(feature = "safetensors")]
use std::any::Any;
use std::{fmt, ops::Range, sync::Arc};

use ndarray::{Array3, Axis, s};

use crate::{Error, Float, ReadOut, Recording, Result, Targets};

mod classes;
mod first_spike;
mod penalty;
mod quantity;
mod values;

pub use first_spike::Inverse;
pub use penalty::RatePenalty;
pub use quantity::Quantity;

/// The signature of a custom loss; see [`Loss::custom`].
pub type LossFn<F> =
    dyn Fn(&Recording<F>, Targets<'_, F>) -> Result<(f64, Adjoints<F>)> + Send + Sync;

/// The loss on the output layer.
#[derive(Clone)]
#[non_exhaustive]
pub enum Loss<F: Float = f32> {
    /// Cross entropy of the membrane, mean over the batch, summed over time: the loss of
    /// snnTorch's tutorial 5.
    CrossEntropyMembrane,
    /// Cross entropy of the spike count: snnTorch's `ce_count_loss`.
    CrossEntropyCount,
    /// Cross entropy of the spikes of each step, mean over time: snnTorch's `ce_rate_loss`.
    CrossEntropyRate,
    /// Cross entropy of the largest membrane over time: snnTorch's `ce_max_membrane_loss`.
    CrossEntropyMaxMembrane,
    /// Cross entropy of the membrane of the last step.
    CrossEntropyLastMembrane,
    /// Cross entropy of the membrane's mean over the steps from `first` to before `end`, or to the last if
    /// there are fewer.
    CrossEntropyMeanMembrane {
        /// The first step, from 0.
        first: usize,
        /// The step after the last; [`usize::MAX`] for all that there are.
        end: usize,
    },
    /// Cross entropy of the inverted steps of the first spikes: snnTorch's `ce_temporal_loss`. Every engine
    /// records all layers of the batch for it, which takes memory for `T·B·N` numbers each.
    CrossEntropyFirstSpike(Inverse),
    /// Mean squared error of the steps of the first spikes, as fractions of `T`, from the step at which a
    /// class should fire: snnTorch's `mse_temporal_loss`. It takes the same memory.
    MseFirstSpike {
        /// Step of the correct class; 0 in snnTorch. Negative steps count from the end.
        on_target: i64,
        /// Step of every other class. Give snnTorch 1.0 a positive one: for its default of −1, the last step
        /// as it says, it takes 0.
        off_target: i64,
        /// A distance below it counts as 0; 0 in snnTorch.
        tolerance: u32,
    },
    /// Mean squared error of the spike counts, divided by the number of steps: snnTorch's
    /// `mse_count_loss`. The target counts are `⌊T·rate⌋`, as in snnTorch.
    MseCount {
        /// Target rate of the correct class, in `[0, 1]`; 1 in snnTorch.
        correct_rate: f64,
        /// Target rate of every other class, in `[0, 1]`; 0 in snnTorch.
        incorrect_rate: f64,
    },
    /// Mean squared error of the membranes from a target potential at every step: snnTorch's
    /// `mse_membrane_loss`.
    MseMembrane {
        /// Target potential of the correct class; 1 in snnTorch.
        on_target: f64,
        /// Target potential of every other class; 0 in snnTorch.
        off_target: f64,
    },
    /// Mean squared error of a quantity of the output from target values: `torch.nn.MSELoss`. Every engine
    /// records all layers of the batch for it, which takes memory for `T·B·N` numbers each.
    Mse(Quantity),
    /// Mean absolute error of a quantity of the output from target values: `torch.nn.L1Loss`. It takes the
    /// same memory.
    Mae(Quantity),
    /// A custom function; see [`Loss::custom`].
    Custom(Arc<LossFn<F>>),
}

impl<F: Float> fmt::Debug for Loss<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::CrossEntropyMembrane => f.write_str("CrossEntropyMembrane"),
            Loss::CrossEntropyCount => f.write_str("CrossEntropyCount"),
            Loss::CrossEntropyRate => f.write_str("CrossEntropyRate"),
            Loss::CrossEntropyMaxMembrane => f.write_str("CrossEntropyMaxMembrane"),
            Loss::CrossEntropyLastMembrane => f.write_str("CrossEntropyLastMembrane"),
            Loss::CrossEntropyMeanMembrane { first, end } => {
                write!(
                    f,
                    "CrossEntropyMeanMembrane {{ first: {first}, end: {end} }}"
                )
            }
            Loss::CrossEntropyFirstSpike(inverse) => {
                write!(f, "CrossEntropyFirstSpike({inverse:?})")
            }
            Loss::MseFirstSpike {
                on_target,
                off_target,
                tolerance,
            } => {
                write!(
                    f,
                    "MseFirstSpike {{ on_target: {on_target}, off_target: {off_target}, tolerance: {tolerance} }}"
                )
            }
            Loss::MseCount {
                correct_rate,
                incorrect_rate,
            } => {
                write!(
                    f,
                    "MseCount {{ correct_rate: {correct_rate}, incorrect_rate: {incorrect_rate} }}"
                )
            }
            Loss::MseMembrane {
                on_target,
                off_target,
            } => {
                write!(
                    f,
                    "MseMembrane {{ on_target: {on_target}, off_target: {off_target} }}"
                )
            }
            Loss::Mse(quantity) => write!(f, "Mse({quantity:?})"),
            Loss::Mae(quantity) => write!(f, "Mae({quantity:?})"),
            Loss::Custom(_) => f.write_str("Custom"),
        }
    }
}

/// The training objective: a [`Loss`], an L1 activity penalty on the spikes of hidden layers, and penalties on
/// firing rates outside bounds.
///
/// A [`Loss`] converts into an objective without penalties.
#[derive(Debug, Clone)]
pub struct Objective<F: Float = f32> {
    /// The loss on the output layer.
    pub loss: Loss<F>,
    /// `λ`: adds `λ Σ s` over all spikes of all hidden layers, snnTorch's `l1_rate_sparsity`
    /// applied to each. 0 disables the penalty.
    pub rate_l1: f64,
    /// Penalties on firing rates outside bounds.
    pub penalties: Vec<RatePenalty>,
}

impl<F: Float> From<Loss<F>> for Objective<F> {
    fn from(loss: Loss<F>) -> Self {
        Objective {
            loss,
            rate_l1: 0.0,
            penalties: Vec::new(),
        }
    }
}

/// The derivatives of the loss with respect to spikes and membranes of each layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjoints<F: Float = f32> {
    /// One entry per layer, from the first.
    pub layers: Vec<LayerAdjoint<F>>,
}

/// The derivatives of the loss with respect to one layer's spikes and membranes; `None` is zero.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LayerAdjoint<F: Float = f32> {
    /// `∂L/∂s [T, B, N]`: the contribution of the loss to `e`.
    pub spk: Option<Array3<F>>,
    /// `∂L/∂u [T, B, N]`: `g`.
    pub mem: Option<Array3<F>>,
}

impl<F: Float> Adjoints<F> {
    /// Zero adjoints for `layers` layers.
    pub fn none(layers: usize) -> Self {
        Adjoints {
            layers: vec![LayerAdjoint::default(); layers],
        }
    }

    /// The adjoints of a loss on the output layer.
    pub fn output(layers: usize, spk: Option<Array3<F>>, mem: Option<Array3<F>>) -> Self {
        let mut adjoints = Self::none(layers);
        if let Some(last) = adjoints.layers.last_mut() {
            *last = LayerAdjoint { spk, mem };
        }
        adjoints
    }
}

impl<F: Float> Loss<F> {
    /// A custom loss: a closure that takes the recording of all layers and the targets and returns
    /// the value and the adjoints. [`gradcheck`](crate::gradcheck) checks it like the built-in
    /// losses.
    ///
    /// ```
    /// use spikegrad::{Adjoints, Loss};
    ///
    /// // The sum of all output spikes.
    /// let loss: Loss = Loss::custom(|recording, _targets| {
    ///     let spk = &recording.output().spk;
    ///     let ones = ndarray::Array3::ones(spk.raw_dim());
    ///     Ok((f64::from(spk.sum()), Adjoints::output(recording.num_layers(), Some(ones), None)))
    /// });
    /// ```
    pub fn custom<L>(loss: L) -> Self
    where
        L: Fn(&Recording<F>, Targets<'_, F>) -> Result<(f64, Adjoints<F>)> + Send + Sync + 'static,
    {
        Loss::Custom(Arc::new(loss))
    }

    /// The same loss in another precision. A custom loss exists in one precision only; `None` for
    /// any other.
    #[cfg(feature = "safetensors")]
    pub(crate) fn cast<G: Float>(&self) -> Option<Loss<G>> {
        if let Some(same) = (self as &dyn Any).downcast_ref::<Loss<G>>() {
            return Some(same.clone());
        }
        Some(match *self {
            Loss::CrossEntropyMembrane => Loss::CrossEntropyMembrane,
            Loss::CrossEntropyCount => Loss::CrossEntropyCount,
            Loss::CrossEntropyRate => Loss::CrossEntropyRate,
            Loss::CrossEntropyMaxMembrane => Loss::CrossEntropyMaxMembrane,
            Loss::CrossEntropyLastMembrane => Loss::CrossEntropyLastMembrane,
            Loss::CrossEntropyMeanMembrane { first, end } => {
                Loss::CrossEntropyMeanMembrane { first, end }
            }
            Loss::CrossEntropyFirstSpike(inverse) => Loss::CrossEntropyFirstSpike(inverse),
            Loss::MseFirstSpike {
                on_target,
                off_target,
                tolerance,
            } => Loss::MseFirstSpike {
                on_target,
                off_target,
                tolerance,
            },
            Loss::MseCount {
                correct_rate,
                incorrect_rate,
            } => Loss::MseCount {
                correct_rate,
                incorrect_rate,
            },
            Loss::MseMembrane {
                on_target,
                off_target,
            } => Loss::MseMembrane {
                on_target,
                off_target,
            },
            Loss::Mse(quantity) => Loss::Mse(quantity),
            Loss::Mae(quantity) => Loss::Mae(quantity),
            Loss::Custom(_) => return None,
        })
    }

    /// Checks that the targets are of a kind that this loss compares with.
    pub(crate) fn check_kind(&self, targets: Targets<'_, F>) -> Result<()> {
        match self {
            Loss::Custom(_) => Ok(()),
            Loss::Mse(quantity) | Loss::Mae(quantity) => {
                values::Comparison::new(*quantity, targets).map(drop)
            }
            _ => targets.classes().map(drop),
        }
    }

    /// Checks that it can read an output of `num_steps` steps.
    pub(crate) fn check_steps(&self, num_steps: usize) -> Result<()> {
        match *self {
            Loss::CrossEntropyMeanMembrane { first, .. } if first >= num_steps => {
                let expected = format!("less than {num_steps}, the number of steps");
                let what = "first step of the window";
                Err(Error::parameter(what, first, expected))
            }
            _ => Ok(()),
        }
    }

    /// Whether the fast engines compute it themselves, sample by sample. They record the whole batch for
    /// the others.
    pub(crate) fn is_fused(&self) -> bool {
        !matches!(
            self,
            Loss::CrossEntropyFirstSpike(_)
                | Loss::MseFirstSpike { .. }
                | Loss::Mse(_)
                | Loss::Mae(_)
                | Loss::Custom(_)
        )
    }

    /// Whether the loss of all steps is the sum of those of any windows of them.
    pub(crate) fn sums_over_steps(&self) -> bool {
        matches!(self, Loss::CrossEntropyMembrane)
    }

    /// The read-out that fits this loss, which reads of spikes or membranes what the loss reads; `None` for
    /// a custom loss and for one against values.
    ///
    /// The other read-out is often much worse: training on spikes does not train the membranes to
    /// rank the classes, and a network trained on membranes may hardly spike.
    ///
    /// ```
    /// use spikegrad::{Loss, ReadOut};
    ///
    /// assert_eq!(Loss::<f32>::CrossEntropyMembrane.read_out(), Some(ReadOut::Membrane));
    /// assert_eq!(Loss::<f32>::CrossEntropyCount.read_out(), Some(ReadOut::SpikeCount));
    /// ```
    pub fn read_out(&self) -> Option<ReadOut> {
        match *self {
            Loss::CrossEntropyMembrane | Loss::MseMembrane { .. } => Some(ReadOut::Membrane),
            Loss::CrossEntropyMaxMembrane => Some(ReadOut::MaxMembrane),
            Loss::CrossEntropyLastMembrane => Some(ReadOut::LastMembrane),
            Loss::CrossEntropyMeanMembrane { first, end } => {
                Some(ReadOut::WindowMembrane { first, end })
            }
            Loss::CrossEntropyCount | Loss::CrossEntropyRate | Loss::MseCount { .. } => {
                Some(ReadOut::SpikeCount)
            }
            Loss::CrossEntropyFirstSpike(_) | Loss::MseFirstSpike { .. } => {
                Some(ReadOut::FirstSpike)
            }
            Loss::Mse(_) | Loss::Mae(_) | Loss::Custom(_) => None,
        }
    }

    /// The read-outs by which a [`StepReport`](crate::StepReport) counts correct answers: of spikes and of
    /// membranes, the loss's own and the usual other one.
    pub(crate) fn read_outs(&self) -> [ReadOut; 2] {
        self.read_out().unwrap_or_default().with_other()
    }

    /// The steps of `num_steps` that its read-out sums; all of them if it does not sum.
    pub(crate) fn window(&self, num_steps: usize) -> Range<usize> {
        let read_out = self.read_out().unwrap_or_default();
        read_out.summed(num_steps).unwrap_or(0..num_steps)
    }

    /// Checks the settings: rates in `[0, 1]`, finite potentials.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] naming the setting.
    pub fn check(&self) -> Result<()> {
        let rate = |name: &str, x: f64| match (0.0..=1.0).contains(&x) {
            true => Ok(()),
            false => Err(Error::parameter(name, x, "a rate from 0 to 1")),
        };
        let finite = |name: &str, x: f64| match x.is_finite() {
            true => Ok(()),
            false => Err(Error::parameter(name, x, "a finite potential")),
        };
        match *self {
            Loss::MseCount {
                correct_rate,
                incorrect_rate,
            } => {
                rate("correct_rate", correct_rate)?;
                rate("incorrect_rate", incorrect_rate)
            }
            Loss::MseMembrane {
                on_target,
                off_target,
            } => {
                finite("on_target", on_target)?;
                finite("off_target", off_target)
            }
            Loss::CrossEntropyMeanMembrane { first, end } if first >= end => {
                let expected = format!("less than {end}, the end of the window");
                Err(Error::parameter("first", first, expected))
            }
            _ => Ok(()),
        }
    }

    /// Computes value and adjoints from a recording. A custom loss needs the layers that it reads.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Target`] for invalid targets, [`Error::InvalidParameter`] for a
    /// setting out of range or for classes where the loss takes values (or the other way round), and any
    /// error of a custom loss.
    pub fn evaluate<'a>(
        &self,
        recording: &Recording<F>,
        targets: impl Into<Targets<'a, F>>,
    ) -> Result<(f64, Adjoints<F>)> {
        let targets = targets.into();
        self.check()?;
        self.check_kind(targets)?;
        recording.check()?;
        recording.check_targets(targets)?;
        match self {
            Loss::Mse(quantity) => values::mse(*quantity, recording, targets),
            Loss::Mae(quantity) => values::mae(*quantity, recording, targets),
            Loss::CrossEntropyFirstSpike(inverse) => Ok(first_spike::cross_entropy(
                *inverse,
                recording,
                targets.classes()?,
            )),
            &Loss::MseFirstSpike {
                on_target,
                off_target,
                tolerance,
            } => {
                let (aims, classes) = ([on_target, off_target], targets.classes()?);
                first_spike::mse(aims, tolerance, recording, classes)
            }
            Loss::Custom(loss) => {
                let (value, adjoints) = loss(recording, targets)?;
                check_adjoints(&adjoints, recording)?;
                Ok((value, adjoints))
            }
            _ => classes::evaluate(self, recording, targets.classes()?),
        }
    }
}

impl<F: Float> Objective<F> {
    /// Adds a penalty on firing rates outside bounds.
    pub fn penalty(mut self, penalty: RatePenalty) -> Self {
        self.penalties.push(penalty);
        self
    }

    /// Computes value and adjoints of the loss plus the penalties.
    ///
    /// # Errors
    /// As [`Loss::evaluate`]; [`Error::InvalidParameter`] if `rate_l1` is negative or not finite, a bound is
    /// out of range, or a hidden layer was not recorded.
    pub fn evaluate<'a>(
        &self,
        recording: &Recording<F>,
        targets: impl Into<Targets<'a, F>>,
    ) -> Result<(f64, Adjoints<F>)> {
        self.check()?;
        let (mut value, mut adjoints) = self.loss.evaluate(recording, targets)?;
        if self.rate_l1 > 0.0 || !self.penalties.is_empty() {
            let hidden = recording.num_layers() - 1;
            for (k, adjoint) in adjoints.layers.iter_mut().enumerate().take(hidden) {
                let Some(trace) = recording.layer(k) else {
                    return Err(Error::parameter(
                        "record",
                        "missing hidden layers",
                        "all layers, which penalties on spikes require",
                    ));
                };
                let spk = adjoint
                    .spk
                    .get_or_insert_with(|| Array3::zeros(trace.spk.raw_dim()));
                spk.mapv_inplace(|e| e + F::from_f64(self.rate_l1));
                value += self.rate_l1 * trace.spk.iter().map(|s| s.as_f64()).sum::<f64>();
                value += self.rates(&trace.spk, spk);
            }
        }
        Ok((value, adjoints))
    }

    /// The penalties on the rates of one layer; adds their adjoints to `e`.
    fn rates(&self, spikes: &Array3<F>, e: &mut Array3<F>) -> f64 {
        let (steps, batch, _) = spikes.dim();
        let mut value = 0.0;
        for b in 0..batch {
            let counts = spikes.index_axis(Axis(1), b).sum_axis(Axis(0));
            let counts: Vec<f64> = counts.iter().map(|count| count.as_f64()).collect();
            for penalty in &self.penalties {
                value += penalty.share(&counts, steps, batch, |n, adjoint| {
                    let mut each = e.slice_mut(s![.., b, n]);
                    each.mapv_inplace(|e| e + F::from_f64(adjoint));
                });
            }
        }
        value
    }

    /// The same objective in another precision, if the loss [supports it](Loss::cast).
    #[cfg(feature = "safetensors")]
    pub(crate) fn cast<G: Float>(&self) -> Option<Objective<G>> {
        Some(Objective {
            loss: self.loss.cast()?,
            rate_l1: self.rate_l1,
            penalties: self.penalties.clone(),
        })
    }

    /// Checks the ranges of the settings.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] naming the setting.
    pub fn check(&self) -> Result<()> {
        if !(self.rate_l1 >= 0.0 && self.rate_l1.is_finite()) {
            return Err(Error::parameter(
                "rate_l1",
                self.rate_l1,
                "a finite number of at least 0",
            ));
        }
        self.penalties.iter().try_for_each(RatePenalty::check)?;
        self.loss.check()
    }
}

/// Checks that the adjoints of a custom loss have the shapes of the recording.
pub(crate) fn check_adjoints<F: Float>(
    adjoints: &Adjoints<F>,
    recording: &Recording<F>,
) -> Result<()> {
    if adjoints.layers.len() != recording.num_layers() {
        let expected = format!("[{}], one per layer", recording.num_layers());
        return Err(Error::shape("adjoints", expected, &[adjoints.layers.len()]));
    }
    for (k, adjoint) in adjoints.layers.iter().enumerate() {
        let Some(trace) = recording.layer(k) else {
            continue;
        };
        for (name, array) in [("spk", &adjoint.spk), ("mem", &adjoint.mem)] {
            if let Some(array) = array.as_ref().filter(|a| a.dim() != trace.spk.dim()) {
                let what = format!("adjoint of layer {} {name}", k + 1);
                return Err(Error::shape(
                    what,
                    format!("{:?}", trace.spk.shape()),
                    array.shape(),
                ));
            }
        }
    }
    Ok(())
}
