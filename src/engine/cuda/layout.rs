//! Where a network's numbers lie in one row on the device.
//!
//! The order is weights and biases of all layers, learnt constants of neurons, and behind them all numbers
//! that are not trained: fixed weights, zeros for the biases of layers without, constants. Gradients and
//! moments have the same order, as far as numbers are trained.

use std::ops::Range;

use ndarray::{Array1, Array2};

use super::kind::{Rule, added};
use crate::{
    Error, Gradients, Layer, Network, Result,
    neuron::{Constant, Neurons, leaky},
    synapses::Pattern,
    tensors::{LayerTensors, Recurrent},
};

/// A constant of a layer's neurons: whether it is trained, and where its values lie in the row.
#[derive(Debug)]
pub struct Held {
    pub constant: Constant,
    pub learnt: bool,
    pub values: Range<usize>,
    /// The value of a constant that the kernel has and the neurons do not.
    fixed: Option<f32>,
}

/// The connections within a layer, and where their tensors lie in the row.
#[derive(Debug)]
pub struct Own {
    pub pattern: Pattern,
    pub learn: bool,
    pub weight: Range<usize>,
    pub bias: Option<Range<usize>>,
}

/// One layer's sizes and rule, and where its tensors lie in the row.
#[derive(Debug)]
pub struct LayerLayout {
    pub inputs: usize,
    pub neurons: usize,
    /// Whether the weights from below, and the biases, are trained; whether there are biases.
    pub learn: bool,
    biased: bool,
    /// Whether inputs are dropped in training.
    pub drops: bool,
    pub weight: Range<usize>,
    pub bias: Range<usize>,
    pub own: Option<Own>,
    /// In the order of the neuron's.
    pub constants: Vec<Held>,
    pub rule: Rule,
    /// How the neurons fire and reset, if they are leaky and not connected within the layer: they have
    /// kernels of their own.
    pub leaky: Option<leaky::Rule>,
    /// How many numbers the state of a neuron has, but for its last spike, and how many are recorded beside the
    /// membrane.
    pub states: usize,
    pub recorded: usize,
}

impl LayerLayout {
    /// Whether the neurons are leaky and follow the rule of the tutorial, with its surrogate, and learn no
    /// constants: the kernels have loops of their own for it.
    pub fn common(&self) -> bool {
        let learns = self.learnt().next().is_some();
        self.leaky.is_some_and(|rule| rule.is_tutorial()) && !learns
    }

    /// Whether every neuron is connected to every neuron of the layer.
    pub fn is_dense(&self) -> bool {
        let own = self.own.as_ref();
        own.is_some_and(|own| matches!(own.pattern, Pattern::AllToAll { .. }))
    }

    /// Whether the biases are trained.
    pub fn learns_bias(&self) -> bool {
        self.learn && self.biased
    }

    /// The constants that are trained, with their places.
    fn learnt(&self) -> impl Iterator<Item = (Constant, &Range<usize>)> {
        let learnt = self.constants.iter().filter(|held| held.learnt);
        learnt.map(|held| (held.constant, &held.values))
    }

    /// The places of the layer's tensors.
    fn places(&self) -> LayerTensors<Range<usize>, Range<usize>> {
        let recurrent = self.own.as_ref().map(|own| match own.pattern {
            Pattern::AllToAll { .. } => Recurrent::AllToAll {
                weight: own.weight.clone(),
                bias: own.bias.clone(),
            },
            Pattern::OneToOne => Recurrent::OneToOne(own.weight.clone()),
        });
        LayerTensors {
            weight: self.weight.clone(),
            bias: self.biased.then(|| self.bias.clone()),
            recurrent,
            constants: self.learnt().map(|(c, range)| (c, range.clone())).collect(),
        }
    }

