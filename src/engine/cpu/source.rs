//! The input of a batch in the form that the kernels read.

use ndarray::{ArrayView, CowArray, Dimension};

use crate::Input;

/// A batch's input as one slice.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    /// `[B, features]` or `[T, B, features]`.
    pub x: &'a [f32],
    pub constant: bool,
    pub steps: usize,
    pub batch: usize,
    pub features: usize,
}

impl<'a> Source<'a> {
    /// Number of input rows per sample: one, or one per step.
    pub fn rows(&self) -> usize {
        if self.constant { 1 } else { self.steps }
    }

    /// Whether waking threads pays off: a few images finish before another thread starts.
    pub fn worth(&self) -> bool {
        self.batch * self.rows() > 4
    }

    pub fn row(&self, b: usize, t: usize) -> &'a [f32] {
        &self.x[(t * self.batch + b) * self.features..][..self.features]
    }
}

/// Passes on an input, copied only if it is not in standard layout.
pub(super) fn with_source<R>(input: Input<'_>, f: impl FnOnce(Source<'_>) -> R) -> R {
    let (steps, batch, features) = (input.num_steps(), input.batch(), input.features());
    let with = |x: Option<&[f32]>, constant| {
        f(Source {
            x: x.unwrap_or(&[]),
            constant,
            steps,
            batch,
            features,
        })
    };
    match &input {
        Input::Constant { x, .. } => with(standard(x).as_slice(), true),
        Input::Sequence { x } => with(standard(x).as_slice(), false),
    }
}

fn standard<'a, D: Dimension>(x: &'a ArrayView<'_, f32, D>) -> CowArray<'a, f32, D> {
    x.as_standard_layout()
}
