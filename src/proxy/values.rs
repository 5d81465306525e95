//! Bind values as text, for the record and for who has to approve them.

use std::fmt::Write as _;

use crate::audit::write_string;
use crate::sql::Encoding;
use crate::sql::parameters::Value;
use crate::wire::frontend::Bind;

/// A value longer than this is shown by its beginning.
const LONGEST_SHOWN_BYTES: usize = 64 * 1024;

/// Values of a Bind message up to this size are never cut in a record.
const LONGEST_UNCUT_BYTES: usize = 1024;

/// Text for records: as it is, but for bytes that are not UTF-8, which are written `\xNN`. Line ends and quotes stay: a
/// comment ends where it does.
pub(super) fn text_of(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        push_escaped(&mut text, chunk.invalid());
    }
    text
}

/// SQL text for approvers, as the session's encoding reads it; bytes whose character is not known are written `\xNN`.
pub(super) fn text_in(sql: &[u8], encoding: Encoding) -> String {
    match encoding {
        Encoding::Utf8 => text_of(sql),
        Encoding::Latin1 => sql.iter().copied().map(char::from).collect(),
        Encoding::Bytes => {
            let mut text = String::with_capacity(sql.len());
            for run in sql.chunk_by(|one, other| one.is_ascii() == other.is_ascii()) {
                match std::str::from_utf8(run) {
                    Ok(ascii) if ascii.is_ascii() => text.push_str(ascii),
                    _ => push_escaped(&mut text, run),
                }
            }
            text
        }
    }
}

fn push_escaped(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        let _ = write!(text, "\\x{byte:02x}");
    }
}

/// Writes the values of a Bind message's body as the field of a record, if there are any: what [`texts`] gives. False
/// where they are long, and have to be cut.
pub(super) fn write(out: &mut Vec<u8>, body: &[u8], types: &[u32]) -> bool {
    let Ok(bind) = Bind::decode(body) else { return true };
    if bind.values.is_empty() {
        return true;
    }
    if body.len() > LONGEST_UNCUT_BYTES {
        return false;
    }
    out.extend_from_slice(b",\"params\":[");
    for (index, value) in bind.values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match value {
            None => out.extend_from_slice(b"null"),
            Some(bytes) if bind.formats.of(index) == Some(0) => match std::str::from_utf8(bytes) {
                Ok(text) => write_string(out, text),
                Err(_) => write_string(out, &text_of(bytes)),
            },
            Some(bytes) => write_string(out, &binary(bytes, types.get(index).copied().unwrap_or(0))),
        }
    }
    out.push(b']');
    true
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

