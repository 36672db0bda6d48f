//! The readers of idx files and of MNIST: the real files against the crate `mnist`, and every way
//! in which a file can be wrong.
#![cfg(feature = "mnist")]

mod skip;

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use skip::skipped;
use spikegrad::Error;
use spikegrad::data::{Dataset, Mnist, idx};
use tempfile::TempDir;

const NAMES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// The folder of the real files, or None, said aloud, where they are not: in the packaged crate.
fn real_files() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist");
    if dir.is_dir() {
        return Some(dir);
    }
    skipped(format_args!(
        "{} is not there (the published crate comes without it)",
        dir.display()
    ));
    None
}

/// An idx file of bytes: magic number, dimensions, body.
fn idx_file(magic: u32, dims: &[u32], body: &[u8]) -> Vec<u8> {
    let mut file = magic.to_be_bytes().to_vec();
    for dim in dims {
        file.extend(dim.to_be_bytes());
    }
    file.extend(body);
    file
}

fn images_file(count: u32, height: u32, width: u32) -> Vec<u8> {
    let body: Vec<u8> = (0..count * height * width)
        .map(|i| (i * 37 + 11) as u8)
        .collect();
    idx_file(0x803, &[count, height, width], &body)
}

fn labels_file(labels: &[u8]) -> Vec<u8> {
    idx_file(0x801, &[labels.len() as u32], labels)
}

/// QMNIST's labels: rows of whole numbers, the class first.
fn int_labels_file(labels: &[i32], columns: u32) -> Vec<u8> {
    let row = |label: &i32| -> Vec<u8> {
        let rest = (1..columns as i32).map(|column| label.wrapping_mul(1000).wrapping_sub(column));
        let row = [*label].into_iter().chain(rest);
        row.flat_map(i32::to_be_bytes).collect()
    };
    let body: Vec<u8> = labels.iter().flat_map(row).collect();
    idx_file(0xc02, &[labels.len() as u32, columns], &body)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder with the four files of a tiny data set: 5 and 3 images of 2×3 pixels.
fn tiny_folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let files = [
        images_file(5, 2, 3),
        labels_file(&[5, 0, 4, 1, 9]),
        images_file(3, 2, 3),
        labels_file(&[7, 2, 1]),
    ];
    for (name, file) in NAMES.iter().zip(files) {
        fs::write(dir.path().join(name), file).unwrap();
    }
    dir
}

/// The result must be `Error::Format` about `what`, whose text names the path.
#[track_caller]
fn assert_format<T: std::fmt::Debug>(
    result: spikegrad::Result<T>,
    at: &Path,
    about: &str,
) -> String {
    let error = result.expect_err("a malformed file was accepted");
    let text = error.to_string();
    match error {
        Error::Format {
            path,
            what,
            expected,
            found,
        } => {
            assert_eq!(path, at, "{text}");
            assert_eq!(what, about, "{text}");
            assert!(!expected.is_empty() && !found.is_empty(), "{text}");
        }
        other => panic!("expected Error::Format about the {about}, got {other:?}"),
    }
    assert!(
        text.contains(&at.display().to_string()),
        "no path in: {text}"
    );
    text
}

/// Reads `bytes` from a file as images and as labels.
struct Case {
    dir: TempDir,
}

