//! However much data there is, a picture has at most 2 MB: it shows what its pixels can show.

use ndarray::{Array1, Array2};
use spikegrad::plot::{
    Curves, Image, Panel, Raster, Series, Traces, accuracy, gradients, loss, raster, traces,
};

use crate::data::{accuracies, losses, membranes, noise, plain_raster, spikes};
use crate::svg::{check, dots};

const MOST: usize = 2_000_000;

fn assert_small(name: &str, svg: &str) {
    assert!(svg.len() <= MOST, "{name}: {} bytes", svg.len());
}

#[test]
fn rasters_of_long_runs() {
    for (steps, neurons, panels) in [
        (10_000, 100, 2),
        (10_000, 700, 1),
        (50_000, 10, 1),
        (50, 3000, 3),
        (1000, 100, 32),
        (292, 512, 1), // the most that are dots
    ] {
        for rate in [0.01, 0.5, 0.97, 1.0] {
            let panel = Panel::new("spikes", spikes(steps, neurons, rate));
            let panels = vec![panel; panels];
            let name = format!("{steps} steps, {neurons} neurons, rate {rate}");
            assert_small(&name, &check(&name, raster(&plain_raster(&panels))));
        }
    }
    let most = Panel::new("spikes", Array2::ones((292, 512)));
    let svg = check("dots", raster(&plain_raster(&[most])));
    assert_eq!(dots(&svg), 292 * 512);
}

/// Spikes that alternate in every way that breaks a run of cells, beside an image of noise.
#[test]
fn the_worst_raster_beside_the_worst_image() {
    let pixels: Array1<f32> = (0..256 * 256)
        .map(|i| (noise(i) / 2.0 + 0.5) as f32)
        .collect();
    for every in [1, 2, 3, 13] {
        let spikes = Array2::from_shape_fn((5000, 600), |(t, n)| {
            f32::from((t / every + n) % 2 == 0 || noise(t * 600 + n) > 0.5)
        });
        let panels = [Panel::new("spikes", spikes)];
        let image = Image {
            pixels: pixels.view(),
            height: 256,
            width: 256,
            label: "noise",
        };
        let data = Raster {
            image: Some(image),
            ..plain_raster(&panels)
        };
        assert_small("worst", &check("worst", raster(&data)));
    }
}

/// A single spike in a long run is seen, and so is each of two that share no pixel.
#[test]
fn a_lone_spike_is_never_thinned_away() {
    let mut spikes = Array2::zeros((20_000, 700));
    for (t, n) in [(0, 0), (14_001, 345), (19_999, 699)] {
        spikes[[t, n]] = 1.0;
    }
    let panels = [Panel::new("three spikes", spikes)];
    let svg = check("lone", raster(&plain_raster(&panels)));
    let line = svg.lines().find(|l| l.contains("stroke-opacity=\"1\""));
    assert_eq!(line.unwrap().matches("h1").count(), 3);
}

#[test]
fn traces_of_long_runs() {
    for steps in [2000, 100_000] {
        // Every second neuron jumps from end to end: the longest lines that dashes can have.
        let wild = Array2::from_shape_fn((steps, 20), |(t, n)| match n % 2 {
            0 => noise(t * 20 + n) as f32,
            _ => (t % 2) as f32,
        });
        let data = Traces {
            threshold: (0..20).map(|n| n as f32 / 20.0).collect(),
            ..Traces::new(wild, vec![1.0])
        };
        assert_small("wild", &check("wild", traces(&data)));
        let calm = Traces::new(membranes(steps, 20, 3), vec![1.0]);
        assert_small("calm", &check("calm", traces(&calm)));
    }
}

#[test]
fn curves_of_a_million_batches() {
    let series = |i: usize, n: usize, values: &[f64]| Series {
        label: format!("series {i}"),
        points: (1..=n).map(|x| (x as f64, values[x - 1])).collect(),
    };
    // Validated after every one of 100,000 batches, in twenty ways.
    let curves = |values: Vec<f64>| Curves {
        validation: (0..20).map(|i| series(i, 100_000, &values)).collect(),
        train: values,
    };
    let validated = curves(losses(100_000));
    assert_small("validated", &check("validated", loss(&validated)));
    let validated = curves(accuracies(100_000));
    assert_small("accuracies", &check("accuracies", accuracy(&validated)));

    let train = losses(1_000_000);
    let layers: Vec<Series> = (0..20).map(|i| series(i, 1_000_000, &train)).collect();
    assert_small("norms", &check("norms", gradients(&layers)));
    let alone = Curves {
        train,
        validation: vec![],
    };
    let svg = check("a million", loss(&alone));
    assert!(svg.len() < 100_000, "{} bytes", svg.len());
}
