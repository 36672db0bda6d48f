//! The example `verify` as a user meets it: exit codes, messages, `--dump`; and files that lie,
//! contradict themselves or are none.
#![cfg(all(feature = "mnist", feature = "safetensors"))]

mod example;
mod skip;

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use spikegrad::verify::Fixture;
use tempfile::tempdir;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn verify(arguments: &[&str]) -> Output {
    let mut command = Command::new(example::built("verify"));
    command.args(arguments).output().expect("verify runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A fixture taken apart, to be put together wrongly.
#[derive(Clone)]
struct Parts {
    tensors: HashMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
    metadata: HashMap<String, String>,
}

impl Parts {
    fn of(name: &str) -> Self {
        let bytes = fs::read(fixtures().join(name)).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let parts = |(name, view): (String, TensorView<'_>)| {
            (
                name,
                (view.dtype(), view.shape().to_vec(), view.data().to_vec()),
            )
        };
        Parts {
            tensors: file.tensors().into_iter().map(parts).collect(),
            metadata: header.metadata().clone().unwrap(),
        }
    }

    fn write(&self, path: &Path) {
        let views = self.tensors.iter().map(|(name, (dtype, shape, bytes))| {
            (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        let bytes = safetensors::serialize(views, Some(self.metadata.clone())).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn meta(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    fn without(mut self, name: &str) -> Self {
        let known = self.tensors.remove(name).is_some() || self.metadata.remove(name).is_some();
        assert!(known, "{name}");
        self
    }

    fn renamed(mut self, name: &str, other: &str) -> Self {
        let tensor = self.tensors.remove(name).unwrap();
        self.tensors.insert(other.into(), tensor);
        self
    }

    fn shaped(mut self, name: &str, shape: &[usize]) -> Self {
        self.tensors.get_mut(name).unwrap().1 = shape.to_vec();
        self
    }

    fn empty(mut self, name: &str, shape: &[usize]) -> Self {
        let tensor = self.tensors.get_mut(name).unwrap();
        (tensor.1, tensor.2) = (shape.to_vec(), Vec::new());
        self
    }

    fn first(mut self, name: &str, bytes: [u8; 8]) -> Self {
        self.tensors.get_mut(name).unwrap().2[..8].copy_from_slice(&bytes);
        self
    }
}

#[test]
fn a_good_file_passes_and_its_dump_holds_what_it_holds() {
    let dir = tempdir().unwrap();
    let file = fixtures().join("learn_itf_zero_each.safetensors");
    let (file, out) = (file.to_str().unwrap(), dir.path().join("new/dump"));
    let run = verify(&["--dump", out.to_str().unwrap(), file]);
    assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
    let stdout = text(&run.stdout);
    for title in [
        "reference · f64",
        "reference · f32",
        "cpu · f32",
        "1 fixtures, 3 tables, 0 failed\n",
    ] {
        assert!(stdout.contains(title), "{title}\n{stdout}");
    }

    // Under the fixture's names, all that it holds but input, targets and parameters.
    let Parts { tensors, .. } = Parts::of("learn_itf_zero_each.safetensors");
    let given = |name: &str| {
        name == "x" || name == "targets" || name.starts_with("fc") || name.starts_with("lif")
    };
    for (engine, wide) in [
        ("reference.f64", true),
        ("reference.f32", false),
        ("cpu.f32", false),
    ] {
        let path = out.join(format!("learn_itf_zero_each.{engine}.safetensors"));
        let bytes = fs::read(&path).unwrap();
        let dumped = SafeTensors::deserialize(&bytes).unwrap();
        let mut names: Vec<&String> = tensors.keys().filter(|name| !given(name)).collect();
        let mut found = dumped.names();
        names.sort();
        found.sort();
        assert_eq!(found, names, "{engine}");
        for name in names {
            let (_, shape, expected) = &tensors[name];
            let view = dumped.tensor(name).unwrap();
            assert_eq!(view.shape(), shape, "{engine} {name}");
            match (view.dtype(), name.starts_with("spk")) {
                (Dtype::U8, true) => assert_eq!(view.data(), expected, "{engine} {name}"),
                (Dtype::F64, false) if wide => {
                    let number = |bytes: &[u8]| f64::from_le_bytes(bytes.try_into().unwrap());
                    for (a, b) in view.data().chunks(8).zip(expected.chunks(8)) {
                        assert!((number(a) - number(b)).abs() < 1e-10, "{engine} {name}");
                    }
                }
                (Dtype::F32, false) if !wide => {}
                other => panic!("{engine} {name}: {other:?}"),
            }
        }
    }
}

#[test]
fn exit_codes() {
    let dir = tempdir().unwrap();
    let good = fixtures().join("reset_tutorial5.safetensors");
    let good = good.to_str().unwrap();
    for (wrong, says) in [
        (vec![], "required"),
        (vec!["--engine", "tpu", good], "tpu"),
        (vec!["--tolerance", "NaN", good], "finite"),
        (vec!["--tolerance", "-1", good], "-1"),
        (vec!["--frobnicate", good], "--frobnicate"),
    ] {
        let run = verify(&wrong);
        let stderr = text(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{wrong:?}: {stderr}");
        assert!(
            stderr.starts_with("error: ") && stderr.lines().count() == 1,
            "{stderr}"
        );
        assert!(stderr.contains(says), "{stderr}");
    }
    assert_eq!(verify(&["--help"]).status.code(), Some(0));

    // One wrong number in one file among good ones; one file that is none.
    let wrong = dir.path().join("wrong.safetensors");
    let parts = Parts::of("reset_tutorial5.safetensors");
    parts.first("mem2", 0.25_f64.to_le_bytes()).write(&wrong);
    let run = verify(&[good, wrong.to_str().unwrap(), good, "/nowhere"]);
    let stdout = text(&run.stdout);
    assert_eq!(run.status.code(), Some(1));
    assert!(
        stdout.contains("4 fixtures, 9 tables, 4 failed"),
        "{stdout}"
    );
    assert_eq!(stdout.matches("FAIL     [0, 0, 0]").count(), 3, "{stdout}");
    assert!(text(&run.stderr).starts_with("error: cannot read /nowhere: "));
    // A tolerance of one's own lets it pass.
    let run = verify(&[
        "--engine",
        "reference",
        "--tolerance",
        "10",
        wrong.to_str().unwrap(),
    ]);
    assert_eq!(run.status.code(), Some(0));
    // A dump that cannot be written is a failure.
    let run = verify(&["--dump", "/proc/no", good]);
    assert_eq!(run.status.code(), Some(1));
    assert!(text(&run.stderr).contains("cannot write /proc/no"));
}

/// Each wrong file, and what the message has to say.
#[test]
fn wrong_files_are_clear_errors() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("wrong.safetensors");
    let good = Parts::of("learn_ifr_subtract_each.safetensors"); // 5-6-3, T = 7, B = 2
    let synaptic = Parts::of("synaptic_snntorch_learn_each.safetensors");
    for good in [&synaptic, &good] {
        good.write(&path);
        assert!(Fixture::load(&path).is_ok());
    }
    let nan = f64::NAN.to_le_bytes();
    let cases: Vec<(Parts, &str)> = vec![
        (
            good.clone().meta("frobnicate", "1"),
            "metadata frobnicate is unknown",
        ),
        (
            good.clone().meta("beta", "nonsense"),
            "metadata beta is \"nonsense\"; expected JSON",
        ),
        (
            good.clone().meta("reset", "\"hard\""),
            "expected one of subtract, zero, none",
        ),
        (
            good.clone().meta("loss", "\"mse\""),
            "metadata loss is \"mse\"; expected one of ce_membrane",
        ),
        (
            good.clone().meta("surrogate", "\"relu\""),
            "metadata surrogate",
        ),
        (
            good.clone().meta("dynamics", "3"),
            "metadata dynamics is 3; expected a string",
        ),
        (
            good.clone().meta("slope", "3"),
            "metadata slope is 3; expected no such entry: the surrogate Arctan",
        ),
        (good.clone().meta("alpha", "-3"), "arctan alpha is -3"),
        (
            good.clone().meta("neuron", "\"alpha\""),
            "metadata neuron is \"alpha\"; expected one of leaky, synaptic",
        ),
        (
            good.clone().meta("neuron", "\"synaptic\""),
            "metadata syn_alpha is missing",
        ),
        (
            good.clone().meta("syn_alpha", "[0.5, 0.5]"),
            "metadata syn_alpha is unknown",
        ),
        (
            good.clone().meta("layers", "[{}]"),
            "metadata layers is a list of 1; expected 2, one for each layer",
        ),
        (
            good.clone().meta("layers", "[{\"beta\": 0.5}, {}]"),
            "metadata layers is [{\"beta\": 0.5}, {}]; expected a list of objects of strings",
        ),
        (
            good.clone().meta("layers", "[{\"neuron\": \"lsnn\"}, {}]"),
            "metadata layers, 1.detach_reset is nothing; expected an entry of that name",
        ),
        (
            good.clone().meta("layers", "[{\"neuron\": \"cell\"}, {}]"),
            "metadata layers, 1.neuron is cell; expected one of the neurons known to this program: leaky",
        ),
        (
            synaptic.clone().meta("gain", "[0.5]"),
            "metadata gain is a list of 1; expected 2",
        ),
        (
            synaptic.clone().meta("old_current", "1"),
            "metadata old_current is 1; expected true or false",
        ),
        (
            synaptic.clone().without("lif1.alpha"),
            "tensor lif1.alpha is missing",
        ),
        (
            good.clone().meta("num_steps", "0"),
            "metadata num_steps is 0",
        ),
        (
            good.clone().meta("num_steps", "1000000000000"),
            "shape of tensor loss_per_step is [7]; expected [1000000000000]",
        ),
        (
            good.clone().meta("num_steps", "-1"),
            "metadata num_steps is -1; expected a whole number",
        ),
        (
            good.clone().meta("sizes", "[5]"),
            "metadata sizes is a list of 1; expected at least 2",
        ),
        (
            good.clone().meta("sizes", "[5, 6, 6, 3]"),
            "metadata beta is a list of 2; expected 3",
        ),
        (
            good.clone().meta("sizes", "[5, 7, 3]"),
            "shape of tensor fc1.weight is [6, 5]; expected [7, 5]",
        ),
        (
            good.clone().meta("sizes", "[4294967296, 4294967296, 3]"),
            "shape of tensor fc1.weight is [6, 5]",
        ),
        (
            good.clone().meta("updates", "0"),
            "tensor adam5.fc1.bias is unknown",
        ),
        (good.clone().meta("updates", "1000000000000"), "is missing"),
        (
            good.clone().meta("first_image", "0"),
            "shape of tensor grad.fc1.bias is [6]; expected [1]",
        ),
        (
            good.clone().meta("threshold", "[[1, 2, 3, 4, 5, 6], -1]"),
            "threshold is -1",
        ),
        (
            good.clone().meta("spikes", "\"float16\""),
            "metadata spikes is \"float16\"",
        ),
        (good.clone().without("sizes"), "metadata sizes is missing"),
        (
            good.clone().without("surrogate"),
            "metadata surrogate is missing",
        ),
        (good.clone().without("x"), "tensor x is missing"),
        (good.clone().without("targets"), "tensor targets is missing"),
        (
            good.clone().without("fc2.weight"),
            "tensor fc2.weight is missing",
        ),
        (
            good.clone().without("lif1.beta"),
            "tensor lif1.beta is missing",
        ),
        (good.clone().without("loss"), "tensor loss is missing"),
        (good.clone().without("spk1"), "tensor spk1 is missing"),
        (
            good.clone().without("grad.fc1.bias"),
            "tensor grad.fc1.bias is missing",
        ),
        (
            good.clone().without("adam5.lif2.threshold"),
            "tensor adam5.lif2.threshold is missing",
        ),
        (
            good.clone().without("adam_loss"),
            "tensor adam_loss is missing",
        ),
        (
            good.clone().without("learn_beta"),
            "tensor adam5.lif1.beta is unknown",
        ),
        (
            good.clone().renamed("mem1", "mem3"),
            "tensor mem1 is missing",
        ),
        (
            good.clone().renamed("accuracy", "accurracy"),
            "tensor accurracy is unknown",
        ),
        (
            good.clone().shaped("fc1.weight", &[5, 6]),
            "shape of tensor fc1.weight is [5, 6]; expected [6, 5]",
        ),
        (
            good.clone().shaped("x", &[10]),
            "shape of tensor x is [10]; expected [2, 5] or [7, 2, 5]",
        ),
        (
            good.clone().shaped("x", &[5, 2]),
            "shape of tensor x is [5, 2]; expected [2, 5]",
        ),
        (
            good.clone().shaped("x", &[1, 2, 5]),
            "shape of tensor x is [1, 2, 5]; expected [7, 2, 5]",
        ),
        (
            good.clone().shaped("targets", &[2, 1]),
            "shape of tensor targets is [2, 1]; expected [2]",
        ),
        (
            good.clone().shaped("mem1", &[2, 7, 6]),
            "shape of tensor mem1 is [2, 7, 6]; expected [7, 2, 6]",
        ),
        (
            good.clone().empty("targets", &[0]),
            "shape of tensor x is [2, 5]; expected [0, 5]",
        ),
        (
            good.clone().empty("x", &[0, 5]).empty("targets", &[0]),
            "shape of tensor mem1 is [7, 2, 6]; expected [7, 0, 6]",
        ),
        (
            good.clone().first("targets", (-1_i64).to_le_bytes()),
            "tensor targets is -1; expected whole numbers from 0",
        ),
        (
            good.clone().first("targets", 3_i64.to_le_bytes()),
            "tensor targets is class 3 in one place; expected classes below 3",
        ),
        (
            good.clone().first("x", nan),
            "tensor x is NaN in one place; expected finite numbers",
        ),
        (
            good.clone().first("grad.fc1.weight", nan),
            "tensor grad.fc1.weight is NaN",
        ),
        (
            good.clone().first("lif1.beta", 1.5_f64.to_le_bytes()),
            "lif1.beta",
        ),
    ];
    for (parts, says) in cases {
        parts.write(&path);
        let Err(error) = Fixture::load(&path) else {
            panic!("no error; expected: {says}");
        };
        let message = error.to_string();
        let place = path.display().to_string();
        assert!(message.starts_with(&place), "{message}");
        assert!(message.contains(says), "{message}\nexpected: {says}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    // A default of a setting that the surrogate does not have is no slip.
    good.meta("slope", "25").write(&path);
    assert!(Fixture::load(&path).is_ok());

    for bytes in [
        &b""[..],
        b"\x01",
        b"no fixture at all",
        &[0xff; 16],
        &[0; 8],
    ] {
        fs::write(&path, bytes).unwrap();
        let message = Fixture::load(&path).unwrap_err().to_string();
        assert!(
            message.contains("expected a safetensors file")
                || message.contains("length of the header is"),
            "{message}"
        );
    }
    let message = Fixture::load(dir.path()).unwrap_err().to_string();
    assert!(
        message.contains("kind is a folder; expected a regular file"),
        "{message}"
    );
}

proptest! {
    /// Bytes changed at random, most of them in the header: an error or another good file, no panic.
    #[test]
    fn damaged_files_do_not_panic(
        changes in prop::collection::vec((0.0..1.0_f64, any::<u8>(), any::<bool>()), 1..5),
        cut in prop::option::of(0.0..1.0_f64),
    ) {
        let mut bytes = fs::read(fixtures().join("learn_ifr_subtract_each.safetensors")).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for (at, byte, anywhere) in changes {
            let range = if anywhere { bytes.len() } else { header };
            bytes[(at * range as f64) as usize] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate((cut * bytes.len() as f64) as usize);
        }
        let dir = tempdir().unwrap();
        let path = dir.path().join("damaged.safetensors");
        fs::write(&path, bytes).unwrap();
        if let Err(error) = Fixture::load(&path) {
            prop_assert!(error.to_string().starts_with(&path.display().to_string()));
        }
    }
}

/// Each row of `verify`'s tables: file, precision, tensor and verdict.
fn rows(stdout: &str) -> Vec<[&str; 4]> {
    let (mut rows, mut title) = (Vec::new(), ["", ""]);
    for line in stdout.lines() {
        if let [file, _, precision, _] = line.split(" · ").collect::<Vec<_>>()[..] {
            title = [file, precision];
        } else if let [tensor, _, _, _, verdict, ..] =
            line.split_whitespace().collect::<Vec<_>>()[..]
            && line.starts_with("  ")
            && tensor != "tensor"
            && !tensor.ends_with(':')
        {
            rows.push([title[0], title[1], tensor, verdict]);
        }
    }
    rows
}

/// What `verify` excuses stays narrow: one wrong number in a tensor is found in that tensor, whatever
/// the fixture; and the fixtures themselves need no excuse.
#[test]
fn excuses_hide_no_wrong_number() {
    let dir = tempdir().unwrap();
    let mut paths: Vec<PathBuf> = (fs::read_dir(fixtures()).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "safetensors"))
        .filter(|path| {
            !path
                .file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with("mnist")
        })
        .collect();
    paths.sort();
    let judge = |paths: &[PathBuf]| {
        let paths = paths.iter().map(|path| path.to_str().unwrap());
        let run = verify(
            &["--engine", "reference"]
                .into_iter()
                .chain(paths)
                .collect::<Vec<_>>(),
        );
        text(&run.stdout)
    };
    let stdout = judge(&paths);
    let found = rows(&stdout);
    assert!(found.len() > 2 * 10 * paths.len(), "{}", found.len());
    // In shape_t1_fti, where nothing can fire, zeros are said to be zeros; so are the spikes of integrators.
    let good = |&[file, _, tensor, verdict]: &[&str; 4]| match verdict {
        "all" => {
            let silent = file.starts_with("neuron_") || file.starts_with("recurrent_");
            file == "shape_t1_fti" || silent && tensor.starts_with("spk")
        }
        verdict => verdict == "ok",
    };
    assert!(found.iter().all(good), "{stdout}");
    assert!(found.iter().any(|[.., verdict]| *verdict == "all"));

    // Of a tensor, the place and the new value of what is made wrong, and the precisions that see it.
    type Wrong = fn(&Fixture, &str, &[f64]) -> Option<(usize, f64, &'static [&'static str])>;
    fn largest(values: &[f64]) -> usize {
        let by_size = |&a: &usize, &b: &usize| values[a].abs().total_cmp(&values[b].abs());
        (0..values.len()).max_by(by_size).expect("an entry")
    }
    /// The gradient of the parameter that this tensor, `adamN.NAME`, holds after an update.
    fn gradient<'a>(fixture: &'a Fixture, name: &str) -> Option<&'a [f64]> {
        let (_, parameter) = name.strip_prefix("adam")?.split_once('.')?;
        fixture.expected()[&format!("grad.{parameter}")].as_slice()
    }
    let slips: [(&str, Wrong); 4] = [
        ("half a step of Adam", |fixture, name, values| {
            let at = largest(gradient(fixture, name)?);
            Some((at, values[at] + fixture.adam().lr / 2.0, &["f64", "f32"]))
        }),
        // Single precision may have lost that gradient, whether here or in the other library.
        (
            "half a step on the least gradient",
            |fixture, name, values| {
                let by_size =
                    |a: &(usize, &f64), b: &(usize, &f64)| a.1.abs().total_cmp(&b.1.abs());
                let (at, _) = gradient(fixture, name)?
                    .iter()
                    .enumerate()
                    .min_by(by_size)?;
                let wrong = values[at] + fixture.adam().lr / 2.0;
                (!fixture.rounded_gradients()).then_some((at, wrong, &["f64"]))
            },
        ),
        ("a gradient off by 1e-8", |fixture, name, values| {
            let at = largest(values);
            let close = if fixture.rounded_gradients() {
                1e-5
            } else {
                1e-8
            };
            let wrong = values[at] * (1.0 + close);
            (name.starts_with("grad.") && values[at] != 0.0).then_some((at, wrong, &["f64"]))
        }),
        ("a gradient's sign", |_, name, values| {
            let at = largest(values);
            (name.starts_with("grad.") && values[at] != 0.0).then_some((
                at,
                -values[at],
                &["f64", "f32"],
            ))
        }),
    ];
    for (slip, wrong) in slips {
        let (mut changed, mut expected) = (Vec::new(), Vec::new());
        for path in &paths {
            let (fixture, name) = (Fixture::load(path).unwrap(), path.file_name().unwrap());
            let mut parts = Parts::of(name.to_str().unwrap());
            for (tensor, (dtype, _, bytes)) in &mut parts.tensors {
                if *dtype != Dtype::F64 {
                    continue;
                }
                let numbers = bytes
                    .chunks_exact(8)
                    .map(|n| f64::from_le_bytes(n.try_into().unwrap()));
                let numbers: Vec<f64> = numbers.collect();
                if let Some((at, wrong, precisions)) = wrong(&fixture, tensor, &numbers) {
                    bytes[8 * at..][..8].copy_from_slice(&wrong.to_le_bytes());
                    for precision in precisions {
                        expected.push([
                            fixture.name().to_string(),
                            precision.to_string(),
                            tensor.clone(),
                        ]);
                    }
                }
            }
            let path = dir.path().join(name);
            parts.write(&path);
            changed.push(path);
        }
        let stdout = judge(&changed);
        let found = rows(&stdout);
        assert!(expected.len() > paths.len(), "{slip}: {}", expected.len());
        for [file, precision, tensor] in &expected {
            let row = [file, precision, tensor, "FAIL"];
            assert!(
                found.contains(&row),
                "{slip}: {row:?} is not among\n{stdout}"
            );
        }
    }
}
