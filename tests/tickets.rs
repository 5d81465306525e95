//! Promise: with `SET pgsluice.wait = 'ticket'` a client does not wait. It is refused at once with the hold's id;
//! after an approval the same statement passes once, in whatever session the same identity sends it.

use pgsluice::cli::demo::throwaway::Throwaway;
use serde_json::{Value, json};

use crate::support::wire::{Reply, Report, Wire, bind, execute, parse, query, sync};
use crate::support::{Proxy, finished, psql, python, shop};

const DELETE: &str = "delete from orders where id = 1";

struct Counter {
    // Dropped first: the proxy ends before its upstream.
    proxy: Proxy,
    postgres: Throwaway,
}

impl Counter {
    fn open() -> Self {
        Self::open_with(&[])
    }

    fn open_with(arguments: &[&str]) -> Self {
        let postgres = shop();
        Self { proxy: Proxy::start_with(&postgres, arguments), postgres }
    }

    /// A session that does not wait.
    fn session(&self) -> Wire {
        self.session_with(&[])
    }

    fn session_with(&self, more: &[(&str, &str)]) -> Wire {
        let startup = [&[("user", "shop"), ("database", "shop")], more].concat();
        let mut session = Wire::connect(self.proxy.port(), &startup).unwrap();
        assert_eq!(session.query("set pgsluice.wait = 'ticket'").tags, ["SET"]);
        session
    }

    fn decide(&self, id: &str, word: &str, more: &[&str]) {
        self.proxy.wait_for("the radius", || {
            let hold: Value = serde_json::from_str(&self.proxy.done(&["holds", "show", id, "--json"])).unwrap();
            (hold["radius_pending"] == false).then_some(())
        });
        self.proxy.done(&[&["holds", word, id, "--reason", "a test"], more].concat());
    }

    fn exists(&self, order: u32) -> bool {
        self.postgres.sql("shop", &format!("select count(*) from orders where id = {order}")).unwrap() == "1"
    }

    /// The records of the log about a hold, as kinds and verdicts.
    fn recorded(&self, id: &str) -> Vec<(String, String)> {
        let lines = self.proxy.done(&["audit", "search", "--json"]);
        let records = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let words = |record: Value| {
            let word = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
            (word("kind"), word("verdict"))
        };
        records.filter(|record| record["hold"] == id).map(words).collect()
    }
}

/// The id of the hold that a refusal names.
#[track_caller]
fn ticket(reply: &Reply) -> String {
    let error = error(reply);
    assert_eq!(error.code, "42501", "{error:?}");
    let rest = error.message.strip_prefix("pgsluice: held as ").unwrap_or_else(|| panic!("{error:?}"));
    let id = rest.split(' ').next().unwrap().to_owned();
    let hint = error.hint.as_deref().unwrap();
    assert!(hint.contains(&format!("holds approve {id}")) && hint.contains("same"), "{hint}");
    assert!(error.detail.is_some());
    id
}

#[track_caller]
fn error(reply: &Reply) -> &Report {
    assert_eq!((reply.errors.len(), reply.tags.len()), (1, 0), "{reply:?}");
    &reply.errors[0]
}

#[test]
fn a_ticket_is_refused_at_once_and_passes_once_after_approval() {
    let counter = Counter::open();
    let mut session = counter.session();
    let id = ticket(&session.query(DELETE));
    // The session goes on, and the same statement has the same ticket.
    assert_eq!(session.query("select 1").tags, ["SELECT 1"]);
    assert_eq!(ticket(&session.query(DELETE)), id);
    let hold = counter.proxy.held();
    assert_eq!(
        (&hold["id"], &hold["wait"], &hold["state"], &hold["in_transaction"]),
        (&json!(id), &json!("ticket"), &json!("pending"), &json!(false))
    );
    assert!(counter.proxy.done(&["holds", "show", &id]).contains("does not wait"));
    drop(session);
    assert_eq!(counter.proxy.holds().len(), 1, "it stays listed");

    counter.decide(&id, "approve", &[]);
    assert!(counter.exists(1), "an approval alone runs nothing");
    // Another statement, other bytes, another role, another path, another time zone: not the same.
    let mut again = counter.session();
    assert_ne!(ticket(&again.query("delete from orders where id = 2")), id);
    assert_ne!(ticket(&again.query("delete from orders where id =  1")), id);
    let mut elsewhere = counter.session();
    elsewhere.query("set search_path = public");
    assert_ne!(ticket(&elsewhere.query(DELETE)), id);
    assert_ne!(ticket(&counter.session_with(&[("timezone", "Asia/Tokyo")]).query(DELETE)), id);
    assert!(counter.exists(1));

    assert_eq!(again.query(DELETE).tags, ["DELETE 1"]);
    assert!(!counter.exists(1));
    assert_ne!(ticket(&again.query(DELETE)), id, "once");
    for (kind, verdict) in
        [("hold", "hold"), ("intent", "hold"), ("decision", "approved"), ("intent", "approved"), ("outcome", "")]
    {
        counter.proxy.wait_for(&format!("{kind} {verdict} in the log"), || {
            counter.recorded(&id).contains(&(kind.to_owned(), verdict.to_owned())).then_some(())
        });
    }
}

