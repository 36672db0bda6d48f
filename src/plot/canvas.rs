//! Shared by the plots: the page, text, axes, and the thinning of long series.
//!
//! Lengths are given in pixels of the finished picture. plotters places everything on whole
//! drawing units, so the page is drawn [`UNIT`] times too large and shown through its `viewBox`:
//! curves then bend at quarter pixels instead of climbing in stairs.
//!
//! Elements that plotters cannot write compactly (thousands of dots, dashed lines of thousands of
//! points) are written here as SVG text, after the output of plotters and so on top of it.
//!
//! plotters has no font metrics here (its `ttf` feature is off). Widths are taken as
//! [`text_width`] says, which is on the wide side for the usual sans-serif fonts.

use std::io;
use std::ops::Range;
use std::path::PathBuf;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, Result};

/// Drawing units per pixel.
const UNIT: f64 = 4.0;
/// Font size of tick labels and legends.
pub(super) const SMALL: f64 = 12.0;
/// Font size of axis names.
pub(super) const MEDIUM: f64 = 13.0;
/// Font size of titles.
pub(super) const LARGE: f64 = 15.0;
/// Pixel columns that [`thin`] counts on.
const COLUMNS: usize = 1000;
/// Most markers on the points of a series.
const MARKERS: usize = 200;

/// Okabe and Ito's palette, <https://jfly.uni-koeln.de/color/>, without its yellow, too pale for
/// a line on white.
pub(super) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(super) const VERMILLION: RGBColor = RGBColor(213, 94, 0);
pub(super) const GREEN: RGBColor = RGBColor(0, 158, 115);
pub(super) const PURPLE: RGBColor = RGBColor(204, 121, 167);
pub(super) const ORANGE: RGBColor = RGBColor(230, 159, 0);
/// Text, axes and the grid.
pub(super) const INK: RGBColor = RGBColor(34, 34, 34);
pub(super) const SOFT: RGBColor = RGBColor(110, 110, 110);
pub(super) const GRID: RGBColor = RGBColor(232, 232, 232);

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Scale, Scale>>;

/// Pixels to drawing units.
pub(super) fn px(pixels: f64) -> i32 {
    (pixels * UNIT).round() as i32
}

/// A solid line `width` pixels wide, or a filled shape.
pub(super) fn style(colour: &impl Color, width: f64) -> ShapeStyle {
    ShapeStyle {
        color: colour.to_rgba(),
        filled: true,
        stroke_width: px(width) as u32,
    }
}

/// Draws a white page of `width` × `height` pixels and returns its SVG text. What `draw` writes into
/// its String is SVG in drawing units, shown on top of all else.
pub(super) fn page(
    width: f64,
    height: f64,
    draw: impl FnOnce(&Area, &mut String) -> Result<()>,
) -> Result<String> {
    let size = (px(width) as u32, px(height) as u32);
    let (mut svg, mut top) = (String::new(), String::new());
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        draw(&root, &mut top)?;
        root.present().map_err(failed)?;
    }
    let end = svg.rfind("</svg>").unwrap_or(svg.len());
    svg.insert_str(end, &top);
    let drawn = format!("width=\"{}\" height=\"{}\"", size.0, size.1);
    let shown = format!("width=\"{width}\" height=\"{height}\" stroke-linejoin=\"round\"");
    Ok(svg.replacen(&drawn, &shown, 1))
}

/// `stroke="#0072B2"`
pub(super) fn stroke(colour: RGBColor) -> String {
    let RGBColor(r, g, b) = colour;
    format!("stroke=\"#{r:02X}{g:02X}{b:02X}\"")
}

/// A line through points in drawing units, `width` pixels wide, as one element also where it is dashed.
pub(super) fn polyline(
    points: impl IntoIterator<Item = (i32, i32)>,
    colour: RGBColor,
    opacity: f64,
    width: f64,
    dashed: bool,
) -> String {
    let (stroke, width) = (stroke(colour), px(width));
    let dashes = match dashed {
        true => format!(" stroke-dasharray=\"{} {}\"", px(6.0), px(4.0)),
        false => String::new(),
    };
    let points: Vec<String> = points
        .into_iter()
        .map(|(x, y)| format!("{x},{y}"))
        .collect();
    format!(
        "<polyline fill=\"none\" opacity=\"{opacity}\" {stroke} stroke-width=\"{width}\"{dashes} points=\"{}\"/>\n",
        points.join(" ")
    )
}

/// plotters' own error as this crate's. The backend writes into memory, so none is expected.
#[cold]
pub(super) fn failed<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> Error {
    Error::Io {
        action: "draw",
        path: PathBuf::from("<svg>"),
        source: io::Error::other(error.to_string()),
    }
}

/// Estimated width of `text` in pixels: 0.6 em a letter, 1 em from the Hangul and CJK blocks on.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars()
        .map(|c| if c < '\u{1100}' { 0.6 } else { 1.0 })
        .sum::<f64>()
        * size
}

