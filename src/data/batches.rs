//! One pass over a [`Dataset`] in batches, in order or shuffled.
//!
//! The order of an epoch is a function of `(seed, epoch, N)` only. No random state passes from one
//! epoch to the next, so a resumed run recomputes the order and continues with
//! [`Batches::skip_to`]. The shuffle is implemented here, in 64-bit arithmetic over ChaCha8, so
//! that it does not depend on the machine or on the version of another crate.
//!
//! All data are in memory; each batch is created on demand.
//!
//! Shapes: `images` `[B, features]`, `targets` `[B]`; `B` is the batch size, or less in the last
//! batch.

use std::iter::FusedIterator;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::{Batch, Dataset};
use crate::{Error, Result};

impl Dataset {
    /// Iterates over the set once in batches of `batch_size`: in order, with a shorter last batch.
    /// [`Batches::shuffled`] and [`Batches::drop_last`] change that.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if `batch_size` is 0.
    pub fn batches(&self, batch_size: usize) -> Result<Batches<'_>> {
        Batches::new(self, batch_size)
    }
}

/// One pass over a [`Dataset`]; created by [`Dataset::batches`].
///
/// ```
/// # use ndarray::Array2;
/// # use spikegrad::data::Dataset;
/// # let data = Dataset::new(Array2::zeros((10, 4)), vec![0; 10], 2)?;
/// let (seed, epoch) = (42, 0);
/// let batches = data.batches(4)?.shuffled(seed, epoch);
/// assert_eq!(batches.len(), 3); // 4 + 4 + 2 images
///
/// let sizes: Vec<usize> = batches.map(|batch| batch.targets.len()).collect();
/// assert_eq!(sizes, [4, 4, 2]);
/// assert_eq!(data.batches(4)?.drop_last(true)?.len(), 2);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    data: &'a Dataset,
    /// A permutation of `0..data.len()`.
    order: Vec<usize>,
    batch_size: usize,
    drop_last: bool,
    /// The batch that comes next.
    position: usize,
}

impl<'a> Batches<'a> {
    pub(super) fn new(data: &'a Dataset, batch_size: usize) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::parameter("batch_size", batch_size, "at least 1"));
        }
        let order = (0..data.len()).collect();
        Ok(Batches {
            data,
            order,
            batch_size,
            drop_last: false,
            position: 0,
        })
    }

    /// Shuffles the images, in an order that depends only on `seed`, `epoch` and the number of
    /// images (Fisher–Yates; ChaCha8 seeded with `seed`, on its stream number `epoch`).
    pub fn shuffled(mut self, seed: u64, epoch: u64) -> Self {
        self.order = shuffled_indices(self.order.len(), seed, epoch);
        self
    }

    /// Sets whether to drop the last partial batch; off by default.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the batch size exceeds the number of images, which would
    /// leave no batch.
    pub fn drop_last(mut self, drop_last: bool) -> Result<Self> {
        if drop_last && self.batch_size > self.data.len() {
            let expected = format!(
                "at most {}, the number of images, with drop_last",
                self.data.len()
            );
            return Err(Error::parameter("batch_size", self.batch_size, expected));
        }
        self.drop_last = drop_last;
        Ok(self)
    }

    /// Continues at batch number `batch` of this epoch, counted from 0, and skips the batches
    /// before it. The number of batches is a valid value: the epoch is then finished. Call this
    /// after [`drop_last`](Self::drop_last), which changes that number.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the epoch has fewer than `batch` batches.
    pub fn skip_to(mut self, batch: usize) -> Result<Self> {
        if batch > self.total() {
            return Err(Error::parameter(
                "batch",
                batch,
                format!("0 to {} batches", self.total()),
            ));
        }
        self.position = batch;
        Ok(self)
    }

    /// Number of the next batch, counted from 0; the argument of [`skip_to`](Self::skip_to).
    pub fn position(&self) -> usize {
        self.position
    }

    /// Overwrites `batch` with the next one, reusing its memory if the shape is the same. At the
    /// end of the epoch returns false and leaves `batch` unchanged.
    ///
    /// ```
    /// # use ndarray::Array2;
    /// # use spikegrad::data::{Batch, Dataset};
    /// # let data = Dataset::new(Array2::zeros((10, 4)), vec![0; 10], 2)?;
    /// let mut batches = data.batches(5)?;
    /// let mut batch = Batch::default();
    /// let mut images = 0;
    /// while batches.next_into(&mut batch) {
    ///     images += batch.targets.len();
    /// }
    /// assert_eq!(images, 10);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn next_into(&mut self, batch: &mut Batch) -> bool {
        if self.position >= self.total() {
            return false;
        }
        // position < ceil(N / batch_size), so start < N and the product does not overflow.
        let start = self.position * self.batch_size;
        let end = start.saturating_add(self.batch_size).min(self.order.len());
        self.data.fill(&self.order[start..end], batch);
        self.position += 1;
        true
    }

    /// Number of batches in the whole epoch.
    fn total(&self) -> usize {
        if self.drop_last {
            self.order.len() / self.batch_size
        } else {
            self.order.len().div_ceil(self.batch_size)
        }
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        self.next_into(&mut batch).then_some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.total().saturating_sub(self.position);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches<'_> {}

impl FusedIterator for Batches<'_> {}

/// A uniformly random permutation of `0..count`: Fisher–Yates from the last place down.
fn shuffled_indices(count: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(epoch);
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        // The draw is at most `last`, so it fits a usize.
        let other = uniform_below(&mut rng, last as u64 + 1) as usize;
        order.swap(last, other);
    }
    order
}

/// A uniformly random number from `0..n`; `n` is at least 1. Lemire's method: the upper half of `n
/// · x` for 64 random bits `x`, redrawn in the rare cases that would bias the result.
fn uniform_below(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    let rejected = n.wrapping_neg() % n; // 2^64 mod n
    loop {
        let product = u128::from(rng.next_u64()) * u128::from(n);
        if product as u64 >= rejected {
            return (product >> 64) as u64;
        }
    }
}
