//! One training step, engine by engine: `train_step/NETWORK/ENGINE`, the network of the main job
//! (784–1000–10, B = 128, T = 25) first, then with more layers, other batches, other T.
//!
//! `cargo bench --bench train_step -- mnist_784_1000_10/` runs the main job alone.

mod common;

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use spikegrad::{CpuEngine, Engine, Input, ReferenceEngine, data::Dataset};

/// Hidden layers of 1000, batch, steps: the main job's unless the name says otherwise.
const CASES: [(&str, usize, usize, usize); 9] = [
    ("mnist_784_1000_10", 1, 128, 25),
    ("mnist_784_1000x2_10", 2, 128, 25),
    ("mnist_784_1000x4_10", 4, 128, 25),
    ("mnist_784_1000_10_b1", 1, 1, 25),
    ("mnist_784_1000_10_b32", 1, 32, 25),
    ("mnist_784_1000_10_b512", 1, 512, 25),
    ("mnist_784_1000_10_t10", 1, 128, 10),
    ("mnist_784_1000_10_t100", 1, 128, 100),
    ("mnist_784_1000_10_t400", 1, 128, 400),
];

/// Steps × batch × hidden neurons from which the reference engine is left out: its recordings of
/// all steps would take gigabytes, and its time says no more than in the smaller cases.
const REFERENCE_UP_TO: usize = 128 * 100 * 1000;

fn train_step(criterion: &mut Criterion) {
    let images = common::images();
    let mut group = criterion.benchmark_group("train_step");
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    for (name, hidden, batch, steps) in CASES {
        group.throughput(Throughput::Elements(batch as u64));
        let id = |engine| BenchmarkId::new(name, engine);
        // Built within, so that a filter that leaves a bench out does not pay for it.
        group.bench_function(id("cpu"), |bencher| {
            let mut step = step(
                &images,
                batch,
                steps,
                common::engine(hidden, CpuEngine::new),
            );
            bencher.iter(&mut step);
        });
        #[cfg(feature = "cuda")]
        if common::gpu() {
            group.bench_function(id("cuda"), |bencher| {
                let new = |n, l, a| spikegrad::CudaEngine::new(0, n, l, a);
                let mut step = step(&images, batch, steps, common::engine(hidden, new));
                bencher.iter(&mut step);
            });
        }
        if steps * batch * hidden * 1000 <= REFERENCE_UP_TO {
            group.bench_function(id("reference"), |bencher| {
                let engine = common::engine(hidden, ReferenceEngine::new);
                let mut step = step(&images, batch, steps, engine);
                bencher.iter(&mut step);
            });
        }
    }
    group.finish();
}

/// A step on the same batch over and over, the first of them taken already.
fn step(
    images: &Dataset,
    batch: usize,
    steps: usize,
    mut engine: impl Engine,
) -> impl FnMut() -> f64 {
    let batch = common::batch(images, batch);
    let mut step = move || {
        let input = Input::constant(batch.images.view(), steps);
        let report = engine.train_step(input.classes(&batch.targets));
        report.expect("the input fits").loss
    };
    step();
    step
}

criterion_group!(benches, train_step);
criterion_main!(benches);
