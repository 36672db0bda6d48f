//! Checkpoints as a library's user meets them: a run goes on from any batch to the same bits, on
//! another engine too; another configuration, a later format or a custom loss are clear errors; and a
//! folder keeps a whole one whatever is done to it.
#![cfg(feature = "safetensors")]

mod runs;
mod skip;

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

use runs::{after, data, edited, engine, go_on, network, trainer, whole, without_times};
use skip::skipped;
use spikegrad::{
    Adam, Adamax, Adjoints, Checkpoint, CheckpointDir, CpuEngine, Device, Engine, Error, History,
    Loss, Optimizer, ReferenceEngine, Schedule, Sgd, Trainer,
    checkpoint::disk::{Disk, Durable, Os},
    train::{Event, Position},
};
use tempfile::{TempDir, tempdir};

const CURRENT: &str = "checkpoint.safetensors";
const PREVIOUS: &str = "checkpoint.previous.safetensors";

fn folder() -> TempDir {
    tempdir().expect("a temporary folder")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_goes_on_from_every_batch_to_the_same_bits() {
    let (network, history) = whole();
    assert_eq!((history.batches.len(), history.epochs.len()), (15, 3));
    let rates = history.batches.iter().map(|b| b.report.firing_rate[0]);
    assert!(rates.fold(0.0, f64::max) > 0.05, "it spikes");
    for batches in 0..=15 {
        let bytes = after(batches).to_bytes().expect("bytes");
        let checkpoint = Checkpoint::from_bytes(&bytes).expect("a checkpoint");
        let expected = Position {
            epoch: batches / 5,
            batch: batches % 5,
        };
        // The run was stopped at the batch, so before the epoch was validated.
        let unvalidated = batches > 0 && batches % 5 == 0;
        let expected = match unvalidated {
            true => Position {
                epoch: expected.epoch - 1,
                batch: 5,
            },
            false => expected,
        };
        assert_eq!(checkpoint.position, expected, "{batches}");
        let mut engine = checkpoint.engine(Device::Cpu).expect("an engine");
        let (resumed, measured) = go_on(checkpoint, &mut *engine);
        assert_eq!(resumed, network, "after {batches} batches");
        assert_eq!(
            without_times(&measured),
            without_times(&history),
            "{batches}"
        );
    }
}

/// A checkpoint after each batch changes nothing, and each is the state of the run without them.
#[test]
fn checkpoints_change_no_bits() {
    let dir = folder();
    let (mut engine, data) = (engine(), data());
    let mut folder = CheckpointDir::open(dir.path()).expect("a folder");
    let history = trainer()
        .fit(&mut *engine, &data, Some(&data), |engine, event| {
            let checkpoint = Checkpoint::new(engine, &trainer(), event.history());
            let saved = folder.save_in_background(checkpoint.expect("a checkpoint"));
            saved.expect("it is written");
            Ok(ControlFlow::Continue(()))
        })
        .expect("it trains");
    folder.wait().expect("it is written");
    let (network, expected) = whole();
    assert_eq!(engine.to_network().unwrap(), network);
    assert_eq!(without_times(&history), without_times(&expected));
    let last = folder.load().expect("it is read").expect("there is one");
    assert_eq!(last.warning, None);
    assert_eq!(last.checkpoint.network, network);
    assert_eq!(last.checkpoint.history, history);
    assert_eq!(last.checkpoint.position, Position { epoch: 3, batch: 0 });
}

/// Saved on one engine, resumed on another, and back: parameters, moments and history move without a
/// change; the other engine's own arithmetic then goes on from them.
#[test]
fn a_checkpoint_moves_between_engines() {
    type Make = fn(&Checkpoint) -> Option<Box<dyn Engine>>;
    let engines: &[(&str, Make)] = &[
        ("cpu", |c| {
            let (network, adam) = (c.network.clone(), c.optimizer.clone());
            Some(Box::new(
                CpuEngine::new(network, c.objective.clone()?, adam).unwrap(),
            ))
        }),
        ("reference", |c| {
            let (network, adam) = (c.network.clone(), c.optimizer.clone());
            Some(Box::new(
                ReferenceEngine::new(network, c.objective.clone()?, adam).unwrap(),
            ))
        }),
        #[cfg(feature = "cuda")]
        ("cuda", |c| {
            skip::cuda().then(|| c.engine(Device::Cuda(0)).unwrap())
        }),
    ];
    let reload = |c: &Checkpoint| Checkpoint::from_bytes(&c.to_bytes().unwrap()).unwrap();
    let start = reload(&after(0));
    let part = |checkpoint: &Checkpoint, engine: &mut dyn Engine, batches: usize| {
        let data = data();
        let history = checkpoint.trainer.resume(
            engine,
            &data,
            Some(&data),
            checkpoint.history.clone(),
            |_, event| match event.history().batches.len() == batches {
                true => Ok(ControlFlow::Break(())),
                false => Ok(ControlFlow::Continue(())),
            },
        );
        reload(&Checkpoint::new(engine, &checkpoint.trainer, &history.unwrap()).unwrap())
    };
    let (expected, _) = whole();
    for (from, make_from) in engines {
        for (to, make_to) in engines {
            let Some(mut first) = make_from(&start) else {
                continue;
            };
            let saved = part(&start, &mut *first, 4);
            let Some(mut second) = make_to(&saved) else {
                continue;
            };
            // Nothing is lost on the way in and out again.
            assert_eq!(
                second.to_network().unwrap(),
                saved.network,
                "{from} to {to}"
            );
            assert_eq!(
                second.to_optimizer().unwrap(),
                saved.optimizer,
                "{from} to {to}"
            );
            let there = part(&saved, &mut *second, 9);
            let Some(mut back) = make_from(&there) else {
                continue;
            };
            assert_eq!(back.to_network().unwrap(), there.network, "{to} to {from}");
            assert_eq!(
                back.to_optimizer().unwrap(),
                there.optimizer,
                "{to} to {from}"
            );
            let (network, history) = go_on(there, &mut *back);
            assert_eq!((history.batches.len(), history.epochs.len()), (15, 3));
            // Engines round differently; on a run as short as this the results stay close.
            for ((name, a), (_, b)) in network.parameters().iter().zip(expected.parameters()) {
                let close = a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-4);
                assert!(close, "{from} to {to} and back: {name}: {a} {b}");
            }
            if from == to {
                // One engine all the way: the very bits of its own run.
                let mut alone = make_from(&start).expect("as before");
                let (alone, _) = go_on(start.clone(), &mut *alone);
                assert_eq!(network, alone, "{from}");
            }
        }
    }
}

