//! Gradients and updates of all weights, after all samples of a part of a batch have run forward
//! and backward.
//!
//! A tile owns some weights, a block of outputs times some inputs, so no sum crosses threads:
//!
//! - first layer, sparse static input: a block of outputs, all inputs. The block's adjoints of all samples
//!   (32 KB for 128 of them) are packed into L1, and each gradient goes from registers to its sink.
//! - first layer, sparse sequence: a block of outputs, as many inputs as leave enough tiles for all
//!   threads. Sample by sample, the adjoints of a block (256 bytes a step) stay in L1 or L2 while the entries
//!   of one stretch of inputs after the other, whose sums (16 KB) stay in L1, are walked.
//! - first layer, dense input: [`SLICE`] inputs times [`STRIP`] blocks. A stretch of rows is copied
//!   once for the strip; it and the sums of the tile (60 and 400 KB at most) stay in L2, and each
//!   adjoint loaded from beyond L2 is used for 200 inputs.
//! - above, and recurrent weights: a block of outputs times a block of 64 spiking inputs, whose sums
//!   (16 KB) stay in L1.

use ndarray::Array1;

use super::{
    clock::Part,
    layer::{
        Kept, Matrix, NeuronLayer, Vector, matrices, pack_all, states, states_mut, vectors_of,
    },
    layout::LayerState,
    lists::STRETCH,
    parallel::{for_each, threads},
    pass::{Kit, Pass, SampleTrace},
    pool::Pool,
    simd::{F32x16, Isa, LANES, flatten, flatten_mut},
    sink::{Deliver, LayerUpdate, Sink},
    weight_grad::{GradScratch, Tile, TileRow, WeightGrad},
    workspace::Workspace,
};
use crate::{
    Gradients,
    optim::{Update, Updates},
};

/// Maximum number of inputs of a tile with a dense input.
const SLICE: usize = 200;

/// Maximum number of output blocks of such a tile.
const STRIP: usize = 8;

/// Number of inputs per slice. If there are enough, the number of slices is a multiple of four, so
/// that two or four threads get equal shares.
fn slice(columns: usize) -> usize {
    columns.div_ceil(columns.div_ceil(SLICE).next_multiple_of(4))
}

/// Gradients of every layer.
#[derive(Debug, Default)]
pub(super) struct Grads {
    /// Of each matrix, as its `params`; made when first asked for.
    pub params: Vec<Vec<F32x16>>,
    /// Of each vector of each layer, neuron by neuron.
    learnt: Vec<Vec<Vec<f64>>>,
    /// No gradient is larger; NaN or infinite if one may be.
    pub bound: f64,
}

/// Which gradients an update takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum GradientsOf {
    /// Those of the last batch.
    LastBatch,
    /// The weighted sum over the batches since the last update.
    Sum,
}

/// Gradients, what the optimizer keeps, and the memory for their sums.
#[derive(Debug)]
pub(super) struct Learning {
    matrices: Vec<Matrix>,
    /// Of each matrix.
    pub kept: Vec<Kept>,
    /// Of each layer, for each of its vectors, each number that is kept; empty before the first update.
    pub kept_vectors: Vec<Vec<Vec<Array1<f32>>>>,
    /// Of the last batch.
    pub gradients: Grads,
    /// The weighted sum over the batches since the last update.
    pub sum: Grads,
    /// Whether all parameters are finite numbers.
    pub finite: bool,
    /// Of each tile of an update, not zero where a weight has become NaN or infinite.
    nonfinite: Vec<F32x16>,
    scratch: Pool<GradScratch>,
}

/// A matrix's tiles of `width` inputs (the bias is one more) each, part by part within blocks; for an
/// update, each has a share of `nonfinite`.
fn tiles<'a>(
    matrix: usize,
    state: &'a mut LayerState,
    kept: &'a mut Kept,
    gradients: &'a mut [F32x16],
    update: Option<LayerUpdate>,
    width: usize,
    nonfinite: &mut impl Iterator<Item = &'a mut F32x16>,
) -> Vec<Tile<'a>> {
    let (vectors, block_len) = (state.vectors, state.block_len());
    let parts = block_len.div_ceil(width * vectors);
    let tile = |(n, sink)| Tile {
        matrix,
        block: n / parts,
        part: n % parts,
        sink,
    };
    let Some(update) = update else {
        let blocks = gradients.chunks_exact_mut(block_len);
        let sinks = blocks.flat_map(|block| block.chunks_mut(width * vectors).map(Sink::Store));
        return sinks.enumerate().map(tile).collect();
    };
    let split = |values: &'a mut [F32x16]| {
        let blocks = values.chunks_exact_mut(block_len);
        blocks.flat_map(move |block| block.chunks_mut(width * vectors))
    };
    let [first, second] = &mut kept.params;
    let kept = or_empty(split(first)).zip(or_empty(split(second)));
    let weights = split(&mut state.params).zip(nonfinite);
    let sinks =
        weights
            .zip(kept)
            .enumerate()
            .map(|(n, ((weights, nonfinite), (first, second)))| {
                let rows = weights.len() / vectors;
                Sink::Update {
                    update,
                    bias_row: (n % parts == parts - 1).then(|| rows - 1),
                    weights,
                    kept: [first, second],
                    nonfinite,
                }
            });
    sinks.enumerate().map(tile).collect()
}

