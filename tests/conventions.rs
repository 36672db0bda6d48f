//! Conventions on which numbers depend, each pinned by a case that comes out otherwise under the
//! other choice.

use std::f64::consts::PI;

use ndarray::{Array2, Array3, array};
use spikegrad::{
    Adam, Dynamics, Engine, Error, Gradients, Input, Leaky, Loss, Network, Optimizer, PerNeuron,
    Record, Recording, ReferenceEngine, Trace,
};

#[macro_use]
mod engines;
mod skip;

use engines::Make;

/// One neuron that integrates its input: weight 1, bias 0, no decay, threshold 1.
fn integrator(dynamics: Dynamics) -> Network {
    let neuron = Leaky::new(1.0).dynamics(dynamics);
    let mut network: Network = Network::builder(1).layer(1, neuron).build().unwrap();
    network
        .set_parameter("fc1.weight", array![[1.0_f32]].into_dyn().view())
        .unwrap();
    network
        .set_parameter("fc1.bias", array![0.0_f32].into_dyn().view())
        .unwrap();
    network
}

/// An engine of the usual loss.
fn engine(network: &Network, make: &Make) -> Box<dyn Engine> {
    let loss = Loss::CrossEntropyMembrane;
    make(network.clone(), loss.into(), Adam::new(1e-3).into())
}

