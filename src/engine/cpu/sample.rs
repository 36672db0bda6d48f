//! Runs samples through all layers and time steps: forward, loss, backward.
//!
//! A thread processes a **group** of samples at a time: one sample if its data fit into L2 (a
//! constant image has 100 KB of trace); a few short ones if layers are dense or wide, so that all
//! of them use a block's weights once fetched from L3. Within a group the order is layer by layer,
//! block by block.

use ndarray::{ArrayViewMut2, Axis};

use super::{
    backward::{Backward, FromAbove, Size},
    clock::Part::{self, InputGrad, SpikeProducts},
    current,
    dense::{Ahead, PIECE},
    forward::{Forward, ReadWords, Unroll},
    layer::NeuronLayer,
    lists::ReadEvents,
    loss::{Argmax, LossShare, SampleLoss},
    pass::{AdjointSource, Model, Pass, SampleScratch, SampleTrace, Scratch, View},
    planes::{Planes, StridedView, place},
    read::InputLists,
    recurrent,
    simd::{F32x16, LANES, flatten, flatten_mut},
};
use crate::Recording;

/// A pass over samples: the network, its input, and the requested results.
#[derive(Clone, Copy)]
pub(super) struct GroupPass<'a> {
    pub model: Model<'a>,
    pub lists: &'a InputLists,
    pub pass: Pass<'a>,
}

