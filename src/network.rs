//! The network: a stack of linear layers with spiking neurons, and the gradients of its parameters.
//!
//! Layer `k` computes `I_t = W s_t^below + b`, with recurrent [`synapses`](crate::synapses)
//! `+ V s_{t−1} + c`, then its neurons integrate and fire ([`neuron`](crate::neuron)). `W` is `[out, in]`
//! as in `torch.nn.Linear`. Parameters have PyTorch's and snnTorch's names: `fc1.weight`, `fc1.bias`, …,
//! `lif1.recurrent.weight` and, if learned, `lif1.beta` and `lif1.threshold`. An
//! [`Engine`](crate::Engine) runs the network.

mod builder;
mod gradients;
mod init;

use ndarray::{
    Array1, Array2, ArrayView, ArrayView1, ArrayView2, ArrayViewD, ArrayViewMut, ArrayViewMut1,
    ArrayViewMut2, ArrayViewMutD,
};

use crate::{
    Error, Float, Result,
    finite::check_finite,
    neuron::{Constant, Neurons, PerNeuron},
    synapses::Synapses,
    tensors::{self, LayerTensors, Recurrent},
};

pub use self::{builder::NetworkBuilder, gradients::Gradients, init::Init};

/// A spiking network: its structure and its parameters.
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

/// One layer: its synapses and its neurons.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer<F: Float = f32> {
    pub(crate) weight: Array2<F>,
    /// Zeros in a layer without biases.
    pub(crate) bias: Array1<F>,
    /// As `synapses` describes it.
    pub(crate) recurrent: Option<Recurrent<Array2<F>, Array1<F>>>,
    pub(crate) synapses: Synapses,
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

    /// Biases, `[out]`; zeros in a layer without.
    pub fn bias(&self) -> &Array1<F> {
        &self.bias
    }

    /// Recurrent weights `V`, `[out, out]`: row `n` has the weights to neuron `n`. `None` in a layer without;
    /// where every neuron is connected to itself alone, a matrix with those weights in its diagonal.
    pub fn recurrent_weight(&self) -> Option<Array2<F>> {
        Some(match self.recurrent.as_ref()? {
            Recurrent::AllToAll { weight, .. } => weight.clone(),
            Recurrent::OneToOne(each) => Array2::from_diag(each),
        })
    }

    /// How the neurons are connected.
    pub fn synapses(&self) -> Synapses {
        self.synapses
    }

    /// The current value of a constant of the neurons: `[1]` if the layer shares it, else `[out]`;
    /// `None` if the neurons have no constant of that name.
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

    /// Initial constants of a layer.
    pub(crate) fn initial(neuron: &Neurons) -> Vec<Array1<F>> {
        let values = |(_, value, _): (_, &PerNeuron, _)| {
            value.values().iter().map(|&x| F::from_f64(x)).collect()
        };
        neuron.each().map(values).collect()
    }

    /// The trained tensors of the layer.
    pub(crate) fn tensors(&self) -> LayerTensors<ArrayView2<'_, F>, ArrayView1<'_, F>> {
        LayerTensors {
            weight: self.weight.view(),
            bias: self.synapses.bias.then(|| self.bias.view()),
            recurrent: tensors::view(&self.recurrent),
            constants: self
                .learnt()
                .map(|(c, values)| (c, values.view()))
                .collect(),
        }
    }

    /// The trained tensors, mutable.
    fn tensors_mut(&mut self) -> LayerTensors<ArrayViewMut2<'_, F>, ArrayViewMut1<'_, F>> {
        let each = self.neuron.each().zip(&mut self.constants);
        let learnt = each.filter(|((.., learn), _)| *learn);
        LayerTensors {
            weight: self.weight.view_mut(),
            bias: self.synapses.bias.then(|| self.bias.view_mut()),
            recurrent: tensors::view_mut(&mut self.recurrent),
            constants: learnt
                .map(|((c, ..), values)| (c, values.view_mut()))
                .collect(),
        }
    }

    /// Each constant that is trained, with its values.
    fn learnt(&self) -> impl Iterator<Item = (Constant, &Array1<F>)> {
        let each = self.neuron.each().zip(&self.constants);
        each.filter_map(|((constant, _, learn), values)| learn.then_some((constant, values)))
    }

    /// A layer of these tensors.
    pub(crate) fn of(synapses: Synapses, neuron: Neurons, tensors: tensors::Tensors<F>) -> Self {
        let mut layer = Layer {
            bias: (tensors.bias).unwrap_or_else(|| Array1::zeros(tensors.weight.nrows())),
            weight: tensors.weight,
            recurrent: tensors.recurrent,
            synapses,
            constants: Layer::initial(&neuron),
            neuron,
        };
        layer.set_learnt(tensors.constants);
        layer
    }

    /// Replaces the constants that are trained.
    pub(crate) fn set_learnt(&mut self, now: Vec<(Constant, Array1<F>)>) {
        for ((_, values), (_, now)) in self.learnt_mut().zip(now) {
            *values = now;
        }
    }

    /// Whether the diagonal of the recurrent weights is and stays 0.
    fn without_diagonal(&self) -> bool {
        let recurrence = self.synapses.recurrence;
        recurrence.is_some_and(|recurrence| recurrence.without_diagonal())
    }

    /// The names of the tensors of layer `k`, from 1, that are not trained.
    fn fixed(&self, k: usize) -> Vec<String> {
        let Synapses {
            learn, recurrence, ..
        } = self.synapses;
        let mut fixed = Vec::new();
        if !learn {
            fixed.extend([tensors::weight(k), tensors::bias(k)]);
        }
        if recurrence.is_some_and(|recurrence| !recurrence.learn) {
            fixed.extend([tensors::recurrent_weight(k), tensors::recurrent_bias(k)]);
            fixed.push(tensors::recurrent_each(k));
        }
        fixed
    }

    /// The same as [`learnt`](Self::learnt), mutable.
    fn learnt_mut(&mut self) -> impl Iterator<Item = (Constant, &mut Array1<F>)> {
        let each = self.neuron.each().zip(&mut self.constants);
        each.filter_map(|((constant, _, learn), values)| learn.then_some((constant, values)))
    }
}

