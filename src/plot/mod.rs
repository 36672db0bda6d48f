//! Pictures of a training run and of single samples, as SVG text.
//!
//! Four plots, each a pure function from borrowed numbers to a `String`: [`loss`] and
//! [`accuracy`] over the batches, [`raster()`] of the spikes and [`traces()`] of the output membranes
//! of one sample. [`save`] writes the text into a file. No font or library of the system is
//! needed: labels are SVG `<text>` in the reader's own sans-serif font, and the space for them is
//! estimated generously.
//!
//! It is not a plotting library. Sizes, colours and the layout are fixed; colours can be told
//! apart by colour-blind readers. The functions know nothing of networks or training loops: the
//! caller picks the neurons and the sample.
//!
//! Common to all four: a NaN or an infinity is an [`Error::NonFinite`], never skipped, and empty
//! data an [`Error::Shape`]. Texts given by the caller are escaped; what does not fit is cut and
//! ends in `…`. Long series are thinned to the extremes within each pixel column, so the size of
//! a file does not grow with the number of batches.
//!
//! ```
//! use spikegrad::plot::{Curves, Series, loss};
//!
//! let train: Vec<f64> = (0..40).map(|i| 60.0 * (-0.1 * i as f64).exp()).collect();
//! let points = [(20.0, 9.0), (40.0, 1.5)]; // two epochs of 20 batches
//! let validation = [Series { label: "validation", points: &points }];
//! let svg = loss(&Curves { train: &train, validation: &validation })?;
//! assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
//! # Ok::<(), spikegrad::Error>(())
//! ```

mod canvas;
mod curves;
mod legend;
mod raster;
mod traces;

use std::path::Path;

use crate::error::{Error, Result};

pub use curves::{Curves, Series, accuracy, loss};
pub use raster::{Image, Raster, raster};
pub use traces::{Traces, traces};

/// Writes an SVG text into the file at `path`, which is created or replaced.
///
/// # Errors
/// [`Error::Io`] with the path if the file cannot be written, for example because its folder does
/// not exist.
pub fn save(path: impl AsRef<Path>, svg: &str) -> Result<()> {
    let path = path.as_ref();
    std::fs::write(path, svg).map_err(|source| Error::Io {
        action: "write",
        path: path.to_path_buf(),
        source,
    })
}

/// Refuses a NaN or an infinity. `position` is only called for the message.
fn finite(what: &str, value: f64, position: impl FnOnce() -> String) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::NonFinite {
        what: what.to_string(),
        value: value.to_string(),
        position: position(),
    })
}
