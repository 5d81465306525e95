use super::*;
use crate::sql::Assumption;

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
    for source in [
        "SELECT id, 0 FROM users",
        "TABLE users",
        "WITH u AS (SELECT * FROM users) SELECT id, 0 FROM u",
        "SELECT g, 0 FROM generate_series(1, 100000) g WHERE EXISTS (SELECT FROM users x WHERE x.id = g)",
        "SELECT generate_series(1, 100000), 0",
        "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 100000) SELECT n, 0 FROM x",
    ] {
        let text = format!("INSERT INTO users {source} ON CONFLICT (id) DO UPDATE SET balance = excluded.balance");
        assert_eq!(update(&text), Extent::Whole, "{text}");
    }
    for source in [
        "VALUES (1, 0), (2, 0)",
        "SELECT unnest($1::int[]), 0",
        "SELECT id, 0 FROM staging",
        "SELECT id, 0 FROM users WHERE id = 7",
    ] {
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
        "id IN (SELECT s.user_id FROM (SELECT o.user_id FROM orders o WHERE o.amount = 5) s)",
        "id IN (WITH v(x) AS (VALUES (1)) SELECT x FROM v)",
    ] {
        assert_eq!(extent(condition), Extent::Bounded, "{condition}");
    }
}

/// The extent of what a statement changes.
fn extent_of_change(text: &str) -> Extent {
    let changes = one(text)
        .effects
        .into_iter()
        .filter(|effect| matches!(effect.action, Action::Update | Action::Delete) && effect.object.name == "users");
    changes.map(|effect| effect.extent).max().expect("it changes users")
}

#[test]
fn a_partner_in_another_relation_bounds_nothing() {
    for text in [
        "UPDATE users SET balance = 0 FROM orders WHERE users.id = orders.user_id",
        "UPDATE users u SET balance = 0 FROM orders o WHERE u.id = o.user_id AND o.user_id = u.id",
        "UPDATE users u SET balance = 0 FROM orders o, staging s WHERE u.id = o.user_id AND o.id = s.id",
        "UPDATE users u SET balance = 0 FROM orders o JOIN staging s ON s.id = o.id WHERE u.id = o.user_id",
        "UPDATE users u SET balance = 0 FROM orders o JOIN staging s USING (id) WHERE u.id = o.user_id",
        "UPDATE users u SET balance = 0 FROM orders o WHERE u.id <= o.user_id",
        "UPDATE users u SET balance = 0 FROM orders o WHERE u.id <= o.user_id AND o.id = 7",
        "UPDATE users u SET balance = 0 FROM (VALUES (0)) v(x) WHERE u.id > v.x",
        "UPDATE users u SET balance = 0 FROM generate_series(1, 100000) g(g) WHERE u.id = g.g",
        "UPDATE users u SET balance = 0 FROM (SELECT array_agg(id) ids FROM orders LIMIT 1) v WHERE u.id = ANY (v.ids)",
        "WITH RECURSIVE t AS (SELECT id FROM users WHERE id = 7 UNION SELECT c.id FROM users c JOIN t ON c.up = t.id) \
         UPDATE users u SET balance = 0 FROM t WHERE u.id = t.id",
        "UPDATE users u SET balance = 0 FROM (SELECT max(id) m FROM users LIMIT 1) v WHERE u.id <= v.m",
        "MERGE INTO users u USING (VALUES (1)) v(x) ON u.id >= v.x WHEN MATCHED THEN UPDATE SET balance = 0",
        "UPDATE users u SET balance = 0 FROM orders o WHERE u.id = o.user_id AND o.id > 0",
        "UPDATE users u SET balance = 0 FROM orders o WHERE u.id = o.user_id OR o.id = 7",
        "UPDATE users u SET balance = 0 FROM orders o WHERE id = user_id",
        "UPDATE users u SET balance = 0 FROM orders o, staging s WHERE u.id = o.user_id AND s.id = 7",
        "UPDATE users u SET balance = 0 FROM orders o, staging s WHERE u.id = o.user_id AND amount = 7",
        "UPDATE users u SET balance = 0 FROM orders o LEFT JOIN staging s ON s.id = o.id AND s.id = 7 WHERE u.id = o.user_id",
        "UPDATE users u SET balance = 0 FROM orders o LEFT JOIN (VALUES (7)) s(id) USING (id) WHERE u.id = o.user_id",
        "UPDATE users u SET balance = 0 FROM orders o LEFT JOIN (a JOIN b ON a.id = 7) ON true WHERE u.id = o.user_id",
        "UPDATE users u SET balance = 0 FROM a JOIN b ON a.id = 7 RIGHT JOIN orders o ON true WHERE u.id = o.user_id",
        "UPDATE users u SET balance = 0 FROM orders o LEFT JOIN a JOIN b ON o.id = 7 ON true WHERE u.id = o.user_id",
        "UPDATE users u SET balance = 0 FROM o CROSS JOIN a JOIN b USING (id) WHERE u.id = o.user_id AND b.id = 7",
        "UPDATE users u SET balance = 0 FROM (SELECT user_id, count(*) FROM orders GROUP BY 1) s WHERE u.id = s.user_id",
        "UPDATE users u SET balance = 0 FROM (SELECT * FROM orders UNION VALUES (1)) s WHERE u.id = s.user_id",
        "UPDATE users u SET balance = 0 FROM (SELECT o.* FROM orders o JOIN a ON a.id = o.id) s WHERE u.id = s.user_id",
        "UPDATE users u SET balance = 0 FROM orders o, unnest(o.users) x WHERE u.id = x.x",
        "UPDATE users u SET balance = 0 FROM orders o, LATERAL (SELECT o.user_id AS id) x WHERE u.id = x.id",
        "UPDATE users u SET balance = 0 FROM users v WHERE u.id = v.id",
        "UPDATE users u SET balance = 0 WHERE id IN (SELECT v.id FROM users v JOIN orders o ON o.user_id = v.id)",
        "WITH s AS (TABLE orders) UPDATE users u SET balance = 0 FROM s WHERE u.id = s.user_id",
        "WITH s AS (UPDATE orders SET x = 1 RETURNING *) UPDATE users u SET balance = 0 FROM s WHERE u.id = s.user_id",
        "WITH s AS (INSERT INTO a TABLE orders RETURNING *) DELETE FROM users u USING s WHERE u.id = s.user_id",
        "WITH RECURSIVE t AS (SELECT id FROM users UNION SELECT o.id FROM orders o JOIN t ON o.up = t.id) \
         DELETE FROM users u USING t WHERE u.id = t.id",
        "DELETE FROM users USING orders WHERE users.id = orders.user_id",
        "DELETE FROM users u USING orders o JOIN staging s ON s.id = 7 WHERE u.id = o.user_id",
        "MERGE INTO users u USING staging s ON u.id = s.id WHEN MATCHED THEN UPDATE SET balance = s.balance",
        "MERGE INTO users u USING staging s ON u.id = s.id WHEN MATCHED THEN DELETE",
        "MERGE INTO users u USING (SELECT * FROM staging) s ON u.id = s.id AND s.id > 0 WHEN MATCHED THEN DELETE",
        "MERGE INTO users u USING (VALUES (7)) s(id) ON u.id = s.id WHEN NOT MATCHED BY SOURCE THEN DELETE",
        "MERGE INTO users u USING staging s ON u.id = s.id WHEN MATCHED AND s.id = 7 THEN DO NOTHING \
         WHEN MATCHED THEN DELETE",
    ] {
        assert_eq!(extent_of_change(text), Extent::Whole, "{text}");
    }
}

