//! What the processes do.

use std::{collections::BTreeMap, fmt::Write, ops::ControlFlow, thread, time::Duration};

use ndarray::{Array2, Array3};
use spikegrad::{
    Adam, CpuEngine, Dynamics, Engine, Error, History, Input, Leaky, Loss, Network, Optimizer,
    Parallel, ReferenceEngine, Schedule, Sgd, State, Synaptic, Trainer, World, data::Dataset,
    optim::Adamax, synapses::Recurrence,
};

use crate::{foreign::Foreign, launch::SETTING};

/// How long a rank waits for another where that is tested.
const BOUND: Duration = Duration::from_millis(1500);

fn setting(name: &str) -> Option<String> {
    std::env::var(format!("{SETTING}{name}")).ok()
}

pub fn run(job: &str) {
    let bound = match job {
        "hangs" => BOUND,
        _ => Duration::from_secs(60),
    };
    let world = World::join(Some(bound)).expect("MPI");
    assert!(world.is_launched());
    match job {
        "bits" => {
            let first = world.rank() == 0;
            let bits = bits(world);
            if first {
                let out = setting("OUT").expect("a folder");
                std::fs::write(format!("{out}/bits"), bits).expect("results");
            }
        }
        #[cfg(feature = "cuda")]
        "cuda" => cuda(world),
        "bytes" => bytes(world),
        "error" => error(world),
        "differs" => differs(world),
        "hangs" => hangs(world),
        "slow" => slow(world),
        "raise" => raise(world),
        job => panic!("no job {job}"),
    }
}

/// Images of 6 pixels in 2 classes.
fn data() -> Dataset {
    let pixel = |b: usize, n: usize| match n % 2 == b % 2 {
        true => (97 * b + 31 * n) as u8 | 0x40,
        false => 0,
    };
    let images = Array2::from_shape_fn((61, 6), |(b, n)| pixel(b, n));
    Dataset::new(images, (0..61).map(|b| b % 2).collect(), 2).expect("labels fit")
}

fn network(seed: u64) -> Network {
    Network::builder(6)
        .layer(70, Leaky::new(0.9).threshold(0.3).learn_threshold(true))
        .dropout(0.2)
        .layer(
            2,
            Leaky::new(0.8)
                .threshold(0.2)
                .learn_beta(true)
                .dynamics(Dynamics::IntegrateThenFire),
        )
        .dropout(0.3)
        .seed(seed)
        .build()
        .expect("a network")
}

fn recurrent() -> Network {
    Network::builder(6)
        .layer(20, Synaptic::new(0.8, 0.9).threshold(0.3))
        .recurrent(Recurrence::all_to_all())
        .layer(5, Leaky::new(0.9).threshold(0.3))
        .recurrent(Recurrence::one_to_one())
        .layer(2, Leaky::new(0.8).threshold(0.2))
        .seed(3)
        .build()
        .expect("a network")
}

fn trainer() -> Trainer {
    Trainer {
        epochs: 2,
        batch_size: 20,
        num_steps: 6,
        seed: 11,
        drop_last: false,
        ..Trainer::default()
    }
}

fn cpu(network: Network, optimizer: impl Into<Optimizer>) -> Box<dyn Engine> {
    let engine = CpuEngine::new(network, Loss::CrossEntropyMembrane, optimizer);
    Box::new(engine.expect("an engine"))
}

/// Weights, moments and history as text, in full.
fn state(engine: &mut dyn Engine, history: &History) -> String {
    let network = engine.to_network().expect("a network");
    let optimizer = engine.to_optimizer().expect("an optimizer");
    let mut text = String::new();
    let bits = |values: ndarray::ArrayViewD<'_, f32>| -> Vec<u32> {
        values.iter().map(|x| x.to_bits()).collect()
    };
    for (name, values) in network.parameters() {
        write!(text, "{name} {:?};", bits(values)).expect("text");
    }
    for (kept, tensors) in optimizer.state() {
        for (name, values) in tensors.tensors() {
            write!(text, "{kept} of {name} {:?};", bits(values)).expect("text");
        }
    }
    assert!(optimizer.steps() > 0);
    text + &crate::runs::without_times(history)
}

