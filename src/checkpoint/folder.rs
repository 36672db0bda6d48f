//! A folder of checkpoints: the current one and the one before it, one of them whole at every
//! instant.
//!
//! A save writes a temporary file, waits until it is on the disk, gives the current file a second
//! name, renames the temporary one over the current, and the second name to
//! `checkpoint.previous.safetensors`: a rename happens at once or not at all. Where the file system
//! has no hard links, the current file is renamed to the previous one first; between the two renames
//! the previous is the whole one.
//!
//! What was the previous file before becomes the next save's temporary one: to write over it takes a
//! third of the time of a new file, whose blocks must be found and another's given back.

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
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

use super::{
    Checkpoint,
    decode::{self, Flaw},
    disk::{Disk, Os, has_one_name},
    encode,
};
use crate::{Error, Result};

/// The checkpoint.
const CURRENT: &str = "checkpoint.safetensors";
/// The one before it.
const PREVIOUS: &str = "checkpoint.previous.safetensors";
/// What is being written.
const TEMPORARY: &str = "checkpoint.safetensors.tmp";
/// The second name of the current one, on its way to `PREVIOUS`.
const LINK: &str = "checkpoint.previous.safetensors.tmp";
/// Locked by who writes here.
const LOCK: &str = "checkpoint.lock";

/// The system's number of a disk that fails to read: `EIO`, `ERROR_CRC`.
const UNREADABLE: i32 = if cfg!(windows) { 23 } else { 5 };

/// A checkpoint that was found in a folder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Found {
    /// The last whole one.
    pub checkpoint: Checkpoint,
    /// What is wrong with the current file, where this is the one before it: a line for the user.
    pub warning: Option<String>,
}

/// A folder that one run writes its checkpoints into: locked for this process as long as this value
/// lives (a process that is killed leaves no lock behind). See [the module](super) for an example.
pub struct CheckpointDir {
    /// `None` while a save is on its way.
    files: Option<Files>,
    in_flight: Option<JoinHandle<(Files, Result<()>)>>,
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    lock: File,
}