#[test]
fn a_condition_on_either_side_of_a_join_bounds_the_change() {
    for text in [
        "UPDATE users SET balance = 0 FROM orders WHERE users.id = orders.user_id AND orders.id = 7",
        "UPDATE users u SET balance = 0 FROM orders o WHERE u.id = o.user_id AND u.name = $1",
        "UPDATE users u SET balance = 0 FROM orders o WHERE u.id = o.user_id AND o.at > now() - interval '1 day'",
        "UPDATE users u SET balance = 0 FROM orders o WHERE u.id = o.user_id AND name = 'x'",
        "UPDATE users u SET balance = 0 FROM orders o WHERE (u.id = o.user_id AND o.id = 7) OR (u.id = o.user_id AND o.id = 8)",
        "UPDATE users u SET balance = 0 FROM orders o, staging s WHERE u.id = o.user_id AND o.id = s.id AND s.id = 7",
        "UPDATE users u SET balance = 0 FROM orders o JOIN staging s ON s.id = o.id WHERE u.id = o.user_id AND s.x = 7",
        "UPDATE users u SET balance = 0 FROM orders o JOIN staging s ON s.id = o.id AND s.x = 7 WHERE u.id = o.user_id",
        "UPDATE users u SET balance = 0 FROM orders o JOIN staging s USING (id) WHERE u.id = o.user_id AND s.x = 7",
        "UPDATE users u SET balance = 0 FROM orders o NATURAL JOIN staging s WHERE u.id = o.user_id AND s.x = 7",
        "UPDATE users u SET balance = 0 FROM orders o LEFT JOIN staging s ON s.id = o.id WHERE u.id = o.user_id AND s.id IS NULL",
        "UPDATE users u SET balance = 0 FROM orders o JOIN a ON a.id = o.id LEFT JOIN s ON true WHERE u.id = o.user_id AND a.x = 7",
        "UPDATE users u SET balance = 0 FROM (VALUES (1, 2), (3, 4)) v(id, x) WHERE u.id = v.id",
        "UPDATE users u SET balance = 0 FROM unnest($1::int[], $2::int[]) v(id, x) WHERE u.id = v.id",
        "UPDATE users u SET balance = 0 FROM orders o, unnest(o.users) x WHERE u.id = x.x AND o.id = 7",
        "UPDATE users u SET balance = 0 FROM (SELECT * FROM orders WHERE id = 7) s WHERE u.id = s.user_id",
        "UPDATE users u SET balance = 0 FROM (SELECT * FROM orders LIMIT 10) s WHERE u.id = s.user_id",
        "UPDATE users u SET balance = 0 FROM users v WHERE u.id = v.id AND v.name = 'x'",
        "UPDATE users u SET balance = 0 WHERE id IN (SELECT v.id FROM users v JOIN orders o ON o.user_id = v.id WHERE o.x = 7)",
        "UPDATE users u SET balance = 0 WHERE id IN \
         (SELECT v.id FROM users v LEFT JOIN orders o ON o.user_id = v.id WHERE o.id IS NULL)",
        "WITH s AS (DELETE FROM orders WHERE id = 7 RETURNING *) UPDATE users u SET balance = 0 FROM s WHERE u.id = s.user_id",
        "WITH s AS (INSERT INTO orders VALUES (7) RETURNING *) UPDATE users u SET balance = 0 FROM s WHERE u.id = s.user_id",
        "WITH RECURSIVE t AS (SELECT id FROM orders WHERE id = 7) UPDATE users u SET balance = 0 FROM t WHERE u.id = t.id",
        "UPDATE users u SET balance = 0 FROM (SELECT unnest($1::int[]) id, unnest($2::int[]) x) v WHERE u.id = v.id",
        "UPDATE users u SET balance = 0 FROM jsonb_to_recordset($1) v(id int, x int) WHERE u.id = v.id",
        "UPDATE users u SET balance = 0 FROM (SELECT user_id, count(*) FROM orders WHERE day = '2026-01-01' GROUP BY 1) v \
         WHERE u.id = v.user_id",
        "DELETE FROM users u USING orders o WHERE u.id = o.user_id AND o.id IN (7, 8)",
        "MERGE INTO users u USING (VALUES (7, 8)) s(id, x) ON u.id = s.id WHEN MATCHED THEN UPDATE SET balance = s.x",
        "MERGE INTO users u USING staging s ON u.id = s.id WHEN MATCHED AND s.op = 'd' THEN DELETE",
        "MERGE INTO users u USING staging s ON u.id = s.id AND u.name = $1 WHEN MATCHED THEN DELETE",
        "MERGE INTO users u USING staging s ON u.id = s.id WHEN NOT MATCHED BY SOURCE AND u.id = 7 THEN DELETE",
    ] {
        assert_eq!(extent_of_change(text), Extent::Bounded, "{text}");
    }
}

