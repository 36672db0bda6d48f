//! Dense products, on weights in their stored layout.
//!
//! A block's parameters `[input][vectors]` have the layout of a packed panel of `B` in a GEMM. A
//! tile of the result, `M ≤ 6` rows times 64 columns, stays in registers (24 accumulators with
//! AVX-512; with AVX2 six rows times 16, 12 of 8 floats) while the inner index `k` runs over a
//! stretch; per `k` it loads `vectors` vectors of the panel and `M` broadcasts for `M · vectors`
//! fused multiply-adds, so the arithmetic is the bottleneck, not the loads (10 loads for 24 of
//! them; a core does two of each per cycle).
//!
//! The length of a stretch is chosen so that its panel can be loaded fast enough. Weights used by
//! all rows of a group of samples come from L2, in order: [`DEPTH`] inner indices, 200 KB. A panel
//! of adjoints in a weight gradient stays in L1 while it is used for several hundred inputs. The
//! data of the next product can be prefetched while a product runs ([`Ahead`]).
//!
//! Each entry of the result is one chain of fused multiply-adds in the order of `k`, stored in
//! memory between stretches. Its bits depend neither on threads, nor on tiles, nor on the register
//! width.

use super::simd::{F32x16, LANES, Simd};

/// Maximum number of inner indices of a stretch of weights: 200 KB of a panel of 64 columns.
pub(super) const DEPTH: usize = 800;

/// Rows of a tile.
const ROWS: usize = 6;

/// The values broadcast to `M` rows of a tile: entry `(m, k)`.
pub(super) trait Tile: Copy {
    fn get(self, m: usize, k: usize) -> f32;
}

/// A matrix `[rows, k]` to take tiles of.
pub(super) trait Left: Copy {
    type Tile<const M: usize>: Tile;
    fn tile<const M: usize>(self, first: usize) -> Self::Tile<M>;
}

/// A matrix whose rows lie `row` floats apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub values: &'a [f32],
    pub row: usize,
}

impl<'a> Left for Rows<'a> {
    type Tile<const M: usize> = [&'a [f32]; M];
    #[inline(always)]
    fn tile<const M: usize>(self, first: usize) -> [&'a [f32]; M] {
        std::array::from_fn(|m| &self.values[(first + m) * self.row..])
    }
}

impl<const M: usize> Tile for [&[f32]; M] {
    #[inline(always)]
    fn get(self, m: usize, k: usize) -> f32 {
        self[m][k]
    }
}

/// A matrix whose columns lie `row` floats apart: the transpose of [`Rows`].
#[derive(Clone, Copy)]
pub(super) struct Columns<'a> {
    pub values: &'a [f32],
    pub row: usize,
}

impl<'a> Left for Columns<'a> {
    type Tile<const M: usize> = Self;
    #[inline(always)]
    fn tile<const M: usize>(self, first: usize) -> Self {
        let values = &self.values[first..];
        Columns { values, ..self }
    }
}

impl Tile for Columns<'_> {
    #[inline(always)]
    fn get(self, m: usize, k: usize) -> f32 {
        self.values[k * self.row + m]
    }
}

/// The tiles of `rows` rows, first row and height: as few and as equal as possible; fewer than four
/// rows are processed one by one.
fn tiles(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = rows.div_ceil(ROWS);
    let (height, higher) = (rows / count.max(1), rows % count.max(1));
    (0..count).flat_map(move |n| {
        let (first, height) = (n * height + n.min(higher), height + usize::from(n < higher));
        let each = if height < 4 { 1 } else { height };
        (first..first + height)
            .step_by(each)
            .map(move |m| (m, each))
    })
}

/// One stretch of the inner index: the broadcast values and the panel.
pub(super) type Segment<'a, A, const L: usize> = (A, &'a [[F32x16; L]]);

/// The initial value of a product.
#[derive(Clone, Copy)]
pub(super) enum Start<'a, const L: usize> {
    /// Every row at this one.
    Row(&'a [F32x16; L]),
    /// The result of the previous stretch.
    Continue,
}

/// Maximum number of floats prefetched at a time: eight cache lines.
pub(super) const PIECE: usize = 8 * LANES;

