//! The bottom floor of pgsluice, and nothing above it.

#![allow(unfulfilled_lint_expectations, reason = "what pgsluice expects of its own lints is not asked for here")]

#[path = "../../src/sql/mod.rs"]
pub mod sql;
