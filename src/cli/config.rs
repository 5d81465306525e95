//! The configuration: `pgsluice.toml` below the environment and the command line.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, de};

mod control;
mod webhook;

use control::ControlEntry;
use webhook::WebhookEntry;

use super::remote::RemoteEntry;
use super::serve::Arguments;
use super::upstream::{SslMode, UpstreamTls, UpstreamUrl};
use super::{Failure, Globals};
use crate::control::RemoteServerOptions;
use crate::notify::Webhook;
use crate::policy::{Identity, IdentityKind};
use crate::text::Excerpt;

/// A configuration file larger than this is something else.
const FILE_BYTES_MAX: u64 = 4 << 20;

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

/// Login roles and the identities behind them.
#[derive(Debug, Clone, Default)]
pub struct Identities {
    by_role: HashMap<String, Identity>,
}

impl Identities {
    /// Who logs in with a role: the identity configured for it, else one of its name and the kind `service`.
    #[must_use]
    pub fn of_role(&self, role: &str) -> Identity {
        self.by_role.get(role).cloned().unwrap_or_else(|| Identity {
            name: role.to_owned(),
            kind: IdentityKind::default(),
            owner: None,
        })
    }

    /// The identity of a name, whatever it logs in with.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Identity> {
        self.by_role.values().find(|identity| identity.name == name)
    }

    /// A role that the identity of a name logs in with: the one called as it is, where it has several.
    #[must_use]
    pub fn role_of(&self, name: &str) -> Option<&str> {
        let own = self.by_role.iter().filter(|(_, identity)| identity.name == name).map(|(role, _)| role.as_str());
        own.min_by_key(|role| (*role != name, *role))
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
            identities: identities(file.identities)?,
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

fn identities(entries: Vec<IdentityEntry>) -> Result<Identities, Failure> {
    let mut names = HashSet::new();
    let mut by_role = HashMap::new();
    for entry in entries {
        if !names.insert(entry.name.clone()) {
            return Err(Failure::usage(format_args!("two [[identity]] entries are named `{}`", entry.name))
                .hint("give one entry several login roles: roles = [\"a\", \"b\"]"));
        }
        let identity = Identity { name: entry.name.clone(), kind: entry.kind, owner: entry.owner };
        for role in entry.roles.unwrap_or_else(|| vec![entry.name]) {
            if let Some(other) = by_role.insert(role.clone(), identity.clone()) {
                return Err(Failure::usage(format_args!(
                    "the login role `{role}` belongs to two identities: `{}` and `{}`",
                    other.name, identity.name
                ))
                .hint("one role can stand for one identity only"));
            }
        }
    }
    Ok(Identities { by_role })
}

/// What a configuration file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// See [`Config::upstream`].
    pub upstream: Option<UpstreamUrl>,
    /// See [`Config::listen`].
    pub listen: Option<ListenAddress>,
    /// See [`Config::admin_listen`].
    pub admin_listen: Option<ListenAddress>,
    /// See [`Config::data`].
    pub data: Option<PathBuf>,
    /// See [`Config::policies`].
    pub policies: Option<PathBuf>,
    /// See [`UpstreamTls`].
    pub sslmode: Option<SslMode>,
    /// See [`UpstreamTls`].
    pub sslrootcert: Option<PathBuf>,
    /// See [`UpstreamTls`].
    pub sslcert: Option<PathBuf>,
    /// See [`UpstreamTls`].
    pub sslkey: Option<PathBuf>,
    /// See [`Config::approvers`].
    pub approvers: Vec<String>,
    /// See [`Config::shared_roles`].
    pub shared_roles: Vec<String>,
    /// See [`Config::tls`].
    pub tls: TlsEntry,
    /// See [`Config::control`].
    pub control: ControlEntry,
    /// See [`Config::webhooks`].
    #[serde(rename = "webhook")]
    pub webhooks: Vec<WebhookEntry>,
    /// The proxy that commands talk to, where that is on another machine.
    pub remote: RemoteEntry,
    /// See [`HoldConfig`].
    pub hold: HoldEntry,
    /// See [`Limits`].
    pub limits: Limits,
    /// See [`Config::enforce_reads`].
    pub enforce_reads: EnforceReads,
    /// See [`Config::identities`].
    #[serde(rename = "identity")]
    pub identities: Vec<IdentityEntry>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            upstream: None,
            listen: None,
            admin_listen: None,
            data: None,
            policies: None,
            sslmode: None,
            sslrootcert: None,
            sslcert: None,
            sslkey: None,
            approvers: Vec::new(),
            shared_roles: vec!["postgres".to_owned()],
            tls: TlsEntry::default(),
            control: ControlEntry::default(),
            webhooks: Vec::new(),
            remote: RemoteEntry::default(),
            hold: HoldEntry::default(),
            limits: Limits::default(),
            enforce_reads: EnforceReads::default(),
            identities: Vec::new(),
        }
    }
}

