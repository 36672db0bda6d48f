//! The spikes of one sample: neurons of any layers over time, with the input.
//!
//! If every step and neuron has a pixel, a spike is a dot. Otherwise steps and neurons that share a
//! pixel share a cell, which is darker the more spikes it holds. The marks of a panel are a few SVG
//! paths, so a dot or a run of cells takes a few bytes, not an element.

use std::{fmt::Write, ops::Range};

use ndarray::{Array2, ArrayView1};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{self, Area, Axis, Frame, px, stroke};
use super::{finite, layer_of, selected};
use crate::error::{Error, Result};
use crate::{Float, Recording};

const WIDTH: f64 = 900.0;
/// Between panels, with a panel's label in it.
const GAP: f64 = 30.0;
/// Right of the plots: the column with the spike counts.
const RIGHT: f64 = 58.0;
/// Side of the square into which the image is fitted, and the room it takes.
const IMAGE: f64 = 168.0;
const IMAGE_LEFT: f64 = 20.0;
const IMAGE_ROOM: f64 = 196.0;
/// Most panels of a picture.
const MOST_PANELS: usize = 32;
/// Most dots or cells of a picture: eight bytes each at the worst.
const MOST_CELLS: usize = 150_000;
/// How dark a cell can be.
const LEVELS: usize = 4;
/// Most pixels along a side of the image.
const MOST_PIXELS: usize = 256;

/// A grey image, drawn row by row from the top.
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    /// Brightness from 0 (black) to 1 (white), shape `[height · width]`, row after row.
    pub pixels: ArrayView1<'a, f32>,
    /// Number of rows, 1 to 256.
    pub height: usize,
    /// Number of columns, 1 to 256.
    pub width: usize,
    /// The text under the image; may be empty.
    pub label: &'a str,
}

/// One panel of a raster: some neurons of one layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// The text above the panel: the layer and neurons.
    pub label: String,
    /// The number of each neuron in its layer, as the axis shows it, `[n]`.
    pub neurons: Vec<usize>,
    /// Spikes, 0 or 1, `[T, n]`, with at least one step and one neuron.
    pub spikes: Array2<f32>,
}

impl Panel {
    /// A panel of neurons 0, 1, … from spikes `[T, n]`.
    pub fn new(label: impl Into<String>, spikes: Array2<f32>) -> Self {
        Panel {
            label: label.into(),
            neurons: (0..spikes.ncols()).collect(),
            spikes,
        }
    }

    /// Neurons (from 0) of layer `layer` (from 1) for sample `sample` (from 0) of a recording. The
    /// label is `layer 1: 100 of 1000 neurons`, with the first layer as 1.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the layer was not recorded, or the sample or a neuron does
    /// not exist.
    pub fn layer<F: Float>(
        recording: &Recording<F>,
        layer: usize,
        sample: usize,
        neurons: &[usize],
    ) -> Result<Self> {
        let (trace, name) = layer_of(recording, layer)?;
        let spikes = selected(&trace.spk, sample, neurons)?;
        let (shown, all) = (neurons.len(), trace.spk.dim().2);
        let plural = if all == 1 { "" } else { "s" };
        let of = match shown == all {
            true => String::new(),
            false => format!("{shown} of "),
        };
        Ok(Panel {
            label: format!("{name}: {of}{all} neuron{plural}"),
            neurons: neurons.to_vec(),
            spikes,
        })
    }

    /// Height of its plotting area in pixels.
    fn height(&self) -> f64 {
        let neurons = self.spikes.ncols() as f64;
        let loose = (16.0 * neurons).clamp(110.0, 400.0);
        loose.max((3.4 * neurons).min(520.0)).min(520.0)
    }
}

/// The data of [`raster()`].
#[derive(Debug, Clone, Copy)]
pub struct Raster<'a> {
    /// The panels from top to bottom, 1 to 32, all with the same number of steps.
    pub panels: &'a [Panel],
    /// The input of the sample, if it is an image.
    pub image: Option<Image<'a>>,
    /// The title; may be empty.
    pub title: &'a str,
}

