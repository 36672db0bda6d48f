//! Losses on parts of the membrane, penalties on rates, and the read-outs that go with them.

use ndarray::{Array2, Array3};
use spikegrad::{
    Adam, CpuEngine, Engine, Input, Leaky, Loss, Network, Objective, Predictor, RatePenalty,
    ReadOut, Record, ReferenceEngine, Surrogate, gradcheck::gradcheck, metrics::argmax_rows,
};

fn network<F: spikegrad::Float>() -> Network<F> {
    let leaky = Leaky::new(0.9).surrogate(Surrogate::Sigmoid { slope: 4.0 });
    Network::builder(5)
        .layer(70, leaky.clone().threshold(0.4))
        .layer(9, leaky.clone().threshold(0.6))
        .layer(3, leaky)
        .seed(2)
        .build()
        .expect("valid")
}

fn sequence() -> Array3<f32> {
    Array3::from_shape_fn((12, 4, 5), |(t, b, n)| {
        ((t * 7 + b * 5 + n * 3) % 11) as f32 / 6.0
    })
}

fn objectives<F: spikegrad::Float>() -> Vec<Objective<F>> {
    let (neuron, layer) = (RatePenalty::per_neuron, RatePenalty::per_layer);
    let mean = |first, end| Loss::CrossEntropyMeanMembrane { first, end };
    vec![
        Loss::CrossEntropyLastMembrane.into(),
        mean(0, usize::MAX).into(),
        mean(3, 7).into(),
        Objective::from(Loss::CrossEntropyCount).penalty(neuron(0.3, 1.0).strength(2.0)),
        Objective::from(Loss::CrossEntropyMembrane)
            .penalty(neuron(0.2, 0.25).l1())
            .penalty(layer(0.0, 0.1).strength(3.0)),
        Objective {
            rate_l1: 1e-3,
            ..Objective::from(mean(2, 90)).penalty(layer(0.6, 0.7).strength(0.5).l1())
        },
    ]
}

#[test]
fn gradients_agree_with_finite_differences() {
    let small: Network<f64> = Network::builder(5)
        .layer(
            4,
            Leaky::new(0.9)
                .surrogate(Surrogate::Sigmoid { slope: 4.0 })
                .threshold(0.4),
        )
        .layer(
            3,
            Leaky::new(0.9).surrogate(Surrogate::Sigmoid { slope: 4.0 }),
        )
        .build()
        .expect("valid");
    let x = sequence().mapv(f64::from);
    for objective in objectives() {
        let label = format!("{objective:?}");
        let input = Input::sequence(x.view());
        let report = gradcheck(&small, input, &[0, 2, 1, 1], objective).expect("valid");
        assert!(
            report.passes() && report.nothing_to_compare().is_empty(),
            "{label}\n{report}"
        );
    }
}

#[test]
fn engines_agree() {
    let x = sequence();
    let x64 = x.mapv(f64::from);
    let targets = [0, 2, 1, 1];
    for (objective, objective64) in objectives().into_iter().zip(objectives()) {
        let label = format!("{objective:?}");
        let mut exact =
            ReferenceEngine::<f64>::new(network(), objective64, Adam::new(1e-3)).expect("valid");
        let samples = Input::sequence(x64.view()).classes(&targets);
        let (loss64, expected) = exact.gradients(samples).expect("valid");
        let expected_report = exact.evaluate(samples).expect("valid");
        for isa in CpuEngine::instruction_sets() {
            let adam = Adam::new(1e-3);
            let mut engine =
                CpuEngine::with_instruction_set(network(), objective.clone(), adam, isa)
                    .expect("valid");
            let samples = Input::sequence(x.view()).classes(&targets);
            let (loss, found) = engine.gradients(samples).expect("valid");
            assert!(
                (loss - loss64).abs() < 1e-5 * loss64.abs(),
                "{isa} {label} {loss} {loss64}"
            );
            for ((name, g), (_, g64)) in found.tensors().into_iter().zip(expected.tensors()) {
                let largest = g64.iter().fold(0.0_f64, |max, g| max.max(g.abs()));
                for (g, g64) in g.iter().zip(&g64) {
                    let close = (f64::from(*g) - g64).abs() <= 2e-5 * largest;
                    assert!(close, "{isa} {label} {name} {g} {g64} of {largest}");
                }
            }
            let report = engine.evaluate(samples).expect("valid");
            assert_eq!(
                report.correct_membrane, expected_report.correct_membrane,
                "{isa} {label}"
            );
            assert_eq!(
                report.correct_spike_count, expected_report.correct_spike_count,
                "{isa} {label}"
            );
        }
    }
}

