//! Reads the idx format of MNIST and related data sets: images, and the class of each.
//!
//! A file is a big-endian header followed by the bytes in row-major order:
//!
//! | | magic number | dimensions, `u32` each | body |
//! |---|---|---|---|
//! | labels | `0x00000801` | `N` | `N` bytes |
//! | labels of QMNIST | `0x00000c02` | `N`, columns | `N · columns` big-endian `i32`, the class first |
//! | images | `0x00000803` | `N`, height, width | `N · height · width` bytes |
//!
//! The file may be raw or gzipped, as determined by its first two bytes, not its name. A raw file
//! must be exactly as long as its header says. A gzipped file must be long enough to unpack to that
//! length; memory grows with the bytes actually unpacked, up to the length in the header, without a
//! second copy. Zeros after a gzipped file are ignored, as `gzip` does. An invalid file is an
//! [`Error::Format`], never a panic.
//!
//! Other element types of idx (`i16`, `f32`, …) and other numbers of dimensions are not supported.

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

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use ndarray::Array3;

use super::gzip::Members;
use crate::files::{self, format_error, io_error};
use crate::{Error, Result};

const LABELS_MAGIC: u32 = 0x0000_0801;
const INT_LABELS_MAGIC: u32 = 0x0000_0c02;
const IMAGES_MAGIC: u32 = 0x0000_0803;

/// The first bytes of every gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The maximum compression of deflate: 2 bits for a copy of 258 bytes.
const MAX_GZIP_RATIO: u64 = 1032;

/// Maximum growth, in bytes, of an unpacked body at a time.
const GROWTH: usize = 16 << 20;

/// Bytes processed together of a body that is not kept whole; a multiple of 4.
const CHUNK: usize = 64 << 10;

/// Buffer size for packed bytes.
const PACKED: usize = 32 << 10;

/// Reads the images of an idx file, raw or gzipped.
///
/// # Shapes
/// The result is `[N, height, width]`, no dimension 0.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not a complete idx file of
/// images, or has trailing bytes.
pub fn read_images(path: impl AsRef<Path>) -> Result<Array3<u8>> {
    let path = path.as_ref();
    let mut source = Source::open(path)?;
    let magic = source.word("magic number")?;
    if magic != IMAGES_MAGIC {
        let expected = format!("{IMAGES_MAGIC:#010x}, an idx file of images");
        return Err(source.wrong("magic number", expected, format!("{magic:#010x}")));
    }
    let (dims, len) = source.header::<3>(1)?;
    let body = source.body(len)?;
    let found = body.len();
    Array3::from_shape_vec(dims, body)
        .map_err(|_| Error::shape("images", format!("{dims:?}"), &[found]))
}

/// Reads the labels of an idx file, raw or gzipped: bytes (`idx1-ubyte`), or the first column of
/// integers (QMNIST's `idx2-int`).
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("labels");
/// std::fs::write(&path, [0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]).unwrap();
/// assert_eq!(spikegrad::data::idx::read_labels(&path)?, [7, 2, 1]);
///
/// // Two rows of two columns.
/// let numbers: [u32; 7] = [0xc02, 2, 2, 7, 4000, 2, 1];
/// std::fs::write(&path, numbers.map(u32::to_be_bytes).concat()).unwrap();
/// assert_eq!(spikegrad::data::idx::read_labels(&path)?, [7, 2]);
/// # Ok::<(), spikegrad::Error>(())
/// ```
///
/// # Shapes
/// The result is `[N]`, `N` at least 1.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not a complete idx file of
/// labels, has trailing bytes, or has a label outside 0–255.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let mut source = Source::open(path.as_ref())?;
    match source.word("magic number")? {
        LABELS_MAGIC => {
            let (_, len) = source.header::<1>(1)?;
            source.body(len)
        }
        INT_LABELS_MAGIC => {
            let (dims, len) = source.header::<2>(4)?;
            source.first_column(dims, len)
        }
        magic => {
            let expected =
                format!("{LABELS_MAGIC:#010x} or {INT_LABELS_MAGIC:#010x}, an idx file of labels");
            Err(source.wrong("magic number", expected, format!("{magic:#010x}")))
        }
    }
}

