//! Engines: implementations of the training step.
//!
//! An [`Engine`] owns a network, an objective and an optimizer, and runs whole steps: forward over
//! all time steps, loss, backward over all time steps, update. [`Device`] selects one.
//! [`reference`](mod@reference) is a plain implementation; the other engines are tested against it.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod driver;
#[cfg(feature = "mpi")]
pub(crate) mod flat;
mod forward;
pub mod reference;

use std::{fmt, str::FromStr};

use ndarray::ArrayViewMut2;

use crate::{
    Error, Float, Gradients, Input, Network, Objective, Optimizer, ReadOut, Record, Recording,
    Result, Samples, State, StepReport,
};
pub use cpu::CpuEngine;
pub(crate) use cpu::Inference;
pub(crate) use cpu::kernels::Kernels;
#[cfg(feature = "cuda")]
pub use cuda::CudaEngine;
pub use reference::ReferenceEngine;

/// Trains and runs one network. The trait is object-safe: [`Device::engine`] returns a `Box<dyn
/// Engine>`. `Box<dyn Engine>` and `&mut E` implement the trait too.
///
/// A method that fails leaves parameters, optimizer and accumulated gradients unchanged. There is one
/// exception: an update with a far too large learning rate can make a parameter infinite (on a GPU, or
/// with weight decay, also a second moment of Adam). It fails with an [`Error::NonFinite`] that names the
/// tensor and the update, and the network is then unusable.
///
/// # Threads
/// An engine is `Send`; its methods take `&mut self`. To predict from several threads, make a
/// [`Predictor`](crate::Predictor) from it. **Do not share an engine among rayon tasks through a
/// mutex: it can deadlock.** The engine distributes its work over the thread pool. While a thread
/// waits for that work, rayon gives it another task; if that task locks the same mutex, the thread
/// waits for itself. The same applies to any lock held while calling an engine.
pub trait Engine<F: Float = f32>: Send {
    /// A short description of the device, for a log. It warns if the library was compiled without
    /// optimization, which makes it much slower; see [`Device`].
    fn describe(&self) -> String;

