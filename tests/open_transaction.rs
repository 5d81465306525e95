//! Promise: what an open transaction has defined, and nobody else can see yet, is not trusted: what uses it waits, and what
//! does not goes on.

use std::fs;

use tempfile::TempDir;

use crate::support::place::{Place, batch, passes};
use crate::support::wire::{bind, execute, message, parse, query, sync};

/// Tables that nothing hangs on, and functions that empty another one.
const SETUP: &str = "
    grant create on schema public to shop;
    grant all on orders to shop;
    set role shop;
    create table notes (id int primary key, note text);
    insert into notes values (1, 'x');
    create table children (note int, deep int references notes);
    create view v as select id from notes;
    create domain plain as int;
    create table holders (id int, held plain);
    create table versions (version text);
    create table trapped (id int primary key, note text);
    create function wipe() returns int volatile language plpgsql as $$ begin delete from orders; return 1; end $$;
    create function wipes() returns trigger language plpgsql as $$ begin delete from orders; return new; end $$;
    create trigger wipes before insert on trapped for each row execute function wipes();
    create trigger off before insert on versions for each row execute function wipes();
    alter table versions disable trigger off;
    create table root (id int, r int) partition by range (id);
    create table root_mid partition of root for values from (0) to (100) partition by range (id);
    create table root_leaf partition of root_mid for values from (0) to (50);
    create table keyed (id int primary key) partition by range (id);
    create table keyed_leaf partition of keyed default;
    create table kids (r int);
    create table holding (id int primary key);
    create type mood as enum ('ok');
";

/// What is defined, and what it makes of a statement that passes before it.
const CASES: &[(&[&str], &str)] = &[
    (&["create or replace view v as select id from trapped"], "insert into v values (2)"),
    (
        &["create trigger wipes before insert on notes for each row execute function wipes()"],
        "insert into notes values (2)",
    ),
    (
        &["create trigger wipes before insert on notes for each row execute function wipes()"],
        "insert into v values (2)",
    ),
    (&["create rule wipes as on insert to notes do also delete from orders"], "insert into notes values (2)"),
    (
        &["create trigger wipes before insert on root for each row execute function wipes()"],
        "insert into root_leaf values (20)",
    ),
    (
        &["alter table kids add foreign key (r) references keyed on update cascade"],
        "update keyed_leaf set id = 50 where id = 1",
    ),
    (
        &["alter table notes alter note set default set_config('search_path', 'public, pg_temp', false)"],
        "insert into notes (id) values (30)",
    ),
    (
        &["alter table notes add check (pg_advisory_lock(1) is not null) not valid"],
        "insert into notes (id) values (30)",
    ),
    (&["alter table notes add column m mood default 'ok'"], "insert into versions select note from notes"),
    (&["alter table versions enable trigger off"], "insert into versions values ('1')"),
    (
        &["alter table notes rename to before", "alter table trapped rename to notes"],
        "insert into notes values (2, 'x')",
    ),
    (
        &["alter table children drop column deep"],
        "update notes set note = 'y' where id in (select deep from children where note = 1)",
    ),
    (&["alter domain plain add check (wipe() = 1) not valid"], "insert into holders values (1, 1)"),
    (&["create domain wiping as int check (wipe() = 1)"], "select * from notes where id = '1'::wiping"),
    (&["create table carrier (held plain)"], "select * from notes where id = ('(1)'::carrier).held"),
    (
        &["create function extra(notes) returns int language plpgsql as $$ begin return wipe(); end $$"],
        "select n.extra from notes n",
    ),
    (
        &["create function abs(text) returns int language plpgsql as $$ begin return wipe(); end $$"],
        "select abs(note) from notes",
    ),
];

#[test]
fn what_uses_a_new_definition_waits_until_it_is_committed() {
    let place = Place::open_with(SETUP, &[]);
    for (definitions, uses) in CASES {
        let mut session = place.session();
        passes(&mut session, "begin");
        for definition in *definitions {
            place.approved(&mut session, definition);
        }
        let hold = place.waits(&mut session, uses);
        let reasons = hold["reasons"].to_string();
        assert!(reasons.contains("this transaction"), "{definitions:?}: {uses}: {reasons}");
        passes(&mut session, "rollback");
        if !uses.contains("carrier") && !uses.contains("wiping") && !uses.contains("extra") && !uses.contains("abs") {
            passes(&mut session, "begin");
            passes(&mut session, uses);
            passes(&mut session, "rollback");
        }
    }
    assert_eq!(place.orders(), "500");
}

