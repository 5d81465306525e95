//! `pgsluice serve` in front of a server, and the other commands against it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgsluice::cli::demo::throwaway::{Throwaway, free_port};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that the proxy is expected to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command printed, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finished {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Waits for the end of a started command.
    pub(crate) fn of(child: Child) -> Self {
        Self::from(child.wait_with_output().unwrap())
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A proxy with its own data directory. Dropping it stops the proxy.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Holds the data directory, the log and whatever files a test wants.
    pub(crate) place: TempDir,
    upstream: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    data: PathBuf,
    port: u16,
    server: Option<Child>,
}

impl Proxy {
    /// Starts a proxy with the shipped policy in front of a server.
    pub(crate) fn start(postgres: &Throwaway) -> Self {
        Self::start_with(postgres, &[])
    }

    /// Starts a proxy with further arguments of `serve`.
    pub(crate) fn start_with(postgres: &Throwaway, arguments: &[&str]) -> Self {
        let mut proxy = Self::prepare(&postgres.url("postgres", "postgres"), arguments);
        proxy.launch();
        proxy
    }

    /// A proxy that is not started yet: a place for it, and a port.
    pub(crate) fn prepare(upstream: &str, arguments: &[&str]) -> Self {
        let place = TempDir::with_prefix("pgsluice-test-").unwrap();
        Self {
            data: place.path().join("data"),
            place,
            upstream: upstream.to_owned(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            port: free_port().unwrap(),
            environment: Vec::new(),
            server: None,
        }
    }

    /// Listens on a port of the test's choice.
    pub(crate) fn use_port(&mut self, port: u16) {
        self.port = port;
    }

    /// Sets a variable in the environment of all commands from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Starts `serve`, again if it was stopped or killed, and waits until it says that it listens.
    pub(crate) fn launch(&mut self) {
        let starts = |log: &str| log.matches("pgsluice listens on").count();
        let starts_before = starts(&self.log());
        let log = File::options().create(true).append(true).open(self.place.path().join("log")).unwrap();
        let child = self.serve().stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        self.server = Some(child);
        let until = Instant::now() + PATIENCE;
        while starts(&self.log()) == starts_before {
            let ended = self.server.as_mut().and_then(|server| server.try_wait().unwrap());
            assert!(ended.is_none() && Instant::now() < until, "serve did not start ({ended:?}): {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The command that serves: for tests that expect it to fail.
    pub(crate) fn serve(&self) -> Command {
        let mut serve = self.command(&["serve", "--upstream", &self.upstream]);
        serve.args(["--listen", &format!("127.0.0.1:{}", self.port)]).args(&self.arguments);
        serve
    }

    /// A `pgsluice` command on this proxy's data directory, blind to the configuration of
    /// whoever runs the tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pgsluice"));
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PGSLUICE_")) {
            command.env_remove(variable);
        }
        command
            .current_dir(self.place.path())
            .env("XDG_CONFIG_HOME", self.place.path())
            .env("HOME", self.place.path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .arg("--data")
            .arg(self.data())
            .args(arguments);
        command
    }

    /// Runs a `pgsluice` command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        super::finished(&mut self.command(arguments))
    }

    /// Runs a `pgsluice` command that must succeed and gives what it printed.
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let finished = self.run(arguments);
        assert_eq!(finished.code, Some(0), "pgsluice {arguments:?}: {}{}", finished.stderr, self.log());
        finished.stdout
    }

    /// The holds that wait now.
    pub(crate) fn holds(&self) -> Vec<Value> {
        self.done(&["holds", "list", "--json"]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until a statement is held and its radius is known, and gives that hold.
    pub(crate) fn held(&self) -> Value {
        self.wait_for("a hold", || self.holds().into_iter().find(|hold| hold["radius_pending"] == false))
    }

    /// Waits until nothing is held.
    pub(crate) fn none_held(&self) {
        self.wait_for("no hold", || self.holds().is_empty().then_some(()));
    }

    /// Waits until an answer is there.
    pub(crate) fn wait_for<T>(&self, what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = answer() {
                return answer;
            }
            assert!(Instant::now() < until, "waited in vain for {what}: {}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Approves what is held next, with further arguments, and gives the hold as it was.
    pub(crate) fn approve_next(&self, arguments: &[&str]) -> Value {
        let hold = self.held();
        let id = hold["id"].as_str().unwrap();
        self.done(&[&["holds", "approve", id, "--reason", "a test"], arguments].concat());
        hold
    }

    /// Denies what is held next, and gives the hold as it was.
    pub(crate) fn deny_next(&self, reason: &str) -> Value {
        let hold = self.held();
        self.done(&["holds", "deny", hold["id"].as_str().unwrap(), "--reason", reason]);
        hold
    }

    /// A connection URL through the proxy.
    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port it listens on.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The process id of `serve`.
    pub(crate) fn pid(&self) -> Pid {
        let server = self.server.as_ref().expect("the test started the proxy");
        Pid::from_raw(i32::try_from(server.id()).unwrap())
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Makes this proxy use the data directory of another one.
    pub(crate) fn use_data_of(&mut self, other: &Self) {
        self.data.clone_from(&other.data);
    }

    /// What `serve` has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.place.path().join("log")).unwrap_or_default()
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn stop(&mut self, signal: Signal) {
        let Some(mut server) = self.server.take() else { return };
        let _ = kill(Pid::from_raw(i32::try_from(server.id()).unwrap()), signal);
        let until = Instant::now() + PATIENCE;
        while matches!(server.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = server.kill();
        let _ = server.wait();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop(Signal::SIGTERM);
    }
}
