//! Everything between quotes: strings of all kinds, quoted identifiers, dollar quotes.

use super::{LexError, LexErrorReason, Lexer, PendingEscape, is_identifier_start, unicode};
use crate::sql::settings::{Encoding, ServerEncoding};
use crate::sql::token::TokenKind;

impl Lexer<'_> {
    /// A quoted string with `prefix` bytes before its quote. A plain one reads backslashes as escapes where
    /// `standard_conforming_strings` is off, and so does the string of `N'...'`.
    pub(super) fn string(&mut self, kind: TokenKind, prefix: usize) -> Result<(), LexError> {
        let text = matches!(kind, TokenKind::String | TokenKind::NationalString);
        if text && !self.settings.standard_conforming_strings {
            return self.escaped(kind, prefix);
        }
        let start = self.at;
        let text_start = self.out.arena.len();
        self.at += prefix + 1;
        self.quoted_body(start, text)?;
        self.token(kind, start, text_start);
        Ok(())
    }

    /// `E'...'`.
    pub(super) fn escape_string(&mut self, prefix: usize) -> Result<(), LexError> {
        self.escaped(TokenKind::String, prefix)
    }

    /// `U&'...'`: its escapes are resolved when it is known whether `UESCAPE` follows.
    pub(super) fn unicode_string(&mut self) -> Result<(), LexError> {
        if !self.settings.standard_conforming_strings {
            return Err(self.error(LexErrorReason::UnsafeUnicodeString, self.at));
        }
        self.escapes.push(PendingEscape { token: self.out.tokens.len() });
        self.string(TokenKind::String, 2)
    }

    /// Up to the closing quote, with continuations and, in text, `''` for a quote, into the arena. In a bit string a
    /// second quote begins another string.
    fn quoted_body(&mut self, start: usize, text: bool) -> Result<(), LexError> {
        loop {
            let rest = self.source.get(self.at..).unwrap_or_default();
            let Some(length) = rest.iter().position(|byte| *byte == b'\'') else {
                return Err(self.error(LexErrorReason::UnterminatedString, start));
            };
            self.push_bytes(rest.get(..length).unwrap_or_default());
            self.at += length + 1;
            if text && self.byte(0) == Some(b'\'') {
                self.out.arena.push('\'');
                self.at += 1;
            } else if let Some(inside) = self.continuation() {
                self.at = inside;
            } else {
                return Ok(());
            }
        }
    }

    /// Behind a closing quote: where the string goes on, if white space with a line end in it and another quote
    /// follow (`quotecontinue`).
    fn continuation(&self) -> Option<usize> {
        let byte = |at: usize| self.source.get(at).copied();
        let mut at = self.at;
        let mut seen_newline = false;
        loop {
            match byte(at)? {
                b'\n' | b'\r' => {
                    seen_newline = true;
                    at += 1;
                }
                b' ' | b'\t' | 0x0B | 0x0C => at += 1,
                b'-' if byte(at + 1) == Some(b'-') => {
                    at += self.source.get(at..)?.iter().position(|b| matches!(b, b'\n' | b'\r'))?;
                }
                b'\'' if seen_newline => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// A string with backslash escapes.
    fn escaped(&mut self, kind: TokenKind, prefix: usize) -> Result<(), LexError> {
        let start = self.at;
        let text_start = self.out.arena.len();
        self.at += prefix + 1;
        let mut value = EscapedValue::default();
        loop {
            match self.byte(0) {
                None => return Err(self.error(LexErrorReason::UnterminatedString, start)),
                Some(b'\\') => self.escape(&mut value, start)?,
                Some(b'\'') if self.byte(1) == Some(b'\'') => {
                    value.bytes.push(b'\'');
                    self.at += 2;
                }
                Some(b'\'') => {
                    self.at += 1;
                    match self.continuation() {
                        Some(inside) => self.at = inside,
                        None => break,
                    }
                }
                Some(byte) => {
                    value.bytes.push(byte);
                    self.at += 1;
                }
            }
        }
        if value.invalid(self.settings.encoding) {
            return Err(self.error(LexErrorReason::InvalidEscape, start));
        }
        self.push_bytes(&value.bytes);
        self.token(kind, start, text_start);
        Ok(())
    }

    /// One escape; the position is at its backslash.
    fn escape(&mut self, value: &mut EscapedValue, start: usize) -> Result<(), LexError> {
        let Some(letter) = self.byte(1) else {
            return Err(self.error(LexErrorReason::UnterminatedString, start));
        };
        let rest = self.source.get(self.at + 1..).unwrap_or_default();
        match letter {
            b'0'..=b'7' => {
                let digits = leading(rest, 3, |byte| matches!(byte, b'0'..=b'7'));
                // As the server does, the value is cut to a byte: '\777' is 0xFF.
                value.push_byte((number(digits, 8) & 0xFF).try_into().unwrap_or(0));
                self.at += 1 + digits.len();
            }
            b'x' if rest.get(1).is_some_and(u8::is_ascii_hexdigit) => {
                let digits = leading(rest.get(1..).unwrap_or_default(), 2, |byte| byte.is_ascii_hexdigit());
                value.push_byte(number(digits, 16).try_into().unwrap_or(0));
                self.at += 2 + digits.len();
            }
            b'u' | b'U' => {
                let character = self
                    .unicode_escape()
                    .filter(|c| c.is_ascii() || self.holds_unicode())
                    .ok_or_else(|| self.error(LexErrorReason::InvalidEscape, start))?;
                value.bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => {
                value.bytes.push(match letter {
                    b'b' => 0x08,
                    b'f' => 0x0C,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'v' => 0x0B,
                    other => other,
                });
                self.at += 2;
            }
        }
        Ok(())
    }

    /// `\uXXXX` or `\UXXXXXXXX`, and a second one where the first is half of a surrogate pair.
    fn unicode_escape(&mut self) -> Option<char> {
        let first = self.unicode_unit()?;
        if !(0xD800..0xDC00).contains(&first) {
            // A second half alone is no character, and neither is NUL.
            return char::from_u32(first).filter(|c| *c != '\0');
        }
        let second = self.unicode_unit()?;
        unicode::surrogate_pair(first, second)
    }

    fn unicode_unit(&mut self) -> Option<u32> {
        let width = match (self.byte(0)?, self.byte(1)?) {
            (b'\\', b'u') => 4,
            (b'\\', b'U') => 8,
            _ => return None,
        };
        let digits = self.source.get(self.at + 2..self.at + 2 + width)?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        self.at += 2 + width;
        Some(number(digits, 16))
    }

    /// Whether a Unicode escape beyond ASCII means here what it means on the server.
    pub(super) fn holds_unicode(&self) -> bool {
        self.settings.encoding == Encoding::Utf8 && self.settings.server_encoding == ServerEncoding::Utf8
    }

    /// `"..."`.
    pub(super) fn quoted_identifier(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let text_start = self.out.arena.len();
        self.at += 1;
        let body = self.at;
        self.identifier_body(start)?;
        let sent = self.source.get(body..self.at).unwrap_or_default();
        if self.out.arena.len() == text_start {
            return Err(self.error(LexErrorReason::EmptyIdentifier, start));
        }
        self.cut_name(sent, text_start, start)?;
        self.token(TokenKind::QuotedIdentifier, start, text_start);
        Ok(())
    }

    /// `U&"..."`: decoded and cut when it is known whether `UESCAPE` follows.
    pub(super) fn unicode_identifier(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let text_start = self.out.arena.len();
        self.at += 3;
        self.identifier_body(start)?;
        let text = self.out.arena.get(text_start..).unwrap_or_default();
        if text.is_empty() {
            return Err(self.error(LexErrorReason::EmptyIdentifier, start));
        }
        if !text.is_ascii() && !self.holds_unicode() {
            return Err(self.error(LexErrorReason::AmbiguousIdentifier, start));
        }
        self.escapes.push(PendingEscape { token: self.out.tokens.len() });
        self.token(TokenKind::QuotedIdentifier, start, text_start);
        Ok(())
    }

    /// Up to the closing double quote, with `""`, into the arena.
    fn identifier_body(&mut self, start: usize) -> Result<(), LexError> {
        loop {
            let rest = self.source.get(self.at..).unwrap_or_default();
            let Some(length) = rest.iter().position(|byte| *byte == b'"') else {
                return Err(self.error(LexErrorReason::UnterminatedIdentifier, start));
            };
            self.push_bytes(rest.get(..length).unwrap_or_default());
            self.at += length + 1;
            if self.byte(0) != Some(b'"') {
                return Ok(());
            }
            self.out.arena.push('"');
            self.at += 1;
        }
    }

    /// `$1`, `$$...$$` or `$tag$...$tag$`. A dollar that begins neither has no place in any statement.
    pub(super) fn dollar(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let rest = self.source.get(start + 1..).unwrap_or_default();
        if rest.first().is_some_and(u8::is_ascii_digit) {
            return self.parameter();
        }
        let tag_part = |byte: u8| is_identifier_start(byte) || byte.is_ascii_digit();
        let tag = rest.iter().position(|byte| !tag_part(*byte)).unwrap_or(rest.len());
        if rest.get(tag) != Some(&b'$') {
            return Err(self.error(LexErrorReason::UnexpectedCharacter, start));
        }
        let delimiter = self.source.get(start..start + tag + 2).unwrap_or_default();
        let body_start = start + delimiter.len();
        let Some(length) = find_delimiter(self.source.get(body_start..).unwrap_or_default(), delimiter) else {
            return Err(self.error(LexErrorReason::UnterminatedDollarString, start));
        };
        let text_start = self.out.arena.len();
        self.push_source(body_start..body_start + length);
        self.at = body_start + length + delimiter.len();
        self.token(TokenKind::String, start, text_start);
        Ok(())
    }
}

/// The value of a string with escapes, as bytes: escapes may make any.
#[derive(Default)]
struct EscapedValue {
    bytes: Vec<u8>,
    /// An octal or hexadecimal escape made a NUL.
    nul: bool,
}

impl EscapedValue {
    fn push_byte(&mut self, byte: u8) {
        self.nul |= byte == 0;
        self.bytes.push(byte);
    }

    /// `pg_verifymbstr`, as far as it can be told here.
    fn invalid(&self, encoding: Encoding) -> bool {
        self.nul || (encoding == Encoding::Utf8 && std::str::from_utf8(&self.bytes).is_err())
    }
}

/// The leading bytes, at most `most`, that are digits.
fn leading(bytes: &[u8], most: usize, is_digit: impl Fn(u8) -> bool) -> &[u8] {
    let length = bytes.iter().take(most).position(|byte| !is_digit(*byte)).unwrap_or(bytes.len().min(most));
    bytes.get(..length).unwrap_or_default()
}

/// The value of at most eight digits.
pub(super) fn number(digits: &[u8], base: u32) -> u32 {
    digits.iter().fold(0, |value: u32, digit| {
        value.wrapping_mul(base).wrapping_add(char::from(*digit).to_digit(base).unwrap_or(0))
    })
}

/// Where the closing delimiter begins. A tag holds no dollar, so two candidates never overlap in more than one
/// byte and the search is linear.
fn find_delimiter(text: &[u8], delimiter: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        from += text.get(from..)?.iter().position(|byte| *byte == b'$')?;
        if text.get(from..)?.starts_with(delimiter) {
            return Some(from);
        }
        from += 1;
    }
}
