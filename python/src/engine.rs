//! `Engine`: trains and runs one network.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use numpy::PyArray1;
use pyo3::{
    PyTraverseError, PyVisit,
    prelude::*,
    types::{PyDict, PyTuple},
};
use spikegrad::{
    Device, Engine as _, Gradients, Objective, Optimizer, ReadOut, ReferenceEngine, StepReport,
};

use crate::{
    arrays::{HeldInput, HeldTargets, dict, fill},
    config,
    data::Arrays,
    errors::{OrRaise, detached, exception, invalid},
    fit::Run,
    fork,
    history::py_report,
    network::{Network, unknown_precision, with_tensors},
    predictor::Predictor,
    run,
    shared::Shared,
    state::{Kept, State},
};

/// The engine in either precision.
pub enum Core {
    F32(Shared<f32>),
    F64(Shared<f64>),
}

macro_rules! with_core {
    ($core:expr, $shared:ident => $body:expr) => {
        match $core {
            Core::F32($shared) => $body,
            Core::F64($shared) => $body,
        }
    };
}

/// Trains and runs one network. Threads may share one: their calls wait for each other.
///
/// Args:
///     network: The network, which is copied.
///     loss: The loss; :class:`CrossEntropyMembrane` by default.
///     optimizer: The optimizer; ``Adam(1e-3)`` by default.
///     device: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.
///     precision: ``"float32"``, or ``"float64"`` for the reference engine, which is slow and plain.
///     rate_l1: Adds this times the number of spikes of all hidden layers to the loss.
///
/// In every call, ``x`` is ``[B, N]`` with ``num_steps``, the same at each step, or ``[T, B, N]``. An array of the
/// engine's precision is read where it lies; anything else is converted. Do not change an array during a call.
/// ``y`` has a class for each sample, ``[B]``, or values, ``[B, N]`` or ``[T, B, N]``.
///
/// >>> import numpy as np, spikegrad as sg
/// >>> net = sg.Network(4, [sg.Leaky(16, beta=0.95), sg.Leaky(2, beta=0.95)])
/// >>> engine = sg.Engine(net, optimizer=sg.Adam(5e-3), device="cpu")
/// >>> x, y = np.eye(4, dtype=np.float32), np.array([0, 0, 1, 1])
/// >>> for _ in range(100):
/// ...     report = engine.train_step(x, y, num_steps=10)
/// >>> engine.classify(x, num_steps=10).tolist()
/// [0, 0, 1, 1]
#[pyclass(frozen, module = "spikegrad")]
pub struct Engine {
    core: Core,
    /// The network that it was made with: its constants that are not learned have not been rounded.
    built: Network,
    loss: Py<PyAny>,
    /// Of a loss of one's own.
    function: config::Function,
    optimizer: Mutex<Py<PyAny>>,
    device: String,
    measuring: AtomicBool,
    read_out: ReadOut,
}

/// The inputs and targets of a validation set.
fn pair_of<'py>(pair: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let mut both = pair.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    match (both.pop(), both.pop(), both.len()) {
        (Some(y), Some(x), 0) => Ok((x, y)),
        _ => Err(invalid(
            pair.py(),
            "validation is not a pair; expected (x, y)",
        )),
    }
}

/// A copy of the accumulated gradients. An edit that fails leaves the engine as it was.
fn accumulated<F: Kept>(engine: &mut dyn spikegrad::Engine<F>) -> spikegrad::Result<Gradients<F>> {
    let mut found = None;
    let read = engine.gradients_mut(&mut |gradients| {
        found = Some(gradients.clone());
        Err(spikegrad::Error::callback("read"))
    });
    let missing = || {
        read.err()
            .unwrap_or_else(|| spikegrad::Error::callback("no gradients"))
    };
    found.ok_or_else(missing)
}

