//! Judges the upstream server's certificate as libpq does.
//!
//! rustls' own verifier always checks issuer and name, knows names only in the SAN extension, and refuses a
//! self-signed certificate that is itself the trusted one. Postgres' manual tells people to make exactly such
//! certificates, so those three are done here; the chain and the signatures are still rustls' work.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;

/// What is checked, beside that the server holds the key of the certificate it shows: that always is.
#[derive(Debug)]
pub(super) enum Checks {
    /// Nothing.
    Nothing,
    /// That it descends from, or is, one of these.
    Issuer(Vec<CertificateDer<'static>>),
    /// That, and that it is in the name of the host.
    IssuerAndName(Vec<CertificateDer<'static>>),
}

#[derive(Debug)]
pub(super) struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    trust: Option<Trust>,
    check_name: bool,
}

#[derive(Debug)]
struct Trust {
    certificates: Vec<CertificateDer<'static>>,
    anchors: Arc<RootCertStore>,
}

impl Verifier {
    pub(super) fn new(provider: &CryptoProvider, checks: Checks) -> Self {
        let check_name = matches!(checks, Checks::IssuerAndName(_));
        let trust = match checks {
            Checks::Nothing => None,
            Checks::Issuer(certificates) | Checks::IssuerAndName(certificates) => {
                let mut anchors = RootCertStore::empty();
                // Certificates that cannot be anchors are still taken as themselves.
                anchors.add_parsable_certificates(certificates.iter().cloned());
                Some(Trust { certificates, anchors: Arc::new(anchors) })
            }
        };
        Self { algorithms: provider.signature_verification_algorithms, trust, check_name }
    }

