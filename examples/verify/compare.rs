//! Compares what an engine computed with what the fixture expects, and prints it as a table.
//!
//! The error of an entry is its distance from the expected value, relative to the largest entry of
//! the tensor (so that entries near zero do not ask for digits that rounding has taken). A NaN, a
//! missing tensor or another shape never passes.

use ndarray::{ArrayD, Dimension, IxDyn};
use spikegrad::Dynamics;

use crate::{
    compute::Tensors,
    fixture::{Fixture, Source},
    rounding::{self, NEAR_THRESHOLD, largest},
};

/// Float64 must agree to this, relative to the tensor's largest entry.
pub const TOLERANCE_F64: f64 = 1e-10;
/// Float32 must agree to this.
pub const TOLERANCE_F32: f64 = 1e-4;
/// Gradients that were rounded to float32 on their way through the other library agree to this.
pub const TOLERANCE_ROUNDED: f64 = 1e-6;
/// What a file in float32 can be met to.
pub const TOLERANCE_SINGLE_FILE: f64 = 1e-5;
/// What noise a pass through float32 leaves on a gradient, relative to the largest.
const SINGLE_ROUNDING: f64 = 1e-7;
/// Gradients smaller than this part of the largest gradient of the file are measured against that:
/// they may be no more than the rounding of sums that cancel.
const SMALL_F64: f64 = 1e-4;
/// The same in float32.
const SMALL_F32: f64 = 1e-2;

/// One tensor's comparison.
pub struct Row {
    pub name: String,
    pub absolute: f64,
    pub relative: f64,
    pub worst: Vec<usize>,
    pub tolerance: f64,
    pub verdict: Verdict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
    /// A float32 spike flipped within rounding of the threshold: what follows from it is another
    /// run, and is not judged.
    Flipped,
    /// Off by no more than the updates move under a rounding's worth of noise on the gradients.
    Rounding,
}

/// Largest absolute distance; the same relative to the largest entry, or to `least` if that is more;
/// and where it stands. `slack` is what an entry may be off beyond that.
fn distance(
    expected: &ArrayD<f64>,
    found: &ArrayD<f64>,
    least: f64,
    slack: impl Fn(&IxDyn) -> f64,
) -> (f64, f64, Vec<usize>) {
    if expected.shape() != found.shape() {
        return (f64::INFINITY, f64::INFINITY, Vec::new());
    }
    let largest = largest(expected.iter()).max(least);
    let (mut absolute, mut worst) = (0.0_f64, vec![0; expected.ndim()]);
    for (index, &x) in expected.indexed_iter() {
        let d = ((x - found[&index]).abs() - slack(&index)).max(0.0) + 0.0 * found[&index];
        if d.is_nan() || d > absolute {
            (absolute, worst) = (
                if d.is_nan() { f64::INFINITY } else { d },
                index.slice().to_vec(),
            );
        }
    }
    (
        absolute,
        if largest > 0.0 {
            absolute / largest
        } else {
            absolute
        },
        worst,
    )
}

/// Compares every expected tensor; `single` says that the engine computed in float32.
pub fn compare(
    fixture: &Fixture,
    found: &Tensors,
    single: bool,
    tolerance: Option<f64>,
) -> Vec<Row> {
    // A float32 file cannot be met more closely than its own rounding.
    let base = tolerance.unwrap_or(match (single, fixture.single) {
        (true, _) => TOLERANCE_F32,
        (false, true) => TOLERANCE_SINGLE_FILE,
        (false, false) => TOLERANCE_F64,
    });
    let mnist = matches!(fixture.source, Source::Mnist { .. });
    let gradients = fixture.expected.iter();
    let gradients = gradients.filter(|(name, _)| name.starts_with("grad."));
    let largest_gradient = largest(gradients.flat_map(|(_, gradient)| gradient.iter()));
    let small = if single { SMALL_F32 } else { SMALL_F64 };
    let mut rows = Vec::new();
    let mut push =
        |name: &str, expected: &ArrayD<f64>, found: Option<&ArrayD<f64>>, tolerance: f64| {
            let least = match name.starts_with("grad.") && !mnist {
                true => small * largest_gradient,
                false => 0.0,
            };
            let (absolute, relative, worst) = found
                .map_or((f64::INFINITY, f64::INFINITY, Vec::new()), |found| {
                    distance(expected, found, least, |_| 0.0)
                });
            let verdict = if relative <= tolerance {
                Verdict::Pass
            } else {
                Verdict::Fail
            };
            rows.push(Row {
                name: name.into(),
                absolute,
                relative,
                worst,
                tolerance,
                verdict,
            });
        };
    for (name, expected) in &fixture.expected {
        let values = found.get(name);
        match name.as_str() {
            // Later updates drift with every spike that flips on the last bit, in every library.
            "adam_loss" if mnist => {
                let first = expected.len().min(4);
                let part =
                    |values: &ArrayD<f64>, n: usize| values.iter().take(n).copied().collect();
                let part = |values, n| ndarray::Array1::from_vec(part(values, n)).into_dyn();
                for (label, n, allowed) in [
                    ("adam_loss[..4]", first, 1e-3),
                    ("adam_loss", expected.len(), 0.03),
                ] {
                    let found = values.map(|v| part(v, n));
                    push(
                        label,
                        &part(expected, n),
                        found.as_ref(),
                        tolerance.unwrap_or(allowed),
                    );
                }
            }
            // Counts of answers: one image in a batch may tip with such a spike.
            "adam_accuracy" if mnist => push(name, expected, values, tolerance.unwrap_or(0.03)),
            _ if fixture.rounded_gradients
                && (name.starts_with("grad.") || name.starts_with("adam")) =>
            {
                push(
                    name,
                    expected,
                    values,
                    tolerance.unwrap_or(base.max(TOLERANCE_ROUNDED)),
                );
            }
            _ => push(name, expected, values, base),
        }
    }
    if single && excused_flip(fixture, found) {
        let failed = rows.iter_mut().filter(|row| row.verdict == Verdict::Fail);
        failed.for_each(|row| row.verdict = Verdict::Flipped);
    }
    excuse_updates(fixture, found, &mut rows, single);
    rows
}