/// Slices, then as many empty ones as wanted.
fn or_empty<'a>(
    slices: impl Iterator<Item = &'a mut [F32x16]>,
) -> impl Iterator<Item = &'a mut [F32x16]> {
    slices.chain(std::iter::repeat_with(|| &mut [][..]))
}

impl Grads {
    fn new(layers: &[NeuronLayer]) -> Self {
        let zeros = |layer: &NeuronLayer| vec![vec![0.0; layer.neurons]; layer.values.len()];
        Grads {
            params: vec![Vec::new(); matrices(layers).len()],
            learnt: layers.iter().map(zeros).collect(),
            bound: 0.0,
        }
    }

    /// The gradients of the vectors of layer `k` that its tensors have, in their own shapes.
    pub fn learnt(&self, layer: &NeuronLayer, k: usize) -> Vec<(Vector, Array1<f32>)> {
        let own = |sums: &[f64], like: &Array1<f32>| match like.len() {
            1 => Array1::from_elem(1, sums.iter().sum::<f64>() as f32),
            _ => sums.iter().map(|&x| x as f32).collect(),
        };
        let vectors = layer.numbered();
        vectors
            .map(|(i, vector, learn)| {
                let like = &layer.values[i];
                match learn {
                    true => (vector, own(&self.learnt[k][i], like)),
                    false => (vector, Array1::zeros(like.len())),
                }
            })
            .collect()
    }

    /// Sets the gradients of the vectors of layer `k` that its tensors have, in their order.
    pub fn set_learnt<'a>(
        &mut self,
        layer: &NeuronLayer,
        k: usize,
        values: impl Iterator<Item = &'a Array1<f32>>,
    ) {
        for ((i, ..), values) in layer.numbered().zip(values) {
            let sums = &mut self.learnt[k][i];
            sums.fill(0.0);
            let each = sums.iter_mut().zip(values);
            each.for_each(|(sum, &x)| *sum = f64::from(x));
        }
    }

    /// The sum of the squares of each layer's gradients, in double precision: block by block, each in
    /// sixteen sums, so that the bits depend neither on threads nor on registers.
    pub fn squares(&self, layers: &[NeuronLayer]) -> Vec<f64> {
        let of = |params: &[F32x16], state: &LayerState| {
            let blocks = params.chunks_exact(state.block_len());
            let mut blocks: Vec<_> = blocks.map(|block| (block, 0.0)).collect();
            for_each(&mut blocks, |_, (block, sum)| {
                let mut sums = [0.0_f64; LANES];
                for lane in block.iter() {
                    for (sum, &g) in sums.iter_mut().zip(&lane.0) {
                        *sum += f64::from(g) * f64::from(g);
                    }
                }
                *sum = sums.iter().sum();
            });
            blocks.iter().map(|(_, sum)| sum).sum::<f64>()
        };
        let mut squares = vec![0.0; layers.len()];
        let all = self.params.iter().zip(states(layers));
        for (matrix, (params, state)) in matrices(layers).into_iter().zip(all) {
            squares[matrix.layer] += of(params, state);
        }
        for (k, (layer, squares)) in layers.iter().zip(&mut squares).enumerate() {
            for (_, gradient) in self.learnt(layer, k) {
                *squares += gradient.mapv(|x| f64::from(x) * f64::from(x)).sum();
            }
        }
        squares
    }

    /// Whether no gradient, `weight` times it or its square can have overflowed, as far as known without
    /// a search.
    pub fn is_safe(&self, weight: f64) -> bool {
        self.bound * weight.abs().max(1.0) < Update::SAFE
    }

    /// Multiplies all of them by a factor.
    pub fn scale(&mut self, factor: f64) {
        for gradients in &mut self.params {
            let mut blocks: Vec<_> = gradients.chunks_mut(4096).collect();
            for_each(&mut blocks, |_, block| {
                let gradients = flatten_mut(block).iter_mut();
                gradients.for_each(|g| *g *= factor as f32);
            });
        }
        for g in self.learnt.iter_mut().flatten().flatten() {
            *g *= factor;
        }
        self.bound *= factor.abs();
    }

    /// Adds `weight` times others.
    fn add(&mut self, weight: f64, others: &Grads) {
        for (sums, others) in self.params.iter_mut().zip(&others.params) {
            let mut blocks: Vec<_> = sums.chunks_mut(4096).zip(others.chunks(4096)).collect();
            for_each(&mut blocks, |_, (sums, others)| {
                let pairs = flatten_mut(sums).iter_mut().zip(flatten(others));
                pairs.for_each(|(sum, &g)| *sum += weight as f32 * g);
            });
        }
        let (bound, others) = (others.bound, others.learnt.iter().flatten().flatten());
        let sums = self.learnt.iter_mut().flatten().flatten();
        sums.zip(others).for_each(|(sum, &g)| *sum += weight * g);
        self.bound += weight.abs() * bound;
    }
}

