//! Training from a state to a state: truncated backpropagation through time against PyTorch
//! (`tests/fixtures/truncated.json`), windows of a [`Trainer`], long streams, and states that do not fit.

#[macro_use]
mod engines;
mod peak;
mod skip;

use std::ops::ControlFlow;

use engines::Make;
use ndarray::{Array1, Array2, Array3, s};
use serde_json::Value;
use spikegrad::{
    Adam, CpuEngine, Dynamics, Engine, Error, Float, Gradients, History, Input, Leaky, Loss,
    Network, Optimizer, Predictor, Record, ReferenceEngine, State, Surrogate, Synaptic, Trainer,
    data::Dataset, gradcheck::gradcheck_from,
};

fn fixture() -> Value {
    let text = include_str!("fixtures/truncated.json");
    serde_json::from_str(text).expect("JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().expect("a list").iter();
    list.map(|x| x.as_f64().expect("a number")).collect()
}

fn sizes(fixture: &Value) -> Vec<usize> {
    let shape = numbers(&fixture["shape"]);
    shape.into_iter().map(|n| n as usize).collect()
}

/// The fixture's network, in a precision.
fn network<F: Float>(fixture: &Value, dynamics: Dynamics) -> Network<F> {
    let of = |name: &str| fixture[name].as_f64().expect("a number");
    let neuron = Leaky::new(of("beta"))
        .threshold(of("threshold"))
        .dynamics(dynamics)
        .surrogate(Surrogate::Arctan { alpha: of("alpha") });
    let shape = sizes(fixture);
    let builder = Network::builder(shape[2]).layer(shape[3], neuron.clone());
    let mut network: Network<F> = builder.layer(shape[4], neuron).build().unwrap();
    let start = fixture["start"].as_array().expect("a list");
    for ((_, mut tensor), values) in network.parameters_mut().into_iter().zip(start) {
        let values = numbers(values).into_iter();
        tensor
            .iter_mut()
            .zip(values)
            .for_each(|(to, x)| *to = F::from_f64(x));
    }
    network
}

/// Each window's loss and gradients, and the weights at the end, are PyTorch's.
fn is_pytorch<F: Float>(
    engine: impl Fn(Network<F>, Loss<F>, Optimizer<F>) -> Box<dyn Engine<F>>,
    tolerance: f64,
) {
    let fixture = fixture();
    let shape = sizes(&fixture);
    let (steps, batch) = (shape[0], shape[1]);
    let values = numbers(&fixture["x"])
        .into_iter()
        .map(F::from_f64)
        .collect();
    let x = Array3::from_shape_vec((steps, batch, shape[2]), values).unwrap();
    let targets: Vec<usize> = numbers(&fixture["targets"])
        .into_iter()
        .map(|y| y as usize)
        .collect();
    let window = fixture["window"].as_u64().unwrap() as usize;
    for (name, dynamics) in [
        ("fire_then_integrate", Dynamics::FireThenIntegrate),
        ("integrate_then_fire", Dynamics::IntegrateThenFire),
        ("integrate_fire_reset", Dynamics::IntegrateFireReset),
    ] {
        let case = &fixture["cases"][name];
        let network = network(&fixture, dynamics);
        let mut state = State::rest(&network, batch).unwrap();
        let adam = Adam::new(fixture["lr"].as_f64().unwrap());
        let mut engine = engine(network, Loss::CrossEntropyMembrane, adam.into());
        let windows = case["windows"].as_array().unwrap();
        assert_eq!(windows.len(), 3);
        let close = |what: &str, expected: &[f64], found: Vec<f64>| {
            let largest = expected.iter().fold(1e-3_f64, |max, x| max.max(x.abs()));
            assert_eq!(expected.len(), found.len());
            for (a, b) in expected.iter().zip(found) {
                assert!(
                    (a - b).abs() <= tolerance * largest,
                    "{name}, {what}: {a} expected, {b} found"
                );
            }
        };
        for (n, expected) in windows.iter().enumerate() {
            let steps = n * window..((n + 1) * window).min(steps);
            let part = Input::sequence(x.slice(s![steps, .., ..])).classes(&targets);
            let report = engine.accumulate_from(&mut state, part, 1.0).unwrap();
            close(
                "loss",
                &[expected["loss"].as_f64().unwrap()],
                vec![report.loss],
            );
            let mut take = |gradients: &mut Gradients<F>| {
                let expected = expected["gradients"].as_array().unwrap();
                for ((tensor, g), expected) in gradients.tensors().into_iter().zip(expected) {
                    let g = g.iter().map(|g| g.as_f64()).collect();
                    close(&format!("window {n}, {tensor}"), &numbers(expected), g);
                }
                Ok(())
            };
            engine.gradients_mut(&mut take).unwrap();
            engine.update().unwrap();
        }
        let trained = engine.to_network().unwrap();
        let expected = case["weights"].as_array().unwrap();
        for ((tensor, w), expected) in trained.parameters().into_iter().zip(expected) {
            let w = w.iter().map(|w| w.as_f64()).collect();
            close(&tensor, &numbers(expected), w);
        }
    }
}

#[test]
fn windows_are_pytorchs_in_double_precision() {
    let engine =
        |n, l, a| Box::new(ReferenceEngine::<f64>::new(n, l, a).unwrap()) as Box<dyn Engine<f64>>;
    is_pytorch(engine, 1e-10);
}

fn windows_are_pytorchs(_: &str, make: &Make) {
    is_pytorch(|n, l: Loss, a| make(n, l.into(), a), 2e-5);
}
on_every_engine!(windows_are_pytorchs);

/// A small data set of two classes.
fn data() -> Dataset {
    let images = Array2::from_shape_fn((40, 9), |(b, n)| {
        if b % 2 == n % 2 {
            200 + (n * 5) as u8
        } else {
            (b * 3) as u8
        }
    });
    Dataset::new(images, (0..40).map(|b| b % 2).collect(), 2).unwrap()
}

fn small() -> Network {
    let builder = Network::builder(9).layer(20, Leaky::new(0.9).threshold(0.5));
    builder
        .layer(2, Synaptic::new(0.7, 0.9).threshold(0.1))
        .seed(1)
        .build()
        .unwrap()
}

fn fit(engine: &mut dyn Engine, trainer: &Trainer) -> History {
    let fitted = trainer.fit(engine, &data(), None, |_, _| Ok(ControlFlow::Continue(())));
    fitted.unwrap()
}

/// Windows that are no shorter than the run are the run, to the bit; from rest, so is a step.
fn long_windows_change_nothing(name: &str, make: &Make) {
    let trainer = |truncate, accumulate| Trainer {
        epochs: 2,
        batch_size: 8,
        num_steps: 7,
        accumulate,
        truncate,
        ..Trainer::default()
    };
    let run = |trainer: &Trainer| {
        let mut engine = make(
            small(),
            Loss::CrossEntropyMembrane.into(),
            Adam::new(1e-2).into(),
        );
        let history = fit(&mut *engine, trainer);
        (
            engine.to_network().unwrap(),
            engine.to_optimizer().unwrap(),
            history,
        )
    };
    for accumulate in [1, 3] {
        let (whole, optimizer, history) = run(&trainer(None, accumulate));
        for steps in [7, 8, 1000] {
            let (found, found_optimizer, found_history) = run(&trainer(Some(steps), accumulate));
            assert_eq!(
                (found, found_optimizer),
                (whole.clone(), optimizer.clone()),
                "{name}: {steps}"
            );
            let losses = |history: &History| {
                history
                    .batches
                    .iter()
                    .map(|b| b.report.clone())
                    .collect::<Vec<_>>()
            };
            assert_eq!(losses(&found_history), losses(&history), "{name}: {steps}");
        }
        let (other, optimizer, _) = run(&trainer(Some(3), accumulate));
        assert_ne!(other, whole, "{name}");
        assert_eq!(optimizer.steps(), 3 * 10, "{name}: 3 windows of 10 batches");
    }
    let engine = || {
        make(
            small(),
            Loss::CrossEntropyMembrane.into(),
            Adam::new(1e-2).into(),
        )
    };
    let (mut whole, mut from_rest) = (engine(), engine());
    let x = Array2::from_shape_fn((6, 9), |(b, n)| ((b + n) % 3) as f32 / 2.0);
    let samples = Input::constant(x.view(), 7).classes(&[0, 1, 0, 1, 0, 1]);
    for _ in 0..3 {
        let mut state = State::rest(&small(), 6).unwrap();
        from_rest.prefetch(samples).unwrap(); // another pass on the same batch
        let report = from_rest.train_step_from(&mut state, samples).unwrap();
        assert_eq!(report, whole.train_step(samples).unwrap(), "{name}");
        assert_ne!(state, State::rest(&small(), 6).unwrap(), "{name}");
    }
    assert_eq!(
        whole.to_network().unwrap(),
        from_rest.to_network().unwrap(),
        "{name}"
    );
}
on_every_engine!(long_windows_change_nothing);

/// A batch that was announced is not taken for one from rest.
fn announced_batches_begin_with_their_state(name: &str, make: &Make) {
    let engine = || {
        make(
            small(),
            Loss::CrossEntropyMembrane.into(),
            Adam::new(1e-2).into(),
        )
    };
    let (mut announced, mut other) = (engine(), engine());
    let x = Array2::from_shape_fn((6, 9), |(b, n)| ((b + n) % 3) as f32 / 2.0);
    let samples = Input::constant(x.view(), 7).classes(&[0, 1, 0, 1, 0, 1]);
    let mut states = [
        State::rest(&small(), 6).unwrap(),
        State::rest(&small(), 6).unwrap(),
    ];
    for _ in 0..3 {
        announced.prefetch(samples).unwrap();
        let found = announced.train_step_from(&mut states[0], samples).unwrap();
        let expected = other.train_step_from(&mut states[1], samples).unwrap();
        assert_eq!(found, expected, "{name}");
        assert_eq!(states[0], states[1], "{name}");
    }
    announced.prefetch(samples).unwrap();
    assert_eq!(
        announced.train_step(samples).unwrap(),
        other.train_step(samples).unwrap(),
        "{name}"
    );
    assert_eq!(
        announced.to_network().unwrap(),
        other.to_network().unwrap(),
        "{name}"
    );
}
on_every_engine!(announced_batches_begin_with_their_state);

/// What a [`Trainer`] does with windows is what the loop does that its documentation describes.
#[test]
fn a_trainers_windows_are_a_loop() {
    let trainer = Trainer {
        epochs: 1,
        batch_size: 8,
        num_steps: 8,
        truncate: Some(3),
        ..Trainer::default()
    };
    let engine = || CpuEngine::new(small(), Loss::CrossEntropyMembrane, Adam::new(1e-2)).unwrap();
    let (mut fitted, mut looped) = (engine(), engine());
    let history = fit(&mut fitted, &trainer);
    let data = data();
    let batches = data.batches(8).unwrap().shuffled(0, 0);
    for (batch, record) in batches.zip(&history.batches) {
        let mut state = State::rest(&small(), 8).unwrap();
        let (mut loss, mut correct, mut rate) = (0.0, 0, 0.0);
        for steps in [3, 3, 2] {
            let input = Input::constant(batch.images.view(), steps);
            let report = looped
                .train_step_from(&mut state, input.classes(&batch.targets))
                .unwrap();
            loss += report.loss; // a sum over steps
            rate += report.firing_rate[0] * steps as f64 / 8.0;
            correct = report.correct_membrane;
        }
        assert!((record.report.loss - loss).abs() < 1e-12);
        assert!((record.report.firing_rate[0] - rate).abs() < 1e-12);
        assert_eq!(record.report.correct_membrane, correct);
        assert_eq!(record.report.samples, 8);
    }
    assert_eq!(fitted.to_network().unwrap(), looped.to_network().unwrap());
    assert_eq!(history.batches.len(), 5);
}

/// Step by step, in every order of events, a stream has the spikes, the membranes and the end of the whole, to
/// the bit; and so has a predictor's.
fn steps_make_the_whole(name: &str, make: &Make) {
    const STEPS: usize = 9;
    for dynamics in [
        Dynamics::FireThenIntegrate,
        Dynamics::IntegrateThenFire,
        Dynamics::IntegrateFireReset,
    ] {
        let hidden = Leaky::new(0.9).threshold(2.5).dynamics(dynamics);
        let output = Synaptic::new(0.7, 0.9).threshold(0.1).dynamics(dynamics);
        let builder = Network::builder(9).layer(20, hidden).layer(2, output);
        let mut network: Network = builder.seed(1).build().unwrap();
        for (_, mut values) in network.parameters_mut() {
            values.mapv_inplace(f32::abs); // it shall fire
        }
        let x = Array3::from_shape_fn((STEPS, 3, 9), |(t, b, n)| {
            ((t * 7 + b * 3 + n * 5) % 11) as f32 / 11.0
        });
        let loss = Loss::CrossEntropyMembrane;
        let mut engine = make(network.clone(), loss.into(), Adam::new(1e-2).into());
        let mut end = State::rest(&network, 3).unwrap();
        let whole = engine
            .forward_from(&mut end, Input::sequence(x.view()), &Record::All)
            .unwrap();
        let from_rest = engine.forward(Input::sequence(x.view()), &Record::All);
        assert!(from_rest.unwrap() == whole, "{name}: {dynamics:?}");
        let predictor = Predictor::new(&network);
        let mut states = [(); 2].map(|()| State::rest(&network, 3).unwrap());
        for t in 0..STEPS {
            let step = x.slice(s![t..t + 1, .., ..]);
            let input = Input::sequence(step);
            let found = engine.forward_from(&mut states[0], input, &Record::All);
            let found = found.unwrap();
            for k in 1..=2 {
                let (all, one) = (whole.trace(k).unwrap(), found.trace(k).unwrap());
                let of = s![t..t + 1, .., ..];
                assert_eq!(one.spk, all.spk.slice(of), "{name}: {dynamics:?}, step {t}");
                assert_eq!(one.mem, all.mem.slice(of), "{name}: {dynamics:?}, step {t}");
            }
            let predicted = predictor.forward_from(&mut states[1], input, &Record::All);
            assert!(name != "cpu" || predicted.unwrap() == found);
        }
        for k in 1..=2 {
            let rate = whole.trace(k).unwrap().firing_rate();
            assert!(rate > 0.05 && rate < 0.95, "layer {k}: {rate}");
        }
        assert_eq!(states[0], end, "{name}: {dynamics:?}");
        assert!(name != "cpu" || states[1] == end);
    }
}
on_every_engine!(steps_make_the_whole);

/// A stream of 100,000 steps of one sample, in windows: states stay finite, memory stays that of a window
/// (the whole would have a recording of 32 MB a layer), and the end has the bits of any other cut.
#[test]
fn a_stream_of_100_000_steps() {
    const STEPS: usize = 100_000;
    let mut network = small();
    for (_, mut values) in network.parameters_mut() {
        values.mapv_inplace(f32::abs); // it shall fire
    }
    let x = |t: usize| Array1::from_shape_fn(9, |n| ((t * 7 + n * 13) % 11) as f32 / 11.0);
    let predictor = Predictor::new(&network);
    let stream = |window: usize| {
        let mut state = State::rest(&network, 1).unwrap();
        let (mut spikes, mut last) = (0.0, Array2::zeros((1, 2)));
        for first in (0..STEPS).step_by(window) {
            let x = Array3::from_shape_fn((window, 1, 9), |(t, _, n)| x(first + t)[n]);
            let run =
                predictor.forward_from(&mut state, Input::sequence(x.view()), &Record::Output);
            let run = run.unwrap();
            spikes += f64::from(run.output().spk.sum());
            last.assign(&run.output().mem.slice(s![-1, .., ..]));
        }
        (state, spikes, last)
    };
    let (by_one, most) = peak::peak(|| stream(1));
    assert!(by_one.1 > 100.0, "it fires: {}", by_one.1);
    assert!(by_one == stream(1000) && by_one == stream(25_000));
    // The whole's input and recording are 12 MB.
    assert!(most < 100_000, "{most} bytes");

    // Training, in an engine that computes on this thread alone, and in the fast one.
    let (loss, adam) = (Loss::CrossEntropyMembrane, Adam::new(1e-4));
    let train = |engine: &mut dyn Engine, steps: usize| {
        let mut state = State::rest(&network, 1).unwrap();
        for first in (0..steps).step_by(100) {
            let x = Array3::from_shape_fn((100, 1, 9), |(t, _, n)| x(first + t)[n]);
            let targets = [first / 100 % 2];
            let samples = Input::sequence(x.view()).classes(&targets);
            engine.train_step_from(&mut state, samples).unwrap();
        }
    };
    let mut reference = ReferenceEngine::new(network.clone(), loss.clone(), adam).unwrap();
    let mut engine = CpuEngine::new(network.clone(), loss, adam).unwrap();
    for engine in [&mut reference as &mut dyn Engine, &mut engine] {
        let ((), short) = peak::peak(|| train(engine, 1000));
        let ((), long) = peak::peak(|| train(engine, STEPS));
        // The pool's threads did the fast engine's short run, maybe, and this thread a part of the long one.
        // All steps at once would take 12 MB.
        assert!(
            long < short + 100_000,
            "{short} bytes for 1000 steps, {long} for {STEPS}"
        );
        assert_eq!(engine.to_optimizer().unwrap().steps(), 1010);
    }
}

/// Gradients of a window from a state that is not at rest, by finite differences, for every order of events
/// and both kinds of neurons.
#[test]
fn gradients_from_a_state_are_finite_differences() {
    for dynamics in [
        Dynamics::FireThenIntegrate,
        Dynamics::IntegrateThenFire,
        Dynamics::IntegrateFireReset,
    ] {
        for detach in [true, false] {
            let surrogate = Surrogate::Sigmoid { slope: 4.0 };
            let leaky = Leaky::new(0.8)
                .threshold(0.4)
                .dynamics(dynamics)
                .surrogate(surrogate);
            let synaptic = Synaptic::new(0.6, 0.7)
                .threshold(0.4)
                .dynamics(dynamics)
                .surrogate(surrogate);
            let builder = Network::builder(3)
                .layer(
                    4,
                    leaky
                        .detach_reset(detach)
                        .learn_beta(true)
                        .learn_threshold(true),
                )
                .layer(
                    3,
                    synaptic
                        .detach_reset(detach)
                        .learn_alpha(true)
                        .learn_threshold(true),
                );
            let network: Network<f64> = builder.seed(2).build().unwrap();
            let mut start = State::rest(&network, 2).unwrap();
            for k in 1..=2 {
                for (i, numbers) in start.layer_mut(k).unwrap().iter_mut().enumerate() {
                    numbers
                        .indexed_iter_mut()
                        .for_each(|((b, n), x)| *x = 0.1 + 0.2 * ((b + 2 * n + i) % 4) as f64);
                }
            }
            let x = Array2::from_shape_fn((2, 3), |(b, n)| 0.3 + 0.25 * (b + n) as f64);
            let input = Input::constant(x.view(), 4);
            let report =
                gradcheck_from(&network, &start, input, &[0, 2], Loss::CrossEntropyMembrane)
                    .unwrap();
            assert!(report.passes(), "{dynamics:?} {detach}: {report}");
            assert!(report.nothing_to_compare().is_empty(), "{report}");
            let rest = State::rest(&network, 2).unwrap();
            let other = gradcheck_from(&network, &rest, input, &[0, 2], Loss::CrossEntropyMembrane)
                .unwrap();
            assert_ne!(other.loss, report.loss);
        }
    }
}

/// A state that does not fit is refused by name, and neither it nor the network changes; the same after a
/// pass that fails.
fn unfit_states_are_refused(name: &str, make: &Make) {
    let network = small();
    let mut engine = make(
        network.clone(),
        Loss::CrossEntropyMembrane.into(),
        Adam::new(1e-2).into(),
    );
    let x = Array2::from_elem((4, 9), 0.7);
    let samples = Input::constant(x.view(), 5).classes(&[0, 1, 0, 1]);
    let other: Network = Network::builder(9)
        .layer(21, Leaky::new(0.9))
        .layer(2, Leaky::new(0.9))
        .build()
        .unwrap();
    let one: Network = Network::builder(9)
        .layer(2, Leaky::new(0.9))
        .build()
        .unwrap();
    let mut infinite = State::rest(&network, 4).unwrap();
    infinite.layer_mut(2).unwrap()[1][[3, 1]] = f32::INFINITY;
    for (state, says) in [
        (
            State::rest(&network, 3).unwrap(),
            "state of layer 1 has shape [3, 20]; expected [4, 20], samples and neurons",
        ),
        (
            State::rest(&other, 4).unwrap(),
            "state of layer 1 has shape [4, 21]; expected [4, 20], samples and neurons",
        ),
        (
            State::rest(&one, 4).unwrap(),
            "state has shape [1]; expected [2], one per layer of the network",
        ),
        (
            infinite,
            "number 1 of the state of layer 2 is inf at sample 3, neuron 1",
        ),
    ] {
        let mut given = state.clone();
        let errors = [
            engine
                .forward_from(&mut given, samples.input, &Record::Output)
                .unwrap_err(),
            engine.train_step_from(&mut given, samples).unwrap_err(),
            engine
                .accumulate_from(&mut given, samples, 1.0)
                .unwrap_err(),
            Predictor::new(&network)
                .forward_from(&mut given, samples.input, &Record::Output)
                .unwrap_err(),
        ];
        for error in errors {
            assert!(error.to_string().starts_with(says), "{name}: {error}");
        }
        assert_eq!(given, state, "{name}");
    }
    let mut state = State::rest(&network, 4).unwrap();
    engine
        .forward_from(&mut state, samples.input, &Record::Output)
        .unwrap();
    let before = state.clone();
    let mut bad = x.clone();
    bad[[2, 5]] = f32::NAN;
    let wrong = Input::constant(bad.view(), 5).classes(&[0, 1, 0, 1]);
    for result in [
        engine.train_step_from(&mut state, wrong).map(|_| ()),
        engine.accumulate_from(&mut state, wrong, 1.0).map(|_| ()),
        engine
            .forward_from(&mut state, wrong.input, &Record::All)
            .map(|_| ()),
        engine
            .train_step_from(&mut state, samples.input.classes(&[0, 1, 0, 2]))
            .map(|_| ()),
        engine
            .train_step_from(&mut state, samples.input.classes(&[0]))
            .map(|_| ()),
        engine
            .accumulate_from(&mut state, samples, f64::NAN)
            .map(|_| ()),
    ] {
        assert!(result.is_err(), "{name}");
        assert_eq!(state, before, "{name}");
        assert_eq!(engine.to_network().unwrap(), network, "{name}");
    }
    // A loss that is not finite names the place, from the state on.
    let membranes = &mut state.layer_mut(2).unwrap()[0];
    membranes
        .indexed_iter_mut()
        .for_each(|((_, n), u)| *u = [f32::MAX, -f32::MAX][n]);
    let before = state.clone();
    let error = engine.train_step_from(&mut state, samples).unwrap_err();
    assert!(
        matches!(&error, Error::NonFinite { what, .. } if what == "loss"),
        "{name}: {error}"
    );
    assert_eq!(state, before, "{name}");
}
on_every_engine!(unfit_states_are_refused);

/// States: at rest, read, changed, put back to rest.
#[test]
fn states_are_values() {
    let network = small();
    let mut state = State::rest(&network, 3).unwrap();
    assert_eq!((state.batch(), state.num_layers()), (3, 2));
    assert_eq!(state.layer(1).unwrap().len(), 1);
    assert_eq!(state.layer(2).unwrap().len(), 2);
    assert!(state.layer(0).is_none() && state.layer(3).is_none() && state.layer_mut(3).is_none());
    let rest = state.clone();
    let x = Array2::from_elem((3, 9), 0.9);
    let predictor = Predictor::new(&network);
    predictor
        .forward_from(&mut state, Input::constant(x.view(), 9), &Record::Output)
        .unwrap();
    assert_ne!(state, rest);
    let moved = state.clone();
    state.reset(&network, 1).unwrap();
    for k in 1..=2 {
        for (before, after) in moved.layer(k).unwrap().iter().zip(state.layer(k).unwrap()) {
            assert!(after.row(1).iter().all(|&x| x == 0.0));
            assert_eq!((after.row(0), after.row(2)), (before.row(0), before.row(2)));
        }
    }
    let error = state.reset(&network, 3).unwrap_err().to_string();
    assert!(
        error.starts_with("sample of a state is 3; expected less than 3"),
        "{error}"
    );
    let error = State::rest(&network, 0).unwrap_err().to_string();
    assert!(
        error.starts_with("batch size of a state is 0; expected at least 1"),
        "{error}"
    );
    let error = State::rest(&network, usize::MAX).unwrap_err();
    assert!(matches!(error, Error::OutOfMemory { .. }), "{error}");
    let trainer = Trainer {
        truncate: Some(0),
        ..Trainer::default()
    };
    let error = trainer.check(&data()).unwrap_err().to_string();
    assert!(
        error.starts_with("truncate is 0; expected at least 1"),
        "{error}"
    );
}

/// Windows so short that gradients do not reach the first layers are a warning, the last window's too.
#[test]
fn short_windows_are_a_warning() {
    let builder = Network::builder(9)
        .layer(5, Leaky::new(0.9))
        .layer(2, Leaky::new(0.9));
    let network: Network = builder.build().unwrap();
    assert_eq!(network.min_steps(), 3);
    let warnings = |num_steps: usize, truncate: Option<usize>| {
        let trainer = Trainer {
            num_steps,
            truncate,
            ..Trainer::default()
        };
        trainer.warnings(&network, &data(), None)
    };
    for (num_steps, truncate) in [
        (25, None),
        (25, Some(25)),
        (25, Some(30)),
        (24, Some(4)),
        (6, Some(3)),
        (28, Some(25)),
    ] {
        assert_eq!(
            warnings(num_steps, truncate),
            Vec::<String>::new(),
            "{num_steps} {truncate:?}"
        );
    }
    for (num_steps, truncate, says) in [
        (
            24,
            2,
            "truncate is 2; expected windows of at least 3 steps: one of 2, of the 24,",
        ),
        (
            25,
            4,
            "truncate is 4; expected windows of at least 3 steps: one of 1, of the 25,",
        ),
    ] {
        let found = warnings(num_steps, Some(truncate));
        assert!(found.len() == 1 && found[0].starts_with(says), "{found:?}");
    }
    // It is so: no gradient reaches the first layer from rest in one step.
    let mut engine =
        CpuEngine::new(network.clone(), Loss::CrossEntropyMembrane, Adam::new(1e-2)).unwrap();
    let x = Array2::from_elem((2, 9), 0.9);
    let mut state = State::rest(&network, 2).unwrap();
    engine
        .forward_from(&mut state, Input::constant(x.view(), 20), &Record::Output)
        .unwrap();
    engine
        .accumulate_from(
            &mut state,
            Input::constant(x.view(), 1).classes(&[0, 1]),
            1.0,
        )
        .unwrap();
    let mut look = |gradients: &mut Gradients| {
        let norms = gradients.layer_norms();
        assert!(norms[0] == 0.0 && norms[1] > 0.0, "{norms:?}");
        Ok(())
    };
    engine.gradients_mut(&mut look).unwrap();
}

/// An error in a window names the window, and the update.
#[test]
fn errors_name_the_window() {
    let trainer = Trainer {
        epochs: 1,
        batch_size: 8,
        num_steps: 7,
        truncate: Some(3),
        ..Trainer::default()
    };
    let mut engine = CpuEngine::new(small(), Loss::CrossEntropyMembrane, Adam::new(1e-2)).unwrap();
    let calls = std::cell::Cell::new(0);
    let data = spikegrad::data::from_fn(40, |draw, batch| {
        calls.set(calls.get() + 1);
        // NaN at step 4 of the third batch.
        let x = batch.sequence([7, draw.indices.len(), 9]);
        x.fill(0.5);
        if calls.get() == 3 {
            x[[4, 0, 0]] = f32::NAN;
        }
        batch.classes().extend(draw.indices.iter().map(|n| n % 2));
        Ok(())
    });
    let mut history = History::default();
    let fitted = trainer.fit_into(&mut engine, &data, None, &mut history, |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    let error = fitted.unwrap_err().to_string();
    let says = "step 1, sample 0, input 0, in the window from step 3 on, in update 8 of the run";
    assert!(error.contains(says), "{error}");
    assert_eq!(history.batches.len(), 2);
}
