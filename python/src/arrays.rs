//! Arrays of Python as views, without a copy where they have the precision, and back.

use numpy::{
    Element, PyArray, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArray2, PyReadonlyArray3,
    PyReadonlyArrayDyn, PyUntypedArrayMethods, ndarray,
};
use pyo3::{prelude::*, types::PyDict};
use spikegrad::{Float, Input, Targets};

use crate::errors::invalid;

/// A precision that both sides have.
pub trait Number: Float + Element {}

impl Number for f32 {}
impl Number for f64 {}

/// An array of numbers; `what` names it in messages. Anything that is not an aligned array of this precision is
/// converted by numpy, into a copy.
pub fn numbers<'py, F: Number>(
    given: &Bound<'py, PyAny>,
    what: &str,
) -> PyResult<PyReadonlyArrayDyn<'py, F>> {
    if let Ok(array) = given.cast::<PyArrayDyn<F>>()
        && given.getattr("flags")?.getattr("aligned")?.extract()?
    {
        return Ok(array.try_readonly()?);
    }
    let helper = given.py().import("spikegrad._arrays")?;
    let converted = helper.call_method1("numbers", (given, F::get_dtype(given.py()), what))?;
    Ok(converted.cast_into::<PyArrayDyn<F>>()?.try_readonly()?)
}

/// An array of rank `D`.
pub fn shaped<'py, F: Number, D: ndarray::Dimension>(
    given: &Bound<'py, PyAny>,
    what: &str,
    expected: &str,
) -> PyResult<numpy::PyReadonlyArray<'py, F, D>> {
    let array = numbers::<F>(given, what)?;
    let shape = array.shape().to_vec();
    let array = array.cast::<PyArray<F, D>>().map_err(|_| {
        invalid(
            given.py(),
            format!("{what} has shape {shape:?}; expected {expected}"),
        )
    })?;
    Ok(array.try_readonly()?)
}

/// The input of a call.
pub enum HeldInput<'py, F: Number> {
    /// `[B, N]` and the number of steps.
    Constant(PyReadonlyArray2<'py, F>, usize),
    /// `[T, B, N]`.
    Sequence(PyReadonlyArray3<'py, F>),
}

impl<'py, F: Number> HeldInput<'py, F> {
    /// Of `x`, `[B, N]` for `num_steps` steps, or `[T, B, N]`.
    pub fn new(x: &Bound<'py, PyAny>, num_steps: Option<usize>) -> PyResult<Self> {
        let (py, array) = (x.py(), numbers::<F>(x, "x")?);
        match array.ndim() {
            2 => {
                let num_steps = num_steps.ok_or_else(|| {
                    invalid(
                        py,
                        "num_steps is None; expected the number of steps of an input [B, N]",
                    )
                })?;
                let array = array.cast::<PyArray<F, ndarray::Ix2>>()?;
                Ok(HeldInput::Constant(array.try_readonly()?, num_steps))
            }
            3 => {
                let steps = array.shape()[0];
                if let Some(given) = num_steps
                    && given != steps
                {
                    let message = format!(
                        "num_steps is {given}; expected {steps}, the steps of x [T, B, N], or None"
                    );
                    return Err(invalid(py, message));
                }
                let array = array.cast::<PyArray<F, ndarray::Ix3>>()?;
                Ok(HeldInput::Sequence(array.try_readonly()?))
            }
            _ => {
                let shape = array.shape();
                Err(invalid(
                    py,
                    format!("x has shape {shape:?}; expected [B, N] or [T, B, N]"),
                ))
            }
        }
    }

    /// A view of it.
    pub fn view(&self) -> Input<'_, F> {
        match self {
            HeldInput::Constant(x, num_steps) => Input::constant(x.as_array(), *num_steps),
            HeldInput::Sequence(x) => Input::sequence(x.as_array()),
        }
    }
}

