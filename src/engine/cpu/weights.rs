//! Weight gradients `∂L/∂W = Σ aᵀ s`.
//!
//! For a block of 64 outputs and one input, the gradient is the sum of the adjoints `a` of those
//! samples (or sample-steps) at which the input was active. It is computed in registers and passed
//! to a [`Sink`] at once: to Adam, so that it is never stored, or to a buffer. No two tasks touch
//! the same weight, and each sum runs over the batch in order: no reduction crosses threads.

use std::ops::Range;

use super::{
    dense::{Ahead, Columns, Start, product},
    lists::{Pairs, STRETCH, Sparse},
    simd::{BlockKernel, F32x16, Kernel, LANES, Simd},
    sink::Sink,
};

/// Distance in inputs between the prefetched weights and moments and the current ones.
const DISTANCE: usize = 8;

/// One block's gradients from a real-valued input: `Σ_r x[r, i] a[r]`.
pub(super) struct FromInput<'a> {
    pub vectors: usize,
    /// Where each pair of inputs is active, and its values there.
    pub columns: &'a Pairs,
    /// Whether there are biases.
    pub bias: bool,
    /// The block's adjoints, `[r][vectors]`.
    pub a: &'a [F32x16],
    pub sink: Sink<'a>,
}

impl BlockKernel for FromInput<'_> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.vectors
    }

    /// Per entry of a pair: one index, two values, `L` vectors of `a` from L1 (32 KB for 128 static
    /// samples), `2 L` fused multiply-adds into registers; per input, what the sink needs.
    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(mut self, s: S) {
        let (a, _) = self.a.as_chunks::<L>();
        let inputs = self.columns.columns();
        for p in 0..inputs.div_ceil(2) {
            self.sink.prefetch::<S, L>(s, 2 * p + DISTANCE);
            let mut sums = [[s.splat(0.0); L]; 2];
            let (rows, values) = self.columns.pair(p);
            for (&r, x) in rows.iter().zip(values) {
                let (x, row) = ([s.splat(x[0]), s.splat(x[1])], &a[r as usize]);
                for l in 0..L {
                    let a = s.load(&row[l]);
                    sums[0][l] = s.fma(x[0], a, sums[0][l]);
                    sums[1][l] = s.fma(x[1], a, sums[1][l]);
                }
            }
            self.sink.put::<S, L>(s, 2 * p, sums[0]);
            if 2 * p + 1 < inputs {
                self.sink.put::<S, L>(s, 2 * p + 1, sums[1]);
            }
        }
        // The bias is an input with the constant value 1.
        let mut sum = [s.splat(0.0); L];
        let a = if self.bias { a } else { &[] };
        for a in a {
            for l in 0..L {
                sum[l] = s.add(sum[l], s.load(&a[l]));
            }
        }
        self.sink.put::<S, L>(s, inputs, sum);
    }
}

/// Gradients of one block from the steps of one sample of a sparse sequence, added to `sums`.
pub(super) struct FromLists<'a> {
    pub vectors: usize,
    /// The sample's entries, a row for each step, sorted.
    pub list: &'a Sparse,
    /// Stretches of inputs.
    pub stretches: Range<usize>,
    /// The block's adjoints, `[T][vectors]`.
    pub a: &'a [F32x16],
    /// `[stretch][STRETCH][vectors]`, from the first stretch on.
    pub sums: &'a mut [F32x16],
}

impl BlockKernel for FromLists<'_> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.vectors
    }

    /// Per entry: one place, one value unless all are 1; `L` vectors of `a` and `L` sums in L1 are loaded, and
    /// the sums stored. No branch depends on the data.
    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(self, s: S) {
        let (sums, _) = self.sums.as_chunks_mut::<L>();
        let (sums, _) = sums.as_chunks_mut::<STRETCH>();
        let (a, _) = self.a.as_chunks::<L>();
        for (stretch, sums) in self.stretches.zip(sums) {
            let (places, values) = self.list.by_stretch(stretch);
            if values.is_empty() {
                for &place in places {
                    let (a, sum) = (
                        &a[place as usize / STRETCH],
                        &mut sums[place as usize % STRETCH],
                    );
                    for l in 0..L {
                        s.store(s.add(s.load(&sum[l]), s.load(&a[l])), &mut sum[l]);
                    }
                }
            }
            for (&place, &x) in places.iter().zip(values) {
                let (a, sum) = (
                    &a[place as usize / STRETCH],
                    &mut sums[place as usize % STRETCH],
                );
                let x = s.splat(x);
                for l in 0..L {
                    s.store(s.fma(x, s.load(&a[l]), s.load(&sum[l])), &mut sum[l]);
                }
            }
        }
    }
}

/// Steps of one sample, as rows of a stretch.
#[derive(Clone, Copy)]
pub(super) struct Piece<'a> {
    /// The sample's adjoints, `[block][steps][vectors]`.
    pub a: &'a [F32x16],
    pub steps: usize,
    pub first: usize,
    pub count: usize,
}

impl<'a> Piece<'a> {
    /// A block's adjoints in those steps, `[steps][vectors]`.
    #[inline(always)]
    pub fn panel(&self, block: usize, vectors: usize) -> &'a [F32x16] {
        &self.a[(block * self.steps + self.first) * vectors..][..self.count * vectors]
    }
}

/// One block's gradients from some columns of a dense input, one stretch of rows: added to `sums`.
pub(super) struct FromDense<'a, I> {
    pub vectors: usize,
    /// Vectors of the block that hold neurons.
    pub live: usize,
    pub block: usize,
    /// The rows of the stretch.
    pub pieces: &'a [Piece<'a>],
    /// Their entries in those columns, row by row, and the floats from one row to the next.
    pub x: &'a [f32],
    pub row: usize,
    /// `[column][vectors]`.
    pub sums: &'a mut [F32x16],
    pub ahead: Ahead<I>,
}

