//! Every engine against the tensors of `tests/fixtures`, computed by PyTorch autograd and by the
//! other SNN libraries themselves, through `spikegrad::verify`; and that comparison itself.

mod skip;

use std::path::{Path, PathBuf};

use ndarray::Array3;
use skip::skipped;
use spikegrad::{
    CpuEngine, Device, Dynamics, Engine, Float, Gradients, Input, Leaky, Loss, Network, Objective,
    Optimizer, ReadOut, Record, Recording, ReferenceEngine, Reset, Result, Samples, State,
    StepReport, Surrogate, Synaptic, Trace,
    data::Mnist,
    verify::{Fixture, Report, Verdict, verify},
};

/// Fixtures in which something is silent on purpose: with T = 1 nothing fires in the default order,
/// and no gradient arrives but at the last bias.
const SILENT: [&str; 1] = ["shape_t1_fti"];

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn fixture(name: &str) -> Fixture {
    Fixture::load(dir().join(format!("{name}.safetensors"))).unwrap()
}

fn fixtures() -> Vec<Fixture> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir())
        .expect("tests/fixtures")
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "safetensors"));
    paths.sort();
    let mnist = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/mnist");
    let mut fixtures = Vec::new();
    for path in paths {
        let fixture = Fixture::load(&path).unwrap();
        if !fixture.needs_images() {
            fixtures.push(fixture);
        } else if mnist.exists() {
            let images = Mnist::load(&mnist).unwrap().train;
            fixtures.push(fixture.with_images(&images).unwrap());
        } else {
            let name = fixture.name();
            skipped(format_args!(
                "{name}: the MNIST files are not part of the packaged crate"
            ));
        }
    }
    fixtures
}

fn network<F: Float>(fixture: &Fixture) -> Network<F> {
    fixture
        .network()
        .expect("every fixture describes its network")
        .cast()
}

fn reference<F: Float>(fixture: &Fixture) -> ReferenceEngine<F> {
    let network = network(fixture);
    ReferenceEngine::new(network, fixture.objective(), fixture.adam()).unwrap()
}

/// The layers of leaky integrators, which never spike, from 1.
fn integrators(fixture: &Fixture) -> impl Iterator<Item = usize> {
    let layers = fixture
        .network()
        .expect("described")
        .layers()
        .iter()
        .zip(1..);
    let layers = layers.filter(|(layer, _)| layer.neuron().name() == "leaky_integrator");
    layers.map(|(_, k)| k)
}

fn judge(fixture: &Fixture, report: &Report) {
    assert!(report.passes(), "{report}");
    let silent = SILENT.contains(&fixture.name());
    let of_integrator = |name: &str| integrators(fixture).any(|k| name == format!("spk{k}"));
    for row in &report.rows {
        let nothing = silent || of_integrator(&row.name);
        let agrees = row.verdict == Verdict::Pass || nothing && row.verdict == Verdict::Nothing;
        assert!(agrees, "{}: no fixture needs an excuse\n{report}", row.name);
    }
    assert_eq!(report.warnings().is_empty(), !silent, "{report}");
    for (name, expected) in fixture.expected() {
        if name.starts_with("spk") || name == "spike_count" {
            let found = &report.found[name];
            assert_eq!(
                expected,
                found,
                "{}: {name} must be equal to the bit",
                fixture.name()
            );
        }
    }
}

/// Every layer of every fixture fires, and every parameter has a gradient.
#[test]
fn the_fixtures_bite() {
    let fixtures = fixtures();
    // The published crate comes without some, to stay small.
    let least = if Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").is_dir() {
        143
    } else {
        40
    };
    assert!(fixtures.len() >= least, "only {} fixtures", fixtures.len());
    for fixture in fixtures {
        let name = fixture.name();
        if SILENT.contains(&name) {
            continue;
        }
        let rates = &fixture.expected()["firing_rate"];
        // The outputs of the untrained MNIST network fire 86 times in 32,000 neuron-steps.
        let without_spikes: Vec<usize> = integrators(&fixture).collect();
        for (k, &rate) in (1..).zip(rates) {
            let expected = rate > 0.002 || without_spikes.contains(&k) && rate == 0.0;
            assert!(expected, "{name}: silent: {rates}");
        }
        for (tensor, values) in fixture.expected() {
            let matters = ["grad.", "spk", "mem"]
                .iter()
                .any(|start| tensor.starts_with(start));
            let spikes = |k: &usize| tensor == &format!("spk{k}");
            let matters = matters && !without_spikes.iter().any(spikes);
            assert!(
                !matters || values.iter().any(|x| *x != 0.0),
                "{name}: {tensor} is all zero"
            );
        }
    }
}

