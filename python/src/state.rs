//! `State`: what the neurons carry from one call to the next.

use std::sync::{Mutex, MutexGuard, PoisonError};

use numpy::PyArray;
use pyo3::{
    prelude::*,
    types::{PyList, PyTuple},
};
use spikegrad::Network;

use crate::{
    arrays::{Number, shaped},
    errors::{OrRaise, invalid},
    network::unknown_precision,
};

/// The numbers of a state, in the precision of its engine.
#[derive(Clone)]
pub enum Numbers {
    F32(spikegrad::State<f32>),
    F64(spikegrad::State<f64>),
}

/// The state of every neuron for a batch of samples between two steps. A call that is given one begins with it
/// and replaces it by the state after the last step: a long input in pieces, or a stream step by step, with the
/// bits of the whole. Make one with ``rest`` of a network or an engine.
#[pyclass(frozen, module = "spikegrad")]
pub struct State(Mutex<Numbers>);

/// Precisions whose state is one of [`Numbers`].
pub trait Kept: Number {
    /// The state in this precision.
    fn of(numbers: &mut Numbers) -> Option<&mut spikegrad::State<Self>>;
    /// A state as [`Numbers`].
    fn keep(state: spikegrad::State<Self>) -> Numbers;
    /// The name of the precision.
    const PRECISION: &'static str;
}

impl Kept for f32 {
    fn of(numbers: &mut Numbers) -> Option<&mut spikegrad::State<f32>> {
        match numbers {
            Numbers::F32(state) => Some(state),
            Numbers::F64(_) => None,
        }
    }
    fn keep(state: spikegrad::State<f32>) -> Numbers {
        Numbers::F32(state)
    }
    const PRECISION: &'static str = "float32";
}

impl Kept for f64 {
    fn of(numbers: &mut Numbers) -> Option<&mut spikegrad::State<f64>> {
        match numbers {
            Numbers::F64(state) => Some(state),
            Numbers::F32(_) => None,
        }
    }
    fn keep(state: spikegrad::State<f64>) -> Numbers {
        Numbers::F64(state)
    }
    const PRECISION: &'static str = "float64";
}

macro_rules! with_numbers {
    ($numbers:expr, $state:ident => $body:expr) => {
        match $numbers {
            Numbers::F32($state) => $body,
            Numbers::F64($state) => $body,
        }
    };
}

impl State {
    /// The state before the first step.
    pub fn rest(
        py: Python<'_>,
        network: &Network<f64>,
        batch: usize,
        precision: &str,
    ) -> PyResult<Self> {
        let numbers = match precision {
            "float32" => spikegrad::State::rest(&network.cast::<f32>(), batch).map(Numbers::F32),
            "float64" => spikegrad::State::rest(network, batch).map(Numbers::F64),
            other => return Err(unknown_precision(py, other)),
        };
        Ok(State(Mutex::new(numbers.or_raise(py)?)))
    }

    fn lock(&self) -> MutexGuard<'_, Numbers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of the numbers in an engine's precision.
    pub fn copied<F: Kept>(&self, py: Python<'_>) -> PyResult<spikegrad::State<F>> {
        F::of(&mut self.lock()).cloned().ok_or_else(|| {
            let expected = F::PRECISION;
            invalid(
                py,
                format!("the state has another precision; expected {expected}, the engine's"),
            )
        })
    }

    /// Replaces the numbers.
    pub fn replace<F: Kept>(&self, state: spikegrad::State<F>) {
        *self.lock() = F::keep(state);
    }
}

#[pymethods]
impl State {
    /// Number of samples.
    #[getter]
    fn batch(&self) -> usize {
        with_numbers!(&*self.lock(), state => state.batch())
    }

