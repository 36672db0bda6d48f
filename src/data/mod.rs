//! Labeled images: in memory, in batches, and (feature `mnist`) read from files.
//!
//! - [`Dataset`] holds images as bytes, `[N, features]`, with one label each.
//! - [`Batches`] iterates over a data set once, in order or shuffled, and yields each [`Batch`] as
//!   `f32` pixels in [0, 1].
//! - `Mnist` reads the idx files of MNIST and its relatives, raw or gzipped (feature `mnist`);
//!   `MnistFiles` finds them and has options; `idx` reads single files.
//!
//! It does not support data sets larger than memory or encoding of pixels as spikes.

mod batches;
mod dataset;
#[cfg(feature = "mnist")]
mod find;
#[cfg(feature = "mnist")]
mod gzip;
#[cfg(feature = "mnist")]
pub mod idx;
#[cfg(feature = "mnist")]
mod mapping;
#[cfg(feature = "mnist")]
mod mnist;

pub use batches::Batches;
pub use dataset::{Batch, Dataset};
#[cfg(feature = "mnist")]
pub use mnist::{Mnist, MnistFiles};
