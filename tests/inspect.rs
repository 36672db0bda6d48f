//! Looking inside a network: neurons that never fire or never pause, and norms of gradients.

use ndarray::{Array2, Array3, s};
use spikegrad::{
    Adam, CpuEngine, Engine, Input, Leaky, Loss, Network, Optimizer, Record, Recording,
    ReferenceEngine, StepReport, Trace,
};

/// Spikes of 5 steps, 2 samples and 4 neurons: silent; once, in the second sample; at every step but
/// the first; at every step of the first sample and none of the other's last.
fn trace() -> Trace {
    let mut spk = Array3::zeros((5, 2, 4));
    spk[[4, 1, 1]] = 1.0;
    spk.slice_mut(s![1.., .., 2]).fill(1.0);
    spk.slice_mut(s![.., .., 3]).fill(1.0);
    spk[[4, 1, 3]] = 0.0;
    Trace::new(spk.clone(), spk)
}

#[test]
fn silent_and_saturated_neurons_are_those_of_all_samples() {
    let trace = trace();
    assert_eq!(trace.silent_neurons(), [0]);
    assert_eq!(trace.saturated_neurons(), [2]);
    let recording = Recording::new(vec![None, Some(trace.clone())], trace);
    assert_eq!(
        recording.silent_neurons(),
        [None, Some(vec![0]), Some(vec![0])]
    );
    assert_eq!(
        recording.saturated_neurons(),
        [None, Some(vec![2]), Some(vec![2])]
    );
}

#[test]
fn one_step_and_nothing_at_all() {
    let one = Array3::from_shape_vec((1, 1, 2), vec![0.0_f32, 1.0]).unwrap();
    let one = Trace::new(one.clone(), one);
    assert_eq!(
        (one.silent_neurons(), one.saturated_neurons()),
        (vec![0], vec![1])
    );
    for shape in [(0, 2, 3), (4, 0, 3)] {
        let none = Trace::<f32>::new(Array3::zeros(shape), Array3::zeros(shape));
        assert!(none.silent_neurons().is_empty() && none.saturated_neurons().is_empty());
    }
}

#[test]
fn engines_record_what_their_neurons_do() {
    let mut network: Network = (Network::builder(1).layer(3, Leaky::new(0.5)))
        .layer(1, Leaky::new(0.5))
        .build()
        .unwrap();
    let weights = ndarray::array![[9.0_f32], [1.0], [0.1]];
    network
        .set_parameter("fc1.weight", weights.view().into_dyn())
        .unwrap();
    let bias = ndarray::Array1::zeros(3);
    network
        .set_parameter("fc1.bias", bias.view().into_dyn())
        .unwrap();
    let mut engine = CpuEngine::new(network, Loss::CrossEntropyMembrane, Adam::new(1e-3)).unwrap();
    let x = Array2::ones((2, 1));
    let recording = engine
        .forward(Input::constant(x.view(), 8), &Record::All)
        .unwrap();
    assert_eq!(recording.silent_neurons()[0], Some(vec![2]));
    assert_eq!(recording.saturated_neurons()[0], Some(vec![0]));
    let output = engine
        .forward(Input::constant(x.view(), 8), &Record::Output)
        .unwrap();
    assert_eq!(output.silent_neurons()[0], None);
}

/// Three layers, all constants learnt in the second.
fn network() -> Network {
    let learning = Leaky::new(vec![0.9; 40])
        .learn_beta(true)
        .learn_threshold(true);
    Network::builder(30)
        .layer(70, Leaky::new(0.9).threshold(0.3))
        .layer(40, learning)
        .layer(5, Leaky::new(0.9))
        .seed(2)
        .build()
        .expect("a network")
}

fn batch(size: usize) -> (Array2<f32>, Vec<usize>) {
    let pixel =
        |(b, n): (usize, usize)| ((7 * b + 3 * n) % 11) as f32 / 11.0 * f32::from(n % 3 > 0);
    (
        Array2::from_shape_fn((size, 30), pixel),
        (0..size).map(|b| b % 5).collect(),
    )
}

