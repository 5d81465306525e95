//! `pgsluice check`: what statements would do, whether they would pass, and what they risk. Runs nothing that
//! changes anything.

mod database;
mod github;
mod json;
mod judge;
mod rules;
mod sarif;
mod source;
mod text;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::config::Identities;
use super::upstream::UpstreamText;
use super::{CommandResult, Exit, Failure, Globals, Output};
use crate::policy::{Identity, IdentityKind, Outcome};
use database::Database;
use judge::Report;

/// `pgsluice check ...`
#[derive(Debug, Clone, Default, Args)]
pub struct Arguments {
    /// SQL to check; without any, and without -f, it is read from stdin
    #[arg(value_name = "SQL")]
    sql: Vec<String>,
    /// A script as psql takes it (its own commands are skipped); `-` is stdin
    #[arg(short, long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Who would run it: a configured identity, or a name with a kind, e.g. bot:agent [default: the user of
    /// the upstream, a service]
    #[arg(long = "as", value_name = "IDENTITY")]
    identity: Option<String>,
    /// A server to resolve the names in and to ask how many rows, as a libpq URL.
    #[arg(
        long,
        value_name = "URL",
        help = "A server to resolve the names in and to ask how many rows: \
                postgres://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE"
    )]
    upstream: Option<UpstreamText>,
    /// Cedar policies that replace the shipped ones
    #[arg(long, value_name = "DIR", env = "PGSLUICE_POLICIES")]
    policies: Option<PathBuf>,
    /// How to say it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// List the risk rules instead of checking anything
    #[arg(long)]
    list_rules: bool,
}

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Text,
    /// One JSON document
    Json,
    /// Annotations of GitHub Actions
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// Checks, prints, and says by the exit code what the worst verdict is.
///
/// # Errors
///
/// There is nothing to check, a file, the configuration or a policy cannot be read, or the upstream cannot be asked.
pub fn run(arguments: &Arguments, globals: &Globals) -> CommandResult {
    let mut output = Output::stdout();
    if arguments.list_rules {
        rules::print(arguments.format, &mut output)?;
        output.flush()?;
        return Ok(Exit::Done);
    }
    let file = globals.file()?;
    let policies = arguments.policies.clone().or_else(|| file.policies.clone());
    let engine = super::policy::engine(policies.as_deref())?;
    let sources = source::read(&arguments.sql, &arguments.files)?;
    let upstream = arguments.upstream.as_ref().map(UpstreamText::parse).transpose().map_err(Failure::usage)?;
    let known = file.identities()?;
    let named = arguments.identity.as_deref().map(|named| Requester::named(named, &known)).transpose()?;
    let database = upstream.map(|upstream| Database::connect(&upstream, file.upstream_tls())).transpose()?;
    let requester =
        named.unwrap_or_else(|| Requester::of_role(database.as_ref().map_or("postgres", Database::user), &known));
    let report = judge::judge(&sources, &engine, &requester, database.as_ref());
    match arguments.format {
        Format::Text => text::print(&report, globals.color_on_stdout(), &mut output)?,
        Format::Json => json::print(&report, &mut output)?,
        Format::Github => github::print(&report, &mut output)?,
        Format::Sarif => sarif::print(&report, &mut output)?,
    }
    output.flush()?;
    Ok(exit(&report))
}

/// What the worst verdict ends with.
fn exit(report: &Report) -> Exit {
    match report.outcome() {
        Outcome::Pass => Exit::Done,
        Outcome::Hold { .. } => Exit::Pending,
        Outcome::Deny => Exit::Denied,
    }
}

/// Who would run the statements.
#[derive(Debug)]
struct Requester {
    identity: Identity,
    /// What it logs in with: names without a schema may depend on it.
    role: String,
}

impl Requester {
    fn of_role(role: &str, known: &Identities) -> Self {
        Self { identity: known.of_role(role), role: role.to_owned() }
    }

    /// A configured identity, or a new one as `NAME` or `NAME:KIND`.
    fn named(named: &str, known: &Identities) -> Result<Self, Failure> {
        if let Some(identity) = known.named(named) {
            let role = known.role_of(named).unwrap_or(named).to_owned();
            return Ok(Self { identity: identity.clone(), role });
        }
        let Some((name, kind)) = named.rsplit_once(':') else {
            return Ok(Self::of_role(named, known));
        };
        let kinds = [IdentityKind::Human, IdentityKind::Ci, IdentityKind::Service, IdentityKind::Agent];
        let kind = kinds.into_iter().find(|known| known.as_str() == kind).ok_or_else(|| {
            Failure::usage(format_args!("`{kind}` is no kind of identity"))
                .hint("the kinds are human, ci, service and agent, e.g. --as deploy:ci")
        })?;
        Ok(Self { identity: Identity { name: name.to_owned(), kind, owner: None }, role: name.to_owned() })
    }
}

#[cfg(test)]
mod tests;
