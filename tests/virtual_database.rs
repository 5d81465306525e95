//! Promise: `psql -d pgsluice` logs in as anywhere else and shows what waits; a person decides there, on what was
//! shown in that session, by the rules of the control socket.

use std::collections::HashMap;

use nix::sys::signal::Signal;
use pgsluice::cli::demo::throwaway::{Authentication, Options, Throwaway};
use serde_json::{Value, json};

use crate::support::wire::{Message, Reply, Wire, bind, execute, message, parse, query, sync};
use crate::support::{
    Finished, Proxy, certificate, finished, postgres_options, psql, python, shop, start_postgres, started,
};

const DELETE: &str = "delete from orders where id = 1";

const CONFIG: &str = r#"
shared_roles = ["postgres"]

[[identity]]
name = "alice"
kind = "human"

[[identity]]
name = "bob"
kind = "human"

[[identity]]
name = "robot"
kind = "agent"
owner = "alice"
"#;

/// A shop with people, and the proxy in front of it.
struct Counter {
    // Dropped first: the proxy ends before its upstream.
    proxy: Proxy,
    postgres: Throwaway,
}

impl Counter {
    fn open() -> Self {
        Self::open_with("", "")
    }

    /// With further lines at the top and at the end of the configuration file.
    fn open_with(top: &str, end: &str) -> Self {
        let postgres = shop();
        for role in ["alice", "bob", "robot", "clerk"] {
            postgres
                .sql("postgres", &format!("create role {role} login in role pg_write_all_data, pg_read_all_data"))
                .unwrap();
        }
        let mut proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &[]);
        std::fs::write(proxy.place.path().join("pgsluice.toml"), format!("{top}{CONFIG}{end}")).unwrap();
        proxy.launch();
        Self { proxy, postgres }
    }

    fn session(&self, role: &str) -> Wire {
        Wire::connect(self.proxy.port(), &[("user", role), ("database", "pgsluice")]).unwrap()
    }

    /// Holds [`DELETE`] for a role; the session that waits, and the id.
    fn held_for(&self, role: &str) -> (Wire, String) {
        let mut session = Wire::connect(self.proxy.port(), &[("user", role), ("database", "shop")]).unwrap();
        session.raw(&query(DELETE));
        let id = self.proxy.held()["id"].as_str().unwrap().to_owned();
        (session, id)
    }

    fn url(&self, role: &str) -> String {
        self.proxy.url(role, "pgsluice")
    }

    fn exists(&self) -> bool {
        self.postgres.sql("shop", "select count(*) from orders where id = 1").unwrap() == "1"
    }

    fn records(&self) -> Vec<Value> {
        let lines = self.proxy.done(&["audit", "search", "--json"]);
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// The rows of a reply by their columns.
fn rows(session: &mut Wire, sql: &str) -> Vec<HashMap<String, String>> {
    session.raw(&query(sql));
    let mut columns = Vec::new();
    let reply = session.reply_with(|_, message| {
        if message.kind == b'T' {
            columns = names(&message.body);
        }
    });
    assert!(reply.errors.is_empty(), "{reply:?}");
    let row = |row: Vec<Option<String>>| {
        let cells = columns.iter().cloned().zip(row).map(|(name, value)| (name, value.unwrap_or_default()));
        cells.collect()
    };
    reply.rows.into_iter().map(row).collect()
}

/// The names in a RowDescription.
fn names(body: &[u8]) -> Vec<String> {
    let mut rest = &body[2..];
    let mut names = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == 0) {
        names.push(String::from_utf8(rest[..end].to_vec()).unwrap());
        rest = &rest[end + 19..];
    }
    names
}

#[track_caller]
fn code(reply: &Reply) -> &str {
    assert_eq!((reply.errors.len(), reply.tags.len()), (1, 0), "{reply:?}");
    &reply.errors[0].code
}

