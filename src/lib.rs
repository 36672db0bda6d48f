//! spikegrad
pub mod data;
pub mod engine;
mod error;
mod float;
pub mod gradcheck;
mod input;
pub mod loss;
pub mod metrics;
pub mod network;
pub mod neuron;
pub mod optim;
#[cfg(feature = "plot")]
pub mod plot;
mod recording;

pub mod surrogate;
pub mod train;
#[cfg(feature = "safetensors")]
mod weights;
pub use engine::{CpuEngine, Device, Engine, ReferenceEngine};
pub use error::{Error, Result};
pub use float::Float;
pub use input::Input;
pub use loss::{Adjoints, LayerAdjoint, Loss, Objective};
pub use metrics::{ReadOut, StepReport};
pub use network::{Gradients, Layer, Network, NetworkBuilder};
pub use neuron::{Dynamics, Leaky, PerNeuron, Reset};
pub use optim::Adam;
pub use recording::{Record, Recording, Trace};
pub use surrogate::Surrogate;
pub use train::{History, Trainer};
