//! A layer of a network in this engine: its parameters in the kernels' layout, and its neurons.

use std::ops::{Deref, DerefMut};

use ndarray::{Array1, Array2};

use super::{layout::LayerState, planes::Planes, simd::F32x16};
use crate::{
    Layer, Network,
    neuron::{Constant, Neurons},
    synapses::{Pattern, Synapses},
    tensors::{self, LayerTensors, Recurrent, Tensors},
};

/// A layer's numbers and its neurons.
#[derive(Clone, Debug)]
pub(super) struct NeuronLayer {
    /// The weights from below, and the constants.
    state: LayerState,
    /// The weights from the layer itself, if every neuron is connected to every neuron.
    pub own: Option<LayerState>,
    /// The layer's vectors in their own shapes, `[1]` or `[N]`: the constants, then the weights of neurons
    /// that are connected to themselves alone.
    pub values: Vec<Array1<f32>>,
    pub neuron: Neurons,
    pub synapses: Synapses,
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

/// A vector of a layer, for the optimizer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Vector {
    Constant(Constant),
    /// The weights of neurons that are connected to themselves alone.
    Recurrent,
}

impl Vector {
    /// The name in layer `k`, from 1.
    pub fn name(self, k: usize) -> String {
        match self {
            Vector::Constant(constant) => tensors::constant(k, constant),
            Vector::Recurrent => tensors::recurrent_each(k),
        }
    }

    /// The nearest value of its range.
    pub fn clamp(self, x: f32) -> f32 {
        match self {
            Vector::Constant(constant) => constant.clamp(x),
            Vector::Recurrent => x,
        }
    }
}

impl NeuronLayer {
    /// `train`: whether adjoints are needed, `below`: those of the inputs, too.
    pub fn new(layer: &Layer, train: bool, below: bool) -> Self {
        let learns = layer.neuron.each().any(|(.., learn)| learn);
        let (inputs, neurons) = (layer.inputs(), layer.neurons());
        let mut state = LayerState::new(inputs, neurons, learns);
        state.params = state.pack(&layer.weight, Some(&layer.bias));
        if train && below {
            state.refresh_weight_t();
        }
        let (mut own, mut values) = (None, layer.constants.clone());
        match &layer.recurrent {
            None => {}
            Some(Recurrent::AllToAll { weight, bias }) => {
                let mut matrix = LayerState::new(neurons, neurons, false);
                matrix.params = matrix.pack(weight, bias.as_ref());
                if train {
                    matrix.refresh_weight_t();
                }
                own = Some(matrix);
            }
            Some(Recurrent::OneToOne(each)) => values.push(each.clone()),
        }
        let mut layer = NeuronLayer {
            state,
            own,
            values,
            neuron: layer.neuron.clone(),
            synapses: layer.synapses,
        };
        layer.refresh_constants();
        layer
    }

    /// The layers of a network; `train` as in [`new`](Self::new).
    pub fn all(network: &Network, train: bool) -> Vec<NeuronLayer> {
        let layers = network.layers().iter().enumerate();
        let layers = layers.map(|(k, layer)| NeuronLayer::new(layer, train, k > 0));
        layers.collect()
    }

    /// Whether the spikes of a step reach the currents of the next.
    pub fn is_recurrent(&self) -> bool {
        self.synapses.recurrence.is_some()
    }

    /// The weights of neurons that are connected to themselves alone, `[block][vectors]`.
    pub fn each(&self) -> Option<&[F32x16]> {
        let pattern = self.synapses.recurrence?.pattern;
        (pattern == Pattern::OneToOne).then_some(self.constants.last()?)
    }

    /// The vectors that the network's tensors have, with their numbers and whether they are trained.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, Vector, bool)> {
        let each = self.neuron.each().enumerate();
        let constants = each.filter_map(|(i, (constant, _, learn))| {
            learn.then_some((i, Vector::Constant(constant), true))
        });
        let (last, recurrence) = (self.values.len() - 1, self.synapses.recurrence);
        let own = recurrence.filter(|recurrence| recurrence.pattern == Pattern::OneToOne);
        constants.chain(own.map(|recurrence| (last, Vector::Recurrent, recurrence.learn)))
    }

    /// Whether any of them has a gradient.
    pub fn learns_vectors(&self) -> bool {
        self.numbered().next().is_some()
    }

    /// Number of values kept per neuron and step.
    pub fn kept(&self) -> usize {
        self.neuron.run().kept()
    }

    /// How many numbers the state of a neuron has, besides its last spike.
    pub fn states(&self) -> usize {
        self.neuron.run().states()
    }

    /// The layout of the state of one sample.
    pub fn state_planes(&self) -> Planes {
        Planes::new(self.state.vectors, 1, self.states())
    }

    /// Updates the kernels' constants from `values`.
    pub fn refresh_constants(&mut self) {
        self.state.spread_constants(&self.values);
    }

    /// The tensors of the layer from those of its matrices in the kernels' layout and from its `vectors`.
    pub fn tensors(
        &self,
        mut matrix: impl FnMut(&LayerState) -> (Array2<f32>, Array1<f32>),
        mut vectors: Vec<(Vector, Array1<f32>)>,
    ) -> Tensors<f32> {
        let (weight, bias) = matrix(&self.state);
        let each = vectors.pop_if(|(vector, _)| matches!(vector, Vector::Recurrent));
        let recurrent = match (&self.own, each) {
            (Some(own), _) => {
                let (weight, bias) = matrix(own);
                let biased = self
                    .synapses
                    .recurrence
                    .is_some_and(|recurrence| recurrence.bias);
                let bias = biased.then_some(bias);
                Some(Recurrent::AllToAll { weight, bias })
            }
            (None, each) => each.map(|(_, each)| Recurrent::OneToOne(each)),
        };
        let constants = vectors
            .into_iter()
            .filter_map(|(vector, values)| match vector {
                Vector::Constant(constant) => Some((constant, values)),
                Vector::Recurrent => None,
            });
        LayerTensors {
            weight,
            bias: self.synapses.bias.then_some(bias),
            recurrent,
            constants: constants.collect(),
        }
    }
}

