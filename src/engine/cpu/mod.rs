//! The CPU engine.
//!
//! It computes the same as [`reference`](super::reference), with a different order of loops:
//!
//! 1. **Hoist** ([`read`], [`current`]): the product of a constant input with the first layer's
//!    weights, once for all steps, one block of neurons at a time, iterating over the nonzero
//!    pixels.
//! 2. **Through time** ([`sample`]: [`forward`], [`loss`], [`backward`]): each sample (or small
//!    group) runs forward through all layers and all steps, through the loss, and backward, before
//!    the next one starts. Membranes stay in registers, a sample's trace in L2. Nothing of size
//!    `[T, B, N]` exists, unless a custom loss needs it.
//!    A [recurrent] layer runs step by step.
//! 3. **Weights** ([`update`], [`weight_grad`], [`weights`]): gradients block by block, each passed to
//!    the optimizer while it is in registers.
//!
//! Work is split by samples in 1 and 2 and by weights in 3, and every sum has a fixed order, so the
//! bits depend neither on the number of threads nor, on x86 and ARM, on the instruction set if it
//! has fused multiply-add ([`simd`]).

mod backend;
mod backward;
mod clock;
mod current;
mod dense;
#[cfg(feature = "mpi")]
mod flat;
mod forward;
mod infer;
pub(crate) mod kernels;
mod layer;
mod layout;
mod lists;
mod loss;
mod parallel;
mod pass;
mod planes;
mod pool;
mod read;
mod recurrent;
mod sample;
mod simd;
mod sink;
mod source;
mod step;
#[cfg(test)]
mod tests;
mod update;
mod vectors;
mod weight_grad;
mod weights;
mod workspace;

pub(crate) use self::infer::Inference;
use self::{backend::Cpu, simd::Isa};
use super::driver::Driver;
use crate::{Error, Gradients, Network, Objective, Optimizer, Result};

/// The CPU engine, in single precision. It implements [`Engine`](crate::Engine).
#[derive(Debug)]
pub struct CpuEngine(pub(super) Driver<Cpu>);

impl CpuEngine {
    /// An engine that trains `network` on `objective`, which can be a bare [`Loss`](crate::Loss), with
    /// an optimizer, which can be bare settings such as [`Adam`](crate::Adam).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if a setting of the objective or the optimizer is out of range;
    /// [`Error::Shape`] if the optimizer has the state of another network.
    pub fn new(
        network: Network,
        objective: impl Into<Objective>,
        optimizer: impl Into<Optimizer>,
    ) -> Result<Self> {
        Self::with_isa(network, objective.into(), optimizer.into(), Isa::best())
    }

    /// The same with a named instruction set (`AVX-512`, `AVX2`, `SSE2`; on ARM `NEON`,
    /// `portable`), to compare results.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::InvalidParameter`] if the machine does not support it.
    pub fn with_instruction_set(
        network: Network,
        objective: impl Into<Objective>,
        optimizer: impl Into<Optimizer>,
        name: &str,
    ) -> Result<Self> {
        let isa = instruction_set(name)?;
        Self::with_isa(network, objective.into(), optimizer.into(), isa)
    }

    /// The instruction sets that the machine supports, the fastest last.
    pub fn instruction_sets() -> Vec<&'static str> {
        Isa::available().into_iter().map(Isa::name).collect()
    }

    /// Starts timing the parts of all later runs.
    #[doc(hidden)]
    pub fn start_clock(&mut self) {
        self.0.backend.kit.clock.start();
    }

    /// Seconds of each part since [`start_clock`](Self::start_clock), all threads together.
    #[doc(hidden)]
    pub fn stop_clock(&mut self) -> Vec<(&'static str, f64)> {
        self.0.backend.kit.clock.stop()
    }

    fn with_isa(
        network: Network,
        objective: Objective,
        optimizer: Optimizer,
        isa: Isa,
    ) -> Result<Self> {
        let open = |network, kept: &[Gradients]| Ok(Cpu::new(isa, network, kept));
        Driver::new(network, objective, optimizer, open).map(CpuEngine)
    }

    /// Sets a note that says why another device was not used.
    #[cfg(feature = "cuda")]
    pub(super) fn with_note(mut self, note: String) -> Self {
        self.0.backend.note = Some(note);
        self
    }
}

/// The instruction set of this name, if the machine supports it.
fn instruction_set(name: &str) -> Result<Isa> {
    let available = Isa::available();
    let found = available.iter().find(|isa| isa.name() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<_> = available.iter().map(|isa| isa.name()).collect();
        Error::parameter("instruction set", name, names.join(" or "))
    })
}
