//! The address of the Postgres server behind: a libpq URL.

use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ValueEnum;
use serde::Deserialize;
use serde::de;
use zeroize::Zeroizing;

use super::config::suggestion;
use crate::proxy::tls::{self, TrustedRoots, UpstreamTlsOptions};
use crate::proxy::upstream;

const PARAMETERS: [&str; 11] = [
    "host",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "connect_timeout",
];

/// Where the upstream is, and how to reach it, as far as the URL says.
#[derive(Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    /// The host.
    pub host: Host,
    /// The port.
    pub port: u16,
    /// Who reads the catalog.
    pub user: Option<String>,
    /// That user's password.
    pub password: Option<Zeroizing<String>>,
    /// The database the URL names.
    pub database: Option<String>,
    /// `sslmode`, `sslrootcert`, `sslcert`, `sslkey`.
    pub tls: UpstreamTls,
}

/// An upstream URL as it was typed, not yet understood: a usage message of the command line parser would
/// repeat it, with the password in it.
#[derive(Clone)]
pub struct UpstreamText(Zeroizing<String>);

impl UpstreamText {
    /// Understands it.
    ///
    /// # Errors
    ///
    /// It is no URL of a Postgres server.
    pub fn parse(&self) -> Result<UpstreamUrl, UpstreamUrlError> {
        self.0.parse()
    }
}

impl FromStr for UpstreamText {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for UpstreamText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamText(...)")
    }
}

/// A host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address.
    Tcp(String),
    /// A directory with a Unix socket, as libpq's `host=/var/run/postgresql`.
    Unix(PathBuf),
}

/// TLS towards the upstream, as far as it is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// How much is asked of it.
    pub mode: Option<SslMode>,
    /// The authorities, PEM.
    pub root_certificate: Option<PathBuf>,
    /// Our certificate, PEM.
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    pub key: Option<PathBuf>,
}

impl UpstreamTls {
    /// What is set here, else what is set in `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            mode: self.mode.or(other.mode),
            root_certificate: self.root_certificate.or(other.root_certificate),
            certificate: self.certificate.or(other.certificate),
            key: self.key.or(other.key),
        }
    }

    /// The same for the proxy.
    #[must_use]
    pub fn options(&self) -> UpstreamTlsOptions {
        UpstreamTlsOptions {
            mode: self.mode.map(SslMode::proxied),
            roots: match &self.root_certificate {
                None => TrustedRoots::DefaultFile,
                Some(path) if path.as_os_str() == "system" => TrustedRoots::System,
                Some(path) => TrustedRoots::File(path.clone()),
            },
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        }
    }
}

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// No TLS
    Disable,
    /// TLS where the server has it; nobody's certificate is verified
    #[default]
    Prefer,
    /// TLS, whoever answers
    Require,
    /// TLS, with a certificate that a known authority signed
    VerifyCa,
    /// The same, and for this host
    VerifyFull,
}

impl SslMode {
    const fn proxied(self) -> tls::SslMode {
        match self {
            Self::Disable => tls::SslMode::Disable,
            Self::Prefer => tls::SslMode::Prefer,
            Self::Require => tls::SslMode::Require,
            Self::VerifyCa => tls::SslMode::VerifyCa,
            Self::VerifyFull => tls::SslMode::VerifyFull,
        }
    }
}

impl fmt::Debug for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamUrl({self})")
    }
}

impl fmt::Display for UpstreamUrl {
    /// Host and port only: never a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Tcp(name) if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Host::Tcp(name) => write!(f, "{name}:{}", self.port),
            Host::Unix(directory) => write!(f, "{}/.s.PGSQL.{}", directory.display(), self.port),
        }
    }
}

impl<'de> Deserialize<'de> for UpstreamUrl {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(de::Error::custom)
    }
}

/// Why an upstream URL is not understood. Its text never contains the URL, which may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UpstreamUrlError(String);

fn wrong(message: impl Into<String>) -> UpstreamUrlError {
    UpstreamUrlError(message.into())
}

impl FromStr for UpstreamUrl {
    type Err = UpstreamUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"))
            .ok_or_else(|| no_postgres_url(text))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (userinfo, address) = match authority.rsplit_once('@') {
            Some((userinfo, address)) => (Some(userinfo), address),
            None => (None, authority),
        };
        let (host, port) = split_address(address)?;
        let mut url = Self {
            host: host_of(decode(host)?),
            port: port.map_or(Ok(5432), parse_port)?,
            user: None,
            password: None,
            database: (!database.is_empty()).then(|| decode(database)).transpose()?,
            tls: UpstreamTls::default(),
        };
        if let Some(userinfo) = userinfo {
            let (user, password) = match userinfo.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (userinfo, None),
            };
            url.user = Some(decode(user)?);
            url.password = password.map(decode).transpose()?.map(Zeroizing::new);
        }
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) =
                parameter.split_once('=').ok_or_else(|| wrong("a parameter of the upstream URL has no value"))?;
            url.set(&decode(name)?, decode(value)?)?;
        }
        if url.user.as_deref() == Some("") {
            return Err(wrong("the upstream URL has an empty user"));
        }
        if url.host == Host::Tcp(String::new()) {
            return Err(wrong("the upstream URL names no host"));
        }
        Ok(url)
    }
}

