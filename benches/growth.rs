//! How a training step's time grows with batch and steps: 784–1000–10 on MNIST, B = 1, 32, 128, 512
//! and T = 10, 25, 100, 400, drawn as `target/growth.svg`.
//!
//! ```sh
//! cargo bench --bench growth
//! ```

mod common;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use plotters::prelude::*;
use spikegrad::{CpuEngine, Engine, Input};

const BATCHES: [usize; 4] = [1, 32, 128, 512];
const STEPS: [usize; 4] = [10, 25, 100, 400];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(()); // `cargo test` runs benches too
    }
    let images = common::images();
    let mut curves = Vec::new();
    println!(
        "| T | {} |",
        BATCHES.map(|b| format!("B = {b}")).join(" | ")
    );
    println!("|---:|{}", "---:|".repeat(BATCHES.len()));
    let mut times = [[0.0; STEPS.len()]; BATCHES.len()];
    for (s, &steps) in STEPS.iter().enumerate() {
        let mut row = String::new();
        for (b, &size) in BATCHES.iter().enumerate() {
            let batch = common::batch(&images, size);
            let mut engine = common::engine(1, CpuEngine::new);
            let mut step = || {
                let begin = Instant::now();
                let input = Input::constant(batch.images.view(), steps);
                engine
                    .train_step(input.classes(&batch.targets))
                    .map(|_| begin.elapsed())
            };
            let begin = Instant::now();
            while begin.elapsed() < Duration::from_millis(200) {
                step()?;
            }
            let (begin, mut each) = (Instant::now(), Vec::new());
            while each.len() < 5 || begin.elapsed() < Duration::from_millis(300) {
                each.push(step()?);
            }
            each.sort();
            times[b][s] = 1e3 * each[each.len() / 2].as_secs_f64();
            row += &format!(" {:.2} |", times[b][s]);
        }
        println!("| {steps} |{row}");
    }
    for (b, &size) in BATCHES.iter().enumerate() {
        let points = STEPS.iter().zip(times[b]).map(|(&t, ms)| (t as f64, ms));
        curves.push((format!("B = {size}"), points.collect::<Vec<_>>()));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/growth.svg");
    draw(&path, &curves)?;
    println!("\n{}", path.display());
    Ok(())
}

/// Dark enough for lines and text on white.
const COLORS: [RGBColor; 4] = [
    RGBColor(230, 25, 75),
    RGBColor(60, 180, 75),
    RGBColor(184, 134, 11),
    RGBColor(0, 130, 200),
];

/// Labels for 1, 2 and 5 of each power of ten alone: the others would overlap.
fn label(value: &f64) -> String {
    let leading = value / 10_f64.powf((value.log10() + 1e-9).floor());
    match [1.0, 2.0, 5.0].iter().any(|n| (leading - n).abs() < 1e-6) {
        true => format!("{value}"),
        false => String::new(),
    }
}

/// Both axes logarithmic: what is linear has slope 1.
fn draw(
    path: &Path,
    curves: &[(String, Vec<(f64, f64)>)],
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::new(path, (640, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let all = || {
        curves
            .iter()
            .flat_map(|(_, points)| points.iter().map(|p| p.1))
    };
    let (low, high) = (all().fold(f64::MAX, f64::min), all().fold(0.0, f64::max));
    let mut chart = ChartBuilder::on(&root)
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(
            (8.0..600.0).log_scale(),
            (0.7 * low..1.4 * high).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc("time steps T")
        .y_desc("training step, ms")
        .light_line_style(WHITE)
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .draw()?;
    for (n, (name, points)) in curves.iter().enumerate() {
        let color = COLORS[n % COLORS.len()].to_rgba();
        chart.draw_series(LineSeries::new(
            points.iter().copied(),
            color.stroke_width(2),
        ))?;
        if let Some(&(t, ms)) = points.last() {
            let style = ("sans-serif", 13).into_font().color(&color);
            chart.draw_series([Text::new(name.clone(), (t * 1.05, ms * 1.05), style)])?;
        }
    }
    root.present()?;
    Ok(())
}
