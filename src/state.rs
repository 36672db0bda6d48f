//! The state of a network between two steps.

use ndarray::{Array2, ArrayViewMut2, Axis};

use crate::{Error, Float, Layer, Network, Result, finite::all_finite, memory};

/// The state of every neuron of a network, for a batch of samples, between two steps: what one step
/// passes to the next. A long input can be run in pieces, each from the state that the piece before
/// it left:
///
/// ```
/// use ndarray::{Array3, Axis};
/// use spikegrad::{Input, Leaky, Network, Predictor, Record, State};
///
/// let network: Network = Network::builder(4)
///     .layer(16, Leaky::new(0.95))
///     .layer(2, Leaky::new(0.95))
///     .build()?;
/// let predictor = Predictor::new(&network);
/// let x = Array3::from_shape_fn((30, 1, 4), |(t, _, n)| ((t + n) % 3) as f32);
/// let whole = predictor.forward(Input::sequence(x.view()), &Record::Output)?;
///
/// let mut state = State::rest(&network, 1)?;
/// for (t, x) in x.outer_iter().enumerate() {
///     // One step, as it arrives.
///     let step = predictor.forward_from(&mut state, Input::constant(x, 1), &Record::Output)?;
///     let (found, expected) = (&step.output().mem, &whole.output().mem);
///     assert_eq!(found.index_axis(Axis(0), 0), expected.index_axis(Axis(0), t));
/// }
/// # Ok::<(), spikegrad::Error>(())
/// ```
///
/// [`Engine::forward_from`](crate::Engine::forward_from) and
/// [`Engine::train_step_from`](crate::Engine::train_step_from) do the same in an engine. Training from a
/// state is truncated backpropagation through time: see [the chapter](crate::docs::truncation).
#[derive(Debug, Clone, PartialEq)]
pub struct State<F: Float = f32> {
    /// Of each layer, `[B, N]` for each number of its neurons' state.
    pub(crate) layers: Vec<Vec<Array2<F>>>,
}

impl<F: Float> State<F> {
    /// The state before the first step, of `batch` samples: all numbers are 0, but for the layers' [initial
    /// membranes](crate::NetworkBuilder::initial_membrane).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if `batch` is 0; [`Error::OutOfMemory`] if it does not fit into memory.
    pub fn rest(network: &Network<F>, batch: usize) -> Result<Self> {
        if batch == 0 {
            return Err(Error::parameter("batch size of a state", 0, "at least 1"));
        }
        let shapes = network.layers().iter();
        let shapes = shapes.map(|layer| [1, layer.states(), batch, layer.neurons()]);
        memory::check::<F>(&format!("state of B = {batch} samples"), shapes)?;
        Ok(Self::at_rest(network, batch))
    }

    /// A state of these numbers, as [`layer`](Self::layer) returns them: for each layer, `[B, N]` for each
    /// number of its neurons' state. A pass from it checks that they fit the network and are finite.
    pub fn from_layers(layers: Vec<Vec<Array2<F>>>) -> Self {
        State { layers }
    }

    /// [`rest`](Self::rest) for a batch whose traces fit into memory.
    pub(crate) fn at_rest(network: &Network<F>, batch: usize) -> Self {
        let layers = network.layers().iter();
        State {
            layers: layers.map(|layer| layer.start(batch)).collect(),
        }
    }

    /// [`at_rest`](Self::at_rest), if any number of it is not 0: where a pass has to begin that is given no
    /// state.
    pub(crate) fn initial(network: &Network<F>, batch: usize) -> Option<Self> {
        (!network.begins_at_zero()).then(|| Self::at_rest(network, batch))
    }

    /// Number of samples.
    pub fn batch(&self) -> usize {
        let first = self.layers.first().and_then(|layer| layer.first());
        first.map_or(0, |numbers| numbers.nrows())
    }

    /// Number of layers.
    pub fn num_layers(&self) -> usize {
        self.layers.len()
    }

    /// The numbers of layer `layer`, from 1, in the order of [`Neuron::State`](crate::neuron::Neuron::State),
    /// `[B, N]` each: of [`Leaky`](crate::Leaky) the membrane, of [`Synaptic`](crate::Synaptic) the
    /// membrane and the synaptic current. In a [recurrent](crate::synapses) layer the spikes of the last step,
    /// 0 or 1, follow.
    pub fn layer(&self, layer: usize) -> Option<&[Array2<F>]> {
        self.layers
            .get(layer.checked_sub(1)?)
            .map(|numbers| &numbers[..])
    }

