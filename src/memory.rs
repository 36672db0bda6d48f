//! A trial allocation before a large one. Rust aborts the process when an allocation fails, so a size
//! that comes from the user is first tried here, where it can be refused.
//!
//! Overcommit can defeat the trial: a system that promises more memory than it has, as Linux does within
//! limits, may still kill a process that uses what it was promised.

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

/// Less than this is taken without asking.
const SMALL: usize = 64 << 20;

/// Refuses arrays of `shapes` of `T` that, all together, cannot be allocated; `what` names the sizes.
pub(crate) fn check<T>(what: &str, shapes: impl IntoIterator<Item = [usize; 4]>) -> Result<()> {
    let bytes = |shape: [usize; 4]| {
        let mut sizes = shape.into_iter();
        sizes.try_fold(size_of::<T>(), usize::checked_mul)
    };
    let total = (shapes.into_iter()).try_fold(0_usize, |sum, shape| sum.checked_add(bytes(shape)?));
    let room = match total {
        Some(..SMALL) => true,
        // Looked at, so that the compiler does not spare itself the request.
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
