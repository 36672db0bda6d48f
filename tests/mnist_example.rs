//! The example `mnist` as a user meets it: a process with options, an exit code, lines and files.
//!
//! What it writes is read back with other readers than its own; a seed is run twice and compared
//! byte by byte; every wrong option, file or folder is one line on stderr and an exit code.
#![cfg(all(feature = "mnist", feature = "plot", feature = "safetensors"))]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Output, Stdio},
};

mod example;
mod skip;

use example::{binary, example, no_data};
use safetensors::SafeTensors;
use serde_json::Value;
use skip::skipped;
use spikegrad::{Leaky, Network};
use tempfile::{TempDir, tempdir};

const FILES: [&str; 9] = [
    "summary.json",
    "history.csv",
    "loss.svg",
    "accuracy.svg",
    "gradients.svg",
    "learning_rate.svg",
    "raster.svg",
    "traces.svg",
    "model.safetensors",
];
const SMALL: &str = "--epochs 1 --limit 256 --batch-size 64 --hidden 32 --steps 5";

/// Runs the example in the small configuration, with `options` (split at blanks) added.
fn small(out: &Path, options: &str) -> Output {
    let mut command = example();
    command.args(SMALL.split_whitespace());
    command.args(options.split_whitespace());
    command.arg("--out").arg(out);
    command.output().expect("the example starts")
}

/// The same, which must succeed; the folder is gone with the result.
fn succeeds(options: &str) -> (TempDir, String) {
    let dir = tempdir().expect("a temporary folder");
    let output = small(dir.path(), options);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{options}: {}: {stderr}",
        output.status
    );
    assert_eq!(stderr, "", "{options}");
    (dir, String::from_utf8(output.stdout).expect("UTF-8"))
}

/// Checks that a run ended with this exit code, one line on stderr that holds all of `parts`, and
/// nothing said of a panic.
fn assert_refused(label: &str, output: &Output, code: i32, parts: &[&str]) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{label}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{label}: {stderr}");
    assert!(
        stderr.starts_with("error: ") && stderr.ends_with('\n'),
        "{label}: {stderr}"
    );
    assert!(!stderr.contains("panicked"), "{label}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{label}: no '{part}' in: {stderr}");
    }
}

