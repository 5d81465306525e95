//! The journal: entries that are on disk, but not in the store yet.
//!
//! A commit of the store takes two syncs of a file that grows, and writes whole pages. Whoever waits for a record does not
//! wait for that: its entry, and all before it, go to the end of a small file whose blocks are there already, which is one
//! sync. The store gets them a moment later, many at a time; after a crash, when the log is opened again. Who reads
//! the log meanwhile reads both.
//!
//! # Layout
//!
//! Two files, written in turn: while the store takes what is in one, the other is written. In each, frames from its start,
//! each at the start of a block of 4096 bytes:
//!
//! ```text
//!  8 bytes   b"pgsljrn2"
//!  8 bytes   the index of the first entry, big-endian
//!  4 bytes   how many entries
//!  4 bytes   how many bytes of entries
//! 32 bytes   SHA-256 of the 24 bytes above and of the entries' leaf hashes
//!  n bytes   the entries, as in a chunk of the store: hash, length, entry
//!            zeros to the end of the block
//! ```
//!
//! A frame that is not whole, or whose first index does not follow from the frame before, ends the file: it is what an
//! earlier turn left. Indices only grow, so what an earlier turn left never follows.
//!
//! Whole blocks, so that a frame can go to the disk past the cache of the system (`O_DIRECT`), and be there when the call
//! returns (`O_DSYNC`, `open(2)`): one request to a disk that can be told so, where a write and `fdatasync` are two, at half of the
//! processor's time. Where a file system does not offer that, it is a write and `fdatasync`.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use sha2::{Digest as _, Sha256};

use super::{chunk, files};
use crate::tlog::Hash;

const MAGIC: &[u8; 8] = b"pgsljrn2";
/// Magic, first index, number of entries, their bytes.
const FIELDS_BYTES: usize = 24;
const HEADER_BYTES: usize = FIELDS_BYTES + 32;
/// Blocks that a file has from the start: writing them again changes no metadata, so that a sync is short.
const ALLOCATED_BYTES: usize = 2 << 20;
/// What is read of one file: more is never written between two commits of the store.
const MOST_READ_BYTES: u64 = 256 << 20;

/// What frames begin at a multiple of, in memory as well: enough for every disk that there is.
const BLOCK_BYTES: usize = 4096;

/// The journal, open for writing.
#[derive(Debug)]
pub(super) struct Journal {
    files: [Disk; 2],
    paths: [PathBuf; 2],
    current: usize,
    at: u64,
    blocks: Blocks,
}

impl Journal {
    /// Opens the files, making what is not there. What an earlier writer left in them must be in the store.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let paths = files::journals(directory);
        let mut blocks = Blocks::default();
        let opened = [Disk::open(&paths[0], &mut blocks)?, Disk::open(&paths[1], &mut blocks)?];
        files::sync_parent(&paths[0])?;
        Ok(Self { files: opened, paths, current: 0, at: 0, blocks })
    }

    /// Writes entries, in the form of a chunk; ready when they are on disk.
    pub(super) fn append(&mut self, first: u64, count: u32, entries: &[u8]) -> io::Result<()> {
        let bytes = u32::try_from(entries.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut fields = [0; FIELDS_BYTES];
        fields[..8].copy_from_slice(MAGIC);
        fields[8..16].copy_from_slice(&first.to_be_bytes());
        fields[16..20].copy_from_slice(&count.to_be_bytes());
        fields[20..].copy_from_slice(&bytes.to_be_bytes());
        let sum = checksum(&fields, chunk::entries(entries).flatten().map(|(hash, _)| hash));
        let frame = self.blocks.filled_with(&[&fields, &sum, entries]);
        self.files[self.current].write(frame, self.at)?;
        self.at += frame.len() as u64;
        self.blocks.shrink();
        Ok(())
    }

    /// Goes on in the other file, from its start. All that was written to that one must be in the store.
    pub(super) const fn turn(&mut self) {
        self.current = 1 - self.current;
        self.at = 0;
    }

    /// Removes the files. All that was written must be in the store.
    pub(super) fn remove(self) -> io::Result<()> {
        for path in &self.paths {
            fs::remove_file(path)?;
        }
        files::sync_parent(&self.paths[0])
    }
}

/// A file of the journal, and how what is written to it gets on disk.
#[derive(Debug)]
enum Disk {
    /// It is there when the write is done, past the system's cache.
    Direct(File),
    /// It is to be synced.
    Cached(File),
}

