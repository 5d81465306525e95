//! The audit log: records, the store they are durable in, checkpoints, verification and search.