#[test]
fn reference_in_double_precision() {
    for fixture in fixtures() {
        judge(
            &fixture,
            &fixture.check(&mut reference::<f64>(&fixture)).unwrap(),
        );
    }
}

#[test]
fn reference_in_single_precision() {
    for fixture in fixtures() {
        judge(
            &fixture,
            &fixture.check(&mut reference::<f32>(&fixture)).unwrap(),
        );
    }
}

#[test]
fn cpu_engine() {
    for fixture in fixtures() {
        let engine = CpuEngine::new(network(&fixture), fixture.objective(), fixture.adam());
        judge(&fixture, &fixture.check(&mut engine.unwrap()).unwrap());
    }
}

/// On the GPU, or under the software driver (see `tests/cuda`); without either it is skipped, aloud.
#[cfg(feature = "cuda")]
#[test]
fn cuda_engine() {
    if !skip::cuda() {
        return;
    }
    for fixture in fixtures() {
        if fixture.name().starts_with("mnist") {
            continue; // the software driver would take minutes; `verify --engine cuda` has it
        }
        let (objective, adam) = (fixture.objective(), fixture.adam());
        let engine = Device::Cuda(0).engine(network(&fixture), objective, adam);
        let mut engine = engine.unwrap();
        judge(&fixture, &fixture.check(&mut engine).unwrap());
    }
}

/// The main job against PyTorch's float32 run on the same batches: loss and gradient norms to 1e-5,
/// the losses of the first four updates to 1e-5, of all thirty to 2 %.
#[test]
fn thirty_updates_on_mnist() {
    let mut fixtures = fixtures().into_iter();
    let Some(fixture) = fixtures.find(|f| f.name() == "mnist_784_1000_10") else {
        return; // `fixtures` has said why
    };
    let cpu = Device::Cpu.engine(network(&fixture), fixture.objective(), fixture.adam());
    let engines: [Box<dyn Engine>; 2] = [Box::new(reference::<f32>(&fixture)), cpu.unwrap()];
    for mut engine in engines {
        let report = fixture.check(&mut engine).unwrap();
        for (name, expected) in fixture.expected() {
            let allowed = |n: usize| {
                Some(match name.as_str() {
                    "adam_loss" if n < 4 => 1e-5,
                    "adam_loss" => 0.02,
                    name if name == "loss" || name.starts_with("grad.") => 1e-5,
                    _ => return None,
                })
            };
            for (n, (a, b)) in expected.iter().zip(&report.found[name]).enumerate() {
                let Some(allowed) = allowed(n) else { continue };
                let close = (a - b).abs() <= allowed * a.abs();
                let engine = &report.engine;
                assert!(close, "{engine}: {name} [{n}]: {a} expected, {b} found");
            }
        }
    }
}

/// An engine that computes as another does, but for one slip in what it records.
struct Slip<F: Float> {
    inner: ReferenceEngine<F>,
    /// What it makes of membranes `[T, B, N]` of the first layer.
    mem: fn(&mut Array3<F>),
    /// What it makes of their spikes.
    spk: fn(&mut Array3<F>),
    /// A factor of all gradients.
    gradients: f64,
}

impl<F: Float> Engine<F> for Slip<F> {
    fn describe(&self) -> String {
        "an engine with a slip".into()
    }

    fn forward(&mut self, input: Input<'_, F>, record: &Record) -> Result<Recording<F>> {
        let whole = self.inner.forward(input, record)?;
        let layer = |k: usize| {
            let trace = whole.trace(k).expect("all layers are kept");
            let (mut spk, mut mem) = (trace.spk.clone(), trace.mem.clone());
            if k == 1 {
                (self.spk)(&mut spk);
                (self.mem)(&mut mem);
            }
            Trace::new(spk, mem)
        };
        let last = whole.num_layers();
        let hidden = (1..last).map(|k| Some(layer(k))).collect();
        Ok(Recording::new(hidden, layer(last)))
    }