/// What an optimizer keeps, as the package has it.
fn py_optimizer_state<'py, F: Kept>(
    py: Python<'py>,
    optimizer: &Optimizer<F>,
) -> PyResult<Bound<'py, PyDict>> {
    let state = PyDict::new(py);
    state.set_item("steps", optimizer.steps())?;
    for (name, kept) in optimizer.state() {
        state.set_item(name, dict(py, kept.tensors())?)?;
    }
    Ok(state)
}

impl Engine {
    fn optimizer_slot(&self) -> std::sync::MutexGuard<'_, Py<PyAny>> {
        self.optimizer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A network of the engine's, with the constants that it was made with where they are not learned.
    fn as_built<F: Kept>(&self, now: &spikegrad::Network<F>) -> Network {
        let mut network = self.built.0.clone();
        for ((_, mut values), (_, now)) in
            network.parameters_mut().into_iter().zip(now.parameters())
        {
            values.zip_mut_with(&now, |value, &now| *value = now.as_f64());
        }
        Network(network)
    }

    /// Replaces the description of the optimizer. The old one goes when the lock is free: it may call the engine.
    fn describe_optimizer(&self, described: Py<PyAny>) {
        let old = std::mem::replace(&mut *self.optimizer_slot(), described);
        drop(old);
    }

    /// Changes the learning rate in the optimizer's description.
    fn describe_rate(&self, py: Python<'_>, lr: f64) -> PyResult<()> {
        let described = self.optimizer(py);
        if described.bind(py).getattr("lr")?.extract::<f64>()? == lr {
            return Ok(());
        }
        let changes = PyDict::new(py);
        changes.set_item("lr", lr)?;
        let replace = py.import("dataclasses")?.getattr("replace")?;
        let changed = replace.call((described,), Some(&changes))?;
        self.describe_optimizer(changed.unbind());
        Ok(())
    }

