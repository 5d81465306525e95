//! Promise: what an open transaction has defined, and nobody else can see yet, is not trusted: what uses it waits, and what
//! does not goes on.

use std::fs;

use tempfile::TempDir;

use crate::support::place::{Place, batch, passes};
use crate::support::wire::query;

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
        if !uses.contains("wiping") && !uses.contains("extra") && !uses.contains("abs") {
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
    place.approved(&mut session, "create type mood as enum ('ok')");
    place.approved(&mut session, "create function tidy() returns int language sql as 'select 1'");
    passes(&mut session, "select count(*) from v");
    passes(&mut session, "insert into versions values ('2')");
    place.waits(&mut session, "insert into fresh values (1)");
    passes(&mut session, "rollback");
    passes(&mut session, "begin");
    place.approved(&mut session, "create table fresh (id int)");
    passes(&mut session, "commit");
    passes(&mut session, "insert into fresh values (1)");
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
