//! Beside the CPU engine and the reference: bits where they are promised, single precision elsewhere.

use super::*;

/// The loss curve of 20 updates beside the CPU engine's, static and time-varying.
#[test]
fn twenty_updates_agree_with_the_cpu() {
    if !device() {
        return;
    }
    let x = images(8, 21);
    let events = Array3::from_shape_fn((10, 8, 21), |(t, b, n)| {
        f32::from(noise(7 * ((t * 8 + b) * 21 + n)) < 0.3)
    });
    for input in [
        Input::constant(x.view(), 10),
        Input::sequence(events.view()),
    ] {
        let mut cpu = Device::Cpu
            .engine(network(), objective(), Adam::new(1e-3))
            .unwrap();
        let mut gpu = engine(network(), objective(), Adam::new(1e-3));
        for n in 0..20 {
            let expected = cpu.train_step(input.classes(&targets(8, 5))).unwrap();
            let found = gpu.train_step(input.classes(&targets(8, 5))).unwrap();
            assert!(
                expected.firing_rate.iter().all(|&rate| rate > 0.01),
                "{expected:?}"
            );
            let error = (expected.loss - found.loss).abs() / expected.loss.abs();
            assert!(error <= 1e-3, "update {n}: {expected:?} against {found:?}");
        }
        let mut classes = [vec![0; 8], vec![0; 8]];
        for read_out in [ReadOut::SpikeCount, ReadOut::Membrane] {
            cpu.classify(input, read_out, &mut classes[0]).unwrap();
            gpu.classify(input, read_out, &mut classes[1]).unwrap();
            assert_eq!(classes[0], classes[1]);
        }
    }
}

/// Whether the CPU engine fuses multiplications and additions here, as the kernels do.
pub fn cpu_fuses() -> bool {
    #[cfg(target_arch = "x86_64")]
    let fuses = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let fuses = cfg!(target_arch = "aarch64");
    if !fuses {
        skipped("this CPU has no fused multiply-add");
    }
    fuses
}

/// Numbers equal bit by bit.
pub fn assert_bits<'a>(
    what: &str,
    a: impl IntoIterator<Item = &'a f32>,
    b: impl IntoIterator<Item = &'a f32>,
) {
    let (a, b): (Vec<_>, Vec<_>) = (a.into_iter().collect(), b.into_iter().collect());
    assert_eq!(a.len(), b.len(), "{what}");
    let off: Vec<_> = a
        .iter()
        .zip(&b)
        .filter(|(a, b)| a.to_bits() != b.to_bits())
        .collect();
    assert!(
        off.is_empty(),
        "{what}: {} of {} differ, first {:?}",
        off.len(),
        a.len(),
        off[0]
    );
}

