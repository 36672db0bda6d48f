//! Dropout: gradients against the reference in double precision and finite differences, the same bits on
//! any number of threads and any vector width, and nothing of it in predictions.
#![cfg(feature = "safetensors")]

#[macro_use]
mod engines;
mod skip;

use engines::Make;
use ndarray::{Array2, Array3};
use spikegrad::{
    Adam, CpuEngine, Dynamics, Engine, Error, Float, Gradients, Init, Input, Leaky,
    LeakyIntegrator, Loss, Network, Objective, Predictor, RatePenalty, Record, Recurrence,
    ReferenceEngine, Reset, Surrogate, gradcheck::gradcheck, weights::Mismatch,
};

/// How a network drops inputs.
#[derive(Clone, Copy, Debug)]
enum Of {
    /// Of a narrow output layer, whose adjoints the layer below computes on the fly.
    Narrow,
    /// Of wide layers, and the network's input.
    Wide,
    /// Of a recurrent layer, from below.
    Recurrent,
}

const ALL: [Of; 3] = [Of::Narrow, Of::Wide, Of::Recurrent];

/// A network with dropout, or the same without.
fn network<F: Float>(of: Of, on: bool) -> Network<F> {
    let rate = |rate| if on { rate } else { 0.0 };
    let leaky = Leaky::new(0.8)
        .threshold(0.6)
        .surrogate(Surrogate::Sigmoid { slope: 4.0 });
    let first = Network::builder(9).seed(5).layer(70, leaky.clone());
    let layers = match of {
        Of::Narrow => first.layer(4, leaky).dropout(rate(0.5)),
        Of::Wide => {
            let reset = leaky.clone().reset(Reset::Zero);
            let second = reset.dynamics(Dynamics::IntegrateThenFire);
            let first = first.dropout(rate(0.2));
            let both = first.layer(70, second).dropout(rate(0.3));
            both.layer(4, LeakyIntegrator::new(0.9)).dropout(rate(0.4))
        }
        Of::Recurrent => {
            let own = first.recurrent(Recurrence::one_to_one()).layer(33, leaky);
            let own = own.recurrent(Recurrence::all_to_all()).dropout(rate(0.4));
            own.layer(4, LeakyIntegrator::new(0.9)).dropout(rate(0.1))
        }
    };
    layers.build().expect("a network")
}

const STEPS: usize = 12;
const BATCH: usize = 7;

fn sequence<F: Float>() -> Array3<F> {
    Array3::from_shape_fn((STEPS, BATCH, 9), |(t, b, n)| {
        F::from_f64(((t * 7 + b * 5 + n * 3) % 11) as f64 / 8.0)
    })
}

fn targets() -> Vec<usize> {
    (0..BATCH).map(|b| (3 * b + 1) % 4).collect()
}

/// A loss of the engines' own, one with what hidden spikes cost, and one that they get as a function.
fn objectives<F: Float>() -> Vec<Objective<F>> {
    let penalty = RatePenalty::per_neuron(0.3, 1.0).strength(0.1);
    vec![
        Loss::CrossEntropyMembrane.into(),
        Objective::from(Loss::CrossEntropyMaxMembrane).penalty(penalty),
        Loss::Custom(std::sync::Arc::new(|recording, targets| {
            Loss::CrossEntropyLastMembrane.evaluate(recording, targets)
        }))
        .into(),
    ]
}

fn largest<F: Float>(values: &ndarray::ArrayViewD<'_, F>) -> f64 {
    values.iter().fold(0.0, |max, x| max.max(x.as_f64().abs()))
}

