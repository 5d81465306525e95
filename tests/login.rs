//! Promise: clients log in through the proxy with their own Postgres credentials, by every method and whichever
//! leg is TLS, and are told what the server would have told them.

use std::process::Command;

use pgsluice::cli::demo::throwaway::{Options, Throwaway};
use pgsluice::proxy::tls::{SideTls, SslMode, UpstreamTls, UpstreamTlsOptions};
use tokio_postgres::error::SqlState;

use crate::support::{Door, Finished, certificate, finished, postgres_options, psql, start_postgres};

/// A server with TLS and a role for each method, whose password is `secret`.
fn server() -> Throwaway {
    let methods = [("trusted", "trust"), ("clear", "password"), ("hashed", "md5"), ("scrammed", "scram-sha-256")];
    let mut hba: Vec<String> =
        methods.iter().map(|(role, method)| format!("host all {role} 127.0.0.1/32 {method}")).collect();
    hba.push("hostnossl all plain 127.0.0.1/32 trust".to_owned());
    hba.push("hostssl all crypted 127.0.0.1/32 trust".to_owned());
    hba.push("host all plain,crypted 127.0.0.1/32 reject".to_owned());
    let server = start_postgres(&Options { hba, certificate: Some(certificate()), ..postgres_options() });
    for role in ["trusted", "clear", "scrammed", "plain", "crypted"] {
        server.sql("postgres", &format!("create role {role} login password 'secret'")).unwrap();
    }
    server.sql("postgres", "set password_encryption = md5; create role hashed login password 'secret'").unwrap();
    server
}

fn upstream(server: &Throwaway, parameters: &str) -> String {
    format!("postgres://127.0.0.1:{}/?{parameters}", server.port())
}

/// TLS for `tokio-postgres`, whoever answers.
fn require_tls() -> SideTls {
    let options = UpstreamTlsOptions { mode: Some(SslMode::Require), ..UpstreamTlsOptions::default() };
    SideTls::new(UpstreamTls::new(&options).unwrap())
}

fn ask(url: &str, sql: &str) -> Finished {
    finished(psql(url).args(["-c", sql]))
}

/// What the server said, without where it was reached.
fn complaint(finished: &Finished) -> String {
    let start = finished.stderr.find("FATAL").unwrap_or_else(|| panic!("{finished:?}"));
    finished.stderr[start..].to_owned()
}

#[test]
fn every_method_works_on_every_combination_of_legs() {
    let server = server();
    for upstream_mode in ["disable", "require"] {
        let door = Door::open(&upstream(&server, &format!("sslmode={upstream_mode}")));
        for client_mode in ["disable", "require"] {
            for role in ["trusted", "clear", "hashed", "scrammed"] {
                let url = door.url(&format!("{role}:secret"), &format!("postgres?sslmode={client_mode}"));
                let seen = ask(&url, "select current_user, ssl from pg_stat_ssl where pid = pg_backend_pid()");
                let expected = format!("{role}|{}\n", if upstream_mode == "require" { 't' } else { 'f' });
                assert_eq!(seen.stdout, expected, "{role}, client {client_mode}, upstream {upstream_mode}: {seen:?}");
            }
        }
    }
}

#[test]
fn refusals_are_those_of_the_server() {
    let server = server();
    for upstream_mode in ["disable", "require"] {
        let door = Door::open(&upstream(&server, &format!("sslmode={upstream_mode}")));
        for client_mode in ["disable", "require"] {
            for case in ["clear:wrong", "hashed:wrong", "scrammed:wrong", "scrammed:", "trusted:", "nobody:x"] {
                let database = if case == "trusted:" { "absent" } else { "postgres" };
                let direct =
                    format!("postgres://{case}@127.0.0.1:{}/{database}?sslmode={upstream_mode}", server.port());
                let through = door.url(case, &format!("{database}?sslmode={client_mode}"));
                let (direct, through) = (ask(&direct, "select 1"), ask(&through, "select 1"));
                assert_eq!(through.code, Some(2));
                if case == "scrammed:" {
                    // psql finds out by itself that it needs a password.
                    assert!(through.stderr.contains("no password supplied"), "{through:?}");
                } else {
                    assert_eq!(complaint(&through), complaint(&direct), "{case}");
                }
            }
        }
    }
}

