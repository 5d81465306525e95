//! The rules, one by one, and pictures of everything at three sizes.

mod calm;
mod deciding;
mod late;
mod pictures;
mod safe_text;
mod scale;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Size;

use super::draw::draw;
use super::event::{Command, Event, Message, Moment, Options, Shown};
use super::state::State;
use crate::blast::radius::{TouchedRelation, Via};
use crate::blast::{Radius, Rows};
use crate::gate::view::{EndedView, sample};
use crate::gate::{HoldId, HoldState, HoldView, Wait};
use crate::policy::IdentityKind;
use crate::sql::risk::Level;

/// A terminal with somebody at it.
struct Desk {
    state: State,
    running: Duration,
    terminal: Terminal<TestBackend>,
    shown: Shown,
}

impl Desk {
    fn new(width: u16, height: u16) -> Self {
        Self::with(width, height, Options::default())
    }

    fn with(width: u16, height: u16, options: Options) -> Self {
        let size = Size { width, height };
        let mut desk = Self {
            state: State::new(options, size, moment(Duration::ZERO)),
            running: Duration::ZERO,
            terminal: Terminal::new(TestBackend::new(width, height)).expect("a test terminal"),
            shown: Shown::default(),
        };
        desk.draw();
        desk
    }

    /// With a connection, and what waits there.
    fn connected(width: u16, height: u16, holds: Vec<HoldView>) -> Self {
        let mut desk = Self::new(width, height);
        desk.told(Message::Connected(holds));
        desk
    }

    /// Something happens, and it is drawn.
    fn event(&mut self, event: Event) -> Vec<Command> {
        let commands = self.state.update(event, moment(self.running));
        self.draw();
        commands
    }

    fn told(&mut self, message: Message) -> Vec<Command> {
        self.event(Event::Link(message))
    }

