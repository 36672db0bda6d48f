//! Elapsed time, if there is a clock: `wasm32-unknown-unknown` has none, and `Instant::now` panics
//! there.

use std::time::{Duration, Instant};

/// Measures from [`start`](Self::start) on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Option<Instant>);

impl Stopwatch {
    pub fn start() -> Self {
        let clock = cfg!(not(all(target_family = "wasm", target_os = "unknown")));
        Stopwatch(clock.then(Instant::now))
    }

    /// Time since the start; zero without a clock.
    pub fn elapsed(self) -> Duration {
        self.0.map_or(Duration::ZERO, |begin| begin.elapsed())
    }
}
