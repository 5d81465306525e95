//! Promise: an approver can look at the rows that a held statement would change, and have them counted; looking
//! changes nothing, runs nobody's code, takes a bounded time and is recorded.

use std::process::Child;

use pgsluice::catalog::examine::{Examined, SAMPLE_ROWS, Sample};
use pgsluice::control::Client;
use tokio::runtime::Runtime;

use crate::support::{Proxy, psql, shop, started};

struct Looker {
    runtime: Runtime,
    client: Client,
    proxy: Proxy,
}

impl Looker {
    fn new(proxy: Proxy) -> Self {
        Self { runtime: Runtime::new().unwrap(), client: Client::new(proxy.data()), proxy }
    }

    /// Holds a statement, looks, and denies it.
    fn look(&self, role: &str, sql: &str) -> (Examined<Sample>, Examined<u64>) {
        let client: Child = started(psql(&self.proxy.url(role, "shop")).args(["-c", sql]));
        let hold = self.proxy.held();
        let id = hold["id"].as_str().unwrap().parse().unwrap();
        let (sample, count) = self
            .runtime
            .block_on(async { (self.client.sample(&id).await.unwrap(), self.client.count(&id).await.unwrap()) });
        self.proxy.deny_next("looked");
        client.wait_with_output().unwrap();
        (sample.into_iter().next().unwrap(), count.into_iter().next().unwrap())
    }
}

#[test]
fn rows_are_shown_and_counted() {
    let postgres = shop();
    postgres.sql("shop", "create table notes (id int, note text); insert into notes values (1, null), (2, repeat('x', 5000)); grant all on notes to shop").unwrap();
    let looker = Looker::new(Proxy::start(&postgres));

    let (sample, count) = looker.look("shop", "delete from orders where id <= 25 -- all of them");
    let sample = sample.found.unwrap_or_else(|| panic!("{:?}", sample.refused));
    assert_eq!(sample.columns, ["id", "customer_id", "status", "placed_on"]);
    assert_eq!((sample.rows.len(), sample.more), (SAMPLE_ROWS, true));
    assert_eq!((count.found, count.relation.as_deref()), (Some(25), Some("public.orders")), "{:?}", count.refused);

    // A row that several rows of the other table match is one row.
    let (_, count) =
        looker.look("shop", "delete from orders o using order_items i where i.order_id = o.id and o.id <= 20");
    let direct =
        "select count(*) from orders o where exists (select from order_items i where i.order_id = o.id) and o.id <= 20";
    assert_eq!(count.found.map(|count| count.to_string()), Some(postgres.sql("shop", direct).unwrap()));

    let (sample, _) = looker.look("shop", "update notes set note = 'y' where id > 0");
    let cells = sample.found.unwrap().rows;
    assert_eq!((cells[0][1].value.as_deref(), cells[0][1].bytes), (None, None));
    assert!(cells[1][1].value.is_none() && cells[1][1].bytes.is_some(), "{cells:?}");

    let (sample, count) = looker.look("postgres", "truncate notes");
    assert_eq!((sample.found.unwrap().rows.len(), count.found), (2, Some(2)));

    let log = looker.proxy.done(&["audit", "search", "--json"]);
    assert!(log.contains("looks at a sample") && log.contains("has the rows counted"), "{log}");
}

#[test]
fn looking_runs_nobodys_code() {
    let postgres = shop();
    postgres
        .sql(
            "shop",
            "create table traces (n int);
             create function leave_trace() returns boolean language plpgsql volatile as
               $$ begin insert into traces values (1); return true; end $$;
             create function says_immutable() returns boolean language plpgsql immutable as
               $$ begin insert into traces values (2); return true; end $$;
             create view traced as select *, leave_trace() as t from orders;
             create type odd as (a int); create table typed (id int, o odd); insert into typed values (1, row(2));
             grant all on traced, typed, traces to shop",
        )
        .unwrap();
    let looker = Looker::new(Proxy::start(&postgres));
    for sql in [
        "delete from orders where leave_trace()",
        "delete from orders where says_immutable() and id < 3",
        "update orders set status = 'open' where id in (select order_id from order_items where leave_trace())",
        "delete from orders where id = (select 1 from traced limit 1)",
        "delete from orders where nextval('orders_id_seq') > 0",
        "delete from orders where pg_terminate_backend(id)",
        "delete from orders where (select setval('orders_id_seq', 1)) > 0",
        "delete from orders where lo_creat(1) > 0",
    ] {
        let (sample, count) = looker.look("postgres", sql);
        assert_eq!((sample.found, count.found), (None, None), "{sql}");
        assert!(sample.refused.is_some() && count.refused.is_some(), "{sql}");
    }
    assert_eq!(postgres.sql("shop", "select count(*) from traces").unwrap(), "0");
    // The output of a type that somebody made is code, so such columns are not shown.
    let (sample, _) = looker.look("postgres", "delete from typed where id = 1");
    let sample = sample.found.unwrap();
    assert_eq!((sample.columns, sample.omitted), (vec!["id".to_owned()], vec!["o".to_owned()]));
}

#[test]
fn looking_is_bounded_in_time() {
    let postgres = shop();
    let looker = Looker::new(Proxy::start(&postgres));
    let (_, count) = looker.look("shop", "delete from orders where pg_sleep(1) is not null and id < 100000000");
    assert_eq!(count.found, None);
    assert!(count.refused.is_some(), "{count:?}");
    // Somebody holds the table: looking does not queue behind them for long.
    let blocker =
        started(psql(&postgres.url("postgres", "shop")).args(["-c", "begin; lock table orders; select pg_sleep(30)"]));
    looker.proxy.wait_for("the lock", || {
        let locked = "select 1 from pg_locks where relation = 'orders'::regclass and mode = 'AccessExclusiveLock'";
        (postgres.sql("shop", locked).unwrap() == "1").then_some(())
    });
    let (sample, _) = looker.look("shop", "delete from orders where id = 1");
    assert!(sample.refused.is_some_and(|why| why.contains("55P03")), "not a lock time-out");
    postgres
        .sql("shop", "select pg_terminate_backend(pid) from pg_stat_activity where query like 'begin; lock%'")
        .unwrap();
    blocker.wait_with_output().unwrap();
}
