//! Promise: code that is stored with a table and runs because the table is looked at, or is written to by another way, is
//! seen before it runs; and what stays unrun does not make a statement wait. The server says which is which.

use std::sync::Arc;

use pgsluice::blast::{Facts, NameContext, SearchPath, resolve};
use pgsluice::catalog::{Catalog, SideConnection};
use pgsluice::cli::demo::throwaway::Throwaway;
use pgsluice::sql::{Action, LexerSettings, analyze};

use crate::support;

/// Functions that tell by a sequence that they ran.
const TELLING: &str = "
    create sequence told; select nextval('told');
    create function tell(text) returns int immutable language plpgsql as $$ begin
        perform nextval('told'); return length($1); end $$;
    create function compare(int, int) returns int immutable language plpgsql as $$ begin
        perform nextval('told'); return $1 - $2; end $$;
    create function hash(int, bigint) returns bigint immutable language plpgsql as $$ begin
        perform nextval('told'); return $1 + $2; end $$;
    create function plain(text) returns int immutable language plpgsql as $$ begin return length($1); end $$;
    create function lowered(text) returns text immutable language sql as 'select lower($1) || ''x''';
    create function lowered_standard(a text) returns text immutable language sql return lower(a) || 'x';
    create function hidden(text) returns int immutable language sql as 'select length($1) + tell(''k'')';
    create function hidden_standard(a text) returns int immutable language sql return length(a) + tell('k');
    create function dropping(text) returns text immutable language sql as 'select ''k''::text';
    create function told_by() returns trigger language plpgsql as $$ begin
        perform nextval('told'); return coalesce(new, old); end $$;
    create operator ~@~ (rightarg = text, function = tell);
    create operator class by_compare for type int using btree as operator 1 <, operator 2 <=, operator 3 =,
        operator 4 >=, operator 5 >, function 1 compare(int, int);
    create operator class by_hash for type int using hash as operator 1 =, function 2 hash(int, bigint);";

struct Server {
    postgres: Throwaway,
    facts: Arc<Facts>,
}

impl Server {
    fn with(tables: &str) -> Self {
        let postgres = support::postgres();
        postgres.sql("postgres", &format!("{TELLING}{tables}")).unwrap();
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(postgres.port()).user("postgres");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let facts = runtime.block_on(Catalog::new(SideConnection::plain(config)).refresh("postgres")).unwrap();
        Self { postgres, facts }
    }

    /// Whether a script may run code, as we see it.
    fn is_seen(&self, text: &str) -> bool {
        let path = ["$user", "public"].map(str::to_owned).to_vec();
        let names = NameContext { search_path: SearchPath::Known(path), ..NameContext::default() };
        let script = analyze(text.as_bytes(), &LexerSettings::default());
        script.statements.iter().any(|statement| {
            resolve(statement, &self.facts, &names).effects.iter().any(|effect| effect.action == Action::Execute)
        })
    }

    /// Whether it did, in a session of its own. Nothing of it stays but what the sequence tells.
    fn has_run(&self, text: &str) -> bool {
        let told = || self.postgres.sql("postgres", "select last_value from told").unwrap();
        let before = told();
        self.postgres.sql("postgres", &format!("begin; {text}; rollback")).unwrap();
        told() != before
    }

    #[track_caller]
    fn both(&self, text: &str, expected: bool) {
        assert_eq!(self.has_run(text), expected, "on the server: {text}");
        assert_eq!(self.is_seen(text), expected, "seen: {text}");
    }
}

