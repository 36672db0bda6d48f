//! The membrane potentials of the output neurons over time, for one sample.
//!
//! Drawn as they were recorded, step by step from 0 to T − 1, after or before the reset as the
//! caller recorded them. Each class has its colour; the target's line is thick and on top.

use ndarray::ArrayView2;
use plotters::prelude::*;

use super::canvas::{self, Axis, Frame, failed, px, style, thin};
use super::finite;
use super::legend::{self, Entry, Marker};
use crate::error::{Error, Result};

const WIDTH: f64 = 880.0;
const LEFT: f64 = 84.0;
/// Right of the plot: the legend.
const RIGHT: f64 = 160.0;
/// Most outputs: twice the palette.
const MOST: usize = 20;

/// Paul Tol's *muted* palette, <https://sronpersonalpages.nl/~pault/>, and a grey as the tenth.
const CLASSES: [RGBColor; 10] = [
    RGBColor(51, 34, 136),
    RGBColor(136, 204, 238),
    RGBColor(68, 170, 153),
    RGBColor(17, 119, 51),
    RGBColor(153, 153, 51),
    RGBColor(221, 204, 119),
    RGBColor(204, 102, 119),
    RGBColor(136, 34, 85),
    RGBColor(170, 68, 153),
    RGBColor(119, 119, 119),
];

/// What [`traces()`] draws.
#[derive(Debug, Clone, Copy)]
pub struct Traces<'a> {
    /// Membrane potentials of the outputs, in the unit of the threshold, shape `[T, n_out]`, at
    /// most 20 outputs.
    pub mem: ArrayView2<'a, f32>,
    /// The threshold of all outputs (length 1), or of each (length `n_out`).
    pub threshold: &'a [f32],
    /// The class to draw with emphasis.
    pub target: Option<usize>,
    /// What is written above; may be empty.
    pub title: &'a str,
}

/// Draws the membranes as lines (the eleventh to twentieth dashed) and the threshold as a dashed
/// line; thresholds that differ each get a dashed line in the class's colour. T = 1 gives points.
///
/// # Errors
/// - [`Error::Shape`] if `mem` has no step, no output or more than 20, or `threshold` is neither
///   of length 1 nor `n_out`.
/// - [`Error::NonFinite`] if a membrane or a threshold is NaN or infinite.
/// - [`Error::Target`] if `target` is not below `n_out`.
pub fn traces(data: &Traces) -> Result<String> {
    check(data)?;
    let (steps, n_out) = data.mem.dim();
    let colour = |class: usize| CLASSES[class % CLASSES.len()];
    let is_target = |class: usize| data.target == Some(class);
    let line = |class: usize| match is_target(class) {
        true => style(&colour(class), 3.6),
        false => style(&colour(class).mix(0.9), 1.5),
    };
    let common = data.threshold.iter().all(|t| *t == data.threshold[0]);
    let threshold = style(&canvas::INK, 1.4);

    let mut entries: Vec<Entry> = (0..n_out)
        .map(|class| Entry {
            label: format!("{class}{}", if is_target(class) { " (target)" } else { "" }),
            line: line(class),
            dashed: class >= CLASSES.len(),
            marker: None,
            bold: is_target(class),
            breaks: true,
        })
        .collect();
    let label = if common { "threshold" } else { "thresholds" };
    entries.push(Entry {
        label: label.into(),
        line: threshold,
        dashed: true,
        marker: None,
        bold: false,
        breaks: true,
    });

    let top = if data.title.is_empty() { 16.0 } else { 44.0 };
    let plot_height = legend::height(&entries, RIGHT).max(320.0);
    let below = canvas::X_LABELS + 10.0;
    canvas::page(WIDTH, top + plot_height + below, |area| {
        canvas::title(area, data.title, WIDTH)?;
        legend::draw(area, &entries, (WIDTH - RIGHT + 16.0, top), RIGHT)?;

        let all = data.mem.iter().chain(data.threshold).map(|v| f64::from(*v));
        let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
        let room = 0.05 * (high - low);
        // A single step gets room on both sides.
        let side = if steps == 1 { 0.5 } else { 0.0 };
        let x = Axis::new("time step", -side, (steps - 1) as f64 + side, 10, 1.0);
        let y = Axis::new("membrane potential", low - room, high + room, 7, 0.0);
        let frame = Frame {
            left: LEFT,
            right: RIGHT,
            top,
            bottom: below,
            x_labels: true,
        };
        let mut chart = canvas::panel(area, frame, &x, &y)?;

        let level = |value: f32| [(x.lo, f64::from(value)), (x.hi, f64::from(value))];
        let shown = if common {
            &data.threshold[..1]
        } else {
            data.threshold
        };
        for (class, value) in shown.iter().enumerate() {
            let dashes = if common {
                threshold
            } else {
                style(&colour(class), 1.2)
            };
            let series = DashedLineSeries::new(level(*value), px(6.0), px(4.0), dashes);
            chart.draw_series(series).map_err(failed)?;
        }
        let order = (0..n_out).filter(|c| !is_target(*c)).chain(data.target);
        for class in order {
            let values: Vec<f64> = data
                .mem
                .column(class)
                .iter()
                .map(|v| f64::from(*v))
                .collect();
            let points = thin(&values, 0.0);
            if steps == 1 {
                let radius = if is_target(class) { 5.0 } else { 3.0 };
                legend::mark(
                    area,
                    Marker::Circle,
                    chart.backend_coord(&points[0]),
                    radius,
                    colour(class),
                )?;
            } else if class < CLASSES.len() {
                chart
                    .draw_series(LineSeries::new(points, line(class)))
                    .map_err(failed)?;
            } else {
                let series = DashedLineSeries::new(points, px(6.0), px(4.0), line(class));
                chart.draw_series(series).map_err(failed)?;
            }
        }
        Ok(())
    })
}

fn check(data: &Traces) -> Result<()> {
    let (steps, n_out) = data.mem.dim();
    if steps == 0 || !(1..=MOST).contains(&n_out) {
        let expected = format!("[T, n_out], at least 1 step and 1 to {MOST} outputs");
        return Err(Error::shape("output membranes", expected, data.mem.shape()));
    }
    if data.threshold.len() != 1 && data.threshold.len() != n_out {
        let expected = format!("[1] or [n_out = {n_out}]");
        return Err(Error::shape("threshold", expected, &[data.threshold.len()]));
    }
    for ((t, class), &value) in data.mem.indexed_iter() {
        finite("output membrane", value.into(), || {
            format!("step {t}, class {class}")
        })?;
    }
    for (i, &value) in data.threshold.iter().enumerate() {
        finite("threshold", value.into(), || format!("index {i}"))?;
    }
    match data.target {
        Some(value) if value >= n_out => Err(Error::Target {
            index: 0,
            value,
            classes: n_out,
        }),
        _ => Ok(()),
    }
}
