//! Damaged checkpoints: none is ever loaded as good, whatever was changed, cut off or added; and none
//! makes the reader fail otherwise than by an error.
#![cfg(feature = "safetensors")]

mod runs;

use spikegrad::{Checkpoint, Error};

/// Every byte, changed in every single bit and in several other ways.
#[test]
fn every_changed_byte_is_noticed() {
    let whole = runs::after(7).to_bytes().expect("bytes");
    assert!(whole.len() < 10_000, "{} bytes", whole.len());
    let mut bytes = whole.clone();
    for at in 0..bytes.len() {
        let original = bytes[at];
        let bits = (0..8).map(|bit| original ^ (1 << bit));
        let others = [
            !original,
            0,
            0xff,
            original.wrapping_add(1),
            b'0',
            b'"',
            b' ',
        ]
        .into_iter()
        .chain([original.to_ascii_uppercase(), original.to_ascii_lowercase()]);
        for changed in bits.chain(others).filter(|changed| *changed != original) {
            bytes[at] = changed;
            let result = Checkpoint::from_bytes(&bytes);
            assert!(
                matches!(result, Err(Error::Format { .. })),
                "byte {at}, {original:#04x} changed to {changed:#04x}: {result:?}"
            );
        }
        bytes[at] = original;
    }
    Checkpoint::from_bytes(&bytes).expect("it is whole again");
}

#[test]
fn every_truncation_and_extension_is_noticed() {
    let whole = runs::after(7).to_bytes().expect("bytes");
    for length in 0..whole.len() {
        let result = Checkpoint::from_bytes(&whole[..length]);
        assert!(
            matches!(result, Err(Error::Format { .. })),
            "{length}: {result:?}"
        );
    }
    for added in [&[0][..], b" ", b"}", &[0; 8], &whole] {
        let longer = [&whole, added].concat();
        let result = Checkpoint::from_bytes(&longer);
        assert!(
            matches!(result, Err(Error::Format { .. })),
            "{added:?}: {result:?}"
        );
    }
}

#[test]
fn what_is_written_comes_back() {
    for batches in [0, 1, 5, 7, 15] {
        let saved = runs::after(batches);
        let bytes = saved.to_bytes().expect("bytes");
        let loaded = Checkpoint::from_bytes(&bytes).expect("a checkpoint");
        assert_eq!(loaded.network, saved.network);
        assert_eq!(loaded.optimizer, saved.optimizer);
        assert_eq!(loaded.trainer, saved.trainer);
        assert_eq!(loaded.history, saved.history);
        assert_eq!(loaded.position, saved.position);
        assert_eq!(loaded.settings, saved.settings);
        assert_eq!(loaded.configuration(), saved.configuration());
        assert!(
            loaded.to_bytes().expect("bytes") == bytes,
            "the same bytes again"
        );
    }
}

/// Files that were made wrong on purpose, their checksum right: refused by what is wrong with them.
#[test]
fn wrong_content_with_a_right_checksum_is_refused() {
    let whole = runs::after(7).to_bytes().expect("bytes");
    Checkpoint::from_bytes(&runs::sealed(whole.clone())).expect("as it was");
    let mut wrong = Vec::new();
    for (from, to, part) in [
        ("spikegrad checkpoint", "a checkpoint", "format"),
        ("\"version\":\"2\"", "\"version\":\"0\"", "version"),
        (
            "\"version\":\"2\"",
            "\"version\":\"99999999999\"",
            "version",
        ),
        ("6 3 2", "6 3 9", "fc2.bias"),
        ("6 3 2", "6 9 2", "layer 1"),
        ("6 3 2", "6 3", "firing_rate"),
        ("6 3 2", "6", "network.sizes"),
        ("6 3 2", "6 0 2", "network.sizes"),
        ("6 3 2", "6 3 2 4", "layer3"),
        ("6 3 2", "18446744073709551615 3 2", "fc1"),
        ("\"layer1.beta\":\"0.9\"", "\"layer1.beta\":\"1.9\"", "beta"),
        ("\"layer1.beta\":\"0.9\"", "\"layer1.beta\":\"NaN\"", "beta"),
        (
            "\"layer2.learn_beta\":\"true\"",
            "\"layer2.learn_beta\":\"false\"",
            "lif2.beta",
        ),
        (
            "\"layer1.learn_beta\":\"false\"",
            "\"layer1.learn_beta\":\"true\"",
            "lif1.beta",
        ),
        ("fast_sigmoid 7.3", "fast_sigmoid -1", "slope"),
        ("fast_sigmoid 7.3", "slow_sigmoid 7.3", "surrogate"),
        ("cross_entropy_membrane", "cross_entropy", "objective.loss"),
        ("\"adam.lr\":\"0.01\"", "\"adam.lr\":\"inf\"", "lr"),
        ("\"adam.step\":\"7\"", "\"adam.step\":\"0\"", "tensor"),
        ("\"adam.step\":\"7\"", "\"adam.step\":\"-7\"", "adam.step"),
        (
            "\"trainer.batch_size\":\"4\"",
            "\"trainer.batch_size\":\"0\"",
            "batch_size",
        ),
        (
            "\"position.batch\":\"2\"",
            "\"position.batch\":\"3\"",
            "position",
        ),
        ("\"setting.note\"", "\"later.note\"", "later.note"),
        ("adam.exp_avg.fc1.bias", "adam.exp_avg.fc9.bias", "fc1.bias"),
        ("\"shape\":[3, 6]", "\"shape\":[6, 3]", "fc1.weight"),
        (
            "\"shape\":[3, 6]",
            "\"shape\":[99999999999,99999999999]",
            "content",
        ),
        ("{\"__metadata__\"", "[\"__metadata__\"", "content"),
    ] {
        let result = Checkpoint::from_bytes(&runs::edited(&whole, from, to));
        match result {
            Err(error @ Error::Format { .. }) => {
                let message = error.to_string();
                if !message.contains(part) {
                    wrong.push(format!("{from} -> {to}: {message}"));
                }
            }
            result => panic!("{from} -> {to}: {result:?}"),
        }
    }
    assert!(wrong.is_empty(), "another reason than expected: {wrong:#?}");
    // Numbers: the last tensor is the second moments of a threshold or decay.
    for bad in [f32::NAN, f32::INFINITY, -1.0] {
        let mut bytes = whole.clone();
        let last = bytes.len() - 4;
        bytes[last..].copy_from_slice(&bad.to_le_bytes());
        let error = Checkpoint::from_bytes(&runs::sealed(bytes)).expect_err("not such a number");
        assert!(error.to_string().contains("adam.exp_avg_sq"), "{error}");
    }
}
