//! The short way to a fingerprint, for plain texts: what programs send again and again. The same bytes as by way of the
//! tokens, in one pass over the text.
//!
//! Plain is a text of ASCII words, numbers, parameters, strings without anything to decode, and usual operators, without comments and
//! without a list that is long enough to be folded. At anything else, and at all that the lexer would refuse, this gives up.

use std::ops::Range;

use super::super::fold::KEPT_MAX;
use super::super::lexer::{NAME_BYTES_MAX, is_identifier_part, is_operator_byte, is_space};
use super::super::token::TokenKind;

/// With fewer commas no list and no run of rows has more elements than are kept.
const COMMAS_MAX: usize = KEPT_MAX - 1;
/// Parameters with more digits may be too large.
const PARAMETER_DIGITS_MAX: usize = 9;

/// Appends the fingerprint of a text, says where its literals are, and whether there are any. `None`: the text is not plain,
/// and what was appended and said means nothing.
pub(super) fn write(out: &mut Vec<u8>, text: &[u8], mut literal: impl FnMut(Range<usize>)) -> Option<bool> {
    let mut has_literals = false;
    let mut commas = 0;
    let mut rest = text;
    while let Some(byte) = rest.first().copied() {
        let at = text.len() - rest.len();
        let mut noted = |length: usize| {
            has_literals = true;
            literal(at..at + length);
            length
        };
        let length = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => word(out, rest)?,
            _ if is_space(byte) => 1,
            b',' => {
                commas += 1;
                if commas > COMMAS_MAX {
                    return None;
                }
                one(out, TokenKind::Comma)
            }
            b'0'..=b'9' => {
                out.push(TokenKind::Number as u8);
                noted(number(rest)?)
            }
            b'\'' => {
                out.push(TokenKind::String as u8);
                noted(string(rest)?)
            }
            b'(' => one(out, TokenKind::OpenParen),
            b')' => one(out, TokenKind::CloseParen),
            b'[' => one(out, TokenKind::OpenBracket),
            b']' => one(out, TokenKind::CloseBracket),
            b';' => one(out, TokenKind::Semicolon),
            b'.' if !matches!(rest.get(1), Some(b'.' | b'0'..=b'9')) => one(out, TokenKind::Dot),
            b':' if rest.get(1) == Some(&b':') => one(out, TokenKind::Cast) + 1,
            b'$' => parameter(out, rest)?,
            _ if is_operator_byte(byte) => operator(out, rest)?,
            _ => return None,
        };
        rest = rest.get(length..)?;
    }
    Some(has_literals)
}

fn one(out: &mut Vec<u8>, kind: TokenKind) -> usize {
    out.push(kind as u8);
    1
}

/// How many bytes from the start are of that kind.
fn run(text: &[u8], is_of_it: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|byte| !is_of_it(*byte)).unwrap_or(text.len())
}

fn word(out: &mut Vec<u8>, rest: &[u8]) -> Option<usize> {
    let word = rest.get(..run(rest, is_identifier_part))?;
    // A letter right before a quote, or `u&`, may belong to it.
    let is_prefix = matches!(rest.get(word.len()), Some(b'\'' | b'"' | b'&'));
    if is_prefix || word.len() > NAME_BYTES_MAX || !word.is_ascii() {
        return None;
    }
    out.push(TokenKind::Word as u8);
    let at = out.len();
    out.extend_from_slice(word);
    out[at..].make_ascii_lowercase();
    out.push(0);
    Some(word.len())
}

/// `12` and `12.5`, with nothing behind them that might belong to them.
pub(super) fn number(rest: &[u8]) -> Option<usize> {
    let digit = |byte: u8| byte.is_ascii_digit();
    let mut length = run(rest, digit);
    if length == 0 {
        return None;
    }
    if rest.get(length) == Some(&b'.') {
        let decimals = run(rest.get(length + 1..)?, digit);
        if decimals == 0 {
            return None;
        }
        length += 1 + decimals;
    }
    let ends = rest.get(length).is_none_or(|next| *next != b'.' && !is_identifier_part(*next));
    ends.then_some(length)
}

/// A string in which every byte stands for itself, with nothing behind it that might continue it.
pub(super) fn string(rest: &[u8]) -> Option<usize> {
    let inside = rest.strip_prefix(b"'")?;
    let value = run(inside, |byte| byte != b'\'' && byte != b'\\' && matches!(byte, 1..=0x7F));
    let behind = rest.get(1 + value..)?.strip_prefix(b"'")?;
    let next = behind.get(run(behind, is_space)..)?.first();
    (next != Some(&b'\'')).then_some(value + 2)
}

fn parameter(out: &mut Vec<u8>, rest: &[u8]) -> Option<usize> {
    let digits = rest.get(1..1 + run(rest.get(1..)?, |byte| byte.is_ascii_digit()))?;
    let length = 1 + digits.len();
    let ends = rest.get(length).is_none_or(|next| !is_identifier_part(*next));
    if digits.is_empty() || digits.len() > PARAMETER_DIGITS_MAX || !ends {
        return None;
    }
    out.push(TokenKind::Parameter as u8);
    out.extend_from_slice(digits);
    out.push(0);
    Some(length)
}

/// One of the usual operators, where it is all of a run of operator characters.
fn operator(out: &mut Vec<u8>, rest: &[u8]) -> Option<usize> {
    let run = rest.get(..run(rest, is_operator_byte))?;
    let symbol: &[u8] = match run {
        [_] | b"<=" | b">=" | b"<>" | b"||" | b"->" => run,
        b"!=" => b"<>",
        _ => return None,
    };
    out.push(TokenKind::Operator as u8);
    out.extend_from_slice(symbol);
    out.push(0);
    Some(run.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_send_is_plain() {
        let plain = [
            "SELECT abalance FROM pgbench_accounts WHERE aid = 17;",
            "UPDATE pgbench_accounts SET abalance = abalance + -12 WHERE aid = 9;",
            "INSERT INTO public.history (tid, at) VALUES (1, 2.5), ($1, 'x')",
            "select a[1]::text || 'b' from t where not x != y",
        ];
        for text in plain {
            assert!(write(&mut Vec::new(), text.as_bytes(), |_| {}).is_some(), "{text}");
        }
        assert_eq!(write(&mut Vec::new(), b"select a", |_| {}), Some(false));
        assert_eq!(write(&mut Vec::new(), b"select 1", |_| {}), Some(true));
        assert_eq!(write(&mut Vec::new(), b"select ''", |_| {}), Some(true));
    }

    #[test]
    fn what_needs_more_than_one_look_is_not() {
        let not = [
            "select 1 -- x",
            "select 1 /* x */",
            "select $$x$$",
            "select $1a",
            "select $",
            "select \"a\"",
            "select e'x'",
            "select n'x'",
            "select u&'x'",
            "select 'a\\b'",
            "select 'a''b'",
            "select 'a'\n'b'",
            "select 'a' 'b'",
            "select 'open",
            "select 1a",
            "select 1e5",
            "select 0x1f",
            "select 1_000",
            "select 1..2",
            "select .5",
            "select 1.",
            "select ä",
            "select 'ä'",
            "select \0",
            "select '\0'",
            "select a=>1",
            "select a := 1",
            "select a:b",
            "select @-1",
            "select 1 *-1",
            "select $1000000000",
            "select 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
            "select {",
        ];
        for text in not {
            assert_eq!(write(&mut Vec::new(), text.as_bytes(), |_| {}), None, "{text:?}");
        }
        assert_eq!(write(&mut Vec::new(), format!("select {}", "a".repeat(64)).as_bytes(), |_| {}), None);
    }
}