impl fmt::Debug for CheckpointDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointDir")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl CheckpointDir {
    /// Locks a folder, which is made if there is none, and removes what a save that was cut short
    /// left in it.
    ///
    /// # Errors
    /// [`Error::Io`] naming the folder where another process (or another value in this one) has the
    /// lock, or where it cannot be written.
    pub fn open(dir: impl AsRef<Path>) -> Result<Self> {
        Self::open_on(dir.as_ref(), Arc::new(Os))
    }

    /// The same on another file system, but for the lock.
    #[doc(hidden)]
    pub fn open_on(dir: &Path, disk: Arc<dyn Disk>) -> Result<Self> {
        // Where the names of the folders that are made now will stand.
        let parents = dir.ancestors().skip(1).map(|parent| match parent {
            parent if parent == Path::new("") => Path::new("."),
            parent => parent,
        });
        let made = dir.ancestors().take_while(|dir| !dir.is_dir());
        let parents: Vec<&Path> = made.zip(parents).map(|(_, parent)| parent).collect();
        fs::create_dir_all(dir).map_err(|e| failed("create", dir, e))?;
        for parent in parents {
            // One that cannot be synced is not this folder's to mend.
            let _ = disk.sync_folder(parent);
        }
        let lock = lock(dir)?;
        Ok(CheckpointDir {
            files: Some(Files::begin(dir, &disk)?),
            in_flight: None,
            dir: dir.into(),
            disk,
            lock,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The last whole checkpoint in the folder: the current one or, where that is damaged or not
    /// there, the one before it, and says so; `None` where there is neither.
    ///
    /// # Errors
    /// [`Error::Format`] where what is there is all damaged, or of a later version of the format (the
    /// one before it is not taken then); [`Error::Io`] where it cannot be read, or the folder is
    /// another run's by now (see [`save`](Self::save)); and what a save in the background reports.
    pub fn load(&mut self) -> Result<Option<Found>> {
        self.wait()?;
        self.keep_lock()?;
        self.files().load()
    }

    /// Writes a checkpoint and waits until it is on the disk.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written: the last one is whole and in place then.
    /// [`Error::NonFinite`] and others as [`Checkpoint::to_bytes`]. What an earlier save in the
    /// background reports is returned too, after this one was tried. Where the folder was removed and
    /// another process has made it anew and writes there: [`Error::Io`] naming it, as
    /// [`open`](Self::open).
    pub fn save(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let earlier = self.wait();
        self.keep_lock()?;
        self.files().save(checkpoint)?;
        earlier
    }

    /// Writes a checkpoint on a thread of its own, and returns at once; or, if one is on its way
    /// already, when that is on the disk. [`wait`](Self::wait) is to be called at the end.
    ///
    /// # Errors
    /// What the save before this one reports, as [`save`](Self::save); this one is not begun then.
    pub fn save_in_background(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.wait()?;
        self.keep_lock()?;
        let (dir, disk) = (&self.dir, &self.disk);
        let mut files = (self.files.take()).unwrap_or_else(|| Files::new(dir, disk));
        let builder = thread::Builder::new().name("checkpoint".into());
        let spawned = builder.spawn(move || {
            let result = files.save(&checkpoint);
            (files, result)
        });
        let handle = spawned.map_err(|e| failed("start a thread to write into", &self.dir, e))?;
        self.in_flight = Some(handle);
        Ok(())
    }

    /// Waits for a save in the background, if there is one.
    ///
    /// # Errors
    /// What it reports, as [`save`](Self::save).
    pub fn wait(&mut self) -> Result<()> {
        let Some(handle) = self.in_flight.take() else {
            return Ok(());
        };
        match handle.join() {
            Ok((files, result)) => {
                self.files = Some(files);
                result
            }
            Err(_) => Err(failed(
                "write",
                &self.dir,
                io::Error::other("a thread panicked"),
            )),
        }
    }

    /// Locks anew where the lock file is no longer the one in the folder. Where the folder is gone, the
    /// save will say so.
    fn keep_lock(&mut self) -> Result<()> {
        if is_at(&self.lock, &self.dir.join(LOCK)) || !self.dir.is_dir() {
            return Ok(());
        }
        self.lock = lock(&self.dir)?;
        self.files = Some(Files::begin(&self.dir, &self.disk)?);
        Ok(())
    }

    fn files(&mut self) -> &mut Files {
        let (dir, disk) = (&self.dir, &self.disk);
        self.files.get_or_insert_with(|| Files::new(dir, disk))
    }
}

impl Drop for CheckpointDir {
    /// Waits for a save in the background; its error is lost, unless [`wait`](Self::wait) was called.
    fn drop(&mut self) {
        let _ = self.wait();
        let own = is_at(&self.lock, &self.dir.join(LOCK));
        let files = self.files();
        // Another run's spare file is not this one's to remove.
        if files.spare && own {
            // What is left behind is removed when the folder is next opened.
            let _ = files.clean(TEMPORARY);
        }
        // Closing is not enough: a process that is just being started may have a copy of the file.
        let _ = self.lock.unlock();
    }
}

impl Checkpoint {
    /// The last whole checkpoint in a folder, as [`CheckpointDir::load`] finds it, without a lock: to
    /// look at a run, also while it goes on. What looks damaged is read again: it may have been
    /// replaced and written over in the meantime.
    ///
    /// # Errors
    /// As [`CheckpointDir::load`].
    pub fn load(dir: impl AsRef<Path>) -> Result<Option<Found>> {
        Self::load_on(dir.as_ref(), Arc::new(Os))
    }

    /// The same on another file system.
    #[doc(hidden)]
    pub fn load_on(dir: &Path, disk: Arc<dyn Disk>) -> Result<Option<Found>> {
        let mut files = Files::new(dir, &disk);
        let mut found = files.load();
        for _ in 0..2 {
            if let Ok(None | Some(Found { warning: None, .. })) = found {
                break;
            }
            found = files.load();
        }
        found
    }

    /// Writes a checkpoint into a folder, which is made if there is none; it is locked for so long.
    ///
    /// # Errors
    /// As [`CheckpointDir::open`] and [`CheckpointDir::save`].
    pub fn save(&self, dir: impl AsRef<Path>) -> Result<()> {
        CheckpointDir::open(dir)?.save(self)
    }
}

/// The files of a folder.
struct Files {
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    /// Whether the current file is a whole checkpoint; not known at first.
    current: Option<bool>,
    /// What was written last: its memory is used again.
    bytes: Vec<u8>,
    /// Whether the temporary file is one that the last save, which is on the disk whole, had no more
    /// use for.
    spare: bool,
}

impl Files {
    fn new(dir: &Path, disk: &Arc<dyn Disk>) -> Self {
        Files {
            dir: dir.into(),
            disk: Arc::clone(disk),
            current: None,
            bytes: Vec::new(),
            spare: false,
        }
    }

    /// The same in a folder that has just been locked: without what a save that was cut short left.
    fn begin(dir: &Path, disk: &Arc<dyn Disk>) -> Result<Self> {
        let files = Files::new(dir, disk);
        files.clean(TEMPORARY)?;
        // That nothing can be written is found out now, not after the training.
        let temporary = dir.join(TEMPORARY);
        (disk.create(&temporary, &[])).map_err(|e| failed("create", &temporary, e))?;
        files.clean(TEMPORARY)?;
        files.keep_previous();
        files.clean(LINK)?;
        Ok(files)
    }

    fn load(&mut self) -> Result<Option<Found>> {
        let flaw = match self.read(CURRENT) {
            Ok(Some(checkpoint)) => {
                self.current = Some(true);
                let warning = None;
                return Ok(Some(Found {
                    checkpoint,
                    warning,
                }));
            }
            Ok(None) => None,
            Err(Flaw::Damaged(error)) => Some(error),
            Err(Flaw::Foreign(error)) => return Err(error),
        };
        self.current = Some(false);
        let (dir, previous) = (&self.dir, self.dir.join(PREVIOUS));
        match (self.read(PREVIOUS), flaw) {
            (Ok(Some(checkpoint)), flaw) => {
                let current = dir.join(CURRENT);
                let reason = match flaw {
                    Some(error) => error.to_string(),
                    None => format!("{} is not there", current.display()),
                };
                let taken = previous.display();
                let warning = format!("{reason}; taken the one before it, {taken}");
                Ok(Some(Found {
                    checkpoint,
                    warning: Some(warning),
                }))
            }
            (Ok(None), None) => Ok(None),
            (Ok(None), Some(error)) => Err(error),
            (Err(Flaw::Foreign(error) | Flaw::Damaged(error)), None) => Err(error),
            (Err(Flaw::Foreign(second) | Flaw::Damaged(second)), Some(first)) => {
                Err(Error::Format {
                    path: dir.clone(),
                    what: "checkpoint".into(),
                    expected: "a whole one, or a whole one before it".into(),
                    found: format!("damaged, and so is the one before it ({first}; {second})"),
                })
            }
        }
    }

    /// A checkpoint by the name of its file; `None` where there is no such file.
    fn read(&self, name: &str) -> std::result::Result<Option<Checkpoint>, Flaw> {
        let path = self.dir.join(name);
        match self.disk.read(&path) {
            Ok(bytes) => decode::decode(&bytes, &path).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            // A disk that fails to read is damage; anything else says nothing about the file.
            Err(e) if e.raw_os_error() == Some(UNREADABLE) => {
                Err(Flaw::Damaged(failed("read", &path, e)))
            }
            Err(e) => Err(Flaw::Foreign(failed("read", &path, e))),
        }
    }

    fn save(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        encode::encode(checkpoint, &mut self.bytes)?;
        let temporary = self.dir.join(TEMPORARY);
        let written = if std::mem::take(&mut self.spare) {
            self.disk.overwrite(&temporary, &self.bytes)
        } else {
            self.clean(TEMPORARY)?;
            self.disk.create(&temporary, &self.bytes)
        };
        let replaced = written
            .map_err(|e| failed("write", &temporary, e))
            .and_then(|()| self.replace(&temporary));
        if replaced.is_err() {
            // It takes room on a disk that may be full. The first error is the one to report.
            let _ = self.disk.remove(&temporary);
        }
        let spare = replaced?;
        (self.disk.sync_folder(&self.dir)).map_err(|e| failed("write", &self.dir, e))?;
        self.spare = spare;
        Ok(())
    }

    /// Puts a file in the current one's place, and that in the previous one's. Returns whether the
    /// file that was there is now the temporary one.
    fn replace(&mut self, temporary: &Path) -> Result<bool> {
        let (current, previous) = (self.dir.join(CURRENT), self.dir.join(PREVIOUS));
        let link = self.dir.join(LINK);
        let whole = match self.current {
            Some(whole) => whole,
            None => matches!(self.read(CURRENT), Ok(Some(_)) | Err(Flaw::Foreign(_))),
        };
        let mut linked = false;
        // A damaged one must not take the place of a whole one.
        if whole {
            self.clean(LINK)?;
            linked = self.disk.hard_link(&current, &link).is_ok();
            if !linked {
                match self.disk.rename(&current, &previous) {
                    Err(e) if e.kind() != io::ErrorKind::NotFound => {
                        return Err(failed("replace", &previous, e));
                    }
                    _ => self.current = Some(false),
                }
            }
        }
        (self.disk.rename(temporary, &current)).map_err(|e| failed("replace", &current, e))?;
        self.current = Some(true);
        if !linked {
            return Ok(false);
        }
        let spare = self.disk.rename(&previous, temporary).is_ok();
        (self.disk.rename(&link, &previous)).map_err(|e| failed("replace", &previous, e))?;
        // Where both were names of one file, that rename has left them.
        self.clean(LINK)?;
        Ok(spare)
    }

    /// After a save that was cut short between its last two renames: the file on its way to be the
    /// previous one becomes that. A previous one that is there stays, since the name must be free.
    fn keep_previous(&self) {
        let (link, previous) = (self.dir.join(LINK), self.dir.join(PREVIOUS));
        // Mostly there is no such file, which is well; and the current one is there in any case.
        let _ = self.disk.hard_link(&link, &previous);
    }

    /// Removes a file, if it is there.
    fn clean(&self, name: &str) -> Result<()> {
        let path = self.dir.join(name);
        match self.disk.remove(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, e)),
            _ => Ok(()),
        }
    }
}

