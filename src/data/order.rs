//! The order in which an epoch draws its samples.
//!
//! It is a function of `(seed, epoch, N)` only. No random state passes from one epoch to the next, so
//! a resumed run recomputes the order and continues with [`Order::skip_to`]. The shuffle is
//! implemented here, in 64-bit arithmetic over ChaCha8, so that it does not depend on the machine or on
//! the version of another crate.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::{Error, Result, memory};

/// One epoch's batches, as the numbers of their samples.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// A permutation of `0..N`.
    indices: Vec<usize>,
    batch_size: usize,
    drop_last: bool,
    /// The batch that comes next.
    position: usize,
}

impl Order {
    /// In order, with a shorter last batch.
    pub fn new(samples: usize, batch_size: usize) -> Result<Self> {
        if batch_size == 0 {
            return Err(Error::parameter("batch_size", batch_size, "at least 1"));
        }
        memory::check::<usize>(&format!("order of {samples} samples"), [[1, 1, 1, samples]])?;
        Ok(Order {
            indices: (0..samples).collect(),
            batch_size,
            drop_last: false,
            position: 0,
        })
    }

    /// See [`Batches::shuffled`](super::Batches::shuffled).
    pub fn shuffled(mut self, seed: u64, epoch: u64) -> Self {
        self.indices = shuffled_indices(self.indices.len(), seed, epoch);
        self
    }

    /// See [`Batches::drop_last`](super::Batches::drop_last).
    pub fn drop_last(mut self, drop_last: bool) -> Result<Self> {
        let samples = self.indices.len();
        if drop_last && self.batch_size > samples {
            let expected = format!("at most {samples}, the number of samples, with drop_last");
            return Err(Error::parameter("batch_size", self.batch_size, expected));
        }
        self.drop_last = drop_last;
        Ok(self)
    }

    /// See [`Batches::skip_to`](super::Batches::skip_to).
    pub fn skip_to(mut self, batch: usize) -> Result<Self> {
        if batch > self.total() {
            let expected = format!("0 to {} batches", self.total());
            return Err(Error::parameter("batch", batch, expected));
        }
        self.position = batch;
        Ok(self)
    }

    /// Number of the next batch, from 0.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Number of batches that are left.
    pub fn left(&self) -> usize {
        self.total().saturating_sub(self.position)
    }

    /// The numbers of the next batch's samples; `None` at the end of the epoch.
    pub fn next(&mut self) -> Option<&[usize]> {
        if self.position >= self.total() {
            return None;
        }
        // position < ceil(N / batch_size), so start < N and the product does not overflow.
        let start = self.position * self.batch_size;
        let end = start
            .saturating_add(self.batch_size)
            .min(self.indices.len());
        self.position += 1;
        self.indices.get(start..end)
    }

    /// Number of batches in the whole epoch.
    fn total(&self) -> usize {
        match self.drop_last {
            true => self.indices.len() / self.batch_size,
            false => self.indices.len().div_ceil(self.batch_size),
        }
    }
}

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
