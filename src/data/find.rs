//! Finds the four files of a data set in a folder under their publishers' names.
//!
//! A name has the form `[SET-]PART-KIND`, optionally with the suffix `.gz`:
//!
//! | | |
//! |---|---|
//! | `SET` | absent for MNIST, Fashion-MNIST and KMNIST; `emnist-letters`, `qmnist`, … |
//! | `PART` | `train`, or `t10k` or `test` |
//! | `KIND` | `images-idx3-ubyte`, `labels-idx1-ubyte`, or QMNIST's `labels-idx2-int` |
//!
//! A dot before `idx` is accepted too, case does not matter, and the file may be in a folder of
//! that name, as some programs unpack archives. No file is read.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::MnistFiles;
use crate::files::io_error;
use crate::{Error, Result};

impl MnistFiles {
    /// Finds the four files in a folder under their publishers' names:
    ///
    /// | data set | files |
    /// |---|---|
    /// | MNIST, Fashion-MNIST, KMNIST | `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte` |
    /// | EMNIST | `emnist-SPLIT-train-images-idx3-ubyte`, …, `emnist-SPLIT-test-labels-idx1-ubyte`, and optionally `emnist-SPLIT-mapping.txt` |
    /// | QMNIST | `qmnist-train-images-idx3-ubyte`, `qmnist-train-labels-idx2-int`, … |
    ///
    /// A name may have the suffix `.gz` (the file without it wins if both exist), a dot in place of
    /// the dash before `idx`, and capital letters. The file may be in a folder of the same name.
    ///
    /// `split` selects one of several data sets by [`name`](Self::name); for EMNIST the prefix
    /// `emnist-` can be omitted: `letters`. Without `split`, the data set without a name is used,
    /// or else the only complete one.
    ///
    /// # Errors
    /// - [`Error::Io`] if the folder is missing or cannot be read, or files are missing. It lists
    ///   the missing files and similar existing names.
    /// - [`Error::InvalidParameter`] if the folder has several data sets and `split` selects none
    ///   of them. It lists them.
    pub fn find(dir: impl AsRef<Path>, split: Option<&str>) -> Result<MnistFiles> {
        find(dir.as_ref(), split)
    }
}

/// Maximum number of names listed in an error.
const LISTED: usize = 8;

/// Substrings of names that are similar enough to be listed.
const NEAR: [&str; 7] = [
    "train", "test", "t10k", "images", "labels", "ubyte", "mnist",
];

/// Folders in which other programs store the files.
const FOLDERS: [&str; 2] = ["gzip", "raw"];

/// The role of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    TrainImages,
    TrainLabels,
    TestImages,
    TestLabels,
}

use Slot::{TestImages, TestLabels, TrainImages, TrainLabels};

/// A parsed file name.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    /// In lower case; empty if the name begins with its part.
    set: String,
    slot: Slot,
    /// Priority among several files for one slot: the least wins.
    rank: Rank,
}

/// How unusual a name is, the most significant first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// `test`, not `t10k`.
    test: bool,
    gzipped: bool,
    /// `idx2-int`
    int: bool,
    dot: bool,
    upper: bool,
}

impl Name {
    fn parse(name: &str) -> Option<Name> {
        let lower = name.to_ascii_lowercase();
        let stem = lower.strip_suffix(".gz").unwrap_or(&lower);
        let endings = [
            ("images", "idx3-ubyte", true, false),
            ("labels", "idx1-ubyte", false, false),
            ("labels", "idx2-int", false, true),
        ];
        endings.into_iter().find_map(|(kind, ending, images, int)| {
            let rest = stem.strip_suffix(ending)?;
            let dot = rest.ends_with('.');
            let rest = rest.strip_suffix(['-', '.'])?.strip_suffix(kind)?;
            let rest = rest.strip_suffix('-')?;
            let parts = ["train", "t10k", "test"];
            parts.into_iter().find_map(|part| {
                let set = match rest.strip_suffix(part)? {
                    "" => "",
                    set => set.strip_suffix('-').filter(|set| !set.is_empty())?,
                };
                Some(Name {
                    set: set.into(),
                    slot: match (part, images) {
                        ("train", true) => TrainImages,
                        ("train", false) => TrainLabels,
                        (_, true) => TestImages,
                        (_, false) => TestLabels,
                    },
                    rank: Rank {
                        test: part == "test",
                        gzipped: stem != lower,
                        int,
                        dot,
                        upper: lower != name,
                    },
                })
            })
        })
    }
}

/// A file for a slot.
type Candidate = Option<(Rank, PathBuf)>;

/// The files found of one data set.
#[derive(Debug, Default)]
struct Set {
    train_images: Candidate,
    train_labels: Candidate,
    test_images: Candidate,
    test_labels: Candidate,
    mapping: Option<PathBuf>,
}