impl GroupPass<'_> {
    /// Runs samples from number `first` of the part on; requested recordings of a sample's layers
    /// are written to its views.
    pub fn run(
        self,
        first: usize,
        samples: &mut [SampleTrace],
        views: &mut [Vec<Option<View<'_>>>],
        scratch: &mut Scratch,
    ) {
        let (pass, layers) = (self.pass, self.model.layers.len());
        let slots = scratch.slots.len().max(samples.len());
        scratch.slots.resize_with(slots, SampleScratch::default);
        for (slot, sample) in scratch.slots.iter_mut().zip(&mut *samples) {
            slot.trace.resize_with(layers, Vec::new);
            slot.penalty.resize_with(layers, Vec::new);
            slot.penalty.iter_mut().for_each(Vec::clear);
            sample.words.resize_with(layers, Vec::new);
            sample.spikes.resize(layers, 0);
            for (words, layer) in sample.words.iter_mut().zip(self.model.layers) {
                words.resize(layer.blocks * pass.source.steps, 0);
            }
        }
        for (n, sample) in samples.iter_mut().enumerate() {
            let b = pass.first + first + n;
            sample.begin(self.model.layers, pass.source.steps, pass.start, b);
            sample.largest = match pass.dense() {
                true => self.model.kit.largest(pass.source, pass.first + first + n),
                false => 0.0,
            };
        }
        if let AdjointSource::Adjoints(recording, _) = pass.goal {
            for (n, (sample, slot)) in samples.iter_mut().zip(&mut scratch.slots).enumerate() {
                self.restore(recording, pass.first + first + n, sample, slot);
                for k in 1..layers {
                    self.sent(k, first + n, sample);
                }
            }
        } else {
            for k in 0..layers {
                self.forward(k, first, samples, views, scratch);
            }
            for (n, (sample, slot)) in samples.iter_mut().zip(&mut scratch.slots).enumerate() {
                let loss = || self.loss(first + n, sample, slot, &mut scratch.row);
                self.model.kit.clock.time(Part::Loss, loss);
            }
        }
        if pass.backward {
            for sample in &mut *samples {
                sample.a.resize_with(layers, Vec::new);
                sample.learnt.resize_with(layers, Default::default);
                sample.size = 0.0;
            }
            for k in (0..layers).rev() {
                self.backward(k, first, samples, scratch);
            }
        }
    }

    /// Layer `k` of all samples of the group.
    fn forward(
        self,
        k: usize,
        first: usize,
        samples: &mut [SampleTrace],
        views: &mut [Vec<Option<View<'_>>>],
        scratch: &mut Scratch,
    ) {
        let GroupPass { model, lists, pass } = self;
        let (layer, source) = (&model.layers[k], pass.source);
        let (isa, clock) = (model.kit.isa, &model.kit.clock);
        let (vectors, steps, last) = (layer.vectors, source.steps, k + 1 == model.layers.len());
        let hoisted = k == 0 && source.constant;
        let recorded = views.iter().any(|views| views[k].is_some());
        let traced = pass.backward || recorded || last;
        let dense = k == 0 && pass.dense();
        let Scratch {
            slots,
            current,
            x,
            step,
            ..
        } = scratch;
        x.clear();
        for (n, (sample, slot)) in samples.iter_mut().zip(&mut *slots).enumerate() {
            let len = if traced {
                layer.blocks * steps * layer.kept() * vectors
            } else {
                0
            };
            slot.trace[k].resize(len, F32x16::ZERO);
            if k > 0 {
                clock.time(SpikeProducts, || {
                    let words = self.sent(k, first + n, sample);
                    isa.run(ReadEvents {
                        words,
                        num_steps: steps,
                        vectors: model.layers[k - 1].vectors,
                        events: &mut slot.events,
                    })
                });
            } else if dense {
                clock.time(Part::FirstProduct, || {
                    let row = |t| source.row(pass.first + first + n, t);
                    (0..steps).for_each(|t| x.extend_from_slice(row(t)));
                });
            }
        }
        // A precomputed current serves all blocks; others are computed block by block.
        let (at_once, block_stride, stride) = match hoisted {
            true => (layer.blocks, pass.count * vectors, 0),
            false => (1, steps * vectors, vectors),
        };
        // Each block prefetches its share of the next group's rows.
        let next = pass.first + first + samples.len();
        let more = samples
            .len()
            .min((pass.first + pass.count).saturating_sub(next))
            * steps;
        let coming = |block: usize| {
            let share = |block| block * more / layer.blocks;
            (share(block)..share(block + 1)).map(|r| source.row(next + r / steps, r % steps))
        };
        let at_a_time = if dense { samples.len() } else { 1 };
        current.resize(at_a_time * steps * vectors, F32x16::ZERO);
        let recurrent = layer.is_recurrent();
        for block in (0..layer.blocks).step_by(at_once) {
            if dense {
                let (x, out) = (&x[..], &mut current[..]);
                let ahead = Ahead {
                    pieces: coming(block).flat_map(|row| row.chunks(PIECE)),
                    count: coming(block).len() * source.features.div_ceil(PIECE),
                };
                let product = current::FromDense {
                    layer,
                    block,
                    x,
                    out,
                    ahead,
                };
                clock.time(Part::FirstProduct, || isa.run(product));
            }
            for (n, (sample, slot)) in samples.iter_mut().zip(&mut *slots).enumerate() {
                let out = &mut current[..];
                if k > 0 {
                    let events = &slot.events;
                    let product = current::FromSpikes {
                        layer,
                        block,
                        events,
                        out,
                    };
                    clock.time(SpikeProducts, || isa.run(product));
                    if let Some(mask) = pass.mask(k) {
                        let (scale, out) = (mask.scale() as f32, &mut current[..]);
                        isa.run(current::Rescale {
                            layer,
                            block,
                            scale,
                            out,
                        });
                    }
                } else if !hoisted && pass.sparse {
                    let inputs = &lists.parts[first + n..=first + n];
                    let product = current::FromSparse {
                        layer,
                        block,
                        inputs,
                        at_once: inputs[0].at_once(),
                        rows: steps,
                        out,
                    };
                    clock.time(Part::FirstProduct, || isa.run(product));
                }
                let current = match hoisted {
                    true => &lists.currents[(first + n) * vectors..],
                    false if dense => &current[n * steps * vectors..],
                    false => &current[..],
                };
                if recurrent {
                    // Its steps follow when the currents of all blocks are known.
                    let steps = if hoisted { 1 } else { steps };
                    let to = &mut slot.currents;
                    to.resize(layer.blocks * steps * vectors, F32x16::ZERO);
                    for n in 0..at_once {
                        to[(block + n) * steps * vectors..][..steps * vectors]
                            .copy_from_slice(&current[n * block_stride..][..steps * vectors]);
                    }
                    continue;
                }
                let block_trace = steps * layer.kept() * vectors;
                let trace = match traced {
                    true => &mut slot.trace[k][block * block_trace..][..at_once * block_trace],
                    false => &mut [],
                };
                let forward = Forward {
                    layer,
                    block,
                    num_steps: steps,
                    steps: 0..steps,
                    current,
                    block_stride,
                    stride,
                    trace,
                    words: &mut sample.words[k][block * steps..][..at_once * steps],
                    start: &sample.start[k],
                    end: &mut sample.end[k],
                };
                let neurons = layer.neuron.run();
                clock.time(Part::Forward, || neurons.forward(isa, forward));
            }
        }
        if recurrent {
            let samples = samples.iter_mut().zip(&mut *slots);
            for (sample, slot) in samples {
                recurrent::forward(model, k, steps, (sample, slot), step);
            }
        }
        for (n, (sample, slot)) in samples.iter_mut().zip(&mut *slots).enumerate() {
            let words = sample.words[k].iter();
            sample.spikes[k] = words.map(|word| u64::from(word.count_ones())).sum();
            let view = views.get_mut(n).and_then(|views| views[k].as_mut());
            if last || view.is_some() {
                self.unroll(layer, k, sample, slot);
            }
            if let Some(view) = view {
                let row = layer.shape().row() * LANES;
                let copy = |from: &[F32x16], to: &mut ArrayViewMut2<'_, f32>| {
                    for (from, to) in flatten(from).chunks_exact(row).zip(to.rows_mut()) {
                        if let Some(to) = to.into_slice() {
                            to.copy_from_slice(&from[..to.len()]);
                        }
                    }
                };
                copy(&slot.spk, &mut view.spk);
                copy(&slot.mem, &mut view.mem);
                let planes = Planes::new(layer.vectors, steps, layer.kept());
                for (i, kept) in view.kept.iter_mut().enumerate() {
                    let trace = planes.plane(&slot.trace[k], i);
                    for (t, mut to) in kept.rows_mut().into_iter().enumerate() {
                        for n in 0..layer.neurons {
                            to[n] = trace.entry(vectors, t, n);
                        }
                    }
                }
            }
        }
    }

    /// The spikes that layer `k` of sample `n` of the part reads from the layer below.
    fn sent(self, k: usize, n: usize, sample: &mut SampleTrace) -> &[u64] {
        let Some(mask) = self.pass.mask(k) else {
            return &sample.words[k - 1];
        };
        let (steps, below) = (self.pass.source.steps, &self.model.layers[k - 1]);
        sample.send(k, mask, steps, below.vectors * LANES, self.pass.first + n);
        &sample.sent[k]
    }

    /// Rows of spikes and membranes of one layer.
    fn unroll(self, layer: &NeuronLayer, k: usize, sample: &SampleTrace, slot: &mut SampleScratch) {
        let steps = sample.words[k].len() / layer.blocks;
        let len = steps * layer.shape().row();
        let SampleScratch {
            trace, spk, mem, ..
        } = slot;
        spk.resize(len, F32x16::ZERO);
        mem.resize(len, F32x16::ZERO);
        let unroll = Unroll {
            layer,
            num_steps: steps,
            trace: &trace[k],
            words: &sample.words[k],
            spk,
            mem,
        };
        layer.neuron.run().unroll(self.model.kit.isa, unroll);
    }

    /// The sample's answers and its loss, whose adjoint stays in `slot.mem` or `slot.spk`, and what its
    /// hidden spikes cost.
    fn loss(
        self,
        n: usize,
        sample: &mut SampleTrace,
        slot: &mut SampleScratch,
        row: &mut Vec<F32x16>,
    ) {
        let GroupPass { model, pass, .. } = self;
        let output = &model.layers[model.layers.len() - 1];
        let SampleScratch {
            spk, mem, penalty, ..
        } = slot;
        let answer = |rows, read_out, scores: &mut Vec<F32x16>| {
            scores.resize(output.shape().row(), F32x16::ZERO);
            model.kit.isa.run(Argmax {
                rows,
                read_out,
                classes: output.neurons,
                scores,
            })
        };
        let [of_spikes, of_membranes] = pass.read_outs;
        sample.answers = (
            answer(spk, of_spikes, &mut sample.scores.0),
            answer(mem, of_membranes, &mut sample.scores.1),
        );
        sample.share = LossShare::default();
        sample.penalty = 0.0;
        if pass.goal.penalizes() {
            let hidden = &model.layers[..model.layers.len() - 1];
            for (k, (layer, row)) in hidden.iter().zip(penalty).enumerate() {
                if pass.backward {
                    row.resize(layer.shape().row(), F32x16::ZERO);
                }
                let spikes = (&sample.words[k][..], sample.spikes[k]);
                let batch = pass.source.batch;
                sample.penalty += pass.goal.penalties(layer, spikes, batch, row);
            }
        }
        if let AdjointSource::Objective(objective) = pass.goal {
            row.resize(output.shape().row(), F32x16::ZERO);
            sample.share = model.kit.isa.run(SampleLoss {
                loss: &objective.loss,
                classes: output.neurons,
                num_steps: pass.source.steps,
                batch: pass.source.batch,
                target: pass.targets[pass.first + n],
                spk,
                mem,
                scratch: row,
            });
        }
    }

    /// Traces and spike words of sample `b` from a recording of all layers.
    fn restore(
        self,
        recording: &Recording,
        b: usize,
        sample: &mut SampleTrace,
        slot: &mut SampleScratch,
    ) {
        let layers = self.model.layers;
        let traces = (0..layers.len()).filter_map(|k| recording.layer(k));
        for (k, (layer, recorded)) in layers.iter().zip(traces).enumerate() {
            let (trace, words) = (&mut slot.trace[k], &mut sample.words[k]);
            let steps = words.len() / layer.blocks;
            let (vectors, len) = (layer.vectors, layer.blocks * steps * layer.vectors);
            trace.resize(len * layer.kept(), F32x16::ZERO);
            let spk = &mut trace[..len];
            place(recorded.spk.index_axis(Axis(1), b), vectors, false, spk);
            self.model.kit.isa.run(ReadWords {
                vectors,
                spk,
                words,
            });
            if layer.is_recurrent() {
                recurrent::delay(words, steps, &mut sample.earlier[k]);
            }
            let planes = Planes::new(layer.vectors, steps, layer.kept());
            for (i, kept) in recorded.kept().iter().enumerate() {
                planes.place(kept.index_axis(Axis(1), b), i, false, trace);
            }
        }
    }

    /// Layer `k` of all samples of the group, back.
    fn backward(self, k: usize, first: usize, samples: &mut [SampleTrace], scratch: &mut Scratch) {
        let GroupPass { model, pass, .. } = self;
        let (layer, steps) = (&model.layers[k], pass.source.steps);
        let (isa, clock) = (model.kit.isa, &model.kit.clock);
        let (vectors, row) = (layer.vectors, layer.shape().row());
        let above = model.layers.get(k + 1);
        let own = match pass.goal {
            AdjointSource::Adjoints(_, adjoints) => Some(&adjoints.layers[k]),
            _ => None,
        };
        let spikes = own.and_then(|own| own.spk.as_ref());
        let membrane = own.and_then(|own| own.mem.as_ref());
        let recurrent = layer.is_recurrent();
        let mask = pass.mask(k + 1);
        let wide = above
            .filter(|above| !above.narrow() || spikes.is_some() || recurrent || mask.is_some());
        if let Some(above) = wide {
            for slot in scratch.slots.iter_mut().take(samples.len()) {
                slot.e.resize(steps * row, F32x16::ZERO);
            }
            for block in 0..layer.blocks {
                for (sample, slot) in samples.iter().zip(&mut scratch.slots) {
                    let weight_t = current::InputGrad {
                        layer: above,
                        block,
                        a: &sample.a[k + 1],
                        add: false,
                        out: &mut slot.e[block * steps * vectors..][..steps * vectors],
                    };
                    clock.time(InputGrad, || isa.run(weight_t));
                }
            }
        }
        if let Some(mask) = mask {
            for (n, slot) in scratch.slots.iter_mut().take(samples.len()).enumerate() {
                let (b, scale) = (pass.first + first + n, mask.scale() as f32);
                let factors = mask.row(b).mapv(|keep| if keep { scale } else { 0.0 });
                let factors = factors.as_slice().unwrap_or_default();
                let blocks = slot.e.chunks_exact_mut(steps * vectors);
                for (e, factors) in blocks.zip(factors.chunks(vectors * LANES)) {
                    for e in flatten_mut(e).chunks_exact_mut(vectors * LANES) {
                        e.iter_mut().zip(factors).for_each(|(e, m)| *e *= m);
                    }
                }
            }
        }
        let mut by_step = Vec::new();
        for (n, (sample, slot)) in samples.iter_mut().zip(&mut scratch.slots).enumerate() {
            let SampleScratch {
                trace,
                spk,
                mem,
                e,
                g,
                penalty,
                ..
            } = slot;
            let b = pass.first + first + n;
            if let Some(adjoint) = spikes {
                e.resize(steps * row, F32x16::ZERO);
                place(adjoint.index_axis(Axis(1), b), vectors, wide.is_some(), e);
            }
            if let Some(adjoint) = membrane {
                g.resize(steps * row, F32x16::ZERO);
                place(adjoint.index_axis(Axis(1), b), vectors, false, g);
            }
            let (a, above_a) = sample.a.split_at_mut(k + 1);
            let narrow = above.zip(above_a.first());
            let blocks = |values| StridedView::blocks(values, vectors, steps);
            let g = match own {
                Some(_) => membrane.map(|_| blocks(&g[..])),
                None if above.is_none() && sample.share.by_membrane => {
                    Some(StridedView::rows(mem, vectors, row))
                }
                None => None,
            };
            let e = match narrow {
                _ if wide.is_some() || spikes.is_some() => FromAbove::Rows(blocks(&e[..])),
                Some((above, a)) => FromAbove::Narrow { a, above },
                None if own.is_some() || sample.share.by_membrane => FromAbove::Nothing,
                None => FromAbove::Rows(StridedView::rows(spk, vectors, row)),
            };
            let summed = k == 0 && pass.source.constant && !recurrent;
            let out = &mut a[k];
            out.resize(if summed { row } else { steps * row }, F32x16::ZERO);
            let learnt = &mut sample.learnt[k];
            if layer.learns_vectors() {
                learnt.resize_with(layer.constants.len(), Vec::new);
                for sums in &mut *learnt {
                    sums.clear();
                    sums.resize(row, F32x16::ZERO);
                }
            }
            let back = Backward {
                layer,
                num_steps: steps,
                steps: 0..steps,
                trace: &trace[k],
                start: &sample.start[k],
                g,
                e,
                penalty: &penalty[k],
                summed,
                out,
                passed: &mut [],
                learnt: match layer.learns {
                    true => &mut learnt[..layer.neuron.constants().len()],
                    false => &mut [],
                },
            };
            if recurrent {
                by_step.push(back);
                continue;
            }
            let neurons = layer.neuron.run();
            clock.time(Part::Backward, || neurons.backward(isa, back));
        }
        if recurrent {
            recurrent::backward(model, k, by_step, &mut scratch.step);
        }
        for sample in samples {
            if recurrent {
                recurrent::finish(layer, steps, k == 0 && pass.source.constant, k, sample);
            }
            sample.size += f64::from(isa.run(Size(&sample.a[k])));
        }
    }
}
