//! Promise: a DELETE waits until a person has seen what it would do and decided; what is not
//! approved never runs, and client and server stay in step.

use nix::sys::signal::Signal;
use pgsluice::cli::demo::throwaway::Throwaway;
use serde_json::{Value, json};

use crate::support::wire::{Reply, Wire, bind, execute, parse, query, sync};
use crate::support::{Finished, Proxy, finished, psql, python, shop, started};

const DELETE: &str = "delete from orders where placed_on < '2023-02-01'";
const COUNT: &str = "select (select count(*) from orders) || '/' || (select count(*) from order_items)";

/// A shop, the proxy in front of it, and how many rows there are to lose.
struct Counter {
    // Dropped first: the proxy ends before its upstream.
    proxy: Proxy,
    postgres: Throwaway,
    before: String,
}

impl Counter {
    fn open() -> Self {
        Self::open_with(&[])
    }

    fn open_with(arguments: &[&str]) -> Self {
        let postgres = shop();
        let before = postgres.sql("shop", COUNT).unwrap();
        Self { proxy: Proxy::start_with(&postgres, arguments), postgres, before }
    }

    fn session(&self) -> Wire {
        Wire::connect(self.proxy.port(), &[("user", "shop"), ("database", "shop")]).unwrap()
    }

    fn url(&self) -> String {
        self.proxy.url("shop", "shop")
    }

    fn count(&self) -> String {
        self.postgres.sql("shop", COUNT).unwrap()
    }

    /// How many orders [`DELETE`] would delete.
    fn old_orders(&self) -> u64 {
        self.postgres.sql("shop", &DELETE.replace("delete", "select count(*)")).unwrap().parse().unwrap()
    }

    #[track_caller]
    fn unchanged(&self) {
        assert_eq!(self.count(), self.before);
    }
}

/// The one error of a reply, which must be ours.
#[track_caller]
fn refusal(reply: &Reply) -> (&str, &str) {
    assert_eq!(reply.errors.len(), 1, "{reply:?}");
    let error = &reply.errors[0];
    assert!(error.message.starts_with("pgsluice:"), "{error:?}");
    (&error.code, &error.message)
}

#[test]
fn psql_waits_and_an_approval_lets_it_run() {
    let counter = Counter::open();
    let orders = counter.old_orders();
    let client = started(psql(&counter.url()).args(["-c", DELETE]));
    let hold = counter.proxy.held();
    let id = hold["id"].as_str().unwrap();
    assert_eq!((&hold["sql"], &hold["identity"], &hold["database"]), (&json!(DELETE), &json!("shop"), &json!("shop")));
    assert_eq!((&hold["state"], &hold["in_transaction"]), (&json!("pending"), &json!(false)));
    let mut shown: Value = serde_json::from_str(&counter.proxy.done(&["holds", "show", id, "--json"])).unwrap();
    // What is true only now is asked for one hold at a time.
    let blockers = shown.as_object_mut().unwrap().remove("blockers").unwrap();
    assert_eq!((shown, &blockers["sessions"]), (hold.clone(), &json!([])), "{blockers}");
    counter.unchanged();

    let to_read = counter.proxy.done(&["holds", "show", id]);
    for part in [id, DELETE, "orders", "order_items", "cascade", "orders_audit", "log_it", "shop"] {
        assert!(to_read.contains(part), "{part} is missing in {to_read}");
    }
    counter.proxy.done(&["holds", "approve", id, "--reason", "they are old"]);
    let client = Finished::of(client);
    assert_eq!((client.code, client.stdout), (Some(0), format!("DELETE {orders}\n")));
    assert!(client.stderr.contains(&format!("NOTICE:  pgsluice: held as {id}")), "{}", client.stderr);
    assert_eq!(counter.postgres.sql("shop", "select count(*) from orders_log").unwrap(), orders.to_string());
    assert!(counter.proxy.holds().is_empty());
}

