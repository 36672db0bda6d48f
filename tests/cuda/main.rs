//! The CUDA engine on a GPU, or under the software driver of `tests/softcuda`:
//!
//! ```text
//! cargo build --release -p spikegrad-softcuda
//! SPIKEGRAD_CUDA_DRIVER=target/release/libsoftcuda.so cargo test --release --features cuda
//! ```
//!
//! Without either, everything here is skipped, aloud; where `SPIKEGRAD_CUDA_DRIVER` is set, nothing is:
//! a driver that does not load is a failure. That the engine computes what the
//! others do is tested in `engines_agree` and `pytorch_parity`, where it joins in; this file has what
//! is its own: repeatability, state brought in and out, and every way in which a device can fail.
//! Faults are injected into child processes by the software driver, so those tests need it.

#![cfg(feature = "cuda")]

mod agree;
mod answers;
mod connected;
mod contexts;
mod faults;
#[path = "../skip/mod.rs"]
mod skip;

use std::process::Command;

use ndarray::{Array2, Array3};
use spikegrad::{
    AdLif, Adam, Adaptive, Alpha, CudaEngine, Device, Dynamics, Encoder, Engine, Error, Gradients,
    Init, Input, Lapicque, Leaky, Loss, Lsnn, Network, Objective, Optimizer, ReadOut, Record,
    Recording, Recurrence, ReferenceEngine, Reset, Surrogate, Synaptic, Targets, Trainer,
    data::Dataset,
    neuron::{Adjoint, Arithmetic, Constant, Neuron, Neurons, Num, Spike},
};

use skip::{cuda as device, skipped};

/// Whether the device is the software driver's, which injects faults; says so if not.
fn software_driver() -> bool {
    let named = std::env::var("SPIKEGRAD_CUDA_DRIVER").unwrap_or_default();
    let there = device();
    let software = named.contains("softcuda");
    if there && !software {
        skipped("faults are injected by the software driver alone");
    }
    there && software
}

fn noise(i: usize) -> f32 {
    (i as f64 * 0.754_877_666).fract() as f32
}

fn images(batch: usize, inputs: usize) -> Array2<f32> {
    Array2::from_shape_fn((batch, inputs), |(b, n)| noise(b * inputs + n))
}

fn targets(batch: usize, classes: usize) -> Vec<usize> {
    (0..batch).map(|b| (5 * b + 2) % classes).collect()
}

/// Three layers, with everything learnt.
fn network() -> Network {
    let leaky = Leaky::new(0.9)
        .dynamics(Dynamics::IntegrateFireReset)
        .reset(Reset::Subtract)
        .detach_reset(false)
        .learn_beta(true)
        .learn_threshold(true);
    let mut network: Network = Network::builder(21)
        .layer(37, leaky.clone())
        .layer(18, leaky.threshold(vec![0.8; 18]))
        .layer(5, Leaky::new(0.95))
        .seed(4)
        .build()
        .unwrap();
    for (name, mut values) in network.parameters_mut() {
        if name.ends_with("weight") {
            values.mapv_inplace(|w| 2.5 * w + 0.03);
        }
    }
    network
}

fn objective() -> Objective {
    Objective {
        loss: Loss::CrossEntropyMembrane,
        rate_l1: 1e-3,
        penalties: Vec::new(),
    }
}

fn engine(
    network: Network,
    objective: impl Into<Objective>,
    adam: impl Into<Optimizer>,
) -> CudaEngine {
    CudaEngine::new(0, network, objective, adam).unwrap()
}