/// A line for each case.
pub fn bits(world: World) -> String {
    let (mut lines, data) = (String::new(), data());
    let mut case = |name: &str, trainer: &Trainer, engine: Box<dyn Engine>, shards: usize| {
        let mut engine = Parallel::with_shards(world.clone(), engine, shards).expect("an engine");
        engine.measure_gradients(true);
        let fitted = trainer.fit(&mut engine, &data, Some(&data), |_, _| {
            Ok(ControlFlow::Continue(()))
        });
        let history = fitted.expect("it trains");
        writeln!(lines, "{name}: {}", state(&mut engine, &history)).expect("text");
    };
    let adam = Adam::adamw(0.01);
    let groups = Optimizer::from(adam)
        .schedule(Schedule::one_cycle(40).warmup(3))
        .group(["fc1.bias", "lif2.beta"], adam.weight_decay(0.0))
        .clip_norm(0.5);
    case(
        "dropout, groups, clipping",
        &trainer(),
        cpu(network(5), groups),
        8,
    );
    case(
        "16 shards",
        &trainer(),
        cpu(network(5), Adam::new(0.01)),
        16,
    );
    let few = Trainer {
        batch_size: 5,
        ..trainer()
    };
    case(
        "fewer samples than shards",
        &few,
        cpu(network(5), Adam::new(0.01)),
        8,
    );
    let parts = Trainer {
        accumulate: 2,
        ..trainer()
    };
    let momentum = Sgd::new(0.1).momentum(0.9);
    case("parts", &parts, cpu(network(6), momentum), 8);
    let windows = Trainer {
        truncate: Some(2),
        accumulate: 2,
        ..trainer()
    };
    case("windows", &windows, cpu(recurrent(), Adamax::new(0.01)), 8);
    case("plain", &trainer(), cpu(recurrent(), Sgd::new(0.1)), 8);
    let reference = ReferenceEngine::new(network(5), Loss::CrossEntropyMembrane, Adam::new(0.01));
    let reference = reference.expect("an engine");
    case("reference", &trainer(), Box::new(reference.clone()), 8);
    case("foreign", &windows, Box::new(Foreign(reference)), 8);
    writeln!(lines, "calls: {}", calls(world)).expect("text");
    lines
}