impl Set {
    fn add(&mut self, slot: Slot, rank: Rank, path: PathBuf) {
        let place = match slot {
            TrainImages => &mut self.train_images,
            TrainLabels => &mut self.train_labels,
            TestImages => &mut self.test_images,
            TestLabels => &mut self.test_labels,
        };
        let found = (rank, path);
        if place.as_ref().is_none_or(|other| found < *other) {
            *place = Some(found);
        }
    }

    fn files(&self) -> [&Candidate; 4] {
        [
            &self.train_images,
            &self.train_labels,
            &self.test_images,
            &self.test_labels,
        ]
    }

    fn count(&self) -> usize {
        self.files().into_iter().flatten().count()
    }
}

/// The data set `split` in `dir`; without `split`, the data set without a name, or else the only
/// one.
pub(super) fn find(dir: &Path, split: Option<&str>) -> Result<MnistFiles> {
    let metadata =
        fs::metadata(dir).map_err(|error| missing(dir, "", error.kind(), error.to_string()))?;
    if !metadata.is_dir() {
        let kind = io::ErrorKind::NotADirectory;
        return Err(missing(dir, "", kind, "not a folder".into()));
    }
    let mut sets = look(dir)?;
    let name = choose(dir, &sets, split)?;
    let set = sets.remove(&name).unwrap_or_default();
    let absent = (names(&name).into_iter().zip(set.files()))
        .filter(|(_, file)| file.is_none())
        .map(|(name, _)| format!("no {name}"));
    let absent = absent.collect::<Vec<_>>().join(", ");
    match (
        set.train_images,
        set.train_labels,
        set.test_images,
        set.test_labels,
    ) {
        (Some(train_images), Some(train_labels), Some(test_images), Some(test_labels)) => {
            Ok(MnistFiles {
                name,
                train_images: train_images.1,
                train_labels: train_labels.1,
                test_images: test_images.1,
                test_labels: test_labels.1,
                mapping: set.mapping,
                transpose: false,
            })
        }
        _ => {
            let near = match near(dir, &name) {
                near if near.is_empty() => String::new(),
                near => format!(" (similar names: {near})"),
            };
            let why = format!("{absent} found{near}");
            Err(missing(dir, &name, io::ErrorKind::NotFound, why))
        }
    }
}

/// The name of the selected data set, which may be incomplete.
fn choose(dir: &Path, sets: &BTreeMap<String, Set>, split: Option<&str>) -> Result<String> {
    let whole = |&(_, set): &(&String, &Set)| set.count() == 4;
    let whole: Vec<&str> = sets.iter().filter(whole).map(|(name, _)| &**name).collect();
    let one_of = |value: &str| {
        let named = whole.iter().filter(|name| !name.is_empty());
        let named = named.map(|name| name.escape_debug().to_string());
        let named = named.collect::<Vec<_>>().join(", ");
        let expected = format!("one of the data sets in {}: {named}", dir.display());
        Err(Error::parameter("split", value, expected))
    };
    if let Some(split) = split {
        let lower = split.to_ascii_lowercase();
        let emnist = format!("emnist-{lower}");
        return match [&lower, &emnist].map(|name| sets.contains_key(name)) {
            [true, _] => Ok(lower),
            [_, true] => Ok(emnist),
            _ if whole.iter().any(|name| !name.is_empty()) => one_of(split),
            _ if lower.contains("mnist") => Ok(lower),
            _ => Ok(emnist),
        };
    }
    match *whole.as_slice() {
        ["", ..] => Ok(String::new()),
        [only] => Ok(only.into()),
        [_, _, ..] => one_of("not given"),
        [] => {
            // The most complete one; on a tie the first, which is the unnamed one if present.
            let begun = sets.iter().filter(|(_, set)| set.count() > 0);
            let most = begun.rev().max_by_key(|(_, set)| set.count());
            Ok(most.map(|(name, _)| name.clone()).unwrap_or_default())
        }
    }
}

/// Every data set in a folder, by name.
fn look(dir: &Path) -> Result<BTreeMap<String, Set>> {
    let mut sets: BTreeMap<String, Set> = BTreeMap::new();
    for entry in entries(dir)? {
        let (file, path) = entry?;
        let lower = file.to_ascii_lowercase();
        match lower.strip_suffix("-mapping.txt") {
            Some(set) if !set.is_empty() => {
                sets.entry(set.into()).or_default().mapping = Some(path);
                continue;
            }
            _ => {}
        }
        let Some(name) = Name::parse(&file) else {
            continue;
        };
        match kind(&path)? {
            Kind::File => {
                let set = sets.entry(name.set).or_default();
                set.add(name.slot, name.rank, path);
            }
            Kind::Folder => {
                for entry in entries(&path)? {
                    let (file, path) = entry?;
                    let inner = Name::parse(&file);
                    if let Some(inner) = inner
                        && (&inner.set, inner.slot) == (&name.set, name.slot)
                        && kind(&path)? == Kind::File
                    {
                        let set = sets.entry(inner.set).or_default();
                        set.add(inner.slot, inner.rank, path);
                    }
                }
            }
            Kind::Other => {}
        }
    }
    Ok(sets)
}

