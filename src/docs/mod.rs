//! Documentation chapters. Each is also a Markdown file in `src/docs`.
//!
//! | chapter | content |
//! |---|---|
//! | 1. [`howto`] | your data, your loss, your server: the examples step by step |
//! | 2. [`bptt`] | backpropagation through time, by hand: the derivation of every gradient |
//! | 3. [`resets`] | the settings that reproduce snnTorch, SpikingJelly and Norse |
//! | 4. [`port`] | equivalent code side by side, and how to check a ported model |
//! | 5. [`own_neuron`] | custom neurons, in every engine except CUDA |
//! | 6. [`optimizers`] | rules, schedules, clipping, and your own training loop |
//! | 7. [`truncation`] | long inputs in pieces: states, streams, truncated backpropagation |
//! | 8. [`recurrence`] | recurrent layers: the adjoint by hand, initialization, silent networks |
//! | 9. [`speed`] | what the CPU engine skips, fuses and caches, with measurements |
//! | 10. [`cuda`] | the kernels and their estimated cost |
//! | 11. [`parallel`] | several processes over MPI: the same bits, failures, what it costs and from where on it pays |

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
/// * [`engine::reference`](crate::engine::reference): layers, the backward sweep, and its five
///   equations.
/// * [`surrogate`](crate::surrogate), [`loss`](crate::loss), [`optim`](crate::optim): the functions
///   used along the way.
/// * [`gradcheck`](crate::gradcheck): checks by finite differences, for your networks.
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
/// Previous: [the resets](crate::docs::resets). Next: [custom neurons](crate::docs::own_neuron). All chapters: [`docs`](crate::docs).
pub mod port {}

#[doc = include_str!("own_neuron.md")]
///
/// ---
/// Previous: [ports](crate::docs::port). Next: [optimizers](crate::docs::optimizers). All chapters: [`docs`](crate::docs).
pub mod own_neuron {}

#[doc = include_str!("optimizers.md")]
///
/// ---
/// Previous: [custom neurons](crate::docs::own_neuron). Next: [long inputs](crate::docs::truncation). All chapters: [`docs`](crate::docs).
pub mod optimizers {}

#[doc = include_str!("truncation.md")]
///
/// ---
/// Previous: [optimizers](crate::docs::optimizers). Next: [recurrent layers](crate::docs::recurrence). All chapters: [`docs`](crate::docs).
pub mod truncation {}

#[doc = include_str!("recurrence.md")]
///
/// ---
/// Previous: [long inputs](crate::docs::truncation). Next: [speed](crate::docs::speed). All chapters: [`docs`](crate::docs).
pub mod recurrence {}

#[doc = include_str!("speed.md")]
///
/// <div>
#[doc = include_str!("growth.svg")]
/// </div>
///
/// ---
/// Previous: [recurrent layers](crate::docs::recurrence). Next: [CUDA](crate::docs::cuda). All chapters: [`docs`](crate::docs).
pub mod speed {}

#[doc = include_str!("cuda.md")]
///
/// ---
/// Previous: [speed](crate::docs::speed). Next: [several processes](crate::docs::parallel). All chapters: [`docs`](crate::docs).
pub mod cuda {}

#[doc = include_str!("parallel.md")]
///
/// ---
/// Previous: [CUDA](crate::docs::cuda). All chapters: [`docs`](crate::docs).
pub mod parallel {}
