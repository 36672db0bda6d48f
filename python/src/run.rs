//! Forward passes of engines and predictors.

use std::ops::Range;

use numpy::{
    PyArray1, PyArray2,
    ndarray::{Array2, ArrayViewMut2, s},
};
use pyo3::prelude::*;
use spikegrad::{Error, Input, ReadOut, Record, Recording, Result, State};

use crate::{
    arrays::{HeldInput, Number},
    config::py_recording,
    errors::{detached, invalid, zeros},
    fork,
    shared::Shared,
    state::{self, Kept},
};

/// Samples of a call that answers `Ctrl-C` between its parts.
const PART: usize = 1024;

/// What runs a network forward.
pub trait Runner<F: Number>: Clone + Send {
    /// Number of outputs of the network.
    fn outputs(&self) -> usize;
    /// Records spikes and membranes, from a state if there is one, which is replaced.
    fn forward(
        &mut self,
        state: Option<&mut State<F>>,
        input: Input<'_, F>,
        record: &Record,
    ) -> Result<Recording<F>>;
    /// Writes each sample's class.
    fn classify(&mut self, input: Input<'_, F>, by: ReadOut, classes: &mut [usize]) -> Result<()>;
    /// Writes each sample's scores.
    fn scores(
        &mut self,
        input: Input<'_, F>,
        by: ReadOut,
        scores: ArrayViewMut2<'_, F>,
    ) -> Result<()>;
}

impl<F: Number> Runner<F> for Shared<F> {
    fn outputs(&self) -> usize {
        Shared::outputs(self)
    }
    fn forward(
        &mut self,
        state: Option<&mut State<F>>,
        input: Input<'_, F>,
        record: &Record,
    ) -> Result<Recording<F>> {
        self.call(|engine| match state {
            Some(state) => engine.forward_from(state, input, record),
            None => engine.forward(input, record),
        })
    }
    fn classify(&mut self, input: Input<'_, F>, by: ReadOut, classes: &mut [usize]) -> Result<()> {
        self.call(|engine| engine.classify(input, by, classes))
    }
    fn scores(
        &mut self,
        input: Input<'_, F>,
        by: ReadOut,
        scores: ArrayViewMut2<'_, F>,
    ) -> Result<()> {
        self.call(|engine| engine.scores(input, by, scores))
    }
}

impl Runner<f32> for spikegrad::Predictor {
    fn outputs(&self) -> usize {
        self.network().outputs()
    }
    fn forward(
        &mut self,
        state: Option<&mut State>,
        input: Input<'_>,
        record: &Record,
    ) -> Result<Recording> {
        fork::check()?;
        match state {
            Some(state) => spikegrad::Predictor::forward_from(self, state, input, record),
            None => spikegrad::Predictor::forward(self, input, record),
        }
    }
    fn classify(&mut self, input: Input<'_>, by: ReadOut, classes: &mut [usize]) -> Result<()> {
        fork::check()?;
        spikegrad::Predictor::classify(self, input, by, classes)
    }
    fn scores(
        &mut self,
        input: Input<'_>,
        by: ReadOut,
        scores: ArrayViewMut2<'_, f32>,
    ) -> Result<()> {
        fork::check()?;
        spikegrad::Predictor::scores(self, input, by, scores)
    }
}

/// The layers to record: all by default, `"all"`, `"output"`, or numbers from 0.
fn record(given: Option<&Bound<'_, PyAny>>) -> PyResult<Record> {
    let Some(given) = given else {
        return Ok(Record::All);
    };
    if let Ok(name) = given.extract::<String>() {
        return match name.as_str() {
            "all" => Ok(Record::All),
            "output" => Ok(Record::Output),
            _ => {
                let expected = "all, output or a list of layers";
                Err(invalid(
                    given.py(),
                    format!("record is '{name}'; expected {expected}"),
                ))
            }
        };
    }
    let layers: Vec<usize> = given.extract()?;
    let from_1 = layers.into_iter().map(|layer| layer.saturating_add(1));
    Ok(Record::Layers(from_1.collect()))
}

/// `forward` of an engine or a predictor.
pub fn forward<'py, F: Kept>(
    runner: &impl Runner<F>,
    x: &Bound<'py, PyAny>,
    num_steps: Option<usize>,
    record: Option<&Bound<'py, PyAny>>,
    state: Option<&state::State>,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, record) = (x.py(), self::record(record)?);
    let input = HeldInput::<F>::new(x, num_steps)?;
    let (view, mut runner) = (input.view(), runner.clone());
    let mut numbers = state.map(|state| state.copied::<F>(py)).transpose()?;
    let carried = numbers.as_mut();
    let recording = detached(py, move || runner.forward(carried, view, &record))?;
    if let Some((state, numbers)) = state.zip(numbers) {
        state.replace(numbers);
    }
    py_recording(py, recording)
}

