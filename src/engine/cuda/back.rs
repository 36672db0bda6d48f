//! The way back: (3), (4) and (5) of the reference engine, the sums over parts, and the update.
//!
//! Which kernel does what is told in [`passes`](super::passes).

use std::ops::Range;

use super::{
    batch::{Batch, Flags, Sizes},
    device::{Arg, Buffer},
    layout::{AdjointInputs, Piece},
    machine::Machine,
    passes::{blocks, carried, given, learnt, rule, stored, surrogate},
};
use crate::{Optimizer, Result, optim::Update};

/// Blocks that keep a large device busy: below, work is cut into more and smaller pieces.
pub(super) const BUSY: usize = 264;
/// Rows of samples that the backward kernels sum over, such that their blocks keep it busy.
const BUSY_ROWS: usize = 4 * BUSY;
/// Samples whose share of its weights' gradient is summed together (`SAMPLES` in `ptx`).
pub(super) const SAMPLES: usize = 4;

impl Machine {
    /// Room for the sums of layer `k`'s pass back, over time and, in rows, over samples.
    pub(super) fn reserve_sums(&mut self, k: usize, samples: usize, rows: usize) -> Result<()> {
        let (layer, t) = (&self.layout.layers[k], &mut self.traces[k]);
        self.gpu.reserve(&mut t.sum, samples * layer.neurons)?;
        for (held, shares) in layer.constants.iter().zip(&mut t.constants) {
            if held.learnt {
                self.gpu.reserve(shares, rows * layer.neurons)?;
            }
        }
        Ok(())
    }

    /// (3), (4) and (5) of all layers; the gradients lie in their row at the end. `clip`: whether their
    /// norm will be wanted.
    pub(super) fn backward(
        &mut self,
        batch: &Batch,
        arriving: &mut [AdjointInputs],
        activity_penalty: f64,
        clip: bool,
    ) -> Result<()> {
        let samples = batch.sizes.samples;
        let layers = self.traces.len();
        let mut pieces = Pieces::default();
        for k in (0..layers).rev() {
            let (block, blocks) = blocks(self.layout.layers[k].neurons);
            let narrow = self.narrow(k + 1);
            let rows = match narrow {
                true => (BUSY_ROWS / blocks).clamp(1, samples),
                false => samples,
            };
            if self.layout.layers[k].leaky.is_none() {
                self.backward_any(k, batch, arriving[k], activity_penalty)?; // (3), (5)
                self.own_gradients(k, batch, &mut pieces)?; // (4)
            } else if !arriving[k].done {
                self.backward_layer(
                    k,
                    batch,
                    arriving[k],
                    activity_penalty,
                    (block, blocks),
                    rows,
                )?; // (3)
            }
            if narrow && self.layout.layers[k + 1].learn {
                self.weights_above(k, batch)?; // (4)
                let groups = samples.div_ceil(SAMPLES);
                let above = &self.layout.layers[k + 1];
                let weight = &self.traces[k + 1].weight;
                pieces.add(weight.arg(), &self.gradients, &above.weight, groups);
            }
            if !self.narrow(k) {
                self.weights(k, batch, clip, &mut pieces)?; // (4)
                if k > 0 {
                    arriving[k - 1].e = self.below_of(k, batch)?; // (5)
                }
            }
            let (layer, t) = (&self.layout.layers[k], &self.traces[k]);
            if layer.learns_bias() {
                pieces.add(t.sum.arg(), &self.gradients, &layer.bias, samples);
            }
            if layer.leaky.is_none() {
                self.any_constants(k, batch, &mut pieces);
                continue;
            }
            // The read-out has a row for each sample, shared constants one for each block.
            let (rows, blocks) = match arriving[k].done {
                true => (samples, samples),
                false => (rows, rows * blocks),
            };
            for (held, from) in layer.constants.iter().zip(&t.constants) {
                let each = held.values.len() > 1;
                if held.learnt {
                    let rows = if each { rows } else { blocks };
                    pieces.add(from.arg(), &self.gradients, &held.values, rows);
                }
            }
        }
        self.collect(batch.flags(&self.slots), pieces, clip)
    }

