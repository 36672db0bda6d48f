//! The device's primary context, current on a thread only while the engine works there.
//!
//! Each thread has a stack of contexts, the topmost of which is current. Other CUDA code of the program
//! may have one there: the primary context of another device, or a context that it made. So whatever the
//! engine does, it pushes its context first and pops it at the end.
//!
//! All engines on a device, and the CUDA runtime, share its primary context, which the driver counts the
//! owners of. A `Context` of `cust` is one such owner.

use std::sync::Arc;

use cust::{
    context::{
        Context,
        legacy::{ContextStack, CurrentContext},
    },
    device::Device,
    error::CudaResult,
};

/// Becomes an owner of the device's primary context, and leaves the thread's stack as it was.
pub fn retain(device: Device) -> CudaResult<Arc<Context>> {
    let before = CurrentContext::get_current();
    // Puts the context in the place of the one that is current, or on an empty stack.
    let context = Context::new(device)?;
    let restored = before.and_then(|before| CurrentContext::set_current(&before));
    if restored.is_err() {
        // What was current before does not exist any more.
        let _ = ContextStack::pop();
    }
    Ok(Arc::new(context))
}

/// While it lives, the context is current on the thread that made it, which must drop it, too.
#[derive(Debug)]
#[must_use = "the context is current until this is dropped"]
pub struct Entered {
    /// Let go of after the context was popped.
    _context: Arc<Context>,
}

impl Entered {
    pub fn new(context: &Arc<Context>) -> CudaResult<Self> {
        ContextStack::push(&**context)?;
        Ok(Entered {
            _context: Arc::clone(context),
        })
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // Fails only where the driver is gone, and the stack with it.
        let _ = ContextStack::pop();
    }
}
