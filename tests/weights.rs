//! Files of weights: what decides a network's function is in them, and is compared, taken over or kept;
//! files of PyTorch and snnTorch load too, and what does not fit is named.
#![cfg(feature = "safetensors")]

mod runs;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use ndarray::{Array2, arr1};
use safetensors::SafeTensors;
use serde_json::{Map, Value, json};
use spikegrad::{
    Checkpoint, Dynamics, Encoder, Error, Float, Input, Leaky, Mismatch, Network, Reset, Surrogate,
    engine::reference::forward,
};
use tempfile::{TempDir, tempdir};

fn folder() -> (TempDir, PathBuf) {
    let dir = tempdir().expect("a temporary folder");
    let path = dir.path().join("model.safetensors");
    (dir, path)
}

/// 3–4–2, the same neurons in both layers.
fn network(neuron: Leaky) -> Network {
    let builder = Network::builder(3).layer(4, neuron.clone());
    builder.layer(2, neuron).build().expect("a network")
}

/// What a network answers: the spikes of 40 steps, which are some and not all.
fn spikes<F: Float>(network: &Network<F>) -> Vec<F> {
    let x = Array2::from_shape_fn((4, 3), |(b, n)| F::from_f64((b + n) as f64));
    let recording = forward(network, Input::constant(x.view(), 40)).expect("it runs");
    let spikes: Vec<F> = recording.output().spk.iter().copied().collect();
    let all = spikes.iter().copied().sum::<F>();
    assert!(
        all > F::zero() && all < F::from_f64(spikes.len() as f64),
        "{all}"
    );
    spikes
}

/// A file as any writer of the format makes it: its header, then numbers.
fn write(path: &Path, header: &Value, data: &[u8]) {
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    fs::write(path, [&length[..], header.as_bytes(), data].concat()).unwrap();
}

/// The header of a file, and what follows.
fn parts(path: &Path) -> (Value, Vec<u8>) {
    let bytes = fs::read(path).unwrap();
    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
    let (header, data) = rest.split_at(length);
    (serde_json::from_slice(header).unwrap(), data.to_vec())
}

/// A file with other metadata.
fn edit(path: &Path, change: impl FnOnce(&mut Map<String, Value>)) {
    let (mut header, data) = parts(path);
    change(header["__metadata__"].as_object_mut().unwrap());
    write(path, &header, &data);
}

/// A file with tensors as PyTorch has them: dtype, shape and values.
#[derive(Default)]
struct State {
    header: Map<String, Value>,
    data: Vec<u8>,
}

impl State {
    fn with(mut self, name: &str, dtype: &str, shape: &[usize], values: &[f64]) -> Self {
        let start = self.data.len();
        for &x in values {
            match dtype {
                "F32" => self.data.extend((x as f32).to_le_bytes()),
                "F64" => self.data.extend(x.to_le_bytes()),
                "I64" => self.data.extend((x as i64).to_le_bytes()),
                other => panic!("{other}"),
            }
        }
        let end = self.data.len();
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
        self.header.insert(name.into(), entry);
        self
    }

    /// The weights of a network, without anything about its neurons.
    fn weights(network: &Network) -> Self {
        let parameters = network.parameters().into_iter();
        let weights = parameters.filter(|(name, _)| name.starts_with("fc"));
        weights.fold(State::default(), |state, (name, values)| {
            let numbers: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
            state.with(&name, "F32", values.shape(), &numbers)
        })
    }

    /// snnTorch's `Leaky` of layer `k`, as its `state_dict` has it after a batch of 5.
    fn leaky(self, k: usize, neurons: usize, beta: f64, threshold: f64, reset: i64) -> Self {
        let name = |part: &str| format!("lif{k}.{part}");
        self.with(&name("threshold"), "F32", &[], &[threshold])
            .with(&name("graded_spikes_factor"), "F32", &[], &[1.0])
            .with(&name("reset_mechanism_val"), "I64", &[], &[reset as f64])
            .with(&name("beta"), "F32", &[], &[beta])
            .with(&name("mem"), "F32", &[5, neurons], &vec![0.5; 5 * neurons])
    }

