//! The dialog and the help.

use ratatui::layout::Rect;
use ratatui::text::Span;

use super::{Picture, time_left};
use crate::blast::Rows;
use crate::blast::radius::Via;
use crate::gate::wording::noun;
use crate::gate::{HoldView, Wait};
use crate::text::Untrusted;
use crate::tui::detail::rows_words;
use crate::tui::dialog::{Dialog, Field, Kind, Progress};
use crate::tui::document::{Document, Margin, columns_of};
use crate::tui::layout::middle;
use crate::tui::theme::{Role, risk_role, risk_word};

/// Every key, and what it does.
const KEYS: [(&str, &str); 14] = [
    ("j k, arrows", "select, or scroll what is read"),
    ("Enter, Right", "read what is selected; Esc, Left goes back"),
    ("space, PgUp", "a page of it on, or back; Home, End"),
    ("1-4, Tab", "another tab"),
    ("a", "approve: opens a dialog; y confirms in it"),
    ("d", "deny: opens a dialog that asks why"),
    ("s, c", "sample the rows it would change; count them"),
    ("w", "who holds locks in its way now"),
    ("y", "copy the id to the clipboard (OSC 52)"),
    ("/", "filter the list"),
    ("v", "verify the whole audit log (on its tab)"),
    ("?", "this"),
    ("q, Ctrl-C", "quit; the proxy goes on"),
    ("", "Enter decides nothing. There are no grants."),
];

