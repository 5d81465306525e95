//! Promise: in a real terminal, keys decide what waits, and nothing but the right ones; the terminal is given back
//! however the program ends.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::support::{Finished, Proxy, finished, psql, shop, started};

const PATIENCE: Duration = Duration::from_secs(60);

/// A terminal in a tmux of its own.
struct Terminal {
    place: TempDir,
}

impl Terminal {
    fn open(command: &str, width: u16, height: u16) -> Self {
        let terminal = Self { place: TempDir::with_prefix("tmux-").unwrap() };
        let (width, height) = (width.to_string(), height.to_string());
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-s", "t", "-x", &width, "-y", &height, command]);
        terminal.tmux(&["set", "-s", "set-clipboard", "on"]);
        terminal
    }

    /// The interface of a proxy.
    fn tui(proxy: &Proxy, width: u16, height: u16) -> Self {
        Self::open(&shell_words(&proxy.command(&["tui"])), width, height)
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.env_remove("TMUX").env("TERM", "xterm-256color").env("LC_ALL", "C.UTF-8").arg("-u");
        let done = finished(tmux.arg("-S").arg(self.place.path().join("s")).args(arguments));
        assert_eq!(done.code, Some(0), "tmux {arguments:?}: {}", done.stderr);
        done.stdout
    }

    /// Presses keys, by tmux's names.
    fn press(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys", "-t", "t", "--"], keys].concat());
    }

    fn write(&self, text: &str) {
        self.tmux(&["send-keys", "-t", "t", "-l", "--", text]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-t", "t"])
    }

    /// Waits until the screen is as it should be.
    fn wait_until(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let screen = self.screen();
            if is(&screen) {
                return screen;
            }
            assert!(Instant::now() < until, "waited in vain for {what}:\n{screen}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn wait_for(&self, words: &str) -> String {
        self.wait_until(words, |screen| screen.contains(words))
    }

    /// Selects the most urgent hold, which must be there with its radius.
    fn select(&self) {
        self.wait_for("h-");
        self.press(&["j"]);
        let pending = |line: &str| ["▌▲", "▌◆", "▌○"].iter().any(|begins| line.starts_with(begins));
        self.wait_until("the selected hold", |screen| {
            screen.lines().any(pending) && screen.contains("end of the statement") && !screen.contains("being computed")
        });
    }

    /// Opens a dialog and waits until it takes keys.
    fn open_dialog(&self, key: &str) {
        self.press(&[key]);
        self.wait_until("a dialog that takes keys", |screen| {
            screen.contains("Esc closes and decides nothing") && !screen.contains("a moment:")
        });
    }

    /// Opens the dialog on what is selected and answers all that it asks.
    fn almost_approve(&self) {
        self.open_dialog("a");
        self.write("a test");
        self.press(&["Tab"]);
        let asks = self.wait_until("what it asks for next", |screen| {
            screen.contains("type the name first") || screen.contains(" y approves ")
        });
        if asks.contains("type the name first") {
            self.write("orders");
            self.press(&["Tab"]);
        }
        self.wait_for(" y approves ");
    }

    /// Approves what is selected, whatever that takes.
    fn approve(&self) {
        self.almost_approve();
        self.press(&["y"]);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let mut tmux = Command::new("tmux");
        let _ = tmux.arg("-S").arg(self.place.path().join("s")).arg("kill-server").output();
    }
}

/// A command for a shell, with its environment.
fn shell_words(command: &Command) -> String {
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_string_lossy().replace('\'', r"'\''"));
    let mut words = vec!["env".to_owned()];
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => words.push(format!("{}={}", name.to_string_lossy(), quoted(value))),
            None => words.splice(1..1, ["-u".to_owned(), name.to_string_lossy().into_owned()]).for_each(drop),
        }
    }
    words.push(quoted(command.get_program()));
    words.extend(command.get_args().map(quoted));
    words.join(" ")
}

#[test]
fn keys_approve_a_delete() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    let terminal = Terminal::tui(&proxy, 140, 45);
    terminal.wait_for("nothing waits for approval");
    let client = started(psql(&proxy.url("shop", "shop")).args(["-c", "delete from orders where id <= 3"]));
    terminal.select();
    // A statement of three rows that carries others with it: one key is too little.
    terminal.press(&["Enter", "Left", "y"]);
    terminal.wait_for("is copied");
    assert_eq!(terminal.tmux(&["show-buffer"]), proxy.holds()[0]["id"].as_str().unwrap());
    // What there is to see on request.
    terminal.press(&["c"]);
    terminal.wait_for("= 3 rows");
    terminal.approve();
    terminal.wait_for("is approved: the statement runs now");
    let client = Finished::of(client);
    assert_eq!(client.stdout, "DELETE 3\n", "{client:?}");
    terminal.press(&["q"]);
}

