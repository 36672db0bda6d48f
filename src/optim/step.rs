//! One step of one weight, over an arithmetic.

use crate::{
    Float,
    neuron::{Arithmetic, Num},
};

/// The step of an optimizer, written once: every engine runs it in its own arithmetic.
pub(crate) trait Step: Copy {
    /// How many numbers the optimizer keeps for each weight, 0 to 2.
    const KEPT: usize;

    /// Whether the last kept number can overflow although no gradient is large, which engines then
    /// watch.
    #[inline(always)]
    fn can_overflow(&self) -> bool {
        false
    }

    /// The new weight `w` for its gradient `g`, and the new kept numbers. Those beyond
    /// [`KEPT`](Self::KEPT) are returned as they are.
    fn step<A: Arithmetic>(&self, w: Num<A>, g: Num<A>, kept: [Num<A>; 2])
    -> (Num<A>, [Num<A>; 2]);
}

/// `g + λ w`; `g` itself without decay.
#[inline(always)]
pub(super) fn decayed<A: Arithmetic, F: Float>(decay: F, w: Num<A>, g: Num<A>) -> Num<A> {
    match decay > F::zero() {
        true => w.mul_add(decay.as_f64(), g),
        false => g,
    }
}

/// A decaying mean, or 0 if it is no longer normal in `f32`.
#[inline(always)]
pub(super) fn faded<A: Arithmetic>(mean: Num<A>) -> Num<A> {
    let normal = mean.literal(f32::MIN_POSITIVE.into());
    normal.select_above(mean.abs(), 0.0, mean) // a NaN stays
}
