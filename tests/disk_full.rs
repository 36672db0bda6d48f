//! Disks that fill up, fail, or lose power: whatever goes wrong with a save, at whatever byte or step,
//! is reported, and a whole checkpoint can be loaded afterwards.
//!
//! Most of it runs on a disk in memory that fails where it is told to. One test fills a real one.
#![cfg(feature = "safetensors")]

mod runs;
mod skip;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use runs::after;
use skip::skipped;
use spikegrad::{
    Checkpoint, CheckpointDir, Error,
    checkpoint::{
        Found,
        disk::{Disk, Durable},
    },
};
use tempfile::{TempDir, tempdir};

/// A disk in memory: what a process sees of it, and what would be left after a power cut.
#[derive(Clone, Default)]
struct State {
    files: Vec<File>,
    /// Names as the process sees them.
    names: BTreeMap<OsString, usize>,
    /// Names on the disk, when the folder was last synced.
    synced: BTreeMap<OsString, usize>,
    /// What was done to the names since, in this order.
    journal: Vec<BTreeMap<OsString, usize>>,
    /// Steps made so far.
    steps: usize,
    /// Bytes written so far.
    bytes: usize,
    /// Files read so far.
    reads: usize,
}

#[derive(Clone, Default)]
struct File {
    content: Vec<u8>,
    /// Whether the content is on the disk.
    synced: bool,
}

/// What goes wrong.
#[derive(Clone, Copy, Default)]
struct Fault {
    /// No more bytes than these can be written: the disk is full.
    full_after: Option<usize>,
    /// The step of this number fails, and has no effect.
    step: Option<usize>,
    /// From this step on nothing works any more.
    dead_from: Option<usize>,
    /// There are no hard links on this file system.
    no_links: bool,
    /// The first reads, so many, find a file that is being written over.
    torn_reads: usize,
}

struct Memory {
    state: Mutex<State>,
    fault: Fault,
}

impl Memory {
    fn new(state: State, fault: Fault) -> Arc<Memory> {
        let state = Mutex::new(State {
            steps: 0,
            bytes: 0,
            reads: 0,
            ..state
        });
        Arc::new(Memory { state, fault })
    }

    fn state(&self) -> State {
        self.state.lock().unwrap().clone()
    }

    /// Counts a step, and fails it if it is to fail.
    fn step(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock().unwrap();
        state.steps += 1;
        let step = state.steps;
        let fails = self.fault.step == Some(step);
        if fails || self.fault.dead_from.is_some_and(|dead| step >= dead) {
            return Err(io::Error::other(format!(
                "input/output error at step {step}"
            )));
        }
        Ok(state)
    }
}

impl State {
    fn renamed(&mut self) {
        let names = self.names.clone();
        self.journal.push(names);
    }
}

