//! Metrics: accuracy by either read-out, and firing rates.
//!
//! A [read-out](ReadOut) of the output layer, `[T, B, N]`, determines a class: the neuron with the most
//! spikes (as in the tutorial), the neuron with the largest membrane summed over time, and others. Use
//! the one that matches the training loss ([`Loss::read_out`](crate::Loss::read_out)). Ties go to the
//! lowest index, as with `torch.max` on a CPU.

use std::ops::Range;

use ndarray::{Array2, ArrayView, ArrayView2, Axis, Dimension, s};

use crate::{Error, Float, Recording, Result, Targets};

/// How the output layer determines a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum ReadOut {
    /// The neuron with the most spikes, as in the tutorial. Use it with losses on spikes.
    #[default]
    SpikeCount,
    /// The neuron with the largest membrane summed over time. Use it with losses on membranes.
    Membrane,
    /// The neuron with the largest membrane of all steps.
    MaxMembrane,
    /// The neuron with the largest membrane at the last step.
    LastMembrane,
    /// The neuron with the largest membrane summed over a window of steps.
    WindowMembrane {
        /// The first step, from 0.
        first: usize,
        /// The step after the last; [`usize::MAX`] for all that there are.
        end: usize,
    },
    /// The neuron that fires first. Its score is minus the step of its first spike, `1 − T` if it never
    /// fires.
    FirstSpike,
}

impl ReadOut {
    /// Whether it reads spikes, not membranes.
    pub(crate) fn of_spikes(self) -> bool {
        matches!(self, ReadOut::SpikeCount | ReadOut::FirstSpike)
    }

    /// One read-out of spikes and one of membranes: this one and the usual other.
    pub(crate) fn with_other(self) -> [ReadOut; 2] {
        match self.of_spikes() {
            true => [self, ReadOut::Membrane],
            false => [ReadOut::SpikeCount, self],
        }
    }

    /// The steps of `num_steps` whose membranes or spikes it sums; `None` where it does not sum.
    pub(crate) fn summed(self, num_steps: usize) -> Option<Range<usize>> {
        match self {
            ReadOut::SpikeCount | ReadOut::Membrane => Some(0..num_steps),
            ReadOut::LastMembrane => Some(num_steps - 1..num_steps),
            ReadOut::WindowMembrane { first, end } => {
                let end = end.min(num_steps);
                Some(first.min(end)..end)
            }
            ReadOut::MaxMembrane | ReadOut::FirstSpike => None,
        }
    }
}

impl<F: Float> Recording<F> {
    /// Each sample's scores by a read-out, `[B, N]`: for each neuron of the last layer, for example, its
    /// spike count or its membrane summed over time.
    pub fn scores(&self, read_out: ReadOut) -> Array2<F> {
        let trace = match read_out.of_spikes() {
            true => &self.output().spk,
            false => &self.output().mem,
        };
        let (steps, batch, neurons) = trace.dim();
        match read_out.summed(steps) {
            // Step by step, in the engines' order: `sum_axis` uses a different order for some shapes.
            Some(window) => {
                let start = Array2::zeros((batch, neurons));
                let rows = trace.slice(s![window, .., ..]);
                rows.outer_iter().fold(start, |sums, row| sums + row)
            }
            None if read_out == ReadOut::FirstSpike => {
                self.first_spikes().mapv(|step| -F::from_f64(step as f64))
            }
            None => {
                let mut max = trace.index_axis(Axis(0), 0).to_owned();
                for row in trace.outer_iter() {
                    max.zip_mut_with(&row, |max, &u| *max = if u > *max { u } else { *max });
                }
                max
            }
        }
    }

    /// The step of each output neuron's first spike, `[B, N]`; `T − 1` if it never fires.
    pub fn first_spikes(&self) -> Array2<usize> {
        let spk = &self.output().spk;
        let (steps, batch, neurons) = spk.dim();
        let fires = |b, n| (0..steps).find(|&t| spk[[t, b, n]] > F::zero());
        Array2::from_shape_fn((batch, neurons), |(b, n)| fires(b, n).unwrap_or(steps - 1))
    }

