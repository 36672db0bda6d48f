//! A network's state on the device, and its passes: which kernel runs on what.
//!
//! | launch | what | reference |
//! |---|---|---|
//! | `gemm` | currents `[T·B, N]`, or `[B, N]` under a static input | (1) |
//! | `lif_forward` | spikes, membranes, spike counts | (2) |
//! | `readout` | losses, adjoint, classes | `loss`, `metrics` |
//! | `lif_backward` | `a`, `Σ_t a`, `∂L/∂β`, `∂L/∂θ` of each sample | (3) |
//! | `gemm`, `column_sums` | `∂L/∂W`, `∂L/∂b`, sums over samples | (4) |
//! | `gemm` | `e` of the layer below | (5) |
//! | `not_finite`, `adam` | the update | `optim` |
//!
//! All trained numbers lie in one row, `params`, in the order weights and biases of all layers,
//! learnt decays and thresholds, and behind them those that are not learnt; gradients and moments
//! have the same order. Every sum's order depends on the shapes alone.

use std::ops::Range;

use ndarray::{Array1, Array2, Array3};

use super::device::{Arg, Buffer, Gpu, NULL};
use crate::{
    Adjoints, Dynamics, Error, Gradients, Input, Loss, Network, Objective, Record, Recording,
    Reset, Result, Surrogate, Trace, network::LayerGradients, neuron::MIN_THRESHOLD,
};

/// Blocks of the kernel that looks for NaN and infinity.
const CHECKERS: usize = 64;
/// Blocks that keep a large device busy: below, products are cut into more and smaller pieces.
const BUSY: usize = 264;

/// Where a layer's tensors lie in the row of parameters.
#[derive(Debug)]
struct Layer {
    inputs: usize,
    neurons: usize,
    weight: Range<usize>,
    bias: Range<usize>,
    beta: Range<usize>,
    theta: Range<usize>,
    learn_beta: bool,
    learn_theta: bool,
    dynamics: Dynamics,
    reset: Reset,
    attached: bool,
    pre_differs: bool,
    surrogate: Surrogate,
    traces: Traces,
}

/// What one layer's passes leave on the device.
#[derive(Debug, Default)]
struct Traces {
    /// Currents going forward, their adjoints `a` going back: `[T, B, N]`, or `[B, N]`.
    current: Buffer<f32>,
    spk: Buffer<f32>,
    mem: Buffer<f32>,
    pre: Buffer<f32>,
    /// From the layer above, or the loss's adjoint of spikes.
    e: Buffer<f32>,
    /// The loss's adjoint of membranes.
    g: Buffer<f32>,
    /// A custom loss's adjoint of hidden spikes.
    extra: Buffer<f32>,
    /// `Σ_t a`, and `∂L/∂β`, `∂L/∂θ` of each cell, `[B, N]`.
    sum: Buffer<f32>,
    beta: Buffer<f32>,
    theta: Buffer<f32>,
}

/// Which of a layer's adjoints the loss has filled.
#[derive(Debug, Clone, Copy, Default)]
struct Arriving {
    e: bool,
    g: bool,
    extra: bool,
}

/// Sizes of a batch.
#[derive(Debug, Clone, Copy)]
struct Batch {
    steps: usize,
    samples: usize,
    /// Whether the input is the same at every step.
    constant: bool,
}

/// What a batch amounts to, as the device counts it.
#[derive(Debug)]
pub struct Report {
    /// Each sample's loss, before any mean.
    pub losses: Vec<f64>,
    pub by_count: Vec<u32>,
    pub by_membrane: Vec<u32>,
    /// Spikes of each layer.
    pub spikes: Vec<u64>,
    /// Whether a gradient is a NaN or an infinity.
    pub not_finite: bool,
}

/// The constants of an update.
#[derive(Debug, Clone, Copy)]
pub struct Update {
    pub beta1: f32,
    pub beta2: f32,
    pub gain1: f32,
    pub gain2: f32,
    pub step_size: f32,
    pub root: f32,
    pub eps: f32,
}

/// A matrix on the device, with the strides of its rows and columns.
#[derive(Clone, Copy)]
struct Matrix {
    at: Arg,
    row: usize,
    col: usize,
}

