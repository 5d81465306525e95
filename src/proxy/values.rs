//! Bind values as text, for the record and for who has to approve them.

use std::fmt::Write as _;

use crate::catalog::Parameter;
use crate::wire::frontend::Bind;

/// A value longer than this is shown by its beginning.
const LONGEST_SHOWN_BYTES: usize = 64 * 1024;

/// SQL text for records and approvers: as it is where it is UTF-8, otherwise with its other bytes escaped.
pub(super) fn text_of(sql: &[u8]) -> String {
    match std::str::from_utf8(sql) {
        Ok(text) => text.to_owned(),
        Err(_) => sql.escape_ascii().to_string(),
    }
}

/// The values of a Bind message's body as text, `None` for NULL; `None` altogether where there are none.
pub(super) fn texts(bind: &[u8], types: &[u32]) -> Option<Vec<Option<String>>> {
    let bind = Bind::decode(bind).ok()?;
    if bind.values.is_empty() {
        return None;
    }
    let texts = bind.values.iter().enumerate().map(|(index, value)| {
        value.map(|bytes| match bind.formats.of(index) {
            Some(0) => text_of(clipped(bytes)),
            _ => binary(clipped(bytes), types.get(index).copied().unwrap_or(0)),
        })
    });
    Some(texts.collect())
}

/// The values of a Bind message's body as an approver reads them, with their types where those are known.
pub(super) fn shown(bind: &[u8], types: &[u32]) -> Vec<String> {
    let texts = texts(bind, types).unwrap_or_default();
    let with_type = |(index, text): (usize, Option<String>)| {
        let text = text.unwrap_or_else(|| "NULL".to_owned());
        match types.get(index).and_then(|oid| type_name(*oid)) {
            Some(name) => format!("{text}::{name}"),
            None => text,
        }
    };
    texts.into_iter().enumerate().map(with_type).collect()
}

const fn type_name(oid: u32) -> Option<&'static str> {
    Some(match oid {
        16 => "bool",
        17 => "bytea",
        19 => "name",
        20 => "int8",
        21 => "int2",
        23 => "int4",
        25 => "text",
        26 => "oid",
        114 => "json",
        700 => "float4",
        701 => "float8",
        1042 => "bpchar",
        1043 => "varchar",
        1082 => "date",
        1114 => "timestamp",
        1184 => "timestamptz",
        1700 => "numeric",
        2950 => "uuid",
        3802 => "jsonb",
        _ => return None,
    })
}

/// The values of a Bind message's body for the planner: only what is certainly text.
pub(super) fn parameters(bind: &[u8], types: &[u32]) -> Vec<Parameter> {
    let Ok(bind) = Bind::decode(bind) else { return Vec::new() };
    let parameter = |(index, value): (usize, Option<&[u8]>)| {
        let Some(bytes) = value else { return Parameter::Null };
        if bytes.len() > LONGEST_SHOWN_BYTES {
            return Parameter::Unknown;
        }
        let text = match bind.formats.of(index) {
            Some(0) => std::str::from_utf8(bytes).ok().map(str::to_owned),
            _ => known_binary(bytes, types.get(index).copied().unwrap_or(0)),
        };
        text.map_or(Parameter::Unknown, Parameter::Text)
    };
    bind.values.iter().enumerate().map(parameter).collect()
}

fn clipped(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(LONGEST_SHOWN_BYTES)]
}

/// A value in binary format. Types are told by their OIDs (`pg_type.dat`); where we do not know one, or the bytes
/// do not fit it, the bytes are shown as `bytea` writes them.
fn binary(bytes: &[u8], oid: u32) -> String {
    known_binary(bytes, oid).unwrap_or_else(|| hex(bytes))
}

fn known_binary(bytes: &[u8], oid: u32) -> Option<String> {
    match (oid, bytes) {
        (16, [byte]) => Some((*byte != 0).to_string()),
        (21, _) => bytes.try_into().ok().map(|bytes| i16::from_be_bytes(bytes).to_string()),
        (23, _) => bytes.try_into().ok().map(|bytes| i32::from_be_bytes(bytes).to_string()),
        (26, _) => bytes.try_into().ok().map(|bytes| u32::from_be_bytes(bytes).to_string()),
        (20, _) => bytes.try_into().ok().map(|bytes| i64::from_be_bytes(bytes).to_string()),
        (700, _) => bytes.try_into().ok().map(|bytes| f32::from_be_bytes(bytes).to_string()),
        (701, _) => bytes.try_into().ok().map(|bytes| f64::from_be_bytes(bytes).to_string()),
        (2950, _) => bytes.try_into().ok().map(uuid),
        // text, bpchar, varchar, name, json, xml
        (25 | 1042 | 1043 | 19 | 114 | 142, _) => std::str::from_utf8(bytes).ok().map(str::to_owned),
        (3802, [1, json @ ..]) => std::str::from_utf8(json).ok().map(str::to_owned),
        _ => None,
    }
}

fn uuid(bytes: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + bytes.len() * 2);
    text.push_str("\\x");
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_types_are_read_and_others_shown_as_bytes() {
        assert_eq!(binary(&7_i32.to_be_bytes(), 23), "7");
        assert_eq!(binary(&(-7_i64).to_be_bytes(), 20), "-7");
        assert_eq!(binary(&[1], 16), "true");
        assert_eq!(binary(b"abc", 25), "abc");
        assert_eq!(binary(&[0xff, 0xfe], 25), "\\xfffe");
        assert_eq!(binary(&[0, 0, 1], 23), "\\x000001");
        assert_eq!(binary(&[0; 16], 2950), "00000000-0000-0000-0000-000000000000");
        assert_eq!(binary(&[0xde, 0xad], 0), "\\xdead");
    }

    #[test]
    fn a_text_that_is_not_utf8_stays_distinct() {
        assert_ne!(text_of(b"a\xff"), text_of(b"a\xfe"));
        assert_eq!(text_of("sélect".as_bytes()), "sélect");
    }
}
