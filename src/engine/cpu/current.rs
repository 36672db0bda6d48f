//! Input currents `I = W s + b` of one block of neurons, as sparse or dense products.
//!
//! Most inputs are silent (four of five MNIST pixels are 0, eight to nineteen of twenty neurons do
//! not fire at a step), so a product adds the weight rows of the active ones. For one block of 64
//! outputs the sums stay in registers and the weights of the block (784 rows of 256 bytes) in L2.
//! If more than [`DENSE`] of the inputs are active, a matrix product is faster.
//!
//! All write rows of the block's `vectors` vectors, one after another: one for each sample or step.

use super::{
    dense::{Ahead, DEPTH, NOTHING, Rows, Start, product, stretch},
    layout::{LayerState, live},
    lists::{Events, STRETCH, Sparse},
    simd::{BlockKernel, F32x16, LANES, Simd, flatten},
};

/// Fraction of active inputs above which a dense product is faster than a sparse one.
pub(super) const DENSE: f64 = 0.6;

/// Currents of sparse rows: `out[r] = b + Σ_i x[r, i] W[i]`, for one block or two.
pub(super) struct FromSparse<'a> {
    pub layer: &'a LayerState,
    /// The first block.
    pub block: usize,
    pub inputs: &'a [Sparse],
    /// Stretches of inputs to process at once.
    pub at_once: usize,
    pub rows: usize,
    /// `[block][row][vectors]`.
    pub out: &'a mut [F32x16],
}

impl BlockKernel for FromSparse<'_> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.layer.vectors
    }

    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(self, s: S) {
        let (out, _) = self.out.as_chunks_mut::<L>();
        let (first, second) = out.split_at_mut(self.rows);
        let panel = |n| self.layer.panel::<L>(self.block + n);
        if second.is_empty() {
            walk::<S, L, 1>(s, self.inputs, self.at_once, [panel(0)], [first]);
        } else if S::ACCUMULATORS >= 8 {
            walk::<S, L, 2>(
                s,
                self.inputs,
                self.at_once,
                [panel(0), panel(1)],
                [first, second],
            );
        } else {
            walk::<S, L, 1>(s, self.inputs, self.at_once, [panel(0)], [first]);
            walk::<S, L, 1>(s, self.inputs, self.at_once, [panel(1)], [second]);
        }
    }
}

/// The blocks' weights are processed in stretches of [`STRETCH`] inputs, which stay in L1 while all
/// rows process their entries there; where rows have few, in several at once, from L2. Per entry: one
/// index, one value, `B · L` vectors of weights, as many fused multiply-adds, of which eight (two blocks)
/// hide each other's latency; per row and stretch, the sums are loaded and stored.
#[inline(always)]
fn walk<S: Simd, const L: usize, const B: usize>(
    s: S,
    inputs: &[Sparse],
    at_once: usize,
    panels: [(&[[F32x16; L]], &[F32x16; L]); B],
    out: [&mut [[F32x16; L]]; B],
) {
    for stretch in (0..panels[0].0.len().div_ceil(STRETCH)).step_by(at_once) {
        let stretches = stretch..stretch + at_once;
        let rows = inputs.iter().flat_map(|part| {
            let stretches = stretches.clone();
            (0..part.rows()).map(move |r| part.stretches(r, stretches.clone()))
        });
        for (r, (index, value)) in rows.enumerate() {
            let mut sum = [[s.splat(0.0); L]; B];
            for b in 0..B {
                let start = if stretch == 0 {
                    panels[b].1
                } else {
                    &out[b][r]
                };
                for l in 0..L {
                    sum[b][l] = s.load(&start[l]);
                }
            }
            for (&i, &x) in index.iter().zip(value) {
                let x = s.splat(x);
                for b in 0..B {
                    let w = &panels[b].0[i as usize];
                    for l in 0..L {
                        sum[b][l] = s.fma(x, s.load(&w[l]), sum[b][l]);
                    }
                }
            }
            for b in 0..B {
                for l in 0..L {
                    s.store(sum[b][l], &mut out[b][r][l]);
                }
            }
        }
    }
}

/// Currents of spikes: `out[t] = b + Σ_{n fires at t} W[n]`.
pub(super) struct FromSpikes<'a> {
    pub layer: &'a LayerState,
    pub block: usize,
    /// Of the layer below.
    pub events: &'a Events,
    pub out: &'a mut [F32x16],
}

