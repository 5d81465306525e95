//! The second parser (cargo feature `pg-query`): the server's own, of Postgres 18, asked about every text that the
//! analysis understands. Where the two disagree, the statement waits, whoever of them is right: the server's parser
//! sees more than a read where we see one, or other relations or functions, or cannot read the text at all.
//!
//! It is asked for what it sees, not for what it does not: a server before 16 takes `json_array(1)` for a plain call
//! of whatever has that name, and one before 17 so takes `json_scalar` and `merge_action`; Postgres 18's grammar has
//! words of its own for them, and sees no function there. So ours may name more functions than the second parser
//! does, never fewer.
//!
//! What it costs: its build compiles the server's parser and needs libclang; a text is read twice.

mod compare;
mod tree;
mod truth;

use pg_query::ParserOptions;

use super::depth::tree_depth;
use super::effect::{Action, Effect, ObjectKind};
use super::settings::LexerSettings;
use super::split::StatementTokens;
use super::statement::{Name, Notation, SessionChange, Statement};

/// The parser's tree is walked by recursion, here and there: deeper ones are not asked for.
const DEPTH_MAX: usize = 40;

/// The scanner copies all of a nested comment at each of its openings.
const COMMENTS_MAX: usize = 1_000;

/// Why the second parser does not agree with what was found; `None` where it does.
pub(super) fn disagreement(
    text: &[u8],
    settings: &LexerSettings,
    parts: &[StatementTokens<'_>],
    found: &[Statement],
) -> Option<String> {
    if found.is_empty() || found.iter().all(Statement::has_unknown) {
        return None;
    }
    let refused = |why: &str| Some(format!("a second parser does not confirm what was found: {why}"));
    let Ok(text) = std::str::from_utf8(text) else {
        return refused("it reads UTF-8 only");
    };
    if parts.iter().any(|part| tree_depth(part) > DEPTH_MAX) {
        return refused("the expressions are chained too deep for it");
    }
    if text.matches("/*").count() > COMMENTS_MAX {
        return refused("there are too many comments for it");
    }
    let options = if settings.standard_conforming_strings {
        ParserOptions::DEFAULT
    } else {
        ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS
    };
    let parsed = match pg_query::parse(text, options) {
        Ok(parsed) => parsed,
        Err(error) => return refused(&error.to_string()),
    };
    match truth::statements(&parsed.protobuf) {
        None => refused("its answer cannot be read"),
        Some(theirs) => compare::compare(found, &theirs).err().and_then(|difference| refused(&difference)),
    }
}

#[cfg(test)]
mod tests {
    use crate::sql::{LexerSettings, Script, analyze};

    fn analyzed(text: &str) -> Script {
        analyze(text.as_bytes(), &LexerSettings::default())
    }

    #[test]
    fn what_both_understand_alike_stays_as_it_is() {
        for text in [
            "SELECT a FROM t WHERE b = 1",
            "DELETE FROM t",
            "SELECT json_scalar(1), merge_action()",
            "BEGIN; COMMIT",
            "",
        ] {
            assert!(!analyzed(text).statements.iter().any(super::Statement::has_unknown), "{text}");
        }
    }

    #[test]
    fn what_the_second_parser_refuses_waits() {
        for text in [
            // Ours leaves to the server what is wrong with a precision.
            "SELECT 1::float(99)".to_owned(),
            format!("SELECT 1{}", "+1".repeat(100)),
            format!("SELECT 1 {}", "/**/".repeat(2_000)),
        ] {
            let script = analyzed(&text);
            let first = script.statements.first().expect("one");
            assert!(first.has_unknown(), "{text}");
            assert!(first.reasons.iter().any(|reason| reason.contains("second parser")), "{:?}", first.reasons);
            assert!(script.canonical.is_none());
        }
    }

    #[test]
    fn a_difference_is_told() {
        use super::truth;
        let ours = analyzed("SELECT a FROM t").statements;
        let parsed = pg_query::parse("SELECT a FROM t, u WHERE f(1)", 0).expect("SQL");
        let theirs = truth::statements(&parsed.protobuf).expect("a tree");
        let difference = super::compare::compare(&ours, &theirs).expect_err("they differ");
        assert!(difference.contains("read"), "{difference}");
        let parsed = pg_query::parse("DELETE FROM t", 0).expect("SQL");
        let theirs = truth::statements(&parsed.protobuf).expect("a tree");
        assert!(super::compare::compare(&ours, &theirs).is_err());
    }
}
