//! The data of a pass over samples: shared memory, settings, and the results of each sample.

use ndarray::{ArrayViewMut2, Axis, s};

use super::{
    clock::Clock,
    layer::NeuronLayer,
    lists::Events,
    loss::LossShare,
    pool::Pool,
    simd::{F32x16, Isa, LANES, flatten, flatten_mut},
    source::Source,
};
use crate::{
    Adjoints, Objective, ReadOut, Recording, State, Trace,
    dropout::{Mask, Masks},
};

/// Memory limit for a batch between the passes over samples and weights; larger batches are
/// processed in parts.
const BUDGET: usize = 32 << 20;

/// The instruction set, a stopwatch, and each thread's memory. Concurrent passes share it.
#[derive(Debug)]
pub(super) struct Kit {
    pub isa: Isa,
    pub clock: Clock,
    pub scratch: Pool<Scratch>,
}

impl Kit {
    pub fn new(isa: Isa) -> Self {
        Kit {
            isa,
            clock: Clock::default(),
            scratch: Pool::default(),
        }
    }
}

/// The layers as a pass reads them.
#[derive(Clone, Copy)]
pub(super) struct Model<'a> {
    pub kit: &'a Kit,
    pub layers: &'a [NeuronLayer],
}

impl Model<'_> {
    /// Number of samples per part: as many as fit the budget, in parts of nearly equal size.
    pub fn part(self, source: Source<'_>, backward: bool) -> usize {
        let bytes = |(k, layer): (usize, &NeuronLayer)| {
            let recurrent = layer.is_recurrent();
            let rows = match k == 0 && !recurrent {
                true => source.rows(),
                false => source.steps,
            };
            let lists = 1 + usize::from(recurrent);
            let words = lists * layer.blocks * source.steps * size_of::<u64>();
            words
                + if backward {
                    rows * layer.shape().row() * size_of::<F32x16>()
                } else {
                    0
                }
        };
        let sample: usize = self.layers.iter().enumerate().map(bytes).sum();
        // Their non-zero inputs are counted in 32 bits.
        let inputs = source.rows() * source.features;
        let counted = (u32::MAX as usize / inputs.max(1)).max(1);
        let most = (BUDGET / sample.max(1)).clamp(1, source.batch.min(counted));
        source.batch.div_ceil(source.batch.div_ceil(most))
    }

    /// Samples of a group: by the shapes alone.
    pub fn group(self, source: Source<'_>, sparse: bool, backward: bool) -> usize {
        let recurrent = self.layers.iter().filter(|layer| layer.own.is_some());
        if let Some(neurons) = recurrent.map(|layer| layer.neurons).max()
            && backward
        {
            // The rows of a tile of the product with `V`; two tiles if `V` comes from beyond L2.
            return if neurons < 512 { 6 } else { 12 };
        }
        let wide = self.layers[1..].iter().any(|layer| !layer.narrow());
        if wide || !(sparse || source.constant) {
            (100 / source.steps).clamp(1, 8)
        } else {
            1
        }
    }
}

/// Where the adjoints come from.
#[derive(Clone, Copy)]
pub(super) enum AdjointSource<'a> {
    /// No adjoints.
    Nothing,
    /// From a loss computed sample by sample.
    Objective(&'a Objective),
    /// Given for the whole batch, with the results of the forward pass.
    Adjoints(&'a Recording, &'a Adjoints),
}

impl AdjointSource<'_> {
    /// How answers are read from spikes, and from membranes.
    pub fn read_outs(self) -> [ReadOut; 2] {
        match self {
            AdjointSource::Objective(objective) => objective.loss.read_outs(),
            _ => ReadOut::default().with_other(),
        }
    }

    /// What a sample's hidden layer of these spike words costs, with so many spikes, `batch` samples in all.
    /// `row`, zeros or empty, gets the derivative with respect to each spike of each neuron.
    pub fn penalties(
        self,
        layer: &NeuronLayer,
        (words, spikes): (&[u64], u64),
        batch: usize,
        row: &mut [F32x16],
    ) -> f64 {
        let AdjointSource::Objective(objective) = self else {
            return 0.0;
        };
        // Padding would be trained, and eventually fire.
        let row = flatten_mut(row);
        let neurons = layer.neurons.min(row.len());
        let row = &mut row[..neurons];
        row.fill(objective.rate_l1 as f32);
        let mut value = objective.rate_l1 * spikes as f64;
        if objective.penalties.is_empty() {
            return value;
        }
        let (steps, width) = (words.len() / layer.blocks, layer.vectors * LANES);
        let mut counts = vec![0.0; layer.neurons];
        for (counts, words) in counts.chunks_mut(width).zip(words.chunks_exact(steps)) {
            for (n, count) in counts.iter_mut().enumerate() {
                *count = words.iter().filter(|word| **word >> n & 1 == 1).count() as f64;
            }
        }
        for penalty in &objective.penalties {
            value += penalty.share(&counts, steps, batch, |n, adjoint| {
                if let Some(e) = row.get_mut(n) {
                    *e += adjoint as f32;
                }
            });
        }
        value
    }

    /// Whether hidden spikes cost anything.
    pub fn penalizes(self) -> bool {
        match self {
            AdjointSource::Objective(objective) => {
                objective.rate_l1 != 0.0 || !objective.penalties.is_empty()
            }
            _ => false,
        }
    }
}

