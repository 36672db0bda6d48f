//! Samples as arrays in memory: numbers or spikes, constant or sequences, with classes or values.

use ndarray::{Array2, Array3, ArrayView3, Axis};

use super::{
    Data, Draw, OwnedSamples,
    source::{check_indices, check_labels},
};
use crate::{Error, Network, Result, finite::check_finite};

/// Samples as arrays: rows of numbers, or sequences of numbers or spikes, each with a class or with values.
///
/// ```
/// use ndarray::{Array2, Array3, array};
/// use spikegrad::data::{Data, InMemory};
///
/// // A table: [N, F], a class for each row.
/// let table = InMemory::constant(array![[0.3, -1.2], [0.1, 0.8]], vec![0, 1])?;
/// // Recordings: [N, T, F], values for each step, [N, T, outputs].
/// let recordings = InMemory::sequences(Array3::zeros((10, 50, 4)), Array3::zeros((10, 50, 1)))?;
/// assert_eq!((table.len(), recordings.num_steps()), (2, Some(50)));
/// // Spike trains, [N, T, F], kept as bits.
/// let spikes = Array3::from_shape_fn((10, 50, 4), |(n, t, f)| (n + t + f) % 7 == 0);
/// let trains = InMemory::spikes(spikes.view(), (0..10).map(|n| n % 2).collect::<Vec<_>>())?;
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct InMemory {
    inputs: Inputs,
    targets: SampleTargets,
}

#[derive(Debug, Clone, PartialEq)]
enum Inputs {
    /// `[N, F]`.
    Constant(Array2<f32>),
    /// `[N, T, F]`.
    Sequences(Array3<f32>),
    /// Bits `[N, T, ⌈F/64⌉]`, and `F`.
    Spikes(Array3<u64>, usize),
}

/// The target of each sample of a set; made from a vector or an array.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SampleTargets {
    /// A class, `[N]`.
    Classes(Vec<usize>),
    /// A value for each output, `[N, outputs]`.
    Values(Array2<f32>),
    /// A value for each step and output, `[N, T, outputs]`.
    Sequences(Array3<f32>),
}

impl From<Vec<usize>> for SampleTargets {
    fn from(classes: Vec<usize>) -> Self {
        SampleTargets::Classes(classes)
    }
}

impl From<Array2<f32>> for SampleTargets {
    fn from(values: Array2<f32>) -> Self {
        SampleTargets::Values(values)
    }
}

impl From<Array3<f32>> for SampleTargets {
    fn from(values: Array3<f32>) -> Self {
        SampleTargets::Sequences(values)
    }
}

impl SampleTargets {
    fn len(&self) -> usize {
        match self {
            SampleTargets::Classes(classes) => classes.len(),
            SampleTargets::Values(values) => values.nrows(),
            SampleTargets::Sequences(values) => values.dim().0,
        }
    }
}

impl InMemory {
    /// Inputs `[N, F]`, each the same at every step.
    ///
    /// # Errors
    /// [`Error::Shape`] if there are no samples or features, or not one target for each sample;
    /// [`Error::NonFinite`] for a NaN or an infinity, in inputs or targets.
    pub fn constant(inputs: Array2<f32>, targets: impl Into<SampleTargets>) -> Result<Self> {
        check_values("inputs", inputs.shape(), inputs.iter())?;
        Self::new(Inputs::Constant(inputs), targets.into())
    }

    /// Sequences `[N, T, F]`. (A batch is `[T, B, F]`; each sample's steps lie together here.)
    ///
    /// # Errors
    /// As [`constant`](Self::constant), and [`Error::Shape`] for targets of another number of steps.
    pub fn sequences(inputs: Array3<f32>, targets: impl Into<SampleTargets>) -> Result<Self> {
        check_values("inputs", inputs.shape(), inputs.iter())?;
        Self::new(Inputs::Sequences(inputs), targets.into())
    }

    /// Spike trains `[N, T, F]`, kept as bits: 64 features of a step in eight bytes.
    ///
    /// # Errors
    /// As [`sequences`](Self::sequences).
    pub fn spikes(inputs: ArrayView3<'_, bool>, targets: impl Into<SampleTargets>) -> Result<Self> {
        check_shape("inputs", inputs.shape())?;
        let (samples, steps, features) = inputs.dim();
        let mut bits = Array3::zeros((samples, steps, features.div_ceil(64)));
        for ((n, t, f), _) in inputs.indexed_iter().filter(|(_, spike)| **spike) {
            bits[[n, t, f / 64]] |= 1 << (f % 64);
        }
        Self::new(Inputs::Spikes(bits, features), targets.into())
    }

