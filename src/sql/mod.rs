//! What a statement does, from its text alone: text -> tokens -> statements -> effects. Pure.
//!
//! Three steps make it safe. A lexer that is faithful to Postgres' `scan.l` decides what the text is and where its
//! statements end. A grammar of our own reads each statement over those very tokens: queries to their last token,
//! in Postgres' own rules, skipping none; utility statements as far as their action and object. And whatever is
//! not recognised is [`Action::Unknown`], never a read.
//!
//! The grammar is not a library's because none fits: sqlparser refuses one SELECT in twenty-five of Postgres' own
//! regression suite, takes the words and operators of a dozen other dialects for its own, drops parts of what it
//! does take (`SELECT INTO` without a list, `FOR UPDATE`), and builds a tree as deep as its input is long.
//! `tests/effects_oracle.rs` holds ours against the server's own parser.

pub mod analyze;
mod canonical;
mod cursor;
pub mod effect;
mod findings;
mod fold;
mod function_effect;
pub mod functions;
mod keyword;
pub mod lexer;
pub mod limits;
pub mod psql;
mod query;
pub mod reader;
pub mod risk;
pub mod setting;
pub mod settings;
pub mod split;
pub mod statement;
mod system;
pub mod token;
mod utility;

pub use analyze::{Script, analyze, analyze_within};
pub use effect::{Action, Certainty, Effect, Extent, Object, ObjectKind};
pub use limits::Limits;
pub use settings::LexerSettings;
pub use statement::{FunctionUse, Name, SessionChange, Statement};

pub use statement::{DiscardTarget, Notation};