/// An open idx file and the source of its bytes.
struct Source<'a> {
    path: &'a Path,
    /// Length of the file on disk.
    disk_len: u64,
    bytes: Bytes,
}

enum Bytes {
    Raw(File),
    Gzip(Members<BufReader<File>>),
}

/// The unpacked length of a file in bytes, according to its header.
struct Length {
    header: u64,
    whole: u64,
}

impl<'a> Source<'a> {
    /// Opens a file and reads its first two bytes.
    fn open(path: &'a Path) -> Result<Self> {
        let (mut file, disk_len) = files::open(path)?;
        let mut start = Vec::new();
        file.by_ref()
            .take(2)
            .read_to_end(&mut start)
            .and_then(|_| file.rewind())
            .map_err(|source| io_error(path, source))?;
        let bytes = if start == GZIP_MAGIC {
            Bytes::Gzip(Members::new(BufReader::with_capacity(PACKED, file)))
        } else {
            Bytes::Raw(file)
        };
        Ok(Source {
            path,
            disk_len,
            bytes,
        })
    }

    /// The next big-endian `u32` of the header; `what` names it.
    fn word(&mut self, what: &str) -> Result<u32> {
        let mut word = Vec::with_capacity(4);
        self.append(4, &mut word)?;
        let word: [u8; 4] = word.try_into().map_err(|short: Vec<u8>| {
            let found = format!("cut off, with only {} of the next 4 bytes", short.len());
            self.wrong(what, "whole", found)
        })?;
        Ok(u32::from_be_bytes(word))
    }

    /// The dimensions after the magic number, none 0, and the resulting length of a file with
    /// elements of `size` bytes.
    fn header<const D: usize>(&mut self, size: u64) -> Result<([usize; D], Length)> {
        let header = size_of::<u32>().saturating_mul(D.saturating_add(1)) as u64;
        let mut dims = [0; D];
        let mut whole = Some(size);
        for (axis, dim) in dims.iter_mut().enumerate() {
            let word = self.word("header")?;
            if word == 0 {
                return Err(self.wrong(format!("dimension {axis}"), "at least 1", "0"));
            }
            whole = whole.and_then(|product| product.checked_mul(u64::from(word)));
            *dim = to_usize(self.path, u64::from(word))?;
        }
        let whole = whole
            .and_then(|body| body.checked_add(header))
            .ok_or_else(|| {
                let expected = "fewer than 2^64 bytes";
                self.wrong("size in the header", expected, format!("{dims:?}"))
            })?;
        self.check_len(whole, &format!("{dims:?}"))?;
        Ok((dims, Length { header, whole }))
    }