/// `[tls]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsEntry {
    /// Certificate shown to clients, PEM.
    pub cert: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
}

/// `[hold]`
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HoldEntry {
    /// See [`HoldConfig`].
    #[serde(deserialize_with = "positive_duration")]
    pub expiry: Duration,
    /// See [`HoldConfig`].
    #[serde(deserialize_with = "positive_duration")]
    pub expiry_in_transaction: Duration,
    /// See [`HoldConfig`].
    #[serde(deserialize_with = "positive_duration")]
    pub notice_interval: Duration,
}

impl Default for HoldEntry {
    fn default() -> Self {
        Self {
            expiry: Duration::seconds(15 * 60),
            expiry_in_transaction: Duration::seconds(60),
            notice_interval: Duration::seconds(20),
        }
    }
}

/// `[enforce_reads]`: who makes sure, for each kind of identity, that what passes as a read only reads.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnforceReads {
    /// People.
    pub human: EnforcedBy,
    /// Pipelines.
    pub ci: EnforcedBy,
    /// Programs, and login roles that nobody has described.
    pub service: EnforcedBy,
    /// AI agents.
    pub agent: EnforcedBy,
}

/// Who makes sure that a read only reads, beside the proxy's own understanding of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnforcedBy {
    /// Nobody.
    Off,
    /// The server: it runs in a read-only transaction or savepoint.
    Server,
}

impl Default for EnforceReads {
    fn default() -> Self {
        Self { human: EnforcedBy::Off, ci: EnforcedBy::Off, service: EnforcedBy::Off, agent: EnforcedBy::Server }
    }
}

impl EnforceReads {
    /// The kinds for which the server does.
    fn kinds(self) -> Vec<IdentityKind> {
        let all = [
            (IdentityKind::Human, self.human),
            (IdentityKind::Ci, self.ci),
            (IdentityKind::Service, self.service),
            (IdentityKind::Agent, self.agent),
        ];
        all.into_iter().filter(|(_, by)| *by == EnforcedBy::Server).map(|(kind, _)| kind).collect()
    }
}

/// `[[identity]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityEntry {
    /// Its name.
    pub name: String,
    /// Its kind.
    #[serde(default)]
    pub kind: IdentityKind,
    /// The person who answers for it.
    pub owner: Option<String>,
    /// The login roles it uses; its own name where not given.
    pub roles: Option<Vec<String>>,
}

impl File {
    /// The identities that it configures.
    ///
    /// # Errors
    ///
    /// Two entries contradict each other.
    pub fn identities(&self) -> Result<Identities, Failure> {
        identities(self.identities.clone())
    }

    /// What it says of TLS towards the upstream.
    #[must_use]
    pub fn upstream_tls(&self) -> UpstreamTls {
        UpstreamTls {
            mode: self.sslmode,
            root_certificate: self.sslrootcert.clone(),
            certificate: self.sslcert.clone(),
            key: self.sslkey.clone(),
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// It cannot be read, or something in it is not understood: the place is underlined, and a misspelt
    /// key gets a suggestion.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let unreadable = |error: std::io::Error| {
            Failure::usage(format_args!("cannot read the configuration file {}: {error}", path.display()))
                .hint("name another with --config FILE")
        };
        let size = std::fs::metadata(path).map_err(unreadable)?.len();
        if size > FILE_BYTES_MAX {
            return Err(Failure::usage(format_args!(
                "{} is too large for a configuration file: {size} bytes",
                path.display()
            )));
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| not_understood(&error, text, path))
    }
}