#[test]
fn a_history_that_does_not_fit_is_refused() {
    let (data, checkpoint) = (data(), after(7));
    let resume = |trainer: Trainer, history: History| {
        let mut engine = checkpoint.engine(Device::Cpu).unwrap();
        let result = trainer.resume(&mut *engine, &data, None, history, |_, _| {
            Ok(ControlFlow::Continue(()))
        });
        match result {
            Err(Error::InvalidParameter {
                name,
                value,
                expected,
            }) => format!("{name} {value} {expected}"),
            result => panic!("{result:?}"),
        }
    };
    let history = || checkpoint.history.clone();
    let fewer_epochs = Trainer {
        epochs: 1,
        ..trainer()
    };
    assert!(resume(fewer_epochs, history()).starts_with("epochs 1 at least 2"));
    let other_batches = Trainer {
        batch_size: 8,
        ..trainer()
    };
    assert!(resume(other_batches, history()).contains("2 batches per epoch"));
    let mut gap = history();
    gap.batches.remove(3);
    assert!(resume(trainer(), gap).contains("history"));
    let mut epochs = history();
    epochs.epochs.push(epochs.epochs[0].clone());
    assert!(resume(trainer(), epochs).contains("number of epochs"));
    let mut none = history();
    none.epochs.clear();
    assert!(resume(trainer(), none).contains("number of epochs"));
}