fn name(path: &Path) -> OsString {
    path.file_name().expect("a name").into()
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for Memory {
    fn create(&self, path: &Path, content: &[u8]) -> io::Result<Durable> {
        let mut state = self.step()?;
        if state.names.contains_key(&name(path)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let room = self
            .fault
            .full_after
            .map_or(usize::MAX, |n| n - state.bytes);
        let file = state.files.len();
        state.files.push(File {
            content: content[..room.min(content.len())].to_vec(),
            synced: false,
        });
        state.bytes += room.min(content.len());
        state.names.insert(name(path), file);
        state.renamed();
        drop(state);
        if room < content.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut state = self.step()?; // the sync
        state.files[file].synced = true;
        Ok(Durable::Yes)
    }

    fn overwrite(&self, path: &Path, content: &[u8]) -> io::Result<Durable> {
        let mut state = self.step()?;
        let file = *state.names.get(&name(path)).ok_or_else(missing)?;
        if state.names.values().filter(|other| **other == file).count() > 1 {
            drop(state);
            self.remove(path)?;
            return self.create(path, content);
        }
        let room = self
            .fault
            .full_after
            .map_or(usize::MAX, |n| n - state.bytes);
        let written = room.min(content.len());
        let over = &mut state.files[file];
        over.synced = false;
        let common = written.min(over.content.len());
        over.content[..common].copy_from_slice(&content[..common]);
        over.content.extend_from_slice(&content[common..written]);
        state.bytes += written;
        drop(state);
        if written < content.len() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut state = self.step()?; // the sync
        state.files[file].content.truncate(content.len());
        state.files[file].synced = true;
        Ok(Durable::Yes)
    }

    fn hard_link(&self, path: &Path, second: &Path) -> io::Result<()> {
        if self.fault.no_links {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut state = self.step()?;
        let file = *state.names.get(&name(path)).ok_or_else(missing)?;
        if state.names.contains_key(&name(second)) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.names.insert(name(second), file);
        state.renamed();
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        let file = *state.names.get(&name(from)).ok_or_else(missing)?;
        // As POSIX has it: where both are names of one file, nothing happens.
        if state.names.get(&name(to)) != Some(&file) {
            state.names.remove(&name(from));
            state.names.insert(name(to), file);
            state.renamed();
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.step()?;
        state.names.remove(&name(path)).ok_or_else(missing)?;
        state.renamed();
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<Durable> {
        let mut state = self.step()?;
        state.synced = state.names.clone();
        state.journal.clear();
        Ok(Durable::Yes)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut state = self.state.lock().unwrap();
        let file = *state.names.get(&name(path)).ok_or_else(missing)?;
        let mut content = state.files[file].content.clone();
        state.reads += 1;
        if state.reads <= self.fault.torn_reads {
            let half = content.len() / 2;
            content[half..].fill(0);
        }
        Ok(content)
    }
}

/// A folder on a disk in memory; its lock is a real one.
struct Folder {
    lock: TempDir,
}

impl Folder {
    fn new() -> Self {
        let lock = tempdir().expect("a temporary folder");
        Folder { lock }
    }

    fn open(&self, disk: &Arc<Memory>) -> spikegrad::Result<CheckpointDir> {
        let disk: Arc<dyn Disk> = disk.clone();
        CheckpointDir::open_on(self.lock.path(), disk)
    }

    /// The disk after these checkpoints were saved.
    fn saved(&self, checkpoints: &[Checkpoint], fault: Fault) -> State {
        let disk = Memory::new(State::default(), fault);
        let mut folder = self.open(&disk).expect("a folder");
        for checkpoint in checkpoints {
            folder.save(checkpoint).expect("it is written");
        }
        disk.state()
    }

    /// Which checkpoint a new process finds on a disk, by the number of its batches.
    fn found(&self, state: State, no_links: bool) -> Option<usize> {
        let fault = Fault {
            no_links,
            ..Fault::default()
        };
        let disk = Memory::new(state, fault);
        let mut folder = self.open(&disk).expect("a folder");
        let found = folder.load().expect("a whole one")?;
        // And it goes on from there: two more saves leave a folder in order.
        for batches in [5, 6] {
            folder.save(&after(batches)).expect("it is written");
            let found = folder.load().expect("whole").expect("one");
            assert_eq!(
                (found.checkpoint.history.batches.len(), found.warning),
                (batches, None)
            );
        }
        drop(folder);
        let names: Vec<OsString> = disk.state().names.into_keys().collect();
        assert_eq!(
            names,
            ["checkpoint.previous.safetensors", "checkpoint.safetensors"]
        );
        Some(found.checkpoint.history.batches.len())
    }
}

/// How many batches the checkpoint that was found holds.
fn batches(found: Option<Found>) -> usize {
    let checkpoint = found.expect("a whole one").checkpoint;
    checkpoint.history.batches.len()
}

/// One and two checkpoints are there before the save that goes wrong, with and without hard links.
fn cases() -> Vec<(Vec<Checkpoint>, bool)> {
    let (one, two) = (vec![after(1)], vec![after(1), after(2)]);
    vec![
        (one.clone(), false),
        (two.clone(), false),
        (one, true),
        (two, true),
    ]
}

#[test]
fn a_disk_that_is_full_at_any_byte() {
    let folder = Folder::new();
    let next = after(3);
    let length = next.to_bytes().unwrap().len();
    for (before, no_links) in cases() {
        let fault = Fault {
            no_links,
            ..Fault::default()
        };
        let state = folder.saved(&before, fault);
        let opening = {
            let disk = Memory::new(state.clone(), fault);
            drop(folder.open(&disk).unwrap());
            disk.state().bytes
        };
        assert!(opening > 0, "opening writes, to find out whether it can");
        for full_after in 0..opening + length {
            let fault = Fault {
                full_after: Some(full_after),
                ..fault
            };
            let disk = Memory::new(state.clone(), fault);
            let error = match folder.open(&disk) {
                Ok(mut saving) => {
                    assert!(full_after >= opening);
                    saving.save(&next).unwrap_err()
                }
                Err(error) => error,
            };
            let full = matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull);
            assert!(full, "{error}");
            let file = match full_after < opening {
                true => "checkpoint.",
                false => "checkpoint.safetensors",
            };
            assert!(error.to_string().contains(file), "{error}");
            // The half file is gone, since it takes room; what was there is there.
            assert_eq!(
                disk.state().names,
                state.names,
                "full after {full_after} bytes"
            );
        }
        assert_eq!(folder.found(state, no_links), Some(before.len()));
    }
}

/// Each step of a save (write, sync, link, renames, sync of the folder) fails once, or for good.
#[test]
fn any_step_that_fails() {
    let folder = Folder::new();
    let next = after(3);
    for (before, no_links) in cases() {
        let links = Fault {
            no_links,
            ..Fault::default()
        };
        let state = folder.saved(&before, links);
        let disk = Memory::new(state.clone(), links);
        let mut saving = folder.open(&disk).unwrap();
        saving.save(&next).unwrap();
        let steps = disk.state().steps;
        drop(saving);
        assert!(steps >= 7, "{steps}");
        let opening = {
            let disk = Memory::new(state.clone(), links);
            drop(folder.open(&disk).unwrap());
            disk.state().steps
        };
        for step in opening + 1..=steps {
            for dead in [false, true] {
                let fault = match dead {
                    false => Fault {
                        step: Some(step),
                        ..links
                    },
                    true => Fault {
                        dead_from: Some(step),
                        ..links
                    },
                };
                let disk = Memory::new(state.clone(), fault);
                let mut saving = folder.open(&disk).unwrap();
                let result = saving.save(&next);
                let found = |disk: &Memory| folder_found(&folder, disk, no_links);
                if let Ok(()) = result {
                    // A link that fails is made up for by a rename.
                    assert!(!dead && !no_links, "step {step}");
                    assert_eq!(batches(saving.load().unwrap()), 3);
                    drop(saving);
                    assert_eq!(found(&disk), Some(3));
                    continue;
                }
                // The old one or the new one, and what this process loads is the same.
                let loaded = batches(saving.load().unwrap());
                assert!([before.len(), 3].contains(&loaded), "step {step}: {loaded}");
                if !dead {
                    // The process goes on, and tries again.
                    saving.save(&after(4)).unwrap();
                    assert_eq!(batches(saving.load().unwrap()), 4);
                    drop(saving);
                    assert_eq!(found(&disk), Some(4));
                } else {
                    drop(saving);
                    assert_eq!(found(&disk), Some(loaded));
                }
            }
        }
    }
}

fn folder_found(folder: &Folder, disk: &Memory, no_links: bool) -> Option<usize> {
    folder.found(disk.state(), no_links)
}

/// All that may be left on a disk: names up to any point, and of what was not synced nothing, the
/// half, garbage or all.
fn after_power_cut(cut: &State) -> Vec<(usize, State)> {
    let mut all = Vec::new();
    for names in [&cut.synced].into_iter().chain(&cut.journal) {
        for lost in [0, 1, 2, 3] {
            let mut left = cut.clone();
            left.names = names.clone();
            left.synced = names.clone();
            left.journal.clear();
            for file in left.files.iter_mut().filter(|file| !file.synced) {
                let half = file.content.len() / 2;
                match lost {
                    0 => file.content.clear(),
                    1 => file.content.truncate(half),
                    2 => file.content[half..].fill(0),
                    _ => {}
                }
            }
            all.push((lost, left));
        }
    }
    all
}

/// A process that goes on saving writes over the file that it no longer needs. Whatever stops it then,
/// a full disk, a failure or a power cut, at whatever step: both checkpoints from before are there, or
/// the new one and the one before it.
#[test]
fn a_save_over_a_spare_file() {
    let folder = Folder::new();
    let steps = |count: usize| {
        let disk = Memory::new(State::default(), Fault::default());
        let mut saving = folder.open(&disk).unwrap();
        for batches in 1..=count {
            saving.save(&after(batches)).unwrap();
        }
        let state = disk.state();
        (state.steps, state.bytes)
    };
    let ((before, bytes_before), (total, bytes)) = (steps(4), steps(5));
    let run = |fault: Fault| {
        let disk = Memory::new(State::default(), fault);
        let mut saving = folder.open(&disk).unwrap();
        for batches in 1..=4 {
            saving.save(&after(batches)).unwrap();
        }
        let spare = disk.state().names.len() == 3;
        assert!(spare, "nothing to write over");
        let result = saving.save(&after(5));
        (disk, saving, result)
    };
    for full_after in (bytes_before..bytes).step_by(97) {
        let (disk, mut saving, result) = run(Fault {
            full_after: Some(full_after),
            ..Fault::default()
        });
        assert!(result.is_err(), "{full_after}");
        assert_eq!(batches(saving.load().unwrap()), 4);
        drop(saving);
        assert_eq!(folder.found(disk.state(), false), Some(4));
    }
    for step in before + 1..=total {
        let (_disk, mut saving, result) = run(Fault {
            step: Some(step),
            ..Fault::default()
        });
        let loaded = batches(saving.load().unwrap());
        assert!(
            loaded == 5 || (loaded == 4 && result.is_err()),
            "{step}: {loaded}"
        );
        saving.save(&after(6)).unwrap();
        saving.save(&after(7)).unwrap();
        assert_eq!(batches(saving.load().unwrap()), 7);
    }
    for dead_from in before + 1..=total + 1 {
        let (disk, saving, result) = run(Fault {
            dead_from: Some(dead_from),
            ..Fault::default()
        });
        drop(saving);
        assert_eq!(result.is_ok(), dead_from > total);
        // The process alone is gone: there are still two of them, should the current one be damaged.
        let disk = Memory::new(disk.state(), Fault::default());
        drop(folder.open(&disk).unwrap());
        let mut left = disk.state();
        let current = left.names[OsStr::new("checkpoint.safetensors")];
        left.files[current].content.truncate(100);
        let previous = folder.found(left, false).expect("the one before");
        assert!([3, 4].contains(&previous), "{dead_from}: {previous}");
        for (lost, left) in after_power_cut(&disk.state()) {
            let found = folder.found(left, false).expect("one");
            let expected = if result.is_ok() { 5..=5 } else { 4..=5 };
            assert!(
                expected.contains(&found),
                "{dead_from}, lost {lost}: {found}"
            );
        }
    }
}

/// The power goes at any step: what was not synced is lost, in part or whole. Names that were changed
/// since the folder was synced are on the disk up to any point; a file that was not synced is empty,
/// half there, garbage or whole. A whole checkpoint is found, and not one older than the last that was
/// saved.
#[test]
fn a_power_cut_at_any_step() {
    let folder = Folder::new();
    let next = after(3);
    let mut states = 0;
    for (before, no_links) in cases() {
        let links = Fault {
            no_links,
            ..Fault::default()
        };
        let state = folder.saved(&before, links);
        let disk = Memory::new(state.clone(), links);
        let mut saving = folder.open(&disk).unwrap();
        saving.save(&next).unwrap();
        let steps = disk.state().steps;
        drop(saving);
        for dead_from in 1..=steps + 1 {
            let fault = Fault {
                dead_from: Some(dead_from),
                ..links
            };
            let disk = Memory::new(state.clone(), fault);
            if let Ok(mut saving) = folder.open(&disk) {
                let result = saving.save(&next);
                assert_eq!(result.is_ok(), dead_from > steps, "{dead_from} of {steps}");
            }
            for (lost, left) in after_power_cut(&disk.state()) {
                let found = folder.found(left, no_links).expect("one");
                let expected = [before.len(), 3];
                assert!(
                    expected.contains(&found),
                    "cut at {dead_from}, lost {lost}: {found}"
                );
                if dead_from > steps {
                    assert_eq!(found, 3, "it was saved");
                }
                states += 1;
            }
        }
    }
    assert!(states > 100, "{states}");
}

/// Without the lock, a file may be written over while it is read: it is read again, and one that is
/// damaged is still found to be.
#[test]
fn a_look_at_a_run_that_goes_on() {
    let folder = Folder::new();
    let state = folder.saved(&[after(1), after(2)], Fault::default());
    for (torn_reads, expected) in [(0, Some(2)), (1, Some(2)), (2, Some(2)), (6, None)] {
        let fault = Fault {
            torn_reads,
            ..Fault::default()
        };
        let found = Checkpoint::load_on(folder.lock.path(), Memory::new(state.clone(), fault));
        match expected {
            Some(expected) => {
                let found = found.unwrap().expect("one");
                assert_eq!(found.warning, None);
                assert_eq!(found.checkpoint.history.batches.len(), expected);
            }
            None => assert!(found.is_err()),
        }
    }
}

/// In the background: the error comes with the next save, or at the end.
#[test]
fn an_error_in_the_background_is_reported() {
    let folder = Folder::new();
    let state = folder.saved(&[after(1)], Fault::default());
    let fault = Fault {
        full_after: Some(100),
        ..Fault::default()
    };
    let disk = Memory::new(state.clone(), fault);
    let mut saving = folder.open(&disk).unwrap();
    saving.save_in_background(after(2)).unwrap();
    assert!(matches!(saving.wait(), Err(Error::Io { .. })));
    saving.wait().expect("once");
    saving.save_in_background(after(2)).unwrap();
    assert!(matches!(
        saving.save_in_background(after(3)),
        Err(Error::Io { .. })
    ));
    saving.save_in_background(after(2)).unwrap();
    assert!(matches!(saving.save(&after(3)), Err(Error::Io { .. })));
    assert_eq!(batches(saving.load().unwrap()), 1);
}

/// A real disk of 256 kB that fills up, on which a run trains until it is told so.
#[test]
#[cfg(target_os = "linux")]
fn a_small_disk_that_fills_up() {
    use std::process::Command;
    const DIR: &str = "SPIKEGRAD_TEST_SMALL_DISK";
    if let Some(dir) = std::env::var_os(DIR) {
        return train_until_full(Path::new(&dir));
    }
    let dir = tempdir().expect("a temporary folder");
    // A mount of its own, which only this child sees, and which is gone with it.
    let script = "mount -t tmpfs -o size=256k tmpfs \"$0\" && exec \"$@\"";
    for options in ["-m", "-Urm"] {
        let mounted = Command::new("unshare")
            .args([
                options,
                "sh",
                "-c",
                "mount -t tmpfs -o size=256k tmpfs \"$0\"",
            ])
            .arg(dir.path())
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            continue;
        }
        let child = Command::new("unshare")
            .args([options, "sh", "-c", script])
            .arg(dir.path())
            .arg(std::env::current_exe().expect("this test"))
            .args(["--exact", "a_small_disk_that_fills_up", "--nocapture"])
            .env(DIR, dir.path())
            .output()
            .expect("as before");
        let text = String::from_utf8_lossy(&child.stderr);
        assert!(
            child.status.success() && text.contains("the disk was full"),
            "{text}"
        );
        return;
    }
    skipped("this user may not mount a small disk (unshare)");
}

#[cfg(target_os = "linux")]
fn train_until_full(dir: &Path) {
    use spikegrad::{Adam, Device, Leaky, Loss, Network};
    let network: Network = Network::builder(6)
        .layer(800, Leaky::new(0.9).threshold(0.3))
        .layer(2, Leaky::new(0.8))
        .build()
        .unwrap();
    let mut engine = Device::Cpu
        .engine(network, Loss::CrossEntropyMembrane, Adam::new(0.01))
        .unwrap();
    let (data, trainer) = (runs::data(), runs::trainer());
    let mut folder = CheckpointDir::open(dir).unwrap();
    let mut states = Vec::new();
    let mut failure = None;
    let history = trainer.fit(&mut *engine, &data, None, |engine, event| {
        let checkpoint = Checkpoint::new(engine, &trainer, event.history()).unwrap();
        states.push(checkpoint.clone());
        Ok(match folder.save(&checkpoint) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        })
    });
    let history = history.unwrap();
    let error = failure.expect("three checkpoints of 90 kB do not fit");
    assert!(
        matches!(&error, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull),
        "{error}"
    );
    assert_eq!(history.batches.len(), 3, "the third");
    let found = folder.load().unwrap().expect("the last good one");
    assert_eq!(found.warning, None);
    assert_eq!(found.checkpoint.network, states[1].network);
    drop(folder);
    let found = Checkpoint::load(dir).unwrap().expect("the last good one");
    assert_eq!(found.checkpoint.network, states[1].network);
    eprintln!("the disk was full after two checkpoints: {error}");
}
