//! The order of work of a step, input, samples, weights, and the memory that is kept between steps.

use ndarray::Array3;

use super::{
    clock::Clock,
    layout::LayerState,
    lists::{Pairs, Sparse},
    parallel::{enter, for_each, for_each_chunk},
    pool::Pool,
    sample::{Goal, Pass, Sample, Scratch, View, views},
    simd::{Isa, Lane},
    source::{Source, with_source},
    update::Bench,
};
use crate::{
    Adjoints, Input, Objective, ReadOut, Record, Recording, StepReport, Trace, optim::Update,
};

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
    pub learnt: Vec<(Vec<f64>, Vec<f64>)>,
    /// Whether the last run with [`Mode::Train`] has updated the parameters.
    pub updated: bool,
    /// Whether all parameters are finite numbers.
    pub finite: bool,
    pub clock: Clock,
    /// Of each task of an update, not zero where a weight has become NaN or infinite.
    pub poison: Vec<Lane>,
    pub samples: Vec<Sample>,
    scratch: Pool<Scratch>,
    pub benches: Pool<Bench>,
    /// The first layer's input: non-zero entries by rows and by columns; and static currents
    /// `[block][sample][lanes]`.
    pub parts: Vec<Sparse>,
    pub columns: Pairs,
    pub currents: Vec<Lane>,
    /// Tensors of a recording that is no longer needed.
    spare: Vec<Vec<f32>>,
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
            clock: Clock::default(),
            poison: Vec::new(),
            samples: Vec::new(),
            scratch: Pool::default(),
            benches: Pool::default(),
            parts: Vec::new(),
            columns: Pairs::default(),
            currents: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Runs a batch, as the mode says. With [`Mode::Train`], parameters change only if the loss is
    /// finite and no gradient can have overflowed. `None`, here and below: the input holds a NaN or an
    /// infinity.
    pub fn run(
        &mut self,
        input: Input<'_>,
        targets: &[usize],
        objective: &Objective,
        mode: Mode,
    ) -> Option<StepReport> {
        let goal = Goal::Objective(objective);
        with_source(input, |source| {
            enter(source.worth(), || {
                self.run_source(source, targets, goal, mode)
            })
        })
    }

    /// Runs a batch back from a recording of all layers and adjoints of it: of a loss that has seen
    /// the whole batch. The report has no loss.
    pub fn run_back(
        &mut self,
        input: Input<'_>,
        targets: &[usize],
        recording: &Recording,
        adjoints: &Adjoints,
        mode: Mode,
    ) -> Option<StepReport> {
        let goal = Goal::Adjoints(recording, adjoints);
        with_source(input, |source| {
            enter(source.worth(), || {
                self.run_source(source, targets, goal, mode)
            })
        })
    }

    fn run_source(
        &mut self,
        source: Source<'_>,
        targets: &[usize],
        goal: Goal<'_>,
        mode: Mode,
    ) -> Option<StepReport> {
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
        let (mut report, mut size, mut largest) = (Tally::new(self.layers.len()), 0.0, 1.0_f32);
        for first in (0..source.batch).step_by(part) {
            let count = part.min(source.batch - first);
            let (sparse, max) = self.read(source, first, count, goal, backward)?;
            let pass = Pass {
                source,
                first,
                count,
                sparse,
                targets,
                goal,
                backward,
            };
            let max = max.max(self.pass(pass, &mut [])?);
            for (sample, &target) in self.samples[..count].iter().zip(&targets[first..]) {
                report.add(sample, target, goal.price());
                size += sample.size;
            }
            if backward {
                self.collect_learnt(count);
                // |Σ_r x_r a_r| ≤ max|x| · Σ|a|
                largest = largest.max(max);
                let safe = report.loss.is_finite()
                    && size * f64::from(largest) < f64::from(f32::MAX) / 4.0
                    && self.learnt_safe();
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
        Some(report.finish(&self.layers, source))
    }

    /// Every sample's answer, without a loss.
    pub fn classify(
        &mut self,
        input: Input<'_>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Option<()> {
        with_source(input, |source| {
            let part = self.part(source, false);
            enter(source.worth(), || {
                for first in (0..source.batch).step_by(part) {
                    let count = part.min(source.batch - first);
                    self.forward_part(source, first, count, &mut [])?;
                    for (sample, class) in self.samples[..count].iter().zip(&mut classes[first..]) {
                        *class = match read_out {
                            ReadOut::SpikeCount => sample.answers.0,
                            ReadOut::Membrane => sample.answers.1,
                        };
                    }
                }
                Some(())
            })
        })
    }

    /// Spikes and membranes of the layers asked for.
    pub fn record(&mut self, input: Input<'_>, record: &Record) -> Option<Recording> {
        with_source(input, |source| {
            let layers = self.layers.len();
            let mut spare = std::mem::take(&mut self.spare);
            let keep = |(k, layer): (usize, &LayerState)| {
                let shape = (source.steps, source.batch, layer.neurons);
                // Every entry is written, so what a spare one holds does not matter.
                let mut tensor = || {
                    let len = shape.0 * shape.1 * shape.2;
                    let fitting = spare.iter().position(|spare| spare.len() == len);
                    let values = fitting.map(|n| spare.swap_remove(n));
                    values
                        .and_then(|values| Array3::from_shape_vec(shape, values).ok())
                        .unwrap_or_else(|| Array3::zeros(shape))
                };
                record.keeps(k, layers).then(|| {
                    let mut trace = Trace::new(tensor(), tensor());
                    trace.kept = layer
                        .rule()
                        .pre_differs()
                        .then(tensor)
                        .into_iter()
                        .collect();
                    trace
                })
            };
            let mut traces: Vec<_> = self.layers.iter().enumerate().map(keep).collect();
            let mut by_layer: Vec<_> = traces.iter_mut().map(|t| t.as_mut().map(views)).collect();
            let mut samples: Vec<Vec<Option<View<'_>>>> = (0..source.batch)
                .map(|_| {
                    let layers = by_layer.iter_mut();
                    layers.map(|views| views.as_mut()?.next()).collect()
                })
                .collect();
            drop(by_layer);
            let part = self.part(source, false);
            for (n, views) in samples.chunks_mut(part).enumerate() {
                self.forward_part(source, n * part, views.len(), views)?;
            }
            drop(samples);
            let output = traces.pop().flatten();
            let output = output.expect("the output layer is always kept");
            Some(Recording::new(traces, output))
        })
    }

    /// Keeps a recording's memory for the next: fresh memory costs more than writing it.
    pub fn reclaim(&mut self, recording: Recording) {
        let traces = recording.layers.into_iter().flatten();
        for trace in traces.chain([recording.output]) {
            let tensors = [trace.spk, trace.mem].into_iter().chain(trace.kept);
            let vectors = tensors.map(|tensor| tensor.into_raw_vec_and_offset().0);
            self.spare.extend(vectors);
        }
    }

    /// A part of a batch forward, without a loss.
    fn forward_part(
        &mut self,
        source: Source<'_>,
        first: usize,
        count: usize,
        views: &mut [Vec<Option<View<'_>>>],
    ) -> Option<()> {
        let (sparse, _) = self.read(source, first, count, Goal::Nothing, false)?;
        let pass = Pass {
            source,
            first,
            count,
            sparse,
            targets: &[],
            goal: Goal::Nothing,
            backward: false,
        };
        self.pass(pass, views)?;
        Some(())
    }

    /// How many samples are done at once: as many as fit the budget, in parts as equal as can be.
    fn part(&self, source: Source<'_>, backward: bool) -> usize {
        let bytes = |(k, layer): (usize, &LayerState)| {
            let rows = if k == 0 { source.rows() } else { source.steps };
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
        let counted = (u32::MAX as usize / inputs.max(1)).max(1);
        let most = (BUDGET / sample.max(1)).clamp(1, source.batch.min(counted));
        source.batch.div_ceil(source.batch.div_ceil(most))
    }

    /// All samples of a part, forward and, if asked for, back. Returns the largest magnitude of a dense
    /// sequence's numbers.
    fn pass(&mut self, pass: Pass<'_>, views: &mut [Vec<Option<View<'_>>>]) -> Option<f32> {
        let mut samples = std::mem::take(&mut self.samples);
        samples.resize_with(samples.len().max(pass.count), Sample::default);
        let (samples_of_part, group) = (
            &mut samples[..pass.count],
            self.group(pass.source, pass.sparse),
        );
        if views.is_empty() {
            for_each_chunk(true, samples_of_part, group, |n, samples| {
                self.scratch.with(|scratch| {
                    self.walk(pass, n * group, samples, &mut [], scratch);
                });
            });
        } else {
            let samples = samples_of_part.chunks_mut(group);
            let mut groups: Vec<_> = samples.zip(views.chunks_mut(group)).collect();
            for_each(&mut groups, |n, (samples, views)| {
                self.scratch.with(|scratch| {
                    self.walk(pass, n * group, samples, views, scratch);
                });
            });
        }
        let largest = samples[..pass.count].iter().map(|sample| sample.largest);
        let largest = largest.fold(0.0, f32::max);
        self.samples = samples;
        largest.is_finite().then_some(largest)
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
            gradient_norms: None,
        }
    }
}
