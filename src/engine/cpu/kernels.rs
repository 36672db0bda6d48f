//! Type-erased kernels of neurons, stored in [`Neurons`](crate::neuron::Neurons). Each neuron type
//! has its own kernels, compiled where the type is known, and specialized kernels for common
//! settings.

use super::{
    backward::{Backward, BackwardOf},
    forward::{Forward, ForwardOf, Unroll, UnrollOf},
    simd::Isa,
};
use crate::neuron::{Neuron, UNCOMMON, Visit};

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
        self.specialize(On(isa, forward));
    }

    fn backward(&self, isa: Isa, backward: Backward<'_>) {
        match backward.layer.learns {
            true => isa.run(BackwardOf::<_, UNCOMMON, true>(backward, *self)),
            false => self.specialize(On(isa, backward)),
        }
    }

    fn unroll(&self, isa: Isa, unroll: Unroll<'_>) {
        isa.run(UnrollOf(unroll, *self));
    }
}

/// Work on an instruction set.
struct On<W>(Isa, W);

impl<N: Neuron> Visit<N> for On<Forward<'_>> {
    type Out = ();
    fn visit<const SETTINGS: usize>(self, neuron: N) {
        let On(isa, forward) = self;
        isa.run(ForwardOf::<_, SETTINGS>(forward, neuron));
    }
}

impl<N: Neuron> Visit<N> for On<Backward<'_>> {
    type Out = ();
    fn visit<const SETTINGS: usize>(self, neuron: N) {
        let On(isa, backward) = self;
        isa.run(BackwardOf::<_, SETTINGS, false>(backward, neuron));
    }
}
