//! Signals over the steps of a run, such as an output and its target.

use super::canvas::Axis;
use super::lines::lines;
use super::{Series, check_series, finite};
use crate::error::{Error, Result};

/// Draws up to 20 series over time steps, on a linear axis. The legend gives each one's last value.
///
/// ```
/// use spikegrad::plot::{Series, signals};
///
/// let series = |label: &str, slope: f64| Series {
///     label: label.into(),
///     points: (0..50).map(|t| (t as f64, slope * t as f64)).collect(),
/// };
/// let svg = signals(&[series("target", 0.02), series("membrane", 0.021)])?;
/// assert!(svg.contains("time step") && svg.contains("target (last: 0.980)"));
/// # Ok::<(), spikegrad::Error>(())
/// ```
///
/// # Errors
/// - [`Error::Shape`] if there is no series, more than 20, or a series without points.
/// - [`Error::NonFinite`] if a value or an x is NaN or infinite.
/// - [`Error::InvalidParameter`] if a value is beyond 1e100, or an x is negative or not above the one
///   before.
pub fn signals(series: &[Series]) -> Result<String> {
    if series.is_empty() {
        return Err(Error::shape("signals", "[series], at least 1", &[0]));
    }
    check_series("signals", series)?;
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for series in series {
        let name = format!("signal '{}'", series.label);
        if series.points.is_empty() {
            return Err(Error::shape(name, "[points], at least 1", &[0]));
        }
        let mut before = f64::NEG_INFINITY;
        for (i, &(x, value)) in series.points.iter().enumerate() {
            finite(&name, value, || format!("index {i}"))?;
            finite(&format!("x of {name}"), x, || format!("index {i}"))?;
            if x < 0.0 || x <= before {
                let expected = "a step of at least 0, above the previous x";
                return Err(Error::parameter(
                    format!("x of {name}, index {i}"),
                    x,
                    expected,
                ));
            }
            if value.abs() > 1e100 {
                let expected = "at most 1e100 in size";
                return Err(Error::parameter(
                    format!("{name}, index {i}"),
                    value,
                    expected,
                ));
            }
            before = x;
            (low, high) = (low.min(value), high.max(value));
        }
    }
    let room = match high > low {
        true => 0.05 * (high - low),
        false => 1.0_f64.max(0.05 * high.abs()),
    };
    let y = Axis::new("value", low - room, high + room, 6, 0.0);
    lines(series, "time step", &y, |value| value)
}
