//! The clients people use: psql, pgbench, Python's drivers.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pgsluice::cli::demo::throwaway;

use super::Finished;

/// `psql` on a URL: no start-up file, bare rows, stop at the first error.
pub(crate) fn psql(url: &str) -> Command {
    let mut psql = client("psql");
    psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url]);
    psql
}

/// `pgbench` on a URL.
pub(crate) fn pgbench(url: &str) -> Command {
    let mut pgbench = client("pgbench");
    pgbench.arg(url);
    pgbench
}

/// Python with psycopg and asyncpg: the environment that `scripts/python-clients` makes.
///
/// # Panics
///
/// When that environment is not there: a test that did nothing would look like one that passed.
pub(crate) fn python(script: &str) -> Command {
    let place = std::env::var_os("PGSLUICE_TEST_PYTHON")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/python-clients/bin/python"), PathBuf::from);
    assert!(place.exists(), "{} is missing: run scripts/python-clients (`make test` does)", place.display());
    let mut python = Command::new(place);
    python.args(["-c", script]);
    python
}

/// Runs a command to its end and gives what it said.
pub(crate) fn finished(command: &mut Command) -> Finished {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Finished::from(output)
}

/// Starts a command whose end somebody else will cause; see [`Finished::of`].
pub(crate) fn started(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn client(name: &str) -> Command {
    let programs = throwaway::programs().expect("the server's programs are installed: the test started a server");
    let mut command = Command::new(programs.join(name));
    for (variable, _) in std::env::vars_os().filter(|(variable, _)| variable.to_string_lossy().starts_with("PG")) {
        command.env_remove(variable);
    }
    command.env("PGCONNECT_TIMEOUT", "30").env("LC_ALL", "C");
    command
}
