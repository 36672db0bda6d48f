//! The example under `mpirun`, as its users run it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
    thread,
    time::{Duration, Instant},
};

use tempfile::tempdir;

use crate::{
    example,
    kills::{Random, kills},
    launch::{finish, here, mpirun, ranks, start},
};

const OPTIONS: &str = "--epochs 2 --limit 512 --batch-size 16 --hidden 64 --steps 5 --patience 20 --keep-best --device cpu";
const FILES: [&str; 6] = [
    "history.csv",
    "loss.svg",
    "accuracy.svg",
    "gradients.svg",
    "raster.svg",
    "model.safetensors",
];

/// The example on some processes; 0 for one without `mpirun`.
fn command(processes: usize, options: &str, out: &Path, checkpoints: Option<&Path>) -> Command {
    let mut command = match processes {
        0 => example::example(),
        _ => {
            let mut command = mpirun();
            command.current_dir(env!("CARGO_MANIFEST_DIR"));
            command
                .args(["-n", &processes.to_string()])
                .arg(example::binary());
            command
        }
    };
    command
        .args(options.split_whitespace())
        .arg("--out")
        .arg(out);
    if processes == 0 {
        command.args(["--shards", "8"]);
    }
    if let Some(dir) = checkpoints {
        command
            .args(["--checkpoint-every", "1", "--checkpoint"])
            .arg(dir);
    }
    command
}

fn run(processes: usize, options: &str, out: &Path, checkpoints: Option<&Path>) -> Output {
    finish(start(&mut command(processes, options, out, checkpoints)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn results(out: &Path) -> [Vec<u8>; 6] {
    FILES.map(|name| fs::read(out.join(name)).expect("results"))
}

/// Waits until a checkpoint is written.
fn wait_for(file: &Path, child: &mut Child) {
    let started = Instant::now();
    while !file.exists() {
        assert!(child.try_wait().expect("it runs").is_none(), "it has ended");
        assert!(started.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(2));
    }
}

/// Folders of one test.
fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = tempdir().expect("a temporary folder");
    let (out, saved) = (dir.path().join("out"), dir.path().join("saved"));
    (dir, out, saved)
}

fn kill(pid: u32, signal: &str) {
    let mut command = Command::new("kill");
    let status = command.args([signal, &pid.to_string()]).status();
    status.expect("kill is installed");
}

/// Files are the same for 1, 2, 4 and 8 processes, and for one without `mpirun`; a run in which a rank is
/// killed ends, its last checkpoint is whole, and any other number of processes goes on to the same files.
#[test]
fn runs_go_on_with_any_number_of_processes() {
    if here() || example::no_data() {
        return;
    }
    let (_dir, out, _) = folders();
    let started = Instant::now();
    succeeds(&run(0, OPTIONS, &out, None));
    let expected = results(&out);
    for processes in [1, 2, 4, 8] {
        fs::remove_dir_all(&out).expect("results");
        let output = run(processes, OPTIONS, &out, None);
        succeeds(&output);
        assert!(results(&out) == expected, "{processes} processes");
        let said = text(&output.stdout);
        assert_eq!(
            said.matches("epoch 2/2").count(),
            1,
            "rank 0 alone reports: {said}"
        );
        let line = match processes {
            1 => "1 process, 8 shards a batch".to_string(),
            _ => format!("{processes} processes, 8 shards a batch"),
        };
        assert!(said.contains(&line), "{said}");
    }
    eprintln!("five runs in {:.1} s", started.elapsed().as_secs_f64());
    let (mut random, counts) = (Random::new(), [0, 1, 2, 4, 8]);
    let (mut killed, mut places) = (0, Vec::new());
    while killed < kills(3) {
        let (_dir, out, saved) = folders();
        let processes = counts[1 + random.below(4)];
        let options = format!("{OPTIONS} --resume");
        let mut child = start(&mut command(processes, &options, &out, Some(&saved)));
        wait_for(&saved.join("checkpoint.lock"), &mut child);
        thread::sleep(Duration::from_millis(random.below(1200) as u64));
        let pids = ranks(child.id());
        if let Some(pid) = pids.get(random.below(processes)) {
            kill(*pid, "-KILL");
        }
        let output = finish(child);
        if output.status.success() {
            continue; // too late
        }
        killed += 1;
        let found = spikegrad::Checkpoint::load(&saved).expect("a whole one, or none");
        places.push(found.map_or(0, |found| {
            assert_eq!(found.warning, None, "a killed process damages nothing");
            found.checkpoint.history.batches.len()
        }));
        let mut other = processes;
        while other == processes {
            other = counts[random.below(5)];
        }
        let output = run(other, &options, &out, Some(&saved));
        succeeds(&output);
        assert!(
            results(&out) == expected,
            "{processes} processes, killed after {places:?}, then {other}"
        );
    }
    places.sort_unstable();
    eprintln!("{killed} kills at batches {places:?} of 64");
}

#[test]
fn signals_to_mpirun_save_once() {
    if here() || example::no_data() {
        return;
    }
    for signal in ["-INT", "-TERM"] {
        let (_dir, out, saved) = folders();
        let options = OPTIONS.replace("--epochs 2", "--epochs 500");
        let mut child = start(&mut command(4, &options, &out, Some(&saved)));
        wait_for(&saved.join("checkpoint.safetensors"), &mut child);
        kill(child.id(), signal);
        let output = finish(child);
        assert!(!output.status.success());
        let said = text(&output.stderr);
        assert_eq!(
            said.matches("stopped: by SIGTERM").count(),
            1,
            "{signal}: {said}"
        );
        assert_eq!(said.matches("error:").count(), 0, "{said}");
        let found = spikegrad::Checkpoint::load(&saved).expect("a whole one");
        let found = found.expect("a checkpoint");
        assert_eq!(found.warning, None);
        assert!(found.checkpoint.history.batches.len() > 1);
    }
}

/// Whether a run with other options, or other data, on one rank ends with a line that says so.
#[test]
fn other_options_and_other_data_are_refused() {
    if here() || example::no_data() {
        return;
    }
    let (dir, out, _) = folders();
    // The same images but for one pixel.
    let other = dir.path().join("data");
    fs::create_dir(&other).expect("a folder");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist");
    for entry in fs::read_dir(&data).expect("data") {
        let path = entry.expect("a file").path();
        fs::copy(&path, other.join(path.file_name().expect("a name"))).expect("a copy");
    }
    let images = spikegrad::data::MnistFiles::find(&other, None).expect("files");
    let mut changed = false;
    for entry in fs::read_dir(&other).expect("data") {
        let path = entry.expect("a file").path();
        let name = path.to_string_lossy().into_owned();
        if name.contains("t10k") && name.contains("labels") {
            let test = fs::read_dir(&data).expect("data").find_map(|entry| {
                let path = entry.ok()?.path();
                let name = path.to_string_lossy().into_owned();
                (name.contains("t10k") && name.contains("labels")).then_some(path)
            });
            let bytes = fs::read(test.expect("labels")).expect("labels");
            let mut labels = decompressed(&bytes);
            let last = labels.len() - 1;
            labels[last] = (labels[last] + 1) % 10;
            fs::remove_file(&path).expect("a copy");
            fs::write(path.with_extension(""), labels).expect("labels");
            changed = true;
        }
    }
    drop(images);
    assert!(changed);
    let rank = |options: &str, data: &Path| {
        let mut words: Vec<String> = vec!["-n".into(), "1".into()];
        words.push(example::binary().display().to_string());
        words.extend(
            OPTIONS
                .split_whitespace()
                .chain(options.split_whitespace())
                .map(String::from),
        );
        words.extend(["--out".into(), out.display().to_string()]);
        words.extend(["--data".into(), data.display().to_string()]);
        words
    };
    let two = |second: Vec<String>| {
        let mut command = mpirun();
        command.args(rank("", &data)).arg(":").args(second);
        let output = finish(start(&mut command));
        assert!(!output.status.success());
        text(&output.stderr)
    };
    let said = two(rank("--lr 0.1", &data));
    assert_eq!(
        said.matches("error: rank 1: the command line is").count(),
        1,
        "{said}"
    );
    let said = two(rank("", &other));
    assert!(said.contains("error: rank 1: pixels_crc32 is "), "{said}");
    // What is wrong on every rank is said once.
    let said = text(&run(4, "--epochs 0", &out, None).stderr);
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    let said = text(&run(4, "--limit 3", &out, None).stderr);
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    let said = text(&run(3, OPTIONS, &out, None).stderr);
    assert!(
        said.contains("number of processes is 3; expected a number that divides"),
        "{said}"
    );
}

/// A file's content, gzipped or not.
fn decompressed(bytes: &[u8]) -> Vec<u8> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let dir = tempdir().expect("a temporary folder");
        let file = dir.path().join("labels.gz");
        fs::write(&file, bytes).expect("a file");
        let output = Command::new("gzip").args(["-dc"]).arg(&file).output();
        return output.expect("gzip is installed").stdout;
    }
    bytes.to_vec()
}

