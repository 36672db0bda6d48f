//! Lines over batches or steps, with a legend that gives each one's last value.

use super::Series;
use super::canvas::{self, Axis, Frame, style};
use super::curves::series_of;
use super::legend::{self, Entry, Marker};
use super::traces::COLOURS;
use crate::error::Result;

const WIDTH: f64 = 880.0;
const PLOT_HEIGHT: f64 = 360.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 28.0;

/// Draws checked series; `x` names their axis, and `height` is where a value lies on the axis `y`.
pub(super) fn lines(
    series: &[Series],
    x: &str,
    y: &Axis,
    height: impl Fn(f64) -> f64,
) -> Result<String> {
    let markers = [Marker::Circle, Marker::Square, Marker::Triangle];
    let look = |i: usize| (COLOURS[i % COLOURS.len()], markers[i / COLOURS.len() % 3]);
    let points = series.iter().flat_map(|series| &series.points);
    let end = points.map(|p| p.0).fold(0.0, f64::max);
    let width = WIDTH - LEFT - RIGHT;
    let entries: Vec<Entry> = (series.iter().enumerate())
        .map(|(i, series)| {
            let (colour, marker) = look(i);
            let last = series.points.last().map_or(0.0, |p| p.1);
            let name = canvas::fit(&series.label, canvas::SMALL, width - 180.0);
            let label = format!("{name} (last: {})", canvas::significant(last));
            Entry {
                marker: Some((marker, colour)),
                ..Entry::new(label, style(&colour, 1.8))
            }
        })
        .collect();
    let top = 22.0 + legend::height(&entries, width + 20.0);
    let below = canvas::X_LABELS + 10.0;
    canvas::page(WIDTH, top + PLOT_HEIGHT + below, |area, _| {
        legend::draw(area, &entries, (LEFT, 10.0), width + 20.0)?;
        let frame = Frame {
            left: LEFT,
            right: RIGHT,
            top,
            bottom: below,
            x_labels: true,
        };
        let x = Axis::new(x, 0.0, end.max(1.0), 9, 1.0);
        let mut chart = canvas::panel(area, frame, &x, y)?;
        for (i, series) in series.iter().enumerate() {
            let (colour, marker) = look(i);
            let points = series.points.iter().map(|&(x, value)| (x, height(value)));
            series_of(area, &mut chart, points.collect(), colour, marker)?;
        }
        Ok(())
    })
}