    fn new(inputs: Inputs, targets: SampleTargets) -> Result<Self> {
        let data = InMemory { inputs, targets };
        let samples = data.len();
        if data.targets.len() != samples {
            let expected = format!("[{samples}], one for each sample");
            return Err(Error::shape("targets", expected, &[data.targets.len()]));
        }
        match &data.targets {
            SampleTargets::Classes(_) => {}
            SampleTargets::Values(values) => {
                check_values("targets", values.shape(), values.iter())?
            }
            SampleTargets::Sequences(values) => {
                check_values("targets", values.shape(), values.iter())?;
                if data
                    .num_steps()
                    .is_some_and(|steps| steps != values.dim().1)
                {
                    let steps = data.num_steps().unwrap_or_default();
                    let expected =
                        format!("[{samples}, {steps}, outputs], the steps of the inputs");
                    return Err(Error::shape("targets", expected, values.shape()));
                }
            }
        }
        Ok(data)
    }

    /// Number of input features `F`.
    pub fn features(&self) -> usize {
        match &self.inputs {
            Inputs::Constant(x) => x.ncols(),
            Inputs::Sequences(x) => x.dim().2,
            Inputs::Spikes(_, features) => *features,
        }
    }
}

fn check_shape(what: &str, shape: &[usize]) -> Result<()> {
    match shape.contains(&0) {
        true => Err(Error::shape(what, "at least 1 of each", shape)),
        false => Ok(()),
    }
}

fn check_values<'a>(
    what: &str,
    shape: &[usize],
    values: impl Iterator<Item = &'a f32> + Clone,
) -> Result<()> {
    check_shape(what, shape)?;
    check_finite(what, values)
}

impl Data for InMemory {
    fn len(&self) -> usize {
        match &self.inputs {
            Inputs::Constant(x) => x.nrows(),
            Inputs::Sequences(x) => x.dim().0,
            Inputs::Spikes(bits, _) => bits.dim().0,
        }
    }

    fn fill(&self, draw: Draw<'_>, batch: &mut OwnedSamples) -> Result<()> {
        check_indices(draw.indices, self.len())?;
        let (samples, features) = (draw.indices.len(), self.features());
        match &self.inputs {
            Inputs::Constant(x) => {
                let into = batch.constant_as_left([samples, features]);
                for (mut row, &n) in into.rows_mut().into_iter().zip(draw.indices) {
                    row.assign(&x.row(n));
                }
            }
            Inputs::Sequences(x) => {
                let into = batch.sequence_as_left([x.dim().1, samples, features]);
                for (mut sample, &n) in into.axis_iter_mut(Axis(1)).zip(draw.indices) {
                    sample.assign(&x.index_axis(Axis(0), n));
                }
            }
            Inputs::Spikes(bits, _) => {
                let into = batch.sequence_as_left([bits.dim().1, samples, features]);
                for (mut sample, &n) in into.axis_iter_mut(Axis(1)).zip(draw.indices) {
                    for ((t, f), x) in sample.indexed_iter_mut() {
                        *x = (bits[[n, t, f / 64]] >> (f % 64) & 1) as f32;
                    }
                }
            }
        }
        match &self.targets {
            SampleTargets::Classes(classes) => {
                batch
                    .classes()
                    .extend(draw.indices.iter().map(|&n| classes[n]));
            }
            SampleTargets::Values(values) => {
                let into = batch.values_as_left([samples, values.ncols()]);
                for (mut row, &n) in into.rows_mut().into_iter().zip(draw.indices) {
                    row.assign(&values.row(n));
                }
            }
            SampleTargets::Sequences(values) => {
                let (_, steps, outputs) = values.dim();
                let into = batch.sequence_values_as_left([steps, samples, outputs]);
                for (mut sample, &n) in into.axis_iter_mut(Axis(1)).zip(draw.indices) {
                    sample.assign(&values.index_axis(Axis(0), n));
                }
            }
        }
        Ok(())
    }

    fn check(&self, network: &Network, what: &str) -> Result<()> {
        let (inputs, outputs) = (network.inputs(), network.outputs());
        if self.features() != inputs {
            let expected = format!("[{inputs}], the network's inputs");
            let what = format!("features of the {what} set");
            return Err(Error::shape(what, expected, &[self.features()]));
        }
        let found = match &self.targets {
            SampleTargets::Classes(classes) => {
                return check_labels(what, classes.iter().copied(), outputs);
            }
            SampleTargets::Values(values) => values.ncols(),
            SampleTargets::Sequences(values) => values.dim().2,
        };
        match found == outputs {
            true => Ok(()),
            false => {
                let expected = format!("[{outputs}], the network's outputs");
                Err(Error::shape(
                    format!("{what} targets of a sample"),
                    expected,
                    &[found],
                ))
            }
        }
    }

    fn num_steps(&self) -> Option<usize> {
        match &self.inputs {
            Inputs::Constant(_) => None,
            Inputs::Sequences(x) => Some(x.dim().1),
            Inputs::Spikes(bits, _) => Some(bits.dim().1),
        }
    }
}
