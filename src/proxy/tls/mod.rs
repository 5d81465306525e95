//! TLS on both legs: with clients ([`server`]), and with the upstream server ([`client`]).

pub mod client;
pub mod server;
pub mod side;
mod verify;

pub use client::{SslMode, TrustedRoots, UpstreamTls, UpstreamTlsOptions};
pub use server::ServerTls;
pub use side::SideTls;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::Digest as _;
use thiserror::Error;

/// Why TLS cannot be set up. Each says which file or setting, and what to do.
#[derive(Debug, Error)]
pub enum TlsSetupError {
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
    /// A key file cannot be read or holds none.
    #[error("cannot read a private key from {path}: {reason}. Give an unencrypted PEM file")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key file can be read by others.
    #[error("private key file {path} can be read by others (mode {mode:03o}). Run: chmod 600 {path}")]
    KeyReadable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Certificate and key do not fit together, or rustls does not take them.
    #[error("cannot use certificate {certificate} with key {key}: {reason}")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The self-made certificate cannot be made or stored.
    #[error(
        "cannot make a certificate in {directory}: {reason}. Give one with --tls-cert and --tls-key, or make the directory writable"
    )]
    SelfMade {
        /// The data directory.
        directory: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Certificates are to be verified, but there is nothing to verify them against.
    #[error(
        "root certificate file {path} does not exist. Provide it with sslrootcert, use sslrootcert=system, or choose an sslmode that does not verify"
    )]
    NoRoots {
        /// The file.
        path: PathBuf,
    },
    /// `sslrootcert=system` with an `sslmode` that would not use it fully.
    #[error("sslmode={0} is too weak for sslrootcert=system. Use sslmode=verify-full")]
    WeakMode(SslMode),
    /// The system has no trusted certificates.
    #[error(
        "the system has no trusted root certificates: {0}. Install the package ca-certificates, or give a file with sslrootcert"
    )]
    NoSystemRoots(String),
    /// Only one of client certificate and key was given.
    #[error("sslcert and sslkey belong together, but only one is given")]
    HalfPair,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsSetupError> {
    let fault = |reason: String| TlsSetupError::Certificate { path: path.to_owned(), reason };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(pem_fault(&error)))?;
    if certificates.is_empty() {
        return Err(fault("no CERTIFICATE section".to_owned()));
    }
    Ok(certificates)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsSetupError> {
    use std::os::unix::fs::PermissionsExt as _;
    let fault = |reason: String| TlsSetupError::Key { path: path.to_owned(), reason };
    let mode = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?.permissions().mode() & 0o777;
    // As Postgres: the group may read (a key that root owns), others may not.
    if mode & 0o037 != 0 {
        return Err(TlsSetupError::KeyReadable { path: path.to_owned(), mode });
    }
    PrivateKeyDer::from_pem_file(path).map_err(|error| fault(pem_fault(&error)))
}

fn pem_fault(error: &rustls_pki_types::pem::Error) -> String {
    use rustls_pki_types::pem::Error;
    match error {
        Error::Io(error) => error.to_string(),
        Error::NoItemsFound => "no PEM section of that kind".to_owned(),
        other => other.to_string(),
    }
}

/// SHA-256 of a certificate as `openssl x509 -fingerprint -sha256` prints it.
fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let digest = sha2::Sha256::digest(certificate);
    let pairs: Vec<String> = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

/// Hash of the server's certificate as `tls-server-end-point` (RFC 5929, section 4.1) wants it: that of the
/// certificate's signature algorithm, SHA-256 in place of MD5 and SHA-1. `None` if the signature names no hash
/// (Ed25519): there is no binding then.
pub(super) fn server_end_point(connection: &rustls::ClientConnection) -> Option<Vec<u8>> {
    end_point_hash(connection.peer_certificates()?.first()?)
}

fn end_point_hash(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    use x509_parser::oid_registry as oid;
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let algorithm = &parsed.signature_algorithm.algorithm;
    let sha256 = [
        oid::OID_PKCS1_MD5WITHRSAENC,
        oid::OID_PKCS1_SHA1WITHRSA,
        oid::OID_PKCS1_SHA256WITHRSA,
        oid::OID_SIG_ECDSA_WITH_SHA256,
    ];
    let sha384 = [oid::OID_PKCS1_SHA384WITHRSA, oid::OID_SIG_ECDSA_WITH_SHA384];
    let sha512 = [oid::OID_PKCS1_SHA512WITHRSA, oid::OID_SIG_ECDSA_WITH_SHA512];
    if sha256.contains(algorithm) {
        Some(sha2::Sha256::digest(certificate).to_vec())
    } else if sha384.contains(algorithm) {
        Some(sha2::Sha384::digest(certificate).to_vec())
    } else if sha512.contains(algorithm) {
        Some(sha2::Sha512::digest(certificate).to_vec())
    } else {
        None
    }
}
