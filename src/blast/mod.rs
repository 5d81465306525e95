//! How much a statement would do in *this* database: effects + catalog facts -> blast radius. Pure.

pub mod facts;
mod names;
pub mod radius;
pub mod resolve;

pub use facts::Facts;
pub use radius::{Basis, Radius, Rows};
pub use resolve::{NameContext, Resolved, SearchPath, resolve};