    /// (3) of one layer, with (5) of the one above if that is narrow.
    fn backward_layer(
        &mut self,
        k: usize,
        batch: &Batch,
        arriving: AdjointInputs,
        activity_penalty: f64,
        (block, blocks): (u32, usize),
        rows: usize,
    ) -> Result<()> {
        let Sizes {
            steps,
            samples,
            constant,
        } = batch.sizes;
        let narrow = self.narrow(k + 1);
        self.reserve_sums(k, samples, rows * blocks)?;
        let (layer, t) = (&self.layout.layers[k], &self.traces[k]);
        let activity_penalty = self.price(k, activity_penalty);
        let summed = k == 0 && constant;
        let few = narrow && self.layout.layers[k + 1].neurons <= 12;
        if few && summed && layer.common() && !arriving.extra && !arriving.g && t.first == 0 {
            let above = &self.layout.layers[k + 1];
            let (_, peak, scale) = surrogate(layer.rule.surrogate);
            let mut args = vec![
                t.mem.arg(),
                self.traces[k + 1].current.arg(),
                self.param(&above.weight),
                above.neurons.into(),
                activity_penalty,
            ];
            args.extend(self.constants(layer));
            args.extend([
                t.sum.arg(),
                steps.into(),
                samples.into(),
                layer.neurons.into(),
                rows.into(),
                Arg::F32(peak),
                Arg::F32(scale),
            ]);
            let name = "lif_backward_narrow_common";
            return self.gpu.launch(name, (blocks * rows, 1, 1), block, &args);
        }
        let mut args: Vec<Arg> = stored(layer, t).into();
        let names = if narrow {
            let above = &self.layout.layers[k + 1];
            args.extend([
                self.traces[k + 1].current.arg(),
                self.param(&above.weight),
                above.neurons.into(),
                given(arriving.g, &t.g),
            ]);
            [
                "lif_backward_narrow_fti",
                "lif_backward_narrow_itf",
                "lif_backward_narrow_ifr",
            ]
        } else {
            args.extend([
                given(arriving.g, &t.g),
                given(arriving.e > 0, &t.e),
                arriving.e.into(),
                Arg::U64((steps * samples * layer.neurons) as u64),
            ]);
            ["lif_backward_fti", "lif_backward_itf", "lif_backward_ifr"]
        };
        args.extend([given(arriving.extra, &t.extra), activity_penalty]);
        args.extend(self.constants(layer));
        args.extend([given(!summed, &t.current), t.sum.arg()]);
        args.extend(learnt(layer, t));
        args.extend([steps, samples, layer.neurons, rows].map(Arg::from));
        args.push(carried(t));
        args.extend(rule(layer));
        let order = layer.leaky.map_or(0, |rule| rule.dynamics as usize);
        let name = names[order];
        self.gpu.launch(name, (blocks * rows, 1, 1), block, &args)
    }

    /// What a spike of layer `k` costs: nothing in the output.
    pub(super) fn price(&self, k: usize, activity_penalty: f64) -> Arg {
        let hidden = k + 1 < self.traces.len();
        Arg::F32(if hidden { activity_penalty as f32 } else { 0.0 })
    }

    /// The sums that are still missing, of a batch. The table of pieces is sent when it is another than
    /// before. `flags` is where gradients that are not finite are told.
    fn collect(&mut self, flags: Arg, pieces: Pieces, clip: bool) -> Result<()> {
        if self.pieces != pieces.list {
            self.pieces.clear();
            let words = pieces.list.as_flattened();
            self.gpu.reserve(&mut self.pieces_there, words.len())?;
            self.gpu.upload(&mut self.pieces_there, words)?;
            self.pieces = pieces.list;
        }
        if clip {
            self.gpu.reserve(&mut self.squares, pieces.blocks)?;
        }
        let args = [
            self.pieces_there.arg(),
            self.pieces.len().into(),
            flags,
            given(clip, &self.squares),
        ];
        self.blocks = pieces.blocks;
        if pieces.blocks == 0 {
            return Ok(()); // nothing is trained
        }
        self.gpu
            .launch("collect", (pieces.blocks, 1, 1), 256, &args)
    }

    /// Adds `weight` times the gradients of the last pass back to their sum, or starts it.
    pub(super) fn accumulate(&mut self, weight: f64, first: bool) -> Result<()> {
        let count = self.layout.trained;
        self.gpu.reserve(&mut self.sum, count.max(1))?;
        let args = [
            self.sum.arg(),
            self.gradients.arg(),
            Arg::U64(count as u64),
            Arg::F32(weight as f32),
            Arg::U32(u32::from(first)),
        ];
        let blocks = count.div_ceil(256);
        if blocks == 0 {
            return Ok(());
        }
        self.gpu.launch("accumulate", (blocks, 1, 1), 256, &args)
    }

