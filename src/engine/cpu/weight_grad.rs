//! Weight gradients of a tile: some inputs of a layer and some blocks of its outputs.

use std::ops::Range;

use super::{
    dense::{Ahead, PIECE},
    layer::Matrix,
    layout::live,
    lists::{Pairs, STRETCH, Sparse},
    pass::{Pass, SampleTrace},
    simd::{F32x16, Isa, LANES, flatten, flatten_mut},
    sink::{self, Sink},
    weights::{self, Piece},
};

/// Rows of a dense input's stretch, at most: their adjoints for a block (20 KB), and what a tile takes
/// of each, stay in L1.
const HEIGHT: usize = 75;

/// The memory of one thread for one tile.
#[derive(Debug, Default)]
pub(super) struct GradScratch {
    pub sums: Vec<F32x16>,
    pub x: Vec<F32x16>,
}

/// A block of a matrix's outputs times some of its inputs.
pub(super) struct Tile<'a> {
    /// Its number.
    pub matrix: usize,
    pub block: usize,
    pub part: usize,
    pub sink: Sink<'a>,
}

/// Tiles that share the inputs they read.
pub(super) type TileRow<'a> = Vec<Tile<'a>>;

/// Some inputs of a layer (the bias is one more), for the blocks of a row of tiles.
pub(super) struct WeightGrad<'a> {
    pub matrix: Matrix,
    pub pass: Pass<'a>,
    pub samples: &'a [SampleTrace],
    pub isa: Isa,
    pub vectors: usize,
    pub inputs: usize,
    pub neurons: usize,
    pub columns: Range<usize>,
}

