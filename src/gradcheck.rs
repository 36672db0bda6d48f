//! Checks gradients against finite differences, for any network and loss.
//!
//! A network with hard spikes is discontinuous, so finite differences say nothing about a surrogate
//! gradient. But each surrogate is the exact derivative of a [soft
//! spike](crate::Surrogate::soft_spike), so the *same backward code* computes the exact gradient of
//! the **relaxed** network, in which
//!
//! * every spike is the soft spike `σ(u − θ)`, and
//! * every detached reset is a constant, held at its value in the unperturbed run.
//!
//! That network is smooth (except at the kinks of some surrogates), so central differences of its
//! loss must agree with the backward pass in every parameter. If they do, the training code is
//! correct.
//!
//! Zeros prove nothing: even a wrong gradient agrees if both sides are 0. A tensor whose gradient
//! is all zero is reported as "nothing to compare", and a report with only such tensors does not
//! pass.

use std::fmt;

use ndarray::{Dimension, IxDyn};

use crate::{
    Input, Network, Objective, Record, Recording, Result, Samples, State, Targets,
    dropout::Masks,
    engine::reference::{run, run_back},
    neuron::{Held, Relaxed, rows::Spikes},
};

/// Largest error that [`GradcheckReport::passes`] accepts, relative to the largest entry of the
/// tensor.
pub const TOLERANCE: f64 = 1e-6;

/// Step sizes, tried in this order until one agrees. Large steps lose the fewest digits to
/// rounding, but a difference across a kink of a surrogate has an error proportional to the step.
const STEPS: [f64; 5] = [1e-4, 1e-3, 1e-5, 1e-6, 1e-7];

/// The comparison of one tensor's gradient with finite differences.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TensorCheck {
    /// The tensor's name: `fc1.weight`, `lif2.beta`, …
    pub name: String,
    /// Number of entries that are trained; all of these are checked.
    pub entries: usize,
    /// Index of the worst entry.
    pub worst: Vec<usize>,
    /// The result of the backward pass at that entry.
    pub analytic: f64,
    /// The difference quotient at that entry.
    pub numeric: f64,
    /// Their distance divided by the largest entry of the tensor.
    pub error: f64,
    /// Whether both are zero everywhere, or so small that zeros would pass too: nothing was
    /// compared.
    pub zero: bool,
}

/// The outcome of [`gradcheck`]; prints as a table with the worst entry of each tensor.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GradcheckReport {
    /// One entry per trained tensor, in the order of [`Network::parameters`].
    pub tensors: Vec<TensorCheck>,
    /// The relaxed network's loss.
    pub loss: f64,
    /// Layers that cannot fire in so few steps, from 1: with `T = 1` those of
    /// [`FireThenIntegrate`](crate::Dynamics::FireThenIntegrate), whose spike reads the initial
    /// membrane 0. In the relaxed network their soft spikes are constants.
    pub cannot_fire: Vec<usize>,
}

impl GradcheckReport {
    /// The largest error of all entries; NaN if any is NaN.
    pub fn max_error(&self) -> f64 {
        self.tensors
            .iter()
            .fold(0.0, |max, t| if t.error <= max { max } else { t.error })
    }

    /// The names of the tensors whose gradient is [zero](TensorCheck::zero), so that nothing was
    /// compared.
    pub fn nothing_to_compare(&self) -> Vec<&str> {
        let zero = self.tensors.iter().filter(|tensor| tensor.zero);
        zero.map(|tensor| tensor.name.as_str()).collect()
    }

    /// Whether every entry agrees within [`TOLERANCE`], and at least one tensor has a gradient.
    ///
    /// A single tensor of zeros does not fail the check: a gradient may rightly be zero, for
    /// example that of weights whose inputs are all zero. The table and
    /// [`nothing_to_compare`](Self::nothing_to_compare) name such tensors. To require a gradient in
    /// every tensor, assert that this list is empty.
    pub fn passes(&self) -> bool {
        self.max_error() <= TOLERANCE && self.tensors.iter().any(|tensor| !tensor.zero)
    }
}