/// Data needed after this product, in pieces (for example of [`PIECE`] floats). Each tile
/// prefetches its share while it computes.
pub(super) struct Ahead<I> {
    pub pieces: I,
    pub count: usize,
}

/// Nothing.
pub(super) const NOTHING: Ahead<std::iter::Empty<&[f32]>> = Ahead {
    pieces: std::iter::empty(),
    count: 0,
};

/// `out[m] = start + Σ_k a(m, k) · panel[k]` for each row of `out`, `k` running over all segments
/// in their order. Vectors from `live` on hold no neurons; they keep their initial values or are 0.
#[inline(always)]
pub(super) fn product<'a, S: Simd, A: Left, const L: usize>(
    s: S,
    segments: impl Iterator<Item = Segment<'a, A, L>> + Clone,
    start: Start<'_, L>,
    out: &mut [[F32x16; L]],
    live: usize,
    mut ahead: Ahead<impl Iterator<Item = &'a [f32]>>,
) {
    let each = ahead.count.div_ceil(out.len().div_ceil(ROWS).max(1));
    for (m, height) in tiles(out.len()) {
        let (segments, out) = (segments.clone(), &mut out[m..]);
        for piece in ahead.pieces.by_ref().take(each) {
            piece
                .iter()
                .step_by(LANES)
                .for_each(|line| s.prefetch(line));
        }
        match height {
            6 => tile::<S, A, L, 6>(s, m, segments, start, out, live),
            5 => tile::<S, A, L, 5>(s, m, segments, start, out, live),
            4 => tile::<S, A, L, 4>(s, m, segments, start, out, live),
            _ => tile::<S, A, L, 1>(s, m, segments, start, out, live),
        }
    }
}

#[inline(always)]
fn tile<'a, S: Simd, A: Left, const L: usize, const M: usize>(
    s: S,
    first: usize,
    segments: impl Iterator<Item = Segment<'a, A, L>> + Clone,
    start: Start<'_, L>,
    out: &mut [[F32x16; L]],
    live: usize,
) {
    if const { S::ACCUMULATORS < 8 } {
        for column in 0..live {
            columns::<S, A, L, M, 1>(s, first, column, segments.clone(), start, out);
        }
    } else if const { L == 4 } && live == 3 {
        columns::<S, A, L, M, 3>(s, first, 0, segments, start, out);
    } else {
        columns::<S, A, L, M, L>(s, first, 0, segments, start, out);
    }
    if let Start::Row(row) = start {
        for out in &mut out[..M] {
            out[live..].copy_from_slice(&row[live..]);
        }
    }
}

/// `M` rows times `G` vectors, from vector `column` on.
#[inline(always)]
fn columns<'a, S: Simd, A: Left, const L: usize, const M: usize, const G: usize>(
    s: S,
    first: usize,
    column: usize,
    segments: impl Iterator<Item = Segment<'a, A, L>>,
    start: Start<'_, L>,
    out: &mut [[F32x16; L]],
) {
    let mut sums = [[s.splat(0.0); G]; M];
    for m in 0..M {
        let row = match start {
            Start::Row(row) => row,
            Start::Continue => &out[m],
        };
        for g in 0..G {
            sums[m][g] = s.load(&row[column + g]);
        }
    }
    for (a, panel) in segments {
        let a = a.tile::<M>(first);
        for (k, b) in panel.iter().enumerate() {
            let b: [S::V; G] = std::array::from_fn(|g| s.load(&b[column + g]));
            for (m, sums) in sums.iter_mut().enumerate() {
                let x = s.splat(a.get(m, k));
                for g in 0..G {
                    sums[g] = s.fma(x, b[g], sums[g]);
                }
            }
        }
    }
    for m in 0..M {
        for g in 0..G {
            s.store(sums[m][g], &mut out[m][column + g]);
        }
    }
}

/// Inner indices of one stretch. Stretches are as equal as possible; all but the last have this
/// width.
pub(super) fn stretch(columns: usize) -> usize {
    columns.div_ceil(columns.div_ceil(DEPTH).max(1))
}
