//! MNIST, and any data set that comes in the same four files: Fashion-MNIST, KMNIST, QMNIST, and
//! the splits of EMNIST.
//!
//! It has the files found in a folder, has [`idx`] read them, and checks that they belong together. It
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

use std::path::{Path, PathBuf};

use super::mapping::Mapping;
use super::{Dataset, idx};
use crate::files::format_error;
use crate::{Error, Result};

/// The training and the test set: images of one size, and as many classes in both.
///
/// ```no_run
/// use spikegrad::data::{Mnist, MnistFiles};
///
/// let mnist = Mnist::load("examples/data/mnist")?;
/// assert_eq!((mnist.train.len(), mnist.test.len()), (60_000, 10_000));
/// assert_eq!(mnist.train.image_shape(), (28, 28));
/// assert_eq!(mnist.train.labels()[..5], [5, 0, 4, 1, 9]);
///
/// // One of several splits in a folder, its images upright.
/// let letters = MnistFiles::find("emnist/gzip", Some("letters"))?.transpose(true).load()?;
/// assert_eq!(letters.train.classes(), 26);
/// # Ok::<(), spikegrad::Error>(())
/// ```
///
/// **EMNIST is transposed**: its files hold each image column by column, so that a reader of idx files
/// sees it mirrored at its diagonal. A network learns them as well that way, but not together with images
/// of MNIST, and pictures show it: [`MnistFiles::transpose`] turns them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mnist {
    /// To train on: 60,000 images in MNIST itself.
    pub train: Dataset,
    /// To test on: 10,000 images in MNIST itself.
    pub test: Dataset,
}

impl Mnist {
    /// Reads the four files of a folder: [`MnistFiles::find`] without a choice, and
    /// [`MnistFiles::load`]. Any number of images of any size.
    ///
    /// # Errors
    /// As those two.
    pub fn load(dir: impl AsRef<Path>) -> Result<Mnist> {
        MnistFiles::find(dir, None)?.load()
    }
}

/// The files of one data set in a folder, found but not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MnistFiles {
    /// What stands before `train` and `test` in the names, in lower case: `emnist-letters`, `qmnist`.
    /// Empty for MNIST, Fashion-MNIST and KMNIST, which have nothing there.
    pub name: String,
    /// Images to train on.
    pub train_images: PathBuf,
    /// Their labels.
    pub train_labels: PathBuf,
    /// Images to test on.
    pub test_images: PathBuf,
    /// Their labels.
    pub test_labels: PathBuf,
    /// Which labels there are, one a line with its character codes (`emnist-letters-mapping.txt`),
    /// where the folder has such a file.
    pub mapping: Option<PathBuf>,
    /// Whether rows and columns of each image are exchanged; not by default.
    pub transpose: bool,
}

impl MnistFiles {
    /// Sets whether rows and columns of each image are exchanged, as EMNIST needs it (see [`Mnist`]).
    pub fn transpose(mut self, transpose: bool) -> Self {
        self.transpose = transpose;
        self
    }

    /// Whether these files are a split of EMNIST, whose images are transposed.
    pub fn is_emnist(&self) -> bool {
        self.name.starts_with("emnist-")
    }

    /// Reads the files.
    ///
    /// There are as many classes as the mapping has labels: the class of a label is its place among
    /// them, so that the letters of EMNIST, labelled from 1 to 26, become classes from 0 to 25. Without a
    /// mapping the splits of EMNIST are known by their names, and other data sets have ten classes.
    ///
    /// # Errors
    /// - [`Error::Io`] if a file cannot be read.
    /// - [`Error::Format`] if a file is not a whole file of its kind, if a label is none of the classes, if
    ///   there are not as many labels as images, or if training and test images differ in size.
    pub fn load(&self) -> Result<Mnist> {
        let mapping = match &self.mapping {
            Some(path) => Mapping::read(path)?,
            None => Mapping::known(&self.name),
        };
        let train_labels = idx::read_labels(&self.train_labels)?;
        let test_labels = idx::read_labels(&self.test_labels)?;
        let mapping = mapping.rebased([&train_labels, &test_labels]);

        let train = read(
            &self.train_images,
            &self.train_labels,
            train_labels,
            &mapping,
        )?;
        let test = read(&self.test_images, &self.test_labels, test_labels, &mapping)?;
        if test.image_shape() != train.image_shape() {
            let size = |(height, width)| format!("{height}x{width}");
            let expected = format!(
                "{}, as in {}",
                size(train.image_shape()),
                self.train_images.display()
            );
            return Err(format_error(
                &self.test_images,
                "image size",
                expected,
                size(test.image_shape()),
            ));
        }
        Ok(match self.transpose {
            true => Mnist {
                train: train.transposed(),
                test: test.transposed(),
            },
            false => Mnist { train, test },
        })
    }
}

impl Dataset {
    /// Reads an idx file of images and one of labels, raw or gzipped, of 10 classes.
    /// [`MnistFiles::load`] takes other numbers of classes too.
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
        read(images_path, labels_path, labels, &Mapping::digits())
    }
}

/// The data set of a file of images, and of labels that have been read.
fn read(
    images_path: &Path,
    labels_path: &Path,
    mut labels: Vec<u8>,
    mapping: &Mapping,
) -> Result<Dataset> {
    mapping.apply(&mut labels, labels_path)?;
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
    Dataset::new(images, labels, mapping.classes())?.with_image_shape(height, width)
}