    /// ``"float32"`` or ``"float64"``.
    #[getter]
    fn precision(&self) -> &'static str {
        match &*self.lock() {
            Numbers::F32(_) => f32::PRECISION,
            Numbers::F64(_) => f64::PRECISION,
        }
    }

    /// A copy of the numbers of each layer, ``[B, N]`` each: of ``Leaky`` the membrane, of ``Synaptic`` the
    /// membrane and the current, and so on. Of a recurrent layer the spikes of the last step come last.
    #[getter]
    fn layers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        // Nothing of Python runs while the lock is held.
        let numbers = self.lock().clone();
        with_numbers!(&numbers, state => layers(py, state))
    }

    /// Replaces the numbers of a layer, from 0.
    fn set_layer(&self, layer: usize, numbers: &Bound<'_, PyList>) -> PyResult<()> {
        // Nothing of Python runs while the lock is held.
        let mut changed = self.lock().clone();
        with_numbers!(&mut changed, state => set_layer(state, layer, numbers))?;
        *self.lock() = changed;
        Ok(())
    }

    /// Puts a sample at rest in a network, where its stream ends and another begins.
    fn reset(
        &self,
        py: Python<'_>,
        network: &crate::network::Network,
        sample: usize,
    ) -> PyResult<()> {
        with_numbers!(&mut *self.lock(), state => state.reset(&network.0, sample)).or_raise(py)
    }

    /// Another state of the same numbers.
    fn copy(&self) -> Self {
        State(Mutex::new(self.lock().clone()))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let restore = py
            .import("spikegrad._spikegrad")?
            .getattr("_restore_state")?;
        (restore, (self.layers(py)?, self.precision())).into_pyobject(py)
    }

    fn __repr__(&self) -> String {
        format!("<State of {} samples, {}>", self.batch(), self.precision())
    }
}

fn layers<'py, F: Kept>(
    py: Python<'py>,
    state: &spikegrad::State<F>,
) -> PyResult<Bound<'py, PyList>> {
    let layers = PyList::empty(py);
    for numbers in (1..=state.num_layers()).filter_map(|layer| state.layer(layer)) {
        let arrays = numbers
            .iter()
            .map(|numbers| PyArray::from_array(py, numbers));
        layers.append(PyList::new(py, arrays.collect::<Vec<_>>())?)?;
    }
    Ok(layers)
}

fn set_layer<F: Kept>(
    state: &mut spikegrad::State<F>,
    layer: usize,
    numbers: &Bound<'_, PyList>,
) -> PyResult<()> {
    let (py, layers) = (numbers.py(), state.num_layers());
    let mut own = state.layer_mut(layer.saturating_add(1)).ok_or_else(|| {
        invalid(
            py,
            format!("layer is {layer}; expected a number below {layers}"),
        )
    })?;
    if own.len() != numbers.len() {
        let (found, expected) = (numbers.len(), own.len());
        let message =
            format!("numbers has {found} arrays; expected {expected}, the neurons' state");
        return Err(invalid(py, message));
    }
    let mut arrays = Vec::new();
    for (own, given) in own.iter().zip(numbers) {
        let array = shaped::<F, numpy::Ix2>(&given, "numbers", "[B, N]")?;
        if array.as_array().dim() != own.dim() {
            let (found, expected) = (array.as_array().dim(), own.dim());
            let message = format!("numbers has shape {found:?}; expected {expected:?}");
            return Err(invalid(py, message));
        }
        arrays.push(array);
    }
    for (own, array) in own.iter_mut().zip(&arrays) {
        own.assign(&array.as_array());
    }
    Ok(())
}

/// A state as it was pickled.
#[pyfunction]
pub fn _restore_state(layers: &Bound<'_, PyList>, precision: &str) -> PyResult<State> {
    let numbers = match precision {
        "float64" => Numbers::F64(restored(layers)?),
        _ => Numbers::F32(restored(layers)?),
    };
    Ok(State(Mutex::new(numbers)))
}

fn restored<F: Kept>(layers: &Bound<'_, PyList>) -> PyResult<spikegrad::State<F>> {
    let array = |given: &Bound<'_, PyAny>| -> PyResult<_> {
        Ok(shaped::<F, numpy::Ix2>(given, "numbers", "[B, N]")?
            .as_array()
            .to_owned())
    };
    let layer = |layer: Bound<'_, PyAny>| -> PyResult<Vec<_>> {
        layer.try_iter()?.map(|given| array(&given?)).collect()
    };
    let layers = layers.iter().map(layer).collect::<PyResult<Vec<_>>>()?;
    Ok(spikegrad::State::from_layers(layers))
}
