//! The network: Linear + Leaky layers, one after another, and the gradients of its parameters.
//!
//! Layer `k` computes `I_t = W s_t^below + b`, then its neurons integrate and fire
//! ([`neuron`](crate::neuron)). `W` is `[out, in]` as in `torch.nn.Linear`; parameters have
//! PyTorch's names, `fc1.weight`, `fc1.bias`, …, and where they are learnt `lif1.beta` and
//! `lif1.threshold`. Nothing here runs the network: that is an [`Engine`](crate::Engine)'s work.

use ndarray::{Array1, Array2, ArrayViewD, ArrayViewMutD};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    Error, Float, Input, Result,
    draw::{RandomExt, Uniform},
    neuron::{Constant, Neurons, PerNeuron},
    room,
};

/// A feed-forward spiking network: its structure and its parameters.
///
/// ```
/// use spikegrad::{Leaky, Network};
///
/// let network: Network = Network::builder(784)
///     .layer(1000, Leaky::new(0.95))
///     .layer(10, Leaky::new(0.95))
///     .seed(0)
///     .build()?;
/// assert_eq!(network.sizes(), [784, 1000, 10]);
/// assert_eq!(network.num_parameters(), 784 * 1000 + 1000 + 1000 * 10 + 10);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Network<F: Float = f32> {
    layers: Vec<Layer<F>>,
}

/// One Linear + Leaky layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer<F: Float = f32> {
    pub(crate) weight: Array2<F>,
    pub(crate) bias: Array1<F>,
    /// In the order of the neurons' [`constants`](Neurons::constants), each `[1]` or `[out]`.
    pub(crate) constants: Vec<Array1<F>>,
    pub(crate) neuron: Neurons,
}

impl<F: Float> Layer<F> {
    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.weight.ncols()
    }

    /// Number of neurons `N`.
    pub fn neurons(&self) -> usize {
        self.weight.nrows()
    }

    /// Weights, `[out, in]`.
    pub fn weight(&self) -> &Array2<F> {
        &self.weight
    }

    /// Biases, `[out]`.
    pub fn bias(&self) -> &Array1<F> {
        &self.bias
    }

    /// A constant of the neurons as it stands now, after any learning: `[1]` where the layer shares it,
    /// else `[out]`; `None` where the neurons have none of that name.
    ///
    /// ```
    /// use spikegrad::{Leaky, Network};
    ///
    /// let network: Network = Network::builder(2).layer(3, Leaky::new(0.5)).build()?;
    /// assert_eq!(network.layers()[0].constant("beta"), Some(&ndarray::array![0.5]));
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn constant(&self, name: &str) -> Option<&Array1<F>> {
        let mut constants = self.neuron.constants().iter().zip(&self.constants);
        constants.find_map(|(known, values)| (known.name == name).then_some(values))
    }

    /// The neurons: their equations, and the initial values of their constants.
    pub fn neuron(&self) -> &Neurons {
        &self.neuron
    }

    /// Constants as a layer starts with them.
    pub(crate) fn initial(neuron: &Neurons) -> Vec<Array1<F>> {
        let values = |(_, value, _): (_, &PerNeuron, _)| {
            value.values().iter().map(|&x| F::from_f64(x)).collect()
        };
        neuron.each().map(values).collect()
    }

    /// Each constant that is trained, with its values.
    fn learnt(&self) -> impl Iterator<Item = (Constant, &Array1<F>)> {
        let each = self.neuron.each().zip(&self.constants);
        each.filter_map(|((constant, _, learn), values)| learn.then_some((constant, values)))
    }

    /// A layer with these neurons and what was trained of them.
    #[cfg(feature = "safetensors")]
    pub(crate) fn trained(neuron: Neurons, tensors: LayerGradients<F>) -> Self {
        let mut layer = Layer {
            weight: tensors.weight,
            bias: tensors.bias,
            constants: Layer::initial(&neuron),
            neuron,
        };
        layer.set_learnt(tensors.constants);
        layer
    }

    /// Replaces the constants that are trained.
    #[cfg(any(feature = "cuda", feature = "safetensors"))]
    pub(crate) fn set_learnt(&mut self, now: Vec<(Constant, Array1<F>)>) {
        for ((_, values), (_, now)) in self.learnt_mut().zip(now) {
            *values = now;
        }
    }

    /// The same as [`learnt`](Self::learnt), to be changed.
    fn learnt_mut(&mut self) -> impl Iterator<Item = (Constant, &mut Array1<F>)> {
        let each = self.neuron.each().zip(&mut self.constants);
        each.filter_map(|((constant, _, learn), values)| learn.then_some((constant, values)))
    }
}

