//! From a statement that changes rows to the query that reads them. Pure. What is made here is only a proposal:
//! whoever runs it has it understood first, as any other text.

use crate::sql::lexer::{Lexed, lex};
use crate::sql::token::{Token, TokenKind};
use crate::sql::{LexerSettings, Limits};

/// Which rows a statement changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The changed relation's name without its schema, unquoted.
    pub(super) name: String,
    /// What follows the select list: `FROM ... WHERE ...`.
    pub(super) from: String,
}

/// The rows that a single `DELETE` or `UPDATE` would change.
///
/// # Errors
///
/// Why that cannot be told from the text.
pub(super) fn target(text: &str) -> Result<Target, &'static str> {
    // What a backslash means depends on a setting of the session, and what a replacement character was is not known.
    if text.contains(['\\', '\u{fffd}']) {
        return Err("its text can be read in two ways");
    }
    let lexed = lex(text.as_bytes(), &LexerSettings::default(), &Limits::INLINE).map_err(|_| "it cannot be read")?;
    let statement = Sections { text, lexed: &lexed };
    match (statement.word(0), statement.word(1)) {
        (Some("delete"), Some("from")) => statement.delete(),
        (Some("update"), _) => statement.update(),
        (Some("with"), _) => Err("it has common table expressions"),
        _ => Err("it changes no rows that are there already, or not by a condition"),
    }
}

/// A statement by its clauses.
struct Sections<'a> {
    text: &'a str,
    lexed: &'a Lexed,
}