#[test]
fn keys_deny_with_a_reason() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    let client = started(psql(&proxy.url("shop", "shop")).args(["-c", "delete from orders"]));
    let terminal = Terminal::tui(&proxy, 80, 24);
    // With its radius: what changes while a dialog is open has to be looked at again.
    terminal.wait_for("~ 500");
    terminal.press(&["j"]);
    terminal.open_dialog("d");
    terminal.write("ask again on Monday");
    terminal.press(&["Enter"]);
    terminal.wait_for(" y denies ");
    terminal.press(&["y"]);
    terminal.wait_for("the statement does not run");
    let client = Finished::of(client);
    assert!(client.stderr.contains("ask again on Monday"), "{client:?}");
    assert_eq!(postgres.sql("shop", "select count(*) > 0 from orders").unwrap(), "t");
}

#[test]
fn what_expires_cannot_be_approved() {
    let postgres = shop();
    let proxy = Proxy::start_with(&postgres, &["--hold-expiry", "4s"]);
    let client = started(psql(&proxy.url("shop", "shop")).args(["-c", "delete from orders where id = 1"]));
    let terminal = Terminal::tui(&proxy, 140, 45);
    terminal.select();
    terminal.open_dialog("a");
    terminal.wait_for("it does not wait any more: expired");
    terminal.press(&["y"]);
    // Not at once: a terminal takes Escape and a key behind it for one key.
    terminal.press(&["Escape"]);
    terminal.wait_for("closed: nothing was decided");
    terminal.press(&["a"]);
    terminal.wait_until("why not", |screen| screen.lines().last().is_some_and(|line| line.contains("expired")));
    let client = Finished::of(client);
    assert!(client.stderr.contains("expired"), "{client:?}");
    assert_eq!(postgres.sql("shop", "select count(*) from orders where id = 1").unwrap(), "1");
}

#[test]
fn of_two_who_race_one_decides_and_the_other_is_told() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    let client = started(psql(&proxy.url("shop", "shop")).args(["-c", "delete from orders where id = 1"]));
    let (first, second) = (Terminal::tui(&proxy, 140, 45), Terminal::tui(&proxy, 140, 45));
    for terminal in [&first, &second] {
        terminal.select();
    }
    second.almost_approve();
    first.open_dialog("d");
    first.write("no");
    first.press(&["Tab"]);
    first.wait_for(" y denies ");
    first.press(&["y"]);
    second.wait_for("already decided by");
    second.press(&["y"]);
    let client = Finished::of(client);
    assert!(client.stderr.contains("denied"), "{client:?}");
    assert_eq!(postgres.sql("shop", "select count(*) from orders where id = 1").unwrap(), "1");
}

#[test]
fn a_proxy_that_is_restarted_is_noticed() {
    let postgres = shop();
    let mut proxy = Proxy::start(&postgres);
    let client = started(psql(&proxy.url("shop", "shop")).args(["-c", "delete from orders where id = 1"]));
    let terminal = Terminal::tui(&proxy, 140, 45);
    terminal.select();
    proxy.stop(Signal::SIGKILL);
    terminal.wait_for("NOT CONNECTED");
    terminal.press(&["a"]);
    terminal.wait_for("not connected: nothing can be decided");
    proxy.launch();
    terminal.wait_until("the proxy again", |screen| !screen.contains("NOT CONNECTED") && screen.contains("Waiting: 0"));
    Finished::of(client);
    // And it works again.
    let client = started(psql(&proxy.url("shop", "shop")).args(["-c", "delete from orders where id = 2"]));
    terminal.wait_for("Waiting: 1");
    terminal.select();
    terminal.approve();
    assert_eq!(Finished::of(client).stdout, "DELETE 1\n");
}

#[test]
fn without_a_proxy_it_waits_for_one() {
    let postgres = shop();
    let mut proxy = Proxy::prepare(&postgres.url("postgres", "postgres"), &[]);
    let terminal = Terminal::tui(&proxy, 80, 24);
    terminal.wait_for("NOT CONNECTED");
    proxy.launch();
    terminal.wait_for("nothing waits for approval");
}

