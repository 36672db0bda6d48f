//! What is ordered after what, across streams: by a stream's own order, by events, by the host that
//! waits, by the legacy default stream.
//!
//! Everything is done before a call returns, so that an operation which should have waited finds what it
//! needs all the same. Here such luck is found out: two operations that use one allocation, one of them
//! writing, must be ordered, whatever the time that each takes; an allocation may be freed, and
//! page-locked memory changed or freed, only when the host has waited for what uses it. The grain is a
//! whole allocation.

use std::collections::HashMap;
use std::sync::Arc;

use super::state::{Driver, Handle};
use crate::error::Code;
use crate::memory::uses::{Clock, Operation};

#[derive(Default)]
pub struct Order {
    /// What the host has waited for.
    host: Clock,
    streams: HashMap<Handle, Clock>,
    /// Copies from page-locked memory that the host has not waited for.
    copies: Vec<Pending>,
}

struct Pending {
    operation: Operation,
    address: usize,
    bytes: Vec<u8>,
}

/// Whether a stream is the legacy default stream, which others do not overlap with.
fn legacy(stream: Handle) -> bool {
    stream <= 1
}

impl Driver {
    /// Begins an operation on a stream: what it is, and what is complete before it.
    pub fn begin(&mut self, stream: Handle, what: &str) -> (Operation, Clock) {
        let stream = if legacy(stream) { 0 } else { stream };
        let order = &mut self.order;
        let mut clock = order.streams.remove(&stream).unwrap_or_default();
        clock.merge(&order.host);
        let blocking = |handle: &Handle| self.streams.get(handle).is_some_and(|s| s.flags == 0);
        if legacy(stream) {
            for (_, other) in order.streams.iter().filter(|(handle, _)| blocking(handle)) {
                clock.merge(other);
            }
        } else if blocking(&stream)
            && let Some(legacy) = order.streams.get(&0)
        {
            clock.merge(legacy);
        }
        let before = clock.clone();
        let number = clock.tick(stream);
        order.streams.insert(stream, clock);
        let what = Arc::from(what);
        let operation = Operation {
            stream,
            number,
            what,
        };
        (operation, before)
    }

    /// The host waits for a stream.
    pub fn wait_for(&mut self, stream: Handle) {
        let stream = if legacy(stream) { 0 } else { stream };
        if let Some(clock) = self.order.streams.get(&stream) {
            self.order.host.merge(clock);
        }
        let Order { host, copies, .. } = &mut self.order;
        copies.retain(|copy| !host.knows(copy.operation.stream, copy.operation.number));
    }

    pub fn wait_for_all(&mut self) {
        let streams: Vec<Handle> = self.order.streams.keys().copied().collect();
        for stream in streams {
            self.wait_for(stream);
        }
    }

    /// What a stream has come to: what an event recorded on it stands for.
    pub fn reached(&mut self, stream: Handle) -> Clock {
        let (_, _) = self.begin(stream, "an event");
        self.order.streams[&if legacy(stream) { 0 } else { stream }].clone()
    }

    /// A stream waits for an event.
    pub fn stream_waits(&mut self, stream: Handle, event: &Clock) {
        let stream = if legacy(stream) { 0 } else { stream };
        self.order.streams.entry(stream).or_default().merge(event);
    }

    /// The host waits for an event.
    pub fn host_waits(&mut self, event: &Clock) {
        self.order.host.merge(event);
        let Order { host, copies, .. } = &mut self.order;
        copies.retain(|copy| !host.knows(copy.operation.stream, copy.operation.number));
    }

    /// Notes what an operation does with the allocation at an address.
    pub fn uses(
        &mut self,
        operation: &Operation,
        clock: &Clock,
        address: u64,
        use_of: (bool, bool),
    ) -> Result<(), Code> {
        if !self.config.global_races {
            return Ok(());
        }
        let arena = &mut self.memory()?.arena;
        let Some(index) = arena.before(address) else {
            return Ok(()); // the access itself is refused
        };
        self.uses_segment(operation, clock, index, use_of)
    }

