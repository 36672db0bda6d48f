//! Optimizers and schedules against `torch.optim` (`tests/fixtures/optimizers.json`), and a training step
//! taken apart, in every engine.

#[macro_use]
mod engines;
mod skip;

use engines::Make;
use ndarray::{Array2, Axis};
use serde_json::Value;
#[cfg(feature = "cuda")]
use spikegrad::Device;
use spikegrad::{
    Adam, Adamax, Adjoints, Engine, Error, Float, Gradients, Input, Leaky, Loss, Network,
    Objective, Optimizer, ReferenceEngine, Schedule, Sgd,
    optim::{Rule, schedule::Curve},
};

fn fixture() -> Value {
    let text = include_str!("fixtures/optimizers.json");
    serde_json::from_str(text).expect("JSON")
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().expect("a list").clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// A rule with the settings that PyTorch was given; its defaults for the others.
fn rule(kind: &str, settings: &Value) -> Rule {
    let lr = number(&settings["lr"]);
    let with = |name: &str, default: f64| settings[name].as_f64().unwrap_or(default);
    let betas = match settings["betas"].as_array() {
        Some(betas) => (number(&betas[0]), number(&betas[1])),
        None => (0.9, 0.999),
    };
    match kind {
        "SGD" => Sgd::new(lr)
            .momentum(with("momentum", 0.0))
            .nesterov(settings["nesterov"] == true)
            .weight_decay(with("weight_decay", 0.0))
            .into(),
        "Adam" | "AdamW" => {
            let adam = match kind {
                "Adam" => Adam::new(lr),
                _ => Adam::adamw(lr),
            };
            let decay = with("weight_decay", adam.weight_decay);
            let adam = adam.betas(betas.0, betas.1).eps(with("eps", 1e-8));
            adam.weight_decay(decay).into()
        }
        "Adamax" => Adamax::new(lr)
            .betas(betas.0, betas.1)
            .eps(with("eps", 1e-8))
            .weight_decay(with("weight_decay", 0.0))
            .into(),
        _ => panic!("{kind}"),
    }
}

fn optimizer<F: Float>(case: &Value) -> Optimizer<F> {
    let kind = case["rule"].as_str().expect("a name");
    let mut optimizer = Optimizer::from(rule(kind, &case["settings"]));
    optimizer.clip_norm = case["clip_norm"].as_f64();
    for group in list(&case["groups"]) {
        let names = list(&group["tensors"]);
        let names = names.iter().map(|name| name.as_str().expect("a name"));
        optimizer = optimizer.group(names, rule(kind, &group["settings"]));
    }
    optimizer
}

/// 3–2, with a learned decay.
fn network<F: Float>(fixture: &Value) -> Network<F> {
    let neuron = Leaky::new(0.5).learn_beta(true);
    let network: Network = Network::builder(3).layer(2, neuron).build().unwrap();
    let mut network = network.cast();
    for (name, mut values) in network.parameters_mut() {
        fill(&mut values, &fixture["start"][&name]);
    }
    network
}

fn fill<F: Float>(values: &mut ndarray::ArrayViewMutD<'_, F>, from: &Value) {
    let from = list(from);
    assert_eq!(values.len(), from.len());
    values
        .iter_mut()
        .zip(&from)
        .for_each(|(v, x)| *v = F::from_f64(number(x)));
}

fn fill_gradients<F: Float>(gradients: &mut Gradients<F>, from: &Value) {
    for (name, mut values) in gradients.tensors_mut() {
        fill(&mut values, &from[&name]);
    }
}

fn assert_close<F: Float>(what: &str, network: &Network<F>, expected: &Value, tolerance: f64) {
    for (name, values) in network.parameters() {
        for (found, expected) in values.iter().zip(list(&expected[&name])) {
            let (found, expected) = (found.as_f64(), number(&expected));
            let error = (found - expected).abs();
            assert!(
                error <= tolerance * expected.abs().max(1.0),
                "{what}: {name} is {found}, not {expected}"
            );
        }
    }
}

#[test]
fn ten_updates_are_pytorchs() {
    let fixture = fixture();
    let cases = list(&fixture["optimizers"]);
    assert_eq!(cases.len(), 14);
    for case in cases {
        let (mut network, mut optimizer) = (network::<f64>(&fixture), optimizer::<f64>(&case));
        let steps = list(&fixture["gradients"])
            .into_iter()
            .zip(list(&case["after"]));
        for (n, (gradients_of, after)) in steps.enumerate() {
            let mut gradients = Gradients::zeros(&network);
            fill_gradients(&mut gradients, &gradients_of);
            optimizer.step(&mut network, &gradients).unwrap();
            let what = format!("{} after update {}", case["name"], n + 1);
            assert_close(&what, &network, &after, 1e-10);
        }
        assert_eq!(optimizer.steps(), 10);
    }
}

/// The same through each engine: gradients put in, updates made.
fn ten_updates_in_engines(name: &str, make: &Make) {
    let fixture = fixture();
    for case in list(&fixture["optimizers"]) {
        let objective = Objective::from(Loss::CrossEntropyMembrane);
        let mut engine = make(network(&fixture), objective, optimizer(&case));
        let steps = list(&fixture["gradients"])
            .into_iter()
            .zip(list(&case["after"]));
        for (n, (gradients, after)) in steps.enumerate() {
            engine
                .gradients_mut(&mut |sum| {
                    assert!(sum.norm() == 0.0, "an update clears them");
                    fill_gradients(sum, &gradients);
                    Ok(())
                })
                .unwrap();
            engine.update().unwrap();
            let what = format!("{name}: {} after update {}", case["name"], n + 1);
            assert_close(&what, &engine.to_network().unwrap(), &after, 1e-6);
        }
    }
}
on_every_engine!(ten_updates_in_engines);

#[test]
fn schedules_are_pytorchs() {
    let fixture = fixture();
    let cases = list(&fixture["schedules"]);
    assert_eq!(cases.len(), 9);
    for case in cases {
        let (name, settings) = (case["name"].as_str().unwrap(), &case["settings"]);
        let real = |name: &str| number(&settings[name]);
        let whole = |name: &str| settings[name].as_u64().expect("a count");
        let curve = match name {
            "constant" => Curve::Constant,
            "step" => Curve::Step {
                every: whole("every"),
                gamma: real("gamma"),
            },
            "exponential" => Curve::Exponential {
                gamma: real("gamma"),
            },
            "cosine" => Curve::Cosine {
                updates: whole("updates"),
                least: real("least"),
            },
            "one_cycle" => Curve::OneCycle {
                updates: whole("updates"),
                rise: real("rise"),
                start_factor: real("start_factor"),
                end_factor: real("end_factor"),
            },
            _ => panic!("{name}"),
        };
        let schedule = Schedule::from(curve).warmup(case["warmup"].as_u64().unwrap());
        schedule.check().unwrap();
        for (n, expected) in list(&case["rates"]).iter().enumerate() {
            let (found, expected) = (schedule.rate(0.1, n as u64), number(expected));
            assert!(
                (found - expected).abs() <= 1e-10,
                "{case}, update {n}: {found}"
            );
        }
    }
}

/// The curves with a length start anew after the warm-up, and stay where they end.
#[test]
fn schedules_with_an_end() {
    for schedule in [Schedule::cosine(10), Schedule::one_cycle(10)] {
        let warm = schedule.warmup(5);
        for n in 0..40 {
            assert_eq!(warm.rate(0.3, n + 5), schedule.rate(0.3, n));
        }
        assert_eq!(schedule.rate(0.3, 10), schedule.rate(0.3, 1 << 40));
        let last = schedule.rate(0.3, 10);
        assert!((0.0..0.3 / 1e4).contains(&last));
        assert_eq!(warm.rate(0.3, 4), 0.3);
    }
    assert_eq!(Schedule::one_cycle(1).rate(0.3, 0), 0.3 / 25.0 / 1e4);
}

/// Every rule, with what changes the path that its update takes.
fn optimizers() -> Vec<Optimizer> {
    let one_cycle = Schedule::one_cycle(12);
    vec![
        Sgd::new(0.05).into(),
        Sgd::new(0.05)
            .momentum(0.9)
            .nesterov(true)
            .weight_decay(0.01)
            .into(),
        Sgd::new(0.05).momentum(0.9).clip_norm(0.1),
        Adam::new(0.01).schedule(one_cycle),
        Adam::new(0.01).weight_decay(0.1).clip_norm(1e-3),
        Adam::adamw(0.01).schedule(Schedule::cosine(9).warmup(2)),
        Adamax::new(0.01).schedule(Schedule::step(2, 0.5)),
        Optimizer::from(Adam::adamw(0.01))
            .group(
                ["fc1.bias", "lif2.beta"],
                Adam::adamw(0.1).weight_decay(0.0),
            )
            .schedule(Schedule::exponential(0.9)),
    ]
}

/// 5–70–3, with a learned decay.
fn two_layers() -> Network {
    Network::builder(5)
        .layer(70, Leaky::new(0.9).threshold(0.3))
        .layer(3, Leaky::new(0.8).learn_beta(true))
        .seed(3)
        .build()
        .unwrap()
}

fn batch() -> (Array2<f32>, Vec<usize>) {
    let x = Array2::from_shape_fn((12, 5), |(b, n)| ((b * 7 + n * 3) % 11) as f32 / 10.0);
    (x, (0..12).map(|b| b % 3).collect())
}

/// A loss of the user's own: the sum of all membranes of the output.
fn own_loss() -> Loss {
    Loss::custom(|recording, _| {
        let mem = &recording.output().mem;
        let ones = ndarray::Array3::from_elem(mem.raw_dim(), 1.0 / mem.dim().1 as f32);
        let value = f64::from(mem.sum()) / mem.dim().1 as f64;
        Ok((
            value,
            Adjoints::output(recording.num_layers(), None, Some(ones)),
        ))
    })
}

fn state(engine: &mut dyn Engine) -> (Network, Optimizer) {
    (engine.to_network().unwrap(), engine.to_optimizer().unwrap())
}

/// `accumulate` with weight 1 and `update` are `train_step`, to the bit.
fn halves_make_a_step(name: &str, make: &Make) {
    let (x, targets) = batch();
    let input = Input::constant(x.view(), 9);
    for optimizer in optimizers() {
        for loss in [Loss::CrossEntropyMembrane, own_loss()] {
            let make = || make(two_layers(), loss.clone().into(), optimizer.clone());
            let (mut whole, mut halves) = (make(), make());
            for n in 0..5 {
                let expected = whole.train_step(input.classes(&targets)).unwrap();
                let found = halves.accumulate(input.classes(&targets), 1.0).unwrap();
                assert_eq!(found, expected, "{name}");
                halves.update().unwrap();
                assert_eq!(
                    state(&mut *halves),
                    state(&mut *whole),
                    "{name}: {optimizer:?}, update {n}"
                );
            }
            assert_ne!(whole.to_network().unwrap(), two_layers());
        }
    }
}
on_every_engine!(halves_make_a_step);

/// Four parts of a batch, each weighted by its share, have the gradients of the whole.
fn parts_make_a_batch(name: &str, make: &Make) {
    let (x, targets) = batch();
    let mut engine = make(
        two_layers(),
        Loss::CrossEntropyMembrane.into(),
        Adam::new(0.01).into(),
    );
    let (_, whole) = engine
        .gradients(Input::constant(x.view(), 9).classes(&targets))
        .unwrap();
    for size in [3, 5] {
        engine.clear_gradients();
        for (x, targets) in x.axis_chunks_iter(Axis(0), size).zip(targets.chunks(size)) {
            let weight = targets.len() as f64 / 12.0;
            engine
                .accumulate(Input::constant(x, 9).classes(targets), weight)
                .unwrap();
        }
        let mut sum = None;
        engine
            .gradients_mut(&mut |gradients| {
                sum = Some(gradients.clone());
                Ok(())
            })
            .unwrap();
        let sum = sum.expect("called");
        for ((tensor, found), (_, expected)) in sum.tensors().into_iter().zip(whole.tensors()) {
            let largest = expected.iter().fold(0.0_f32, |max, g| max.max(g.abs()));
            assert!(largest > 0.0, "{name}: {tensor}: nothing to compare");
            for (found, expected) in found.iter().zip(&expected) {
                let error = (found - expected).abs();
                assert!(
                    error <= 1e-6 * largest,
                    "{name}: {tensor}: {found} {expected}"
                );
            }
        }
        engine.update().unwrap();
        engine.set_network(two_layers()).unwrap();
    }
}
on_every_engine!(parts_make_a_batch);

/// A trainer's batch in parts makes the update of the whole, up to rounding; not all parts are of one size.
#[test]
fn a_trainers_parts_make_a_batch() {
    use spikegrad::{CpuEngine, Trainer, data::InMemory};
    let (x, targets) = batch();
    let data = InMemory::constant(x, targets).unwrap();
    let moved = |accumulate: usize| {
        let trainer = Trainer {
            epochs: 1,
            batch_size: 12,
            num_steps: 9,
            accumulate,
            ..Trainer::default()
        };
        let loss = Loss::CrossEntropyMembrane;
        let mut engine = CpuEngine::new(two_layers(), loss, Sgd::new(0.01)).unwrap();
        let fitted = trainer.fit(&mut engine, &data, None, |_, _| {
            Ok(std::ops::ControlFlow::Continue(()))
        });
        let loss = fitted.unwrap().batches[0].report.loss;
        assert_eq!(engine.to_optimizer().unwrap().steps(), 1);
        let (trained, before) = (engine.to_network().unwrap(), two_layers());
        let tensors = trained.parameters().into_iter().zip(before.parameters());
        let moved = tensors.map(|((name, after), (_, before))| (name, &after - &before));
        (loss, moved.collect::<Vec<_>>())
    };
    let (loss, whole) = moved(1);
    for accumulate in [2, 4, 5, 12] {
        let (found, parts) = moved(accumulate);
        assert!((found - loss).abs() <= 1e-6 * loss, "{found} {loss}");
        for ((name, found), (_, expected)) in parts.iter().zip(&whole) {
            let largest = expected.iter().fold(0.0_f32, |max, d| max.max(d.abs()));
            assert!(largest > 0.0, "{name} does not move");
            // Weights of size 1 are rounded to 6e-8.
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-6 * largest + 1.2e-7;
            assert!(
                found.iter().zip(expected).all(close),
                "{accumulate}: {name}"
            );
        }
    }
}

/// An engine made from another's network and optimizer goes on to the same bits, under each rule.
fn what_is_kept_moves(name: &str, make: &Make) {
    let (x, targets) = batch();
    let input = Input::constant(x.view(), 9);
    for optimizer in optimizers() {
        let new = |network, optimizer| make(network, Loss::CrossEntropyMembrane.into(), optimizer);
        let mut whole = new(two_layers(), optimizer.clone());
        for _ in 0..3 {
            whole.train_step(input.classes(&targets)).unwrap();
        }
        let (network, kept) = state(&mut *whole);
        assert_eq!(kept.steps(), 3);
        let mut second = new(network.clone(), kept.clone());
        // And one that was something else before.
        let mut third = new(two_layers(), Sgd::new(1.0).momentum(0.5).into());
        third.train_step(input.classes(&targets)).unwrap();
        third.set_network(network).unwrap();
        third.set_optimizer(kept).unwrap();
        for _ in 0..2 {
            whole.train_step(input.classes(&targets)).unwrap();
            second.train_step(input.classes(&targets)).unwrap();
            third.train_step(input.classes(&targets)).unwrap();
        }
        let expected = state(&mut *whole);
        assert_eq!(state(&mut *second), expected, "{name}: {optimizer:?}");
        assert_eq!(state(&mut *third), expected, "{name}: {optimizer:?}");
    }
}
on_every_engine!(what_is_kept_moves);

/// The base rate can change at any time; the schedule goes on.
fn the_learning_rate_can_be_set(name: &str, make: &Make) {
    let (x, targets) = batch();
    let input = Input::constant(x.view(), 9);
    let sgd = Sgd::new(0.5).schedule(Schedule::step(1, 0.5));
    let mut engine = make(two_layers(), Loss::CrossEntropyMembrane.into(), sgd);
    assert_eq!(engine.learning_rate(), 0.5);
    engine.train_step(input.classes(&targets)).unwrap();
    assert_eq!(engine.learning_rate(), 0.25);
    engine.set_learning_rate(0.0).unwrap();
    let before = engine.to_network().unwrap();
    engine.train_step(input.classes(&targets)).unwrap();
    assert_eq!(engine.to_network().unwrap(), before, "{name}");
    engine.set_learning_rate(0.8).unwrap();
    assert_eq!(engine.learning_rate(), 0.2);
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let error = engine.set_learning_rate(bad).unwrap_err().to_string();
        assert!(error.starts_with(&format!("SGD: lr is {bad}")), "{error}");
        assert_eq!(engine.learning_rate(), 0.2);
    }
    engine.train_step(input.classes(&targets)).unwrap();
    assert_ne!(engine.to_network().unwrap(), before, "{name}");
}
on_every_engine!(the_learning_rate_can_be_set);

