//! Cuts PTX text into tokens, each with its line.

use crate::error::LoadError;

#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A name, directive or opcode, with its dots: `ld.global.f32`, `.reg`, `%tid.x`, `$L__BB0_1`.
    Word(String),
    Integer(u64),
    /// The bits of `0f…`.
    F32(u32),
    /// The bits of `0d…`.
    F64(u64),
    Text(String),
    Mark(char),
}

#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    pub line: u32,
}

fn in_word(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'_' | b'$' | b'%' | b'.')
}

/// All tokens of `source`; comments of both kinds are dropped.
pub fn tokens(source: &str) -> Result<Vec<Token>, LoadError> {
    let bytes = source.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let c = bytes[at];
        let start = at;
        match c {
            b'\n' => {
                line += 1;
                at += 1;
            }
            b' ' | b'\t' | b'\r' => at += 1,
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                while at < bytes.len() && bytes[at] != b'\n' {
                    at += 1;
                }
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let length = source[at..]
                    .find("*/")
                    .ok_or_else(|| LoadError::new(line, "a comment without an end"))?;
                line += source[at..at + length].matches('\n').count() as u32;
                at += length + 2;
            }
            b'"' => {
                let length = source[at + 1..]
                    .find('"')
                    .ok_or_else(|| LoadError::new(line, "a string without an end"))?;
                let text = source[at + 1..at + 1 + length].to_owned();
                found.push(Token {
                    kind: Kind::Text(text),
                    line,
                });
                at += length + 2;
            }
            b'0'..=b'9' => {
                while at < bytes.len() && in_word(bytes[at]) {
                    at += 1;
                }
                let text = &source[start..at];
                let kind = match number(text) {
                    Some(kind) => kind,
                    // The `6.0` of `.version 6.0`.
                    None if text.contains('.') => Kind::Word(text.to_owned()),
                    None => return Err(LoadError::new(line, format!("not a number: `{text}`"))),
                };
                found.push(Token { kind, line });
            }
            _ if in_word(c) => {
                while at < bytes.len() && in_word(bytes[at]) {
                    at += 1;
                }
                found.push(Token {
                    kind: Kind::Word(source[start..at].to_owned()),
                    line,
                });
            }
            _ if c.is_ascii_graphic() => {
                if c == b':' && bytes.get(at + 1) == Some(&b':') {
                    return Err(LoadError::new(
                        line,
                        "state spaces with `::` are not supported",
                    ));
                }
                found.push(Token {
                    kind: Kind::Mark(c as char),
                    line,
                });
                at += 1;
            }
            _ => return Err(LoadError::new(line, format!("unexpected byte 0x{c:02x}"))),
        }
    }
    Ok(found)
}

/// Decimal, hexadecimal, octal and binary integers, with or without `U`, and `0f`/`0d` bit patterns.
fn number(text: &str) -> Option<Kind> {
    if let Some(bits) = text.strip_prefix("0f").or_else(|| text.strip_prefix("0F")) {
        return (bits.len() == 8)
            .then(|| u32::from_str_radix(bits, 16).ok().map(Kind::F32))
            .flatten();
    }
    if let Some(bits) = text.strip_prefix("0d").or_else(|| text.strip_prefix("0D")) {
        return (bits.len() == 16)
            .then(|| u64::from_str_radix(bits, 16).ok().map(Kind::F64))
            .flatten();
    }
    let digits = text.trim_end_matches('U');
    let lower = digits.to_ascii_lowercase();
    let value = if let Some(hex) = lower.strip_prefix("0x") {
        u64::from_str_radix(hex, 16)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        u64::from_str_radix(binary, 2)
    } else if lower.len() > 1 && lower.starts_with('0') {
        u64::from_str_radix(&lower[1..], 8)
    } else {
        lower.parse()
    };
    value.ok().map(Kind::Integer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_form() {
        assert_eq!(number("17"), Some(Kind::Integer(17)));
        assert_eq!(number("0x1FU"), Some(Kind::Integer(31)));
        assert_eq!(number("017"), Some(Kind::Integer(15)));
        assert_eq!(number("0b101"), Some(Kind::Integer(5)));
        assert_eq!(number("0f3F800000"), Some(Kind::F32(0x3f80_0000)));
        assert_eq!(
            number("0d3FF0000000000000"),
            Some(Kind::F64(0x3ff0_0000_0000_0000))
        );
        assert_eq!(number("0f3F8"), None);
        assert_eq!(number("1.5"), None);
    }

    #[test]
    fn lines_are_counted_through_comments() {
        let found = tokens("// one\n/* two\nthree */ a\n b").unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[1].line), (3, 4));
    }
}