impl Matrix {
    /// Rows of `width` entries, one after another.
    fn rows(at: Arg, width: usize) -> Self {
        Matrix {
            at,
            row: width,
            col: 1,
        }
    }

    fn transposed(self) -> Self {
        Matrix {
            row: self.col,
            col: self.row,
            ..self
        }
    }
}

/// The state on the device. The `gpu` is dropped last, after all memory.
#[derive(Debug)]
pub struct Machine {
    layers: Vec<Layer>,
    params: Buffer<f32>,
    gradients: Buffer<f32>,
    first: Buffer<f32>,
    second: Buffer<f32>,
    low: Buffer<f32>,
    high: Buffer<f32>,
    x: Buffer<f32>,
    bytes: Buffer<u8>,
    targets: Buffer<u32>,
    /// Sums of the pieces of a product.
    parts: Buffer<f32>,
    /// Scores `[B, C]`, and sums of each neuron on their way to a layer's.
    scratch: Buffer<f32>,
    /// See [`Status`].
    status: Buffer<u32>,
    /// Trained numbers in all, and how many of them are free of bounds.
    trained: usize,
    free: usize,
    gpu: Gpu,
}

/// Where the parts of the small download lie, in words.
struct Status {
    losses: Range<usize>,
    by_count: Range<usize>,
    by_membrane: Range<usize>,
    counts: Vec<Range<usize>>,
    bad: Range<usize>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Memory is given back to the context that this thread has: make it the right one. If the
        // device is lost there is nothing to give back, and nobody to tell.
        if self.gpu.enter().is_ok() {
            let _ = self.gpu.finish();
        }
    }
}

/// A row's place behind those before it.
fn next(at: &mut usize, len: usize) -> Range<usize> {
    *at += len;
    *at - len..*at
}

impl Machine {
    /// Puts a network on the device, with moments if there are any.
    pub fn new(
        gpu: Gpu,
        network: &Network,
        moments: Option<&(Gradients, Gradients)>,
    ) -> Result<Self> {
        let (mut at, mut layers) = (0, Vec::new());
        for layer in network.layers() {
            let rule = layer.neuron.rule();
            layers.push(Layer {
                inputs: layer.inputs(),
                neurons: layer.neurons(),
                weight: next(&mut at, layer.weight.len()),
                bias: next(&mut at, layer.bias.len()),
                beta: 0..0,
                theta: 0..0,
                learn_beta: layer.neuron.learn_beta,
                learn_theta: layer.neuron.learn_threshold,
                dynamics: rule.dynamics,
                reset: rule.reset,
                attached: rule.attached(),
                pre_differs: rule.pre_differs(),
                surrogate: layer.neuron.surrogate,
                traces: Traces::default(),
            });
        }
        let free = at;
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for learnt in [true, false] {
            for (state, layer) in layers.iter_mut().zip(network.layers()) {
                if state.learn_beta == learnt {
                    state.beta = next(&mut at, layer.beta.len());
                    if learnt {
                        low.resize(at - free, 0.0);
                        high.resize(at - free, 1.0);
                    }
                }
                if state.learn_theta == learnt {
                    state.theta = next(&mut at, layer.threshold.len());
                    if learnt {
                        low.resize(at - free, MIN_THRESHOLD as f32);
                        high.resize(at - free, f32::INFINITY);
                    }
                }
            }
        }
        let trained = free + low.len();
        let mut machine = Machine {
            layers,
            params: Buffer::default(),
            gradients: Buffer::default(),
            first: Buffer::default(),
            second: Buffer::default(),
            low: Buffer::default(),
            high: Buffer::default(),
            x: Buffer::default(),
            bytes: Buffer::default(),
            targets: Buffer::default(),
            parts: Buffer::default(),
            scratch: Buffer::default(),
            status: Buffer::default(),
            trained,
            free,
            gpu,
        };
        let mut params = vec![0.0; at];
        for (state, layer) in machine.layers.iter().zip(network.layers()) {
            params[state.weight.clone()]
                .iter_mut()
                .zip(&layer.weight)
                .for_each(|(p, w)| *p = *w);
            for (range, values) in [
                (&state.bias, &layer.bias),
                (&state.beta, &layer.beta),
                (&state.theta, &layer.threshold),
            ] {
                params[range.clone()]
                    .iter_mut()
                    .zip(values)
                    .for_each(|(p, w)| *p = *w);
            }
        }
        machine.gpu.reserve(&mut machine.params, at)?;
        machine.gpu.upload(&mut machine.params, 0, &params)?;
        for (values, which) in [(&low, &mut machine.low), (&high, &mut machine.high)] {
            machine.gpu.reserve(which, values.len().max(1))?;
            machine.gpu.upload(which, 0, values)?;
        }
        let (first, second) = match moments {
            Some((first, second)) => (machine.row_of(first), machine.row_of(second)),
            None => (vec![0.0; trained], vec![0.0; trained]),
        };
        for (values, which) in [(first, &mut machine.first), (second, &mut machine.second)] {
            machine.gpu.reserve(which, trained)?;
            machine.gpu.upload(which, 0, &values)?;
        }
        machine.gpu.reserve(&mut machine.gradients, trained)?;
        Ok(machine)
    }

