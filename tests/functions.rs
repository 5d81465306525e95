//! Promise: user code waits until a person has approved it for its body; then it passes, until the body changes,
//! whoever changes it.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;
use pgsluice::cli::demo::throwaway::Throwaway;
use serde_json::{Value, json};

use crate::support::wire::{Wire, bind, execute, message, parse, query, sync, text};
use crate::support::{Proxy, shop};

const TIDY: &str = "create or replace function public.tidy(n integer) returns bigint language sql set search_path = public as \
                    'delete from orders where id = n; select count(*) from orders where id = n'";

struct Counter {
    // Dropped first: the proxy ends before its upstream.
    proxy: Proxy,
    postgres: Throwaway,
}

impl Counter {
    fn open() -> Self {
        Self::open_with("")
    }

    fn open_with(config: &str) -> Self {
        let postgres = shop();
        let grant = "grant create on schema public to shop; alter function tidy owner to shop";
        postgres.sql("shop", &format!("{TIDY}; {grant}")).unwrap();
        let mut proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &[]);
        std::fs::write(proxy.place.path().join("pgsluice.toml"), config).unwrap();
        proxy.launch();
        Self { proxy, postgres }
    }

    fn session(&self) -> Wire {
        Wire::connect(self.proxy.port(), &[("user", "shop"), ("database", "shop")]).unwrap()
    }

    /// What `functions list` says of the function of that name.
    fn listed(&self) -> Value {
        let lines = self.proxy.done(&["functions", "list", "--database", "shop", "--json"]);
        let mut functions = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        functions.find(|function| function["name"] == "tidy").unwrap()
    }

    fn approve(&self) {
        let hash = self.listed()["hash"].as_str().unwrap().to_owned();
        let database = ["--database", "shop", "--hash", &hash, "--reason", "read it"];
        self.proxy.done(&[&["functions", "approve", "public.tidy"], &database[..]].concat());
    }

    #[track_caller]
    fn waits(&self, session: &mut Wire, sql: &str) {
        session.raw(&query(sql));
        let hold = self.proxy.deny_next("a test");
        assert!(hold["actions"].to_string().contains("execute"), "{hold}");
        assert!(session.reply().errors[0].message.contains("was denied"));
    }

    /// The function gets another body, which somebody approves as a definition.
    fn makes_anew(&self, session: &mut Wire) {
        session.raw(&query(&TIDY.replace("id = n", "id > n")));
        self.proxy.approve_next(&[]);
        assert!(session.reply().errors.is_empty());
    }

    fn exists(&self, order: u32) -> bool {
        self.postgres.sql("shop", &format!("select count(*) from orders where id = {order}")).unwrap() == "1"
    }

    /// What the log says of approved functions that statements may run, by statement.
    fn approved_functions(&self) -> BTreeMap<String, Vec<Value>> {
        let lines = self.proxy.done(&["audit", "search", "--json"]);
        let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let mut functions = BTreeMap::<_, Vec<_>>::new();
        for record in records.filter(|record| record["kind"] == "intent") {
            let sql = record["sql"].as_str().unwrap_or_default().to_owned();
            functions.entry(sql).or_default().push(record["detail"]["approved_functions"].clone());
        }
        functions
    }

    fn config_records(&self) -> Vec<Value> {
        let lines = self.proxy.done(&["audit", "search", "--json"]);
        let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        records.filter(|record| record["kind"] == "config").collect()
    }
}

