//! `--checkpoint` and `--resume`: when a checkpoint is written, and whether a run may go on from one.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path, process::ExitCode};

use spikegrad::{
    Checkpoint, CheckpointDir, Engine, Error, History, Trainer,
    data::Dataset,
    train::{Event, Position},
};

use crate::{
    args::Args,
    processes::Processes,
    report,
    signals::{Signal, Signals},
};

/// Batches between two checkpoints, if `--checkpoint-every` does not say.
const EVERY: usize = 100;

/// The folder `--checkpoint`, locked for this run.
pub struct Checkpoints<'a> {
    dir: &'a Path,
    processes: &'a Processes,
    /// The first process alone reads and writes it.
    folder: Option<CheckpointDir>,
    every: usize,
    trainer: Trainer,
    settings: BTreeMap<String, String>,
    /// How many of the folder's warnings are printed.
    warned: usize,
    signals: Signals,
    /// The signal that has ended the run, and where it stands.
    stopped: Option<(Signal, Position)>,
}

/// What else determines the result: the data, and how batches are cut.
pub fn settings([train, test]: [&Dataset; 2], shards: usize) -> BTreeMap<String, String> {
    let settings = [
        ("images", train.len().to_string()),
        ("pixels_crc32", fingerprint(&[train, test])),
    ];
    let mut settings: BTreeMap<String, String> =
        settings.map(|(name, value)| (name.into(), value)).into();
    if shards > 1 {
        settings.insert("shards".into(), shards.to_string());
    }
    settings
}

impl<'a> Checkpoints<'a> {
    /// Locks the folder, and watches for signals from now on. `train` and `test` are the data of the
    /// run.
    pub fn open(
        dir: &'a Path,
        every: Option<usize>,
        trainer: &Trainer,
        data: [&Dataset; 2],
        processes: &'a Processes,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let mut checkpoints = Checkpoints {
            dir,
            folder: match processes.first() {
                true => Some(CheckpointDir::open(dir)?),
                false => None,
            },
            every: every.unwrap_or(EVERY),
            trainer: trainer.clone(),
            settings: settings(data, processes.shards),
            warned: 0,
            signals: Signals::watch(processes.count() == 1)?,
            stopped: None,
            processes,
        };
        checkpoints.warn();
        Ok(checkpoints)
    }

    /// Prints what the folder's file system does not offer, each thing once.
    fn warn(&mut self) {
        let warnings = self.folder.as_ref().map_or_else(Vec::new, |f| f.warnings());
        for warning in warnings.iter().skip(self.warned) {
            report::line("warning", warning);
        }
        self.warned = warnings.len();
    }

    /// The checkpoint to go on from; `None` for a run from the beginning. `fresh` is an engine as the
    /// command line describes it. The first process looks for it, and the others get it.
    pub fn find(
        &mut self,
        args: &Args,
        fresh: &mut dyn Engine,
    ) -> Result<Option<Checkpoint>, String> {
        let found = match self.processes.first() {
            true => self.look(args, fresh)?,
            false => None,
        };
        if self.processes.count() == 1 {
            return Ok(found);
        }
        let text = |error: Error| error.to_string();
        let bytes = found.as_ref().map_or(Ok(Vec::new()), Checkpoint::to_bytes);
        let bytes = self
            .processes
            .broadcast(bytes.map_err(text)?)
            .map_err(text)?;
        match bytes.is_empty() {
            true => Ok(None),
            false => Checkpoint::from_bytes(&bytes).map(Some).map_err(text),
        }
    }

    fn look(&mut self, args: &Args, fresh: &mut dyn Engine) -> Result<Option<Checkpoint>, String> {
        let dir = self.dir.display().to_string();
        let Some(folder) = &mut self.folder else {
            return Ok(None);
        };
        let found = folder.load().map_err(|e| {
            format!("{e}; take another folder for --checkpoint, or remove that one to start afresh")
        })?;
        let Some(found) = found else {
            return Ok(None);
        };
        if let Some(warning) = &found.warning {
            report::line("warning", warning);
        }
        let checkpoint = found.checkpoint;
        let position = checkpoint.history.position();
        let place = place(position);
        if !args.resume {
            return Err(format!(
                "{dir} holds a checkpoint already, {place}: --resume goes on from it; for a new run \
                 take another folder for --checkpoint, or remove that one"
            ));
        }
        let asked = self.checkpoint(fresh, &History::default());
        let asked = asked.map_err(|e| e.to_string())?;
        checkpoint
            .check_same_run(&asked)
            .map_err(|error| match error {
                Error::InvalidParameter {
                    name,
                    value,
                    expected,
                } => format!(
                    "{} {}; expected {} in {dir}: give that again, or take another folder for \
                 --checkpoint (--epochs may be raised, and --early-stopping, --threads, --device, \
                 --out, --quiet and --checkpoint-every may differ)",
                    option(&name),
                    as_given(&name, &value),
                    as_given(&name, &expected),
                ),
                error => error.to_string(),
            })?;
        if checkpoint.position != position {
            return Err(format!(
                "the checkpoint in {dir} comes without the history of its run: another program wrote \
                 it; take another folder for --checkpoint"
            ));
        }
        let Position { epoch, batch } = position;
        if epoch + usize::from(batch > 0) > self.trainer.epochs {
            return Err(format!(
                "--epochs is {}; expected at least {}: the checkpoint in {dir} stands {place}",
                self.trainer.epochs,
                epoch + usize::from(batch > 0),
            ));
        }
        Ok(Some(checkpoint))
    }

    /// What a callback of the trainer does about checkpoints; a signal ends the run.
    pub fn event(
        &mut self,
        engine: &mut dyn Engine,
        event: Event<'_>,
    ) -> spikegrad::Result<ControlFlow<()>> {
        let history = event.history();
        self.processes.raise(self.signals.received());
        let signal = Signal::of(self.processes.raised());
        let due = match event {
            // The last batch's comes when the epoch is validated.
            Event::Batch {
                record, batches, ..
            } => (record.batch + 1).is_multiple_of(self.every) && record.batch + 1 < batches,
            _ => true,
        };
        if let Some(signal) = signal {
            let checkpoint = self.checkpoint(engine, history)?;
            if let Some(folder) = &mut self.folder {
                // One that failed before matters no more if this one is written.
                if let Err(earlier) = folder.wait() {
                    report::line("warning", &earlier.to_string());
                }
                folder.save(&checkpoint)?;
            }
            self.stopped = Some((signal, checkpoint.position));
        } else if due {
            // The moments come from all processes.
            let checkpoint = self.checkpoint(engine, history)?;
            if let Some(folder) = &mut self.folder {
                folder.save_in_background(checkpoint)?;
            }
        }
        Ok(match signal {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(()),
        })
    }

    /// Waits until the last checkpoint is on the disk. The exit code, its message printed, where a
    /// signal has ended the run.
    pub fn finish(&mut self) -> spikegrad::Result<Option<ExitCode>> {
        if let Some(folder) = &mut self.folder {
            folder.wait()?;
        }
        self.warn();
        Ok(self.stopped.map(|(signal, position)| {
            if self.folder.is_some() {
                report::line(
                    "stopped",
                    &format!(
                        "by {}, {}; the checkpoint in {} is written, and --resume goes on from it",
                        signal.name(),
                        place(position),
                        self.dir.display()
                    ),
                );
            }
            ExitCode::from(signal.exit_code())
        }))
    }

    /// What the user is told of an error: how far the run has come, and which checkpoint there is. The
    /// save that is on its way is waited for.
    pub fn explain(&mut self, error: &Error, run: &str) -> String {
        let dir = self.dir.display().to_string();
        let Some(folder) = &mut self.folder else {
            return error.to_string();
        };
        let earlier = folder.wait().err();
        let last = match folder.load() {
            Ok(Some(found)) => {
                let place = place(found.checkpoint.position);
                format!(
                    "the last checkpoint in {dir}, {place}, is as it was: --resume goes on from it"
                )
            }
            Ok(None) => format!("there is no checkpoint in {dir} to go on from"),
            Err(again) if again.to_string() == error.to_string() => {
                format!("and nothing in {dir} is its own to go on from")
            }
            Err(again) => format!("and the checkpoint cannot be read either: {again}"),
        };
        let earlier = earlier.map_or_else(String::new, |e| format!(" (an earlier save: {e})"));
        format!("{error}; {run}, {last}{earlier}")
    }

    fn checkpoint(
        &self,
        engine: &mut dyn Engine,
        history: &History,
    ) -> spikegrad::Result<Checkpoint> {
        let checkpoint = Checkpoint::new(engine, &self.trainer, history)?;
        Ok(checkpoint.with_settings(&self.settings))
    }
}

