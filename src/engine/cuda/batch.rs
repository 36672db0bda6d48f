//! A batch on its way to the device, and its report on the way back.
//!
//! Both lie in one [`Slot`], one after another:
//!
//! | | bytes | filled by |
//! |---|---|---|
//! | losses of the samples | 8 B | `readout` |
//! | classes by spike count and by membrane | 4 B each | `readout` |
//! | flags: batch refused, parameter infinite | 4 each | the host with 0; `readout`, `collect`, `adam` |
//! | spikes of each layer | 8 L | the host with 0; `lif_forward`, `readout_narrow` |
//! | targets | 4 B | the host |
//! | input | N B (N B T), four times as much for floats | the host |
//!
//! So a batch is one copy to the device, from the flags on, and one back, up to the targets. An input is
//! sent as bytes, if every value is one of the 256 of an image.

use std::ops::Range;

use super::{
    device::{Arg, Gpu, Slot},
    layout::next,
};
use crate::{Input, Result};

/// Sizes of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    pub steps: usize,
    pub samples: usize,
    /// Whether the input is the same at every step.
    pub constant: bool,
}

impl Sizes {
    pub fn of(input: Input<'_>) -> Self {
        Sizes {
            steps: input.num_steps(),
            samples: input.batch(),
            constant: matches!(input, Input::Constant { .. }),
        }
    }

    /// Rows of the input.
    pub fn rows(self) -> usize {
        self.samples * if self.constant { 1 } else { self.steps }
    }
}

/// Where the parts of a slot lie.
#[derive(Debug, Clone)]
struct Parts {
    losses: Range<usize>,
    by_count: Range<usize>,
    by_membrane: Range<usize>,
    flags: Range<usize>,
    spikes: Range<usize>,
    targets: Range<usize>,
    input: usize,
}

/// A batch that is on the device, or on its way there.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Which slot has it.
    pub slot: usize,
    pub sizes: Sizes,
    /// Whether its input is there as bytes.
    pub bytes: bool,
    parts: Parts,
    features: usize,
}

/// What a batch amounts to, as the device counts it.
#[derive(Debug)]
pub struct Report {
    /// Each sample's loss, before any mean.
    pub losses: Vec<f64>,
    pub by_count: Vec<u32>,
    pub by_membrane: Vec<u32>,
    /// Spikes of each layer.
    pub spikes: Vec<u64>,
    pub flags: Flags,
}

/// What else came of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    /// Whether the loss or a gradient was not finite, so that no parameter has changed.
    pub refused: bool,
    /// Whether the update has made a parameter infinite.
    pub infinite: bool,
}

impl Batch {
    /// Sends a batch to a slot. Samples without targets (there are none, or as many as samples) have
    /// target 0.
    pub fn send(
        gpu: &Gpu,
        slots: &mut [Slot],
        slot: usize,
        layers: usize,
        input: Input<'_>,
        targets: &[usize],
    ) -> Result<Self> {
        let sizes = Sizes::of(input);
        let mut at = 0;
        let parts = Parts {
            losses: next(&mut at, 8 * sizes.samples),
            by_count: next(&mut at, 4 * sizes.samples),
            by_membrane: next(&mut at, 4 * sizes.samples),
            flags: next(&mut at, 8),
            spikes: next(&mut at, 8 * layers),
            targets: next(&mut at, 4 * sizes.samples),
            input: at.next_multiple_of(16),
        };
        let features = input.features();
        let values = sizes.rows() * features;
        let mut bytes = false;
        let most = parts.input + 4 * values;
        gpu.fill(&mut slots[slot], most, |host| {
            host[parts.flags.start..parts.spikes.end].fill(0);
            write_targets(&mut host[parts.targets.clone()], targets);
            bytes = with_rows(input, |x| {
                write_bytes(x, &mut host[parts.input..][..values])
            });
            if !bytes {
                with_rows(input, |x| write_floats(x, &mut host[parts.input..]));
            }
            parts.flags.start..parts.input + if bytes { values } else { 4 * values }
        })?;
        Ok(Batch {
            slot,
            sizes,
            bytes,
            parts,
            features,
        })
    }

