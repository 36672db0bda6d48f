//! Who used an allocation, as far as other streams must be ordered after it: its last writer, and of
//! each stream the last reader since. The records of single words are in [`shadow`](super::shadow).

use std::collections::HashMap;
use std::sync::Arc;

/// A stream's handle.
pub type Stream = usize;

/// What is known to be complete: of each stream, how many of its operations.
#[derive(Clone, Debug, Default)]
pub struct Clock(HashMap<Stream, u64>);

impl Clock {
    pub fn merge(&mut self, other: &Clock) {
        for (&stream, &number) in &other.0 {
            let mine = self.0.entry(stream).or_default();
            *mine = number.max(*mine);
        }
    }

    /// One more operation of a stream; its number.
    pub fn tick(&mut self, stream: Stream) -> u64 {
        let mine = self.0.entry(stream).or_default();
        *mine += 1;
        *mine
    }

    pub fn knows(&self, stream: Stream, number: u64) -> bool {
        self.0.get(&stream).is_some_and(|&known| known >= number)
    }
}

/// An operation on a stream.
#[derive(Clone, Debug)]
pub struct Operation {
    pub stream: Stream,
    pub number: u64,
    pub what: Arc<str>,
}

#[derive(Clone, Debug, Default)]
pub struct Uses {
    /// What the running kernel has done so far.
    pub reads: bool,
    pub writes: bool,
    written: Option<Operation>,
    read: Vec<Operation>,
}

impl Uses {
    /// Notes an operation that knows `clock`; the one that it is not ordered after, if there is one.
    pub fn note(
        &mut self,
        operation: &Operation,
        clock: &Clock,
        (reads, writes): (bool, bool),
    ) -> Option<Operation> {
        let mine = (operation.stream, operation.number);
        let unordered = |other: &&Operation| {
            (other.stream, other.number) != mine && !clock.knows(other.stream, other.number)
        };
        let mut with = self.written.iter().find(unordered).cloned();
        if writes {
            with = with.or_else(|| self.read.iter().find(unordered).cloned());
            self.written = Some(operation.clone());
            self.read.clear();
        } else if reads {
            self.read.retain(|other| other.stream != operation.stream);
            self.read.push(operation.clone());
        }
        with
    }

    /// An operation that is not complete as far as `clock` knows; those of the legacy default stream,
    /// which the host mostly waits for, are.
    pub fn running(&self, clock: &Clock) -> Option<&Operation> {
        let mut all = self.written.iter().chain(&self.read);
        all.find(|other| other.stream != 0 && !clock.knows(other.stream, other.number))
    }
}
