//! The thin part around the pure one: the terminal, the keys, the clock, the signals, the connection.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use nix::sys::signal::{Signal, raise};
use ratatui::crossterm::event::{self, Event as TerminalEvent, KeyEventKind};
use ratatui::layout::Size;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::sync::mpsc;

use super::draw::draw;
use super::event::{Command, Event, Message, Moment, Options};
use super::link;
use super::state::State;
use super::terminal::{Screen, give_back};
use crate::control::Client;

/// The shortest time between two pictures.
const PICTURE_EVERY: Duration = Duration::from_millis(34);
/// How many keys may wait.
const KEYS: usize = 256;
/// How many tellings of the proxy may wait; beyond that it is not read.
pub(super) const TELLINGS: usize = 256;
/// How many commands may wait.
pub(super) const COMMANDS: usize = 64;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Somebody quit.
    Quit,
    /// A signal came.
    Signal(Signal),
}

/// Shows the queue of a proxy and takes decisions until somebody quits. `proxy` are the flags that name it to other
/// commands.
///
/// # Errors
///
/// Standard input or output is no terminal, or the terminal fails.
pub fn run(client: Client, options: Options, proxy: String) -> io::Result<Ending> {
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(io::Error::new(io::ErrorKind::Unsupported, "this needs a terminal for its input and its output"));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        // Before the terminal is taken: a signal that comes in between must find somebody.
        let signals = Signals::catch()?;
        let screen = Screen::take()?;
        Shell::new(screen, client, options, proxy)?.run(signals).await
    });
    give_back();
    // The thread that reads keys waits for one more; nobody waits for it.
    runtime.shutdown_background();
    ended
}

struct Shell {
    screen: Screen,
    state: State,
    started: Instant,
    keys: mpsc::Receiver<io::Result<TerminalEvent>>,
    told: mpsc::Receiver<Message>,
    ask: mpsc::Sender<Command>,
}

impl Shell {
    fn new(screen: Screen, client: Client, options: Options, proxy: String) -> io::Result<Self> {
        let started = Instant::now();
        let size = screen.terminal.size()?;
        let (tell, told) = mpsc::channel(TELLINGS);
        let (ask, asked) = mpsc::channel(COMMANDS);
        tokio::spawn(link::run(client, tell, asked));
        let state = State::new(options, size, Moment { at: Timestamp::now(), running: Duration::ZERO }).at(proxy);
        Ok(Self { screen, state, started, keys: read_keys()?, told, ask })
    }

    async fn run(mut self, mut signals: Signals) -> io::Result<Ending> {
        let mut drawn = Instant::now() - PICTURE_EVERY;
        let mut changed = true;
        loop {
            if changed && drawn.elapsed() >= PICTURE_EVERY {
                self.draw()?;
                drawn = Instant::now();
                changed = false;
            }
            let next_picture = changed.then_some(drawn + PICTURE_EVERY);
            let next_change = self.state.next_change().map(|at| self.started + at);
            let wake = [next_picture, next_change].into_iter().flatten().min();
            let event = tokio::select! {
                key = self.keys.recv() => match key {
                    Some(key) => of_terminal(key?),
                    None => return Err(io::Error::other("the terminal is gone")),
                },
                Some(message) = self.told.recv() => Some(Event::Link(message)),
                () = sleep_until(wake) => (!changed).then_some(Event::Tick),
                signal = signals.next() => match signal {
                    Signal::SIGTSTP => {
                        self.stop()?;
                        Some(Event::Tick)
                    }
                    signal => return Ok(Ending::Signal(signal)),
                },
            };
            let Some(event) = event else { continue };
            let commands = self.state.update(event, self.now());
            changed = true;
            for command in commands {
                if command == Command::Quit {
                    return Ok(Ending::Quit);
                }
                self.obey(command)?;
            }
        }
    }

    fn now(&self) -> Moment {
        Moment { at: Timestamp::now(), running: self.started.elapsed() }
    }

    fn draw(&mut self) -> io::Result<()> {
        let mut shown = None;
        let state = &self.state;
        self.screen.terminal.draw(|frame| shown = Some(draw(state, frame)))?;
        if let Some(shown) = shown {
            let commands = self.state.update(Event::Shown(shown), self.now());
            debug_assert!(commands.is_empty(), "what is shown asks for nothing");
        }
        Ok(())
    }

    fn obey(&mut self, command: Command) -> io::Result<()> {
        match command {
            Command::Copy(text) => {
                let text = STANDARD.encode(text);
                self.screen.write(format!("\x1b]52;c;{text}\x07").as_bytes())
            }
            Command::Bell => self.screen.write(b"\x07"),
            Command::Notify(alert) => self.screen.write(alert.escape_sequence().as_bytes()),
            command => {
                if let Err(error) = self.ask.try_send(command) {
                    // Sixty-four are under way already, or the connection's task has died: it is not done later.
                    let (mpsc::error::TrySendError::Full(command) | mpsc::error::TrySendError::Closed(command)) = error;
                    tracing::debug!(?command, "not done");
                }
                Ok(())
            }
        }
    }

    /// Stops as others do on Ctrl-Z, and goes on when told to.
    fn stop(&mut self) -> io::Result<()> {
        give_back();
        raise(Signal::SIGSTOP)?;
        self.screen.take_again()
    }
}

/// Reads keys on a thread of their own, so that each is taken when it is typed.
fn read_keys() -> io::Result<mpsc::Receiver<io::Result<TerminalEvent>>> {
    let (send, keys) = mpsc::channel(KEYS);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        loop {
            let event = event::read();
            let failed = event.is_err();
            if send.blocking_send(event).is_err() || failed {
                return;
            }
        }
    })?;
    Ok(keys)
}

fn of_terminal(event: TerminalEvent) -> Option<Event> {
    match event {
        TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => Some(Event::Key(key)),
        TerminalEvent::Paste(text) => Some(Event::Paste(text)),
        TerminalEvent::Resize(width, height) => Some(Event::Resize(Size { width, height })),
        _ => None,
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake.into()).await,
        None => std::future::pending().await,
    }
}

/// Every signal that would end or stop the program and can be caught.
struct Signals(Vec<(Signal, SignalStream)>);

impl Signals {
    const CAUGHT: &'static [Signal] = &[
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGTERM,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGALRM,
        Signal::SIGVTALRM,
        Signal::SIGPROF,
        Signal::SIGXCPU,
        Signal::SIGXFSZ,
        Signal::SIGTSTP,
        #[cfg(target_os = "linux")]
        Signal::SIGIO,
        #[cfg(target_os = "linux")]
        Signal::SIGPWR,
        #[cfg(target_os = "linux")]
        Signal::SIGSTKFLT,
    ];

    fn catch() -> io::Result<Self> {
        let caught = |name: &Signal| Ok((*name, signal(SignalKind::from_raw(*name as i32))?));
        Self::CAUGHT.iter().map(caught).collect::<io::Result<_>>().map(Self)
    }

    async fn next(&mut self) -> Signal {
        std::future::poll_fn(|context| {
            for (name, stream) in &mut self.0 {
                if stream.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*name);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}
