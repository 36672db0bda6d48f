//! Neurons: the equations of one step, and their adjoint.
//!
//! Each submodule holds one neuron: its forward equations beside its backward equations, written
//! once over an [`Arithmetic`]. The reference engine, [`gradcheck`](crate::gradcheck) and the CPU
//! engine on every instruction set run the same source. The loops over time, samples and layers are
//! in the engines.
//!
//! | file | neuron |
//! |---|---|
//! | [`leaky`] | leaky integrate-and-fire, in three orders of events |
//! | [`synaptic`] | the same, driven by a decaying synaptic current |
//! | [`integrator`] | a membrane that never spikes: a read-out |
//! | [`encoder`] | leaky, its current scaled and shifted by constants |
//! | [`lapicque`] | leaky, from a resistance and a capacitance |
//! | [`alpha`] | two synaptic currents of opposite sign, whose sum is the membrane |
//! | [`adaptive`] | a threshold that rises with each spike: Bellec's and Yin's orders |
//! | [`lsnn`] | the same behind a synapse: Norse's |
//! | [`adlif`] | a second variable that follows the membrane and jumps with each spike |
//!
//! # Symbols
//!
//! `u` membrane, `v` membrane after an immediate reset, `s` spike, `r` reset, `I` input current,
//! `β` decay, `θ` threshold, `H` the Heaviside step with `H(0) = 0` (a neuron whose membrane equals
//! the threshold does not fire), `σ'` the [surrogate](crate::Surrogate). Every state starts at 0 (a membrane
//! where it is [set](crate::NetworkBuilder::initial_membrane)), or where a pass before it ended
//! ([`State`](crate::State)).

pub mod adaptive;
pub mod adlif;
pub mod alpha;
mod arithmetic;
mod constants;
pub mod encoder;
pub mod integrator;
pub mod lapicque;
pub mod leaky;
pub mod lsnn;
#[cfg(test)]
mod mutants;
mod neurons;
pub(crate) mod rows;
pub mod synaptic;

pub use adaptive::Adaptive;
pub use adlif::AdLif;
pub use alpha::Alpha;
pub(crate) use arithmetic::Held;
pub use arithmetic::{Arithmetic, Num, Operand, Relaxed, Scalar, Shape, Spike};
pub use constants::{Constant, Draw, MIN_THRESHOLD, PerNeuron, decay};
pub use encoder::Encoder;
pub use integrator::LeakyIntegrator;
pub use lapicque::Lapicque;
pub use leaky::{Dynamics, Leaky, Reset};
pub use lsnn::Lsnn;
pub use neurons::Neurons;
pub use synaptic::Synaptic;

use std::fmt::Debug;

use crate::Result;

/// Setters of a description: of settings, of constants, and of whether a constant is trained, by its
/// number.
macro_rules! setters {
    (
        settings { $($setting:ident: $type:ty = $what:literal;)* }
        constants { $($name:ident, $learn:ident: $at:literal = $symbol:literal;)* }
    ) => {
        $(
            #[doc = concat!("Sets ", $what, ".")]
            pub fn $setting(mut self, $setting: $type) -> Self {
                self.$setting = $setting;
                self
            }
        )*
        $(
            #[doc = concat!("Sets ", $symbol, ": one value for the layer, one for each neuron, or a [`Draw`](super::Draw).")]
            pub fn $name(mut self, $name: impl Into<PerNeuron>) -> Self {
                self.$name = $name.into();
                self
            }

            #[doc = concat!("Trains ", $symbol, " along with the weights, clamped to its range after each update.")]
            pub fn $learn(mut self, learn: bool) -> Self {
                self.learn[$at] = learn;
                self
            }
        )*
    };
}
use setters;