impl Network<f32> {
    /// Starts a network of `inputs` inputs; add layers, then [`build`](NetworkBuilder::build).
    pub fn builder(inputs: usize) -> NetworkBuilder {
        NetworkBuilder::new(inputs)
    }
}

impl<F: Float> Network<F> {
    /// A network of checked layers: at least one, with matching widths.
    pub(crate) fn from_layers(layers: Vec<Layer<F>>) -> Self {
        Network { layers }
    }

    /// The layers, from the input up.
    pub fn layers(&self) -> &[Layer<F>] {
        &self.layers
    }

    /// The layers, mutable. Engines and file readers must keep the shapes.
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

    /// Number of inputs, then the number of neurons of each layer.
    pub fn sizes(&self) -> Vec<usize> {
        std::iter::once(self.inputs())
            .chain(self.layers.iter().map(Layer::neurons))
            .collect()
    }

    /// The smallest number of time steps `T` after which the input can make every output fire: 1,
    /// plus one for each layer that fires before it integrates ([`FireThenIntegrate`], the
    /// default), because its spikes come one step after their cause. Such a layer never fires in a
    /// run of one step.
    ///
    /// With fewer steps the output spikes do not depend on the input. If the last layer is such a
    /// layer, the output membranes depend on the input with one step less.
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

    /// Whether every membrane begins at 0.
    pub(crate) fn begins_at_zero(&self) -> bool {
        let mut layers = self.layers.iter();
        layers.all(|layer| layer.neuron.starts_at_zero())
    }

    /// Likely mistakes in a run of `num_steps` time steps, one line each; usually empty. At present
    /// there is one: fewer steps than [`min_steps`](Self::min_steps).
    ///
    /// Print them before a training loop of your own. A [`Trainer`](crate::Trainer) includes them in
    /// its [`warnings`](crate::Trainer::warnings).
    ///
    /// ```
    /// use spikegrad::{Leaky, Network};
    ///
    /// let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
    /// assert!(network.warnings(2).is_empty());
    /// let warnings = network.warnings(1);
    /// assert!(warnings[0].starts_with("num_steps is 1; expected at least 2"));
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn warnings(&self, num_steps: usize) -> Vec<String> {
        let least = self.min_steps();
        // The output membranes do not wait for the last layer to fire.
        let membrane = 1 + late(&self.layers[..self.layers.len() - 1]);
        let what = if num_steps >= least {
            return Vec::new();
        } else if num_steps < membrane {
            "output spikes and membranes"
        } else {
            "output spikes"
        };
        vec![format!(
            "num_steps is {num_steps}; expected at least {least}, or another order of events: {what} do not \
             depend on the input, since a layer that fires before it integrates (FireThenIntegrate, the \
             default) fires one step after its cause"
        )]
    }

