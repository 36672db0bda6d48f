//! Segments in the order of their addresses, and the checks that every access passes.

use super::segment::{Role, Segment, Touch};
use super::shadow::Visit;
use super::{Lanes, lanes};
use crate::error::{Checked, Fault, Rule};

#[derive(Clone, Debug, Default)]
pub struct Arena {
    pub segments: Vec<Segment>,
}

/// An access of a warp: its lanes, their addresses, the bytes that each touches.
#[derive(Clone, Copy, Debug)]
pub struct Accesses<'a> {
    pub touch: Touch,
    pub mask: u32,
    pub addresses: &'a Lanes<u64>,
    pub bytes: u64,
    /// Whether the instruction names `.const`.
    pub constant: bool,
}

impl Arena {
    /// The last segment that begins at or before `address`.
    pub fn before(&self, address: u64) -> Option<usize> {
        self.segments
            .partition_point(|segment| segment.base <= address)
            .checked_sub(1)
    }

    /// The segment that all lanes lie in, checked and noted; `None` if they lie in several, and each
    /// must be taken alone. `cache` remembers the segment of the same instruction's last access.
    #[inline(always)]
    pub fn admit(
        &mut self,
        cache: &mut u32,
        access: &Accesses,
        visit: &Visit,
    ) -> Checked<Option<usize>> {
        let first = access.addresses[access.mask.trailing_zeros() as usize];
        let (mut low, mut high, mut bits) = (first, first, 0);
        for lane in 0..32 {
            let active = access.mask >> lane & 1 != 0;
            let address = if active {
                access.addresses[lane]
            } else {
                first
            };
            low = low.min(address);
            high = high.max(address);
            bits |= address;
        }
        if bits & (access.bytes - 1) != 0 {
            return Err(misaligned(access));
        }
        let mut index = *cache as usize;
        if !self
            .segments
            .get(index)
            .is_some_and(|segment| segment.holds(low, access.bytes))
        {
            let Some(found) = self.before(low) else {
                return Err(self.outside(access, low));
            };
            index = found;
            *cache = index as u32;
        }
        let segment = &mut self.segments[index];
        if segment.freed.is_some() || !segment.holds(low, access.bytes) {
            return Err(self.outside(access, low));
        }
        if !segment.holds(high, access.bytes) {
            if access.mask.count_ones() > 1 {
                return Ok(None);
            }
            return Err(self.outside(access, high));
        }
        let constant = segment.role == Role::Const;
        if (access.constant && !constant) || (constant && access.touch != Touch::Read) {
            return Err(self.wrong_space(access, index, low));
        }
        segment.uses.reads |= access.touch != Touch::Write;
        segment.uses.writes |= access.touch != Touch::Read;
        segment.touch(
            access.touch,
            access.addresses,
            access.mask,
            access.bytes,
            visit,
        )?;
        Ok(Some(index))
    }

    #[cold]
    fn outside(&self, access: &Accesses, address: u64) -> Box<Fault> {
        let lane = lane_of(access, address);
        let verb = verb(access.touch);
        let bytes = access.bytes;
        let near = match self.before(address).map(|index| &self.segments[index]) {
            Some(segment) => {
                if let (Some(call), true) = (segment.freed, address < segment.base + segment.bytes)
                {
                    let message = format!(
                        "{verb} {bytes} bytes at {address:#x}: {}, freed by driver call {call}",
                        segment.place(address)
                    );
                    return Fault::new(Rule::UseAfterFree, lane, message);
                }
                format!("nearest: {}", segment.place(address))
            }
            None => "before every allocation".to_owned(),
        };
        let message =
            format!("{verb} {bytes} bytes at {address:#x}, outside every allocation ({near})");
        Fault::new(Rule::OutOfBounds, lane, message)
    }

    #[cold]
    fn wrong_space(&self, access: &Accesses, index: usize, address: u64) -> Box<Fault> {
        let message = format!(
            "{} {address:#x}: {}, is {:?} memory",
            verb(access.touch),
            self.segments[index].place(address),
            self.segments[index].role,
        );
        Fault::new(Rule::AddressSpace, lane_of(access, address), message)
    }
}

fn verb(touch: Touch) -> &'static str {
    match touch {
        Touch::Read => "reads",
        Touch::Write => "writes",
        Touch::Atomic => "atomically changes",
    }
}

#[cold]
fn misaligned(access: &Accesses) -> Box<Fault> {
    let bytes = access.bytes;
    let lane = lanes(access.mask)
        .find(|&lane| !access.addresses[lane].is_multiple_of(bytes))
        .unwrap_or(0);
    let message = format!(
        "{} {bytes} bytes at {:#x}, which is not a multiple of {bytes}",
        verb(access.touch),
        access.addresses[lane]
    );
    Fault::new(Rule::Misaligned, lane as u32, message)
}

fn lane_of(access: &Accesses, address: u64) -> u32 {
    lanes(access.mask)
        .find(|&lane| access.addresses[lane] == address)
        .unwrap_or(0) as u32
}