/// Code that nobody sees through may define something; the server says whether it has.
#[test]
fn what_code_has_defined_waits_and_what_it_has_not_goes_on() {
    let place = Place::open_with(SETUP, &[]);
    let mut session = place.session();
    for (code, uses) in [
        ("perform 1", None),
        ("create temp table mine (id serial primary key, at timestamptz default now())", None),
        ("create or replace view v as select id from trapped", Some("insert into v values (2)")),
        ("create or replace view v as select id from trapped", Some("select * from public.versions")),
        ("alter table children rename deep to deeper", Some("select * from public.versions")),
        ("drop view v", Some("select 1 from public.notes")),
    ] {
        passes(&mut session, "set search_path = public");
        passes(&mut session, "begin");
        place.approved(&mut session, &format!("do $$ begin {code}; end $$"));
        match uses {
            Some(uses) => drop(place.waits(&mut session, uses)),
            None => drop(passes(&mut session, "insert into notes values (2); select id from v")),
        }
        passes(&mut session, "rollback");
        passes(&mut session, "select id from v");
    }
    assert_eq!(place.orders(), "500");
}

#[test]
fn a_migration_goes_on_with_what_it_has_not_changed_and_with_plain_columns_of_what_it_has() {
    let place = Place::open_with(SETUP, &[]);
    let mut session = place.session();
    passes(&mut session, "begin");
    place.approved(&mut session, "alter table notes add column extra int not null default 0, add check (extra >= 0)");
    passes(&mut session, "update notes set extra = 1 where id = 1");
    place.approved(&mut session, "create index on notes (lower(note))");
    passes(&mut session, "insert into notes values (2, 'y')");
    place.approved(&mut session, "create table fresh (id int primary key)");
    place.approved(&mut session, "create type state as enum ('ok')");
    place.approved(&mut session, "alter table notes add column now state");
    place.approved(&mut session, "alter table fresh add column other int references holding");
    place.approved(&mut session, "create index on fresh (other)");
    place.approved(&mut session, "comment on table fresh is 'new'");
    place.approved(&mut session, "create view looks as select * from fresh");
    place.approved(&mut session, "grant select on fresh to shop");
    place.approved(&mut session, "create function tidy() returns int language sql as 'select 1'");
    passes(&mut session, "select count(*) from v");
    passes(&mut session, "insert into versions values ('2')");
    // Whoever lets a new table be used lets the rest go on, as long as that has defined nothing.
    place.approved(&mut session, "insert into fresh values (1)");
    passes(&mut session, "insert into versions values ('3')");
    passes(&mut session, "select count(*) from holders");
    place.waits(&mut session, "insert into fresh values (2)");
    passes(&mut session, "rollback");
    passes(&mut session, "begin");
    place.approved(&mut session, "create table fresh (id int)");
    place.approved(&mut session, "do $$ begin create or replace view v as select id from trapped; end $$");
    place.approved(&mut session, "do $$ begin perform 1; end $$");
    place.waits(&mut session, "insert into v values (2)");
    passes(&mut session, "rollback");
    passes(&mut session, "begin");
    place.approved(&mut session, "create table fresh (id int)");
    passes(&mut session, "commit");
    passes(&mut session, "insert into fresh values (1)");
}

/// That a bound rests on columns which are not there is no less true for what was defined.
#[test]
fn a_change_of_every_row_waits_behind_any_definition() {
    let place = Place::open_with(SETUP, &[]);
    let mut session = place.session();
    let every = "update notes set note = 'y' where id in (select id from kids where r = 1)";
    place.waits(&mut session, every);
    for definition in ["comment on table versions is 'x'", "create index on versions (version)"] {
        passes(&mut session, "begin");
        place.approved(&mut session, definition);
        place.waits(&mut session, every);
        passes(&mut session, "rollback");
    }
}

/// Its plan stands, but triggers and keys are looked up when it runs.
#[test]
fn a_portal_bound_before_a_definition_is_decided_on_again() {
    let place = Place::open_with(SETUP, &[]);
    let mut session = place.session();
    let trigger = "create trigger wipes before insert on notes for each row execute function wipes()";
    let bound = [parse("insert into notes values (40)"), message(b'B', b"p\0\0\0\0\0\0\0\0")].concat();
    let run = message(b'E', b"p\0\0\0\0\0");
    let defines = [parse(trigger), bind(&[]), execute()].concat();
    // In messages of their own, and in one batch.
    passes(&mut session, "begin");
    session.raw(&[bound.clone(), sync()].concat());
    assert!(session.reply().errors.is_empty());
    place.approved(&mut session, trigger);
    session.raw(&[run.clone(), sync()].concat());
    place.proxy.deny_next("no");
    assert_eq!(session.reply().errors[0].code, "42501");
    passes(&mut session, "rollback");
    session.raw(&[bound.clone(), defines, run.clone(), sync()].concat());
    place.proxy.approve_next(&[]);
    place.proxy.deny_next("no");
    assert_eq!(session.reply().errors[0].code, "42501");
    // Where the definition concerns others, it goes on.
    passes(&mut session, "begin");
    session.raw(&[bound, sync()].concat());
    assert!(session.reply().errors.is_empty());
    place.approved(&mut session, &trigger.replace("on notes", "on root"));
    session.raw(&[run, sync()].concat());
    assert_eq!(session.reply().tags, ["INSERT 0 1"]);
    passes(&mut session, "rollback");
    assert_eq!(place.orders(), "500");
}

