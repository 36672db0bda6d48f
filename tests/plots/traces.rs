//! Membrane traces.

use ndarray::{Array2, ArrayView2};
use spikegrad::Error;
use spikegrad::plot::{Traces, traces};

use crate::data::membranes;
use crate::svg::{check, polylines};

#[test]
fn traces_show_a_line_for_each_output() {
    let mem = membranes(50, 10, 7);
    let data = Traces {
        mem: mem.view(),
        threshold: &[1.0],
        target: Some(7),
        title: "Sample 7",
    };
    let svg = check("traces", traces(&data));
    assert_eq!(polylines(&svg).iter().filter(|n| **n == 50).count(), 10);
    for text in [
        "7 (target)",
        "\nthreshold\n",
        "Sample 7",
        "membrane potential",
        "time step",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    // The target is on top: the last long line is the thick one.
    let last = svg
        .lines()
        .rfind(|l| l.starts_with("<polyline") && l.matches(',').count() == 50)
        .unwrap();
    assert!(last.contains("stroke-width=\"14\""), "{last}");

    let each: Vec<f32> = (0..10).map(|i| 0.5 + 0.1 * i as f32).collect();
    assert!(
        check(
            "thresholds",
            traces(&Traces {
                threshold: &each,
                ..data
            })
        )
        .contains("thresholds")
    );
}

#[test]
fn traces_at_the_edges() {
    let of = |mem: ArrayView2<f32>, target| {
        traces(&Traces {
            mem,
            threshold: &[1.0],
            target,
            title: "",
        })
    };
    assert_eq!(
        check("T = 1", of(membranes(1, 10, 3).view(), Some(3)))
            .matches("<circle")
            .count(),
        10
    );
    check("T = 2, one class", of(membranes(2, 1, 0).view(), None));
    check("twenty classes", of(membranes(30, 20, 15).view(), Some(15)));
    assert!(check("long", of(membranes(20_000, 10, 3).view(), None)).len() < 400_000);
    check(
        "transposed",
        of(membranes(10, 30, 3).t().slice(ndarray::s![..;2, ..]), None),
    );
    for value in [1.0, 0.0, -1.0, f32::MAX, f32::MIN_POSITIVE] {
        check(
            &format!("all {value}"),
            of(Array2::from_elem((5, 10), value).view(), Some(0)),
        );
    }
    check(
        "the largest range",
        of(ndarray::arr2(&[[f32::MIN], [f32::MAX]]).view(), None),
    );
}

#[test]
fn wrong_traces_are_errors() {
    let mem = membranes(5, 4, 1);
    let of = |mem: &Array2<f32>, threshold: &[f32], target| {
        traces(&Traces {
            mem: mem.view(),
            threshold,
            target,
            title: "",
        })
        .unwrap_err()
    };
    for bad in [(0, 4), (5, 0), (5, 21)] {
        assert!(
            matches!(of(&Array2::zeros(bad), &[1.0], None), Error::Shape { .. }),
            "{bad:?}"
        );
    }
    assert!(matches!(of(&mem, &[], None), Error::Shape { .. }));
    assert!(matches!(of(&mem, &[1.0; 3], None), Error::Shape { .. }));
    assert!(matches!(
        of(&mem, &[1.0], Some(4)),
        Error::Target {
            value: 4,
            classes: 4,
            ..
        }
    ));
    assert!(matches!(
        of(&mem, &[f32::NAN], None),
        Error::NonFinite { .. }
    ));
    assert!(matches!(
        of(&Array2::from_elem((2, 2), f32::INFINITY), &[1.0], None),
        Error::NonFinite { .. }
    ));
}
