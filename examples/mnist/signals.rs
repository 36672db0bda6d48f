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
    /// Watches from now on. Of several processes, `mpirun` ends those that go on, and may send more than one
    /// signal.
    pub fn watch(second_ends: bool) -> io::Result<Signals> {
        let received = Arc::new(AtomicUsize::new(0));
        let once = Arc::new(AtomicBool::new(false));
        for (signal, number) in [(SIGINT, 2), (SIGTERM, 15)] {
            // In this order: the first signal finds the flag unset, and sets it.
            if second_ends {
                flag::register_conditional_shutdown(signal, 128 + number, Arc::clone(&once))?;
                flag::register(signal, Arc::clone(&once))?;
            }
            flag::register_usize(signal, Arc::clone(&received), number as usize)?;
        }
        Ok(Signals(received))
    }

    /// The number of the last one that arrived, or 0.
    pub fn received(&self) -> u32 {
        self.0.load(Ordering::SeqCst) as u32
    }
}

impl Signal {
    /// The signal of this number, if there can be one.
    pub fn of(number: u32) -> Option<Signal> {
        u8::try_from(number).ok().filter(|n| *n > 0).map(Signal)
    }

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
