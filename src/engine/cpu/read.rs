//! The input of a part of a batch: whether it is sparse, its lists, and the currents of a constant
//! input.
//!
//! All numbers of the input are checked before a parameter changes: while they are listed, or
//! otherwise by [`largest`](Kit::largest), just before the forward pass of their sample.

use super::{
    clock::Part,
    current::{self, DENSE},
    dense::NOTHING,
    lists::{InputStats, Pairs, ReadRows, STRETCH, Scan, SortPairs, Sparse},
    parallel::{for_each_chunk, join},
    pass::{AdjointSource, Kit, Model},
    simd::F32x16,
    source::Source,
};

/// Samples whose non-zero inputs are listed together.
const GROUP: usize = 16;

/// Number of rows of a sequence that are sampled to decide whether it is sparse (`misjudged` in
/// `tests/cases` knows which).
const JUDGED: usize = 64;

/// The first layer's input: its nonzero entries, by rows and by columns, and the currents of a
/// constant input.
#[derive(Debug, Default)]
pub(super) struct InputLists {
    pub parts: Vec<Sparse>,
    pub columns: Pairs,
    /// Static currents `[block][sample][vectors]`.
    pub currents: Vec<F32x16>,
}

impl InputLists {
    /// Decides whether the input is sparse, and then lists its nonzero entries, or dense; and
    /// computes the currents of a constant input, unless their results are known. Returns the
    /// decision and the largest magnitude of the listed entries; `None` if they contain NaN or
    /// infinity.
    pub fn read(
        &mut self,
        model: Model<'_>,
        source: Source<'_>,
        first: usize,
        count: usize,
        goal: AdjointSource<'_>,
        backward: bool,
    ) -> Option<(bool, f32)> {
        let group = if source.constant { GROUP } else { 1 };
        let groups = count.div_ceil(group);
        let rows = |n: usize| {
            let samples = first + n * group..first + count.min((n + 1) * group);
            samples.flat_map(move |b| (0..source.rows()).map(move |t| source.row(b, t)))
        };
        self.parts
            .resize_with(self.parts.len().max(groups), Sparse::default);
        let worth = source.worth();
        let (clock, isa) = (&model.kit.clock, model.kit.isa);
        // A constant input is listed at once; listing a dense sequence would be useless.
        let listed = source.constant || model.kit.looks_sparse(source, first, count);
        let parts = &mut self.parts[..if listed { groups } else { 0 }];
        for_each_chunk(worth, parts, 1, |n, part| {
            clock.time(Part::Lists, || {
                isa.run(ReadRows {
                    rows: rows(n),
                    most: if source.constant {
                        group * source.features
                    } else {
                        0
                    },
                    sparse: &mut part[0],
                });
            });
        });
        let seen = parts.iter().map(|part| part.seen);
        let seen = seen.fold(InputStats::default(), InputStats::and);
        if seen.largest.is_infinite() {
            return None;
        }
        // Of a longer sequence, places in the lists would not fit 32 bits.
        let fits = source.constant || source.rows() <= u32::MAX as usize / STRETCH;
        let sparse = listed && fits && seen.sparse(count * source.rows() * source.features);

        // A sequence's gradients come from the lists of its steps.
        if backward && sparse && !source.constant {
            for_each_chunk(worth, parts, 1, |_, part| {
                clock.time(Part::Lists, || part[0].sort());
            });
        }
        let parts = &*parts;

        let layer = &model.layers[0];
        let (columns, currents) = (&mut self.columns, &mut self.currents);
        let known = matches!(goal, AdjointSource::Adjoints(..));
        let sort = || {
            if backward && sparse && source.constant {
                clock.time(Part::Lists, || {
                    isa.run(SortPairs {
                        rows: (0..groups).flat_map(rows),
                        parts,
                        columns: source.features,
                        pairs: columns,
                    });
                });
            }
        };
        let product = || {
            if !source.constant || known {
                return;
            }
            currents.resize(layer.blocks * count * layer.vectors, F32x16::ZERO);
            // Two blocks at once for a sparse product.
            let blocks = if sparse { 2 } else { 1 };
            for_each_chunk(worth, currents, blocks * count * layer.vectors, |n, out| {
                let block = n * blocks;
                clock.time(Part::FirstProduct, || {
                    if sparse {
                        isa.run(current::FromSparse {
                            layer,
                            block,
                            inputs: parts,
                            at_once: 1,
                            rows: count,
                            out,
                        });
                    } else {
                        isa.run(current::FromDense {
                            layer,
                            block,
                            x: &source.x[first * source.features..],
                            out,
                            ahead: NOTHING,
                        });
                    }
                });
            });
        };
        join(worth, product, sort);
        Some((sparse, seen.largest))
    }
}

impl Kit {
    /// Whether to list a sequence, judged from some of its rows. Their positions advance by the
    /// golden ratio, which spreads them over samples and time.
    fn looks_sparse(&self, source: Source<'_>, first: usize, count: usize) -> bool {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let (steps, all) = (source.rows(), count * source.rows());
        let looked_at = all.min(JUDGED);
        let rows = (0..looked_at as u64).map(|n| {
            let r = match all {
                0..=JUDGED => n as usize,
                _ => ((u128::from(n.wrapping_mul(GOLDEN)) * all as u128) >> 64) as usize,
            };
            source.row(first + r / steps, r % steps)
        });
        let seen = self.clock.time(Part::Lists, || self.isa.run(Scan(rows)));
        seen.sparse(looked_at * source.features)
    }

    /// The largest magnitude in the rows of sample `b`, infinite if there is a NaN.
    pub fn largest(&self, source: Source<'_>, b: usize) -> f32 {
        let rows = (0..source.rows()).map(|t| source.row(b, t));
        let seen = self.clock.time(Part::Lists, || self.isa.run(Scan(rows)));
        seen.largest
    }
}

impl InputStats {
    /// Whether few enough entries are active that a sparse product is faster.
    fn sparse(self, entries: usize) -> bool {
        self.active as f64 <= DENSE * entries as f64
    }
}
