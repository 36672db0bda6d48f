//! The memory of a device: the allocator, and the host's copies.
//!
//! Addresses are never given out twice, and unused gaps lie between allocations, so that an access past
//! an end, or after a free, never meets another allocation.

use super::arena::Arena;
use super::segment::{Role, Segment};
use super::shadow;

const FIRST: u64 = 0x7000_0000_0000;
/// Allocations start at multiples of this, as `cudaMalloc`'s do, and count as multiples of it.
const GRAIN: u64 = 256;
const GAP: u64 = 1 << 20;

#[derive(Clone, Debug)]
pub struct DeviceMemory {
    pub arena: Arena,
    pub total: u64,
    pub used: u64,
    next: u64,
    /// Advances at every barrier and launch; see [`shadow`].
    pub clock: u64,
}

/// Why the host may not touch a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

impl DeviceMemory {
    pub fn new(total: u64) -> Self {
        Self {
            arena: Arena::default(),
            total,
            used: 0,
            next: FIRST,
            clock: 1,
        }
    }

    /// A new allocation's address; `None` if the memory does not suffice.
    pub fn allocate(&mut self, bytes: u64, role: Role, name: String) -> Option<u64> {
        let counted = bytes.checked_next_multiple_of(GRAIN)?;
        if counted > self.total - self.used {
            return None;
        }
        self.used += counted;
        let base = self.next;
        self.next = (base + bytes + GAP).next_multiple_of(GRAIN);
        self.arena
            .segments
            .push(Segment::new(base, bytes, role, name));
        Some(base)
    }

    /// Frees the allocation that starts at `address`.
    pub fn free(&mut self, address: u64, call: u64) -> Result<(), Refused> {
        let found = self
            .arena
            .before(address)
            .map(|index| &mut self.arena.segments[index]);
        match found {
            Some(segment) if segment.base == address => {
                if let Some(earlier) = segment.freed {
                    return Err(Refused(format!(
                        "double free of {address:#x}: {}, already freed by driver call {earlier}",
                        segment.name
                    )));
                }
                segment.freed = Some(call);
                segment.data = Vec::new();
                segment.shadow = shadow::Shadow::default();
                self.used -= segment.bytes.next_multiple_of(GRAIN);
                Ok(())
            }
            Some(segment) if segment.freed.is_none() && segment.holds(address, 1) => Err(Refused(
                format!("free of {address:#x}, inside of {}", segment.place(address)),
            )),
            _ => Err(Refused(format!(
                "free of {address:#x}, which was never allocated"
            ))),
        }
    }

    /// The segment and offset of a range that the host copies from or to.
    fn range(&mut self, address: u64, bytes: u64) -> Result<(&mut Segment, usize), Refused> {
        let Some(index) = self.arena.before(address) else {
            return Err(Refused(format!(
                "{bytes} bytes at {address:#x}, outside every allocation"
            )));
        };
        let segment = &mut self.arena.segments[index];
        let place = || segment.place(address);
        if !segment.holds(address, bytes) {
            return Err(Refused(format!(
                "{bytes} bytes at {address:#x} go beyond {}",
                place()
            )));
        }
        if let Some(call) = segment.freed {
            return Err(Refused(format!(
                "{bytes} bytes at {address:#x}: {}, freed by driver call {call}",
                place()
            )));
        }
        let offset = (address - segment.base) as usize;
        Ok((segment, offset))
    }

    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Refused> {
        let (segment, at) = self.range(address, bytes.len() as u64)?;
        segment.data[at..at + bytes.len()].copy_from_slice(bytes);
        segment.shadow.host_writes(at, bytes.len());
        Ok(())
    }

    /// The bytes of a range, all of which must have been written.
    pub fn read(&mut self, address: u64, bytes: u64) -> Result<&[u8], Refused> {
        let (segment, at) = self.range(address, bytes)?;
        let bytes = bytes as usize;
        if let Some(first) = segment.shadow.first_unwritten(at, bytes) {
            return Err(Refused(format!(
                "copies {bytes} bytes from {address:#x}, of which byte {} of {} was never written",
                first, segment.name
            )));
        }
        Ok(&segment.data[at..at + bytes])
    }

    /// Fills `count` elements with the bytes of `pattern`.
    pub fn fill(&mut self, address: u64, pattern: &[u8], count: u64) -> Result<(), Refused> {
        let width = pattern.len() as u64;
        if !address.is_multiple_of(width) {
            return Err(Refused(format!(
                "memset of {width}-byte values at {address:#x}: misaligned"
            )));
        }
        let bytes = count
            .checked_mul(width)
            .ok_or_else(|| Refused("memset of more than 2^64 bytes".to_owned()))?;
        let (segment, at) = self.range(address, bytes)?;
        let bytes = bytes as usize;
        for chunk in segment.data[at..at + bytes].chunks_exact_mut(pattern.len()) {
            chunk.copy_from_slice(pattern);
        }
        segment.shadow.host_writes(at, bytes);
        Ok(())
    }

    /// Copies within the device; ranges may not overlap.
    pub fn copy(&mut self, to: u64, from: u64, bytes: u64) -> Result<(), Refused> {
        if to.abs_diff(from) < bytes {
            return Err(Refused(format!(
                "copy of {bytes} bytes from {from:#x} to {to:#x}: overlapping"
            )));
        }
        let data = self.read(from, bytes)?.to_vec();
        self.write(to, &data)
    }

    /// Advances the clock for a launch.
    pub fn begin_launch(&mut self) -> u64 {
        self.clock += 1;
        if self.clock > shadow::CLOCK_LIMIT {
            self.clock = 2;
            for segment in &mut self.arena.segments {
                segment.shadow.forget_who();
            }
        }
        self.clock
    }

    /// Live allocations of the host, as name and size.
    pub fn live(&self) -> impl Iterator<Item = &Segment> {
        self.arena
            .segments
            .iter()
            .filter(|segment| segment.freed.is_none())
    }
}
