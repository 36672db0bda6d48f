//! The instructions that the lanes of a warp execute together: shuffles, votes, `bar.warp.sync`.
//!
//! Every lane that a member mask names must come to the same instruction. Lanes of a mask that never
//! existed, in a block whose size is not a multiple of 32, are ignored; lanes that have ended are not.

use super::warp::Warp;
use crate::decode::form::*;
use crate::error::{Checked, Fault, Rule};
use crate::memory::{Lanes, lanes};

/// What comes of lanes arriving at such an instruction.
pub enum Meeting {
    /// All lanes of all masks are there.
    Complete(Lanes<u32>),
    /// Others must come first.
    Wait,
}

impl Warp<'_> {
    /// Whether the lanes of `here` may go on, with each lane's member mask.
    pub fn meet(&self, here: u32, mask: R) -> Checked<Meeting> {
        let members = self.get::<u32>(mask, here)?;
        for lane in lanes(here) {
            let named = members[lane] & self.existing;
            if named >> lane & 1 == 0 {
                let message = format!(
                    "the member mask {:#x} does not name the lane itself",
                    members[lane]
                );
                return Err(Fault::new(Rule::Divergence, lane as u32, message));
            }
            let ended = named & !self.live;
            if ended != 0 {
                let message = format!(
                    "the member mask {:#x} names lane {}, which has ended",
                    members[lane],
                    ended.trailing_zeros()
                );
                return Err(Fault::new(Rule::Divergence, lane as u32, message));
            }
            if named & !here != 0 {
                return Ok(Meeting::Wait);
            }
            if let Some(other) = lanes(named).find(|&other| members[other] != members[lane]) {
                let message = format!(
                    "member mask {:#x}, but lane {other} has {:#x}",
                    members[lane], members[other]
                );
                return Err(Fault::new(Rule::Divergence, lane as u32, message));
            }
        }
        Ok(Meeting::Complete(members))
    }

    /// A lane that reads from one that takes no part gets an undefined register.
    pub fn shuffle(&mut self, here: u32, members: &Lanes<u32>, op: &Op) -> Checked {
        let &Op::Shuffle {
            op,
            d,
            valid,
            a,
            b,
            c,
            ..
        } = op
        else {
            return Ok(());
        };
        let a = self.get::<u32>(a, here)?;
        let (b, c) = (self.get::<u32>(b, here)?, self.get::<u32>(c, here)?);
        let mut values = a;
        let (mut defined, mut in_range) = (0, 0);
        for lane in lanes(here) {
            let (segment, clamp) = (c[lane] >> 8 & 0x1f, c[lane] & 0x1f);
            let (own, by) = (lane as u32, b[lane] & 0x1f);
            let highest = (own & segment) | (clamp & !segment);
            let lowest = own & segment;
            let (source, ok) = match op {
                Shuffle::Up => (
                    own.wrapping_sub(by),
                    own as i32 - by as i32 >= highest as i32,
                ),
                Shuffle::Down => (own + by, own + by <= highest),
                Shuffle::Bfly => (own ^ by, own ^ by <= highest),
                Shuffle::Idx => {
                    let source = lowest | (by & !segment);
                    (source, source <= highest)
                }
            };
            let source = if ok { source } else { own };
            in_range |= u32::from(ok) << lane;
            if members[lane] & here & self.existing & 1 << source != 0 {
                values[lane] = a[source as usize];
                defined |= 1 << lane;
            }
        }
        self.set(d, &values, here);
        self.registers.narrow_defined[usize::from(d)] &= !(here & !defined);
        if let Some(valid) = valid {
            self.registers.set_predicate(valid, in_range, here);
        }
        Ok(())
    }

    pub fn vote(&mut self, here: u32, members: &Lanes<u32>, op: &Op) -> Checked {
        let &Op::Vote {
            op, d, p, negated, ..
        } = op
        else {
            return Ok(());
        };
        let p = self.registers.predicate(self.kernel, p, here)?;
        let p = if negated { !p } else { p };
        if op == Vote::Ballot {
            let ballots = members.map(|members| p & members & here);
            self.set(d, &ballots, here);
            return Ok(());
        }
        let mut result = 0;
        for lane in lanes(here) {
            let all = members[lane] & here;
            let yes = match op {
                Vote::All => p & all == all,
                Vote::Any => p & all != 0,
                _ => p & all == all || p & all == 0,
            };
            result |= u32::from(yes) << lane;
        }
        self.registers.set_predicate(d, result, here);
        Ok(())
    }
}
