//! Who may do what: identities, the Cedar schema, and the verdict. Pure.

pub mod identity;
pub mod verdict;

pub use identity::{Identity, IdentityKind};
pub use verdict::{Outcome, Verdict};
