//! Trains spiking neural networks by **explicit, hand-derived backpropagation through time**: no
//! autograd, no Python.
//!
//! A network of spiking neurons runs for `T` steps. The backward pass is written out by hand, with
//! a surrogate gradient in place of the spike's derivative. It is checked against finite
//! differences ([`gradcheck`]), PyTorch autograd, snnTorch, SpikingJelly and Norse
//! (`tests/fixtures`).
//!
//! ```
//! use spikegrad::ndarray::Array2;
//! use spikegrad::{Adam, Device, Input, Leaky, Loss, Network, ReadOut};
//!
//! // Two classes of four pixels, upper and lower half lit, shown for 10 steps.
//! let x = Array2::from_shape_fn((8, 4), |(b, n)| if n / 2 == b % 2 { 1.0 } else { 0.0 });
//! let targets: Vec<usize> = (0..8).map(|b| b % 2).collect();
//!
//! let network: Network = Network::builder(4)
//!     .layer(16, Leaky::new(0.95))
//!     .layer(2, Leaky::new(0.95))
//!     .seed(0)
//!     .build()?;
//! let mut engine = Device::Auto.engine(network, Loss::CrossEntropyMembrane, Adam::new(5e-3))?;
//! for _ in 0..50 {
//!     engine.train_step(Input::constant(x.view(), 10).classes(&targets))?;
//! }
//!
//! let mut classes = vec![0; 8];
//! engine.classify(Input::constant(x.view(), 10), ReadOut::Membrane, &mut classes)?;
//! assert_eq!(classes, targets);
//! # Ok::<(), spikegrad::Error>(())
//! ```
//!
//! # Overview
//!
//! Data flows one way: [`Input`] → [`Network`] → [`Recording`] → [`Loss`] → [`Adjoints`] →
//! [`Gradients`] → [`Optimizer`]. An [`Engine`] does all of it in one call. To inspect or replace a
//! stage, make the four calls yourself:
//!
//! ```
//! use spikegrad::ndarray::Array2;
//! use spikegrad::{Adam, Input, Leaky, Loss, Network, Optimizer};
//! use spikegrad::engine::reference::{backward, forward};
//!
//! let mut network: Network<f64> = Network::builder(3).layer(2, Leaky::new(0.9)).build()?;
//! let mut optimizer = Optimizer::from(Adam::new(1e-3));
//! let x = Array2::from_elem((1, 3), 0.7);
//! let input = Input::constant(x.view(), 5);
//!
//! let recording = forward(&network, input)?;
//! let (loss, adjoints) = Loss::CrossEntropyMembrane.evaluate(&recording, &[1])?;
//! let gradients = backward(&network, input, &recording, &adjoints)?;
//! optimizer.step(&mut network, &gradients)?;
//! assert!(loss > 0.0);
//! # Ok::<(), spikegrad::Error>(())
//! ```
//!
//! * [`neuron`] documents the equations of every neuron and their adjoints, [`surrogate`] the
//!   surrogate gradients, [`loss`] the losses.
//! * [`engine::reference`](mod@engine::reference) is a plain implementation of backpropagation
//!   through time.
//! * [`docs`] has chapters on the derivation, each library's reset rule, porting and more. The
//!   module `verify` (feature `safetensors`) checks a ported model.
//! * A [`Predictor`] predicts through `&self` from any number of threads at once; see the example
//!   `serve`.
//! * [`optim`] has the optimizers and their schedules; a step comes apart into
//!   [`accumulate`](Engine::accumulate), [`gradients_mut`](Engine::gradients_mut) and
//!   [`update`](Engine::update).
//! * A [`State`] carries neurons from one call to the next: streams, long inputs in pieces, truncated
//!   backpropagation through time.
//! * [`train`] has the training loop, [`data`] the data sets. The module `checkpoint` (feature
//!   `safetensors`) resumes runs after a crash; `weights` reads and writes weights.
//!
//! # Arrays
//!
//! Inputs, parameters and recordings are arrays of `ndarray` 0.17. The crate re-exports it: with
//! `use spikegrad::ndarray` a program needs no dependency on it.
//!
//! ```
//! use spikegrad::Input;
//! use spikegrad::ndarray::{Array3, Axis};
//!
//! let mut events = Array3::<f32>::zeros((100, 16, 64)); // [T, B, N]
//! events[[3, 0, 5]] = 1.0;
//! let first = events.index_axis(Axis(1), 0).insert_axis(Axis(1)); // [T, 1, N]
//! assert_eq!(Input::sequence(first.view()).batch(), 1);
//! ```
//!
//! A program that depends on `ndarray` itself needs version 0.17 too. Arrays of other versions are
//! different types, and the compiler reports:
//!
//! ```text
//! error[E0308]: mismatched types
//!   expected `ArrayBase<ViewRepr<&_>, ..., _>`, found `ArrayBase<ViewRepr<&f32>, ...>`
//! note: there are multiple different versions of crate `ndarray` in the dependency graph
//! ```
//!
//! If the program needs another version, pass its arrays as slices, without a copy:
//!
//! ```
//! use spikegrad::{Input, ndarray::ArrayView2};
//!
//! # struct Theirs([f32; 8]);
//! # impl Theirs { fn as_slice(&self) -> Option<&[f32]> { Some(&self.0) } }
//! # let theirs = Theirs([0.5; 8]);
//! // `theirs` is an `Array2<f32>` of the other version, `[2, 4]`.
//! let pixels: &[f32] = theirs.as_slice().expect("row by row in memory");
//! let x = ArrayView2::from_shape((2, 4), pixels).expect("8 pixels");
//! assert_eq!(Input::constant(x, 10).batch(), 2);
//! ```
//!
//! # Features
//!
//! | feature | default | description |
//! |---|---|---|
//! | `rayon` | yes | several threads; results have the same bits without it |
//! | `mnist` | yes | reads MNIST and other idx data sets, raw or gzipped |
//! | `safetensors` | yes | reads and writes weights and checkpoints |
//! | `blas` | no | the reference engine's matrix products through BLAS; link one by a feature of `blas-src` |
//! | `openblas` | no | links the system's OpenBLAS for `blas` |
//! | `cuda` | no | trains on an NVIDIA GPU if there is one; builds and runs without |
//! | `plot` | yes | plots loss, accuracy, rasters and traces as SVG |
//! | `mpi` | no | trains one network on several processes, over the system's MPI ([chapter](docs::parallel)) |
//!
//! # WebAssembly
//!
//! With `default-features = false` the crate compiles for `wasm32-unknown-unknown` without flags,
//! and the module has no imports. Engines, [`Trainer`] and [`gradcheck`] run on one thread. The
//! same seed gives the same bits as on a processor without fused multiply-add (the instruction set
//! `SSE2` of [`CpuEngine::with_instruction_set`]). Without a clock, the times in a [`History`] are
//! zero. `mnist` and `safetensors` compile but have no files to read; the drawing crate behind
//! `plot` imports browser functions.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(unsafe_code)]
#![warn(missing_docs)]

