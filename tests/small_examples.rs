//! The small examples as a user runs them: they end well, and have learnt something.

mod example;
mod skip;

use std::{fs, process::Command};

use example::built;

/// What an example prints.
fn run(name: &str, arguments: &[&str]) -> String {
    let output = Command::new(built(name)).args(arguments).output();
    let output = output.expect("it starts");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{name}: {error}");
    String::from_utf8(output.stdout).expect("text")
}

/// The whole numbers in the line that begins with `start`.
fn numbers(printed: &str, start: &str) -> Vec<usize> {
    let line = printed.lines().find(|line| line.starts_with(start));
    let line = line.unwrap_or_else(|| panic!("no line '{start}…' in:\n{printed}"));
    let words = line[start.len()..].split_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn own_csv_learns_a_table() {
    let printed = run("own_csv", &[]);
    let [right, all] = numbers(&printed, "test: ")[..] else {
        panic!("{printed}");
    };
    assert!(all == 30 && right >= 25, "{printed}");

    // Another file: two classes that one column tells apart.
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("table.csv");
    let row = |i: usize| format!("{}, {}, {}\n", i % 7, (i % 2) * 3 + i % 3 / 2, i % 2);
    let text = "x,y,class\n".to_string() + &(0..60).map(row).collect::<String>();
    fs::write(&path, text).expect("it is written");
    let path = path.to_str().expect("UTF-8");
    let printed = run("own_csv", &[path]);
    assert_eq!(numbers(&printed, "test: "), [12, 12], "{printed}");

    let missing = Command::new(built("own_csv")).arg("no-such.csv").output();
    let missing = missing.expect("it starts");
    let error = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(
        !missing.status.success() && error.contains("no-such.csv"),
        "{error}"
    );
}

#[test]
fn spike_trains_tells_rhythms_apart() {
    let printed = run("spike_trains", &[]);
    let [right, all] = numbers(&printed, "new batch: ")[..] else {
        panic!("{printed}");
    };
    assert!(all == 64 && right >= 55, "{printed}");
    for layer in ["layer 1: ", "layer 2: "] {
        let silent = *numbers(&printed, layer).last().expect("a number");
        assert!(silent < 50, "{printed}");
    }
}

#[test]
fn custom_loss_is_proved_and_trained() {
    let printed = run("custom_loss", &[]);
    assert!(printed.contains(": passed\n"), "{printed}");
    let last = printed.lines().last().expect("a line");
    assert!(last.contains("loss 0.000, 100 % right"), "{printed}");
}

#[test]
#[cfg(feature = "safetensors")]
fn own_neuron_is_proved_trained_and_resumed() {
    let printed = run("own_neuron", &[]);
    let lines: Vec<&str> = printed.lines().collect();
    assert!(
        lines[0].starts_with("gradcheck: largest error "),
        "{printed}"
    );
    assert_eq!(lines[1], "the engines agree");
    let accuracy = lines[2].strip_prefix("resumed to the same bits; accuracy ");
    let accuracy = accuracy.and_then(|rest| rest.split(',').next()?.parse().ok());
    assert!(accuracy > Some(0.9), "{printed}");
}

/// snnTorch's first regression tutorial, to the error that it prints.
#[test]
#[cfg(feature = "plot")]
fn regression_follows_the_tutorials_signal() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("deep").join("signal.svg");
    let printed = run("regression", &[path.to_str().expect("UTF-8")]);
    let line = printed
        .lines()
        .find(|line| line.starts_with("mean absolute error"));
    let error = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    assert!(error.is_some_and(|error| error <= 1.2e-2), "{printed}");
    let svg = fs::read_to_string(path).expect("a plot");
    assert!(svg.contains("output membrane (last:") && svg.contains("target (last: 0.748)"));
}

