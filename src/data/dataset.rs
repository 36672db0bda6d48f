//! A labeled set of images in memory, one byte per pixel.
//!
//! Pixels stay `u8` until a batch is created: MNIST's training images take 47 MB instead of 188 MB,
//! and bytes can be sent to a device. The constructor checks a `Dataset` (as many labels as images,
//! every label below `classes`, nothing empty). It is not a general table: it has one label per row
//! and rows of equal length.
//!
//! Shapes: images `[N, features]`, `features = height · width`; labels `[N]`.

use ndarray::{Array2, ArrayView2, Axis, s};

use super::{
    Data, Draw, OwnedSamples,
    source::{check_indices, check_labels},
};
use crate::{Error, Network, Result};

/// A batch of images, ready for a network, with the class of each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// `[B, features]`: each pixel divided by 255, so in [0, 1].
    pub images: Array2<f32>,
    /// `[B]`: the class of each image.
    pub targets: Vec<usize>,
}

/// Labeled images: `[N, features]` bytes and `[N]` labels, both checked and never empty.
///
/// ```
/// use ndarray::array;
/// use spikegrad::data::Dataset;
///
/// let data = Dataset::new(array![[0, 255], [51, 0], [0, 0]], vec![1, 0, 1], 2)?;
/// assert_eq!((data.len(), data.features(), data.classes()), (3, 2, 2));
///
/// let batch = data.batch(&[1, 0])?;
/// assert_eq!(batch.images, array![[0.2, 0.0], [0.0, 1.0]]);
/// assert_eq!(batch.targets, [0, 1]);
/// # Ok::<(), spikegrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// `[N, height · width]`, rows contiguous.
    images: Array2<u8>,
    /// `[N]`, each below `classes`.
    labels: Vec<u8>,
    height: usize,
    width: usize,
    classes: usize,
}

impl Dataset {
    /// Creates a data set from images and their labels.
    ///
    /// The image shape is `(1, features)` until set by
    /// [`with_image_shape`](Self::with_image_shape). Images that are not in row-major order are
    /// copied.
    ///
    /// # Shapes
    /// `images` is `[N, features]`, `labels` is `[N]`; `N` and `features` are at least 1.
    ///
    /// # Errors
    /// - [`Error::Shape`] if `images` is empty or the length of `labels` is not the number of rows
    ///   of `images`.
    /// - [`Error::InvalidParameter`] if `classes` is not in 1–256, or a label is not below it.
    pub fn new(images: Array2<u8>, labels: Vec<u8>, classes: usize) -> Result<Self> {
        let (count, features) = images.dim();
        if count == 0 || features == 0 {
            return Err(Error::shape(
                "images",
                "[N >= 1, features >= 1]",
                images.shape(),
            ));
        }
        if labels.len() != count {
            let expected = format!("[{count}], one label per image");
            return Err(Error::shape("labels", expected, &[labels.len()]));
        }
        if !(1..=256).contains(&classes) {
            return Err(Error::parameter("classes", classes, "1 to 256"));
        }
        if let Some((index, label)) = first_beyond(&labels, classes) {
            let expected = format!("a class below {classes}");
            return Err(Error::parameter(format!("label {index}"), label, expected));
        }
        let images = if images.is_standard_layout() {
            images
        } else {
            images.as_standard_layout().into_owned()
        };
        Ok(Dataset {
            images,
            labels,
            height: 1,
            width: features,
            classes,
        })
    }

    /// Sets the shape of the images: `height` rows of `width` pixels.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if `height · width` is not the number of features.
    pub fn with_image_shape(mut self, height: usize, width: usize) -> Result<Self> {
        if height.checked_mul(width) != Some(self.features()) {
            let expected = format!("height x width = {} features", self.features());
            return Err(Error::parameter(
                "image shape",
                format!("{height}x{width}"),
                expected,
            ));
        }
        self.height = height;
        self.width = width;
        Ok(self)
    }

    /// Number of images, `N`; at least 1.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images; never true, since [`new`](Self::new) refuses an empty set.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Pixels per image, `height · width`.
    pub fn features(&self) -> usize {
        self.images.ncols()
    }

    /// Number of classes; every label is below it.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// `(height, width)` of an image in pixels.
    pub fn image_shape(&self) -> (usize, usize) {
        (self.height, self.width)
    }

