//! The dialog in which somebody decides. It is bound to one hold as it was shown, and to nothing that comes later.

use std::sync::Arc;
use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::holds::HoldKey;
use crate::control::api::{ApproveBody, DenyBody};
use crate::gate::confirm::Confirmation;
use crate::gate::{HoldState, HoldView};
use crate::text::untrusted::is_deceptive;

/// How long after it is on the screen a dialog takes no keys, and the confirming line after it got the focus. A terminal
/// that does not say what was pasted sends it as keys: its line ends lead to that line, and what comes behind them must
/// not confirm.
pub(super) const ARMING: Duration = Duration::from_millis(500);
/// The key that confirms. It opens nothing.
pub(super) const CONFIRM: char = 'y';
/// How long a reason may be, in characters.
const REASON_MAX: usize = 500;
/// Digits of a number of rows.
const ROWS_MAX: usize = 18;

/// What is being decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Approve,
    Deny,
}

/// How far a decision is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Progress {
    /// It can be made.
    Open,
    /// It is on its way.
    Sent,
    /// The proxy did not take it. It can be made again.
    Refused(String),
    /// It cannot be made any more: the hold has ended, or is not what was shown.
    Over(String),
}

/// A part of the dialog that keys go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// At most so many rows.
    Rows,
    /// Why.
    Reason,
    /// The name that has to be typed.
    Name,
    /// The confirming key.
    Confirm,
}

/// A line of text that somebody types.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TextField {
    pub(super) text: String,
}

impl TextField {
    /// Takes a key; false where it is none for a text.
    pub(super) fn key(&mut self, key: KeyEvent, most: usize) -> bool {
        match key.code {
            KeyCode::Backspace => {
                self.text.pop();
            }
            KeyCode::Char('u') if key.modifiers.contains(KeyModifiers::CONTROL) => self.text.clear(),
            KeyCode::Char(character) if !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) => {
                self.push(character, most);
            }
            _ => return false,
        }
        true
    }

    /// Takes pasted text: what is invisible in it is left out, and its lines are joined.
    pub(super) fn paste(&mut self, text: &str, most: usize) {
        for character in text.chars() {
            if character.is_whitespace() {
                self.push(' ', most);
            } else if !is_deceptive(character) {
                self.push(character, most);
            }
        }
    }

    fn push(&mut self, character: char, most: usize) {
        if self.text.chars().count() < most && !is_deceptive(character) {
            self.text.push(character);
        }
    }
}

/// What a key led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing that concerns others.
    Stay,
    /// The dialog is to be closed; nothing is decided.
    Close,
    /// Somebody approves this.
    Approve(ApproveBody),
    /// Somebody denies this.
    Deny(DenyBody),
}

/// An open dialog.
#[derive(Debug, Clone)]
pub(super) struct Dialog {
    pub(super) kind: Kind,
    /// What is decided, as it was shown.
    pub(super) hold: Arc<HoldView>,
    pub(super) key: HoldKey,
    pub(super) field: Field,
    pub(super) rows: TextField,
    pub(super) reason: TextField,
    pub(super) name: TextField,
    pub(super) progress: Progress,
    /// What has to be typed, where a key is too little.
    pub(super) confirmation: Confirmation,
    /// Since when it is on the screen; `None`: it is not yet.
    shown: Option<Duration>,
    /// Since when the confirming line is on the screen with the focus; `None`: it is not.
    confirming: Option<Duration>,
}

impl Dialog {
    /// Opens a dialog on a hold as it is shown now.
    pub(super) fn open(kind: Kind, hold: Arc<HoldView>) -> Self {
        let confirmation = match kind {
            Kind::Approve => hold.confirmation(),
            Kind::Deny => Confirmation::Yes,
        };
        Self {
            kind,
            key: HoldKey::of(&hold),
            hold,
            field: Field::Reason,
            rows: TextField::default(),
            reason: TextField::default(),
            name: TextField::default(),
            progress: Progress::Open,
            confirmation,
            shown: None,
            confirming: None,
        }
    }

    /// It is on the screen, with the focus there.
    pub(super) fn was_shown(&mut self, field: Field, now: Duration) {
        self.shown.get_or_insert(now);
        if field == Field::Confirm && self.field == Field::Confirm {
            self.confirming.get_or_insert(now);
        }
    }

    /// From when on it takes the keys that it does not take now, as far as that is known.
    pub(super) fn arms_at(&self) -> Option<Duration> {
        self.confirming.or(self.shown).map(|since| since + ARMING)
    }

    /// Whether it takes keys: it has been on the screen for long enough.
    pub(super) fn is_armed(&self, now: Duration) -> bool {
        is_over(self.shown, now)
    }

    /// Whether the line with the focus takes keys.
    pub(super) fn takes_keys(&self, now: Duration) -> bool {
        self.is_armed(now) && (self.field != Field::Confirm || is_over(self.confirming, now))
    }

