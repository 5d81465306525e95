//! What the analysis calls a read, the server's own parser calls a read: of the same relations, with the same
//! functions, operators and types. The server's grammar is that of pg_query, Postgres 18's.
//!
//! `make fuzz` asks the same of millions of statements.

use pgsluice::sql::{LexerSettings, Script, Statement, analyze};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::support::pieces::{PIECES, corpus, cut, found, seeds};
use crate::support::server_parser;

/// Random cases.
const CASES: u32 = 3_000;

#[test]
fn corpus_and_seeds_are_read_as_the_server_reads_them() {
    for text in corpus().chain(seeds()).chain(found()) {
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
    let mut runner = TestRunner::new(Config { cases: CASES, failure_persistence: None, ..Config::default() });
    let result = runner.run(&statements(), |text| {
        compare(&text).map_err(|difference| TestCaseError::fail(format!("{difference}\nin: {text}")))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
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

fn analyzed(text: &str) -> Script {
    analyze(text.as_bytes(), &LexerSettings::default())
}

/// Where the two differ in a way that matters.
fn compare(text: &str) -> Result<(), String> {
    let Ok(parsed) = pg_query::parse(text, 0) else { return Ok(()) };
    let theirs = server_parser::statements(&parsed.protobuf).ok_or("a tree that is none")?;
    server_parser::compare(&analyzed(text).statements, &theirs)
}
