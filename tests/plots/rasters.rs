//! Rasters and the image beside them.

use ndarray::{Array1, Array2};
use spikegrad::Error;
use spikegrad::plot::{Image, Panel, Raster, raster};

use crate::data::{panels, plain_raster, ring, spikes};
use crate::svg::{check, dots};

#[test]
fn a_raster_has_one_dot_for_each_spike() {
    for (steps, n_hidden, n_out, rate) in [
        (50, 100, 10, 0.12),
        (1, 3, 2, 0.5),
        (25, 1, 1, 1.0),
        (100, 500, 400, 0.3),
        (50, 100, 10, 0.0),
    ] {
        let (hidden, output) = (spikes(steps, n_hidden, rate), spikes(steps, n_out, rate));
        let total = (hidden.sum() + output.sum()) as usize;
        assert!(rate == 0.0 || total > 0, "nothing spikes");
        let pixels = ring(28);
        let image = Image {
            pixels: pixels.view(),
            height: 28,
            width: 28,
            label: "input",
        };
        let panels = panels(&output, &hidden);
        let with = Raster {
            image: Some(image),
            ..plain_raster(&panels)
        };
        for data in [with, plain_raster(&panels)] {
            let svg = check("raster", raster(&data));
            assert_eq!(dots(&svg), total);
            assert_eq!(svg.matches("<circle").count(), 0);
        }
    }
}

/// The places of the dots are those of the spikes, in drawing units of a quarter pixel.
#[test]
fn dots_lie_at_their_steps_and_neurons() {
    let mut spikes = Array2::zeros((4, 3));
    for (t, n) in [(0, 0), (1, 0), (3, 0), (2, 2)] {
        spikes[[t, n]] = 1.0;
    }
    let panel = [Panel::new("three neurons", spikes)];
    let svg = check("raster", raster(&plain_raster(&panel)));
    let (_, path) = svg.split_once("stroke-linecap=\"round\" d=\"").unwrap();
    let (path, _) = path.split_once('"').unwrap();
    // 758 pixels for 4 steps, 110 pixels for 3 neurons, 34 pixels below the top of the page.
    let x = |t: f64| ((84.0 + (t + 0.5) * 758.0 / 4.0) * 4.0) as i32;
    let y = |n: f64| ((34.0 + 110.0 - (n + 0.5) * 110.0 / 3.0) * 4.0) as i32;
    let near = |found: &str, expected: i32| {
        let found: i32 = found.parse().unwrap();
        assert!(
            (found - expected).abs() <= 2,
            "{found} for {expected}: {path}"
        );
    };
    let rows: Vec<&str> = path.split('M').skip(1).collect();
    assert_eq!(rows.len(), 2);
    let row = |row: &str, n: f64, steps: &[f64]| {
        let mut parts = row.split("h0").filter(|part| !part.is_empty());
        let (column, height) = parts.next().unwrap().split_once(' ').unwrap();
        near(column, x(steps[0]));
        near(height, y(n));
        let mut at: i32 = column.parse().unwrap();
        for &t in &steps[1..] {
            let moved = parts.next().unwrap();
            at += moved[1..]
                .split_once(' ')
                .unwrap()
                .0
                .parse::<i32>()
                .unwrap();
            near(&at.to_string(), x(t));
        }
        assert_eq!(parts.next(), None);
    };
    row(rows[0], 0.0, &[0.0, 1.0, 3.0]);
    row(rows[1], 2.0, &[2.0]);
}

/// Steps that share a pixel share a cell; a cell with all its spikes is opaque, one with a quarter of
/// them a quarter so.
#[test]
fn cells_are_as_dark_as_they_are_dense() {
    let (steps, neurons) = (7580, 2); // ten steps to a pixel
    let spikes = Array2::from_shape_fn((steps, neurons), |(t, n)| match (n, t) {
        (0, 0..10) | (0, 100) | (1, 5000..5020) => 1.0,
        _ => 0.0,
    });
    let panel = [Panel::new("long", spikes)];
    let svg = check("long", raster(&plain_raster(&panel)));
    for path in [
        "<path stroke-opacity=\"1\" d=\"M0 0.5h1M500 1.5h2\"/>",
        "<path stroke-opacity=\"0.25\" d=\"M10 0.5h1\"/>",
        "scale(4.0000 -220.0000)",
    ] {
        assert!(svg.contains(path), "no {path} in {svg}");
    }
    assert_eq!(svg.matches("stroke-opacity").count(), 2);
}

