//! What a save asks of the file system, one step each: [`Os`] is the real one. Tests put others in
//! its place: one that fails at a byte or a step, one that forgets at a power cut what was not synced.

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

/// Whether what was written is on the disk.
#[derive(Debug)]
pub enum Durable {
    /// It is, as far as the system tells.
    Yes,
    /// It is written, but the file system does not offer to wait for the disk: its answer.
    NotOffered(io::Error),
}

/// A file system, as far as a [`CheckpointDir`](super::CheckpointDir) writes to it.
pub trait Disk: Send + Sync {
    /// Creates a file that must not be there yet, writes it, and waits until its content is on the
    /// disk.
    fn create(&self, path: &Path, content: &[u8]) -> io::Result<Durable>;
    /// Writes over a file that nothing else needs, in place, and waits until its content is on the
    /// disk: a disk has less to do for this than for a new file. A file with a second name is
    /// replaced by a new one instead, and so is any where the file system only writes new ones.
    fn overwrite(&self, path: &Path, content: &[u8]) -> io::Result<Durable>;
    /// Gives a file a second name, which must be free.
    fn hard_link(&self, path: &Path, name: &Path) -> io::Result<()>;
    /// Gives a file another name, at once; what had that name is gone.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a name.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Waits until the names in a folder are on the disk.
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
        // Elsewhere a folder cannot be opened as a file, and names are the system's own business.
        if cfg!(not(unix)) {
            return Ok(Durable::Yes);
        }
        match File::open(path) {
            Ok(folder) => durable(folder.sync_all(), no_folder_sync),
            Err(e) => durable(Err(e), no_open_folder),
        }
    }

    /// Nothing but a regular file is opened (a pipe would wait for ever), and no more is read than
    /// the file says it has.
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

/// `None` where the file has a second name, and nothing was done.
fn overwrite_in_place(path: &Path, content: &[u8]) -> io::Result<Option<Durable>> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    if !has_one_name(&file.metadata()?) {
        return Ok(None);
    }
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    durable(file.sync_all(), no_file_sync).map(Some)
}

/// The answer of a sync; `not_offered` tells the errors by which a file system says that it has none.
fn durable(synced: io::Result<()>, not_offered: fn(&io::Error) -> bool) -> io::Result<Durable> {
    match synced {
        Ok(()) => Ok(Durable::Yes),
        Err(e) if not_offered(&e) => Ok(Durable::NotOffered(e)),
        Err(e) => Err(e),
    }
}

/// Whether a file has this one name and no other, as far as the system tells: some network file
/// systems count no names at all.
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
