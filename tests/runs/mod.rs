//! What the tests of checkpoints share: a small run, and where it stands after some batches.
#![allow(dead_code)] // each test uses a part of it

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ndarray::Array2;
use spikegrad::{
    Adam, Checkpoint, Device, Dynamics, Engine, History, Leaky, Loss, Network, Objective, Reset,
    Surrogate, Trainer, data::Dataset,
};

/// Images of 6 pixels in 2 classes.
pub fn data() -> Dataset {
    let pixel = |b: usize, n: usize| match n % 2 == b % 2 {
        true => (97 * b + 31 * n) as u8 | 0x40,
        false => 0,
    };
    let images = Array2::from_shape_fn((23, 6), |(b, n)| pixel(b, n));
    Dataset::new(images, (0..23).map(|b| b % 2).collect(), 2).expect("labels fit")
}

/// Every kind of setting: shared and per-neuron constants, fixed and learnt.
pub fn network() -> Network {
    Network::builder(6)
        .layer(
            3,
            Leaky::new(0.9)
                .threshold(vec![0.3, 0.1 + 0.2, 1.0 / 3.0])
                .learn_threshold(true)
                .surrogate(Surrogate::FastSigmoid { slope: 7.3 }),
        )
        .layer(
            2,
            Leaky::new(0.8)
                .threshold(0.2)
                .learn_beta(true)
                .dynamics(Dynamics::IntegrateThenFire)
                .reset(Reset::Zero)
                .detach_reset(false),
        )
        .seed(5)
        .build()
        .expect("a network")
}

pub fn trainer() -> Trainer {
    Trainer {
        epochs: 3,
        batch_size: 4,
        num_steps: 6,
        seed: 11,
        drop_last: true,
        accumulate: 1,
        truncate: None,
    }
}

pub fn engine() -> Box<dyn Engine> {
    let objective = Objective {
        loss: Loss::CrossEntropyMembrane,
        rate_l1: 1e-3,
        penalties: Vec::new(),
    };
    let adam = Adam::new(0.01).betas(0.85, 0.99).eps(1e-7);
    Device::Cpu
        .engine(network(), objective, adam)
        .expect("an engine")
}

/// The run after `batches` of its 15 batches.
pub fn after(batches: usize) -> Checkpoint {
    let (mut engine, data) = (engine(), data());
    let mut history = History::default();
    if batches > 0 {
        history = trainer()
            .fit(&mut *engine, &data, Some(&data), |_, event| {
                Ok(match event.history().batches.len() == batches {
                    true => ControlFlow::Break(()),
                    false => ControlFlow::Continue(()),
                })
            })
            .expect("it trains");
    }
    let settings = BTreeMap::from([("note".to_string(), "a \"quoted\" line\nand another".into())]);
    Checkpoint::new(&mut *engine, &trainer(), &history)
        .expect("a checkpoint")
        .with_settings(&settings)
}

/// The uninterrupted run: its model and history.
pub fn whole() -> (Network, History) {
    let end = after(usize::MAX);
    (end.network, end.history)
}

/// What must be the same for two runs to be equal: all but the times.
pub fn without_times(history: &History) -> String {
    let mut history = history.clone();
    for record in &mut history.batches {
        record.step_time = Default::default();
    }
    for record in &mut history.epochs {
        record.time = Default::default();
    }
    format!("{history:?}") // shortest digits that tell each number from all others
}

/// Goes on from a checkpoint to the end.
pub fn go_on(checkpoint: Checkpoint, engine: &mut dyn Engine) -> (Network, History) {
    let data = data();
    let history =
        checkpoint
            .trainer
            .resume(engine, &data, Some(&data), checkpoint.history, |_, _| {
                Ok(ControlFlow::Continue(()))
            });
    (
        engine.to_network().expect("a network"),
        history.expect("it trains"),
    )
}

/// A file with its checksum made right again: what was changed on purpose, not by accident.
pub fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let pattern = br#""crc32":""#;
    let at = bytes.windows(pattern.len()).position(|w| w == pattern);
    let at = at.expect("a checksum") + pattern.len();
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..at]);
    hasher.update(&bytes[at + 8..]);
    let digits = format!("{:08x}", hasher.finalize());
    bytes[at..at + 8].copy_from_slice(digits.as_bytes());
    bytes
}

/// A file with a text of its header replaced by another, the lengths and the checksum made right.
pub fn edited(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let (length, rest) = bytes.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
    let (header, tensors) = rest.split_at(length);
    let header = std::str::from_utf8(header).expect("text");
    assert!(header.contains(from), "no {from} in {header}");
    let header = header.replacen(from, to, 1);
    let length = (header.len() as u64).to_le_bytes();
    sealed([&length[..], header.as_bytes(), tensors].concat())
}
