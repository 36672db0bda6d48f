//! Where a network's numbers lie in one row on the device.
//!
//! The order is weights and biases of all layers, learnt constants of neurons, and behind them those
//! that are not learnt. Gradients and moments have the same order, as far as numbers are trained.

use std::ops::Range;

use ndarray::{Array1, Array2};

use crate::{
    Error, Gradients, Layer, Network, Result, Surrogate,
    neuron::{Constant, Dynamics, Neurons, Reset, integrator, lapicque, leaky, synaptic},
    synapses::Synapses,
    tensors::{self, LayerTensors},
};

/// The neurons that have kernels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Leaky,
    /// Current-based; `old_current`: their membrane reads the current of the step before.
    Synaptic {
        old_current: bool,
    },
}

impl Kind {
    /// Which ones these neurons are, and how their membranes fire and reset.
    pub fn of(neurons: &Neurons) -> Option<(Self, leaky::Rule)> {
        if let Some(&rule) = neurons.equations::<leaky::Rule>() {
            return Some((Kind::Leaky, rule));
        }
        if let Some(rule) = neurons.equations::<synaptic::Rule>() {
            let old_current = rule.old_current;
            return Some((Kind::Synaptic { old_current }, rule.membrane));
        }
        // A current-based neuron whose threshold nothing reaches, without a reset: its surrogate is 0.
        if let Some(rule) = neurons.equations::<integrator::Rule>() {
            let old_current = rule.old_current;
            return Some((Kind::Synaptic { old_current }, SILENT));
        }
        // A current-based neuron whose current ends with its step.
        let rule = neurons.equations::<lapicque::Rule>()?;
        let old_current = false;
        Some((Kind::Synaptic { old_current }, rule.membrane))
    }

    /// Constants of the kernel that these neurons do not have, and their values: before their own, and
    /// after them.
    fn added(neurons: &Neurons) -> [Option<(Constant, f32)>; 2] {
        match () {
            () if neurons.equations::<integrator::Rule>().is_some() => {
                [None, Some((Constant::THRESHOLD, f32::MAX))]
            }
            () if neurons.equations::<lapicque::Rule>().is_some() => {
                [Some((Constant::SYNAPSE, 0.0)), None]
            }
            () => [None, None],
        }
    }
}