fn step(engine: &mut dyn Engine, size: usize, steps: usize) -> StepReport {
    let (x, targets) = batch(size);
    engine
        .train_step(Input::constant(x.view(), steps).classes(&targets))
        .expect("it trains")
}

fn close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(*expected > 0.0, "nothing to compare");
        let error = (found - expected).abs();
        assert!(error <= tolerance * expected, "{found} against {expected}");
    }
}

/// The report's norms are those of the gradients that the same engine hands out, before clipping.
#[test]
fn reports_have_the_norms_of_their_gradients() {
    for adam in [Adam::new(1e-3).into(), Adam::new(1e-3).clip_norm(1e-3)] {
        let loss = || Loss::CrossEntropyMembrane;
        let mut fast = CpuEngine::new(network(), loss(), Optimizer::clone(&adam)).unwrap();
        let mut reference = ReferenceEngine::new(network(), loss(), adam).unwrap();
        for engine in [&mut fast as &mut dyn Engine, &mut reference] {
            assert_eq!(step(engine, 9, 12).gradient_norms, None, "not asked for");
            engine.measure_gradients(true);
            for _ in 0..2 {
                let (x, targets) = batch(9);
                let input = Input::constant(x.view(), 12);
                let (_, gradients) = engine.gradients(input.classes(&targets)).unwrap();
                let expected = gradients.layer_norms();
                let squares: f64 = expected.iter().map(|x| x * x).sum();
                close(&[gradients.norm()], &[squares.sqrt()], 1e-12);
                let report = step(engine, 9, 12);
                close(&report.gradient_norms.unwrap(), &expected, 1e-12);
                assert_eq!(
                    engine
                        .evaluate(input.classes(&targets))
                        .unwrap()
                        .gradient_norms,
                    None
                );
            }
            engine.measure_gradients(false);
            assert_eq!(step(engine, 9, 12).gradient_norms, None, "no longer");
        }
    }
}

/// Layer by layer, tensor by tensor.
#[test]
fn layer_norms_take_in_every_tensor_of_the_layer() {
    let mut engine =
        ReferenceEngine::new(network(), Loss::CrossEntropyMembrane, Adam::new(1e-3)).unwrap();
    let (x, targets) = batch(9);
    let (_, gradients) = engine
        .gradients(Input::constant(x.view(), 12).classes(&targets))
        .unwrap();
    let norm = |names: &[&str]| {
        let tensors = names
            .iter()
            .map(|name| gradients.get(name).expect("a tensor"));
        let squares = tensors.map(|t| t.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>());
        let squares: Vec<f64> = squares.collect();
        assert!(squares.iter().all(|&square| square > 0.0), "{squares:?}");
        squares.iter().sum::<f64>().sqrt()
    };
    let expected = [
        norm(&["fc1.weight", "fc1.bias"]),
        norm(&["fc2.weight", "fc2.bias", "lif2.beta", "lif2.threshold"]),
        norm(&["fc3.weight", "fc3.bias"]),
    ];
    close(&gradients.layer_norms(), &expected, 1e-12);
}

/// A run that measures some of its steps ends with the weights of one that measures none: small
/// batches, and some so large that they are done in parts.
#[test]
fn measuring_changes_no_weight() {
    for (size, steps) in [(9, 12), (700, 100)] {
        let train = |measured: &[usize]| {
            let adam = Adam::new(1e-2);
            let mut engine = CpuEngine::new(network(), Loss::CrossEntropyMembrane, adam).unwrap();
            for n in 0..4 {
                engine.measure_gradients(measured.contains(&n));
                let report = step(&mut engine, size, steps);
                assert_eq!(report.gradient_norms.is_some(), measured.contains(&n));
            }
            engine.to_network().unwrap()
        };
        let expected = train(&[]);
        assert!(train(&[0, 2]) == expected, "{size} samples");
        assert!(train(&[0, 1, 2, 3]) == expected, "{size} samples");
    }
}