/// Misuse is refused by name, and changes nothing: neither the network nor what was accumulated.
fn misuse_is_refused(name: &str, make: &Make) {
    let (x, targets) = batch();
    let input = Input::constant(x.view(), 9);
    let mut engine = make(
        two_layers(),
        Loss::CrossEntropyMembrane.into(),
        Adam::new(0.01).into(),
    );
    let error = engine.update().unwrap_err().to_string();
    assert!(
        error.starts_with("gradients to update from is none"),
        "{error}"
    );
    engine.accumulate(input.classes(&targets), 0.5).unwrap();
    let sum = |engine: &mut dyn Engine| {
        let mut sum = None;
        let edit = &mut |gradients: &mut Gradients| {
            sum = Some(gradients.clone());
            Ok(())
        };
        engine.gradients_mut(edit).unwrap();
        sum.expect("called")
    };
    let (before, kept) = (state(&mut *engine), sum(&mut *engine));
    let mut bad = x.clone();
    bad[[7, 2]] = f32::NAN;
    let refused = |what: &str, error: spikegrad::Result<()>, engine: &mut dyn Engine| {
        let error = error.expect_err(what).to_string();
        assert!(error.contains(what), "{name}: {error}");
        assert_eq!(
            (state(engine), sum(engine)),
            (before.clone(), kept.clone()),
            "{name}: {what}"
        );
    };
    let engine = &mut *engine;
    let error = engine
        .accumulate(input.classes(&targets), f64::NAN)
        .map(drop);
    refused("weight is NaN", error, engine);
    let error = engine.accumulate(input.classes(&targets), -1e39).map(drop);
    refused("also when rounded", error, engine);
    let error = engine
        .accumulate(Input::constant(bad.view(), 9).classes(&targets), 1.0)
        .map(drop);
    refused("NaN", error, engine);
    let error = engine
        .accumulate(input.classes(&targets[1..]), 1.0)
        .map(drop);
    refused("targets", error, engine);
    let error = engine.gradients_mut(&mut |gradients| {
        gradients.tensors_mut()[0].1.fill(f32::INFINITY);
        Ok(())
    });
    refused("gradient of fc1.weight is inf", error, engine);
    let other = network(&fixture());
    let error = engine.gradients_mut(&mut |gradients| {
        *gradients = Gradients::zeros(&other);
        Ok(())
    });
    refused("gradients has shape [3]; expected [5]", error, engine);
    let error = engine.gradients_mut(&mut |_| Err(Error::callback("no")));
    refused("no", error, engine);
    let error = engine.set_network(network(&fixture()));
    refused(
        "network has shape [3, 2]; expected [5, 70, 3]",
        error,
        engine,
    );
    let other_rule = Network::builder(5)
        .layer(70, Leaky::new(0.9))
        .layer(3, Leaky::new(0.8))
        .build()
        .unwrap();
    let error = engine.set_network(other_rule);
    refused("neurons of layer 2", error, engine);
    let mut of_another = ReferenceEngine::new(
        network(&fixture()),
        Loss::CrossEntropyMembrane,
        Adam::new(0.1),
    )
    .unwrap();
    let x = Array2::<f32>::ones((1, 3));
    of_another
        .train_step(Input::constant(x.view(), 3).classes(&[0]))
        .unwrap();
    let error = engine.set_optimizer(of_another.to_optimizer().unwrap());
    refused("exp_avg of the optimizer", error, engine);
    for (what, optimizer) in bad_optimizers() {
        let error = engine.set_optimizer(optimizer);
        refused(what, error, engine);
    }
    engine.update().unwrap();
    assert_ne!(state(engine).0, before.0);
}
on_every_engine!(misuse_is_refused);

