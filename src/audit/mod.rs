//! The audit log: records, the store they are durable in, checkpoints, verification and search.

mod checkpointer;
mod chunk;
mod encoded;
pub mod entry;
pub mod export;
mod files;
mod guard;
pub mod inspect;
mod journal;
mod key;
mod log;
mod overlay;
mod queue;
mod reader;
mod record;
mod snapshot;
mod store;
mod storer;
pub mod verify;
pub mod view;
mod writer;

pub use encoded::{Encoded, Judged, Microseconds, Recorded, Scribe, write_string};
pub use guard::quiet as quiet_panics;
pub use inspect::{Inspector, LogView};
pub use log::{AppendError, DurableReceipt, Log, NotAppended, OpenError, Options, TryAppendError};
pub use reader::{ReadError, Reader};
pub use record::{Record, RecordKind};
pub use snapshot::{Chunk, Chunks, Continue, Damage, Snapshot, StoredEntry};
