//! Promise: approvers on other machines decide with a certificate that names them, and nobody else does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    date_time_ymd,
};

use crate::support::{Finished, Proxy, psql, shop, started};

const DELETE: &str = "delete from orders where id = 1";

/// Signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::new([]).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap())
    }

    fn write(&self, place: &Path, name: &str) -> PathBuf {
        let path = place.join(name);
        fs::write(&path, self.0.pem()).unwrap();
        path
    }

    /// Signs a certificate and writes it and its key.
    fn sign(&self, place: &Path, common_name: &str, purpose: ExtendedKeyUsagePurpose) -> Pair {
        let mut parameters = CertificateParams::new(["localhost", "127.0.0.1"].map(str::to_owned)).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(DnType::CommonName, common_name);
        parameters.extended_key_usages = vec![purpose];
        let serial = fs::read_dir(place).unwrap().count() as u64 + 1;
        parameters.serial_number = Some(SerialNumber::from(serial));
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.0).unwrap();
        let file = |ending: &str, text: &str| {
            let count = fs::read_dir(place).unwrap().count();
            let path = place.join(format!("{count}-{common_name}.{ending}"));
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        Pair { certificate: file("pem", &certificate.pem()), key: file("key", &key.serialize_pem()), serial }
    }

    /// Says which certificates are revoked, until a year comes.
    fn revoke(&self, list: &Path, serials: &[u64], until: i32) {
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2024, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let made = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(until, 1, 2),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        fs::write(list, made.signed_by(&self.0).unwrap().pem().unwrap()).unwrap();
    }
}

struct Pair {
    certificate: PathBuf,
    key: PathBuf,
    serial: u64,
}

/// A proxy that listens for approvers, with all that it takes.
struct Remote {
    proxy: Proxy,
    _postgres: pgsluice::cli::demo::throwaway::Throwaway,
    approvers: Authority,
    server_ca: PathBuf,
    url: String,
}

impl Remote {
    /// `carol` may approve.
    fn start() -> Self {
        Self::start_for("carol", |_| String::new(), |_, _| String::new())
    }

