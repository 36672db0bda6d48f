//! Compares a network with the results of another library (feature `safetensors`).
//!
//! A *fixture* is a safetensors file with an input, parameters, and the results of PyTorch,
//! snnTorch or any other library: spikes, membranes, loss, gradients and, optionally, the
//! parameters after updates by Adam. [`docs::port`](crate::docs::port) documents the format and has
//! a script that writes one. [`verify()`] runs your network on it and compares every number:
//!
//! ```
//! use spikegrad::{Leaky, Loss, Network, verify::verify};
//!
//! let network: Network = Network::builder(5)
//!     .layer(6, Leaky::snntorch(0.875))
//!     .layer(3, Leaky::snntorch(0.75).threshold(0.75))
//!     .build()?;
//! let file = "tests/fixtures/reset_snntorch_subtract.safetensors";
//! let report = verify(&network, Loss::CrossEntropyMembrane, file)?;
//! assert!(report.passes(), "{report}");
//! assert!(report.warnings().is_empty());
//! # Ok::<(), spikegrad::Error>(())
//! ```
//!
//! Weights, biases and learned constants come from the file; structure, decay, threshold, rule and
//! surrogate come from the program. If the file's metadata state them too, differences are reported
//! by name.
//!
//! Zeros prove nothing: a layer that never fires agrees with every reset rule. Tensors of zeros are
//! reported as "nothing to compare" and silent layers as a warning. A report without any gradient
//! does not pass.
//!
//! To check an engine other than the reference, create it from the network returned by
//! [`Fixture::fill`] and pass it to [`Fixture::check`].

mod compare;
mod compute;
mod fixture;
mod kinds;
mod metadata;
mod report;
mod rounding;
mod settings;

use std::{collections::BTreeMap, path::Path};

use ndarray::ArrayD;

use crate::{Float, Network, Objective, ReferenceEngine, Result};
pub use fixture::Fixture;
pub use report::{Report, Row, Verdict};

/// Tensors by their names in a fixture.
pub type Tensors = BTreeMap<String, ArrayD<f64>>;

/// Runs `network` with the file's parameters on the file's input and targets, trains it on
/// `objective` if the file has updates, and compares every number with the file's.
///
/// It uses the reference engine in double precision, so everything has to agree to 1e-10, whatever
/// the precision of `network`. (A custom loss exists in one precision only; in single precision the
/// tolerance is 1e-4.) The updates use the learning rate and Adam settings in the file.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) and [`Error::Format`](crate::Error::Format) as [`Fixture::load`]
/// and [`Fixture::fill`], and any error of the engine. A disagreement is not an error, but a report
/// that does not [pass](Report::passes).
pub fn verify<F: Float>(
    network: &Network<F>,
    objective: impl Into<Objective<F>>,
    path: impl AsRef<Path>,
) -> Result<Report> {
    let (fixture, objective) = (Fixture::load(path)?, objective.into());
    match objective.cast::<f64>() {
        Some(objective) => {
            let network = fixture.fill(&settings::widened(network))?;
            fixture.check(&mut ReferenceEngine::new(
                network,
                objective,
                fixture.adam(),
            )?)
        }
        None => {
            let network = fixture.fill(network)?;
            fixture.check(&mut ReferenceEngine::new(
                network,
                objective,
                fixture.adam(),
            )?)
        }
    }
}
