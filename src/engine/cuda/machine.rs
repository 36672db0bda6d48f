//! A network's state on the device: parameters, what the optimizer keeps, what the passes leave, and the batches.
//!
//! What runs on it is in [`passes`](super::passes), where its numbers lie in [`layout`](super::layout),
//! how a batch comes and its report goes in [`batch`](super::batch).

use super::{
    batch::{Batch, Flags, Report},
    context::Entered,
    device::{Arg, Buffer, Gpu, Slot},
    layout::{AdjointInputs, LayerLayout, Layout, Piece},
};
use crate::{
    Adjoints, Gradients, Input, Network, Objective, Optimizer, Result, State, dropout::Masks,
    state::Carry,
};

/// What one layer's passes leave on the device. `N` neurons, `T` steps, `B` samples.
#[derive(Debug, Default)]
pub struct Traces {
    /// Currents going forward, then their adjoints `a`, `[T, B, N]`.
    pub current: Buffer<f32>,
    /// Bits, `[T, B, N / 32]` words; of a layer that is connected within, after those before the first step.
    pub spikes: Buffer<u32>,
    /// Where the first step begins in them.
    pub before: usize,
    /// The same by neuron, a word for 32 steps: `[T / 32, B, N]`. Of a layer below a narrow one.
    pub when: Buffer<u32>,
    /// Recorded membranes, `[T, B, N]`, unless they are the first number kept. Those of leaky neurons' own
    /// kernels stand after those before the first step, if they are not at rest.
    pub mem: Buffer<f32>,
    /// Where the first step begins in them: at 0, or at `B · N`.
    pub first: usize,
    /// The membrane that the spike read, where it is another one; of leaky neurons' own kernels.
    pub pre: Buffer<f32>,
    /// Of the kernels of any neuron: what is kept of the steps, `[K, T, B, N]`.
    pub kept: Buffer<f32>,
    /// Their state before the first step and after the last, `[S, B, N]`.
    pub start: Buffer<f32>,
    pub end: Buffer<f32>,
    /// Whether the pass began with a state.
    pub carried: bool,
    /// What passes to the step before, on the way back, and arrives at its spikes: `[S, B, N]`, `[B, N]`.
    pub passed: Buffer<f32>,
    pub later: Buffer<f32>,
    /// The recurrent weights transposed; lists of spikes; shares of the weights' gradient.
    pub across: Buffer<f32>,
    pub list: Buffer<u32>,
    pub own: Buffer<f32>,
    /// `1/(1 − p)`, if inputs of the pass are dropped: its masks `[B, in / 32]` as bits, the spikes below that
    /// are left, and the weights times the scale.
    pub dropped: Option<f32>,
    pub keep: Buffer<u32>,
    pub left: Buffer<u32>,
    pub scaled: Buffer<f32>,
    /// What arrives at spikes: from the layer above, in the parts of its product, or from the loss.
    pub e: Buffer<f32>,
    /// The loss's adjoint of membranes.
    pub g: Buffer<f32>,
    /// A custom loss's adjoint of hidden spikes.
    pub extra: Buffer<f32>,
    /// `Σ_t a`, `[B, N]`.
    pub sum: Buffer<f32>,
    /// Shares of the derivatives by the constants, in their order, by the weights of neurons to themselves, and
    /// of `∂L/∂W`, on their way to a sum.
    pub constants: Vec<Buffer<f32>>,
    pub each: Buffer<f32>,
    pub weight: Buffer<f32>,
}

impl Traces {
    /// The spikes of the first step, and those behind them.
    pub fn fired(&self) -> Arg {
        self.spikes.at(self.before)
    }

    /// The recorded membranes, and where they begin.
    pub fn membranes(&self, layer: &LayerLayout) -> (&Buffer<f32>, usize) {
        match layer.leaky.is_some() || layer.rule.pre_differs {
            true => (&self.mem, self.first),
            false => (&self.kept, 0),
        }
    }
}

