//! Work shared out over threads: rayon with the feature of that name, else one thread.
//!
//! Every task writes its own piece of memory and reads what is finished, so the result does not
//! depend on who runs what when. Within a thread pool of the caller's own (`pool.install(…)`), that
//! pool is used.

/// Runs `f` on each item.
pub(super) fn for_each<T: Send>(items: &mut [T], f: impl Fn(usize, &mut T) + Sync + Send) {
    #[cfg(feature = "rayon")]
    if items.len() > 1 && threads() > 1 {
        use rayon::prelude::*;
        items
            .par_iter_mut()
            .enumerate()
            .for_each(|(n, item)| f(n, item));
        return;
    }
    items
        .iter_mut()
        .enumerate()
        .for_each(|(n, item)| f(n, item));
}

/// Runs `f` on each piece of `size` items, at once if the work is worth it.
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
        use rayon::prelude::*;
        items
            .par_chunks_mut(size)
            .enumerate()
            .for_each(|(n, chunk)| f(n, chunk));
        return;
    }
    items
        .chunks_mut(size)
        .enumerate()
        .for_each(|(n, chunk)| f(n, chunk));
}

/// Runs both, at once if the work is worth it and there is a thread to spare.
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

/// Runs `f` on a thread of the pool, if the work is worth it and there is more than one: what `f` shares
/// out then need not wake the pool each time anew.
pub(super) fn enter<R: Send>(worth: bool, f: impl FnOnce() -> R + Send) -> R {
    #[cfg(not(feature = "rayon"))]
    let _ = worth;
    #[cfg(feature = "rayon")]
    if worth && threads() > 1 {
        return rayon::scope(|_| f());
    }
    f()
}

/// Threads that [`for_each`] would use now.
pub(super) fn threads() -> usize {
    #[cfg(feature = "rayon")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "rayon"))]
    1
}
