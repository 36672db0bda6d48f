//! Runs an engine on a fixture's input and collects everything that the fixture has, under the same
//! names.

use ndarray::{Array1, Array2, Array3, ArrayD, Axis};

use super::{Fixture, Tensors, fixture::Source};
use crate::{Engine, Error, Float, Input, Loss, Record, Recording, Result, Trace};

/// Inputs in an engine's precision, one for each update (or one for all).
enum Batches<F: Float> {
    Constant(Array2<F>),
    Sequence(Array3<F>),
    Images(Vec<Array2<F>>),
}

impl<F: Float> Batches<F> {
    fn new(fixture: &Fixture) -> Result<Self> {
        Ok(match &fixture.source {
            Source::Constant(x) => Batches::Constant(x.mapv(F::from_f64)),
            Source::Sequence(x) => Batches::Sequence(x.mapv(F::from_f64)),
            Source::Images { batches, .. } if batches.is_empty() => {
                let name = format!("{}: input", fixture.name());
                let expected = "the data set that the file names, by Fixture::with_images";
                return Err(Error::parameter(name, "images that are not here", expected));
            }
            Source::Images { batches, .. } => {
                let image = |&pixel: &f32| F::from_f64(f64::from(pixel));
                Batches::Images(batches.iter().map(|b| b.images.map(image)).collect())
            }
        })
    }

    /// Input and targets of update `n`, from 0.
    fn get<'a>(&'a self, n: usize, fixture: &'a Fixture) -> (Input<'a, F>, &'a [usize]) {
        let steps = fixture.num_steps();
        match (self, &fixture.source) {
            (Batches::Images(images), Source::Images { batches, .. }) => (
                Input::constant(images[n].view(), steps),
                &batches[n].targets,
            ),
            (Batches::Images(images), _) => {
                (Input::constant(images[n].view(), steps), fixture.targets())
            }
            (Batches::Constant(x), _) => (Input::constant(x.view(), steps), fixture.targets()),
            (Batches::Sequence(x), _) => (Input::sequence(x.view()), fixture.targets()),
        }
    }
}

fn double<F: Float, D: ndarray::Dimension>(values: &ndarray::Array<F, D>) -> ArrayD<f64> {
    values.mapv(Float::as_f64).into_dyn()
}

fn list(values: Vec<f64>) -> ArrayD<f64> {
    Array1::from(values).into_dyn()
}

/// Everything that the fixture holds, as this engine computes it. The engine has made the fixture's
/// updates then.
pub(super) fn compute<F: Float>(fixture: &Fixture, engine: &mut dyn Engine<F>) -> Result<Tensors> {
    let batches = Batches::<F>::new(fixture)?;
    let images = matches!(fixture.source, Source::Images { .. });
    let mut out = Tensors::new();
    let (input, targets) = batches.get(0, fixture);

    let recording = engine.forward(input, &Record::All)?;
    let mut rates = Vec::new();
    for k in 1..=recording.num_layers() {
        let Some(trace) = recording.trace(k) else {
            rates.push(f64::NAN);
            continue;
        };
        out.insert(format!("spk{k}"), double(&trace.spk));
        out.insert(format!("mem{k}"), double(&trace.mem));
        rates.push(trace.firing_rate());
    }
    out.insert("firing_rate".into(), list(rates));
    out.insert("spike_count".into(), double(&recording.spike_count()));
    if matches!(engine.objective().loss, Loss::CrossEntropyMembrane) {
        let losses = loss_per_step(&recording, targets)?;
        out.insert("loss_per_step".into(), list(losses));
    }
    let report = engine.evaluate(input.classes(targets))?;
    out.insert("accuracy".into(), list(vec![report.accuracy_spike_count()]));

    let (loss, gradients) = engine.gradients(input.classes(targets))?;
    out.insert("loss".into(), list(vec![loss]));
    for (name, gradient) in gradients.tensors() {
        let gradient = gradient.mapv(Float::as_f64);
        let norm = || list(vec![gradient.iter().map(|g| g * g).sum::<f64>().sqrt()]);
        let values = if images { norm() } else { gradient };
        out.insert(format!("grad.{name}"), values);
    }

    let (mut losses, mut accuracies) = (Vec::new(), Vec::new());
    let kept = fixture.kept_updates();
    for n in 1..=fixture.updates() {
        let (input, targets) = batches.get(n - 1, fixture);
        let report = engine.train_step(input.classes(targets))?;
        losses.push(report.loss);
        accuracies.push(report.accuracy_spike_count());
        if kept.contains(&n) {
            for (name, values) in engine.to_network()?.parameters() {
                out.insert(format!("adam{n}.{name}"), values.mapv(Float::as_f64));
            }
        }
    }
    if fixture.updates() > 0 {
        out.insert("adam_loss".into(), list(losses));
        out.insert("adam_accuracy".into(), list(accuracies));
    }
    out.retain(|name, _| fixture.expected().contains_key(name));
    Ok(out)
}

/// The cross entropy of each step by itself.
fn loss_per_step<F: Float>(recording: &Recording<F>, targets: &[usize]) -> Result<Vec<f64>> {
    let steps = recording.output().mem.axis_chunks_iter(Axis(0), 1);
    steps
        .map(|u_t| {
            let trace = Trace::new(Array3::zeros(u_t.raw_dim()), u_t.to_owned());
            let step = Recording::new(Vec::new(), trace);
            Ok(Loss::CrossEntropyMembrane.evaluate(&step, targets)?.0)
        })
        .collect()
}