/// Static, and time-varying.
fn with_inputs<F: Float>(mut f: impl FnMut(&str, Input<'_, F>)) {
    let (x, still) = (sequence(), Array2::from_elem((BATCH, 9), F::from_f64(0.5)));
    f("sequence", Input::sequence(x.view()));
    f("constant", Input::constant(still.view(), STEPS));
    let sparse = x.mapv(|x| if x > F::one() { x } else { F::zero() });
    f("sparse", Input::sequence(sparse.view()));
}

fn gradients_are_those_of_the_reference(name: &str, make: &Make) {
    for of in ALL {
        let mut expected: Vec<(f64, Gradients<f64>)> = Vec::new();
        for objective in objectives::<f64>() {
            let engine = ReferenceEngine::new(network(of, true), objective, Adam::new(1e-3));
            let mut engine = engine.expect("an engine");
            with_inputs(|_, input| {
                expected.push(engine.gradients(input.classes(&targets())).expect("some"));
            });
        }
        let mut expected = expected.into_iter();
        for objective in objectives::<f32>() {
            let mut engine = make(network(of, true), objective, Adam::new(1e-3).into());
            with_inputs(|what, input| {
                let (loss64, gradients64) = expected.next().expect("as many");
                let (loss, gradients) = engine.gradients(input.classes(&targets())).expect("some");
                let place = format!("{of:?}, {what}, {name}");
                assert!(
                    (loss - loss64).abs() < 1e-5 * loss64,
                    "{place}: {loss} {loss64}"
                );
                for ((name, a), (_, b)) in gradients64.tensors().iter().zip(gradients.tensors()) {
                    let scale = largest(a);
                    assert!(scale > 0.0, "{place}: {name} has a gradient");
                    for (index, a) in a.indexed_iter() {
                        let b = f64::from(b[&index]);
                        let error = (a - b).abs() / scale;
                        assert!(error < 2e-5, "{place}: {name} at {index:?}: {a}, found {b}");
                    }
                }
            });
        }
    }
}
on_every_engine!(gradients_are_those_of_the_reference);

#[test]
fn finite_differences_agree() {
    let small = |recurrent: bool| -> Network<f64> {
        let leaky = Leaky::new(0.8)
            .threshold(0.4)
            .surrogate(Surrogate::Sigmoid { slope: 3.0 });
        let first = Network::builder(9).layer(6, leaky.clone()).dropout(0.3);
        let second = match recurrent {
            true => first.layer(5, leaky).recurrent(Recurrence::all_to_all()),
            false => first.layer(5, leaky),
        };
        let second = second.dropout(0.5).layer(4, LeakyIntegrator::new(0.9));
        second.dropout(0.25).seed(3).build().expect("a network")
    };
    for recurrent in [false, true] {
        with_inputs(|what, input| {
            let loss = Loss::CrossEntropyMembrane;
            let report =
                gradcheck(&small(recurrent), input, &targets()[..], loss).expect("a report");
            assert!(report.passes(), "{what}: {report}");
            assert!(report.nothing_to_compare().is_empty(), "{what}: {report}");
        });
    }
}

/// The gradients of what is dropped are 0, of what is not they are not: half of the columns of one sample.
fn a_dropped_spike_moves_no_weight(_: &str, make: &Make) {
    let x = Array3::from_elem((STEPS, 1, 9), 1.0);
    let loss = || Loss::CrossEntropyMembrane.into();
    let columns = |on: bool| {
        let mut engine = make(network(Of::Narrow, on), loss(), Adam::new(1e-3).into());
        let samples = Input::sequence(x.view()).classes(&[1]);
        let gradients = engine.gradients(samples).expect("gradients").1;
        let (_, weight) = gradients.tensors().swap_remove(2);
        let columns = weight.axis_iter(ndarray::Axis(1));
        columns
            .map(|column| column.iter().any(|g| *g != 0.0))
            .collect::<Vec<_>>()
    };
    let (all, some) = (columns(false), columns(true));
    let count = |columns: &[bool]| columns.iter().filter(|moves| **moves).count();
    assert!(all.iter().zip(&some).all(|(all, some)| *all || !some));
    let (all, some) = (count(&all), count(&some));
    assert!(
        all > 20 && (all / 4..=3 * all / 4).contains(&some),
        "{some} of {all}"
    );
}
on_every_engine!(a_dropped_spike_moves_no_weight);

#[test]
fn predictions_drop_nothing() {
    for of in ALL {
        let x = sequence::<f32>();
        let input = || Input::sequence(x.view());
        let engine = |on| {
            let network = network(of, on);
            CpuEngine::new(network, Loss::CrossEntropyMembrane, Adam::new(1e-3)).expect("an engine")
        };
        let (mut with, mut without) = (engine(true), engine(false));
        let expected = without.forward(input(), &Record::All).expect("a recording");
        assert_eq!(
            with.forward(input(), &Record::All).expect("a recording"),
            expected
        );
        let predictor = Predictor::new(&network(of, true));
        assert_eq!(
            predictor
                .forward(input(), &Record::All)
                .expect("a recording"),
            expected
        );
        let classes = targets();
        let evaluated = |engine: &mut CpuEngine| {
            engine
                .evaluate(input().classes(&classes))
                .expect("a report")
        };
        assert_eq!(evaluated(&mut with), evaluated(&mut without));
        let losses = [&mut with, &mut without].map(|engine| {
            engine
                .gradients(input().classes(&classes))
                .expect("gradients")
                .0
        });
        assert_ne!(losses[0], losses[1], "training does");
    }
}

fn trained(engine: &mut dyn Engine, steps: usize) -> Network {
    let x = sequence::<f32>();
    for _ in 0..steps {
        let samples = Input::sequence(x.view());
        engine
            .train_step(samples.classes(&targets()))
            .expect("a step");
    }
    engine.to_network().expect("a network")
}

#[test]
fn neither_threads_nor_vector_width_show() {
    for of in ALL {
        let on = |isa: &str| {
            let loss = Loss::CrossEntropyMembrane;
            let engine =
                CpuEngine::with_instruction_set(network(of, true), loss, Adam::new(1e-2), isa);
            trained(&mut engine.expect("an engine"), 3)
        };
        let mut fused = CpuEngine::instruction_sets();
        fused.retain(|&isa| isa != "SSE2");
        let Some((first, others)) = fused.split_first() else {
            return skip::skipped("this machine has no fused multiply-add");
        };
        let expected = on(first);
        assert_ne!(expected, network(of, true));
        for isa in others {
            assert!(on(isa) == expected, "{of:?}: {isa} and {first}");
        }
        #[cfg(feature = "rayon")]
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().expect("a pool");
            assert!(
                pool.install(|| on(first)) == expected,
                "{of:?}: {threads} threads"
            );
        }
    }
}