    /// Finds places for the synapses that are trained, or for those that are not.
    fn place_synapses(&mut self, at: &mut usize, learnt: bool) {
        if self.learn == learnt {
            self.weight = next(at, self.neurons * self.inputs);
        }
        if self.learns_bias() == learnt {
            self.bias = next(at, self.neurons);
        }
        if let Some(own) = self.own.as_mut().filter(|own| own.learn == learnt) {
            let columns = match own.pattern {
                Pattern::AllToAll { .. } => self.neurons,
                Pattern::OneToOne => 1,
            };
            own.weight = next(at, self.neurons * columns);
            own.bias = own.bias.as_ref().map(|_| next(at, self.neurons));
        }
    }
}

/// All layers' places.
#[derive(Debug)]
pub struct Layout {
    pub layers: Vec<LayerLayout>,
    /// How many numbers there are, how many of them are trained, and how many of those are free of bounds.
    pub len: usize,
    pub trained: usize,
    pub free: usize,
}

/// A row's place behind those before it.
pub fn next(at: &mut usize, len: usize) -> Range<usize> {
    *at += len;
    *at - len..*at
}

/// The rule of layer `k`, from 1, if the engine runs its neurons.
///
/// # Errors
/// [`Error::Unsupported`] if it does not.
pub fn supported(layer: &Layer, k: usize) -> Result<Rule> {
    let name = layer.neuron().name();
    Rule::of(layer.neuron()).ok_or_else(|| Error::Unsupported {
        what: format!("neurons of the kind {name:?} in layer {k}"),
        by: "the CUDA engine".into(),
        instead: "it has the library's own; the CPU engine runs neurons of every kind".into(),
    })
}

impl Layout {
    /// The layout of a network whose layers are all [supported].
    ///
    /// # Errors
    /// [`Error::Unsupported`] for others.
    pub fn new(network: &Network) -> Result<Self> {
        let layers = network.layers().iter().zip(1..).map(|(layer, k)| {
            let (neuron, synapses) = (layer.neuron(), layer.synapses());
            let own = synapses.recurrence.map(|recurrence| Own {
                pattern: recurrence.pattern,
                learn: recurrence.learn,
                weight: 0..0,
                bias: recurrence.bias.then_some(0..0),
            });
            let leaky = neuron.equations::<leaky::Rule>().copied();
            Ok(LayerLayout {
                inputs: layer.inputs(),
                neurons: layer.neurons(),
                learn: synapses.learn,
                biased: synapses.bias,
                drops: synapses.dropout.is_some(),
                weight: 0..0,
                bias: 0..0,
                leaky: leaky.filter(|_| own.is_none()),
                own,
                constants: held(neuron),
                rule: supported(layer, k)?,
                states: neuron.run().states(),
                recorded: neuron.run().kept_beside_membrane(),
            })
        });
        let mut layers: Vec<_> = layers.collect::<Result<_>>()?;
        let (mut at, mut free, mut trained) = (0, 0, 0);
        for learnt in [true, false] {
            for place in &mut layers {
                place.place_synapses(&mut at, learnt);
            }
            free = if learnt { at } else { free };
            for (place, layer) in layers.iter_mut().zip(network.layers()) {
                let mut values = layer.constants.iter();
                for held in &mut place.constants {
                    let len = match held.fixed {
                        Some(_) => 1,
                        None => values.next().map_or(0, Array1::len),
                    };
                    if held.learnt == learnt {
                        held.values = next(&mut at, len);
                    }
                }
            }
            trained = if learnt { at } else { trained };
        }
        Ok(Layout {
            layers,
            len: at,
            trained,
            free,
        })
    }

