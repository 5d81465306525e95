//! Publishing the log: a directory as C2SP `tlog-tiles` says, to serve to others or to take away.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::files;
use super::reader::ReadError;
use super::snapshot::{Continue, Damage, Snapshot};
use crate::tlog::note::VerifierKey;
use crate::tlog::tile::{TILE_WIDTH, Tile, TileContent, append_to_bundle};
use crate::tlog::{Checkpoint, Frontier, Hash};

/// Why a log was not exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log cannot be read, or does not verify.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The directory is not a place to publish from.
    #[error("{directory}: {reason}")]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Writes what the checkpoint covers, and the checkpoint last: a reader never sees one whose tiles are not there. Every
/// entry is verified on the way. What an earlier export of the same log left is completed.
///
/// # Errors
/// See [`ExportError`].
pub fn export(snapshot: &Snapshot, signed: &Signed, key: &VerifierKey, directory: &Path) -> Result<(), ExportError> {
    check_directory(directory, snapshot, key)?;
    let mut tiles = Tiles { directory, levels: Vec::new(), bundle: Vec::new() };
    let mut tree = Frontier::new();
    let mut result = Ok(());
    snapshot
        .for_each(0, signed.checkpoint.size, |entry| {
            let leaf = Hash::of_leaf(entry.json);
            result = if leaf == entry.hash {
                tree.append(leaf, |_, _, _| {});
                tiles.append(entry.json, leaf)
            } else {
                Err(damaged(entry.index, "the entry is not what was written"))
            };
            if result.is_ok() { Continue::Yes } else { Continue::No }
        })
        .map_err(ReadError::from)?;
    result?;
    if (tree.size(), tree.root()) != (signed.checkpoint.size, signed.checkpoint.root) {
        return Err(damaged(0, "the entries are not those that were signed"));
    }
    tiles.finish()?;
    let path = files::checkpoint(directory);
    fs::create_dir_all(directory)
        .and_then(|()| files::replace(&path, signed.note.as_bytes()))
        .map_err(|source| ExportError::Io { path, source })
}

/// A checkpoint, opened, with its note.
#[derive(Debug, Clone)]
pub struct Signed {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The note.
    pub note: String,
}

impl Signed {
    /// The newest checkpoint that the log in the data directory has published.
    ///
    /// # Errors
    /// It is missing, cannot be read, or was not signed by the key.
    pub fn newest(directory: &Path, key: &VerifierKey) -> Result<Self, ReadError> {
        let path = files::checkpoint(directory);
        let note = fs::read(&path).map_err(|source| ReadError::Io { path, source })?;
        let open = || Some((Checkpoint::open(&note, key).ok()?, String::from_utf8(note.clone()).ok()?));
        let (checkpoint, note) =
            open().ok_or_else(|| Damage::new(0, "the file `checkpoint` does not verify".to_owned()))?;
        Ok(Self { checkpoint, note })
    }
}

/// What is published must not lie beside the key, nor over the publication of another log.
fn check_directory(directory: &Path, snapshot: &Snapshot, key: &VerifierKey) -> Result<(), ExportError> {
    let refuse =
        |reason: &str| Err(ExportError::Directory { directory: directory.to_owned(), reason: reason.to_owned() });
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if [directory, parent, &directory.join("..")].into_iter().any(|place| files::key(place).exists()) {
        return refuse("it is in the data directory, beside the signing key: export to another place");
    }
    let note = match fs::read(files::checkpoint(directory)) {
        Ok(note) => note,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(ExportError::Io { path: files::checkpoint(directory), source }),
    };
    let Ok(earlier) = Checkpoint::open(&note, key) else {
        return refuse("it holds the export of another log");
    };
    if earlier.size > snapshot.size() {
        return refuse("it holds an export with more entries than the log has");
    }
    match crate::tlog::root(snapshot, earlier.size) {
        Ok(root) if root == earlier.root => Ok(()),
        Ok(_) => refuse("the log does not continue the export that it holds"),
        Err(damage) => Err(ReadError::from(damage).into()),
    }
}

fn damaged(index: u64, reason: &str) -> ExportError {
    ReadError::from(Damage::new(index, reason)).into()
}

/// Tiles and bundles as they fill.
struct Tiles<'a> {
    directory: &'a Path,
    levels: Vec<Level>,
    bundle: Vec<u8>,
}

/// The last tile of a level.
#[derive(Default)]
struct Level {
    index: u64,
    hashes: Vec<Hash>,
}

