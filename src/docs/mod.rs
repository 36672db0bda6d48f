//! The chapters behind the code: how the gradients are derived, and how to check a model against
//! them. There is nothing to call here; each page is also a Markdown file in `src/docs`.

#[doc = include_str!("bptt.md")]
///
/// # In the code
///
/// * [`neuron`](crate::neuron): one neuron and one step, forward and adjoint, for every rule.
/// * [`engine::reference`](crate::engine::reference): layers, the sweep back through time, and the
///   five equations that it implements.
/// * [`surrogate`](crate::surrogate), [`loss`](crate::loss), [`optim`](crate::optim): the functions
///   used on the way.
/// * [`gradcheck`](crate::gradcheck): the proof by finite differences, for networks of your own.
pub mod bptt {}

#[doc = include_str!("cuda.md")]
pub mod cuda {}

#[doc = include_str!("port.md")]
pub mod port {}

#[doc = include_str!("resets.md")]
pub mod resets {}

#[doc = include_str!("speed.md")]
pub mod speed {}
