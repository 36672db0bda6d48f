//! A folder of checkpoints: the current one and the one before it, one of them whole at every
//! instant.
//!
//! A save writes a temporary file, waits until it is on the disk, gives the current file a second
//! name, renames the temporary one over the current, and the second name to
//! `checkpoint.previous.safetensors`: a rename happens at once or not at all. Where the file system
//! has no hard links, the current file is renamed to the previous one first; between the two renames
//! the previous is the whole one.
//!
//! What a mount offers is found out when the folder is opened: a file is written, renamed over another
//! and removed. Where it does not lock, or does not sync files or folders, [`CheckpointDir::warnings`]
//! says what is lost; where it does not write, rename or remove, the folder does not open.
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
/// The one before it.
const PREVIOUS: &str = "checkpoint.previous.safetensors";
/// What is being written.
const TEMPORARY: &str = "checkpoint.safetensors.tmp";
/// The second name of the current one, on its way to `PREVIOUS`.
const LINK: &str = "checkpoint.previous.safetensors.tmp";
/// Written when the folder is opened, to see what it takes.
const PROBE: &str = "checkpoint.probe.tmp";

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
    /// Locks a folder, which is made if there is none, removes what a save that was cut short left in
    /// it, and finds out whether it takes checkpoints; see [`warnings`](Self::warnings).
    ///
    /// # Errors
    /// [`Error::Io`] naming the folder where another process (or another value in this one) has the
    /// lock, or where files cannot be written, renamed or removed in it.
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

    /// What the folder's file system does not offer, and what is lost without it: at most one line each
    /// for locks, syncs of files and syncs of folders. Empty on an ordinary local disk. All warnings
    /// are there once the folder is open, unless the file system changes its answers later.
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

    /// Makes neurons of the program's own known: [`load`](Self::load) reads checkpoints of networks
    /// that have them. A checkpoint has their names, settings and constants; the equations are the
    /// program's.
    pub fn with_neurons(mut self, known: impl IntoIterator<Item = Neurons>) -> Self {
        self.known.extend(known);
        self
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
        let known = std::mem::take(&mut self.known);
        let found = self.files().load(&known);
        self.known = known;
        found
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
        if self.lock.is_in(&self.dir) || !self.dir.is_dir() {
            return Ok(());
        }
        // Some file systems do not keep a file's number: it may be this run's own lock all the same.
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
    /// Waits for a save in the background; its error is lost, unless [`wait`](Self::wait) was called.
    fn drop(&mut self) {
        let _ = self.wait();
        let own = self.lock.is_in(&self.dir);
        let files = self.files();
        // Another run's spare file is not this one's to remove.
        if files.spare && own {
            // What is left behind is removed when the folder is next opened.
            let _ = files.clean(TEMPORARY);
        }
        self.lock.release();
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

    /// Writes a checkpoint into a folder, which is made if there is none; it is locked for so long. To
    /// learn what the folder's file system does not offer, use [`CheckpointDir::warnings`].
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

    /// The same in a folder that has just been locked: without what a save that was cut short left.
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

    /// Does once what each save will do, so that a folder that does not take checkpoints is found out
    /// now, not after the training.
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

    /// Waits until the folder's names are on the disk, where the file system offers that.
    fn sync_folder(&self) -> Result<()> {
        let synced = self.disk.sync_folder(&self.dir);
        self.told(Missing::FolderSync, synced)
            .map_err(|e| failed("write", &self.dir, e))
    }

    /// Makes a warning of a sync that is not offered.
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

    /// A checkpoint by the name of its file; `None` where there is no such file.
    fn read(&self, name: &str, known: &[Neurons]) -> std::result::Result<Option<Checkpoint>, Flaw> {
        let path = self.dir.join(name);
        match self.disk.read(&path) {
            Ok(bytes) => decode::decode(&bytes, &path, known).map(Some),
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
        let replaced = self
            .told(Missing::FileSync, written)
            .map_err(|e| failed("write", &temporary, e))
            .and_then(|()| self.replace(&temporary));
        if replaced.is_err() {
            // It takes room on a disk that may be full. The first error is the one to report.
            let _ = self.disk.remove(&temporary);
        }
        let spare = replaced?;
        self.sync_folder()?;
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
            None => matches!(self.read(CURRENT, &[]), Ok(Some(_)) | Err(Flaw::Foreign(_))),
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
