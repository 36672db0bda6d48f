//! Compares a network of the program with what another library computed (feature `safetensors`).
//!
//! A *fixture* is a safetensors file with an input, parameters, and what PyTorch, snnTorch or any
//! other library made of them: spikes, membranes, loss, gradients and, where the file has them, the
//! parameters after updates by Adam. [`docs::port`](crate::docs::port) has a script that writes one,
//! and the file's format. [`verify()`] runs the program's own network on it and compares every number:
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
//! Weights, biases and learnt constants come from the file; structure, decay, threshold, rule and
//! surrogate are the program's. Where the file's metadata state them too, a difference is reported by
//! name.
//!
//! Zeros prove nothing: a layer that never fires agrees with every reset rule. Tensors of zeros are
//! reported as "nothing to compare", silent layers as a warning, and a report without any gradient
//! does not pass.
//!
//! To check another engine than the reference, make one of the network that [`Fixture::fill`] gives
//! and hand it to [`Fixture::check`].

mod compare;
mod compute;
mod fixture;
mod metadata;
mod report;
mod rounding;
mod settings;

use std::{collections::BTreeMap, path::Path};

use ndarray::ArrayD;

use crate::{Float, Network, Objective, ReferenceEngine, Result};
pub use fixture::Fixture;
pub use report::{Report, Row, Verdict};

/// Tensors by the names that they have in a fixture.
pub type Tensors = BTreeMap<String, ArrayD<f64>>;

/// Runs `network`, with the file's parameters in place of its own, on the file's input and targets,
/// trains it by `objective` where the file has updates, and compares every number with the file's.
///
/// It computes by the reference engine in double precision, so that everything has to agree to
/// 1e-10, whatever the precision of `network`. (A custom loss exists in one precision: in single
/// precision 1e-4 is allowed.) The updates use the learning rate and the other settings of Adam in the
/// file.
///
/// # Errors
/// [`Error::Io`](crate::Error::Io) and [`Error::Format`](crate::Error::Format) as
/// [`Fixture::load`] and [`Fixture::fill`], and whatever the engine reports. A disagreement is not an
/// error but a report that does not [pass](Report::passes).
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
