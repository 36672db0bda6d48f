//! Loads, stores and atomics of a warp: addresses, the space that each lane means, the checks, and the
//! counts of sectors and bank conflicts.

use super::launch::Block;
use super::warp::Warp;
use crate::decode::form::*;
use crate::error::{Checked, Fault, Rule};
use crate::memory::arena::Accesses;
use crate::memory::segment::Touch;
use crate::memory::{Lanes, lanes};
use crate::ptx::{Space, Type};

impl Warp<'_> {
    fn addresses(&self, address: &Address, mask: u32) -> Checked<Lanes<u64>> {
        let Some(base) = address.base else {
            return Ok([address.offset; 32]);
        };
        let raw = self.raw(base, mask)?;
        Ok(raw.map(|raw| raw.wrapping_add(address.offset)))
    }

    pub fn load(&mut self, block: &mut Block, mask: u32, at: usize, access: &Access) -> Checked {
        let addresses = self.addresses(&access.address, mask)?;
        let size = access.ty.bytes();
        let mut values = [[0; 32]; 4];
        for (space, addresses, mask) in split(access.space, &addresses, mask).into_iter().flatten() {
            let bytes = size * u64::from(access.count);
            match space {
                Space::Param => {
                    for lane in lanes(mask) {
                        for (k, values) in values.iter_mut().enumerate().take(access.count.into()) {
                            let address = addresses[lane] + k as u64 * size;
                            values[lane] = block.parameter(lane, address, size)?;
                        }
                    }
                }
                Space::Local => {
                    block.stats.local_accesses += 1;
                    for lane in lanes(mask) {
                        self.local.admit(lane, addresses[lane], bytes, true)?;
                        for (k, values) in values.iter_mut().enumerate().take(access.count.into()) {
                            let address = addresses[lane] + k as u64 * size;
                            values[lane] = self.local.load(lane, address, size);
                        }
                    }
                }
                space => {
                    let whole = Accesses {
                        touch: Touch::Read,
                        mask,
                        addresses: &addresses,
                        bytes,
                        constant: space == Space::Const,
                    };
                    let visit = block.count(self, space, &whole);
                    let (arena, caches) = block.arena(space);
                    each(mask, |mask| {
                        let part = Accesses { mask, ..whole };
                        let Some(index) = arena.admit(&mut caches[at], &part, &visit)? else {
                            return Ok(false);
                        };
                        let segment = &arena.segments[index];
                        for (k, values) in values.iter_mut().enumerate().take(access.count.into()) {
                            let found = segment.gather(&addresses, mask, k as u64 * size, size);
                            for lane in 0..32 {
                                values[lane] |= found[lane];
                            }
                        }
                        Ok(true)
                    })?;
                }
            }
        }
        for (register, values) in access.registers.iter().zip(&values).take(access.count.into()) {
            self.set_raw(*register, access.ty, values, mask);
        }
        Ok(())
    }

    pub fn store(&mut self, block: &mut Block, mask: u32, at: usize, access: &Access) -> Checked {
        let addresses = self.addresses(&access.address, mask)?;
        let size = access.ty.bytes();
        let mut values = [[0; 32]; 4];
        for (register, values) in access.registers.iter().zip(&mut values).take(access.count.into()) {
            *values = self.raw(*register, mask)?;
        }
        for (space, addresses, mask) in split(access.space, &addresses, mask).into_iter().flatten() {
            let bytes = size * u64::from(access.count);
            if space == Space::Local {
                block.stats.local_accesses += 1;
                for lane in lanes(mask) {
                    self.local.admit(lane, addresses[lane], bytes, false)?;
                    for (k, values) in values.iter().enumerate().take(access.count.into()) {
                        self.local.store(lane, addresses[lane] + k as u64 * size, size, values[lane]);
                    }
                }
                continue;
            }
            let whole = Accesses {
                touch: Touch::Write,
                mask,
                addresses: &addresses,
                bytes,
                constant: false,
            };
            let visit = block.count(self, space, &whole);
            let (arena, caches) = block.arena(space);
            each(mask, |mask| {
                let part = Accesses { mask, ..whole };
                let Some(index) = arena.admit(&mut caches[at], &part, &visit)? else {
                    return Ok(false);
                };
                for (k, values) in values.iter().enumerate().take(access.count.into()) {
                    arena.segments[index].scatter(&addresses, mask, k as u64 * size, size, values);
                }
                Ok(true)
            })?;
        }
        Ok(())
    }

    /// Lanes take their turns in order.
    pub fn atomic(&mut self, block: &mut Block, mask: u32, at: usize, op: &Op) -> Checked {
        let Op::Atomic { op, space, ty, d, address, b, c } = op else { return Ok(()) };
        let addresses = self.addresses(address, mask)?;
        let operands = self.raw(*b, mask)?;
        let seconds = match c {
            Some(c) => self.raw(*c, mask)?,
            None => [0; 32],
        };
        let size = ty.bytes();
        let mut old = [0; 32];
        for (space, addresses, mask) in split(*space, &addresses, mask).into_iter().flatten() {
            if space == Space::Local {
                let message = "an atomic on local memory";
                return Err(Fault::new(Rule::AddressSpace, mask.trailing_zeros(), message));
            }
            let whole = Accesses {
                touch: Touch::Atomic,
                mask,
                addresses: &addresses,
                bytes: size,
                constant: false,
            };
            let visit = block.count(self, space, &whole);
            let (arena, caches) = block.arena(space);
            for lane in lanes(mask) {
                let one = 1 << lane;
                let part = Accesses { mask: one, ..whole };
                let Some(index) = arena.admit(&mut caches[at], &part, &visit)? else { continue };
                let segment = &mut arena.segments[index];
                let before = segment.gather(&addresses, one, 0, size)[lane];
                let after = apply(*op, *ty, before, operands[lane], seconds[lane]);
                segment.scatter(&addresses, one, 0, size, &[after; 32]);
                old[lane] = before;
            }
        }
        if let Some(d) = d {
            self.set_raw(*d, *ty, &old, mask);
        }
        Ok(())
    }

    /// `cvta`: between a space's own addresses and generic ones.
    pub fn window(&mut self, mask: u32, space: Space, back: bool, d: R, a: R) -> Checked {
        let base = match space {
            Space::Shared => SHARED_WINDOW,
            Space::Local => LOCAL_WINDOW,
            _ => 0,
        };
        let from = self.get::<u64>(a, mask)?;
        if back {
            let outside = lanes(mask).find(|&lane| {
                let (found, _) = window_of(from[lane]);
                let same = found == space || (space == Space::Const && found == Space::Global);
                // A null pointer may be converted, though not followed.
                !same && from[lane] != 0
            });
            if let Some(lane) = outside {
                let message = format!("{:#x} is not an address of {space:?} memory", from[lane]);
                return Err(Fault::new(Rule::AddressSpace, lane as u32, message));
            }
        }
        let to = from.map(|x| if back { x.wrapping_sub(base) } else { x.wrapping_add(base) });
        self.set(d, &to, mask);
        Ok(())
    }
}

