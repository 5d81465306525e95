//! `pgsluice demo`: a throwaway Postgres with a shop in it, and the proxy in front.
//!
//! The proxy runs in this process, so it ends with it; Postgres has a janitor of its own. Nothing
//! is left behind however the demo ends.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};

use super::config::ListenAddress;
use super::{CommandResult, Failure, Globals, Output, serve};
use crate::control::SOCKET_NAME;
use throwaway::{Options, StartError, Throwaway};

pub mod throwaway;

/// The sample shop, for `psql` in an empty database.
pub const SHOP: &str = include_str!("shop.sql");

/// How often the demo looks after its two servers.
const ROUND: Duration = Duration::from_millis(50);

/// Runs the demo until it is told to stop.
///
/// # Errors
///
/// Postgres is not installed or does not start, or the proxy does not; or either of them ends.
pub fn run(globals: &Globals) -> CommandResult {
    eprintln!("Starting a throwaway Postgres and filling a shop ...");
    let mut postgres = Throwaway::start(&Options::default())?;
    postgres.sql("postgres", "create database shop")?;
    postgres.sql("shop", SHOP)?;

    let data = postgres.directory().join("proxy");
    let (socket, address) = listen()?;
    let proxy = serve_in_thread(&postgres, &data, (socket, &address), globals)?;
    let instructions = Instructions { address: &address, program: program(), data: &data };
    watch(&mut postgres, proxy, &instructions)
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match &error {
            StartError::NotInstalled => Self::failed(error).hint(
                "install it (Debian, Ubuntu: apt-get install postgresql; macOS: brew install postgresql), \
                 or say where it is with PGSLUICE_PG_BIN=DIR",
            ),
            StartError::NoUser => {
                Self::failed(error).hint("run it as another user, or install Postgres from a package, which makes one")
            }
            StartError::Io { what, source } => Self::failed(format_args!("{what}: {source}")),
            StartError::Failed { .. } => Self::failed(error),
        }
    }
}

/// Listens at the default address where it is free, else at another port. Taken at once, so that nobody else takes it before
/// the proxy does.
fn listen() -> Result<(TcpListener, ListenAddress), Failure> {
    let usual = ListenAddress::default();
    let socket = TcpListener::bind((usual.host(), usual.port()))
        .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .map_err(|error| Failure::failed(format_args!("cannot listen on loopback: {error}")))?;
    let at = socket.local_addr().map_err(|error| Failure::failed(format_args!("cannot listen: {error}")))?;
    Ok((socket, at.to_string().parse().expect("a loopback address with a port is an address")))
}

/// Starts `serve` as somebody would who has only this Postgres and no configuration.
fn serve_in_thread(
    postgres: &Throwaway,
    data: &Path,
    (socket, address): (TcpListener, &ListenAddress),
    globals: &Globals,
) -> Result<JoinHandle<CommandResult>, Failure> {
    let config = postgres.directory().join("pgsluice.toml");
    fs::write(&config, "").map_err(|error| Failure::failed(format_args!("{}: {error}", config.display())))?;
    let upstream = postgres.url("postgres", "shop").parse().expect("any text is taken, and read later");
    let arguments =
        serve::Arguments { upstream: Some(upstream), listen: Some(address.clone()), ..serve::Arguments::default() };
    let globals = Globals { config: Some(config), data: Some(data.to_owned()), ..globals.clone() };
    std::thread::Builder::new()
        .name("serve".to_owned())
        .spawn(move || serve::run_on(Some(socket), &arguments, &globals))
        .map_err(|error| Failure::failed(format_args!("cannot start a thread: {error}")))
}

/// Says what to type once the proxy listens, and ends when one of the two servers does.
fn watch(postgres: &mut Throwaway, proxy: JoinHandle<CommandResult>, instructions: &Instructions<'_>) -> CommandResult {
    let mut postgres_ended = false;
    let mut told = false;
    while !proxy.is_finished() {
        std::thread::sleep(ROUND);
        if !told && instructions.are_true() {
            let mut stdout = Output::stdout();
            stdout.line(instructions)?;
            stdout.flush()?;
            told = true;
        }
        if !postgres_ended && postgres.has_ended() {
            postgres_ended = true;
            raise(Signal::SIGTERM).map_err(|error| Failure::failed(format_args!("cannot stop the proxy: {error}")))?;
        }
    }
    let ended = proxy.join().unwrap_or_else(|_| Err(Failure::failed("the proxy panicked")));
    if postgres_ended {
        return Err(Failure::failed("the demo's Postgres ended by itself"));
    }
    ended
}

/// This program, as short as it can be typed here.
fn program() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("pgsluice"));
    match std::env::current_dir().ok().and_then(|here| program.strip_prefix(here).ok().map(Path::to_owned)) {
        Some(relative) if relative.components().count() > 1 => relative,
        _ => program,
    }
}

/// What to type next.
struct Instructions<'a> {
    address: &'a ListenAddress,
    program: PathBuf,
    data: &'a Path,
}

impl Instructions<'_> {
    /// Whether the proxy takes sessions and commands.
    fn are_true(&self) -> bool {
        self.data.join(SOCKET_NAME).exists() && TcpStream::connect((Ipv4Addr::LOCALHOST, self.address.port())).is_ok()
    }
}

impl fmt::Display for Instructions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (program, data) = (self.program.display(), self.data.display());
        writeln!(f, "\nThe shop is open. In another terminal, read; then delete, and see it wait:\n")?;
        writeln!(f, "  psql postgresql://shop@{}/shop", self.address)?;
        writeln!(f, "    select * from order_totals limit 5;")?;
        writeln!(f, "    delete from orders where placed_on < '2023-02-01';\n")?;
        writeln!(
            f,
            "In a third, see what waits and what it would touch, and let it run; then have the log checked:\n"
        )?;
        writeln!(f, "  {program} --data {data} tui")?;
        writeln!(f, "    j selects, space reads on, a approves; ? says the rest. Or from the shell:")?;
        writeln!(f, "  {program} --data {data} holds approve ID --reason 'old orders'")?;
        writeln!(f, "  {program} --data {data} audit verify\n")?;
        write!(f, "Ctrl-C here removes it all.")
    }
}
