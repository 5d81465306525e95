//! The files of a log in its data directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The store: entries and hashes.
pub(super) fn store(directory: &Path) -> PathBuf {
    directory.join("audit.redb")
}

/// The journal: two files, written in turn.
pub(super) fn journals(directory: &Path) -> [PathBuf; 2] {
    [directory.join("audit.journal.0"), directory.join("audit.journal.1")]
}

/// The signing key, a secret.
pub(super) fn key(directory: &Path) -> PathBuf {
    directory.join("audit.key")
}

/// The verifier key.
pub(super) fn vkey(directory: &Path) -> PathBuf {
    directory.join("audit.vkey")
}

/// The newest signed checkpoint.
pub(super) fn checkpoint(directory: &Path) -> PathBuf {
    directory.join("checkpoint")
}

/// Puts a file with that content in the place of another, so that whoever reads, also after a crash, finds the whole
/// old or the whole new one.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&temporary, path)
}

/// Makes a file's name durable.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
