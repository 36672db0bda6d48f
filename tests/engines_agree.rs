//! Every engine against the reference in double precision, on one table of cases and on drawn
//! networks; and the promise that bits depend on neither threads nor vector width.
//!
//! A new engine is a few lines in `tests/engines`; a new case is one line in `tests/cases`.

#[cfg(feature = "rayon")]
use std::sync::LazyLock;

use ndarray::{Array2, Array3, ArrayD, s};
use proptest::{prelude::*, test_runner::RngSeed};
use spikegrad::{
    Adam, CpuEngine, Dynamics, Engine, Error, Input, Leaky, Loss, Network, Optimizer, Predictor,
    ReadOut, Record, Recording, ReferenceEngine, Reset, State, Surrogate, Targets,
    metrics::argmax_rows, neuron::Neurons,
};

#[macro_use]
mod engines;
mod cases;
mod skip;

use cases::{Case, Data, constant, misjudged, network, sequence};
use engines::Make;

fn largest(values: &ArrayD<f64>) -> f64 {
    values.iter().fold(1e-6_f64, |max, x| max.max(x.abs()))
}

/// `|a − b| ≤ tolerance · largest`, everything finite, equal shapes.
fn assert_close(
    what: &str,
    expected: &ArrayD<f64>,
    found: &ArrayD<f64>,
    tolerance: f64,
    largest: f64,
) {
    assert_eq!(expected.shape(), found.shape(), "{what}");
    for (index, &a) in expected.indexed_iter() {
        let b = found[&index];
        assert!(
            (a - b).abs() <= tolerance * largest,
            "{what} at {index:?}: {a} expected, {b} found"
        );
    }
}

/// A setting of neurons, as files have it; empty if they do not have it.
fn setting(neurons: &Neurons, name: &str) -> String {
    let settings = neurons.settings().into_iter();
    let mut found = settings.filter(|(known, _)| *known == name);
    found.next().map_or_else(String::new, |(_, value)| value)
}

/// Whether all spikes agree; where the first to differ do so, the double-precision membrane must be
/// within rounding of the threshold.
fn same_spikes(
    label: &str,
    network: &Network,
    expected: &Recording<f64>,
    found: &Recording,
) -> bool {
    for t in 0..expected.output().spk.dim().0 {
        let mut differs = false;
        for (k, layer) in network.layers().iter().enumerate() {
            let below = differs; // a flip in a layer below, at this very step, is reason enough
            let (a, b) = (expected.trace(k + 1).unwrap(), found.trace(k + 1).unwrap());
            for ((t, b, n), &spk) in b.spk.indexed_iter().filter(|((at, _, _), _)| *at == t) {
                if f64::from(spk) == a.spk[[t, b, n]] {
                    continue;
                }
                differs = true;
                let order = setting(layer.neuron(), "dynamics");
                if order.is_empty() {
                    continue; // its threshold is not a constant
                }
                let theta = f64::from(
                    layer.constant("threshold").unwrap()
                        [n % layer.constant("threshold").unwrap().len()],
                );
                let read = match &order[..] {
                    "fire_then_integrate" => a.mem[[t.max(1) - 1, b, n]],
                    "integrate_then_fire" => a.mem[[t, b, n]],
                    "integrate_fire_reset" => a.mem[[t, b, n]] + theta * a.spk[[t, b, n]],
                    other => panic!("{label}: an order of events {other}"),
                };
                let excused = (read - theta).abs() < 1e-4 || below;
                assert!(
                    excused,
                    "{label}: spike of layer {} at [{t}, {b}, {n}] differs: {read} against {theta}",
                    k + 1
                );
            }
        }
        if differs {
            return false;
        }
    }
    true
}

/// Losses; a small cross entropy has the relative error of the membranes' absolute one, which grows with
/// them (`scale`).
fn assert_loss_close(what: &str, expected: f64, found: f64, scale: f64) {
    let tolerance = 1e-5 * expected.abs().max(1e-3) * scale.max(1.0);
    let error = (expected - found).abs();
    assert!(
        error <= tolerance,
        "{what}: loss {expected} expected, {found} found"
    );
}

/// Gradients against gradients. Those of `β` and `θ` are sums of many terms of both signs, which
/// may all but cancel: they are measured against the largest gradient of all.
fn assert_gradients_close(label: &str, expected: &Tensors, found: &Tensors) {
    let of_all = expected
        .iter()
        .fold(0.0_f64, |max, (_, g)| max.max(largest(g)));
    for ((name, a), (_, b)) in expected.iter().zip(found) {
        let scale = if name.starts_with("lif") {
            of_all
        } else {
            largest(a)
        };
        assert_close(&format!("{label}: gradient of {name}"), a, b, 1e-4, scale);
    }
}

type Tensors = Vec<(String, ArrayD<f64>)>;

fn widened<F: spikegrad::Float>(gradients: &spikegrad::Gradients<F>) -> Tensors {
    gradients
        .tensors()
        .into_iter()
        .map(|(name, g)| (name, g.mapv(|g| g.as_f64())))
        .collect()
}

/// Runs a case through the reference in double precision and one engine; returns whether the two
/// could be compared to the end (no spike flipped on its last bit).
fn check(case: &Case, name: &str, make: &Make) -> bool {
    case.data
        .with_double(|input64| compare(case, input64, name, make))
}