    /// Every use of the device from a thread begins here.
    pub fn enter(&self) -> Result<()> {
        self.gpu.enter()
    }

    pub fn describe(&self) -> String {
        self.gpu.describe()
    }

    /// Tensors in the order of the row of parameters.
    fn row_of(&self, tensors: &Gradients) -> Vec<f32> {
        let mut row = vec![0.0; self.trained];
        let mut put = |range: &Range<usize>, values: &mut dyn Iterator<Item = &f32>| {
            row[range.clone()]
                .iter_mut()
                .zip(values)
                .for_each(|(p, w)| *p = *w);
        };
        for (state, layer) in self.layers.iter().zip(&tensors.layers) {
            put(&state.weight, &mut layer.weight.iter());
            put(&state.bias, &mut layer.bias.iter());
            for (range, values) in [(&state.beta, &layer.beta), (&state.theta, &layer.threshold)] {
                if let Some(values) = values {
                    put(range, &mut values.iter());
                }
            }
        }
        row
    }

    /// The other way round.
    fn tensors(&self, row: &[f32]) -> Gradients {
        let list = |range: &Range<usize>| Array1::from(row[range.clone()].to_vec());
        let layers = self.layers.iter().map(|layer| LayerGradients {
            weight: Array2::from_shape_vec(
                (layer.neurons, layer.inputs),
                row[layer.weight.clone()].to_vec(),
            )
            .expect("a weight's range is as long as its shape"),
            bias: list(&layer.bias),
            beta: layer.learn_beta.then(|| list(&layer.beta)),
            threshold: layer.learn_theta.then(|| list(&layer.theta)),
        });
        Gradients {
            layers: layers.collect(),
        }
    }

    /// Gradients of the last pass back.
    pub fn gradients(&self) -> Result<Gradients> {
        self.row(&self.gradients)
    }

    /// Adam's moments.
    pub fn moments(&self) -> Result<(Gradients, Gradients)> {
        Ok((self.row(&self.first)?, self.row(&self.second)?))
    }

    fn row(&self, buffer: &Buffer<f32>) -> Result<Gradients> {
        let mut row = vec![0.0; self.trained];
        self.gpu.download(buffer, 0, &mut row)?;
        Ok(self.tensors(&row))
    }

    /// Brings the parameters into `network`.
    pub fn parameters(&self, network: &mut Network) -> Result<()> {
        let mut row = vec![0.0; self.trained];
        self.gpu.download(&self.params, 0, &mut row)?;
        let tensors = self.tensors(&row);
        for (layer, now) in network.layers_mut().iter_mut().zip(tensors.layers) {
            (layer.weight, layer.bias) = (now.weight, now.bias);
            layer.beta = now.beta.unwrap_or_else(|| layer.beta.clone());
            layer.threshold = now.threshold.unwrap_or_else(|| layer.threshold.clone());
        }
        Ok(())
    }

