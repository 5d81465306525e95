//! A file that can be written to without being changed: what is written stays in memory.
//!
//! A store whose writer was killed must be repaired before it can be read. Whoever only looks must not do that to the
//! file, which may be evidence, and may not be allowed to; so it is repaired here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

const PAGE_BYTES: usize = 4096;

/// A read-only file, and what was written over it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    changes: Mutex<Changes>,
}

#[derive(Debug)]
struct Changes {
    /// The length, as set or as found.
    length: u64,
    /// The file counts only this far: beyond, it was cut off, and what was added is zeros.
    file_length: u64,
    /// Whole pages, by number.
    pages: BTreeMap<u64, Box<[u8; PAGE_BYTES]>>,
}

impl Overlay {
    pub(super) fn new(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let changes = Changes { length, file_length: length, pages: BTreeMap::new() };
        Ok(Self { file, changes: Mutex::new(changes) })
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        // Nothing that runs under the lock leaves it half done when it panics.
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changes {
    /// Reads from the file; zeros where it has nothing.
    fn read_file(&self, file: &File, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = usize::try_from(self.file_length.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        file.read_exact_at(&mut out[..there], offset)?;
        out[there..].fill(0);
        Ok(())
    }

    fn read_page(&self, file: &File, page: u64) -> io::Result<Box<[u8; PAGE_BYTES]>> {
        if let Some(content) = self.pages.get(&page) {
            return Ok(content.clone());
        }
        let mut content = Box::new([0; PAGE_BYTES]);
        self.read_file(file, page * PAGE_BYTES as u64, &mut *content)?;
        Ok(content)
    }
}

/// The parts of pages that a range of bytes consists of: page, where in the page, where in the range.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, std::ops::Range<usize>, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let in_page = usize::try_from(at % PAGE_BYTES as u64).expect("it is below the page's size");
        let size = (PAGE_BYTES - in_page).min(length - done);
        let part = (at / PAGE_BYTES as u64, in_page..in_page + size, done..done + size);
        done += size;
        (size > 0).then_some(part)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changes = self.lock();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > changes.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        changes.read_file(&self.file, offset, out)?;
        let (first, last) = (offset / PAGE_BYTES as u64, (offset + out.len() as u64) / PAGE_BYTES as u64);
        if changes.pages.range(first..=last).next().is_some() {
            for (page, in_page, in_out) in parts(offset, out.len()) {
                if let Some(content) = changes.pages.get(&page) {
                    out[in_out].copy_from_slice(&content[in_page]);
                }
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changes = self.lock();
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > changes.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (page, in_page, in_data) in parts(offset, data.len()) {
            let mut content = changes.read_page(&self.file, page)?;
            content[in_page].copy_from_slice(&data[in_data]);
            changes.pages.insert(page, content);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut changes = self.lock();
        if length < changes.length {
            // What is cut off is gone, also when the file grows again.
            changes.file_length = changes.file_length.min(length);
            let whole = length.div_ceil(PAGE_BYTES as u64);
            changes.pages.split_off(&whole);
            let in_page = usize::try_from(length % PAGE_BYTES as u64).expect("it is below the page's size");
            if in_page > 0
                && let Some(last) = changes.pages.get_mut(&(length / PAGE_BYTES as u64))
            {
                last[in_page..].fill(0);
            }
        }
        changes.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Write(u64, Vec<u8>),
        SetLength(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let write = (0u64..20_000, prop::collection::vec(any::<u8>(), 0..9000));
        prop_oneof![write.prop_map(|(at, data)| Step::Write(at, data)), (0u64..25_000).prop_map(Step::SetLength)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_reads_as_a_file_that_was_changed_and_changes_none(content in prop::collection::vec(any::<u8>(), 0..12_000), steps in prop::collection::vec(step(), 0..12)) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("file");
            std::fs::write(&path, &content).unwrap();
            let overlay = Overlay::new(File::open(&path).unwrap()).unwrap();
            let mut expected = content.clone();
            for step in steps {
                match step {
                    Step::SetLength(length) => {
                        overlay.set_len(length).unwrap();
                        expected.resize(usize::try_from(length).unwrap(), 0);
                    }
                    Step::Write(at, data) => {
                        let range = usize::try_from(at).unwrap()..usize::try_from(at).unwrap() + data.len();
                        match expected.get_mut(range) {
                            Some(place) => {
                                overlay.write(at, &data).unwrap();
                                place.copy_from_slice(&data);
                            }
                            None => prop_assert!(overlay.write(at, &data).is_err()),
                        }
                    }
                }
                let mut read = vec![0; expected.len()];
                overlay.read(0, &mut read).unwrap();
                prop_assert!(read == expected);
                prop_assert!(overlay.read(1, &mut read).is_err() || read.is_empty());
            }
            prop_assert_eq!(std::fs::read(&path).unwrap(), content);
        }
    }
}