impl Case {
    fn new() -> Self {
        Case {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("case")
    }

    fn images(&self, bytes: &[u8]) -> spikegrad::Result<ndarray::Array3<u8>> {
        fs::write(self.path(), bytes).unwrap();
        idx::read_images(self.path())
    }

    fn labels(&self, bytes: &[u8]) -> spikegrad::Result<Vec<u8>> {
        fs::write(self.path(), bytes).unwrap();
        idx::read_labels(self.path())
    }
}

// ---------------------------------------------------------------- the real files

#[test]
fn real_files_load() {
    let Some(dir) = real_files() else { return };
    let Mnist { train, test } = Mnist::load(dir).unwrap();
    assert_eq!((train.len(), test.len()), (60_000, 10_000));
    for set in [&train, &test] {
        assert_eq!(
            (set.features(), set.image_shape(), set.classes()),
            (784, (28, 28), 10)
        );
    }
    assert_eq!(train.labels()[..5], [5, 0, 4, 1, 9]);
    assert_eq!(test.labels()[..5], [7, 2, 1, 0, 4]);
}

/// All 70,000 images and labels are what the crate `mnist` reads from the unpacked files, and our
/// reader takes the same from raw and from gzipped files.
#[test]
fn real_files_equal_the_mnist_crate() {
    let Some(dir) = real_files() else { return };
    let unpacked = tempfile::tempdir().unwrap();
    for name in NAMES {
        let mut bytes = Vec::new();
        let gzipped = fs::File::open(dir.join(format!("{name}.gz"))).unwrap();
        MultiGzDecoder::new(gzipped)
            .read_to_end(&mut bytes)
            .unwrap();
        fs::write(unpacked.path().join(name), bytes).unwrap();
    }
    let oracle = mnist::MnistBuilder::new()
        .base_path(unpacked.path().to_str().unwrap())
        .label_format_digit()
        .training_set_length(60_000)
        .validation_set_length(0)
        .test_set_length(10_000)
        .finalize();

    let from_gzip = Mnist::load(dir).unwrap();
    assert!(
        Mnist::load(unpacked.path()).unwrap() == from_gzip,
        "raw and gzipped files differ"
    );
    for (ours, images, labels) in [
        (&from_gzip.train, &oracle.trn_img, &oracle.trn_lbl),
        (&from_gzip.test, &oracle.tst_img, &oracle.tst_lbl),
    ] {
        assert_eq!(images.len(), ours.len() * 784);
        assert!(
            ours.images().iter().eq(images),
            "pixels differ from the oracle's"
        );
        assert!(ours.labels() == labels, "labels differ from the oracle's");
    }
}

// ---------------------------------------------------------------- finding the files

#[test]
fn raw_gzipped_and_mixed_folders_are_the_same() {
    let dir = tiny_folder();
    let raw = Mnist::load(dir.path()).unwrap();
    assert_eq!(
        (raw.train.len(), raw.test.len(), raw.train.image_shape()),
        (5, 3, (2, 3))
    );
    assert_eq!(raw.train.labels(), [5, 0, 4, 1, 9]);
    assert_eq!(raw.train.images()[[0, 0]], 11);
    assert_eq!(raw.train.images()[[1, 0]], (6 * 37 + 11) as u8);

    for name in NAMES {
        let path = dir.path().join(name);
        let bytes = fs::read(&path).unwrap();
        fs::write(dir.path().join(format!("{name}.gz")), gzip(&bytes)).unwrap();
        fs::remove_file(path).unwrap();
        assert_eq!(Mnist::load(dir.path()).unwrap(), raw, "with {name} gzipped");
    }
}

#[test]
fn raw_is_preferred_and_folders_are_passed_over() {
    let dir = tiny_folder();
    let gzipped = dir.path().join("train-labels-idx1-ubyte.gz");
    fs::write(&gzipped, gzip(&labels_file(&[1, 1, 1, 1, 1]))).unwrap();
    assert_eq!(
        Mnist::load(dir.path()).unwrap().train.labels(),
        [5, 0, 4, 1, 9]
    );

    // Some programs unpack each file into a folder of its name.
    let raw = dir.path().join("train-labels-idx1-ubyte");
    fs::remove_file(&raw).unwrap();
    fs::create_dir(&raw).unwrap();
    assert_eq!(
        Mnist::load(dir.path()).unwrap().train.labels(),
        [1, 1, 1, 1, 1]
    );
}

#[test]
fn content_decides_not_the_name() {
    let dir = tiny_folder();
    let expected = Mnist::load(dir.path()).unwrap();
    for name in NAMES {
        let path = dir.path().join(name);
        let bytes = fs::read(&path).unwrap();
        if name.starts_with("train") {
            fs::write(&path, gzip(&bytes)).unwrap();
        } else {
            fs::rename(&path, dir.path().join(format!("{name}.gz"))).unwrap();
        }
    }
    assert_eq!(Mnist::load(dir.path()).unwrap(), expected);
}

#[test]
fn a_gzip_file_may_have_several_members() {
    let bytes = images_file(4, 3, 3);
    let case = Case::new();
    let whole = case.images(&bytes).unwrap();
    for cut in 0..=bytes.len() {
        let (first, second) = bytes.split_at(cut);
        let members = [gzip(first), gzip(second)].concat();
        assert_eq!(case.images(&members).unwrap(), whole, "cut at {cut}");
    }
}

#[test]
fn missing_folder_and_files_are_named() {
    let parent = tiny_folder();
    let missing = parent.path().join("nowhere");
    let check = |dir: &Path, kind, absent: &[&str]| {
        let error = Mnist::load(dir).unwrap_err();
        let text = error.to_string();
        match error {
            Error::Io { path, source, .. } => {
                assert_eq!((path.as_path(), source.kind()), (dir, kind))
            }
            other => panic!("expected Error::Io, got {other:?}"),
        }
        assert!(text.contains(&dir.display().to_string()), "{text}");
        for name in NAMES {
            let said_missing = text.contains(&format!("no {name}"));
            assert_eq!(said_missing, absent.contains(&name), "{name}: {text}");
            assert!(
                text.contains(name),
                "{name} is not in the list of what is right: {text}"
            );
        }
        assert!(text.contains(".gz"), "{text}");
    };
    check(&missing, std::io::ErrorKind::NotFound, &[]);
    check(
        &parent.path().join(NAMES[0]),
        std::io::ErrorKind::NotADirectory,
        &[],
    );
    fs::create_dir(&missing).unwrap();
    check(&missing, std::io::ErrorKind::NotFound, &NAMES);
    for name in NAMES {
        let dir = tiny_folder();
        fs::remove_file(dir.path().join(name)).unwrap();
        check(dir.path(), std::io::ErrorKind::NotFound, &[name]);
    }

    let file = parent.path().join("no-such-file");
    match idx::read_images(&file) {
        Err(Error::Io { path, .. }) => assert_eq!(path, file),
        other => panic!("expected Error::Io, got {other:?}"),
    }
    assert_format(idx::read_labels(&missing), &missing, "kind");
}

// ---------------------------------------------------------------- files that do not fit together

#[test]
fn a_label_above_nine_is_named() {
    for label in [10, 255] {
        let dir = tiny_folder();
        let path = dir.path().join(NAMES[1]);
        fs::write(&path, labels_file(&[5, 0, 4, label, 9])).unwrap();
        let text = assert_format(Mnist::load(dir.path()), &path, "label 3");
        assert!(text.contains(&label.to_string()), "{text}");
    }
}

#[test]
fn as_many_labels_as_images() {
    for labels in [&[1u8, 2][..], &[1, 2, 3, 4]] {
        let dir = tiny_folder();
        let (images, path) = (dir.path().join(NAMES[2]), dir.path().join(NAMES[3]));
        fs::write(&path, labels_file(labels)).unwrap();
        let text = assert_format(Mnist::load(dir.path()), &path, "number of labels");
        assert!(text.contains(&images.display().to_string()), "{text}");
        assert_format(Dataset::from_idx(&images, &path), &path, "number of labels");
    }
}

#[test]
fn train_and_test_images_have_one_size() {
    // The same number of pixels is not enough.
    for (height, width) in [(3, 2), (1, 6), (2, 4)] {
        let dir = tiny_folder();
        let path = dir.path().join(NAMES[2]);
        fs::write(&path, images_file(3, height, width)).unwrap();
        let text = assert_format(Mnist::load(dir.path()), &path, "image size");
        assert!(
            text.contains("2x3") && text.contains(&format!("{height}x{width}")),
            "{text}"
        );
    }
}

// ---------------------------------------------------------------- single files that are wrong

#[test]
fn wrong_magic_numbers() {
    let case = Case::new();
    let path = case.path();
    for wrap in [|bytes: Vec<u8>| bytes, |bytes: Vec<u8>| gzip(&bytes)] {
        // Each kind given as the other, other element types and numbers of dimensions, wrong order.
        assert_format(
            case.images(&wrap(labels_file(&[1, 2]))),
            &path,
            "magic number",
        );
        assert_format(
            case.labels(&wrap(images_file(1, 2, 2))),
            &path,
            "magic number",
        );
        for magic in [
            0u32,
            0x802,
            0x804,
            0x903,
            0xd03,
            0x0308_0000,
            0x0100_0803,
            u32::MAX,
        ] {
            let text = assert_format(
                case.images(&wrap(idx_file(magic, &[1, 1, 1], &[0]))),
                &path,
                "magic number",
            );
            assert!(
                text.contains(&format!("{magic:#010x}")) && text.contains("0x00000803"),
                "{text}"
            );
        }
    }
}

#[test]
fn cut_off_at_every_byte() {
    let case = Case::new();
    let path = case.path();
    let (images, labels) = (images_file(2, 3, 2), labels_file(&[3, 1, 4]));
    for cut in 0..images.len() {
        let what = match cut {
            0..4 => "magic number",
            4..16 => "header",
            _ => "length",
        };
        assert_format(case.images(&images[..cut]), &path, what);
        assert_format(case.images(&gzip(&images[..cut])), &path, what);
    }
    for cut in 0..labels.len() {
        let what = match cut {
            0..4 => "magic number",
            4..8 => "header",
            _ => "length",
        };
        assert_format(case.labels(&labels[..cut]), &path, what);
    }
    let gzipped = gzip(&images);
    assert!(case.images(&gzipped).is_ok());
    for cut in 0..gzipped.len() {
        // Without its two magic bytes it is a raw file that is too short.
        let what = if cut < 2 {
            "magic number"
        } else {
            "gzip stream"
        };
        assert_format(case.images(&gzipped[..cut]), &path, what);
    }
}

#[test]
fn bytes_left_over() {
    let case = Case::new();
    let path = case.path();
    let images = images_file(2, 3, 2);
    for extra in [1usize, 2, 7, 18, 100, 40_000] {
        let longer = [&images[..], &vec![0; extra]].concat();
        // A raw file is refused by its length on disk, before anything of it is read.
        let text = assert_format(case.images(&longer), &path, "length");
        assert!(text.contains(&format!("{} bytes", longer.len())), "{text}");
        assert_format(case.images(&gzip(&longer)), &path, "length");
        for garbage in [1u8, 0x1f, 0xff] {
            let followed = [gzip(&images), vec![garbage; extra]].concat();
            assert_format(case.images(&followed), &path, "gzip stream");
        }
        let member = [gzip(&images), gzip(&vec![0; extra])].concat();
        assert_format(case.images(&member), &path, "length");
    }
    assert_format(
        case.labels(&[labels_file(&[1]), vec![2]].concat()),
        &path,
        "length",
    );
}

/// Zeros behind the last member are passed over, as `gzip` does; nothing else is, nor anything behind
/// them.
#[test]
fn zeros_behind_a_gzip_file() {
    let case = Case::new();
    let path = case.path();
    let images = images_file(2, 3, 2);
    let whole = case.images(&images).unwrap();
    let (first, second) = images.split_at(9);
    for packed in [gzip(&images), [gzip(first), gzip(second)].concat()] {
        for zeros in [1usize, 2, 511, 512, 40_000] {
            let padded = [&packed[..], &vec![0; zeros]].concat();
            assert_eq!(case.images(&padded).unwrap(), whole, "{zeros} zeros");
            for behind in [&[7u8][..], &gzip(&[])] {
                let followed = [&padded[..], behind].concat();
                let text = assert_format(case.images(&followed), &path, "gzip stream");
                assert!(text.contains("other data"), "{text}");
            }
        }
    }
    // Between members they are not padding, and cut off or damaged files stay so.
    let between = [gzip(first), vec![0; 3], gzip(second)].concat();
    assert_format(case.images(&between), &path, "gzip stream");
    let mut damaged = [gzip(&images), vec![0; 512]].concat();
    let checksum = gzip(&images).len() - 8;
    damaged[checksum] ^= 1;
    assert_format(case.images(&damaged), &path, "gzip stream");
    let cut = gzip(&images);
    let cut = [&cut[..cut.len() - 9], &[0; 512]].concat();
    assert_format(case.images(&cut), &path, "gzip stream");
    // A raw file has no such padding.
    let raw = [images, vec![0; 512]].concat();
    assert_format(case.images(&raw), &path, "length");
}

/// Labels of whole numbers: the first column of any number of columns, over the bounds of the pieces in
/// which they are read.
#[test]
fn labels_of_whole_numbers() {
    let case = Case::new();
    let path = case.path();
    for (count, columns) in [
        (1, 1),
        (3, 8),
        (5, 2),
        (4000, 7),
        (20_000, 3),
        (70_000, 1),
        (2, 50_000),
    ] {
        let labels: Vec<i32> = (0..count).map(|i| i * 31 % 256).collect();
        let expected: Vec<u8> = labels.iter().map(|&label| label as u8).collect();
        let file = int_labels_file(&labels, columns);
        assert_eq!(case.labels(&gzip(&file)).unwrap(), expected);
        assert_eq!(case.labels(&file).unwrap(), expected);
    }
    for (bad, place) in [(256, 0), (-1, 2), (i32::MIN, 1), (i32::MAX, 2)] {
        let mut labels = [3, 1, 4];
        labels[place] = bad;
        let text = assert_format(
            case.labels(&int_labels_file(&labels, 8)),
            &path,
            &format!("label {place}"),
        );
        assert!(text.contains(&bad.to_string()), "{text}");
    }
    let file = int_labels_file(&[3, 1, 4], 8);
    for cut in 0..file.len() {
        let what = match cut {
            0..4 => "magic number",
            4..12 => "header",
            _ => "length",
        };
        assert_format(case.labels(&file[..cut]), &path, what);
        assert_format(case.labels(&gzip(&file[..cut])), &path, what);
    }
    for longer in [[&file[..], &[0]].concat(), [&file[..], &[0; 32]].concat()] {
        assert_format(case.labels(&longer), &path, "length");
        assert_format(case.labels(&gzip(&longer)), &path, "length");
    }
    assert_format(case.images(&file), &path, "magic number");
    // 2^34 bytes are claimed, 2^64 and more; and no rows or no columns.
    let max = u32::MAX;
    for (dims, raw, gzipped) in [
        ([1 << 31, 2], "length", "gzipped length"),
        ([max, max], "size in the header", "size in the header"),
        ([0, 8], "dimension 0", "dimension 0"),
        ([3, 0], "dimension 1", "dimension 1"),
    ] {
        let file = idx_file(0xc02, &dims, &[0; 8]);
        assert_format(case.labels(&file), &path, raw);
        assert_format(case.labels(&gzip(&file)), &path, gzipped);
    }
}

#[test]
fn headers_that_claim_too_much() {
    let case = Case::new();
    let path = case.path();
    let max = u32::MAX;
    assert_eq!(u64::from(max) * 641 * 6_700_417, u64::MAX);
    for (dims, raw, gzipped) in [
        ([1 << 31, 28, 28], "length", "gzipped length"),
        ([60_000, 28, 28], "length", "gzipped length"),
        ([2, 2, 4], "length", "length"),
        // The product is 2^64, which wraps to 0; 2^96 less a little; and 2^64 - 1, to which only the
        // 16 bytes of the header are too much.
        (
            [1 << 31, 1 << 31, 4],
            "size in the header",
            "size in the header",
        ),
        ([max, max, max], "size in the header", "size in the header"),
        (
            [max, 641, 6_700_417],
            "size in the header",
            "size in the header",
        ),
    ] {
        let bytes = idx_file(0x803, &dims, &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_format(case.images(&bytes), &path, raw);
        assert_format(case.images(&gzip(&bytes)), &path, gzipped);
    }
    let bytes = idx_file(0x801, &[max], &[1, 2, 3]);
    assert_format(case.labels(&bytes), &path, "length");
    assert_format(case.labels(&gzip(&bytes)), &path, "gzipped length");
}

#[test]
fn dimensions_of_zero() {
    let case = Case::new();
    let path = case.path();
    for (dims, what) in [
        ([0, 2, 2], "dimension 0"),
        ([2, 0, 2], "dimension 1"),
        ([2, 2, 0], "dimension 2"),
        ([u32::MAX, u32::MAX, 0], "dimension 2"),
    ] {
        assert_format(case.images(&idx_file(0x803, &dims, &[])), &path, what);
        assert_format(
            case.images(&gzip(&idx_file(0x803, &dims, &[]))),
            &path,
            what,
        );
    }
    assert_format(case.labels(&labels_file(&[])), &path, "dimension 0");
}

#[test]
fn gzip_damage_is_found() {
    let case = Case::new();
    let path = case.path();
    let gzipped = gzip(&images_file(2, 3, 2));
    // The last 8 bytes are the checksum and the length.
    for position in gzipped.len() - 8..gzipped.len() {
        let mut damaged = gzipped.clone();
        damaged[position] ^= 1;
        assert_format(case.images(&damaged), &path, "gzip stream");
    }
    // Elsewhere a flipped bit may be harmless (a time stamp, a flag), but never a wrong image.
    let whole = case.images(&gzipped).unwrap();
    for bit in 0..gzipped.len() * 8 {
        let mut damaged = gzipped.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        match case.images(&damaged) {
            Ok(images) => assert_eq!(images, whole, "bit {bit}"),
            Err(Error::Format { path: at, .. }) => assert_eq!(at, path),
            Err(other) => panic!("bit {bit}: {other:?}"),
        }
    }
}

/// A small file that unpacks to 1 GiB more than its header says is left at the first byte too
/// many. Its end is damaged: a reader that went on to the end would report that instead.
#[test]
fn a_gzip_bomb_is_not_unpacked() {
    let mut encoder = GzEncoder::new(images_file(1, 1, 1), Compression::fast());
    encoder.get_mut().clear();
    encoder.write_all(&images_file(2, 4, 4)).unwrap();
    for _ in 0..1024 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let mut bomb = encoder.finish().unwrap();
    assert!(
        bomb.len() < 16 << 20,
        "{} bytes are no small file",
        bomb.len()
    );
    let end = bomb.len() - 8;
    bomb[end..].fill(0x55);
    let case = Case::new();
    assert_format(case.images(&bomb), &case.path(), "length");
}

// ---------------------------------------------------------------- anything at all

/// Any outcome but a panic, an error of another kind, or images that do not fit the file.
fn read_anything(case: &Case, bytes: &[u8]) {
    for result in [
        case.images(bytes)
            .map(|images| (images.len(), images.is_empty())),
        case.labels(bytes)
            .map(|labels| (labels.len(), labels.is_empty())),
    ] {
        match result {
            Ok((len, empty)) => assert!(!empty && len <= bytes.len() * 1032),
            Err(Error::Format { path, .. }) => assert_eq!(path, case.path()),
            Err(other) => panic!("{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), start in 0..5) {
        let case = Case::new();
        // Random bytes rarely get past the magic number, so most cases are helped over it.
        let start: &[u8] = match start {
            0 => &[],
            1 => &[0, 0, 8, 3],
            2 => &[0, 0, 8, 1],
            3 => &[0, 0, 12, 2],
            _ => &[0x1f, 0x8b, 8],
        };
        let bytes = [start, &bytes].concat();
        read_anything(&case, &bytes);
        read_anything(&case, &gzip(&bytes));
    }

    #[test]
    fn mutations_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
        tail in prop::collection::vec(any::<u8>(), 0..4),
        outside in any::<bool>(),
    ) {
        let case = Case::new();
        let mutate = |mut bytes: Vec<u8>| {
            for (place, value) in &flips {
                let place = place.index(bytes.len());
                bytes[place] = *value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes.extend(&tail);
            bytes
        };
        for file in [
            images_file(3, 2, 2),
            labels_file(&[1, 2, 3, 4, 5]),
            int_labels_file(&[1, 2, 3], 2),
        ] {
            if outside {
                read_anything(&case, &mutate(gzip(&file)));
            } else {
                let file = mutate(file);
                read_anything(&case, &file);
                read_anything(&case, &gzip(&file));
            }
        }
    }

    #[test]
    fn what_was_written_is_read(
        (count, height, width, body) in (1u32..6, 1u32..6, 1u32..6).prop_flat_map(|(n, h, w)| {
            (Just(n), Just(h), Just(w), prop::collection::vec(any::<u8>(), (n * h * w) as usize))
        }),
    ) {
        let case = Case::new();
        let file = idx_file(0x803, &[count, height, width], &body);
        for bytes in [gzip(&file), file] {
            let images = case.images(&bytes).unwrap();
            prop_assert_eq!(images.dim(), (count as usize, height as usize, width as usize));
            prop_assert!(images.iter().eq(&body));
        }
    }
}