    /// Whether what was sent is this, to the bit but for the sign of zeros.
    pub fn is(&self, slots: &[Slot], input: Input<'_>, targets: &[usize]) -> bool {
        self.may_be(slots, input, targets)
            && with_rows(input, |x| {
                let sent = &slots[self.slot].host()[self.parts.input..];
                match self.bytes {
                    true => equals_bytes(x, &sent[..x.len()]),
                    false => equals_floats(x, &sent[..4 * x.len()]),
                }
            })
    }

    /// Whether what was sent may be this: sizes, targets and some of the numbers are the same. Costs next
    /// to nothing beside a step.
    pub fn may_be(&self, slots: &[Slot], input: Input<'_>, targets: &[usize]) -> bool {
        let host = slots[self.slot].host();
        let sent = host[self.parts.targets.clone()].chunks_exact(4);
        let mut pairs = sent.zip(targets);
        self.fits(input)
            && targets.len() == self.sizes.samples
            && pairs.all(|(sent, &target)| word(sent) as usize == target)
            && some_of(self.sizes.rows() * self.features).all(|at| {
                let (row, n) = (at / self.features, at % self.features);
                let x = match &input {
                    Input::Constant { x, .. } => x[[row, n]],
                    Input::Sequence { x } => {
                        x[[row / self.sizes.samples, row % self.sizes.samples, n]]
                    }
                };
                let sent = &host[self.parts.input..];
                match self.bytes {
                    true => equals_bytes(&[x], &sent[at..=at]),
                    false => equals_floats(&[x], &sent[4 * at..][..4]),
                }
            })
    }

    /// Whether it has the sizes of this.
    fn fits(&self, input: Input<'_>) -> bool {
        self.sizes == Sizes::of(input) && self.features == input.features()
    }

    pub fn losses(&self, slots: &[Slot]) -> Arg {
        slots[self.slot].at(self.parts.losses.start)
    }

    pub fn by_count(&self, slots: &[Slot]) -> Arg {
        slots[self.slot].at(self.parts.by_count.start)
    }

    pub fn by_membrane(&self, slots: &[Slot]) -> Arg {
        slots[self.slot].at(self.parts.by_membrane.start)
    }

    pub fn flags(&self, slots: &[Slot]) -> Arg {
        slots[self.slot].at(self.parts.flags.start)
    }

    /// Where spikes of layer `k` are counted.
    pub fn spikes(&self, slots: &[Slot], k: usize) -> Arg {
        slots[self.slot].at(self.parts.spikes.start + 8 * k)
    }

    pub fn targets(&self, slots: &[Slot]) -> Arg {
        slots[self.slot].at(self.parts.targets.start)
    }

    pub fn input(&self, slots: &[Slot]) -> Arg {
        slots[self.slot].at(self.parts.input)
    }

    /// Waits for the batch to be through and brings back what it amounts to.
    pub fn report(&self, gpu: &Gpu, slots: &[Slot], losses: bool) -> Result<Report> {
        // What was not computed was never written, and is not read.
        let from = if losses { 0 } else { self.parts.by_count.start };
        let mut bytes = vec![0; self.parts.spikes.end];
        gpu.answer(&slots[self.slot], from, &mut bytes[from..])?;
        let words = |range: &Range<usize>| bytes[range.clone()].chunks_exact(4).map(word).collect();
        let long = |bytes: &[u8]| u64::from(word(&bytes[4..])) << 32 | u64::from(word(bytes));
        let longs = |range: &Range<usize>| bytes[range.clone()].chunks_exact(8).map(long);
        let flags = Flags::of(&bytes[self.parts.flags.clone()]);
        Ok(Report {
            losses: longs(&self.parts.losses).map(f64::from_bits).collect(),
            by_count: words(&self.parts.by_count),
            by_membrane: words(&self.parts.by_membrane),
            spikes: longs(&self.parts.spikes).collect(),
            flags,
        })
    }

    /// The same of the flags alone.
    pub fn outcome(&self, gpu: &Gpu, slots: &[Slot]) -> Result<Flags> {
        let mut bytes = [0; 8];
        gpu.answer(&slots[self.slot], self.parts.flags.start, &mut bytes)?;
        Ok(Flags::of(&bytes))
    }
}

impl Flags {
    fn of(bytes: &[u8]) -> Self {
        Flags {
            refused: word(bytes) != 0,
            infinite: word(&bytes[4..]) != 0,
        }
    }
}

