//! The catalog sees what names mean in a real database, and every way in which a statement runs code there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use pgsluice::blast::radius::Via;
use pgsluice::blast::{Basis, Facts, NameContext, Radius, Resolved, Rows, SearchPath, resolve};
use pgsluice::catalog::{Catalog, CatalogError, Limits, RadiusRequest, SideConnection};
use pgsluice::cli::demo::throwaway::Throwaway;
use pgsluice::sql::parameters::Value as Parameter;
use pgsluice::sql::{
    Action, Effect, Extent, FunctionUse, LexerSettings, Name, Notation, Object, ObjectKind, SessionChange, Statement,
    analyze,
};
use tokio::runtime::Runtime;

use crate::support;

/// A server with the database `shop` that holds the corpus' fixture.
fn fixture() -> Throwaway {
    let postgres = support::postgres();
    postgres.sql("postgres", "create database shop").unwrap();
    postgres.sql("shop", include_str!("../testdata/corpus/base.sql")).unwrap();
    postgres
}

fn side(postgres: &Throwaway) -> SideConnection {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(postgres.port()).user("postgres");
    SideConnection::plain(config)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The facts of `shop` as they are now.
fn facts(postgres: &Throwaway) -> Arc<Facts> {
    runtime().block_on(Catalog::new(side(postgres)).refresh("shop")).unwrap()
}

fn usual() -> NameContext {
    let path = ["$user", "public"].map(str::to_owned).to_vec();
    NameContext { search_path: SearchPath::Known(path), role: "ro".to_owned(), ..NameContext::default() }
}

fn blank() -> Statement {
    Statement {
        span: 0..0,
        command: String::new(),
        effects: Vec::new(),
        functions: Vec::new(),
        operators: Vec::new(),
        types: Vec::new(),
        session: Vec::new(),
        reasons: Vec::new(),
        depends_on_literals: false,
        untyped_values: false,
        strings: false,
        named_values: None,
        declared_types: Vec::new(),
        assigned: None,
        assumptions: Vec::new(),
    }
}

fn name(written: &str) -> Name {
    match written.split_once('.') {
        Some((schema, name)) => Name { schema: Some(schema.to_owned()), name: name.to_owned() },
        None => Name { schema: None, name: written.to_owned() },
    }
}

fn on(action: Action, written: &str) -> Statement {
    let Name { schema, name } = name(written);
    let effect = Effect::new(action, Object { kind: ObjectKind::Relation, schema, name });
    Statement { effects: vec![Effect { extent: Extent::Bounded, ..effect }], ..blank() }
}

fn call(written: &str) -> Statement {
    Statement { functions: vec![FunctionUse { name: name(written), notation: Notation::Call }], ..blank() }
}

fn attribute(written: &str) -> Statement {
    Statement { functions: vec![FunctionUse { name: name(written), notation: Notation::Attribute }], ..blank() }
}

fn operator(symbol: &str) -> Statement {
    Statement { operators: vec![Name { schema: None, name: symbol.to_owned() }], ..blank() }
}

fn cast(written: &str) -> Statement {
    Statement { types: vec![name(written)], ..blank() }
}

/// Connection strings of subscriptions wait to be read; where there is none, pg_dump and `\dRs+` need not.
#[test]
fn a_subscription_anywhere_on_the_server_is_seen() {
    let mut options = support::postgres_options();
    options.settings.push(("wal_level".to_owned(), "logical".to_owned()));
    let postgres = support::start_postgres(&options);
    for database in ["shop", "other"] {
        postgres.sql("postgres", &format!("create database {database}")).unwrap();
    }
    postgres.sql("shop", "create view v_sub as select * from pg_subscription; create role nobody login").unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(postgres.port()).user("nobody");
    let catalog = Catalog::new(SideConnection::plain(config));
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
    let postgres = support::start_postgres(&support::postgres_options());
    postgres
        .sql(
            "postgres",
            "create foreign data wrapper w; create server s foreign data wrapper w; create role nobody login",
        )
        .unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(postgres.port()).user("nobody");
    let catalog = Catalog::new(SideConnection::plain(config));
    let runtime = runtime();
    let script =
        pgsluice::sql::analyze(b"select umoptions from pg_user_mappings", &pgsluice::sql::LexerSettings::default());
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

/// What the statement does beyond its own effects, as text.
fn beyond(statement: &Statement, facts: &Facts, names: &NameContext) -> BTreeSet<String> {
    let own = statement.effects.iter().map(|effect| effect.action).collect::<BTreeSet<_>>();
    let effects = resolve(statement, facts, names).effects;
    let more = effects.iter().filter(|effect| effect.action != Action::Read && !own.contains(&effect.action));
    more.map(|effect| format!("{} {}", effect.action, effect.object)).collect()
}

#[track_caller]
fn runs(statement: &Statement, facts: &Facts, expected: &[&str]) {
    let expected: BTreeSet<_> = expected.iter().map(|effect| (*effect).to_owned()).collect();
    assert_eq!(beyond(statement, facts, &usual()), expected, "{statement:?}");
}

/// One case for each way in which code runs unnamed; the numbers are the corpus' own.
#[test]
fn every_way_to_run_code_is_seen() {
    let postgres = fixture();
    let set_up = "
        create function wf(int, int) returns bool language plpgsql as $$ begin delete from orders; return true; end $$;
        create operator ### (leftarg = int, rightarg = int, function = wf);
        create operator @@@ (rightarg = oid, function = lo_unlink);
        create function evil.eq(int, int) returns bool language plpgsql as $$ begin return true; end $$;
        create operator evil.= (leftarg = int, rightarg = int, function = evil.eq);
        create function public.lower(text) returns text language plpgsql as $$ begin return ''; end $$;
        create type evil.tt as (a int);
        create function evil.cvt(users) returns evil.tt language plpgsql as $$ begin return row(1)::evil.tt; end $$;
        create cast (users as evil.tt) with function evil.cvt(users);
        create function evil.sf(int, int) returns int language plpgsql as $$ begin return 1; end $$;
        create aggregate myagg(int) (sfunc = evil.sf, stype = int);
        create table rlst(a int); alter table rlst enable row level security;
        create policy p on rlst using (wipe() = 1);
        create table rls_off(a int); create policy p on rls_off using (wipe() = 1);
        create table rls_view(a int); alter table rls_view enable row level security;
        create policy p on rls_view using (exists (select from v_wipe));
        create extension file_fdw; create server fs foreign data wrapper file_fdw;
        create foreign table foreign_prog(l text) server fs options (filename '/dev/null');
        create function wf3(int) returns bool language plpgsql as $$ begin delete from orders; return true; end $$;
        create table tchk(a int check (wf3(a)));
        create table tdef(a int default wipe());
        create table tgen(a int, b int generated always as (wipe_imm_via()) stored);
        create function wg(int) returns int immutable language plpgsql as $$ begin perform wipe(); return 1; end $$;
        create table tidx(a int); create index on tidx(wg(a));
        create table tpart(a int) partition by range (wg(a));
        create domain d as int check (wf3(value)); create table tdom(a int, b d[]);
        create type holder as (x d);
        create view v_lo as select lo_unlink(4242); create view v_v as select * from v_lo, users;
        create view v_op as select 1 ### 2; create view v_hash as select rolpassword from pg_authid;
        create materialized view mv as select wipe() as a with no data;
        create function wipe2(users) returns int language plpgsql as $$ begin return 1; end $$;
        create function two(int, int default 1) returns int language sql as 'select 1';
        create function three(int, int) returns int language sql as 'select 1';
        create function json_serialize(text) returns int language plpgsql as $$ begin return 1; end $$;
        create table plain(id serial primary key, ref int references users on update cascade, n int check (n > 0));
        create function when_it(int) returns bool language sql as 'select true';
        create table twhen(a int);
        create trigger w before update on twhen for each row when (when_it(new.a))
            execute function suppress_redundant_updates_trigger();";
    postgres.sql("shop", set_up).unwrap();
    let facts = facts(&postgres);
    let wipe = "execute public.wipe";

    // Names: 2001, 1072, 2049, 2061, 2068.
    runs(&call("wipe"), &facts, &[wipe]);
    runs(&call("json_serialize"), &facts, &["execute public.json_serialize"]);
    runs(&call("lower"), &facts, &["execute public.lower"]);
    runs(&call("pg_catalog.lower"), &facts, &[]);
    runs(&call("myagg"), &facts, &["execute public.myagg"]);
    runs(&attribute("wipe2"), &facts, &["execute public.wipe2"]);
    runs(&attribute("two"), &facts, &["execute public.two"]);
    runs(&attribute("three"), &facts, &[]);
    runs(&attribute("lo_unlink"), &facts, &["execute pg_catalog.lo_unlink"]);

    // Operators and types: 2055, 2058, 2066.
    runs(&operator("###"), &facts, &["execute public.wf"]);
    runs(&operator("@@@"), &facts, &["execute pg_catalog.lo_unlink"]);
    runs(&operator("="), &facts, &[]);
    let path = ["evil", "pg_catalog", "public"].map(str::to_owned).to_vec();
    let evil = NameContext { search_path: SearchPath::Known(path), ..usual() };
    assert_eq!(beyond(&operator("="), &facts, &evil), ["execute evil.eq".to_owned()].into());
    runs(&cast("evil.tt"), &facts, &["execute evil.cvt"]);
    runs(&cast("d"), &facts, &["execute public.wf3"]);
    runs(&cast("d[]"), &facts, &["execute public.wf3"]);
    runs(&cast("holder"), &facts, &["execute public.wf3"]);
    runs(&cast("tdom"), &facts, &["execute public.wf3"]);
    runs(&cast("tchk"), &facts, &[]);

    // Reading: 2035, 2070, 2071, 2181.
    runs(&on(Action::Read, "v_wipe"), &facts, &[wipe]);
    runs(&on(Action::Read, "v_users"), &facts, &[]);
    runs(&on(Action::Read, "v_v"), &facts, &["execute pg_catalog.lo_unlink"]);
    runs(&on(Action::Read, "v_op"), &facts, &["execute public.wf"]);
    runs(&on(Action::Read, "v_hash"), &facts, &["host pg_catalog.pg_authid"]);
    runs(&on(Action::Read, "rlst"), &facts, &[wipe]);
    runs(&on(Action::Read, "rls_off"), &facts, &[]);
    runs(&on(Action::Read, "rls_view"), &facts, &[wipe]);
    runs(&on(Action::Read, "foreign_prog"), &facts, &["host public.foreign_prog"]);
    runs(&on(Action::Read, "mv"), &facts, &[]);
    runs(&on(Action::Maintain, "mv"), &facts, &[wipe]);
    runs(&on(Action::Read, "tidx"), &facts, &[]);
    runs(&on(Action::Maintain, "tidx"), &facts, &["execute public.wg"]);

    // Writing: 2073, 2075, 2077, 2078.
    runs(&on(Action::Insert, "tchk"), &facts, &["execute public.wf3"]);
    runs(&on(Action::Insert, "tdef"), &facts, &[wipe]);
    runs(&on(Action::Insert, "tgen"), &facts, &["execute public.wipe_imm_via"]);
    runs(&on(Action::Insert, "tidx"), &facts, &["execute public.wg"]);
    runs(&on(Action::Insert, "tpart"), &facts, &["execute public.wg"]);
    runs(&on(Action::Insert, "tdom"), &facts, &["execute public.wf3"]);
    runs(&on(Action::Insert, "t_trig"), &facts, &["execute public.f_trig"]);
    runs(&on(Action::Insert, "v_io"), &facts, &["execute public.f_trig"]);
    runs(&on(Action::Insert, "t_rule"), &facts, &["execute public.r_ins"]);
    runs(&on(Action::Update, "twhen"), &facts, &["execute public.when_it"]);
    runs(&on(Action::Update, "pg_authid"), &facts, &["alter pg_catalog.pg_authid"]);

    // What must go through.
    for write in [Action::Insert, Action::Update] {
        for table in ["plain", "users", "orders", "audit", "v_users"] {
            runs(&on(write, table), &facts, &[]);
        }
    }
    for read in ["information_schema.tables", "pg_class", "pg_stat_activity", "pg_roles", "users"] {
        runs(&on(Action::Read, read), &facts, &[]);
    }
}

/// What the server does decides: a function that counts its calls, and whether we said that it may run.
fn counted(postgres: &Throwaway, facts: &Facts, sql: &str) -> (bool, bool) {
    let mut says = false;
    for statement in analyze(sql.as_bytes(), &LexerSettings::default()).statements {
        assert!(!statement.has_unknown(), "{sql}: {:?}", statement.reasons);
        says |= !resolve(&statement, facts, &usual()).code.is_empty();
        for change in &statement.session {
            if let SessionChange::Prepare { body, .. } = change {
                says |= resolve(body, facts, &usual()).code_at_parse;
            }
        }
    }
    let calls = || postgres.sql("shop", "select last_value + is_called::int from calls").unwrap();
    let before = calls();
    // What fails may have called it before.
    let _failed = postgres.sql("shop", sql);
    (before != calls(), says)
}

#[test]
fn strings_are_read_as_what_stands_beside_them() {
    let postgres = fixture();
    let set_up = "
        create sequence calls;
        create function chk(text) returns bool language plpgsql as $$ begin return nextval('calls') > 0; end $$;
        create domain dom as text check (chk(value));
        create type pair as (a dom, b int);
        create table t (id int, other text, d dom, list dom[], p pair);
        create table mine (id int, other text, list text[]);
        create table single (list dom[]);
        create view v as select id, list as renamed, other from t;
        insert into t values (1, 'x', 'y', '{z}', '(a,1)'); insert into single values ('{z}')";
    postgres.sql("shop", set_up).unwrap();
    let facts = facts(&postgres);
    for sql in [
        "select id from t where list = '{w}'",
        "select id from t a where a.list && '{w}'",
        "select coalesce(p, '(a,1)') from t",
        "select array_append(list, 'w') from t",
        "select lag(d, 1, 'w') over () from t",
        "select coalesce(t, '(1,a,b,{c},)') from t",
        "select coalesce(a, '(1,a,b,{c},)') from t a",
        "select t from t union select '(1,a,b,{c},)'",
        "select * from single union select '{w}'",
        "table single union select '{w}'",
        "select id from t a(id, o, e, f, g) where f = '{w}'",
        "select id from (select * from t) a(id, o, e, f, g) where f = '{w}'",
        "with a(e) as (select * from single) select 1 from a where e = '{w}'",
        "with a(e) as (table single) select 1 from a where e = '{w}'",
        "select x from (select list as x from t) a where x = '{w}'",
        "select (select * from single) = '{w}'",
        "select '{w}' in (select * from single)",
        "select 1 from v where renamed = '{w}'",
        "select '{w}'::dom[]",
        "select _dom '{w}'",
        "select '(a,1)'::pair",
        "select 'w'::dom",
        "explain select id from t where list = '{w}'",
        "explain insert into t (list) values ('{w}')",
        "explain insert into t values (1, '', '', '{w}')",
        "explain update t set list = '{w}'",
        "explain select '{w}'::dom[]",
        "prepare q as select '{w}'::dom[]",
        "prepare q as select id from t where list = '{w}'",
        "prepare q as insert into t (list) values ('{w}')",
        "prepare q as update t set list = '{w}' where id = 1",
        "begin; declare c cursor for select '{w}'::dom[]",
        "create temp view w as select '{w}'::dom[] as a",
        "create temp table w as select 1 from t where list = '{w}'",
        "create temp table w (a dom[] default '{w}')",
        "copy (select id from t where list = '{w}') to stdout",
    ] {
        assert_eq!(counted(&postgres, &facts, sql), (true, true), "{sql}");
    }
    for sql in [
        "select id from t where other = 'x'",
        "select * from t where other = 'x'",
        "select t.*, mine.* from t join mine on t.id = mine.id where mine.other = 'x'",
        "select id, d, list, p from t where other = 'x' order by id",
        "select a.id, a.d as e from t a where a.other = 'x'",
        "select 1 from mine where exists (select * from t where t.id = mine.id and t.other = 'x')",
        "select id from (select * from t) a where other = 'x'",
        "with a as (select * from t) select id from a where other = 'x'",
        "select id from v where other = 'x'",
        "select id from mine where list = '{w}'",
        "prepare q as select list from t where other = 'x'",
    ] {
        assert_eq!(counted(&postgres, &facts, sql), (false, false), "{sql}");
    }
}

#[test]
fn casts_are_applied_where_a_value_is_assigned_or_taken() {
    let postgres = fixture();
    let set_up = "
        create sequence calls;
        create type mood as enum ('a', 'b');
        create function called() returns bool language sql as $$ select nextval('calls') > 0 $$;
        create function to_bool(mood) returns bool language plpgsql as $$ begin return called(); end $$;
        create function to_int(mood) returns int language plpgsql as $$ begin return called()::int; end $$;
        create function to_mood(int) returns mood language plpgsql as $$ begin perform called(); return 'a'; end $$;
        create function to_big(mood) returns bigint language plpgsql as $$ begin return called()::int; end $$;
        create cast (mood as bool) with function to_bool(mood) as assignment;
        create cast (mood as bigint) with function to_big(mood) as assignment;
        create cast (mood as int) with function to_int(mood) as assignment;
        create cast (int as mood) with function to_mood(int) as assignment;
        create table moods (m mood, n int, list mood[]); insert into moods values ('a', 1, '{a}');
        create view v_moods as select n as x, m as y from moods;
        create table mine (n int); insert into mine values (1)";
    postgres.sql("shop", set_up).unwrap();
    let facts = facts(&postgres);
    for sql in [
        "insert into moods (m) values (1)",
        "insert into moods (list) values (array[1])",
        "insert into v_moods (y) values (1)",
        "update moods set m = 1",
        "merge into moods using mine on false when not matched then insert (m) values (1)",
        "select n from moods where m",
        "select case when m then 1 end from moods",
        "select not m from moods",
        "select (array[1, 2])[m] from moods",
        "select n from moods limit 1 offset (select 'a'::mood)",
        "prepare q as select 1 from moods where m = $1; execute q(1)",
    ] {
        assert_eq!(counted(&postgres, &facts, sql), (true, true), "{sql}");
    }
    for sql in [
        "insert into mine values (1)",
        "update mine set n = 2 where n = 1",
        "insert into mine select n from mine",
        "select n from mine where n = 1 limit 1",
    ] {
        assert_eq!(counted(&postgres, &facts, sql), (false, false), "{sql}");
    }
}

#[test]
fn reviewed_extensions_pass_and_others_do_not() {
    let postgres = fixture();
    let set_up = "
        create extension citext; create extension hstore; create extension pgcrypto; create extension dblink;
        create extension tablefunc; create extension pg_stat_statements; create extension adminpack;
        create table mails(m citext, h hstore); create index on mails (m);
        create domain mail as citext check (value ~ '@');
        create function two_users(text) returns int language sql as 'select 1'";
    postgres.sql("shop", set_up).unwrap();
    let facts = facts(&postgres);
    runs(&on(Action::Read, "mails"), &facts, &[]);
    runs(&on(Action::Insert, "mails"), &facts, &[]);
    runs(&on(Action::Read, "pg_stat_statements"), &facts, &[]);
    runs(&cast("mail"), &facts, &[]);
    runs(&operator("="), &facts, &[]);
    for reviewed in ["gen_random_uuid", "crypt", "replace", "hstore", "lower", "max"] {
        runs(&call(reviewed), &facts, &[]);
    }
    for held in ["dblink", "crosstab", "pg_file_write", "pg_stat_statements_reset", "populate_record", "two_users"] {
        assert_eq!(beyond(&call(held), &facts, &usual()).len(), 1, "{held}");
    }
}

/// A cast need not be written as one.
#[test]
fn casts_that_nobody_writes_are_seen() {
    let postgres = fixture();
    let set_up = "
        create type mood as enum ('a');
        create function to_mood(int) returns mood language plpgsql as $$ begin perform wipe(); return 'a'; end $$;
        create cast (int as mood) with function to_mood(int);
        create function mood_json(mood) returns json language plpgsql as $$ begin perform wipe(); return '1'; end $$;
        create cast (mood as json) with function mood_json(mood);
        create function mood_number(mood) returns int8 language plpgsql as $$ begin perform wipe(); return 1; end $$;
        create cast (mood as int8) with function mood_number(mood);
        create type holder as (a text, e mood); create domain held as holder; create type outer_holder as (h held[]);
        create domain big as int8; create type numbers as (a int8[]); create type plain as (a int4, b text);
        create table has_mood (id int4, e mood); create table has_big (id int8);
        create view v_json as select to_json(e) from has_mood; create view v_mood as select e from has_mood;";
    postgres.sql("shop", set_up).unwrap();
    let facts = facts(&postgres);
    let (to_mood, json, number) = ("execute public.to_mood", "execute public.mood_json", "execute public.mood_number");
    for function in ["to_json", "to_jsonb", "row_to_json", "json_agg", "jsonb_object_agg", "json_build_object"] {
        runs(&call(function), &facts, &[json]);
        runs(&attribute(function), &facts, &[json]);
    }
    runs(&attribute("data_json"), &facts, &[]);
    runs(&call("lower"), &facts, &[]);
    runs(&on(Action::Read, "v_json"), &facts, &[json]);
    runs(&on(Action::Read, "v_mood"), &facts, &[]);
    for to in ["mood", "holder", "held", "outer_holder", "_outer_holder", "outer_holder[]", "has_mood"] {
        runs(&cast(to), &facts, &[to_mood]);
    }
    for to in ["bigint", "_int8", "big", "numbers", "has_big", "pg_sequence", "_pg_sequence"] {
        runs(&cast(to), &facts, &[number]);
    }
    for to in ["plain", "text", "int4", "users"] {
        runs(&cast(to), &facts, &[]);
    }
    runs(&on(Action::Read, "has_mood"), &facts, &[]);
    runs(&on(Action::Insert, "has_mood"), &facts, &[]);
    let temporary = NameContext { temporary: ["mine"].into_iter().collect(), ..usual() };
    assert_eq!(beyond(&cast("mine"), &facts, &temporary).len(), 3);
    assert_eq!(beyond(&cast("theirs"), &facts, &temporary).len(), 0);
}

/// What an extension's function in SQL calls by name is whatever has that name.
#[test]
fn functions_of_extensions_are_reviewed_as_far_as_what_they_call_by_name() {
    let postgres = fixture();
    let set_up = "
        create extension cube; create extension earthdistance; create extension citext;
        create table places (id int, at earth); create view v_gc as select sec_to_gc(id) from places;
        create function replace(int) returns int language sql as 'select 1'";
    postgres.sql("shop", set_up).unwrap();
    let before = facts(&postgres);
    for function in ["sec_to_gc", "gc_to_sec", "earth", "ll_to_earth", "cube", "regexp_replace"] {
        runs(&call(function), &before, &[]);
    }
    runs(&on(Action::Read, "v_gc"), &before, &[]);
    runs(&on(Action::Insert, "places"), &before, &[]);
    let shadow = "
        create schema shadow;
        create function shadow.sin(float8) returns float8 language plpgsql as $$ begin perform wipe(); return 1; end $$;
        create function shadow.earth() returns float8 language plpgsql as $$ begin perform wipe(); return 1; end $$";
    postgres.sql("shop", shadow).unwrap();
    let after = facts(&postgres);
    // From 17 on they are resolved when they are made.
    if after.server_version < 170_000 {
        runs(&call("gc_to_sec"), &after, &["execute public.gc_to_sec"]);
        runs(&call("sec_to_gc"), &after, &["execute public.sec_to_gc"]);
        runs(&on(Action::Read, "v_gc"), &after, &["execute public.sec_to_gc"]);
    }
    runs(&call("cube"), &after, &[]);
    runs(&call("regexp_replace"), &after, &[]);
}

#[test]
fn approved_code_passes_until_its_body_changes() {
    let postgres = fixture();
    let before = facts(&postgres);
    let code = resolve(&call("wipe"), &before, &usual()).code;
    assert_eq!(code.len(), 1);
    let approved = code.into_iter().map(|code| (code.oid, code.hash)).collect();
    let names = NameContext { approved: Arc::new(approved), ..usual() };
    assert_eq!(beyond(&call("wipe"), &before, &names), BTreeSet::new());
    let other = "create or replace function wipe() returns int language plpgsql as $$ begin return 2; end $$";
    let unchanged = "grant execute on function wipe to ro; comment on function wipe() is 'x'";
    for (change, held) in [(unchanged, false), (other, true), ("alter function wipe set role app", true)] {
        postgres.sql("shop", change).unwrap();
        assert_eq!(beyond(&call("wipe"), &facts(&postgres), &names).len(), usize::from(held), "{change}");
    }
}

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
fn facts_are_given_out_only_while_fresh() {
    let postgres = fixture();
    let runtime = runtime();
    runtime.block_on(async {
        let limits = Limits { stale_after: Duration::from_secs(3600), ..Limits::default() };
        let catalog = Catalog::new(SideConnection { limits, ..side(&postgres) });
        assert!(catalog.current("shop").is_none());
        let facts = catalog.refresh("shop").await.unwrap();
        assert_eq!(catalog.current("shop").unwrap().version, facts.version);
        catalog.invalidate("shop");
        assert!(catalog.current("shop").is_none());
        assert_eq!(catalog.refresh("shop").await.unwrap().version, facts.version);
        assert!(catalog.current("shop").is_some());
        let other = catalog.refresh("postgres").await.unwrap();
        assert!(other.version > facts.version);

        // A look that is already too old when it ends.
        let limits = Limits { stale_after: Duration::ZERO, ..Limits::default() };
        let catalog = Catalog::new(SideConnection { limits, ..side(&postgres) });
        catalog.refresh("shop").await.unwrap();
        assert!(catalog.current("shop").is_none());
    });
}

#[test]
fn a_watched_database_stays_fresh_and_survives_lost_connections() {
    let postgres = fixture();
    runtime().block_on(async {
        let limits =
            Limits { probe_every: Duration::from_millis(20), idle: Duration::from_secs(3600), ..Limits::default() };
        let catalog = Catalog::new(SideConnection { limits, ..side(&postgres) });
        let watch = catalog.watch("shop").unwrap();
        let seen = async |name: &str| {
            while catalog.current("shop").is_none_or(|facts| facts.relation("public", name).is_none()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        seen("users").await;
        postgres.sql("shop", "create table one(a int)").unwrap();
        seen("one").await;
        let kill = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgsluice catalog'";
        assert!(postgres.sql("shop", kill).unwrap().contains('t'));
        postgres.sql("shop", "create table two(a int)").unwrap();
        seen("two").await;
        // Long enough that nobody looks any more; the next session must be noticed all the same.
        drop(watch);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let _again = catalog.watch("shop").unwrap();
        postgres.sql("shop", "create table three(a int)").unwrap();
        seen("three").await;
    });
}

#[test]
fn side_connections_are_few_read_only_and_closed_when_idle() {
    let postgres = fixture();
    let count = || {
        let count = "select count(*) from pg_stat_activity where application_name = 'pgsluice catalog'";
        postgres.sql("postgres", count).unwrap()
    };
    runtime().block_on(async {
        let limits = Limits { idle: Duration::from_millis(50), databases: 2, ..Limits::default() };
        let catalog = Catalog::new(SideConnection { limits, ..side(&postgres) });
        let watches: Vec<_> = (0..100).map(|_| catalog.watch("shop").unwrap()).collect();
        let looks = (0..100).map(|_| catalog.refresh("shop"));
        for look in looks.collect::<Vec<_>>() {
            look.await.unwrap();
        }
        assert_eq!(count(), "1");
        let second = catalog.watch("postgres").unwrap();
        let third = catalog.refresh("template1").await.unwrap_err();
        assert_eq!(third, CatalogError::TooManyDatabases { limit: 2 });
        drop((watches, second));
        while count() != "0" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        catalog.refresh("template1").await.unwrap();
    });
}

#[test]
fn what_cannot_be_reached_is_an_error_that_says_why() {
    let postgres = fixture();
    runtime().block_on(async {
        let missing = Catalog::new(side(&postgres)).refresh("nowhere").await.unwrap_err();
        assert!(missing.to_string().contains("database \"nowhere\" does not exist"), "{missing}");
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(1).user("postgres");
        let refused = Catalog::new(SideConnection::plain(config)).refresh("shop").await.unwrap_err();
        assert!(refused.to_string().contains("refused"), "{refused}");
    });
}

/// Any role may read what the catalog needs.
#[test]
fn a_role_without_rights_sees_the_same() {
    let postgres = fixture();
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(postgres.port()).user("ro");
    let low = runtime().block_on(Catalog::new(SideConnection::plain(config)).refresh("shop")).unwrap();
    let high = facts(&postgres);
    assert_eq!(low.relations.len(), high.relations.len());
    assert_eq!(low.functions, high.functions);
    runs(&on(Action::Read, "v_wipe"), &low, &["execute public.wipe"]);
}

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

    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(postgres.port()).user("victim");
    let low = Catalog::new(SideConnection::plain(config));
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
        Statement { effects: vec![Effect::new(Action::Drop, object)], ..blank() }
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
