//! Promise: what a session did before is part of what its statements mean: its portals, prepared statements, cursors and
//! settings are followed as the server has them.

use serde_json::Value;

use crate::support::place::{DELETE, Place, batch, passes};
use crate::support::wire::{Wire, bind, bind_named, execute, message, parse, parse_as, query, sync, text};

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
    session.raw(&[parse_as("one", "delete from orders where id = 7"), sync()].concat());
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
    session.raw(&[parse_as("s1", sql), sync()].concat());
    assert_eq!(session.reply().errors, []);
    assert_eq!(session.query("set standard_conforming_strings = on").tags, ["SET"]);
    session.raw(&[bind_named("s1"), execute(), sync()].concat());
    let hold = place.proxy.deny_next("no");
    assert!(hold["actions"].to_string().contains("delete"), "{hold}");
    assert_eq!(session.reply().errors[0].code, "42501");
    assert_eq!(place.postgres.sql("shop", "select count(*) from orders where id = 1").unwrap(), "1");
}

/// `EXPLAIN ANALYZE DECLARE` runs the query and leaves no cursor: the name goes on standing for what it stood for.
#[test]
fn what_explain_analyzes_is_no_cursor() {
    let place = Place::open();
    let mut session = place.session();
    let bound = message(b'B', &[text("c"), text(""), vec![0; 6]].concat());
    let whole = message(b'E', &[text("c"), vec![0; 4]].concat());
    for explain in
        ["explain analyze declare c cursor for select 1", "explain (analyze, verbose) declare c cursor for select 1"]
    {
        passes(&mut session, "begin");
        session.raw(&[parse("delete from order_items returning *"), bound.clone(), sync()].concat());
        let reply = session.reply();
        assert!(reply.errors.is_empty(), "{reply:?}");
        passes(&mut session, explain);
        session.raw(&[whole.clone(), sync()].concat());
        place.proxy.deny_next("still the delete");
        assert_eq!(session.reply().errors[0].code, "42501");
        passes(&mut session, "rollback");

        passes(&mut session, "begin");
        session.raw(&[parse("delete from order_items returning *"), bound.clone(), sync()].concat());
        let reply = session.reply();
        assert!(reply.errors.is_empty(), "{reply:?}");
        place.waits(&mut session, &format!("{explain}; fetch all from c"));
        passes(&mut session, "rollback");
    }
    assert_ne!(place.postgres.sql("shop", "select count(*) from order_items").unwrap(), "0");
}

#[test]
fn a_name_beyond_ascii_is_another_one_in_another_encoding() {
    // Parse, Bind and Execute with names of bytes.
    let parse_into = |name: &[u8], sql: &str| message(b'P', &[name, &[0], &text(sql)[..], &[0, 0]].concat());
    let bind_to = |portal: &[u8], name: &[u8]| message(b'B', &[portal, &[0], name, &[0; 7]].concat());
    let execute_portal = |portal: &[u8]| message(b'E', &[portal, &[0; 5]].concat());
    let name = "ä".as_bytes();
    let place = Place::open();
    let before = place.orders();
    let mut session = place.session();
    let all = |session: &mut Wire, messages: &[Vec<u8>]| {
        session.raw(&[messages.concat(), sync()].concat());
        session.reply()
    };
    let waits = |session: &mut Wire, messages: &[Vec<u8>]| {
        session.raw(&[messages.concat(), sync()].concat());
        place.proxy.deny_next("no");
        assert_eq!(session.reply().errors[0].code, "42501");
    };
    // In UTF-8 they are what they are.
    all(&mut session, &[parse_into(name, "select 1")]);
    let reply = all(&mut session, &[bind_to(name, name), execute_portal(name)]);
    assert_eq!(reply.tags, ["SELECT 1"], "{reply:?}");
    // The same bytes are the name of another statement in Latin 1, and what they stood for before is known no more.
    passes(&mut session, "set client_encoding = 'latin1'");
    assert!(all(&mut session, &[parse_into(name, "truncate orders")]).errors.is_empty());
    passes(&mut session, "set client_encoding = 'utf8'");
    waits(&mut session, &[bind_to(b"", name), execute()]);
    assert!(all(&mut session, &[message(b'C', &[&b"S"[..], name, &[0]].concat())]).errors.is_empty());
    assert!(all(&mut session, &[parse_into(name, "select 1")]).errors.is_empty());
    passes(&mut session, "set client_encoding = 'latin1'");
    waits(&mut session, &[bind_to(b"", name), execute()]);
    // Portals too.
    passes(&mut session, "begin");
    assert!(all(&mut session, &[parse_as("d", "truncate orders"), bind_to(name, b"d")]).errors.is_empty());
    passes(&mut session, "set client_encoding = 'utf8'");
    assert!(all(&mut session, &[parse_as("s", "select 1"), bind_to(name, b"s")]).errors.is_empty());
    passes(&mut session, "set client_encoding = 'latin1'");
    waits(&mut session, &[execute_portal(name)]);
    session.query("rollback");
    // In one batch, in which the server does not say what the encoding is: what a name stood for last is not what it stands for.
    let mut session = place.session();
    let run = |sql: &str| [parse(sql), bind(&[]), execute()].concat();
    let (latin1, utf8) = (run("set client_encoding = 'latin1'"), run("set client_encoding = 'utf8'"));
    let (truncate, select) = (parse_into(name, "truncate orders"), parse_into(name, "select 1"));
    waits(&mut session, &[latin1.clone(), truncate, utf8, select, latin1, bind_to(b"", name), execute()]);
    assert_eq!(place.orders(), before);
}

