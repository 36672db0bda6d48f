//! Times the training step of recurrent networks, where it goes, and one step of a stream.
//!
//! ```sh
//! cargo bench --bench recurrent
//! ```
//!
//! 700 inputs that fire at random, recurrent current-based neurons, 20 leaky integrators,
//! cross entropy of the largest membrane, Adam, 128 samples: the shape of networks for spoken digits (SHD).
//! The products of the recurrent weights with dense adjoints need `B·T·N²` multiply-adds per layer, the
//! walks of spikes as many additions as there are spikes times neurons.

use std::time::Instant;

use ndarray::Array3;
use spikegrad::{
    Adam, CpuEngine, Engine, Init, Input, LeakyIntegrator, Loss, Network, Predictor, Record,
    Recurrence, Reset, State, Surrogate, Synaptic,
};

const BATCH: usize = 128;
const INPUTS: usize = 700;
const CLASSES: usize = 20;

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return; // `cargo test` runs benches too
    }
    for (hidden, steps, density, layers) in [
        (256, 100, 0.12, 1),
        (256, 100, 0.02, 1),
        (256, 250, 0.02, 1),
        (1024, 100, 0.02, 1),
        (256, 100, 0.02, 2),
    ] {
        time(hidden, steps, density, layers);
    }
    for density in [0.12, 0.02] {
        time_streaming(density);
    }
}

/// The network of recurrent layers.
fn network(hidden: usize, density: f64, layers: usize) -> Network {
    let (alpha, beta) = ((-1.0_f64 / 10.0).exp(), (-1.0_f64 / 20.0).exp());
    let neuron = Synaptic::new(alpha, beta)
        .reset(Reset::Zero)
        .gain(1.0 - beta)
        .surrogate(Surrogate::FastSigmoid { slope: 10.0 });
    let mut builder = Network::builder(INPUTS);
    for layer in 0..layers {
        let scale = match layer {
            0 => 0.5 / density.sqrt(),
            _ => 3.0,
        };
        builder = builder
            .layer(hidden, neuron.clone())
            .bias(false)
            .init(Init::Scaled { scale })
            .recurrent(Recurrence::all_to_all().bias(false))
            .recurrent_init(Init::Scaled { scale: 0.1 });
    }
    builder
        .layer(
            CLASSES,
            LeakyIntegrator::new(beta).alpha(alpha).gain(1.0 - beta),
        )
        .bias(false)
        .init(Init::Scaled { scale: 1.0 })
        .build()
        .expect("a valid network")
}

/// `[steps, batch, INPUTS]`: spikes at random, a share `density` of all.
fn spikes(steps: usize, batch: usize, density: f64) -> Array3<f32> {
    let mut seed = 1_u64;
    let mut random = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 40) as f64 / (1 << 24) as f64
    };
    Array3::from_shape_simple_fn((steps, batch, INPUTS), || {
        f32::from(u8::from(random() < density))
    })
}

fn time(hidden: usize, steps: usize, density: f64, layers: usize) {
    let x = spikes(steps, BATCH, density);
    let targets: Vec<usize> = (0..BATCH).map(|b| b % CLASSES).collect();
    let network = network(hidden, density, layers);
    let mut engine = CpuEngine::new(network, Loss::CrossEntropyMaxMembrane, Adam::new(1e-3))
        .expect("a valid engine");
    let samples = || Input::sequence(x.view()).classes(&targets);
    let mut rates = Vec::new();
    for _ in 0..3 {
        rates = engine.train_step(samples()).expect("a step").firing_rate;
    }
    engine.start_clock();
    let mut times: Vec<f64> = Vec::new();
    for _ in 0..9 {
        let begin = Instant::now();
        engine.train_step(samples()).expect("a step");
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let parts = engine.stop_clock();
    times.sort_by(f64::total_cmp);
    let rates: Vec<String> = rates
        .iter()
        .map(|rate| format!("{:.1} %", 100.0 * rate))
        .collect();
    println!(
        "\n{layers} x {hidden} neurons, T = {steps}, {:.0} % of the inputs fire, layers {}: {:.1} ms a step",
        100.0 * density,
        rates.join(" "),
        times[times.len() / 2]
    );
    for (name, seconds) in parts {
        if seconds > 0.0 {
            println!("  {name:<18} {:7.2} ms", seconds * 1e3 / 9.0 / threads);
        }
    }
}

/// One step of one sample at a time, as it arrives.
fn time_streaming(density: f64) {
    const STEPS: usize = 1000;
    let predictor = Predictor::new(&network(256, density, 1));
    let x = spikes(STEPS, 1, density);
    let mut state = State::rest(predictor.network(), 1).expect("it fits");
    let mut times = Vec::with_capacity(STEPS);
    for x in x.outer_iter() {
        let begin = Instant::now();
        let input = Input::constant(x, 1);
        let step = predictor.forward_from(&mut state, input, &Record::Output);
        std::hint::black_box(step.expect("a step"));
        times.push(begin.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "\none step of one sample as it arrives, 256 neurons, {:.0} % of the inputs fire: {:.1} us",
        100.0 * density,
        times[STEPS / 2]
    );
}
