//! The example's `--checkpoint` and `--resume` as a user meets them: Ctrl-C and SIGTERM save and end
//! the run, a second one ends it at once, and every wrong use is one line and an exit code.
#![cfg(all(feature = "mnist", feature = "plot", feature = "safetensors"))]

mod example;
mod skip;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use example::{example, no_data};
use spikegrad::{Checkpoint, CheckpointDir, History, train::Position};
use tempfile::tempdir;

const SMALL: &str = "--epochs 2 --limit 256 --batch-size 64 --hidden 32 --steps 5";
const FILES: [&str; 5] = [
    "history.csv",
    "loss.svg",
    "accuracy.svg",
    "gradients.svg",
    "model.safetensors",
];

fn command(options: &str, checkpoints: &Path, out: &Path) -> Command {
    let mut command = example();
    command.args(options.split_whitespace());
    command.arg("--checkpoint").arg(checkpoints);
    command.arg("--out").arg(out);
    command
}

fn run(options: &str, checkpoints: &Path, out: &Path) -> Output {
    let mut command = command(options, checkpoints, out);
    command.output().expect("the example starts")
}

fn results(out: &Path) -> [Vec<u8>; 5] {
    FILES.map(|name| fs::read(out.join(name)).expect("results"))
}

/// One line on stderr with all of these parts, and this exit code.
fn assert_line(label: &str, output: &Output, code: i32, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{label}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{label}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{label}: no '{part}' in: {stderr}");
    }
}

#[cfg(unix)]
fn send(signal: &str, child: &Child) {
    let command = format!("kill -{signal} {}", child.id());
    let sent = Command::new("sh").args(["-c", &command]).status();
    assert!(sent.expect("sh").success(), "{command}");
}

