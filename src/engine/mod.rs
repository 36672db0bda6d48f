//! Engines: the same training step, computed in different ways.
//!
//! An [`Engine`] owns a network, an objective and an optimizer, and runs whole steps: forward over
//! all of time, loss, backward over all of time, update. [`Device`] picks one.
//! [`reference`](mod@reference) is the textbook one, which every other is tested against.

mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod driver;
mod forward;
pub mod reference;

use std::{fmt, str::FromStr};

use ndarray::ArrayViewMut2;

use crate::{
    Adam, Error, Float, Gradients, Input, Network, Objective, ReadOut, Record, Recording, Result,
    StepReport,
};
pub use cpu::CpuEngine;
pub(crate) use cpu::Inference;
pub(crate) use cpu::kernels::Kernels;
#[cfg(feature = "cuda")]
pub use cuda::CudaEngine;
pub use reference::ReferenceEngine;

/// Trains and runs one network. Object-safe: `Box<dyn Engine>` is what [`Device::engine`] gives, and
/// is itself an engine, as `&mut E` is of any engine `E`.
///
/// A method that fails leaves parameters and moments as they were. The one exception is an update
/// that makes a parameter infinite, which takes a learning rate out of all proportion (on a GPU also one
/// that makes a second moment of Adam's infinite): it is an [`Error::NonFinite`] that names the tensor and
/// the update, and such a network is of no use.
///
/// # Threads
/// An engine is `Send`; its methods take `&mut self`. To serve answers from several threads, make a
/// [`Predictor`](crate::Predictor) of it. **Do not share an engine through a mutex among rayon tasks: it
/// can hang for ever.** The engine shares its own work out over the thread pool, and while a thread waits
/// for that work rayon gives it another task. If that one locks the same mutex, the thread waits for
/// itself. The same holds for any lock that a task holds while it calls an engine.
pub trait Engine<F: Float = f32>: Send {
    /// What computes, in a few words: for a log's first line. It tells where the library was compiled
    /// without optimization, which makes it far slower: see [`Device`].
    fn describe(&self) -> String;

