//! `U&'...'` and `U&"..."`: what `base_yylex` and `str_udeescape` of `src/backend/parser/parser.c` do.

use super::quoted::number;
use super::{LexError, LexErrorReason, Lexer, truncate_name};
use crate::sql::token::TokenKind;

impl Lexer<'_> {
    /// Decodes all tokens with `U&`, and drops the `UESCAPE 'x'` behind them.
    pub(super) fn resolve_unicode_escapes(&mut self) -> Result<(), LexError> {
        if self.escapes.is_empty() {
            return Ok(());
        }
        let pending: Vec<usize> = self.escapes.iter().map(|escape| escape.token).collect();
        let tokens = std::mem::take(&mut self.out.tokens);
        let mut pending = pending.into_iter().peekable();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            self.out.tokens.push(*token);
            at += 1;
            if pending.next_if_eq(&(at - 1)).is_none() {
                continue;
            }
            let error = |reason| LexError { reason, at: token.start as usize };
            let mut escape = '\\';
            let mut end = token.end;
            let follows = tokens.get(at).is_some_and(|next| self.out.is_word(next, "uescape"));
            if follows {
                let value = tokens.get(at + 1).filter(|next| next.kind == TokenKind::String);
                // The server takes a plain string constant only, not another one with `U&`.
                let plain = value.filter(|_| pending.peek() != Some(&(at + 1)));
                escape = plain
                    .and_then(|value| escape_character(self.out.text(value)))
                    .ok_or_else(|| error(LexErrorReason::InvalidUescape))?;
                end = plain.map_or(end, |value| value.end);
                at += 2;
            }
            let decoded = decode(self.out.text(token), escape)
                .filter(|text| text.is_ascii() || self.holds_unicode())
                .ok_or_else(|| error(LexErrorReason::InvalidEscape))?;
            self.replace_last(token.kind, token.start, end, &decoded);
        }
        Ok(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a decoded text is shorter than what it was decoded from, so the arena at most doubles"
    )]
    fn replace_last(&mut self, kind: TokenKind, start: u32, end: u32, text: &str) {
        let text_start = self.out.arena.len();
        self.out.arena.push_str(text);
        if kind == TokenKind::QuotedIdentifier {
            truncate_name(&mut self.out.arena, text_start);
        }
        if let Some(last) = self.out.tokens.last_mut() {
            last.start = start;
            last.end = end;
            last.text_start = text_start as u32;
            last.text_end = self.out.arena.len() as u32;
        }
    }
}

/// `check_uescapechar`.
fn escape_character(text: &str) -> Option<char> {
    let mut characters = text.chars();
    let character = characters.next()?;
    let unusable = character.is_ascii_hexdigit()
        || matches!(character, '+' | '\'' | '"' | ' ' | '\t' | '\n' | '\r' | '\u{B}' | '\u{C}');
    (characters.next().is_none() && character.is_ascii() && !unusable).then_some(character)
}

/// `str_udeescape`; `None` where an escape is malformed or makes no character.
fn decode(text: &str, escape: char) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = rest.get(character.len_utf8()..)?;
        if character != escape {
            out.push(character);
        } else if let Some(after) = rest.strip_prefix(escape) {
            out.push(escape);
            rest = after;
        } else {
            let (first, after) = unit(rest)?;
            rest = after;
            if (0xD800..0xDC00).contains(&first) {
                let (second, after) = unit(rest.strip_prefix(escape)?)?;
                out.push(surrogate_pair(first, second)?);
                rest = after;
            } else {
                out.push(char::from_u32(first).filter(|c| *c != '\0')?);
            }
        }
    }
    Some(out)
}

/// `XXXX` or `+XXXXXX`, and what follows.
fn unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = match text.strip_prefix('+') {
        Some(text) => text.split_at_checked(6)?,
        None => text.split_at_checked(4)?,
    };
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| (number(digits.as_bytes(), 16), rest))
}

/// The character that two halves make.
pub(super) fn surrogate_pair(first: u32, second: u32) -> Option<char> {
    if !(0xD800..0xDC00).contains(&first) || !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))
}