#[test]
fn the_radius_names_tables_rows_cascades_and_triggers() {
    let counter = Counter::open();
    let mut session = counter.session();
    session.raw(&query(DELETE));
    let hold = counter.proxy.deny_next("only looking");
    let radius = hold["radius"].clone();
    session.reply();

    let touched = |name: &str| {
        let relations = radius["relations"].as_array().unwrap();
        relations.iter().find(|relation| relation["name"] == name).unwrap_or_else(|| panic!("{name} in {radius}"))
    };
    let orders = touched("orders");
    assert_eq!(
        (&orders["schema"], &orders["action"], &orders["via"], &orders["lock"]),
        (&json!("public"), &json!("delete"), &json!("statement"), &json!("RowExclusiveLock"))
    );
    let items = touched("order_items");
    assert_eq!((&items["action"], &items["via"]), (&json!("delete"), &json!("cascade")));
    // Estimates, but of the right size: a table of 500 orders, of which some 15 are old.
    for rows in [&radius["rows"], &orders["rows"]] {
        let value = rows["value"].as_u64().unwrap();
        assert!((1..=100).contains(&value), "{rows}");
        assert!(["exact", "planner", "statistics"].contains(&rows["basis"].as_str().unwrap()), "{rows}");
    }
    assert_eq!((&hold["risk"], &hold["reversible"]), (&json!("high"), &json!(false)));
    let rules: Vec<&str> = hold["risks"].as_array().unwrap().iter().filter_map(|risk| risk["rule"].as_str()).collect();
    assert!(rules.contains(&"cascades") && rules.contains(&"delete-rows"), "{rules:?}");
    let trigger = &radius["triggers"][0];
    assert_eq!((&trigger["name"], &trigger["function"]), (&json!("orders_audit"), &json!("public.log_it()")));
}

#[test]
fn the_radius_is_that_of_the_text_at_hand_where_one_like_it_was_decided_before() {
    let counter = Counter::open();
    let mut session = counter.session();
    let few = "DELETE FROM orders WHERE customer_id = 1";
    // As far as the first one went, this one is a DELETE of everything.
    let shifted = format!("{}{few}", " ".repeat(" WHERE customer_id = 1".len()));
    let rows: Vec<Value> = [few, shifted.as_str()]
        .into_iter()
        .map(|sql| {
            session.raw(&query(sql));
            let hold = counter.proxy.deny_next("only looking");
            session.reply();
            hold["radius"]["rows"].clone()
        })
        .collect();
    assert!(rows[0]["value"].as_u64().is_some_and(|rows| rows < 100), "{rows:?}");
    assert_eq!(rows[0], rows[1]);
}

#[test]
fn a_denial_is_an_error_with_detail_and_hint() {
    let counter = Counter::open();
    let mut session = counter.session();
    session.raw(&query(DELETE));
    counter.proxy.deny_next("not on a Friday");
    let reply = session.reply();
    assert_eq!(refusal(&reply).0, "42501");
    let error = &reply.errors[0];
    assert_eq!(error.severity, "ERROR");
    assert!(format!("{error:?}").contains("not on a Friday"), "{error:?}");
    assert!(error.detail.is_some() && error.hint.is_some(), "{error:?}");
    assert_eq!(reply.status, b'I');
    counter.unchanged();
    assert_eq!(session.query("select 1").tags, ["SELECT 1"]);
}

#[test]
fn in_a_transaction_a_denial_fails_the_transaction() {
    let counter = Counter::open();
    let mut session = counter.session();
    session.query("begin");
    assert_eq!(session.query("update customers set city = 'Graz' where id = 1").status, b'T');
    session.raw(&query(DELETE));
    assert_eq!(counter.proxy.deny_next("no")["in_transaction"], true);
    let reply = session.reply();
    assert_eq!((refusal(&reply).0, reply.status), ("42501", b'E'));
    assert_eq!(session.query("select 1").errors[0].code, "25P02");
    assert_eq!(session.query("commit").tags, ["ROLLBACK"]);
    assert_ne!(counter.postgres.sql("shop", "select city from customers where id = 1").unwrap(), "Graz");
    counter.unchanged();
}

