//! What a statement does, from its text alone: text -> tokens -> statements -> effects. Pure.
//!
//! The order is what makes it safe. A lexer of our own that is faithful to Postgres' `scan.l` decides
//! what the text is; the parser only ever sees one canonical statement at a time; a cross-check on the
//! tokens guards against what the parser overlooks; and whatever is not recognised is
//! [`Action::Unknown`], never a read.

pub mod canonical;
mod depth;
pub mod effect;
mod fold;
pub mod functions;
pub mod keywords;
pub mod lexer;
pub mod limits;
pub mod reader;
pub mod settings;
pub mod split;
pub mod statement;
pub mod token;

pub use effect::{Action, Certainty, Effect, Extent, Object, ObjectKind};
pub use limits::Limits;
pub use settings::LexerSettings;
pub use statement::{FunctionUse, Name, SessionChange, Statement};

pub use statement::{DiscardTarget, Notation};