    fn classify(&mut self, x: Input<'_, F>, by: ReadOut, classes: &mut [usize]) -> Result<()> {
        self.inner.classify(x, by, classes)
    }

    fn evaluate(&mut self, samples: Samples<'_, F>) -> Result<StepReport> {
        self.inner.evaluate(samples)
    }

    fn gradients(&mut self, samples: Samples<'_, F>) -> Result<(f64, Gradients<F>)> {
        let (loss, mut gradients) = self.inner.gradients(samples)?;
        for (_, mut tensor) in gradients.tensors_mut() {
            tensor.mapv_inplace(|g| g * F::from_f64(self.gradients));
        }
        Ok((loss, gradients))
    }

    fn train_step(&mut self, samples: Samples<'_, F>) -> Result<StepReport> {
        self.inner.train_step(samples)
    }

    fn forward_from(
        &mut self,
        state: &mut State<F>,
        input: Input<'_, F>,
        record: &Record,
    ) -> Result<Recording<F>> {
        self.inner.forward_from(state, input, record)
    }
    fn train_step_from(
        &mut self,
        state: &mut State<F>,
        samples: Samples<'_, F>,
    ) -> Result<StepReport> {
        self.inner.train_step_from(state, samples)
    }
    fn accumulate_from(
        &mut self,
        state: &mut State<F>,
        samples: Samples<'_, F>,
        weight: f64,
    ) -> Result<StepReport> {
        self.inner.accumulate_from(state, samples, weight)
    }
    fn accumulate(&mut self, samples: Samples<'_, F>, weight: f64) -> Result<StepReport> {
        self.inner.accumulate(samples, weight)
    }

    fn gradients_mut(
        &mut self,
        edit: &mut dyn FnMut(&mut Gradients<F>) -> Result<()>,
    ) -> Result<()> {
        self.inner.gradients_mut(edit)
    }

    fn update(&mut self) -> Result<()> {
        self.inner.update()
    }

    fn clear_gradients(&mut self) {
        self.inner.clear_gradients()
    }

    fn set_network(&mut self, network: Network<F>) -> Result<()> {
        self.inner.set_network(network)
    }

    fn set_optimizer(&mut self, optimizer: Optimizer<F>) -> Result<()> {
        self.inner.set_optimizer(optimizer)
    }

    fn learning_rate(&self) -> f64 {
        self.inner.learning_rate()
    }

    fn set_learning_rate(&mut self, lr: f64) -> Result<()> {
        self.inner.set_learning_rate(lr)
    }

    fn measure_gradients(&mut self, on: bool) {
        self.inner.measure_gradients(on)
    }

    fn to_network(&mut self) -> Result<Network<F>> {
        self.inner.to_network()
    }

    fn objective(&self) -> &Objective<F> {
        self.inner.objective()
    }

    fn to_optimizer(&mut self) -> Result<Optimizer<F>> {
        self.inner.to_optimizer()
    }
}