/// Settings out of range, and what the error says.
fn bad_optimizers() -> Vec<(&'static str, Optimizer)> {
    let adam = Adam::new(0.01);
    let with = |curve: Curve| adam.schedule(curve.into());
    vec![
        ("Adam: lr is NaN", Adam::new(f64::NAN).into()),
        (
            "Adam: lr is 1e39; expected a number that f32 can hold",
            Adam::new(1e39).into(),
        ),
        ("SGD: lr is -1", Sgd::new(-1.0).into()),
        ("SGD: momentum is 1;", Sgd::new(0.1).momentum(1.0).into()),
        ("above 0 for Nesterov", Sgd::new(0.1).nesterov(true).into()),
        (
            "SGD: weight_decay is -0.1",
            Sgd::new(0.1).weight_decay(-0.1).into(),
        ),
        (
            "AdamW: weight_decay is inf",
            Adam::adamw(0.1).weight_decay(f64::INFINITY).into(),
        ),
        ("Adamax: eps is 0", Adamax::new(0.1).eps(0.0).into()),
        (
            "Adamax: beta1 is 1;",
            Adamax::new(0.1).betas(1.0, 0.9).into(),
        ),
        ("clip_norm is 0", adam.clip_norm(0.0)),
        (
            "schedule: every is 0",
            with(Curve::Step {
                every: 0,
                gamma: 0.5,
            }),
        ),
        (
            "schedule: gamma is -1",
            with(Curve::Exponential { gamma: -1.0 }),
        ),
        (
            "schedule: gamma is NaN",
            with(Curve::Step {
                every: 1,
                gamma: f64::NAN,
            }),
        ),
        ("schedule: updates is 0", with(Schedule::cosine(0).curve)),
        (
            "schedule: least is -1",
            with(Curve::Cosine {
                updates: 1,
                least: -1.0,
            }),
        ),
        ("schedule: updates is 0", with(Schedule::one_cycle(0).curve)),
        (
            "schedule: rise is 1.5",
            with(Curve::OneCycle {
                updates: 3,
                rise: 1.5,
                start_factor: 1.0,
                end_factor: 1.0,
            }),
        ),
        (
            "tensor of a group is fc9.bias; expected one of fc1.weight, fc1.bias",
            Optimizer::from(adam).group(["fc9.bias"], adam),
        ),
        (
            "tensor of a group is fc1.bias; expected a tensor in no other group",
            Optimizer::from(adam)
                .group(["fc1.bias"], adam)
                .group(["fc1.bias"], adam),
        ),
        (
            "rule of group 0 is SGD",
            Optimizer::from(adam).group(["fc1.bias"], Sgd::new(0.1)),
        ),
        (
            "rule of group 0 is SGD",
            Optimizer::from(Sgd::new(0.1)).group(["fc1.bias"], Sgd::new(0.1).momentum(0.9)),
        ),
    ]
}

