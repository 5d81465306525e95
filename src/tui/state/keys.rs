//! What each key does, wherever it goes.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{FILTER_MAX, Focus, LOOKS_MAX, State};
use crate::gate::{HoldId, HoldState};
use crate::tui::detail::Look;
use crate::tui::dialog::{Dialog, Kind, Outcome, Progress, ended};
use crate::tui::event::{Command, Tab};
use crate::tui::holds::Step;
use crate::tui::theme::Role;

impl State {
    pub(super) fn key(&mut self, key: KeyEvent) {
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

    pub(super) fn paste(&mut self, text: &str) {
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
}
