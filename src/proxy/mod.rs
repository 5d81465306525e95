//! The data path: listener, login, sessions and the relay.
//!
//! The way in: [`listener`] accepts a socket, [`entry`] takes it through startup and TLS and logs the client in
//! upstream with its own credentials, and hands over a [`LoggedIn`].

mod authenticate;
pub mod cancel;
pub mod conninfo;
pub mod entry;
mod frames;
pub mod listener;
pub mod login;
pub mod parameters;
mod startup;
pub mod stream;
pub mod tls;
pub mod upstream;

pub use entry::{Entered, Entry, EntryError, EntryLimits};
pub use listener::{ListenAddress, Listener, ListenerLimits};
pub use login::{LoggedIn, LoginError};
pub use stream::{Peer, Stream};
pub use upstream::Upstream;
