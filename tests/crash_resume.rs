//! Processes killed at random moments, also in the middle of a checkpoint's write: each run that goes
//! on afterwards ends with the bits of one that was never stopped and wrote no checkpoints.
//!
//! A few kills by default; `SPIKEGRAD_KILLS=100 cargo test --release --test crash_resume -- --nocapture`
//! for more.
#![cfg(feature = "safetensors")]

#[cfg(all(feature = "mnist", feature = "plot"))]
mod example;
mod kills;
mod runs;
mod skip;

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use kills::{Random, kills};
use spikegrad::{
    Adam, Checkpoint, CheckpointDir, Device, Engine, History, Leaky, Loss, Network, Optimizer,
    Schedule, Trainer,
};
use tempfile::tempdir;

/// Tells the child what to do: a folder for checkpoints, or nothing for none; and one for the results.
const CHECKPOINTS: &str = "SPIKEGRAD_TEST_CHECKPOINTS";
const RESULTS: &str = "SPIKEGRAD_TEST_RESULTS";

/// What the child does; nothing in the test run itself.
#[test]
fn child() {
    let Some(results) = std::env::var_os(RESULTS) else {
        return;
    };
    let results = Path::new(&results);
    let trainer = Trainer {
        epochs: 8,
        accumulate: 2,
        ..runs::trainer()
    };
    let data = runs::data();
    let dir = std::env::var_os(CHECKPOINTS);
    let mut folder = dir.map(|dir| CheckpointDir::open(dir).expect("a folder"));
    let found = folder
        .as_mut()
        .and_then(|folder| folder.load().expect("a whole one, or none"));
    let (mut engine, history) = match found {
        Some(found) => {
            assert_eq!(found.warning, None, "a killed process damages nothing");
            let engine = found.checkpoint.engine(Device::Cpu).expect("an engine");
            (engine, found.checkpoint.history)
        }
        None => (fresh(), History::default()),
    };
    let history = trainer.resume(
        &mut *engine,
        &data,
        Some(&data),
        history,
        |engine, event| {
            if let Some(folder) = &mut folder {
                let history = event.history();
                let checkpoint = Checkpoint::new(engine, &trainer, history).expect("a checkpoint");
                // Both ways of saving.
                match history.batches.len() % 2 {
                    0 => folder.save(&checkpoint),
                    _ => folder.save_in_background(checkpoint),
                }
                .expect("it is written");
            }
            Ok(ControlFlow::Continue(()))
        },
    );
    if let Some(folder) = &mut folder {
        folder.wait().expect("it is written");
    }
    let network = engine.to_network().expect("a network");
    let history = runs::without_times(&history.expect("it trains"));
    fs::write(results.join("history"), history).expect("results");
    network
        .save_safetensors(results.join("model"))
        .expect("results");
}

/// A network large enough that writing it takes a while: a checkpoint is 0.5 MB.
fn fresh() -> Box<dyn Engine> {
    let network: Network = Network::builder(6)
        .layer(4000, Leaky::new(0.9).threshold(0.3))
        .layer(2, Leaky::new(0.8).threshold(0.2).learn_beta(true))
        .seed(1)
        .build()
        .expect("a network");
    let adam = Adam::adamw(0.01);
    let optimizer = Optimizer::from(adam)
        .schedule(Schedule::one_cycle(40).warmup(3))
        .group(["fc1.bias", "lif2.beta"], adam.weight_decay(0.0));
    Device::Cpu
        .engine(network, Loss::CrossEntropyMembrane, optimizer)
        .expect("an engine")
}

fn start(checkpoints: Option<&Path>, results: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "child", "--nocapture"]);
    command.env(RESULTS, results).env("RAYON_NUM_THREADS", "2");
    if let Some(dir) = checkpoints {
        command.env(CHECKPOINTS, dir);
    }
    command.stdout(Stdio::null());
    command.spawn().expect("the test starts itself")
}

fn finish(mut child: Child) {
    assert!(child.wait().expect("it ends").success());
}

fn read(results: &Path) -> [Vec<u8>; 2] {
    ["model", "history"].map(|name| fs::read(results.join(name)).expect("results"))
}

/// What a save has left, or has not come to the end of.
fn temporary(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "tmp"))
        .collect()
}

/// Whether a save was cut short: its file is not whole, or not in its place yet. One that is older than
/// the current one waits for the next save to write over it.
fn cut_short(dir: &Path) -> bool {
    let stands = |checkpoint: Checkpoint| {
        let history = checkpoint.history;
        (history.batches.len(), history.epochs.len())
    };
    let current = Checkpoint::load(dir).expect("a whole one, or none");
    let current = current.map(|found| stands(found.checkpoint));
    (temporary(dir).iter()).any(|path| match Checkpoint::read(path) {
        Ok(checkpoint) => Some(stands(checkpoint)) > current,
        Err(_) => true,
    })
}

