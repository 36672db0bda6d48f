//! Membranes that begin elsewhere than at 0: a pass that is given no state is one from the state that they
//! make.
#![cfg(feature = "safetensors")]

#[macro_use]
mod engines;
mod skip;

use engines::Make;
use ndarray::{Array2, Array3, array};
use spikegrad::{
    Adam, Adaptive, Alpha, Draw, Dynamics, Engine, Error, Float, Input, Leaky, LeakyIntegrator,
    Loss, Network, Objective, Predictor, ReadOut, Record, Recurrence, ReferenceEngine, Reset,
    State, Surrogate, Synaptic, gradcheck::gradcheck, weights::Mismatch,
};

const STEPS: usize = 9;
const BATCH: usize = 5;

/// Membranes of the first layer, and of the second.
fn starts() -> [Vec<f64>; 2] {
    let first = (0..20).map(|n| 0.03 * f64::from(n) - 0.2).collect();
    [first, vec![0.75; 3]]
}

/// A network whose layers begin there, or at 0.
fn network<F: Float>(elsewhere: bool) -> Network<F> {
    let leaky = Leaky::new(0.9)
        .threshold(0.5)
        .surrogate(Surrogate::Sigmoid { slope: 4.0 });
    let [first, second] = starts();
    let mut builder = Network::builder(6).layer(20, leaky.clone());
    if elsewhere {
        builder = builder.initial_membrane(first);
    }
    builder = builder.layer(3, leaky.dynamics(Dynamics::IntegrateThenFire));
    if elsewhere {
        builder = builder.initial_membrane(second);
    }
    builder.seed(4).build().expect("a network")
}

/// The same as a state.
fn state(network: &Network) -> State {
    let mut state = State::rest(network, BATCH).expect("a state");
    for (k, start) in (1..).zip(starts()) {
        let mut numbers = state.layer_mut(k).expect("a layer");
        for ((_, n), to) in numbers[0].indexed_iter_mut() {
            *to = start[n] as f32;
        }
    }
    state
}

fn x<F: Float>() -> Array3<F> {
    Array3::from_shape_fn((STEPS, BATCH, 6), |(t, b, n)| {
        F::from_f64(((t * 5 + b * 3 + n * 7) % 10) as f64 / 9.0)
    })
}

const CLASSES: [usize; BATCH] = [0, 2, 1, 1, 2];

fn passes_begin_there(name: &str, make: &Make) {
    let adam = || Adam::new(1e-2).into();
    let custom = Loss::Custom(std::sync::Arc::new(|recording, targets| {
        Loss::CrossEntropyLastMembrane.evaluate(recording, targets)
    }));
    for loss in [Loss::CrossEntropyMembrane, custom] {
        let objective = || Objective::from(loss.clone());
        let (mut found, mut plain) = (
            make(network(true), objective(), adam()),
            make(network(false), objective(), adam()),
        );
        let (x, begin) = (x(), state(&network(false)));
        let input = || Input::sequence(x.view());
        let samples = || input().classes(&CLASSES);
        let recording = found.forward(input(), &Record::All).expect("a recording");
        let expected = plain.forward_from(&mut begin.clone(), input(), &Record::All);
        assert_eq!(recording, expected.expect("a recording"), "{name}");
        let rest = plain.forward(input(), &Record::All).expect("a recording");
        assert_ne!(recording.output().mem, rest.output().mem, "{name}");

        let mut classes = [0; BATCH];
        let mut scores = Array2::zeros((BATCH, 3));
        for by in [ReadOut::SpikeCount, ReadOut::Membrane] {
            found.classify(input(), by, &mut classes).expect("classes");
            assert_eq!(classes[..], recording.classify(by), "{name}");
            found
                .scores(input(), by, scores.view_mut())
                .expect("scores");
            assert_eq!(scores, recording.scores(by), "{name}");
        }

        let evaluated = found.evaluate(samples()).expect("a report");
        let loss = found.gradients(samples()).expect("gradients").0;
        assert_eq!(loss, evaluated.loss, "{name}");
        let report = found.accumulate(samples(), 1.0).expect("a report");
        assert_eq!(report.loss, loss, "{name}");
        found.clear_gradients();
        let report = found.train_step(samples()).expect("a report");
        let from = plain.train_step_from(&mut begin.clone(), samples());
        assert_eq!(report, from.expect("a report"), "{name}");
        let (a, b) = (
            found.to_network().expect("a network"),
            plain.to_network().expect("a network"),
        );
        for ((tensor, a), (_, b)) in a.parameters().iter().zip(b.parameters()) {
            assert_eq!(*a, b, "{name}: {tensor}");
        }
        assert_eq!(
            a.layers()[0].neuron().initial_membrane().values(),
            starts()[0]
        );
    }
}
on_every_engine!(passes_begin_there);

