//! What checkpoints of the main job (784–1000–10 after five epochs, 9.7 MB) cost, part by part: the
//! export takes the training thread's time, the others run beside the training. And whole epochs, in
//! turns with and without a checkpoint every 100 batches.
//!
//! `cargo bench --bench checkpoint`

mod common;

use std::{
    ops::ControlFlow,
    path::Path,
    time::{Duration, Instant},
};

use criterion::Criterion;
use spikegrad::{
    Checkpoint, CheckpointDir, CpuEngine, Engine, History, Input, Trainer, train::Event,
};

fn checkpoint(criterion: &mut Criterion) {
    let images = common::images();
    let trainer = Trainer::default();
    let mut engine = common::engine(1, CpuEngine::new);
    // A history as long as the main job's, of a network that is quick to train.
    let history = history(
        &trainer,
        &images.head(trainer.batch_size * 4).expect("images"),
    );
    let batch = common::batch(&images, trainer.batch_size);
    let input = Input::constant(batch.images.view(), trainer.num_steps);
    engine
        .train_step(input.classes(&batch.targets))
        .expect("the input fits");

    let mut group = criterion.benchmark_group("checkpoint");
    group.sample_size(20);
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    group.bench_function("export", |bencher| {
        bencher.iter(|| Checkpoint::new(&mut engine, &trainer, &history).expect("a checkpoint"));
    });
    let checkpoint = Checkpoint::new(&mut engine, &trainer, &history).expect("a checkpoint");
    let bytes = checkpoint.to_bytes().expect("finite numbers");
    group.bench_function("to_bytes", |bencher| {
        bencher.iter(|| checkpoint.to_bytes().expect("finite numbers"));
    });
    group.bench_function("from_bytes", |bencher| {
        bencher.iter(|| Checkpoint::from_bytes(&bytes).expect("a checkpoint"));
    });
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-checkpoint");
    let mut folder = CheckpointDir::open(dir).expect("a folder");
    group.bench_function("save", |bencher| {
        bencher.iter(|| folder.save(&checkpoint).expect("it is written"));
    });
    group.finish();
}

/// What a run over 468 batches an epoch measures.
fn history(trainer: &Trainer, images: &spikegrad::data::Dataset) -> History {
    let trainer = Trainer {
        epochs: trainer.epochs * 468 / 4,
        num_steps: 1,
        ..trainer.clone()
    };
    let network = spikegrad::Network::builder(images.features())
        .layer(10, spikegrad::Leaky::new(0.9))
        .layer(10, spikegrad::Leaky::new(0.9))
        .build()
        .expect("a network");
    let loss = spikegrad::Loss::CrossEntropyMembrane;
    let mut engine = CpuEngine::new(network, loss, spikegrad::Adam::new(1e-3)).expect("an engine");
    let history = trainer.fit(&mut engine, images, None, |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    history.expect("it trains")
}

/// Seconds of an epoch with its validation, in runs of five, one after the other with and without
/// checkpoints; the last of a run is waited for.
fn epochs() {
    const ROUNDS: usize = 15;
    const EPOCHS: usize = 5;
    let images = common::images();
    let validation = images.head(10_000).expect("images");
    let trainer = Trainer {
        epochs: EPOCHS,
        ..Trainer::default()
    };
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-checkpoint");
    let mut folder = CheckpointDir::open(dir).expect("a folder");
    let mut engine = common::engine(1, CpuEngine::new);
    let mut epoch = |every: Option<usize>| {
        let started = Instant::now();
        let callback = |engine: &mut dyn Engine, event: Event<'_>| {
            let history = event.history();
            let due = match event {
                Event::Batch { record, .. } => every.is_some_and(|n| (record.batch + 1) % n == 0),
                _ => every.is_some(),
            };
            if due {
                let checkpoint = Checkpoint::new(engine, &trainer, history);
                let saved = folder.save_in_background(checkpoint.expect("a checkpoint"));
                saved.expect("it is written");
            }
            Ok(ControlFlow::Continue(()))
        };
        let history = trainer.fit(&mut engine, &images, Some(&validation), callback);
        folder.wait().expect("it is written");
        history.expect("it trains");
        started.elapsed().as_secs_f64() / EPOCHS as f64
    };
    epoch(Some(100));
    let pairs: Vec<[f64; 2]> = (0..ROUNDS)
        .map(|_| [epoch(None), epoch(Some(100))])
        .collect();
    let median = |f: &dyn Fn(&[f64; 2]) -> f64| {
        let mut values: Vec<f64> = pairs.iter().map(f).collect();
        values.sort_by(f64::total_cmp);
        values[ROUNDS / 2]
    };
    println!(
        "epoch, medians of {ROUNDS} in turns: {:.4} s without, {:.4} s with checkpoints, ratio {:.4}",
        median(&|pair| pair[0]),
        median(&|pair| pair[1]),
        median(&|pair| pair[1] / pair[0]),
    );
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    checkpoint(&mut criterion);
    criterion.final_summary();
    epochs();
}