/// The values of a Bind message's body for the planner, and for judging a text with them: only what is certainly text.
pub(super) fn parameters(bind: &[u8], types: &[u32]) -> Vec<Value> {
    let Ok(bind) = Bind::decode(bind) else { return Vec::new() };
    let parameter = |(index, value): (usize, Option<&[u8]>)| {
        let Some(bytes) = value else { return Value::Null };
        if bytes.len() > LONGEST_SHOWN_BYTES {
            return Value::Unknown;
        }
        let text = match bind.formats.of(index) {
            Some(0) => std::str::from_utf8(bytes).ok().map(str::to_owned),
            _ => known_binary(bytes, types.get(index).copied().unwrap_or(0)),
        };
        text.map_or(Value::Unknown, Value::Text)
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
        (1082, _) => date(i32::from_be_bytes(bytes.try_into().ok()?)),
        (1114, _) => timestamp(i64::from_be_bytes(bytes.try_into().ok()?), ""),
        (1184, _) => timestamp(i64::from_be_bytes(bytes.try_into().ok()?), "+00"),
        (1700, _) => numeric(bytes),
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

/// Days since 2000-01-01 (`src/include/utils/date.h`).
fn date(days: i32) -> Option<String> {
    if let Some(endless) = endless(days == i32::MAX, days == i32::MIN) {
        return Some(endless);
    }
    let date = jiff::civil::date(2000, 1, 1).checked_add(jiff::Span::new().try_days(days).ok()?).ok()?;
    (date.year() > 0).then(|| date.to_string())
}

/// Microseconds since 2000-01-01 (`src/include/datatype/timestamp.h`).
fn timestamp(microseconds: i64, zone: &str) -> Option<String> {
    if let Some(endless) = endless(microseconds == i64::MAX, microseconds == i64::MIN) {
        return Some(endless);
    }
    let since = jiff::Span::new().try_microseconds(microseconds).ok()?;
    let time = jiff::civil::date(2000, 1, 1).at(0, 0, 0, 0).checked_add(since).ok()?;
    (time.year() > 0).then(|| format!("{} {}{zone}", time.date(), time.time()))
}

fn endless(after: bool, before: bool) -> Option<String> {
    match (after, before) {
        (true, _) => Some("infinity".to_owned()),
        (_, true) => Some("-infinity".to_owned()),
        _ => None,
    }
}

/// Digits to the base 10,000 (`numeric_send`, `src/backend/utils/adt/numeric.c`).
fn numeric(bytes: &[u8]) -> Option<String> {
    /// Of base 10,000, before the point; and of base 10, behind it. Longer ones are shown as bytes.
    const MOST_DIGITS: i16 = 250;
    let mut words = bytes.chunks_exact(2).map(|word| i16::from_be_bytes([word[0], word[1]]));
    let (count, weight, sign, scale) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let digits: Vec<i16> = words.collect();
    let is_well_formed = bytes.len().is_multiple_of(2)
        && usize::try_from(count).is_ok_and(|count| count == digits.len())
        && digits.iter().all(|digit| (0..10_000).contains(digit));
    if !is_well_formed || !(-MOST_DIGITS..MOST_DIGITS).contains(&weight) || !(0..MOST_DIGITS).contains(&scale) {
        return None;
    }
    let minus = match sign.cast_unsigned() {
        0x0000 => "",
        0x4000 => "-",
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => return None,
    };
    // The digit of a place: places count down from the weight, the last before the point is 0.
    let digit = |place: i16| usize::try_from(weight - place).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0);
    let whole: String = (0..=weight.max(0)).rev().map(|place| format!("{:04}", digit(place))).collect();
    let fraction: String = (1..=(scale + 3) / 4).map(|place| format!("{:04}", digit(-place))).collect();
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let point = if scale > 0 { "." } else { "" };
    Some(format!("{minus}{whole}{point}{}", &fraction[..usize::try_from(scale).ok()?]))
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
    fn values_are_written_as_they_are_listed() {
        let mut body = b"portal\0statement\0".to_vec();
        body.extend([0, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4]);
        for value in [Some(&b"a \"quoted\" \xc3\xa4"[..]), Some(b"\xff"), Some(&7_i32.to_be_bytes()), None] {
            body.extend(value.map_or(-1, |value| i32::try_from(value.len()).unwrap()).to_be_bytes());
            body.extend(value.unwrap_or_default());
        }
        body.extend([0, 0]);
        let types = [0, 0, 23, 0];
        let mut out = Vec::new();
        assert!(write(&mut out, &body, &types));
        let listed = serde_json::to_string(&texts(&body, &types).unwrap()).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!(",\"params\":{listed}"));
        body.resize(LONGEST_UNCUT_BYTES + 1, 0);
        let mut out = Vec::new();
        assert!(write(&mut out, b"\0\0\0\0\0\0\0\0", &[]) && out.is_empty());
    }

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
    fn dates_and_times_are_read() {
        assert_eq!(binary(&8432_i32.to_be_bytes(), 1082), "2023-02-01");
        assert_eq!(binary(&(-1_i32).to_be_bytes(), 1082), "1999-12-31");
        assert_eq!(binary(&i32::MAX.to_be_bytes(), 1082), "infinity");
        assert_eq!(binary(&(i32::MAX - 1).to_be_bytes(), 1082), "\\x7ffffffe");
        assert_eq!(binary(&86_400_000_001_i64.to_be_bytes(), 1114), "2000-01-02 00:00:00.000001");
        assert_eq!(binary(&0_i64.to_be_bytes(), 1184), "2000-01-01 00:00:00+00");
        assert_eq!(binary(&i64::MIN.to_be_bytes(), 1184), "-infinity");
        assert_eq!(binary(&(i64::MIN + 1).to_be_bytes(), 1184), "\\x8000000000000001");
    }

    /// What Postgres sends for these numbers.
    #[test]
    fn numbers_of_any_precision_are_read() {
        let words = |words: &[u16]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        for (sent, text) in [
            (&[2, 0, 0, 2, 12, 3400][..], "12.34"),
            (&[2, 1, 0x4000, 0, 1, 5000], "-15000"),
            (&[1, u16::MAX, 0, 3, 50], "0.005"),
            (&[1, 1, 0, 0, 3], "30000"),
            (&[0, 0, 0, 0], "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[0, 0, 0xC000, 0], "NaN"),
            (&[0, 0, 0xF000, 0], "-Infinity"),
        ] {
            assert_eq!(binary(&words(sent), 1700), text);
        }
        for broken in [&[2, 0, 0, 2, 12][..], &[1, 0, 0, 0, 10_000], &[1, 0x7fff, 0, 0, 1], &[0, 0, 1, 0]] {
            assert!(binary(&words(broken), 1700).starts_with("\\x"), "{broken:?}");
        }
    }

    #[test]
    fn a_text_that_is_not_utf8_stays_distinct() {
        assert_ne!(text_of(b"a\xff"), text_of(b"a\xfe"));
        assert_eq!(text_of("sélect".as_bytes()), "sélect");
    }
}
