//! The audit log: records, the store they are durable in, checkpoints, verification and search.

pub mod entry;
mod log;
mod queue;
mod record;
mod writer;

pub use log::{AppendError, DurableReceipt, Log, OpenError, Options, TryAppendError};
pub use record::{Record, RecordKind};
