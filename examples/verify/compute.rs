//! Runs a fixture's network with one engine and collects everything that the fixture has, under
//! the same names.

use std::{collections::BTreeMap, path::PathBuf};

use ndarray::{Array1, Array2, Array3, ArrayD, Axis};
use spikegrad::{
    Adam, Engine, Float, Input, Loss, Network, Objective, Record, Recording, Trace,
    data::{Batch, Mnist},
};

use crate::fixture::{Fixture, LossKind, Source};

/// Tensors by name.
pub type Tensors = BTreeMap<String, ArrayD<f64>>;

/// What makes an engine: `Device::Cpu.engine`, or `ReferenceEngine::new`.
pub type MakeEngine<'a, F> =
    &'a dyn Fn(Network<F>, Objective<F>, Adam<F>) -> spikegrad::Result<Box<dyn Engine<F>>>;

/// Inputs in an engine's precision, one for each update (or one for all).
enum Batches<F: Float> {
    Constant(Array2<F>),
    Sequence(Array3<F>),
    Mnist(Vec<Batch>, Vec<Array2<F>>),
}

impl<F: Float> Batches<F> {
    fn new(fixture: &Fixture) -> Result<Self, String> {
        Ok(match &fixture.source {
            Source::Constant(x) => Batches::Constant(x.mapv(F::of)),
            Source::Sequence(x) => Batches::Sequence(x.mapv(F::of)),
            Source::Mnist { first_image } => {
                let mnist = Mnist::load(mnist_dir()).map_err(|e| e.to_string())?;
                let batch = fixture.targets.len();
                let batches = (0..fixture.updates.max(1)).map(|n| {
                    // Past the end of the images, and past that of the integers, is an error alike.
                    let first = first_image.saturating_add(batch * n);
                    mnist
                        .train
                        .batch(&(first..first.saturating_add(batch)).collect::<Vec<_>>())
                        .map_err(|e| e.to_string())
                });
                let batches: Vec<Batch> = batches.collect::<Result<_, _>>()?;
                if batches[0].targets != fixture.targets {
                    return Err(
                        "targets are not the labels of the images that first_image names".into(),
                    );
                }
                let images = batches
                    .iter()
                    .map(|b| b.images.mapv(|x| F::of(f64::from(x))))
                    .collect();
                Batches::Mnist(batches, images)
            }
        })
    }

    fn get<'a>(&'a self, n: usize, fixture: &'a Fixture) -> (Input<'a, F>, &'a [usize]) {
        match self {
            Batches::Constant(x) => (
                Input::constant(x.view(), fixture.num_steps),
                &fixture.targets,
            ),
            Batches::Sequence(x) => (Input::sequence(x.view()), &fixture.targets),
            Batches::Mnist(batches, images) => (
                Input::constant(images[n].view(), fixture.num_steps),
                &batches[n].targets,
            ),
        }
    }
}

/// The MNIST files that come with the repository.
pub fn mnist_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist")
}

fn double<F: Float, D: ndarray::Dimension>(values: &ndarray::Array<F, D>) -> ArrayD<f64> {
    values.mapv(Float::widen).into_dyn()
}

fn list(values: Vec<f64>) -> ArrayD<f64> {
    Array1::from(values).into_dyn()
}

/// Everything that the fixture holds, as this engine computes it.
pub fn compute<F: Float>(fixture: &Fixture, make: MakeEngine<'_, F>) -> Result<Tensors, String> {
    let text = |e: spikegrad::Error| e.to_string();
    let batches = Batches::<F>::new(fixture)?;
    let mut engine =
        make(fixture.network.cast(), fixture.objective(), fixture.adam()).map_err(text)?;
    let mut out = Tensors::new();
    let (input, targets) = batches.get(0, fixture);

    let recording = engine.forward(input, &Record::All).map_err(text)?;
    let layers = recording.num_layers();
    let mut rates = Vec::new();
    for k in 0..layers {
        let trace = recording
            .layer(k)
            .ok_or_else(|| format!("layer {} was not recorded", k + 1))?;
        out.insert(format!("spk{}", k + 1), double(&trace.spk));
        out.insert(format!("mem{}", k + 1), double(&trace.mem));
        rates.push(trace.firing_rate());
    }
    out.insert("firing_rate".into(), list(rates));
    out.insert("spike_count".into(), double(&recording.spike_count()));
    if fixture.loss == LossKind::CrossEntropyMembrane {
        out.insert(
            "loss_per_step".into(),
            list(loss_per_step(&recording, targets).map_err(text)?),
        );
    }
    let report = engine.evaluate(input, targets).map_err(text)?;
    out.insert("accuracy".into(), list(vec![report.accuracy_spike_count()]));

    let (loss, gradients) = engine.gradients(input, targets).map_err(text)?;
    out.insert("loss".into(), list(vec![loss]));
    for (name, gradient) in gradients.tensors() {
        let gradient = gradient.mapv(Float::widen);
        let norm = || list(vec![gradient.iter().map(|g| g * g).sum::<f64>().sqrt()]);
        let mnist = matches!(fixture.source, Source::Mnist { .. });
        out.insert(
            format!("grad.{name}"),
            if mnist { norm() } else { gradient },
        );
    }

    let (mut losses, mut accuracies) = (Vec::new(), Vec::new());
    let kept = fixture.kept_updates();
    for n in 1..=fixture.updates {
        let (input, targets) = batches.get(n - 1, fixture);
        let report = engine.train_step(input, targets).map_err(text)?;
        losses.push(report.loss);
        accuracies.push(report.accuracy_spike_count());
        if kept.contains(&n) {
            for (name, values) in engine.network().map_err(text)?.parameters() {
                out.insert(format!("adam{n}.{name}"), values.mapv(Float::widen));
            }
        }
    }
    if fixture.updates > 0 {
        out.insert("adam_loss".into(), list(losses));
        out.insert("adam_accuracy".into(), list(accuracies));
    }
    out.retain(|name, _| fixture.expected.contains_key(name));
    Ok(out)
}

/// The cross entropy of each step by itself.
fn loss_per_step<F: Float>(
    recording: &Recording<F>,
    targets: &[usize],
) -> spikegrad::Result<Vec<f64>> {
    let steps = recording.output().mem.axis_chunks_iter(Axis(0), 1);
    steps
        .map(|u_t| {
            let trace = Trace::new(Array3::zeros(u_t.raw_dim()), u_t.to_owned());
            let step = Recording::new(Vec::new(), trace);
            Ok(Loss::CrossEntropyMembrane.evaluate(&step, targets)?.0)
        })
        .collect()
}
