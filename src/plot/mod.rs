//! Pictures of a training run and of single samples, as SVG text.
//!
//! Five plots, each a pure function from numbers to a `String`: [`loss`], [`accuracy`] and
//! [`gradients`] over the batches, [`raster()`] of the spikes and [`traces()`] of the membranes of one
//! sample. [`save`] writes the text into a file. No font or library of the system is needed: labels
//! are SVG `<text>` in the reader's own sans-serif font, and the space for them is estimated
//! generously.
//!
//! The numbers come from wherever the caller has them, or from what the library keeps:
//!
//! | what | from | by |
//! |---|---|---|
//! | loss and accuracy of a run | [`History`](crate::History) | [`Curves::loss`], [`Curves::accuracy`] |
//! | norms of the gradients, layer by layer | [`History`](crate::History) | [`gradient_norms`] |
//! | spikes of any layer | [`Recording`](crate::Recording) | [`Panel::layer`] |
//! | membranes of any layer | [`Recording`](crate::Recording) | [`Traces::layer`] |
//!
//! It is not a plotting library. Sizes, colours and the layout are fixed; colours can be told
//! apart by colour-blind readers.
//!
//! Common to all: a NaN or an infinity is an [`Error::NonFinite`], never skipped, and empty
//! data an [`Error::Shape`]. Texts given by the caller are escaped; what does not fit is cut and
//! ends in `…`. A picture shows what its pixels can show and no more: long curves are thinned to the
//! extremes within each pixel column, spikes that would lie on one pixel are one mark, and whatever
//! the number of steps, neurons and batches, a file has at most 2 MB.
//!
//! ```
//! use ndarray::Array2;
//! use spikegrad::{Input, Leaky, Network, engine::reference::forward};
//! use spikegrad::plot::{Panel, Raster, Traces, raster, spread, traces};
//!
//! let network: Network = Network::builder(4)
//!     .layer(300, Leaky::new(0.9))
//!     .layer(3, Leaky::new(0.9))
//!     .build()?;
//! let x = Array2::ones((1, 4));
//! let recording = forward(&network, Input::constant(x.view(), 50))?;
//!
//! let panels = [
//!     Panel::layer(&recording, 2, 0, &spread(3, 3))?,
//!     Panel::layer(&recording, 1, 0, &spread(300, 100))?,
//! ];
//! assert_eq!(panels[1].label, "layer 1: 100 of 300 neurons");
//! let svg = raster(&Raster { panels: &panels, image: None, title: "sample 0" })?;
//! assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
//!
//! let svg = traces(&Traces::layer(&recording, &network, 1, 0, &[17, 170])?)?;
//! assert!(svg.contains("membrane potential, layer 1") && svg.contains("neuron 170"));
//! # Ok::<(), spikegrad::Error>(())
//! ```
//!
//! [`accuracy`] of the tutorial's network over five epochs:
//!
//! <div>
#![doc = include_str!("../docs/accuracy.svg")]
//! </div>

mod canvas;
mod curves;
mod gradients;
mod legend;
mod raster;
mod traces;

use std::path::Path;

use ndarray::{Array2, Array3};

use crate::{
    Float, Recording, Trace,
    error::{Error, Result},
};

pub use curves::{Curves, Series, accuracy, loss};
pub use gradients::{gradient_norms, gradients};
pub use raster::{Image, Panel, Raster, raster};
pub use traces::{Traces, traces};

/// Most series of a plot of curves.
const MOST_SERIES: usize = 20;

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

/// The numbers of at most `most` neurons, spread evenly over a layer of `neurons`; all of them where
/// they are no more.
///
/// ```
/// assert_eq!(spikegrad::plot::spread(10, 4), [0, 2, 5, 7]);
/// ```
pub fn spread(neurons: usize, most: usize) -> Vec<usize> {
    let shown = neurons.min(most);
    let place = |i: usize| (i as u128 * neurons as u128 / shown as u128) as usize;
    (0..shown).map(place).collect()
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

/// Refuses more series than there are looks for.
fn check_series(what: &str, series: &[Series]) -> Result<()> {
    if series.len() <= MOST_SERIES {
        return Ok(());
    }
    let expected = format!("at most {MOST_SERIES} series");
    Err(Error::shape(what, expected, &[series.len()]))
}

/// The layer of a recording, and what a plot calls it: `layer 1`, or `layer 2 (output)`.
fn layer_of<F: Float>(recording: &Recording<F>, layer: usize) -> Result<(&Trace<F>, String)> {
    let layers = recording.num_layers();
    let Some(trace) = recording.trace(layer) else {
        let kept: Vec<String> = (1..=layers)
            .filter(|&k| recording.trace(k).is_some())
            .map(|k| k.to_string())
            .collect();
        let expected = format!("a layer that was recorded: {}", kept.join(", "));
        return Err(Error::parameter("layer", layer, expected));
    };
    let output = if layer == layers { " (output)" } else { "" };
    Ok((trace, format!("layer {layer}{output}")))
}

/// `[T, neurons]` of one sample and some neurons of `[T, B, N]`.
fn selected<F: Float>(values: &Array3<F>, sample: usize, neurons: &[usize]) -> Result<Array2<f32>> {
    let (steps, samples, all) = values.dim();
    if sample >= samples {
        let expected = format!("below {samples}, the samples of the recording");
        return Err(Error::parameter("sample (from 0)", sample, expected));
    }
    if let Some(neuron) = neurons.iter().find(|&&n| n >= all) {
        let expected = format!("below {all}, the neurons of the layer");
        return Err(Error::parameter("neuron (from 0)", neuron, expected));
    }
    let value = |(t, i): (usize, usize)| values[[t, sample, neurons[i]]].as_f64() as f32;
    Ok(Array2::from_shape_fn((steps, neurons.len()), value))
}