    /// Number of trained values. [Fixed](NetworkBuilder::fixed) ones do not count.
    pub fn num_parameters(&self) -> usize {
        let (mut parameters, fixed) = (self.parameters(), self.fixed());
        parameters.retain(|(name, _)| !fixed.contains(name));
        let mut count: usize = parameters.iter().map(|(_, values)| values.len()).sum();
        for layer in &self.layers {
            if layer.without_diagonal() && layer.synapses.recurrence.is_some_and(|r| r.learn) {
                count -= layer.neurons();
            }
        }
        count
    }

    /// Whether an entry of a tensor is not trained.
    pub(crate) fn is_fixed(&self, name: &str, index: &[usize]) -> bool {
        let mut layers = (1..).zip(&self.layers);
        layers.any(|(k, layer)| {
            let diagonal = layer.without_diagonal() && matches!(index, [n, m] if n == m);
            diagonal && tensors::recurrent_weight(k) == name
                || layer.fixed(k).iter().any(|fixed| fixed == name)
        })
    }

    /// The names of the tensors that are not trained.
    pub(crate) fn fixed(&self) -> Vec<String> {
        let layers = self.layers.iter().zip(1..);
        layers.flat_map(|(layer, k)| layer.fixed(k)).collect()
    }

    /// Every tensor with its name, from the first layer up: those that are trained, and the fixed weights.
    ///
    /// # Shapes
    /// `fcK.weight [out, in]`, `fcK.bias [out]`; in a recurrent layer `lifK.recurrent.weight [out, out]`
    /// and `lifK.recurrent.bias [out]`, or `lifK.recurrent.V [out]`; if learned, `lifK.beta`,
    /// `lifK.threshold` and other constants, each `[1]` or `[out]`.
    pub fn parameters(&self) -> Vec<(String, ArrayViewD<'_, F>)> {
        let layers = self.layers.iter().zip(1..);
        let named = layers.map(|(layer, k)| {
            let tensors = layer.tensors();
            tensors.named(k, ArrayView::into_dyn, ArrayView::into_dyn)
        });
        named.flatten().collect()
    }

    /// The same tensors as [`parameters`](Self::parameters), mutable. Values are not checked;
    /// engines report a NaN when it reaches the loss.
    pub fn parameters_mut(&mut self) -> Vec<(String, ArrayViewMutD<'_, F>)> {
        let layers = self.layers.iter_mut().zip(1..);
        let named = layers.map(|(layer, k)| {
            let tensors = layer.tensors_mut();
            tensors.named(k, ArrayViewMut::into_dyn, ArrayViewMut::into_dyn)
        });
        named.flatten().collect()
    }

