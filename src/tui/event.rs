//! What goes into the program and what comes out of it.

use std::time::Duration;

use jiff::Timestamp;
use ratatui::crossterm::event::KeyEvent;
use ratatui::layout::Size;

use super::dialog::Field;
use super::holds::HoldKey;
use super::theme::{Theme, risk_word};
use crate::audit::LogView;
use crate::blast::Blockers;
use crate::catalog::examine::{Examined, Sample};
use crate::control::api::{ApproveBody, DenyBody, ErrorBody};
use crate::gate::{HoldId, HoldView};
use crate::sql::risk::Level;

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
    /// The line of a dialog that had the focus, where there was a dialog.
    pub(super) dialog: Option<Field>,
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