#[test]
fn in_a_transaction_an_approved_statement_still_rolls_back() {
    let counter = Counter::open();
    let mut session = counter.session();
    session.query("begin");
    session.raw(&query(DELETE));
    counter.proxy.approve_next(&[]);
    assert_eq!(session.reply().tags, [format!("DELETE {}", counter.old_orders())]);
    assert_eq!(session.query("rollback").tags, ["ROLLBACK"]);
    counter.unchanged();
}

#[test]
fn an_approval_is_used_once() {
    let counter = Counter::open();
    let mut session = counter.session();
    session.raw(&query("delete from orders where id = 1"));
    counter.proxy.approve_next(&[]);
    assert_eq!(session.reply().tags, ["DELETE 1"]);
    session.raw(&query("delete from orders where id = 1"));
    counter.proxy.deny_next("once is enough");
    assert_eq!(refusal(&session.reply()).0, "42501");
}

#[test]
fn a_statement_that_grew_past_its_approval_does_not_run() {
    let counter = Counter::open();
    let mut session = counter.session();
    session.raw(&query(DELETE));
    let hold = counter.proxy.held();
    let id = hold["id"].as_str().unwrap();
    // Less than what is shown is refused at once, and it waits still.
    counter.proxy.wait_for("its radius", || (counter.proxy.held()["radius"]["rows"]["value"].is_u64()).then_some(()));
    let few = counter.proxy.run(&["holds", "approve", id, "--reason", "few", "--max-rows", "1"]);
    assert!(few.code == Some(1) && few.stderr.contains("more than the 1 that you allow"), "{few:?}");
    // What it grows by meanwhile is counted, whatever the planner thinks of it.
    let bound = counter.old_orders() + 100;
    let more = "insert into orders (customer_id, placed_on, status)
                select customer_id, '2023-01-01', status from orders limit 101";
    counter.postgres.sql("shop", more).unwrap();
    counter.proxy.done(&["holds", "approve", id, "--reason", "these", "--max-rows", &bound.to_string()]);
    let again = counter.proxy.held();
    let why = format!("approved for up to {bound} rows, but it would touch {}, counted just now", bound + 1);
    assert_eq!(again["reasons"][0], json!(why));
    counter.proxy.done(&["holds", "deny", again["id"].as_str().unwrap(), "--reason", "too many"]);
    assert_eq!(refusal(&session.reply()).0, "42501");
    assert_eq!(counter.old_orders(), bound + 1);
}

#[test]
fn a_hold_expires() {
    let counter = Counter::open_with(&["--hold-expiry", "1s", "--hold-expiry-in-transaction", "1s"]);
    let mut session = counter.session();
    let reply = session.query(DELETE);
    assert!(reply.notices[0].is_hold(), "{reply:?}");
    assert_eq!((refusal(&reply).0, reply.status), ("57014", b'I'));
    session.query("begin");
    let reply = session.query(DELETE);
    assert_eq!((refusal(&reply).0, reply.status), ("57014", b'E'));
    session.query("rollback");
    session.raw(&[parse(DELETE), bind(&[]), execute(), sync()].concat());
    let reply = session.reply();
    assert_eq!((refusal(&reply).0, reply.status), ("57014", b'I'));
    counter.unchanged();
    assert!(counter.proxy.holds().is_empty());
}

#[test]
fn a_cancel_request_withdraws() {
    let counter = Counter::open();
    let mut session = counter.session();
    session.raw(&query(DELETE));
    let hold = counter.proxy.held();
    session.cancel();
    let reply = session.reply();
    assert_eq!((refusal(&reply).0, reply.status), ("57014", b'I'));
    let late = counter.proxy.run(&["holds", "approve", hold["id"].as_str().unwrap(), "--reason", "too late"]);
    assert_ne!(late.code, Some(0));
    counter.unchanged();
    assert_eq!(session.query("select 1").tags, ["SELECT 1"]);
}

