//! The configuration: `pgsluice.toml` below the environment and the command line.

mod control;
mod duration;
mod enforce_reads;
mod file;
mod identities;
mod listen;
mod webhook;

use std::path::PathBuf;

use serde::Deserialize;

use super::serve::Arguments;
use super::upstream::{UpstreamTls, UpstreamUrl};
use super::{Failure, Globals};
use crate::control::RemoteServerOptions;
use crate::notify::Webhook;
use crate::policy::IdentityKind;
use duration::positive_duration;

pub use duration::Duration;
pub use enforce_reads::{EnforceReads, EnforcedBy};
pub(super) use file::suggestion;
pub use file::{File, HoldEntry, TlsEntry};
pub use identities::{Identities, IdentityEntry};
pub use listen::ListenAddress;

/// Everything `serve` needs to know, complete: each value from the command line, else the environment,
/// else the file, else its default.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server behind; `upstream.tls` is what the URL alone says, see [`Config::upstream_tls`].
    pub upstream: UpstreamUrl,
    /// TLS towards it: flags, then the URL, then the file.
    pub upstream_tls: UpstreamTls,
    /// Where clients connect.
    pub listen: ListenAddress,
    /// Where metrics are served. Nothing listens where it is `None`.
    pub admin_listen: Option<ListenAddress>,
    /// The data directory. It need not exist yet.
    pub data: PathBuf,
    /// Policies that replace the shipped ones.
    pub policies: Option<PathBuf>,
    /// The certificate shown to clients, with its key; `None`: one is made.
    pub tls: Option<Certificate>,
    /// Holds.
    pub hold: HoldConfig,
    /// Bounds.
    pub limits: Limits,
    /// Who logs in as what.
    pub identities: Identities,
    /// Who may decide holds. Empty: everybody who can reach the control socket.
    pub approvers: Vec<String>,
    /// Where approvers on other machines connect. Nothing listens where it is `None`.
    pub control: Option<RemoteServerOptions>,
    /// Who is told of holds.
    pub webhooks: Vec<Webhook>,
    /// Login roles that stand for no person.
    pub shared_roles: Vec<String>,
    /// The kinds of identities whose reads the server has to enforce.
    pub enforce_reads: Vec<IdentityKind>,
}

/// A certificate and its key, both PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, then its intermediates.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// How long holds last, and how often the client hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldConfig {
    /// Outside of transactions.
    pub expiry: std::time::Duration,
    /// Inside of one, whose locks the hold keeps.
    pub expiry_in_transaction: std::time::Duration,
    /// Between two notices to the waiting client.
    pub notice_interval: std::time::Duration,
}

/// Bounds on what one proxy takes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Client connections at the same time.
    pub sessions: u32,
    /// Statements that wait at the same time; one more is refused.
    pub holds: u32,
    /// From connecting to the end of the login.
    #[serde(deserialize_with = "positive_duration")]
    pub login_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sessions: 10_000, holds: 1_000, login_timeout: Duration::seconds(60) }
    }
}

impl Config {
    /// Puts the configuration together.
    ///
    /// # Errors
    ///
    /// The file cannot be read or understood, or something needed is not configured.
    pub fn build(arguments: &Arguments, globals: &Globals) -> Result<Self, Failure> {
        let file = globals.file()?;
        let data = globals.data_directory_with(&file)?;
        let arguments = arguments.clone();
        let named = arguments.upstream.map(|text| text.parse()).transpose().map_err(Failure::usage)?;
        let upstream = named.or_else(|| file.upstream.clone()).ok_or_else(|| {
            Failure::usage("no upstream: which Postgres server is behind?").hint(
                "name it with --upstream postgres://HOST:PORT, with PGSLUICE_UPSTREAM, or as \
                 `upstream = \"...\"` in pgsluice.toml",
            )
        })?;
        let flags = UpstreamTls {
            mode: arguments.sslmode,
            root_certificate: arguments.sslrootcert,
            certificate: arguments.sslcert,
            key: arguments.sslkey,
        };
        let in_file = file.upstream_tls();
        let upstream_tls = flags.or(upstream.tls.clone()).or(in_file);
        if upstream_tls.certificate.is_some() != upstream_tls.key.is_some() {
            return Err(Failure::usage("sslcert and sslkey are only of use together"));
        }
        let hold = HoldConfig {
            expiry: arguments.hold_expiry.unwrap_or(file.hold.expiry).0,
            expiry_in_transaction: arguments.hold_expiry_in_transaction.unwrap_or(file.hold.expiry_in_transaction).0,
            notice_interval: file.hold.notice_interval.0,
        };
        for (name, duration) in
            [("hold expiry", hold.expiry), ("hold expiry inside transactions", hold.expiry_in_transaction)]
        {
            if duration.is_zero() {
                return Err(Failure::usage(format_args!("the {name} is zero: every hold would expire at once")));
            }
        }
        Ok(Self {
            tls: certificate(arguments.tls_cert.or(file.tls.cert), arguments.tls_key.or(file.tls.key))?,
            upstream,
            upstream_tls,
            listen: arguments.listen.or(file.listen).unwrap_or_default(),
            admin_listen: arguments.admin_listen.or(file.admin_listen),
            data,
            policies: arguments.policies.or(file.policies),
            hold,
            limits: file.limits,
            identities: Identities::new(file.identities)?,
            control: file.control.complete(&file.approvers)?,
            webhooks: webhook::webhooks(file.webhooks)?,
            approvers: file.approvers,
            shared_roles: file.shared_roles,
            enforce_reads: file.enforce_reads.kinds(),
        })
    }
}

fn certificate(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<Certificate>, Failure> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(Certificate { certificate, key })),
        (Some(_), None) => Err(Failure::usage("a certificate is configured, but not its key")
            .hint("give --tls-key FILE, PGSLUICE_TLS_KEY, or `key` in [tls]")),
        (None, Some(_)) => Err(Failure::usage("a key is configured, but not its certificate")
            .hint("give --tls-cert FILE, PGSLUICE_TLS_CERT, or `cert` in [tls]")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::Exit;
    use crate::cli::globals::Color;
    use crate::cli::upstream::SslMode;

    fn globals() -> Globals {
        Globals { config: Some("/dev/null".into()), data: Some("/tmp/d".into()), color: Color::Never, verbose: 0 }
    }

    #[test]
    fn flags_come_before_the_url_and_the_url_before_the_file() {
        let arguments = Arguments {
            upstream: Some("postgres://db?sslmode=require&sslrootcert=/url".parse().expect("URL")),
            sslmode: Some(SslMode::VerifyFull),
            ..Arguments::default()
        };
        let config = Config::build(&arguments, &globals()).expect("complete");
        assert_eq!(config.upstream_tls.mode, Some(SslMode::VerifyFull));
        assert_eq!(config.upstream_tls.root_certificate.as_deref(), Some(Path::new("/url")));
        assert_eq!(config.listen.to_string(), "127.0.0.1:6432");
        assert_eq!(config.shared_roles, ["postgres"]);
    }

    #[test]
    fn an_upstream_is_needed() {
        let Err(Failure::Told { exit, hint, .. }) = Config::build(&Arguments::default(), &globals()) else {
            panic!("accepted");
        };
        assert_eq!(exit, Exit::Usage);
        assert!(hint.expect("a hint").contains("--upstream"));
    }
}
