//! Gradients of all weights, and their update: what is done with a part of a batch when all its samples
//! have gone forward and back.
//!
//! A task owns some weights, a block of outputs times some inputs, so no sum crosses threads:
//!
//! - first layer, sparse input: a block of outputs, all inputs. The block's adjoints of all samples
//!   (32 KB for 128 static ones) are packed into L1, and each gradient goes from registers to its sink.
//! - first layer, dense input: [`SLICE`] inputs times [`STRIP`] blocks. A stretch of rows is packed
//!   once for the strip; the sums of the task (96 KB) stay in L2.
//! - above: a block of outputs times a block of 64 spiking inputs, whose sums (16 KB) stay in L1.

use std::ops::Range;

use ndarray::Array1;

use super::{
    clock::Part,
    dense::{DEPTH, pack},
    layout::LayerState,
    parallel::for_each,
    sample::{Pass, Sample},
    simd::{Isa, LANES, Lane, flatten, flatten_mut},
    step::Machine,
    weights::{self, Piece, Sink, Update},
};

/// Inputs of a task with a dense input.
const SLICE: usize = 96;

/// Blocks of outputs of such a task.
const STRIP: usize = 4;

/// What one thread needs for one task.
#[derive(Debug, Default)]
pub(super) struct Bench {
    sums: Vec<Lane>,
    x: Vec<f32>,
}

/// A block of a layer's outputs times some of its inputs.
struct Task<'a> {
    block: usize,
    part: usize,
    sink: Option<Sink<'a>>,
}

/// Tasks of `width` inputs (the bias is one more) each, part by part within blocks. For an update,
/// `poison` has one entry for each.
fn tasks<'a>(
    layer: &'a mut LayerState,
    gradients: &'a mut [Lane],
    update: Option<Update>,
    width: usize,
    poison: &'a mut Vec<Lane>,
) -> Vec<Task<'a>> {
    let (lanes, block_len) = (layer.lanes, layer.block_len());
    let parts = block_len.div_ceil(width * lanes);
    let at = |n: usize, sink| Task {
        block: n / parts,
        part: n % parts,
        sink: Some(sink),
    };
    let Some(update) = update else {
        let blocks = gradients.chunks_exact_mut(block_len);
        let sinks = blocks.flat_map(|block| block.chunks_mut(width * lanes).map(Sink::Store));
        return sinks.enumerate().map(|(n, sink)| at(n, sink)).collect();
    };
    let len = layer.params.len();
    layer.first.resize(len, Lane::ZERO);
    layer.second.resize(len, Lane::ZERO);
    poison.clear();
    poison.resize(layer.blocks * parts, Lane::ZERO);
    let split = |values: &'a mut [Lane]| {
        let blocks = values.chunks_exact_mut(block_len);
        blocks.flat_map(move |block| block.chunks_mut(width * lanes))
    };
    let moments = split(&mut layer.first).zip(split(&mut layer.second));
    let weights = split(&mut layer.params).zip(poison);
    let sinks = weights
        .zip(moments)
        .map(|((weights, poison), (first, second))| Sink::Adam {
            update,
            weights,
            first,
            second,
            poison,
        });
    sinks.enumerate().map(|(n, sink)| at(n, sink)).collect()
}

