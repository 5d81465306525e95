//! `pgsluice tui`: approve and watch in a terminal.

use clap::Args;
use nix::sys::signal::Signal;

use super::remote::RemoteArguments;
use super::{CommandResult, Exit, Failure, Globals};
use crate::tui::{self, Bell, Characters, Colors, Ending, Notify, Options, Theme};

/// `pgsluice tui ...`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,
    /// Ring the terminal's bell when a statement is held
    #[arg(long)]
    bell: bool,
    /// Have the desktop show that one is, through the terminal: how many wait and the highest risk, nothing else
    #[arg(long, value_enum, value_name = "WAY", num_args = 0..=1, require_equals = true, default_missing_value = "osc9")]
    notify: Option<Way>,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// How the terminal is asked.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Way {
    /// iTerm2, Windows Terminal, WezTerm, kitty, Ghostty
    Osc9,
    /// urxvt, foot, Ghostty
    Osc777,
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
    let notify = arguments.notify.map(|way| match way {
        Way::Osc9 => Notify::Osc9,
        Way::Osc777 => Notify::Osc777,
    });
    let options = Options { theme, bell: if arguments.bell { Bell::Rings } else { Bell::Silent }, notify };
    match tui::run(client, options, arguments.remote.flags(globals)) {
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
