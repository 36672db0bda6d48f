//! Gradients and updates of all weights, after all samples of a part of a batch have run forward
//! and backward.
//!
//! A tile owns some weights, a block of outputs times some inputs, so no sum crosses threads:
//!
//! - first layer, sparse input: a block of outputs, all inputs. The block's adjoints of all samples
//!   (32 KB for 128 static ones) are packed into L1, and each gradient goes from registers to its sink.
//! - first layer, dense input: [`SLICE`] inputs times [`STRIP`] blocks. A stretch of rows is copied
//!   once for the strip; it and the sums of the tile (60 and 400 KB at most) stay in L2, and each
//!   adjoint loaded from beyond L2 is used for 200 inputs.
//! - above: a block of outputs times a block of 64 spiking inputs, whose sums (16 KB) stay in L1.

use ndarray::Array1;

use super::{
    clock::Part,
    layer::{Moments, NeuronLayer},
    parallel::{for_each, threads},
    pass::{Kit, Pass, SampleTrace},
    pool::Pool,
    simd::{F32x16, Isa, LANES, flatten, flatten_mut},
    sink::{self, Sink},
    weight_grad::{GradScratch, Tile, TileRow, WeightGrad},
    workspace::Workspace,
};
use crate::optim::Update;

/// Maximum number of inputs of a tile with a dense input.
const SLICE: usize = 200;

/// Maximum number of output blocks of such a tile.
const STRIP: usize = 8;

/// Number of inputs per slice. If there are enough, the number of slices is a multiple of four, so
/// that two or four threads get equal shares.
fn slice(columns: usize) -> usize {
    columns.div_ceil(columns.div_ceil(SLICE).next_multiple_of(4))
}

/// Gradients and moments, and the memory for their sums.
#[derive(Debug)]
pub(super) struct Learning {
    /// Of each layer.
    pub moments: Vec<Moments>,
    /// Of each layer, as its `params`; made when first asked for.
    pub gradients: Vec<Vec<F32x16>>,
    /// `∂L/∂β`, `∂L/∂θ` of each neuron of each layer.
    learnt: Vec<Vec<Vec<f64>>>,
    /// Whether all parameters are finite numbers.
    pub finite: bool,
    /// Of each tile of an update, not zero where a weight has become NaN or infinite.
    nonfinite: Vec<F32x16>,
    scratch: Pool<GradScratch>,
}

/// A layer's tiles of `width` inputs (the bias is one more) each, part by part within blocks; for an
/// update, each has a share of `nonfinite`.
fn tiles<'a>(
    k: usize,
    layer: &'a mut NeuronLayer,
    moments: &'a mut Moments,
    gradients: &'a mut [F32x16],
    update: Option<Update>,
    width: usize,
    nonfinite: &mut impl Iterator<Item = &'a mut F32x16>,
) -> Vec<Tile<'a>> {
    let (vectors, block_len) = (layer.vectors, layer.block_len());
    let parts = block_len.div_ceil(width * vectors);
    let tile = |(n, sink)| Tile {
        layer: k,
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
    let moments = split(&mut moments.first).zip(split(&mut moments.second));
    let weights = split(&mut layer.params).zip(nonfinite);
    let sinks = weights
        .zip(moments)
        .map(|((weights, nonfinite), (first, second))| Sink::Adam {
            update,
            weights,
            first,
            second,
            nonfinite,
        });
    sinks.enumerate().map(tile).collect()
}

impl Learning {
    /// `finite`: whether all parameters of the layers are.
    pub fn new(layers: &[NeuronLayer], moments: Vec<Moments>, finite: bool) -> Self {
        let zeros = |layer: &NeuronLayer| vec![vec![0.0; layer.neurons]; layer.constants.len()];
        Learning {
            moments,
            gradients: vec![Vec::new(); layers.len()],
            learnt: layers.iter().map(zeros).collect(),
            finite,
            nonfinite: Vec::new(),
            scratch: Pool::default(),
        }
    }

