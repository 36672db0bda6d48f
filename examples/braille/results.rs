//! What is written into `--out`, and the figures that are printed at the end.
//!
//! Each file is written under another name beside its place and then renamed, so a file from an earlier run
//! is replaced by a whole one or not at all.

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
    process,
};

use ndarray::{Array1, Array2};
use serde_json::{Value, json};
use spikegrad::{
    Engine, Error, History, Input, Network, ReadOut, Record, Result,
    data::{Data, Draw, InMemory, OwnedInput, OwnedSamples, OwnedTargets},
    plot::{self, Curves, Panel, Raster, Series},
};

use crate::{args::Args, data::NAMES, recipe::Recipe, report::training_accuracy};

/// Every file, in the order in which they are listed at the end.
const FILES: [&str; 9] = [
    "summary.json",
    "history.csv",
    "confusion.csv",
    "loss.svg",
    "accuracy.svg",
    "learning_rate.svg",
    "raster.svg",
    "membranes.svg",
    "model.safetensors",
];

/// The sweep of the test set that the pictures show.
const SHOWN: usize = 0;
/// Membranes in one plot, at most.
const OUTPUTS: usize = 8;

/// The folder `--out`.
pub struct Folder(PathBuf);

impl Folder {
    /// Creates the folder where there is none, and makes sure that it can be written.
    pub fn create(dir: &Path) -> Result<Folder> {
        let failed = |action, path: &Path| {
            let path = path.to_path_buf();
            move |source| Error::Io {
                action,
                path,
                source,
            }
        };
        fs::create_dir_all(dir).map_err(failed("create", dir))?;
        for path in FILES.map(|name| dir.join(name)) {
            if path.is_dir() {
                let source = io::Error::other("a folder is there; expected a file, or nothing");
                return Err(failed("write", &path)(source));
            }
        }
        let folder = Folder(dir.into());
        let probe = folder.temporary("probe");
        let tried = fs::write(&probe, b"probe\n").map_err(failed("write", &probe));
        // Where nothing could be written there may be nothing to remove.
        let _ = fs::remove_file(&probe);
        tried.map(|()| folder)
    }

    /// Replaces the file `name` by this text.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        self.replace(name, |path| {
            fs::write(path, text).map_err(|source| Error::Io {
                action: "write",
                path: path.into(),
                source,
            })
        })
    }

    /// Replaces the file `name` by what `write` writes at the path it is given.
    fn replace(&self, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let (temporary, path) = (self.temporary(name), self.0.join(name));
        let written = write(&temporary).and_then(|()| {
            fs::rename(&temporary, &path).map_err(|source| Error::Io {
                action: "replace",
                path: path.clone(),
                source,
            })
        });
        if written.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.0.join(format!(".{name}.{}.tmp", process::id()))
    }
}

/// What the trained network takes the letters of the test set for.
pub struct Confusion {
    /// How often a letter (row) is taken for another (column), `[27, outputs]`.
    counts: Array2<usize>,
    /// The answer for each sweep.
    answers: Vec<usize>,
    labels: Vec<usize>,
}

impl Confusion {
    /// Shows the network all sweeps.
    pub fn find(engine: &mut dyn Engine, test: &InMemory) -> Result<Confusion> {
        let outputs = engine.to_network()?.outputs();
        let all: Vec<usize> = (0..test.len()).collect();
        let (x, labels) = samples(test, &all)?;
        let mut answers = vec![0; labels.len()];
        engine.classify(x.samples(1).input, ReadOut::MaxMembrane, &mut answers)?;
        let mut counts = Array2::zeros((NAMES.len(), outputs));
        for (&label, &answer) in labels.iter().zip(&answers) {
            counts[[label, answer]] += 1;
        }
        Ok(Confusion {
            counts,
            answers,
            labels,
        })
    }

    /// The share of the sweeps that are read correctly.
    pub fn accuracy(&self) -> f64 {
        let right = self.counts.diag().sum();
        right as f64 / self.labels.len().max(1) as f64
    }

    /// The matrix, a row for each letter; zeros are dots.
    fn text(&self) -> String {
        let mut text = String::from("letter, and what it is taken for\n      ");
        for name in self.columns() {
            let _ = write!(text, "{:>3}", if name == "space" { "_" } else { name });
        }
        for (name, row) in NAMES.iter().zip(self.counts.outer_iter()) {
            let _ = write!(text, "\n{name:>6}");
            for count in row {
                let _ = match count {
                    0 => write!(text, "{:>3}", "."),
                    count => write!(text, "{count:>3}"),
                };
            }
        }
        text
    }

    fn csv(&self) -> String {
        let mut text = format!("letter,{}\n", self.columns().join(","));
        for (name, row) in NAMES.iter().zip(self.counts.outer_iter()) {
            let row: Vec<String> = row.iter().map(usize::to_string).collect();
            let _ = writeln!(text, "{name},{}", row.join(","));
        }
        text
    }

