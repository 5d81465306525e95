//! The whole of the program as a value: what happens goes in as an [`Event`], what is to be done comes out as
//! [`Command`]s. No terminal, no socket, no clock.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Size;

use super::detail::{Detail, Look, Looks, detail};
use super::dialog::{Dialog, Kind, Outcome, Progress, TextField, ended};
use super::document::{Document, Row};
use super::figures::{Session, Statistics};
use super::holds::{Change, Cursor, Entry, HoldKey, Holds, Step};
use super::layout::{self, Areas};
use super::theme::{Role, Theme, risk_word};
use crate::audit::LogView;
use crate::blast::Blockers;
use crate::catalog::examine::{Examined, Sample};
use crate::control::api::{ApproveBody, DenyBody, ErrorBody};
use crate::gate::{HoldId, HoldState, HoldView};
use crate::sql::risk::Level;

/// How long a message stands at the bottom.
const NOTE_TIME: Duration = Duration::from_secs(8);
/// How many holds keep what was asked about their rows.
const LOOKS_MAX: usize = 32;
/// How long a filter may be, in characters.
const FILTER_MAX: usize = 60;
/// How long the proxy may say nothing.
const DATA_OLD_AFTER: Duration = Duration::from_secs(45);

/// A moment, by the clock and since the program started. Only the second is used for waiting: clocks jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// By the clock.
    pub at: Timestamp,
    /// Since the start.
    pub running: Duration,
}

/// What happens.
#[derive(Debug, Clone)]
pub enum Event {
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal says that this was pasted.
    Paste(String),
    /// The terminal has another size.
    Resize(Size),
    /// Time has passed.
    Tick,
    /// The proxy said something, or is gone.
    Link(Message),
    /// This was drawn.
    Shown(Shown),
}

/// What the proxy said.
#[derive(Debug, Clone)]
pub enum Message {
    /// The connection is there: this is all that waits and what ended lately.
    Connected(Vec<HoldView>),
    /// A hold is new or has changed.
    Hold(Box<HoldView>),
    /// The proxy is alive.
    Alive,
    /// The connection is lost; it is being tried again.
    Lost(String),
    /// The sessions, as JSON.
    Sessions(Vec<serde_json::Value>),
    /// What was counted, as JSON.
    Statistics(serde_json::Value),
    /// The log.
    Audit(Box<LogView>),
    /// What became of a decision.
    Decided(HoldId, Result<Box<HoldView>, ErrorBody>),
    /// A sample of rows.
    Sample(HoldId, Result<Vec<Examined<Sample>>, String>),
    /// An exact count.
    Count(HoldId, Result<Vec<Examined<u64>>, String>),
    /// Who is in the way.
    Blockers(HoldId, Result<Blockers, String>),
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Approve.
    Approve(HoldId, ApproveBody),
    /// Deny.
    Deny(HoldId, DenyBody),
    /// Ask for a sample of rows.
    Sample(HoldId),
    /// Have the rows counted.
    Count(HoldId),
    /// Ask who is in the way.
    Blockers(HoldId),
    /// Verify the log.
    Verify,
    /// Ask for what this tab shows, now and then.
    Watch(Tab),
    /// Put this into the terminal's clipboard.
    Copy(String),
    /// Ring.
    Bell,
    /// Have the desktop say so.
    Notify(Alert),
    /// End.
    Quit,
}

/// What the last picture showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The hold whose statement was on the screen up to its end.
    pub(super) statement_end: Option<HoldKey>,
    /// Whether a dialog was.
    pub(super) dialog: bool,
    /// How many rows of lists and documents were made for it.
    pub rows: usize,
}

/// A page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tab {
    /// What waits.
    Queue,
    /// Sessions and figures.
    Live,
    /// What ended.
    History,
    /// The log.
    Audit,
}

impl Tab {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Queue, Self::Live, Self::History, Self::Audit];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Queue => "Queue",
            Self::Live => "Live",
            Self::History => "History",
            Self::Audit => "Audit",
        }
    }
}

/// Where keys go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    List,
    Detail,
}

/// How the connection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    Connecting,
    Up,
    /// Why, and when we last heard something.
    Lost {
        why: String,
        heard: Option<Moment>,
    },
}