/// Compiles and runs the program in the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles and runs the program in the package's README.
#[cfg(doctest)]
#[doc = include_str!("docs/crate.md")]
struct CrateReadme;

#[cfg(feature = "blas")]
extern crate blas_src as _;

#[cfg(feature = "safetensors")]
pub mod checkpoint;
pub mod data;
pub mod docs;
mod draw;
mod dropout;
pub mod engine;
mod error;
#[cfg(any(feature = "mnist", feature = "safetensors"))]
pub mod files;
mod finite;
mod float;
pub mod gradcheck;
mod input;
pub mod loss;
mod memory;
pub mod metrics;
pub mod network;
pub mod neuron;
pub mod optim;
#[cfg(feature = "mpi")]
pub mod parallel;
#[cfg(feature = "plot")]
pub mod plot;
mod predictor;
mod rates;
mod recording;
mod state;
mod stopwatch;
pub mod surrogate;
pub mod synapses;
mod targets;
mod tensors;
pub mod train;
#[cfg(feature = "safetensors")]
pub mod verify;
#[cfg(feature = "safetensors")]
pub mod weights;

#[cfg(feature = "safetensors")]
pub use checkpoint::{Checkpoint, CheckpointDir};
#[cfg(feature = "cuda")]
pub use engine::CudaEngine;
pub use engine::{CpuEngine, Device, Engine, ReferenceEngine};
pub use error::{Error, Result};
pub use float::Float;
pub use input::Input;
pub use loss::{Adjoints, LayerAdjoint, Loss, Objective, Quantity, RatePenalty};
pub use metrics::{ReadOut, StepReport};
pub use ndarray;
pub use network::{Gradients, Init, Layer, Network, NetworkBuilder};
pub use neuron::{
    AdLif, Adaptive, Alpha, Draw, Dynamics, Encoder, Lapicque, Leaky, LeakyIntegrator, Lsnn,
    PerNeuron, Reset, Synaptic, decay,
};
pub use optim::{Adam, Adamax, Optimizer, Schedule, Sgd};
#[cfg(feature = "mpi")]
pub use parallel::{Parallel, World};
pub use predictor::Predictor;
pub use rates::{FiringRates, LayerRates};
pub use recording::{Record, Recording, Trace};
pub use state::State;
pub use surrogate::Surrogate;
pub use synapses::{Dropout, Recurrence, Synapses};
pub use targets::{Samples, Targets};
pub use train::{History, Trainer};
#[cfg(feature = "safetensors")]
pub use weights::Mismatch;