#[derive(PartialEq, Eq)]
enum Kind {
    File,
    Folder,
    /// A pipe, a device, or a link to nothing.
    Other,
}

fn kind(path: &Path) -> Result<Kind> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(Kind::File),
        Ok(metadata) if metadata.is_dir() => Ok(Kind::Folder),
        Ok(_) => Ok(Kind::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kind::Other),
        Err(error) => Err(io_error(path, error)),
    }
}

/// The contents of a folder: names and paths, except names that are not UTF-8.
fn entries(dir: &Path) -> Result<impl Iterator<Item = Result<(String, PathBuf)>>> {
    let failed = |error| io_error(dir, error);
    let entries = fs::read_dir(dir).map_err(failed)?;
    Ok(entries.filter_map(move |entry| match entry {
        Ok(entry) => Some(Ok((entry.file_name().into_string().ok()?, entry.path()))),
        Err(error) => Some(Err(failed(error))),
    }))
}

/// Names in a folder that may be intended as files of the data set `set`, as a list for a message.
fn near(dir: &Path, set: &str) -> String {
    let (mut names, mut left_out) = (BTreeSet::new(), 0_usize);
    for (file, path) in entries(dir).into_iter().flatten().flatten() {
        let lower = file.to_ascii_lowercase();
        let kind = kind(&path).unwrap_or(Kind::Other);
        let taken = Name::parse(&file).is_some_and(|name| name.set == set);
        let near = NEAR.iter().any(|part| lower.contains(part))
            || kind == Kind::Folder && FOLDERS.contains(&&*lower);
        if !near || lower.starts_with('.') || taken && kind == Kind::File {
            continue;
        }
        let folder = if kind == Kind::Folder { "/" } else { "" };
        names.insert(format!("{}{folder}", file.escape_debug()));
        if names.len() > LISTED {
            names.pop_last();
            left_out = left_out.saturating_add(1);
        }
    }
    let names = names.into_iter().collect::<Vec<_>>().join(", ");
    match left_out {
        0 => names,
        _ => format!("{names} and {left_out} more"),
    }
}

/// The publisher's names of a data set's files.
fn names(set: &str) -> [String; 4] {
    let (set, test) = match set {
        "" => (String::new(), "t10k"),
        set => (format!("{}-", set.escape_debug()), "test"),
    };
    let labels = match &*set {
        "qmnist-" => "labels-idx2-int",
        _ => "labels-idx1-ubyte",
    };
    [
        format!("{set}train-images-idx3-ubyte"),
        format!("{set}train-{labels}"),
        format!("{set}{test}-images-idx3-ubyte"),
        format!("{set}{test}-{labels}"),
    ]
}

/// The error for a folder without the files of the data set `set`.
fn missing(dir: &Path, set: &str, kind: io::ErrorKind, why: String) -> Error {
    let names = names(set).join(", ");
    let source = format!(
        "{why}; expected a folder with the files {names}, each optionally with the suffix .gz"
    );
    io_error(dir, io::Error::new(kind, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (name, set, slot) in [
            ("train-images-idx3-ubyte", "", TrainImages),
            ("t10k-labels-idx1-ubyte.gz", "", TestLabels),
            ("train-labels.idx1-ubyte", "", TrainLabels),
            ("T10K-IMAGES.IDX3-UBYTE.GZ", "", TestImages),
            (
                "emnist-letters-test-images-idx3-ubyte",
                "emnist-letters",
                TestImages,
            ),
            (
                "EMNIST-Letters-train-labels-idx1-ubyte.gz",
                "emnist-letters",
                TrainLabels,
            ),
            ("qmnist-test-labels-idx2-int.gz", "qmnist", TestLabels),
        ] {
            let found = Name::parse(name).map(|found| (found.set, found.slot));
            assert_eq!(found, Some((set.into(), slot)), "{name}");
        }
        for name in [
            "",
            "-train-images-idx3-ubyte",
            "._train-images-idx3-ubyte",
            "retrain-images-idx3-ubyte",
            "train-images-idx1-ubyte",
            "train-labels-idx3-ubyte",
            "train-imagesidx3-ubyte",
            "train-images-idx3-ubyte.zip",
            "train-images-idx3-ubyte (1)",
            "images-idx3-ubyte",
            "xnist-images-idx3-ubyte",
            "emnist-letters-mapping.txt",
        ] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }
}
