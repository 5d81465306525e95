//! The data path: listener, login, sessions and the relay.

pub mod conninfo;
pub mod stream;
pub mod tls;
pub mod upstream;

pub use stream::{Peer, Stream};
pub use upstream::Upstream;
