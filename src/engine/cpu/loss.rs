//! Losses of one sample, value and adjoint; see [`loss`](crate::loss) for the formulas.
//!
//! Every built-in loss is a mean over the batch, so each sample's contribution can be computed
//! independently, and a sample runs through loss and backward pass while its traces are in the
//! cache. (Custom losses get the whole batch and take a different path.)

use super::simd::{F32x16, Kernel, LANES, Simd, flatten, flatten_mut};
use crate::{Loss, ReadOut};

/// The output layer of one sample, rows `[T][row]`; `run` overwrites one of the two with its
/// adjoint and says which.
pub(super) struct SampleLoss<'a> {
    pub loss: &'a Loss,
    pub classes: usize,
    pub num_steps: usize,
    /// Samples of the whole batch.
    pub batch: usize,
    pub target: usize,
    pub spk: &'a mut [F32x16],
    pub mem: &'a mut [F32x16],
    /// One row.
    pub scratch: &'a mut [F32x16],
}

/// The contribution of a sample.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LossShare {
    /// To the loss.
    pub loss: f64,
    /// Whether the adjoint is by the membrane (else by the spikes).
    pub by_membrane: bool,
}

impl Kernel for SampleLoss<'_> {
    type Out = LossShare;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> LossShare {
        let (steps, classes, target) = (self.num_steps, self.classes, self.target);
        let row = self.spk.len() / steps;
        let mut share = LossShare {
            by_membrane: true,
            loss: 0.0,
        };
        let count = self.scratch; // of spikes
        if let Loss::CrossEntropyCount | Loss::MseCount { .. } = self.loss {
            column_sums(s, self.spk, count);
        }
        let batch = self.batch as f64;
        let per_element = 1.0 / (steps as f64 * batch * classes as f64);
        let rate = |rate: f64| (steps as f64 * rate).floor() as f32;
        match *self.loss {
            Loss::CrossEntropyMembrane => {
                share.loss = cross_entropy(s, self.mem, row, classes, target, 1.0 / batch);
            }
            Loss::CrossEntropyRate => {
                let weight = 1.0 / (batch * steps as f64);
                share.loss = cross_entropy(s, self.spk, row, classes, target, weight);
                share.by_membrane = false;
            }
            Loss::CrossEntropyCount => {
                share.loss = cross_entropy(s, count, row, classes, target, 1.0 / batch);
                share.by_membrane = false;
                self.spk
                    .chunks_exact_mut(row)
                    .for_each(|spk| spk.copy_from_slice(count));
            }
            Loss::CrossEntropyMaxMembrane => {
                let width = row * LANES;
                let mem = flatten_mut(self.mem);
                let (max, mut when) = (count, vec![0; classes]);
                max.fill(F32x16::ZERO);
                for c in 0..classes {
                    for t in 1..steps {
                        if mem[t * width + c] > mem[when[c] * width + c] {
                            when[c] = t;
                        }
                    }
                    flatten_mut(max)[c] = mem[when[c] * width + c];
                }
                share.loss = cross_entropy(s, max, row, classes, target, 1.0 / batch);
                mem.fill(0.0);
                for c in 0..classes {
                    mem[when[c] * width + c] = flatten(max)[c];
                }
            }
            Loss::CrossEntropyLastMembrane | Loss::CrossEntropyMeanMembrane { .. } => {
                let window = self.loss.window(steps);
                let per_step = 1.0 / window.len() as f32;
                let mean = count;
                column_sums(s, &self.mem[window.start * row..window.end * row], mean);
                scale(s, mean, per_step);
                share.loss = cross_entropy(s, mean, row, classes, target, 1.0 / batch);
                scale(s, mean, per_step);
                for (t, mem) in self.mem.chunks_exact_mut(row).enumerate() {
                    match window.contains(&t) {
                        true => mem.copy_from_slice(mean),
                        false => mem.fill(F32x16::ZERO),
                    }
                }
            }
            Loss::MseCount {
                correct_rate,
                incorrect_rate,
            } => {
                let aims = (rate(correct_rate), rate(incorrect_rate));
                share.loss = per_element * squares(count, classes, target, aims, per_element);
                share.by_membrane = false;
                self.spk
                    .chunks_exact_mut(row)
                    .for_each(|spk| spk.copy_from_slice(count));
            }
            Loss::MseMembrane {
                on_target,
                off_target,
            } => {
                let aims = (on_target as f32, off_target as f32);
                let rows = self.mem.chunks_exact_mut(row);
                let sum: f64 = rows
                    .map(|u| squares(u, classes, target, aims, per_element))
                    .sum();
                share.loss = per_element * sum;
            }
            Loss::CrossEntropyFirstSpike(_)
            | Loss::MseFirstSpike { .. }
            | Loss::Mse(_)
            | Loss::Mae(_)
            | Loss::Custom(_) => {} // computed from a recording
        }
        share
    }
}

/// What is a probability of 0 beside the largest of a softmax: 2⁻⁶⁴. It moves no bit of the sum, and as
/// an adjoint it moves no weight. Without this rule the adjoints of a well-trained network are mostly
/// subnormal numbers in the layers below, and many processors multiply those a hundred times more slowly.
/// The CUDA kernels have the same rule.
const NO_PROBABILITY: f32 = 5.421_011e-20;

