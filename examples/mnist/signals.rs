//! Ctrl-C and SIGTERM, while checkpoints are written: the first is noticed between two batches, a
//! second one ends the process at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// What has arrived.
pub struct Signals(Arc<AtomicUsize>);

/// A signal that asks for an end.
#[derive(Clone, Copy)]
pub struct Signal(u8);

impl Signals {
    /// Watches from now on.
    pub fn watch() -> io::Result<Signals> {
        let received = Arc::new(AtomicUsize::new(0));
        let once = Arc::new(AtomicBool::new(false));
        for (signal, number) in [(SIGINT, 2), (SIGTERM, 15)] {
            // In this order: the first signal finds the flag unset, and sets it.
            flag::register_conditional_shutdown(signal, 128 + number, Arc::clone(&once))?;
            flag::register(signal, Arc::clone(&once))?;
            flag::register_usize(signal, Arc::clone(&received), number as usize)?;
        }
        Ok(Signals(received))
    }

    /// The last one that arrived, if any.
    pub fn received(&self) -> Option<Signal> {
        match self.0.load(Ordering::SeqCst) {
            0 => None,
            number => Some(Signal(number as u8)),
        }
    }
}

impl Signal {
    /// The exit code by which a shell knows it.
    pub fn exit_code(self) -> u8 {
        128 + self.0
    }

    pub fn name(self) -> &'static str {
        match self.0 {
            2 => "Ctrl-C (SIGINT)",
            _ => "SIGTERM",
        }
    }
}
