//! The membrane potentials of some neurons of a layer over time, for one sample.
//!
//! Drawn as recorded, step by step from 0 to T − 1, after or before the reset. Each neuron has its
//! color; the target's line is thick and on top.

use ndarray::Array2;
use plotters::prelude::*;

use super::canvas::{self, Axis, Chart, Frame, numbered, polyline, style, thin};
use super::legend::{self, Entry, Marker};
use super::{finite, layer_of, selected};
use crate::{
    Float, Network, Recording,
    error::{Error, Result},
};

const WIDTH: f64 = 880.0;
const LEFT: f64 = 84.0;
/// Right of the plot: the legend.
const RIGHT: f64 = 190.0;
/// Most neurons: twice the palette.
const MOST: usize = 20;

/// Paul Tol's *muted* palette, <https://sronpersonalpages.nl/~pault/>, and a grey as the tenth.
pub(super) const COLOURS: [RGBColor; 10] = [
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

/// The data of [`traces()`].
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The text after `membrane potential` in the axis name: the layer. May be empty.
    pub label: String,
    /// The name of each neuron in the legend, `[n]`.
    pub names: Vec<String>,
    /// Membrane potentials, in the unit of the threshold, `[T, n]`, of 1 to 20 neurons.
    pub mem: Array2<f32>,
    /// The threshold of all neurons (length 1), or of each (`[n]`); empty if they have none, as a
    /// [`LeakyIntegrator`](crate::LeakyIntegrator) has none.
    pub threshold: Vec<f32>,
    /// The neuron to draw with emphasis: its column of `mem`.
    pub target: Option<usize>,
    /// The title; may be empty.
    pub title: String,
}

impl Traces {
    /// Traces of neurons 0, 1, … from their membranes `[T, n]` and thresholds (`[1]` or `[n]`).
    pub fn new(mem: Array2<f32>, threshold: Vec<f32>) -> Self {
        Traces {
            label: String::new(),
            names: (0..mem.ncols()).map(|n| n.to_string()).collect(),
            mem,
            threshold,
            target: None,
            title: String::new(),
        }
    }

    /// The membranes of neurons (from 0) of layer `layer` (from 1) for sample `sample` (from 0) of
    /// a recording of `network`, with their current thresholds. Their names are `neuron 17` and, in
    /// the last layer, `output 7`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the layer was not recorded, or the sample or a neuron does
    /// not exist; [`Error::Shape`] if the recording is of another network.
    pub fn layer<F: Float>(
        recording: &Recording<F>,
        network: &Network<F>,
        layer: usize,
        sample: usize,
        neurons: &[usize],
    ) -> Result<Self> {
        let (trace, label) = layer_of(recording, layer)?;
        let mem = selected(&trace.mem, sample, neurons)?;
        let layers = network.layers();
        let own = layers.get(layer - 1);
        let own = own.map_or(0, |layer| layer.neurons());
        if layers.len() != recording.num_layers() || own != trace.mem.dim().2 {
            let expected = format!("[T, B, {own}] of {} layers, as the network", layers.len());
            let found = trace.mem.shape();
            return Err(Error::shape(
                format!("recording of {label}"),
                expected,
                found,
            ));
        }
        let threshold = match layers[layer - 1].constant("threshold") {
            None => Vec::new(),
            Some(shared) if shared.len() == 1 => vec![shared[0].as_f64() as f32],
            Some(each) => (neurons.iter().map(|&n| each[n].as_f64() as f32)).collect(),
        };
        let kind = match layer == layers.len() {
            true => "output",
            false => "neuron",
        };
        Ok(Traces {
            label,
            names: neurons.iter().map(|n| format!("{kind} {n}")).collect(),
            ..Traces::new(mem, threshold)
        })
    }
}

