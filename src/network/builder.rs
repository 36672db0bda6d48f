//! The network builder: checks the structure and initializes the parameters.

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::init::{self, Init};
use crate::{
    Error, Float, Layer, Network, Result, memory,
    neuron::{Neurons, PerNeuron},
    synapses::{Dropout, Pattern, Recurrence, Synapses},
    tensors::{LayerTensors, Recurrent},
};

/// Builds a network; [`build`](Self::build) checks the structure and initializes the weights.
///
/// [`layer`](Self::layer) adds a layer. The methods after it describe the synapses of the layer added last:
///
/// ```
/// use spikegrad::{Init, Network, Recurrence, Synaptic};
///
/// let network: Network = Network::builder(700)
///     .layer(256, Synaptic::spytorch(0.9, 0.95))
///     .bias(false)
///     .init(Init::Scaled { scale: 3.0 })
///     .recurrent(Recurrence::all_to_all().bias(false))
///     .recurrent_init(Init::Scaled { scale: 0.03 })
///     .layer(20, Synaptic::spytorch(0.9, 0.95))
///     .bias(false)
///     .build()?;
/// assert_eq!(network.num_parameters(), 700 * 256 + 256 * 256 + 256 * 20);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkBuilder {
    inputs: usize,
    layers: Vec<Plan>,
    seed: u64,
    /// A method that describes a layer, called before there was one.
    early: Option<&'static str>,
}

/// What is known of a layer.
#[derive(Debug, Clone, PartialEq)]
struct Plan {
    neurons: usize,
    neuron: Neurons,
    synapses: Synapses,
    init: Init,
    recurrent_init: Init,
    /// The probability; 0 is none.
    dropout: f64,
}

impl NetworkBuilder {
    /// A builder for a network of `inputs` inputs.
    pub(crate) fn new(inputs: usize) -> Self {
        NetworkBuilder {
            inputs,
            layers: Vec::new(),
            seed: 0,
            early: None,
        }
    }

    /// Adds a layer of `neurons` neurons, connected to all of the layer below.
    pub fn layer(mut self, neurons: usize, neuron: impl Into<Neurons>) -> Self {
        self.layers.push(Plan {
            neurons,
            neuron: neuron.into(),
            synapses: Synapses::default(),
            init: Init::Linear,
            recurrent_init: Init::Linear,
            dropout: 0.0,
        });
        self
    }

    /// Connects the neurons of the layer to each other.
    pub fn recurrent(self, recurrence: Recurrence) -> Self {
        self.last("recurrent", |plan| {
            plan.synapses.recurrence = Some(recurrence)
        })
    }

    /// Sets whether the layer has biases; true by default. Those of recurrent synapses are set by
    /// [`Recurrence::bias`].
    pub fn bias(self, bias: bool) -> Self {
        self.last("bias", |plan| plan.synapses.bias = bias)
    }

    /// Keeps the layer's weights from below, and their biases, as they are: they are not trained.
    /// Recurrent weights are set by [`Recurrence::learn`].
    pub fn fixed(self) -> Self {
        self.last("fixed", |plan| plan.synapses.learn = false)
    }

    /// Sets the membranes before the first step, 0 by default: one value for the layer, one for each neuron, or a
    /// [`Draw`](crate::Draw). Every pass that is not given a [`State`](crate::State) begins there.
    ///
    /// ```
    /// use spikegrad::{Draw, Leaky, Network};
    ///
    /// let network: Network = Network::builder(4)
    ///     .layer(8, Leaky::new(0.9))
    ///     .initial_membrane(Draw::Uniform { low: 0.0, high: 1.0 })
    ///     .layer(2, Leaky::new(0.9))
    ///     .initial_membrane(-1e-3)
    ///     .build()?;
    /// assert_eq!(network.layers()[0].neuron().initial_membrane().values().len(), 8);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn initial_membrane(self, membrane: impl Into<PerNeuron>) -> Self {
        let membrane = membrane.into();
        self.last("initial_membrane", |plan| {
            plan.neuron = plan.neuron.clone().start(membrane);
        })
    }

    /// Drops inputs of the layer while it is trained, each with probability `rate`, at least 0 and less than
    /// 1; see [`Dropout`]. Its seed is the [network's](Self::seed).
    pub fn dropout(self, rate: f64) -> Self {
        self.last("dropout", |plan| plan.dropout = rate)
    }

    /// Sets how the layer's weights from below are drawn; [`Init::Linear`] by default. Biases are drawn as
    /// by that in any case.
    pub fn init(self, init: Init) -> Self {
        self.last("init", |plan| plan.init = init)
    }

    /// Sets how the layer's recurrent weights are drawn; [`Init::Linear`] by default, or all 1 where every
    /// neuron is connected to itself alone, as in snnTorch.
    pub fn recurrent_init(self, init: Init) -> Self {
        self.last("recurrent_init", |plan| plan.recurrent_init = init)
    }

    /// Changes the layer added last.
    fn last(mut self, method: &'static str, change: impl FnOnce(&mut Plan)) -> Self {
        match self.layers.last_mut() {
            Some(plan) => change(plan),
            None => drop(self.early.get_or_insert(method)),
        }
        self
    }

    /// Sets the seed of the initial weights; 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Checks the structure and initializes the parameters, by default as `torch.nn.Linear` does: weight
    /// and bias from `U(−1/√in, 1/√in)`, drawn by ChaCha8 from the seed, layer by layer, weight before
    /// bias, recurrent weights after them. They are drawn as doubles and rounded, so `f32` and `f64`
    /// networks with the same seed agree. Constants that are [drawn](crate::Draw) come from a second stream of
    /// the seed, layer by layer, in the order of the neuron's constants; drawn membranes from a third.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if a size is 0 or too large, the network has no layer, or a
    /// setting of a neuron or of the synapses is out of range; [`Error::OutOfMemory`] if the weights cannot
    /// be allocated; [`Error::Shape`] if per-neuron values do not match the layer. The message names
    /// the layer, counted from 1.
    pub fn build<F: Float>(self) -> Result<Network<F>> {
        if self.inputs == 0 {
            return Err(Error::parameter("number of inputs", 0, "at least 1"));
        }
        if let Some(method) = self.early {
            let expected = "after a layer, whose synapses it describes";
            return Err(Error::parameter(method, "before any layer", expected));
        }
        if self.layers.is_empty() {
            return Err(Error::parameter("number of layers", 0, "at least 1"));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        // A stream of its own: the weights are the same with and without drawn constants.
        let mut of_constants = ChaCha8Rng::seed_from_u64(self.seed);
        of_constants.set_stream(1);
        let mut of_membranes = ChaCha8Rng::seed_from_u64(self.seed);
        of_membranes.set_stream(2);
        let mut inputs = self.inputs;
        let mut layers = Vec::with_capacity(self.layers.len());
        for (mut plan, k) in self.layers.into_iter().zip(1..) {
            let neurons = plan.neurons;
            if !(0.0..1.0).contains(&plan.dropout) {
                let expected = "at least 0 and less than 1";
                let name = format!("layer {k}: dropout");
                return Err(Error::parameter(name, plan.dropout, expected));
            }
            let (rate, seed) = (plan.dropout, self.seed);
            plan.synapses.dropout = (rate > 0.0).then_some(Dropout { rate, seed });
            layers.push(plan.build(
                &format!("layer {k}"),
                inputs,
                [&mut rng, &mut of_constants, &mut of_membranes],
            )?);
            inputs = neurons;
        }
        Ok(Network::from_layers(layers))
    }
}