/// What a name means goes on to the next schema of the path, where a schema may not be used or a view is gone.
#[test]
fn what_a_definition_takes_away_hides_nothing_any_more() {
    let setup = "
        create schema a1 authorization shop; create schema evil authorization shop; create schema closed;
        set role shop;
        create table a1.n2 (id int); create table evil.n2 (id int);
        create trigger wipes before insert on evil.n2 for each row execute function wipes();
        create table a1.base (id int primary key, note text);
        create view a1.grouped as select id, note from a1.base group by id;
        create table evil.grouped (id int, note text);
        create trigger wipes before insert on evil.grouped for each row execute function wipes();
        reset role;
        create table closed.n2 (id int);";
    let place = Place::open_with(&format!("{SETUP}; reset role; {setup}"), &[]);
    let mut session = place.session();
    passes(&mut session, "set search_path = a1, evil");
    for (definition, uses) in [
        ("revoke usage on schema a1 from shop", "insert into n2 values (1)"),
        ("alter table base drop constraint base_pkey cascade", "insert into grouped values (1, 'x')"),
    ] {
        passes(&mut session, "begin");
        place.approved(&mut session, definition);
        place.waits(&mut session, uses);
        passes(&mut session, "rollback");
    }
    passes(&mut session, "insert into n2 values (1)");
    // Nobody defined anything here: the role may not use the first schema.
    passes(&mut session, "set search_path = closed, evil");
    place.waits(&mut session, "insert into n2 values (1)");
    assert_eq!(place.orders(), "500");
}

/// A role may be made to act as another from login on: its names are those of that one.
#[test]
fn a_session_that_begins_as_another_role_has_the_names_of_that_one() {
    let setup = "
        create role member login in role shop; create role acting; grant acting to member;
        create schema acting authorization acting; create table public.un (id int); create table acting.un (id int);
        grant all on acting.un, public.un to acting; grant execute on function wipes() to acting; grant all on orders to acting;
        create trigger wipes before insert on acting.un for each row execute function wipes();
        alter role member set role = 'acting'";
    let place = Place::open_with(&format!("{SETUP}; reset role; {setup}"), &[]);
    let mut session = place.session_with(&[("user", "member")]);
    place.waits(&mut session, "insert into un values (1)");
    passes(&mut session, "insert into public.un values (1)");
    passes(&mut session, "select current_user");
    assert_eq!(place.orders(), "500");
}

/// The next message is there before the server has answered the definition.
#[test]
fn a_definition_counts_for_what_is_sent_right_behind_it() {
    let place = Place::open_with(SETUP, &[]);
    let mut session = place.session();
    let trigger = "create trigger wipes before insert on notes for each row execute function wipes()";
    let insert = "insert into notes values (2)";
    session.raw(&batch(&[trigger, insert]));
    place.proxy.approve_next(&[]);
    place.proxy.deny_next("no");
    assert_eq!(session.reply().errors[0].code, "42501");
    session.raw(&[query("begin"), query(trigger), query(insert)].concat());
    place.proxy.approve_next(&[]);
    place.proxy.deny_next("no");
    assert!(session.reply().errors.is_empty());
    assert!(session.reply().errors.is_empty());
    assert_eq!(session.reply().errors[0].code, "42501");
    passes(&mut session, "rollback");
    assert_eq!(place.orders(), "500");
}

/// Where a policy lets definitions through, what is defined and used in one message is no way around it.
#[test]
fn a_definition_counts_within_its_message() {
    let policies = TempDir::with_prefix("pgsluice-policies-").unwrap();
    let policy = [
        include_str!("../policies/default.cedar"),
        "@id(\"definitions-pass\") permit (principal, action in [Action::\"create\", Action::\"alter\"], resource);\n",
    ];
    fs::write(policies.path().join("policy.cedar"), policy.concat()).unwrap();
    let place = Place::open_with(SETUP, &["--policies", policies.path().to_str().unwrap()]);
    for (definitions, uses) in CASES {
        let mut session = place.session();
        place.waits(&mut session, &format!("{}; {uses}", definitions.join("; ")));
    }
    assert_eq!(place.orders(), "500");
}
