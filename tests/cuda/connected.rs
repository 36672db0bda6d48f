//! Layers that are connected within, beside the CPU engine.

use super::*;
use agree::{assert_bits, cpu_fuses, rules};

fn recurrences() -> [Recurrence; 5] {
    let all = Recurrence::all_to_all();
    [
        all,
        all.bias(false),
        all.diagonal(false),
        all.learn(false),
        Recurrence::one_to_one(),
    ]
}

/// Two connected layers and an output, whose neurons fire.
fn network_of(widths: [usize; 3], neurons: &Neurons, recurrence: Recurrence) -> Network {
    let weights = Init::Normal {
        mean: -0.02,
        sd: 0.15,
    };
    let layers = widths[..2].iter().fold(Network::builder(21), |b, &n| {
        let layer = b.layer(n, neurons.clone());
        layer.recurrent(recurrence).recurrent_init(weights)
    });
    let layers = layers.layer(widths[2], neurons.clone());
    let mut network: Network = layers.seed(3).build().unwrap();
    for (name, mut values) in network.parameters_mut() {
        if name.starts_with("fc") && name.ends_with("weight") {
            values.mapv_inplace(|w| 2.0 * w + 0.01);
        }
    }
    network
}

fn events(steps: usize, batch: usize) -> Array3<f32> {
    Array3::from_shape_fn((steps, batch, 21), |(t, b, n)| {
        f32::from(noise(7 * ((t * batch + b) * 21 + n)) < 0.4)
    })
}

/// Recurrent currents too are added up in the order of the CPU engine: the same spikes and membranes, bit by
/// bit, of every neuron, in layers of less and of more neurons than a block has threads.
#[test]
fn spikes_and_membranes_have_the_bits_of_the_cpu() {
    if !device() || !cpu_fuses() {
        return;
    }
    let (x, still) = (events(9, 3), images(3, 21));
    let rules = rules(1.0, Surrogate::default(), false);
    let every = rules.iter().zip(recurrences().into_iter().cycle());
    for (k, ((rule, neurons), recurrence)) in every.enumerate() {
        let wide = if k % 10 == 0 { 401 } else { 70 };
        let network = network_of([wide, 33, 5], neurons, recurrence);
        for input in [Input::sequence(x.view()), Input::constant(still.view(), 9)] {
            let loss = || Loss::CrossEntropyMembrane;
            let mut cpu = Device::Cpu
                .engine(network.clone(), loss(), Adam::new(1e-3))
                .unwrap();
            let mut gpu = engine(network.clone(), loss(), Adam::new(1e-3));
            let (a, b) = (
                cpu.forward(input, &Record::All).unwrap(),
                gpu.forward(input, &Record::All).unwrap(),
            );
            for k in 1..=3 {
                let (a, b) = (a.trace(k).unwrap(), b.trace(k).unwrap());
                let rate = a.spk.mean().unwrap();
                let what = format!("{rule}, {recurrence:?}, layer {k}");
                assert!(k == 3 || rate > 0.005 && rate < 0.99, "{what}: {rate}");
                assert_bits(&format!("{what}: spikes"), &a.spk, &b.spk);
                assert_bits(&format!("{what}: membranes"), &a.mem, &b.mem);
            }
        }
    }
}

/// Batches in which a block of the pass back has one sample, two and four, and one that does not divide: the
/// gradients are those of the CPU engine, and those of single samples add up to them. Few and many neurons,
/// with constants that are learnt.
#[test]
fn samples_of_a_block_do_not_meet() {
    if !device() || !cpu_fuses() {
        return;
    }
    for (batch, widths) in [(6, [401, 33, 5]), (270, [40, 33, 5]), (530, [33, 18, 20])] {
        for recurrence in recurrences() {
            let leaky = Leaky::new(0.9)
                .threshold(vec![0.7; widths[0]])
                .learn_beta(true)
                .learn_threshold(true);
            let other = Synaptic::new(0.5, 0.8).threshold(0.7).learn_gain(true);
            let mut network: Network = Network::builder(21)
                .layer(widths[0], leaky)
                .recurrent(recurrence)
                .layer(widths[1], other)
                .recurrent(recurrence)
                .layer(widths[2], Leaky::new(0.9))
                .seed(3)
                .build()
                .unwrap();
            for (name, mut values) in network.parameters_mut() {
                if name.starts_with("fc") && name.ends_with("weight") {
                    values.mapv_inplace(|w| 2.0 * w + 0.02);
                }
            }
            let x = events(5, batch);
            let (input, targets) = (Input::sequence(x.view()), targets(batch, widths[2]));
            let objective = || Objective {
                loss: Loss::CrossEntropyMembrane,
                rate_l1: 1e-3,
                penalties: Vec::new(),
            };
            let mut cpu = Device::Cpu
                .engine(network.clone(), objective(), Adam::new(1e-3))
                .unwrap();
            let mut gpu = engine(network.clone(), objective(), Adam::new(1e-3));
            let (loss, a) = cpu.gradients(input.classes(&targets)).unwrap();
            let (found, b) = gpu.gradients(input.classes(&targets)).unwrap();
            let what = format!("{batch} samples, {recurrence:?}");
            assert!((loss - found).abs() < 1e-6 * loss, "{what}: {loss} {found}");
            for ((name, a), (_, b)) in a.tensors().iter().zip(b.tensors()) {
                let largest = a.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
                let fixed = name.contains("recurrent") && !recurrence.learn;
                assert!((largest > 0.0) != fixed, "{what}: {name}: {largest}");
                for (a, b) in a.iter().zip(b) {
                    let close = (a - b).abs() <= 2e-5 * largest;
                    assert!(close, "{what}: {name}: {a} against {b} of {largest}");
                }
            }
            let step = |engine: &mut dyn Engine| {
                let report = engine.train_step(input.classes(&targets)).unwrap();
                (report.loss.to_bits(), bits(&engine.to_network().unwrap()))
            };
            let mut again = engine(network, objective(), Adam::new(1e-3));
            assert_eq!(step(&mut gpu), step(&mut again), "{what}");
        }
    }
}
