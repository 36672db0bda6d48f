//! One allocation, module variable or shared array: its bytes and its shadow.

use super::shadow::{self, Cell, Record, Shadow, Visit};
use super::uses::Uses;
use super::{Lanes, lanes};
use crate::error::{Checked, Fault, Rule};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Device memory that the host allocated.
    Global,
    /// A `.const` variable: kernels only read it.
    Const,
    Shared,
}

#[derive(Clone, Debug)]
pub struct Segment {
    pub base: u64,
    pub bytes: u64,
    pub role: Role,
    pub name: String,
    pub data: Vec<u8>,
    pub shadow: Shadow,
    pub uses: Uses,
    /// Of each sector of 32 bytes, the launch that read it last, and the one that wrote it.
    sectors: Vec<[u32; 2]>,
    /// Sectors that the running launch has read (unless it had written them) and written.
    pub fresh_sectors: (u64, u64),
    /// Freed by this driver call.
    pub freed: Option<u64>,
}

/// How an instruction touches memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    Read,
    Write,
    Atomic,
}

impl Segment {
    pub fn new(base: u64, bytes: u64, role: Role, name: String) -> Self {
        let data = vec![0; bytes as usize];
        let shadow = Shadow::new(bytes as usize);
        Self {
            base,
            bytes,
            role,
            name,
            data,
            shadow,
            uses: Uses::default(),
            sectors: Vec::new(),
            fresh_sectors: (0, 0),
            freed: None,
        }
    }

    pub fn holds(&self, address: u64, bytes: u64) -> bool {
        // The subtraction wraps below the base, to something larger than any segment.
        let offset = address.wrapping_sub(self.base);
        offset < self.bytes && bytes <= self.bytes - offset
    }

    /// Judges and notes an access of the lanes of `mask` to `size` bytes each, all inside.
    #[inline(always)]
    pub fn touch(
        &mut self,
        touch: Touch,
        addresses: &Lanes<u64>,
        mask: u32,
        size: u64,
        visit: &Visit,
    ) -> Checked {
        if size < 4 {
            self.shadow.refine();
        }
        if self.role != Role::Shared {
            self.count_sectors(touch, addresses, mask, visit.floor as u32);
        }
        let shift = self.shadow.shift;
        let units = (size >> shift) as usize;
        let mut last = u64::MAX;
        let mut repeats = 0;
        for lane in lanes(mask) {
            // Of neighbours that read the same bytes the first two make a record of the warp, and the
            // others would not change it.
            let same = touch == Touch::Read && addresses[lane] == last;
            repeats = if same { repeats + 1 } else { 0 };
            last = addresses[lane];
            if repeats > 1 {
                continue;
            }
            let start = ((addresses[lane] - self.base) >> shift) as usize;
            for cell in &mut self.shadow.cells[start..start + units] {
                if touch != Touch::Write && cell.written == shadow::NEVER {
                    return Err(self.unwritten(lane, addresses[lane], size));
                }
                let race = match touch {
                    Touch::Read if !visit.races => None,
                    Touch::Read => visit.read(cell, lane),
                    Touch::Write => visit.write(cell, lane),
                    Touch::Atomic => visit.atomic(cell, lane),
                };
                if let Some(with) = race {
                    let cell = *cell;
                    return Err(self.race(touch, lane, addresses[lane], with, cell));
                }
            }
        }
        Ok(())
    }

    /// No access lies in more than one sector, being aligned.
    #[inline(always)]
    fn count_sectors(&mut self, touch: Touch, addresses: &Lanes<u64>, mask: u32, launch: u32) {
        if self.sectors.is_empty() {
            self.sectors = vec![[0; 2]; (self.bytes as usize).div_ceil(32)];
        }
        let mut last = usize::MAX;
        for lane in lanes(mask) {
            let at = ((addresses[lane] - self.base) >> 5) as usize;
            if at == last {
                continue;
            }
            last = at;
            let [read, written] = &mut self.sectors[at];
            if touch != Touch::Write && *read != launch && *written != launch {
                *read = launch;
                self.fresh_sectors.0 += 1;
            }
            if touch != Touch::Read && *written != launch {
                *written = launch;
                self.fresh_sectors.1 += 1;
            }
        }
    }

    #[cold]
    fn unwritten(&self, lane: usize, address: u64, size: u64) -> Box<Fault> {
        let message = format!(
            "reads {size} bytes at {address:#x}, never written ({})",
            self.place(address)
        );
        Fault::new(Rule::UninitialisedMemory, lane as u32, message)
    }

    #[cold]
    fn race(
        &self,
        touch: Touch,
        lane: usize,
        address: u64,
        with: Record,
        cell: Cell,
    ) -> Box<Fault> {
        let rule = if self.role == Role::Shared {
            Rule::SharedRace
        } else {
            Rule::GlobalRace
        };
        let mine = match touch {
            Touch::Read => "reads",
            Touch::Write => "writes",
            Touch::Atomic => "atomically changes",
        };
        let theirs = if with == cell.written {
            "written"
        } else {
            "read"
        };
        let message = format!(
            "{mine} {address:#x} ({}), {theirs} {} without a synchronisation in between",
            self.place(address),
            shadow::describe(with)
        );
        Fault::new(rule, lane as u32, message)
    }

    /// An address in words: the offset and what it is in.
    pub fn place(&self, address: u64) -> String {
        let offset = address.wrapping_sub(self.base) as i64;
        format!("byte {offset} of {}, {} bytes", self.name, self.bytes)
    }

    /// The little-endian value of `size` bytes of each lane, zero-extended.
    #[inline(always)]
    pub fn gather(&self, addresses: &Lanes<u64>, mask: u32, skip: u64, size: u64) -> Lanes<u64> {
        let mut values = [0; 32];
        for lane in lanes(mask) {
            let at = (addresses[lane] - self.base + skip) as usize;
            values[lane] = match size {
                1 => u64::from(self.data[at]),
                2 => u64::from(u16::from_le_bytes(bytes(&self.data, at))),
                4 => u64::from(u32::from_le_bytes(bytes(&self.data, at))),
                _ => u64::from_le_bytes(bytes(&self.data, at)),
            };
        }
        values
    }

    /// The same for words of four bytes.
    #[inline(always)]
    pub fn gather_words(&self, addresses: &Lanes<u64>, mask: u32, skip: u64) -> Lanes<u32> {
        let mut values = [0; 32];
        for lane in lanes(mask) {
            let at = (addresses[lane] - self.base + skip) as usize;
            values[lane] = u32::from_le_bytes(bytes(&self.data, at));
        }
        values
    }

    #[inline(always)]
    pub fn scatter(
        &mut self,
        addresses: &Lanes<u64>,
        mask: u32,
        skip: u64,
        size: u64,
        values: &Lanes<u64>,
    ) {
        for lane in lanes(mask) {
            let at = (addresses[lane] - self.base + skip) as usize;
            let size = size as usize;
            self.data[at..at + size].copy_from_slice(&values[lane].to_le_bytes()[..size]);
        }
    }
}

#[inline(always)]
fn bytes<const N: usize>(data: &[u8], at: usize) -> [u8; N] {
    let mut found = [0; N];
    found.copy_from_slice(&data[at..at + N]);
    found
}