    /// Runs the network on an input `[B, N]` or `[T, B, N]` and records spikes and membranes `[T,
    /// B, N]` of the requested layers.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::InvalidParameter`] or [`Error::NonFinite`] for an invalid input;
    /// [`Error::OutOfMemory`] if the results cannot be allocated.
    fn forward(&mut self, input: Input<'_, F>, record: &Record) -> Result<Recording<F>>;

    /// [`forward`](Self::forward) from a state, which it replaces by the state after the last step: a
    /// long input in pieces, or step by step as it arrives, with the bits of the whole ([`State`]).
    ///
    /// # Errors
    /// As [`forward`](Self::forward); [`Error::Shape`] or [`Error::NonFinite`] for a state of other
    /// shapes. On error the state stays as it was.
    fn forward_from(
        &mut self,
        state: &mut State<F>,
        input: Input<'_, F>,
        record: &Record,
    ) -> Result<Recording<F>>;

    /// Writes each sample's class by a read-out to `classes`, one per sample.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::Shape`] for a wrong number of `classes`. On
    /// error, some may already be written.
    fn classify(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()>;

    /// Writes each sample's scores by a read-out, `[B, N]`, for the `N` neurons of the last layer:
    /// their spike counts, or their membranes summed over time. [`classify`](Self::classify)
    /// returns the class with the largest score.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::Shape`] for `scores` of the wrong shape. On
    /// error, some may already be written.
    fn scores(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        mut scores: ArrayViewMut2<'_, F>,
    ) -> Result<()> {
        let recording = self.forward(input, &Record::Output)?;
        let found = recording.scores(read_out);
        check_scores(input, found.ncols(), &scores)?;
        scores.assign(&found);
        Ok(())
    }

    /// Loss and correct answers for one batch, without training on it.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::Target`].
    fn evaluate(&mut self, samples: Samples<'_, F>) -> Result<StepReport>;

    /// Loss and gradients for one batch. They do not count among the accumulated ones.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); [`Error::NonFinite`] if the loss or a gradient is not
    /// finite.
    fn gradients(&mut self, samples: Samples<'_, F>) -> Result<(f64, Gradients<F>)>;

    /// One training step: loss, gradients, optimizer update. The report describes the batch
    /// before the update.
    ///
    /// With fewer steps than [`Network::min_steps`] no output spike depends on the input; with one
    /// step from rest, neurons with the default order of events never fire. A [`Trainer`](crate::Trainer)
    /// warns about this in its [`History`](crate::History). In your own loop, print
    /// [`Network::warnings`] before the first step.
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients), and [`Error::NonFinite`] if a parameter is not finite, in
    /// which case nothing changes. Also [`Error::NonFinite`] if extreme gradients or learning rates
    /// would make a second moment of [`Adam`](crate::Adam) infinite, or have made a parameter infinite
    /// or NaN.
    fn train_step(&mut self, samples: Samples<'_, F>) -> Result<StepReport>;

    /// [`train_step`](Self::train_step) from a state, which it replaces by the state after the last step.
    /// The gradients stop at the first step: nothing of them reaches the steps that led to the state. So
    /// a long input, cut into windows, is trained by truncated backpropagation through time; see [the
    /// chapter](crate::docs::truncation). The step's loss and report describe its own steps.
    ///
    /// From [rest](State::rest), this is [`train_step`](Self::train_step) to the bit.
    ///
    /// # Errors
    /// As [`train_step`](Self::train_step); [`Error::Shape`] or [`Error::NonFinite`] for a state of other
    /// shapes. On error the state stays as it was.
    fn train_step_from(
        &mut self,
        state: &mut State<F>,
        samples: Samples<'_, F>,
    ) -> Result<StepReport>;

    /// [`accumulate`](Self::accumulate) from a state, as [`train_step_from`](Self::train_step_from).
    ///
    /// # Errors
    /// As [`accumulate`](Self::accumulate) and [`train_step_from`](Self::train_step_from).
    fn accumulate_from(
        &mut self,
        state: &mut State<F>,
        samples: Samples<'_, F>,
        weight: f64,
    ) -> Result<StepReport>;

    /// The first half of a training step taken apart: computes the gradients of one batch and adds
    /// `weight` times them to those accumulated since the last update. The report describes this
    /// batch alone, as [`evaluate`](Self::evaluate) does.
    ///
    /// With `weight = 1.0`, [`update`](Self::update) then makes the update of
    /// [`train_step`](Self::train_step), to the bit (on a GPU with clipping, to rounding). A batch too large
    /// for memory can be computed in parts: the losses are means over samples, so the weight of a part is its
    /// share of them. [Dropout](crate::Dropout) has masks of its own for each part. (The activity penalty [`rate_l1`](Objective::rate_l1) is a sum over samples, and
    /// weighted too.) The sums are then rounded in another order, so the gradients agree to about 1e-6 of
    /// the largest.
    ///
    /// ```
    /// # use ndarray::{Array2, Axis};
    /// # use spikegrad::{Adam, Device, Engine, Input, Leaky, Loss, Network};
    /// # let x = Array2::from_shape_fn((8, 4), |(b, n)| if b % 2 == n % 2 { 1.0 } else { 0.0 });
    /// # let targets: Vec<usize> = (0..8).map(|b| b % 2).collect();
    /// # let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
    /// # let mut engine = Device::Cpu.engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-2))?;
    /// // A batch of 8 in two parts.
    /// for (x, targets) in x.axis_chunks_iter(Axis(0), 4).zip(targets.chunks(4)) {
    ///     engine.accumulate(Input::constant(x, 10).classes(targets), 0.5)?;
    /// }
    /// // Clip every gradient, as `torch.nn.utils.clip_grad_value_` does.
    /// engine.gradients_mut(&mut |gradients| {
    ///     for (_, mut g) in gradients.tensors_mut() {
    ///         g.mapv_inplace(|g| g.clamp(-0.1, 0.1));
    ///     }
    ///     Ok(())
    /// })?;
    /// engine.update()?;
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients); [`Error::InvalidParameter`] for a `weight` that is not
    /// finite.
    fn accumulate(&mut self, samples: Samples<'_, F>, weight: f64) -> Result<StepReport>;

    /// Lets `edit` read and change the accumulated gradients before an [`update`](Self::update): to
    /// clip them, add noise, or average them over several machines. They are copied from the engine
    /// and back. Before the first [`accumulate`](Self::accumulate) they are zeros, so gradients from
    /// elsewhere can be put in.
    ///
    /// # Errors
    /// Any error of `edit`; [`Error::NonFinite`] if it left NaN or infinity; [`Error::Shape`] if it
    /// left gradients of another network; [`Error::Device`] if they cannot be copied.
    fn gradients_mut(
        &mut self,
        edit: &mut dyn FnMut(&mut Gradients<F>) -> Result<()>,
    ) -> Result<()>;

    /// The second half of a training step: updates the parameters from the accumulated gradients,
    /// and clears them. No other method touches what was accumulated: not
    /// [`train_step`](Self::train_step), [`set_network`](Self::set_network) or
    /// [`set_optimizer`](Self::set_optimizer).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if nothing was accumulated; [`Error::NonFinite`] as
    /// [`train_step`](Self::train_step), and if the sum of the gradients has overflowed:
    /// [`clear_gradients`](Self::clear_gradients) then begins anew.
    fn update(&mut self) -> Result<()>;

    /// Discards the accumulated gradients.
    fn clear_gradients(&mut self);

    /// Announces the batch of a coming [`train_step`](Self::train_step). An engine with its own
    /// memory starts copying the batch there while it computes; nothing else changes, and a step on
    /// a different batch is still correct. The engine holds the two most recently announced
    /// batches, so you can announce the next batch before the step on the current one. By default
    /// this does nothing.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    fn prefetch(&mut self, samples: Samples<'_, F>) -> Result<()> {
        let _ = samples;
        Ok(())
    }

    /// Sets whether the reports of later training steps include each layer's gradient norm
    /// ([`StepReport::gradient_norms`]); off by default. Those of [`accumulate`](Self::accumulate) do not:
    /// [`gradients_mut`](Self::gradients_mut) gives the gradients themselves. The trained weights have the
    /// same bits either way. Measuring slows a step down: the CPU engine writes all gradients to memory, and
    /// a GPU copies them to the host. Measuring one batch in fifty costs next to nothing:
    ///
    /// ```
    /// # use ndarray::Array2;
    /// # use spikegrad::{Adam, Device, Leaky, Loss, Network, Trainer, data::Dataset};
    /// use spikegrad::train::Event;
    /// use std::ops::ControlFlow;
    /// # let images = Array2::from_shape_fn((200, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
    /// # let data = Dataset::new(images, (0..200).map(|b| b % 2).collect(), 2)?;
    /// # let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
    /// # let mut engine = Device::Cpu.engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-2))?;
    ///
    /// let trainer = Trainer { epochs: 1, batch_size: 2, ..Trainer::default() };
    /// engine.measure_gradients(true);
    /// let history = trainer.fit(&mut engine, &data, None, |engine, event| {
    ///     if let Event::Batch { record, .. } = event {
    ///         engine.measure_gradients((record.batch + 1) % 50 == 0);
    ///     }
    ///     Ok(ControlFlow::Continue(()))
    /// })?;
    /// let measured = history.batches.iter().filter(|b| b.report.gradient_norms.is_some());
    /// assert_eq!(measured.map(|b| b.batch).collect::<Vec<_>>(), [0, 50]);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    fn measure_gradients(&mut self, on: bool);

    /// A copy of the network with its current parameters.
    ///
    /// # Errors
    /// [`Error::Device`] if they cannot be copied back from the device.
    fn to_network(&mut self) -> Result<Network<F>>;

    /// Replaces the parameters by those of a network of the same structure, for example to go back
    /// to an earlier state. The optimizer stays as it is.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] or [`Error::Shape`] if the network has other layers or neurons;
    /// [`Error::Device`] if it cannot be copied to the device.
    fn set_network(&mut self, network: Network<F>) -> Result<()>;

    /// The training objective.
    fn objective(&self) -> &Objective<F>;

    /// A copy of the optimizer with its current state.
    ///
    /// # Errors
    /// [`Error::Device`] if it cannot be copied back from the device.
    fn to_optimizer(&mut self) -> Result<Optimizer<F>>;

    /// Replaces the optimizer, its state included. To change settings and keep the state, change
    /// the copy that [`to_optimizer`](Self::to_optimizer) returns.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for settings out of range; [`Error::Shape`] for the state of
    /// another network; [`Error::Device`] if it cannot be copied to the device.
    fn set_optimizer(&mut self, optimizer: Optimizer<F>) -> Result<()>;

    /// The learning rate of the next update, as the optimizer's schedule gives it.
    fn learning_rate(&self) -> f64;

    /// Sets the base learning rate, which the optimizer's schedule scales. The rates of its groups
    /// stay.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if it is negative or not finite.
    fn set_learning_rate(&mut self, lr: f64) -> Result<()>;

    /// The engine's own way to compute on its parameters as one vector, if it has one.
    #[cfg(feature = "mpi")]
    #[doc(hidden)]
    fn flat(&mut self) -> Option<&mut dyn flat::Flat<F>> {
        None
    }
}

/// The device to compute on.
///
/// # Debug builds
/// In a debug build Cargo compiles dependencies without optimization, which makes the kernels of
/// this crate very slow; [`Engine::describe`] warns about it. Two lines in the program's (or
/// workspace's) manifest optimize all dependencies and leave the program itself a debug build:
///
/// ```toml
/// # Cargo.toml
/// [profile.dev.package."*"]
/// opt-level = 3
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// A GPU if the build supports it and the machine has one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device with this index.
    Cuda(usize),
}

impl Device {
    /// Creates an engine on this device that trains `network` on `objective` (which can be a bare
    /// [`Loss`](crate::Loss)) with `optimizer` (which can be bare settings such as
    /// [`Adam`](crate::Adam)).
    ///
    /// # Errors
    /// [`Error::Device`] if the device is not available; [`Error::InvalidParameter`] if a setting
    /// of the objective or the optimizer is out of range.
    pub fn engine(
        self,
        network: Network,
        objective: impl Into<Objective>,
        optimizer: impl Into<Optimizer>,
    ) -> Result<Box<dyn Engine>> {
        let (objective, optimizer) = (objective.into(), optimizer.into());
        match self {
            Device::Cpu => Ok(Box::new(CpuEngine::new(network, objective, optimizer)?)),
            #[cfg(not(feature = "cuda"))]
            Device::Auto => Device::Cpu.engine(network, objective, optimizer),
            #[cfg(feature = "cuda")]
            Device::Auto => match cuda::check(&network).and_then(|()| cuda::Gpu::open(0)) {
                Ok(gpu) => Ok(Box::new(CudaEngine::on(
                    || Ok(gpu),
                    network,
                    objective,
                    optimizer,
                )?)),
                Err(error) => {
                    let engine = CpuEngine::new(network, objective, optimizer)?;
                    Ok(Box::new(engine.with_note(error.to_string())))
                }
            },
            #[cfg(feature = "cuda")]
            Device::Cuda(index) => Ok(Box::new(CudaEngine::new(
                index, network, objective, optimizer,
            )?)),
            #[cfg(not(feature = "cuda"))]
            Device::Cuda(_) => Err(Error::Device {
                device: self.to_string(),
                reason: "this build lacks the feature cuda; enable it, or use auto or cpu".into(),
            }),
        }
    }

    /// Resolves [`Auto`](Device::Auto) to a device and gives the reason in one line. Other devices
    /// resolve to themselves.
    pub fn resolve(self) -> (Device, String) {
        match self {
            #[cfg(feature = "cuda")]
            Device::Auto => match cuda::Gpu::open(0) {
                Ok(gpu) => (Device::Cuda(0), format!("found {}", gpu.describe())),
                Err(e) => (Device::Cpu, e.to_string()),
            },
            #[cfg(not(feature = "cuda"))]
            Device::Auto => (Device::Cpu, "this build lacks the feature cuda".into()),
            device => (device, "requested".into()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Device::Auto => f.write_str("auto"),
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    /// `auto`, `cpu`, `cuda` (the first) or `cuda:N`.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Device::Auto),
            "cpu" => Ok(Device::Cpu),
            "cuda" => Ok(Device::Cuda(0)),
            _ => match text.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(index)) => Ok(Device::Cuda(index)),
                _ => Err(Error::parameter(
                    "device",
                    text,
                    "auto, cpu, cuda or cuda:N",
                )),
            },
        }
    }
}

/// The note that engines add to their description if the crate was compiled without optimization
/// (recorded by the build script).
fn build_note() -> &'static str {
    match option_env!("SPIKEGRAD_OPT_LEVEL") {
        Some("0") => "; SLOW: compiled without optimization (opt-level 0)",
        _ => "",
    }
}

