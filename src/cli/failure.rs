//! How a command ends: its exit code, and for a failure what, where and what to do.

use std::fmt::Display;
use std::io::Write as _;

/// The exit codes scripts may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; `check`: everything passes.
    Done = 0,
    /// Failed.
    Failed = 1,
    /// The command line, the configuration or a policy file is wrong.
    Usage = 2,
    /// Denied.
    Denied = 3,
    /// Held, pending or expired.
    Pending = 4,
    /// The audit log does not verify.
    AuditBroken = 5,
    /// Ended by SIGHUP: the terminal is gone.
    HungUp = 129,
    /// Ended by SIGINT.
    Interrupted = 130,
    /// Ended by SIGQUIT.
    Quit = 131,
    /// Ended by SIGTERM.
    Terminated = 143,
}

/// Why a command did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The reader of stdout went away; that is its right.
    ClosedPipe,
    /// Something to tell.
    Told {
        /// The exit code.
        exit: Exit,
        /// What is wrong, and where: a sentence without a capital or a full stop; may have more lines.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl Failure {
    /// Something failed.
    pub fn failed(message: impl Display) -> Self {
        Self::with_exit(Exit::Failed, message)
    }

    /// The command line, the configuration or a policy file is wrong.
    pub fn usage(message: impl Display) -> Self {
        Self::with_exit(Exit::Usage, message)
    }

    /// A failure with an exit code of its own.
    pub fn with_exit(exit: Exit, message: impl Display) -> Self {
        Self::Told { exit, message: message.to_string(), hint: None }
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn hint(mut self, text: impl Display) -> Self {
        if let Self::Told { hint, .. } = &mut self {
            *hint = Some(text.to_string());
        }
        self
    }

    /// Prints it to stderr and returns the exit code.
    #[must_use]
    pub fn report(&self, color: bool) -> Exit {
        let Self::Told { exit, message, hint } = self else {
            return Exit::Done;
        };
        let (red, cyan, plain) = if color { ("\x1b[1;31m", "\x1b[36m", "\x1b[0m") } else { ("", "", "") };
        let mut stderr = std::io::stderr().lock();
        // The exit code tells what a closed stderr cannot.
        let _ = writeln!(stderr, "{red}error:{plain} {message}");
        if let Some(hint) = hint {
            let _ = writeln!(stderr, "{cyan}hint:{plain} {hint}");
        }
        *exit
    }
}
