//! Maps labels to classes, from the mapping file of an EMNIST split or from the known splits.
//!
//! A mapping is a text file. Each line holds a label and its character codes:
//!
//! ```text
//! 1 65 97
//! 2 66 98
//! ```
//!
//! Classes begin at 0, but labels need not (those of EMNIST's letters begin at 1). The class of a
//! label is its rank in ascending order.

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

use std::path::Path;

use crate::Result;
use crate::files::{self, format_error};

/// Maximum length of a mapping in bytes. The longest of EMNIST has 62 lines.
const MAX_LENGTH: u64 = 64 << 10;

/// The splits of EMNIST: name, first label, number of labels.
const EMNIST: [(&str, u8, u8); 6] = [
    ("emnist-balanced", 0, 47),
    ("emnist-byclass", 0, 62),
    ("emnist-bymerge", 0, 47),
    ("emnist-digits", 0, 10),
    ("emnist-letters", 1, 26),
    ("emnist-mnist", 0, 10),
];

/// The labels of a data set, ascending and unique. The class of a label is its index.
#[derive(Debug)]
pub(super) struct Mapping {
    labels: Vec<u8>,
}

impl Mapping {
    /// Labels from 0 to 9, each its own class.
    pub(super) fn digits() -> Self {
        Mapping {
            labels: (0..10).collect(),
        }
    }

    /// The known labels of the data set of this name; digits for any other name.
    pub(super) fn known(name: &str) -> Self {
        match EMNIST.iter().find(|(known, ..)| *known == name) {
            Some(&(_, first, count)) => Mapping {
                labels: (first..).take(usize::from(count)).collect(),
            },
            None => Mapping::digits(),
        }
    }

    /// Reads a mapping.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = files::read(path, MAX_LENGTH)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut labels = Vec::new();
        for (line, number) in text.lines().zip(1_u64..) {
            let mut words = line.split_whitespace();
            let Some(first) = words.next() else { continue };
            let codes_only = words.clone().all(|word| word.parse::<u32>().is_ok());
            let wrong = |expected: &str| {
                let found: String = line.escape_debug().take(40).collect();
                format_error(path, format!("line {number}"), expected, found)
            };
            match first.parse::<u8>() {
                Ok(label) if words.next().is_some() && codes_only => {
                    match labels.binary_search(&label) {
                        Err(place) => labels.insert(place, label),
                        Ok(_) => return Err(wrong("a label not used on an earlier line")),
                    }
                }
                _ => return Err(wrong("a label from 0 to 255, and its character codes")),
            }
        }
        if labels.is_empty() {
            return Err(format_error(path, "number of labels", "at least 1", "0"));
        }
        Ok(Mapping { labels })
    }

    /// Number of classes, 1 to 256.
    pub(super) fn classes(&self) -> usize {
        self.labels.len()
    }

    /// Lets labels begin at 0 if the sets have a label 0 that the mapping lacks and no label
    /// contradicts that: some programs write EMNIST's letters that way.
    pub(super) fn rebased(self, sets: [&[u8]; 2]) -> Self {
        let all = || sets.into_iter().flatten();
        let last = self.labels.last();
        let moved = self.labels.first() == Some(&1)
            && all().any(|&label| label == 0)
            && all().all(|label| Some(label) < last);
        if !moved {
            return self;
        }
        Mapping {
            labels: (self.labels.iter().map(|label| label.saturating_sub(1))).collect(),
        }
    }

    /// Replaces each label with its class; `path` is the file of the labels.
    pub(super) fn apply(&self, labels: &mut [u8], path: &Path) -> Result<()> {
        let mut classes = [None; 256];
        for (&label, class) in self.labels.iter().zip(0_u8..=255) {
            if let Some(slot) = classes.get_mut(usize::from(label)) {
                *slot = Some(class);
            }
        }
        for (index, label) in labels.iter_mut().enumerate() {
            let class = classes.get(usize::from(*label)).copied().flatten();
            *label = class.ok_or_else(|| {
                let what = format!("label {index}");
                format_error(path, what, self.to_string(), label.to_string())
            })?;
        }
        Ok(())
    }
}

impl std::fmt::Display for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self.labels.as_slice() {
            [first, .., last] => write!(
                f,
                "one of the {} labels from {first} to {last}",
                self.classes()
            ),
            [only] => write!(f, "{only}, the only label"),
            [] => f.write_str("no label"),
        }
    }
}