impl UpstreamUrl {
    /// The server as the proxy reaches it, with what `tls` says of TLS in place of the URL.
    #[must_use]
    pub fn target(&self, tls: &UpstreamTls) -> upstream::Target {
        let host = match &self.host {
            Host::Tcp(name) => upstream::Host::Tcp(name.clone()),
            Host::Unix(directory) => upstream::Host::UnixDirectory(directory.clone()),
        };
        upstream::Target { host, port: self.port, tls: tls.options() }
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), UpstreamUrlError> {
        match name {
            "host" => self.host = host_of(value),
            "port" => self.port = parse_port(&value)?,
            "user" => self.user = Some(value),
            "password" => self.password = Some(Zeroizing::new(value)),
            "dbname" => self.database = Some(value),
            "sslmode" => {
                self.tls.mode = Some(SslMode::from_str(&value, false).map_err(|_| {
                    wrong(
                        "sslmode is one of disable, prefer, require, verify-ca, verify-full \
                         (`allow` is not supported)",
                    )
                })?);
            }
            "sslrootcert" => self.tls.root_certificate = Some(value.into()),
            "sslcert" => self.tls.certificate = Some(value.into()),
            "sslkey" => self.tls.key = Some(value.into()),
            // Common in copied URLs, and without a meaning here: clients bring their own name, and our
            // time-outs are configured.
            "application_name" | "connect_timeout" => {}
            unknown => {
                let meant = suggestion(unknown, PARAMETERS)
                    .map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
                return Err(wrong(format!("unknown parameter `{unknown}` in the upstream URL{meant}")));
            }
        }
        Ok(())
    }
}

/// Names the scheme that was written, and nothing else of the text: it may hold a password.
fn no_postgres_url(text: &str) -> UpstreamUrlError {
    let form = "an upstream is written postgres://HOST[:PORT][/DATABASE]";
    match text.split_once("://") {
        Some((scheme, _)) if scheme.chars().all(|character| character.is_ascii_alphanumeric()) => {
            wrong(format!("{form}, not {scheme}://"))
        }
        _ => wrong(form),
    }
}

fn host_of(text: String) -> Host {
    if text.starts_with('/') { Host::Unix(text.into()) } else { Host::Tcp(text) }
}

fn split_address(address: &str) -> Result<(&str, Option<&str>), UpstreamUrlError> {
    if address.contains(',') {
        return Err(wrong("the upstream URL names several hosts; pgsluice takes one"));
    }
    if let Some(rest) = address.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or_else(|| wrong("the upstream URL has a `[` without a `]`"))?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(wrong("after `]` the upstream URL may only have a port")),
        };
    }
    Ok(match address.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    })
}

fn parse_port(text: &str) -> Result<u16, UpstreamUrlError> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(wrong("the upstream's port is a number from 1 to 65535")),
    }
}

/// Percent-decoding, RFC 3986, section 2.1.
fn decode(text: &str) -> Result<String, UpstreamUrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let value = after
                .get(..2)
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                .ok_or_else(|| wrong("the upstream URL has a `%` without two hex digits; write `%` as `%25`"))?;
            bytes.push(value);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    if bytes.contains(&0) {
        return Err(wrong("the upstream URL has a NUL"));
    }
    String::from_utf8(bytes).map_err(|_| wrong("the upstream URL is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> UpstreamUrl {
        text.parse().expect("a good URL")
    }

    #[test]
    fn the_forms_of_libpq_are_understood() {
        for (text, address, user, database) in [
            ("postgres://db", "db:5432", None, None),
            ("postgresql://db:6000/shop", "db:6000", None, Some("shop")),
            ("postgres://me:p%40ss@db/a%2Fb", "db:5432", Some("me"), Some("a/b")),
            ("postgres://[::1]:6000/", "[::1]:6000", None, None),
            ("postgres://%2Frun%2Fpg:6000/x", "/run/pg/.s.PGSQL.6000", None, Some("x")),
            ("postgres:///x?host=/run/pg&user=u", "/run/pg/.s.PGSQL.5432", Some("u"), Some("x")),
        ] {
            let url = url(text);
            assert_eq!(url.to_string(), address, "{text}");
            assert_eq!(url.user.as_deref(), user, "{text}");
            assert_eq!(url.database.as_deref(), database, "{text}");
        }
        assert_eq!(url("postgres://me:p%40:ss@db").password.as_deref().map(String::as_str), Some("p@:ss"));
        assert_eq!(
            url("postgres://db?sslmode=verify-full&sslrootcert=/ca.pem").tls,
            UpstreamTls {
                mode: Some(SslMode::VerifyFull),
                root_certificate: Some("/ca.pem".into()),
                ..UpstreamTls::default()
            }
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, said) in [
            ("db:5432", "is written postgres://"),
            ("mysql://db", "not mysql://"),
            ("postgres://", "names no host"),
            ("postgres://a,b", "several hosts"),
            ("postgres://a:0", "1 to 65535"),
            ("postgres://a:x", "1 to 65535"),
            ("postgres://a?sslmod=x", "did you mean `sslmode`?"),
            ("postgres://a?sslmode=allow", "verify-full"),
            ("postgres://a/%zz", "%25"),
            ("postgres://[::1", "without a `]`"),
            ("postgres://a/%00", "NUL"),
        ] {
            let error = text.parse::<UpstreamUrl>().expect_err(text);
            assert!(error.to_string().contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn a_password_is_never_shown() {
        let url = url("postgres://me:secret@db/x");
        assert!(!format!("{url} {url:?}").contains("secret"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(postgres://)?[a-z0-9:@/?&=%\\[\\],é]{0,40}") {
            let _ = text.parse::<UpstreamUrl>();
        }
    }
}
