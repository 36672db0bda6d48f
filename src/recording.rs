//! The recording of a forward pass: spikes and membranes of the requested layers at every step.

use ndarray::{Array2, Array3, Axis};

use crate::{
    Error, Float, Input, Layer, Network, Quantity, Result, Targets, memory,
    neuron::rows::{Around, Before, StepMut},
};

/// The layers that [`Engine::forward`](crate::Engine::forward) records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Record {
    /// The last layer only.
    #[default]
    Output,
    /// Every layer.
    All,
    /// The layers with these numbers, from 1 (`fc1` and `lif1` are layer 1), and always the last
    /// layer.
    Layers(Vec<usize>),
}

impl Record {
    /// Checks that the network has these layers, and that the recording can be allocated.
    pub(crate) fn check_for<F: Float>(
        &self,
        network: &Network<F>,
        input: Input<'_, F>,
    ) -> Result<()> {
        self.check(network.layers().len())?;
        self.check_memory(network, input)
    }

    /// Checks that the recording can be allocated: spikes and membranes `[T, B, N]` of each layer,
    /// once while they are computed and once as they are returned.
    pub(crate) fn check_memory<F: Float>(
        &self,
        network: &Network<F>,
        input: Input<'_, F>,
    ) -> Result<()> {
        let layers = network.layers();
        let kept = layers.iter().enumerate();
        let kept = kept.filter(|(k, _)| self.keeps(*k, layers.len()));
        let traces = kept.map(|(_, layer)| [4, input.num_steps(), input.batch(), layer.neurons()]);
        memory::check::<F>("num_steps x batch x neurons", traces)
    }

    /// Checks that a network of `layers` layers has the requested layers.
    pub(crate) fn check(&self, layers: usize) -> Result<()> {
        match self {
            Record::Layers(kept) => match kept.iter().find(|k| !(1..=layers).contains(*k)) {
                Some(k) => {
                    let expected = format!("a layer from 1 to {layers}");
                    Err(Error::parameter("record: layer", k, expected))
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Whether the layer with index `k`, from 0, of `layers` is kept.
    pub(crate) fn keeps(&self, k: usize, layers: usize) -> bool {
        k + 1 == layers
            || match self {
                Record::Output => false,
                Record::All => true,
                Record::Layers(kept) => kept.contains(&(k + 1)),
            }
    }
}

/// One layer's spikes and membranes.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace<F: Float = f32> {
    /// Spikes `s_t`, 0 or 1, `[T, B, N]`.
    pub spk: Array3<F>,
    /// Membranes after the update, `[T, B, N]`.
    pub mem: Array3<F>,
    /// Values of each step that the backward pass needs in addition to the membrane, `[T, B, N]`
    /// each ([`Neuron::Kept`](crate::neuron::Neuron::Kept)).
    pub(crate) kept: Vec<Array3<F>>,
}

impl<F: Float> Trace<F> {
    /// A trace of spikes and membranes, each `[T, B, N]`.
    pub fn new(spk: Array3<F>, mem: Array3<F>) -> Self {
        Trace {
            spk,
            mem,
            kept: Vec::new(),
        }
    }

    /// Allocates a trace for `num_steps` steps of a batch of a layer.
    pub(crate) fn zeros(layer: &Layer<F>, num_steps: usize, batch: usize) -> Self {
        let tensor = || Array3::zeros((num_steps, batch, layer.neurons()));
        Trace {
            spk: tensor(),
            mem: tensor(),
            kept: (0..layer.neuron.run().kept_beside_membrane())
                .map(|_| tensor())
                .collect(),
        }
    }

    /// Destination for step `t`.
    pub(crate) fn step_mut(&mut self, t: usize) -> StepMut<'_, F> {
        let kept = self.kept.iter_mut();
        StepMut {
            spk: self.spk.index_axis_mut(Axis(0), t),
            mem: self.mem.index_axis_mut(Axis(0), t),
            kept: kept.map(|kept| kept.index_axis_mut(Axis(0), t)).collect(),
        }
    }

    /// The values kept of step `t` and of the previous step; before the first, the state `start`.
    pub(crate) fn around<'a>(&'a self, t: usize, start: &'a [Array2<F>]) -> Around<'a, F> {
        let at = |t| {
            let kept = self.kept().iter();
            kept.map(|kept| kept.index_axis(Axis(0), t)).collect()
        };
        Around {
            before: match t.checked_sub(1) {
                Some(before) => Before::Kept(at(before)),
                None => Before::State(start),
            },
            kept: at(t),
        }
    }

    /// The values kept of each step, `[T, B, N]` each.
    pub(crate) fn kept(&self) -> &[Array3<F>] {
        match &self.kept[..] {
            [] => std::slice::from_ref(&self.mem),
            kept => kept,
        }
    }

    /// The shape of each array.
    fn shapes(&self) -> impl Iterator<Item = &[usize]> {
        let arrays = [&self.spk, &self.mem].into_iter().chain(&self.kept);
        arrays.map(|array| array.shape())
    }

    /// The neurons that never fire: those without a spike in any sample at any step, ascending.
    /// Empty if the recording has no samples or steps.
    pub fn silent_neurons(&self) -> Vec<usize> {
        self.neurons_with(0, |spike| spike == F::zero())
    }

    /// The saturated neurons: those with a spike in every sample at every step from the second on,
    /// ascending. (Neurons that fire before they integrate cannot fire at the first step of a pass from rest.) A
    /// recording of one step uses that step. Empty if the recording has no samples or steps.
    pub fn saturated_neurons(&self) -> Vec<usize> {
        let first = usize::from(self.spk.len_of(Axis(0)) > 1);
        self.neurons_with(first, |spike| spike == F::one())
    }

    /// The neurons whose spikes from step `first` on all satisfy `fits`.
    fn neurons_with(&self, first: usize, fits: impl Fn(F) -> bool) -> Vec<usize> {
        if self.spk.is_empty() {
            return Vec::new();
        }
        // Row by row, in memory order.
        let mut all = vec![true; self.spk.len_of(Axis(2))];
        for step in self.spk.outer_iter().skip(first) {
            for row in step.rows() {
                for (all, &spike) in all.iter_mut().zip(row) {
                    *all &= fits(spike);
                }
            }
        }
        let neurons = all.iter().enumerate();
        neurons.filter_map(|(n, &all)| all.then_some(n)).collect()
    }

    /// The firing rate: the fraction of neuron-steps with a spike.
    pub fn firing_rate(&self) -> f64 {
        let spikes = |row: ndarray::ArrayView1<'_, F>| row.sum().as_f64();
        self.spk.rows().into_iter().map(spikes).sum::<f64>() / self.spk.len() as f64
    }
}

/// Spikes and membranes of a network over all steps of one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording<F: Float = f32> {
    pub(crate) layers: Vec<Option<Trace<F>>>,
    pub(crate) output: Trace<F>,
}

impl<F: Float> Recording<F> {
    /// A recording from the traces of the hidden layers (`None` if not recorded) and of the output
    /// layer.
    pub fn new(hidden: Vec<Option<Trace<F>>>, output: Trace<F>) -> Self {
        Recording {
            layers: hidden,
            output,
        }
    }