#[test]
fn a_subquery_of_all_rows_bounds_nothing() {
    for condition in [
        "id IN (SELECT o.user_id FROM orders o)",
        "id IN (SELECT user_id FROM orders)",
        "id IN (TABLE orders)",
        "id IN (SELECT user_id FROM orders WHERE amount > 0)",
        "id IN (SELECT user_id FROM orders WHERE user_id IS NOT NULL)",
        "id IN (SELECT user_id FROM orders ORDER BY at LIMIT 1000000)",
        "id IN (SELECT o.user_id FROM orders o JOIN staging s ON s.id = o.id)",
        "id IN (SELECT o.user_id FROM orders o WHERE o.user_id = u.id)",
        "id IN (SELECT x FROM orders o, unnest(o.users) x)",
        "id IN (SELECT user_id FROM orders WHERE day = '2026-01-01' UNION SELECT user_id FROM staging)",
        "id = ANY (SELECT user_id FROM orders)",
        "id = ANY (ARRAY(SELECT user_id FROM orders))",
        "id = ANY ((SELECT array_agg(user_id) FROM orders)::int[])",
        "(id, name) IN (SELECT user_id, name FROM orders)",
        "id < (SELECT max(user_id) FROM orders)",
        "ids <@ (SELECT array_agg(user_id) FROM orders)",
        "id < (SELECT min(user_id) FROM orders WHERE day = '2026-01-01')",
        "id <= (SELECT max(id) FROM orders LIMIT 1)",
        "id IN (SELECT unnest(array_agg(id)) FROM orders LIMIT 10000)",
        "id IN (SELECT x FROM (SELECT ids FROM (SELECT array_agg(id) ids FROM orders) a LIMIT 1) b, unnest(b.ids) x)",
        "id IN (WITH a AS (SELECT array_agg(id) ids FROM orders) \
            SELECT x FROM (SELECT ids FROM a LIMIT 1) b, unnest(b.ids) x)",
        "id IN (SELECT x FROM (SELECT NULL UNION SELECT array_agg(id) FROM orders OFFSET 1 LIMIT 1) b(ids), unnest(b.ids) x)",
        "id = ANY ((SELECT array_agg(id) FROM orders LIMIT 1)::int[])",
        "id = ANY ((SELECT ids FROM orders WHERE id = 7)::int[])",
        "id IN (SELECT user_id FROM orders LIMIT abs(1000000000))",
        "id IN (SELECT user_id FROM orders LIMIT $1 * 1000000)",
        "id IN (SELECT user_id FROM orders ORDER BY 1 FETCH FIRST 5 ROWS WITH TIES)",
        "id IN (SELECT g FROM generate_series(1, 100000) g)",
        "id IN (SELECT g FROM ROWS FROM (generate_series(1, 100000)) g)",
        "id IN (SELECT g FROM unnest(ARRAY(TABLE orders)) g)",
        "id IN (SELECT g FROM (SELECT generate_series(1, 100000) g) s)",
        "id IN (WITH RECURSIVE x(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM x WHERE n < 100000) TABLE x)",
        "id > (SELECT x FROM (VALUES (0)) v(x))",
        "id = 5 OR EXISTS (SELECT 1 WHERE u.id <> 5)",
        "EXISTS (SELECT 1 WHERE u.id < 500) OR EXISTS (SELECT 1 WHERE u.id >= 500)",
        "EXISTS (SELECT 1 WHERE u.id < 500 UNION ALL SELECT 1 WHERE u.id >= 500)",
        "NOT (id <> 5 AND NOT EXISTS (SELECT 1 WHERE u.id <> 5))",
        "id = 5 OR id IN (SELECT o.user_id FROM orders o WHERE o.user_id = u.id AND u.id <> 5)",
        "EXISTS (SELECT FROM orders o WHERE o.user_id = u.id)",
        "EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.amount > 0)",
        "EXISTS (SELECT 1 FROM orders o JOIN staging s ON s.id = o.id WHERE o.user_id = u.id)",
        "EXISTS (SELECT 1 FROM orders o, staging s WHERE o.user_id = u.id AND s.day = '2026-01-01')",
        "EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id OR o.day = '2026-01-01')",
        "EXISTS (SELECT 1 FROM orders o WHERE o.day = '2026-01-01')",
        "EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01' UNION ALL SELECT 1 FROM orders)",
        "EXISTS (SELECT 1 FROM orders o WHERE EXISTS (SELECT 1 FROM staging s WHERE s.id = o.id AND s.id = u.id))",
    ] {
        let text = format!("UPDATE users u SET balance = 0 WHERE {condition}");
        assert_eq!(extent_of_change(&text), Extent::Whole, "{text}");
    }
}

