//! MNIST, and any data set that comes in the same four files (Fashion-MNIST, KMNIST, …).
//!
//! It finds the files in a folder, has [`idx`] read them, and checks that they belong together. It
//! does not download anything. The crate `mnist` is not used to read them: it panics on malformed
//! files, takes no other image size than 28×28 or counts than 60,000 and 10,000, and needs the
//! files unpacked on disk. The tests compare with it instead.

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

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::Dataset;
use super::dataset::first_bad_label;
use super::idx;
use crate::files::format_error;
use crate::{Error, Result};

/// Digits, or the ten kinds of whatever the files show.
const CLASSES: usize = 10;

const TRAIN_IMAGES: &str = "train-images-idx3-ubyte";
const TRAIN_LABELS: &str = "train-labels-idx1-ubyte";
const TEST_IMAGES: &str = "t10k-images-idx3-ubyte";
const TEST_LABELS: &str = "t10k-labels-idx1-ubyte";

/// The training and the test set, images of one size, 10 classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mnist {
    /// To train on: 60,000 images in MNIST itself.
    pub train: Dataset,
    /// To test on: 10,000 images in MNIST itself.
    pub test: Dataset,
}

impl Mnist {
    /// Reads the four files of a folder, each under its usual name (`train-images-idx3-ubyte`,
    /// `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`) or with `.gz`
    /// behind it; the one without is taken if both are there. Any number of images of any size.
    ///
    /// ```no_run
    /// use spikegrad::data::Mnist;
    ///
    /// let mnist = Mnist::load("examples/data/mnist")?;
    /// assert_eq!((mnist.train.len(), mnist.test.len()), (60_000, 10_000));
    /// assert_eq!(mnist.train.image_shape(), (28, 28));
    /// assert_eq!(mnist.train.labels()[..5], [5, 0, 4, 1, 9]);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// - [`Error::Io`] if the folder or a file in it is missing or cannot be read; it names every
    ///   file that is missing.
    /// - [`Error::Format`] if a file is not a whole idx file of its kind, if a label is not in 0–9,
    ///   if there are not as many labels as images, or if training and test images differ in size.
    pub fn load(dir: impl AsRef<Path>) -> Result<Mnist> {
        let [train_images, train_labels, test_images, test_labels] = find(dir.as_ref())?;
        let train = Dataset::from_idx(&train_images, &train_labels)?;
        let test = Dataset::from_idx(&test_images, &test_labels)?;
        if test.image_shape() != train.image_shape() {
            let size = |(height, width)| format!("{height}x{width}");
            let expected = format!(
                "{}, as in {}",
                size(train.image_shape()),
                train_images.display()
            );
            return Err(format_error(
                &test_images,
                "image size",
                expected,
                size(test.image_shape()),
            ));
        }
        Ok(Mnist { train, test })
    }
}

impl Dataset {
    /// Reads an idx file of images and one of labels, raw or gzipped, of 10 classes.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read; [`Error::Format`] if it is not a whole idx file of
    /// its kind, if a label is not in 0–9, or if there are not as many labels as images.
    pub fn from_idx(
        images_path: impl AsRef<Path>,
        labels_path: impl AsRef<Path>,
    ) -> Result<Dataset> {
        let (images_path, labels_path) = (images_path.as_ref(), labels_path.as_ref());
        let labels = idx::read_labels(labels_path)?;
        if let Some((index, label)) = first_bad_label(&labels, CLASSES) {
            return Err(format_error(
                labels_path,
                format!("label {index}"),
                "a class from 0 to 9",
                label.to_string(),
            ));
        }

        let images = idx::read_images(images_path)?;
        let (count, height, width) = images.dim();
        if labels.len() != count {
            let expected = format!("{count}, one per image of {}", images_path.display());
            return Err(format_error(
                labels_path,
                "number of labels",
                expected,
                labels.len().to_string(),
            ));
        }
        let found = [count, height, width];
        let features = images.len().checked_div(count).unwrap_or(0);
        let images = images
            .into_shape_with_order((count, features))
            .map_err(|_| Error::shape("images", "[N, height, width] in C order", &found))?;
        Dataset::new(images, labels, CLASSES)?.with_image_shape(height, width)
    }
}

/// The four files, in the order of their names above; what is missing is reported together.
fn find(dir: &Path) -> Result<[PathBuf; 4]> {
    let names = [TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS];
    let expected = format!(
        "expected a folder with the files {}, each as it is or with .gz behind its name",
        names.join(", ")
    );
    let failed = |kind, why: String| Error::Io {
        action: "read",
        path: dir.to_path_buf(),
        source: io::Error::new(kind, format!("{why}; {expected}")),
    };

    let metadata = fs::metadata(dir).map_err(|error| failed(error.kind(), error.to_string()))?;
    if !metadata.is_dir() {
        return Err(failed(
            io::ErrorKind::NotADirectory,
            "not a folder".to_string(),
        ));
    }
    let mut missing = Vec::new();
    let mut paths = names.map(|_| PathBuf::new());
    for (path, name) in paths.iter_mut().zip(names) {
        match find_one(dir, name)? {
            Some(found) => *path = found,
            None => missing.push(name),
        }
    }
    if missing.is_empty() {
        Ok(paths)
    } else {
        Err(failed(
            io::ErrorKind::NotFound,
            format!("no {} in it", missing.join(", no ")),
        ))
    }
}

/// `dir/name` or `dir/name.gz`, the first that is a file.
fn find_one(dir: &Path, name: &str) -> Result<Option<PathBuf>> {
    for path in [dir.join(name), dir.join(format!("{name}.gz"))] {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => return Ok(Some(path)),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Error::Io {
                    action: "read",
                    path,
                    source,
                });
            }
        }
    }
    Ok(None)
}
