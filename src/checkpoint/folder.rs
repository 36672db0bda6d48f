//! A folder of checkpoints: the current and the previous one. At least one of them is whole at
//! every instant.
//!
//! A save writes a temporary file, flushes it to disk, gives the current file a second name,
//! renames the temporary file over the current one, and renames the second name to
//! `checkpoint.previous.safetensors`. A rename is atomic. Without hard links, the current file is
//! renamed to the previous one first; between the two renames the previous file is whole.
//!
//! Opening a folder tests the mount: it writes a file, renames it over another and removes it. If
//! the mount does not lock, or does not sync files or folders, [`CheckpointDir::warnings`] lists
//! what is lost. If it does not write, rename or remove, the folder does not open.
//!
//! The old previous file becomes the temporary file of the next save. Overwriting it takes a third
//! of the time of a new file, which needs new blocks while those of another are freed.

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
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    thread::{self, JoinHandle},
};

use super::{
    Checkpoint,
    decode::{self, Flaw},
    disk::{Disk, Durable, Os},
    encode,
    lock::Lock,
    mount::{Missing, Warnings},
};
use crate::{Error, Result, files::failed, neuron::Neurons};

/// The checkpoint.
const CURRENT: &str = "checkpoint.safetensors";
/// The previous checkpoint.
const PREVIOUS: &str = "checkpoint.previous.safetensors";
/// The temporary file.
const TEMPORARY: &str = "checkpoint.safetensors.tmp";
/// The second name of the current file, before it becomes `PREVIOUS`.
const LINK: &str = "checkpoint.previous.safetensors.tmp";
/// Test file, written when the folder is opened.
const PROBE: &str = "checkpoint.probe.tmp";

/// The system's error numbers for a disk read failure: `EIO`, `ERROR_CRC`.
const UNREADABLE: i32 = if cfg!(windows) { 23 } else { 5 };

/// A checkpoint found in a folder.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Found {
    /// The last whole checkpoint.
    pub checkpoint: Checkpoint,
    /// If this is the previous checkpoint, a line for the user that says what is wrong with the
    /// current file.
    pub warning: Option<String>,
}

/// A folder for the checkpoints of one run, locked by this process while this value lives (a killed
/// process leaves no lock behind). See [the module](super) for an example.
pub struct CheckpointDir {
    /// `None` while a save is running.
    files: Option<Files>,
    in_flight: Option<JoinHandle<(Files, Result<()>)>>,
    dir: PathBuf,
    disk: Arc<dyn Disk>,
    lock: Lock,
    warnings: Warnings,
    known: Vec<Neurons>,
}

