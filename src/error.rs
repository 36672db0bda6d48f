//! The error type of the crate.
//!
//! Every variant holds the value found, the value expected and the place, and prints them in one
//! line. Match on the variant, not on the text.

use std::{fmt, path::PathBuf};

/// An error, with the value found, the value expected and the place.
///
/// `Debug` prints the same line as `Display`, so `fn main() -> spikegrad::Result<()>` and `unwrap`
/// show the message.
///
/// ```
/// use spikegrad::{Leaky, Network};
///
/// let error = Network::<f32>::builder(4).layer(2, Leaky::new(1.5)).build::<f32>().unwrap_err();
/// assert_eq!(error.to_string(), "layer 1: beta is 1.5; expected a decay from 0 to 1");
/// assert_eq!(format!("{error:?}"), error.to_string());
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is outside its valid range.
    #[error("{name} is {value}; expected {expected}")]
    InvalidParameter {
        /// The setting, with its place if there are several (`layer 2: beta`).
        name: String,
        /// The value found, as text.
        value: String,
        /// The valid range.
        expected: String,
    },

    /// An array has the wrong shape.
    #[error("{what} has shape {found:?}; expected {expected}")]
    Shape {
        /// The array.
        what: String,
        /// The expected shape, with the names of its axes.
        expected: String,
        /// The shape found.
        found: Vec<usize>,
    },

    /// A target is not a class of the network.
    #[error("targets[{index}] is {value}; expected a class below {classes}")]
    Target {
        /// Position in the batch.
        index: usize,
        /// The class found.
        value: usize,
        /// Number of outputs of the network.
        classes: usize,
    },

    /// NaN or infinity in a quantity that must be finite.
    #[error("{what} is {value} at {position}; expected finite numbers")]
    NonFinite {
        /// The quantity: `input`, `loss`, `gradient of fc1.weight`.
        what: String,
        /// The value found, as text.
        value: String,
        /// Its position: an index or a step.
        position: String,
    },

    /// Reading or writing a file failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The failed action: `read`, `create`, `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },

    /// A file does not have the expected format.
    #[error("{}: {what} is {found}; expected {expected}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The part of the file: `magic number`, `length`, `label 17`.
        what: String,
        /// The expected content.
        expected: String,
        /// The content found.
        found: String,
    },

    /// The tensors of a weights file do not match the network.
    #[error(
        "{}: missing tensors: {}; unexpected tensors: {}; the file has {}",
        path.display(), list(missing), list(unexpected), list(found)
    )]
    Tensors {
        /// The file.
        path: PathBuf,
        /// Tensors of the network that are missing from the file, sorted.
        missing: Vec<String>,
        /// Tensors of the file that name layers or constants this network does not have, sorted.
        unexpected: Vec<String>,
        /// All tensors of the file, sorted.
        found: Vec<String>,
    },

    /// A device is not available in this machine or build, or has failed.
    #[error("device {device} cannot be used: {reason}")]
    Device {
        /// The requested device.
        device: String,
        /// The reason, and a remedy.
        reason: String,
    },

    /// A part of the library does not support the requested operation.
    #[error("{by} does not support {what}; {instead}")]
    Unsupported {
        /// The requested feature.
        what: String,
        /// The part that does not support it.
        by: String,
        /// An alternative.
        instead: String,
    },

    /// Arrays of these sizes cannot be allocated.
    #[error("{what}: {} cannot be allocated; expected sizes that fit into memory", count(*bytes))]
    OutOfMemory {
        /// The sizes: `num_steps x neurons`.
        what: String,
        /// The number of bytes; `None` if it overflows a `usize`.
        bytes: Option<usize>,
    },

    /// One of the processes that train together has failed, does not answer, or does not match the others;
    /// see the module `parallel`.
    #[cfg(feature = "mpi")]
    #[error("rank {rank}: {what}")]
    Process {
        /// The rank that it is about.
        rank: usize,
        /// What happened there.
        what: String,
    },

    /// A custom loss function failed.
    #[error("custom loss: {0}")]
    CustomLoss(String),

    /// A callback of [`Trainer::fit`](crate::Trainer::fit) failed; see [`Error::callback`].
    #[error("callback: {0}")]
    Callback(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `Result` with this crate's [`enum@Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Wraps any error or text so that a callback of [`Trainer::fit`](crate::Trainer::fit) can
    /// return it.
    ///
    /// ```
    /// use spikegrad::Error;
    ///
    /// let full = std::io::Error::other("the disk is full");
    /// assert_eq!(Error::callback(full).to_string(), "callback: the disk is full");
    /// ```
    pub fn callback(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Error::Callback(error.into())
    }

    /// A setting outside its range.
    #[cold]
    pub(crate) fn parameter(
        name: impl Into<String>,
        value: impl ToString,
        expected: impl Into<String>,
    ) -> Self {
        Error::InvalidParameter {
            name: name.into(),
            value: brief(value.to_string()),
            expected: expected.into(),
        }
    }

    /// An array of the wrong shape.
    #[cold]
    pub(crate) fn shape(
        what: impl Into<String>,
        expected: impl Into<String>,
        found: &[usize],
    ) -> Self {
        Error::Shape {
            what: what.into(),
            expected: expected.into(),
            found: found.to_vec(),
        }
    }
}

/// Prints `1e300`, not three hundred digits.
fn brief(value: String) -> String {
    match value.parse::<f64>() {
        Ok(number) if value.len() > 24 && number.is_finite() => format!("{number:e}"),
        _ => value,
    }
}

/// `123 bytes`.
fn count(bytes: Option<usize>) -> String {
    match bytes {
        Some(bytes) => format!("{bytes} bytes"),
        None => format!("more than {} bytes", usize::MAX),
    }
}

/// `fc1.bias, fc1.weight`; of many names the first, and a name from a file in one line, not all of it.
fn list(names: &[String]) -> String {
    const MOST: usize = 20;
    if names.is_empty() {
        return "none".into();
    }
    let short = |name: &String| name.escape_debug().take(80).collect::<String>();
    let mut text = names
        .iter()
        .take(MOST)
        .map(short)
        .collect::<Vec<_>>()
        .join(", ");
    if let Some(more @ 1..) = names.len().checked_sub(MOST) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