/// The settings of a pass.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub source: Source<'a>,
    /// The first sample of this part of the batch.
    pub first: usize,
    /// Number of samples in it.
    pub count: usize,
    /// Whether the input is sparse.
    pub sparse: bool,
    pub targets: &'a [usize],
    pub goal: AdjointSource<'a>,
    pub backward: bool,
    /// What a training batch does without.
    pub masks: Option<&'a Masks>,
    /// The state of the batch before the first step, unless it is at rest.
    pub start: Option<&'a State>,
    /// How answers are read from spikes, and from membranes.
    pub read_outs: [ReadOut; 2],
}

impl<'a> Pass<'a> {
    /// What is dropped of the spikes that layer `k` reads.
    pub fn mask(self, k: usize) -> Option<&'a Mask> {
        self.masks?.of(k)
    }

    /// Whether the input is a sequence whose products skip nothing.
    pub fn dense(self) -> bool {
        !self.sparse && !self.source.constant
    }
}

/// The results of a sample for the weights, and its part of the report.
#[derive(Debug, Default)]
pub(super) struct SampleTrace {
    /// Of each layer, `[block][T]`.
    pub words: Vec<Vec<u64>>,
    /// Of each layer with dropout, the spikes of the layer below that reach it, `[block][T]`.
    pub sent: Vec<Vec<u64>>,
    /// Of each recurrent layer, the same one step earlier: step `t` has the spikes of step `t − 1`.
    pub earlier: Vec<Vec<u64>>,
    /// Of each layer, the state before the first step and after the last, `[block][number][vectors]`; empty
    /// if it starts at rest.
    pub start: Vec<Vec<F32x16>>,
    pub end: Vec<Vec<F32x16>>,
    /// Of each layer, `a` as `[block][T][vectors]` (`T = 1`, `Σ_t a_t`, in the first for a static input,
    /// unless it is recurrent).
    pub a: Vec<Vec<F32x16>>,
    /// `Σ_t a_t` of a recurrent first layer with a static input.
    pub a_sum: Vec<F32x16>,
    /// Of each layer, `∂L/∂` each constant, a row each; empty where none is learned.
    pub learnt: Vec<Vec<Vec<F32x16>>>,
    pub share: LossShare,
    /// Each output neuron's scores by spikes and by membranes, a row each.
    pub scores: (Vec<F32x16>, Vec<F32x16>),
    /// Classes by one and by the other.
    pub answers: (usize, usize),
    pub spikes: Vec<u64>,
    /// What its hidden spikes cost.
    pub penalty: f64,
    /// `Σ |a|` over all layers.
    pub size: f64,
    /// The largest magnitude in its rows of a dense sequence; infinite if there is a NaN.
    pub largest: f32,
}

impl SampleTrace {
    /// Begins with the state of sample `b`, or at rest.
    pub fn begin(
        &mut self,
        layers: &[NeuronLayer],
        num_steps: usize,
        start: Option<&State>,
        b: usize,
    ) {
        self.start.resize_with(layers.len(), Vec::new);
        self.end.resize_with(layers.len(), Vec::new);
        self.earlier.resize_with(layers.len(), Vec::new);
        self.sent.resize_with(layers.len(), Vec::new);
        self.a_sum.clear();
        for (k, layer) in layers.iter().enumerate() {
            if layer.is_recurrent() {
                let words = &mut self.earlier[k];
                words.resize(layer.blocks * num_steps, 0);
                for word in words.iter_mut().step_by(num_steps) {
                    *word = 0;
                }
                if let Some(spikes) = start.and_then(|start| start.layers[k].last()) {
                    let row = spikes.row(b);
                    let blocks = row.axis_chunks_iter(Axis(0), layer.vectors * LANES);
                    for (word, spikes) in words.iter_mut().step_by(num_steps).zip(blocks) {
                        for (n, spike) in spikes.into_iter().enumerate() {
                            *word |= u64::from(*spike > 0.0) << n;
                        }
                    }
                }
            }
            let len = start.map_or(0, |_| layer.shape().row() * layer.states());
            self.start[k].resize(len, F32x16::ZERO);
            self.end[k].resize(len, F32x16::ZERO);
            let numbers = start.map_or(&[][..], |start| &start.layers[k]);
            for (i, numbers) in numbers.iter().take(layer.states()).enumerate() {
                let row = numbers.slice(s![b..=b, ..]);
                layer
                    .state_planes()
                    .place(row, i, false, &mut self.start[k]);
            }
        }
    }

