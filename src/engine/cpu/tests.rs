//! Each kernel against naive loops, on every instruction set of this machine.
//!
//! All numbers are small integers, so that every sum is exact in whatever order it is formed, and what
//! is expected is so to the bit. Sizes run over one to four vectors in a block, one block and several,
//! what divides by nothing, and nothing at all.

use ndarray::{Array1, Array2, s};

use super::{
    current,
    dense::{Ahead, Columns, DEPTH, NOTHING, PIECE, Rows, Start, product, stretch},
    layout::{LayerState, Shape, live},
    lists::{Events, Pairs, ReadEvents, ReadRows, STRETCH, Scan, SortPairs, Sparse},
    simd::{BlockKernel, F32x16, Isa, LANES, Simd, flatten, flatten_mut},
    sink::{Deliver, LayerUpdate, Sink},
    weights::{self, FEW, Piece},
};
use crate::{Adam, Adamax, Optimizer, Sgd, optim::Rule};

/// An integer from −7 to 7, never 0.
fn digit(seed: usize) -> f32 {
    let bits = (seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    let digit = (bits % 14) as f32 - 7.0;
    if digit < 0.0 { digit } else { digit + 1.0 }
}

/// The same, or 0: `percent` of them are not.
fn sparse_digit(seed: usize, percent: usize) -> f32 {
    let bits = (seed as u64 + 7).wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 33;
    match (bits % 100) < percent as u64 {
        true => digit(seed),
        false => 0.0,
    }
}

fn matrix(rows: usize, columns: usize, seed: usize) -> Vec<Vec<f32>> {
    let row = |r: usize| (0..columns).map(move |c| digit(seed + r * columns + c));
    (0..rows).map(|r| row(r).collect()).collect()
}

fn sparse_matrix(rows: usize, columns: usize, percent: usize) -> Vec<Vec<f32>> {
    let row = |r: usize| (0..columns).map(move |c| sparse_digit(r * columns + c, percent));
    (0..rows).map(|r| row(r).collect()).collect()
}

/// `count` vectors, all different.
fn vectors(count: usize, seed: usize) -> Vec<F32x16> {
    (0..count)
        .map(|n| F32x16(std::array::from_fn(|lane| digit(seed + n * LANES + lane))))
        .collect()
}

/// Percentages of numbers that are not 0.
const DENSITIES: [usize; 4] = [0, 8, 50, 100];

/// Widths of rows: one, around a vector and around a stretch of a list, and more.
const WIDTHS: [usize; 11] = [1, 2, 15, 16, 17, 31, 63, 64, 65, 130, 203];

/// Neurons that make one to four vectors, and several blocks; the last is never full.
const NEURONS: [usize; 9] = [1, 16, 19, 40, 50, 64, 65, 100, 213];

/// A layer of integers, weights `[neuron][input]`.
struct Integers {
    weight: Vec<Vec<f32>>,
    bias: Vec<f32>,
    layer: LayerState,
}

impl Integers {
    fn new(inputs: usize, neurons: usize) -> Self {
        let weight = matrix(neurons, inputs, 5);
        let bias: Vec<f32> = (0..neurons).map(|n| digit(31 * n)).collect();
        let mut layer = LayerState::new(inputs, neurons, false);
        let packed = Array2::from_shape_fn((neurons, inputs), |(n, i)| weight[n][i]);
        layer.params = layer.pack(&packed, Some(&Array1::from_vec(bias.clone())));
        layer.refresh_weight_t();
        Integers {
            weight,
            bias,
            layer,
        }
    }

    /// `b + W x` of neuron `n`; of padding, 0.
    fn current(&self, n: usize, x: &[f32]) -> f32 {
        let Some(row) = self.weight.get(n) else {
            return 0.0;
        };
        self.bias[n] + row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>()
    }

    /// The currents of block `block` for some rows, `[row][vectors]`.
    fn currents(&self, block: usize, rows: &[Vec<f32>]) -> Vec<f32> {
        let width = self.layer.vectors * LANES;
        let of = |x: &Vec<f32>| -> Vec<f32> {
            let neurons = block * width..(block + 1) * width;
            neurons.map(|n| self.current(n, x)).collect()
        };
        rows.iter().flat_map(of).collect()
    }
}

/// Adjoints of a layer of `neurons`, `[block][row][vectors]`, 0 in the padding; and by neuron and row.
fn adjoints(neurons: usize, rows: usize) -> (Vec<F32x16>, impl Fn(usize, usize) -> f32) {
    let Shape { blocks, vectors } = Shape::of(neurons);
    let of = move |n: usize, r: usize| match n < neurons {
        true => digit(n * rows + r + 99),
        false => 0.0,
    };
    let mut a = vec![F32x16::ZERO; blocks * rows * vectors];
    let width = vectors * LANES;
    for (k, a) in flatten_mut(&mut a).iter_mut().enumerate() {
        let (block, r, at) = (k / (rows * width), k / width % rows, k % width);
        *a = of(block * width + at, r);
    }
    (a, of)
}

/// A product of `[row][k]` with panels of `vectors` vectors, of which `live` are not 0.
struct Product<'a> {
    vectors: usize,
    live: usize,
    /// Where each segment ends in `k`.
    cuts: &'a [usize],
    /// Whether what is broadcast lies by columns.
    columns: bool,
    /// `[row][k]`, or `[k][row]`, all of it.
    left: &'a [f32],
    row: usize,
    /// `[k][vectors]`.
    panel: &'a [F32x16],
    start: Option<&'a [F32x16]>,
    out: &'a mut [F32x16],
}

