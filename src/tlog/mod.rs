//! The transparency log: the Merkle tree and proofs of RFC 6962, in the formats of C2SP. Pure.
//!
//! Whoever appends keeps a [`Frontier`]; whoever stored the nodes it completed can make proofs with them
//! ([`proof`]) and publish them as tiles ([`tile`]). A tree's size and root are stated in a [`Checkpoint`], which is
//! signed as a note ([`note`]). Everything that is read is read strictly: one spelling, bounded in size.

pub mod checkpoint;
pub mod evidence;
mod hash;
pub mod note;
pub mod proof;
pub mod tile;
mod tree;

pub use checkpoint::Checkpoint;
pub use evidence::Evidence;
pub use hash::{HASH_BYTES, Hash};
pub use tree::{Frontier, Nodes, root};