fn compare(case: &Case, input64: Input<'_, f64>, name: &str, make: &Make) -> bool {
    let label = format!("{} · {name}", case.label);
    let input = case.data.input();
    let targets = case.targets();
    let mut expected = ReferenceEngine::new(
        case.network.cast::<f64>(),
        case.objective64(),
        Adam::new(1e-3),
    )
    .unwrap();
    let mut found = make(
        case.network.clone(),
        case.objective.clone(),
        Adam::new(1e-3).into(),
    );

    let recording64 = expected.forward(input64, &Record::All).unwrap();
    let recording = found.forward(input, &Record::All).unwrap();
    if !same_spikes(&label, &case.network, &recording64, &recording) {
        return false;
    }
    for k in 1..=recording.num_layers() {
        let (a, b) = (recording64.trace(k).unwrap(), recording.trace(k).unwrap());
        let (a, b) = (a.mem.clone().into_dyn(), b.mem.mapv(f64::from).into_dyn());
        assert_close(&format!("{label}: mem{k}"), &a, &b, 2e-5, largest(&a));
    }
    let output = found.forward(input, &Record::Output).unwrap();
    assert_eq!(
        output.output(),
        recording.output(),
        "{label}: recording the output alone"
    );
    assert!(
        recording.num_layers() == 1 || output.trace(1).is_none(),
        "{label}"
    );

    let mut classes = vec![0; targets.len()];
    for read_out in [ReadOut::SpikeCount, ReadOut::Membrane] {
        found.classify(input, read_out, &mut classes).unwrap();
        assert_eq!(
            classes,
            recording.classify(read_out),
            "{label}: {read_out:?}"
        );
        let mut scores = Array2::zeros((targets.len(), case.network.outputs()));
        found.scores(input, read_out, scores.view_mut()).unwrap();
        assert_eq!(scores, recording.scores(read_out), "{label}: {read_out:?}");
        assert_eq!(argmax_rows(scores.view()), classes, "{label}: {read_out:?}");
    }

    let (loss64, gradients64) = expected.gradients(input64.classes(&targets)).unwrap();
    let (loss, gradients) = found.gradients(input.classes(&targets)).unwrap();
    assert!(
        (loss - loss64).abs() <= 1e-5 * loss64.abs().max(1e-3),
        "{label}: loss {loss64} expected, {loss} found"
    );
    assert_gradients_close(&label, &widened(&gradients64), &widened(&gradients));
    let report64 = expected.evaluate(input64.classes(&targets)).unwrap();
    let report = found.evaluate(input.classes(&targets)).unwrap();
    assert_eq!(
        report.correct_spike_count, report64.correct_spike_count,
        "{label}"
    );
    for (a, b) in report64.firing_rate.iter().zip(&report.firing_rate) {
        assert!(
            (a - b).abs() < 1e-9,
            "{label}: firing rates {:?} {:?}",
            report64.firing_rate,
            report.firing_rate
        );
    }

    let before = found.to_network().unwrap();
    assert_eq!(before, case.network, "{label}: nothing so far has trained");
    let trained = match found.train_step(input.classes(&targets)) {
        Err(Error::NonFinite { what, .. }) if what.starts_with("second moment of ") => {
            let mut tensors = gradients64.tensors().into_iter();
            let exploded = tensors.any(|(_, g)| largest(&g.to_owned()) > 1.8e19);
            assert!(exploded, "{label}: {what}");
            return true;
        }
        trained => trained.unwrap(),
    };
    assert_eq!(
        trained, report,
        "{label}: the report describes the batch before the update"
    );
    // One update by Adam is lr · sign(g): compare where the gradient is clear of rounding.
    expected.train_step(input64.classes(&targets)).unwrap();
    let (after64, after) = (expected.to_network().unwrap(), found.to_network().unwrap());
    for (((name, a), (_, b)), (_, g)) in after64
        .parameters()
        .into_iter()
        .zip(after.parameters())
        .zip(gradients64.tensors())
    {
        let largest = g.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
        for (index, &g) in g
            .indexed_iter()
            .filter(|(_, g)| g.abs() > 1e-3 * largest && g.abs() > 1e-5)
        {
            let (a, b) = (a[&index], f64::from(b[&index]));
            assert!(
                (a - b).abs() <= 2e-5,
                "{label}: updated {name} at {index:?} (g {g}): {a} expected, {b} found"
            );
        }
    }
    true
}

/// A case through an engine and the reference in double precision. Where a spike flips on its last bit the
/// two part, and parameters a little larger must do.
fn agrees(case: fn() -> Case, name: &str, make: &Make) {
    let compared = (0..4).any(|n| check(&case().nudged(n), name, make));
    assert!(compared, "{name}: no network without a spike on the edge");
}

/// A case in two pieces, the second from the state after the first: spikes and membranes have the bits of
/// the whole, and the gradients are those of the reference in double precision.
fn in_pieces(case: fn() -> Case, name: &str, make: &Make) {
    let compared = (0..4).any(|n| check_pieces(&case().nudged(n), name, make));
    assert!(compared, "{name}: no network without a spike on the edge");
}

fn check_pieces(case: &Case, name: &str, make: &Make) -> bool {
    let label = format!("{} · {name}", case.label);
    let input = case.data.input();
    let (steps, batch) = (input.num_steps(), input.batch());
    let (network, objective) = (case.network.clone(), case.objective.clone());
    let mut found = make(network, objective, Adam::new(1e-3).into());
    let (network64, objective64) = (case.network.cast(), case.objective64());
    let mut expected = ReferenceEngine::new(network64, objective64, Adam::new(1e-3)).unwrap();
    let whole = found.forward(input, &Record::All).unwrap();
    let whole64 = (case.data).with_double(|x| expected.forward(x, &Record::All).unwrap());
    if !same_spikes(&label, &case.network, &whole64, &whole) {
        return false;
    }
    // Wrong answers, since right ones can leave a gradient that is all rounding.
    let answers = whole.classify(ReadOut::Membrane).into_iter();
    let targets: Vec<usize> = answers.map(|c| (c + 1) % case.network.outputs()).collect();
    let mut state = State::rest(&case.network, batch).unwrap();
    let mut state64 = State::rest(&case.network.cast(), batch).unwrap();
    let cut = steps / 3;
    for steps in [0..cut, cut..steps] {
        if steps.is_empty() {
            continue;
        }
        let data = case.data.steps(steps.clone());
        let (mut after, mut after64) = (state.clone(), state64.clone());
        let recording = found
            .forward_from(&mut after, data.input(), &Record::All)
            .unwrap();
        let run = |x: Input<'_, f64>| {
            expected
                .forward_from(&mut after64, x, &Record::All)
                .unwrap()
        };
        data.with_double(run);
        for k in 1..=recording.num_layers() {
            let (a, b) = (whole.trace(k).unwrap(), recording.trace(k).unwrap());
            assert_eq!(
                a.spk.slice(s![steps.clone(), .., ..]),
                b.spk,
                "{label}: spk{k} of {steps:?}"
            );
            assert_eq!(
                a.mem.slice(s![steps.clone(), .., ..]),
                b.mem,
                "{label}: mem{k} of {steps:?}"
            );
            for (a, b) in after64
                .layer(k)
                .unwrap()
                .iter()
                .zip(after.layer(k).unwrap())
            {
                let (a, b) = (a.clone().into_dyn(), b.mapv(f64::from).into_dyn());
                assert_close(
                    &format!("{label}: state of layer {k}"),
                    &a,
                    &b,
                    2e-5,
                    largest(&a),
                );
            }
        }
        let mut trained = state.clone();
        let report = found
            .accumulate_from(&mut trained, data.input().classes(&targets), 1.0)
            .unwrap();
        assert_eq!(
            trained, after,
            "{label}: the state after a pass with gradients"
        );
        let report64 = data.with_double(|x| {
            expected
                .accumulate_from(&mut state64, x.classes(&targets), 1.0)
                .unwrap()
        });
        let of_output = after64.layer(whole.num_layers()).unwrap();
        let scale = largest(&of_output[0].clone().into_dyn());
        assert_loss_close(&label, report64.loss, report.loss, scale);
        let label = format!("{label}, steps {steps:?}");
        assert_gradients_close(&label, &taken(&mut expected), &taken(&mut *found));
        (state, state64) = (after, after64);
    }
    true
}

