//! Who may do what: identities, the Cedar schema, and the verdict. Pure.
//!
//! Policies are written in Cedar, against `policies/schema.cedarschema`. There is no third keyword for
//! `hold`: each effect of a statement is asked without an approval, then with one, two, three; the smallest
//! number that is permitted is how many people the statement waits for. What is never permitted is denied,
//! and so is whatever goes wrong.

pub mod engine;
pub mod error;
pub mod identity;
pub mod request;
pub mod source;
pub mod verdict;

pub use engine::Engine;
pub use error::{PolicyErrors, Problem};
pub use identity::{Identity, IdentityKind};
pub use request::{Carrier, Request};
pub use source::Source;
pub use verdict::{Outcome, Verdict};

#[cfg(test)]
mod tests;
