//! Trains on a CSV file, floats in and a class out.
//!
//! ```console
//! cargo run --release --example own_csv                 # a made-up file with three classes
//! cargo run --release --example own_csv -- flowers.csv  # columns of numbers, the class (0, 1, …) last
//! ```

use std::{env, error::Error, fs, ops::ControlFlow};

use ndarray::{Array2, Axis};
use spikegrad::{Adam, Device, Leaky, Loss, Network, Trainer, data::InMemory, train::Event};

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
    let set = |rows: &[usize]| {
        let classes: Vec<usize> = rows.iter().map(|&row| classes[row]).collect();
        InMemory::constant(x.select(Axis(0), rows), classes)
    };
    let (train, test) = (set(&train)?, set(&test)?);
    let outputs = classes.iter().max().map_or(1, |largest| largest + 1);
    let network: Network = Network::builder(features)
        .layer(64, Leaky::new(0.9))
        .layer(outputs, Leaky::new(0.9))
        .build()?;
    let mut engine = Device::Auto.engine(network, Loss::CrossEntropyMembrane, Adam::new(2e-3))?;
    let trainer = Trainer {
        epochs: 60,
        batch_size: 16,
        num_steps: STEPS,
        ..Trainer::default()
    };
    let history = trainer.fit(&mut *engine, &train, None, |_, event| {
        if let Event::Epoch { record, .. } = event
            && (record.epoch + 1) % 20 == 0
        {
            let (epoch, loss) = (record.epoch + 1, record.train_loss);
            println!("epoch {epoch}: mean loss {loss:.3}");
        }
        Ok(ControlFlow::Continue(()))
    })?;
    for warning in &history.warnings {
        eprintln!("warning: {warning}");
    }
    let report = trainer.evaluate(&mut *engine, &test)?;
    let (right, all) = (report.correct_membrane, report.samples);
    println!("test: {right} of {all} right");
    Ok(())
}
