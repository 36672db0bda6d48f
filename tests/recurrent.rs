//! Recurrent layers: gradients, engines, states and files.
#![cfg(feature = "safetensors")]

#[macro_use]
mod engines;
mod skip;

use engines::Make;
use ndarray::{Array2, Array3, Axis, s};
use spikegrad::{
    Adam, CpuEngine, Dynamics, Engine, Init, Input, Leaky, Loss, Network, NetworkBuilder,
    Predictor, Record, Recurrence, ReferenceEngine, Reset, Sgd, State, Surrogate, Synaptic,
    gradcheck::gradcheck, neuron::Neurons,
};

const DYNAMICS: [Dynamics; 3] = [
    Dynamics::FireThenIntegrate,
    Dynamics::IntegrateThenFire,
    Dynamics::IntegrateFireReset,
];

fn recurrences() -> Vec<Recurrence> {
    let all = Recurrence::all_to_all();
    vec![
        all,
        all.bias(false),
        all.diagonal(false),
        all.learn(false),
        Recurrence::one_to_one(),
        Recurrence::one_to_one().learn(false),
    ]
}

fn neurons(dynamics: Dynamics) -> Vec<Neurons> {
    let soft = Surrogate::Sigmoid { slope: 4.0 };
    let leaky = Leaky::new(0.9)
        .dynamics(dynamics)
        .surrogate(soft)
        .threshold(0.4);
    let synaptic = Synaptic::new(0.7, 0.9)
        .dynamics(dynamics)
        .surrogate(soft)
        .threshold(0.4);
    vec![
        leaky.clone().into(),
        leaky
            .reset(Reset::Zero)
            .detach_reset(false)
            .learn_beta(true)
            .into(),
        synaptic.clone().learn_alpha(true).into(),
        synaptic.reset(Reset::Zero).old_current(true).into(),
    ]
}

fn builder(hidden: usize, neuron: &Neurons, recurrence: Recurrence) -> NetworkBuilder {
    Network::builder(5)
        .layer(hidden, neuron.clone())
        .recurrent(recurrence)
        .recurrent_init(Init::Normal { mean: 0.1, sd: 0.5 })
        .layer(hidden - 1, neuron.clone())
        .recurrent(recurrence)
        .recurrent_init(Init::Normal { mean: 0.1, sd: 0.5 })
        .bias(false)
        .layer(3, neuron.clone())
        .seed(4)
}

fn sequence(steps: usize, batch: usize) -> Array3<f32> {
    Array3::from_shape_fn((steps, batch, 5), |(t, b, n)| {
        ((t * 7 + b * 5 + n * 3 + t * n) % 11) as f32 / 5.0
    })
}

#[test]
fn every_gradient_agrees_with_finite_differences() {
    for dynamics in DYNAMICS {
        for neuron in neurons(dynamics) {
            for recurrence in recurrences() {
                let network: Network<f64> = builder(4, &neuron, recurrence).build().expect("valid");
                let x = sequence(9, 2).mapv(f64::from);
                let report = gradcheck(
                    &network,
                    Input::sequence(x.view()),
                    &[0, 2],
                    Loss::CrossEntropyRate,
                )
                .expect("valid");
                assert!(report.passes(), "{dynamics} {recurrence:?}\n{report}");
                let zero = report.nothing_to_compare();
                assert!(
                    zero.is_empty(),
                    "{zero:?} {dynamics} {recurrence:?}\n{report}"
                );
            }
        }
    }
}

/// Gradients of a batch; of the CPU engine, on an instruction set.
fn gradients<F: spikegrad::Float>(
    mut engine: impl Engine<F>,
    input: Input<'_, F>,
) -> (f64, Vec<(String, Vec<f64>)>) {
    let (loss, gradients) = engine
        .gradients(input.classes(&[0, 1, 2, 0, 1, 2, 0]))
        .expect("valid");
    let tensors = gradients.tensors().into_iter();
    let widened = tensors.map(|(name, g)| (name, g.iter().map(|x| x.as_f64()).collect()));
    (loss, widened.collect())
}

