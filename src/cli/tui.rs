//! `pgsluice tui`: approve and watch in a terminal.

use clap::Args;
use nix::sys::signal::Signal;

use super::remote::RemoteArguments;
use super::{CommandResult, Exit, Failure, Globals};
use crate::tui::{self, Bell, Characters, Colors, Ending, Options, Theme};

/// `pgsluice tui ...`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,
    /// Ring the terminal's bell when a statement is held
    #[arg(long)]
    bell: bool,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// Runs it.
///
/// # Errors
///
/// There is no terminal, or it fails.
pub fn run(arguments: &Arguments, globals: &Globals) -> CommandResult {
    let client = arguments.remote.client(globals)?;
    let theme = Theme {
        colors: if globals.color_on_stdout() { Colors::Ansi } else { Colors::None },
        characters: if arguments.ascii { Characters::Ascii } else { Characters::Unicode },
    };
    let options = Options { theme, bell: if arguments.bell { Bell::Rings } else { Bell::Silent } };
    match tui::run(client, options) {
        Ok(Ending::Quit) => Ok(Exit::Done),
        Ok(Ending::Signal(Signal::SIGHUP)) => Ok(Exit::HungUp),
        Ok(Ending::Signal(Signal::SIGINT)) => Ok(Exit::Interrupted),
        Ok(Ending::Signal(Signal::SIGQUIT)) => Ok(Exit::Quit),
        Ok(Ending::Signal(Signal::SIGTERM)) => Ok(Exit::Terminated),
        Ok(Ending::Signal(signal)) => Err(Failure::failed(format_args!("ended by {signal}"))),
        Err(error) => Err(Failure::failed(format_args!("the terminal cannot be used: {error}"))
            .hint("without one, `pgsluice holds list`, `show`, `approve` and `deny` do the same")),
    }
}
