//! Reads untrusted files: only regular files, only up to a given size, without allocating more than
//! the file holds.
//!
//! Every reader uses this module first, for example [`idx`](crate::data::idx) for images and labels
//! and `Network::load_safetensors` for weights.

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

use std::{
    fs::{self, File, FileType, Metadata},
    io::{self, Read},
    path::Path,
};

use crate::{Error, Result};

/// Maximum number of commas, outside strings, in a safetensors header that [`tensors`] accepts:
/// enough for 10,000 tensors. The parsed form of the text between two commas can take a hundred
/// times its length.
#[cfg(feature = "safetensors")]
const MAX_COMMAS: usize = 1 << 17;

/// Maximum header length of the safetensors format, in bytes.
#[cfg(feature = "safetensors")]
const MAX_HEADER: usize = 100_000_000;

/// Reads a whole file of at most `limit` bytes.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("notes");
/// std::fs::write(&path, "spikes").unwrap();
/// assert_eq!(spikegrad::files::read(&path, 6)?, b"spikes");
/// assert!(spikegrad::files::read(&path, 5).is_err());
/// assert!(spikegrad::files::read("/dev/zero", 1 << 20).is_err());
/// # Ok::<(), spikegrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Io`] if the file cannot be read or memory runs out; [`Error::Format`] if it is a
/// folder, a pipe or a device, is longer than `limit`, or changes its length while it is read.
pub fn read(path: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let (mut file, len) = open(path)?;
    if len > limit {
        let expected = format!("at most {limit} bytes");
        return Err(format_error(
            path,
            "length",
            expected,
            format!("{len} bytes"),
        ));
    }
    let mut bytes = Vec::new();
    reserve(path, &mut bytes, len)?;
    // One more byte reveals a file that has grown or has no known length.
    let limit = len.saturating_add(1);
    let read = file.by_ref().take(limit).read_to_end(&mut bytes);
    read.map_err(|source| io_error(path, source))?;
    if bytes.len() as u64 != len {
        let expected = format!("{len} bytes, its length when opened");
        let found = format!("{} bytes or more", bytes.len());
        return Err(format_error(path, "length", expected, found));
    }
    Ok(bytes)
}

/// Opens a regular file and returns its length.
pub(crate) fn open(path: &Path) -> Result<(File, u64)> {
    open_or(
        path,
        |source| io_error(path, source),
        |found| format_error(path, "kind", "a regular file", found),
    )
}

/// The same, with the caller's errors for system failures and for anything but a regular file.
pub(crate) fn open_or<E>(
    path: &Path,
    failed: impl Fn(io::Error) -> E,
    other: impl Fn(&'static str) -> E,
) -> std::result::Result<(File, u64), E> {
    let regular = |metadata: io::Result<Metadata>| {
        let metadata = metadata.map_err(&failed)?;
        match metadata.is_file() {
            true => Ok(metadata.len()),
            false => Err(other(kind(metadata.file_type()))),
        }
    };
    // Checked before opening: opening a pipe waits for a writer.
    regular(fs::metadata(path))?;
    let file = File::open(path).map_err(&failed)?;
    // Checked again after opening: the file may have been replaced.
    let len = regular(file.metadata())?;
    Ok((file, len))
}

/// Reserves `len` more bytes, or fails if memory runs out.
pub(crate) fn reserve(path: &Path, bytes: &mut Vec<u8>, len: u64) -> Result<()> {
    let room = usize::try_from(len).ok();
    if room.is_some_and(|len| bytes.try_reserve_exact(len).is_ok()) {
        return Ok(());
    }
    let message = format!("not enough memory for its {len} bytes");
    Err(io_error(
        path,
        io::Error::new(io::ErrorKind::OutOfMemory, message),
    ))
}

fn kind(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    if kind.is_dir() {
        "a folder"
    } else {
        "a device"
    }
}

/// The tensors of a safetensors file that was [read]; `path` is for messages.
///
/// `SafeTensors::deserialize` alone lets a header use a hundred times the file's length in memory
/// and adds offsets without overflow checks. This function limits the first and checks the second.
///
/// # Errors
/// [`Error::Format`] if the bytes are not a safetensors file, or the header has more than 2^17
/// entries.
#[cfg(feature = "safetensors")]
pub fn tensors<'a>(path: &Path, bytes: &'a [u8]) -> Result<safetensors::SafeTensors<'a>> {
    use safetensors::{SafeTensors, tensor::Metadata};

    let wrong = |found: String| format_error(path, "content", "a safetensors file", found);
    let Some((len, rest)) = bytes.split_first_chunk() else {
        let found = format!("{} bytes, too few for the header's length", bytes.len());
        return Err(wrong(found));
    };
    let len = u64::from_le_bytes(*len);
    let header = usize::try_from(len).ok().and_then(|len| rest.get(..len));
    let header =
        header.ok_or_else(|| wrong(format!("cut off within its header of {len} bytes")))?;
    if let Some((expected, found)) = too_large(header) {
        return Err(format_error(path, "header", expected, found));
    }
    let metadata: Metadata = serde_json::from_slice(header).map_err(|e| wrong(e.to_string()))?;
    let data = rest.len().saturating_sub(header.len());
    if metadata.data_len() != data {
        let expected = format!("{} bytes, according to the header", metadata.data_len());
        let found = format!("{data} bytes");
        return Err(format_error(path, "length of the data", expected, found));
    }
    SafeTensors::deserialize(bytes).map_err(|e| wrong(e.to_string()))
}

