//! Who wrote a word last, and who read it since: the race detector and the check for reads of memory
//! that was never written.
//!
//! Time is a clock that advances at every barrier and every synchronisation of a warp. Two accesses of
//! different threads are ordered if a launch lies between them; or, within a block, a barrier; or,
//! within a warp, a synchronisation of that warp. Two accesses that are not ordered, of which one is a
//! write, are a race, unless both are atomic.
//!
//! A record packs clock (31 bits), atomic (1), kind (2), block (20), thread (10). Several readers
//! become one record of kind *warp*, *block* or *grid*, with the latest clock; no race is lost by that,
//! since whoever is ordered after the latest of them, by a barrier that all of them passed, is ordered
//! after all. Blocks are counted modulo 2^20.

/// A record: 0 is *never*, [`HOST`] is the host or the module's initial values.
pub type Record = u64;

pub const NEVER: Record = 0;
pub const HOST: Record = 1;

const CLOCK: u32 = 33;
const ATOMIC: u64 = 1 << 32;
const KIND: u32 = 30;
const BLOCK: u32 = 10;
const BLOCKS: u64 = 0xf_ffff;
const WHO: u64 = 0xffff_ffff;

const OF_WARP: u64 = 1;
const OF_BLOCK: u64 = 2;
const OF_GRID: u64 = 3;

/// When the clock passes this, records must be forgotten before the next launch.
pub const CLOCK_LIMIT: u64 = 1 << 30;

#[derive(Clone, Copy, Debug, Default)]
pub struct Cell {
    pub written: Record,
    pub read: Record,
}

/// An instruction of a warp that touches memory: who, and what is ordered before it.
#[derive(Clone, Copy, Debug)]
pub struct Visit {
    /// Everything before this clock is ordered before, whoever did it: the launch's start for global
    /// memory, the last barrier for shared memory.
    pub floor: u64,
    /// The block's last barrier.
    pub barrier: u64,
    /// The warp's last synchronisation.
    pub warp: u64,
    /// The record of lane 0, at the current clock.
    pub lane_zero: Record,
    /// Whether races are looked for.
    pub races: bool,
}

/// The record of a thread's access.
pub fn record(clock: u64, block: u64, thread: u32) -> Record {
    clock << CLOCK | (block & BLOCKS) << BLOCK | u64::from(thread)
}

fn clock(record: Record) -> u64 {
    record >> CLOCK
}

fn kind(record: Record) -> u64 {
    record >> KIND & 3
}

fn block(record: Record) -> u64 {
    record >> BLOCK & BLOCKS
}

fn warp(record: Record) -> u64 {
    record >> 5 & 31
}

impl Visit {
    /// Whether `past` is not ordered before the access `mine`.
    #[inline(always)]
    fn unordered(&self, past: Record, mine: Record) -> bool {
        clock(past) >= self.floor && self.unordered_since_floor(past, mine)
    }

    #[inline]
    fn unordered_since_floor(&self, past: Record, mine: Record) -> bool {
        if past & WHO == mine & WHO {
            return false;
        }
        if kind(past) == OF_GRID || block(past) != block(mine) {
            return true;
        }
        if clock(past) < self.barrier {
            return false;
        }
        let same_warp = kind(past) != OF_BLOCK && warp(past) == warp(mine);
        !(same_warp && clock(past) < self.warp)
    }

    /// One record for an earlier access and mine, at my clock.
    #[inline]
    fn merged(&self, past: Record, mine: Record) -> Record {
        let kind = if kind(past) == OF_GRID || block(past) != block(mine) {
            OF_GRID
        } else if kind(past) == OF_BLOCK || warp(past) != warp(mine) {
            OF_BLOCK
        } else {
            OF_WARP
        };
        // Grid and block records name no thread, so that equal ones are equal in bits.
        let thread = match kind {
            OF_WARP => mine & 0x3e0,
            _ => 0,
        };
        let block = if kind == OF_GRID {
            0
        } else {
            block(mine) << BLOCK
        };
        clock(mine) << CLOCK | kind << KIND | block | thread
    }

