//! Neurons: what one does in one step, and the adjoint of that step.
//!
//! A file of this module holds one neuron: its equations forward and, beside them, backward, written
//! once over an [`Arithmetic`]. The reference engine, [`gradcheck`](crate::gradcheck) and the CPU
//! engine on every instruction set run that source. Engines own the loops over time, samples and
//! layers; nothing here knows of them.
//!
//! | file | neuron |
//! |---|---|
//! | [`leaky`] | leaky integrate-and-fire, in three orders of events |
//! | [`synaptic`] | the same, driven by a synaptic current that decays by itself |
//!
//! # Symbols
//!
//! `u` membrane, `v` membrane after an immediate reset, `s` spike, `r` reset, `I` input current,
//! `β` decay, `θ` threshold, `H` the Heaviside step with `H(0) = 0` (a membrane exactly at the
//! threshold does not fire), `σ'` the [surrogate](crate::Surrogate). Every state starts at 0.

mod arithmetic;
mod constants;
pub mod leaky;
mod neurons;
pub(crate) mod rows;
pub mod synaptic;

pub(crate) use arithmetic::Held;
pub use arithmetic::{Arithmetic, Num, Operand, Relaxed, Scalar, Shape, Spike};
pub use constants::{Constant, MIN_THRESHOLD, PerNeuron};
pub use leaky::{Dynamics, Leaky, Reset};

pub use neurons::Neurons;
pub use synaptic::Synaptic;

use std::fmt::Debug;

use crate::Result;

/// The equations of a neuron: one step forward and its adjoint.
///
/// Three lists describe what it is made of, each an array `[V; N]`: the **constants** (a decay, a
/// threshold), the **state** that a step hands to the next, and what is **kept** of a step for the
/// way back. Where no step loses anything, kept and state are the same.
pub trait Neuron: Copy + PartialEq + Debug + Send + Sync + 'static {
    /// What files and messages call it.
    const NAME: &'static str;
    /// The constants' names and ranges, in the order of [`Constants`](Self::Constants).
    const CONSTANTS: &'static [Constant];

    /// Constants of one neuron.
    type Constants<V: Copy>: List<V>;
    /// What step `t` hands to step `t + 1`; all 0 before the first step.
    type State<V: Copy>: List<V>;
    /// What is stored of step `t`. Together with the state before it, it is all that
    /// [`adjoint`](Self::adjoint) reads.
    type Kept<V: Copy>: List<V>;

    /// One step: the spike that is sent up, and what is kept.
    fn step<A: Arithmetic>(
        self,
        constants: Constants<Self, A>,
        before: State<Self, A>,
        current: Num<A>,
    ) -> (Spike<A>, Kept<Self, A>);

    /// The state after a step, from what was kept of it.
    fn state<A: Arithmetic>(
        self,
        constants: Constants<Self, A>,
        kept: Kept<Self, A>,
    ) -> State<Self, A>;

    /// The adjoint of [`step`](Self::step) and [`state`](Self::state): `after` is what arrives at the
    /// state after the step, `spike` what arrives at the spike.
    fn adjoint<A: Arithmetic>(
        self,
        constants: Constants<Self, A>,
        before: State<Self, A>,
        kept: Kept<Self, A>,
        after: State<Self, A>,
        spike: Num<A>,
    ) -> Adjoint<Self, A>;

    /// The settings that decide the equations beside the constants, by name, for files: two neurons
    /// with equal settings compute the same.
    fn settings(self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Refuses settings out of range; `place` names the layer.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](crate::Error::InvalidParameter) naming the setting.
    fn check(self, place: &str) -> Result<()> {
        let _ = place;
        Ok(())
    }

    /// Which entry of the state is the membrane, the one that is recorded.
    const MEMBRANE: usize = 0;

    /// Whether all that is kept of a step is the recorded membrane.
    fn keeps_membrane(self) -> bool {
        false
    }

    /// Whether the spike of a step reads the state *before* it. The spike of the first step reads
    /// the state at rest then: what arrives at it leads to constants alone.
    fn spikes_first(self) -> bool {
        false
    }

    /// Calls `visit` with the number of the neuron's settings. The settings that are used most are
    /// numbered from 1 and get loops of their own; all others share those of number
    /// [`UNCOMMON`]. A neuron without settings leaves this as it is.
    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        visit.visit::<1>(self)
    }

    /// The same neuron where its settings are known to have the number `SETTINGS`: as constants, so
    /// that the compiler removes the branches on them.
    #[inline(always)]
    fn known<const SETTINGS: usize>(self) -> Self {
        self
    }
}

/// The constants of a neuron as numbers of an arithmetic.
pub type Constants<N, A> = <N as Neuron>::Constants<Num<A>>;
/// The state of a neuron as numbers of an arithmetic.
pub type State<N, A> = <N as Neuron>::State<Num<A>>;
/// What is kept of a step, as numbers of an arithmetic.
pub type Kept<N, A> = <N as Neuron>::Kept<Num<A>>;

/// Where the adjoint of one step goes.
#[derive(Clone, Copy)]
pub struct Adjoint<N: Neuron, A: Arithmetic> {
    /// `∂L/∂I_t`.
    pub current: Num<A>,
    /// What goes back to the state before the step.
    pub before: State<N, A>,
    /// This step's share of the derivatives by the constants.
    pub constants: Constants<N, A>,
}

/// Work on a neuron, for [`Neuron::specialize`].
pub trait Visit<N> {
    /// What the work gives.
    type Out;
    /// Does the work, compiled for the settings of number `SETTINGS` ([`Neuron::known`]).
    fn visit<const SETTINGS: usize>(self, neuron: N) -> Self::Out;
}

/// The number of all settings that have no loops of their own.
pub const UNCOMMON: usize = 0;

/// A list of fixed length, from 1 to 8: `[V; N]`.
pub trait List<V>: Copy + AsRef<[V]> {
    /// How many values it has.
    const LEN: usize;
    /// The list of `make(0)`, `make(1)`, ….
    fn from_fn(make: impl FnMut(usize) -> V) -> Self;
}

/// Written out: the compiler does not inline `std::array::from_fn` into vector code for certain.
macro_rules! lists {
    ($($n:literal: $($i:literal)+;)+) => { $(
        impl<V: Copy> List<V> for [V; $n] {
            const LEN: usize = $n;
            #[inline(always)]
            fn from_fn(mut make: impl FnMut(usize) -> V) -> Self {
                [$(make($i)),+]
            }
        }
    )+ };
}
lists! {
    1: 0;
    2: 0 1;
    3: 0 1 2;
    4: 0 1 2 3;
    5: 0 1 2 3 4;
    6: 0 1 2 3 4 5;
    7: 0 1 2 3 4 5 6;
    8: 0 1 2 3 4 5 6 7;
}
