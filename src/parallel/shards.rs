//! How a batch and the vector of parameters are divided.
//!
//! The shards of a batch are the leaves of a binary tree, and a sum over them is the sum of its two halves,
//! down to the leaves. Of `P` processes, rank `r` has the `r`-th of `P` equal groups of neighbouring shards: one
//! node of the tree. The nodes above are formed by ranks that differ in one bit, the lowest bit first. So the
//! tree, and every bit of the sum, is the same for any `P` that divides the shards.
//!
//! At each of these nodes one rank keeps the lower half of the vector and its partner the upper. What a rank is
//! left with after all bits is its own [slice](own): its lowest bit chooses a half, the next a half of that.

use std::ops::Range;

use super::note::Note;
use crate::{Error, Result};

/// Shards of a batch, if the program does not say.
pub(super) const SHARDS: usize = 8;

/// At most so many.
const MOST: usize = 1 << 12;

/// Numbers of the vector's pieces are a multiple of this, so that vectors are not cut.
const LANES: usize = 16;

/// Checks a number of shards for so many processes.
pub(super) fn check(shards: usize, processes: usize) -> Result<()> {
    if !shards.is_power_of_two() || shards > MOST {
        let expected = format!("a power of two, at most {MOST}");
        return Err(Error::parameter("shards", shards, expected));
    }
    if !shards.is_multiple_of(processes) {
        let expected = format!("a number that divides the {shards} shards: 1, 2, 4 …");
        return Err(Error::parameter("number of processes", processes, expected));
    }
    Ok(())
}

/// The samples of shard `n`: contiguous, of sizes that differ by one at most.
pub(super) fn samples(batch: usize, shards: usize, n: usize) -> Range<usize> {
    let begin = |n: usize| (n as u128 * batch as u128 / shards as u128) as usize;
    begin(n)..begin(n + 1)
}

/// The shards of a rank.
pub(super) fn of_rank(shards: usize, rank: usize, processes: usize) -> Range<usize> {
    let each = shards / processes;
    rank * each..(rank + 1) * each
}

/// The length of the vector, padded so that every piece of it, one for each shard, is whole vectors.
pub(super) fn padded(len: usize, shards: usize) -> usize {
    len.next_multiple_of(shards * LANES)
}

/// The part of a vector that is left to a rank after the lowest `bits` of its bits have chosen halves.
pub(super) fn own(len: usize, rank: usize, bits: u32) -> Range<usize> {
    let mut range = 0..len;
    for bit in 0..bits {
        let middle = range.start + range.len() / 2;
        match (rank >> bit) & 1 {
            0 => range.end = middle,
            _ => range.start = middle,
        }
    }
    range
}

/// The sum of notes in the tree, for a power of two of them.
pub(super) fn sum(notes: &[Note]) -> Option<Note> {
    match notes {
        [] => None,
        [one] => Some(one.clone()),
        _ => {
            let (left, right) = notes.split_at(notes.len() / 2);
            let mut all = sum(left)?;
            all.add(&sum(right)?);
            Some(all)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_in_one_shard() {
        for (batch, shards) in [(128, 8), (5, 8), (23, 4), (1, 1), (1000, 64)] {
            let all = (0..shards).flat_map(|n| samples(batch, shards, n));
            assert!(all.eq(0..batch));
            let sizes = (0..shards).map(|n| samples(batch, shards, n).len());
            assert!(sizes.clone().max() <= sizes.min().map(|least| least + 1));
        }
    }

    #[test]
    fn slices_cover_the_vector() {
        for processes in [1_usize, 2, 4, 8] {
            let (len, bits) = (padded(1000, 8), processes.trailing_zeros());
            let mut slices: Vec<_> = (0..processes).map(|rank| own(len, rank, bits)).collect();
            slices.sort_by_key(|slice| slice.start);
            assert_eq!((slices[0].start, slices[processes - 1].end), (0, len));
            assert!(slices.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert!(slices.iter().all(|slice| slice.len() == len / processes));
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        assert!(check(8, 4).is_ok() && check(1, 1).is_ok());
        let error = |shards, processes| {
            let refused = check(shards, processes).expect_err("refused");
            refused.to_string()
        };
        let expected = "expected a power of two, at most 4096";
        assert_eq!(error(6, 2), format!("shards is 6; {expected}"));
        assert_eq!(error(0, 1), format!("shards is 0; {expected}"));
        assert_eq!(
            error(4, 8),
            "number of processes is 8; expected a number that divides the 4 shards: 1, 2, 4 …"
        );
        assert!(error(8, 3).starts_with("number of processes is 3"));
    }
}
