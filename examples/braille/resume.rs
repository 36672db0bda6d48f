//! `--checkpoint` and `--resume`: a checkpoint after each epoch, and whether a run may go on from one.

use std::{collections::BTreeMap, path::Path};

use spikegrad::{Checkpoint, CheckpointDir, Engine, History, Result, Trainer};

/// The folder `--checkpoint`, locked for this run.
pub struct Checkpoints {
    folder: CheckpointDir,
    trainer: Trainer,
    settings: BTreeMap<String, String>,
}

impl Checkpoints {
    /// Locks the folder. `settings` determine the result, beside what the checkpoint knows of itself.
    pub fn open(
        dir: &Path,
        trainer: &Trainer,
        settings: BTreeMap<String, String>,
    ) -> Result<Checkpoints> {
        Ok(Checkpoints {
            folder: CheckpointDir::open(dir)?,
            trainer: trainer.clone(),
            settings,
        })
    }

    /// What the file system does not offer.
    pub fn warnings(&self) -> Vec<String> {
        self.folder.warnings()
    }

    /// The checkpoint to go on from; `None` for a run from the beginning. `fresh` is an engine as the
    /// command line describes it.
    pub fn find(
        &mut self,
        resume: bool,
        fresh: &mut dyn Engine,
    ) -> std::result::Result<Option<Checkpoint>, String> {
        let dir = self.folder.path().display().to_string();
        let elsewhere = "take another folder for --checkpoint";
        let found = self.folder.load();
        let found = found.map_err(|e| format!("{e}; {elsewhere}, or remove that one"))?;
        let Some(found) = found else {
            return Ok(None);
        };
        let checkpoint = found.checkpoint;
        let done = checkpoint.position.epoch;
        if !resume {
            return Err(format!(
                "{dir} holds a checkpoint already, after epoch {done}: --resume goes on from it; {elsewhere}"
            ));
        }
        let asked = self.checkpoint(fresh, &History::default());
        let same = asked.and_then(|asked| checkpoint.check_same_run(&asked));
        same.map_err(|e| {
            format!("{e} in {dir}: give the options of that run again (--recipe, --seed, --epochs, --data), or {elsewhere}")
        })?;
        if checkpoint.position != checkpoint.history.position() || done > self.trainer.epochs {
            let epochs = self.trainer.epochs;
            return Err(format!(
                "{dir} holds a checkpoint after epoch {done}; expected one of a run of {epochs} epochs; {elsewhere}"
            ));
        }
        Ok(Some(checkpoint))
    }

    /// Writes a checkpoint, while the training goes on.
    pub fn save(&mut self, engine: &mut dyn Engine, history: &History) -> Result<()> {
        let checkpoint = self.checkpoint(engine, history)?;
        self.folder.save_in_background(checkpoint)
    }

    /// Waits until the last checkpoint is on the disk.
    pub fn finish(&mut self) -> Result<()> {
        self.folder.wait()
    }

    fn checkpoint(&self, engine: &mut dyn Engine, history: &History) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::new(engine, &self.trainer, history)?;
        Ok(checkpoint.with_settings(&self.settings))
    }
}
