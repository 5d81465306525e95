//! Questions on a plain terminal: whole lines, no cursor movement, no colour.

use std::io::{IsTerminal as _, Stdin};
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{FlushArg, tcflush};

use super::super::{Failure, Output};

/// For so long after a question has appeared nothing that is typed answers it: it was meant for something else.
const ARMING: Duration = Duration::from_millis(500);

/// Nobody types a longer line.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Stdin, where it is a terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    stdin: Stdin,
    /// Read and not looked at. A terminal gives whole lines, unless somebody has set it otherwise.
    unread: Vec<u8>,
}

/// What was typed before its question could have been read.
enum Early {
    Nothing,
    Dropped,
    /// The terminal is gone.
    Gone,
}

impl Terminal {
    /// Takes stdin.
    ///
    /// # Errors
    ///
    /// It is no terminal, so nobody could be asked.
    pub(super) fn open() -> Result<Self, Failure> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Err(Failure::usage("holds review asks questions, and stdin is no terminal")
                .hint("run it in a terminal, or decide with `pgsluice holds approve` and `pgsluice holds deny`"));
        }
        Ok(Self { stdin, unread: Vec::new() })
    }

    /// Asks, and waits for a line; `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// The terminal fails.
    pub(super) fn ask(&mut self, question: &str) -> Result<Option<String>, Failure> {
        loop {
            let mut output = Output::stdout();
            output.text(question)?;
            output.flush()?;
            drop(output);
            std::thread::sleep(ARMING);
            match self.drop_early().map_err(failed)? {
                Early::Nothing => return self.line(),
                Early::Gone => return Ok(None),
                Early::Dropped => {
                    let mut output = Output::stdout();
                    output.line("")?;
                    output.line("What was typed before the question could be read does not count.")?;
                }
            }
        }
    }

    fn drop_early(&mut self) -> nix::Result<Early> {
        let waiting = {
            let mut stdin = [PollFd::new(self.stdin.as_fd(), PollFlags::POLLIN)];
            poll(&mut stdin, PollTimeout::ZERO)?;
            stdin[0].revents().unwrap_or(PollFlags::empty())
        };
        // Half a line as well, which nobody can see from here.
        tcflush(self.stdin.as_fd(), FlushArg::TCIFLUSH)?;
        let kept = !self.unread.is_empty();
        self.unread.clear();
        Ok(if waiting.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            Early::Gone
        } else if kept || waiting.contains(PollFlags::POLLIN) {
            Early::Dropped
        } else {
            Early::Nothing
        })
    }

    fn line(&mut self) -> Result<Option<String>, Failure> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()));
            }
            if self.unread.len() > LINE_BYTES_MAX {
                return Err(Failure::failed("a line without an end was typed"));
            }
            let mut buffer = [0; 4096];
            match nix::unistd::read(self.stdin.as_fd(), &mut buffer) {
                Ok(0) | Err(Errno::EIO) => return Ok(None),
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

fn failed(error: Errno) -> Failure {
    Failure::failed(format_args!("the terminal cannot be read: {error}"))
}