#[test]
fn constant_calls_in_what_is_stored_with_a_table_are_run_by_looking_at_it() {
    let server = Server::with(
        "create table idx(a int); create index on idx((tell('k')));
        create table op(a int); create index on op((~@~ 'k'));
        create table pred(a int); create index on pred(a) where tell('k') > 0;
        create table null_sum(a int, b text); create index on null_sum((tell(b || null)));
        create table chosen(a int, b text); create index on chosen((tell(coalesce('k', b))));
        create table inlined(a int, b text); create index on inlined((hidden(b)));
        create table inlined2(a int, b text); create index on inlined2((hidden_standard(b)));
        create table dropped(a int, b text); create index on dropped((tell(dropping(b))));
        create table stat(a int, b text); insert into stat values (1); create statistics s on (tell('k')), a from stat;
        analyze stat;
        create table chk(a int, check (a > tell('k')));
        create table parent(a int); create table child(check (a > tell('k'))) inherits (parent);
        create table part(a int) partition by range ((a + tell('k')));
        create table part1 partition of part for values from (0) to (9);
        create materialized view mv as select 1 as a; create index on mv((tell('k')));
        create table key(id int primary key); insert into key values (1); create index on key((tell('k')));
        create table refers(a int references key, b int);
        create table key2(id int primary key, v text); insert into key2 values (1);
        create table refers2(a int references key2); create index on refers2((tell('k')));
        create table row(a int, b text); create index on row((a = any (array[tell('k'), 2])));
        create view v as select * from idx;",
    );
    for text in [
        "select * from idx",
        "explain select * from idx",
        "select count(*) from v",
        "insert into idx values (1)",
        "select * from op",
        "select * from pred where a = 1",
        "select * from null_sum",
        "select * from chosen",
        "select * from inlined",
        "select * from inlined2",
        "select * from dropped",
        "select * from stat where a = 1",
        "set constraint_exclusion = on; select * from chk where a = 1",
        "select * from parent where a = 1",
        "select * from part where a = 1",
        "set constraint_exclusion = on; select * from part1 where a = 1",
        "select pg_get_partition_constraintdef('part1'::regclass)",
        "select * from mv",
        "insert into refers values (1)",
        "update key2 set id = 2 where id = 1",
        "delete from key2 where id = 1",
        "select * from row",
    ] {
        server.both(text, true);
    }
    server.both("update key2 set v = 'x' where id = 1", false);
    server.both("update refers set b = 2", false);
}

#[test]
fn what_keeps_its_columns_does_not_wait_to_be_read() {
    let server = Server::with(
        "create extension unaccent;
        create function bare(text) returns text immutable language sql as
            $$ select public.unaccent('public.unaccent', $1) $$;
        create table idx(a int, b text, c text[]);
        create index on idx((tell(b))); create index on idx(a) where tell(coalesce(b, 'x')) > 2;
        create index on idx((tell(lower(b) || 'k'))); create index on idx((~@~ b));
        create index on idx((lowered(b))); create index on idx((lowered_standard(b))); create index on idx((bare(b)));
        create index on idx((tell(case when a > 0 then 'x' else 'y' end))); create index on idx((tell(c[1])));
        create index on idx((tell(left(b, 2)::varchar(3))));
        create index on idx((lower('k' || b))) where a in (1, 2) and b like 'x%' and b is not null;
        create statistics s on (plain(b)), a from idx; analyze idx; select last_value from told;
        create table chk(a int, b text, check (tell(b) > 0 or a is null), check (lowered(b) <> ''), check (a > 0));
        create table part(a int, b text) partition by list (b);
        create table part1 partition of part for values in ('k', 'kk');
        create table keyed(a int, b text) partition by list ((tell(b)));
        create table keyed1 partition of keyed for values in (1);
        create table key(id int primary key, b text); insert into key values (1); create index on key((tell(b)));
        create table refers(a int references key, b text);
        create materialized view mv as select 1 as a, 'x' as b; create index on mv((tell(b)));",
    );
    for text in [
        "select * from idx where b = 'k' and a = 1",
        "set constraint_exclusion = on; select * from chk where a = 1 and b = 'x'",
        "select * from part where b = 'k'",
        "insert into part values (1, 'k')",
        "insert into part1 values (1, 'k')",
        "update part set b = 'kk'",
        "select * from keyed where a = 1",
        "select * from keyed1 where a = 1",
        "insert into refers values (1)",
        "select * from mv",
        "select * from refers join key on id = a",
        "select pg_get_partition_constraintdef('part1'::regclass)",
    ] {
        server.both(text, false);
    }
}

