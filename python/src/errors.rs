//! The library's errors as Python exceptions, and exceptions that pass through the library.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use spikegrad::Error;

/// An exception of a Python function that the library has called: the library's own error cannot carry it.
#[derive(Clone, Default)]
pub struct Raised(Arc<Mutex<Option<PyErr>>>);

impl Raised {
    /// Keeps the exception, and makes the error that ends the library's call.
    pub fn keep(&self, error: PyErr) -> Error {
        let text = error.to_string();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        Error::callback(text)
    }

    /// The exception to raise for an error: the one that was kept, if there is one.
    pub fn or(&self, py: Python<'_>, error: &Error) -> PyErr {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        kept.unwrap_or_else(|| exception(py, error))
    }
}

/// The exception for an error, with its message.
pub fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let class = match error {
        Error::NonFinite { .. } => "NonFiniteError",
        Error::Io { .. } => "FileError",
        Error::Format { .. } | Error::Tensors { .. } => "FormatError",
        Error::Device { .. } => "DeviceError",
        Error::Unsupported { .. } => "UnsupportedError",
        Error::OutOfMemory { .. } => "OutOfMemoryError",
        Error::InvalidParameter { .. } | Error::Shape { .. } | Error::Target { .. } => {
            "InvalidInputError"
        }
        _ => "Error",
    };
    let raised = raise(py, class, error.to_string());
    if let Error::Io { path, source, .. } = error {
        let value = raised.value(py);
        // An `OSError` made of a message alone has neither; that they are missing is no reason to lose it.
        let _ = value.setattr("errno", source.raw_os_error());
        let _ = value.setattr("filename", path);
    }
    raised
}

/// An exception of `spikegrad.errors`.
pub fn raise(py: Python<'_>, class: &str, message: String) -> PyErr {
    let made = || {
        py.import("spikegrad.errors")?
            .getattr(class)?
            .call1((message,))
    };
    match made() {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// `ValueError` of this package.
pub fn invalid(py: Python<'_>, message: impl Into<String>) -> PyErr {
    raise(py, "InvalidInputError", message.into())
}

/// Runs part of the library without the GIL.
pub fn detached<R: Send>(
    py: Python<'_>,
    raised: &Raised,
    run: impl FnOnce() -> spikegrad::Result<R> + Send,
) -> PyResult<R> {
    py.detach(run).map_err(|error| raised.or(py, &error))
}

/// The library's result as Python's.
pub trait OrRaise<T> {
    /// Raises the error.
    fn or_raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> OrRaise<T> for spikegrad::Result<T> {
    fn or_raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| exception(py, &error))
    }
}