/// Draws one dot per spike; in panels with more steps or neurons than pixels, one mark for all
/// spikes that share a pixel, in four shades up to the panel's densest. If there is space, each
/// neuron's spike count is shown at the right, the largest in bold. A panel without spikes and T =
/// 1 are valid.
///
/// # Errors
/// - [`Error::Shape`] if there is no panel or more than 32, no time step or no neuron, panels differ
///   in T, a panel has another number of `neurons` than of spike columns, or the image's sides are
///   outside 1 to 256 or do not multiply to its number of pixels.
/// - [`Error::NonFinite`] if a spike or a pixel is NaN or infinite.
/// - [`Error::InvalidParameter`] if a spike is neither 0 nor 1 or a pixel is outside `0..=1`.
pub fn raster(data: &Raster) -> Result<String> {
    check(data)?;
    let steps = data.panels[0].spikes.nrows();
    let left = if data.image.is_some() {
        IMAGE_ROOM + 84.0
    } else {
        84.0
    };
    let title = if data.title.is_empty() { 4.0 } else { 30.0 };
    let below = canvas::X_LABELS + 10.0;
    let heights = data.panels.iter().map(|panel| GAP + panel.height());
    let height = title + heights.sum::<f64>() + below;

    canvas::page(WIDTH, height, |area, marks| {
        canvas::title(area, data.title, WIDTH)?;
        let x = Axis::new("time step", -0.5, steps as f64 - 0.5, 10, 1.0);
        // A pixel each, or less if that makes too many cells of all panels together.
        let rows: usize = data.panels.iter().map(|p| rows(p, p.height())).sum();
        let columns = (WIDTH - left - RIGHT).min((MOST_CELLS / rows) as f64) as usize;
        let (mut top, last) = (title, data.panels.len() - 1);
        let colours = [
            canvas::VERMILLION,
            canvas::BLUE,
            canvas::GREEN,
            canvas::PURPLE,
        ];
        for (i, panel) in data.panels.iter().enumerate() {
            top += GAP;
            let frame = Frame {
                left,
                right: RIGHT,
                top,
                bottom: height - top - panel.height(),
                x_labels: i == last,
            };
            head(area, panel, frame)?;
            spikes(area, marks, panel, frame, &x, columns, colours[i % 4])?;
            counts(area, panel, top)?;
            top += panel.height();
        }
        data.image
            .map_or(Ok(()), |image| picture(area, marks, &image, title + GAP))
    })
}

fn check(data: &Raster) -> Result<()> {
    let panels = data.panels.len();
    if !(1..=MOST_PANELS).contains(&panels) {
        let expected = format!("[panels], 1 to {MOST_PANELS}");
        return Err(Error::shape("raster", expected, &[panels]));
    }
    let steps = data.panels[0].spikes.nrows();
    for (i, panel) in data.panels.iter().enumerate() {
        let name = format!("spikes of panel {i}, '{}'", panel.label);
        let spikes = &panel.spikes;
        if spikes.is_empty() || spikes.nrows() != steps {
            let t = match (i, steps) {
                (0, _) | (_, 0) => "at least 1".to_string(),
                _ => format!("{steps}, as in panel 0"),
            };
            let expected = format!("[T, n] with T {t}, n at least 1");
            return Err(Error::shape(name, expected, spikes.shape()));
        }
        if panel.neurons.len() != spikes.ncols() {
            let expected = format!("[{}], a number for each neuron", spikes.ncols());
            let name = format!("neurons of panel {i}, '{}'", panel.label);
            return Err(Error::shape(name, expected, &[panel.neurons.len()]));
        }
        for ((t, n), &spike) in spikes.indexed_iter() {
            finite(&name, spike.into(), || format!("step {t}, row {n}"))?;
            if spike != 0.0 && spike != 1.0 {
                let name = format!("{name}, step {t}, row {n}");
                return Err(Error::parameter(name, spike, "0 or 1"));
            }
        }
    }
    data.image.map_or(Ok(()), |image| check_image(&image))
}