    fn write(self, path: &Path) {
        write(path, &Value::Object(self.header), &self.data);
    }
}

/// That a file is refused, in one line with its path; the network is as it was.
#[track_caller]
fn refused(network: &Network, path: &Path, mismatch: Mismatch) -> String {
    let mut loaded = network.clone();
    let error = loaded.load_safetensors_with(path, mismatch).unwrap_err();
    assert_eq!(&loaded, network);
    let message = error.to_string();
    assert!(!message.contains('\n') && message.len() < 2000, "{message}");
    let (place, rest) = message.split_at(path.display().to_string().len());
    assert_eq!(place, path.display().to_string());
    rest.into()
}

#[test]
fn a_file_is_its_network_again() {
    fn check<F: Float>(mut network: Network<F>, path: &Path) {
        // Learnt ones have moved since the network was built.
        let moved = arr1(&[F::from_f64(0.3)]);
        network
            .set_parameter("lif2.beta", moved.view().into_dyn())
            .unwrap();
        network.save_safetensors(path).unwrap();
        let bytes = fs::read(path).unwrap();
        assert_eq!(Network::<F>::load(path).unwrap(), network);
        let mut loaded = network.clone();
        for (_, mut values) in loaded.parameters_mut() {
            values.fill(F::from_f64(0.5));
        }
        loaded.load_safetensors(path).unwrap();
        assert_eq!(loaded, network);
        // Equal networks, equal files.
        loaded.save_safetensors(path).unwrap();
        assert!(fs::read(path).unwrap() == bytes);
    }
    let (_dir, path) = folder();
    check(runs::network(), &path);
    // A file of one precision makes a network of the other.
    let network = runs::network();
    network.save_safetensors(&path).unwrap();
    let double = Network::<f64>::load(&path).unwrap();
    assert_eq!(double.cast::<f32>(), network);
    check(double, &path);
}

/// A constant of the neurons has the name of a tensor of the layer.
#[test]
fn encoders_without_biases() {
    let (_dir, path) = folder();
    for bias in [false, true] {
        let network: Network = Network::builder(3)
            .layer(4, Encoder::new(0.9).bias(0.2).learn_bias(true))
            .bias(bias)
            .build()
            .unwrap();
        network.save_safetensors(&path).unwrap();
        assert_eq!(Network::load(&path).unwrap(), network);
    }
}

/// Decays of a network that was cast are those of its first precision; they are what counts.
#[test]
fn a_network_that_was_cast() {
    let (_dir, path) = folder();
    let single = network(Leaky::new(0.95).threshold(0.7));
    let double: Network<f64> = single.cast();
    double.save_safetensors(&path).unwrap();
    let loaded = Network::<f64>::load(&path).unwrap();
    assert_eq!(
        loaded.layers()[0].constant("beta").unwrap()[0],
        f64::from(0.95_f32)
    );
    assert_eq!(spikes(&loaded), spikes(&double));
    let mut again = double.clone();
    again.load_safetensors(&path).unwrap();
    // From single precision, 0.95 is 0.95 in either network; from double, it is not.
    single.save_safetensors(&path).unwrap();
    again.load_safetensors(&path).unwrap();
    single.clone().load_safetensors(&path).unwrap();
    let mut built = Network::builder(3)
        .layer(4, Leaky::new(0.95).threshold(0.7))
        .layer(2, Leaky::new(0.95).threshold(0.7))
        .build::<f64>()
        .unwrap();
    built.load_safetensors(&path).unwrap();
    double.save_safetensors(&path).unwrap();
    let error = built.load_safetensors(&path).unwrap_err().to_string();
    assert!(error.contains("lif1.beta is 0.94999998"), "{error}");
}

