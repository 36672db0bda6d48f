//! Input currents `I = W s + b`: walking what is active, or as a dense product.
//!
//! Most inputs are silent (four of five MNIST pixels are 0, eight to nineteen of twenty neurons
//! do not fire at a step), so a product adds up the weight rows of the active ones: for one block
//! of 64 outputs the sums stay in registers, the weights of the block (784 rows of 256 bytes) in
//! L2. Where more than [`DENSE`] of the inputs are active a matrix product is faster.

use super::{
    dense::{Strided, product},
    layout::LayerState,
    simd::{Kernel, LANES, Lane, Simd, flatten},
};

/// Share of active inputs from which a matrix product is faster than a walk.
pub(super) const DENSE: f64 = 0.6;

/// Inputs whose weights for one block, 256 bytes each, are kept in L1.
const STRETCH: usize = 96;

/// The non-zero entries of a matrix `[rows, columns]`, row by row.
#[derive(Clone, Debug, Default)]
pub(super) struct Sparse {
    /// Row `r` has the entries `starts[r] .. starts[r + 1]`.
    pub starts: Vec<u32>,
    pub index: Vec<u32>,
    pub value: Vec<f32>,
    /// Where each stretch of [`STRETCH`] columns begins in each row, and where the last ends.
    cuts: Vec<u32>,
    stretches: usize,
}

impl Sparse {
    /// Reads the non-zero entries of `rows`, each of `columns` numbers.
    pub fn read<'a>(&mut self, rows: impl Iterator<Item = &'a [f32]>) {
        self.starts.clear();
        self.index.clear();
        self.value.clear();
        self.cuts.clear();
        self.starts.push(0);
        for row in rows {
            self.stretches = row.len().div_ceil(STRETCH);
            // Room for a full row, then one store for each entry and one step for each non-zero:
            // no branch on the data.
            let start = self.index.len();
            self.index.resize(start + row.len(), 0);
            self.value.resize(start + row.len(), 0.0);
            let (index, value) = (&mut self.index[start..], &mut self.value[start..]);
            let mut count = 0;
            for (stretch, row) in row.chunks(STRETCH).enumerate() {
                self.cuts.push((start + count) as u32);
                for (i, &x) in row.iter().enumerate() {
                    index[count] = (stretch * STRETCH + i) as u32;
                    value[count] = x;
                    count += usize::from(x != 0.0);
                }
            }
            self.cuts.push((start + count) as u32);
            self.index.truncate(start + count);
            self.value.truncate(start + count);
            self.starts.push((start + count) as u32);
        }
    }

    /// The entries of one row in one stretch of columns.
    #[inline(always)]
    fn stretch(&self, r: usize, stretch: usize) -> (&[u32], &[f32]) {
        let cuts = &self.cuts[r * (self.stretches + 1) + stretch..][..2];
        let range = cuts[0] as usize..cuts[1] as usize;
        (&self.index[range.clone()], &self.value[range])
    }

    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// The entries of one row.
    pub fn row(&self, r: usize) -> (&[u32], &[f32]) {
        let range = self.starts[r] as usize..self.starts[r + 1] as usize;
        (&self.index[range.clone()], &self.value[range])
    }
}

/// The non-zero entries of a matrix `[rows, columns]` by pairs of neighbouring columns: where either
/// is active, both values. Neighbouring pixels mostly are active together, so that what a row
/// contributes is loaded once for two columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    /// Columns `2p` and `2p + 1` have the entries `starts[p] .. starts[p + 1]`.
    starts: Vec<u32>,
    row: Vec<u32>,
    value: Vec<[f32; 2]>,
    columns: usize,
}

