//! The order of work of a step: input, samples, weights; and the memory that is kept between steps.

use std::sync::{Mutex, PoisonError};

use ndarray::{Array1, Array3, CowArray, Dimension};

use super::{
    current::{self, DENSE, Pairs, Sparse},
    layout::LayerState,
    lif::{Backward, Forward, FromAbove, Size, Unroll},
    loss::{Answer, SampleLoss, Share},
    parallel::{for_each, for_each_chunk, join},
    simd::{Isa, LANES, Lane, flatten, flatten_mut},
    trace,
    weights::{self, Sink, Update},
};
use crate::{Adjoints, Input, Objective, ReadOut, Record, Recording, StepReport};

/// Samples whose non-zero inputs are listed together.
const GROUP: usize = 16;

/// What a batch may keep in memory between the passes over samples and weights; larger batches are
/// done in parts.
const BUDGET: usize = 32 << 20;

/// What a run is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    Evaluate,
    /// Leaves the gradients in the machine's buffers.
    Gradients,
    Train(Update),
}

/// Layers in the engine's layout, and everything that is allocated once.
#[derive(Debug)]
pub(super) struct Machine {
    pub isa: Isa,
    pub layers: Vec<LayerState>,
    /// Of each layer, as its `params`; made when first asked for.
    pub gradients: Vec<Vec<Lane>>,
    /// `∂L/∂β`, `∂L/∂θ` of each neuron of each layer.
    learnt: Vec<(Vec<f64>, Vec<f64>)>,
    /// Whether the last run with [`Mode::Train`] has updated the parameters.
    pub updated: bool,
    /// Whether all weights are finite numbers after that.
    pub finite: bool,
    /// Of each task of an update, not zero where a weight has become NaN or infinite.
    poison: Vec<Lane>,
    samples: Vec<Sample>,
    scratch: Mutex<Vec<Scratch>>,
    /// The first layer's input: non-zero entries by rows and by columns, and static currents
    /// `[block][sample][lanes]`.
    parts: Vec<Sparse>,
    columns: Pairs,
    currents: Vec<Lane>,
}

/// What a sample leaves for the weights, and its share of the report.
#[derive(Debug, Default)]
struct Sample {
    /// Of each layer, `[block][T]`.
    words: Vec<Vec<u64>>,
    /// Of each layer, `a` as rows `[T][row]` (one row, `Σ_t a_t`, for a static input).
    a: Vec<Vec<Lane>>,
    learnt: Vec<(Vec<Lane>, Vec<Lane>)>,
    share: Share,
    /// Classes by spike count and by summed membrane.
    answers: (usize, usize),
    spikes: Vec<u64>,
    /// `Σ |a|` over all layers.
    size: f64,
    /// Spikes, membranes, and where they differ those before the reset, `[T][N]`, of the layers
    /// recorded.
    recorded: Vec<[Vec<f32>; 3]>,
}

/// What one thread needs for one sample at a time.
#[derive(Debug, Default)]
struct Scratch {
    trace: Vec<Vec<Lane>>,
    current: Vec<Lane>,
    e: Vec<Lane>,
    spk: Vec<Lane>,
    mem: Vec<Lane>,
    row: Vec<Lane>,
    list: Vec<u32>,
    packed: Vec<Lane>,
}

/// A batch's input as one slice.
#[derive(Clone, Copy)]
struct Source<'a> {
    /// `[B, features]` or `[T, B, features]`.
    x: &'a [f32],
    constant: bool,
    steps: usize,
    batch: usize,
    features: usize,
}

impl<'a> Source<'a> {
    /// Sample `b`'s first row and all that follows, and the distance between its rows.
    fn sample(&self, b: usize) -> (&'a [f32], usize) {
        (&self.x[b * self.features..], self.batch * self.features)
    }

    /// The rows of input that a sample has: one, or one for each step.
    fn rows(&self) -> usize {
        if self.constant { 1 } else { self.steps }
    }

    fn row(&self, b: usize, t: usize) -> &'a [f32] {
        &self.x[(t * self.batch + b) * self.features..][..self.features]
    }
}

