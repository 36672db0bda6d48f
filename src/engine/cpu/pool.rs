//! A pool of temporary objects for threads, kept between uses.

use std::{
    array,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Number of shelves of a pool. Up to this number of threads each has its own shelf, so that a
/// thread reuses its last object, still in its caches.
const SHELVES: usize = 64;

/// Number of objects per shelf: a nested call on the same thread takes a second one.
const KEPT: usize = 4;

/// Holds as many objects as threads use at once. A lock is held only while an object is taken or
/// returned, never while it is used, so a nested call cannot deadlock.
#[derive(Debug)]
pub(super) struct Pool<T>([Mutex<Vec<T>>; SHELVES]);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(array::from_fn(|_| Mutex::default()))
    }
}

impl<T: Default> Pool<T> {
    /// Lends an object to `f`, with its contents from the last use.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let shelf = &self.0[shelf()];
        let lock = || shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = lock().pop();
        let mut item = taken.unwrap_or_default();
        let result = f(&mut item);
        let mut items = lock();
        if items.len() < KEPT {
            items.push(item);
        }
        result
    }
}

/// The shelf of this thread.
fn shelf() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Relaxed) % SHELVES;
    }
    OWN.with(|own| *own)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A nested call gets another object, and the pool keeps each, up to a limit.
    #[test]
    fn uses_may_be_nested() {
        fn nest(pool: &Pool<Vec<usize>>, depth: usize, found: &mut Vec<Vec<usize>>) {
            if depth > 0 {
                pool.with(|item| {
                    found.push(item.clone());
                    item.push(depth);
                    nest(pool, depth - 1, found);
                });
            }
        }
        let pool = Pool::default();
        let mut found = Vec::new();
        nest(&pool, 2 * KEPT, &mut found);
        assert!(found.iter().all(Vec::is_empty));
        found.clear();
        // The innermost objects were returned first and filled the shelf.
        nest(&pool, 2 * KEPT, &mut found);
        let kept = (1..=KEPT).rev().map(|depth| vec![depth]);
        let expected = kept.chain(vec![Vec::new(); KEPT]);
        assert_eq!(found, expected.collect::<Vec<_>>());
    }

    /// An object lost in a panic does no harm.
    #[test]
    fn a_panic_takes_its_item_along() {
        let pool = Pool::<Vec<usize>>::default();
        let use_it = std::panic::AssertUnwindSafe(|| pool.with(|_| panic!("as intended")));
        assert!(std::panic::catch_unwind(use_it).is_err());
        assert!(pool.with(|item| item.is_empty()));
    }
}