#[test]
fn a_predictor_begins_there() {
    let (predictor, x) = (Predictor::new(&network(true)), x());
    let input = || Input::sequence(x.view());
    let engine =
        spikegrad::CpuEngine::new(network(true), Loss::CrossEntropyMembrane, Adam::new(1e-3));
    let expected = engine
        .expect("an engine")
        .forward(input(), &Record::All)
        .expect("a recording");
    assert_eq!(
        predictor
            .forward(input(), &Record::All)
            .expect("a recording"),
        expected
    );
    let (mut classes, mut scores) = ([0; BATCH], Array2::zeros((BATCH, 3)));
    let by = ReadOut::Membrane;
    predictor
        .classify(input(), by, &mut classes)
        .expect("classes");
    predictor
        .scores(input(), by, scores.view_mut())
        .expect("scores");
    assert_eq!(
        (&classes[..], &scores),
        (&expected.classify(by)[..], &expected.scores(by))
    );
}

#[test]
fn it_is_the_membrane_before_the_first_step() {
    let membranes = |neurons: spikegrad::neuron::Neurons| {
        let network = Network::builder(1)
            .layer(1, neurons)
            .initial_membrane(0.75)
            .bias(false);
        let mut engine = ReferenceEngine::<f64>::new(
            network.build().expect("a network"),
            Loss::CrossEntropyMembrane,
            Adam::new(1e-3),
        )
        .expect("an engine");
        let zero = array![[0.0]];
        let recording = engine.forward(Input::constant(zero.view(), 2), &Record::All);
        let recording = recording.expect("a recording");
        let output = recording.output();
        (
            output.mem.iter().copied().collect::<Vec<_>>(),
            output.spk.iter().copied().collect::<Vec<_>>(),
        )
    };
    let decays = (vec![0.375, 0.1875], vec![0.0, 0.0]);
    assert_eq!(membranes(Leaky::new(0.5).into()), decays);
    assert_eq!(membranes(Synaptic::new(0.9, 0.5).into()), decays);
    assert_eq!(membranes(Adaptive::bellec(0.5, 0.9).into()), decays);
    assert_eq!(membranes(LeakyIntegrator::new(0.5).into()), decays);
    // It fires before it integrates: the first spike is of the membrane at the start.
    let fires = Leaky::new(0.5).threshold(0.7).reset(Reset::Zero);
    assert_eq!(membranes(fires.into()), (vec![0.0, 0.0], vec![1.0, 0.0]));
    // Alpha's membrane is made anew of its synapses; its reset reads the one at the start.
    assert_eq!(membranes(Alpha::new(0.9, 0.5).into()).0, vec![0.0, 0.0]);
}

#[test]
fn finite_differences_agree() {
    for dynamics in [
        Dynamics::FireThenIntegrate,
        Dynamics::IntegrateThenFire,
        Dynamics::IntegrateFireReset,
    ] {
        let leaky = Leaky::new(0.8)
            .threshold(0.5)
            .dynamics(dynamics)
            .detach_reset(false)
            .learn_beta(true)
            .surrogate(Surrogate::Sigmoid { slope: 3.0 });
        let network: Network<f64> = Network::builder(6)
            .layer(5, leaky.clone())
            .recurrent(Recurrence::all_to_all())
            .initial_membrane(Draw::Normal { mean: 0.2, sd: 0.3 })
            .layer(3, leaky.learn_threshold(true))
            .initial_membrane(-0.4)
            .build()
            .expect("a network");
        let x = x::<f64>();
        let report = gradcheck(
            &network,
            Input::sequence(x.view()),
            &CLASSES[..],
            Loss::CrossEntropyMembrane,
        );
        let report = report.expect("a report");
        assert!(
            report.passes() && report.nothing_to_compare().is_empty(),
            "{report}"
        );
    }
}

