//! The neurons beside `Leaky` and `Synaptic`: gradients by finite differences over their settings, the
//! recurrences of their sources written out, every instruction set against the reference, and files.

use ndarray::{Array2, Array3, array};
use spikegrad::{
    AdLif, Adam, Adaptive, Alpha, CpuEngine, Draw, Dynamics, Encoder, Engine, Error, Input,
    Lapicque, Leaky, LeakyIntegrator, Loss, Lsnn, Network, PerNeuron, Predictor, Record,
    ReferenceEngine, Reset, Surrogate, decay, gradcheck::gradcheck, neuron::Neurons,
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
const FLAGS: [bool; 2] = [false, true];

/// Deterministic numbers in `[0, 1)`, different for every index.
fn noise(i: usize) -> f64 {
    (i as f64 * 0.754_877_666).fract()
}

/// A value for each of `n` neurons, from `low` to `low + span`.
fn each(n: usize, low: f64, span: f64) -> PerNeuron {
    PerNeuron::Each((0..n).map(|i| low + span * noise(3 * i + 1)).collect())
}

/// Every variant of every neuron with a description, for a layer of `n` neurons with thresholds of
/// about `theta`. All constants are learnt.
fn variants(n: usize, theta: f64, surrogate: Surrogate) -> Vec<(String, Neurons)> {
    let threshold = || each(n, 0.8 * theta, 0.4 * theta);
    let mut variants: Vec<(String, Neurons)> = Vec::new();
    let mut add = |label: String, neurons: Neurons| {
        let names: Vec<_> = neurons.constants().iter().map(|c| c.name).collect();
        let learn = |neurons: Neurons, name: &&str| neurons.learn(name, true);
        variants.push((label, names.iter().fold(neurons, learn)));
    };
    for dynamics in DYNAMICS {
        for (reset, detach) in RESETS {
            let label = format!("{dynamics:?} {reset:?} detach {detach}");
            let lapicque = Lapicque::circuit(2.5, 2.0, 1.0)
                .gain(each(n, 0.6, 0.6))
                .threshold(threshold())
                .dynamics(dynamics)
                .reset(reset)
                .detach_reset(detach)
                .surrogate(surrogate);
            add(format!("lapicque {label}"), lapicque.into());
            for normalized in FLAGS {
                let gain = if normalized { 4.0 } else { 0.6 };
                let encoder = Encoder::new(each(n, 0.7, 0.2))
                    .gain(each(n, gain, 0.5))
                    .bias(each(n, -0.05, 0.2))
                    .threshold(threshold())
                    .dynamics(dynamics)
                    .reset(reset)
                    .detach_reset(detach)
                    .surrogate(surrogate)
                    .normalized(normalized);
                let label = format!("encoder {label} normalized {normalized}");
                let plain = (dynamics, reset, detach);
                if plain == (Dynamics::FireThenIntegrate, Reset::Zero, true) {
                    let late = encoder.clone().late_reset(true);
                    add(format!("{label} late reset"), late.into());
                }
                add(label, encoder.into());
            }
        }
    }
    for reset in [Reset::Zero, Reset::Subtract, Reset::None] {
        let alpha = Alpha::new(each(n, 0.8, 0.1), 0.6)
            .threshold(threshold())
            .reset(reset)
            .surrogate(surrogate);
        add(format!("alpha {reset:?}"), alpha.into());
    }
    for bits in 0..32 {
        let [old, scaled, normalized, reset, adaptation] = [1, 2, 4, 8, 16].map(|b| bits & b != 0);
        let adaptive = Adaptive::yin(each(n, 0.6, 0.2), each(n, 0.7, 0.2))
            .adaptation(each(n, 0.2, 0.4))
            .threshold(threshold())
            .old_membrane(old)
            .scaled(scaled)
            .normalized(normalized)
            .detach_reset(reset)
            .detach_adaptation(adaptation)
            .surrogate(surrogate);
        add(format!("{:?}", adaptive.rule()), adaptive.into());
    }
    for detach in FLAGS {
        let lsnn = Lsnn::new(each(n, 0.6, 0.2), each(n, 0.5, 0.2), each(n, 0.7, 0.2))
            .adaptation(each(n, 0.1, 0.3))
            .threshold(threshold())
            .detach_reset(detach)
            .surrogate(surrogate);
        add(format!("lsnn detach {detach}"), lsnn.into());
    }
    let adlif = AdLif::new(each(n, 0.83, 0.1), each(n, 0.97, 0.02))
        .a(each(n, -0.2, 0.3))
        .b(each(n, 0.1, 0.3))
        .threshold(threshold())
        .surrogate(surrogate);
    add("adlif".into(), adlif.into());
    variants
}

/// Read-outs without spikes, everything learnt.
fn integrators(n: usize) -> Vec<(String, Neurons)> {
    let integrator = |old: bool| {
        LeakyIntegrator::new(each(n, 0.7, 0.2))
            .alpha(each(n, 0.5, 0.3))
            .gain(each(n, 0.6, 0.5))
            .old_current(old)
            .learn_alpha(true)
            .learn_beta(true)
            .learn_gain(true)
    };
    let label = |old| format!("integrator old {old}");
    FLAGS.map(|old| (label(old), integrator(old).into())).into()
}

#[test]
fn every_variant_agrees_with_finite_differences() {
    let x = Array2::from_shape_fn((2, 3), |(b, n)| 2.0 * noise(3 * b + n));
    let binary = Array3::from_shape_fn((6, 2, 3), |(t, b, n)| {
        f64::from(u8::from(noise(7 * t + 5 * b + n) < 0.5))
    });
    let mut seed = 0;
    let mut check = |label: &str, layers: [(usize, &Neurons); 2], loss: Loss<f64>| {
        seed += 1;
        let [(hidden, below), (outputs, above)] = layers;
        let network: Network<f64> = Network::builder(3)
            .layer(hidden, below.clone())
            .layer(outputs, above.clone())
            .seed(seed)
            .build()
            .unwrap();
        let input = match seed % 2 {
            0 => Input::constant(x.view(), 6),
            _ => Input::sequence(binary.view()),
        };
        let report = gradcheck(&network, input, &[1, 0], loss.clone()).unwrap();
        assert!(report.passes(), "{label} {loss:?}\n{report}");
        // What acts only through a spike does nothing for the last membrane's loss without a reset.
        let nothing = report.nothing_to_compare();
        let by_spike = ["lif2.threshold", "lif2.adaptation", "lif2.rho", "lif2.b"];
        let of_membrane = matches!(loss, Loss::CrossEntropyMembrane);
        let expected = |name: &&str| of_membrane && by_spike.contains(name);
        assert!(nothing.iter().all(expected), "{label} {loss:?}\n{report}");
    };
    for surrogate in [
        Surrogate::Arctan { alpha: 2.0 },
        Surrogate::FastSigmoid { slope: 25.0 },
        Surrogate::Sigmoid { slope: 4.0 },
    ] {
        let (below, above) = (variants(4, 0.4, surrogate), variants(2, 0.4, surrogate));
        for ((label, below), (_, above)) in below.iter().zip(&above) {
            for loss in [Loss::CrossEntropyCount, Loss::CrossEntropyMembrane] {
                check(label, [(4, below), (2, above)], loss);
            }
            for (read_out, above) in integrators(2) {
                let label = format!("{label}, {read_out}");
                let loss = Loss::CrossEntropyMembrane;
                check(&label, [(4, below), (2, &above)], loss);
            }
        }
    }
}

/// Spikes and membranes of one neuron with weight 1 and bias 0.
fn run(neuron: impl Into<Neurons>, x: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let mut network: Network<f64> = Network::builder(1).layer(1, neuron).build().unwrap();
    for (name, value) in [
        ("fc1.weight", array![[1.0]].into_dyn()),
        ("fc1.bias", array![0.0].into_dyn()),
    ] {
        network.set_parameter(name, value.view()).unwrap();
    }
    let x = Array3::from_shape_fn((x.len(), 1, 1), |(t, _, _)| x[t]);
    let loss = Loss::CrossEntropyMembrane;
    let mut engine = ReferenceEngine::new(network, loss, Adam::new(1e-3)).unwrap();
    let recording = engine.forward(Input::sequence(x.view()), &Record::All);
    let output = recording.unwrap().output().clone();
    let flat = |x: Array3<f64>| x.into_raw_vec_and_offset().0;
    (flat(output.spk), flat(output.mem))
}

/// Compares a neuron with its recurrence: `step` of an input gives spike and membrane.
fn follows(label: &str, neuron: impl Into<Neurons>, mut step: impl FnMut(f64) -> (bool, f64)) {
    let x: Vec<f64> = (0..60).map(|t| 1.1 * noise(11 * t) - 0.1).collect();
    let (spk, mem) = run(neuron, &x);
    let mut spikes = 0.0;
    for (t, x) in x.into_iter().enumerate() {
        let (s, u) = step(x);
        assert!(
            (mem[t] - u).abs() < 1e-12,
            "{label} step {t}: {} {u}",
            mem[t]
        );
        assert_eq!(spk[t], f64::from(u8::from(s)), "{label} step {t}");
        spikes += spk[t];
    }
    assert!(
        spikes > 3.0 || label.starts_with("integrator"),
        "{label}: {spikes} spikes"
    );
}

#[test]
fn the_sources_recurrences() {
    let number = |s: bool| f64::from(u8::from(s));
    let (alpha, beta) = (0.8, 0.9);

    // SpyTorch's read-out, and snnTorch's neuron without a reset.
    let (mut flt, mut out) = (0.0, 0.0);
    let read_out = LeakyIntegrator::spytorch(alpha, beta).gain(1.0 - beta);
    follows("integrator old", read_out, |x| {
        out = beta * out + (1.0 - beta) * flt;
        flt = alpha * flt + x;
        (false, out)
    });
    let mut u = 0.0;
    follows("integrator", LeakyIntegrator::new(beta), |x| {
        u = beta * u + x;
        (false, u)
    });

    // snnTorch's Lapicque, from beta and from a circuit.
    let (r, c) = (5.0, 2.0);
    for (from_beta, neuron) in [
        (true, Lapicque::new(0.85)),
        (false, Lapicque::circuit(r, c, 1.0)),
    ] {
        let (r, c) = match from_beta {
            true => (1.0, 1.0 / (1.0_f64 / 0.85).ln()),
            false => (r, c),
        };
        for zero in FLAGS {
            let reset = if zero { Reset::Zero } else { Reset::Subtract };
            let theta = 0.4;
            let mut u = 0.0;
            let neuron = neuron.clone().reset(reset).threshold(theta);
            follows("lapicque", neuron, |x| {
                let reset = number(u > theta);
                let base = x * r * (1.0 / (r * c)) + (1.0 - 1.0 / (r * c)) * u;
                u = base - reset * if zero { base } else { theta };
                (u > theta, u)
            });
        }
    }

    // snnTorch's Alpha.
    for reset in [Reset::Zero, Reset::Subtract, Reset::None] {
        let (mut x, mut y, mut u) = (0.0, 0.0, 0.0);
        let (alpha, beta, theta) = (0.9, 0.7, 0.6);
        let neuron = Alpha::new(alpha, beta).reset(reset).threshold(theta);
        follows("alpha", neuron, |i| {
            let r = number(u > theta);
            let (new_x, new_y) = (alpha * x + i, beta * y - i);
            let tau = alpha.ln() / (beta.ln() - alpha.ln()) + 1.0;
            let m = tau * (new_x + new_y);
            (x, y, u) = match reset {
                Reset::Zero => ((1.0 - r) * new_x, (1.0 - r) * new_y, (1.0 - r) * m),
                Reset::Subtract => (new_x - r * theta, (1.0 - r) * new_y, m + r * y),
                Reset::None => (new_x, new_y, m),
            };
            (u > theta, u)
        });
    }

    // Bellec's and Yin's neurons, as their codes have them.
    let (rho, psi, theta) = (0.95, 1.6, 0.1);
    for old in FLAGS {
        let (mut v, mut b, mut z) = (0.0, 0.0, false);
        let neuron = match old {
            true => Adaptive::bellec(beta, rho),
            false => Adaptive::yin(beta, rho),
        };
        follows("adaptive", neuron.adaptation(psi).threshold(theta), |x| {
            b = rho * b + (1.0 - rho) * number(z);
            let threshold = theta + b * psi;
            let new = beta * v + (1.0 - beta) * x - number(z) * threshold;
            let read = if old { v } else { new };
            (v, z) = (new, (read - threshold) / threshold > 0.0);
            (z, v)
        });
    }

    // Norse's LSNN: its adapted threshold starts at the threshold.
    let (rho, psi, theta) = (0.97, 0.3, 0.8);
    let (mut v, mut i, mut b) = (0.0, 0.0, theta);
    let neuron = Lsnn::new(alpha, beta, rho).adaptation(psi).threshold(theta);
    follows("lsnn", neuron, |x| {
        let decayed = v + (1.0 - beta) * (0.0 - v + i);
        let threshold = b + (1.0 - rho) * (theta - b);
        let z = decayed - threshold > 0.0;
        v = (1.0 - number(z)) * decayed;
        i = i - (1.0 - alpha) * i + x;
        b = threshold + number(z) * psi;
        (z, v)
    });

    // sparch's adLIF.
    let (alpha, beta, a, jump, theta) = (0.85, 0.97, 0.1, 0.2, 0.2);
    let (mut u, mut w, mut s) = (0.0, 0.0, 0.0);
    let neuron = AdLif::new(alpha, beta).a(a).b(jump).threshold(theta);
    follows("adlif", neuron, |x| {
        w = beta * w + a * u + jump * s;
        u = alpha * (u - s) + (1.0 - alpha) * (x - w);
        s = number(u > theta);
        (u > theta, u)
    });

    // SpyTorch's encoder, and the same in snnTorch's order.
    let (beta, gain, bias) = (0.8, 2.5, 0.3);
    let mut u = 0.0;
    let encoder = || Encoder::new(beta).gain(gain).bias(bias);
    follows("encoder", encoder(), |x| {
        let s = number(u > 1.0);
        u = (beta * u + (1.0 - beta) * gain * (x + bias)) * (1.0 - s);
        (s > 0.0, u)
    });
    let (mut u, mut s) = (0.0, 0.0);
    follows("encoder of tutorial 5", encoder().late_reset(true), |x| {
        let new = (beta * u + (1.0 - beta) * gain * (x + bias)) * (1.0 - s);
        s = number(u > 1.0);
        u = new;
        (s > 0.0, u)
    });
    let mut u = 0.0;
    let encoder = encoder()
        .dynamics(Dynamics::IntegrateThenFire)
        .reset(Reset::Subtract)
        .normalized(false);
    follows("encoder in snnTorch's order", encoder, |x| {
        u = beta * u + gain * (x + bias) - number(u > 1.0);
        (u > 1.0, u)
    });
}

/// Static and changing input, wide and narrow layers, a read-out without spikes.
#[test]
fn every_instruction_set_agrees_with_the_reference() {
    let x = Array2::from_shape_fn((5, 20), |(b, n)| noise(20 * b + n) as f32);
    let sequence = Array3::from_shape_fn((16, 5, 20), |(t, b, n)| {
        f32::from(u8::from(noise(31 * t + 20 * b + n) < 0.3))
    });
    let targets = [0, 1, 2, 1, 0];
    let surrogate = Surrogate::FastSigmoid { slope: 10.0 };
    let hidden = variants(70, 0.25, surrogate);
    let middle = variants(35, 0.1, surrogate);
    for (seed, ((label, hidden), (_, middle))) in hidden.into_iter().zip(middle).enumerate() {
        let (_, read_out) = integrators(3).swap_remove(seed % 2);
        let network: Network = Network::builder(20)
            .layer(70, hidden)
            .layer(35, middle)
            .layer(3, read_out)
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
            assert!(
                (0.002..0.98).contains(&rates[0]) && rates[2] == 0.0,
                "{label}: {rates:?}"
            );
            let mut trained = Vec::new();
            for isa in CpuEngine::instruction_sets() {
                let engine =
                    CpuEngine::with_instruction_set(network.clone(), loss.clone(), adam, isa);
                let mut engine = engine.unwrap();
                let found = engine.forward(input, &Record::All).unwrap();
                let predictor = Predictor::with_instruction_set(&network, isa).unwrap();
                assert_eq!(
                    predictor.forward(input, &Record::All).unwrap(),
                    found,
                    "{label}"
                );
                let same = |k| recording.trace(k).unwrap().spk == found.trace(k).unwrap().spk;
                // A membrane at its threshold, by rounding; another seed would have another.
                assert!((1..=3).all(same), "{label} {isa}: spikes");
                for k in 1..=3 {
                    let (found, expected) = (found.trace(k).unwrap(), recording.trace(k).unwrap());
                    let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4;
                    assert!(
                        found.mem.iter().zip(&expected.mem).all(close),
                        "{label} {isa} {k}"
                    );
                }
                let (found_loss, found) = engine.gradients(input.classes(&targets)).unwrap();
                assert!(
                    (found_loss - expected_loss).abs() < 1e-4 * expected_loss,
                    "{label}"
                );
                let all = expected.tensors();
                let largest = |g: &ndarray::ArrayViewD<'_, f32>| {
                    g.iter().fold(1e-6_f32, |m, x| m.max(x.abs()))
                };
                let of_all = all.iter().fold(0.0_f32, |m, (_, g)| m.max(largest(g)));
                for ((name, a), (_, b)) in all.iter().zip(found.tensors()) {
                    // Sums of many terms of both signs may all but cancel.
                    let scale = if name.starts_with("lif") {
                        of_all
                    } else {
                        largest(a)
                    };
                    let close = a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-3 * scale);
                    assert!(close, "{label} {isa} {name}:\n{a}\n{b}");
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

/// One of each kind, with settings that are not the defaults.
fn kinds() -> Vec<Neurons> {
    vec![
        Encoder::new(0.9)
            .gain(vec![0.5, 1.0, 1.5])
            .normalized(false)
            .learn_bias(true)
            .into(),
        Encoder::new(0.9).late_reset(true).into(),
        Lapicque::new(0.9)
            .reset(Reset::Zero)
            .learn_decay(true)
            .into(),
        Alpha::new(0.9, 0.8)
            .reset(Reset::Subtract)
            .learn_alpha(true)
            .into(),
        Adaptive::bellec(0.9, 0.99)
            .detach_adaptation(true)
            .learn_rho(true)
            .into(),
        Lsnn::new(0.8, 0.9, 0.99)
            .detach_reset(true)
            .learn_adaptation(true)
            .into(),
        AdLif::sparch().into(),
        LeakyIntegrator::spytorch(0.8, 0.9).learn_gain(true).into(),
    ]
}

#[test]
#[cfg(feature = "safetensors")]
fn files_hold_all_of_it() {
    use spikegrad::{Checkpoint, Device, History, Trainer};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let kinds = kinds().into_iter().zip([true, false].into_iter().cycle());
    // Encoders have constants named as the biases of synapses, which there may be or not.
    let without = (Encoder::new(0.9).bias(0.3).into(), false);
    for (neurons, bias) in kinds.chain([without]) {
        let name = neurons.name();
        let built = Network::builder(4)
            .layer(3, neurons)
            .bias(bias)
            .layer(2, Leaky::new(0.9))
            .seed(5);
        let network: Network = built.build().unwrap();
        network.save_safetensors(&path).unwrap();
        let loaded = Network::<f32>::load(&path).unwrap();
        assert_eq!(loaded, network, "{name}");
        assert_eq!(
            loaded.layers()[0].neuron().settings(),
            network.layers()[0].neuron().settings()
        );
        let mut leaky: Network = Network::builder(4)
            .layer(3, Leaky::new(0.9))
            .layer(2, Leaky::new(0.9))
            .build()
            .unwrap();
        let error = leaky.load_safetensors(&path).unwrap_err().to_string();
        assert!(error.contains("lif1"), "{name}: {error}");

        let adam = Adam::new(1e-2);
        let mut engine = Device::Cpu
            .engine(network, Loss::CrossEntropyMembrane, adam)
            .unwrap();
        let x = Array2::from_shape_fn((2, 4), |(b, n)| noise(4 * b + n) as f32);
        let step = |engine: &mut dyn Engine| {
            let input = Input::constant(x.view(), 7);
            engine.train_step(input.classes(&[0, 1])).unwrap()
        };
        step(&mut *engine);
        let checkpoint = Checkpoint::new(&mut *engine, &Trainer::default(), &History::default());
        let bytes = checkpoint.unwrap().to_bytes().unwrap();
        let mut resumed = Checkpoint::from_bytes(&bytes)
            .unwrap()
            .engine(Device::Cpu)
            .unwrap();
        for _ in 0..3 {
            assert_eq!(step(&mut *engine), step(&mut *resumed), "{name}");
        }
        assert_eq!(
            engine.to_network().unwrap(),
            resumed.to_network().unwrap(),
            "{name}"
        );
        let trained = engine.to_network().unwrap();
        trained.save_safetensors(&path).unwrap();
        assert_eq!(Network::<f32>::load(&path).unwrap(), trained, "{name}");
    }
}

/// Constants stay in their ranges under steps of half their size, and their files can be read.
#[test]
fn learnt_constants_stay_in_range() {
    let x = array![[1.0_f32, 0.5], [0.3, 0.9]];
    for (label, neurons) in variants(3, 0.3, Surrogate::default()) {
        if label.starts_with("alpha") {
            continue; // alpha and beta would cross
        }
        let constants = neurons.constants();
        let network: Network = Network::builder(2).layer(3, neurons).build().unwrap();
        let mut engine = CpuEngine::new(network, Loss::CrossEntropyCount, Adam::new(0.5)).unwrap();
        for _ in 0..6 {
            let input = Input::constant(x.view(), 8);
            engine.train_step(input.classes(&[0, 2])).unwrap();
        }
        let network = engine.to_network().unwrap();
        for constant in constants {
            let values = network.layers()[0].constant(constant.name).unwrap();
            let range = constant.low as f32..=constant.high as f32;
            let kept = values.iter().all(|value| range.contains(value));
            assert!(kept, "{label}: {} {values}", constant.name);
        }
    }
}

#[test]
fn what_is_out_of_range_is_refused_by_name() {
    let build = |neurons: Neurons| Network::builder(2).layer(3, neurons).build::<f32>();
    let uniform = |low, high| Draw::Uniform { low, high };
    let cases: [(Neurons, &str); 12] = [
        (
            Alpha::new(0.8, 0.8).into(),
            "layer 1: alpha is 0.8; expected a decay above beta, 0.8",
        ),
        (
            Alpha::new(vec![0.9, 0.9, 0.7], vec![0.8, 0.85, 0.75]).into(),
            "layer 1: alpha is 0.7; expected a decay above beta, 0.75",
        ),
        (Alpha::new(1.0, 1.0).into(), "layer 1: beta is 1"),
        (
            Lapicque::new(0.1).into(),
            "layer 1: decay is -1.3025850929940455; expected a decay from -1 to 1",
        ),
        (
            Lapicque::circuit(1.0, 0.0, 1.0).into(),
            "layer 1: decay is -inf",
        ),
        (
            AdLif::new(0.5, 0.98).into(),
            "layer 1: alpha is 0.5; expected a decay from e^(-1/5) to e^(-1/25)",
        ),
        (
            Adaptive::yin(0.9, 0.9).adaptation(-1.0).into(),
            "layer 1: adaptation is -1; expected a number from 0 to 1e30",
        ),
        (
            Lsnn::new(0.9, 0.9, 1.5).into(),
            "layer 1: rho is 1.5; expected a decay from 0 to 1",
        ),
        (
            Encoder::new(0.9).gain(f64::NAN).into(),
            "layer 1: gain is NaN; expected a finite number",
        ),
        (
            Encoder::new(0.9).reset(Reset::None).late_reset(true).into(),
            "layer 1: late_reset is true; expected false, or true with FireThenIntegrate",
        ),
        (
            LeakyIntegrator::new(uniform(0.5, 1.5)).into(),
            "layer 1: beta is uniform from 0.5 to 1.5; expected a decay from 0 to 1",
        ),
        (
            LeakyIntegrator::new(Draw::Normal {
                mean: 0.5,
                sd: -1.0,
            })
            .into(),
            "layer 1: beta is normal with mean 0.5 and deviation -1.0",
        ),
    ];
    for (neurons, says) in cases {
        let error = build(neurons).unwrap_err();
        assert!(matches!(error, Error::InvalidParameter { .. }));
        assert!(error.to_string().starts_with(says), "{error}");
    }
    let error = build(LeakyIntegrator::new(vec![0.5, 0.6]).into()).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }), "{error}");
}