#[test]
fn a_subquery_asked_anew_for_each_row_bounds_by_its_rows_alone() {
    for condition in [
        "id IN (SELECT o.user_id FROM orders o WHERE o.user_id = u.id LIMIT 1)",
        "id = (SELECT o.user_id FROM orders o WHERE o.user_id = u.id LIMIT 1)",
        "id = (SELECT max(o.user_id) FROM orders o WHERE o.user_id = u.id)",
        "id IN (SELECT u.id FROM orders o WHERE o.day = '2026-01-01')",
        "id IN (SELECT coalesce(o.user_id, u.id) FROM orders o WHERE o.day = '2026-01-01')",
        "id IN (SELECT o.user_id FROM orders o WHERE o.day = '2026-01-01' UNION SELECT u.id)",
        "id IN (SELECT s.id FROM (SELECT u.id FROM orders o WHERE o.day = '2026-01-01') s)",
        "id IN (SELECT y FROM (VALUES (id, 1), (0, 2)) v(y, z) WHERE z = 1)",
        "id IN (SELECT x FROM generate_series(id, id) x LIMIT 1)",
        "id IN (SELECT s.user_id FROM orders o, LATERAL (SELECT x.user_id FROM orders x WHERE x.id = o.id LIMIT 1) s)",
        "id IN (WITH v AS (SELECT u.id FROM orders o WHERE o.day = '2026-01-01') SELECT id FROM v)",
        "id > ALL (SELECT user_id FROM orders WHERE day = '2026-01-01')",
        "NOT id <= ANY (SELECT user_id FROM orders WHERE day = '2026-01-01')",
        "x IS NOT DISTINCT FROM (SELECT o.x FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01')",
        // A row comes back for each user.
        "EXISTS (SELECT count(*) FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01')",
        "EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01' HAVING true)",
        "EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01' GROUP BY ())",
        "EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01' ORDER BY count(*))",
        "EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01' WINDOW w AS (ORDER BY count(*)))",
        "EXISTS (SELECT DISTINCT ON (count(*)) 1 FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01')",
    ] {
        let text = format!("UPDATE users u SET balance = 0 WHERE {condition}");
        assert_eq!(extent_of_change(&text), Extent::Whole, "{text}");
    }
    let lateral = "UPDATE users u SET balance = 0 FROM orders o, LATERAL \
        (SELECT s.id FROM staging s WHERE s.order_id = o.id LIMIT 1) x WHERE u.id = x.id";
    assert_eq!(extent_of_change(lateral), Extent::Whole);
    let lateral = "UPDATE users u SET balance = 0 FROM orders o, LATERAL \
        (SELECT o.user_id FROM staging s WHERE s.id = 7) x WHERE u.id = x.user_id";
    assert_eq!(extent_of_change(lateral), Extent::Whole);
}