/// What no reader would take is not written, and a failure leaves the file that was there.
#[test]
fn a_good_file_survives() {
    let (dir, path) = folder();
    let mut network = network(Leaky::new(0.9));
    network.save_safetensors(&path).unwrap();
    let good = fs::read(&path).unwrap();
    let before = network.clone();
    network.parameters_mut()[1].1[[2]] = f32::NEG_INFINITY;
    let error = network.save_safetensors(&path).unwrap_err();
    assert!(matches!(error, Error::NonFinite { .. }), "{error}");
    assert!(error.to_string().starts_with("fc1.bias is -inf"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), good);

    // Nothing else is left in the folder, also by a save that cannot be completed: the name of a folder.
    let folder = dir.path().join("taken");
    fs::create_dir(&folder).unwrap();
    assert!(before.save_safetensors(&folder).is_err());
    assert!(before.save_safetensors(dir.path().join("no/such")).is_err());
    let mut names: Vec<_> = (fs::read_dir(&dir).unwrap())
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["model.safetensors", "taken"]);

    // A link is followed.
    #[cfg(unix)]
    {
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        fs::write(&path, "old").unwrap();
        before.save_safetensors(&link).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), good);
    }
}

#[test]
fn numbers_come_back_with_the_same_bits() {
    let (_dir, path) = folder();
    let betas = [
        0.1 + 0.2,
        1.0 / 3.0,
        5e-324,
        f64::MIN_POSITIVE,
        1.0,
        0.0,
        -0.0,
        1.0 - f64::EPSILON,
    ];
    let thresholds = [1e-6, 1e30, 0.1, 1.0 / 3.0, 12_345.678_9, 1.0, 2e-6, 1e22];
    let neuron = Leaky::new(betas.to_vec()).threshold(thresholds.to_vec());
    for slope in [0.1 + 0.2, 1e-300, 25.0] {
        let neuron = neuron.clone().surrogate(Surrogate::Sigmoid { slope });
        let network: Network<f64> = Network::builder(1).layer(8, neuron).build().unwrap();
        network.save_safetensors(&path).unwrap();
        let loaded = Network::<f64>::load(&path).unwrap();
        let bits = |n: &Network<f64>| -> Vec<u64> {
            let layer = &n.layers()[0];
            let constants = layer
                .constant("beta")
                .unwrap()
                .iter()
                .chain(layer.constant("threshold").unwrap());
            constants.map(|x| x.to_bits()).collect()
        };
        assert_eq!(bits(&loaded), bits(&network));
        assert_eq!(loaded, network);
    }
}

/// PyTorch takes what it took before: a `load_state_dict` that is strict sees `fc1`, `fc2` and what is
/// learnt, in the types of `torch.nn.Linear`; the metadata are texts, as the format has them.
#[test]
fn pytorch_reads_the_tensors_alone() {
    let (_dir, path) = folder();
    let learnt = Leaky::new(0.9).learn_beta(true).learn_threshold(true);
    for (neuron, names) in [
        (
            Leaky::new(0.9),
            vec!["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"],
        ),
        (
            learnt,
            vec![
                "fc1.bias",
                "fc1.weight",
                "fc2.bias",
                "fc2.weight",
                "lif1.beta",
                "lif1.threshold",
                "lif2.beta",
                "lif2.threshold",
            ],
        ),
    ] {
        let network = network(neuron);
        network.save_safetensors(&path).unwrap();
        let bytes = fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut found = file.names();
        found.sort();
        assert_eq!(found, names);
        for (name, values) in network.parameters() {
            let tensor = file.tensor(&name).unwrap();
            let data: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            assert_eq!((tensor.shape(), tensor.data()), (values.shape(), &data[..]));
            assert_eq!(tensor.dtype(), safetensors::Dtype::F32);
        }
        let (header, _) = parts(&path);
        let metadata = header["__metadata__"].as_object().unwrap();
        assert!(metadata.values().all(Value::is_string), "{metadata:?}");
        assert_eq!(metadata["format"], "pt");
        assert_eq!(metadata["network.sizes"], "3 4 2");
        assert_eq!(metadata["lif2.beta"], "0.9");
    }
}

