//! The letters: read, split and standardized.

use std::{error::Error, path::Path};

use ndarray::{Array3, Axis};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore, SeedableRng},
};
use spikegrad::data::{InMemory, idx};

/// The taxels that move; the others hardly do.
const TAXELS: [usize; 4] = [1, 2, 6, 10];
/// How often each of the recorded steps is shown.
const REPEATS: usize = 2;
/// The share of the sweeps that is trained on.
const TRAINING: f64 = 0.8;

/// Sweeps of a fingertip over letters.
pub struct Letters {
    /// `[N, T, 4]`: how far each taxel is pressed, from 0 to 1.
    pub x: Array3<f32>,
    /// The letter of each, 0 for a space and 1 to 26 for A to Z.
    pub labels: Vec<usize>,
}

impl Letters {
    /// Reads the two files in a folder.
    pub fn load(dir: &Path) -> Result<Letters, Box<dyn Error>> {
        let path = dir.join("braille-taxels-idx3-ubyte.gz");
        let bytes = idx::read_images(&path)?;
        let (sweeps, _, taxels) = bytes.dim();
        if taxels <= TAXELS[3] {
            let path = path.display();
            return Err(format!(
                "{path}: {taxels} taxels; expected at least {}",
                TAXELS[3] + 1
            )
            .into());
        }
        let path = dir.join("braille-labels-idx1-ubyte.gz");
        let labels: Vec<usize> = idx::read_labels(&path)?
            .into_iter()
            .map(usize::from)
            .collect();
        let path = path.display();
        if labels.len() != sweeps {
            return Err(format!(
                "{path}: {} labels; expected {sweeps}, one for each sweep",
                labels.len()
            )
            .into());
        }
        if let Some(bad) = labels.iter().find(|&&label| label >= NAMES.len()) {
            return Err(format!("{path}: label {bad}; expected 0 to {}", NAMES.len() - 1).into());
        }
        let x = bytes
            .select(Axis(2), &TAXELS)
            .mapv(|byte| 1.0 - f32::from(byte) / 255.0);
        Ok(Letters { x, labels })
    }

    /// Splits the sweeps at random, by the seed.
    pub fn split(&self, seed: u64, standardize: Over) -> spikegrad::Result<Split> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let all: Vec<usize> = (0..self.labels.len()).collect();
        let mut order = all.clone();
        for last in (1..order.len()).rev() {
            // The bias of a remainder of 64 bits is far below what could be noticed.
            order.swap(last, (rng.next_u64() % (last as u64 + 1)) as usize);
        }
        let test = order.split_off((TRAINING * order.len() as f64) as usize);
        let x = match standardize {
            Over::All => self.standardized(&all),
            Over::Training => self.standardized(&order),
        };
        Ok(Split {
            train: self.of(&x, &order)?,
            test: self.of(&x, &test)?,
        })
    }

    /// Each taxel with mean 0 and deviation 1 over the given sweeps.
    fn standardized(&self, over: &[usize]) -> Array3<f32> {
        let mut x = self.x.clone();
        for mut taxel in x.axis_iter_mut(Axis(2)) {
            let values = taxel.select(Axis(0), over).mapv(f64::from);
            let mean = values.mean().unwrap_or(0.0);
            let deviation = values.std(1.0) + 1e-3;
            taxel.mapv_inplace(|x| ((f64::from(x) - mean) / deviation) as f32);
        }
        x
    }

    /// Some of the sweeps, each step repeated.
    fn of(&self, x: &Array3<f32>, sweeps: &[usize]) -> spikegrad::Result<InMemory> {
        let x = x.select(Axis(0), sweeps);
        let repeated: Vec<usize> = (0..REPEATS * x.dim().1).map(|t| t / REPEATS).collect();
        let labels: Vec<usize> = sweeps.iter().map(|&n| self.labels[n]).collect();
        InMemory::sequences(x.select(Axis(1), &repeated), labels)
    }

    /// The CRC-32 of all measurements and labels.
    pub fn fingerprint(&self) -> String {
        let mut hasher = crc32fast::Hasher::new();
        for x in &self.x {
            hasher.update(&x.to_le_bytes());
        }
        for &label in &self.labels {
            hasher.update(&(label as u64).to_le_bytes());
        }
        format!("{:08x}", hasher.finalize())
    }
}

/// What mean and deviation of a taxel are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// All sweeps, as the tutorial does.
    All,
    /// Those that are trained on: nothing is known of the others.
    Training,
}

/// Sweeps to train on, and sweeps to test on.
pub struct Split {
    pub train: InMemory,
    pub test: InMemory,
}

/// The classes.
pub const NAMES: [&str; 27] = [
    "space", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q",
    "R", "S", "T", "U", "V", "W", "X", "Y", "Z",
];
