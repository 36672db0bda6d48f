//! Unpacks a gzip file as `gzip` does: all members in sequence, ignoring trailing zeros (as left by
//! tapes and block devices).

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::unreachable,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Maximum number of trailing zeros; more are an error and are not read.
const MAX_PADDING: u64 = 64 << 20;

/// The unpacked contents of a gzip file.
pub(super) struct Members<R> {
    /// The current member; `None` after the last one.
    member: Option<Box<GzDecoder<R>>>,
}

impl<R: BufRead> Members<R> {
    pub(super) fn new(packed: R) -> Self {
        Members {
            member: Some(Box::new(GzDecoder::new(packed))),
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(out)?;
            if read > 0 || out.is_empty() {
                return Ok(read);
            }
            // The member has ended, and its checksum was correct.
            let rest = self.member.take().map(|member| member.into_inner());
            if let Some(mut rest) = rest
                && !is_padding(&mut rest)?
            {
                self.member = Some(Box::new(GzDecoder::new(rest)));
            }
        }
        Ok(0)
    }
}

/// Whether only zeros, or nothing, follow; consumes the zeros.
fn is_padding(rest: &mut impl BufRead) -> io::Result<bool> {
    match rest.fill_buf()?.first() {
        None => return Ok(true),
        Some(0) => {}
        Some(_) => return Ok(false),
    }
    let mut zeros = 0_u64;
    loop {
        let bytes = rest.fill_buf()?;
        let len = bytes.len();
        if len == 0 {
            return Ok(true);
        }
        zeros = zeros.saturating_add(len as u64);
        let wrong = if bytes.iter().any(|&byte| byte != 0) {
            "followed by zeros and then other data"
        } else if zeros > MAX_PADDING {
            "followed by more than 64 MiB of zeros"
        } else {
            rest.consume(len);
            continue;
        };
        return Err(io::Error::new(io::ErrorKind::InvalidData, wrong));
    }
}
