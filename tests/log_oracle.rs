//! Other people's tools verify our log: Go's `sumdb/note` and `sumdb/tlog` read what we export, tile by tile, and
//! check our signatures, roots and proofs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use pgsluice::audit::verify::{Known, verify};
use pgsluice::audit::{Log, Options, Record, RecordKind};
use tempfile::TempDir;

/// Sizes around those where tiles fill.
const SIZES: [u64; 6] = [1, 2, 255, 256, 257, 700];

/// Where Debian's package golang-golang-x-mod-dev puts its sources.
const DEBIAN_GOPATH: &str = "/usr/share/gocode";

/// Runs Go, which `make test` installs.
fn go(arguments: &[&str], directory: &Path) -> Output {
    let mut command = Command::new("go");
    command.args(arguments).current_dir(directory).env("GOFLAGS", "");
    command.env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"));
    if Path::new(DEBIAN_GOPATH).exists() {
        command.env("GO111MODULE", "off").env("GOPATH", DEBIAN_GOPATH);
    }
    command.output().unwrap_or_else(|error| panic!("go: {error}: `scripts/need go` installs what this test needs"))
}

fn succeeded(output: Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}\n`scripts/need go` installs what this test needs", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// Builds the oracle.
fn oracle(directory: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/oracle/log.go");
    fs::copy(source, directory.join("log.go")).unwrap();
    if !Path::new(DEBIAN_GOPATH).exists() {
        succeeded(go(&["mod", "init", "oracle"], directory));
        succeeded(go(&["get", "golang.org/x/mod"], directory));
    }
    succeeded(go(&["build", "-o", "oracle", "log.go"], directory));
    directory.join("oracle")
}

/// Appends until the log has that many entries.
async fn grow(directory: &Path, size: u64) {
    let options =
        Options { origin: Some("pgsluice/test".to_owned()), gather: Duration::from_secs(9), ..Options::default() };
    let log = Log::open(directory, options).unwrap();
    for number in verify(directory, &Known::default()).unwrap().size..size {
        let mut record = Record::new(RecordKind::Intent);
        record.set_sql(format!("SELECT {number}").as_bytes());
        log.append(record).await.unwrap();
    }
    log.close().await.unwrap();
}

fn pgsluice(data: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pgsluice"));
    succeeded(command.arg("--data").arg(data).arg("audit").args(arguments).output().unwrap())
}

#[test]
fn go_verifies_checkpoints_tiles_entries_and_proofs() {
    let scratch = TempDir::new().unwrap();
    let (data, export) = (scratch.path().join("data"), scratch.path().join("export"));
    let oracle = oracle(scratch.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut taken_away = Vec::new();
    for size in SIZES {
        runtime.block_on(grow(&data, size));
        let verified = verify(&data, &Known::default()).unwrap();
        pgsluice(&data, &["export", export.to_str().unwrap()]);
        for index in [0, size / 2, size - 1] {
            let path = scratch.path().join(format!("{size}-{index}.tlog-proof"));
            fs::write(&path, pgsluice(&data, &["prove", &index.to_string()])).unwrap();
            taken_away.push(path);
        }
        let checked =
            Command::new(&oracle).arg(verified.vkey.to_string()).arg(&export).args(&taken_away).output().unwrap();
        assert_eq!(succeeded(checked), format!("{size} {}\n", verified.root));
        let checkpoint = scratch.path().join(format!("{size}.checkpoint"));
        fs::copy(data.join("checkpoint"), &checkpoint).unwrap();
        taken_away.push(checkpoint);
    }
}

#[test]
fn go_refuses_what_was_changed() {
    let scratch = TempDir::new().unwrap();
    let (data, export) = (scratch.path().join("data"), scratch.path().join("export"));
    let oracle = oracle(scratch.path());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(grow(&data, 300));
    let vkey = verify(&data, &Known::default()).unwrap().vkey.to_string();
    pgsluice(&data, &["export", export.to_str().unwrap()]);
    let check = || Command::new(&oracle).arg(&vkey).arg(&export).output().unwrap();
    succeeded(check());
    for file in ["checkpoint", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1", "tile/entries/001.p/44"] {
        let path = export.join(file);
        let sound = fs::read(&path).unwrap();
        let mut changed = sound.clone();
        changed[20] ^= 1;
        fs::write(&path, changed).unwrap();
        assert!(!check().status.success(), "{file}");
        fs::write(&path, sound).unwrap();
    }
}

#[test]
fn a_proof_is_checked_without_the_log() {
    let scratch = TempDir::new().unwrap();
    let data = scratch.path().join("data");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(grow(&data, 20));
    let vkey = verify(&data, &Known::default()).unwrap().vkey.to_string();
    let (proof, entry) = (scratch.path().join("proof"), scratch.path().join("entry"));
    fs::write(&proof, pgsluice(&data, &["prove", "7"])).unwrap();
    fs::write(&entry, pgsluice(&data, &["show", "7", "--json"])).unwrap();
    let nowhere = scratch.path().join("nowhere");
    let arguments = ["check-proof", proof.to_str().unwrap(), entry.to_str().unwrap(), "--vkey", &vkey];
    assert_eq!(pgsluice(&nowhere, &arguments), "the entry is number 7 of the first 20 of pgsluice/test\n");
    fs::write(&entry, pgsluice(&data, &["show", "8", "--json"])).unwrap();
    let refused = Command::new(env!("CARGO_BIN_EXE_pgsluice")).arg("audit").args(arguments).output().unwrap();
    assert_eq!(refused.status.code(), Some(5));
}
