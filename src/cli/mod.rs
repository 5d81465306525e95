//! The command line: one file a command. Data goes to stdout, everything else to stderr.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod audit;
pub mod check;
pub mod config;
pub mod demo;
pub mod failure;
pub mod functions;
pub mod globals;
pub mod holds;
pub mod output;
pub mod policy;
pub mod remote;
pub mod serve;
mod serve_rows;
pub mod side;
pub mod tui;
pub mod upstream;
pub mod util;

pub use failure::{Exit, Failure};
pub use globals::Globals;
pub use output::Output;

/// What a command ends with.
pub type CommandResult = Result<Exit, Failure>;

const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 failed · 2 usage, configuration or policy file · 3 denied ·
4 held, pending or expired · 5 the audit log does not verify";

/// A proxy for Postgres: reads flow, destruction waits for a person.
#[derive(Debug, Parser)]
#[command(name = "pgsluice", version, after_help = EXIT_CODES, max_term_width = 100)]
#[command(propagate_version = true, subcommand_required = true, arg_required_else_help = true)]
struct CommandLine {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the proxy in front of a Postgres server
    Serve(Box<serve::Arguments>),
    /// Try it: a throwaway Postgres with a shop in it, the proxy in front, and what to type next
    Demo,
    /// Say what statements would do, whether they would pass, and what they risk; runs none of them
    Check(check::Arguments),
    /// See what waits for approval, and decide
    Holds(Box<holds::Arguments>),
    /// Approve user code once, for its body
    Functions(Box<functions::Arguments>),
    /// Approve and watch in a terminal
    Tui(Box<tui::Arguments>),
    /// Check policies
    #[command(subcommand)]
    Policy(policy::Command),
    /// Verify, follow and search the audit log
    #[command(subcommand)]
    Audit(Box<audit::Command>),
    /// Print what packages and shells need
    #[command(subcommand)]
    Util(util::Command),
}

/// Runs the command line of this process and returns its exit code.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os()) as u8)
}

/// Runs one command line, the program's name first.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let line = match CommandLine::try_parse_from(arguments) {
        Ok(line) => line,
        Err(error) => {
            // Nothing is left to do where even this cannot be printed: the pipe is closed.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let globals = &line.globals;
    let result = match &line.command {
        Command::Serve(arguments) => serve::run(arguments, globals),
        Command::Demo => demo::run(globals),
        Command::Check(arguments) => check::run(arguments, globals),
        Command::Holds(arguments) => holds::run(arguments, globals),
        Command::Functions(arguments) => functions::run(arguments, globals),
        Command::Tui(arguments) => tui::run(arguments, globals),
        Command::Policy(command) => policy::run(command, globals),
        Command::Audit(command) => audit::run(command, globals),
        Command::Util(command) => util::run(command),
    };
    match result {
        Ok(exit) => exit,
        Err(failure) => failure.report(globals.color_on_stderr()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_hold_together() {
        CommandLine::command().debug_assert();
    }
}