/// What the optimizer keeps has PyTorch's names.
#[test]
fn state_is_named() {
    let (x, targets) = batch();
    for (optimizer, names) in [
        (Optimizer::from(Sgd::new(0.1)), &[][..]),
        (Sgd::new(0.1).momentum(0.9).into(), &["momentum_buffer"]),
        (Adam::new(0.1).into(), &["exp_avg", "exp_avg_sq"]),
        (Adamax::new(0.1).into(), &["exp_avg", "exp_inf"]),
    ] {
        let mut engine =
            ReferenceEngine::new(two_layers(), Loss::CrossEntropyMembrane, optimizer).unwrap();
        assert!(engine.to_optimizer().unwrap().state().is_empty());
        engine
            .train_step(Input::constant(x.view(), 9).classes(&targets))
            .unwrap();
        let optimizer = engine.to_optimizer().unwrap();
        let found: Vec<&str> = optimizer.state().iter().map(|(name, _)| *name).collect();
        assert_eq!(found, names);
        let moved = |kept: &Gradients| {
            kept.tensors()
                .iter()
                .any(|(_, v)| v.iter().any(|x| *x != 0.0))
        };
        assert!(optimizer.state().iter().all(|(_, kept)| moved(kept)));
    }
}

/// The GPU's update is the CPU engine's to the bit, under each rule, from the same gradients.
#[test]
#[cfg(feature = "cuda")]
fn updates_have_the_same_bits_on_a_gpu() {
    if !skip::cuda() {
        return;
    }
    let isa = *spikegrad::CpuEngine::instruction_sets().last().unwrap();
    if !isa.starts_with("AVX") {
        skip::skipped(format_args!("this machine has no fused multiply-add"));
        return;
    }
    let gradient = |n: usize, update: usize| {
        let size = [1.0, 1e-3, 1e-9, 0.0, 30.0][n % 5];
        (((n * 31 + update * 17) % 23) as f32 - 11.0) * size
    };
    // Learned constants are left out, which the CPU engine updates without fused multiply-adds; and
    // clipping: norms are added up in another order.
    let network: Network = Network::builder(5)
        .layer(70, Leaky::new(0.9))
        .layer(3, Leaky::new(0.8))
        .build()
        .unwrap();
    for mut optimizer in optimizers().into_iter().filter(|o| o.clip_norm.is_none()) {
        for group in &mut optimizer.groups {
            group.tensors.retain(|name| name.starts_with("fc"));
        }
        let make = |device: Device| {
            let loss = Loss::CrossEntropyMembrane;
            device
                .engine(network.clone(), loss, optimizer.clone())
                .unwrap()
        };
        let mut engines = [make(Device::Cpu), make(Device::Cuda(0))];
        for update in 0..40 {
            let [expected, found] = engines.each_mut().map(|engine| {
                let fill = &mut |gradients: &mut Gradients| {
                    for (_, mut values) in gradients.tensors_mut() {
                        let values = values.iter_mut().enumerate();
                        values.for_each(|(n, g)| *g = gradient(n, update));
                    }
                    Ok(())
                };
                engine.gradients_mut(fill).unwrap();
                engine.update().unwrap();
                state(&mut **engine)
            });
            let tensors = |(network, optimizer): &(Network, Optimizer)| {
                let mut all: Vec<(String, Vec<u32>)> = Vec::new();
                let bits =
                    |v: ndarray::ArrayViewD<'_, f32>| v.iter().map(|x| x.to_bits()).collect();
                all.extend(network.parameters().into_iter().map(|(n, v)| (n, bits(v))));
                for (kept, tensors) in optimizer.state() {
                    let named = tensors.tensors().into_iter();
                    all.extend(named.map(|(n, v)| (format!("{kept} of {n}"), bits(v))));
                }
                all
            };
            for ((name, found), (_, expected)) in tensors(&found).iter().zip(tensors(&expected)) {
                for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
                    let (a, b) = (f32::from_bits(*found), f32::from_bits(expected));
                    assert!(
                        *found == expected,
                        "{optimizer:?}, update {update}: {name}, {n}: {a:e} {b:e}"
                    );
                }
            }
        }
    }
}

