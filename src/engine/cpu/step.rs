//! Schedules one step: read input, run samples, update weights.

use super::{
    layer::NeuronLayer,
    parallel::enter,
    pass::{AdjointSource, Kit, Model, Pass, SampleTrace},
    source::{Source, with_source},
    update::{GradientsOf, Learning},
    workspace::Workspace,
};
use crate::{
    Input, State, StepReport,
    dropout::Masks,
    optim::{Update, Updates},
};

/// The data of a step.
pub(super) struct Step<'a> {
    pub kit: &'a Kit,
    pub layers: &'a mut [NeuronLayer],
    pub work: &'a mut Workspace,
    pub learning: &'a mut Learning,
}

/// What to do after the forward pass.
#[derive(Clone, Copy)]
pub(super) enum Then<'a> {
    Stop,
    /// Leave the gradients in the buffers.
    Gradients,
    /// Update the parameters if the loss is finite and no gradient or its square can have
    /// overflowed; else leave the gradients in the buffers.
    Update(&'a Updates),
}

/// The result of a step.
pub(super) struct Done {
    pub report: StepReport,
    pub updated: bool,
    /// No gradient is larger; NaN or infinite if one may be.
    pub bound: f64,
}

impl Step<'_> {
    /// Runs a batch. Given adjoints come from a loss over the whole batch, and the report then has
    /// no loss. `None`, here and below: the input contains NaN or infinity.
    #[allow(clippy::too_many_arguments)]
    pub fn run(
        mut self,
        input: Input<'_>,
        targets: &[usize],
        goal: AdjointSource<'_>,
        then: Then<'_>,
        masks: Option<&Masks>,
        start: Option<&State>,
        end: Option<&mut State>,
    ) -> Option<Done> {
        with_source(input, |source| {
            enter(source.worth(), || {
                self.run_source(source, targets, goal, then, masks, start, end)
            })
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn run_source(
        &mut self,
        source: Source<'_>,
        targets: &[usize],
        goal: AdjointSource<'_>,
        then: Then<'_>,
        masks: Option<&Masks>,
        start: Option<&State>,
        mut end: Option<&mut State>,
    ) -> Option<Done> {
        let Step {
            kit,
            layers,
            work,
            learning,
        } = self;
        let backward = !matches!(then, Then::Stop);
        let part = Model { kit, layers }.part(source, backward);
        let whole = part >= source.batch;
        let mut updated = false;
        if backward {
            learning.clear_learnt();
        }
        // What a weight's adjoint is multiplied by: an input, or a spike as it counts without those dropped.
        let spike = masks.map_or(1.0, Masks::scale) as f32;
        let (mut report, mut size, mut largest) = (Tally::new(layers.len()), 0.0, spike);
        let mut bound = 0.0;
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
                masks,
                start,
                read_outs: goal.read_outs(),
            };
            let max = max.max(work.pass(model, pass, &mut [])?);
            work.leave(model, pass, end.as_deref_mut());
            for (sample, &target) in work.samples[..count].iter().zip(&targets[first..]) {
                report.add(sample, target);
                size += sample.size;
            }
            if backward {
                learning.collect_learnt(layers, &work.samples[..count]);
                // |Σ_r x_r a_r| ≤ max|x| · Σ|a|
                largest = largest.max(max);
                bound = size * f64::from(largest) + learning.learnt_size(layers);
                let safe = report.loss.is_finite() && bound < Update::SAFE;
                match then {
                    Then::Update(updates) if whole && safe => {
                        learning.weights(kit, layers, work, pass, Some(updates));
                        learning.apply_learnt(layers, updates, GradientsOf::LastBatch);
                        updated = true;
                    }
                    _ => learning.weights(kit, layers, work, pass, None),
                }
                if let Then::Update(updates) = then
                    && !whole
                    && safe
                    && first + count == source.batch
                {
                    learning.apply(kit.isa, layers, updates, GradientsOf::LastBatch);
                    updated = true;
                }
            }
        }
        let report = report.finish(layers, source);
        Some(Done {
            report,
            updated,
            bound,
        })
    }
}

/// Accumulates a report.
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

    fn add(&mut self, sample: &SampleTrace, target: usize) {
        self.loss += sample.share.loss + sample.penalty;
        self.correct.0 += usize::from(sample.answers.0 == target);
        self.correct.1 += usize::from(sample.answers.1 == target);
        for (sum, spikes) in self.spikes.iter_mut().zip(&sample.spikes) {
            *sum += spikes;
        }
    }

    fn finish(self, layers: &[NeuronLayer], source: Source<'_>) -> StepReport {
        let rate = |(spikes, layer): (&u64, &NeuronLayer)| {
            *spikes as f64 / (layer.neurons * source.steps * source.batch) as f64
        };
        let rates = self.spikes.iter().zip(layers).map(rate);
        let correct = [self.correct.0, self.correct.1];
        StepReport::counted(self.loss, source.batch, correct, rates)
    }
}