    /// All numbers of a network.
    pub fn parameters(&self, network: &Network) -> Vec<f32> {
        let mut row = vec![0.0; self.len];
        for (place, layer) in self.layers.iter().zip(network.layers()) {
            put(&mut row, &place.weight, layer.weight.iter());
            put(&mut row, &place.bias, layer.bias.iter());
            if let (Some(own), Some(recurrent)) = (&place.own, &layer.recurrent) {
                match recurrent {
                    Recurrent::AllToAll { weight, bias } => {
                        put(&mut row, &own.weight, weight.iter());
                        if let (Some(range), Some(bias)) = (&own.bias, bias) {
                            put(&mut row, range, bias.iter());
                        }
                    }
                    Recurrent::OneToOne(each) => put(&mut row, &own.weight, each.iter()),
                }
            }
            let mut values = layer.constants.iter();
            for held in &place.constants {
                match &held.fixed {
                    Some(value) => put(&mut row, &held.values, [value].into_iter()),
                    None => put(&mut row, &held.values, values.next().into_iter().flatten()),
                }
            }
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
            for (constant, range) in place.learnt() {
                // An infinity stays one, to be seen.
                within(range, constant.low as f32, constant.high as f32);
            }
        }
        (low, high)
    }

    /// The trained tensors by name, with their places.
    pub fn named(&self) -> Vec<(String, Range<usize>)> {
        let layers = (1..).zip(&self.layers);
        let named = layers.flat_map(|(k, place)| place.places().named(k, |m| m, |v| v));
        named
            .filter(|(_, range)| range.end <= self.trained)
            .collect()
    }

    /// The trained numbers' companions, gradients or moments, as a row.
    pub fn row(&self, tensors: &Gradients) -> Vec<f32> {
        let mut row = vec![0.0; self.trained];
        for (place, layer) in self.layers.iter().zip(&tensors.layers) {
            let places = place.places().named(0, |m| m, |v| v);
            let values = layer.view();
            let values = values.named(0, |m| m.into_dyn(), |v| v.into_dyn());
            for ((_, range), (_, values)) in places.iter().zip(values) {
                if range.end <= self.trained {
                    put(&mut row, range, values.iter());
                }
            }
            let own = place.own.as_ref().filter(|own| own.learn);
            if let Some(own) = own
                && own.pattern == (Pattern::AllToAll { diagonal: false })
            {
                let diagonal = own.weight.clone().step_by(place.neurons + 1);
                diagonal.for_each(|n| row[n] = 0.0);
            }
        }
        row
    }

    /// The other way round, from a row of all numbers: those that are not trained have none, which are 0.
    pub fn tensors(&self, row: &[f32]) -> Gradients {
        let list = |range: Range<usize>| row[range].to_vec();
        let layers = self.layers.iter().map(|place| {
            let matrix = |range: Range<usize>| {
                let shape = (place.neurons, range.len() / place.neurons);
                let matrix = Array2::from_shape_vec(shape, list(range));
                matrix.expect("a weight's range is as long as its shape")
            };
            let vector = |range| Array1::from(list(range));
            place.places().map(matrix, vector)
        });
        Gradients {
            layers: layers.collect(),
        }
    }
}

/// The kernel's constants for neurons, in its order.
fn held(neurons: &Neurons) -> Vec<Held> {
    let [before, after] = added(neurons).map(|added| {
        added.map(|(constant, value)| Held {
            constant,
            learnt: false,
            values: 0..0,
            fixed: Some(value),
        })
    });
    let own = neurons.each().map(|(constant, _, learnt)| Held {
        constant,
        learnt,
        values: 0..0,
        fixed: None,
    });
    before.into_iter().chain(own).chain(after).collect()
}

fn put<'a>(row: &mut [f32], range: &Range<usize>, values: impl Iterator<Item = &'a f32>) {
    let places = row[range.clone()].iter_mut();
    places
        .zip(values)
        .for_each(|(place, value)| *place = *value);
}

/// Which of a layer's adjoints there are; of `e`, in how many parts.
#[derive(Debug, Clone, Copy, Default)]
pub struct AdjointInputs {
    pub e: usize,
    pub g: bool,
    pub extra: bool,
    /// Whether the layer's own pass back is done.
    pub done: bool,
}

/// `Piece` in `ptx/update.cu`, as the words that it has there.
pub type Piece = [u64; 6];

/// Words of a sample's spikes at a step.
pub fn words(neurons: usize) -> usize {
    neurons.div_ceil(32)
}