#[test]
fn draws_are_of_the_seed_and_leave_the_weights_alone() {
    let (low, high) = (decay(5.0, 1.0), decay(25.0, 1.0));
    let build = |beta: PerNeuron, seed| -> Network {
        let neuron = LeakyIntegrator::new(beta);
        let alike = Network::builder(7)
            .layer(500, neuron.clone())
            .layer(500, neuron);
        alike.seed(seed).build().unwrap()
    };
    let uniform = || PerNeuron::from(Draw::Uniform { low, high });
    let (drawn, fixed) = (build(uniform(), 3), build(0.9.into(), 3));
    for (a, b) in drawn.layers().iter().zip(fixed.layers()) {
        assert_eq!((a.weight(), a.bias()), (b.weight(), b.bias()));
    }
    assert_eq!(drawn, build(uniform(), 3));
    assert_ne!(drawn, build(uniform(), 4));
    let values = |network: &Network, k: usize| -> Vec<f64> {
        let beta = network.layers()[k].constant("beta").unwrap();
        beta.iter().map(|&x| f64::from(x)).collect()
    };
    assert_ne!(values(&drawn, 0), values(&drawn, 1));
    // The mean of 1000 has an error of a thirtieth of the deviation; four of these are allowed.
    let moments = |network: &Network| {
        let all = [values(network, 0), values(network, 1)].concat();
        let mean = all.iter().sum::<f64>() / 1000.0;
        let variance = all.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 1000.0;
        (mean, variance.sqrt(), all)
    };
    let (mean, sd, all) = moments(&drawn);
    let expected = (high - low) / 12.0_f64.sqrt();
    assert!(
        (mean - 0.5 * (low + high)).abs() < 0.13 * expected,
        "{mean}"
    );
    assert!((sd / expected - 1.0).abs() < 0.1, "{sd}");
    assert!(all.iter().all(|x| (low - 1e-7..=high + 1e-7).contains(x)));
    let normal = Draw::Normal { mean: 0.7, sd: 0.1 };
    let (mean, sd, all) = moments(&build(normal.into(), 9));
    assert!(
        (mean - 0.7).abs() < 0.013 && (sd - 0.1).abs() < 0.01,
        "{mean} {sd}"
    );
    assert!(all.iter().all(|x| (0.0..=1.0).contains(x)));
    assert!(all.iter().any(|x| *x > 0.9) && all.iter().any(|x| *x < 0.5));
    // Beyond the range they are clamped, and in both precisions the same.
    let wide: Network<f64> = Network::builder(1)
        .layer(50, Leaky::new(Draw::Normal { mean: 0.9, sd: 1.0 }))
        .build()
        .unwrap();
    let beta = wide.layers()[0].constant("beta").unwrap();
    assert!(beta.iter().any(|&x| x == 1.0) && beta.iter().all(|x| (0.0..=1.0).contains(x)));
    assert_eq!(
        wide.layers()[0].neuron().initial("beta"),
        Some(&PerNeuron::Each(beta.to_vec()))
    );
}

/// Only a neuron that fires before it integrates makes the input wait a step.
#[test]
fn firing_first_costs_a_step() {
    let steps: Vec<usize> = kinds()
        .into_iter()
        .map(|neurons| {
            let network: Network = Network::builder(2).layer(3, neurons).build().unwrap();
            network.min_steps()
        })
        .collect();
    // The encoders and Bellec's neuron.
    assert_eq!(steps, [2, 2, 1, 1, 2, 1, 1, 1]);
}