    fn check_issuer(
        &self,
        trust: &Trust,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        if trust.certificates.contains(certificate) {
            return check_period(certificate, now);
        }
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(certificate)?,
            &trust.anchors,
            intermediates,
            now,
            self.algorithms.all,
        )
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if let Some(trust) = &self.trust {
            self.check_issuer(trust, certificate, intermediates, now)?;
        }
        if self.check_name {
            check_name(certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, Error> {
    x509_parser::parse_x509_certificate(certificate)
        .map(|(_, parsed)| parsed)
        .map_err(|_| CertificateError::BadEncoding.into())
}

fn check_period(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let parsed = parse(certificate)?;
    let seconds = i64::try_from(now.as_secs()).map_err(|_| Error::FailedToGetCurrentTime)?;
    if seconds < parsed.validity().not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if seconds > parsed.validity().not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// The name check of libpq (`src/interfaces/libpq/fe-secure-common.c`): the SAN extension decides; only a
/// certificate whose SAN has no host name or address, or that has none, is judged by its common name.
fn check_name(certificate: &CertificateDer<'_>, name: &ServerName<'_>) -> Result<(), Error> {
    let by_extension = ParsedCertificate::try_from(certificate).and_then(|parsed| verify_server_name(&parsed, name));
    let Err(error) = by_extension else {
        return Ok(());
    };
    let parsed = parse(certificate)?;
    let named_by_extension = parsed
        .subject_alternative_name()
        .map_err(|_| Error::from(CertificateError::BadEncoding))?
        .is_some_and(|names| {
            names
                .value
                .general_names
                .iter()
                .any(|name| matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_)))
        });
    if named_by_extension {
        return Err(error);
    }
    let mut common_names = parsed.subject().iter_common_name();
    let common_name = common_names.next().and_then(|name| name.as_str().ok());
    match common_name {
        Some(common_name) if common_name_matches(common_name, name) => Ok(()),
        _ => Err(error),
    }
}

fn common_name_matches(common_name: &str, name: &ServerName<'_>) -> bool {
    match name {
        ServerName::DnsName(host) => host_matches(common_name, host.as_ref()),
        ServerName::IpAddress(address) => common_name.parse::<IpAddr>().ok() == Some(IpAddr::from(*address)),
        _ => false,
    }
}

/// `wildcard_certificate_match`: a `*` only as the whole first label, standing for exactly one label, and never
/// directly below the top.
fn host_matches(pattern: &str, host: &str) -> bool {
    if pattern.eq_ignore_ascii_case(host) {
        return true;
    }
    let (Some(rest), Some((label, host_rest))) = (pattern.strip_prefix("*."), host.split_once('.')) else {
        return false;
    };
    !label.is_empty() && rest.contains('.') && rest.eq_ignore_ascii_case(host_rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::provider;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    struct Made {
        root: CertificateDer<'static>,
        leaf: CertificateDer<'static>,
    }

    /// A root and a server certificate below it, with these names.
    fn made(san: &[&str], common_name: &str) -> Made {
        let mut root = CertificateParams::new([]).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.distinguished_name.push(DnType::CommonName, "root");
        let root = CertifiedIssuer::self_signed(root, KeyPair::generate().unwrap()).unwrap();
        let names: Vec<String> = san.iter().map(|&name| name.to_owned()).collect();
        let mut leaf = CertificateParams::new(names).unwrap();
        leaf.distinguished_name = rcgen::DistinguishedName::new();
        leaf.distinguished_name.push(DnType::CommonName, common_name);
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &root).unwrap();
        Made { root: root.der().clone(), leaf: leaf.der().clone() }
    }

    fn self_signed_authority(common_name: &str) -> CertificateDer<'static> {
        let mut parameters = CertificateParams::new([]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, common_name);
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verdict(checks: Checks, leaf: &CertificateDer<'_>, host: &str) -> Result<(), Error> {
        let name = ServerName::try_from(host.to_owned()).unwrap();
        Verifier::new(&provider(), checks).verify_server_cert(leaf, &[], &name, &[], UnixTime::now()).map(|_| ())
    }

    #[test]
    fn issuer_and_name_are_checked_as_far_as_the_mode_says() {
        let ours = made(&["db.example"], "x");
        let other = made(&["db.example"], "x");
        assert!(verdict(Checks::Nothing, &other.leaf, "wrong.example").is_ok());
        assert!(verdict(Checks::Issuer(vec![ours.root.clone()]), &ours.leaf, "wrong.example").is_ok());
        assert!(verdict(Checks::Issuer(vec![ours.root.clone()]), &other.leaf, "db.example").is_err());
        let full = || Checks::IssuerAndName(vec![ours.root.clone()]);
        assert!(verdict(full(), &ours.leaf, "db.example").is_ok());
        assert!(verdict(full(), &ours.leaf, "wrong.example").is_err());
        assert!(verdict(full(), &other.leaf, "db.example").is_err());
    }

    #[test]
    fn a_self_signed_certificate_may_be_its_own_root() {
        let own = self_signed_authority("db.example");
        let full = Checks::IssuerAndName(vec![own.clone()]);
        assert!(verdict(full, &own, "db.example").is_ok());
        let stranger = self_signed_authority("db.example");
        let full = Checks::IssuerAndName(vec![own]);
        assert!(verdict(full, &stranger, "db.example").is_err());
    }

    #[test]
    fn the_common_name_counts_only_without_names_in_the_extension() {
        let named = made(&["other.example"], "db.example");
        assert!(verdict(Checks::IssuerAndName(vec![named.root]), &named.leaf, "db.example").is_err());
        let bare = made(&[], "*.db.example");
        let full = || Checks::IssuerAndName(vec![bare.root.clone()]);
        assert!(verdict(full(), &bare.leaf, "one.db.example").is_ok());
        assert!(verdict(full(), &bare.leaf, "one.two.db.example").is_err());
        let address = made(&[], "127.0.0.1");
        let full = || Checks::IssuerAndName(vec![address.root.clone()]);
        assert!(verdict(full(), &address.leaf, "127.0.0.1").is_ok());
        assert!(verdict(full(), &address.leaf, "127.0.0.2").is_err());
    }

    #[test]
    fn wildcards_stand_for_one_label_and_never_for_a_whole_domain() {
        assert!(host_matches("*.A.example", "b.a.EXAMPLE"));
        assert!(!host_matches("*.example", "a.example"));
        assert!(!host_matches("*.a.example", "a.example"));
        assert!(!host_matches("*.a.example", ".a.example"));
        assert!(!host_matches("b*.a.example", "bc.a.example"));
        assert!(!host_matches("*", "a"));
    }

    #[test]
    fn a_certificate_out_of_its_time_is_refused_even_if_trusted() {
        let own = self_signed_authority("db.example");
        let before = UnixTime::since_unix_epoch(std::time::Duration::from_secs(1));
        assert_eq!(check_period(&own, before), Err(CertificateError::NotValidYet.into()));
    }
}
