//! Promise: whatever is defined in a database is known, to any role, and each change of it is noticed.

use std::time::Duration;

use pgsluice::blast::{Facts, SearchPath, resolve};
use pgsluice::catalog::{Catalog, Limits, SideConnection};
use pgsluice::sql::{Action, LexerSettings, analyze};

use crate::support::facts::{facts, fixture, on, runs, runtime, side, side_as, usual};
use crate::support::{postgres_options, start_postgres};

/// Each change of a definition, by whomever, is seen by the next look; what is no change is not.
#[test]
fn every_definition_is_noticed() {
    let postgres = fixture();
    let runtime = runtime();
    let limits = Limits { columns_every: Duration::ZERO, ..Limits::default() };
    let catalog = Catalog::new(SideConnection { limits, ..side(&postgres) });
    let version = || runtime.block_on(catalog.refresh("shop")).unwrap().version;
    let mut before = version();
    let changes = [
        "create table n(a int, b text)",
        "alter table n add c int",
        "alter table n rename c to e",
        "alter table n drop e",
        "alter view v_users rename email to mail",
        "alter table n alter a set default wipe()",
        "alter table n add check (a > 0)",
        "create index on n (a)",
        "alter table n enable row level security",
        "create policy p on n using (true)",
        "alter policy p on n using (wipe() = 1)",
        "create trigger t before insert on n for each row execute function f_trig()",
        "alter table n disable trigger t",
        "create rule r as on delete to n do instead nothing",
        "create view w as select 1 as x",
        "create or replace view w as select wipe() as x",
        "create or replace function wipe() returns int language plpgsql as $$ begin return 3; end $$",
        "alter function wipe() security definer",
        "create function new() returns int language sql as 'select 1'",
        "create operator ### (leftarg = int, rightarg = int, function = int4pl)",
        "create domain d as int",
        "alter domain d add check (value > 0)",
        "create type pair as (a int)",
        "alter type pair alter attribute a type d",
        "alter table n add x d",
        "alter table n rename x to y",
        "create cast (users as pair) with function wipe_cast(users)",
        "create schema s2",
        "alter schema s2 rename to s3",
        "create table child() inherits (n)",
        "create extension citext",
        "alter extension citext drop function citext_eq(citext, citext)",
        "alter role ro set search_path = evil",
        "alter database shop set search_path = evil, public",
        "create statistics st on (a + 1), b from n",
        "create event trigger et on ddl_command_end execute function fet()",
        "drop table n cascade",
    ];
    postgres
        .sql(
            "shop",
            "create function wipe_cast(users) returns record language sql as 'select row(1)';
             create function fet() returns event_trigger language plpgsql as $$ begin end $$",
        )
        .unwrap();
    for change in changes {
        before = before.max(version());
        if change.starts_with("create cast") {
            let make = "create function to_pair(users) returns pair language sql as 'select row(1)::pair'";
            postgres.sql("shop", make).unwrap();
            before = version();
            postgres.sql("shop", "create cast (users as pair) with function to_pair(users)").unwrap();
        } else {
            postgres.sql("shop", change).unwrap();
        }
        assert!(version() > before, "not noticed: {change}");
    }
    before = version();
    for same in [
        "insert into audit(msg) values ('x')",
        "analyze",
        "vacuum audit",
        "create temp table t(a serial primary key, check (a > 0)); drop table t",
        "create temp table t(a int); alter table t rename a to b",
        "select nextval('sq')",
        "comment on table users is 'x'",
    ] {
        postgres.sql("shop", same).unwrap();
        assert_eq!(version(), before, "taken for a definition: {same}");
    }
}

/// Columns are many, and looked at seldom; but at once where a definition came through us.
#[test]
fn names_of_columns_are_noticed_when_it_is_time_or_something_was_defined() {
    let postgres = fixture();
    postgres.sql("shop", "create table n (a int)").unwrap();
    let runtime = runtime();
    let catalog = Catalog::new(side(&postgres));
    let version = || runtime.block_on(catalog.refresh("shop")).unwrap().version;
    let before = version();
    postgres.sql("shop", "alter table n rename a to b").unwrap();
    assert_eq!(version(), before);
    catalog.invalidate("shop");
    let after = version();
    assert!(after > before);
    assert_eq!(version(), after);
}