#[test]
fn drivers_log_in_over_tls_on_both_legs() {
    let server = server();
    let door = Door::open(&upstream(&server, "sslmode=require"));
    let tls = require_tls();
    let url = door.url("scrammed:secret", "postgres?sslmode=require&channel_binding=disable");
    let row = door.runtime().block_on(async {
        let (client, connection) = tokio_postgres::connect(&url, tls).await.unwrap();
        let connection = tokio::spawn(connection);
        let row = client.query_one("select $1::text || current_user", &[&"I am "]).await.unwrap();
        drop(client);
        connection.await.unwrap().unwrap();
        row.get::<_, String>(0)
    });
    assert_eq!(row, "I am scrammed");
}

#[test]
fn the_side_connection_binds_to_the_servers_certificate() {
    let server = server();
    let tls = require_tls();
    let url = format!(
        "postgres://scrammed:secret@127.0.0.1:{}/postgres?sslmode=require&channel_binding=require",
        server.port()
    );
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async { tokio_postgres::connect(&url, tls).await.map(|_| ()) }).unwrap();
}

#[test]
fn prefer_tries_once_more_without_tls_as_libpq_does() {
    let server = server();
    for (mode, role, ssl) in [("prefer", "plain", "f\n"), ("prefer", "crypted", "t\n"), ("prefer", "scrammed", "t\n")] {
        let door = Door::open(&upstream(&server, &format!("sslmode={mode}")));
        let url = door.url(&format!("{role}:secret"), "postgres");
        let seen = ask(&url, "select ssl from pg_stat_ssl where pid = pg_backend_pid()");
        assert_eq!(seen.stdout, ssl, "{mode} {role}: {seen:?}");
    }
    for (mode, role) in [("disable", "crypted"), ("require", "plain")] {
        let door = Door::open(&upstream(&server, &format!("sslmode={mode}")));
        let seen = ask(&door.url(role, "postgres"), "select 1");
        assert!(complaint(&seen).contains("pg_hba.conf"), "{seen:?}");
    }
}

#[test]
fn the_servers_certificate_is_verified_as_far_as_asked() {
    let own = certificate();
    let server = start_postgres(&Options { certificate: Some(own.clone()), ..postgres_options() });
    let place = tempfile::tempdir().unwrap();
    let (root, stranger) = (place.path().join("root.crt"), place.path().join("stranger.crt"));
    std::fs::write(&root, own.chain_pem).unwrap();
    std::fs::write(&stranger, certificate().chain_pem).unwrap();
    for (mode, file, host, works) in [
        ("verify-full", &root, "127.0.0.1", true),
        ("verify-full", &root, "localhost", true),
        ("verify-ca", &root, "127.0.0.1", true),
        ("require", &root, "127.0.0.1", true),
        ("verify-full", &stranger, "127.0.0.1", false),
        ("verify-ca", &stranger, "127.0.0.1", false),
        ("require", &stranger, "127.0.0.1", false),
    ] {
        let parameters = format!("sslmode={mode}&sslrootcert={}", file.display());
        let door = Door::open(&format!("postgres://{host}:{}/?{parameters}", server.port()));
        let seen = ask(&door.url("postgres", "postgres"), "select 1");
        if works {
            assert_eq!(seen.stdout, "1\n", "{mode} {host}: {seen:?}");
        } else {
            assert!(complaint(&seen).contains("pgsluice: cannot reach the upstream server"), "{mode}: {seen:?}");
            assert!(seen.stderr.contains("certificate"), "{mode}: {seen:?}");
        }
    }
}

