//! `gradcheck`: gradients beside finite differences.

use pyo3::prelude::*;

use crate::{
    arrays::{HeldInput, HeldTargets},
    config::{self, Function},
    errors::{detached, keep},
    network::Network,
};

/// A comparison of each gradient with finite differences, in double precision: four forward passes for each
/// parameter, so use a small network of the same kind. Spikes are smooth here, as the surrogate has it.
///
/// >>> import numpy as np, spikegrad as sg
/// >>> net = sg.Network(3, [sg.Leaky(4, beta=0.9), sg.Leaky(2, beta=0.9)])
/// >>> sg.gradcheck(net, np.full((2, 3), 0.7), [0, 1], sg.CrossEntropyMembrane(), num_steps=5).passed
/// True
#[pyfunction]
#[pyo3(signature = (network, x, y, loss=None, num_steps=None, *, rate_l1=0.0))]
pub fn gradcheck<'py>(
    network: &Network,
    x: &Bound<'py, PyAny>,
    y: &Bound<'py, PyAny>,
    loss: Option<Bound<'py, PyAny>>,
    num_steps: Option<usize>,
    rate_l1: f64,
) -> PyResult<Bound<'py, PyAny>> {
    let py = x.py();
    let default = || {
        py.import("spikegrad.loss")?
            .getattr("CrossEntropyMembrane")?
            .call0()
    };
    let loss = config::loss::<f64>(&loss.map_or_else(default, Ok)?, &Function::default())?;
    let (input, targets) = (
        HeldInput::<f64>::new(x, num_steps)?,
        HeldTargets::<f64>::new(y)?,
    );
    // The loss is computed for each difference, so Ctrl-C is seen there.
    let loss = spikegrad::Loss::custom(move |recording, targets| {
        Python::attach(|py| py.check_signals()).map_err(keep)?;
        loss.evaluate(recording, targets)
    });
    let objective = spikegrad::Objective {
        rate_l1,
        ..loss.into()
    };
    let (view, targets) = (input.view(), targets.view());
    let report = detached(py, || {
        spikegrad::gradcheck::gradcheck(&network.0, view, targets, objective)
    })?;
    let module = py.import("spikegrad.recording")?;
    let tensors = report.tensors.iter().map(|t| {
        let worst = t.worst.clone();
        let fields = (
            &t.name, t.entries, worst, t.analytic, t.numeric, t.error, t.zero,
        );
        module.getattr("TensorCheck")?.call1(fields)
    });
    let tensors = tensors.collect::<PyResult<Vec<_>>>()?;
    let fields = (
        report.passes(),
        report.max_error(),
        tensors,
        report.to_string(),
    );
    module.getattr("GradcheckReport")?.call1(fields)
}