#[test]
fn columns_are_known_those_of_parents_too() {
    let postgres = fixture();
    let make = "create table root(a int, b text) partition by range (a); create table leaf partition of root default;
        create table child(c int) inherits (orders); create table odd(); alter table users drop email cascade;
        create materialized view m as select 1 as one";
    postgres.sql("shop", make).unwrap();
    let facts = facts(&postgres);
    for (relation, column, there) in [
        ("users", "name", true),
        ("users", "email", false),
        ("users", "user_id", false),
        ("leaf", "b", true),
        ("leaf", "c", false),
        ("child", "c", true),
        ("child", "user_id", true),
        ("child", "name", false),
        ("orders", "c", false),
        ("odd", "a", false),
        ("v_wipe", "x", true),
        ("m", "one", true),
        ("m", "two", false),
    ] {
        let found = facts.relation("public", relation).unwrap();
        assert_eq!(facts.has_column(found, column), Some(there), "{relation}.{column}");
    }
    let own = facts.relation("pg_catalog", "pg_class").unwrap();
    assert_eq!(facts.has_column(own, "relname"), None);
}

#[test]
fn search_paths_at_login_are_known() {
    let postgres = fixture();
    let known = |names: &[&str]| SearchPath::Known(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(*facts(&postgres).login_search_path("ro"), known(&["$user", "public"]));
    let settings = "alter role ro set search_path = evil; alter database shop set search_path = public, evil;
        alter role app set search_path = a; alter role app in database shop set search_path = 'B', \"$user\"";
    postgres.sql("shop", settings).unwrap();
    let facts = facts(&postgres);
    assert_eq!(*facts.login_search_path("ro"), known(&["evil"]));
    assert_eq!(*facts.login_search_path("app"), known(&["B", "$user"]));
    assert_eq!(*facts.login_search_path("victim"), known(&["public", "evil"]));
}

/// Connection strings of subscriptions wait to be read; where there is none, pg_dump and `\dRs+` need not.
#[test]
fn a_subscription_anywhere_on_the_server_is_seen() {
    let mut options = postgres_options();
    options.settings.push(("wal_level".to_owned(), "logical".to_owned()));
    let postgres = start_postgres(&options);
    for database in ["shop", "other"] {
        postgres.sql("postgres", &format!("create database {database}")).unwrap();
    }
    postgres.sql("shop", "create view v_sub as select * from pg_subscription; create role nobody login").unwrap();
    let catalog = Catalog::new(side_as(&postgres, "nobody"));
    let runtime = runtime();
    let without = runtime.block_on(catalog.refresh("shop")).unwrap();
    assert!(without.without_subscriptions);
    runs(&on(Action::Read, "v_sub"), &without, &[]);
    let subscribe = "create subscription s connection 'password=x' publication p with (connect = false)";
    postgres.sql("other", subscribe).unwrap();
    let with = runtime.block_on(catalog.refresh("shop")).unwrap();
    assert!(!with.without_subscriptions);
    runs(&on(Action::Read, "v_sub"), &with, &["host pg_catalog.pg_subscription"]);
}

/// The same of the passwords of user mappings: pg_dump asks for them where there is a foreign server.
#[test]
fn a_user_mapping_is_seen() {
    let postgres = start_postgres(&postgres_options());
    postgres
        .sql(
            "postgres",
            "create foreign data wrapper w; create server s foreign data wrapper w; create role nobody login",
        )
        .unwrap();
    let catalog = Catalog::new(side_as(&postgres, "nobody"));
    let runtime = runtime();
    let script = analyze(b"select umoptions from pg_user_mappings", &LexerSettings::default());
    let hosts = |facts: &Facts| {
        let effects = resolve(&script.statements[0], facts, &usual()).effects;
        effects.iter().any(|effect| effect.action == Action::Host)
    };
    let without = runtime.block_on(catalog.refresh("postgres")).unwrap();
    assert!(without.without_user_mappings && !hosts(&without));
    postgres.sql("postgres", "create user mapping for public server s options (password 'x')").unwrap();
    let with = runtime.block_on(catalog.refresh("postgres")).unwrap();
    assert!(!with.without_user_mappings && hosts(&with));
}

/// Any role may read what the catalog needs.
#[test]
fn a_role_without_rights_sees_the_same() {
    let postgres = fixture();
    let low = runtime().block_on(Catalog::new(side_as(&postgres, "ro")).refresh("shop")).unwrap();
    let high = facts(&postgres);
    assert_eq!(low.relations.len(), high.relations.len());
    assert_eq!(low.functions, high.functions);
    runs(&on(Action::Read, "v_wipe"), &low, &["execute public.wipe"]);
}
