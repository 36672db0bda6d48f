//! Reports and histories: the library's as the package's, and back.

use std::time::Duration;

use pyo3::{prelude::*, types::PyList};
use spikegrad::{
    History, StepReport,
    train::{BatchRecord, EpochRecord},
};

use crate::errors::invalid;

/// A report as the package's.
pub fn py_report<'py>(py: Python<'py>, report: &StepReport) -> PyResult<Bound<'py, PyAny>> {
    py.import("spikegrad.recording")?
        .getattr("StepReport")?
        .call1((
            report.loss,
            report.samples,
            report.correct_spike_count,
            report.correct_membrane,
            report.firing_rate.clone(),
            report.gradient_norms.clone(),
        ))
}

/// A batch's record as the package's.
pub fn py_batch<'py>(py: Python<'py>, record: &BatchRecord) -> PyResult<Bound<'py, PyAny>> {
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

/// An epoch's record as the package's.
pub fn py_epoch<'py>(py: Python<'py>, record: &EpochRecord) -> PyResult<Bound<'py, PyAny>> {
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
pub fn append(
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