    /// Runs the network over an input `[B, N]` or `[T, B, N]`, and keeps spikes and membranes
    /// `[T, B, N]` of the layers asked for.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::InvalidParameter`] or [`Error::NonFinite`] for an input that does
    /// not fit; [`Error::OutOfMemory`] where what is computed of it cannot be allocated.
    fn forward(&mut self, input: Input<'_, F>, record: &Record) -> Result<Recording<F>>;

    /// Each sample's class by a read-out; `classes` has room for one each.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::Shape`] for another number of `classes`. Some of them may
    /// have been written then.
    fn classify(
        &mut self,
        input: Input<'_, F>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()>;

    /// Each sample's scores by a read-out, `[B, N]`, for the `N` neurons of the last layer: the number of
    /// their spikes, or their membrane summed over time. [`classify`](Self::classify) gives the class of
    /// the largest.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::Shape`] for `scores` of another shape. Some of them may
    /// have been written then.
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
    fn evaluate(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<StepReport>;

    /// Loss and gradients for one batch, for an optimizer of the caller's own.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate); [`Error::NonFinite`] where the loss or a gradient is not
    /// finite.
    fn gradients(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<(f64, Gradients<F>)>;

    /// One training step: loss, gradients, optimizer update. The report describes the batch
    /// before the update.
    ///
    /// With fewer steps than [`Network::min_steps`] no output spike can depend on the input: with one step,
    /// the neurons of the default order of events never fire. A [`Trainer`](crate::Trainer) warns of it in its
    /// [`History`](crate::History); a loop of your own asks the network.
    ///
    /// # Errors
    /// As [`gradients`](Self::gradients), and [`Error::NonFinite`] where a parameter is not finite:
    /// nothing has changed then. [`Error::NonFinite`] as well where the update would make a second moment
    /// of [`Adam`] infinite, or has made a parameter infinite or NaN, which takes gradients or a learning
    /// rate out of all proportion.
    fn train_step(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<StepReport>;

    /// Announces the batch of a coming [`train_step`](Self::train_step). An engine with memory of its own
    /// begins to bring it there, while it computes what it is asked for in between; nothing else changes,
    /// and a step on another batch than the one announced is right all the same. The two batches announced
    /// last wait until a step asks for them, so the next may be announced before the step on the current
    /// one. Does nothing unless an engine gains by it.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    fn prefetch(&mut self, input: Input<'_, F>, targets: &[usize]) -> Result<()> {
        let _ = (input, targets);
        Ok(())
    }

    /// Whether the reports of the training steps from now on have the norm of each layer's gradients
    /// ([`StepReport::gradient_norms`]); at first they do not. Weights are trained to the same bits
    /// either way. A step that measures is slower: the CPU engine then writes all gradients to memory,
    /// and a GPU hands them to the host. To measure one batch in fifty costs next to nothing:
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

    /// The network with its parameters as they are now.
    ///
    /// # Errors
    /// [`Error::Device`] where they cannot be brought back from the device.
    fn to_network(&mut self) -> Result<Network<F>>;

    /// What it trains by.
    fn objective(&self) -> &Objective<F>;

    /// The optimizer with its moments as they are now.
    ///
    /// # Errors
    /// [`Error::Device`] where they cannot be brought back from the device.
    fn to_optimizer(&mut self) -> Result<Adam<F>>;
}

/// Where to compute.
///
/// # Debug builds
/// Cargo compiles dependencies of a debug build without optimization, and the kernels of this crate are then
/// very slow; [`Engine::describe`] tells. Two lines in the manifest of the program (of
/// the workspace) optimize this crate and all other dependencies, while the program itself stays a debug
/// build:
///
/// ```toml
/// # Cargo.toml
/// [profile.dev.package."*"]
/// opt-level = 3
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// A GPU if this build and this machine have one, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

impl Device {
    /// An engine on this device that trains `network` by `objective` (a bare
    /// [`Loss`](crate::Loss) will do) and `adam`.
    ///
    /// # Errors
    /// [`Error::Device`] where there is no such device; [`Error::InvalidParameter`] for settings of
    /// the objective or the optimizer out of range.
    pub fn engine(
        self,
        network: Network,
        objective: impl Into<Objective>,
        adam: Adam,
    ) -> Result<Box<dyn Engine>> {
        match self {
            Device::Cpu => Ok(Box::new(CpuEngine::new(network, objective, adam)?)),
            #[cfg(not(feature = "cuda"))]
            Device::Auto => Device::Cpu.engine(network, objective, adam),
            #[cfg(feature = "cuda")]
            Device::Auto if network.layers().iter().any(|l| !cuda::runs(l.neuron())) => {
                let engine = CpuEngine::new(network, objective, adam)?;
                let note = "the CUDA engine has no neurons of a program's own".into();
                Ok(Box::new(engine.with_note(note)))
            }
            #[cfg(feature = "cuda")]
            Device::Auto => match cuda::Gpu::open(0) {
                Ok(gpu) => {
                    let objective = objective.into();
                    Ok(Box::new(CudaEngine::on(
                        || Ok(gpu),
                        network,
                        objective,
                        adam,
                    )?))
                }
                Err(error) => {
                    let engine = CpuEngine::new(network, objective, adam)?;
                    Ok(Box::new(engine.with_note(error.to_string())))
                }
            },
            #[cfg(feature = "cuda")]
            Device::Cuda(index) => Ok(Box::new(CudaEngine::new(index, network, objective, adam)?)),
            #[cfg(not(feature = "cuda"))]
            Device::Cuda(_) => Err(Error::Device {
                device: self.to_string(),
                reason:
                    "this build of spikegrad has no feature cuda; build with it, or use auto or cpu"
                        .into(),
            }),
        }
    }

    /// The device that [`Auto`](Device::Auto) stands for on this machine, and why, in one line; any
    /// other device stands for itself.
    pub fn resolve(self) -> (Device, String) {
        match self {
            #[cfg(feature = "cuda")]
            Device::Auto => match cuda::Gpu::open(0) {
                Ok(gpu) => (Device::Cuda(0), format!("found {}", gpu.describe())),
                Err(e) => (Device::Cpu, e.to_string()),
            },
            #[cfg(not(feature = "cuda"))]
            Device::Auto => (Device::Cpu, "this build has no feature cuda".into()),
            device => (device, "asked for".into()),
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

/// What engines add to their description where this crate was compiled without optimization, as the
/// build script knows.
fn build_note() -> &'static str {
    match option_env!("SPIKEGRAD_OPT_LEVEL") {
        Some("0") => "; SLOW: compiled without optimization (opt-level 0)",
        _ => "",
    }
}

/// Refuses room for more or fewer classes than there are samples.
pub(crate) fn check_classes<F: Float>(input: Input<'_, F>, classes: &[usize]) -> Result<()> {
    if classes.len() == input.batch() {
        return Ok(());
    }
    let expected = format!("[{}], one for each sample", input.batch());
    Err(input.name_axes(Error::shape("classes", expected, &[classes.len()])))
}

/// Refuses room for other scores than one for each sample and output.
pub(crate) fn check_scores<F: Float>(
    input: Input<'_, F>,
    outputs: usize,
    scores: &ArrayViewMut2<'_, F>,
) -> Result<()> {
    if scores.dim() == (input.batch(), outputs) {
        return Ok(());
    }
    let expected = format!(
        "[B, N] = [{}, {outputs}], one for each sample and output",
        input.batch()
    );
    Err(Error::shape("scores", expected, scores.shape()))
}
