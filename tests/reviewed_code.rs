//! Promise: code that is reviewed or approved passes, as long as it is the same and calls nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use pgsluice::blast::{NameContext, resolve};
use pgsluice::sql::Action;

use crate::support::facts::{beyond, call, cast, facts, fixture, on, operator, runs, usual};

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