/// A membrane exactly at the threshold does not fire; a step above it does.
fn at_the_threshold_nothing_fires(name: &str, make: &Make) {
    let x: Array2<f32> = array![[0.25]];
    let input = Input::constant(x.view(), 6);
    for (dynamics, spikes) in [
        // membranes 0.25, 0.5, 0.75, 1, 1.25 …: the fourth is the threshold itself
        (Dynamics::FireThenIntegrate, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]),
        (Dynamics::IntegrateThenFire, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
        (Dynamics::IntegrateFireReset, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
    ] {
        let mut engine = engine(&integrator(dynamics), make);
        let recording = engine.forward(input, &Record::All).unwrap();
        let found: Vec<f32> = recording.output().spk.iter().copied().collect();
        assert_eq!(found, spikes, "{dynamics:?}, {name}");
    }
}
on_every_engine!(at_the_threshold_nothing_fires);

/// The largest membrane over time, where it is reached twice, takes its gradient at the first.
#[test]
fn the_first_of_equal_maxima_counts() {
    let mem = Array3::from_shape_vec((3, 1, 2), vec![0.0, 0.5, 2.0, 0.25, 2.0, 0.5]).unwrap();
    let recording = Recording::new(Vec::new(), Trace::new(Array3::zeros((3, 1, 2)), mem));
    let (_, adjoints) = Loss::<f64>::CrossEntropyMaxMembrane
        .evaluate(&recording, &[0])
        .unwrap();
    let g = adjoints.layers[0].mem.as_ref().unwrap();
    let where_not_zero: Vec<_> = g
        .indexed_iter()
        .filter(|(_, g)| **g != 0.0)
        .map(|(i, _)| i)
        .collect();
    assert_eq!(where_not_zero, [(0, 0, 1), (1, 0, 0)]);
}

/// Every engine takes the first, too: a silent network's membranes stay at their bias.
fn engines_take_the_first_of_equal_maxima(name: &str, make: &Make) {
    let neuron = || Leaky::new(0.0).threshold(100.0);
    let mut network: Network = Network::builder(1)
        .layer(1, neuron())
        .layer(2, neuron())
        .build()
        .unwrap();
    network
        .set_parameter("fc2.bias", array![0.5_f32, -0.5].into_dyn().view())
        .unwrap();
    let x: Array2<f32> = array![[1.0]];
    let input = Input::constant(x.view(), 4);
    let loss = || Loss::CrossEntropyMaxMembrane;
    let mut reference = ReferenceEngine::new(network.clone(), loss(), Adam::new(1e-3)).unwrap();
    let (_, expected) = reference.gradients(input.classes(&[1])).unwrap();
    let biases = &expected.tensors()[3];
    assert!(
        biases.0 == "fc2.bias" && biases.1.iter().all(|g| g.abs() > 0.1),
        "{biases:?}"
    );
    let mut engine = make(network, loss().into(), Adam::new(1e-3).into());
    let (_, found) = engine.gradients(input.classes(&[1])).unwrap();
    for ((tensor, a), (_, b)) in expected.tensors().iter().zip(found.tensors()) {
        for (a, b) in a.iter().zip(b) {
            assert!(
                (a - b).abs() <= 1e-6,
                "{name}: {tensor}: {a} expected, {b} found"
            );
        }
    }
}
on_every_engine!(engines_take_the_first_of_equal_maxima);

/// snnTorch's triangular surrogate is −1 at the threshold itself.
#[test]
fn the_triangle_falls_from_its_tip_on() {
    let slope = |x: f32| spikegrad::Surrogate::Triangular.derivative(x);
    assert_eq!([slope(-1e-30), slope(0.0), slope(1e-30)], [1.0, -1.0, -1.0]);
}

/// What no engine could use is refused at the door, with its name.
#[test]
fn settings_out_of_range_are_refused() {
    use spikegrad::Error;
    let mut network: Network = Network::builder(1)
        .layer(1, Leaky::new(0.5).learn_beta(true).learn_threshold(true))
        .build()
        .unwrap();
    for (name, value) in [
        ("lif1.beta", 5.0_f32),
        ("lif1.beta", -0.1),
        ("lif1.threshold", 0.0),
    ] {
        let error = network
            .set_parameter(name, array![value].into_dyn().view())
            .unwrap_err();
        assert!(
            matches!(&error, Error::InvalidParameter { name: n, .. } if n == name),
            "{error}"
        );
    }
    assert!(
        Optimizer::<f32>::from(Adam::new(1e-3).eps(0.0))
            .check()
            .is_err()
    );
    let uneven = Recording::new(
        Vec::new(),
        Trace::new(Array3::<f32>::zeros((4, 2, 3)), Array3::zeros((4, 2, 5))),
    );
    assert!(Loss::CrossEntropyCount.evaluate(&uneven, &[1, 1]).is_err());
    let empty = Recording::new(
        Vec::new(),
        Trace::new(Array3::<f32>::zeros((0, 2, 3)), Array3::zeros((0, 2, 3))),
    );
    assert!(
        Loss::CrossEntropyMaxMembrane
            .evaluate(&empty, &[1, 1])
            .is_err()
    );
}

/// SpikingJelly's time constant as a decay, where no other arithmetic gives the same.
#[test]
fn a_time_constant_becomes_a_decay() {
    for (tau, beta) in [(1.0, 0.0), (2.0, 0.5), (4.0, 0.75), (8.0, 0.875)] {
        assert_eq!(Leaky::spikingjelly(tau).beta, PerNeuron::Shared(beta));
    }
}

/// There is no ninth layer.
fn a_layer_that_is_not_there_is_refused(name: &str, make: &Make) {
    let x: Array2<f32> = array![[0.25]];
    let input = Input::constant(x.view(), 2);
    let mut engine = engine(&integrator(Dynamics::FireThenIntegrate), make);
    let error = engine
        .forward(input, &Record::Layers(vec![9]))
        .unwrap_err()
        .to_string();
    assert!(error.contains('9'), "{name}: {error}");
}
on_every_engine!(a_layer_that_is_not_there_is_refused);

/// Adam counts its updates from 1, and the count is what a resumed run starts from.
#[test]
fn adam_counts() {
    let mut network = integrator(Dynamics::FireThenIntegrate);
    let gradients = Gradients::zeros(&network);
    let mut adam = Optimizer::from(Adam::new(1e-3));
    assert_eq!(adam.steps(), 0);
    for n in 1..4 {
        adam.step(&mut network, &gradients).unwrap();
        assert_eq!(adam.steps(), n);
    }
}

/// A soft spike is half a spike at the threshold (the triangle a whole one) and goes from 0 to 1.
#[test]
fn soft_spikes_go_from_0_to_1() {
    use spikegrad::Surrogate::*;
    for (surrogate, at) in [
        (Arctan { alpha: 2.0 }, [0.25, 0.5, 0.75]), // atan(π x)/π + 1/2 at x = ±1/π
        (
            FastSigmoid { slope: PI },
            [0.5 - 0.5 / PI, 0.5, 0.5 + 0.5 / PI],
        ),
        (Triangular, [1.0 - 1.0 / PI, 1.0, 1.0 - 1.0 / PI]),
        (StraightThrough, [0.5 - 1.0 / PI, 0.5, 0.5 + 1.0 / PI]),
        (
            Sigmoid { slope: PI },
            [1.0 / (1.0 + 1_f64.exp()), 0.5, 1.0 / (1.0 + (-1_f64).exp())],
        ),
    ] {
        for (x, expected) in [-1.0 / PI, 0.0, 1.0 / PI].into_iter().zip(at) {
            let found: f64 = surrogate.soft_spike(x);
            assert!(
                (found - expected).abs() < 1e-12,
                "{surrogate:?} at {x}: {found}"
            );
        }
    }
    for surrogate in [Arctan { alpha: 2.0 }, Sigmoid { slope: 25.0 }] {
        let [low, high]: [f64; 2] = [-1e9, 1e9].map(|x| surrogate.soft_spike(x));
        assert!(
            low.abs() < 1e-9 && (high - 1.0).abs() < 1e-9,
            "{surrogate:?}: {low}, {high}"
        );
    }
}

/// A sharpness that is no positive number, or none that float32 has, is refused; every slope is finite.
#[test]
fn the_sharpness_is_a_positive_number() {
    use spikegrad::Surrogate::*;
    let build = |surrogate| {
        let neuron = Leaky::new(0.5).surrogate(surrogate);
        Network::<f32>::builder(1).layer(1, neuron).build::<f32>()
    };
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e30] {
        for surrogate in [
            Arctan { alpha: bad },
            FastSigmoid { slope: bad },
            Sigmoid { slope: bad },
        ] {
            let error = build(surrogate).unwrap_err();
            let shown = format!("{bad:?}");
            assert!(
                error.to_string().contains(shown.trim_end_matches(".0")),
                "{error}"
            );
        }
    }
    for sharp in [1e-3, 25.0, 1e6] {
        for surrogate in [
            Arctan { alpha: sharp },
            FastSigmoid { slope: sharp },
            Sigmoid { slope: sharp },
            Triangular,
            StraightThrough,
        ] {
            assert!(build(surrogate).is_ok());
            for x in [-f32::MAX, -3.5, -0.0, 0.0, 1e-30, 3.5, f32::MAX] {
                assert!(surrogate.derivative(x).is_finite(), "{surrogate:?} at {x}");
            }
        }
    }
}

