//! Splits a text into its statements exactly where the server's grammar ends them.

use std::ops::Range;

use thiserror::Error;

use super::lexer::Lexed;
use super::limits::Limits;
use super::token::{Token, TokenKind};

/// The tokens of one statement, without the semicolon that ends it. Those of a text are never empty.
#[derive(Debug, Clone, Copy)]
pub struct StatementTokens<'a> {
    lexed: &'a Lexed,
    tokens: &'a [Token],
}

/// Why no statements can be made of a text. The server refuses such a text as a whole too, or it nests deeper than
/// anything that is analysed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{reason} at byte {at}")]
pub struct SplitError {
    /// What is wrong.
    pub reason: SplitErrorReason,
    /// The byte of the source where it shows.
    pub at: usize,
}

/// Why no statements can be made of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Error)]
pub enum SplitErrorReason {
    /// `)` without `(`, `(` without `)`, `(]`.
    #[error("unbalanced parentheses or brackets")]
    Unbalanced,
    /// Deeper than [`Limits::nesting`].
    #[error("parentheses nest deeper than the limit for analysis")]
    TooDeep,
    /// A semicolon inside parentheses that are not those of `CREATE RULE`.
    #[error("a semicolon inside parentheses")]
    SemicolonInside,
    /// `BEGIN ATOMIC` without its `END`.
    #[error("unterminated BEGIN ATOMIC")]
    UnterminatedBody,
}

/// The statements of a text; empty ones leave none.
///
/// # Errors
///
/// [`SplitError`] where the text as a whole cannot be a list of statements.
pub fn split<'a>(lexed: &'a Lexed, limits: &Limits) -> Result<Vec<StatementTokens<'a>>, SplitError> {
    let mut ends = Ends::new(*limits);
    let mut out = Vec::new();
    let mut start = 0;
    for index in 0..lexed.tokens().len() {
        if ends.step(lexed, index)? {
            out.extend(StatementTokens::of(lexed, start..index));
            start = index + 1;
        }
    }
    ends.finish(lexed)?;
    out.extend(StatementTokens::of(lexed, start..lexed.tokens().len()));
    Ok(out)
}

impl<'a> StatementTokens<'a> {
    /// Some tokens; `None` where there are none.
    pub(super) fn of(lexed: &'a Lexed, range: Range<usize>) -> Option<Self> {
        let tokens = lexed.tokens().get(range).filter(|tokens| !tokens.is_empty())?;
        Some(Self { lexed, tokens })
    }

    /// No tokens, for a text that could not be cut.
    pub(super) const fn none(lexed: &'a Lexed) -> Self {
        Self { lexed, tokens: &[] }
    }

    /// The tokens.
    #[must_use]
    pub const fn tokens(&self) -> &'a [Token] {
        self.tokens
    }

    /// The text of a token; see [`Lexed::text`].
    #[must_use]
    pub fn text(&self, token: &Token) -> &'a str {
        self.lexed.text(token)
    }

    /// The kind of the token at an index.
    #[must_use]
    pub fn kind(&self, index: usize) -> Option<TokenKind> {
        self.tokens.get(index).map(|token| token.kind)
    }

    /// The keyword or unquoted name at an index, in lower case.
    #[must_use]
    pub fn word(&self, index: usize) -> Option<&'a str> {
        let token = self.tokens.get(index).filter(|token| token.kind == TokenKind::Word)?;
        Some(self.lexed.text(token))
    }

    /// The name at an index, quoted or not, folded and unquoted.
    #[must_use]
    pub fn name(&self, index: usize) -> Option<&'a str> {
        let token = self.tokens.get(index)?;
        matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier).then(|| self.lexed.text(token))
    }

    /// The operator symbol at an index.
    #[must_use]
    pub fn operator(&self, index: usize) -> Option<&'a str> {
        let token = self.tokens.get(index).filter(|token| token.kind == TokenKind::Operator)?;
        Some(self.lexed.text(token))
    }

    /// Whether the tokens from an index on are these words.
    #[must_use]
    pub fn words_at(&self, index: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.word(index + offset) == Some(word))
    }

    /// A part of the statement, as if it were one: the body of an `EXPLAIN`, a `PREPARE`, a rule's action.
    #[must_use]
    pub fn part(&self, range: Range<usize>) -> Option<Self> {
        let tokens = self.tokens.get(range).filter(|tokens| !tokens.is_empty())?;
        Some(Self { lexed: self.lexed, tokens })
    }

    /// The index one past the bracket that closes the one at `open`; `None` where there is none at `open`.
    #[must_use]
    pub fn past_closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0usize;
        for (index, token) in self.tokens.iter().enumerate().skip(open) {
            match token.kind {
                TokenKind::OpenParen | TokenKind::OpenBracket => depth += 1,
                TokenKind::CloseParen | TokenKind::CloseBracket => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                return (index > open).then_some(index + 1);
            }
        }
        None
    }

    /// Where the statement stands in the source.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        let start = self.tokens.first().map_or(0, |token| token.span().start);
        let end = self.tokens.last().map_or(start, |token| token.span().end);
        start..end
    }
}