    /// Somebody may approve, more authorities than our own vouch for people, and there is more in `[control]`.
    fn start_for(
        approver: &str,
        more_authorities: impl FnOnce(&Path) -> String,
        more_control: impl FnOnce(&Path, &Authority) -> String,
    ) -> Self {
        let postgres = shop();
        let mut proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &[]);
        let place = proxy.place.path().to_owned();
        let (servers, approvers) = (Authority::new("servers"), Authority::new("approvers"));
        let own = servers.sign(&place, "gate", ExtendedKeyUsagePurpose::ServerAuth);
        let client_ca = approvers.write(&place, "approvers.pem");
        fs::write(&client_ca, fs::read_to_string(&client_ca).unwrap() + &more_authorities(&place)).unwrap();
        let more = more_control(&place, &approvers);
        let config = format!(
            "approvers = [{approver:?}]\n[control]\nlisten = \"127.0.0.1:0\"\ncert = {:?}\nkey = {:?}\nclient_ca = {:?}\n{more}",
            own.certificate, own.key, client_ca
        );
        fs::write(place.join("pgsluice.toml"), config).unwrap();
        proxy.launch();
        let url = proxy.wait_for("the control address", || {
            let log = proxy.log();
            let line = log.lines().find(|line| line.contains("remote control"))?;
            line.split_whitespace().last().map(str::to_owned)
        });
        let server_ca = servers.write(&place, "servers.pem");
        Self { proxy, _postgres: postgres, approvers, server_ca, url }
    }

    /// Somebody whom the right authority vouches for.
    fn person(&self, name: &str) -> Pair {
        self.approvers.sign(self.proxy.place.path(), name, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// Runs `pgsluice holds ...` as somebody from elsewhere.
    fn holds(&self, pair: &Pair, arguments: &[&str]) -> Finished {
        let mut command = self.proxy.command(&["holds"]);
        command.args(arguments).args(["--control", &self.url]).arg("--ca").arg(&self.server_ca);
        command.arg("--cert").arg(&pair.certificate).arg("--key").arg(&pair.key);
        crate::support::finished(&mut command)
    }
}

#[test]
fn the_right_certificate_decides_and_the_log_names_it() {
    let remote = Remote::start();
    let carol = remote.person("carol");
    let client = started(psql(&remote.proxy.url("shop", "shop")).args(["-c", DELETE]));
    // Only carol may decide, and everybody on the machine may look.
    let id = remote.proxy.held()["id"].as_str().unwrap().to_owned();
    let listed = remote.holds(&carol, &["list", "--json"]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    assert!(listed.stdout.contains(&id), "{}", listed.stdout);
    let approved = remote.holds(&carol, &["approve", &id, "--reason", "seen from afar"]);
    assert_eq!(approved.code, Some(0), "{}", approved.stderr);
    assert!(
        approved.stdout.contains("carol at ") && approved.stdout.contains(" from 127.0.0.1:"),
        "{}",
        approved.stdout
    );
    let client = Finished::of(client);
    assert_eq!((client.code, client.stdout.as_str()), (Some(0), "DELETE 1\n"), "{}", client.stderr);

    let client = started(psql(&remote.proxy.url("shop", "shop")).args(["-c", DELETE]));
    let id = remote.proxy.held()["id"].as_str().unwrap().to_owned();
    let denied = remote.holds(&carol, &["deny", &id, "--reason", "once is enough"]);
    assert_eq!(denied.code, Some(0), "{}", denied.stderr);
    assert!(Finished::of(client).stderr.contains("once is enough"));

    for (verdict, reason) in [("approved", "seen from afar"), ("denied", "once is enough")] {
        // A denial needs no record to be one: its record may be a moment behind.
        let found = remote.proxy.wait_for(verdict, || {
            let log = remote.proxy.done(&["audit", "search", "--json"]);
            let mut records = log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            records.find(|record| record["kind"] == "decision" && record["verdict"] == verdict)
        });
        assert_eq!((&found["by"], &found["reason"]), (&"carol".into(), &reason.into()), "{found}");
        assert!(found["detail"]["remote"].as_str().unwrap().starts_with("127.0.0.1:"), "{found}");
    }
}

#[test]
fn everybody_else_is_refused_with_a_reason() {
    let remote = Remote::start();
    let client = started(psql(&remote.proxy.url("shop", "shop")).args(["-c", DELETE]));
    let id = remote.proxy.held()["id"].as_str().unwrap().to_owned();
    let told = |pair: &Pair, arguments: &[&str], exit: i32, part: &str| {
        let refused = remote.holds(pair, arguments);
        assert_eq!(refused.code, Some(exit), "{refused:?}");
        assert!(refused.stderr.contains(part) && refused.stderr.contains("hint: "), "{part} in {}", refused.stderr);
        assert!(!refused.stdout.contains(&id), "{}", refused.stdout);
    };
    // The right authority, a name that is not on the list: not even a look.
    let mallory = remote.person("mallory");
    for arguments in [&["list"][..], &["show", &id], &["approve", &id], &["deny", &id], &["withdraw", &id], &["watch"]]
    {
        told(&mallory, arguments, 3, "mallory is not among the configured approvers");
    }
    told(&remote.person("carol\u{200b}"), &["list"], 3, "names nobody");
    // The right name, another authority.
    let place = remote.proxy.place.path();
    let forged = Authority::new("approvers").sign(place, "carol", ExtendedKeyUsagePurpose::ClientAuth);
    told(&forged, &["list"], 1, "does not accept the certificate");
    // The right authority and name, for another purpose.
    let server = remote.approvers.sign(place, "carol", ExtendedKeyUsagePurpose::ServerAuth);
    told(&server, &["list"], 1, "does not accept the certificate");

    // No certificate: the command says so, and the proxy lets nobody in who does not ask it.
    let mut command = remote.proxy.command(&["holds", "list", "--control", &remote.url]);
    let nobody = crate::support::finished(&mut command);
    assert_eq!(nobody.code, Some(2), "{nobody:?}");
    assert!(nobody.stderr.contains("without a certificate"), "{}", nobody.stderr);
    let answer = anonymous(&remote.url, &remote.server_ca);
    assert!(answer.contains("CertificateRequired") && !answer.contains("HTTP/1.1"), "{answer}");

    // A proxy that nobody vouches for is not told anything.
    let carol = remote.person("carol");
    let mut command = remote.proxy.command(&["holds", "list", "--control", &remote.url]);
    command
        .arg("--cert")
        .arg(&carol.certificate)
        .arg("--key")
        .arg(&carol.key)
        .arg("--ca")
        .arg(place.join("approvers.pem"));
    let doubtful = crate::support::finished(&mut command);
    assert_eq!(doubtful.code, Some(1), "{doubtful:?}");
    assert!(doubtful.stderr.contains("signed by nobody who is trusted here"), "{}", doubtful.stderr);

    assert_eq!(remote.proxy.held()["id"], id.as_str(), "nothing was decided");
    let denied = remote.holds(&carol, &["deny", &id, "--reason", "over"]);
    assert_eq!(denied.code, Some(0), "{}", denied.stderr);
    assert!(Finished::of(client).stderr.contains("over"));
}

/// What a TLS client without a certificate is answered: everything, or what went wrong.
fn anonymous(url: &str, server_ca: &Path) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = url.trim_start_matches("https://").to_owned();
    let config = rustls::ClientConfig::builder_with_provider(pgsluice::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(pgsluice::tls::read_roots(server_ca).unwrap())
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let mut stream = connector.connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap();
        let sent = stream.write_all(b"GET /v1/holds HTTP/1.1\r\nhost: a\r\n\r\n").await;
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer).await;
        format!("{sent:?} {read:?} {}", String::from_utf8_lossy(&answer))
    })
}