/// Where the adjoints come from.
#[derive(Clone, Copy)]
enum Goal<'a> {
    /// There are none.
    Nothing,
    /// A loss that can be had sample by sample.
    Objective(&'a Objective),
    /// They are given, for the whole batch.
    Adjoints(&'a Adjoints),
}

impl Goal<'_> {
    /// What a hidden spike costs.
    fn price(self) -> f64 {
        match self {
            Goal::Objective(objective) => objective.rate_l1,
            _ => 0.0,
        }
    }
}

/// What every sample's pass is told.
#[derive(Clone, Copy)]
struct Pass<'a> {
    source: Source<'a>,
    /// The first sample of this part of the batch.
    first: usize,
    /// Number of samples in it.
    count: usize,
    sparse: bool,
    targets: &'a [usize],
    goal: Goal<'a>,
    backward: bool,
    record: Option<&'a Record>,
}

/// A borrowed or copied array in standard layout.
fn standard<'a, D: Dimension>(x: &'a ndarray::ArrayView<'_, f32, D>) -> CowArray<'a, f32, D> {
    x.as_standard_layout()
}

impl Machine {
    pub fn new(isa: Isa, layers: Vec<LayerState>) -> Self {
        Machine {
            isa,
            gradients: vec![Vec::new(); layers.len()],
            learnt: layers
                .iter()
                .map(|layer| (vec![0.0; layer.neurons], vec![0.0; layer.neurons]))
                .collect(),
            layers,
            updated: false,
            finite: true,
            poison: Vec::new(),
            samples: Vec::new(),
            scratch: Mutex::default(),
            parts: Vec::new(),
            columns: Pairs::default(),
            currents: Vec::new(),
        }
    }

    /// Runs a batch, as the mode says. With [`Mode::Train`], parameters change only if the loss is
    /// finite and no gradient can have overflowed.
    pub fn run(
        &mut self,
        input: Input<'_>,
        targets: &[usize],
        objective: &Objective,
        mode: Mode,
    ) -> StepReport {
        let goal = Goal::Objective(objective);
        with_source(input, |source| self.run_source(source, targets, goal, mode))
    }

    /// Runs a batch back from adjoints that are known: those of a loss that has seen the recording of
    /// the whole batch. The report has no loss.
    pub fn run_back(
        &mut self,
        input: Input<'_>,
        targets: &[usize],
        adjoints: &Adjoints,
        mode: Mode,
    ) -> StepReport {
        let goal = Goal::Adjoints(adjoints);
        with_source(input, |source| self.run_source(source, targets, goal, mode))
    }

    fn run_source(
        &mut self,
        source: Source<'_>,
        targets: &[usize],
        goal: Goal<'_>,
        mode: Mode,
    ) -> StepReport {
        let backward = !matches!(mode, Mode::Evaluate);
        let part = self.part(source, backward);
        let whole = part >= source.batch;
        self.updated = false;
        if backward {
            self.learnt.iter_mut().for_each(|(beta, theta)| {
                beta.fill(0.0);
                theta.fill(0.0);
            });
        }
        let (mut report, mut size) = (Tally::new(self.layers.len()), 0.0);
        for first in (0..source.batch).step_by(part) {
            let count = part.min(source.batch - first);
            let sparse = self.read(source, first, count, backward);
            let pass = Pass {
                source,
                first,
                count,
                sparse,
                targets,
                goal,
                backward,
                record: None,
            };
            self.pass(pass);
            for (sample, &target) in self.samples[..count].iter().zip(&targets[first..]) {
                report.add(sample, target, goal.price());
                size += sample.size;
            }
            if backward {
                self.collect_learnt(count);
                // |Σ_r x_r a_r| ≤ max|x| · Σ|a|
                let largest = source.x.iter().fold(1.0_f32, |max, x| max.max(x.abs()));
                let safe = report.loss.is_finite()
                    && size * f64::from(largest) < f64::from(f32::MAX) / 4.0;
                match mode {
                    Mode::Train(update) if whole && safe => {
                        self.weights(pass, Some(update));
                        self.apply_learnt(update);
                        self.updated = true;
                    }
                    _ => self.weights(pass, None),
                }
                if let Mode::Train(update) = mode
                    && !whole
                    && safe
                    && first + count == source.batch
                {
                    self.apply(update);
                    self.updated = true;
                }
            }
        }
        report.finish(&self.layers, source)
    }