/// The equations of a neuron: one step forward and its adjoint.
///
/// A neuron has three lists, each an array `[V; N]`: its **constants** (a decay, a threshold), the
/// **state** passed from one step to the next, and the values **kept** of each step for the
/// backward pass. If the state loses no information, kept and state are the same.
pub trait Neuron: Copy + PartialEq + Debug + Send + Sync + 'static {
    /// The name in files and messages.
    const NAME: &'static str;
    /// Names and ranges of the constants, in the order of [`Constants`](Self::Constants).
    const CONSTANTS: &'static [Constant];

    /// Constants of one neuron.
    type Constants<V: Copy>: List<V>;
    /// The state passed from step `t` to step `t + 1`; before the first step all
    /// 0 but for an [initial membrane](Neurons::start), or a given [`State`](crate::State).
    type State<V: Copy>: List<V>;
    /// The values stored of step `t`. [`adjoint`](Self::adjoint) reads these and the state before
    /// the step, nothing else.
    type Kept<V: Copy>: List<V>;

    /// Computes one step: the output spike, and the values to keep.
    fn step<A: Arithmetic>(
        self,
        constants: Constants<Self, A>,
        before: State<Self, A>,
        current: Num<A>,
    ) -> (Spike<A>, Kept<Self, A>);

    /// The state after a step, from the kept values.
    fn state<A: Arithmetic>(
        self,
        constants: Constants<Self, A>,
        kept: Kept<Self, A>,
    ) -> State<Self, A>;

    /// The adjoint of [`step`](Self::step) and [`state`](Self::state): `after` is the gradient with
    /// respect to the state after the step, `spike` that with respect to the spike.
    fn adjoint<A: Arithmetic>(
        self,
        constants: Constants<Self, A>,
        before: State<Self, A>,
        kept: Kept<Self, A>,
        after: State<Self, A>,
        spike: Num<A>,
    ) -> Adjoint<Self, A>;

    /// The settings that select the equations, by name, for files. Constants are not included.
    /// Neurons with equal settings compute the same function.
    fn settings(self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Checks the range of the settings; `place` names the layer.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](crate::Error::InvalidParameter) naming the setting.
    fn check(self, place: &str) -> Result<()> {
        let _ = place;
        Ok(())
    }

    /// Checks what the initial constants of one neuron must satisfy together, in the order of
    /// [`CONSTANTS`](Self::CONSTANTS); each is in its range.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](crate::Error::InvalidParameter) naming the constant.
    fn check_constants(self, place: &str, constants: &[f64]) -> Result<()> {
        let _ = (place, constants);
        Ok(())
    }

    /// Index of the membrane, which is recorded, in the state.
    const MEMBRANE: usize = 0;

    /// Whether the neuron can spike at all; a leaky integrator cannot.
    const SPIKES: bool = true;

    /// Whether the recorded membrane is the only value kept of a step.
    fn keeps_membrane(self) -> bool {
        false
    }

    /// Whether the spike of a step reads the state *before* the step. The first spike then reads
    /// the state that the pass began with, so its gradient reaches only the constants.
    fn spikes_first(self) -> bool {
        false
    }

    /// Calls `visit` with the number of the neuron's settings. The most common settings are
    /// numbered from 1 and get specialized loops; all others share the loops of number
    /// [`UNCOMMON`]. A neuron without settings keeps the default.
    fn specialize<W: Visit<Self>>(self, visit: W) -> W::Out {
        visit.visit::<1>(self)
    }

    /// The same neuron with the settings of number `SETTINGS` as compile-time constants, so that
    /// the compiler removes the branches on them.
    #[inline(always)]
    fn known<const SETTINGS: usize>(self) -> Self {
        self
    }
}

/// The constants of a neuron as numbers of an arithmetic.
pub type Constants<N, A> = <N as Neuron>::Constants<Num<A>>;
/// The state of a neuron as numbers of an arithmetic.
pub type State<N, A> = <N as Neuron>::State<Num<A>>;
/// The values kept of a step, as numbers of an arithmetic.
pub type Kept<N, A> = <N as Neuron>::Kept<Num<A>>;

/// The gradients that leave the adjoint of one step.
#[derive(Clone, Copy)]
pub struct Adjoint<N: Neuron, A: Arithmetic> {
    /// `∂L/∂I_t`.
    pub current: Num<A>,
    /// The gradient with respect to the state before the step.
    pub before: State<N, A>,
    /// This step's contribution to the gradients of the constants.
    pub constants: Constants<N, A>,
}

/// Work on a neuron, for [`Neuron::specialize`].
pub trait Visit<N> {
    /// The result.
    type Out;
    /// Does the work, specialized for the settings of number `SETTINGS` ([`Neuron::known`]).
    fn visit<const SETTINGS: usize>(self, neuron: N) -> Self::Out;
}

/// The number of all settings without specialized loops.
pub const UNCOMMON: usize = 0;

/// A list of fixed length, from 1 to 8: `[V; N]`.
pub trait List<V>: Copy + AsRef<[V]> {
    /// Number of values.
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