/// What somebody may choose at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// What things look like.
    pub theme: Theme,
    /// Whether a new hold rings.
    pub bell: Bell,
    /// Whether the desktop is told of a new hold, and how.
    pub notify: Option<Notify>,
}

/// How a terminal is asked to have the desktop show something. There is no way that all of them know, and some know
/// both and would show it twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// `OSC 9`: iTerm2, Windows Terminal, `WezTerm`, kitty, Ghostty.
    Osc9,
    /// `OSC 777`: urxvt, foot, Ghostty, VTE as some distributions build it.
    Osc777,
}

/// What the desktop is told: numbers and words of ours, nothing that others wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alert {
    /// The terminal's way.
    pub way: Notify,
    /// How many holds wait.
    pub waiting: usize,
    /// The highest risk among them.
    pub worst: Level,
}

impl Alert {
    /// What is written to the terminal.
    #[must_use]
    pub fn escape_sequence(&self) -> String {
        let (waiting, worst) = (self.waiting, risk_word(self.worst));
        let waits = if waiting == 1 { "statement waits" } else { "statements wait" };
        let text = format!("{waiting} {waits} for approval, highest risk: {worst}");
        match self.way {
            Notify::Osc9 => format!("\x1b]9;pgsluice: {text}\x07"),
            Notify::Osc777 => format!("\x1b]777;notify;pgsluice;{text}\x07"),
        }
    }
}

/// Whether a new hold rings the terminal's bell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bell {
    /// No.
    #[default]
    Silent,
    /// Yes.
    Rings,
}

/// The document of the selected hold, wrapped.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) key: HoldKey,
    pub(super) document: Document,
    pub(super) rows: Vec<Row>,
    /// The row with the end of the statement; `None` where not all of it is shown.
    pub(super) statement_end: Option<usize>,
    made_of: MadeOf,
}

impl Page {
    /// Whether the statement is too long to be shown whole, so that it cannot be approved here.
    pub(super) fn is_too_long(&self) -> bool {
        self.statement_end.is_none()
    }
}

#[derive(Debug, PartialEq)]
struct MadeOf {
    view: std::sync::Arc<HoldView>,
    looks: Looks,
    similar: Vec<HoldKey>,
    width: u16,
}

/// The program.
#[derive(Debug)]
pub struct State {
    pub(super) options: Options,
    pub(super) now: Moment,
    pub(super) size: Size,
    pub(super) tab: Tab,
    pub(super) focus: Focus,
    pub(super) link: Link,
    heard: Option<Moment>,
    pub(super) holds: Holds,
    pub(super) queue_cursor: Cursor,
    pub(super) history_cursor: Cursor,
    pub(super) sessions: Vec<Session>,
    pub(super) sessions_top: usize,
    pub(super) statistics: Option<Statistics>,
    pub(super) per_second: Option<f64>,
    counted: Option<(Moment, u64)>,
    pub(super) audit: Option<LogView>,
    pub(super) verification_asked: bool,
    pub(super) filters: HashMap<Tab, TextField>,
    pub(super) filtering: bool,
    pub(super) help: bool,
    pub(super) dialog: Option<Dialog>,
    pub(super) note: Option<(String, Role, Duration)>,
    looks: HashMap<HoldKey, Looks>,
    seen: HashSet<HoldKey>,
    pub(super) page: Option<Page>,
    pub(super) scroll: usize,
    commands: Vec<Command>,
}

impl State {
    /// The program at its start.
    #[must_use]
    pub fn new(options: Options, size: Size, now: Moment) -> Self {
        Self {
            options,
            now,
            size,
            tab: Tab::Queue,
            focus: Focus::List,
            link: Link::Connecting,
            heard: None,
            holds: Holds::default(),
            queue_cursor: Cursor::default(),
            history_cursor: Cursor::default(),
            sessions: Vec::new(),
            sessions_top: 0,
            statistics: None,
            per_second: None,
            counted: None,
            audit: None,
            verification_asked: false,
            filters: HashMap::new(),
            filtering: false,
            help: false,
            dialog: None,
            note: None,
            looks: HashMap::new(),
            seen: HashSet::new(),
            page: None,
            scroll: 0,
            commands: Vec::new(),
        }
    }