    /// The fields in order.
    pub(super) fn fields(&self) -> &'static [Field] {
        match (self.kind, &self.confirmation) {
            (Kind::Deny, _) => &[Field::Reason, Field::Confirm],
            (Kind::Approve, Confirmation::Yes) => &[Field::Rows, Field::Reason, Field::Confirm],
            (Kind::Approve, Confirmation::Name { .. }) => &[Field::Rows, Field::Reason, Field::Name, Field::Confirm],
        }
    }

    /// What is still missing before the confirming key counts.
    pub(super) fn missing(&self) -> Option<&'static str> {
        match &self.progress {
            Progress::Sent => return Some("it is on its way"),
            Progress::Over(_) => return Some("nothing can be decided here any more"),
            Progress::Open | Progress::Refused(_) => {}
        }
        if self.reason.text.trim().is_empty() {
            return Some("say why first");
        }
        if self.max_rows().is_err() {
            return Some("the number of rows is none");
        }
        if self.asked_name().is_some() && !self.confirmation.accepts(&self.name.text) {
            return Some("type the name first");
        }
        None
    }

    /// What has to be typed; `None` where a key is enough.
    pub(super) fn asked_name(&self) -> Option<&str> {
        match &self.confirmation {
            Confirmation::Yes => None,
            Confirmation::Name { name, .. } => Some(name),
        }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent, now: Duration) -> Outcome {
        if key.code == KeyCode::Esc {
            return Outcome::Close;
        }
        // What was typed before this could be read was not meant for it.
        if !self.takes_keys(now) {
            return Outcome::Stay;
        }
        match key.code {
            KeyCode::Tab | KeyCode::Down | KeyCode::Enter => self.move_field(1),
            KeyCode::BackTab | KeyCode::Up => self.move_field(-1),
            _ => return self.field_key(key),
        }
        Outcome::Stay
    }

    fn field_key(&mut self, key: KeyEvent) -> Outcome {
        match self.field {
            Field::Rows => {
                if !matches!(key.code, KeyCode::Char(character) if !character.is_ascii_digit()) {
                    self.rows.key(key, ROWS_MAX);
                }
                Outcome::Stay
            }
            Field::Reason => {
                self.reason.key(key, REASON_MAX);
                Outcome::Stay
            }
            Field::Name => {
                self.name.key(key, REASON_MAX);
                Outcome::Stay
            }
            Field::Confirm if key.code == KeyCode::Char(CONFIRM) && key.modifiers.is_empty() => self.confirm(),
            Field::Confirm => Outcome::Stay,
        }
    }

    fn confirm(&mut self) -> Outcome {
        let Ok(max_rows) = self.max_rows() else { return Outcome::Stay };
        if self.missing().is_some() {
            return Outcome::Stay;
        }
        self.progress = Progress::Sent;
        let reason = Some(self.reason.text.trim().to_owned()).filter(|reason| !reason.is_empty());
        let digest = Some(self.hold.digest.clone());
        match self.kind {
            Kind::Approve => Outcome::Approve(ApproveBody { reason, max_rows, digest }),
            Kind::Deny => Outcome::Deny(DenyBody { reason, digest }),
        }
    }

    /// Takes pasted text: only into the reason. A name has to be typed.
    pub(super) fn paste(&mut self, text: &str, now: Duration) {
        if self.is_armed(now) && self.field == Field::Reason {
            self.reason.paste(text, REASON_MAX);
        }
    }

    fn move_field(&mut self, by: isize) {
        let fields = self.fields();
        let at = fields.iter().position(|field| *field == self.field).unwrap_or(0);
        let next = at.saturating_add_signed(by).min(fields.len() - 1);
        let next = fields.get(next).copied().unwrap_or(Field::Confirm);
        if next != self.field {
            self.field = next;
            self.confirming = None;
        }
    }

    fn max_rows(&self) -> Result<Option<u64>, ()> {
        match self.rows.text.as_str() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(drop),
        }
    }

    /// The hold is not as it was when the dialog was opened.
    pub(super) fn hold_changed(&mut self, now: &HoldView) {
        // What becomes of our own decision, its answer tells.
        if self.progress == Progress::Sent {
            return;
        }
        if now.state != HoldState::Pending {
            self.progress = Progress::Over(ended(now));
        } else if now.digest != self.hold.digest {
            self.progress =
                Progress::Over("it is not what you looked at any more: close this and look again".to_owned());
        }
    }
}

fn is_over(since: Option<Duration>, now: Duration) -> bool {
    since.is_some_and(|since| now.saturating_sub(since) >= ARMING)
}

/// How a hold ended, in words: *already decided by bob*.
pub(super) fn ended(hold: &HoldView) -> String {
    let state = hold.state.as_str();
    match hold.ended.as_ref().and_then(|ended| ended.by.as_deref()) {
        Some(by) if matches!(hold.state, HoldState::Approved | HoldState::Denied) => {
            format!("already decided by {by}: {state}")
        }
        Some(by) => format!("it does not wait any more: {state} by {by}"),
        None => format!("it does not wait any more: {state}"),
    }
}