    fn press(&mut self, code: KeyCode) -> Vec<Command> {
        self.event(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    fn key(&mut self, key: char) -> Vec<Command> {
        self.press(KeyCode::Char(key))
    }

    fn write(&mut self, text: &str) -> Vec<Command> {
        text.chars().flat_map(|key| self.key(key)).collect()
    }

    fn paste(&mut self, text: &str) -> Vec<Command> {
        self.event(Event::Paste(text.to_owned()))
    }

    fn wait(&mut self, millis: u64) -> Vec<Command> {
        self.running += Duration::from_millis(millis);
        self.event(Event::Tick)
    }

    fn draw(&mut self) {
        let state = &self.state;
        let mut shown = None;
        self.terminal.draw(|frame| shown = Some(draw(state, frame))).expect("drawn");
        self.shown = shown.expect("drawn");
        let commands = self.state.update(Event::Shown(self.shown.clone()), moment(self.running));
        assert_eq!(commands, [], "what is shown asks for nothing");
    }

    fn resize(&mut self, width: u16, height: u16) {
        self.terminal.backend_mut().resize(width, height);
        self.event(Event::Resize(Size { width, height }));
    }

    fn buffer(&self) -> &Buffer {
        self.terminal.backend().buffer()
    }

    /// The screen as text.
    fn screen(&self) -> String {
        let area = self.buffer().area;
        let row = |y| (0..area.width).map(|x| self.buffer()[(x, y)].symbol()).collect::<String>();
        (0..area.height).map(|y| row(y).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    fn sees(&self, words: &str) -> bool {
        self.screen().contains(words)
    }

    /// The row on which words stand.
    fn row_of(&self, words: &str) -> Option<usize> {
        self.screen().lines().position(|line| line.contains(words))
    }

    /// The row on which the cursor stands.
    fn cursor_row(&self) -> Option<usize> {
        self.screen().lines().position(|line| line.starts_with('▌'))
    }

    fn selected(&self) -> Option<String> {
        self.state.selected().map(|entry| entry.view.id.to_string())
    }

    /// Reads what is selected to its end.
    fn read(&mut self) {
        for _ in 0..200 {
            let before = self.state.scroll;
            self.press(KeyCode::PageDown);
            if self.state.scroll == before {
                break;
            }
        }
    }

    /// Waits until the confirming line takes keys, and confirms.
    fn confirm(&mut self) -> Vec<Command> {
        self.wait(501);
        self.key('y')
    }

    /// Opens the dialog on the first hold, read to its end, and waits until it takes keys.
    fn opened(width: u16, height: u16, hold: HoldView, key: char) -> Self {
        let mut desk = Self::connected(width, height, vec![hold]);
        desk.key('j');
        desk.read();
        desk.key(key);
        assert!(desk.state.dialog.is_some(), "no dialog: {}", desk.screen());
        desk.wait(501);
        desk
    }

    /// The same, with a reason written; what comes behind it has the focus, and takes keys.
    fn reasoned(width: u16, height: u16, hold: HoldView, key: char) -> Self {
        let mut desk = Self::opened(width, height, hold, key);
        desk.write(REASON);
        desk.press(KeyCode::Tab);
        desk.wait(501);
        desk
    }
}

/// What a decision in the tests gives for a reason.
const REASON: &str = "tidy";

fn moment(running: Duration) -> Moment {
    let start: Timestamp = "2026-01-01T03:00:00Z".parse().expect("a time");
    let passed = SignedDuration::try_from(running).expect("short");
    Moment { at: start.checked_add(passed).expect("no overflow"), running }
}

fn decisions(commands: &[Command]) -> usize {
    commands.iter().filter(|command| matches!(command, Command::Approve(..) | Command::Deny(..))).count()
}

fn id(text: &str) -> HoldId {
    text.parse().expect("an id")
}

/// A hold that a key approves.
fn low(name: &str) -> HoldView {
    HoldView {
        risk: Level::Medium,
        sql: "DELETE FROM orders WHERE id = $1".to_owned(),
        params: vec!["17::int4".to_owned()],
        radius: Some(Radius {
            relations: vec![relation("orders", Via::Statement, Rows::exact(1))],
            ..radius(Rows::exact(1))
        }),
        ..high(name)
    }
}

/// A hold that needs a name to be typed.
fn high(name: &str) -> HoldView {
    HoldView {
        id: id(name),
        state: HoldState::Pending,
        sql: "DELETE FROM orders\n -- old ones\nWHERE placed_on < '2023-02-01'".to_owned(),
        params: Vec::new(),
        session: "s-1".to_owned(),
        client: "10.0.0.7:5000".to_owned(),
        application_name: "nightly".to_owned(),
        risks: Vec::new(),
        radius: Some(radius(Rows::planner(48_210))),
        created_at: "2026-01-01T02:59:00.000Z".to_owned(),
        expires_at: "2026-01-01T03:14:00.000Z".to_owned(),
        needs: 1,
        approvals: Vec::new(),
        in_transaction: false,
        wait: Wait::Inline,
        search_path: Some(vec!["public".to_owned()]),
        digest: "d".repeat(64),
        ended: None,
        ..sample::hold()
    }
}

fn radius(rows: Rows) -> Radius {
    Radius {
        rows,
        relations: vec![
            TouchedRelation { share: Some(0.31), ..relation("orders", Via::Statement, rows) },
            relation("order_items", Via::Cascade, Rows::UNKNOWN),
        ],
        dependents: Vec::new(),
        ..sample::radius()
    }
}

fn relation(name: &str, via: Via, rows: Rows) -> TouchedRelation {
    let sample = sample::radius().relations.swap_remove(0);
    TouchedRelation { name: name.to_owned(), via, rows, share: None, ..sample }
}

/// The same hold, ended.
fn ended(hold: HoldView, state: HoldState, by: Option<&str>, reason: Option<&str>) -> HoldView {
    let ended = EndedView {
        by: by.map(str::to_owned),
        reason: reason.map(str::to_owned),
        at: "2026-01-01T03:00:30.000Z".to_owned(),
        remote: None,
    };
    HoldView { state, ended: Some(ended), ..hold }
}

fn held(hold: HoldView) -> Message {
    Message::Hold(Box::new(hold))
}