/// What the catalog is asked about a change: `column: relation, relation`.
fn assumed(text: &str) -> Vec<String> {
    let shown = |assumption: Assumption| {
        assert_eq!((assumption.action, assumption.object.name.as_str()), (Action::Update, "users"), "{text}");
        let relations: Vec<_> = assumption.relations.into_iter().map(|relation| relation.name).collect();
        format!("{}: {}", assumption.column, relations.join(", "))
    };
    one(text).assumptions.into_iter().map(shown).collect()
}

#[test]
fn a_bound_rests_on_the_names_of_its_query_being_its_own() {
    for (condition, names) in [
        ("id IN (SELECT id FROM staging WHERE day = $1)", &["id: staging", "day: staging"][..]),
        ("id IN (SELECT id FROM staging LIMIT 5)", &["id: staging"]),
        ("id = ANY (ARRAY(SELECT id FROM staging LIMIT 5))", &["id: staging"]),
        ("id = (SELECT max(id) FROM staging)", &["id: staging"]),
        ("(id, name) IN (SELECT id, name FROM staging LIMIT 5)", &["id: staging", "name: staging"]),
        (
            "id IN (SELECT user_id FROM orders JOIN a USING (id) WHERE day = $1)",
            &["user_id: orders, a", "day: orders, a"],
        ),
        ("id IN (SELECT x FROM (SELECT id AS x FROM staging LIMIT 5) v)", &["id: staging"]),
        (
            "id IN (SELECT x FROM orders, LATERAL (SELECT id AS x FROM staging LIMIT 5) v LIMIT 5)",
            &["id: staging", "id: staging, orders"],
        ),
        ("id IN (WITH v AS (SELECT id FROM staging LIMIT 5) SELECT id FROM v)", &["id: staging"]),
        // What a query inside names may be that of the one around it: only then it does not leave out rows of that.
        (
            "id IN (SELECT o.user_id FROM orders o WHERE o.day = $1 AND EXISTS (SELECT FROM a WHERE order_id = x))",
            &["order_id: a, orders", "x: a, orders"],
        ),
        (
            "id IN (SELECT o.user_id FROM orders o WHERE o.id IN (SELECT order_id FROM a WHERE a.day = $1))",
            &["order_id: a", "order_id: a, orders"],
        ),
        // What holds whosever they are, asks nothing.
        ("id IN (SELECT o.user_id FROM orders o WHERE o.day = $1 ORDER BY total LIMIT 5)", &[]),
        ("id IN (SELECT o.user_id FROM orders o WHERE o.day = $1 GROUP BY total)", &[]),
        ("id IN (SELECT user_id FROM orders WHERE day = $1) AND name = 'x'", &[]),
        ("id IN (SELECT o FROM unnest($1::int[]) o)", &[]),
        ("id IN (SELECT value FROM jsonb_array_elements($1))", &[]),
        ("id IN (SELECT column1 FROM (VALUES (1)) v)", &[]),
        ("id IN (SELECT x FROM (VALUES (1)) v(x))", &[]),
        ("ctid = ANY (ARRAY(SELECT ctid FROM orders LIMIT 10))", &[]),
        ("EXISTS (SELECT 1 FROM orders o WHERE o.user_id = users.id AND day = '2026-01-01')", &[]),
    ] {
        let text = format!("UPDATE users SET balance = 0 WHERE {condition}");
        assert_eq!(extent_of_change(&text), Extent::Bounded, "{text}");
        assert_eq!(assumed(&text), names, "{text}");
    }
    let in_from = "UPDATE users SET balance = 0 FROM (SELECT user_id FROM orders WHERE item IN \
        (SELECT item FROM a LIMIT 5)) o WHERE users.id = o.user_id";
    assert_eq!(assumed(in_from), ["item: a", "user_id: orders", "item: orders", "item: a, orders"]);
    let upsert = "INSERT INTO users SELECT u.id FROM users u WHERE u.id IN (SELECT id FROM staging LIMIT 5) \
        ON CONFLICT (id) DO UPDATE SET balance = 0";
    assert_eq!(assumed(upsert), ["id: staging", "id: staging, users"]);
    assert_eq!(
        assumed("EXPLAIN ANALYZE UPDATE users SET balance = 0 WHERE id IN (SELECT id FROM a LIMIT 5)"),
        ["id: a"]
    );
}

