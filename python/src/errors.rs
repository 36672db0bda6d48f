//! The library's errors as Python exceptions, and exceptions that pass through the library.

use std::cell::RefCell;

use pyo3::prelude::*;
use spikegrad::Error;

thread_local! {
    /// The exception of a Python function that the library has called: its own error cannot carry it.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Keeps an exception for the end of the library's call, and makes the error that ends it.
pub fn keep(error: PyErr) -> Error {
    let text = error.to_string();
    RAISED.set(Some(error));
    Error::callback(text)
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

/// Runs part of the library without the GIL. An exception that a Python function has raised in it, on this
/// thread, is raised in place of the library's error.
pub fn detached<R: Send>(
    py: Python<'_>,
    run: impl FnOnce() -> spikegrad::Result<R> + Send,
) -> PyResult<R> {
    RAISED.take();
    let done = py.detach(run);
    let raised = RAISED.take();
    done.map_err(|error| raised.unwrap_or_else(|| exception(py, &error)))
}

/// `len` zeros.
pub fn zeros<T: Clone + Default>(py: Python<'_>, what: &str, len: usize) -> PyResult<Vec<T>> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(len).map_err(|_| {
        let bytes = len.checked_mul(size_of::<T>());
        exception(
            py,
            &Error::OutOfMemory {
                what: what.into(),
                bytes,
            },
        )
    })?;
    zeros.resize(len, T::default());
    Ok(zeros)
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
