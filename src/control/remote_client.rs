//! The client's way to a proxy on another machine: TLS, with a certificate of one's own.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::Uri;
use rustls::client::Resumption;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::{FileError, provider, read_certificates, read_key, read_roots, system_roots};

/// Where a remote proxy is, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteOptions {
    /// `https://HOST:PORT`.
    pub url: String,
    /// Our certificate, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// Who vouches for the proxy's certificate, PEM; `None`: whom the operating system trusts.
    pub ca: Option<PathBuf>,
}

/// Why there is no way to a remote proxy.
#[derive(Debug, thiserror::Error)]
pub enum RemoteSetupError {
    /// The URL is none of ours.
    #[error("a remote proxy is named as https://HOST:PORT, not as {0}")]
    Url(String),
    /// A file is of no use.
    #[error(transparent)]
    File(#[from] FileError),
    /// Certificate and key do not fit together.
    #[error("cannot use certificate {certificate} with key {key}: {error}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        error: rustls::Error,
    },
}

/// The way to a remote proxy.
#[derive(Clone)]
pub struct Remote {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl Remote {
    /// Reads the files and judges whether they fit together. Connects to nothing.
    ///
    /// # Errors
    ///
    /// See [`RemoteSetupError`].
    pub fn new(options: &RemoteOptions) -> Result<Self, RemoteSetupError> {
        let (host, port) = place(&options.url).ok_or_else(|| RemoteSetupError::Url(options.url.clone()))?;
        let name =
            ServerName::try_from(host.clone()).map_err(|_| RemoteSetupError::Url(options.url.clone()))?.to_owned();
        let roots: RootCertStore = match &options.ca {
            Some(path) => read_roots(path)?,
            None => system_roots()?,
        };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the ring provider has the cipher suites of TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_client_auth_cert(read_certificates(&options.certificate)?, read_key(&options.key)?)
            .map_err(|error| RemoteSetupError::Pair {
                certificate: options.certificate.clone(),
                key: options.key.clone(),
                error,
            })?;
        config.alpn_protocols = vec![super::ALPN.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(Self { host, port, name, connector: TlsConnector::from(Arc::new(config)) })
    }

    /// `HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Connects, and does the handshake.
    pub(super) async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        self.connector.connect(self.name.clone(), stream).await
    }
}

/// Host and port of `https://HOST:PORT`.
fn place(url: &str) -> Option<(String, u16)> {
    let uri: Uri = url.parse().ok()?;
    let authority = uri.authority()?;
    let is_bare = uri.scheme_str() == Some("https")
        && matches!(uri.path(), "" | "/")
        && uri.query().is_none()
        && !authority.as_str().contains('@');
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    (is_bare && !host.is_empty()).then(|| (host.to_owned(), authority.port_u16().unwrap_or(443)))
}

/// What TLS says was wrong, wherever in an error it stands.
pub(super) fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<rustls::Error>() {
            return Some(found);
        }
        // An io::Error's source is that of the error inside, which would be passed over.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inside) => Some(inside as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    None
}

/// Whose certificate was not taken, in words, and what to do.
pub(super) fn distrust(error: &rustls::Error) -> (String, &'static str) {
    match error {
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            ("it lets nobody in without a certificate".to_owned(), "give yours with --cert FILE and --key FILE")
        }
        rustls::Error::AlertReceived(alert) => (
            format!("it does not accept the certificate shown to it ({alert:?})"),
            "it has to be signed by an authority in the proxy's `control.client_ca`, valid today, not revoked, and meant for clients",
        ),
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => (
            "its certificate is signed by nobody who is trusted here".to_owned(),
            "name the authority that signed it with --ca FILE",
        ),
        rustls::Error::InvalidCertificate(fault) => {
            (format!("its certificate is not good: {fault}"), "see `control.cert` of the proxy, and the URL")
        }
        other => (other.to_string(), "is that the control address of a pgsluice, `control.listen`?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_bare() {
        for (url, read) in [
            ("https://db.internal:6433", Some(("db.internal", 6433))),
            ("https://db.internal", Some(("db.internal", 443))),
            ("https://[::1]:6433/", Some(("::1", 6433))),
            ("http://db.internal:6433", None),
            ("db.internal:6433", None),
            ("https://a:b@db.internal:6433", None),
            ("https://db.internal:6433/v1", None),
            ("https://db.internal:6433?x", None),
            ("https://", None),
            ("", None),
        ] {
            let found = place(url);
            assert_eq!(found.as_ref().map(|(host, port)| (host.as_str(), *port)), read, "{url}");
        }
    }

    #[test]
    fn what_tls_says_is_found_inside_other_errors() {
        let inner = rustls::Error::AlertReceived(AlertDescription::UnknownCA);
        let outer = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, inner.clone()));
        assert_eq!(tls_error(&outer), Some(&inner));
        assert_eq!(tls_error(&io::Error::other("something else")), None);
    }
}
