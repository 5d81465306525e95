//! `pgsluice.toml`: what it may say, and what is told where it is not understood.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::control::ControlEntry;
use super::duration::positive_duration;
use super::identities::IdentityEntry;
use super::webhook::WebhookEntry;
use super::{Duration, EnforceReads, Identities, Limits, ListenAddress};
use crate::cli::Failure;
use crate::cli::remote::RemoteEntry;
use crate::cli::upstream::{SslMode, UpstreamTls, UpstreamUrl};
use crate::text::Excerpt;

/// A configuration file larger than this is something else.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What a configuration file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// See [`Config::upstream`](super::Config::upstream).
    pub upstream: Option<UpstreamUrl>,
    /// See [`Config::listen`](super::Config::listen).
    pub listen: Option<ListenAddress>,
    /// See [`Config::admin_listen`](super::Config::admin_listen).
    pub admin_listen: Option<ListenAddress>,
    /// See [`Config::data`](super::Config::data).
    pub data: Option<PathBuf>,
    /// See [`Config::policies`](super::Config::policies).
    pub policies: Option<PathBuf>,
    /// See [`UpstreamTls`].
    pub sslmode: Option<SslMode>,
    /// See [`UpstreamTls`].
    pub sslrootcert: Option<PathBuf>,
    /// See [`UpstreamTls`].
    pub sslcert: Option<PathBuf>,
    /// See [`UpstreamTls`].
    pub sslkey: Option<PathBuf>,
    /// See [`Config::approvers`](super::Config::approvers).
    pub approvers: Vec<String>,
    /// See [`Config::shared_roles`](super::Config::shared_roles).
    pub shared_roles: Vec<String>,
    /// See [`Config::tls`](super::Config::tls).
    pub tls: TlsEntry,
    /// See [`Config::control`](super::Config::control).
    pub control: ControlEntry,
    /// See [`Config::webhooks`](super::Config::webhooks).
    #[serde(rename = "webhook")]
    pub webhooks: Vec<WebhookEntry>,
    /// The proxy that commands talk to, where that is on another machine.
    pub remote: RemoteEntry,
    /// See [`HoldConfig`](super::HoldConfig).
    pub hold: HoldEntry,
    /// See [`Limits`].
    pub limits: Limits,
    /// See [`Config::enforce_reads`](super::Config::enforce_reads).
    pub enforce_reads: EnforceReads,
    /// See [`Config::identities`](super::Config::identities).
    #[serde(rename = "identity")]
    pub identities: Vec<IdentityEntry>,
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
    /// See [`HoldConfig`](super::HoldConfig).
    #[serde(deserialize_with = "positive_duration")]
    pub expiry: Duration,
    /// See [`HoldConfig`](super::HoldConfig).
    #[serde(deserialize_with = "positive_duration")]
    pub expiry_in_transaction: Duration,
    /// See [`HoldConfig`](super::HoldConfig).
    #[serde(deserialize_with = "positive_duration")]
    pub notice_interval: Duration,
}

impl File {
    /// The identities that it configures.
    ///
    /// # Errors
    ///
    /// Two entries contradict each other.
    pub fn identities(&self) -> Result<Identities, Failure> {
        Identities::new(self.identities.clone())
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

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        toml::from_str(text).map_err(|error| not_understood(&error, text, path))
    }
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

impl Default for HoldEntry {
    fn default() -> Self {
        Self {
            expiry: Duration::seconds(15 * 60),
            expiry_in_transaction: Duration::seconds(60),
            notice_interval: Duration::seconds(20),
        }
    }
}

/// The word of a list that was most likely meant.
pub(in crate::cli) fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cli::Exit;
    use crate::policy::IdentityKind;

    fn parse(text: &str) -> Result<File, Failure> {
        File::parse(text, Path::new("pgsluice.toml"))
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
        let file = parse(include_str!("../../../testdata/config/full.toml")).expect("understood");
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

    proptest! {
        #[test]
        fn no_text_panics(text in "[a-z0-9=\\[\\]\"\n`é. ]{0,60}") {
            let _ = parse(&text);
            let _ = text.parse::<Duration>();
            let _ = text.parse::<ListenAddress>();
        }
    }
}