impl Network<f32> {
    /// Starts a network of `inputs` inputs; add layers, then [`build`](NetworkBuilder::build).
    pub fn builder(inputs: usize) -> NetworkBuilder {
        NetworkBuilder {
            inputs,
            layers: Vec::new(),
            seed: 0,
        }
    }
}

impl<F: Float> Network<F> {
    /// A network of layers that were checked: one at least, each as wide as the one above expects.
    pub(crate) fn from_layers(layers: Vec<Layer<F>>) -> Self {
        Network { layers }
    }

    /// The layers, from the input up.
    pub fn layers(&self) -> &[Layer<F>] {
        &self.layers
    }

    /// The layers, to be changed by an engine or a reader of files that keeps their shapes.
    #[cfg(any(feature = "cuda", feature = "safetensors"))]
    pub(crate) fn layers_mut(&mut self) -> &mut [Layer<F>] {
        &mut self.layers
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        self.layers[0].inputs()
    }

    /// Number of output neurons (classes).
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].neurons()
    }

    /// Inputs, then the neurons of each layer.
    pub fn sizes(&self) -> Vec<usize> {
        std::iter::once(self.inputs())
            .chain(self.layers.iter().map(Layer::neurons))
            .collect()
    }

    /// The fewest time steps `T` after which every output can have fired because of the input: 1, and one
    /// more for each layer that fires before it integrates ([`FireThenIntegrate`], the default), since its
    /// spikes come one step after their cause. In a single step such a layer never fires.
    ///
    /// With fewer steps spikes of the outputs do not depend on the input. Their membranes do with one step
    /// less, where the last layer is such a layer, and otherwise do not either.
    ///
    /// ```
    /// use spikegrad::{Dynamics, Leaky, Network};
    ///
    /// let layers = |dynamics| Network::builder(3)
    ///     .layer(4, Leaky::new(0.9).dynamics(dynamics))
    ///     .layer(2, Leaky::new(0.9).dynamics(dynamics))
    ///     .build::<f32>();
    /// assert_eq!(layers(Dynamics::FireThenIntegrate)?.min_steps(), 3);
    /// assert_eq!(layers(Dynamics::IntegrateThenFire)?.min_steps(), 1);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    ///
    /// [`FireThenIntegrate`]: crate::Dynamics::FireThenIntegrate
    pub fn min_steps(&self) -> usize {
        1 + late(&self.layers)
    }

    /// The same for the outputs' membranes, which do not wait for the last layer to fire.
    pub(crate) fn min_steps_membrane(&self) -> usize {
        1 + late(&self.layers[..self.layers.len() - 1])
    }

    /// Number of trained numbers.
    pub fn num_parameters(&self) -> usize {
        self.parameters()
            .iter()
            .map(|(_, values)| values.len())
            .sum()
    }

    /// Every trained tensor with its name, from the first layer up.
    ///
    /// # Shapes
    /// `fcK.weight [out, in]`, `fcK.bias [out]`; where learnt, `lifK.beta` and `lifK.threshold`,
    /// each `[1]` or `[out]`.
    pub fn parameters(&self) -> Vec<(String, ArrayViewD<'_, F>)> {
        let mut tensors = Vec::new();
        for (layer, k) in self.layers.iter().zip(1..) {
            tensors.push((format!("fc{k}.weight"), layer.weight.view().into_dyn()));
            tensors.push((format!("fc{k}.bias"), layer.bias.view().into_dyn()));
            for (constant, values) in layer.learnt() {
                tensors.push((name_of(k, constant), values.view().into_dyn()));
            }
        }
        tensors
    }

    /// The same tensors as [`parameters`](Self::parameters), to be changed in place. Values are
    /// the caller's responsibility: engines report a NaN as soon as it reaches the loss.
    pub fn parameters_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, F>)> {
        let mut tensors = Vec::new();
        for (layer, k) in self.layers.iter_mut().zip(1..) {
            let Layer {
                weight,
                bias,
                constants,
                neuron,
            } = layer;
            tensors.push((format!("fc{k}.weight"), weight.view_mut().into_dyn()));
            tensors.push((format!("fc{k}.bias"), bias.view_mut().into_dyn()));
            for ((constant, _, learn), values) in neuron.each().zip(constants) {
                if learn {
                    tensors.push((name_of(k, constant), values.view_mut().into_dyn()));
                }
            }
        }
        tensors
    }

    /// Replaces one tensor by name.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for a name that the network does not have, [`Error::Shape`] for
    /// another shape, [`Error::NonFinite`] for a NaN or an infinity. A decay outside `[0, 1]` or a
    /// threshold below 1e-6 is an [`Error::InvalidParameter`] too.
    pub fn set_parameter(&mut self, name: &str, values: ArrayViewD<'_, F>) -> Result<()> {
        let range = self.range(name);
        let mut tensors = self.parameters_mut();
        let Some((_, tensor)) = tensors.iter_mut().find(|(known, _)| known == name) else {
            let known: Vec<String> = tensors.into_iter().map(|(known, _)| known).collect();
            return Err(Error::parameter("parameter name", name, known.join(", ")));
        };
        if tensor.shape() != values.shape() {
            return Err(Error::shape(
                name,
                format!("{:?}", tensor.shape()),
                values.shape(),
            ));
        }
        check_finite(name, values.iter())?;
        if let Some((low, high)) = range
            && let Some(bad) = values.iter().find(|x| !(low..=high).contains(*x))
        {
            let expected = format!("values from {low} to {high}");
            return Err(Error::parameter(name, bad, expected));
        }
        tensor.assign(&values);
        Ok(())
    }

    /// The range of a constant by the name of its tensor.
    fn range(&self, name: &str) -> Option<(F, F)> {
        let layers = self.layers.iter().zip(1..);
        let mut constants = layers.flat_map(|(layer, k)| layer.learnt().map(move |(c, _)| (k, c)));
        let (_, constant) = constants.find(|&(k, constant)| name_of(k, constant) == name)?;
        Some(constant.range::<F>().into_inner())
    }

    /// The same network in another precision.
    pub fn cast<G: Float>(&self) -> Network<G> {
        let to = |x: &F| G::from_f64(x.as_f64());
        let layers = self.layers.iter().map(|layer| Layer {
            weight: layer.weight.map(to),
            bias: layer.bias.map(to),
            constants: layer.constants.iter().map(|c| c.map(to)).collect(),
            neuron: layer.neuron.clone(),
        });
        Network {
            layers: layers.collect(),
        }
    }

    /// Refuses a NaN or an infinity in any parameter, by name; `when` is added to it.
    pub(crate) fn check_finite(&self, when: &str) -> Result<()> {
        self.parameters()
            .iter()
            .try_for_each(|(name, v)| check_finite(&format!("{name}{when}"), v.iter()))
    }

    /// Brings learnt constants back into their ranges.
    pub(crate) fn clamp(&mut self) {
        for (constant, values) in self.layers.iter_mut().flat_map(Layer::learnt_mut) {
            values.mapv_inplace(|x| constant.clamp(x));
        }
    }

    /// Refuses constants out of range.
    #[cfg(feature = "safetensors")]
    pub(crate) fn check_constants(&self) -> Result<()> {
        for (layer, k) in self.layers.iter().zip(1..) {
            for (constant, values) in layer.neuron.constants().iter().zip(&layer.constants) {
                let range = constant.range::<F>();
                if let Some(bad) = values.iter().find(|x| !range.contains(*x)) {
                    let name = name_of(k, *constant);
                    return Err(Error::parameter(name, bad, constant.expected));
                }
            }
        }
        Ok(())
    }

    /// Checks the targets of an input.
    pub(crate) fn check_targets(&self, targets: &[usize], input: Input<'_, F>) -> Result<()> {
        check_targets(targets, input.batch(), self.outputs())
            .map_err(|error| input.name_axes(error))
    }
}

