//! `Engine.fit`: the library's training loop on arrays.

use std::{
    collections::BTreeMap,
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

use numpy::{
    PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray2, PyReadonlyArray3,
    PyUntypedArrayMethods,
    ndarray::{ArrayView2, ArrayView3, Axis},
};
use pyo3::{exceptions::PyTypeError, prelude::*, types::PyList};
use spikegrad::{
    Checkpoint, CheckpointDir, Engine as _, Error, History, Network, StepReport, Trainer,
    data::{Data, Draw, OwnedSamples},
    train::{BatchRecord, EarlyStopping, EpochRecord, Event, best_epoch},
};

use crate::{
    arrays::{HeldTargets, numbers},
    engine::py_report,
    errors::{OrRaise, detached, invalid, keep},
    shared::Shared,
};

/// Time between two looks at the progress within an epoch.
const TICK: Duration = Duration::from_millis(200);

/// The arrays of a data set, samples first.
pub struct Arrays<'py> {
    x: HeldX<'py>,
    y: HeldTargets<'py, f32>,
}

enum HeldX<'py> {
    Constant(PyReadonlyArray2<'py, f32>),
    Sequences(PyReadonlyArray3<'py, f32>),
    /// A function that returns the samples of some numbers, how many there are, and the steps of constant inputs.
    Source(Bound<'py, PyAny>, usize, Option<usize>),
}

impl<'py> Arrays<'py> {
    /// Of the inputs `[N, F]` or `[N, T, F]` and a target for each; `what` goes before their names.
    pub fn new(
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        num_steps: Option<usize>,
        what: &str,
    ) -> PyResult<Self> {
        let py = x.py();
        if x.is_callable() {
            let samples = y.extract().map_err(|_| {
                let expected = "the number of samples that the function x can be asked for";
                PyTypeError::new_err(format!(
                    "{what}y is not a whole number; expected {expected}"
                ))
            })?;
            let x = HeldX::Source(x.clone(), samples, num_steps);
            return Ok(Arrays {
                x,
                y: HeldTargets::Classes(Vec::new()),
            });
        }
        let array = numbers::<f32>(x, "x")?;
        let x = match array.ndim() {
            2 if num_steps.is_none() => {
                let message =
                    format!("num_steps is None; expected the number of steps of {what}x [N, F]");
                return Err(invalid(py, message));
            }
            2 => HeldX::Constant(array.cast::<PyArray2<f32>>()?.try_readonly()?),
            3 => HeldX::Sequences(array.cast::<PyArray3<f32>>()?.try_readonly()?),
            _ => {
                let shape = array.shape();
                let message = format!("{what}x has shape {shape:?}; expected [N, F] or [N, T, F]");
                return Err(invalid(py, message));
            }
        };
        let arrays = Arrays {
            x,
            y: HeldTargets::new(y)?,
        };
        let samples = match arrays.data() {
            Samples {
                x: X::Constant(x), ..
            } => x.nrows(),
            Samples {
                x: X::Sequences(x), ..
            } => {
                let steps = x.dim().1;
                if let Some(given) = num_steps
                    && given != steps
                {
                    let message = format!(
                        "num_steps is {given}; expected {steps}, the steps of {what}x [N, T, F], or None"
                    );
                    return Err(invalid(py, message));
                }
                x.dim().0
            }
            Samples {
                x: X::Source { samples, .. },
                ..
            } => samples,
        };
        let targets = match &arrays.y {
            HeldTargets::Classes(classes) => classes.len(),
            HeldTargets::Values(values) => values.as_array().nrows(),
            HeldTargets::Sequence(values) => values.as_array().dim().0,
        };
        if targets != samples {
            let message = format!(
                "{what}y has {targets} targets; expected {samples}, one for each sample of {what}x, whose first axis \
                 counts samples"
            );
            return Err(invalid(py, message));
        }
        Ok(arrays)
    }

    /// Views of them.
    fn data(&self) -> Samples<'_> {
        Samples {
            x: match &self.x {
                HeldX::Constant(x) => X::Constant(x.as_array()),
                HeldX::Sequences(x) => X::Sequences(x.as_array()),
                HeldX::Source(function, samples, num_steps) => X::Source {
                    function: function.clone().unbind(),
                    samples: *samples,
                    num_steps: *num_steps,
                },
            },
            y: match &self.y {
                HeldTargets::Classes(classes) => Y::Classes(classes),
                HeldTargets::Values(values) => Y::Values(values.as_array()),
                HeldTargets::Sequence(values) => Y::Sequences(values.as_array()),
            },
        }
    }
}

/// Views of a data set, which the trainer draws batches from.
struct Samples<'a> {
    x: X<'a>,
    y: Y<'a>,
}

