//! Classifying images by their spike counts, 784–1000–10, T = 25, with the fast CPU engine:
//! `inference/mnist_784_1000_10/b1` and `…/b128`.

mod common;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use spikegrad::{CpuEngine, Engine, Input, ReadOut};

fn inference(criterion: &mut Criterion) {
    let images = common::images();
    let mut engine = common::engine(1, CpuEngine::new);
    let mut group = criterion.benchmark_group("inference");
    group.sample_size(50);
    for size in [1, 128] {
        let batch = common::batch(&images, size);
        let mut classes = vec![0; size];
        group.throughput(Throughput::Elements(size as u64));
        let id = BenchmarkId::new("mnist_784_1000_10", format!("b{size}"));
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                let input = Input::constant(batch.images.view(), 25);
                let done = engine.classify(input, ReadOut::SpikeCount, &mut classes);
                done.expect("the input fits");
                classes[0]
            });
        });
    }
    group.finish();
}

criterion_group!(benches, inference);
criterion_main!(benches);
