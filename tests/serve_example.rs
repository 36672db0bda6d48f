//! The example `serve` as a user meets it: with a network that it trains, with weights from a file, and with
//! weights of another shape.
#![cfg(feature = "safetensors")]

mod example;
mod skip;

use std::process::{Command, Output};

use spikegrad::{Leaky, Network};

fn serve(arguments: &[&str]) -> Output {
    let mut command = Command::new(example::built("serve"));
    command.args(arguments).output().expect("serve runs")
}

/// The number in the line that begins with `label`.
fn number(printed: &str, label: &str) -> f64 {
    let line = printed.lines().find(|line| line.starts_with(label));
    let line = line.unwrap_or_else(|| panic!("no line {label:?} in {printed}"));
    let words = line[label.len()..].split_whitespace();
    let mut numbers = words.filter_map(|word| word.parse().ok());
    numbers
        .next()
        .unwrap_or_else(|| panic!("no number in {line:?}"))
}

fn printed(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn eight_threads_share_a_network_that_it_trains() {
    let printed = printed(&serve(&[]));
    assert!(printed.starts_with("trained on 1280 images"), "{printed}");
    let answers = printed.lines().nth(1).expect("a second line");
    assert!(answers.ends_with("of 16000 answers are right"), "{answers}");
    let right = answers.split(' ').next().and_then(|n| n.parse().ok());
    assert!(right > Some(15_000), "it has learnt: {answers}");
    let latencies = ["50 %", "90 %", "99 %", "100 %"]
        .map(|percent| number(&printed, &format!("latency {percent:>5} ")));
    assert!(latencies[0] > 0.0 && latencies.is_sorted(), "{printed}");
    assert!(number(&printed, "throughput ") > 0.0);
}

#[test]
fn weights_come_from_a_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("model.safetensors");
    let path = file.to_str().expect("UTF-8");
    let save = |hidden: usize| {
        let builder = Network::<f32>::builder(784)
            .layer(hidden, Leaky::new(0.95))
            .layer(10, Leaky::new(0.95));
        let network: Network = builder.build().expect("a network");
        network.save_safetensors(path).expect("it is written");
    };
    save(1000);
    let printed = printed(&serve(&[path]));
    assert!(
        printed.starts_with(&format!("weights from {path}")),
        "{printed}"
    );
    assert!(number(&printed, "throughput ") > 0.0);

    save(999);
    let output = serve(&[path]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && error.contains("784 999 10"),
        "{error}"
    );
}
