//! What training watches for: settings out of range, gradients clipped as PyTorch clips them, layers
//! that do not fire, losses that are no numbers, sets that do not fit.

use std::ops::ControlFlow;

use ndarray::{Array2, Array3};
use spikegrad::{
    Adam, CpuEngine, Device, Dynamics, Engine, Error, Gradients, History, Input, Leaky,
    LeakyIntegrator, Loss, Network, Objective, Optimizer, ReadOut, Record, Recording,
    ReferenceEngine, Reset, Samples, State, StepReport, Trainer,
    data::{Data, Dataset},
    engine::reference::forward,
    train::{Activity, Position},
};

fn network(threshold: f64, bias: f32) -> Network {
    let mut network: Network = Network::builder(4)
        .layer(6, Leaky::new(0.9).threshold(threshold))
        .layer(2, Leaky::new(0.9))
        .build()
        .unwrap();
    network.parameters_mut()[1].1.fill(bias);
    network
}

fn data(features: usize, classes: usize) -> Dataset {
    let images =
        Array2::from_shape_fn((8, features), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
    Dataset::new(images, (0..8).map(|b| b % 2).collect(), classes).unwrap()
}

/// The moments after one update, against `torch.nn.utils.clip_grad_norm_`'s formula worked by hand:
/// gradients (3, 4) have norm 5; clipped to 1 they are multiplied by 1 / (5 + 1e-6).
#[test]
fn gradients_are_clipped_as_torch_does() {
    let mut network: Network<f64> = Network::builder(1)
        .layer(1, Leaky::new(0.9))
        .build()
        .unwrap();
    let mut gradients = Gradients::zeros(&network);
    gradients.tensors_mut()[0].1.fill(3.0);
    gradients.tensors_mut()[1].1.fill(4.0);
    for (limit, factor) in [
        (1.0, 1.0 / 5.000001),
        (2.5, 2.5 / 5.000001),
        (5.0, 5.0 / 5.000001),
        (6.0, 1.0),
    ] {
        let mut adam = Adam::new(1e-3).clip_norm(limit);
        adam.step(&mut network, &gradients).unwrap();
        let (m, v) = adam.moments().unwrap();
        for (n, g) in [3.0_f64, 4.0].into_iter().enumerate() {
            let (m, v) = (m.tensors()[n].1.sum(), v.tensors()[n].1.sum());
            assert!((m - 0.1 * g * factor).abs() < 1e-14, "{limit}: {m}");
            assert!(
                (v - 0.001 * (g * factor).powi(2)).abs() < 1e-14,
                "{limit}: {v}"
            );
        }
    }
}

#[test]
fn optimizer_settings_out_of_range() {
    for (clip, good) in [
        (1e-3, true),
        (0.0, false),
        (-1.0, false),
        (f64::NAN, false),
        (f64::INFINITY, false),
    ] {
        let checked = Adam::new(1e-3).clip_norm::<f32>(clip).check();
        match checked {
            Ok(()) => assert!(good, "{clip}"),
            Err(Error::InvalidParameter { name, .. }) => {
                assert!(!good && name == "clip_norm", "{clip}: {name}");
            }
            Err(error) => panic!("{error}"),
        }
    }
    type Set = fn(&mut Adam, f64);
    let settings: [(&str, Set, &[f64], &[f64]); 4] = [
        ("lr", |adam, x| adam.lr = x, &[0.0, 1.0], &[-1e-3, -1e300]),
        (
            "beta1",
            |adam, x| adam.beta1 = x,
            &[0.0, 0.99],
            &[-0.1, 1.0],
        ),
        (
            "beta2",
            |adam, x| adam.beta2 = x,
            &[0.0, 0.99],
            &[-0.1, 1.0],
        ),
        ("eps", |adam, x| adam.eps = x, &[1e-8, 1.0], &[0.0, -1.0]),
    ];
    for (setting, set, good, bad) in settings {
        let check = |x| {
            let mut adam = Adam::new(1e-3);
            set(&mut adam, x);
            Optimizer::<f32>::from(adam)
                .check()
                .map_err(|error| error.to_string())
        };
        assert!(good.iter().all(|&x| check(x).is_ok()), "{setting}");
        for &bad in bad.iter().chain(&[f64::NAN, f64::INFINITY]) {
            let error = check(bad).unwrap_err();
            let found = format!("Adam: {setting} is {bad:?}");
            assert!(error.starts_with(found.trim_end_matches(".0")), "{error}");
        }
    }
    // An epsilon that single precision rounds to 0 would divide 0 by 0.
    assert!(
        Optimizer::<f32>::from(Adam::new(1e-3).eps(1e-60))
            .check()
            .is_err()
    );
    assert!(
        Optimizer::<f64>::from(Adam::new(1e-3).eps(1e-60))
            .check()
            .is_ok()
    );
}

/// However far an update goes, a decay stays in [0, 1] and a threshold above 0.
#[test]
fn learnt_decays_and_thresholds_stay_in_range() {
    for (gradient, beta, threshold) in [(1.0, 0.0, 1e-6), (-1.0, 1.0, 11.0)] {
        let neuron = Leaky::new(0.9).learn_beta(true).learn_threshold(true);
        let mut network: Network<f64> = Network::builder(1).layer(1, neuron).build().unwrap();
        let mut gradients = Gradients::zeros(&network);
        for (_, mut g) in gradients.tensors_mut() {
            g.fill(gradient);
        }
        Optimizer::from(Adam::new(10.0))
            .step(&mut network, &gradients)
            .unwrap();
        let layer = &network.layers()[0];
        assert_eq!(layer.constant("beta").unwrap()[0], beta);
        assert!((layer.constant("threshold").unwrap()[0] - threshold).abs() < 1e-6);
        assert!(layer.constant("threshold").unwrap()[0] >= 1e-6);
        assert!(layer.weight()[[0, 0]].abs() > 8.0, "a weight has no range");
    }
}

/// Gradients and moments of another network's are refused by name, and nothing changes.
#[test]
fn gradients_and_moments_of_another_network_are_refused() {
    let build = |sizes: [usize; 2], learn: bool| -> Network {
        let neuron = Leaky::new(0.9).learn_beta(learn);
        let builder = Network::builder(sizes[0]).layer(sizes[1], neuron);
        builder.build().unwrap()
    };
    for (other, says) in [
        (
            build([3, 3], false),
            "fc1.weight has shape [3, 3]; expected fc1.weight [3, 2]",
        ),
        (
            build([2, 3], true),
            "has shape [3]; expected [2], one per tensor of the network",
        ),
    ] {
        let mut network = build([2, 3], false);
        let (before, mut adam) = (network.clone(), Optimizer::from(Adam::new(1e-3)));
        let gradients = Gradients::zeros(&other);
        let error = adam.step(&mut network, &gradients).unwrap_err().to_string();
        assert!(
            error.starts_with("gradients") && error.contains(says),
            "{error}"
        );
        assert_eq!((&network, adam.steps()), (&before, 0));

        adam.step(&mut other.clone(), &gradients).unwrap();
        let gradients = Gradients::zeros(&network);
        let error = adam.step(&mut network, &gradients).unwrap_err().to_string();
        assert!(
            error.starts_with("exp_avg of the optimizer") && error.contains(says),
            "{error}"
        );
        assert_eq!((network, adam.steps()), (before, 1));
    }
    // As many tensors, of the same shapes, under other names.
    let build = |learn_threshold: bool| -> Network {
        let neuron = Leaky::new(0.9).learn_threshold(learn_threshold);
        let neuron = neuron.learn_beta(!learn_threshold);
        Network::builder(2).layer(3, neuron).build().unwrap()
    };
    let gradients = Gradients::zeros(&build(true));
    let error = Optimizer::from(Adam::new(1e-3))
        .step(&mut build(false), &gradients)
        .unwrap_err();
    assert!(error.to_string().contains("lif1.threshold"), "{error}");
}

/// Gradients that overflow are refused before anything changes, clipped or not.
#[test]
fn clipping_refuses_gradients_without_a_norm() {
    let mut network = network(1.0, 0.0);
    let before = network.clone();
    let mut gradients = Gradients::zeros(&network);
    gradients.tensors_mut()[2].1.fill(f32::INFINITY);
    let mut adam = Adam::new(1e-3).clip_norm(1.0);
    let error = adam.step(&mut network, &gradients).unwrap_err();
    assert!(
        matches!(&error, Error::NonFinite { what, .. } if what == "gradient of fc2.weight"),
        "{error}"
    );
    assert_eq!((network, adam.steps()), (before, 0));
}

/// A gradient without a finite square is refused by its tensor and the update before anything changes; in
/// double precision it has one. So is a gradient that is itself not finite.
#[test]
fn adam_refuses_an_infinite_second_moment() {
    let mut network = network(1.0, 0.1);
    let before = network.clone();
    let mut gradients = Gradients::zeros(&network);
    let mut adam = Optimizer::from(Adam::new(1e-3));
    adam.step(&mut network, &gradients).unwrap();
    for (value, says) in [
        (
            2e19,
            "second moment of fc2.weight in update 2 is inf at element 3",
        ),
        (
            -1e30,
            "second moment of fc2.weight in update 2 is inf at element 3",
        ),
        (f32::INFINITY, "gradient of fc2.weight is inf at element 3"),
        (f32::NAN, "gradient of fc2.weight is NaN at element 3"),
    ] {
        gradients.tensors_mut()[2].1[[0, 3]] = value;
        let optimizer = adam.clone();
        let error = adam.step(&mut network, &gradients).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
        assert_eq!((&network, &adam), (&before, &optimizer));
    }
    // Its square is just finite.
    gradients.tensors_mut()[2].1[[0, 3]] = 1.8e19;
    adam.step(&mut network, &gradients).unwrap();
    let (_, second) = adam.moments().unwrap();
    assert!(second.tensors()[2].1[[0, 3]] > 1e35);
    assert_ne!(network, before);

    let mut wide = before.cast::<f64>();
    let mut gradients = Gradients::zeros(&wide);
    gradients.tensors_mut()[2].1[[0, 3]] = 1e30;
    Optimizer::from(Adam::new(1e-3))
        .step(&mut wide, &gradients)
        .unwrap();
    assert_ne!(wide, before.cast());
}

/// One sample of a batch whose output overflows: each engine says where, the trainer says when.
#[test]
fn a_loss_that_is_not_finite_is_named_by_layer_step_sample_and_update() {
    let mut network = network(0.5, 0.0);
    network.parameters_mut()[0].1.fill(1.0);
    network.parameters_mut()[2].1.fill(3e38);
    let (loss, adam) = (Loss::CrossEntropyMembrane, Adam::new(1e-3));
    let engines: [Box<dyn Engine>; 2] = [
        Box::new(CpuEngine::new(network.clone(), loss.clone(), adam).unwrap()),
        Box::new(ReferenceEngine::new(network.clone(), loss, adam).unwrap()),
    ];
    // All four pixels of sample 2 are lit: all six neurons fire at step 1, and are heard there.
    let mut x = Array2::zeros((5, 4));
    x.row_mut(2).fill(1.0);
    let steps = Array3::from_shape_fn((6, 5, 4), |(_, b, n)| x[[b, n]]);
    let place = |error: Error, whole: &str| match error {
        Error::NonFinite { what, position, .. } => {
            assert_eq!((&*what, &*position), ("loss", whole))
        }
        error => panic!("{error}"),
    };
    for mut engine in engines {
        for input in [Input::constant(x.view(), 6), Input::sequence(steps.view())] {
            let there = "layer 2, step 1, sample 2, neuron 0";
            place(
                engine.train_step(input.classes(&[0; 5])).unwrap_err(),
                there,
            );
            place(engine.evaluate(input.classes(&[0; 5])).unwrap_err(), there);
        }
        assert_eq!(engine.to_network().unwrap(), network);

        let images = Array2::from_elem((2, 4), 255);
        let data = Dataset::new(images, vec![0, 1], 2).unwrap();
        let trainer = Trainer {
            batch_size: 2,
            num_steps: 6,
            ..Trainer::default()
        };
        let error = trainer.fit(&mut *engine, &data, None, |_, _| {
            Ok(ControlFlow::Continue(()))
        });
        let there = "layer 2, step 1, sample 0, neuron 0, in update 1 of the run";
        place(error.unwrap_err(), there);
        assert_eq!(engine.to_network().unwrap(), network);
    }
}

#[test]
fn silent_and_saturated_layers_are_reported() {
    let data = data(4, 2);
    let watch = |network: Network| {
        let trainer = Trainer {
            epochs: 2,
            batch_size: 4,
            ..Trainer::default()
        };
        let adam = Adam::new(1e-6);
        let mut engine = CpuEngine::new(network.clone(), Loss::CrossEntropyMembrane, adam).unwrap();
        let history = trainer
            .fit(&mut engine, &data, None, |_, _| {
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
        assert!(trainer.inactive_layers(&network, &history, 2).is_empty());
        trainer.inactive_layers(&network, &history, 1)
    };
    // No current reaches a threshold of 1000, and what is above gets nothing but its bias.
    let silent = watch(network(1000.0, 0.0));
    assert_eq!((silent[0].layer, silent[0].activity), (1, Activity::Silent));
    assert_eq!(silent[0].firing_rate, 0.0);
    assert!(silent[0].to_string().starts_with("layer 1 was silent"));
    // A bias of 50 fires at each step but the first.
    let saturated = watch(network(1.0, 50.0));
    assert_eq!(
        (saturated[0].layer, saturated[0].activity),
        (1, Activity::Saturated)
    );
    assert_eq!(saturated[0].firing_rate, 0.96);
    // And in between there is nothing to say of the first layer.
    let healthy = watch(network(0.5, 0.2));
    assert!(healthy.iter().all(|layer| layer.layer != 1), "{healthy:?}");
    // A read-out that never spikes is as it should be.
    let read_out = Network::builder(4)
        .layer(3, Leaky::new(0.9).threshold(1000.0))
        .layer(2, LeakyIntegrator::new(0.9));
    let silent = watch(read_out.build().unwrap());
    assert_eq!(silent.len(), 1, "{silent:?}");
    assert_eq!((silent[0].layer, silent[0].activity), (1, Activity::Silent));
}

#[test]
fn a_validation_set_that_does_not_fit_is_refused_before_training() {
    let (train, trainer) = (
        data(4, 2),
        Trainer {
            batch_size: 4,
            ..Trainer::default()
        },
    );
    let mut engine = CpuEngine::new(
        network(1.0, 0.0),
        Loss::CrossEntropyMembrane,
        Adam::new(1e-3),
    )
    .unwrap();
    let mut events = 0;
    let bad = data(5, 2);
    let fitted = trainer.fit(&mut engine, &train, Some(&bad), |_, _| {
        events += 1;
        Ok(ControlFlow::Continue(()))
    });
    let error = fitted.unwrap_err().to_string();
    assert!(
        error.starts_with("validation images has shape [8, 5]; expected [N, 4]"),
        "{error}"
    );
    assert_eq!(events, 0);
}

/// A label that the network has no output for, in either set, whatever number of classes the sets say
/// they have: found before the first step, and named with its set and place.
#[test]
fn labels_beyond_the_outputs_are_refused_before_training() {
    let labelled = |label: u8, place: usize, classes: usize| {
        let images = Array2::from_shape_fn((8, 4), |(b, n)| (b * 31 + n * 7) as u8);
        let mut labels: Vec<u8> = (0..8).map(|b| b % 2).collect();
        labels[place] = label;
        Dataset::new(images, labels, classes).unwrap()
    };
    let trainer = Trainer {
        batch_size: 4,
        num_steps: 5,
        ..Trainer::default()
    };
    let fine = labelled(1, 3, 200);
    for (train, validation, expected) in [
        (labelled(2, 7, 200), None, ("training label 7", "2")),
        (labelled(2, 0, 200), Some(&fine), ("training label 0", "2")),
        (
            fine.clone(),
            Some(&labelled(199, 5, 200)),
            ("validation label 5", "199"),
        ),
        (
            labelled(3, 1, 4),
            Some(&labelled(2, 0, 4)),
            ("training label 1", "3"),
        ),
    ] {
        let (network, adam) = (network(1.0, 0.0), Adam::new(1e-3));
        let mut engine = CpuEngine::new(network.clone(), Loss::CrossEntropyMembrane, adam).unwrap();
        let mut events = 0;
        let validation = validation.map(|data| data as &dyn Data);
        let result = trainer.fit(&mut engine, &train, validation, |_, _| {
            events += 1;
            Ok(ControlFlow::Continue(()))
        });
        match result.unwrap_err() {
            Error::InvalidParameter {
                name,
                value,
                expected: range,
            } => {
                assert_eq!((&*name, &*value), expected);
                assert!(
                    range.contains("below 2") && range.contains("outputs"),
                    "{range}"
                );
            }
            error => panic!("{error}"),
        }
        assert_eq!((events, engine.to_network().unwrap()), (0, network));
    }
    // More classes than outputs that no label uses are no error.
    let (network, adam) = (network(1.0, 0.0), Adam::new(1e-3));
    let mut engine = CpuEngine::new(network, Loss::CrossEntropyMembrane, adam).unwrap();
    trainer
        .fit(&mut engine, &fine, Some(&fine), |_, _| {
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
}

/// An error ends a run, in a training step or in the validation: what was measured before it stays, it
/// stands where the engine stands, and the run can go on from there to the same bits.
#[test]
fn what_was_measured_outlives_an_error() {
    let images =
        |pixel: u8| Dataset::new(Array2::from_elem((12, 4), pixel), vec![0; 12], 2).unwrap();
    let (black, white, trainer) = (
        images(0),
        images(255),
        Trainer {
            epochs: 2,
            batch_size: 4,
            num_steps: 2,
            seed: 0,
            ..Trainer::default()
        },
    );
    let engine = |weight: f32| {
        let mut network: Network = Network::builder(4)
            .layer(2, Leaky::new(0.9))
            .build()
            .unwrap();
        network.parameters_mut()[0].1.fill(weight);
        CpuEngine::new(network, Loss::CrossEntropyMembrane, Adam::new(1e-3)).unwrap()
    };
    // In the validation: white images make weights of 3e38 overflow.
    let (mut failing, mut history) = (engine(3e38), History::default());
    let result = trainer.fit_into(&mut failing, &black, Some(&white), &mut history, |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    assert!(matches!(result, Err(Error::NonFinite { .. })), "{result:?}");
    assert_eq!((history.batches.len(), history.epochs.len()), (3, 0));
    assert_eq!(history.position(), Position { epoch: 0, batch: 3 });
    trainer
        .fit_into(&mut failing, &black, Some(&black), &mut history, |_, _| {
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!((history.batches.len(), history.epochs.len()), (6, 2));
    let mut whole = engine(3e38);
    trainer
        .fit(&mut whole, &black, Some(&black), |_, _| {
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(failing.to_network().unwrap(), whole.to_network().unwrap());

    // In a step: the fifth fails, once.
    struct Failing(CpuEngine, usize);
    impl Engine for Failing {
        fn describe(&self) -> String {
            self.0.describe()
        }
        fn forward(&mut self, input: Input<'_>, record: &Record) -> spikegrad::Result<Recording> {
            self.0.forward(input, record)
        }
        fn classify(
            &mut self,
            input: Input<'_>,
            read_out: ReadOut,
            classes: &mut [usize],
        ) -> spikegrad::Result<()> {
            self.0.classify(input, read_out, classes)
        }
        fn evaluate(&mut self, samples: Samples<'_>) -> spikegrad::Result<StepReport> {
            self.0.evaluate(samples)
        }
        fn gradients(&mut self, samples: Samples<'_>) -> spikegrad::Result<(f64, Gradients)> {
            self.0.gradients(samples)
        }
        fn train_step(&mut self, samples: Samples<'_>) -> spikegrad::Result<StepReport> {
            if self.1 == 0 {
                self.1 = usize::MAX;
                return Err(Error::Device {
                    device: "cuda:0".into(),
                    reason: "gone".into(),
                });
            }
            self.1 -= 1;
            self.0.train_step(samples)
        }
        fn forward_from(
            &mut self,
            state: &mut State,
            input: Input<'_>,
            record: &Record,
        ) -> spikegrad::Result<Recording> {
            self.0.forward_from(state, input, record)
        }
        fn train_step_from(
            &mut self,
            state: &mut State,
            samples: Samples<'_>,
        ) -> spikegrad::Result<StepReport> {
            self.0.train_step_from(state, samples)
        }
        fn accumulate_from(
            &mut self,
            state: &mut State,
            samples: Samples<'_>,
            weight: f64,
        ) -> spikegrad::Result<StepReport> {
            self.0.accumulate_from(state, samples, weight)
        }
        fn accumulate(
            &mut self,
            samples: Samples<'_>,
            weight: f64,
        ) -> spikegrad::Result<StepReport> {
            self.0.accumulate(samples, weight)
        }
        fn gradients_mut(
            &mut self,
            edit: &mut dyn FnMut(&mut Gradients) -> spikegrad::Result<()>,
        ) -> spikegrad::Result<()> {
            self.0.gradients_mut(edit)
        }
        fn update(&mut self) -> spikegrad::Result<()> {
            self.0.update()
        }
        fn clear_gradients(&mut self) {
            self.0.clear_gradients()
        }
        fn set_network(&mut self, network: Network) -> spikegrad::Result<()> {
            self.0.set_network(network)
        }
        fn set_optimizer(&mut self, optimizer: Optimizer) -> spikegrad::Result<()> {
            self.0.set_optimizer(optimizer)
        }
        fn learning_rate(&self) -> f64 {
            self.0.learning_rate()
        }
        fn set_learning_rate(&mut self, lr: f64) -> spikegrad::Result<()> {
            self.0.set_learning_rate(lr)
        }
        fn measure_gradients(&mut self, on: bool) {
            self.0.measure_gradients(on)
        }
        fn to_network(&mut self) -> spikegrad::Result<Network> {
            self.0.to_network()
        }
        fn objective(&self) -> &Objective {
            self.0.objective()
        }
        fn to_optimizer(&mut self) -> spikegrad::Result<Optimizer> {
            self.0.to_optimizer()
        }
    }
    let (mut failing, mut history) = (Failing(engine(0.3), 4), History::default());
    let result = trainer.fit_into(&mut failing, &white, None, &mut history, |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    assert!(matches!(result, Err(Error::Device { .. })), "{result:?}");
    assert_eq!(history.position(), Position { epoch: 1, batch: 1 });
    assert_eq!((history.batches.len(), history.epochs.len()), (4, 1));
    let history = trainer
        .resume(&mut failing, &white, None, history, |_, _| {
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!((history.batches.len(), history.epochs.len()), (6, 2));
    let mut whole = engine(0.3);
    trainer
        .fit(&mut whole, &white, None, |_, _| {
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert_eq!(failing.to_network().unwrap(), whole.to_network().unwrap());
}

/// Images of 0 and 1, of which a network sees hardly anything, are told by the set and by the trainer,
/// for either set.
#[test]
fn pixels_of_0_and_1_are_a_warning() {
    let data = |pixels: [u8; 2]| {
        let images = Array2::from_shape_fn((8, 4), |(b, n)| pixels[usize::from(b == 5 && n == 2)]);
        Dataset::new(images, (0..8).map(|b| b % 2).collect(), 2).unwrap()
    };
    let (dark, bright) = (data([0, 1]), data([0, 2]));
    for (set, range, warnings) in [
        (&dark, (0, 1), 1),
        (&bright, (0, 2), 0),
        (&data([0, 0]), (0, 0), 1),
        (&data([1, 1]), (1, 1), 1),
        (&data([255, 0]), (0, 255), 0),
        (&data([7, 200]), (7, 200), 0),
        (&data([200, 7]), (7, 200), 0),
    ] {
        assert_eq!((set.range(), set.warnings().len()), (range, warnings));
    }
    let trainer = Trainer {
        epochs: 1,
        batch_size: 8,
        num_steps: 5,
        seed: 0,
        ..Trainer::default()
    };
    let network = network(1.0, 0.0);
    for (train, validation, expected) in [
        (&dark, None, &["training set: the largest pixel is 1"][..]),
        (
            &bright,
            Some(&dark),
            &["validation set: the largest pixel is 1"],
        ),
        (&bright, Some(&bright), &[]),
        (
            &dark,
            Some(&dark),
            &["training set: the", "validation set: the"],
        ),
    ] {
        let validation = validation.map(|data| data as &dyn Data);
        let warnings = trainer.warnings(&network, train, validation);
        assert_eq!(warnings.len(), expected.len(), "{warnings:?}");
        for (warning, start) in warnings.iter().zip(expected) {
            assert!(warning.starts_with(start), "{warning}");
            assert!(!warning.contains('\n'), "{warning}");
        }
        let mut engine =
            CpuEngine::new(network.clone(), Loss::CrossEntropyMembrane, Adam::new(1e-3)).unwrap();
        let history = trainer.fit(&mut engine, train, validation, |_, event| {
            assert_eq!(event.history().warnings, warnings);
            Ok(ControlFlow::Continue(()))
        });
        assert_eq!(history.unwrap().warnings, warnings);
    }
}

/// The fewest steps by which the input can reach the outputs, for every order of events: with them spikes,
/// and membranes one step earlier where the output fires late, depend on the input, and with one less they
/// do not. The network and the trainer tell.
#[test]
fn too_few_steps_for_the_input_to_reach_the_outputs_are_a_warning() {
    use Dynamics::{FireThenIntegrate as Late, IntegrateFireReset, IntegrateThenFire as Prompt};
    for (orders, spikes, membranes) in [
        (&[Late][..], 2, 1),
        (&[Prompt], 1, 1),
        (&[Late, Late], 3, 2),
        (&[Late, Prompt], 2, 2),
        (&[Prompt, Late], 2, 1),
        (&[IntegrateFireReset, IntegrateFireReset], 1, 1),
        (&[Late, Prompt, Late, Late], 4, 3),
    ] {
        let mut builder = Network::builder(4);
        for &order in orders {
            let neuron = Leaky::new(0.9).dynamics(order).reset(Reset::None);
            builder = builder.layer(2, neuron);
        }
        let mut network: Network = builder.build().unwrap();
        for (name, mut tensor) in network.parameters_mut() {
            tensor.fill(if name.ends_with("weight") { 2.0 } else { 0.0 });
        }
        assert_eq!(network.min_steps(), spikes, "{orders:?}");
        let (dark, lit) = (Array2::zeros((1, 4)), Array2::ones((1, 4)));
        for steps in 1..6 {
            let run = |x: &Array2<f32>| {
                let input = Input::constant(x.view(), steps);
                forward(&network, input).unwrap().output().clone()
            };
            let (dark, lit) = (run(&dark), run(&lit));
            assert_eq!(dark.spk != lit.spk, steps >= spikes, "{orders:?}, {steps}");
            assert_eq!(
                dark.mem != lit.mem,
                steps >= membranes,
                "{orders:?}, {steps}"
            );

            let trainer = Trainer {
                num_steps: steps,
                batch_size: 4,
                ..Trainer::default()
            };
            let warnings = trainer.warnings(&network, &data(4, 2), None);
            assert_eq!(warnings, network.warnings(steps), "{orders:?}, {steps}");
            assert_eq!(
                warnings.len(),
                usize::from(steps < spikes),
                "{orders:?}, {steps}"
            );
            if let [warning] = &*warnings {
                let expected = format!("num_steps is {steps}; expected at least {spikes}");
                assert!(warning.starts_with(&expected), "{warning}");
                let both = warning.contains("output spikes and membranes");
                assert_eq!(both, steps < membranes, "{warning}");
            }
        }
    }
}

/// A single step in the default order: the run is done, its history says that no neuron fires, and
/// nobody is told to lower a threshold.
#[test]
fn a_single_step_in_the_default_order_is_told() {
    let trainer = Trainer {
        epochs: 1,
        batch_size: 4,
        num_steps: 1,
        seed: 0,
        ..Trainer::default()
    };
    let network = network(1e-6, 50.0);
    let mut engine =
        CpuEngine::new(network.clone(), Loss::CrossEntropyMembrane, Adam::new(1e-3)).unwrap();
    let history = trainer
        .fit(&mut engine, &data(4, 2), None, |_, _| {
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    assert!(
        history.warnings[0].contains("FireThenIntegrate"),
        "{:?}",
        history.warnings
    );
    let silent = trainer.inactive_layers(&network, &history, 0);
    assert_eq!(silent.len(), 2);
    for layer in silent {
        let text = layer.to_string();
        assert!(text.contains("never fires; use more steps"), "{text}");
        assert!(!text.contains("threshold"), "{text}");
    }
}

/// Settings of losses and of the price on spikes: refused by name, by themselves and by an engine, and
/// the ends of a range are in it.
#[test]
fn objectives_out_of_range() {
    let count = |correct_rate, incorrect_rate| Loss::MseCount {
        correct_rate,
        incorrect_rate,
    };
    let membrane = |on_target, off_target| Loss::MseMembrane {
        on_target,
        off_target,
    };
    for good in [count(1.0, 0.0), count(0.0, 1.0), membrane(-3.0, 1e30)] {
        good.check().unwrap();
        CpuEngine::new(network(1.0, 0.0), good, Adam::new(1e-3)).unwrap();
    }
    let mut bad: Vec<(Objective, &str)> = Vec::new();
    for rate in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        bad.push((count(rate, 0.0).into(), "correct_rate"));
        bad.push((count(1.0, rate).into(), "incorrect_rate"));
    }
    for potential in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        bad.push((membrane(potential, 0.0).into(), "on_target"));
        bad.push((membrane(1.0, potential).into(), "off_target"));
    }
    for rate_l1 in [-1e-9, f64::NAN, f64::INFINITY] {
        let loss = Loss::CrossEntropyMembrane;
        bad.push((
            Objective {
                rate_l1,
                ..loss.into()
            },
            "rate_l1",
        ));
    }
    for (objective, setting) in bad {
        let refused = [
            objective.check(),
            CpuEngine::new(network(1.0, 0.0), objective.clone(), Adam::new(1e-3)).map(drop),
            ReferenceEngine::new(network(1.0, 0.0), objective, Adam::new(1e-3)).map(drop),
        ];
        for result in refused {
            assert!(
                matches!(&result, Err(Error::InvalidParameter { name, .. }) if name == setting),
                "{setting}: {result:?}"
            );
        }
    }
}

/// Where a number is that is none: in a sequence its step, in the validation its epoch.
#[test]
fn what_is_not_finite_is_named_with_its_place() {
    let network = || -> Network {
        let builder = Network::builder(4).layer(2, Leaky::new(0.9));
        builder.build().unwrap()
    };
    let engine = |network| {
        let adam = Adam::new(1e-2);
        Device::Cpu
            .engine(network, Loss::CrossEntropyMembrane, adam)
            .unwrap()
    };
    let place = |error: Error| match error {
        Error::NonFinite { position, .. } => position,
        error => panic!("{error}"),
    };
    let mut x = Array3::from_elem((5, 3, 4), 0.5_f32);
    x[[3, 1, 2]] = f32::NAN;
    x[[4, 0, 0]] = f32::NAN;
    let input = Input::sequence(x.view());
    let error = engine(network())
        .train_step(input.classes(&[0; 3]))
        .unwrap_err();
    assert_eq!(place(error), "step 3, sample 1, input 2");

    // White images alone make a weight of 3e38 overflow: there are none to train on.
    let images = |pixel: u8| Dataset::new(Array2::from_elem((4, 4), pixel), vec![0; 4], 2).unwrap();
    let mut large = network();
    large.parameters_mut()[0].1.fill(3e38);
    let trainer = Trainer {
        epochs: 1,
        batch_size: 4,
        num_steps: 2,
        seed: 0,
        ..Trainer::default()
    };
    let (black, white) = (images(0), images(255));
    let error = trainer.fit(&mut *engine(large), &black, Some(&white), |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    let place = place(error.unwrap_err());
    assert!(place.ends_with(", in the validation of epoch 1"), "{place}");
}

/// A callback's own error ends the run and comes out of it as it went in; `Break` ends it in good order.
/// A box of an engine is an engine, and so is a mutable reference to one.
#[test]
fn callbacks_can_fail_and_a_box_is_an_engine() {
    let (data, loss) = (data(4, 2), Loss::CrossEntropyMembrane);
    let trainer = Trainer {
        epochs: 2,
        batch_size: 4,
        num_steps: 5,
        ..Trainer::default()
    };
    let adam = Adam::new(1e-2);
    let mut engine = (Device::Cpu.engine(network(0.5, 0.2), loss.clone(), adam)).unwrap();
    let mut events = 0;
    let error = trainer.fit(&mut engine, &data, None, |_, _| {
        events += 1;
        match events {
            1 => Ok(ControlFlow::Continue(())),
            _ => Err(Error::callback(std::io::Error::other("the disk is full"))),
        }
    });
    let error = error.unwrap_err();
    assert_eq!(
        (events, error.to_string()),
        (2, "callback: the disk is full".into())
    );
    let Error::Callback(source) = error else {
        panic!("{error}");
    };
    assert!(source.downcast_ref::<std::io::Error>().is_some());
    // The library's errors go through `?` as they are.
    let missing = trainer.fit(&mut engine, &data, None, |engine, _| {
        engine
            .to_network()?
            .set_parameter("fc9.bias", ndarray::arr1(&[0.0]).into_dyn().view())?;
        Ok(ControlFlow::Continue(()))
    });
    assert!(matches!(missing, Err(Error::InvalidParameter { value, .. }) if value == "fc9.bias"));

    // Through a box, a reference to it, and bare: the same run.
    fn run(trainer: &Trainer, mut engine: impl Engine, data: &Dataset) -> Network {
        let history = trainer.fit(&mut engine, data, None, |_, event| {
            Ok(match event.history().batches.len() {
                3 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
        });
        assert_eq!(history.unwrap().batches.len(), 3);
        engine.to_network().unwrap()
    }
    let make = || CpuEngine::new(network(0.5, 0.2), loss.clone(), adam).unwrap();
    let expected = run(&trainer, make(), &data);
    assert_ne!(expected, network(0.5, 0.2));
    let boxed: Box<dyn Engine> = Box::new(make());
    assert_eq!(run(&trainer, boxed, &data), expected);
    assert_eq!(run(&trainer, &mut make(), &data), expected);
    let mut boxed: Box<dyn Engine> = Box::new(make());
    assert_eq!(run(&trainer, &mut *boxed, &data), expected);
    assert_eq!(
        run(&trainer, Box::new(&mut boxed), &data).sizes(),
        expected.sizes()
    );
}

/// `fn main() -> spikegrad::Result<()>` and `unwrap` print the message, not the fields.
#[test]
fn debug_of_an_error_is_its_message() {
    let error = Network::builder(4).layer(2, Leaky::new(1.5)).build::<f32>();
    let error = error.unwrap_err();
    assert_eq!(
        format!("{error:?}"),
        "layer 1: beta is 1.5; expected a decay from 0 to 1"
    );
    assert_eq!(format!("{error:?}"), error.to_string());
}

/// Layers count from 1, as their tensors do.
#[test]
fn layers_count_from_one() {
    let x = Array2::from_elem((1, 4), 0.9);
    let input = Input::constant(x.view(), 3);
    let (loss, adam) = (Loss::CrossEntropyMembrane, Adam::new(1e-3));
    let mut cpu = CpuEngine::new(network(0.5, 0.2), loss.clone(), adam).unwrap();
    let mut reference = ReferenceEngine::new(network(0.5, 0.2), loss, adam).unwrap();
    for engine in [&mut cpu as &mut dyn Engine, &mut reference] {
        let first = engine.forward(input, &Record::Layers(vec![1])).unwrap();
        assert_eq!(first.trace(1).unwrap().spk.dim(), (3, 1, 6));
        assert_eq!(first.trace(2), Some(first.output()));
        assert!(first.trace(0).is_none() && first.trace(3).is_none());
        let output = engine.forward(input, &Record::Layers(vec![2])).unwrap();
        assert!(output.trace(1).is_none());
        for bad in [0, 3] {
            let error = engine
                .forward(input, &Record::Layers(vec![bad]))
                .unwrap_err();
            let says = format!("record: layer is {bad}; expected a layer from 1 to 2");
            assert_eq!(error.to_string(), says);
        }
    }
}

/// Batches in parts: as many parts as samples at most, and no penalty that is a sum over the batch.
#[test]
fn batches_in_parts_are_checked() {
    let images = Array2::from_elem((8, 2), 255);
    let data = spikegrad::data::Dataset::new(images, vec![0; 8], 1).unwrap();
    let fit = |accumulate: usize, rate_l1: f64| {
        let network: Network = Network::builder(2)
            .layer(1, Leaky::new(0.9))
            .build()
            .unwrap();
        let objective = Objective {
            loss: Loss::CrossEntropyMembrane,
            rate_l1,
            penalties: Vec::new(),
        };
        let mut engine = CpuEngine::new(network, objective, Adam::new(1e-3)).unwrap();
        let trainer = Trainer {
            epochs: 1,
            batch_size: 4,
            num_steps: 3,
            accumulate,
            ..Trainer::default()
        };
        let history = trainer.fit(&mut engine, &data, None, |_, _| {
            Ok(ControlFlow::Continue(()))
        });
        history.map_err(|error| error.to_string())
    };
    assert!(fit(4, 0.0).is_ok() && fit(3, 0.0).is_ok() && fit(1, 0.1).is_ok());
    for (parts, penalty, says) in [
        (0, 0.0, "accumulate is 0; expected at least 1"),
        (5, 0.0, "accumulate is 5; expected at most 4"),
        (
            2,
            0.1,
            "accumulate is 2; expected 1 with an activity penalty",
        ),
    ] {
        let error = fit(parts, penalty).unwrap_err();
        assert!(error.starts_with(says), "{error}");
    }
}
