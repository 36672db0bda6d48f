//! Whether memory suffices, asked before it is taken: Rust ends the process when an allocation
//! fails, so what follows a user's numbers is asked for here first, where it can be refused.
//!
//! It is an offer to the system that the system may decline; one that lends more than it has
//! (as Linux does, within reason) can still end a process that uses it all.

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

/// Refuses arrays of `shapes` of `T`, all of them together, that memory has no room for; `what`
/// names the sizes.
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
    let value = match total {
        Some(total) => format!("{total} bytes in all"),
        None => "more bytes than can be counted".into(),
    };
    Err(Error::parameter(what, value, "what memory has room for"))
}
