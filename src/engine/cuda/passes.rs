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
//! | `gemm_weights` | `∂L/∂W` | (4) |
//! | `gemm_below` | `e` of the layer below | (5) |
//! | `collect` | sums over parts of products, samples and blocks; are they finite? | (4) |
//! | `adam` | the update | `optim` |
//!
//! The `lif` and `readout_narrow` kernels are those of leaky neurons; current-based ones have the same with
//! `synaptic` in their names ([`Kernels`]), in a module that is loaded where a network has such a layer.
//!
//! One static-input hidden layer under a narrow output makes eight launches: `gemm_forward`,
//! `lif_forward`, `readout_narrow`, `lif_backward_narrow`, `weights_narrow`, `gemm_weights`, `collect`,
//! `adam`. No pass waits for the host before it ends. Every sum's order depends on the shapes alone;
//! currents are summed in the order of the CPU engine, so that both have the same spikes, and under a
//! static input so is all else that a layer below a narrow output and that output need.

use std::ops::Range;

use super::{
    batch::{Batch, Sizes},
    device::{Arg, Buffer, NULL},
    layout::{AdjointInputs, Kind, LayerLayout, words},
    machine::{Machine, Traces},
};
use crate::{Error, Input, Loss, Objective, Result, State, Surrogate, neuron::Shape};

/// The widest layer that a kernel takes along (`NARROW` in `ptx`).
const NARROW: usize = 16;

/// A matrix on the device: floats, bytes or bits (`Floats`, `Bytes`, `Bits` in `ptx/gemm.cu`).
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    pub kind: u32,
    pub at: Arg,
    pub stride: usize,
}

