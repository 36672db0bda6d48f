//! The file system operations of a save, one method per step. [`Os`] is the real implementation.
//! Tests use others: one that fails at a byte or a step, one that loses unsynced data at a power
//! cut.

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
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write},
    path::Path,
};

use super::mount::{no_file_sync, no_folder_sync, no_open_folder, no_overwrite};
use crate::files;

/// Whether written data are on disk.
#[derive(Debug)]
pub enum Durable {
    /// They are, as far as the system can tell.
    Yes,
    /// They are written, but the file system does not support flushing; with its error.
    NotOffered(io::Error),
}

/// The part of a file system that a [`CheckpointDir`](super::CheckpointDir) uses.
pub trait Disk: Send + Sync {
    /// Creates a file, which must not exist, writes it, and waits until its content is on disk.
    fn create(&self, path: &Path, content: &[u8]) -> io::Result<Durable>;
    /// Overwrites an unneeded file in place and waits until its content is on disk, which is
    /// cheaper than writing a new file. A file with a second name is replaced with a new one
    /// instead, as is any file if the file system cannot overwrite in place.
    fn overwrite(&self, path: &Path, content: &[u8]) -> io::Result<Durable>;
    /// Gives a file a second name, which must be free.
    fn hard_link(&self, path: &Path, name: &Path) -> io::Result<()>;
    /// Renames a file atomically, replacing any file of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a name.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Waits until the names in a folder are on disk.
    fn sync_folder(&self, path: &Path) -> io::Result<Durable>;
    /// The bytes of a regular file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
}

/// The operating system's file system.
#[derive(Debug, Clone, Copy)]
pub struct Os;

impl Disk for Os {
    fn create(&self, path: &Path, content: &[u8]) -> io::Result<Durable> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(content)?;
        durable(file.sync_all(), no_file_sync)
    }

    fn overwrite(&self, path: &Path, content: &[u8]) -> io::Result<Durable> {
        match overwrite_in_place(path, content) {
            Ok(Some(durable)) => return Ok(durable),
            Ok(None) => {}
            Err(e) if no_overwrite(&e) => {}
            Err(e) => return Err(e),
        }
        self.remove(path)?;
        self.create(path, content)
    }

    fn hard_link(&self, path: &Path, name: &Path) -> io::Result<()> {
        fs::hard_link(path, name)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<Durable> {
        // On other systems a folder cannot be opened as a file, and the system handles names.
        if cfg!(not(unix)) {
            return Ok(Durable::Yes);
        }
        match File::open(path) {
            Ok(folder) => durable(folder.sync_all(), no_folder_sync),
            Err(e) => durable(Err(e), no_open_folder),
        }
    }

    /// Opens only regular files (a pipe would block forever) and reads at most the reported length.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let not_regular = |kind| {
            let message = format!("{kind}, not a regular file");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        };
        let (file, length) = files::open_or(path, |e| e, not_regular)?;
        let mut bytes = Vec::new();
        let capacity = usize::try_from(length).map_err(io::Error::other)?;
        bytes.try_reserve_exact(capacity)?;
        io::Read::read_to_end(&mut io::Read::take(file, length), &mut bytes)?;
        Ok(bytes)
    }
}

/// `None` if the file has a second name; nothing was done.
fn overwrite_in_place(path: &Path, content: &[u8]) -> io::Result<Option<Durable>> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    if !has_one_name(&file.metadata()?) {
        return Ok(None);
    }
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    durable(file.sync_all(), no_file_sync).map(Some)
}

/// The result of a sync; `not_offered` recognizes the errors of a file system without syncs.
fn durable(synced: io::Result<()>, not_offered: fn(&io::Error) -> bool) -> io::Result<Durable> {
    match synced {
        Ok(()) => Ok(Durable::Yes),
        Err(e) if not_offered(&e) => Ok(Durable::NotOffered(e)),
        Err(e) => Err(e),
    }
}

/// Whether a file has only one name, as far as the system can tell: some network file systems do
/// not count names.
pub(super) fn has_one_name(file: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        file.nlink() <= 1
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}
