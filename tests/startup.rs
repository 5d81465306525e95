//! Promise: whatever comes before the login is answered as Postgres answers it, and nothing of it hangs, crashes or gets
//! past the proxy.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use pgsluice::proxy::EntryLimits;
use pgsluice::wire::frame::Header;
use pgsluice::wire::report::{ReportFields, field};
use rustls_pki_types::pem::PemObject as _;

use crate::support::wire::Wire;
use crate::support::{Door, finished, postgres, postgres_options, psql, start_postgres};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const GSSENC_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// A startup packet with this version and these bytes behind it.
fn packet(version: u32, rest: &[u8]) -> Vec<u8> {
    let length = u32::try_from(rest.len() + 8).unwrap();
    [&length.to_be_bytes()[..], &version.to_be_bytes(), rest].concat()
}

fn startup(rest: &[u8]) -> Vec<u8> {
    packet(0x0003_0000, rest)
}

/// Sends each part after one byte has come in answer to the one before, and reads to the end.
fn talk(port: u16, parts: &[&[u8]]) -> String {
    let mut stream = connect(port);
    let mut said = String::new();
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            said.push(char::from(byte[0]));
        }
        stream.write_all(part).unwrap();
    }
    let mut rest = Vec::new();
    // A reset is an end, too: who is not answered may have bytes on the way.
    let _ = stream.read_to_end(&mut rest);
    said + &readable(&rest)
}

/// Severity, code and message of each report; other bytes as they are.
fn readable(mut bytes: &[u8]) -> String {
    let mut said = String::new();
    while let Some(first) = bytes.first() {
        let header = Header::backend(bytes).ok().flatten().filter(|header| header.tag() == b'E');
        let Some(body) = header.and_then(|header| header.body(bytes)) else {
            said.push(char::from(*first));
            bytes = &bytes[1..];
            continue;
        };
        let fields = ReportFields::decode(body).unwrap();
        let text = |kind| String::from_utf8_lossy(fields.value(kind).unwrap_or_default()).into_owned();
        said += &[text(field::SEVERITY_PLAIN), text(field::CODE), text(field::MESSAGE)].join(" ");
        bytes = &bytes[body.len() + 5..];
    }
    // The server of these tests is older than the newest protocol that we speak.
    said.replace("3.0 to 3.2", "3.0 to 3.0")
}

#[test]
fn bad_packets_are_answered_as_the_server_answers_them() {
    let server = postgres();
    let door = Door::open(&server.url("postgres", "postgres"));
    let long = [b'x'; 10_001];
    let cases: Vec<Vec<Vec<u8>>> = vec![
        vec![b"\0\0\0\0\0\x03\0\0".to_vec()],
        vec![b"\0\0\0\x03\0\x03\0\0".to_vec()],
        vec![b"\0\0\0\x07\0\x03\0\0".to_vec()],
        vec![b"\xff\xff\xff\xff\0\x03\0\0".to_vec()],
        vec![b"\x7f\xff\xff\xff\0\x03\0\0".to_vec()],
        vec![startup(&long)],
        vec![startup(b"\0")],
        vec![startup(b"user\0\0\0")],
        vec![startup(b"database\0postgres\0\0")],
        vec![startup(b"user\0postgres\0")],
        vec![startup(b"user\0postgres\0\0x")],
        vec![startup(b"user\0postgres\0database\0")],
        vec![startup(b"user")],
        vec![packet(0x0004_0000, b"\0")],
        vec![packet(0x0002_0000, b"\0")],
        vec![packet(0x0001_0000, b"\0")],
        vec![packet(0x0000_0000, b"\0")],
        // A cancel request with a key that nobody has, and one without a key.
        vec![packet(80_877_102, b"\0\0\0\x01abcd")],
        vec![packet(80_877_102, b"")],
        // HTTP and SSH.
        vec![b"GET / HTTP/1.1\r\n\r\n".to_vec()],
        vec![b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()],
    ];
    for parts in &cases {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let (direct, through) = (talk(server.port(), &parts), talk(door.port(), &parts));
        assert_eq!(through, direct, "{parts:?}");
    }
    let old = talk(door.port(), &[&packet(0x0002_0000, b"\0")]);
    assert_eq!(old, "EFATAL:  unsupported frontend protocol 2.0: server supports 3.0 to 3.0\n\0");
    assert_eq!(door.sessions(), 0);
}

