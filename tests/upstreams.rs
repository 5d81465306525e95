//! Promise: the login holds whatever the upstream server is: newer, older, asking for what cannot pass a proxy, or
//! lying. The servers here are made up, so that each says exactly what its test is about.

use std::sync::Arc;

use pgsluice::wire::backend::NegotiateProtocolVersion;
use pgsluice::wire::frame::Header;
use pgsluice::wire::report::ReportFields;
use pgsluice::wire::startup::ProtocolVersion;
use pgsluice::wire::{encode, report::Report};
use rustls_pki_types::pem::PemObject as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Door, certificate, finished, postgres, psql};

const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const READY: &[u8] = b"Z\0\0\0\x05I";

trait Bytes: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Bytes for S {}

/// A made-up server: takes one connection.
struct Made {
    listener: TcpListener,
    door: Door,
}

impl Made {
    fn new(parameters: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let door = Door::open(&format!("postgres://127.0.0.1:{port}/?{parameters}"));
        let guard = door.runtime().enter();
        let listener = TcpListener::from_std(listener).unwrap();
        drop(guard);
        Self { listener, door }
    }

    /// Takes the next connection, up to and with its first packet.
    async fn accept(&self) -> (TcpStream, Vec<u8>) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let packet = read_packet(&mut stream).await;
        (stream, packet)
    }

    /// A client that has sent a startup packet of this version.
    async fn client(&self, version: ProtocolVersion, parameters: &[(&str, &str)]) -> TcpStream {
        let mut packet = Vec::new();
        encode::startup(&mut packet, version, parameters.iter().copied());
        let mut stream = TcpStream::connect(("127.0.0.1", self.door.port())).await.unwrap();
        stream.write_all(&packet).await.unwrap();
        stream
    }
}

/// A packet without a type byte: what follows its length.
async fn read_packet(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let length = stream.read_u32().await.unwrap();
    let mut rest = vec![0; length as usize - 4];
    stream.read_exact(&mut rest).await.unwrap();
    rest
}

async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> (u8, Vec<u8>) {
    let kind = stream.read_u8().await.unwrap();
    (kind, read_packet(stream).await)
}

/// Reads messages up to ReadyForQuery or the end.
async fn read_all(stream: &mut (impl AsyncRead + Unpin)) -> Vec<(u8, Vec<u8>)> {
    let mut messages: Vec<(u8, Vec<u8>)> = Vec::new();
    while messages.last().is_none_or(|(kind, _)| *kind != b'Z') {
        let Ok(kind) = stream.read_u8().await else { break };
        messages.push((kind, read_packet(stream).await));
    }
    messages
}

fn kinds(messages: &[(u8, Vec<u8>)]) -> String {
    messages.iter().map(|(kind, _)| char::from(*kind)).collect()
}

fn code_of(version: ProtocolVersion) -> [u8; 4] {
    version.code().to_be_bytes()
}

