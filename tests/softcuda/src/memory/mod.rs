//! Memory that knows, for every word, whether it was written and who touched it last.
//!
//! [`shadow`] keeps and judges those records, [`segment`] joins them with the bytes of one allocation or
//! one shared variable, [`arena`] finds the segment of an address, [`device`] is the allocator of a
//! device, [`local`] is a thread's own memory.

pub mod arena;
pub mod device;
pub mod local;
pub mod segment;
pub mod shadow;
pub mod uses;

pub use arena::Arena;
pub use device::DeviceMemory;
pub use segment::Segment;
pub use shadow::Visit;

/// One value per lane of a warp.
pub type Lanes<T> = [T; 32];

/// A value for each lane. A plain loop, which the compiler turns into vector instructions where
/// `std::array::from_fn` is left as calls.
#[inline(always)]
pub fn per_lane<T: Copy + Default>(f: impl Fn(usize) -> T) -> Lanes<T> {
    let mut values = [T::default(); 32];
    for (lane, value) in values.iter_mut().enumerate() {
        *value = f(lane);
    }
    values
}

/// The lanes of a mask, in order.
pub fn lanes(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if mask == 0 {
            return None;
        }
        let lane = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        Some(lane)
    })
}