#[test]
fn read_outs_are_those_of_the_recording() {
    let (network, x) = (network(), sequence());
    let input = Input::sequence(x.view());
    let predictor = Predictor::new(&network);
    let recording = predictor.forward(input, &Record::Output).expect("valid");
    let mem = &recording.output().mem;
    for read_out in [
        ReadOut::SpikeCount,
        ReadOut::Membrane,
        ReadOut::MaxMembrane,
        ReadOut::LastMembrane,
        ReadOut::WindowMembrane { first: 3, end: 7 },
        ReadOut::WindowMembrane { first: 50, end: 70 },
        ReadOut::FirstSpike,
    ] {
        let expected = recording.scores(read_out);
        let mut engine =
            CpuEngine::new(network.clone(), Loss::CrossEntropyMembrane, Adam::new(1e-3))
                .expect("valid");
        let mut scores = Array2::zeros((4, 3));
        engine
            .scores(input, read_out, scores.view_mut())
            .expect("valid");
        assert_eq!(scores, expected, "{read_out:?}");
        let mut classes = [0; 4];
        engine
            .classify(input, read_out, &mut classes)
            .expect("valid");
        assert_eq!(
            classes.to_vec(),
            argmax_rows(expected.view()),
            "{read_out:?}"
        );
        assert_eq!(recording.classify(read_out), classes, "{read_out:?}");
        predictor
            .classify(input, read_out, &mut classes)
            .expect("valid");
        assert_eq!(recording.classify(read_out), classes, "{read_out:?}");
    }
    let max = recording.scores(ReadOut::MaxMembrane);
    for ((b, n), max) in max.indexed_iter() {
        let each = (0..12).map(|t| mem[[t, b, n]]);
        assert_eq!(*max, each.fold(f32::NEG_INFINITY, f32::max));
    }
    assert_eq!(
        recording.scores(ReadOut::LastMembrane),
        mem.index_axis(ndarray::Axis(0), 11)
    );
}

#[test]
fn settings_out_of_range_are_named() {
    let mean = Loss::CrossEntropyMeanMembrane { first: 4, end: 4 };
    let penalty = |lower, upper| {
        Objective::<f32>::from(Loss::CrossEntropyCount)
            .penalty(RatePenalty::per_neuron(lower, upper))
    };
    for (objective, expected) in [
        (mean.into(), "first is 4; expected less than 4"),
        (
            penalty(-0.1, 1.0),
            "lower bound of a rate penalty is -0.1; expected a number from 0 to 1",
        ),
        (
            penalty(0.5, 0.25),
            "upper bound of a rate penalty is 0.25; expected a number from 0.5 to 1",
        ),
        (
            penalty(f64::NAN, 0.25),
            "lower bound of a rate penalty is NaN",
        ),
    ] {
        let engine = CpuEngine::new(network(), objective, Adam::new(1e-3));
        let error = engine.expect_err("out of range").to_string();
        assert!(error.contains(expected), "{error}");
    }
    let late = Loss::CrossEntropyMeanMembrane { first: 12, end: 20 };
    let x = sequence();
    let samples = Input::sequence(x.view());
    let mut reference =
        ReferenceEngine::new(network(), late.clone(), Adam::new(1e-3)).expect("valid");
    let mut engine = CpuEngine::new(network(), late, Adam::new(1e-3)).expect("valid");
    for error in [
        reference
            .evaluate(samples.classes(&[0, 1, 2, 0]))
            .expect_err("a late window"),
        engine
            .evaluate(samples.classes(&[0, 1, 2, 0]))
            .expect_err("a late window"),
    ] {
        let error = error.to_string();
        assert!(
            error.contains("first step of the window is 12; expected less than 12"),
            "{error}"
        );
    }
}
