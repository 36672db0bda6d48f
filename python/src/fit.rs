//! `Engine.fit`: the library's training loop on arrays.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

use pyo3::{exceptions::PyTypeError, prelude::*, types::PyList};
use spikegrad::{
    Checkpoint, CheckpointDir, Engine as _, Error, History, Network, Trainer,
    data::Data,
    train::{EarlyStopping, Event, best_epoch},
};

use crate::{
    data::{Arrays, Samples},
    errors::{OrRaise, detached, invalid, keep},
    history::{append, py_batch, py_epoch, rust_history},
    shared::Shared,
};

/// Time between two looks at the progress within an epoch.
const TICK: Duration = Duration::from_millis(200);

/// A run of the training loop.
pub struct Run<'py> {
    pub shared: Shared<f32>,
    pub trainer: Trainer,
    pub early_stopping: Option<usize>,
    pub progress: bool,
    pub callback: Option<Bound<'py, PyAny>>,
    pub checkpoint: Option<PathBuf>,
    pub resume: bool,
}

impl<'py> Run<'py> {
    /// Trains, and returns the history.
    pub fn fit(
        self,
        py: Python<'py>,
        train: &Arrays<'py>,
        validation: Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
        num_steps: Option<usize>,
        history: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let validation = validation.map(|(x, y)| Arrays::new(&x, &y, num_steps, "validation "));
        let validation = validation.transpose()?;
        if self.early_stopping.is_some() && validation.is_none() {
            let message = "early_stopping is given without validation; expected a validation set, whose loss decides";
            return Err(invalid(py, message));
        }
        if self.resume && self.checkpoint.is_none() {
            return Err(invalid(
                py,
                "resume is True without checkpoint; expected the folder of the checkpoints",
            ));
        }
        if self.resume && history.is_some() {
            return Err(invalid(
                py,
                "history is given with resume; expected one of them: the checkpoint has its own",
            ));
        }
        let class = py.import("spikegrad.recording")?.getattr("History")?;
        let target = history.map_or_else(|| class.call0(), Ok)?;
        if !target.is_instance(&class)? {
            let found = target.get_type();
            return Err(PyTypeError::new_err(format!(
                "history is a {found}; expected a History"
            )));
        }
        for name in ["batches", "epochs", "warnings"] {
            target.getattr(name)?.cast::<PyList>()?;
        }
        let mut measured = rust_history(&target)?;
        let folder = self.checkpoint.as_ref().map(CheckpointDir::open);
        let mut folder = folder.transpose().or_raise(py)?;
        if let Some(folder) = folder.as_mut().filter(|_| !self.resume)
            && folder.load().or_raise(py)?.is_some()
        {
            let path = folder.path().display();
            let expected = "resume=True to go on, or another folder";
            return Err(invalid(
                py,
                format!("checkpoint={path} has the checkpoint of a run; expected {expected}"),
            ));
        }
        let lr = self
            .shared
            .run(py, |engine| engine.to_optimizer())?
            .rule
            .lr();
        let settings = self.settings(&train.data(), lr);
        if let Some(folder) = folder.as_mut().filter(|_| self.resume) {
            self.go_on(py, folder, &settings, &mut measured)?;
        }
        let known = match self.resume {
            true => (0, 0),
            false => (measured.batches.len(), measured.epochs.len()),
        };
        let validation = validation.as_ref();
        let trained = self.run(
            py,
            train,
            validation,
            &mut measured,
            folder.as_mut(),
            &settings,
        );
        // What is measured is kept, however the run has ended.
        append(&target, &measured, known)?;
        trained?;
        Ok(target)
    }

    /// What determines the run besides the checkpoint's own configuration: the data's shapes, and the learning
    /// rate that the script begins with, since a callback may change it.
    fn settings(&self, train: &Samples<'_>, lr: f64) -> BTreeMap<String, String> {
        let settings = [
            ("python.x", train.describe()),
            ("python.lr", format!("{lr:?}")),
        ];
        settings.map(|(name, value)| (name.into(), value)).into()
    }