#[test]
fn protocol_3_2_has_long_secrets_and_the_servers_own_stays_with_us() {
    let made = Made::new("sslmode=disable");
    let theirs = [7_u8; 256];
    made.door.runtime().block_on(async {
        let mut client = made.client(ProtocolVersion::V3_2, &[("user", "u")]).await;
        let (mut server, packet) = made.accept().await;
        assert_eq!(packet, [&code_of(ProtocolVersion::V3_2)[..], b"user\0u\0\0"].concat());
        let mut greeting = OK.to_vec();
        encode::parameter_status(&mut greeting, "server_version", "18.0");
        encode::backend_key_data(&mut greeting, 4711, &theirs);
        greeting.extend(READY);
        server.write_all(&greeting).await.unwrap();

        let said = read_all(&mut client).await;
        assert_eq!(kinds(&said), "RSKZ");
        let key = &said[2].1;
        assert_eq!((&key[..4], key.len()), (&4711_i32.to_be_bytes()[..], 36));
        assert_ne!(key[4..], theirs[..32]);

        // The client's key comes back as the server's.
        let mut request = Vec::new();
        encode::cancel_request(&mut request, 4711, &key[4..]);
        let mut canceller = TcpStream::connect(("127.0.0.1", made.door.port())).await.unwrap();
        canceller.write_all(&request).await.unwrap();
        let (cancelled, packet) = made.accept().await;
        assert_eq!(packet, [&80_877_102_u32.to_be_bytes()[..], &4711_i32.to_be_bytes(), &theirs].concat());
        // The client is let go once the server has let us go.
        drop(cancelled);
        assert_eq!(canceller.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn the_version_is_what_client_proxy_and_server_have_in_common() {
    let v = |minor| ProtocolVersion { major: 3, minor };
    // Asked, newest of the server, asked of the server, agreed, and whether the client is told.
    for (asked, newest, forwarded, agreed, told) in [
        (v(0), None, v(0), v(0), false),
        (v(2), None, v(2), v(2), false),
        (v(2), Some(v(0)), v(2), v(0), true),
        (v(9), None, v(2), v(2), true),
        (v(9999), Some(v(1)), v(2), v(1), true),
        (v(0), Some(v(2)), v(0), v(0), false),
    ] {
        let made = Made::new("sslmode=disable");
        made.door.runtime().block_on(async {
            let mut client = made.client(asked, &[("user", "u")]).await;
            let (mut server, packet) = made.accept().await;
            assert_eq!(packet[..4], code_of(forwarded));
            let mut greeting = Vec::new();
            if let Some(newest) = newest {
                encode::negotiate_protocol_version(&mut greeting, newest, [].into_iter());
            }
            greeting.extend(OK);
            encode::backend_key_data(&mut greeting, 1, b"abcd");
            greeting.extend(READY);
            server.write_all(&greeting).await.unwrap();
            let said = read_all(&mut client).await;
            assert_eq!(kinds(&said), if told { "vRKZ" } else { "RKZ" }, "{asked} {newest:?}");
            if told {
                let answer = NegotiateProtocolVersion::decode(&said[0].1).unwrap();
                assert_eq!((answer.newest, answer.unknown_options.len()), (agreed, 0));
            }
            let key = &said[said.len() - 2].1;
            assert_eq!(key.len() - 4, if agreed >= v(2) { 32 } else { 4 });
        });
    }
}

#[test]
fn protocol_options_are_kept_from_the_server_and_reported_as_unknown() {
    let made = Made::new("sslmode=disable");
    made.door.runtime().block_on(async {
        let parameters = [("_pq_.one", "1"), ("user", "u"), ("_pq_.two", "2")];
        let mut client = made.client(ProtocolVersion::V3_0, &parameters).await;
        let (mut server, packet) = made.accept().await;
        assert_eq!(packet[4..], *b"user\0u\0\0");
        server.write_all(&[OK, READY].concat()).await.unwrap();
        let said = read_all(&mut client).await;
        // A server that gives no key cannot be asked to cancel.
        assert_eq!(kinds(&said), "vRZ");
        let answer = NegotiateProtocolVersion::decode(&said[0].1).unwrap();
        assert_eq!(answer.newest, ProtocolVersion::V3_0);
        assert_eq!(answer.unknown_options, [b"_pq_.one", b"_pq_.two"]);
    });
}

/// Lets the server say this in answer to the startup packet; gives what the client hears, as kinds and last message.
fn hear(server_says: &[u8]) -> (String, String) {
    let made = Made::new("sslmode=disable");
    made.door.runtime().block_on(async {
        let mut client = made.client(ProtocolVersion::V3_0, &[("user", "u")]).await;
        let (mut server, _) = made.accept().await;
        server.write_all(server_says).await.unwrap();
        server.shutdown().await.unwrap();
        let said = read_all(&mut client).await;
        let (kind, body) = said.last().unwrap();
        let message = if *kind == b'E' { ReportFields::decode(body).unwrap().message() } else { String::new() };
        (kinds(&said), message)
    })
}

fn sasl(mechanisms: &[&str]) -> Vec<u8> {
    let mut request = Vec::new();
    encode::authentication_sasl(&mut request, mechanisms.iter().map(|name| name.as_bytes()));
    request
}

#[test]
fn what_cannot_pass_a_proxy_is_named() {
    for (request, method) in [
        (b"R\0\0\0\x08\0\0\0\x07".to_vec(), "GSSAPI or SSPI"),
        (b"R\0\0\0\x08\0\0\0\x09".to_vec(), "GSSAPI or SSPI"),
        (b"R\0\0\0\x08\0\0\0\x63".to_vec(), "method 99"),
        (sasl(&["SCRAM-SHA-256-PLUS"]), "nothing but SCRAM-SHA-256-PLUS"),
    ] {
        let (kinds, message) = hear(&request);
        assert_eq!((kinds.as_str(), message), ("E", format!("pgsluice: the upstream server asks for {method}")));
    }
}

#[test]
fn a_server_that_breaks_the_protocol_ends_the_login_with_a_reason() {
    let mut report = Vec::new();
    Report::fatal("53300", "sorry").encode(&mut report);
    let notice = Report::notice("welcome").to_bytes();
    let unended = [OK, b"K\0\0\0\x0b\0\0\0\x01abc"].concat();
    let endless: Vec<u8> = OK.iter().copied().chain(notice.repeat(40_000)).collect();
    for (says, kinds, message) in [
        (&b""[..], "E", "closed the connection"),
        (b"HTTP/1.1 400 Bad Request", "E", "broke the protocol"),
        (b"R\0\0\0\x03", "E", "broke the protocol"),
        (b"R\0\0\0\x09\0\0\0\0x", "E", "broke the protocol (invalid message format)"),
        (b"R\x7f\xff\xff\xff", "E", "broke the protocol (too many bytes)"),
        (b"Z\0\0\0\x05I", "E", "broke the protocol (ReadyForQuery has no place here)"),
        (&[OK, OK].concat(), "E", "broke the protocol (Authentication has no place here)"),
        (&[OK, b"Z\0\0\0\x05X"].concat(), "E", "broke the protocol"),
        (&[OK, b"D\0\0\0\x06\0\0"].concat(), "E", "broke the protocol (DataRow has no place here)"),
        (&unended, "E", "broke the protocol (invalid length of the cancel secret"),
        (&endless, "E", "broke the protocol (too many bytes)"),
        (b"v\0\0\0\x0c\0\x04\0\0\0\0\0\0", "E", "answered with version 4.0"),
        // What it says itself arrives, with what came before.
        (&report, "E", "sorry"),
        (&[&notice[..], &report].concat(), "NE", "sorry"),
        (&[OK, &notice, &report].concat(), "RNE", "sorry"),
    ] {
        let heard = hear(says);
        assert_eq!(heard.0, kinds, "{heard:?}");
        assert!(heard.1.contains(message), "{heard:?}");
    }
}

#[test]
fn what_the_server_says_beyond_its_greeting_is_not_lost() {
    let made = Made::new("sslmode=disable");
    let notification = b"A\0\0\0\x0b\0\0\0\x01a\0b";
    made.door.runtime().block_on(async {
        let mut client = made.client(ProtocolVersion::V3_0, &[("user", "u")]).await;
        let (mut server, _) = made.accept().await;
        server.write_all(&[OK, READY, &notification[..]].concat()).await.unwrap();
        assert_eq!(kinds(&read_all(&mut client).await), "RZ");
        let mut more = vec![0; notification.len()];
        client.read_exact(&mut more).await.unwrap();
        assert_eq!(more, notification);
    });
}

/// TLS on both legs, as far as the server's request for SASL. Gives the client's and the server's side.
async fn both_tls(made: &Made, mechanisms: &[&str]) -> (impl Bytes, impl Bytes) {
    let own = certificate();
    let chain = vec![rustls_pki_types::CertificateDer::from_pem_slice(own.chain_pem.as_bytes()).unwrap()];
    let key = rustls_pki_types::PrivateKeyDer::from_pem_slice(own.key_pem.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let mut roots = rustls::RootCertStore::empty();
    let file = made.door.directory().join("tls.crt");
    roots.add(rustls_pki_types::CertificateDer::from_pem_file(file).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));

    let mut request = Vec::new();
    encode::ssl_request(&mut request);
    let mut client = TcpStream::connect(("127.0.0.1", made.door.port())).await.unwrap();
    client.write_all(&request).await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'S');
    let mut client = connector.connect("localhost".try_into().unwrap(), client).await.unwrap();
    let mut packet = Vec::new();
    encode::startup(&mut packet, ProtocolVersion::V3_0, [("user", "u")]);
    client.write_all(&packet).await.unwrap();

    let (mut server, packet) = made.accept().await;
    assert_eq!(packet, request[4..]);
    server.write_all(b"S").await.unwrap();
    let mut server = acceptor.accept(server).await.unwrap();
    read_packet(&mut server).await;
    server.write_all(&sasl(mechanisms)).await.unwrap();
    (client, server)
}

/// Answers the request for a password, and gives the client-first-message the server gets.
async fn give_password(client: &mut impl Bytes, server: &mut impl Bytes) -> String {
    assert_eq!(read_message(client).await, (b'R', vec![0, 0, 0, 3]));
    let mut answer = Vec::new();
    encode::password(&mut answer, b"secret");
    client.write_all(&answer).await.unwrap();
    let (kind, body) = read_message(server).await;
    assert_eq!(kind, b'p');
    String::from_utf8_lossy(&body).into_owned()
}

#[test]
fn over_tls_on_both_legs_we_bind_to_the_servers_certificate() {
    for (mechanisms, chosen, binding) in [
        (&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"][..], "SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r="),
        (&["SCRAM-SHA-256"][..], "SCRAM-SHA-256", "y,,n=,r="),
    ] {
        let made = Made::new("sslmode=require");
        made.door.runtime().block_on(async {
            let (mut client, mut server) = both_tls(&made, mechanisms).await;
            let said = give_password(&mut client, &mut server).await;
            let (mechanism, response) = said.split_once('\0').unwrap();
            assert_eq!(mechanism, chosen);
            // Behind its length of four bytes.
            assert!(response[4..].starts_with(binding), "{response}");
        });
    }
}

#[test]
fn a_server_that_does_not_prove_that_it_knows_the_password_is_not_believed() {
    let forged = b"R\0\0\0\x36\0\0\0\x0cv=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    for (after_proof, message) in [
        (OK, "broke the protocol (an answer other than a SCRAM signature has no place here)"),
        (&forged[..], "incorrect SCRAM server signature"),
    ] {
        let made = Made::new("sslmode=require");
        made.door.runtime().block_on(async {
            let (mut client, mut server) = both_tls(&made, &["SCRAM-SHA-256"]).await;
            let said = give_password(&mut client, &mut server).await;
            let nonce = said.split("r=").nth(1).unwrap();
            let challenge = format!("r={nonce}x,s=AAAA,i=1");
            let mut request = Vec::new();
            encode::frame(&mut request, b'R', |body| {
                body.extend(11_u32.to_be_bytes());
                body.extend(challenge.as_bytes());
            });
            server.write_all(&request).await.unwrap();
            read_message(&mut server).await;
            server.write_all(&[after_proof, OK, READY].concat()).await.unwrap();
            let (kind, body) = read_message(&mut client).await;
            assert_eq!(kind, b'E');
            let said = ReportFields::decode(&body).unwrap().message();
            assert!(said.contains(message), "{said}");
        });
    }
}

#[test]
fn without_tls_from_end_to_end_plus_is_not_offered() {
    let made = Made::new("sslmode=disable");
    made.door.runtime().block_on(async {
        let mut client = made.client(ProtocolVersion::V3_0, &[("user", "u")]).await;
        let (mut server, _) = made.accept().await;
        server.write_all(&sasl(&["SCRAM-SHA-256-PLUS", "OTHER", "SCRAM-SHA-256"])).await.unwrap();
        let mut offered = vec![0; sasl(&["OTHER", "SCRAM-SHA-256"]).len()];
        client.read_exact(&mut offered).await.unwrap();
        assert_eq!(offered, sasl(&["OTHER", "SCRAM-SHA-256"]));
        assert!(Header::backend(&offered).unwrap().is_some());
        // What the client answers arrives as it is.
        let answer = b"p\0\0\0\x10OTHER\0\0\0\0\x02hi";
        client.write_all(answer).await.unwrap();
        let mut arrived = vec![0; answer.len()];
        server.read_exact(&mut arrived).await.unwrap();
        assert_eq!(&arrived, answer);
    });
}

#[test]
fn nobody_is_logged_in_because_of_the_proxys_own_user() {
    let server = postgres();
    let own = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    if own != "postgres" {
        server.sql("postgres", &format!("create role \"{own}\" login superuser")).unwrap();
    }
    let door = Door::open(&format!("postgres://:{}/?host={}", server.port(), server.directory().display()));
    let seen = finished(psql(&door.url(&own, "postgres")).args(["-c", "select 1"]));
    assert!(seen.stderr.contains("pgsluice: the upstream server asked for no credentials"), "{seen:?}");
    // The same user of this machine may, over a socket where the kernel says who it is.
    let local = format!("postgres:///postgres?user={own}&host={}", door.directory().display());
    assert_eq!(finished(psql(&local).args(["-c", "select 1"])).stdout, "1\n");
}