#[test]
fn psql_shows_what_waits_and_an_approval_lets_it_run() {
    let counter = Counter::open();
    let client = started(psql(&counter.proxy.url("shop", "shop")).args(["-c", DELETE]));
    let id = counter.proxy.held()["id"].as_str().unwrap().to_owned();
    let list = finished(psql(&counter.url("alice")).args(["-c", "SHOW HOLDS"]));
    for part in [&id, DELETE, "orders", "order_items", "by cascade", "orders_audit", "pending", "shop"] {
        assert!(list.stdout.contains(part), "{part} is missing in {list:?}");
    }
    let shown = finished(psql(&counter.url("alice")).args(["-c", &format!("SHOW HOLD '{id}'")]));
    for part in ["statement|delete from orders", "policy|", "touches|", "digest|", "approvals|0 of 1"] {
        assert!(shown.stdout.contains(part), "{part} is missing in {shown:?}");
    }
    assert!(counter.exists());
    // One session that looks and approves.
    let look = format!("show hold '{id}'");
    let approve = format!("APPROVE '{id}' REASON 'it is old' MAX ROWS 5");
    let approved = finished(psql(&counter.url("alice")).args(["-c", &look, "-c", &approve]));
    assert_eq!(approved.code, Some(0), "{approved:?}");
    assert!(approved.stdout.ends_with(&format!("{id}|approved|the statement runs now\n")), "{approved:?}");
    assert_eq!(Finished::of(client).stdout, "DELETE 1\n");
    let records = counter.records();
    let about =
        |kind: &str| records.iter().find(|record| record["kind"] == kind && record["hold"] == json!(id)).unwrap();
    assert_eq!((&about("decision")["by"], &about("decision")["reason"]), (&json!("alice"), &json!("it is old")));
    let asked = records.iter().find(|record| record["sql"] == json!(approve)).unwrap();
    assert_eq!((&asked["identity"], &asked["hold"], &asked["verdict"]), (&json!("alice"), &json!(id), &json!("pass")));
    let started = records.iter().filter(|record| record["kind"] == "session_start" && record["database"] == "pgsluice");
    assert_eq!(started.count(), 3);
}

#[test]
fn what_was_not_shown_is_not_approved() {
    let counter = Counter::open();
    let (mut waits, id) = counter.held_for("shop");
    let mut session = counter.session("alice");
    let approve = format!("APPROVE '{id}'");
    let reply = session.query(&approve);
    assert_eq!(code(&reply), "55000");
    assert!(reply.errors[0].hint.as_deref().unwrap().contains(&format!("SHOW HOLD '{id}'")), "{reply:?}");
    // Another session that looked does not count.
    rows(&mut counter.session("alice"), "SHOW HOLDS");
    assert_eq!(code(&session.query(&approve)), "55000");
    let listed = rows(&mut session, "SHOW HOLDS");
    assert_eq!((&listed[0]["id"], &listed[0]["statement"]), (&id, &DELETE.to_owned()));
    let digest = counter.proxy.held()["digest"].as_str().unwrap().to_owned();
    assert!(digest.starts_with(&listed[0]["digest"]) && listed[0]["digest"].len() >= 16);
    assert_eq!(session.query(&approve).tags, ["APPROVE"]);
    assert_eq!(waits.reply().tags, ["DELETE 1"]);

    // What is too long for a list has to be looked at by itself.
    let long = format!("delete from orders where id = 2 or note = '{}'", "x".repeat(2_000));
    waits.raw(&query(&long.replace("note", "id::text")));
    let id = counter.proxy.held()["id"].as_str().unwrap().to_owned();
    rows(&mut session, "SHOW HOLDS");
    assert_eq!(code(&session.query(&format!("APPROVE '{id}'"))), "55000");
    let whole = rows(&mut session, &format!("SHOW HOLD '{id}'"));
    assert!(whole.iter().any(|row| row["field"] == "statement" && row["value"].len() > 2_000));
    assert_eq!(session.query(&format!("DENY '{id}' REASON 'no'")).tags, ["DENY"]);
    let denied = waits.reply();
    assert!(
        denied.errors[0].message.contains("denied by alice")
            && denied.errors[0].detail.as_deref().unwrap().contains("no")
    );
    assert_eq!(code(&session.query(&format!("APPROVE '{id}'"))), "55000");
    assert_eq!(code(&session.query("APPROVE 'h-2222'")), "42704");
}