    /// Replaces one tensor by name.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for an unknown name, a decay outside `[0, 1]` or a threshold
    /// below 1e-6, or a neuron's weight to itself where there is none; [`Error::Shape`] for a wrong shape;
    /// [`Error::NonFinite`] for NaN or infinity.
    pub fn set_parameter(&mut self, name: &str, values: ArrayViewD<'_, F>) -> Result<()> {
        let range = self.range(name);
        let layers = (1..).zip(&self.layers);
        let mut without = layers.filter(|(_, layer)| layer.without_diagonal());
        let without_diagonal = without.any(|(k, _)| tensors::recurrent_weight(k) == name);
        let mut tensors = self.parameters_mut();
        let Some((_, tensor)) = tensors.iter_mut().find(|(known, _)| known == name) else {
            let known: Vec<String> = tensors.into_iter().map(|(known, _)| known).collect();
            return Err(Error::parameter(
                "parameter name",
                name,
                format!("one of {}", known.join(", ")),
            ));
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
        if without_diagonal {
            check_diagonal(name, values.view())?;
        }
        tensor.assign(&values);
        Ok(())
    }

    /// The range of a constant by the name of its tensor.
    pub(crate) fn range(&self, name: &str) -> Option<(F, F)> {
        let layers = self.layers.iter().zip(1..);
        let mut constants = layers.flat_map(|(layer, k)| layer.learnt().map(move |(c, _)| (k, c)));
        let (_, constant) =
            constants.find(|&(k, constant)| tensors::constant(k, constant) == name)?;
        Some(constant.range::<F>().into_inner())
    }

    /// The same network in another precision.
    pub fn cast<G: Float>(&self) -> Network<G> {
        let to = |x: &F| G::from_f64(x.as_f64());
        let recurrent = |r: &Recurrent<_, _>| {
            r.as_ref()
                .map(|m: &Array2<F>| m.map(to), |v: &Array1<F>| v.map(to))
        };
        let layers = self.layers.iter().map(|layer| Layer {
            weight: layer.weight.map(to),
            bias: layer.bias.map(to),
            recurrent: layer.recurrent.as_ref().map(recurrent),
            synapses: layer.synapses,
            constants: layer.constants.iter().map(|c| c.map(to)).collect(),
            neuron: layer.neuron.clone(),
        });
        Network {
            layers: layers.collect(),
        }
    }

    /// Checks that the layers have the sizes and the neurons of another network's; values, and what training
    /// drops, may differ.
    pub(crate) fn check_structure(&self, expected: &Network<F>) -> Result<()> {
        if self.sizes() != expected.sizes() {
            let sizes = format!("{:?}, as the engine's", expected.sizes());
            return Err(Error::shape("network", sizes, &self.sizes()));
        }
        for (k, (own, other)) in (1..).zip(self.layers.iter().zip(&expected.layers)) {
            if !own.neuron.is_like(&other.neuron) {
                let (what, found) = (format!("neurons of layer {k}"), own.neuron.summary());
                return Err(Error::parameter(what, found, other.neuron.summary()));
            }
            if !own.synapses.connect_as(other.synapses) {
                let what = format!("synapses of layer {k}");
                return Err(Error::parameter(
                    what,
                    own.synapses,
                    other.synapses.to_string(),
                ));
            }
        }
        Ok(())
    }

    /// Reports NaN or infinity in any parameter by name, with `when` appended.
    pub(crate) fn check_finite(&self, when: &str) -> Result<()> {
        self.parameters()
            .iter()
            .try_for_each(|(name, v)| check_finite(&format!("{name}{when}"), v.iter()))
    }

    /// Clamps learned constants to their ranges.
    pub(crate) fn clamp(&mut self) {
        for (constant, values) in self.layers.iter_mut().flat_map(Layer::learnt_mut) {
            values.mapv_inplace(|x| constant.clamp(x));
        }
    }

    /// Checks the ranges of the constants, and that a diagonal of recurrent weights is 0 where there is none.
    #[cfg(feature = "safetensors")]
    pub(crate) fn check_constants(&self) -> Result<()> {
        for (layer, k) in self.layers.iter().zip(1..) {
            if layer.without_diagonal()
                && let Some(Recurrent::AllToAll { weight, .. }) = &layer.recurrent
            {
                check_diagonal(&tensors::recurrent_weight(k), weight.view().into_dyn())?;
            }
            for (constant, values) in layer.neuron.constants().iter().zip(&layer.constants) {
                let range = constant.range::<F>();
                if let Some(bad) = values.iter().find(|x| !range.contains(*x)) {
                    let name = tensors::constant(k, *constant);
                    return Err(Error::parameter(name, bad, constant.expected));
                }
            }
        }
        Ok(())
    }
}

/// Checks that the diagonal of a matrix is 0.
fn check_diagonal<F: Float>(name: &str, matrix: ArrayViewD<'_, F>) -> Result<()> {
    match matrix.diag().iter().position(|x| *x != F::zero()) {
        None => Ok(()),
        Some(n) => {
            let found = matrix.diag()[n];
            let expected = "0: neurons are not connected to themselves";
            Err(Error::parameter(
                format!("{name}[{n}, {n}]"),
                found,
                expected,
            ))
        }
    }
}

/// Layers whose spikes come one step after their cause.
fn late<F: Float>(layers: &[Layer<F>]) -> usize {
    let late = |layer: &&Layer<F>| layer.neuron.run().spikes_first();
    layers.iter().filter(late).count()
}