    /// Every sample's answer, without a loss.
    pub fn classify(&mut self, input: Input<'_>, read_out: ReadOut, classes: &mut [usize]) {
        with_source(input, |source| {
            let part = self.part(source, false);
            for first in (0..source.batch).step_by(part) {
                let count = part.min(source.batch - first);
                let sparse = self.read(source, first, count, false);
                self.pass(Pass {
                    source,
                    first,
                    count,
                    sparse,
                    targets: &[],
                    goal: Goal::Nothing,
                    backward: false,
                    record: None,
                });
                for (sample, class) in self.samples[..count].iter().zip(&mut classes[first..]) {
                    *class = match read_out {
                        ReadOut::SpikeCount => sample.answers.0,
                        ReadOut::Membrane => sample.answers.1,
                    };
                }
            }
        });
    }

    /// Spikes and membranes of the layers asked for.
    pub fn record(&mut self, input: Input<'_>, record: &Record) -> Recording {
        with_source(input, |source| {
            let layers = self.layers.len();
            let mut all: Vec<[Vec<Vec<f32>>; 3]> = vec![Default::default(); layers];
            let part = self.part(source, true);
            for first in (0..source.batch).step_by(part) {
                let count = part.min(source.batch - first);
                let sparse = self.read(source, first, count, false);
                self.pass(Pass {
                    source,
                    first,
                    count,
                    sparse,
                    targets: &[],
                    goal: Goal::Nothing,
                    backward: false,
                    record: Some(record),
                });
                for sample in &mut self.samples[..count] {
                    for (all, recorded) in all.iter_mut().zip(sample.recorded.drain(..)) {
                        for (all, recorded) in all.iter_mut().zip(recorded) {
                            all.push(recorded);
                        }
                    }
                }
            }
            let mut traces =
                all.into_iter()
                    .zip(&self.layers)
                    .enumerate()
                    .map(|(k, (recorded, layer))| {
                        record
                            .keeps(k, layers)
                            .then(|| trace(&recorded, source.steps, layer))
                    });
            let hidden = traces.by_ref().take(layers - 1).collect();
            let output = traces
                .next()
                .flatten()
                .expect("the output layer is always kept");
            Recording::new(hidden, output)
        })
    }

    /// How many samples are done at once.
    fn part(&self, source: Source<'_>, backward: bool) -> usize {
        let bytes = |(k, layer): (usize, &LayerState)| {
            let rows = if k == 0 && source.constant {
                1
            } else {
                source.steps
            };
            let words = layer.blocks * source.steps * size_of::<u64>();
            words
                + if backward {
                    rows * layer.shape().row() * size_of::<Lane>()
                } else {
                    0
                }
        };
        let sample: usize = self.layers.iter().enumerate().map(bytes).sum();
        // Their non-zero inputs are counted in 32 bits.
        let inputs = source.rows() * source.features;
        let most = (u32::MAX as usize / inputs.max(1)).max(1);
        (BUDGET / sample.max(1)).clamp(1, source.batch.min(most))
    }