#[test]
fn prepared_statements_have_tickets_for_their_values() {
    let counter = Counter::open();
    let send = |session: &mut Wire, value: &str| {
        session.raw(&[parse("delete from orders where id = $1"), bind(&[value]), execute(), sync()].concat());
        session.reply()
    };
    let mut session = counter.session();
    let id = ticket(&send(&mut session, "3"));
    let other = ticket(&send(&mut session, "4"));
    assert_ne!(id, other);
    counter.decide(&id, "approve", &[]);
    let mut session = counter.session();
    assert_eq!(ticket(&send(&mut session, "4")), other);
    assert_eq!(send(&mut session, "3").tags, ["DELETE 1"]);
    assert!(!counter.exists(3) && counter.exists(4));
}

#[test]
fn in_a_transaction_a_ticket_fails_the_transaction() {
    let counter = Counter::open();
    let mut session = counter.session();
    session.query("begin");
    session.query("update customers set city = 'Graz' where id = 1");
    let reply = session.query(DELETE);
    let id = ticket(&reply);
    assert_eq!(reply.status, b'E');
    assert_eq!(session.query("commit").tags, ["ROLLBACK"]);
    counter.decide(&id, "approve", &[]);
    session.query("begin");
    assert_eq!(session.query(DELETE).tags, ["DELETE 1"]);
    session.query("rollback");
    assert!(counter.exists(1));
    assert_ne!(ticket(&session.query(DELETE)), id, "it ran, whatever became of the transaction");
}

#[test]
fn a_denied_ticket_stays_denied() {
    let counter = Counter::open();
    let mut session = counter.session();
    let id = ticket(&session.query(DELETE));
    counter.decide(&id, "deny", &[]);
    for _ in 0..2 {
        let reply = session.query(DELETE);
        let error = error(&reply);
        assert_eq!(error.code, "42501");
        assert!(error.message.contains(&id) && error.message.contains("denied"), "{error:?}");
        assert!(error.detail.as_deref().unwrap().contains("a test"), "{error:?}");
    }
    assert!(counter.proxy.holds().is_empty());
    assert!(counter.exists(1));
}

#[test]
fn a_ticket_expires_approved_or_not() {
    let counter = Counter::open_with(&["--hold-expiry", "2s"]);
    let mut session = counter.session();
    let waits = ticket(&session.query("delete from orders where id = 2"));
    let approved = ticket(&session.query(DELETE));
    counter.decide(&approved, "approve", &[]);
    for id in [&waits, &approved] {
        counter.proxy.wait_for("the end of the ticket in the log", || {
            counter.recorded(id).contains(&("decision".to_owned(), "expired".to_owned())).then_some(())
        });
    }
    assert_ne!(ticket(&session.query(DELETE)), approved);
    assert!(counter.exists(1) && counter.exists(2));
}

#[test]
fn a_ticket_whose_radius_has_grown_is_not_run() {
    let counter = Counter::open();
    let mut session = counter.session();
    let delete = "delete from orders where placed_on < '2023-02-01'";
    let id = ticket(&session.query(delete));
    let old = "select count(*) from orders where placed_on < '2023-02-01'";
    let bound = 2 * counter.postgres.sql("shop", old).unwrap().parse::<u64>().unwrap();
    counter.decide(&id, "approve", &["--max-rows", &bound.to_string()]);
    // The planner does not know yet.
    let more = "insert into orders (customer_id, placed_on, status)
                select customer_id, '2023-01-01', status from orders limit 5000";
    counter.postgres.sql("shop", more).unwrap();
    let again = ticket(&session.query(delete));
    assert_ne!(again, id);
    let hold = counter.proxy.held();
    assert_eq!(hold["id"], json!(again));
    assert!(hold["reasons"][0].as_str().unwrap().starts_with(&format!("approved for up to {bound} rows")), "{hold}");
    assert!(counter.exists(1));
}

