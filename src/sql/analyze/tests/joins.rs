//! Promise: a change of rows that have partners elsewhere is as bounded as those are.

use super::*;

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
