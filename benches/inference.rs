//! Classifying images by their spike counts, 784–1000–10, T = 25: `inference/mnist_784_1000_10/b1` and
//! `…/b128` with the fast CPU engine, `…/b1-predictor` with a handle on its network, `…/b1-reference` and so on
//! with the other engines.

mod common;

use criterion::{
    BenchmarkId, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use spikegrad::{
    CpuEngine, Engine, Input, Predictor, ReadOut, ReferenceEngine, Result, data::Dataset,
};

type Group<'a> = criterion::BenchmarkGroup<'a, WallTime>;

fn inference(criterion: &mut Criterion) {
    let images = common::images();
    let mut group = criterion.benchmark_group("inference");
    group.sample_size(50);
    for size in [1, 128] {
        let name = format!("b{size}");
        let mut engine = common::engine(1, CpuEngine::new);
        let predictor = Predictor::from_engine(&mut engine).expect("the engine's network");
        let ask = |input: Input<'_>, classes: &mut [usize]| {
            predictor.classify(input, ReadOut::SpikeCount, classes)
        };
        classify(&mut group, &name, &images, size, by(engine));
        classify(&mut group, &format!("{name}-predictor"), &images, size, ask);
        #[cfg(feature = "cuda")]
        if common::gpu() {
            let engine = common::engine(1, |n, l, a| spikegrad::CudaEngine::new(0, n, l, a));
            classify(
                &mut group,
                &format!("{name}-cuda"),
                &images,
                size,
                by(engine),
            );
        }
        let engine = common::engine(1, ReferenceEngine::new);
        let name = format!("{name}-reference");
        classify(&mut group, &name, &images, size, by(engine));
    }
    group.finish();
}

/// An engine's answers.
fn by(mut engine: impl Engine) -> impl FnMut(Input<'_>, &mut [usize]) -> Result<()> {
    move |input, classes| engine.classify(input, ReadOut::SpikeCount, classes)
}

fn classify(
    group: &mut Group<'_>,
    name: &str,
    images: &Dataset,
    size: usize,
    mut ask: impl FnMut(Input<'_>, &mut [usize]) -> Result<()>,
) {
    let batch = common::batch(images, size);
    let mut classes = vec![0; size];
    group.throughput(Throughput::Elements(size as u64));
    let id = BenchmarkId::new("mnist_784_1000_10", name);
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            let input = Input::constant(batch.images.view(), 25);
            ask(input, &mut classes).expect("the input fits");
            classes[0]
        });
    });
}

criterion_group!(benches, inference);
criterion_main!(benches);
