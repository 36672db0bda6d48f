//! Looking for NaN and infinity.

use crate::{Error, Float, Result};

/// Reports NaN or infinity with its index.
pub(crate) fn check_finite<'a, F: Float>(
    what: &str,
    values: impl Iterator<Item = &'a F> + Clone,
) -> Result<()> {
    if all_finite(values.clone()) {
        return Ok(());
    }
    match values.enumerate().find(|(_, value)| !value.is_finite()) {
        Some((index, value)) => Err(Error::NonFinite {
            what: what.into(),
            value: value.to_string(),
            position: format!("element {index}"),
        }),
        None => Ok(()),
    }
}

/// Whether there is neither a NaN nor an infinity. Without an early exit the compiler turns this into
/// vector code; finding the place can wait.
pub(crate) fn all_finite<'a, F: Float>(values: impl Iterator<Item = &'a F>) -> bool {
    values.fold(true, |finite, x| finite & x.is_finite())
}
