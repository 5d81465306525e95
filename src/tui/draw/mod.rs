//! The picture of a [`State`]. Pure: the same state and size give the same cells, and no more rows are made than there
//! are on the screen.

mod dialog;
mod pages;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::document::{Cells, Document, Margin, columns_of};
use super::event::{Shown, Tab};
use super::holds::Entry;
use super::layout::{Areas, SMALLEST};
use super::state::{Focus, Link, Page, State};
use super::theme::{Role, risk_role, risk_word};
use crate::gate::{HoldState, Wait};

/// Draws everything, and says what is to be seen now.
pub fn draw(state: &State, frame: &mut Frame<'_>) -> Shown {
    let mut picture = Picture { state, buffer: frame.buffer_mut(), shown: Shown::default() };
    picture.all();
    picture.shown
}

struct Picture<'a> {
    state: &'a State,
    buffer: &'a mut Buffer,
    shown: Shown,
}

impl Picture<'_> {
    fn all(&mut self) {
        let Some(areas) = self.state.areas() else {
            let words = format!(
                "This terminal is too small: {}x{} at least. Nothing can be decided.",
                SMALLEST.width, SMALLEST.height
            );
            let mut document = Document::default();
            document.line(Margin::Indent(0)).ours(Role::Strong, &words);
            self.document(self.buffer.area, &document);
            return;
        };
        match self.state.tab {
            Tab::Queue | Tab::History => {
                self.list(&areas);
                self.detail(&areas);
            }
            Tab::Live => self.live(areas.body),
            Tab::Audit => self.audit(areas.body),
        }
        self.tabs(areas.tabs);
        self.bottom(areas.bottom);
        if self.state.help {
            self.help();
        }
        if self.state.dialog.is_some() {
            self.dialog();
        }
        if matches!(self.state.link, Link::Lost { .. }) {
            let area = self.buffer.area;
            self.buffer.set_style(area, self.state.theme().stale());
        }
        self.banners(areas.banners);
    }

    // Parts

    fn line(&mut self, area: Rect, row: u16, spans: Vec<Span<'_>>) {
        if row < area.height {
            self.shown.rows += 1;
            self.buffer.set_line(area.x, area.y + row, &Line::from(spans), area.width);
        }
    }

    fn cells(&self, width: u16) -> Cells {
        Cells::new(*self.state.theme(), width)
    }

    fn style(&self, role: Role) -> ratatui::style::Style {
        self.state.theme().style(role)
    }

    fn tabs(&mut self, area: Rect) {
        let state = self.state;
        let mut spans = vec![Span::styled(" pgsluice ", self.style(Role::Title))];
        for (at, tab) in Tab::ALL.into_iter().enumerate() {
            let count = match tab {
                Tab::Queue => format!(" {}", state.holds.pending(state.now.at)),
                _ => String::new(),
            };
            let role = if tab == state.tab { Role::Selected } else { Role::Plain };
            spans.push(Span::styled(format!(" {} {}{count} ", at + 1, tab.name()), self.style(role)));
            spans.push(Span::raw(" "));
        }
        self.line(area, 0, spans);
        let (role, word) = match state.link {
            Link::Up => (Role::Safe, "connected"),
            Link::Connecting => (Role::Faint, "connecting"),
            Link::Lost { .. } => (Role::Danger, "NOT CONNECTED"),
        };
        // Where there is little room the banner says it alone.
        if area.width < 72 {
            return;
        }
        let width = u16::try_from(word.len()).unwrap_or(0) + 1;
        self.buffer.set_string(area.right().saturating_sub(width), area.y, word, self.state.theme().style(role));
    }

    fn banners(&mut self, area: Rect) {
        for (row, (role, text)) in self.state.banners().into_iter().take(usize::from(area.height)).enumerate() {
            let glyph = self.state.theme().risk_glyph(crate::sql::risk::Level::High);
            let spans = self.cells(area.width).ours(role, &format!(" {glyph} "), 3).rest(role, &text).spans();
            let row = u16::try_from(row).unwrap_or(u16::MAX);
            let style = self.style(role);
            self.line(area, row, spans);
            self.buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, style);
        }
    }

    fn bottom(&mut self, area: Rect) {
        let state = self.state;
        let cells = self.cells(area.width);
        let spans = if state.filtering {
            let filter = state.filters.get(&state.tab).map(|field| field.text.clone()).unwrap_or_default();
            cells.ours(Role::Label, "filter: ", 8).rest(Role::Strong, &format!("{filter}_")).spans()
        } else if let Some((text, role, _)) = &state.note {
            cells.rest(*role, text).spans()
        } else {
            let keys = fitting_keys(state.tab, state.focus, usize::from(area.width));
            cells.rest(Role::Faint, &keys).spans()
        };
        self.line(area, 0, spans);
    }

    // Holds

    fn list(&mut self, areas: &Areas) {
        let state = self.state;
        let entries = state.entries();
        let (area, height) = (areas.list, usize::from(areas.list_rows()));
        let top = state.cursor().top(&entries, height);
        let below = entries.len().saturating_sub(top + height);
        self.list_title(area, entries.len(), top, below);
        let selected = state.cursor().index(&entries);
        for (row, entry) in entries.iter().enumerate().skip(top).take(height) {
            let line = u16::try_from(row - top + 1).unwrap_or(u16::MAX);
            let spans = self.entry(entry, area.width, selected == Some(row));
            self.line(area, line, spans);
            if selected == Some(row) {
                let style = self.style(Role::Selected);
                self.buffer.set_style(Rect { y: area.y + line, height: 1, ..area }, style);
            }
        }
        if entries.is_empty() {
            let words = match (state.tab, state.filter().is_empty()) {
                (_, false) => "nothing matches the filter; Esc clears it",
                (Tab::History, _) => "nothing was decided since the proxy started",
                _ => "nothing waits for approval",
            };
            let spans = self.cells(area.width).ours(Role::Faint, words, words.len()).spans();
            self.line(area, 1, spans);
        }
    }

    fn list_title(&mut self, area: Rect, count: usize, above: usize, below: usize) {
        let state = self.state;
        let glyphs = state.theme().glyphs();
        let mut title = match state.tab {
            Tab::History => format!("Ended lately: {count}, newest first"),
            _ => format!("Waiting: {}, most urgent first", state.holds.pending(state.now.at)),
        };
        if above > 0 {
            title.push_str(&format!("  {} {above} above", glyphs.above));
        }
        if below > 0 {
            title.push_str(&format!("  {} {below} below", glyphs.below));
        }
        let filter = state.filter();
        let mut cells = self.cells(area.width).ours(Role::Title, &title, title.chars().count());
        if !filter.is_empty() {
            cells = cells.ours(Role::Caution, &format!("  filter ({count} shown): "), 24).rest(Role::Caution, &filter);
        }
        self.line(area, 0, cells.spans());
    }

    fn entry(&self, entry: &Entry, width: u16, selected: bool) -> Vec<Span<'static>> {
        let state = self.state;
        let hold = &entry.view;
        let theme = state.theme();
        let role = |role: Role| if selected && role != Role::Danger { Role::Selected } else { role };
        let plain = role(Role::Plain);
        let cells = self.cells(width).ours(plain, if selected { theme.glyphs().cursor } else { " " }, 1);
        let cells = if entry.is_pending(state.now.at) {
            let risk = format!("{} {}", theme.risk_glyph(hold.risk), risk_word(hold.risk));
            let left = time_left(entry.expires, state.now.at);
            let urgent = entry.expires.as_second() - state.now.at.as_second() < 60;
            let left_role = if urgent { Role::Caution } else { Role::Plain };
            cells.ours(role(risk_role(hold.risk)), &risk, 10).ours(plain, " ", 1).ours(role(left_role), &left, 7)
        } else {
            let word = if hold.state == HoldState::Pending { "time is up" } else { hold.state.as_str() };
            let role = match hold.state {
                HoldState::Approved => role(Role::Safe),
                _ => role(Role::Faint),
            };
            cells.ours(role, word, 18)
        };
        let mut cells = cells.ours(plain, " ", 1).ours(plain, &hold.id.to_string(), 7);
        if width >= 76 {
            let rows = hold.radius.as_ref().map_or_else(
                || if hold.radius_pending { "...".to_owned() } else { "?".to_owned() },
                |radius| super::detail::rows_words(radius.rows),
            );
            cells = cells.ours(plain, &rows, 11).theirs(plain, &hold.database, 8).ours(plain, " ", 1);
        }
        let who = format!("{} ({})", hold.identity, hold.kind.as_str());
        let columns = if width >= 60 { 15 } else { 9 };
        let cells = cells.theirs(plain, &who, columns).ours(plain, " ", 1);
        let cells = match hold.wait {
            Wait::Inline => cells,
            // An approval of it runs nothing yet.
            Wait::Ticket => cells.ours(role(Role::Caution), "ticket", 6).ours(plain, " ", 1),
        };
        cells.rest(plain, &hold.sql).spans()
    }

    fn detail(&mut self, areas: &Areas) {
        let state = self.state;
        let area = areas.detail;
        if area.x > 0 {
            let bar = state.theme().glyphs().vertical;
            for y in area.top()..area.bottom() {
                self.buffer.set_string(area.x - 1, y, bar, state.theme().style(Role::Faint));
            }
        }
        let (Some(page), Some(entry)) = (&state.page, state.selected()) else {
            let words = "nothing is selected: j or the down arrow selects";
            let spans = self.cells(area.width).ours(Role::Faint, words, words.len()).spans();
            self.line(area, 0, spans);
            return;
        };
        let height = areas.detail_rows();
        let last = (state.scroll + height).min(page.rows.len());
        self.detail_title(area, entry, page.rows.len().saturating_sub(last));
        for (at, row) in page.rows.iter().enumerate().skip(state.scroll).take(height) {
            let spans = page.document.spans(*row, state.theme());
            let line = u16::try_from(at - state.scroll + 1).unwrap_or(u16::MAX);
            self.line(area, line, spans);
        }
        let covered = state.help || state.dialog.is_some();
        let end = page.statement_end.is_some_and(|end| (state.scroll..last).contains(&end));
        if end && !covered {
            self.shown.statement_end = Some(page.key.clone());
        }
    }

    fn detail_title(&mut self, area: Rect, entry: &Entry, below: usize) {
        let state = self.state;
        let hold = &entry.view;
        let mut parts = vec![(Role::Title, hold.id.to_string())];
        if entry.is_pending(state.now.at) {
            parts.push((Role::Title, format!("expires in {}", time_left(entry.expires, state.now.at))));
            if !state.has_seen(&entry.key) {
                let too_long = state.page.as_ref().is_some_and(Page::is_too_long);
                let words = if too_long { "cannot be approved here" } else { "read it all to approve" };
                parts.push((Role::Caution, words.to_owned()));
            }
        } else {
            parts.push((Role::Title, hold.state.as_str().to_owned()));
        }
        if below > 0 {
            parts.push((Role::Title, format!("{} {below} more", state.theme().glyphs().below)));
        }
        // What is needed least is left out where there is no room for it: it stands further down as well.
        let approvals = format!("approved by {} of {}", hold.approvals.len(), hold.needs);
        let taken: usize = parts.iter().map(|(_, words)| columns_of(words) + 2).sum();
        if entry.is_pending(state.now.at) && taken + columns_of(&approvals) <= usize::from(area.width) {
            parts.insert(2, (Role::Title, approvals));
        }
        let mut cells = self.cells(area.width);
        for (role, words) in parts {
            cells = cells.ours(role, &words, columns_of(&words)).ours(Role::Title, "  ", 2);
        }
        let spans = cells.spans();
        self.line(area, 0, spans);
    }

    /// A document from its top, as far as it fits.
    fn document(&mut self, area: Rect, document: &Document) {
        let theme = *self.state.theme();
        for (at, row) in document.rows(area.width).iter().take(usize::from(area.height)).enumerate() {
            let spans = document.spans(*row, &theme);
            self.line(area, u16::try_from(at).unwrap_or(u16::MAX), spans);
        }
    }
}