fn check_image(image: &Image) -> Result<()> {
    let sides = 1..=MOST_PIXELS;
    if !sides.contains(&image.height) || !sides.contains(&image.width) {
        let expected = format!("[height, width], each 1 to {MOST_PIXELS}");
        return Err(Error::shape(
            "image",
            expected,
            &[image.height, image.width],
        ));
    }
    if image.pixels.len() != image.height * image.width {
        let expected = format!(
            "[{} · {} = {}]",
            image.height,
            image.width,
            image.height * image.width
        );
        return Err(Error::shape(
            "pixels of the image",
            expected,
            image.pixels.shape(),
        ));
    }
    for (i, &pixel) in image.pixels.iter().enumerate() {
        finite("pixel of the image", pixel.into(), || format!("index {i}"))?;
        if !(0.0..=1.0).contains(&pixel) {
            return Err(Error::parameter(
                format!("pixel {i} of the image"),
                pixel,
                "0 to 1",
            ));
        }
    }
    Ok(())
}

/// Rows that a panel of this height can show: a pixel each.
fn rows(panel: &Panel, height: f64) -> usize {
    panel.spikes.ncols().min(height as usize)
}

/// The panel's label.
fn head(area: &Area, panel: &Panel, frame: Frame) -> Result<()> {
    let label = canvas::fit(&panel.label, canvas::MEDIUM, WIDTH - frame.left - RIGHT);
    let font = canvas::font(canvas::MEDIUM, canvas::INK, false, HPos::Left);
    canvas::write(area, &label, &font, (frame.left, frame.top - 11.0))
}

/// The panel's axes, and a mark for each spike or cell.
fn spikes(
    area: &Area,
    marks: &mut String,
    panel: &Panel,
    frame: Frame,
    x: &Axis,
    columns: usize,
    colour: RGBColor,
) -> Result<()> {
    let (steps, neurons) = panel.spikes.dim();
    let mut y = Axis::new("neuron", -0.5, neurons as f64 - 0.5, 6, 1.0);
    for (row, label) in &mut y.ticks {
        *label = panel.neurons[*row as usize].to_string();
    }
    let chart = canvas::panel(area, frame, x, &y)?;
    let (across, down) = chart.plotting_area().get_pixel_range();
    let (columns, rows) = (steps.min(columns), rows(panel, panel.height()));
    if columns < steps || rows < neurons {
        cells(
            marks,
            &panel.spikes,
            (across, down),
            (columns, rows),
            colour,
        );
        return Ok(());
    }
    // In drawing units.
    let cell = (length(&across) / steps as f64).min(length(&down) / neurons as f64);
    let radius = (0.5 * cell).clamp(f64::from(px(0.75)), f64::from(px(3.5)));
    // A dot is a line of no length with round ends.
    let mut dots = String::new();
    for n in 0..neurons {
        let mut before = None;
        for (t, _) in panel
            .spikes
            .column(n)
            .indexed_iter()
            .filter(|(_, s)| **s == 1.0)
        {
            let (x, y) = chart.backend_coord(&(t as f64, n as f64));
            // A String takes all text.
            let _ = match before {
                None => write!(dots, "M{x} {y}h0"),
                Some(before) => write!(dots, "m{} 0h0", x - before),
            };
            before = Some(x);
        }
    }
    if !dots.is_empty() {
        let (stroke, width) = (stroke(colour), (2.0 * radius).round());
        let _ = writeln!(
            marks,
            "<path fill=\"none\" {stroke} stroke-width=\"{width}\" stroke-linecap=\"round\" d=\"{dots}\"/>"
        );
    }
    Ok(())
}

/// Of a range of drawing units.
fn length(range: &Range<i32>) -> f64 {
    f64::from(range.end - range.start)
}

