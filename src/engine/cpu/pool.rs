//! Things that a thread needs for a while, kept between uses.

use std::{
    array,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Shelves of a pool: threads have one each while there are no more of them, so that a thread finds
/// what it used last, still in its caches.
const SHELVES: usize = 64;

/// Items that a shelf keeps: a thread that is asked again before it is done takes a second one.
const KEPT: usize = 4;

/// As many items as threads use at once. A lock is held only while an item is taken or put back, never
/// while it is used, so a thread that is asked for more work in between cannot wait for itself.
#[derive(Debug)]
pub(super) struct Pool<T>([Mutex<Vec<T>>; SHELVES]);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool(array::from_fn(|_| Mutex::default()))
    }
}

impl<T: Default> Pool<T> {
    /// Lends one to `f`; what it left from an earlier use is still in it.
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

    /// What is asked for while one is in use is another one; each is found again, up to a number.
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
        // The innermost were put back first, and there was no room for the others.
        nest(&pool, 2 * KEPT, &mut found);
        let kept = (1..=KEPT).rev().map(|depth| vec![depth]);
        let expected = kept.chain(vec![Vec::new(); KEPT]);
        assert_eq!(found, expected.collect::<Vec<_>>());
    }

    /// An item that a panic has taken along is not missed.
    #[test]
    fn a_panic_takes_its_item_along() {
        let pool = Pool::<Vec<usize>>::default();
        let use_it = std::panic::AssertUnwindSafe(|| pool.with(|_| panic!("as intended")));
        assert!(std::panic::catch_unwind(use_it).is_err());
        assert!(pool.with(|item| item.is_empty()));
    }
}