    /// The names of the outputs. The tutorial has one more than there are letters.
    fn columns(&self) -> Vec<&'static str> {
        let more = std::iter::repeat("-");
        NAMES
            .into_iter()
            .chain(more)
            .take(self.counts.ncols())
            .collect()
    }
}

/// Some samples of a set, and their labels.
fn samples(data: &InMemory, indices: &[usize]) -> Result<(OwnedSamples, Vec<usize>)> {
    let mut samples = OwnedSamples::default();
    data.fill(Draw::new(indices, 0), &mut samples)?;
    let labels = match &samples.targets {
        OwnedTargets::Classes(labels) => labels.clone(),
        _ => Vec::new(),
    };
    Ok((samples, labels))
}

/// What is told of a run.
pub struct Run<'a> {
    pub args: &'a Args,
    pub seed: u64,
    pub recipe: &'a Recipe,
    pub network: &'a Network,
    pub device: String,
    pub history: &'a History,
    pub confusion: &'a Confusion,
    /// Epochs that were done before this process.
    pub resumed: usize,
}

impl Run<'_> {
    /// Writes all files but the pictures of a sweep.
    pub fn write(&self, folder: &Folder) -> Result<()> {
        folder.write("summary.json", &format!("{:#}\n", self.summary()))?;
        folder.write("history.csv", &self.csv())?;
        folder.write("confusion.csv", &self.confusion.csv())?;
        folder.write(
            "loss.svg",
            &plot::loss(&Curves::loss(self.history, "test"))?,
        )?;
        folder.write("accuracy.svg", &plot::accuracy(&self.accuracies())?)?;
        folder.write("learning_rate.svg", &plot::learning_rate(self.history)?)?;
        folder.replace("model.safetensors", |path| {
            self.network.save_safetensors(path)
        })
    }

    /// Confusion matrix, time constants, times, and where the results are.
    pub fn text(&self, folder: &Folder) -> String {
        let mut text = format!("\n{}\n\n", self.confusion.text());
        text += "time constants in ms, from the lowest to the highest (median)\n";
        for constant in self.time_constants() {
            let _ = writeln!(text, "  {}", constant.text());
        }
        let seconds: f64 = self
            .history
            .epochs
            .iter()
            .map(|e| e.time.as_secs_f64())
            .sum();
        let _ = write!(
            text,
            "\naccuracy on {} test sweeps {:.2} %; {seconds:.1} s of training, {:.1} ms a step (median); results:",
            self.confusion.labels.len(),
            100.0 * self.confusion.accuracy(),
            self.history.median_step_time().as_secs_f64() * 1e3,
        );
        for name in FILES {
            let _ = write!(text, "\n  {}", folder.0.join(name).display());
        }
        text
    }

    fn time_constants(&self) -> Vec<TimeConstant> {
        let layers = [(1, "encoders"), (2, "recurrent layer"), (3, "read-out")];
        let kinds = [("alpha", "synapse"), ("beta", "membrane")];
        let all = layers
            .into_iter()
            .flat_map(|layer| kinds.map(|kind| (layer, kind)));
        all.filter_map(|((k, layer), (name, kind))| {
            let own = self.network.layers().get(k - 1)?;
            let learnt = self
                .network
                .parameters()
                .iter()
                .any(|(n, _)| *n == format!("lif{k}.{name}"));
            TimeConstant::new(format!("{layer}, {kind}"), own.constant(name)?, learnt)
        })
        .collect()
    }

    /// Configuration and results; accuracies are fractions.
    fn summary(&self) -> Value {
        let epoch = |record: &spikegrad::train::EpochRecord| {
            let validation = record.validation.as_ref();
            json!({
                "epoch": record.epoch + 1,
                "train_loss": record.train_loss,
                "train_accuracy": training_accuracy(record, self.history),
                "test_loss": validation.map(|v| v.loss),
                "test_accuracy": validation.map(|v| v.accuracy_membrane()),
                "firing_rate": validation.map(|v| v.firing_rate.clone()),
                "seconds": record.time.as_secs_f64(),
            })
        };
        let constants = self.time_constants();
        json!({
            "configuration": {
                "data": self.args.data_dir().to_string_lossy(),
                "recipe": self.recipe.name.to_string(),
                "epochs": self.recipe.epochs,
                "batch_size": self.recipe.batch_size,
                "seed": self.seed,
                "threads": self.args.threads,
                "sizes": self.network.sizes(),
                "parameters": self.network.num_parameters(),
            },
            "device": self.device,
            "warnings": self.history.warnings,
            "test_accuracy": self.confusion.accuracy(),
            "time_constants_ms": constants.iter().map(TimeConstant::json).collect::<Vec<_>>(),
            "epochs": self.history.epochs.iter().map(epoch).collect::<Vec<_>>(),
            "train_step_ms_median": self.history.median_step_time().as_secs_f64() * 1e3,
            "resumed_after_epochs": self.resumed,
        })
    }

    /// A row for each epoch.
    fn csv(&self) -> String {
        let mut text = String::from("epoch,train_loss,train_accuracy,test_loss,test_accuracy\n");
        for record in &self.history.epochs {
            let accuracy = training_accuracy(record, self.history);
            let _ = write!(
                text,
                "{},{},{accuracy}",
                record.epoch + 1,
                record.train_loss
            );
            let _ = match &record.validation {
                Some(v) => writeln!(text, ",{},{}", v.loss, v.accuracy_membrane()),
                None => writeln!(text, ",,"),
            };
        }
        text
    }

    /// Accuracy by the largest membrane, as the loss reads it.
    fn accuracies(&self) -> Curves {
        let mut curves = Curves::accuracy(self.history, "test");
        let reports = self.history.batches.iter().map(|b| &b.report);
        curves.train = reports.map(|report| report.accuracy_membrane()).collect();
        curves
            .validation
            .retain(|series| series.label == "test, membrane");
        curves
    }
}