/// A gradient that has overflowed is refused however small its weight, and the sum stays.
fn overflow_is_refused_whatever_the_weight(name: &str, make: &Make) {
    let x = Array2::from_elem((2, 5), 3e38_f32);
    let mut network = two_layers();
    for (_, mut values) in network.parameters_mut().into_iter().take(2) {
        values.fill(0.0);
    }
    let input = Input::constant(x.view(), 10);
    for weight in [1.0, 1e-22, 0.0] {
        let mut engine = make(network.clone(), own_loss().into(), Adam::new(0.01).into());
        if engine.gradients(input.classes(&[0, 1])).is_ok() {
            continue; // nothing has overflowed in this engine's order of sums
        }
        let error = engine.accumulate(input.classes(&[0, 1]), weight);
        assert!(error.is_err(), "{name}: weight {weight}");
        assert!(engine.update().is_err(), "{name}: nothing was accumulated");
        assert_eq!(engine.to_network().unwrap(), network);
    }
}
on_every_engine!(overflow_is_refused_whatever_the_weight);

/// What was accumulated waits for its update, whatever is done in between.
fn the_sum_waits(name: &str, make: &Make) {
    let (x, targets) = batch();
    let samples = Input::constant(x.view(), 9).classes(&targets);
    let new = || {
        make(
            two_layers(),
            Loss::CrossEntropyMembrane.into(),
            Sgd::new(0.1).into(),
        )
    };
    let mut plain = new();
    plain.train_step(samples).unwrap();
    let expected = plain.to_network().unwrap();
    let mut engine = new();
    engine.accumulate(samples, 1.0).unwrap();
    engine.train_step(samples).unwrap();
    engine.evaluate(samples).unwrap();
    engine.gradients(samples).unwrap();
    engine.set_network(two_layers()).unwrap();
    engine.set_optimizer(Sgd::new(0.1).into()).unwrap();
    engine.update().unwrap();
    assert_eq!(engine.to_network().unwrap(), expected, "{name}");
    engine.accumulate(samples, 1.0).unwrap();
    engine.clear_gradients();
    assert!(engine.update().is_err(), "{name}");
}
on_every_engine!(the_sum_waits);

