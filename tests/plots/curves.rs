//! Loss and accuracy.

use spikegrad::Error;
use spikegrad::plot::{Curves, Series, accuracy, loss};

use crate::data::{accuracies, losses};
use crate::svg::{check, polylines};

#[test]
fn five_epochs_show_every_part_and_stay_small() {
    let batches = 5 * 468;
    let ends: Vec<f64> = (1..=5).map(|e| (e * 468) as f64).collect();
    let points = |values: [f64; 5]| ends.iter().copied().zip(values).collect::<Vec<_>>();

    let train = losses(batches);
    let val = points([14.0, 10.5, 9.2, 8.6, 8.31]);
    let svg = check(
        "loss",
        loss(&Curves {
            train: train.clone(),
            validation: vec![Series {
                label: "validation".into(),
                points: val.clone(),
            }],
        }),
    );
    assert!(svg.len() < 100_000, "{} bytes", svg.len());
    assert_eq!(
        svg.matches("<circle").count(),
        5 + 1,
        "a marker for each epoch and the legend's"
    );
    for text in [
        "training, each batch",
        "training, mean of 47 batches",
        "validation (last: 8.31)",
        "epoch 5",
        "\nloss\n",
    ] {
        assert!(svg.contains(text), "{text}");
    }

    let train = accuracies(batches);
    let (count, mem) = (
        points([0.9, 0.94, 0.955, 0.962, 0.9684]),
        points([0.92, 0.95, 0.961, 0.968, 0.9712]),
    );
    let validation = vec![
        Series {
            label: "validation, spike count".into(),
            points: count,
        },
        Series {
            label: "validation, membrane".into(),
            points: mem,
        },
    ];
    let svg = check(
        "accuracy",
        accuracy(&Curves {
            train: train.clone(),
            validation,
        }),
    );
    assert!(svg.len() < 100_000, "{} bytes", svg.len());
    for text in [
        "validation, spike count (last: 96.84 %)",
        "validation, membrane (last: 97.12 %)",
        "\n100\n",
    ] {
        assert!(svg.contains(text), "{text}");
    }
}

#[test]
fn a_short_curve_has_a_point_for_each_batch() {
    let train = losses(137);
    let svg = check(
        "137",
        loss(&Curves {
            train: train.clone(),
            validation: vec![],
        }),
    );
    assert_eq!(
        polylines(&svg).iter().filter(|n| **n == 137).count(),
        2,
        "each batch, and the mean"
    );
}

#[test]
fn a_spike_in_a_long_curve_survives_thinning() {
    let mut train = vec![1.0; 100_000];
    train[70_001] = 500.0;
    let svg = check(
        "100000",
        loss(&Curves {
            train: train.clone(),
            validation: vec![],
        }),
    );
    assert!(svg.len() < 100_000, "{} bytes", svg.len());
    // The axis goes to 520; 500 of 520 of the plot's height of 360 pixels, 4 units each.
    let lines: Vec<_> = svg
        .lines()
        .filter(|l| l.starts_with("<polyline") && l.len() > 1000)
        .collect();
    let span = |line: &str| {
        let points = line
            .split_once("points=\"")
            .map(|(_, p)| p.trim_end_matches("\"/>"))
            .unwrap();
        let y = points
            .split_whitespace()
            .map(|p| p.split_once(',').unwrap().1.parse::<i32>().unwrap());
        y.clone().max().unwrap() - y.min().unwrap()
    };
    let expected = (360.0 * 4.0 * 499.0 / 520.0) as i32;
    assert!(
        (span(lines[0]) - expected).abs() <= 2,
        "{} against {expected}",
        span(lines[0])
    );
}

#[test]
fn curves_at_the_edges() {
    let label = "validation";
    for n in [1, 2, 9, 10, 99, 100] {
        let (train, points) = (losses(n), vec![(n as f64, 9.0)]);
        let curves = Curves {
            train: train.clone(),
            validation: vec![Series {
                label: label.into(),
                points: points.clone(),
            }],
        };
        check(&format!("{n} batches, one epoch"), loss(&curves));
    }
    for value in [0.0, 1.0, -3.0, 1e-30, 1e30, 1e100, -1e100, 0.1 + 0.2] {
        check(
            &format!("all {value}"),
            loss(&Curves {
                train: vec![value; 30],
                validation: vec![],
            }),
        );
    }
    check(
        "nearly equal",
        loss(&Curves {
            train: vec![1.0, 1.0 + f64::EPSILON],
            validation: vec![],
        }),
    );
    check(
        "the largest range",
        loss(&Curves {
            train: vec![-1e100, 1e100],
            validation: vec![],
        }),
    );
    for value in [0.0, 0.1, 0.5, 1.0] {
        check(
            &format!("all {value}"),
            accuracy(&Curves {
                train: vec![value; 30],
                validation: vec![],
            }),
        );
    }
    // Many epochs: their numbers are thinned.
    let points: Vec<_> = (1..=300).map(|e| (e as f64 * 2.0, 0.5)).collect();
    let curves = Curves {
        train: vec![0.5; 600],
        validation: vec![Series {
            label: label.into(),
            points: points.clone(),
        }],
    };
    assert!(
        check("300 epochs", accuracy(&curves))
            .matches("<text")
            .count()
            < 80
    );
}

#[test]
fn wrong_curves_are_errors() {
    let with = |train: &[f64], points: &[(f64, f64)]| {
        loss(&Curves {
            train: train.to_vec(),
            validation: vec![Series {
                label: "v".into(),
                points: points.to_vec(),
            }],
        })
        .unwrap_err()
    };
    let of = |train: &[f64]| {
        accuracy(&Curves {
            train: train.to_vec(),
            validation: vec![],
        })
        .unwrap_err()
    };
    assert!(matches!(of(&[]), Error::Shape { .. }));
    assert!(matches!(with(&[1.0], &[]), Error::Shape { .. }));
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(of(&[0.5, bad]), Error::NonFinite { .. }));
        assert!(matches!(
            with(&[1.0], &[(1.0, bad)]),
            Error::NonFinite { .. }
        ));
        assert!(matches!(
            with(&[1.0], &[(bad, 1.0)]),
            Error::NonFinite { .. }
        ));
    }
    for bad in [-0.01, 1.01, 97.0] {
        assert!(matches!(of(&[bad]), Error::InvalidParameter { .. }));
    }
    for bad in [
        [(-1.0, 1.0), (1.0, 1.0)],
        [(1.0, 1.0), (2.5, 1.0)],
        [(1.0, 1.0), (1.0, 1.0)],
        [(2.0, 1.0), (1.0, 1.0)],
    ] {
        assert!(
            matches!(with(&[1.0, 1.0], &bad), Error::InvalidParameter { .. }),
            "{bad:?}"
        );
    }
    assert!(matches!(
        with(&[1e101], &[(1.0, 1.0)]),
        Error::InvalidParameter { .. }
    ));
}