    /// Lists the input's non-zero entries, and forms the currents of a static one. Returns whether
    /// the lists are what to use.
    fn read(&mut self, source: Source<'_>, first: usize, count: usize, backward: bool) -> bool {
        let group = if source.constant { GROUP } else { 1 };
        let groups = count.div_ceil(group);
        self.parts
            .resize_with(self.parts.len().max(groups), Sparse::default);
        let parts = &mut self.parts[..groups];
        for_each(parts, |n, part| {
            let samples = first + n * group..first + count.min((n + 1) * group);
            part.read(samples.flat_map(|b| (0..source.rows()).map(move |t| source.row(b, t))));
        });
        let parts = &self.parts[..groups];
        let active: usize = parts.iter().map(|part| part.index.len()).sum();
        let sparse = active as f64 <= DENSE * (count * source.rows() * source.features) as f64;

        // A few images are done before another thread has woken up.
        let worth = count * source.rows() > 4;
        let (layer, isa) = (&self.layers[0], self.isa);
        let (columns, currents) = (&mut self.columns, &mut self.currents);
        let sort = || {
            if backward && sparse {
                columns.read(parts, source.features);
            }
        };
        let product = || {
            if !source.constant {
                return;
            }
            currents.resize(layer.blocks * count * layer.lanes, Lane::ZERO);
            for_each_chunk(worth, currents, count * layer.lanes, |block, out| {
                let stride = layer.lanes;
                if sparse {
                    isa.run(current::FromSparse {
                        layer,
                        block,
                        inputs: parts,
                        out,
                        stride,
                    });
                } else {
                    let (x, x_row) = (source.sample(first).0, source.features);
                    isa.run(current::FromDense {
                        layer,
                        block,
                        rows: count,
                        x,
                        x_row,
                        out,
                        stride,
                    });
                }
            });
        };
        join(worth, product, sort);
        sparse
    }

    /// All samples of a part, forward and, if asked for, back.
    fn pass(&mut self, pass: Pass<'_>) {
        let mut samples = std::mem::take(&mut self.samples);
        samples.resize_with(samples.len().max(pass.count), Sample::default);
        for_each(&mut samples[..pass.count], |n, sample| {
            let mut scratch = self.take_scratch();
            self.forward(pass, n, sample, &mut scratch);
            if pass.backward {
                self.backward(pass, n, sample, &mut scratch);
            }
            self.give_scratch(scratch);
        });
        self.samples = samples;
    }

    fn take_scratch(&self) -> Scratch {
        self.scratch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
            .unwrap_or_default()
    }

    fn give_scratch(&self, scratch: Scratch) {
        self.scratch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(scratch);
    }