#[test]
fn what_has_changed_since_it_was_shown_is_not_approved() {
    let counter = Counter::open();
    // The planner waits for this lock, and the radius for the planner: it is seen before it is known.
    let mut blocker = Wire::connect(counter.postgres.port(), &[("user", "postgres"), ("database", "shop")]).unwrap();
    blocker.query("begin");
    assert_eq!(blocker.query("lock table orders in access exclusive mode").tags, ["LOCK TABLE"]);
    let mut session = counter.session("alice");
    let mut waits = Wire::connect(counter.proxy.port(), &[("user", "shop"), ("database", "shop")]).unwrap();
    waits.raw(&query(DELETE));
    let listed = counter.proxy.wait_for("a hold", || rows(&mut session, "SHOW HOLDS").into_iter().next());
    assert_eq!(listed["rows"], "", "{listed:?}");
    counter.proxy.held();
    blocker.query("rollback");
    let approve = format!("APPROVE '{}'", listed["id"]);
    let reply = session.query(&approve);
    assert_eq!(code(&reply), "55000");
    assert!(reply.errors[0].message.contains("not what you looked at"), "{reply:?}");
    rows(&mut session, &format!("SHOW HOLD '{}'", listed["id"]));
    assert_eq!(session.query(&approve).tags, ["APPROVE"]);
    assert_eq!(waits.reply().tags, ["DELETE 1"]);
}

#[test]
fn a_person_decides_and_nobody_decides_on_their_own() {
    let counter = Counter::open();
    let (mut waits, id) = counter.held_for("robot");
    let (show, approve) = (format!("SHOW HOLD '{id}'"), format!("APPROVE '{id}'"));
    // The agent sees its own, and so does its owner; neither approves it. Nobody else who may not decide sees it.
    for role in ["robot", "alice"] {
        let mut session = counter.session(role);
        assert_eq!(rows(&mut session, "SHOW HOLDS").len(), 1, "{role}");
        rows(&mut session, &show);
        assert_eq!(code(&session.query(&approve)), "42501", "{role}");
    }
    // A superuser sees all, as in pg_stat_activity.
    let mut superuser = counter.session("postgres");
    assert_eq!(rows(&mut superuser, "SHOW HOLDS").len(), 1);
    rows(&mut superuser, &show);
    for command in [&approve, &format!("DENY '{id}'")] {
        assert_eq!(code(&superuser.query(command)), "42501", "{command}");
    }
    for role in ["clerk", "shop"] {
        let mut session = counter.session(role);
        assert!(rows(&mut session, "SHOW HOLDS ALL").is_empty(), "{role}");
        for command in [&show, &approve, &format!("DENY '{id}'"), &format!("WITHDRAW '{id}'")] {
            assert_eq!(code(&session.query(command)), "42704", "{role} {command}");
        }
        let own: Vec<_> = rows(&mut session, "SHOW SESSIONS");
        assert!(!own.is_empty() && own.iter().all(|row| row["identity"] == role), "{own:?}");
    }
    let mut bob = counter.session("bob");
    assert!(rows(&mut bob, "SHOW SESSIONS").len() >= 2);
    rows(&mut bob, &show);
    assert_eq!(bob.query(&approve).tags, ["APPROVE"]);
    assert_eq!(waits.reply().tags, ["DELETE 1"]);
    let refused = counter.records().into_iter().filter(|record| {
        record["database"] == "pgsluice" && record["verdict"] == "deny" && record["sqlstate"] == "42501"
    });
    assert_eq!(refused.count(), 3, "the agent's and the superuser's; its owner's is the gate's to refuse");
}