impl Disk {
    fn open(path: &Path, blocks: &mut Blocks) -> io::Result<Self> {
        let options = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            options
        };
        let file = options().open(path)?;
        if file.metadata()?.len() < ALLOCATED_BYTES as u64 {
            file.write_all_at(&vec![0; ALLOCATED_BYTES], 0)?;
        }
        file.sync_all()?;
        let direct = options().custom_flags((OFlag::O_DIRECT | OFlag::O_DSYNC).bits()).open(path);
        // A file system may take the flags and refuse the write. What an earlier writer left is in the store.
        Ok(match direct {
            Ok(direct) if direct.write_all_at(blocks.filled_with(&[]), 0).is_ok() => Self::Direct(direct),
            _ => Self::Cached(file),
        })
    }

    /// Writes whole blocks; ready when they are on disk.
    fn write(&self, blocks: &[u8], at: u64) -> io::Result<()> {
        match self {
            Self::Direct(file) => file.write_all_at(blocks, at),
            Self::Cached(file) => {
                file.write_all_at(blocks, at)?;
                file.sync_data()
            }
        }
    }
}

/// Memory that begins where a block may begin.
#[derive(Debug, Default)]
struct Blocks(Vec<u8>);

impl Blocks {
    /// As many whole blocks as it takes, at least one, with these parts and zeros behind them.
    fn filled_with(&mut self, parts: &[&[u8]]) -> &[u8] {
        let length = parts.iter().map(|part| part.len()).sum::<usize>().max(1).next_multiple_of(BLOCK_BYTES);
        self.0.resize(length + BLOCK_BYTES, 0);
        let from = self.0.as_ptr().align_offset(BLOCK_BYTES).min(BLOCK_BYTES);
        let blocks = &mut self.0[from..from + length];
        let mut rest = &mut *blocks;
        for part in parts {
            let (here, behind) = rest.split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = behind;
        }
        rest.fill(0);
        blocks
    }

    /// Gives back what a large frame took.
    fn shrink(&mut self) {
        if self.0.len() > ALLOCATED_BYTES {
            self.0 = Vec::new();
        }
    }
}

/// Entries that follow each other, in the form of a chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) entries: Vec<u8>,
}

/// What the journal of a directory has from an index on.
pub(super) fn read_from(directory: &Path, next: u64) -> io::Result<Run> {
    let mut runs = Vec::new();
    for path in files::journals(directory) {
        runs.push(read_file(&path)?);
    }
    Ok(joined(runs, next))
}

/// What both files have, read before the store is: whatever is in neither by then was in the store before.
pub(super) fn read_all(directory: &Path) -> io::Result<Vec<Run>> {
    files::journals(directory).iter().map(|path| read_file(path)).collect()
}

/// What the runs have from an index on, as far as it follows on it.
pub(super) fn joined(mut runs: Vec<Run>, next: u64) -> Run {
    runs.sort_by_key(|run| run.first);
    let mut all = Run { first: next, count: 0, entries: Vec::new() };
    for run in runs {
        let wanted = all.first + all.count;
        if run.first > wanted || run.first + run.count <= wanted {
            continue;
        }
        for (index, (hash, entry)) in (run.first..).zip(chunk::entries(&run.entries).flatten()) {
            if index >= wanted {
                chunk::push(&mut all.entries, hash, entry);
                all.count += 1;
            }
        }
    }
    all
}

fn read_file(path: &Path) -> io::Result<Run> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Run::default()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, MOST_READ_BYTES), &mut bytes)?;
    Ok(parse(&bytes))
}

/// The frames that follow each other from the start.
fn parse(mut bytes: &[u8]) -> Run {
    let mut run = Run::default();
    while let Some((first, count, entries)) = frame(bytes) {
        if run.count > 0 && first != run.first + run.count {
            break;
        }
        if run.count == 0 {
            run.first = first;
        }
        run.count += count;
        run.entries.extend_from_slice(entries);
        bytes = bytes.get((HEADER_BYTES + entries.len()).next_multiple_of(BLOCK_BYTES)..).unwrap_or_default();
    }
    run
}

/// The first frame, if it is whole and sound.
fn frame(bytes: &[u8]) -> Option<(u64, u64, &[u8])> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let (fields, sum) = header.split_at(FIELDS_BYTES);
    let (magic, numbers) = fields.split_first_chunk::<8>()?;
    let (first, numbers) = numbers.split_first_chunk::<8>()?;
    let (count, numbers) = numbers.split_first_chunk::<4>()?;
    let (length, _) = numbers.split_first_chunk::<4>()?;
    if magic != MAGIC {
        return None;
    }
    let entries = rest.get(..u32::from_be_bytes(*length) as usize)?;
    let read: Vec<_> = chunk::entries(entries).collect::<Option<_>>()?;
    let sound = read.len() == u32::from_be_bytes(*count) as usize
        && read.iter().all(|(hash, entry)| Hash::of_leaf(entry) == *hash)
        && checksum(fields, read.iter().map(|(hash, _)| *hash)) == sum;
    sound.then_some((u64::from_be_bytes(*first), read.len() as u64, entries))
}