/// The most batches sent ahead: one is computed on while the next arrives.
const AHEAD: usize = 2;

/// The state on the device. The `gpu` is dropped last, after all memory.
#[derive(Debug)]
pub struct Machine {
    pub(super) layout: Layout,
    pub(super) traces: Vec<Traces>,
    pub(super) params: Buffer<f32>,
    pub(super) gradients: Buffer<f32>,
    /// The weighted sum of gradients since the last update, once there is one.
    pub(super) sum: Buffer<f32>,
    /// What the optimizer keeps for each trained number; both have room for all.
    pub(super) kept: [Buffer<f32>; 2],
    pub(super) low: Buffer<f32>,
    pub(super) high: Buffer<f32>,
    /// Scores `[B, C]` of the read-out.
    pub(super) scratch: Buffer<f32>,
    /// What `collect` adds up, as on the device, and the sums of squares of its blocks.
    pub(super) pieces: Vec<Piece>,
    pub(super) pieces_there: Buffer<u64>,
    pub(super) squares: Buffer<f64>,
    pub(super) blocks: usize,
    /// Of an update from the sum: gradients refused, parameter infinite.
    pub(super) flags: Buffer<u32>,
    /// Those of the batches sent ahead, and one for any other.
    pub(super) slots: [Slot; AHEAD + 1],
    /// Batches that were sent ahead and not yet used, the one sent first in front.
    ahead: Vec<Batch>,
    /// Whether a batch was once taken for another.
    wary: bool,
    pub(super) gpu: Gpu,
}

/// The kernels of connections within a layer, and of dropout.
const SYNAPSES: &str = include_str!("../../../ptx/synapses.ptx");

/// Whether the norm of all gradients will be wanted.
fn clips(optimizer: Option<&Optimizer>) -> bool {
    optimizer.is_some_and(|optimizer| optimizer.clip_norm.is_some())
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Memory is given back to the context that this thread has: make it the right one.
        self.gpu.close();
    }
}

impl Machine {
    /// Puts a network on the device, with what the optimizer keeps.
    pub fn new(mut gpu: Gpu, network: &Network, kept: &[Gradients]) -> Result<Self> {
        let _entered = gpu.enter()?;
        let layout = Layout::new(network)?;
        for layer in &layout.layers {
            if layer.leaky.is_none() {
                gpu.load(layer.rule.kind.kernels().source)?;
            }
            if layer.is_dense() || layer.drops {
                gpu.load(SYNAPSES)?;
            }
        }
        let place = |values: &[f32]| {
            let mut buffer = Buffer::default();
            gpu.reserve(&mut buffer, values.len().max(1))?;
            gpu.upload(&mut buffer, values)?;
            Ok::<_, crate::Error>(buffer)
        };
        let params = place(&layout.parameters(network))?;
        let (low, high) = layout.bounds();
        let (low, high) = (place(&low)?, place(&high)?);
        let row = |n: usize| match kept.get(n) {
            Some(kept) => layout.row(kept),
            None => vec![0.0; layout.trained],
        };
        let kept = [place(&row(0))?, place(&row(1))?];
        let mut gradients = Buffer::default();
        gpu.reserve(&mut gradients, layout.trained.max(1))?;
        Ok(Machine {
            traces: (layout.layers.iter())
                .map(|layer| Traces {
                    constants: layer.constants.iter().map(|_| Buffer::default()).collect(),
                    ..Traces::default()
                })
                .collect(),
            layout,
            params,
            gradients,
            sum: Buffer::default(),
            kept,
            low,
            high,
            scratch: Buffer::default(),
            pieces: Vec::new(),
            pieces_there: Buffer::default(),
            squares: Buffer::default(),
            blocks: 0,
            flags: Buffer::default(),
            slots: Default::default(),
            ahead: Vec::new(),
            wary: false,
            gpu,
        })
    }

