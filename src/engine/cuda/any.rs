//! Layers of any neuron, alone or connected within: the kernels of `ptx/any.cuh`, both ways, and the gradients
//! of the recurrent weights.

use super::{
    back::{BUSY, Pieces},
    batch::{Batch, Sizes},
    device::{Arg, NULL},
    layout::{AdjointInputs, LayerLayout, words},
    machine::Machine,
    passes::{blocks, given, surrogate},
    products::cut,
};
use crate::{Result, synapses::Pattern};

/// The most threads of a block, and samples of one on the way back (`GROUP` in `ptx/any.cuh`).
const THREADS: usize = 384;
const GROUP: usize = 4;
/// The constants that a kernel takes at most (`MOST` there).
const MOST: usize = 5;

/// How a layer's neurons are cut into blocks: threads, neurons of each, and how many there are for a sample.
fn span(layer: &LayerLayout) -> (u32, usize, usize) {
    match layer.is_dense() {
        true => {
            let threads = layer.neurons.next_multiple_of(32).min(THREADS);
            (threads as u32, layer.neurons, 1)
        }
        false => {
            let (block, blocks) = blocks(layer.neurons);
            (block, block as usize, blocks)
        }
    }
}

/// How many samples a block has on the way back.
fn group(layer: &LayerLayout, samples: usize) -> usize {
    match layer.is_dense() {
        true => (2 * samples / BUSY).clamp(1, GROUP),
        false => 1,
    }
}

/// The kernels' number of the connections within a layer (`Apart`, `AllToAll`, `OneToOne` there).
fn connections(layer: &LayerLayout) -> Arg {
    Arg::U32(match layer.own.as_ref().map(|own| own.pattern) {
        None => 0,
        Some(Pattern::AllToAll { .. }) => 1,
        Some(Pattern::OneToOne) => 2,
    })
}

impl Machine {
    /// A layer's constants, and as many that are not there as the kernels take.
    fn any_constants_of(&self, layer: &LayerLayout) -> Vec<Arg> {
        let mut args: Vec<Arg> = self.constants(layer).collect();
        while args.len() < 2 * MOST {
            args.extend([NULL, Arg::U32(0)]);
        }
        args
    }

    /// (2) of layer `k`, and the recurrent terms of (1).
    pub(super) fn forward_any(&mut self, k: usize, batch: &Batch, keeps_words: bool) -> Result<()> {
        let Sizes { steps, samples, .. } = batch.sizes;
        let (layer, t, gpu) = (&self.layout.layers[k], &mut self.traces[k], &self.gpu);
        let (neurons, kernels) = (layer.neurons, layer.rule.kind.kernels());
        let (mut v, mut c) = (NULL, NULL);
        if let Some(own) = &layer.own {
            v = self.params.at(own.weight.start);
            let bias = own.bias.as_ref();
            c = bias.map_or(NULL, |bias| self.params.at(bias.start));
        }
        if layer.is_dense() {
            gpu.reserve(&mut t.list, samples * neurons.next_multiple_of(4))?;
            gpu.reserve(&mut t.across, neurons * neurons)?;
            let tiles = neurons.div_ceil(32);
            let args = [v, t.across.arg(), neurons.into()];
            gpu.launch("transpose", (tiles, tiles, 1), 256, &args)?;
            v = t.across.arg();
        }
        let t = &self.traces[k];
        let (threads, span, blocks) = span(layer);
        let plane = steps * samples * neurons;
        let mut args = vec![t.current.arg(), self.step_stride(k, batch)];
        args.extend(self.any_constants_of(layer));
        args.extend([
            Arg::U32(layer.rule.forward),
            t.kept.arg(),
            Arg::U64(plane as u64),
            given(layer.rule.pre_differs, &t.mem),
            given(t.carried, &t.start),
            t.end.arg(),
            t.fired(),
            given(keeps_words, &t.when),
            batch.spikes(&self.slots, k),
            connections(layer),
            v,
            c,
            t.list.arg(),
        ]);
        args.extend([steps, samples, neurons, span].map(Arg::from));
        let grid = (blocks * samples, 1, 1);
        self.gpu.launch(kernels.forward, grid, threads, &args)
    }

