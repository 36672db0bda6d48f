//! Losses that compare the output layer with values: regression.

use ndarray::{Array3, ArrayView2, ArrayView3, ArrayViewD, Axis, Zip};

use super::{Adjoints, Quantity, classes::every_step};
use crate::{Error, Float, Recording, Result, Targets};

/// What is compared with values.
pub(super) enum Comparison<'a, F: Float> {
    /// The membranes of each step, with values `[T, B, N]`.
    EachMembrane(ArrayView3<'a, F>),
    /// The last membranes, with values `[B, N]`.
    LastMembrane(ArrayView2<'a, F>),
    /// The spike counts, or the rates, with values `[B, N]`.
    Spikes(ArrayView2<'a, F>),
}

impl<'a, F: Float> Comparison<'a, F> {
    /// Refuses targets of a kind that the quantity is not compared with.
    pub fn new(quantity: Quantity, targets: Targets<'a, F>) -> Result<Self> {
        let expected = match (quantity, targets) {
            (Quantity::Membrane, Targets::Sequence(y)) => return Ok(Comparison::EachMembrane(y)),
            (Quantity::Membrane, Targets::Values(y)) => return Ok(Comparison::LastMembrane(y)),
            (_, Targets::Values(y)) => return Ok(Comparison::Spikes(y)),
            (Quantity::Membrane, _) => "values [T, B, N], or [B, N] for the last step",
            _ => "values [B, N], to compare with spikes",
        };
        Err(Error::parameter("targets", targets.kind(), expected))
    }
}

/// `mean (p − y)²`; its derivative by `p` is `2 (p − y)/n`.
pub(super) fn mse<F: Float>(
    quantity: Quantity,
    recording: &Recording<F>,
    targets: Targets<'_, F>,
) -> Result<(f64, Adjoints<F>)> {
    compare(quantity, recording, targets, |d, n| {
        let distance = d.as_f64();
        (distance * distance, F::from_f64(2.0 * distance / n))
    })
}

/// `mean |p − y|`; its derivative by `p` is `sign(p − y)/n`.
pub(super) fn mae<F: Float>(
    quantity: Quantity,
    recording: &Recording<F>,
    targets: Targets<'_, F>,
) -> Result<(f64, Adjoints<F>)> {
    compare(quantity, recording, targets, |d, n| {
        let sign = match d {
            d if d > F::zero() => 1.0,
            d if d < F::zero() => -1.0,
            _ => 0.0,
        };
        (d.as_f64().abs(), F::from_f64(sign / n))
    })
}

/// The mean of a loss over all numbers, and its adjoints. `loss` takes a distance `p − y` and how many
/// there are, and returns its value and its share of the adjoint.
fn compare<F: Float>(
    quantity: Quantity,
    recording: &Recording<F>,
    targets: Targets<'_, F>,
    loss: impl Fn(F, f64) -> (f64, F),
) -> Result<(f64, Adjoints<F>)> {
    let (layers, mem) = (recording.num_layers(), &recording.output().mem);
    let (num_steps, ..) = mem.dim();
    let per_step = F::from_f64(1.0 / num_steps as f64);
    let mean = |p: ndarray::ArrayViewMutD<'_, F>, y: ArrayViewD<'_, F>| {
        let (n, mut sum) = (y.len() as f64, 0.0);
        Zip::from(p).and(y).for_each(|p, &y| {
            let (value, adjoint) = loss(*p - y, n);
            sum += value;
            *p = adjoint;
        });
        sum / n
    };
    match Comparison::new(quantity, targets)? {
        Comparison::EachMembrane(y) => {
            let mut p = mem.clone();
            let value = mean(p.view_mut().into_dyn(), y.into_dyn());
            Ok((value, Adjoints::output(layers, None, Some(p))))
        }
        Comparison::LastMembrane(y) => {
            let mut p = recording.values(quantity);
            let value = mean(p.view_mut().into_dyn(), y.into_dyn());
            let mut g = Array3::zeros(mem.raw_dim());
            g.index_axis_mut(Axis(0), num_steps - 1).assign(&p);
            Ok((value, Adjoints::output(layers, None, Some(g))))
        }
        Comparison::Spikes(y) => {
            let mut p = recording.values(quantity);
            let scale = match quantity {
                Quantity::SpikeRate => per_step,
                _ => F::one(),
            };
            let value = mean(p.view_mut().into_dyn(), y.into_dyn());
            p.mapv_inplace(|adjoint| adjoint * scale);
            let e = every_step(p.view(), num_steps);
            Ok((value, Adjoints::output(layers, Some(e), None)))
        }
    }
}