#[test]
fn where_approvers_are_named_only_they_decide() {
    let counter = Counter::open_with("approvers = [\"clerk\", \"bob\", \"robot\", \"postgres\"]\n", "");
    let (mut waits, id) = counter.held_for("shop");
    let (show, approve) = (format!("SHOW HOLD '{id}'"), format!("APPROVE '{id}'"));
    for role in ["alice", "robot"] {
        assert_eq!(code(&counter.session(role).query(&show)), "42704", "{role}");
    }
    let mut clerk = counter.session("clerk");
    rows(&mut clerk, &show);
    assert_eq!(clerk.query(&approve).tags, ["APPROVE"]);
    assert_eq!(waits.reply().tags, ["DELETE 1"]);
    // A shared role that is named decides, but not on what it asked for itself.
    let (_waits, id) = counter.held_for("postgres");
    let mut postgres = counter.session("postgres");
    rows(&mut postgres, "SHOW HOLDS");
    assert_eq!(code(&postgres.query(&format!("APPROVE '{id}'"))), "42501");
}

#[test]
fn tickets_are_shown_and_approved_like_the_rest() {
    let counter = Counter::open();
    let startup = [("user", "robot"), ("database", "shop"), ("pgsluice.wait", "ticket")];
    let mut agent = Wire::connect(counter.proxy.port(), &startup).unwrap();
    assert_eq!(code(&agent.query(DELETE)), "42501");
    counter.proxy.held();
    let mut bob = counter.session("bob");
    let listed = rows(&mut bob, "SHOW HOLDS");
    assert_eq!(listed[0]["wait"], "ticket");
    let approved = rows(&mut bob, &format!("APPROVE '{}'", listed[0]["id"]));
    assert!(approved[0]["message"].contains("passes once"), "{approved:?}");
    assert_eq!(agent.query(DELETE).tags, ["DELETE 1"]);
}

#[test]
fn errors_are_those_of_postgres() {
    let counter = Counter::open();
    let mut session = counter.session("alice");
    for (sql, code, message, position) in [
        ("SELECT 1", "42601", "syntax error at or near \"SELECT\"", Some("1")),
        ("APPROVE", "42601", "syntax error at end of input", Some("8")),
        ("SHOW HOLDS; DENY 'h-2222'", "42601", "syntax error at or near \"DENY\"", Some("13")),
        ("SHOW lag", "42704", "unrecognized configuration parameter \"lag\"", None),
        ("APPROVE 'x'", "22P02", "invalid input syntax", None),
        ("SHOW HOLD 'h-2222'", "42704", "pgsluice: there is no hold h-2222", None),
        ("DENY $1", "42P02", "there is no parameter $1", None),
    ] {
        let mut error = Vec::new();
        session.raw(&query(sql));
        let reply = session.reply_with(|_, message| {
            if message.kind == b'E' {
                error.clone_from(&message.body);
            }
        });
        let report = Message { kind: b'E', body: error.clone() }.report().unwrap();
        assert_eq!((report.code.as_str(), report.severity.as_str()), (code, "ERROR"), "{sql}: {report:?}");
        assert!(report.message.starts_with(message), "{sql}: {report:?}");
        let field = error.split(|byte| *byte == 0).find(|field| field.first() == Some(&b'P'));
        assert_eq!(field.map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).as_deref(), position, "{sql}");
        assert_eq!(reply.status, b'I');
    }
    assert_eq!(session.query("").kinds, "IZ");
    assert!(rows(&mut session, "SHOW VERSION")[0]["version"].starts_with("pgsluice "));
    assert!(rows(&mut session, "SHOW HELP").len() > 5);
    // psql's caret stands below the word.
    let caret = finished(psql(&counter.url("alice")).args(["-c", "APPROVE now"]));
    assert!(caret.stderr.contains("LINE 1: APPROVE now\n                ^"), "{}", caret.stderr);
}

