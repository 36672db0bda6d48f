//! What a batch is compared with: classes, or values.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use ndarray::{ArrayView2, ArrayView3};

use crate::{Error, Float, Input, Network, Result, finite::check_finite};

/// The targets of one batch, as views that are not copied.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Targets<'a, F: Float = f32> {
    /// A class for each sample, `[B]`.
    Classes(&'a [usize]),
    /// Values for each sample and output, `[B, N]`.
    Values(ArrayView2<'a, F>),
    /// Values at each step, `[T, B, N]`.
    Sequence(ArrayView3<'a, F>),
}

/// The input of one batch and its targets.
///
/// ```
/// use ndarray::{Array2, Array3};
/// use spikegrad::Input;
///
/// let images = Array2::<f32>::zeros((2, 784));
/// let classified = Input::constant(images.view(), 25).classes(&[7, 1]);
///
/// let (signal, aim) = (Array3::<f32>::zeros((50, 1, 1)), Array3::<f32>::ones((50, 1, 1)));
/// let regressed = Input::sequence(signal.view()).sequence_values(aim.view());
/// assert_eq!((classified.input.batch(), regressed.input.num_steps()), (2, 50));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Samples<'a, F: Float = f32> {
    /// The input.
    pub input: Input<'a, F>,
    /// The targets.
    pub targets: Targets<'a, F>,
}

impl<'a, F: Float> Input<'a, F> {
    /// This input, with a class for each sample, `[B]`.
    pub fn classes<'b>(self, classes: &'b [usize]) -> Samples<'b, F>
    where
        'a: 'b,
    {
        self.with(Targets::Classes(classes))
    }

    /// This input, with a value for each sample and output, `[B, N]`: for a loss on spike counts,
    /// on firing rates, or on the last step's membranes.
    pub fn values<'b>(self, values: ArrayView2<'b, F>) -> Samples<'b, F>
    where
        'a: 'b,
    {
        self.with(Targets::Values(values))
    }

    /// This input, with a value for each step, sample and output, `[T, B, N]`: for a loss on
    /// membranes.
    pub fn sequence_values<'b>(self, values: ArrayView3<'b, F>) -> Samples<'b, F>
    where
        'a: 'b,
    {
        self.with(Targets::Sequence(values))
    }

    /// This input, with targets of any kind.
    pub fn with<'b>(self, targets: Targets<'b, F>) -> Samples<'b, F>
    where
        'a: 'b,
    {
        // The lifetime of a view does not shrink by itself.
        let input = match self {
            Input::Constant { x, num_steps } => Input::constant(x.reborrow(), num_steps),
            Input::Sequence { x } => Input::sequence(x.reborrow()),
        };
        Samples { input, targets }
    }
}

impl<'a, F: Float> Samples<'a, F> {
    /// Checks that the targets match the input and the network.
    pub(crate) fn check_targets(&self, network: &Network<F>) -> Result<()> {
        let (steps, batch) = (self.input.num_steps(), self.input.batch());
        self.targets
            .check([steps, batch, network.outputs()])
            .map_err(|error| self.input.name_axes(error))
    }
}

#[cfg(feature = "mpi")]
impl<'a, F: Float> Samples<'a, F> {
    /// Some of these samples. Targets of too few samples stay as they are, and are refused with these.
    pub(crate) fn part(self, range: std::ops::Range<usize>) -> Self {
        let targets = match self.targets {
            Targets::Classes(classes) => {
                Targets::Classes(classes.get(range.clone()).unwrap_or(classes))
            }
            Targets::Values(x) if range.end <= x.nrows() => {
                Targets::Values(x.slice_move(ndarray::s![range.clone(), ..]))
            }
            Targets::Sequence(x) if range.end <= x.dim().1 => {
                Targets::Sequence(x.slice_move(ndarray::s![.., range.clone(), ..]))
            }
            targets => targets,
        };
        let input = match self.input {
            Input::Constant { x, num_steps } => Input::Constant {
                x: x.slice_move(ndarray::s![range, ..]),
                num_steps,
            },
            Input::Sequence { x } => Input::Sequence {
                x: x.slice_move(ndarray::s![.., range, ..]),
            },
        };
        Samples { input, targets }
    }
}

impl<'a, F: Float> Targets<'a, F> {
    /// The classes.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for values.
    pub fn classes(&self) -> Result<&'a [usize]> {
        match *self {
            Targets::Classes(classes) => Ok(classes),
            _ => Err(Error::parameter("targets", self.kind(), CLASSES)),
        }
    }

    /// What they are, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Targets::Classes(_) => "classes",
            Targets::Values(_) => "values [B, N]",
            Targets::Sequence(_) => "values [T, B, N]",
        }
    }

    /// Checks the shape for an output layer `[T, B, N]`, that classes have an output, and that values
    /// are finite.
    pub(crate) fn check(&self, [steps, batch, outputs]: [usize; 3]) -> Result<()> {
        match self {
            Targets::Classes(classes) => check_classes(classes, batch, outputs),
            Targets::Values(values) => {
                if values.dim() != (batch, outputs) {
                    let expected = format!("[B, N] = [{batch}, {outputs}]");
                    return Err(Error::shape("targets", expected, values.shape()));
                }
                check_finite("targets", values.iter())
            }
            Targets::Sequence(values) => {
                if values.dim() != (steps, batch, outputs) {
                    let expected = format!("[T, B, N] = [{steps}, {batch}, {outputs}]");
                    return Err(Error::shape("targets", expected, values.shape()));
                }
                check_finite("targets", values.iter())
            }
        }
    }
}

const CLASSES: &str = "a class for each sample, which this loss compares with";

impl<'a, F: Float> From<&'a [usize]> for Targets<'a, F> {
    fn from(classes: &'a [usize]) -> Self {
        Targets::Classes(classes)
    }
}

impl<'a, F: Float> From<&'a Vec<usize>> for Targets<'a, F> {
    fn from(classes: &'a Vec<usize>) -> Self {
        Targets::Classes(classes)
    }
}

impl<'a, F: Float, const B: usize> From<&'a [usize; B]> for Targets<'a, F> {
    fn from(classes: &'a [usize; B]) -> Self {
        Targets::Classes(classes)
    }
}

impl<'a, F: Float> From<ArrayView2<'a, F>> for Targets<'a, F> {
    fn from(values: ArrayView2<'a, F>) -> Self {
        Targets::Values(values)
    }
}

impl<'a, F: Float> From<ArrayView3<'a, F>> for Targets<'a, F> {
    fn from(values: ArrayView3<'a, F>) -> Self {
        Targets::Sequence(values)
    }
}

/// Checks that there is one target per sample and that each is a valid class.
fn check_classes(targets: &[usize], batch: usize, classes: usize) -> Result<()> {
    if targets.len() != batch {
        return Err(Error::shape(
            "targets",
            format!("[{batch}], one per sample"),
            &[targets.len()],
        ));
    }
    let mut targets = targets.iter().enumerate();
    match targets.find(|&(_, &class)| class >= classes) {
        Some((index, &value)) => Err(Error::Target {
            index,
            value,
            classes,
        }),
        None => Ok(()),
    }
}
