//! Promise: with `enforce_reads = "server"` the server itself refuses to do more than read where a statement was taken
//! for a read, and the client cannot tell: it gets byte for byte what it would get without.

use pgsluice::cli::demo::throwaway::Throwaway;

use crate::support::wire::{Message, Reply, Wire, message, query, sync};
use crate::support::{Proxy, shop};

/// A proxy for which the role `shop` is an agent, or a service.
fn proxy(postgres: &Throwaway, kind: &str) -> (Proxy, tempfile::TempDir) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("pgsluice.toml");
    std::fs::write(&file, format!("[[identity]]\nname = \"shop\"\nkind = \"{kind}\"\n")).unwrap();
    (Proxy::start_with(postgres, &["--config", file.to_str().unwrap()]), place)
}

fn session(proxy: &Proxy) -> Wire {
    Wire::connect(proxy.port(), &[("user", "shop"), ("database", "shop")]).unwrap()
}

/// All messages up to the given number of ReadyForQuery.
fn messages(session: &mut Wire, readies: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut seen = 0;
    while seen < readies {
        let message = session.read().expect("the session goes on");
        assert!(!message.report().is_some_and(|report| report.is_hold()), "held: {message:?}");
        seen += usize::from(message.kind == b'Z');
        messages.push(message);
    }
    messages
}

// Messages of the extended protocol, with names.

fn text(string: &str) -> Vec<u8> {
    [string.as_bytes(), &[0]].concat()
}

fn parse(name: &str, sql: &str) -> Vec<u8> {
    message(b'P', &[text(name), text(sql), vec![0, 0]].concat())
}

fn bind(portal: &str, name: &str) -> Vec<u8> {
    message(b'B', &[text(portal), text(name), vec![0; 6]].concat())
}

fn execute(portal: &str, rows: i32) -> Vec<u8> {
    message(b'E', &[&text(portal)[..], &rows.to_be_bytes()].concat())
}

fn describe(kind: u8, name: &str) -> Vec<u8> {
    message(b'D', &[&[kind][..], &text(name)].concat())
}

fn close(kind: u8, name: &str) -> Vec<u8> {
    message(b'C', &[&[kind][..], &text(name)].concat())
}

fn flush() -> Vec<u8> {
    message(b'H', &[])
}

/// Parsed, bound, described and executed, unnamed.
fn whole(sql: &str) -> Vec<u8> {
    [parse("", sql), bind("", ""), describe(b'P', ""), execute("", 0)].concat()
}

