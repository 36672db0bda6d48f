//! A training engine's state, and the order of work of a step: input, samples, weights.

use super::{
    layout::{LayerState, Moments},
    parallel::enter,
    pass::{AdjointSource, Kit, Model, Pass, SampleTrace, Workspace},
    simd::Isa,
    source::{Source, with_source},
    update::Learning,
};
use crate::{Adjoints, Input, Objective, Recording, StepReport, optim::Update};

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
    pub kit: Kit,
    pub layers: Vec<LayerState>,
    pub work: Workspace,
    pub learning: Learning,
    /// Whether the last run with [`Mode::Train`] has updated the parameters.
    pub updated: bool,
}

impl Machine {
    /// `finite`: whether all parameters are.
    pub fn new(isa: Isa, layers: Vec<LayerState>, moments: Vec<Moments>, finite: bool) -> Self {
        Machine {
            kit: Kit::new(isa),
            learning: Learning::new(&layers, moments, finite),
            layers,
            work: Workspace::default(),
            updated: false,
        }
    }

    /// What a pass forward needs, and the memory for it.
    pub fn forward(&mut self) -> (Model<'_>, &mut Workspace) {
        let model = Model {
            kit: &self.kit,
            layers: &self.layers,
        };
        (model, &mut self.work)
    }

    /// Runs a batch, as the mode says. With [`Mode::Train`], parameters change only if the loss is
    /// finite and no gradient, nor its square, can have overflowed. `None`, here and below: the input holds a NaN or an
    /// infinity.
    pub fn run(
        &mut self,
        input: Input<'_>,
        targets: &[usize],
        objective: &Objective,
        mode: Mode,
    ) -> Option<StepReport> {
        let goal = AdjointSource::Objective(objective);
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
        let goal = AdjointSource::Adjoints(recording, adjoints);
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
        goal: AdjointSource<'_>,
        mode: Mode,
    ) -> Option<StepReport> {
        let Machine {
            kit,
            layers,
            work,
            learning,
            updated,
        } = self;
        let backward = !matches!(mode, Mode::Evaluate);
        let part = Model { kit, layers }.part(source, backward);
        let whole = part >= source.batch;
        *updated = false;
        if backward {
            learning.clear_learnt();
        }
        let (mut report, mut size, mut largest) = (Tally::new(layers.len()), 0.0, 1.0_f32);
        for first in (0..source.batch).step_by(part) {
            let count = part.min(source.batch - first);
            let model = Model { kit, layers };
            let read = work.lists.read(model, source, first, count, goal, backward);
            let (sparse, max) = read?;
            let pass = Pass {
                source,
                first,
                count,
                sparse,
                targets,
                goal,
                backward,
            };
            let max = max.max(work.pass(model, pass, &mut [])?);
            for (sample, &target) in work.samples[..count].iter().zip(&targets[first..]) {
                report.add(sample, target, goal.activity_penalty());
                size += sample.size;
            }
            if backward {
                learning.collect_learnt(layers, &work.samples[..count]);
                // |Σ_r x_r a_r| ≤ max|x| · Σ|a|
                largest = largest.max(max);
                let safe = report.loss.is_finite()
                    && size * f64::from(largest) < Update::SAFE
                    && learning.learnt_safe(layers);
                match mode {
                    Mode::Train(update) if whole && safe => {
                        learning.weights(kit, layers, work, pass, Some(update));
                        learning.apply_learnt(layers, update);
                        *updated = true;
                    }
                    _ => learning.weights(kit, layers, work, pass, None),
                }
                if let Mode::Train(update) = mode
                    && !whole
                    && safe
                    && first + count == source.batch
                {
                    learning.apply(kit.isa, layers, update);
                    *updated = true;
                }
            }
        }
        Some(report.finish(layers, source))
    }

    /// Keeps a recording's memory for the next: fresh memory costs more than writing it.
    pub fn reclaim(&mut self, recording: Recording) {
        let traces = recording.layers.into_iter().flatten();
        for trace in traces.chain([recording.output]) {
            let tensors = [trace.spk, trace.mem].into_iter().chain(trace.kept);
            let vectors = tensors.map(|tensor| tensor.into_raw_vec_and_offset().0);
            self.work.spare.extend(vectors);
        }
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

    fn add(&mut self, sample: &SampleTrace, target: usize, activity_penalty: f64) {
        let hidden: u64 = sample.spikes[..sample.spikes.len() - 1].iter().sum();
        self.loss += sample.share.loss + activity_penalty * hidden as f64;
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
