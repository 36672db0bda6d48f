//! A layer of a network in this engine: its parameters in the kernels' layout, and its neurons.

use std::ops::{Deref, DerefMut};

use ndarray::Array1;

use super::{layout::LayerState, simd::F32x16};
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

    /// Updates the kernels' constants from `values`.
    pub fn refresh_constants(&mut self) {
        self.state.spread_constants(&self.values);
    }
}

/// Adam's first and second moments of one layer; empty before the first update.
#[derive(Clone, Debug, Default)]
pub(super) struct Moments {
    /// As the layer's `params`.
    pub first: Vec<F32x16>,
    pub second: Vec<F32x16>,
    /// Of each learned constant.
    pub constants: Vec<Option<(Array1<f32>, Array1<f32>)>>,
}

impl Moments {
    /// Those of one layer.
    pub fn pack(layer: &NeuronLayer, first: &Tensors<f32>, second: &Tensors<f32>) -> Self {
        let mut given = first.constants.iter().zip(&second.constants);
        let pair =
            |((_, m), (_, v)): (&(_, Array1<f32>), &(_, Array1<f32>))| (m.clone(), v.clone());
        let each = layer.neuron.each();
        Moments {
            first: layer.pack(&first.weight, &first.bias),
            second: layer.pack(&second.weight, &second.bias),
            constants: each
                .map(|(.., learn)| learn.then(|| given.next().map(pair)).flatten())
                .collect(),
        }
    }

    /// Room for `len` vectors each.
    pub fn resize(&mut self, len: usize) {
        self.first.resize(len, F32x16::ZERO);
        self.second.resize(len, F32x16::ZERO);
    }
}
