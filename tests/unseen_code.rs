//! Promise: after code that nobody sees through, the server is asked what the session's names mean by now, and the client does
//! not notice.

use serde_json::json;

use crate::support::place::{Place, batch, passes};
use crate::support::wire::{Wire, bind_named, execute, parse_as, query, sync};
use crate::support::{Finished, python, started};

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
    [bind_named(name), execute(), sync()].concat()
}

#[test]
fn names_are_known_again_for_what_they_are() {
    let place = Place::open_with(
        "create schema evil; create table evil.odds (id int); grant all on schema evil to public; grant all on evil.odds to public",
        &[],
    );
    let mut session = place.session();
    session.raw(&[parse_as("mine", "select 1"), sync()].concat());
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
        // Within its transaction a permanent table may be another one by now.
        let again = "select count(*) from public.customers";
        let reply = if begin == "begin" { place.approved(&mut session, again) } else { passes(&mut session, again) };
        assert_eq!(reply.tags, ["SELECT 1"]);
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