    /// All images, `[N, features]`, rows contiguous, 0–255.
    pub fn images(&self) -> ArrayView2<'_, u8> {
        self.images.view()
    }

    /// The smallest and the largest pixel, 0–255 each. Most sets have 0 and 255. Pixels of 0 and 1
    /// should be multiplied by 255, see [`warnings`](Self::warnings).
    ///
    /// ```
    /// # use ndarray::array;
    /// # use spikegrad::data::Dataset;
    /// let data = Dataset::new(array![[0, 1], [1, 0]], vec![0, 1], 2)?;
    /// assert_eq!(data.range(), (0, 1));
    /// assert_eq!(data.warnings().len(), 1);
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn range(&self) -> (u8, u8) {
        let mut range = (u8::MAX, u8::MIN);
        for row in self.images.rows() {
            let (low, high) = range;
            range = (
                row.iter().fold(low, |low, &pixel| low.min(pixel)),
                row.iter().fold(high, |high, &pixel| high.max(pixel)),
            );
            if range == (u8::MIN, u8::MAX) {
                break;
            }
        }
        range
    }

    /// Likely mistakes, one line each; usually empty. Currently there is one: no pixel is above 1,
    /// so that after the division by 255 the network receives almost no input.
    ///
    /// [`Trainer::warnings`](crate::Trainer::warnings) includes them.
    pub fn warnings(&self) -> Vec<String> {
        let warning = match self.range().1 {
            0 => "every pixel is 0",
            1 => {
                "the largest pixel is 1; expected pixels up to 255. They are divided by 255, so the \
                 network receives at most 0.004: multiply images of 0 and 1 by 255"
            }
            _ => return Vec::new(),
        };
        vec![warning.into()]
    }

    /// The same set with rows and columns of each image exchanged: `height` becomes `width`.
    /// EMNIST's files store transposed images.
    ///
    /// ```
    /// # use ndarray::array;
    /// # use spikegrad::data::Dataset;
    /// let data = Dataset::new(array![[1, 2, 3, 4, 5, 6]], vec![0], 1)?.with_image_shape(2, 3)?;
    /// let turned = data.transposed();
    /// assert_eq!(turned.images(), array![[1, 4, 2, 5, 3, 6]]);
    /// assert_eq!(turned.image_shape(), (3, 2));
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn transposed(mut self) -> Dataset {
        let (height, width) = (self.height, self.width);
        // One image at a time, since the set may fill most of the memory.
        let mut image = vec![0; self.features()];
        for mut row in self.images.rows_mut() {
            for y in 0..height {
                for x in 0..width {
                    image[x * height + y] = row[y * width + x];
                }
            }
            row.iter_mut()
                .zip(&image)
                .for_each(|(to, &from)| *to = from);
        }
        (self.height, self.width) = (width, height);
        self
    }

    /// All labels, `[N]`.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// A copy of the first `n` images with their labels: a smaller data set for a quick run.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if `n` is 0 or more than [`len`](Self::len).
    pub fn head(&self, n: usize) -> Result<Dataset> {
        if n == 0 || n > self.len() {
            return Err(Error::parameter(
                "head",
                n,
                format!("1 to {} images", self.len()),
            ));
        }
        Ok(Dataset {
            images: self.images.slice(s![..n, ..]).to_owned(),
            labels: self.labels.iter().copied().take(n).collect(),
            ..*self
        })
    }

    /// The images and labels at `indices`, in that order; an index may occur twice.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if there are no indices, or one is not below
    /// [`len`](Self::len).
    pub fn batch(&self, indices: &[usize]) -> Result<Batch> {
        check_indices(indices, self.len())?;
        let mut batch = Batch::default();
        self.fill_batch(indices, &mut batch);
        Ok(batch)
    }

    /// Overwrites `batch` with the rows at `indices`, reusing its memory if the shape is the same.
    /// Every index must be below `len`.
    pub(super) fn fill_batch(&self, indices: &[usize], batch: &mut Batch) {
        let shape = (indices.len(), self.features());
        if batch.images.dim() != shape {
            batch.images = Array2::zeros(shape);
        }
        self.fill_pixels(indices, &mut batch.images);
        batch.targets.clear();
        batch.targets.extend(self.classes_of(indices));
    }

    fn fill_pixels(&self, indices: &[usize], into: &mut Array2<f32>) {
        for (mut row, &index) in into.axis_iter_mut(Axis(0)).zip(indices) {
            row.zip_mut_with(&self.images.row(index), |x, &pixel| {
                *x = f32::from(pixel) / 255.0
            });
        }
    }

    fn classes_of(&self, indices: &[usize]) -> impl Iterator<Item = usize> {
        indices.iter().map(|&index| usize::from(self.labels[index]))
    }
}

impl Data for Dataset {
    fn len(&self) -> usize {
        self.labels.len()
    }

    fn fill(&self, draw: Draw<'_>, batch: &mut OwnedSamples) -> Result<()> {
        check_indices(draw.indices, self.labels.len())?;
        let pixels = batch.constant_as_left([draw.indices.len(), self.features()]);
        self.fill_pixels(draw.indices, pixels);
        batch.classes().extend(self.classes_of(draw.indices));
        Ok(())
    }

    fn check(&self, network: &Network, what: &str) -> Result<()> {
        if self.features() != network.inputs() {
            let expected = format!("[N, {}], the network's inputs", network.inputs());
            let what = format!("{what} images");
            return Err(Error::shape(what, expected, self.images.shape()));
        }
        let labels = self.labels.iter().map(|&label| usize::from(label));
        check_labels(what, labels, network.outputs())
    }

    fn warnings(&self) -> Vec<String> {
        Dataset::warnings(self)
    }
}

/// Position and value of the first label that is not below `classes`.
fn first_beyond(labels: &[u8], classes: usize) -> Option<(usize, u8)> {
    let mut labels = labels.iter().copied().enumerate();
    labels.find(|&(_, label)| usize::from(label) >= classes)
}