    /// Fills [`sent`](Self::sent) of layer `k`, above a layer in blocks of `width` neurons, for sample `b`.
    pub fn send(&mut self, k: usize, mask: &Mask, num_steps: usize, width: usize, b: usize) {
        let (words, sent) = (&self.words[k - 1], &mut self.sent[k]);
        sent.clear();
        let row = mask.row(b);
        let blocks = row.axis_chunks_iter(Axis(0), width);
        for (words, keep) in words.chunks_exact(num_steps).zip(blocks) {
            let keep = keep
                .iter()
                .rev()
                .fold(0, |bits, &keep| bits << 1 | u64::from(keep));
            sent.extend(words.iter().map(|word| word & keep));
        }
    }

    /// Writes the state after the last step as that of sample `b`.
    pub fn leave(&self, layers: &[NeuronLayer], end: &mut State, b: usize) {
        for (k, (layer, numbers)) in layers.iter().zip(&mut end.layers).enumerate() {
            let (own, last) = numbers.split_at_mut(layer.states());
            for (i, numbers) in own.iter_mut().enumerate() {
                let planes = layer.state_planes();
                planes.take(&self.end[k], i, numbers.row_mut(b));
            }
            for spikes in last {
                let (steps, width) = (self.words[k].len() / layer.blocks, layer.vectors * LANES);
                let mut row = spikes.row_mut(b);
                let blocks = row.axis_chunks_iter_mut(Axis(0), width);
                for (to, words) in blocks.zip(self.words[k].chunks_exact(steps)) {
                    let word = words[steps - 1];
                    for (n, to) in to.into_iter().enumerate() {
                        *to = f32::from(u8::from(word >> n & 1 == 1));
                    }
                }
            }
        }
    }

    /// The adjoints of the first layer's currents: of each row of its input.
    pub fn first_a(&self) -> &[F32x16] {
        match self.a_sum.is_empty() {
            true => &self.a[0],
            false => &self.a_sum,
        }
    }

    /// The output neurons' scores by a read-out, one of the pass's, with padding, and the class that they give.
    pub fn answer(&self, read_out: ReadOut) -> (&[f32], usize) {
        match read_out.of_spikes() {
            true => (flatten(&self.scores.0), self.answers.0),
            false => (flatten(&self.scores.1), self.answers.1),
        }
    }
}

/// Where one layer of one sample is recorded, `[T, N]` each.
pub(super) struct View<'a> {
    pub spk: ArrayViewMut2<'a, f32>,
    pub mem: ArrayViewMut2<'a, f32>,
    pub kept: Vec<ArrayViewMut2<'a, f32>>,
}

/// One trace's share for each sample.
pub(super) fn views(trace: &mut Trace) -> impl Iterator<Item = View<'_>> {
    let mut kept: Vec<_> = (trace.kept.iter_mut())
        .map(|kept| kept.axis_iter_mut(Axis(1)))
        .collect();
    let both = trace
        .spk
        .axis_iter_mut(Axis(1))
        .zip(trace.mem.axis_iter_mut(Axis(1)));
    both.map(move |(spk, mem)| View {
        spk,
        mem,
        kept: kept.iter_mut().filter_map(Iterator::next).collect(),
    })
}

/// The memory of one thread for one group.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub slots: Vec<SampleScratch>,
    /// One block's currents of one sample, `[T][vectors]`, or, from a dense sequence, of the group.
    pub current: Vec<F32x16>,
    /// A dense sequence's rows, sample by sample.
    pub x: Vec<f32>,
    pub row: Vec<F32x16>,
    pub step: StepScratch,
}

/// The memory for each sample of the group.
#[derive(Debug, Default)]
pub(super) struct SampleScratch {
    /// Of each layer, `[block][T][kept][vectors]`.
    pub trace: Vec<Vec<F32x16>>,
    pub events: Events,
    /// A recurrent layer's currents from below, `[block][T][vectors]` (or without steps, if they are the
    /// same at each).
    pub currents: Vec<F32x16>,
    /// Rows `[T][row]` of the output layer; the loss leaves its adjoint in one of them.
    pub spk: Vec<F32x16>,
    pub mem: Vec<F32x16>,
    /// `[block][T][vectors]` of the current layer.
    pub e: Vec<F32x16>,
    pub g: Vec<F32x16>,
    /// What each spike of each layer's neurons costs, a row; empty if nothing.
    pub penalty: Vec<Vec<F32x16>>,
}

/// The memory of one thread for the steps of a recurrent layer.
#[derive(Debug, Default)]
pub(super) struct StepScratch {
    /// One step's currents of a sample, `[block][vectors]`.
    pub current: Vec<F32x16>,
    /// The states before and after a step, `[block][number][vectors]`.
    pub states: [Vec<F32x16>; 2],
    /// The neurons that fired at the step before.
    pub fired: Vec<u32>,
    /// `a_{t+1}` and `e_t` of the group, `[block][sample][vectors]`.
    pub a: Vec<F32x16>,
    pub e: Vec<F32x16>,
    /// What each sample's step passes back, `[block][number][vectors]`.
    pub passed: Vec<Vec<F32x16>>,
}