/// The accumulated gradients, which are cleared.
fn taken<F: spikegrad::Float>(engine: &mut (impl Engine<F> + ?Sized)) -> Tensors {
    let mut taken = Vec::new();
    let mut take = |gradients: &mut spikegrad::Gradients<F>| {
        taken = widened(gradients);
        Ok(())
    };
    engine.gradients_mut(&mut take).unwrap();
    engine.clear_gradients();
    taken
}

/// A predictor computes what the CPU engine does, bit for bit, on every instruction set.
fn predictor_has_the_bits_of_the_engine(case: &Case) {
    for isa in CpuEngine::instruction_sets() {
        let (network, objective) = (case.network.clone(), case.objective.clone());
        let adam = Adam::new(1e-3);
        let mut engine = CpuEngine::with_instruction_set(network, objective, adam, isa).unwrap();
        let predictor = Predictor::with_instruction_set(&case.network, isa).unwrap();
        let input = case.data.input();
        let recording = engine.forward(input, &Record::All).unwrap();
        let found = predictor.forward(input, &Record::All).unwrap();
        assert!(found == recording, "{isa}");
        for by in [ReadOut::SpikeCount, ReadOut::Membrane] {
            let mut classes = vec![0; input.batch()];
            let mut scores = Array2::zeros((input.batch(), case.network.outputs()));
            predictor.classify(input, by, &mut classes).unwrap();
            predictor.scores(input, by, scores.view_mut()).unwrap();
            assert_eq!(classes, recording.classify(by), "{isa}");
            assert_eq!(scores, recording.scores(by), "{isa}");
        }
    }
}

/// Cases in which something is zero on purpose.
const SILENT: [&str; 4] = [
    // One class has a cross entropy of 0.
    "one_output",
    // One step, in which nothing can fire.
    "one_of_everything",
    "one_step",
    // Nothing but biases, and no gradient at the first weights.
    "silent_input",
];

/// A case must bite: every layer fires, but not all the time, and every parameter has a gradient.
fn bites(case: &Case) {
    let (input, targets) = (case.data.input(), case.targets());
    let (network, objective) = (case.network.clone(), case.objective.clone());
    let mut engine = ReferenceEngine::new(network, objective, Adam::new(1e-3)).unwrap();
    let rates = engine
        .evaluate(input.classes(&targets))
        .unwrap()
        .firing_rate;
    let (_, gradients) = engine.gradients(input.classes(&targets)).unwrap();
    let zero = |gradient: &ndarray::ArrayViewD<'_, f32>| gradient.iter().all(|&g| g == 0.0);
    // A loss on membranes does not see the output's threshold, unless the reset subtracts it or passes
    // a gradient on.
    let output = case.network.layers().len();
    let neuron = case.network.layers()[output - 1].neuron();
    let of_output = |name| setting(neuron, name);
    let unseen = of_output("reset") != "subtract" && of_output("detach_reset") == "true";
    let excused = |name: &str| unseen && name == format!("lif{output}.threshold");
    let fixed: Vec<String> = (1..)
        .zip(case.network.layers())
        .flat_map(|(k, layer)| {
            let own = layer.synapses().recurrence.filter(|own| !own.learn);
            let below = (!layer.synapses().learn).then(|| format!("fc{k}."));
            below
                .into_iter()
                .chain(own.map(|_| format!("lif{k}.recurrent.")))
        })
        .collect();
    let is_fixed = |name: &str| fixed.iter().any(|fixed| name.starts_with(fixed));
    for (name, gradient) in gradients.tensors() {
        assert!(!is_fixed(&name) || zero(&gradient), "{name} is fixed");
    }
    let zero: Vec<String> = (gradients.tensors().into_iter())
        .filter(|(name, gradient)| zero(gradient) && !excused(name) && !is_fixed(name))
        .map(|(name, _)| name)
        .collect();
    // The large batches that are done in parts fire nearly always.
    let lively = rates
        .iter()
        .zip(case.network.layers())
        .all(|(rate, layer)| {
            let can = layer.neuron().name() != "leaky_integrator";
            (0.001..0.999).contains(rate) || !can && *rate == 0.0
        });
    let bites = lively && zero.is_empty();
    let silent = SILENT.contains(&&*case.label);
    assert_ne!(
        bites, silent,
        "{}: rates {rates:?}, no gradient in {zero:?}",
        case.label
    );
}

fn trained(case: &Case, engine: &mut dyn Engine) -> Network {
    for _ in 0..3 {
        engine
            .train_step(case.data.input().classes(&case.targets()))
            .unwrap();
    }
    engine.to_network().unwrap()
}

/// The CPU engine's instruction sets with fused multiply-adds.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn fused() -> Vec<&'static str> {
    let mut fused = CpuEngine::instruction_sets();
    fused.retain(|&isa| isa != "SSE2");
    fused
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn trained_on(isa: &str, case: &Case) -> Network {
    let (network, objective) = (case.network.clone(), case.objective.clone());
    let engine = CpuEngine::with_instruction_set(network, objective, Adam::new(1e-2), isa);
    trained(case, &mut engine.unwrap())
}

/// All instruction sets with fused multiply-adds give the same bits: AVX2 and AVX-512, NEON and arrays
/// on ARM.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn vector_width_does_not_show(case: &Case) {
    let fused = fused();
    if fused.len() < 2 {
        let only = format_args!("this machine has {fused:?} alone").to_string();
        return skip::skipped(only);
    }
    let expected = trained_on(fused[0], case);
    for isa in &fused[1..] {
        assert_eq!(trained_on(isa, case), expected, "{isa} and {}", fused[0]);
    }
}