/// A spike that flips in a later update, or a gradient lost in rounding, shows in nothing but what
/// follows from it.
fn excuse_updates(fixture: &Fixture, found: &Tensors, rows: &mut [Row], single: bool) {
    let of_updates = |row: &&mut Row| row.verdict == Verdict::Fail && row.name.starts_with("adam");
    if !rows.iter_mut().any(|row| of_updates(&row)) {
        return;
    }
    let noise = match (single, fixture.rounded_gradients || fixture.single) {
        (true, _) => SMALL_F32 * TOLERANCE_F32,
        (false, true) => SINGLE_ROUNDING,
        (false, false) => SMALL_F64 * TOLERANCE_F64,
    };
    let Some(updates) = rounding::of_updates(fixture, noise, single) else {
        return;
    };
    for row in rows.iter_mut().filter(of_updates) {
        let after = row.name[4..].split_once('.');
        // `adam_loss` and `adam_accuracy` go to the last update.
        let after = after.map_or(Some(fixture.updates), |(n, _)| n.parse().ok());
        if updates
            .another_run
            .is_some_and(|n| after.is_some_and(|after| n <= after))
        {
            row.verdict = Verdict::Flipped;
        } else if let (Some(values), Some(spread)) =
            (found.get(&row.name), updates.spread.get(&row.name))
        {
            let expected = &fixture.expected[&row.name];
            if distance(expected, values, 0.0, |at| spread[at]).1 <= row.tolerance {
                row.verdict = Verdict::Rounding;
            }
        }
    }
}

/// Whether some float32 spike differs, and, in the lowest layer of the first step at which any does,
/// every such spike is one where the float64 membrane is within rounding of the threshold.
fn excused_flip(fixture: &Fixture, found: &Tensors) -> bool {
    let mut first: Option<(usize, usize, bool)> = None; // step, layer, all near
    for (k, layer) in fixture.network.layers().iter().enumerate() {
        let [spk, mem] =
            ["spk", "mem"].map(|name| fixture.expected.get(&format!("{name}{}", k + 1)));
        let [ours, our_mem] = ["spk", "mem"].map(|name| found.get(&format!("{name}{}", k + 1)));
        let (Some(spk), Some(mem), Some(ours), Some(our_mem)) = (spk, mem, ours, our_mem) else {
            return false;
        };
        if ours.shape() != spk.shape() || our_mem.shape() != mem.shape() {
            return false;
        }
        for (index, &s) in spk.indexed_iter().filter(|(index, s)| **s != ours[index]) {
            let (t, b, n) = (index[0], index[1], index[2]);
            let theta = layer.threshold()[n % layer.threshold().len()];
            let read = match layer.neuron().dynamics {
                Dynamics::FireThenIntegrate if t == 0 => 0.0,
                Dynamics::FireThenIntegrate => mem[[t - 1, b, n]],
                Dynamics::IntegrateThenFire => mem[[t, b, n]],
                // What is recorded is the membrane after the reset: take that of the side that did
                // not fire.
                Dynamics::IntegrateFireReset if s > 0.0 => our_mem[[t, b, n]],
                Dynamics::IntegrateFireReset => mem[[t, b, n]],
            };
            let near = (read - theta).abs() <= NEAR_THRESHOLD;
            first = Some(match first {
                Some((step, layer, all)) if (step, layer) == (t, k) => (step, layer, all && near),
                Some(earlier) if earlier.0 <= t => earlier,
                _ => (t, k, near),
            });
        }
    }
    matches!(first, Some((_, _, true)))
}

/// The rows as text, and whether none failed.
pub fn table(title: &str, rows: &[Row]) -> (String, bool) {
    let mut text = format!("{title}\n");
    text += &format!(
        "  {:<20} {:>12} {:>12} {:>9}  {:<8} {}\n",
        "tensor", "max abs err", "max rel err", "allowed", "", "worst at"
    );
    for row in rows {
        let verdict = match row.verdict {
            Verdict::Pass => "ok",
            Verdict::Fail => "FAIL",
            Verdict::Flipped => "flipped",
            Verdict::Rounding => "rounding",
        };
        text += &format!(
            "  {:<20} {:>12.3e} {:>12.3e} {:>9.0e}  {:<8} {:?}\n",
            row.name, row.absolute, row.relative, row.tolerance, verdict, row.worst
        );
    }
    (text, rows.iter().all(|row| row.verdict != Verdict::Fail))
}