fn not_understood(error: &toml::de::Error, text: &str, path: &Path) -> Failure {
    let message = error.message();
    // serde's wording: unknown field `x`, expected one of `a`, `b`; unknown variant likewise.
    let mut quoted = message.split('`').skip(1).step_by(2);
    let (message, hint) = match quoted.next() {
        Some(unknown) if message.starts_with("unknown ") => {
            let expected: Vec<&str> = quoted.collect();
            let hint = suggestion(unknown, expected.iter().copied()).map_or_else(
                || format!("known are {}", expected.join(", ")),
                |meant| format!("did you mean `{meant}`?"),
            );
            let what = if message.starts_with("unknown field") { "key" } else { "value" };
            (format!("unknown {what} `{unknown}`"), Some(hint))
        }
        _ => (message.replace('\n', " "), None),
    };
    let failure = match error.span() {
        Some(span) => {
            let excerpt = Excerpt::new(text, span);
            let place = format!("{}:{}:{}", path.display(), excerpt.line, excerpt.column);
            if may_show_secret(text, excerpt.line) {
                Failure::usage(format_args!("{place}: {message}"))
            } else {
                Failure::usage(format_args!("{place}: {message}\n{excerpt}"))
            }
        }
        None => Failure::usage(format_args!("{}: {message}", path.display())),
    };
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Whether a line may hold a URL with a password in it, or one that is itself a secret: it is not to be printed.
fn may_show_secret(text: &str, line: usize) -> bool {
    text.lines().nth(line - 1).is_some_and(|line| {
        line.contains("password")
            || line.trim_start().starts_with("url")
            || line.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
    })
}

/// The word of a list that was most likely meant.
pub(super) fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

/// Where to listen: `HOST:PORT`, with IPv6 addresses in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    host: String,
    port: u16,
}

impl ListenAddress {
    /// The host, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 lets the system choose.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl Default for ListenAddress {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 6432 }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for ListenAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "an address is written HOST:PORT, e.g. 127.0.0.1:6432 or [::1]:6432";
        let (host, port) = text.rsplit_once(':').ok_or(wrong)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or(wrong)?,
            None if host.contains(':') => return Err(wrong),
            None => host,
        };
        if host.is_empty() || host.contains(char::is_whitespace) {
            return Err(wrong);
        }
        Ok(Self { host: host.to_owned(), port: port.parse().map_err(|_| wrong)? })
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// A duration as people write it: `500ms`, `60s`, `15m`, `1h30m`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration(pub std::time::Duration);

impl Duration {
    const fn seconds(seconds: u64) -> Self {
        Self(std::time::Duration::from_secs(seconds))
    }
}

