//! The arrays, or the function, that a training loop draws batches from.

use numpy::{
    PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray2, PyReadonlyArray3,
    PyUntypedArrayMethods,
    ndarray::{ArrayView2, ArrayView3, Axis},
};
use pyo3::{exceptions::PyTypeError, prelude::*};
use spikegrad::{
    Error,
    data::{Data, Draw, OwnedSamples},
};

use crate::{
    arrays::{HeldTargets, numbers},
    errors::{OrRaise, invalid, keep},
};

/// The arrays of a data set, samples first.
pub struct Arrays<'py> {
    x: HeldX<'py>,
    y: HeldTargets<'py, f32>,
}

enum HeldX<'py> {
    Constant(PyReadonlyArray2<'py, f32>),
    Sequences(PyReadonlyArray3<'py, f32>),
    /// A function that returns the samples of some numbers, how many there are, and the steps of constant inputs.
    Source(Bound<'py, PyAny>, usize, Option<usize>),
}

impl<'py> Arrays<'py> {
    /// Of the inputs `[N, F]` or `[N, T, F]` and a target for each; `what` goes before their names.
    pub fn new(
        x: &Bound<'py, PyAny>,
        y: &Bound<'py, PyAny>,
        num_steps: Option<usize>,
        what: &str,
    ) -> PyResult<Self> {
        let py = x.py();
        if x.is_callable() {
            let samples = y.extract().map_err(|_| {
                let expected = "the number of samples that the function x can be asked for";
                PyTypeError::new_err(format!(
                    "{what}y is not a whole number; expected {expected}"
                ))
            })?;
            let x = HeldX::Source(x.clone(), samples, num_steps);
            return Ok(Arrays {
                x,
                y: HeldTargets::Classes(Vec::new()),
            });
        }
        let array = numbers::<f32>(x, "x")?;
        let x = match array.ndim() {
            2 if num_steps.is_none() => {
                let message =
                    format!("num_steps is None; expected the number of steps of {what}x [N, F]");
                return Err(invalid(py, message));
            }
            2 => HeldX::Constant(array.cast::<PyArray2<f32>>()?.try_readonly()?),
            3 => HeldX::Sequences(array.cast::<PyArray3<f32>>()?.try_readonly()?),
            _ => {
                let shape = array.shape();
                let message = format!("{what}x has shape {shape:?}; expected [N, F] or [N, T, F]");
                return Err(invalid(py, message));
            }
        };
        let arrays = Arrays {
            x,
            y: HeldTargets::new(y)?,
        };
        let (samples, steps, targets) = {
            let data = arrays.data();
            (data.len(), data.num_steps(), data.num_targets())
        };
        if let (Some(given), Some(steps)) = (num_steps, steps)
            && given != steps
        {
            let message = format!(
                "num_steps is {given}; expected {steps}, the steps of {what}x [N, T, F], or None"
            );
            return Err(invalid(py, message));
        }
        if targets != samples {
            let message = format!(
                "{what}y has {targets} targets; expected {samples}, one for each sample of {what}x, whose first axis \
                 counts samples"
            );
            return Err(invalid(py, message));
        }
        Ok(arrays)
    }

    /// Views of them.
    pub fn data(&self) -> Samples<'_> {
        Samples {
            x: match &self.x {
                HeldX::Constant(x) => X::Constant(x.as_array()),
                HeldX::Sequences(x) => X::Sequences(x.as_array()),
                HeldX::Source(function, samples, num_steps) => X::Source {
                    function: function.clone().unbind(),
                    samples: *samples,
                    num_steps: *num_steps,
                },
            },
            y: match &self.y {
                HeldTargets::Classes(classes) => Y::Classes(classes),
                HeldTargets::Values(values) => Y::Values(values.as_array()),
                HeldTargets::Sequence(values) => Y::Sequences(values.as_array()),
            },
        }
    }
}

/// Views of a data set, which the trainer draws batches from.
pub struct Samples<'a> {
    x: X<'a>,
    y: Y<'a>,
}