/// `classify` of an engine or a predictor.
pub fn classify<'py, F: Number>(
    runner: &impl Runner<F>,
    x: &Bound<'py, PyAny>,
    num_steps: Option<usize>,
    by: ReadOut,
) -> PyResult<Bound<'py, PyArray1<i64>>> {
    let input = HeldInput::<F>::new(x, num_steps)?;
    let mut classes = zeros(x.py(), "classes", input.view().batch())?;
    let mut runner = runner.clone();
    in_parts(x.py(), &input, |view, samples| {
        runner.classify(view, by, &mut classes[samples])
    })?;
    Ok(PyArray1::from_iter(
        x.py(),
        classes.into_iter().map(|class| class as i64),
    ))
}

/// `scores` of an engine or a predictor.
pub fn scores<'py, F: Number>(
    runner: &impl Runner<F>,
    x: &Bound<'py, PyAny>,
    num_steps: Option<usize>,
    by: ReadOut,
) -> PyResult<Bound<'py, PyAny>> {
    let (py, input, mut runner) = (x.py(), HeldInput::<F>::new(x, num_steps)?, runner.clone());
    let shape = (input.view().batch(), runner.outputs());
    let numbers = zeros::<F>(py, "scores", shape.0.saturating_mul(shape.1))?;
    let mut scores =
        Array2::from_shape_vec(shape, numbers).map_err(|e| invalid(py, e.to_string()))?;
    in_parts(py, &input, |view, samples| {
        runner.scores(view, by, scores.slice_mut(s![samples, ..]))
    })?;
    Ok(PyArray2::from_owned_array(py, scores).into_any())
}

/// Runs a call on each part of the samples of an input, and answers `Ctrl-C` in between.
fn in_parts<F: Number>(
    py: Python<'_>,
    input: &HeldInput<'_, F>,
    mut part: impl FnMut(Input<'_, F>, Range<usize>) -> Result<()> + Send,
) -> PyResult<()> {
    let whole = input.view();
    let batch = whole.batch();
    // At least one part: that of no samples is the library's error.
    for first in (0..batch.max(1)).step_by(PART) {
        let samples = first..batch.min(first + PART);
        let view = match whole {
            Input::Constant { x, num_steps, .. } => {
                Input::constant(x.slice_move(s![samples.clone(), ..]), num_steps)
            }
            Input::Sequence { x, .. } => Input::sequence(x.slice_move(s![.., samples.clone(), ..])),
            _ => whole,
        };
        detached(py, || {
            part(view, samples).map_err(|error| of_whole(error, first))
        })?;
        py.check_signals()?;
    }
    Ok(())
}

/// The error of a part, with the sample's number in the whole.
fn of_whole(error: Error, first: usize) -> Error {
    match error {
        Error::NonFinite {
            what,
            value,
            position,
        } => {
            let number = |position: &str| -> Option<String> {
                let (before, rest) = position.split_once("sample ")?;
                let digits = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .unwrap_or(rest.len());
                let sample: usize = rest.get(..digits)?.parse().ok()?;
                Some(format!(
                    "{before}sample {}{}",
                    sample + first,
                    rest.get(digits..)?
                ))
            };
            let position = number(&position).unwrap_or(position);
            Error::NonFinite {
                what,
                value,
                position,
            }
        }
        error => error,
    }
}
