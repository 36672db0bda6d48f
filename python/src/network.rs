//! `Network`: structure and parameters.

use numpy::PyArray;
use pyo3::{
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};
use spikegrad::Mismatch;

use crate::{
    arrays::{Number, dict, fill},
    config::{layer, py_layer},
    errors::{OrRaise, invalid},
    state::State,
};

/// A network of spiking neurons, layer upon layer, any of them recurrent: its structure and its parameters, in double precision. An engine
/// rounds them to its own.
///
/// Args:
///     inputs: Number of inputs.
///     layers: The layers from the input up, as ``[Leaky(1000, beta=0.95), Leaky(10, beta=0.95)]``.
///     seed: Seed of the weights, which are drawn as ``torch.nn.Linear`` draws them unless a layer has an ``init``,
///         and of drawn constants.
///
/// >>> import spikegrad as sg
/// >>> net = sg.Network(784, [sg.Leaky(1000, beta=0.95), sg.Leaky(10, beta=0.95)], seed=0)
/// >>> net.sizes
/// [784, 1000, 10]
#[pyclass(frozen, eq, module = "spikegrad")]
#[derive(Clone, PartialEq)]
pub struct Network(pub spikegrad::Network<f64>);

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (inputs, layers, seed=0))]
    fn new(inputs: usize, layers: &Bound<'_, PyAny>, seed: u64) -> PyResult<Self> {
        let py = layers.py();
        let mut builder = spikegrad::Network::builder(inputs).seed(seed);
        for (given, number) in layers.try_iter()?.zip(1..) {
            builder = layer(builder, &given?, number)?;
        }
        Ok(Network(py.detach(|| builder.build()).or_raise(py)?))
    }

    /// Number of inputs, then the number of neurons of each layer.
    #[getter]
    fn sizes(&self) -> Vec<usize> {
        self.0.sizes()
    }

    /// Number of inputs.
    #[getter]
    fn inputs(&self) -> usize {
        self.0.inputs()
    }

    /// Number of neurons of the last layer.
    #[getter]
    fn outputs(&self) -> usize {
        self.0.outputs()
    }

    /// Number of trained values.
    #[getter]
    fn num_parameters(&self) -> usize {
        self.0.num_parameters()
    }

    /// The smallest number of steps after which the input can make every output fire.
    #[getter]
    fn min_steps(&self) -> usize {
        self.0.min_steps()
    }

    /// The descriptions of the layers, with the initial values of their constants. How the weights were drawn is
    /// not kept: ``init`` and ``recurrent_init`` are ``None``.
    #[getter]
    fn layers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let layers = self.0.layers().iter();
        let layers = layers.map(|layer| py_layer(py, layer));
        PyList::new(py, layers.collect::<PyResult<Vec<_>>>()?)
    }

    /// The present values of a layer's constants by name, ``[1]`` or ``[neurons]``; layers count from 0.
    fn constants<'py>(&self, py: Python<'py>, layer: usize) -> PyResult<Bound<'py, PyDict>> {
        let layers = self.0.layers();
        let found = layers.get(layer).ok_or_else(|| {
            invalid(
                py,
                format!("layer is {layer}; expected a number below {}", layers.len()),
            )
        })?;
        let dict = PyDict::new(py);
        for constant in found.neuron().constants() {
            if let Some(values) = found.constant(constant.name) {
                dict.set_item(constant.name, PyArray::from_array(py, values))?;
            }
        }
        Ok(dict)
    }

    /// Likely mistakes in a run of so many steps, one line each; usually empty.
    fn warnings(&self, num_steps: usize) -> Vec<String> {
        self.0.warnings(num_steps)
    }

    /// A copy of every trained tensor under PyTorch's names: ``fc1.weight`` ``[out, in]``, ``fc1.bias``, and
    /// what is learned of the neurons, as ``lif1.beta``. Of recurrent layers ``lif1.recurrent.weight`` and ``.bias``,
    /// or ``lif1.recurrent.V`` where each neuron is connected to itself alone.
    fn state_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        dict(py, self.0.parameters())
    }

    /// This network with the tensors of ``state_dict``, which must have the names and shapes of
    /// :meth:`state_dict`.
    fn with_state_dict(&self, state_dict: &Bound<'_, PyDict>) -> PyResult<Self> {
        Ok(Network(with_tensors(self.0.clone(), state_dict)?))
    }

    /// The state before the first step of so many samples, in the precision of an engine.
    #[pyo3(signature = (batch=1, precision="float32"))]
    fn rest(&self, py: Python<'_>, batch: usize, precision: &str) -> PyResult<State> {
        State::rest(py, &self.0, batch, precision)
    }

    /// Replaces the tensors by those of a safetensors file, also one of PyTorch or snnTorch, and returns the
    /// network. ``mismatch`` says what to do if the file describes other neurons: ``"refuse"``,
    /// ``"take_over"`` theirs, or ``"keep"`` these.
    #[pyo3(signature = (path, mismatch="refuse"))]
    fn with_file(
        &self,
        py: Python<'_>,
        path: std::path::PathBuf,
        mismatch: &str,
    ) -> PyResult<Self> {
        let mismatch = match mismatch {
            "refuse" => Mismatch::Refuse,
            "take_over" => Mismatch::TakeOver,
            "keep" => Mismatch::Keep,
            other => {
                let message = format!("mismatch is '{other}'; expected refuse, take_over or keep");
                return Err(invalid(py, message));
            }
        };
        let mut network = self.0.clone();
        py.detach(|| network.load_safetensors_with(path, mismatch))
            .or_raise(py)?;
        Ok(Network(network))
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let restore = py
            .import("spikegrad._spikegrad")?
            .getattr("_restore_network")?;
        let layers = self.0.layers().iter();
        let mut dropout = layers.filter_map(|layer| layer.synapses().dropout);
        let seed = dropout.next().map_or(0, |dropout| dropout.seed);
        let state = (
            self.0.inputs(),
            self.layers(py)?,
            self.state_dict(py)?,
            seed,
        );
        (restore, state).into_pyobject(py)
    }

    fn __copy__(&self) -> Self {
        self.clone()
    }

    fn __deepcopy__(&self, _memo: &Bound<'_, PyAny>) -> Self {
        self.clone()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let layers = self.layers(py)?;
        let layers = layers
            .iter()
            .map(|layer| layer.repr().map(|text| text.to_string()));
        let layers = layers.collect::<PyResult<Vec<_>>>()?.join(", ");
        Ok(format!("Network({}, [{layers}])", self.0.inputs()))
    }
}

