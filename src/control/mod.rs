//! The admin API of a running proxy over a Unix socket, and its client.
