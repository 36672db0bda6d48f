//! The network builder: checks the structure and initializes the parameters.

use ndarray::{Array1, Array2};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    Error, Float, Layer, Network, Result,
    draw::{RandomExt, Uniform},
    memory,
    neuron::Neurons,
};

/// Builds a network; [`build`](Self::build) checks the structure and initializes the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkBuilder {
    inputs: usize,
    layers: Vec<(usize, Neurons)>,
    seed: u64,
}

impl NetworkBuilder {
    /// A builder for a network of `inputs` inputs.
    pub(crate) fn new(inputs: usize) -> Self {
        NetworkBuilder {
            inputs,
            layers: Vec::new(),
            seed: 0,
        }
    }

    /// Adds a layer of `neurons` neurons, connected to all of the layer below.
    pub fn layer(mut self, neurons: usize, neuron: impl Into<Neurons>) -> Self {
        self.layers.push((neurons, neuron.into()));
        self
    }

    /// Sets the seed of the initial weights; 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks the structure and initializes the parameters as `torch.nn.Linear` does: weight and
    /// bias from `U(−1/√in, 1/√in)`, drawn by ChaCha8 from the seed, layer by layer, weight before
    /// bias. They are drawn as doubles and rounded, so `f32` and `f64` networks with the same seed
    /// agree. Constants that are [drawn](crate::Draw) come from a second stream of the seed, layer by
    /// layer, in the order of the neuron's constants.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if a size is 0 or too large, the network has no layer, or a
    /// setting of a neuron is out of range; [`Error::OutOfMemory`] if the weights cannot be
    /// allocated; [`Error::Shape`] if per-neuron values do not match the layer. The message names
    /// the layer, counted from 1.
    pub fn build<F: Float>(self) -> Result<Network<F>> {
        if self.inputs == 0 {
            return Err(Error::parameter("number of inputs", 0, "at least 1"));
        }
        if self.layers.is_empty() {
            return Err(Error::parameter("number of layers", 0, "at least 1"));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // A stream of its own: the weights are the same with and without drawn constants.
        let mut of_constants = ChaCha8Rng::seed_from_u64(self.seed);
        of_constants.set_stream(1);
        let mut inputs = self.inputs;
        let mut layers = Vec::with_capacity(self.layers.len());
        for (k, (neurons, mut neuron)) in self.layers.into_iter().enumerate() {
            let place = format!("layer {}", k + 1);
            if neurons == 0 {
                return Err(Error::parameter(
                    format!("{place}: number of neurons"),
                    0,
                    "at least 1",
                ));
            }
            let weights = inputs.checked_mul(neurons);
            if inputs.max(neurons) > MAX_NEURONS || weights.is_none_or(|n| n > MAX_WEIGHTS) {
                let size = format!("{inputs} x {neurons}");
                return Err(Error::parameter(
                    format!("{place}: size"),
                    size,
                    "at most 2^31 neurons and 2^33 weights",
                ));
            }
            // They are drawn as doubles.
            memory::check::<f64>(&format!("{place}: weights"), [[2, inputs, neurons, 1]])?;
            neuron.check(&place, neurons)?;
            neuron.draw(neurons, &mut of_constants);
            neuron.check_together(&place, neurons)?;
            let bound = 1.0 / (inputs as f64).sqrt();
            let uniform = Uniform::new_inclusive(-bound, bound).map_err(|e| {
                Error::parameter(format!("{place}: weight bound"), bound, e.to_string())
            })?;
            layers.push(Layer {
                weight: Array2::random_using((neurons, inputs), uniform, &mut rng)
                    .mapv_into_any(F::from_f64),
                bias: Array1::random_using(neurons, uniform, &mut rng).mapv_into_any(F::from_f64),
                constants: Layer::initial(&neuron),
                neuron,
            });
            inputs = neurons;
        }
        Ok(Network::from_layers(layers))
    }
}

/// Neuron indices have 32 bits.
const MAX_NEURONS: usize = 1 << 31;

/// 2^33 weights are 32 GiB in single precision.
const MAX_WEIGHTS: usize = if usize::BITS > 33 {
    1 << 33
} else {
    usize::MAX >> 4
};
