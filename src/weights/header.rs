//! The front of a safetensors file: `[length of the header: u64][header: JSON]`, little-endian,
//! before the tensors. Implemented here so that equal contents give equal bytes: the `safetensors`
//! crate writes metadata in arbitrary order.

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

use std::{collections::BTreeMap, fmt::Write};

use crate::{Error, Result, files};

/// Size of the length field: the offset of the header.
pub(crate) const START: usize = size_of::<u64>();

/// A tensor as the header has it.
pub(crate) struct Entry<'a> {
    /// Must not contain characters that JSON escapes.
    pub name: &'a str,
    /// `F32`, `F64`, `U64`.
    pub dtype: &'static str,
    pub shape: &'a [usize],
    /// Length in bytes.
    pub len: usize,
}

/// The header's JSON, padded with blanks so that the tensors begin at a multiple of eight. `what`
/// is for the message if the header is too long for readers.
pub(crate) fn header<'a>(
    what: &str,
    metadata: &BTreeMap<String, String>,
    tensors: impl Iterator<Item = Entry<'a>>,
) -> Result<String> {
    let metadata = serde_json::to_string(metadata)
        .map_err(|e| Error::parameter("settings", e, "text that JSON can hold"))?;
    let mut header = format!("{{\"__metadata__\":{metadata}");
    let mut start = 0_usize;
    for Entry {
        name,
        dtype,
        shape,
        len,
    } in tensors
    {
        let end = start.saturating_add(len);
        // Writing to a String cannot fail.
        let _ = write!(
            header,
            ",\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":[{start},{end}]}}"
        );
        start = end;
    }
    header.push('}');
    while header.len() % START != 0 {
        header.push(' ');
    }
    match files::too_large(header.as_bytes()) {
        Some((expected, found)) => Err(Error::parameter(
            format!("header of {what}"),
            found,
            expected,
        )),
        None => Ok(header),
    }
}