/// How a membrane that never fires is told to.
const SILENT: leaky::Rule = leaky::Rule {
    dynamics: Dynamics::IntegrateThenFire,
    reset: Reset::None,
    detach_reset: true,
    surrogate: Surrogate::Arctan { alpha: 2.0 },
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

/// One layer's sizes and rule, and where its tensors lie in the row.
#[derive(Debug)]
pub struct LayerLayout {
    pub inputs: usize,
    pub neurons: usize,
    pub weight: Range<usize>,
    pub bias: Range<usize>,
    /// In the order of the neuron's.
    pub constants: Vec<Held>,
    pub kind: Kind,
    /// How the membrane fires and resets.
    pub rule: leaky::Rule,
}

impl LayerLayout {
    /// Whether the neurons are leaky and follow the rule of the tutorial, with its surrogate, and learn no
    /// constants: the kernels have loops of their own for it.
    pub fn common(&self) -> bool {
        let learns = self.learnt().next().is_some();
        self.kind == Kind::Leaky && self.rule.is_tutorial() && !learns
    }

    /// The constants that are trained, with their places.
    fn learnt(&self) -> impl Iterator<Item = (Constant, &Range<usize>)> {
        let learnt = self.constants.iter().filter(|held| held.learnt);
        learnt.map(|held| (held.constant, &held.values))
    }
}

/// All layers' places.
#[derive(Debug)]
pub struct Layout {
    pub layers: Vec<LayerLayout>,
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

/// The neurons of layer `k`, from 1, if the engine runs such a layer.
///
/// # Errors
/// [`Error::Unsupported`] if it does not.
pub fn supported(layer: &Layer, k: usize) -> Result<(Kind, leaky::Rule)> {
    let refused = |what, instead: &str| Error::Unsupported {
        what,
        by: "the CUDA engine".into(),
        instead: instead.into(),
    };
    let Some(kind) = Kind::of(layer.neuron()) else {
        let what = format!(
            "neurons of the kind {:?} in layer {k}",
            layer.neuron().name()
        );
        return Err(refused(what, "the CPU engine runs neurons of every kind"));
    };
    if layer.synapses() != Synapses::default() {
        let what = format!("synapses of layer {k}: {}", layer.synapses());
        let instead =
            "it has layers with trained weights from below and biases; the CPU engine has all";
        return Err(refused(what, instead));
    }
    Ok(kind)
}

impl Layout {
    /// The layout of a network whose layers are all [supported].
    ///
    /// # Errors
    /// [`Error::Unsupported`] for others.
    pub fn new(network: &Network) -> Result<Self> {
        let mut at = 0;
        let layers = network.layers().iter().zip(1..).map(|(layer, k)| {
            let (neuron, (kind, rule)) = (layer.neuron(), supported(layer, k)?);
            Ok(LayerLayout {
                inputs: layer.inputs(),
                neurons: layer.neurons(),
                weight: next(&mut at, layer.weight.len()),
                bias: next(&mut at, layer.bias.len()),
                constants: held(neuron),
                kind,
                rule,
            })
        });
        let mut layers: Vec<_> = layers.collect::<Result<_>>()?;
        let (free, mut trained) = (at, at);
        for learnt in [true, false] {
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
            trained,
            free,
            len: at,
        })
    }

    /// All numbers of a network.
    pub fn parameters(&self, network: &Network) -> Vec<f32> {
        let mut row = vec![0.0; self.len];
        for (place, layer) in self.layers.iter().zip(network.layers()) {
            put(&mut row, &place.weight, layer.weight.iter());
            put(&mut row, &place.bias, layer.bias.iter());
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
        let layers = (1..).zip(&self.layers).flat_map(|(k, place)| {
            let own = [
                (tensors::weight(k), place.weight.clone()),
                (tensors::bias(k), place.bias.clone()),
            ];
            let learnt = place.learnt();
            let learnt = learnt.map(move |(c, range)| (tensors::constant(k, c), range.clone()));
            own.into_iter().chain(learnt)
        });
        layers.collect()
    }

    /// The trained numbers' companions, gradients or moments, as a row.
    pub fn row(&self, tensors: &Gradients) -> Vec<f32> {
        let mut row = vec![0.0; self.trained];
        for (place, layer) in self.layers.iter().zip(&tensors.layers) {
            put(&mut row, &place.weight, layer.weight.iter());
            put(&mut row, &place.bias, layer.bias.iter().flatten());
            for ((_, range), (_, values)) in place.learnt().zip(&layer.constants) {
                put(&mut row, range, values.iter());
            }
        }
        row
    }

    /// The other way round.
    pub fn tensors(&self, row: &[f32]) -> Gradients {
        let list = |range: Range<usize>| row[range].to_vec();
        let layers = self.layers.iter().map(|place| {
            let shape = (place.neurons, place.inputs);
            let matrix = |range| Array2::from_shape_vec(shape, list(range));
            let matrix = |range| matrix(range).expect("a weight's range is as long as its shape");
            let places = LayerTensors {
                weight: place.weight.clone(),
                bias: Some(place.bias.clone()),
                recurrent: None,
                constants: place
                    .learnt()
                    .map(|(c, range)| (c, range.clone()))
                    .collect(),
            };
            places.map(matrix, |range| Array1::from(list(range)))
        });
        Gradients {
            layers: layers.collect(),
        }
    }
}

/// The kernel's constants for neurons, in its order.
fn held(neurons: &Neurons) -> Vec<Held> {
    let [before, after] = Kind::added(neurons).map(|added| {
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
