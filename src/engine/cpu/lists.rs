//! Lists of what is active: an input's non-zero entries, and the neurons that fire at each step.
//!
//! Made once, walked by every block of outputs. Each overwrites what it held, in the memory that it
//! has.

use super::simd::{Kernel, LANES, Simd};

/// Inputs whose weights for two blocks, 512 bytes each, are kept in L1.
pub(super) const STRETCH: usize = 64;

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
    /// Of the rows last surveyed: entries that are not 0, and the largest magnitude.
    pub active: usize,
    pub largest: f32,
}

impl Sparse {
    /// Counts what a list would hold.
    pub fn survey<'a>(&mut self, rows: impl Iterator<Item = &'a [f32]>) {
        let (mut active, mut largest) = (0, [0.0_f32; LANES]);
        for row in rows {
            let (chunks, rest) = row.as_chunks::<LANES>();
            // Sixteen of each, so that the compiler may use vectors.
            let mut counts = [0_u32; LANES];
            for x in chunks {
                for n in 0..LANES {
                    counts[n] += u32::from(x[n] != 0.0);
                    largest[n] = if x[n].abs() > largest[n] {
                        x[n].abs()
                    } else {
                        largest[n]
                    };
                }
            }
            for (n, x) in rest.iter().enumerate() {
                counts[n] += u32::from(*x != 0.0);
                largest[n] = largest[n].max(x.abs());
            }
            active += counts.iter().map(|&count| count as usize).sum::<usize>();
        }
        self.active = active;
        self.largest = largest.into_iter().fold(0.0, f32::max);
    }

    /// Reads the non-zero entries of `rows`, in all of at most `most` numbers (more make it grow).
    pub fn read<'a>(&mut self, rows: impl Iterator<Item = &'a [f32]>, most: usize) {
        self.starts.clear();
        self.index.clear();
        self.value.clear();
        self.index.reserve(most);
        self.value.reserve(most);
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
    pub fn stretch(&self, r: usize, stretch: usize) -> (&[u32], &[f32]) {
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

/// Fills [`Events`] from spike words `[block][T]`, blocks of `lanes` vectors.
pub(super) struct ReadEvents<'a> {
    pub words: &'a [u64],
    pub num_steps: usize,
    pub lanes: usize,
    pub events: &'a mut Events,
}

impl Kernel for ReadEvents<'_> {
    type Out = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (steps, width) = (self.num_steps, self.lanes * LANES);
        let Events { ends, neurons } = self.events;
        ends.clear();
        // Room for every neuron at every step, and for the sixteen that are written at a time: no later
        // sample makes it grow.
        neurons.resize(neurons.len().max(self.words.len() * width + LANES), 0);
        let mut count = 0;
        for t in 0..steps {
            for (block, words) in self.words.chunks_exact(steps).enumerate() {
                for l in 0..self.lanes {
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
