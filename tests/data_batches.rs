//! What a data set accepts, and what a pass over it yields. Needs no feature and no files.

use ndarray::{Array2, ShapeBuilder, array};
use spikegrad::Error;
use spikegrad::data::{Batch, Batches, Dataset};

/// `count` images of 3 pixels, in which pixel 0 and 1 spell the image's own index, labels `index % 5`.
fn numbered(count: usize) -> Dataset {
    let images = Array2::from_shape_fn((count, 3), |(index, pixel)| match pixel {
        0 => (index / 256) as u8,
        1 => (index % 256) as u8,
        _ => 255,
    });
    let labels = (0..count).map(|index| (index % 5) as u8).collect();
    Dataset::new(images, labels, 5).unwrap()
}

/// The indices that [`numbered`] wrote into the images of a batch.
fn indices(batch: &Batch) -> Vec<usize> {
    let byte = |x: f32| (x * 255.0).round() as usize;
    let found: Vec<usize> = batch
        .images
        .rows()
        .into_iter()
        .map(|row| 256 * byte(row[0]) + byte(row[1]))
        .collect();
    let targets: Vec<usize> = found.iter().map(|index| index % 5).collect();
    assert_eq!(
        batch.targets, targets,
        "a target does not belong to its image"
    );
    found
}

fn order(batches: Batches<'_>) -> Vec<usize> {
    batches.flat_map(|batch| indices(&batch)).collect()
}

#[track_caller]
fn assert_parameter<T: std::fmt::Debug>(result: spikegrad::Result<T>, name: &str, value: &str) {
    match result {
        Err(Error::InvalidParameter {
            name: found_name,
            value: found_value,
            expected,
        }) => {
            assert_eq!((found_name.as_str(), found_value.as_str()), (name, value));
            assert!(!expected.is_empty());
        }
        other => panic!("expected InvalidParameter for {name}, got {other:?}"),
    }
}

#[test]
fn every_pixel_is_scaled_exactly() {
    let images = Array2::from_shape_fn((1, 256), |(_, pixel)| pixel as u8);
    let data = Dataset::new(images, vec![0], 1).unwrap();
    let batch = data.batch(&[0]).unwrap();
    for (pixel, &x) in batch.images.iter().enumerate() {
        assert_eq!(
            x.to_bits(),
            (f32::from(pixel as u8) / 255.0).to_bits(),
            "pixel {pixel}"
        );
    }
    // Pinned by hand too: 128/255 to the nearest float, which no division by 256 gives.
    assert_eq!(batch.images[[0, 0]].to_bits(), 0.0f32.to_bits());
    assert_eq!(batch.images[[0, 128]], 0.501_960_8);
    assert_eq!(batch.images[[0, 255]], 1.0);
}

