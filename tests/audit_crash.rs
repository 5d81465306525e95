//! Whatever the log has acknowledged as durable is there after the process was killed, and verifies.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pgsluice::audit::verify::{Known, verify};
use pgsluice::audit::view::EntryView;
use pgsluice::audit::{Continue, Log, Options, Reader, Record, RecordKind};

/// Tells the child where the log is.
const DIRECTORY: &str = "PGSLUICE_TEST_AUDIT_DIRECTORY";

/// How many appenders the child has: their batches overlap.
const APPENDERS: u64 = 3;

fn options() -> Options {
    Options { gather: Duration::from_millis(5), checkpoint_every: Duration::from_millis(1), ..Options::default() }
}

fn record(text: &str) -> Record {
    let mut record = Record::new(RecordKind::Intent);
    record.set_sql(text.as_bytes());
    record
}

/// The process that is killed: appends, durably and not, and says each index that it was told is on disk.
#[test]
#[ignore = "the child of the test below"]
fn append_until_killed() {
    let directory = std::env::var_os(DIRECTORY).unwrap();
    let log = Log::open(Path::new(&directory), options()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let acknowledged = runtime.block_on(async {
        let mut appenders = tokio::task::JoinSet::new();
        for appender in 0..APPENDERS {
            let log = log.clone();
            appenders.spawn(async move {
                for number in 0u64.. {
                    log.append(record("SELECT 'nobody waits for this'")).await?;
                    let text = format!("DELETE {appender} {number}");
                    let index = log.append_durable(record(&text)).await?;
                    let mut stdout = std::io::stdout().lock();
                    writeln!(stdout, "on disk: {index} {text}").and_then(|()| stdout.flush()).unwrap();
                }
                Ok::<(), pgsluice::audit::AppendError>(())
            });
        }
        appenders.join_next().await
    });
    unreachable!("the appenders go on until they are killed: {acknowledged:?}");
}

fn spawn(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "audit_crash::append_until_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

#[test]
fn what_was_acknowledged_survives_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged: Vec<(u64, String)> = Vec::new();
    for enough in [1, 40, 7, 120] {
        let mut child = spawn(directory.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut read = |line: String| {
            // libtest writes its own words in front of the first line.
            let line = line.split_once("on disk: ")?.1.to_owned();
            let (index, text) = line.split_once(' ')?;
            Some((index.parse().ok()?, text.to_owned()))
        };
        let mut seen = 0;
        while seen < enough {
            let line = lines.next().expect("the child goes on until it is killed").unwrap();
            if let Some(entry) = read(line) {
                acknowledged.push(entry);
                seen += 1;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // Also what it said before it died and we had not read. A line may be cut off: then it ends without number.
        acknowledged.extend(lines.map_while(Result::ok).filter_map(&mut read));

        // Before anybody repairs anything, and after.
        let killed = verify(directory.path(), &Known::default()).unwrap();
        assert_eq!(texts(directory.path()).len() as u64, killed.size);
        drop(Log::open(directory.path(), options()).unwrap());
        let reopened = verify(directory.path(), &Known::default()).unwrap();
        assert_eq!((reopened.size, reopened.signed), (killed.size + 1, killed.size + 1), "the gap is recorded, once");
        check(directory.path(), &acknowledged, killed.size);
    }
    assert!(acknowledged.len() >= 168);
}

/// Every acknowledged record is at its index, and the gap at the end.
fn check(directory: &Path, acknowledged: &[(u64, String)], gap: u64) {
    let texts = texts(directory);
    assert_eq!(texts[&gap], None);
    for (index, text) in acknowledged {
        assert_eq!(texts[index].as_deref(), Some(&**text), "entry {index}");
    }
}

/// The SQL of every entry, by its index.
fn texts(directory: &Path) -> std::collections::HashMap<u64, Option<String>> {
    let mut texts = std::collections::HashMap::new();
    // The reader is gone while its snapshot is read.
    let snapshot = Reader::open(directory).unwrap().snapshot().unwrap();
    snapshot
        .for_each(0, u64::MAX, |entry| {
            let view = EntryView::parse(entry.json).unwrap();
            assert_eq!(view.kind == "gap", view.sql.is_none());
            texts.insert(view.index, view.sql.map(String::from));
            Continue::Yes
        })
        .unwrap();
    texts
}
