//! Whatever is changed in a log's files, `audit verify` finds it and names the first entry that is bad.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgsluice::audit::verify::{Known, Verified, verify};
use pgsluice::audit::{Continue, Damage, Log, Options, ReadError, Reader, Record, RecordKind, quiet_panics};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use tempfile::TempDir;

/// More than a tile, in batches of many sizes, with some entries that need pages of their own.
const ENTRIES: u64 = 300;

/// A closed log, and what is in it.
struct Sound {
    directory: TempDir,
    entries: Vec<Vec<u8>>,
    verified: Verified,
}

fn sound() -> Sound {
    let directory = tempfile::tempdir().unwrap();
    let options =
        Options { origin: Some("pgsluice/test".to_owned()), gather: Duration::from_secs(60), ..Options::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let log = Log::open(directory.path(), options).unwrap();
        for number in 0..ENTRIES {
            let mut record = Record::new(RecordKind::Intent);
            let length = if number % 97 == 0 { 5_000 } else { 50 };
            record.set_sql(format!("SELECT {number} {}", "x".repeat(length)).as_bytes());
            log.append(record).await.unwrap();
            if number % 5 == 0 && number % 60 < 30 {
                log.flush().await.unwrap();
            }
        }
        log.close().await.unwrap();
    });
    let verified = verify(directory.path(), &Known::default()).unwrap();
    let mut entries = Vec::new();
    let snapshot = Reader::open(directory.path()).unwrap().snapshot().unwrap();
    snapshot
        .for_each(0, u64::MAX, |entry| {
            entries.push(entry.json.to_vec());
            Continue::Yes
        })
        .unwrap();
    assert_eq!(entries.len() as u64, ENTRIES);
    quiet_panics();
    Sound { directory, entries, verified }
}

impl Sound {
    fn store(&self) -> PathBuf {
        self.directory.path().join("audit.redb")
    }

    fn verify(&self) -> Result<Verified, Damage> {
        damage_of(self.directory.path())
    }
}

fn damage_of(directory: &Path) -> Result<Verified, Damage> {
    verify(directory, &Known::default()).map_err(|error| match error {
        ReadError::Damaged(damage) => damage,
        ReadError::Missing { .. } | ReadError::Io { .. } => unreachable!("{error}"),
    })
}

#[test]
fn a_changed_entry_is_named() {
    let sound = sound();
    let store = fs::read(sound.store()).unwrap();
    for index in [0, 1, 96, 97, 98, 255, 256, 290, 299] {
        let entry = &sound.entries[index];
        let mut changed = store.clone();
        let mut occurrences = 0;
        // The file may also have copies of entries in pages that are free by now.
        while let Some(at) = changed.windows(entry.len()).position(|bytes| bytes == entry) {
            changed[at + entry.len() / 2] ^= 0x01;
            occurrences += 1;
        }
        assert!(occurrences > 0);
        fs::write(sound.store(), changed).unwrap();
        let damage = sound.verify().unwrap_err();
        assert_eq!(damage.index, index as u64, "{damage}");
    }
}

#[test]
fn a_closed_log_has_no_copies_of_entries_in_free_pages() {
    let sound = sound();
    let store = fs::read(sound.store()).unwrap();
    for entry in &sound.entries {
        assert_eq!(store.windows(entry.len()).filter(|bytes| bytes == entry).count(), 1);
    }
}

#[test]
fn every_changed_byte_of_checkpoint_and_key_is_found() {
    let sound = sound();
    for name in ["checkpoint", "audit.vkey"] {
        let path = sound.directory.path().join(name);
        let content = fs::read(&path).unwrap();
        for at in 0..content.len() {
            let mut changed = content.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, changed).unwrap();
            assert!(sound.verify().is_err(), "{name}, byte {at}");
        }
        fs::remove_file(&path).unwrap();
        assert!(sound.verify().is_err(), "{name} removed");
        fs::write(&path, content).unwrap();
    }
    assert_eq!(sound.verify(), Ok(sound.verified));
}

#[test]
fn a_lost_store_is_found() {
    let sound = sound();
    fs::remove_file(sound.store()).unwrap();
    assert_eq!(sound.verify().unwrap_err().index, 0);
    fs::write(sound.store(), b"").unwrap();
    assert_eq!(sound.verify().unwrap_err().index, 0);
}

/// A changed or cut file either does not verify, or the change is where it means nothing: then everything that was
/// written is still there, proved by the signed root.
fn check_changed(sound: &Sound, changed: &[u8], what: &str) {
    fs::write(sound.store(), changed).unwrap();
    match sound.verify() {
        Ok(verified) => assert_eq!(verified, sound.verified, "{what}"),
        Err(damage) => assert!(damage.index <= ENTRIES, "{what}: {damage}"),
    }
}

#[test]
fn a_changed_byte_anywhere_is_found_or_means_nothing() {
    let sound = sound();
    let store = fs::read(sound.store()).unwrap();
    // The header, in which everything hangs together, and anywhere.
    for at in (0..64).chain((64..320).step_by(5)) {
        let mut changed = store.clone();
        changed[at] ^= 1 << (at % 8);
        check_changed(&sound, &changed, &format!("byte {at}"));
    }
    let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
    runner
        .run(&(any::<Index>(), 1u8..), |(at, mask)| {
            let at = at.index(store.len());
            let mut changed = store.clone();
            changed[at] ^= mask;
            check_changed(&sound, &changed, &format!("byte {at}, mask {mask:#x}"));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_cut_store_is_found_or_nothing_is_lost() {
    let sound = sound();
    let store = fs::read(sound.store()).unwrap();
    for quarter in 0..40 {
        let length = store.len() * quarter / 40;
        check_changed(&sound, &store[..length], &format!("{length} bytes"));
    }
}

/// Slow: every byte of the file, all bits at once and one by one.
#[test]
#[ignore = "minutes"]
fn every_changed_byte_is_found_or_means_nothing() {
    let sound = sound();
    let store = fs::read(sound.store()).unwrap();
    let mut found = 0;
    for at in 0..store.len() {
        for mask in [0xff, 1 << (at % 8)] {
            let mut changed = store.clone();
            changed[at] ^= mask;
            check_changed(&sound, &changed, &format!("byte {at}, mask {mask:#x}"));
            found += usize::from(sound.verify().is_err());
        }
    }
    println!("{found} of {} changes are found", store.len() * 2);
}