impl FromStr for Duration {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "a time is written with its unit: 500ms, 60s, 15m, 1h30m, 2d (a year at most)";
        let mut milliseconds: u64 = 0;
        let mut rest = text;
        if rest.is_empty() {
            return Err(wrong);
        }
        while !rest.is_empty() {
            let unit_at = rest.find(|c: char| !c.is_ascii_digit()).ok_or(wrong)?;
            let number: u64 = rest[..unit_at].parse().map_err(|_| wrong)?;
            rest = &rest[unit_at..];
            let unit_end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let scale = match &rest[..unit_end] {
                "ms" => 1,
                "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(wrong),
            };
            rest = &rest[unit_end..];
            milliseconds = number
                .checked_mul(scale)
                .and_then(|more| milliseconds.checked_add(more))
                .filter(|total| *total <= 366 * 86_400_000)
                .ok_or(wrong)?;
        }
        Ok(Self(std::time::Duration::from_millis(milliseconds)))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

fn positive_duration<'de, D: de::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration = Duration::deserialize(deserializer)?;
    if duration.0.is_zero() {
        return Err(de::Error::custom("this time cannot be zero"));
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cli::Exit;
    use crate::cli::globals::Color;

    fn parse(text: &str) -> Result<File, Failure> {
        File::parse(text, Path::new("pgsluice.toml"))
    }

    fn globals() -> Globals {
        Globals { config: Some("/dev/null".into()), data: Some("/tmp/d".into()), color: Color::Never, verbose: 0 }
    }

    fn assert_wrong(text: &str, place: &str, said: &str, hinted: Option<&str>) {
        let Err(Failure::Told { exit, message, hint }) = parse(text) else {
            panic!("{text} was accepted");
        };
        assert_eq!(exit, Exit::Usage);
        assert!(!message.contains("secret"), "{message}");
        assert!(message.starts_with(&format!("pgsluice.toml:{place}: ")), "{message}");
        assert!(message.contains(said), "{message}");
        assert_eq!(hint.as_deref(), hinted, "{message}");
    }

    #[test]
    fn everything_can_be_configured() {
        let file = parse(include_str!("../../testdata/config/full.toml")).expect("understood");
        assert_eq!(file.hold.expiry, Duration::seconds(1800));
        assert_eq!(file.identities.len(), 2);
        assert_eq!(file.limits.sessions, 200);
        assert_eq!(file.enforce_reads.kinds(), [IdentityKind::Ci, IdentityKind::Agent]);
        assert_eq!(File::default().enforce_reads.kinds(), [IdentityKind::Agent]);
        assert_eq!(file.sslmode, Some(SslMode::VerifyFull));
    }

    #[test]
    fn what_is_wrong_is_underlined_and_a_misspelling_corrected() {
        assert_wrong(
            "\nlisen = \"x:1\"",
            "2:1",
            "unknown key `lisen`\n  |\n2 | lisen = \"x:1\"\n  | ^^^^^",
            Some("did you mean `listen`?"),
        );
        assert_wrong("[hold]\nexpire = \"1s\"", "2:1", "unknown key `expire`", Some("did you mean `expiry`?"));
        assert_wrong(
            "[[identity]]\nname = \"a\"\nkind = \"agnet\"",
            "3:8",
            "unknown value `agnet`",
            Some("did you mean `agent`?"),
        );
        assert_wrong("[hold]\nexpiry = \"15\"", "2:10", "with its unit", None);
        assert_wrong("[hold]\nexpiry = \"0s\"", "2:10", "cannot be zero", None);
        assert_wrong("listen = \"6432\"", "1:10", "HOST:PORT", None);
        assert_wrong("upstream = \"db\"", "1:12", "postgres://", None);
        assert_wrong("upstream = \"postgres://a:secret@db:x\"", "1:12", "65535", None);
        assert_wrong("a = [", "1:6", "", None);
        assert_wrong("[[identity]]\nkind = \"ci\"", "1:1", "missing field", None);
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

    #[test]
    fn a_role_stands_for_one_identity() {
        let file = parse(include_str!("../../testdata/config/full.toml")).expect("understood");
        let identities = identities(file.identities).expect("distinct");
        let agent = identities.of_role("agent_login");
        assert_eq!((agent.name.as_str(), agent.kind), ("reporter", IdentityKind::Agent));
        assert_eq!(agent.owner.as_deref(), Some("alice"));
        assert_eq!(identities.of_role("alice").kind, IdentityKind::Human);
        assert_eq!(identities.of_role("who").kind, IdentityKind::Service);

        let twice =
            parse("[[identity]]\nname = \"a\"\n[[identity]]\nname = \"b\"\nroles = [\"a\"]").expect("understood");
        assert!(super::identities(twice.identities).is_err());
        let twice = parse("[[identity]]\nname = \"a\"\n[[identity]]\nname = \"a\"").expect("understood");
        assert!(super::identities(twice.identities).is_err());
    }

    #[test]
    fn durations_are_read() {
        for (text, milliseconds) in [
            ("500ms", Some(500)),
            ("60s", Some(60_000)),
            ("1h30m", Some(5_400_000)),
            ("2d", Some(172_800_000)),
            ("0s", Some(0)),
            ("15", None),
            ("m", None),
            ("", None),
            ("-1s", None),
            ("1 s", None),
            ("400d", None),
            ("99999999999999999999s", None),
        ] {
            let read = text.parse::<Duration>().ok();
            assert_eq!(read.map(|duration| duration.0.as_millis()), milliseconds, "{text}");
        }
    }

    #[test]
    fn listen_addresses_are_read() {
        for (text, good) in [
            ("127.0.0.1:6432", true),
            ("[::1]:0", true),
            ("localhost:1", true),
            ("::1:6432", false),
            (":6432", false),
            ("[::1:6432", false),
            ("host", false),
            ("host:99999", false),
        ] {
            let read = text.parse::<ListenAddress>();
            assert_eq!(read.is_ok(), good, "{text}");
            if let Ok(address) = read {
                assert_eq!(address.to_string(), text);
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z0-9=\\[\\]\"\n`é. ]{0,60}") {
            let _ = parse(&text);
            let _ = text.parse::<Duration>();
            let _ = text.parse::<ListenAddress>();
        }
    }
}