enum X<'a> {
    Constant(ArrayView2<'a, f32>),
    Sequences(ArrayView3<'a, f32>),
    Source {
        function: Py<PyAny>,
        samples: usize,
        num_steps: Option<usize>,
    },
}

enum Y<'a> {
    Classes(&'a [usize]),
    Values(ArrayView2<'a, f32>),
    Sequences(ArrayView3<'a, f32>),
}

impl Data for Samples<'_> {
    fn len(&self) -> usize {
        match &self.x {
            X::Constant(x) => x.nrows(),
            X::Sequences(x) => x.dim().0,
            X::Source { samples, .. } => *samples,
        }
    }

    fn num_steps(&self) -> Option<usize> {
        match &self.x {
            X::Constant(_) | X::Source { .. } => None,
            X::Sequences(x) => Some(x.dim().1),
        }
    }

    fn fill(&self, draw: Draw<'_>, batch: &mut OwnedSamples) -> spikegrad::Result<()> {
        let (indices, samples) = (draw.indices, draw.indices.len());
        match &self.x {
            X::Constant(x) => {
                let mut rows = batch.constant([samples, x.ncols()]).outer_iter_mut();
                for (row, &index) in { &mut rows }.zip(indices) {
                    { row }.assign(&x.row(index));
                }
            }
            X::Sequences(x) => {
                let (_, steps, features) = x.dim();
                let all = batch.sequence([steps, samples, features]);
                for (mut sample, &index) in all.axis_iter_mut(Axis(1)).zip(indices) {
                    sample.assign(&x.index_axis(Axis(0), index));
                }
            }
            X::Source {
                function,
                num_steps,
                ..
            } => {
                let asked = Python::attach(|py| ask(function.bind(py), draw, *num_steps, batch));
                return asked.map_err(keep);
            }
        }
        match &self.y {
            Y::Classes(classes) => {
                batch
                    .classes()
                    .extend(indices.iter().map(|&index| classes[index]));
            }
            Y::Values(values) => {
                let all = batch.values([samples, values.ncols()]);
                for (mut row, &index) in all.outer_iter_mut().zip(indices) {
                    row.assign(&values.row(index));
                }
            }
            Y::Sequences(values) => {
                let (_, steps, outputs) = values.dim();
                let all = batch.sequence_values([steps, samples, outputs]);
                for (mut sample, &index) in all.axis_iter_mut(Axis(1)).zip(indices) {
                    sample.assign(&values.index_axis(Axis(0), index));
                }
            }
        }
        Ok(())
    }

    fn check(&self, network: &spikegrad::Network, what: &str) -> spikegrad::Result<()> {
        let (found, features) = match &self.x {
            X::Constant(x) => (x.shape(), x.ncols()),
            X::Sequences(x) => (x.shape(), x.dim().2),
            // What it returns is checked as it is drawn.
            X::Source { .. } => return Ok(()),
        };
        let shape = |what: String, expected: String, found: &[usize]| {
            Err(Error::Shape {
                what,
                expected,
                found: found.to_vec(),
            })
        };
        if features != network.inputs() {
            let axes = if found.len() == 2 { "[N, " } else { "[N, T, " };
            let expected = format!("{axes}{}], the network's inputs", network.inputs());
            return shape(format!("{what} x"), expected, found);
        }
        let outputs = network.outputs();
        let (found, columns) = match &self.y {
            Y::Classes(classes) => {
                let mut wrong = classes
                    .iter()
                    .enumerate()
                    .filter(|(_, class)| **class >= outputs);
                return match wrong.next() {
                    None => Ok(()),
                    Some((index, class)) => Err(Error::InvalidParameter {
                        name: format!("{what} y[{index}]"),
                        value: class.to_string(),
                        expected: format!(
                            "a class below {outputs}, the number of the network's outputs"
                        ),
                    }),
                };
            }
            Y::Values(values) => (values.shape(), values.ncols()),
            Y::Sequences(values) => (values.shape(), values.dim().2),
        };
        match columns == outputs {
            true => Ok(()),
            false => shape(
                format!("{what} y"),
                format!("{outputs} outputs, as the network"),
                found,
            ),
        }
    }
}

/// Fills a batch with what a function returns for the numbers of its samples.
fn ask(
    function: &Bound<'_, PyAny>,
    draw: Draw<'_>,
    num_steps: Option<usize>,
    batch: &mut OwnedSamples,
) -> PyResult<()> {
    let (py, samples) = (function.py(), draw.indices.len());
    let numbers = PyArray1::from_iter(py, draw.indices.iter().map(|&index| index as i64));
    let returned = function.call1((numbers, draw.epoch))?;
    let (x, y): (Bound<'_, PyAny>, Bound<'_, PyAny>) = returned.extract().map_err(|_| {
        let found = returned.get_type();
        PyTypeError::new_err(format!(
            "the function x returned a {found}; expected (x, y)"
        ))
    })?;
    if x.is_callable() {
        return Err(invalid(
            py,
            "the function x returned a function; expected arrays (x, y)",
        ));
    }
    let arrays = Arrays::new(&x, &y, num_steps, "")?;
    let data = arrays.data();
    if data.len() != samples {
        let found = data.len();
        let message = format!(
            "the function x returned {found} samples; expected {samples}, those it was asked for"
        );
        return Err(invalid(py, message));
    }
    let all: Vec<usize> = (0..samples).collect();
    data.fill(Draw::new(&all, draw.epoch), batch).or_raise(py)
}

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
        train: &Arrays<'py>,
        validation: Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>,
        num_steps: Option<usize>,
        history: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = self.python(train);
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
        let target = match history {
            Some(history) => history,
            None => py
                .import("spikegrad.recording")?
                .getattr("History")?
                .call0()?,
        };
        let class = py.import("spikegrad.recording")?.getattr("History")?;
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

    fn python(&self, train: &Arrays<'py>) -> Python<'py> {
        match &train.x {
            HeldX::Constant(x) => x.py(),
            HeldX::Sequences(x) => x.py(),
            HeldX::Source(function, ..) => function.py(),
        }
    }

    /// What determines the run besides the checkpoint's own configuration: the data's shapes, and the learning
    /// rate that the script begins with, since a callback may change it.
    fn settings(&self, train: &Samples<'_>, lr: f64) -> BTreeMap<String, String> {
        let data = match &train.x {
            X::Constant(x) => format!("{:?}", x.shape()),
            X::Sequences(x) => format!("{:?}", x.shape()),
            X::Source { samples, .. } => format!("{samples} samples of a function"),
        };
        let settings = [("python.x", data), ("python.lr", format!("{lr:?}"))];
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

fn py_batch<'py>(py: Python<'py>, record: &BatchRecord) -> PyResult<Bound<'py, PyAny>> {
    let report = py_report(py, &record.report)?;
    let fields = (
        record.epoch,
        record.batch,
        report,
        record.step_time.as_secs_f64(),
        record.learning_rate,
        record.num_steps,
    );
    py.import("spikegrad.recording")?
        .getattr("BatchRecord")?
        .call1(fields)
}

fn py_epoch<'py>(py: Python<'py>, record: &EpochRecord) -> PyResult<Bound<'py, PyAny>> {
    let validation = record
        .validation
        .as_ref()
        .map(|report| py_report(py, report))
        .transpose()?;
    let fields = (
        record.epoch,
        record.train_loss,
        validation,
        record.time.as_secs_f64(),
    );
    py.import("spikegrad.recording")?
        .getattr("EpochRecord")?
        .call1(fields)
}

