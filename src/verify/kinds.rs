//! What the comparison must know of the crate's own neurons.

use crate::neuron::{Neurons, encoder, integrator, lapicque, leaky, synaptic};

/// How the membrane fires and resets, where it is that of a leaky neuron.
pub(super) fn membrane(neurons: &Neurons) -> Option<leaky::Rule> {
    let leaky = neurons.equations::<leaky::Rule>().copied();
    leaky
        .or_else(|| Some(neurons.equations::<synaptic::Rule>()?.membrane))
        .or_else(|| Some(neurons.equations::<lapicque::Rule>()?.membrane))
        .or_else(|| Some(neurons.equations::<encoder::Rule>()?.membrane))
}

/// Whether the neurons can spike at all.
pub(super) fn can_spike(neurons: &Neurons) -> bool {
    neurons.equations::<integrator::Rule>().is_none()
}