#[test]
fn a_server_without_tls_is_taken_only_where_the_mode_allows_it() {
    let server = start_postgres(&postgres_options());
    for (mode, works) in [("prefer", true), ("require", false)] {
        let door = Door::open(&upstream(&server, &format!("sslmode={mode}")));
        let seen = ask(&door.url("postgres", "postgres"), "select 1");
        assert_eq!(seen.code == Some(0), works, "{mode}: {seen:?}");
        assert_eq!(seen.stderr.contains("the server does not support TLS, but sslmode=require demands it"), !works);
    }
}

#[test]
fn an_unreachable_server_is_named_as_the_reason() {
    let port = pgsluice::cli::demo::throwaway::free_port().unwrap();
    let door = Door::open(&format!("postgres://127.0.0.1:{port}"));
    let seen = ask(&door.url("postgres", "postgres"), "select 1");
    assert!(complaint(&seen).contains("cannot reach the upstream server"), "{seen:?}");
    assert!(seen.stderr.contains("Connection refused") && seen.stderr.contains("HINT"), "{seen:?}");
}

#[test]
fn unix_sockets_work_on_both_legs() {
    let server = server();
    let door = Door::open(&format!("postgres://:{}/?host={}", server.port(), server.directory().display()));
    let url = format!("postgres:///postgres?user=trusted&host={}", door.directory().display());
    assert_eq!(ask(&url, "select inet_server_addr() is null").stdout, "t\n");
}

#[test]
fn settings_given_at_startup_arrive() {
    let server = server();
    let door = Door::open(&upstream(&server, "sslmode=disable"));
    let show =
        "select current_setting('search_path'), current_setting('work_mem'), current_setting('application_name')";
    let url = door.url("trusted", "postgres?application_name=me");
    let with_options = |options: &str| {
        let mut command: Command = psql(&url);
        finished(command.env("PGOPTIONS", options).args(["-c", show]))
    };
    assert_eq!(with_options(r"-c search_path=a,\ b --work-mem=2MB").stdout, "a, b|2MB|me\n");
    assert_eq!(with_options("-c pgsluice.reason=x -cwork_mem=3MB").stdout, "\"$user\", public|3MB|me\n");
    let refused = with_options("-c work_mem=2MB -O");
    let words = "FATAL:  pgsluice: server switches are refused\nDETAIL:  The options hold -O.\nHINT:  Write";
    assert!(complaint(&refused).starts_with(words), "{refused:?}");
}

#[test]
fn a_cancel_request_reaches_the_statement_it_is_for_and_no_other() {
    let server = server();
    for (upstream_mode, client_mode) in [("disable", "disable"), ("require", "require")] {
        let door = Door::open(&upstream(&server, &format!("sslmode={upstream_mode}")));
        let tls = require_tls();
        let url = door.url("scrammed:secret", &format!("postgres?sslmode={client_mode}&channel_binding=disable"));
        door.runtime().block_on(async {
            let connect = async || {
                let (client, connection) = tokio_postgres::connect(&url, tls.clone()).await.unwrap();
                tokio::spawn(connection);
                client
            };
            let (client, other, watcher) = (connect().await, connect().await, connect().await);
            let asleep = async |count| {
                let active = "select from pg_stat_activity where query = 'select pg_sleep(600)' and state = 'active'";
                while watcher.query(active, &[]).await.unwrap().len() != count {}
            };
            let own = client.cancel_token();
            let sleeping = tokio::spawn(async move { client.batch_execute("select pg_sleep(600)").await });
            asleep(1).await;
            // It sleeps as well, so that its request is seen to have had its effect: a request is sent without
            // waiting for that.
            let (cancelled, ()) = tokio::join!(other.batch_execute("select pg_sleep(600)"), async {
                asleep(2).await;
                other.cancel_token().cancel_query(tls.clone()).await.unwrap();
            });
            assert_eq!(cancelled.unwrap_err().code(), Some(&SqlState::QUERY_CANCELED));
            asleep(1).await;
            assert!(!sleeping.is_finished(), "the key of another session cancelled it");
            own.cancel_query(tls.clone()).await.unwrap();
            let error = sleeping.await.unwrap().unwrap_err();
            assert_eq!(error.code(), Some(&SqlState::QUERY_CANCELED), "{error}");
        });
    }
}
