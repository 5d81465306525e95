//! A person at a terminal, for commands that ask.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than a question takes until it can be answered.
const ARMING: Duration = Duration::from_millis(600);

/// A command at a terminal of its own.
#[derive(Debug)]
pub(crate) struct Terminal {
    keyboard: std::fs::File,
    screen: Arc<Mutex<String>>,
    /// How much of the screen the person has read.
    read: usize,
    child: Child,
}

impl Terminal {
    /// Starts a command at a terminal.
    pub(crate) fn start(command: &mut Command) -> Self {
        let pair = nix::pty::openpty(None, None).unwrap();
        let side = || Stdio::from(pair.slave.try_clone().unwrap());
        let child = command.stdin(side()).stdout(side()).stderr(side()).env("TERM", "dumb").spawn().unwrap();
        // The command keeps the stdio it has been given for as long as it lives.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let keyboard = std::fs::File::from(pair.master);
        let mut output = keyboard.try_clone().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // Fails when the command has ended, the last that had the terminal open.
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
            }
        });
        Self { keyboard, screen, read: 0, child }
    }

    /// Everything that has been on the screen.
    pub(crate) fn screen(&self) -> String {
        self.screen.lock().unwrap().replace("\r\n", "\n")
    }

    /// Waits until something is on the screen that has not been read yet, and reads up to its end.
    pub(crate) fn wait_for(&mut self, text: &str) {
        self.wait_for_any(&[text]);
    }

    /// The same for whichever of several comes first; its number.
    fn wait_for_any(&mut self, texts: &[&str]) -> usize {
        let until = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            let unread = &screen[self.read..];
            let found = texts.iter().enumerate().filter_map(|(number, text)| Some((unread.find(text)?, number)));
            if let Some((at, number)) = found.min() {
                self.read += at + texts[number].len();
                return number;
            }
            assert!(
                Instant::now() < until,
                "waited in vain for {texts:?} after {:?} in:\n{screen}",
                &screen[..self.read]
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types, at once.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for a question, takes the time to read it, types the answer, and waits for what follows.
    pub(crate) fn answer(&mut self, question: &str, answer: &str, then: &str) {
        self.keys(question, &format!("{answer}\n"), then);
    }

    /// The same with keys as they are.
    pub(crate) fn keys(&mut self, question: &str, keys: &str, then: &str) {
        self.wait_for(question);
        loop {
            std::thread::sleep(ARMING);
            self.press(keys);
            // On a busy machine the question may be armed later than a person thinks; it says so, and asks again.
            if self.wait_for_any(&["does not count", then]) == 1 {
                self.read -= then.len();
                return;
            }
            self.wait_for(question);
        }
    }

    /// Waits for the end; the exit code.
    pub(crate) fn ended(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < until, "it does not end:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
