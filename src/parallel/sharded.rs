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

mod reduce;
mod slice;

use std::{ops::Range, time::Instant};

use super::{note::Note, ordinary::with_layout, shards, slow::Slow, world::World};
use crate::{
    Engine, Error, Float, Gradients, Network, Optimizer, Result, Samples, State, StepReport,
    engine::{check_weight, flat::Run, nothing_accumulated},
    finite::all_finite,
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
        let levels = ((shards / world.size()).trailing_zeros() as usize).max(1);
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
        let factor = check_weight::<F>(weight)?;
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
            return Err(nothing_accumulated());
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