#[test]
fn sweeps_end_with_a_table() {
    if here() || example::no_data() {
        return;
    }
    let (_dir, out, _) = folders();
    let options = "--epochs 1 --limit 256 --batch-size 32 --hidden 16 --steps 5 --device cpu --seeds 0..2 --sweep lr=1e-3,2e-3";
    let output = run(3, options, &out, None);
    succeeds(&output);
    let said = text(&output.stdout);
    for expected in ["lr 1e-3: 3 runs", "lr 2e-3: 3 runs", " ± ", "run 6/6"] {
        assert!(said.contains(expected), "{said}");
    }
    let csv = fs::read_to_string(out.join("sweep.csv")).expect("a table");
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 7, "{csv}");
    assert!(lines[0].starts_with("lr,seed,test_loss,"), "{csv}");
    assert!(
        lines[1].starts_with("1e-3,0,") && lines[6].starts_with("2e-3,2,"),
        "{csv}"
    );
    // Each is what it is on its own.
    let alone = tempdir().expect("a temporary folder");
    let mut command = example::example();
    let own = "--epochs 1 --limit 256 --batch-size 32 --hidden 16 --steps 5 --device cpu --seed 1 --lr 2e-3 --quiet";
    command
        .args(own.split_whitespace())
        .arg("--out")
        .arg(alone.path());
    succeeds(&finish(start(&mut command)));
    let model = |dir: &Path| fs::read(dir.join("model.safetensors")).expect("weights");
    assert!(model(alone.path()) == model(&out.join("lr-2e-3_seed-1")));
    let wrong = text(&run(2, "--seeds 3..1", &out, None).stderr);
    assert!(
        wrong.contains("error: --seeds is 3..1; expected two numbers"),
        "{wrong}"
    );
    let wrong = text(&run(2, "--sweep lr=1e-3,often", &out, None).stderr);
    assert!(wrong.contains("error: the run with lr often: "), "{wrong}");
}
