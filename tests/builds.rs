//! What an engine says of the build that it is in.

use spikegrad::{Adam, CpuEngine, Engine, Leaky, Loss, Network, ReferenceEngine};

/// The library is compiled with this test, at the level of its profile: 0 in a debug build, 3 in a release
/// build. Debug assertions tell them apart here, since neither of this package's profiles changes them.
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
        assert_eq!(slow, cfg!(debug_assertions), "{told}");
    }
}