#[test]
fn a_function_is_approved_for_what_was_shown_and_passes_from_then_on() {
    let counter = Counter::open();
    let mut session = counter.session();
    counter.waits(&mut session, "select tidy(1)");
    session.query("prepare p(integer) as select tidy($1)");

    let shown = counter.proxy.run(&["functions", "approve", "public.tidy", "--database", "shop"]);
    let hash = counter.listed()["hash"].as_str().unwrap().to_owned();
    for part in ["delete from orders where id = n", "SET search_path TO 'public'", "owner       shop", &hash, "warning"]
    {
        assert!(shown.stdout.contains(part), "{part} is missing in {shown:?}");
    }
    assert_eq!(shown.code, Some(4), "looking approves nothing");
    assert!(shown.stderr.contains(&format!("--hash {hash}")), "{shown:?}");
    assert_eq!(counter.listed()["approval"], Value::Null);
    counter.waits(&mut session, "select tidy(1)");

    let database = ["--database", "shop", "--reason", "read it", "--hash"];
    let wrong = hash.replace(|digit: char| digit.is_ascii_digit(), "0");
    let other =
        counter.proxy.run(&[&["functions", "approve", "public.tidy(n integer)"], &database[..], &[&wrong]].concat());
    assert_eq!(other.code, Some(1));
    assert!(other.stderr.contains("not what you looked at"), "{other:?}");
    counter.proxy.done(&[&["functions", "approve", "public.tidy(n integer)"], &database[..], &[&hash]].concat());
    assert_eq!(counter.listed()["approval"]["reason"], "read it");

    // At once, in the session that runs, in both protocols, and in what was prepared before.
    assert_eq!(session.query("select tidy(1)").tags, ["SELECT 1"]);
    session.raw(&[parse("select tidy(2)"), bind(&[]), execute(), sync()].concat());
    assert_eq!(session.reply().tags, ["SELECT 1"]);
    assert_eq!(session.query("execute p(3)").tags, ["SELECT 1"]);
    assert!((1..=3).all(|order| !counter.exists(order)));
    // What it is called with and beside is judged as ever.
    session.raw(&query("select tidy(4); delete from orders where id = 5"));
    counter.proxy.deny_next("a test");
    session.reply();
    assert!(counter.exists(4) && counter.exists(5));

    // Each says in the log which approved function it may have run.
    let ran = counter.approved_functions();
    let tidy = json!([{"schema": "public", "name": "tidy", "oid": counter.listed()["oid"], "hash": hash}]);
    assert_eq!(ran["select tidy(1)"], [Value::Null, Value::Null, tidy.clone()]);
    assert_eq!(ran["select tidy(2)"], std::slice::from_ref(&tidy));
    assert_eq!(ran["execute p(3)"], [tidy]);

    let records = counter.config_records();
    let approved = &records[0];
    assert_eq!(
        (&approved["detail"]["function"]["change"], &approved["detail"]["function"]["hash"], &approved["reason"]),
        (&json!("approved"), &json!(hash), &json!("read it"))
    );
    assert!(approved["by"].is_string());
}

#[test]
fn another_body_waits_again_even_when_it_goes_around_the_proxy() {
    let counter = Counter::open();
    counter.approve();
    let mut session = counter.session();
    session.query("prepare p as select tidy(1)");
    assert_eq!(session.query("select tidy(1)").tags, ["SELECT 1"]);
    let original = counter.listed()["hash"].clone();
    counter.postgres.sql("shop", &TIDY.replace("delete from orders where id = n", "delete from orders")).unwrap();
    assert_eq!(counter.listed()["approval"], Value::Null);
    counter.waits(&mut session, "select tidy(2)");
    counter.waits(&mut session, "execute p");
    assert!(counter.exists(2));
    // With the old body comes no old approval.
    counter.postgres.sql("shop", TIDY).unwrap();
    let again = counter.listed();
    assert_eq!((&again["hash"], &again["approval"]), (&original, &Value::Null));
    counter.waits(&mut session, "select tidy(2)");
    let changes: Vec<_> =
        counter.config_records().iter().map(|record| record["detail"]["function"]["change"].clone()).collect();
    assert_eq!(changes, ["approved", "outdated"]);
}

#[test]
fn another_body_through_the_proxy_waits_again() {
    let counter = Counter::open();
    counter.approve();
    let mut session = counter.session();
    assert_eq!(session.query("select tidy(1)").tags, ["SELECT 1"]);
    session.raw(&query(&TIDY.replace("n;", "n or true;")));
    counter.proxy.approve_next(&[]);
    assert_eq!(session.reply().tags, ["CREATE FUNCTION"]);
    counter.waits(&mut session, "select tidy(2)");
    // In the transaction that changes it as well.
    counter.approve();
    session.query("begin");
    session.raw(&query(TIDY));
    counter.proxy.approve_next(&[]);
    assert_eq!(session.reply().tags, ["CREATE FUNCTION"]);
    session.raw(&query("select tidy(2)"));
    let hold = counter.proxy.wait_for("a hold, or its run", || counter.proxy.holds().into_iter().next());
    counter.proxy.done(&["holds", "deny", hold["id"].as_str().unwrap()]);
    session.reply();
    session.query("rollback");
    assert!(counter.exists(2));
}