/// The targets of a call.
pub enum HeldTargets<'py, F: Number> {
    /// A class for each sample.
    Classes(Vec<usize>),
    /// `[B, N]`.
    Values(PyReadonlyArray2<'py, F>),
    /// `[T, B, N]`.
    Sequence(PyReadonlyArray3<'py, F>),
}

impl<'py, F: Number> HeldTargets<'py, F> {
    /// Of `y`: classes if it has one axis, else values.
    pub fn new(y: &Bound<'py, PyAny>) -> PyResult<Self> {
        let py = y.py();
        let array = py
            .import("spikegrad._arrays")?
            .call_method1("array", (y, "y"))?;
        match array.getattr("ndim")?.extract()? {
            1 => Ok(HeldTargets::Classes(classes(&array)?)),
            2 => Ok(HeldTargets::Values(shaped(&array, "y", "[B, N]")?)),
            3 => Ok(HeldTargets::Sequence(shaped(&array, "y", "[T, B, N]")?)),
            _ => {
                let shape: Vec<usize> = array.getattr("shape")?.extract()?;
                let expected = "classes [B], or values [B, N] or [T, B, N]";
                Err(invalid(
                    py,
                    format!("y has shape {shape:?}; expected {expected}"),
                ))
            }
        }
    }

    /// A view of them.
    pub fn view(&self) -> Targets<'_, F> {
        match self {
            HeldTargets::Classes(classes) => Targets::Classes(classes),
            HeldTargets::Values(values) => Targets::Values(values.as_array()),
            HeldTargets::Sequence(values) => Targets::Sequence(values.as_array()),
        }
    }
}

/// Classes from an array of integers with one axis.
fn classes(y: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
    let py = y.py();
    let converted = py
        .import("spikegrad._arrays")?
        .call_method1("classes", (y,))?;
    let found = converted.cast_into::<PyArray1<i64>>()?.try_readonly()?;
    let class = |(index, &class): (usize, &i64)| {
        usize::try_from(class).map_err(|_| {
            invalid(
                py,
                format!("y[{index}] is {class}; expected a class, from 0"),
            )
        })
    };
    found.as_array().iter().enumerate().map(class).collect()
}

/// Named arrays as a `dict`, each copied.
pub fn dict<'py, F: Number>(
    py: Python<'py>,
    tensors: Vec<(String, ndarray::ArrayViewD<'_, F>)>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, values) in tensors {
        dict.set_item(name, PyArray::from_array(py, &values))?;
    }
    Ok(dict)
}

/// Overwrites named arrays with those of a `dict`; `what` names it in messages.
pub fn fill<F: Number>(
    mut tensors: Vec<(String, ndarray::ArrayViewMutD<'_, F>)>,
    dict: &Bound<'_, PyDict>,
    what: &str,
) -> PyResult<()> {
    let py = dict.py();
    let known: Vec<&String> = tensors.iter().map(|(name, _)| name).collect();
    let given: Vec<String> = dict.keys().extract()?;
    let without = |names: Vec<&String>, others: &dyn Fn(&String) -> bool| {
        let left: Vec<&str> = names
            .into_iter()
            .filter(|n| !others(n))
            .map(|n| n.as_str())
            .collect();
        if left.is_empty() {
            "none".to_string()
        } else {
            left.join(", ")
        }
    };
    if known.len() != given.len() || known.iter().any(|name| !given.contains(name)) {
        let missing = without(known.clone(), &|name| given.contains(name));
        let unexpected = without(given.iter().collect(), &|name| known.contains(&name));
        let message =
            format!("{what}: missing tensors: {missing}; unexpected tensors: {unexpected}");
        return Err(invalid(py, message));
    }
    let mut found = Vec::new();
    for (name, values) in &tensors {
        let item = dict
            .get_item(name)?
            .ok_or_else(|| invalid(py, format!("{what}: {name} is missing")))?;
        let array = numbers::<F>(&item, name)?;
        if array.shape() != values.shape() {
            let (found, expected) = (array.shape(), values.shape());
            let message = format!("{name} has shape {found:?}; expected {expected:?}");
            return Err(invalid(py, message));
        }
        found.push(array);
    }
    for ((_, values), found) in tensors.iter_mut().zip(&found) {
        values.assign(&found.as_array());
    }
    Ok(())
}
