//! Compares what an engine computed with what the fixture expects.
//!
//! The error of an entry is its distance from the expected value, relative to the largest entry of
//! the tensor: near zero, rounding has left no digits to compare. A NaN, a missing tensor or another
//! shape never passes.

use ndarray::{ArrayD, Dimension, IxDyn};

use super::{
    Fixture, Report, Row, Tensors, Verdict,
    compute::compute,
    fixture::Source,
    kinds,
    rounding::{self, Case, NEAR_THRESHOLD, largest},
    settings,
};
use crate::{Dynamics, Engine, Float, Layer, Loss, Result};

/// Float64 must agree to this, relative to the tensor's largest entry.
const TOLERANCE_F64: f64 = 1e-10;
/// Float32 must agree to this.
const TOLERANCE_F32: f64 = 1e-4;
/// Gradients that were rounded to float32 on their way through the other library agree to this.
const TOLERANCE_ROUNDED: f64 = 1e-6;
/// What a file in float32 can be met to.
const TOLERANCE_SINGLE_FILE: f64 = 1e-5;
/// What noise a pass through float32 leaves on a gradient, relative to the largest.
const SINGLE_ROUNDING: f64 = 1e-7;
/// Gradients smaller than this part of the largest gradient of the file are measured against that:
/// they may be no more than the rounding of sums that cancel.
const SMALL_F64: f64 = 1e-4;
/// The same in float32.
const SMALL_F32: f64 = 1e-2;

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

impl Fixture {
    /// Runs an engine on the file's input and targets, makes the file's updates with it, and compares
    /// every number with the file's. The engine is made of a network that [`fill`](Self::fill) or
    /// [`network`](Self::network) gives, and of [`adam`](Self::adam).
    ///
    /// Double precision has to agree to 1e-10 of each tensor's largest entry, single precision to 1e-4;
    /// [`docs::port`](crate::docs::port) lists the exceptions.
    ///
    /// # Errors
    /// [`Error::Format`](crate::Error::Format) where a file that describes no network does not fit the
    /// engine's, [`Error::InvalidParameter`](crate::Error::InvalidParameter) where it
    /// [needs images](Self::needs_images), and whatever the engine reports. A disagreement is not an
    /// error but a report that does not [pass](Report::passes).
    pub fn check<F: Float>(&self, engine: &mut dyn Engine<F>) -> Result<Report> {
        self.compared(engine, None)
    }

    /// [`check`](Self::check) with a tolerance of the caller's, relative to each tensor's largest
    /// entry.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn check_within<F: Float>(
        &self,
        engine: &mut dyn Engine<F>,
        tolerance: f64,
    ) -> Result<Report> {
        self.compared(engine, Some(tolerance))
    }

    fn compared<F: Float>(
        &self,
        engine: &mut dyn Engine<F>,
        tolerance: Option<f64>,
    ) -> Result<Report> {
        let network = engine.to_network()?;
        if self.network().is_none() {
            self.check_contents(&network)?;
        }
        let (objective, optimizer) = (engine.objective().clone(), engine.to_optimizer()?);
        let differences = settings::differences(self, &network, &objective, &optimizer);
        let found = compute(self, engine)?;
        let case = Case {
            fixture: self,
            network: self.fill(&settings::widened(&network))?,
            custom: matches!(objective.loss, Loss::Custom(_)),
            objective: objective.cast(),
        };
        let silent = |(k, layer): (usize, &Layer<F>)| {
            let spikes = self.expected().get(&format!("spk{k}"));
            let silent = spikes.is_some_and(|spikes| spikes.iter().all(|&s| s == 0.0));
            (silent && kinds::can_spike(layer.neuron())).then_some(k)
        };
        Ok(Report {
            fixture: self.name().into(),
            engine: engine.describe(),
            precision: F::NAME,
            rows: compare(&case, &found, F::NAME == "f32", tolerance),
            differences,
            silent_layers: (1..).zip(network.layers()).filter_map(silent).collect(),
            found,
        })
    }
}

