//! Lists of active inputs: nonzero entries, and the neurons that fire at each step.
//!
//! A list is built once and used by every block of outputs. Rebuilding it reuses its memory.

use std::ops::Range;

use super::simd::{F32x16, Kernel, LANES, Simd, flatten};

/// Number of inputs whose weights for two blocks, 512 bytes each, stay in L1.
pub(super) const STRETCH: usize = 64;

/// Entries of a row that are worth a piece of its own.
const ENTRIES: usize = 15;

/// The non-zero entries of a matrix `[rows, columns]`, row by row.
#[derive(Clone, Debug, Default)]
pub(super) struct Sparse {
    index: Vec<u32>,
    value: Vec<f32>,
    /// Where each stretch of [`STRETCH`] columns begins in each row, and where the last ends.
    cuts: Vec<u32>,
    stretches: usize,
    /// Masks of the nonzero columns, sixteen columns each, row by row.
    masks: Vec<u16>,
    /// The entries again, stretch by stretch, and where each stretch begins.
    places: Vec<u32>,
    values: Vec<f32>,
    starts: Vec<usize>,
    pub seen: InputStats,
}

impl Sparse {
    /// The entries of one row in some stretches of columns.
    #[inline(always)]
    pub fn stretches(&self, r: usize, stretches: Range<usize>) -> (&[u32], &[f32]) {
        let cuts = &self.cuts[r * (self.stretches + 1)..][..self.stretches + 1];
        let last = stretches.end.min(self.stretches);
        let range = cuts[stretches.start] as usize..cuts[last] as usize;
        (&self.index[range.clone()], &self.value[range])
    }

    /// How many stretches of a sequence's rows to process at once: as many as have [`ENTRIES`] in a row,
    /// since what a row costs beside its entries it costs in each.
    pub fn at_once(&self) -> usize {
        let pieces = self.rows() * self.stretches;
        (ENTRIES * pieces).div_ceil(self.seen.active.max(1)).max(1)
    }

    /// Sorts the entries by stretches, in each row by row, for [`by_stretch`](Self::by_stretch).
    pub fn sort(&mut self) {
        let Sparse {
            index,
            value,
            cuts,
            stretches,
            places,
            values,
            starts,
            seen,
            ..
        } = self;
        let entries = &value[..seen.active];
        let binary = entries.iter().all(|&x| x == 1.0);
        places.resize(seen.active, 0);
        values.resize(if binary { 0 } else { seen.active }, 0.0);
        starts.clear();
        let mut at = 0;
        for stretch in 0..*stretches {
            starts.push(at);
            for (t, cuts) in cuts.chunks_exact(*stretches + 1).enumerate() {
                let from = cuts[stretch] as usize..cuts[stretch + 1] as usize;
                let to = at..at + from.len();
                for (place, &i) in places[to.clone()].iter_mut().zip(&index[from.clone()]) {
                    *place = (t * STRETCH) as u32 | (i % STRETCH as u32);
                }
                if !binary {
                    values[to.clone()].copy_from_slice(&value[from]);
                }
                at = to.end;
            }
        }
        starts.push(at);
    }

    /// After [`sort`](Self::sort): of each entry of a stretch, [`STRETCH`] times its row plus its column in
    /// the stretch; and the values, or nothing if all are 1.
    #[inline(always)]
    pub fn by_stretch(&self, stretch: usize) -> (&[u32], &[f32]) {
        let range = self.starts[stretch]..self.starts[stretch + 1];
        let values = match self.values.is_empty() {
            true => &[],
            false => &self.values[range.clone()],
        };
        (&self.places[range], values)
    }

    pub fn rows(&self) -> usize {
        self.cuts.len() / (self.stretches + 1)
    }
}

/// Statistics of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct InputStats {
    /// Entries that are not 0.
    pub active: usize,
    /// The largest magnitude; infinite if there is a NaN.
    pub largest: f32,
}

impl InputStats {
    pub fn and(self, other: InputStats) -> InputStats {
        InputStats {
            active: self.active + other.active,
            largest: self.largest.max(other.largest),
        }
    }
}

/// Accumulates [`InputStats`] over every number.
struct Scanner<S: Simd> {
    active: usize,
    largest: S::V,
}

