//! Promise: what a session did before is part of what its statements mean: its time limits, its temporary tables, its
//! names and settings are followed as the server has them.

use std::time::Instant;

use pgsluice::cli::demo::throwaway::Throwaway;
use serde_json::{Value, json};

use crate::support::wire::{Reply, Wire, bind, execute, message, parse, query, sync};
use crate::support::{Finished, Proxy, python, shop, started};

/// A shop and the proxy in front of it.
struct Place {
    // Dropped first: the proxy ends before its upstream.
    proxy: Proxy,
    postgres: Throwaway,
}

impl Place {
    fn open() -> Self {
        Self::open_with("", &[])
    }

    /// With something a superuser has run first, and further arguments of `serve`.
    fn open_with(setup: &str, arguments: &[&str]) -> Self {
        let postgres = shop();
        postgres.sql("shop", setup).unwrap();
        Self { proxy: Proxy::start_with(&postgres, arguments), postgres }
    }

    fn session(&self) -> Wire {
        self.session_with(&[])
    }

    fn session_with(&self, startup: &[(&str, &str)]) -> Wire {
        Wire::connect(self.proxy.port(), &[&[("user", "shop"), ("database", "shop")], startup].concat()).unwrap()
    }

    /// Sends a statement that must wait, denies it, and gives the hold.
    #[track_caller]
    fn waits(&self, session: &mut Wire, sql: &str) -> Value {
        session.raw(&query(sql));
        let hold = self.proxy.deny_next("no");
        let reply = session.reply();
        assert_eq!(reply.errors[0].code, "42501", "{sql}: {reply:?}");
        hold
    }

    /// Sends a statement that must wait, approves it, and gives the answer.
    #[track_caller]
    fn approved(&self, session: &mut Wire, sql: &str) -> Reply {
        session.raw(&query(sql));
        self.proxy.approve_next(&[]);
        let reply = session.reply();
        assert!(reply.errors.is_empty(), "{sql}: {reply:?}");
        reply
    }

    fn orders(&self) -> String {
        self.postgres.sql("shop", "select count(*) from orders").unwrap()
    }
}

/// Sends a statement that must run at once.
#[track_caller]
fn passes(session: &mut Wire, sql: &str) -> Reply {
    let reply = session.query(sql);
    assert!(reply.errors.is_empty() && reply.notices.iter().all(|notice| !notice.is_hold()), "{sql}: {reply:?}");
    reply
}

/// One batch of the extended protocol: each text parsed, bound and executed, one Sync behind them.
fn batch(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|sql| [parse(sql), bind(&[]), execute()].concat()).chain(sync()).collect()
}

const DELETE: &str = "delete from orders where id = 1";

