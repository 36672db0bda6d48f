//! Several engines in one process: side by side they give the bits that each gives alone, and within a
//! thread pool of the user's own no other is started. The pool is the process's, so it is one test.

mod skip;

use std::ops::ControlFlow;
use std::thread;

use ndarray::Array2;
use skip::skipped;
use spikegrad::{
    Adam, CpuEngine, Device, Engine, Leaky, Loss, Network, ReferenceEngine, Trainer, data::Dataset,
};

fn assert_send<T: Send>() {}

#[test]
fn networks_and_engines_are_send() {
    assert_send::<Network<f32>>();
    assert_send::<Network<f64>>();
    assert_send::<Adam>();
    assert_send::<CpuEngine>();
    assert_send::<ReferenceEngine<f32>>();
    assert_send::<ReferenceEngine<f64>>();
    assert_send::<Box<dyn Engine>>();
    #[cfg(feature = "cuda")]
    assert_send::<spikegrad::CudaEngine>();
    #[cfg(feature = "safetensors")]
    {
        assert_send::<spikegrad::Checkpoint>();
        assert_send::<spikegrad::CheckpointDir>();
    }
}

/// Large enough for every parallel path.
fn trained(seed: u64) -> Network {
    let pixel = |(b, n): (usize, usize)| match (b + n) % 3 {
        0 => (37 * b + 11 * n) as u8,
        _ => 0,
    };
    let images = Array2::from_shape_fn((96, 300), pixel);
    let data = Dataset::new(images, (0..96).map(|b| b % 10).collect(), 10).expect("labels fit");
    let network: Network = Network::builder(300)
        .layer(300, Leaky::new(0.9).threshold(0.3))
        .layer(10, Leaky::new(0.9))
        .seed(seed)
        .build()
        .expect("a network");
    let adam = Adam::new(1e-3);
    let mut engine = Device::Cpu
        .engine(network, Loss::CrossEntropyMembrane, adam)
        .expect("an engine");
    let trainer = Trainer {
        epochs: 2,
        batch_size: 32,
        num_steps: 10,
        seed,
        ..Trainer::default()
    };
    let history = trainer.fit(&mut *engine, &data, None, |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    let rate = history.expect("it trains").batches[0].report.firing_rate[0];
    assert!(rate > 0.01, "it spikes: {rate}");
    engine.to_network().expect("a network")
}

/// Threads of this process, where the system tells.
fn threads() -> Option<usize> {
    Some(std::fs::read_dir("/proc/self/task").ok()?.count())
}

#[test]
fn side_by_side_and_in_a_pool_of_ones_own() {
    // First, while there is no other pool: one of the user's own, of three threads.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(3)
        .build()
        .expect("a pool");
    pool.broadcast(|_| ());
    let before = threads();
    let inside: Vec<Network> = pool.install(|| vec![trained(1), trained(2)]);
    if let Some(before) = before {
        // The other test of this file may end meanwhile.
        let now = threads().expect("as before");
        assert!(now <= before, "{before} threads before, {now} after");
    } else {
        skipped("this system does not tell the number of threads");
    }

    // The same alone, in the process's pool; this one is started now, so the count above can fail.
    let alone = vec![trained(1), trained(2)];
    if let (Some(before), true) = (before, cfg!(feature = "rayon")) {
        assert!(threads().expect("as before") > before, "the global pool");
    }
    assert!(alone[0] != alone[1]);
    assert!(inside == alone, "another pool, the same bits");

    // And at once, on threads, in one pool and in two.
    for round in 0..4 {
        let shared = thread::scope(|scope| {
            let runs = [1, 2].map(|seed| scope.spawn(move || trained(seed)));
            runs.map(|run| run.join().expect("it trains"))
        });
        assert!(shared[..] == alone, "round {round}: one pool");
        let apart = thread::scope(|scope| {
            let runs = [1, 2].map(|seed| {
                scope.spawn(move || {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
                    pool.expect("a pool").install(|| trained(seed))
                })
            });
            runs.map(|run| run.join().expect("it trains"))
        });
        assert!(apart[..] == alone, "round {round}: two pools");
    }
}
