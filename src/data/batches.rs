//! One pass over a [`Dataset`] in batches, in order or shuffled.
//!
//! The order of an epoch is a function of `(seed, epoch, N)` only, so a resumed run recomputes it and
//! continues with [`Batches::skip_to`]. All data are in memory; each batch is
//! created on demand.
//!
//! Shapes: `images` `[B, features]`, `targets` `[B]`; `B` is the batch size, or less in the last
//! batch.

use std::iter::FusedIterator;

use super::{Batch, Dataset, order::Order};
#[cfg(doc)]
use crate::Error;
use crate::Result;

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
    order: Order,
}

impl<'a> Batches<'a> {
    pub(super) fn new(data: &'a Dataset, batch_size: usize) -> Result<Self> {
        let order = Order::new(data.len(), batch_size)?;
        Ok(Batches { data, order })
    }

    /// Shuffles the images, in an order that depends only on `seed`, `epoch` and the number of
    /// images (Fisher–Yates; ChaCha8 seeded with `seed`, on its stream number `epoch`).
    pub fn shuffled(mut self, seed: u64, epoch: u64) -> Self {
        self.order = self.order.shuffled(seed, epoch);
        self
    }

    /// Sets whether to drop the last partial batch; off by default.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the batch size exceeds the number of images, which would
    /// leave no batch.
    pub fn drop_last(mut self, drop_last: bool) -> Result<Self> {
        self.order = self.order.drop_last(drop_last)?;
        Ok(self)
    }

    /// Continues at batch number `batch` of this epoch, counted from 0, and skips the batches
    /// before it. The number of batches is a valid value: the epoch is then finished. Call this
    /// after [`drop_last`](Self::drop_last), which changes that number.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the epoch has fewer than `batch` batches.
    pub fn skip_to(mut self, batch: usize) -> Result<Self> {
        self.order = self.order.skip_to(batch)?;
        Ok(self)
    }

    /// Number of the next batch, counted from 0; the argument of [`skip_to`](Self::skip_to).
    pub fn position(&self) -> usize {
        self.order.position()
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
        let Some(indices) = self.order.next() else {
            return false;
        };
        self.data.fill_batch(indices, batch);
        true
    }
}

impl Iterator for Batches<'_> {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        self.next_into(&mut batch).then_some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.order.left(), Some(self.order.left()))
    }
}

impl ExactSizeIterator for Batches<'_> {}

impl FusedIterator for Batches<'_> {}