/// Prints a checksum of the weights of all cases, the same on ARM and on x86 (`.ci/neon` compares).
#[test]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn checksum_of_all_cases() {
    let Some(isa) = fused().pop() else {
        return skip::skipped("this machine has no fused multiply-add");
    };
    let sum = || {
        let mut checksum = crc32fast::Hasher::new();
        for case in cases::all() {
            for (_, values) in trained_on(isa, &case()).parameters() {
                values.for_each(|x| checksum.update(&x.to_le_bytes()));
            }
        }
        checksum.finalize()
    };
    println!("\nchecksum {:08x}", sum());
}

/// 1, 2, 3 and 8 threads give the same bits.
#[cfg(feature = "rayon")]
fn threads_do_not_show(case: &Case) {
    static POOLS: LazyLock<[rayon::ThreadPool; 4]> = LazyLock::new(|| {
        let pool = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build();
        [1, 2, 3, 8].map(|n| pool(n).unwrap())
    });
    let results = POOLS.each_ref().map(|pool| {
        pool.install(|| {
            let (network, objective) = (case.network.clone(), case.objective.clone());
            let engine = CpuEngine::new(network, objective, Adam::new(1e-2));
            trained(case, &mut engine.unwrap())
        })
    });
    for result in &results[1..] {
        assert!(*result == results[0], "{}", case.label);
    }
    // With one class the cross entropy is 0 and there is nothing to learn.
    let learns = case.network.outputs() > 1;
    assert_eq!(results[0] != case.network, learns, "{}", case.label);
}

/// Batches so large that they are done in parts, and then have the gradients of the whole: a static input,
/// and a dense sequence, whose weight gradients are cut into strips of many blocks.
mod in_parts {
    use super::*;

    fn learnt(_: usize) -> Leaky {
        Leaky::new(0.9).learn_beta(true).learn_threshold(true)
    }

    fn case(label: &str, sizes: &[usize], data: Data) -> Case {
        Case {
            label: label.into(),
            network: network(sizes, learnt),
            data,
            objective: Loss::CrossEntropyMembrane.into(),
        }
    }

    fn of_a_static_input() -> Case {
        let data = constant(60, 10, 600, 0.5);
        case("a static input in parts", &[10, 300, 300, 4], data)
    }

    fn of_a_dense_sequence() -> Case {
        let data = sequence(200, 70, 41, 1.0, false);
        case("a dense sequence in parts", &[41, 600, 5], data)
    }

    #[test]
    fn static_input_bites() {
        bites(&of_a_static_input());
    }

    #[test]
    fn dense_sequence_bites() {
        bites(&of_a_dense_sequence());
    }

    #[test]
    fn static_input_parts_add_up() {
        parts_add_up(&of_a_static_input(), 0);
    }

    #[test]
    fn static_input_parts_add_up_from_a_state() {
        let case = of_a_static_input();
        parts_add_up(&case, case.data.input().num_steps() / 3);
    }

    #[test]
    fn dense_sequence_parts_add_up_from_a_state() {
        let case = of_a_dense_sequence();
        parts_add_up(&case, case.data.input().num_steps() / 3);
    }

    #[test]
    fn dense_sequence_parts_add_up() {
        parts_add_up(&of_a_dense_sequence(), 0);
    }

    #[test]
    #[cfg(feature = "rayon")]
    fn static_input_threads_do_not_show() {
        threads_do_not_show(&of_a_static_input());
    }

    #[test]
    #[cfg(feature = "rayon")]
    fn dense_sequence_threads_do_not_show() {
        threads_do_not_show(&of_a_dense_sequence());
    }

    /// The gradients of the steps from `cut` on are those of single samples, up to rounding, each from its
    /// state.
    fn parts_add_up(case: &Case, cut: usize) {
        let (targets, steps) = (case.targets(), case.data.input().num_steps());
        let gradients = |data: &Data, targets: &[usize]| {
            let (network, objective) = (case.network.clone(), case.objective.clone());
            let mut engine = CpuEngine::new(network, objective, Adam::new(1e-2)).unwrap();
            if cut == 0 {
                let (_, gradients) = engine.gradients(data.input().classes(targets)).unwrap();
                return widened(&gradients);
            }
            let mut state = State::rest(&case.network, targets.len()).unwrap();
            let (before, after) = (data.steps(0..cut), data.steps(cut..steps));
            engine
                .forward_from(&mut state, before.input(), &Record::Output)
                .unwrap();
            let samples = after.input().classes(targets);
            engine.accumulate_from(&mut state, samples, 1.0).unwrap();
            taken(&mut engine)
        };
        let whole = gradients(&case.data, &targets);
        let mut sum: Option<Tensors> = None;
        for b in 0..targets.len() {
            let one = gradients(&case.data.sample(b), &targets[b..=b]);
            let share = targets.len() as f64;
            let one = one.into_iter().map(|(name, g)| (name, g / share));
            sum = Some(match sum {
                None => one.collect(),
                Some(sum) => sum
                    .into_iter()
                    .zip(one)
                    .map(|((name, a), (_, b))| (name, a + b))
                    .collect(),
            });
        }
        assert_gradients_close(&case.label, &sum.unwrap(), &whole);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 60,
        failure_persistence: None,
        // The same networks in every run; PROPTEST_RNG_SEED draws others.
        rng_seed: RngSeed::Fixed(std::env::var("PROPTEST_RNG_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7)),
        ..ProptestConfig::default()
    })]

