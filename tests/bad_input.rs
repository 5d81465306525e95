//! Promise: whatever is wrong at the start is one clear error that says what to do, and no
//! half-started process.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};

use pgsluice::cli::demo::throwaway::{Authentication, Options, free_port};

use crate::support::{Finished, Proxy, finished, postgres, postgres_options, psql, start_postgres};

/// `serve` must end with this exit code and one error that says these things; it must not listen.
#[track_caller]
fn refuses(proxy: &Proxy, code: i32, says: &[&str]) -> Finished {
    let said = finished(&mut proxy.serve());
    assert_eq!(said.code, Some(code), "{}", said.stderr);
    assert_eq!(said.stderr.matches("error:").count(), 1, "{}", said.stderr);
    for part in says {
        assert!(said.stderr.contains(part), "it does not say {part:?}: {}", said.stderr);
    }
    assert!(!said.stderr.contains("panicked"), "{}", said.stderr);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).is_err());
    said
}

#[test]
fn an_upstream_that_is_not_there() {
    let port = free_port().unwrap();
    let proxy = Proxy::prepare(&format!("postgresql://postgres@127.0.0.1:{port}/postgres"), &[]);
    refuses(&proxy, 1, &[&port.to_string(), "hint:"]);
    let proxy = Proxy::prepare("postgresql://postgres@no-such-host.invalid/postgres", &[]);
    refuses(&proxy, 1, &["no-such-host.invalid", "hint:"]);
}

#[test]
fn an_upstream_that_is_no_postgres() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let proxy = Proxy::prepare(&format!("postgresql://postgres@127.0.0.1:{port}/postgres"), &[]);
    refuses(&proxy, 1, &[&port.to_string()]);
}

#[test]
fn an_upstream_address_that_is_none() {
    refuses(&Proxy::prepare("mysql://localhost", &[]), 2, &["mysql"]);
    let password = "postgresql://postgres:s3cret@127.0.0.1:x/postgres";
    let said = refuses(&Proxy::prepare(password, &[]), 2, &[]);
    assert!(!said.stderr.contains("s3cret"), "{}", said.stderr);
}

#[test]
fn a_wrong_password() {
    let options = Options { authentication: Authentication::ScramSha256, ..postgres_options() };
    let postgres = start_postgres(&options);
    let wrong = postgres.url("postgres", "postgres").replace(":postgres@", ":s3cret@");
    let said = refuses(&Proxy::prepare(&wrong, &[]), 1, &["password authentication failed", "hint:"]);
    assert!(!said.stderr.contains("s3cret"), "{}", said.stderr);

    let proxy = Proxy::start(&postgres);
    let client = finished(psql(&proxy.url("postgres:s3cret", "postgres")).args(["-c", "select 1"]));
    assert_eq!(client.code, Some(2));
    assert!(client.stderr.contains("password authentication failed for user \"postgres\""), "{}", client.stderr);
    assert!(!proxy.log().contains("s3cret"));
}

#[test]
fn a_port_in_use() {
    let postgres = postgres();
    let first = Proxy::start(&postgres);
    let mut second = Proxy::prepare(&postgres.url("postgres", "postgres"), &[]);
    second.use_port(first.port());
    let said = finished(&mut second.serve());
    assert_eq!((said.code, said.stderr.matches("error:").count()), (Some(1), 1), "{}", said.stderr);
    assert!(said.stderr.contains(&first.port().to_string()) && said.stderr.contains("hint:"), "{}", said.stderr);
}

#[test]
fn a_data_directory_in_use() {
    let postgres = postgres();
    let first = Proxy::start(&postgres);
    let mut second = Proxy::prepare(&postgres.url("postgres", "postgres"), &[]);
    second.use_data_of(&first);
    refuses(&second, 1, &[&first.data().display().to_string(), "another pgsluice uses this data directory", "--data"]);
    assert_eq!(finished(psql(&first.url("postgres", "postgres")).args(["-c", "select 1"])).stdout, "1\n");
}

#[test]
fn a_broken_policy() {
    let postgres = postgres();
    let proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &["--policies", "policies"]);
    refuses(&proxy, 2, &["policies", "hint:"]);
    let directory = proxy.place.path().join("policies");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("mine.cedar"), "permit(principal, action, resource)\nwhen { context.rows < };\n").unwrap();
    refuses(&proxy, 2, &["mine.cedar:2:", "when { context.rows < };", "^"]);
    fs::write(directory.join("mine.cedar"), "permit(principal, action == Action::\"delet\", resource);\n").unwrap();
    refuses(&proxy, 2, &["mine.cedar:1:", "delet", "^"]);
}

#[test]
fn a_configuration_with_a_typing_error() {
    let postgres = postgres();
    let proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &[]);
    fs::write(proxy.place.path().join("pgsluice.toml"), "listne = \"127.0.0.1:1\"\n").unwrap();
    refuses(&proxy, 2, &["pgsluice.toml", "listne", "listen"]);
}

#[test]
fn a_certificate_that_is_not_there() {
    let postgres = postgres();
    let flags = ["--tls-cert", "no.crt", "--tls-key", "no.key"];
    let proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &flags);
    refuses(&proxy, 2, &["no.crt"]);
    fs::write(proxy.place.path().join("no.crt"), "not PEM").unwrap();
    fs::write(proxy.place.path().join("no.key"), "not PEM").unwrap();
    refuses(&proxy, 2, &["no.crt"]);
}