impl<'a, I: Iterator<Item = &'a [f32]>> BlockKernel for FromDense<'a, I> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.vectors
    }

    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(self, s: S) {
        let (sums, _) = self.sums.as_chunks_mut::<L>();
        let (row, mut x) = (self.row, self.x);
        let segments = self.pieces.iter().map(move |piece| {
            let (values, rest) = x.split_at(piece.count * row);
            x = rest;
            let (panel, _) = piece.panel(self.block, L).as_chunks::<L>();
            (Columns { values, row }, panel)
        });
        product::<S, _, L>(s, segments, Start::Continue, sums, self.live, self.ahead);
    }
}

/// Gradients of one block of outputs from one block of 64 spiking inputs, added to `sums`.
pub(super) struct FromSpikes<'a> {
    pub vectors: usize,
    /// One sample's spikes of the block of inputs, `[T]`.
    pub words: &'a [u64],
    /// Its adjoints of the block of outputs, `[T][vectors]`.
    pub a: &'a [F32x16],
    /// `[64][vectors]`.
    pub sums: &'a mut [F32x16],
}

impl BlockKernel for FromSpikes<'_> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.vectors
    }

    /// Per step: one word and `L` vectors of `a`; per spike, `L` sums in L1 are loaded and stored.
    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(self, s: S) {
        let (sums, _) = self.sums.as_chunks_mut::<L>();
        let (a, _) = self.a.as_chunks::<L>();
        for (&word, a) in self.words.iter().zip(a) {
            let a: [S::V; L] = std::array::from_fn(|l| s.load(&a[l]));
            let mut bits = word;
            while bits != 0 {
                let sum = &mut sums[bits.trailing_zeros() as usize & 63];
                for l in 0..L {
                    s.store(s.add(s.load(&sum[l]), a[l]), &mut sum[l]);
                }
                bits &= bits - 1;
            }
        }
    }
}

/// Classes that are summed at once in [`FromSpikesToFew`], and the maximum that it supports.
const CLASSES: usize = 5;
pub(super) const FEW: usize = 15;

/// Number of samples that are summed first, before the sum is added to the total. A GPU can compute
/// many such sums at once with the same bits (`SAMPLES` in `ptx/lif.cu`).
const SAMPLES: usize = 4;

/// The same to a layer of at most [`FEW`] neurons, from all samples.
pub(super) struct FromSpikesToFew<'a, I> {
    pub neurons: usize,
    /// Each sample's spikes of the block of inputs, `[T]`, and its adjoints, `[T][1]`.
    pub samples: I,
    /// `[64][1]`.
    pub sums: &'a mut [F32x16],
}

impl<'a, I: Iterator<Item = (&'a [u64], &'a [F32x16])> + Clone> Kernel for FromSpikesToFew<'_, I> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for class in (0..self.neurons).step_by(CLASSES) {
            if S::ACCUMULATORS >= 8 {
                few::<S, _, 4>(s, class, 0, self.samples.clone(), self.sums);
            } else {
                for vector in 0..4 {
                    few::<S, _, 1>(s, class, vector, self.samples.clone(), self.sums);
                }
            }
        }
    }
}

/// [`CLASSES`] neurons times `G` vectors of inputs, from `class` and `vector` on: one masked
/// addition for each of them and each step. Iterating over spikes would need fewer additions, but a
/// word holds only a few spikes, and the end of each iteration is a mispredicted branch.
#[inline(always)]
fn few<'a, S: Simd, I: Iterator<Item = (&'a [u64], &'a [F32x16])>, const G: usize>(
    s: S,
    class: usize,
    vector: usize,
    samples: I,
    sums: &mut [F32x16],
) {
    let mut total = [[s.splat(0.0); G]; CLASSES];
    let mut samples = samples.peekable();
    while samples.peek().is_some() {
        let mut acc = [[s.splat(0.0); G]; CLASSES];
        for (words, a) in samples.by_ref().take(SAMPLES) {
            for (&word, a) in words.iter().zip(a) {
                let word = word >> (vector * LANES);
                let masks: [S::M; G] =
                    std::array::from_fn(|g| s.mask((word >> (g * LANES)) as u16));
                for (c, acc) in acc.iter_mut().enumerate() {
                    let a = s.splat(a.0[class + c]);
                    for g in 0..G {
                        acc[g] = s.add_where(masks[g], acc[g], a);
                    }
                }
            }
        }
        for (total, acc) in total.iter_mut().zip(acc) {
            for g in 0..G {
                total[g] = s.add(total[g], acc[g]);
            }
        }
    }
    let mut lane = F32x16::ZERO;
    for (c, acc) in total.into_iter().enumerate() {
        for (g, acc) in acc.into_iter().enumerate() {
            s.store(acc, &mut lane);
            let inputs = sums[(vector + g) * LANES..].iter_mut();
            for (sum, x) in inputs.zip(lane.0) {
                sum.0[class + c] = x;
            }
        }
    }
}

/// The bias's gradient: the sum of one sample's adjoints `[T][vectors]`, from the last step to the
/// first, in the order of the backward pass; added to `sum [vectors]`.
pub(super) struct FromBias<'a> {
    pub a: &'a [F32x16],
    pub sum: &'a mut [F32x16],
}

impl Kernel for FromBias<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let vectors = self.sum.len();
        for (l, sum) in self.sum.iter_mut().enumerate() {
            let mut own = s.splat(0.0);
            for a in self.a[l..].iter().step_by(vectors).rev() {
                own = s.add(own, s.load(a));
            }
            s.store(s.add(s.load(sum), own), sum);
        }
    }
}
