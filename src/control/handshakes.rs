//! Which certificates of remote approvers are good.
//!
//! The revocation lists are read anew when their file has changed, so that a certificate that is lost can be revoked
//! without a restart, which would end what waits. Without a list that can be read and is not out of date nobody is let
//! in: whom it would name is not known.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::remote_server::{RemoteBindError, RemoteServerOptions};
use crate::tls::{FileError, provider, read_certificates, read_key, read_revocations, read_roots};

/// Makes what each connection begins with.
pub(super) struct Handshakes {
    options: RemoteServerOptions,
    authorities: Arc<RootCertStore>,
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    current: Mutex<Current>,
}

/// What was made last, of the file as it was then.
struct Current {
    stamp: Option<Stamp>,
    acceptor: Option<TlsAcceptor>,
}

/// Whether a file is the one that was read: inode, size and times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp([i64; 6]);

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let (inode, size) = (file.ino().cast_signed(), file.size().cast_signed());
        Some(Self([inode, size, file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()]))
    }
}

impl std::fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshakes").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Handshakes {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// One of them is of no use.
    pub(super) fn new(options: &RemoteServerOptions) -> Result<Self, RemoteBindError> {
        let handshakes = Self {
            options: options.clone(),
            authorities: Arc::new(read_roots(&options.client_ca)?),
            certificates: read_certificates(&options.certificate)?,
            key: read_key(&options.key)?,
            current: Mutex::new(Current { stamp: None, acceptor: None }),
        };
        let stamp = options.client_crl.as_deref().and_then(Stamp::of);
        let acceptor = Some(handshakes.make()?);
        *handshakes.current() = Current { stamp, acceptor };
        Ok(handshakes)
    }

    /// What the next connection begins with; `None` where nobody may be let in.
    pub(super) fn acceptor(&self) -> Option<TlsAcceptor> {
        let mut current = self.current();
        if let Some(list) = &self.options.client_crl {
            // Looked at before it is read: what changes in between is read again by the next.
            let stamp = Stamp::of(list);
            if stamp != current.stamp {
                *current = Current { stamp, acceptor: self.renewed() };
            }
        }
        current.acceptor.clone()
    }

    fn renewed(&self) -> Option<TlsAcceptor> {
        match self.make() {
            Ok(acceptor) => {
                tracing::info!("the revocation lists of approvers' certificates were read anew");
                Some(acceptor)
            }
            Err(error) => {
                tracing::error!(%error, "no remote approver is let in until the revocation lists can be read");
                None
            }
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        // It is replaced as a whole.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self) -> Result<TlsAcceptor, RemoteBindError> {
        let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&self.authorities), provider());
        if let Some(list) = &self.options.client_crl {
            verifier = verifier.with_crls(read_revocations(list)?).enforce_revocation_expiration();
        }
        let verifier = verifier.build().map_err(|error| self.unusable(error))?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the ring provider has the cipher suites of TLS 1.2 and 1.3")
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.certificates.clone(), self.key.clone_key())
            .map_err(|error| RemoteBindError::Pair {
                certificate: self.options.certificate.clone(),
                key: self.options.key.clone(),
                error,
            })?;
        config.alpn_protocols = vec![super::ALPN.to_vec()];
        // No resumption: each connection shows its certificate.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    fn unusable(&self, error: VerifierBuilderError) -> RemoteBindError {
        match (&self.options.client_crl, error) {
            (Some(list), VerifierBuilderError::InvalidCrl(error)) => {
                let reason = rustls::Error::InvalidCertRevocationList(error).to_string();
                FileError::Revocations { path: list.clone(), reason }.into()
            }
            (_, error) => RemoteBindError::Authorities { path: self.options.client_ca.clone(), error },
        }
    }
}