/// What is sent in one write, and how many ReadyForQuery answer it.
fn steps() -> Vec<(Vec<u8>, usize)> {
    let mut steps = Vec::new();
    let mut simple = |sql: &str| steps.push((query(sql), 1));
    for sql in [
        "select 1",
        "",
        ";",
        "select id, name from customers order by id limit 3",
        "select 1; select 2; select 'x'",
        "select 1; select 1/0; select 2",
        "select 1/0",
        "select * from missing",
        "values (1), (2)",
        "table customers limit 0",
        "explain (costs off) select * from customers",
        "explain (analyze, costs off, timing off, summary off) select 1",
        "copy (select id from customers order by id limit 3) to stdout",
        "copy (select 1/0) to stdout",
        "show transaction_read_only",
        "select current_setting('transaction_read_only')",
        "select setting from pg_settings where name = 'transaction_read_only'",
        "select name from pg_prepared_statements",
        "select name from pg_cursors",
        "create temp sequence s; select nextval('s')",
        "select nextval('s'), currval('s')",
        "insert into order_items values (1, 100, 'lamp', 1, 2.50)",
        "select count(*) from order_items where line = 100",
        "select id from customers where id = 1 for update",
        "select pg_advisory_lock(1)",
        "select pg_advisory_unlock(1)",
        "set application_name = 'x'",
        "reset application_name",
        "listen here",
        "unlisten *",
        "declare c cursor for select 1",
        "declare held cursor with hold for select id from customers order by id limit 5",
        "fetch 2 from held",
        "move 1 in held",
        "fetch all from held",
        "close held",
        "prepare p as select count(*) from customers where id < $1",
        "execute p(5)",
        "execute p('x')",
        "deallocate p",
        "begin",
        "select 1",
        "show transaction_read_only",
        "declare c cursor for select id from customers order by id limit 5",
        "fetch 2 from c",
        "savepoint mine",
        "select 1/0",
        "select 1",
        "rollback to mine",
        "fetch 2 from c",
        "insert into order_items values (1, 101, 'lamp', 1, 2.50)",
        "select count(*) from order_items where line = 101",
        "copy (select id from customers order by id limit 2) to stdout",
        "release mine",
        "fetch all from c",
        "commit",
        "begin isolation level serializable",
        "select 1",
        "set transaction read only",
        "commit",
        "begin; select 1; select 2",
        "select 3; commit",
        "begin",
        "select 1/0",
        "commit",
        "begin",
        "select 1",
        "rollback",
        "set default_transaction_isolation = 'serializable'",
        "set default_transaction_deferrable = on",
        "select 1",
        "show transaction_isolation",
        "reset all",
    ] {
        simple(sql);
    }
    let mut batch = |messages: &[Vec<u8>]| steps.push(([&messages.concat()[..], &sync()].concat(), 1));
    batch(&[whole("select 1")]);
    batch(&[parse("one", "select id from customers order by id limit 5"), describe(b'S', "one")]);
    batch(&[bind("", "one"), execute("", 0)]);
    batch(&[bind("", "one"), execute("", 0), bind("", "one"), execute("", 0)]);
    // A portal that is suspended: within its batch it goes on, behind it it is gone.
    batch(&[bind("p", "one"), execute("p", 2), execute("p", 2), execute("p", 0), close(b'P', "p")]);
    batch(&[bind("p", "one"), execute("p", 2)]);
    batch(&[bind("", "one"), execute("", 2)]);
    batch(&[whole("select 1/0"), whole("select 2")]);
    batch(&[whole("select 1"), whole("select 1/0"), whole("select 2")]);
    batch(&[whole("select 1"), whole("insert into order_items values (1, 102, 'lamp', 1, 2.50)"), whole("select 2")]);
    batch(&[whole("insert into order_items values (1, 103, 'lamp', 1, 2.50)"), whole("select 1/0")]);
    batch(&[whole("select 1"), whole("insert into order_items values (1, 104, 'lamp', 1, 2.50)"), whole("select 1/0")]);
    batch(&[whole("select count(*) from order_items where line > 100")]);
    batch(&[whole("copy (select id from customers order by id limit 3) to stdout"), whole("select 2")]);
    batch(&[whole("show transaction_read_only"), whole("select 1"), whole("show transaction_read_only")]);
    batch(&[whole("declare c cursor for select 1")]);
    batch(&[whole("")]);
    batch(&[]);
    batch(&[whole("begin"), whole("select 1"), whole("select 2")]);
    batch(&[bind("p", "one"), execute("p", 2)]);
    batch(&[execute("p", 2)]);
    batch(&[bind("", "one"), execute("", 2)]);
    batch(&[execute("", 2), whole("insert into order_items values (1, 105, 'lamp', 1, 2.50)"), execute("p", 0)]);
    batch(&[bind("q", "one")]);
    batch(&[describe(b'P', "q"), execute("q", 1)]);
    batch(&[whole("declare c cursor for select id from customers order by id"), whole("fetch 3 from c")]);
    batch(&[whole("select 1/0"), whole("select 2")]);
    batch(&[whole("select 2")]);
    batch(&[whole("rollback")]);
    batch(&[whole("begin"), whole("select 1"), whole("commit"), whole("select 2")]);
    batch(&[
        whole("select 1"),
        whole("begin"),
        whole("select 2"),
        whole("insert into order_items values (1, 106, 'l', 1, 1)"),
    ]);
    batch(&[whole("select count(*) from order_items where line = 106"), whole("rollback")]);
    batch(&[whole("select count(*) from order_items where line = 106")]);
    batch(&[close(b'S', "one")]);
    // Several at once.
    let at_once = |parts: &[Vec<u8>]| (parts.concat(), parts.len());
    let ended = |sql: &str| [whole(sql), sync()].concat();
    steps.push(at_once(&[ended("select 1"), ended("select 2"), ended("select 1/0"), ended("select 3")]));
    steps.push(at_once(&[query("select 1"), query("select 2"), query("begin"), query("select 3"), query("rollback")]));
    steps.push(at_once(&[
        ended("begin"),
        ended("select 1"),
        ended("select 1/0"),
        ended("select 2"),
        ended("rollback"),
    ]));
    // A query in the middle of a batch ends that.
    steps.push(([parse("two", "select 2"), query("select 1")].concat(), 1));
    steps.push(([whole("select 2"), query("select 1")].concat(), 1));
    steps.push(([whole("select 2"), query("insert into order_items values (1, 107, 'l', 1, 1)")].concat(), 1));
    steps.push(([whole("select 2"), query("select 1/0"), sync()].concat(), 2));
    steps.push((query("select 1"), 1));
    steps
}

#[test]
fn the_client_gets_byte_for_byte_what_it_gets_without() {
    let mut answers = Vec::new();
    for kind in ["service", "agent"] {
        // A server each: what one changes is not there for the other.
        let postgres = shop();
        let (proxy, _place) = proxy(&postgres, kind);
        let mut session = session(&proxy);
        let mut all = Vec::new();
        for (bytes, readies) in steps() {
            session.raw(&bytes);
            all.push(messages(&mut session, readies));
        }
        // Answers come when they are asked for, not only at the end of a batch.
        session.raw(&[parse("", "select 1"), describe(b'S', ""), flush()].concat());
        assert_eq!((0..3).map(|_| char::from(session.read().unwrap().kind)).collect::<String>(), "1tT");
        session.raw(&[bind("", ""), execute("", 0), flush()].concat());
        assert_eq!((0..3).map(|_| char::from(session.read().unwrap().kind)).collect::<String>(), "2DC");
        session.raw(&sync());
        assert_eq!(session.read().unwrap().body, b"I");
        assert!(proxy.holds().is_empty());
        answers.push(all);
    }
    for (index, (bytes, _)) in steps().into_iter().enumerate() {
        let sent = String::from_utf8_lossy(&bytes).replace('\0', " ");
        assert_eq!(answers[0][index], answers[1][index], "step {index}: {sent}");
    }
}