#[test]
fn more_epochs_go_on_from_the_end() {
    let end = after(usize::MAX);
    assert_eq!(end.position, Position { epoch: 3, batch: 0 });
    let longer = Trainer {
        epochs: 4,
        ..trainer()
    };
    let mut resumed = end.engine(Device::Cpu).unwrap();
    let data = data();
    let history = longer.resume(&mut *resumed, &data, Some(&data), end.history, |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    let mut straight = engine();
    let expected = longer.fit(&mut *straight, &data, Some(&data), |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    assert_eq!(
        without_times(&history.unwrap()),
        without_times(&expected.unwrap())
    );
    assert_eq!(
        resumed.to_network().unwrap(),
        straight.to_network().unwrap()
    );
}

#[test]
fn another_configuration_is_named() {
    let saved = after(3);
    saved
        .check_same_run(&after(0))
        .expect("the same run at another batch");
    let mut epochs = after(0);
    epochs.trainer.epochs = 9;
    saved.check_same_run(&epochs).expect("epochs may differ");

    let change = |f: &dyn Fn(&mut Checkpoint)| {
        let mut other = after(0);
        f(&mut other);
        match saved.check_same_run(&other) {
            Err(error @ Error::InvalidParameter { .. }) => error.to_string(),
            result => panic!("{result:?}"),
        }
    };
    let message = change(&|c| c.optimizer.rule.set_lr(0.02));
    assert_eq!(
        message,
        "adam.lr is 0.02; expected 0.01, as in the checkpoint"
    );
    let message = change(&|c| c.optimizer = Sgd::new(0.01).into());
    assert_eq!(
        message,
        "optimizer is sgd; expected adam, as in the checkpoint"
    );
    let message = change(&|c| c.optimizer.schedule = Schedule::cosine(9).warmup(2));
    assert!(message.starts_with("schedule.warmup is 2; expected 0"));
    assert!(
        change(&|c| c.trainer.batch_size = 2).starts_with("trainer.batch_size is 2; expected 4")
    );
    assert!(change(&|c| c.trainer.seed = 2).starts_with("trainer.seed is 2; expected 11"));
    assert!(change(&|c| c.trainer.num_steps = 2).starts_with("trainer.num_steps"));
    assert!(
        change(&|c| c.objective = Some(Loss::CrossEntropyCount.into()))
            .starts_with("objective.loss is cross_entropy_count")
    );
    let message = change(&|c| drop(c.settings.insert("note".into(), "b".into())));
    assert!(
        message.starts_with("setting.note is b; expected a \"quoted\""),
        "{message}"
    );
    let message = change(&|c| drop(c.settings.insert("new".into(), "b".into())));
    assert!(
        message.starts_with("setting.new is b; expected nothing"),
        "{message}"
    );
    let network = spikegrad::Network::builder(6)
        .layer(2, spikegrad::Leaky::new(0.9))
        .build()
        .unwrap();
    let message = change(&|c| c.network = network.clone());
    assert!(
        message.starts_with("network.sizes is 6 2; expected 6 3 2"),
        "{message}"
    );
}

/// `tests/runs/checkpoint_v1.safetensors` was written by format version 1; this must read it for
/// ever.
#[test]
fn format_version_1_stays_readable() {
    let path = fixture(1);
    let checkpoint = Checkpoint::read(&path).expect("version 1 is read");
    assert_eq!(checkpoint.configuration(), after(0).configuration());
    assert_eq!(checkpoint.position, Position { epoch: 1, batch: 2 });
    assert_eq!(checkpoint.optimizer.steps(), 7);
    assert_eq!(checkpoint.history.batches.len(), 7);
    assert!(checkpoint.history.epochs[0].validation.is_some());
    assert_eq!(
        checkpoint.settings["note"],
        "a \"quoted\" line\nand another"
    );
    // The numbers are those that the library of the format finds in it.
    let bytes = fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let (first, second) = checkpoint.optimizer.moments().expect("moments");
    let named = |prefix: &str, tensors: Vec<(String, ndarray::ArrayViewD<'_, f32>)>| {
        assert_eq!(tensors.len(), 6);
        for (name, values) in tensors {
            let found = file.tensor(&format!("{prefix}{name}")).unwrap();
            let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
            assert_eq!((found.shape(), found.data()), (values.shape(), &bytes[..]));
        }
    };
    named("", checkpoint.network.parameters());
    named("adam.exp_avg.", first.tensors());
    named("adam.exp_avg_sq.", second.tensors());
    let mut engine = checkpoint.engine(Device::Cpu).expect("an engine");
    let (_, history) = go_on(checkpoint, &mut *engine);
    assert_eq!(history.batches.len(), 15);
}

/// The same for version 2, with everything that it added. Only before the first release may it be made
/// again: `cargo test --test checkpoint -- --ignored`.
#[test]
fn format_version_2_stays_readable() {
    let checkpoint = Checkpoint::read(fixture(2)).expect("version 2 is read");
    let (expected, trainer) = version_2();
    assert_eq!(checkpoint.trainer, trainer);
    assert_eq!(checkpoint.optimizer.rule, expected.rule);
    assert_eq!(checkpoint.optimizer.groups, expected.groups);
    assert_eq!(checkpoint.optimizer.schedule, expected.schedule);
    assert_eq!(checkpoint.optimizer.clip_norm, expected.clip_norm);
    assert_eq!(checkpoint.optimizer.steps(), 7);
    let rates = checkpoint.history.batches.iter().map(|b| b.learning_rate);
    assert!(rates.eq((0..7).map(|n| expected.schedule.rate(0.01, n))));
    let mut engine = checkpoint.engine(Device::Cpu).expect("an engine");
    let (_, history) = go_on(checkpoint, &mut *engine);
    assert_eq!(history.batches.len(), 15);
}

/// The optimizer and the settings of version 2's file.
fn version_2() -> (Optimizer, Trainer) {
    let adamw = Adam::adamw(0.01);
    let optimizer = Optimizer::from(adamw)
        .group(["fc1.bias", "lif2.beta"], adamw.weight_decay(0.0))
        .schedule(Schedule::one_cycle(12).warmup(3))
        .clip_norm(0.5);
    let trainer = Trainer {
        accumulate: 2,
        ..trainer()
    };
    (optimizer, trainer)
}

fn fixture(version: u32) -> PathBuf {
    let name = format!("tests/runs/checkpoint_v{version}.safetensors");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
#[ignore = "writes the fixture of the current version"]
fn write_the_fixture() {
    let (optimizer, trainer) = version_2();
    let loss = Loss::CrossEntropyMembrane;
    let mut engine = Device::Cpu.engine(network(), loss, optimizer).unwrap();
    let history = trainer.fit(&mut *engine, &data(), Some(&data()), |_, event| {
        Ok(match event.history().batches.len() {
            7 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    });
    let saved = Checkpoint::new(&mut *engine, &trainer, &history.unwrap()).unwrap();
    fs::write(fixture(2), saved.to_bytes().unwrap()).unwrap();
}

#[test]
fn a_later_format_is_a_clear_error_and_not_replaced_by_the_one_before() {
    let dir = folder();
    let bytes = after(3).to_bytes().unwrap();
    let later = edited(&bytes, "\"version\":\"2\"", "\"version\":\"3\"");
    fs::write(dir.path().join(PREVIOUS), &bytes).unwrap();
    fs::write(dir.path().join(CURRENT), later).unwrap();
    let error = CheckpointDir::open(dir.path()).unwrap().load().unwrap_err();
    assert!(
        matches!(&error, Error::Format { what, found, .. } if what == "version" && found == "3")
    );
    assert!(
        error.to_string().contains("a later one wrote the file"),
        "{error}"
    );
}

#[test]
fn a_custom_loss_is_asked_for() {
    let loss = || {
        Loss::custom(|recording, _| {
            let ones = ndarray::Array3::ones(recording.output().mem.raw_dim());
            let value = recording.output().mem.sum();
            let layers = recording.num_layers();
            Ok((f64::from(value), Adjoints::output(layers, None, Some(ones))))
        })
    };
    let mut engine = CpuEngine::new(network(), loss(), Adam::new(0.01)).unwrap();
    let data = data();
    let history = trainer().fit(&mut engine, &data, None, |_, event| match event {
        Event::Epoch { .. } => Ok(ControlFlow::Break(())),
        _ => Ok(ControlFlow::Continue(())),
    });
    let saved = Checkpoint::new(&mut engine, &trainer(), &history.unwrap()).unwrap();
    let loaded = Checkpoint::from_bytes(&saved.to_bytes().unwrap()).unwrap();
    assert!(loaded.objective.is_none());
    loaded.check_same_run(&saved).expect("the same run");
    let error = loaded.engine(Device::Cpu).err().expect("no loss");
    assert!(error.to_string().contains("custom loss"), "{error}");
    let adam = loaded.optimizer.clone();
    let mut resumed = Device::Cpu
        .engine(loaded.network.clone(), loss(), adam)
        .unwrap();
    let mut straight = CpuEngine::new(network(), loss(), Adam::new(0.01)).unwrap();
    let goes_on = |_: &mut dyn Engine, _: Event<'_>| Ok(ControlFlow::Continue(()));
    trainer()
        .resume(&mut *resumed, &data, None, loaded.history, goes_on)
        .unwrap();
    trainer().fit(&mut straight, &data, None, goes_on).unwrap();
    assert_eq!(
        resumed.to_network().unwrap(),
        straight.to_network().unwrap()
    );
}

/// What could not be read again is not written, and the last good one stays.
#[test]
fn numbers_that_are_not_finite_are_not_written() {
    let dir = folder();
    let mut folder = CheckpointDir::open(dir.path()).unwrap();
    let good = after(3);
    folder.save(&good).unwrap();
    for (tensor, bad) in [("fc1.weight", f32::NAN), ("lif2.beta", f32::INFINITY)] {
        let mut checkpoint = good.clone();
        for (name, mut values) in checkpoint.network.parameters_mut() {
            if name == tensor {
                values.fill(bad);
            }
        }
        let error = folder.save(&checkpoint).unwrap_err();
        assert!(error.to_string().contains(tensor), "{error}");
        folder.save_in_background(checkpoint).unwrap();
        let error = folder.wait().unwrap_err();
        assert!(error.to_string().contains(tensor), "{error}");
    }
    let mut out_of_place = good.clone();
    out_of_place.position.batch += 1;
    assert!(folder.save(&out_of_place).is_err());
    let found = folder.load().unwrap().unwrap();
    assert_eq!(found.checkpoint.network, good.network);
    assert_eq!(names(dir.path()), ["checkpoint.lock", CURRENT]);
}

#[test]
fn the_one_before_is_kept_and_taken_where_the_current_is_damaged_or_gone() {
    let dir = folder();
    let path = |name: &str| dir.path().join(name);
    assert!(Checkpoint::load(dir.path()).unwrap().is_none());
    let mut folder = CheckpointDir::open(dir.path()).unwrap();
    assert!(folder.load().unwrap().is_none());
    for batches in [1, 2, 3, 4] {
        folder.save(&after(batches)).unwrap();
    }
    drop(folder);
    assert_eq!(names(dir.path()), ["checkpoint.lock", PREVIOUS, CURRENT]);
    let batch = |c: &Checkpoint| c.history.batches.len();
    assert_eq!(batch(&Checkpoint::read(path(CURRENT)).unwrap()), 4);
    assert_eq!(batch(&Checkpoint::read(path(PREVIOUS)).unwrap()), 3);

    let whole = fs::read(path(CURRENT)).unwrap();
    for damaged in [&whole[..whole.len() - 1], b""] {
        fs::write(path(CURRENT), damaged).unwrap();
        let mut folder = CheckpointDir::open(dir.path()).unwrap();
        let found = folder.load().unwrap().unwrap();
        assert_eq!(batch(&found.checkpoint), 3);
        let warning = found.warning.expect("it says so");
        assert!(
            warning.contains(CURRENT) && warning.contains(PREVIOUS),
            "{warning}"
        );
        // The damaged one does not push out the whole one.
        folder.save(&after(5)).unwrap();
        assert_eq!(batch(&Checkpoint::read(path(CURRENT)).unwrap()), 5);
        assert_eq!(batch(&Checkpoint::read(path(PREVIOUS)).unwrap()), 3);
        drop(folder);
        // Nor does it without a look at it first.
        fs::write(path(CURRENT), damaged).unwrap();
        after(6).save(dir.path()).unwrap();
        assert_eq!(batch(&Checkpoint::read(path(PREVIOUS)).unwrap()), 3);
    }
    fs::remove_file(path(CURRENT)).unwrap();
    let found = Checkpoint::load(dir.path()).unwrap().unwrap();
    assert_eq!(batch(&found.checkpoint), 3);
    assert!(found.warning.unwrap().contains("is missing"));

    fs::write(path(CURRENT), b"x").unwrap();
    fs::write(path(PREVIOUS), b"y").unwrap();
    let error = Checkpoint::load(dir.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("damaged, and so is the previous one"),
        "{error}"
    );
}

/// A reader takes no lock, and the run's next saves may replace and write over the file that it reads.
#[test]
fn a_run_that_goes_on_can_be_looked_at() {
    let dir = folder();
    let mut folder = CheckpointDir::open(dir.path()).unwrap();
    let runs: Vec<Checkpoint> = (1..=6).map(after).collect();
    folder.save(&runs[0]).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for run in runs.iter().cycle().take(300) {
                folder.save(run).unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
        while !done.load(Ordering::Relaxed) {
            let found = Checkpoint::load(dir.path()).unwrap().expect("one");
            assert_eq!(found.warning, None);
        }
    });
}

/// After a kill between the two steps both names mean one file; the next save must not be confused.
#[test]
fn two_names_of_one_file() {
    let dir = folder();
    after(1).save(dir.path()).unwrap();
    fs::hard_link(dir.path().join(CURRENT), dir.path().join(PREVIOUS)).unwrap();
    fs::write(dir.path().join("checkpoint.safetensors.tmp"), b"half").unwrap();
    fs::hard_link(
        dir.path().join(CURRENT),
        dir.path().join("checkpoint.previous.safetensors.tmp"),
    )
    .unwrap();
    let mut folder = CheckpointDir::open(dir.path()).unwrap();
    assert_eq!(names(dir.path()), ["checkpoint.lock", PREVIOUS, CURRENT]);
    assert!(folder.load().unwrap().is_some());
    for batches in [2, 3, 4] {
        folder.save(&after(batches)).unwrap();
        let previous = Checkpoint::read(dir.path().join(PREVIOUS)).unwrap();
        assert_eq!(previous.history.batches.len(), batches - 1);
    }
    drop(folder);
    assert_eq!(names(dir.path()), ["checkpoint.lock", PREVIOUS, CURRENT]);
}

#[test]
fn only_a_regular_file_is_read() {
    let dir = folder();
    fs::create_dir(dir.path().join(CURRENT)).unwrap();
    let error = Checkpoint::load(dir.path()).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
    assert!(Checkpoint::read(dir.path().join("missing")).is_err());
    if cfg!(unix) {
        let pipe = dir.path().join("pipe");
        let made = Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            let error = Checkpoint::read(&pipe).unwrap_err(); // and does not wait for a writer
            assert!(error.to_string().contains("not a regular file"), "{error}");
        }
        assert!(Checkpoint::read("/dev/zero").is_err());
    }
}

#[test]
fn a_second_writer_is_refused_by_the_folders_name() {
    let dir = folder();
    let first = CheckpointDir::open(dir.path()).unwrap();
    let error = CheckpointDir::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }));
    let message = error.to_string();
    let (place, id) = (
        dir.path().display().to_string(),
        std::process::id().to_string(),
    );
    assert!(
        message.contains(&place) && message.contains(&id),
        "{message}"
    );
    assert!(message.contains("another folder"), "{message}");
    drop(first);
    CheckpointDir::open(dir.path()).expect("free again");
}

