//! Gradients of the own shards, and their sum over all processes.

use std::{ops::Range, time::Instant};

use super::{Sharded, batch_of, empty};
use crate::{
    Engine, Error, Float, Result, Samples, State, StepReport,
    engine::flat::Key,
    parallel::{
        note::Note,
        numbers::add,
        ordinary::{shard, with_layout},
        shards,
        wire::Trade,
    },
};

impl<F: Float> Sharded<F> {
    /// Runs `run` on each of the own shards, with its number among all; returns the node of the tree.
    pub(super) fn each_shard(
        &self,
        samples: Samples<'_, F>,
        run: &mut dyn FnMut(usize, Samples<'_, F>) -> Result<StepReport>,
    ) -> (Note, Option<Error>) {
        let (rank, ranks) = (self.world.rank(), self.world.size());
        let batch = samples.input.batch();
        let (mut notes, mut failed) = (Vec::new(), None);
        for n in shards::of_rank(self.shards, rank, ranks) {
            let mut note = self.note();
            let range = shards::samples(batch, self.shards, n);
            if failed.is_none() {
                let share = range.len() as f64 / batch.max(1) as f64;
                match run(n, samples.part(range)) {
                    Ok(report) => note.of_shard(&report, share),
                    Err(error) => failed = Some(error),
                }
            }
            notes.push(note);
        }
        let mut note = shards::sum(&notes).unwrap_or_else(|| self.note());
        note.raised = self.world.own_raised();
        note.seconds[rank] = self.finished.elapsed().as_secs_f64();
        note.failure = failed
            .as_ref()
            .map(|error| (rank as u64, error.to_string()));
        (note, failed)
    }

    /// The gradients of a batch: leaves the own slice of their sum in `sums[0]`. The states after the own
    /// shards are returned in `ends`, with their samples.
    pub(super) fn reduce(
        &mut self,
        engine: &mut dyn Engine<F>,
        samples: Samples<'_, F>,
        state: Option<&State<F>>,
        ends: &mut Vec<(Range<usize>, State<F>)>,
    ) -> Result<StepReport> {
        self.usable()?;
        let batch = batch_of(samples)?;
        if let Some(state) = state {
            state.check(&self.structure, batch)?;
        }
        let mut sums = std::mem::take(&mut self.sums);
        let (update, parts) = (self.optimizer.step, self.parts);
        let own = shards::of_rank(self.shards, self.world.rank(), self.world.size());
        let mut run = |n: usize, samples: Samples<'_, F>| {
            // As a binary counter: a leaf is added to those that wait for it, a right one at once.
            let leaf = n - own.start;
            let sums_to_add = leaf.trailing_ones() as usize;
            let add_leaf = sums_to_add > 0;
            let level = leaf.count_ones() as usize - usize::from(add_leaf);
            let range = shards::samples(batch, self.shards, n);
            let report = match range.is_empty() {
                true => {
                    match add_leaf {
                        true => sums[level].iter_mut().for_each(|sum| *sum += F::zero()),
                        false => sums[level].fill(F::zero()),
                    }
                    Ok(empty(&self.structure))
                }
                false => {
                    let key = Key {
                        update,
                        part: parts + n as u64,
                    };
                    let mut start = state.map(|state| state.rows(range.clone()));
                    let report = shard(engine, samples, start.as_mut(), key)?;
                    let weight = F::from_f64(range.len() as f64 / batch as f64);
                    let out = &mut sums[level][..self.len];
                    with_layout(engine, &self.structure, |layout| {
                        layout.gradients(weight, out, add_leaf)
                    })?;
                    ends.extend(start.map(|end| (range, end)));
                    Ok(report)
                }
            };
            for level in (level + 1 - sums_to_add.saturating_sub(1)..=level).rev() {
                let (below, top) = sums.split_at_mut(level);
                if let Some(sum) = below.last_mut() {
                    add(sum, &top[0]);
                }
            }
            report
        };
        let (mut note, failed) = self.each_shard(samples, &mut run);
        self.sums = sums;
        self.scatter(&mut note)?;
        self.over(&note);
        note.check(self.world.rank(), failed)?;
        Ok(note.report())
    }

    /// Adds up what the processes have: see the module. `note` becomes that of all.
    fn scatter(&mut self, note: &mut Note) -> Result<()> {
        let (bits, rank) = (self.world.size().trailing_zeros(), self.world.rank());
        for bit in 0..bits {
            let peer = rank ^ (1 << bit);
            let keep = shards::own(self.padded, rank, bit + 1);
            let give = shards::own(self.padded, peer, bit + 1);
            self.world.meet_one(note, bit, peer)?;
            if let Some(mut wire) = self.world.wire() {
                let trade = Trade {
                    from: &mut self.sums[0],
                    send: give,
                    into: &mut self.inbox,
                    receive: 0..keep.len(),
                };
                wire.trade(peer, bit, trade)?;
            }
            let others = &self.inbox[..keep.len()];
            add(&mut self.sums[0][keep], others);
        }
        Ok(())
    }

    /// Completes a vector of which every process has its own slice. The exchanges are the step's from `round` on.
    pub(super) fn gather(&self, vector: &mut Vec<F>, note: &mut Note, round: u32) -> Result<()> {
        let (bits, rank) = (self.world.size().trailing_zeros(), self.world.rank());
        for bit in (0..bits).rev() {
            let (peer, round) = (rank ^ (1 << bit), round + bits - 1 - bit);
            let have = shards::own(vector.len(), rank, bit + 1);
            let want = shards::own(vector.len(), peer, bit + 1);
            self.world.meet_one(note, round, peer)?;
            if let Some(mut wire) = self.world.wire() {
                wire.trade_within(peer, round, vector, [have, want])?;
            }
        }
        Ok(())
    }

    /// After an exchange: what was raised, and who is slow.
    pub(super) fn over(&mut self, note: &Note) {
        self.world.agree(note.raised);
        if let Some(warning) = self.slow.step(&note.seconds) {
            self.world.warn(warning);
        }
        self.finished = Instant::now();
    }
}