/// The comparison must be able to fail: NaN, a missing tensor, another shape, and an error just
/// above the tolerance.
#[test]
fn the_comparison_rejects() {
    fn fails<F: Float>(
        mem: fn(&mut Array3<F>),
        spk: fn(&mut Array3<F>),
        gradients: f64,
    ) -> Vec<String> {
        let fixture = fixture("seed_static");
        let inner = reference(&fixture);
        let mut engine = Slip {
            inner,
            mem,
            spk,
            gradients,
        };
        let report = fixture.check(&mut engine).unwrap();
        let failed = report
            .rows
            .iter()
            .filter(|row| row.verdict == Verdict::Fail);
        let failed: Vec<String> = failed.map(|row| row.name.clone()).collect();
        assert_eq!(failed.is_empty(), report.passes(), "{report}");
        failed
    }
    assert!(fails::<f64>(|_| (), |_| (), 1.0).is_empty());
    assert!(fails::<f32>(|_| (), |_| (), 1.0).is_empty());
    // 1e-10 of the largest entry in double precision, 1e-4 in single precision.
    assert!(fails::<f64>(|mem| *mem *= 1.0 + 0.9e-10, |_| (), 1.0).is_empty());
    assert_eq!(
        fails::<f64>(|mem| *mem *= 1.0 + 1.1e-10, |_| (), 1.0),
        ["mem1"]
    );
    assert!(fails::<f32>(|mem| *mem *= 1.0 + 0.9e-4, |_| (), 1.0).is_empty());
    assert_eq!(
        fails::<f32>(|mem| *mem *= 1.0 + 1.1e-4, |_| (), 1.0),
        ["mem1"]
    );
    assert_eq!(
        fails::<f32>(|mem| mem[[0, 0, 0]] = f32::NAN, |_| (), 1.0),
        ["mem1"]
    );
    let shorter = |mem: &mut Array3<f32>| *mem = mem.slice(ndarray::s![1.., .., ..]).to_owned();
    assert_eq!(fails::<f32>(shorter, |_| (), 1.0), ["mem1"]);
    assert!(fails::<f64>(|_| (), |spk| spk[[3, 0, 0]] += 1.0, 1.0).contains(&"spk1".to_string()));
    let gradients = [
        "grad.fc1.bias",
        "grad.fc1.weight",
        "grad.fc2.bias",
        "grad.fc2.weight",
    ];
    assert_eq!(fails::<f64>(|_| (), |_| (), 1.0 + 1e-9), gradients);
    // Of nothing at all the comparison says so.
    assert_eq!(fails::<f64>(|_| (), |_| (), 0.0), gradients);
}

/// The program's own networks: as another library has them they pass, under any other setting the
/// report names it.
#[test]
fn a_network_of_the_program() {
    let path = |name: &str| dir().join(format!("{name}.safetensors"));
    let two = |first: Leaky, second: Leaky| -> Network {
        let builder = Network::builder(5).layer(6, first);
        builder
            .layer(3, second.threshold(0.75))
            .seed(99)
            .build()
            .unwrap()
    };
    let loss = || Loss::CrossEntropyMembrane;
    let snntorch = |beta| Leaky::snntorch(beta);
    let jelly = |_: f64| Leaky::spikingjelly(2.0);
    let tutorial = |beta| Leaky::new(beta);
    type Make = fn(f64) -> Leaky;
    let cases: [(&str, Make); 3] = [
        ("reset_snntorch_subtract", snntorch),
        ("reset_spikingjelly_decay_input", jelly),
        ("reset_tutorial5", tutorial),
    ];
    for (file, leaky) in cases {
        let network = two(leaky(0.875), leaky(0.75));
        let report = verify(&network, loss(), path(file)).unwrap();
        assert!(
            report.passes() && report.warnings().is_empty(),
            "{file}\n{report}"
        );
        assert_eq!((report.precision, report.rows.len() > 15), ("f64", true));
        // The library's engine for programs, on the same network.
        let fixture = fixture(file);
        let filled = fixture.fill(&network).unwrap();
        let mut engine = Device::Cpu.engine(filled, loss(), fixture.adam()).unwrap();
        let report = fixture.check(&mut engine).unwrap();
        assert!(report.passes(), "{file}\n{report}");
    }

    // Each setting by itself: the difference is named, and the numbers show it too.
    let file = path("reset_snntorch_subtract");
    let slips: [(&str, Leaky, &str); 6] = [
        ("beta", snntorch(0.9), "mem1"),
        ("threshold", snntorch(0.875).threshold(0.9), "mem1"),
        ("dynamics", Leaky::new(0.875), "mem1"),
        ("reset", snntorch(0.875).reset(Reset::Zero), "mem1"),
        (
            "detach_reset",
            snntorch(0.875).detach_reset(false),
            "grad.fc1.weight",
        ),
        (
            "surrogate",
            snntorch(0.875).surrogate(Surrogate::Arctan { alpha: 3.0 }),
            "grad.fc1.weight",
        ),
    ];
    for (setting, leaky, wrong) in slips {
        let report = verify(&two(leaky, snntorch(0.75)), loss(), &file).unwrap();
        let named = |line: &String| line.starts_with(&format!("layer 1: {setting} is "));
        assert_eq!(report.differences.len(), 1, "{report}");
        assert!(report.differences.iter().all(named), "{report}");
        let row = report.rows.iter().find(|row| row.name == wrong).unwrap();
        assert_eq!(row.verdict, Verdict::Fail, "{report}");
        assert!(!report.passes() && report.to_string().contains("FAILED"));
    }
    // A setting that these numbers have no occasion to show is named all the same.
    let more = two(snntorch(0.875).learn_beta(true), snntorch(0.75));
    let report = verify(&more, loss(), &file).unwrap();
    assert!(!report.passes(), "{report}");
    assert!(
        report
            .to_string()
            .contains("lif1.beta is learnt here, and not in the file")
    );
    // Another loss; a custom one is judged by its numbers alone.
    let network = two(snntorch(0.875), snntorch(0.75));
    let report = verify(&network, Loss::CrossEntropyCount, &file).unwrap();
    assert!(!report.passes(), "{report}");
    let custom: Loss =
        Loss::custom(|recording, targets| Loss::CrossEntropyMembrane.evaluate(recording, targets));
    let report = verify(&network, custom, &file).unwrap();
    assert_eq!(report.precision, "f32");
    assert!(report.passes(), "{report}");
    // Another size is an error that names the tensor.
    let network: Network = Network::builder(5)
        .layer(3, snntorch(0.875))
        .build()
        .unwrap();
    let error = verify(&network, loss(), &file).unwrap_err().to_string();
    assert!(
        error.contains("shape of tensor fc1.weight is [6, 5]; expected [3, 5]"),
        "{error}"
    );
}