#[test]
fn a_vanished_folder_is_an_error() {
    let dir = folder();
    let inner = dir.path().join("run");
    let mut folder = CheckpointDir::open(&inner).unwrap();
    folder.save(&after(1)).unwrap();
    fs::remove_dir_all(&inner).unwrap();
    let error = folder.save(&after(2)).unwrap_err();
    assert!(error.to_string().contains("run"), "{error}");
    folder.save_in_background(after(2)).unwrap();
    assert!(
        folder.save_in_background(after(3)).is_err(),
        "reported at the next"
    );
    assert!(folder.wait().is_ok(), "and once");
    // Where it is there again, the run goes on with it.
    fs::create_dir(&inner).unwrap();
    folder.save(&after(3)).unwrap();
    assert_eq!(
        Checkpoint::load(&inner)
            .unwrap()
            .unwrap()
            .checkpoint
            .history
            .batches
            .len(),
        3
    );
}

/// File modes do not bind root, who runs this as another user (`setpriv`) therefore.
#[test]
#[cfg(unix)]
fn a_read_only_folder_is_an_error_but_can_be_read() {
    use std::os::unix::fs::PermissionsExt;
    const CHILD: &str = "SPIKEGRAD_TEST_UNPRIVILEGED";
    let dir = folder();
    after(1).save(dir.path()).unwrap();
    fs::remove_file(dir.path().join("checkpoint.lock")).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    if fs::write(dir.path().join("probe"), "").is_ok() {
        assert!(
            std::env::var_os(CHILD).is_none(),
            "another user, and yet it may write"
        );
        let child = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "a_read_only_folder_is_an_error_but_can_be_read"])
            .env(CHILD, "1")
            .output();
        match child {
            Ok(child) => assert!(child.status.success(), "{child:?}"),
            Err(e) => skipped(format_args!(
                "file modes do not bind root, and there is no setpriv: {e}"
            )),
        }
        return;
    }
    // Also where the lock is there and could be written.
    let lock = dir.path().join("checkpoint.lock");
    for with_lock in [false, true] {
        let mode = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode));
        if with_lock {
            mode(0o755).unwrap();
            fs::write(&lock, "").unwrap();
            mode(0o555).unwrap();
        }
        let error = CheckpointDir::open(dir.path()).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(&dir.path().display().to_string()),
            "{message}"
        );
        assert!(message.contains("denied"), "{message}");
    }
    let found = Checkpoint::load(dir.path())
        .expect("it can be read")
        .expect("one");
    assert_eq!(found.checkpoint.history.batches.len(), 1);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let dir = folder();
    fs::write(dir.path().join("file"), "").unwrap();
    for below in ["file", "file/run"] {
        let error = CheckpointDir::open(dir.path().join(below)).unwrap_err();
        assert!(error.to_string().contains(below), "{error}");
    }
}

