//! Promise: the blast radius says how many rows of what a statement would touch, on what basis, and what it does not know.

use std::collections::BTreeSet;
use std::time::Duration;

use pgsluice::blast::radius::Via;
use pgsluice::blast::{Basis, Radius, Resolved, Rows, resolve};
use pgsluice::catalog::{Catalog, RadiusRequest};
use pgsluice::sql::parameters::Value as Parameter;
use pgsluice::sql::{Action, Effect, Object, ObjectKind, Statement};
use tokio::runtime::Runtime;

use crate::support::facts::{call, fixture, on, runtime, side, side_as, usual};

/// The radius of a statement in `shop`, all names found along the usual path.
fn radius(catalog: &Catalog, runtime: &Runtime, statement: Statement, text: &str, values: &[Parameter]) -> Radius {
    runtime.block_on(async {
        let facts = catalog.refresh("shop").await.unwrap();
        let names = usual();
        let resolved = resolve(&statement, &facts, &names);
        let request = RadiusRequest {
            database: "shop".to_owned(),
            statement,
            text: text.to_owned(),
            reads_alike: Ok(()),
            parameters: values.to_vec(),
            resolved,
            names,
        };
        catalog.radius(&request).await
    })
}

fn commanded(command: &str, statement: Statement) -> Statement {
    Statement { command: command.to_owned(), ..statement }
}

#[test]
fn the_radius_rests_on_the_planner_and_says_so() {
    let postgres = fixture();
    let set_up = "create table items(order_id int references orders on delete cascade, n int);
        insert into items select g % 100 + 1, g from generate_series(1, 1000) g; analyze";
    postgres.sql("shop", set_up).unwrap();
    let (runtime, catalog) = (runtime(), Catalog::new(side(&postgres)));
    let measure =
        |statement: Statement, text: &str, values: &[Parameter]| radius(&catalog, &runtime, statement, text, values);
    let delete = |table: &str| commanded("DELETE", on(Action::Delete, table));
    let text = |value: &str| Parameter::Text(value.to_owned());

    let half = measure(delete("orders"), "delete from orders where id > 50", &[]);
    assert_eq!(half.warnings, Vec::<String>::new());
    assert!(half.rows.value.is_some_and(|rows| (45..=55).contains(&rows)), "{half:?}");
    assert_eq!(half.rows.basis, Basis::Planner);
    let items = half.relations.iter().find(|touched| touched.name == "items").unwrap();
    assert_eq!((items.via, items.rows.basis), (Via::Cascade, Basis::Statistics));
    assert!(items.rows.value.is_some_and(|rows| (450..=550).contains(&rows)), "{items:?}");

    // The values count: as bound, and where they are not known, any.
    let bound = "delete from orders where id > $1";
    for (value, most) in [("99", 5), ("90", 15), ("0", 100)] {
        let radius = measure(delete("orders"), bound, &[text(value)]);
        assert!(radius.rows.value.is_some_and(|rows| rows <= most && rows + 10 >= most), "{value}: {radius:?}");
    }
    let any = measure(delete("orders"), bound, &[Parameter::Unknown]);
    assert_eq!((any.rows, any.warnings.len()), (Rows::planner(33), 0), "{any:?}");
    let again = measure(delete("orders"), bound, &[Parameter::Unknown]);
    assert_eq!(again, any);

    let insert = commanded("INSERT", on(Action::Insert, "audit"));
    let three = measure(insert, "insert into audit(msg) values ('a'), ('b'), ('c')", &[]);
    assert_eq!(three.rows, Rows::exact(3));
    let view = measure(delete("v_users"), "delete from v_users where id = 1", &[]);
    assert_eq!(view.rows, Rows::planner(1));
    assert!(view.relations.iter().any(|touched| (touched.name.as_str(), touched.via) == ("users", Via::View)));
}