    /// Drawn shapes, with a rule and a surrogate for each layer.
    #[test]
    fn drawn_networks(
        sizes in prop::collection::vec(1_usize..90, 2..6),
        rules in prop::collection::vec((0_usize..3, 0_usize..5, 0_usize..5, any::<bool>()), 5),
        num_steps in 1_usize..30,
        batch in 1_usize..10,
        density in 0.0_f32..1.0,
        kind in 0..3,
    ) {
        let neuron = |k: usize| {
            let (dynamics, reset, surrogate, learn) = rules[k];
            let dynamics =
                [Dynamics::FireThenIntegrate, Dynamics::IntegrateThenFire, Dynamics::IntegrateFireReset][dynamics];
            let reset = [Reset::Subtract, Reset::Zero, Reset::None, Reset::Subtract, Reset::Zero][reset];
            let surrogate = [
                Surrogate::default(),
                Surrogate::FastSigmoid { slope: 10.0 },
                Surrogate::Sigmoid { slope: 5.0 },
                Surrogate::Triangular,
                Surrogate::StraightThrough,
            ][surrogate];
            let detach = rules[k].1 < 3;
            Leaky::new(0.8).threshold(0.7).dynamics(dynamics).reset(reset).detach_reset(detach)
                .surrogate(surrogate).learn_beta(learn).learn_threshold(learn)
        };
        let data = match kind {
            0 => constant(batch, sizes[0], num_steps, density),
            1 => sequence(num_steps, batch, sizes[0], density, true),
            _ => sequence(num_steps, batch, sizes[0], density, false),
        };
        let case = Case {
            label: format!("{sizes:?} {rules:?} T {num_steps}"),
            network: network(&sizes, neuron),
            data,
            objective: Loss::CrossEntropyMembrane.into(),
        };
        // A silent network agrees with every other.
        let (network, objective) = (case.network.clone(), case.objective.clone());
        let mut reference = ReferenceEngine::new(network, objective, Adam::new(1e-3)).unwrap();
        let report = reference.evaluate(case.data.input().classes(&case.targets())).unwrap();
        prop_assume!(report.firing_rate[0] > 0.001);
        engines::on("cpu", |name, make| {
            check(&case, name, make);
        });
    }
}

/// A recording that one engine made is good for another's backward pass: the reference's gradients
/// from the fast engine's recording are those from its own.
fn recording_is_good_for_any_engine(case: fn() -> Case) {
    use spikegrad::engine::reference::{backward, forward};
    let compared = |case: Case| {
        let (input, targets) = (case.data.input(), case.targets());
        let (network, objective) = (case.network.clone(), case.objective.clone());
        let mut engine = CpuEngine::new(network, objective, Adam::new(1e-3)).unwrap();
        let gradients = |recording: &Recording| {
            let (_, adjoints) = case.objective.evaluate(recording, &targets).unwrap();
            widened(&backward(&case.network, input, recording, &adjoints).unwrap())
        };
        let own = forward(&case.network, input).unwrap();
        let other = engine.forward(input, &Record::All).unwrap();
        let same = own.output().spk == other.output().spk;
        if same {
            assert_gradients_close(&case.label, &gradients(&own), &gradients(&other));
        }
        same
    };
    assert!(
        (0..4).any(|n| compared(case().nudged(n))),
        "no network without a spike on the edge"
    );
}

/// Spikes and membranes alone do not say what the surrogate read before an immediate reset.
#[test]
fn a_recording_that_lacks_something_is_refused() {
    use spikegrad::engine::reference::{backward, forward};
    let leaky = Leaky::new(0.9).dynamics(Dynamics::IntegrateFireReset);
    let network: Network = Network::builder(2).layer(2, leaky).build().unwrap();
    let x = Array2::from_elem((1, 2), 0.5_f32);
    let input = Input::constant(x.view(), 3);
    let full = forward(&network, input).unwrap();
    let (_, adjoints) = Loss::CrossEntropyMembrane.evaluate(&full, &[0]).unwrap();
    let bare = spikegrad::Trace::new(full.output().spk.clone(), full.output().mem.clone());
    let bare = Recording::new(Vec::new(), bare);
    assert!(backward(&network, input, &full, &adjoints).is_ok());
    assert!(backward(&network, input, &bare, &adjoints).is_err());
}

/// An input whose axes were taken for others is an error that says how they were read, in every engine.
fn a_wrong_shape_says_what_was_read(name: &str, make: &Make) {
    use spikegrad::Error;
    let case = &cases::main_job_small::case();
    let network = network(&[3, 2], |_| Leaky::new(0.9));
    let x = Array3::<f32>::zeros((5, 4, 3));
    let narrow = Array3::<f32>::zeros((5, 4, 2));
    let still = Array2::<f32>::zeros((1, 3));
    let mut engine = make(
        network.clone(),
        case.objective.clone(),
        Adam::new(1e-3).into(),
    );
    let says = |result: spikegrad::Result<()>, parts: &[&str]| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Shape { .. }), "{name}: {error}");
        let text = error.to_string();
        assert!(
            parts.iter().all(|part| text.contains(part)),
            "{name}: {text}"
        );
    };
    let read = "input [T, B, N] = [5, 4, 3] was read as T = 5 steps of B = 4 samples";
    let input = Input::sequence(x.view());
    let targets = ["targets has shape [5]; expected [4], one per sample", read];
    says(engine.evaluate(input.classes(&[0; 5])).map(drop), &targets);
    says(engine.gradients(input.classes(&[0; 5])).map(drop), &targets);
    says(
        engine.train_step(input.classes(&[0; 5])).map(drop),
        &targets,
    );
    let classes = ["classes has shape [5]; expected [4], one per sample", read];
    says(
        engine.classify(input, ReadOut::Membrane, &mut [0; 5]),
        &classes,
    );
    let input = Input::sequence(narrow.view());
    let narrow = "input [T, B, N] = [5, 4, 2] was read as T = 5 steps of B = 4 samples";
    says(
        engine.forward(input, &Record::All).map(drop),
        &["expected [T, B, 3]", narrow],
    );
    let input = Input::constant(still.view(), 7);
    let still = "input [B, N] = [1, 3] was read as B = 1 sample, for T = 7 steps";
    says(
        engine.evaluate(input.classes(&[0; 2])).map(drop),
        &["expected [1]", still],
    );
}
on_every_engine!(a_wrong_shape_says_what_was_read);

/// Learnt decays and thresholds stay in their range, however large the steps.
fn learnt_constants_stay_in_range(name: &str, make: &Make) {
    let neuron = || {
        Leaky::new(0.9)
            .threshold(0.5)
            .learn_beta(true)
            .learn_threshold(true)
    };
    let network: Network = Network::builder(6)
        .layer(20, neuron())
        .layer(3, neuron())
        .seed(1)
        .build()
        .unwrap();
    let data = constant(4, 6, 10, 0.9);
    let (mut at_zero, mut at_one, mut at_low) = (false, false, false);
    for target in 0..3 {
        let objective = Loss::MseMembrane {
            on_target: -9.0 + 9.0 * target as f64,
            off_target: 3.0,
        };
        let mut engine = make(network.clone(), objective.into(), Adam::new(0.7).into());
        for _ in 0..8 {
            engine
                .train_step(data.input().classes(&[0, 1, 2, 0]))
                .unwrap();
            for layer in engine.to_network().unwrap().layers() {
                let (beta, theta) = (
                    layer.constant("beta").unwrap()[0],
                    layer.constant("threshold").unwrap()[0],
                );
                assert!((0.0..=1.0).contains(&beta), "{name}: beta {beta}");
                assert!(theta >= 1e-6, "{name}: threshold {theta}");
                at_zero |= beta == 0.0;
                at_one |= beta == 1.0;
                at_low |= theta == 1e-6;
            }
        }
    }
    assert!(
        (at_zero || at_one) && at_low,
        "{name}: {at_zero} {at_one} {at_low}: nothing was clamped"
    );
}
on_every_engine!(learnt_constants_stay_in_range);