/// The first four bytes as a number. Host and device are both little-endian.
fn word(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

/// Gives the input's values in order; copies them if they do not lie so.
fn with_rows<T>(input: Input<'_>, f: impl FnOnce(&[f32]) -> T) -> T {
    let slice = match &input {
        Input::Constant { x, .. } => x.to_slice(),
        Input::Sequence { x } => x.to_slice(),
    };
    match (slice, &input) {
        (Some(x), _) => f(x),
        (None, Input::Constant { x, .. }) => f(&x.iter().copied().collect::<Vec<_>>()),
        (None, Input::Sequence { x }) => f(&x.iter().copied().collect::<Vec<_>>()),
    }
}

/// Some of `len` places: spread evenly, but by no period that rows of an image could have.
fn some_of(len: usize) -> impl Iterator<Item = usize> {
    const GOLDEN: f64 = 0.618_033_988_749_895;
    let place = move |k: usize| ((k as f64 * GOLDEN).fract() * len as f64) as usize;
    (0..len.min(256)).map(place)
}

/// Numbers looked at together: a loop without an exit inside becomes vector code.
const TOGETHER: usize = 64;

/// Writes the bytes `n` with `n / 255` equal to the values, if there are such; says whether.
fn write_bytes(x: &[f32], into: &mut [u8]) -> bool {
    let pairs = x.chunks(TOGETHER).zip(into.chunks_mut(TOGETHER));
    pairs.fold(true, |good, (x, into)| {
        good && x.iter().zip(into).fold(true, |good, (&x, n)| {
            *n = (x * 255.0 + 0.5) as u8; // saturates
            good & (f32::from(*n) / 255.0 == x)
        })
    })
}

fn write_floats(x: &[f32], into: &mut [u8]) {
    for (x, into) in x.iter().zip(into.chunks_exact_mut(4)) {
        into.copy_from_slice(&x.to_le_bytes());
    }
}

fn write_targets(into: &mut [u8], targets: &[usize]) {
    into.fill(0);
    for (into, &target) in into.chunks_exact_mut(4).zip(targets) {
        into.copy_from_slice(&(target as u32).to_le_bytes());
    }
}

fn equals_bytes(x: &[f32], bytes: &[u8]) -> bool {
    let mut pairs = x.chunks(TOGETHER).zip(bytes.chunks(TOGETHER));
    pairs.all(|(x, bytes)| {
        let pairs = x.iter().zip(bytes);
        pairs.fold(true, |equal, (&x, &n)| equal & (f32::from(n) / 255.0 == x))
    })
}

fn equals_floats(x: &[f32], bytes: &[u8]) -> bool {
    let mut pairs = x.chunks(TOGETHER).zip(bytes.chunks(4 * TOGETHER));
    pairs.all(|(x, bytes)| {
        let pairs = x.iter().zip(bytes.chunks_exact(4));
        pairs.fold(true, |equal, (x, bytes)| {
            equal & (x.to_bits() == word(bytes))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places are there, and the columns of a batch of images are met alike.
    #[test]
    fn some_of_all_places_are_looked_at() {
        for len in [0, 1, 2, 255, 256, 1000, 128 * 784] {
            let places: Vec<usize> = some_of(len).collect();
            assert_eq!(places.len(), len.min(256));
            assert!(places.iter().all(|&place| place < len));
        }
        let columns: std::collections::HashSet<_> = some_of(128 * 784).map(|at| at % 784).collect();
        assert!(columns.len() > 200, "{columns:?}");
    }

    /// Every byte of an image survives, and nothing else is taken for one.
    #[test]
    fn bytes_of_images_alone_are_sent_as_bytes() {
        let x: Vec<f32> = (0..=255).map(|n| n as f32 / 255.0).collect();
        let mut bytes = [0; 256];
        assert!(write_bytes(&x, &mut bytes) && equals_bytes(&x, &bytes));
        assert!(
            bytes
                .iter()
                .enumerate()
                .all(|(n, &byte)| n == usize::from(byte))
        );
        for other in [-1.0, 0.5, 1.1, f32::NAN, f32::INFINITY, 1e-9] {
            for place in [0, 100, 255] {
                let mut x = x.clone();
                x[place] = other;
                assert!(!write_bytes(&x, &mut bytes), "{other}");
                assert!(!equals_bytes(&x, &bytes), "{other}");
            }
        }
    }
}
