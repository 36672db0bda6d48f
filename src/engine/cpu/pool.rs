//! Things that a thread needs for a while, kept between steps.

use std::sync::{Mutex, PoisonError};

/// As many of them as were ever in use at once.
#[derive(Debug, Default)]
pub(super) struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    /// Lends one to `f`; what it left from an earlier use is still in it.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut item = lock().pop().unwrap_or_default();
        let result = f(&mut item);
        lock().push(item);
        result
    }
}