#[test]
fn a_revoked_certificate_is_refused_and_the_next_one_is_not() {
    let nobody = |_: &Path| String::new();
    let mut remote = Remote::start_for("carol", nobody, |place, approvers| {
        let list = place.join("revoked.pem");
        approvers.revoke(&list, &[], 2099);
        format!("client_crl = {list:?}\n")
    });
    let list = remote.proxy.place.path().join("revoked.pem");
    let (lost, next) = (remote.person("carol"), remote.person("carol"));
    let code = |pair: &Pair| remote.holds(pair, &["list"]).code;
    assert_eq!((code(&lost), code(&next)), (Some(0), Some(0)), "{}", remote.proxy.log());

    remote.approvers.revoke(&list, &[lost.serial], 2099);
    let refused = remote.holds(&lost, &["list"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("CertificateRevoked"), "{}", refused.stderr);
    assert_eq!(code(&next), Some(0), "{}", remote.proxy.log());

    // A list that is out of date, that is another authority's or that cannot be read says of nobody that they are good.
    remote.approvers.revoke(&list, &[lost.serial], 2025);
    assert_eq!((code(&lost), code(&next)), (Some(1), Some(1)));
    Authority::new("others").revoke(&list, &[], 2099);
    assert_eq!((code(&lost), code(&next)), (Some(1), Some(1)));
    for text in ["", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"] {
        // What was known before does not count.
        remote.approvers.revoke(&list, &[lost.serial], 2099);
        assert_eq!((code(&lost), code(&next)), (Some(1), Some(0)));
        fs::write(&list, text).unwrap();
        assert_eq!((code(&lost), code(&next)), (Some(1), Some(1)), "{text}");
    }
    assert!(remote.proxy.log().contains("cannot read a revocation list"), "{}", remote.proxy.log());
    remote.approvers.revoke(&list, &[lost.serial], 2099);
    assert_eq!((code(&lost), code(&next)), (Some(1), Some(0)));

    // At the start it is one clear error.
    remote.proxy.stop(nix::sys::signal::Signal::SIGTERM);
    fs::write(&list, "no list").unwrap();
    let refused = crate::support::finished(&mut remote.proxy.serve());
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let told = refused.stderr.contains("cannot read a revocation list from") && refused.stderr.contains("hint: ");
    assert!(told, "{}", refused.stderr);
}

#[test]
fn without_a_list_nobody_is_let_in() {
    let postgres = shop();
    let proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &[]);
    let place = proxy.place.path().to_owned();
    let authority = Authority::new("all");
    let own = authority.sign(&place, "gate", ExtendedKeyUsagePurpose::ServerAuth);
    let ca = authority.write(&place, "all.pem");
    let config = |listen: &str| {
        format!("[control]\n{listen}cert = {:?}\nkey = {:?}\nclient_ca = {ca:?}\n", own.certificate, own.key)
    };
    for (text, part) in
        [(config("listen = \"127.0.0.1:0\"\n"), "`approvers` names nobody"), (config(""), "no `listen`")]
    {
        fs::write(place.join("pgsluice.toml"), text).unwrap();
        let refused = crate::support::finished(&mut proxy.serve());
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(part) && refused.stderr.contains("hint: "), "{}", refused.stderr);
    }
}

#[test]
fn the_recipe_of_the_readme_makes_an_approver() {
    let readme = include_str!("../README.md");
    let mut blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let recipe = blocks.find(|text| text.contains("approvers-ca.key")).unwrap();
    let remote = Remote::start_for(
        "alice",
        |place| {
            let mut shell = std::process::Command::new("sh");
            let made = crate::support::finished(shell.args(["-e", "-c", recipe]).current_dir(place));
            assert_eq!(made.code, Some(0), "is openssl installed? {}", made.stderr);
            fs::read_to_string(place.join("approvers-ca.pem")).unwrap()
        },
        |_, _| String::new(),
    );
    let place = remote.proxy.place.path();
    let alice = Pair { certificate: place.join("alice.pem"), key: place.join("alice.key"), serial: 0 };
    let listed = remote.holds(&alice, &["list"]);
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
}
