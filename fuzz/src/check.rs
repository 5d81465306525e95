//! What must hold of every text.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pg_query::ParserOptions;
use pgsluice::sql::{LexerSettings, analyze};

use crate::support::server_parser::{Nature, compare, is_read, statements};
use crate::support::server_scanner::{same_statements, same_tokens, same_value};

/// A text, and how the session reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) sql: String,
    /// `standard_conforming_strings`
    pub(crate) conforming: bool,
    /// It is one string or name, whose meaning is compared.
    pub(crate) value: bool,
}

/// How a text is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The server's parser refuses it.
    Refused,
    /// The server's parser refuses it, and we call all of it reads: harmless while the server refuses it too.
    ReadAlone,
    /// All of it is reads, to both.
    Read,
    /// The server's parser sees reads alone, we do not understand it.
    Missed,
    /// Anything else.
    Other,
}

/// # Errors
///
/// What differs.
pub(crate) fn check(text: &Text) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| check_inside(text))).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<String>().cloned();
        let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", message.unwrap_or_default()))
    })
}

fn check_inside(text: &Text) -> Result<Outcome, String> {
    if text.value {
        same_value(&text.sql, text.conforming)?;
        return Ok(Outcome::Other);
    }
    // The scanner knows nothing of the setting.
    if text.conforming {
        same_tokens(&text.sql)?;
    }
    let settings = LexerSettings { standard_conforming_strings: text.conforming, ..LexerSettings::default() };
    let ours = analyze(text.sql.as_bytes(), &settings).statements;
    let options =
        if text.conforming { ParserOptions::DEFAULT } else { ParserOptions::DISABLE_STANDARD_CONFORMING_STRINGS };
    let Ok(parsed) = pg_query::parse(&text.sql, options) else {
        let read = !ours.is_empty() && ours.iter().all(is_read);
        return Ok(if read { Outcome::ReadAlone } else { Outcome::Refused });
    };
    same_statements(&text.sql, text.conforming)?;
    let theirs = statements(&parsed.protobuf).ok_or("a tree that is none")?;
    compare(&ours, &theirs)?;
    let reads = theirs.iter().all(|truth| truth.nature == Nature::Read);
    Ok(match reads {
        true if ours.iter().all(is_read) => Outcome::Read,
        true if ours.iter().any(|statement| statement.has_unknown()) => Outcome::Missed,
        _ => Outcome::Other,
    })
}
