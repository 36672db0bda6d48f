//! Losses that compare spikes or membranes of the output layer with classes.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView2, ArrayViewMut2, Axis, Zip, s};

use super::{Adjoints, Loss};
use crate::{Error, Float, Recording, Result};

/// The losses that compare with classes, which have been checked.
pub(super) fn evaluate<F: Float>(
    loss: &Loss<F>,
    recording: &Recording<F>,
    targets: &[usize],
) -> Result<(f64, Adjoints<F>)> {
    let (spk, mem) = (&recording.output().spk, &recording.output().mem);
    let (num_steps, batch, classes) = mem.dim();
    let layers = recording.num_layers();
    let per_step = F::from_f64(1.0 / num_steps as f64);
    let element = 1.0 / (num_steps * batch * classes) as f64;

    match *loss {
        Loss::CrossEntropyMembrane => {
            let mut g = mem.clone();
            let value = g
                .outer_iter_mut()
                .map(|u_t| cross_entropy(u_t, targets))
                .sum();
            Ok((value, Adjoints::output(layers, None, Some(g))))
        }
        Loss::CrossEntropyCount => {
            let mut count = recording.spike_count();
            let value = cross_entropy(count.view_mut(), targets);
            Ok((
                value,
                Adjoints::output(layers, Some(every_step(count.view(), num_steps)), None),
            ))
        }
        Loss::CrossEntropyRate => {
            let mut e = spk.clone();
            let sum: f64 = e
                .outer_iter_mut()
                .map(|s_t| cross_entropy(s_t, targets))
                .sum();
            e.mapv_inplace(|x| x * per_step);
            Ok((
                sum / num_steps as f64,
                Adjoints::output(layers, Some(e), None),
            ))
        }
        Loss::CrossEntropyMaxMembrane => {
            let mut when = Array2::<usize>::zeros((batch, classes));
            let mut max = mem.index_axis(Axis(0), 0).to_owned();
            for (t, u_t) in mem.outer_iter().enumerate() {
                Zip::from(&mut max)
                    .and(&mut when)
                    .and(&u_t)
                    .for_each(|max, when, &u| {
                        if u > *max {
                            (*max, *when) = (u, t);
                        }
                    });
            }
            let value = cross_entropy(max.view_mut(), targets);
            let mut g = Array3::zeros(mem.raw_dim());
            for ((b, c), &t) in when.indexed_iter() {
                g[[t, b, c]] = max[[b, c]];
            }
            Ok((value, Adjoints::output(layers, None, Some(g))))
        }
        Loss::CrossEntropyLastMembrane | Loss::CrossEntropyMeanMembrane { .. } => {
            loss.check_steps(num_steps)?;
            Ok(mean_membrane(recording, targets, loss.window(num_steps)))
        }
        Loss::MseCount {
            correct_rate,
            incorrect_rate,
        } => {
            let mut count = recording.spike_count();
            let aim = |rate: f64| (num_steps as f64 * rate).floor();
            let value = squares(
                count.view_mut(),
                targets,
                aim(correct_rate),
                aim(incorrect_rate),
            );
            count.mapv_inplace(|d| d * F::from_f64(2.0 * element));
            Ok((
                value * element,
                Adjoints::output(layers, Some(every_step(count.view(), num_steps)), None),
            ))
        }
        Loss::MseMembrane {
            on_target,
            off_target,
        } => {
            let mut g = mem.clone();
            let value: f64 = g
                .outer_iter_mut()
                .map(|u_t| squares(u_t, targets, on_target, off_target))
                .sum();
            g.mapv_inplace(|d| d * F::from_f64(2.0 * element));
            Ok((value * element, Adjoints::output(layers, None, Some(g))))
        }
        Loss::CrossEntropyFirstSpike(_)
        | Loss::MseFirstSpike { .. }
        | Loss::Mse(_)
        | Loss::Mae(_)
        | Loss::Custom(_) => {
            let expected = "a loss that compares spikes or membranes with classes";
            Err(Error::parameter("loss", format!("{loss:?}"), expected))
        }
    }
}

/// Cross entropy of the mean membrane over some steps.
fn mean_membrane<F: Float>(
    recording: &Recording<F>,
    targets: &[usize],
    window: Range<usize>,
) -> (f64, Adjoints<F>) {
    let mem = &recording.output().mem;
    let per_step = F::from_f64(1.0 / window.len() as f64);
    let steps = mem.slice(s![window.clone(), .., ..]);
    // Step by step, in the engines' order.
    let zeros = Array2::zeros((mem.len_of(Axis(1)), mem.len_of(Axis(2))));
    let mut mean = steps.outer_iter().fold(zeros, |sum, u_t| sum + u_t);
    mean.mapv_inplace(|sum| sum * per_step);
    let value = cross_entropy(mean.view_mut(), targets);
    mean.mapv_inplace(|adjoint| adjoint * per_step);
    let mut g = Array3::zeros(mem.raw_dim());
    let mut each = g.slice_mut(s![window, .., ..]);
    each.outer_iter_mut().for_each(|mut g_t| g_t.assign(&mean));
    (
        value,
        Adjoints::output(recording.num_layers(), None, Some(g)),
    )
}

/// Mean cross entropy of logits `[B, C]`, which are overwritten with the adjoint `(softmax −
/// onehot)/B`.
pub(super) fn cross_entropy<F: Float>(mut logits: ArrayViewMut2<'_, F>, targets: &[usize]) -> f64 {
    let batch = F::from_f64(targets.len() as f64);
    let mut sum = 0.0;
    for (mut row, &target) in logits.outer_iter_mut().zip(targets) {
        let max = row.fold(F::neg_infinity(), |max, &x| max.max(x));
        let at_target = row[target];
        row.mapv_inplace(|x| (x - max).exp_portable());
        let total = row.sum();
        sum += (max - at_target + total.ln_portable()).as_f64();
        row.mapv_inplace(|x| x / (total * batch));
        row[target] -= F::one() / batch;
    }
    sum / targets.len() as f64
}

/// Sum of squared distances from `on` (target class) and `off`. The distances overwrite the input.
fn squares<F: Float>(
    mut values: ArrayViewMut2<'_, F>,
    targets: &[usize],
    on: f64,
    off: f64,
) -> f64 {
    let mut sum = 0.0;
    for (mut row, &target) in values.outer_iter_mut().zip(targets) {
        for (class, x) in row.iter_mut().enumerate() {
            *x -= F::from_f64(if class == target { on } else { off });
            sum += x.as_f64() * x.as_f64();
        }
    }
    sum
}

/// The same `[B, N]` at each step.
pub(super) fn every_step<F: Float>(values: ArrayView2<'_, F>, num_steps: usize) -> Array3<F> {
    let (batch, classes) = values.dim();
    Array3::from_shape_fn((num_steps, batch, classes), |(_, b, c)| values[[b, c]])
}
