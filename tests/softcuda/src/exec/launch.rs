//! A launch: block after block, and within a block the warps in order from barrier to barrier.
#![allow(unsafe_code)] // to call what is compiled for AVX2, where the machine has it

use std::time::Instant;

use super::access::{passes, sectors};
use super::chain::{Uses, uses};
use super::registers::Registers;
use super::slots::{Unit, slots};
use super::stats::KernelStats;
use super::warp::{Faulted, Stop, Warp};
use crate::decode::form::*;
use crate::error::{Checked, Fault, Rule, Violation};
use crate::memory::arena::Accesses;
use crate::memory::segment::{Role, Segment, Touch};
use crate::memory::{Arena, DeviceMemory, Visit, shadow};
use crate::ptx::Space;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The most instructions of one warp.
    pub budget: u64,
    pub shared_races: bool,
    pub global_races: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            budget: 50_000_000,
            shared_races: true,
            global_races: true,
        }
    }
}

/// What to run. The grid, the block and the shared memory have been checked against the limits.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    pub kernel: &'a Kernel,
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub dynamic_shared: u32,
    pub parameters: &'a [u8],
    /// The lines of the PTX, for messages.
    pub source: &'a [String],
}

/// What the warps of the running block share.
pub struct Block<'a> {
    memory: &'a mut DeviceMemory,
    shared: Arena,
    /// By instruction: the segment of its last access.
    global_cache: Vec<u32>,
    shared_cache: Vec<u32>,
    kernel: &'a Kernel,
    parameters: &'a [u8],
    pub options: &'a Options,
    pub stats: KernelStats,
    pub uses: Vec<Uses>,
    /// By instruction: executions by warps, and by threads.
    pub counts: Vec<(u64, u64)>,
    index: u64,
    /// The clocks of the launch's start and of the block's last barrier.
    begun: u64,
    barrier: u64,
}

