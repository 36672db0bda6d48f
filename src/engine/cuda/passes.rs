//! The passes: which kernel runs on what, and those of the way forward; [`back`](super::back) has the
//! others.
//!
//! | launch | what | reference |
//! |---|---|---|
//! | `gemm_forward` | currents of the first layer `[T·B, N]`, or `[B, N]` under a static input | (1) |
//! | `spikes_forward` | currents of a layer above `[T·B, N]` | (1) |
//! | `lif_forward` | spikes, states, spike counts | (2) |
//! | `readout` | losses, adjoint, classes | `loss`, `metrics` |
//! | `readout_narrow` | all of an output layer of at most 16 neurons above another layer | (1)–(3) |
//! | `lif_backward` | `a`, `Σ_t a`, the derivatives by the constants | (3) |
//! | `lif_backward_narrow` | the same below a layer of at most 16 neurons | (3), (5) |
//! | `weights_narrow` | that layer's `∂L/∂W` | (4) |
//! | `gemm_weights` | `∂L/∂W`, `∂L/∂V` | (4) |
//! | `gemm_below` | `e` of the layer below | (5) |
//! | `collect` | sums over parts of products, samples and blocks; are they finite? | (4) |
//! | `adam` | the update | `optim` |
//!
//! The `lif` and `readout_narrow` kernels are those of leaky neurons that are not connected within their
//! layer. All other layers have the pair of their neuron, `synaptic_forward` and `synaptic_backward` for
//! example, with the terms of `V` in them ([`any`](super::any)). [`dropped`](super::dropped) has what dropout
//! adds.
//!
//! One static-input hidden layer under a narrow output makes eight launches: `gemm_forward`,
//! `lif_forward`, `readout_narrow`, `lif_backward_narrow`, `weights_narrow`, `gemm_weights`, `collect`,
//! `adam`. No pass waits for the host before it ends. Every sum's order depends on the shapes alone;
//! currents are summed in the order of the CPU engine, so that both have the same spikes, and under a
//! static input so is all else that a layer below a narrow output and that output need.

use std::ops::Range;

use ndarray::Array2;

use super::{
    batch::{Batch, Sizes},
    device::{Arg, Buffer, NULL},
    layout::{AdjointInputs, LayerLayout, words},
    machine::{Machine, Traces},
};
use crate::{
    Error, Input, Loss, Objective, Result, State, Surrogate,
    dropout::Masks,
    neuron::{Shape, leaky},
};

/// The widest layer that a kernel takes along (`NARROW` in `ptx`).
const NARROW: usize = 16;

/// A matrix on the device: floats, bytes or bits (`Floats`, `Bytes`, `Bits` in `ptx/gemm.cu`).
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    pub kind: u32,
    pub at: Arg,
    pub stride: usize,
}

/// Threads of a block over neurons, and blocks for all of them.
pub(super) fn blocks(neurons: usize) -> (u32, usize) {
    let block = neurons.next_multiple_of(32).min(128);
    (block as u32, neurons.div_ceil(block))
}

pub(super) fn each(range: &Range<usize>) -> Arg {
    Arg::U32(u32::from(range.len() > 1))
}

pub(super) fn given<T: cust::memory::DeviceCopy>(there: bool, buffer: &Buffer<T>) -> Arg {
    if there { buffer.arg() } else { NULL }
}

/// Whether the kernels compute an objective; the host computes the others from a recording.
pub fn computes(objective: &Objective) -> bool {
    let on_host = matches!(
        objective.loss,
        Loss::CrossEntropyLastMembrane | Loss::CrossEntropyMeanMembrane { .. }
    );
    objective.loss.is_fused() && !on_host && objective.penalties.is_empty()
}

impl Machine {
    /// Refuses what the kernels' 32-bit indices cannot count.
    pub(super) fn check_sizes(&self, input: Input<'_>) -> Result<()> {
        let sizes = Sizes::of(input);
        let widths = self.layout.layers.iter().map(|l| l.neurons.max(l.inputs));
        let widest = widths.max().unwrap_or(0);
        let most = u32::MAX as usize / 4;
        let fits = |a: usize, b: usize| a.checked_mul(b).is_some_and(|n| n <= most);
        if fits(sizes.samples, widest) && fits(sizes.samples, sizes.steps) {
            return Ok(());
        }
        let found = format!(
            "{} for {} steps and {widest} neurons",
            sizes.samples, sizes.steps
        );
        let expected = "less than 2^30 neurons, and steps, in all samples of a batch";
        Err(Error::parameter("batch size", found, expected))
    }

    /// Whether (4) and (5) of layer `k` are taken along by the layer below it.
    pub(super) fn narrow(&self, k: usize) -> bool {
        let layer = self.layout.layers.get(k).filter(|_| k > 0);
        layer.is_some_and(|layer| layer.neurons <= NARROW && !layer.drops)
    }

    /// Whether the read-out runs all of layer `k`.
    pub(super) fn reads_out(&self, k: usize) -> bool {
        k + 1 == self.traces.len() && self.narrow(k) && self.layout.layers[k].leaky.is_some()
    }