/// A few epochs of both recipes: what they write, and that they learn. A run that is cut in two ends with the
/// bits of a whole one.
#[test]
#[cfg(all(feature = "mnist", feature = "plot", feature = "safetensors"))]
fn braille_reads_letters_and_resumes() {
    if example::no_data() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_string();
    let read = |out: &str, file: &str| fs::read(format!("{}/{file}", path(out))).expect("a file");
    let text = |out: &str, file: &str| String::from_utf8(read(out, file)).expect("text");
    let (whole, half, saved) = (path("whole"), path("half"), path("saved"));
    let tutorial = |epochs: &str, rest: &[&str]| {
        let options = ["--recipe", "tutorial", "--seed", "3", "--epochs", epochs];
        run("braille", &[&options[..], rest].concat())
    };
    let printed = tutorial("4", &["--out", &whole]);
    for line in [
        "epoch   4/4  train loss ",
        "letter, and what it is taken for",
        "accuracy on 270 test sweeps ",
    ] {
        assert!(printed.contains(line), "{printed}");
    }
    tutorial("2", &["--out", &half, "--checkpoint", &saved]);
    let printed = tutorial(
        "4",
        &[
            "--out",
            &half,
            "--checkpoint",
            &saved,
            "--resume",
            "--quiet",
        ],
    );
    assert_eq!(printed, "");
    for file in [
        "model.safetensors",
        "history.csv",
        "confusion.csv",
        "raster.svg",
        "membranes.svg",
    ] {
        assert!(read("whole", file) == read("half", file), "{file}");
    }
    for file in ["loss.svg", "accuracy.svg", "learning_rate.svg"] {
        assert!(text("whole", file).starts_with("<svg"), "{file}");
    }

    // epoch, train_loss, train_accuracy, test_loss, test_accuracy
    let history = text("whole", "history.csv");
    let rows = history.lines().skip(1).map(|row| {
        row.split(',')
            .map(|x| x.parse().expect("a number"))
            .collect()
    });
    let rows: Vec<Vec<f64>> = rows.collect();
    let (first, last) = (&rows[0], &rows[3]);
    assert!(
        rows.len() == 4 && last[1] < first[1] && last[2] > first[2] && last[4] > 0.2,
        "{history}"
    );
    let summary: serde_json::Value =
        serde_json::from_str(&text("whole", "summary.json")).expect("JSON");
    assert_eq!(summary["test_accuracy"], last[4]);
    let constants = summary["time_constants_ms"].as_array().expect("a list");
    assert!(
        constants.len() == 5 && constants.iter().all(|c| c["learnt"] == false),
        "{summary:#}"
    );
    let network: spikegrad::Network =
        spikegrad::Network::load(path("whole/model.safetensors")).expect("a network");
    assert_eq!(network.sizes(), [4, 128, 200, 28]);

    // The own recipe learns time constants; several seeds have a folder each.
    let seeds = path("seeds");
    let printed = run(
        "braille",
        &["--epochs", "1", "--seeds", "2", "--out", &seeds],
    );
    assert!(printed.contains("2 seeds: mean accuracy "), "{printed}");
    let summary: serde_json::Value =
        serde_json::from_str(&text("seeds/seed-1", "summary.json")).expect("JSON");
    assert!(
        summary["time_constants_ms"]
            .to_string()
            .contains("\"learnt\":true"),
        "{summary:#}"
    );

    for (arguments, code, says) in [
        (
            vec!["--epochs", "0"],
            2,
            "expected a whole number from 1 to 100000",
        ),
        (
            vec!["--seeds", "2", "--checkpoint", &saved],
            2,
            "cannot be used with",
        ),
        (vec!["--data", &half], 1, "braille-taxels-idx3-ubyte.gz"),
        (
            vec!["--out", &whole, "--checkpoint", &saved],
            1,
            "--resume goes on from it",
        ),
        (
            vec!["--out", &whole, "--checkpoint", &saved, "--resume"],
            1,
            "expected",
        ),
    ] {
        let output = Command::new(built("braille")).args(&arguments).output();
        let output = output.expect("it starts");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(
            error.lines().count() == 1 && error.contains(says),
            "{error}"
        );
    }
}
