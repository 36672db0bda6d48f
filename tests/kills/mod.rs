//! How often a test kills a process, and when.

#![allow(dead_code)] // each test uses a part of it

use std::time::{SystemTime, UNIX_EPOCH};

/// How many kills.
pub fn kills(default: usize) -> usize {
    match std::env::var("SPIKEGRAD_KILLS") {
        Ok(text) => text.parse().expect("SPIKEGRAD_KILLS is a whole number"),
        Err(_) => default,
    }
}

/// Random numbers from the clock: other moments each time.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seed = now.expect("after 1970").as_nanos() as u64 | 1;
        eprintln!("seed {seed}");
        Random(seed)
    }

    /// 64 bits, the upper of which are random: xorshift64*.
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number in `[0, 1)`.
    pub fn next(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() >> 33) as usize % end
    }
}