#[test]
fn a_startup_packet_has_at_most_ten_thousand_bytes() {
    let server = postgres();
    let door = Door::open(&server.url("postgres", "postgres"));
    let padded = |total: usize| {
        let mut rest = b"user\0nobody\0application_name\0".to_vec();
        rest.resize(total - 8 - 2, b'x');
        startup(&[&rest[..], b"\0\0"].concat())
    };
    assert_eq!(padded(10_000).len(), 10_000);
    let longest = talk(door.port(), &[&padded(10_000)]);
    assert!(longest.ends_with("FATAL 28000 role \"nobody\" does not exist"), "{longest}");
    assert_eq!(talk(door.port(), &[&padded(10_001)]), "");
}

#[test]
fn encryption_requests_come_once_each_in_either_order() {
    let server = postgres();
    // TLS is offered over TCP only, so over the Unix socket both are refused, as by a server without.
    let door = Door::open(&server.url("postgres", "postgres"));
    let path = door.directory().join(".s.PGSQL.5432");
    for parts in [
        vec![&GSSENC_REQUEST[..], &SSL_REQUEST],
        vec![&SSL_REQUEST[..], &GSSENC_REQUEST],
        vec![&SSL_REQUEST[..]],
        vec![],
    ] {
        let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
        for part in parts {
            stream.write_all(part).unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            assert_eq!(&byte, b"N");
        }
        stream.write_all(&startup(b"\0")).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(readable(&rest), "FATAL 28000 no PostgreSQL user name specified in startup packet");
    }
    // For the second time, a request is what it would be for the server: a version that nobody speaks.
    let twice = |request: &[u8]| talk(door.port(), &[&GSSENC_REQUEST, request]);
    assert_eq!(
        twice(&GSSENC_REQUEST),
        "NFATAL 0A000 unsupported frontend protocol 1234.5680: server supports 3.0 to 3.0"
    );
}

#[test]
fn bytes_behind_an_encryption_request_are_refused() {
    let server = postgres();
    let door = Door::open(&server.url("postgres", "postgres"));
    let session = startup(b"user\0postgres\0\0");
    for (request, name) in [(SSL_REQUEST, "SSL"), (GSSENC_REQUEST, "GSSAPI encryption")] {
        let stuffed = [&request[..], &session].concat();
        let said = talk(door.port(), &[&stuffed]);
        assert_eq!(said, format!("FATAL 08P01 received unencrypted data after {name} request"));
    }
}

#[test]
fn who_says_nothing_is_closed_and_who_stops_answering_is_told() {
    let options = postgres_options();
    let hba = vec!["host all all 127.0.0.1/32 password".to_owned()];
    let server = start_postgres(&pgsluice::cli::demo::throwaway::Options { hba, ..options });
    let limits = EntryLimits { login_timeout: Duration::from_millis(300), ..EntryLimits::default() };
    let door = Door::open_with(&server.url("postgres", "postgres"), limits);
    for silent in [&b""[..], b"\0\0", &SSL_REQUEST[..4], &startup(b"user\0postgres\0\0")[..12], b"\x16\x03\x01"] {
        assert_eq!(talk(door.port(), &[silent]), "", "{silent:?}");
    }
    assert_eq!(talk(door.port(), &[&GSSENC_REQUEST, b""]), "N");
    let said = talk(door.port(), &[&startup(b"user\0postgres\0\0")]);
    assert_eq!(said, "R\0\0\0\x08\0\0\0\x03FATAL 57014 canceling authentication due to timeout");
    assert_eq!(door.sessions(), 0);
}

