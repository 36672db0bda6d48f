//! The command line: options, their ranges, and errors of one line.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Parser, error::ErrorKind};
use spikegrad::{Device, Error, data::MnistFiles, neuron::MIN_THRESHOLD};

use crate::optimizer::Options;

/// Where the repository keeps the four files.
const DATA: &str = "examples/data/mnist";

const MAX_EPOCHS: usize = 100_000;
const MAX_BATCH: usize = 1_000_000_000;
const MAX_LAYERS: usize = 16;
const MAX_NEURONS: usize = 1_000_000;
const MAX_STEPS: usize = 10_000;
const MAX_THREADS: usize = 1024;
#[cfg(feature = "mpi")]
const MAX_SHARDS: usize = 4096;
#[cfg(feature = "mpi")]
const MAX_PATIENCE: usize = 1_000_000;

/// Trains a spiking network on MNIST by backpropagation through time, as in snnTorch's tutorial 5.
#[derive(Debug, Parser)]
#[command(name = "mnist", version)]
pub struct Args {
    /// Folder with the idx files of MNIST, Fashion-MNIST, KMNIST, QMNIST or EMNIST, under their
    /// publishers' names, gzipped or not [default: examples/data/mnist of the repository]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Which data set of several in the folder: letters for emnist-letters-train-images-idx3-ubyte
    /// and its like
    #[arg(long, value_name = "NAME")]
    pub split: Option<String>,

    /// Exchanges rows and columns of each image: EMNIST's files hold them that way
    #[arg(long)]
    pub transpose: bool,

    /// Passes over the training images
    #[arg(long, value_name = "N", default_value = "5", value_parser = between(1, MAX_EPOCHS),
          allow_negative_numbers = true)]
    pub epochs: usize,

    /// Images per update
    #[arg(long, value_name = "N", default_value = "128", value_parser = between(1, MAX_BATCH),
          allow_negative_numbers = true)]
    pub batch_size: usize,

    /// Neurons of each hidden layer, separated by commas
    #[arg(
        long,
        value_name = "N,...",
        default_value = "1000",
        allow_negative_numbers = true
    )]
    pub hidden: Hidden,

    /// Time steps for which each image is shown
    #[arg(long, value_name = "T", default_value = "25", value_parser = between(1, MAX_STEPS),
          allow_negative_numbers = true)]
    pub steps: usize,

    /// Decay of the membrane per step, 0 to 1
    #[arg(long, default_value = "0.95", value_parser = number(0.0, 1.0),
          allow_negative_numbers = true)]
    pub beta: f64,

    /// Membrane potential above which a neuron fires
    #[arg(long, default_value = "1.0", value_parser = number(MIN_THRESHOLD, 1e6),
          allow_negative_numbers = true)]
    pub threshold: f64,

    #[command(flatten)]
    pub optimizer: Options,

    /// Parts of one size in which each batch is computed, one after another, to need less memory; fewer
    /// where the batch cannot be divided so
    #[arg(long, value_name = "N", default_value = "1", value_parser = between(1, MAX_BATCH),
          allow_negative_numbers = true)]
    pub accumulate: usize,

    /// Steps of a window, each with an update of its own: backpropagation through time, truncated where
    /// the window begins [default: all steps]
    #[arg(long, value_name = "K", value_parser = between(1, MAX_STEPS), allow_negative_numbers = true)]
    pub truncate: Option<usize>,

    /// Ends the run after N epochs in a row without a lower loss on the test images [default: never]
    #[arg(long, value_name = "N", value_parser = between(1, MAX_EPOCHS), allow_negative_numbers = true)]
    pub early_stopping: Option<usize>,

    /// The result is the network of the epoch with the lowest loss on the test images, not that of the
    /// last epoch. With --checkpoint it is kept there, too
    #[arg(long)]
    pub keep_best: bool,

    /// Seed of the initial weights and of the order of the images
    #[arg(long, default_value = "0", value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,

    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: Device,

    /// CPU threads [default: one for each core]. The results do not depend on it
    #[arg(long, value_name = "N", value_parser = between(1, MAX_THREADS),
          allow_negative_numbers = true)]
    pub threads: Option<usize>,

    /// Trains on the first N images only
    #[arg(long, value_name = "N", value_parser = between(1, MAX_BATCH),
          allow_negative_numbers = true)]
    pub limit: Option<usize>,

    /// Folder for the results; files of the same names are replaced, others stay
    #[arg(long, value_name = "DIR", default_value = "runs/mnist")]
    pub out: PathBuf,

    /// Folder for checkpoints, from which an interrupted run can go on; Ctrl-C and SIGTERM then write
    /// one before they end the run
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,

    /// Writes a checkpoint after every N batches of an epoch, and after each epoch [default: 100]
    #[arg(long, value_name = "N", value_parser = between(1, MAX_BATCH), requires = "checkpoint",
          allow_negative_numbers = true)]
    pub checkpoint_every: Option<usize>,

    /// Goes on from the checkpoint in --checkpoint, or starts afresh if there is none yet. --epochs may
    /// be raised, with a constant --schedule; --early-stopping, --threads, --device, --out, --quiet and
    /// --checkpoint-every may differ
    #[arg(long, requires = "checkpoint")]
    pub resume: bool,

    /// Prints nothing but errors
    #[arg(long)]
    pub quiet: bool,

    /// Shards into which each batch is cut, a power of two that is a multiple of the number of processes;
    /// the results depend on it, but not on the number of processes [default: 8 under mpirun, else 1]
    #[cfg(feature = "mpi")]
    #[arg(long, value_name = "N", value_parser = between(1, MAX_SHARDS), allow_negative_numbers = true)]
    pub shards: Option<usize>,

    /// Seconds to wait for another process before the run is given up [default: 120]
    #[cfg(feature = "mpi")]
    #[arg(long, value_name = "SECONDS", value_parser = between(1, MAX_PATIENCE),
          allow_negative_numbers = true)]
    pub patience: Option<usize>,

    /// Trains with each of the seeds from A to B, both included: under mpirun, each process one after the
    /// other. The results are in a folder of --out for each, and in its sweep.csv
    #[cfg(feature = "mpi")]
    #[arg(long, value_name = "A..B")]
    pub seeds: Option<String>,

    /// Trains with each of these values of an option: lr=1e-3,5e-4. Values that have commas themselves are
    /// separated by |: "hidden=1000|200,100". May be given several times, for all combinations
    #[cfg(feature = "mpi")]
    #[arg(long, value_name = "OPTION=VALUE,...")]
    pub sweep: Vec<String>,
}

