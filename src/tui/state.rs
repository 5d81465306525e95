//! The whole of the program as a value: what happens goes in as an [`Event`], what is to be done comes out as
//! [`Command`]s. No terminal, no socket, no clock.

mod keys;
mod page;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use ratatui::layout::Size;

use super::detail::{Look, Looks};
use super::dialog::{Dialog, Progress, TextField};
use super::event::{Alert, Bell, Command, Event, Message, Moment, Options, Shown, Tab};
use super::figures::{Session, Statistics};
use super::holds::{Change, Cursor, Entry, HoldKey, Holds};
use super::layout::{self, Areas};
use super::theme::{Role, Theme};
use crate::audit::LogView;
use crate::control::api::ErrorBody;
use crate::gate::facts::approved;
use crate::gate::{HoldId, HoldState, HoldView};
pub(super) use page::Page;

/// How long a message stands at the bottom.
const NOTE_TIME: Duration = Duration::from_secs(8);
/// How many holds keep what was asked about their rows.
const LOOKS_MAX: usize = 32;
/// How long a filter may be, in characters.
const FILTER_MAX: usize = 60;
/// How long the proxy may say nothing.
const DATA_OLD_AFTER: Duration = Duration::from_secs(45);

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

/// The program.
#[derive(Debug)]
pub struct State {
    pub(super) options: Options,
    /// The flags that name the proxy to other commands.
    proxy: String,
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
            proxy: String::new(),
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

    /// The same at a proxy that has to be named to other commands, with these flags.
    #[must_use]
    pub fn at(self, proxy: String) -> Self {
        Self { proxy, ..self }
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
        let arming = self.dialog.as_ref().and_then(Dialog::arms_at);
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
            // What the filter hides is not selected: nobody sees what a key would do to it.
            Tab::Queue | Tab::History => {
                let entry = self.cursor().key.as_ref().and_then(|key| self.holds.find(key));
                entry.filter(|entry| entry.matches(&self.filter()))
            }
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
        if let (Some(field), Some(dialog)) = (shown.dialog, &mut self.dialog) {
            dialog.was_shown(field, self.now.running);
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
                    HoldState::Approved => approved(&view, self.now.at),
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
}

/// `12 s`, `3 min 5 s`.
pub(super) fn seconds(duration: Duration) -> String {
    match (duration.as_secs() / 60, duration.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}
