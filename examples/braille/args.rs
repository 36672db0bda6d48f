//! The command line: options, their ranges, and errors of one line.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, error::ErrorKind};

use crate::{recipe::Name, report};

/// Where the repository keeps the two files.
const DATA: &str = "examples/data/braille";

const MAX_EPOCHS: u64 = 100_000;
const MAX_SEED: u64 = u32::MAX as u64;
const MAX_SEEDS: u64 = 1000;
const MAX_THREADS: u64 = 1024;

/// Trains a recurrent spiking network to read Braille letters by touch, as in SpyTorch's tutorial 5.
#[derive(Debug, Parser)]
#[command(name = "braille", version)]
pub struct Args {
    /// Folder with the idx files of the letters [default: examples/data/braille of the repository]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// tutorial: the settings of SpyTorch's tutorial 5. own: the time constants of each neuron are learnt,
    /// and the learning rate falls
    #[arg(long, value_name = "NAME", default_value = "own")]
    pub recipe: Name,

    /// Passes over the training sweeps [default: 100]
    #[arg(long, value_name = "N", value_parser = between(1, MAX_EPOCHS), allow_negative_numbers = true)]
    pub epochs: Option<u64>,

    /// Seed of the split into training and test sweeps, of the initial weights and of the order of the
    /// sweeps
    #[arg(long, default_value = "0", value_parser = between(0, MAX_SEED), allow_negative_numbers = true)]
    pub seed: u64,

    /// Runs so many seeds one after another, from --seed on, and prints mean and spread; each has a folder
    /// of its own in --out
    #[arg(long, value_name = "N", default_value = "1", value_parser = between(1, MAX_SEEDS),
          allow_negative_numbers = true)]
    pub seeds: u64,

    /// CPU threads [default: one for each core]. The results do not depend on it
    #[arg(long, value_name = "N", value_parser = between(1, MAX_THREADS), allow_negative_numbers = true)]
    pub threads: Option<u64>,

    /// Folder for the results; files of the same names are replaced, others stay
    #[arg(long, value_name = "DIR", default_value = "runs/braille")]
    pub out: PathBuf,

    /// Folder for a checkpoint, written after each epoch, from which an interrupted run can go on
    #[arg(long, value_name = "DIR", conflicts_with = "seeds")]
    pub checkpoint: Option<PathBuf>,

    /// Goes on from the checkpoint in --checkpoint, or starts afresh if there is none yet
    #[arg(long, requires = "checkpoint")]
    pub resume: bool,

    /// Prints nothing but errors
    #[arg(long)]
    pub quiet: bool,
}

impl Args {
    /// The command line of this process; or, where there is nothing to run, the exit code, with the
    /// help or the error already printed.
    pub fn read() -> Result<Args, ExitCode> {
        Args::try_parse().map_err(|error| match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                // Nobody reads on: no reason to complain.
                let _ = error.print();
                ExitCode::SUCCESS
            }
            _ => {
                // The message alone, without the paragraphs of tips and usage after it.
                let text = error.to_string();
                let message = text.strip_prefix("error: ").unwrap_or(&text);
                let message = message.split("\n\n").next().unwrap_or_default();
                let words: Vec<&str> = message.split_whitespace().collect();
                report::error(&format!("{} (--help shows all options)", words.join(" ")));
                ExitCode::from(2)
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
}

/// Reads a whole number in `low..=high`.
fn between(low: u64, high: u64) -> impl Fn(&str) -> Result<u64, String> + Clone {
    move |text| match text.parse() {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        _ => Err(format!("expected a whole number from {low} to {high}")),
    }
}