    pub(super) fn param(&self, range: &Range<usize>) -> Arg {
        self.params.at(range.start)
    }

    /// A layer's constants, and whether each neuron has its own.
    pub(super) fn constants(&self, layer: &LayerLayout) -> impl Iterator<Item = Arg> {
        let values = layer.constants.iter().map(|held| &held.values);
        values.flat_map(|values| [self.param(values), each(values)])
    }

    /// What layer `k` reads.
    pub(super) fn below(&self, k: usize, batch: &Batch) -> Matrix {
        match k {
            0 => Matrix {
                kind: u32::from(batch.bytes),
                at: batch.input(&self.slots),
                stride: self.layout.layers[0].inputs,
            },
            _ => Matrix {
                kind: 2,
                at: match self.traces[k].dropped {
                    Some(_) => self.traces[k].left.arg(),
                    None => self.traces[k - 1].fired(),
                },
                stride: words(self.layout.layers[k - 1].neurons),
            },
        }
    }

    /// How many rows of it there are.
    pub(super) fn rows(&self, k: usize, batch: &Batch) -> usize {
        match k {
            0 => batch.sizes.rows(),
            _ => batch.sizes.steps * batch.sizes.samples,
        }
    }

    /// (1) and (2) of all layers from `start`, or from rest, and the loss, if there is one here. `back`: whether
    /// a pass back comes next, for which the loss's adjoint is left here, or comes from the host where there is
    /// no loss. `masks` say what is dropped.
    pub(super) fn forward(
        &mut self,
        batch: &Batch,
        start: Option<&State>,
        loss: Option<&Loss>,
        back: bool,
        masks: Option<&Masks>,
    ) -> Result<Vec<AdjointInputs>> {
        let Sizes { steps, samples, .. } = batch.sizes;
        let last = self.traces.len() - 1;
        for k in 0..=last {
            self.traces[k].carried = start.is_some();
            self.reserve_forward(k, batch)?;
            if let Some(start) = start {
                self.begin(k, samples, &start.layers[k])?;
            }
            self.send_masks(k, masks)?;
        }
        let classes = self.layout.layers[last].neurons;
        self.gpu.reserve(&mut self.scratch, samples * classes)?;
        self.gpu.receive(&mut self.slots[batch.slot])?;
        for k in 0..=last {
            self.drop_spikes(k, batch)?;
            if self.reads_out(k) {
                break;
            }
            self.currents(k, batch)?; // (1)
            let keeps_words = back && self.narrow(k + 1);
            if keeps_words {
                let words = steps.div_ceil(32) * samples * self.layout.layers[k].neurons;
                self.gpu.reserve(&mut self.traces[k].when, words)?;
            }
            match self.layout.layers[k].leaky {
                Some(rule) => self.forward_leaky(k, rule, batch, keeps_words)?, // (2)
                None => self.forward_any(k, batch, keeps_words)?,               // (1), (2)
            }
        }
        self.read_out(batch, loss, back)
    }

    /// Room for what a layer's pass forward leaves.
    fn reserve_forward(&mut self, k: usize, batch: &Batch) -> Result<()> {
        let Sizes { steps, samples, .. } = batch.sizes;
        let rows = self.rows(k, batch);
        let (layer, t, gpu) = (&self.layout.layers[k], &mut self.traces[k], &self.gpu);
        let (cells, words) = (samples * layer.neurons, samples * words(layer.neurons));
        t.before = if layer.own.is_some() { words } else { 0 };
        gpu.reserve(&mut t.spikes, t.before + steps * words)?;
        // Currents, and adjoints in their place: all of them, where they are sent back within the layer.
        let rows = match layer.own {
            Some(_) => steps * samples,
            None => rows,
        };
        gpu.reserve(&mut t.current, rows * layer.neurons)?;
        if layer.rule.pre_differs && layer.leaky.is_some() {
            gpu.reserve(&mut t.pre, steps * cells)?;
        }
        t.first = match layer.leaky {
            Some(_) if t.carried => cells,
            _ => 0,
        };
        if layer.leaky.is_some() || layer.rule.pre_differs {
            gpu.reserve(&mut t.mem, t.first + steps * cells)?;
        }
        if layer.leaky.is_none() {
            let kernels = layer.rule.kind.kernels();
            gpu.reserve(&mut t.kept, kernels.kept * steps * cells)?;
            gpu.reserve(&mut t.end, kernels.states * cells)?;
        }
        Ok(())
    }

    /// Sends the state of layer `k` before the first step.
    fn begin(&mut self, k: usize, samples: usize, start: &[Array2<f32>]) -> Result<()> {
        let (layer, t, gpu) = (&self.layout.layers[k], &mut self.traces[k], &self.gpu);
        let cells = samples * layer.neurons;
        let mut values: Vec<f32> = start[..layer.states].iter().flatten().copied().collect();
        if layer.leaky.is_some() {
            return gpu.upload(&mut t.mem, &values);
        }
        // Numbers that the neurons do not have in their state begin at 0.
        values.resize(layer.rule.kind.kernels().states * cells, 0.0);
        gpu.reserve(&mut t.start, values.len())?;
        gpu.upload(&mut t.start, &values)?;
        let Some(spikes) = start.get(layer.states) else {
            return Ok(());
        };
        let rows = spikes.rows().into_iter();
        let bits: Vec<u32> = rows
            .flat_map(|row| bits(row.iter().map(|&x| x != 0.0)))
            .collect();
        gpu.upload(&mut t.spikes, &bits)
    }

