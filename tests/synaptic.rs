//! The current-based neuron: gradients by finite differences over its whole product, the recurrence of
//! the libraries that it comes from, every engine against the reference, and its files.

use std::f64::consts::PI;

use ndarray::{Array2, Array3, array};
use spikegrad::{
    Adam, CpuEngine, Dynamics, Engine, Error, Input, Loss, Network, PerNeuron, Predictor, Record,
    ReferenceEngine, Reset, Surrogate, Synaptic, gradcheck::gradcheck,
};

const DYNAMICS: [Dynamics; 3] = [
    Dynamics::FireThenIntegrate,
    Dynamics::IntegrateThenFire,
    Dynamics::IntegrateFireReset,
];
const RESETS: [(Reset, bool); 5] = [
    (Reset::Subtract, true),
    (Reset::Subtract, false),
    (Reset::Zero, true),
    (Reset::Zero, false),
    (Reset::None, true),
];

/// Deterministic numbers in `[0, 1)`, different for every index.
fn noise(i: usize) -> f64 {
    (i as f64 * 0.754_877_666).fract()
}

/// Every variant with a description: 3 orders of events, 5 resets, the new and the old current.
fn variants() -> Vec<(String, Synaptic)> {
    let mut variants = Vec::new();
    for dynamics in DYNAMICS {
        for (reset, detach) in RESETS {
            for old in [false, true] {
                let neuron = Synaptic::new(0.8, 0.85)
                    .dynamics(dynamics)
                    .reset(reset)
                    .detach_reset(detach)
                    .old_current(old);
                let label = format!("{dynamics:?} {reset:?} detach {detach} old {old}");
                variants.push((label, neuron));
            }
        }
    }
    variants
}

fn learning(neuron: Synaptic) -> Synaptic {
    neuron
        .learn_alpha(true)
        .learn_beta(true)
        .learn_gain(true)
        .learn_threshold(true)
}

#[test]
fn every_variant_agrees_with_finite_differences() {
    let x = Array2::from_shape_fn((2, 3), |(b, n)| 2.0 * noise(3 * b + n));
    let binary = Array3::from_shape_fn((6, 2, 3), |(t, b, n)| {
        f64::from(u8::from(noise(7 * t + 5 * b + n) < 0.5))
    });
    let mut seed = 0;
    for (label, neuron) in variants() {
        for surrogate in [
            Surrogate::Arctan { alpha: 2.0 },
            Surrogate::FastSigmoid { slope: 25.0 },
            Surrogate::Sigmoid { slope: 4.0 },
        ] {
            for loss in [Loss::CrossEntropyCount, Loss::CrossEntropyMembrane] {
                seed += 1;
                let hidden = learning(neuron.clone())
                    .surrogate(surrogate)
                    .threshold(vec![0.3, 0.5, 0.4, 0.6])
                    .gain(vec![0.6, 1.0, 0.8, 1.2]);
                let output = learning(neuron.clone()).surrogate(surrogate).gain(0.7);
                let network: Network<f64> = Network::builder(3)
                    .layer(4, hidden)
                    .layer(2, output.threshold(0.45))
                    .seed(seed)
                    .build()
                    .unwrap();
                let input = match seed % 2 {
                    0 => Input::constant(x.view(), 6),
                    _ => Input::sequence(binary.view()),
                };
                let report = gradcheck(&network, input, &[1, 0], loss.clone()).unwrap();
                assert!(report.passes(), "{label} {surrogate:?} {loss:?}\n{report}");
                // A threshold of the last layer matters to a membrane through its reset alone.
                let nothing = report.nothing_to_compare();
                let expected = nothing.iter().all(|name| *name == "lif2.threshold");
                assert!(expected, "{label} {surrogate:?} {loss:?}\n{report}");
            }
        }
    }
}

