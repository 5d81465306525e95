//! Promise: an approver is told which sessions a held statement would wait for now, and which wait for it; in a bounded
//! number, and without making up what may not be seen.

use pgsluice::cli::demo::throwaway::Throwaway;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use crate::support::{Proxy, psql, shop, started};

/// Somebody who is connected to the server itself.
struct Neighbour {
    client: Client,
    pid: i64,
}

impl Neighbour {
    fn connect(runtime: &Runtime, postgres: &Throwaway, name: &str) -> Self {
        let url = format!("{}?application_name={name}", postgres.url("postgres", "shop"));
        let (client, connection) = runtime.block_on(tokio_postgres::connect(&url, NoTls)).unwrap();
        runtime.spawn(connection);
        let answer = runtime.block_on(client.simple_query("select pg_backend_pid()")).unwrap();
        let pid = answer.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        Self { client, pid: pid.unwrap() }
    }

    fn runs(&self, runtime: &Runtime, sql: &str) {
        runtime.block_on(self.client.simple_query(sql)).unwrap();
    }
}

/// What `holds show --json` says of whoever is in the way of what is held.
fn blockers(proxy: &Proxy) -> Value {
    let id = proxy.held()["id"].as_str().unwrap().to_owned();
    let shown: Value = serde_json::from_str(&proxy.done(&["holds", "show", &id, "--json"])).unwrap();
    shown["blockers"].clone()
}

/// The numbers of the sessions that are in the way in one way.
fn pids(blockers: &Value, way: &str) -> Vec<i64> {
    let sessions = blockers["sessions"].as_array().unwrap_or_else(|| panic!("{blockers}"));
    sessions.iter().filter(|session| session["way"] == way).map(|session| session["pid"].as_i64().unwrap()).collect()
}

/// Waits until somebody waits for a lock.
fn somebody_waits(proxy: &Proxy, postgres: &Throwaway) {
    proxy.wait_for("a lock to be waited for", || {
        let waiting = "select count(*) from pg_locks where not granted and locktype = 'relation'";
        (postgres.sql("shop", waiting).unwrap() == "1").then_some(())
    });
}

#[test]
fn who_would_be_waited_for_is_named() {
    let (runtime, postgres) = (Runtime::new().unwrap(), shop());
    let proxy = Proxy::start(&postgres);
    let writer = Neighbour::connect(&runtime, &postgres, "nightly");
    writer.runs(&runtime, "begin; update orders set status = 'open' where id = 1");
    let reader = Neighbour::connect(&runtime, &postgres, "reader");
    reader.runs(&runtime, "begin; select 1 from customers");

    // A TRUNCATE of the one table is in nobody's way who reads another one.
    let held = started(psql(&proxy.url("postgres", "shop")).args(["-c", "truncate orders cascade"]));
    let found = blockers(&proxy);
    assert_eq!((pids(&found, "holds"), &found["more"]), (vec![writer.pid], &json!(0)), "{found}");
    let session = &found["sessions"][0];
    assert_eq!(
        json!([session["user"], session["application_name"], session["state"], session["lock"], session["schema"]]),
        json!(["postgres", "nightly", "idle in transaction", "RowExclusiveLock", "public"]),
        "{found}"
    );
    assert!(session["transaction_seconds"].is_u64() && session["waits"] == false, "{found}");
    let id = proxy.held()["id"].as_str().unwrap().to_owned();
    let shown = proxy.done(&["holds", "show", &id]);
    let said = format!("locks now   pid {}, user postgres, idle in transaction, its transaction is ", writer.pid);
    assert!(shown.contains(&said), "{shown}");
    assert!(shown.contains("holds RowExclusiveLock on public.orders; calls itself nightly\n"), "{shown}");

    // It is asked anew each time, and its answer is no part of what is approved.
    let before = proxy.held()["digest"].clone();
    writer.runs(&runtime, "rollback");
    let found = blockers(&proxy);
    assert_eq!((&found["sessions"], &found["unknown"]), (&json!([]), &json!([])), "{found}");
    assert!(proxy.done(&["holds", "show", &id]).contains("nobody is in its way"));
    assert_eq!(proxy.held()["digest"], before);
    proxy.deny_next("seen");
    held.wait_with_output().unwrap();
    let shown: Value = serde_json::from_str(&proxy.done(&["holds", "show", &id, "--json"])).unwrap();
    assert_eq!(shown["blockers"], Value::Null, "nothing waits any more");
}

