//! Builds without optimization: what an engine says of one, and the stack that it needs in one.

use std::thread;

use ndarray::Array2;
use spikegrad::{
    AdLif, Adam, Adaptive, Alpha, CpuEngine, Dynamics, Encoder, Engine, Input, Leaky, Loss,
    Network, Record, ReferenceEngine, Surrogate, Synaptic, neuron::Neurons,
};

/// The library is compiled with this test, at the level of its profile: 0 in a debug build, more in the
/// others. A release build, which has no debug assertions, is never slow.
#[test]
fn a_slow_build_says_so() {
    let network = || -> Network {
        Network::builder(2)
            .layer(2, Leaky::new(0.9))
            .build()
            .unwrap()
    };
    let loss = || Loss::CrossEntropyMembrane;
    let fast = CpuEngine::new(network(), loss(), Adam::new(1e-3)).unwrap();
    let reference = ReferenceEngine::new(network(), loss(), Adam::new(1e-3)).unwrap();
    for told in [fast.describe(), reference.describe()] {
        let slow = told.contains("SLOW: compiled without optimization");
        assert_eq!(slow, env!("SPIKEGRAD_OPT_LEVEL") == "0", "{told}");
        assert!(cfg!(debug_assertions) || !slow, "{told}");
    }
}

/// The smallest stack that a thread usually has is half a megabyte (macOS). Where nothing is inlined or
/// optimized, each vector of a kernel has a place of its own on it.
#[test]
fn half_a_megabyte_of_stack_is_enough() {
    let neurons: [fn() -> Neurons; 9] = [
        || Leaky::new(0.9).into(),
        || Leaky::spikingjelly(2.0).into(),
        || {
            Leaky::new(0.9)
                .learn_beta(true)
                .learn_threshold(true)
                .into()
        },
        || Synaptic::new(0.8, 0.9).into(),
        || Encoder::new(0.9).into(),
        || Alpha::new(0.9, 0.8).into(),
        || Adaptive::bellec(0.9, 0.9).learn_beta(true).into(),
        || AdLif::sparch().into(),
        || Leaky::new(0.9).surrogate(Surrogate::Triangular).into(),
    ];
    for isa in CpuEngine::instruction_sets() {
        for neuron in neurons {
            let train = move || {
                let fast = || Leaky::new(0.9).dynamics(Dynamics::IntegrateThenFire);
                // Layers of 1 to 4 vectors, and more than one block of them.
                let network: Network = (Network::builder(20).layer(70, neuron()))
                    .layer(40, neuron())
                    .layer(3, fast())
                    .build()
                    .unwrap();
                let loss = Loss::CrossEntropyMembrane;
                let adam = Adam::new(1e-3);
                let mut engine = CpuEngine::with_instruction_set(network, loss, adam, isa).unwrap();
                let x = Array2::from_shape_fn((2, 20), |(b, n)| ((b + n) % 3) as f32);
                let input = || Input::constant(x.view(), 6);
                engine.train_step(input().classes(&[0, 2])).unwrap();
                engine.forward(input(), &Record::All).unwrap();
            };
            let thread = thread::Builder::new().stack_size(512 << 10);
            thread.spawn(train).unwrap().join().unwrap();
        }
    }
}
