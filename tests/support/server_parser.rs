//! The server's own parser (pg_query's, Postgres 18's grammar) as a judge of the analysis: the same code that the
//! cargo feature `pg-query` asks.

use pgsluice::sql::{Action, Effect, Name, Notation, ObjectKind, SessionChange, Statement};

#[path = "../../src/sql/second_parser/compare.rs"]
mod compare;
#[path = "../../src/sql/second_parser/tree.rs"]
mod tree;
#[path = "../../src/sql/second_parser/truth.rs"]
mod truth;

pub(crate) use compare::{compare, is_read};
pub(crate) use truth::{Nature, Truth, statements};
