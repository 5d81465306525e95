//! Promise: a session's own temporary tables are its own to destroy, as long as they are there and hide nothing else.

use crate::support::place::{Place, batch, passes};
use crate::support::wire::{bind, message, parse, query, sync, text};

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

/// Whoever runs `set_config` by the name of a prepared statement or cursor sets it all the same.
#[test]
fn a_search_path_that_is_set_by_name_hides_nothing_any_more() {
    const SETS: &str = "select set_config('search_path', 'public, pg_temp', false)";
    let place = Place::open();
    let fresh = || {
        let mut session = place.session();
        passes(&mut session, "create temp table orders (id int)");
        session
    };
    for before in [
        &[&format!("prepare p as {SETS}"), "execute p"][..],
        &[&format!("prepare p as {SETS}; execute p")],
        &[&format!("prepare p as {SETS}"), "execute p; set application_name = 'x'"],
        &["begin", &format!("declare c cursor for {SETS}"), "set search_path = pg_temp, public", "fetch c"],
        &["begin", &format!("declare c cursor for {SETS}; set search_path = pg_temp, public; fetch c")],
        &["begin", &format!("declare c cursor for {SETS}"), "set search_path = pg_temp, public", "move 1 from c"],
    ] {
        let mut session = fresh();
        for sql in before {
            passes(&mut session, sql);
        }
        place.waits(&mut session, "delete from orders");
    }
    for sql in [
        &format!("prepare p as {SETS}; execute p; delete from orders"),
        &format!("begin; declare c cursor for {SETS}; set search_path = pg_temp, public; fetch c; delete from orders"),
        &format!("prepare p as {SETS}; execute p; set search_path = pg_temp, public; execute p; delete from orders"),
    ] {
        place.waits(&mut fresh(), sql);
    }
    // The server stops behind the first row, where it was told to, and the statement has run.
    let mut session = fresh();
    let one_row = message(b'E', &[text(""), 1_u32.to_be_bytes().to_vec()].concat());
    session.raw(&[parse(SETS), bind(&[]), one_row, sync()].concat());
    assert!(session.reply().errors.is_empty());
    place.waits(&mut session, "delete from orders");
    assert_eq!(place.orders(), "500");
}

/// What is the session's own to alter reaches beyond it by a call in a definition, at once or when rows are written, and
/// by its parent.
#[test]
fn a_temporary_tables_definition_changes_nothing_else_unasked() {
    let setup = "create type ct as (a int, b text); create table parent (id int); alter table parent owner to shop; \
                 create function public.substring(text, text, text, text) returns text language plpgsql as \
                 'begin delete from public.orders; return null; end'; \
                 create function sly(int, int) returns int language plpgsql as 'begin delete from public.orders; return 0; end'; \
                 create operator class sly_ops for type int using btree as operator 1 <, operator 2 <=, operator 3 =, \
                 operator 4 >=, operator 5 >, function 1 sly(int, int)";
    let place = Place::open_with(setup, &[]);
    let mut session = place.session();
    passes(&mut session, "create temp table t (c text, d bigint)");
    passes(&mut session, "insert into t values ('x', 1)");
    for sql in [
        "alter table pg_temp.t alter column c type text using set_config('app.tenant', 'other', false)",
        "alter table t alter column c type text using set_config('role', 'postgres', false)",
        "alter table t alter column d type bigint using setval('public.orders_id_seq', 7)",
        "alter table t alter column c type text using substring(c, c, c, c)",
        "create temp table k of public.ct (b default set_config('app.tenant', 'y', false))",
        "create temp table k (a text default set_config('search_path', 'public, pg_temp', false), b int)",
        "create temp table k (b int check (set_config('search_path', 'public, pg_temp', false) is not null))",
        "alter table pg_temp.t inherit public.parent",
        "alter table t inherit parent",
        "create index on t (d public.sly_ops)",
        "alter table t add exclude using btree (d sly_ops with =)",
        "create temp table k (a int, exclude using btree (a public.sly_ops with =))",
        "create temp table k (a int) partition by range (a sly_ops)",
    ] {
        place.waits(&mut session, sql);
    }
    for sql in [
        "alter table t alter column c type varchar(20) using trim(c)",
        "alter table t add column e int default 1, add check (d > 0)",
        "create temp table p (a text) partition by range (a text_pattern_ops)",
        "alter table pg_temp.t rename to u",
        "create temp table base (c int); create temp table derived () inherits (base)",
    ] {
        passes(&mut session, sql);
    }
    // Whoever is let keep such a call is asked again when it runs.
    passes(&mut session, "create temp table orders (id int)");
    place.approved(
        &mut session,
        "create temp table kept (a text default set_config('search_path', 'public, pg_temp', false), b int)",
    );
    passes(&mut session, "set search_path = public");
    place.waits(&mut session, "insert into kept (b) values (1)");
    assert_eq!(place.orders(), "500");
}

/// Types of a session's own come before those of the server, like its tables.
#[test]
fn a_temporary_type_counts_as_what_it_runs() {
    let setup = "create function public.wiped() returns int language plpgsql as 'begin delete from public.orders; return 1; end'; \
                 create domain public.checked as int check (public.wiped() = 1)";
    let place = Place::open_with(setup, &[]);
    for (made, uses) in [
        ("create domain pg_temp.text as pg_catalog.text check (public.wiped() = 1)", "select 'x'::text"),
        ("do $$ begin create domain pg_temp.own as int check (public.wiped() = 1); end $$", "select '1'::own"),
        ("do $$ begin create domain pg_temp.own as int check (public.wiped() = 1); end $$", "select '{1}'::_own"),
        (
            "create type pg_temp.spans as range (subtype = public.checked, multirange_type_name = pg_temp.text)",
            "select '{[1,2)}'::text",
        ),
    ] {
        let mut session = place.session();
        place.approved(&mut session, made);
        place.waits(&mut session, uses);
        passes(&mut session, "select '1'::int");
    }
    assert_eq!(place.orders(), "500");
}
