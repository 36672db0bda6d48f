//! Loads, stores and atomics of a warp: addresses, the space that each lane means, the checks, and the
//! counts of sectors and bank conflicts.

use super::launch::Block;
use super::warp::Warp;
use crate::decode::form::*;
use crate::error::{Checked, Fault, Rule};
use crate::memory::arena::Accesses;
use crate::memory::segment::Touch;
use crate::memory::{Lanes, lanes, per_lane};
use crate::ptx::{Space, Type};

impl Warp<'_> {
    #[inline(always)]
    fn addresses(&self, address: &Address, mask: u32) -> Checked<Lanes<u64>> {
        let Some(base) = address.base else {
            return Ok([address.offset; 32]);
        };
        let raw = self.raw(base, mask)?;
        Ok(per_lane(|lane| raw[lane].wrapping_add(address.offset)))
    }

    #[inline(always)]
    pub fn load(&mut self, block: &mut Block, mask: u32, at: usize, access: &Access) -> Checked {
        let addresses = self.addresses(&access.address, mask)?;
        match access.space {
            Space::Shared | Space::Global | Space::Const => {
                self.load_from(block, access.space, &addresses, mask, at, access)
            }
            _ => self.load_other(block, &addresses, mask, at, access),
        }
    }

    /// From parameters, local memory, or wherever generic addresses point to.
    fn load_other(
        &mut self,
        block: &mut Block,
        addresses: &Lanes<u64>,
        mask: u32,
        at: usize,
        access: &Access,
    ) -> Checked {
        let size = access.ty.bytes();
        let bytes = size * u64::from(access.count);
        for (space, addresses, mask) in split(access.space, addresses, mask).into_iter().flatten() {
            match space {
                Space::Param | Space::Local => {
                    block.stats.local_accesses += u64::from(space == Space::Local);
                    let mut values = [[0; 32]; 4];
                    for lane in lanes(mask) {
                        if space == Space::Local {
                            self.local.admit(lane, addresses[lane], bytes, true)?;
                        }
                        for (k, values) in values.iter_mut().enumerate().take(access.count.into()) {
                            let address = addresses[lane] + k as u64 * size;
                            values[lane] = match space {
                                Space::Local => self.local.load(lane, address, size),
                                _ => block.parameter(lane, address, size)?,
                            };
                        }
                    }
                    for (register, values) in access.registers().iter().zip(&values) {
                        self.set_raw(*register, access.ty, values, mask);
                    }
                }
                space => self.load_from(block, space, &addresses, mask, at, access)?,
            }
        }
        Ok(())
    }

    /// From global, constant or shared memory.
    #[inline(always)]
    fn load_from(
        &mut self,
        block: &mut Block,
        space: Space,
        addresses: &Lanes<u64>,
        mask: u32,
        at: usize,
        access: &Access,
    ) -> Checked {
        let size = access.ty.bytes();
        let whole = Accesses {
            touch: Touch::Read,
            mask,
            addresses,
            bytes: size * u64::from(access.count),
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
            for (k, register) in access.registers().iter().enumerate() {
                let skip = k as u64 * size;
                if size == 4 && register.bits == 32 {
                    self.set(
                        register.index,
                        &segment.gather_words(addresses, mask, skip),
                        mask,
                    );
                } else {
                    let values = segment.gather(addresses, mask, skip, size);
                    self.set_raw(*register, access.ty, &values, mask);
                }
            }
            Ok(true)
        })
    }

    #[inline(always)]
    pub fn store(&mut self, block: &mut Block, mask: u32, at: usize, access: &Access) -> Checked {
        let addresses = self.addresses(&access.address, mask)?;
        match access.space {
            Space::Shared | Space::Global => {
                self.store_to(block, access.space, &addresses, mask, at, access)
            }
            _ => self.store_other(block, &addresses, mask, at, access),
        }
    }

    /// To local memory, or wherever generic addresses point to.
    fn store_other(
        &mut self,
        block: &mut Block,
        addresses: &Lanes<u64>,
        mask: u32,
        at: usize,
        access: &Access,
    ) -> Checked {
        let size = access.ty.bytes();
        let bytes = size * u64::from(access.count);
        for (space, addresses, mask) in split(access.space, addresses, mask).into_iter().flatten() {
            if space != Space::Local {
                self.store_to(block, space, &addresses, mask, at, access)?;
                continue;
            }
            block.stats.local_accesses += 1;
            for lane in lanes(mask) {
                self.local.admit(lane, addresses[lane], bytes, false)?;
            }
            for (k, register) in access.registers().iter().enumerate() {
                let values = self.raw(*register, mask)?;
                for lane in lanes(mask) {
                    let address = addresses[lane] + k as u64 * size;
                    self.local.store(lane, address, size, values[lane]);
                }
            }
        }
        Ok(())
    }

    /// To global or shared memory.
    #[inline(always)]
    fn store_to(
        &mut self,
        block: &mut Block,
        space: Space,
        addresses: &Lanes<u64>,
        mask: u32,
        at: usize,
        access: &Access,
    ) -> Checked {
        let size = access.ty.bytes();
        let whole = Accesses {
            touch: Touch::Write,
            mask,
            addresses,
            bytes: size * u64::from(access.count),
            constant: false,
        };
        let visit = block.count(self, space, &whole);
        let (arena, caches) = block.arena(space);
        each(mask, |mask| {
            let part = Accesses { mask, ..whole };
            let Some(index) = arena.admit(&mut caches[at], &part, &visit)? else {
                return Ok(false);
            };
            for (k, register) in access.registers().iter().enumerate() {
                let values = self.raw(*register, mask)?;
                arena.segments[index].scatter(addresses, mask, k as u64 * size, size, &values);
            }
            Ok(true)
        })
    }

    /// Lanes take their turns in order.
    pub fn atomic(&mut self, block: &mut Block, mask: u32, at: usize, op: &Op) -> Checked {
        let Op::Atomic {
            op,
            space,
            ty,
            d,
            address,
            b,
            c,
        } = op
        else {
            return Ok(());
        };
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
                return Err(Fault::new(
                    Rule::AddressSpace,
                    mask.trailing_zeros(),
                    message,
                ));
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
                let Some(index) = arena.admit(&mut caches[at], &part, &visit)? else {
                    continue;
                };
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
        let to = from.map(|x| {
            if back {
                x.wrapping_sub(base)
            } else {
                x.wrapping_add(base)
            }
        });
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
    for (part, wanted) in parts
        .iter_mut()
        .zip([Space::Global, Space::Shared, Space::Local])
    {
        let inside = lanes(mask).filter(|&lane| window_of(addresses[lane]).0 == wanted);
        let inside = inside.fold(0, |inside, lane| inside | 1 << lane);
        if inside != 0 {
            *part = Some((
                wanted,
                addresses.map(|address| window_of(address).1),
                inside,
            ));
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
        (Atomic::Inc, _) => {
            if old32 >= b32 {
                0
            } else {
                old + 1
            }
        }
        (Atomic::Dec, _) => {
            if old32 == 0 || old32 > b32 {
                b
            } else {
                old - 1
            }
        }
        (Atomic::And, _) => old & b,
        (Atomic::Or, _) => old | b,
        (Atomic::Xor, _) => old ^ b,
        (Atomic::Exch, _) => b,
        (Atomic::Cas, _) => {
            if old == b {
                c
            } else {
                old
            }
        }
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

/// Passes over the 32 banks of four bytes, and how many there would be without conflicts.
///
/// Words of four bytes go by the whole warp; lanes that want the same word share a pass. Vectors of 8
/// and 16 bytes go by half and quarter warps, but by twice as many lanes where every lane has the same
/// address as its neighbour (lane ^ 1), or every lane the same as the one two apart (lane ^ 2): so
/// NVIDIA, <https://forums.developer.nvidia.com/t/unexpected-shared-memory-bank-conflict/77228>.
pub fn passes(access: &Accesses) -> (u64, u64) {
    let words = (access.bytes / 4).max(1);
    let mut lanes_together = 32 / words as usize;
    let paired = |by: usize| {
        lanes(access.mask).all(|lane| {
            let other = lane ^ by;
            access.mask >> other & 1 == 0 || access.addresses[lane] == access.addresses[other]
        })
    };
    if words > 1 && (paired(1) || paired(2)) {
        lanes_together *= 2;
    }
    let (mut all, mut least) = (0, 0);
    for first in (0..32).step_by(lanes_together) {
        let group = access.mask & ((((1u64 << lanes_together) - 1) as u32) << first);
        if group == 0 {
            continue;
        }
        least += 1;
        let (mut low, mut high) = (u64::MAX, 0);
        for lane in lanes(group) {
            low = low.min(access.addresses[lane] / 4);
            high = high.max(access.addresses[lane] / 4);
        }
        // Within a row of 32 words, no two words share a bank.
        all += match high + words <= low + 32 {
            true => 1,
            false => passes_of(access, group, words),
        };
    }
    (all, least)
}

/// The most different words that one bank must give to the lanes of `group`.
fn passes_of(access: &Accesses, group: u32, words: u64) -> u64 {
    let mut wanted = [0; 128];
    let mut count = 0;
    let mut last = [u64::MAX; 32];
    let mut passes = [0; 32];
    for lane in lanes(group) {
        for k in 0..words {
            let word = access.addresses[lane] / 4 + k;
            let bank = word as usize % 32;
            let repeated =
                passes[bank] > 0 && (last[bank] == word || wanted[..count].contains(&word));
            if !repeated {
                (wanted[count], last[bank]) = (word, word);
                count += 1;
                passes[bank] += 1;
            }
        }
    }
    passes.into_iter().max().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(addresses: &Lanes<u64>, bytes: u64) -> Accesses<'_> {
        Accesses {
            touch: Touch::Read,
            mask: !0,
            addresses,
            bytes,
            constant: false,
        }
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
        assert_eq!(passes(&access(&by(0), 4)), (1, 1), "a broadcast");
        assert_eq!(passes(&access(&by(4), 4)), (1, 1));
        assert_eq!(passes(&access(&by(8), 4)), (2, 1));
        assert_eq!(passes(&access(&by(128), 4)), (32, 1));
        assert_eq!(passes(&access(&by(132), 4)), (1, 1), "a padded column");
        assert_eq!(passes(&access(&by(16), 16)), (4, 4));
        assert_eq!(passes(&access(&by(0), 16)), (2, 2), "neighbours are paired");
        let paired = std::array::from_fn(|lane| 16 * (lane as u64 / 2 % 8));
        assert_eq!(
            passes(&access(&paired, 16)),
            (2, 2),
            "lanes share with their neighbours"
        );
        let halves = std::array::from_fn(|lane| 16 * (lane as u64 % 16));
        assert_eq!(
            passes(&access(&halves, 16)),
            (4, 4),
            "with lanes 16 apart they do not"
        );
        assert_eq!(passes(&access(&by(8), 8)), (2, 2));
    }
}
