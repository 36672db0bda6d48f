//! The legend, and the markers of series.
//!
//! Entries run from left to right and wrap. Nothing is cut here: the plots cut the caller's labels
//! before they create entries.

use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{Area, INK, SMALL, failed, font, px, style, text_width, write};
use crate::error::Result;

/// Height of a row of the legend.
const ROW: f64 = 20.0;
/// Length of the line drawn before a label of the legend.
const SWATCH: f64 = 26.0;

/// How the points of a series are marked.
#[derive(Clone, Copy)]
pub(super) enum Marker {
    Circle,
    Square,
    Triangle,
}

/// Draws a marker of `radius` pixels at `at`, in drawing units of the page.
pub(super) fn mark(
    area: &Area,
    marker: Marker,
    at: (i32, i32),
    radius: f64,
    colour: RGBColor,
) -> Result<()> {
    let (fill, r) = (style(&colour, 1.0), px(radius));
    match marker {
        Marker::Circle => area.draw(&Circle::new(at, r, fill)),
        Marker::Square => area.draw(&Rectangle::new(
            [(at.0 - r, at.1 - r), (at.0 + r, at.1 + r)],
            fill,
        )),
        Marker::Triangle => area.draw(&TriangleMarker::new(at, px(radius * 1.3), fill)),
    }
    .map_err(failed)
}

/// A line of the legend.
pub(super) struct Entry {
    pub label: String,
    pub line: ShapeStyle,
    pub dashed: bool,
    pub marker: Option<(Marker, RGBColor)>,
    pub bold: bool,
    /// Whether it starts a row even where the row before has room.
    pub breaks: bool,
}

impl Entry {
    /// A solid line.
    pub(super) fn new(label: String, line: ShapeStyle) -> Self {
        Entry {
            label,
            line,
            dashed: false,
            marker: None,
            bold: false,
            breaks: false,
        }
    }

    fn width(&self) -> f64 {
        SWATCH + 7.0 + text_width(&self.label, SMALL) + 20.0
    }
}

/// The x of each entry and its row, entries being wrapped at `width` pixels.
fn places(entries: &[Entry], width: f64) -> Vec<(f64, usize)> {
    let (mut x, mut row) = (0.0, 0);
    let place = |entry: &Entry| {
        if x > 0.0 && (entry.breaks || x + entry.width() > width) {
            (x, row) = (0.0, row + 1);
        }
        let here = (x, row);
        x += entry.width();
        here
    };
    entries.iter().map(place).collect()
}

/// Rows of the legend.
pub(super) fn rows(entries: &[Entry], width: f64) -> usize {
    places(entries, width).last().map_or(0, |(_, row)| row + 1)
}

/// Height of the legend in pixels.
pub(super) fn height(entries: &[Entry], width: f64) -> f64 {
    rows(entries, width) as f64 * ROW
}

/// Draws the entries from left to right, wrapped at `width` pixels, the top left corner at `at`.
pub(super) fn draw(area: &Area, entries: &[Entry], at: (f64, f64), width: f64) -> Result<()> {
    for (entry, (x, row)) in entries.iter().zip(places(entries, width)) {
        let (x, y) = (at.0 + x, at.1 + (row as f64 + 0.5) * ROW);
        let ends = [(px(x), px(y)), (px(x + SWATCH), px(y))];
        if entry.dashed {
            area.draw(&DashedPathElement::new(ends, px(6.0), px(4.0), entry.line))
                .map_err(failed)?;
        } else {
            area.draw(&PathElement::new(ends.to_vec(), entry.line))
                .map_err(failed)?;
        }
        if let Some((marker, colour)) = entry.marker {
            mark(area, marker, (px(x + SWATCH / 2.0), px(y)), 4.0, colour)?;
        }
        write(
            area,
            &entry.label,
            &font(SMALL, INK, entry.bold, HPos::Left),
            (x + SWATCH + 7.0, y),
        )?;
    }
    Ok(())
}