    /// Each sample's class by a read-out, `[B]`: the neuron with the largest score.
    pub fn classify(&self, read_out: ReadOut) -> Vec<usize> {
        argmax_rows(self.scores(read_out).view())
    }
}

/// The results of a batch in training or validation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StepReport {
    /// The loss, before the update if there was one.
    pub loss: f64,
    /// Number of samples `B`.
    pub samples: usize,
    /// Samples classified correctly by spike count, or by the first spike if the loss reads it; 0 for targets
    /// that are values.
    pub correct_spike_count: usize,
    /// Samples classified correctly by the membrane summed over time, or as the loss reads it
    /// ([`Loss::read_out`](crate::Loss::read_out)): the largest, the last, the mean over a window. 0 for
    /// targets that are values.
    pub correct_membrane: usize,
    /// Firing rate of each layer: the fraction of neuron-steps with a spike.
    pub firing_rate: Vec<f64>,
    /// The Euclidean norm of each layer's gradients before any clipping, as
    /// [`Gradients::layer_norms`](crate::Gradients::layer_norms) defines it: only for training
    /// steps, if enabled by [`Engine::measure_gradients`](crate::Engine::measure_gradients).
    pub gradient_norms: Option<Vec<f64>>,
}

impl StepReport {
    /// Computes loss and correct answers from a recording of all layers; targets that are values have
    /// no correct answers. The firing rate of a layer that was not recorded is NaN.
    ///
    /// # Errors
    /// [`Error::Shape`] or [`Error::Target`] for invalid
    /// targets.
    pub fn new<'a, F: Float>(
        loss: f64,
        recording: &Recording<F>,
        targets: impl Into<Targets<'a, F>>,
    ) -> Result<Self> {
        let read_outs = ReadOut::default().with_other();
        Self::by(read_outs, loss, recording, targets.into())
    }

    /// [`new`](Self::new) with a read-out of spikes and one of membranes.
    pub(crate) fn by<F: Float>(
        read_outs: [ReadOut; 2],
        loss: f64,
        recording: &Recording<F>,
        targets: Targets<'_, F>,
    ) -> Result<Self> {
        recording.check()?;
        recording.check_targets(targets)?;
        let classes = match targets {
            Targets::Classes(classes) => classes,
            _ => &[],
        };
        let correct = |read_out| {
            let answers = recording.classify(read_out);
            let pairs = answers.iter().zip(classes);
            pairs.filter(|(answer, target)| answer == target).count()
        };
        let layers = 0..recording.num_layers();
        let rate = |k| (recording.layer(k)).map_or(f64::NAN, |trace| trace.firing_rate());
        let [count, membrane] = read_outs.map(correct);
        let (_, samples, _) = recording.output().mem.dim();
        Ok(Self::counted(
            loss,
            samples,
            [count, membrane],
            layers.map(rate),
        ))
    }

    /// From the numbers of correct answers by spike count and by membrane, and each layer's firing
    /// rate: the report of a batch that was measured elsewhere.
    pub fn counted(
        loss: f64,
        samples: usize,
        [correct_spike_count, correct_membrane]: [usize; 2],
        firing_rate: impl Iterator<Item = f64>,
    ) -> Self {
        StepReport {
            loss,
            samples,
            correct_spike_count,
            correct_membrane,
            firing_rate: firing_rate.collect(),
            gradient_norms: None,
        }
    }

    /// Combines two batches, weighting every sample equally. The result has no gradient norms,
    /// since they cannot be computed from those of the parts.
    #[must_use]
    pub fn merge(&self, other: &StepReport) -> StepReport {
        let samples = self.samples.saturating_add(other.samples);
        let mean =
            |a: f64, b: f64| (a * self.samples as f64 + b * other.samples as f64) / samples as f64;
        let rates = self.firing_rate.iter().zip(&other.firing_rate);
        StepReport {
            loss: mean(self.loss, other.loss),
            samples,
            correct_spike_count: self
                .correct_spike_count
                .saturating_add(other.correct_spike_count),
            correct_membrane: self.correct_membrane.saturating_add(other.correct_membrane),
            firing_rate: rates.map(|(&a, &b)| mean(a, b)).collect(),
            gradient_norms: None,
        }
    }

    /// The report of `steps` steps followed by others of the same samples. Losses are added if they are
    /// `sums` over steps; otherwise they are means by the steps, as firing rates are. The correct answers
    /// and gradient norms are those of the later.
    pub(crate) fn then(
        &self,
        steps: usize,
        later: &StepReport,
        later_steps: usize,
        sums: bool,
    ) -> StepReport {
        let all = (steps + later_steps) as f64;
        let mean = |a: f64, b: f64| (a * steps as f64 + b * later_steps as f64) / all;
        let rates = self.firing_rate.iter().zip(&later.firing_rate);
        StepReport {
            loss: match sums {
                true => self.loss + later.loss,
                false => mean(self.loss, later.loss),
            },
            firing_rate: rates.map(|(&a, &b)| mean(a, b)).collect(),
            ..later.clone()
        }
    }

    /// Fraction of samples classified correctly by spike count.
    pub fn accuracy_spike_count(&self) -> f64 {
        self.correct_spike_count as f64 / self.samples as f64
    }

    /// Fraction of samples classified correctly by the membrane summed over time.
    pub fn accuracy_membrane(&self) -> f64 {
        self.correct_membrane as f64 / self.samples as f64
    }
}