    /// Sample `n` of the part through all layers, and its loss; leaves the adjoint of the output
    /// layer in `scratch.mem` or `scratch.spk`.
    fn forward(&self, pass: Pass<'_>, n: usize, sample: &mut Sample, scratch: &mut Scratch) {
        let Pass { source, .. } = pass;
        let (steps, layers) = (source.steps, self.layers.len());
        sample.words.resize_with(layers, Vec::new);
        sample.spikes.resize(layers, 0);
        sample.recorded.clear();
        scratch.trace.resize_with(layers, Vec::new);
        for (k, layer) in self.layers.iter().enumerate() {
            let row = layer.shape().row();
            let (below, words) = sample.words.split_at_mut(k);
            let words = &mut words[0];
            words.resize(layer.blocks * steps, 0);
            let recorded = pass.record.is_some_and(|record| record.keeps(k, layers));
            let traced = pass.backward || recorded || k + 1 == layers;
            let trace = &mut scratch.trace[k];
            trace.resize(
                if traced {
                    layer.blocks * steps * layer.lanes
                } else {
                    0
                },
                Lane::ZERO,
            );

            let out = &mut scratch.current;
            let constant = k == 0 && source.constant;
            if !constant {
                out.resize(steps * row, Lane::ZERO);
            }
            if let Some(below) = below.last() {
                let list = &mut scratch.list;
                self.isa.run(current::FromSpikes {
                    layer,
                    num_steps: steps,
                    words: below,
                    list,
                    out,
                });
            } else if !constant {
                for block in 0..layer.blocks {
                    let (out, stride) = (&mut out[block * layer.lanes..], row);
                    if pass.sparse {
                        let inputs = &self.parts[n..=n];
                        self.isa.run(current::FromSparse {
                            layer,
                            block,
                            inputs,
                            out,
                            stride,
                        });
                    } else {
                        let (x, x_row) = source.sample(pass.first + n);
                        self.isa.run(current::FromDense {
                            layer,
                            block,
                            rows: steps,
                            x,
                            x_row,
                            out,
                            stride,
                        });
                    }
                }
            }
            let (current, block_stride, stride) = match constant {
                true => (
                    &self.currents[n * layer.lanes..],
                    pass.count * layer.lanes,
                    0,
                ),
                false => (&out[..], layer.lanes, row),
            };
            self.isa.run(Forward {
                layer,
                num_steps: steps,
                current,
                block_stride,
                stride,
                trace,
                words,
            });
            sample.spikes[k] = words.iter().map(|word| u64::from(word.count_ones())).sum();

            if recorded || k + 1 == layers {
                let Scratch { spk, mem, .. } = scratch;
                spk.resize(steps * row, Lane::ZERO);
                mem.resize(steps * row, Lane::ZERO);
                let trace = &scratch.trace[k];
                self.isa.run(Unroll {
                    layer,
                    num_steps: steps,
                    trace,
                    words,
                    spk,
                    mem,
                });
            }
            if pass.record.is_some() {
                let rows = |lanes: &[Lane]| -> Vec<f32> {
                    flatten(lanes)
                        .chunks_exact(row * LANES)
                        .flat_map(|row| &row[..layer.neurons])
                        .copied()
                        .collect()
                };
                let (trace, lanes) = (&scratch.trace[k], layer.lanes);
                let pre = || -> Vec<f32> {
                    let vector = |t: usize, n: usize| {
                        trace[(n / (lanes * LANES) * steps + t) * lanes + n / LANES % lanes]
                    };
                    let step =
                        |t: usize| (0..layer.neurons).map(move |n| vector(t, n).0[n % LANES]);
                    (0..steps).flat_map(step).collect()
                };
                sample.recorded.push(match recorded {
                    true if layer.rule().pre_differs() => {
                        [rows(&scratch.spk), rows(&scratch.mem), pre()]
                    }
                    true => [rows(&scratch.spk), rows(&scratch.mem), Vec::new()],
                    false => Default::default(),
                });
            }
        }

        let output = &self.layers[layers - 1];
        let Scratch { spk, mem, row, .. } = scratch;
        row.resize(output.shape().row(), Lane::ZERO);
        let mut answer = |rows| {
            self.isa.run(Answer {
                rows,
                classes: output.neurons,
                scratch: row,
            })
        };
        sample.answers = (answer(spk), answer(mem));
        sample.share = Share::default();
        if let Goal::Objective(objective) = pass.goal {
            sample.share = self.isa.run(SampleLoss {
                loss: &objective.loss,
                classes: output.neurons,
                num_steps: steps,
                batch: source.batch,
                target: pass.targets[pass.first + n],
                spk,
                mem,
                scratch: row,
            });
        }
    }

    /// Sample `n` of the part back through all layers.
    fn backward(&self, pass: Pass<'_>, n: usize, sample: &mut Sample, scratch: &mut Scratch) {
        let (steps, layers) = (pass.source.steps, self.layers.len());
        sample.a.resize_with(layers, Vec::new);
        sample.learnt.resize_with(layers, Default::default);
        sample.size = 0.0;
        for (k, layer) in self.layers.iter().enumerate().rev() {
            let row = layer.shape().row();
            let (a, above) = sample.a.split_at_mut(k + 1);
            let above = above.first().zip(self.layers.get(k + 1));
            let (g, e): (&[Lane], _) = match (pass.goal, above) {
                (Goal::Adjoints(adjoints), _) => {
                    let own = &adjoints.layers[k];
                    match above {
                        Some((a, layer)) => {
                            scratch.e.resize(steps * row, Lane::ZERO);
                            let out = &mut scratch.e;
                            self.isa.run(current::Across { layer, a, out });
                        }
                        None => fill(&mut scratch.e, steps * row),
                    }
                    fill(&mut scratch.mem, steps * row);
                    let b = pass.first + n;
                    add_rows(&own.spk, b, &mut scratch.e, row);
                    add_rows(&own.mem, b, &mut scratch.mem, row);
                    (&scratch.mem, FromAbove::Rows(&scratch.e))
                }
                (_, Some((a, above))) if above.narrow() => (&[], FromAbove::Narrow { a, above }),
                (_, Some((a, layer))) => {
                    scratch.e.resize(steps * row, Lane::ZERO);
                    let out = &mut scratch.e;
                    self.isa.run(current::Across { layer, a, out });
                    (&[], FromAbove::Rows(&scratch.e))
                }
                _ if sample.share.by_membrane => (&scratch.mem, FromAbove::Nothing),
                _ => (&[], FromAbove::Rows(&scratch.spk)),
            };
            let summed = k == 0 && pass.source.constant;
            let out = &mut a[k];
            out.resize(if summed { row } else { steps * row }, Lane::ZERO);
            let (beta, theta) = &mut sample.learnt[k];
            if layer.learns() {
                beta.resize(row, Lane::ZERO);
                theta.resize(row, Lane::ZERO);
            }
            self.isa.run(Backward {
                layer,
                num_steps: steps,
                trace: &scratch.trace[k],
                words: &sample.words[k],
                g,
                e,
                price: if k + 1 < layers {
                    pass.goal.price() as f32
                } else {
                    0.0
                },
                summed,
                out,
                learnt: (beta, theta),
            });
            sample.size += f64::from(self.isa.run(Size(out)));
        }
    }

