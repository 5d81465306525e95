//! What a statement does, from its text alone: text -> tokens -> statements -> effects. Pure.
//!
//! Three steps make it safe. A lexer that is faithful to Postgres' `scan.l` decides what the text is and where its
//! statements end. A grammar of our own reads each statement over those very tokens: queries to their last token,
//! in Postgres' own rules, skipping none; utility statements as far as their action and object. And whatever is
//! not recognised is [`Action::Unknown`], never a read.
//!
//! The grammar is not a library's because none fits: sqlparser refuses one SELECT in twenty-five of Postgres' own
//! regression suite, takes the words and operators of a dozen other dialects for its own, drops parts of what it
//! does take (`SELECT INTO` without a list, `FOR UPDATE`), and builds a tree as deep as its input is long. An
//! exhaustive match over such a tree fails to compile when an upgrade brings a new kind of node; it says nothing of
//! what the parser leaves out of its nodes, or takes otherwise than the server. A grammar that refuses every token it
//! has no role for is the stronger form of the same rule: what nobody listed is unknown, also where it is new only to
//! us.
//!
//! `tests/effects_oracle.rs`, `tests/regression_suite.rs` and `make fuzz` hold it against the server's own parser; the
//! cargo feature `pg-query` does so for every statement in production.

pub mod analyze;
mod canonical;
mod cursor;
#[cfg(feature = "pg-query")]
mod depth;
pub mod effect;
mod findings;
pub mod fingerprint;
mod fold;
mod function_effect;
pub mod functions;
mod idioms;
mod keyword;
pub mod lexer;
pub mod limits;
pub mod parameters;
pub mod psql;
mod query;
pub mod reader;
pub mod risk;
#[cfg(feature = "pg-query")]
mod second_parser;
pub mod setting;
pub mod settings;
pub mod split;
pub mod statement;
pub mod system;
pub mod token;
mod utility;
mod values;

pub use analyze::{Script, analyze, analyze_within, statement_spans};
pub use effect::{Action, Certainty, Effect, Extent, Object, ObjectKind};
pub use fingerprint::{Fingerprint, Fingerprinter, Template};
pub use limits::Limits;
pub use settings::{Encoding, LexerSettings};
pub use statement::{Argument, Assumption, FunctionUse, Name, Redefinition, SessionChange, Statement};

pub use statement::{Dependents, DiscardTarget, Notation, Reach};

/// Whether an unquoted word, in lower case, is a key word of any kind.
#[must_use]
pub fn is_keyword(word: &str) -> bool {
    keyword::Keyword::from_folded(word).is_some()
}
