//! What of the output layer is read out for values. A recording and the losses share it.

/// What of the output layer is compared with target values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Quantity {
    /// The membranes: at every step for targets `[T, B, N]`, at the last one for targets `[B, N]`.
    Membrane,
    /// The number of spikes of each neuron, for targets `[B, N]`.
    SpikeCount,
    /// The number of spikes of each neuron per step, for targets `[B, N]`.
    SpikeRate,
}