/// Neither threads nor instruction sets change the bits of a norm.
#[test]
#[cfg(feature = "rayon")]
fn norms_have_the_same_bits_everywhere() {
    let norms = |set: &str, threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let (loss, adam) = (Loss::CrossEntropyMembrane, Adam::new(1e-2));
            let mut engine = CpuEngine::with_instruction_set(network(), loss, adam, set).unwrap();
            engine.measure_gradients(true);
            let report = step(&mut engine, 33, 12);
            report
                .gradient_norms
                .unwrap()
                .iter()
                .map(|x| x.to_bits())
                .collect::<Vec<_>>()
        })
    };
    // Those with fused multiply-adds.
    let sets = CpuEngine::instruction_sets();
    let sets = sets
        .into_iter()
        .filter(|set| !["SSE2", "portable"].contains(set));
    let mut all = sets.flat_map(|set| [1, 2, 5].map(|threads| norms(set, threads)));
    let first = all.next();
    assert!(all.all(|other| Some(other) == first));
}

#[cfg(feature = "safetensors")]
mod checkpoints {
    use spikegrad::{Checkpoint, Device, History, Trainer, data::Dataset};

    use super::*;

    fn run(measured: fn(usize) -> bool) -> (Trainer, Box<dyn Engine>, History) {
        let images = Array2::from_shape_fn((20, 30), |(b, n)| (97 * b + 31 * n) as u8);
        let data = Dataset::new(images, (0..20).map(|b| b % 5).collect(), 5).unwrap();
        let trainer = Trainer {
            epochs: 2,
            batch_size: 4,
            num_steps: 12,
            seed: 1,
            ..Trainer::default()
        };
        let loss = Loss::CrossEntropyMembrane;
        let mut engine = Device::Cpu
            .engine(network(), loss, Adam::new(1e-2))
            .unwrap();
        engine.measure_gradients(measured(0));
        let history = trainer.fit(&mut *engine, &data, None, |engine, event| {
            engine.measure_gradients(measured(event.history().batches.len()));
            Ok(std::ops::ControlFlow::Continue(()))
        });
        let history = history.unwrap();
        for (n, record) in history.batches.iter().enumerate() {
            assert_eq!(
                record.report.gradient_norms.is_some(),
                measured(n),
                "batch {n}"
            );
        }
        (trainer, engine, history)
    }

    #[test]
    fn a_checkpoint_keeps_what_was_measured() {
        for measured in [|_| false, |_| true, |n| n % 3 == 1] {
            let (trainer, mut engine, history) = run(measured);
            let checkpoint = Checkpoint::new(&mut *engine, &trainer, &history).unwrap();
            let folder = tempfile::tempdir().unwrap();
            checkpoint.save(folder.path()).unwrap();
            let found = Checkpoint::load(folder.path()).unwrap();
            assert!(found.expect("a checkpoint").checkpoint.history == history);
            // Nothing measured, nothing written.
            let mut files = std::fs::read_dir(folder.path())
                .unwrap()
                .map(|f| f.unwrap().path());
            let file = files.find(|path| path.extension().is_some_and(|e| e == "safetensors"));
            let bytes = std::fs::read(file.expect("a file")).unwrap();
            let header = String::from_utf8_lossy(&bytes);
            assert_eq!(
                header.contains("gradient_norms"),
                measured(1) || measured(0)
            );
        }
    }

    #[test]
    fn norms_that_cannot_be_are_refused() {
        for bad in [vec![1.0; 2], vec![1.0, f64::NAN, 1.0], vec![1.0, -1.0, 1.0]] {
            let (trainer, mut engine, mut history) = run(|n| n == 4);
            history.batches[4].report.gradient_norms = Some(bad);
            let checkpoint = Checkpoint::new(&mut *engine, &trainer, &history).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let error = checkpoint
                .save(folder.path().join("checkpoint"))
                .unwrap_err();
            assert!(
                error.to_string().contains("record 4: gradient norm"),
                "{error}"
            );
        }
    }
}