#[test]
fn a_name_that_a_query_surely_lacks_is_that_of_the_row_itself() {
    for text in [
        "WITH v AS (SELECT user_id FROM orders LIMIT 5) UPDATE users SET balance = 0 WHERE id IN (SELECT id FROM v)",
        "WITH v(x) AS (VALUES (1)) UPDATE users SET balance = 0 WHERE id IN (SELECT id FROM v)",
        "WITH v AS (DELETE FROM orders WHERE id = 7 RETURNING user_id) \
         UPDATE users SET balance = 0 WHERE id IN (SELECT id FROM v)",
        "UPDATE users SET balance = 0 WHERE id IN (SELECT id FROM (SELECT user_id FROM orders LIMIT 5) v)",
        "UPDATE users SET balance = 0 WHERE id IN (SELECT id FROM (VALUES (1)) v(x))",
        "UPDATE users SET balance = 0 WHERE id = (SELECT id FROM (SELECT o.user_id AS x FROM orders o) v LIMIT 1)",
    ] {
        assert_eq!(extent_of_change(text), Extent::Whole, "{text}");
    }
    for text in [
        "WITH v AS (SELECT * FROM orders LIMIT 5) UPDATE users SET balance = 0 WHERE id IN (SELECT id FROM v)",
        "WITH v AS (SELECT abs(user_id) FROM orders WHERE day = $1) UPDATE users SET balance = 0 WHERE id IN (SELECT abs FROM v)",
        "WITH v AS (SELECT user_id AS id FROM orders LIMIT 5) UPDATE users SET balance = 0 WHERE id IN (SELECT id FROM v)",
        "WITH v(id) AS (SELECT 1) UPDATE users SET balance = 0 WHERE id IN (SELECT id FROM v)",
    ] {
        assert_eq!(extent_of_change(text), Extent::Bounded, "{text}");
    }
}