/// Draws the membranes as lines (the eleventh to twentieth dashed) and the threshold as a dashed
/// line; thresholds that differ each get a dashed line in the neuron's color. T = 1 gives points.
///
/// # Errors
/// - [`Error::Shape`] if `mem` has no step, no neuron or more than 20, there is not a name for each
///   neuron, or `threshold` has another length than 0, 1 or `n`.
/// - [`Error::NonFinite`] if a membrane or a threshold is NaN or infinite.
/// - [`Error::Target`] if `target` is not below `n`.
pub fn traces(data: &Traces) -> Result<String> {
    check(data)?;
    let (steps, neurons) = data.mem.dim();
    let is_target = |n: usize| data.target == Some(n);
    // Opacity and width.
    let look = |n: usize| match is_target(n) {
        true => (1.0, 3.6),
        false => (0.9, 1.5),
    };
    let common = data.threshold.iter().all(|t| *t == data.threshold[0]);

    let mut entries: Vec<Entry> = (0..neurons)
        .map(|n| {
            let name = format!(
                "{}{}",
                data.names[n],
                if is_target(n) { " (target)" } else { "" }
            );
            let (opacity, width) = look(n);
            Entry {
                dashed: n >= COLOURS.len(),
                bold: is_target(n),
                breaks: true,
                ..Entry::new(
                    canvas::fit(&name, canvas::SMALL, RIGHT - 50.0),
                    style(&colour(n).mix(opacity), width),
                )
            }
        })
        .collect();
    let label = if common { "threshold" } else { "thresholds" };
    if !data.threshold.is_empty() {
        entries.push(Entry {
            dashed: true,
            breaks: true,
            ..Entry::new(label.into(), style(&canvas::INK, 1.4))
        });
    }

    let top = if data.title.is_empty() { 16.0 } else { 44.0 };
    let plot_height = legend::height(&entries, RIGHT).max(320.0);
    let below = canvas::X_LABELS + 10.0;
    canvas::page(WIDTH, top + plot_height + below, |area, lines| {
        canvas::title(area, &data.title, WIDTH)?;
        legend::draw(area, &entries, (WIDTH - RIGHT + 16.0, top), RIGHT)?;

        let all = data.mem.iter().chain(&data.threshold);
        let all = all.map(|v| f64::from(*v));
        let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
        let room = match high > low {
            true => 0.05 * (high - low),
            false => 1.0_f64.max(0.05 * high.abs()),
        };
        // A single step gets room on both sides.
        let side = if steps == 1 { 0.5 } else { 0.0 };
        let x = Axis::new("time step", -side, (steps - 1) as f64 + side, 10, 1.0);
        let name = match data.label.is_empty() {
            true => "membrane potential".to_string(),
            false => format!("membrane potential, {}", data.label),
        };
        let name = canvas::fit(&name, canvas::MEDIUM, plot_height);
        let y = Axis::new(&name, low - room, high + room, 7, 0.0);
        let frame = Frame {
            left: LEFT,
            right: RIGHT,
            top,
            bottom: below,
            x_labels: true,
        };
        let chart = canvas::panel(area, frame, &x, &y)?;

        let shown = if common { 1 } else { neurons };
        for (n, value) in data.threshold.iter().take(shown).enumerate() {
            let (colour, width) = match common {
                true => (canvas::INK, 1.4),
                false => (colour(n), 1.2),
            };
            let level = [x.lo, x.hi].map(|x| (x, f64::from(*value)));
            lines.push_str(&polyline(placed(&chart, &level), colour, 1.0, width, true));
        }
        let order = (0..neurons).filter(|n| !is_target(*n)).chain(data.target);
        for n in order {
            let values: Vec<f64> = data.mem.column(n).iter().map(|v| f64::from(*v)).collect();
            let points = thin(numbered(&values, 0.0));
            if steps == 1 {
                let radius = if is_target(n) { 5.0 } else { 3.0 };
                let at = chart.backend_coord(&points[0]);
                legend::mark(area, Marker::Circle, at, radius, colour(n))?;
                continue;
            }
            let (opacity, width) = look(n);
            let dashed = n >= COLOURS.len();
            let points = placed(&chart, &points);
            lines.push_str(&polyline(points, colour(n), opacity, width, dashed));
        }
        Ok(())
    })
}

fn colour(neuron: usize) -> RGBColor {
    COLOURS[neuron % COLOURS.len()]
}

/// Points in drawing units of the page.
fn placed(chart: &Chart, points: &[(f64, f64)]) -> Vec<(i32, i32)> {
    points.iter().map(|p| chart.backend_coord(p)).collect()
}

fn check(data: &Traces) -> Result<()> {
    let (steps, neurons) = data.mem.dim();
    if steps == 0 || !(1..=MOST).contains(&neurons) {
        let expected = format!("[T, n], at least 1 step and 1 to {MOST} neurons");
        return Err(Error::shape("membranes", expected, data.mem.shape()));
    }
    if data.names.len() != neurons {
        let expected = format!("[{neurons}], one per neuron");
        return Err(Error::shape(
            "names of the neurons",
            expected,
            &[data.names.len()],
        ));
    }
    if data.threshold.len() > 1 && data.threshold.len() != neurons {
        let expected = format!("[0], [1] or [n = {neurons}]");
        return Err(Error::shape("threshold", expected, &[data.threshold.len()]));
    }
    for ((t, n), &value) in data.mem.indexed_iter() {
        let position = || format!("step {t}, {}", data.names[n]);
        finite("membrane", value.into(), position)?;
    }
    for (i, &value) in data.threshold.iter().enumerate() {
        finite("threshold", value.into(), || format!("index {i}"))?;
    }
    match data.target {
        Some(value) if value >= neurons => Err(Error::Target {
            index: 0,
            value,
            classes: neurons,
        }),
        _ => Ok(()),
    }
}