#[test]
fn partitions_run_what_the_keys_above_them_run() {
    let server = Server::with(
        "create table class(a int, b text) partition by range (a by_compare);
        create table class1 partition of class for values from (0) to (9);
        create table class2 partition of class for values from (9) to (19);
        create table hashed(a int) partition by hash (a by_hash);
        create table hashed1 partition of hashed for values with (modulus 1, remainder 0);
        create table expr(a int, b text) partition by list ((tell(b)));
        create table expr1 partition of expr for values in (1);
        create table deep(a int, b text) partition by list (a);
        create table deep1 partition of deep for values in (1) partition by list ((tell(b)));
        create table deep2 partition of deep1 for values in (1);
        create table key(id int primary key); insert into key select generate_series(1, 1000);
        create index on key(id by_compare); analyze key;
        create table refers(a int references key);",
    );
    for text in [
        "select * from class where a = 3",
        "explain select * from class where a = 3",
        "select satisfies_hash_partition('hashed'::regclass, 1, 0, 5)",
        "insert into hashed1 values (1)",
        "insert into expr1 values (1, 'x')",
        "insert into deep2 values (1, 'x')",
        "insert into refers values (500)",
    ] {
        server.both(text, true);
    }
    let updated = Server::with(
        "create table expr(a int, b text) partition by list ((tell(b)));
        create table expr1 partition of expr for values in (1); insert into expr values (1, 'x');",
    );
    updated.both("update expr1 set b = 'y' where a = 1", true);
    updated.both("select * from expr1 where a = 1", false);
}

#[test]
fn rows_that_move_fire_the_triggers_of_both_ends() {
    let trigger = |event: &str, table: &str| {
        format!("create trigger {event}_it before {event} on {table} for each row execute function told_by();")
    };
    let tables = |name: &str, columns: &str, key: &str, value: &str| {
        format!(
            "create table {name}({columns}) partition by list ({key});
            create table {name}1 partition of {name} for values in (1);
            create table {name}2 partition of {name} for values in (2, 3); insert into {name} values ({value});"
        )
    };
    let set_up = [
        tables("goes", "a int, b int", "a", "1"),
        trigger("insert", "goes2"),
        tables("leaves", "a int, b int", "a", "1"),
        trigger("delete", "leaves1"),
        tables("above", "a int, b int", "a", "1"),
        trigger("insert", "above"),
        tables("expr", "a int, b int", "(a + 0)", "1"),
        trigger("insert", "expr2"),
        "create view seen as select a as x, b from goes;".to_owned(),
        "create table key(id int primary key, v int); insert into key values (1), (2);".to_owned(),
        tables("refers", "a int references key on update cascade, b int", "a", "1"),
        trigger("insert", "refers2"),
        "create table other(id int primary key, v int); insert into other values (1), (2);".to_owned(),
        tables("beside", "a int, b int references other on update cascade on delete set null", "a", "1, 1"),
        trigger("insert", "beside2"),
        tables("whole", "a int, b int", "a", "1"),
        "create trigger whole_it before insert on whole for each statement execute function told_by();".to_owned(),
    ];
    let server = Server::with(&set_up.concat());
    for text in [
        "update goes set a = 2 where a = 1",
        "update leaves set a = 2, b = 1 where a = 1",
        "update above set a = 2 where a = 1",
        "update expr set a = 2 where a = 1",
        "update seen set x = 2 where x = 1",
        "update key set id = 3 where id = 1",
        "merge into goes using (values (1)) s(x) on a = x when matched then update set a = 2",
    ] {
        server.both(text, true);
    }
    for text in [
        "update goes set b = 2 where a = 1",
        "update goes1 set b = 2 where a = 1",
        "update leaves set b = 2 where a = 1",
        "update above set b = 2 where a = 1",
        "update expr set b = 2 where a = 1",
        "update key set v = 2 where id = 1",
        "update other set id = 3 where id = 1",
        "delete from other where id = 1",
        "update whole set a = 2 where a = 1",
        "explain update goes set a = 2 where a = 1",
    ] {
        server.both(text, false);
    }
}