impl Pairs {
    /// Sorts the entries of all parts, whose rows follow each other.
    pub fn read(&mut self, parts: &[Sparse], columns: usize) {
        let pairs = columns.div_ceil(2);
        self.columns = columns;
        self.starts.clear();
        self.starts.resize(pairs + 2, 0);
        let each_row = || {
            parts
                .iter()
                .flat_map(|part| (0..part.rows()).map(|r| part.row(r)))
        };
        for (index, _) in each_row() {
            let mut last = u32::MAX;
            for &i in index {
                self.starts[i as usize / 2 + 2] += u32::from(i / 2 != last);
                last = i / 2;
            }
        }
        for p in 2..pairs + 2 {
            self.starts[p] += self.starts[p - 1];
        }
        let total = self.starts[pairs + 1] as usize;
        self.row.resize(total, 0);
        self.value.resize(total, [0.0; 2]);
        for (r, (index, value)) in each_row().enumerate() {
            let mut last = u32::MAX;
            for (&i, &x) in index.iter().zip(value) {
                // `starts[p + 1]` is where the next entry of pair `p` goes, and ends as its end.
                let next = &mut self.starts[i as usize / 2 + 1];
                if i / 2 != last {
                    self.row[*next as usize] = r as u32;
                    self.value[*next as usize] = [0.0; 2];
                    *next += 1;
                }
                self.value[*next as usize - 1][i as usize % 2] = x;
                last = i / 2;
            }
        }
        self.starts.truncate(pairs + 1);
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Rows and values of columns `2p` and `2p + 1`.
    #[inline(always)]
    pub fn pair(&self, p: usize) -> (&[u32], &[[f32; 2]]) {
        let range = self.starts[p] as usize..self.starts[p + 1] as usize;
        (&self.row[range.clone()], &self.value[range])
    }
}

/// One block's currents of sparse rows: `out[r] = b + Σ_i x[r, i] W[i]`.
pub(super) struct FromSparse<'a> {
    pub layer: &'a LayerState,
    pub block: usize,
    pub inputs: &'a [Sparse],
    /// Rows of `stride` vectors, the block's first.
    pub out: &'a mut [Lane],
    pub stride: usize,
}

impl Kernel for FromSparse<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.layer.lanes {
            1 => self.lanes::<S, 1>(s),
            2 => self.lanes::<S, 2>(s),
            3 => self.lanes::<S, 3>(s),
            _ => self.lanes::<S, 4>(s),
        }
    }
}

impl FromSparse<'_> {
    /// The block's weights come in stretches of [`STRETCH`] inputs, which stay in L1 while all rows
    /// walk their entries there. Per entry: one index, one value, `L` vectors of weights, `L` fused
    /// multiply-adds; per row and stretch, the sums are loaded and stored.
    #[inline(always)]
    fn lanes<S: Simd, const L: usize>(self, s: S) {
        let (weights, bias) = self.layer.panel::<L>(self.block);
        for stretch in 0..self.layer.inputs.div_ceil(STRETCH) {
            let rows = self
                .inputs
                .iter()
                .flat_map(|part| (0..part.rows()).map(move |r| part.stretch(r, stretch)));
            for ((index, value), out) in rows.zip(self.out.chunks_mut(self.stride)) {
                let start: [&Lane; L] = match stretch {
                    0 => std::array::from_fn(|l| &bias[l]),
                    _ => std::array::from_fn(|l| &out[l]),
                };
                let mut sum: [S::V; L] = start.map(|lane| s.load(lane));
                for (&i, &x) in index.iter().zip(value) {
                    let (x, w) = (s.splat(x), &weights[i as usize]);
                    for l in 0..L {
                        sum[l] = s.fma(x, s.load(&w[l]), sum[l]);
                    }
                }
                for l in 0..L {
                    s.store(sum[l], &mut out[l]);
                }
            }
        }
    }
}

/// Currents of spikes: `out[t] = b + Σ_{n fires at t} W[n]`, rows `[T][row]`.
pub(super) struct FromSpikes<'a> {
    pub layer: &'a LayerState,
    pub num_steps: usize,
    /// The layer below's, `[block][T]`.
    pub words: &'a [u64],
    /// Scratch for the list of active neurons.
    pub list: &'a mut Vec<u32>,
    pub out: &'a mut [Lane],
}

impl Kernel for FromSpikes<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.layer.lanes {
            1 => self.lanes::<S, 1>(s),
            2 => self.lanes::<S, 2>(s),
            3 => self.lanes::<S, 3>(s),
            _ => self.lanes::<S, 4>(s),
        }
    }
}

