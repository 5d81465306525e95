//! SQL on the screen, highlighted by the lexer that also decides what a statement is.

use super::document::Document;
use super::theme::Role;
use crate::sql::lexer::{Lexed, lex};
use crate::sql::token::{Token, TokenKind};
use crate::sql::{LexerSettings, Limits, analyze, is_keyword};
use crate::text::Untrusted;

/// Longer texts are not compared with others.
const COMPARED_BYTES_MAX: usize = 64 << 10;

/// Adds a text to the last line of a document.
pub(super) fn highlight(document: &mut Document, sql: &str) {
    let lexed = lex(sql.as_bytes(), &LexerSettings::default(), &Limits::INLINE).unwrap_or_default();
    let mut at = 0;
    for token in lexed.tokens() {
        let span = token.span();
        between(document, sql.get(at..span.start).unwrap_or_default());
        let text = sql.get(span.clone()).unwrap_or_default();
        document.theirs(role(&lexed, token), Untrusted::block(text, 0));
        at = span.end;
    }
    let rest = sql.get(at..).unwrap_or_default();
    if lexed.tokens().is_empty() {
        // Not read by the lexer: no part of it is called a comment.
        document.theirs(Role::Plain, Untrusted::block(rest, 0));
    } else {
        between(document, rest);
    }
}

/// What stands between two tokens: white space and comments.
fn between(document: &mut Document, text: &str) {
    let role = if text.trim_ascii().is_empty() { Role::Plain } else { Role::Comment };
    document.theirs(role, Untrusted::block(text, 0));
}

fn role(lexed: &Lexed, token: &Token) -> Role {
    match token.kind {
        TokenKind::Word if is_keyword(lexed.text(token)) => Role::Keyword,
        TokenKind::Parameter => Role::Parameter,
        kind if kind.is_literal() => Role::Literal,
        _ => Role::Plain,
    }
}

/// What statements have in common that differ in literals only. `None` where the text is too long or cannot be read.
pub(super) fn shape(sql: &str) -> Option<String> {
    if sql.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let mut shape = analyze(sql.as_bytes(), &LexerSettings::default()).canonical?;
    // It is kept for as long as the hold is, and made in room for the whole text.
    shape.shrink_to_fit();
    (!shape.is_empty()).then_some(shape)
}