/// For an invalid header, the expectation and the finding.
#[cfg(feature = "safetensors")]
pub(crate) fn too_large(header: &[u8]) -> Option<(String, String)> {
    if header.len() > MAX_HEADER {
        let expected = format!("at most {MAX_HEADER} bytes");
        return Some((expected, format!("{} bytes", header.len())));
    }
    let entries = commas(header);
    (entries > MAX_COMMAS).then(|| {
        let expected = format!("at most {MAX_COMMAS} entries");
        (expected, format!("{entries} entries"))
    })
}

/// Counts the commas in JSON text, except those inside strings.
#[cfg(feature = "safetensors")]
fn commas(json: &[u8]) -> usize {
    let (mut within, mut escaped) = (false, false);
    let counts = |&&byte: &&u8| {
        match byte {
            b'"' if !escaped => within = !within,
            b',' => return !within,
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
        false
    };
    json.iter().filter(counts).count()
}

/// Writes a file under a temporary name beside it and renames it, so that a failure leaves the file that
/// was there before. A path that leads to a pipe or a device is written to as it is.
#[cfg(feature = "safetensors")]
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    use io::{ErrorKind, Write};
    let failed = |e| failed("write", path, e);
    // Through a link, the file that it leads to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    if fs::metadata(&target).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, bytes).map_err(failed);
    }
    if target.exists() {
        // A file that may not be written to is not replaced either.
        fs::OpenOptions::new()
            .write(true)
            .open(&target)
            .map_err(failed)?;
    }
    let mut name = target.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = target.with_file_name(name);
    let written = fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        match file.sync_all() {
            // Some mounts do not offer it.
            Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::InvalidInput) => {
                Ok(())
            }
            synced => synced,
        }
    });
    written
        .and_then(|()| fs::rename(&temporary, &target))
        .map_err(|e| {
            let _ = fs::remove_file(&temporary);
            failed(e)
        })
}

pub(crate) fn io_error(path: &Path, source: io::Error) -> Error {
    failed("read", path, source)
}

/// Shorthand for [`Error::Io`].
#[cold]
pub(crate) fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io {
        action,
        path: path.to_path_buf(),
        source,
    }
}

/// Shorthand for [`Error::Format`].
#[cold]
pub(crate) fn format_error(
    path: &Path,
    what: impl Into<String>,
    expected: impl Into<String>,
    found: impl Into<String>,
) -> Error {
    Error::Format {
        path: path.to_path_buf(),
        what: what.into(),
        expected: expected.into(),
        found: found.into(),
    }
}