/// `text` without what XML forbids, cut to `width` pixels.
pub(super) fn fit(text: &str, size: f64, width: f64) -> String {
    let forbidden = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    let mut fitted: String = text
        .chars()
        .map(|c| if forbidden(c) { ' ' } else { c })
        .collect();
    if text_width(&fitted, size) > width {
        while !fitted.is_empty() && text_width(&fitted, size) + size > width {
            fitted.pop();
        }
        fitted.push('…');
    }
    fitted
}

/// A font of `size` pixels, anchored at `h` and at half its height.
pub(super) fn font(size: f64, colour: RGBColor, bold: bool, h: HPos) -> TextStyle<'static> {
    let weight = if bold {
        FontStyle::Bold
    } else {
        FontStyle::Normal
    };
    // The backend writes the size divided by 1.24.
    FontDesc::new(FontFamily::SansSerif, size * UNIT * 1.24, weight)
        .color(&colour)
        .pos(Pos::new(h, VPos::Center))
}

/// Writes `text` at pixel `at`.
pub(super) fn write(area: &Area, text: &str, font: &TextStyle, at: (f64, f64)) -> Result<()> {
    area.draw_text(text, font, (px(at.0), px(at.1)))
        .map_err(failed)
}

/// Writes a title at the top left of a page of `width` pixels, and nothing if it is empty.
pub(super) fn title(area: &Area, text: &str, width: f64) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    write(
        area,
        &fit(text, LARGE, width - 40.0),
        &font(LARGE, INK, true, HPos::Left),
        (20.0, 22.0),
    )
}

/// One axis: its range, where its ticks stand and what they say.
pub(super) struct Axis {
    pub lo: f64,
    pub hi: f64,
    /// Where each tick stands and what it says.
    pub ticks: Vec<(f64, String)>,
    /// Name beside the axis; none if empty.
    pub name: String,
}

impl Axis {
    /// An axis over `lo..hi` with about `count` ticks at multiples of 1, 2 or 5 times a power of
    /// ten, at least `step` apart. A range too narrow for labels that differ is widened.
    pub(super) fn new(name: &str, lo: f64, hi: f64, count: usize, step: f64) -> Self {
        let narrow = 1e-3 * lo.abs().max(hi.abs()).max(1e-12);
        let (lo, hi) = if hi - lo < narrow {
            let (middle, half) = (
                lo + (hi - lo) / 2.0,
                0.05 * lo.abs().max(hi.abs()).max(1e-9),
            );
            (middle - half, middle + half)
        } else {
            (lo, hi)
        };
        let rough = ((hi - lo) / count.max(1) as f64).max(step);
        let ten = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|m| m * ten)
            .into_iter()
            .find(|s| *s >= rough * 0.999)
            .unwrap_or(rough);
        let first = (lo / step - 1e-6).ceil();
        // Adding 0 turns a negative zero into a zero.
        let tick = |i: usize| (first + i as f64) * step + 0.0;
        let plain = hi.abs().max(lo.abs()) < 1e5 && step > 9e-5;
        let decimals = plain.then(|| (-(step.log10() + 1e-9).floor()).max(0.0) as usize);
        let ticks = (0..4 * count.max(1))
            .map(tick)
            .take_while(|t| *t <= hi + 1e-6 * step)
            .map(|t| (t, number(t, decimals)))
            .collect();
        Axis {
            lo,
            hi,
            ticks,
            name: name.into(),
        }
    }

    /// An axis for the decimal logarithms of `lo..hi`, both above 0: ticks at powers of ten, and at
    /// twice and five times those where there are few.
    pub(super) fn logarithmic(name: &str, lo: f64, hi: f64) -> Self {
        let (lo, hi) = (lo.log10(), hi.log10());
        // A narrow range is widened to a factor of two at least.
        let room = (0.05 * (hi - lo)).max((0.301 - (hi - lo)) / 2.0).max(0.0);
        let (lo, hi) = (lo - room, hi + room);
        let between = if hi - lo < 3.0 {
            &[1.0, 2.0, 5.0][..]
        } else {
            &[1.0]
        };
        let step = ((hi - lo) / 8.0).ceil().max(1.0) as i32;
        let ticks = (lo.floor() as i32..=hi.ceil() as i32)
            .filter(|power| power % step == 0)
            .flat_map(|power| between.iter().map(move |m| (m, power)))
            .map(|(m, power)| {
                let decimals = usize::try_from(-power).unwrap_or(0);
                let value = m * 10f64.powi(power);
                let plain = (-3..5).contains(&power);
                let label = number(value, plain.then_some(decimals));
                (m.log10() + f64::from(power), label)
            })
            .filter(|(at, _)| (lo..=hi).contains(at))
            .collect();
        Axis {
            lo,
            hi,
            ticks,
            name: name.into(),
        }
    }

    fn label(&self, value: f64) -> String {
        let found = self.ticks.iter().find(|(tick, _)| *tick == value);
        found.map_or_else(String::new, |(_, label)| label.clone())
    }
}

