//! The terminal: made ours, and given back on every way out: the end, an error, a panic, a signal.

use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use ratatui::crossterm::execute;
use ratatui::crossterm::style::ResetColor;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};

/// Whether the terminal is ours now. One for the process, as the terminal is: a panic may come from any thread.
static OURS: AtomicBool = AtomicBool::new(false);

/// The terminal while it is ours. Given back when this is dropped.
pub(super) struct Screen {
    pub(super) terminal: Terminal<CrosstermBackend<io::Stdout>>,
}

impl Screen {
    /// Takes the terminal, and makes sure that a panic gives it back before it is reported.
    pub(super) fn take() -> io::Result<Self> {
        static HOOK: std::sync::Once = std::sync::Once::new();
        HOOK.call_once(|| {
            let report = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                give_back();
                report(panic);
            }));
        });
        enter()?;
        match Terminal::new(CrosstermBackend::new(io::stdout())) {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Takes it again after it was given back for a while.
    pub(super) fn take_again(&mut self) -> io::Result<()> {
        enter()?;
        // Not the terminal's own `clear`, which asks where the cursor is: another thread reads the answers.
        self.terminal.backend_mut().clear()?;
        // What was drawn last is forgotten, so that all of it is drawn again.
        self.terminal.swap_buffers();
        Ok(())
    }

    /// Writes what is no picture: a bell, the clipboard.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut stdout = io::stdout();
        stdout.write_all(bytes)?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    OURS.store(true, Ordering::SeqCst);
    execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, Hide).inspect_err(|_| give_back())
}

/// Gives the terminal back, once.
pub(super) fn give_back() {
    if OURS.swap(false, Ordering::SeqCst) {
        // Where this fails, the terminal is gone.
        let _ = execute!(io::stdout(), DisableBracketedPaste, ResetColor, Show, LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    use nix::sys::termios::tcgetattr;

    use super::*;

    #[test]
    #[ignore = "run by the test below, at a terminal of its own"]
    fn takes_the_terminal_and_panics() {
        let _screen = Screen::take().expect("a terminal");
        panic!("a mistake");
    }

    #[test]
    fn a_panic_gives_the_terminal_back_and_is_reported() {
        let pair = nix::pty::openpty(None, None).expect("a terminal");
        let before = tcgetattr(&pair.slave).expect("settings");
        let side = || Stdio::from(pair.slave.try_clone().expect("a file"));
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .args(["--exact", "tui::terminal::tests::takes_the_terminal_and_panics", "--ignored", "--nocapture"])
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .expect("started");
        let mut output = std::fs::File::from(pair.master.try_clone().expect("a file"));
        let reader = std::thread::spawn(move || {
            let (mut shown, mut buffer) = (String::new(), [0; 4096]);
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                shown.push_str(&String::from_utf8_lossy(&buffer[..count]));
                if shown.contains("test result:") {
                    break;
                }
            }
            shown
        });
        child.wait().expect("ended");
        let shown = reader.join().expect("read");
        let taken = shown.find("\x1b[?1049h").expect("the alternate screen was taken");
        let given = shown.find("\x1b[?1049l").expect("and left");
        let reported = shown.find("a mistake").expect("the panic is reported");
        assert!(taken < given && given < reported, "{shown:?}");
        let after = tcgetattr(&pair.slave).expect("settings");
        assert_eq!(before.local_flags, after.local_flags);
    }
}
