//! Promise: a bound rests on the names of a query being its own, and the catalog is asked where the text does not show it.

use super::*;
use crate::sql::Assumption;

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