/// A gradient whose square float32 cannot hold would freeze its weight for good, as it does in PyTorch.
/// Every engine reports it; a GPU after the update, the others change nothing.
fn a_square_beyond_float32_is_an_error(name: &str, make: &Make) {
    let neuron = Leaky::new(0.5).threshold(1e30);
    let mut network: Network = Network::builder(2).layer(2, neuron).build().unwrap();
    for (name, zero) in [("fc1.weight", vec![2, 2]), ("fc1.bias", vec![2])] {
        let zero = ndarray::ArrayD::<f32>::zeros(zero);
        network.set_parameter(name, zero.view()).unwrap();
    }
    let step = |engine: &mut dyn Engine, x: Array2<f32>| {
        engine.train_step(Input::constant(x.view(), 3).classes(&[0]))
    };
    let mut engine = engine(&network, make);
    let error = step(&mut *engine, array![[1e22, 1.0]]).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{name}: {error}");
    let when = if name == "cuda" { "after" } else { "in" };
    let expected = format!("second moment of fc1.weight {when} update 1 is inf");
    assert!(error.to_string().contains(&expected), "{name}: {error}");
    if name == "cuda" {
        // Found in what came of the update: there is no next step.
        let again = step(&mut *engine, array![[1.0, 1.0]]).unwrap_err();
        let expected = "second moment of fc1.weight before update 2 is inf";
        assert!(again.to_string().contains(expected), "{again}");
        return;
    }
    assert_eq!(engine.to_network().unwrap(), network, "{name}");
    // The next step is as if there had been none before it.
    step(&mut *engine, array![[1.0, 1.0]]).unwrap();
    let found = engine.to_network().unwrap();
    let weight = found.layers()[0].weight();
    assert!((weight[[0, 0]] - 1e-3).abs() < 1e-8, "{name}: {weight}");
    assert!((weight[[1, 1]] + 1e-3).abs() < 1e-8, "{name}: {weight}");
}
on_every_engine!(a_square_beyond_float32_is_an_error);