    /// (1) of layer `k`, from below.
    fn currents(&self, k: usize, batch: &Batch) -> Result<()> {
        let (layer, t) = (&self.layout.layers[k], &self.traces[k]);
        let (neurons, rows) = (layer.neurons, self.rows(k, batch));
        let below = self.below(k, batch);
        let mut args = vec![
            below.at,
            self.weight_below(k),
            self.param(&layer.bias),
            t.current.arg(),
            rows.into(),
            neurons.into(),
            layer.inputs.into(),
        ];
        if k == 0 {
            args.insert(0, Arg::U32(below.kind));
            let grid = (rows.div_ceil(32), neurons.div_ceil(32), 1);
            self.gpu.launch("gemm_forward", grid, 128, &args)
        } else {
            let grid = (rows.div_ceil(32), neurons.div_ceil(64), 1);
            self.gpu.launch("spikes_forward", grid, 256, &args)
        }
    }

    /// How far the currents of a step lie from those of the step before: not at all, if they are the same.
    pub(super) fn step_stride(&self, k: usize, batch: &Batch) -> Arg {
        let cells = batch.sizes.samples * self.layout.layers[k].neurons;
        let same = k == 0 && batch.sizes.constant;
        Arg::U64(if same { 0 } else { cells as u64 })
    }

    /// (2) of a layer of leaky neurons.
    fn forward_leaky(
        &self,
        k: usize,
        rule: leaky::Rule,
        batch: &Batch,
        keeps_words: bool,
    ) -> Result<()> {
        let (layer, t) = (&self.layout.layers[k], &self.traces[k]);
        let (block, blocks) = blocks(layer.neurons);
        let samples = batch.sizes.samples;
        let mut args = vec![t.current.arg(), self.step_stride(k, batch)];
        args.extend(self.constants(layer));
        args.extend([t.spikes.arg(), given(keeps_words, &t.when)]);
        args.extend(stored(layer, t));
        args.extend([
            batch.spikes(&self.slots, k),
            batch.sizes.steps.into(),
            samples.into(),
            layer.neurons.into(),
            carried(t),
            Arg::U32(rule.reset as u32),
        ]);
        let names = ["lif_forward_fti", "lif_forward_itf", "lif_forward_ifr"];
        let name = names[rule.dynamics as usize];
        self.gpu
            .launch(name, (blocks * samples, 1, 1), block, &args)
    }
}

/// Where the membranes of leaky neurons are stored, and those that their spikes read, if they are others.
pub(super) fn stored(layer: &LayerLayout, t: &Traces) -> [Arg; 2] {
    [t.mem.at(t.first), given(layer.rule.pre_differs, &t.pre)]
}

/// Words of bits.
pub(super) fn bits(of: impl ExactSizeIterator<Item = bool>) -> Vec<u32> {
    let mut bits = vec![0; words(of.len())];
    for (n, bit) in of.enumerate() {
        bits[n / 32] |= u32::from(bit) << (n % 32);
    }
    bits
}

/// Whether the state before the first step is stored before it.
pub(super) fn carried(t: &Traces) -> Arg {
    Arg::U32(u32::from(t.first > 0))
}

/// Where the derivatives by the constants go that are learnt.
pub(super) fn learnt(layer: &LayerLayout, t: &Traces) -> impl Iterator<Item = Arg> {
    let constants = layer.constants.iter().zip(&t.constants);
    constants.map(|(held, into)| given(held.learnt, into))
}

/// What the kernels of leaky neurons are told of their rule: `Rule` in `ptx/lif.cuh`.
pub(super) fn rule(layer: &LayerLayout) -> impl Iterator<Item = Arg> {
    let (surrogate, peak, scale) = surrogate(layer.rule.surrogate);
    let common = layer.common();
    layer.leaky.into_iter().flat_map(move |rule| {
        [
            Arg::U32(rule.reset as u32),
            Arg::U32(u32::from(rule.attached())),
            Arg::U32(surrogate),
            Arg::F32(peak),
            Arg::F32(scale),
            Arg::U32(u32::from(common)),
        ]
    })
}

/// The kernels' number of a surrogate, as in `ptx/neuron.cuh`, and its constants.
pub(super) fn surrogate(surrogate: Surrogate) -> (u32, f32, f32) {
    let number = match surrogate {
        Surrogate::Arctan { .. } => 0,
        Surrogate::FastSigmoid { .. } => 1,
        Surrogate::Sigmoid { .. } => 2,
        Surrogate::Triangular => 3,
        Surrogate::StraightThrough => 4,
    };
    let [peak, scale] = surrogate.constants().map(|c| c as f32);
    (number, peak, scale)
}
