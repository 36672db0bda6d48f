//! What a [`Trainer`](crate::Trainer) draws batches from.

use std::ops::Range;

use ndarray::{Array2, Array3, s};

use crate::{Error, Input, Network, Result, Samples, Targets};

/// Samples that a [`Trainer`](crate::Trainer) draws batches from: images ([`Dataset`](super::Dataset)), arrays
/// ([`InMemory`](super::InMemory)), a closure ([`from_fn`]), or your own type.
///
/// ```
/// use ndarray::Array2;
/// use spikegrad::data::{Data, Draw, OwnedSamples};
/// use spikegrad::{Adam, Device, Leaky, Loss, Network, Trainer};
/// use std::ops::ControlFlow;
///
/// /// Points on a line, and the side of 0.5 on which each lies.
/// struct Line(Vec<f32>);
///
/// impl Data for Line {
///     fn len(&self) -> usize {
///         self.0.len()
///     }
///
///     fn fill(&self, draw: Draw<'_>, batch: &mut OwnedSamples) -> spikegrad::Result<()> {
///         let points = draw.indices.iter().map(|&index| self.0[index]);
///         let x = batch.constant([draw.indices.len(), 1]);
///         x.iter_mut().zip(points.clone()).for_each(|(x, point)| *x = point);
///         batch.classes().extend(points.map(|point| usize::from(point > 0.5)));
///         Ok(())
///     }
/// }
///
/// let line = Line((0..64).map(|n| n as f32 / 64.0).collect());
/// let network: Network = Network::builder(1).layer(20, Leaky::new(0.9)).layer(2, Leaky::new(0.9)).build()?;
/// let mut engine = Device::Cpu.engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-2))?;
/// let trainer = Trainer { epochs: 2, batch_size: 16, num_steps: 10, ..Trainer::default() };
/// let history = trainer.fit(&mut engine, &line, None, |_, _| Ok(ControlFlow::Continue(())))?;
/// assert_eq!(history.batches.len(), 8);
/// # Ok::<(), spikegrad::Error>(())
/// ```
pub trait Data {
    /// Number of samples; the same at each call.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Overwrites `batch` with the drawn samples, in their order. A batch is drawn before the step on the one
    /// before it, so that a device can be sent it meanwhile.
    ///
    /// # Errors
    /// Any error ends the run; [`Error::callback`](crate::Error::callback) wraps the program's own.
    fn fill(&self, draw: Draw<'_>, batch: &mut OwnedSamples) -> Result<()>;

    /// Checks before the first step that the network can be trained on these samples; `what` names them:
    /// `training` or `validation`. By default this checks nothing, and what does not fit is found in the
    /// step that meets it.
    ///
    /// # Errors
    /// As for [`Engine::train_step`](crate::Engine::train_step).
    fn check(&self, network: &Network, what: &str) -> Result<()> {
        let _ = (network, what);
        Ok(())
    }

    /// Steps of each sample, if they are sequences of the same length; by default not known.
    fn num_steps(&self) -> Option<usize> {
        None
    }

    /// Likely mistakes, one line each; by default none.
    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }
}

impl<D: Data + ?Sized> Data for &D {
    fn len(&self) -> usize {
        (**self).len()
    }
    fn is_empty(&self) -> bool {
        (**self).is_empty()
    }
    fn fill(&self, draw: Draw<'_>, batch: &mut OwnedSamples) -> Result<()> {
        (**self).fill(draw, batch)
    }
    fn check(&self, network: &Network, what: &str) -> Result<()> {
        (**self).check(network, what)
    }
    fn num_steps(&self) -> Option<usize> {
        (**self).num_steps()
    }
    fn warnings(&self) -> Vec<String> {
        (**self).warnings()
    }
}

/// The samples of one batch.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Draw<'a> {
    /// Their numbers, each below [`Data::len`]. Training sets are shuffled anew in each epoch.
    pub indices: &'a [usize],
    /// The epoch, from 0; 0 in a validation. Samples that change from epoch to epoch (shifted images,
    /// random spike trains) have the same bits in a resumed run if they depend on this number and their
    /// own alone.
    pub epoch: usize,
}