impl<S: Simd> Scanner<S> {
    #[inline(always)]
    fn new(s: S) -> Self {
        Scanner {
            active: 0,
            largest: s.splat(0.0),
        }
    }

    /// Which lanes are not 0.
    #[inline(always)]
    fn look(&mut self, s: S, x: S::V) -> u16 {
        let bits = s.nonzero(x);
        self.active += bits.count_ones() as usize;
        self.largest = s.max_abs(x, self.largest);
        bits
    }

    #[inline(always)]
    fn seen(self, s: S) -> InputStats {
        let mut lane = F32x16::ZERO;
        s.store(self.largest, &mut lane);
        let finite = lane.0.iter().all(|x| x.is_finite());
        InputStats {
            active: self.active,
            largest: match finite {
                true => lane.0.into_iter().fold(0.0, f32::max),
                false => f32::INFINITY,
            },
        }
    }
}

/// Sixteen numbers, or fewer and zeros.
#[inline(always)]
fn load<S: Simd>(s: S, x: &[f32]) -> S::V {
    match x.first_chunk() {
        Some(x) => s.load_from(x),
        None => {
            let mut lane = F32x16::ZERO;
            lane.0[..x.len()].copy_from_slice(x);
            s.load(&lane)
        }
    }
}

/// Computes the statistics of rows.
pub(super) struct Scan<I>(pub I);

impl<'a, I: Iterator<Item = &'a [f32]>> Kernel for Scan<I> {
    type Out = InputStats;

    /// Four vectors at a time, so that the maxima are independent.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> InputStats {
        let mut eyes: [Scanner<S>; 4] = std::array::from_fn(|_| Scanner::new(s));
        for row in self.0 {
            let (fours, _) = row.as_chunks::<LANES>().0.as_chunks::<4>();
            for four in fours {
                for (eye, x) in eyes.iter_mut().zip(four) {
                    eye.look(s, s.load_from(x));
                }
            }
            for x in row[fours.len() * 4 * LANES..].chunks(LANES) {
                eyes[0].look(s, load(s, x));
            }
        }
        let seen = eyes.into_iter().map(|eye| eye.seen(s));
        seen.fold(InputStats::default(), InputStats::and)
    }
}

/// Lists rows.
pub(super) struct ReadRows<'a, I> {
    pub rows: I,
    /// Initial capacity in entries.
    pub most: usize,
    pub sparse: &'a mut Sparse,
}

impl<'a, I: Iterator<Item = &'a [f32]>> Kernel for ReadRows<'_, I> {
    type Out = ();

    /// Sixteen entries at a time, compressing the nonzero ones, without branches on the data.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Sparse {
            index,
            value,
            cuts,
            masks,
            stretches,
            seen,
            ..
        } = self.sparse;
        cuts.clear();
        masks.clear();
        let mut eye = Scanner::new(s);
        for row in self.rows {
            *stretches = row.len().div_ceil(STRETCH);
            // Sixteen are written at a time.
            let room = index
                .len()
                .max(self.most.max(eye.active + row.len()) + LANES);
            index.resize(room, 0);
            value.resize(room, 0.0);
            for (v, x) in row.chunks(LANES).enumerate() {
                let (x, count) = (load(s, x), eye.active);
                let bits = eye.look(s, x);
                if v % (STRETCH / LANES) == 0 {
                    cuts.push(count as u32);
                }
                masks.push(bits);
                if let Some(index) = index[count..].first_chunk_mut() {
                    s.indices(bits, (v * LANES) as u32, index);
                }
                if let Some(value) = value[count..].first_chunk_mut() {
                    s.compress(bits, x, value);
                }
            }
            cuts.push(eye.active as u32);
        }
        *seen = eye.seen(s);
    }
}

/// The non-zero entries of a matrix `[rows, columns]` by pairs of adjacent columns, with both
/// values if either is nonzero. Adjacent pixels are mostly active together, so a row's contribution
/// is loaded once for two columns.
#[derive(Clone, Debug, Default)]
pub(super) struct Pairs {
    /// Columns `2p` and `2p + 1` have the entries `starts[p] .. starts[p + 1]`.
    starts: Vec<u32>,
    row: Vec<u32>,
    value: Vec<[f32; 2]>,
    columns: usize,
    /// Number of entries of each pair, in the lane of its first column.
    counts: Vec<F32x16>,
}

