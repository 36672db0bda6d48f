//! A training step on several processes: gradients of the own shards, their sum, the update of the own slice.
//!
//! 1. The shards of this process are computed one after the other, and summed in their tree.
//! 2. *Reduce-scatter* by recursive halving: with the partner of each bit, a process exchanges one half of what
//!    it has and adds the partner's to the other half. It ends with the sum over all shards of its own slice.
//! 3. It updates the parameters of its slice, with the moments of the slice, which no other process has.
//! 4. *All-gather* by recursive doubling, the same way back: every process gets all parameters.
//!
//! With `P` processes and `n` parameters, each sends `n (1 − 1/P)` numbers in 2 and in 4. (Rabenseifner,
//! *Optimization of Collective Reduction Operations*, ICCS 2004; with the update between the two halves:
//! Rajbhandari et al., *ZeRO*, SC 2020.)

use std::{ops::Range, time::Instant};

use super::{
    note::Note,
    numbers::{add, largest, squares},
    ordinary::{shard, with_layout},
    shards,
    slow::Slow,
    wire::Trade,
    world::World,
};
use crate::{
    Engine, Error, Float, Gradients, Network, Optimizer, Result, Samples, State, StepReport,
    engine::flat::{Key, Piece, Run},
    finite::{all_finite, check_finite},
    optim::{Update, Updates},
};

/// What a process needs to train its share.
pub(super) struct Sharded<F: Float> {
    pub world: World,
    pub shards: usize,
    /// Names and shapes; its values may be out of date.
    structure: Network<F>,
    runs: Vec<Run<F>>,
    /// Numbers in the runs; vectors are longer, see [`shards::padded`].
    len: usize,
    padded: usize,
    /// The parameters, all of them, and whether they are finite.
    params: Vec<F>,
    finite: bool,
    /// Sums over shards, one for each level of the tree; the first is that of all.
    sums: Vec<Vec<F>>,
    /// What a partner sends.
    inbox: Vec<F>,
    /// The part of the vector that this process updates.
    own: Range<usize>,
    /// Settings and number of updates; what it keeps is in `kept`.
    pub optimizer: Optimizer<F>,
    /// What the rule keeps for the own slice; empty before the first update, and what it does not keep.
    kept: [Vec<F>; 2],
    /// The weighted sum of the own slice over the batches since the last update; empty without one.
    accumulated: Vec<F>,
    /// Shards computed since the last update, on all processes.
    parts: u64,
    pub measures: bool,
    /// Of each layer, the sum of the squares of the last update's gradients, if they were needed.
    squares: Vec<f64>,
    /// When the last exchange was over.
    finished: Instant,
    slow: Slow,
}

impl<F: Float> Sharded<F> {
    /// Takes over network and optimizer of an engine.
    pub fn new(world: World, engine: &mut dyn Engine<F>, shards: usize) -> Result<Self> {
        let (structure, optimizer) = (engine.to_network()?, engine.to_optimizer()?);
        let runs = with_layout(engine, &structure, |layout| layout.runs());
        let len = runs.iter().map(|run| run.len).sum();
        let (padded, bits) = (shards::padded(len, shards), world.size().trailing_zeros());
        let levels = (shards / world.size()).trailing_zeros() as usize + 1;
        let vector = || vec![F::zero(); padded];
        let mut sharded = Sharded {
            shards,
            runs,
            len,
            padded,
            params: vector(),
            finite: true,
            sums: (0..levels).map(|_| vector()).collect(),
            inbox: vec![F::zero(); if bits > 0 { padded / 2 } else { 0 }],
            own: shards::own(padded, world.rank(), bits),
            optimizer: optimizer.clone(),
            kept: [Vec::new(), Vec::new()],
            accumulated: Vec::new(),
            parts: 0,
            measures: false,
            squares: Vec::new(),
            finished: Instant::now(),
            slow: Slow::new(world.size()),
            structure,
            world,
        };
        // The engine has no use for moments of its own.
        let mut without = optimizer.clone();
        (without.step, without.kept, without.kept_names) = (0, Vec::new(), &[]);
        engine.set_optimizer(without)?;
        sharded.read_parameters(engine)?;
        sharded.set_optimizer(engine, optimizer)?;
        Ok(sharded)
    }

