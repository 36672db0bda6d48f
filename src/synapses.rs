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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Synapses {
    /// Whether there are biases `b`; true by default.
    pub bias: bool,
    /// Whether the weights from below, and their biases, are trained; true by default. Fixed tensors
    /// have gradients of 0.
    pub learn: bool,
    /// The connections within the layer; none by default.
    pub recurrence: Option<Recurrence>,
}

impl Default for Synapses {
    fn default() -> Self {
        Synapses {
            bias: true,
            learn: true,
            recurrence: None,
        }
    }
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
