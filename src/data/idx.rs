//! Reads the idx format of MNIST and its relatives: bytes in one or three dimensions.
//!
//! A file is a big-endian header and then the bytes, row by row:
//!
//! | | magic number | dimensions, `u32` each | body |
//! |---|---|---|---|
//! | labels | `0x00000801` | `N` | `N` bytes |
//! | images | `0x00000803` | `N`, height, width | `N · height · width` bytes |
//!
//! The file may be raw or gzipped; its first two bytes tell, not its name. Nothing is believed
//! before it is checked: a raw file must be exactly as long as its header says, a gzipped one must
//! be able to hold that much, and its body grows with the bytes that really come out, stops where
//! the header ends it, and is held once. A wrong file is an [`Error::Format`], never a panic.
//!
//! It is not for the other element types of idx (`i16`, `f32`, …), nor for other numbers of
//! dimensions, and it does not know what a label means.

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
use std::io::{self, Read, Seek};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use ndarray::Array3;

use crate::files::{self, format_error, io_error};
use crate::{Error, Result};

const LABELS_MAGIC: u32 = 0x0000_0801;
const IMAGES_MAGIC: u32 = 0x0000_0803;

/// The first bytes of every gzip file.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Deflate cannot do better: 2 bits for a copy of 258 bytes.
const MAX_GZIP_RATIO: u64 = 1032;

/// Most bytes by which the memory of an unpacked body grows at a time.
const GROWTH: usize = 16 << 20;

/// Reads the images of an idx file, raw or gzipped.
///
/// # Shapes
/// The result is `[N, height, width]`, no dimension 0.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not a whole idx file of
/// images, or has bytes left over.
pub fn read_images(path: impl AsRef<Path>) -> Result<Array3<u8>> {
    let path = path.as_ref();
    let ([count, height, width], body) = read(path, IMAGES_MAGIC, "images")?;
    let found = body.len();
    Array3::from_shape_vec((count, height, width), body)
        .map_err(|_| Error::shape("images", format!("[{count}, {height}, {width}]"), &[found]))
}

/// Reads the labels of an idx file, raw or gzipped.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("labels");
/// std::fs::write(&path, [0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]).unwrap();
/// assert_eq!(spikegrad::data::idx::read_labels(&path)?, [7, 2, 1]);
/// # Ok::<(), spikegrad::Error>(())
/// ```
///
/// # Shapes
/// The result is `[N]`, `N` at least 1.
///
/// # Errors
/// [`Error::Io`] if the file cannot be read, [`Error::Format`] if it is not a whole idx file of
/// labels, or has bytes left over.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let (_, labels) = read::<1>(path.as_ref(), LABELS_MAGIC, "labels")?;
    Ok(labels)
}

/// Header and body of an idx file with `D` dimensions.
fn read<const D: usize>(path: &Path, magic: u32, kind: &str) -> Result<([usize; D], Vec<u8>)> {
    let mut source = Source::open(path)?;

    let found = source.word("magic number")?;
    if found != magic {
        let expected = format!("{magic:#010x}, an idx file of {kind}");
        return Err(format_error(
            path,
            "magic number",
            expected,
            format!("{found:#010x}"),
        ));
    }

    let header_len = size_of_val(&magic).saturating_mul(D.saturating_add(1)) as u64;
    let mut dims = [0; D];
    let mut file_len = Some(1u64);
    for (axis, dim) in dims.iter_mut().enumerate() {
        let word = source.word("header")?;
        if word == 0 {
            return Err(format_error(
                path,
                format!("dimension {axis}"),
                "at least 1",
                "0",
            ));
        }
        file_len = file_len.and_then(|product| product.checked_mul(u64::from(word)));
        *dim = to_usize(path, u64::from(word))?;
    }
    let file_len = file_len
        .and_then(|body| body.checked_add(header_len))
        .ok_or_else(|| {
            let expected = "fewer than 2^64 bytes";
            format_error(path, "size by its header", expected, format!("{dims:?}"))
        })?;

    source.check_len(file_len, &format!("{dims:?}"))?;
    let body = source.body(header_len, file_len)?;
    Ok((dims, body))
}