/// One matrix of a network with its biases: the weights of a layer from below or from itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix {
    /// From 0.
    pub layer: usize,
    pub recurrent: bool,
    /// Whether it is trained.
    pub learn: bool,
    /// Whether it has biases; otherwise they are and stay 0.
    pub bias: bool,
    /// Whether its diagonal is and stays 0.
    pub without_diagonal: bool,
}

impl Matrix {
    /// Whether its input is the network's.
    pub fn is_first(self) -> bool {
        self.layer == 0 && !self.recurrent
    }

    /// The name of its weights.
    pub fn weight_name(self) -> String {
        let k = self.layer + 1;
        match self.recurrent {
            false => tensors::weight(k),
            true => tensors::recurrent_weight(k),
        }
    }

    /// The name of its biases.
    pub fn bias_name(self) -> String {
        let k = self.layer + 1;
        match self.recurrent {
            false => tensors::bias(k),
            true => tensors::recurrent_bias(k),
        }
    }
}

/// The matrices of all layers. Buffers of weights have one entry for each, in this order.
pub(super) fn matrices(layers: &[NeuronLayer]) -> Vec<Matrix> {
    let of = |(k, layer): (usize, &NeuronLayer)| {
        let Synapses {
            bias,
            learn,
            recurrence,
            ..
        } = layer.synapses;
        let below = Matrix {
            layer: k,
            recurrent: false,
            learn,
            bias,
            without_diagonal: false,
        };
        let own = layer.own.as_ref().and(recurrence).map(|recurrence| Matrix {
            layer: k,
            recurrent: true,
            learn: recurrence.learn,
            bias: recurrence.bias,
            without_diagonal: recurrence.without_diagonal(),
        });
        [Some(below), own].into_iter().flatten()
    };
    layers.iter().enumerate().flat_map(of).collect()
}

/// The weights of all [`matrices`].
pub(super) fn states(layers: &[NeuronLayer]) -> impl Iterator<Item = &LayerState> {
    let of = |layer| {
        let NeuronLayer { state, own, .. }: &NeuronLayer = layer;
        std::iter::once(state).chain(own)
    };
    layers.iter().flat_map(of)
}

/// The weights of all [`matrices`], to be changed.
pub(super) fn states_mut(layers: &mut [NeuronLayer]) -> impl Iterator<Item = &mut LayerState> {
    let of = |layer| {
        let NeuronLayer { state, own, .. }: &mut NeuronLayer = layer;
        std::iter::once(state).chain(own)
    };
    layers.iter_mut().flat_map(of)
}

/// The tensors of all [`matrices`] of layers, in the kernels' layout.
pub(super) fn pack_all(layers: &[NeuronLayer], tensors: &[Tensors<f32>]) -> Vec<Vec<F32x16>> {
    let of = |(layer, from): (&NeuronLayer, &Tensors<f32>)| {
        let own = match (&layer.own, &from.recurrent) {
            (Some(own), Some(Recurrent::AllToAll { weight, bias })) => {
                Some(own.pack(weight, bias.as_ref()))
            }
            _ => None,
        };
        let below = layer.pack(&from.weight, from.bias.as_ref());
        std::iter::once(below).chain(own)
    };
    layers.iter().zip(tensors).flat_map(of).collect()
}

/// The [vectors](NeuronLayer::numbered) of a layer among its tensors.
pub(super) fn vectors_of(tensors: &Tensors<f32>) -> impl Iterator<Item = &Array1<f32>> {
    let each = match &tensors.recurrent {
        Some(Recurrent::OneToOne(each)) => Some(each),
        _ => None,
    };
    let constants = tensors.constants.iter().map(|(_, values)| values);
    constants.chain(each)
}

/// What the optimizer keeps for one matrix; empty before the first update.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// As the matrix's `params`; those not kept are empty.
    pub params: [Vec<F32x16>; 2],
}

impl Kept {
    /// Room for `len` vectors of each of the `count` numbers that are kept.
    pub fn resize(&mut self, len: usize, count: usize) {
        for params in &mut self.params[..count] {
            params.resize(len, F32x16::ZERO);
        }
    }
}
