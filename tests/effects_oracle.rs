//! What the analysis calls a read, the server's own parser calls a read: of the same relations, with the same
//! functions, operators and types. The server's grammar is that of pg_query, Postgres 18's.
//!
//! `PGSLUICE_FUZZ_SECONDS` makes the random test run for that long instead of a fixed number of cases.

#[path = "effects_oracle/tree.rs"]
mod tree;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use pgsluice::sql::{Action, LexerSettings, Notation, ObjectKind, Script, Statement, analyze};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use tree::Truth;

/// Random cases in the ordinary suite.
const CASES: u32 = 3_000;

/// Statements that random ones are made from by exchanging, removing and adding pieces.
const SEEDS: &str = include_str!("../testdata/sql/seeds.sql");

/// Pieces that grammars stumble over.
const PIECES: &[&str] = &[
    "(",
    ")",
    ",",
    ";",
    ".",
    "*",
    "[",
    "]",
    "::",
    ":",
    "=",
    "<>",
    "+",
    "-",
    "||",
    "@>",
    "->>",
    "$1",
    "1",
    "'a'",
    "a",
    "b",
    "t",
    "u.wipe",
    "f(1)",
    "s.g(x)",
    "\"Q\"",
    "SELECT",
    "FROM",
    "WHERE",
    "INTO",
    "UPDATE",
    "DELETE FROM",
    "INSERT INTO",
    "MERGE INTO",
    "USING",
    "ON",
    "SET",
    "VALUES",
    "VALUES (1)",
    "TABLE",
    "TABLE t",
    "WITH",
    "WITH x AS (SELECT 1)",
    "RECURSIVE",
    "AS",
    "NOT",
    "NULL",
    "IS",
    "IN",
    "AND",
    "OR",
    "BETWEEN",
    "LIKE",
    "SIMILAR TO",
    "ESCAPE",
    "ANY",
    "ALL",
    "EXISTS",
    "CASE",
    "WHEN",
    "THEN",
    "ELSE",
    "END",
    "CAST",
    "COLLATE",
    "AT TIME ZONE",
    "OVERLAPS",
    "OPERATOR(s.+)",
    "FOR UPDATE",
    "FOR",
    "LIMIT",
    "OFFSET",
    "FETCH FIRST",
    "ROWS ONLY",
    "ORDER BY",
    "GROUP BY",
    "HAVING",
    "WINDOW w AS ()",
    "OVER",
    "OVER w",
    "PARTITION BY",
    "FILTER (WHERE a)",
    "WITHIN GROUP (ORDER BY 1)",
    "UNION",
    "INTERSECT",
    "EXCEPT ALL",
    "JOIN",
    "CROSS JOIN",
    "LEFT JOIN",
    "NATURAL JOIN",
    "LATERAL",
    "ROWS FROM (f(1))",
    "WITH ORDINALITY",
    "TABLESAMPLE m(1)",
    "ONLY",
    "DISTINCT",
    "DISTINCT ON (a)",
    "RETURNING",
    "DEFAULT",
    "ROW",
    "ROW(1)",
    "ARRAY",
    "ARRAY[1]",
    "int",
    "double precision",
    "timestamp",
    "with time zone",
    "interval",
    "interval '1' day",
    "date '2020-01-01'",
    "varchar(3)",
    "setof",
    "char",
    "json",
    "values",
    "left",
    "replace",
    "user",
    "current_date",
    "current_schema",
    "system_user",
    "substring(a from 1)",
    "trim(both from a)",
    "extract(year from a)",
    "overlay(a placing b from 1)",
    "position(a in b)",
    "coalesce(a, b)",
    "nullif(a, b)",
    "xmlelement(name a)",
    "json_object('a': 1)",
    "json_array(1)",
    "json_scalar(1)",
    "grouping(a)",
    "ROLLUP (a)",
    "GROUPING SETS ((a), ())",
    "CUBE (a)",
    "INTO TEMP x",
    "EXPLAIN",
    "EXPLAIN ANALYZE",
    "EXPLAIN (ANALYZE off)",
    "(ANALYZE)",
    "COPY",
    "TO STDOUT",
    "FROM STDIN",
    "PREPARE p AS",
    "DECLARE c CURSOR FOR",
    "CREATE TEMP TABLE x AS",
    "BEGIN",
    "COMMIT",
    "SHOW a",
    "SET a = 1",
    "symmetric",
    "isnull",
    "notnull",
    "unknown",
    "is json",
    "is document",
    "is normalized",
    "at local",
    "nothing",
    "do nothing",
    "on conflict",
    "current of c",
    "collation for (a)",
];

/// Statements that only look, or prepare to.
const READING: &[&str] = &[
    "SelectStmt",
    "ExplainStmt",
    "VariableShowStmt",
    "VariableSetStmt",
    "PrepareStmt",
    "DeallocateStmt",
    "ClosePortalStmt",
    "DeclareCursorStmt",
    "TransactionStmt",
    "DiscardStmt",
    "CopyStmt",
    "ListenStmt",
    "UnlistenStmt",
    "LockStmt",
    "VacuumStmt",
    "ConstraintsSetStmt",
];

#[test]
fn corpus_and_seeds_are_read_as_the_server_reads_them() {
    let corpus = include_str!("../testdata/corpus/statements.jsonl").lines().map(|line| {
        let case: serde_json::Value = serde_json::from_str(line).expect("a line is a case");
        case["sql"].as_str().unwrap_or_default().to_owned()
    });
    for text in corpus.chain(seeds()) {
        if let Err(difference) = compare(&text) {
            panic!("{difference}\nin: {text}");
        }
    }
}