/// The seconds that a hold has from its beginning to its end.
fn seconds(hold: &Value) -> f64 {
    let time = |key: &str| hold[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    time("expires_at").duration_since(time("created_at")).as_secs_f64()
}

/// The hold expires, and says so, before the server's own limit ends the session.
#[track_caller]
fn expires_in_step(reply: &Reply) {
    assert_eq!((reply.errors.len(), reply.errors[0].code.as_str()), (1, "57014"), "{reply:?}");
    assert!(reply.errors[0].message.starts_with("pgsluice:") && reply.status != 0, "{reply:?}");
}

#[test]
fn a_hold_in_a_transaction_ends_before_the_server_ends_the_session() {
    let place = Place::open_with("alter role shop set idle_in_transaction_session_timeout = '2s'", &[]);
    let mut session = place.session();
    session.query("begin");
    let began = Instant::now();
    let reply = session.query(DELETE);
    expires_in_step(&reply);
    assert!(began.elapsed().as_secs_f64() < 2.0);
    assert_eq!((reply.status, session.query("rollback").status), (b'E', b'I'));

    // Outside of a transaction nothing limits it, and what the session sets counts at once.
    assert!(seconds(&place.waits(&mut session, DELETE)) > 100.0);
    for (set, most) in [
        ("set idle_in_transaction_session_timeout = '30s'", 29.0),
        ("set idle_in_transaction_session_timeout = 20000", 19.0),
        ("set idle_in_transaction_session_timeout = '0.25min'", 14.0),
    ] {
        passes(&mut session, set);
        session.query("begin");
        let lasts = seconds(&place.waits(&mut session, DELETE));
        assert!((most - 5.0..=most).contains(&lasts), "{set}: {lasts}");
        session.query("rollback");
    }
    passes(&mut session, "reset all");
    session.query("begin");
    let lasts = seconds(&place.waits(&mut session, DELETE));
    assert!(lasts <= 1.0, "{lasts}");
    session.query("rollback");
}

#[test]
fn the_limits_of_login_database_and_transaction_are_known() {
    let setup = "alter database shop set idle_in_transaction_session_timeout = '50s'";
    let place = Place::open_with(setup, &["--hold-expiry-in-transaction", "10min"]);
    let lasts = |session: &mut Wire, most: f64| {
        session.query("begin");
        let lasts = seconds(&place.waits(session, DELETE));
        assert!((most - 5.0..=most).contains(&lasts), "{most}: {lasts}");
        session.query("rollback");
    };
    lasts(&mut place.session(), 49.0);
    let mut session = place.session_with(&[("options", "-c idle_in_transaction_session_timeout=30s")]);
    lasts(&mut session, 29.0);
    // SET LOCAL ends with its transaction, and so does SET when that is rolled back.
    session.query("begin");
    passes(&mut session, "set local idle_in_transaction_session_timeout = '20s'");
    assert!(seconds(&place.waits(&mut session, DELETE)) <= 19.0);
    session.query("rollback");
    lasts(&mut session, 29.0);
    session.query("begin");
    passes(&mut session, "set idle_in_transaction_session_timeout = '20s'");
    session.query("rollback");
    lasts(&mut session, 29.0);
    // A batch that is pipelined behind the SET that shortens its time.
    session.raw(&[query("begin"), query("set idle_in_transaction_session_timeout = '10s'"), query(DELETE)].concat());
    let hold = place.proxy.deny_next("no");
    assert!(hold["in_transaction"] == json!(true) && seconds(&hold) <= 9.0, "{hold}");
    for _ in 0..3 {
        session.reply();
    }
}

#[test]
fn a_hold_ends_before_the_server_ends_an_idle_session_or_a_statement() {
    let place = Place::open();
    let mut session = place.session_with(&[("idle_session_timeout", "2s")]);
    expires_in_step(&session.query(DELETE));
    passes(&mut session, "select 1");

    // The clock of a statement runs from its Parse on, which the server has.
    passes(&mut session, "set idle_session_timeout = 0");
    passes(&mut session, "set statement_timeout = '2s'");
    session.raw(&[parse(DELETE), bind(&[]), execute(), sync()].concat());
    expires_in_step(&session.reply());
    // A simple query has not begun.
    assert!(seconds(&place.waits(&mut session, DELETE)) > 100.0);
}

#[test]
fn a_temporary_table_is_the_sessions_own() {
    let place = Place::open();
    let mut session = place.session();
    passes(&mut session, "create temp table scratch (id int primary key, note text default 'x', made serial)");
    for sql in [
        "insert into scratch select g from generate_series(1, 10) g",
        "update scratch set note = 'y'",
        "delete from scratch where id < 3",
        "delete from pg_temp.scratch",
        "truncate scratch",
        "create index on scratch (note)",
        "create unique index by_made on scratch (made)",
        "reindex table scratch",
        "cluster scratch using by_made",
        "vacuum scratch",
        "select * into temp copied from orders",
        "delete from copied",
        "create temp table made as select id from orders",
        "truncate made",
        "drop table copied, made",
        "create temp table scratch2 (like orders)",
        "delete from scratch2",
        "drop table scratch",
    ] {
        passes(&mut session, sql);
    }
    assert_eq!(place.orders(), "500");
    // A name that is gone is nobody's: nothing is known to be harmless about it.
    place.waits(&mut session, "delete from scratch");
    place.waits(&mut session, "create index on scratch (note)");
    place.waits(&mut session, "create index on orders (id)");
    place.waits(&mut session, "vacuum full orders");
}

#[test]
fn what_a_temporary_table_hides_is_hit_again_when_it_is_gone() {
    let place = Place::open();
    let mut session = place.session();
    let make = "create temp table orders as select * from public.orders";
    // Whoever writes the schema means the real one, temporary table or not.
    passes(&mut session, make);
    place.waits(&mut session, "delete from public.orders where id = 1");
    passes(&mut session, "delete from orders");
    passes(&mut session, "drop table orders");
    place.waits(&mut session, "delete from orders");

    for (name, gone) in [
        ("rollback", &["begin", make, "delete from orders", "rollback"][..]),
        ("rollback to", &["begin", "savepoint s", make, "delete from orders", "rollback to s", "commit"]),
        ("drop", &["begin", make, "drop table orders", "commit"]),
        ("on commit", &["begin", "create temp table orders (id int) on commit drop", "delete from orders", "commit"]),
        ("failed", &["begin", make, "select 1/0", "commit"]),
        ("discard", &[make, "delete from orders", "discard temp"]),
        ("discard all", &[make, "delete from orders", "discard all"]),
        ("never there", &["create temp table orders (id int) on commit drop"]),
        ("failed message", &["create temp table orders (id int); select 1/0"]),
    ] {
        for sql in gone {
            let reply = session.query(sql);
            assert!(reply.notices.iter().all(|notice| !notice.is_hold()), "{name}: {sql}: {reply:?}");
        }
        place.waits(&mut session, "delete from orders");
    }
    // The path may name the temporary schema last.
    passes(&mut session, make);
    passes(&mut session, "set search_path = public, pg_temp");
    place.waits(&mut session, "delete from orders");
    passes(&mut session, "set search_path = public");
    passes(&mut session, "delete from orders");
    assert_eq!(place.orders(), "500");
}

/// The server runs the statements of one message without anything in between: each is judged by what those before it
/// have done.
#[test]
fn what_a_message_takes_away_is_not_there_for_the_rest_of_it() {
    let place = Place::open_with("create schema other; create table other.orders (id int)", &[]);
    for (before, message) in [
        ("", "DROP TABLE orders; DELETE FROM orders"),
        ("", "DROP TABLE IF EXISTS orders; SELECT 1; DELETE FROM orders"),
        ("", "SET search_path = public, pg_temp; DELETE FROM orders"),
        ("", "SET LOCAL search_path = public, pg_temp; DELETE FROM orders"),
        ("", "SELECT set_config('search_path', 'public, pg_temp', false); DELETE FROM orders"),
        ("SET search_path = public, pg_temp", "SET search_path = public; RESET search_path; DELETE FROM other.orders"),
        ("", "ALTER TABLE orders RENAME TO renamed; DELETE FROM orders"),
        ("", "DISCARD TEMP; DELETE FROM orders"),
        ("PREPARE wipe AS DELETE FROM orders", "DROP TABLE orders; EXECUTE wipe"),
        ("", "PREPARE wipe AS DELETE FROM orders; DROP TABLE orders; EXECUTE wipe"),
        ("PREPARE wipe AS DELETE FROM orders", "EXECUTE wipe; DROP TABLE orders; EXECUTE wipe"),
        ("", "CREATE TEMP TABLE more (a int); DROP TABLE orders, more; DELETE FROM orders"),
    ] {
        let mut session = place.session();
        passes(&mut session, "CREATE TEMP TABLE orders (id int)");
        if !before.is_empty() {
            passes(&mut session, before);
        }
        place.waits(&mut session, message);
        assert_ne!(place.orders(), "0", "{message}");
    }
    // What a transaction made is gone with it, and what is dropped at its commit as well.
    for message in ["ROLLBACK; DELETE FROM orders", "COMMIT; DELETE FROM orders", "ROLLBACK TO a; DELETE FROM orders"] {
        let mut session = place.session();
        passes(&mut session, "BEGIN; SAVEPOINT a; CREATE TEMP TABLE orders (id int) ON COMMIT DROP");
        place.waits(&mut session, message);
    }
}

#[test]
fn what_a_message_makes_is_there_for_the_rest_of_it() {
    let place = Place::open();
    let mut session = place.session();
    passes(&mut session, "CREATE TEMP TABLE scratch (a int); INSERT INTO scratch VALUES (1); DELETE FROM scratch");
    passes(&mut session, "DELETE FROM scratch");
    passes(&mut session, "BEGIN; CREATE TEMP TABLE orders (id int) ON COMMIT DROP; DELETE FROM orders");
    passes(&mut session, "DELETE FROM orders; DROP TABLE orders");
    passes(&mut session, "COMMIT");
    assert_ne!(place.orders(), "0");
    for message in [
        // What is there already may be something else.
        "CREATE TEMP TABLE IF NOT EXISTS fresh (a int); DELETE FROM fresh",
        "CREATE TEMP TABLE a (id int); DELETE FROM public.orders",
        "CREATE TEMP TABLE orders (id int); DROP TABLE orders; DELETE FROM orders",
        "CREATE TEMP TABLE orders (id int); ROLLBACK; DELETE FROM orders",
        "BEGIN; CREATE TEMP TABLE orders (id int) ON COMMIT DROP; COMMIT; DELETE FROM orders",
        "CREATE TEMP TABLE orders (id int); SET search_path = public, pg_temp; DELETE FROM orders",
        "SET search_path = public, pg_temp; CREATE TEMP TABLE orders (id int); DELETE FROM orders",
        "CREATE TEMP TABLE b (id int); CREATE TEMP VIEW orders AS SELECT * FROM public.orders; DELETE FROM orders",
    ] {
        place.waits(&mut place.session(), message);
        assert_ne!(place.orders(), "0", "{message}");
    }
}

#[test]
fn temporary_tables_are_followed_through_batches() {
    let place = Place::open();
    let mut session = place.session();
    // Made and emptied within one batch.
    session.raw(&batch(&["create temp table orders (id int)", "insert into orders values (1)", "delete from orders"]));
    let reply = session.reply();
    assert_eq!(reply.tags, ["CREATE TABLE", "INSERT 0 1", "DELETE 1"], "{reply:?}");
    passes(&mut session, "drop table orders");
    // The batch is one transaction: an error at its end takes the table away again.
    session.raw(&batch(&["create temp table orders (id int)", "select 1/0"]));
    assert_eq!(session.reply().errors[0].code, "22012");
    place.waits(&mut session, "delete from orders");
    // Dropped in the batch: what stands behind it means the real table.
    session.raw(&batch(&["create temp table orders (id int)"]));
    session.reply();
    session.raw(&batch(&["drop table orders", "delete from orders"]));
    place.proxy.deny_next("no");
    assert_eq!(session.reply().errors[0].code, "42501");
    // The refusal has rolled back the drop as well.
    passes(&mut session, "drop table pg_temp.orders");
    // A batch that fails, and the next one in the same packet.
    session
        .raw(&[batch(&["create temp table orders (id int)", "select 1/0"]), batch(&["delete from orders"])].concat());
    place.proxy.deny_next("no");
    assert_eq!(session.reply().errors[0].code, "22012");
    assert_eq!(session.reply().errors[0].code, "42501");
    // Simple queries in one packet.
    session.raw(
        &[query("begin"), query("create temp table orders (id int)"), query("rollback"), query("delete from orders")]
            .concat(),
    );
    place.proxy.deny_next("no");
    for _ in 0..4 {
        session.reply();
    }
    assert_eq!(place.orders(), "500");
}

#[test]
fn what_runs_code_waits_on_a_temporary_table_too() {
    let setup = "create function wipe() returns trigger language plpgsql as \
                 'begin delete from public.orders; return new; end'; \
                 create function wiped() returns int language plpgsql as 'begin delete from public.orders; return 1; end'";
    let place = Place::open_with(setup, &[]);
    let mut session = place.session();
    place.waits(&mut session, "create temp table t (id int default public.wiped())");
    passes(&mut session, "create temp table t (id int)");
    passes(&mut session, "insert into t values (1)");
    place.approved(&mut session, "create trigger w before insert on t for each row execute function public.wipe()");
    place.waits(&mut session, "insert into t values (2)");
    place.waits(&mut session, "insert into pg_temp.t values (2)");
    // A temporary view is named as a table is, and runs what it is made of.
    place.waits(&mut session, "create temp view v as select public.wiped() as n");
    assert_eq!(place.orders(), "500");
}

/// Approves what the client waits for next.
fn client(place: &Place, script: &str, approvals: usize) -> Finished {
    let client = started(python(script).arg(place.proxy.url("shop", "shop")));
    for _ in 0..approvals {
        place.proxy.approve_next(&[]);
    }
    Finished::of(client)
}

const ASYNCPG: &str = r#"
import asyncio, sys, asyncpg
async def main():
    connection = await asyncpg.connect(sys.argv[1])
    statement = await connection.prepare("select count(*) from customers where id <= $1")
    print(await statement.fetchval(5), await connection.fetchval("select city from customers where id = $1", 1) is None)
    await connection.execute("do $$ begin perform 1; end $$")
    print(await statement.fetchval(6), await connection.fetchval("select city from customers where id = $1", 1) is None)
    async with connection.transaction():
        await connection.execute("do $$ begin perform 2; end $$")
        print(await statement.fetchval(7))
    print(await statement.fetchval(8))
    await connection.close()
asyncio.run(main())
"#;

const PSYCOPG: &str = r#"
import sys, psycopg
connection = psycopg.connect(sys.argv[1], prepare_threshold=0, autocommit=True)
count = lambda n: connection.execute("select count(*) from customers where id <= %s", [n]).fetchone()[0]
print(count(5), count(6))
connection.execute("do $$ begin perform 1; end $$")
print(count(7))
with connection.transaction():
    print(count(8))
    connection.execute("do $$ begin perform 2; end $$")
    print(count(9))
"#;

#[test]
fn prepared_statements_outlive_code_that_nobody_sees_through() {
    let place = Place::open();
    let asyncpg = client(&place, ASYNCPG, 2);
    assert_eq!((asyncpg.code, asyncpg.stdout.as_str()), (Some(0), "5 False\n6 False\n7\n8\n"), "{}", asyncpg.stderr);
    let psycopg = client(&place, PSYCOPG, 2);
    assert_eq!((psycopg.code, psycopg.stdout.as_str()), (Some(0), "5 6\n7\n8\n9\n"), "{}", psycopg.stderr);
    assert!(place.proxy.holds().is_empty());
}

/// The messages that run a prepared statement.
fn run(name: &str) -> Vec<u8> {
    let text = |text: &str| [text.as_bytes(), &[0]].concat();
    let bind = message(b'B', &[vec![0], text(name), vec![0; 6]].concat());
    [bind, execute(), sync()].concat()
}

fn prepare(name: &str, sql: &str) -> Vec<u8> {
    let text = |text: &str| [text.as_bytes(), &[0]].concat();
    [message(b'P', &[text(name), text(sql), vec![0, 0]].concat()), sync()].concat()
}

#[test]
fn names_are_known_again_for_what_they_are() {
    let place = Place::open_with(
        "create schema evil; create table evil.odds (id int); grant all on schema evil to public; grant all on evil.odds to public",
        &[],
    );
    let mut session = place.session();
    session.raw(&prepare("mine", "select 1"));
    session.reply();
    passes(&mut session, "prepare by_sql as select 2");
    passes(&mut session, "create temp table orders (id int)");
    // The code makes of the names what it likes.
    place.approved(
        &mut session,
        "do $$ begin deallocate mine; execute 'prepare mine as delete from public.orders'; \
         execute 'prepare harmless as select 3'; deallocate by_sql; execute 'prepare by_sql(int) as select $1'; \
         execute 'prepare odd as select E''a\\b'''; drop table pg_temp.orders; \
         create temp table plain (id int, at timestamptz default now()); \
         create temp view looks as select 1 as n; end $$",
    );
    session.raw(&run("harmless"));
    assert_eq!(session.reply().tags, ["SELECT 1"]);
    passes(&mut session, "execute by_sql(7)");
    passes(&mut session, "delete from plain");
    for sql in ["execute mine", "execute odd", "delete from orders where id = 1", "select * from looks"] {
        place.waits(&mut session, sql);
    }
    session.raw(&run("mine"));
    place.proxy.deny_next("no");
    assert_eq!(session.reply().errors[0].code, "42501");
    assert_eq!(place.orders(), "500");
    // The search path that the code has set is the one names resolve with.
    place.approved(&mut session, "do $$ begin set search_path = evil; end $$");
    assert_eq!(place.waits(&mut session, "delete from odds")["search_path"], json!(["evil"]));
    passes(&mut session, "select count(*) from odds");
}

#[test]
fn cursors_that_code_opens_are_known_by_their_text() {
    let setup = "create function open_both() returns void language plpgsql as $$ declare a refcursor := 'reads'; \
                 b refcursor := 'calls'; begin open a for select id from orders; open b for select wiped(); end $$; \
                 create function wiped() returns int language plpgsql as 'begin delete from order_items; return 1; end'";
    let place = Place::open_with(setup, &[]);
    let mut session = place.session();
    session.query("begin");
    place.approved(&mut session, "select open_both()");
    assert_eq!(passes(&mut session, "fetch 2 from reads").rows.len(), 2);
    place.waits(&mut session, "fetch 1 from calls");
    assert_eq!(session.query("rollback").tags, ["ROLLBACK"]);
}

#[test]
fn a_question_of_ours_that_fails_is_none_of_the_clients() {
    // The view cannot be read by this role.
    let setup = "revoke select on pg_catalog.pg_prepared_statements from public; alter role shop nosuperuser";
    let place = Place::open_with(setup, &[]);
    let mut session = place.session();
    for begin in ["select 1", "begin"] {
        passes(&mut session, begin);
        passes(&mut session, "select count(*) from public.customers");
        let reply = place.approved(&mut session, "do $$ begin perform 1; end $$");
        assert_eq!(reply.tags, ["DO"]);
        // Nothing is known of what the code made: a name may mean a view of the session's that runs code.
        let reply = place.approved(&mut session, "select count(*) from customers");
        assert_eq!(reply.tags, ["SELECT 1"]);
        passes(&mut session, "select count(*) from public.customers");
    }
    assert_eq!(session.query("commit").tags, ["COMMIT"]);
}

/// Holds back what the proxy asks the server, until it is rolled back.
fn holding_questions_back(place: &Place) -> Wire {
    let mut blocker = Wire::connect(place.postgres.port(), &[("user", "postgres"), ("database", "shop")]).unwrap();
    passes(&mut blocker, "begin");
    passes(&mut blocker, "lock table pg_catalog.pg_prepared_statements in access exclusive mode");
    blocker
}

/// Waits until a session's backend waits for a lock.
fn wait_for_lock(place: &Place, session: &Wire) {
    let waits = format!("select count(*) from pg_locks where pid = {} and not granted", session.process_id());
    place.proxy.wait_for("the question", || (place.postgres.sql("shop", &waits).unwrap() == "1").then_some(()));
}

#[test]
fn a_cancel_request_during_a_question_of_ours_is_for_what_waits_behind_it() {
    let place = Place::open();
    let mut session = place.session();
    for (begin, status) in [("select 1", b'I'), ("begin", b'E')] {
        passes(&mut session, begin);
        place.approved(&mut session, "do $$ begin perform set_config('search_path', 'public', false); end $$");
        let mut blocker = holding_questions_back(&place);
        session.raw(&[query("select 'cancelled'"), query("select 'not cancelled'")].concat());
        wait_for_lock(&place, &session);
        session.cancel();
        passes(&mut blocker, "rollback");
        let reply = session.reply();
        assert_eq!(
            (reply.errors.len(), reply.errors[0].code.as_str(), reply.status),
            (1, "57014", status),
            "{reply:?}"
        );
        assert!(reply.errors[0].message.starts_with("pgsluice:") && reply.rows.is_empty(), "{reply:?}");
        let next = session.reply();
        if status == b'I' {
            assert_eq!(next.rows, [[Some("not cancelled".to_owned())]], "{next:?}");
        } else {
            assert_eq!((next.errors[0].code.as_str(), next.status), ("25P02", b'E'), "{next:?}");
            assert_eq!(session.query("rollback").status, b'I');
        }
        // The question was answered, so what it asks for is known.
        passes(&mut session, "select count(*) from orders");
    }
}

#[test]
fn a_cancel_request_in_a_question_of_ours_cancels_a_batch_once() {
    let place = Place::open();
    let mut session = place.session();
    place.approved(&mut session, "do $$ begin end $$");
    let mut blocker = holding_questions_back(&place);
    session.raw(&[batch(&["select 1", "select 2"]), batch(&["select 3"])].concat());
    wait_for_lock(&place, &session);
    session.cancel();
    session.cancel();
    passes(&mut blocker, "rollback");
    let reply = session.reply();
    assert_eq!((reply.errors.len(), reply.errors[0].code.as_str(), reply.status), (1, "57014", b'I'), "{reply:?}");
    assert_eq!(session.reply().tags, ["SELECT 1"]);
}

#[test]
fn a_portal_bound_before_an_earlier_batch_is_answered_stays_known() {
    let place = Place::open();
    let mut session = place.session();
    // The end of the first batch arrives between the Bind and the Execute of the second.
    session.raw(&[batch(&["select pg_sleep(0.3)"]), parse("select 1"), bind(&[])].concat());
    let first = session.reply();
    session.raw(&[execute(), sync()].concat());
    let second = session.reply();
    assert_eq!((first.tags, second.tags), (vec!["SELECT 1".to_owned()], vec!["SELECT 1".to_owned()]));
    assert!(place.proxy.holds().is_empty() && second.notices.is_empty(), "{:?}", second.notices);
    // Once it is over, it is not.
    session.raw(&[execute(), sync()].concat());
    place.proxy.deny_next("no portal");
    assert_eq!(session.reply().errors[0].code, "42501");
}

#[test]
fn what_waits_for_its_turn_is_held_when_the_turn_comes() {
    let place = Place::open();
    let mut session = place.session();
    let slow = "select pg_sleep(0.3)";
    // From here on the client is silent, and the server too once it has answered what stands before.
    for messages in [
        [query(slow), query(DELETE)].concat(),
        [batch(&[slow]), batch(&[DELETE])].concat(),
        [query("begin"), query(slow), query(DELETE), query("rollback")].concat(),
    ] {
        session.raw(&messages);
        place.proxy.approve_next(&[]);
        let replies: Vec<_> =
            (0..messages.iter().filter(|byte| **byte == b'Q').count().max(2)).map(|_| session.reply()).collect();
        assert!(replies.iter().any(|reply| reply.tags.iter().any(|tag| tag.starts_with("DELETE"))), "{replies:?}");
        assert!(replies.iter().all(|reply| reply.errors.is_empty()), "{replies:?}");
        assert_eq!(replies.last().unwrap().status, b'I');
    }
    // Behind code that nobody sees through comes a question of ours, and then the hold.
    session.raw(&[query("do $$ begin perform pg_sleep(0.3); end $$"), query(DELETE)].concat());
    place.proxy.approve_next(&[]);
    assert!(session.reply().errors.is_empty());
    place.proxy.approve_next(&[]);
    assert_eq!(session.reply().tags, ["DELETE 0"]);
}

#[test]
fn the_radius_of_execute_is_that_of_what_it_runs() {
    let place = Place::open();
    let mut session = place.session();
    let old = place.postgres.sql("shop", "select count(*) from orders where placed_on < '2023-02-01'").unwrap();
    passes(&mut session, "prepare wipe(date) as delete from orders where placed_on < $1");
    session.raw(&query("execute wipe('2023-02-01')"));
    let hold = place.proxy.deny_next("no");
    session.reply();
    let rows = |hold: &Value| hold["radius"]["rows"]["value"].as_u64().unwrap();
    let relation = |hold: &Value, name: &str| {
        let relations = hold["radius"]["relations"].as_array().unwrap();
        relations.iter().any(|relation| relation["name"] == name)
    };
    assert!(relation(&hold, "orders") && relation(&hold, "order_items"), "{hold}");
    // Estimates, but of the right size.
    let old: u64 = old.parse().unwrap();
    assert!((1..=10 * old).contains(&rows(&hold)), "{old}: {hold}");
    // A value that is computed is any value.
    let any = place.waits(&mut session, "execute wipe(current_date)");
    assert!(rows(&any) > rows(&hold), "{any}");
    // What was prepared by the protocol, and what is prepared in the same message.
    session.raw(&prepare("one", "delete from orders where id = 7"));
    session.reply();
    let one = place.waits(&mut session, "execute one");
    assert!(relation(&one, "orders") && rows(&one) <= 1, "{one}");
    let both = place.waits(&mut session, "prepare two as delete from orders where id = 8; execute two");
    assert!(relation(&both, "orders"), "{both}");
}

#[test]
fn what_the_server_runs_while_it_parses_waits_before_it_is_parsed() {
    let setup = "create function sly(int, int) returns int language plpgsql as \
                 'begin delete from public.order_items; return $1 - $2; end'; \
                 create operator class sly_ops for type int using btree as operator 1 <, operator 2 <=, operator 3 =, \
                 operator 4 >=, operator 5 >, function 1 sly(int, int); \
                 create type sly_range as range (subtype = int, subtype_opclass = sly_ops)";
    let place = Place::open_with(setup, &[]);
    let items = || place.postgres.sql("shop", "select count(*) from order_items").unwrap();
    let before = items();
    let mut session = place.session();
    session.raw(&[parse("select '[1,5)'::sly_range"), sync()].concat());
    place.proxy.deny_next("no");
    let reply = session.reply();
    assert_eq!((reply.errors[0].code.as_str(), reply.status), ("42501", b'I'), "{reply:?}");
    assert_eq!(items(), before);
    // Approved, it is parsed, and waits once more with its values.
    session.raw(&[parse("select '[1,5)'::sly_range"), sync()].concat());
    place.proxy.approve_next(&[]);
    assert_eq!(session.reply().kinds.replace('N', ""), "1Z");
    // The fault is one: this is what parsing alone does.
    assert_eq!(items(), "0");
    session.raw(&[bind(&[]), execute(), sync()].concat());
    place.proxy.deny_next("no");
    assert_eq!(session.reply().errors[0].code, "42501");
}

#[test]
fn what_is_held_open_runs_at_the_commit() {
    let place = Place::open();
    let mut session = place.session();
    // The cursor's query runs when the transaction commits, and was decided on when it was declared.
    passes(&mut session, "begin");
    passes(&mut session, "declare held cursor with hold for select id from orders order by id");
    passes(&mut session, "declare gone cursor for select id from orders order by id");
    passes(&mut session, "commit");
    assert_eq!(passes(&mut session, "fetch 3 from held").rows.len(), 3);
    place.waits(&mut session, "fetch 3 from gone");
    passes(&mut session, "close held");
    place.waits(&mut session, "fetch 3 from held");
    passes(&mut session, "begin");
    passes(&mut session, "declare held cursor with hold for select id from orders order by id");
    passes(&mut session, "rollback");
    place.waits(&mut session, "fetch 3 from held");
}

#[test]
fn two_phase_commands_and_roles_wait() {
    let place = Place::open_with("create role other; grant other to shop", &[]);
    let mut session = place.session();
    session.query("begin");
    place.waits(&mut session, "prepare transaction 'later'");
    session.query("rollback");
    for sql in [
        "set role other",
        "set session authorization other",
        "set session_replication_role = replica",
        "set allow_system_table_mods = on",
        "select set_config('role', 'other', false)",
        "reset role",
    ] {
        place.waits(&mut session, sql);
    }
    for sql in ["set standard_conforming_strings = off", "set client_encoding = 'SJIS'"] {
        let reply = session.query(sql);
        assert_eq!(reply.errors[0].code, "42501", "{sql}: {reply:?}");
    }
    for sql in ["set row_security = off", "set default_transaction_read_only = on", "set client_encoding = 'LATIN1'"] {
        passes(&mut session, sql);
    }
}

#[test]
fn at_login_the_last_of_a_key_counts_and_is_judged() {
    let place = Place::open();
    // Postgres takes the last; what goes to it is what was judged.
    let session = Wire::connect(
        place.proxy.port(),
        &[("user", "postgres"), ("database", "nowhere"), ("user", "shop"), ("database", "shop")],
    );
    let mut session = session.unwrap();
    assert_eq!(passes(&mut session, "select current_user").rows, [[Some("shop".to_owned())]]);
    for startup in [
        &[("options", "-c search_path=public"), ("options", "-c session_replication_role=replica")][..],
        &[("session_replication_role", "replica")],
        &[("client_encoding", "SJIS")],
        &[("standard_conforming_strings", "on"), ("standard_conforming_strings", "off")],
        &[("options", "-O")],
        &[("replication", "database")],
    ] {
        let startup = [&[("user", "shop"), ("database", "shop")], startup].concat();
        let refused = Wire::connect(place.proxy.port(), &startup).unwrap_err();
        assert_eq!(refused.code, "42501", "{startup:?}: {refused:?}");
    }
}

#[test]
fn a_query_behind_the_end_of_a_copy_is_a_query() {
    let place = Place::open();
    let mut session = place.session();
    passes(&mut session, "create temp table lines (line text)");
    // COPY, its data, its end and a DELETE in one write.
    let copy = [query("copy lines from stdin"), message(b'd', b"delete from orders\n"), message(b'c', &[])].concat();
    session.raw(&[copy, query(DELETE)].concat());
    place.proxy.deny_next("no");
    assert_eq!(session.reply().tags, ["COPY 1"]);
    assert_eq!(session.reply().errors[0].code, "42501");
    assert_eq!(place.orders(), "500");
}

/// What a parameter stands for is part of the condition: with these values it is met by every row.
#[test]
fn a_condition_is_judged_with_its_values() {
    let place = Place::open();
    let mut session = place.session();
    let run = |session: &mut Wire, sql: &str, value: &str| {
        session.raw(&[parse(sql), bind(&[value]), execute(), sync()].concat());
    };
    for (sql, all, some) in [
        ("update customers set city = city where id > $1", "0", "5000000"),
        ("update customers set city = city where id <> $1", "-1", "1"),
        ("update customers set city = city where name like $1", "%", "nobody%"),
    ] {
        run(&mut session, sql, some);
        let reply = session.reply();
        assert!(reply.errors.is_empty() && reply.notices.is_empty(), "{sql} with {some}: {reply:?}");
        run(&mut session, sql, all);
        let hold = place.proxy.deny_next("no");
        assert!(hold["reasons"].to_string().contains("with its values"), "{hold}");
        assert_eq!(session.reply().errors[0].code, "42501", "{sql} with {all}");
    }
    // Prepared once, bound again and again; in binary too.
    let text = |text: &str| [text.as_bytes(), &[0]].concat();
    let oid = [&1_u16.to_be_bytes()[..], &23_u32.to_be_bytes()].concat();
    let sql = "update customers set city = city where id > $1";
    session.raw(&[message(b'P', &[text("s"), text(sql), oid].concat()), sync()].concat());
    assert!(session.reply().errors.is_empty());
    for (value, waits) in [(5_000_000_i32, false), (0, true), (5_000_000, false)] {
        let value = [&4_u32.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let values = [&[0, 1, 0, 1, 0, 1][..], &value, &[0, 0]].concat();
        session.raw(&[message(b'B', &[text(""), text("s"), values].concat()), execute(), sync()].concat());
        if waits {
            place.proxy.deny_next("no");
        }
        assert_eq!(session.reply().errors.is_empty(), !waits);
    }
}

#[test]
fn a_copy_that_fails_before_or_behind_its_sync_leaves_the_session_as_it_is() {
    let place = Place::open_with(
        "create view names as select name from customers; create table numbers (n int); grant all on names, numbers to shop",
        &[],
    );
    let mut session = place.session();
    let begun = |sql: &str| [parse(sql), bind(&[]), execute(), sync()].concat();
    // The server has begun to copy when it finds that it cannot; the Sync is not read as part of the copy.
    session.raw(&begun("copy names from stdin"));
    let reply = session.reply();
    assert_eq!((reply.kinds.as_str(), reply.errors[0].code.as_str()), ("12GEZ", "42809"), "{reply:?}");
    passes(&mut session, "select 1");
    // Here it is, and what ends the skipping is the next one.
    session.raw(&begun("copy numbers from stdin"));
    session.raw(&[message(b'd', b"none\n"), message(b'c', &[]), sync()].concat());
    let reply = session.reply();
    assert_eq!((reply.kinds.as_str(), reply.errors[0].code.as_str()), ("12GEZ", "22P02"), "{reply:?}");
    assert_eq!(passes(&mut session, "select 2").rows, [[Some("2".to_owned())]]);
    place.waits(&mut session, DELETE);
}

#[test]
fn what_is_prepared_means_what_was_read_whatever_the_settings_are_by_now() {
    let place = Place::open_with("alter database shop set standard_conforming_strings = off", &[]);
    let mut session = place.session();
    // A backslash is an escape: the DELETE is a statement. Where it is none, all of the first line behind it is a comment.
    let sql = "with a as (select '\\' --'), b as (delete from orders where id = 1 returning 1) select 1 as x from b where '\n\
               ) select 1 as x --' is not null";
    let text = |text: &str| [text.as_bytes(), &[0]].concat();
    let ready = |session: &mut Wire, messages: &[Vec<u8>]| {
        session.raw(&[messages.concat(), sync()].concat());
        session.reply()
    };
    let parse = message(b'P', &[text("s1"), text(sql), vec![0, 0]].concat());
    assert_eq!(ready(&mut session, &[parse]).errors, []);
    assert_eq!(session.query("set standard_conforming_strings = on").tags, ["SET"]);
    let bind = message(b'B', &[text(""), text("s1"), vec![0; 6]].concat());
    session.raw(&[bind, execute(), sync()].concat());
    let hold = place.proxy.deny_next("no");
    assert!(hold["actions"].to_string().contains("delete"), "{hold}");
    assert_eq!(session.reply().errors[0].code, "42501");
    assert_eq!(place.postgres.sql("shop", "select count(*) from orders where id = 1").unwrap(), "1");
}