/// Waits until a checkpoint of at least so many batches is there.
fn wait_for(dir: &Path, batches: usize, child: &mut Child) -> usize {
    let started = Instant::now();
    loop {
        assert!(
            started.elapsed() < Duration::from_secs(120),
            "no checkpoint in two minutes"
        );
        if let Ok(Some(found)) = Checkpoint::load(dir) {
            let there = found.checkpoint.history.batches.len();
            if there >= batches {
                return there;
            }
        }
        assert!(
            child.try_wait().expect("it runs").is_none(),
            "it ended too early"
        );
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
#[cfg(unix)]
fn a_signal_saves_and_ends_the_run_and_a_resume_ends_it_as_if_it_had_not_come() {
    if no_data() {
        return;
    }
    let dir = tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    // Small batches, many of them: there is time for a signal.
    let options = "--epochs 2 --limit 6000 --batch-size 4 --hidden 32 --steps 5 --quiet";
    let whole = run(options, &path("whole"), &path("expected"));
    assert!(whole.status.success(), "{whole:?}");
    for (signal, code, name) in [("INT", 130, "Ctrl-C"), ("TERM", 143, "SIGTERM")] {
        let (checkpoints, out) = (path(signal), path("out"));
        let options = format!("{options} --resume --checkpoint-every 10");
        let mut child = command(&options, &checkpoints, &out)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let there = wait_for(&checkpoints, 20, &mut child);
        send(signal, &child);
        let output = child.wait_with_output().expect("it ends");
        let place = checkpoints.display().to_string();
        assert_line(
            signal,
            &output,
            code,
            &["stopped: by", name, &place, "--resume", "epoch 1"],
        );
        assert!(
            !out.join("model.safetensors").exists(),
            "no results of half a run"
        );
        let found = Checkpoint::load(&checkpoints).unwrap().unwrap();
        assert!(found.checkpoint.history.batches.len() >= there);
        let resumed = run(&options, &checkpoints, &out);
        assert!(resumed.status.success(), "{resumed:?}");
        assert!(
            results(&out) == results(&path("expected")),
            "after {signal}"
        );
        fs::remove_dir_all(out).unwrap();
    }
}

/// Batches that take long, so that the second signal arrives before the first one's batch is done.
#[test]
#[cfg(unix)]
fn a_second_signal_ends_the_run_at_once_and_leaves_the_last_checkpoint_whole() {
    if no_data() {
        return;
    }
    let options = "--quiet --limit 1280 --batch-size 128 --hidden 1000 --steps 8000 --epochs 9 \
                   --checkpoint-every 1 --threads 1";
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let dir = tempdir().expect("a temporary folder");
        let checkpoints = dir.path().join("checkpoints");
        let mut child = command(options, &checkpoints, &dir.path().join("out"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let there = wait_for(&checkpoints, 1, &mut child);
        send(signal, &child);
        thread::sleep(Duration::from_millis(50));
        send(signal, &child);
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(
            output.stderr, b"",
            "no word of a checkpoint: none was written"
        );
        let found = Checkpoint::load(&checkpoints).unwrap().unwrap();
        assert_eq!(found.checkpoint.history.batches.len(), there);
        CheckpointDir::open(&checkpoints).expect("and no lock is left");
    }
}

#[test]
fn resume_starts_afresh_goes_on_and_is_idempotent() {
    if no_data() {
        return;
    }
    let dir = tempdir().expect("a temporary folder");
    let (checkpoints, out) = (dir.path().join("checkpoints"), dir.path().join("out"));
    let options = format!("{SMALL} --resume");
    let first = run(&options, &checkpoints, &out);
    assert!(
        first.status.success() && first.stderr.is_empty(),
        "{first:?}"
    );
    let text = String::from_utf8_lossy(&first.stdout).into_owned();
    assert!(
        text.contains("no checkpoint yet, so the run starts afresh"),
        "{text}"
    );
    let expected = results(&out);

    // The finished run again: nothing is trained, the results are written again.
    let again = run(&options, &checkpoints, &out);
    let text = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(
        again.status.success() && text.contains("after epoch 2"),
        "{text}"
    );
    assert!(results(&out) == expected);

    // One epoch more, on another number of threads, is the run of three epochs.
    let more = options.replace("--epochs 2", "--epochs 3");
    let more = run(
        &format!("{more} --threads 1 --checkpoint-every 3"),
        &checkpoints,
        &out,
    );
    assert!(more.status.success(), "{more:?}");
    let three = SMALL.replace("--epochs 2", "--epochs 3");
    let straight = example()
        .args(three.split(' '))
        .arg("--out")
        .arg(dir.path().join("straight"))
        .output();
    assert!(straight.expect("the example starts").status.success());
    assert!(results(&out) == results(&dir.path().join("straight")));

    // The current file is damaged: the one before it, with a warning.
    fs::write(checkpoints.join("checkpoint.safetensors"), "damaged").unwrap();
    let options = options.replace("--epochs 2", "--epochs 3");
    let warned = run(&options, &checkpoints, &out);
    assert_line(
        "damaged",
        &warned,
        0,
        &["warning: ", "the previous checkpoint"],
    );
    assert!(results(&out) == results(&dir.path().join("straight")));
}

#[test]
fn wrong_uses_are_one_line_and_an_exit_code() {
    if no_data() {
        return;
    }
    let dir = tempdir().expect("a temporary folder");
    let (checkpoints, out) = (dir.path().join("checkpoints"), dir.path().join("out"));
    let place = checkpoints.display().to_string();

    // The command line itself.
    for options in ["--resume", "--checkpoint-every 5"] {
        let mut command = example();
        command.args(options.split(' ')).arg("--out").arg(&out);
        let output = command.output().expect("the example starts");
        assert_line(options, &output, 2, &["--checkpoint"]);
    }
    for options in [
        "--checkpoint-every 0",
        "--checkpoint-every -1",
        "--checkpoint-every x",
    ] {
        let output = run(options, &checkpoints, &out);
        assert_line(options, &output, 2, &["--checkpoint-every", "from 1 to"]);
    }
    assert!(!out.exists() && !checkpoints.exists(), "nothing was begun");

    let output = run(SMALL, &checkpoints, &out);
    assert!(output.status.success(), "{output:?}");
    let output = run(SMALL, &checkpoints, &out);
    assert_line(
        "there is one",
        &output,
        1,
        &[&place, "after epoch 2", "--resume", "another folder"],
    );
    for (options, parts) in [
        ("--lr 0.25", ["--lr is 0.25", "expected 0.0005"]),
        ("--hidden 32,16", ["--hidden", "expected 784 32 10"]),
        ("--seed 9", ["--seed is 9", "expected 0"]),
        ("--steps 6", ["--steps is 6", "expected 5"]),
        ("--beta 0.5", ["--beta is 0.5", "expected 0.95"]),
        ("--threshold 2", ["--threshold is 2.0", "expected 1.0"]),
        ("--batch-size 32", ["--batch-size is 32", "expected 64"]),
        ("--limit 320", ["--limit", "expected 256"]),
        ("--epochs 1", ["--epochs is 1", "at least 2"]),
    ] {
        // The later one of two counts.
        let name = options.split(' ').next().unwrap_or_default();
        let rest: Vec<&str> = SMALL.split(' ').collect();
        let rest: Vec<&str> = rest
            .chunks(2)
            .filter(|pair| pair[0] != name)
            .flatten()
            .copied()
            .collect();
        let output = run(
            &format!("{} {options} --resume", rest.join(" ")),
            &checkpoints,
            &out,
        );
        assert_line(options, &output, 1, &parts);
        assert_line(options, &output, 1, &[&place, "--epochs"]);
    }

    // Another process has the folder.
    let held = CheckpointDir::open(&checkpoints).unwrap();
    let output = run(&format!("{SMALL} --resume"), &checkpoints, &out);
    let id = std::process::id().to_string();
    assert_line(
        "two processes",
        &output,
        1,
        &[&place, &id, "another folder"],
    );
    drop(held);

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let output = run(SMALL, &file, &out);
    assert_line("a file", &output, 1, &["file"]);
}

/// A loss that is not finite: one line that says where, when, and that the checkpoint is as it was. What was
/// measured before it is written.
#[test]
fn a_numerical_failure_ends_the_run_and_leaves_the_last_checkpoint() {
    if no_data() {
        return;
    }
    let dir = tempdir().unwrap();
    let (checkpoints, out) = (dir.path().join("checkpoints"), dir.path().join("out"));
    let output = run(SMALL, &checkpoints, &out);
    assert!(output.status.success(), "{output:?}");
    fs::remove_dir_all(&out).unwrap();
    // Finite, but not what comes of them.
    let mut folder = CheckpointDir::open(&checkpoints).unwrap();
    let mut checkpoint = folder.load().unwrap().unwrap().checkpoint;
    let done = checkpoint.history.batches.len();
    for (name, mut values) in checkpoint.network.parameters_mut() {
        if name == "fc2.weight" {
            values.fill(3e38);
        }
    }
    folder.save(&checkpoint).unwrap();
    drop(folder);
    let file = checkpoints.join("checkpoint.safetensors");
    let before = fs::read(&file).unwrap();
    let longer = SMALL.replace("--epochs 2", "--epochs 3");
    let options = format!("{longer} --resume --checkpoint-every 1");
    let output = run(&options, &checkpoints, &out);
    let update = format!("in update {} of the run", done + 1);
    let place = checkpoints.display().to_string();
    let measured = out.join("history.csv");
    let said = format!("what was measured is in {}", measured.display());
    let parts = [
        "loss is",
        "layer 2, step",
        &update,
        &said,
        &place,
        "after epoch 2",
    ];
    assert_line("not finite", &output, 1, &parts);
    assert!(fs::read(&file).unwrap() == before, "another checkpoint");
    assert!(!out.join("model.safetensors").exists(), "results of NaN");
    assert_eq!(
        fs::read_to_string(measured).unwrap().lines().count(),
        done + 1
    );
}

/// Checkpoints that the example cannot go on from: it says so, and what to do.
#[test]
fn an_unusable_checkpoint_is_one_line() {
    if no_data() {
        return;
    }
    let dir = tempdir().unwrap();
    let (checkpoints, out) = (dir.path().join("checkpoints"), dir.path().join("out"));
    let output = run(SMALL, &checkpoints, &out);
    assert!(output.status.success(), "{output:?}");
    let options = format!("{SMALL} --resume");
    // Of a loop that keeps no history, at a place that no run reaches.
    let mut folder = CheckpointDir::open(&checkpoints).unwrap();
    let mut checkpoint = folder.load().unwrap().unwrap().checkpoint;
    checkpoint.history = History::default();
    checkpoint.position = Position {
        epoch: usize::MAX,
        batch: 1,
    };
    folder.save(&checkpoint).unwrap();
    drop(folder);
    let output = run(&options, &checkpoints, &out);
    let place = checkpoints.display().to_string();
    let parts = [&*place, "without the history", "another folder"];
    assert_line("no history", &output, 1, &parts);

    for name in ["checkpoint.safetensors", "checkpoint.previous.safetensors"] {
        fs::write(checkpoints.join(name), "").unwrap();
    }
    let output = run(&options, &checkpoints, &out);
    let parts = [&*place, "damaged", "another folder", "start afresh"];
    assert_line("both damaged", &output, 1, &parts);
}

/// The last checkpoint finds no room: what was trained is written all the same, and the exit code says
/// that something is missing.
#[cfg(unix)]
#[test]
fn results_are_not_lost_with_the_last_checkpoint() {
    if no_data() {
        return;
    }
    let dir = tempdir().unwrap();
    let (checkpoints, out) = (dir.path().join("checkpoints"), dir.path().join("out"));
    let whole = run(SMALL, &checkpoints, &out);
    assert!(whole.status.success(), "{whole:?}");
    let expected = results(&out);
    // More than the weights, less than those and their moments; a block has 512 bytes or 1024.
    let weights = fs::metadata(out.join("model.safetensors")).unwrap().len();
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec \"$@\"",
        weights * 5 / 4 / 512
    );
    // One that is saved at its end alone, and one whose first save has failed by then.
    for epochs in [1, 2] {
        let (checkpoints, out) = (dir.path().join("none"), dir.path().join("other"));
        let options = SMALL.replace("--epochs 2", &format!("--epochs {epochs}"));
        let inner = command(&options, &checkpoints, &out);
        let mut limited = Command::new("sh");
        limited.args(["-c", &script, "sh"]).arg(inner.get_program());
        let output = limited.args(inner.get_args()).output().unwrap();
        let none = format!("there is no checkpoint in {}", checkpoints.display());
        let label = format!("{epochs} epochs");
        assert_line(&label, &output, 1, &["training is complete", &none]);
        let same = results(&out) == expected;
        assert_eq!(same, epochs == 2, "{label}: other results");
        fs::remove_dir_all(&out).unwrap();
    }
}
