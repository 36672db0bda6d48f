//! Data sets as their publishers name and label the files: each variant is written here, small, and
//! loaded as it is.
#![cfg(feature = "mnist")]

mod skip;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use skip::skipped;
use spikegrad::{
    Error,
    data::{Mnist, MnistFiles},
};
use tempfile::{TempDir, tempdir};

const TRAIN: [u8; 5] = [5, 0, 4, 1, 9];
const TEST: [u8; 3] = [7, 2, 1];
const USUAL: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fn idx(magic: u32, dims: &[u32], body: impl IntoIterator<Item = u8>) -> Vec<u8> {
    let header = [magic].into_iter().chain(dims.iter().copied());
    header.flat_map(u32::to_be_bytes).chain(body).collect()
}

/// So many images of 2×3 pixels, each pixel its number and more.
fn images(count: usize, first: u8) -> Vec<u8> {
    let body = (0..count * 6).map(|i| first.wrapping_add(i as u8));
    idx(0x803, &[count as u32, 2, 3], body)
}

fn labels(labels: &[u8]) -> Vec<u8> {
    idx(0x801, &[labels.len() as u32], labels.iter().copied())
}

/// The same with eight columns of whole numbers.
fn int_labels(labels: &[u8]) -> Vec<u8> {
    let row = |&label: &u8| [i32::from(label), 4, 2300, -1, 0, 77, 9, 0].map(i32::to_be_bytes);
    let body = labels.iter().flat_map(row).flatten();
    idx(0xc02, &[labels.len() as u32, 8], body)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Writes a data set of these labels under these names, zipped where a name says so.
fn write(dir: &Path, names: [&str; 4], train: &[u8], test: &[u8]) {
    let labels = |name: &str, classes: &[u8]| match name.contains("idx2-int") {
        true => int_labels(classes),
        false => labels(classes),
    };
    let files = [
        images(train.len(), 0),
        labels(names[1], train),
        images(test.len(), 100),
        labels(names[3], test),
    ];
    for (name, file) in names.into_iter().zip(files) {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let zipped = name.to_ascii_lowercase().ends_with(".gz");
        fs::write(path, if zipped { gzip(&file) } else { file }).unwrap();
    }
}

/// The names of a data set with a name of its own.
fn named(set: &str, gz: &str) -> [String; 4] {
    [
        "train-images-idx3",
        "train-labels-idx1",
        "test-images-idx3",
        "test-labels-idx1",
    ]
    .map(|name| format!("{set}-{name}-ubyte{gz}"))
}

fn write_named(dir: &Path, set: &str, train: &[u8], test: &[u8]) {
    let names = named(set, ".gz");
    write(dir, names.each_ref().map(|name| &**name), train, test);
}

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

/// The text of an error in one line, with all of `parts` in it.
#[track_caller]
fn refused<T: std::fmt::Debug>(result: spikegrad::Result<T>, parts: &[&str]) -> Error {
    let error = result.expect_err("accepted");
    let text = error.to_string();
    assert!(!text.contains('\n'), "{text}");
    for part in parts {
        assert!(text.contains(part), "no '{part}' in: {text}");
    }
    error
}

/// Every way of writing MNIST's names gives the same data set.
#[test]
fn mnist_by_any_name() {
    let usual = folder();
    write(usual.path(), USUAL, &TRAIN, &TEST);
    let expected = Mnist::load(usual.path()).unwrap();
    assert_eq!(expected.train.labels(), TRAIN);
    assert_eq!(expected.test.labels(), TEST);
    assert_eq!(expected.test.images()[[0, 0]], 100);
    let upper = USUAL.map(str::to_uppercase);
    let upper_gz = USUAL.map(|name| format!("{name}.gz").to_uppercase());
    for names in [
        USUAL.map(|name| format!("{name}.gz")),
        USUAL.map(|name| name.replace("-idx", ".idx")),
        USUAL.map(|name| name.replace("-idx", ".idx") + ".gz"),
        upper,
        upper_gz,
        USUAL.map(|name| name.replace("train", "Train").replace("t10k", "Test")),
        USUAL.map(|name| name.replace("t10k", "test")),
        // As programs unpack that make a folder for each archive.
        USUAL.map(|name| format!("{name}/{name}")),
        USUAL.map(|name| format!("{name}.gz/{name}")),
        USUAL.map(|name| format!("{}/{name}.gz", name.replace("-idx", ".idx"))),
        [
            "train-images.idx3-ubyte".into(),
            "TRAIN-labels-idx1-ubyte.gz".into(),
            "t10k-images-idx3-ubyte/T10K-images.idx3-ubyte".into(),
            USUAL[3].into(),
        ],
    ] {
        let dir = folder();
        write(dir.path(), names.each_ref().map(|n| &**n), &TRAIN, &TEST);
        let found = Mnist::load(dir.path());
        let found = found.unwrap_or_else(|e| panic!("{names:?}: {e}"));
        assert_eq!(found, expected, "{names:?}");
    }
}

/// Of several files for one place the least unusual is taken, and a folder of that name with other files
/// in it is not looked at.
#[test]
fn of_several_files_the_usual_one_is_taken() {
    let dir = folder();
    let path = |name: &str| dir.path().join(name);
    write(dir.path(), USUAL, &TRAIN, &TEST);
    fs::write(path("train-labels-idx1-ubyte.gz"), gzip(&labels(&[1; 5]))).unwrap();
    fs::write(path("train-labels.idx1-ubyte"), labels(&[2; 5])).unwrap();
    fs::write(path("TRAIN-labels-idx1-ubyte"), labels(&[3; 5])).unwrap();
    let train = || Mnist::load(dir.path()).unwrap().train;
    for (remove, labels) in [
        ("", TRAIN),
        (USUAL[1], [3; 5]),
        ("TRAIN-labels-idx1-ubyte", [2; 5]),
        ("train-labels.idx1-ubyte", [1; 5]),
    ] {
        if !remove.is_empty() {
            fs::remove_file(path(remove)).unwrap();
        }
        assert_eq!(train().labels(), labels, "without {remove}");
    }
    fs::create_dir(path(USUAL[1])).unwrap();
    fs::write(path(USUAL[1]).join(USUAL[3]), labels(&[4; 5])).unwrap();
    assert_eq!(train().labels(), [1; 5]);
}

#[test]
fn qmnist_has_labels_of_whole_numbers() {
    let dir = folder();
    let names = [
        "qmnist-train-images-idx3-ubyte.gz",
        "qmnist-train-labels-idx2-int.gz",
        "qmnist-test-images-idx3-ubyte.gz",
        "qmnist-test-labels-idx2-int",
    ];
    write(dir.path(), names, &TRAIN, &TEST);
    let files = MnistFiles::find(dir.path(), None).unwrap();
    assert_eq!((&*files.name, files.is_emnist()), ("qmnist", false));
    let mnist = files.load().unwrap();
    assert_eq!(
        (mnist.train.labels(), mnist.test.labels()),
        (&TRAIN[..], &TEST[..])
    );
    assert_eq!(mnist.train.classes(), 10);
    fs::remove_file(dir.path().join(names[1])).unwrap();
    refused(
        Mnist::load(dir.path()),
        &["no qmnist-train-labels-idx2-int found;"],
    );
}

/// The splits of EMNIST, with their mapping and without, and letters also from 0.
#[test]
fn emnist_has_as_many_classes_as_its_mapping() {
    let line = |label: u8| format!("{label} {} {}\n", label + 64, label + 96);
    let letters: String = (1..=26).map(line).collect();
    let balanced: String = (0..47)
        .map(|label| format!("{label} {}\r\n", label + 48))
        .collect();
    let digits: String = (0..10)
        .map(|label| format!("{label} {}\n", label + 48))
        .collect();
    for (split, mapping, train, test, classes, expected) in [
        (
            "letters",
            Some(&letters),
            [1u8, 26, 7, 3, 1],
            [26u8, 1, 2],
            26,
            [0u8, 25, 6, 2, 0],
        ),
        (
            "letters",
            None,
            [1, 26, 7, 3, 1],
            [26, 1, 2],
            26,
            [0, 25, 6, 2, 0],
        ),
        (
            "letters",
            Some(&letters),
            [0, 25, 7, 3, 1],
            [25, 1, 2],
            26,
            [0, 25, 7, 3, 1],
        ),
        // One set alone may lack a 0.
        (
            "letters",
            None,
            [1, 25, 7, 3, 1],
            [0, 1, 2],
            26,
            [1, 25, 7, 3, 1],
        ),
        (
            "balanced",
            Some(&balanced),
            [0, 46, 7, 3, 1],
            [1, 2, 3],
            47,
            [0, 46, 7, 3, 1],
        ),
        (
            "balanced",
            None,
            [0, 46, 7, 3, 1],
            [1, 2, 3],
            47,
            [0, 46, 7, 3, 1],
        ),
        (
            "bymerge",
            None,
            [0, 46, 7, 3, 1],
            [1, 2, 3],
            47,
            [0, 46, 7, 3, 1],
        ),
        (
            "byclass",
            None,
            [61, 46, 7, 3, 1],
            [1, 2, 3],
            62,
            [61, 46, 7, 3, 1],
        ),
        ("digits", Some(&digits), TRAIN, TEST, 10, TRAIN),
        ("digits", None, TRAIN, TEST, 10, TRAIN),
        ("mnist", None, TRAIN, TEST, 10, TRAIN),
    ] {
        let dir = folder();
        let set = format!("emnist-{split}");
        write_named(dir.path(), &set, &train, &test);
        if let Some(mapping) = mapping {
            let path = dir.path().join(format!("{set}-mapping.txt"));
            fs::write(path, mapping).unwrap();
        }
        let files = MnistFiles::find(dir.path(), None).unwrap();
        assert!(files.is_emnist());
        assert_eq!(files.name, set);
        assert_eq!(files.mapping.is_some(), mapping.is_some());
        let mnist = files.load().unwrap_or_else(|e| panic!("{set}: {e}"));
        assert_eq!(
            (mnist.train.classes(), mnist.test.classes()),
            (classes, classes)
        );
        assert_eq!(mnist.train.labels(), expected, "{set}, {mapping:?}");
    }
}

/// A data set that nobody knows, with a mapping of its own: any labels, in any order.
#[test]
fn another_mapping_orders_the_classes() {
    let dir = folder();
    write_named(dir.path(), "runes", &[40, 7, 255, 40, 7], &[7, 7, 255]);
    let path = dir.path().join("Runes-mapping.TXT");
    fs::write(&path, "255 5794\n7 5792 5793\n\n40 0\n").unwrap();
    let mnist = Mnist::load(dir.path()).unwrap();
    assert_eq!(mnist.train.labels(), [1, 0, 2, 1, 0]);
    assert_eq!(mnist.test.labels(), [0, 0, 2]);
    assert_eq!(mnist.test.classes(), 3);
    // Without it there are ten.
    fs::remove_file(path).unwrap();
    refused(Mnist::load(dir.path()), &["label 0 is 40", "from 0 to 9"]);
}

#[test]
fn labels_outside_of_the_mapping_are_named() {
    for (train, test, parts) in [
        (
            [1u8, 27, 2, 3, 4],
            [1u8, 2, 3],
            ["train-labels", "label 1 is 27", "26 labels from 1 to 26"],
        ),
        (
            [1, 26, 2, 3, 4],
            [1, 2, 255],
            ["test-labels", "label 2 is 255", "26 labels from 1 to 26"],
        ),
        // Neither from 0 nor from 1.
        (
            [1, 26, 2, 3, 4],
            [1, 0, 3],
            ["test-labels", "label 1 is 0", "26 labels from 1 to 26"],
        ),
    ] {
        let dir = folder();
        write_named(dir.path(), "emnist-letters", &train, &test);
        let error = refused(Mnist::load(dir.path()), &parts);
        assert!(matches!(error, Error::Format { .. }), "{error}");
    }
}

#[test]
fn mappings_that_are_none() {
    let dir = folder();
    write_named(dir.path(), "emnist-letters", &[1, 2, 3, 4, 5], &[1, 2, 3]);
    let path = dir.path().join("emnist-letters-mapping.txt");
    let long = format!("1 65\n2 {}", "6".repeat(1 << 17));
    for (content, what) in [
        (&b""[..], "number of labels"),
        (b"\n \n", "number of labels"),
        (b"1", "line 1"),
        (b"1 65\n2\n", "line 2"),
        (b"1 65\n256 66", "line 2"),
        (b"1 65\n-1 66", "line 2"),
        (b"1 A", "line 1"),
        (b"1 65\n1 97", "line 2"),
        (b"A 65", "line 1"),
        (b"1,65", "line 1"),
        (b"\xff\xfe1\x00 \x006\x005\x00", "line 1"),
        (long.as_bytes(), "length"),
    ] {
        fs::write(&path, content).unwrap();
        match refused(Mnist::load(dir.path()), &[]) {
            Error::Format {
                path: at,
                what: found,
                ..
            } => {
                assert_eq!((at, &*found), (path.clone(), what), "{content:?}");
            }
            error => panic!("{error}"),
        }
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused(Mnist::load(dir.path()), &["mapping.txt", "a folder"]);
}

/// Several splits in one folder: the choice is asked for, and taken by either name.
#[test]
fn several_data_sets_need_a_choice() {
    let dir = folder();
    write_named(dir.path(), "emnist-letters", &[1, 2, 3, 4, 5], &[1, 2, 3]);
    // One set, and the beginning of another.
    fs::write(
        dir.path().join("emnist-digits-train-images-idx3-ubyte"),
        images(5, 0),
    )
    .unwrap();
    assert_eq!(
        MnistFiles::find(dir.path(), None).unwrap().name,
        "emnist-letters"
    );
    refused(
        MnistFiles::find(dir.path(), Some("digits")),
        &["no emnist-digits-train-labels-idx1-ubyte, no emnist-digits-test-images-idx3-ubyte"],
    );

    write_named(dir.path(), "emnist-digits", &TRAIN, &TEST);
    let both = "emnist-digits, emnist-letters";
    let error = refused(Mnist::load(dir.path()), &["split is not given", both]);
    assert!(matches!(error, Error::InvalidParameter { .. }), "{error}");
    refused(
        MnistFiles::find(dir.path(), Some("lettres")),
        &["split is lettres", both],
    );
    for (split, name) in [
        ("digits", "emnist-digits"),
        ("emnist-digits", "emnist-digits"),
        ("LETTERS", "emnist-letters"),
    ] {
        let files = MnistFiles::find(dir.path(), Some(split)).unwrap();
        assert_eq!(files.name, name, "{split}");
        files.load().unwrap();
    }

    // What has no name comes first.
    write(dir.path(), USUAL, &[8; 5], &[8; 3]);
    let files = MnistFiles::find(dir.path(), None).unwrap();
    assert_eq!(
        (&*files.name, files.load().unwrap().train.labels()),
        ("", &[8; 5][..])
    );
    assert_eq!(
        MnistFiles::find(dir.path(), Some("digits")).unwrap().name,
        "emnist-digits"
    );

    // A choice where there is nothing to choose from.
    let plain = folder();
    write(plain.path(), USUAL, &TRAIN, &TEST);
    refused(
        MnistFiles::find(plain.path(), Some("letters")),
        &[
            "no emnist-letters-train-images-idx3-ubyte",
            "similar names: t10k-images-idx3-ubyte, ",
        ],
    );
}

/// An error for missing files tells of what looks like them.
#[test]
fn near_names_are_listed() {
    let dir = folder();
    let put = |name: &str| fs::write(dir.path().join(name), "").unwrap();
    put("notes.md");
    put("some-mapping.txt");
    let text = refused(Mnist::load(dir.path()), &["no train-images-idx3-ubyte, no"]).to_string();
    assert!(
        !text.contains("similar names") && !text.contains("notes"),
        "{text}"
    );
    put("train-images-idx3-ubyte.zip");
    put("train-labels-idx1-ubyte (1).gz");
    put("._t10k-images-idx3-ubyte");
    put("t10k-images-idx3-ubyte");
    fs::create_dir(dir.path().join("gzip")).unwrap();
    fs::create_dir(dir.path().join("t10k-labels-idx1-ubyte")).unwrap();
    let near = "no t10k-labels-idx1-ubyte found (similar names: gzip/, t10k-labels-idx1-ubyte/, \
                train-images-idx3-ubyte.zip, train-labels-idx1-ubyte (1).gz);";
    refused(Mnist::load(dir.path()), &[near]);
    for number in 0..20 {
        put(&format!("mnist {number:02}"));
    }
    refused(
        Mnist::load(dir.path()),
        &["mnist 00, ", "mnist 06 and 16 more);"],
    );
    if cfg!(unix) {
        put("a\ntrain\u{1b}[31m");
        refused(Mnist::load(dir.path()), &["a\\ntrain\\u{1b}[31m"]);
    }
}

/// Pipes and dangling links in place of files are as good as missing: nobody waits for them.
#[test]
#[cfg(unix)]
fn only_regular_files_are_found() {
    let dir = folder();
    write(dir.path(), USUAL, &TRAIN, &TEST);
    let path: PathBuf = dir.path().join(USUAL[2]);
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    let here = &["no t10k-images-idx3-ubyte found (similar names: t10k-images-idx3-ubyte);"];
    refused(Mnist::load(dir.path()), here);
    fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    if !made.is_ok_and(|status| status.success()) {
        skipped("no mkfifo");
        return;
    }
    refused(Mnist::load(dir.path()), here);
    fs::write(
        dir.path().join(format!("{}.gz", USUAL[2])),
        gzip(&images(3, 100)),
    )
    .unwrap();
    Mnist::load(dir.path()).unwrap();
}

/// EMNIST's images, upright: rows and columns exchanged, labels as they were.
#[test]
fn transposed_on_request() {
    let dir = folder();
    write_named(dir.path(), "emnist-digits", &TRAIN, &TEST);
    let files = MnistFiles::find(dir.path(), None).unwrap();
    let (before, after) = (files.load().unwrap(), files.transpose(true).load().unwrap());
    for (before, after) in [(&before.train, &after.train), (&before.test, &after.test)] {
        assert_eq!(
            (before.image_shape(), after.image_shape()),
            ((2, 3), (3, 2))
        );
        assert_eq!(before.labels(), after.labels());
        for (before, after) in before
            .images()
            .rows()
            .into_iter()
            .zip(after.images().rows())
        {
            for (y, x) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)] {
                assert_eq!(before[y * 3 + x], after[x * 2 + y]);
            }
        }
        assert_ne!(before.images(), after.images());
        assert_eq!(&after.clone().transposed(), before);
    }
}