    /// Puts engine and history where the last checkpoint stands.
    fn go_on(
        &self,
        py: Python<'_>,
        folder: &mut CheckpointDir,
        settings: &BTreeMap<String, String>,
        history: &mut History,
    ) -> PyResult<()> {
        let Some(found) = folder.load().or_raise(py)? else {
            return Ok(());
        };
        if let Some(warning) = &found.warning {
            warn(py, warning)?;
        }
        let kept = found.checkpoint;
        let (trainer, mut shared) = (&self.trainer, self.shared.clone());
        let continued = detached(py, || {
            let now = Checkpoint::new(&mut shared, trainer, history)?;
            let mut now = now.with_settings(settings);
            now.optimizer.rule.set_lr(kept.optimizer.rule.lr());
            kept.check_same_run(&now)?;
            shared.set_network(kept.network)?;
            shared.set_optimizer(kept.optimizer)?;
            Ok(kept.history)
        });
        *history = continued?;
        Ok(())
    }

    fn run(
        &self,
        py: Python<'_>,
        train: &Arrays<'py>,
        validation: Option<&Arrays<'py>>,
        history: &mut History,
        mut folder: Option<&mut CheckpointDir>,
        settings: &BTreeMap<String, String>,
    ) -> PyResult<()> {
        for warning in folder.iter().flat_map(|folder| folder.warnings()) {
            warn(py, &warning)?;
        }
        let progress = match self.progress {
            false => None,
            true => {
                let class = py.import("spikegrad._progress")?.getattr("Progress")?;
                Some(class.call1((self.trainer.epochs,))?.unbind())
            }
        };
        let (train, validation) = (train.data(), validation.map(Arrays::data));
        let kept_in = folder.as_ref().map(|folder| folder.path().to_path_buf());
        let mut best = match self.early_stopping {
            Some(patience) => Some(Best::find(patience, kept_in, history).or_raise(py)?),
            None => None,
        };
        let network = self.shared.run(py, |engine| engine.to_network())?;
        let validated = validation.as_ref().map(|data| data as &dyn Data);
        for warning in self.trainer.warnings(&network, &train, validated) {
            warn(py, &warning)?;
        }
        drop(network);
        let callback = self
            .callback
            .as_ref()
            .map(|callback| callback.clone().unbind());
        let (trainer, mut shared) = (&self.trainer, self.shared.clone());
        let checkpoint = |engine: &mut dyn spikegrad::Engine, history: &History| {
            Ok(Checkpoint::new(engine, trainer, history)?.with_settings(settings))
        };
        let mut ticked = Instant::now();
        let fitted = detached(py, || {
            let validation = validation.as_ref().map(|data| data as &dyn Data);
            let over = best
                .as_ref()
                .is_some_and(|best| best.stopping.is_over(history));
            let each = |engine: &mut dyn spikegrad::Engine, event: Event<'_>| {
                let told = Python::attach(|py| {
                    py.check_signals()?;
                    if let Some(progress) = &progress {
                        tell(progress.bind(py), event, &mut ticked)?;
                    }
                    match &callback {
                        Some(callback) => call(callback.bind(py), event),
                        None => Ok(ControlFlow::Continue(())),
                    }
                });
                let told = told.map_err(keep)?;
                let Event::Epoch { history, .. } = event else {
                    return Ok(told);
                };
                let stop = match &mut best {
                    Some(best) => best.epoch(engine, history)?,
                    None => ControlFlow::Continue(()),
                };
                if let Some(folder) = &mut folder {
                    folder.save_in_background(checkpoint(engine, history)?)?;
                }
                Ok(if told.is_break() { told } else { stop })
            };
            let (before, updates) = (history.batches.len(), shared.to_optimizer()?.steps());
            if !over {
                let fitted = trainer.fit_into(&mut shared, &train, validation, history, each);
                // A run that has ended within an epoch is kept where it stands, if the engine stands there
                // too: windows of a batch that has failed, or a callback, may have updated it.
                let here = &history.batches[before.min(history.batches.len())..];
                let made = here
                    .iter()
                    .map(|b| trainer.updates_per_batch(b.num_steps) as u64);
                let stands = shared.to_optimizer()?.steps() == updates + made.sum::<u64>();
                let within = fitted.is_err() || history.position().batch > 0;
                let kept = match &mut folder {
                    Some(folder) if within && stands => {
                        checkpoint(&mut shared, history).and_then(|here| folder.save(&here))
                    }
                    Some(folder) => folder.wait(),
                    None => Ok(()),
                };
                fitted.and(kept)?;
            }
            match best.and_then(|best| best.network) {
                Some(network) => shared.set_network(network),
                None => Ok(()),
            }
        });
        if let Some(progress) = &progress {
            progress.bind(py).call_method0("close")?;
        }
        fitted
    }
}