/// Every panel has its label, and its axis the numbers of the neurons.
#[test]
fn panels_are_labelled() {
    let spikes = spikes(20, 40, 0.2);
    let names = ["layer 3 (output)", "layer 2", "layer 1: 40 of 400 neurons"];
    let mut panels = names.map(|name| Panel::new(name, spikes.clone()));
    panels[2].neurons = (0..40).map(|n| 10 * n).collect();
    let svg = check("three panels", raster(&plain_raster(&panels)));
    for name in names {
        assert!(svg.contains(&format!("\n{name}\n")), "{name}");
    }
    assert!(svg.contains("\n200\n") && svg.contains("\n20\n"));
    assert_eq!(dots(&svg), 3 * spikes.sum() as usize);
}

#[test]
fn an_image_has_a_line_for_each_run_of_grey() {
    let spikes = Array2::zeros((4, 4));
    let panels = panels(&spikes, &spikes);
    let draw = |pixels: &Array1<f32>, height, width| {
        let image = Image {
            pixels: pixels.view(),
            height,
            width,
            label: "",
        };
        check(
            "image",
            raster(&Raster {
                image: Some(image),
                ..plain_raster(&panels)
            }),
        )
    };
    // Black is the ground, and draws nothing more.
    assert!(!draw(&Array1::zeros(6), 2, 3).contains("<path"));
    let svg = draw(&Array1::from(vec![1.0, 1.0, 0.0, 0.5, 0.0, 0.5]), 2, 3);
    for path in [
        "<rect width=\"3\" height=\"2\" fill=\"#000000\"/>",
        "<path stroke=\"#FFFFFF\" d=\"M0 0.5h2\"/>",
        "<path stroke=\"#808080\" d=\"M0 1.5h1M2 1.5h1\"/>",
    ] {
        assert!(svg.contains(path), "no {path}");
    }
    assert_eq!(svg.matches("<path").count(), 2);
    draw(&Array1::ones(1), 1, 1);
    draw(&Array1::ones(256 * 256), 256, 256);
}

#[test]
fn wrong_rasters_are_errors() {
    let of = |hidden: &Array2<f32>, output: &Array2<f32>| {
        raster(&plain_raster(&panels(output, hidden))).unwrap_err()
    };
    let good = spikes(5, 4, 0.5);
    for bad in [(0, 4), (4, 4), (6, 4), (5, 0)] {
        assert!(
            matches!(of(&Array2::zeros(bad), &good), Error::Shape { .. }),
            "hidden {bad:?}"
        );
        assert!(
            matches!(of(&good, &Array2::zeros(bad)), Error::Shape { .. }),
            "output {bad:?}"
        );
    }
    let nothing = Array2::zeros((0, 4));
    assert!(matches!(of(&nothing, &nothing), Error::Shape { .. }));
    let many = vec![Panel::new("", good.clone()); 33];
    assert!(matches!(
        raster(&plain_raster(&many)),
        Err(Error::Shape { .. })
    ));
    assert!(matches!(
        raster(&plain_raster(&[])),
        Err(Error::Shape { .. })
    ));
    let mut unnamed = Panel::new("", good.clone());
    unnamed.neurons.pop();
    assert!(matches!(
        raster(&plain_raster(&[unnamed])),
        Err(Error::Shape { .. })
    ));
    let one = |value: f32| {
        let mut spikes = good.clone();
        spikes[[2, 3]] = value;
        spikes
    };
    for bad in [0.5, -1.0, 2.0] {
        assert!(matches!(
            of(&one(bad), &good),
            Error::InvalidParameter { .. }
        ));
    }
    for bad in [f32::NAN, f32::INFINITY] {
        assert!(matches!(of(&good, &one(bad)), Error::NonFinite { .. }));
    }

    let image = |pixels: Vec<f32>, height, width| {
        let pixels = Array1::from(pixels);
        let image = Image {
            pixels: pixels.view(),
            height,
            width,
            label: "",
        };
        raster(&Raster {
            image: Some(image),
            ..plain_raster(&panels(&good, &good))
        })
        .unwrap_err()
    };
    assert!(matches!(image(vec![0.0; 5], 2, 3), Error::Shape { .. }));
    assert!(matches!(image(vec![], 0, 0), Error::Shape { .. }));
    assert!(matches!(image(vec![0.0; 257], 1, 257), Error::Shape { .. }));
    assert!(matches!(
        image(vec![0.0; 4], usize::MAX, 4),
        Error::Shape { .. }
    ));
    assert!(matches!(
        image(vec![0.0, 255.0], 1, 2),
        Error::InvalidParameter { .. }
    ));
    assert!(matches!(
        image(vec![0.0, f32::NAN], 1, 2),
        Error::NonFinite { .. }
    ));
}