impl FromSpikes<'_> {
    /// Four sums, taken in turn, so that one addition need not wait for another; their order is
    /// fixed: `(0 + 1) + (2 + 3)`, the bias first in the first.
    #[inline(always)]
    fn lanes<S: Simd, const L: usize>(self, s: S) {
        let (steps, row) = (self.num_steps, self.layer.blocks * L);
        let width = self.layer.below.lanes * LANES;
        for (t, out) in self.out.chunks_exact_mut(row).enumerate() {
            let active = active(s, self.words, steps, t, width, self.list);
            for (block, out) in out.as_chunks_mut::<L>().0.iter_mut().enumerate() {
                let (weights, bias) = self.layer.panel::<L>(block);
                let load = |i: u32| -> [S::V; L] {
                    std::array::from_fn(|l| s.load(&weights[i as usize][l]))
                };
                let add = |a: [S::V; L], b: [S::V; L]| -> [S::V; L] {
                    std::array::from_fn(|l| s.add(a[l], b[l]))
                };
                let zero = [s.splat(0.0); L];
                let bias: [S::V; L] = std::array::from_fn(|l| s.load(&bias[l]));
                let mut sums = [bias, zero, zero, zero];
                let (fours, rest) = active.as_chunks::<4>();
                for four in fours {
                    for (sum, &i) in sums.iter_mut().zip(four) {
                        *sum = add(*sum, load(i));
                    }
                }
                for (sum, &i) in sums.iter_mut().zip(rest) {
                    *sum = add(*sum, load(i));
                }
                let sum = add(add(sums[0], sums[1]), add(sums[2], sums[3]));
                for l in 0..L {
                    s.store(sum[l], &mut out[l]);
                }
            }
        }
    }
}

/// The neurons that fire at step `t`, in ascending order.
#[inline(always)]
fn active<'a, S: Simd>(
    s: S,
    words: &[u64],
    steps: usize,
    t: usize,
    width: usize,
    list: &'a mut Vec<u32>,
) -> &'a [u32] {
    // Room for every neuron, and for the sixteen that are written at a time.
    list.resize((words.len() / steps) * width + LANES, 0);
    let mut count = 0;
    for (block, step_words) in words.chunks_exact(steps).enumerate() {
        for l in 0..width / LANES {
            let bits = (step_words[t] >> (l * LANES)) as u16;
            let first = (block * width + l * LANES) as u32;
            if let Some(list) = list[count..].first_chunk_mut() {
                count += s.indices(bits, first, list);
            }
        }
    }
    &list[..count]
}

/// One block's currents of rows of numbers, none skipped: `out[r] = b + x[r] · W`.
pub(super) struct FromDense<'a> {
    pub layer: &'a LayerState,
    pub block: usize,
    pub rows: usize,
    /// Rows of `x_row` floats, the inputs first.
    pub x: &'a [f32],
    pub x_row: usize,
    /// Rows of `stride` vectors, the block's first.
    pub out: &'a mut [Lane],
    pub stride: usize,
}

impl Kernel for FromDense<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.layer.lanes {
            1 => self.lanes::<S, 1>(s),
            2 => self.lanes::<S, 2>(s),
            3 => self.lanes::<S, 3>(s),
            _ => self.lanes::<S, 4>(s),
        }
    }
}

impl FromDense<'_> {
    #[inline(always)]
    fn lanes<S: Simd, const L: usize>(self, s: S) {
        let (weights, bias) = self.layer.panel::<L>(self.block);
        let x = Strided {
            values: self.x,
            row: self.x_row,
            inner: 1,
        };
        product::<S, L>(
            s,
            self.rows,
            std::iter::once((x, weights)),
            bias,
            |r, sum| {
                let out = &mut self.out[r * self.stride..][..L];
                for l in 0..L {
                    s.store(sum[l], &mut out[l]);
                }
            },
        );
    }
}

/// What a wide layer's adjoints make of its inputs: `out [rows][below row] = a [rows][row] · W`.
pub(super) struct Across<'a> {
    pub layer: &'a LayerState,
    pub a: &'a [Lane],
    pub out: &'a mut [Lane],
}

impl Kernel for Across<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.layer.below.lanes {
            1 => self.lanes::<S, 1>(s),
            2 => self.lanes::<S, 2>(s),
            3 => self.lanes::<S, 3>(s),
            _ => self.lanes::<S, 4>(s),
        }
    }
}

impl Across<'_> {
    #[inline(always)]
    fn lanes<S: Simd, const L: usize>(self, s: S) {
        let (row, below) = (self.layer.shape().row() * LANES, self.layer.below.row());
        let a = Strided {
            values: flatten(self.a),
            row,
            inner: 1,
        };
        let (panels, _) = self.layer.across.as_chunks::<L>();
        for (block, panel) in panels.chunks_exact(self.layer.neurons).enumerate() {
            let segment = std::iter::once((a, panel));
            product::<S, L>(
                s,
                self.out.len() / below,
                segment,
                &[Lane::ZERO; L],
                |r, sum| {
                    let out = &mut self.out[r * below + block * L..][..L];
                    for l in 0..L {
                        s.store(sum[l], &mut out[l]);
                    }
                },
            );
        }
    }
}