/// Appends what a history has in addition to `known` batches and epochs to the package's.
fn append(
    target: &Bound<'_, PyAny>,
    history: &History,
    (batches, epochs): (usize, usize),
) -> PyResult<()> {
    let py = target.py();
    let list = |name: &str| Ok::<_, PyErr>(target.getattr(name)?.cast_into::<PyList>()?);
    let (own_batches, own_epochs, warnings) =
        (list("batches")?, list("epochs")?, list("warnings")?);
    for record in history.batches.iter().skip(batches) {
        own_batches.append(py_batch(py, record)?)?;
    }
    for record in history.epochs.iter().skip(epochs) {
        own_epochs.append(py_epoch(py, record)?)?;
    }
    for warning in &history.warnings {
        if !warnings.contains(warning)? {
            warnings.append(warning)?;
        }
    }
    Ok(())
}

/// The package's history as the library's.
pub fn rust_history(history: &Bound<'_, PyAny>) -> PyResult<History> {
    let py = history.py();
    let seconds = |record: &Bound<'_, PyAny>| -> PyResult<Duration> {
        let seconds = record.getattr("seconds")?.extract()?;
        Duration::try_from_secs_f64(seconds)
            .map_err(|error| invalid(py, format!("seconds is {seconds}: {error}")))
    };
    let mut found = History::default();
    for record in history.getattr("batches")?.try_iter()? {
        let record = record?;
        found.batches.push(BatchRecord::new(
            record.getattr("epoch")?.extract()?,
            record.getattr("batch")?.extract()?,
            rust_report(&record.getattr("report")?)?,
            seconds(&record)?,
            record.getattr("learning_rate")?.extract()?,
            record.getattr("num_steps")?.extract()?,
        ));
    }
    for record in history.getattr("epochs")?.try_iter()? {
        let record = record?;
        let validation = record.getattr("validation")?;
        found.epochs.push(EpochRecord::new(
            record.getattr("epoch")?.extract()?,
            record.getattr("train_loss")?.extract()?,
            (!validation.is_none())
                .then(|| rust_report(&validation))
                .transpose()?,
            seconds(&record)?,
        ));
    }
    Ok(found)
}

fn rust_report(report: &Bound<'_, PyAny>) -> PyResult<StepReport> {
    let correct = [
        report.getattr("correct_spike_count")?.extract()?,
        report.getattr("correct_membrane")?.extract()?,
    ];
    let rates: Vec<f64> = report.getattr("firing_rate")?.extract()?;
    let (loss, samples) = (
        report.getattr("loss")?.extract()?,
        report.getattr("samples")?.extract()?,
    );
    let mut found = StepReport::counted(loss, samples, correct, rates.into_iter());
    found.gradient_norms = report.getattr("gradient_norms")?.extract()?;
    Ok(found)
}
