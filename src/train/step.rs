//! The training on one batch: at once, in parts of its samples, in windows of its steps.

use std::ops::Range;

use super::{Trainer, at, in_update};
use crate::{Engine, Error, Network, Result, State, StepReport, data::OwnedSamples};

impl Trainer {
    /// Number of updates that a batch of `num_steps` steps makes: one, or with
    /// [`truncate`](Self::truncate) one for each window. Schedules count updates.
    pub fn updates_per_batch(&self, num_steps: usize) -> usize {
        match self.truncate {
            Some(steps) => num_steps.div_ceil(steps.max(1)).max(1),
            None => 1,
        }
    }

    /// Samples of a part of a batch.
    fn part(&self) -> usize {
        self.batch_size.div_ceil(self.accumulate.max(1)).max(1)
    }

    /// The states with which the parts of a batch of so many samples begin, where a batch is trained in
    /// windows.
    pub(super) fn starts(&self, network: &Network, samples: usize) -> Result<Vec<State>> {
        if self.truncate.is_none() {
            return Ok(Vec::new());
        }
        let firsts = (0..samples).step_by(self.part());
        let sizes = firsts.map(|first| self.part().min(samples - first));
        let states = sizes.map(|samples| State::rest(network, samples));
        states.collect()
    }

    /// Trains on a batch after `done` updates of the run, for the number of the update in an error. The report
    /// of several windows is that of all their steps, but for the correct answers and gradient norms, which
    /// are the last's.
    pub(super) fn train_on(
        &self,
        engine: &mut dyn Engine,
        batch: &OwnedSamples,
        starts: &[State],
        done: usize,
    ) -> Result<StepReport> {
        let num_steps = batch.num_steps(self.num_steps);
        let windows = self.updates_per_batch(num_steps);
        let (mut states, length) = match self.truncate {
            Some(length) if windows > 1 => (starts.to_vec(), length),
            _ => (Vec::new(), num_steps),
        };
        let sums = engine.objective().loss.sums_over_steps();
        let mut report: Option<StepReport> = None;
        for window in 0..windows {
            let first = window * length;
            let steps = first..num_steps.min(first + length);
            let (before, own) = (steps.start, steps.len());
            let trained = self.train_window(engine, batch, &mut states, steps);
            let trained = trained.map_err(|error| {
                let error = match windows {
                    1 => error,
                    _ => at(error, || format!("in the window from step {before} on")),
                };
                in_update(error, done + window + 1)
            })?;
            report = Some(match report {
                Some(report) => report.then(before, &trained, own, sums),
                None => trained,
            });
        }
        report.ok_or_else(|| Error::parameter("num_steps", 0, "at least 1"))
    }

    /// One update from some steps of a batch; without states they are all, from rest.
    fn train_window(
        &self,
        engine: &mut dyn Engine,
        batch: &OwnedSamples,
        states: &mut [State],
        steps: Range<usize>,
    ) -> Result<StepReport> {
        if self.accumulate <= 1 {
            let samples = batch.part(0..batch.batch(), steps);
            return match states.first_mut() {
                Some(state) => engine.train_step_from(state, samples),
                None => engine.train_step(samples),
            };
        }
        engine.clear_gradients();
        let trained = self.train_parts(engine, batch, states, steps);
        if trained.is_err() {
            engine.clear_gradients();
        }
        trained
    }

    fn train_parts(
        &self,
        engine: &mut dyn Engine,
        batch: &OwnedSamples,
        states: &mut [State],
        steps: Range<usize>,
    ) -> Result<StepReport> {
        let mut total: Option<StepReport> = None;
        for (n, first) in (0..batch.batch()).step_by(self.part()).enumerate() {
            let samples = first..batch.batch().min(first + self.part());
            let weight = samples.len() as f64 / batch.batch() as f64;
            let part = batch.part(samples, steps.clone());
            let report = match states.get_mut(n) {
                Some(state) => engine.accumulate_from(state, part, weight)?,
                None => engine.accumulate(part, weight)?,
            };
            total = Some(match total {
                Some(total) => total.merge(&report),
                None => report,
            });
        }
        engine.update()?;
        total.ok_or_else(|| Error::parameter("number of samples", 0, "at least 1"))
    }
}
