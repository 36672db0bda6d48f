//! A pass over samples, group by group, and the memory for it.

use super::{
    parallel::{for_each, for_each_chunk},
    pass::{Model, Pass, SampleTrace, View},
    read::InputLists,
    sample::GroupPass,
};
use crate::State;

/// The memory of the passes over one batch, kept for the next batch.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    pub lists: InputLists,
    pub samples: Vec<SampleTrace>,
    /// Tensors of an old recording, for reuse.
    pub spare: Vec<Vec<f32>>,
}

impl Workspace {
    /// Runs all samples of a part forward and, if requested, backward, after the input was read.
    /// Requested recordings are written to the views. Returns the largest magnitude of a dense
    /// sequence; `None` if it contains NaN or infinity.
    pub fn pass(
        &mut self,
        model: Model<'_>,
        pass: Pass<'_>,
        views: &mut [Vec<Option<View<'_>>>],
    ) -> Option<f32> {
        let count = self.samples.len().max(pass.count);
        self.samples.resize_with(count, SampleTrace::default);
        let samples = &mut self.samples[..pass.count];
        let group = model.group(pass.source, pass.sparse, pass.backward);
        let lists = &self.lists;
        let walk = GroupPass { model, lists, pass };
        let scratch = &model.kit.scratch;
        if views.is_empty() {
            for_each_chunk(true, samples, group, |n, samples| {
                scratch.with(|scratch| walk.run(n * group, samples, &mut [], scratch));
            });
        } else {
            let groups = samples.chunks_mut(group).zip(views.chunks_mut(group));
            let mut groups: Vec<_> = groups.collect();
            for_each(&mut groups, |n, (samples, views)| {
                scratch.with(|scratch| walk.run(n * group, samples, views, scratch));
            });
        }
        let largest = samples.iter().map(|sample| sample.largest);
        let largest = largest.fold(0.0, f32::max);
        largest.is_finite().then_some(largest)
    }

    /// The states after a pass, if they are wanted.
    pub fn leave(&self, model: Model<'_>, pass: Pass<'_>, end: Option<&mut State>) {
        if let Some(end) = end {
            for (n, sample) in self.samples[..pass.count].iter().enumerate() {
                sample.leave(model.layers, end, pass.first + n);
            }
        }
    }
}