/// The same of a current-based network: snnTorch's, and SpyTorch's.
#[test]
fn a_synaptic_network_of_the_program() {
    let two = |first: Synaptic, second: Synaptic| -> Network {
        let builder = Network::builder(5).layer(6, first).layer(3, second);
        builder.seed(99).build().unwrap()
    };
    let loss = || Loss::CrossEntropyMembrane;
    let first = || Synaptic::new(0.8125, 0.875);
    let second = || Synaptic::new(0.625, 0.75).threshold(0.75);
    let path = |name: &str| dir().join(format!("{name}.safetensors"));
    let spytorch = two(
        Synaptic::spytorch(0.8125, 0.875),
        Synaptic::spytorch(0.625, 0.75),
    );
    for (file, network) in [
        ("synaptic_snntorch_subtract", two(first(), second())),
        ("synaptic_spytorch", spytorch),
    ] {
        let report = verify(&network, loss(), path(file)).unwrap();
        assert!(
            report.passes() && report.warnings().is_empty(),
            "{file}\n{report}"
        );
    }
    let file = path("synaptic_snntorch_subtract");
    let slips: [(&str, Synaptic, &str); 9] = [
        ("alpha", Synaptic::new(0.8, 0.875), "mem1"),
        ("beta", Synaptic::new(0.8125, 0.9), "mem1"),
        ("gain", first().gain(0.99), "mem1"),
        ("threshold", first().threshold(0.9), "mem1"),
        ("old_current", first().old_current(true), "mem1"),
        (
            "dynamics",
            first().dynamics(Dynamics::FireThenIntegrate),
            "mem1",
        ),
        ("reset", first().reset(Reset::Zero), "mem1"),
        (
            "detach_reset",
            first().detach_reset(false),
            "grad.fc1.weight",
        ),
        (
            "surrogate",
            first().surrogate(Surrogate::Arctan { alpha: 3.0 }),
            "grad.fc1.weight",
        ),
    ];
    for (setting, synaptic, wrong) in slips {
        let report = verify(&two(synaptic, second()), loss(), &file).unwrap();
        let named = |line: &String| line.starts_with(&format!("layer 1: {setting} is "));
        assert_eq!(report.differences.len(), 1, "{report}");
        assert!(report.differences.iter().all(named), "{report}");
        let row = report.rows.iter().find(|row| row.name == wrong).unwrap();
        assert_eq!(row.verdict, Verdict::Fail, "{report}");
        assert!(!report.passes());
    }
    // Another neuron: its name alone is compared.
    let leaky: Network = (Network::builder(5).layer(6, Leaky::snntorch(0.875)))
        .layer(3, second())
        .build()
        .unwrap();
    let report = verify(&leaky, loss(), &file).unwrap();
    assert_eq!(
        report.differences,
        [r#"layer 1: neuron is "leaky" here, and "synaptic" in the file"#]
    );
}