/// How far the last whole checkpoint had come.
fn batches(dir: &Path) -> usize {
    let found = Checkpoint::load(dir).expect("a whole one, or none");
    found.map_or(0, |found| {
        assert_eq!(found.warning, None, "a killed process damages nothing");
        found.checkpoint.history.batches.len()
    })
}

#[test]
fn killed_at_any_moment_it_goes_on_to_the_same_bits() {
    if std::env::var_os(RESULTS).is_some() {
        return;
    }
    let mut random = Random::new();
    let results = tempdir().expect("a temporary folder");
    let results = results.path();
    finish(start(None, results));
    let expected = read(results);
    let length = {
        let dir = tempdir().expect("a temporary folder");
        let started = Instant::now();
        finish(start(Some(dir.path()), results));
        assert!(read(results) == expected, "with checkpoints, never killed");
        started.elapsed().as_secs_f64()
    };

    let (kills, mut killed, mut during, mut too_late) = (kills(6), 0, 0, 0);
    let mut places = Vec::new();
    while killed < kills {
        let dir = tempdir().expect("a temporary folder");
        let dir = dir.path();
        fs::remove_file(results.join("model")).expect("results");
        // One kill, or more in a row.
        loop {
            let mut child = start(Some(dir), results);
            thread::sleep(Duration::from_secs_f64(random.next() * length));
            child.kill().expect("it can be killed");
            if child.wait().expect("it ends").success() {
                too_late += 1;
                break;
            }
            killed += 1;
            during += usize::from(cut_short(dir));
            places.push(batches(dir));
            if random.next() < 0.7 || killed == kills {
                finish(start(Some(dir), results));
                break;
            }
        }
        assert!(
            read(results) == expected,
            "after {killed} kills, at batches {places:?}"
        );
        assert!(temporary(dir).is_empty(), "nothing is left behind");
        assert_eq!(batches(dir), 40);
    }
    places.sort_unstable();
    eprintln!(
        "{killed} kills, {during} of them in the middle of a write, at batches {places:?} of 40; \
         {too_late} came too late"
    );
}

/// The same with the example, as its users run it: its weights, history and plots.
#[cfg(all(feature = "mnist", feature = "plot"))]
mod mnist {
    use super::*;

    const OPTIONS: &str = "--epochs 2 --limit 512 --batch-size 16 --hidden 64 --steps 5 --quiet --optimizer sgd \
                           --schedule cosine --warmup 5 --truncate 3 --keep-best --early-stopping 1";
    const FILES: [&str; 8] = [
        "history.csv",
        "loss.svg",
        "accuracy.svg",
        "gradients.svg",
        "learning_rate.svg",
        "raster.svg",
        "traces.svg",
        "model.safetensors",
    ];

    fn run(checkpoints: Option<&Path>, out: &Path) -> Child {
        let mut command = example::example();
        command
            .args(OPTIONS.split_whitespace())
            .arg("--out")
            .arg(out);
        if let Some(dir) = checkpoints {
            command
                .args(["--resume", "--checkpoint-every", "1", "--checkpoint"])
                .arg(dir);
        }
        command.spawn().expect("the example starts")
    }

    /// Waits until the run has read its data, and is about to train.
    fn wait_for_training(dir: &Path, child: &mut Child) -> Instant {
        while !dir.join("checkpoint.lock").exists() {
            assert!(
                child.try_wait().expect("it runs").is_none(),
                "it ended before it began"
            );
            thread::sleep(Duration::from_millis(1));
        }
        Instant::now()
    }

    #[test]
    fn the_example_goes_on_to_the_same_files() {
        if std::env::var_os(RESULTS).is_some() || example::no_data() {
            return;
        }
        let mut random = Random::new();
        let out = tempdir().expect("a temporary folder");
        let out = out.path();
        let results = || FILES.map(|name| fs::read(out.join(name)).expect("results"));
        finish(run(None, out));
        let expected = results();
        let length = {
            let dir = tempdir().expect("a temporary folder");
            let mut child = run(Some(dir.path()), out);
            let started = wait_for_training(dir.path(), &mut child);
            finish(child);
            assert!(results() == expected, "with checkpoints, never killed");
            started.elapsed().as_secs_f64()
        };
        let (kills, mut killed, mut during) = (kills(2).div_ceil(4), 0, 0);
        while killed < kills {
            let dir = tempdir().expect("a temporary folder");
            let dir = dir.path();
            let mut child = run(Some(dir), out);
            wait_for_training(dir, &mut child);
            thread::sleep(Duration::from_secs_f64(random.next() * length));
            child.kill().expect("it can be killed");
            if child.wait().expect("it ends").success() {
                continue;
            }
            killed += 1;
            during += usize::from(cut_short(dir));
            let place = batches(dir);
            finish(run(Some(dir), out));
            assert!(results() == expected, "killed after batch {place}");
        }
        eprintln!("the example: {killed} kills, {during} of them in the middle of a write");
    }
}
