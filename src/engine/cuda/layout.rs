//! Where a network's numbers lie in one row on the device.
//!
//! The order is weights and biases of all layers, learnt decays and thresholds, and behind them those
//! that are not learnt. Gradients and moments have the same order, as far as numbers are trained.

use std::ops::Range;

use ndarray::{Array1, Array2};

use crate::{
    Dynamics, Gradients, Network, Reset, Surrogate, network::LayerGradients, neuron::MIN_THRESHOLD,
    neuron::Rule,
};

/// One layer's sizes and rule, and where its tensors lie in the row.
#[derive(Debug)]
pub struct Place {
    pub inputs: usize,
    pub neurons: usize,
    pub weight: Range<usize>,
    pub bias: Range<usize>,
    pub beta: Range<usize>,
    pub theta: Range<usize>,
    pub learn_beta: bool,
    pub learn_theta: bool,
    pub rule: Rule,
    pub surrogate: Surrogate,
}

impl Place {
    /// Whether the neurons follow the rule of the tutorial, with its surrogate, and learn no constants:
    /// the CPU engine's condition for its own copy of the loop.
    pub fn common(&self) -> bool {
        self.rule.dynamics == Dynamics::FireThenIntegrate
            && self.rule.reset == Reset::Subtract
            && !self.rule.attached()
            && matches!(self.surrogate, Surrogate::Arctan { .. })
            && !(self.learn_beta || self.learn_theta)
    }
}

/// All layers' places.
#[derive(Debug)]
pub struct Layout {
    pub layers: Vec<Place>,
    /// How many numbers are trained, and how many of those are free of bounds.
    pub trained: usize,
    pub free: usize,
    len: usize,
}

/// A row's place behind those before it.
pub fn next(at: &mut usize, len: usize) -> Range<usize> {
    *at += len;
    *at - len..*at
}

impl Layout {
    pub fn new(network: &Network) -> Self {
        let mut at = 0;
        let layers = network.layers().iter().map(|layer| Place {
            inputs: layer.inputs(),
            neurons: layer.neurons(),
            weight: next(&mut at, layer.weight.len()),
            bias: next(&mut at, layer.bias.len()),
            beta: 0..0,
            theta: 0..0,
            learn_beta: layer.neuron.learn_beta,
            learn_theta: layer.neuron.learn_threshold,
            rule: layer.neuron.rule(),
            surrogate: layer.neuron.surrogate,
        });
        let mut layers: Vec<_> = layers.collect();
        let (free, mut trained) = (at, at);
        for learnt in [true, false] {
            for (place, layer) in layers.iter_mut().zip(network.layers()) {
                if place.learn_beta == learnt {
                    place.beta = next(&mut at, layer.beta.len());
                }
                if place.learn_theta == learnt {
                    place.theta = next(&mut at, layer.threshold.len());
                }
            }
            trained = if learnt { at } else { trained };
        }
        Layout {
            layers,
            trained,
            free,
            len: at,
        }
    }

    /// All numbers of a network.
    pub fn parameters(&self, network: &Network) -> Vec<f32> {
        let mut row = vec![0.0; self.len];
        for (place, layer) in self.layers.iter().zip(network.layers()) {
            put(&mut row, &place.weight, layer.weight.iter());
            put(&mut row, &place.bias, layer.bias.iter());
            put(&mut row, &place.beta, layer.beta.iter());
            put(&mut row, &place.theta, layer.threshold.iter());
        }
        row
    }

    /// The bounds of the trained numbers that have some.
    pub fn bounds(&self) -> (Vec<f32>, Vec<f32>) {
        let bounded = self.trained - self.free;
        let (mut low, mut high) = (vec![0.0; bounded], vec![0.0; bounded]);
        let mut within = |range: &Range<usize>, least: f32, most: f32| {
            let range = range.start - self.free..range.end - self.free;
            low[range.clone()].fill(least);
            high[range].fill(most);
        };
        for place in &self.layers {
            if place.learn_beta {
                within(&place.beta, 0.0, 1.0);
            }
            if place.learn_theta {
                within(&place.theta, MIN_THRESHOLD as f32, f32::MAX);
            }
        }
        (low, high)
    }

    /// The trained numbers' companions, gradients or moments, as a row.
    pub fn row(&self, tensors: &Gradients) -> Vec<f32> {
        let mut row = vec![0.0; self.trained];
        for (place, layer) in self.layers.iter().zip(&tensors.layers) {
            put(&mut row, &place.weight, layer.weight.iter());
            put(&mut row, &place.bias, layer.bias.iter());
            for (range, values) in [(&place.beta, &layer.beta), (&place.theta, &layer.threshold)] {
                if let Some(values) = values {
                    put(&mut row, range, values.iter());
                }
            }
        }
        row
    }

    /// The other way round.
    pub fn tensors(&self, row: &[f32]) -> Gradients {
        let list = |range: &Range<usize>| Array1::from(row[range.clone()].to_vec());
        let layers = self.layers.iter().map(|place| LayerGradients {
            weight: Array2::from_shape_vec(
                (place.neurons, place.inputs),
                row[place.weight.clone()].to_vec(),
            )
            .expect("a weight's range is as long as its shape"),
            bias: list(&place.bias),
            beta: place.learn_beta.then(|| list(&place.beta)),
            threshold: place.learn_theta.then(|| list(&place.theta)),
        });
        Gradients {
            layers: layers.collect(),
        }
    }
}

fn put<'a>(row: &mut [f32], range: &Range<usize>, values: impl Iterator<Item = &'a f32>) {
    let places = row[range.clone()].iter_mut();
    places
        .zip(values)
        .for_each(|(place, value)| *place = *value);
}
