//! Connection strings as libpq takes them: a URI or `keyword=value` pairs.
//!
//! Read once at start, for two uses: where the sessions' upstream connections go ([`super::upstream`]), and the
//! side connection with the user and password in it. Unlike libpq, an unknown or unsupported keyword is an error
//! with a suggestion, there is exactly one host, and the environment is not consulted here.

use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use zeroize::Zeroizing;

use super::tls::{SslMode, TrustedRoots, UpstreamTlsOptions};

/// Where the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name or an address.
    Tcp(String),
    /// The directory of a Unix socket.
    UnixDirectory(PathBuf),
}

/// A connection string that was understood.
#[derive(Clone)]
pub struct ConnectionString {
    /// Where the server is; `localhost` if not said.
    pub host: Host,
    /// Its port; 5432 if not said.
    pub port: u16,
    /// Who the side connection logs in as.
    pub user: Option<String>,
    /// With which password.
    pub password: Option<Zeroizing<String>>,
    /// Into which database.
    pub database: Option<String>,
    /// `connect_timeout`; `None` if not said.
    pub connect_timeout: Option<Duration>,
    /// The `ssl` words.
    pub tls: UpstreamTlsOptions,
}

impl std::fmt::Debug for ConnectionString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionString")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Why a connection string was not understood. Never holds the password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConnectionStringError {
    /// Neither `postgres://...` nor `keyword=value`.
    #[error("is neither a URI like postgres://host:5432 nor keyword=value pairs like \"host=... port=...\"")]
    Shape,
    /// A `%` that is not followed by two hexadecimal digits, or that gives no UTF-8.
    #[error("has a wrong percent-encoding; write a percent sign as %25")]
    PercentEncoding,
    /// A quote that is not closed.
    #[error("has a quote that is not closed")]
    Quote,
    /// A keyword that nobody knows.
    #[error("has the unknown keyword {keyword:?}{suggestion}")]
    Keyword {
        /// The keyword.
        keyword: String,
        /// Empty, or what may have been meant.
        suggestion: String,
    },
    /// A value that its keyword cannot have.
    #[error("has a wrong value for {keyword}: {reason}")]
    Value {
        /// The keyword.
        keyword: &'static str,
        /// What is wrong.
        reason: String,
    },
}

const KEYWORDS: [&str; 10] =
    ["host", "port", "user", "password", "dbname", "connect_timeout", "sslmode", "sslrootcert", "sslcert", "sslkey"];

impl std::str::FromStr for ConnectionString {
    type Err = ConnectionStringError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let pairs = match text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")) {
            Some(rest) => uri_pairs(rest)?,
            None => keyword_pairs(text)?,
        };
        let mut parsed = Self {
            host: Host::Tcp("localhost".to_owned()),
            port: 5432,
            user: None,
            password: None,
            database: None,
            connect_timeout: None,
            tls: UpstreamTlsOptions::default(),
        };
        for (keyword, value) in pairs {
            parsed.set(&keyword, value)?;
        }
        Ok(parsed)
    }
}

type Pairs = Vec<(String, Zeroizing<String>)>;

impl ConnectionString {
    fn set(&mut self, keyword: &str, value: Zeroizing<String>) -> Result<(), ConnectionStringError> {
        let wrong = |keyword, reason: String| ConnectionStringError::Value { keyword, reason };
        let text = || value.as_str().to_owned();
        match keyword {
            "host" => self.host = host(&value)?,
            "port" => {
                self.port = value
                    .parse()
                    .ok()
                    .filter(|port| *port != 0)
                    .ok_or_else(|| wrong("port", format!("{:?} is no port", value.as_str())))?;
            }
            "user" => self.user = Some(text()),
            "password" => self.password = Some(value),
            "dbname" => self.database = Some(text()),
            "connect_timeout" => {
                let seconds: u32 = value
                    .parse()
                    .map_err(|_| wrong("connect_timeout", format!("{:?} is no number of seconds", value.as_str())))?;
                // libpq: zero waits for ever, which nothing does here; one is taken as two.
                self.connect_timeout = (seconds > 0).then(|| Duration::from_secs(u64::from(seconds.max(2))));
            }
            "sslmode" => {
                let mode: SslMode = value.parse().map_err(|reason| wrong("sslmode", reason))?;
                self.tls.mode = Some(mode);
            }
            "sslrootcert" => {
                self.tls.roots = match value.as_str() {
                    "system" => TrustedRoots::System,
                    path => TrustedRoots::File(PathBuf::from(path)),
                }
            }
            "sslcert" => self.tls.certificate = Some(PathBuf::from(value.as_str())),
            "sslkey" => self.tls.key = Some(PathBuf::from(value.as_str())),
            other => return Err(unknown(other)),
        }
        Ok(())
    }
}

fn unknown(keyword: &str) -> ConnectionStringError {
    let closest = KEYWORDS
        .iter()
        .map(|known| (strsim::osa_distance(known, keyword), known))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let suggestion = closest.map_or_else(
        || format!(". It takes {}", KEYWORDS.join(", ")),
        |(_, known)| format!(". Did you mean {known:?}?"),
    );
    ConnectionStringError::Keyword { keyword: keyword.to_owned(), suggestion }
}

fn host(value: &str) -> Result<Host, ConnectionStringError> {
    if value.contains(',') {
        return Err(ConnectionStringError::Value {
            keyword: "host",
            reason: "several hosts are given, but a proxy stands in front of exactly one".to_owned(),
        });
    }
    Ok(if value.is_empty() {
        Host::Tcp("localhost".to_owned())
    } else if Path::new(value).is_absolute() {
        Host::UnixDirectory(PathBuf::from(value))
    } else {
        Host::Tcp(value.to_owned())
    })
}

