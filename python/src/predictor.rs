//! `Predictor`: inference from many threads at once.

use numpy::PyArray1;
use pyo3::{prelude::*, types::PyTuple};
use spikegrad::ReadOut;

use crate::{config, errors::OrRaise, fork, network::Network, run, state::State};

/// Runs a network forward on the CPU, in single precision, from any number of threads at once. It keeps the
/// parameters that it was made with.
///
/// >>> import numpy as np, spikegrad as sg
/// >>> predictor = sg.Predictor(sg.Network(4, [sg.Leaky(2, beta=0.95)]))
/// >>> predictor.classify(np.ones((3, 4), np.float32), num_steps=10).shape
/// (3,)
#[pyclass(frozen, module = "spikegrad")]
pub struct Predictor {
    predictor: spikegrad::Predictor,
    network: Network,
    read_out: ReadOut,
}

impl Predictor {
    /// A predictor that answers by a read-out unless a call names another.
    pub fn of(py: Python<'_>, network: &Network, read_out: ReadOut) -> PyResult<Self> {
        fork::begin().or_raise(py)?;
        let predictor = py.detach(|| spikegrad::Predictor::new(&network.0.cast()));
        Ok(Predictor {
            predictor,
            network: network.clone(),
            read_out,
        })
    }
}

#[pymethods]
impl Predictor {
    #[new]
    #[pyo3(signature = (network, *, read_out=None))]
    fn new(
        py: Python<'_>,
        network: &Network,
        read_out: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let read_out = config::read_out(read_out, ReadOut::Membrane)?;
        Self::of(py, network, read_out)
    }

    /// The network.
    #[getter]
    fn network(&self) -> Network {
        self.network.clone()
    }

    /// As :meth:`Engine.forward`.
    #[pyo3(signature = (x, num_steps=None, *, record=None, state=None))]
    fn forward<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        num_steps: Option<usize>,
        record: Option<&Bound<'py, PyAny>>,
        state: Option<&State>,
    ) -> PyResult<Bound<'py, PyAny>> {
        run::forward(&self.predictor, x, num_steps, record, state)
    }

    /// As :meth:`Engine.classify`.
    #[pyo3(signature = (x, num_steps=None, *, read_out=None))]
    fn classify<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        num_steps: Option<usize>,
        read_out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let by = config::read_out(read_out, self.read_out)?;
        run::classify(&self.predictor, x, num_steps, by)
    }

    /// As :meth:`Engine.scores`.
    #[pyo3(signature = (x, num_steps=None, *, read_out=None))]
    fn scores<'py>(
        &self,
        x: &Bound<'py, PyAny>,
        num_steps: Option<usize>,
        read_out: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let by = config::read_out(read_out, self.read_out)?;
        run::scores(&self.predictor, x, num_steps, by)
    }

    /// The state before the first step of so many samples.
    #[pyo3(signature = (batch=1))]
    fn rest(&self, py: Python<'_>, batch: usize) -> PyResult<State> {
        State::rest(py, &self.network.0, batch, "float32")
    }

    fn __repr__(&self) -> String {
        let sizes: Vec<String> = (self
            .predictor
            .network()
            .sizes()
            .iter()
            .map(usize::to_string))
        .collect();
        format!("<Predictor {}>", sizes.join("-"))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let restore = py
            .import("spikegrad._spikegrad")?
            .getattr("_restore_predictor")?;
        let read_out = config::py_read_out(py, self.read_out)?;
        (restore, (self.network(), read_out)).into_pyobject(py)
    }
}

/// A predictor as it was pickled.
#[pyfunction]
pub fn _restore_predictor(
    py: Python<'_>,
    network: &Network,
    read_out: &Bound<'_, PyAny>,
) -> PyResult<Predictor> {
    Predictor::new(py, network, Some(read_out))
}