impl fmt::Debug for CheckpointDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointDir")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl CheckpointDir {
    /// Creates the folder if necessary, locks it, removes leftovers of an interrupted save, and
    /// tests whether it can hold checkpoints; see [`warnings`](Self::warnings).
    ///
    /// # Errors
    /// [`Error::Io`] naming the folder if another process (or another value in this process) holds
    /// the lock, or if files cannot be written, renamed or removed in it.
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
        let warnings = Warnings::default();
        let lock = Lock::take(dir, &warnings)?;
        Ok(CheckpointDir {
            files: Some(Files::begin(dir, &disk, &warnings)?),
            in_flight: None,
            dir: dir.into(),
            disk,
            lock,
            warnings,
            known: Vec::new(),
        })
    }

    /// The features that the folder's file system lacks, and the consequences: at most one line
    /// each for locks, syncs of files and syncs of folders. Empty on an ordinary local disk. The
    /// list is complete once the folder is open, unless the file system changes its behavior later.
    ///
    /// ```
    /// # let dir = tempfile::tempdir().expect("a folder");
    /// let folder = spikegrad::CheckpointDir::open(dir.path())?;
    /// for warning in folder.warnings() {
    ///     eprintln!("warning: {warning}");
    /// }
    /// # Ok::<(), spikegrad::Error>(())
    /// ```
    pub fn warnings(&self) -> Vec<String> {
        self.warnings.lines()
    }

    /// Registers custom neurons, so that [`load`](Self::load) can read checkpoints of networks that
    /// contain them. A checkpoint stores their names, settings and constants; the program supplies
    /// the equations.
    pub fn with_neurons(mut self, known: impl IntoIterator<Item = Neurons>) -> Self {
        self.known.extend(known);
        self
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// The last whole checkpoint in the folder: the current one or, if it is damaged or missing,
    /// the previous one with a warning; `None` if there is neither.
    ///
    /// # Errors
    /// [`Error::Format`] if all checkpoints are damaged, or the current one has a later version of
    /// the format (the previous one is not used then); [`Error::Io`] if the files cannot be read,
    /// or the folder now belongs to another run (see [`save`](Self::save)); and any error of a
    /// background save.
    pub fn load(&mut self) -> Result<Option<Found>> {
        self.wait()?;
        self.keep_lock()?;
        let known = std::mem::take(&mut self.known);
        let found = self.files().load(&known);
        self.known = known;
        found
    }

    /// Writes a checkpoint and waits until it is on disk.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written; the last checkpoint is then whole and in place.
    /// [`Error::NonFinite`] and others as [`Checkpoint::to_bytes`]. The error of an earlier
    /// background save is returned too, after this save was attempted. [`Error::Io`] as in
    /// [`open`](Self::open) if the folder was removed and recreated by another process that writes
    /// there.
    pub fn save(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let earlier = self.wait();
        self.keep_lock()?;
        self.files().save(checkpoint)?;
        earlier
    }

    /// Writes a checkpoint on a separate thread and returns at once, or, if another save is
    /// running, when that one is on disk. Call [`wait`](Self::wait) at the end.
    ///
    /// # Errors
    /// The error of the previous save, as [`save`](Self::save); the new save is then not started.
    pub fn save_in_background(&mut self, checkpoint: Checkpoint) -> Result<()> {
        self.wait()?;
        self.keep_lock()?;
        let (dir, disk, warnings) = (&self.dir, &self.disk, &self.warnings);
        let mut files = (self.files.take()).unwrap_or_else(|| Files::new(dir, disk, warnings));
        let builder = thread::Builder::new().name("checkpoint".into());
        let spawned = builder.spawn(move || {
            let result = files.save(&checkpoint);
            (files, result)
        });
        let handle = spawned.map_err(|e| failed("start a thread to write into", &self.dir, e))?;
        self.in_flight = Some(handle);
        Ok(())
    }

    /// Waits for the background save, if there is one.
    ///
    /// # Errors
    /// The error of that save, as [`save`](Self::save).
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

    /// Locks again if the lock file is no longer the one in the folder. If the folder is gone, the
    /// save reports it.
    fn keep_lock(&mut self) -> Result<()> {
        if self.lock.is_in(&self.dir) || !self.dir.is_dir() {
            return Ok(());
        }
        // Some file systems do not keep inode numbers, so this may still be this run's own lock.
        self.lock.release();
        self.lock = Lock::take(&self.dir, &self.warnings)?;
        self.files = Some(Files::begin(&self.dir, &self.disk, &self.warnings)?);
        Ok(())
    }

    fn files(&mut self) -> &mut Files {
        let (dir, disk, warnings) = (&self.dir, &self.disk, &self.warnings);
        (self.files).get_or_insert_with(|| Files::new(dir, disk, warnings))
    }
}

impl Drop for CheckpointDir {
    /// Waits for the background save. Its error is lost unless [`wait`](Self::wait) was called.
    fn drop(&mut self) {
        let _ = self.wait();
        let own = self.lock.is_in(&self.dir);
        let files = self.files();
        // Do not remove the spare file of another run.
        if files.spare && own {
            // Leftovers are removed when the folder is next opened.
            let _ = files.clean(TEMPORARY);
        }
        self.lock.release();
    }
}

impl Checkpoint {
    /// Loads the last whole checkpoint in a folder like [`CheckpointDir::load`], but without a
    /// lock, so that you can inspect a run while it continues. A file that seems damaged is read
    /// again, since it may have been replaced in the meantime.
    ///
    /// # Errors
    /// As [`CheckpointDir::load`].
    pub fn load(dir: impl AsRef<Path>) -> Result<Option<Found>> {
        Self::load_on(dir.as_ref(), Arc::new(Os))
    }

    /// The same on another file system.
    #[doc(hidden)]
    pub fn load_on(dir: &Path, disk: Arc<dyn Disk>) -> Result<Option<Found>> {
        let mut files = Files::new(dir, &disk, &Warnings::default());
        let mut found = files.load(&[]);
        for _ in 0..2 {
            if let Ok(None | Some(Found { warning: None, .. })) = found {
                break;
            }
            found = files.load(&[]);
        }
        found
    }

    /// Writes a checkpoint to a folder, which is created if necessary and locked during the write.
    /// [`CheckpointDir::warnings`] lists the features that the file system lacks.
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
    /// Whether the current file is a whole checkpoint; unknown at first.
    current: Option<bool>,
    /// The bytes written last, kept to reuse their memory.
    bytes: Vec<u8>,
    /// Whether the temporary file is the spare file of the last completed save.
    spare: bool,
    warnings: Warnings,
}

