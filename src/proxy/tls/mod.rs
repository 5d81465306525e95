//! TLS on both legs: with clients ([`server`]), and with the upstream server ([`client`]).

pub mod client;
pub mod server;
pub mod side;
mod verify;

pub use client::{SslMode, TrustedRoots, UpstreamTls, UpstreamTlsOptions};
pub use server::ServerTls;
pub use side::SideTls;

use std::path::PathBuf;

use rustls_pki_types::CertificateDer;
use sha2::Digest as _;
use thiserror::Error;

use crate::tls::FileError;

/// Why TLS cannot be set up. Each says which file or setting, and what to do.
#[derive(Debug, Error)]
pub enum TlsSetupError {
    /// A certificate or a key cannot be had from its file.
    #[error(transparent)]
    File(#[from] FileError),
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
    #[error("{0}, or give a file with sslrootcert")]
    NoSystemRoots(FileError),
    /// Only one of client certificate and key was given.
    #[error("sslcert and sslkey belong together, but only one is given")]
    HalfPair,
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
