//! Every rule has a statement that it applies to, and one that it does not.

use std::collections::BTreeSet;

use super::*;
use crate::sql::lexer::lex;
use crate::sql::limits::Limits;
use crate::sql::settings::LexerSettings;
use crate::sql::split::split;

/// The risks of all statements of a script, on their own and because of each other.
fn risks(sql: &str) -> Vec<Risk> {
    let settings = LexerSettings::default();
    let statements = crate::sql::analyze(sql.as_bytes(), &settings).statements;
    let lexed = lex(sql.as_bytes(), &settings, &Limits::INLINE).expect("lexes");
    let parts = split(&lexed, &Limits::INLINE).expect("splits");
    assert_eq!(parts.len(), statements.len(), "{sql}");
    let mut risks: Vec<Risk> = statements
        .iter()
        .zip(&parts)
        .map(|(statement, tokens)| assess(statement, &statement.effects, tokens))
        .collect();
    script::assess_script(&statements, &mut risks);
    risks
}

fn alone(sql: &str) -> Vec<&'static str> {
    let settings = LexerSettings::default();
    let statements = crate::sql::analyze(sql.as_bytes(), &settings).statements;
    let lexed = lex(sql.as_bytes(), &settings, &Limits::INLINE).expect("lexes");
    let parts = split(&lexed, &Limits::INLINE).expect("splits");
    let case = statements.first().zip(parts.first()).expect("one statement");
    assess(case.0, &case.0.effects, case.1).rules.iter().map(|rule| rule.id).collect()
}