/// Every rule of a step, with its name, of all neurons; `learn`: with all constants trained.
pub fn rules(threshold: f64, surrogate: Surrogate, learn: bool) -> Vec<(String, Neurons)> {
    let mut rules = Vec::new();
    let mut add = |rule: String, mut neurons: Neurons| {
        for constant in neurons.constants() {
            neurons = neurons.learn(constant.name, learn);
        }
        rules.push((rule, neurons));
    };
    for dynamics in [
        Dynamics::FireThenIntegrate,
        Dynamics::IntegrateThenFire,
        Dynamics::IntegrateFireReset,
    ] {
        for reset in [Reset::Subtract, Reset::Zero, Reset::None] {
            for detach in [true, false] {
                let rule = format!("{dynamics:?} {reset:?} {detach}");
                let leaky = Leaky::new(0.9)
                    .threshold(threshold)
                    .dynamics(dynamics)
                    .reset(reset)
                    .detach_reset(detach)
                    .surrogate(surrogate);
                add(rule.clone(), leaky.into());
                for normalized in [false, true] {
                    let encoder = Encoder::new(0.8)
                        .gain(if normalized { 6.0 } else { 1.2 })
                        .bias(0.1)
                        .threshold(threshold)
                        .dynamics(dynamics)
                        .reset(reset)
                        .detach_reset(detach)
                        .normalized(normalized)
                        .surrogate(surrogate);
                    add(
                        format!("encoder {rule} normalized {normalized}"),
                        encoder.into(),
                    );
                }
                for old in [false, true] {
                    let synaptic = Synaptic::new(0.6, 0.8)
                        .gain(0.8)
                        .threshold(threshold)
                        .dynamics(dynamics)
                        .reset(reset)
                        .detach_reset(detach)
                        .old_current(old)
                        .surrogate(surrogate);
                    add(format!("synaptic {rule} old {old}"), synaptic.into());
                }
            }
            let lapicque = Lapicque::circuit(10.0, 1.0, 1.0)
                .threshold(threshold)
                .dynamics(dynamics)
                .reset(reset)
                .surrogate(surrogate);
            add(format!("lapicque {dynamics:?} {reset:?}"), lapicque.into());
        }
    }
    for normalized in [false, true] {
        let late = Encoder::new(0.8).gain(if normalized { 6.0 } else { 1.2 });
        let late = late.late_reset(true);
        let late = late.normalized(normalized).threshold(threshold);
        let rule = format!("encoder, late reset, normalized {normalized}");
        add(rule, late.surrogate(surrogate).into());
    }
    for reset in [Reset::Subtract, Reset::Zero, Reset::None] {
        let alpha = Alpha::new(0.9, 0.5).threshold(0.5 * threshold);
        let alpha = alpha.reset(reset).surrogate(surrogate);
        add(format!("alpha {reset:?}"), alpha.into());
    }
    for settings in 0..32 {
        let has = |bit: usize| settings >> bit & 1 == 1;
        let adaptive = Adaptive::yin(0.6, 0.7)
            .adaptation(0.4)
            .threshold(if has(2) { 0.15 } else { 0.4 } * threshold)
            .old_membrane(has(0))
            .scaled(has(1))
            .normalized(has(2))
            .detach_reset(has(3))
            .detach_adaptation(has(4))
            .surrogate(surrogate);
        add(format!("adaptive, settings {settings}"), adaptive.into());
    }
    for detach in [true, false] {
        let lsnn = Lsnn::new(0.5, 0.6, 0.7)
            .adaptation(0.2)
            .threshold(0.5 * threshold)
            .detach_reset(detach)
            .surrogate(surrogate);
        add(format!("lsnn, detached {detach}"), lsnn.into());
    }
    let adlif = AdLif::new(0.85, 0.97)
        .a(0.1)
        .b(0.2)
        .threshold(0.1 * threshold);
    add("adlif".into(), adlif.surrogate(surrogate).into());
    rules
}

const ARCTAN: Surrogate = Surrogate::Arctan { alpha: 2.0 };

/// A network of these widths under `inputs`, whose neurons fire.
fn lively(inputs: usize, widths: &[usize], neurons: &Neurons) -> Network {
    let builder = (widths.iter()).fold(Network::builder(inputs), |b, &n| {
        b.layer(n, neurons.clone())
    });
    let mut network: Network = builder.seed(1).build().unwrap();
    for (name, mut values) in network.parameters_mut() {
        if name.ends_with("weight") {
            values.mapv_inplace(|w| 2.0 * w + 0.01);
        }
    }
    network
}

/// Both engines add up currents in the same order: the same spikes and membranes, bit by bit, of every
/// rule, in wide and narrow layers, under numbers, bytes, sequences and events.
#[test]
fn spikes_and_membranes_have_the_bits_of_the_cpu() {
    if !device() || !cpu_fuses() {
        return;
    }
    let x = images(5, 36);
    let bytes = x.map(|x| (x * 255.0).round() / 255.0);
    let odd = images(9, 35);
    let sequence = Array3::from_shape_fn((9, 5, 36), |(t, b, n)| noise((t * 5 + b) * 36 + n) - 0.2);
    let events = sequence.map(|&x| f32::from(x < 0.1));
    for (k, (rule, neurons)) in rules(1.0, ARCTAN, false).into_iter().enumerate() {
        for (n, (name, input)) in [
            ("numbers", Input::constant(x.view(), 37)),
            ("bytes", Input::constant(bytes.view(), 9)),
            ("rows at odd places", Input::constant(odd.view(), 14)),
            ("a sequence", Input::sequence(sequence.view())),
            ("events", Input::sequence(events.view())),
        ]
        .into_iter()
        .enumerate()
        {
            // All products below one kind of neurons; below the others a static one and another.
            if neurons.name() != "leaky" && n != k % 3 && n != 3 + k % 2 {
                continue;
            }
            // One or two blocks of neurons, and a rest.
            let wide = if input.num_steps() > 9 { 133 } else { 261 };
            let network = lively(input.features(), &[wide, 70, 10], &neurons);
            let loss = || Loss::CrossEntropyMembrane;
            let mut cpu = Device::Cpu
                .engine(network.clone(), loss(), Adam::new(1e-3))
                .unwrap();
            let mut gpu = engine(network, loss(), Adam::new(1e-3));
            let (a, b) = (
                cpu.forward(input, &Record::All).unwrap(),
                gpu.forward(input, &Record::All).unwrap(),
            );
            for k in 0..3 {
                let (a, b) = (a.trace(k + 1).unwrap(), b.trace(k + 1).unwrap());
                let rate = a.spk.mean().unwrap();
                assert!(rate > 0.01 && rate < 0.99, "{rule}, {name}: {rate}");
                assert_bits(&format!("{rule}, {name}: spikes {k}"), &a.spk, &b.spk);
                assert_bits(&format!("{rule}, {name}: membranes {k}"), &a.mem, &b.mem);
            }
        }
    }
}