/// A path for each shade, over all cells that have it; equal neighbours in a row are one line.
fn cells(
    marks: &mut String,
    spikes: &Array2<f32>,
    (across, down): (Range<i32>, Range<i32>),
    (columns, rows): (usize, usize),
    colour: RGBColor,
) {
    let (steps, neurons) = spikes.dim();
    let mut counts = Array2::<usize>::zeros((rows, columns));
    let bin = |i: usize, of: usize, bins: usize| (i as u128 * bins as u128 / of as u128) as usize;
    for ((t, n), _) in spikes.indexed_iter().filter(|(_, spike)| **spike == 1.0) {
        counts[[bin(n, neurons, rows), bin(t, steps, columns)]] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let mut paths = vec![String::new(); LEVELS];
    let mut ends = [None; LEVELS];
    for (row, counts) in counts.outer_iter().enumerate() {
        let mut column = 0;
        while column < columns {
            let level = |column: usize| (counts[column] * LEVELS).div_ceil(most);
            let (start, shade) = (column, level(column));
            while column < columns && level(column) == shade {
                column += 1;
            }
            let Some(shade) = shade.checked_sub(1) else {
                continue;
            };
            let (path, length) = (&mut paths[shade], column - start);
            // A String takes all text.
            let _ = match ends[shade] {
                Some((r, end)) if r == row => write!(path, "m{} 0h{length}", start - end),
                _ => write!(path, "M{start} {row}.5h{length}"),
            };
            ends[shade] = Some((row, column));
        }
    }
    let (left, bottom) = (across.start, down.end);
    let wide = length(&across) / columns as f64;
    let high = length(&down) / rows as f64;
    // Rows of some pixels keep a gap between them.
    let width = if high > f64::from(px(3.0)) { 0.8 } else { 1.0 };
    let _ = writeln!(
        marks,
        "<g transform=\"translate({left} {bottom}) scale({wide:.4} {:.4})\" fill=\"none\" {} stroke-width=\"{width}\">",
        -high,
        stroke(colour)
    );
    for (shade, path) in paths
        .iter()
        .enumerate()
        .filter(|(_, path)| !path.is_empty())
    {
        let opacity = (shade + 1) as f64 / LEVELS as f64;
        let _ = writeln!(marks, "<path stroke-opacity=\"{opacity}\" d=\"{path}\"/>");
    }
    marks.push_str("</g>\n");
}

/// The number of spikes of each neuron, at the right of its row, where the rows have room.
fn counts(area: &Area, panel: &Panel, top: f64) -> Result<()> {
    let (neurons, height) = (panel.spikes.ncols(), panel.height());
    let row = height / neurons as f64;
    if row < 12.0 {
        return Ok(());
    }
    let spikes = |column: ArrayView1<f32>| column.iter().filter(|spike| **spike == 1.0).count();
    let counts: Vec<usize> = panel.spikes.columns().into_iter().map(spikes).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    let x = WIDTH - RIGHT / 2.0 + 6.0;
    let soft = canvas::font(canvas::SMALL, canvas::SOFT, false, HPos::Center);
    canvas::write(area, "spikes", &soft, (x, top - 11.0))?;
    for (n, &count) in counts.iter().enumerate() {
        let bold = count == most && most > 0;
        let font = canvas::font(canvas::SMALL, canvas::INK, bold, HPos::Center);
        let y = top + height - (n as f64 + 0.5) * row;
        canvas::write(area, &count.to_string(), &font, (x, y))?;
    }
    Ok(())
}

/// The image: a black ground, and a path for each other grey.
fn picture(area: &Area, marks: &mut String, image: &Image, top: f64) -> Result<()> {
    let cell = px(IMAGE) / image.height.max(image.width) as i32;
    let grey = |row: usize, column: usize| {
        (image.pixels[row * image.width + column] * 255.0).round() as u8
    };
    let mut paths = vec![String::new(); 256];
    for row in 0..image.height {
        let mut column = 0;
        while column < image.width {
            let (start, shade) = (column, grey(row, column));
            while column < image.width && grey(row, column) == shade {
                column += 1;
            }
            // A String takes all text.
            let _ = write!(
                paths[usize::from(shade)],
                "M{start} {row}.5h{}",
                column - start
            );
        }
    }
    let (left, y, height, width) = (px(IMAGE_LEFT), px(top), image.height, image.width);
    let _ = writeln!(
        marks,
        "<g transform=\"translate({left} {y}) scale({cell})\" fill=\"none\" shape-rendering=\"crispEdges\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#000000\"/>"
    );
    for (shade, path) in (0u8..=255).zip(&paths).skip(1) {
        if !path.is_empty() {
            let stroke = stroke(RGBColor(shade, shade, shade));
            let _ = writeln!(marks, "<path {stroke} d=\"{path}\"/>");
        }
    }
    marks.push_str("</g>\n");
    let label = canvas::fit(image.label, canvas::MEDIUM, IMAGE_ROOM - IMAGE_LEFT);
    let bottom = top + f64::from(cell * image.height as i32) / f64::from(px(1.0));
    canvas::write(
        area,
        &label,
        &canvas::font(canvas::MEDIUM, canvas::INK, false, HPos::Left),
        (IMAGE_LEFT, bottom + 16.0),
    )
}
