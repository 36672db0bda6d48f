//! Launches counted, devices that are not there, and every fault that a device can have, in child
//! processes under the software driver.

use std::ops::ControlFlow;

use super::*;

/// Set in the environment of child processes.
const CHILD: &str = "SPIKEGRAD_CUDA_TEST_CHILD";

pub fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// A step of the main job's kind is eight launches, a copy there and one back: in a `Trainer`'s run, which
/// announces the next batch before each step. An evaluation in between has its own three launches and two
/// copies, and leaves the batches announced alone. Batches that are hard to tell from one another cost one
/// pass in vain, seven launches, in all.
#[test]
fn a_step_is_few_launches() {
    if !software_driver() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (kind, [launches, copies], in_vain) in [
        ("trainer", [8, 2], 0),
        ("loop", [8, 2], 0),
        ("evaluated", [8 + 3, 2 + 2], 0),
        ("alike", [8, 2], 7),
    ] {
        let counts = [3, 7].map(|steps| {
            let file = folder.path().join(format!("{kind}{steps}"));
            let settings = [
                ("STEPS", &*steps.to_string()),
                ("KIND", kind),
                ("STATS", file.to_str().unwrap()),
            ];
            let output = run_child_as("faults::steps", &settings);
            assert!(output.contains("trained"), "{output}");
            let json = std::fs::read(file).unwrap();
            let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
            let [all, there] = ["launches", "copies"].map(|key| json[key].as_u64().unwrap());
            assert_eq!(all, steps * launches + in_vain, "{kind}, {steps} steps");
            there
        });
        assert_eq!(counts[1] - counts[0], 4 * copies, "{kind}");
    }
}

/// What a child process of [`a_step_is_few_launches`] does.
#[test]
fn steps() {
    let Ok(steps) = std::env::var("SOFTCUDA_STEPS") else {
        return;
    };
    let kind = std::env::var("SOFTCUDA_KIND").unwrap();
    let network: Network = Network::builder(21)
        .layer(70, Leaky::new(0.95))
        .layer(10, Leaky::new(0.95))
        .build()
        .unwrap();
    let adam = Adam::new(1e-3).clip_norm(1.0);
    let mut engine = engine(network, Loss::CrossEntropyMembrane, adam);
    let (batch_size, steps) = (19, steps.parse::<usize>().unwrap());
    // Batches that are alike differ in their last pixel, which no glance at some of them meets.
    let alike = kind == "alike";
    let pixel = |(b, n): (usize, usize)| match (alike, b % batch_size, n) {
        (true, 18, 20) => b as u8,
        (true, row, _) => (37 * row + 11 * n) as u8,
        _ => (37 * b + 11 * n) as u8,
    };
    let images = Array2::from_shape_fn((batch_size * steps, 21), pixel);
    let labels = (0..batch_size * steps).map(|b| (b % batch_size % 10) as u8);
    let data = Dataset::new(images, labels.collect(), 10).unwrap();
    if kind == "trainer" {
        let trainer = Trainer {
            epochs: 1,
            batch_size,
            num_steps: 5,
            seed: 0,
            ..Trainer::default()
        };
        let history = trainer.fit(&mut engine, &data, None, |_, _| {
            Ok(ControlFlow::Continue(()))
        });
        assert_eq!(history.unwrap().batches.len(), steps);
    } else {
        let batches: Vec<_> = data.batches(batch_size).unwrap().collect();
        let input = |k: usize| Input::constant(batches[k].images.view(), 5);
        for k in 0..steps {
            if let Some(next) = batches.get(k + 1) {
                engine
                    .prefetch(input(k + 1).classes(&next.targets))
                    .unwrap();
            }
            if kind == "evaluated" {
                engine
                    .evaluate(input(0).classes(&batches[0].targets))
                    .unwrap();
            }
            engine
                .train_step(input(k).classes(&batches[k].targets))
                .unwrap();
        }
    }
    println!("trained");
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let error = Device::Cuda(7)
        .engine(network(), objective(), Adam::new(1e-3))
        .err()
        .expect("no machine of ours has eight GPUs");
    assert!(
        matches!(&error, Error::Device { device, .. } if device == "cuda:7"),
        "{error}"
    );
}

/// What a child process does: all of an engine's calls, each tried twice. The first failure of each
/// must be `Error::Device`; a step that failed must have left the parameters alone. Prints
/// `hash=` and a hash of the parameters, or `lost` with the error that came twice.
#[test]
fn child() {
    if !is_child() {
        return;
    }
    match child_work() {
        Ok(hash) => println!("hash={hash:016x}"),
        Err(error) => println!("lost: {error}"),
    }
}

/// Two attempts.
fn twice<T>(mut work: impl FnMut() -> spikegrad::Result<T>) -> spikegrad::Result<T> {
    let check = |error: &Error| {
        assert!(matches!(error, Error::Device { .. }), "{error:?}");
        println!("failed: {error}");
    };
    work()
        .inspect_err(check)
        .or_else(|_| work().inspect_err(check))
}

fn child_work() -> spikegrad::Result<u64> {
    let adam = || Adam::new(1e-2).clip_norm(1.0);
    let mut engine = twice(|| CudaEngine::new(0, network(), objective(), adam()))?;
    let mut known = network();
    for batch in [2, 5] {
        let (x, targets) = (images(batch, 21), targets(batch, 5));
        let input = Input::constant(x.view(), 5);
        twice(|| engine.evaluate(input.classes(&targets)))?;
        twice(|| engine.prefetch(input.classes(&targets)))?;
        let mut tries = 0;
        twice(|| {
            tries += 1;
            if tries == 2 {
                let now = engine.to_network()?;
                assert_eq!(bits(&now), bits(&known), "a failed step left its traces");
            }
            engine.train_step(input.classes(&targets))
        })?;
        known = twice(|| engine.to_network())?;
        twice(|| engine.classify(input, ReadOut::Membrane, &mut vec![0; batch]))?;
        twice(|| engine.forward(input, &Record::All))?;
    }
    let adam = twice(|| engine.to_optimizer())?;
    let all = bits(&known)
        .into_iter()
        .chain(moment_bits(adam.moments().expect("two updates")));
    Ok(all.fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        (hash ^ u64::from(word)).wrapping_mul(0x100_0000_01b3)
    }))
}

