//! Distributes work over threads: with rayon if that feature is enabled, else on one thread.
//!
//! Every task writes its own piece of memory and reads only finished results, so scheduling does
//! not affect the result. Within a thread pool of the caller (`pool.install(…)`), that pool is
//! used.

/// Runs `f` on each item.
pub(super) fn for_each<T: Send>(items: &mut [T], f: impl Fn(usize, &mut T) + Sync + Send) {
    for_each_chunk(true, items, 1, |n, chunk| f(n, &mut chunk[0]));
}

/// Runs `f` on each piece of `size` items, in parallel if the work is worth it.
pub(super) fn for_each_chunk<T: Send>(
    worth: bool,
    items: &mut [T],
    size: usize,
    f: impl Fn(usize, &mut [T]) + Sync + Send,
) {
    #[cfg(not(feature = "rayon"))]
    let _ = worth;
    #[cfg(feature = "rayon")]
    if worth && items.len() > size && threads() > 1 {
        share_out(items, size, f);
        return;
    }
    items
        .chunks_mut(size)
        .enumerate()
        .for_each(|(n, chunk)| f(n, chunk));
}

/// Maximum number of threads with their own share; additional threads share.
#[cfg(feature = "rayon")]
const SHARES: usize = 32;

/// Each thread gets the same share of the pieces in every step, so that its data stay in its
/// caches. A thread that finishes early takes pieces from the end of other shares.
#[cfg(feature = "rayon")]
fn share_out<T: Send>(items: &mut [T], size: usize, f: impl Fn(usize, &mut [T]) + Sync + Send) {
    use rayon::prelude::*;
    use std::sync::{Mutex, PoisonError};
    let count = threads().min(SHARES);
    let each = items.len().div_ceil(size).div_ceil(count);
    let mut rest = items.chunks_mut(each * size).enumerate();
    let shares: [_; SHARES] = std::array::from_fn(|_| {
        let (n, share) = rest.next().unwrap_or_default();
        let pieces = share.chunks_mut(size).enumerate();
        Mutex::new(pieces.map(move |(m, piece)| (n * each + m, piece)))
    });
    let shares = &shares[..count];
    let take = |share: usize, own: bool| {
        let mut share = shares[share].lock().unwrap_or_else(PoisonError::into_inner);
        if own { share.next() } else { share.next_back() }
    };
    (0..count).into_par_iter().with_max_len(1).for_each(|n| {
        let own = rayon::current_thread_index().unwrap_or(n) % count;
        for share in (own..count).chain(0..own) {
            while let Some((n, piece)) = take(share, share == own) {
                f(n, piece);
            }
        }
    });
}

/// Runs both, in parallel if the work is worth it and a thread is free.
pub(super) fn join(worth: bool, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    #[cfg(not(feature = "rayon"))]
    let _ = worth;
    #[cfg(feature = "rayon")]
    if worth && threads() > 1 {
        rayon::join(a, b);
        return;
    }
    a();
    b();
}

/// Runs `f` on a thread of the pool, if the work is worth it and the pool has more than one:
/// parallel work within `f` then does not wake the pool each time.
pub(super) fn enter<R: Send>(worth: bool, f: impl FnOnce() -> R + Send) -> R {
    #[cfg(not(feature = "rayon"))]
    let _ = worth;
    #[cfg(feature = "rayon")]
    if worth && threads() > 1 {
        return rayon::scope(|_| f());
    }
    f()
}

/// Number of threads that [`for_each`] would use now.
pub(super) fn threads() -> usize {
    #[cfg(feature = "rayon")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    1
}
