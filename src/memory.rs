//! A trial allocation before a large one. Rust aborts the process when an allocation fails, so
//! sizes from the user are tried here first, where a failure is an error.
//!
//! Overcommit can defeat the trial: a system that allocates more memory than it has, as Linux does
//! within limits, may still kill the process when it uses the memory.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::hint::black_box;

use crate::{Error, Result};

/// Smaller sizes are not tried.
const SMALL: usize = 64 << 20;

/// Checks that arrays of `T` with these `shapes` can be allocated together; `what` names the sizes.
pub(crate) fn check<T>(what: &str, shapes: impl IntoIterator<Item = [usize; 4]>) -> Result<()> {
    let bytes = |shape: [usize; 4]| {
        let mut sizes = shape.into_iter();
        sizes.try_fold(size_of::<T>(), usize::checked_mul)
    };
    let total = (shapes.into_iter()).try_fold(0_usize, |sum, shape| sum.checked_add(bytes(shape)?));
    let room = match total {
        Some(..SMALL) => true,
        // Used, so that the compiler does not remove the allocation.
        Some(total) => black_box(&mut Vec::<u8>::new())
            .try_reserve_exact(total)
            .is_ok(),
        None => false,
    };
    if room {
        return Ok(());
    }
    Err(Error::OutOfMemory {
        what: what.into(),
        bytes: total,
    })
}