impl Learning {
    /// `finite`: whether all parameters of the layers are.
    pub fn new(layers: &[NeuronLayer], kept: &[Gradients], finite: bool) -> Self {
        let mut learning = Learning {
            matrices: matrices(layers),
            kept: Vec::new(),
            kept_vectors: Vec::new(),
            gradients: Grads::new(layers),
            sum: Grads::new(layers),
            finite,
            nonfinite: Vec::new(),
            scratch: Pool::default(),
        };
        learning.set_kept(layers, kept);
        learning
    }

    /// Replaces what the optimizer keeps; empty before the first update.
    pub fn set_kept(&mut self, layers: &[NeuronLayer], kept: &[Gradients]) {
        self.kept = vec![Kept::default(); self.matrices.len()];
        for (number, kept) in kept.iter().enumerate() {
            let packed = pack_all(layers, &kept.layers);
            for (to, from) in self.kept.iter_mut().zip(packed) {
                to.params[number] = from;
            }
        }
        let of = |(k, layer): (usize, &NeuronLayer)| {
            let mut vectors = vec![Vec::new(); layer.values.len()];
            for tensors in kept {
                for ((i, ..), values) in layer.numbered().zip(vectors_of(&tensors.layers[k])) {
                    vectors[i].push(values.clone());
                }
            }
            vectors
        };
        self.kept_vectors = layers.iter().enumerate().map(of).collect();
    }

    /// Adds `weight` times the last batch's gradients to the sum, which `first` starts anew.
    pub fn accumulate(&mut self, weight: f64, first: bool) {
        if !first {
            return self.sum.add(weight, &self.gradients);
        }
        std::mem::swap(&mut self.sum, &mut self.gradients);
        if weight != 1.0 {
            self.sum.scale(weight);
        }
    }