    /// Takes what happened.
    pub fn update(&mut self, event: Event, now: Moment) -> Vec<Command> {
        self.now = now;
        match event {
            Event::Key(key) => self.key(key),
            Event::Paste(text) => self.paste(&text),
            Event::Resize(size) => self.size = size,
            Event::Tick => self.tick(),
            Event::Link(message) => self.message(message),
            Event::Shown(shown) => self.shown(&shown),
        }
        self.settle();
        std::mem::take(&mut self.commands)
    }

    /// When the picture changes by itself, if nothing else happens; `None`: not at all.
    #[must_use]
    pub fn next_change(&self) -> Option<Duration> {
        let arming = self.dialog.as_ref().and_then(|dialog| dialog.shown).map(|shown| shown + super::dialog::ARMING);
        let arming = arming.filter(|armed| *armed > self.now.running);
        let note = self.note.as_ref().map(|(_, _, until)| *until);
        let counts = matches!(self.link, Link::Lost { .. })
            || matches!(self.tab, Tab::Queue) && self.holds.pending(self.now.at) > 0;
        let second = counts.then(|| self.now.running + Duration::from_secs(1));
        [arming, note, second].into_iter().flatten().min()
    }

    // Reading

    pub(super) fn theme(&self) -> &Theme {
        &self.options.theme
    }

    pub(super) fn areas(&self) -> Option<Areas> {
        layout::areas(self.size, self.banners().len(), self.focus)
    }

    pub(super) fn filter(&self) -> String {
        self.filters.get(&self.tab).map(|field| field.text.to_lowercase()).unwrap_or_default()
    }

    /// The entries of the tab, if it lists holds.
    pub(super) fn entries(&self) -> Vec<&Entry> {
        match self.tab {
            Tab::Queue => self.holds.queue(&self.filter()),
            Tab::History => self.holds.history(&self.filter()),
            Tab::Live | Tab::Audit => Vec::new(),
        }
    }

    pub(super) fn cursor(&self) -> &Cursor {
        if self.tab == Tab::History { &self.history_cursor } else { &self.queue_cursor }
    }

    pub(super) fn selected(&self) -> Option<&Entry> {
        match self.tab {
            Tab::Queue | Tab::History => self.cursor().key.as_ref().and_then(|key| self.holds.find(key)),
            Tab::Live | Tab::Audit => None,
        }
    }

    /// Sentences that stand over everything, each with how it looks.
    pub(super) fn banners(&self) -> Vec<(Role, String)> {
        let mut banners = Vec::new();
        if let Link::Lost { why, heard } = &self.link {
            let age = match heard {
                Some(heard) => format!(
                    "what is shown is {} old, from {}",
                    seconds(self.now.running.saturating_sub(heard.running)),
                    heard.at.strftime("%H:%M:%S UTC")
                ),
                None => "nothing was heard yet".to_owned(),
            };
            banners.push((Role::Danger, format!("NOT CONNECTED: {age}; nothing can be decided. {why}")));
        }
        if let Some(audit) = &self.audit {
            if let Some(failed) = &audit.failed {
                banners.push((Role::Danger, format!("THE AUDIT LOG CANNOT BE WRITTEN: {failed}")));
            }
            let broken = audit.verification.as_ref().and_then(|last| last.error.as_ref());
            if let Some(error) = broken.or(audit.checkpoint_error.as_ref()) {
                banners.push((Role::Danger, format!("THE AUDIT LOG DOES NOT VERIFY: {error}")));
            }
        }
        banners
    }

    /// Whether decisions can be made at all.
    pub(super) fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    /// Whether the end of a hold's statement has been on the screen.
    pub(super) fn has_seen(&self, key: &HoldKey) -> bool {
        self.seen.contains(key)
    }

    /// How many holds keep what was asked about them.
    #[cfg(test)]
    pub(super) fn looks_kept(&self) -> usize {
        self.looks.len()
    }

    // What happens

    fn tick(&mut self) {
        if self.note.as_ref().is_some_and(|(_, _, until)| *until <= self.now.running) {
            self.note = None;
        }
        let silent = self.heard.is_some_and(|heard| self.now.running.saturating_sub(heard.running) > DATA_OLD_AFTER);
        if self.is_up() && silent {
            self.lost("the proxy says nothing".to_owned());
        }
    }