/// Every loss of the library.
fn losses() -> [Loss; 6] {
    [
        Loss::CrossEntropyMembrane,
        Loss::CrossEntropyCount,
        Loss::CrossEntropyRate,
        Loss::CrossEntropyMaxMembrane,
        Loss::MseCount {
            correct_rate: 0.9,
            incorrect_rate: 0.1,
        },
        Loss::MseMembrane {
            on_target: 1.0,
            off_target: -0.5,
        },
    ]
}

/// Under a static input, a layer and a narrow output are trained to the same bits on both, by every rule
/// and every loss.
#[test]
fn training_has_the_bits_of_the_cpu() {
    if !device() || !cpu_fuses() {
        return;
    }
    let losses = losses();
    let mut cases = Vec::new();
    for (rule, neurons) in rules(1.0, ARCTAN, false) {
        cases.push((rule, neurons, losses[0].clone()));
    }
    for loss in losses {
        cases.push(("default".to_owned(), Leaky::new(0.9).into(), loss.clone()));
        let surrogate = Surrogate::Sigmoid { slope: 5.0 };
        let sigmoid = Leaky::new(0.9).surrogate(surrogate);
        cases.push(("sigmoid".to_owned(), sigmoid.into(), loss.clone()));
        let spytorch = Synaptic::spytorch(0.6, 0.8).threshold(0.8);
        cases.push(("SpyTorch".to_owned(), spytorch.into(), loss));
    }
    for (k, (rule, neurons, loss)) in cases.into_iter().enumerate() {
        let network = lively(36, &[130, 10 + k % 6], &neurons);
        let classes = 10 + k % 6;
        // More samples than a warp has lanes, now and then.
        let x = images(if k % 5 == 0 { 33 } else { 6 }, 36);
        let input = Input::constant(x.view(), 9 + k % 30);
        let targets = targets(x.nrows(), classes);
        let objective = Objective {
            loss: loss.clone(),
            rate_l1: if k % 3 == 0 { 1e-4 } else { 0.0 },
            penalties: Vec::new(),
        };
        let what = format!("{rule}, {loss:?}, {classes} classes");
        let mut cpu = Device::Cpu
            .engine(network.clone(), objective.clone(), Adam::new(1e-3))
            .unwrap();
        let mut gpu = engine(network, objective, Adam::new(1e-3));
        let (_, a) = cpu.gradients(input.classes(&targets)).unwrap();
        let (_, b) = gpu.gradients(input.classes(&targets)).unwrap();
        for ((name, a), (_, b)) in a.tensors().iter().zip(b.tensors()) {
            assert_bits(&format!("{what}: gradient of {name}"), a, b);
        }
        for step in 0..3 {
            cpu.measure_gradients(step == 1);
            gpu.measure_gradients(step == 1);
            let a = cpu.train_step(input.classes(&targets)).unwrap();
            let b = gpu.train_step(input.classes(&targets)).unwrap();
            assert_eq!(a.firing_rate, b.firing_rate, "{what}");
            assert!(
                a.firing_rate.iter().all(|&rate| rate > 0.01),
                "{what}: {a:?}"
            );
            assert!((a.loss - b.loss).abs() <= 1e-6 * a.loss, "{a:?} {b:?}");
            let norms = [&a, &b].map(|report| report.gradient_norms.clone().unwrap_or_default());
            assert_eq!(
                norms.each_ref().map(|n| n.len() > 1),
                [step == 1; 2],
                "{what}"
            );
            for (a, b) in norms[0].iter().zip(&norms[1]) {
                assert!(*a > 0.0 && (a - b).abs() <= 1e-12 * a, "{what}: {a} {b}");
            }
        }
        let (a, b) = (cpu.to_network().unwrap(), gpu.to_network().unwrap());
        for ((name, a), (_, b)) in a.parameters().iter().zip(b.parameters()) {
            assert_bits(&format!("{what}: {name}"), a, b);
        }
        let (a, b) = (cpu.to_optimizer().unwrap(), gpu.to_optimizer().unwrap());
        assert_eq!(
            moment_bits(a.moments().unwrap()),
            moment_bits(b.moments().unwrap()),
            "{what}"
        );
    }
}

