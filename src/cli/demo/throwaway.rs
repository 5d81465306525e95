//! A Postgres server that lives as long as the value that owns it.
//!
//! The demo puts the proxy in front of one, and so do the integration tests. It listens on a
//! loopback port and on a Unix socket in its own directory, and neither a panic, a signal nor
//! `kill -9` of the process that started it leaves the server or the directory behind.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User};

/// How long a server may take to accept connections, or to stop.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many ports are tried when each turns out to be taken between choosing and binding it.
const PORT_TRIES: usize = 8;

/// How a client proves who it is over TCP. Over the Unix socket everybody is trusted: only the
/// owner of the directory and root can reach it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authentication {
    /// No proof is asked for.
    #[default]
    Trust,
    /// The password in clear.
    Password,
    /// The MD5 challenge; passwords are stored as MD5.
    Md5,
    /// SCRAM-SHA-256, and SCRAM-SHA-256-PLUS where the connection is TLS.
    ScramSha256,
}

impl Authentication {
    /// The method as `pg_hba.conf` writes it.
    fn method(self) -> &'static str {
        match self {
            Self::Trust => "trust",
            Self::Password => "password",
            Self::Md5 => "md5",
            Self::ScramSha256 => "scram-sha-256",
        }
    }
}

/// Whether the server waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// `fsync = off`: nothing in a throwaway server outlives it.
    #[default]
    Off,
    /// As a production server: what a commit costs is real.
    Full,
}

/// The server's certificate and key, in PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate chain.
    pub chain_pem: String,
    /// The private key.
    pub key_pem: String,
}

/// What kind of server to start. The default is one that trusts everybody, without TLS.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The port to use if it is free; else, and when `None`, any free one.
    pub port: Option<u16>,
    /// How clients log in over TCP.
    pub authentication: Authentication,
    /// Whether commits wait for the disk.
    pub durability: Durability,
    /// With a certificate the server speaks TLS to whoever asks for it.
    pub certificate: Option<Certificate>,
    /// Lines of `pg_hba.conf` that go before ours.
    pub hba: Vec<String>,
    /// Further lines of `postgresql.conf`, each a name and a value.
    pub settings: Vec<(String, String)>,
    /// A directory that keeps what `initdb` made, so that only the first server waits for it.
    pub initdb_cache: Option<PathBuf>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Postgres is not installed where we look.
    #[error("found no Postgres server programs (initdb and postgres)")]
    NotInstalled,
    /// We are root, which Postgres refuses, and there is nobody else to be.
    #[error("Postgres refuses to run as root, and this machine has no user `postgres` to run it as")]
    NoUser,
    /// A file or a process could not be made.
    #[error("{what}")]
    Io {
        /// What was being done, to what.
        what: String,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// `initdb`, `postgres` or `psql` ended with an error.
    #[error("{what} failed: {output}")]
    Failed {
        /// Which program, or which step.
        what: String,
        /// The end of what it wrote.
        output: String,
    },
}

/// Turns an I/O error into a [`StartError`] that says what was being done.
fn during(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Io { what: what.into(), source }
}

/// A running server. Dropping it stops the server and removes its directory.
#[derive(Debug)]
pub struct Throwaway {
    programs: PathBuf,
    owner: Option<Owner>,
    directory: PathBuf,
    port: u16,
    server: Option<Child>,
    janitor: Option<Child>,
}

/// The account that the server runs as when we are root.
#[derive(Clone, Copy, Debug)]
struct Owner {
    user: Uid,
    group: Gid,
}

impl Throwaway {
    /// Starts a server and waits until it accepts connections.
    ///
    /// # Errors
    ///
    /// When Postgres is not installed, when we are root and there is no user `postgres`, or when
    /// `initdb` or the server itself fails; nothing is left behind then.
    pub fn start(options: &Options) -> Result<Self, StartError> {
        let mut throwaway = Self {
            programs: programs().ok_or(StartError::NotInstalled)?,
            owner: owner()?,
            directory: PathBuf::new(),
            port: 0,
            server: None,
            janitor: None,
        };
        throwaway.directory = make_directory(throwaway.owner)?;
        throwaway.janitor = Some(throwaway.spawn_janitor()?);
        throwaway.initialise(options)?;
        throwaway.configure(options)?;
        throwaway.launch(options)?;
        if options.authentication == Authentication::Md5 {
            throwaway.sql("postgres", "ALTER ROLE postgres PASSWORD 'postgres'")?;
        }
        Ok(throwaway)
    }

