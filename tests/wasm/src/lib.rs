//! Training runs on the portable instruction set, each reported as a line with a checksum of its bits.
//! `.ci/wasm` runs them in WebAssembly and on the machine itself, and compares the lines.
//!
//! The crate depends on `spikegrad` alone, as a program of a user may.

use std::ops::ControlFlow;

use std::{fmt::Write, sync::OnceLock};

use spikegrad::{
    Adam, CpuEngine, Dynamics, Engine, Input, Leaky, Loss, Network, ReadOut, Record,
    ReferenceEngine, Reset, Trainer,
    data::Dataset,
    gradcheck::gradcheck,
    ndarray::{Array2, Array3},
    train::Event,
};

/// Where [`report`] lies in memory, for JavaScript to read.
// SAFETY: no other function of this module has the name.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn report_at() -> *const u8 {
    stored().as_ptr()
}

/// How many bytes [`report`] has.
// SAFETY: no other function of this module has the name.
#[allow(unsafe_code)]
#[unsafe(no_mangle)]
pub extern "C" fn report_len() -> usize {
    stored().len()
}

fn stored() -> &'static str {
    static REPORT: OnceLock<String> = OnceLock::new();
    REPORT.get_or_init(report)
}

/// All runs, a line each.
///
/// # Panics
/// If anything is wrong; in WebAssembly that is a trap.
pub fn report() -> String {
    refuses_what_memory_cannot_hold();
    let mut lines = String::new();
    for (label, line) in (steps().into_iter()).chain([learnt(), fitted(), proved()]) {
        writeln!(lines, "{label}: {line}").unwrap();
    }
    lines
}

/// Three updates of each rule by each of three losses, on a static input and on a sequence.
fn steps() -> Vec<(String, String)> {
    let losses = [
        Loss::CrossEntropyMembrane,
        Loss::CrossEntropyRate,
        Loss::MseCount {
            correct_rate: 0.8,
            incorrect_rate: 0.2,
        },
    ];
    let image = Array2::from_shape_fn((9, 20), |(b, n)| pixel(b, n));
    let sequence = Array3::from_shape_fn((7, 9, 20), |(t, b, n)| pixel(t + b, n));
    let targets: Vec<usize> = (0..9).map(|b| b % 3).collect();
    let mut lines = Vec::new();
    for dynamics in [
        Dynamics::FireThenIntegrate,
        Dynamics::IntegrateThenFire,
        Dynamics::IntegrateFireReset,
    ] {
        for reset in [Reset::Subtract, Reset::Zero, Reset::None] {
            for loss in &losses {
                let neuron = Leaky::new(0.9)
                    .threshold(0.25)
                    .dynamics(dynamics)
                    .reset(reset);
                let network = Network::builder(20)
                    .layer(33, neuron.clone())
                    .layer(18, neuron.clone())
                    .layer(3, neuron);
                let mut engine = portable(network.seed(3).build().unwrap(), loss.clone());
                let mut values = Vec::new();
                for _ in 0..3 {
                    for input in [
                        Input::constant(image.view(), 7),
                        Input::sequence(sequence.view()),
                    ] {
                        let report = engine.train_step(input.classes(&targets)).unwrap();
                        values.push(report.loss);
                        values.extend(report.firing_rate);
                    }
                }
                let mut classes = vec![0; 9];
                let input = Input::constant(image.view(), 7);
                let read_out = ReadOut::Membrane;
                engine.classify(input, read_out, &mut classes).unwrap();
                let recording = engine.forward(input, &Record::All).unwrap();
                values.extend(recording.spike_count().iter().map(|&n| f64::from(n)));
                let spikes = recording.spike_count().sum();
                lines.push((
                    format!("{dynamics:?}, {reset:?}, {loss:?}"),
                    format!(
                        "{}, {spikes} spikes, classes {classes:?}",
                        bits(&mut engine, values)
                    ),
                ));
            }
        }
    }
    lines
}

/// Decays and thresholds that are learnt, gradients that are clipped.
fn learnt() -> (String, String) {
    let neuron = |n: usize| {
        Leaky::new((0..n).map(|k| 0.8 + 0.01 * k as f64).collect::<Vec<f64>>())
            .threshold(0.5)
            .learn_beta(true)
            .learn_threshold(true)
    };
    let network = Network::builder(20)
        .layer(16, neuron(16))
        .layer(4, neuron(4));
    let adam = Adam::new(1e-2).clip_norm(0.1);
    let isa = CpuEngine::instruction_sets()[0];
    let loss = Loss::CrossEntropyCount;
    let mut engine =
        CpuEngine::with_instruction_set(network.build().unwrap(), loss, adam, isa).unwrap();
    let x = Array2::from_shape_fn((8, 20), |(b, n)| pixel(b, n));
    let targets: Vec<usize> = (0..8).map(|b| b % 4).collect();
    let mut losses = Vec::new();
    for _ in 0..5 {
        let input = Input::constant(x.view(), 10);
        losses.push(engine.train_step(input.classes(&targets)).unwrap().loss);
    }
    ("learnt and clipped".into(), bits(&mut engine, losses))
}

