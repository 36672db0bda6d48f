//! The chapters behind the code. There is nothing to call here; each page is also a Markdown file in
//! `src/docs`.
//!
//! | read | for |
//! |---|---|
//! | 1. [`howto`] | your data, your loss, your server: the examples, step by step |
//! | 2. [`bptt`] | backpropagation through time, by hand: the derivation of every gradient |
//! | 3. [`resets`] | which settings compute what snnTorch, SpikingJelly and Norse compute |
//! | 4. [`port`] | their lines beside ours, and how to check a model that was brought over |
//! | 5. [`own_neuron`] | a neuron of your own, in every engine but CUDA |
//! | 6. [`speed`] | what the CPU engine skips, fuses and keeps in which cache, measured |
//! | 7. [`cuda`] | the kernels, and what they should cost |

#[doc = include_str!("howto.md")]
///
/// ---
/// Next: [backpropagation through time, by hand](super::bptt). All chapters: [`docs`](super).
pub mod howto {}

#[doc = include_str!("bptt.md")]
///
/// # In the code
///
/// * [`neuron`](crate::neuron): a neuron's step and its adjoint, side by side, for every rule.
/// * [`engine::reference`](crate::engine::reference): layers, the sweep back through time, and the
///   five equations that it implements.
/// * [`surrogate`](crate::surrogate), [`loss`](crate::loss), [`optim`](crate::optim): the functions
///   used on the way.
/// * [`gradcheck`](crate::gradcheck): the proof by finite differences, for networks of your own.
///
/// ---
/// Previous: [how to](super::howto). Next: [the resets](super::resets). All chapters: [`docs`](super).
pub mod bptt {}

#[doc = include_str!("resets.md")]
///
/// ---
/// Previous: [the derivation](super::bptt). Next: [ports](super::port). All chapters: [`docs`](super).
pub mod resets {}

#[doc = include_str!("port.md")]
///
/// ---
/// Previous: [the resets](super::resets). Next: [a neuron of your own](super::own_neuron). All chapters:
/// [`docs`](super).
pub mod port {}

#[doc = include_str!("own_neuron.md")]
///
/// ---
/// Previous: [ports](super::port). Next: [speed](super::speed). All chapters: [`docs`](super).
pub mod own_neuron {}

#[doc = include_str!("speed.md")]
///
/// <div>
#[doc = include_str!("growth.svg")]
/// </div>
///
/// ---
/// Previous: [a neuron of your own](super::own_neuron). Next: [CUDA](super::cuda). All chapters: [`docs`](super).
pub mod speed {}

#[doc = include_str!("cuda.md")]
///
/// ---
/// Previous: [speed](super::speed). All chapters: [`docs`](super).
pub mod cuda {}