impl Picture<'_> {
    pub(super) fn help(&mut self) {
        let mut document = Document::default();
        for (key, does) in KEYS {
            document.line(Margin::Indent(0)).ours(Role::Strong, &format!("{key:13}")).ours(Role::Plain, does);
        }
        let area = self.boxed(60, 16, "Keys", Role::Title);
        self.document(area, &document);
    }

    pub(super) fn dialog(&mut self) {
        let Some(dialog) = &self.state.dialog else { return };
        let armed = dialog.is_armed(self.state.now.running);
        let (title, role) = match dialog.kind {
            Kind::Approve => (self.approve_title(dialog), risk_role(dialog.hold.risk)),
            Kind::Deny => (format!("Deny {}", dialog.hold.id), Role::Title),
        };
        let area = self.boxed(76, 15, &title, role);
        let document = self.dialog_document(dialog, armed);
        self.document(area, &document);
        self.shown.dialog = Some(dialog.field);
    }

    fn approve_title(&self, dialog: &Dialog) -> String {
        let now = self.state.now.at;
        let entry = self.state.holds.find(&dialog.key).filter(|entry| entry.is_pending(now));
        let left = entry.map(|entry| format!(", expires in {}", time_left(entry.expires, now)));
        format!("Approve {}{}", dialog.hold.id, left.unwrap_or_default())
    }

    fn dialog_document(&self, dialog: &Dialog, armed: bool) -> Document {
        let mut document = Document::default();
        self.stake(&mut document, dialog);
        if let Progress::Over(why) = &dialog.progress {
            document.gap();
            document.line(Margin::Indent(0)).theirs(Role::Danger, Untrusted::line(&format!(" {why} ")));
            document.line(Margin::Indent(0)).ours(Role::Strong, "Esc closes");
            return document;
        }
        for field in dialog.fields() {
            self.field(&mut document, dialog, *field, armed);
        }
        if let Progress::Refused(why) = &dialog.progress {
            document.line(Margin::Indent(0)).theirs(Role::Caution, Untrusted::line(&format!("not taken: {why}")));
        }
        if !self.state.is_up() {
            document.line(Margin::Indent(0)).ours(Role::Danger, " not connected: nothing can be decided ");
        }
        document
    }

    /// What is at stake, in a few lines.
    fn stake(&self, document: &mut Document, dialog: &Dialog) {
        let hold = &dialog.hold;
        let glyph = self.state.theme().risk_glyph(hold.risk);
        document.line(Margin::Indent(0));
        document.ours(risk_role(hold.risk), &format!(" {glyph} {} ", risk_word(hold.risk))).ours(Role::Plain, " ");
        self.worst(document, hold);
        document.line(Margin::Indent(0)).ours(Role::Label, "asked by ");
        document
            .theirs(Role::Strong, Untrusted::line(&hold.identity))
            .ours(Role::Plain, &format!(" ({}) on ", hold.kind.as_str()));
        document.theirs(Role::Strong, Untrusted::line(&hold.database));
        if dialog.kind == Kind::Approve {
            let scope = match hold.wait {
                Wait::Inline => "this statement with these values, once, in its session",
                Wait::Ticket => {
                    "ticket: this statement with these values, once, when its client sends it again, from any session"
                }
            };
            document.line(Margin::Indent(0)).ours(Role::Label, "scope    ").ours(Role::Plain, scope);
        }
    }

    /// The worst that the statement does, by name; the rest of it in numbers.
    fn worst(&self, document: &mut Document, hold: &HoldView) {
        let stakes = hold.stakes();
        if let Some(worst) = stakes.first() {
            document.ours(Role::Strong, worst.action.as_str()).ours(Role::Plain, " ");
            if let Some(schema) = &worst.schema {
                document.theirs(Role::Strong, Untrusted::line(schema)).ours(Role::Strong, ".");
            }
            document.theirs(Role::Strong, Untrusted::line(&worst.name));
        }
        let whole = hold.radius.as_ref().map_or(Rows::UNKNOWN, |radius| radius.rows);
        let rows = stakes.first().map_or(whole, |worst| worst.rows);
        let role = if rows.value.is_some() { Role::Strong } else { Role::Caution };
        document.ours(role, &format!(": {} {}", rows_words(rows), noun(rows)));
        if let [_, others @ ..] = stakes.as_slice()
            && !others.is_empty()
        {
            let mut actions: Vec<&str> = Vec::new();
            for other in others {
                if !actions.contains(&other.action.as_str()) {
                    actions.push(other.action.as_str());
                }
            }
            document.ours(Role::Caution, &format!(", and {} more: {}", others.len(), actions.join(", ")));
            document.ours(Role::Plain, &format!("; {} {} in all", rows_words(whole), noun(whole)));
        }
        let relations = hold.radius.iter().flat_map(|radius| &radius.relations);
        let carried = relations.filter(|relation| relation.via != Via::Statement).count();
        if carried > 0 {
            let relations = if carried == 1 { "relation" } else { "relations" };
            document.ours(Role::Caution, &format!(", and {carried} more {relations} through it"));
        }
    }

    fn field(&self, document: &mut Document, dialog: &Dialog, field: Field, armed: bool) {
        let focused = dialog.field == field && armed;
        let pointer = if focused { self.state.theme().glyphs().cursor } else { " " };
        let label = match field {
            Field::Rows => "at most  ",
            Field::Reason => "reason   ",
            Field::Name => "type     ",
            Field::Confirm => "",
        };
        document.line(Margin::Indent(0)).ours(Role::Strong, pointer).ours(Role::Label, label);
        match field {
            Field::Rows => {
                self.text(document, &dialog.rows.text, focused, 12);
                document.ours(Role::Faint, " rows; empty: what is shown");
            }
            Field::Reason => self.text(document, &dialog.reason.text, focused, 44),
            Field::Name => {
                self.text(document, &dialog.name.text, focused, 24);
                document
                    .ours(Role::Plain, " ")
                    .theirs(Role::Strong, Untrusted::line(dialog.asked_name().unwrap_or_default()));
            }
            Field::Confirm => self.confirm(document, dialog, focused, armed),
        }
    }

    fn confirm(&self, document: &mut Document, dialog: &Dialog, focused: bool, armed: bool) {
        let does = match dialog.kind {
            Kind::Approve => "y approves",
            Kind::Deny => "y denies",
        };
        if !armed {
            document.ours(Role::Faint, "a moment: keys typed before this was shown do not count");
        } else if let Some(missing) = dialog.missing() {
            document.ours(Role::Faint, &format!("{does}: {missing}"));
        } else if focused && !dialog.takes_keys(self.state.now.running) {
            document.ours(Role::Faint, &format!("{does} in a moment: keys typed before do not count"));
        } else if focused {
            let role = if dialog.kind == Kind::Approve { risk_role(dialog.hold.risk) } else { Role::Strong };
            document.ours(role, &format!(" {does} "));
        } else {
            document.ours(Role::Plain, &format!("{does}, from this line: Tab"));
        }
        document.ours(Role::Faint, "   Esc closes and decides nothing");
    }

    /// A field's text: its end where it is longer than the field.
    fn text(&self, document: &mut Document, text: &str, focused: bool, columns: usize) {
        let room = columns.saturating_sub(1);
        let shown = |tail: &str| columns_of(&Untrusted::line(tail).to_string());
        let from = text.chars().count().saturating_sub(columns * 4);
        let mut tails = text.char_indices().skip(from).map(|(at, _)| &text[at..]);
        let tail = tails.find(|tail| shown(tail) <= room).unwrap_or_default();
        let fill = room.saturating_sub(shown(tail));
        document.ours(Role::Plain, "[");
        document.theirs(if focused { Role::Strong } else { Role::Plain }, Untrusted::line(tail));
        document
            .ours(Role::Plain, if focused { "_" } else { " " })
            .ours(Role::Plain, &" ".repeat(fill))
            .ours(Role::Plain, "]");
    }

    /// An empty box with a border in the middle; its inside.
    fn boxed(&mut self, width: u16, height: u16, title: &str, role: Role) -> Rect {
        let area = middle(self.state.size, width, height);
        let style = self.style(Role::Plain);
        let (line, column, corner) = ("-", self.state.theme().glyphs().vertical, "+");
        for y in area.top()..area.bottom() {
            let edge = y == area.top() || y + 1 == area.bottom();
            for x in area.left()..area.right() {
                let side = x == area.left() || x + 1 == area.right();
                let symbol = match (edge, side) {
                    (true, true) => corner,
                    (true, false) => line,
                    (false, true) => column,
                    (false, false) => " ",
                };
                if let Some(cell) = self.buffer.cell_mut((x, y)) {
                    cell.reset();
                    cell.set_symbol(symbol).set_style(style);
                }
            }
        }
        let words = format!(" {title} ");
        let title = Rect { x: area.x + 2, height: 1, width: area.width.saturating_sub(4), ..area };
        let span = Span::styled(words, self.style(role));
        self.line(title, 0, vec![span]);
        Rect {
            x: area.x + 2,
            y: area.y + 1,
            width: area.width.saturating_sub(4),
            height: area.height.saturating_sub(2),
        }
    }
}