    /// Runs a call on samples, and replaces the state if there is one.
    fn step<F: Kept>(
        &self,
        shared: &Shared<F>,
        x: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        num_steps: Option<usize>,
        state: Option<&State>,
        step: impl FnOnce(
            &mut Shared<F>,
            Option<&mut spikegrad::State<F>>,
            spikegrad::Samples<'_, F>,
        ) -> spikegrad::Result<StepReport>
        + Send,
    ) -> PyResult<Py<PyAny>> {
        let py = x.py();
        let targets = HeldTargets::<F>::new(y)?;
        let input = HeldInput::<F>::new(x, num_steps)?;
        let mut numbers = state.map(|state| state.copied::<F>(py)).transpose()?;
        let samples = input.view().with(targets.view());
        let mut shared = shared.clone();
        let carried = numbers.as_mut();
        let report = detached(py, move || step(&mut shared, carried, samples))?;
        if let Some((state, numbers)) = state.zip(numbers) {
            state.replace(numbers);
        }
        Ok(py_report(py, &report)?.unbind())
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (network, loss=None, optimizer=None, *, device="auto", precision="float32", rate_l1=0.0))]
    fn new(
        network: &Bound<'_, Network>,
        loss: Option<Bound<'_, PyAny>>,
        optimizer: Option<Bound<'_, PyAny>>,
        device: &str,
        precision: &str,
        rate_l1: f64,
    ) -> PyResult<Self> {
        let py = network.py();
        let default = |module: &str, class: &str| py.import(module)?.getattr(class)?.call0();
        let loss = loss.map_or_else(|| default("spikegrad.loss", "CrossEntropyMembrane"), Ok)?;
        let optimizer = optimizer.map_or_else(|| default("spikegrad.optim", "Adam"), Ok)?;
        let network = &network.get().0;
        fork::begin().or_raise(py)?;
        let function = config::Function::default();
        let own_read_out;
        let core = match precision {
            "float32" => {
                let objective = Objective {
                    loss: config::loss::<f32>(&loss, &function)?,
                    rate_l1,
                    penalties: Vec::new(),
                };
                own_read_out = objective.loss.read_out();
                let optimizer = config::optimizer::<f32>(&optimizer)?;
                let on: Device = device.parse::<Device>().or_raise(py)?;
                let made = py.detach(|| on.engine(network.cast(), objective, optimizer));
                Core::F32(Shared::new(made.or_raise(py)?, network.outputs()))
            }
            "float64" => {
                if !matches!(device, "auto" | "cpu") {
                    let message =
                        format!("device is '{device}'; expected auto or cpu for precision float64");
                    return Err(invalid(py, message));
                }
                let objective = Objective {
                    loss: config::loss::<f64>(&loss, &function)?,
                    rate_l1,
                    penalties: Vec::new(),
                };
                own_read_out = objective.loss.read_out();
                let optimizer = config::optimizer::<f64>(&optimizer)?;
                let made = ReferenceEngine::new(network.clone(), objective, optimizer);
                Core::F64(Shared::new(Box::new(made.or_raise(py)?), network.outputs()))
            }
            other => return Err(unknown_precision(py, other)),
        };
        Ok(Engine {
            core,
            built: Network(network.clone()),
            loss: loss.unbind(),
            function,
            optimizer: Mutex::new(optimizer.unbind()),
            device: device.into(),
            measuring: AtomicBool::new(false),
            read_out: own_read_out.unwrap_or_default(),
        })
    }

    /// One training step: loss, gradients, update. The report describes the batch before the update. From a
    /// ``state``, gradients stop where it begins: truncated backpropagation through time.
    #[pyo3(signature = (x, y, num_steps=None, *, state=None))]
    fn train_step(
        &self,
        x: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        num_steps: Option<usize>,
        state: Option<&State>,
    ) -> PyResult<Py<PyAny>> {
        with_core!(&self.core, shared => self.step(shared, x, y, num_steps, state,
        |engine, state, samples| match state {
            Some(state) => engine.train_step_from(state, samples),
            None => engine.train_step(samples),
        }))
    }

    /// The first half of a training step: adds ``weight`` times the gradients of a batch to those accumulated
    /// since the last :meth:`update`.
    #[pyo3(signature = (x, y, num_steps=None, *, weight=1.0, state=None))]
    fn accumulate(
        &self,
        x: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        num_steps: Option<usize>,
        weight: f64,
        state: Option<&State>,
    ) -> PyResult<Py<PyAny>> {
        with_core!(&self.core, shared => self.step(shared, x, y, num_steps, state,
        move |engine, state, samples| match state {
            Some(state) => engine.accumulate_from(state, samples, weight),
            None => engine.accumulate(samples, weight),
        }))
    }

    /// Loss and correct answers of a batch, without training on it.
    #[pyo3(signature = (x, y, num_steps=None))]
    fn evaluate(
        &self,
        x: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        num_steps: Option<usize>,
    ) -> PyResult<Py<PyAny>> {
        with_core!(&self.core, shared => self.step(shared, x, y, num_steps, None,
            |engine, _, samples| engine.evaluate(samples)))
    }

    /// Loss and gradients of a batch, by name. They do not count among the accumulated ones.
    #[pyo3(signature = (x, y, num_steps=None))]
    fn gradients<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        num_steps: Option<usize>,
    ) -> PyResult<(f64, Bound<'py, PyDict>)> {
        fn of<'py, F: Kept>(
            shared: &Shared<F>,
            x: &Bound<'py, PyAny>,
            y: &Bound<'py, PyAny>,
            num_steps: Option<usize>,
        ) -> PyResult<(f64, Bound<'py, PyDict>)> {
            let py = x.py();
            let (input, targets) = (
                HeldInput::<F>::new(x, num_steps)?,
                HeldTargets::<F>::new(y)?,
            );
            let samples = input.view().with(targets.view());
            let mut shared = shared.clone();
            let (loss, gradients) = detached(py, move || shared.gradients(samples))?;
            Ok((loss, dict(py, gradients.tensors())?))
        }
        with_core!(&self.core, shared => of(shared, x, y, num_steps))
    }

    /// Runs the network and records spikes and membranes ``[T, B, N]``: of ``record="all"`` layers, of the
    /// ``"output"`` alone, or of a list of layers, from 0, and the output.
    #[pyo3(signature = (x, num_steps=None, *, record=None, state=None))]
    fn forward<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        num_steps: Option<usize>,
        record: Option<&Bound<'py, PyAny>>,
        state: Option<&State>,
    ) -> PyResult<Bound<'py, PyAny>> {
        with_core!(&self.core, shared => {
            run::forward(shared, x, num_steps, record, state)
        })
    }

    /// Each sample's class, ``[B]``, the neuron with the largest score by a read-out: ``"spike_count"``,
    /// ``"membrane"`` summed over time, ``"max_membrane"``, ``"last_membrane"``, ``"first_spike"`` or a
    /// :class:`WindowMembrane`; by default what fits the loss.
    #[pyo3(signature = (x, num_steps=None, *, read_out=None))]
    fn classify<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        num_steps: Option<usize>,
        read_out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let by = config::read_out(read_out, self.read_out)?;
        with_core!(&self.core, shared => run::classify(shared, x, num_steps, by))
    }

    /// Each sample's scores, ``[B, N]``: the spike counts, the membranes summed over time or over a window, the
    /// largest or the last of them, or minus the steps of the first spikes.
    #[pyo3(signature = (x, num_steps=None, *, read_out=None))]
    fn scores<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        num_steps: Option<usize>,
        read_out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let by = config::read_out(read_out, self.read_out)?;
        with_core!(&self.core, shared => run::scores(shared, x, num_steps, by))
    }

    /// The second half of a training step: updates the parameters from the accumulated gradients, and clears
    /// them.
    fn update(&self, py: Python<'_>) -> PyResult<()> {
        with_core!(&self.core, shared => shared.run(py, |engine| engine.update()))
    }

    /// A copy of the accumulated gradients by name; zeros before the first :meth:`accumulate`.
    fn accumulated_gradients<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        fn of<'py, F: Kept>(py: Python<'py>, shared: &Shared<F>) -> PyResult<Bound<'py, PyDict>> {
            dict(py, shared.run(py, |engine| accumulated(engine))?.tensors())
        }
        with_core!(&self.core, shared => of(py, shared))
    }

    /// Replaces the accumulated gradients, which :meth:`update` then uses: clipped, with noise, or averaged over
    /// several machines.
    fn set_accumulated_gradients(&self, gradients: &Bound<'_, PyDict>) -> PyResult<()> {
        fn of<F: Kept>(shared: &Shared<F>, given: &Bound<'_, PyDict>) -> PyResult<()> {
            let py = given.py();
            let mut own = Gradients::zeros(&shared.run(py, |engine| engine.to_network())?);
            fill(own.tensors_mut(), given, "gradients")?;
            shared.run(py, |engine| {
                engine.gradients_mut(&mut |gradients| {
                    gradients.clone_from(&own);
                    Ok(())
                })
            })
        }
        with_core!(&self.core, shared => of(shared, gradients))
    }

    /// Discards the accumulated gradients.
    fn clear_gradients(&self, py: Python<'_>) -> PyResult<()> {
        with_core!(&self.core, shared => shared.run(py, |engine| {
            engine.clear_gradients();
            Ok(())
        }))
    }

    /// Whether the reports of training steps have each layer's gradient norm; off by default, since it costs
    /// time.
    #[pyo3(signature = (on=true))]
    fn measure_gradients(&self, py: Python<'_>, on: bool) -> PyResult<()> {
        self.measuring.store(on, Ordering::Relaxed);
        with_core!(&self.core, shared => shared.run(py, |engine| {
            engine.measure_gradients(on);
            Ok(())
        }))
    }

    /// A copy of the trained tensors, in the engine's precision, under PyTorch's names.
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        with_core!(&self.core, shared => {
            let network = shared.run(py, |engine| engine.to_network())?;
            dict(py, network.parameters())
        })
    }

    /// Replaces the trained tensors. The optimizer keeps its state.
    fn load_state_dict(&self, state_dict: &Bound<'_, PyDict>) -> PyResult<()> {
        fn of<F: Kept>(shared: &Shared<F>, given: &Bound<'_, PyDict>) -> PyResult<()> {
            let py = given.py();
            let network = shared.run(py, |engine| engine.to_network())?;
            let loaded = with_tensors(network, given)?;
            shared.run(py, |engine| engine.set_network(loaded))
        }
        with_core!(&self.core, shared => of(shared, state_dict))
    }

    /// A copy of the network with its present parameters.
    #[getter]
    fn network(&self, py: Python<'_>) -> PyResult<Network> {
        with_core!(&self.core, shared => {
            Ok(self.as_built(&shared.run(py, |engine| engine.to_network())?))
        })
    }

    /// Replaces the parameters by those of a network of the same structure.
    fn set_network(&self, py: Python<'_>, network: &Network) -> PyResult<()> {
        with_core!(&self.core, shared => shared.run(py, |engine| engine.set_network(network.0.cast())))
    }

    /// The loss.
    #[getter]
    fn loss(&self, py: Python<'_>) -> Py<PyAny> {
        self.loss.clone_ref(py)
    }

    /// The settings of the optimizer.
    #[getter]
    fn optimizer(&self, py: Python<'_>) -> Py<PyAny> {
        self.optimizer_slot().clone_ref(py)
    }

    /// Replaces the optimizer. With ``keep_state`` it goes on where the present one stands, which must be of the
    /// same class.
    #[pyo3(signature = (optimizer, *, keep_state=false))]
    fn set_optimizer(&self, optimizer: &Bound<'_, PyAny>, keep_state: bool) -> PyResult<()> {
        fn of<F: Kept>(shared: &Shared<F>, given: &Bound<'_, PyAny>, keep: bool) -> PyResult<()> {
            let py = given.py();
            let mut settings = config::optimizer::<F>(given)?;
            if keep {
                let now = shared.run(py, |engine| engine.to_optimizer())?;
                let state = now
                    .state()
                    .into_iter()
                    .map(|(name, kept)| (name, kept.clone()));
                settings.set_state(now.steps(), state).or_raise(py)?;
            }
            shared.run(py, |engine| engine.set_optimizer(settings))
        }
        with_core!(&self.core, shared => of(shared, optimizer, keep_state))?;
        self.describe_optimizer(optimizer.clone().unbind());
        Ok(())
    }

    /// A copy of what the optimizer keeps: ``steps``, the number of updates, and a ``dict`` of tensors under each
    /// of PyTorch's names, as ``exp_avg``.
    fn optimizer_state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        with_core!(&self.core, shared => {
            py_optimizer_state(py, &shared.run(py, |engine| engine.to_optimizer())?)
        })
    }

    /// Replaces what the optimizer keeps by a copy from :meth:`optimizer_state`.
    fn load_optimizer_state(&self, state: &Bound<'_, PyDict>) -> PyResult<()> {
        fn of<F: Kept>(shared: &Shared<F>, state: &Bound<'_, PyDict>) -> PyResult<()> {
            let py = state.py();
            let network = shared.run(py, |engine| engine.to_network())?;
            let mut optimizer = shared.run(py, |engine| engine.to_optimizer())?;
            let mut steps = None;
            let (mut names, mut kept) = (Vec::new(), Vec::new());
            for (name, value) in state {
                let name: String = name.extract()?;
                if name == "steps" {
                    steps = Some(value.extract()?);
                    continue;
                }
                let mut gradients = Gradients::zeros(&network);
                fill(gradients.tensors_mut(), value.cast::<PyDict>()?, &name)?;
                names.push(name);
                kept.push(gradients);
            }
            let steps = steps
                .ok_or_else(|| invalid(py, "state has no steps; expected the number of updates"))?;
            let kept = names.iter().map(String::as_str).zip(kept);
            optimizer.set_state(steps, kept).or_raise(py)?;
            shared.run(py, |engine| engine.set_optimizer(optimizer))
        }
        with_core!(&self.core, shared => of(shared, state))
    }

    /// The learning rate of the next update, as the schedule gives it. Setting it sets the base rate, which the
    /// schedule scales.
    #[getter]
    fn learning_rate(&self, py: Python<'_>) -> PyResult<f64> {
        with_core!(&self.core, shared => shared.run(py, |engine| Ok(engine.learning_rate())))
    }

    #[setter]
    fn set_learning_rate(&self, py: Python<'_>, lr: f64) -> PyResult<()> {
        with_core!(&self.core, shared => shared.run(py, |engine| engine.set_learning_rate(lr)))?;
        self.describe_rate(py, lr)
    }

    /// ``"float32"`` or ``"float64"``.
    #[getter]
    fn precision(&self) -> &'static str {
        match &self.core {
            Core::F32(_) => f32::PRECISION,
            Core::F64(_) => f64::PRECISION,
        }
    }

    /// The device and how it is used, in words.
    #[getter]
    fn device(&self, py: Python<'_>) -> PyResult<String> {
        with_core!(&self.core, shared => shared.run(py, |engine| Ok(engine.describe())))
    }

    /// The state before the first step of so many samples.
    #[pyo3(signature = (batch=1))]
    fn rest(&self, py: Python<'_>, batch: usize) -> PyResult<State> {
        State::rest(py, &self.built.0, batch, self.precision())
    }

    /// A :class:`Predictor` with the present parameters, for many threads at once.
    fn predictor(&self, py: Python<'_>) -> PyResult<Predictor> {
        Predictor::of(py, &self.network(py)?, self.read_out)
    }

    /// Trains on a data set: shuffled batches for some epochs, validation after each.
    ///
    /// Here samples come first: ``x`` is ``[N, F]`` with ``num_steps``, or sequences ``[N, T, F]``; ``y`` is
    /// ``[N]``, ``[N, outputs]`` or ``[N, T, outputs]``.
    ///
    /// Data that is read or made as it is needed is a function in place of ``x``, and the number of samples in place
    /// of ``y``. The function is called with the numbers of a batch's samples, from 0, and the epoch, and returns
    /// ``(x, y)`` of them, samples first.
    ///
    /// Args:
    ///     x: The inputs of the samples.
    ///     y: Their targets.
    ///     epochs: Passes over the data, counted from the beginning of the run.
    ///     batch_size: Samples of a batch. The last, smaller one of an epoch is left out.
    ///     num_steps: Steps of inputs ``[N, F]``.
    ///     validation: A pair ``(x, y)``, evaluated after each epoch.
    ///     seed: Seed of the shuffles.
    ///     accumulate: Parts in which each batch is computed, which takes less memory.
    ///     truncate: Steps of the windows of truncated backpropagation through time.
    ///     early_stopping: Stop after so many epochs without a lower validation loss, and go back to the best.
    ///     progress: Whether to print a line for each epoch.
    ///     callback: Called with each :class:`BatchRecord` and :class:`EpochRecord`. The run ends if it returns
    ///         ``False``. It may use the engine.
    ///     history: A history to continue, in place.
    ///     checkpoint: A folder for checkpoints: one after each epoch, and one when ``Ctrl-C`` ends the run.
    ///     resume: Whether to go on from the last checkpoint in that folder, to the same bits.
    ///
    /// Returns:
    ///     The measurements, as a :class:`History`.
    #[pyo3(signature = (
        x, y, *, epochs=5, batch_size=128, num_steps=None, validation=None, seed=0, accumulate=1,
        truncate=None, early_stopping=None, progress=true, callback=None, history=None,
        checkpoint=None, resume=false
    ))]
    #[allow(clippy::too_many_arguments)] // the settings of a run, by keyword
    fn fit<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        epochs: usize,
        batch_size: usize,
        num_steps: Option<usize>,
        validation: Option<Bound<'py, PyAny>>,
        seed: u64,
        accumulate: usize,
        truncate: Option<usize>,
        early_stopping: Option<usize>,
        progress: bool,
        callback: Option<Bound<'py, PyAny>>,
        history: Option<Bound<'py, PyAny>>,
        checkpoint: Option<std::path::PathBuf>,
        resume: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = x.py();
        let validation = validation.map(|pair| pair_of(&pair)).transpose()?;
        let Core::F32(shared) = &self.core else {
            let error = spikegrad::Error::Unsupported {
                what: "fit".into(),
                by: "precision float64".into(),
                instead: "write a loop over train_step, or use float32".into(),
            };
            return Err(exception(py, &error));
        };
        let trainer = spikegrad::Trainer {
            epochs,
            batch_size,
            num_steps: num_steps.unwrap_or(25),
            seed,
            accumulate,
            truncate,
            ..spikegrad::Trainer::default()
        };
        let fitted = Run {
            shared: shared.clone(),
            trainer,
            early_stopping,
            progress,
            callback,
            checkpoint,
            resume,
        }
        .fit(
            py,
            &Arrays::new(x, y, num_steps, "")?,
            validation,
            num_steps,
            history,
        );
        // A checkpoint, or a callback, may have brought another rate.
        let now = shared.run(py, |engine| engine.to_optimizer())?;
        self.describe_rate(py, now.rule.lr())?;
        fitted
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.loss)?;
        // One that another thread has locked is in use, so it is not garbage.
        if let Ok(optimizer) = self.optimizer.try_lock() {
            visit.call(&*optimizer)?;
        }
        match self.function.try_lock() {
            Ok(function) => visit.call(&*function),
            Err(_) => Ok(()),
        }
    }

    fn __clear__(&self) {
        let function = self
            .function
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // It goes when the lock is free: it may call the engine.
        drop(function);
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let restore = py
            .import("spikegrad._spikegrad")?
            .getattr("_restore_engine")?;
        // In one call, so that they belong together. Accumulated gradients that there are not are zeros.
        let (rate_l1, network, optimizer, gradients) = with_core!(&self.core, shared => {
            let all = shared.run(py, |engine| {
                Ok((engine.to_network()?, engine.to_optimizer()?, accumulated(engine)?))
            });
            let (network, optimizer, gradients) = all?;
            let rate_l1 = shared.objective().rate_l1;
            let state = py_optimizer_state(py, &optimizer)?;
            (rate_l1, self.as_built(&network), state, dict(py, gradients.tensors())?)
        });
        let measuring = self.measuring.load(Ordering::Relaxed);
        let settings = (&self.device, self.precision(), rate_l1, measuring);
        let state = (
            network,
            self.loss(py),
            self.optimizer(py),
            settings,
            optimizer,
            gradients,
        );
        (restore, state).into_pyobject(py)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let sizes: Vec<String> = self.built.0.sizes().iter().map(usize::to_string).collect();
        let (loss, optimizer) = (
            self.loss.bind(py).repr()?,
            self.optimizer(py).bind(py).repr()?,
        );
        let (sizes, device) = (sizes.join("-"), self.device(py)?);
        Ok(format!("<Engine {sizes}, {loss}, {optimizer}, {device}>"))
    }
}

/// An engine as it was pickled.
#[pyfunction]
pub fn _restore_engine(
    network: &Bound<'_, Network>,
    loss: Bound<'_, PyAny>,
    optimizer: Bound<'_, PyAny>,
    settings: (String, String, f64, bool),
    state: &Bound<'_, PyDict>,
    accumulated: &Bound<'_, PyDict>,
) -> PyResult<Engine> {
    let (device, precision, rate_l1, measuring) = settings;
    let engine = Engine::new(
        network,
        Some(loss),
        Some(optimizer),
        &device,
        &precision,
        rate_l1,
    )?;
    engine.load_optimizer_state(state)?;
    engine.measure_gradients(network.py(), measuring)?;
    let any = |gradient: Bound<'_, PyAny>| gradient.call_method0("any")?.extract::<bool>();
    let any = accumulated
        .values()
        .iter()
        .map(any)
        .collect::<PyResult<Vec<_>>>()?;
    if any.contains(&true) {
        engine.set_accumulated_gradients(accumulated)?;
    }
    Ok(engine)
}