#[test]
fn within_a_batch_the_encoding_is_not_known_until_the_server_says_it() {
    let setup = "create function sly() returns int language plpgsql as 'begin delete from public.order_items; return 1; end'; \
                 create view \"Ã¤\" as select sly(); create view \"ä\" as select 1; \
                 grant select on \"Ã¤\", \"ä\" to public";
    let place = Place::open_with(setup, &[]);
    let mut session = place.session();
    let steps =
        |texts: &[&str]| texts.iter().flat_map(|sql| [parse(sql), bind(&[]), execute()].concat()).collect::<Vec<_>>();
    // What reads `ä` before is `Ã¤` behind it, and the server says so at the end only.
    for changes in [
        &["set client_encoding = 'latin1'"][..],
        &["reset client_encoding", "select set_config('client_encoding', 'latin1', false)"],
    ] {
        session.raw(&[steps(changes), steps(&["select 'ä'", "select * from \"ä\""]), sync()].concat());
        place.proxy.deny_next("no");
        assert_eq!(session.reply().errors[0].code, "42501", "{changes:?}");
    }
    passes(&mut session, "begin");
    passes(&mut session, "set client_encoding = 'latin1'");
    session.raw(&[steps(&["rollback", "select * from \"ä\""]), sync()].concat());
    place.proxy.deny_next("no");
    assert_eq!(session.reply().errors[0].code, "42501");
    // Once it has said so, names are read again.
    let reply = session.query("select 1 as \"ä\"");
    assert_eq!(reply.tags, ["SELECT 1"], "{reply:?}");
}

#[test]
fn names_in_an_encoding_that_is_not_decoded_wait() {
    let setup = "create function sly() returns int language plpgsql as 'begin delete from public.order_items; return 1; end'; \
                 create view \"größe\" as select sly(); grant select on \"größe\" to public; \
                 create schema \"wïpe\"; grant usage on schema \"wïpe\" to public";
    let place = Place::open_with(setup, &[]);
    let mut session = place.session();
    let bytes = |sql: &str| -> Vec<u8> { sql.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin 1")).collect() };
    let send = |session: &mut Wire, sql: &str| session.raw(&message(b'Q', &[&bytes(sql)[..], &[0]].concat()));
    passes(&mut session, "set client_encoding = 'win1252'");
    for sql in [
        "select * from \"größe\"",
        "select * from größe",
        "select o.\"wïpe\" from orders o",
        "prepare \"ä\" as select 1",
        "create temp table \"ä\" (a int)",
    ] {
        send(&mut session, sql);
        place.proxy.deny_next("no");
        assert_eq!(session.reply().errors[0].code, "42501", "{sql}");
    }
    // What is no name may be anything.
    send(&mut session, "select 'größe' /* größe */ -- größe");
    let reply = session.reply();
    assert!(reply.errors.is_empty() && reply.tags == ["SELECT 1"], "{reply:?}");
}