/// Makes a function that a read calls from now on without the proxy knowing of it yet: the read is taken for what it
/// was a moment ago.
const LIE: &str = "create function public.lower(varchar) returns text language plpgsql as \
                   'begin delete from public.order_items; delete from public.orders; return ''gone''; end'";
const READ: &str = "select lower('X'::varchar)";

/// Reads replies; a statement that is held is cancelled. The replies, and whether any was.
fn replies(wire: &mut Wire, readies: usize) -> (Vec<Reply>, bool) {
    let mut held = false;
    let replies = (0..readies).map(|_| {
        wire.reply_with(|wire, message| {
            if message.report().is_some_and(|report| report.is_hold()) && !held {
                held = true;
                wire.cancel();
            }
        })
    });
    (replies.collect(), held)
}

/// Sends messages with the fault in place, until the proxy does not see it coming.
fn deceived(postgres: &Throwaway, proxy: &Proxy, messages: &[u8], readies: usize) -> Vec<Reply> {
    for _ in 0..20 {
        let mut wire = session(proxy);
        assert_eq!(wire.query(READ).tags, ["SELECT 1"]);
        postgres.sql("shop", LIE).unwrap();
        wire.raw(messages);
        let (ended, held) = replies(&mut wire, readies);
        postgres.sql("shop", "drop function public.lower(varchar)").unwrap();
        if !held {
            return ended;
        }
        proxy.wait_for("the proxy to see that the function is gone", || {
            let mut wire = session(proxy);
            wire.raw(&query(READ));
            (!replies(&mut wire, 1).1).then_some(())
        });
    }
    panic!("the proxy saw the function each time");
}

#[test]
fn what_only_seems_to_be_a_read_is_stopped_by_the_server() {
    let declare = query(&format!("declare c cursor for {READ}"));
    let ways = [
        ("simple", query(READ), 1),
        ("two in one message", query(&format!("select 1; {READ}")), 1),
        ("extended", [whole(READ), sync()].concat(), 1),
        ("batch", [whole("select 1"), whole(READ), sync()].concat(), 1),
        ("query in a batch", [parse("", "select 1"), query(READ)].concat(), 1),
        ("within a transaction", [query("begin"), query(READ)].concat(), 2),
        ("batch in a transaction", [query("begin"), whole(READ), sync()].concat(), 2),
        ("batch that begins one", [whole("begin"), whole(READ), sync()].concat(), 1),
        ("cursor", [query("begin"), declare, query("fetch 1 from c")].concat(), 3),
        ("COPY", query(&format!("copy ({READ}) to stdout")), 1),
        ("EXPLAIN ANALYZE", query(&format!("explain analyze {READ}")), 1),
        ("EXECUTE", [query(&format!("prepare p as {READ}")), query("execute p")].concat(), 2),
    ];
    let postgres = shop();
    let (guarded, _place) = proxy(&postgres, "agent");
    let orders = || postgres.sql("shop", "select count(*) from orders").unwrap();
    let before = orders();
    for (name, messages, readies) in &ways {
        let replies = deceived(&postgres, &guarded, messages, *readies);
        let errors: Vec<_> = replies.iter().flat_map(|reply| &reply.errors).collect();
        assert!(errors.len() == 1 && errors[0].code == "25006", "{name}: {replies:?}");
        assert_eq!(orders(), before, "{name}");
    }
    // Without, it happens: the fault is one.
    let (unguarded, _place) = proxy(&postgres, "service");
    let replies = deceived(&postgres, &unguarded, &ways[0].1, 1);
    assert_eq!((replies[0].tags.as_slice(), orders()), (&["SELECT 1".to_owned()][..], "0".to_owned()));
}

#[test]
fn a_cancel_request_ends_a_guarded_read_and_nothing_else() {
    let postgres = shop();
    let (proxy, _place) = proxy(&postgres, "agent");
    let mut wire = session(&proxy);
    for (begin, status) in [("select 1", b'I'), ("begin", b'E')] {
        wire.query(begin);
        wire.raw(&query("select pg_sleep(30)"));
        let running = "select 1 from pg_stat_activity where query = 'select pg_sleep(30)' and state = 'active'";
        proxy.wait_for("the read", || (postgres.sql("shop", running).unwrap() == "1").then_some(()));
        wire.cancel();
        let reply = wire.reply();
        assert_eq!((reply.errors[0].code.as_str(), reply.status), ("57014", status), "{reply:?}");
    }
    assert_eq!(wire.query("rollback").status, b'I');
    assert_eq!(wire.query("select 1").tags, ["SELECT 1"]);
}
