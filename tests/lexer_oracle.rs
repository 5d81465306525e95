//! The lexer cuts every text as the server's own scanner does, or refuses it. The server's scanner and grammar are
//! those of pg_query.
//!
//! `make fuzz` asks the same of millions of texts.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::support::pieces::{FRAGMENTS, STATEMENT_FRAGMENTS, lexer_texts};
use crate::support::server_scanner::{same_statements, same_tokens, same_value};

/// Random cases.
const CASES: u32 = 4_000;

fn joined(fragments: &'static [&'static str], most: usize, glue: &'static str) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(fragments), 1..most).prop_map(move |parts| parts.join(glue))
}

fn fuzz<S: Strategy>(strategy: &S, check: impl Fn(S::Value) -> Result<(), String>) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(strategy, |value| check(value).map_err(TestCaseError::fail));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn known_texts_are_cut_as_the_scanner_does() {
    for text in lexer_texts() {
        same_tokens(&text).unwrap();
        for conforming in [true, false] {
            same_statements(&text, conforming).unwrap();
        }
    }
}

#[test]
fn random_texts_are_cut_as_the_scanner_does() {
    fuzz(&joined(FRAGMENTS, 14, ""), |text| same_tokens(&text));
}

#[test]
fn mutated_texts_are_cut_as_the_scanner_does() {
    let texts = lexer_texts();
    let cut = (prop::sample::select(texts), any::<prop::sample::Index>(), joined(FRAGMENTS, 4, ""));
    let mutated = cut.prop_map(|(mut text, at, inserted)| {
        let mut at = at.index(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        text.insert_str(at, &inserted);
        text
    });
    fuzz(&mutated, |text| {
        same_tokens(&text)?;
        same_statements(&text, true)?;
        same_statements(&text, false)
    });
}

#[test]
fn random_statements_end_where_the_grammar_ends_them() {
    fuzz(&joined(STATEMENT_FRAGMENTS, 9, " "), |text| same_statements(&text, true));
}

#[test]
fn random_strings_and_names_mean_what_they_mean_to_the_server() {
    let quoted = (
        prop::sample::select(vec!["'", "E'", "U&'", "\"", "U&\"", "$$", "$a$", "", "N'"]),
        joined(FRAGMENTS, 5, ""),
        prop::sample::select(vec![
            "",
            " uescape '!'",
            "\n'x'",
            " -- c\n 'b\\'''",
            "éééééééééééééééééééééééééééééééééééééééé",
        ]),
        any::<bool>(),
    );
    fuzz(&quoted, |(open, body, after, conforming)| {
        let close = open.trim_start_matches(['E', 'U', '&', 'N']);
        same_value(&format!("{open}{body}{close}{after}"), conforming)?;
        same_value(&format!("{open}{body}{after}{close}"), conforming)
    });
}
