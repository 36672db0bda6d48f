//! What the idx reader allocates: images and labels once, and never what a header merely claims.
#![cfg(feature = "mnist")]

mod peak;

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use peak::peak;
use spikegrad::data::{Dataset, idx};

/// Noise that deflate cannot shrink.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1u64;
    (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

fn images_file(count: u32, body: &[u8]) -> Vec<u8> {
    let header = [0x803, count, 28, 28].map(u32::to_be_bytes).concat();
    [header, body.to_vec()].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn memory_follows_the_data() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("images");
    let labels = dir.path().join("labels");

    // 30,000 images, 23.5 MB: more than one step of growth. The decoder's own buffers are small.
    let count = 30_000;
    let body = noise(count * 784);
    let label_header = [0x801, count as u32].map(u32::to_be_bytes).concat();
    fs::write(&labels, [label_header, vec![7; count]].concat()).unwrap();
    for file in [
        gzip(&images_file(count as u32, &body)),
        images_file(count as u32, &body),
    ] {
        fs::write(&path, file).unwrap();
        let (data, most) = peak(|| Dataset::from_idx(&path, &labels).unwrap());
        assert!(data.images().iter().eq(&body));
        let slack = 1 << 18;
        assert!(
            most <= data.images().len() + data.labels().len() + slack,
            "{most} bytes at the peak"
        );
    }

    // A header which claims 1.6 GB, over 2 MB of data: few enough for the ratio to be possible.
    fs::write(&path, gzip(&images_file(2_000_000, &noise(2 << 20)))).unwrap();
    let (result, most) = peak(|| idx::read_images(&path));
    assert!(result.is_err());
    assert!(most < 17 << 20, "{most} bytes for a header's claim");

    // Labels of eight numbers a row, 12.8 MB: the first of each is kept, and the others are not.
    let rows = 400_000;
    let header = [0xc02, rows as u32, 8].map(u32::to_be_bytes).concat();
    let row = [0, 0, 0, 7].into_iter().chain([200; 28]);
    let body: Vec<u8> = row.cycle().take(rows * 32).collect();
    let file = [header, body].concat();
    for file in [gzip(&file), file] {
        fs::write(&labels, file).unwrap();
        let (read, most) = peak(|| idx::read_labels(&labels).unwrap());
        assert_eq!((read.len(), read[0], read[rows - 1]), (rows, 7, 7));
        assert!(most <= rows + (1 << 18), "{most} bytes at the peak");
    }

    // Tiny files, raw and gzipped, which claim 2^31 images: nothing at all is allocated for them.
    let lie = images_file(1 << 31, &[1, 2, 3]);
    for file in [gzip(&lie), lie] {
        fs::write(&path, file).unwrap();
        let (result, most) = peak(|| idx::read_images(&path));
        assert!(result.is_err());
        assert!(most < 1 << 18, "{most} bytes for a header's claim");
    }
}