    /// [`layer`](Self::layer), to be changed: to begin elsewhere than at rest.
    pub fn layer_mut(&mut self, layer: usize) -> Option<Vec<ArrayViewMut2<'_, F>>> {
        let numbers = self.layers.get_mut(layer.checked_sub(1)?)?;
        Some(
            numbers
                .iter_mut()
                .map(|numbers| numbers.view_mut())
                .collect(),
        )
    }

    /// Puts sample `sample` at [rest](Self::rest), where its stream ends and another begins. The network may be
    /// in another precision.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if there is no such sample; [`Error::Shape`] if the network has other layers.
    pub fn reset<G: Float>(&mut self, network: &Network<G>, sample: usize) -> Result<()> {
        let batch = self.batch();
        if sample >= batch {
            let expected = format!("less than {batch}, the number of samples");
            return Err(Error::parameter("sample of a state", sample, expected));
        }
        let layers = network.layers();
        let shapes = |numbers: &[Array2<F>]| (numbers.len(), numbers.first().map(Array2::ncols));
        let own = self.layers.iter().map(|numbers| shapes(numbers));
        if !own.eq(layers
            .iter()
            .map(|layer| (layer.states(), Some(layer.neurons()))))
        {
            let sizes = self.layers.iter().filter_map(|numbers| shapes(numbers).1);
            let expected = format!("{:?}, the layers of the network", &network.sizes()[1..]);
            return Err(Error::shape("state", expected, &sizes.collect::<Vec<_>>()));
        }
        for (numbers, layer) in self.layers.iter_mut().zip(layers) {
            let membrane = layer.neuron.run().membrane();
            for (i, numbers) in numbers.iter_mut().enumerate() {
                for (n, to) in numbers.row_mut(sample).iter_mut().enumerate() {
                    *to = match i == membrane {
                        true => F::from_f64(layer.neuron.start_of(n)),
                        false => F::zero(),
                    };
                }
            }
        }
        Ok(())
    }

    /// Runs a pass from this state to the state after it. If it fails, the state stays.
    pub(crate) fn carried<R>(&mut self, pass: impl FnOnce(Carry<'_, F>) -> Result<R>) -> Result<R> {
        let mut end = self.clone();
        let done = pass(Carry {
            start: self,
            end: &mut end,
        })?;
        *self = end;
        Ok(done)
    }

    /// Sample `b`, which must exist, as a batch of one.
    pub(crate) fn sample(&self, b: usize) -> Self {
        let of = |numbers: &Array2<F>| numbers.select(Axis(0), &[b]);
        State {
            layers: self
                .layers
                .iter()
                .map(|layer| layer.iter().map(of).collect())
                .collect(),
        }
    }

    /// Some samples, which must exist, as a batch of their own.
    #[cfg(feature = "mpi")]
    pub(crate) fn rows(&self, rows: std::ops::Range<usize>) -> Self {
        let of = |numbers: &Array2<F>| numbers.slice(ndarray::s![rows.clone(), ..]).to_owned();
        let layers = self.layers.iter();
        State {
            layers: layers.map(|layer| layer.iter().map(of).collect()).collect(),
        }
    }

    /// Replaces the samples that [`rows`](Self::rows) has copied.
    #[cfg(feature = "mpi")]
    pub(crate) fn set_rows(&mut self, rows: std::ops::Range<usize>, from: &Self) {
        let own = self.layers.iter_mut().flatten();
        for (to, from) in own.zip(from.layers.iter().flatten()) {
            to.slice_mut(ndarray::s![rows.clone(), ..]).assign(from);
        }
    }

    /// Checks that this is a finite state of a batch of a network of these shapes.
    pub(crate) fn check(&self, network: &Network<F>, batch: usize) -> Result<()> {
        let layers = network.layers();
        if self.layers.len() != layers.len() {
            let expected = format!("[{}], one per layer of the network", layers.len());
            return Err(Error::shape("state", expected, &[self.layers.len()]));
        }
        for (k, (numbers, layer)) in self.layers.iter().zip(layers).enumerate() {
            self.check_layer(k, numbers, layer, batch)?;
        }
        Ok(())
    }

    fn check_layer(
        &self,
        k: usize,
        numbers: &[Array2<F>],
        layer: &Layer<F>,
        batch: usize,
    ) -> Result<()> {
        let what = format!("state of layer {}", k + 1);
        if numbers.len() != layer.states() {
            let expected = format!("[{}], the numbers of its neurons' state", layer.states());
            return Err(Error::shape(what, expected, &[numbers.len()]));
        }
        for (i, numbers) in numbers.iter().enumerate() {
            if numbers.dim() != (batch, layer.neurons()) {
                let expected = format!("[{batch}, {}], samples and neurons", layer.neurons());
                return Err(Error::shape(what, expected, numbers.shape()));
            }
            let spikes = layer.recurrent.is_some() && i + 1 == layer.states();
            let zero_or_one = |x: &F| *x == F::zero() || *x == F::one();
            if spikes
                && !numbers.iter().fold(true, |good, x| good & zero_or_one(x))
                && let Some(((b, n), found)) = numbers.indexed_iter().find(|(_, x)| !zero_or_one(x))
            {
                let name = format!("spike of sample {b}, neuron {n} in the {what}");
                return Err(Error::parameter(name, found, "0 or 1"));
            }
            if all_finite(numbers.iter()) {
                continue;
            }
            if let Some(((b, n), value)) = numbers.indexed_iter().find(|(_, x)| !x.is_finite()) {
                return Err(Error::NonFinite {
                    what: format!("number {i} of the {what}"),
                    value: value.to_string(),
                    position: format!("sample {b}, neuron {n}"),
                });
            }
        }
        Ok(())
    }
}

/// The state that a pass begins with, and where it leaves the state that it ends with.
pub(crate) struct Carry<'a, F: Float = f32> {
    pub start: &'a State<F>,
    /// A copy of `start`, to be overwritten.
    pub end: &'a mut State<F>,
}

impl<F: Float> Carry<'_, F> {
    pub fn reborrow(&mut self) -> Carry<'_, F> {
        Carry {
            start: self.start,
            end: self.end,
        }
    }
}