impl Files {
    fn new(dir: &Path, disk: &Arc<dyn Disk>, warnings: &Warnings) -> Self {
        Files {
            dir: dir.into(),
            disk: Arc::clone(disk),
            current: None,
            bytes: Vec::new(),
            spare: false,
            warnings: warnings.clone(),
        }
    }

    /// The same in a folder that was just locked; removes leftovers of an interrupted save.
    fn begin(dir: &Path, disk: &Arc<dyn Disk>, warnings: &Warnings) -> Result<Self> {
        let files = Files::new(dir, disk, warnings);
        for name in [TEMPORARY, PROBE] {
            files.clean(name)?;
        }
        let probed = files.probe();
        if probed.is_err() {
            // The first error is the one to report.
            for name in [TEMPORARY, PROBE] {
                let _ = files.clean(name);
            }
        }
        probed?;
        files.keep_previous();
        files.clean(LINK)?;
        files.sync_folder()?;
        Ok(files)
    }

    /// Tests every step of a save, so that an unusable folder is detected now and not after the
    /// training.
    fn probe(&self) -> Result<()> {
        let [probe, temporary] = [PROBE, TEMPORARY].map(|name| self.dir.join(name));
        for path in [&probe, &temporary] {
            let written = self.disk.create(path, b"probe\n");
            self.told(Missing::FileSync, written)
                .map_err(|e| failed("create", path, e))?;
        }
        (self.disk.rename(&temporary, &probe))
            .map_err(|e| failed("rename files in", &self.dir, e))?;
        self.clean(PROBE)
    }

    /// Flushes the folder's names to disk, if the file system supports it.
    fn sync_folder(&self) -> Result<()> {
        let synced = self.disk.sync_folder(&self.dir);
        self.told(Missing::FolderSync, synced)
            .map_err(|e| failed("write", &self.dir, e))
    }

    /// Turns an unsupported sync into a warning.
    fn told(&self, missing: Missing, written: io::Result<Durable>) -> io::Result<()> {
        if let Durable::NotOffered(e) = written? {
            self.warnings.add(missing, &self.dir, &e);
        }
        Ok(())
    }

    fn load(&mut self, known: &[Neurons]) -> Result<Option<Found>> {
        let flaw = match self.read(CURRENT, known) {
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
        match (self.read(PREVIOUS, known), flaw) {
            (Ok(Some(checkpoint)), flaw) => {
                let current = dir.join(CURRENT);
                let reason = match flaw {
                    Some(error) => error.to_string(),
                    None => format!("{} is missing", current.display()),
                };
                let taken = previous.display();
                let warning = format!("{reason}; using the previous checkpoint, {taken}");
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
                    expected: "an undamaged checkpoint, or an undamaged previous one".into(),
                    found: format!("damaged, and so is the previous one ({first}; {second})"),
                })
            }
        }
    }

    /// Reads a checkpoint by file name; `None` if the file does not exist.
    fn read(&self, name: &str, known: &[Neurons]) -> std::result::Result<Option<Checkpoint>, Flaw> {
        let path = self.dir.join(name);
        match self.disk.read(&path) {
            Ok(bytes) => decode::decode(&bytes, &path, known).map(Some),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            // A disk read failure counts as damage; other errors say nothing about the file.
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
        let replaced = self
            .told(Missing::FileSync, written)
            .map_err(|e| failed("write", &temporary, e))
            .and_then(|()| self.replace(&temporary));
        if replaced.is_err() {
            // It uses space on a disk that may be full. The first error is reported.
            let _ = self.disk.remove(&temporary);
        }
        let spare = replaced?;
        self.sync_folder()?;
        self.spare = spare;
        Ok(())
    }

    /// Makes a file the current one and the current file the previous one. Returns whether the old
    /// previous file is now the temporary one.
    fn replace(&mut self, temporary: &Path) -> Result<bool> {
        let (current, previous) = (self.dir.join(CURRENT), self.dir.join(PREVIOUS));
        let link = self.dir.join(LINK);
        let whole = match self.current {
            Some(whole) => whole,
            None => matches!(self.read(CURRENT, &[]), Ok(Some(_)) | Err(Flaw::Foreign(_))),
        };
        let mut linked = false;
        // A damaged file must not replace a whole one.
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
        // If both names refer to the same file, the rename leaves both.
        self.clean(LINK)?;
        Ok(spare)
    }

    /// Completes a save that was interrupted between its last two renames: the second name becomes
    /// the previous file. An existing previous file stays, since the name must be free.
    fn keep_previous(&self) {
        let (link, previous) = (self.dir.join(LINK), self.dir.join(PREVIOUS));
        // Usually there is no such file, and the current one exists in any case.
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