/// The same gradients, bit by bit, by every rule of leaky neurons with every surrogate, and by all others with
/// one each, of losses on membranes and on spikes.
#[test]
fn every_surrogate_has_the_bits_of_the_cpu() {
    if !device() || !cpu_fuses() {
        return;
    }
    let x = images(2, 21);
    let (input, targets) = (Input::constant(x.view(), 7), targets(2, 5));
    for (n, surrogate) in [
        Surrogate::Arctan { alpha: 1.5 },
        Surrogate::FastSigmoid { slope: 4.0 },
        Surrogate::Sigmoid { slope: 3.0 },
        Surrogate::Triangular,
        Surrogate::StraightThrough,
    ]
    .into_iter()
    .enumerate()
    {
        // At a threshold of 1 an attached reset and a slope of 1 would cancel: no gradient at all.
        for (k, (rule, neurons)) in rules(0.8, surrogate, false).into_iter().enumerate() {
            // Neurons other than leaky ones have one copy of the surrogates for all rules.
            if neurons.name() != "leaky" && n != k % 5 {
                continue;
            }
            let network = lively(21, &[40, 5], &neurons);
            for loss in [Loss::CrossEntropyMembrane, Loss::CrossEntropyCount] {
                let what = format!("{rule}, {surrogate:?}, {loss:?}");
                let mut cpu = Device::Cpu
                    .engine(network.clone(), loss.clone(), Adam::new(1e-3))
                    .unwrap();
                let mut gpu = engine(network.clone(), loss, Adam::new(1e-3));
                let (_, a) = cpu.gradients(input.classes(&targets)).unwrap();
                let (_, b) = gpu.gradients(input.classes(&targets)).unwrap();
                for ((name, a), (_, b)) in a.tensors().iter().zip(b.tensors()) {
                    assert!(a.iter().any(|&g| g != 0.0), "{what}: {name}");
                    assert_bits(&format!("{what}: gradient of {name}"), a, b);
                }
            }
        }
    }
}

/// A loss of one's own that reads all layers: the mean membrane cross entropy, and of hidden ones the
/// membranes' squares and spikes at a price that differs from step to step, as asked for.
fn reads_hidden_layers(membranes: bool, spikes: bool) -> Loss {
    Loss::custom(move |recording: &Recording, targets: Targets<'_>| {
        let (mut loss, mut adjoints) = Loss::CrossEntropyMembrane.evaluate(recording, targets)?;
        for k in 0..recording.num_layers() - 1 {
            let trace = recording.trace(k + 1).expect("all layers are kept");
            let mut add =
                |terms: Array3<f32>| loss += terms.iter().map(|&x| f64::from(x)).sum::<f64>();
            if membranes {
                add(trace.mem.mapv(|u| 0.01 * u * u));
                adjoints.layers[k].mem = Some(trace.mem.mapv(|u| 0.02 * u));
            }
            if spikes {
                let price = |(t, b, n)| 0.02 * noise(t + 2 * b + 3 * n) - 0.005;
                let prices = Array3::from_shape_fn(trace.spk.dim(), price);
                add(&trace.spk * &prices);
                adjoints.layers[k].spk = Some(prices);
            }
        }
        Ok((loss, adjoints))
    })
}