    fn status(&self, batch: Batch) -> Status {
        let mut at = 0;
        Status {
            losses: next(&mut at, 2 * batch.samples),
            by_count: next(&mut at, batch.samples),
            by_membrane: next(&mut at, batch.samples),
            counts: (self.layers.iter())
                .map(|layer| next(&mut at, (batch.samples * layer.neurons).div_ceil(128)))
                .collect(),
            bad: next(&mut at, CHECKERS),
        }
    }

    /// Refuses what the kernels' 32-bit indices cannot count, and makes room.
    fn prepare(&mut self, input: Input<'_>) -> Result<Batch> {
        let batch = Batch {
            steps: input.num_steps(),
            samples: input.batch(),
            constant: matches!(input, Input::Constant { .. }),
        };
        let widest = self
            .layers
            .iter()
            .map(|l| l.neurons.max(l.inputs))
            .max()
            .unwrap_or(0);
        let most = u32::MAX as usize / 4;
        let fits = |a: usize, b: usize| a.checked_mul(b).is_some_and(|n| n <= most);
        if !fits(batch.samples, widest) || !fits(batch.samples, batch.steps) {
            return Err(Error::parameter(
                "batch size",
                format!(
                    "{} for {} steps and {widest} neurons",
                    batch.samples, batch.steps
                ),
                "less than 2^30 neurons, and steps, in all samples of a batch",
            ));
        }
        let gpu = &self.gpu;
        for (k, layer) in self.layers.iter_mut().enumerate() {
            let cells = batch.samples * layer.neurons;
            let all = batch.steps * cells;
            let t = &mut layer.traces;
            gpu.reserve(
                &mut t.current,
                if k == 0 && batch.constant { cells } else { all },
            )?;
            gpu.reserve(&mut t.spk, all)?;
            gpu.reserve(&mut t.mem, all)?;
            if layer.pre_differs {
                gpu.reserve(&mut t.pre, all)?;
            }
        }
        let last = &self.layers[self.layers.len() - 1];
        gpu.reserve(
            &mut self.scratch,
            (batch.samples * last.neurons).max(widest),
        )?;
        let words = self.status(batch).bad.end;
        self.gpu.reserve(&mut self.status, words)?;
        Ok(batch)
    }

    /// Brings the input to the device: as bytes, if every value is one of the 256 of an image.
    fn upload_input(&mut self, input: Input<'_>) -> Result<()> {
        let copied: Vec<f32>;
        let slice = match &input {
            Input::Constant { x, .. } => x.to_slice(),
            Input::Sequence { x } => x.to_slice(),
        };
        let x = match (slice, &input) {
            (Some(x), _) => x,
            (None, Input::Constant { x, .. }) => {
                copied = x.iter().copied().collect();
                &copied
            }
            (None, Input::Sequence { x }) => {
                copied = x.iter().copied().collect();
                &copied
            }
        };
        self.gpu.reserve(&mut self.x, x.len())?;
        let Some(bytes) = as_bytes(x) else {
            return self.gpu.upload(&mut self.x, 0, x);
        };
        self.gpu.reserve(&mut self.bytes, bytes.len())?;
        self.gpu.upload(&mut self.bytes, 0, &bytes)?;
        let args = [self.bytes.arg(), self.x.arg(), Arg::U64(bytes.len() as u64)];
        self.gpu
            .launch("scale", (bytes.len().div_ceil(256), 1, 1), 256, &args)
    }