/// The weight of a batch in a sum of gradients, checked.
pub(crate) fn check_weight<F: Float>(weight: f64) -> Result<F> {
    let rounded = F::from_f64(weight);
    if rounded.is_finite() {
        return Ok(rounded);
    }
    let expected = "a finite number, also when rounded to the network's precision";
    Err(Error::parameter("weight", weight, expected))
}

/// That an update has no gradients to go by.
pub(crate) fn nothing_accumulated() -> Error {
    let expected = "those of at least one batch: call accumulate first";
    Error::parameter("gradients to update from", "none", expected)
}

/// Checks that `classes` has one entry per sample.
pub(crate) fn check_classes<F: Float>(input: Input<'_, F>, classes: &[usize]) -> Result<()> {
    if classes.len() == input.batch() {
        return Ok(());
    }
    let expected = format!("[{}], one per sample", input.batch());
    Err(input.name_axes(Error::shape("classes", expected, &[classes.len()])))
}

/// Checks that `scores` has one entry per sample and output.
pub(crate) fn check_scores<F: Float>(
    input: Input<'_, F>,
    outputs: usize,
    scores: &ArrayViewMut2<'_, F>,
) -> Result<()> {
    if scores.dim() == (input.batch(), outputs) {
        return Ok(());
    }
    let expected = format!(
        "[B, N] = [{}, {outputs}], one per sample and output",
        input.batch()
    );
    Err(Error::shape("scores", expected, scores.shape()))
}
