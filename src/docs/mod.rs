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
/// Next: [backpropagation through time, by hand](crate::docs::bptt). All chapters: [`docs`](crate::docs).
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
/// Previous: [how to](crate::docs::howto). Next: [the resets](crate::docs::resets). All chapters: [`docs`](crate::docs).
pub mod bptt {}

#[doc = include_str!("resets.md")]
///
/// ---
/// Previous: [the derivation](crate::docs::bptt). Next: [ports](crate::docs::port). All chapters: [`docs`](crate::docs).
pub mod resets {}

#[doc = include_str!("port.md")]
///
/// ---
/// Previous: [the resets](crate::docs::resets). Next: [a neuron of your own](crate::docs::own_neuron). All chapters:
/// [`docs`](crate::docs).
pub mod port {}

#[doc = include_str!("own_neuron.md")]
///
/// ---
/// Previous: [ports](crate::docs::port). Next: [speed](crate::docs::speed). All chapters: [`docs`](crate::docs).
pub mod own_neuron {}

#[doc = include_str!("speed.md")]
///
/// <div>
#[doc = include_str!("growth.svg")]
/// </div>
///
/// ---
/// Previous: [a neuron of your own](crate::docs::own_neuron). Next: [CUDA](crate::docs::cuda). All chapters: [`docs`](crate::docs).
pub mod speed {}

#[doc = include_str!("cuda.md")]
///
/// ---
/// Previous: [speed](crate::docs::speed). All chapters: [`docs`](crate::docs).
pub mod cuda {}
