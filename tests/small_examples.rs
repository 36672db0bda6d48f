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
