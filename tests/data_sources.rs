//! What a [`Trainer`] draws batches from: bytes, arrays, spikes, closures; classes and values. Runs are those of
//! a loop of one's own, resume to the same bits, and refuse what does not fit before the first step.
#![cfg(feature = "safetensors")]

#[macro_use]
mod engines;
mod skip;

use std::{cell::RefCell, ops::ControlFlow, time::Duration};

use engines::Make;
use ndarray::{Array2, Array3, Axis, s};
use spikegrad::{
    Adam, Checkpoint, CpuEngine, Engine, Error, History, Input, Leaky, Loss, Network, Quantity,
    Record, Trainer,
    data::{Data, Dataset, Draw, InMemory, OwnedInput, OwnedSamples, OwnedTargets, from_fn},
    metrics::{mean_absolute_error, mean_squared_error},
    train::{Activity, BatchRecord, EarlyStopping, EpochRecord, Event},
};

const SAMPLES: usize = 22;
const STEPS: usize = 6;
const FEATURES: usize = 70;

fn network(outputs: usize) -> Network {
    let builder = Network::builder(FEATURES).layer(9, Leaky::new(0.9).threshold(0.5));
    builder
        .layer(outputs, Leaky::new(0.9))
        .seed(4)
        .build()
        .unwrap()
}

fn engine(loss: Loss, outputs: usize) -> CpuEngine {
    CpuEngine::new(network(outputs), loss, Adam::new(1e-2)).unwrap()
}

fn trainer() -> Trainer {
    Trainer {
        epochs: 2,
        batch_size: 5,
        num_steps: STEPS,
        seed: 3,
        ..Trainer::default()
    }
}

fn spike(n: usize, t: usize, f: usize) -> bool {
    (n * 31 + t * 17 + f * 7).is_multiple_of(5)
}

fn classes() -> Vec<usize> {
    (0..SAMPLES).map(|n| n % 2).collect()
}