/// A whole run of the trainer, stopped in its third epoch.
fn fitted() -> (String, String) {
    let images = Array2::from_shape_fn((40, 16), |(b, n)| if b % 2 == n % 2 { 255 } else { 9 });
    let data = Dataset::new(images, (0..40).map(|b| b % 2).collect(), 2).unwrap();
    let network = Network::builder(16)
        .layer(24, Leaky::new(0.95))
        .layer(2, Leaky::new(0.95));
    let mut engine = portable(network.build().unwrap(), Loss::CrossEntropyMembrane);
    let trainer = Trainer {
        epochs: 9,
        batch_size: 8,
        num_steps: 10,
        seed: 1,
        ..Trainer::default()
    };
    let history = trainer
        .fit(&mut engine, &data, Some(&data), |_, event| match event {
            Event::Batch { history, .. } if history.batches.len() == 12 => {
                Ok(ControlFlow::Break(()))
            }
            _ => Ok(ControlFlow::Continue(())),
        })
        .unwrap();
    let (batches, epochs) = (history.batches.len(), history.epochs.len());
    assert_eq!((batches, epochs), (12, 2));
    let validation = history.epochs[1].validation.as_ref().unwrap();
    assert!(validation.loss < history.batches[0].report.loss);
    let mut losses: Vec<f64> = history.batches.iter().map(|b| b.report.loss).collect();
    losses.push(validation.loss);
    ("Trainer::fit".into(), bits(&mut engine, losses))
}

/// The gradient check passes, and the reference engine agrees.
fn proved() -> (String, String) {
    let network: Network = Network::builder(6)
        .layer(8, Leaky::new(0.9).threshold(0.3))
        .layer(3, Leaky::new(0.9))
        .build()
        .unwrap();
    let (wide, loss) = (network.cast::<f64>(), Loss::<f64>::CrossEntropyMembrane);
    let x = Array2::from_shape_fn((3, 6), |(b, n)| f64::from(pixel(b, n)));
    let input = Input::constant(x.view(), 6);
    let checked = gradcheck(&wide, input, &[0, 1, 2], loss.clone()).unwrap();
    assert!(checked.passes(), "{checked:?}");
    let mut reference = ReferenceEngine::new(wide, loss, Adam::new(1e-2)).unwrap();
    let expected = reference
        .train_step(input.classes(&[0, 1, 2]))
        .unwrap()
        .loss;
    let x = x.mapv(|x| x as f32);
    let mut engine = portable(network, Loss::CrossEntropyMembrane);
    let input = Input::constant(x.view(), 6);
    let found = engine.train_step(input.classes(&[0, 1, 2])).unwrap().loss;
    assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    ("gradcheck".into(), bits(&mut engine, [found]))
}

/// A network beyond 32 bits of memory is an error there, and ends nothing.
fn refuses_what_memory_cannot_hold() {
    if usize::BITS == 32 {
        let neuron = Leaky::new(0.9);
        let network = Network::builder(1 << 14)
            .layer(1 << 15, neuron)
            .build::<f32>();
        assert!(network.is_err());
    }
}

fn portable(network: Network, loss: Loss) -> CpuEngine {
    let isa = CpuEngine::instruction_sets()[0];
    CpuEngine::with_instruction_set(network, loss, Adam::new(1e-2), isa).unwrap()
}

/// Zeros, and numbers of all sizes between 0 and 1.
fn pixel(b: usize, n: usize) -> f32 {
    match (b * 7 + n * 5) % 11 {
        0..4 => 0.0,
        k => k as f32 / 10.0,
    }
}

/// A checksum of the engine's parameters and of these numbers, to the bit.
fn bits(engine: &mut CpuEngine, values: impl IntoIterator<Item = f64>) -> String {
    // FNV-1a.
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |bits: u64| {
        for byte in bits.to_le_bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    };
    for (_, parameter) in engine.to_network().unwrap().parameters() {
        parameter.for_each(|x| add(x.to_bits().into()));
    }
    values.into_iter().for_each(|x| add(x.to_bits()));
    format!("{hash:016x}")
}