/// The real file system as the folder sees it: a file is created once, and written over in place only
/// if it has no other name.
#[test]
fn the_disk_writes_over_nothing_that_is_needed() {
    let dir = folder();
    let path = dir.path().join("file");
    Os.create(&path, b"one").unwrap();
    assert!(Os.create(&path, b"two").is_err());
    assert_eq!(fs::read(&path).unwrap(), b"one");
    for content in [&b"longer"[..], b"short"] {
        Os.overwrite(&path, content).unwrap();
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    let copy = dir.path().join("copy");
    Os.hard_link(&path, &copy).unwrap();
    Os.overwrite(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::read(&copy).unwrap(), b"short");
}

/// A checkpoint of one network's structure with another's moments, and the like, cannot be built by
/// hand either.
#[test]
fn parts_that_do_not_fit_are_not_written() {
    let mut checkpoint = after(3);
    checkpoint.network = spikegrad::Network::builder(6)
        .layer(2, spikegrad::Leaky::new(0.9))
        .build()
        .unwrap();
    assert!(matches!(checkpoint.to_bytes(), Err(Error::Shape { .. })));
    // Whatever is written can be read again: what no reader takes is refused, in whichever part.
    type Edit = fn(&mut Checkpoint);
    let edits: [(&str, Edit); 9] = [
        ("number of epochs", |c| c.history.batches.clear()),
        ("record 0", |c| drop(c.history.batches.drain(..2))),
        ("record 1", |c| c.history.batches[1].batch = 7),
        ("record 2: samples", |c| {
            c.history.batches[2].report.samples = 0
        }),
        ("correct answers", |c| {
            c.history.batches[0].report.correct_membrane = 5
        }),
        ("firing rate", |c| {
            c.history.epochs[0].validation.as_mut().unwrap().firing_rate[1] = 1.5
        }),
        ("trainer.epochs", |c| c.trainer.epochs = 0),
        ("header", |c| {
            c.settings = (0..140_000)
                .map(|n| (n.to_string(), String::new()))
                .collect();
        }),
        ("header", |c| {
            c.settings.insert("long".into(), "x".repeat(101_000_000));
        }),
    ];
    for (part, edit) in edits {
        let mut checkpoint = after(8);
        edit(&mut checkpoint);
        let error = checkpoint.to_bytes().expect_err(part);
        assert!(
            matches!(&error, Error::InvalidParameter { name, .. } if name.contains(part)),
            "{part}: {error}"
        );
    }
    let mut checkpoint = after(3);
    checkpoint.optimizer.rule.set_lr(f64::NAN);
    assert!(matches!(
        checkpoint.to_bytes(),
        Err(Error::InvalidParameter { .. })
    ));
    let mut checkpoint = after(3);
    checkpoint.history.batches[1].report.firing_rate.pop();
    assert!(matches!(checkpoint.to_bytes(), Err(Error::Shape { .. })));
}

/// A folder may come from anyone: its lock is never written through a link, or a second name.
#[cfg(unix)]
#[test]
fn a_lock_that_is_another_file_is_left_alone() {
    let dir = folder();
    let (precious, run) = (dir.path().join("precious"), dir.path().join("run"));
    fs::write(&precious, "twenty bytes and more").unwrap();
    fs::create_dir(&run).unwrap();
    let lock = run.join("checkpoint.lock");
    let pipe = || Command::new("mkfifo").arg(&lock).status().unwrap();
    let makes: [&dyn Fn(); 3] = [
        &|| std::os::unix::fs::symlink(&precious, &lock).unwrap(),
        &|| fs::hard_link(&precious, &lock).unwrap(),
        &|| assert!(pipe().success()),
    ];
    for make in makes {
        make();
        let error = CheckpointDir::open(&run).unwrap_err();
        assert!(error.to_string().contains("checkpoint.lock"), "{error}");
        assert_eq!(fs::read(&precious).unwrap(), b"twenty bytes and more");
        fs::remove_file(&lock).unwrap();
    }
    CheckpointDir::open(&run).unwrap();
}

/// The folder, or its lock alone, is removed, and another run begins in it: the first one sees that it
/// has no business there any more. Where nobody has come, it locks the folder anew.
#[cfg(unix)]
#[test]
fn one_run_writes_also_where_the_lock_was_removed() {
    let dir = folder();
    let run = dir.path().join("run");
    for whole in [true, false] {
        let mut first = CheckpointDir::open(&run).unwrap();
        for n in 1..=3 {
            first.save(&after(n)).unwrap();
        }
        let remove = || match whole {
            true => fs::remove_dir_all(&run).unwrap(),
            false => fs::remove_file(run.join("checkpoint.lock")).unwrap(),
        };
        remove();
        let mut second = CheckpointDir::open(&run).unwrap();
        for n in 1..=3 {
            second.save(&after(n)).unwrap();
        }
        for _ in 0..2 {
            let error = first.save(&after(4)).unwrap_err();
            assert!(error.to_string().contains("another folder"), "{error}");
            assert!(first.save_in_background(after(4)).is_err());
            assert!(first.load().is_err(), "it is not its own");
        }
        drop(first);
        second
            .save(&after(4))
            .expect("the first has removed nothing");
        remove();
        if whole {
            fs::create_dir(&run).unwrap();
        }
        second.save(&after(5)).unwrap();
        assert!(CheckpointDir::open(&run).is_err(), "locked again");
        let found = second.load().unwrap().unwrap().checkpoint;
        assert_eq!(found.history.batches.len(), 5);
    }
}

/// A read that fails for want of memory or of file handles says nothing about the file.
#[test]
fn only_a_disk_that_cannot_be_read_is_damage() {
    struct Failing(Option<i32>);
    impl Disk for Failing {
        fn create(&self, path: &Path, content: &[u8]) -> std::io::Result<Durable> {
            Os.create(path, content)
        }
        fn overwrite(&self, path: &Path, content: &[u8]) -> std::io::Result<Durable> {
            Os.overwrite(path, content)
        }
        fn hard_link(&self, path: &Path, name: &Path) -> std::io::Result<()> {
            Os.hard_link(path, name)
        }
        fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
            Os.rename(from, to)
        }
        fn remove(&self, path: &Path) -> std::io::Result<()> {
            Os.remove(path)
        }
        fn sync_folder(&self, path: &Path) -> std::io::Result<Durable> {
            Os.sync_folder(path)
        }
        fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
            match self.0 {
                Some(code) if path.ends_with(CURRENT) => {
                    Err(std::io::Error::from_raw_os_error(code))
                }
                _ => Os.read(path),
            }
        }
    }
    let dir = folder();
    let mut folder = CheckpointDir::open(dir.path()).unwrap();
    folder.save(&after(1)).unwrap();
    folder.save(&after(2)).unwrap();
    drop(folder);
    let batches = |code| {
        let found = Checkpoint::load_on(dir.path(), std::sync::Arc::new(Failing(code)));
        found.map(|found| found.unwrap().checkpoint.history.batches.len())
    };
    let disk_fails = if cfg!(windows) { 23 } else { 5 };
    assert_eq!(batches(None).unwrap(), 2);
    assert_eq!(batches(Some(disk_fails)).unwrap(), 1, "the one before");
    let too_many_files = if cfg!(windows) { 4 } else { 24 };
    assert!(matches!(
        batches(Some(too_many_files)),
        Err(Error::Io { .. })
    ));
}

