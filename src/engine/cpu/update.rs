//! Gradients of all weights, and their update: what is done with a part of a batch when all its samples
//! have gone forward and back.
//!
//! A task owns some weights, a block of outputs times some inputs, so no sum crosses threads:
//!
//! - first layer, sparse input: a block of outputs, all inputs. The block's adjoints of all samples
//!   (32 KB for 128 static ones) are packed into L1, and each gradient goes from registers to its sink.
//! - first layer, dense input: [`SLICE`] inputs times [`STRIP`] blocks. A stretch of rows is copied
//!   once for the strip; it and the sums of the task (60 and 400 KB at most) stay in L2, and each
//!   adjoint that comes from beyond serves 200 inputs.
//! - above: a block of outputs times a block of 64 spiking inputs, whose sums (16 KB) stay in L1.

use ndarray::Array1;

use super::{
    clock::Part,
    layout::LayerState,
    parallel::{for_each, threads},
    sample::Pass,
    simd::{LANES, Lane, flatten, flatten_mut},
    step::Machine,
    strip::Strip,
    weights::{self, Sink},
};
use crate::{
    network::{clamp_beta, clamp_threshold},
    optim::Update,
};

/// Inputs of a task with a dense input, at most.
const SLICE: usize = 200;

/// Blocks of outputs of such a task, at most.
const STRIP: usize = 8;

/// Inputs of each slice: where there are enough, of a multiple of four slices, so that two or four threads
/// get as many.
fn slice(columns: usize) -> usize {
    columns.div_ceil(columns.div_ceil(SLICE).next_multiple_of(4))
}

/// What one thread needs for one task.
#[derive(Debug, Default)]
pub(super) struct Bench {
    pub sums: Vec<Lane>,
    pub x: Vec<Lane>,
}

/// A block of a layer's outputs times some of its inputs.
pub(super) struct Task<'a> {
    layer: usize,
    pub block: usize,
    pub part: usize,
    pub sink: Sink<'a>,
}

/// Tasks that share what they read.
pub(super) type Job<'a> = Vec<Task<'a>>;

/// A layer's tasks of `width` inputs (the bias is one more) each, part by part within blocks; for an
/// update, each has a share of `poison`.
fn tasks<'a>(
    k: usize,
    layer: &'a mut LayerState,
    gradients: &'a mut [Lane],
    update: Option<Update>,
    width: usize,
    poison: &mut impl Iterator<Item = &'a mut Lane>,
) -> Vec<Task<'a>> {
    let (lanes, block_len) = (layer.lanes, layer.block_len());
    let parts = block_len.div_ceil(width * lanes);
    let task = |(n, sink)| Task {
        layer: k,
        block: n / parts,
        part: n % parts,
        sink,
    };
    let Some(update) = update else {
        let blocks = gradients.chunks_exact_mut(block_len);
        let sinks = blocks.flat_map(|block| block.chunks_mut(width * lanes).map(Sink::Store));
        return sinks.enumerate().map(task).collect();
    };
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
    sinks.enumerate().map(task).collect()
}

