//! Data to train on: labeled images, read from files (feature `mnist`), and everything else.
//!
//! - [`Data`] is what a [`Trainer`](crate::Trainer) draws batches from. [`InMemory`] holds arrays: numbers or
//!   spikes, constant or sequences, with classes or values. [`from_fn`] makes one from a closure.
//! - [`Dataset`] holds images as bytes, `[N, features]`, with one label each.
//! - [`Batches`] iterates over a data set once, in order or shuffled, and yields each [`Batch`] as
//!   `f32` pixels in [0, 1].
//! - `Mnist` reads the idx files of MNIST and its relatives, raw or gzipped (feature `mnist`);
//!   `MnistFiles` finds them and has options; `idx` reads single files.
//!
//! It has no encoding of pixels as spikes; a closure can do it.

mod batches;
mod dataset;
#[cfg(feature = "mnist")]
mod find;
#[cfg(feature = "mnist")]
mod gzip;
#[cfg(feature = "mnist")]
pub mod idx;
mod in_memory;
#[cfg(feature = "mnist")]
mod mapping;
#[cfg(feature = "mnist")]
mod mnist;
mod order;
mod source;

pub use batches::Batches;
pub use dataset::{Batch, Dataset};
pub use in_memory::{InMemory, SampleTargets};
#[cfg(feature = "mnist")]
pub use mnist::{Mnist, MnistFiles};
pub(crate) use order::Order;
pub use source::{Data, Draw, FromFn, OwnedInput, OwnedSamples, OwnedTargets, from_fn};