/// What is not a number is refused with its place, by every engine, and nothing is changed by it.
fn refuses_what_is_not_finite(name: &str, make: &Make) {
    use spikegrad::Error;
    let case = &cases::main_job_small::case();
    let mut engine = make(
        case.network.clone(),
        case.objective.clone(),
        Adam::new(1e-3).into(),
    );
    let Data::Constant(x, num_steps) = &case.data else {
        unreachable!("the first case is constant")
    };
    let mut bad = x.clone();
    bad[[2, 3]] = f32::NAN;
    let error = engine
        .train_step(Input::constant(bad.view(), *num_steps).classes(&case.targets()))
        .unwrap_err();
    assert!(
        matches!(&error, Error::NonFinite { what, position, .. }
            if what == "input" && position == "sample 2, input 3"),
        "{name}: {error}"
    );
    assert_eq!(engine.to_network().unwrap(), case.network, "{name}");

    let mut broken = case.network.clone();
    broken.parameters_mut()[3].1[3] = f32::INFINITY; // a bias of the output layer
    let mut engine = make(
        broken.clone(),
        case.objective.clone(),
        Adam::new(1e-3).into(),
    );
    let error = engine
        .train_step(case.data.input().classes(&case.targets()))
        .unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{name}: {error}");
    assert_eq!(engine.to_network().unwrap(), broken, "{name}");

    let mut huge = case.network.clone();
    huge.parameters_mut()[2].1.mapv_inplace(|w| w * 1e30);
    let mut engine = make(huge.clone(), case.objective.clone(), Adam::new(1e-3).into());
    let huge_input = x.mapv(|x| x * 1e20);
    let result =
        engine.train_step(Input::constant(huge_input.view(), *num_steps).classes(&case.targets()));
    if result.is_err() {
        assert_eq!(engine.to_network().unwrap(), huge, "{name}");
    } else {
        let finite = |n: &Network| {
            n.parameters()
                .iter()
                .all(|(_, w)| w.iter().all(|w| w.is_finite()))
        };
        assert!(
            finite(&engine.to_network().unwrap()),
            "{name}: trained to what is not a number"
        );
    }
}
on_every_engine!(refuses_what_is_not_finite);

/// Wherever in an input a NaN or an infinity stands, sparse or dense, and whatever is asked for, the error
/// names the place, and the engine goes on as if nothing had been asked.
fn what_is_not_finite_is_found_wherever_it_stands(name: &str, make: &Make) {
    use spikegrad::Error;
    let kinds = [
        ("static, sparse", constant(37, 50, 4, 0.2)),
        ("static, dense", constant(37, 50, 4, 1.0)),
        ("sequence, sparse", sequence(9, 37, 50, 0.1, false)),
        ("sequence, dense", sequence(9, 37, 50, 1.0, false)),
        ("sequence, looks dense", misjudged(50, true)),
        ("sequence, looks sparse", misjudged(50, false)),
        ("in parts", sequence(200, 71, 50, 1.0, false)),
    ];
    let own = |recording: &Recording, targets: Targets<'_>| {
        Loss::CrossEntropyCount.evaluate(recording, targets)
    };
    for (kind, data) in &kinds {
        let neurons = if *kind == "in parts" { 600 } else { 70 };
        let network = network(&[50, neurons, 5], |_| Leaky::new(0.9));
        let good = data.input();
        let (steps, batch) = (good.num_steps(), good.batch());
        let targets: Vec<usize> = (0..batch).map(|b| b % 5).collect();
        for (value, sample, column) in [
            (f32::NAN, 0, 0),
            (f32::INFINITY, batch - 1, 49),
            (f32::NEG_INFINITY, batch / 2, 17),
        ] {
            if *kind == "in parts" && sample + 1 < batch {
                continue; // in the first part, which is no other case
            }
            let (bad, place) = match data {
                Data::Constant(x, num_steps) => {
                    let mut x = x.clone();
                    x[[sample, column]] = value;
                    let place = format!("sample {sample}, input {column}");
                    (Data::Constant(x, *num_steps), place)
                }
                Data::Sequence(x) => {
                    let mut x = x.clone();
                    x[[steps - 2, sample, column]] = value;
                    let place = format!("step {}, sample {sample}, input {column}", steps - 2);
                    (Data::Sequence(x), place)
                }
            };
            for loss in [Loss::CrossEntropyMembrane, Loss::custom(own)] {
                let make = || make(network.clone(), loss.clone().into(), Adam::new(1e-2).into());
                let mut engine = make();
                let input = bad.input();
                let mut classes = vec![0; batch];
                for error in [
                    engine.train_step(input.classes(&targets)).err(),
                    engine.gradients(input.classes(&targets)).err(),
                    engine.evaluate(input.classes(&targets)).err(),
                    engine.forward(input, &Record::All).err(),
                    engine
                        .classify(input, ReadOut::Membrane, &mut classes)
                        .err(),
                ] {
                    let error = error.unwrap_or_else(|| panic!("{name}, {kind}: taken"));
                    assert!(
                        matches!(&error, Error::NonFinite { what, position, .. }
                            if what == "input" && *position == place),
                        "{name}, {kind}: {error}, expected {place}"
                    );
                }
                let mut fresh = make();
                let step = |engine: &mut dyn Engine| {
                    let report = engine.train_step(good.classes(&targets)).unwrap();
                    (report.loss.to_bits(), engine.to_network().unwrap())
                };
                assert!(step(&mut *engine) == step(&mut *fresh), "{name}, {kind}");
            }
        }
    }
}
on_every_engine!(what_is_not_finite_is_found_wherever_it_stands);