#[test]
fn a_resumed_run_drops_the_same() {
    let loss = || Loss::CrossEntropyMembrane;
    let engine = |network: Network, optimizer| CpuEngine::new(network, loss(), optimizer);
    for of in ALL {
        let start = network(of, true);
        let mut whole = engine(start.clone(), Adam::new(1e-2).into()).expect("an engine");
        let expected = trained(&mut whole, 4);
        let mut first = engine(start, Adam::new(1e-2).into()).expect("an engine");
        let half = trained(&mut first, 2);
        let optimizer = first.to_optimizer().expect("an optimizer");
        let mut second = engine(half, optimizer).expect("an engine");
        assert!(trained(&mut second, 2) == expected, "{of:?}");
    }
}

#[test]
fn each_accumulated_batch_has_masks_of_its_own() {
    let loss = Loss::CrossEntropyMembrane;
    let engine = CpuEngine::new(network(Of::Narrow, true), loss, Adam::new(1e-2));
    let mut engine = engine.expect("an engine");
    let (x, classes) = (sequence::<f32>(), targets());
    let samples = || Input::sequence(x.view()).classes(&classes);
    let first = engine.gradients(samples()).expect("gradients").0;
    let report = engine.accumulate(samples(), 1.0).expect("a report");
    assert_eq!(
        report.loss, first,
        "the same masks as long as nothing is accumulated"
    );
    let second = engine.accumulate(samples(), 1.0).expect("a report").loss;
    assert_ne!(second, first);
    engine.clear_gradients();
    let report = engine.accumulate(samples(), 1.0).expect("a report");
    assert_eq!(report.loss, first, "from the start");
    engine.update().expect("an update");
    assert_ne!(
        engine.accumulate(samples(), 1.0).expect("a report").loss,
        second
    );
}