#[test]
fn engines_agree() {
    let mut hidden = [9, 70, 130].into_iter().cycle();
    for dynamics in DYNAMICS {
        for neuron in neurons(dynamics) {
            for recurrence in recurrences() {
                let hidden = hidden.next().expect("a cycle");
                let network: Network = builder(hidden, &neuron, recurrence).build().expect("valid");
                let (x, adam) = (sequence(9, 7), Adam::new(1e-3));
                let still = Array2::from_shape_fn((7, 5), |(b, n)| ((b * 3 + n) % 4) as f32 / 2.0);
                let (x64, still64) = (x.mapv(f64::from), still.mapv(f64::from));
                let inputs = [
                    (Input::sequence(x.view()), Input::sequence(x64.view())),
                    (
                        Input::constant(still.view(), 9),
                        Input::constant(still64.view(), 9),
                    ),
                ];
                for (input, input64) in inputs {
                    let loss = || Loss::CrossEntropyMembrane;
                    let exact = ReferenceEngine::new(
                        network.cast::<f64>(),
                        Loss::CrossEntropyMembrane,
                        adam,
                    );
                    let (loss64, exact) = gradients(exact.expect("valid"), input64);
                    let mut bits = Vec::new();
                    for isa in CpuEngine::instruction_sets() {
                        let engine =
                            CpuEngine::with_instruction_set(network.clone(), loss(), adam, isa);
                        let (loss, found) = gradients(engine.expect("valid"), input);
                        let label = format!("{isa} {hidden} {dynamics} {recurrence:?}");
                        assert!(
                            (loss - loss64).abs() < 1e-5 * loss64.abs(),
                            "{label}: {loss} {loss64}"
                        );
                        let largest = |of: &mut dyn Iterator<Item = f64>| of.fold(0.0, f64::max);
                        let all = exact.iter().flat_map(|(_, g)| g);
                        let of_all = largest(&mut all.map(|g| g.abs()));
                        for ((name, found), (_, exact)) in found.iter().zip(&exact) {
                            let pairs = found.iter().zip(exact);
                            let error = largest(&mut pairs.map(|(a, b)| (a - b).abs()));
                            // The shares of a constant of all neurons cancel.
                            let scale = match exact.len() {
                                1 => of_all,
                                _ => largest(&mut exact.iter().map(|g| g.abs())),
                            };
                            assert!(error <= 2e-5 * scale, "{label}: {name}: {error} of {scale}");
                        }
                        bits.push((isa, found));
                    }
                    let fused = bits
                        .iter()
                        .filter(|(isa, _)| !["SSE2", "portable"].contains(isa));
                    let fused: Vec<_> = fused.collect();
                    assert!(
                        fused.windows(2).all(|pair| pair[0].1 == pair[1].1),
                        "{dynamics} {recurrence:?}"
                    );
                }
            }
        }
    }
}

/// Sparse as a whole, although one sample is not, and the other way round.
#[test]
fn samples_of_any_density_agree() {
    let network = small(Recurrence::all_to_all());
    for dense in [vec![2], vec![0, 1, 3, 4, 5]] {
        let mut x = sequence(9, 7);
        for ((t, b, n), x) in x.indexed_iter_mut() {
            let rare = (t + 2 * b + 3 * n) % 7 == 0;
            *x = if dense.contains(&b) || rare {
                0.5 + *x
            } else {
                0.0
            };
        }
        let (loss, adam) = (Loss::CrossEntropyMembrane, Adam::new(1e-3));
        let reference = ReferenceEngine::new(network.clone(), loss.clone(), adam).expect("valid");
        let (_, expected) = gradients(reference, Input::sequence(x.view()));
        let engine = CpuEngine::new(network.clone(), loss, adam).expect("valid");
        let (_, found) = gradients(engine, Input::sequence(x.view()));
        for ((name, found), (_, expected)) in found.iter().zip(&expected) {
            let largest = expected.iter().fold(0.0_f64, |max, g| max.max(g.abs()));
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() <= 1e-4 * largest, "{dense:?} {name}: {a} {b}");
            }
        }
    }
}

#[test]
#[cfg(feature = "rayon")]
fn threads_do_not_show() {
    let network = small(Recurrence::all_to_all());
    let x = sequence(9, 7);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads");
        pool.install(|| {
            let (loss, adam) = (Loss::CrossEntropyMembrane, Adam::new(1e-2));
            let mut engine = CpuEngine::new(network.clone(), loss, adam).expect("valid");
            for _ in 0..3 {
                let samples = Input::sequence(x.view());
                engine
                    .train_step(samples.classes(&[0, 1, 2, 0, 1, 2, 0]))
                    .expect("a step");
            }
            engine.to_network().expect("a network")
        })
    };
    let one = run(1);
    assert!([2, 3, 7].into_iter().all(|threads| run(threads) == one));
}

