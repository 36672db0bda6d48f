//! Trains on a CSV file, floats in and a class out, with a custom training loop.
//!
//! ```console
//! cargo run --release --example own_csv                 # a made-up file with three classes
//! cargo run --release --example own_csv -- flowers.csv  # columns of numbers, the class (0, 1, …) last
//! ```

use std::{env, error::Error, fs};

use ndarray::{Array2, Axis};
use spikegrad::{Adam, Device, Input, Leaky, Loss, Network, ReadOut};

/// Number of time steps per row.
const STEPS: usize = 20;

/// 150 rows of four measures, whose means differ from class to class.
fn made_up() -> String {
    let noise = |i: usize| (i as f64 * 0.755).fract() + (i as f64 * 0.5698).fract() - 1.0;
    let row = |i: usize| {
        let mean = |n: usize| 5.0 + 1.2 * ((i % 3 * (n + 1)) % 4) as f64;
        let measures = [0, 1, 2, 3].map(|n| format!("{:.3}", mean(n) + noise(4 * i + n)));
        format!("{},{}", measures.join(","), i % 3)
    };
    "a,b,c,d,class\n".to_string() + &(0..150).map(row).collect::<Vec<_>>().join("\n")
}

fn main() -> Result<(), Box<dyn Error>> {
    let text = match env::args().nth(1) {
        Some(path) => fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?,
        None => made_up(),
    };
    // Rows [N, F] and classes [N], without the header.
    let rows: Vec<Vec<f32>> = (text.lines().skip(1))
        .map(|line| line.split(',').map(|x| x.trim().parse()).collect())
        .collect::<Result<_, _>>()?;
    let features = rows.first().ok_or("there are no rows")?.len() - 1;
    let classes: Vec<usize> = rows.iter().map(|row| row[features] as usize).collect();
    let values = rows.iter().flat_map(|row| row[..features].to_vec());
    let x = Array2::from_shape_vec((rows.len(), features), values.collect())?;

    // Each column to mean 0 and deviation 1, since a neuron fires at a membrane of 1.
    let mean = x.mean_axis(Axis(0)).ok_or("there are no rows")?;
    let deviation = x.std_axis(Axis(0), 0.0).mapv(|d| d.max(1e-6));
    let x = (x - mean) / deviation;

    let (test, train): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(|i| i % 5 == 0);
    let pick = |rows: &[usize]| {
        let classes: Vec<usize> = rows.iter().map(|&row| classes[row]).collect();
        (x.select(Axis(0), rows), classes)
    };
    let outputs = classes.iter().max().map_or(1, |largest| largest + 1);
    let network: Network = Network::builder(features)
        .layer(64, Leaky::new(0.9))
        .layer(outputs, Leaky::new(0.9))
        .build()?;
    for warning in network.warnings(STEPS) {
        eprintln!("warning: {warning}");
    }
    let mut engine = Device::Auto.engine(network, Loss::CrossEntropyMembrane, Adam::new(2e-3))?;
    for epoch in 1..=60 {
        let mut loss = 0.0;
        for batch in train.chunks(16) {
            let (x, classes) = pick(batch);
            loss += engine
                .train_step(Input::constant(x.view(), STEPS).classes(&classes))?
                .loss;
        }
        if epoch % 20 == 0 {
            println!("epoch {epoch}: loss {loss:.3}, all batches added");
        }
    }

    let (x, expected) = pick(&test);
    let mut found = vec![0; expected.len()];
    engine.classify(
        Input::constant(x.view(), STEPS),
        ReadOut::Membrane,
        &mut found,
    )?;
    let right = found.iter().zip(&expected).filter(|(a, b)| a == b).count();
    println!("test: {right} of {} right", expected.len());
    Ok(())
}