    /// `c [m, n] = a [m, k] · b [k, n] (+ bias)`.
    fn product(
        &mut self,
        (a, b): (Matrix, Matrix),
        bias: Arg,
        c: Arg,
        (m, n, k): (usize, usize, usize),
    ) -> Result<()> {
        let tiles = |tile: usize| m.div_ceil(tile) * n.div_ceil(tile);
        let (name, tile) = match tiles(64) >= BUSY {
            true => ("gemm_64", 64),
            false => ("gemm_32", 32),
        };
        // Parts of at least 64 of k, as many as keep the device busy.
        let wanted = BUSY.div_ceil(tiles(tile)).clamp(1, k.div_ceil(64)).min(32);
        let part = k.div_ceil(wanted).next_multiple_of(16);
        let parts = k.div_ceil(part);
        let (to, first_bias) = if parts == 1 {
            (c, bias)
        } else {
            self.gpu.reserve(&mut self.parts, parts * m * n)?;
            (self.parts.arg(), NULL)
        };
        let wide = |n: usize| Arg::U64(n as u64);
        let args = [
            a.at,
            wide(a.row),
            wide(a.col),
            b.at,
            wide(b.row),
            wide(b.col),
            first_bias,
            to,
            m.into(),
            n.into(),
            k.into(),
            part.into(),
        ];
        self.gpu.launch(
            name,
            (m.div_ceil(tile), n.div_ceil(tile), parts),
            256,
            &args,
        )?;
        if parts == 1 {
            return Ok(());
        }
        let args = [to, bias, c, wide(m * n), n.into(), parts.into()];
        self.gpu
            .launch("reduce", ((m * n).div_ceil(256), 1, 1), 256, &args)
    }

    /// What layer `k` reads, and how many rows of it there are.
    fn below(&self, k: usize, batch: Batch) -> (Matrix, usize) {
        let all = batch.steps * batch.samples;
        match k {
            0 if batch.constant => (
                Matrix::rows(self.x.arg(), self.layers[0].inputs),
                batch.samples,
            ),
            0 => (Matrix::rows(self.x.arg(), self.layers[0].inputs), all),
            _ => {
                let below = &self.layers[k - 1];
                (Matrix::rows(below.traces.spk.arg(), below.neurons), all)
            }
        }
    }

    /// (1) and (2) of all layers.
    fn run_forward(&mut self, input: Input<'_>) -> Result<Batch> {
        let batch = self.prepare(input)?;
        self.upload_input(input)?;
        let status = self.status(batch);
        for k in 0..self.layers.len() {
            let (below, rows) = self.below(k, batch);
            let layer = &self.layers[k];
            let (inputs, neurons) = (layer.inputs, layer.neurons);
            let weight = Matrix::rows(self.params.at(layer.weight.start), inputs).transposed();
            let (bias, current) = (self.params.at(layer.bias.start), layer.traces.current.arg());
            self.product((below, weight), bias, current, (rows, neurons, inputs))?; // (1)

            let layer = &self.layers[k];
            let cells = batch.samples * neurons;
            let stride = if k == 0 && batch.constant {
                0
            } else {
                cells as u64
            };
            let each = |range: &Range<usize>| Arg::U32(u32::from(range.len() > 1));
            let t = &layer.traces;
            let args = [
                t.current.arg(),
                Arg::U64(stride),
                self.params.at(layer.beta.start),
                each(&layer.beta),
                self.params.at(layer.theta.start),
                each(&layer.theta),
                t.spk.arg(),
                t.mem.arg(),
                if layer.pre_differs { t.pre.arg() } else { NULL },
                self.status.at(status.counts[k].start),
                batch.steps.into(),
                cells.into(),
                neurons.into(),
                Arg::U32(layer.dynamics as u32),
                Arg::U32(layer.reset as u32),
            ];
            self.gpu
                .launch("lif_forward", (cells.div_ceil(128), 1, 1), 128, &args)?; // (2)
        }
        Ok(batch)
    }

