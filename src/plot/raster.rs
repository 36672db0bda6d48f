//! The spikes of one sample: hidden and output neurons over time, and the input beside them.
//!
//! One dot per spike and no other circle in the picture. Outputs stand above, with the number of
//! their spikes at the right (bold: the most), hidden neurons below; time runs from 0 to T − 1.

use ndarray::{ArrayView1, ArrayView2};
use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::canvas::{self, Area, Axis, Frame, failed, px, style};
use super::finite;
use super::legend::{self, Marker};
use crate::error::{Error, Result};

const WIDTH: f64 = 900.0;
const GAP: f64 = 26.0;
/// Right of the plots: the column with the spike counts.
const RIGHT: f64 = 58.0;
/// Side of the square into which the image is fitted, and the room it takes.
const IMAGE: f64 = 168.0;
const IMAGE_LEFT: f64 = 20.0;
const IMAGE_ROOM: f64 = 196.0;
/// Most neurons of a panel: below a pixel each, a raster says nothing.
const MOST: usize = 512;
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
    /// What is written under the image; may be empty.
    pub label: &'a str,
}

/// What [`raster()`] draws.
#[derive(Debug, Clone, Copy)]
pub struct Raster<'a> {
    /// Spikes of the hidden neurons, 0 or 1, shape `[T, n_hidden]`, at most 512 neurons. About a
    /// hundred look best; pick them by slicing.
    pub hidden: ArrayView2<'a, f32>,
    /// Spikes of the outputs, 0 or 1, shape `[T, n_out]`, at most 512 neurons.
    pub output: ArrayView2<'a, f32>,
    /// The input of the sample, if it is an image.
    pub image: Option<Image<'a>>,
    /// What is written above; may be empty.
    pub title: &'a str,
}

/// Draws one dot per spike. No spikes at all is fine; T = 1 too.
///
/// # Errors
/// - [`Error::Shape`] if there is no time step or no neuron, `hidden` and `output` differ in T, a
///   panel has more than 512 neurons, or the image's sides are outside 1 to 256 or do not multiply
///   to its number of pixels.
/// - [`Error::NonFinite`] if a spike or a pixel is NaN or infinite.
/// - [`Error::InvalidParameter`] if a spike is neither 0 nor 1 or a pixel is outside `0..=1`.
pub fn raster(data: &Raster) -> Result<String> {
    check(data)?;
    let (steps, n_hidden, n_out) = (
        data.output.nrows(),
        data.hidden.ncols(),
        data.output.ncols(),
    );
    let left = if data.image.is_some() {
        IMAGE_ROOM + 84.0
    } else {
        84.0
    };
    let top = if data.title.is_empty() { 28.0 } else { 44.0 };
    let output_height = (n_out as f64 * 16.0).clamp(110.0, 400.0);
    let hidden_height = (n_hidden as f64 * 3.4).clamp(110.0, 520.0);
    let height = top + output_height + GAP + hidden_height + canvas::X_LABELS + 10.0;

    canvas::page(WIDTH, height, |area| {
        canvas::title(area, data.title, WIDTH)?;
        let x = Axis::new("time step", -0.5, steps as f64 - 0.5, 10, 1.0);
        let hidden_top = top + output_height + GAP;
        let below = height - hidden_top - hidden_height;
        let upper = Frame {
            left,
            right: RIGHT,
            top,
            bottom: height - top - output_height,
            x_labels: false,
        };
        let lower = Frame {
            left,
            right: RIGHT,
            top: hidden_top,
            bottom: below,
            x_labels: true,
        };
        let y = Axis::new("output", -0.5, n_out as f64 - 0.5, 10, 1.0);
        spikes(area, upper, &x, &y, data.output, canvas::VERMILLION)?;
        counts(area, data.output, top, output_height)?;
        let y = Axis::new("hidden neuron", -0.5, n_hidden as f64 - 0.5, 6, 1.0);
        spikes(area, lower, &x, &y, data.hidden, canvas::BLUE)?;
        data.image
            .map_or(Ok(()), |image| picture(area, &image, top))
    })
}