/// Runs `f` for all lanes at once or, if it says that they lie in several segments, one by one.
#[inline(always)]
fn each(mask: u32, mut f: impl FnMut(u32) -> Checked<bool>) -> Checked {
    if !f(mask)? {
        for lane in lanes(mask) {
            f(1 << lane)?;
        }
    }
    Ok(())
}

type Part = Option<(Space, Lanes<u64>, u32)>;

/// The space of a generic address, and the address within it.
fn window_of(address: u64) -> (Space, u64) {
    if (SHARED_WINDOW..SHARED_WINDOW + WINDOW_BYTES).contains(&address) {
        (Space::Shared, address - SHARED_WINDOW)
    } else if (LOCAL_WINDOW..LOCAL_WINDOW + WINDOW_BYTES).contains(&address) {
        (Space::Local, address - LOCAL_WINDOW)
    } else {
        (Space::Global, address)
    }
}

/// Cuts the lanes of an access by the space that they mean; only generic accesses have several.
#[inline(always)]
fn split(space: Space, addresses: &Lanes<u64>, mask: u32) -> [Part; 3] {
    if space != Space::Generic {
        return [Some((space, *addresses, mask)), None, None];
    }
    let mut parts = [None; 3];
    for (part, wanted) in parts.iter_mut().zip([Space::Global, Space::Shared, Space::Local]) {
        let inside = lanes(mask).filter(|&lane| window_of(addresses[lane]).0 == wanted);
        let inside = inside.fold(0, |inside, lane| inside | 1 << lane);
        if inside != 0 {
            *part = Some((wanted, addresses.map(|address| window_of(address).1), inside));
        }
    }
    parts
}