/// Each setting of a neuron, where the file has another one: refused by name and value, taken over, or
/// kept.
#[test]
fn other_neurons_are_refused_by_name_and_value() {
    let (_dir, path) = folder();
    let base = || Leaky::new(0.9).threshold(0.5);
    let cases: [(Leaky, &str); 8] = [
        (
            base().threshold(0.25),
            "lif1.threshold is 0.25 in the file; expected 0.5, as",
        ),
        (
            Leaky::new(0.95).threshold(0.5),
            "lif1.beta is 0.95 in the file; expected 0.9, as",
        ),
        (
            base().dynamics(Dynamics::IntegrateThenFire),
            "lif1.dynamics is integrate_then_fire in the file; expected fire_then_integrate, as",
        ),
        (
            base().reset(Reset::Zero),
            "lif1.reset is zero in the file; expected subtract, as",
        ),
        (
            base().reset(Reset::None),
            "lif1.reset is none in the file; expected subtract, as",
        ),
        (
            base().detach_reset(false),
            "lif1.detach_reset is false in the file; expected true, as",
        ),
        (
            base().surrogate(Surrogate::FastSigmoid { slope: 25.0 }),
            "lif1.surrogate is fast_sigmoid 25.0 in the file; expected arctan 2.0, as",
        ),
        (
            base().surrogate(Surrogate::Arctan { alpha: 3.0 }),
            "lif1.surrogate is arctan 3.0 in the file; expected arctan 2.0, as",
        ),
    ];
    for (neuron, message) in cases {
        let (saved, other) = (network(neuron), network(base()));
        saved.save_safetensors(&path).unwrap();
        let found = refused(&other, &path, Mismatch::Refuse);
        assert!(found.starts_with(&format!(": {message}")), "{found}");
        assert!(found.contains("Mismatch::TakeOver"), "{found}");
        let mut taken = other.clone();
        taken
            .load_safetensors_with(&path, Mismatch::TakeOver)
            .unwrap();
        assert_eq!(taken, saved);
        let mut kept = other.clone();
        kept.load_safetensors_with(&path, Mismatch::Keep).unwrap();
        assert_eq!(kept.layers()[1].neuron(), other.layers()[1].neuron());
        assert_eq!(kept.layers()[1].weight(), saved.layers()[1].weight());
    }
    // The first neuron that differs; equal ones may be one number or several.
    let each = |last: f64| {
        let builder = Network::builder(1).layer(3, Leaky::new(vec![0.9, 0.9, last]));
        builder.build::<f32>().unwrap()
    };
    let shared = Network::builder(1)
        .layer(3, Leaky::new(0.9))
        .build()
        .unwrap();
    each(0.8).save_safetensors(&path).unwrap();
    let found = refused(&shared, &path, Mismatch::Refuse);
    assert!(
        found.starts_with(": lif1.beta[2] is 0.8 in the file; expected 0.9"),
        "{found}"
    );
    each(0.9).save_safetensors(&path).unwrap();
    shared.clone().load_safetensors(&path).unwrap();
    // Another size comes first, by its own name.
    let found = refused(&network(Leaky::new(0.1)), &path, Mismatch::Refuse);
    assert!(
        found.starts_with(": network.sizes is 1 3 in the file; expected 3 4 2"),
        "{found}"
    );
    assert_eq!(
        refused(&network(Leaky::new(0.1)), &path, Mismatch::TakeOver),
        found
    );
}