    /// Every use of the device from a thread begins here, and ends where the result is dropped.
    pub fn enter(&self) -> Result<Entered> {
        self.gpu.enter()
    }

    pub fn describe(&self) -> String {
        self.gpu.describe()
    }

    /// Gradients of the last pass back.
    pub fn gradients(&self) -> Result<Gradients> {
        self.row(&self.gradients)
    }

    /// The first `count` of what the optimizer keeps.
    pub fn kept(&self, count: usize) -> Result<Vec<Gradients>> {
        self.kept[..count]
            .iter()
            .map(|kept| self.row(kept))
            .collect()
    }

    /// Replaces what the optimizer keeps.
    pub fn set_kept(&mut self, kept: &[Gradients]) -> Result<()> {
        for (n, buffer) in self.kept.iter_mut().enumerate() {
            let row = match kept.get(n) {
                Some(kept) => self.layout.row(kept),
                None => vec![0.0; self.layout.trained],
            };
            self.gpu.upload(buffer, &row)?;
        }
        Ok(())
    }

    /// The sum of gradients.
    pub fn sum(&self) -> Result<Gradients> {
        self.row(&self.sum)
    }

    /// Replaces the sum of gradients.
    pub fn set_sum(&mut self, gradients: &Gradients) -> Result<()> {
        self.gpu
            .reserve(&mut self.sum, self.layout.trained.max(1))?;
        self.gpu.upload(&mut self.sum, &self.layout.row(gradients))
    }

    /// Replaces all parameters, and the constants that are not learned.
    pub fn set_parameters(&mut self, network: &Network) -> Result<()> {
        let row = self.layout.parameters(network);
        self.gpu.upload(&mut self.params, &row)
    }

    /// What a buffer has for the trained numbers; others have 0.
    fn row(&self, buffer: &Buffer<f32>) -> Result<Gradients> {
        let mut row = vec![0.0; self.layout.len];
        let trained = &mut row[..self.layout.trained];
        self.gpu.download(buffer, trained)?;
        Ok(self.layout.tensors(&row))
    }

    /// Brings the parameters into `network`.
    pub fn parameters(&self, network: &mut Network) -> Result<()> {
        let mut row = vec![0.0; self.layout.len];
        self.gpu.download(&self.params, &mut row)?;
        let tensors = self.layout.tensors(&row);
        for (layer, now) in network.layers_mut().iter_mut().zip(tensors.layers) {
            layer.weight = now.weight;
            now.bias.into_iter().for_each(|bias| layer.bias = bias);
            layer.recurrent = now.recurrent;
            layer.set_learnt(now.constants);
        }
        Ok(())
    }

    /// Sends a batch to the device for a later update; returns before it is there. Where there are too
    /// many, it takes the place of the one sent first, which was not asked for.
    pub fn prefetch(&mut self, input: Input<'_>, targets: &[usize]) -> Result<()> {
        if self.ahead.len() == AHEAD {
            self.ahead.remove(0);
        }
        let batch = self.send(input, targets)?;
        self.ahead.push(batch);
        Ok(())
    }

    /// Sends a batch to a slot that has none sent ahead.
    pub(super) fn send(&mut self, input: Input<'_>, targets: &[usize]) -> Result<Batch> {
        self.check_sizes(input)?;
        let taken = |slot: &usize| self.ahead.iter().any(|batch| batch.slot == *slot);
        let slot = (0..=AHEAD).find(|slot| !taken(slot));
        let slot = slot.expect("there are more slots than batches sent ahead");
        let layers = self.layout.layers.len();
        Batch::send(&self.gpu, &mut self.slots, slot, layers, input, targets)
    }

