//! Trains on spike trains `[T, B, N]` instead of images: three classes of rhythms with noise.
//!
//! ```console
//! cargo run --release --example spike_trains
//! ```

use ndarray::Array3;
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use spikegrad::{Adam, Device, Input, Leaky, Loss, Network, Record};

const STEPS: usize = 60;
const CHANNELS: usize = 24;
const BATCH: usize = 64;

/// A batch: the channels of class `c` fire one after another every `6 + 3 c` steps. One spike in
/// ten is missing, and each channel also fires at random.
fn batch(rng: &mut ChaCha8Rng) -> (Array3<f32>, Vec<usize>) {
    let mut chance = |rate: f64| f64::from(rng.next_u32()) < rate * f64::from(u32::MAX);
    let classes: Vec<usize> = (0..BATCH).map(|b| b % 3).collect();
    let spikes = Array3::from_shape_fn((STEPS, BATCH, CHANNELS), |(t, b, n)| {
        let beat = (t + n) % (6 + 3 * classes[b]) == 0;
        f32::from(u8::from(beat && chance(0.9) || chance(0.04)))
    });
    (spikes, classes)
}

fn main() -> spikegrad::Result<()> {
    let network: Network = Network::builder(CHANNELS)
        .layer(100, Leaky::snntorch(0.8))
        .layer(3, Leaky::snntorch(0.8))
        .build()?;
    // Trained on spike counts, so read by spike counts.
    let loss = Loss::CrossEntropyCount;
    let read_out = loss.read_out().unwrap_or_default();
    let mut engine = Device::Auto.engine(network, loss, Adam::new(2e-3))?;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    for step in 1..=150 {
        let (spikes, classes) = batch(&mut rng);
        let report = engine.train_step(Input::sequence(spikes.view()).classes(&classes))?;
        if step % 50 == 0 {
            println!("batch {step}: loss {:.3}", report.loss);
        }
    }

    let (spikes, classes) = batch(&mut rng);
    let input = Input::sequence(spikes.view());
    let mut found = vec![0; BATCH];
    engine.classify(input, read_out, &mut found)?;
    let right = found
        .iter()
        .zip(&classes)
        .filter(|(found, class)| found == class)
        .count();
    println!("new batch: {right} of {BATCH} right");

    // What the network did, spike by spike.
    let recording = engine.forward(input, &Record::All)?;
    for layer in 1..=recording.num_layers() {
        if let Some(trace) = recording.trace(layer) {
            let silent = trace.silent_neurons().len();
            let rate = 100.0 * trace.firing_rate();
            println!(
                "layer {layer}: {rate:.1} % of neuron-steps fire, {silent} neurons are silent"
            );
        }
    }
    Ok(())
}
