//! Loss and accuracy over a training run.
//!
//! The x axis counts the batches over all epochs, from 1. A thin pale line shows the training value
//! of every batch. A second line shows its mean over a centered window of about a fiftieth of the
//! run (truncated at the ends). Validation series are markers joined by lines. Every x of a
//! validation point marks the end of an epoch, with a vertical line and the epoch's number above
//! the plot.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{self, Area, Axis, Chart, Frame, failed, numbered, px, style, thin};
use super::legend::{self, Entry, Marker};
use super::{check_series, finite};
use crate::{
    History, StepReport,
    error::{Error, Result},
    train::EpochRecord,
};

const WIDTH: f64 = 880.0;
const PLOT_HEIGHT: f64 = 360.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 28.0;
/// Height of the row with the epochs' numbers.
const EPOCHS: f64 = 24.0;
/// Largest magnitude drawn; the axis arithmetic fails beyond it.
const LARGEST: f64 = 1e100;

/// A named series of points; for validation, one per epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The label in the legend.
    pub label: String,
    /// `(x, value)`: `x` is the number of batches trained before the value was measured, counted
    /// over all epochs, increasing. In [`Curves`] it lies within `0..=train.len()`. It need not be whole.
    pub points: Vec<(f64, f64)>,
}

/// The data of [`loss`] and [`accuracy`].
///
/// ```
/// # use ndarray::Array2;
/// # use spikegrad::{Adam, Device, Leaky, Loss, Network, Trainer, data::Dataset};
/// # use std::ops::ControlFlow;
/// use spikegrad::plot::{self, Curves};
/// # let images = Array2::from_shape_fn((40, 4), |(b, n)| if b % 2 == n % 2 { 255 } else { 0 });
/// # let data = Dataset::new(images, (0..40).map(|b| b % 2).collect(), 2)?;
/// # let network: Network = Network::builder(4).layer(2, Leaky::new(0.9)).build()?;
/// # let mut engine = Device::Cpu.engine(network, Loss::CrossEntropyMembrane, Adam::new(1e-2))?;
/// # let trainer = Trainer { epochs: 2, batch_size: 4, ..Trainer::default() };
///
/// let history = trainer.fit(&mut *engine, &data, Some(&data), |_, _| Ok(ControlFlow::Continue(())))?;
/// let svg = plot::loss(&Curves::loss(&history, "validation"))?;
/// assert!(svg.contains("epoch 2"));
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// The value on each training batch, over all epochs; batch `i` (from 0) stands at `i + 1`.
    pub train: Vec<f64>,
    /// Up to 20 validation series, or none.
    pub validation: Vec<Series>,
}

impl Curves {
    /// The loss of every training batch and, as a series with that label, of the validation after
    /// each epoch, if any.
    pub fn loss(history: &History, validation: &str) -> Self {
        let loss: Value = |report| report.loss;
        Self::of(history, loss, vec![(validation.into(), loss)])
    }

    /// The accuracy by spike count of every training batch, and of the validation after each epoch,
    /// if any, by spike count and by membrane: two series, `validation, spike count` and
    /// `validation, membrane`, with the given label in place of `validation`.
    pub fn accuracy(history: &History, validation: &str) -> Self {
        let count: Value = StepReport::accuracy_spike_count;
        let membrane: Value = StepReport::accuracy_membrane;
        let series = vec![
            (format!("{validation}, spike count"), count),
            (format!("{validation}, membrane"), membrane),
        ];
        Self::of(history, count, series)
    }

    fn of(history: &History, train: Value, validation: Vec<(String, Value)>) -> Self {
        let series = |(label, value): (String, Value)| {
            let point = |record: &EpochRecord| {
                let trained = history.batches.partition_point(|b| b.epoch <= record.epoch);
                Some((trained as f64, value(record.validation.as_ref()?)))
            };
            Series {
                label,
                points: history.epochs.iter().filter_map(point).collect(),
            }
        };
        let validation = validation.into_iter().map(series);
        Curves {
            train: history.batches.iter().map(|b| train(&b.report)).collect(),
            validation: validation.filter(|s| !s.points.is_empty()).collect(),
        }
    }
}

/// A value taken from a report.
type Value = fn(&StepReport) -> f64;

/// Draws the loss over the batches, on a linear axis that starts at 0 (lower if a loss is
/// negative). The legend gives each validation series' last value.
///
/// # Errors
/// - [`Error::Shape`] if `train` or the points of a series are empty, or there are more than 20 series.
/// - [`Error::NonFinite`] if a value or an x is NaN or infinite.
/// - [`Error::InvalidParameter`] if an x is outside `0..=train.len()` or not above the one before,
///   or a loss is beyond ±1e100.
pub fn loss(curves: &Curves) -> Result<String> {
    check("loss", curves, -LARGEST, LARGEST)?;
    let (low, high) = range(curves);
    let (low, high) = (low.min(0.0), high.max(0.0));
    let room = 0.04 * (high - low);
    let y = Axis::new(
        "loss",
        if low < 0.0 { low - room } else { 0.0 },
        high + room,
        6,
        0.0,
    );
    draw(curves, &y, 1.0, canvas::significant)
}