/// The kernels of a kind of neurons, in the order of [`Dynamics`](crate::Dynamics).
#[derive(Debug)]
pub(super) struct Kernels {
    forward: [&'static str; 3],
    pub backward: [&'static str; 3],
    pub backward_narrow: [&'static str; 3],
    readout_narrow: &'static str,
}

/// Those of a layer.
pub(super) fn kernels(layer: &LayerLayout) -> &'static Kernels {
    match layer.kind {
        Kind::Leaky => &Kernels {
            forward: ["lif_forward_fti", "lif_forward_itf", "lif_forward_ifr"],
            backward: ["lif_backward_fti", "lif_backward_itf", "lif_backward_ifr"],
            backward_narrow: [
                "lif_backward_narrow_fti",
                "lif_backward_narrow_itf",
                "lif_backward_narrow_ifr",
            ],
            readout_narrow: "readout_narrow",
        },
        Kind::Synaptic { .. } => &Kernels {
            forward: [
                "synaptic_forward_fti",
                "synaptic_forward_itf",
                "synaptic_forward_ifr",
            ],
            backward: [
                "synaptic_backward_fti",
                "synaptic_backward_itf",
                "synaptic_backward_ifr",
            ],
            backward_narrow: [
                "synaptic_backward_narrow_fti",
                "synaptic_backward_narrow_itf",
                "synaptic_backward_narrow_ifr",
            ],
            readout_narrow: "synaptic_readout_narrow",
        },
    }
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

    /// Whether layer `k` is taken along by the kernels of the layer below it.
    pub(super) fn narrow(&self, k: usize) -> bool {
        k > 0 && k < self.layout.layers.len() && self.layout.layers[k].neurons <= NARROW
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
                at: self.traces[k - 1].spikes.arg(),
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

    /// `c [m, n] = a · b` over `k`, cut as given; `data` is the kind of the operand that may be other
    /// than floats; `flag` is for a gradient in one part, see `ptx/gemm.cu`.
    pub(super) fn product(
        &self,
        names: [&'static str; 2],
        data: u32,
        (a, b): ((Arg, usize), (Arg, usize)),
        (c, flag): (Arg, Arg),
        (m, n, k): (usize, usize, usize),
        (tile, part, parts): (usize, usize, usize),
    ) -> Result<()> {
        let wide = |n: usize| Arg::U64(n as u64);
        let args = [
            Arg::U32(data),
            a.0,
            wide(a.1),
            b.0,
            wide(b.1),
            c,
            m.into(),
            n.into(),
            k.into(),
            part.into(),
            flag,
        ];
        let grid = (m.div_ceil(tile), n.div_ceil(tile), parts);
        self.gpu
            .launch(names[usize::from(tile == 32)], grid, 256, &args)
    }

    /// (1) and (2) of all layers from `start`, or from rest, and the loss, if there is one here. `back`: whether a pass back comes
    /// next, for which the loss's adjoint is left here, or comes from the host where there is no loss.
    pub(super) fn forward(
        &mut self,
        batch: &Batch,
        start: Option<&State>,
        loss: Option<&Loss>,
        back: bool,
    ) -> Result<Vec<AdjointInputs>> {
        let Sizes {
            steps,
            samples,
            constant,
        } = batch.sizes;
        let last = self.traces.len() - 1;
        let gpu = &self.gpu;
        for (k, (layer, t)) in self.layout.layers.iter().zip(&mut self.traces).enumerate() {
            gpu.reserve(&mut t.spikes, steps * samples * words(layer.neurons))?;
            let cells = samples * layer.neurons;
            t.first = start.map_or(0, |_| cells);
            gpu.reserve(&mut t.mem, t.first + steps * cells)?;
            if layer.rule.pre_differs() {
                gpu.reserve(&mut t.pre, steps * cells)?;
            }
            if layer.kind != Kind::Leaky {
                gpu.reserve(&mut t.syn, t.first + steps * cells)?;
            }
            for (number, into) in start
                .map_or(&[][..], |s| &s.layers[k])
                .iter()
                .zip([&mut t.mem, &mut t.syn])
            {
                let values: Vec<f32> = number.iter().copied().collect();
                gpu.upload(into, &values)?;
            }
            // Neurons without a current of their own begin with none.
            if start.is_some_and(|s| s.layers[k].len() == 1) && layer.kind != Kind::Leaky {
                gpu.upload(&mut t.syn, &vec![0.0; cells])?;
            }
            // Currents, and adjoints in their place.
            let rows = if k == 0 {
                batch.sizes.rows()
            } else {
                steps * samples
            };
            gpu.reserve(&mut t.current, rows * layer.neurons)?;
        }
        let classes = self.layout.layers[last].neurons;
        gpu.reserve(&mut self.scratch, samples * classes)?;
        gpu.receive(&mut self.slots[batch.slot])?;
        for k in 0..=last {
            if k == last && self.narrow(k) {
                break;
            }
            let layer = &self.layout.layers[k];
            let (inputs, neurons, rows) = (layer.inputs, layer.neurons, self.rows(k, batch));
            let (below, currents) = (self.below(k, batch), self.traces[k].current.arg());
            let (weight, bias) = (self.param(&layer.weight), self.param(&layer.bias));
            let sizes: [Arg; 3] = [rows.into(), neurons.into(), inputs.into()];
            if k == 0 {
                let mut args = vec![Arg::U32(below.kind), below.at, weight, bias, currents];
                args.extend(sizes);
                let grid = (rows.div_ceil(32), neurons.div_ceil(32), 1);
                self.gpu.launch("gemm_forward", grid, 128, &args)?; // (1)
            } else {
                let mut args = vec![below.at, weight, bias, currents];
                args.extend(sizes);
                let grid = (rows.div_ceil(32), neurons.div_ceil(64), 1);
                self.gpu.launch("spikes_forward", grid, 256, &args)?; // (1)
            }
            let keeps_words = back && self.narrow(k + 1);
            if keeps_words {
                let words = steps.div_ceil(32) * samples * neurons;
                self.gpu.reserve(&mut self.traces[k].when, words)?;
            }
            let (layer, t) = (&self.layout.layers[k], &self.traces[k]);
            let cells = samples * neurons;
            let stride = if k == 0 && constant { 0 } else { cells };
            let (block, blocks) = blocks(neurons);
            let mut args = vec![currents, Arg::U64(stride as u64)];
            args.extend(self.constants(layer));
            args.extend([t.spikes.arg(), given(keeps_words, &t.when)]);
            args.extend(stored(layer, t));
            args.extend([
                batch.spikes(&self.slots, k),
                steps.into(),
                samples.into(),
                neurons.into(),
                carried(t),
                Arg::U32(layer.rule.reset as u32),
            ]);
            args.extend(old_current(layer));
            let name = kernels(layer).forward[layer.rule.dynamics as usize];
            self.gpu
                .launch(name, (blocks * samples, 1, 1), block, &args)?; // (2)
        }
        self.read_out(batch, loss, back)
    }

    /// Losses (unless there is none: classes alone) and, with `back`, their adjoint of the output; all of
    /// the output layer, if it is narrow.
    fn read_out(
        &mut self,
        batch: &Batch,
        loss: Option<&Loss>,
        back: bool,
    ) -> Result<Vec<AdjointInputs>> {
        let Sizes { steps, samples, .. } = batch.sizes;
        let last = self.traces.len() - 1;
        let narrow = self.narrow(last);
        let layer = &self.layout.layers[last];
        let classes = layer.neurons;
        let (mean, element) = (
            1.0 / samples as f64,
            1.0 / (steps as f64 * samples as f64 * classes as f64),
        );
        let back = back && loss.is_some();
        let aim = |rate: f64| (steps as f64 * rate).floor() as f32;
        // The kernel's number of the loss, what it aims at, the adjoint's scale, and whether the
        // adjoint is that of spikes.
        let (kind, on, off, share, of_spikes) = match loss {
            None => (0, 0.0, 0.0, 0.0, false),
            Some(Loss::CrossEntropyMembrane) => (1, 0.0, 0.0, mean, false),
            Some(Loss::CrossEntropyCount) => (2, 0.0, 0.0, mean, true),
            Some(Loss::CrossEntropyRate) => {
                (3, 0.0, 0.0, 1.0 / (samples as f64 * steps as f64), true)
            }
            Some(Loss::CrossEntropyMaxMembrane) => (4, 0.0, 0.0, mean, false),
            Some(&Loss::MseCount {
                correct_rate,
                incorrect_rate,
            }) => (
                5,
                aim(correct_rate),
                aim(incorrect_rate),
                2.0 * element,
                true,
            ),
            Some(&Loss::MseMembrane {
                on_target,
                off_target,
            }) => (6, on_target as f32, off_target as f32, 2.0 * element, false),
            Some(_) => {
                unreachable!("these losses are computed on the host")
            }
        };
        let traces = &mut self.traces[last];
        let mut adjoint = NULL;
        if back {
            let which = if of_spikes {
                &mut traces.e
            } else {
                &mut traces.g
            };
            self.gpu.reserve(which, steps * samples * classes)?;
            adjoint = which.arg();
        }
        let mut arriving = vec![AdjointInputs::default(); last + 1];
        arriving[last] = AdjointInputs {
            e: usize::from(back && of_spikes),
            g: back && !of_spikes,
            extra: false,
            done: back && narrow,
        };
        if back && narrow {
            self.reserve_sums(last, samples, samples)?;
        }
        let (layer, t) = (&self.layout.layers[last], &self.traces[last]);
        let of_batch = [Arg::F32(on), Arg::F32(off), Arg::F32(share as f32), adjoint];
        let results = [
            self.scratch.arg(),
            batch.losses(&self.slots),
            batch.by_count(&self.slots),
            batch.by_membrane(&self.slots),
            batch.flags(&self.slots),
        ];
        let sizes: [Arg; 3] = [steps.into(), samples.into(), classes.into()];
        if !narrow {
            let mut args = vec![
                t.spikes.arg(),
                t.mem.at(t.first),
                batch.targets(&self.slots),
                Arg::U32(kind),
            ];
            args.extend(of_batch);
            args.extend(results);
            args.extend(sizes);
            self.gpu.launch("readout", (samples, 1, 1), 256, &args)?;
            return Ok(arriving);
        }
        let below = self.below(last, batch);
        let mut args = vec![
            below.at,
            layer.inputs.into(),
            self.param(&layer.weight),
            self.param(&layer.bias),
        ];
        args.extend(self.constants(layer));
        args.push(Arg::U32(layer.rule.dynamics as u32));
        args.extend(rule(layer));
        args.push(t.spikes.arg());
        args.extend(stored(layer, t));
        args.extend([
            batch.spikes(&self.slots, last),
            batch.targets(&self.slots),
            Arg::U32(kind),
        ]);
        args.extend(of_batch);
        args.push(Arg::U32(u32::from(of_spikes)));
        args.extend(results);
        args.extend([t.current.arg(), t.sum.arg()]);
        args.extend(learnt(layer, t));
        args.extend(sizes);
        args.push(carried(t));
        let name = kernels(layer).readout_narrow;
        self.gpu.launch(name, (samples, 1, 1), 256, &args)?; // (1)–(3)
        Ok(arriving)
    }
}

/// Where a layer's state is stored, and the membrane that its spikes read, if that is another one.
pub(super) fn stored(layer: &LayerLayout, t: &Traces) -> impl Iterator<Item = Arg> {
    let syn = (layer.kind != Kind::Leaky).then(|| t.syn.at(t.first));
    let pre = given(layer.rule.pre_differs(), &t.pre);
    [t.mem.at(t.first)].into_iter().chain(syn).chain([pre])
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

/// What the rule of current-based neurons has beside that of leaky ones.
pub(super) fn old_current(layer: &LayerLayout) -> Option<Arg> {
    match layer.kind {
        Kind::Leaky => None,
        Kind::Synaptic { old_current } => Some(Arg::U32(u32::from(old_current))),
    }
}

/// What the kernels are told of a layer's rule: `Rule` in `ptx/lif.cuh`.
pub(super) fn rule(layer: &LayerLayout) -> impl Iterator<Item = Arg> {
    let (surrogate, peak, scale) = surrogate(layer.rule.surrogate);
    let of_membrane = [
        Arg::U32(layer.rule.reset as u32),
        Arg::U32(u32::from(layer.rule.attached())),
        Arg::U32(surrogate),
        Arg::F32(peak),
        Arg::F32(scale),
        Arg::U32(u32::from(layer.common())),
    ];
    of_membrane.into_iter().chain(old_current(layer))
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