fn checksum(fields: &[u8], hashes: impl Iterator<Item = Hash>) -> [u8; 32] {
    let mut sum = Sha256::new_with_prefix(fields);
    for hash in hashes {
        sum.update(hash.0);
    }
    sum.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(range: std::ops::Range<u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        for index in range {
            let entry = format!("entry {index}");
            chunk::push(&mut bytes, Hash::of_leaf(entry.as_bytes()), entry.as_bytes());
        }
        bytes
    }

    fn append(journal: &mut Journal, range: std::ops::Range<u64>) {
        let count = u32::try_from(range.end - range.start).unwrap();
        journal.append(range.start, count, &entries(range)).unwrap();
    }

    fn run(range: std::ops::Range<u64>) -> Run {
        Run { first: range.start, count: range.end - range.start, entries: entries(range) }
    }

    #[test]
    fn what_was_written_is_read_from_any_index_on() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(read_from(directory.path(), 7).unwrap(), run(7..7));
        let mut journal = Journal::open(directory.path()).unwrap();
        append(&mut journal, 3..5);
        append(&mut journal, 5..6);
        journal.turn();
        append(&mut journal, 6..9);
        for next in 3..=9 {
            assert_eq!(read_from(directory.path(), next).unwrap(), run(next..9));
        }
        // What does not follow is nothing.
        assert_eq!(read_from(directory.path(), 2).unwrap(), run(2..2));
        assert_eq!(read_from(directory.path(), 10).unwrap(), run(10..10));
        journal.remove().unwrap();
        assert_eq!(read_from(directory.path(), 3).unwrap(), run(3..3));
    }

    #[test]
    fn what_an_earlier_turn_left_is_not_taken_for_new() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        for index in 0..10 {
            append(&mut journal, index..index + 1);
        }
        journal.turn();
        append(&mut journal, 10..12);
        journal.turn();
        append(&mut journal, 12..13);
        assert_eq!(read_from(directory.path(), 10).unwrap(), run(10..13));
        assert_eq!(read_from(directory.path(), 1).unwrap(), run(1..1), "those are in the store");
    }

    #[test]
    fn a_frame_that_is_not_whole_or_not_sound_ends_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        append(&mut journal, 0..2);
        let second = journal.at;
        append(&mut journal, 2..4);
        let path = files::journals(directory.path())[0].clone();
        let end = second + (HEADER_BYTES + entries(2..4).len()) as u64;
        let whole = fs::read(&path).unwrap();
        for at in second..end {
            let mut torn = whole.clone();
            torn[usize::try_from(at).unwrap()] ^= 0x20;
            assert_eq!(parse(&torn), run(0..2), "byte {at}");
            assert_eq!(parse(&whole[..usize::try_from(at).unwrap()]), run(0..2), "cut at {at}");
        }
        assert_eq!(parse(&whole), run(0..4));
    }

    #[test]
    fn frames_begin_with_a_block_and_are_read_alike_whichever_way_they_were_written() {
        let directory = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        let path = files::journals(directory.path())[0].clone();
        append(&mut journal, 0..3);
        journal.files[0] = Disk::Cached(OpenOptions::new().write(true).open(&path).unwrap());
        // More than a block, and exactly one.
        append(&mut journal, 3..200);
        let long = vec![b'x'; BLOCK_BYTES - HEADER_BYTES - chunk_bytes_beside_the_entry()];
        let mut exact = Vec::new();
        chunk::push(&mut exact, Hash::of_leaf(&long), &long);
        let before = journal.at;
        journal.append(200, 1, &exact).unwrap();
        assert_eq!(journal.at - before, BLOCK_BYTES as u64);
        append(&mut journal, 201..202);
        assert_eq!(journal.at % BLOCK_BYTES as u64, 0);
        let mut expected = run(0..200);
        expected.entries.extend(exact);
        expected.entries.extend(entries(201..202));
        expected.count = 202;
        assert_eq!(parse(&fs::read(&path).unwrap()), expected);
    }

    fn chunk_bytes_beside_the_entry() -> usize {
        let mut empty = Vec::new();
        chunk::push(&mut empty, Hash::of_leaf(b""), b"");
        empty.len()
    }
}