fn check(data: &Raster) -> Result<()> {
    let steps = data.output.nrows();
    for (name, spikes) in [
        ("output spikes", data.output),
        ("hidden spikes", data.hidden),
    ] {
        if steps == 0 || spikes.nrows() != steps || !(1..=MOST).contains(&spikes.ncols()) {
            let t = if steps == 0 {
                "at least 1".to_string()
            } else {
                steps.to_string()
            };
            return Err(Error::shape(
                name,
                format!("[T = {t}, 1 to {MOST} neurons]"),
                spikes.shape(),
            ));
        }
        for ((t, i), &spike) in spikes.indexed_iter() {
            finite(name, spike.into(), || format!("step {t}, neuron {i}"))?;
            if spike != 0.0 && spike != 1.0 {
                return Err(Error::parameter(
                    format!("{name}, step {t}, neuron {i}"),
                    spike,
                    "0 or 1",
                ));
            }
        }
    }
    let Some(image) = data.image else {
        return Ok(());
    };
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

/// One panel: a dot at (t, neuron) for each spike.
fn spikes(
    area: &Area,
    frame: Frame,
    x: &Axis,
    y: &Axis,
    spikes: ArrayView2<f32>,
    colour: RGBColor,
) -> Result<()> {
    let chart = canvas::panel(area, frame, x, y)?;
    let (steps, neurons) = spikes.dim();
    let (w, h) = chart.plotting_area().dim_in_pixel();
    // In pixels of the page: plotters counts in drawing units.
    let unit = f64::from(px(1.0));
    let cell = (f64::from(w) / steps as f64).min(f64::from(h) / neurons as f64) / unit;
    let radius = (0.5 * cell).clamp(0.75, 3.5);
    for ((t, i), _) in spikes.indexed_iter().filter(|(_, spike)| **spike == 1.0) {
        legend::mark(
            area,
            Marker::Circle,
            chart.backend_coord(&(t as f64, i as f64)),
            radius,
            colour,
        )?;
    }
    Ok(())
}

/// The number of spikes of each output, at the right of its row, where the rows have room.
fn counts(area: &Area, output: ArrayView2<f32>, top: f64, height: f64) -> Result<()> {
    let row = height / output.ncols() as f64;
    if row < 12.0 {
        return Ok(());
    }
    let count = |i: usize| {
        output
            .column(i)
            .iter()
            .filter(|spike| **spike == 1.0)
            .count()
    };
    let most = (0..output.ncols()).map(count).max().unwrap_or(0);
    let x = WIDTH - RIGHT / 2.0 + 6.0;
    canvas::write(
        area,
        "spikes",
        &canvas::font(canvas::SMALL, canvas::SOFT, false, HPos::Center),
        (x, top - 9.0),
    )?;
    for i in 0..output.ncols() {
        let font = canvas::font(
            canvas::SMALL,
            canvas::INK,
            count(i) == most && most > 0,
            HPos::Center,
        );
        canvas::write(
            area,
            &count(i).to_string(),
            &font,
            (x, top + height - (i as f64 + 0.5) * row),
        )?;
    }
    Ok(())
}

/// The image: a black ground, and a rectangle for each run of equal grey in a row.
fn picture(area: &Area, image: &Image, top: f64) -> Result<()> {
    let cell = px(IMAGE) / image.height.max(image.width) as i32;
    let (x0, y0) = (px(IMAGE_LEFT), px(top));
    let place = |row: usize, column: usize| (x0 + column as i32 * cell, y0 + row as i32 * cell);
    let rectangle = |a, b, grey: u8| {
        area.draw(&Rectangle::new(
            [a, b],
            style(&RGBColor(grey, grey, grey), 1.0),
        ))
        .map_err(failed)
    };
    rectangle(place(0, 0), place(image.height, image.width), 0)?;
    let grey = |row: usize, column: usize| {
        (image.pixels[row * image.width + column] * 255.0).round() as u8
    };
    for row in 0..image.height {
        let mut column = 0;
        while column < image.width {
            let start = column;
            while column < image.width && grey(row, column) == grey(row, start) {
                column += 1;
            }
            if grey(row, start) > 0 {
                rectangle(place(row, start), place(row + 1, column), grey(row, start))?;
            }
        }
    }
    let label = canvas::fit(image.label, canvas::MEDIUM, IMAGE_ROOM - IMAGE_LEFT);
    let bottom = top + f64::from(cell * image.height as i32) / f64::from(px(1.0));
    canvas::write(
        area,
        &label,
        &canvas::font(canvas::MEDIUM, canvas::INK, false, HPos::Left),
        (IMAGE_LEFT, bottom + 16.0),
    )
}