/// Runs [`child`] with settings of the software driver; returns what it printed. Anything but a clean
/// end is a failure: a panic, a leak, a violation of the driver's rules (status 86; an injected fault
/// that spoils the context counts as one).
fn run_child(settings: &[(&str, &str)]) -> String {
    run_child_as("faults::child", settings)
}

pub fn run_child_as(test: &str, settings: &[(&str, &str)]) -> String {
    let names = settings.iter().map(|(key, _)| format!("SOFTCUDA_{key}"));
    let names: Vec<_> = names.collect();
    let values = settings.iter().map(|(_, value)| *value);
    let environment: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
    run_child_with(test, &environment)
}

pub fn run_child_with(test: &str, environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .env("SOFTCUDA_STRICT_EXIT", "1")
        .envs(environment.iter().copied());
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let injected = stderr.contains("injected:") && output.status.code() == Some(86);
    let ended = output.status.success() || injected;
    assert!(
        ended && !stderr.contains("panicked") && !stderr.contains("leak:"),
        "{environment:?}: {}\n{stdout}\n{stderr}",
        output.status
    );
    stdout
}

pub fn ending<'a>(output: &'a str, word: &str) -> Option<&'a str> {
    let line = output.lines().find(|line| line.contains(word))?;
    Some(&line[line.find(word)?..])
}

/// The n-th allocation, module, launch or copy fails, for every n. A failed allocation or module is
/// survived: tried again, all goes on to the same bits as without a fault. A failed launch or copy
/// spoils the context, as on a GPU: every call from then on is an error that says so.
#[test]
fn every_single_fault_is_reported() {
    if !software_driver() {
        return;
    }
    let good = run_child(&[]);
    let good = ending(&good, "hash=")
        .expect("without a fault it ends well")
        .to_owned();
    for (key, words, survived, least) in [
        ("FAIL_ALLOC", "out of device memory", true, 20),
        (
            "FAIL_MODULE",
            "the driver does not accept the kernels",
            true,
            4,
        ),
        ("FAIL_LAUNCH", "the launch of", false, 50),
        ("FAIL_COPY", "a copy", false, 20),
    ] {
        let mut n = 1;
        loop {
            let output = run_child(&[(key, &n.to_string())]);
            let Some(message) = ending(&output, "failed:") else {
                // n is beyond the last
                assert_eq!(ending(&output, "hash="), Some(&good[..]), "{key}={n}");
                break;
            };
            assert!(message.contains(words), "{key}={n}: {message}");
            // An engine that was not made yet is made in a new context.
            match ending(&output, "hash=") {
                Some(hash) => assert_eq!(hash, good, "{key}={n}\n{output}"),
                None => assert!(
                    !survived && ending(&output, "lost:").is_some(),
                    "{key}={n}\n{output}"
                ),
            }
            n += 1;
            assert!(n < 1000, "{key} has no end");
        }
        assert!(n > least, "{key} was only tried up to {n}");
    }
}

/// From the n-th driver call on the device is lost, for many n: every run ends in `Error::Device`.
#[test]
fn a_lost_device_is_reported_wherever_it_is_lost() {
    if !software_driver() {
        return;
    }
    let mut n = 1;
    loop {
        let output = run_child(&[("LOST_AT", &n.to_string())]);
        if ending(&output, "failed:").is_none() {
            assert!(ending(&output, "hash=").is_some(), "LOST_AT={n}\n{output}");
            break;
        }
        assert!(ending(&output, "lost:").is_some(), "LOST_AT={n}\n{output}");
        n += if n < 40 { 1 } else { 7 };
        assert!(n < 10_000, "LOST_AT has no end");
    }
    assert!(n > 100, "only tried up to {n}");
}

#[test]
fn machines_that_do_not_do_are_named() {
    if !software_driver() {
        return;
    }
    for (settings, words) in [
        (("DEVICES", "0"), "no CUDA device"),
        (
            ("DRIVER_VERSION", "8000"),
            "driver is too old: it is of CUDA 8.0",
        ),
        (("CAPABILITY", "6.1"), "compute capability is 6.1"),
        (("MEMORY", "8K"), "out of device memory"),
    ] {
        let output = run_child(&[settings]);
        let lost = ending(&output, "lost:").unwrap_or_default();
        assert!(lost.contains(words), "{settings:?}\n{output}");
    }
}

/// `Device::Auto` loads the four modules once; where one does not load, it takes the CPU and says why.
#[test]
fn auto_opens_the_device_once() {
    if !software_driver() {
        return;
    }
    let output = run_child_as("faults::auto", &[("FAIL_MODULE", "5")]);
    assert!(output.contains("engine: GPU"), "{output}");
    let output = run_child_as("faults::auto", &[("FAIL_MODULE", "4")]);
    let line = ending(&output, "engine: CPU").unwrap_or_default();
    let words = "the driver does not accept the kernels";
    assert!(line.contains(words), "{output}");
}

/// What a child process of [`auto_opens_the_device_once`] does.
#[test]
fn auto() {
    if !is_child() {
        return;
    }
    let engine = Device::Auto.engine(network(), objective(), Adam::new(1e-3));
    println!("engine: {}", engine.unwrap().describe());
}
