//! The fast engine for CPUs.
//!
//! It computes what [`reference`](super::reference) computes, in another order of loops:
//!
//! 1. **Hoist** ([`read`], [`current`]): a static input's product with the first layer's weights, once
//!    for all steps, block of neurons by block, walking the non-zero pixels.
//! 2. **Through time** ([`sample`]: [`forward`], [`loss`], [`backward`]): each sample (or a group of a few) goes
//!    forward through all layers and all steps, through the loss, and back, before the next begins.
//!    Membranes stay in registers, a sample's trace in L2; nothing of size `[T, B, N]` exists, unless
//!    a loss of the user's own asks for it.
//! 3. **Weights** ([`update`], [`strip`], [`weights`]): gradients block by block, each handed to Adam while it is
//!    in registers.
//!
//! Work is split by samples in 1 and 2 and by weights in 3, and every sum runs in a fixed order, so
//! the bits do not depend on the number of threads; nor on the instruction set, on x86 or ARM, where it
//! has fused multiply-adds ([`simd`]).

mod backend;
mod backward;
mod clock;
mod current;
mod dense;
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
mod sample;
mod simd;
mod sink;
mod source;
mod step;
mod update;
mod vectors;
mod weight_grad;
mod weights;
mod workspace;

pub(crate) use self::infer::Inference;
use self::{backend::Cpu, simd::Isa};
use super::driver::Driver;
use crate::{Adam, Error, Network, Objective, Result};

/// The fast CPU engine behind the [`Engine`](crate::Engine) trait; single precision.
#[derive(Debug)]
pub struct CpuEngine(pub(super) Driver<Cpu>);

impl CpuEngine {
    /// An engine that trains `network` by `objective` (a bare [`Loss`](crate::Loss) will do).
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] for settings of the objective or the optimizer out of range;
    /// [`Error::Shape`] if the optimizer has moments of another network.
    pub fn new(network: Network, objective: impl Into<Objective>, adam: Adam) -> Result<Self> {
        Self::with_isa(network, objective.into(), adam, Isa::best())
    }

    /// The same on an instruction set by its name (`AVX-512`, `AVX2`, `SSE2`; on ARM `NEON`,
    /// `portable`), to compare their results.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::InvalidParameter`] if this machine does not have it.
    pub fn with_instruction_set(
        network: Network,
        objective: impl Into<Objective>,
        adam: Adam,
        name: &str,
    ) -> Result<Self> {
        let isa = instruction_set(name)?;
        Self::with_isa(network, objective.into(), adam, isa)
    }

    /// The instruction sets that this machine has, the fastest last.
    pub fn instruction_sets() -> Vec<&'static str> {
        Isa::available().into_iter().map(Isa::name).collect()
    }

    /// Starts timing the parts of what is run from now on.
    #[doc(hidden)]
    pub fn start_clock(&mut self) {
        self.0.backend.kit.clock.start();
    }

    /// Seconds of each part since [`start_clock`](Self::start_clock), all threads together.
    #[doc(hidden)]
    pub fn stop_clock(&mut self) -> Vec<(&'static str, f64)> {
        self.0.backend.kit.clock.stop()
    }

    fn with_isa(network: Network, objective: Objective, adam: Adam, isa: Isa) -> Result<Self> {
        let open = |network, adam: &Adam| Ok(Cpu::new(isa, network, adam));
        Driver::new(network, objective, adam, open).map(CpuEngine)
    }

    /// Says why it is not another device that computes.
    #[cfg(feature = "cuda")]
    pub(super) fn with_note(mut self, note: String) -> Self {
        self.0.backend.note = Some(note);
        self
    }
}

/// The instruction set of this name, if this machine has it.
fn instruction_set(name: &str) -> Result<Isa> {
    let available = Isa::available();
    let found = available.iter().find(|isa| isa.name() == name);
    found.copied().ok_or_else(|| {
        let names: Vec<_> = available.iter().map(|isa| isa.name()).collect();
        Error::parameter("instruction set", name, names.join(" or "))
    })
}
