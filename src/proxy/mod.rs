//! The data path: listener, login, sessions and the relay.
