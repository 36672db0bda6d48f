//! Losses on the steps of first spikes: `τ`, `T − 1` for a neuron that never fires.
//!
//! The derivative of `τ` is snnTorch's: −1 with respect to the spike at `τ`, there or not, and 0 with respect
//! to all others. A larger membrane at `τ` makes the spike earlier.

use ndarray::{Array2, Array3, Axis};

use super::{Adjoints, classes};
use crate::{Error, Float, Recording, Result};

/// How the step of a first spike becomes a score, which is larger for an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inverse {
    /// `−τ`; snnTorch's default.
    #[default]
    Negate,
    /// `1/(τ + 1)`.
    Reciprocal,
}

/// Cross entropy of the inverted `τ`.
pub(super) fn cross_entropy<F: Float>(
    inverse: Inverse,
    recording: &Recording<F>,
    targets: &[usize],
) -> (f64, Adjoints<F>) {
    let first = recording.first_spikes();
    let mut scores = first.mapv(|step| {
        let step = F::from_f64(step as f64);
        match inverse {
            Inverse::Negate => -step,
            Inverse::Reciprocal => F::one() / (step + F::one()),
        }
    });
    let value = classes::cross_entropy(scores.view_mut(), targets);
    // ∂L/∂s = −∂L/∂τ = −∂z/∂τ ∂L/∂z
    let by_step = |step: usize, by_score: F| match inverse {
        Inverse::Negate => by_score,
        Inverse::Reciprocal => {
            let next = F::from_f64(step as f64 + 1.0);
            by_score / (next * next)
        }
    };
    (
        value,
        adjoints(recording, &first, |at| by_step(first[at], scores[at])),
    )
}

/// Mean squared distance of `τ/T` from `aims`, the steps of the correct class and of the others.
pub(super) fn mse<F: Float>(
    aims: [i64; 2],
    tolerance: u32,
    recording: &Recording<F>,
    targets: &[usize],
) -> Result<(f64, Adjoints<F>)> {
    let steps = recording.output().spk.len_of(Axis(0));
    let last = i64::try_from(steps).unwrap_or(i64::MAX);
    let [on, off] = aims.map(|aim| {
        if aim < 0 {
            last.saturating_add(aim)
        } else {
            aim
        }
    });
    for (name, aim) in [("on_target", on), ("off_target", off)] {
        if !(0..last).contains(&aim) {
            let expected = format!("a step below {steps}, or from the end");
            return Err(Error::parameter(name, aim, expected));
        }
    }
    let first = recording.first_spikes();
    let (batch, classes) = first.dim();
    let distance = |(b, c): (usize, usize)| {
        let distance = first[(b, c)] as f64 - if targets[b] == c { on } else { off } as f64;
        match distance.abs() < f64::from(tolerance) {
            true => 0.0,
            false => distance / steps as f64,
        }
    };
    let each = (0..batch).flat_map(|b| (0..classes).map(move |c| (b, c)));
    let squares: f64 = each.map(|at| distance(at) * distance(at)).sum();
    let count = first.len() as f64;
    let per_step = 2.0 / (count * steps as f64);
    let back = |at| F::from_f64(-per_step * distance(at));
    Ok((squares / count, adjoints(recording, &first, back)))
}

/// The adjoints of the spikes at `first`, `[B, C]`.
fn adjoints<F: Float>(
    recording: &Recording<F>,
    first: &Array2<usize>,
    by_spike: impl Fn((usize, usize)) -> F,
) -> Adjoints<F> {
    let mut e = Array3::zeros(recording.output().spk.raw_dim());
    for ((b, c), &step) in first.indexed_iter() {
        e[[step, b, c]] = by_spike((b, c));
    }
    Adjoints::output(recording.num_layers(), Some(e), None)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;
    use crate::{Loss, Trace};

    const MSE: f64 = 0.1666666666666667;
    const MSE_BACK: [[f64; 3]; 2] = [
        [
            0.026666666666666665,
            -0.013333333333333332,
            0.05333333333333333,
        ],
        [-0.026666666666666665, 0.0, 0.0],
    ];
    const TOLERANT: f64 = 0.06;
    const TOLERANT_BACK: [[f64; 3]; 2] = [[0.0, 0.0, 0.04], [0.0; 3]];

    /// Five steps, two samples, three classes; the last class of sample 1 never fires.
    fn recording() -> Recording<f64> {
        let spk = array![
            [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]],
            [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]],
            [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]],
            [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]],
            [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]
        ];
        let mem = Array3::zeros(spk.raw_dim());
        Recording::new(Vec::new(), Trace::new(spk, mem))
    }

    /// Values and adjoints that snnTorch 1.0 computes for targets `[1, 0]` in float64, for each neuron's step.
    #[test]
    fn losses_are_snntorchs() {
        let ce = Loss::CrossEntropyFirstSpike;
        let mse = |on_target, off_target, tolerance| Loss::MseFirstSpike {
            on_target,
            off_target,
            tolerance,
        };
        let cases = [
            (
                ce(Inverse::Negate),
                0.8235753653331326,
                [
                    [
                        0.04501528658519022,
                        -0.37763576447260117,
                        0.3326204778874109,
                    ],
                    [
                        -0.1065069789192008,
                        0.05325348945960037,
                        0.05325348945960037,
                    ],
                ],
            ),
            (
                ce(Inverse::Reciprocal),
                1.1315592048305287,
                [
                    [
                        0.013454658442799474,
                        -0.08923669808085835,
                        0.23585486633823816,
                    ],
                    [
                        -0.03535608150154341,
                        0.006364094670277817,
                        0.006364094670277817,
                    ],
                ],
            ),
            (mse(0, 4, 0), MSE, MSE_BACK),
            (mse(0, -1, 0), MSE, MSE_BACK),
            (mse(1, 3, 2), TOLERANT, TOLERANT_BACK),
        ];
        let recording = recording();
        let first = recording.first_spikes();
        assert_eq!(first, array![[2, 1, 0], [2, 4, 4]]);
        for (loss, value, back) in cases {
            let (found, adjoints) = loss.evaluate(&recording, &[1, 0]).expect("valid");
            assert!((found - value).abs() < 1e-12, "{loss:?} {found}");
            let spk = adjoints.layers[0].spk.as_ref().expect("of spikes");
            for ((t, b, c), found) in spk.indexed_iter() {
                let expected = if first[[b, c]] == t { back[b][c] } else { 0.0 };
                assert!(
                    (found - expected).abs() < 1e-12,
                    "{loss:?} {t} {b} {c} {found}"
                );
            }
        }
    }

    #[test]
    fn steps_beyond_the_end_are_refused() {
        for (on_target, off_target) in [(5, -1), (0, -6)] {
            let loss = Loss::MseFirstSpike {
                on_target,
                off_target,
                tolerance: 0,
            };
            let error = loss
                .evaluate(&recording(), &[1, 0])
                .expect_err("a step too far");
            assert!(
                error.to_string().contains("expected a step below 5"),
                "{error}"
            );
        }
    }
}