/// Opens and locks the folder's lock file, which is left there: the system unlocks it when this
/// process ends, however it ends.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(LOCK);
    // A folder may come from anyone: through a link or a second name, another file would be written.
    if let Ok(found) = fs::symlink_metadata(&path)
        && !(found.is_file() && (cfg!(not(unix)) || has_one_name(&found)))
    {
        let message =
            "no file of its own; expected a regular file with this name alone, or nothing";
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
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who holds it is good to know, but may be unreadable.
            let _ = (&file).take(20).read_to_string(&mut text);
            let owner = match text.trim().parse::<u32>() {
                Ok(id) => format!("process {id}"),
                Err(_) => "another process".into(),
            };
            let message = format!(
                "{owner} writes its checkpoints there; wait until it ends, or take another folder"
            );
            let source = io::Error::new(io::ErrorKind::WouldBlock, message);
            return Err(failed("use", dir, source));
        }
        Err(TryLockError::Error(e)) => return Err(failed("lock", &path, e)),
    }
    // For that message alone; as wide as any, so that it covers what was there.
    let _ = file.write_all(format!("{:<20}", std::process::id()).as_bytes());
    Ok(file)
}

/// Whether an open file is the one at a path, as far as the system tells.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let place = |found: io::Result<fs::Metadata>| found.map(|m| (m.dev(), m.ino())).ok();
        place(file.metadata()) == place(fs::symlink_metadata(path))
    }
    #[cfg(not(unix))]
    {
        // A file that is open and locked cannot be removed there.
        let _ = (file, path);
        true
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io {
        action,
        path: path.into(),
        source,
    }
}