/// Cross entropy of rows of logits `[T][row]`, times `weight`, summed; overwrites each with its adjoint
/// `weight · (softmax − onehot)`, 0 in the padding. Sixteen rows at a time, whose maxima and sums are
/// then found side by side.
#[inline(always)]
fn cross_entropy<S: Simd>(
    s: S,
    rows: &mut [F32x16],
    row: usize,
    classes: usize,
    target: usize,
    weight: f64,
) -> f64 {
    let valid = |l: usize| match classes.saturating_sub(l * LANES) {
        0 => s.mask(0),
        n => s.mask(u16::MAX >> (LANES - n.min(LANES))),
    };
    let (target, lane) = (target / LANES, target % LANES);
    let (mut loss, mut nonfinite) = (0.0, s.splat(0.0));
    for rows in rows.chunks_mut(LANES * row) {
        let (least, zero) = (s.splat(f32::NEG_INFINITY), s.splat(0.0));
        let (mut largest, mut sums) = ([least; LANES], [zero; LANES]);
        let (mut max, mut at_target, mut total) = (F32x16::ZERO, F32x16::ZERO, F32x16::ZERO);
        for (n, row) in rows.chunks_exact(row).enumerate() {
            at_target.0[n] = row[target].0[lane];
            for (l, x) in row.iter().enumerate() {
                largest[n] = s.max(largest[n], s.select(valid(l), s.load(x), least));
            }
        }
        s.store(s.largest(largest), &mut max);
        for (n, row) in rows.chunks_exact_mut(row).enumerate() {
            let max = s.splat(max.0[n]);
            for (l, x) in row.iter_mut().enumerate() {
                let v = s.load(x);
                nonfinite = s.fma(v, zero, nonfinite); // NaN and infinity propagate to the loss
                let e = s.keep(valid(l), s.exp(s.sub(v, max)));
                let e = s.keep(s.gt(e, s.splat(NO_PROBABILITY)), e);
                sums[n] = s.add(sums[n], e);
                s.store(e, x);
            }
        }
        s.store(s.sums(sums), &mut total);
        for (n, row) in rows.chunks_exact_mut(row).enumerate() {
            let scale = s.splat(weight as f32 / total.0[n]);
            for x in row.iter_mut() {
                s.store(s.mul(s.load(x), scale), x);
            }
            row[target].0[lane] -= weight as f32;
            loss += weight * f64::from(max.0[n] - at_target.0[n] + libm::logf(total.0[n]));
        }
    }
    loss + f64::from(s.sum(nonfinite))
}

/// Sum of squared distances from `aims` (target class, others); overwrites with the adjoint
/// `2·weight·distance`, 0 in the padding.
#[inline(always)]
fn squares(
    row: &mut [F32x16],
    classes: usize,
    target: usize,
    aims: (f32, f32),
    weight: f64,
) -> f64 {
    let mut sum = 0.0;
    for (class, x) in flatten_mut(row)[..classes].iter_mut().enumerate() {
        let distance = *x - if class == target { aims.0 } else { aims.1 };
        sum += f64::from(distance) * f64::from(distance);
        *x = distance * (2.0 * weight) as f32;
    }
    flatten_mut(row)[classes..].fill(0.0);
    sum
}

/// Multiplies a row.
#[inline(always)]
fn scale<S: Simd>(s: S, row: &mut [F32x16], factor: f32) {
    let factor = s.splat(factor);
    row.iter_mut()
        .for_each(|x| s.store(s.mul(s.load(x), factor), x));
}

/// The class with the largest score by rows `[T][row]`, ties to the lowest index.
pub(super) struct Argmax<'a> {
    pub rows: &'a [F32x16],
    pub read_out: ReadOut,
    pub classes: usize,
    /// One row; overwritten with the scores.
    pub scores: &'a mut [F32x16],
}

impl Kernel for Argmax<'_> {
    type Out = usize;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let row = self.scores.len();
        let steps = self.rows.len() / row;
        match self.read_out.summed(steps) {
            Some(window) => {
                let rows = &self.rows[window.start * row..window.end * row];
                column_sums(s, rows, self.scores);
            }
            None if self.read_out == ReadOut::FirstSpike => {
                let width = row * LANES;
                let (spk, scores) = (flatten(self.rows), flatten_mut(self.scores));
                for (n, score) in scores.iter_mut().enumerate() {
                    let first = (0..steps).find(|t| spk[t * width + n] > 0.0);
                    *score = -(first.unwrap_or(steps - 1) as f32);
                }
            }
            None => {
                self.scores.copy_from_slice(&self.rows[..row]);
                for rows in self.rows.chunks_exact(row) {
                    for (max, u) in self.scores.iter_mut().zip(rows) {
                        s.store(s.max(s.load(u), s.load(max)), max);
                    }
                }
            }
        }
        let scores = &flatten(self.scores)[..self.classes];
        scores
            .iter()
            .enumerate()
            .fold(0, |best, (n, &x)| if x > scores[best] { n } else { best })
    }
}

/// The sum of all rows.
#[inline(always)]
fn column_sums<S: Simd>(s: S, rows: &[F32x16], sums: &mut [F32x16]) {
    let row = sums.len();
    for (l, sum) in sums.iter_mut().enumerate() {
        let mut total = s.splat(0.0);
        for row in rows.chunks_exact(row) {
            total = s.add(total, s.load(&row[l]));
        }
        s.store(total, sum);
    }
}