/// The network of the epoch with the lowest validation loss: in memory, and beside the checkpoints, so that a
/// resumed run finds it.
struct Best {
    stopping: EarlyStopping,
    folder: Option<PathBuf>,
    network: Option<Network>,
}

impl Best {
    /// Where a run with this history has come.
    fn find(
        patience: usize,
        folder: Option<PathBuf>,
        history: &History,
    ) -> spikegrad::Result<Self> {
        let mut best = Best {
            stopping: EarlyStopping::new(patience),
            folder,
            network: None,
        };
        if let Some(epoch) = best_epoch(history) {
            let Some(path) = best.path(epoch) else {
                return Err(Error::InvalidParameter {
                    name: "early_stopping".into(),
                    value: format!("given, and epoch {} of the history is the best", epoch + 1),
                    expected: "its network, which checkpoint=FOLDER and resume=True keep".into(),
                });
            };
            best.network = Some(Network::load(path)?);
        }
        Ok(best)
    }

    /// The file of an epoch.
    fn path(&self, epoch: usize) -> Option<PathBuf> {
        let name = format!("best-epoch-{}.safetensors", epoch + 1);
        Some(self.folder.as_ref()?.join(name))
    }

    /// After an epoch: keeps its network if it is the best, and tells whether to stop. The file of the best
    /// before stays, since the last checkpoint may be older than this epoch; those before it go.
    fn epoch(
        &mut self,
        engine: &mut dyn spikegrad::Engine,
        history: &History,
    ) -> spikegrad::Result<ControlFlow<()>> {
        let last = history.epochs.len().saturating_sub(1);
        if best_epoch(history) == Some(last) {
            let network = engine.to_network()?;
            if let Some(path) = self.path(last) {
                network.save_safetensors(path)?;
                let mut earlier = history.clone();
                earlier.epochs.truncate(last);
                let before = best_epoch(&earlier);
                let others = (0..last).filter(|epoch| Some(*epoch) != before);
                for path in others.filter_map(|epoch| self.path(epoch)) {
                    // One that is not there, or stays, does no harm.
                    let _ = std::fs::remove_file(path);
                }
            }
            self.network = Some(network);
        }
        Ok(match self.stopping.is_over(history) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }
}

/// A warning of the library as Python's.
fn warn(py: Python<'_>, warning: &str) -> PyResult<()> {
    py.import("warnings")?
        .call_method1("warn", (warning,))
        .map(drop)
}

/// Shows the progress: each epoch, and now and then a batch.
fn tell(progress: &Bound<'_, PyAny>, event: Event<'_>, ticked: &mut Instant) -> PyResult<()> {
    match event {
        Event::Batch {
            record, batches, ..
        } if ticked.elapsed() >= TICK => {
            *ticked = Instant::now();
            let done = (record.epoch, record.batch + 1, batches, record.report.loss);
            progress.call_method1("batch", done).map(drop)
        }
        Event::Epoch { record, .. } => progress
            .call_method1("epoch", (py_epoch(progress.py(), record)?,))
            .map(drop),
        _ => Ok(()),
    }
}

/// Calls the callback; `False` ends the run.
fn call(callback: &Bound<'_, PyAny>, event: Event<'_>) -> PyResult<ControlFlow<()>> {
    let py = callback.py();
    let record = match event {
        Event::Batch { record, .. } => py_batch(py, record)?,
        Event::Epoch { record, .. } => py_epoch(py, record)?,
        _ => return Ok(ControlFlow::Continue(())),
    };
    let answer = callback.call1((record,))?;
    if answer.is_none() {
        return Ok(ControlFlow::Continue(()));
    }
    // Also numpy's `bool`.
    match answer.extract::<bool>() {
        Ok(true) => Ok(ControlFlow::Continue(())),
        Ok(false) => Ok(ControlFlow::Break(())),
        Err(_) => {
            let found = answer.get_type();
            let expected = "expected None or a bool";
            Err(PyTypeError::new_err(format!(
                "the callback returned a {found}; {expected}"
            )))
        }
    }
}
