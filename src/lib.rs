//! spikegrad
pub mod error;
pub use error::{Error, Result};
#[cfg(feature = "mnist")]
pub mod data;
#[cfg(feature = "plot")]
pub mod plot;