#[test]
fn one_step_at_a_time_gives_the_bits_of_the_whole_sequence() {
    for dynamics in DYNAMICS {
        for neuron in neurons(dynamics) {
            for recurrence in recurrences() {
                let network: Network = builder(70, &neuron, recurrence).build().expect("valid");
                let x = sequence(9, 3);
                let predictor = Predictor::new(&network);
                let whole = predictor
                    .forward(Input::sequence(x.view()), &Record::All)
                    .expect("valid");
                let mut state = State::rest(&network, 3).expect("valid");
                for (t, x) in x.outer_iter().enumerate() {
                    let step = predictor
                        .forward_from(&mut state, Input::constant(x, 1), &Record::All)
                        .expect("valid");
                    for layer in 1..=3 {
                        let (found, expected) = (step.trace(layer), whole.trace(layer));
                        let (found, expected) = found.zip(expected).expect("recorded");
                        assert_eq!(
                            found.spk.index_axis(Axis(0), 0),
                            expected.spk.index_axis(Axis(0), t)
                        );
                        assert_eq!(
                            found.mem.index_axis(Axis(0), 0),
                            expected.mem.index_axis(Axis(0), t)
                        );
                    }
                }
            }
        }
    }
}

/// A recurrent network of two layers.
fn small(recurrence: Recurrence) -> Network {
    builder(
        9,
        &Synaptic::new(0.7, 0.9).threshold(0.4).into(),
        recurrence,
    )
    .build()
    .expect("valid")
}

fn windows_of_steps_agree_with_the_reference(_: &str, make: &Make) {
    for recurrence in recurrences() {
        let network = small(recurrence);
        let x = sequence(10, 4);
        let targets = [0, 1, 2, 0];
        let (loss, adam) = (Loss::CrossEntropyMembrane, Adam::new(1e-2));
        let mut reference =
            ReferenceEngine::new(network.clone(), loss.clone(), adam).expect("valid");
        let mut engine = make(network.clone(), loss.into(), adam.into());
        let mut states = [0, 1].map(|_| State::rest(&network, 4).expect("valid"));
        for window in [0..4, 4..5, 5..10] {
            let x = x.slice(s![window, .., ..]);
            let samples = Input::sequence(x).classes(&targets);
            let a = reference
                .train_step_from(&mut states[0], samples)
                .expect("valid");
            let b = engine
                .train_step_from(&mut states[1], samples)
                .expect("valid");
            assert!(
                (a.loss - b.loss).abs() < 1e-4 * a.loss,
                "{recurrence:?} {} {}",
                a.loss,
                b.loss
            );
        }
        let (a, b) = (
            reference.to_network().expect("valid"),
            engine.to_network().expect("valid"),
        );
        for ((name, a), (_, b)) in a.parameters().into_iter().zip(b.parameters()) {
            for (a, b) in a.iter().zip(&b) {
                assert!((a - b).abs() < 2e-4, "{recurrence:?} {name} {a} {b}");
            }
        }
        for layer in 1..=3 {
            let pairs = states.each_ref().map(|state| state.layer(layer));
            let [Some(a), Some(b)] = pairs else {
                panic!("a layer {layer}");
            };
            assert_eq!(a.len(), if layer < 3 { 3 } else { 2 });
            for (a, b) in a.iter().zip(b) {
                let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-3;
                assert!(a.iter().zip(b).all(close), "{recurrence:?} {a} {b}");
            }
        }
    }
}
on_every_engine!(windows_of_steps_agree_with_the_reference);