/// All parameters' bits.
fn bits(network: &Network) -> Vec<u32> {
    let tensors = network.parameters().into_iter();
    tensors
        .flat_map(|(_, values)| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
        .collect()
}

fn moment_bits((m, v): (&Gradients, &Gradients)) -> Vec<u32> {
    let tensors = m.tensors().into_iter().chain(v.tensors());
    tensors
        .flat_map(|(_, values)| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>())
        .collect()
}

#[test]
fn two_runs_give_the_same_bits() {
    if !device() {
        return;
    }
    let run = || {
        let mut engine = engine(network(), objective(), Adam::new(1e-3));
        let mut losses = Vec::new();
        for n in 0..4 {
            // Batches of different sizes, so that buffers are used again.
            let x = images(9 - 2 * n, 21);
            let report = engine
                .train_step(Input::constant(x.view(), 12).classes(&targets(9 - 2 * n, 5)))
                .unwrap();
            assert!(
                report.firing_rate.iter().all(|&rate| rate > 0.01),
                "{report:?}"
            );
            losses.push(report.loss.to_bits());
        }
        let adam = engine.to_optimizer().unwrap();
        let moments = moment_bits(adam.moments().unwrap());
        (losses, bits(&engine.to_network().unwrap()), moments)
    };
    assert_eq!(run(), run());
}

/// Parameters, moments and the count of updates leave the device and come back: training goes on as
/// if nothing had happened, also in another thread.
#[test]
fn state_comes_out_and_goes_in() {
    if !device() {
        return;
    }
    let x = images(6, 21);
    let (input, targets) = (Input::constant(x.view(), 10), targets(6, 5));
    let mut straight = engine(network(), objective(), Adam::new(1e-2));
    for _ in 0..5 {
        straight.train_step(input.classes(&targets)).unwrap();
    }
    let mut first = engine(network(), objective(), Adam::new(1e-2));
    for _ in 0..2 {
        first.train_step(input.classes(&targets)).unwrap();
    }
    let (network, adam) = (first.to_network().unwrap(), first.to_optimizer().unwrap());
    assert_eq!(adam.steps(), 2);
    let mut second = engine(network, objective(), adam);
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            for _ in 0..3 {
                second.train_step(input.classes(&targets)).unwrap();
            }
        });
        thread.join().unwrap();
    });
    assert_eq!(
        bits(&straight.to_network().unwrap()),
        bits(&second.to_network().unwrap())
    );
}

/// An update that makes a parameter infinite says so, as on the CPU.
#[test]
fn infinite_parameters_are_reported() {
    if !device() {
        return;
    }
    let x = images(3, 21);
    let mut engine = engine(network(), Loss::CrossEntropyMembrane, Adam::new(3.3e38));
    let mut step = || engine.train_step(Input::constant(x.view(), 6).classes(&targets(3, 5)));
    let error = (0..3)
        .find_map(|_| step().err())
        .expect("such steps leave every range");
    let words = " after update ";
    assert!(
        matches!(&error, Error::NonFinite { what, .. } if what.contains(words)),
        "{error}"
    );
}

#[test]
fn a_step_that_is_not_finite_changes_nothing() {
    if !device() {
        return;
    }
    let x = images(3, 21);
    let input = Input::constant(x.view(), 6);
    let last = format!("fc{}.weight", network().layers().len());
    // The membranes of the first layer are heard through spikes alone, the last one's are the loss.
    for (tensor, what, place) in [
        ("fc1.weight", "gradient of ", "element "),
        (&*last, "loss", "layer "),
    ] {
        let mut network = network();
        for (name, mut values) in network.parameters_mut() {
            if name == tensor {
                values.fill(3e38);
            }
        }
        let mut engine = engine(network.clone(), Loss::CrossEntropyMembrane, Adam::new(1e-3));
        let error = engine
            .train_step(input.classes(&targets(3, 5)))
            .unwrap_err();
        assert!(
            matches!(&error, Error::NonFinite { what: found, position, .. }
                if found.starts_with(what) && position.starts_with(place)),
            "{error}"
        );
        assert_eq!(bits(&engine.to_network().unwrap()), bits(&network));
        assert_eq!(engine.to_optimizer().unwrap().steps(), 0);
    }
}