/// A network with the tensors of a `state_dict`.
pub fn with_tensors<F: Number>(
    mut network: spikegrad::Network<F>,
    state_dict: &Bound<'_, PyDict>,
) -> PyResult<spikegrad::Network<F>> {
    let mut given = network.clone();
    fill(given.parameters_mut(), state_dict, "state_dict")?;
    // The library checks the ranges, one tensor at a time.
    for (name, values) in given.parameters() {
        network
            .set_parameter(&name, values)
            .or_raise(state_dict.py())?;
    }
    Ok(network)
}

/// A network as it was pickled, with the seed of its dropout.
#[pyfunction]
pub fn _restore_network(
    inputs: usize,
    layers: &Bound<'_, PyAny>,
    state_dict: &Bound<'_, PyDict>,
    seed: u64,
) -> PyResult<Network> {
    Network::new(inputs, layers, seed)?.with_state_dict(state_dict)
}

/// Writes the trained tensors of a network as a safetensors file, which
/// ``safetensors.torch.load_file`` reads too. The file describes the neurons.
#[pyfunction]
#[pyo3(signature = (network, path, precision="float32"))]
pub fn _save_network(
    py: Python<'_>,
    network: &Network,
    path: std::path::PathBuf,
    precision: &str,
) -> PyResult<()> {
    match precision {
        "float32" => py.detach(|| network.0.cast::<f32>().save_safetensors(path)),
        "float64" => py.detach(|| network.0.save_safetensors(path)),
        other => return Err(unknown_precision(py, other)),
    }
    .or_raise(py)
}

/// An error for a precision that there is not.
pub fn unknown_precision(py: Python<'_>, found: &str) -> PyErr {
    invalid(
        py,
        format!("precision is '{found}'; expected float32 or float64"),
    )
}

/// The network of a file of :func:`save` or of a checkpoint: structure, neurons and parameters.
#[pyfunction]
pub fn load(py: Python<'_>, path: std::path::PathBuf) -> PyResult<Network> {
    Ok(Network(
        py.detach(|| spikegrad::Network::load(path)).or_raise(py)?,
    ))
}