    /// (3) of layer `k`, and the recurrent terms of (5), with (5) of the layer above if that is narrow.
    pub(super) fn backward_any(
        &mut self,
        k: usize,
        batch: &Batch,
        arriving: AdjointInputs,
        activity_penalty: f64,
    ) -> Result<()> {
        let Sizes {
            steps,
            samples,
            constant,
        } = batch.sizes;
        let (layer, t, gpu) = (&self.layout.layers[k], &mut self.traces[k], &self.gpu);
        let (neurons, kernels) = (layer.neurons, layer.rule.kind.kernels());
        let cells = samples * neurons;
        let (threads, span, blocks) = span(layer);
        let group = group(layer, samples);
        let groups = samples.div_ceil(group);
        gpu.reserve(&mut t.sum, cells)?;
        gpu.reserve(&mut t.passed, kernels.states * cells)?;
        gpu.reserve(&mut t.later, cells)?;
        for (held, shares) in layer.constants.iter().zip(&mut t.constants) {
            if held.learnt {
                gpu.reserve(shares, cells + groups * blocks)?;
            }
        }
        let own = layer.own.as_ref();
        let learns_each = own.is_some_and(|own| own.learn) && !layer.is_dense();
        if learns_each {
            gpu.reserve(&mut t.each, cells)?;
        }
        let t = &self.traces[k];
        let (number, peak, scale) = surrogate(layer.rule.surrogate);
        let mut args = vec![
            t.kept.arg(),
            Arg::U64((steps * cells) as u64),
            given(t.carried, &t.start),
            Arg::U32(layer.rule.forward),
            Arg::U32(layer.rule.backward),
            Arg::U32(number),
            Arg::F32(peak),
            Arg::F32(scale),
            given(arriving.g, &t.g),
            given(arriving.e > 0, &t.e),
            arriving.e.into(),
            Arg::U64((steps * cells) as u64),
        ];
        if self.narrow(k + 1) {
            let above = &self.layout.layers[k + 1];
            let a = self.traces[k + 1].current.arg();
            args.extend([a, self.param(&above.weight), above.neurons.into()]);
        } else {
            args.extend([NULL, NULL, Arg::U32(0)]);
        }
        args.extend([
            given(arriving.extra, &t.extra),
            self.price(k, activity_penalty),
        ]);
        args.extend(self.any_constants_of(layer));
        let constants = layer.constants.iter().zip(&t.constants);
        let mut outs: Vec<Arg> = constants
            .map(|(held, into)| given(held.learnt, into))
            .collect();
        outs.resize(MOST, NULL);
        args.extend(outs);
        args.extend([
            given(learns_each, &t.each),
            connections(layer),
            own.map_or(NULL, |own| self.param(&own.weight)),
            t.fired(),
            // Where it is not connected within, the sum is enough under a static input.
            given(own.is_some() || k > 0 || !constant, &t.current),
            t.sum.arg(),
            t.passed.arg(),
            t.later.arg(),
        ]);
        args.extend([steps, samples, neurons, span, group].map(Arg::from));
        let grid = (blocks * groups, 1, 1);
        self.gpu.launch(kernels.backward, grid, threads, &args)
    }

    /// What is to be collected of the constants of layer `k`: of each sample, or of each block.
    pub(super) fn any_constants(&self, k: usize, batch: &Batch, pieces: &mut Pieces) {
        let samples = batch.sizes.samples;
        let (layer, t) = (&self.layout.layers[k], &self.traces[k]);
        let (_, _, blocks) = span(layer);
        let groups = samples.div_ceil(group(layer, samples));
        for (held, from) in layer.constants.iter().zip(&t.constants) {
            if !held.learnt {
                continue;
            }
            let (from, rows) = match held.values.len() > 1 {
                true => (from.arg(), samples),
                false => (from.at(samples * layer.neurons), groups * blocks),
            };
            pieces.add(from, &self.gradients, &held.values, rows);
        }
    }

    /// (4) of the connections within layer `k`, if they are trained.
    pub(super) fn own_gradients(
        &mut self,
        k: usize,
        batch: &Batch,
        pieces: &mut Pieces,
    ) -> Result<()> {
        let Sizes { steps, samples, .. } = batch.sizes;
        let layer = &self.layout.layers[k];
        let neurons = layer.neurons;
        let Some(own) = layer.own.as_ref().filter(|own| own.learn) else {
            return Ok(());
        };
        let t = &mut self.traces[k];
        let Pattern::AllToAll { diagonal } = own.pattern else {
            pieces.add(t.each.arg(), &self.gradients, &own.weight, samples);
            return Ok(());
        };
        if let Some(bias) = &own.bias {
            pieces.add(t.sum.arg(), &self.gradients, bias, samples);
        }
        // The spikes of the step before each stand a row of samples before those of the step.
        let shape = (neurons, neurons, steps * samples);
        let cut_as = cut(shape.0, shape.1, shape.2);
        let parts = cut_as.2;
        self.gpu.reserve(&mut t.own, parts * neurons * neurons)?;
        let t = &self.traces[k];
        let names = ["gemm_weights_64", "gemm_weights_32"];
        let earlier = (t.spikes.arg(), words(neurons));
        let operands = ((t.current.arg(), neurons), earlier);
        let into = t.own.arg();
        self.product(names, 2, operands, (into, NULL), shape, cut_as)?;
        if !diagonal {
            let args = [into, neurons.into()];
            let grid = (neurons.div_ceil(256), parts, 1);
            self.gpu.launch("clear_diagonals", grid, 256, &args)?;
        }
        pieces.add(into, &self.gradients, &own.weight, parts);
        Ok(())
    }
}
