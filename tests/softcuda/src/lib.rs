//! A CUDA driver in software, for tests on machines without a GPU.
//!
//! Built as a `cdylib` it has the driver's entry points (`cuInit`, `cuModuleLoadData`, `cuLaunchKernel`,
//! …) and runs kernels by interpreting their PTX. It is strict: an instruction that it does not know is
//! an error, and so are an access out of bounds, a read of memory or of a register that was never
//! written, a race, a barrier that not every thread reaches.

pub mod decode;
pub mod driver;
pub mod error;
pub mod exec;
pub mod memory;
pub mod module;
pub mod ptx;
