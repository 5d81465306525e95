//! Promise: monitoring learns how the proxy is, and nothing about what is asked through it.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use nix::sys::signal::Signal;
use pgsluice::cli::demo::throwaway::free_port;

use crate::support::wire::Wire;
use crate::support::{Proxy, postgres_options, start_postgres};

/// The status code and the body.
fn asked(port: u16, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn metric(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

#[test]
fn metrics_count_statements_and_name_none() {
    let postgres = start_postgres(&postgres_options());
    let port = free_port().unwrap();
    let mut proxy = Proxy::start_with(&postgres, &["--admin-listen", &format!("127.0.0.1:{port}")]);
    assert_eq!(asked(port, "/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(asked(port, "/readyz"), (200, "ok\n".to_owned()));
    assert_eq!(asked(port, "/v1/holds").0, 404, "nothing is decided here");
    assert_eq!(metric(&asked(port, "/metrics").1, "pgsluice_statement_overhead_seconds_count"), 0.0);

    let mut session = Wire::connect(proxy.port(), &[("user", "postgres"), ("database", "postgres")]).unwrap();
    for number in 0..30 {
        session.query(&format!("select {number} as secret_name"));
    }
    // Counted when the reply has been written, which the client may see first.
    let text = proxy.wait_for("all to be counted", || {
        let text = asked(port, "/metrics").1;
        (metric(&text, "pgsluice_statements_total{verdict=\"pass\"}") == 30.0).then_some(text)
    });
    assert_eq!(metric(&text, "pgsluice_statement_overhead_seconds_count"), 30.0);
    assert_eq!(metric(&text, "pgsluice_statement_upstream_seconds_bucket{le=\"+Inf\"}"), 30.0);
    assert_eq!(metric(&text, "pgsluice_sessions"), 1.0);
    assert!(metric(&text, "pgsluice_statement_upstream_seconds_sum") > 0.0);
    for said in ["secret_name", "postgres", "select"] {
        assert!(!text.contains(said), "{said} in {text}");
    }

    // A session shows how much it did and what it did last.
    let client = pgsluice::control::Client::new(proxy.data());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sessions = runtime.block_on(client.sessions()).unwrap();
    let [view] = sessions.as_slice() else { panic!("one session: {sessions:?}") };
    assert_eq!(view["statements"], 30);
    assert_eq!(view["last"]["sql"], "select 29 as secret_name");
    assert_eq!(view["last"]["verdict"], "pass");
    assert!(view["last"]["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{view}");

    // Without its upstream the proxy lives, but is not ready.
    drop(session);
    drop(postgres);
    assert_eq!(asked(port, "/healthz").0, 200);
    let (status, why) = asked(port, "/readyz");
    assert_eq!(status, 503);
    assert!(why.contains("postgres") || why.contains("upstream"), "{why}");
    proxy.stop(Signal::SIGTERM);
}

#[test]
fn nothing_listens_unless_asked_and_a_bad_address_is_told() {
    let postgres = start_postgres(&postgres_options());
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &["--admin-listen", &address]);
    let ended = crate::support::finished(&mut proxy.serve());
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("--admin-listen"), "{}", ended.stderr);
}