impl Machine {
    /// Weight gradients of all layers, into Adam or (added) into the buffers.
    pub(super) fn weights(&mut self, pass: Pass<'_>, update: Option<Update>) {
        let widths: Vec<usize> = (self.layers.iter().enumerate())
            .map(|(k, layer)| match k {
                0 if pass.sparse => layer.inputs + 1,
                0 => slice(layer.inputs + 1),
                _ => layer.below.lanes * LANES,
            })
            .collect();
        let mut count = 0;
        for (k, layer) in self.layers.iter_mut().enumerate() {
            let len = layer.params.len();
            count += layer.blocks * (layer.inputs + 1).div_ceil(widths[k]);
            if update.is_some() {
                layer.first.resize(len, Lane::ZERO);
                layer.second.resize(len, Lane::ZERO);
            } else {
                self.gradients[k].resize(len, Lane::ZERO);
                if pass.first == 0 {
                    self.gradients[k].fill(Lane::ZERO);
                }
            }
        }
        self.poison.clear();
        self.poison.resize(count, Lane::ZERO);

        let mut poison = self.poison.iter_mut();
        let mut jobs: Vec<(usize, Job<'_>)> = Vec::new();
        let shapes: Vec<_> = (self.layers.iter())
            .map(|layer| (layer.lanes, layer.inputs, layer.neurons))
            .collect();
        let layers = self.layers.iter_mut().zip(&mut self.gradients);
        for (k, (layer, gradients)) in layers.enumerate() {
            let mut tasks = tasks(k, layer, gradients, update, widths[k], &mut poison);
            let first = jobs.len();
            if k == 0 && !pass.sparse {
                // Strips: some blocks of one part; four or more for each thread, if there are so many.
                let strip = (tasks.len() / (4 * threads())).clamp(1, STRIP);
                let of = |task: &Task<'_>| (task.part, task.block / strip);
                tasks.sort_by_key(of);
                for task in tasks {
                    match jobs.last_mut() {
                        Some((_, job)) if of(&job[0]) == of(&task) => job.push(task),
                        _ => jobs.push((0, vec![task])),
                    }
                }
            } else {
                jobs.extend(tasks.into_iter().map(|task| (0, vec![task])));
            }
            // Where in its layer a job stands, so that a thread's share has some of each layer: those
            // whose weights it has used on the way forward.
            let count = jobs.len() - first;
            for (n, (place, _)) in jobs[first..].iter_mut().enumerate() {
                *place = (n << 16) / count;
            }
        }
        jobs.sort_by_key(|(place, _)| *place);
        let (isa, samples) = (self.isa, &self.samples[..pass.count]);
        let (entries, pool, clock) = (&self.columns, &self.benches, &self.clock);
        for_each(&mut jobs, |_, (_, job)| {
            let (k, part) = (job[0].layer, job[0].part);
            let (lanes, inputs, neurons) = shapes[k];
            let columns = part * widths[k]..((part + 1) * widths[k]).min(inputs + 1);
            let strip = Strip {
                pass,
                samples,
                isa,
                lanes,
                inputs,
                neurons,
                columns,
            };
            let job = std::mem::take(job);
            pool.with(|bench| match k {
                0 if pass.sparse => {
                    clock.time(Part::FirstWeights, || strip.sparse(job, entries, bench))
                }
                0 => clock.time(Part::FirstWeights, || strip.dense(job, bench)),
                _ => clock.time(Part::OtherWeights, || strip.spikes(job, k, bench)),
            });
        });
        if update.is_some() {
            self.finite &= clean(&self.poison);
            for layer in &mut self.layers[1..] {
                layer.refresh_across();
            }
        }
    }

    /// The sum of the squares of each layer's gradients in the buffers, in double precision: block by
    /// block, each in sixteen sums, so that neither threads nor registers change its bits.
    pub fn gradient_squares(&self) -> Vec<f64> {
        let of = |(k, layer): (usize, &LayerState)| {
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
            let (beta, theta) = self.learnt_gradients(k);
            let square = |g: &Array1<f32>| g.mapv(|x| f64::from(x) * f64::from(x)).sum();
            if layer.neuron.learn_beta {
                squares += square(&beta);
            }
            if layer.neuron.learn_threshold {
                squares += square(&theta);
            }
            squares
        };
        self.layers.iter().enumerate().map(of).collect()
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

    /// Whether no gradient of a decay or threshold can have overflowed, nor is a NaN: they take in
    /// membranes, which may have, where no `a` has.
    pub(super) fn learnt_safe(&self) -> bool {
        let size = |sums: &[f64]| sums.iter().map(|x| x.abs()).sum::<f64>();
        self.layers
            .iter()
            .zip(&self.learnt)
            .all(|(layer, (beta, theta))| {
                !layer.learns() || size(beta) + size(theta) < f64::from(f32::MAX) / 4.0
            })
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
                learnt.beta.mapv_inplace(clamp_beta);
            }
            if layer.neuron.learn_threshold {
                update.apply(&mut learnt.theta, &theta, &mut learnt.theta_moments);
                learnt.theta.mapv_inplace(clamp_threshold);
            }
            let constants = learnt.beta.iter().chain(&learnt.theta);
            self.finite &= constants.fold(true, |finite, x| finite & x.is_finite());
            layer.spread_constants();
        }
    }
}

/// Whether no task has met a NaN or an infinity.
fn clean(poison: &[Lane]) -> bool {
    flatten(poison).iter().all(|&x| x == 0.0)
}
