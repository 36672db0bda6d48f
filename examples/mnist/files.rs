//! What is written into `--out`.
//!
//! Each file is written under another name beside its place and then renamed, so a file from an
//! earlier run is replaced by a whole one or not at all. Nothing else in the folder is touched.

use std::{
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
    process,
};

use serde_json::json;
use spikegrad::{
    Engine, Error, Network, Optimizer, Result, Trainer,
    data::Dataset,
    train::{History, Position, best_epoch},
};

use crate::{args::Args, inside, memory, optimizer};

/// Every file, in the order in which they are listed at the end.
pub const NAMES: [&str; 9] = [
    "summary.json",
    "history.csv",
    "loss.svg",
    "accuracy.svg",
    "gradients.svg",
    "learning_rate.svg",
    "raster.svg",
    "traces.svg",
    "model.safetensors",
];

/// The folder `--out`.
pub struct Folder {
    dir: PathBuf,
}

impl Folder {
    /// Creates the folder where there is none, and makes sure that all files can be written.
    pub fn create(dir: &Path) -> Result<Folder> {
        fs::create_dir_all(dir).map_err(|source| failed("create", dir, source))?;
        for path in NAMES.map(|name| dir.join(name)) {
            if path.is_dir() {
                let source = io::Error::new(
                    io::ErrorKind::IsADirectory,
                    "a folder is there; expected a file, or nothing",
                );
                return Err(failed("write", &path, source));
            }
        }
        let folder = Folder { dir: dir.into() };
        let probe = folder.temporary("probe");
        let tried = fs::write(&probe, b"probe\n").map_err(|source| failed("write", &probe, source));
        // Where nothing could be written there may be nothing to remove.
        let _ = fs::remove_file(&probe);
        tried.map(|()| folder)
    }

    /// Replaces the file `name` by this text.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        self.replace(name, |path| {
            fs::write(path, text).map_err(|source| failed("write", path, source))
        })
    }

    /// Replaces the file `name` by what `write` writes at the path it is given.
    pub fn replace(&self, name: &str, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let (temporary, path) = (self.temporary(name), self.path(name));
        let written = write(&temporary).and_then(|()| {
            fs::rename(&temporary, &path).map_err(|source| failed("replace", &path, source))
        });
        if written.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes the file `name` of an earlier run, if there is one.
    pub fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", &path, source))
            }
            _ => Ok(()),
        }
    }

    /// Where the file `name` is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.dir.join(format!(".{name}.{}.tmp", process::id()))
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io {
        action,
        path: path.into(),
        source,
    }
}

/// What `summary.json` tells of.
pub struct Run<'a> {
    pub args: &'a Args,
    pub sizes: &'a [usize],
    pub data_dir: &'a Path,
    pub train: &'a Dataset,
    pub engine: &'a dyn Engine,
    pub network: &'a Network,
    pub optimizer: &'a Optimizer,
    pub trainer: &'a Trainer,
    pub history: &'a History,
    pub neurons: &'a inside::Neurons,
    /// Shards of a batch, and processes that share them, where there are several.
    pub shards: [usize; 2],
    /// Where it went on from.
    pub resumed: Position,
    pub seconds: f64,
}

/// `summary.json`: configuration, device, the epochs' results (accuracies as fractions, mean norms of
/// the gradients that were measured), neurons that are silent or saturated in the trained network,
/// times and memory (of this process alone, where it went on from a checkpoint).
pub fn summary(run: &Run<'_>) -> String {
    let (args, history) = (run.args, run.history);
    let epoch = |record: &spikegrad::train::EpochRecord| {
        let validation = record.validation.as_ref();
        let inactive = (run.trainer).inactive_layers(run.network, history, record.epoch);
        json!({
            "epoch": record.epoch + 1,
            "train_loss": record.train_loss,
            "learning_rate": last_rate(history, record.epoch),
            "val_loss": validation.map(|v| v.loss),
            "val_accuracy_spike_count": validation.map(|v| v.accuracy_spike_count()),
            "val_accuracy_membrane": validation.map(|v| v.accuracy_membrane()),
            "firing_rate": validation.map(|v| v.firing_rate.clone()),
            "gradient_norms": inside::mean_norms(history, record.epoch),
            "warnings": inactive.iter().map(|layer| layer.to_string()).collect::<Vec<_>>(),
            "seconds": record.time.as_secs_f64(),
        })
    };
    let mut summary = json!({
        "configuration": {
            "data": run.data_dir.to_string_lossy(),
            "split": args.split,
            "transpose": args.transpose,
            "training_images": run.train.len(),
            "sizes": run.sizes,
            "epochs": args.epochs,
            "batch_size": args.batch_size,
            "steps": args.steps,
            "beta": args.beta,
            "threshold": args.threshold,
            "optimizer": optimizer::describe(run.optimizer),
            "lr": run.optimizer.rule.lr(),
            "clip_norm": run.optimizer.clip_norm,
            "accumulate": args.accumulate,
            "truncate": args.truncate,
            "early_stopping": args.early_stopping,
            "keep_best": args.keep_best,
            "seed": args.seed,
            "device": args.device.to_string(),
            "threads": args.threads,
        },
        "device": run.engine.describe(),
        "warnings": history.warnings,
        "best_epoch": best_epoch(history).map(|epoch| epoch + 1),
        "epochs": history.epochs.iter().map(epoch).collect::<Vec<_>>(),
        "neurons": run.neurons.json(),
        "train_step_ms_median": history.median_step_time().as_secs_f64() * 1e3,
        "resumed_after": {"epochs": run.resumed.epoch, "batches": run.resumed.batch},
        "total_seconds": run.seconds,
        "peak_rss_bytes": memory::peak_rss(),
    });
    let [shards, processes] = run.shards;
    if shards > 1 {
        summary["configuration"]["shards"] = shards.into();
        summary["configuration"]["processes"] = processes.into();
    }
    format!("{summary:#}\n")
}

/// The learning rate of an epoch's last update.
fn last_rate(history: &History, epoch: usize) -> Option<f64> {
    let mut batches = history.batches.iter().rev();
    batches.find(|b| b.epoch == epoch).map(|b| b.learning_rate)
}

/// `history.csv`: a row for each training batch; epochs and batches are counted from 1, and the
/// accuracy is a fraction, by spike count.
pub fn history(history: &History) -> String {
    let mut text = String::from("epoch,batch,loss,accuracy,learning_rate\n");
    for record in &history.batches {
        let (epoch, batch, report) = (record.epoch + 1, record.batch + 1, &record.report);
        let (loss, accuracy) = (report.loss, report.accuracy_spike_count());
        let rate = record.learning_rate;
        writeln!(text, "{epoch},{batch},{loss},{accuracy},{rate}")
            .expect("a String takes all text");
    }
    text
}