/// Holds gradients of an objective against the reference's, within single precision; the gradient of the
/// first layer's weights.
fn same_gradients(
    what: &str,
    network: &Network,
    objective: &Objective,
    input: Input<'_>,
) -> Vec<f32> {
    let targets = targets(input.batch(), network.outputs());
    let (network, objective, adam) = (|| network.clone(), || objective.clone(), Adam::new(1e-3));
    let mut expected = ReferenceEngine::new(network(), objective(), adam).unwrap();
    let mut found = engine(network(), objective(), adam);
    let (a, b) = (
        expected.forward(input, &Record::All).unwrap(),
        found.forward(input, &Record::All).unwrap(),
    );
    for k in 0..network().layers().len() {
        assert_eq!(
            a.trace(k + 1).unwrap().spk,
            b.trace(k + 1).unwrap().spk,
            "{what}"
        );
    }
    let (loss, a) = expected.gradients(input.classes(&targets)).unwrap();
    let (found_loss, b) = found.gradients(input.classes(&targets)).unwrap();
    let close = (loss - found_loss).abs() <= 1e-5 * loss.abs();
    assert!(close, "{what}: {loss} against {found_loss}");
    let max =
        |values: &mut dyn Iterator<Item = f32>| values.fold(0.0_f32, |max, x| max.max(x.abs()));
    let of_all = max(&mut a.tensors().iter().flat_map(|(_, g)| g.iter().copied()));
    for ((name, a), (_, b)) in a.tensors().iter().zip(b.tensors()) {
        // Terms of both signs, which may all but cancel.
        let learnt = name.starts_with("lif");
        let largest = if learnt {
            of_all
        } else {
            max(&mut a.iter().copied())
        };
        let off = max(&mut a.iter().zip(b).map(|(a, b)| a - b));
        assert!(
            largest > 0.0 && off <= 1e-4 * largest,
            "{what}: {name} is off by {off} of {largest}"
        );
    }
    let report = found.train_step(input.classes(&targets)).unwrap();
    assert_eq!(report.loss, found_loss, "{what}");
    b.tensors()[0].1.iter().copied().collect()
}

/// Losses of one's own, with adjoints of hidden membranes and spikes, in layers below narrow and wide
/// ones, by every rule.
#[test]
fn losses_of_ones_own_agree_with_the_reference() {
    if !device() {
        return;
    }
    let x = images(3, 21);
    let sequence =
        Array3::from_shape_fn((34, 3, 21), |(t, b, n)| noise((t * 3 + b) * 21 + n) - 0.2);
    let mut cases: Vec<(_, _, &[usize])> = Vec::new();
    for widths in [
        &[70, 10][..],
        &[40, 16],
        &[70, 17],
        &[37, 33, 4],
        &[20, 15, 13, 3],
    ] {
        cases.push(("plain".to_owned(), Leaky::new(0.9).into(), widths));
    }
    for (rule, neurons) in rules(1.0, ARCTAN, true) {
        cases.push((format!("{rule}, learnt"), neurons, &[40, 18, 10]));
    }
    for (rule, neurons, widths) in cases {
        let network = lively(21, widths, &neurons);
        for (name, input) in [
            ("static", Input::constant(x.view(), 34)),
            ("sequence", Input::sequence(sequence.view())),
        ] {
            let terms = [
                (false, false, 0.0),
                (false, false, 1e-2),
                (true, false, 0.0),
                (false, true, 0.0),
                (true, true, 1e-2),
            ];
            // Of the many rules, all terms at once.
            let terms = if rule == "plain" {
                &terms[..]
            } else {
                &terms[4..]
            };
            let mut seen: Vec<Vec<f32>> = Vec::new();
            for &(membranes, spikes, rate_l1) in terms {
                let what = format!(
                    "{rule}, {widths:?}, {name}, membranes {membranes}, spikes {spikes}, {rate_l1}"
                );
                let loss = reads_hidden_layers(membranes, spikes);
                let gradient = same_gradients(
                    &what,
                    &network,
                    &Objective {
                        rate_l1,
                        ..loss.into()
                    },
                    input,
                );
                assert!(!seen.contains(&gradient), "{what}: a term was lost");
                seen.push(gradient);
            }
        }
    }
}