/// Long batches of wide layers are run in parts (250 steps of 1000 neurons are 1 MB of adjoints a sample, of
/// which 32 are held at a time): a sample of the second has its own mask, not one of the first.
#[test]
fn parts_of_a_batch_have_the_masks_of_their_samples() {
    const B: usize = 45;
    let network = || -> Network {
        let leaky = Leaky::new(0.9).threshold(1e-3);
        let hidden = Network::builder(3)
            .layer(1000, leaky)
            .init(Init::Constant(1.0));
        let output = hidden.layer(4, LeakyIntegrator::new(0.9)).dropout(0.5);
        output.seed(8).build().expect("a network")
    };
    // All neurons fire, so the columns of weights that one sample moves are those that are not dropped.
    let moved = |steps: usize, sample: usize| {
        let loss = Loss::Custom(std::sync::Arc::new(move |recording, targets| {
            let all = Loss::CrossEntropyMembrane.evaluate(recording, targets)?;
            let (loss, mut adjoints) = all;
            for values in adjoints
                .layers
                .iter_mut()
                .filter_map(|layer| layer.mem.as_mut())
            {
                let samples = values.axis_iter_mut(ndarray::Axis(1)).enumerate();
                let others = samples.filter(|(b, _)| *b != sample);
                others.for_each(|(_, mut values)| values.fill(0.0));
            }
            Ok((loss, adjoints))
        }));
        let mut engine = CpuEngine::new(network(), loss, Adam::new(1e-3)).expect("an engine");
        let (x, classes) = (Array3::from_elem((steps, B, 3), 1.0), [1; B]);
        let samples = Input::sequence(x.view()).classes(&classes);
        let (_, gradients) = engine.gradients(samples).expect("gradients");
        let (name, weight) = gradients.tensors().swap_remove(2);
        assert_eq!(name, "fc2.weight");
        let columns = weight.axis_iter(ndarray::Axis(1));
        columns
            .map(|column| column.iter().any(|g| *g != 0.0))
            .collect::<Vec<_>>()
    };
    let whole = moved(5, B - 1);
    let count = whole.iter().filter(|moves| **moves).count();
    assert!((420..580).contains(&count), "{count} of 1000");
    assert_ne!(whole, moved(5, 0));
    assert_eq!(whole, moved(250, B - 1));
    assert_eq!(moved(5, 0), moved(250, 0));
}

#[test]
fn files_keep_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.safetensors");
    let trained = network::<f32>(Of::Wide, true);
    trained.save_safetensors(&path).expect("it is saved");
    assert_eq!(Network::load(&path).expect("it is read"), trained);
    // A network to predict with may be without.
    let mut other = network::<f32>(Of::Wide, false);
    other.load_safetensors(&path).expect("the same connections");
    assert_eq!(other, network(Of::Wide, false));
    let mut other = network::<f32>(Of::Narrow, false);
    assert!(
        other
            .load_safetensors_with(&path, Mismatch::Refuse)
            .is_err()
    );
}

/// What is dropped is not hidden: numbers that are not finite are found first.
fn what_is_not_finite_is_found(name: &str, make: &Make) {
    let mut engine = make(
        network(Of::Wide, true),
        Loss::CrossEntropyMembrane.into(),
        Adam::new(1e-3).into(),
    );
    for n in 0..9 {
        let mut x = sequence::<f32>();
        x[[3, 2, n]] = f32::NAN;
        let error = engine.train_step(Input::sequence(x.view()).classes(&targets()));
        let error = error.expect_err("a NaN");
        assert!(
            matches!(error, Error::NonFinite { .. }),
            "{name}, input {n}: {error}"
        );
    }
}
on_every_engine!(what_is_not_finite_is_found);

#[test]
fn a_rate_has_a_range() {
    for rate in [-0.1, 1.0, 1.5, f64::NAN] {
        let network = Network::builder(3).layer(2, Leaky::new(0.9)).dropout(rate);
        let error = network.build::<f32>().expect_err("out of range");
        assert!(matches!(error, Error::InvalidParameter { .. }), "{error}");
        let expected = "at least 0 and less than 1";
        assert!(error.to_string().contains("layer 1: dropout"), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}
