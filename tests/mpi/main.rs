//! Several processes over MPI: the test starts itself under `mpirun`, with 1, 2, 4 and 8 processes on however
//! few cores, and compares the bits of what they train; it lets ranks hang, fail, end and differ; and it runs the
//! example.

#[path = "../example/mod.rs"]
mod example;
mod example_runs;
mod foreign;
mod jobs;
#[path = "../kills/mod.rs"]
mod kills;
mod launch;
#[path = "../runs/mod.rs"]
mod runs;
#[path = "../skip/mod.rs"]
mod skip;

use std::time::{Duration, Instant};

use launch::{Launch, here};

/// What a process under `mpirun` does; nothing in the test run itself.
#[test]
fn child() {
    if let Some(job) = std::env::var_os(launch::JOB) {
        jobs::run(&job.to_string_lossy());
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_processes() {
    if here() {
        return;
    }
    let alone = jobs::bits(spikegrad::World::alone());
    for processes in [1, 2, 4, 8] {
        let out = tempfile::tempdir().expect("a temporary folder");
        let launch = Launch::new(processes, "bits").env("OUT", out.path().display());
        launch.succeeds();
        let found = std::fs::read_to_string(out.path().join("bits")).expect("results");
        for (expected, found) in alone.lines().zip(found.lines()) {
            assert!(
                expected == found,
                "{processes} processes: {} differs",
                &found[..found.len().min(60)]
            );
        }
        assert_eq!(alone.lines().count(), found.lines().count());
    }
}

#[test]
fn a_step_sends_twice_the_parameters() {
    if !here() {
        Launch::new(4, "bytes").succeeds();
    }
}

#[test]
fn an_error_of_one_rank_is_everybodys() {
    if !here() {
        Launch::new(4, "error").succeeds();
    }
}

#[test]
fn a_rank_that_differs_is_refused() {
    if here() {
        return;
    }
    for (name, expected) in [
        ("LR", "rank 2: optimizer is (Adam(Adam { lr: 0.5"),
        ("SHARDS", "rank 2: shards is 16; expected 8, as on rank 0"),
        ("SEED", "rank 2: parameters' checksum is "),
        ("DATA", "rank 2: data is other; expected same, as on rank 0"),
    ] {
        let launch = Launch::new(4, "differs").env_of(2, name, "1");
        launch.env("EXPECTED", expected).succeeds();
    }
}

/// No call waits for longer than its bound, wherever a rank stops; the first to give up names it.
#[test]
fn a_rank_that_hangs_is_named() {
    if here() {
        return;
    }
    let ranks = [(1, 2), (3, 4)].into_iter().cycle();
    for (place, (rank, processes)) in ["check", "step", "evaluate", "optimizer", "end"]
        .into_iter()
        .zip(ranks)
    {
        let launch = Launch::new(processes, "hangs").env("PLACE", place);
        let started = Instant::now();
        let output = launch.env("RANK", rank).run();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{place}: {text}");
        let named = format!("rank {rank}: does not answer");
        let found = match place {
            "end" => text.contains("have not ended"),
            _ => text.contains(&named),
        };
        assert!(found, "{place}: {text}");
        assert!(started.elapsed() < Duration::from_secs(20), "{place}");
    }
}

/// `mpirun` ends the others; what they wait for does not matter.
#[test]
fn a_rank_that_ends_ends_the_run() {
    if here() {
        return;
    }
    let started = Instant::now();
    let output = Launch::new(4, "hangs")
        .env("PLACE", "exit")
        .env("RANK", 2)
        .run();
    assert!(!output.status.success());
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn a_slow_rank_is_named() {
    if !here() {
        Launch::new(2, "slow").succeeds();
    }
}

#[test]
fn a_number_raised_on_one_rank_reaches_all_at_the_same_step() {
    if !here() {
        Launch::new(4, "raise").succeeds();
    }
}

/// Each process has a GPU of its own, by its number on the machine; under the software driver there are two.
#[cfg(feature = "cuda")]
#[test]
fn gpus_are_one_for_each_process() {
    if here() {
        return;
    }
    if std::env::var_os("SPIKEGRAD_CUDA_DRIVER").is_none() {
        return skip::skipped(format_args!("SPIKEGRAD_CUDA_DRIVER names no driver"));
    }
    let bits = [1, 2].map(|processes| {
        let out = tempfile::tempdir().expect("a temporary folder");
        let launch = Launch::new(processes, "cuda").environment("SOFTCUDA_DEVICES", "2");
        launch.env("OUT", out.path().display()).succeeds();
        std::fs::read_to_string(out.path().join("bits")).expect("results")
    });
    assert!(bits[0] == bits[1]);
}
