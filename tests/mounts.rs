//! Checkpoints on mounts that leave out a call, or fail: each call that a folder makes, with the
//! errors by which a file system says that it does not offer it, and with those that are failures. A
//! library that is preloaded (`mounts/refuse.c`) stands for the mount.
#![cfg(all(
    feature = "safetensors",
    target_os = "linux",
    target_pointer_width = "64"
))]

#[cfg(all(feature = "mnist", feature = "plot"))]
mod example;
mod runs;
mod skip;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use runs::after;
use skip::skipped;
use spikegrad::{Checkpoint, CheckpointDir};
use tempfile::{TempDir, tempdir};

const EPERM: i32 = 1;
const EIO: i32 = 5;
const EBADF: i32 = 9;
const EWOULDBLOCK: i32 = 11;
const EACCES: i32 = 13;
const EXDEV: i32 = 18;
const EISDIR: i32 = 21;
const EINVAL: i32 = 22;
const EMFILE: i32 = 24;
const EFBIG: i32 = 27;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EMLINK: i32 = 31;
const ENOLCK: i32 = 37;
const ENOSYS: i32 = 38;
const EOPNOTSUPP: i32 = 95;
const ESTALE: i32 = 116;
const EDQUOT: i32 = 122;
const ENOTSUPP: i32 = 524;

/// Set for the process on the mount: its folder.
const CHILD: &str = "SPIKEGRAD_TEST_MOUNT";

/// Saves of the child: two in the foreground, two in the background.
const SAVES: usize = 4;

/// What becomes of a run where a call is refused.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// It goes on with so many warnings, all known when the folder is open.
    GoesOn { warnings: usize },
    /// The folder does not open.
    NotOpened,
    /// A save fails.
    NotSaved,
}
use Outcome::{GoesOn, NotOpened, NotSaved};

const SILENT: Outcome = GoesOn { warnings: 0 };
const WARNED: Outcome = GoesOn { warnings: 1 };

/// Each call that a folder makes, with errors, and what becomes of them.
const SWEEP: &[(&str, &[i32], Outcome)] = &[
    (
        "fsync_folder",
        &[EBADF, EINVAL, ENOSYS, EOPNOTSUPP, ENOTSUPP],
        WARNED,
    ),
    (
        "fsync_folder",
        &[EPERM, EIO, EACCES, ENOSPC, EROFS, ESTALE, EDQUOT],
        NotOpened,
    ),
    (
        "open_folder",
        &[EACCES, EISDIR, EINVAL, ENOSYS, EOPNOTSUPP, ENOTSUPP],
        WARNED,
    ),
    ("open_folder", &[EPERM, EIO, EMFILE, ESTALE], NotOpened),
    (
        "fsync_file",
        &[EINVAL, ENOSYS, EOPNOTSUPP, ENOTSUPP],
        WARNED,
    ),
    (
        "fsync_file",
        &[EPERM, EIO, EBADF, ENOSPC, EROFS, ESTALE, EDQUOT],
        NotOpened,
    ),
    (
        "flock",
        &[EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP, ENOTSUPP],
        WARNED,
    ),
    (
        "flock",
        &[EPERM, EIO, EBADF, EACCES, EWOULDBLOCK, ESTALE],
        NotOpened,
    ),
    // Without hard links, and without writing in place, nothing is lost.
    (
        "link",
        &[EPERM, EXDEV, EINVAL, EMLINK, ENOSYS, EOPNOTSUPP],
        SILENT,
    ),
    (
        "open_write",
        &[EPERM, EACCES, EINVAL, ENOSYS, EOPNOTSUPP],
        SILENT,
    ),
    (
        "ftruncate",
        &[EPERM, EACCES, EINVAL, ENOSYS, EOPNOTSUPP],
        SILENT,
    ),
    ("open_write", &[EIO, ENOSPC, EROFS, ESTALE], NotSaved),
    ("ftruncate", &[EIO, EFBIG, ESTALE], NotSaved),
    // Without these there are no checkpoints.
    (
        "create",
        &[
            EPERM, EIO, EACCES, EINVAL, ENOSPC, EROFS, ENOSYS, EOPNOTSUPP,
        ],
        NotOpened,
    ),
    (
        "write",
        &[EIO, EINVAL, EFBIG, ENOSPC, ENOSYS, EDQUOT],
        NotOpened,
    ),
    (
        "rename",
        &[EPERM, EIO, EACCES, EXDEV, EINVAL, ENOSYS, EOPNOTSUPP],
        NotOpened,
    ),
    (
        "unlink",
        &[EPERM, EIO, EACCES, EROFS, ENOSYS, EOPNOTSUPP],
        NotOpened,
    ),
];

