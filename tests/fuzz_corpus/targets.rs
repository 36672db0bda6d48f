//! What each fuzz target does with its bytes: shared by `fuzz/` and by the test beside it, which
//! replays corpora and crashers.
//!
//! A target panics where a promise is broken: a reader that accepts nonsense, an engine that calls a
//! NaN a loss. That the code does not panic, hang or allocate on its own is the fuzzer's to see.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::Parser;
use flate2::{Compression, Crc, write::GzEncoder};
use ndarray::{Array1, Array2, Array3};
use spikegrad::{
    Adam, Checkpoint, CpuEngine, Device, Dynamics, Engine, Error, Input, Leaky, Loss, Mismatch,
    Network, Objective, ReadOut, Record, ReferenceEngine, Reset, Surrogate,
    data::{Mnist, MnistFiles, idx},
    neuron::Neurons,
    verify::Fixture,
};

use crate::{args, verify_args};

/// A target: the bytes, and a file that it may write.
pub type Target = fn(&[u8], &Path);

/// Every target by its name, which is that of its folders in `fuzz/corpus` and `fuzz/crashers`.
pub const TARGETS: [(&str, Target); 9] = [
    ("idx", idx),
    ("gzip", gzip),
    ("mapping", mapping),
    ("names", names),
    ("weights", weights),
    ("fixture", fixture),
    ("checkpoint", checkpoint),
    ("arguments", arguments),
    ("engine", engine),
];

/// The bytes as an idx file, as it is.
pub fn idx(bytes: &[u8], file: &Path) {
    fs::write(file, bytes).unwrap();
    match idx::read_images(file) {
        Ok(images) => assert!(!images.is_empty()),
        Err(error) => assert_clear(&error),
    }
    match idx::read_labels(file) {
        Ok(labels) => assert!(!labels.is_empty()),
        Err(error) => assert_clear(&error),
    }
}

/// The bytes but the first two as an idx file, zipped into members cut where the second says: a
/// whole gzip file of broken content. An odd first byte damages the file at that place; 2, 6, 10, … put
/// so many zeros behind it.
pub fn gzip(bytes: &[u8], file: &Path) {
    let [damage, cut, content @ ..] = bytes else {
        return;
    };
    let (first, second) = content.split_at(content.len().min(usize::from(*cut)));
    let mut packed = Vec::new();
    for member in [first, second] {
        let mut encoder = GzEncoder::new(&mut packed, Compression::fast());
        encoder.write_all(member).unwrap();
        encoder.finish().unwrap();
    }
    if damage % 2 == 1 {
        let place = usize::from(*damage) * 31 % packed.len();
        packed[place] ^= cut | 1;
    } else if damage % 4 == 2 {
        packed.resize(packed.len() + usize::from(*damage), 0);
    }
    idx(&packed, file);
}

/// A data set with the mapping that the first byte gives the length of, and all other bytes as labels.
pub fn mapping(bytes: &[u8], file: &Path) {
    let Some((&length, rest)) = bytes.split_first() else {
        return;
    };
    let (mapping, labels) = rest.split_at(rest.len().min(usize::from(length)));
    let folder = Folder::new(file);
    let count = labels.len() as u32;
    let images = [0x803, count, 1, 1].map(u32::to_be_bytes).concat();
    let header = [0x801, count].map(u32::to_be_bytes).concat();
    for part in ["train", "test"] {
        folder.write(
            &format!("emnist-x-{part}-images-idx3-ubyte"),
            &[&images, labels].concat(),
        );
        folder.write(
            &format!("emnist-x-{part}-labels-idx1-ubyte"),
            &[&header, labels].concat(),
        );
    }
    folder.write("emnist-x-mapping.txt", mapping);
    match Mnist::load(&folder.0) {
        Ok(Mnist { train, test }) => {
            assert_eq!(train, test);
            let below = |&label: &u8| usize::from(label) < train.classes();
            assert!(train.labels().iter().all(below));
            assert_eq!(train.labels().len(), labels.len());
        }
        Err(error) => {
            assert!(matches!(error, Error::Format { .. }), "{error}");
            assert_clear(&error);
        }
    }
}

/// A folder with empty files of these names, one a line, and the choice of a data set in the first.
pub fn names(bytes: &[u8], file: &Path) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let split = lines.next().filter(|split| !split.is_empty());
    let folder = Folder::new(file);
    for name in lines.take(100) {
        let usual = !name.contains(['/', '\0']) && !["", ".", ".."].contains(&name);
        if usual && name.len() < 256 {
            folder.write(name, b"");
        }
    }
    match MnistFiles::find(&folder.0, split) {
        Ok(files) => {
            let paths = [
                &files.train_images,
                &files.train_labels,
                &files.test_images,
                &files.test_labels,
            ];
            assert!(paths.iter().all(|path| path.is_file()));
            // They are empty.
            assert_clear(&files.load().unwrap_err());
        }
        Err(error) => assert_clear(&error),
    }
}