impl Sections<'_> {
    fn delete(&self) -> Result<Target, &'static str> {
        let target = 2;
        let using = self.clause(target, "using");
        let condition = self.clause(target, "where");
        let end = self.end(target);
        let target_end = using.or(condition).unwrap_or(end);
        let list = using.map(|at| (at + 1, condition.unwrap_or(end)));
        self.rows(target, target_end, list, condition.map(|at| (at + 1, end)))
    }

    fn update(&self) -> Result<Target, &'static str> {
        let target = 1;
        let set = self.clause(target, "set").ok_or("it has no SET")?;
        let from = self.clause(set, "from");
        let condition = self.clause(set, "where");
        let end = self.end(set);
        let list = from.map(|at| (at + 1, condition.unwrap_or(end)));
        self.rows(target, set, list, condition.map(|at| (at + 1, end)))
    }

    fn rows(
        &self,
        target: usize,
        target_end: usize,
        list: Option<(usize, usize)>,
        condition: Option<(usize, usize)>,
    ) -> Result<Target, &'static str> {
        if condition.is_some_and(|(at, _)| self.word(at) == Some("current") && self.word(at + 1) == Some("of")) {
            return Err("it changes the row of a cursor");
        }
        let name = self.name(target, target_end).ok_or("its target cannot be read")?;
        let relation = self.slice(target, target_end).ok_or("its target cannot be read")?;
        let condition = condition.map(|(from, to)| self.slice(from, to).ok_or("its condition is empty")).transpose()?;
        let list = list.map(|(from, to)| self.slice(from, to).ok_or("its list of tables is empty")).transpose()?;
        // Of a row that several rows of the other tables match, one is changed: so it is counted once. No comment can
        // swallow what stands behind it, as a slice ends with a token.
        let from = match (list, condition) {
            (None, None) => format!("from {relation}"),
            (None, Some(condition)) => format!("from {relation} where {condition}"),
            (Some(list), None) => format!("from {relation} where exists (select from {list})"),
            (Some(list), Some(condition)) => {
                format!("from {relation} where exists (select from {list} where {condition})")
            }
        };
        Ok(Target { name, from })
    }

    fn tokens(&self) -> &[Token] {
        self.lexed.tokens()
    }

    /// The unquoted word at a place, in lower case.
    fn word(&self, at: usize) -> Option<&str> {
        let token = self.tokens().get(at)?;
        (token.kind == TokenKind::Word).then(|| self.lexed.text(token))
    }

    /// The end of the last clause: RETURNING, or the end of the text.
    fn end(&self, after: usize) -> usize {
        self.clause(after, "returning").unwrap_or_else(|| {
            let semicolon = self.tokens().iter().position(|token| token.kind == TokenKind::Semicolon);
            semicolon.unwrap_or(self.tokens().len())
        })
    }

    /// Where a clause begins: a key word outside of parentheses that is no label and no attribute.
    fn clause(&self, after: usize, word: &str) -> Option<usize> {
        let mut depth = 0_usize;
        for (at, token) in self.tokens().iter().enumerate().skip(after) {
            match token.kind {
                TokenKind::OpenParen | TokenKind::OpenBracket => depth += 1,
                TokenKind::CloseParen | TokenKind::CloseBracket => depth = depth.saturating_sub(1),
                TokenKind::Word if depth == 0 && self.word(at) == Some(word) => {
                    let before = at.checked_sub(1);
                    let attribute = before.and_then(|at| self.tokens().get(at)).map(|token| token.kind);
                    let label = before.and_then(|at| self.word(at));
                    // `IS DISTINCT FROM` is no clause.
                    if attribute != Some(TokenKind::Dot) && !matches!(label, Some("as" | "distinct")) {
                        return Some(at);
                    }
                }
                _ => {}
            }
        }
        None
    }

    /// The text from one token to before another.
    fn slice(&self, from: usize, to: usize) -> Option<&str> {
        let tokens = self.tokens().get(from..to)?;
        let (first, last) = (tokens.first()?, tokens.last()?);
        self.text.get(first.span().start..last.span().end)
    }

    /// The last part of the name that a target begins with.
    fn name(&self, from: usize, to: usize) -> Option<String> {
        let mut at = from;
        while at < to && (self.word(at) == Some("only") || self.tokens().get(at)?.kind == TokenKind::OpenParen) {
            at += 1;
        }
        loop {
            let token = self.tokens().get(at).filter(|_| at < to)?;
            if !matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdentifier) {
                return None;
            }
            if self.tokens().get(at + 1).is_none_or(|token| token.kind != TokenKind::Dot) {
                return Some(self.lexed.text(token).to_owned());
            }
            at += 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> (String, String) {
        let target = target(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        (target.name, target.from)
    }

    #[test]
    fn the_rows_of_a_statement_are_those_of_its_target_and_condition() {
        for (text, name, from) in [
            ("DELETE FROM orders", "orders", "from orders"),
            (
                "delete from only \"S\".\"A b\" as x where x.a = $1 -- c",
                "A b",
                "from only \"S\".\"A b\" as x where x.a = $1",
            ),
            (
                "DELETE FROM a.b WHERE x IN (SELECT 1 FROM c WHERE d) RETURNING *;",
                "b",
                "from a.b where x IN (SELECT 1 FROM c WHERE d)",
            ),
            ("DELETE FROM a USING b, c WHERE a.x = b.x", "a", "from a where exists (select from b, c where a.x = b.x)"),
            ("DELETE FROM a USING b", "a", "from a where exists (select from b)"),
            ("UPDATE a SET x = (SELECT 1 FROM b WHERE c)", "a", "from a"),
            (
                "UPDATE a AS z SET x = y IS DISTINCT FROM 1, w = z.from WHERE z.where = 1",
                "a",
                "from a AS z where z.where = 1",
            ),
            ("UPDATE a SET x = b.y FROM b WHERE a.i = b.i", "a", "from a where exists (select from b where a.i = b.i)"),
            ("UPDATE a SET (x, y) = (1, 2) WHERE /* no -- */ i = 1 -- )", "a", "from a where i = 1"),
        ] {
            assert_eq!(of(text), (name.to_owned(), from.to_owned()), "{text}");
        }
    }

    #[test]
    fn other_statements_have_no_such_rows() {
        for text in [
            "",
            "SELECT 1",
            "INSERT INTO a VALUES (1)",
            "MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE",
            "WITH x AS (SELECT 1) DELETE FROM a",
            "DELETE FROM a WHERE CURRENT OF c",
            "DELETE FROM",
            "DELETE FROM a WHERE",
            "UPDATE a",
            "DELETE FROM a WHERE b = '\\'",
            "DELETE FROM a WHERE b = 'x",
        ] {
            assert!(target(text).is_err(), "{text}");
        }
    }
}