    fn shown(&mut self, shown: &Shown) {
        if let Some(key) = &shown.statement_end {
            self.seen.insert(key.clone());
        }
        if shown.dialog
            && let Some(dialog) = &mut self.dialog
            && dialog.shown.is_none()
        {
            dialog.shown = Some(self.now.running);
        }
    }

    fn message(&mut self, message: Message) {
        if !matches!(message, Message::Lost(_)) {
            self.heard = Some(self.now);
        }
        match message {
            Message::Connected(views) => {
                self.link = Link::Up;
                let new = self.holds.take_all(views);
                self.ring(new);
                self.commands.push(Command::Watch(self.tab));
                self.look_at_dialog();
            }
            Message::Hold(view) => {
                let change = self.holds.take(*view);
                self.ring(usize::from(change == Change::New));
                self.holds.tidy_if_crowded(self.queue_cursor.key.as_ref());
                self.look_at_dialog();
            }
            Message::Alive => {}
            Message::Lost(why) => self.lost(why),
            Message::Sessions(sessions) => {
                let read = |value| serde_json::from_value(value).unwrap_or_default();
                self.sessions = sessions.into_iter().map(read).collect();
            }
            Message::Statistics(value) => self.statistics(value),
            Message::Audit(view) => {
                self.verification_asked &=
                    view.verification == self.audit.as_ref().and_then(|old| old.verification.clone());
                self.audit = Some(*view);
            }
            Message::Decided(id, result) => self.decided(&id, result),
            Message::Sample(id, result) => {
                let look = result.map_or_else(Look::Failed, Look::Found);
                self.look(&id, |looks| looks.sample = look);
            }
            Message::Count(id, result) => {
                let look = result.map_or_else(Look::Failed, Look::Found);
                self.look(&id, |looks| looks.count = look);
            }
            Message::Blockers(id, result) => {
                let look = result.map_or_else(Look::Failed, Look::Found);
                self.look(&id, |looks| looks.blockers = look);
            }
        }
    }

    fn lost(&mut self, why: String) {
        if let Link::Lost { why: old, .. } = &mut self.link {
            *old = why;
            return;
        }
        self.link = Link::Lost { why, heard: self.heard };
        // Its answer will not come; whether the decision was taken, the proxy tells when it is there again.
        if let Some(dialog) = &mut self.dialog
            && dialog.progress == Progress::Sent
        {
            dialog.progress =
                Progress::Over("the connection was lost: whether this was decided is not known".to_owned());
        }
    }

    fn statistics(&mut self, value: serde_json::Value) {
        let statistics: Statistics = serde_json::from_value(value).unwrap_or_default();
        let sum = statistics.statements.and_then(|statements| statements.sum());
        self.per_second = match (self.counted, sum) {
            (Some((then, before)), Some(sum)) if sum >= before => {
                let seconds = self.now.running.saturating_sub(then.running).as_secs_f64();
                (seconds > 0.0).then(|| (sum - before) as f64 / seconds)
            }
            _ => None,
        };
        self.counted = sum.map(|sum| (self.now, sum));
        self.statistics = Some(statistics);
    }

    fn ring(&mut self, new: usize) {
        if new == 0 {
            return;
        }
        if self.options.bell == Bell::Rings {
            self.commands.push(Command::Bell);
        }
        if let Some(way) = self.options.notify {
            let (waiting, worst) = (self.holds.pending(self.now.at), self.holds.worst(self.now.at));
            self.commands.push(Command::Notify(Alert { way, waiting, worst }));
        }
    }

    fn look(&mut self, id: &HoldId, change: impl FnOnce(&mut Looks)) {
        let key = self.looks.keys().find(|key| key.id == *id).cloned();
        if let Some(looks) = key.and_then(|key| self.looks.get_mut(&key)) {
            change(looks);
        }
    }

    /// Tells an open dialog what has become of its hold.
    fn look_at_dialog(&mut self) {
        if let Some(dialog) = &mut self.dialog
            && let Some(entry) = self.holds.find(&dialog.key)
        {
            dialog.hold_changed(&entry.view);
        }
    }