#[test]
fn a_radius_that_cannot_be_found_out_is_unknown_with_a_reason() {
    let postgres = fixture();
    postgres.sql("shop", "analyze").unwrap();
    let (runtime, catalog) = (runtime(), Catalog::new(side(&postgres)));
    let measure = |statement: Statement, text: &str| radius(&catalog, &runtime, statement, text, &[]);
    let delete = commanded("DELETE", on(Action::Delete, "orders"));

    // Nothing that may run code is planned: planning itself would run it.
    let functions = call("wipe_imm_via").functions;
    let code = Statement { functions, ..delete.clone() };
    let unplanned = measure(code, "delete from orders where id = wipe_imm_via()");
    assert_eq!(unplanned.rows, Rows::statistics(100));
    assert!(unplanned.warnings.iter().any(|warning| warning.contains("planning may run code")), "{unplanned:?}");
    assert_eq!(postgres.sql("shop", "select count(*) from orders").unwrap(), "100");

    // Not one statement, or not what was understood: the server refuses it, and nothing is done.
    for text in ["delete from orders; drop table orders", "drop table orders", "select wrong from orders where"] {
        let refused = measure(delete.clone(), text);
        assert_eq!(refused.rows, Rows::statistics(100), "{text}");
        assert!(refused.warnings.iter().any(|warning| warning.contains("the planner ")), "{refused:?}");
    }
    assert_eq!(postgres.sql("shop", "select count(*) from orders").unwrap(), "100");

    // A table that somebody has locked is not waited for.
    std::thread::scope(|scope| {
        let lock = "begin; lock table orders; select pg_sleep(30)";
        scope.spawn(|| postgres.sql("shop", lock));
        let locked =
            "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and relation = 'orders'::regclass";
        while postgres.sql("shop", locked).unwrap() != "1" {
            std::thread::sleep(Duration::from_millis(10));
        }
        let waiting = measure(delete.clone(), "delete from orders where id = 1");
        assert_eq!(waiting.rows, Rows::statistics(100));
        assert!(waiting.warnings.iter().any(|warning| warning.contains("lock timeout")), "{waiting:?}");
        postgres.sql("shop", "select pg_terminate_backend(pid) from pg_stat_activity where query like '%pg_sleep(30)%' and pid <> pg_backend_pid()").unwrap();
    });

    let low = Catalog::new(side_as(&postgres, "victim"));
    let denied = radius(&low, &runtime, delete.clone(), "delete from orders where id = 1", &[]);
    assert_eq!(denied.rows, Rows::statistics(100));
    assert!(denied.warnings.iter().any(|warning| warning.contains("permission denied")), "{denied:?}");

    drop(postgres);
    let gone = runtime.block_on(catalog.radius(&RadiusRequest {
        database: "shop".to_owned(),
        statement: delete,
        text: "delete from orders".to_owned(),
        reads_alike: Ok(()),
        parameters: Vec::new(),
        resolved: Resolved::default(),
        names: usual(),
    }));
    assert_eq!(gone.rows.value.filter(|rows| *rows == 0), None);
    assert!(!gone.warnings.is_empty());
}

#[test]
fn what_a_drop_takes_along_is_listed() {
    let postgres = fixture();
    let set_up = "create view w as select * from v_users; create materialized view m as select id from users;
        create domain evil.dd as int; create table tdd(a evil.dd); analyze";
    postgres.sql("shop", set_up).unwrap();
    let (runtime, catalog) = (runtime(), Catalog::new(side(&postgres)));
    let dependents = |statement: Statement, text: &str| {
        let radius = radius(&catalog, &runtime, commanded("DROP", statement), text, &[]);
        assert_eq!(radius.warnings, Vec::<String>::new());
        radius.dependents.into_iter().map(|d| format!("{} {}.{}", d.kind, d.schema, d.name)).collect::<BTreeSet<_>>()
    };
    let table = dependents(on(Action::Drop, "users"), "drop table users cascade");
    for expected in [
        "view public.v_users",
        "view public.w",
        "materialized_view public.m",
        "table_constraint public.orders_user_id_fkey on public.orders",
    ] {
        assert!(table.contains(expected), "{expected}: {table:?}");
    }
    assert!(!table.iter().any(|dependent| dependent.contains("orders_pkey")), "{table:?}");
    let object = |kind, schema: Option<&str>, name: &str| {
        let object = Object { kind, schema: schema.map(str::to_owned), name: name.to_owned() };
        Statement { effects: vec![Effect::new(Action::Drop, object)], ..Statement::default() }
    };
    let schema = dependents(object(ObjectKind::Schema, None, "evil"), "drop schema evil cascade");
    assert!(schema.contains("table evil.users") && schema.contains("type evil.dd"), "{schema:?}");
    let domain = dependents(object(ObjectKind::Domain, Some("evil"), "dd"), "drop domain evil.dd cascade");
    assert_eq!(domain, ["table_column public.tdd.a".to_owned()].into());
    assert!(
        schema.contains("rule public.r_ins on public.t_rule") && !schema.contains("table public.t_rule"),
        "{schema:?}"
    );
}
