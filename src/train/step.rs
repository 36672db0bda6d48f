//! The training on one batch: at once, in parts of its samples, in windows of its steps.

use ndarray::Axis;

use super::{Trainer, in_update};
use crate::{Engine, Error, Input, Network, Result, State, StepReport, data::Batch};

/// The states with which the parts of a batch begin, where a batch is trained in windows.
pub(super) struct Starts(Vec<State>);

impl Trainer {
    /// Number of updates that a batch makes: one, or with [`truncate`](Self::truncate) one for each window
    /// of its steps.
    pub fn updates_per_batch(&self) -> usize {
        match self.truncate {
            Some(steps) => self.num_steps.div_ceil(steps.max(1)).max(1),
            None => 1,
        }
    }

    /// Whether a batch is one call of [`Engine::train_step`].
    pub(super) fn at_once(&self) -> bool {
        self.accumulate <= 1 && self.updates_per_batch() == 1
    }

    fn part(&self) -> usize {
        self.batch_size.div_ceil(self.accumulate.max(1))
    }

    /// The states at rest of the parts of a batch.
    pub(super) fn starts(&self, network: &Network) -> Result<Starts> {
        if self.updates_per_batch() == 1 {
            return Ok(Starts(Vec::new()));
        }
        let firsts = (0..self.batch_size).step_by(self.part());
        let states =
            firsts.map(|first| State::rest(network, self.part().min(self.batch_size - first)));
        states.collect::<Result<_>>().map(Starts)
    }

    /// Trains on a batch; `update` is the number of its first update in the run, from 1, for errors. The
    /// report of several windows has the mean of their losses and firing rates, by their steps, and the
    /// correct answers of the last.
    pub(super) fn train_on(
        &self,
        engine: &mut dyn Engine,
        batch: &Batch,
        starts: &Starts,
        update: usize,
    ) -> Result<StepReport> {
        if self.at_once() {
            let input = Input::constant(batch.images.view(), self.num_steps);
            let trained = engine.train_step(input.classes(&batch.targets));
            return trained.map_err(|error| in_update(error, update));
        }
        let mut states = starts.0.clone();
        let (mut done, mut report): (usize, Option<StepReport>) = (0, None);
        for window in 0..self.updates_per_batch() {
            let steps = self
                .truncate
                .unwrap_or(self.num_steps)
                .min(self.num_steps - done);
            let trained = self.train_window(engine, batch, &mut states, steps);
            let trained = trained.map_err(|error| in_update(error, update + window))?;
            report = Some(match report {
                Some(report) => report.then(done, &trained, steps),
                None => trained,
            });
            done += steps;
        }
        report.ok_or_else(|| Error::parameter("num_steps", 0, "at least 1"))
    }

    /// One update from some steps of a batch. Without states there is one window.
    fn train_window(
        &self,
        engine: &mut dyn Engine,
        batch: &Batch,
        states: &mut [State],
        steps: usize,
    ) -> Result<StepReport> {
        if let (1, [state]) = (self.accumulate, &mut *states) {
            let input = Input::constant(batch.images.view(), steps);
            return engine.train_step_from(state, input.classes(&batch.targets));
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
        batch: &Batch,
        states: &mut [State],
        steps: usize,
    ) -> Result<StepReport> {
        let samples = batch.targets.len();
        let images = batch.images.axis_chunks_iter(Axis(0), self.part());
        let parts = images.zip(batch.targets.chunks(self.part()));
        let mut total: Option<StepReport> = None;
        for (n, (images, targets)) in parts.enumerate() {
            let weight = targets.len() as f64 / samples as f64;
            let part = Input::constant(images, steps).classes(targets);
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