/// Layers whose spikes come one step after their cause.
fn late<F: Float>(layers: &[Layer<F>]) -> usize {
    let late = |layer: &&Layer<F>| layer.neuron.run().spikes_first();
    layers.iter().filter(late).count()
}

/// The name of a constant's tensor in layer `k`, from 1.
pub(crate) fn name_of(k: usize, constant: Constant) -> String {
    format!("lif{k}.{}", constant.name)
}

/// Checks that there is one target for each sample, and that each names a class.
pub(crate) fn check_targets(targets: &[usize], batch: usize, classes: usize) -> Result<()> {
    if targets.len() != batch {
        return Err(Error::shape(
            "targets",
            format!("[{batch}], one for each sample"),
            &[targets.len()],
        ));
    }
    match targets.iter().position(|&class| class >= classes) {
        Some(index) => Err(Error::Target {
            index,
            value: targets[index],
            classes,
        }),
        None => Ok(()),
    }
}

/// Refuses a NaN or an infinity, and says which element it is.
pub(crate) fn check_finite<'a, F: Float>(
    what: &str,
    values: impl Iterator<Item = &'a F> + Clone,
) -> Result<()> {
    if all_finite(values.clone()) {
        return Ok(());
    }
    match values.enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, value)) => Err(Error::NonFinite {
            what: what.into(),
            value: value.to_string(),
            position: format!("element {index}"),
        }),
        None => Ok(()),
    }
}

