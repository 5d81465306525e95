//! `pgsluice policy`: are the policies well formed? And: reading them from a directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::{CommandResult, Exit, Failure, Globals, Output};
use crate::policy::{Engine, PolicyErrors, Problem, Source};

/// A directory with more policy files than this is another directory.
const FILES_MAX: usize = 1_000;

/// A policy file larger than this is something else.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// `pgsluice policy ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check that policies parse and fit the schema; the place of every mistake is underlined
    Check(CheckArguments),
}

/// `policy check`
#[derive(Debug, Args)]
pub struct CheckArguments {
    /// A directory of *.cedar files, or one such file [default: those that `serve` would use]
    path: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
///
/// The policies cannot be read, or are not well formed.
pub fn run(command: &Command, globals: &Globals) -> CommandResult {
    let Command::Check(arguments) = command;
    let configured = match &arguments.path {
        Some(path) => Some(path.clone()),
        None => match std::env::var_os("PGSLUICE_POLICIES") {
            Some(path) => Some(path.into()),
            None => globals.file()?.policies,
        },
    };
    let sources = sources(configured.as_deref())?;
    let checked = Engine::new(&sources);
    if arguments.json {
        return print_json(&sources, &checked);
    }
    let engine = checked.map_err(failure)?;
    let mut output = Output::stdout();
    for warning in engine.warnings() {
        output.line(format_args!("warning: {warning}"))?;
    }
    let count = engine.policy_count();
    output.line(format_args!(
        "{count} {} in {}: well formed",
        if count == 1 { "policy" } else { "policies" },
        sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>().join(", ")
    ))?;
    output.flush()?;
    Ok(Exit::Done)
}

/// The policies of a directory or file; the shipped ones where none is named.
///
/// # Errors
///
/// They cannot be read, or are not well formed.
pub fn engine(path: Option<&Path>) -> Result<Engine, Failure> {
    Engine::new(&sources(path)?).map_err(failure)
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn failure(errors: PolicyErrors) -> Failure {
    let count = errors.0.len();
    let failure = Failure::usage(&errors);
    if count > 1 {
        failure.hint(format_args!("there are {count} mistakes; nothing is used until all are mended"))
    } else {
        failure
    }
}

fn sources(path: Option<&Path>) -> Result<Vec<Source>, Failure> {
    let Some(path) = path else {
        return Ok(vec![Source::shipped()]);
    };
    let unreadable = |error: io::Error| {
        Failure::usage(format_args!("cannot read the policies {}: {error}", path.display()))
            .hint("name a directory of *.cedar files; without one, the shipped policy applies")
    };
    if fs::metadata(path).map_err(unreadable)?.is_file() {
        return Ok(vec![source(path)?]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let hidden = file.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && file.extension().is_some_and(|extension| extension == "cedar") {
            files.push(file);
        }
        if files.len() > FILES_MAX {
            return Err(Failure::usage(format_args!("{} has more than {FILES_MAX} policy files", path.display())));
        }
    }
    if files.is_empty() {
        return Err(Failure::usage(format_args!("there is no policy in {}: no file *.cedar", path.display()))
            .hint("without a policy everything would be denied; leave --policies away to use the shipped one"));
    }
    files.sort();
    files.iter().map(|file| source(file)).collect()
}

/// Reads one file. It is named by its file name alone: that is what verdicts and the audit log show.
fn source(path: &Path) -> Result<Source, Failure> {
    let unreadable =
        |error: io::Error| Failure::usage(format_args!("cannot read the policy {}: {error}", path.display()));
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        return Err(Failure::usage(format_args!("{} is too large for a policy: {size} bytes", path.display())));
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    Ok(Source { name, text: fs::read_to_string(path).map_err(unreadable)? })
}

/// What `policy check --json` prints.
#[derive(Serialize)]
struct Report {
    version: u32,
    ok: bool,
    files: Vec<String>,
    policies: usize,
    problems: Vec<ReportedProblem>,
}

#[derive(Serialize)]
struct ReportedProblem {
    severity: &'static str,
    file: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    message: String,
    hint: Option<String>,
}

impl ReportedProblem {
    fn new(severity: &'static str, problem: &Problem) -> Self {
        Self {
            severity,
            file: Some(problem.file.clone()).filter(|file| !file.is_empty()),
            line: problem.excerpt.as_ref().map(|excerpt| excerpt.line),
            column: problem.excerpt.as_ref().map(|excerpt| excerpt.column),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        }
    }
}

fn print_json(sources: &[Source], checked: &Result<Engine, PolicyErrors>) -> CommandResult {
    let report = Report {
        version: 1,
        ok: checked.is_ok(),
        files: sources.iter().map(|source| source.name.clone()).collect(),
        policies: checked.as_ref().map_or(0, Engine::policy_count),
        problems: match checked {
            Ok(engine) => engine.warnings().iter().map(|problem| ReportedProblem::new("warning", problem)).collect(),
            Err(errors) => errors.0.iter().map(|problem| ReportedProblem::new("error", problem)).collect(),
        },
    };
    let mut output = Output::stdout();
    output.json(&report)?;
    output.flush()?;
    Ok(if report.ok { Exit::Done } else { Exit::Usage })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(result: Result<Engine, Failure>) -> (Exit, String) {
        match result {
            Err(Failure::Told { exit, message, .. }) => (exit, message),
            other => panic!("accepted: {other:?}"),
        }
    }

    #[test]
    fn the_files_of_a_directory_are_one_policy() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("written");
        let (exit, message) = told(engine(Some(directory.path())));
        assert_eq!(exit, Exit::Usage);
        assert!(message.contains("no file *.cedar"), "{message}");

        write("b.cedar", "permit (principal, action, resource);");
        write("a.cedar", "@id(\"no-drops\") forbid (principal, action == Action::\"drop\", resource);");
        write(".hidden.cedar", "nonsense");
        write("notes.txt", "nonsense");
        assert_eq!(engine(Some(directory.path())).expect("well formed").policy_count(), 2);
        assert_eq!(engine(Some(&directory.path().join("a.cedar"))).expect("well formed").policy_count(), 1);

        write("c.cedar", "permit (principal, action,\n  resorce);");
        let (exit, message) = told(engine(Some(directory.path())));
        assert_eq!(exit, Exit::Usage);
        assert!(message.starts_with("c.cedar:2:3: ") && message.contains("^^^^^^^"), "{message}");
        let (_, message) = told(engine(Some(&directory.path().join("none"))));
        assert!(message.contains("cannot read the policies"), "{message}");
    }

    #[test]
    fn without_a_directory_the_shipped_policy_applies() {
        assert_eq!(engine(None).expect("well formed").version(), Engine::shipped().version());
    }
}