impl Block<'_> {
    /// Advances the clock.
    pub fn tick(&mut self) -> u64 {
        self.memory.clock += 1;
        self.memory.clock
    }

    /// The memory of a space, with the caches of its instructions.
    #[inline(always)]
    pub fn arena(&mut self, space: Space) -> (&mut Arena, &mut [u32]) {
        match space {
            Space::Shared => (&mut self.shared, &mut self.shared_cache),
            _ => (&mut self.memory.arena, &mut self.global_cache),
        }
    }

    /// Counts an access, and says what is ordered before it.
    pub fn count(&mut self, warp: &Warp, space: Space, access: &Accesses) -> Visit {
        let stats = &mut self.stats;
        let bytes = access.bytes * u64::from(access.mask.count_ones());
        let shared = space == Space::Shared;
        if shared {
            stats.shared_accesses += 1;
            let (passes, least) = passes(access);
            stats.shared_passes += passes;
            stats.bank_conflicts += passes - least;
        } else {
            stats.global_accesses += 1;
            stats.global_sectors += sectors(access);
            if access.touch != Touch::Write {
                stats.global_bytes_read += bytes;
            }
            if access.touch != Touch::Read {
                stats.global_bytes_written += bytes;
            }
        }
        Visit {
            floor: if shared { self.barrier } else { self.begun },
            barrier: self.barrier,
            warp: warp.synchronised,
            lane_zero: shadow::record(self.memory.clock, self.index, warp.first),
            races: if shared {
                self.options.shared_races
            } else {
                self.options.global_races
            },
        }
    }

    /// A kernel parameter's value.
    pub fn parameter(&self, lane: usize, address: u64, size: u64) -> Checked<u64> {
        let inside = self.kernel.parameters.iter().any(|parameter| {
            address >= parameter.offset
                && size <= parameter.bytes
                && address - parameter.offset <= parameter.bytes - size
        });
        if !inside || !address.is_multiple_of(size) {
            let message = format!("{size} bytes at {address:#x}, in no parameter");
            return Err(Fault::new(Rule::OutOfBounds, lane as u32, message));
        }
        let at = address as usize;
        let mut value = [0; 8];
        value[..size as usize].copy_from_slice(&self.parameters[at..at + size as usize]);
        Ok(u64::from_le_bytes(value))
    }

    /// Fills the special registers of a warp's lanes.
    fn specials(&self, registers: &mut Registers, launch: &Launch, ctaid: [u32; 3], first: u32) {
        let [x, y, _] = launch.block;
        let threads: u32 = launch.block.iter().product();
        for &(index, preset) in &self.kernel.narrow_presets {
            let Preset::Special(special) = preset else {
                continue;
            };
            registers.narrow[usize::from(index)] = std::array::from_fn(|lane| {
                let lane = lane as u32;
                let thread = first + lane;
                match special {
                    Special::Tid(0) => thread % x,
                    Special::Tid(1) => thread / x % y,
                    Special::Tid(_) => thread / (x * y),
                    Special::Ntid(axis) => launch.block[usize::from(axis)],
                    Special::Ctaid(axis) => ctaid[usize::from(axis)],
                    Special::Nctaid(axis) => launch.grid[usize::from(axis)],
                    Special::LaneId => lane,
                    Special::WarpId => first / 32,
                    Special::NWarpId => threads.div_ceil(32),
                    Special::LaneMask(0) => 1 << lane,
                    Special::LaneMask(1) => (1 << lane) - 1,
                    Special::LaneMask(2) => ((1u64 << (lane + 1)) - 1) as u32,
                    Special::LaneMask(3) => !(((1u64 << (lane + 1)) - 1) as u32),
                    Special::LaneMask(_) => !((1 << lane) - 1),
                    Special::DynamicShared => launch.dynamic_shared,
                    Special::Zero => 0,
                }
            });
        }
    }

    /// Runs one block to its end; on a fault, says also which warp it was.
    fn run(
        &mut self,
        launch: &Launch,
        ctaid: [u32; 3],
        warps: &mut [Warp],
        template: &Registers,
    ) -> Result<(), (u32, Faulted)> {
        let threads: u32 = launch.block.iter().product();
        for segment in &mut self.shared.segments {
            segment.shadow.forget_everything();
        }
        self.barrier = self.tick();
        for (number, warp) in warps.iter_mut().enumerate() {
            let first = 32 * number as u32;
            let existing = match threads - first {
                count @ 0..32 => (1 << count) - 1,
                _ => !0,
            };
            warp.registers.reset(template);
            self.specials(&mut warp.registers, launch, ctaid, first);
            warp.start(first, existing, self.barrier);
        }
        let (mut chain, mut slots) = (0, 0);
        loop {
            // The barrier that the block waits at, with the first warp that came to it.
            let mut barrier: Option<(u32, u32)> = None;
            for warp in warps.iter_mut() {
                let stop = run_warp(warp, self).map_err(|fault| (warp.first, fault))?;
                let Stop::Barrier(pc) = stop else { continue };
                match barrier {
                    Some((other, first)) if other != pc => {
                        let message = format!(
                            "warp {} waits at this barrier, warp {} at the one on line {}",
                            warp.first / 32,
                            first / 32,
                            self.kernel.code[other as usize].line
                        );
                        let lane = warp.live.trailing_zeros();
                        let fault = Fault::new(Rule::Divergence, lane, message);
                        return Err((warp.first, (pc, fault)));
                    }
                    Some(_) => {}
                    None => barrier = Some((pc, warp.first)),
                }
            }
            let (mut last, mut most) = (0, 0);
            for warp in warps.iter_mut() {
                let (begun, slots) = warp.chain.arrive();
                (last, most) = (begun.max(last), slots.max(most));
            }
            chain = last.max(chain);
            slots += most;
            if barrier.is_none() {
                self.stats.longest_warp = self.stats.longest_warp.max(slots);
                self.stats.longest_chain = self.stats.longest_chain.max(chain);
                return Ok(());
            }
            self.stats.barriers += 1;
            self.barrier = self.tick();
            for warp in warps.iter_mut() {
                warp.release();
                warp.chain.release(last);
            }
        }
    }
}