/// `[user[:password]@][host][:port][/dbname][?keyword=value&...]`
fn uri_pairs(rest: &str) -> Result<Pairs, ConnectionStringError> {
    let mut pairs = Pairs::new();
    let mut put = |keyword: &str, value: &str| -> Result<(), ConnectionStringError> {
        if !value.is_empty() {
            pairs.push((percent_decode(keyword)?.to_string(), percent_decode(value)?));
        }
        Ok(())
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, location) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let (host, port) = match location.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':').unwrap_or(port)),
        None => location.split_once(':').unwrap_or((location, "")),
    };
    put("user", user)?;
    put("password", password)?;
    put("host", host)?;
    put("port", port)?;
    put("dbname", database)?;
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (keyword, value) = parameter.split_once('=').ok_or(ConnectionStringError::Shape)?;
        put(keyword, value)?;
    }
    Ok(pairs)
}

fn percent_decode(text: &str) -> Result<Zeroizing<String>, ConnectionStringError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = rest.next().and_then(|digit| char::from(digit).to_digit(16));
            digit.and_then(|digit| u8::try_from(digit).ok())
        };
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(ConnectionStringError::PercentEncoding);
        };
        match high << 4 | low {
            0 => return Err(ConnectionStringError::PercentEncoding),
            byte => bytes.push(byte),
        }
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| ConnectionStringError::PercentEncoding)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// `keyword=value` pairs; a value may be quoted with `'`, and `\` takes the next character as it is.
fn keyword_pairs(text: &str) -> Result<Pairs, ConnectionStringError> {
    let mut pairs = Pairs::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (keyword, after) = rest.split_once('=').ok_or(ConnectionStringError::Shape)?;
        let keyword = keyword.trim_end();
        if keyword.is_empty() || keyword.contains(char::is_whitespace) {
            return Err(ConnectionStringError::Shape);
        }
        let (value, after) = keyword_value(after.trim_start())?;
        pairs.push((keyword.to_owned(), value));
        rest = after.trim_start();
    }
    if pairs.is_empty() {
        return Err(ConnectionStringError::Shape);
    }
    Ok(pairs)
}

fn keyword_value(text: &str) -> Result<(Zeroizing<String>, &str), ConnectionStringError> {
    let quoted = text.strip_prefix('\'');
    let text = quoted.unwrap_or(text);
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut characters = text.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            '\'' if quoted.is_some() => return Ok((value, &text[at + 1..])),
            c if quoted.is_none() && c.is_whitespace() => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    match quoted {
        Some(_) => Err(ConnectionStringError::Quote),
        None => Ok((value, "")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<ConnectionString, ConnectionStringError> {
        text.parse()
    }

    #[test]
    fn a_uri_gives_its_parts() {
        let full =
            parse("postgresql://al%40ice:p%3Aw@[::1]:5433/shop?sslmode=verify-ca&sslrootcert=/r.crt&connect_timeout=3")
                .unwrap();
        assert_eq!((full.host, full.port), (Host::Tcp("::1".to_owned()), 5433));
        assert_eq!(full.user.as_deref(), Some("al@ice"));
        assert_eq!(full.password.as_ref().map(|password| password.as_str()), Some("p:w"));
        assert_eq!(full.database.as_deref(), Some("shop"));
        assert_eq!(full.tls.mode, Some(SslMode::VerifyCa));
        assert_eq!(full.tls.roots, TrustedRoots::File("/r.crt".into()));
        assert_eq!(full.connect_timeout, Some(Duration::from_secs(3)));

        let bare = parse("postgres://db").unwrap();
        assert_eq!((bare.host, bare.port), (Host::Tcp("db".to_owned()), 5432));
        assert_eq!(parse("postgres://").unwrap().host, Host::Tcp("localhost".to_owned()));
    }

    #[test]
    fn a_socket_directory_is_an_absolute_host() {
        let directory = Host::UnixDirectory("/run/pg".into());
        assert_eq!(parse("postgres://%2Frun%2Fpg:5433/db").unwrap().host, directory);
        assert_eq!(parse("postgres:///db?host=/run/pg").unwrap().host, directory);
        assert_eq!(parse("host=/run/pg dbname=db").unwrap().host, directory);
    }

    #[test]
    fn keyword_value_pairs_are_read_as_libpq_reads_them() {
        let parsed = parse(r"host = db port=5433 user='a b' password='it\'s \\' dbname=x\ y").unwrap();
        assert_eq!(parsed.user.as_deref(), Some("a b"));
        assert_eq!(parsed.password.unwrap().as_str(), r"it's \");
        assert_eq!(parsed.database.as_deref(), Some("x y"));
    }

    #[test]
    fn errors_say_what_to_do_and_never_the_password() {
        let cases = [
            ("postgres://u:secret@h?sslmod=require", "Did you mean \"sslmode\"?"),
            ("postgres://u:secret@h?sslmode=on", "verify-full"),
            ("postgres://u:secret@h:x", "is no port"),
            ("postgres://u:secret@h:0", "is no port"),
            ("postgres://u:sec%ret@h", "%25"),
            ("postgres://u:secret@a,b", "exactly one"),
            ("host=h password='secret", "quote"),
            ("localhost:5432", "postgres://host:5432"),
            ("", "postgres://host:5432"),
        ];
        for (text, expected) in cases {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("sec"), "{text}: {error}");
        }
        let debug = format!("{:?}", parse("postgres://u:secret@h").unwrap());
        assert!(!debug.contains("secret"), "{debug}");
    }

    proptest! {
        #[test]
        fn any_text_never_panics(text in ".{0,60}") {
            let _ = parse(&text);
            let _ = parse(&format!("postgres://{text}"));
        }
    }
}
