//! The synapses of a layer: how its neurons are connected to the layer below and to each other.
//!
//! With `W` the weights from below, `b` biases, `V` the recurrent weights and `c` the biases that come
//! with them (snnTorch's recurrence is an `nn.Linear`, which has some), a layer's current is
//!
//! ```text
//! all to all   I_t = W s_t^below + b + V s_{t−1} + c
//! one to one   I_t = W s_t^below + b + v ⊙ s_{t−1}
//! ```
//!
//! where `s_{−1} = 0`, or the spikes of a given [`State`](crate::State). [The chapter on
//! recurrence](crate::docs::recurrence) derives the adjoint.

use std::fmt;

/// How the neurons of a layer are connected; see [`NetworkBuilder`](crate::NetworkBuilder).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Synapses {
    /// Whether there are biases `b`; true by default.
    pub bias: bool,
    /// Whether the weights from below, and their biases, are trained; true by default. Fixed tensors
    /// have gradients of 0.
    pub learn: bool,
    /// The connections within the layer; none by default.
    pub recurrence: Option<Recurrence>,
    /// Which inputs a training batch does without; none by default.
    pub dropout: Option<Dropout>,
}

impl Default for Synapses {
    fn default() -> Self {
        Synapses {
            bias: true,
            learn: true,
            recurrence: None,
            dropout: None,
        }
    }
}

impl Synapses {
    /// Whether the connections are the same: dropout is a matter of training alone.
    pub(crate) fn connect_as(self, other: Synapses) -> bool {
        let dropout = self.dropout;
        self == Synapses { dropout, ..other }
    }
}

/// Dropout of a layer's inputs: while it is trained, each input from below is missing from a sample with
/// probability [`rate`](Self::rate), at all steps alike, and the others count `1/(1 − rate)` times as much.
///
/// [`train_step`](crate::Engine::train_step), [`accumulate`](crate::Engine::accumulate) and
/// [`gradients`](crate::Engine::gradients) drop inputs; [`forward`](crate::Engine::forward),
/// [`evaluate`](crate::Engine::evaluate) and predictions do not. What is missing depends on the seed, the
/// layer, the number of updates before, the number of batches accumulated since, and the sample's place in
/// its batch alone: it is the same on any number of threads, on every machine and in a resumed run.
///
/// Dropout of the first layer is that of the network's input. Recurrent spikes are not dropped. A window of
/// [truncated backpropagation](crate::docs::truncation) is a batch of its own.
///
/// ```
/// use spikegrad::{Leaky, Network};
///
/// let network: Network = Network::builder(4)
///     .layer(16, Leaky::new(0.9))
///     .layer(2, Leaky::new(0.9))
///     .dropout(0.3) // of the 16 neurons' spikes
///     .build()?;
/// assert_eq!(network.layers()[1].synapses().dropout.unwrap().rate, 0.3);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Dropout {
    /// The probability that an input is missing, at least 0 and less than 1.
    pub rate: f64,
    /// The seed of the masks: that of the network's builder.
    pub seed: u64,
}

/// The connections within a layer: from the spikes of one step to the currents of the next.
///
/// ```
/// use spikegrad::{Leaky, Network, Recurrence};
///
/// let network: Network = Network::builder(4)
///     .layer(8, Leaky::new(0.9))
///     .recurrent(Recurrence::all_to_all().bias(false))
///     .layer(2, Leaky::new(0.9))
///     .build()?;
/// let names: Vec<String> = network.parameters().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["fc1.weight", "fc1.bias", "lif1.recurrent.weight", "fc2.weight", "fc2.bias"]);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recurrence {
    /// Which neurons are connected.
    pub pattern: Pattern,
    /// Whether there are biases `c`, as snnTorch's `nn.Linear` has them. True by default for all to all,
    /// always false for one to one.
    pub bias: bool,
    /// Whether the weights, and their biases, are trained; true by default.
    pub learn: bool,
}

/// Which neurons of a layer are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pattern {
    /// Every neuron to every neuron; `V` is `[N, N]`, row `n` the weights to neuron `n`.
    AllToAll {
        /// Whether a neuron is connected to itself. If not, the diagonal of `V` is and stays 0.
        diagonal: bool,
    },
    /// Every neuron to itself; `v` is `[N]`.
    OneToOne,
}

impl Recurrence {
    /// Every neuron to every neuron, itself included, with biases: snnTorch's default,
    /// `RLeaky(all_to_all=True)`.
    pub fn all_to_all() -> Self {
        Recurrence {
            pattern: Pattern::AllToAll { diagonal: true },
            bias: true,
            learn: true,
        }
    }

    /// Every neuron to itself: snnTorch's `RLeaky(all_to_all=False)`.
    pub fn one_to_one() -> Self {
        Recurrence {
            pattern: Pattern::OneToOne,
            bias: false,
            learn: true,
        }
    }

    /// Sets whether there are biases. One to one has none, whatever is set.
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias && self.pattern != Pattern::OneToOne;
        self
    }

    /// Sets whether a neuron is connected to itself. One to one always is.
    pub fn diagonal(mut self, diagonal: bool) -> Self {
        if let Pattern::AllToAll { .. } = self.pattern {
            self.pattern = Pattern::AllToAll { diagonal };
        }
        self
    }

    /// Sets whether the weights, and their biases, are trained.
    pub fn learn(mut self, learn: bool) -> Self {
        self.learn = learn;
        self
    }

    /// Whether the diagonal of `V` is and stays 0.
    pub(crate) fn without_diagonal(self) -> bool {
        self.pattern == Pattern::AllToAll { diagonal: false }
    }
}

/// For messages: `with biases, all to all without the diagonal`.
impl fmt::Display for Synapses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |there: bool| if there { "with" } else { "without" };
        write!(f, "{} biases", with(self.bias))?;
        if !self.learn {
            f.write_str(", fixed")?;
        }
        if let Some(Dropout { rate, seed }) = self.dropout {
            write!(f, ", dropout {rate:?} of seed {seed}")?;
        }
        let Some(recurrence) = self.recurrence else {
            return Ok(());
        };
        match recurrence.pattern {
            Pattern::AllToAll { diagonal } => {
                let (diagonal, bias) = (with(diagonal), with(recurrence.bias));
                write!(
                    f,
                    "; recurrent, all to all {diagonal} the diagonal and {bias} biases"
                )?;
            }
            Pattern::OneToOne => f.write_str("; recurrent, one to one")?,
        }
        match recurrence.learn {
            true => Ok(()),
            false => f.write_str(", fixed"),
        }
    }
}
