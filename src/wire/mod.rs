//! The Postgres wire protocol: frames and messages, read strictly inside their length. Pure.