/// The keys of a page, each with its rank: where there is little room, those of the highest ranks are left out.
const fn keys(tab: Tab, focus: Focus) -> &'static [(&'static str, u8)] {
    match (tab, focus) {
        (Tab::Queue, Focus::List) => &[
            ("j/k select", 1),
            ("Enter read", 1),
            ("a approve", 0),
            ("d deny", 0),
            ("? help", 0),
            ("s sample", 3),
            ("c count", 3),
            ("w locks", 3),
            ("y copy id", 4),
            ("/ filter", 2),
            ("q quit", 0),
        ],
        (Tab::Queue, Focus::Detail) => &[
            ("j/k scroll", 1),
            ("Esc back", 1),
            ("a approve", 0),
            ("d deny", 0),
            ("? help", 0),
            ("s sample", 3),
            ("c count", 3),
            ("w locks", 3),
            ("q quit", 0),
        ],
        (Tab::History, _) => {
            &[("j/k select", 1), ("Enter read", 1), ("/ filter", 2), ("y copy id", 3), ("? help", 0), ("q quit", 0)]
        }
        (Tab::Live, _) => &[("j/k scroll", 1), ("/ filter", 2), ("? help", 0), ("q quit", 0)],
        (Tab::Audit, _) => &[("v verify the whole log", 1), ("? help", 0), ("q quit", 0)],
    }
}

fn fitting_keys(tab: Tab, focus: Focus, width: usize) -> String {
    let mut keys = keys(tab, focus).to_vec();
    loop {
        let line = keys.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(" ");
        let least = keys.iter().enumerate().max_by_key(|(_, (_, rank))| *rank).map(|(at, _)| at);
        match least {
            Some(least) if line.len() > width => drop(keys.remove(least)),
            _ => return line,
        }
    }
}

/// `12:31`, `1h05m`; `0:00` when the time is up.
fn time_left(expires: jiff::Timestamp, now: jiff::Timestamp) -> String {
    let left = (expires.as_second() - now.as_second()).max(0);
    if left >= 3600 {
        format!("{}h{:02}m", left / 3600, left / 60 % 60)
    } else {
        format!("{}:{:02}", left / 60, left % 60)
    }
}