/// Draws the accuracy over the batches, in percent from the lowest value (rounded down to a ten)
/// to 100 %. Values are fractions in `0..=1`. The legend gives each validation series' last value.
///
/// # Errors
/// - [`Error::Shape`] if `train` or the points of a series are empty, or there are more than 20 series.
/// - [`Error::NonFinite`] if a value or an x is NaN or infinite.
/// - [`Error::InvalidParameter`] if an accuracy is outside `0..=1`, or an x is outside
///   `0..=train.len()` or not above the one before.
pub fn accuracy(curves: &Curves) -> Result<String> {
    check("accuracy", curves, 0.0, 1.0)?;
    let low = (range(curves).0 * 10.0).floor().min(9.0) * 10.0;
    let y = Axis::new("accuracy (%)", low, 100.0, 10, 1.0);
    draw(curves, &y, 100.0, |value| format!("{value:.2} %"))
}

fn check(what: &str, curves: &Curves, lowest: f64, highest: f64) -> Result<()> {
    let value = |name: String, value: f64, index: usize| {
        finite(&name, value, || format!("index {index}"))?;
        if value < lowest || value > highest {
            let expected = format!("{lowest} to {highest}");
            return Err(Error::parameter(
                format!("{name}, index {index}"),
                value,
                expected,
            ));
        }
        Ok(())
    };
    if curves.train.is_empty() {
        return Err(Error::shape(
            format!("training {what}"),
            "[batches], at least 1",
            &[0],
        ));
    }
    for (i, &v) in curves.train.iter().enumerate() {
        value(format!("training {what}"), v, i)?;
    }
    let batches = curves.train.len() as f64;
    check_series(&format!("validation {what}"), &curves.validation)?;
    for series in &curves.validation {
        let name = format!("{what} of '{}'", series.label);
        if series.points.is_empty() {
            return Err(Error::shape(name, "[epochs], at least 1", &[0]));
        }
        let mut before = f64::NEG_INFINITY;
        for (i, &(x, v)) in series.points.iter().enumerate() {
            finite(&format!("x of {name}"), x, || format!("index {i}"))?;
            if !(0.0..=batches).contains(&x) || x <= before {
                let expected = format!("0 to {batches} batches, above the previous x");
                return Err(Error::parameter(
                    format!("x of {name}, index {i}"),
                    x,
                    expected,
                ));
            }
            value(name.clone(), v, i)?;
            before = x;
        }
    }
    Ok(())
}

/// Lowest and highest of all values.
fn range(curves: &Curves) -> (f64, f64) {
    let validation = curves
        .validation
        .iter()
        .flat_map(|series| series.points.iter().map(|p| &p.1));
    let extend = |(low, high): (f64, f64), &v: &f64| (low.min(v), high.max(v));
    curves
        .train
        .iter()
        .chain(validation)
        .fold((f64::INFINITY, f64::NEG_INFINITY), extend)
}

/// Means over windows of `2 half + 1`, cut off at both ends; linear in the number of values.
fn smooth(values: &[f64], half: usize) -> Vec<f64> {
    if half == 0 {
        return values.to_vec();
    }
    let n = values.len();
    let mut sums = vec![0.0; n + 1];
    for (i, value) in values.iter().enumerate() {
        sums[i + 1] = sums[i] + value;
    }
    let mean = |i: usize| {
        let (start, end) = (i.saturating_sub(half), (i + half + 1).min(n));
        (sums[end] - sums[start]) / (end - start) as f64
    };
    (0..n).map(mean).collect()
}