/// A folder that is gone in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(file: &Path) -> Folder {
        let path = file.with_extension("folder");
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.join(name), bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The bytes as a weights file: of small networks, and of the network that it describes itself.
pub fn weights(bytes: &[u8], file: &Path) {
    let build = |learn| {
        Network::builder(2)
            .layer(3, Leaky::new(0.9).learn_beta(learn))
            .layer(2, Leaky::new(vec![0.5, 1.0]).learn_threshold(learn))
            .build::<f32>()
            .unwrap()
    };
    for start in [build(false), build(true)] {
        for mismatch in [Mismatch::Refuse, Mismatch::TakeOver, Mismatch::Keep] {
            fs::write(file, bytes).unwrap();
            let mut network = start.clone();
            match network.load_safetensors_with(file, mismatch) {
                Ok(()) => {
                    if mismatch != Mismatch::TakeOver {
                        let neurons = |n: &Network| -> Vec<Neurons> {
                            n.layers().iter().map(|l| l.neuron().clone()).collect()
                        };
                        assert_eq!(neurons(&network), neurons(&start));
                    }
                    loads_again(&network, file);
                }
                Err(error) => {
                    assert_clear(&error);
                    assert_eq!(network, start);
                }
            }
        }
    }
    fs::write(file, bytes).unwrap();
    match Network::<f32>::load(file) {
        Ok(network) => loads_again(&network, file),
        Err(error) => assert_clear(&error),
    }
}

