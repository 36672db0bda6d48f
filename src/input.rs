//! Borrowed network input: constant over all steps, or a sequence.

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

use ndarray::{ArrayView2, ArrayView3, s};

use crate::{Error, Float, Network, Result, finite::all_finite, memory};

/// Limit on the numbers in one sample, which are indexed with 32 bits.
const MAX_SAMPLE: usize = u32::MAX as usize;

/// The input of one batch, as views that are not copied.
///
/// ```
/// use ndarray::{Array2, Array3};
/// use spikegrad::Input;
///
/// let images = Array2::<f32>::zeros((128, 784));
/// let input = Input::constant(images.view(), 25); // the same current at each of 25 steps
/// assert_eq!((input.num_steps(), input.batch(), input.features()), (25, 128, 784));
///
/// let events = Array3::<f32>::zeros((100, 16, 64)); // [T, B, N]
/// assert_eq!(Input::sequence(events.view()).num_steps(), 100);
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Input<'a, F: Float = f32> {
    /// `x [B, N]`, the same at each of `num_steps` steps.
    #[non_exhaustive]
    Constant {
        /// The input, `[B, N]`.
        x: ArrayView2<'a, F>,
        /// `T`.
        num_steps: usize,
    },
    /// `x [T, B, N]`, one input for each step.
    #[non_exhaustive]
    Sequence {
        /// The inputs, `[T, B, N]`.
        x: ArrayView3<'a, F>,
    },
}

impl<'a, F: Float> Input<'a, F> {
    /// The constant input `x [B, N]` for `num_steps` steps.
    pub fn constant(x: ArrayView2<'a, F>, num_steps: usize) -> Self {
        Input::Constant { x, num_steps }
    }

    /// The time-varying input `x [T, B, N]`.
    pub fn sequence(x: ArrayView3<'a, F>) -> Self {
        Input::Sequence { x }
    }

    /// `T`.
    pub fn num_steps(&self) -> usize {
        match self {
            Input::Constant { num_steps, .. } => *num_steps,
            Input::Sequence { x } => x.dim().0,
        }
    }

    /// `B`.
    pub fn batch(&self) -> usize {
        match self {
            Input::Constant { x, .. } => x.nrows(),
            Input::Sequence { x } => x.dim().1,
        }
    }

    /// `N`, the width of the input.
    pub fn features(&self) -> usize {
        match self {
            Input::Constant { x, .. } => x.ncols(),
            Input::Sequence { x } => x.dim().2,
        }
    }

    /// Sample `b`, which must exist, as a batch of one.
    pub(crate) fn sample(&self, b: usize) -> Self {
        match *self {
            Input::Constant { x, num_steps } => Input::Constant {
                x: x.slice_move(s![b..=b, ..]),
                num_steps,
            },
            Input::Sequence { x } => Input::Sequence {
                x: x.slice_move(s![.., b..=b, ..]),
            },
        }
    }

    /// Adds the interpretation of the axes to a shape error, which reveals an input `[B, T, N]`
    /// passed instead of `[T, B, N]`. Other errors are unchanged.
    #[cold]
    pub(crate) fn name_axes(&self, mut error: Error) -> Error {
        if let Error::Shape { expected, .. } = &mut error {
            let (steps, batch) = (self.num_steps(), self.batch());
            let s = |n: usize| if n == 1 { "" } else { "s" };
            let axes = match self {
                Input::Constant { x, .. } => format!(
                    "input [B, N] = {:?} was read as B = {batch} sample{}, for T = {steps} step{}",
                    x.shape(),
                    s(batch),
                    s(steps)
                ),
                Input::Sequence { x } => format!(
                    "input [T, B, N] = {:?} was read as T = {steps} step{} of B = {batch} sample{}",
                    x.shape(),
                    s(steps),
                    s(batch)
                ),
            };
            *expected = format!("{expected} ({axes})");
        }
        error
    }

    /// Runs [`check_shape`](Self::check_shape) and checks that all values are finite.
    pub(crate) fn check(&self, network: &Network<F>) -> Result<()> {
        self.check_shape(network)?;
        let finite = match self {
            Input::Constant { x, .. } => all_finite(x.iter()),
            Input::Sequence { x } => all_finite(x.iter()),
        };
        if finite {
            Ok(())
        } else {
            Err(self.not_finite())
        }
    }

    /// Checks that the input matches the network, is not empty, and that its steps fit into memory.
    pub(crate) fn check_shape(&self, network: &Network<F>) -> Result<()> {
        for (name, value) in [
            ("num_steps", self.num_steps()),
            ("batch size", self.batch()),
        ] {
            if value == 0 {
                return Err(Error::parameter(name, 0, "at least 1"));
            }
        }
        let (expected, found) = match self {
            Input::Constant { x, .. } => ("[B, ", x.shape()),
            Input::Sequence { x } => ("[T, B, ", x.shape()),
        };
        if self.features() != network.inputs() {
            let expected = format!("{expected}{}], the network's inputs", network.inputs());
            return Err(self.name_axes(Error::shape("input", expected, found)));
        }
        // The minimum memory per sample in any engine: current, spikes, membranes, adjoints.
        let neurons = network.layers().iter().map(|layer| layer.neurons());
        let traces = neurons.map(|n| [4, self.num_steps(), 1, n]);
        memory::check::<F>("num_steps x neurons", traces)?;
        if let Input::Sequence { x } = self {
            let (num_steps, _, features) = x.dim();
            if num_steps.saturating_mul(features) > MAX_SAMPLE {
                let expected = "fewer than 2^32 numbers per sample";
                return Err(self.name_axes(Error::shape("input", expected, x.shape())));
            }
        }
        Ok(())
    }

    /// The result of a pass over the input, which is `None` if the pass has met a NaN or an infinity.
    pub(crate) fn finite<T>(&self, made: Option<T>) -> Result<T> {
        made.ok_or_else(|| self.not_finite())
    }

    /// The error for the first NaN or infinity, which must exist.
    pub(crate) fn not_finite(&self) -> Error {
        let found = match self {
            Input::Constant { x, .. } => {
                let found = x.indexed_iter().find(|(_, x)| !x.is_finite());
                found.map(|((sample, input), x)| (x, format!("sample {sample}, input {input}")))
            }
            Input::Sequence { x } => {
                let found = x.indexed_iter().find(|(_, x)| !x.is_finite());
                found.map(|((step, sample, input), x)| {
                    (x, format!("step {step}, sample {sample}, input {input}"))
                })
            }
        };
        let (value, position) = found
            .map(|(x, position)| (x.to_string(), position))
            .unwrap_or_default();
        Error::NonFinite {
            what: "input".into(),
            value,
            position,
        }
    }
}
