//! Rasters and the image beside them.

use ndarray::{Array1, Array2};
use spikegrad::Error;
use spikegrad::plot::{Image, Raster, raster};

use crate::data::{plain_raster, ring, spikes};
use crate::svg::check;

#[test]
fn a_raster_has_one_circle_for_each_spike() {
    for (steps, n_hidden, n_out, rate) in [
        (50, 100, 10, 0.12),
        (1, 3, 2, 0.5),
        (25, 1, 1, 1.0),
        (7, 512, 512, 0.3),
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
        let svg = check(
            "raster",
            raster(&Raster {
                image: Some(image),
                ..plain_raster(&hidden, &output)
            }),
        );
        assert_eq!(svg.matches("<circle").count(), total);
        assert_eq!(
            check("no image", raster(&plain_raster(&hidden, &output)))
                .matches("<circle")
                .count(),
            total
        );
    }
}

#[test]
fn an_image_has_a_rectangle_for_each_run_of_grey() {
    let spikes = Array2::zeros((4, 4));
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
                ..plain_raster(&spikes, &spikes)
            }),
        )
    };
    // The page and the image's ground are two; black draws nothing more.
    assert_eq!(draw(&Array1::zeros(6), 2, 3).matches("<rect").count(), 2);
    let svg = draw(&Array1::from(vec![1.0, 1.0, 0.0, 0.5, 0.0, 0.5]), 2, 3);
    assert_eq!(svg.matches("<rect").count(), 2 + 3);
    assert_eq!(svg.matches("fill=\"#808080\"").count(), 2);
    draw(&Array1::ones(1), 1, 1);
    draw(&Array1::ones(256 * 256), 256, 256);
}

#[test]
fn wrong_rasters_are_errors() {
    let of = |hidden: &Array2<f32>, output: &Array2<f32>| {
        raster(&plain_raster(hidden, output)).unwrap_err()
    };
    let good = spikes(5, 4, 0.5);
    for bad in [(0, 4), (4, 4), (6, 4), (5, 0), (5, 513)] {
        assert!(
            matches!(of(&Array2::zeros(bad), &good), Error::Shape { .. }),
            "hidden {bad:?}"
        );
        assert!(
            matches!(of(&good, &Array2::zeros(bad)), Error::Shape { .. }),
            "output {bad:?}"
        );
    }
    assert!(matches!(
        of(&Array2::zeros((0, 4)), &Array2::zeros((0, 4))),
        Error::Shape { .. }
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
            ..plain_raster(&good, &good)
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
