//! Promise: after `kill -9` under load the proxy starts again, its log verifies, and every
//! transaction that committed is in it.

use std::collections::HashMap;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::wire::Wire;
use crate::support::{Finished, Proxy, finished, pgbench, postgres, started};

#[test]
fn every_committed_transaction_is_in_the_log_after_a_crash() {
    let postgres = postgres();
    let initialised = finished(pgbench(&postgres.url("postgres", "postgres")).args(["-i", "-q", "-s", "1"]));
    assert_eq!(initialised.code, Some(0), "{}", initialised.stderr);
    let mut proxy = Proxy::start(&postgres);

    for round in 1..=3 {
        let load = started(pgbench(&proxy.url("postgres", "postgres")).args(["-n", "-c", "4", "-j", "2", "-T", "600"]));
        let committed =
            || -> u64 { postgres.sql("postgres", "select count(*) from pgbench_history").unwrap().parse().unwrap() };
        let before = committed();
        proxy.wait_for("some load", || (committed() >= before + 100 * round).then_some(()));
        proxy.stop(Signal::SIGKILL);
        assert_ne!(Finished::of(load).code, Some(0));
        proxy.launch();
        let mut session = Wire::connect(proxy.port(), &[("user", "postgres"), ("database", "postgres")]).unwrap();
        assert_eq!(session.query("select 1").tags, ["SELECT 1"]);
    }
    // Sessions whose client is gone may still be committing what was sent.
    let busy = "select count(*) from pg_stat_activity where state <> 'idle' and pid <> pg_backend_pid() \
                and query like '%pgbench_%'";
    proxy.wait_for("quiet", || (postgres.sql("postgres", busy).unwrap() == "0").then_some(()));
    assert_eq!(proxy.run(&["audit", "verify"]).code, Some(0), "{}", proxy.log());

    let mut logged: HashMap<String, u64> = HashMap::new();
    for line in proxy.done(&["audit", "search", "--json"]).lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let values = record["sql"].as_str().and_then(|sql| sql.split_once("VALUES (")).map(|(_, values)| values);
        if let Some(values) = values.filter(|_| record["kind"] == "intent") {
            *logged.entry(values.trim_end_matches(", CURRENT_TIMESTAMP);").to_owned()).or_default() += 1;
        }
    }
    let rows = "select tid || ', ' || bid || ', ' || aid || ', ' || delta from pgbench_history";
    for row in postgres.sql("postgres", rows).unwrap().lines() {
        let left = logged.get_mut(row).unwrap_or_else(|| panic!("({row}) was committed and is not in the log"));
        *left = left.checked_sub(1).unwrap_or_else(|| panic!("({row}) was committed more often than logged"));
    }
    proxy.stop(Signal::SIGTERM);
    assert_eq!(proxy.run(&["audit", "verify"]).code, Some(0));
}
