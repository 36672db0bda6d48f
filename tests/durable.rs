//! A save is on the disk when it says so: what a process asks of the system, and in what order, as
//! `strace` sees it. (That whatever is lost in a power cut between two of these steps does no harm is
//! for `disk_full`, on a disk in memory.)
#![cfg(all(feature = "safetensors", target_os = "linux"))]

mod runs;
mod skip;

use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

use runs::after;
use skip::skipped;
use spikegrad::CheckpointDir;
use tempfile::tempdir;

/// Set for the process that is watched: where it saves.
const CHILD: &str = "SPIKEGRAD_TEST_DURABLE";
const SAVES: usize = 4;

#[test]
fn child() {
    let Some(dir) = env::var_os(CHILD) else {
        return;
    };
    let mut folder = CheckpointDir::open(dir).unwrap();
    for batches in 1..=SAVES {
        folder.save(&after(batches)).unwrap();
        // A mark in the trace.
        let _ = fs::rename("/no/such/file", format!("/saved/{batches}"));
    }
}

#[test]
fn content_and_names_are_on_the_disk_before_a_save_returns() {
    let scratch = tempdir().unwrap();
    let scratch = scratch.path().canonicalize().unwrap();
    let (trace, dir) = (scratch.join("trace"), scratch.join("runs/saved"));
    let calls = "trace=write,pwrite64,writev,ftruncate,fsync,fdatasync,mkdir,mkdirat,rename,\
                 renameat,renameat2,link,linkat";
    let child = Command::new("strace")
        .args(["-f", "-y", "-s", "0", "-e", calls, "-o"])
        .arg(&trace)
        .arg(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, &dir)
        .output();
    match child {
        Err(e) => return skipped(format_args!("there is no strace: {e}")),
        Ok(child) if String::from_utf8_lossy(&child.stderr).contains("ptrace") => {
            return skipped(format_args!("this process may not be traced: {child:?}"));
        }
        Ok(child) => assert!(child.status.success(), "{child:?}"),
    }
    let trace = fs::read_to_string(trace).unwrap();
    let saves = check(&trace, &dir);
    assert_eq!(saves, SAVES, "{trace}");
    // The test can fail: without the waits the same trace does not pass.
    for gone in ["fsync(", "fdatasync("] {
        if trace.contains(gone) {
            let careless: String = trace
                .lines()
                .filter(|l| !l.contains(gone))
                .map(|l| format!("{l}\n"))
                .collect();
            let caught = std::panic::catch_unwind(|| check(&careless, &dir));
            assert!(caught.is_err(), "not missed: {gone}");
        }
    }
}

/// Goes through a trace; returns how many saves there were.
fn check(trace: &str, dir: &Path) -> usize {
    let dir = dir.display().to_string();
    let current = format!("{dir}/checkpoint.safetensors\"");
    // Files with content, and folders with names, that are not on the disk yet.
    let (mut content, mut names) = (BTreeSet::new(), BTreeSet::new());
    let parent = |path: &str| {
        path.rsplit_once('/')
            .map_or(String::new(), |(dir, _)| dir.into())
    };
    let (mut saves, mut replaced) = (0, 0);
    for line in trace.lines() {
        let Some((call, rest)) = line
            .split_once(' ')
            .and_then(|(_, line)| line.trim().split_once('('))
        else {
            continue;
        };
        // `fsync(5</path>)`, `rename("/a", "/b")`.
        let file = rest
            .split_once('<')
            .and_then(|(_, rest)| rest.split_once('>'));
        let file = file.map_or("", |(file, _)| file).to_string();
        let quoted: Vec<&str> = rest.split('"').skip(1).step_by(2).collect();
        let done = line.contains(" = ") && !line.contains(" = -1");
        match call {
            "rename" | "renameat" | "renameat2" if rest.contains("\"/saved/") => {
                assert!(
                    names.is_empty(),
                    "a save returned, and not on the disk: names in {names:?}"
                );
                assert!(
                    content.is_empty(),
                    "a save returned, and not on the disk: {content:?}"
                );
                saves += 1;
                assert_eq!(saves, replaced, "a save that replaced nothing");
            }
            _ if !done => {}
            // The lock holds nothing that anybody needs.
            "write" | "pwrite64" | "writev" | "ftruncate"
                if file.starts_with(&dir) && !file.ends_with(".lock") =>
            {
                assert!(
                    names.is_empty(),
                    "{file} is written over before names in {names:?} are on the disk"
                );
                content.insert(file);
            }
            "fsync" | "fdatasync" => {
                content.remove(&file);
                names.remove(&file);
            }
            "mkdir" | "mkdirat" if quoted.iter().any(|path| dir.starts_with(path)) => {
                names.insert(parent(quoted[0]));
            }
            "rename" | "renameat" | "renameat2" | "link" | "linkat" => {
                if rest.contains(&current)
                    && quoted.last().is_some_and(|to| current.starts_with(to))
                {
                    assert!(
                        !content.contains(quoted[0]),
                        "{} is not on the disk yet",
                        quoted[0]
                    );
                    replaced += 1;
                }
                names.insert(dir.clone());
            }
            _ => {}
        }
    }
    saves
}
