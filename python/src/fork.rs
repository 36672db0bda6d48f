//! Forked processes: a child has none of its parent's threads, and a pool without threads never answers.

use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use spikegrad::{Error, Result};

/// Whether this process, or the one that it was forked from, has made an engine or a predictor.
static USED: AtomicBool = AtomicBool::new(false);

/// Whether this process was forked from one that had.
static FORKED: AtomicBool = AtomicBool::new(false);

/// Notes that the thread pool is in use; fails in a process that has lost it.
pub fn begin() -> Result<()> {
    check()?;
    USED.store(true, Ordering::Relaxed);
    Ok(())
}

/// Fails in a process that has lost its thread pool.
pub fn check() -> Result<()> {
    if !FORKED.load(Ordering::Relaxed) {
        return Ok(());
    }
    Err(Error::Device {
        device: "cpu".into(),
        reason: "this process was forked from one that had made an engine or a predictor, whose threads it does \
                 not have: begin processes with multiprocessing's method \"spawn\" or \"forkserver\""
            .into(),
    })
}

/// What a forked process calls first.
#[pyfunction]
pub fn _forked() {
    if USED.load(Ordering::Relaxed) {
        FORKED.store(true, Ordering::Relaxed);
    }
}