/// The mean of `(found − expected)²` over all numbers, for arrays of the same shape: a membrane `[T, B, N]` or
/// [values](Recording::values) `[B, N]`.
///
/// # Errors
/// [`Error::Shape`] if the shapes differ or are empty.
pub fn mean_squared_error<F: Float, D: Dimension>(
    found: ArrayView<'_, F, D>,
    expected: ArrayView<'_, F, D>,
) -> Result<f64> {
    mean_of(found, expected, |distance| distance * distance)
}

/// The mean of `|found − expected|`, as [`mean_squared_error`].
///
/// # Errors
/// As [`mean_squared_error`].
pub fn mean_absolute_error<F: Float, D: Dimension>(
    found: ArrayView<'_, F, D>,
    expected: ArrayView<'_, F, D>,
) -> Result<f64> {
    mean_of(found, expected, f64::abs)
}

fn mean_of<F: Float, D: Dimension>(
    found: ArrayView<'_, F, D>,
    expected: ArrayView<'_, F, D>,
    loss: impl Fn(f64) -> f64,
) -> Result<f64> {
    if found.shape() != expected.shape() || found.is_empty() {
        let shape = format!(
            "{:?}, that of the expected values, and not empty",
            expected.shape()
        );
        return Err(Error::shape("values found", shape, found.shape()));
    }
    let pairs = found.iter().zip(expected.iter());
    let sum: f64 = pairs.map(|(a, b)| loss(a.as_f64() - b.as_f64())).sum();
    Ok(sum / found.len() as f64)
}

/// The class with the largest score for each sample of `scores [B, N]`; ties to the lowest index.
///
/// ```
/// use spikegrad::metrics::argmax_rows;
/// let counts = ndarray::array![[0.0, 3.0, 3.0], [2.0, 1.0, 0.0]];
/// assert_eq!(argmax_rows(counts.view()), [1, 0]);
/// ```
pub fn argmax_rows<F: Float>(scores: ArrayView2<'_, F>) -> Vec<usize> {
    let best = |row: ndarray::ArrayView1<'_, F>| {
        let mut best = 0;
        for (n, &score) in row.iter().enumerate() {
            if score > row[best] {
                best = n;
            }
        }
        best
    };
    scores.rows().into_iter().map(best).collect()
}