/// Learnt constants in a network that does not learn, and the other way round: the function is that of
/// the file, or the file is refused.
#[test]
fn learnt_and_fixed_constants() {
    let (_dir, path) = folder();
    let mut learnt = network(Leaky::new(0.9).learn_beta(true).learn_threshold(true));
    for k in 1..=2 {
        for (name, value) in [("beta", 0.3), ("threshold", 0.2)] {
            let values = arr1(&[value]);
            learnt
                .set_parameter(&format!("lif{k}.{name}"), values.view().into_dyn())
                .unwrap();
        }
    }
    learnt.save_safetensors(&path).unwrap();
    let found = refused(&network(Leaky::new(0.9)), &path, Mismatch::Refuse);
    assert!(
        found.starts_with(": lif1.beta is 0.3 in the file; expected 0.9"),
        "{found}"
    );
    let mut fixed = network(Leaky::new(0.3).threshold(0.2));
    fixed.load_safetensors(&path).unwrap();
    assert_eq!(spikes(&fixed), spikes(&learnt));
    let mut taken = network(Leaky::new(0.9));
    taken
        .load_safetensors_with(&path, Mismatch::TakeOver)
        .unwrap();
    assert_eq!(taken, learnt);

    fixed.save_safetensors(&path).unwrap();
    let mut trained = network(Leaky::new(0.9).learn_beta(true).learn_threshold(true));
    trained.load_safetensors(&path).unwrap();
    assert_eq!(spikes(&trained), spikes(&fixed));
    assert!(trained.layers()[0].neuron().learns("beta"));
    // One for each neuron, of one for the layer; not the other way round.
    let builder =
        Network::builder(3).layer(4, Leaky::new(vec![0.9; 4]).threshold(0.2).learn_beta(true));
    let mut each: Network = builder
        .layer(2, Leaky::new(0.3).threshold(0.2))
        .build()
        .unwrap();
    each.load_safetensors(&path).unwrap();
    assert_eq!(spikes(&each), spikes(&fixed));
    let builder = Network::builder(3).layer(4, Leaky::new(vec![0.3, 0.4, 0.3, 0.3]));
    let several: Network = builder.layer(2, Leaky::new(0.3)).build().unwrap();
    several.save_safetensors(&path).unwrap();
    let found = refused(
        &network(Leaky::new(0.3).learn_beta(true)),
        &path,
        Mismatch::Refuse,
    );
    assert!(
        found.starts_with(": shape of lif1.beta is [4]; expected [1]"),
        "{found}"
    );
    // A learnt one whose tensor is gone is missing, not its initial value.
    learnt.save_safetensors(&path).unwrap();
    let (mut header, data) = parts(&path);
    let entry = header.as_object_mut().unwrap().remove("lif2.beta").unwrap();
    header["other"] = entry;
    write(&path, &header, &data);
    for mismatch in [Mismatch::Refuse, Mismatch::TakeOver, Mismatch::Keep] {
        let found = refused(&learnt, &path, mismatch);
        assert!(
            found.starts_with(": missing tensors: lif2.beta; unexpected tensors: none"),
            "{found}"
        );
    }
    assert!(matches!(
        Network::<f32>::load(&path),
        Err(Error::Tensors { .. })
    ));
}

/// Files without a description load as they are; what they lack is named, always in the same order.
#[test]
fn files_of_pytorch() {
    let (_dir, path) = folder();
    let one = network(Leaky::new(0.3).threshold(0.2));
    State::weights(&one).write(&path);
    let mut other = network(Leaky::new(0.95).reset(Reset::Zero));
    other.load_safetensors(&path).unwrap();
    assert_eq!(other.layers()[0].weight(), one.layers()[0].weight());
    assert_eq!(
        other.layers()[0].neuron(),
        &Leaky::new(0.95).reset(Reset::Zero).into()
    );
    let error = Network::<f32>::load(&path).unwrap_err().to_string();
    assert!(
        error.contains("metadata is missing; expected the description"),
        "{error}"
    );

    // Names of other kinds are ignored, as ever: moments, gradients, a counter.
    let state = State::weights(&one).with("grad.fc1.weight", "F32", &[1], &[0.5]);
    state.with("num_batches", "I64", &[], &[7.0]).write(&path);
    other.load_safetensors(&path).unwrap();

    let state = State::weights(&one).with("fc3.bias", "F32", &[1], &[0.5]);
    state.with("fc10.bias", "F32", &[1], &[0.5]).write(&path);
    let found = refused(&other, &path, Mismatch::Refuse);
    assert!(
        found.starts_with(": missing tensors: none; unexpected tensors: fc10.bias, fc3.bias; the file has fc1.bias, fc1.weight, fc10.bias, "),
        "{found}"
    );
    let wide = Network::builder(3)
        .layer(4, Leaky::new(0.9))
        .layer(2, Leaky::new(0.9));
    let wide: Network = wide
        .layer(2, Leaky::new(0.9).learn_beta(true))
        .build()
        .unwrap();
    State::weights(&one).write(&path);
    for _ in 0..5 {
        let mut loaded = wide.clone();
        let Err(Error::Tensors {
            missing,
            unexpected,
            found,
            ..
        }) = loaded.load_safetensors(&path)
        else {
            panic!("three layers of two");
        };
        assert_eq!(missing, ["fc3.bias", "fc3.weight", "lif3.beta"]);
        assert!(unexpected.is_empty());
        assert_eq!(found, ["fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"]);
    }
    // Many names, and long ones, stay one line.
    let many = (0..500).fold(State::default(), |state, k| {
        state.with(
            &format!("block{k}\n{}", "x".repeat(200)),
            "F32",
            &[1],
            &[0.0],
        )
    });
    many.write(&path);
    let found = refused(&one, &path, Mismatch::Refuse);
    assert!(found.contains("and 480 more"), "{found}");
}

