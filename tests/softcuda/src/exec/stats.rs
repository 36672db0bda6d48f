//! What a kernel did, counted: instructions, memory traffic, floating-point operations.

use std::fmt::Write;

/// Counts of one launch, or of all launches of a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelStats {
    pub launches: u64,
    pub blocks: u64,
    pub threads: u64,
    pub thread_instructions: u64,
    pub warp_instructions: u64,
    /// The most issue slots that one warp has needed in a block, from barrier to barrier.
    pub longest_warp: u64,
    /// The longest chain of a block, in cycles; see [`chain`](super::chain).
    pub longest_chain: u64,
    /// Issue slots of warps, as [`slots`](super::slots) estimates them, by the unit that they occupy.
    pub float_slots: u64,
    pub double_slots: u64,
    pub integer_slots: u64,
    pub memory_slots: u64,
    pub control_slots: u64,
    /// A fused multiply-add counts two; every other float instruction, comparisons too, one.
    pub flops: u64,
    pub global_bytes_read: u64,
    pub global_bytes_written: u64,
    /// Load, store and atomic instructions of warps that reach global memory.
    pub global_accesses: u64,
    /// 32-byte sectors that these touch, each counted once per instruction of a warp.
    pub global_sectors: u64,
    /// 32-byte sectors of each launch, each counted once: those that it reads and has not written
    /// before, and those that it writes. This much must come from memory, or be left in it.
    pub sectors_read: u64,
    pub sectors_written: u64,
    pub shared_accesses: u64,
    /// Passes over the banks that these take, 128 bytes each.
    pub shared_passes: u64,
    /// Those of them that are there because several words of one bank are wanted at once.
    pub bank_conflicts: u64,
    pub local_accesses: u64,
    pub barriers: u64,
    /// Branches at which a warp splits.
    pub divergent_branches: u64,
    pub nanoseconds: u64,
}

macro_rules! fields {
    ($($name:ident),*) => {
        impl KernelStats {
            pub fn add(&mut self, other: &Self) {
                let longest = self.longest_warp.max(other.longest_warp);
                let chain = self.longest_chain.max(other.longest_chain);
                $(self.$name += other.$name;)*
                (self.longest_warp, self.longest_chain) = (longest, chain);
            }

            /// A JSON object.
            pub fn json(&self) -> String {
                let mut text = String::from("{");
                $(let _ = write!(text, "\"{}\": {}, ", stringify!($name), self.$name);)*
                text.truncate(text.len() - 2);
                text.push('}');
                text
            }
        }
    };
}

fields!(
    launches,
    blocks,
    threads,
    thread_instructions,
    warp_instructions,
    longest_warp,
    longest_chain,
    float_slots,
    double_slots,
    integer_slots,
    memory_slots,
    control_slots,
    flops,
    global_bytes_read,
    global_bytes_written,
    global_accesses,
    global_sectors,
    sectors_read,
    sectors_written,
    shared_accesses,
    shared_passes,
    bank_conflicts,
    local_accesses,
    barriers,
    divergent_branches,
    nanoseconds
);