impl<'a> Draw<'a> {
    /// The samples at `indices` in an epoch.
    pub fn new(indices: &'a [usize], epoch: usize) -> Self {
        Draw { indices, epoch }
    }
}

/// The input of a batch in memory of its own.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OwnedInput {
    /// `[B, N]`, the same at each step.
    Constant(Array2<f32>),
    /// `[T, B, N]`.
    Sequence(Array3<f32>),
}

/// The targets of a batch in memory of their own: [`Targets`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OwnedTargets {
    /// A class for each sample, `[B]`.
    Classes(Vec<usize>),
    /// A value for each sample and output, `[B, N]`.
    Values(Array2<f32>),
    /// A value for each step, sample and output, `[T, B, N]`.
    Sequence(Array3<f32>),
}

/// Input and targets of a batch in memory of their own: the counterpart of [`Samples`], whose views they give.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedSamples {
    /// The input.
    pub input: OwnedInput,
    /// The targets.
    pub targets: OwnedTargets,
}

impl Default for OwnedSamples {
    /// Empty, to be filled.
    fn default() -> Self {
        OwnedSamples {
            input: OwnedInput::Constant(Array2::default((0, 0))),
            targets: OwnedTargets::Classes(Vec::new()),
        }
    }
}

impl OwnedSamples {
    /// Makes the input a constant one of shape `[B, N]`, reusing its memory if it has that shape, and
    /// returns it: all zeros, to be filled.
    pub fn constant(&mut self, shape: [usize; 2]) -> &mut Array2<f32> {
        let array = self.constant_as_left(shape);
        array.fill(0.0);
        array
    }

    /// The same without the zeros: what an earlier batch left there.
    pub(super) fn constant_as_left(&mut self, shape: [usize; 2]) -> &mut Array2<f32> {
        if !matches!(&self.input, OwnedInput::Constant(x) if x.shape() == shape) {
            self.input = OwnedInput::Constant(Array2::zeros(shape));
        }
        match &mut self.input {
            OwnedInput::Constant(x) => x,
            OwnedInput::Sequence(_) => unreachable!("it was made a constant one"),
        }
    }

    /// The same with a sequence of shape `[T, B, N]`.
    pub fn sequence(&mut self, shape: [usize; 3]) -> &mut Array3<f32> {
        let array = self.sequence_as_left(shape);
        array.fill(0.0);
        array
    }

    /// The same without the zeros: what an earlier batch left there.
    pub(super) fn sequence_as_left(&mut self, shape: [usize; 3]) -> &mut Array3<f32> {
        if !matches!(&self.input, OwnedInput::Sequence(x) if x.shape() == shape) {
            self.input = OwnedInput::Sequence(Array3::zeros(shape));
        }
        match &mut self.input {
            OwnedInput::Sequence(x) => x,
            OwnedInput::Constant(_) => unreachable!("it was made a sequence"),
        }
    }

    /// Makes the targets classes, none yet, and returns them to be filled.
    pub fn classes(&mut self) -> &mut Vec<usize> {
        if !matches!(self.targets, OwnedTargets::Classes(_)) {
            self.targets = OwnedTargets::Classes(Vec::new());
        }
        match &mut self.targets {
            OwnedTargets::Classes(classes) => {
                classes.clear();
                classes
            }
            _ => unreachable!("they were made classes"),
        }
    }

    /// Makes the targets values of shape `[B, N]`, reusing their memory if they have that shape, and returns
    /// them: all zeros, to be filled.
    pub fn values(&mut self, shape: [usize; 2]) -> &mut Array2<f32> {
        let array = self.values_as_left(shape);
        array.fill(0.0);
        array
    }

    /// The same without the zeros: what an earlier batch left there.
    pub(super) fn values_as_left(&mut self, shape: [usize; 2]) -> &mut Array2<f32> {
        if !matches!(&self.targets, OwnedTargets::Values(values) if values.shape() == shape) {
            self.targets = OwnedTargets::Values(Array2::zeros(shape));
        }
        match &mut self.targets {
            OwnedTargets::Values(values) => values,
            _ => unreachable!("they were made values"),
        }
    }

