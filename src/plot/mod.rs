//! Plots of a training run and of single samples, as SVG text.
//!
//! There are seven plots, each a pure function from numbers to a `String`: [`loss`], [`accuracy`],
//! [`gradients`] and [`learning_rate`] over the batches, [`signals`] over the steps, [`raster()`] of the spikes and [`traces()`] of the membranes
//! of one sample. [`save`] writes the text to a file. No system font or library is needed: labels
//! are SVG `<text>` in the viewer's sans-serif font, with generous space.
//!
//! The caller supplies the numbers or takes them from the library:
//!
//! | data | source | function |
//! |---|---|---|
//! | loss and accuracy of a run | [`History`](crate::History) | [`Curves::loss`], [`Curves::accuracy`] |
//! | learning rate of a run | [`History`](crate::History) | [`learning_rate`] itself |
//! | gradient norms of each layer | [`History`](crate::History) | [`gradient_norms`] |
//! | spikes of any layer | [`Recording`](crate::Recording) | [`Panel::layer`] |
//! | membranes of any layer | [`Recording`](crate::Recording) | [`Traces::layer`] |
//!
//! Sizes, colors and layout are fixed; the colors are distinguishable for color-blind readers.
//!
//! In all plots, NaN or infinity is an [`Error::NonFinite`] and empty data an [`Error::Shape`].
//! Text from the caller is escaped; text that is too long is cut and ends in `…`. Long curves are
//! thinned to the extremes within each pixel column, and spikes on the same pixel become one mark.
//! A file has at most 2 MB for any number of steps, neurons and batches.
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
mod lines;
mod raster;
mod rate;
mod signals;
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
pub use rate::learning_rate;
pub use signals::signals;
pub use traces::{Traces, traces};

/// Maximum number of series in a plot of curves.
const MOST_SERIES: usize = 20;

/// Writes SVG text to the file at `path`, which is created or replaced.
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

/// The indices of at most `most` neurons, spread evenly over a layer of `neurons`; all of them if
/// the layer has no more.
///
/// ```
/// assert_eq!(spikegrad::plot::spread(10, 4), [0, 2, 5, 7]);
/// ```
pub fn spread(neurons: usize, most: usize) -> Vec<usize> {
    let shown = neurons.min(most);
    let place = |i: usize| (i as u128 * neurons as u128 / shown as u128) as usize;
    (0..shown).map(place).collect()
}

/// Reports NaN or infinity. `position` is only called for the message.
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

/// Checks that there are enough styles for the series.
fn check_series(what: &str, series: &[Series]) -> Result<()> {
    if series.len() <= MOST_SERIES {
        return Ok(());
    }
    let expected = format!("at most {MOST_SERIES} series");
    Err(Error::shape(what, expected, &[series.len()]))
}

/// A layer of a recording and its name in plots: `layer 1`, or `layer 2 (output)`.
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
