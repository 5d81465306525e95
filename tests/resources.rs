//! Promise: sessions that idle, and connections that come and go, leave memory and file
//! descriptors where they were.

#![cfg(target_os = "linux")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::support::wire::Wire;
use crate::support::{Proxy, postgres_options, start_postgres};

/// What a debug build may keep after the load is gone: allocators do not give everything back.
const LEFT_KILOBYTES: u64 = 16 * 1024;

fn descriptors(proxy: &Proxy) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", proxy.pid())).unwrap().count()
}

fn resident_kilobytes(proxy: &Proxy) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", proxy.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn session(proxy: &Proxy) -> Wire {
    Wire::connect(proxy.port(), &[("user", "postgres"), ("database", "postgres")]).unwrap()
}

/// Waits until the proxy has no more descriptors open than before.
#[track_caller]
fn settles(proxy: &Proxy, descriptors_before: usize) {
    proxy.wait_for("the descriptors to close", || (descriptors(proxy) <= descriptors_before).then_some(()));
}

#[test]
fn a_thousand_idle_sessions_cost_little_and_leave_nothing() {
    const SESSIONS: u64 = 1000;
    // Measured at 100 sessions and at 1,000, so that what is shared does not count. The goal of a
    // release build is 24; a debug build's futures are larger.
    const PER_SESSION_KILOBYTES: u64 = 96;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most.min(20_000), most).unwrap();
    let mut options = postgres_options();
    options.settings.push(("max_connections".to_owned(), "1100".to_owned()));
    let postgres = start_postgres(&options);
    let proxy = Proxy::start(&postgres);
    drop(session(&proxy));
    let descriptors_before = descriptors(&proxy);

    let mut sessions: Vec<Wire> = (0..100).map(|_| session(&proxy)).collect();
    let at_100 = resident_kilobytes(&proxy);
    sessions.extend((100..SESSIONS).map(|_| session(&proxy)));
    let at_1000 = resident_kilobytes(&proxy);
    let each = at_1000.saturating_sub(at_100) / (SESSIONS - 100);
    assert!(each <= PER_SESSION_KILOBYTES, "{each} kB a session: {at_100} kB, then {at_1000} kB");
    for session in sessions.iter_mut().step_by(100) {
        assert_eq!(session.query("select 1").tags, ["SELECT 1"]);
    }
    drop(sessions);
    settles(&proxy, descriptors_before);

    // A second thousand needs no more memory than the first did.
    let again: Vec<Wire> = (0..200).map(|_| session(&proxy)).collect();
    assert!(resident_kilobytes(&proxy) <= at_1000 + LEFT_KILOBYTES);
    drop(again);
    settles(&proxy, descriptors_before);
}

#[test]
fn ten_thousand_connections_come_and_go() {
    const CONNECTIONS: usize = 10_000;
    let postgres = start_postgres(&postgres_options());
    let proxy = Proxy::start(&postgres);
    let come_and_go = |number: usize| match number % 20 {
        0 => {
            let mut session = session(&proxy);
            assert_eq!(session.query("select 1").tags, ["SELECT 1"]);
            session.send(b'X', &[]);
        }
        1 => drop(session(&proxy)),
        2 => {
            // Asks for TLS and leaves.
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
            stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
            stream.read_exact(&mut [0]).unwrap();
        }
        3 => {
            // Leaves in the middle of its startup message.
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
            stream.write_all(&[0, 0, 1, 0, 0, 3, 0, 0, b'u']).unwrap();
        }
        _ => drop(TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap()),
    };
    (0..CONNECTIONS / 10).for_each(come_and_go);
    // Not idle yet, so the count of descriptors is taken at the end of a quiet moment.
    drop(session(&proxy));
    std::thread::sleep(std::time::Duration::from_secs(1));
    let (descriptors_before, before) = (descriptors(&proxy), resident_kilobytes(&proxy));
    (CONNECTIONS / 10..CONNECTIONS).for_each(come_and_go);
    settles(&proxy, descriptors_before);
    let after = resident_kilobytes(&proxy);
    assert!(after <= before + LEFT_KILOBYTES, "{before} kB, then {after} kB");
    assert_eq!(session(&proxy).query("select 1").tags, ["SELECT 1"]);
    let left = "select count(*) from pg_stat_activity where backend_type = 'client backend'";
    proxy.wait_for("the sessions to end", || {
        (postgres.sql("postgres", left).unwrap().parse::<usize>().unwrap() <= 5).then_some(())
    });
}