impl Plan {
    /// The layer; `place` is its name in messages.
    fn build<F: Float>(
        self,
        place: &str,
        inputs: usize,
        [rng, of_constants, of_membranes]: [&mut ChaCha8Rng; 3],
    ) -> Result<Layer<F>> {
        let Plan {
            neurons,
            mut neuron,
            synapses,
            init,
            recurrent_init,
            ..
        } = self;
        if neurons == 0 {
            let what = format!("{place}: number of neurons");
            return Err(Error::parameter(what, 0, "at least 1"));
        }
        let all_to_all = synapses
            .recurrence
            .is_some_and(|r| r.pattern != Pattern::OneToOne);
        check_size(place, inputs, neurons)?;
        if all_to_all {
            check_size(&format!("{place}, recurrent"), neurons, neurons)?;
        }
        neuron.check(place, neurons)?;
        neuron.draw(neurons, [of_constants, of_membranes]);
        neuron.check_together(place, neurons)?;
        init.check(place)?;
        recurrent_init.check(&format!("{place}, recurrent"))?;
        let weight = init.matrix((neurons, inputs), rng)?;
        let bias = match synapses.bias {
            true => Some(init::biases(neurons, inputs, rng)?),
            false => None,
        };
        let recurrent = match synapses.recurrence {
            None => None,
            Some(recurrence) => Some(match recurrence.pattern {
                Pattern::AllToAll { diagonal } => {
                    let mut weight = recurrent_init.matrix((neurons, neurons), rng)?;
                    if !diagonal {
                        weight.diag_mut().fill(F::zero());
                    }
                    let bias = match recurrence.bias {
                        true => Some(init::biases(neurons, neurons, rng)?),
                        false => None,
                    };
                    Recurrent::AllToAll { weight, bias }
                }
                Pattern::OneToOne if recurrent_init == Init::Linear => {
                    Recurrent::OneToOne(Init::Constant(1.0).vector(neurons, rng)?)
                }
                Pattern::OneToOne => Recurrent::OneToOne(recurrent_init.vector(neurons, rng)?),
            }),
        };
        let tensors = LayerTensors {
            weight,
            bias,
            recurrent,
            constants: Vec::new(),
        };
        Ok(Layer::of(synapses, neuron, tensors))
    }
}

/// Checks the size of a matrix of weights.
fn check_size(place: &str, inputs: usize, neurons: usize) -> Result<()> {
    let weights = inputs.checked_mul(neurons);
    if inputs.max(neurons) > MAX_NEURONS || weights.is_none_or(|n| n > MAX_WEIGHTS) {
        let size = format!("{inputs} x {neurons}");
        let expected = "at most 2^31 neurons and 2^33 weights";
        return Err(Error::parameter(format!("{place}: size"), size, expected));
    }
    // They are drawn as doubles.
    memory::check::<f64>(&format!("{place}: weights"), [[2, inputs, neurons, 1]])
}

/// Neuron indices have 32 bits.
const MAX_NEURONS: usize = 1 << 31;

/// 2^33 weights are 32 GiB in single precision.
const MAX_WEIGHTS: usize = if usize::BITS > 33 {
    1 << 33
} else {
    usize::MAX >> 4
};
