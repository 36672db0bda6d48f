//! `firing_rates`: expected and found firing rates.

use pyo3::prelude::*;

use crate::{arrays::HeldInput, errors::detached, network::Network};

/// The firing rates of a network's layers on an input, beside those to be expected of its weights: whether an
/// initialization suits the input. Of its inputs the expectation knows means and variances alone, and it leaves
/// out resets.
///
/// >>> import numpy as np, spikegrad as sg
/// >>> net = sg.Network(4, [sg.Leaky(3, beta=0.9), sg.LeakyIntegrator(2, beta=0.9)])
/// >>> rates = sg.firing_rates(net, np.zeros((2, 4), np.float32), num_steps=10)
/// >>> rates.layers[1].neurons, rates.layers[1].threshold is None
/// (2, True)
#[pyfunction]
#[pyo3(signature = (network, x, num_steps=None))]
pub fn firing_rates<'py>(
    network: &Network,
    x: &Bound<'py, PyAny>,
    num_steps: Option<usize>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = x.py();
    let input = HeldInput::<f32>::new(x, num_steps)?;
    let view = input.view();
    let rates = detached(py, || {
        spikegrad::FiringRates::measure(&network.0.cast(), view)
    })?;
    let module = py.import("spikegrad.recording")?;
    let layers = rates.layers().iter().map(|layer| {
        let fields = (
            layer.neurons,
            layer.mean,
            layer.deviation,
            layer.threshold,
            layer.expected,
            layer.found,
            layer.silent,
        );
        module.getattr("LayerRates")?.call1(fields)
    });
    let layers = layers.collect::<PyResult<Vec<_>>>()?;
    let fields = (layers, rates.to_string());
    module.getattr("FiringRates")?.call1(fields)
}
