//! Promise: every way in which a statement runs code that it does not name is seen, and what runs none passes. What the server
//! does decides.

use pgsluice::blast::{Facts, NameContext, SearchPath, resolve};
use pgsluice::cli::demo::throwaway::Throwaway;
use pgsluice::sql::{Action, LexerSettings, SessionChange, analyze};

use crate::support::facts::{attribute, beyond, call, cast, facts, fixture, on, operator, runs, usual};

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
