//! Certificates, keys and trusted roots from files, for every part that speaks TLS.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use thiserror::Error;

/// Why a file is of no use for TLS. Each says which file, and what to do.
#[derive(Debug, Error)]
pub enum FileError {
    /// A certificate file cannot be read or holds none.
    #[error(
        "cannot read a certificate from {path}: {reason}. Give a PEM file with the certificate first, then its issuers"
    )]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file with revocation lists cannot be read or holds none.
    #[error("cannot read a revocation list from {path}: {reason}. Give a PEM file with the X509 CRL of each authority")]
    Revocations {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key file cannot be read or holds none.
    #[error("cannot read a private key from {path}: {reason}. Give an unencrypted PEM file")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file with a secret can be read by others.
    #[error("{what} file {path} can be read by others (mode {mode:03o}). Run: chmod 600 {path}")]
    Readable {
        /// What it holds.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file with a secret cannot be read.
    #[error("cannot read a {what} from {path}: {reason}")]
    Secret {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The system has no trusted certificates.
    #[error("the system has no trusted root certificates: {0}. Install the package ca-certificates")]
    NoSystemRoots(String),
}

/// The cryptography that all TLS here uses.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// All certificates of a PEM file: at least one.
///
/// # Errors
///
/// It cannot be read, or holds none.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileError> {
    sections(path, "CERTIFICATE").map_err(|reason| FileError::Certificate { path: path.to_owned(), reason })
}

/// The certificates of a PEM file, as those that vouch for others.
///
/// # Errors
///
/// It cannot be read, or holds something that cannot vouch for anybody.
pub fn read_roots(path: &Path) -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_certificates(path)? {
        roots
            .add(certificate)
            .map_err(|error| FileError::Certificate { path: path.to_owned(), reason: error.to_string() })?;
    }
    Ok(roots)
}

/// All revocation lists of a PEM file: at least one.
///
/// # Errors
///
/// It cannot be read, or holds none.
pub fn read_revocations(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, FileError> {
    sections(path, "X509 CRL").map_err(|reason| FileError::Revocations { path: path.to_owned(), reason })
}

/// The private key of a PEM file that nobody else can read.
///
/// # Errors
///
/// It cannot be read, holds no key, or others can read it.
pub fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, FileError> {
    let fault = |reason: String| FileError::Key { path: path.to_owned(), reason };
    refuse_readable("private key", path)?;
    PrivateKeyDer::from_pem_file(path).map_err(|error| fault(pem_fault(&error)))
}

/// Refuses a file with a secret that others can read.
///
/// # Errors
///
/// They can, or the system does not say.
pub fn refuse_readable(what: &'static str, path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let unknown = |error: std::io::Error| FileError::Secret { what, path: path.to_owned(), reason: error.to_string() };
    let mode = std::fs::metadata(path).map_err(unknown)?.permissions().mode() & 0o777;
    // As Postgres: the group may read (a key that root owns), others may not.
    if mode & 0o037 != 0 {
        return Err(FileError::Readable { what, path: path.to_owned(), mode });
    }
    Ok(())
}

/// The certificates that the operating system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` replace them.
///
/// # Errors
///
/// There are none.
pub fn system_certificates() -> Result<Vec<CertificateDer<'static>>, FileError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let reasons: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        let reason = if reasons.is_empty() { "none found".to_owned() } else { reasons.join("; ") };
        return Err(FileError::NoSystemRoots(reason));
    }
    Ok(found.certs)
}

/// The same, as those that vouch for others.
///
/// # Errors
///
/// There are none.
pub fn system_roots() -> Result<RootCertStore, FileError> {
    let mut roots = RootCertStore::empty();
    // One that rustls does not take vouches for nobody.
    roots.add_parsable_certificates(system_certificates()?);
    Ok(roots)
}

/// All sections of one kind in a PEM file, at least one; or what is wrong with it.
fn sections<T: PemObject>(path: &Path, kind: &str) -> Result<Vec<T>, String> {
    let found = T::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = found.map_err(|error| pem_fault(&error))?;
    if found.is_empty() { Err(format!("no {kind} section")) } else { Ok(found) }
}

fn pem_fault(error: &rustls_pki_types::pem::Error) -> String {
    use rustls_pki_types::pem::Error;
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "no PEM section of that kind".to_owned(),
        other => other.to_string(),
    }
}