fn fixed_weights_stay_and_a_missing_diagonal_stays_zero(_: &str, make: &Make) {
    let all = Recurrence::all_to_all();
    let fixed = |network: Network| {
        let x = sequence(8, 4);
        let sgd = Sgd::new(0.1).weight_decay(0.1);
        let samples = Input::sequence(x.view()).classes(&[0, 1, 2, 0]);
        let mut trained = Vec::new();
        let loss = Loss::CrossEntropyMembrane.into();
        let mut engine = make(network.clone(), loss, sgd.into());
        engine.train_step(samples).expect("valid");
        trained.push(engine.to_network().expect("valid"));
        engine.accumulate(samples, 1.0).expect("valid");
        engine.update().expect("valid");
        trained.push(engine.to_network().expect("valid"));
        trained
    };
    let network = small(all.learn(false));
    for trained in fixed(network.clone()) {
        assert_eq!(
            trained.layers()[0].recurrent_weight(),
            network.layers()[0].recurrent_weight()
        );
        assert_ne!(trained.layers()[0].weight(), network.layers()[0].weight());
    }
    for trained in fixed(small(all.diagonal(false))) {
        let weight = trained.layers()[1].recurrent_weight().expect("recurrent");
        assert!(weight.diag().iter().all(|x| *x == 0.0) && weight.iter().any(|x| *x != 0.0));
        assert!(
            trained.layers()[1].bias().iter().all(|x| *x == 0.0),
            "a layer without biases"
        );
    }
    let network: Network = Network::builder(5)
        .layer(7, Leaky::new(0.9))
        .init(Init::Tiled)
        .fixed()
        .layer(3, Leaky::new(0.9))
        .build()
        .expect("valid");
    assert_eq!(network.num_parameters(), 7 * 3 + 3);
    for trained in fixed(network.clone()) {
        assert_eq!(trained.layers()[0], network.layers()[0]);
        assert_ne!(trained.layers()[1].weight(), network.layers()[1].weight());
    }
    // Nothing of it is trained at all.
    let network: Network = Network::builder(5)
        .layer(3, Leaky::new(0.9))
        .fixed()
        .build()
        .expect("valid");
    for trained in fixed(network.clone()) {
        assert_eq!(trained, network);
    }
}
on_every_engine!(fixed_weights_stay_and_a_missing_diagonal_stays_zero);

#[test]
fn files_restore_recurrent_networks() {
    let folder = tempfile::tempdir().expect("a folder");
    for (n, recurrence) in recurrences().into_iter().enumerate() {
        let network = small(recurrence);
        let path = folder.path().join(format!("{n}.safetensors"));
        network.save_safetensors(&path).expect("saved");
        let loaded: Network = Network::load(&path).expect("loaded");
        assert_eq!(loaded, network);
        let mut other = small(recurrence);
        for (_, mut values) in other.parameters_mut() {
            values.mapv_inplace(|x| x / 2.0);
        }
        other.load_safetensors(&path).expect("the same structure");
        assert_eq!(other, network);
        let error = small(Recurrence::all_to_all().bias(n == 1))
            .load_safetensors(&path)
            .expect_err("other synapses");
        assert!(error.to_string().contains("synapses of layer 1"), "{error}");
    }
}

#[test]
fn mistakes_are_named() {
    let says = |result: spikegrad::Result<Network>, expected: &str| {
        let error = result.expect_err("a mistake").to_string();
        assert!(error.contains(expected), "{error}");
    };
    let early = Network::builder(3)
        .recurrent(Recurrence::all_to_all())
        .layer(2, Leaky::new(0.9));
    says(early.build(), "recurrent is before any layer");
    let layer = || Network::builder(3).layer(2, Leaky::new(0.9));
    let nan = Init::Normal {
        mean: 0.0,
        sd: f64::NAN,
    };
    says(
        layer().init(nan).build(),
        "layer 1: initial weights, Normal { mean: 0.0, sd: NaN } is NaN",
    );
    let bound = Init::Uniform { bound: -1.0 };
    says(
        layer()
            .recurrent(Recurrence::all_to_all())
            .recurrent_init(bound)
            .build(),
        "layer 1, recurrent",
    );

    let mut network = small(Recurrence::all_to_all().diagonal(false));
    let ones = Array2::ones((9, 9)).into_dyn();
    let error = network
        .set_parameter("lif1.recurrent.weight", ones.view())
        .expect_err("a diagonal");
    assert!(
        error
            .to_string()
            .contains("lif1.recurrent.weight[0, 0] is 1; expected 0"),
        "{error}"
    );

    let mut state: State = State::rest(&network, 1).expect("valid");
    state.layer_mut(1).expect("a layer")[2][[0, 4]] = 0.5;
    let x = Array2::ones((1, 5));
    let predictor = Predictor::new(&network);
    let error = predictor
        .forward_from(&mut state, Input::constant(x.view(), 2), &Record::All)
        .expect_err("half a spike");
    assert!(
        error.to_string().contains(
            "spike of sample 0, neuron 4 in the state of layer 1 is 0.5; expected 0 or 1"
        ),
        "{error}"
    );

    let other = small(Recurrence::all_to_all());
    let mut engine =
        CpuEngine::new(network, Loss::CrossEntropyMembrane, Adam::new(1e-3)).expect("valid");
    let error = engine.set_network(other).expect_err("other synapses");
    assert!(error.to_string().contains("synapses of layer 1"), "{error}");
}