impl BlockKernel for FromSpikes<'_> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.layer.vectors
    }

    /// Per spike: one index, `L` vectors of weights, `L` additions. Four alternating sums make the
    /// additions independent. Their order is fixed: `(0 + 1) + (2 + 3)`, and the first starts with
    /// the bias.
    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(self, s: S) {
        let (weights, bias) = self.layer.panel::<L>(self.block);
        let bias: [S::V; L] = std::array::from_fn(|l| s.load(&bias[l]));
        let zero = [s.splat(0.0); L];
        let (out, _) = self.out.as_chunks_mut::<L>();
        for (active, out) in self.events.steps().zip(out) {
            let load =
                |i: u32| -> [S::V; L] { std::array::from_fn(|l| s.load(&weights[i as usize][l])) };
            let add = |a: [S::V; L], b: [S::V; L]| -> [S::V; L] {
                std::array::from_fn(|l| s.add(a[l], b[l]))
            };
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

/// Currents of spikes some of which are dropped, from those of [`FromSpikes`]: `b + scale·(out − b)`.
pub(super) struct Rescale<'a> {
    pub layer: &'a LayerState,
    pub block: usize,
    pub scale: f32,
    pub out: &'a mut [F32x16],
}

impl BlockKernel for Rescale<'_> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.layer.vectors
    }

    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(self, s: S) {
        let (_, bias) = self.layer.panel::<L>(self.block);
        let scale = s.splat(self.scale);
        for out in self.out.as_chunks_mut::<L>().0 {
            for l in 0..L {
                let bias = s.load(&bias[l]);
                let own = s.sub(s.load(&out[l]), bias);
                s.store(s.fma(scale, own, bias), &mut out[l]);
            }
        }
    }
}

/// Currents of rows of numbers, none skipped: `out[r] = b + x[r] · W`.
pub(super) struct FromDense<'a, I> {
    pub layer: &'a LayerState,
    pub block: usize,
    /// `[row][inputs]`.
    pub x: &'a [f32],
    pub out: &'a mut [F32x16],
    pub ahead: Ahead<I>,
}

impl<'a, I: Iterator<Item = &'a [f32]>> BlockKernel for FromDense<'a, I> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.layer.vectors
    }

    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(mut self, s: S) {
        let (weights, bias) = self.layer.panel::<L>(self.block);
        let (out, _) = self.out.as_chunks_mut::<L>();
        let live = live(self.layer.neurons, L, self.block);
        let (row, width) = (self.layer.inputs, stretch(self.layer.inputs));
        let mut start = Start::Row(bias);
        for (n, panel) in weights.chunks(width).enumerate() {
            let values = &self.x[n * width..];
            let segment = std::iter::once((Rows { values, row }, panel));
            let ahead = Ahead {
                pieces: self.ahead.pieces.by_ref(),
                count: self.ahead.count.div_ceil(weights.len().div_ceil(width)),
            };
            product::<S, _, L>(s, segment, start, out, live, ahead);
            start = Start::Continue;
        }
    }
}

/// The adjoints of one block of inputs of a wide layer: `out [T][vectors below] = a · W`.
pub(super) struct InputGrad<'a> {
    pub layer: &'a LayerState,
    /// Of the layer below.
    pub block: usize,
    /// `[block][T][vectors]`.
    pub a: &'a [F32x16],
    /// Whether to add to `out`.
    pub add: bool,
    pub out: &'a mut [F32x16],
}

impl BlockKernel for InputGrad<'_> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.layer.below.vectors
    }

    /// A stretch is at most [`DEPTH`] of the layer's neurons, in segments of one block each.
    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(self, s: S) {
        let live = live(self.layer.inputs, L, self.block);
        let (neurons, width) = (self.layer.neurons, self.layer.vectors * LANES);
        let (out, _) = self.out.as_chunks_mut::<L>();
        let (panels, _) = self.layer.weight_t.as_chunks::<L>();
        let panel = &panels[self.block * neurons..][..neurons];
        let a = flatten(self.a).chunks_exact(out.len() * width);
        let segments = a.zip(panel.chunks(width)).map(|(values, panel)| {
            let row = width;
            (Rows { values, row }, panel)
        });
        let mut start = match self.add {
            true => Start::Continue,
            false => Start::Row(&[F32x16::ZERO; L]),
        };
        let each = DEPTH / (4 * LANES);
        for first in (0..self.layer.blocks).step_by(each) {
            let segments = segments.clone().skip(first).take(each);
            product::<S, _, L>(s, segments, start, out, live, NOTHING);
            start = Start::Continue;
        }
    }
}