#[test]
fn a_queue_and_writers_of_the_same_rows_are_told_apart() {
    let (runtime, postgres) = (Runtime::new().unwrap(), shop());
    let proxy = Proxy::start(&postgres);
    let writer = Neighbour::connect(&runtime, &postgres, "writer");
    writer.runs(&runtime, "begin; update orders set status = 'open' where id = 1");
    let queued = Neighbour::connect(&runtime, &postgres, "queued");
    let client = queued.client;
    let locks = "begin; lock table orders in access exclusive mode; rollback";
    let waiting = runtime.spawn(async move { client.simple_query(locks).await.map(drop) });
    somebody_waits(&proxy, &postgres);
    let held = started(psql(&proxy.url("shop", "shop")).args(["-c", "delete from orders where id = 1"]));
    let found = blockers(&proxy);
    assert_eq!(pids(&found, "may_hold_rows"), [writer.pid], "{found}");
    assert_eq!(pids(&found, "queued"), [queued.pid], "{found}");
    assert!(pids(&found, "holds").is_empty(), "{found}");
    writer.runs(&runtime, "rollback");
    runtime.block_on(waiting).unwrap().unwrap();
    proxy.deny_next("seen");
    held.wait_with_output().unwrap();
}

#[test]
fn those_who_wait_for_its_own_transaction_are_named_and_it_is_not() {
    let (runtime, postgres) = (Runtime::new().unwrap(), shop());
    let proxy = Proxy::start(&postgres);
    let insert = "insert into customers (name, email, city, joined_on) values ('a', 'a@b.c', 'd', '2020-01-01')";
    let held = started(psql(&proxy.url("postgres", "shop")).args([
        "-c",
        "begin",
        "-c",
        insert,
        "-c",
        "truncate customers cascade",
    ]));
    assert_eq!(proxy.held()["in_transaction"], true);
    let behind = Neighbour::connect(&runtime, &postgres, "behind");
    let client = behind.client;
    let locks = "begin; lock table customers in share mode";
    let waiting = runtime.spawn(async move { client.simple_query(locks).await.map(drop) });
    somebody_waits(&proxy, &postgres);
    let found = blockers(&proxy);
    assert_eq!(pids(&found, "behind"), [behind.pid], "{found}");
    // Its own lock is in nobody's way who is it.
    assert!(pids(&found, "holds").is_empty(), "{found}");
    proxy.deny_next("seen");
    held.wait_with_output().unwrap();
    runtime.block_on(waiting).unwrap().unwrap();
}

#[test]
fn no_more_than_ten_are_named() {
    let (runtime, postgres) = (Runtime::new().unwrap(), shop());
    let proxy = Proxy::start(&postgres);
    let readers: Vec<Neighbour> = (0..12).map(|_| Neighbour::connect(&runtime, &postgres, "reader")).collect();
    for reader in &readers {
        reader.runs(&runtime, "begin; select 1 from orders limit 1");
    }
    let held = started(psql(&proxy.url("postgres", "shop")).args(["-c", "truncate orders cascade"]));
    let found = blockers(&proxy);
    assert_eq!((pids(&found, "holds").len(), &found["more"]), (10, &json!(2)), "{found}");
    // Who has waited longest comes first.
    assert_eq!(pids(&found, "holds")[0], readers[0].pid, "{found}");
    proxy.deny_next("seen");
    held.wait_with_output().unwrap();
}

#[test]
fn what_may_not_be_seen_is_not_made_up() {
    let (runtime, postgres) = (Runtime::new().unwrap(), shop());
    postgres.sql("shop", "create role watcher login").unwrap();
    let mut proxy = Proxy::prepare(&postgres.url("watcher", "postgres"), &[]);
    proxy.launch();
    let writer = Neighbour::connect(&runtime, &postgres, "nightly");
    writer.runs(&runtime, "begin; update orders set status = 'open' where id = 1");
    let held = started(psql(&proxy.url("postgres", "shop")).args(["-c", "truncate orders cascade"]));
    let found = blockers(&proxy);
    assert_eq!(pids(&found, "holds"), [writer.pid], "{found}");
    let session = &found["sessions"][0];
    assert_eq!(json!([session["state"], session["transaction_seconds"]]), json!([null, null]), "{found}");
    let id = proxy.held()["id"].as_str().unwrap().to_owned();
    assert!(proxy.done(&["holds", "show", &id]).contains("what it does may not be seen, holds RowExclusiveLock"));
    proxy.deny_next("seen");
    held.wait_with_output().unwrap();
}
