//! `pgsluice serve`: the proxy.

use std::path::PathBuf;

use clap::Args;

use super::config::{Config, Duration, ListenAddress};
use super::upstream::{SslMode, UpstreamText};
use super::{CommandResult, Failure, Globals};

/// `pgsluice serve ...`
#[derive(Debug, Clone, Default, Args)]
pub struct Arguments {
    /// The Postgres server behind, as a libpq URL.
    #[arg(
        long,
        value_name = "URL",
        env = "PGSLUICE_UPSTREAM",
        hide_env_values = true,
        help = "The Postgres server behind: postgres://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?sslmode=...]. \
                Clients log in with their own credentials; a user given here is used for reading the catalog"
    )]
    pub upstream: Option<UpstreamText>,
    /// Where clients connect [default: 127.0.0.1:6432]
    #[arg(long, value_name = "ADDR", env = "PGSLUICE_LISTEN")]
    pub listen: Option<ListenAddress>,
    /// Cedar policies that replace the shipped ones
    #[arg(long, value_name = "DIR", env = "PGSLUICE_POLICIES")]
    pub policies: Option<PathBuf>,
    /// Certificate shown to clients, PEM [default: one made at first start, in the data directory]
    #[arg(long, value_name = "FILE", env = "PGSLUICE_TLS_CERT")]
    pub tls_cert: Option<PathBuf>,
    /// Key of that certificate, PEM
    #[arg(long, value_name = "FILE", env = "PGSLUICE_TLS_KEY")]
    pub tls_key: Option<PathBuf>,
    /// TLS towards the upstream, as libpq [default: prefer]
    #[arg(long, value_name = "MODE", env = "PGSLUICE_SSLMODE")]
    pub sslmode: Option<SslMode>,
    /// Authorities that sign the upstream's certificate, PEM [default: the system's]
    #[arg(long, value_name = "FILE", env = "PGSLUICE_SSLROOTCERT")]
    pub sslrootcert: Option<PathBuf>,
    /// Certificate shown to the upstream, PEM
    #[arg(long, value_name = "FILE", env = "PGSLUICE_SSLCERT")]
    pub sslcert: Option<PathBuf>,
    /// Key of that certificate, PEM
    #[arg(long, value_name = "FILE", env = "PGSLUICE_SSLKEY")]
    pub sslkey: Option<PathBuf>,
    /// How long a statement waits for a person [default: 15m]
    #[arg(long, value_name = "TIME", env = "PGSLUICE_HOLD_EXPIRY")]
    pub hold_expiry: Option<Duration>,
    /// The same inside a transaction, whose locks it keeps [default: 60s]
    #[arg(long, value_name = "TIME", env = "PGSLUICE_HOLD_EXPIRY_IN_TRANSACTION")]
    pub hold_expiry_in_transaction: Option<Duration>,
}

/// Runs the proxy until it is told to stop.
///
/// # Errors
///
/// The configuration is wrong, or something it needs cannot be had.
pub fn run(arguments: &Arguments, globals: &Globals) -> CommandResult {
    let _config = Config::build(arguments, globals)?;
    Err(Failure::failed("the data path is not part of this build"))
}
