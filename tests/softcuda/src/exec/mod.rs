//! Runs a kernel: blocks one after another, the warps of a block from barrier to barrier, the lanes of
//! a warp in lockstep. The order is always the same, so a run can be repeated bit for bit.
//!
//! `registers` holds a warp's values; `alu`, `bits`, `compare`, `convert`, `access` and `collective`
//! execute instructions; `warp` schedules diverged lanes; [`launch`] runs blocks and counts.

mod access;
mod alu;
mod bits;
mod chain;
mod collective;
mod compare;
mod convert;
pub mod launch;
mod registers;
pub mod slots;
pub mod stats;
mod warp;

pub use launch::{Launch, Options, run};
pub use stats::KernelStats;