impl Args {
    /// The command line of this process; or, where there is nothing to run, what is wrong with it, or
    /// nothing if the help has been printed.
    pub fn read() -> Result<Args, Option<String>> {
        Args::try_parse().map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                // Nobody reads on: no reason to complain.
                let _ = error.print();
                None
            }
            _ => {
                // The message alone, without the paragraphs of tips and usage after it.
                let text = error.to_string();
                let mut message = text.strip_prefix("error: ").unwrap_or(&text);
                for paragraph in ["\n\n  tip:", "\n\nUsage:", "\n\nFor more information"] {
                    message = message.split(paragraph).next().unwrap_or_default();
                }
                // A list of what is missing stands on lines of its own.
                let words: Vec<&str> = message.split_whitespace().collect();
                let message = words.join(" ");
                Some(format!("{message} (--help shows all options)"))
            }
        })
    }

    /// `--data`, or the repository's folder: below the current one, else where this example was
    /// built.
    pub fn data_dir(&self) -> PathBuf {
        match &self.data {
            Some(dir) => dir.clone(),
            None if Path::new(DATA).is_dir() => DATA.into(),
            None => Path::new(env!("CARGO_MANIFEST_DIR")).join(DATA),
        }
    }

    /// The files in `--data` that the other options choose.
    pub fn data_files(&self) -> spikegrad::Result<MnistFiles> {
        let files = MnistFiles::find(self.data_dir(), self.split.as_deref());
        let files = files.map_err(|error| match error {
            Error::InvalidParameter {
                value, expected, ..
            } => Error::InvalidParameter {
                name: "--split".into(),
                value,
                expected,
            },
            error => error,
        });
        Ok(files?.transpose(self.transpose))
    }

    /// Refuses a `--limit` that is less than one batch or more than there is.
    pub fn check_limit(&self, limit: usize, images: usize) -> spikegrad::Result<()> {
        let wrong = |expected| {
            Err(Error::InvalidParameter {
                name: "--limit".into(),
                value: limit.to_string(),
                expected,
            })
        };
        if limit < self.batch_size {
            return wrong(format!(
                "at least one batch, which --batch-size sets to {} images",
                self.batch_size
            ));
        }
        if limit > images {
            return wrong(format!("at most the {images} training images there are"));
        }
        Ok(())
    }
}

/// The hidden layers' neurons, from the input up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden(pub Vec<usize>);

impl FromStr for Hidden {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let layers: Result<Vec<usize>, String> =
            text.split(',').map(between(1, MAX_NEURONS)).collect();
        let layers = layers.map_err(|e| format!("{e} for each layer, separated by commas"))?;
        if layers.len() > MAX_LAYERS {
            let found = layers.len();
            return Err(format!(
                "{found} layers; expected at most {MAX_LAYERS} hidden layers"
            ));
        }
        Ok(Hidden(layers))
    }
}

/// Reads a whole number in `low..=high`.
pub fn between(low: usize, high: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse() {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        _ => Err(format!("expected a whole number from {low} to {high}")),
    }
}

/// Reads a number in `low..=high`; a NaN is in no range.
pub fn number(low: f64, high: f64) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| match text.parse() {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        _ => Err(format!("expected a number from {low} to {high}")),
    }
}

fn seed(text: &str) -> Result<u64, String> {
    let expected = || format!("expected a whole number from 0 to {}", u64::MAX);
    text.parse().map_err(|_| expected())
}