#[test]
fn when_the_client_goes_its_statement_never_runs() {
    let counter = Counter::open();
    let ways: [fn(Wire); 3] = [
        drop,
        |mut session| session.send(b'X', &[]),
        |session| {
            session.half_close();
            // Keeps the other half open for longer than it takes to notice.
            std::mem::drop(std::thread::spawn(move || session.wait_for_close()));
        },
    ];
    for leave in ways {
        let mut session = counter.session();
        session.raw(&query(DELETE));
        let hold = counter.proxy.held();
        leave(session);
        counter.proxy.none_held();
        let late = counter.proxy.run(&["holds", "approve", hold["id"].as_str().unwrap(), "--reason", "too late"]);
        assert_ne!(late.code, Some(0));
    }
    let busy = "select count(*) from pg_stat_activity where usename = 'shop' and state = 'active'";
    assert_eq!(counter.postgres.sql("shop", busy).unwrap(), "0");
    counter.unchanged();
}

#[test]
fn when_the_proxy_stops_the_client_is_told_and_nothing_runs() {
    let mut counter = Counter::open();
    let mut session = counter.session();
    session.raw(&query(DELETE));
    counter.proxy.held();
    counter.proxy.stop(Signal::SIGTERM);
    let reply = session.reply();
    assert_eq!((reply.errors[0].code.as_str(), reply.status), ("57P01", 0));
    counter.unchanged();
}

#[test]
fn when_the_server_ends_the_session_the_hold_ends() {
    let counter = Counter::open();
    let mut session = counter.session();
    session.raw(&query(DELETE));
    counter.proxy.held();
    let end = format!("select pg_terminate_backend({})", session.process_id());
    assert_eq!(counter.postgres.sql("shop", &end).unwrap(), "t");
    let reply = session.reply();
    assert_eq!((reply.errors[0].code.as_str(), reply.status), ("57P01", 0));
    counter.proxy.none_held();
    counter.unchanged();
}

#[test]
fn nothing_behind_a_held_statement_runs_before_it() {
    let counter = Counter::open();
    let mut session = counter.session();
    let insert = "insert into customers (name, email, city, joined_on) values ('x', 'x', 'x', '2024-01-01')";
    let first = [parse("delete from orders where id = $1"), bind(&["2"]), execute()].concat();
    let second = [parse(insert), bind(&[]), execute(), sync()].concat();
    session.raw(&[first, second, query("select 3")].concat());
    let hold = counter.proxy.held();
    assert!(hold["params"].to_string().contains('2'), "{hold}");
    let inserted = || counter.postgres.sql("shop", "select count(*) from customers where name = 'x'").unwrap();
    assert_eq!(inserted(), "0");
    counter.proxy.deny_next("no");
    let reply = session.reply();
    // The error makes the server skip the rest up to Sync, as any error would.
    assert_eq!((refusal(&reply).0, reply.status), ("42501", b'I'));
    assert!(reply.tags.is_empty(), "{reply:?}");
    assert_eq!(session.reply().tags, ["SELECT 1"]);
    assert_eq!(inserted(), "0");
    counter.unchanged();
}

#[test]
fn pipelined_and_approved_replies_come_in_order() {
    let counter = Counter::open();
    let mut session = counter.session();
    let steps = ["select 1", "delete from orders where id = 1", "select 2"];
    let messages: Vec<u8> =
        steps.iter().flat_map(|sql| [parse(sql), bind(&[]), execute()].concat()).chain(sync()).collect();
    session.raw(&messages);
    counter.proxy.approve_next(&[]);
    let reply = session.reply();
    assert_eq!(reply.tags, ["SELECT 1", "DELETE 1", "SELECT 1"]);
    assert_eq!(reply.kinds.replace('N', ""), "12DC12C12DCZ");
}