#[test]
fn in_order_unless_shuffled() {
    let data = numbered(10);
    let batches: Vec<Vec<usize>> = data
        .batches(4)
        .unwrap()
        .map(|batch| indices(&batch))
        .collect();
    assert_eq!(batches, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
}

#[test]
fn every_image_once_per_epoch() {
    for (count, batch_size) in [
        (1, 1),
        (2, 1),
        (10, 3),
        (256, 256),
        (1000, 128),
        (1000, 2000),
    ] {
        let data = numbered(count);
        for epoch in 0..3 {
            let mut seen = order(data.batches(batch_size).unwrap().shuffled(7, epoch));
            seen.sort_unstable();
            assert!(
                seen.into_iter().eq(0..count),
                "{count} images, batches of {batch_size}"
            );
        }
    }
}

#[test]
fn order_depends_on_seed_and_epoch_only() {
    let data = numbered(500);
    let run =
        |batch_size, seed, epoch| order(data.batches(batch_size).unwrap().shuffled(seed, epoch));
    let base = run(32, 1, 0);
    assert!(!base.iter().copied().eq(0..500), "not shuffled at all");
    assert_eq!(run(32, 1, 0), base);
    assert_eq!(run(7, 1, 0), base, "the batch size changed the order");
    assert_ne!(run(32, 1, 1), base, "another epoch, the same order");
    assert_ne!(run(32, 2, 0), base, "another seed, the same order");
    assert_ne!(
        run(32, 1, 1 << 32),
        base,
        "the epoch's upper half is ignored"
    );
    assert_ne!(
        run(32, 1 | 1 << 32, 0),
        base,
        "the seed's upper half is ignored"
    );
}

/// The order is part of what a seed means, so it may not change from one version to the next. The
/// expected values are from an independent implementation of ChaCha8, PCG32 seeding, Lemire's
/// method and Fisher–Yates, written in Python after their definitions.
#[test]
fn order_is_pinned() {
    let data = numbered(16);
    let run = |epoch| order(data.batches(16).unwrap().shuffled(42, epoch));
    assert_eq!(
        run(0),
        [0, 2, 12, 13, 4, 9, 15, 6, 7, 11, 1, 3, 8, 5, 14, 10]
    );
    assert_eq!(
        run(3),
        [15, 13, 1, 11, 9, 7, 4, 12, 3, 0, 14, 2, 6, 10, 8, 5]
    );
    let large = numbered(60_000);
    let first = large
        .batches(8)
        .unwrap()
        .shuffled(7, (1 << 40) + 1)
        .next()
        .unwrap();
    assert_eq!(
        indices(&first),
        [3170, 42, 6155, 57_725, 2419, 3481, 49_128, 13_367]
    );
}

/// Each image reaches each place about equally often: 4,000 shuffles of 5 make 800 expected per
/// cell, with a standard deviation of 25; a cell off by 6 of them is no chance.
#[test]
fn shuffle_is_even() {
    let data = numbered(5);
    let mut counts = [[0i32; 5]; 5];
    for epoch in 0..4000 {
        for (place, index) in order(data.batches(5).unwrap().shuffled(3, epoch))
            .into_iter()
            .enumerate()
        {
            counts[place][index] += 1;
        }
    }
    for (place, row) in counts.iter().enumerate() {
        for (index, count) in row.iter().enumerate() {
            assert!(
                (count - 800).abs() <= 150,
                "image {index} at place {place}: {count} of 4000"
            );
        }
    }
}

#[test]
fn lengths_with_and_without_the_last_batch() {
    // images, batch size, batches, batches with drop_last
    for (count, batch_size, all, whole) in [
        (10, 4, 3, 2),
        (8, 4, 2, 2),
        (9, 4, 3, 2),
        (4, 4, 1, 1),
        (11, 1, 11, 11),
    ] {
        let data = numbered(count);
        let batches = data.batches(batch_size).unwrap();
        assert_eq!(batches.len(), all);
        let sizes: Vec<usize> = batches.map(|batch| batch.targets.len()).collect();
        assert_eq!(sizes.len(), all);
        assert_eq!(sizes.iter().sum::<usize>(), count);
        assert!(sizes[..all - 1].iter().all(|&size| size == batch_size));

        let batches = data.batches(batch_size).unwrap().drop_last(true).unwrap();
        assert_eq!(batches.len(), whole);
        let shapes: Vec<_> = batches.map(|batch| batch.images.dim()).collect();
        assert_eq!(shapes, vec![(batch_size, 3); whole]);
    }
    let data = numbered(3);
    assert_eq!(
        data.batches(usize::MAX)
            .unwrap()
            .map(|batch| indices(&batch))
            .collect::<Vec<_>>(),
        [[0, 1, 2]]
    );
}

#[test]
fn length_counts_down() {
    let data = numbered(10);
    let mut batches = data.batches(4).unwrap();
    for left in (0..3).rev() {
        assert!(batches.next().is_some());
        assert_eq!(
            (batches.len(), batches.size_hint()),
            (left, (left, Some(left)))
        );
    }
    assert!(batches.next().is_none());
    assert!(batches.next().is_none());
    assert_eq!(batches.len(), 0);
}

#[test]
fn skip_to_resumes_an_epoch() {
    let data = numbered(103);
    let epoch = || data.batches(10).unwrap().shuffled(5, 2);
    let whole: Vec<Batch> = epoch().collect();
    for at in 0..=whole.len() {
        let rest = epoch().skip_to(at).unwrap();
        assert_eq!((rest.position(), rest.len()), (at, whole.len() - at));
        assert!(
            rest.eq(whole[at..].iter().cloned()),
            "resumed at batch {at}"
        );
    }
    assert_parameter(epoch().skip_to(12), "batch", "12");
    assert_parameter(epoch().drop_last(true).unwrap().skip_to(11), "batch", "11");
    // In the order that the documentation advises against: an empty rest, not a panic.
    let mut rest = epoch().skip_to(11).unwrap().drop_last(true).unwrap();
    assert_eq!((rest.len(), rest.next()), (0, None));
}

#[test]
fn next_into_yields_the_same_and_keeps_the_memory() {
    let data = numbered(20);
    let mut filled = Batch::default();
    let mut batches = data.batches(8).unwrap().shuffled(1, 1);
    let mut places = Vec::new();
    for expected in data.batches(8).unwrap().shuffled(1, 1) {
        assert!(batches.next_into(&mut filled));
        assert_eq!(filled, expected);
        places.push(filled.images.as_ptr());
    }
    assert_eq!(
        places[0], places[1],
        "a batch of the same shape was allocated anew"
    );
    let last = filled.clone();
    assert!(!batches.next_into(&mut filled));
    assert_eq!(filled, last, "the end of the epoch changed the batch");
}

#[test]
fn impossible_batches_are_refused() {
    let data = numbered(10);
    assert_parameter(data.batches(0), "batch_size", "0");
    assert_parameter(
        data.batches(11).unwrap().drop_last(true),
        "batch_size",
        "11",
    );
    assert_eq!(data.batches(11).unwrap().drop_last(false).unwrap().len(), 1);
    assert_parameter(data.batch(&[]), "number of indices", "0");
    assert_parameter(data.batch(&[3, 10]), "index 1 of the batch", "10");
    assert_parameter(
        data.batch(&[usize::MAX]),
        "index 0 of the batch",
        &usize::MAX.to_string(),
    );
    assert_eq!(indices(&data.batch(&[9, 0, 9]).unwrap()), [9, 0, 9]);
}

#[test]
fn head_takes_the_first() {
    let data = numbered(10);
    let head = data.head(3).unwrap();
    assert_eq!((head.len(), head.features(), head.classes()), (3, 3, 5));
    assert_eq!(order(head.batches(3).unwrap()), [0, 1, 2]);
    assert_eq!(data.head(10).unwrap(), data);
    assert_parameter(data.head(0), "head", "0");
    assert_parameter(data.head(11), "head", "11");
}

#[test]
fn contradictions_are_refused() {
    let shape = |result: spikegrad::Result<Dataset>, name: &str, dims: &[usize]| match result {
        Err(Error::Shape { what, found, .. }) => {
            assert_eq!((what.as_str(), &found[..]), (name, dims))
        }
        other => panic!("expected Shape for {name}, got {other:?}"),
    };
    shape(
        Dataset::new(Array2::zeros((0, 4)), vec![], 2),
        "images",
        &[0, 4],
    );
    shape(
        Dataset::new(Array2::zeros((4, 0)), vec![0; 4], 2),
        "images",
        &[4, 0],
    );
    shape(
        Dataset::new(Array2::zeros((4, 2)), vec![0; 3], 2),
        "labels",
        &[3],
    );
    shape(
        Dataset::new(Array2::zeros((4, 2)), vec![0; 5], 2),
        "labels",
        &[5],
    );
    let images = || Array2::zeros((2, 6));
    assert_parameter(Dataset::new(images(), vec![0, 2], 2), "label 1", "2");
    assert_parameter(Dataset::new(images(), vec![0, 0], 0), "classes", "0");
    assert_parameter(Dataset::new(images(), vec![0, 0], 257), "classes", "257");
    assert!(Dataset::new(images(), vec![0, 255], 256).is_ok());

    let data = Dataset::new(images(), vec![0, 1], 2).unwrap();
    assert_eq!(data.image_shape(), (1, 6));
    assert_eq!(
        data.clone().with_image_shape(2, 3).unwrap().image_shape(),
        (2, 3)
    );
    assert_eq!(
        data.clone()
            .with_image_shape(2, 3)
            .unwrap()
            .head(1)
            .unwrap()
            .image_shape(),
        (2, 3)
    );
    assert_parameter(data.clone().with_image_shape(2, 4), "image shape", "2x4");
    let overflow = format!("{0}x{0}", usize::MAX);
    assert_parameter(
        data.with_image_shape(usize::MAX, usize::MAX),
        "image shape",
        &overflow,
    );
}

#[test]
fn column_order_is_taken_as_well() {
    let rows = array![[1u8, 2, 3], [4, 5, 6]];
    let mut columns = Array2::zeros((2, 3).f());
    columns.assign(&rows);
    assert!(!columns.is_standard_layout());
    let data = Dataset::new(columns, vec![0, 1], 2).unwrap();
    assert!(data.images().is_standard_layout());
    assert_eq!(data.images(), rows);
    assert_eq!(data, Dataset::new(rows, vec![0, 1], 2).unwrap());
}

#[test]
fn can_cross_threads() {
    fn check<T: Send + Sync>() {}
    check::<Dataset>();
    check::<Batches<'_>>();
    check::<Batch>();
}