/// One neuron, weight 1, bias 0: the recurrences of snnTorch's `Synaptic` (`mem = β mem + syn − r θ`, or
/// with reset to zero `(1 − r)(β mem + syn)`) and of SpyTorch, written out.
#[test]
fn the_libraries_recurrences() {
    let x: Vec<f64> = (0..40).map(|t| 0.9 * noise(11 * t) - 0.1).collect();
    let run = |neuron: Synaptic| {
        let mut network: Network<f64> = Network::builder(1).layer(1, neuron).build().unwrap();
        for (name, value) in [
            ("fc1.weight", array![[1.0]].into_dyn()),
            ("fc1.bias", array![0.0].into_dyn()),
        ] {
            network.set_parameter(name, value.view()).unwrap();
        }
        let x = Array3::from_shape_fn((40, 1, 1), |(t, _, _)| x[t]);
        let loss = Loss::CrossEntropyMembrane;
        let mut engine = ReferenceEngine::new(network, loss, Adam::new(1e-3)).unwrap();
        let recording = engine.forward(Input::sequence(x.view()), &Record::All);
        let output = recording.unwrap().output().clone();
        (
            output.spk.into_raw_vec_and_offset().0,
            output.mem.into_raw_vec_and_offset().0,
        )
    };
    let (alpha, beta, theta) = (0.8, 0.9, 1.0);
    let fires = |u: f64| f64::from(u8::from(u > theta));
    for zero in [false, true] {
        let reset = if zero { Reset::Zero } else { Reset::Subtract };
        let (spk, mem) = run(Synaptic::new(alpha, beta).reset(reset));
        let (mut syn, mut u, mut spikes) = (0.0, 0.0, 0.0);
        for t in 0..40 {
            let r = fires(u);
            syn = alpha * syn + x[t];
            u = match zero {
                true => (1.0 - r) * (beta * u + syn),
                false => beta * u + syn - r * theta,
            };
            assert!((mem[t] - u).abs() < 1e-12, "{reset:?} step {t}");
            assert_eq!(spk[t], fires(u), "{reset:?} step {t}");
            spikes += spk[t];
        }
        assert!(spikes > 3.0, "{reset:?}: {spikes} spikes");
    }
    let (spk, mem) = run(Synaptic::spytorch(alpha, beta));
    let (mut syn, mut u, mut spikes) = (0.0, 0.0, 0.0);
    for t in 0..40 {
        let s = fires(u);
        u = (beta * u + syn) * (1.0 - s);
        syn = alpha * syn + x[t];
        assert!((mem[t] - u).abs() < 1e-12, "step {t}");
        assert_eq!(spk[t], s, "step {t}");
        spikes += s;
    }
    assert!(spikes > 3.0, "{spikes} spikes");
}