impl Machine {
    /// Weight gradients of all layers, into Adam or (added) into the buffers.
    pub(super) fn weights(&mut self, pass: Pass<'_>, update: Option<Update>) {
        let (isa, samples) = (self.isa, &self.samples[..pass.count]);
        let (columns, pool, clock) = (&self.columns, &self.benches, &self.clock);
        for (k, layer) in self.layers.iter_mut().enumerate() {
            let (lanes, inputs) = (layer.lanes, layer.inputs);
            let gradients = &mut self.gradients[k];
            if update.is_none() {
                gradients.resize(layer.params.len(), Lane::ZERO);
                if pass.first == 0 {
                    gradients.fill(Lane::ZERO);
                }
            }
            let width = match k {
                0 if pass.sparse => inputs + 1,
                0 => SLICE.min(inputs + 1),
                _ => layer.below.lanes * LANES,
            };
            let mut tasks = tasks(layer, gradients, update, width, &mut self.poison);
            if k == 0 && pass.sparse {
                for_each(&mut tasks, |_, task| {
                    let Some(sink) = task.sink.take() else { return };
                    let rows = pass.source.rows() * lanes;
                    pool.with(|Bench { sums: a, .. }| {
                        a.clear();
                        for sample in samples {
                            a.extend_from_slice(&sample.a[0][task.block * rows..][..rows]);
                        }
                        let kernel = weights::FromInput {
                            lanes,
                            columns,
                            a,
                            sink,
                        };
                        clock.time(Part::FirstWeights, || isa.run(kernel));
                    });
                });
            } else if k == 0 {
                tasks.sort_by_key(|task| (task.part, task.block));
                let blocks = tasks.iter().take_while(|task| task.part == 0).count();
                let mut strips: Vec<&mut [Task<'_>]> = tasks
                    .chunks_mut(blocks)
                    .flat_map(|part| part.chunks_mut(STRIP))
                    .collect();
                for_each(&mut strips, |_, strip| {
                    pool.with(|bench| {
                        clock.time(Part::FirstWeights, || {
                            let first = strip[0].part * width;
                            let columns = first..(first + width).min(inputs + 1);
                            let work = Strip {
                                pass,
                                samples,
                                isa,
                                lanes,
                                inputs,
                                columns,
                            };
                            work.run(strip, bench);
                        });
                    });
                });
            } else {
                let steps = pass.source.steps;
                for_each(&mut tasks, |_, task| {
                    let Some(sink) = task.sink.take() else { return };
                    let rows = task.part * width..((task.part + 1) * width).min(inputs + 1);
                    pool.with(|Bench { sums, .. }| {
                        clock.time(Part::OtherWeights, || {
                            sums.clear();
                            sums.resize(64.max(rows.len()) * lanes, Lane::ZERO);
                            for sample in samples {
                                let a = &sample.a[k][task.block * steps * lanes..];
                                let a = &a[..steps * lanes];
                                if rows.start < inputs {
                                    let words = &sample.words[k - 1][task.part * steps..][..steps];
                                    isa.run(weights::FromSpikes {
                                        lanes,
                                        words,
                                        a,
                                        sums,
                                    });
                                }
                                if rows.contains(&inputs) {
                                    let sum = &mut sums[(inputs - rows.start) * lanes..][..lanes];
                                    isa.run(weights::FromBias { a, sum });
                                }
                            }
                            let sums = &sums[..rows.len() * lanes];
                            isa.run(weights::Deliver { lanes, sums, sink });
                        });
                    });
                });
            }
            drop(tasks);
            if update.is_some() {
                self.finite &= clean(&self.poison);
                if k > 0 {
                    layer.refresh_across();
                }
            }
        }
    }

    /// The Euclidean norm of all gradients in the buffers, in double precision: block by block, each
    /// in sixteen sums, so that neither threads nor registers change its bits.
    pub fn gradient_norm(&self) -> f64 {
        let mut squares = 0.0;
        for (k, layer) in self.layers.iter().enumerate() {
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
            squares += blocks.iter().map(|(_, sum)| sum).sum::<f64>();
            let (beta, theta) = self.learnt_gradients(k);
            let square = |g: &Array1<f32>| g.mapv(|x| f64::from(x) * f64::from(x)).sum();
            if layer.neuron.learn_beta {
                squares += square(&beta);
            }
            if layer.neuron.learn_threshold {
                squares += square(&theta);
            }
        }
        squares.sqrt()
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
        for (beta, theta) in &mut self.learnt {
            for g in beta.iter_mut().chain(theta) {
                *g *= factor;
            }
        }
    }

    /// Adam on the gradients in the buffers.
    pub fn apply(&mut self, update: Update) {
        let isa = self.isa;
        for (k, layer) in self.layers.iter_mut().enumerate() {
            let len = layer.params.len();
            layer.first.resize(len, Lane::ZERO);
            layer.second.resize(len, Lane::ZERO);
            let block_len = layer.block_len();
            let moments = layer
                .first
                .chunks_exact_mut(block_len)
                .zip(layer.second.chunks_exact_mut(block_len));
            let weights = layer
                .params
                .chunks_exact_mut(block_len)
                .zip(self.gradients[k].chunks_exact(block_len));
            self.poison.clear();
            self.poison.resize(layer.blocks, Lane::ZERO);
            let mut blocks: Vec<_> = weights.zip(moments).zip(&mut self.poison).collect();
            for_each(&mut blocks, |_, (block, poison)| {
                let ((weights, gradients), (first, second)) = block;
                isa.run(weights::FromBuffer {
                    gradients,
                    update,
                    weights,
                    first,
                    second,
                    poison,
                });
            });
            self.finite &= clean(&self.poison);
            if k > 0 {
                layer.refresh_across();
            }
        }
        self.apply_learnt(update);
    }

    /// Adds up the samples' `∂L/∂β` and `∂L/∂θ`.
    pub(super) fn collect_learnt(&mut self, count: usize) {
        for (k, layer) in self
            .layers
            .iter()
            .enumerate()
            .filter(|(_, layer)| layer.learns())
        {
            for sample in &self.samples[..count] {
                let add = |sums: &mut Vec<f64>, from: &[Lane]| {
                    sums.iter_mut()
                        .zip(flatten(from))
                        .for_each(|(sum, &x)| *sum += f64::from(x));
                };
                add(&mut self.learnt[k].0, &sample.learnt[k].0);
                add(&mut self.learnt[k].1, &sample.learnt[k].1);
            }
            debug_assert_eq!(layer.neurons, self.learnt[k].0.len());
        }
    }

    /// `∂L/∂β` and `∂L/∂θ` of layer `k` in their own shapes.
    pub fn learnt_gradients(&self, k: usize) -> (Array1<f32>, Array1<f32>) {
        let own = |sums: &[f64], like: &Array1<f32>| match like.len() {
            1 => Array1::from_elem(1, sums.iter().sum::<f64>() as f32),
            _ => sums.iter().map(|&x| x as f32).collect(),
        };
        let (learnt, values) = (&self.learnt[k], &self.layers[k].learnt);
        (own(&learnt.0, &values.beta), own(&learnt.1, &values.theta))
    }

    /// Adam on learnt decays and thresholds, brought back into their range.
    pub(super) fn apply_learnt(&mut self, update: Update) {
        for k in 0..self.layers.len() {
            let (beta, theta) = self.learnt_gradients(k);
            let layer = &mut self.layers[k];
            if !layer.learns() {
                continue;
            }
            let learnt = &mut layer.learnt;
            if layer.neuron.learn_beta {
                update.apply(&mut learnt.beta, &beta, &mut learnt.beta_moments);
                learnt.beta.mapv_inplace(|beta| beta.clamp(0.0, 1.0));
            }
            if layer.neuron.learn_threshold {
                update.apply(&mut learnt.theta, &theta, &mut learnt.theta_moments);
                let low = crate::neuron::MIN_THRESHOLD as f32;
                learnt
                    .theta
                    .mapv_inplace(|theta| if theta < low { low } else { theta });
            }
            let constants = learnt.beta.iter().chain(&learnt.theta);
            self.finite &= constants.fold(true, |finite, x| finite & x.is_finite());
            layer.spread_constants();
        }
    }
}

/// A dense input's columns (the bias is one more, of ones) for the gradients of a strip of blocks.
struct Strip<'a> {
    pass: Pass<'a>,
    samples: &'a [Sample],
    isa: Isa,
    lanes: usize,
    inputs: usize,
    columns: Range<usize>,
}

