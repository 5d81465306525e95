//! `pgsluice util`: what packages and shells need.

use clap::{CommandFactory, Subcommand};
use clap_complete::Shell;

use super::{CommandLine, CommandResult, Exit, Output};

/// `pgsluice util ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the completion script of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Runs it.
///
/// # Errors
///
/// Stdout cannot be written.
pub fn run(command: &Command) -> CommandResult {
    let Command::Completions { shell } = command;
    let mut script = Vec::new();
    clap_complete::generate(*shell, &mut CommandLine::command(), "pgsluice", &mut script);
    let mut output = Output::stdout();
    output.line(String::from_utf8_lossy(&script).trim_end())?;
    output.flush()?;
    Ok(Exit::Done)
}