/// An input so large that a weight's gradient overflows, though currents and adjoints do not, leaves the
/// parameters as they were.
fn refuses_a_gradient_that_overflows(name: &str, make: &Make) {
    let dense = Array3::<f32>::from_elem((9, 4, 20), 1e30);
    let sparse = Array3::from_shape_fn((9, 4, 20), |(_, _, n)| if n == 3 { 1e30 } else { 0.0 });
    for (kind, data) in [
        ("dense", Data::Sequence(dense.clone())),
        ("sparse", Data::Sequence(sparse)),
        (
            "static",
            Data::Constant(dense.index_axis_move(ndarray::Axis(0), 0), 9),
        ),
    ] {
        let mut network = network(&[20, 40, 5], |_| Leaky::new(0.9).threshold(0.7));
        for (name, mut values) in network.parameters_mut() {
            match name.as_str() {
                "fc1.weight" => values.mapv_inplace(|w| w * 1e-30),
                "fc2.weight" => values.mapv_inplace(|w| w * 1e5),
                _ => {}
            }
        }
        let loss = Loss::MseMembrane {
            on_target: 1e6,
            off_target: -1e6,
        };
        let mut engine = make(network.clone(), loss.clone().into(), Adam::new(1e-3).into());
        let result = engine.train_step(data.input().classes(&[0, 1, 2, 3]));
        assert!(
            matches!(result, Err(spikegrad::Error::NonFinite { .. })),
            "{name}, {kind}: {result:?}"
        );
        assert_eq!(engine.to_network().unwrap(), network, "{name}, {kind}");
    }
}
on_every_engine!(refuses_a_gradient_that_overflows);

/// A gradient that is finite and its square is not would make Adam's second moment infinite, and its weight
/// stand still for good: an error by tensor and update, before anything changes (on a GPU, after).
fn refuses_an_infinite_second_moment(name: &str, make: &Make) {
    // Inputs of a magnitude, and weights that make currents near 1 of them: gradients grow with it.
    let of = |magnitude: f32| {
        let builder = Network::builder(2).layer(1, Leaky::new(0.9));
        let mut network: Network = builder.build().unwrap();
        network.parameters_mut()[0].1.fill(0.3 / magnitude);
        let adam = Optimizer::from(Adam::new(0.01 / f64::from(magnitude)));
        (Array2::from_elem((1, 2), magnitude), network, adam)
    };
    let loss = Loss::MseMembrane {
        on_target: 1e3,
        off_target: 0.0,
    };
    for clip in [None, Some(1e30)] {
        let (x, network, mut adam) = of(1e21);
        let input = Input::constant(x.view(), 20);
        adam.clip_norm = clip;
        let mut engine = make(network.clone(), loss.clone().into(), adam.clone());
        let (_, gradients) = engine.gradients(input.classes(&[0])).unwrap();
        assert!(gradients.norm() > 1e22, "{name}: {}", gradients.norm());
        let says = "second moment of fc1.weight";
        for _ in 0..2 {
            let error = engine
                .train_step(input.classes(&[0]))
                .unwrap_err()
                .to_string();
            if name == "cuda" {
                let after = format!("{says} after update 1 is inf at element 0");
                assert!(error.starts_with(&after), "{error}");
                let again = engine
                    .train_step(input.classes(&[0]))
                    .unwrap_err()
                    .to_string();
                assert!(
                    again.starts_with(&format!("{says} before update 2")),
                    "{again}"
                );
                break;
            }
            let during = format!("{says} in update 1 is inf at element 0");
            assert!(error.starts_with(&during), "{name}: {error}");
            assert_eq!(engine.to_network().unwrap(), network, "{name}");
            assert_eq!(engine.to_optimizer().unwrap(), adam, "{name}");
        }
    }
    // Clipped to less, or not as large, it trains.
    for (magnitude, clip) in [(1e21, Some(1e3)), (1e12, None), (1e12, Some(1e30))] {
        let (x, network, mut adam) = of(magnitude);
        adam.clip_norm = clip;
        let mut engine = make(network.clone(), loss.clone().into(), adam);
        for _ in 0..3 {
            let input = Input::constant(x.view(), 20);
            engine.train_step(input.classes(&[0])).unwrap();
        }
        let (after, adam) = (engine.to_network().unwrap(), engine.to_optimizer().unwrap());
        assert_ne!(after, network, "{name}");
        let (_, second) = adam.moments().unwrap();
        assert!(second.norm().is_finite() && second.norm() > 0.0, "{name}");
    }
}
on_every_engine!(refuses_an_infinite_second_moment);

/// A membrane that has overflowed need not show in any adjoint (a surrogate that does not read it), and
/// then does in the gradient of a learnt decay alone: that too is found before anything is updated.
fn refuses_a_decays_gradient_that_is_not_finite(name: &str, make: &Make) {
    use spikegrad::Error;
    let mut network: Network = Network::builder(3)
        .layer(
            4,
            Leaky::new(0.5)
                .dynamics(Dynamics::IntegrateThenFire)
                .reset(Reset::None)
                .surrogate(Surrogate::StraightThrough)
                .learn_beta(true),
        )
        .layer(2, Leaky::new(0.5))
        .build()
        .unwrap();
    network.parameters_mut()[0].1.fill(3e38);
    let x = Array2::from_elem((2, 3), 0.5);
    let bits = |network: &Network| -> Vec<u32> {
        let parameters = network.parameters();
        let values = parameters.iter().flat_map(|(_, values)| values.iter());
        values.map(|x| x.to_bits()).collect()
    };
    let objective = Loss::CrossEntropyMembrane.into();
    let mut engine = make(network.clone(), objective, Adam::new(1e-2).into());
    let before = bits(&engine.to_network().unwrap());
    for _ in 0..2 {
        let error = engine
            .train_step(Input::constant(x.view(), 3).classes(&[0, 1]))
            .unwrap_err();
        assert!(
            matches!(&error, Error::NonFinite { what, .. } if what.contains("lif1.beta")),
            "{name}: {error}"
        );
        assert_eq!(bits(&engine.to_network().unwrap()), before, "{name}");
    }
}
on_every_engine!(refuses_a_decays_gradient_that_is_not_finite);

