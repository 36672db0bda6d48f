//! Inference from many threads at once.

use std::{fmt, sync::Arc};

use ndarray::ArrayViewMut2;

#[cfg(doc)]
use crate::Error;
use crate::{
    Engine, Input, Network, ReadOut, Record, Recording, Result, State,
    engine::{Inference, check_classes, check_scores},
};

/// Runs a network forward through `&self`, on the CPU. One predictor, or clones of it, can serve
/// any number of threads. Clones share the weights.
///
/// Results and speed equal those of the [`CpuEngine`](crate::CpuEngine), bit for bit. The methods
/// of an [`Engine`] take `&mut self`, so sharing an engine requires a mutex. A predictor holds no
/// lock while it computes, so rayon tasks, plain threads and async runtimes can call it. It keeps
/// the weights it was created with: create a new one after further training.
///
/// # Memory
/// Calls reuse the memory of earlier calls from the same thread. [`classify`](Self::classify) and
/// [`scores`](Self::scores) allocate at a thread's first call, and later only for an input that is
/// larger or less sparse than before. (More than 64 threads share memory; a batch of more than four
/// rows is distributed over the thread pool, which allocates for itself.)
///
/// # Async runtimes
/// A call blocks while it computes: microseconds for one image, longer for a batch. If that is too
/// long for the runtime's threads, move a clone into its blocking pool (for example with
/// `spawn_blocking`).
///
/// ```
/// use spikegrad::ndarray::Array2;
/// use spikegrad::{Input, Leaky, Network, Predictor, ReadOut};
///
/// let network: Network = Network::builder(4)
///     .layer(16, Leaky::new(0.95))
///     .layer(2, Leaky::new(0.95))
///     .build()?;
/// let predictor = Predictor::new(&network);
/// let answers: Vec<usize> = std::thread::scope(|scope| {
///     let ask = |pixel: f32| {
///         let x = Array2::from_elem((1, 4), pixel);
///         let mut class = [0];
///         predictor.classify(Input::constant(x.view(), 10), ReadOut::Membrane, &mut class)?;
///         Ok::<usize, spikegrad::Error>(class[0])
///     };
///     let threads = [0.1, 0.5, 0.9].map(|pixel| scope.spawn(move || ask(pixel)));
///     let answers = threads.into_iter().map(|thread| thread.join().expect("no panic"));
///     answers.collect::<Result<_, _>>()
/// })?;
/// assert!(answers.iter().all(|&class| class < 2));
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Predictor(Arc<Shared>);

struct Shared {
    network: Network,
    inference: Inference,
}

impl Predictor {
    /// A predictor with the network's current parameters.
    pub fn new(network: &Network) -> Self {
        Self::on(network.clone(), Inference::new(network))
    }

    /// The same with a named instruction set, as
    /// [`CpuEngine::with_instruction_set`](crate::CpuEngine::with_instruction_set).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the machine does not support it.
    pub fn with_instruction_set(network: &Network, name: &str) -> Result<Self> {
        let inference = Inference::with_instruction_set(network, name)?;
        Ok(Self::on(network.clone(), inference))
    }

    /// A predictor with an engine's current parameters. Pass `&mut *engine` for a boxed engine.
    ///
    /// # Errors
    /// [`Error::Device`] if they cannot be copied back from the device.
    pub fn from_engine(engine: &mut (impl Engine + ?Sized)) -> Result<Self> {
        let network = engine.to_network()?;
        let inference = Inference::new(&network);
        Ok(Self::on(network, inference))
    }

    fn on(network: Network, inference: Inference) -> Self {
        Predictor(Arc::new(Shared { network, inference }))
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// Runs the network on an input `[B, N]` or `[T, B, N]` and records spikes and membranes `[T,
    /// B, N]` of the requested layers.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::InvalidParameter`] or [`Error::NonFinite`] for an invalid input.
    pub fn forward(&self, input: Input<'_>, record: &Record) -> Result<Recording> {
        let Shared { network, inference } = &*self.0;
        input.check_shape(network)?;
        record.check_for(network, input)?;
        match State::initial(network, input.batch()) {
            None => input.finite(inference.record(input, record, None)),
            Some(mut state) => self.forward_from(&mut state, input, record),
        }
    }

    /// [`forward`](Self::forward) from a state, which it replaces by the state after the last step: a long
    /// input in pieces, or step by step as it arrives, with the bits of the whole ([`State`]).
    ///
    /// # Errors
    /// As [`forward`](Self::forward); [`Error::Shape`] or [`Error::NonFinite`] for a state of other
    /// shapes. On error the state stays as it was.
    pub fn forward_from(
        &self,
        state: &mut State,
        input: Input<'_>,
        record: &Record,
    ) -> Result<Recording> {
        let Shared { network, inference } = &*self.0;
        input.check_shape(network)?;
        record.check_for(network, input)?;
        state.check(network, input.batch())?;
        state.carried(|carry| input.finite(inference.record(input, record, Some(carry))))
    }

    /// Writes each sample's class by a read-out to `classes`, one per sample.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::Shape`] for a wrong number of `classes`. On
    /// error, some may already be written.
    pub fn classify(
        &self,
        input: Input<'_>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        let Shared { network, inference } = &*self.0;
        input.check_shape(network)?;
        check_classes(input, classes)?;
        if network.begins_at_zero() {
            return input.finite(inference.classify(input, read_out, classes));
        }
        let found = self.forward(input, &Record::Output)?.classify(read_out);
        classes.copy_from_slice(&found);
        Ok(())
    }

    /// Writes each sample's scores by a read-out, `[B, N]`, for the `N` neurons of the last layer:
    /// their spike counts, or their membranes summed over time. [`classify`](Self::classify)
    /// returns the class with the largest score.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::Shape`] for `scores` of the wrong shape. On
    /// error, some may already be written.
    pub fn scores(
        &self,
        input: Input<'_>,
        read_out: ReadOut,
        mut scores: ArrayViewMut2<'_, f32>,
    ) -> Result<()> {
        let Shared { network, inference } = &*self.0;
        input.check_shape(network)?;
        check_scores(input, network.outputs(), &scores)?;
        if network.begins_at_zero() {
            return input.finite(inference.scores(input, read_out, scores));
        }
        let found = self.forward(input, &Record::Output)?.scores(read_out);
        scores.assign(&found);
        Ok(())
    }
}

impl fmt::Debug for Predictor {
    /// Shows layer widths and instruction set, without the weights.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shared { network, inference } = &*self.0;
        let neurons = network.layers().iter().map(|layer| layer.neurons());
        let widths: Vec<usize> = std::iter::once(network.inputs()).chain(neurons).collect();
        f.debug_struct("Predictor")
            .field("widths", &widths)
            .field("instruction_set", &inference.instruction_set())
            .finish()
    }
}
