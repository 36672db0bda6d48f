//! Norms of gradients, on a logarithmic axis.

use spikegrad::Error;
use spikegrad::plot::{Series, gradients};

use crate::data::noise;
use crate::svg::{check, polylines};

fn series(label: &str, points: Vec<(f64, f64)>) -> Series {
    Series {
        label: label.into(),
        points,
    }
}

#[test]
fn layers_orders_of_magnitude_apart_are_all_seen() {
    let layer = |k: usize| {
        let norm = |x: usize| 10f64.powi(2 * k as i32 - 5) * (1.5 + noise(1000 * k + x));
        let points = (0..47).map(|x| (50.0 * x as f64 + 1.0, norm(x))).collect();
        series(&format!("layer {}", k + 1), points)
    };
    let layers: Vec<Series> = (0..3).map(layer).collect();
    let svg = check("three layers", gradients(&layers));
    assert_eq!(polylines(&svg).iter().filter(|n| **n == 47).count(), 3);
    for text in [
        "layer 1 (last: ",
        "layer 3 (last: ",
        "norm of the gradients",
        "batch",
        "\n0.1\n",
        "\n1e−5\n",
    ] {
        assert!(svg.contains(text), "{text}");
    }
}

/// One above the other by a factor of ten each: equal distances.
#[test]
fn the_axis_is_logarithmic() {
    let flat = |norm: f64| series("flat", vec![(1.0, norm), (2.0, norm)]);
    let svg = check(
        "decades",
        gradients(&[flat(0.01), flat(0.1), flat(1.0), flat(0.0)]),
    );
    let heights: Vec<i32> = svg
        .lines()
        .filter(|l| l.starts_with("<polyline") && l.matches(',').count() == 2)
        .filter_map(|l| {
            let points = l.split_once("points=\"")?.1.trim_end_matches("\"/>").trim();
            let mut y = points.split(' ').map(|p| p.split_once(',').unwrap().1);
            let (a, b) = (y.next()?, y.next()?);
            (a == b).then(|| a.parse().unwrap())
        })
        .collect();
    // The grid and the axes are such lines as well: the last four are the series.
    let [low, middle, high, zero] = heights[heights.len() - 4..] else {
        panic!("{heights:?}")
    };
    assert!(low > middle && middle > high, "y grows downward");
    assert!(((low - middle) - (middle - high)).abs() <= 1);
    assert!(zero > low, "a norm of 0 lies below all others");
}

#[test]
fn norms_at_the_edges() {
    for norm in [0.0, 1e-300, 1e-100, 0.999, 1.0, 3e7, 1e100] {
        check("one", gradients(&[series("a", vec![(1.0, norm)])]));
        check(
            "two",
            gradients(&[series("a", vec![(0.0, norm), (7.0, norm)])]),
        );
    }
    check(
        "the largest range",
        gradients(&[series("a", vec![(1.0, 1e-99), (2.0, 1e100)])]),
    );
}

#[test]
fn wrong_norms_are_errors() {
    let of = |points: &[(f64, f64)]| gradients(&[series("a", points.to_vec())]).unwrap_err();
    assert!(matches!(gradients(&[]), Err(Error::Shape { .. })));
    assert!(matches!(of(&[]), Error::Shape { .. }));
    let many = vec![series("a", vec![(1.0, 1.0)]); 21];
    assert!(matches!(gradients(&many), Err(Error::Shape { .. })));
    for bad in [f64::NAN, f64::INFINITY] {
        assert!(matches!(of(&[(1.0, bad)]), Error::NonFinite { .. }));
        assert!(matches!(of(&[(bad, 1.0)]), Error::NonFinite { .. }));
    }
    for bad in [
        [(1.0, -0.1), (2.0, 1.0)],
        [(2.0, 1.0), (2.0, 1.0)],
        [(-1.0, 1.0), (2.0, 1.0)],
        [(1.0, 1e101), (2.0, 1.0)],
    ] {
        assert!(
            matches!(of(&bad), Error::InvalidParameter { .. }),
            "{bad:?}"
        );
    }
}