    /// The parameters as numbers, to compare them among processes.
    pub fn params(&self) -> &[F] {
        &self.params
    }

    /// Takes over the parameters of the engine.
    pub fn read_parameters(&mut self, engine: &mut dyn Engine<F>) -> Result<()> {
        let params = &mut self.params[..self.len];
        let read = with_layout(engine, &self.structure, |layout| layout.parameters(params));
        self.finite = all_finite(self.params.iter());
        read
    }

    /// Fails where an earlier exchange has failed, whose memory is lost.
    fn usable(&self) -> Result<()> {
        let whole = [&self.params, &self.sums[0]].map(|vector| vector.len() == self.padded);
        match whole {
            [true, true] => Ok(()),
            _ => Err(Error::Process {
                rank: self.world.rank(),
                what: "cannot go on after a rank did not answer".into(),
            }),
        }
    }

    /// Loss, gradients and update.
    pub fn train(
        &mut self,
        engine: &mut dyn Engine<F>,
        samples: Samples<'_, F>,
        state: Option<&mut State<F>>,
    ) -> Result<StepReport> {
        self.usable()?;
        self.check_parameters(engine)?;
        let mut ends = Vec::new();
        let parts = std::mem::take(&mut self.parts);
        let reduced = self.reduce(engine, samples, state.as_deref(), &mut ends);
        self.parts = parts;
        let mut report = reduced?;
        let sums = std::mem::take(&mut self.sums[0]);
        let squares = self.update(engine, &sums[self.own.clone()]);
        self.sums[0] = sums;
        let squares = squares?;
        if self.measures {
            report.gradient_norms = Some(squares.into_iter().map(f64::sqrt).collect());
        }
        store(state, ends);
        Ok(report)
    }

    /// Adds `weight` times the gradients of a batch to those accumulated.
    pub fn accumulate(
        &mut self,
        engine: &mut dyn Engine<F>,
        samples: Samples<'_, F>,
        state: Option<&mut State<F>>,
        weight: f64,
    ) -> Result<StepReport> {
        let factor = F::from_f64(weight);
        if !factor.is_finite() {
            let expected = "a finite number, also when rounded to the network's precision";
            return Err(Error::parameter("weight", weight, expected));
        }
        let mut ends = Vec::new();
        let report = self.reduce(engine, samples, state.as_deref(), &mut ends)?;
        let sums = &self.sums[0][self.own.clone()];
        match self.accumulated.is_empty() {
            true => self.accumulated = sums.iter().map(|&g| factor * g).collect(),
            false => {
                let pairs = self.accumulated.iter_mut().zip(sums);
                pairs.for_each(|(sum, &g)| *sum += factor * g);
            }
        }
        self.parts += self.shards as u64;
        store(state, ends);
        Ok(report)
    }

    /// Updates from the accumulated gradients.
    pub fn update_accumulated(&mut self, engine: &mut dyn Engine<F>) -> Result<()> {
        if self.accumulated.is_empty() {
            let expected = "those of at least one batch: call accumulate first";
            let what = "gradients to update from";
            return Err(Error::parameter(what, "none", expected));
        }
        self.usable()?;
        self.check_parameters(engine)?;
        let sums = std::mem::take(&mut self.accumulated);
        let updated = self.update(engine, &sums);
        match updated {
            Ok(_) => self.parts = 0,
            Err(_) => self.accumulated = sums,
        }
        updated.map(|_| ())
    }

    pub fn clear(&mut self) {
        self.accumulated.clear();
        self.parts = 0;
    }

    /// Loss and gradients of a batch. Collective.
    pub fn gradients(
        &mut self,
        engine: &mut dyn Engine<F>,
        samples: Samples<'_, F>,
    ) -> Result<(f64, Gradients<F>)> {
        let report = self.reduce(engine, samples, None, &mut Vec::new())?;
        let mut sums = self.sums[0].clone();
        self.gather(&mut sums, &mut self.note(), 0)?;
        let gradients = self.tensors(engine, &sums);
        gradients.check_finite()?;
        Ok((report.loss, gradients))
    }