    /// The same with a value for each step, `[T, B, N]`.
    pub fn sequence_values(&mut self, shape: [usize; 3]) -> &mut Array3<f32> {
        let array = self.sequence_values_as_left(shape);
        array.fill(0.0);
        array
    }

    /// The same without the zeros: what an earlier batch left there.
    pub(super) fn sequence_values_as_left(&mut self, shape: [usize; 3]) -> &mut Array3<f32> {
        if !matches!(&self.targets, OwnedTargets::Sequence(values) if values.shape() == shape) {
            self.targets = OwnedTargets::Sequence(Array3::zeros(shape));
        }
        match &mut self.targets {
            OwnedTargets::Sequence(values) => values,
            _ => unreachable!("they were made a sequence"),
        }
    }

    /// Views for an engine; a constant input lasts `num_steps` steps, a sequence has its own.
    pub fn samples(&self, num_steps: usize) -> Samples<'_> {
        let input = match &self.input {
            OwnedInput::Constant(x) => Input::constant(x.view(), num_steps),
            OwnedInput::Sequence(x) => Input::sequence(x.view()),
        };
        let targets = match &self.targets {
            OwnedTargets::Classes(classes) => Targets::Classes(classes),
            OwnedTargets::Values(values) => Targets::Values(values.view()),
            OwnedTargets::Sequence(values) => Targets::Sequence(values.view()),
        };
        Samples { input, targets }
    }

    /// Number of samples.
    pub fn batch(&self) -> usize {
        match &self.input {
            OwnedInput::Constant(x) => x.nrows(),
            OwnedInput::Sequence(x) => x.dim().1,
        }
    }

    /// Number of steps: those of a sequence, or those that a constant input is given.
    pub(crate) fn num_steps(&self, of_constant: usize) -> usize {
        match &self.input {
            OwnedInput::Constant(_) => of_constant,
            OwnedInput::Sequence(x) => x.dim().0,
        }
    }

    /// Checks that there are `samples` samples, and a target for each, at each of `num_steps` steps if they
    /// are a sequence.
    pub(crate) fn check(&self, samples: usize, num_steps: usize) -> Result<()> {
        if self.batch() != samples {
            let expected = format!("[{samples}], the samples that were drawn");
            return Err(Error::shape(
                "samples of a batch",
                expected,
                &[self.batch()],
            ));
        }
        match &self.targets {
            OwnedTargets::Classes(classes) if classes.len() != samples => {
                let expected = format!("[{samples}], one per sample");
                Err(Error::shape("targets", expected, &[classes.len()]))
            }
            OwnedTargets::Values(values) if values.nrows() != samples => {
                let expected = format!("[{samples}, N], values for each sample");
                Err(Error::shape("targets", expected, values.shape()))
            }
            OwnedTargets::Sequence(values) if values.shape()[..2] != [num_steps, samples] => {
                let expected =
                    format!("[{num_steps}, {samples}, N], values for each step and sample");
                Err(Error::shape("targets", expected, values.shape()))
            }
            _ => Ok(()),
        }
    }

    /// Views of some steps of some samples of a batch that has been checked.
    pub(crate) fn part(&self, samples: Range<usize>, steps: Range<usize>) -> Samples<'_> {
        let input = match &self.input {
            OwnedInput::Constant(x) => {
                Input::constant(x.slice(s![samples.clone(), ..]), steps.len())
            }
            OwnedInput::Sequence(x) => {
                Input::sequence(x.slice(s![steps.clone(), samples.clone(), ..]))
            }
        };
        let targets = match &self.targets {
            OwnedTargets::Classes(classes) => {
                Targets::Classes(classes.get(samples).unwrap_or_default())
            }
            OwnedTargets::Values(values) => Targets::Values(values.slice(s![samples, ..])),
            OwnedTargets::Sequence(values) => {
                Targets::Sequence(values.slice(s![steps, samples, ..]))
            }
        };
        Samples { input, targets }
    }
}