/// The interpreter's loop, compiled twice: the lanes of a warp fill vector registers where the machine
/// has AVX2, and `fma` is one instruction.
fn run_warp(warp: &mut Warp, block: &mut Block) -> Result<Stop, Faulted> {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        // SAFETY: the function only needs the two features that have just been detected.
        return unsafe { run_warp_avx2(warp, block) };
    }
    warp.run(block)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_warp_avx2(warp: &mut Warp, block: &mut Block) -> Result<Stop, Faulted> {
    warp.run(block)
}

/// Runs a launch to its end or to the first violation; what was counted comes back either way.
pub fn run(
    memory: &mut DeviceMemory,
    launch: &Launch,
    options: &Options,
) -> (KernelStats, Result<(), Violation>) {
    let start = Instant::now();
    let kernel = launch.kernel;
    let mut shared = Arena::default();
    for object in &kernel.shared {
        let name = format!("shared `{}`", object.name);
        shared.segments.push(Segment::new(
            object.address,
            object.bytes,
            Role::Shared,
            name,
        ));
    }
    let dynamic = u64::from(launch.dynamic_shared);
    let name = "the dynamic shared memory".to_owned();
    shared
        .segments
        .push(Segment::new(DYNAMIC_SHARED, dynamic, Role::Shared, name));
    let begun = memory.begin_launch();
    let mut block = Block {
        memory,
        shared,
        global_cache: vec![0; kernel.code.len()],
        shared_cache: vec![0; kernel.code.len()],
        kernel,
        parameters: launch.parameters,
        options,
        stats: KernelStats::default(),
        uses: uses(kernel),
        counts: vec![(0, 0); kernel.code.len()],
        index: 0,
        begun,
        barrier: begun,
    };
    let threads: u32 = launch.block.iter().product();
    let template = Registers::template(kernel);
    let mut warps: Vec<Warp> = (0..threads.div_ceil(32))
        .map(|_| Warp::new(kernel, &template))
        .collect();
    let [gx, gy, gz] = launch.grid;
    let mut result = Ok(());
    'grid: for z in 0..gz {
        for y in 0..gy {
            for x in 0..gx {
                let ctaid = [x, y, z];
                if let Err((first, (pc, fault))) = block.run(launch, ctaid, &mut warps, &template) {
                    result = Err(violation(launch, ctaid, first, pc, *fault));
                    break 'grid;
                }
                block.index += 1;
            }
        }
    }
    let mut stats = std::mem::take(&mut block.stats);
    for segment in &mut block.memory.arena.segments {
        let (read, written) = std::mem::take(&mut segment.fresh_sectors);
        stats.sectors_read += read;
        stats.sectors_written += written;
    }
    stats.launches = 1;
    stats.blocks = block.index;
    stats.threads = block.index * u64::from(threads);
    for (inst, (warps, threads)) in kernel.code.iter().zip(&block.counts) {
        stats.warp_instructions += warps;
        stats.thread_instructions += threads;
        stats.flops += threads * u64::from(inst.flops);
        let (unit, slots) = slots(&inst.op);
        *match unit {
            Unit::Float => &mut stats.float_slots,
            Unit::Double => &mut stats.double_slots,
            Unit::Integer => &mut stats.integer_slots,
            Unit::Memory => &mut stats.memory_slots,
            Unit::Control => &mut stats.control_slots,
        } += warps * slots;
    }
    stats.nanoseconds = start.elapsed().as_nanos() as u64;
    (stats, result)
}

fn violation(launch: &Launch, block: [u32; 3], first: u32, pc: u32, fault: Fault) -> Violation {
    let thread = first + fault.lane;
    let [x, y, _] = launch.block;
    let line = launch.kernel.code[pc as usize].line;
    let text = launch
        .source
        .get(line as usize - 1)
        .map_or("", String::as_str);
    Violation {
        rule: fault.rule,
        kernel: launch.kernel.name.clone(),
        block,
        thread: [thread % x, thread / x % y, thread / (x * y)],
        line,
        instruction: text.split("//").next().unwrap_or("").trim().to_owned(),
        message: fault.message,
    }
}
