//! The lock of a checkpoint folder: a file that stays there. The system releases the lock whenever
//! the process ends.

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
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::Path,
};

use super::{
    disk::has_one_name,
    mount::{Missing, Warnings, no_lock},
};
use crate::{Result, files::failed};

/// Locked by the process that writes to the folder.
const LOCK: &str = "checkpoint.lock";

/// The open lock file; locked if the file system supports locks.
pub(super) struct Lock(File);

impl Lock {
    /// Opens and locks the folder's lock file. A file system without locks gives a warning.
    pub fn take(dir: &Path, warnings: &Warnings) -> Result<Self> {
        let path = dir.join(LOCK);
        // The folder is untrusted: a link or a second name would redirect the write to another
        // file.
        if let Ok(found) = fs::symlink_metadata(&path)
            && !(found.is_file() && (cfg!(not(unix)) || has_one_name(&found)))
        {
            let message = "it is a link or has several names; expected a regular file with a single name, or no file";
            let source = io::Error::new(io::ErrorKind::InvalidInput, message);
            return Err(failed("lock", &path, source));
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options
            .open(&path)
            .map_err(|e| failed("create", &path, e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(e)) if no_lock(&e) => warnings.add(Missing::Lock, dir, &e),
            Err(TryLockError::Error(e)) => return Err(failed("lock", &path, e)),
            Err(TryLockError::WouldBlock) => return Err(failed("use", dir, taken(&file))),
        }
        // Only for the message; padded so that it overwrites an earlier number.
        let _ = file.write_all(format!("{:<20}", std::process::id()).as_bytes());
        Ok(Lock(file))
    }

    /// Whether this is the lock file in the folder, as far as the system can tell.
    pub fn is_in(&self, dir: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let place = |found: io::Result<fs::Metadata>| found.map(|m| (m.dev(), m.ino())).ok();
            place(self.0.metadata()) == place(fs::symlink_metadata(dir.join(LOCK)))
        }
        #[cfg(not(unix))]
        {
            // On these systems an open, locked file cannot be removed.
            let _ = dir;
            true
        }
    }

    /// Releases the lock. Closing is not enough: a process that is being spawned may hold a copy of
    /// the file handle.
    pub fn release(&self) {
        let _ = self.0.unlock();
    }
}

/// The error for a taken lock, with the owner from the file.
fn taken(file: &File) -> io::Error {
    let mut text = String::new();
    // Optional: the file may be unreadable.
    let _ = file.take(20).read_to_string(&mut text);
    let owner = match text.trim().parse::<u32>() {
        Ok(id) => format!("process {id}"),
        Err(_) => "another process".into(),
    };
    let message =
        format!("{owner} is writing checkpoints there; wait until it ends, or use another folder");
    io::Error::new(io::ErrorKind::WouldBlock, message)
}