#[test]
fn the_figures_are_those_that_monitoring_reads() {
    let counter = Counter::open();
    let mut session = counter.session("alice");
    let figures = |session: &mut Wire| {
        let rows = rows(session, "SHOW STATS");
        rows.into_iter().map(|row| (row["name"].clone(), row["value"].clone())).collect::<HashMap<_, _>>()
    };
    let before = figures(&mut session);
    assert_eq!((before["sessions"].as_str(), before["holds"].as_str(), before["audit"].as_str()), ("1", "0", "works"));
    assert_eq!((before["statements_hold"].as_str(), before["overhead_us_p99"].as_str()), ("0", ""));

    let mut reader = Wire::connect(counter.proxy.port(), &[("user", "shop"), ("database", "shop")]).unwrap();
    for order in 1..=3 {
        reader.query(&format!("select * from orders where id = {order}"));
    }
    let (_waits, _) = counter.held_for("shop");
    let after = figures(&mut session);
    let number = |name: &str| after[name].parse::<u64>().unwrap_or_else(|_| panic!("{name} is no number: {after:?}"));
    assert_eq!((number("sessions"), number("holds"), number("statements_hold")), (3, 1, 1));
    assert!(number("statements_pass") >= 3 && number("statements_deny") == 0, "{after:?}");
    for name in ["overhead_us", "upstream_us", "audit_durable_lag_us"] {
        let (half, most) = (number(&format!("{name}_p50")), number(&format!("{name}_p99")));
        assert!(half > 0 && half <= most, "{name}: {after:?}");
    }
    // The three reads differ in a literal only.
    assert_eq!(number("analyses_remembered"), number("analyses_remembered").clamp(1, 4), "{after:?}");
    number("audit_queued");
    assert!(after["since"].ends_with('Z'), "{after:?}");
}

#[test]
fn transaction_blocks_are_taken_but_decide_nothing() {
    let counter = Counter::open();
    let (_waits, id) = counter.held_for("shop");
    let mut session = counter.session("alice");
    assert_eq!(session.query("begin").status, b'T');
    rows(&mut session, "SHOW HOLDS");
    let reply = session.query(&format!("APPROVE '{id}'"));
    assert_eq!((code(&reply), reply.status), ("25001", b'E'));
    assert_eq!(code(&session.query("SHOW HOLDS")), "25P02");
    let reply = session.query("commit");
    assert_eq!((reply.tags, reply.status), (vec!["ROLLBACK".to_owned()], b'I'));
    assert_eq!(counter.proxy.holds().len(), 1);
}

#[test]
fn the_extended_protocol_is_spoken_as_postgres_speaks_it() {
    let counter = Counter::open();
    let mut session = counter.session("alice");
    // Describe of the statement, a limit of rows, and what follows an error up to Sync.
    let describe = message(b'D', b"S\0");
    let limited = message(b'E', b"\0\0\0\0\x02");
    session.raw(&[parse("SHOW HELP"), describe, bind(&[]), limited.clone(), limited, execute(), sync()].concat());
    let reply = session.reply();
    assert!(reply.kinds.starts_with("1tT2DDsDDsD") && reply.kinds.ends_with("DCZ"), "{}", reply.kinds);
    session.raw(&[parse("SHOW HOLD $1"), bind(&["h-2222"]), execute(), parse("SHOW HELP"), sync()].concat());
    assert_eq!(session.reply().kinds, "12EZ");
    session.raw(&[parse("APPROVE"), bind(&[]), execute(), sync()].concat());
    assert_eq!(session.reply().kinds, "EZ");
    session.raw(&[parse("SHOW VERSION"), bind(&["1"]), sync()].concat());
    assert_eq!(code(&session.reply()), "08P01");
    // A message that is cut short ends the session, as it does in Postgres.
    session.send(b'P', b"no end");
    assert_eq!(session.reply().errors[0].code, "08P01");
}