fn apply(op: Atomic, ty: Type, old: u64, b: u64, c: u64) -> u64 {
    let (old32, b32) = (old as u32, b as u32);
    match (op, ty) {
        (Atomic::Add, Type::F32) => {
            u64::from((f32::from_bits(old32) + f32::from_bits(b32)).to_bits())
        }
        (Atomic::Add, Type::F64) => (f64::from_bits(old) + f64::from_bits(b)).to_bits(),
        (Atomic::Add, _) => old.wrapping_add(b),
        (Atomic::Min, Type::S32) => (old32 as i32).min(b32 as i32) as u32 as u64,
        (Atomic::Min, Type::S64) => (old as i64).min(b as i64) as u64,
        (Atomic::Min, _) => old.min(b),
        (Atomic::Max, Type::S32) => (old32 as i32).max(b32 as i32) as u32 as u64,
        (Atomic::Max, Type::S64) => (old as i64).max(b as i64) as u64,
        (Atomic::Max, _) => old.max(b),
        (Atomic::Inc, _) => if old32 >= b32 { 0 } else { old + 1 },
        (Atomic::Dec, _) => if old32 == 0 || old32 > b32 { b } else { old - 1 },
        (Atomic::And, _) => old & b,
        (Atomic::Or, _) => old | b,
        (Atomic::Xor, _) => old ^ b,
        (Atomic::Exch, _) => b,
        (Atomic::Cas, _) => if old == b { c } else { old },
    }
}

/// How many different 32-byte sectors the lanes of an access touch.
pub fn sectors(access: &Accesses) -> u64 {
    let mut found = [0; 32];
    let mut count = 0;
    let mut ascending = true;
    for lane in lanes(access.mask) {
        found[count] = access.addresses[lane] >> 5;
        ascending &= count == 0 || found[count - 1] <= found[count];
        count += 1;
    }
    let found = &mut found[..count];
    if !ascending {
        found.sort_unstable();
    }
    1 + found.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64
}

/// Extra passes over the 32 banks of four bytes. Accesses of 8 and 16 bytes go by half and quarter
/// warps, as on hardware; lanes that want the same word share a pass.
pub fn bank_conflicts(access: &Accesses) -> u64 {
    let words = (access.bytes / 4).max(1);
    let phase = 32 / words as usize;
    let mut extra = 0;
    for first in (0..32).step_by(phase) {
        let group = access.mask & ((((1u64 << phase) - 1) as u32) << first);
        let (mut low, mut high) = (u64::MAX, 0);
        for lane in lanes(group) {
            low = low.min(access.addresses[lane] / 4);
            high = high.max(access.addresses[lane] / 4);
        }
        // Within a row of 32 words, no two words share a bank.
        if group == 0 || high + words <= low + 32 {
            continue;
        }
        let mut wanted: Vec<u64> = lanes(group)
            .flat_map(|lane| (0..words).map(move |k| (lane, k)))
            .map(|(lane, k)| access.addresses[lane] / 4 + k)
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut passes = [0; 32];
        for word in wanted {
            passes[word as usize % 32] += 1;
        }
        extra += passes.iter().max().unwrap_or(&1) - 1;
    }
    extra
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(addresses: &Lanes<u64>, bytes: u64) -> Accesses<'_> {
        Accesses { touch: Touch::Read, mask: !0, addresses, bytes, constant: false }
    }

    #[test]
    fn sectors_of_known_patterns() {
        let by = |stride: u64| std::array::from_fn(|lane| 0x1000 + stride * lane as u64);
        assert_eq!(sectors(&access(&by(0), 4)), 1);
        assert_eq!(sectors(&access(&by(4), 4)), 4);
        assert_eq!(sectors(&access(&by(16), 16)), 16);
        assert_eq!(sectors(&access(&by(128), 4)), 32);
        let mut backwards: Lanes<u64> = by(4);
        backwards.reverse();
        assert_eq!(sectors(&access(&backwards, 4)), 4);
    }

    #[test]
    fn bank_conflicts_of_known_patterns() {
        let by = |stride: u64| std::array::from_fn(|lane| stride * lane as u64);
        assert_eq!(bank_conflicts(&access(&by(0), 4)), 0, "a broadcast");
        assert_eq!(bank_conflicts(&access(&by(4), 4)), 0);
        assert_eq!(bank_conflicts(&access(&by(8), 4)), 1);
        assert_eq!(bank_conflicts(&access(&by(128), 4)), 31);
        assert_eq!(bank_conflicts(&access(&by(132), 4)), 0, "a padded column");
        assert_eq!(bank_conflicts(&access(&by(16), 16)), 0);
    }
}