/// A network that was loaded is sound: its numbers are finite, and a file of it is it again.
fn loads_again(network: &Network, file: &Path) {
    let finite =
        |(_, values): &(String, ndarray::ArrayViewD<'_, f32>)| values.iter().all(|x| x.is_finite());
    assert!(network.parameters().iter().all(finite));
    network.save_safetensors(file).unwrap();
    let mut again = network.clone();
    again.load_safetensors(file).unwrap();
    assert_eq!(&again, network);
    assert_eq!(&Network::load(file).unwrap(), network);
    let (loss, adam) = (Loss::CrossEntropyMembrane, Adam::new(1e-3));
    let mut engine = CpuEngine::new(again, loss, adam).unwrap();
    let x = Array2::from_elem((1, network.inputs()), 1.0);
    match engine.forward(Input::constant(x.view(), 2), &Record::Output) {
        Ok(_) => {}
        Err(error) => assert_clear(&error),
    }
}

/// The bytes as a fixture: by the network that it describes, and by one of the program's.
pub fn fixture(bytes: &[u8], file: &Path) {
    fs::write(file, bytes).unwrap();
    let fixture = match Fixture::load(file) {
        Ok(fixture) => fixture,
        Err(error) => {
            assert!(error.to_string().contains("file"), "no path in: {error}");
            return assert_clear(&error);
        }
    };
    let own = Network::builder(5).layer(6, Leaky::snntorch(0.9));
    let own: Network<f64> = own.layer(3, Leaky::snntorch(0.9)).build().unwrap();
    for network in [fixture.network(), Some(&own)].into_iter().flatten() {
        let (objective, adam) = (fixture.objective(), fixture.adam());
        let checked = fixture.fill(network).and_then(|filled| {
            let mut engine = ReferenceEngine::new(filled, objective, adam)?;
            // Many updates take their time.
            match fixture.updates() {
                0..10 => fixture.check(&mut engine).map(drop),
                _ => Ok(()),
            }
        });
        if let Err(error) = checked {
            assert_clear(&error);
        }
    }
}

/// The bytes as a checkpoint: as they are, and with the checksum that they should have, so that what
/// stands behind it is reached.
pub fn checkpoint(bytes: &[u8], file: &Path) {
    let mut mended = bytes.to_vec();
    mend(&mut mended);
    for bytes in [bytes, &mended] {
        fs::write(file, bytes).unwrap();
        let read = Checkpoint::read(file);
        match (Checkpoint::from_bytes(bytes), &read) {
            (Ok(checkpoint), Ok(_)) => {
                // What was read is written and read again: the same bytes.
                let written = checkpoint.to_bytes().unwrap();
                let again = Checkpoint::from_bytes(&written).unwrap();
                assert_eq!(again.to_bytes().unwrap(), written);
                assert_eq!(again.configuration(), checkpoint.configuration());
                if let Err(error) = checkpoint.engine(Device::Cpu) {
                    assert_clear(&error);
                }
            }
            (Err(error), Err(_)) => assert_clear(&error),
            (bytes, file) => panic!("{bytes:?} of bytes, {file:?} of a file with them"),
        }
    }
}

/// Puts the right checksum where one stands: the CRC-32 of every other byte of the file.
fn mend(bytes: &mut [u8]) {
    const MARK: &[u8] = br#""crc32":""#;
    let Some(mark) = bytes.windows(MARK.len()).position(|part| part == MARK) else {
        return;
    };
    let digits = mark + MARK.len()..mark + MARK.len() + 8;
    if digits.end <= bytes.len() {
        let mut crc = Crc::new();
        crc.update(&bytes[..digits.start]);
        crc.update(&bytes[digits.end..]);
        bytes[digits].copy_from_slice(format!("{:08x}", crc.sum()).as_bytes());
    }
}

/// The bytes' lines as the command line of both examples, and as each value that is parsed.
pub fn arguments(bytes: &[u8], _: &Path) {
    let text = String::from_utf8_lossy(bytes);
    let words = || text.split('\n').take(64);
    if let Ok(args) = args::Args::try_parse_from(["mnist"].into_iter().chain(words())) {
        assert!((1..=100_000).contains(&args.epochs) && args.batch_size >= 1);
        assert!((0.0..=1.0).contains(&args.beta) && args.threshold > 0.0);
        if let Ok(optimizer) = args.optimizer.optimizer(1000) {
            optimizer
                .check()
                .expect("options in range make an optimizer in range");
        }
        assert!((1..=16).contains(&args.hidden.0.len()) && !args.hidden.0.contains(&0));
        assert!((1..=10_000).contains(&args.steps));
    }
    if let Ok(args) = verify_args::Args::try_parse_from(["verify"].into_iter().chain(words())) {
        assert!(!args.files.is_empty());
        assert!(args.tolerance.is_none_or(|x| x >= 0.0 && x.is_finite()));
    }
    for word in words() {
        if let Ok(device) = Device::from_str(word) {
            assert_eq!(Device::from_str(&device.to_string()).unwrap(), device);
        }
    }
}

/// The bytes as a small network, an input and settings; what they say is trained and run by the
/// fast engine and by the reference.
pub fn engine(bytes: &[u8], _: &Path) {
    let mut from = Bytes(bytes);
    let Ok(network) = network(&mut from) else {
        return;
    };
    let (steps, batch) = (from.below(7), from.below(5));
    let shape = (steps.max(1), batch, network.inputs() + from.rarely());
    let sequence = Array3::from_shape_simple_fn(shape, || from.value());
    let constant = sequence.index_axis(ndarray::Axis(0), 0).to_owned();
    let input = match from.below(2) {
        0 => Input::constant(constant.view(), steps),
        _ => Input::sequence(sequence.view()),
    };
    let targets: Vec<usize> = (0..batch + from.rarely())
        .map(|_| {
            let classes = network.outputs() + from.rarely();
            from.below(classes)
        })
        .collect();
    let objective = objective(&mut from);
    let adam = Adam::new(f64::from(from.byte()) / 64.0);

    let mut cpu = CpuEngine::new(network.clone(), objective.clone(), adam);
    let mut reference = ReferenceEngine::new(network, objective, adam);
    let engines: [Option<&mut dyn Engine>; 2] = [
        cpu.as_mut().ok().map(|engine| engine as _),
        reference.as_mut().ok().map(|engine| engine as _),
    ];
    for engine in engines.into_iter().flatten() {
        run(engine, input, &targets);
    }
}

fn run(engine: &mut dyn Engine, input: Input<'_>, targets: &[usize]) {
    let mut classes = vec![usize::MAX; input.batch()];
    match engine.classify(input, ReadOut::Membrane, &mut classes) {
        Ok(()) => assert!(classes.iter().all(|class| *class != usize::MAX)),
        Err(error) => assert_clear(&error),
    }
    match engine.forward(input, &Record::All) {
        Ok(recording) => {
            let spikes = &recording.output().spk;
            assert_eq!(spikes.len_of(ndarray::Axis(1)), input.batch());
            assert!(spikes.iter().all(|&s| s == 0.0 || s == 1.0));
        }
        Err(error) => assert_clear(&error),
    }
    match engine.gradients(input.classes(targets)) {
        Ok((loss, gradients)) => assert!(loss.is_finite() && gradients.norm() >= 0.0),
        Err(error) => assert_clear(&error),
    }
    let mut spoilt = false;
    for _ in 0..3 {
        let before = engine.to_network().unwrap();
        match engine.train_step(input.classes(targets)) {
            Ok(report) => assert!(report.loss.is_finite()),
            // The update itself was too large for a number: the one error that comes too late, once.
            Err(Error::NonFinite { what, .. }) if what.contains(" after update ") => {
                assert!(!spoilt, "{what}, a second time");
                spoilt = true;
            }
            Err(error) => {
                assert_clear(&error);
                assert_same(&engine.to_network().unwrap(), &before);
            }
        }
    }
}

/// The same bits, NaN included.
fn assert_same(a: &Network, b: &Network) {
    for ((name, a), (_, b)) in a.parameters().iter().zip(&b.parameters()) {
        let same = a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(same, "a step that failed has changed {name}");
    }
}

fn network(from: &mut Bytes<'_>) -> Result<Network, Error> {
    let mut sizes: Vec<usize> = (0..2 + from.below(3)).map(|_| from.size()).collect();
    let mut builder = Network::builder(sizes.remove(0)).seed(u64::from(from.byte()));
    for &neurons in &sizes {
        let pick = from.byte();
        let x = f64::from(from.byte()) / 64.0;
        let leaky = Leaky::new(f64::from(from.byte()) / 255.0)
            .threshold(x)
            .dynamics(match pick % 3 {
                0 => Dynamics::FireThenIntegrate,
                1 => Dynamics::IntegrateThenFire,
                _ => Dynamics::IntegrateFireReset,
            })
            .reset(match pick / 3 % 3 {
                0 => Reset::Subtract,
                1 => Reset::Zero,
                _ => Reset::None,
            })
            .detach_reset(pick & 1 == 0)
            .learn_beta(pick & 2 == 0)
            .learn_threshold(pick & 4 == 0)
            .surrogate(match pick / 9 % 5 {
                0 => Surrogate::Arctan { alpha: x },
                1 => Surrogate::FastSigmoid { slope: x },
                2 => Surrogate::Sigmoid { slope: x },
                3 => Surrogate::Triangular,
                _ => Surrogate::StraightThrough,
            });
        builder = builder.layer(neurons, leaky);
    }
    let mut network: Network = builder.build().inspect_err(assert_clear)?;
    if from.below(4) == 0 {
        // Any bits at all, past the door that set_parameter keeps.
        for (name, mut values) in network.parameters_mut() {
            let (n, place) = (values.len(), usize::from(from.byte()));
            if let Some(value) = values.iter_mut().nth(place % n) {
                *value = match name.starts_with("fc") {
                    true => from.value(),
                    false => f32::from(from.byte()) / 255.0 + 1e-6,
                };
            }
        }
        let row = Array1::from_elem(2, from.value()).into_dyn();
        if let Err(error) = network.set_parameter("fc1.bias", row.view()) {
            assert_clear(&error);
        }
        let block: Array2<f32> = Array2::from_elem((1, 2), from.value());
        if let Err(error) = network.set_parameter("fc2.weight", block.view().into_dyn()) {
            assert_clear(&error);
        }
    }
    Ok(network)
}

fn objective(from: &mut Bytes<'_>) -> Objective {
    let (a, b) = (f64::from(from.value()), f64::from(from.byte()) / 200.0);
    let loss = match from.below(6) {
        0 => Loss::CrossEntropyMembrane,
        1 => Loss::CrossEntropyCount,
        2 => Loss::CrossEntropyRate,
        3 => Loss::CrossEntropyMaxMembrane,
        4 => Loss::MseCount {
            correct_rate: b,
            incorrect_rate: 0.1,
        },
        _ => Loss::MseMembrane {
            on_target: a,
            off_target: b,
        },
    };
    let rate_l1 = if from.below(4) == 0 { b } else { 0.0 };
    Objective {
        rate_l1,
        ..loss.into()
    }
}

/// Takes numbers off the front; zeros once there is nothing left.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }

    /// 0, or for one byte in 256 a 1.
    fn rarely(&mut self) -> usize {
        usize::from(self.byte() == 255)
    }

    /// The size of a layer: mostly small, some over the edge of a vector or a block, rarely 0.
    fn size(&mut self) -> usize {
        match self.byte() {
            255 => 0,
            byte @ 240.. => usize::from(byte) - 240 + 60,
            byte => 1 + usize::from(byte) % 20,
        }
    }

    /// Mostly a tame number, else any bits.
    fn value(&mut self) -> f32 {
        match self.byte() {
            255 => f32::from_bits(u32::from_le_bytes([(); 4].map(|()| self.byte()))),
            byte => (f32::from(byte) - 96.0) / 64.0,
        }
    }
}

/// One line that says what is wrong.
fn assert_clear(error: &Error) {
    let text = error.to_string();
    assert!(text.len() > 10, "an error that says nothing: {text:?}");
    assert!(!matches!(error, Error::CustomLoss(_)), "{text}");
}