/// An open idx file, and where its bytes come from.
struct Source<'a> {
    path: &'a Path,
    /// Length of the file as it is on disk.
    disk_len: u64,
    bytes: Bytes,
}

enum Bytes {
    Raw(File),
    Gzip(Box<MultiGzDecoder<File>>),
}

impl<'a> Source<'a> {
    /// Opens a file and looks at its first two bytes.
    fn open(path: &'a Path) -> Result<Self> {
        let (mut file, disk_len) = files::open(path)?;
        let mut start = Vec::new();
        file.by_ref()
            .take(2)
            .read_to_end(&mut start)
            .and_then(|_| file.rewind())
            .map_err(|source| io_error(path, source))?;
        let bytes = if start == GZIP_MAGIC {
            Bytes::Gzip(Box::new(MultiGzDecoder::new(file)))
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
            let found = format!("cut off, {} of its next 4 bytes there", short.len());
            format_error(self.path, what, "whole", found)
        })?;
        Ok(u32::from_be_bytes(word))
    }

    /// Refuses a length that this file cannot have; `dims` is what the header says.
    fn check_len(&self, file_len: u64, dims: &str) -> Result<()> {
        match self.bytes {
            Bytes::Raw(_) if self.disk_len != file_len => {
                let expected = format!("{file_len} bytes, by its header {dims}");
                Err(format_error(
                    self.path,
                    "length",
                    expected,
                    format!("{} bytes", self.disk_len),
                ))
            }
            Bytes::Gzip(_) if file_len > self.disk_len.saturating_mul(MAX_GZIP_RATIO) => {
                let expected = format!(
                    "at least {} bytes, to unpack to {file_len} by its header {dims}",
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

    /// Everything after the header, which must end at `file_len` and not go on.
    fn body(&mut self, header_len: u64, file_len: u64) -> Result<Vec<u8>> {
        let expected_len = to_usize(self.path, file_len.saturating_sub(header_len))?;
        let growth = match self.bytes {
            Bytes::Raw(_) => expected_len, // the file has that many
            Bytes::Gzip(_) => GROWTH,
        };
        let mut body = Vec::new();
        while body.len() < expected_len {
            let step = growth.min(expected_len.saturating_sub(body.len()));
            files::reserve(self.path, &mut body, step as u64)?;
            if self.append(step, &mut body)? < step {
                let expected = format!("{file_len} bytes unpacked, by its header");
                let found = format!("{} bytes", header_len.saturating_add(body.len() as u64));
                return Err(format_error(self.path, "length", expected, found));
            }
        }
        // One byte more: a gzip decoder looks at the checksum and at what follows only now.
        if self.append(1, &mut Vec::new())? != 0 {
            let expected = format!("{file_len} bytes unpacked, by its header");
            return Err(format_error(
                self.path,
                "length",
                expected,
                "more than that",
            ));
        }
        Ok(body)
    }

    /// Appends up to `limit` bytes, fewer only at the end of the file, and returns how many.
    fn append(&mut self, limit: usize, out: &mut Vec<u8>) -> Result<usize> {
        let limit = limit as u64;
        let (read, gzip) = match &mut self.bytes {
            Bytes::Raw(file) => (file.take(limit).read_to_end(out), false),
            Bytes::Gzip(gzip) => (gzip.take(limit).read_to_end(out), true),
        };
        read.map_err(|source| match source.kind() {
            // What flate2 reports of broken content; other kinds come from the system.
            io::ErrorKind::InvalidInput
            | io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof
                if gzip =>
            {
                format_error(
                    self.path,
                    "gzip stream",
                    "whole and undamaged, with nothing behind it",
                    format!("broken ({source})"),
                )
            }
            _ => io_error(self.path, source),
        })
    }
}

/// A size in the file as a size in memory, which may be narrower.
fn to_usize(path: &Path, size: u64) -> Result<usize> {
    usize::try_from(size).map_err(|_| {
        format_error(
            path,
            "size by its header",
            "a size that this machine can address",
            size.to_string(),
        )
    })
}