    /// Losses (unless there is none: classes alone) and, if asked for, the adjoint of the output.
    fn read_out(
        &mut self,
        batch: Batch,
        loss: Option<&Loss>,
        targets: &[usize],
        adjoint: bool,
    ) -> Result<Arriving> {
        let status = self.status(batch);
        let classes = self.layers[self.layers.len() - 1].neurons;
        let element = 1.0 / (batch.steps * batch.samples * classes) as f64;
        let aim = |rate: f64| (batch.steps as f64 * rate).floor() as f32;
        // The kernel's number of the loss, what it aims at, the adjoint's scale, and whether the
        // adjoint is that of spikes.
        let (kind, on, off, share, spikes) = match loss {
            None => (0, 0.0, 0.0, 0.0, false),
            Some(Loss::CrossEntropyMembrane) => (1, 0.0, 0.0, 1.0, false),
            Some(Loss::CrossEntropyCount) => (2, 0.0, 0.0, 1.0, true),
            Some(Loss::CrossEntropyRate) => (3, 0.0, 0.0, 1.0 / batch.steps as f64, true),
            Some(Loss::CrossEntropyMaxMembrane) => (4, 0.0, 0.0, 1.0, false),
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
            Some(Loss::Custom(_)) => unreachable!("a custom loss is computed on the host"),
        };
        let all = batch.steps * batch.samples * classes;
        let last = self.layers.len() - 1;
        let traces = &mut self.layers[last].traces;
        let mut arriving = Arriving::default();
        let into = if adjoint {
            let which = if spikes { &mut traces.e } else { &mut traces.g };
            (arriving.e, arriving.g) = (spikes, !spikes);
            self.gpu.reserve(which, all)?;
            which.arg()
        } else {
            NULL
        };
        let targets: Vec<u32> = targets.iter().map(|&target| target as u32).collect();
        self.gpu.reserve(&mut self.targets, targets.len().max(1))?;
        self.gpu.upload(&mut self.targets, 0, &targets)?;
        let traces = &self.layers[last].traces;
        let args = [
            traces.spk.arg(),
            traces.mem.arg(),
            self.targets.arg(),
            Arg::U32(kind),
            Arg::F32(on),
            Arg::F32(off),
            Arg::F32(share as f32),
            into,
            self.scratch.arg(),
            self.status.at(status.losses.start),
            self.status.at(status.by_count.start),
            self.status.at(status.by_membrane.start),
            batch.steps.into(),
            batch.samples.into(),
            classes.into(),
        ];
        self.gpu
            .launch("readout", (batch.samples, 1, 1), 256, &args)?;
        Ok(arriving)
    }

    /// (3), (4) and (5) of all layers, and the search for what is not finite.
    fn run_back(&mut self, batch: Batch, mut arriving: Vec<Arriving>, price: f64) -> Result<()> {
        let layers = self.layers.len();
        for k in (0..layers).rev() {
            let layer = &mut self.layers[k];
            let (inputs, neurons) = (layer.inputs, layer.neurons);
            let cells = batch.samples * neurons;
            let summed = k == 0 && batch.constant; // Σ_t a_t is enough
            let t = &mut layer.traces;
            self.gpu.reserve(&mut t.sum, cells)?;
            if layer.learn_beta {
                self.gpu.reserve(&mut t.beta, cells)?;
            }
            if layer.learn_theta {
                self.gpu.reserve(&mut t.theta, cells)?;
            }
            let (layer, t) = (&self.layers[k], &self.layers[k].traces);
            let given = |there: bool, buffer: &Buffer<f32>| if there { buffer.arg() } else { NULL };
            let each = |range: &Range<usize>| Arg::U32(u32::from(range.len() > 1));
            let (surrogate, peak, scale) = surrogate(layer.surrogate);
            let args = [
                t.spk.arg(),
                t.mem.arg(),
                given(layer.pre_differs, &t.pre),
                given(arriving[k].g, &t.g),
                given(arriving[k].e, &t.e),
                given(arriving[k].extra, &t.extra),
                Arg::F32(if k + 1 < layers { price as f32 } else { 0.0 }),
                self.params.at(layer.beta.start),
                each(&layer.beta),
                self.params.at(layer.theta.start),
                each(&layer.theta),
                given(!summed, &t.current),
                t.sum.arg(),
                given(layer.learn_beta, &t.beta),
                given(layer.learn_theta, &t.theta),
                batch.steps.into(),
                cells.into(),
                neurons.into(),
                Arg::U32(layer.dynamics as u32),
                Arg::U32(layer.reset as u32),
                Arg::U32(u32::from(layer.attached)),
                Arg::U32(surrogate),
                Arg::F32(peak),
                Arg::F32(scale),
            ];
            self.gpu
                .launch("lif_backward", (cells.div_ceil(128), 1, 1), 128, &args)?; // (3)

            let a = Matrix::rows(if summed { t.sum.arg() } else { t.current.arg() }, neurons);
            let (below, rows) = self.below(k, batch);
            let weight = layer.weight.start;
            let sums = [
                (true, t.sum.arg(), layer.bias.clone()),
                (layer.learn_beta, t.beta.arg(), layer.beta.clone()),
                (layer.learn_theta, t.theta.arg(), layer.theta.clone()),
            ];
            let gradient = self.gradients.at(weight);
            let shape = (neurons, inputs, rows);
            self.product((a.transposed(), below), NULL, gradient, shape)?; // (4)
            for (_, cells, to) in sums.into_iter().filter(|(wanted, ..)| *wanted) {
                let gradient = self.gradients.at(to.start);
                if to.len() == neurons {
                    self.column_sums(cells, gradient, batch.samples, neurons)?; // (4)
                } else {
                    // One for the layer: over samples, then over neurons.
                    let each = self.scratch.arg();
                    self.column_sums(cells, each, batch.samples, neurons)?;
                    self.column_sums(each, gradient, neurons, 1)?;
                }
            }
            if k > 0 {
                let below = &mut self.layers[k - 1];
                self.gpu.reserve(&mut below.traces.e, rows * inputs)?;
                let e = below.traces.e.arg();
                let weight = Matrix::rows(self.params.at(weight), inputs);
                self.product((a, weight), NULL, e, (rows, inputs, neurons))?; // (5)
                arriving[k - 1].e = true;
            }
        }
        let bad = self.status(batch).bad;
        let count = Arg::U64(self.trained as u64);
        let args = [self.gradients.arg(), count, self.status.at(bad.start)];
        self.gpu.launch("not_finite", (CHECKERS, 1, 1), 256, &args)
    }

