//! A plain implementation of backpropagation through time, written to be read. The other engines
//! are tested against it. Nothing is optimized; [`ReferenceEngine`] adds the loss and the update.
//!
//! Let `s⁰ = x`, `step` be one step of a [neuron](crate::neuron::Neuron) and `stepᵀ` its adjoint.
//! Layer `k` computes
//!
//! ```text
//! (1)  Iᵏ_t = sᵏ⁻¹_t Wᵏᵀ + bᵏ + sᵏ_{t−1} Vᵏᵀ + cᵏ    [B, in] · [in, N] + [B, N] · [N, N]
//! (2)  (sᵏ_t, xᵏ_t) = step(xᵏ_{t−1}, Iᵏ_t)    t = 0 … T−1, x_{−1} and s_{−1} = 0 or a given state
//! ```
//!
//! Its adjoint, with `gᵏ_t` and `eᵏ_t` the derivatives of the loss with respect to membrane and
//! spike, is
//!
//! ```text
//! (3)  (aᵏ_t, hᵏ_{t−1}) = stepᵀ(gᵏ_t + hᵏ_t, eᵏ_t)    t = T−1 … 0, h_{T−1} = 0
//! (4)  ∂L/∂Wᵏ = Σ_t aᵏ_tᵀ sᵏ⁻¹_t   ∂L/∂Vᵏ = Σ_t aᵏ_tᵀ sᵏ_{t−1}   ∂L/∂bᵏ = ∂L/∂cᵏ = Σ_t Σ_b aᵏ_t
//! (5)  eᵏ⁻¹_t += aᵏ_t Wᵏ           eᵏ_{t−1} += aᵏ_t Vᵏ
//! ```
//!
//! The terms of `V` and `c` are those of [recurrent synapses](crate::synapses), if there are any.
//!
//! `hᵏ_t` is what step `t + 1` sends back; the `h_t` of a neuron's own derivation is the sum `gᵏ_t + hᵏ_t`.
//! The state `x` is the membrane `u`, or several numbers for neurons with synapses or adaptation.
//! `a` is `∂L/∂I`.

mod engine;
mod layer;

use ndarray::{Array3, ArrayView2, Axis, CowArray, Ix2, linalg::general_mat_mul};

pub use self::engine::ReferenceEngine;
#[cfg(doc)]
use crate::Error;
use crate::{
    Adjoints, Float, Gradients, Input, Network, Record, Recording, Result, State, Trace,
    dropout::{Mask, Masks},
    loss::check_adjoints,
    neuron::rows::{Arriving, Spikes},
};

/// Runs the network on an input and records spikes and membranes of every layer at every step.
///
/// # Errors
/// [`Error::Shape`], [`Error::InvalidParameter`] or [`Error::NonFinite`] for an invalid input.
pub fn forward<F: Float>(network: &Network<F>, input: Input<'_, F>) -> Result<Recording<F>> {
    input.check(network)?;
    Record::All.check_memory(network, input)?;
    let mut state = State::at_rest(network, input.batch());
    Ok(run(network, input, &mut state, Spikes::Hard, None))
}

/// The forward pass with hard spikes, or soft ones, from a state, which is overwritten with the one after
/// the last step.
pub(crate) fn run<F: Float>(
    network: &Network<F>,
    input: Input<'_, F>,
    state: &mut State<F>,
    spikes: Spikes<'_, F>,
    masks: Option<&Masks>,
) -> Recording<F> {
    let mut traces: Vec<Trace<F>> = Vec::new();
    let layers = network.layers().iter().zip(&mut state.layers);
    for (k, (layer, state)) in layers.enumerate() {
        let mut trace = Trace::zeros(layer, input.num_steps(), input.batch());
        for t in 0..input.num_steps() {
            let below = below(
                &input,
                traces.last(),
                t,
                masks.and_then(|masks| masks.of(k)),
            );
            let mut current = below.dot(&layer.weight.t()) + &layer.bias; // (1)
            layer.add_recurrent(&mut current, state);
            layer.step(spikes, state, &current, trace.step_mut(t)); // (2)
        }
        traces.push(trace);
    }
    let output = traces.pop().expect("a network has a layer");
    Recording::new(traces.into_iter().map(Some).collect(), output)
}