#[test]
fn only_a_password_answers_a_request_for_one() {
    let hba = vec!["host all all 127.0.0.1/32 password".to_owned()];
    let server = start_postgres(&pgsluice::cli::demo::throwaway::Options { hba, ..postgres_options() });
    let door = Door::open(&server.url("postgres", "postgres"));
    let asked = startup(b"user\0postgres\0\0");
    for answer in [
        &b"Q\0\0\0\x0dSELECT 1\0"[..],
        b"X\0\0\0\x04",
        b"p\0\0\0\x03",
        b"p\x7f\xff\xff\xff",
        b"p\0\x01\0\0",
        b"p\0\0\0\x05\0",
        b"p\0\0\0\x06a\0",
        b"p\0\0\0\x07a\0b",
    ] {
        let answered = |port| {
            let mut stream = connect(port);
            stream.write_all(&asked).unwrap();
            let mut request = [0; 9];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(answer).unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest);
            readable(&rest)
        };
        assert_eq!(answered(door.port()), answered(server.port()), "{answer:?}");
    }
}

/// A TLS client that connects without asking.
fn direct_tls(door: &Door, alpn: &[&[u8]]) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    let file = door.directory().join("tls.crt");
    roots.add(rustls_pki_types::CertificateDer::from_pem_file(file).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = "localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    rustls::StreamOwned::new(connection, connect(door.port()))
}

#[test]
fn direct_tls_is_taken_with_its_alpn_only() {
    let server = postgres();
    let door = Door::open(&server.url("postgres", "postgres"));
    let mut stream = direct_tls(&door, &[b"postgresql"]);
    stream.write_all(&startup(b"user\0nobody\0\0")).unwrap();
    let mut said = Vec::new();
    stream.read_to_end(&mut said).unwrap();
    assert!(readable(&said).ends_with("FATAL 28000 role \"nobody\" does not exist"));
    for alpn in [&[][..], &[&b"http/1.1"[..]]] {
        let mut stream = direct_tls(&door, alpn);
        let mut said = Vec::new();
        let _ = stream.write_all(&startup(b"user\0postgres\0\0"));
        let _ = stream.read_to_end(&mut said);
        assert_eq!(said, b"", "{alpn:?}");
    }
    let mut stream = direct_tls(&door, &[b"postgresql"]);
    stream.write_all(&SSL_REQUEST).unwrap();
    stream.read_to_end(&mut said).unwrap();
    assert!(readable(&said).contains("unsupported frontend protocol 1234.5679"), "no TLS within TLS");
}

#[test]
fn too_many_sessions_are_refused_and_a_place_is_free_again_at_the_end_of_one() {
    let server = postgres();
    let limits = EntryLimits { sessions: 1, ..EntryLimits::default() };
    let door = Door::open_with(&server.url("postgres", "postgres"), limits);
    let who = [("user", "postgres"), ("database", "postgres")];
    let only = Wire::connect(door.port(), &who).unwrap();
    let refused = Wire::connect(door.port(), &who).unwrap_err();
    assert_eq!((refused.code.as_str(), refused.message.as_str()), ("53300", "sorry, too many clients already"));
    // A cancel request needs no place.
    only.cancel();
    drop(only);
    while Wire::connect(door.port(), &who).is_err() {}
}

#[test]
fn a_wrong_secret_cancels_nothing() {
    let server = postgres();
    let door = Door::open(&server.url("postgres", "postgres"));
    let mut session = Wire::connect(door.port(), &[("user", "postgres"), ("database", "postgres")]).unwrap();
    session.send(b'Q', b"select pg_sleep(600)\0");
    let active = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
    while server.sql("postgres", active).unwrap() != "1" {}
    let pid = session.process_id().to_be_bytes();
    for secret in [&b"\0\0\0\0"[..], b"\0\0\0\0\0\0\0\0", &[0; 256]] {
        assert_eq!(talk(door.port(), &[&packet(80_877_102, &[&pid[..], secret].concat())]), "");
    }
    assert_eq!(server.sql("postgres", active).unwrap(), "1");
    session.cancel();
    assert_eq!(session.reply().errors[0].code, "57014");
}

#[test]
fn the_virtual_database_is_no_database_of_the_server() {
    let server = postgres();
    server.sql("postgres", "create database pgsluice").unwrap();
    let door = Door::open(&server.url("postgres", "postgres"));
    // This door relays what the virtual database logs in to.
    let seen = finished(psql(&door.url("postgres", "pgsluice")).args(["-c", "select current_database()"]));
    assert_eq!(seen.stdout, "postgres\n", "{seen:?}");
}
