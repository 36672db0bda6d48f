//! Plots as SVG text, and the MNIST reader.

use numpy::{PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use spikegrad::{
    data::MnistFiles,
    plot::{self, Curves, Image, Panel, Raster, Series, Traces},
};

use crate::{errors::OrRaise, history::rust_history};

/// The loss of a run.
#[pyfunction]
pub fn _plot_loss(history: &Bound<'_, PyAny>, label: &str) -> PyResult<String> {
    let curves = Curves::loss(&rust_history(history)?, label);
    plot::loss(&curves).or_raise(history.py())
}

/// The accuracy of a run.
#[pyfunction]
pub fn _plot_accuracy(history: &Bound<'_, PyAny>, label: &str) -> PyResult<String> {
    let curves = Curves::accuracy(&rust_history(history)?, label);
    plot::accuracy(&curves).or_raise(history.py())
}

/// The learning rate of a run.
#[pyfunction]
pub fn _plot_learning_rate(history: &Bound<'_, PyAny>) -> PyResult<String> {
    plot::learning_rate(&rust_history(history)?).or_raise(history.py())
}

/// The gradient norms of a run.
#[pyfunction]
pub fn _plot_gradients(history: &Bound<'_, PyAny>) -> PyResult<String> {
    let norms = plot::gradient_norms(&rust_history(history)?);
    plot::gradients(&norms).or_raise(history.py())
}

/// Values over the steps.
#[pyfunction]
pub fn _plot_signals(py: Python<'_>, signals: Vec<(String, Vec<f64>)>) -> PyResult<String> {
    let series = signals.into_iter().map(|(label, values)| Series {
        label,
        points: values
            .into_iter()
            .enumerate()
            .map(|(t, value)| (t as f64, value))
            .collect(),
    });
    plot::signals(&series.collect::<Vec<_>>()).or_raise(py)
}

/// Spikes: panels of a label, the numbers of the neurons, and spikes `[T, n]`; an image of some height and width,
/// with its label.
#[pyfunction]
pub fn _plot_raster(
    py: Python<'_>,
    panels: Vec<(String, Vec<usize>, PyReadonlyArray2<'_, f32>)>,
    image: Option<(PyReadonlyArray1<'_, f32>, usize, usize, String)>,
    title: &str,
) -> PyResult<String> {
    let panel = |(label, neurons, spikes): (String, _, PyReadonlyArray2<'_, f32>)| {
        let mut panel = Panel::new(label, spikes.as_array().to_owned());
        panel.neurons = neurons;
        panel
    };
    let panels: Vec<Panel> = panels.into_iter().map(panel).collect();
    let image = image.as_ref().map(|(pixels, height, width, label)| Image {
        pixels: pixels.as_array(),
        height: *height,
        width: *width,
        label,
    });
    plot::raster(&Raster {
        panels: &panels,
        image,
        title,
    })
    .or_raise(py)
}

/// Membranes `[T, n]` of named neurons with their thresholds.
#[pyfunction]
pub fn _plot_traces(
    py: Python<'_>,
    mem: PyReadonlyArray2<'_, f32>,
    names: Vec<String>,
    threshold: Vec<f32>,
    target: Option<usize>,
    label: String,
    title: String,
) -> PyResult<String> {
    let mut traces = Traces::new(mem.as_array().to_owned(), threshold);
    (traces.names, traces.target, traces.label, traces.title) = (names, target, label, title);
    plot::traces(&traces).or_raise(py)
}

type Split<'py> = (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<i64>>);

/// Training and test set of MNIST's files, images as numbers from 0 to 1.
#[pyfunction]
#[pyo3(signature = (folder, split=None))]
pub fn _load_mnist<'py>(
    py: Python<'py>,
    folder: std::path::PathBuf,
    split: Option<&str>,
) -> PyResult<(Split<'py>, Split<'py>)> {
    let read = || {
        let mnist = MnistFiles::find(folder, split)?.load()?;
        let whole =
            |data: &spikegrad::data::Dataset| data.batch(&(0..data.len()).collect::<Vec<_>>());
        Ok((whole(&mnist.train)?, whole(&mnist.test)?))
    };
    let (train, test) = py.detach(read).or_raise(py)?;
    let split = |batch: spikegrad::data::Batch| {
        let classes = batch.targets.into_iter().map(|class| class as i64);
        (
            PyArray2::from_owned_array(py, batch.images),
            PyArray1::from_iter(py, classes),
        )
    };
    Ok((split(train), split(test)))
}
