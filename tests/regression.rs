//! Targets that are values: the losses against `torch.nn` (`tests/fixtures/regression.json`), finite
//! differences, training in every engine, and what is refused.

#[macro_use]
mod engines;
mod skip;

use engines::Make;
use ndarray::{Array2, Array3};
use serde_json::Value;
use spikegrad::{
    Adam, Dynamics, Engine, Input, Leaky, Loss, Network, Recording, ReferenceEngine, Reset,
    Surrogate, Targets, Trace, gradcheck::gradcheck, loss::Quantity,
};

const QUANTITIES: [(&str, Quantity); 3] = [
    ("membrane", Quantity::Membrane),
    ("spike_count", Quantity::SpikeCount),
    ("spike_rate", Quantity::SpikeRate),
];

fn losses() -> Vec<Loss<f64>> {
    let each = QUANTITIES.map(|(_, quantity)| [Loss::Mse(quantity), Loss::Mae(quantity)]);
    each.into_iter().flatten().collect()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().expect("a list");
    list.iter().map(|x| x.as_f64().expect("a number")).collect()
}

#[test]
fn losses_are_pytorchs() {
    let fixture: Value = serde_json::from_str(include_str!("fixtures/regression.json")).unwrap();
    let shape = numbers(&fixture["shape"]);
    let shape = (shape[0] as usize, shape[1] as usize, shape[2] as usize);
    let array = |name: &str| Array3::from_shape_vec(shape, numbers(&fixture[name])).unwrap();
    let recording = Recording::new(Vec::new(), Trace::new(array("spk"), array("mem")));
    let sequence = array("sequence");
    let values = Array2::from_shape_vec((shape.1, shape.2), numbers(&fixture["values"])).unwrap();
    let cases = fixture["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 8);
    for case in cases {
        let (_, quantity) = QUANTITIES
            .into_iter()
            .find(|(name, _)| case["quantity"] == *name)
            .unwrap();
        let loss = match case["loss"].as_str().unwrap() {
            "mse" => Loss::Mse(quantity),
            _ => Loss::Mae(quantity),
        };
        let targets = match case["against"].as_str().unwrap() {
            "sequence" => Targets::Sequence(sequence.view()),
            _ => Targets::Values(values.view()),
        };
        let (value, adjoints) = loss.evaluate(&recording, targets).unwrap();
        let expected = case["value"].as_f64().unwrap();
        assert!((value - expected).abs() <= 1e-12, "{case}: {value}");
        let output = adjoints.layers.last().unwrap();
        let (found, other) = match quantity {
            Quantity::Membrane => (&output.mem, &output.spk),
            _ => (&output.spk, &output.mem),
        };
        assert!(other.is_none());
        let found = found.as_ref().expect("an adjoint");
        for (found, expected) in found.iter().zip(numbers(&case["adjoint"])) {
            assert!(
                (found - expected).abs() <= 1e-12,
                "{case}: {found} {expected}"
            );
        }
    }
}

/// 3–4–2, with an output that is reset or not.
fn network(output: Leaky) -> Network<f64> {
    let hidden = Leaky::new(0.9)
        .threshold(0.3)
        .surrogate(Surrogate::Sigmoid { slope: 5.0 });
    let builder = Network::builder(3).layer(4, hidden.learn_beta(true));
    let network: Network = (builder.layer(2, output.learn_beta(true)))
        .seed(1)
        .build()
        .unwrap();
    network.cast()
}

fn integrator() -> Leaky {
    Leaky::new(0.8)
        .dynamics(Dynamics::IntegrateThenFire)
        .reset(Reset::None)
}

fn data() -> (Array3<f64>, Array3<f64>, Array2<f64>) {
    let x = Array3::from_shape_fn((6, 2, 3), |(t, b, n)| {
        0.4 + 0.1 * ((t * 5 + b * 3 + n) % 7) as f64
    });
    let sequence =
        Array3::from_shape_fn((6, 2, 2), |(t, b, n)| 0.17 * (t + b + 2 * n) as f64 - 0.3);
    let values = Array2::from_shape_fn((2, 2), |(b, n)| 1.31 * (b + n) as f64 + 0.37);
    (x, sequence, values)
}

#[test]
fn gradients_agree_with_finite_differences() {
    let (x, sequence, values) = data();
    let input = Input::sequence(x.view());
    for output in [integrator(), Leaky::new(0.8).threshold(0.4)] {
        for loss in losses() {
            let name = format!("{loss:?}");
            let check = |targets: Targets<'_, f64>| {
                let report =
                    gradcheck(&network(output.clone()), input, targets, loss.clone()).unwrap();
                assert!(report.passes(), "{name}: {report}");
                assert!(report.nothing_to_compare().is_empty(), "{name}: {report}");
            };
            check(values.view().into());
            if name.contains("Membrane") {
                check(sequence.view().into());
            }
        }
    }
}

