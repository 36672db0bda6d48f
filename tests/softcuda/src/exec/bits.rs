//! Bit fields and bytes of one value: `bfe`, `bfi`, `prmt`.

/// `bfe`: a field of `length` bits from `start`; a signed one is extended by its highest bit, which is
/// the operand's own where the field goes beyond it.
pub fn extract(x: u64, start: u32, length: u32, width: u32, signed: bool) -> u64 {
    let (start, length) = (start & 0xff, length & 0xff);
    if length == 0 {
        return 0;
    }
    let highest = (start + length - 1).min(width - 1);
    let sign = signed && x >> highest & 1 != 0;
    let field = if start < width { x >> start } else { 0 };
    let kept = length.min(width.saturating_sub(start));
    let mask = if kept >= 64 { !0 } else { (1u64 << kept) - 1 };
    field & mask | if sign { !mask } else { 0 }
}

pub fn insert(a: u64, b: u64, start: u32, length: u32, width: u32) -> u64 {
    let (start, length) = (start & 0xff, length & 0xff);
    if start >= width || length == 0 {
        return b;
    }
    let length = length.min(width - start);
    let field = if length >= 64 {
        !0
    } else {
        (1u64 << length) - 1
    };
    b & !(field << start) | (a & field) << start
}

/// `prmt`: four bytes chosen from the eight of `b:a`, each by a nibble whose top bit replicates the sign.
pub fn permute(a: u32, b: u32, selector: u32) -> u32 {
    let bytes = u64::from(b) << 32 | u64::from(a);
    (0..4).fold(0, |value, at| {
        let nibble = selector >> (4 * at) & 0xf;
        let mut byte = (bytes >> (8 * (nibble & 7)) & 0xff) as u32;
        if nibble & 8 != 0 {
            byte = if byte & 0x80 != 0 { 0xff } else { 0 };
        }
        value | byte << (8 * at)
    })
}