    /// Number of layers, recorded or not.
    pub fn num_layers(&self) -> usize {
        self.layers.len() + 1
    }

    /// Spikes and membranes of layer `layer`, from 1 (`fc1` and `lif1` are layer 1), if recorded.
    ///
    /// ```
    /// # use spikegrad::{Input, Leaky, Network, engine::reference::forward};
    /// # let network: Network =
    /// #     Network::builder(3).layer(4, Leaky::new(0.9)).layer(2, Leaky::new(0.9)).build()?;
    /// # let x = ndarray::Array2::from_elem((1, 3), 0.7);
    /// let recording = forward(&network, Input::constant(x.view(), 5))?;
    /// assert_eq!(recording.trace(1).map(|hidden| hidden.spk.dim()), Some((5, 1, 4)));
    /// assert_eq!(recording.trace(2), Some(recording.output()));
    /// assert_eq!(recording.trace(3), None);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn trace(&self, layer: usize) -> Option<&Trace<F>> {
        self.layer(layer.checked_sub(1)?)
    }

    /// The layer with index `k`, from 0, if recorded.
    pub(crate) fn layer(&self, k: usize) -> Option<&Trace<F>> {
        if k == self.layers.len() {
            Some(&self.output)
        } else {
            self.layers.get(k)?.as_ref()
        }
    }

    /// The traces of all layers, from the first; `None` for a layer that was not recorded.
    pub fn into_traces(self) -> Vec<Option<Trace<F>>> {
        let mut traces = self.layers;
        traces.push(Some(self.output));
        traces
    }

    /// The last layer, which is always recorded.
    pub fn output(&self) -> &Trace<F> {
        &self.output
    }

    /// Spike count of each output neuron, `[B, N]`.
    pub fn spike_count(&self) -> ndarray::Array2<F> {
        self.output.spk.sum_axis(Axis(0))
    }