/// Every engine computes the loss and the gradients of the reference, and learns a signal.
fn learns_a_signal(name: &str, make: &Make) {
    let (x, sequence, values) = data();
    let (x, sequence, values) = (
        x.mapv(|v| v as f32),
        sequence.mapv(|v| v as f32),
        values.mapv(|v| v as f32),
    );
    let input = Input::sequence(x.view());
    for loss in losses() {
        let text = format!("{loss:?}");
        let single: Loss = match (&loss, ()) {
            (Loss::Mse(quantity), ()) => Loss::Mse(*quantity),
            (Loss::Mae(quantity), ()) => Loss::Mae(*quantity),
            _ => unreachable!(),
        };
        let samples = match text.contains("Membrane") {
            true => input.sequence_values(sequence.view()),
            false => input.values(values.view()),
        };
        let network: Network = network(integrator()).cast();
        let mut engine = make(
            network.clone(),
            single.clone().into(),
            Adam::new(0.02).into(),
        );
        let mut reference = ReferenceEngine::new(network, single, Adam::new(0.02)).unwrap();
        let (found, gradients) = engine.gradients(samples).unwrap();
        let (expected, of_reference) = reference.gradients(samples).unwrap();
        assert!(
            (found - expected).abs() <= 1e-5 * expected,
            "{name}, {text}: {found} {expected}"
        );
        assert!(expected > 0.0);
        for ((tensor, a), (_, b)) in gradients.tensors().iter().zip(of_reference.tensors()) {
            let largest = b.iter().fold(1e-3_f32, |max, g| max.max(g.abs()));
            let close = a
                .iter()
                .zip(&b)
                .all(|(a, b)| (a - b).abs() <= 1e-5 * largest);
            assert!(close, "{name}, {text}: {tensor}: {a} {b}");
        }
        let first = engine.train_step(samples).unwrap();
        assert_eq!((first.samples, first.correct_membrane), (2, 0));
        for _ in 0..60 {
            engine.train_step(samples).unwrap();
        }
        let last = engine.evaluate(samples).unwrap();
        assert!(
            last.loss < 0.8 * first.loss,
            "{name}, {text}: {} to {}",
            first.loss,
            last.loss
        );
        // In halves, as in one.
        let report = engine.accumulate(samples, 1.0).unwrap();
        assert_eq!(report.loss, last.loss);
        engine.update().unwrap();
    }
}
on_every_engine!(learns_a_signal);

/// Targets that do not fit the loss, the network or the input, or are not finite.
fn what_does_not_fit_is_refused(name: &str, make: &Make) {
    let (x, sequence, values) = data();
    let (x, sequence, values) = (
        x.mapv(|v| v as f32),
        sequence.mapv(|v| v as f32),
        values.mapv(|v| v as f32),
    );
    let input = Input::sequence(x.view());
    let network: Network = network(integrator()).cast();
    let mut bad = values.clone();
    bad[[1, 0]] = f32::NAN;
    let narrow = Array2::zeros((2, 3));
    let short = Array3::zeros((5, 2, 2));
    let classes = [0, 1];
    let membrane: Loss = Loss::Mse(Quantity::Membrane);
    let count: Loss = Loss::Mae(Quantity::SpikeCount);
    for (loss, targets, says) in [
        (
            &membrane,
            Targets::Classes(&classes),
            "targets is classes; expected values [T, B, N]",
        ),
        (
            &count,
            Targets::Classes(&classes),
            "targets is classes; expected values [B, N]",
        ),
        (
            &count,
            sequence.view().into(),
            "targets is values [T, B, N]; expected values [B, N]",
        ),
        (
            &Loss::CrossEntropyMembrane,
            values.view().into(),
            "targets is values [B, N]; expected a class",
        ),
        (
            &Loss::CrossEntropyCount,
            sequence.view().into(),
            "targets is values [T, B, N]; expected a class",
        ),
        (
            &count,
            narrow.view().into(),
            "targets has shape [2, 3]; expected [B, N] = [2, 2]",
        ),
        (
            &membrane,
            short.view().into(),
            "targets has shape [5, 2, 2]; expected [T, B, N] = [6, 2, 2]",
        ),
        (&count, bad.view().into(), "targets is NaN"),
    ] {
        let mut engine = make(network.clone(), loss.clone().into(), Adam::new(0.02).into());
        for error in [
            engine.train_step(input.with(targets)).err(),
            engine.gradients(input.with(targets)).err(),
            engine.evaluate(input.with(targets)).err(),
            engine.accumulate(input.with(targets), 1.0).err(),
        ] {
            let error = error.expect("refused").to_string();
            assert!(error.starts_with(says), "{name}: {error}");
        }
        assert_eq!(engine.to_network().unwrap(), network);
    }
}
on_every_engine!(what_does_not_fit_is_refused);

/// A custom loss gets the values of the batch, and the same function is checked in `f64`.
#[test]
fn a_custom_loss_gets_the_values() {
    use spikegrad::{Adjoints, Float};
    fn cubes<F: Float>(
        recording: &Recording<F>,
        targets: Targets<'_, F>,
    ) -> spikegrad::Result<(f64, Adjoints<F>)> {
        let Targets::Sequence(y) = targets else {
            panic!("values were given")
        };
        let d = &recording.output().mem - &y;
        let value = d.iter().map(|d| d.as_f64().powi(4)).sum();
        let g = d.mapv(|d| F::from_f64(4.0 * d.as_f64().powi(3)));
        Ok((
            value,
            Adjoints::output(recording.num_layers(), None, Some(g)),
        ))
    }
    let (x, sequence, _) = data();
    let input = Input::sequence(x.view());
    let report = gradcheck(
        &network(integrator()),
        input,
        sequence.view(),
        Loss::custom(cubes),
    )
    .unwrap();
    assert!(
        report.passes() && report.nothing_to_compare().is_empty(),
        "{report}"
    );
    let (x, sequence) = (x.mapv(|v| v as f32), sequence.mapv(|v| v as f32));
    let samples = Input::sequence(x.view()).sequence_values(sequence.view());
    let network: Network = network(integrator()).cast();
    let mut engine =
        spikegrad::CpuEngine::new(network, Loss::custom(cubes), Adam::new(0.02)).unwrap();
    let first = engine.train_step(samples).unwrap().loss;
    (0..40).for_each(|_| drop(engine.train_step(samples).unwrap()));
    assert!(engine.evaluate(samples).unwrap().loss < 0.5 * first);
}