impl fmt::Display for GradcheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zero = self.nothing_to_compare();
        let verdict = match self.max_error() <= TOLERANCE {
            true if zero.len() == self.tensors.len() => {
                "NOTHING TO COMPARE, every gradient is zero".into()
            }
            true if zero.is_empty() => "passed".into(),
            true => format!("passed, but nothing to compare in {}", zero.join(", ")),
            false => "FAILED".to_string(),
        };
        writeln!(f, "gradcheck at loss {:.6}: {verdict}", self.loss)?;
        if !self.cannot_fire.is_empty() {
            let layers: Vec<String> = self.cannot_fire.iter().map(usize::to_string).collect();
            let layers = match &layers[..] {
                [layer] => format!("layer {layer}"),
                layers => format!("layers {}", layers.join(", ")),
            };
            writeln!(
                f,
                "{layers} cannot fire: in FireThenIntegrate a spike reads the membrane of the step \
                 before, and T = 1 has none; use T >= 2"
            )?;
        }
        writeln!(
            f,
            "{:<16} {:>8} {:>14} {:>14} {:>9}  worst at",
            "tensor", "entries", "backward", "difference", "error"
        )?;
        for t in &self.tensors {
            let worst = match t.zero {
                true => "nothing to compare".into(),
                false => format!("{:?}", t.worst),
            };
            writeln!(
                f,
                "{:<16} {:>8} {:>14.6e} {:>14.6e} {:>9.1e}  {worst}",
                t.name, t.entries, t.analytic, t.numeric, t.error
            )?;
        }
        Ok(())
    }
}

/// Compares the backward pass with central differences in every parameter of a network, in double
/// precision. It costs four forward passes per parameter, or more near a kink: use a small network
/// of the same kind.
///
/// ```
/// use ndarray::Array2;
/// use spikegrad::{Dynamics, Input, Leaky, Loss, Network, Surrogate, gradcheck::gradcheck};
///
/// let network: Network<f64> = Network::builder(3)
///     .layer(4, Leaky::new(0.9).threshold(0.3).surrogate(Surrogate::Sigmoid { slope: 5.0 }))
///     .layer(2, Leaky::new(0.8).dynamics(Dynamics::IntegrateThenFire).learn_beta(true))
///     .build()?;
/// let x = Array2::from_shape_fn((2, 3), |(b, n)| 0.5 + 0.25 * (b + n) as f64);
/// let report = gradcheck(&network, Input::constant(x.view(), 6), &[0, 1], Loss::CrossEntropyMembrane)?;
/// assert!(report.passes() && report.nothing_to_compare().is_empty(), "{report}");
/// # Ok::<(), spikegrad::Error>(())
/// ```
///
/// [Dropout](crate::Dropout) drops what it drops of the first batch.
///
/// # Errors
/// Any error of the forward pass or the loss. A disagreement is not an error, but a report that
/// does not [pass](GradcheckReport::passes).
pub fn gradcheck<'a>(
    network: &Network<f64>,
    input: Input<'_, f64>,
    targets: impl Into<Targets<'a, f64>>,
    objective: impl Into<Objective<f64>>,
) -> Result<GradcheckReport> {
    input.check(network)?;
    Record::All.check_memory(network, input)?;
    let rest = State::at_rest(network, input.batch());
    gradcheck_from(network, &rest, input, targets, objective)
}

