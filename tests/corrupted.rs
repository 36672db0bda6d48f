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
        assert_eq!(loaded.adam, saved.adam);
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