impl Strip<'_> {
    /// Stretch by stretch of rows (steps of samples): packs the columns, and adds what they give with
    /// each block's adjoints; hands on the sums at the end.
    fn run(self, tasks: &mut [Task<'_>], bench: &mut Bench) {
        let (source, steps) = (self.pass.source, self.pass.source.rows());
        let bias = self.columns.contains(&self.inputs);
        let (real, len) = (
            self.columns.len() - usize::from(bias),
            self.columns.len() * self.lanes,
        );
        let Bench { sums, x } = bench;
        sums.clear();
        sums.resize(tasks.len() * len, Lane::ZERO);
        let rows = self.samples.len() * steps;
        for begin in (0..rows).step_by(DEPTH) {
            let stretch = begin..rows.min(begin + DEPTH);
            let row = |r: usize| source.row(self.pass.first + r / steps, r % steps);
            let depth = stretch.len();
            pack(
                stretch.clone().map(row),
                (self.columns.start, real),
                bias,
                depth,
                x,
            );
            let pieces: Vec<Piece<'_>> = (begin / steps..stretch.end.div_ceil(steps))
                .map(|n| {
                    let first = begin.saturating_sub(n * steps);
                    let end = steps.min(stretch.end - n * steps);
                    Piece {
                        a: &self.samples[n].a[0],
                        steps,
                        first,
                        count: end - first,
                    }
                })
                .collect();
            for (task, sums) in tasks.iter().zip(sums.chunks_exact_mut(len)) {
                self.isa.run(weights::FromDense {
                    lanes: self.lanes,
                    block: task.block,
                    pieces: &pieces,
                    depth,
                    x,
                    sums,
                });
            }
        }
        for (task, sums) in tasks.iter_mut().zip(sums.chunks_exact(len)) {
            let lanes = self.lanes;
            if let Some(sink) = task.sink.take() {
                self.isa.run(weights::Deliver { lanes, sums, sink });
            }
        }
    }
}

/// Whether no task has met a NaN or an infinity.
fn clean(poison: &[Lane]) -> bool {
    flatten(poison).iter().all(|&x| x == 0.0)
}
