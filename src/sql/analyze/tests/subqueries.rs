//! Promise: a change of rows that a query returns is as bounded as the query.

use super::*;

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
