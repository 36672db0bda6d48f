//! The kernels of neurons without their type: what [`Neurons`](crate::neuron::Neurons) hold of this
//! engine. Each type of neuron has kernels of its own, compiled where its type is known.

use super::{
    backward::{Backward, BackwardOf},
    forward::{Forward, ForwardOf, Unroll, UnrollOf},
    simd::Isa,
};
use crate::neuron::Neuron;

/// The time loops of a neuron on an instruction set.
pub(crate) trait Kernels {
    /// Runs [`Forward`].
    fn forward(&self, isa: Isa, forward: Forward<'_>);
    /// Runs [`Backward`].
    fn backward(&self, isa: Isa, backward: Backward<'_>);
    /// Runs [`Unroll`].
    fn unroll(&self, isa: Isa, unroll: Unroll<'_>);
}

impl<N: Neuron> Kernels for N {
    fn forward(&self, isa: Isa, forward: Forward<'_>) {
        isa.run(ForwardOf(forward, *self));
    }

    fn backward(&self, isa: Isa, backward: Backward<'_>) {
        isa.run(BackwardOf(backward, *self));
    }

    fn unroll(&self, isa: Isa, unroll: Unroll<'_>) {
        isa.run(UnrollOf(unroll, *self));
    }
}