#[test]
fn an_approval_can_be_revoked_and_outlives_the_proxy() {
    let mut counter = Counter::open();
    counter.approve();
    counter.proxy.stop(Signal::SIGTERM);
    counter.proxy.launch();
    let mut session = counter.session();
    assert_eq!(session.query("select tidy(1)").tags, ["SELECT 1"]);
    counter.proxy.done(&["functions", "revoke", "public.tidy", "--database", "shop", "--reason", "no longer"]);
    counter.waits(&mut session, "select tidy(2)");
    let again = counter.proxy.run(&["functions", "revoke", "public.tidy", "--database", "shop"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    let changes = counter.config_records();
    assert_eq!(
        (&changes[1]["detail"]["function"]["change"], &changes[1]["reason"]),
        (&json!("revoked"), &json!("no longer"))
    );

    // What cannot be read approves nothing: the proxy says so and does not start.
    counter.proxy.stop(Signal::SIGTERM);
    std::fs::write(counter.proxy.data().join("approved-functions.json"), "{").unwrap();
    let refused = crate::support::finished(&mut counter.proxy.serve());
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("approved-functions.json") && refused.stderr.contains("hint:"), "{refused:?}");
}

#[test]
fn only_approvers_approve_functions_and_names_must_be_clear() {
    let counter = Counter::open_with("approvers = [\"somebody else\"]\n");
    let hash = counter.listed()["hash"].as_str().unwrap().to_owned();
    let approve = |name: &str| {
        counter.proxy.run(&["functions", "approve", name, "--database", "shop", "--reason", "x", "--hash", &hash])
    };
    let refused = approve("public.tidy");
    assert_eq!(refused.code, Some(3), "{refused:?}");
    counter.waits_not_approved();
    assert_eq!(approve("public.nothing").code, Some(1));
    counter.postgres.sql("shop", "create function tidy(t text) returns int language sql as 'select 1'").unwrap();
    let several = approve("public.tidy");
    assert_eq!(several.code, Some(2));
    assert!(several.stderr.contains("public.tidy(t text)"), "{several:?}");
    let nowhere = counter.proxy.run(&["functions", "list", "--database", "no such"]);
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
}

impl Counter {
    /// Nobody may deny here either, so the hold is left to its session.
    #[track_caller]
    fn waits_not_approved(&self) {
        let mut session = self.session();
        session.raw(&query("select tidy(1)"));
        self.proxy.held();
        drop(session);
        self.proxy.none_held();
        assert!(self.exists(1));
    }
}

/// A portal's plan stands, but the server looks up the body of a function when it is called.
#[test]
fn a_portal_over_an_approved_function_waits_when_the_transaction_makes_that_anew() {
    let counter = Counter::open();
    counter.approve();
    let mut session = counter.session();
    let opened_in_sql = query("declare c cursor for select tidy(id) from customers");
    let opened = [parse("select tidy(id) from customers"), message(b'B', &[text("c"), vec![0; 7]].concat()), sync()];
    let fetched = [message(b'E', &[text("c"), vec![0, 0, 0, 1]].concat()), sync()];
    for (opened, fetched) in [(opened_in_sql, query("fetch c")), (opened.concat(), fetched.concat())] {
        session.query("begin");
        session.raw(&opened);
        assert!(session.reply().errors.is_empty());
        session.raw(&fetched);
        assert!(session.reply().errors.is_empty());
        counter.makes_anew(&mut session);
        session.raw(&fetched);
        counter.proxy.deny_next("a test");
        assert!(session.reply().errors[0].message.contains("was denied"));
        session.query("rollback");
    }
    assert!(counter.exists(500));
}

/// What a cursor that outlives its transaction has left runs at the commit.
#[test]
fn a_commit_waits_when_a_function_was_made_anew_that_it_may_run() {
    let counter = Counter::open();
    counter.approve();
    let mut session = counter.session();
    for expected in [true, false] {
        session.query("begin");
        if expected {
            let declared = session.query("declare c cursor with hold for select tidy(id) from customers");
            assert!(declared.errors.is_empty(), "{declared:?}");
        }
        counter.makes_anew(&mut session);
        session.raw(&query("commit"));
        if expected {
            counter.proxy.deny_next("a test");
            assert!(session.reply().errors[0].message.contains("was denied"));
            session.query("rollback");
        } else {
            assert_eq!(session.reply().tags, ["COMMIT"]);
        }
    }
    assert!(counter.exists(500));
}
