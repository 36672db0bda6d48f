//! What the library keeps of a network and a run, as plots take it.

use std::ops::ControlFlow;

use ndarray::Array2;
use spikegrad::{
    Adam, Device, Error, History, Input, Leaky, LeakyIntegrator, Loss, Network, Record, Recording,
    StepReport, Trainer,
    data::{Data, Dataset},
    engine::reference::forward,
    plot::{Curves, Panel, Traces, accuracy, gradient_norms, gradients, loss, spread, traces},
    train::Event,
};

use crate::svg::check;

fn network() -> Network<f64> {
    Network::builder(4)
        .layer(
            6,
            Leaky::new(0.9).threshold(vec![0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        )
        .layer(3, Leaky::new(0.8).threshold(0.25))
        .seed(3)
        .build()
        .expect("a network")
}

fn recording(network: &Network<f64>) -> Recording<f64> {
    let x = Array2::from_shape_fn((2, 4), |(b, n)| 1.0 + 2.0 * b as f64 + 0.1 * n as f64);
    forward(network, Input::constant(x.view(), 12)).expect("it runs")
}

#[test]
fn panels_show_the_neurons_that_were_asked_for() {
    let network = network();
    let recording = recording(&network);
    let panel = Panel::layer(&recording, 1, 1, &[5, 0, 2]).unwrap();
    assert_eq!(panel.label, "layer 1: 3 of 6 neurons");
    assert_eq!(panel.neurons, [5, 0, 2]);
    let spk = &recording.trace(1).unwrap().spk;
    assert!(spk.sum() > 0.0);
    for t in 0..12 {
        for (i, n) in [5, 0, 2].into_iter().enumerate() {
            assert_eq!(f64::from(panel.spikes[[t, i]]), spk[[t, 1, n]]);
        }
    }
    let output = Panel::layer(&recording, 2, 0, &spread(3, 10)).unwrap();
    assert_eq!(output.label, "layer 2 (output): 3 neurons");
    assert_eq!(output.neurons, [0, 1, 2]);

    let wrong = |layer, sample, neurons: &[usize]| {
        let error = Panel::layer(&recording, layer, sample, neurons).unwrap_err();
        assert!(matches!(error, Error::InvalidParameter { .. }), "{error}");
        error.to_string()
    };
    assert!(wrong(3, 0, &[0]).contains("1, 2"));
    assert!(wrong(0, 0, &[0]).contains("1, 2"));
    assert!(wrong(1, 2, &[0]).contains("below 2"));
    assert!(wrong(1, 0, &[1, 6]).contains("below 6"));

    let mut engine = Device::Cpu
        .engine(network.cast(), Loss::CrossEntropyMembrane, Adam::new(1e-3))
        .unwrap();
    let x = Array2::ones((1, 4));
    let output = engine.forward(Input::constant(x.view(), 5), &Record::Output);
    let error = Panel::layer(&output.unwrap(), 1, 0, &[0]).unwrap_err();
    assert!(error.to_string().contains("recorded: 2"), "{error}");
}

#[test]
fn traces_of_any_layer_have_their_names_and_thresholds() {
    let network = network();
    let recording = recording(&network);
    let hidden = Traces::layer(&recording, &network, 1, 1, &[4, 1]).unwrap();
    assert_eq!(hidden.threshold, [0.5, 0.2]);
    assert_eq!(hidden.names, ["neuron 4", "neuron 1"]);
    let mem = &recording.trace(1).unwrap().mem;
    for t in 0..12 {
        assert_eq!(hidden.mem[[t, 0]], mem[[t, 1, 4]] as f32);
        assert_eq!(hidden.mem[[t, 1]], mem[[t, 1, 1]] as f32);
    }
    let svg = check("hidden", traces(&hidden));
    for text in ["membrane potential, layer 1\n", "neuron 4", "thresholds"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(!svg.contains("output"));

    let output = Traces::layer(&recording, &network, 2, 0, &[2]).unwrap();
    assert_eq!(
        (&output.names[0][..], &output.threshold[..]),
        ("output 2", &[0.25][..])
    );
    assert_eq!(output.label, "layer 2 (output)");

    // Membranes without a threshold, flat or not.
    let silent: Network<f64> = Network::builder(4)
        .layer(3, LeakyIntegrator::new(0.9))
        .build()
        .unwrap();
    let x = Array2::from_shape_fn((2, 4), |(b, _)| b as f64);
    let of_silent = forward(&silent, Input::constant(x.view(), 12)).unwrap();
    for sample in 0..2 {
        let plain = Traces::layer(&of_silent, &silent, 1, sample, &[0, 2]).unwrap();
        assert!(plain.threshold.is_empty());
        let svg = check("without_threshold", traces(&plain));
        assert!(svg.contains("output 2") && !svg.contains("threshold"));
    }

    let other: Network<f64> = (Network::builder(4).layer(5, Leaky::new(0.9)))
        .layer(3, Leaky::new(0.9))
        .build()
        .unwrap();
    assert!(matches!(
        Traces::layer(&recording, &other, 1, 0, &[0]),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        Traces::layer(&recording, &network, 1, 9, &[0]),
        Err(Error::InvalidParameter { .. })
    ));
}

#[test]
fn spread_picks_evenly() {
    assert_eq!(spread(1000, 4), [0, 250, 500, 750]);
    assert_eq!(spread(3, 100), [0, 1, 2]);
    assert_eq!(spread(7, 3), [0, 2, 4]);
    assert!(spread(0, 5).is_empty() && spread(5, 0).is_empty());
}

/// Two epochs of five batches, the gradients of every third measured.
fn history(validate: bool) -> History {
    let images = Array2::from_shape_fn((20, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
    let data = Dataset::new(images, (0..20).map(|b| b % 2).collect(), 2).unwrap();
    let trainer = Trainer {
        epochs: 2,
        batch_size: 4,
        num_steps: 8,
        seed: 0,
        ..Trainer::default()
    };
    let network: Network = (Network::builder(4).layer(5, Leaky::new(0.9).threshold(0.2)))
        .layer(2, Leaky::new(0.9))
        .build()
        .unwrap();
    let mut engine = Device::Cpu
        .engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-2))
        .unwrap();
    engine.measure_gradients(true);
    let validation = validate.then_some(&data as &dyn Data);
    let history = trainer.fit(&mut *engine, &data, validation, |engine, event| {
        if let Event::Batch { history, .. } = event {
            engine.measure_gradients(history.batches.len().is_multiple_of(3));
        }
        Ok(ControlFlow::Continue(()))
    });
    history.unwrap()
}

#[test]
fn curves_of_a_history() {
    let history = history(true);
    let losses = Curves::loss(&history, "test");
    let reports = || history.batches.iter().map(|b| &b.report);
    let validations = || {
        history
            .epochs
            .iter()
            .map(|e| e.validation.as_ref().unwrap())
    };
    assert_eq!(losses.train, reports().map(|r| r.loss).collect::<Vec<_>>());
    assert_eq!(losses.validation.len(), 1);
    assert_eq!(losses.validation[0].label, "test");
    let expected = |value: fn(&StepReport) -> f64| -> Vec<(f64, f64)> {
        [5.0, 10.0]
            .into_iter()
            .zip(validations().map(value))
            .collect()
    };
    assert_eq!(losses.validation[0].points, expected(|r| r.loss));

    let rates = Curves::accuracy(&history, "test");
    let by_count: Vec<f64> = reports().map(|r| r.accuracy_spike_count()).collect();
    assert_eq!(rates.train, by_count);
    let labels = rates.validation.iter().map(|s| s.label.as_str());
    assert_eq!(
        labels.collect::<Vec<_>>(),
        ["test, spike count", "test, membrane"]
    );
    assert_eq!(
        rates.validation[0].points,
        expected(StepReport::accuracy_spike_count)
    );
    assert_eq!(
        rates.validation[1].points,
        expected(StepReport::accuracy_membrane)
    );
    check("loss", loss(&losses));
    check("accuracy", accuracy(&rates));

    let alone = self::history(false);
    let losses = Curves::loss(&alone, "test");
    assert!(losses.validation.is_empty() && Curves::accuracy(&alone, "").validation.is_empty());
    check("no validation", loss(&losses));
    assert!(matches!(
        loss(&Curves::loss(&History::default(), "test")),
        Err(Error::Shape { .. })
    ));
}

#[test]
fn norms_of_a_history() {
    let history = history(true);
    let norms = gradient_norms(&history);
    assert_eq!(norms.len(), 2);
    for (k, series) in norms.iter().enumerate() {
        assert_eq!(series.label, format!("layer {}", k + 1));
        let expected: Vec<(f64, f64)> = [0, 3, 6, 9]
            .map(|b: usize| {
                let measured = history.batches[b].report.gradient_norms.as_ref().unwrap();
                ((b + 1) as f64, measured[k])
            })
            .to_vec();
        assert_eq!(series.points, expected);
        assert!(series.points.iter().all(|p| p.1 > 0.0));
    }
    check("norms", gradients(&norms));
    assert!(gradient_norms(&History::default()).is_empty());
}
