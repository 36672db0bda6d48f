//! Numbers for each step and neuron of one sample, in the kernels' layout and as rows `[T, N]`.

use std::borrow::Cow;

use ndarray::{ArrayView2, ArrayViewMut1, Axis};

use super::simd::{F32x16, LANES, flatten, flatten_mut};

/// A number for each step and neuron of one sample: block `k` at step `t` has its vectors from
/// `k·block + t·step` on.
#[derive(Clone, Copy)]
pub(crate) struct StridedView<'a> {
    pub values: &'a [F32x16],
    pub block: usize,
    pub step: usize,
}

impl<'a> StridedView<'a> {
    /// `[block][T][vectors]`.
    pub fn blocks(values: &'a [F32x16], vectors: usize, num_steps: usize) -> Self {
        let (block, step) = (num_steps * vectors, vectors);
        StridedView {
            values,
            block,
            step,
        }
    }

    /// Rows `[T][block][vectors]`.
    pub fn rows(values: &'a [F32x16], vectors: usize, row: usize) -> Self {
        let (block, step) = (vectors, row);
        StridedView {
            values,
            block,
            step,
        }
    }

    /// Neuron `n` at step `t`, in blocks of `vectors` vectors.
    pub fn entry(self, vectors: usize, t: usize, n: usize) -> f32 {
        let vector = n / LANES;
        self.at(vector / vectors, t, vector % vectors)[0].0[n % LANES]
    }

    #[inline(always)]
    pub fn at(self, block: usize, t: usize, at: usize) -> &'a [F32x16] {
        &self.values[block * self.block + t * self.step + at..]
    }
}

/// Writes (or adds) one sample's rows `[T, N]` as `[block][T][vectors]`, 0 in the padding.
pub(super) fn place(rows: ArrayView2<'_, f32>, vectors: usize, add: bool, out: &mut [F32x16]) {
    Planes::new(vectors, rows.nrows(), 1).place(rows, 0, add, out);
}

/// A trace `[block][T][planes][vectors]`: several numbers for each step and neuron of one sample.
#[derive(Clone, Copy)]
pub(super) struct Planes {
    vectors: usize,
    steps: usize,
    planes: usize,
}

impl Planes {
    /// `planes` numbers for each step and neuron, in blocks of `vectors` vectors.
    pub fn new(vectors: usize, steps: usize, planes: usize) -> Self {
        Planes {
            vectors,
            steps,
            planes,
        }
    }

    /// One of the numbers.
    pub fn plane(self, trace: &[F32x16], plane: usize) -> StridedView<'_> {
        let step = self.planes * self.vectors;
        StridedView {
            values: &trace[plane * self.vectors..],
            block: self.steps * step,
            step,
        }
    }

    /// Copies one of the numbers of step 0 to `to`, `[N]`: [`place`](Self::place) reversed.
    pub fn take(self, trace: &[F32x16], plane: usize, mut to: ArrayViewMut1<'_, f32>) {
        let from = self.plane(trace, plane);
        let blocks = to.axis_chunks_iter_mut(Axis(0), self.vectors * LANES);
        for (block, mut to) in blocks.enumerate() {
            let numbers = &flatten(from.at(block, 0, 0))[..to.len()];
            match to.as_slice_mut() {
                Some(to) => to.copy_from_slice(numbers),
                None => to.iter_mut().zip(numbers).for_each(|(to, x)| *to = *x),
            }
        }
    }

    /// Writes (or adds) rows `[T, N]` of one of the numbers, 0 in the padding.
    pub fn place(self, rows: ArrayView2<'_, f32>, plane: usize, add: bool, out: &mut [F32x16]) {
        let (vectors, width) = (self.vectors, self.vectors * LANES);
        for (t, row) in rows.rows().into_iter().enumerate() {
            let row: Cow<'_, [f32]> = match row.to_slice() {
                Some(row) => row.into(),
                None => row.to_vec().into(),
            };
            for (block, row) in row.chunks(width).enumerate() {
                let at = ((block * self.steps + t) * self.planes + plane) * vectors;
                let to = flatten_mut(&mut out[at..][..vectors]);
                if add {
                    to.iter_mut().zip(row).for_each(|(to, from)| *to += from);
                } else {
                    to[row.len()..].fill(0.0);
                    to[..row.len()].copy_from_slice(row);
                }
            }
        }
    }
}