/// Whether there is neither a NaN nor an infinity. Without an early exit the compiler turns this into
/// vector code; finding the place can wait.
pub(crate) fn all_finite<'a, F: Float>(values: impl Iterator<Item = &'a F>) -> bool {
    values.fold(true, |finite, x| finite & x.is_finite())
}

/// Collects a network's structure; [`build`](Self::build) checks it and draws the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkBuilder {
    inputs: usize,
    layers: Vec<(usize, Neurons)>,
    seed: u64,
}

impl NetworkBuilder {
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

    /// Checks the structure and draws the parameters as `torch.nn.Linear` does: weight and bias
    /// from `U(−1/√in, 1/√in)`, by ChaCha8 from the seed, layer by layer, weight before bias. They
    /// are drawn as doubles and rounded, so `f32` and `f64` networks of one seed agree.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] where a size is 0 or too large for memory, there is no layer, or
    /// a neuron's setting is out of range; [`Error::Shape`] where per-neuron values do not fit the
    /// layer. The message names the layer, counted from 1.
    pub fn build<F: Float>(self) -> Result<Network<F>> {
        if self.inputs == 0 {
            return Err(Error::parameter("number of inputs", 0, "at least 1"));
        }
        if self.layers.is_empty() {
            return Err(Error::parameter("number of layers", 0, "at least 1"));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut inputs = self.inputs;
        let mut layers = Vec::with_capacity(self.layers.len());
        for (k, (neurons, neuron)) in self.layers.into_iter().enumerate() {
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
            room::check::<f64>(&format!("{place}: weights"), [[2, inputs, neurons, 1]])?;
            neuron.check(&place, neurons)?;
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
        Ok(Network { layers })
    }
}

/// Neurons are counted in 32 bits.
const MAX_NEURONS: usize = 1 << 31;

/// 2^33 weights are 32 GiB in single precision.
const MAX_WEIGHTS: usize = if usize::BITS > 33 {
    1 << 33
} else {
    usize::MAX >> 4
};

/// `∂L/∂` every trained tensor of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients<F: Float = f32> {
    pub(crate) layers: Vec<LayerGradients<F>>,
}

/// `∂L/∂` the trained tensors of one layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayerGradients<F: Float> {
    /// `[out, in]`
    pub weight: Array2<F>,
    /// `[out]`
    pub bias: Array1<F>,
    /// Those of the neurons' constants that are learnt, `[1]` or `[out]`.
    pub constants: Vec<(Constant, Array1<F>)>,
}

impl<F: Float> LayerGradients<F> {
    /// Adds shares `[N]` of each learnt constant's gradient, from those of all constants of the neurons.
    pub fn add_constants(&mut self, neuron: &Neurons, shares: &[Array1<F>]) {
        let learnt = neuron.each().zip(shares);
        let learnt = learnt.filter_map(|((.., learn), share)| learn.then_some(share));
        for ((_, sum), share) in self.constants.iter_mut().zip(learnt) {
            match sum.len() {
                1 => sum[0] += share.sum(),
                _ => *sum += share,
            }
        }
    }