/// Products large enough for the large tiles, in both forms that reach them. No neuron fires, so no
/// spike can flip on its last bit, and the surrogate passes every gradient.
#[test]
fn large_products_agree_with_the_cpu() {
    if !device() {
        return;
    }
    let silent = Leaky::new(0.9)
        .threshold(1e3)
        .surrogate(Surrogate::StraightThrough);
    let network: Network = Network::builder(3)
        .layer(901, silent)
        .layer(2, Leaky::new(0.9))
        .build()
        .unwrap();
    let x = Array3::from_shape_fn((19, 63, 3), |(t, b, n)| noise((t * 63 + b) * 3 + n) - 0.5);
    let (input, targets) = (Input::sequence(x.view()), targets(63, 2));
    let loss = || Loss::CrossEntropyMembrane;
    let mut cpu = Device::Cpu
        .engine(network.clone(), loss(), Adam::new(1e-3))
        .unwrap();
    let mut gpu = engine(network, loss(), Adam::new(1e-3));
    let (expected, found) = (
        cpu.forward(input, &Record::All).unwrap(),
        gpu.forward(input, &Record::All).unwrap(),
    );
    let pairs = [0, 1].map(|k| {
        (
            &expected.trace(k + 1).unwrap().mem,
            &found.trace(k + 1).unwrap().mem,
        )
    });
    for (a, b) in pairs {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5));
    }
    let (_, expected) = cpu.gradients(input.classes(&targets)).unwrap();
    let (_, found) = gpu.gradients(input.classes(&targets)).unwrap();
    for ((name, a), (_, b)) in expected.tensors().iter().zip(found.tensors()) {
        let largest = a.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
        assert!(
            largest > 0.0 || name == "fc2.weight",
            "{name} has no gradient"
        );
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() <= 1e-4 * largest, "{name}: {a} against {b}");
        }
    }
}

/// More samples than the kernels back through time have rows of blocks, so that a block takes several.
#[test]
fn a_thousand_samples_agree_with_the_cpu() {
    if !device() {
        return;
    }
    let leaky = Leaky::new(0.9)
        .threshold(0.2)
        .learn_beta(true)
        .learn_threshold(true);
    let network: Network = Network::builder(3)
        .layer(5, leaky)
        .layer(2, Leaky::new(0.9))
        .build()
        .unwrap();
    let (x, targets) = (images(1100, 3), targets(1100, 2));
    let input = Input::constant(x.view(), 3);
    // A price on spikes, so that the sums over samples do not cancel to what rounding leaves of them.
    let loss = || Objective {
        loss: Loss::CrossEntropyMembrane,
        rate_l1: 1e-2,
        penalties: Vec::new(),
    };
    let mut cpu = Device::Cpu
        .engine(network.clone(), loss(), Adam::new(1e-3))
        .unwrap();
    let (_, a) = cpu.gradients(input.classes(&targets)).unwrap();
    let mut gpu = engine(network, loss(), Adam::new(1e-3));
    let (_, b) = gpu.gradients(input.classes(&targets)).unwrap();
    for ((name, a), (_, b)) in a.tensors().iter().zip(b.tensors()) {
        let largest = a.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
        let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * largest;
        assert!(largest > 0.0 && a.iter().zip(b).all(close), "{name}");
    }
}

/// More classes than the read-out has threads, by every loss.
#[test]
fn three_hundred_classes_agree_with_the_cpu() {
    if !device() {
        return;
    }
    let network: Network = Network::builder(7)
        .layer(300, Leaky::new(0.9).threshold(0.3))
        .build()
        .unwrap();
    let (x, targets) = (images(4, 7), targets(4, 300));
    let input = Input::constant(x.view(), 6);
    for loss in losses() {
        let mut cpu = Device::Cpu
            .engine(network.clone(), loss.clone(), Adam::new(1e-3))
            .unwrap();
        let mut gpu = engine(network.clone(), loss.clone(), Adam::new(1e-3));
        let (a, b) = (
            cpu.evaluate(input.classes(&targets)),
            gpu.evaluate(input.classes(&targets)),
        );
        let (a, b) = (a.unwrap(), b.unwrap());
        assert!(
            (a.loss - b.loss).abs() <= 1e-5 * a.loss,
            "{loss:?}: {a:?} against {b:?}"
        );
        assert!(a.firing_rate[0] > 0.01 && a.firing_rate == b.firing_rate);
        for read_out in [ReadOut::SpikeCount, ReadOut::Membrane] {
            let mut classes = [vec![0; 4], vec![0; 4]];
            cpu.classify(input, read_out, &mut classes[0]).unwrap();
            gpu.classify(input, read_out, &mut classes[1]).unwrap();
            assert_eq!(classes[0], classes[1], "{read_out:?}");
        }
        let (_, a) = cpu.gradients(input.classes(&targets)).unwrap();
        let (_, b) = gpu.gradients(input.classes(&targets)).unwrap();
        for ((name, a), (_, b)) in a.tensors().iter().zip(b.tensors()) {
            let largest = a.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * largest;
            assert!(
                largest > 0.0 && a.iter().zip(b).all(close),
                "{loss:?}: {name}"
            );
        }
    }
}