    /// Lets every process make the same change of the accumulated gradients. Collective.
    pub fn edit(
        &mut self,
        engine: &mut dyn Engine<F>,
        edit: &mut dyn FnMut(&mut Gradients<F>) -> Result<()>,
    ) -> Result<()> {
        let mut sums = vec![F::zero(); self.padded];
        if !self.accumulated.is_empty() {
            sums[self.own.clone()].copy_from_slice(&self.accumulated);
            self.gather(&mut sums, &mut self.note(), 0)?;
        }
        let mut gradients = self.tensors(engine, &sums);
        edit(&mut gradients)?;
        crate::optim::check_same(&self.structure, &gradients, "gradients")?;
        gradients.check_finite()?;
        self.flatten(engine, &gradients, &mut sums);
        self.accumulated = sums[self.own.clone()].to_vec();
        Ok(())
    }

    /// The report of a batch, each process evaluating its shards. Collective.
    pub fn evaluate(
        &mut self,
        engine: &mut dyn Engine<F>,
        samples: Samples<'_, F>,
    ) -> Result<StepReport> {
        self.usable()?;
        batch_of(samples)?;
        let mut run = |_: usize, samples: Samples<'_, F>| match samples.input.batch() {
            0 => Ok(empty(&self.structure)),
            _ => engine.evaluate(samples),
        };
        let (mut note, failed) = self.each_shard(samples, &mut run);
        self.world.meet(&mut note, 0, true)?;
        self.over(&note);
        note.check(self.world.rank(), failed)?;
        Ok(note.report())
    }

    /// A copy of the optimizer with the moments of all slices. Collective.
    pub fn whole_optimizer(&mut self, engine: &mut dyn Engine<F>) -> Result<Optimizer<F>> {
        let mut optimizer = self.optimizer.clone();
        if optimizer.step > 0 {
            optimizer.kept_names = optimizer.rule.kept();
            for n in 0..optimizer.kept_names.len() {
                let mut all = vec![F::zero(); self.padded];
                all[self.own.clone()].copy_from_slice(&self.kept[n]);
                self.gather(&mut all, &mut self.note(), 0)?;
                let tensors = self.tensors(engine, &all);
                optimizer.kept.push(tensors);
            }
            self.finished = Instant::now();
        }
        Ok(optimizer)
    }

    /// Replaces the optimizer; each process keeps its slice of the moments.
    pub fn set_optimizer(
        &mut self,
        engine: &mut dyn Engine<F>,
        mut optimizer: Optimizer<F>,
    ) -> Result<()> {
        optimizer.check_for(&self.structure)?;
        let kept = std::mem::take(&mut optimizer.kept);
        self.kept = [Vec::new(), Vec::new()];
        let mut all = vec![F::zero(); self.padded];
        for (n, tensors) in kept.iter().enumerate() {
            self.flatten(engine, tensors, &mut all);
            self.kept[n] = all[self.own.clone()].to_vec();
        }
        optimizer.kept_names = &[];
        self.optimizer = optimizer;
        Ok(())
    }

    fn tensors(&self, engine: &mut dyn Engine<F>, flat: &[F]) -> Gradients<F> {
        let flat = &flat[..self.len];
        with_layout(engine, &self.structure, |layout| layout.tensors(flat))
    }

    fn flatten(&self, engine: &mut dyn Engine<F>, tensors: &Gradients<F>, out: &mut [F]) {
        let out = &mut out[..self.len];
        with_layout(engine, &self.structure, |layout| {
            layout.flatten(tensors, out)
        });
    }

    fn note(&self) -> Note {
        Note::new(self.structure.layers().len(), self.world.size())
    }

    /// Every process has the same parameters, so all come to the same result.
    fn check_parameters(&self, engine: &mut dyn Engine<F>) -> Result<()> {
        if self.finite {
            return Ok(());
        }
        let when = format!(" before update {}", self.optimizer.step + 1);
        engine.to_network()?.check_finite(&when)
    }

    /// Runs `run` on each of the own shards, with its number among all; returns the node of the tree.
    fn each_shard(
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
    fn reduce(
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
            // As a binary counter: a leaf is added to those that wait for it.
            let leaf = n - own.start;
            let level = leaf.count_ones() as usize;
            let range = shards::samples(batch, self.shards, n);
            let report = match range.is_empty() {
                true => {
                    sums[level].fill(F::zero());
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
                        layout.gradients(weight, out)
                    })?;
                    ends.extend(start.map(|end| (range, end)));
                    Ok(report)
                }
            };
            for level in (level + 1 - leaf.trailing_ones() as usize..=level).rev() {
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
    fn gather(&self, vector: &mut Vec<F>, note: &mut Note, round: u32) -> Result<()> {
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
    fn over(&mut self, note: &Note) {
        self.world.agree(note.raised);
        if let Some(warning) = self.slow.step(&note.seconds) {
            self.world.warn(warning);
        }
        self.finished = Instant::now();
    }

    /// Updates the own slice from its gradients, and gathers all parameters. Returns the sum of squares of each
    /// layer's gradients, if they were needed. Collective.
    fn update(&mut self, engine: &mut dyn Engine<F>, gradients: &[F]) -> Result<Vec<f64>> {
        let bits = self.world.size().trailing_zeros();
        let note = self.examine(gradients, bits)?;
        if note.largest.is_nan() {
            let found = self.check_own(gradients, |run| format!("gradient of {}", run.tensor));
            return Err(self.fail(found, 2 * bits));
        }
        let norm = note.squares.iter().sum::<f64>().sqrt();
        let factor = F::from_f64(self.optimizer.clip_factor(norm));
        let updates = self.optimizer.next_updates();
        if note.largest * factor.as_f64() >= Update::SAFE || updates.can_overflow() {
            let checked = self.check_second(&updates, gradients, factor);
            self.agree(checked, 2 * bits)?;
        }
        let mut scaled = Vec::new();
        let gradients = match factor < F::one() {
            true => {
                scaled.extend(gradients.iter().map(|&g| g * factor));
                &scaled
            }
            false => gradients,
        };
        self.advance(engine, &updates, gradients);
        self.optimizer.step += 1;
        let when = format!(" after update {}", self.optimizer.step);
        let own = &self.params[self.own.clone()];
        let failed = self.check_own(own, |run| format!("{}{when}", run.tensor));
        let mut note = self.note();
        let rank = self.world.rank() as u64;
        note.failure = (failed.as_ref().err()).map(|error| (rank, error.to_string()));
        let mut params = std::mem::take(&mut self.params);
        let gathered = self.gather(&mut params, &mut note, 3 * bits);
        self.params = params;
        gathered?;
        let params = &self.params[..self.len];
        with_layout(engine, &self.structure, |layout| {
            layout.set_parameters(params)
        })?;
        self.finished = Instant::now();
        self.finite = note.failure.is_none();
        note.check(self.world.rank(), failed.err())?;
        Ok(self.squares.clone())
    }

    /// The largest gradient of all and, if needed, the squares of each layer: summed over pieces of the vector,
    /// as many as there are shards, in a tree, so that they do not depend on the number of processes.
    fn examine(&mut self, gradients: &[F], round: u32) -> Result<Note> {
        let wanted = self.optimizer.clip_norm.is_some() || self.measures;
        let piece = self.padded / self.shards;
        let pieces = gradients.chunks(piece).enumerate();
        let notes: Vec<Note> = pieces
            .map(|(n, piece_of)| {
                let mut note = self.note();
                note.largest = largest(piece_of);
                if wanted {
                    let begin = self.own.start + n * piece;
                    for (run, range) in self.runs_in(begin..begin + piece_of.len()) {
                        let range = range.start - begin..range.end - begin;
                        note.squares[run.layer] += squares(&piece_of[range]);
                    }
                }
                note
            })
            .collect();
        let mut note = shards::sum(&notes).unwrap_or_else(|| self.note());
        self.world.meet(&mut note, round, false)?;
        self.squares.clone_from(&note.squares);
        Ok(note)
    }

    /// The runs that a part of the vector belongs to, and where.
    fn runs_in(&self, part: Range<usize>) -> impl Iterator<Item = (&Run<F>, Range<usize>)> {
        let mut at = 0;
        let placed = self.runs.iter().map(move |run| {
            let begin = at;
            at += run.len;
            (run, begin.max(part.start)..at.min(part.end))
        });
        placed.filter(|(_, range)| !range.is_empty())
    }

    /// Looks for NaN and infinity in numbers of the own slice.
    fn check_own(&self, numbers: &[F], name: impl Fn(&Run<F>) -> String) -> Result<()> {
        if !largest(numbers).is_nan() {
            return Ok(());
        }
        let own = self.own.clone();
        self.runs_in(own.clone()).try_for_each(|(run, range)| {
            let range = range.start - own.start..range.end - own.start;
            check_finite(&name(run), numbers[range].iter())
        })
    }

    /// Reports a second moment of Adam that would become infinite, as [`Updates::check_second`].
    fn check_second(&self, updates: &Updates<F>, gradients: &[F], factor: F) -> Result<()> {
        let (begin, n) = (self.own.start, self.optimizer.step + 1);
        self.runs_in(self.own.clone()).try_for_each(|(run, range)| {
            let Update::Adam(adam) = updates.of(|| run.tensor.clone()) else {
                return Ok(());
            };
            let second = |i: usize| {
                let v = self.kept[1].get(i - begin).copied();
                adam.second(
                    self.params[i],
                    gradients[i - begin] * factor,
                    v.unwrap_or_default(),
                )
            };
            let second: Vec<F> = range.map(second).collect();
            let what = format!("second moment of {} in update {n}", run.tensor);
            check_finite(&what, second.iter())
        })
    }

    /// Fails on every process if one has failed. Collective.
    fn agree(&self, own: Result<()>, round: u32) -> Result<()> {
        let mut note = self.note();
        let rank = self.world.rank();
        note.failure = (own.as_ref().err()).map(|error| (rank as u64, error.to_string()));
        self.world.meet(&mut note, round, true)?;
        note.check(rank, own.err())
    }

    /// The error of a failure that one process at least has found. Collective.
    fn fail(&self, own: Result<()>, round: u32) -> Error {
        self.agree(own, round)
            .err()
            .unwrap_or_else(|| Error::parameter("gradients", "not finite", "finite numbers"))
    }

    /// Updates the own slice.
    fn advance(&mut self, engine: &mut dyn Engine<F>, updates: &Updates<F>, gradients: &[F]) {
        let (own, len) = (self.own.clone(), self.own.len());
        let mut params = std::mem::take(&mut self.params);
        let mut kept = std::mem::take(&mut self.kept);
        kept.iter_mut()
            .take(updates.kept())
            .for_each(|kept| kept.resize(len, F::zero()));
        with_layout(engine, &self.structure, |layout| {
            for (run, range) in self.runs_in(own.clone()) {
                if !run.learn {
                    continue;
                }
                let local = range.start - own.start..range.end - own.start;
                let own_of = |kept: &'_ mut Vec<F>| match kept.is_empty() {
                    true => 0..0,
                    false => local.clone(),
                };
                let kept = kept.each_mut().map(|kept| {
                    let part = own_of(kept);
                    &mut kept[part]
                });
                let piece = Piece {
                    update: updates.of(|| run.tensor.clone()),
                    weights: &mut params[range.clone()],
                    gradients: &gradients[local.clone()],
                    kept,
                };
                layout.update(piece);
                if let Some((low, high)) = run.range {
                    for x in &mut params[range] {
                        // A NaN stays.
                        *x = if *x < low { low } else { *x };
                        *x = if *x > high { high } else { *x };
                    }
                }
            }
        });
        (self.params, self.kept) = (params, kept);
    }
}

/// The number of samples, above 0.
fn batch_of<F: Float>(samples: Samples<'_, F>) -> Result<usize> {
    match samples.input.batch() {
        0 => Err(Error::parameter("batch size", 0, "at least 1")),
        batch => Ok(batch),
    }
}

/// The report of a shard without samples.
fn empty<F: Float>(network: &Network<F>) -> StepReport {
    let rates = network.layers().iter().map(|_| 0.0);
    StepReport::counted(0.0, 0, [0; 2], rates)
}

/// Writes the states after the own shards into that of the batch.
fn store<F: Float>(state: Option<&mut State<F>>, ends: Vec<(Range<usize>, State<F>)>) {
    if let Some(state) = state {
        ends.iter()
            .for_each(|(rows, end)| state.set_rows(rows.clone(), end));
    }
}
