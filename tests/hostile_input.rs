//! Files that are not what they say, and numbers that nothing can hold: every reader answers with an
//! error in one line, at once, and without the memory that they ask for.
#![cfg(all(feature = "mnist", feature = "safetensors", unix))]

#[allow(dead_code)]
mod peak;
mod runs;
mod skip;

use std::{
    fs::{self, File},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

use ndarray::{Array2, Array3};
use peak::peak;
use skip::skipped;
use spikegrad::{
    Adam, Adjoints, Checkpoint, CpuEngine, Dynamics, Engine, Error, Input, Leaky, Loss, Network,
    ReadOut, Record, Recording, ReferenceEngine, Trace,
    data::{Dataset, idx},
    engine::reference::{backward, forward},
    files,
    gradcheck::gradcheck,
    verify::Fixture,
};
use tempfile::TempDir;

/// Every reader of a file: its name, and what it says of one that it refuses.
type Reader = fn(&Path) -> Result<(), String>;

const READERS: [(&str, Reader); 8] = [
    ("read", |path| {
        files::read(path, 1 << 20).map(drop).map_err(text)
    }),
    ("images", |path| {
        idx::read_images(path).map(drop).map_err(text)
    }),
    ("labels", |path| {
        idx::read_labels(path).map(drop).map_err(text)
    }),
    ("data set", |path| {
        Dataset::from_idx(path, path).map(drop).map_err(text)
    }),
    ("weights", |path| {
        network(2).load_safetensors(path).map_err(text)
    }),
    ("network", |path| {
        Network::<f32>::load(path).map(drop).map_err(text)
    }),
    ("checkpoint", |path| {
        Checkpoint::read(path).map(drop).map_err(text)
    }),
    ("fixture", |path| {
        Fixture::load(path).map(drop).map_err(text)
    }),
];

fn text(error: Error) -> String {
    error.to_string()
}

fn network(inputs: usize) -> Network {
    let builder = Network::builder(inputs).layer(3, Leaky::new(0.9));
    builder.layer(2, Leaky::new(0.9)).build().unwrap()
}

/// Whether this system hands out memory that it does not have, whatever is asked for.
fn lends_anything() -> bool {
    let setting = fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap_or_default();
    let lends = setting.trim() == "1" || !cfg!(target_os = "linux");
    if lends {
        skipped("this system says yes to every request for memory");
    }
    lends
}

/// What each reader says of a file, and what it holds in memory meanwhile; a reader that waits for
/// what never comes fails the test.
#[track_caller]
fn refused(path: &Path, parts: &[&str], most: usize) {
    refused_by(&READERS, path, parts, most);
}

#[track_caller]
fn refused_by(readers: &[(&str, Reader)], path: &Path, parts: &[&str], most: usize) {
    for &(name, reader) in readers {
        let (send, answer) = mpsc::channel();
        let of = path.to_path_buf();
        thread::spawn(move || send.send(peak(|| reader(&of))));
        let answer = answer.recv_timeout(Duration::from_secs(60));
        let (result, held) =
            answer.unwrap_or_else(|_| panic!("{name} does not return from {}", path.display()));
        let message = result.expect_err(name);
        assert!(!message.contains('\n'), "{name}: {message}");
        assert!(
            message.contains(&path.display().to_string()),
            "{name}: {message}"
        );
        assert!(
            parts.is_empty() || parts.iter().any(|part| message.contains(part)),
            "{name}: {message}"
        );
        assert!(held < most, "{name} holds {held} bytes: {message}");
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn only_regular_files_are_read() {
    let dir = folder();
    let place = |name: &str| -> PathBuf { dir.path().join(name) };
    fs::create_dir(place("folder")).unwrap();
    refused(&place("folder"), &["a folder"], 1 << 16);
    let _socket = UnixListener::bind(place("socket")).unwrap();
    refused(&place("socket"), &["a socket"], 1 << 16);
    refused(Path::new("/dev/zero"), &["a device"], 1 << 16);
    match Command::new("mkfifo").arg(place("pipe")).status() {
        Ok(status) if status.success() => {
            refused(&place("pipe"), &["a named pipe"], 1 << 16);
        }
        other => skipped(format_args!("no mkfifo ({other:?})")),
    }
    refused(&place("nothing"), &["cannot read"], 1 << 16);
    std::os::unix::fs::symlink(place("link"), place("link")).unwrap();
    refused(&place("link"), &["cannot read"], 1 << 16);
}

/// A file of `length` bytes that takes no room on the disk, with this at its front.
fn sparse(path: &Path, front: &[u8], length: u64) -> bool {
    fs::write(path, front).unwrap();
    let file = File::options().write(true).open(path).unwrap();
    let made = file.set_len(length);
    if let Err(e) = &made {
        skipped(format_args!("no file of {length} bytes here ({e})"));
    }
    made.is_ok()
}

/// 2^31 images of 28 by 28, in a file of that length: nobody has memory for it.
#[test]
fn a_huge_file_is_not_read() {
    let (dir, header) = (
        folder(),
        [0x803_u32, 1 << 31, 28, 28].map(u32::to_be_bytes).concat(),
    );
    let path = dir.path().join("huge");
    if lends_anything() || !sparse(&path, &header, 16 + (1 << 31) * 784) {
        return;
    }
    refused(&path, &[], 1 << 17);
    for (name, part) in [("weights", "at most"), ("fixture", "at most")] {
        let (_, reader) = READERS.iter().find(|(known, _)| *known == name).unwrap();
        let message = reader(&path).unwrap_err();
        assert!(
            message.contains("length") && message.contains(part),
            "{message}"
        );
    }
    let message = text(idx::read_images(&path).unwrap_err());
    assert!(message.contains("not enough memory for its"), "{message}");
}

/// The network bounds the file: twice as long as all its parameters with their moments, or not.
#[test]
fn weights_are_as_large_as_their_network_allows() {
    let dir = folder();
    let path = dir.path().join("weights");
    network(2).save_safetensors(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    network(2).load_safetensors(&path).unwrap();
    assert!(sparse(&path, &whole, (16 << 20) + 4096));
    let error = network(2).load_safetensors(&path).unwrap_err();
    assert!(
        matches!(&error, Error::Format { what, .. } if what == "length"),
        "{error}"
    );
    // A longer file may belong to a larger network.
    let error = network(200).load_safetensors(&path).unwrap_err();
    assert!(
        matches!(&error, Error::Format { what, .. } if what == "length of the data"),
        "{error}"
    );
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_that_does_not_tell_its_length_is_refused() {
    refused(Path::new("/proc/self/status"), &[], 1 << 17);
    let error = files::read("/proc/self/status", 1 << 20).unwrap_err();
    assert!(
        matches!(&error, Error::Format { what, .. } if what == "length"),
        "{error}"
    );
}

/// A safetensors file with this header.
fn tensors(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

/// Headers that claim a length, a shape or a sum that is not there, or that would take a hundred
/// times their length once parsed.
#[test]
fn what_a_header_claims_is_not_allocated() {
    let dir = folder();
    let (_, parsers) = READERS.split_first().unwrap(); // the first takes bytes as they are
    let path = dir.path().join("file");
    let claims = |length: u64| [&length.to_le_bytes()[..], b"{}"].concat();
    let tensor = |shape: &str, from: u64, to: u64| {
        format!(r#"{{"dtype":"U8","shape":[{shape}],"data_offsets":[{from},{to}]}}"#)
    };
    // Eight tensors whose sizes add up to 2^64 − 8.
    let each = (1_u64 << 61) - 1;
    let parts = (0..8).map(|k| {
        let tensor = tensor(&each.to_string(), k * each, (k + 1) * each);
        format!(r#""t{k}":{tensor}"#)
    });
    let sum = format!("{{{}}}", parts.collect::<Vec<_>>().join(","));
    let max = u64::MAX.to_string();
    for file in [
        claims(3),
        claims(100_000_000),
        claims(1 << 63),
        claims(u64::MAX),
        claims(u64::MAX - 7),
        tensors(&format!(
            r#"{{"fc1.weight":{}}}"#,
            tensor(&max, 0, u64::MAX)
        )),
        tensors(&format!(r#"{{"fc1.weight":{}}}"#, tensor("3,2", 0, 24))),
        tensors(&sum),
    ] {
        fs::write(&path, &file).unwrap();
        refused_by(parsers, &path, &[], 1 << 18);
    }
    // Four megabytes of numbers, of brackets, of empty objects.
    for (open, part, close) in [("[0", ",0", "]"), ("[", "[", "]"), ("[{}", ",{}", "]")] {
        let list = format!("{open}{}{close}", part.repeat((4 << 20) / part.len()));
        fs::write(&path, tensors(&format!(r#"{{"t":{list}}}"#))).unwrap();
        refused_by(parsers, &path, &[], 16 << 20);
    }
}

/// Metadata of a fixture that ask for more than the file has.
#[test]
fn a_fixture_of_claims_is_refused() {
    let dir = folder();
    let path = dir.path().join("claims.safetensors");
    let fixture = |sizes: &str, steps: &str| {
        let header = format!(
            r#"{{"__metadata__":{{"sizes":"{sizes}","num_steps":"{steps}","beta":"[0.5]","threshold":"[1.0]","surrogate":"\"atan\"","dynamics":"\"fire_then_integrate\"","reset":"\"subtract\""}}}}"#
        );
        tensors(&header)
    };
    let max = usize::MAX;
    let long = "[0".to_string() + &",0".repeat(600_000) + "]";
    let half = "[0".to_string() + &",0".repeat(400_000) + "]";
    for (sizes, steps, part) in [
        (
            format!("[{max},{max}]"),
            "1".to_string(),
            "fc1.weight is missing",
        ),
        ("[2,1]".into(), format!("{max}"), "fc1.weight is missing"),
        ("[2,1]".into(), format!("{max}0"), "expected a whole number"),
        (long, "1".into(), "expected at most 1048576"),
        (half, "1".into(), "expected 400000"),
        ("{".repeat(1 << 19), "1".into(), "expected JSON"),
    ] {
        fs::write(&path, fixture(&sizes, &steps)).unwrap();
        let (result, held) = peak(|| Fixture::load(&path).map(drop).map_err(text));
        let message = result.unwrap_err();
        assert!(
            message.contains(part),
            "{}",
            &message[..message.len().min(300)]
        );
        assert!(held < 64 << 20, "{held} bytes");
    }
}

/// Steps, batches and neurons whose product no machine can hold, in every method that takes them.
#[test]
fn what_memory_cannot_hold_is_an_error() {
    if lends_anything() {
        return;
    }
    let x = Array2::from_elem((3, 2), 0.5_f32);
    let (network, adam) = (network(2), Adam::new(1e-3));
    let loss = Loss::CrossEntropyMembrane;
    let engines: [Box<dyn Engine>; 2] = [
        Box::new(CpuEngine::new(network.clone(), loss.clone(), adam).unwrap()),
        Box::new(ReferenceEngine::new(network.clone(), loss, adam).unwrap()),
    ];
    for mut engine in engines {
        let name = engine.describe();
        for steps in [usize::MAX, usize::MAX / 2, 1 << 62, 1 << 50, 1 << 40] {
            let input = Input::constant(x.view(), steps);
            let mut classes = [0; 3];
            let results = [
                engine.forward(input, &Record::Output).map(drop),
                engine.forward(input, &Record::All).map(drop),
                engine.classify(input, ReadOut::Membrane, &mut classes),
                engine.evaluate(input.classes(&[0; 3])).map(drop),
                engine.gradients(input.classes(&[0; 3])).map(drop),
                engine.train_step(input.classes(&[0; 3])).map(drop),
            ];
            for result in results {
                match result.expect_err(&name) {
                    Error::OutOfMemory { what: name, .. } => {
                        assert!(name.starts_with("num_steps"), "{name}");
                    }
                    other => panic!("{name}: {other}"),
                }
            }
        }
        // One sample would fit, the batch does not: it is the recording that is refused.
        let many = Array2::from_elem((1 << 17, 2), 0.5_f32);
        let error = engine.forward(Input::constant(many.view(), 1 << 22), &Record::All);
        let error = error.expect_err("a recording of 2^40 spikes");
        assert!(
            matches!(&error, Error::OutOfMemory { what, .. } if what.contains("batch")),
            "{error}"
        );
        // And it still works.
        engine
            .train_step(Input::constant(x.view(), 4).classes(&[0; 3]))
            .unwrap();
    }
    let x = Array2::from_elem((3, 2), 0.5_f64);
    let input = Input::constant(x.view(), usize::MAX);
    let network: Network<f64> = network.cast();
    assert!(gradcheck(&network, input, &[0; 3], Loss::CrossEntropyMembrane).is_err());

    for (inputs, neurons) in [
        (usize::MAX, usize::MAX),
        (usize::MAX, 1),
        (1, usize::MAX),
        (1 << 32, 1),
        (1 << 31, 4),
        (1 << 20, 1 << 13),
    ] {
        let builder = Network::builder(inputs).layer(neurons, Leaky::new(0.9));
        let error = builder.build::<f32>().expect_err("weights of 128 GiB");
        assert!(
            matches!(&error, Error::InvalidParameter { name: what, .. } | Error::OutOfMemory { what, .. } if what.starts_with("layer 1")),
            "{error}"
        );
    }
}

/// A trace keeps the membranes before a reset out of sight: they have to fit what is in sight.
#[test]
fn a_trace_put_together_wrongly_is_refused() {
    let neuron = Leaky::new(0.9).dynamics(Dynamics::IntegrateFireReset);
    let network: Network = Network::builder(2).layer(2, neuron).build().unwrap();
    let x = Array2::from_elem((3, 2), 0.5);
    let (long, short) = (Input::constant(x.view(), 5), Input::constant(x.view(), 4));
    let mut trace: Trace = forward(&network, short).unwrap().output().clone();
    trace.spk = Array3::zeros((5, 3, 2));
    trace.mem = Array3::zeros((5, 3, 2));
    let adjoints = Adjoints::output(1, None, Some(Array3::ones((5, 3, 2))));
    let recording = Recording::new(Vec::new(), trace);
    let error = backward(&network, long, &recording, &adjoints).unwrap_err();
    assert!(
        matches!(&error, Error::Shape { found, .. } if found == &[4, 3, 2]),
        "{error}"
    );
}

/// What is read is held as bytes, as text or tensors, and as what is made of them; not more often.
#[test]
fn a_reader_holds_a_few_times_what_a_file_is_long() {
    let dir = folder();
    let path = dir.path().join("file");
    let most = |times: usize| times * fs::metadata(&path).unwrap().len() as usize;

    let builder = Network::builder(500).layer(2000, Leaky::new(0.9));
    let mut network: Network = builder.layer(2, Leaky::new(0.9)).build().unwrap();
    network.save_safetensors(&path).unwrap();
    let (result, held) = peak(|| network.load_safetensors(&path));
    result.unwrap();
    assert!(held <= most(4), "weights: {held} bytes");
    let (result, held) = peak(|| Network::<f32>::load(&path));
    assert_eq!(result.unwrap(), network);
    assert!(held <= most(4), "a network: {held} bytes");

    // A decay for each neuron, as text: more of it than there are weights.
    let builder = Network::builder(1).layer(300_000, Leaky::new(vec![1.0 / 3.0; 300_000]));
    let mut described: Network = builder.build().unwrap();
    described.save_safetensors(&path).unwrap();
    let (result, held) = peak(|| described.load_safetensors(&path));
    result.unwrap();
    assert!(held <= most(6), "constants: {held} bytes");
    let (result, held) = peak(|| Network::<f32>::load(&path));
    assert_eq!(result.unwrap(), described);
    assert!(held <= most(6), "constants: {held} bytes");

    let mut checkpoint = runs::after(3);
    let record = checkpoint.history.batches[0].clone();
    checkpoint.history.batches = (0..50_000)
        .map(|batch| {
            let mut record = record.clone();
            record.batch = batch;
            record
        })
        .collect();
    checkpoint.position = checkpoint.history.position();
    let bytes = checkpoint.to_bytes().unwrap();
    fs::write(&path, &bytes).unwrap();
    let (result, held) = peak(|| Checkpoint::read(&path));
    assert_eq!(result.unwrap().history.batches.len(), 50_000);
    assert!(held <= most(5), "a long history: {held} bytes");

    // Layers that are nowhere but in the list of their sizes.
    let sizes = format!("\"6 3 {}2\"", "1 ".repeat(1 << 22));
    fs::write(&path, runs::edited(&bytes, "\"6 3 2\"", &sizes)).unwrap();
    let (result, held) = peak(|| Checkpoint::read(&path));
    assert!(result.unwrap_err().to_string().contains("network.sizes"));
    assert!(held <= most(6), "a list of sizes: {held} bytes");
}