#[test]
fn a_stream_that_ends_begins_there_again() {
    let network = network::<f32>(true);
    let rest = State::rest(&network, BATCH).expect("a state");
    assert_eq!(rest, state(&network));
    let mut state = rest.clone();
    let x = x();
    let run = Predictor::new(&network).forward_from(
        &mut state,
        Input::sequence(x.view()),
        &Record::Output,
    );
    run.expect("a recording");
    for sample in 0..BATCH {
        state.reset(&network, sample).expect("a sample");
    }
    assert_eq!(state, rest);
    let other: Network = Network::builder(6)
        .layer(20, Leaky::new(0.9))
        .build()
        .expect("a network");
    let error = state
        .reset(&other, 0)
        .expect_err("other layers")
        .to_string();
    assert!(
        error.contains("state has shape [20, 3]; expected [20]"),
        "{error}"
    );
}

#[test]
fn weights_do_not_change_and_drawn_membranes_have_the_seed() {
    let drawn = |seed| -> Network {
        let builder = Network::builder(6).seed(seed).layer(20, Leaky::new(0.9));
        let builder = builder.initial_membrane(Draw::Uniform {
            low: -1.0,
            high: 1.0,
        });
        builder
            .layer(3, Leaky::new(0.9))
            .build()
            .expect("a network")
    };
    let builder = Network::builder(6).seed(4).layer(20, Leaky::new(0.9));
    let plain: Network = builder
        .layer(3, Leaky::new(0.9))
        .build()
        .expect("a network");
    let membranes = |network: &Network| {
        network.layers()[0]
            .neuron()
            .initial_membrane()
            .values()
            .to_vec()
    };
    assert_eq!(drawn(4).parameters(), plain.parameters());
    assert_eq!(drawn(4), drawn(4));
    assert_ne!(membranes(&drawn(4)), membranes(&drawn(5)));
    assert!(
        membranes(&drawn(4))
            .iter()
            .all(|u| (-1.0..=1.0).contains(u))
    );
}

#[test]
fn files_keep_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let saved = network::<f32>(true);
    saved.save_safetensors(&path).expect("it is saved");
    assert_eq!(Network::load(&path).expect("it is read"), saved);
    // Neurons that begin elsewhere are others.
    let mut other = network::<f32>(false);
    let error = other
        .load_safetensors(&path)
        .expect_err("membranes differ")
        .to_string();
    assert!(error.contains("lif1.initial_membrane, neuron 0"), "{error}");
    other
        .load_safetensors_with(&path, Mismatch::TakeOver)
        .expect("those of the file");
    assert_eq!(other, saved);
    // Zeros for each are those of the layer.
    let zeros = || {
        Network::builder(2)
            .layer(3, Leaky::new(0.9))
            .initial_membrane(vec![0.0; 3])
    };
    let saved: Network = zeros().build().expect("a network");
    saved.save_safetensors(&path).expect("it is saved");
    assert_eq!(Network::load(&path).expect("it is read"), saved);
}

#[test]
fn bad_membranes_are_refused() {
    let build =
        |builder: spikegrad::NetworkBuilder| builder.build::<f32>().expect_err("bad").to_string();
    let one = || Network::builder(2).layer(3, Leaky::new(0.9));
    let error = build(one().initial_membrane(f64::NAN));
    assert!(
        error.contains("layer 1: initial_membrane is NaN; expected a finite number"),
        "{error}"
    );
    let error = one()
        .initial_membrane(vec![0.0, 1.0])
        .build::<f32>()
        .expect_err("two for three");
    assert!(matches!(error, Error::Shape { .. }), "{error}");
    assert!(
        error.to_string().contains("layer 1: initial_membrane"),
        "{error}"
    );
    let error = build(
        Network::builder(2)
            .initial_membrane(0.5)
            .layer(3, Leaky::new(0.9)),
    );
    assert!(
        error.contains("initial_membrane is before any layer"),
        "{error}"
    );
}