#[test]
fn many_names_in_many_queries_take_little() {
    let names: String = (0..20_000).map(|n| format!("c{n}, ")).collect();
    let deep: String = (0..60).map(|n| format!("id IN (SELECT a{n}, b{n} FROM t{n} WHERE ")).collect();
    let wide: String = (0..5_000).map(|n| format!("id IN (SELECT a{n} FROM t{n} WHERE b{n} = 1) AND ")).collect();
    let started = std::time::Instant::now();
    for condition in [
        format!("id IN (SELECT {names} id FROM t WHERE day = '2026-01-01')"),
        format!("{deep} id IN (SELECT {names} id FROM t LIMIT 1){}", ")".repeat(60)),
        format!("{wide} true"),
    ] {
        assert!(!one(&format!("UPDATE users SET balance = 0 WHERE {condition}")).effects.is_empty());
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn rows_without_a_partner_are_no_bound() {
    for condition in [
        "id NOT IN (SELECT user_id FROM orders)",
        "id NOT IN (SELECT user_id FROM orders WHERE day = '2026-01-01')",
        "NOT id IN (SELECT user_id FROM orders WHERE day = '2026-01-01')",
        "id <> ALL (SELECT user_id FROM orders WHERE day = '2026-01-01')",
        "id <> (SELECT max(user_id) FROM orders)",
        "NOT EXISTS (SELECT FROM orders o WHERE o.user_id = u.id)",
        "NOT EXISTS (SELECT FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01')",
    ] {
        let text = format!("DELETE FROM users u WHERE {condition}");
        assert_eq!(extent_of_change(&text), Extent::Whole, "{text}");
        let text = format!("DELETE FROM users u WHERE {condition} AND u.balance = 0");
        assert_eq!(extent_of_change(&text), Extent::Bounded, "{text}");
    }
}

#[test]
fn a_subquery_of_some_rows_bounds_the_change() {
    for condition in [
        "id IN (SELECT user_id FROM orders WHERE day = '2026-01-01')",
        "id IN (SELECT user_id FROM orders WHERE day = $1)",
        "id IN (SELECT user_id FROM orders ORDER BY at LIMIT 10)",
        "id IN (SELECT o.user_id FROM orders o ORDER BY o.at LIMIT 10)",
        "id IN (SELECT o.user_id FROM orders o JOIN staging s ON s.id = o.id WHERE s.day = '2026-01-01')",
        "id IN (SELECT o.user_id FROM orders o WHERE o.id IN (SELECT s.id FROM staging s WHERE s.day = '2026-01-01'))",
        "id IN (SELECT o.user_id FROM orders o WHERE EXISTS \
            (SELECT FROM staging s WHERE s.id = o.id AND s.day = '2026-01-01'))",
        "id IN (SELECT o.user_id FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01')",
        "id IN (SELECT x FROM orders o, unnest(o.users) x WHERE o.id = 7)",
        "id IN (SELECT o.user_id FROM orders o WHERE o.id = (SELECT max(p.id) FROM orders p))",
        "(id, name) IN (SELECT user_id, name FROM orders WHERE day = '2026-01-01')",
        "id = ANY (SELECT user_id FROM orders WHERE day = '2026-01-01')",
        "id = (SELECT max(user_id) FROM orders)",
        "id = (SELECT o.user_id FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01')",
        "EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01')",
        "EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND day = '2026-01-01')",
        "EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id AND u.name = 'x')",
        "EXISTS (SELECT 1 FROM orders o JOIN staging s ON s.id = o.id WHERE o.user_id = u.id AND s.day = '2026-01-01')",
        "EXISTS (SELECT o.user_id FROM orders o WHERE o.user_id = u.id AND o.day = '2026-01-01' \
            GROUP BY o.user_id HAVING count(*) > 5)",
        "EXISTS (SELECT 1 FROM orders o WHERE o.day = '2026-01-01' AND EXISTS \
            (SELECT 1 FROM staging s WHERE s.user_id = u.id AND s.id = 7))",
    ] {
        let text = format!("UPDATE users u SET balance = 0 WHERE {condition}");
        assert_eq!(extent_of_change(&text), Extent::Bounded, "{text}");
    }
}

#[test]
fn a_condition_that_rows_meet_anyway_bounds_nothing() {
    let mut wrong = Vec::new();
    for condition in [
        "id BETWEEN SYMMETRIC 2147483647 AND 1",
        "ctid > '(0,0)'",
        "ctid <> '(0,0)'",
        "ctid IS NOT NULL",
        "tags @> '{}'",
        "'{}' <@ tags",
        "data @> '{}'",
        "data @> '[]'",
        "tags @> ARRAY[]::text[]",
        "tags @> ARRAY[ARRAY[]]::text[]",
        "tags @> string_to_array('', ',')",
        "NOT tags @> '{a}'",
        "r && '(,)'",
        "r <@ '(,)'",
        "r <@ '[0,2147483647]'",
        "r @> 'empty'",
        "id <@ '{(,)}'::int4multirange",
        "id <@ '{(,5),[5,)}'::int4multirange",
        "placed_on <@ daterange(null, null)",
        "address && '0.0.0.0/0'",
        "words @@ to_tsquery('!x')",
        "words @@ '!x'",
        "data @@ '1 == 1'",
        "status ^@ ''",
        "status LIKE lower('%')",
        "status LIKE concat('%')",
        "status LIKE (ARRAY['%'])[1]",
        "status LIKE N'%'",
        "status ~ lower('.')",
        "id > abs(0)",
        "id < power(10, 9)",
        "status ~~ ANY (ARRAY['%'])",
        "status ~~ ANY (ARRAY['a', '%'])",
        "status ~~ ANY ('{%}')",
        "status ~ ANY (ARRAY['.'])",
        "id > ANY (ARRAY[0])",
        "id > ANY (ARRAY[0]::int[])",
        "id > ALL ('{}')",
        "id <> ALL ('{}')",
        "NOT id > ANY ($1)",
        "id NOT IN (-1, -2)",
        "id NOT IN (-1)",
        "(id, name) NOT IN ((1, 'x'))",
        "active IN (true, false)",
        "active IN (true, false, $1)",
        "active IN ('t', 'f')",
        "active IN ('TRUE', 'false', NULL)",
        "active = 't' OR active = 'f'",
        "active = 'true' OR NOT active",
        "id::text ~ '[0-9]'",
        "name ~ '[[:alnum:]]'",
        "name ~ '^[a-zA-Z]'",
        "active = ANY (ARRAY[true, false])",
        "placed_on < '9999-12-31'",
        "placed_on < '31.12.9999 23:59:59.99'",
        "placed_on < '99991231'",
        "placed_on > '0001-01-01'",
        "placed_on > '0044-03-15 BC'",
        "placed_on > '4000-01-01 BC'",
        "placed_on > 'epoch'",
        "placed_on > '1970-01-01'",
        "id::bool",
        "CAST(id AS boolean)",
        "id::bool = true",
        "id::text::flag",
        "id >= 0x1",
        "id >= 0b0",
        "id >= 0o0",
        "id >= 0_0",
        "id <= 0x7fffffff",
        "id <= 2_147_483_647",
        "id <= 'NaN'",
        "id >= '00000000-0000-0000-0000-000000000000'",
        "id <= 'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        "name > ' '",
        "name < '~'",
        "coalesce(data ->> 'none', '') = ''",
        "left(status, 0) = ''",
        "left(status, -100) = ''",
        "left(status, $1) = ''",
        "substr(status, 1000) = ''",
        "substr(status, 1, 0) = ''",
        "substring(status FROM 1 FOR 0) = ''",
        "substring(status FROM 1000) = ''",
        "substring(status FOR 0) = ''",
        "substring(status, 1, 0) = ''",
        "btrim(status, 'abcdefghijklmnopqrstuvwxyz') = ''",
        "trim(both 'abcdefghijklmnopqrstuvwxyz' FROM status) = ''",
        "extract(century FROM placed_on) = 21",
        "date_trunc('millennium', placed_on) = '2001-01-01'",
        "date_part('century', placed_on) = 21",
    ] {
        let text = format!("UPDATE users u SET balance = 0 WHERE {condition}");
        if extent_of_change(&text) != Extent::Whole {
            wrong.push(format!("not whole: {condition}"));
        }
    }
    for condition in [
        "id BETWEEN 5 AND 10",
        "id = 5",
        "id IN (1, 2)",
        "id IN ($1, $2)",
        "id IN (abs(-1))",
        "(id, name) IN ((1, 'x'), (2, 'y'))",
        "id = ANY ($1)",
        "id = ANY ($1::int[])",
        "id = ANY ('{1,2}')",
        "id = ANY (ARRAY[1, 2])",
        "id = ANY (ARRAY[$1, $2]::int[])",
        "id = ANY (string_to_array('1,2', ',')::int[])",
        "name ~~ ANY (ARRAY['a%', 'b%'])",
        "name ~~ ANY ($1)",
        "id < ANY (ARRAY[5, 6])",
        "id = 0x1f",
        "id >= 0x1f",
        "id::text = '5'",
        "id::text IN ('5', '6')",
        "created_at::date = '2023-01-01'",
        "active",
        "NOT active",
        "active IS TRUE",
        "active = true",
        "status <> 'done'",
        "name LIKE 'a%'",
        "name LIKE concat('%', $1, '%')",
        "lower(name) = lower('X')",
        "created_at < '2023-01-01'",
        "created_at < '2023-01-01T00:00:00.000000+0000'",
        "created_at >= '2023-01-01'",
        "created_at < now() - interval '30 days'",
        "placed_on < now()",
        "placed_on <= current_date",
        "placed_on < now()::date",
        "placed_on < date_trunc('day', now())",
        "placed_on < now() AT TIME ZONE 'utc'",
        "placed_on < now() + interval '1 day'",
        "placed_on < interval '1 day' + now()",
        "placed_on < now() - interval '0 days'",
        "placed_on < now() - interval '-1 day'",
        "placed_on < now() - interval '1 day ago'",
        "placed_on <= 'now'",
        "placed_on < 'today'",
        "placed_on < 'tomorrow'",
        "id <> ALL ($1)",
        "id <> ALL (ARRAY[5])",
        "NOT id = ANY ($1)",
        "status NOT IN ('shipped', 'cancelled')",
        "kind IN ('t', 'f', 'r')",
        "kind IN ('t', 'tr')",
        "answer IN ('yes', 'no')",
        "kind = 't' OR kind = 'f' OR kind = 'r'",
        "name ~ '^a[0-9]'",
        "name ~ '^[0-9]+$'",
        "name ~ '[xyz]'",
        "id NOT IN (5, 6)",
        "expires_at < now()",
        "created_at < current_date - 30",
        "created_at < now() - $1::interval",
        "created_at < date_trunc('month', now()) - interval '1 month'",
        "created_at < (now() - interval '30 days')::date",
        "created_at > now() - interval '1 day'",
        "created_at >= current_date",
        "created_at >= date_trunc('day', now())",
        "date_trunc('day', created_at) = '2023-01-01'",
        "expires_at < $1",
        "id > 'c0ff1234-e29b-41d4-a716-446655440000'",
        "id < '550e8400-e29b-41d4-a716-446655440000'",
        "tags @> '{a}'",
        "tags @> ARRAY['a']",
        "tags && ARRAY[$1]",
        "data @> '{\"a\": 1}'",
        "data @> $1",
        "data ? 'a'",
        "r && '[2023-01-01,2023-02-01)'",
        "r @> 5",
        "id <@ '[5,10)'",
        "status ^@ 'a'",
        "owner = current_user",
        "left(status, 3) = 'abc'",
        "substring(status FROM 1 FOR 3) = 'abc'",
        "trim(status) = 'x'",
        "extract(year FROM placed_on) = 2023",
        "id BETWEEN ASYMMETRIC 5 AND 10",
        "ctid = '(0,1)'",
        "ctid IN ('(0,1)', '(0,2)')",
        "ctid = ANY (ARRAY(SELECT ctid FROM users LIMIT 10))",
        "id = 5 OR id = 6",
        "id = 5 AND EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)",
    ] {
        let text = format!("UPDATE users u SET balance = 0 WHERE {condition}");
        if extent_of_change(&text) != Extent::Bounded {
            wrong.push(format!("not bounded: {condition}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn many_joins_take_little() {
    for (join, condition) in [("natural join", ""), ("join", "using (id)"), ("join", "on true")] {
        let joins: String = (1..20_000).map(|n| format!(" {join} u{n} {condition}")).collect();
        let started = std::time::Instant::now();
        for text in [
            format!("select * from u0{joins}"),
            format!("update users set balance = 0 from u0{joins} where users.id = u7.id and u9.id = 5"),
        ] {
            assert!(!one(&text).effects.is_empty());
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{join} {condition}");
    }
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