enum X<'a> {
    Constant(ArrayView2<'a, f32>),
    Sequences(ArrayView3<'a, f32>),
    Source {
        function: Py<PyAny>,
        samples: usize,
        num_steps: Option<usize>,
    },
}

enum Y<'a> {
    Classes(&'a [usize]),
    Values(ArrayView2<'a, f32>),
    Sequences(ArrayView3<'a, f32>),
}

impl Data for Samples<'_> {
    fn len(&self) -> usize {
        match &self.x {
            X::Constant(x) => x.nrows(),
            X::Sequences(x) => x.dim().0,
            X::Source { samples, .. } => *samples,
        }
    }

    fn num_steps(&self) -> Option<usize> {
        match &self.x {
            X::Constant(_) | X::Source { .. } => None,
            X::Sequences(x) => Some(x.dim().1),
        }
    }

    fn fill(&self, draw: Draw<'_>, batch: &mut OwnedSamples) -> spikegrad::Result<()> {
        let (indices, samples) = (draw.indices, draw.indices.len());
        match &self.x {
            X::Constant(x) => {
                let mut rows = batch.constant([samples, x.ncols()]).outer_iter_mut();
                for (row, &index) in { &mut rows }.zip(indices) {
                    { row }.assign(&x.row(index));
                }
            }
            X::Sequences(x) => {
                let (_, steps, features) = x.dim();
                let all = batch.sequence([steps, samples, features]);
                for (mut sample, &index) in all.axis_iter_mut(Axis(1)).zip(indices) {
                    sample.assign(&x.index_axis(Axis(0), index));
                }
            }
            X::Source {
                function,
                num_steps,
                ..
            } => {
                let asked = Python::attach(|py| ask(function.bind(py), draw, *num_steps, batch));
                return asked.map_err(keep);
            }
        }
        match &self.y {
            Y::Classes(classes) => {
                batch
                    .classes()
                    .extend(indices.iter().map(|&index| classes[index]));
            }
            Y::Values(values) => {
                let all = batch.values([samples, values.ncols()]);
                for (mut row, &index) in all.outer_iter_mut().zip(indices) {
                    row.assign(&values.row(index));
                }
            }
            Y::Sequences(values) => {
                let (_, steps, outputs) = values.dim();
                let all = batch.sequence_values([steps, samples, outputs]);
                for (mut sample, &index) in all.axis_iter_mut(Axis(1)).zip(indices) {
                    sample.assign(&values.index_axis(Axis(0), index));
                }
            }
        }
        Ok(())
    }

    fn check(&self, network: &spikegrad::Network, what: &str) -> spikegrad::Result<()> {
        let (found, features) = match &self.x {
            X::Constant(x) => (x.shape(), x.ncols()),
            X::Sequences(x) => (x.shape(), x.dim().2),
            // What it returns is checked as it is drawn.
            X::Source { .. } => return Ok(()),
        };
        let shape = |what: String, expected: String, found: &[usize]| {
            Err(Error::Shape {
                what,
                expected,
                found: found.to_vec(),
            })
        };
        if features != network.inputs() {
            let axes = if found.len() == 2 { "[N, " } else { "[N, T, " };
            let expected = format!("{axes}{}], the network's inputs", network.inputs());
            return shape(format!("{what} x"), expected, found);
        }
        let outputs = network.outputs();
        let (found, columns) = match &self.y {
            Y::Classes(classes) => {
                let mut wrong = classes
                    .iter()
                    .enumerate()
                    .filter(|(_, class)| **class >= outputs);
                return match wrong.next() {
                    None => Ok(()),
                    Some((index, class)) => Err(Error::InvalidParameter {
                        name: format!("{what} y[{index}]"),
                        value: class.to_string(),
                        expected: format!(
                            "a class below {outputs}, the number of the network's outputs"
                        ),
                    }),
                };
            }
            Y::Values(values) => (values.shape(), values.ncols()),
            Y::Sequences(values) => (values.shape(), values.dim().2),
        };
        match columns == outputs {
            true => Ok(()),
            false => shape(
                format!("{what} y"),
                format!("{outputs} outputs, as the network"),
                found,
            ),
        }
    }
}

/// Fills a batch with what a function returns for the numbers of its samples.
fn ask(
    function: &Bound<'_, PyAny>,
    draw: Draw<'_>,
    num_steps: Option<usize>,
    batch: &mut OwnedSamples,
) -> PyResult<()> {
    let (py, samples) = (function.py(), draw.indices.len());
    let numbers = PyArray1::from_iter(py, draw.indices.iter().map(|&index| index as i64));
    let returned = function.call1((numbers, draw.epoch))?;
    let (x, y): (Bound<'_, PyAny>, Bound<'_, PyAny>) = returned.extract().map_err(|_| {
        let found = returned.get_type();
        PyTypeError::new_err(format!(
            "the function x returned a {found}; expected (x, y)"
        ))
    })?;
    if x.is_callable() {
        return Err(invalid(
            py,
            "the function x returned a function; expected arrays (x, y)",
        ));
    }
    let arrays = Arrays::new(&x, &y, num_steps, "")?;
    let data = arrays.data();
    if data.len() != samples {
        let found = data.len();
        let message = format!(
            "the function x returned {found} samples; expected {samples}, those it was asked for"
        );
        return Err(invalid(py, message));
    }
    let all: Vec<usize> = (0..samples).collect();
    data.fill(Draw::new(&all, draw.epoch), batch).or_raise(py)
}

impl Samples<'_> {
    /// How many targets there are.
    fn num_targets(&self) -> usize {
        match &self.y {
            Y::Classes(classes) => classes.len(),
            Y::Values(values) => values.nrows(),
            Y::Sequences(values) => values.dim().0,
        }
    }

    /// What a checkpoint says of the inputs: their shape.
    pub fn describe(&self) -> String {
        match &self.x {
            X::Constant(x) => format!("{:?}", x.shape()),
            X::Sequences(x) => format!("{:?}", x.shape()),
            X::Source { samples, .. } => format!("{samples} samples of a function"),
        }
    }
}
