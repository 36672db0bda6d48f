//! The gradient norm of each layer over a training run. The axis is logarithmic, since the norms
//! differ by orders of magnitude if gradients vanish or explode.

use super::canvas::Axis;
use super::lines::lines;
use super::{Series, check_series, finite};
use crate::{
    History,
    error::{Error, Result},
};

/// Largest and smallest norm that the axis can show.
const LARGEST: f64 = 1e100;
const SMALLEST: f64 = 1e-100;

/// The measured gradient norms of a run
/// ([`Engine::measure_gradients`](crate::Engine::measure_gradients)), one series per layer: `layer
/// 1`, `layer 2`, …, where `x` is the number of batches trained, including the measured one. Empty
/// if nothing was measured.
pub fn gradient_norms(history: &History) -> Vec<Series> {
    let norms = |layer: usize| {
        let batches = (1..).zip(&history.batches);
        let point = |(x, record): (usize, &crate::train::BatchRecord)| {
            let norms = record.report.gradient_norms.as_ref()?;
            Some((x as f64, *norms.get(layer)?))
        };
        Series {
            label: format!("layer {}", layer + 1),
            points: batches.filter_map(point).collect(),
        }
    };
    let measured = history.batches.iter();
    let measured = measured.filter_map(|b| b.report.gradient_norms.as_ref());
    let layers = measured.map(Vec::len).max().unwrap_or(0);
    (0..layers).map(norms).collect()
}

/// Draws gradient norms over the batches, one line for each of up to 20 series, on a logarithmic
/// axis. Norms of 0 or below 1e-100 lie at its lower end. The legend gives each series' last value.
///
/// ```
/// use spikegrad::plot::{Series, gradients};
///
/// let layer = |k: usize, norm: f64| Series {
///     label: format!("layer {k}"),
///     points: (1..=40).map(|x| (x as f64, norm / (x as f64).sqrt())).collect(),
/// };
/// let svg = gradients(&[layer(1, 0.02), layer(2, 1.5)])?;
/// assert!(svg.contains("layer 2 (last: 0.237)"));
/// # Ok::<(), spikegrad::Error>(())
/// ```
///
/// # Errors
/// - [`Error::Shape`] if there is no series, more than 20, or a series without points.
/// - [`Error::NonFinite`] if a norm or an x is NaN or infinite.
/// - [`Error::InvalidParameter`] if a norm is negative or above 1e100, or an x is negative or not above
///   the one before.
pub fn gradients(layers: &[Series]) -> Result<String> {
    check(layers)?;
    let points = layers.iter().flat_map(|series| &series.points);
    let norms = points.map(|p| p.1).filter(|norm| *norm > SMALLEST);
    let (low, high) = norms.fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    let y = match high > 0.0 {
        true => Axis::logarithmic("norm of the gradients", low, high),
        false => Axis::logarithmic("norm of the gradients", 0.1, 1.0),
    };
    let height = |norm: f64| match norm > SMALLEST {
        true => norm.log10(),
        false => y.lo,
    };
    lines(layers, "batch", &y, height)
}

fn check(layers: &[Series]) -> Result<()> {
    if layers.is_empty() {
        let expected = "[layers], at least 1; enable Engine::measure_gradients";
        return Err(Error::shape("gradient norms", expected, &[0]));
    }
    check_series("gradient norms", layers)?;
    for series in layers {
        let name = format!("gradient norm of '{}'", series.label);
        if series.points.is_empty() {
            return Err(Error::shape(name, "[points], at least 1", &[0]));
        }
        let mut before = None;
        for (i, &(x, norm)) in series.points.iter().enumerate() {
            finite(&name, norm, || format!("index {i}"))?;
            finite(&format!("x of {name}"), x, || format!("index {i}"))?;
            if x < 0.0 || before.is_some_and(|before| x <= before) {
                let expected = "a non-negative number of batches, above the previous x";
                return Err(Error::parameter(
                    format!("x of {name}, index {i}"),
                    x,
                    expected,
                ));
            }
            if !(0.0..=LARGEST).contains(&norm) {
                let expected = format!("0 to {LARGEST:e}");
                return Err(Error::parameter(
                    format!("{name}, index {i}"),
                    norm,
                    expected,
                ));
            }
            before = Some(x);
        }
    }
    Ok(())
}