    /// What a loss on a quantity compares with values `[B, N]`: the membranes of the last step, the spike
    /// counts, or the firing rates (spikes per step) of the output neurons.
    ///
    /// ```
    /// # use ndarray::{Array2, array};
    /// # use spikegrad::{Input, Leaky, Network, Quantity, engine::reference::forward, metrics::mean_absolute_error};
    /// # let network: Network = Network::builder(3).layer(2, Leaky::new(0.9)).build()?;
    /// # let x = Array2::ones((1, 3));
    /// let recording = forward(&network, Input::constant(x.view(), 8))?;
    /// let rates = recording.values(Quantity::SpikeRate);
    /// let error = mean_absolute_error(rates.view(), array![[0.25, 0.5]].view())?;
    /// assert!(error < 1.0);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn values(&self, quantity: Quantity) -> Array2<F> {
        let mem = &self.output.mem;
        let steps = mem.len_of(Axis(0));
        match quantity {
            Quantity::Membrane => match steps.checked_sub(1) {
                Some(last) => mem.index_axis(Axis(0), last).to_owned(),
                None => Array2::zeros((mem.len_of(Axis(1)), mem.len_of(Axis(2)))),
            },
            Quantity::SpikeCount => self.spike_count(),
            Quantity::SpikeRate => {
                let per_step = F::from_f64(1.0 / steps as f64);
                self.spike_count().mapv(|count| count * per_step)
            }
        }
    }

    /// Each layer's silent neurons ([`Trace::silent_neurons`]), from the first layer up; `None` for
    /// a layer that was not recorded.
    ///
    /// ```
    /// use ndarray::Array2;
    /// use spikegrad::{Input, Leaky, Network, engine::reference::forward};
    ///
    /// let mut network: Network = Network::builder(1).layer(3, Leaky::new(0.5)).build()?;
    /// network.set_parameter("fc1.weight", ndarray::array![[9.0], [1.0], [0.1]].view().into_dyn())?;
    /// network.set_parameter("fc1.bias", ndarray::array![0.0, 0.0, 0.0].view().into_dyn())?;
    /// let x = Array2::ones((1, 1));
    /// let recording = forward(&network, Input::constant(x.view(), 8))?;
    /// assert_eq!(recording.silent_neurons(), [Some(vec![2])]);
    /// assert_eq!(recording.saturated_neurons(), [Some(vec![0])]);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn silent_neurons(&self) -> Vec<Option<Vec<usize>>> {
        let layers = (0..self.num_layers()).map(|k| self.layer(k));
        layers.map(|t| t.map(Trace::silent_neurons)).collect()
    }

    /// Each layer's saturated neurons ([`Trace::saturated_neurons`]), from the first layer up;
    /// `None` for a layer that was not recorded.
    pub fn saturated_neurons(&self) -> Vec<Option<Vec<usize>>> {
        let layers = (0..self.num_layers()).map(|k| self.layer(k));
        layers.map(|t| t.map(Trace::saturated_neurons)).collect()
    }

    /// The traces of all layers, if all are recorded and match the network and the input.
    pub(crate) fn traces_of(
        &self,
        network: &Network<F>,
        input: Input<'_, F>,
    ) -> Result<Vec<&Trace<F>>> {
        let layers = network.layers();
        if self.num_layers() != layers.len() {
            let expected = format!("[{}], one per layer", layers.len());
            return Err(Error::shape("recording", expected, &[self.num_layers()]));
        }
        let fitting = |(k, layer): (usize, &Layer<F>)| {
            let expected = [input.num_steps(), input.batch(), layer.neurons()];
            let found = match self.layer(k) {
                Some(trace) if trace.kept.len() != layer.neuron.run().kept_beside_membrane() => {
                    let what = format!("membrane before the reset of layer {}", k + 1);
                    let expected = format!("{expected:?}: a recording made by an engine");
                    return Err(Error::shape(what, expected, &[]));
                }
                Some(trace) => match trace.shapes().find(|shape| *shape != expected) {
                    Some(other) => other,
                    None => return Ok(trace),
                },
                None => &[],
            };
            Err(Error::shape(
                format!("recording of layer {}", k + 1),
                format!("{expected:?}"),
                found,
            ))
        };
        layers.iter().enumerate().map(fitting).collect()
    }

    /// Checks that spikes and membranes of each trace have the same shape and are not empty.
    pub(crate) fn check(&self) -> Result<()> {
        for k in 0..self.num_layers() {
            let Some(Trace { spk, mem, .. }) = self.layer(k) else {
                continue;
            };
            if spk.shape() != mem.shape() || spk.is_empty() {
                let expected = format!("{:?}, the shape of its spikes, and not empty", spk.shape());
                let what = format!("membrane of layer {}", k + 1);
                return Err(Error::shape(what, expected, mem.shape()));
            }
        }
        Ok(())
    }

    /// Checks that the targets match the output layer.
    pub(crate) fn check_targets(&self, targets: Targets<'_, F>) -> Result<()> {
        let (steps, batch, classes) = self.output.mem.dim();
        targets.check([steps, batch, classes]).map_err(|mut error| {
            if let Error::Shape { expected, .. } = &mut error {
                let axes = format!("output membranes [T, B, N] = [{steps}, {batch}, {classes}]");
                *expected = format!("{expected} ({axes})");
            }
            error
        })
    }

    /// Drops the layers that `record` does not request.
    pub(crate) fn keep(mut self, record: &Record) -> Self {
        let layers = self.num_layers();
        for (k, layer) in self.layers.iter_mut().enumerate() {
            if !record.keeps(k, layers) {
                *layer = None;
            }
        }
        self
    }
}
