//! The plots: well-formed SVG that shows the data it was given, and errors instead of panics.
//!
//! How they look is not tested here. Numbers are counted in the SVG text: a raster has a dot
//! for each spike and no other, a curve a point for each batch.

#![cfg(feature = "plot")]

mod curves;
mod data;
mod gradients;
mod inside;
mod rasters;
mod sizes;
mod svg;
mod traces;

use data::{membranes, panels, plain_raster, ring, spikes};
use spikegrad::Error;
use spikegrad::plot::{
    Curves, Image, Panel, Raster, Series, Traces, accuracy, gradients, loss, raster, save, traces,
};
use svg::check;

#[test]
fn hostile_texts_are_escaped_and_cut() {
    let evil = "<&>\"'\u{0}\u{7}\n\u{fffe}]]><script>".repeat(30);
    let spikes = spikes(5, 4, 0.5);
    let pixels = ring(6);
    let image = Image {
        pixels: pixels.view(),
        height: 6,
        width: 6,
        label: &evil,
    };
    let (plain, named) = (
        panels(&spikes, &spikes),
        [Panel::new(evil.as_str(), spikes.clone())],
    );
    let data = Raster {
        image: Some(image),
        title: &evil,
        ..plain_raster(&plain)
    };
    let trace = Traces::new(membranes(5, 4, 1), vec![1.0]);
    let title = Traces {
        title: evil.clone(),
        ..trace.clone()
    };
    let label = Traces {
        label: evil.clone(),
        ..trace.clone()
    };
    let names = Traces {
        names: vec![evil.clone(); 4],
        ..trace
    };
    let series = vec![Series {
        label: evil.clone(),
        points: vec![(1.0, 0.5)],
    }];
    let curves = Curves {
        train: vec![0.5, 0.25],
        validation: series.clone(),
    };
    for svg in [
        raster(&data),
        raster(&plain_raster(&named)),
        traces(&title),
        traces(&label),
        traces(&names),
        loss(&curves),
        accuracy(&curves),
        gradients(&series),
    ] {
        let svg = check("evil", svg);
        assert!(svg.contains('…') && !svg.contains("<script"));
    }
}

#[test]
fn saving_writes_the_text_or_names_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let svg = loss(&Curves {
        train: vec![1.0, 0.5],
        validation: vec![],
    })
    .unwrap();
    let path = folder.path().join("loss.svg");
    save(&path, "something longer than nothing").unwrap();
    save(&path, &svg).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), svg);

    let missing = folder.path().join("missing").join("loss.svg");
    match save(&missing, &svg) {
        Err(Error::Io { path, .. }) => assert_eq!(path, missing),
        other => panic!("{other:?}"),
    }
}