    fn column_sums(&self, x: Arg, out: Arg, rows: usize, cols: usize) -> Result<()> {
        let args = [x, out, rows.into(), cols.into()];
        self.gpu
            .launch("column_sums", (cols.div_ceil(32), 1, 1), 256, &args)
    }

    /// The small download. `back`: whether gradients were computed.
    fn report(&self, batch: Batch, back: bool) -> Result<Report> {
        let status = self.status(batch);
        let end = if back {
            status.bad.end
        } else {
            status.bad.start
        };
        let mut words = vec![0_u32; end];
        self.gpu.download(&self.status, 0, &mut words)?;
        let losses = words[status.losses].chunks_exact(2);
        Ok(Report {
            losses: losses
                .map(|w| f64::from_bits(u64::from(w[0]) | u64::from(w[1]) << 32))
                .collect(),
            by_count: words[status.by_count].to_vec(),
            by_membrane: words[status.by_membrane].to_vec(),
            spikes: (status.counts.into_iter())
                .map(|range| words[range].iter().map(|&n| u64::from(n)).sum())
                .collect(),
            not_finite: back && words[status.bad].iter().any(|&bad| bad != 0),
        })
    }

    /// Loss and, if asked for, gradients of one batch.
    pub fn run(
        &mut self,
        input: Input<'_>,
        targets: &[usize],
        objective: &Objective,
        back: bool,
    ) -> Result<Report> {
        let batch = self.run_forward(input)?;
        let at_output = self.read_out(batch, Some(&objective.loss), targets, back)?;
        if back {
            let mut arriving = vec![Arriving::default(); self.layers.len()];
            arriving[self.layers.len() - 1] = at_output;
            self.run_back(batch, arriving, objective.rate_l1)?;
        }
        self.report(batch, back)
    }

    /// Gradients from a custom loss's adjoints, for the input that was recorded just before; says
    /// whether they are finite.
    pub fn run_adjoints(&mut self, input: Input<'_>, adjoints: &Adjoints) -> Result<bool> {
        let batch = self.prepare(input)?;
        let last = self.layers.len() - 1;
        let mut arriving = vec![Arriving::default(); self.layers.len()];
        let layers = self
            .layers
            .iter_mut()
            .zip(&adjoints.layers)
            .zip(&mut arriving);
        for (k, ((layer, adjoint), arriving)) in layers.enumerate() {
            let t = &mut layer.traces;
            let spikes = if k == last { &mut t.e } else { &mut t.extra };
            for (values, into) in [(&adjoint.spk, spikes), (&adjoint.mem, &mut t.g)] {
                if let Some(values) = values {
                    let values: Vec<f32> = values.iter().copied().collect();
                    self.gpu.reserve(into, values.len())?;
                    self.gpu.upload(into, 0, &values)?;
                }
            }
            *arriving = Arriving {
                e: k == last && adjoint.spk.is_some(),
                g: adjoint.mem.is_some(),
                extra: k < last && adjoint.spk.is_some(),
            };
        }
        self.run_back(batch, arriving, 0.0)?;
        let bad = self.status(batch).bad;
        let mut words = [0_u32; CHECKERS];
        self.gpu.download(&self.status, bad.start, &mut words)?;
        Ok(words.iter().all(|&bad| bad == 0))
    }