/// A batch announced before, or another one announced, or one changed after it was announced: the step
/// is always that on the batch which it is given.
#[test]
fn announced_batches_change_no_bit() {
    if !device() {
        return;
    }
    let batches: Vec<_> = (0..5)
        .map(|k| images(6 + k / 4, 21).map(|x| (x + 0.2 * k as f32).fract()))
        .collect();
    let bytes = |k: usize| batches[k].map(|x| (x * 255.0).round() / 255.0);
    let run = |announce: &dyn Fn(&mut CudaEngine, usize)| {
        let mut engine = engine(network(), objective(), Adam::new(1e-2).clip_norm(0.5));
        let mut results = Vec::new();
        for (k, batch) in batches.iter().enumerate() {
            for x in [batch.clone(), bytes(k)] {
                announce(&mut engine, k);
                let input = Input::constant(x.view(), 12);
                let report = engine
                    .train_step(input.classes(&targets(x.nrows(), 5)))
                    .unwrap();
                results.push(report.loss.to_bits());
            }
        }
        (results, bits(&engine.to_network().unwrap()))
    };
    let send = |engine: &mut CudaEngine, x: &Array2<f32>, steps: usize| {
        engine
            .prefetch(Input::constant(x.view(), steps).classes(&targets(x.nrows(), 5)))
            .unwrap();
    };
    let plain = run(&|_, _| {});
    type Announce<'a> = &'a dyn Fn(&mut CudaEngine, usize);
    let cases: [(&str, Announce<'_>); 7] = [
        ("the next one, as `Trainer` does", &|engine, k| {
            send(engine, &bytes(k), 12);
            if k + 1 < batches.len() {
                send(engine, &batches[k + 1], 12);
            }
        }),
        ("right", &|engine, k| send(engine, &batches[k], 12)),
        ("another", &|engine, k| {
            send(engine, &batches[(k + 1) % 4], 12)
        }),
        ("of other sizes", &|engine, k| send(engine, &batches[k], 3)),
        ("two, and evaluated in between", &|engine, k| {
            send(engine, &batches[k], 12);
            send(engine, &bytes(k), 12);
            let x = images(3, 21);
            engine
                .evaluate(Input::constant(x.view(), 7).classes(&targets(3, 5)))
                .unwrap();
        }),
        ("more than there is room for", &|engine, k| {
            for x in &batches {
                send(engine, x, 12);
            }
            send(engine, &bytes(k), 12);
        }),
        ("changed afterwards", &|engine, k| {
            let mut x = batches[k].clone();
            x[[5, 20]] += 0.25;
            send(engine, &x, 12);
        }),
    ];
    for (name, announce) in cases {
        assert_eq!(run(announce), plain, "{name}");
    }
    // Other targets are another batch, too.
    let x = &batches[0];
    let input = Input::constant(x.view(), 12);
    let mut engines = [false, true].map(|announce| {
        let mut engine = engine(network(), objective(), Adam::new(1e-2));
        if announce {
            engine.prefetch(input.classes(&[1; 6])).unwrap();
        }
        engine.train_step(input.classes(&targets(6, 5))).unwrap();
        engine
    });
    let [a, b] = engines
        .each_mut()
        .map(|engine| bits(&engine.to_network().unwrap()));
    assert_eq!(a, b);
    // What cannot be trained on is not taken.
    let error = engines[0].prefetch(input.classes(&[7; 6])).unwrap_err();
    assert!(matches!(error, Error::Target { .. }), "{error}");
}

/// Gradients beyond the norm are scaled as the reference engine scales them, all together; those
/// within it are left alone, to the bit.
#[test]
fn clipped_updates_agree_with_the_reference() {
    if !device() {
        return;
    }
    let (x, targets) = (images(6, 21), targets(6, 5));
    let input = Input::constant(x.view(), 10);
    let train = |mut engine: Box<dyn Engine>| {
        engine.train_step(input.classes(&targets)).unwrap();
        let network = engine.to_network().unwrap();
        (engine.to_optimizer().unwrap(), bits(&network))
    };
    let gpu = |adam: Optimizer| train(Box::new(engine(network(), objective(), adam)));
    let (_, gradients) = engine(network(), objective(), Adam::new(1e-3))
        .gradients(input.classes(&targets))
        .unwrap();
    let squares = gradients
        .tensors()
        .into_iter()
        .flat_map(|(_, g)| g.iter().map(|&g| f64::from(g).powi(2)).collect::<Vec<_>>());
    let norm = squares.sum::<f64>().sqrt();
    assert!(norm > 0.1, "{norm}");
    let unclipped = gpu(Adam::new(1e-3).into());
    for (limit, clips) in [(2.0 * norm, false), (0.5 * norm, true), (1e-3 * norm, true)] {
        let adam = || Adam::new(1e-3).clip_norm(limit);
        let found = gpu(adam());
        assert_eq!(found.1 == unclipped.1, !clips, "{limit}");
        let expected = train(Box::new(
            ReferenceEngine::new(network(), objective(), adam()).unwrap(),
        ));
        let moments = [&expected.0, &found.0].map(|adam| adam.moments().unwrap().0);
        for ((name, a), (_, b)) in moments[0].tensors().iter().zip(moments[1].tensors()) {
            let largest = a.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * largest;
            assert!(
                largest > 0.0 && a.iter().zip(b).all(close),
                "{limit}: {name}"
            );
        }
    }
}

/// Twenty updates on real images, beside the CPU engine: gradients of the first within single
/// precision, the loss curve within a thousandth. The images are not in the published crate.
fn mnist_agrees_with_the_cpu(hidden: usize, batch: usize, steps: usize) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist");
    if !device() {
        return;
    }
    if !folder.is_dir() {
        let folder = folder.display();
        return skipped(format_args!("there is no MNIST in {folder}"));
    }
    let images = spikegrad::data::Mnist::load(folder).unwrap().train;
    let network: Network = Network::builder(784)
        .layer(hidden, Leaky::new(0.95))
        .layer(10, Leaky::new(0.95))
        .seed(0)
        .build()
        .unwrap();
    let loss = || Loss::CrossEntropyMembrane;
    let mut cpu = Device::Cpu
        .engine(network.clone(), loss(), Adam::new(5e-4))
        .unwrap();
    let mut gpu = engine(network, loss(), Adam::new(5e-4));
    let mut batches = images.batches(batch).unwrap().shuffled(0, 0);
    let batches: Vec<_> = (0..20).map(|_| batches.next().unwrap()).collect();
    let input = |k: usize| Input::constant(batches[k].images.view(), steps);
    let targets = |k: usize| &batches[k].targets[..];
    let fuses = cpu_fuses();
    let mut curve = Vec::new();
    for k in 0..20 {
        if k < 19 {
            gpu.prefetch(input(k + 1).classes(targets(k + 1))).unwrap();
        }
        let expected = cpu.train_step(input(k).classes(targets(k))).unwrap();
        let found = gpu.train_step(input(k).classes(targets(k))).unwrap();
        let error = (expected.loss - found.loss).abs() / expected.loss;
        println!(
            "update {k}: loss {}, {error:e} from the CPU engine",
            found.loss
        );
        assert!(
            error <= if fuses { 1e-6 } else { 1e-3 },
            "update {k}: {error:e}"
        );
        curve.push(found.loss);
    }
    if fuses {
        let (a, b) = (cpu.to_network().unwrap(), gpu.to_network().unwrap());
        for ((name, a), (_, b)) in a.parameters().iter().zip(b.parameters()) {
            assert_bits(name, a, b);
        }
    }
    let last = curve[15..].iter().sum::<f64>() / 5.0;
    assert!(last < 0.9 * curve[0], "it does not learn: {curve:?}");
}

/// 260 hidden neurons are more than the read-out's eight warps take in one turn.
#[test]
fn twenty_updates_on_mnist_agree_with_the_cpu() {
    mnist_agrees_with_the_cpu(260, 16, 10);
}

#[test]
#[ignore = "minutes under the software driver"]
fn twenty_updates_of_the_main_job_agree_with_the_cpu() {
    let batch = std::env::var("BATCH").map_or(16, |batch| batch.parse().unwrap());
    mnist_agrees_with_the_cpu(1000, batch, 25);
}