/// The process on the mount: opens the folder, saves, loads, and says what it has seen.
#[test]
fn child() {
    let Some(dir) = env::var_os(CHILD) else {
        return;
    };
    let mut folder = match CheckpointDir::open(dir) {
        Ok(folder) => folder,
        Err(error) => return println!("@not opened: {error}"),
    };
    let opened = folder.warnings();
    for warning in &opened {
        println!("@warning: {warning}");
    }
    for batches in 1..=SAVES {
        let saved = match batches % 2 {
            0 => folder
                .save_in_background(after(batches))
                .and_then(|()| folder.wait()),
            _ => folder.save(&after(batches)),
        };
        match saved {
            Ok(()) => println!("@saved: {batches}"),
            Err(error) => println!("@not saved: {error}"),
        }
    }
    let later = folder.warnings();
    assert_eq!(later[..opened.len()], opened, "known at first");
    for warning in &later[opened.len()..] {
        println!("@later: {warning}");
    }
    let found = folder.load().expect("it is read").expect("there is one");
    println!("@loaded: {}", found.checkpoint.history.batches.len());
}

/// A folder with a checkpoint of no batches, and the library that stands for its mount.
struct Mount {
    dir: TempDir,
    library: PathBuf,
}

impl Mount {
    /// `None`, said aloud, where there is no C compiler.
    fn new() -> Option<Mount> {
        let dir = tempdir().expect("a temporary folder");
        let root = dir.path().canonicalize().expect("a path");
        let library = root.join("refuse.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mounts/refuse.c");
        let built = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .arg("-ldl")
            .output();
        match built {
            Err(e) => {
                skipped(format_args!("there is no C compiler: {e}"));
                return None;
            }
            Ok(built) => assert!(built.status.success(), "{built:?}"),
        }
        Some(Mount { dir, library })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().expect("a path").join(name)
    }

    /// Runs a program with calls refused below `folder`; returns what it says, and the calls that were
    /// refused.
    fn run(&self, command: &mut Command, refuse: &str, folder: &Path) -> (Output, Vec<String>) {
        let log = self.path("log");
        let _ = fs::remove_file(&log);
        let output = command
            .env("LD_PRELOAD", &self.library)
            .env("REFUSE", refuse)
            .env("REFUSE_BELOW", folder)
            .env("REFUSE_LOG", &log)
            .output()
            .expect("it starts");
        let log = fs::read_to_string(log).unwrap_or_default();
        (output, log.lines().map(String::from).collect())
    }

    /// What the child says on a folder that has a checkpoint of no batches, line by line. Each call of
    /// `refuse` must have been refused at least once.
    fn child(&self, refuse: &str) -> Vec<String> {
        let folder = self.path("run");
        let _ = fs::remove_dir_all(&folder);
        after(0).save(&folder).expect("an ordinary folder");
        let mut command = Command::new(env::current_exe().expect("this test"));
        command.args(["--exact", "child", "--nocapture", "--test-threads=1"]);
        command.env(CHILD, &folder);
        let (output, refused) = self.run(&mut command, refuse, &folder);
        assert!(output.status.success(), "{refuse}: {output:?}");
        for call in refuse.split(',') {
            let (call, _) = call.split_once('=').expect("CALL=ERRNO");
            assert!(
                refused.iter().any(|name| name == call),
                "{call} was never refused"
            );
        }
        let text = String::from_utf8(output.stdout).expect("text");
        // The harness writes its own words before the first line.
        let lines = text.lines().filter_map(|line| line.split_once('@'));
        lines.map(|(_, line)| line.to_string()).collect()
    }

    /// The number of batches of the checkpoint that an ordinary process finds afterwards.
    fn found(&self) -> usize {
        let found = Checkpoint::load(self.path("run")).expect("it is read");
        found
            .expect("there is one")
            .checkpoint
            .history
            .batches
            .len()
    }
}

fn starting<'a>(lines: &'a [String], start: &str) -> Vec<&'a String> {
    lines
        .iter()
        .filter(|line| line.starts_with(start))
        .collect()
}

