//! What is in the files of a webhook: a URL and a secret, neither of which is ever shown.

use std::fmt;
use std::path::{Path, PathBuf};

use hyper::Uri;

use super::PlainHttp;
use crate::tls::{FileError, refuse_readable};

/// Files larger than this hold neither a URL nor a secret.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Shorter secrets can be guessed.
const SECRET_BYTES_MIN: usize = 16;

/// Why a webhook is of no use. None of these shows what is in a file.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file cannot be read, or others can read it.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file has no URL.
    #[error("{} holds no webhook URL: {why}", path.display())]
    Url {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// The secret is too short.
    #[error("the secret in {} is shorter than {SECRET_BYTES_MIN} bytes. Make one: openssl rand -hex 32", .0.display())]
    ShortSecret(PathBuf),
}

/// Where a message goes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) secured: Secured,
    pub(super) host: String,
    pub(super) port: u16,
    /// What the `Host` header says.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

/// Whether TLS is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secured {
    Tls,
    Plain,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("secured", &self.secured).finish_non_exhaustive()
    }
}

impl Target {
    /// Reads the URL from its file.
    pub(super) fn read(path: &Path, plain: PlainHttp) -> Result<Self, SetupError> {
        let text = read("webhook URL", path)?;
        let target = Self::parse(text.trim()).map_err(|why| SetupError::Url { path: path.to_owned(), why })?;
        // Which addresses a name stands for is seen when it is used.
        let may_be_loopback =
            target.host == "localhost" || target.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if target.secured == Secured::Plain && plain == PlainHttp::LoopbackOnly && !may_be_loopback {
            let why = "http:// leads only to this machine, unless allow_http = true; use https://";
            return Err(SetupError::Url { path: path.to_owned(), why });
        }
        Ok(target)
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "it has to be one line: https://HOST/PATH")?;
        let secured = match uri.scheme_str() {
            Some("https") => Secured::Tls,
            Some("http") => Secured::Plain,
            _ => return Err("it has to begin with https://"),
        };
        let authority = uri.authority().ok_or("it names no host")?;
        if authority.as_str().contains('@') {
            return Err("it has a user or a password in it, which is not supported");
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err("it names no host");
        }
        let default_port = if secured == Secured::Tls { 443 } else { 80 };
        Ok(Self {
            secured,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(default_port),
            authority: authority.as_str().to_owned(),
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

/// Reads a secret from its file; the line end at its end is no part of it.
pub(super) fn read_secret(path: &Path) -> Result<Vec<u8>, SetupError> {
    let secret = read("webhook secret", path)?.trim_end_matches(['\r', '\n']).as_bytes().to_vec();
    if secret.len() < SECRET_BYTES_MIN { Err(SetupError::ShortSecret(path.to_owned())) } else { Ok(secret) }
}

fn read(what: &'static str, path: &Path) -> Result<String, FileError> {
    let failed = |reason: String| FileError::Secret { what, path: path.to_owned(), reason };
    refuse_readable(what, path)?;
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(failed(format!("it is too large: {size} bytes")));
    }
    std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn parsed(url: &str) -> Result<(Secured, String, u16, String), &'static str> {
        Target::parse(url).map(|target| (target.secured, target.host, target.port, target.path))
    }

    #[test]
    fn urls_are_taken_apart() {
        let slack = parsed("https://hooks.slack.com/services/T0/B0/x?y=z").unwrap();
        assert_eq!(slack, (Secured::Tls, "hooks.slack.com".to_owned(), 443, "/services/T0/B0/x?y=z".to_owned()));
        assert_eq!(parsed("http://[::1]:8080").unwrap(), (Secured::Plain, "::1".to_owned(), 8080, "/".to_owned()));
        for url in ["", "hooks.slack.com/x", "ftp://a/b", "https://", "https://u:p@host/", "https://a b/"] {
            assert!(parsed(url).is_err(), "{url}");
        }
    }

    #[test]
    fn what_is_in_the_files_is_never_shown() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("url");
        let write = |text: &str, mode| {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let told = || Target::read(&file, PlainHttp::LoopbackOnly).unwrap_err().to_string();
        write("https://hooks.example/SECRET\n", 0o644);
        assert!(told().contains("chmod 600"), "{}", told());
        write("http://hooks.example/SECRET", 0o600);
        assert!(told().contains("allow_http"), "{}", told());
        assert!(Target::read(&file, PlainHttp::Anywhere).is_ok());
        for text in ["SECRET", "https://SECRET:x@h/", "https://h/SECRET\nhttps://h/SECRET"] {
            write(text, 0o600);
            assert!(!told().contains("SECRET"), "{}", told());
        }
        write("https://hooks.example/SECRET\n", 0o600);
        let shown = format!("{:?}", Target::read(&file, PlainHttp::LoopbackOnly).unwrap());
        assert!(!shown.contains("SECRET") && !shown.contains("example"), "{shown}");

        write("short\n", 0o600);
        assert!(matches!(read_secret(&file), Err(SetupError::ShortSecret(_))));
        write("0123456789abcdef\r\n", 0o600);
        assert_eq!(read_secret(&file).unwrap(), b"0123456789abcdef");
    }
}