/// Computes the gradients of all parameters from a recording of all layers and the adjoints of the
/// loss.
///
/// # Errors
/// As [`forward`]; [`Error::Shape`] if the recording or the adjoints do not match the network and
/// the input.
pub fn backward<F: Float>(
    network: &Network<F>,
    input: Input<'_, F>,
    recording: &Recording<F>,
    adjoints: &Adjoints<F>,
) -> Result<Gradients<F>> {
    input.check(network)?;
    let rest = State::at_rest(network, input.batch());
    let spikes = Spikes::Hard;
    run_back(network, input, &rest, recording, adjoints, spikes, None)
}

/// The backward pass of [`run`] with the same spikes, from the state that it began with. What it passes
/// back to that state is dropped.
pub(crate) fn run_back<F: Float>(
    network: &Network<F>,
    input: Input<'_, F>,
    start: &State<F>,
    recording: &Recording<F>,
    adjoints: &Adjoints<F>,
    spikes: Spikes<'_, F>,
    masks: Option<&Masks>,
) -> Result<Gradients<F>> {
    let traces = recording.traces_of(network, input)?;
    check_adjoints(adjoints, recording)?;

    let by_loss = |k: usize| match &adjoints.layers[k].spk {
        Some(e) => e.clone(),
        None => Array3::zeros(traces[k].spk.dim()),
    };
    let mut gradients = Gradients::zeros(network);
    let mut e = by_loss(traces.len() - 1); // [T, B, N]
    for (k, layer) in network.layers().iter().enumerate().rev() {
        let gradient = &mut gradients.layers[k];
        let mask = masks.and_then(|masks| masks.of(k));
        let mut e_below = k.checked_sub(1).map(by_loss);
        let mut h = layer.rest(input.batch()); // h_{T−1}
        for t in (0..input.num_steps()).rev() {
            let g = adjoints.layers[k].mem.as_ref();
            let arriving = Arriving {
                g: g.map(|g| g.index_axis(Axis(0), t)),
                e: e.index_axis(Axis(0), t),
            };
            let back = layer.adjoint(
                spikes,
                traces[k].around(t, &start.layers[k]),
                arriving,
                &mut h,
            ); // (3)
            let (a, one) = (back.current, F::one());
            let below = below(&input, k.checked_sub(1).map(|below| traces[below]), t, mask);
            if layer.synapses.learn {
                general_mat_mul(one, &a.t(), &below, one, &mut gradient.weight); // (4)
                gradient
                    .bias
                    .iter_mut()
                    .for_each(|bias| *bias += &a.sum_axis(Axis(0)));
            }
            gradient.add_constants(&layer.neuron, &back.constants);
            let earlier = t.checked_sub(1);
            let spikes = match earlier {
                Some(earlier) => traces[k].spk.index_axis(Axis(0), earlier),
                None => start.layers[k][start.layers[k].len() - 1].view(),
            };
            let e_earlier = earlier.map(|earlier| e.index_axis_mut(Axis(0), earlier));
            layer.back_recurrent(&a, spikes, gradient, e_earlier); // (4), (5)
            if let Some(e_below) = &mut e_below {
                let mut e_below = e_below.index_axis_mut(Axis(0), t);
                match mask {
                    None => general_mat_mul(one, &a, &layer.weight, one, &mut e_below), // (5)
                    Some(mask) => e_below += &mask.apply(a.dot(&layer.weight).view()),
                }
            }
        }
        e = e_below.unwrap_or_default();
    }
    Ok(gradients)
}

/// The input of a layer at step `t`, `[B, in]`: the spikes of the layer below, without what is dropped, or
/// the network's input.
fn below<'a, F: Float>(
    input: &'a Input<'_, F>,
    below: Option<&'a Trace<F>>,
    t: usize,
    mask: Option<&Mask>,
) -> CowArray<'a, F, Ix2> {
    let view: ArrayView2<'a, F> = match (below, input) {
        (Some(trace), _) => trace.spk.index_axis(Axis(0), t),
        (None, Input::Constant { x, .. }) => x.view(),
        (None, Input::Sequence { x }) => x.index_axis(Axis(0), t),
    };
    match mask {
        Some(mask) => mask.apply(view).into(),
        None => view.into(),
    }
}