    /// Updates from the sum of gradients: they are looked at first, as those of a batch are.
    pub(super) fn update(&mut self, optimizer: &Optimizer) -> Result<Flags> {
        let (clip, all) = (optimizer.clip_norm.is_some(), 0..self.layout.trained);
        self.gpu.reserve(&mut self.flags, 2)?;
        self.gpu.upload(&mut self.flags, &[0, 0])?;
        let mut pieces = Pieces::default();
        if !all.is_empty() {
            pieces.add(self.sum.arg(), &self.sum, &all, 1);
        }
        let flags = self.flags.arg();
        self.collect(flags, pieces, clip)?;
        self.apply(flags, true, optimizer)?;
        let mut words = [0_u32; 2];
        self.gpu.download(&self.flags, &mut words)?;
        Ok(Flags {
            refused: words[0] != 0,
            infinite: words[1] != 0,
        })
    }

    /// Applies the gradients of the last pass back, or their sum, unless they were refused: all at once,
    /// or tensor by tensor where some have settings of their own.
    pub(super) fn apply(&mut self, flags: Arg, sum: bool, optimizer: &Optimizer) -> Result<()> {
        let (updates, layout) = (optimizer.next_updates(), &self.layout);
        let parts: Vec<(Range<usize>, Update)> = match optimizer.groups.is_empty() {
            true => vec![(0..layout.trained, updates.of(String::new))],
            false => {
                let named = layout.named().into_iter();
                named
                    .map(|(name, range)| (range, updates.of(|| name)))
                    .collect()
            }
        };
        let gradients = if sum { &self.sum } else { &self.gradients };
        for (range, update) in parts.into_iter().filter(|(range, _)| !range.is_empty()) {
            let (name, rule) = rule_args(&update);
            let mut args = vec![
                self.params.arg(),
                gradients.arg(),
                self.kept[0].arg(),
                self.kept[1].arg(),
                Arg::U64(range.start as u64),
                Arg::U64(range.end as u64),
                Arg::U64(layout.free as u64),
                self.low.arg(),
                self.high.arg(),
                flags,
                given(optimizer.clip_norm.is_some(), &self.squares),
                Arg::F64(optimizer.clip_norm.unwrap_or(0.0)),
                Arg::U64(optimizer.clip_norm.map_or(0, |_| self.blocks as u64)),
            ];
            args.extend(rule);
            let blocks = range.len().div_ceil(1024);
            self.gpu.launch(name, (blocks, 1, 1), 256, &args)?;
        }
        Ok(())
    }
}

/// The kernel of an update, and its constants.
fn rule_args(update: &Update) -> (&'static str, Vec<Arg>) {
    let floats = |values: &[f32]| values.iter().map(|&x| Arg::F32(x)).collect();
    match update {
        Update::Sgd(u) => ("sgd", floats(&[u.lr, u.weight_decay])),
        Update::Momentum(u) => {
            let mut args: Vec<Arg> = floats(&[u.lr, u.momentum, u.weight_decay]);
            args.push(Arg::U32(u32::from(u.nesterov)));
            ("momentum", args)
        }
        Update::Adam(u) => {
            let moments = [u.beta1, u.beta2, u.gain1, u.gain2];
            let step = [u.step_size, u.scale, u.eps, u.weight_decay, u.shrink];
            ("adam", floats(&[&moments[..], &step].concat()))
        }
        Update::Adamax(u) => {
            let constants = [
                u.beta1,
                u.beta2,
                u.gain1,
                u.step_size,
                u.eps,
                u.weight_decay,
            ];
            ("adamax", floats(&constants))
        }
    }
}

/// What is to be collected.
#[derive(Default)]
pub(super) struct Pieces {
    list: Vec<Piece>,
    blocks: usize,
}

impl Pieces {
    /// The gradient at `to` is the sum of `rows` rows, which lie at `from` one after another.
    pub(super) fn add(
        &mut self,
        from: Arg,
        gradients: &Buffer<f32>,
        to: &Range<usize>,
        rows: usize,
    ) {
        let address = |arg: Arg| match arg {
            Arg::U64(address) => address,
            other => unreachable!("{other:?} is no address"),
        };
        let entries = to.len() as u64;
        // A thread adds all rows of an entry, or of four if there is one row; those of one number are a
        // whole block's.
        let (stripes, turns, columns) = match (entries, rows) {
            (1, _) => (256, 1, 1),
            (_, 1) => (1, 4, 1024),
            _ => (1, 1, 256),
        };
        let pair = |low: usize, high: usize| low as u64 | (high as u64) << 32;
        self.list.push([
            address(from),
            address(gradients.at(to.start)),
            entries,
            entries,
            pair(rows, stripes),
            pair(self.blocks, turns),
        ]);
        self.blocks += entries.div_ceil(columns) as usize;
    }
}
