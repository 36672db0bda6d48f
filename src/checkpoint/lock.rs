//! The lock of a folder of checkpoints: a file that is left there. The system unlocks it when the
//! process ends, however it ends.

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

/// Locked by who writes into the folder.
const LOCK: &str = "checkpoint.lock";

/// The lock file, open; locked where the file system has locks.
pub(super) struct Lock(File);

impl Lock {
    /// Opens and locks the folder's lock file. A file system without locks is a warning.
    pub fn take(dir: &Path, warnings: &Warnings) -> Result<Self> {
        let path = dir.join(LOCK);
        // A folder may come from anyone: through a link or a second name, another file would be written.
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
        // For the message alone; as wide as any, so that it covers what was there.
        let _ = file.write_all(format!("{:<20}", std::process::id()).as_bytes());
        Ok(Lock(file))
    }

    /// Whether this is the lock file that is in the folder, as far as the system tells.
    pub fn is_in(&self, dir: &Path) -> bool {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let place = |found: io::Result<fs::Metadata>| found.map(|m| (m.dev(), m.ino())).ok();
            place(self.0.metadata()) == place(fs::symlink_metadata(dir.join(LOCK)))
        }
        #[cfg(not(unix))]
        {
            // A file that is open and locked cannot be removed there.
            let _ = dir;
            true
        }
    }

    /// Lets go of the lock. Closing is not enough: a process that is just being started may have a copy
    /// of the file.
    pub fn release(&self) {
        let _ = self.0.unlock();
    }
}

/// Who has the lock, as the file says.
fn taken(file: &File) -> io::Error {
    let mut text = String::new();
    // Good to know, but may be unreadable.
    let _ = file.take(20).read_to_string(&mut text);
    let owner = match text.trim().parse::<u32>() {
        Ok(id) => format!("process {id}"),
        Err(_) => "another process".into(),
    };
    let message =
        format!("{owner} is writing checkpoints there; wait until it ends, or use another folder");
    io::Error::new(io::ErrorKind::WouldBlock, message)
}