impl BlockKernel for Product<'_> {
    type Out = ();

    fn vectors(&self) -> usize {
        self.vectors
    }

    #[inline(always)]
    fn run_block<S: Simd, const L: usize>(self, s: S) {
        let (panel, _) = self.panel.as_chunks::<L>();
        let (out, _) = self.out.as_chunks_mut::<L>();
        let start = match self.start {
            Some(row) => Start::Row(&row.as_chunks::<L>().0[0]),
            None => Start::Continue,
        };
        let begins = || [0].iter().chain(self.cuts);
        let ranges = begins().zip(self.cuts).map(|(&a, &b)| (a, &panel[a..b]));
        let (values, row) = (self.left, self.row);
        // What is asked for ahead of time must not show.
        let ahead = || Ahead {
            pieces: values.chunks(PIECE),
            count: values.len().div_ceil(PIECE),
        };
        if self.columns {
            let of = |(a, panel)| {
                let values = &values[a * row..];
                (Columns { values, row }, panel)
            };
            product::<S, _, L>(s, ranges.map(of), start, out, self.live, ahead());
        } else {
            let of = |(a, panel)| {
                let values = &values[a..];
                (Rows { values, row }, panel)
            };
            product::<S, _, L>(s, ranges.map(of), start, out, self.live, ahead());
        }
    }
}

