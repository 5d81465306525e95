//! Promise: what a session did before is part of what its statements mean: its time limits, its temporary tables, its
//! names and settings are followed as the server has them.

use std::time::Instant;

use pgsluice::cli::demo::throwaway::Throwaway;
use serde_json::{Value, json};

use crate::support::wire::{Reply, Wire, bind, execute, parse, query, sync};
use crate::support::{Proxy, shop};

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
