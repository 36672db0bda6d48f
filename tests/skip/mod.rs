//! What a test says where it cannot test.
#![allow(dead_code)] // each test uses a part of it

use std::{fmt::Display, io::Write, thread};

/// Says what is not tested here, and why: on stderr itself, past the harness, which shows nobody what
/// a test that passes has printed.
pub fn skipped(why: impl Display) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a thread without a name");
    let line = format!("SKIPPED: {test}: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Whether there is a GPU, or the software driver of `tests/softcuda`; says so if not. Whoever names
/// a driver means to test it: one that does not load is a failure.
#[cfg(feature = "cuda")]
#[track_caller]
pub fn cuda() -> bool {
    use spikegrad::Device;
    let (device, reason) = Device::Auto.resolve();
    let there = device == Device::Cuda(0);
    if !there {
        let named = std::env::var_os("SPIKEGRAD_CUDA_DRIVER");
        assert!(named.is_none(), "SPIKEGRAD_CUDA_DRIVER={named:?}: {reason}");
        skipped(reason);
    }
    there
}
