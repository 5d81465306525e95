//! Who is at the other end of the socket.

use std::io;

use nix::unistd::{Uid, User};
use tokio::net::UnixStream;

/// Who is at the other end of the socket, as the kernel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user id of the process that connected.
    pub uid: u32,
    /// The user's name; `uid:N` where the system has none.
    pub name: String,
}

impl Caller {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// The kernel does not say.
    pub fn of(stream: &UnixStream) -> io::Result<Self> {
        let uid = stream.peer_cred()?.uid();
        let name = match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => user.name,
            Ok(None) | Err(_) => format!("uid:{uid}"),
        };
        Ok(Self { uid, name })
    }
}
