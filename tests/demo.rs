//! Promise: `pgsluice demo` says what to type, what it says works, and it leaves nothing behind
//! however it ends.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::{Finished, finished, psql, started};

const PATIENCE: Duration = Duration::from_secs(60);

/// A demo that has said what to type.
struct Demo {
    process: Child,
    temporary: TempDir,
    url: String,
    data: PathBuf,
}

impl Demo {
    fn open() -> Self {
        let temporary = TempDir::with_prefix("demo-").unwrap();
        // Postgres may run as another user, who has to pass through.
        std::fs::set_permissions(temporary.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgsluice"));
        command.arg("demo").env("TMPDIR", temporary.path()).current_dir(temporary.path());
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = None;
        let mut data = None;
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                match word {
                    "psql" => url = words.next().map(str::to_owned),
                    "--data" => data = words.next().map(PathBuf::from),
                    _ => {}
                }
            }
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        Self { process, temporary, url: url.expect("a psql line"), data: data.expect("a line with --data") }
    }

    fn pgsluice(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgsluice"));
        finished(command.arg("--data").arg(&self.data).args(arguments))
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), signal).unwrap();
    }

    /// Waits for the end; then neither a file nor a process may be left.
    fn ends(mut self) -> Option<i32> {
        let code = self.process.wait().unwrap().code();
        let until = Instant::now() + PATIENCE;
        let left = || -> Vec<PathBuf> {
            let files = std::fs::read_dir(self.temporary.path()).unwrap().map(|entry| entry.unwrap().path());
            files.chain(processes_that_mention(self.temporary.path())).collect()
        };
        while !left().is_empty() {
            assert!(Instant::now() < until, "left behind: {:?}", left());
            std::thread::sleep(Duration::from_millis(20));
        }
        code
    }
}

/// Processes with a path in their command line.
fn processes_that_mention(path: &Path) -> Vec<PathBuf> {
    let needle = path.to_string_lossy().into_owned();
    let listed = finished(Command::new("ps").args(["-A", "-o", "args"]));
    listed.stdout.lines().filter(|line| line.contains(&needle)).map(PathBuf::from).collect()
}

#[test]
fn what_it_says_works_and_an_interrupt_removes_it_all() {
    let demo = Demo::open();
    let read = finished(psql(&demo.url).args(["-c", "select count(*) from order_totals"]));
    assert_eq!((read.code, read.stdout.as_str()), (Some(0), "50000\n"), "{}", read.stderr);
    let client = started(psql(&demo.url).args(["-c", "delete from orders where placed_on < '2023-02-01'"]));
    let until = Instant::now() + PATIENCE;
    let id = loop {
        let listed = demo.pgsluice(&["holds", "list"]).stdout;
        if let Some(id) = listed.split_whitespace().find(|word| word.starts_with("h-")) {
            break id.to_owned();
        }
        assert!(Instant::now() < until, "nothing is held");
        std::thread::sleep(Duration::from_millis(20));
    };
    while demo.pgsluice(&["holds", "approve", &id, "--reason", "old orders"]).code == Some(4) {
        assert!(Instant::now() < until, "its radius never gets known");
    }
    let client = Finished::of(client);
    assert!(client.stdout.starts_with("DELETE "), "{client:?}");
    let verified = demo.pgsluice(&["audit", "verify"]);
    assert_eq!(verified.code, Some(0), "{}", verified.stderr);
    demo.signal(Signal::SIGINT);
    demo.ends();
}

#[test]
fn killed_it_leaves_nothing() {
    let demo = Demo::open();
    demo.signal(Signal::SIGKILL);
    demo.ends();
}

#[test]
fn it_ends_with_its_postgres() {
    let demo = Demo::open();
    let pid_file = demo.data.parent().unwrap().join("data/postmaster.pid");
    let pid = std::fs::read_to_string(pid_file).unwrap().lines().next().unwrap().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert_eq!(demo.ends(), Some(1));
}
