//! TLS with clients: a given certificate, or one that is made on first start.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use tokio_rustls::TlsAcceptor;

use super::{TlsSetupError, fingerprint};
use crate::tls::{provider, read_certificates, read_key};

/// The ALPN name of the Postgres protocol.
pub const ALPN: &[u8] = b"postgresql";

/// File of the self-made certificate within the data directory.
const CERTIFICATE_FILE: &str = "tls.crt";
/// File of its key.
const KEY_FILE: &str = "tls.key";

/// Offers TLS to clients.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    fingerprint: String,
}

impl ServerTls {
    /// With a certificate (and its issuers) and key from PEM files.
    ///
    /// # Errors
    /// A file that cannot be read, or the two do not fit together.
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsSetupError> {
        let certificates = read_certificates(certificate)?;
        let fingerprint = fingerprint(&certificates[0]);
        let private_key = read_key(key)?;
        let pair_fault = |error: rustls::Error| TlsSetupError::Pair {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            reason: error.to_string(),
        };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(pair_fault)?
            .with_no_client_auth()
            .with_single_cert(certificates, private_key)
            .map_err(pair_fault)?;
        // A client that offers ALPN must offer ours; one that offers none is served after an SSLRequest.
        config.alpn_protocols = vec![ALPN.to_vec()];
        // As Postgres: no resumption, so that nothing is kept between connections.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), fingerprint })
    }

    /// With the self-made certificate in the data directory, made if there is none yet. It is valid for
    /// `localhost`, the loopback addresses and `names`.
    ///
    /// # Errors
    /// It cannot be made, stored or read.
    pub fn self_made(directory: &Path, names: &[String]) -> Result<Self, TlsSetupError> {
        let (certificate, key) = (directory.join(CERTIFICATE_FILE), directory.join(KEY_FILE));
        if !(certificate.exists() && key.exists()) {
            make(&certificate, &key, names)
                .map_err(|reason| TlsSetupError::SelfMade { directory: directory.to_owned(), reason })?;
        }
        Self::from_files(&certificate, &key)
    }

    /// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Does the handshakes.
    pub(in super::super) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerTls").field("fingerprint", &self.fingerprint).finish_non_exhaustive()
    }
}

/// Makes a key and a certificate for it. The key is stored first: a certificate without its key would be taken
/// for a finished pair by nobody, see `self_made`.
fn make(certificate: &Path, key: &Path, names: &[String]) -> Result<(), String> {
    let mut subjects: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    for name in names {
        if !subjects.contains(name) {
            subjects.push(name.clone());
        }
    }
    let mut parameters = rcgen::CertificateParams::new(subjects).map_err(|error| error.to_string())?;
    let mut subject = rcgen::DistinguishedName::new();
    subject.push(rcgen::DnType::CommonName, "pgsluice (self-made)");
    parameters.distinguished_name = subject;
    let pair = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
    let made = parameters.self_signed(&pair).map_err(|error| error.to_string())?;
    store(key, &pair.serialize_pem(), 0o600)?;
    store(certificate, &made.pem(), 0o644)
}

/// Writes a file whole or not at all, never readable beyond `mode`.
fn store(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let partial = path.with_extension("partial");
    let write = || -> std::io::Result<()> {
        // A partial file of an earlier, interrupted start may have other permissions.
        match std::fs::remove_file(&partial) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, path)
    };
    write().map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_self_made_certificate_is_made_once_and_its_key_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let first = ServerTls::self_made(directory.path(), &["db.example".to_owned()]).unwrap();
        let again = ServerTls::self_made(directory.path(), &[]).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        assert_eq!(first.fingerprint().len(), 95);
        let mode = std::fs::metadata(directory.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        ServerTls::self_made(directory.path(), &[]).unwrap();
        let key = directory.path().join(KEY_FILE);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = ServerTls::self_made(directory.path(), &[]).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn errors_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("missing.crt");
        let error = ServerTls::from_files(&missing, &missing).unwrap_err().to_string();
        assert!(error.contains("missing.crt") && error.contains("No such file"), "{error}");
        let empty = directory.path().join("empty.crt");
        std::fs::write(&empty, "no PEM").unwrap();
        let error = ServerTls::from_files(&empty, &missing).unwrap_err().to_string();
        assert!(error.contains("no CERTIFICATE section"), "{error}");
    }
}