    /// Notes a read; `Some` is the writer that it races with.
    #[inline(always)]
    pub fn read(&self, cell: &mut Cell, lane: usize) -> Option<Record> {
        let mine = self.lane_zero + lane as u64;
        if self.unordered(cell.written, mine) {
            return Some(cell.written);
        }
        let past = cell.read;
        if past != mine {
            cell.read = match self.unordered(past, mine) {
                true => self.merged(past, mine),
                false => mine,
            };
        }
        None
    }

    /// Notes a write; `Some` is the writer or reader that it races with.
    #[inline(always)]
    pub fn write(&self, cell: &mut Cell, lane: usize) -> Option<Record> {
        let mine = self.lane_zero + lane as u64;
        if self.races {
            if self.unordered(cell.written, mine) {
                return Some(cell.written);
            }
            if self.unordered(cell.read, mine) {
                return Some(cell.read);
            }
        }
        cell.written = mine;
        None
    }

    /// Notes an atomic access; `Some` is the plain access that it races with.
    pub fn atomic(&self, cell: &mut Cell, lane: usize) -> Option<Record> {
        let mine = self.lane_zero + lane as u64;
        let past = cell.written;
        let unordered = self.races && self.unordered(past, mine);
        if unordered && past & ATOMIC == 0 {
            return Some(past);
        }
        if self.races && self.unordered(cell.read, mine) {
            return Some(cell.read);
        }
        cell.written = ATOMIC
            | if unordered {
                self.merged(past, mine)
            } else {
                mine
            };
        None
    }
}

/// Who a record means, in words.
pub fn describe(record: Record) -> String {
    let atomic = if record & ATOMIC != 0 {
        "atomically by "
    } else {
        "by "
    };
    let who = match kind(record) {
        OF_GRID => "several blocks".to_owned(),
        OF_BLOCK => format!("several warps of block {}", block(record)),
        OF_WARP => format!(
            "several threads of warp {} of block {}",
            warp(record),
            block(record)
        ),
        _ => format!("thread {} of block {}", record & 0x3ff, block(record)),
    };
    format!("{atomic}{who}")
}

/// The cells of a segment: one per word of four bytes, until a smaller access needs one per byte.
#[derive(Clone, Debug, Default)]
pub struct Shadow {
    pub cells: Vec<Cell>,
    /// A cell covers `1 << shift` bytes.
    pub shift: u32,
    bytes: usize,
}

impl Shadow {
    pub fn new(bytes: usize) -> Self {
        Self {
            cells: vec![Cell::default(); bytes.div_ceil(4)],
            shift: 2,
            bytes,
        }
    }

    /// From cells per word to cells per byte.
    #[cold]
    pub fn refine(&mut self) {
        if self.shift == 2 {
            self.cells = (0..self.bytes).map(|at| self.cells[at / 4]).collect();
            self.shift = 0;
        }
    }

    /// Makes sure that `bytes` from `start` are whole cells. The last word of a segment may be short.
    pub fn align(&mut self, start: usize, bytes: usize) {
        let end = start + bytes;
        let whole = |at: usize| at.is_multiple_of(4);
        if self.shift == 2 && (!whole(start) || (!whole(end) && end != self.bytes)) {
            self.refine();
        }
    }

    pub fn range(&self, start: usize, bytes: usize) -> std::ops::Range<usize> {
        let unit = 1 << self.shift;
        start >> self.shift..(start + bytes).div_ceil(unit)
    }

    /// The host writes these bytes.
    pub fn host_writes(&mut self, start: usize, bytes: usize) {
        self.align(start, bytes);
        let range = self.range(start, bytes);
        self.cells[range].fill(Cell {
            written: HOST,
            read: NEVER,
        });
    }

