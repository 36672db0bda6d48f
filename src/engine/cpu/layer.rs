//! A layer of a network in this engine: its parameters in the kernels' layout, and its neurons.

use std::ops::{Deref, DerefMut};

use ndarray::Array1;

use super::{layout::LayerState, planes::Planes, simd::F32x16};
use crate::{
    Layer,
    neuron::{Constant, Neurons},
    tensors::Tensors,
};

/// A layer's numbers and its neurons.
#[derive(Clone, Debug)]
pub(super) struct NeuronLayer {
    state: LayerState,
    /// The constants in their own shapes, `[1]` or `[N]`.
    pub values: Vec<Array1<f32>>,
    pub neuron: Neurons,
}

impl Deref for NeuronLayer {
    type Target = LayerState;
    fn deref(&self) -> &LayerState {
        &self.state
    }
}

impl DerefMut for NeuronLayer {
    fn deref_mut(&mut self) -> &mut LayerState {
        &mut self.state
    }
}

impl NeuronLayer {
    /// `weight_t`: whether adjoints of the inputs are needed.
    pub fn new(layer: &Layer, weight_t: bool) -> Self {
        let learns = layer.neuron.each().any(|(.., learn)| learn);
        let mut state = LayerState::new(layer.inputs(), layer.neurons(), learns);
        state.params = state.pack(&layer.weight, &layer.bias);
        state.spread_constants(&layer.constants);
        if weight_t {
            state.refresh_weight_t();
        }
        NeuronLayer {
            state,
            values: layer.constants.clone(),
            neuron: layer.neuron.clone(),
        }
    }

    /// The constants that are trained, with their numbers.
    pub fn learnt(&self) -> impl Iterator<Item = (usize, Constant)> {
        let each = self.neuron.each().enumerate();
        each.filter_map(|(i, (constant, _, learn))| learn.then_some((i, constant)))
    }

    /// Number of values kept per neuron and step.
    pub fn kept(&self) -> usize {
        self.neuron.run().kept()
    }

    /// How many numbers the state of a neuron has.
    pub fn states(&self) -> usize {
        self.neuron.run().states()
    }

    /// The layout of the state of one sample.
    pub fn state_planes(&self) -> Planes {
        Planes::new(self.vectors, 1, self.states())
    }

    /// Updates the kernels' constants from `values`.
    pub fn refresh_constants(&mut self) {
        self.state.spread_constants(&self.values);
    }
}

/// What the optimizer keeps for one layer; empty before the first update.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// As the layer's `params`; those not kept are empty.
    pub params: [Vec<F32x16>; 2],
    /// Of each constant that is learned.
    pub constants: Vec<Vec<Array1<f32>>>,
}

impl Kept {
    /// Those of one layer, from the tensors of each number that is kept.
    pub fn pack<'a>(
        layer: &NeuronLayer,
        kept: impl Iterator<Item = &'a Tensors<f32>> + Clone,
    ) -> Self {
        let mut packed = Kept::default();
        for (to, from) in packed.params.iter_mut().zip(kept.clone()) {
            *to = layer.pack(&from.weight, &from.bias);
        }
        packed.constants.resize(layer.values.len(), Vec::new());
        for (index, (i, _)) in layer.learnt().enumerate() {
            let values = kept.clone().map(|from| from.constants[index].1.clone());
            packed.constants[i] = values.collect();
        }
        packed
    }

    /// Room for `len` vectors of each of the `count` numbers that are kept.
    pub fn resize(&mut self, len: usize, count: usize) {
        for params in &mut self.params[..count] {
            params.resize(len, F32x16::ZERO);
        }
    }
}