    /// Weight gradients of all layers from the results of a pass, passed to Adam or added to the
    /// buffers.
    pub fn weights(
        &mut self,
        kit: &Kit,
        layers: &mut [NeuronLayer],
        work: &Workspace,
        pass: Pass<'_>,
        update: Option<Update>,
    ) {
        let widths: Vec<usize> = (layers.iter().enumerate())
            .map(|(k, layer)| match k {
                0 if pass.sparse => layer.inputs + 1,
                0 => slice(layer.inputs + 1),
                _ => layer.below.vectors * LANES,
            })
            .collect();
        let mut count = 0;
        for (k, layer) in layers.iter().enumerate() {
            let len = layer.params.len();
            count += layer.blocks * (layer.inputs + 1).div_ceil(widths[k]);
            if update.is_some() {
                self.moments[k].resize(len);
            } else {
                self.gradients[k].resize(len, F32x16::ZERO);
                if pass.first == 0 {
                    self.gradients[k].fill(F32x16::ZERO);
                }
            }
        }
        self.nonfinite.clear();
        self.nonfinite.resize(count, F32x16::ZERO);

        let mut nonfinite = self.nonfinite.iter_mut();
        let mut rows: Vec<(usize, TileRow<'_>)> = Vec::new();
        let shapes: Vec<_> = (layers.iter())
            .map(|layer| (layer.vectors, layer.inputs, layer.neurons))
            .collect();
        let buffers = self.moments.iter_mut().zip(&mut self.gradients);
        for (k, (layer, (moments, gradients))) in layers.iter_mut().zip(buffers).enumerate() {
            let width = widths[k];
            let mut tiles = tiles(k, layer, moments, gradients, update, width, &mut nonfinite);
            let first = rows.len();
            if k == 0 && !pass.sparse {
                // Strips: some blocks of one part; at least four per thread, if there are enough.
                let strip = (tiles.len() / (4 * threads())).clamp(1, STRIP);
                let of = |tile: &Tile<'_>| (tile.part, tile.block / strip);
                tiles.sort_by_key(of);
                for tile in tiles {
                    match rows.last_mut() {
                        Some((_, row)) if of(&row[0]) == of(&tile) => row.push(tile),
                        _ => rows.push((0, vec![tile])),
                    }
                }
            } else {
                rows.extend(tiles.into_iter().map(|tile| (0, vec![tile])));
            }
            // The position of a row in its layer, so that a thread's share includes rows of each
            // layer whose weights it used in the forward pass.
            let count = rows.len() - first;
            for (n, (place, _)) in rows[first..].iter_mut().enumerate() {
                *place = (n << 16) / count;
            }
        }
        rows.sort_by_key(|(place, _)| *place);
        let (isa, samples) = (kit.isa, &work.samples[..pass.count]);
        let (entries, pool, clock) = (&work.lists.columns, &self.scratch, &kit.clock);
        for_each(&mut rows, |_, (_, row)| {
            let (k, part) = (row[0].layer, row[0].part);
            let (vectors, inputs, neurons) = shapes[k];
            let columns = part * widths[k]..((part + 1) * widths[k]).min(inputs + 1);
            let strip = WeightGrad {
                pass,
                samples,
                isa,
                vectors,
                inputs,
                neurons,
                columns,
            };
            let row = std::mem::take(row);
            pool.with(|scratch| match k {
                0 if pass.sparse => {
                    clock.time(Part::FirstWeights, || strip.sparse(row, entries, scratch))
                }
                0 => clock.time(Part::FirstWeights, || strip.dense(row, scratch)),
                _ => clock.time(Part::OtherWeights, || strip.spikes(row, k, scratch)),
            });
        });
        if update.is_some() {
            self.finite &= clean(&self.nonfinite);
            for layer in &mut layers[1..] {
                layer.refresh_weight_t();
            }
        }
    }

    /// The sum of the squares of each layer's gradients in the buffers, in double precision: block
    /// by block, each in sixteen sums, so that the bits depend neither on threads nor on registers.
    pub fn gradient_squares(&self, layers: &[NeuronLayer]) -> Vec<f64> {
        let of = |(k, layer): (usize, &NeuronLayer)| {
            let blocks = self.gradients[k].chunks_exact(layer.block_len());
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
            let mut squares = blocks.iter().map(|(_, sum)| sum).sum::<f64>();
            for (_, gradient) in self.learnt_gradients(layer, k) {
                squares += gradient.mapv(|x| f64::from(x) * f64::from(x)).sum();
            }
            squares
        };
        layers.iter().enumerate().map(of).collect()
    }

    /// Multiplies all gradients in the buffers by a factor.
    pub fn scale_gradients(&mut self, factor: f64) {
        for gradients in &mut self.gradients {
            let mut blocks: Vec<_> = gradients.chunks_mut(4096).collect();
            for_each(&mut blocks, |_, block| {
                let gradients = flatten_mut(block).iter_mut();
                gradients.for_each(|g| *g *= factor as f32);
            });
        }
        for g in self.learnt.iter_mut().flatten().flatten() {
            *g *= factor;
        }
    }

    /// Adam on the gradients in the buffers.
    pub fn apply(&mut self, isa: Isa, layers: &mut [NeuronLayer], update: Update) {
        for (k, layer) in layers.iter_mut().enumerate() {
            let moments = &mut self.moments[k];
            moments.resize(layer.params.len());
            let (block_len, count) = (layer.block_len(), layer.blocks);
            let moments = moments
                .first
                .chunks_exact_mut(block_len)
                .zip(moments.second.chunks_exact_mut(block_len));
            let weights = layer
                .params
                .chunks_exact_mut(block_len)
                .zip(self.gradients[k].chunks_exact(block_len));
            self.nonfinite.clear();
            self.nonfinite.resize(count, F32x16::ZERO);
            let mut blocks: Vec<_> = weights.zip(moments).zip(&mut self.nonfinite).collect();
            for_each(&mut blocks, |_, (block, nonfinite)| {
                let ((weights, gradients), (first, second)) = block;
                isa.run(sink::FromBuffer {
                    gradients,
                    update,
                    weights,
                    first,
                    second,
                    nonfinite,
                });
            });
            self.finite &= clean(&self.nonfinite);
            if k > 0 {
                layer.refresh_weight_t();
            }
        }
        self.apply_learnt(layers, update);
    }

    /// Resets the sums of the gradients of the constants.
    pub fn clear_learnt(&mut self) {
        self.learnt
            .iter_mut()
            .flatten()
            .for_each(|sums| sums.fill(0.0));
    }

    /// Adds the samples' gradients of the constants.
    pub fn collect_learnt(&mut self, layers: &[NeuronLayer], samples: &[SampleTrace]) {
        let layers = layers.iter().enumerate();
        for (k, layer) in layers.filter(|(_, layer)| layer.learns) {
            for sample in samples {
                for (sums, from) in self.learnt[k].iter_mut().zip(&sample.learnt[k]) {
                    debug_assert_eq!(layer.neurons, sums.len());
                    sums.iter_mut()
                        .zip(flatten(from))
                        .for_each(|(sum, &x)| *sum += f64::from(x));
                }
            }
        }
    }

    /// Whether no gradient of a decay or threshold is NaN and neither it nor its square can have
    /// overflowed. These gradients depend on membranes, which may overflow even if no `a` does.
    pub fn learnt_safe(&self, layers: &[NeuronLayer]) -> bool {
        let size = |sums: &Vec<Vec<f64>>| sums.iter().flatten().map(|x| x.abs()).sum::<f64>();
        let mut layers = layers.iter().zip(&self.learnt);
        layers.all(|(layer, sums)| !layer.learns || size(sums) < Update::SAFE)
    }

    /// `∂L/∂` the learned constants of layer `k`, by number, in their own shapes.
    pub fn learnt_gradients(&self, layer: &NeuronLayer, k: usize) -> Vec<(usize, Array1<f32>)> {
        let own = |sums: &[f64], like: &Array1<f32>| match like.len() {
            1 => Array1::from_elem(1, sums.iter().sum::<f64>() as f32),
            _ => sums.iter().map(|&x| x as f32).collect(),
        };
        let learnt = layer.learnt();
        learnt
            .map(|(i, _)| (i, own(&self.learnt[k][i], &layer.values[i])))
            .collect()
    }

    /// Applies Adam to learned constants and clamps them to their ranges.
    pub fn apply_learnt(&mut self, layers: &mut [NeuronLayer], update: Update) {
        for (k, layer) in layers.iter_mut().enumerate() {
            if !layer.learns {
                continue;
            }
            let moments = &mut self.moments[k].constants;
            moments.resize(layer.values.len(), None);
            for (i, gradient) in self.learnt_gradients(layer, k) {
                let (constant, values) = (layer.neuron.constants()[i], &mut layer.values[i]);
                update.apply(values, &gradient, &mut self.moments[k].constants[i]);
                values.mapv_inplace(|x| constant.clamp(x));
            }
            let constants = layer.values.iter().flatten();
            self.finite &= constants.fold(true, |finite, x| finite & x.is_finite());
            layer.refresh_constants();
        }
    }
}

/// Whether no tile has found NaN or infinity.
fn clean(nonfinite: &[F32x16]) -> bool {
    flatten(nonfinite).iter().all(|&x| x == 0.0)
}