/// The same on GPUs, one for each process.
#[cfg(feature = "cuda")]
fn cuda(world: World) {
    use spikegrad::Device;
    let device = world.device(Device::Cuda(0));
    assert_eq!(device, Device::Cuda(world.local_rank()));
    assert_eq!(world.device(Device::Auto).resolve().0, device);
    let network = Network::builder(6).layer(20, Leaky::new(0.9).threshold(0.3));
    let network: Network = network
        .layer(2, Leaky::new(0.8))
        .build()
        .expect("a network");
    let optimizer = Optimizer::from(Adam::new(0.01)).clip_norm(0.5);
    let engine = device.engine(network, Loss::CrossEntropyMembrane, optimizer);
    let engine = Parallel::new(world.clone(), engine.expect("a GPU"));
    let (mut engine, data) = (engine.expect("an engine"), data());
    let fitted = trainer().fit(&mut engine, &data, Some(&data), |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    let text = state(&mut engine, &fitted.expect("it trains"));
    if world.rank() == 0 {
        let out = setting("OUT").expect("a folder");
        std::fs::write(format!("{out}/bits"), text).expect("results");
    }
}

/// Methods that a trainer does not call.
fn calls(world: World) -> String {
    let x = Array3::from_shape_fn((4, 20, 6), |(t, b, n)| ((t + b + n) % 3) as f32 / 2.0);
    let targets: Vec<usize> = (0..20).map(|b| b % 2).collect();
    let samples = Input::sequence(x.view()).classes(&targets);
    let engine = cpu(recurrent(), Adam::new(0.01));
    let mut engine = Parallel::new(world, engine).expect("an engine");
    let (loss, gradients) = engine.gradients(samples).expect("gradients");
    engine.accumulate(samples, 0.5).expect("gradients");
    engine.accumulate(samples, 0.5).expect("gradients");
    let mut sum = None;
    let edit = &mut |found: &mut spikegrad::Gradients| {
        sum = Some(found.clone());
        for (_, mut g) in found.tensors_mut() {
            g.mapv_inplace(|g| g.clamp(-1e-3, 1e-3));
        }
        Ok(())
    };
    engine.gradients_mut(edit).expect("they are changed");
    assert_eq!(sum.as_ref(), Some(&gradients), "two halves are the whole");
    engine.update().expect("an update");
    assert!(engine.update().is_err(), "nothing is left");
    let whole = engine.evaluate(samples).expect("a report");
    // Moments go to another engine and back.
    let optimizer = engine.to_optimizer().expect("an optimizer");
    engine.set_optimizer(optimizer.clone()).expect("its own");
    assert_eq!(engine.to_optimizer().expect("an optimizer"), optimizer);
    let network = engine.to_network().expect("a network");
    engine.set_network(network).expect("its own");
    engine.set_learning_rate(0.02).expect("a rate");
    assert_eq!(engine.learning_rate(), 0.02);
    engine.train_step(samples).expect("a step");
    format!(
        "{loss} {whole:?} {}",
        state(&mut engine, &History::default())
    )
}

/// A step sends n (1 − 1/P) gradients and as many parameters, and little else.
fn bytes(world: World) {
    let network = Network::builder(784).layer(1000, Leaky::new(0.95));
    let network: Network = network
        .layer(10, Leaky::new(0.95))
        .build()
        .expect("a network");
    let parameters = network.num_parameters() as f64;
    let mut engine =
        Parallel::new(world.clone(), cpu(network, Adam::new(1e-3))).expect("an engine");
    let x = Array2::from_shape_fn((16, 784), |(b, n)| ((b * n) % 7 == 0) as u8 as f32);
    let targets: Vec<usize> = (0..16).map(|b| b % 10).collect();
    let samples = Input::constant(x.view(), 5).classes(&targets);
    for _ in 0..3 {
        let before = world.sent();
        engine.train_step(samples).expect("a step");
        let after = world.sent();
        let [numbers, rest] = [after[0] - before[0], after[1] - before[1]];
        let expected = 2.0 * 4.0 * parameters * (1.0 - 1.0 / world.size() as f64);
        // The layout of the kernels has some padding.
        let ratio = numbers as f64 / expected;
        assert!(
            (1.0..1.05).contains(&ratio),
            "{numbers} bytes, {expected} expected"
        );
        assert!((numbers as f64) < 2.0 * 4.0 * parameters);
        assert!(rest < 10_000, "{rest} bytes of notes");
    }
}

/// A NaN in a sample of the last shard, an update far too large, a class that does not exist.
fn error(world: World) {
    let mut x = Array2::from_elem((16, 6), 0.5_f32);
    let targets: Vec<usize> = (0..16).map(|b| b % 2).collect();
    let engine = cpu(recurrent(), Adam::new(1e-3));
    let mut engine = Parallel::new(world.clone(), engine).expect("an engine");
    let mut steps = |x: &Array2<f32>, targets: &[usize]| {
        engine
            .train_step(Input::constant(x.view(), 5).classes(targets))
            .map(|_| ())
    };
    steps(&x, &targets).expect("a step");
    x[[15, 2]] = f32::NAN;
    let last = world.rank() == world.size() - 1;
    let message = steps(&x, &targets).expect_err("a NaN").to_string();
    let expected = "input is NaN at sample 1, input 2; expected finite numbers";
    match last {
        true => assert_eq!(message, expected),
        false => assert_eq!(message, format!("rank {}: {expected}", world.size() - 1)),
    }
    x[[15, 2]] = 0.5;
    let mut wrong = targets.clone();
    wrong[0] = 7;
    let message = steps(&x, &wrong).expect_err("no class 7").to_string();
    assert!(
        message.ends_with("targets[0] is 7; expected a class below 2"),
        "{message}"
    );
    // All go on from where they were.
    steps(&x, &targets).expect("a step");
    engine.set_learning_rate(1e38).expect("a rate");
    let step = engine.train_step(Input::constant(x.view(), 5).classes(&targets));
    let error = step.expect_err("a rate far too large").to_string();
    assert!(error.contains("after update 3"), "{error}");
    let few = World::alone();
    let refused = Parallel::with_shards(few, cpu(recurrent(), Adam::new(1e-3)), 3).err();
    assert!(matches!(refused, Some(Error::InvalidParameter { .. })));
}

fn differs(world: World) {
    let has = |name: &str| setting(name).is_some();
    let lr = if has("LR") { 0.5 } else { 0.01 };
    let engine = cpu(network(if has("SEED") { 6 } else { 5 }), Adam::new(lr));
    let shards = if has("SHARDS") { 16 } else { 8 };
    let made = Parallel::with_shards(world.clone(), engine, shards).map(|_| ());
    let data = if has("DATA") { "other" } else { "same" };
    let settings = BTreeMap::from([("data".to_string(), data.to_string())]);
    let made = made.and_then(|()| world.check_same(&settings));
    let (error, expected) = (made.expect_err("they differ"), setting("EXPECTED"));
    let error = error.to_string();
    assert!(error.starts_with(&expected.expect("a text")), "{error}");
}

fn hangs(world: World) {
    let place = setting("PLACE").expect("a place");
    let rank: usize = setting("RANK").expect("a rank").parse().expect("a number");
    let stop = |now: &str| {
        if now == place && rank == world.rank() {
            thread::sleep(Duration::from_secs(60));
        }
    };
    let all = || -> spikegrad::Result<()> {
        stop("check");
        let mut engine = Parallel::new(world.clone(), cpu(network(5), Adam::new(0.01)))?;
        let data = data();
        let run = |engine: &mut Parallel, stop_at: usize| {
            trainer().fit(engine, &data, Some(&data), |_, event| {
                let batches = event.history().batches.len();
                if batches == stop_at && matches!(event, spikegrad::train::Event::Batch { .. }) {
                    if place == "exit" && rank == world.rank() {
                        std::process::exit(3);
                    }
                    stop("step");
                }
                Ok(ControlFlow::Continue(()))
            })
        };
        run(&mut engine, 2)?;
        stop("evaluate");
        let x = Array2::from_elem((16, 6), 0.5_f32);
        engine.evaluate(Input::constant(x.view(), 5).classes(&[0; 16]))?;
        stop("optimizer");
        engine.to_optimizer()?;
        Ok(())
    };
    if let Err(error) = all() {
        // Later calls fail at once.
        let again = world.all("again");
        assert!(again.is_err());
        world.abort(1, || eprintln!("error: {error}"));
    }
    stop("end");
}

fn slow(world: World) {
    let engine = cpu(network(5), Adam::new(0.01));
    let mut engine = Parallel::new(world.clone(), engine).expect("an engine");
    let x = Array2::from_elem((16, 6), 0.5_f32);
    for _ in 0..100 {
        if world.rank() == 1 {
            thread::sleep(Duration::from_millis(8));
        }
        let samples = Input::constant(x.view(), 5).classes(&[0; 16]);
        engine.train_step(samples).expect("a step");
    }
    let warnings = world.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("rank 1 is slow"), "{warnings:?}");
}

fn raise(world: World) {
    let engine = cpu(network(5), Adam::new(0.01));
    let mut engine = Parallel::new(world.clone(), engine).expect("an engine");
    let x = Array2::from_elem((16, 6), 0.5_f32);
    for step in 0..5 {
        let samples = Input::constant(x.view(), 5).classes(&[0; 16]);
        if step == 2 && world.rank() == 3 {
            world.raise(15);
        }
        engine.train_step(samples).expect("a step");
        assert_eq!(world.raised(), if step < 2 { 0 } else { 15 }, "step {step}");
    }
    // States are those of the own samples.
    let network = engine.to_network().expect("a network");
    let mut state = State::rest(&network, 16).expect("a state");
    let rest = state.clone();
    let samples = Input::constant(x.view(), 5).classes(&[0; 16]);
    engine.train_step_from(&mut state, samples).expect("a step");
    let (own, rest) = (
        &state.layer(1).expect("a layer")[0],
        &rest.layer(1).expect("a layer")[0],
    );
    let changed: Vec<usize> = (0..16).filter(|&b| own.row(b) != rest.row(b)).collect();
    let first = 4 * world.rank();
    assert_eq!(changed, (first..first + 4).collect::<Vec<_>>());
}
