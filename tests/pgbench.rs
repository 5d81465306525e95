//! Promise: pgbench's reads and bounded writes never wait, its definitions do, and the log has
//! every statement that it sent.

use std::collections::HashMap;

use serde_json::Value;

use crate::support::{Finished, Proxy, finished, pgbench, postgres, started};

/// Initialises pgbench's tables through the proxy, approving what waits, and gives what waited.
fn initialise(proxy: &Proxy) -> Vec<String> {
    let mut client = started(pgbench(&proxy.url("postgres", "postgres")).args(["-i", "-q", "-s", "1"]));
    let mut waited = Vec::new();
    while client.try_wait().unwrap().is_none() {
        let ready = proxy.holds().into_iter().find(|hold| hold["radius_pending"] == false);
        if let Some(hold) = ready {
            let id = hold["id"].as_str().unwrap();
            // It may have been decided since the list was made: then there is nothing to approve.
            if proxy.run(&["holds", "approve", id, "--reason", "a benchmark"]).code == Some(0) {
                waited.push(hold["sql"].as_str().unwrap().to_lowercase());
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let client = Finished::of(client);
    assert_eq!(client.code, Some(0), "{}{}", client.stderr, proxy.log());
    waited
}

/// How many intents the log has for each statement, numbers left out.
fn recorded(proxy: &Proxy) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for line in proxy.done(&["audit", "search", "--json"]).lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if record["kind"] == "intent" {
            let sql = record["sql"].as_str().unwrap().trim_end_matches(';').to_lowercase();
            let words: Vec<&str> = sql.split_whitespace().take(3).collect();
            *counts.entry(words.join(" ")).or_default() += 1;
        }
    }
    counts
}

#[test]
fn definitions_wait_and_the_workload_does_not_and_everything_is_in_the_log() {
    const CLIENTS: usize = 4;
    const TRANSACTIONS_EACH: usize = 60;
    const TRANSACTIONS: usize = CLIENTS * TRANSACTIONS_EACH;
    let postgres = postgres();
    let proxy = Proxy::start(&postgres);
    let waited = initialise(&proxy).join("\n");
    for definition in ["drop table", "create table", "truncate", "alter table"] {
        assert!(waited.contains(definition), "{definition} did not wait: {waited}");
    }
    assert!(!waited.contains("copy "), "{waited}");
    let held_before = proxy.done(&["holds", "list", "--all", "--json"]).lines().count();

    let clients = CLIENTS.to_string();
    let each = TRANSACTIONS_EACH.to_string();
    let load = ["-n", "-c", &clients, "-j", "2", "-t", &each];
    let modes = ["simple", "extended", "prepared"];
    for mode in modes {
        for workload in ["-S", "-N"] {
            let done = finished(pgbench(&proxy.url("postgres", "postgres")).args(load).args(["-M", mode, workload]));
            assert_eq!(done.code, Some(0), "{}{}", done.stderr, proxy.log());
        }
    }
    let done = finished(pgbench(&proxy.url("postgres", "postgres")).args(load));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(proxy.done(&["holds", "list", "--all", "--json"]).lines().count(), held_before);

    assert_eq!(proxy.run(&["audit", "verify"]).code, Some(0));
    let recorded = recorded(&proxy);
    let count = |beginning: &str| -> usize {
        recorded.iter().filter(|(sql, _)| sql.starts_with(beginning)).map(|(_, count)| count).sum()
    };
    // -N skips the tellers and branches; the last run does not.
    assert_eq!(count("select abalance from"), 7 * TRANSACTIONS);
    assert_eq!(count("update pgbench_accounts"), 4 * TRANSACTIONS);
    assert_eq!(count("update pgbench_tellers"), TRANSACTIONS);
    assert_eq!(count("insert into pgbench_history"), 4 * TRANSACTIONS);
    // pgbench -i has a transaction of its own around truncate and copy.
    assert_eq!(count("begin"), 4 * TRANSACTIONS + 1);
    assert_eq!(count("end"), 4 * TRANSACTIONS);
}