    /// Loss and, if asked for, gradients and an update. The batch of an update may have been sent ahead:
    /// the device then begins at once with the one that looks like it, and the host makes sure meanwhile
    /// that it is. If not, the right one is sent and computed after all; no update is made before that is
    /// clear, and from then on it is made clear before anything is computed.
    pub fn run(
        &mut self,
        input: Input<'_>,
        targets: &[usize],
        objective: &Objective,
        back: bool,
        (optimizer, masks): (Option<&Optimizer>, Option<&Masks>),
        carry: Option<Carry<'_>>,
    ) -> Result<Report> {
        let start = carry.as_ref().map(|carry| carry.start);
        let looks = |batch: &Batch| match self.wary {
            true => batch.is(&self.slots, input, targets),
            false => batch.may_be(&self.slots, input, targets),
        };
        let there = optimizer.and_then(|_| self.ahead.iter().position(looks));
        let there = there.filter(|_| start.is_none());
        let mut right = None;
        if let Some(there) = there {
            let guess = self.ahead.remove(there);
            self.pass(&guess, objective, back, (optimizer, masks), None)?;
            right = guess.is(&self.slots, input, targets).then_some(guess);
            self.wary |= right.is_none();
        }
        let batch = match right {
            Some(batch) => batch,
            None => {
                let batch = self.send(input, targets)?;
                self.pass(&batch, objective, back, (optimizer, masks), start)?;
                batch
            }
        };
        self.leave(&batch, carry)?; // while nothing has been updated
        if let Some(optimizer) = optimizer {
            self.apply(batch.flags(&self.slots), false, optimizer)?;
        }
        batch.report(&self.gpu, &self.slots, true)
    }

    fn pass(
        &mut self,
        batch: &Batch,
        objective: &Objective,
        back: bool,
        (optimizer, masks): (Option<&Optimizer>, Option<&Masks>),
        start: Option<&State>,
    ) -> Result<()> {
        let mut arriving = self.forward(batch, start, Some(&objective.loss), back, masks)?;
        if back {
            let clip = clips(optimizer);
            self.backward(batch, &mut arriving, objective.rate_l1, clip)?;
        }
        Ok(())
    }

    /// Gradients, and an update if asked for, from a custom loss's adjoints, for the input that was
    /// recorded just before, to this end.
    pub fn run_adjoints(
        &mut self,
        input: Input<'_>,
        adjoints: &Adjoints,
        optimizer: Option<&Optimizer>,
    ) -> Result<Flags> {
        let batch = self.send(input, &[])?;
        self.gpu.receive(&mut self.slots[batch.slot])?;
        let last = self.traces.len() - 1;
        let mut arriving = vec![AdjointInputs::default(); last + 1];
        let layers = self.traces.iter_mut().zip(&adjoints.layers);
        for (k, ((t, adjoint), arriving)) in layers.zip(&mut arriving).enumerate() {
            let spikes = if k == last { &mut t.e } else { &mut t.extra };
            for (values, into) in [(&adjoint.spk, spikes), (&adjoint.mem, &mut t.g)] {
                if let Some(values) = values {
                    let values: Vec<f32> = values.iter().copied().collect();
                    self.gpu.reserve(into, values.len())?;
                    self.gpu.upload(into, &values)?;
                }
            }
            arriving.e = usize::from(k == last && adjoint.spk.is_some());
            arriving.g = adjoint.mem.is_some();
            arriving.extra = k < last && adjoint.spk.is_some();
        }
        let clip = clips(optimizer);
        self.backward(&batch, &mut arriving, 0.0, clip)?;
        if let Some(optimizer) = optimizer {
            self.apply(batch.flags(&self.slots), false, optimizer)?;
        }
        batch.outcome(&self.gpu, &self.slots)
    }

    /// Each sample's class by spike count and by membrane.
    pub fn classify(&mut self, input: Input<'_>) -> Result<(Vec<u32>, Vec<u32>)> {
        let batch = self.send(input, &[])?;
        self.forward(&batch, None, None, false, None)?;
        let report = batch.report(&self.gpu, &self.slots, false)?;
        Ok((report.by_count, report.by_membrane))
    }
}
