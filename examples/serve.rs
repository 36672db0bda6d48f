//! One model, eight threads: each classifies one image after another, like the requests to a
//! server. Prints the latencies and the throughput.
//!
//! ```console
//! cargo run --release --example serve                                  # trains a network first
//! cargo run --release --example serve -- runs/mnist/model.safetensors  # or takes weights of that shape
//! ```

use std::{env, error::Error, thread, time::Instant};

use ndarray::{Array2, s};
use spikegrad::{Adam, CpuEngine, Engine, Input, Leaky, Loss, Network, Predictor, ReadOut};

const THREADS: usize = 8;
const REQUESTS: usize = 2000;
const STEPS: usize = 25;

/// A pixel of an image of class `n % 10`: every tenth one is lit, and some others.
fn image(n: usize, pixel: usize) -> f32 {
    let noise = ((n * 784 + pixel) as u32).wrapping_mul(0x9E37_79B1) >> 16;
    f32::from(pixel % 10 == n % 10 || noise.is_multiple_of(10))
}

/// Each request's latency in microseconds, and whether its answer was right.
fn serve(predictor: &Predictor, images: &Array2<f32>) -> spikegrad::Result<Vec<(f64, bool)>> {
    let ask = |request| {
        let n = request % images.nrows();
        let (mut class, start) = ([0], Instant::now());
        let input = Input::constant(images.slice(s![n..=n, ..]), STEPS);
        predictor.classify(input, ReadOut::Membrane, &mut class)?;
        Ok((start.elapsed().as_secs_f64() * 1e6, class[0] == n % 10))
    };
    (0..REQUESTS).map(ask).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let builder = Network::builder(784).layer(1000, Leaky::new(0.95));
    let mut network: Network = builder.layer(10, Leaky::new(0.95)).build()?;
    let images = Array2::from_shape_fn((1280, 784), |(n, pixel)| image(n, pixel));
    let classes: Vec<usize> = (0..1280).map(|n| n % 10).collect();
    let predictor = match env::args().nth(1) {
        Some(weights) => {
            network.load_safetensors(&weights)?;
            println!("weights from {weights}");
            Predictor::new(&network)
        }
        None => {
            let mut engine = CpuEngine::new(network, Loss::CrossEntropyMembrane, Adam::new(1e-3))?;
            for (n, classes) in classes.chunks(128).enumerate() {
                let x = images.slice(s![n * 128..(n + 1) * 128, ..]);
                engine.train_step(Input::constant(x, STEPS).classes(classes))?;
            }
            println!("trained on {} images", images.nrows());
            Predictor::from_engine(&mut engine)?
        }
    };
    // Each thread has a handle; the weights are shared.
    let (mut answers, start) = (Vec::new(), Instant::now());
    let threads = [(); THREADS].map(|()| {
        let (predictor, images) = (predictor.clone(), images.clone());
        thread::spawn(move || serve(&predictor, &images))
    });
    for thread in threads {
        answers.extend(thread.join().expect("a server does not panic")?);
    }
    let seconds = start.elapsed().as_secs_f64();
    let right = answers.iter().filter(|answer| answer.1).count();
    println!("{right} of {} answers are right", answers.len());
    answers.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    for percent in [50, 90, 99, 100] {
        let (latency, _) = answers[(answers.len() - 1) * percent / 100];
        println!("latency {percent:>3} %  {latency:9.1} µs");
    }
    println!(
        "throughput     {:9.0} per s",
        answers.len() as f64 / seconds
    );
    Ok(())
}
