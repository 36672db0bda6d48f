//! The local memory of a warp's threads: variables that spill or are indexed, and the parameters of
//! inlined calls. Every thread sees the same addresses and its own bytes.

use crate::decode::form::{LOCAL_BASE, LOCAL_GAP};
use crate::error::{Checked, Fault, Rule};

#[derive(Clone, Debug, Default)]
pub struct Local {
    objects: Vec<(u64, u64)>,
    /// Bytes of one thread.
    stride: usize,
    data: Vec<u8>,
    written: Vec<bool>,
}

impl Local {
    pub fn new(objects: &[(u64, u64)], lanes: usize) -> Self {
        let stride = match objects.last() {
            Some((start, bytes)) => (start + bytes - LOCAL_BASE + LOCAL_GAP) as usize,
            None => 0,
        };
        Self {
            objects: objects.to_vec(),
            stride,
            data: vec![0; stride * lanes],
            written: vec![false; stride * lanes],
        }
    }

    /// Forgets what was written, for the next warp.
    pub fn clear(&mut self) {
        self.written.fill(false);
    }

    fn at(&self, lane: usize, address: u64, bytes: u64) -> Checked<usize> {
        if !address.is_multiple_of(bytes) {
            let message = format!("local address {address:#x} is not a multiple of {bytes}");
            return Err(Fault::new(Rule::Misaligned, lane as u32, message));
        }
        let inside = self.objects.iter().any(|&(start, length)| {
            address >= start && bytes <= length && address - start <= length - bytes
        });
        if !inside {
            let message =
                format!("{bytes} bytes at local address {address:#x}, outside every variable");
            return Err(Fault::new(Rule::OutOfBounds, lane as u32, message));
        }
        Ok(lane * self.stride + (address - LOCAL_BASE) as usize)
    }

    /// Checks an access of a whole vector of `bytes`.
    pub fn admit(&self, lane: usize, address: u64, bytes: u64, read: bool) -> Checked {
        let at = self.at(lane, address, bytes)?;
        if read
            && !self.written[at..at + bytes as usize]
                .iter()
                .all(|&written| written)
        {
            let message =
                format!("reads {bytes} bytes at local address {address:#x}, never written");
            return Err(Fault::new(Rule::UninitialisedMemory, lane as u32, message));
        }
        Ok(())
    }

    /// One element of an access that [`Local::admit`] let through.
    pub fn load(&self, lane: usize, address: u64, bytes: u64) -> u64 {
        let at = lane * self.stride + (address - LOCAL_BASE) as usize;
        let mut value = [0; 8];
        value[..bytes as usize].copy_from_slice(&self.data[at..at + bytes as usize]);
        u64::from_le_bytes(value)
    }

    pub fn store(&mut self, lane: usize, address: u64, bytes: u64, value: u64) {
        let at = lane * self.stride + (address - LOCAL_BASE) as usize;
        let range = at..at + bytes as usize;
        self.data[range.clone()].copy_from_slice(&value.to_le_bytes()[..bytes as usize]);
        self.written[range].fill(true);
    }
}