/// Finds where statements end, token by token.
#[derive(Debug)]
pub(super) struct Ends {
    limits: Limits,
    /// The brackets that are open.
    open: Vec<TokenKind>,
    /// For each `BEGIN ATOMIC` body that is open, the first token of the statement it is at.
    bodies: Vec<usize>,
    /// The first token of the statement.
    start: usize,
}

impl Ends {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, open: Vec::new(), bodies: Vec::new(), start: 0 }
    }

    /// Looks at the next token: whether it is the semicolon that ends the statement.
    pub(super) fn step(&mut self, lexed: &Lexed, index: usize) -> Result<bool, SplitError> {
        let Some(token) = lexed.tokens().get(index) else { return Ok(false) };
        match token.kind {
            TokenKind::OpenParen | TokenKind::OpenBracket => self.open(token)?,
            TokenKind::CloseParen => self.close(token, TokenKind::OpenParen)?,
            TokenKind::CloseBracket => self.close(token, TokenKind::OpenBracket)?,
            // The grammar has semicolons inside parentheses in one place: the actions of a rule.
            TokenKind::Semicolon
                if self.open.as_slice() == [TokenKind::OpenParen] && self.is_create_of(lexed, &["rule"]) => {}
            TokenKind::Semicolon if !self.open.is_empty() => {
                return Err(error(SplitErrorReason::SemicolonInside, token));
            }
            TokenKind::Semicolon => {
                let statement = self.bodies.last_mut().unwrap_or(&mut self.start);
                *statement = index + 1;
                return Ok(self.bodies.is_empty());
            }
            TokenKind::Word if self.open.is_empty() => self.word(lexed, index),
            _ => {}
        }
        Ok(false)
    }

    /// Whether the text may end here.
    pub(super) fn finish(&self, lexed: &Lexed) -> Result<(), SplitError> {
        let Some(last) = lexed.tokens().last() else { return Ok(()) };
        if !self.open.is_empty() {
            return Err(error(SplitErrorReason::Unbalanced, last));
        }
        if !self.bodies.is_empty() {
            return Err(error(SplitErrorReason::UnterminatedBody, last));
        }
        Ok(())
    }

    fn open(&mut self, token: &Token) -> Result<(), SplitError> {
        if self.open.len() >= self.limits.nesting {
            return Err(error(SplitErrorReason::TooDeep, token));
        }
        self.open.push(token.kind);
        Ok(())
    }

    fn close(&mut self, token: &Token, opened: TokenKind) -> Result<(), SplitError> {
        match self.open.pop() {
            Some(kind) if kind == opened => Ok(()),
            _ => Err(error(SplitErrorReason::Unbalanced, token)),
        }
    }

    /// A word outside parentheses: it may open or close the body of an SQL-standard function.
    ///
    /// `BEGIN ATOMIC` stands in `CREATE FUNCTION` and `CREATE PROCEDURE` only. The body is a list of statements each
    /// ended by a semicolon, none of which may begin with END (`routine_body_stmt` in `gram.y`), so the body ends at
    /// the first END behind a semicolon or behind ATOMIC itself: `CASE ... END` and `AS end` never stand there.
    fn word(&mut self, lexed: &Lexed, index: usize) {
        let is = |at: usize, word: &str| is_word(lexed, at, word);
        if is(index, "atomic") && index > 0 && is(index - 1, "begin") {
            if self.is_create_of(lexed, &["function", "procedure"]) {
                self.bodies.push(index + 1);
            }
        } else if self.bodies.last() == Some(&index) && is(index, "end") {
            self.bodies.pop();
        }
    }

    /// Whether the statement at hand, the innermost one, begins with `CREATE [OR REPLACE]` and one of these.
    fn is_create_of(&self, lexed: &Lexed, objects: &[&str]) -> bool {
        let start = self.bodies.last().copied().unwrap_or(self.start);
        let is = |offset: usize, word: &str| is_word(lexed, start + offset, word);
        let object = if is(1, "or") && is(2, "replace") { 3 } else { 1 };
        is(0, "create") && objects.iter().any(|word| is(object, word))
    }
}