#[test]
fn every_seed_is_understood() {
    let refused: Vec<String> =
        seeds().filter(|seed| analyzed(seed).statements.iter().any(Statement::has_unknown)).collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn random_statements_are_read_as_the_server_reads_them() {
    let fuzz = std::env::var("PGSLUICE_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let until = fuzz.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    loop {
        let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
        let result = runner.run(&statements(), |text| {
            compare(&text).map_err(|difference| TestCaseError::fail(format!("{difference}\nin: {text}")))
        });
        if let Err(error) = result {
            panic!("{error}");
        }
        if until.is_none_or(|until| Instant::now() > until) {
            return;
        }
    }
}

fn seeds() -> impl Iterator<Item = String> {
    SEEDS.split("\n;\n").map(|seed| seed.trim().to_owned()).filter(|seed| !seed.is_empty())
}

/// A seed after a few changes to its pieces.
fn statements() -> impl Strategy<Value = String> {
    let seeds: Vec<String> = seeds().collect();
    let change = (0..5_u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), select(PIECES));
    (select(seeds.clone()), select(seeds), prop::collection::vec(change, 0..5)).prop_map(|(seed, other, changes)| {
        let mut pieces = cut(&seed);
        let others = cut(&other);
        for (kind, at, from, piece) in changes {
            let at = at.index(pieces.len().max(1));
            match kind {
                0 => pieces.insert(at.min(pieces.len()), piece.to_owned()),
                1 if at < pieces.len() => drop(pieces.remove(at)),
                2 if at < pieces.len() => pieces[at] = piece.to_owned(),
                3 if !others.is_empty() => {
                    let start = from.index(others.len());
                    let end = (start + 6).min(others.len());
                    pieces.splice(at.min(pieces.len())..at.min(pieces.len()), others[start..end].iter().cloned());
                }
                _ if at < pieces.len() => {
                    let with = from.index(pieces.len());
                    pieces.swap(at, with);
                }
                _ => {}
            }
        }
        pieces.join(" ")
    })
}

/// Words, numbers, strings and symbols.
fn cut(text: &str) -> Vec<String> {
    match pg_query::scan(text) {
        Ok(scanned) => scanned
            .tokens
            .iter()
            .filter_map(|token| text.get(token.start as usize..token.end as usize).map(str::to_owned))
            .collect(),
        Err(_) => text.split(' ').map(str::to_owned).collect(),
    }
}

fn analyzed(text: &str) -> Script {
    analyze(text.as_bytes(), &LexerSettings::default())
}

/// Where the two differ in a way that matters.
fn compare(text: &str) -> Result<(), String> {
    let Ok(parsed) = pg_query::parse(text, 0) else { return Ok(()) };
    let ours = analyzed(text).statements;
    let theirs: Vec<Truth> = tree::statements(&parsed.protobuf);
    if ours.len() == 1 && ours[0].has_unknown() {
        return Ok(());
    }
    if ours.len() != theirs.len() {
        return Err(format!("{} statements, not {}", ours.len(), theirs.len()));
    }
    ours.iter().zip(&theirs).try_for_each(|(ours, theirs)| compare_one(ours, theirs))
}

fn compare_one(ours: &Statement, truth: &Truth) -> Result<(), String> {
    if ours.has_unknown() {
        return Ok(());
    }
    let quiet = ours.effects.iter().all(|effect| effect.action == Action::Read || effect.harmless);
    if quiet && !READING.contains(&truth.tag.as_str()) {
        return Err(format!("{} is no read", truth.tag));
    }
    if quiet && truth.changes_something() {
        return Err(format!("it changes something: {truth:?}"));
    }
    if !truth.is_query {
        return Ok(());
    }
    let named = |action: Action| -> BTreeSet<String> {
        let effects =
            ours.effects.iter().filter(|effect| effect.action == action && effect.object.kind == ObjectKind::Relation);
        effects.map(|effect| effect.object.to_string()).collect()
    };
    let same = [
        (Action::Read, &truth.reads),
        (Action::Insert, &truth.inserts),
        (Action::Update, &truth.updates),
        (Action::Delete, &truth.deletes),
    ];
    for (action, theirs) in same {
        if !truth.only_planned && named(action) != *theirs {
            return Err(format!("{action}: {:?}, not {theirs:?}", named(action)));
        }
    }
    if truth.makes_table && !truth.only_planned && !ours.effects.iter().any(|effect| effect.action == Action::Create) {
        return Err("it makes a table".to_owned());
    }
    if truth.locks && !truth.only_planned && !ours.effects.iter().any(|effect| effect.action == Action::Lock) {
        return Err("it locks rows".to_owned());
    }
    code_is_named(ours, truth)
}

/// Everything that may run code is in our lists.
fn code_is_named(ours: &Statement, truth: &Truth) -> Result<(), String> {
    let functions = |notation: Notation| -> BTreeSet<&str> {
        let uses = ours.functions.iter().filter(|function| function.notation == notation);
        uses.map(|function| function.name.name.as_str()).collect()
    };
    let operators: BTreeSet<&str> = ours.operators.iter().map(|name| name.name.as_str()).collect();
    let types: BTreeSet<&str> = ours.types.iter().map(|name| name.name.as_str()).collect();
    let calls = functions(Notation::Call);
    let attributes = functions(Notation::Attribute);
    let lists = [
        ("function", &truth.functions, &calls),
        ("attribute", &truth.attributes, &attributes),
        ("operator", &truth.operators, &operators),
        ("type", &truth.types, &types),
    ];
    for (what, theirs, ours) in lists {
        if let Some(missing) = theirs.iter().find(|name| !ours.contains(name.as_str())) {
            return Err(format!("{what} {missing} is missing"));
        }
    }
    Ok(())
}
