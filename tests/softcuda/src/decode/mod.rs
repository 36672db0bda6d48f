//! From the syntax tree to [`Kernel`]s. Strict: an opcode, modifier or operand that is not known, or
//! whose width does not fit its register, is a [`LoadError`] that names it and its line.

mod alu;
mod builder;
mod control;
pub mod form;
mod memory;
mod names;

use std::collections::HashMap;

use crate::error::LoadError;
use crate::ptx::{Space, Tree};
use builder::Builder;
use form::Kernel;

/// A module-level variable of `.global` or `.const`, placed in device memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    pub space: Space,
    pub address: u64,
    pub bytes: u64,
}

/// All kernels of a module, in source order.
pub fn decode(tree: &Tree, symbols: &HashMap<String, Symbol>) -> Result<Vec<Kernel>, LoadError> {
    let mut kernels = Vec::new();
    for function in tree.functions.iter().filter(|function| function.entry) {
        kernels.push(Builder::new(tree, symbols).kernel(function)?);
    }
    Ok(kernels)
}