fn is_word(lexed: &Lexed, index: usize, word: &str) -> bool {
    lexed.tokens().get(index).is_some_and(|token| lexed.is_word(token, word))
}

fn error(reason: SplitErrorReason, token: &Token) -> SplitError {
    SplitError { reason, at: token.span().start }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;
    use crate::sql::settings::LexerSettings;

    fn parts(source: &str) -> Result<Vec<&str>, SplitErrorReason> {
        let lexed = lex(source.as_bytes(), &LexerSettings::default(), &Limits::INLINE).expect("lexes");
        let statements = split(&lexed, &Limits::INLINE).map_err(|error| error.reason)?;
        Ok(statements.iter().map(|statement| source.get(statement.span()).expect("inside")).collect())
    }

    #[test]
    fn semicolons_end_statements_where_the_grammar_says_so() {
        assert_eq!(parts(";; select ';' ;; /* ; */ begin; -- ;\n end"), Ok(vec!["select ';'", "begin", "end"]));
        let rule = "create rule r as on insert to t do (delete from a; select 1)";
        assert_eq!(parts(&format!("{rule}; drop table t")), Ok(vec![rule, "drop table t"]));
        assert_eq!(parts("select (1; drop table t)"), Err(SplitErrorReason::SemicolonInside));
        assert_eq!(parts("create rule r do ((delete from a; select 1))"), Err(SplitErrorReason::SemicolonInside));
        assert_eq!(parts("select a[1;2]"), Err(SplitErrorReason::SemicolonInside));
    }

    #[test]
    fn function_bodies_hide_no_statement_behind_them() {
        let plain =
            "create function f() returns int begin atomic select case when true then 1 end as end; select 2; end";
        assert_eq!(parts(&format!("{plain}; drop table t; end")), Ok(vec![plain, "drop table t", "end"]));
        // `begin` with the alias `atomic` opens nothing.
        let alias = "create function f() begin atomic select begin atomic; end";
        assert_eq!(parts(&format!("{alias}; drop table t; end")), Ok(vec![alias, "drop table t", "end"]));
        assert_eq!(parts("select begin atomic; drop table t; end").map(|parts| parts.len()), Ok(3));
        let nested = "create procedure p() begin atomic create function f() begin atomic select 1; end; select 2; end";
        assert_eq!(parts(&format!("{nested}; select 3")), Ok(vec![nested, "select 3"]));
        assert_eq!(parts("create function f() begin atomic select 1"), Err(SplitErrorReason::UnterminatedBody));
    }

    #[test]
    fn brackets_that_do_not_match_are_refused() {
        for source in ["select 1)", "select (1", "select (1]", "select a[1)", ") ("] {
            assert_eq!(parts(source), Err(SplitErrorReason::Unbalanced), "{source}");
        }
        let deep = |depth: usize| format!("select {}1{}", "(".repeat(depth), ")".repeat(depth));
        assert!(parts(&deep(Limits::INLINE.nesting)).is_ok());
        assert_eq!(parts(&deep(Limits::INLINE.nesting + 1)), Err(SplitErrorReason::TooDeep));
    }

    #[test]
    fn the_closing_bracket_is_found() {
        let lexed = lex(b"f(a[1], (2)) + 3", &LexerSettings::default(), &Limits::INLINE).expect("lexes");
        let statements = split(&lexed, &Limits::INLINE).expect("splits");
        let statement = statements.first().expect("one");
        assert_eq!(statement.past_closing(1), Some(11));
        assert_eq!(statement.past_closing(0), None);
        assert_eq!(statement.part(2..6).map(|part| part.span()), Some(2..6));
    }
}