/// Samples from a closure, which [fills](Data::fill) each batch: generated on the fly, read from files, or
/// changed from epoch to epoch.
///
/// ```
/// use spikegrad::data::from_fn;
/// use spikegrad::{Adam, Device, Leaky, Loss, Network, Quantity, Trainer};
/// use std::ops::ControlFlow;
///
/// // Sines of 256 phases, [T, B, 1]; the output's membrane shall follow.
/// let sines = from_fn(256, |draw, batch| {
///     let phase = |b: usize| draw.indices[b] as f32 / 40.0;
///     let wave = |(t, b, _): (usize, usize, usize)| (phase(b) + t as f32 / 10.0).sin();
///     let shape = [20, draw.indices.len(), 1];
///     for (at, x) in batch.sequence(shape).indexed_iter_mut() {
///         *x = wave(at);
///     }
///     for (at, y) in batch.sequence_values(shape).indexed_iter_mut() {
///         *y = wave(at);
///     }
///     Ok(())
/// });
/// let network: Network = Network::builder(1).layer(16, Leaky::new(0.9)).layer(1, Leaky::new(0.9)).build()?;
/// let mut engine = Device::Cpu.engine(network, Loss::Mse(Quantity::Membrane), Adam::new(1e-2))?;
/// let trainer = Trainer { epochs: 2, batch_size: 64, ..Trainer::default() };
/// let history = trainer.fit(&mut engine, &sines, None, |_, _| Ok(ControlFlow::Continue(())))?;
/// assert!(history.epochs[1].train_loss < history.epochs[0].train_loss);
/// # Ok::<(), spikegrad::Error>(())
/// ```
pub fn from_fn<F>(len: usize, fill: F) -> FromFn<F>
where
    F: Fn(Draw<'_>, &mut OwnedSamples) -> Result<()>,
{
    FromFn {
        len,
        num_steps: None,
        fill,
    }
}

/// Samples from a closure; see [`from_fn`].
#[derive(Debug, Clone, Copy)]
pub struct FromFn<F> {
    len: usize,
    num_steps: Option<usize>,
    fill: F,
}

impl<F> FromFn<F> {
    /// Tells that all samples are sequences of so many steps, for warnings.
    #[must_use]
    pub fn with_num_steps(mut self, num_steps: usize) -> Self {
        self.num_steps = Some(num_steps);
        self
    }
}

impl<F> Data for FromFn<F>
where
    F: Fn(Draw<'_>, &mut OwnedSamples) -> Result<()>,
{
    fn len(&self) -> usize {
        self.len
    }
    fn num_steps(&self) -> Option<usize> {
        self.num_steps
    }
    fn fill(&self, draw: Draw<'_>, batch: &mut OwnedSamples) -> Result<()> {
        (self.fill)(draw, batch)
    }
}

/// Checks that there are samples with these numbers.
pub(super) fn check_indices(indices: &[usize], len: usize) -> Result<()> {
    if indices.is_empty() {
        return Err(Error::parameter("number of indices", 0, "at least 1"));
    }
    let mut indices = indices.iter().enumerate();
    match indices.find(|(_, index)| **index >= len) {
        Some((position, index)) => {
            let what = format!("index {position} of the batch");
            Err(Error::parameter(what, index, format!("below {len}")))
        }
        None => Ok(()),
    }
}

/// Checks that the network has an output for each class; `what` names the set.
pub(super) fn check_labels(
    what: &str,
    classes: impl Iterator<Item = usize>,
    outputs: usize,
) -> Result<()> {
    let mut labels = classes.enumerate();
    match labels.find(|&(_, class)| class >= outputs) {
        Some((index, class)) => {
            let expected = format!("a class below {outputs}, the number of the network's outputs");
            let what = format!("{what} label {index}");
            Err(Error::parameter(what, class, expected))
        }
        None => Ok(()),
    }
}
