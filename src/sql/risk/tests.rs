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