impl WeightGrad<'_> {
    /// From the lists of a sparse sequence, one of each sample's steps.
    pub fn lists(
        self,
        tiles: TileRow<'_>,
        lists: &[Sparse],
        GradScratch { sums, .. }: &mut GradScratch,
    ) {
        let (vectors, steps, columns) =
            (self.vectors, self.pass.source.steps, self.columns.clone());
        let inputs = self.inputs.div_ceil(STRETCH);
        let stretches = columns.start / STRETCH..columns.end.div_ceil(STRETCH).min(inputs);
        for Tile { block, sink, .. } in tiles {
            sums.clear();
            sums.resize(
                columns.len().next_multiple_of(STRETCH) * vectors,
                F32x16::ZERO,
            );
            for (sample, list) in self.samples.iter().zip(lists) {
                let a = &sample.a[0][block * steps * vectors..][..steps * vectors];
                self.isa.run(weights::FromLists {
                    vectors,
                    list,
                    stretches: stretches.clone(),
                    a,
                    sums,
                });
                if self.matrix.bias && columns.contains(&self.inputs) {
                    let sum = &mut sums[(self.inputs - columns.start) * vectors..][..vectors];
                    self.isa.run(weights::FromBias { a, sum });
                }
            }
            let sums = &sums[..columns.len() * vectors];
            self.isa.run(sink::Deliver {
                vectors,
                sums,
                sink,
            });
        }
    }

    /// From lists of a sparse static input.
    pub fn sparse(
        self,
        tiles: TileRow<'_>,
        columns: &Pairs,
        GradScratch { sums: a, .. }: &mut GradScratch,
    ) {
        let (vectors, rows) = (self.vectors, self.pass.source.rows() * self.vectors);
        for Tile { block, sink, .. } in tiles {
            a.clear();
            for sample in self.samples {
                a.extend_from_slice(&sample.first_a()[block * rows..][..rows]);
            }
            self.isa.run(weights::FromInput {
                vectors,
                columns,
                bias: self.matrix.bias,
                a,
                sink,
            });
        }
    }

    /// From a dense input, one stretch of rows (steps of samples) at a time: copies the columns,
    /// accumulates their products with each block's adjoints, and passes on the sums at the end.
    /// Rows and adjoints come from beyond L2, so while a block is computed, the next block's
    /// adjoints and a share of the next stretch's rows are prefetched.
    pub fn dense(self, tiles: TileRow<'_>, GradScratch { sums, x }: &mut GradScratch) {
        let (source, steps, vectors) = (self.pass.source, self.pass.source.rows(), self.vectors);
        let bias = self.columns.contains(&self.inputs);
        let real = self.columns.len() - usize::from(bias);
        let (len, width) = (
            self.columns.len() * vectors,
            self.columns.len().div_ceil(LANES),
        );
        sums.clear();
        sums.resize(tiles.len() * len, F32x16::ZERO);
        let all = self.samples.len() * steps;
        let row = |r: usize| {
            let row = source.row(self.pass.first + r / steps, r % steps);
            &row[self.columns.start..][..real]
        };
        // Whole samples if they are short; otherwise parts of nearly equal length.
        let height = match HEIGHT / steps {
            0 => steps.div_ceil(steps.div_ceil(HEIGHT)),
            samples => samples * steps,
        };
        let stretch = |begin: usize| begin.min(all)..all.min(begin + height);
        let mut pieces = self.pieces(stretch(0));
        for begin in (0..all).step_by(height) {
            let (here, coming) = (stretch(begin), stretch(begin + height));
            x.resize(here.len() * width, F32x16::ZERO);
            for (r, to) in here.zip(flatten_mut(x).chunks_exact_mut(width * LANES)) {
                to[..real].copy_from_slice(row(r));
                if bias {
                    to[real] = f32::from(u8::from(self.matrix.bias));
                }
            }
            let next = self.pieces(coming.clone());
            let share = coming.len().div_ceil(tiles.len());
            for (n, (tile, sums)) in tiles.iter().zip(sums.chunks_exact_mut(len)).enumerate() {
                let (panels, block) = match tiles.get(n + 1) {
                    Some(tile) => (&pieces, tile.block),
                    None => (&next, tiles[0].block),
                };
                let panels = panels.iter().map(|piece| piece.panel(block, vectors));
                let rows = coming.clone().skip(n * share).take(share).map(row);
                let ahead = panels.map(flatten).chain(rows);
                self.isa.run(weights::FromDense {
                    vectors,
                    live: live(self.neurons, vectors, tile.block),
                    block: tile.block,
                    pieces: &pieces,
                    x: flatten(x),
                    row: width * LANES,
                    sums,
                    ahead: Ahead {
                        count: ahead.clone().map(|row| row.len().div_ceil(PIECE)).sum(),
                        pieces: ahead.flat_map(|row| row.chunks(PIECE)),
                    },
                });
            }
            pieces = next;
        }
        for (Tile { sink, .. }, sums) in tiles.into_iter().zip(sums.chunks_exact(len)) {
            self.isa.run(sink::Deliver {
                vectors,
                sums,
                sink,
            });
        }
    }

    /// Rows (steps of samples), sample by sample.
    fn pieces(&self, rows: Range<usize>) -> Vec<Piece<'_>> {
        let steps = self.pass.source.rows();
        (rows.start / steps..rows.end.div_ceil(steps))
            .map(|n| {
                let first = rows.start.saturating_sub(n * steps);
                Piece {
                    a: self.samples[n].first_a(),
                    steps,
                    first,
                    count: steps.min(rows.end - n * steps) - first,
                }
            })
            .collect()
    }

    /// From the spikes of the layer below, or, of a recurrent layer, its own of the step before.
    pub fn spikes(self, tiles: TileRow<'_>, GradScratch { sums, .. }: &mut GradScratch) {
        let Matrix {
            layer: k,
            recurrent,
            ..
        } = self.matrix;
        let (vectors, steps, rows) = (self.vectors, self.pass.source.steps, self.columns.clone());
        let mask = self.pass.mask(k).filter(|_| !recurrent);
        for Tile {
            block, part, sink, ..
        } in tiles
        {
            sums.clear();
            sums.resize(64.max(rows.len()) * vectors, F32x16::ZERO);
            let own = block * steps * vectors..(block + 1) * steps * vectors;
            let words = part * steps..(part + 1) * steps;
            if rows.start < self.inputs {
                let samples = self.samples.iter().map(|sample| {
                    let spikes = match recurrent {
                        true => &sample.earlier[k],
                        false if mask.is_some() => &sample.sent[k],
                        false => &sample.words[k - 1],
                    };
                    (&spikes[words.clone()], &sample.a[k][own.clone()])
                });
                if self.neurons <= weights::FEW {
                    self.isa.run(weights::FromSpikesToFew {
                        neurons: self.neurons,
                        samples,
                        sums,
                    });
                } else {
                    for (words, a) in samples {
                        self.isa.run(weights::FromSpikes {
                            vectors,
                            words,
                            a,
                            sums,
                        });
                    }
                }
            }
            if let Some(mask) = mask {
                // The biases' sums are still 0.
                let scale = mask.scale() as f32;
                flatten_mut(sums).iter_mut().for_each(|sum| *sum *= scale);
            }
            if self.matrix.without_diagonal {
                let width = vectors * LANES;
                for i in rows.clone().filter(|i| i / width == block) {
                    sums[(i - rows.start) * vectors + i % width / LANES].0[i % LANES] = 0.0;
                }
            }
            if self.matrix.bias && rows.contains(&self.inputs) {
                let sum = &mut sums[(self.inputs - rows.start) * vectors..][..vectors];
                for sample in self.samples {
                    let a = &sample.a[k][own.clone()];
                    self.isa.run(weights::FromBias { a, sum });
                }
            }
            let sums = &sums[..rows.len() * vectors];
            self.isa.run(sink::Deliver {
                vectors,
                sums,
                sink,
            });
        }
    }
}