#[test]
fn files_of_snntorch() {
    let (_dir, path) = folder();
    let base = || {
        Leaky::new(0.9)
            .threshold(0.5)
            .dynamics(Dynamics::IntegrateThenFire)
    };
    let one = network(base());
    let state = || State::weights(&one);
    state()
        .leaky(1, 4, 0.9, 0.5, 0)
        .leaky(2, 2, 0.9, 0.5, 0)
        .write(&path);
    let mut loaded = network(base());
    loaded.load_safetensors(&path).unwrap();
    assert_eq!(loaded, one);
    network(base().dynamics(Dynamics::IntegrateFireReset))
        .load_safetensors(&path)
        .unwrap();
    // Learnt ones are parameters; a scalar of no dimensions is one number.
    let learns = base().learn_beta(true).learn_threshold(true);
    state()
        .leaky(1, 4, 0.7, 0.25, 0)
        .leaky(2, 2, 0.8, 0.5, 0)
        .write(&path);
    let mut learnt = network(learns);
    learnt.load_safetensors(&path).unwrap();
    assert_eq!(learnt.layers()[0].constant("beta").unwrap(), &arr1(&[0.7]));
    assert_eq!(
        learnt.layers()[0].constant("threshold").unwrap(),
        &arr1(&[0.25])
    );
    assert_eq!(learnt.layers()[1].constant("beta").unwrap(), &arr1(&[0.8]));
    // Fixed ones are compared; as the file's, where the caller says so.
    let found = refused(&one, &path, Mismatch::Refuse);
    assert!(
        found.starts_with(": lif1.beta is 0.7 in the file; expected 0.9, as"),
        "{found}"
    );
    let mut taken = network(Leaky::new(0.1));
    taken
        .load_safetensors_with(&path, Mismatch::TakeOver)
        .unwrap();
    assert_eq!(spikes(&taken), spikes(&learnt));
    assert_eq!(
        taken.layers()[0].neuron().leaky().unwrap().dynamics,
        Dynamics::IntegrateThenFire
    );
    loaded.load_safetensors_with(&path, Mismatch::Keep).unwrap();
    assert_eq!(loaded, one);

    type Make<'a> = &'a dyn Fn() -> State;
    let cases: [(Make<'_>, &str); 9] = [
        (
            &|| state().leaky(2, 2, 0.9, 0.4, 0),
            "lif2.threshold is 0.4 in the file; expected 0.5, as",
        ),
        (
            &|| state().leaky(1, 4, 0.9, 0.5, 1),
            "lif1.reset is zero in the file; expected subtract, as",
        ),
        (
            &|| state().leaky(2, 2, 0.9, 0.5, 2),
            "lif2.reset is none in the file; expected subtract, as",
        ),
        (
            &|| state().leaky(1, 4, 0.9, 0.5, 3),
            "lif1.reset_mechanism_val is [3.0]; expected 0, 1 or 2",
        ),
        (
            &|| state().with("lif1.graded_spikes_factor", "F32", &[], &[0.5]),
            "lif1.graded_spikes_factor is 0.5; expected 1",
        ),
        (
            &|| state().with("lif2.beta", "F32", &[2], &[0.9, 0.5]),
            "lif2.beta[1] is 0.5 in the file; expected 0.9, as",
        ),
        (
            &|| state().with("lif2.beta", "F32", &[3], &[0.9; 3]),
            "shape of lif2.beta is [3]; expected [], [1] or [2]",
        ),
        (
            &|| state().with("lif1.alpha", "F32", &[], &[0.9]),
            "missing tensors: none; unexpected tensors: lif1.alpha;",
        ),
        (
            &|| state().with("lif3.mem", "F32", &[1], &[0.9]),
            "missing tensors: none; unexpected tensors: lif3.mem;",
        ),
    ];
    for (make, message) in cases {
        make().write(&path);
        let found = refused(&one, &path, Mismatch::Refuse);
        assert!(found.starts_with(&format!(": {message}")), "{found}");
        // Nothing of this matters to who wants the weights alone.
        one.clone()
            .load_safetensors_with(&path, Mismatch::Keep)
            .unwrap();
    }
    // snnTorch's neurons do not fire before they integrate.
    state().leaky(1, 4, 0.9, 0.5, 0).write(&path);
    let found = refused(
        &network(Leaky::new(0.9).threshold(0.5)),
        &path,
        Mismatch::Refuse,
    );
    assert!(
        found.starts_with(": lif1.dynamics is snnTorch's order of events"),
        "{found}"
    );
    // `threshold=1` is a whole number there.
    let whole = || state().with("lif1.threshold", "I64", &[], &[2.0]);
    whole().write(&path);
    let found = refused(&one, &path, Mismatch::Refuse);
    assert!(
        found.starts_with(": lif1.threshold is 2.0 in the file; expected 0.5"),
        "{found}"
    );
    let mut learnt = network(base().learn_threshold(true));
    whole()
        .with("lif2.threshold", "F64", &[1], &[0.5])
        .write(&path);
    learnt.load_safetensors(&path).unwrap();
    assert_eq!(
        learnt.layers()[0].constant("threshold").unwrap(),
        &arr1(&[2.0])
    );
}

/// A checkpoint is a file of weights too: its description is compared, its checksum as well.
#[test]
fn checkpoints_as_weights() {
    let (_dir, path) = folder();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs/checkpoint_v1.safetensors");
    let saved = Checkpoint::read(&old).unwrap().network;
    assert_eq!(Network::<f32>::load(&old).unwrap(), saved);
    let new = old.with_file_name("checkpoint_v2.safetensors");
    let network = Checkpoint::read(&new).unwrap().network;
    assert_eq!(Network::<f32>::load(&new).unwrap(), network);
    let mut network = runs::network();
    network.load_safetensors(&old).unwrap();
    assert_eq!(network, saved);
    let bytes = fs::read(&old).unwrap();
    let edited = runs::edited(
        &bytes,
        "\"layer2.reset\":\"zero\"",
        "\"layer2.reset\":\"none\"",
    );
    fs::write(&path, edited).unwrap();
    let found = refused(&runs::network(), &path, Mismatch::Refuse);
    assert!(
        found.starts_with(": lif2.reset is none in the file; expected zero"),
        "{found}"
    );
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    fs::write(&path, damaged).unwrap();
    let found = refused(&runs::network(), &path, Mismatch::Refuse);
    assert!(found.starts_with(": crc32 is "), "{found}");
    assert!(Network::<f32>::load(&path).is_err());
    let later = runs::edited(&bytes, "\"version\":\"1\"", "\"version\":\"3\"");
    fs::write(&path, later).unwrap();
    assert!(
        refused(&runs::network(), &path, Mismatch::Refuse).contains("a later one wrote the file")
    );
}

/// Metadata from anyone: each value that makes no sense is named, and nothing is changed.
#[test]
fn metadata_of_nonsense() {
    let (_dir, path) = folder();
    let one = network(Leaky::new(0.9).threshold(0.5).learn_threshold(true));
    let numbers = [
        "",
        " ",
        "NaN",
        "inf",
        "-inf",
        "1e999",
        "-1",
        "0.9.9",
        "0,9",
        "[",
        "[]",
        "[0.9]",
        "[0.9, 0.9]",
        "[0.9, NaN, 0.9, 0.9]",
        "[0.9, 0.9, 0.9, 0.9, 0.9]",
        "[0.9 0.9 0.9 0.9]",
        "null",
        "9\n\"9",
    ];
    let words = [
        "",
        "Subtract",
        "fire_then_integrate ",
        "arctan",
        "arctan NaN",
        "arctan 0.0",
        "arctan -1.0",
        "arctan 2.0 3.0",
        "sigmoid inf",
        "yes",
        "1",
        "\u{1F600}",
    ];
    let sizes = [
        "",
        "3",
        "3 4",
        "3 4 2 2",
        "3 4 0",
        "3  4 2",
        "3 4 -2",
        "3 4 2.0",
        "0 4 2",
        "18446744073709551615 18446744073709551615 2",
        "99999999999999999999 4 2",
        "3 18446744073709551615 2",
    ];
    let mut cases: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut add = |name, values: &[&str]| {
        cases.insert(name, values.iter().map(|v| v.to_string()).collect());
    };
    add("lif1.beta", &numbers);
    add("lif1.threshold", &numbers);
    for name in [
        "lif1.dynamics",
        "lif1.reset",
        "lif2.detach_reset",
        "lif2.surrogate",
        "lif1.learn_beta",
    ] {
        add(name, &words);
    }
    add("network.sizes", &sizes);
    add("spikegrad.weights", &["", "0", "2", "99999999999999999999"]);
    let huge = format!("[0.9{}]", ", 0.9".repeat(100_000));
    cases.get_mut("lif1.beta").unwrap().push(huge);
    cases
        .get_mut("network.sizes")
        .unwrap()
        .push("1 ".repeat(100_000) + "2");
    for (name, values) in cases {
        for value in values {
            one.save_safetensors(&path).unwrap();
            edit(&path, |metadata| {
                drop(metadata.insert(name.into(), value.clone().into()))
            });
            for mismatch in [Mismatch::Refuse, Mismatch::TakeOver] {
                let found = refused(&one, &path, mismatch);
                // An entry may be wrong beside another: of a layer that is not there.
                let named = ["layer ", "lif3.", name].iter().any(|n| found.contains(n));
                assert!(
                    named,
                    "{name} = {:?}: {found}",
                    value.get(..50).unwrap_or(&value)
                );
            }
            assert!(Network::<f32>::load(&path).is_err(), "{name} = {value:?}");
            one.clone()
                .load_safetensors_with(&path, Mismatch::Keep)
                .unwrap();
        }
        // Not there at all: but for the mark, without which there is no description.
        one.save_safetensors(&path).unwrap();
        edit(&path, |metadata| drop(metadata.remove(name)));
        assert!(Network::<f32>::load(&path).is_err());
        let loaded = one.clone().load_safetensors(&path);
        assert_eq!(loaded.is_ok(), name == "spikegrad.weights", "{name}");
        // No text: not a file of the format.
        for value in [json!(0.9), json!(null), json!(["0.9"]), json!({"0.9": 1})] {
            one.save_safetensors(&path).unwrap();
            edit(&path, |metadata| drop(metadata.insert(name.into(), value)));
            let found = refused(&one, &path, Mismatch::Refuse);
            assert!(found.contains("expected a safetensors file"), "{found}");
        }
    }
    // Entries of others are none of its business.
    one.save_safetensors(&path).unwrap();
    edit(&path, |metadata| {
        drop(metadata.insert("author".into(), "me".into()))
    });
    one.clone().load_safetensors(&path).unwrap();
}
