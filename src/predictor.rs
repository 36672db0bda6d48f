//! A network that only answers, for many callers at once.

use std::{fmt, sync::Arc};

use ndarray::ArrayViewMut2;

#[cfg(doc)]
use crate::Error;
use crate::{
    Engine, Input, Network, ReadOut, Record, Recording, Result,
    engine::{Inference, check_classes, check_scores},
};

/// Runs a network forward by `&self`, on the CPU: one handle, or clones of it, serves any number of
/// threads. Clones share the weights.
///
/// Its answers have the bits of the [`CpuEngine`](crate::CpuEngine)'s, and it is as fast. An
/// [`Engine`] trains, so its methods take `&mut self`, and to share one takes a mutex; a predictor holds
/// no lock while it computes, and so can be asked from rayon tasks, plain threads and async runtimes
/// alike. It keeps the weights that it was made from: make a new one after further training.
///
/// # Memory
/// A call takes the memory that its thread left at an earlier call. [`classify`](Self::classify) and
/// [`scores`](Self::scores) allocate at the first call of a thread, and later only for an input that is
/// larger or less sparse than those before. (More than 64 threads share what there is; a batch of more than
/// four rows is shared out over the thread pool, which keeps books of its own.)
///
/// # Async runtimes
/// A call computes until it returns: microseconds for one image, longer for a batch. Where that is too
/// long for the runtime's own threads, move a clone into its blocking pool (`spawn_blocking`, say).
///
/// ```
/// use ndarray::Array2;
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
    /// A predictor with the network's parameters as they are now.
    pub fn new(network: &Network) -> Self {
        Self::on(network.clone(), Inference::new(network))
    }

    /// The same on an instruction set by its name, as
    /// [`CpuEngine::with_instruction_set`](crate::CpuEngine::with_instruction_set).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] where this machine does not have it.
    pub fn with_instruction_set(network: &Network, name: &str) -> Result<Self> {
        let inference = Inference::with_instruction_set(network, name)?;
        Ok(Self::on(network.clone(), inference))
    }

    /// A predictor with an engine's parameters as they are now; `&mut *engine` for a boxed one.
    ///
    /// # Errors
    /// [`Error::Device`] where they cannot be brought back from the device.
    pub fn from_engine(engine: &mut (impl Engine + ?Sized)) -> Result<Self> {
        let network = engine.to_network()?;
        let inference = Inference::new(&network);
        Ok(Self::on(network, inference))
    }

    fn on(network: Network, inference: Inference) -> Self {
        Predictor(Arc::new(Shared { network, inference }))
    }

    /// The network that answers.
    pub fn network(&self) -> &Network {
        &self.0.network
    }

    /// Runs the network over an input `[B, N]` or `[T, B, N]`, and keeps spikes and membranes
    /// `[T, B, N]` of the layers asked for.
    ///
    /// # Errors
    /// [`Error::Shape`], [`Error::InvalidParameter`] or [`Error::NonFinite`] for an input that does
    /// not fit.
    pub fn forward(&self, input: Input<'_>, record: &Record) -> Result<Recording> {
        let Shared { network, inference } = &*self.0;
        input.check_shape(network)?;
        record.check(network.layers().len())?;
        record.check_memory(network, input)?;
        finite(input, inference.record(input, record))
    }

    /// Each sample's class by a read-out; `classes` has room for one each.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::Shape`] for another number of `classes`. Some of them
    /// may have been written then.
    pub fn classify(
        &self,
        input: Input<'_>,
        read_out: ReadOut,
        classes: &mut [usize],
    ) -> Result<()> {
        let Shared { network, inference } = &*self.0;
        input.check_shape(network)?;
        check_classes(input, classes)?;
        finite(input, inference.classify(input, read_out, classes))
    }

    /// Each sample's scores by a read-out, `[B, N]`, for the `N` neurons of the last layer: the number of
    /// their spikes, or their membrane summed over time. [`classify`](Self::classify) gives the class of
    /// the largest.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and [`Error::Shape`] for `scores` of another shape. Some of them
    /// may have been written then.
    pub fn scores(
        &self,
        input: Input<'_>,
        read_out: ReadOut,
        scores: ArrayViewMut2<'_, f32>,
    ) -> Result<()> {
        let Shared { network, inference } = &*self.0;
        input.check_shape(network)?;
        check_scores(input, network.outputs(), &scores)?;
        finite(input, inference.scores(input, read_out, scores))
    }
}

impl fmt::Debug for Predictor {
    /// Its layers' widths and its instruction set; not the weights.
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

/// What has been made of an input, or why it has not.
fn finite<T>(input: Input<'_>, made: Option<T>) -> Result<T> {
    made.ok_or_else(|| input.not_finite())
}