    /// The loopback port the server listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// The directory of everything the server owns; its Unix socket is here.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A connection URL over TCP. The superuser `postgres` has the password `postgres`, which is
    /// part of the URL; other roles have none until one is given.
    #[must_use]
    pub fn url(&self, role: &str, database: &str) -> String {
        let password = if role == "postgres" { ":postgres" } else { "" };
        format!("postgresql://{role}{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// A program of this server's version, such as `psql` or `pgbench`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// Runs SQL as the superuser, over the Unix socket, and gives what it printed: rows without
    /// headings, fields parted by `|`.
    ///
    /// # Errors
    ///
    /// When `psql` cannot be run or one of the statements fails.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String, StartError> {
        let mut psql = Command::new(self.program("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database])
            .arg("-h")
            .arg(&self.directory)
            .args(["-p", &self.port.to_string(), "-f", "-"])
            .env_clear()
            .env("PGCLIENTENCODING", "UTF8");
        let output = output_of(psql, sql.as_bytes()).map_err(during("cannot run psql"))?;
        let printed = succeeded("psql", &output)?;
        Ok(printed.trim_end_matches('\n').to_owned())
    }

    /// Whether the server has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.server.as_mut().is_none_or(|server| !matches!(server.try_wait(), Ok(None)))
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// Fills the data directory, from the cache if there is one.
    fn initialise(&self, options: &Options) -> Result<(), StartError> {
        let cached = options.initdb_cache.as_deref().map(|cache| {
            let programs = self.programs.to_string_lossy().replace('/', "_");
            let user = self.owner.map_or_else(Uid::current, |owner| owner.user);
            cache.join(format!("initdb{programs}-{user}"))
        });
        if let Some(cached) = &cached
            && cached.is_dir()
        {
            return copy_tree(cached, &self.data());
        }
        let password = self.directory.join("password");
        fs::write(&password, "postgres\n").map_err(during("cannot write the password file"))?;
        let mut initdb = self.as_owner("initdb");
        initdb
            .args(["--no-sync", "--no-locale", "--encoding=UTF8", "--username=postgres", "--wal-segsize=1"])
            .args(["--auth=trust", "--pwfile"])
            .args([&password, &self.data()]);
        self.give_away(&password)?;
        let output = initdb.output().map_err(during("cannot run initdb"))?;
        succeeded("initdb", &output)?;
        match cached {
            Some(cached) => keep_tree(&self.data(), &cached),
            None => Ok(()),
        }
    }

    /// Writes `postgresql.conf` and `pg_hba.conf`.
    fn configure(&self, options: &Options) -> Result<(), StartError> {
        let data = self.data();
        let mut settings = vec![
            ("listen_addresses".to_owned(), "127.0.0.1".to_owned()),
            ("unix_socket_directories".to_owned(), self.directory.display().to_string()),
            ("timezone".to_owned(), "UTC".to_owned()),
        ];
        if options.durability == Durability::Off {
            for name in ["fsync", "full_page_writes", "synchronous_commit"] {
                settings.push((name.to_owned(), "off".to_owned()));
            }
        }
        if options.authentication == Authentication::Md5 {
            settings.push(("password_encryption".to_owned(), "md5".to_owned()));
        }
        if let Some(certificate) = &options.certificate {
            settings.push(("ssl".to_owned(), "on".to_owned()));
            self.write_private(&data.join("server.crt"), &certificate.chain_pem)?;
            self.write_private(&data.join("server.key"), &certificate.key_pem)?;
        }
        settings.extend(options.settings.iter().cloned());
        let lines: String =
            settings.iter().map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''"))).collect();
        self.write_private(&data.join("postgresql.conf"), &lines)?;

        let method = options.authentication.method();
        let mut hba: String = options.hba.iter().map(|line| format!("{line}\n")).collect();
        hba.push_str("local all all trust\n");
        for database in ["all", "replication"] {
            hba.push_str(&format!("host {database} all 127.0.0.1/32 {method}\n"));
        }
        self.write_private(&data.join("pg_hba.conf"), &hba)
    }

    /// Starts the server on the wanted port, or on others until one is not taken.
    fn launch(&mut self, options: &Options) -> Result<(), StartError> {
        let log = self.directory.join("log");
        let mut wanted = options.port;
        for _ in 0..PORT_TRIES {
            self.port = match wanted.take() {
                Some(port) if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() => port,
                _ => free_port().map_err(during("cannot find a free port"))?,
            };
            let file = File::create(&log).map_err(during("cannot create the server's log"))?;
            let child = self
                .as_owner("postgres")
                .arg("-D")
                .arg(self.data())
                .args(["-p", &self.port.to_string()])
                .stderr(file)
                .spawn()
                .map_err(during("cannot run postgres"))?;
            self.server = Some(child);
            if self.wait_until_ready() {
                return Ok(());
            }
            self.stop();
            let said = fs::read_to_string(&log).unwrap_or_default();
            if !said.contains("in use") {
                return Err(StartError::Failed { what: "postgres".to_owned(), output: tail(&said) });
            }
        }
        Err(StartError::Failed { what: "postgres".to_owned(), output: "every port that was free got taken".to_owned() })
    }

    /// Waits until `postmaster.pid` says that the server is ready; false when it ended or took too long.
    fn wait_until_ready(&mut self) -> bool {
        let until = Instant::now() + PATIENCE;
        let status = self.data().join("postmaster.pid");
        while Instant::now() < until && !self.has_ended() {
            // The eighth line of the file is the state: see src/include/utils/pidfile.h.
            let ready = fs::read_to_string(&status)
                .is_ok_and(|text| text.lines().nth(7).is_some_and(|state| state.trim() == "ready"));
            if ready {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// Starts a shell that waits for our end and cleans up after us. It reads from a pipe whose
    /// other end is ours: however we end, the pipe closes. In a process group of its own, it does
    /// not get the terminal's Ctrl-C; it is our user, who may have put files beside the server's.
    fn spawn_janitor(&self) -> Result<Child, StartError> {
        const SCRIPT: &str = r#"
            cat >/dev/null
            [ -d "$0" ] || exit 0
            pid=$(head -n 1 "$0/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid" 2>/dev/null
            tries=0
            while [ -e "$0/data/postmaster.pid" ] && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
            rm -rf "$0"
        "#;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", SCRIPT]).arg(&self.directory);
        shell
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(during("cannot run /bin/sh"))
    }

    /// A command of the server's programs, run as its owner, out of reach of the terminal's Ctrl-C.
    fn as_owner(&self, program: &str) -> Command {
        let mut command = Command::new(self.program(program));
        self.become_owner(&mut command);
        command
            .current_dir(&self.directory)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    fn become_owner(&self, command: &mut Command) {
        if let Some(owner) = self.owner {
            command.uid(owner.user.as_raw()).gid(owner.group.as_raw());
        }
    }

    fn write_private(&self, path: &Path, text: &str) -> Result<(), StartError> {
        fs::write(path, text).map_err(during(format!("cannot write {}", path.display())))?;
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .map_err(during(format!("cannot protect {}", path.display())))?;
        self.give_away(path)
    }

    fn give_away(&self, path: &Path) -> Result<(), StartError> {
        match self.owner {
            Some(owner) => chown(path, Some(owner.user.as_raw()), Some(owner.group.as_raw()))
                .map_err(during(format!("cannot hand {} to user postgres", path.display()))),
            None => Ok(()),
        }
    }

    /// Ends the server by its own process id: at once, then for sure.
    fn stop(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        if let Ok(None) = server.try_wait()
            && let Ok(pid) = i32::try_from(server.id())
        {
            // Immediate shutdown: nothing of a throwaway server needs a checkpoint.
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
            let until = Instant::now() + PATIENCE;
            while matches!(server.try_wait(), Ok(None)) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = server.kill();
        }
        let _ = server.wait();
    }
}

impl Drop for Throwaway {
    fn drop(&mut self) {
        self.stop();
        if !self.directory.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.directory);
        }
        if let Some(mut janitor) = self.janitor.take() {
            drop(janitor.stdin.take());
            let _ = janitor.wait();
        }
    }
}

/// A loopback port that nobody listens on at this moment.
///
/// # Errors
///
/// When the operating system has none to give.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// The directory of the newest Postgres server's programs: `PGSLUICE_PG_BIN`, else where Debian,
/// Homebrew and Red Hat put them, else wherever `PATH` finds them.
#[must_use]
pub fn programs() -> Option<PathBuf> {
    let is_complete = |directory: &PathBuf| ["initdb", "postgres", "psql"].iter().all(|p| directory.join(p).is_file());
    if let Some(given) = std::env::var_os("PGSLUICE_PG_BIN") {
        return Some(PathBuf::from(given)).filter(is_complete);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    packaged().into_iter().chain(std::env::split_paths(&path)).find(is_complete)
}

/// The directories where packages put server programs, newest version first.
fn packaged() -> Vec<PathBuf> {
    const PLACES: [(&str, &str); 4] = [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
        ("/usr", "pgsql-"),
    ];
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, prefix) in PLACES {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let version = name.to_string_lossy().strip_prefix(prefix).and_then(|version| version.parse().ok());
            found.extend(version.map(|version| (version, entry.path().join("bin"))));
        }
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, directory)| directory).collect()
}

/// Whom the server must run as: nobody else when we are not root.
fn owner() -> Result<Option<Owner>, StartError> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    let user = User::from_name("postgres").ok().flatten().ok_or(StartError::NoUser)?;
    Ok(Some(Owner { user: user.uid, group: user.gid }))
}

/// Makes a directory that only the server's owner can enter, under a name that nobody can guess.
fn make_directory(owner: Option<Owner>) -> Result<PathBuf, StartError> {
    let random = getrandom::u32().map_err(|error| StartError::Io {
        what: "cannot get random bytes".to_owned(),
        source: io::Error::other(error.to_string()),
    })?;
    let directory = std::env::temp_dir().join(format!("pgsluice-{random:08x}"));
    let what = format!("cannot make {}", directory.display());
    DirBuilder::new().mode(0o700).create(&directory).map_err(during(&what))?;
    if let Some(owner) = owner {
        chown(&directory, Some(owner.user.as_raw()), Some(owner.group.as_raw())).map_err(during(&what))?;
    }
    Ok(directory)
}

/// Copies a tree with its owners and modes; `cp` does it with the fewest surprises.
fn copy_tree(from: &Path, to: &Path) -> Result<(), StartError> {
    let output = Command::new("cp").arg("-a").args([from, to]).output().map_err(during("cannot run cp"))?;
    succeeded("cp", &output).map(drop)
}

/// Copies a tree to a place where others may be putting the same one: the first wins.
fn keep_tree(from: &Path, to: &Path) -> Result<(), StartError> {
    let parent = to.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent).map_err(during(format!("cannot make {}", parent.display())))?;
    // Named after the source, which is each server's own: tests start several in one process.
    let source = from.parent().and_then(Path::file_name).unwrap_or_default();
    let mine = to.with_extension(format!("{}.tmp", source.to_string_lossy()));
    copy_tree(from, &mine)?;
    if fs::rename(&mine, to).is_err() {
        let _ = fs::remove_dir_all(&mine);
    }
    Ok(())
}

/// Runs a command with something to read, and collects what it writes.
fn output_of(mut command: Command, input: &[u8]) -> io::Result<Output> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().expect("stdin was asked to be a pipe");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A command that ends without reading everything says so by its own exit.
            let _ = io::Write::write_all(&mut stdin, input);
        });
        child.wait_with_output()
    })
}

/// What a command printed, if it succeeded.
fn succeeded(what: &str, output: &Output) -> Result<String, StartError> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(StartError::Failed { what: what.to_owned(), output: tail(&String::from_utf8_lossy(&output.stderr)) })
}

/// The last lines of a text, for an error message.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