    fn decided(&mut self, id: &HoldId, result: Result<Box<HoldView>, ErrorBody>) {
        let concerns =
            self.dialog.as_ref().is_some_and(|dialog| dialog.hold.id == *id && dialog.progress == Progress::Sent);
        match result {
            Ok(view) => {
                let text = match view.state {
                    HoldState::Approved => format!("{id} is approved: the statement runs now"),
                    HoldState::Pending => format!(
                        "{id} is approved by you and waits for {} more",
                        (view.needs as usize).saturating_sub(view.approvals.len())
                    ),
                    state => format!("{id} is {}: the statement does not run", state.as_str()),
                };
                self.holds.take(*view);
                if concerns {
                    self.dialog = None;
                }
                self.tell(Role::Safe, text);
            }
            Err(error) => {
                let over = matches!(
                    error.code.as_str(),
                    "approved" | "denied" | "expired" | "withdrawn" | "failed" | "changed" | "unknown_hold"
                );
                let said = match error.hint {
                    Some(hint) if !over => format!("{} ({hint})", error.error),
                    _ => error.error,
                };
                match self.dialog.as_mut().filter(|_| concerns) {
                    Some(dialog) if over => dialog.progress = Progress::Over(said),
                    Some(dialog) => dialog.progress = Progress::Refused(said),
                    None => self.tell(Role::Caution, said),
                }
            }
        }
    }

    fn tell(&mut self, role: Role, text: impl Into<String>) {
        self.note = Some((text.into(), role, self.now.running + NOTE_TIME));
    }

    // Keys