/// Static and changing input, wide and narrow layers, fixed and learnt constants.
#[test]
fn every_instruction_set_agrees_with_the_reference() {
    let x = Array2::from_shape_fn((5, 20), |(b, n)| noise(20 * b + n) as f32);
    let sequence = Array3::from_shape_fn((16, 5, 20), |(t, b, n)| {
        f32::from(u8::from(noise(31 * t + 20 * b + n) < 0.3))
    });
    let targets = [0, 1, 2, 1, 0];
    for (seed, (label, neuron)) in variants().into_iter().enumerate() {
        let neuron = match seed % 3 {
            0 => neuron,
            1 => learning(neuron).surrogate(Surrogate::FastSigmoid { slope: 10.0 }),
            _ => learning(neuron).surrogate(Surrogate::Sigmoid { slope: 5.0 }),
        };
        let each: Vec<f64> = (0..70).map(|n| 0.5 + 0.3 * noise(n)).collect();
        let network: Network = Network::builder(20)
            .layer(70, neuron.clone().threshold(each))
            .layer(35, neuron.clone().gain(0.9).threshold(0.3))
            .layer(3, neuron.threshold(0.12))
            .seed(seed as u64)
            .build()
            .unwrap();
        let (loss, adam) = (Loss::CrossEntropyMembrane, Adam::new(1e-3));
        for input in [
            Input::constant(x.view(), 16),
            Input::sequence(sequence.view()),
        ] {
            let mut reference = ReferenceEngine::new(network.clone(), loss.clone(), adam).unwrap();
            let recording = reference.forward(input, &Record::All).unwrap();
            let (expected_loss, expected) = reference.gradients(input.classes(&targets)).unwrap();
            let rates = reference
                .evaluate(input.classes(&targets))
                .unwrap()
                .firing_rate;
            // Late orders with a reset of the current as well leave the last of three layers silent; its
            // membranes are compared.
            let lively = rates[..2].iter().all(|rate| (0.002..0.95).contains(rate));
            assert!(lively, "{label}: {rates:?}");
            let mut trained = Vec::new();
            for isa in CpuEngine::instruction_sets() {
                let mut engine =
                    CpuEngine::with_instruction_set(network.clone(), loss.clone(), adam, isa)
                        .unwrap();
                let found = engine.forward(input, &Record::All).unwrap();
                for k in 1..=3 {
                    let (found, expected) = (found.trace(k).unwrap(), recording.trace(k).unwrap());
                    assert_eq!(found.spk, expected.spk, "{label} {isa} layer {k}");
                    let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
                    assert!(
                        found.mem.iter().zip(&expected.mem).all(close),
                        "{label} {isa}"
                    );
                }
                let predictor = Predictor::with_instruction_set(&network, isa).unwrap();
                assert_eq!(
                    predictor.forward(input, &Record::All).unwrap(),
                    found,
                    "{label}"
                );
                let (found_loss, found) = engine.gradients(input.classes(&targets)).unwrap();
                assert!(
                    (found_loss - expected_loss).abs() < 1e-4 * expected_loss,
                    "{label}"
                );
                for ((name, a), (_, b)) in expected.tensors().iter().zip(found.tensors()) {
                    let largest = a.iter().fold(1e-6_f32, |max, x| max.max(x.abs()));
                    let close = a
                        .iter()
                        .zip(&b)
                        .all(|(a, b)| (a - b).abs() < 1e-3 * largest);
                    assert!(close, "{label} {isa} {name}:\n{a}\n{b}");
                }
                // A loss that has seen a recording goes back from it to the same bits.
                let custom = Loss::custom(|recording, targets| {
                    Loss::CrossEntropyMembrane.evaluate(recording, targets)
                });
                let mut custom =
                    CpuEngine::with_instruction_set(network.clone(), custom, adam, isa).unwrap();
                let (_, recorded) = custom.gradients(input.classes(&targets)).unwrap();
                for ((name, a), (_, b)) in recorded.tensors().iter().zip(found.tensors()) {
                    let largest = b.iter().fold(1e-6_f32, |max, x| max.max(x.abs()));
                    let close = a
                        .iter()
                        .zip(&b)
                        .all(|(a, b)| (a - b).abs() < 1e-5 * largest);
                    assert!(close, "{label} {isa} {name}, from a recording");
                }
                for _ in 0..3 {
                    engine.train_step(input.classes(&targets)).unwrap();
                }
                if isa != "SSE2" {
                    trained.push(engine.to_network().unwrap());
                }
            }
            assert!(
                trained.windows(2).all(|pair| pair[0] == pair[1]),
                "{label}: bits"
            );
        }
    }
}

#[test]
fn learnt_constants_stay_in_range_and_are_named() {
    let neuron = learning(Synaptic::new(0.99, 0.01)).threshold(1e-5);
    let network: Network = Network::builder(2).layer(3, neuron).build().unwrap();
    let names: Vec<String> = (network.parameters().into_iter())
        .map(|(name, _)| name)
        .collect();
    let expected = [
        "fc1.weight",
        "fc1.bias",
        "lif1.alpha",
        "lif1.beta",
        "lif1.gain",
        "lif1.threshold",
    ];
    assert_eq!(names, expected);
    let x = array![[1.0_f32, 0.5], [0.3, 0.9]];
    let mut engine = CpuEngine::new(network, Loss::CrossEntropyCount, Adam::new(0.5)).unwrap();
    for _ in 0..10 {
        engine
            .train_step(Input::constant(x.view(), 8).classes(&[0, 2]))
            .unwrap();
        let network = engine.to_network().unwrap();
        let layer = &network.layers()[0];
        let value = |name| layer.constant(name).unwrap()[0];
        assert!((0.0..=1.0).contains(&value("alpha")) && (0.0..=1.0).contains(&value("beta")));
        assert!(value("threshold") >= 1e-6);
    }
}