    /// The same for all that a kernel has just used.
    pub fn kernel_uses(&mut self, operation: &Operation, clock: &Clock) -> Result<(), Code> {
        for index in 0..self.memory()?.arena.segments.len() {
            let uses = &mut self.memory()?.arena.segments[index].uses;
            let use_of = (
                std::mem::take(&mut uses.reads),
                std::mem::take(&mut uses.writes),
            );
            if self.config.global_races && (use_of.0 || use_of.1) {
                self.uses_segment(operation, clock, index, use_of)?;
            }
        }
        Ok(())
    }

    fn uses_segment(
        &mut self,
        operation: &Operation,
        clock: &Clock,
        index: usize,
        use_of: (bool, bool),
    ) -> Result<(), Code> {
        let segment = &mut self.memory()?.arena.segments[index];
        let Some(other) = segment.uses.note(operation, clock, use_of) else {
            return Ok(());
        };
        let line = format!(
            "stream race: {} on stream {:#x} and {} on stream {:#x} use {}, and nothing orders them",
            operation.what, operation.stream, other.what, other.stream, segment.name
        );
        self.broken(line)
    }

    /// Whether the host may free or change what lies at an address of the device.
    pub fn idle(&mut self, address: u64) -> Result<(), Code> {
        if !self.config.global_races || self.over() {
            return Ok(());
        }
        let host = self.order.host.clone();
        let arena = &self.memory()?.arena;
        let Some(segment) = arena.before(address).map(|index| &arena.segments[index]) else {
            return Ok(());
        };
        let Some(other) = segment.uses.running(&host) else {
            return Ok(());
        };
        let line = format!(
            "stream race: {} is freed, and the host has not waited for {} on stream {:#x}",
            segment.name, other.what, other.stream
        );
        self.broken(line)
    }

    /// Notes a copy from the host's memory; where that is page-locked it may still be read later.
    pub fn reads_host(&mut self, operation: &Operation, address: usize, bytes: &[u8]) {
        if self.pinned_holds(address) {
            self.order.copies.push(Pending {
                operation: operation.clone(),
                address,
                bytes: bytes.to_vec(),
            });
        }
    }

    fn pinned_holds(&self, address: usize) -> bool {
        let mut all = self.pinned.iter();
        all.any(|(&start, layout)| (start..start + layout.size()).contains(&address))
    }

    /// Refuses page-locked memory that was changed before its copy was complete. Looked at in each call.
    pub fn check_host(&mut self) -> Result<(), Code> {
        let changed = self.order.copies.iter().position(|copy| {
            // SAFETY: the range was part of page-locked memory when it was copied, and such memory
            // is not freed while a copy of it is pending.
            let now =
                unsafe { std::slice::from_raw_parts(copy.address as *const u8, copy.bytes.len()) };
            now != copy.bytes
        });
        let Some(changed) = changed else {
            return Ok(());
        };
        let copy = self.order.copies.swap_remove(changed);
        let line = format!(
            "stream race: page-locked memory at {:#x} was changed, and the host has not waited for {} on stream {:#x}",
            copy.address, copy.operation.what, copy.operation.stream
        );
        self.broken(line)
    }

    /// Refuses to free page-locked memory that a copy may still read.
    pub fn idle_host(&mut self, address: usize, bytes: usize) -> Result<(), Code> {
        if self.over() {
            return Ok(());
        }
        let range = address..address + bytes;
        let mut copies = self.order.copies.iter();
        let Some(copy) = copies.find(|copy| range.contains(&copy.address)) else {
            return Ok(());
        };
        let line = format!(
            "stream race: page-locked memory at {address:#x} is freed, and the host has not waited for {} on stream {:#x}",
            copy.operation.what, copy.operation.stream
        );
        self.order
            .copies
            .retain(|copy| !range.contains(&copy.address));
        self.broken(line)
    }

    /// Whether the context has failed or is lost: nothing runs any more.
    fn over(&self) -> bool {
        let failed = |device: usize| self.devices[device].failed.is_some();
        self.lost || self.device().is_ok_and(failed)
    }

    fn broken(&mut self, line: String) -> Result<(), Code> {
        self.say(line);
        self.fail(Code::ERROR_LAUNCH_FAILED);
        Err(Code::ERROR_LAUNCH_FAILED)
    }
}
