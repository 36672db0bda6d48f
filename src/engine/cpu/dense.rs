//! Dense products, on weights as they lie.
//!
//! A block's parameters `[input][lanes]` are what a GEMM would pack a panel of `B` into, so a small
//! kernel on them runs at the machine's rate without packing anything: `M` rows times 64 columns of
//! the result in registers (24 accumulators with AVX-512), per step of the inner loop `lanes`
//! vectors of the panel from L2 and `M` broadcasts. Each entry of the result is one chain of fused
//! multiply-adds in the order of the inner index, so its bits depend neither on threads nor on the
//! width of the registers.

use super::simd::{Lane, Simd};

/// A matrix to be broadcast from: entry `(m, k)` is `values[m·row + k·inner]`.
#[derive(Clone, Copy)]
pub(super) struct Strided<'a> {
    pub values: &'a [f32],
    pub row: usize,
    pub inner: usize,
}

/// One stretch of the inner index: what is broadcast, and the panel that it meets.
pub(super) type Segment<'a, const L: usize> = (Strided<'a>, &'a [[Lane; L]]);

/// `result(m, start + Σ_k a(m, k) · panel[k])` for each of `rows` rows, `k` running over all
/// segments in their order.
#[inline(always)]
pub(super) fn product<'a, S: Simd, const L: usize>(
    s: S,
    rows: usize,
    segments: impl Iterator<Item = Segment<'a, L>> + Clone,
    start: &[Lane; L],
    mut result: impl FnMut(usize, [S::V; L]),
) {
    let mut m = 0;
    while m < rows {
        let segments = segments.clone();
        m += if S::ACCUMULATORS >= 8 && rows - m >= 6 {
            rows_of::<S, L, 6>(s, m, segments, start, &mut result)
        } else if rows - m >= 2 {
            rows_of::<S, L, 2>(s, m, segments, start, &mut result)
        } else {
            rows_of::<S, L, 1>(s, m, segments, start, &mut result)
        };
    }
}

#[inline(always)]
fn rows_of<'a, S: Simd, const L: usize, const M: usize>(
    s: S,
    first: usize,
    segments: impl Iterator<Item = Segment<'a, L>>,
    start: &[Lane; L],
    result: &mut impl FnMut(usize, [S::V; L]),
) -> usize {
    let mut sums: [[S::V; L]; M] = [std::array::from_fn(|l| s.load(&start[l])); M];
    for (a, panel) in segments {
        let rows: [&[f32]; M] = std::array::from_fn(|m| &a.values[(first + m) * a.row..]);
        for (k, b) in panel.iter().enumerate() {
            let b: [S::V; L] = std::array::from_fn(|l| s.load(&b[l]));
            for m in 0..M {
                let x = s.splat(rows[m][k * a.inner]);
                for l in 0..L {
                    sums[m][l] = s.fma(x, b[l], sums[m][l]);
                }
            }
        }
    }
    for (m, sums) in sums.into_iter().enumerate() {
        result(first + m, sums);
    }
    M
}