#[test]
fn every_call_with_every_answer() {
    let Some(mount) = Mount::new() else {
        return;
    };
    let folder = mount.path("run").display().to_string();
    for (call, numbers, outcome) in SWEEP {
        for number in *numbers {
            let refuse = format!("{call}={number}");
            let lines = mount.child(&refuse);
            let answer = format!("(os error {number})");
            let label = format!("{refuse}: {lines:#?}");
            match outcome {
                GoesOn { warnings } => {
                    let told = starting(&lines, "warning: ");
                    assert_eq!(told.len(), *warnings, "{label}");
                    for line in told {
                        assert!(line.contains(&answer) && line.contains(&folder), "{label}");
                    }
                    assert_eq!(starting(&lines, "saved: ").len(), SAVES, "{label}");
                    assert_eq!(
                        lines.last().unwrap(),
                        &format!("loaded: {SAVES}"),
                        "{label}"
                    );
                    assert!(starting(&lines, "later: ").is_empty(), "{label}");
                    assert_eq!(mount.found(), SAVES, "{label}");
                }
                NotOpened => {
                    let [line] = &lines[..] else {
                        panic!("{label}");
                    };
                    assert!(line.starts_with("not opened: "), "{label}");
                    assert!(line.contains(&folder), "{label}");
                    match *number {
                        EWOULDBLOCK => assert!(line.contains("another folder"), "{label}"),
                        _ => assert!(line.contains(&answer), "{label}"),
                    }
                    // What was there is there.
                    assert_eq!(mount.found(), 0, "{label}");
                }
                NotSaved => {
                    assert!(starting(&lines, "warning: ").is_empty(), "{label}");
                    let failed = starting(&lines, "not saved: ");
                    assert!(!failed.is_empty(), "{label}");
                    for line in failed {
                        assert!(line.contains(&answer) && line.contains(&folder), "{label}");
                    }
                    // The last that was saved.
                    let saved = starting(&lines, "saved: ");
                    let last = saved.last().expect("the first one needs no spare file");
                    let last = last.replace("saved", "loaded");
                    assert_eq!(lines.last().unwrap(), &last, "{label}");
                }
            }
        }
    }
}

/// A mount that offers nothing but to write and to rename, and one that changes its answer.
#[test]
fn several_calls_at_once_and_later_ones() {
    let Some(mount) = Mount::new() else {
        return;
    };
    // A file that is there is opened for writing where links are offered.
    for last in ["link=1", "open_write=1"] {
        let lines = mount.child(&format!("fsync_folder=22,fsync_file=95,flock=38,{last}"));
        let told = starting(&lines, "warning: ");
        let lost = ["do not start one in this folder", "may damage", "may undo"];
        assert_eq!(told.len(), lost.len(), "{lines:#?}");
        for (line, lost) in told.iter().zip(lost) {
            assert!(line.contains(lost), "{line}");
        }
        assert_eq!(starting(&lines, "saved: ").len(), SAVES, "{lines:#?}");
        assert_eq!(mount.found(), SAVES);
    }

    // Opening syncs the folder once, and each save once: the second save meets the new answer.
    for (refuse, later) in [
        ("fsync_folder=22@2", "may undo"),
        ("fsync_file=95@4", "may damage"),
    ] {
        let lines = mount.child(refuse);
        assert!(starting(&lines, "warning: ").is_empty(), "{lines:#?}");
        let [line] = starting(&lines, "later: ")[..] else {
            panic!("{lines:#?}");
        };
        assert!(line.contains(later), "{line}");
        assert_eq!(starting(&lines, "saved: ").len(), SAVES, "{lines:#?}");
    }
    let lines = mount.child("fsync_folder=5@2");
    assert_eq!(
        starting(&lines, "not saved: ").len(),
        SAVES - 1,
        "{lines:#?}"
    );
    assert!(starting(&lines, "later: ").is_empty(), "{lines:#?}");
}

/// The example trains to the end on such a mount, and says each thing once.
#[test]
#[cfg(all(feature = "mnist", feature = "plot"))]
fn the_example_warns_once_and_goes_on() {
    if example::no_data() {
        return;
    }
    let Some(mount) = Mount::new() else {
        return;
    };
    let folder = mount.path("saved");
    for (refuse, warnings) in [
        ("fsync_folder=22", 1),
        ("flock=38", 1),
        ("flock=37", 1),
        ("fsync_folder=95,fsync_file=22,flock=95", 3),
    ] {
        let _ = fs::remove_dir_all(&folder);
        let mut command = example::example();
        command.args("--epochs 1 --limit 256 --batch-size 64 --hidden 16 --steps 5".split(' '));
        command.args(["--quiet", "--checkpoint-every", "1", "--checkpoint"]);
        command.arg(&folder).arg("--out").arg(mount.path("out"));
        let (output, refused) = mount.run(&mut command, refuse, &folder);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{refuse}: {text}");
        assert!(!refused.is_empty(), "{refuse}: nothing was refused");
        assert_eq!(text.lines().count(), warnings, "{refuse}: {text}");
        assert!(
            text.lines().all(|line| line.starts_with("warning: ")),
            "{text}"
        );
        let found = Checkpoint::load(&folder).unwrap().expect("there is one");
        assert_eq!(found.checkpoint.history.batches.len(), 4, "{refuse}");
    }
}