/// A weight that is no number is refused before an update also where no loss depends on it.
fn refuses_to_train_parameters_that_are_not_finite(name: &str, make: &Make) {
    let mut network: Network = Network::builder(3)
        .layer(4, Leaky::new(0.5))
        .layer(2, Leaky::new(0.5))
        .build()
        .unwrap();
    network.parameters_mut()[0].1[[1, 2]] = f32::NAN;
    let x = Array2::from_elem((2, 3), 0.5);
    let objective = Loss::CrossEntropyMembrane.into();
    let mut engine = make(network.clone(), objective, Adam::new(1e-2).into());
    // After one step, a hidden layer has not reached the output.
    engine
        .evaluate(Input::constant(x.view(), 1).classes(&[0, 1]))
        .unwrap();
    let error = engine
        .train_step(Input::constant(x.view(), 1).classes(&[0, 1]))
        .unwrap_err();
    assert!(
        error.to_string().starts_with("fc1.weight before update 1"),
        "{name}: {error}"
    );
    let after = engine.to_network().unwrap();
    assert_eq!(after.layers()[1], network.layers()[1], "{name}");
}
on_every_engine!(refuses_to_train_parameters_that_are_not_finite);

/// Clipped gradients, learnt constants among them: the update is the reference's, a limit that is not
/// reached changes no bit, and one that is does.
fn clipping(name: &str, make: &Make) {
    let case = Case {
        label: "clipped".into(),
        network: network(&[20, 70, 5], |_| {
            Leaky::new(0.9).learn_beta(true).learn_threshold(true)
        }),
        data: constant(6, 20, 12, 0.7),
        objective: Loss::CrossEntropyMembrane.into(),
    };
    let targets = case.targets();
    let Data::Constant(x, num_steps) = &case.data else {
        unreachable!("it is constant")
    };
    let x = x.mapv(f64::from);
    let input = Input::constant(x.view(), *num_steps);
    let reference = |adam: Optimizer<f64>| {
        ReferenceEngine::new(case.network.cast(), Loss::CrossEntropyMembrane, adam).unwrap()
    };
    let (_, gradients) = reference(Adam::new(1e-3).into())
        .gradients(input.classes(&targets))
        .unwrap();
    let norm = gradients.norm();
    assert!(norm > 0.1, "nothing to clip: {norm}");

    let steps = |engine: &mut dyn Engine| {
        for _ in 0..3 {
            engine
                .train_step(case.data.input().classes(&targets))
                .unwrap();
        }
        let (network, adam) = (engine.to_network().unwrap(), engine.to_optimizer().unwrap());
        let (m, v) = adam.moments().unwrap();
        (network, m.clone(), v.clone())
    };
    let mut reference = reference(Adam::new(1e-3).clip_norm(0.25 * norm));
    for _ in 0..3 {
        reference.train_step(input.classes(&targets)).unwrap();
    }
    let expected = reference.to_optimizer().unwrap();
    let (m, v) = expected.moments().unwrap();

    let run = |adam: Optimizer| {
        steps(&mut *make(
            case.network.clone(),
            case.objective.clone(),
            adam,
        ))
    };
    let clipped = run(Adam::new(1e-3).clip_norm(0.25 * norm));
    assert_gradients_close(name, &widened(m), &widened(&clipped.1));
    assert_gradients_close(name, &widened(v), &widened(&clipped.2));
    let free = run(Adam::new(1e-3).into());
    assert_eq!(free, run(Adam::new(1e-3).clip_norm(100.0 * norm)), "{name}");
    let (a, b) = (clipped.1.norm(), free.1.norm());
    assert!(a < 0.5 * b, "{name}: clipped {a}, free {b}");
}
on_every_engine!(clipping);

/// An update that would leave an infinite weight is an error that names it, not silence.
fn infinite_parameters_are_reported(name: &str, make: &Make) {
    use spikegrad::Error;
    let case = &cases::main_job_small::case();
    for clip in [None, Some(1.0)] {
        // Weights times 1 − lr · weight_decay.
        let mut adam = Optimizer::from(Adam::adamw(3e38).weight_decay(1e3));
        adam.clip_norm = clip;
        let mut engine = make(case.network.clone(), case.objective.clone(), adam);
        let error = engine
            .train_step(case.data.input().classes(&case.targets()))
            .unwrap_err();
        assert!(
            matches!(&error, Error::NonFinite { what, .. } if what.starts_with("fc") && what.ends_with("after update 1")),
            "{name}: {error}"
        );
    }
}
on_every_engine!(infinite_parameters_are_reported);

/// Outputs that are as sure as after a long training: the gradients are the reference's where some are
/// wrong, and where all are right they are 0 or normal numbers, since others would slow down what reads them.
fn sure_outputs(name: &str, make: &Make) {
    for loss in [Loss::CrossEntropyMembrane, Loss::CrossEntropyMaxMembrane] {
        for lead in [2.0, 8.0, 20.0] {
            let mut network = network(&[20, 40, 5], |_| Leaky::new(0.9).threshold(0.7));
            for (name, mut values) in network.parameters_mut() {
                if name == "fc2.bias" {
                    values[0] += lead;
                }
            }
            let case = Case {
                label: format!("{name}: {loss:?}, a lead of {lead}"),
                network,
                data: constant(4, 20, 12, 0.7),
                objective: loss.clone().into(),
            };
            let gradients = |targets: &[usize]| {
                let (network, objective) = (case.network.clone(), case.objective.clone());
                let mut engine = make(network, objective, Adam::new(1e-3).into());
                let input = case.data.input();
                let (loss, found) = engine.gradients(input.classes(targets)).unwrap();
                let (network, objective) = (case.network.cast(), case.objective64());
                let mut reference =
                    ReferenceEngine::new(network, objective, Adam::new(1e-3)).unwrap();
                let run = |x: Input<'_, f64>| reference.gradients(x.classes(targets)).unwrap();
                let (expected_loss, expected) = case.data.with_double(run);
                assert_loss_close(&case.label, expected_loss, loss, 10.0 * f64::from(lead));
                (expected, found)
            };
            let (expected, found) = gradients(&[0, 1, 0, 2]);
            assert!(expected.norm() > 0.01, "nothing to compare: {}", case.label);
            assert_gradients_close(&case.label, &widened(&expected), &widened(&found));
            let (expected, found) = gradients(&[0; 4]);
            assert!((found.norm() - expected.norm()).abs() < 1e-4 * expected.norm() + 1e-7);
            let tensors = found.tensors();
            let mut entries = tensors.iter().flat_map(|(_, g)| g.iter());
            let subnormal = entries.any(|g| g.is_subnormal());
            assert!(!subnormal || name == "reference", "{}", case.label);
        }
    }
}
on_every_engine!(sure_outputs);
