//! What an update costs: a training step of the main job (784–1000–10, B = 128, T = 25) under each
//! optimizer, and with Adam taken apart into `accumulate` and `update`. The learning rate is 0, so that all
//! compute the same spikes. In turns; medians of the milliseconds, and of each round's ratio to Adam.
//!
//! ```console
//! cargo bench --bench optimizers
//! ```

mod common;

use std::time::Instant;

use spikegrad::{Adam, Adamax, CpuEngine, Engine, Input, Optimizer, Sgd};

const ROUNDS: usize = 60;
const STEPS: usize = 10;

fn main() -> spikegrad::Result<()> {
    let batch = common::batch(&common::images(), 128);
    let samples = Input::constant(batch.images.view(), 25).classes(&batch.targets);
    let optimizers: [(&str, Optimizer, bool); 7] = [
        ("Adam", Adam::new(0.0).into(), false),
        ("Adam, taken apart", Adam::new(0.0).into(), true),
        ("Adam, clipped", Adam::new(0.0).clip_norm(1.0), false),
        ("AdamW", Adam::adamw(0.0).into(), false),
        ("Adamax", Adamax::new(0.0).into(), false),
        (
            "SGD with momentum",
            Sgd::new(0.0).momentum(0.9).into(),
            false,
        ),
        ("SGD", Sgd::new(0.0).into(), false),
    ];
    let mut engines = Vec::new();
    for (name, optimizer, apart) in optimizers {
        let mut engine = common::engine(1, CpuEngine::new);
        engine.set_optimizer(optimizer)?;
        engines.push((name, engine, apart, Vec::new()));
    }
    for round in 0..=ROUNDS {
        for (_, engine, apart, times) in &mut engines {
            let start = Instant::now();
            for _ in 0..STEPS {
                if *apart {
                    engine.accumulate(samples, 1.0)?;
                    engine.update()?;
                } else {
                    engine.train_step(samples)?;
                }
            }
            // The first round warms up.
            if round > 0 {
                times.push(start.elapsed().as_secs_f64() * 1e3 / STEPS as f64);
            }
        }
    }
    let adam = engines[0].3.clone();
    println!("{:<20} {:>8} {:>8}", "optimizer", "ms", "ratio");
    for (name, _, _, times) in &engines {
        let ratios = times.iter().zip(&adam).map(|(time, adam)| time / adam);
        let (time, ratio) = (median(times.clone()), median(ratios.collect()));
        println!("{name:<20} {time:>8.3} {ratio:>8.2}");
    }
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
