//! JSON for terminals: the same document as `serde_json` writes, with every deceptive character as an
//! escape, so that what `--json` prints is safe to look at and equal when parsed.

use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

use super::untrusted::is_deceptive;

/// Writes one value as compact JSON, without a line end.
///
/// # Errors
///
/// What the writer fails with, or a value that is no JSON (a map with keys that are no strings).
pub fn write<W: io::Write, T: Serialize + ?Sized>(writer: W, value: &T) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(writer, VisibleFormatter);
    Ok(value.serialize(&mut serializer)?)
}

/// Compact, with deceptive characters escaped.
struct VisibleFormatter;

impl Formatter for VisibleFormatter {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        let mut plain_from = 0;
        for (at, character) in fragment.char_indices() {
            if is_deceptive(character) {
                writer.write_all(&fragment.as_bytes()[plain_from..at])?;
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
                plain_from = at + character.len_utf8();
            }
        }
        writer.write_all(&fragment.as_bytes()[plain_from..])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes, text).expect("a string is JSON");
        String::from_utf8(bytes).expect("JSON is UTF-8")
    }

    #[test]
    fn deceptive_characters_are_escaped() {
        assert_eq!(written("a\u{202e}\u{e0041}\u{9b}\"ü"), r#""a\u202e\udb40\udc41\u009b\"ü""#);
    }

    proptest! {
        #[test]
        fn it_parses_back_and_shows_everything(text in any::<String>()) {
            let json = written(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).expect("JSON"), text);
            prop_assert!(!json.chars().any(is_deceptive));
        }
    }
}
