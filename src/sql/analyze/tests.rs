//! What a text alone says.

mod conditions;
mod joins;
mod own_names;
mod subqueries;

use super::*;

fn one(text: &str) -> Statement {
    let script = analyze(text.as_bytes(), &LexerSettings::default());
    assert_eq!(script.statements.len(), 1, "{text}");
    script.statements.into_iter().next().expect("counted")
}

fn shown(text: &str) -> Vec<String> {
    let script = analyze(text.as_bytes(), &LexerSettings::default());
    script.statements.iter().flat_map(|statement| statement.effects.iter().map(ToString::to_string)).collect()
}

/// What the shipped policy lets through, as far as the text alone decides.
fn passes(statement: &Statement) -> bool {
    statement.effects.iter().all(|effect| match effect.action {
        Action::Read => true,
        Action::Lock | Action::Set | Action::Transaction | Action::Maintain if effect.harmless => true,
        Action::Insert => true,
        Action::Update => effect.extent == Extent::Bounded,
        Action::Create => effect.temporary && effect.object.kind == ObjectKind::Table,
        _ => effect.object.kind == ObjectKind::Channel,
    })
}

/// The extent of what a statement changes.
fn extent_of_change(text: &str) -> Extent {
    let changes = one(text)
        .effects
        .into_iter()
        .filter(|effect| matches!(effect.action, Action::Update | Action::Delete) && effect.object.name == "users");
    changes.map(|effect| effect.extent).max().expect("it changes users")
}

/// Cases of the corpus whose effect only a catalog, the session or the protocol shows.
const INVISIBLE: &[&str] = &[
    "1068", "1069", // a user's function under a built-in name
    "2035", "2036", "3129", // a view that runs code
    "2049", "2050", // attribute notation of a user's function
    "2055", "2056", "2058", "2061", "2066", "2069", // operators, casts, shadowed names
    "2070", "2071", "2073", "2075", "2077", "2078", "2083", // policies, foreign tables, checks, indexes, triggers
    "3095", // harmless by itself
    "3142", // startup parameter
    "1056", "1072",
];

