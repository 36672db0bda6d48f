//! PTX text: tokens, and the syntax tree of a module. Knows the grammar, not what an instruction means;
//! that is [`crate::decode`]'s business.

mod parse;
mod token;
mod tree;

pub use parse::parse;
pub use tree::*;