impl Pairs {
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

/// Fills [`Pairs`] from lists of rows.
pub(super) struct SortPairs<'a, I> {
    pub rows: I,
    /// The rows' lists, whose rows follow each other.
    pub parts: &'a [Sparse],
    pub columns: usize,
    pub pairs: &'a mut Pairs,
}

impl<'a, I: Iterator<Item = &'a [f32]>> Kernel for SortPairs<'_, I> {
    type Out = ();

    /// One pass over the masks counts the entries of each pair, and a second pass stores them.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (columns, vectors) = (self.columns, self.columns.div_ceil(LANES));
        let Pairs {
            starts,
            row: rows,
            value: values,
            counts,
            ..
        } = self.pairs;
        self.pairs.columns = columns;
        let masks = || {
            let parts = self.parts.iter();
            parts.flat_map(|part| part.masks.chunks_exact(vectors))
        };
        // Bit `2j` of a mask: whether either column of its pair `j` is active.
        let either = |bits: u16| (bits | bits >> 1) & 0x5555;
        counts.clear();
        counts.resize(vectors, F32x16::ZERO);
        for masks in masks() {
            for (count, &bits) in counts.iter_mut().zip(masks) {
                // Exact: a part has far fewer than 2²⁴ rows.
                let more = s.add_where(s.mask(either(bits)), s.load(count), s.splat(1.0));
                s.store(more, count);
            }
        }
        // `starts[p + 1]` is the position of the next entry of pair `p`; at the end it is the end
        // of the pair.
        starts.clear();
        starts.extend([0, 0]);
        let mut total = 0;
        for count in flatten(counts).iter().step_by(2) {
            total += *count as u32;
            starts.push(total);
        }
        starts.truncate(columns.div_ceil(2) + 1);
        rows.resize(total as usize, 0);
        values.resize(total as usize, [0.0; 2]);
        for (r, (row, masks)) in self.rows.zip(masks()).enumerate() {
            for (v, &bits) in masks.iter().enumerate() {
                let mut pairs = either(bits);
                while pairs != 0 {
                    let i = v * LANES + pairs.trailing_zeros() as usize;
                    let next = &mut starts[i / 2 + 1];
                    rows[*next as usize] = r as u32;
                    values[*next as usize] = [row[i], row.get(i + 1).copied().unwrap_or(0.0)];
                    *next += 1;
                    pairs &= pairs - 1;
                }
            }
        }
    }
}

/// The neurons of a layer that fire at each step of a sample, in ascending order.
#[derive(Clone, Debug, Default)]
pub(super) struct Events {
    /// Step `t` has the entries `ends[t - 1] .. ends[t]`.
    ends: Vec<usize>,
    neurons: Vec<u32>,
}

impl Events {
    /// The neurons of each step in turn.
    pub fn steps(&self) -> impl Iterator<Item = &[u32]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| {
            let range = start..end;
            start = end;
            &self.neurons[range]
        })
    }
}

/// Fills [`Events`] from spike words `[block][T]`, blocks of `vectors` vectors.
pub(super) struct ReadEvents<'a> {
    pub words: &'a [u64],
    pub num_steps: usize,
    pub vectors: usize,
    pub events: &'a mut Events,
}

impl Kernel for ReadEvents<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (steps, width) = (self.num_steps, self.vectors * LANES);
        let Events { ends, neurons } = self.events;
        ends.clear();
        // Capacity for every neuron at every step, plus sixteen entries written at a time, so that
        // no later sample reallocates.
        neurons.resize(neurons.len().max(self.words.len() * width + LANES), 0);
        let mut count = 0;
        for t in 0..steps {
            for (block, words) in self.words.chunks_exact(steps).enumerate() {
                for l in 0..self.vectors {
                    let bits = (words[t] >> (l * LANES)) as u16;
                    let first = (block * width + l * LANES) as u32;
                    if let Some(list) = neurons[count..].first_chunk_mut() {
                        count += s.indices(bits, first, list);
                    }
                }
            }
            ends.push(count);
        }
    }
}
