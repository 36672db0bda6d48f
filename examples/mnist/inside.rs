//! Looking inside the network: norms of gradients while it trains, and neurons that take no part once
//! it is trained.

use serde_json::{Value, json};
use spikegrad::{
    Engine, Input, Record, Result,
    data::Dataset,
    train::{Event, History},
};

/// The gradients of one batch in so many are measured, from the first of each epoch on.
const EVERY: usize = 50;
/// Test images that tell which neurons are silent or saturated, at most.
const IMAGES: usize = 128;
/// Neuron-steps that are looked at for it, about.
const NEURON_STEPS: usize = 1 << 27;

/// Says whether the gradients of an epoch's batch `next`, the engine's next one, are to be measured:
/// the same ones in a run that went on from a checkpoint.
pub fn measure(engine: &mut dyn Engine, next: usize) {
    engine.measure_gradients(next.is_multiple_of(EVERY));
}

/// The same after an event of the training.
pub fn event(engine: &mut dyn Engine, event: Event<'_>) {
    if let Event::Batch {
        record, batches, ..
    } = event
    {
        measure(engine, (record.batch + 1) % batches);
    }
}

/// The mean norm of each layer's gradients over the batches of an epoch that were measured; empty if
/// none was.
pub fn mean_norms(history: &History, epoch: usize) -> Vec<f64> {
    let batches = history.batches.iter().filter(|b| b.epoch == epoch);
    let measured = batches.filter_map(|b| b.report.gradient_norms.as_ref());
    let mut sums: Vec<f64> = Vec::new();
    let mut count = 0.0;
    for norms in measured {
        sums.resize(norms.len(), 0.0);
        sums.iter_mut().zip(norms).for_each(|(sum, x)| *sum += x);
        count += 1.0;
    }
    sums.iter().map(|sum| sum / count).collect()
}

/// How many neurons of each layer are silent or saturated, over all of the first test images.
pub struct Neurons {
    images: usize,
    /// Of each layer: neurons, silent, saturated.
    layers: Vec<[usize; 3]>,
}

impl Neurons {
    /// Shows the network one image after the other.
    pub fn look(engine: &mut dyn Engine, test: &Dataset, steps: usize) -> Result<Neurons> {
        let sizes = engine.to_network()?.sizes();
        let neurons: usize = sizes[1..].iter().sum();
        let images = (NEURON_STEPS / neurons / steps).clamp(1, IMAGES.min(test.len()));
        // Silent and saturated neurons of each layer, so far.
        let mut found: [Vec<Vec<usize>>; 2] =
            std::array::from_fn(|_| sizes[1..].iter().map(|&n| (0..n).collect()).collect());
        for image in 0..images {
            let batch = test.batch(&[image])?;
            let input = Input::constant(batch.images.view(), steps);
            let recording = engine.forward(input, &Record::All)?;
            let now = [recording.silent_neurons(), recording.saturated_neurons()];
            for (found, now) in found.iter_mut().zip(now) {
                for (found, now) in found.iter_mut().zip(now) {
                    let now = now.unwrap_or_default();
                    found.retain(|n| now.binary_search(n).is_ok());
                }
            }
        }
        let [silent, saturated] = found;
        let layers = sizes[1..].iter().zip(silent.iter().zip(&saturated));
        Ok(Neurons {
            images,
            layers: layers.map(|(&n, (a, b))| [n, a.len(), b.len()]).collect(),
        })
    }

    /// For `summary.json`.
    pub fn json(&self) -> Value {
        let layer = |[neurons, silent, saturated]: &[usize; 3]| json!({"neurons": neurons, "silent": silent, "saturated": saturated});
        json!({
            "test_images": self.images,
            "layers": self.layers.iter().map(layer).collect::<Vec<_>>(),
        })
    }
}