    /// The sum of the squares of all of them.
    fn squares(&self) -> f64 {
        let square = |x: &F| x.as_f64() * x.as_f64();
        let learnt = self.constants.iter().map(|(_, values)| values);
        let vectors = std::iter::once(&self.bias).chain(learnt);
        self.weight.iter().map(square).sum::<f64>() + vectors.flatten().map(square).sum::<f64>()
    }
}

impl<F: Float> Gradients<F> {
    /// Zeros in the shapes of the network's [`parameters`](Network::parameters), and in their
    /// memory order.
    pub fn zeros(network: &Network<F>) -> Self {
        let layers = network.layers.iter().map(|layer| LayerGradients {
            weight: layer.weight.map(|_| F::zero()),
            bias: layer.bias.map(|_| F::zero()),
            constants: (layer.learnt())
                .map(|(constant, values)| (constant, values.map(|_| F::zero())))
                .collect(),
        });
        Gradients {
            layers: layers.collect(),
        }
    }

    /// All tensors with their names, in the order of [`Network::parameters`].
    pub fn tensors(&self) -> Vec<(String, ArrayViewD<'_, F>)> {
        let mut tensors = Vec::new();
        for (layer, k) in self.layers.iter().zip(1..) {
            tensors.push((format!("fc{k}.weight"), layer.weight.view().into_dyn()));
            tensors.push((format!("fc{k}.bias"), layer.bias.view().into_dyn()));
            let constants = layer.constants.iter();
            tensors.extend(constants.map(|(c, values)| (name_of(k, *c), values.view().into_dyn())));
        }
        tensors
    }

    /// The same tensors, to be changed in place (to clip or to average, say).
    pub fn tensors_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, F>)> {
        let mut tensors = Vec::new();
        for (layer, k) in self.layers.iter_mut().zip(1..) {
            tensors.push((format!("fc{k}.weight"), layer.weight.view_mut().into_dyn()));
            tensors.push((format!("fc{k}.bias"), layer.bias.view_mut().into_dyn()));
            let constants = layer.constants.iter_mut();
            tensors.extend(constants.map(|(c, v)| (name_of(k, *c), v.view_mut().into_dyn())));
        }
        tensors
    }

    /// One tensor by its name.
    pub fn get(&self, name: &str) -> Option<ArrayViewD<'_, F>> {
        self.tensors()
            .into_iter()
            .find(|(known, _)| known == name)
            .map(|(_, values)| values)
    }

    /// The Euclidean norm of all gradients taken together.
    pub fn norm(&self) -> f64 {
        self.layers
            .iter()
            .map(LayerGradients::squares)
            .sum::<f64>()
            .sqrt()
    }

    /// The Euclidean norm of each layer's gradients, from the first layer up: of its weights, biases
    /// and what it learns of decays and thresholds, taken together.
    ///
    /// ```
    /// use spikegrad::{Gradients, Leaky, Network};
    ///
    /// let network: Network = Network::builder(2)
    ///     .layer(3, Leaky::new(0.9))
    ///     .layer(1, Leaky::new(0.9))
    ///     .build()?;
    /// let mut gradients = Gradients::zeros(&network);
    /// for (_, mut g) in gradients.tensors_mut() {
    ///     g.fill(2.0);
    /// }
    /// // 3 · 2 weights and 3 biases; 3 weights and 1 bias.
    /// assert_eq!(gradients.layer_norms(), [6.0, 4.0]);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn layer_norms(&self) -> Vec<f64> {
        let norm = |layer: &LayerGradients<F>| layer.squares().sqrt();
        self.layers.iter().map(norm).collect()
    }

    /// Whether the squares of all gradients, times `factor` each, are finite.
    pub(crate) fn squares_fit(&self, factor: F) -> bool {
        let fits = |fits: bool, g: &F| fits & (*g * factor * (*g * factor)).is_finite();
        let mut tensors = self.tensors().into_iter();
        tensors.all(|(_, v)| v.iter().fold(true, fits))
    }

    /// Refuses a NaN or an infinity in any tensor, by name.
    pub(crate) fn check_finite(&self) -> Result<()> {
        self.tensors()
            .iter()
            .try_for_each(|(name, v)| check_finite(&format!("gradient of {name}"), v.iter()))
    }
}
