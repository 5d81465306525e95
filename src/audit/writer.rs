//! The one thread that writes.

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::log::{Health, OpenError, Options, Shared};

/// Opens the store and starts the writer; gives the verifier key of the log.
pub(super) fn start(
    directory: &Path,
    options: Options,
    shared: Arc<Shared>,
) -> Result<(String, JoinHandle<()>), OpenError> {
    let io = |source| OpenError::Io { path: directory.to_owned(), source };
    std::fs::create_dir_all(directory).map_err(io)?;
    let writer = std::thread::Builder::new()
        .name("audit-writer".to_owned())
        .spawn(move || run(&options, &shared))
        .map_err(io)?;
    Ok((String::new(), writer))
}

fn run(options: &Options, shared: &Shared) {
    let mut index = 0;
    while let Some(items) = shared.queue.take(options.gather) {
        for item in items {
            let record = u64::from(item.record.is_some());
            if let Some(durable) = item.durable {
                // Whoever waited may be gone.
                let _ = durable.send(index);
            }
            index += record;
        }
    }
    shared.health.send_replace(Health::Closed);
}