#[test]
#[cfg(feature = "safetensors")]
fn files_hold_all_of_it() {
    use spikegrad::{Checkpoint, History, Trainer};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let build = |neuron: Synaptic| -> Network {
        Network::builder(4)
            .layer(3, learning(neuron.clone()).gain(vec![0.5, 1.0, 1.5]))
            .layer(2, neuron)
            .build()
            .unwrap()
    };
    let network = build(Synaptic::spytorch(0.8, 0.9));
    network.save_safetensors(&path).unwrap();
    assert_eq!(Network::<f32>::load(&path).unwrap(), network);
    let mut other = build(Synaptic::spytorch(0.7, 0.9));
    let before = other.clone();
    let error = other.load_safetensors(&path).unwrap_err().to_string();
    assert!(
        error.contains("lif2.alpha is 0.8 in the file; expected 0.7"),
        "{error}"
    );
    assert_eq!(other, before);
    let error = build(Synaptic::new(0.8, 0.9))
        .load_safetensors(&path)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("lif1.dynamics is fire_then_integrate"),
        "{error}"
    );
    let leaky = Network::builder(4).layer(3, spikegrad::Leaky::new(0.9));
    let mut leaky: Network = leaky.layer(2, spikegrad::Leaky::new(0.9)).build().unwrap();
    let error = leaky.load_safetensors(&path).unwrap_err().to_string();
    assert!(error.contains("lif1"), "{error}");

    // A GPU, where there is one, and the CPU.
    let devices = [spikegrad::Device::Auto.resolve().0, spikegrad::Device::Cpu];
    for device in devices {
        let (network, adam) = (network.clone(), Adam::new(1e-2));
        let engine = device.engine(network, Loss::CrossEntropyMembrane, adam);
        let mut engine = engine.unwrap();
        let x = Array2::from_shape_fn((2, 4), |(b, n)| noise(4 * b + n) as f32);
        let step = |engine: &mut dyn Engine| {
            engine
                .train_step(Input::constant(x.view(), 7).classes(&[0, 1]))
                .unwrap()
        };
        step(&mut *engine);
        let checkpoint = Checkpoint::new(&mut *engine, &Trainer::default(), &History::default());
        let bytes = checkpoint.unwrap().to_bytes().unwrap();
        let read = Checkpoint::from_bytes(&bytes).unwrap();
        let mut resumed = read.engine(device).unwrap();
        for _ in 0..3 {
            assert_eq!(step(&mut *engine), step(&mut *resumed));
        }
        assert_eq!(engine.to_network().unwrap(), resumed.to_network().unwrap());
    }
}

#[test]
fn what_is_out_of_range_is_refused_by_name() {
    let build = |neuron: Synaptic| Network::builder(2).layer(3, neuron).build::<f32>();
    for (neuron, says) in [
        (
            Synaptic::new(1.5, 0.9),
            "layer 1: alpha is 1.5; expected a decay from 0 to 1",
        ),
        (Synaptic::new(0.5, f64::NAN), "layer 1: beta is NaN"),
        (
            Synaptic::new(0.5, 0.9).gain(f64::INFINITY),
            "layer 1: gain is inf",
        ),
        (
            Synaptic::new(0.5, 0.9).threshold(0.0),
            "layer 1: threshold is 0",
        ),
        (
            Synaptic::new(0.5, 0.9).surrogate(Surrogate::Arctan { alpha: -PI }),
            "layer 1: arctan alpha",
        ),
    ] {
        let error = build(neuron).unwrap_err();
        assert!(matches!(error, Error::InvalidParameter { .. }));
        assert!(error.to_string().starts_with(says), "{error}");
    }
    let two = PerNeuron::Each(vec![0.5, 0.6]);
    let error = build(Synaptic::new(two, 0.9)).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{error}");
}

/// Only the neuron that fires before it integrates makes the input wait a step in each layer.
#[test]
fn firing_first_costs_a_step_a_layer() {
    for (dynamics, steps) in DYNAMICS.into_iter().zip([3, 1, 1]) {
        let neuron = || Synaptic::new(0.5, 0.9).dynamics(dynamics);
        let builder = Network::builder(2).layer(3, neuron()).layer(2, neuron());
        let network: Network = builder.build().unwrap();
        assert_eq!(network.min_steps(), steps, "{dynamics:?}");
    }
}
