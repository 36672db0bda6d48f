//! Membrane traces.

use ndarray::Array2;
use spikegrad::Error;
use spikegrad::plot::{Traces, traces};

use crate::data::membranes;
use crate::svg::{check, polylines};

#[test]
fn traces_show_a_line_for_each_output() {
    let data = Traces {
        target: Some(7),
        label: "layer 2".into(),
        title: "Sample 7".into(),
        ..Traces::new(membranes(50, 10, 7), vec![1.0])
    };
    let svg = check("traces", traces(&data));
    assert_eq!(polylines(&svg).iter().filter(|n| **n == 50).count(), 10);
    for text in [
        "7 (target)",
        "\nthreshold\n",
        "Sample 7",
        "membrane potential, layer 2",
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
                threshold: each,
                ..data
            })
        )
        .contains("thresholds")
    );
}

#[test]
fn traces_at_the_edges() {
    let of = |mem: Array2<f32>, target| {
        traces(&Traces {
            target,
            ..Traces::new(mem, vec![1.0])
        })
    };
    assert_eq!(
        check("T = 1", of(membranes(1, 10, 3), Some(3)))
            .matches("<circle")
            .count(),
        10
    );
    check("T = 2, one class", of(membranes(2, 1, 0), None));
    check("twenty classes", of(membranes(30, 20, 15), Some(15)));
    assert!(check("long", of(membranes(20_000, 10, 3), None)).len() < 400_000);
    check(
        "transposed",
        of(
            membranes(10, 30, 3)
                .reversed_axes()
                .slice_move(ndarray::s![..;2, ..]),
            None,
        ),
    );
    for value in [1.0, 0.0, -1.0, f32::MAX, f32::MIN_POSITIVE] {
        check(
            &format!("all {value}"),
            of(Array2::from_elem((5, 10), value), Some(0)),
        );
    }
    check(
        "the largest range",
        of(ndarray::arr2(&[[f32::MIN], [f32::MAX]]), None),
    );
}

#[test]
fn wrong_traces_are_errors() {
    let mem = membranes(5, 4, 1);
    let of = |mem: &Array2<f32>, threshold: &[f32], target| {
        traces(&Traces {
            target,
            ..Traces::new(mem.clone(), threshold.to_vec())
        })
        .unwrap_err()
    };
    for bad in [(0, 4), (5, 0), (5, 21)] {
        assert!(
            matches!(of(&Array2::zeros(bad), &[1.0], None), Error::Shape { .. }),
            "{bad:?}"
        );
    }
    let without = Traces::new(mem.clone(), Vec::new());
    assert!(traces(&without).is_ok(), "a read-out without a threshold");
    assert!(matches!(of(&mem, &[1.0; 3], None), Error::Shape { .. }));
    let mut unnamed = Traces::new(mem.clone(), vec![1.0]);
    unnamed.names.pop();
    assert!(matches!(traces(&unnamed), Err(Error::Shape { .. })));
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