fn draw(curves: &Curves, y: &Axis, factor: f64, last: impl Fn(f64) -> String) -> Result<String> {
    let n = curves.train.len();
    let train: Vec<f64> = curves.train.iter().map(|v| v * factor).collect();
    // Fewer than ten batches are not smoothed.
    let half = if n < 10 { 0 } else { (n / 100).max(1) };
    let pale = style(&canvas::BLUE.mix(0.4), 0.8);
    let strong = style(&canvas::BLUE, 2.2);

    let mut entries = Vec::new();
    if half == 0 {
        entries.push(Entry::new("training, each batch".into(), strong));
    } else {
        entries.push(Entry::new("training, each batch".into(), pale));
        let label = format!("training, mean of {} batches", 2 * half + 1);
        entries.push(Entry::new(label, strong));
    }
    let width = WIDTH - LEFT - RIGHT;
    for (i, series) in curves.validation.iter().enumerate() {
        let (colour, marker) = look(i);
        let value = series.points.last().map_or(String::new(), |p| {
            format!(" (last: {})", last(p.1 * factor))
        });
        let name = canvas::fit(&series.label, canvas::SMALL, width - 180.0);
        entries.push(Entry {
            marker: Some((marker, colour)),
            ..Entry::new(name + &value, style(&colour, 1.8))
        });
    }

    // Training and validation get separate rows if one row is too short for both.
    let first = entries.len() - curves.validation.len();
    if legend::rows(&entries, width + 20.0) > 1 && first < entries.len() {
        entries[first].breaks = true;
    }
    let rows = legend::height(&entries, width + 20.0);
    let top = 12.0 + rows + EPOCHS;
    let height = top + PLOT_HEIGHT + canvas::X_LABELS + 10.0;
    canvas::page(WIDTH, height, |area, _| {
        legend::draw(area, &entries, (LEFT, 10.0), width + 20.0)?;
        let frame = Frame {
            left: LEFT,
            right: RIGHT,
            top,
            bottom: canvas::X_LABELS + 10.0,
            x_labels: true,
        };
        let mut x = Axis::new("batch", 0.0, n as f64, 9, 1.0);
        // A single batch is a point with space on both sides.
        (x.lo, x.hi) = if n == 1 { (0.0, 2.0) } else { (x.lo, x.hi) };
        let mut chart = canvas::panel(area, frame, &x, y)?;
        epochs(area, &chart, curves, top, width / (x.hi - x.lo))?;

        if half > 0 {
            chart
                .draw_series(LineSeries::new(thin(numbered(&train, 1.0)), pale))
                .map_err(failed)?;
        }
        let mean = thin(numbered(&smooth(&train, half), 1.0));
        chart
            .draw_series(LineSeries::new(mean, strong))
            .map_err(failed)?;
        if n == 1 {
            legend::mark(
                area,
                Marker::Circle,
                chart.backend_coord(&(1.0, train[0])),
                3.0,
                canvas::BLUE,
            )?;
        }
        for (i, series) in curves.validation.iter().enumerate() {
            let (colour, marker) = look(i);
            let points: Vec<_> = series
                .points
                .iter()
                .map(|&(x, v)| (x, v * factor))
                .collect();
            series_of(area, &mut chart, points, colour, marker)?;
        }
        Ok(())
    })
}

/// A line through a series' points, and markers on them.
pub(super) fn series_of(
    area: &Area,
    chart: &mut Chart,
    points: Vec<(f64, f64)>,
    colour: RGBColor,
    marker: Marker,
) -> Result<()> {
    let marked: Vec<_> = canvas::marked(&points).copied().collect();
    // Markers that would touch shrink.
    let radius = ((WIDTH - LEFT - RIGHT) / marked.len() as f64 / 3.0).clamp(1.5, 4.0);
    chart
        .draw_series(LineSeries::new(thin(points), style(&colour, 1.8)))
        .map_err(failed)?;
    for point in &marked {
        legend::mark(area, marker, chart.backend_coord(point), radius, colour)?;
    }
    Ok(())
}

/// Colour and marker of validation series `i`.
fn look(i: usize) -> (RGBColor, Marker) {
    let colours = [
        canvas::VERMILLION,
        canvas::GREEN,
        canvas::PURPLE,
        canvas::ORANGE,
    ];
    (
        colours[i % 4],
        [Marker::Circle, Marker::Square, Marker::Triangle][i % 3],
    )
}

/// A vertical line at the end of each epoch and the epoch's number above it, both thinned if too
/// many. `scale` is pixels per batch.
fn epochs(area: &Area, chart: &Chart, curves: &Curves, top: f64, scale: f64) -> Result<()> {
    let mut ends: Vec<f64> = curves
        .validation
        .iter()
        .flat_map(|s| s.points.iter().map(|p| p.0))
        .collect();
    ends.retain(|&x| x > 0.0);
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    let Some(&end) = ends.last() else {
        return Ok(());
    };
    let mean = scale * end / ends.len() as f64;
    let every = |pixels: f64| {
        let mut steps = (0..18).flat_map(|p| [1, 2, 5].map(|m: usize| m * 10usize.pow(p)));
        steps
            .find(|step| *step as f64 * mean >= pixels)
            .unwrap_or(usize::MAX)
    };
    let long = mean >= canvas::text_width("epoch 99", canvas::SMALL);
    let (lines, numbers) = (every(20.0), every(32.0));
    let font = canvas::font(canvas::SMALL, canvas::SOFT, false, HPos::Center);
    for (i, &x) in ends.iter().enumerate() {
        let number = i + 1;
        let (column, bottom) = chart.backend_coord(&(x, chart.y_range().start));
        if number.is_multiple_of(lines) {
            let ends = vec![(column, px(top)), (column, bottom)];
            area.draw(&PathElement::new(
                ends,
                style(&RGBColor(190, 190, 190), 1.0),
            ))
            .map_err(failed)?;
        }
        if number.is_multiple_of(numbers) {
            let start = if i == 0 { 0.0 } else { ends[i - 1] };
            let middle = LEFT + (start + x) / 2.0 * scale;
            let text = if long {
                format!("epoch {number}")
            } else {
                number.to_string()
            };
            canvas::write(area, &text, &font, (middle, top - 14.0))?;
        }
    }
    if !long {
        canvas::write(
            area,
            "epoch",
            &canvas::font(canvas::SMALL, canvas::SOFT, false, HPos::Right),
            (LEFT - 8.0, top - 14.0),
        )?;
    }
    Ok(())
}
