//! What a statement does, from its text alone: text -> tokens -> statements -> effects. Pure.
//!
//! The order is what makes it safe. A lexer of our own that is faithful to Postgres' `scan.l` decides
//! what the text is; the parser only ever sees one canonical statement at a time; a cross-check on the
//! tokens guards against what the parser overlooks; and whatever is not recognised is
//! [`Action::Unknown`], never a read.

pub mod analyze;
pub mod canonical;
mod cursor;
mod depth;
pub mod effect;
mod findings;
mod fold;
mod function_effect;
pub mod functions;
mod keyword;
pub mod keywords;
pub mod lexer;
pub mod limits;
mod query;
pub mod reader;
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