/// A second moment that coupled decay makes infinite is reported by name: of a weight, and of a learned
/// constant.
fn decay_that_overflows_is_reported(name: &str, make: &Make) {
    let (x, targets) = batch();
    let samples = Input::constant(x.view(), 9).classes(&targets);
    for only in ["fc", "lif2.beta"] {
        let mut network = two_layers();
        for (tensor, mut values) in network.parameters_mut() {
            if !tensor.starts_with(only) && tensor.starts_with("fc") {
                values.fill(0.0);
            }
        }
        let decay = Adam::new(1e-3).weight_decay(1e25);
        let mut engine = make(network, Loss::CrossEntropyMembrane.into(), decay.into());
        let error = engine.train_step(samples).unwrap_err().to_string();
        let says = format!("second moment of {only}");
        assert!(error.starts_with(&says), "{name}: {error}");
    }
}
on_every_engine!(decay_that_overflows_is_reported);

/// The state of one rule is not taken for another's.
fn a_change_of_rule_begins_anew(name: &str, make: &Make) {
    let (x, targets) = batch();
    let samples = Input::constant(x.view(), 9).classes(&targets);
    for (rule, says) in [
        (
            Rule::from(Adamax::new(0.01)),
            "exp_avg and exp_inf, which Adamax keeps",
        ),
        (Rule::from(Sgd::new(0.01)), "nothing, which SGD keeps"),
    ] {
        let mut engine = make(
            two_layers(),
            Loss::CrossEntropyMembrane.into(),
            Adam::new(0.01).into(),
        );
        engine.train_step(samples).unwrap();
        let mut changed = engine.to_optimizer().unwrap();
        changed.rule = rule;
        let error = engine.set_optimizer(changed).unwrap_err().to_string();
        assert!(
            error.contains(says) && error.contains("exp_avg and exp_avg_sq"),
            "{name}: {error}"
        );
        engine.set_optimizer(rule.into()).unwrap();
        engine.train_step(samples).unwrap();
    }
}
on_every_engine!(a_change_of_rule_begins_anew);

/// No setting makes a schedule panic, checked or not.
#[test]
fn schedules_do_not_panic() {
    for curve in [
        Curve::Step {
            every: 0,
            gamma: 0.5,
        },
        Curve::Cosine {
            updates: 0,
            least: 0.1,
        },
        Schedule::one_cycle(0).curve,
        Schedule::one_cycle(u64::MAX).curve,
    ] {
        for warmup in [0, 1, u64::MAX] {
            for made in [0, 1, 5, u64::MAX - 1, u64::MAX] {
                let _ = Schedule::from(curve).warmup(warmup).rate(1.0, made);
            }
        }
    }
    for gamma in [1.5, 1e300] {
        assert_eq!(Schedule::exponential(gamma).rate(0.0, 10_000), 0.0);
    }
}