/// A finite loss with a gradient that overflows: the device finds out before it changes anything.
#[test]
fn gradients_that_overflow_change_nothing() {
    if !device() {
        return;
    }
    let leaky = || {
        Leaky::new(0.9)
            .threshold(1e-3)
            .surrogate(Surrogate::StraightThrough)
    };
    let mut network: Network = Network::builder(2)
        .layer(4, leaky())
        .layer(3, leaky())
        .layer(2, Leaky::new(0.9))
        .build()
        .unwrap();
    // Inputs of 1e-30 hardly fire, weights of 1e30 send back what no single can hold.
    for (name, mut values) in network.parameters_mut() {
        match name.as_str() {
            "fc2.weight" | "fc3.weight" => values.fill(-1e30),
            _ => values.fill(-1e-30),
        }
    }
    let x = Array2::from_elem((3, 2), 1e-30);
    let input = Input::constant(x.view(), 4);
    for adam in [
        Optimizer::from(Adam::new(1e-3)),
        Adam::new(1e-3).clip_norm(1.0),
    ] {
        let mut engine = engine(network.clone(), Loss::CrossEntropyMembrane, adam);
        assert!(
            engine
                .evaluate(input.classes(&[0, 1, 0]))
                .unwrap()
                .loss
                .is_finite()
        );
        let error = engine.train_step(input.classes(&[0, 1, 0])).unwrap_err();
        assert!(
            matches!(&error, Error::NonFinite { what, .. } if what.contains("gradient of")),
            "{error}"
        );
        assert_eq!(bits(&engine.to_network().unwrap()), bits(&network));
        assert_eq!(engine.to_optimizer().unwrap().steps(), 0);
    }
}

/// A neuron of this program's own: it adds up its current, and never resets.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sum;

impl Neuron for Sum {
    const NAME: &'static str = "sum";
    const CONSTANTS: &'static [Constant] = &[Constant::THRESHOLD];
    type Constants<V: Copy> = [V; 1];
    type State<V: Copy> = [V; 1];
    type Kept<V: Copy> = [V; 1];

    fn step<A: Arithmetic>(
        self,
        [threshold]: [Num<A>; 1],
        [before]: [Num<A>; 1],
        current: Num<A>,
    ) -> (Spike<A>, [Num<A>; 1]) {
        let u = before + current;
        (Surrogate::StraightThrough.spike(u, threshold), [u])
    }

    fn state<A: Arithmetic>(self, _: [Num<A>; 1], kept: [Num<A>; 1]) -> [Num<A>; 1] {
        kept
    }

    fn adjoint<A: Arithmetic>(
        self,
        _: [Num<A>; 1],
        _: [Num<A>; 1],
        _: [Num<A>; 1],
        [after]: [Num<A>; 1],
        spike: Num<A>,
    ) -> Adjoint<Self, A> {
        let a = after + spike;
        Adjoint {
            current: a,
            before: [a],
            constants: [-spike],
        }
    }
}

/// Neurons of a program's own are refused by layer and name; `auto` takes the CPU for them, and says why.
#[test]
fn neurons_of_ones_own_are_the_cpus() {
    if !device() {
        return;
    }
    let network: Network = Network::builder(3)
        .layer(4, Synaptic::new(0.5, 0.9))
        .layer(2, Neurons::new(Sum).constant("threshold", 1.0))
        .build()
        .unwrap();
    let refused = CudaEngine::new(0, network.clone(), objective(), Adam::new(1e-3)).unwrap_err();
    assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
    let says = refused.to_string();
    assert!(says.contains("\"sum\" in layer 2"), "{says}");
    let engine = Device::Auto
        .engine(network, objective(), Adam::new(1e-3))
        .unwrap();
    let says = engine.describe();
    assert!(
        says.contains("CPU") && says.contains("\"sum\" in layer 2"),
        "{says}"
    );
    let synaptic = Network::builder(3).layer(2, Synaptic::new(0.5, 0.9));
    let engine = Device::Auto.engine(synaptic.build().unwrap(), objective(), Adam::new(1e-3));
    assert!(engine.unwrap().describe().starts_with("GPU, cuda:0"));
}
