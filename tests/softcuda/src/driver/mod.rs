//! The driver's entry points, and the state behind them.
//!
//! Every entry point is a function of the driver API with its C signature. It goes through
//! [`state::enter`], which counts the call, injects faults, answers for a failed context, and turns a
//! panic into an error. Work is done at once: a stream is always idle when a call returns.
//!
//! As in every C interface, pointers that a caller passes must be valid for what they are documented
//! to point to; null is refused. This is what makes the functions `unsafe`.
#![allow(unsafe_code, clippy::missing_safety_doc)]

pub mod config;
pub mod context;
pub mod control;
pub mod launch;
pub mod memory;
pub mod module;
pub mod order;
pub mod report;
pub mod state;
pub mod stream;
pub mod unsupported;

/// Declares entry points: name, arguments, what must hold before ([`state::Needs`]), and a body that
/// has the driver's state and returns `Result<(), Code>`.
macro_rules! entries {
    ($(fn $name:ident($($arg:ident: $ty:ty),* $(,)?) needs $needs:ident |$driver:pat_param| $body:expr;)*) => {
        $(
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name($($arg: $ty),*) -> $crate::error::Code {
                $crate::driver::state::enter(stringify!($name), $crate::driver::state::Needs::$needs, |$driver| $body)
            }
        )*
    };
}
use entries;

use crate::error::Code;

/// Writes a result to where the caller wants it.
fn put<T>(place: *mut T, value: T) -> Result<(), Code> {
    if place.is_null() {
        return Err(Code::ERROR_INVALID_VALUE);
    }
    // SAFETY: not null, and the caller of an entry point promises that it points to room for a `T`.
    unsafe { place.write(value) };
    Ok(())
}

/// A C string that the caller passes.
fn text(pointer: *const std::ffi::c_char) -> Result<String, Code> {
    if pointer.is_null() {
        return Err(Code::ERROR_INVALID_VALUE);
    }
    // SAFETY: not null, and the caller of an entry point promises a string that ends in a NUL byte.
    let text = unsafe { std::ffi::CStr::from_ptr(pointer) };
    text.to_str()
        .map(str::to_owned)
        .map_err(|_| Code::ERROR_INVALID_VALUE)
}