fn read(dir: &Path, name: &str) -> Vec<u8> {
    fs::read(dir.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn text(dir: &Path, name: &str) -> String {
    String::from_utf8(read(dir, name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What must not depend on anything but the configuration.
fn results(dir: &Path) -> [Vec<u8>; 8] {
    [
        "history.csv",
        "loss.svg",
        "accuracy.svg",
        "gradients.svg",
        "learning_rate.svg",
        "raster.svg",
        "traces.svg",
        "model.safetensors",
    ]
    .map(|name| read(dir, name))
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn fraction(value: &Value) -> f64 {
    let x = number(value);
    assert!((0.0..=1.0).contains(&x), "{x} is no fraction");
    x
}

#[test]
fn writes_every_file_and_they_are_well_formed() {
    if no_data() {
        return;
    }
    let (dir, stdout) = succeeds("");
    let dir = dir.path();
    let mut found: Vec<String> = fs::read_dir(dir)
        .expect("the folder")
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort_unstable();
    let mut expected = FILES.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "no other file, no temporary one");

    let summary: Value = serde_json::from_str(&text(dir, "summary.json")).expect("JSON");
    let configuration = &summary["configuration"];
    assert_eq!(configuration["sizes"], serde_json::json!([784, 32, 10]));
    for (key, value) in [("epochs", 1), ("batch_size", 64), ("steps", 5), ("seed", 0)] {
        assert_eq!(configuration[key], value, "{key}");
    }
    assert!(summary["device"].as_str().is_some_and(|d| !d.is_empty()));
    let epochs = summary["epochs"].as_array().expect("an array");
    assert_eq!(epochs.len(), 1);
    assert!(number(&epochs[0]["train_loss"]) > 0.0);
    assert!(number(&epochs[0]["val_loss"]) > 0.0);
    fraction(&epochs[0]["val_accuracy_spike_count"]);
    fraction(&epochs[0]["val_accuracy_membrane"]);
    let norms = epochs[0]["gradient_norms"].as_array().expect("an array");
    assert_eq!(norms.len(), 2);
    assert!(norms.iter().all(|norm| number(norm) > 0.0), "{norms:?}");
    assert!(number(&epochs[0]["seconds"]) > 0.0);
    let neurons = &summary["neurons"];
    assert_eq!(neurons["test_images"], 128);
    let layers = neurons["layers"].as_array().expect("an array");
    for (layer, size) in layers.iter().zip([32, 10]) {
        assert_eq!(layer["neurons"], size);
        for key in ["silent", "saturated"] {
            assert!(layer[key].as_u64().is_some_and(|n| n <= size), "{layer}");
        }
    }
    assert_eq!(layers.len(), 2);
    assert!(number(&summary["train_step_ms_median"]) > 0.0);
    assert!(number(&summary["total_seconds"]) >= number(&epochs[0]["seconds"]));
    if cfg!(target_os = "linux") {
        // The images alone take 55 MB.
        assert!(number(&summary["peak_rss_bytes"]) > 5e7);
    }

    let csv = text(dir, "history.csv");
    let rows: Vec<&str> = csv.lines().collect();
    assert_eq!(rows[0], "epoch,batch,loss,accuracy,learning_rate");
    assert_eq!(rows.len(), 1 + 4);
    let mut losses = Vec::new();
    for (row, batch) in rows[1..].iter().zip(1..) {
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!(cells[..2], ["1", &batch.to_string()], "{row}");
        losses.push(cells[2].parse::<f64>().expect("a loss"));
        let accuracy: f64 = cells[3].parse().expect("an accuracy");
        assert!(
            (0.0..=1.0).contains(&accuracy) && (accuracy * 64.0).fract() == 0.0,
            "{row}"
        );
    }
    assert!(losses[3] < losses[0], "four updates help: {losses:?}");
    let mean = losses.iter().sum::<f64>() / 4.0;
    assert!((mean - number(&epochs[0]["train_loss"])).abs() <= 1e-12 * mean);

    for (name, words) in [
        ("loss.svg", vec!["batch", "loss", "test"]),
        ("accuracy.svg", vec!["test, spike count", "test, membrane"]),
        (
            "gradients.svg",
            vec!["batch", "layer 1 (last:", "layer 2 (last:"],
        ),
        (
            "learning_rate.svg",
            vec!["batch", "learning rate (last: 5.00e-4)"],
        ),
        (
            "raster.svg",
            vec![
                "time step",
                "a 7",
                "layer 1: 32 neurons",
                "layer 2 (output): 10 neurons",
            ],
        ),
        ("traces.svg", vec!["output 7 (target)", "threshold"]),
    ] {
        let svg = text(dir, name);
        assert!(
            svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"),
            "{name}"
        );
        for word in words {
            assert!(svg.contains(word), "{name}: no '{word}'");
        }
    }

    let bytes = read(dir, "model.safetensors");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut shapes: Vec<(&str, Vec<usize>)> = file
        .iter()
        .map(|(name, tensor)| (name, tensor.shape().to_vec()))
        .collect();
    shapes.sort_unstable();
    let expected = [
        ("fc1.bias", vec![32]),
        ("fc1.weight", vec![32, 784]),
        ("fc2.bias", vec![10]),
        ("fc2.weight", vec![10, 32]),
    ];
    assert_eq!(shapes, expected);

    for line in [
        "[5, 64, 10]",
        "before an update",
        "by spike count",
        "by membrane",
        "784-32-10",
    ] {
        assert!(stdout.contains(line), "no '{line}' in:\n{stdout}");
    }
    for name in FILES {
        let path = dir.join(name).display().to_string();
        assert!(stdout.contains(&path), "{name} is not listed");
    }
}

#[test]
fn two_hidden_layers() {
    if no_data() {
        return;
    }
    let dir = tempdir().expect("a temporary folder");
    let output = example()
        .args("--epochs 1 --limit 128 --batch-size 64 --hidden 32,16 --steps 5 --out".split(' '))
        .arg(dir.path())
        .output()
        .expect("the example starts");
    assert!(output.status.success(), "{output:?}");
    let mut network: Network = Network::builder(784)
        .layer(32, Leaky::new(0.95))
        .layer(16, Leaky::new(0.95))
        .layer(10, Leaky::new(0.95))
        .seed(9)
        .build()
        .expect("a network");
    let before = network.clone();
    network
        .load_safetensors(dir.path().join("model.safetensors"))
        .expect("the weights fit");
    assert_ne!(network, before);
    let raster = text(dir.path(), "raster.svg");
    for panel in ["layer 3 (output): 10", "layer 2: 16", "layer 1: 32"] {
        assert!(raster.contains(&format!("\n{panel} neurons\n")), "{panel}");
    }
}

#[test]
fn same_seed_same_bits_other_seed_other_bits() {
    if no_data() {
        return;
    }
    let (first, _) = succeeds("--seed 3");
    let expected = results(first.path());
    for options in [
        "--seed 3",
        "--seed 3 --quiet",
        "--seed 3 --threads 1",
        "--seed 3 --threads 2",
    ] {
        let (again, stdout) = succeeds(options);
        assert!(expected == results(again.path()), "{options}");
        assert_eq!(stdout.is_empty(), options.contains("quiet"), "{options}");
    }
    let (other, _) = succeeds("--seed 4");
    for name in ["history.csv", "model.safetensors"] {
        assert_ne!(read(first.path(), name), read(other.path(), name), "{name}");
    }
}

/// The lines in mid-epoch evaluate test batches; that must not touch what is trained.
#[test]
fn lines_in_mid_epoch_change_no_bits() {
    if no_data() {
        return;
    }
    let run = |quiet: &[&str]| {
        let dir = tempdir().expect("a temporary folder");
        let output = example()
            .args("--epochs 1 --limit 400 --batch-size 4 --steps 3 --hidden 8 --out".split(' '))
            .arg(dir.path())
            .args(quiet)
            .output()
            .expect("the example starts");
        assert!(output.status.success(), "{output:?}");
        (
            results(dir.path()),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (loud, stdout) = run(&[]);
    assert!(stdout.contains("epoch 1, batch  100/100"), "{stdout}");
    assert!(loud == run(&["--quiet"]).0);
}

#[test]
fn wrong_options_are_one_line_and_exit_code_2() {
    let dir = tempdir().expect("a temporary folder");
    let out = dir.path().join("out");
    for (options, parts) in [
        (&["--steps", "0"][..], &["--steps", "'0'", "from 1 to"][..]),
        (&["--steps", "-1"], &["--steps", "'-1'", "from 1 to"]),
        (&["--steps", "2.5"], &["--steps", "2.5", "whole number"]),
        (&["--steps", "100000000"], &["--steps", "from 1 to 10000"]),
        (
            &["--steps", "99999999999999999999999"],
            &["--steps", "from 1 to 10000"],
        ),
        (&["--batch-size", "0"], &["--batch-size", "from 1 to"]),
        (&["--beta", "2"], &["--beta", "'2'", "from 0 to 1"]),
        (&["--beta", "-0.1"], &["--beta", "'-0.1'", "from 0 to 1"]),
        (&["--beta", "NaN"], &["--beta", "from 0 to 1"]),
        (&["--hidden", "0"], &["--hidden", "from 1 to"]),
        (&["--hidden", ""], &["--hidden"]),
        (&["--hidden", "10,,5"], &["--hidden", "10,,5", "commas"]),
        (&["--hidden", "10,-5"], &["--hidden", "10,-5"]),
        (
            &["--hidden", "4000000000"],
            &["--hidden", "from 1 to 1000000"],
        ),
        (
            &["--hidden", "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1"],
            &["17 layers", "at most 16"],
        ),
        (&["--epochs", "0"], &["--epochs", "from 1 to"]),
        (&["--epochs"], &["--epochs", "value is required"]),
        (&["--lr", "-1"], &["--lr", "'-1'", "a number from 0"]),
        (&["--lr", "nan"], &["--lr", "'nan'", "a number from 0"]),
        (&["--lr", "inf"], &["--lr", "a number from 0"]),
        (
            &["--optimizer", "lion"],
            &["--optimizer", "lion", "sgd, adam, adamw, adamax"],
        ),
        (
            &["--schedule", "linear"],
            &[
                "--schedule",
                "constant, step, exponential, cosine, one-cycle",
            ],
        ),
        (&["--momentum", "1"], &["--momentum", "'1'", "from 0 to"]),
        (&["--weight-decay", "-1"], &["--weight-decay", "'-1'"]),
        (&["--weight-decay", "nan"], &["--weight-decay", "'nan'"]),
        (&["--warmup", "-1"], &["--warmup", "'-1'", "from 0 to"]),
        (&["--accumulate", "0"], &["--accumulate", "from 1 to"]),
        (&["--truncate", "0"], &["--truncate", "from 1 to"]),
        (
            &["--early-stopping", "0"],
            &["--early-stopping", "from 1 to"],
        ),
        (&["--threshold", "0"], &["--threshold", "0.000001"]),
        (&["--threshold", "1e300"], &["--threshold", "to 1000000"]),
        (&["--threads", "0"], &["--threads", "from 1 to"]),
        (&["--threads", "1000000"], &["--threads", "from 1 to 1024"]),
        (&["--limit", "0"], &["--limit", "from 1 to"]),
        (&["--seed", "-1"], &["--seed", "from 0 to"]),
        (
            &["--device", "tpu"],
            &["--device", "tpu", "auto, cpu, cuda"],
        ),
        (&["--stpes", "5"], &["--stpes"]),
        (&["--out", ""], &["--out"]),
        (&["data"], &["data"]),
        (&["--device", "a\n\nb\nc"], &["--device", "auto, cpu, cuda"]),
    ] {
        let mut command = example();
        if options[0] != "--out" {
            command.arg("--out").arg(&out);
        }
        let output = command.args(options).output().expect("the example starts");
        assert_refused(&options.join(" "), &output, 2, parts);
    }
    assert!(!out.exists(), "nothing was begun");
}

#[test]
fn what_cannot_be_run_is_one_line_and_exit_code_1() {
    if no_data() {
        return;
    }
    let dir = tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    fs::create_dir(path("empty")).unwrap();
    fs::write(path("file"), "not a folder").unwrap();
    fs::create_dir_all(path("taken/loss.svg")).unwrap();
    let (missing, empty, file) = (path("missing"), path("empty"), path("file"));
    let (below, taken) = (path("file/out"), path("taken"));
    for (options, parts) in [
        (
            vec!["--data", &missing],
            vec!["missing", "train-images-idx3-ubyte"],
        ),
        (
            vec!["--data", &empty],
            vec!["empty", "no train-images-idx3-ubyte"],
        ),
        (vec!["--data", &file], vec!["file", "not a folder"]),
        (
            vec!["--limit", "64"],
            vec!["--limit is 64", "at least one batch", "128"],
        ),
        (
            vec!["--limit", "60001"],
            vec!["--limit is 60001", "60000 training images"],
        ),
        (
            vec!["--batch-size", "60001"],
            vec!["60000", "one batch of 60001"],
        ),
        (
            vec!["--momentum", "0.9"],
            vec!["--momentum is 0.9", "except with --optimizer sgd"],
        ),
        (
            vec!["--limit", "1280", "--warmup", "50"],
            vec!["--warmup is 50", "less than the 50 updates of the run"],
        ),
        (
            vec!["--accumulate", "129"],
            vec!["accumulate is 129", "at most 128, the samples of a batch"],
        ),
        (
            vec!["--hidden", "1000000,1000000"],
            vec!["784-1000000-1000000-10", "GiB"],
        ),
        (
            vec!["--batch-size", "60000", "--steps", "10000"],
            vec!["batches of 60000", "10000 steps", "GiB"],
        ),
        (vec!["--out", &file], vec!["create", "file"]),
        (vec!["--out", &below], vec!["create", "file/out"]),
        (vec!["--out", &taken], vec!["taken/loss.svg", "folder"]),
    ] {
        let out = path("out");
        let mut command = example();
        if !options.contains(&"--out") {
            command.args(["--out", &out]);
        }
        let output = command.args(&options).output().expect("the example starts");
        assert_refused(&options.join(" "), &output, 1, &parts);
        assert!(!Path::new(&out).exists(), "{options:?}: nothing was begun");
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn cuda_in_a_build_without_it() {
    if no_data() {
        return;
    }
    let dir = tempdir().expect("a temporary folder");
    let output = small(&dir.path().join("out"), "--device cuda");
    assert_refused("--device cuda", &output, 1, &["cuda:0", "cpu"]);
}

#[test]
fn malformed_files_are_one_line_and_exit_code_1() {
    if no_data() {
        return;
    }
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist");
    for name in [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ] {
        let dir = tempdir().expect("a temporary folder");
        for entry in fs::read_dir(&real).unwrap() {
            let from = entry.unwrap().path();
            fs::copy(&from, dir.path().join(from.file_name().unwrap())).unwrap();
        }
        let broken = dir.path().join(format!("{name}.gz"));
        let whole = fs::read(&broken).unwrap();
        for content in [&whole[..whole.len() / 2], b"not an idx file", b""] {
            fs::write(&broken, content).unwrap();
            let output = example()
                .arg("--data")
                .arg(dir.path())
                .arg("--out")
                .arg(dir.path().join("out"))
                .output()
                .expect("the example starts");
            assert_refused(name, &output, 1, &[name, "expected"]);
        }
    }
}

/// Writes a split of EMNIST: 40 images of 3×4 pixels to train on and 8 to test on, each labelled
/// `first`, `first + 1`, …, with pixels of 0 and `white`.
fn write_split(dir: &Path, split: &str, first: u8, classes: u8, white: u8) {
    let idx = |magic: u32, dims: &[u32], body: Vec<u8>| {
        let header = [magic].into_iter().chain(dims.iter().copied());
        header
            .flat_map(u32::to_be_bytes)
            .chain(body)
            .collect::<Vec<u8>>()
    };
    for (part, count) in [("train", 40), ("test", 8)] {
        let path = |rest: &str| dir.join(format!("emnist-{split}-{part}-{rest}-ubyte"));
        let pixels = (0..count * 12).map(|i| if i * 7 % 5 < 2 { white } else { 0 });
        let images = idx(0x803, &[count, 3, 4], pixels.collect());
        let labels = (0..count).map(|i| first + (i as u8) % classes).collect();
        fs::write(path("images-idx3"), images).unwrap();
        fs::write(path("labels-idx1"), idx(0x801, &[count], labels)).unwrap();
    }
}

/// Another data set than MNIST: the network has its size and its number of classes; what is probably not
/// meant is said, and stands in the summary.
#[test]
fn emnist_with_its_options() {
    let dir = tempdir().expect("a temporary folder");
    let data = dir.path().join("gzip");
    fs::create_dir(&data).unwrap();
    write_split(&data, "letters", 1, 26, 1);
    let out = dir.path().join("out");
    let run = |options: &str| {
        example()
            .args("--epochs 1 --batch-size 8 --hidden 6".split(' '))
            .args(
                ["--steps", "5"]
                    .iter()
                    .filter(|_| !options.contains("--steps")),
            )
            .args(options.split_whitespace())
            .arg("--data")
            .arg(&data)
            .arg("--out")
            .arg(&out)
            .output()
            .expect("the example starts")
    };
    let told = |options: &str, parts: &[&str], absent: &[&str]| {
        let output = run(options);
        assert!(output.status.success(), "{options}: {output:?}");
        assert_eq!(output.stderr, b"", "{options}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        for part in parts {
            assert!(
                stdout.contains(part),
                "{options}: no '{part}' in:\n{stdout}"
            );
        }
        for part in absent {
            assert!(!stdout.contains(part), "{options}: '{part}' in:\n{stdout}");
        }
        serde_json::from_str::<Value>(&text(&out, "summary.json")).expect("JSON")
    };
    let summary = told(
        "",
        &[
            "network   12-6-26,",
            "(emnist-letters), pixels from 0 to 1\n",
            "note      EMNIST's images are transposed: --transpose",
            "warning   training set: the largest pixel is 1;",
            "warning   validation set: the largest pixel is 1;",
        ],
        &["num_steps"],
    );
    assert_eq!(summary["warnings"].as_array().map(Vec::len), Some(2));
    assert_eq!(summary["configuration"]["transpose"], false);
    let weights = read(&out, "model.safetensors");

    let summary = told("--transpose --split letters", &["12-6-26"], &["note  "]);
    assert_eq!(summary["configuration"]["transpose"], true);
    assert_eq!(summary["configuration"]["split"], "letters");
    assert_ne!(read(&out, "model.safetensors"), weights);

    // Two splits: the choice is asked for, by the option's name.
    write_split(&data, "digits", 0, 10, 255);
    let both = "emnist-digits, emnist-letters";
    assert_refused("two splits", &run(""), 1, &["--split is not given", both]);
    assert_refused(
        "a typo",
        &run("--split lettres"),
        1,
        &["--split is lettres", both],
    );
    let absent = ["warning  ", "note  "];
    let digits = "--split emnist-digits --transpose";
    let summary = told(digits, &["12-6-10", "pixels from 0 to 255\n"], &absent);
    assert_eq!(summary["warnings"], serde_json::json!([]));

    // One step, in which nothing fires.
    let options = format!("{digits} --steps 1");
    let summary = told(
        &options,
        &["warning   num_steps is 1; expected at least 3"],
        &["lower threshold"],
    );
    assert_eq!(summary["warnings"].as_array().map(Vec::len), Some(1));
    assert_eq!(run(&format!("{options} --quiet")).stdout, b"");
}

#[test]
#[cfg(unix)]
fn a_folder_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    if no_data() {
        return;
    }
    let dir = tempdir().expect("a temporary folder");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(dir.path().join("probe"), "").is_ok() {
        skipped("permissions do not bind this user (root)");
        return;
    }
    let output = small(dir.path(), "");
    assert_refused("read-only --out", &output, 1, &["write", "denied"]);
}

#[test]
fn an_existing_folder_keeps_what_is_not_ours() {
    if no_data() {
        return;
    }
    let dir = tempdir().expect("a temporary folder");
    fs::write(dir.path().join("keep.txt"), "mine").unwrap();
    fs::write(dir.path().join("history.csv"), "of an earlier run").unwrap();
    let output = small(dir.path(), "");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(dir.path(), "keep.txt"), "mine");
    assert!(text(dir.path(), "history.csv").starts_with("epoch,batch"));
}

#[test]
fn help_and_version_succeed() {
    for (option, part) in [("--help", "--batch-size"), ("--version", "mnist 0.")] {
        let output = example().arg(option).output().expect("the example starts");
        assert!(output.status.success(), "{option}");
        assert_eq!(output.stderr, b"", "{option}");
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(stdout.contains(part), "{option}: {stdout}");
    }
}

/// `| head -1`: the reader goes away, the results are written all the same.
#[test]
fn a_closed_pipe_is_no_panic() {
    if no_data() {
        return;
    }
    let dir = tempdir().expect("a temporary folder");
    let mut child = example()
        .args(SMALL.split_whitespace())
        .arg("--out")
        .arg(dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("a line");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    assert!(line.contains("784-32-10"), "{line}");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stderr, b"");
    assert!(dir.path().join("model.safetensors").is_file());
}

/// The data are found from another folder too.
#[test]
fn runs_from_anywhere() {
    if no_data() {
        return;
    }
    let dir = tempdir().expect("a temporary folder");
    let output = Command::new(binary())
        .current_dir(dir.path())
        .args(SMALL.split_whitespace())
        .output()
        .expect("the example starts");
    assert!(output.status.success(), "{output:?}");
    assert!(dir.path().join("runs/mnist/summary.json").is_file());
}

/// The network that is kept is that of the epoch with the lowest loss, also when the run is resumed; and
/// the run ends where it was told to.
#[test]
fn the_best_epoch_is_kept() {
    if no_data() {
        return;
    }
    let summary = |dir: &TempDir| -> Value {
        serde_json::from_str(&text(dir.path(), "summary.json")).expect("JSON")
    };
    let start = |out: &Path, options: &str| {
        let mut command = example();
        command.args("--limit 256 --batch-size 64 --hidden 32 --steps 5".split(' '));
        command.args(options.split(' ')).arg("--out").arg(out);
        command.output().expect("the example starts")
    };
    let run = |options: &str| {
        let dir = tempdir().expect("a folder");
        let output = start(dir.path(), options);
        assert!(output.status.success(), "{options}: {output:?}");
        dir
    };
    let all = run("--epochs 5 --lr 0.2 --keep-best");
    let found = summary(&all);
    let losses: Vec<f64> = found["epochs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| number(&e["val_loss"]))
        .collect();
    let best = number(&found["best_epoch"]) as usize;
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(losses[best - 1], least);
    assert!(best < 5, "a later epoch is worse: {losses:?}");
    let until = run(&format!("--epochs {best} --lr 0.2"));
    let model = |dir: &TempDir| read(dir.path(), "model.safetensors");
    assert!(model(&all) == model(&until));
    let last = run("--epochs 5 --lr 0.2");
    assert!(model(&last) != model(&until));

    // Stopped early, and again when it is resumed.
    let out = tempdir().expect("a folder");
    let checkpoints = out.path().join("checkpoints");
    let options = format!(
        "--epochs 5 --lr 0.2 --keep-best --early-stopping 1 --checkpoint {}",
        checkpoints.display()
    );
    for resume in ["", " --resume"] {
        let output = start(out.path(), &format!("{options}{resume}"));
        assert!(output.status.success(), "{output:?}");
        let epochs = summary(&out)["epochs"].as_array().unwrap().len();
        let worse = losses
            .windows(2)
            .position(|pair| pair[1] >= pair[0])
            .expect("a worse epoch");
        assert_eq!(epochs, worse + 2, "{losses:?}");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(printed.contains("stopped   early"), resume.is_empty());
    }
}

/// Every optimizer with its settings and every schedule: the rates of each batch, what is printed, and what
/// the summary says.
#[test]
fn optimizers_and_schedules() {
    if no_data() {
        return;
    }
    let mut models = Vec::new();
    for (options, described, expected) in [
        ("", "Adam, lr 0.0005", [5e-4; 4]),
        (
            "--optimizer adamw --lr 0.01",
            "AdamW, lr 0.01, weight decay 0.01",
            [0.01; 4],
        ),
        (
            "--optimizer adamw --lr 0.01 --weight-decay 0.5 --warmup 2",
            "AdamW, lr 0.01, weight decay 0.5 after 2 of warm-up",
            [0.005, 0.01, 0.01, 0.01],
        ),
        ("--optimizer adamax", "Adamax, lr 0.002", [2e-3; 4]),
        (
            "--optimizer sgd --schedule step",
            "SGD, lr 0.001, momentum 0.9, times 0.1 every 2 updates",
            [1e-3, 1e-3, 1e-4, 1e-4],
        ),
        (
            "--optimizer sgd --momentum 0.5 --weight-decay 0.1",
            "SGD, lr 0.001, momentum 0.5, weight decay 0.1",
            [1e-3; 4],
        ),
        (
            "--schedule exponential --lr 0.01",
            "times 0.31623 every update",
            [
                0.01,
                0.01 * 0.01_f64.powf(0.25),
                0.001,
                0.01 * 0.01_f64.powf(0.75),
            ],
        ),
        (
            "--schedule cosine --lr 0.01 --warmup 2",
            "cosine over 2 updates after 2 of warm-up",
            [0.005, 0.01, 0.01, 0.005],
        ),
        (
            "--schedule one-cycle --lr 0.01",
            "one cycle of 4 updates",
            // Up to 0.01 at 0.3 * 4 - 1 = 0.2 updates, then down to 4e-8 at 3: by half a cosine.
            [4e-4, 0.0081175, 0.0028306, 4e-8],
        ),
    ] {
        let (dir, printed) = succeeds(options);
        assert!(printed.contains(described), "{options}: {printed}");
        let summary: Value = serde_json::from_str(&text(dir.path(), "summary.json")).expect("JSON");
        let configured = &summary["configuration"]["optimizer"];
        assert!(
            configured.as_str().unwrap().contains(described),
            "{configured}"
        );
        let csv = text(dir.path(), "history.csv");
        let rates = csv.lines().skip(1).map(|line| line.rsplit(',').next());
        let rates: Vec<f64> = rates.map(|rate| rate.unwrap().parse().unwrap()).collect();
        assert_eq!(rates.len(), 4);
        for (rate, expected) in rates.iter().zip(expected) {
            assert!(
                (rate - expected).abs() <= 1e-3 * expected,
                "{options}: {rates:?}"
            );
        }
        assert_eq!(number(&summary["epochs"][0]["learning_rate"]), rates[3]);
        models.push(read(dir.path(), "model.safetensors"));
    }
    for (n, model) in models.iter().enumerate() {
        assert!(!models[..n].contains(model), "run {n} is another's");
    }
}

/// A batch in parts has the losses of the whole, up to rounding.
#[test]
fn parts_are_the_batch() {
    if no_data() {
        return;
    }
    let losses = |options: &str| -> Vec<f64> {
        let (dir, printed) = succeeds(options);
        assert_eq!(
            printed.contains(" in 4 parts"),
            !options.is_empty(),
            "{printed}"
        );
        let summary: Value = serde_json::from_str(&text(dir.path(), "summary.json")).expect("JSON");
        let accumulate = if options.is_empty() { 1 } else { 4 };
        assert_eq!(summary["configuration"]["accumulate"], accumulate);
        let csv = text(dir.path(), "history.csv");
        let losses = csv.lines().skip(1).map(|line| line.split(',').nth(2));
        losses.map(|loss| loss.unwrap().parse().unwrap()).collect()
    };
    // Adam would make much of a gradient that is nearly 0.
    let (whole, parts) = (losses(""), losses("--accumulate 4"));
    for (a, b) in whole.iter().zip(&parts) {
        assert!((a - b).abs() < 1e-3 * a, "{whole:?} {parts:?}");
    }
    assert!(
        (whole[0] - parts[0]).abs() < 1e-6 * whole[0],
        "{whole:?} {parts:?}"
    );
}

/// Windows of steps: each is an update, which the schedule counts; windows as long as the run are the run; and
/// a run resumes with its own windows only.
#[test]
fn windows_are_updates() {
    if no_data() {
        return;
    }
    let (dir, printed) = succeeds("--truncate 3 --schedule cosine --lr 0.01");
    assert!(printed.contains(", windows of 3 steps;"), "{printed}");
    assert!(printed.contains("cosine over 8 updates"), "{printed}");
    let summary: Value = serde_json::from_str(&text(dir.path(), "summary.json")).expect("JSON");
    assert_eq!(summary["configuration"]["truncate"], 3);
    // The rates of the first update of each of four batches.
    let rates = text(dir.path(), "history.csv");
    let rates = rates.lines().skip(1).map(|line| line.rsplit(',').next());
    let rates: Vec<f64> = rates.map(|rate| rate.unwrap().parse().unwrap()).collect();
    for (n, rate) in rates.iter().enumerate() {
        let expected = 0.005 * (1.0 + (std::f64::consts::PI * n as f64 / 4.0).cos());
        assert!((rate - expected).abs() < 1e-7, "{rates:?}");
    }
    assert_eq!(rates.len(), 4);

    let model = |options: &str| read(succeeds(options).0.path(), "model.safetensors");
    let whole = model("");
    assert!(whole == model("--truncate 5") && whole != model("--truncate 3"));

    let out = tempdir().expect("a folder");
    let checkpoint = format!("--checkpoint {}", out.path().join("checkpoints").display());
    let run = small(out.path(), &format!("--truncate 3 {checkpoint}"));
    assert!(run.status.success(), "{run:?}");
    for (other, says) in [
        ("", "--truncate is"),
        ("--truncate 2", "--truncate is 2; expected 3"),
        (
            "--truncate 3 --accumulate 2",
            "--accumulate is 2; expected 1",
        ),
        (
            "--truncate 3 --optimizer sgd",
            "--optimizer is sgd; expected adam,",
        ),
        (
            "--truncate 3 --optimizer adamw",
            "--optimizer is adamw; expected adam,",
        ),
        (
            "--truncate 3 --optimizer adamax",
            "--optimizer is adamax; expected adam,",
        ),
        ("--truncate 3 --weight-decay 0.1", "--weight-decay is 0.1"),
        ("--truncate 3 --schedule step", "--schedule (or --epochs"),
        (
            "--truncate 3 --schedule step --warmup 2",
            "--warmup is 2; expected 0",
        ),
    ] {
        let output = small(out.path(), &format!("{other} {checkpoint} --resume"));
        assert_refused(other, &output, 1, &[says]);
    }
}