const PSYCOPG: &str = r#"
import sys, psycopg, datetime
url, way = sys.argv[1:]
connection = psycopg.connect(url, autocommit=(way != "transaction"))
connection.add_notice_handler(lambda notice: print("notice", notice.message_primary[:24]))
delete, day = "delete from orders where placed_on < %s", datetime.date(2023, 2, 1)
try:
    if way == "pipeline":
        with connection.pipeline():
            connection.execute("select 1")
            deleted = connection.execute(delete, [day])
            connection.execute("select 2")
        print("deleted", deleted.rowcount)
    else:
        print("deleted", connection.execute(delete, [day]).rowcount)
        connection.rollback()
except psycopg.Error as error:
    print("refused", error.sqlstate, bool(error.diag.message_detail), bool(error.diag.message_hint))
    connection.rollback()
print("then", connection.execute("select 3").fetchone()[0])
"#;

#[test]
fn psycopg_waits_with_bind_values_in_and_outside_transactions_and_pipelined() {
    let counter = Counter::open();
    let orders = counter.old_orders();
    let run = |way: &str, decide: &dyn Fn() -> Value| {
        let client = started(python(PSYCOPG).args([&counter.url(), way]));
        let hold = decide();
        assert!(hold["params"].to_string().contains("2023-02-01"), "{hold}");
        // What was sent before it in the same batch keeps its locks.
        assert_eq!(hold["in_transaction"], way != "autocommit");
        let client = Finished::of(client);
        assert!(client.stdout.starts_with("notice pgsluice: held as h-"), "{client:?}");
        client.stdout.split_once('\n').unwrap().1.to_owned()
    };
    for way in ["autocommit", "transaction", "pipeline"] {
        let said = run(way, &|| counter.proxy.deny_next("no"));
        assert_eq!(said, "refused 42501 True True\nthen 3\n", "{way}");
    }
    counter.unchanged();
    for way in ["transaction", "pipeline"] {
        let said = run(way, &|| counter.proxy.approve_next(&[]));
        assert_eq!(said, format!("deleted {orders}\nthen 3\n"), "{way}");
    }
}

const ASYNCPG: &str = r#"
import asyncio, sys, asyncpg
async def main():
    pool = await asyncpg.create_pool(sys.argv[1], min_size=1, max_size=1)
    async with pool.acquire() as connection:
        print(await connection.fetchval("select count(*) from customers where id <= $1", 5))
        await connection.executemany("update customers set city = 'Graz' where id = $1", [(1,), (2,)])
        print(await connection.execute("delete from orders where id = $1", 1))
    # Handing the connection back and out again sends asyncpg's reset, which must not wait.
    async with pool.acquire() as connection:
        print(await connection.fetchval("select 3"))
    await pool.close()
asyncio.run(main())
"#;

#[test]
fn asyncpg_waits_and_its_reset_does_not() {
    let counter = Counter::open();
    let client = started(python(ASYNCPG).arg(counter.url()));
    let hold = counter.proxy.approve_next(&[]);
    assert_eq!(hold["sql"], "delete from orders where id = $1");
    let client = Finished::of(client);
    assert_eq!((client.code, client.stdout.as_str()), (Some(0), "5\nDELETE 1\n3\n"), "{}", client.stderr);
}

#[test]
fn several_statements_in_one_message_wait_together() {
    let counter = Counter::open();
    let mut session = counter.session();
    session.raw(&query("select 1; delete from orders where id = 1; select 2"));
    counter.proxy.approve_next(&[]);
    assert_eq!(session.reply().tags, ["SELECT 1", "DELETE 1", "SELECT 1"]);
    session.raw(&query("update customers set city = 'x' where id = 2; delete from orders where id = 2"));
    counter.proxy.deny_next("no");
    let reply = session.reply();
    assert_eq!((refusal(&reply).0, reply.tags.len()), ("42501", 0));
    assert_eq!(counter.postgres.sql("shop", "select count(*) from customers where city = 'x'").unwrap(), "0");
}