    /// Weight gradients of all layers, into Adam or (added) into the buffers.
    fn weights(&mut self, pass: Pass<'_>, update: Option<Update>) {
        let (isa, samples) = (self.isa, &self.samples[..pass.count]);
        let fresh = pass.first == 0;
        for (k, layer) in self.layers.iter_mut().enumerate() {
            let (lanes, row, inputs) = (layer.lanes, layer.shape().row(), layer.inputs);
            // One task for a block of outputs, or for a block of outputs and one of spiking inputs.
            let width = if k == 0 {
                inputs + 1
            } else {
                layer.below.lanes * LANES
            };
            let block_len = layer.block_len();
            let mut sinks: Vec<(usize, usize, Sink<'_>)> = Vec::new();
            if let Some(update) = update {
                let len = layer.params.len();
                layer.first.resize(len, Lane::ZERO);
                layer.second.resize(len, Lane::ZERO);
                fill(
                    &mut self.poison,
                    layer.blocks * block_len.div_ceil(width * lanes),
                );
                let mut poison = self.poison.iter_mut();
                let moments = layer
                    .first
                    .chunks_exact_mut(block_len)
                    .zip(layer.second.chunks_exact_mut(block_len));
                for (block, (w, (m, v))) in layer
                    .params
                    .chunks_exact_mut(block_len)
                    .zip(moments)
                    .enumerate()
                {
                    let moments = m.chunks_mut(width * lanes).zip(v.chunks_mut(width * lanes));
                    let tasks = w.chunks_mut(width * lanes).zip(moments).zip(&mut poison);
                    for (part, ((weights, (first, second)), poison)) in tasks.enumerate() {
                        sinks.push((
                            block,
                            part,
                            Sink::Adam {
                                update,
                                weights,
                                first,
                                second,
                                poison,
                            },
                        ));
                    }
                }
            } else {
                let out = &mut self.gradients[k];
                out.resize(layer.params.len(), Lane::ZERO);
                if fresh {
                    out.fill(Lane::ZERO);
                }
                for (block, out) in out.chunks_exact_mut(block_len).enumerate() {
                    let parts = out.chunks_mut(width * lanes).enumerate();
                    sinks.extend(parts.map(|(part, out)| (block, part, Sink::Store(out))));
                }
            }
            let (columns, pool) = (&self.columns, &self.scratch);
            for_each(&mut sinks, |_, (block, part, sink)| {
                let take = || {
                    pool.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .pop()
                        .unwrap_or_default()
                };
                let mut scratch = take();
                let packed = &mut scratch.packed;
                let sink = std::mem::replace(sink, Sink::Store(&mut []));
                if k == 0 {
                    packed.clear();
                    for sample in samples {
                        for a in sample.a[0].chunks_exact(row) {
                            packed.extend_from_slice(&a[*block * lanes..][..lanes]);
                        }
                    }
                    if pass.sparse {
                        isa.run(weights::FromInput {
                            lanes,
                            columns,
                            a: packed,
                            sink,
                        });
                    } else {
                        let x: Vec<&[f32]> = (0..pass.count)
                            .map(|n| pass.source.sample(pass.first + n).0)
                            .collect();
                        let (x_row, steps) = (pass.source.sample(0).1, pass.source.rows());
                        isa.run(weights::FromDense {
                            lanes,
                            inputs,
                            x: &x,
                            x_row,
                            steps,
                            a: packed,
                            sink,
                        });
                    }
                } else {
                    let steps = pass.source.steps;
                    let rows = (*part * width)..((*part + 1) * width).min(inputs + 1);
                    packed.clear();
                    packed.resize(64.max(rows.len()) * lanes, Lane::ZERO);
                    for sample in samples {
                        let a = &sample.a[k][*block * lanes..];
                        if rows.start < inputs {
                            let words = &sample.words[k - 1][*part * steps..][..steps];
                            isa.run(weights::FromSpikes {
                                lanes,
                                words,
                                a,
                                stride: row,
                                sums: packed,
                            });
                        }
                        if rows.contains(&inputs) {
                            let sum = &mut packed[(inputs - rows.start) * lanes..][..lanes];
                            isa.run(weights::FromBias {
                                a,
                                stride: row,
                                sum,
                            });
                        }
                    }
                    let sums = &packed[..rows.len() * lanes];
                    isa.run(weights::Deliver { lanes, sums, sink });
                }
                pool.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(scratch);
            });
            drop(sinks);
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
            fill(&mut self.poison, layer.blocks);
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
    fn collect_learnt(&mut self, count: usize) {
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
    fn apply_learnt(&mut self, update: Update) {
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

/// Zeros, `len` of them.
fn fill(rows: &mut Vec<Lane>, len: usize) {
    rows.clear();
    rows.resize(len, Lane::ZERO);
}

/// Whether no task has met a NaN or an infinity.
fn clean(poison: &[Lane]) -> bool {
    flatten(poison).iter().all(|&x| x == 0.0)
}

/// Adds sample `b` of an adjoint `[T, B, N]`, if there is one, to rows `[T][row]`.
fn add_rows(adjoint: &Option<Array3<f32>>, b: usize, rows: &mut [Lane], row: usize) {
    let Some(adjoint) = adjoint else { return };
    for (from, to) in adjoint.outer_iter().zip(rows.chunks_exact_mut(row)) {
        for (to, from) in flatten_mut(to).iter_mut().zip(from.row(b)) {
            *to += from;
        }
    }
}

fn with_source<R>(input: Input<'_>, f: impl FnOnce(Source<'_>) -> R) -> R {
    let (steps, batch, features) = (input.num_steps(), input.batch(), input.features());
    let with = |x: Option<&[f32]>, constant| {
        f(Source {
            x: x.unwrap_or(&[]),
            constant,
            steps,
            batch,
            features,
        })
    };
    match &input {
        Input::Constant { x, .. } => with(standard(x).as_slice(), true),
        Input::Sequence { x } => with(standard(x).as_slice(), false),
    }
}

/// Adds up a report.
struct Tally {
    loss: f64,
    correct: (usize, usize),
    spikes: Vec<u64>,
}

impl Tally {
    fn new(layers: usize) -> Self {
        Tally {
            loss: 0.0,
            correct: (0, 0),
            spikes: vec![0; layers],
        }
    }

    fn add(&mut self, sample: &Sample, target: usize, price: f64) {
        let hidden: u64 = sample.spikes[..sample.spikes.len() - 1].iter().sum();
        self.loss += sample.share.loss + price * hidden as f64;
        self.correct.0 += usize::from(sample.answers.0 == target);
        self.correct.1 += usize::from(sample.answers.1 == target);
        for (sum, spikes) in self.spikes.iter_mut().zip(&sample.spikes) {
            *sum += spikes;
        }
    }

    fn finish(self, layers: &[LayerState], source: Source<'_>) -> StepReport {
        let rate = |(spikes, layer): (&u64, &LayerState)| {
            *spikes as f64 / (layer.neurons * source.steps * source.batch) as f64
        };
        StepReport {
            loss: self.loss,
            samples: source.batch,
            correct_spike_count: self.correct.0,
            correct_membrane: self.correct.1,
            firing_rate: self.spikes.iter().zip(layers).map(rate).collect(),
        }
    }
}