    fn key(&mut self, key: KeyEvent) {
        if key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL) {
            self.commands.push(Command::Quit);
        } else if self.dialog.is_some() {
            self.dialog_key(key);
        } else if self.filtering {
            self.filter_key(key);
        } else if self.help {
            self.help = false;
        } else {
            self.page_key(key);
        }
    }

    fn paste(&mut self, text: &str) {
        if let Some(dialog) = &mut self.dialog {
            dialog.paste(text, self.now.running);
        } else if self.filtering {
            self.filters.entry(self.tab).or_default().paste(text, FILTER_MAX);
        }
    }

    fn dialog_key(&mut self, key: KeyEvent) {
        let up = self.is_up() && self.areas().is_some();
        let Some(dialog) = &mut self.dialog else { return };
        if !up && key.code != KeyCode::Esc {
            return;
        }
        let id = dialog.hold.id.clone();
        match dialog.key(key, self.now.running) {
            Outcome::Stay => {}
            Outcome::Close => {
                let sent = dialog.progress == Progress::Sent;
                self.dialog = None;
                if !sent {
                    self.tell(Role::Plain, format!("closed: nothing was decided on {id} here"));
                }
            }
            Outcome::Approve(body) => self.commands.push(Command::Approve(id, body)),
            Outcome::Deny(body) => self.commands.push(Command::Deny(id, body)),
        }
    }

    fn filter_key(&mut self, key: KeyEvent) {
        match key.code {
            KeyCode::Enter => self.filtering = false,
            KeyCode::Esc => {
                self.filtering = false;
                self.filters.remove(&self.tab);
            }
            _ => {
                self.filters.entry(self.tab).or_default().key(key, FILTER_MAX);
            }
        }
    }

    /// Keys where no text is typed. None with a modifier does anything: no shifted key is more powerful.
    fn page_key(&mut self, key: KeyEvent) {
        // `?` is a shifted key on most keyboards, and only shows help.
        let plain = key.modifiers.difference(KeyModifiers::SHIFT).is_empty();
        if !plain {
            return;
        }
        match key.code {
            KeyCode::Char('q') => self.commands.push(Command::Quit),
            KeyCode::Char('?') => self.help = true,
            KeyCode::Char('/') => self.filtering = self.tab != Tab::Audit,
            KeyCode::Char(digit @ '1'..='4') => self.switch(Tab::ALL[digit as usize - '1' as usize]),
            KeyCode::Tab => self.switch(self.tab_at(1)),
            KeyCode::BackTab => self.switch(self.tab_at(Tab::ALL.len() - 1)),
            KeyCode::Char('j') | KeyCode::Down => self.step(Step::Down),
            KeyCode::Char('k') | KeyCode::Up => self.step(Step::Up),
            KeyCode::Home => self.step(Step::First),
            KeyCode::End => self.step(Step::Last),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll_page(1),
            KeyCode::PageUp => self.scroll_page(-1),
            KeyCode::Enter | KeyCode::Right => self.focus_on_detail(),
            KeyCode::Esc | KeyCode::Left => self.leave(),
            KeyCode::Char('a') => self.open(Kind::Approve),
            KeyCode::Char('d') => self.open(Kind::Deny),
            KeyCode::Char('s') => self.ask_about(Command::Sample),
            KeyCode::Char('c') => self.ask_about(Command::Count),
            KeyCode::Char('w') => self.ask_about(Command::Blockers),
            KeyCode::Char('y') => self.copy(),
            KeyCode::Char('v') => self.verify(),
            _ => {}
        }
    }

    fn tab_at(&self, offset: usize) -> Tab {
        let at = Tab::ALL.iter().position(|tab| *tab == self.tab).unwrap_or(0);
        Tab::ALL[(at + offset) % Tab::ALL.len()]
    }

    fn switch(&mut self, tab: Tab) {
        if tab != self.tab {
            self.tab = tab;
            self.focus = Focus::List;
            self.scroll = 0;
            self.commands.push(Command::Watch(tab));
        }
    }

    fn step(&mut self, step: Step) {
        match (self.tab, self.focus) {
            (Tab::Live, _) => {
                let last = self.sessions.len().saturating_sub(1);
                self.sessions_top = match step {
                    Step::Up => self.sessions_top.saturating_sub(1),
                    Step::Down => (self.sessions_top + 1).min(last),
                    Step::First => 0,
                    Step::Last => last,
                };
            }
            (Tab::Audit, _) => {}
            (_, Focus::Detail) => {
                self.scroll = match step {
                    Step::Up => self.scroll.saturating_sub(1),
                    Step::Down => self.scroll + 1,
                    Step::First => 0,
                    Step::Last => usize::MAX,
                };
            }
            (_, Focus::List) => self.move_cursor(step),
        }
    }

    fn move_cursor(&mut self, step: Step) {
        let Some(areas) = self.areas() else { return };
        let height = usize::from(areas.list_rows());
        let mut cursor = self.cursor().clone();
        if self.tab == Tab::Queue {
            self.holds.tidy(cursor.key.as_ref());
        }
        cursor.step(&self.entries(), height, step);
        if cursor.key != self.cursor().key {
            self.scroll = 0;
        }
        match self.tab {
            Tab::History => self.history_cursor = cursor,
            _ => self.queue_cursor = cursor,
        }
    }

    fn scroll_page(&mut self, by: isize) {
        let Some(areas) = self.areas() else { return };
        if self.tab == Tab::Live {
            let height = isize::from(i16::try_from(areas.body.height).unwrap_or(i16::MAX)) / 2;
            let last = self.sessions.len().saturating_sub(1);
            self.sessions_top = self.sessions_top.saturating_add_signed(by * height.max(1)).min(last);
            return;
        }
        // One row stays, for the eye.
        let height = isize::try_from(areas.detail_rows()).unwrap_or(1).saturating_sub(1).max(1);
        self.scroll = self.scroll.saturating_add_signed(by.saturating_mul(height));
    }

    fn focus_on_detail(&mut self) {
        if self.selected().is_some() {
            self.focus = Focus::Detail;
        } else if self.focus == Focus::List {
            self.step(Step::Down);
        }
    }

    fn leave(&mut self) {
        if self.focus == Focus::Detail {
            self.focus = Focus::List;
        } else {
            self.filters.remove(&self.tab);
        }
    }

    fn open(&mut self, kind: Kind) {
        if self.tab != Tab::Queue || self.areas().is_none() {
            return;
        }
        let why_not = match self.selected() {
            None => Some("nothing is selected: j or the down arrow selects".to_owned()),
            Some(_) if !self.is_up() => Some("not connected: nothing can be decided".to_owned()),
            Some(entry) if entry.view.state != HoldState::Pending => Some(ended(&entry.view)),
            Some(entry) if !entry.is_pending(self.now.at) => Some("its time is up".to_owned()),
            Some(_) if kind == Kind::Deny => None,
            Some(entry) if entry.view.radius_pending => {
                Some("what it would touch is still being computed: a moment".to_owned())
            }
            Some(entry) if !self.has_seen(&entry.key) => Some(match &self.page {
                Some(page) if page.is_too_long() => {
                    "too long to be judged here: what to type in a shell stands above the statement".to_owned()
                }
                _ => "read the statement to its end first: space or PgDn".to_owned(),
            }),
            Some(_) => None,
        };
        match (why_not, self.selected()) {
            (Some(why), _) => self.tell(Role::Caution, why),
            (None, Some(entry)) => self.dialog = Some(Dialog::open(kind, std::sync::Arc::clone(&entry.view))),
            (None, None) => {}
        }
    }

    fn ask_about(&mut self, command: fn(HoldId) -> Command) {
        let Some(entry) = self.selected().filter(|_| self.tab == Tab::Queue) else { return };
        let (key, pending) = (entry.key.clone(), entry.is_pending(self.now.at));
        if !self.is_up() || !pending {
            self.tell(Role::Caution, "nothing can be asked about it any more");
            return;
        }
        if self.looks.len() >= LOOKS_MAX && !self.looks.contains_key(&key) {
            self.looks.clear();
        }
        let looks = self.looks.entry(key.clone()).or_default();
        let command = command(key.id);
        let already = match command {
            Command::Sample(_) => std::mem::replace(&mut looks.sample, Look::Asked) == Look::Asked,
            Command::Blockers(_) => std::mem::replace(&mut looks.blockers, Look::Asked) == Look::Asked,
            _ => std::mem::replace(&mut looks.count, Look::Asked) == Look::Asked,
        };
        if !already {
            self.commands.push(command);
            self.tell(Role::Plain, "asked; the answer stands below the statement and what it would touch");
        }
    }

    fn copy(&mut self) {
        if let Some(entry) = self.selected() {
            let id = entry.view.id.to_string();
            self.tell(Role::Plain, format!("{id} is copied, where the terminal allows it"));
            self.commands.push(Command::Copy(id));
        }
    }

    fn verify(&mut self) {
        if self.tab == Tab::Audit && self.is_up() && !self.verification_asked {
            self.verification_asked = true;
            self.commands.push(Command::Verify);
        }
    }

    // Afterwards

    /// Makes what the next picture needs: once a change, not once a picture.
    fn settle(&mut self) {
        let present: HashSet<HoldKey> =
            self.seen.iter().filter(|key| self.holds.find(key).is_some()).cloned().collect();
        if present.len() < self.seen.len() {
            self.seen = present;
        }
        let page = self.areas().zip(self.selected()).and_then(|(areas, entry)| self.page_of(entry, areas.detail.width));
        match page {
            Some(Made::Same) => {}
            Some(Made::New(page)) => self.page = Some(*page),
            None => self.page = None,
        }
        let rows = self.page.as_ref().map_or(0, |page| page.rows.len());
        let height = self.areas().map_or(0, |areas| areas.detail_rows());
        self.scroll = self.scroll.min(rows.saturating_sub(height));
    }

    fn page_of(&self, entry: &Entry, width: u16) -> Option<Made> {
        let looks = self.looks.get(&entry.key).cloned().unwrap_or_default();
        let similar = self.holds.similar(entry);
        let made_of = MadeOf {
            view: std::sync::Arc::clone(&entry.view),
            similar: similar.iter().map(|entry| entry.key.clone()).collect(),
            looks,
            width,
        };
        if self.page.as_ref().is_some_and(|page| page.key == entry.key && page.made_of.is(&made_of)) {
            return Some(Made::Same);
        }
        let Detail { document, statement_end } = detail(entry, &made_of.looks, &similar, self.theme());
        let rows = document.rows(width);
        let statement_end = statement_end.and_then(|line| Document::last_row_of(&rows, line));
        Some(Made::New(Box::new(Page { key: entry.key.clone(), document, rows, statement_end, made_of })))
    }
}

enum Made {
    Same,
    New(Box<Page>),
}

impl MadeOf {
    fn is(&self, other: &Self) -> bool {
        std::sync::Arc::ptr_eq(&self.view, &other.view)
            && self.width == other.width
            && self.looks == other.looks
            && self.similar == other.similar
    }
}

/// `12 s`, `3 min 5 s`.
pub(super) fn seconds(duration: Duration) -> String {
    match (duration.as_secs() / 60, duration.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}
