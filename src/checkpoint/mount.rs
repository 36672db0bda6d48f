//! Features that a mount may lack, the errors that indicate it, and the consequences.
//!
//! Network and cluster file systems lack calls that local disks support: CIFS, DrvFs and some FUSE
//! file systems do not sync folders; Lustre without `-o flock` and NFS without a lock daemon have
//! no locks. A run continues without these calls, with one warning each. All other errors remain
//! errors.

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
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

/// The system's error numbers for a call that is not implemented or not supported: `ENOSYS`,
/// `ENOTSUP`, `EOPNOTSUPP`; on Linux also the internal `ENOTSUPP`, which some network file systems
/// leak.
const UNSUPPORTED: &[i32] = if cfg!(windows) {
    &[1, 50, 120]
} else if cfg!(any(target_os = "linux", target_os = "android")) {
    &[38, 95, 524]
} else {
    &[45, 78, 102]
};

/// `ENOLCK`.
const NO_LOCKS: i32 = match cfg!(any(target_os = "linux", target_os = "android")) {
    true => 37,
    false => 77,
};

/// Numbers common to all Unix systems.
const EPERM: i32 = 1;
const EBADF: i32 = 9;
const EACCES: i32 = 13;
const EISDIR: i32 = 21;
const EINVAL: i32 = 22;

fn unsupported(error: &io::Error, more: &[i32]) -> bool {
    let Some(number) = error.raw_os_error() else {
        return false;
    };
    error.kind() == io::ErrorKind::Unsupported
        || UNSUPPORTED.contains(&number)
        || (cfg!(unix) && more.contains(&number))
}

/// Whether an error of `fsync` says that this file system does not sync files.
pub(super) fn no_file_sync(error: &io::Error) -> bool {
    unsupported(error, &[EINVAL])
}

/// The same for `fsync` on a folder. Systems that sync only files open for writing return `EBADF`.
pub(super) fn no_folder_sync(error: &io::Error) -> bool {
    unsupported(error, &[EINVAL, EBADF])
}

/// Whether an error of opening a folder means that it cannot be synced: the system does not open
/// folders, or this one is writable but not listable.
pub(super) fn no_open_folder(error: &io::Error) -> bool {
    unsupported(error, &[EINVAL, EISDIR, EACCES])
}

/// Whether an error of `flock` says that this file system has no locks.
pub(super) fn no_lock(error: &io::Error) -> bool {
    // The operation is always valid, so `EINVAL` can only refer to the file system.
    unsupported(error, &[EINVAL, NO_LOCKS])
}

/// Whether an error says that this file system does not overwrite a file in place.
pub(super) fn no_overwrite(error: &io::Error) -> bool {
    unsupported(error, &[EINVAL, EPERM, EACCES])
}

/// A feature that a mount lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Lock,
    FileSync,
    FolderSync,
}

impl Missing {
    /// The line for the user: the mount's error and the consequence.
    fn warning(self, dir: &Path, error: &io::Error) -> String {
        let (lacks, lost) = match self {
            Missing::Lock => (
                "has no file locks (flock",
                "nothing prevents a second run from writing checkpoints there: do not start one in \
                 this folder",
            ),
            Missing::FileSync => (
                "does not flush files to disk (fsync",
                "a power cut may damage the last checkpoints; a crash of the program does not",
            ),
            Missing::FolderSync => (
                "does not flush folders to disk (fsync of the folder",
                "a power cut may undo the last checkpoints; a crash of the program does not",
            ),
        };
        let dir = dir.display();
        format!("{dir}: this file system {lacks}: {error}); {lost}")
    }
}

/// One warning per missing feature, in order of detection; shared with the saving thread.
#[derive(Debug, Clone, Default)]
pub(super) struct Warnings(Arc<Mutex<Vec<(Missing, String)>>>);

impl Warnings {
    /// Keeps the first warning of each kind.
    pub fn add(&self, missing: Missing, dir: &Path, error: &io::Error) {
        let mut warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if warnings.iter().all(|(known, _)| *known != missing) {
            warnings.push((missing, missing.warning(dir, error)));
        }
    }

    pub fn lines(&self) -> Vec<String> {
        let warnings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.iter().map(|(_, line)| line.clone()).collect()
    }
}