    /// Each sample's class by spike count and by membrane.
    pub fn classify(&mut self, input: Input<'_>) -> Result<(Vec<u32>, Vec<u32>)> {
        let batch = self.run_forward(input)?;
        self.read_out(batch, None, &[], false)?;
        let status = self.status(batch);
        let mut words = vec![0_u32; 2 * batch.samples];
        self.gpu
            .download(&self.status, status.by_count.start, &mut words)?;
        let by_membrane = words.split_off(batch.samples);
        Ok((words, by_membrane))
    }

    /// Spikes and membranes of the layers asked for.
    pub fn record(&mut self, input: Input<'_>, record: &Record) -> Result<Recording> {
        let batch = self.run_forward(input)?;
        let layers = self.layers.len();
        let mut traces = Vec::with_capacity(layers);
        for (k, layer) in self.layers.iter().enumerate() {
            if !record.keeps(k, layers) {
                traces.push(None);
                continue;
            }
            let shape = (batch.steps, batch.samples, layer.neurons);
            let array = |buffer: &Buffer<f32>| -> Result<Array3<f32>> {
                let mut values = vec![0.0; shape.0 * shape.1 * shape.2];
                self.gpu.download(buffer, 0, &mut values)?;
                Ok(Array3::from_shape_vec(shape, values).expect("as many as the shape has"))
            };
            let mut trace = Trace::new(array(&layer.traces.spk)?, array(&layer.traces.mem)?);
            if layer.pre_differs {
                trace.pre = Some(array(&layer.traces.pre)?);
            }
            traces.push(Some(trace));
        }
        let output = traces
            .pop()
            .flatten()
            .expect("the last layer is always kept");
        Ok(Recording::new(traces, output))
    }

    /// Applies the gradients of the last pass back.
    pub fn apply(&mut self, update: Update) -> Result<()> {
        let args = [
            self.params.arg(),
            self.gradients.arg(),
            self.first.arg(),
            self.second.arg(),
            Arg::U64(self.trained as u64),
            Arg::U64(self.free as u64),
            self.low.arg(),
            self.high.arg(),
            Arg::F32(update.beta1),
            Arg::F32(update.beta2),
            Arg::F32(update.gain1),
            Arg::F32(update.gain2),
            Arg::F32(update.step_size),
            Arg::F32(update.root),
            Arg::F32(update.eps),
        ];
        self.gpu
            .launch("adam", (self.trained.div_ceil(256), 1, 1), 256, &args)
    }
}

/// The kernels' number of a surrogate, and its constants.
fn surrogate(surrogate: Surrogate) -> (u32, f32, f32) {
    match surrogate {
        Surrogate::Arctan { alpha } => (
            0,
            (alpha / 2.0) as f32,
            (std::f64::consts::FRAC_PI_2 * alpha) as f32,
        ),
        Surrogate::FastSigmoid { slope } => (1, 1.0, slope as f32),
        Surrogate::Sigmoid { slope } => (2, 1.0, slope as f32),
        Surrogate::Triangular => (3, 1.0, 1.0),
        Surrogate::StraightThrough => (4, 1.0, 1.0),
    }
}

/// The bytes `n` with `n / 255` equal to the values, to the bit, if there are such.
fn as_bytes(x: &[f32]) -> Option<Vec<u8>> {
    let byte = |&x: &f32| {
        let n = (x * 255.0).round() as u8; // saturates
        (f32::from(n) / 255.0 == x).then_some(n)
    };
    x.iter().map(byte).collect()
}