/// Stopped after any batch and resumed from the bytes of its checkpoint, a run ends with the bits of one
/// that was not stopped, under every optimizer, with batches in parts.
#[test]
fn every_optimizer_resumes_anywhere_to_the_same_bits() {
    let data = data();
    let adamw = Adam::adamw(0.01);
    let optimizers: [Optimizer; 7] = [
        Sgd::new(0.05).into(),
        Sgd::new(0.05)
            .momentum(0.9)
            .schedule(Schedule::step(2, 0.7)),
        (Sgd::new(0.05)
            .momentum(0.9)
            .nesterov(true)
            .weight_decay(0.01))
        .schedule(Schedule::exponential(0.9)),
        Adam::new(0.01).weight_decay(0.1).clip_norm(0.5),
        Optimizer::from(adamw)
            .group(["fc1.bias", "lif2.beta"], adamw.weight_decay(0.0))
            .schedule(Schedule::one_cycle(15)),
        Adamax::new(0.01).schedule(Schedule::cosine(10).warmup(3)),
        Adamax::new(0.01).weight_decay(0.1).into(),
    ];
    for (n, optimizer) in optimizers.into_iter().enumerate() {
        let trainer = Trainer {
            accumulate: 1 + n % 3,
            truncate: (n % 2 == 1).then_some(4),
            drop_last: n < 4,
            ..trainer()
        };
        let updates = 3 * trainer.batches_per_epoch(data.len());
        let engine = || {
            let loss = Loss::CrossEntropyMembrane;
            Device::Cpu
                .engine(network(), loss, optimizer.clone())
                .unwrap()
        };
        let run = |engine: &mut dyn Engine, history: History, stop: usize| {
            let history = trainer.resume(engine, &data, Some(&data), history, |_, event| {
                Ok(match event.history().batches.len() == stop {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            });
            history.unwrap()
        };
        let mut whole = engine();
        let expected = run(&mut *whole, History::default(), usize::MAX);
        assert_eq!(expected.batches.len(), updates);
        assert_eq!(updates, if n < 4 { 15 } else { 18 });
        for stop in 1..updates {
            let mut first = engine();
            let history = run(&mut *first, History::default(), stop);
            let saved = Checkpoint::new(&mut *first, &trainer, &history).unwrap();
            let loaded = Checkpoint::from_bytes(&saved.to_bytes().unwrap()).unwrap();
            assert_eq!(loaded.optimizer, saved.optimizer);
            assert_eq!(loaded.trainer, trainer);
            loaded.check_same_run(&saved).unwrap();
            let mut second = loaded.engine(Device::Cpu).unwrap();
            let history = run(&mut *second, loaded.history, usize::MAX);
            assert_eq!(second.to_network().unwrap(), whole.to_network().unwrap());
            assert_eq!(
                second.to_optimizer().unwrap(),
                whole.to_optimizer().unwrap()
            );
            let rates = |history: &History| -> Vec<f64> {
                history.batches.iter().map(|b| b.learning_rate).collect()
            };
            assert_eq!(rates(&history), rates(&expected));
            assert_eq!(without_times(&history), without_times(&expected));
        }
    }
}

/// Bad settings of an optimizer in a file are refused by name, whatever the checksum says.
#[test]
fn a_files_optimizer_is_checked() {
    let adamw = Adam::adamw(0.01);
    let optimizer = Optimizer::from(adamw)
        .group(["fc1.bias"], adamw.weight_decay(0.0))
        .schedule(Schedule::cosine(15).warmup(3));
    let loss = Loss::CrossEntropyMembrane;
    let mut engine = Device::Cpu.engine(network(), loss, optimizer).unwrap();
    let history = trainer().fit(&mut *engine, &data(), None, |_, _| {
        Ok(ControlFlow::Break(()))
    });
    let saved = Checkpoint::new(&mut *engine, &trainer(), &history.unwrap()).unwrap();
    let bytes = saved.to_bytes().unwrap();
    for (from, to, says) in [
        (
            r#""optimizer":"adam""#,
            r#""optimizer":"lion""#,
            "optimizer",
        ),
        (
            r#""schedule":"cosine 15 0.0""#,
            r#""schedule":"cosine 0 0.0""#,
            "updates",
        ),
        (
            r#""schedule":"cosine 15 0.0""#,
            r#""schedule":"cosine""#,
            "schedule",
        ),
        (
            r#""schedule.warmup":"3""#,
            r#""schedule.warmup":"-3""#,
            "schedule.warmup",
        ),
        (
            r#""adam.decoupled":"true""#,
            r#""adam.decoupled":"maybe""#,
            "adam.decoupled",
        ),
        (
            r#""adam.weight_decay":"0.01""#,
            r#""adam.weight_decay":"-1""#,
            "weight_decay",
        ),
        (r#""groups":"1""#, r#""groups":"2""#, "group2.tensors"),
        (r#""groups":"1""#, r#""groups":"0""#, "group1"),
        (
            r#""groups":"1""#,
            r#""groups":"99999999999999999999""#,
            "groups",
        ),
        (
            r#""group1.tensors":"fc1.bias""#,
            r#""group1.tensors":"fc7.bias""#,
            "tensor of a group",
        ),
        (
            r#""group1.tensors":"fc1.bias""#,
            r#""group1.tensors":"fc1.bias fc1.bias""#,
            "tensor of a group",
        ),
        (r#""group1.lr":"0.01""#, r#""group1.lr":"NaN""#, "lr"),
        (
            r#""trainer.accumulate":"1""#,
            r#""trainer.accumulate":"0""#,
            "trainer.accumulate",
        ),
        (
            r#""trainer.accumulate":"1""#,
            r#""trainer.accumulate":"1","trainer.truncate":"0""#,
            "trainer.truncate",
        ),
    ] {
        let error = Checkpoint::from_bytes(&edited(&bytes, from, to))
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{to}: {error}");
    }
}

/// As many names as a file can hold are refused at once.
#[test]
fn a_million_names_in_a_group_are_refused() {
    let adam = Adam::new(0.01);
    let optimizer = Optimizer::from(adam).group(["fc1.bias"], adam);
    let loss = Loss::CrossEntropyMembrane;
    let mut engine = Device::Cpu.engine(network(), loss, optimizer).unwrap();
    let saved = Checkpoint::new(&mut *engine, &trainer(), &History::default()).unwrap();
    let names: Vec<String> = (0..1_000_000).map(|n| format!("n{n}")).collect();
    let to = format!(r#""group1.tensors":"{}""#, names.join(" "));
    let bytes = edited(
        &saved.to_bytes().unwrap(),
        r#""group1.tensors":"fc1.bias""#,
        &to,
    );
    let error = Checkpoint::from_bytes(&bytes).unwrap_err().to_string();
    assert!(
        error.contains("group1.tensors") && error.len() < 1000,
        "{error}"
    );
}
