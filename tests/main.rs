//! The integration tests: a real Postgres, a real `pgsluice serve`, real clients; one file for one
//! promise to the user. They are one program, so that they are linked once.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod audit_crash;
mod audit_tamper;
mod bad_input;
mod catalog;
mod check;
mod clients;
mod control;
mod corpus;
mod definitions;
mod demo;
mod durability;
mod effects_oracle;
mod enforce_reads;
mod functions;
mod holds;
mod kill;
mod lexer_oracle;
mod limits;
mod locks;
mod log_oracle;
mod login;
mod monitoring;
mod open_transaction;
mod pgbench;
mod psql;
mod radius;
mod readme;
mod regression_suite;
mod remote;
mod resources;
mod review;
mod reviewed_code;
mod rows;
mod session_state;
mod startup;
mod statement_kinds;
mod stored_code;
mod support;
mod temporary_tables;
mod tickets;
mod time_limits;
mod tui;
mod unnamed_code;
mod unseen_code;
mod upstreams;
mod virtual_database;
mod webhook;

/// A test file that nobody names here would never run.
#[test]
fn every_test_file_is_part_of_this_program() {
    let here = include_str!("main.rs");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(module) = name.strip_suffix(".rs").filter(|module| *module != "main") {
            assert!(here.contains(&format!("\nmod {module};")), "tests/main.rs lacks `mod {module};`");
        }
    }
}