const DRIVERS: &str = r#"
import asyncio, sys, psycopg, asyncpg
url, hold = sys.argv[1:]
# psycopg opens a transaction block of its own accord.
with psycopg.connect(url) as connection:
    print(connection.execute("SHOW HOLDS").fetchall()[0][0] == hold)
    try:
        connection.execute("APPROVE %s", [hold])
    except psycopg.Error as error:
        print(error.sqlstate)
async def main():
    connection = await asyncpg.connect(url)
    holds = await connection.fetch("SHOW HOLDS")
    print(holds[0]["id"] == hold, holds[0]["owner"])
    shown = await connection.fetch("SHOW HOLD $1", hold)
    print(shown[0]["field"])
    await connection.close()
asyncio.run(main())
with psycopg.connect(url, autocommit=True) as connection:
    connection.execute("SHOW HOLD %s", [hold])
    print(connection.execute("APPROVE %s REASON %s MAX ROWS %s", [hold, "it's old", 7]).fetchone()[1])
"#;

#[test]
fn drivers_look_and_approve() {
    let counter = Counter::open();
    let (mut waits, id) = counter.held_for("shop");
    let client = finished(python(DRIVERS).args([&counter.url("alice"), &id]));
    assert_eq!(client.stdout, "True\n25001\nTrue None\nid\napproved\n", "{client:?}");
    assert_eq!(waits.reply().tags, ["DELETE 1"]);
}

#[test]
fn the_server_checks_the_password_and_gets_its_connection_back() {
    for authentication in [Authentication::ScramSha256, Authentication::Md5, Authentication::Password] {
        let options = Options { authentication, certificate: Some(certificate()), ..postgres_options() };
        let server = start_postgres(&options);
        server.sql("postgres", "create role dana login password 'right'").unwrap();
        let proxy = Proxy::start(&server);
        for tls in ["disable", "require"] {
            let url = |password: &str| {
                format!("postgresql://dana:{password}@127.0.0.1:{}/pgsluice?sslmode={tls}", proxy.port())
            };
            let right = finished(psql(&url("right")).args(["-c", "SHOW VERSION"]));
            assert!(right.stdout.starts_with("pgsluice "), "{authentication:?} {tls}: {right:?}");
            let wrong = finished(psql(&url("wrong")).args(["-c", "SHOW VERSION"]));
            assert_eq!(wrong.code, Some(2), "{wrong:?}");
            assert!(wrong.stderr.contains("password authentication failed"), "{wrong:?}");
        }
    }
}

#[test]
fn sessions_end_as_others_do() {
    let mut counter = Counter::open_with("", "[limits]\nsessions = 2\n");
    let mut one = counter.session("alice");
    let two = counter.session("alice");
    let three = Wire::connect(counter.proxy.port(), &[("user", "alice"), ("database", "pgsluice")]).unwrap_err();
    assert_eq!(three.code, "53300");
    let busy = "select count(*) from pg_stat_activity where usename = 'alice'";
    counter.proxy.wait_for("the server's connections", || {
        (counter.postgres.sql("postgres", busy).unwrap() == "0").then_some(())
    });
    // There is nothing to cancel, and the server hears nothing of it.
    one.cancel();
    assert_eq!(one.query("SHOW VERSION").tags, ["SHOW"]);
    one.send(b'X', &[]);
    one.wait_for_close();
    counter
        .proxy
        .wait_for("room", || Wire::connect(counter.proxy.port(), &[("user", "alice"), ("database", "pgsluice")]).ok());
    let mut two = two;
    counter.proxy.stop(Signal::SIGTERM);
    let reply = two.reply();
    assert_eq!((reply.errors[0].code.as_str(), reply.status), ("57P01", 0));
}
