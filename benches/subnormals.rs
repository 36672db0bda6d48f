//! What numbers cost that become ever smaller in a long training.
//!
//! Adam's moments when they decay: half of the pixels are lit in the first updates and dark from
//! then on, so that the first moments of their weights shrink by a tenth with each update, below the
//! smallest normal number after some 800 (MNIST's 20 epochs have 9,360). Each instruction set's update,
//! in microseconds, the fastest of 200: while those moments are normal, as they pass, and long after.
//!
//! Adjoints when outputs are sure: one class has a lead that makes all others' probabilities as small as those of
//! MNIST's training images after 10 or 20 epochs. A step of such a batch, in microseconds, the fastest of 40.
//!
//! ```console
//! cargo bench --bench subnormals
//! ```

use std::{ops::Range, time::Instant};

use ndarray::Array2;
use spikegrad::{Adam, CpuEngine, Engine, Input, Leaky, Loss, Network};

const WINDOWS: [Range<usize>; 3] = [100..300, 720..920, 1800..2000];

fn main() -> spikegrad::Result<()> {
    let lit = Array2::from_elem((4, 784), 0.5);
    let half = Array2::from_shape_fn((4, 784), |(_, n)| if n % 2 == 0 { 0.5 } else { 0.0 });
    println!("update, µs   normal   passing   subnormal   subnormal moments");
    for name in CpuEngine::instruction_sets() {
        let network: Network = Network::builder(784)
            .layer(1000, Leaky::new(0.95))
            .layer(10, Leaky::new(0.95))
            .build()?;
        let (loss, adam) = (Loss::CrossEntropyMembrane, Adam::new(5e-4));
        let mut engine = CpuEngine::with_instruction_set(network, loss, adam, name)?;
        let mut fastest = [f64::INFINITY; WINDOWS.len()];
        for update in 0..2000 {
            let x = if update < 5 { &lit } else { &half };
            let start = Instant::now();
            engine.train_step(Input::constant(x.view(), 1).classes(&[0, 1, 2, 3]))?;
            let time = start.elapsed().as_secs_f64() * 1e6;
            for (fastest, window) in fastest.iter_mut().zip(WINDOWS) {
                if window.contains(&update) {
                    *fastest = fastest.min(time);
                }
            }
        }
        let adam = engine.to_optimizer()?;
        let (first, _) = adam.moments().expect("it has trained");
        let tensors = first.tensors();
        let (all, subnormal) = (tensors.iter().flat_map(|(_, m)| m.iter()))
            .fold((0, 0), |(n, k), m| {
                (n + 1, k + usize::from(m.is_subnormal()))
            });
        let [normal, passing, late] = fastest;
        println!("{name:<10} {normal:8.0} {passing:9.0} {late:11.0}   {subnormal} of {all}");
    }
    sure_outputs()
}

fn sure_outputs() -> spikegrad::Result<()> {
    let x = Array2::from_shape_fn((128, 784), |(b, n)| match (b * 31 + n * 17) % 5 {
        0 => 0.5,
        _ => 0.0,
    });
    println!("\nstep, µs     even       sure   very sure");
    for name in CpuEngine::instruction_sets() {
        print!("{name:<10}");
        for lead in [0.0, 3.0, 9.0] {
            let mut network: Network = Network::builder(784)
                .layer(1000, Leaky::new(0.95))
                .layer(10, Leaky::new(0.95))
                .build()?;
            for (name, mut values) in network.parameters_mut() {
                if name == "fc2.bias" {
                    values[0] += lead;
                }
            }
            let (loss, adam) = (Loss::CrossEntropyMembrane, Adam::new(0.0));
            let mut engine = CpuEngine::with_instruction_set(network, loss, adam, name)?;
            let mut fastest = f64::INFINITY;
            for _ in 0..40 {
                let start = Instant::now();
                engine.train_step(Input::constant(x.view(), 25).classes(&[0; 128]))?;
                fastest = fastest.min(start.elapsed().as_secs_f64() * 1e6);
            }
            print!(" {fastest:9.0}");
        }
        println!();
    }
    Ok(())
}