fn fit(engine: &mut dyn Engine, trainer: &Trainer, data: &dyn Data) -> History {
    let fitted = trainer.fit(engine, data, Some(data), |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    fitted.unwrap()
}

/// Without times, which differ.
fn reports(history: &History) -> Vec<String> {
    let batches = history
        .batches
        .iter()
        .map(|b| format!("{:?} {:?}", (b.epoch, b.batch), b.report));
    let epochs = history
        .epochs
        .iter()
        .map(|e| format!("{} {:?}", e.train_loss, e.validation));
    batches.chain(epochs).collect()
}

/// Bytes and the same numbers as floats, spikes as bits, as floats and from a closure: each pair trains to the
/// same bits, at once, in parts and in windows.
#[test]
fn the_same_samples_train_to_the_same_bits() {
    let bytes = Array2::from_shape_fn((SAMPLES, FEATURES), |(n, f)| ((n * 7 + f * 11) % 256) as u8);
    let dataset = Dataset::new(
        bytes.clone(),
        classes().iter().map(|&c| c as u8).collect(),
        2,
    )
    .unwrap();
    let floats = InMemory::constant(bytes.mapv(|x| f32::from(x) / 255.0), classes()).unwrap();
    let bools = Array3::from_shape_fn((SAMPLES, STEPS, FEATURES), |(n, t, f)| spike(n, t, f));
    let bits = InMemory::spikes(bools.view(), classes()).unwrap();
    let numbers = bools.mapv(|spike| f32::from(u8::from(spike)));
    let sequences = InMemory::sequences(numbers, classes()).unwrap();
    let closure = from_fn(SAMPLES, |draw, batch| {
        let x = batch.sequence([STEPS, draw.indices.len(), FEATURES]);
        x.indexed_iter_mut()
            .for_each(|((t, b, f), x)| *x = f32::from(u8::from(spike(draw.indices[b], t, f))));
        batch.classes().extend(draw.indices.iter().map(|n| n % 2));
        Ok(())
    });
    let settings = [(1, None), (2, None), (1, Some(4)), (3, Some(2))];
    for (accumulate, truncate) in settings {
        let trainer = Trainer {
            accumulate,
            truncate,
            ..trainer()
        };
        let run = |data: &dyn Data| {
            let mut engine = engine(Loss::CrossEntropyMembrane, 2);
            let history = fit(&mut engine, &trainer, data);
            assert_eq!((history.batches.len(), history.epochs.len()), (8, 2));
            (engine.to_network().unwrap(), reports(&history))
        };
        let expected = run(&dataset);
        assert!(expected == run(&floats), "{accumulate} {truncate:?}");
        let expected = run(&sequences);
        assert!(expected == run(&bits), "{accumulate} {truncate:?}");
        assert!(expected == run(&closure), "{accumulate} {truncate:?}");
        assert!(expected == run(&&closure), "{accumulate} {truncate:?}");
    }
}

/// A trainer's run on sequences with values is the loop that its documentation describes, whose history can be
/// built by hand; and a run that stops anywhere goes on to the same bits.
#[test]
fn runs_are_loops_and_resume() {
    let x = Array3::from_shape_fn((SAMPLES, STEPS, FEATURES), |(n, t, f)| {
        ((n + t * f) % 9) as f32 / 9.0
    });
    let each_step = Array3::from_shape_fn((SAMPLES, STEPS, 2), |(n, t, o)| {
        ((n + t + o) % 5) as f32 / 5.0
    });
    let at_the_end = Array2::from_shape_fn((SAMPLES, 2), |(n, o)| (n % 3 + o) as f32);
    let of = |targets: OwnedTargets| match targets {
        OwnedTargets::Values(values) => InMemory::sequences(x.clone(), values).unwrap(),
        OwnedTargets::Sequence(values) => InMemory::sequences(x.clone(), values).unwrap(),
        OwnedTargets::Classes(classes) => InMemory::sequences(x.clone(), classes).unwrap(),
        other => unreachable!("{other:?}"),
    };
    for (loss, targets) in [
        (
            Loss::Mse(Quantity::Membrane),
            OwnedTargets::Sequence(each_step.clone()),
        ),
        (
            Loss::Mae(Quantity::SpikeCount),
            OwnedTargets::Values(at_the_end.clone()),
        ),
        (Loss::CrossEntropyCount, OwnedTargets::Classes(classes())),
    ] {
        let data = of(targets.clone());
        assert_eq!(data.num_steps(), Some(STEPS));
        let trainer = Trainer {
            num_steps: 1,
            ..trainer()
        }; // sequences have their own
        let mut fitted = engine(loss.clone(), 2);
        let history = fit(&mut fitted, &trainer, &data);
        assert_eq!(history.warnings, Vec::<String>::new());

        let mut looped = engine(loss.clone(), 2);
        let mut by_hand = History::default();
        for epoch in 0..2 {
            // The order of a data set of bytes is that of any other.
            let stand_in = Dataset::new(
                Array2::from_shape_fn((SAMPLES, 1), |(n, _)| n as u8),
                vec![0; SAMPLES],
                1,
            )
            .unwrap();
            let order = stand_in
                .batches(5)
                .unwrap()
                .shuffled(3, epoch as u64)
                .drop_last(true)
                .unwrap();
            let mut losses = Vec::new();
            for (index, batch) in order.enumerate() {
                let drawn: Vec<usize> = batch
                    .images
                    .iter()
                    .map(|x| (x * 255.0).round() as usize)
                    .collect();
                let x = x.select(Axis(0), &drawn);
                let x = x.permuted_axes([1, 0, 2]);
                let input = Input::sequence(x.view());
                let lr = looped.learning_rate();
                let report = match &targets {
                    OwnedTargets::Classes(classes) => {
                        let classes: Vec<usize> = drawn.iter().map(|&n| classes[n]).collect();
                        looped.train_step(input.classes(&classes))
                    }
                    OwnedTargets::Values(values) => {
                        looped.train_step(input.values(values.select(Axis(0), &drawn).view()))
                    }
                    OwnedTargets::Sequence(values) => {
                        let values = values.select(Axis(0), &drawn).permuted_axes([1, 0, 2]);
                        looped.train_step(input.sequence_values(values.view()))
                    }
                    other => unreachable!("{other:?}"),
                };
                let report = report.unwrap();
                losses.push(report.loss);
                by_hand.batches.push(BatchRecord::new(
                    epoch,
                    index,
                    report,
                    Duration::ZERO,
                    lr,
                    10,
                ));
            }
            let mean = losses.iter().sum::<f64>() / losses.len() as f64;
            let validation = trainer.evaluate(&mut looped, &data).unwrap();
            by_hand.epochs.push(EpochRecord::new(
                epoch,
                mean,
                Some(validation),
                Duration::ZERO,
            ));
        }
        assert_eq!(reports(&history), reports(&by_hand), "{loss:?}");
        assert_eq!(fitted.to_network().unwrap(), looped.to_network().unwrap());
        assert_eq!(by_hand.position(), history.position());

        for stop in 1..8 {
            let mut first = engine(loss.clone(), 2);
            let part = trainer.fit(&mut first, &data, Some(&data), |_, event| {
                Ok(match event.history().batches.len() == stop {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            });
            let rest = trainer.resume(&mut first, &data, Some(&data), part.unwrap(), |_, _| {
                Ok(ControlFlow::Continue(()))
            });
            assert_eq!(
                reports(&rest.unwrap()),
                reports(&history),
                "{loss:?} {stop}"
            );
            assert_eq!(first.to_network().unwrap(), fitted.to_network().unwrap());
        }
    }
}

/// A closure is asked for every sample once an epoch, in another order each time, and told the epoch.
#[test]
fn closures_are_told_the_epoch_and_the_samples() {
    let drawn = RefCell::new(Vec::new());
    let data = from_fn(20, |draw, batch| {
        drawn.borrow_mut().push((draw.epoch, draw.indices.to_vec()));
        batch.constant([draw.indices.len(), FEATURES]).fill(0.5);
        batch.classes().extend(draw.indices.iter().map(|n| n % 2));
        Ok(())
    });
    let mut engine = engine(Loss::CrossEntropyMembrane, 2);
    let trainer = trainer();
    trainer
        .fit(&mut engine, &data, None, |_, _| {
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    let drawn = drawn.into_inner();
    assert_eq!(drawn.len(), 8);
    let epoch = |epoch: usize| -> Vec<usize> {
        let of_epoch = drawn.iter().filter(|(e, _)| *e == epoch);
        of_epoch.flat_map(|(_, indices)| indices.clone()).collect()
    };
    assert_ne!(epoch(0), epoch(1));
    for n in 0..2 {
        let mut all = epoch(n);
        all.sort_unstable();
        assert!(all.into_iter().eq(0..20));
    }
}

/// What does not fit is refused before the first step, by name; errors of a closure end the run.
#[test]
fn unfit_data_are_refused() {
    let x = |n: usize, f: usize| Array2::<f32>::zeros((n, f));
    let sequences = |n: usize, t: usize| Array3::<f32>::zeros((n, t, FEATURES));
    let mut nan = x(3, 2);
    nan[[1, 1]] = f32::NAN;
    for (made, says) in [
        (
            InMemory::constant(x(0, 4), vec![]),
            "inputs has shape [0, 4]; expected at least 1 of each",
        ),
        (
            InMemory::constant(x(3, 2), vec![0, 1]),
            "targets has shape [2]; expected [3], one for each sample",
        ),
        (
            InMemory::constant(nan.clone(), vec![0; 3]),
            "inputs is NaN at element 3",
        ),
        (
            InMemory::constant(x(3, 2), nan.clone()),
            "targets is NaN at element 3",
        ),
        (
            InMemory::sequences(sequences(3, 4), sequences(3, 5)),
            "targets has shape [3, 5, 70]; expected [3, 4, outputs], the steps of the inputs",
        ),
        (
            InMemory::sequences(sequences(3, 0), vec![0; 3]),
            "inputs has shape [3, 0, 70]",
        ),
        (
            InMemory::spikes(Array3::from_elem((3, 2, 0), true).view(), vec![0; 3]),
            "inputs has shape [3, 2, 0]",
        ),
    ] {
        let error = made.unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }
    let fails = |data: &dyn Data, loss: Loss| {
        let mut engine = engine(loss, 2);
        let fitted = trainer().fit(&mut engine, data, None, |_, _| {
            Ok(ControlFlow::Continue(()))
        });
        assert_eq!(engine.to_network().unwrap(), network(2));
        fitted.unwrap_err().to_string()
    };
    let classes = Loss::CrossEntropyMembrane;
    let narrow = InMemory::constant(x(9, 5), vec![0; 9]).unwrap();
    let beyond = InMemory::constant(x(9, FEATURES), vec![0, 1, 2, 0, 0, 0, 0, 0, 0]).unwrap();
    let wide = InMemory::constant(x(9, FEATURES), x(9, 3)).unwrap();
    let of_values = InMemory::constant(x(9, FEATURES), x(9, 2)).unwrap();
    let few = InMemory::constant(x(4, FEATURES), vec![0; 4]).unwrap();
    let short = from_fn(9, |_, batch| {
        batch.constant([2, FEATURES]).fill(0.0);
        batch.classes().extend([0, 0]);
        Ok(())
    });
    let unlike = from_fn(9, |draw, batch| {
        batch.constant([draw.indices.len(), FEATURES]).fill(0.0);
        batch.classes().push(0);
        Ok(())
    });
    let broken = from_fn(9, |_, _| {
        Err(Error::callback(std::io::Error::other("the disk is gone")))
    });
    let empty = from_fn(0, |_, _| Ok(()));
    let endless = from_fn(usize::MAX, |_, _| Ok(()));
    for (data, loss, says) in [
        (
            &narrow as &dyn Data,
            &classes,
            "features of the training set has shape [5]; expected [70], the network's inputs",
        ),
        (
            &beyond,
            &classes,
            "training label 2 is 2; expected a class below 2, the number of the network's outputs",
        ),
        (
            &wide,
            &Loss::Mse(Quantity::SpikeRate),
            "training targets of a sample has shape [3]; expected [2], the network's outputs",
        ),
        (&of_values, &classes, "targets is values [B, N]"),
        (
            &few,
            &classes,
            "number of training samples is 4; expected at least one batch of 5",
        ),
        (
            &short,
            &classes,
            "samples of a batch has shape [2]; expected [5], the samples that were drawn",
        ),
        (
            &unlike,
            &classes,
            "targets has shape [1]; expected [5], one per sample",
        ),
        (&broken, &classes, "the disk is gone"),
        (&empty, &classes, "number of training samples is 0"),
        (&endless, &classes, "order of 18446744073709551615 samples"),
    ] {
        let error = fails(data, loss.clone());
        assert!(error.contains(says), "{error}");
    }
    let data = InMemory::constant(x(9, FEATURES), vec![0; 9]).unwrap();
    let mut engine = engine(classes, 2);
    let validated = trainer().fit(&mut engine, &data, Some(&narrow), |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    let error = validated.unwrap_err().to_string();
    assert!(
        error.starts_with("features of the validation set has shape [5]"),
        "{error}"
    );
    for indices in [&[][..], &[9]] {
        assert!(
            data.fill(Draw::new(indices, 0), &mut OwnedSamples::default())
                .is_err()
        );
    }
    assert!(trainer().evaluate(&mut engine, &empty).is_err());
}

/// The memory of a batch is reused where shapes are the same, and replaced where they are not.
#[test]
fn batches_are_overwritten() {
    let x = Array3::from_shape_fn((4, 3, 65), |(n, t, f)| spike(n, t, f));
    let spikes = InMemory::spikes(x.view(), vec![3, 2, 1, 0]).unwrap();
    assert_eq!(
        (spikes.len(), spikes.features(), spikes.is_empty()),
        (4, 65, false)
    );
    let mut batch = OwnedSamples::default();
    spikes.fill(Draw::new(&[2, 0], 0), &mut batch).unwrap();
    let place = match &batch.input {
        OwnedInput::Sequence(x) => x.as_ptr(),
        other => unreachable!("{other:?}"),
    };
    spikes.fill(Draw::new(&[3, 1], 0), &mut batch).unwrap();
    let OwnedInput::Sequence(found) = &batch.input else {
        unreachable!("these are sequences")
    };
    assert_eq!(found.as_ptr(), place);
    for (b, n) in [3, 1].into_iter().enumerate() {
        let expected = x
            .slice(s![n, .., ..])
            .mapv(|spike| f32::from(u8::from(spike)));
        assert_eq!(found.slice(s![.., b, ..]), expected);
    }
    assert_eq!(batch.targets, OwnedTargets::Classes(vec![0, 2]));
    assert_eq!((batch.batch(), batch.samples(9).input.num_steps()), (2, 3));
    let table = InMemory::constant(Array2::ones((4, 2)), Array2::ones((4, 1))).unwrap();
    table.fill(Draw::new(&[0], 0), &mut batch).unwrap();
    assert_eq!(batch.samples(9).input.num_steps(), 9);
    assert_eq!(batch.targets, OwnedTargets::Values(Array2::ones((1, 1))));
}

/// Targets that do not match the input are refused, also where a part or a window of them would fit.
#[test]
fn unlike_targets_are_refused_in_parts_and_windows() {
    let filled = |steps: usize, targets: OwnedTargets| {
        from_fn(9, move |draw, batch| {
            batch
                .sequence([STEPS, draw.indices.len(), FEATURES])
                .fill(0.5);
            batch.targets = targets.clone();
            Ok(())
        })
        .with_num_steps(steps)
    };
    let sequence = |steps, samples| OwnedTargets::Sequence(Array3::zeros((steps, samples, 2)));
    for (targets, loss) in [
        (
            OwnedTargets::Classes(vec![0; 2]),
            Loss::CrossEntropyMembrane,
        ),
        (
            OwnedTargets::Classes(vec![0; 6]),
            Loss::CrossEntropyMembrane,
        ),
        (
            OwnedTargets::Values(Array2::zeros((2, 2))),
            Loss::Mse(Quantity::SpikeCount),
        ),
        (sequence(3, 4), Loss::Mse(Quantity::Membrane)),
        (sequence(7, 4), Loss::Mse(Quantity::Membrane)),
        (sequence(6, 2), Loss::Mse(Quantity::Membrane)),
    ] {
        for (accumulate, truncate) in [(1, None), (2, None), (1, Some(3)), (2, Some(3))] {
            let trainer = Trainer {
                batch_size: 4,
                accumulate,
                truncate,
                ..trainer()
            };
            let mut engine = engine(loss.clone(), 2);
            let data = filled(STEPS, targets.clone());
            let fitted = trainer.fit(&mut engine, &data, None, |_, _| {
                Ok(ControlFlow::Continue(()))
            });
            let error = fitted.unwrap_err().to_string();
            assert!(
                error.starts_with("targets has shape"),
                "{accumulate} {truncate:?}: {error}"
            );
            assert_eq!(engine.to_network().unwrap(), network(2));
        }
    }
    // Targets of more steps than a constant input lasts.
    let x = Array2::from_elem((9, FEATURES), 0.5);
    let long = InMemory::constant(x, Array3::zeros((9, STEPS + 1, 2))).unwrap();
    let mut engine = engine(Loss::Mse(Quantity::Membrane), 2);
    let fitted = trainer().fit(&mut engine, &long, None, |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    let error = fitted.unwrap_err().to_string();
    assert!(
        error.starts_with("targets has shape [7, 5, 2]; expected [6, 5, N]"),
        "{error}"
    );
}

/// Sequences, values and closures in every engine, announced ahead where it can be; batches of different
/// lengths; windows.
fn every_engine_trains_on_them(name: &str, make: &Make) {
    let data = from_fn(SAMPLES, |draw, batch| {
        // The first samples of an epoch have more steps than the others.
        let steps = STEPS + draw.indices[0] % 3;
        let x = batch.sequence([steps, draw.indices.len(), FEATURES]);
        x.indexed_iter_mut().for_each(|((t, b, f), x)| {
            if spike(draw.indices[b], t, f) {
                *x = 1.0;
            }
        });
        let y = batch.sequence_values([steps, draw.indices.len(), 2]);
        y.indexed_iter_mut()
            .for_each(|((t, b, o), y)| *y = ((t + b + o) % 3) as f32);
        Ok(())
    });
    for truncate in [None, Some(4)] {
        let trainer = Trainer {
            truncate,
            ..trainer()
        };
        let run = |engine: &mut dyn Engine| {
            let history = fit(engine, &trainer, &data);
            let losses: Vec<f64> = history.batches.iter().map(|b| b.report.loss).collect();
            (losses, engine.to_network().unwrap())
        };
        let loss = Loss::Mse(Quantity::Membrane);
        let (expected, _) = run(&mut engine(loss.clone(), 2));
        let (found, trained) = run(&mut *make(network(2), loss.into(), Adam::new(1e-2).into()));
        assert_ne!(trained, network(2), "{name}");
        for (a, b) in expected.iter().zip(&found) {
            assert!(
                (a - b).abs() < 1e-3 * a.abs(),
                "{name} {truncate:?}: {expected:?} {found:?}"
            );
        }
    }
}
on_every_engine!(every_engine_trains_on_them);

/// A callback can change what trains; early stopping keeps the best network, and ends the run.
#[test]
fn callbacks_change_the_run() {
    let x = Array2::from_shape_fn((20, FEATURES), |(n, f)| ((n * 3 + f) % 5) as f32 / 2.0);
    let data = InMemory::constant(x, (0..20).map(|n| n % 2).collect::<Vec<_>>()).unwrap();
    let mut run = engine(Loss::CrossEntropyMembrane, 2);
    let untrained = network(2);
    let trainer = Trainer {
        epochs: 6,
        ..trainer()
    };
    let mut stopping = EarlyStopping::new(2);
    let history = trainer.fit(&mut run, &data, Some(&data), |engine, event| {
        if let Event::Epoch { record, .. } = event {
            match record.epoch {
                // From here on the network does not learn any more, and begins anew: worse.
                1 => {
                    engine.set_learning_rate(0.0)?;
                    assert_eq!(engine.learning_rate(), 0.0);
                    let flow = stopping.event(engine, event)?;
                    engine.set_network(untrained.clone())?;
                    engine.set_optimizer(Adam::new(0.0).into())?;
                    return Ok(flow);
                }
                _ => return stopping.event(engine, event),
            }
        }
        Ok(ControlFlow::Continue(()))
    });
    let history = history.unwrap();
    let losses: Vec<f64> = history
        .epochs
        .iter()
        .map(|e| e.validation.as_ref().unwrap().loss)
        .collect();
    assert_eq!(losses.len(), 4, "{losses:?}");
    assert!(losses[1] < losses[0] && losses[1] < losses[2], "{losses:?}");
    assert!(history.batches[7].learning_rate > 0.0 && history.batches[8].learning_rate == 0.0);
    assert_eq!(run.to_network().unwrap(), untrained);
    let best = stopping.best().expect("there is a best epoch").clone();
    run.set_network(best).unwrap();
    let again = trainer.evaluate(&mut run, &data).unwrap();
    assert_eq!(again.loss, losses[1]);
}

/// A history built by hand goes into a checkpoint, and a run goes on from it.
#[test]
#[cfg(feature = "safetensors")]
fn a_history_of_ones_own_goes_into_checkpoints() {
    use spikegrad::{Checkpoint, Device};
    let x = Array2::from_shape_fn((20, FEATURES), |(n, f)| ((n * 3 + f) % 5) as f32 / 2.0);
    let data = InMemory::constant(x, (0..20).map(|n| n % 2).collect::<Vec<_>>()).unwrap();
    let trainer = trainer();
    let mut whole = engine(Loss::CrossEntropyMembrane, 2);
    let expected = fit(&mut whole, &trainer, &data);
    let mut part = engine(Loss::CrossEntropyMembrane, 2);
    let stopped = trainer.fit(&mut part, &data, Some(&data), |_, event| {
        Ok(match event {
            Event::Epoch { .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
    });
    let mut by_hand = History::default();
    for b in stopped.unwrap().batches {
        let record = BatchRecord::new(
            b.epoch,
            b.batch,
            b.report,
            b.step_time,
            b.learning_rate,
            b.num_steps,
        );
        by_hand.batches.push(record);
    }
    let mean = by_hand.batches.iter().map(|b| b.report.loss).sum::<f64>() / 4.0;
    let validation = trainer.evaluate(&mut part, &data).unwrap();
    by_hand
        .epochs
        .push(EpochRecord::new(0, mean, Some(validation), Duration::ZERO));
    let saved = Checkpoint::new(&mut part, &trainer, &by_hand).unwrap();
    let loaded = Checkpoint::from_bytes(&saved.to_bytes().unwrap()).unwrap();
    let mut engine = loaded.engine(Device::Cpu).unwrap();
    let rest = trainer.resume(&mut *engine, &data, Some(&data), loaded.history, |_, _| {
        Ok(ControlFlow::Continue(()))
    });
    assert_eq!(reports(&rest.unwrap()), reports(&expected));
    assert_eq!(engine.to_network().unwrap(), whole.to_network().unwrap());
}

/// Numbers read out for values, and what they are off by.
#[test]
fn values_are_read_out() {
    let mut engine = engine(Loss::Mse(Quantity::SpikeRate), 2);
    let x = Array2::from_elem((3, FEATURES), 0.8);
    let input = Input::constant(x.view(), 8);
    let recording = engine.forward(input, &Record::Output).unwrap();
    let (spk, mem) = (&recording.output().spk, &recording.output().mem);
    assert_eq!(
        recording.values(Quantity::Membrane),
        mem.index_axis(Axis(0), 7)
    );
    assert_eq!(
        recording.values(Quantity::SpikeCount),
        spk.sum_axis(Axis(0))
    );
    assert_eq!(
        recording.values(Quantity::SpikeRate),
        spk.sum_axis(Axis(0)) / 8.0
    );
    let aims = Array2::from_shape_fn((3, 2), |(b, n)| (b + n) as f32 / 4.0);
    for (quantity, loss) in [
        (Quantity::Membrane, Loss::Mse(Quantity::Membrane)),
        (Quantity::SpikeRate, Loss::Mse(Quantity::SpikeRate)),
    ] {
        let expected = loss.evaluate(&recording, aims.view()).unwrap().0;
        let found = mean_squared_error(recording.values(quantity).view(), aims.view()).unwrap();
        assert!(
            (found - expected).abs() < 1e-6 * expected,
            "{found} {expected}"
        );
    }
    let expected = Loss::Mae(Quantity::SpikeCount)
        .evaluate(&recording, aims.view())
        .unwrap()
        .0;
    let found = mean_absolute_error(recording.values(Quantity::SpikeCount).view(), aims.view());
    assert!((found.unwrap() - expected).abs() < 1e-6);
    let error = mean_squared_error(aims.view(), Array2::zeros((2, 2)).view()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("values found has shape [3, 2]"),
        "{error}"
    );
}

/// Sequences have their own number of steps: in records, in checkpoints, and where layers are saturated.
#[test]
fn records_have_the_steps_of_their_batches() {
    let always = Leaky::new(0.5).threshold(1e-3);
    let mut network: Network = Network::builder(1).layer(2, always).build().unwrap();
    let bias = ndarray::array![9.0, 9.0];
    network
        .set_parameter("fc1.bias", bias.view().into_dyn())
        .unwrap();
    let mut engine =
        CpuEngine::new(network.clone(), Loss::CrossEntropyMembrane, Adam::new(0.0)).unwrap();
    // 4 and 6 steps; the trainer's own number is 25.
    let data = from_fn(8, |draw, batch| {
        let steps = 4 + 2 * (draw.indices[0] % 2);
        batch.sequence([steps, draw.indices.len(), 1]).fill(1.0);
        batch
            .classes()
            .extend(draw.indices.iter().map(|index| index % 2));
        Ok(())
    });
    let trainer = Trainer {
        epochs: 1,
        batch_size: 1,
        ..Trainer::default()
    };
    let history = trainer
        .fit(&mut engine, &data, None, |_, _| {
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    let steps: Vec<usize> = history.batches.iter().map(|b| b.num_steps).collect();
    assert_eq!(steps.iter().filter(|&&steps| steps == 4).count(), 4);
    assert_eq!(steps.iter().filter(|&&steps| steps == 6).count(), 4);
    // A neuron that fires from the second step on fires at 3 of 4.
    let [layer] = trainer.inactive_layers(&network, &history, 0)[..] else {
        panic!("{:?}", trainer.inactive_layers(&network, &history, 0));
    };
    assert_eq!((layer.activity, layer.num_steps), (Activity::Saturated, 6));

    let checkpoint = Checkpoint::new(&mut engine, &trainer, &history).unwrap();
    let dir = tempfile::tempdir().unwrap();
    checkpoint.save(dir.path()).unwrap();
    let found = Checkpoint::load(dir.path()).unwrap().unwrap();
    assert_eq!(found.checkpoint.history.batches, history.batches);
}
