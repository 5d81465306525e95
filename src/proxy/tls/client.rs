//! TLS with the upstream server, with libpq's words and rules: `sslmode`, `sslrootcert`, `sslcert`, `sslkey`.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::TlsSetupError;
use super::verify::{Checks, Verifier};
use crate::tls::{provider, read_certificates, read_key, system_certificates};

/// How much TLS is wanted, in libpq's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SslMode {
    /// Never.
    Disable,
    /// If the server can; plain otherwise. libpq's default, and safe against nobody who is active.
    #[default]
    Prefer,
    /// Always; the certificate is verified only if there is a root certificate file.
    Require,
    /// Always, by a certificate that descends from a trusted one.
    VerifyCa,
    /// Always, by such a certificate in the name of the host.
    VerifyFull,
}

impl SslMode {
    /// libpq's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// Whether a connection without TLS is never to be used.
    #[must_use]
    pub const fn requires_tls(self) -> bool {
        matches!(self, Self::Require | Self::VerifyCa | Self::VerifyFull)
    }
}

impl std::fmt::Display for SslMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which certificates are trusted to vouch for the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TrustedRoots {
    /// `~/.postgresql/root.crt`, if it exists.
    #[default]
    DefaultFile,
    /// This file.
    File(PathBuf),
    /// Those of the operating system (`sslrootcert=system`).
    System,
}

/// How TLS with the server is set up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpstreamTlsOptions {
    /// `sslmode`; as in libpq, `None` is `prefer`, or `verify-full` with `sslrootcert=system`.
    pub mode: Option<SslMode>,
    /// `sslrootcert`.
    pub roots: TrustedRoots,
    /// `sslcert`: our own certificate. There is no default file, unlike libpq: a certificate of ours may stand in
    /// for the credentials of our clients, so nobody shall have one by accident.
    pub certificate: Option<PathBuf>,
    /// `sslkey`: its key.
    pub key: Option<PathBuf>,
}

/// Speaks TLS with the upstream server.
#[derive(Clone)]
pub struct UpstreamTls {
    mode: SslMode,
    config: Option<Arc<ClientConfig>>,
    presents_certificate: bool,
}

impl UpstreamTls {
    /// Reads the files that the options name and judges whether they fit together.
    ///
    /// # Errors
    /// A file that cannot be read, or options that contradict each other.
    pub fn new(options: &UpstreamTlsOptions) -> Result<Self, TlsSetupError> {
        let mode = options.mode.unwrap_or(match options.roots {
            TrustedRoots::System => SslMode::VerifyFull,
            TrustedRoots::DefaultFile | TrustedRoots::File(_) => SslMode::Prefer,
        });
        if mode == SslMode::Disable {
            return Ok(Self { mode, config: None, presents_certificate: false });
        }
        let verifier = Verifier::new(&provider(), checks(mode, &options.roots)?);
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the ring provider has the cipher suites of TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match (&options.certificate, &options.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => builder
                .with_client_auth_cert(read_certificates(certificate)?, read_key(key)?)
                .map_err(|error| TlsSetupError::Pair {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    reason: error.to_string(),
                })?,
            (Some(_), None) | (None, Some(_)) => return Err(TlsSetupError::HalfPair),
        };
        // As libpq: each connection stands for itself.
        config.resumption = Resumption::disabled();
        Ok(Self { mode, config: Some(Arc::new(config)), presents_certificate: options.certificate.is_some() })
    }

    /// The mode.
    #[must_use]
    pub const fn mode(&self) -> SslMode {
        self.mode
    }

    /// Whether the server may take a certificate of ours for the client's credentials.
    #[must_use]
    pub const fn presents_certificate(&self) -> bool {
        self.presents_certificate
    }

    /// Does the handshake.
    ///
    /// # Errors
    /// The server's certificate is not good enough for the mode, or the handshake fails otherwise;
    /// [`io::ErrorKind::Unsupported`] under `disable`.
    pub(in super::super) async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(config) = &self.config else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, format!("{host:?} is no host name for TLS")))?;
        TlsConnector::from(Arc::clone(config)).connect(name, stream).await
    }
}

impl std::fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamTls").field("mode", &self.mode).finish_non_exhaustive()
    }
}

/// What is to be checked on the server's certificate. As in libpq, a root certificate file that exists is used
/// under every mode, and only the `verify-` modes insist on one.
fn checks(mode: SslMode, roots: &TrustedRoots) -> Result<Checks, TlsSetupError> {
    let trusted = match roots {
        TrustedRoots::System => {
            if mode != SslMode::VerifyFull {
                return Err(TlsSetupError::WeakMode(mode));
            }
            system_roots()?
        }
        TrustedRoots::DefaultFile | TrustedRoots::File(_) => {
            let path = match roots {
                TrustedRoots::File(path) => path.clone(),
                _ => default_root_file(),
            };
            let insists = matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull);
            match path.exists() {
                true => read_certificates(&path)?,
                false if insists => return Err(TlsSetupError::NoRoots { path }),
                false => return Ok(Checks::Nothing),
            }
        }
    };
    Ok(match mode {
        SslMode::VerifyFull => Checks::IssuerAndName(trusted),
        _ => Checks::Issuer(trusted),
    })
}

fn default_root_file() -> PathBuf {
    std::env::home_dir().unwrap_or_default().join(".postgresql/root.crt")
}

fn system_roots() -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    system_certificates().map_err(TlsSetupError::NoSystemRoots)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(mode: SslMode, roots: TrustedRoots) -> Result<UpstreamTls, TlsSetupError> {
        UpstreamTls::new(&UpstreamTlsOptions { mode: Some(mode), roots, ..UpstreamTlsOptions::default() })
    }

    #[test]
    fn verifying_needs_something_to_verify_against() {
        let missing = || TrustedRoots::File(PathBuf::from("/nonexistent/root.crt"));
        for mode in [SslMode::VerifyCa, SslMode::VerifyFull] {
            assert!(matches!(setup(mode, missing()), Err(TlsSetupError::NoRoots { .. })));
        }
        for mode in [SslMode::Disable, SslMode::Prefer, SslMode::Require] {
            assert_eq!(setup(mode, missing()).unwrap().mode(), mode);
        }
    }

    #[test]
    fn system_roots_demand_full_verification() {
        assert!(matches!(
            setup(SslMode::Require, TrustedRoots::System),
            Err(TlsSetupError::WeakMode(SslMode::Require))
        ));
    }

    #[test]
    fn certificate_and_key_belong_together() {
        let options =
            UpstreamTlsOptions { certificate: Some(PathBuf::from("client.crt")), ..UpstreamTlsOptions::default() };
        assert!(matches!(UpstreamTls::new(&options), Err(TlsSetupError::HalfPair)));
    }
}