    /// Checks that this file can have the length; `dims` is from the header.
    fn check_len(&self, file_len: u64, dims: &str) -> Result<()> {
        match self.bytes {
            Bytes::Raw(_) if self.disk_len != file_len => {
                let expected = format!("{file_len} bytes, according to its header {dims}");
                Err(format_error(
                    self.path,
                    "length",
                    expected,
                    format!("{} bytes", self.disk_len),
                ))
            }
            Bytes::Gzip(_) if file_len > self.disk_len.saturating_mul(MAX_GZIP_RATIO) => {
                let expected = format!(
                    "at least {} bytes, to unpack to {file_len} according to its header {dims}",
                    file_len / MAX_GZIP_RATIO
                );
                Err(format_error(
                    self.path,
                    "gzipped length",
                    expected,
                    format!("{} bytes", self.disk_len),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Everything after the header; trailing bytes are an error.
    fn body(&mut self, len: Length) -> Result<Vec<u8>> {
        let expected_len = to_usize(self.path, len.whole.saturating_sub(len.header))?;
        let growth = match self.bytes {
            Bytes::Raw(_) => expected_len, // the file has that many
            Bytes::Gzip(_) => GROWTH,
        };
        let mut body = Vec::new();
        while body.len() < expected_len {
            let step = growth.min(expected_len.saturating_sub(body.len()));
            files::reserve(self.path, &mut body, step as u64)?;
            if self.append(step, &mut body)? < step {
                return Err(self.cut_off(&len, body.len() as u64));
            }
        }
        self.end(&len)?;
        Ok(body)
    }

    /// The first of each row's `columns` big-endian `i32` after the header, from 0 to 255 each; the
    /// other columns are dropped.
    fn first_column(&mut self, [rows, columns]: [usize; 2], len: Length) -> Result<Vec<u8>> {
        let expected_len = len.whole.saturating_sub(len.header);
        let (mut labels, mut chunk, mut done) = (Vec::new(), Vec::new(), 0_u64);
        // Numbers until the next row begins.
        let mut left = 0_usize;
        while done < expected_len {
            let step = expected_len.saturating_sub(done).min(CHUNK as u64);
            let step = to_usize(self.path, step)?;
            chunk.clear();
            let read = self.append(step, &mut chunk)?;
            done = done.saturating_add(read as u64);
            if read < step {
                return Err(self.cut_off(&len, done));
            }
            let room = labels.capacity().saturating_sub(labels.len());
            if room < step / 4 {
                let more = rows.saturating_sub(labels.len()).min(GROWTH);
                files::reserve(self.path, &mut labels, more as u64)?;
            }
            for &number in chunk.as_chunks().0 {
                if left > 0 {
                    left = left.saturating_sub(1);
                    continue;
                }
                left = columns.saturating_sub(1);
                let number = i32::from_be_bytes(number);
                let label = u8::try_from(number).map_err(|_| {
                    let what = format!("label {}", labels.len());
                    self.wrong(what, "a class from 0 to 255", number.to_string())
                })?;
                labels.push(label);
            }
        }
        self.end(&len)?;
        Ok(labels)
    }

    /// Checks that nothing follows the body. A gzip decoder verifies the checksum only at this
    /// point.
    fn end(&mut self, len: &Length) -> Result<()> {
        if self.append(1, &mut Vec::new())? == 0 {
            return Ok(());
        }
        let expected = format!("{} bytes unpacked, according to its header", len.whole);
        Err(self.wrong("length", expected, "more than that"))
    }

    /// The error for a body with only `read` bytes.
    fn cut_off(&self, len: &Length, read: u64) -> Error {
        let expected = format!("{} bytes unpacked, according to its header", len.whole);
        let found = format!("{} bytes", len.header.saturating_add(read));
        self.wrong("length", expected, found)
    }

    fn wrong(
        &self,
        what: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Error {
        format_error(self.path, what, expected, found)
    }

    /// Appends up to `limit` bytes, fewer only at the end of the file, and returns how many.
    fn append(&mut self, limit: usize, out: &mut Vec<u8>) -> Result<usize> {
        let limit = limit as u64;
        let (read, gzip) = match &mut self.bytes {
            Bytes::Raw(file) => (file.take(limit).read_to_end(out), false),
            Bytes::Gzip(gzip) => (gzip.take(limit).read_to_end(out), true),
        };
        read.map_err(|source| match source.kind() {
            // flate2's error kinds for damaged content; other kinds come from the system.
            io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof
                if gzip =>
            {
                format_error(
                    self.path,
                    "gzip stream",
                    "complete and undamaged, followed by nothing but zeros",
                    format!("broken ({source})"),
                )
            }
            _ => io_error(self.path, source),
        })
    }
}

/// Converts a size in the file to a `usize`, which may be narrower.
fn to_usize(path: &Path, size: u64) -> Result<usize> {
    usize::try_from(size).map_err(|_| {
        format_error(
            path,
            "size in the header",
            "a size that this machine can address",
            size.to_string(),
        )
    })
}
