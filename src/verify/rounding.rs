//! What rounding may do to Adam's updates: for files whose gradients cancel or whose membranes come
//! close to a threshold.
//!
//! Adam makes a step of up to the learning rate out of any gradient, however small, so what is left
//! of a sum that cancels, in other words its rounding, decides where a parameter goes. How far, is
//! measured: the updates are repeated in float64 with noise of a rounding's size on every gradient but 0.

use std::collections::BTreeMap;

use ndarray::{Array1, ArrayD, Zip};

use super::{Fixture, fixture::Source, kinds};
use crate::{
    Dynamics, Engine, Input, Layer, Network, Objective, Optimizer, Record, Recording,
    ReferenceEngine, Reset,
};

/// A float32 spike may differ where the float64 membrane is this close to the threshold.
pub(super) const NEAR_THRESHOLD: f64 = 1e-5;

/// A fixture, and what is compared with it.
pub(super) struct Case<'a> {
    pub fixture: &'a Fixture,
    /// In double precision, with the file's parameters.
    pub network: Network<f64>,
    /// Whether the loss is the program's own.
    pub custom: bool,
    /// `None` for a custom loss in single precision.
    pub objective: Option<Objective<f64>>,
}

/// What rounding does to the updates of a fixture.
pub(super) struct Updates {
    /// From this update on a spike may flip on the last digit, and what follows is another run, in any
    /// library.
    pub another_run: Option<usize>,
    /// By this much `adamN.*` and `adam_loss` may be off beyond their tolerance.
    pub spread: BTreeMap<String, ArrayD<f64>>,
}

/// One run of the updates.
struct Run {
    /// `adamN.*` for every `N`, and `adam_loss`.
    tensors: BTreeMap<String, ArrayD<f64>>,
    /// What the network did before each update.
    recordings: Vec<Recording<f64>>,
    /// The updates before which a membrane came within [`NEAR_THRESHOLD`] of its threshold.
    near: Vec<usize>,
}

/// Repeats the updates in float64, with noise of `rounding` times the largest gradient. `single` also
/// asks whether a membrane comes close to its threshold. `None` where this cannot be said: of images, and
/// of a custom loss in single precision.
pub(super) fn of_updates(case: &Case<'_>, rounding: f64, single: bool) -> Option<Updates> {
    let base = run(case, 0.0, 0)?;
    // The spikes before the first update are in the file, and judged there.
    let near = base.near.iter().copied().find(|&n| single && n > 1);
    let mut another_run = near;
    let mut spread: BTreeMap<String, ArrayD<f64>> = (base.tensors.iter())
        .map(|(name, values)| (name.clone(), ArrayD::zeros(values.raw_dim())))
        .collect();
    for (noise, seed) in [(rounding, 1), (-rounding, 1), (rounding, 2), (-rounding, 2)] {
        let noisy = run(case, noise, seed)?;
        let differ = |(a, b): (&Recording<f64>, &Recording<f64>)| {
            (0..a.num_layers()).any(|k| a.layer(k).map(|l| &l.spk) != b.layer(k).map(|l| &l.spk))
        };
        let flipped = base
            .recordings
            .iter()
            .zip(&noisy.recordings)
            .position(differ);
        another_run = [another_run, flipped.map(|n| n + 1)]
            .into_iter()
            .flatten()
            .min();
        for (name, spread) in &mut spread {
            Zip::from(spread)
                .and(&base.tensors[name])
                .and(&noisy.tensors[name])
                .for_each(|spread, a, b| *spread = spread.max(2.0 * (a - b).abs()));
        }
    }
    Some(Updates {
        another_run,
        spread,
    })
}

/// The fixture's updates in float64, each gradient but those of 0 off by `±noise` times the largest
/// of all. The signs
/// depend on `seed` and the entry, not on the update: an error that persists does the most.
fn run(case: &Case<'_>, noise: f64, seed: u64) -> Option<Run> {
    let fixture = case.fixture;
    let input = match &fixture.source {
        Source::Constant(x) => Input::constant(x.view(), fixture.num_steps()),
        Source::Sequence(x) => Input::sequence(x.view()),
        Source::Images { .. } => return None,
    };
    let objective = case.objective.as_ref()?;
    let mut optimizer = Optimizer::from(fixture.adam());
    let mut network = case.network.clone();
    let (mut tensors, mut losses) = (BTreeMap::new(), Vec::new());
    let (mut recordings, mut near) = (Vec::new(), Vec::new());
    for n in 1..=fixture.updates() {
        let mut engine =
            ReferenceEngine::new(network.clone(), objective.clone(), fixture.adam()).ok()?;
        let recording = engine.forward(input, &Record::All).ok()?;
        if comes_near(&network, &recording) {
            near.push(n);
        }
        recordings.push(recording);
        let (loss, mut gradients) = engine.gradients(input.classes(fixture.targets())).ok()?;
        losses.push(loss);
        let size = noise * largest(gradients.tensors().iter().flat_map(|(_, g)| g.iter()));
        let mut state = seed;
        for (_, mut gradient) in gradients.tensors_mut() {
            gradient.mapv_inplace(|g| {
                // Knuth's linear congruential generator; its top bit is the sign.
                state = (state.wrapping_mul(6364136223846793005)).wrapping_add(1442695040888963407);
                match state >> 63 {
                    // Nothing arrived (from a silent neuron, say), so there is nothing to round.
                    _ if g == 0.0 => g,
                    0 => g + size,
                    _ => g - size,
                }
            });
        }
        optimizer.step(&mut network, &gradients).ok()?;
        for (name, values) in network.parameters() {
            tensors.insert(format!("adam{n}.{name}"), values.to_owned());
        }
    }
    tensors.insert("adam_loss".into(), Array1::from(losses).into_dyn());
    Some(Run {
        tensors,
        recordings,
        near,
    })
}

/// The largest magnitude.
pub(super) fn largest<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
    values.fold(0.0, |max, x| max.max(x.abs()))
}

/// Whether a membrane that a spike read comes within rounding of its threshold.
fn comes_near(network: &Network<f64>, recording: &Recording<f64>) -> bool {
    network.layers().iter().enumerate().any(|(k, layer)| {
        let subtracts = kinds::membrane(layer.neuron()).is_some_and(|membrane| {
            membrane.dynamics == Dynamics::IntegrateFireReset && membrane.reset == Reset::Subtract
        });
        recording.layer(k).is_some_and(|trace| {
            let mut neurons = trace.mem.indexed_iter().zip(&trace.spk);
            neurons.any(|((index, &u), &s)| {
                let Some(theta) = threshold_of(layer, index.2) else {
                    return false;
                };
                let read = if subtracts { u + theta * s } else { u };
                (read - theta).abs() <= NEAR_THRESHOLD
            })
        })
    })
}

/// The threshold of neuron `n`, if the neurons have one.
pub(super) fn threshold_of(layer: &Layer<f64>, n: usize) -> Option<f64> {
    let threshold = layer.constant("threshold")?;
    threshold.get(n % threshold.len()).copied()
}
