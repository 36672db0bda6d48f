//! A CUDA driver in software, for tests on machines without a GPU.
//!
//! Built as a `cdylib` it has the driver's entry points (`cuInit`, `cuModuleLoadDataEx`,
//! `cuLaunchKernel`, …) and runs kernels by interpreting their PTX: the subset that
//! `clang++ -x cuda --cuda-gpu-arch=sm_70 -O3 -S` makes of plain CUDA C with floats and integers.
//!
//! It is strict. These are errors, each with kernel, block, thread, PTX line and address:
//!
//! - an instruction, modifier or directive that it does not know, when the module is loaded;
//! - an access outside of its allocation, after a free, misaligned, or in the wrong state space;
//! - a read of memory or of a register that was never written, by a kernel or by a copy to the host;
//! - two threads that touch the same byte, one of them writing, without a synchronisation in between:
//!   in shared memory within a block, in global memory within a launch;
//! - a barrier, shuffle or vote that not all of its threads reach;
//! - two operations of different streams on one allocation, one of them writing, that nothing orders;
//!   page-locked memory changed or freed, an allocation freed, while a stream may still use it;
//! - a kernel that does not end, an integer division by zero;
//! - a double free, and memory, streams or events that a context leaves behind.
//!
//! Floating-point arithmetic is IEEE 754's: `fma` is fused, everything else rounds once. The approximate
//! instructions (`ex2.approx`, …) are computed in float64, and so are closer than a GPU's. Note that
//! `mul.f32` and `add.f32` without `.rn` may be contracted by NVIDIA's assembler; here they never are.
//!
//! Blocks run one after another and warps in order, so every run is the same. Streams are always idle
//! when a call returns; what should have waited is found by keeping account of what is ordered after
//! what ([`driver::order`]), with a whole allocation for the grain.
//!
//! # Settings
//!
//! Environment variables with the prefix `SOFTCUDA_`, or [`driver::control::softcuda_set`]; they are
//! listed in [`driver::config::KEYS`]: the pretended machine (`DEVICES`, `MEMORY`, `DRIVER_VERSION`,
//! `CAPABILITY`, `SHARED_LIMIT`), the checks (`BUDGET`, `RACES`), injected faults (`FAIL_ALLOC`,
//! `FAIL_LAUNCH`, `FAIL_COPY`, `FAIL_MODULE`, `LOST_AT`, `LOST_CODE`, `FAIL_CALL`, `FAIL_CODE`), and what is
//! reported and how (`DEFERRED`, `QUIET`, `STATS`, `STRICT_EXIT`). [`driver::control`] has the functions by which a test
//! reads messages, counts and statistics.
//!
//! # Layout
//!
//! [`ptx`] reads text, [`decode`] makes kernels of it, [`exec`] runs them, [`memory`] holds what they
//! work on and who touched it, [`driver`] is the interface.

pub mod decode;
pub mod driver;
pub mod error;
pub mod exec;
pub mod memory;
pub mod module;
pub mod ptx;