/// A tick's label, with so many decimals or, if none are given, as a power of ten.
fn number(value: f64, decimals: Option<usize>) -> String {
    let plain = match decimals {
        Some(decimals) => format!("{value:.decimals$}"),
        None if value == 0.0 => "0".to_string(),
        // Four decimals tell ticks apart in the narrowest range that `Axis::new` allows.
        None => {
            let digits = format!("{value:.4e}");
            let (mantissa, power) = digits.split_once('e').unwrap_or((&digits, "0"));
            format!(
                "{}e{power}",
                mantissa.trim_end_matches('0').trim_end_matches('.')
            )
        }
    };
    plain.replace('-', "−")
}

/// `value` with about three digits.
pub(super) fn significant(value: f64) -> String {
    let size = value.abs();
    let decimals = match size {
        0.0 => 0,
        _ if !(1e-3..1e5).contains(&size) => return format!("{value:.2e}"),
        _ => (2.0 - size.log10().floor()).max(0.0) as usize,
    };
    format!("{value:.decimals$}")
}

/// An axis as plotters wants it: a linear scale whose grid lines and labels stand at our ticks.
pub(super) struct Scale {
    linear: RangedCoordf64,
    ticks: Vec<f64>,
}

impl From<&Axis> for Scale {
    fn from(axis: &Axis) -> Self {
        Scale {
            linear: (axis.lo..axis.hi).into(),
            ticks: axis.ticks.iter().map(|(tick, _)| *tick).collect(),
        }
    }
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.linear.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            Vec::new()
        } else {
            self.ticks.clone()
        }
    }

    fn range(&self) -> Range<f64> {
        self.linear.range()
    }
}

/// The space around the plotting area of a panel, in pixels of the page.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// Whether the labels of the x axis stand below.
    pub x_labels: bool,
}

/// Pixels between the plotting area and the name of the y axis.
pub(super) const Y_LABELS: f64 = 70.0;
/// Pixels below the plotting area for tick labels and the name of the x axis.
pub(super) const X_LABELS: f64 = 44.0;

/// Draws the grid and both axes, and returns the chart to draw into.
pub(super) fn panel<'a, 'b>(
    area: &'a Area<'b>,
    frame: Frame,
    x: &Axis,
    y: &Axis,
) -> Result<Chart<'a, 'b>> {
    let below = if frame.x_labels { X_LABELS } else { 0.0 };
    let mut chart = ChartBuilder::on(area)
        .margin_left(px(frame.left - Y_LABELS))
        .margin_right(px(frame.right))
        .margin_top(px(frame.top))
        .margin_bottom(px(frame.bottom - below))
        .y_label_area_size(px(Y_LABELS))
        .x_label_area_size(px(below))
        .build_cartesian_2d(Scale::from(x), Scale::from(y))
        .map_err(failed)?;
    let (x_label, y_label) = (|v: &f64| x.label(*v), |v: &f64| y.label(*v));
    let mut mesh = chart.configure_mesh();
    mesh.bold_line_style(style(&GRID, 1.0))
        .light_line_style(TRANSPARENT)
        .axis_style(style(&SOFT, 1.0))
        .set_all_tick_mark_size(px(4.0))
        .label_style(font(SMALL, INK, false, HPos::Center))
        .axis_desc_style(font(MEDIUM, INK, false, HPos::Center))
        .x_label_formatter(&x_label)
        .y_label_formatter(&y_label);
    if !x.name.is_empty() {
        mesh.x_desc(&x.name);
    }
    if !y.name.is_empty() {
        mesh.y_desc(&y.name);
    }
    mesh.draw().map_err(failed)?;
    Ok(chart)
}

/// The points of `values` at x = `first`, `first + 1`, ….
pub(super) fn numbered(values: &[f64], first: f64) -> Vec<(f64, f64)> {
    let values = values.iter().enumerate();
    values.map(|(i, &v)| (first + i as f64, v)).collect()
}

/// Points of a line; of long ones only the lowest and the highest of each pixel column, so that the
/// line looks the same.
pub(super) fn thin(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= 2 * COLUMNS {
        return points;
    }
    let extremes = |chunk: &[(f64, f64)]| {
        let by_value = |a: &usize, b: &usize| chunk[*a].1.total_cmp(&chunk[*b].1);
        let low = (0..chunk.len()).min_by(by_value).unwrap_or(0);
        let high = (0..chunk.len()).max_by(by_value).unwrap_or(0);
        [chunk[low.min(high)], chunk[low.max(high)]]
    };
    let chunks = points.chunks(points.len().div_ceil(COLUMNS));
    chunks.flat_map(extremes).collect()
}

/// The points of a series that get a marker: all, or some with equal distances and the last.
pub(super) fn marked(points: &[(f64, f64)]) -> impl Iterator<Item = &(f64, f64)> {
    let every = points.len().div_ceil(MARKERS).max(1);
    let first = points.len().saturating_sub(1) % every;
    points.iter().skip(first).step_by(every)
}