#[test]
fn what_only_this_session_knows_has_no_ticket() {
    let counter = Counter::open();
    let mut session = counter.session();
    session.query("prepare p as delete from orders where id = 1");
    let reply = session.query("execute p");
    assert!(error(&reply).message.contains("cannot be as a ticket"), "{reply:?}");
    assert!(counter.proxy.holds().is_empty());
    assert!(counter.exists(1));
}

#[test]
fn a_ticket_is_for_the_table_that_was_shown() {
    let counter = Counter::open();
    counter.postgres.sql("shop", "grant truncate on order_items to shop").unwrap();
    let mut session = counter.session();
    let id = ticket(&session.query("truncate order_items"));
    counter.decide(&id, "approve", &[]);
    // Elsewhere the name means another table: not what was approved.
    let mut other = counter.session();
    assert_eq!(other.query("create temporary table order_items (id int)").errors, []);
    let reply = other.query("truncate order_items");
    assert!(reply.errors.is_empty() || ticket(&reply) != id, "{reply:?}");
    assert_ne!(counter.postgres.sql("shop", "select count(*) from order_items").unwrap(), "0");
    assert_eq!(session.query("truncate order_items").tags, ["TRUNCATE TABLE"]);
}

#[test]
fn the_setting_is_the_sessions_own() {
    let counter = Counter::open();
    let mut session =
        Wire::connect(counter.proxy.port(), &[("user", "shop"), ("database", "shop"), ("pgsluice.wait", "ticket")])
            .unwrap();
    ticket(&session.query(DELETE));
    assert_eq!(session.query("set pgsluice.wait = 'inline'").tags, ["SET"]);
    session.raw(&query("delete from orders where id = 5"));
    let hold = counter.proxy.wait_for("a hold that is waited for", || {
        counter.proxy.holds().into_iter().find(|hold| hold["wait"] == "inline" && hold["radius_pending"] == false)
    });
    counter.proxy.done(&["holds", "deny", hold["id"].as_str().unwrap()]);
    assert!(session.reply().errors[0].message.contains("was denied"));
    // What a pool sends between two users brings back what the connection string said.
    assert_eq!(session.query("reset all").tags, ["RESET"]);
    ticket(&session.query(DELETE));
    assert_eq!(session.query("set pgsluice.wait = 'later'").errors[0].code, "42501");
    assert_eq!(session.query("reset pgsluice.wait").tags, ["SET"]);
    // It would be left out, or the other statement would.
    let both = session.query("select 1; set pgsluice.reason = 'x'");
    assert_eq!((both.errors[0].code.as_str(), both.tags.len()), ("42501", 0));
    let wrong = Wire::connect(counter.proxy.port(), &[("user", "shop"), ("pgsluice.wait", "later")]).unwrap_err();
    assert_eq!(wrong.code, "42501", "{wrong:?}");
}

const PSYCOPG: &str = r#"
import sys, psycopg
for turn in range(2):
    connection = psycopg.connect(sys.argv[1], options="-c pgsluice.wait=ticket")
    try:
        print("deleted", connection.execute("delete from orders where id = %s", [7]).rowcount)
        connection.commit()
    except psycopg.Error as error:
        print(error.sqlstate, error.diag.message_primary)
    if turn == 0:
        sys.stdout.flush()
        sys.stdin.readline()
"#;

#[test]
fn psycopg_comes_back_on_a_new_connection() {
    use std::io::{BufRead as _, Write as _};
    let counter = Counter::open();
    let url = counter.proxy.url("shop", "shop");
    let mut client = python(PSYCOPG);
    client.arg(&url).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut client = client.spawn().unwrap();
    let mut said = std::io::BufReader::new(client.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let id = line.strip_prefix("42501 pgsluice: held as ").unwrap_or_else(|| panic!("{line}"));
    counter.decide(id.split(' ').next().unwrap(), "approve", &[]);
    writeln!(client.stdin.take().unwrap()).unwrap();
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "deleted 1\n");
    assert!(client.wait().unwrap().success());
    assert!(!counter.exists(7));
}

#[test]
fn psql_is_told_what_to_do() {
    let counter = Counter::open();
    let url = counter.proxy.url("shop", "shop");
    let client = finished(psql(&url).args(["-c", "set pgsluice.wait = 'ticket'", "-c", DELETE]));
    assert_eq!(client.code, Some(1));
    for part in ["ERROR:  pgsluice: held as h-", "DETAIL:", "HINT:  Nothing was run. pgsluice holds approve h-"] {
        assert!(client.stderr.contains(part), "{part} in {}", client.stderr);
    }
}