/// The time constants of a layer's synapses or membranes.
struct TimeConstant {
    name: String,
    /// In ms, in rising order.
    values: Vec<f64>,
    learnt: bool,
}

impl TimeConstant {
    /// From decays per step of 1 ms; `None` where there is no decay.
    fn new(name: String, decays: &Array1<f32>, learnt: bool) -> Option<TimeConstant> {
        let mut values: Vec<f64> = decays.iter().map(|&x| -1.0 / f64::from(x).ln()).collect();
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then_some(TimeConstant {
            name,
            values,
            learnt,
        })
    }

    fn median(&self) -> f64 {
        self.values[self.values.len() / 2]
    }

    fn text(&self) -> String {
        let (low, high) = (self.values[0], self.values[self.values.len() - 1]);
        match self.learnt {
            true => format!(
                "{:<26}{low:.1} to {high:.1} ({:.1})",
                self.name,
                self.median()
            ),
            false => format!("{:<26}{:.1}, not learnt", self.name, self.median()),
        }
    }

    fn json(&self) -> Value {
        let (low, high) = (self.values[0], self.values[self.values.len() - 1]);
        json!({
            "of": self.name,
            "learnt": self.learnt,
            "lowest": low,
            "median": self.median(),
            "highest": high,
        })
    }
}

/// Draws the spikes of both spiking layers for one sweep, and the membranes of the outputs that rise
/// highest.
pub fn draw_sweep(
    engine: &mut dyn Engine,
    test: &InMemory,
    confusion: &Confusion,
    folder: &Folder,
) -> Result<()> {
    let (sweep, labels) = samples(test, &[SHOWN])?;
    let OwnedInput::Sequence(x) = &sweep.input else {
        return Ok(());
    };
    let recording = engine.forward(Input::sequence(x.view()), &Record::All)?;
    let name = |class: usize| NAMES.get(class).copied().unwrap_or("-");
    let [label, answer] = [labels[0], confusion.answers[SHOWN]].map(name);
    let panels = [2, 1].map(|layer| {
        let all = recording.trace(layer).map_or(0, |trace| trace.spk.dim().2);
        Panel::layer(&recording, layer, 0, &(0..all).collect::<Vec<_>>())
    });
    let [recurrent, encoders] = panels;
    let raster = plot::raster(&Raster {
        panels: &[recurrent?, encoders?],
        image: None,
        title: &format!("Spikes for a sweep over {label}, read as {answer}"),
    })?;
    folder.write("raster.svg", &raster)?;

    let mem = &recording.output().mem;
    let scores = recording.scores(ReadOut::MaxMembrane);
    let mut outputs: Vec<usize> = (0..scores.ncols()).collect();
    outputs.sort_by(|&a, &b| scores[[0, b]].total_cmp(&scores[[0, a]]));
    outputs.truncate(OUTPUTS);
    let series = outputs.into_iter().map(|n| Series {
        label: format!("membrane of {}", name(n)),
        points: (0..mem.dim().0)
            .map(|t| (t as f64, f64::from(mem[[t, 0, n]])))
            .collect(),
    });
    folder.write(
        "membranes.svg",
        &plot::signals(&series.collect::<Vec<_>>())?,
    )
}

/// Mean and spread of several runs' accuracies.
pub fn spread(accuracies: &[f64]) -> String {
    let count = accuracies.len() as f64;
    let mean = accuracies.iter().sum::<f64>() / count;
    let squares: f64 = accuracies.iter().map(|a| (a - mean) * (a - mean)).sum();
    let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
    let each: Vec<String> = accuracies
        .iter()
        .map(|a| format!("{:.2}", 100.0 * a))
        .collect();
    format!(
        "\n{count} seeds: mean accuracy {:.2} %, standard deviation {:.2}, each {}",
        100.0 * mean,
        100.0 * deviation,
        each.join(" ")
    )
}