#[test]
fn reads_and_bounded_writes_do_not_wait() {
    let counter = Counter::open();
    let sql = "select count(*) from order_totals; insert into order_items values (1, 9, 'lamp', 1, 2.50); \
               update customers set city = 'Graz' where id = 1; select * from customers where id = 1 for update";
    let client = finished(psql(&counter.url()).args(["-q", "-c", sql]));
    assert_eq!(client.code, Some(0), "{}", client.stderr);
    assert!(!client.stderr.contains("pgsluice"), "{}", client.stderr);
}

#[test]
fn what_is_shown_and_measured_is_what_the_server_reads() {
    let counter = Counter::open();
    let mut session =
        Wire::connect(counter.proxy.port(), &[("user", "shop"), ("database", "shop"), ("client_encoding", "latin1")])
            .unwrap();
    let sql = b"delete from orders where id = 1 -- caf\xe9\n or id < 1000 and status <> '\\'".as_slice();
    session.send(b'Q', &[sql, b"\0"].concat());
    let hold = counter.proxy.held();
    assert_eq!(hold["sql"], json!("delete from orders where id = 1 -- caf\u{e9}\n or id < 1000 and status <> '\\'"));
    counter.proxy.wait_for("its radius", || (!counter.proxy.held()["radius"].is_null()).then_some(()));
    let radius = &counter.proxy.held()["radius"];
    // Not what the planner makes of another text, but all that there is.
    assert_eq!(radius["rows"]["basis"], json!("statistics"), "{radius}");
    assert!(radius["warnings"].to_string().contains("another encoding than UTF-8"), "{radius}");
    counter.proxy.done(&["holds", "deny", hold["id"].as_str().unwrap(), "--reason", "no"]);
    assert_eq!(refusal(&session.reply()).0, "42501");
    counter.unchanged();
}

#[test]
fn a_number_is_unknown_where_not_every_statement_is_measured() {
    let counter = Counter::open();
    let mut session = counter.session();
    let few: String = (1..=16).map(|id| format!("delete from order_items where order_id = -{id};")).collect();
    session.raw(&query(&format!("{few} delete from order_items where order_id > 0")));
    let id = counter.proxy.held()["id"].as_str().unwrap().to_owned();
    counter.proxy.wait_for("its radius", || (!counter.proxy.held()["radius"].is_null()).then_some(()));
    let radius = &counter.proxy.held()["radius"];
    assert_eq!(radius["rows"]["value"], json!(null), "{radius}");
    assert!(radius["warnings"][0].as_str().unwrap().contains("not the 1 behind them"), "{radius}");
    let bounded = counter.proxy.run(&["holds", "approve", &id, "--reason", "few", "--max-rows", "50"]);
    assert_eq!(bounded.code, Some(0), "{}", bounded.stderr);
    // The number cannot be told: it is held again.
    let again = counter.proxy.held();
    assert!(again["reasons"][0].as_str().unwrap().contains("cannot be told"), "{again}");
    counter.proxy.done(&["holds", "deny", again["id"].as_str().unwrap(), "--reason", "no"]);
    assert_eq!(refusal(&session.reply()).0, "42501");
    counter.unchanged();
}

#[test]
fn what_was_executed_in_the_same_batch_counts_as_within_a_transaction() {
    let counter = Counter::open();
    let mut session = counter.session();
    let whole = |sql: &str| [parse(sql), bind(&[]), execute()].concat();
    let delete = whole(DELETE);
    session.raw(&[delete.clone(), sync()].concat());
    let alone = counter.proxy.held();
    assert_eq!(alone["in_transaction"], json!(false));
    counter.proxy.done(&["holds", "deny", alone["id"].as_str().unwrap(), "--reason", "no"]);
    assert_eq!(refusal(&session.reply()).0, "42501");
    session.raw(&[whole("update customers set city = city where id = 1"), delete, sync()].concat());
    let behind = counter.proxy.held();
    assert_eq!(behind["in_transaction"], json!(true));
    counter.proxy.done(&["holds", "deny", behind["id"].as_str().unwrap(), "--reason", "no"]);
    assert_eq!(refusal(&session.reply()).0, "42501");
    counter.unchanged();
}
