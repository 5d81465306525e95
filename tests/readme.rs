//! Promise: what the README says exists.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::finished;

const README: &str = include_str!("../README.md");

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_configuration_it_shows_is_the_one_that_is_tested() {
    assert_eq!(blocks("toml"), [include_str!("../testdata/config/full.toml")]);
}

#[test]
fn the_policy_it_shows_is_well_formed() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("shown.cedar"), blocks("cedar").concat()).unwrap();
    let checked = finished(Command::new(env!("CARGO_BIN_EXE_pgsluice")).args(["policy", "check"]).arg(place.path()));
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
}

#[test]
fn the_commands_it_names_exist() {
    let mut commands: Vec<Vec<&str>> = Vec::new();
    for (at, _) in README.match_indices("pgsluice ") {
        let is_typed = README[..at].ends_with(['`', '/']) || README[..at].ends_with("    ");
        let rest = README[at..].split(['`', '\n']).next().unwrap();
        let words: Vec<&str> =
            rest.split(' ').skip(1).take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).collect();
        if is_typed && !words.is_empty() {
            commands.push(words.into_iter().take(2).filter(|word| *word != "policies").collect());
        }
    }
    assert!(commands.len() > 10, "{commands:?}");
    for words in commands {
        let help = finished(Command::new(env!("CARGO_BIN_EXE_pgsluice")).args(&words).arg("--help"));
        assert_eq!(help.code, Some(0), "pgsluice {words:?}: {}", help.stderr);
    }
}

#[test]
fn the_files_it_links_to_are_there() {
    for link in README.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
        let is_file = Path::new(env!("CARGO_MANIFEST_DIR")).join(link).is_file();
        assert!(is_file || link.starts_with("https://"), "{link}");
    }
}
