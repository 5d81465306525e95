//! A snapshot of what exists upstream, refreshed over a side connection.
