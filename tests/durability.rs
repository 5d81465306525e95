//! Promise: what a message may commit is on disk in the log before that message reaches the server.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use pgsluice::audit::{Continue, Reader};
use pgsluice::cli::demo::throwaway::Throwaway;
use serde_json::Value;

use crate::support::wire::{Wire, bind, execute, parse, query, sync};
use crate::support::{Proxy, postgres};

const IDLE: &[u8] = b"Z\0\0\0\x05I";
const OPEN: &[u8] = b"Z\0\0\0\x05T";

/// Stands between the proxy and its server, and looks into the log for each packet that the proxy sends.
struct Spy {
    port: u16,
    watched: Arc<Watched>,
}

#[derive(Default)]
struct Watched {
    /// Where the log is, once the proxy has one.
    log: Mutex<Option<PathBuf>>,
    /// What was sent, and which texts were in the log on disk by then.
    packets: Mutex<Vec<(Vec<u8>, Vec<String>)>>,
    /// Whether the server is to look like one whose transaction is open still.
    stays_open: AtomicBool,
}

impl Spy {
    fn before(postgres: &Throwaway) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let watched = Arc::new(Watched::default());
        let (server, shared) = (postgres.port(), Arc::clone(&watched));
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).unwrap();
                let ways = [(&client, &server), (&server, &client)];
                for ((from, to), upward) in ways.into_iter().zip([true, false]) {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let watched = Arc::clone(&shared);
                    thread::spawn(move || pump(from, to, |packet| watched.see(packet, upward)));
                }
            }
        });
        Self { port, watched }
    }

    /// What was in the log when the packet with that text came.
    fn logged_before(&self, text: &str) -> Vec<String> {
        let packets = self.watched.packets.lock().unwrap();
        let holds = |packet: &[u8]| packet.windows(text.len()).any(|window| window == text.as_bytes());
        let found = packets.iter().find(|(packet, _)| holds(packet));
        found.unwrap_or_else(|| panic!("{text} never came")).1.clone()
    }
}

impl Watched {
    fn see(&self, packet: &mut [u8], upward: bool) {
        if upward {
            let logged = self.log.lock().unwrap().as_deref().map(logged).unwrap_or_default();
            self.packets.lock().unwrap().push((packet.to_vec(), logged));
        } else if self.stays_open.load(Ordering::SeqCst) && packet.ends_with(IDLE) {
            let status = packet.len() - OPEN.len();
            packet[status..].copy_from_slice(OPEN);
        }
    }
}

fn pump(mut from: TcpStream, mut to: TcpStream, mut see: impl FnMut(&mut [u8])) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        see(&mut buffer[..count]);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// The texts in the log on disk.
fn logged(data: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    let snapshot = Reader::open(data).unwrap().snapshot().unwrap();
    snapshot
        .for_each(0, u64::MAX, |entry| {
            let entry: Value = serde_json::from_slice(entry.json).unwrap();
            texts.extend(entry["sql"].as_str().map(str::to_owned));
            Continue::Yes
        })
        .unwrap();
    texts
}

fn spied() -> (Throwaway, Spy, Proxy) {
    let postgres = postgres();
    postgres.sql("postgres", "create table notes (note text)").unwrap();
    let spy = Spy::before(&postgres);
    let mut proxy = Proxy::prepare(&format!("postgresql://postgres@127.0.0.1:{}/postgres", spy.port), &[]);
    proxy.launch();
    *spy.watched.log.lock().unwrap() = Some(proxy.data().to_owned());
    (postgres, spy, proxy)
}

fn insert(note: &str) -> String {
    format!("insert into notes values ('{note}')")
}

#[test]
fn what_commits_is_in_the_log_before_the_server_has_it() {
    let (_postgres, spy, proxy) = spied();
    let mut wire = Wire::connect(proxy.port(), &[("user", "postgres"), ("database", "postgres")]).unwrap();
    let is_before = |note: &str, message: &str| {
        assert!(spy.logged_before(message).contains(&insert(note)), "{note} came to be logged behind {message}");
    };
    // By itself, in either protocol.
    wire.query(&insert("simple"));
    is_before("simple", "'simple'");
    wire.raw(&[parse(&insert("extended")), bind(&[]), execute(), sync()].concat());
    wire.reply();
    // The Parse may have gone before: nothing commits by that.
    let last = spy.watched.packets.lock().unwrap().last().unwrap().1.clone();
    assert!(last.contains(&insert("extended")), "it came to be logged behind its Sync");
    // In a transaction: before its end.
    wire.query("begin");
    wire.raw(&[query(&insert("within")), query("commit /* it */")].concat());
    assert_eq!((wire.reply().status, wire.reply().status), (b'T', b'I'));
    is_before("within", "commit /* it */");
    // And that is: what has no COMMIT in the log was not committed.
    assert!(spy.logged_before("commit /* it */").contains(&"commit /* it */".to_owned()));
    // In one message.
    wire.query(&format!("begin; {}; commit", insert("together")));
    assert!(spy.logged_before("'together'").iter().any(|text| text.contains("'together'")));
    // In one message with what commits it, in a transaction that was open before.
    wire.query("begin");
    wire.query(&format!("{}; commit", insert("at its end")));
    assert!(spy.logged_before("'at its end'").iter().any(|text| text.contains("'at its end'")));
}

#[test]
fn what_a_sync_commits_is_in_the_log_before_it_where_a_query_does_not_end_the_batch() {
    let (_postgres, spy, proxy) = spied();
    let mut wire = Wire::connect(proxy.port(), &[("user", "postgres"), ("database", "postgres")]).unwrap();
    // As Postgres 18 answers.
    spy.watched.stays_open.store(true, Ordering::SeqCst);
    wire.raw(&[parse("select 1"), bind(&[]), execute(), query("select 2")].concat());
    assert_eq!(wire.reply().status, b'T');
    wire.query(&insert("open still"));
    assert!(spy.logged_before("'open still'").contains(&insert("open still")));
    // The Sync ends it, and what comes with the Sync is not in it.
    spy.watched.stays_open.store(false, Ordering::SeqCst);
    wire.raw(&[sync(), query(&insert("behind it"))].concat());
    assert_eq!((wire.reply().status, wire.reply().tags), (b'I', vec!["INSERT 0 1".to_owned()]));
    assert!(spy.logged_before("'behind it'").contains(&insert("behind it")));
}