    /// Weight gradients of all layers from the results of a pass, passed to the optimizer or added to
    /// the buffers.
    pub fn weights(
        &mut self,
        kit: &Kit,
        layers: &mut [NeuronLayer],
        work: &Workspace,
        pass: Pass<'_>,
        updates: Option<&Updates>,
    ) {
        let widths: Vec<usize> = (self.matrices.iter().zip(states(layers)))
            .map(|(matrix, state)| match matrix.is_first() {
                true if pass.sparse && pass.source.constant => state.inputs + 1,
                true if pass.sparse => {
                    let stretches = (state.inputs + 1).div_ceil(STRETCH);
                    let parts = (4 * threads()).div_ceil(state.blocks).min(stretches);
                    stretches.div_ceil(parts) * STRETCH
                }
                true => slice(state.inputs + 1),
                false => state.below.vectors * LANES,
            })
            .collect();
        let mut count = 0;
        for (m, state) in states(layers).enumerate() {
            let len = state.params.len();
            count += state.blocks * (state.inputs + 1).div_ceil(widths[m]);
            if let Some(updates) = updates {
                self.kept[m].resize(len, updates.kept());
            } else {
                let gradients = &mut self.gradients.params[m];
                gradients.resize(len, F32x16::ZERO);
                if pass.first == 0 {
                    gradients.fill(F32x16::ZERO);
                }
            }
        }
        self.nonfinite.clear();
        self.nonfinite.resize(count, F32x16::ZERO);

        let mut nonfinite = self.nonfinite.iter_mut();
        let mut rows: Vec<(usize, TileRow<'_>)> = Vec::new();
        let shapes: Vec<_> = states(layers)
            .map(|state| (state.vectors, state.inputs, state.neurons))
            .collect();
        let buffers = self.kept.iter_mut().zip(&mut self.gradients.params);
        let all = self.matrices.iter().zip(states_mut(layers).zip(buffers));
        for (m, (matrix, (state, (kept, gradients)))) in all.enumerate() {
            if !matrix.learn {
                continue;
            }
            let (width, update) = (
                widths[m],
                updates.map(|updates| of_matrix(updates, *matrix)),
            );
            let mut tiles = tiles(m, state, kept, gradients, update, width, &mut nonfinite);
            let first = rows.len();
            if matrix.is_first() && !pass.sparse {
                // Strips: some blocks of one part; at least four per thread, if there are enough.
                let strip = (tiles.len() / (4 * threads())).clamp(1, STRIP);
                let of = |tile: &Tile<'_>| (tile.part, tile.block / strip);
                tiles.sort_by_key(of);
                for tile in tiles {
                    match rows.last_mut() {
                        Some((_, row)) if row[0].matrix == m && of(&row[0]) == of(&tile) => {
                            row.push(tile)
                        }
                        _ => rows.push((0, vec![tile])),
                    }
                }
            } else {
                rows.extend(tiles.into_iter().map(|tile| (0, vec![tile])));
            }
            // The position of a row in its matrix, so that a thread's share includes rows of each
            // matrix whose weights it used in the forward pass.
            let count = rows.len() - first;
            for (n, (place, _)) in rows[first..].iter_mut().enumerate() {
                *place = (n << 16) / count;
            }
        }
        rows.sort_by_key(|(place, _)| *place);
        let (isa, samples) = (kit.isa, &work.samples[..pass.count]);
        let (lists, pool, clock) = (&work.lists, &self.scratch, &kit.clock);
        let matrices = &self.matrices;
        for_each(&mut rows, |_, (_, row)| {
            let (m, part) = (row[0].matrix, row[0].part);
            let (vectors, inputs, neurons) = shapes[m];
            let columns = part * widths[m]..((part + 1) * widths[m]).min(inputs + 1);
            let matrix = matrices[m];
            let strip = WeightGrad {
                matrix,
                pass,
                samples,
                isa,
                vectors,
                inputs,
                neurons,
                columns,
            };
            let row = std::mem::take(row);
            pool.with(|scratch| match matrix.is_first() {
                true if pass.sparse && pass.source.constant => {
                    let entries = &lists.columns;
                    clock.time(Part::FirstWeights, || strip.sparse(row, entries, scratch))
                }
                true if pass.sparse => {
                    let entries = &lists.parts;
                    clock.time(Part::FirstWeights, || strip.lists(row, entries, scratch))
                }
                true => clock.time(Part::FirstWeights, || strip.dense(row, scratch)),
                false => clock.time(Part::OtherWeights, || strip.spikes(row, scratch)),
            });
        });
        if updates.is_some() {
            self.finite &= clean(&self.nonfinite);
            self.refresh(layers);
        }
    }

    /// Updates the transposed weights after those that are trained have changed.
    fn refresh(&self, layers: &mut [NeuronLayer]) {
        for (matrix, state) in self.matrices.iter().zip(states_mut(layers)) {
            if matrix.learn && !matrix.is_first() {
                state.refresh_weight_t();
            }
        }
    }

    /// The gradients that an update takes.
    pub fn grads(&self, of: GradientsOf) -> &Grads {
        match of {
            GradientsOf::LastBatch => &self.gradients,
            GradientsOf::Sum => &self.sum,
        }
    }

    /// Multiplies them by a factor.
    pub fn scale(&mut self, of: GradientsOf, factor: f64) {
        match of {
            GradientsOf::LastBatch => self.gradients.scale(factor),
            GradientsOf::Sum => self.sum.scale(factor),
        }
    }

    /// Updates from these gradients.
    pub fn apply(
        &mut self,
        isa: Isa,
        layers: &mut [NeuronLayer],
        updates: &Updates,
        of: GradientsOf,
    ) {
        let all = self.matrices.iter().zip(states_mut(layers)).enumerate();
        for (m, (matrix, state)) in all {
            if !matrix.learn {
                continue;
            }
            let gradients = match of {
                GradientsOf::LastBatch => &self.gradients.params[m],
                GradientsOf::Sum => &self.sum.params[m],
            };
            let kept = &mut self.kept[m];
            kept.resize(state.params.len(), updates.kept());
            let (vectors, block_len) = (state.vectors, state.block_len());
            self.nonfinite.clear();
            self.nonfinite.resize(state.blocks, F32x16::ZERO);
            let mut nonfinite = self.nonfinite.iter_mut();
            let (update, rows) = (Some(of_matrix(updates, *matrix)), state.inputs + 1);
            let tiles = tiles(m, state, kept, &mut [], update, rows, &mut nonfinite);
            let blocks = tiles.into_iter().zip(gradients.chunks_exact(block_len));
            let mut blocks: Vec<_> = blocks.map(|(tile, sums)| (Some(tile.sink), sums)).collect();
            for_each(&mut blocks, |_, (sink, sums)| {
                if let Some(sink) = sink.take() {
                    isa.run(Deliver {
                        vectors,
                        sums,
                        sink,
                    });
                }
            });
            self.finite &= clean(&self.nonfinite);
        }
        self.refresh(layers);
        self.apply_learnt(layers, updates, of);
    }

    /// Resets the sums of the gradients of the constants.
    pub fn clear_learnt(&mut self) {
        self.gradients
            .learnt
            .iter_mut()
            .flatten()
            .for_each(|sums| sums.fill(0.0));
    }

    /// Adds the samples' gradients of the constants.
    pub fn collect_learnt(&mut self, layers: &[NeuronLayer], samples: &[SampleTrace]) {
        let layers = layers.iter().enumerate();
        for (k, layer) in layers.filter(|(_, layer)| layer.learns_vectors()) {
            for sample in samples {
                for (sums, from) in self.gradients.learnt[k].iter_mut().zip(&sample.learnt[k]) {
                    debug_assert_eq!(layer.neurons, sums.len());
                    sums.iter_mut()
                        .zip(flatten(from))
                        .for_each(|(sum, &x)| *sum += f64::from(x));
                }
            }
        }
    }

    /// The sum of the sizes of the gradients of the constants. These depend on membranes, which may
    /// overflow even if no `a` does.
    pub fn learnt_size(&self, layers: &[NeuronLayer]) -> f64 {
        let size = |sums: &Vec<Vec<f64>>| sums.iter().flatten().map(|x| x.abs()).sum::<f64>();
        let layers = layers.iter().zip(&self.gradients.learnt);
        let learnt = layers.filter(|(layer, _)| layer.learns_vectors());
        learnt.map(|(_, sums)| size(sums)).sum()
    }

    /// Updates learned constants and clamps them to their ranges.
    pub fn apply_learnt(&mut self, layers: &mut [NeuronLayer], updates: &Updates, of: GradientsOf) {
        for (k, layer) in layers.iter_mut().enumerate() {
            if !layer.learns_vectors() {
                continue;
            }
            let gradients = self.grads(of).learnt(layer, k);
            let kept = &mut self.kept_vectors[k];
            let numbered: Vec<_> = layer.numbered().collect();
            for ((i, vector, learn), (_, gradient)) in numbered.into_iter().zip(gradients) {
                let values = &mut layer.values[i];
                kept[i].resize(updates.kept(), Array1::zeros(values.len()));
                if !learn {
                    continue;
                }
                let views = kept[i].iter_mut().map(|kept| kept.view_mut().into_dyn());
                let update = updates.of(|| vector.name(k + 1));
                update.apply(
                    values.view_mut().into_dyn(),
                    gradient.view().into_dyn(),
                    1.0,
                    views.collect(),
                );
                values.mapv_inplace(|x| vector.clamp(x));
            }
            let kept = kept.iter().flatten().flatten();
            let constants = layer.values.iter().flatten().chain(kept);
            self.finite &= constants.fold(true, |finite, x| finite & x.is_finite());
            layer.refresh_constants();
        }
    }
}

/// The updates of a matrix and its biases.
fn of_matrix(updates: &Updates, matrix: Matrix) -> LayerUpdate {
    LayerUpdate {
        weight: updates.of(|| matrix.weight_name()),
        bias: updates.of(|| matrix.bias_name()),
    }
}

/// Whether no tile has found NaN or infinity.
fn clean(nonfinite: &[F32x16]) -> bool {
    flatten(nonfinite).iter().all(|&x| x == 0.0)
}
