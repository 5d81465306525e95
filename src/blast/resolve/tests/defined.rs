//! What the open transaction has defined is used.

use super::*;

/// A view and a materialized view over orders, orders' lines that are deleted with them, and a function.
fn shop() -> Facts {
    let mut facts = facts();
    let over = |oid, name: &str, kind| Relation { kind, reads: vec![100], ..table(oid, "public", name) };
    facts.add_relation(over(101, "open_orders", RelationKind::View));
    facts.add_relation(over(102, "old_orders", RelationKind::MaterializedView));
    facts.add_relation(table(103, "public", "lines"));
    let key = ForeignKey {
        name: "lines_order".to_owned(),
        from: 103,
        on_delete: ReferentialAction::Cascade,
        on_update: ReferentialAction::NoAction,
        columns: None,
    };
    facts.relations.get_mut(&100).expect("orders").referenced_by.push(key);
    function(&mut facts, "public", "f");
    facts
}

/// Whether each statement of a script may run something that cannot be seen, behind what another has defined.
fn expect_code(definition: &str, script: &str, expected: bool) {
    let context = NameContext { definitions: defined(definition), ..usual() };
    for statement in analyzed(script) {
        let resolved = resolve(&statement, &shop(), &context);
        let runs = resolved.effects.iter().any(|effect| effect.action == Action::Execute);
        assert_eq!(runs, expected, "{definition}; {script}: {:?}", shown(&resolved));
        let says = resolved.reasons.iter().any(|reason| reason.contains("this transaction"));
        assert_eq!(says, expected, "{definition}; {script}: {:?}", resolved.reasons);
    }
}

#[test]
fn a_relation_that_was_changed_may_run_anything_however_it_is_reached() {
    for definition in [
        "CREATE TRIGGER g AFTER DELETE ON lines FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE TABLE more (line int REFERENCES lines ON DELETE CASCADE)",
        "ALTER TABLE lines ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE elsewhere RENAME TO lines",
        "DROP TABLE lines",
    ] {
        expect_code(definition, "DELETE FROM lines WHERE id = 1; DELETE FROM orders WHERE id = 1", true);
        expect_code(definition, "SELECT * FROM orders; SELECT * FROM open_orders; SELECT 1 FROM elsewhere.x", false);
    }
    let rule = "CREATE RULE r AS ON UPDATE TO orders DO INSTEAD DELETE FROM lines";
    expect_code(rule, "SELECT * FROM open_orders; UPDATE orders SET a = 1 WHERE id = 1; ANALYZE orders", true);
    // What a materialized view runs, it runs when it is refreshed.
    expect_code(rule, "SELECT * FROM old_orders; SELECT 1; COMMIT; ALTER TABLE orders ADD a int", false);
}

#[test]
fn what_changes_nothing_of_what_runs_lets_the_transaction_go_on() {
    for definition in [
        "ALTER TABLE orders ADD COLUMN a int DEFAULT 0",
        "CREATE INDEX ON orders (lower(a))",
        "GRANT SELECT ON orders TO u",
        "CREATE TABLE new (a int)",
        "CREATE FUNCTION g() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ] {
        expect_code(definition, "UPDATE orders SET a = 1 WHERE id = 1; SELECT lower(a) FROM open_orders", false);
    }
}

/// A name may mean the next relation of the search path, when its view is dropped with what it was made of.
#[test]
fn what_may_be_gone_with_what_it_depended_on_is_not_taken_for_there() {
    let mut facts = shop();
    facts.add_relation(table(300, "evil", "open_orders"));
    let behind =
        |script: &str| NameContext { definitions: defined(script), search_path: path(&["public", "evil"]), ..usual() };
    let code = |script: &str, sql: &str| {
        let resolved = resolve(&analyzed(sql)[0], &facts, &behind(script));
        resolved.effects.iter().any(|effect| effect.action == Action::Execute)
    };
    let insert = "INSERT INTO open_orders VALUES (1)";
    assert!(code("ALTER TABLE lines DROP CONSTRAINT c CASCADE", insert) && code("DROP TABLE x CASCADE", insert));
    assert!(
        !code("DROP TABLE x", insert) && !code("DROP TABLE x CASCADE", "INSERT INTO public.open_orders VALUES (1)")
    );
    assert!(!code("DROP TABLE x CASCADE", "INSERT INTO orders VALUES (1)"));
}

#[test]
fn what_is_defined_over_what_is_new_runs_none_of_it() {
    for uses in [
        "ALTER TABLE new ADD b int",
        "CREATE INDEX ON new (a)",
        "COMMENT ON TABLE new IS 'x'",
        "GRANT SELECT ON new TO u",
        "CREATE VIEW w AS SELECT * FROM new",
        "DROP TABLE new",
    ] {
        expect_code("CREATE TABLE new (a int)", uses, false);
    }
    expect_code("CREATE TABLE new (a int)", "INSERT INTO new VALUES (1); SELECT * FROM new", true);
}

#[test]
fn what_is_named_may_be_what_was_made() {
    let function = "CREATE FUNCTION g(orders) RETURNS int LANGUAGE sql AS 'SELECT 1'";
    expect_code(function, "SELECT (o).g FROM orders o; SELECT o.g FROM orders o", true);
    let domain = "CREATE DOMAIN positive AS int CHECK (f(VALUE))";
    expect_code(domain, "SELECT '1'::positive; SELECT CAST(1 AS s.positive[]); SELECT '{}'::_positive", true);
    expect_code(domain, "SELECT '1'::int; SELECT * FROM orders", false);
    for definition in
        ["ALTER DOMAIN positive ADD CHECK (f(VALUE))", "DO 'x'", "CREATE CAST (a AS b) WITH FUNCTION f(a)"]
    {
        let statements = "SELECT 1 + 1; SELECT * FROM orders; UPDATE orders SET a = 1 WHERE id = 1; SELECT '1'::int";
        expect_code(definition, statements, true);
        expect_code(definition, "CREATE TEMP TABLE new (a int); ALTER TABLE new ADD b text DEFAULT 'a' + 'b'", true);
        expect_code(definition, "COMMIT; SET work_mem = '1MB'; GRANT u TO v; SHOW x", false);
    }
}