/// Compares every expected tensor; `single` says that the engine computed in float32.
fn compare(case: &Case<'_>, found: &Tensors, single: bool, tolerance: Option<f64>) -> Vec<Row> {
    let fixture = case.fixture;
    // A float32 file cannot be met more closely than its own rounding.
    let base = tolerance.unwrap_or(match (single, fixture.single) {
        (true, _) => TOLERANCE_F32,
        (false, true) => TOLERANCE_SINGLE_FILE,
        (false, false) => TOLERANCE_F64,
    });
    let images = matches!(fixture.source, Source::Images { .. });
    let gradients = fixture.expected().iter();
    let gradients = gradients.filter(|(name, _)| name.starts_with("grad."));
    let largest_gradient = largest(gradients.flat_map(|(_, gradient)| gradient.iter()));
    let small = if single { SMALL_F32 } else { SMALL_F64 };
    let mut rows = Vec::new();
    let mut push =
        |name: &str, expected: &ArrayD<f64>, found: Option<&ArrayD<f64>>, tolerance: f64| {
            let least = match name.starts_with("grad.") && !images {
                true => small * largest_gradient,
                false => 0.0,
            };
            let (absolute, relative, worst) = found
                .map_or((f64::INFINITY, f64::INFINITY, Vec::new()), |found| {
                    distance(expected, found, least, |_| 0.0)
                });
            let zero = can_be_silent(name) && expected.iter().all(|&x| x == 0.0);
            let verdict = match relative <= tolerance {
                true if zero => Verdict::Nothing,
                true => Verdict::Pass,
                false => Verdict::Fail,
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
    for (name, expected) in fixture.expected() {
        let values = found.get(name);
        match name.as_str() {
            // What it means, the library's own cross entropy says alone.
            "loss_per_step" if case.custom => {}
            // Later updates drift with every spike that flips on the last bit, in every library.
            "adam_loss" if images => {
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
            "adam_accuracy" if images => push(name, expected, values, tolerance.unwrap_or(0.03)),
            _ if fixture.rounded_gradients()
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
    if single && excused_flip(case, found) {
        let failed = rows.iter_mut().filter(|row| row.verdict == Verdict::Fail);
        failed.for_each(|row| row.verdict = Verdict::Flipped);
    }
    excuse_updates(case, found, &mut rows, single);
    rows
}

/// Whether zeros in a tensor mean that nothing happened. A loss or an accuracy of 0 is a result.
fn can_be_silent(name: &str) -> bool {
    ["spk", "mem", "grad."]
        .iter()
        .any(|start| name.starts_with(start))
        || ["spike_count", "firing_rate"].contains(&name)
}

/// A spike that flips in a later update, or a gradient lost in rounding, shows in nothing but what
/// follows from it.
fn excuse_updates(case: &Case<'_>, found: &Tensors, rows: &mut [Row], single: bool) {
    let fixture = case.fixture;
    let of_updates = |row: &&mut Row| row.verdict == Verdict::Fail && row.name.starts_with("adam");
    if !rows.iter_mut().any(|row| of_updates(&row)) {
        return;
    }
    let noise = match (single, fixture.rounded_gradients() || fixture.single) {
        (true, _) => SMALL_F32 * TOLERANCE_F32,
        (false, true) => SINGLE_ROUNDING,
        (false, false) => SMALL_F64 * TOLERANCE_F64,
    };
    let Some(updates) = rounding::of_updates(case, noise, single) else {
        return;
    };
    for row in rows.iter_mut().filter(of_updates) {
        let after = row.name[4..].split_once('.');
        // `adam_loss` and `adam_accuracy` go to the last update.
        let after = after.map_or(Some(fixture.updates()), |(n, _)| n.parse().ok());
        if updates
            .another_run
            .is_some_and(|n| after.is_some_and(|after| n <= after))
        {
            row.verdict = Verdict::Flipped;
        } else if let (Some(values), Some(spread)) =
            (found.get(&row.name), updates.spread.get(&row.name))
        {
            let expected = &fixture.expected()[&row.name];
            if distance(expected, values, 0.0, |at| spread[at]).1 <= row.tolerance {
                row.verdict = Verdict::Rounding;
            }
        }
    }
}

/// Whether some float32 spike differs, and, in the lowest layer of the first step at which any does,
/// every such spike is one where the float64 membrane is within rounding of the threshold.
fn excused_flip(case: &Case<'_>, found: &Tensors) -> bool {
    let fixture = case.fixture;
    let mut first: Option<(usize, usize, bool)> = None; // step, layer, all near
    for (k, layer) in case.network.layers().iter().enumerate() {
        let [spk, mem] =
            ["spk", "mem"].map(|name| fixture.expected().get(&format!("{name}{}", k + 1)));
        let [ours, our_mem] = ["spk", "mem"].map(|name| found.get(&format!("{name}{}", k + 1)));
        let (Some(spk), Some(mem), Some(ours), Some(our_mem)) = (spk, mem, ours, our_mem) else {
            return false;
        };
        if ours.shape() != spk.shape() || our_mem.shape() != mem.shape() {
            return false;
        }
        for (index, &s) in spk.indexed_iter().filter(|(index, s)| **s != ours[index]) {
            let (t, b, n) = (index[0], index[1], index[2]);
            let Some(theta) = rounding::threshold_of(layer, n) else {
                return false;
            };
            let read = match order_of(layer) {
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

/// The order of events, as far as it says which membrane a spike read.
fn order_of(layer: &Layer<f64>) -> Dynamics {
    match kinds::membrane(layer.neuron()) {
        Some(membrane) => membrane.dynamics,
        None if layer.neuron.run().spikes_first() => Dynamics::FireThenIntegrate,
        None => Dynamics::IntegrateThenFire,
    }
}
