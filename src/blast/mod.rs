//! How much a statement would do in *this* database: effects + catalog facts -> blast radius. Pure.

pub(crate) mod casts;
pub mod definitions;
pub(crate) mod extensions;
pub mod facts;
pub mod locks;
pub mod measure;
pub mod name_set;
mod names;
pub mod radius;
pub mod resolve;
pub mod within;

pub use definitions::Definitions;
pub use facts::Facts;
pub use locks::{Blocker, Blockers, Way};
pub use measure::{Estimates, Measured, Planned, measure};
pub use name_set::NameSet;
pub use radius::{Basis, Radius, Rows};
pub use resolve::{ApprovedUse, NameContext, Resolved, SearchPath, resolve, resolve_for_planning};