    /// The first byte of a range that was never written.
    pub fn first_unwritten(&mut self, start: usize, bytes: usize) -> Option<usize> {
        self.align(start, bytes);
        let range = self.range(start, bytes);
        let first = range.start;
        let found = self.cells[range]
            .iter()
            .position(|cell| cell.written == NEVER)?;
        Some(((first + found) << self.shift).max(start))
    }

    pub fn forget_everything(&mut self) {
        self.cells.fill(Cell::default());
    }

    /// Keeps only whether a cell was written.
    pub fn forget_who(&mut self) {
        for cell in &mut self.cells {
            *cell = Cell {
                written: cell.written.min(HOST),
                read: NEVER,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(thread: u32, clock: u64, barrier: u64, warp: u64) -> Visit {
        let lane_zero = record(clock, 3, thread & !31);
        Visit {
            floor: 1,
            barrier,
            warp,
            lane_zero,
            races: true,
        }
    }

    fn write(cell: &mut Cell, thread: u32, clock: u64, barrier: u64, warp: u64) -> bool {
        visit(thread, clock, barrier, warp)
            .write(cell, thread as usize % 32)
            .is_none()
    }

    fn read(cell: &mut Cell, thread: u32, clock: u64, barrier: u64, warp: u64) -> bool {
        visit(thread, clock, barrier, warp)
            .read(cell, thread as usize % 32)
            .is_none()
    }

    #[test]
    fn a_barrier_orders_a_block_and_a_warp_sync_orders_a_warp() {
        let mut cell = Cell::default();
        assert!(write(&mut cell, 5, 1, 1, 1));
        assert!(
            read(&mut cell, 5, 1, 1, 1),
            "a thread is ordered with itself"
        );
        assert!(!read(&mut cell, 6, 1, 1, 1));
        assert!(read(&mut cell, 6, 2, 1, 2), "the warp synchronised");
        assert!(!read(&mut cell, 40, 2, 1, 2), "another warp did not");
        assert!(read(&mut cell, 40, 3, 3, 1), "the block did");
    }

    #[test]
    fn no_reader_of_several_is_forgotten() {
        let mut cell = Cell {
            written: HOST,
            read: NEVER,
        };
        for thread in [1, 2] {
            assert!(read(&mut cell, thread, 1, 1, 1));
        }
        assert!(!write(&mut cell, 2, 1, 1, 1), "thread 1 read it too");
        assert!(
            write(&mut cell, 2, 2, 1, 2),
            "after a synchronisation of the warp"
        );
        let mut cell = Cell {
            written: HOST,
            read: NEVER,
        };
        for thread in [1, 2, 33] {
            assert!(read(&mut cell, thread, 1, 1, 1));
        }
        assert!(
            !write(&mut cell, 33, 2, 1, 2),
            "warp 0 is not ordered by a synchronisation of warp 1"
        );
        assert!(write(&mut cell, 33, 2, 2, 1));
    }

    #[test]
    fn atomics_race_only_with_plain_accesses() {
        let mut cell = Cell {
            written: HOST,
            read: NEVER,
        };
        for thread in [1, 2, 70] {
            let visit = visit(thread, 1, 1, 1);
            assert!(visit.atomic(&mut cell, thread as usize % 32).is_none());
        }
        assert!(!read(&mut cell, 70, 1, 1, 1));
        assert!(read(&mut cell, 70, 2, 2, 1));
    }

    #[test]
    fn cells_per_byte_keep_what_words_knew() {
        let mut shadow = Shadow::new(6);
        shadow.host_writes(0, 4);
        assert_eq!(shadow.first_unwritten(0, 6), Some(4));
        shadow.host_writes(5, 1);
        assert_eq!((shadow.shift, shadow.cells.len()), (0, 6));
        assert_eq!(shadow.first_unwritten(0, 6), Some(4));
        shadow.host_writes(4, 1);
        assert_eq!(shadow.first_unwritten(0, 6), None);
    }
}