/// Every height of a tile and none, inner indices in no, one and three segments, from a row or from where
/// another has ended, with each number of live vectors.
fn products(columns: bool) {
    for isa in Isa::available() {
        for vectors_of in 1..=4 {
            for live in 1..=vectors_of {
                for rows in (0..=20).chain([37]) {
                    for cuts in [&[][..], &[9], &[4, 5, 11]] {
                        let depth = cuts.last().copied().unwrap_or(0);
                        let a = matrix(rows, depth, 1);
                        let mut panel = vectors(depth * vectors_of, 3);
                        for k in panel.chunks_exact_mut(vectors_of) {
                            k[live..].fill(F32x16::ZERO);
                        }
                        let row = if columns { rows + 3 } else { depth + 2 };
                        let mut left = vec![1e9; (rows + 3) * (depth + 3)];
                        for (r, a) in a.iter().enumerate() {
                            for (k, &a) in a.iter().enumerate() {
                                left[if columns { k * row + r } else { r * row + k }] = a;
                            }
                        }
                        let begin = vectors(vectors_of, 17);
                        for start in [Some(&begin[..]), None] {
                            let before = vectors(rows * vectors_of, 23);
                            let mut out = before.clone();
                            isa.run(Product {
                                vectors: vectors_of,
                                live,
                                cuts,
                                columns,
                                left: &left,
                                row,
                                panel: &panel,
                                start,
                                out: &mut out,
                            });
                            for (at, &found) in flatten(&out).iter().enumerate() {
                                let width = vectors_of * LANES;
                                let (r, n) = (at / width, at % width);
                                let begin = match start {
                                    Some(row) => flatten(row)[n],
                                    None => flatten(&before)[at],
                                };
                                let panel = |k: usize| flatten(&panel)[k * width + n];
                                let sum: f32 = (0..depth).map(|k| a[r][k] * panel(k)).sum();
                                assert_eq!(
                                    found,
                                    begin + sum,
                                    "{isa:?}, {vectors_of} vectors, {live} live, {rows} rows, \
                                     {cuts:?}, row {r}, neuron {n}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn dense_products_of_rows() {
    products(false);
}

#[test]
fn dense_products_of_columns() {
    products(true);
}

/// Stretches are at most [`DEPTH`] wide, as few as there can be, and none is empty.
#[test]
fn stretches_cover_all_columns() {
    for columns in (1..3 * DEPTH).chain([0]) {
        let width = stretch(columns);
        assert!(width <= DEPTH, "{columns}: {width}");
        let count = columns.div_ceil(width.max(1));
        assert_eq!(count, columns.div_ceil(DEPTH), "{columns}: {width}");
    }
}

/// Lists rows.
fn listed(isa: Isa, rows: &[Vec<f32>], sparse: &mut Sparse) {
    isa.run(ReadRows {
        rows: rows.iter().map(Vec::as_slice),
        most: 0,
        sparse,
    });
}

/// What is listed of each stretch of each row is what is not 0 there, in order.
#[test]
fn rows_are_listed() {
    for isa in Isa::available() {
        // The same memory, larger and smaller than what it held.
        let mut sparse = Sparse::default();
        for width in WIDTHS.into_iter().rev().chain(WIDTHS) {
            for (count, percent) in (0..4).zip(DENSITIES).chain([(9, 30)]) {
                let rows = sparse_matrix(count, width, percent);
                listed(isa, &rows, &mut sparse);
                if count > 0 {
                    assert_eq!(sparse.rows(), count, "{isa:?}, width {width}");
                }
                for (r, row) in rows.iter().enumerate() {
                    for (n, part) in row.chunks(STRETCH).enumerate() {
                        let active = part.iter().enumerate().filter(|(_, x)| **x != 0.0);
                        let (index, value): (Vec<u32>, Vec<f32>) =
                            active.map(|(i, &x)| ((n * STRETCH + i) as u32, x)).unzip();
                        let found = sparse.stretches(r, n..n + 1);
                        assert_eq!(
                            found,
                            (&index[..], &value[..]),
                            "{isa:?}, width {width}, row {r}, stretch {n}"
                        );
                    }
                }
            }
        }
    }
}

/// Both who lists rows and who only looks at them count what is not 0 and find the largest.
#[test]
fn rows_are_looked_at() {
    for isa in Isa::available() {
        for width in WIDTHS {
            for percent in DENSITIES {
                let mut rows = sparse_matrix(5, width, percent);
                let (at, last) = (width / 2, width - 1);
                for special in [None, Some(-8.5), Some(f32::NAN), Some(f32::NEG_INFINITY)] {
                    for column in [0, at, last] {
                        let before = rows[3][column];
                        if let Some(special) = special {
                            rows[3][column] = special;
                        }
                        let all = || rows.iter().flatten();
                        let active = all().filter(|x| **x != 0.0).count();
                        let finite = all().all(|x| x.is_finite());
                        let largest = match finite {
                            true => all().fold(0.0_f32, |max, x| max.max(x.abs())),
                            false => f32::INFINITY,
                        };
                        let mut sparse = Sparse::default();
                        listed(isa, &rows, &mut sparse);
                        let looked = isa.run(Scan(rows.iter().map(Vec::as_slice)));
                        for seen in [sparse.seen, looked] {
                            let found = (seen.active, seen.largest);
                            let place = format!("{isa:?}, width {width}, {special:?} at {column}");
                            assert_eq!(found, (active, largest), "{place}");
                        }
                        rows[3][column] = before;
                    }
                }
            }
        }
    }
}

/// The pairs of columns of rows that were listed in groups.
fn paired(isa: Isa, rows: &[Vec<f32>], columns: usize, group: usize, pairs: &mut Pairs) {
    let parts: Vec<Sparse> = (rows.chunks(group))
        .map(|rows| {
            let mut part = Sparse::default();
            listed(isa, rows, &mut part);
            part
        })
        .collect();
    isa.run(SortPairs {
        rows: rows.iter().map(Vec::as_slice),
        parts: &parts,
        columns,
        pairs,
    });
}

/// Where either of two neighbours is not 0, both stand there, in the order of the rows.
#[test]
fn pairs_of_columns_are_sorted() {
    for isa in Isa::available() {
        let mut pairs = Pairs::default();
        for width in WIDTHS.into_iter().rev().chain(WIDTHS) {
            for percent in DENSITIES {
                for (count, group) in [(0, 1), (1, 1), (7, 3), (8, 16)] {
                    let rows = sparse_matrix(count, width, percent);
                    paired(isa, &rows, width, group, &mut pairs);
                    assert_eq!(pairs.columns(), width);
                    for p in 0..width.div_ceil(2) {
                        let second = |row: &Vec<f32>| row.get(2 * p + 1).copied().unwrap_or(0.0);
                        let (index, value): (Vec<u32>, Vec<[f32; 2]>) = (rows.iter().enumerate())
                            .map(|(r, row)| (r as u32, [row[2 * p], second(row)]))
                            .filter(|(_, pair)| *pair != [0.0; 2])
                            .unzip();
                        assert_eq!(
                            pairs.pair(p),
                            (&index[..], &value[..]),
                            "{isa:?}, width {width}, {count} rows in groups of {group}, pair {p}"
                        );
                    }
                }
            }
        }
    }
}

/// Spikes of `neurons` over some steps: words `[block][T]`, and who fires at each step.
fn spikes(neurons: usize, steps: usize, percent: usize) -> (Vec<u64>, Vec<Vec<u32>>) {
    let Shape { blocks, vectors } = Shape::of(neurons);
    let mut words = vec![0; blocks * steps];
    let mut fire = vec![Vec::new(); steps];
    for n in 0..neurons {
        let (block, bit) = (n / (vectors * LANES), n % (vectors * LANES));
        for (t, fire) in fire.iter_mut().enumerate() {
            if sparse_digit(n * steps + t, percent) != 0.0 {
                words[block * steps + t] |= 1 << bit;
                fire.push(n as u32);
            }
        }
    }
    (words, fire)
}

/// Lists who fires.
fn events(isa: Isa, neurons: usize, steps: usize, words: &[u64], events: &mut Events) {
    isa.run(ReadEvents {
        words,
        num_steps: steps,
        vectors: Shape::of(neurons).vectors,
        events,
    });
}

#[test]
fn spike_words_are_listed() {
    for isa in Isa::available() {
        let mut list = Events::default();
        for neurons in NEURONS.into_iter().rev().chain(NEURONS) {
            for percent in DENSITIES {
                for steps in [1, 2, 13] {
                    let (words, fire) = spikes(neurons, steps, percent);
                    events(isa, neurons, steps, &words, &mut list);
                    let found: Vec<&[u32]> = list.steps().collect();
                    assert_eq!(found, fire, "{isa:?}, {neurons} neurons, {steps} steps");
                }
            }
        }
    }
}

/// Currents of one block, and of two at once where there are two.
#[test]
fn currents_from_sparse_rows() {
    for isa in Isa::available() {
        for neurons in NEURONS {
            for inputs in [1, 63, 64, 65, 130] {
                let integers = Integers::new(inputs, neurons);
                let layer = &integers.layer;
                for (count, group, percent) in [(1, 1, 100), (5, 2, 30), (4, 16, 0)] {
                    let rows = sparse_matrix(count, inputs, percent);
                    let parts: Vec<Sparse> = (rows.chunks(group))
                        .map(|rows| {
                            let mut part = Sparse::default();
                            listed(isa, rows, &mut part);
                            part
                        })
                        .collect();
                    for block in 0..layer.blocks {
                        for blocks in 1..=(layer.blocks - block).min(2) {
                            let mut out = vectors(blocks * count * layer.vectors, 41);
                            isa.run(current::FromSparse {
                                at_once: 2,
                                layer,
                                block,
                                inputs: &parts,
                                rows: count,
                                out: &mut out,
                            });
                            let expected: Vec<f32> = (block..block + blocks)
                                .flat_map(|block| integers.currents(block, &rows))
                                .collect();
                            assert!(
                                flatten(&out) == expected,
                                "{isa:?}, {neurons} above {inputs}, {count} rows, {percent} %, \
                                 {blocks} from block {block}"
                            );
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn currents_from_spikes() {
    for isa in Isa::available() {
        for neurons in NEURONS {
            for inputs in NEURONS {
                let integers = Integers::new(inputs, neurons);
                let layer = &integers.layer;
                for (steps, percent) in [(1, 0), (17, 5), (9, 50), (3, 100)] {
                    let (words, fire) = spikes(inputs, steps, percent);
                    let mut list = Events::default();
                    events(isa, inputs, steps, &words, &mut list);
                    let row = |fire: &Vec<u32>| -> Vec<f32> {
                        let fires = |i: usize| fire.contains(&(i as u32));
                        (0..inputs).map(|i| f32::from(fires(i))).collect()
                    };
                    let rows: Vec<Vec<f32>> = fire.iter().map(row).collect();
                    for block in 0..layer.blocks {
                        let mut out = vectors(steps * layer.vectors, 43);
                        isa.run(current::FromSpikes {
                            layer,
                            block,
                            events: &list,
                            out: &mut out,
                        });
                        assert!(
                            flatten(&out) == integers.currents(block, &rows),
                            "{isa:?}, {neurons} above {inputs}, {percent} %, block {block}"
                        );
                    }
                }
            }
        }
    }
}

/// Also of more inputs than a stretch has.
#[test]
fn currents_from_dense_rows() {
    for isa in Isa::available() {
        for (neurons, inputs) in (NEURONS.into_iter())
            .flat_map(|n| [1, 50, 65].map(|i| (n, i)))
            .chain([(19, 2 * DEPTH + 1), (100, DEPTH + 1), (65, DEPTH)])
        {
            let integers = Integers::new(inputs, neurons);
            let layer = &integers.layer;
            for count in [1, 4, 5, 13] {
                let rows = matrix(count, inputs, 11);
                let x = rows.concat();
                for block in 0..layer.blocks {
                    let mut out = vectors(count * layer.vectors, 47);
                    isa.run(current::FromDense {
                        layer,
                        block,
                        x: &x,
                        out: &mut out,
                        ahead: NOTHING,
                    });
                    assert!(
                        flatten(&out) == integers.currents(block, &rows),
                        "{isa:?}, {neurons} above {inputs}, {count} rows, block {block}"
                    );
                }
            }
        }
    }
}

/// What adjoints make of the layer below, also of more neurons than a stretch has.
#[test]
fn adjoints_of_inputs() {
    for isa in Isa::available() {
        for (neurons, inputs) in (NEURONS.into_iter())
            .flat_map(|n| NEURONS.map(|i| (n, i)))
            .chain([(DEPTH + 30, 40), (2 * DEPTH + 30, 65), (DEPTH - 32, 3)])
        {
            let Integers { weight, layer, .. } = &Integers::new(inputs, neurons);
            for steps in [1, 5, 11] {
                let (a, adjoint) = adjoints(neurons, steps);
                let Shape { blocks, vectors: l } = layer.below;
                for block in 0..blocks {
                    let mut out = vectors(steps * l, 53);
                    isa.run(current::InputGrad {
                        add: false,
                        layer,
                        block,
                        a: &a,
                        out: &mut out,
                    });
                    let width = l * LANES;
                    let expected = |t: usize, i: usize| -> f32 {
                        let by = |n: usize| weight[n].get(i).map_or(0.0, |w| w * adjoint(n, t));
                        (0..neurons).map(by).sum()
                    };
                    for (at, &found) in flatten(&out).iter().enumerate() {
                        let (t, i) = (at / width, block * width + at % width);
                        assert_eq!(
                            found,
                            expected(t, i),
                            "{isa:?}, {neurons} above {inputs}, step {t}, input {i}"
                        );
                    }
                }
            }
        }
    }
}

/// `before + Σ_r x(r, i) a(r, n)` for each input and neuron of a block, `[input][vectors]`.
fn gradients(
    before: &[F32x16],
    block: usize,
    l: usize,
    rows: usize,
    x: impl Fn(usize, usize) -> f32,
    a: impl Fn(usize, usize) -> f32,
) -> Vec<f32> {
    let width = l * LANES;
    (flatten(before).iter().enumerate())
        .map(|(at, before)| {
            let (i, n) = (at / width, block * width + at % width);
            before + (0..rows).map(|r| x(r, i) * a(n, r)).sum::<f32>()
        })
        .collect()
}

#[test]
fn weight_gradients_from_sparse_rows() {
    for isa in Isa::available() {
        for neurons in NEURONS {
            for inputs in [1, 2, 17, 64, 131] {
                for (count, percent) in [(1, 100), (6, 30), (5, 0)] {
                    let rows = sparse_matrix(count, inputs, percent);
                    let mut columns = Pairs::default();
                    paired(isa, &rows, inputs, 4, &mut columns);
                    let (a, adjoint) = adjoints(neurons, count);
                    let Shape { blocks, vectors: l } = Shape::of(neurons);
                    for block in 0..blocks {
                        let before = vectors((inputs + 1) * l, 59);
                        let mut out = before.clone();
                        isa.run(weights::FromInput {
                            bias: true,
                            vectors: l,
                            columns: &columns,
                            a: &a[block * count * l..][..count * l],
                            sink: Sink::Store(&mut out),
                        });
                        // The bias is an input that is always 1.
                        let x = |r: usize, i: usize| rows[r].get(i).copied().unwrap_or(1.0);
                        assert!(
                            flatten(&out) == gradients(&before, block, l, count, x, &adjoint),
                            "{isa:?}, {neurons} above {inputs}, {count} rows, block {block}"
                        );
                    }
                }
            }
        }
    }
}

/// Some columns of rows that are steps of several samples, of the first and the last not all.
#[test]
fn weight_gradients_from_dense_rows() {
    const STEPS: usize = 7;
    for isa in Isa::available() {
        for neurons in NEURONS {
            let Shape { blocks, vectors: l } = Shape::of(neurons);
            let samples: Vec<_> = (0..3).map(|_| adjoints(neurons, STEPS)).collect();
            for pieces in [&[][..], &[(0, 0, 7)], &[(0, 5, 2), (1, 0, 7), (2, 0, 3)]] {
                let steps: Vec<(usize, usize)> = (pieces.iter())
                    .flat_map(|&(b, first, count)| (first..first + count).map(move |t| (b, t)))
                    .collect();
                let pieces: Vec<Piece<'_>> = (pieces.iter())
                    .map(|&(b, first, count)| Piece {
                        a: &samples[b].0,
                        steps: STEPS,
                        first,
                        count,
                    })
                    .collect();
                for columns in [0, 1, 5, 20] {
                    let row = columns + 3;
                    let x = matrix(steps.len(), row, 61);
                    for block in 0..blocks {
                        let before: Vec<F32x16> = vectors(columns * l, 67);
                        let mut sums = before.clone();
                        isa.run(weights::FromDense {
                            vectors: l,
                            live: live(neurons, l, block),
                            block,
                            pieces: &pieces,
                            x: &x.concat(),
                            row,
                            sums: &mut sums,
                            ahead: NOTHING,
                        });
                        let a = |n: usize, r: usize| samples[steps[r].0].1(n, steps[r].1);
                        let expected = gradients(&before, block, l, steps.len(), |r, i| x[r][i], a);
                        assert!(
                            flatten(&sums) == expected,
                            "{isa:?}, {neurons} neurons, {columns} columns, block {block}"
                        );
                    }
                }
            }
        }
    }
}

/// Spikes of each neuron below, as numbers `[T][64]`.
fn rows_of(words: &[u64]) -> Vec<Vec<f32>> {
    let row = |word: &u64| (0..64).map(|bit| f32::from(word >> bit & 1 == 1)).collect();
    words.iter().map(row).collect()
}

#[test]
fn weight_gradients_from_spikes() {
    for isa in Isa::available() {
        for neurons in NEURONS {
            let Shape { blocks, vectors: l } = Shape::of(neurons);
            for (steps, percent) in [(1, 100), (12, 20), (4, 0)] {
                let (words, _) = spikes(64, steps, percent);
                let rows = rows_of(&words);
                let (a, adjoint) = adjoints(neurons, steps);
                for block in 0..blocks {
                    let before = vectors(64 * l, 71);
                    let mut sums = before.clone();
                    isa.run(weights::FromSpikes {
                        vectors: l,
                        words: &words,
                        a: &a[block * steps * l..][..steps * l],
                        sums: &mut sums,
                    });
                    let x = |r: usize, i: usize| rows[r][i];
                    assert!(
                        flatten(&sums) == gradients(&before, block, l, steps, x, &adjoint),
                        "{isa:?}, {neurons} neurons, {steps} steps, block {block}"
                    );
                }
            }
        }
    }
}

/// To each width of a read-out, from no sample to more than are summed at a time.
#[test]
fn weight_gradients_from_spikes_to_few() {
    for isa in Isa::available() {
        for neurons in 1..=FEW {
            for count in [0, 1, 3, 4, 5, 9] {
                let steps = 6;
                let (a, adjoint) = adjoints(neurons, count.max(1) * steps);
                let (words, _) = spikes(64, count.max(1) * steps, 30);
                let rows = rows_of(&words);
                let samples = words.chunks(steps).zip(a.chunks(steps)).take(count);
                let mut sums = vec![F32x16::ZERO; 64];
                isa.run(weights::FromSpikesToFew {
                    neurons,
                    samples,
                    sums: &mut sums,
                });
                let zero = vec![F32x16::ZERO; 64];
                let x = |r: usize, i: usize| rows[r][i];
                assert!(
                    flatten(&sums) == gradients(&zero, 0, 1, count * steps, x, &adjoint),
                    "{isa:?}, {neurons} neurons, {count} samples"
                );
            }
        }
    }
}

#[test]
fn gradients_of_biases() {
    for isa in Isa::available() {
        for neurons in NEURONS {
            let Shape { blocks, vectors: l } = Shape::of(neurons);
            for steps in [1, 2, 9] {
                let (a, adjoint) = adjoints(neurons, steps);
                for block in 0..blocks {
                    let before = vectors(l, 73);
                    let mut sum = before.clone();
                    let a = &a[block * steps * l..][..steps * l];
                    isa.run(weights::FromBias { a, sum: &mut sum });
                    assert!(
                        flatten(&sum) == gradients(&before, block, l, steps, |_, _| 1.0, &adjoint),
                        "{isa:?}, {neurons} neurons, {steps} steps, block {block}"
                    );
                }
            }
        }
    }
}

/// Weights, what is kept for them, and whether a weight has stopped being finite.
type Updated = ([Vec<F32x16>; 3], bool);

/// An update of weights, `[input][vectors]` with the biases last, from `start`, which the first kept
/// number begins with, too.
fn deliver(
    isa: Isa,
    l: usize,
    sums: &[F32x16],
    update: LayerUpdate,
    kept: usize,
    start: &[F32x16],
) -> Updated {
    let mut w = start.to_vec();
    let mut states = [start.to_vec(), vec![F32x16::ZERO; start.len()]];
    states[kept..].fill(Vec::new());
    let mut nonfinite = F32x16::ZERO;
    let [first, second] = &mut states;
    isa.run(Deliver {
        vectors: l,
        sums,
        sink: Sink::Update {
            update,
            bias_row: (sums.len() / l).checked_sub(1),
            weights: &mut w,
            kept: [first, second],
            nonfinite: &mut nonfinite,
        },
    });
    let [first, second] = states;
    ([w, first, second], nonfinite != F32x16::ZERO)
}

/// Every rule, with every setting that makes a branch of its own.
fn rules() -> Vec<Rule> {
    let adam = Adam::new(0.01);
    let (sgd, adamax) = (Sgd::new(0.1), Adamax::new(0.01));
    vec![
        sgd.into(),
        sgd.weight_decay(0.2).into(),
        sgd.momentum(0.9).into(),
        sgd.momentum(0.9).nesterov(true).weight_decay(0.2).into(),
        adam.into(),
        adam.weight_decay(0.2).into(),
        Adam::adamw(0.01).weight_decay(0.2).into(),
        adamax.into(),
        adamax.weight_decay(0.2).into(),
    ]
}

/// The update of a rule, and one at a tenth of its learning rate for the biases.
fn updates(rule: Rule) -> LayerUpdate {
    let of = |rule: Rule| Optimizer::from(rule).next_updates().of(String::new);
    let mut slower = rule;
    slower.set_lr(rule.lr() / 10.0);
    LayerUpdate {
        weight: of(rule),
        bias: of(slower),
    }
}

/// Sums are added to a buffer.
#[test]
fn sums_are_stored() {
    for isa in Isa::available() {
        for l in 1..=4 {
            for inputs in [0, 1, 2, 13] {
                let (sums, start) = (vectors(inputs * l, 79), vectors(inputs * l, 83));
                let mut out = start.clone();
                isa.run(Deliver {
                    vectors: l,
                    sums: &sums,
                    sink: Sink::Store(&mut out),
                });
                for ((found, a), b) in (flatten(&out).iter())
                    .zip(flatten(&start))
                    .zip(flatten(&sums))
                {
                    assert_eq!(*found, a + b, "{isa:?}, {l} vectors, {inputs} inputs");
                }
            }
        }
    }
}

/// Each rule's update of vectors is that of the reference engine: to the bit without fused
/// multiply-adds, else to rounding. The biases have their own.
#[test]
fn updates_are_those_of_the_reference() {
    for isa in Isa::available() {
        let exact = isa == Isa::Portable && !cfg!(target_arch = "aarch64");
        for (rule, l, rows) in rules()
            .into_iter()
            .flat_map(|rule| [1, 2, 3, 4].map(|l| (rule, l, 5)))
        {
            let (sums, start) = (vectors(rows * l, 79), vectors(rows * l, 83));
            let (update, kept) = (updates(rule), rule.kept().len());
            let (found, bad) = deliver(isa, l, &sums, update, kept, &start);
            assert!(!bad);
            let numbers = |vectors: &[F32x16]| Array1::from(flatten(vectors).to_vec());
            let g = numbers(&sums);
            let mut expected = [numbers(&start), numbers(&start), Array1::zeros(g.len())];
            let bias = (rows - 1) * l * LANES;
            for (range, update) in [(0..bias, update.weight), (bias..g.len(), update.bias)] {
                let part = |values: &mut Array1<f32>| values.slice(s![range.clone()]).to_owned();
                let mut now = expected.each_mut().map(part);
                let [w, first, second] = &mut now;
                let mut states = vec![first, second];
                states.truncate(kept);
                let states = states.into_iter().map(|kept| kept.view_mut().into_dyn());
                let own = g.slice(s![range.clone()]).into_dyn();
                update.apply(w.view_mut().into_dyn(), own, 1.0, states.collect());
                for (expected, now) in expected.iter_mut().zip(now) {
                    expected.slice_mut(s![range.clone()]).assign(&now);
                }
            }
            for (found, expected) in found.iter().zip(&expected).take(kept + 1) {
                for (n, (&found, &expected)) in flatten(found).iter().zip(expected).enumerate() {
                    let near = (found - expected).abs() <= 1e-6 * expected.abs().max(1e-3);
                    let good = if exact { found == expected } else { near };
                    assert!(
                        good,
                        "{isa:?}, {rule:?}, {l} vectors, {n}: {found} {expected}"
                    );
                }
            }
            assert!(found[kept + 1..].iter().all(Vec::is_empty));
        }
    }
}

/// Wherever a weight stops being finite, it is seen.
#[test]
fn weights_that_are_not_finite_are_seen() {
    for isa in Isa::available() {
        let (l, inputs) = (3, 4);
        let sums = vectors(inputs * l, 79);
        for rule in rules() {
            for at in 0..inputs * l * LANES {
                for bad in [f32::NAN, f32::INFINITY] {
                    let mut start = vectors(inputs * l, 83);
                    flatten_mut(&mut start)[at] = bad;
                    let kept = rule.kept().len();
                    let seen = deliver(isa, l, &sums, updates(rule), kept, &start).1;
                    assert!(seen, "{isa:?}, {rule:?}, {bad} at {at}");
                }
            }
        }
    }
}

/// With coupled decay, a large weight alone makes Adam's second moment infinite, which is seen.
#[test]
fn second_moments_that_overflow_are_seen() {
    let rule = Rule::from(Adam::new(0.01).weight_decay(0.5));
    for isa in Isa::available() {
        let (sums, mut start) = (vectors(4, 79), vectors(4, 83));
        flatten_mut(&mut start)[37] = 1e21;
        let (found, seen) = deliver(isa, 1, &sums, updates(rule), 2, &start);
        assert!(seen && flatten(&found[2])[37].is_infinite(), "{isa:?}");
    }
}

/// Each piece is met once, as itself, in pools of one thread to more than have a share of their own.
#[cfg(feature = "rayon")]
mod sharing_out {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::super::parallel::{enter, for_each, for_each_chunk, join, threads};

    /// Runs `f` in pools of these sizes.
    fn in_pools(f: impl Fn() + Sync) {
        for count in [1, 2, 3, 5, 40] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
            pool.unwrap().install(|| {
                assert_eq!(threads(), count);
                f();
            });
        }
    }

    #[test]
    fn every_piece_is_met_once() {
        in_pools(|| {
            for worth in [false, true] {
                for len in [0, 1, 2, 7, 31, 32, 33, 64, 65, 200] {
                    for size in [1, 2, 3, 8, 300] {
                        let mut items: Vec<usize> = (0..len).collect();
                        let pieces = AtomicUsize::new(0);
                        for_each_chunk(worth, &mut items, size, |n, piece| {
                            pieces.fetch_add(1, Relaxed);
                            let expected = (len - n * size).min(size);
                            assert_eq!(piece.len(), expected, "piece {n} of {len} by {size}");
                            for (k, item) in piece.iter_mut().enumerate() {
                                assert_eq!(*item, n * size + k, "piece {n} of {len} by {size}");
                                *item += 1000;
                            }
                        });
                        assert_eq!(pieces.into_inner(), len.div_ceil(size));
                        assert!(items.iter().enumerate().all(|(k, item)| *item == k + 1000));
                    }
                }
            }
        });
    }

    #[test]
    fn every_item_is_met_once() {
        in_pools(|| {
            for len in [0, 1, 2, 40, 100] {
                let mut items = vec![0; len];
                for_each(&mut items, |n, item| *item += n + 1);
                assert!(items.iter().enumerate().all(|(n, item)| *item == n + 1));
            }
        });
    }

    #[test]
    fn both_are_run_and_results_come_back() {
        in_pools(|| {
            for worth in [false, true] {
                let (mut a, mut b) = (0, 0);
                join(worth, || a += 1, || b += 2);
                assert_eq!((a, b), (1, 2));
                assert_eq!(enter(worth, || a + b), 3);
            }
        });
    }
}