/// [`gradcheck`] of a pass that begins with the state `start`, which does not depend on the parameters.
///
/// # Errors
/// As [`gradcheck`]; [`Error::Shape`](crate::Error::Shape) or
/// [`Error::NonFinite`](crate::Error::NonFinite) for a state of other shapes.
pub fn gradcheck_from<'a>(
    network: &Network<f64>,
    start: &State<f64>,
    input: Input<'_, f64>,
    targets: impl Into<Targets<'a, f64>>,
    objective: impl Into<Objective<f64>>,
) -> Result<GradcheckReport> {
    let (objective, targets) = (objective.into(), targets.into());
    input.check(network)?;
    start.check(network, input.batch())?;
    Record::All.check_memory(network, input)?;
    let held = Held::default();
    let relaxed = || Spikes::Soft(Relaxed::forward(&held));
    let masks = Masks::draw(network, input.batch(), 0, 0);
    let masks = masks.as_ref();
    let dropped = masks.and_then(|masks| masks.drop(input));
    let unread = Targets::Classes(&[]);
    let Samples { input, .. } = input.with(unread).without(dropped.as_ref());
    let base: Recording<f64> = run(network, input, &mut start.clone(), relaxed(), masks);
    let (loss, adjoints) = objective.evaluate(&base, targets)?;
    let back = Spikes::Soft(Relaxed::backward());
    let gradients = run_back(network, input, start, &base, &adjoints, back, masks)?;

    let gradients = gradients.tensors();
    let largest =
        |values: &mut dyn Iterator<Item = f64>| values.fold(0.0_f64, |max, x| max.max(x.abs()));
    let overall = largest(&mut gradients.iter().flat_map(|(_, g)| g.iter().copied()));
    let mut moved = network.clone();
    let mut tensors = Vec::with_capacity(gradients.len());
    for (which, (name, gradient)) in gradients.iter().enumerate() {
        // Tensors with hardly any gradient are measured against the others, and against rounding.
        let own = largest(&mut gradient.iter().copied());
        let scale = own.max(1e-3 * overall).max(1e-5 * loss.abs()).max(1e-7);
        let mut check = TensorCheck {
            name: name.clone(),
            entries: gradient.len(),
            worst: Vec::new(),
            analytic: 0.0,
            numeric: 0.0,
            error: -1.0,
            zero: false,
        };
        for (index, &analytic) in gradient.indexed_iter() {
            if network.is_fixed(name, index.slice()) {
                check.entries -= 1;
                continue;
            }
            let mut loss_at = |step: f64| -> Result<f64> {
                let value = nudge(&mut moved, which, &index, step);
                let recording = run(&moved, input, &mut start.clone(), relaxed(), masks);
                restore(&mut moved, which, &index, value);
                Ok(objective.evaluate(&recording, targets)?.0)
            };
            let mut best = (f64::INFINITY, f64::NAN);
            for step in STEPS {
                // Central differences at h and 2h, combined so that the error is O(h⁴).
                let near = loss_at(step)? - loss_at(-step)?;
                let far = loss_at(2.0 * step)? - loss_at(-2.0 * step)?;
                let numeric = (8.0 * near - far) / (12.0 * step);
                let error = (analytic - numeric).abs() / scale;
                if error < best.0 {
                    best = (error, numeric);
                }
                if error <= TOLERANCE / 10.0 {
                    break;
                }
            }
            if best.0 > check.error {
                let (error, numeric) = best;
                check = TensorCheck {
                    worst: index.slice().to_vec(),
                    analytic,
                    numeric,
                    error,
                    ..check
                };
            }
        }
        // Zeros would be within the tolerance.
        check.zero = own <= TOLERANCE * scale && check.error <= TOLERANCE;
        if check.entries > 0 {
            tensors.push(check);
        }
    }
    let layers = network.layers().iter().zip(1..);
    let silent =
        layers.filter(|(layer, _)| input.num_steps() == 1 && layer.neuron.run().spikes_first());
    Ok(GradcheckReport {
        tensors,
        loss,
        cannot_fire: silent.map(|(_, layer)| layer).collect(),
    })
}

/// Perturbs one entry of a tensor; returns the old value.
fn nudge(network: &mut Network<f64>, which: usize, index: &IxDyn, step: f64) -> f64 {
    let (_, tensor) = &mut network.parameters_mut()[which];
    let start = tensor[index];
    tensor[index] = start + step;
    start
}

fn restore(network: &mut Network<f64>, which: usize, index: &IxDyn, value: f64) {
    network.parameters_mut()[which].1[index] = value;
}
