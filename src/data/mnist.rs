//! MNIST and data sets in the same four files: Fashion-MNIST, KMNIST, QMNIST, and the splits of
//! EMNIST.
//!
//! Finds the files in a folder, reads them with [`idx`], and checks that they belong together.
//! Nothing is downloaded. The crate `mnist` is only used for comparison in the tests: it panics on
//! malformed files, supports only images of 28×28 and counts of 60,000 and 10,000, and needs the
//! files unpacked on disk.

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

/// The training and the test set, with equal image sizes and numbers of classes.
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
/// **EMNIST is transposed**: its files store each image column by column, so it appears mirrored at
/// its diagonal. A network learns transposed images equally well, but not together with images of
/// MNIST, and pictures show the mirroring. [`MnistFiles::transpose`] corrects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mnist {
    /// The training set: 60,000 images in MNIST.
    pub train: Dataset,
    /// The test set: 10,000 images in MNIST.
    pub test: Dataset,
}

impl Mnist {
    /// Reads the four files of a folder: [`MnistFiles::find`] without a split, then
    /// [`MnistFiles::load`]. The number and size of the images are arbitrary.
    ///
    /// # Errors
    /// As those two functions.
    pub fn load(dir: impl AsRef<Path>) -> Result<Mnist> {
        MnistFiles::find(dir, None)?.load()
    }
}

/// The files of one data set in a folder, found but not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MnistFiles {
    /// The prefix of `train` and `test` in the names, in lower case: `emnist-letters`, `qmnist`.
    /// Empty for MNIST, Fashion-MNIST and KMNIST.
    pub name: String,
    /// Training images.
    pub train_images: PathBuf,
    /// Labels of these images.
    pub train_labels: PathBuf,
    /// Test images.
    pub test_images: PathBuf,
    /// Labels of these images.
    pub test_labels: PathBuf,
    /// The mapping file, one label per line with its character codes
    /// (`emnist-letters-mapping.txt`), if the folder has one.
    pub mapping: Option<PathBuf>,
    /// Whether rows and columns of each image are exchanged; false by default.
    pub transpose: bool,
}

impl MnistFiles {
    /// Sets whether rows and columns of each image are exchanged, as needed for EMNIST (see
    /// [`Mnist`]).
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
    /// The number of classes is the number of labels in the mapping. The class of a label is its
    /// rank among them: the letters of EMNIST, labeled from 1 to 26, become classes 0 to 25.
    /// Without a mapping, EMNIST splits are recognized by name, and other data sets have ten
    /// classes.
    ///
    /// # Errors
    /// - [`Error::Io`] if a file cannot be read.
    /// - [`Error::Format`] if a file is incomplete or of the wrong kind, a label is not a known
    ///   class, the numbers of labels and images differ, or training and test images differ in
    ///   size.
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
    /// Reads an idx file of images and one of labels, raw or gzipped, with 10 classes.
    /// [`MnistFiles::load`] supports other numbers of classes.
    ///
    /// # Errors
    /// [`Error::Io`] if a file cannot be read; [`Error::Format`] if it is incomplete or of the
    /// wrong kind, a label is not in 0–9, or the numbers of labels and images differ.
    pub fn from_idx(
        images_path: impl AsRef<Path>,
        labels_path: impl AsRef<Path>,
    ) -> Result<Dataset> {
        let (images_path, labels_path) = (images_path.as_ref(), labels_path.as_ref());
        let labels = idx::read_labels(labels_path)?;
        read(images_path, labels_path, labels, &Mapping::digits())
    }
}

/// The data set from an image file and labels that were read.
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