impl Tiles<'_> {
    fn append(&mut self, entry: &[u8], leaf: Hash) -> Result<(), ExportError> {
        append_to_bundle(&mut self.bundle, entry).expect("entries are stored with a length of 16 bits");
        let mut completed = Some(leaf);
        for level in 0u8.. {
            let Some(hash) = completed.take() else { break };
            if usize::from(level) == self.levels.len() {
                self.levels.push(Level::default());
            }
            let last = &mut self.levels[usize::from(level)];
            last.hashes.push(hash);
            if last.hashes.len() as u64 == TILE_WIDTH {
                let mut tree = Frontier::new();
                last.hashes.iter().for_each(|hash| tree.append(*hash, |_, _, _| {}));
                completed = Some(tree.root());
                self.write(level)?;
                let last = &mut self.levels[usize::from(level)];
                last.index += 1;
                last.hashes.clear();
            }
        }
        Ok(())
    }

    /// Writes the last tile of each level that has one.
    fn finish(&mut self) -> Result<(), ExportError> {
        for level in 0..u8::try_from(self.levels.len()).expect("there are at most eight levels") {
            if !self.levels[usize::from(level)].hashes.is_empty() {
                self.write(level)?;
            }
        }
        Ok(())
    }

    /// Writes the last tile of a level, and with those of leaves the bundle of their entries.
    fn write(&mut self, level: u8) -> Result<(), ExportError> {
        let Level { index, hashes } = &self.levels[usize::from(level)];
        let width = u16::try_from(hashes.len()).expect("a tile is at most 256 wide");
        let tile = Tile { content: TileContent::Hashes { level }, index: *index, width };
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| hash.0).collect();
        write_file(&self.directory.join(tile.to_string()), &bytes)?;
        if level == 0 {
            let bundle = Tile { content: TileContent::Entries, ..tile };
            write_file(&self.directory.join(bundle.to_string()), &self.bundle)?;
            self.bundle.clear();
        }
        Ok(())
    }
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), ExportError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, content))
        .map_err(|source| ExportError::Io { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::audit::verify::beside;
    use crate::audit::{Log, Options, Reader, Record, RecordKind};
    use crate::tlog::tile::{bundles_of, entries_of_bundle, tiles_of};

    async fn append(directory: &Path, origin: &str, count: u64) {
        let options = Options { origin: Some(origin.to_owned()), gather: Duration::from_secs(9), ..Options::default() };
        let log = Log::open(directory, options).unwrap();
        for _ in 0..count {
            log.append(Record::new(RecordKind::Intent)).await.unwrap();
        }
        log.close().await.unwrap();
    }

    fn export_to(data: &Path, directory: &Path) -> Result<u64, ExportError> {
        let key = beside(data)?;
        let signed = Signed::newest(data, &key)?;
        export(&Reader::open(data)?.snapshot()?, &signed, &key, directory)?;
        Ok(signed.checkpoint.size)
    }

    fn files_in(directory: &Path) -> Vec<String> {
        let mut files = Vec::new();
        let mut left = vec![directory.to_owned()];
        while let Some(next) = left.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    left.push(path);
                } else {
                    files.push(path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        files.sort();
        files
    }

    #[tokio::test]
    async fn an_export_has_the_files_of_its_size_and_can_be_continued() {
        let (data, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let out = out.path().join("log");
        append(data.path(), "pgsluice/test", 300).await;
        assert_eq!(export_to(data.path(), &out).unwrap(), 300);
        let mut expected: Vec<_> = tiles_of(300).chain(bundles_of(300)).map(|tile| tile.to_string()).collect();
        expected.push("checkpoint".to_owned());
        expected.sort();
        assert_eq!(files_in(&out), expected);

        append(data.path(), "pgsluice/test", 215).await;
        assert_eq!(export_to(data.path(), &out).unwrap(), 515);
        let files = files_in(&out);
        let mut leaves = Vec::new();
        for tile in bundles_of(515) {
            assert!(files.contains(&tile.to_string()));
            let bundle = fs::read(out.join(tile.to_string())).unwrap();
            leaves.extend(entries_of_bundle(&bundle).map(|entry| Hash::of_leaf(entry.unwrap())));
        }
        let tiles = tiles_of(515).filter(|tile| tile.content == TileContent::Hashes { level: 0 });
        let hashes: Vec<u8> = tiles.flat_map(|tile| fs::read(out.join(tile.to_string())).unwrap()).collect();
        assert_eq!(leaves.iter().flat_map(|hash| hash.0).collect::<Vec<_>>(), hashes);
    }

    #[tokio::test]
    async fn an_export_lies_neither_beside_the_key_nor_over_another_logs() {
        let (one, other, out) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        append(one.path(), "pgsluice/one", 1).await;
        append(other.path(), "pgsluice/other", 1).await;
        for inside in [one.path().to_owned(), one.path().join("export")] {
            assert!(matches!(export_to(one.path(), &inside), Err(ExportError::Directory { .. })), "{inside:?}");
        }
        export_to(one.path(), out.path()).unwrap();
        assert!(matches!(export_to(other.path(), out.path()), Err(ExportError::Directory { .. })));
    }
}