#[test]
fn pasted_keys_decide_nothing() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    let client = started(psql(&proxy.url("shop", "shop")).args(["-c", "delete from orders where id = 1"]));
    let terminal = Terminal::tui(&proxy, 140, 45);
    terminal.select();
    terminal.open_dialog("a");
    for text in ["orders", "y", "orders\ny\n"] {
        terminal.tmux(&["set-buffer", "--", text]);
        terminal.tmux(&["paste-buffer", "-p", "-t", "t"]);
        terminal.press(&["Tab"]);
    }
    // A key whose effect is seen only after everything before it was taken.
    terminal.press(&["Escape"]);
    terminal.wait_for("closed: nothing was decided");
    terminal.press(&["d"]);
    terminal.wait_for("Deny h-");
    assert_eq!(proxy.holds().len(), 1);
    // Without brackets it is keys.
    terminal.wait_for("y denies: say why first");
    terminal.tmux(&["set-buffer", "--", "because\ny\nyy"]);
    terminal.tmux(&["paste-buffer", "-t", "t"]);
    terminal.wait_for("y denies in a moment");
    terminal.wait_for(" y denies ");
    assert_eq!(proxy.holds().len(), 1);
    proxy.deny_next("a test");
    Finished::of(client);
}

/// Runs the interface from a shell that says how it ended, and gives its process id.
fn from_shell(proxy: &Proxy, place: &Path) -> (Terminal, Pid) {
    let (before, after, pid) = (place.join("before"), place.join("after"), place.join("pid"));
    let tui = shell_words(&proxy.command(&["tui"]));
    let script = place.join("script");
    let text = format!(
        "stty -g > {}\nsh -c 'echo $$ > {}; . {}'\necho ended with $?\nstty -g > {}\ncat\n",
        before.display(),
        pid.display(),
        place.join("tui").display(),
        after.display()
    );
    std::fs::write(place.join("tui"), format!("exec {tui}\n")).unwrap();
    std::fs::write(&script, text).unwrap();
    let terminal = Terminal::open(&format!("sh {}", script.display()), 80, 24);
    terminal.wait_for("nothing waits for approval");
    let pid = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    (terminal, Pid::from_raw(pid))
}

#[test]
fn the_terminal_is_given_back_on_every_signal() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    for (signal, code) in [
        (None, "ended with 0"),
        (Some(Signal::SIGTERM), "ended with 143"),
        (Some(Signal::SIGINT), "ended with 130"),
        (Some(Signal::SIGQUIT), "ended with 131"),
        (Some(Signal::SIGHUP), "ended with 129"),
        (Some(Signal::SIGUSR1), "ended with 1"),
        (Some(Signal::SIGALRM), "ended with 1"),
    ] {
        let place = TempDir::new().unwrap();
        let (terminal, pid) = from_shell(&proxy, place.path());
        assert_eq!(terminal.tmux(&["display", "-p", "#{alternate_on}"]).trim(), "1");
        match signal {
            Some(signal) => kill(pid, signal).unwrap(),
            None => terminal.press(&["q"]),
        }
        terminal.wait_for(code);
        terminal.wait_until("the shell", |_| place.path().join("after").metadata().is_ok_and(|file| file.len() > 0));
        let settings = |name| std::fs::read_to_string(place.path().join(name)).unwrap();
        assert_eq!(settings("before"), settings("after"), "{signal:?}");
        let flags = terminal.tmux(&["display", "-p", "#{alternate_on} #{cursor_flag} #{bracket_paste_flag}"]);
        assert!(flags.starts_with("0 1"), "{signal:?}: {flags}");
    }
}

#[test]
fn stopped_and_continued_it_gives_the_terminal_back_and_takes_it_again() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    let place = TempDir::new().unwrap();
    let (terminal, pid) = from_shell(&proxy, place.path());
    kill(pid, Signal::SIGTSTP).unwrap();
    let on = || terminal.tmux(&["display", "-p", "#{alternate_on}"]).trim().to_owned();
    terminal.wait_until("the shell's screen", |_| on() == "0");
    kill(pid, Signal::SIGCONT).unwrap();
    terminal.wait_until("the interface", |screen| on() == "1" && screen.contains("nothing waits"));
    terminal.press(&["q"]);
    terminal.wait_for("ended with 0");
}

#[test]
fn idle_it_takes_next_to_no_time() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    let place = TempDir::new().unwrap();
    let (_terminal, pid) = from_shell(&proxy, place.path());
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(4));
    // Of 400: a program that draws all the time takes most of them, this one asks for a sign of life at most.
    assert!(ticks() - before <= 12, "{} ticks", ticks() - before);
}

#[test]
fn without_a_terminal_it_says_what_to_do() {
    let postgres = shop();
    let proxy = Proxy::start(&postgres);
    let finished = proxy.run(&["tui"]);
    assert_eq!(finished.code, Some(1));
    assert!(finished.stderr.contains("needs a terminal") && finished.stderr.contains("holds list"), "{finished:?}");
}