#[test]
fn rules_apply_to_their_cases_and_to_no_others() {
    let mut applied = BTreeSet::new();
    let mut refused = BTreeSet::new();
    let mut wrong = Vec::new();
    for line in include_str!("../../../testdata/risk/cases.txt").lines() {
        let Some((id, sql)) = line.split_once(": ").filter(|_| !line.starts_with('#')) else { continue };
        let rules = alone(sql);
        match id.strip_prefix('!') {
            None => {
                if !rules.contains(&id) {
                    wrong.push(format!("{id} does not apply to {sql}: {rules:?}"));
                }
                applied.insert(id);
            }
            Some(id) => {
                if rules.contains(&id) {
                    wrong.push(format!("{id} applies to {sql}: {rules:?}"));
                }
                refused.insert(id);
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let known: BTreeSet<&str> = rules::rules().map(|rule| rule.id).collect();
    let others: BTreeSet<&str> = script::RULES.iter().chain(radius::RULES).map(|rule| rule.id).collect();
    let own: BTreeSet<&str> = known.difference(&others).copied().collect();
    assert_eq!(applied, own, "every rule has a case");
    assert_eq!(refused, own, "every rule has a case that it does not apply to");
}

/// What an operation is at least, by the threat model.
const LEAST: &[(Level, &[&str])] = &[
    (
        Level::Critical,
        &[
            "DROP DATABASE shop",
            "DROP SCHEMA s",
            "DROP TABLE orders",
            "DROP OWNED BY app",
            "DROP TYPE mood CASCADE",
            "DROP DOMAIN email CASCADE",
            "TRUNCATE orders",
            "TRUNCATE users CASCADE",
            "DELETE FROM orders",
            "DELETE FROM orders WHERE true",
            "DELETE FROM orders WHERE id IS NOT NULL",
            "DELETE FROM orders WHERE ctid IS NOT NULL",
            "UPDATE users SET balance = 0",
            "UPDATE users SET balance = 0 WHERE 1=1",
            "UPDATE users SET balance = 0 WHERE id = id",
            "ALTER TABLE users DROP COLUMN email",
            "ALTER TABLE users DISABLE ROW LEVEL SECURITY",
            "DROP POLICY mine ON users",
            "DROP TRIGGER guard ON users",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE OR REPLACE VIEW v AS SELECT 1",
            "CREATE RULE r AS ON DELETE TO users DO INSTEAD NOTHING",
            "CREATE TRIGGER g BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION f()",
            "CREATE OPERATOR @@ (LEFTARG = int, RIGHTARG = int, FUNCTION = f)",
            "CREATE CAST (text AS email) WITH FUNCTION f(text)",
            "CREATE POLICY mine ON users USING (true)",
            "GRANT SELECT ON users TO app",
            "GRANT admin TO app",
            "REVOKE SELECT ON users FROM app",
            "ALTER ROLE app SUPERUSER",
            "ALTER ROLE app SET search_path = evil",
            "ALTER DATABASE shop SET search_path = evil",
            "ALTER TABLE users OWNER TO app",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO app",
            "REASSIGN OWNED BY app TO admin",
            "UPDATE pg_class SET relname = 'x' WHERE oid = 1",
            "CREATE EXTENSION hstore",
            "CREATE LANGUAGE plx HANDLER h",
            "LOAD 'x'",
            "CREATE FOREIGN DATA WRAPPER w",
            "CREATE SERVER far FOREIGN DATA WRAPPER w",
            "CREATE USER MAPPING FOR app SERVER far",
            "IMPORT FOREIGN SCHEMA a FROM SERVER far INTO b",
            "CREATE SUBSCRIPTION s CONNECTION 'host=h' PUBLICATION p",
            "ALTER SYSTEM SET work_mem = '1GB'",
            "COPY users TO PROGRAM 'x'",
            "COPY users FROM '/x'",
        ],
    ),
    (
        Level::High,
        &[
            "MERGE INTO orders o USING users u ON o.user_id = u.id WHEN MATCHED THEN DELETE",
            "INSERT INTO users SELECT * FROM staging ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            "ALTER TABLE users ALTER COLUMN id TYPE bigint",
            "ALTER TABLE users DISABLE TRIGGER ALL",
            "ALTER TABLE users SET UNLOGGED",
            "ALTER TABLE users ALTER COLUMN name SET NOT NULL",
            "ALTER TABLE users ADD CHECK (id > 0)",
            "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users",
            "ALTER TABLE users ADD UNIQUE (name)",
            "ALTER TABLE users ADD PRIMARY KEY (id)",
            "ALTER TABLE users ADD EXCLUDE USING gist (period WITH &&)",
            "ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid()",
            "ALTER TABLE users ADD COLUMN big int GENERATED ALWAYS AS (id * 2) STORED",
            "VACUUM FULL users",
            "CLUSTER users USING i",
        ],
    ),
    (
        Level::Medium,
        &[
            "CREATE INDEX i ON users (name)",
            "REINDEX TABLE users",
            "DROP INDEX i",
            "ALTER TABLE orders DETACH PARTITION orders_1",
            "ALTER TABLE users RENAME TO people",
            "ALTER TABLE users RENAME COLUMN name TO title",
            "LOCK TABLE users",
            "SELECT * FROM users FOR UPDATE",
        ],
    ),
];

#[test]
fn no_operation_of_the_threat_model_is_rated_lower() {
    let mut wrong = Vec::new();
    for (least, operations) in LEAST {
        for sql in *operations {
            let level = risks(sql).first().map_or(Level::None, Risk::level);
            if level < *least {
                wrong.push(format!("{sql}: {level}, not {least}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn identifiers_and_sentences_are_in_form() {
    let mut seen = BTreeSet::new();
    for rule in rules() {
        assert!(seen.insert(rule.id), "{} stands twice", rule.id);
        assert!(rule.id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", rule.id);
        assert!(!rule.why.ends_with('.') && !rule.instead.is_some_and(|text| text.ends_with('.')), "{}", rule.id);
    }
}

#[test]
fn reads_and_what_is_temporary_risk_nothing() {
    for sql in [
        "SELECT * FROM orders WHERE id = 1",
        "CREATE TEMP TABLE t (a int)",
        "BEGIN",
        "SET application_name = 'x'",
        "SHOW work_mem",
        "EXPLAIN SELECT 1",
    ] {
        assert_eq!(alone(sql), Vec::<&str>::new(), "{sql}");
    }
}

#[test]
fn the_worst_rule_comes_first_and_makes_the_level() {
    let risk = risks("ALTER TABLE users DROP COLUMN email, ADD CONSTRAINT c CHECK (a > 0)").remove(0);
    assert_eq!(risk.level(), Level::Critical);
    assert_eq!(risk.rules.first().map(|rule| rule.id), Some("drop-column"));
    assert_eq!(risk.lock(), Some(Lock::AccessExclusive));
    assert!(!risk.reversible());
}

#[test]
fn what_is_lost_cannot_be_undone() {
    for sql in [
        "TRUNCATE orders RESTART IDENTITY",
        "ALTER SEQUENCE orders_id_seq RESTART",
        "REASSIGN OWNED BY app TO admin",
        "ALTER ROLE app PASSWORD 'x'",
        "ALTER TABLE orders ALTER COLUMN id DROP IDENTITY",
        "ALTER TABLE orders DROP COLUMN id",
    ] {
        assert!(!risks(sql)[0].reversible(), "{sql}");
    }
    for sql in ["ALTER ROLE app NOLOGIN", "ALTER TABLE users OWNER TO app", "CREATE INDEX i ON ONLY orders (id)"] {
        assert!(risks(sql)[0].reversible(), "{sql}");
    }
}

#[test]
fn statements_raise_the_risk_of_those_behind_them() {
    let ids = |sql: &str, index: usize| -> Vec<&'static str> {
        risks(sql).get(index).expect("a statement").rules.iter().map(|rule| rule.id).collect()
    };
    let add = "ALTER TABLE users ADD COLUMN x int";
    assert!(ids(add, 0).contains(&"no-lock-timeout"));
    assert!(!ids(&format!("SET lock_timeout = '5s'; {add}"), 1).contains(&"no-lock-timeout"));
    assert!(ids(&format!("SET lock_timeout = 0; {add}"), 1).contains(&"no-lock-timeout"));
    let update = "UPDATE users SET x = 1 WHERE id = 2";
    let together = ids(&format!("BEGIN; {add}; {update}; COMMIT"), 2);
    assert!(together.contains(&"work-under-exclusive-lock") && together.contains(&"definitions-and-rows-mixed"));
    let apart = ids(&format!("BEGIN; {add}; COMMIT; {update}"), 3);
    assert!(!apart.contains(&"work-under-exclusive-lock") && !apart.contains(&"definitions-and-rows-mixed"));
    assert!(ids("BEGIN; CREATE INDEX CONCURRENTLY i ON users (x)", 1).contains(&"not-transactional"));
    assert!(!ids("CREATE INDEX CONCURRENTLY i ON users (x)", 0).contains(&"not-transactional"));
}

#[test]
fn the_reach_raises_the_risk_and_unknown_numbers_do_not_lower_it() {
    let raised = |reach: radius::Reach| {
        let mut risk = Risk::default();
        radius::assess_reach(&mut risk, &reach);
        risk.rules.iter().map(|rule| rule.id).collect::<Vec<_>>()
    };
    assert_eq!(raised(radius::Reach::default()), Vec::<&str>::new());
    assert_eq!(raised(radius::Reach { rows: Some(50_000), ..Default::default() }), ["many-rows"]);
    assert_eq!(raised(radius::Reach { share: Some(0.9), ..Default::default() }), ["large-share"]);
    assert_eq!(raised(radius::Reach { rows: Some(3), share: Some(1.0), ..Default::default() }), Vec::<&str>::new());
    assert_eq!(
        raised(radius::Reach { cascades: true, partitions: true, ..Default::default() }),
        ["cascades", "partitions"]
    );
}
