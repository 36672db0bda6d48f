//! A stopwatch for the parts of a step, for the `parts` bench. Switched off, it costs one branch
//! per part and sample.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::stopwatch::Stopwatch;

/// The timed parts.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Lists,
    FirstProduct,
    SpikeProducts,
    Forward,
    Loss,
    InputGrad,
    Backward,
    FirstWeights,
    OtherWeights,
}

const NAMES: [&str; 9] = [
    "input lists",
    "first product",
    "spike products",
    "LIF forward",
    "read-out and loss",
    "input gradient",
    "LIF backward",
    "first weights",
    "other weights",
];

/// Nanoseconds of each part, all threads together; `None` while switched off.
#[derive(Debug, Default)]
pub(super) struct Clock(Option<[AtomicU64; NAMES.len()]>);

impl Clock {
    pub fn start(&mut self) {
        self.0 = Some(Default::default());
    }

    /// Seconds of each part since the start, and switches off.
    pub fn stop(&mut self) -> Vec<(&'static str, f64)> {
        let times = self.0.take().unwrap_or_default();
        let seconds = times.map(|ns| ns.into_inner() as f64 * 1e-9);
        NAMES.into_iter().zip(seconds).collect()
    }

    #[inline]
    pub fn time<R>(&self, part: Part, work: impl FnOnce() -> R) -> R {
        let Some(times) = &self.0 else { return work() };
        let begin = Stopwatch::start();
        let result = work();
        times[part as usize].fetch_add(begin.elapsed().as_nanos() as u64, Relaxed);
        result
    }
}
