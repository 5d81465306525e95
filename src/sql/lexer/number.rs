//! Numbers and parameters, with the rules of Postgres 16 and later; what 15 reads otherwise it refuses.

use super::{LexError, LexErrorReason, Lexer, is_identifier_part, is_identifier_start};
use crate::sql::token::TokenKind;

impl Lexer<'_> {
    /// `decinteger`, `hexinteger`, `octinteger`, `bininteger`, `numeric`, `real` and their failures.
    pub(super) fn number(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let found = match (self.byte(0), self.byte(1).map(|byte| byte.to_ascii_lowercase())) {
            (Some(b'0'), Some(b'x')) => self.based(start + 2, u8::is_ascii_hexdigit),
            (Some(b'0'), Some(b'o')) => self.based(start + 2, |byte| matches!(byte, b'0'..=b'7')),
            (Some(b'0'), Some(b'b')) => self.based(start + 2, |byte| matches!(byte, b'0' | b'1')),
            _ => self.decimal(start),
        };
        let Some(end) = found.filter(|end| !self.is_junk_behind(start, *end)) else {
            return Err(self.error(LexErrorReason::NumberJunk, start));
        };
        self.push_number(TokenKind::Number, start, start, end);
        Ok(())
    }

    /// `$1`; the caller has seen the dollar and a digit.
    pub(super) fn parameter(&mut self) -> Result<(), LexError> {
        let start = self.at;
        let rest = self.source.get(start + 1..).unwrap_or_default();
        let length = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        if rest.get(length).is_some_and(|byte| is_identifier_start(*byte)) {
            return Err(self.error(LexErrorReason::NumberJunk, start));
        }
        let number = rest.get(..length).and_then(|digits| std::str::from_utf8(digits).ok());
        // Servers before 17 let the number wrap around.
        if number.and_then(|digits| digits.parse::<i32>().ok()).is_none() {
            return Err(self.error(LexErrorReason::ParameterTooLarge, start));
        }
        self.push_number(TokenKind::Parameter, start, start + 1, start + 1 + length);
        Ok(())
    }

    fn push_number(&mut self, kind: TokenKind, start: usize, text: usize, end: usize) {
        let text_start = self.out.arena.len();
        self.push_source(text..end);
        self.at = end;
        self.token(kind, start, text_start);
    }

    /// Whether the number and what follows it is junk (`integer_junk`, `numeric_junk`, `real_junk`): a number right
    /// before a name. Its tail from a letter or underscore on could as well be the beginning of the name (`0` and
    /// `x1f`, `1` and `e5`, `1` and `_000`); the longest match then makes junk of it if the name would go on behind
    /// the number, with a digit or a dollar too.
    fn is_junk_behind(&self, start: usize, end: usize) -> bool {
        let Some(next) = self.source.get(end).copied().filter(|byte| is_identifier_part(*byte)) else { return false };
        let number = self.source.get(start..end).unwrap_or_default();
        let tail = number.rsplit(|byte| !is_identifier_part(*byte)).next().unwrap_or_default();
        let junk = if tail.iter().copied().any(is_identifier_start) { is_identifier_part } else { is_identifier_start };
        junk(next)
    }

    /// Where a number in decimal notation ends; `None` where its exponent has no digits.
    fn decimal(&self, start: usize) -> Option<usize> {
        let byte = |at: usize| self.source.get(at).copied();
        let mut end = self.digits(start, |byte| byte.is_ascii_digit());
        if byte(end) == Some(b'.') {
            // `1..10` is an integer, two dots and an integer.
            if byte(end + 1) == Some(b'.') {
                return Some(end);
            }
            end += 1;
            if byte(end).is_some_and(|byte| byte.is_ascii_digit()) {
                end = self.digits(end, |byte| byte.is_ascii_digit());
            }
        }
        if !matches!(byte(end), Some(b'e' | b'E')) {
            return Some(end);
        }
        let signed = matches!(byte(end + 1), Some(b'+' | b'-'));
        let exponent = end + 1 + usize::from(signed);
        byte(exponent).filter(u8::is_ascii_digit)?;
        Some(self.digits(exponent, |byte| byte.is_ascii_digit()))
    }

    /// Where digits behind `0x` and the like end; `None` where there are none.
    fn based(&self, from: usize, is_digit: impl Fn(&u8) -> bool) -> Option<usize> {
        let first = from + usize::from(self.source.get(from) == Some(&b'_'));
        self.source.get(first).filter(|byte| is_digit(byte))?;
        Some(self.digits(first, |byte| is_digit(&byte)))
    }

    /// Where a run of digits with single underscores between them ends.
    fn digits(&self, from: usize, is_digit: impl Fn(u8) -> bool) -> usize {
        let digit_at = |at: usize| self.source.get(at).is_some_and(|byte| is_digit(*byte));
        let mut at = from;
        while digit_at(at) || (self.source.get(at) == Some(&b'_') && at > from && digit_at(at + 1)) {
            at += 1;
        }
        at
    }
}