#[test]
fn corpus_is_judged_as_its_text_allows() {
    let text = include_str!("../../../testdata/corpus/statements.jsonl");
    let mut wrong = Vec::new();
    for line in text.lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect("a line is a case");
        let field = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
        let (id, sql, expected) = (field("id"), field("sql"), field("expected"));
        if field("proto") == "F" || expected == "policy" || INVISIBLE.contains(&id.as_str()) {
            continue;
        }
        let mut settings = LexerSettings::default();
        if field("class") == "standard_conforming_strings=off" && expected == "hold" {
            settings.standard_conforming_strings = false;
        }
        let script = analyze(sql.as_bytes(), &settings);
        let pass = script.statements.iter().all(passes);
        if pass != (expected == "pass") {
            wrong.push(format!("{id} {expected}: {sql}\n    {:?}", script.statements));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_plain_read_names_its_relations() {
    assert_eq!(
        shown("SELECT a.x FROM public.orders a JOIN users USING (id)"),
        ["read table public.orders", "read table users"]
    );
    assert!(passes(&one("WITH x AS (SELECT 1) SELECT * FROM x")));
}

/// What only younger servers know is no less ordinary.
#[test]
fn constraints_of_temporary_tables_are_read() {
    for sql in [
        "create temp table t (id int4range, p tstzrange, primary key (id, p without overlaps))",
        "create temp table t (id int4range, p tstzrange, unique (id, p without overlaps) include (id))",
        "create temp table t (id int4range, p tstzrange, foreign key (id, period p) references u (id, period p))",
        "create temp table t (period int, foreign key (period) references u (period))",
        "create temp table t (a int constraint c check (a > 0) not enforced, constraint n not null a no inherit)",
        "create temp table t (a int, not null a)",
        "create temp table t (a int, b int generated always as (a * 2) virtual, c int generated always as (a))",
    ] {
        let script = analyze(sql.as_bytes(), &LexerSettings::default());
        assert!(!script.statements[0].has_unknown(), "{sql}: {:?}", script.statements[0].reasons);
    }
}

/// The same calls in what is run at once or kept for later, wherever it stands.
fn sets_something_unknown(definition: &str) {
    for call in ["set_config('role', 'boss', false)", "pg_catalog.SET_CONFIG(a, b, true)", "\"set_config\"(a, b, c)"] {
        let statement = one(&definition.replace("CALL", call));
        let effects: Vec<_> = statement.effects.iter().map(ToString::to_string).collect();
        assert!(effects.contains(&"set setting".to_owned()), "{definition} {call}: {effects:?}");
        let unsettled = SessionChange::Set { name: None, value: None, local: false };
        assert!(statement.session.contains(&unsettled), "{definition} {call}");
    }
}

#[test]
fn calls_with_an_effect_are_seen_where_arguments_are_not_read() {
    sets_something_unknown("alter table pg_temp.t alter column c type text using CALL");
    sets_something_unknown("alter table t alter a set default 1, alter c type text using lower(CALL)");
    sets_something_unknown("alter table t add column d text default CALL");
    sets_something_unknown("create temp table t of public.ct (b default CALL)");
}

#[test]
fn setval_is_seen_where_arguments_are_not_read() {
    for call in ["setval('public.orders_id_seq', 7)", "pg_catalog.setval('public.orders_id_seq', 7, true)"] {
        let effects = shown(&format!("alter table t alter d type bigint using {call}"));
        assert!(effects.contains(&"alter sequence".to_owned()), "{call}: {effects:?}");
    }
}

/// Even of a setting that is harmless now.
#[test]
fn a_setting_changed_by_what_a_table_keeps_is_unknown() {
    sets_something_unknown("create temp table t (a text default CALL, b int)");
    sets_something_unknown("create temp table t (a int check (CALL <> ''))");
    sets_something_unknown("create temp table t (a int, check (CALL <> ''))");
    sets_something_unknown("create temp table t (a int, b text generated always as (CALL) stored)");
    let path = "create table pg_temp.t (a text default set_config('search_path', 'public, pg_temp', false))";
    assert!(shown(path).contains(&"set setting".to_owned()), "{:?}", shown(path));
}

#[test]
fn calls_by_key_words_in_definitions_are_seen() {
    for (call, name, schema) in [
        ("substring(c, c, c, c)", "substring", None),
        ("overlay(c, c)", "overlay", None),
        ("json_scalar(c)", "json_scalar", None),
        ("position('a' in c)", "position", Some("pg_catalog")),
        ("trim(c)", "btrim", Some("pg_catalog")),
        ("\"substring\"(c, c, c, c)", "substring", None),
    ] {
        let statement = one(&format!("alter table t alter column c type text using {call}"));
        let called = |function: &crate::sql::FunctionUse| {
            function.name.name == name && function.name.schema.as_deref() == schema
        };
        assert!(statement.functions.iter().any(called), "{call}: {:?}", statement.functions);
    }
    for sql in
        ["alter table t add column c numeric(3, 1)", "alter table t alter c type varchar(3) using coalesce(c, '')"]
    {
        assert!(one(sql).functions.is_empty(), "{sql}: {:?}", one(sql).functions);
    }
}

/// The other table gets or loses a row of `pg_inherits`, and who reads the one reads the other.
#[test]
fn a_table_that_becomes_a_child_or_a_partition_alters_the_other() {
    for action in ["inherit public.orders", "no inherit public.orders", "attach partition public.orders default"] {
        let effects = shown(&format!("alter table pg_temp.t {action}"));
        assert!(effects.contains(&"alter table public.orders".to_owned()), "{action}: {effects:?}");
        let effects = shown(&format!("alter table if exists only t alter a set default f(1, 2), {action}"));
        assert!(effects.contains(&"alter table public.orders".to_owned()), "{action}: {effects:?}");
    }
    let effects = shown("alter table pg_temp.t detach partition orders concurrently");
    assert!(effects.contains(&"alter table orders".to_owned()), "{effects:?}");
    // What is the session's own is altered alone.
    let statement = one("alter table pg_temp.t inherit pg_temp.u");
    assert!(statement.effects.iter().all(|effect| effect.temporary), "{:?}", statement.effects);
}