/// `after epoch 2, batch 100`: counted from 1, as in all output.
pub fn place(position: Position) -> String {
    match position {
        Position { epoch: 0, batch: 0 } => "before the first batch".into(),
        Position { epoch, batch: 0 } => format!("after epoch {epoch}"),
        Position { epoch, batch } => format!("after epoch {}, batch {batch}", epoch + 1),
    }
}

/// The option that sets a value of the configuration, for `NAME is …`.
fn option(name: &str) -> String {
    let field = name.split_once('.').map_or(name, |(_, field)| field);
    let option = match (name, field) {
        ("network.sizes", _) => "the network (--hidden, --data)",
        ("setting.shards", _) => "--shards",
        ("setting.images", _) => "the number of training images (--limit)",
        ("setting.pixels_crc32", _) => "the CRC-32 of the images (--data, --split, --transpose)",
        (_, "beta") => "--beta",
        (_, "threshold") => "--threshold",
        ("optimizer", _) | (_, "decoupled") => "--optimizer",
        (_, "lr") => "--lr",
        (_, "momentum") => "--momentum",
        (_, "weight_decay") => "--weight-decay",
        (_, "clip_norm") => "--clip-norm",
        ("schedule", _) => "--schedule (or --epochs, which sets its length)",
        ("schedule.warmup", _) => "--warmup",
        ("trainer.accumulate", _) => "--accumulate",
        ("trainer.truncate", _) => "--truncate",
        ("trainer.batch_size", _) => "--batch-size",
        ("trainer.num_steps", _) => "--steps",
        ("trainer.seed", _) => "--seed",
        _ => name,
    };
    format!("{option} is")
}

/// A value of the configuration as the option takes it.
fn as_given(name: &str, value: &str) -> String {
    match name.ends_with(".decoupled") {
        true => value.replace("true", "adamw").replace("false", "adam"),
        false => value.into(),
    }
}

/// The CRC-32 of all pixels and labels.
fn fingerprint(data: &[&Dataset]) -> String {
    let mut hasher = crc32fast::Hasher::new();
    for data in data {
        // Rows lie one after another.
        hasher.update(data.images().as_slice().unwrap_or_default());
        hasher.update(data.labels());
    }
    format!("{:08x}", hasher.finalize())
}
