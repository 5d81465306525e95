//! Everything about one hold, as a document: who, why, the whole statement with its values, what it would touch, the
//! rows behind it, and what was decided before.

use super::dialog::ended;
use super::document::{Document, Margin};
use super::figures::number;
use super::holds::Entry;
use super::sql;
use super::theme::{Role, Theme, risk_role, risk_word};
use crate::blast::radius::{TouchedRelation, Via};
use crate::blast::{Basis, Blockers, Radius, Rows};
use crate::catalog::examine::{Cell, Examined, Sample};
use crate::gate::facts::{TICKET, approve_command, show_command};
use crate::gate::wording::{self, Said, Tone, Words};
use crate::gate::{HoldState, HoldView, Wait};
use crate::text::Untrusted;

/// A statement with its values of which more than this would have to be shown is not decided here.
const STATEMENT_BYTES_MAX: usize = 1 << 20;
/// How many past decisions are shown.
const SIMILAR_MAX: usize = 5;
/// The width of labels.
const LABEL: usize = 10;

/// What is asked for on request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look<T> {
    /// Not asked for.
    NotAsked,
    /// On its way.
    Asked,
    /// Here.
    Found(T),
    /// Not to be had.
    Failed(String),
}

/// What was asked for a hold on request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Looks {
    pub(super) sample: Look<Vec<Examined<Sample>>>,
    pub(super) count: Look<Vec<Examined<u64>>>,
    pub(super) blockers: Look<Blockers>,
}

impl Default for Looks {
    fn default() -> Self {
        Self { sample: Look::NotAsked, count: Look::NotAsked, blockers: Look::NotAsked }
    }
}

/// A hold's document, and where in it the statement ends.
#[derive(Debug, Clone)]
pub(super) struct Detail {
    pub(super) document: Document,
    /// The line with the end of the statement and of its values; `None` where not all of it is shown.
    pub(super) statement_end: Option<usize>,
}

/// Writes down everything about a hold.
pub(super) fn detail(entry: &Entry, looks: &Looks, similar: &[&Entry], theme: &Theme, proxy: &str) -> Detail {
    let hold = &entry.view;
    let mut page = Page { document: Document::default(), theme, proxy };
    page.outcome(hold);
    page.summary(hold);
    page.ticket(hold);
    page.people(hold);
    let statement_end = page.statement(hold);
    page.radius(hold);
    page.blockers(hold, &looks.blockers);
    page.looks(looks);
    page.why(hold);
    page.circumstances(hold);
    page.similar(similar);
    Detail { document: page.document, statement_end }
}

struct Page<'a> {
    document: Document,
    theme: &'a Theme,
    /// The flags that name the proxy to other commands.
    proxy: &'a str,
}

impl Page<'_> {
    fn label(&mut self, label: &str) -> &mut Document {
        self.document.line(Margin::Indent(0)).ours(Role::Label, &format!("{label:LABEL$}"))
    }

    fn heading(&mut self, heading: &str) {
        self.document.gap();
        self.document.line(Margin::Indent(0)).ours(Role::Title, heading);
    }

    fn outcome(&mut self, hold: &HoldView) {
        if hold.state == HoldState::Pending {
            return;
        }
        let role = if hold.state == HoldState::Approved { Role::Safe } else { Role::Strong };
        self.document.line(Margin::Indent(0)).theirs(role, Untrusted::line(&ended(hold)));
        if let Some(ended) = &hold.ended {
            if let Some(reason) = &ended.reason {
                self.label("reason").theirs(Role::Plain, Untrusted::line(reason));
            }
            let document = self.label("ended");
            document.theirs(Role::Plain, Untrusted::line(&ended.at));
            if let Some(address) = &ended.remote {
                document.ours(Role::Plain, ", from ").theirs(Role::Plain, Untrusted::line(address));
            }
        }
        self.document.gap();
    }

    /// What can be understood at a glance.
    fn summary(&mut self, hold: &HoldView) {
        let glyph = self.theme.risk_glyph(hold.risk);
        let document = self.label("risk");
        document.ours(risk_role(hold.risk), &format!(" {glyph} {} ", risk_word(hold.risk)));
        if let Some(radius) = &hold.radius {
            document.ours(Role::Strong, &format!("  {} {}", rows_words(radius.rows), wording::noun(radius.rows)));
            document.ours(Role::Faint, wording::basis(radius.rows.basis));
        } else if hold.radius_pending {
            document.ours(Role::Faint, "  what it would touch is being computed");
        } else {
            document.ours(Role::Caution, "  ? what it would touch is not known");
        }
        self.label("rule").theirs(Role::Plain, Untrusted::line(&hold.verdict_policy));
        if hold.in_transaction {
            let glyph = self.theme.risk_glyph(crate::sql::risk::Level::Medium);
            self.label("locks")
                .ours(Role::Caution, &format!("{glyph} it waits inside a transaction, whose locks it keeps"));
        }
    }

    /// Whether an approval lets it run, or lets it come back.
    fn ticket(&mut self, hold: &HoldView) {
        if hold.wait == Wait::Ticket {
            self.label("ticket").ours(Role::Caution, TICKET);
        }
    }

    /// Why it waits, what it does by its text, and what that risks.
    fn why(&mut self, hold: &HoldView) {
        self.heading("Why it waits");
        for action in &hold.actions {
            let document = self.label("does");
            document.ours(Role::Strong, action.action.as_str());
            document.theirs(Role::Plain, Untrusted::line(&format!(" {} ", action.kind.replace('_', " "))));
            qualified(document, Role::Strong, action.schema.as_deref(), &action.name);
            if !action.certain {
                document.ours(Role::Faint, " (possibly)");
            }
        }
        for reason in &hold.reasons {
            self.label("why").theirs(Role::Plain, Untrusted::line(reason));
        }
        for risk in &hold.risks {
            let document = self.label("risk");
            document.theirs(Role::Plain, Untrusted::line(&risk.why));
            if let Some(instead) = &risk.instead {
                document.ours(Role::Faint, "; instead: ").theirs(Role::Faint, Untrusted::line(instead));
            }
        }
        if !hold.reversible {
            self.label("undo").ours(Role::Caution, "cannot be had back without a backup");
        }
    }

    fn people(&mut self, hold: &HoldView) {
        let document = self.label("who");
        document.theirs(Role::Strong, Untrusted::line(&hold.identity));
        document.ours(Role::Plain, &format!(" ({})", hold.kind.as_str()));
        match &hold.owner {
            Some(owner) => document
                .ours(Role::Plain, ", for whom ")
                .theirs(Role::Strong, Untrusted::line(owner))
                .ours(Role::Plain, " answers"),
            None => document.ours(Role::Faint, ", no owner named"),
        };
        match &hold.reason {
            Some(reason) => {
                let document = self.label("claims");
                document
                    .theirs(Role::Claim, Untrusted::line(reason))
                    .ours(Role::Faint, " (the client's words, not checked)");
            }
            None => {
                self.label("claims").ours(Role::Faint, "no reason");
            }
        }
        let document = self.label("from");
        document.theirs(Role::Plain, Untrusted::line(&hold.client));
        match &hold.tls {
            Some(tls) => document.ours(Role::Plain, ", ").theirs(Role::Plain, Untrusted::line(tls)),
            None => document.ours(Role::Plain, ", without TLS"),
        };
        if hold.application_name.is_empty() {
            document.ours(Role::Faint, ", no application name");
        } else {
            document.ours(Role::Plain, ", calls itself ").theirs(Role::Claim, Untrusted::line(&hold.application_name));
        }
        self.label("database").theirs(Role::Plain, Untrusted::line(&hold.database));
    }

    /// The whole statement and its values; the line where they end.
    fn statement(&mut self, hold: &HoldView) -> Option<usize> {
        self.heading("Statement");
        let values: usize = hold.params.iter().map(String::len).sum();
        if hold.sql.len().saturating_add(values) > STATEMENT_BYTES_MAX {
            let glyph = self.theme.risk_glyph(crate::sql::risk::Level::High);
            self.document.line(Margin::Indent(0)).ours(
                Role::Danger,
                &format!(
                    " {glyph} {} bytes: too long to be judged here, so it cannot be approved here ",
                    number((hold.sql.len() + values) as u64)
                ),
            );
            self.document.line(Margin::Indent(0)).ours(Role::Plain, "Read all of it, then approve it, in a shell:");
            let read = format!("{} | less", show_command(hold, self.proxy));
            for command in [read, approve_command(hold, self.proxy)] {
                self.document.line(Margin::Indent(2)).theirs(Role::Strong, Untrusted::line(&command));
            }
            self.document.line(Margin::Indent(0)).ours(Role::Plain, "d denies it here. It begins with:");
            let beginning = hold
                .sql
                .char_indices()
                .nth(STATEMENT_BYTES_MAX / 16)
                .map_or(hold.sql.as_str(), |(at, _)| &hold.sql[..at]);
            self.document.line(Margin::Quote).theirs(Role::Plain, Untrusted::block(beginning, 0));
            return None;
        }
        if let Some(hidden) = wording::hidden(hold) {
            let glyph = self.theme.risk_glyph(crate::sql::risk::Level::High);
            self.document.line(Margin::Indent(0)).ours(Role::Danger, &format!(" {glyph} {hidden} "));
        }
        self.document.line(Margin::Quote);
        sql::highlight(&mut self.document, &hold.sql);
        for (at, value) in hold.params.iter().enumerate() {
            self.document
                .line(Margin::Indent(0))
                .ours(Role::Parameter, &format!("${} = ", at + 1))
                .theirs(Role::Literal, Untrusted::line(value));
        }
        let end = self.document.lines().checked_sub(1);
        self.document.line(Margin::Indent(0)).ours(Role::Faint, "end of the statement");
        end.map(|line| line + 1)
    }

    fn radius(&mut self, hold: &HoldView) {
        self.heading("What it would touch");
        match &hold.radius {
            Some(radius) => self.tree(radius),
            None if hold.radius_pending => {
                self.document.line(Margin::Indent(0)).ours(Role::Faint, "being computed");
            }
            None => {
                self.document.line(Margin::Indent(0)).ours(Role::Caution, "? not known: it could not be computed");
            }
        }
    }

    /// The statement's own targets, and under them what it reaches through them.
    fn tree(&mut self, radius: &Radius) {
        let own = |relation: &&TouchedRelation| relation.via == Via::Statement;
        let reached: Vec<&TouchedRelation> = radius.relations.iter().filter(|relation| !own(relation)).collect();
        for relation in radius.relations.iter().filter(own) {
            self.relation(relation, "", 0);
        }
        let leaves = reached.len() + radius.triggers.len() + radius.dependents.len();
        let mut left = leaves;
        for relation in reached {
            left -= 1;
            let branch = self.branch(left);
            self.relation(relation, branch, 2);
        }
        for trigger in &radius.triggers {
            left -= 1;
            let branch = self.branch(left);
            let document = self.document.line(Margin::Indent(2));
            document.ours(Role::Faint, branch).ours(Role::Plain, "trigger ");
            say(document, &wording::trigger(trigger));
        }
        for dependent in &radius.dependents {
            left -= 1;
            let branch = self.branch(left);
            let document = self.document.line(Margin::Indent(2));
            document.ours(Role::Faint, branch).ours(Role::Plain, "goes with it: ");
            say(document, &wording::dependent(dependent));
        }
        if radius.relations.is_empty() && leaves == 0 {
            self.document.line(Margin::Indent(0)).ours(Role::Faint, "no relation");
        }
        let glyph = self.theme.risk_glyph(crate::sql::risk::Level::Medium);
        for warning in &radius.warnings {
            let document = self.document.line(Margin::Indent(0));
            document.ours(Role::Caution, &format!("{glyph} ")).theirs(Role::Plain, Untrusted::line(warning));
        }
    }

    fn branch(&self, left: usize) -> &'static str {
        if left == 0 { self.theme.glyphs().last_branch } else { self.theme.glyphs().branch }
    }

    fn relation(&mut self, relation: &TouchedRelation, branch: &str, indent: u8) {
        let document = self.document.line(Margin::Indent(indent));
        document.ours(Role::Faint, branch);
        say(document, &wording::relation(relation));
    }

    /// Who is in its way: under the radius, which says whose locks that is about.
    fn blockers(&mut self, hold: &HoldView, blockers: &Look<Blockers>) {
        if *blockers == Look::NotAsked && hold.state == HoldState::Pending && hold.radius.is_some() {
            self.document.line(Margin::Indent(0)).ours(Role::Faint, "w asks who holds locks in its way now");
        }
        self.look("Locks in its way", "being asked for", blockers, |page, found| {
            for sentence in wording::blockers(found) {
                say(page.document.line(Margin::Indent(0)), &sentence);
            }
        });
    }

    fn looks(&mut self, looks: &Looks) {
        self.look("Exact count", "being counted", &looks.count, |page, found| {
            for examined in found {
                page.examined(examined, |page, count| {
                    page.document.ours(
                        Role::Strong,
                        &format!("{} {}", rows_words(Rows::exact(*count)), wording::noun(Rows::exact(*count))),
                    );
                });
            }
        });
        self.look("Sample of rows", "being asked for", &looks.sample, |page, found| {
            for examined in found {
                page.examined(examined, Self::sample);
            }
        });
    }

    /// What was asked for on request, under a heading of its own; nothing until it is asked for.
    fn look<T>(&mut self, heading: &str, underway: &str, look: &Look<T>, show: impl FnOnce(&mut Self, &T)) {
        if matches!(look, Look::NotAsked) {
            return;
        }
        self.heading(heading);
        match look {
            Look::NotAsked => {}
            Look::Asked => {
                self.document.line(Margin::Indent(0)).ours(Role::Faint, underway);
            }
            Look::Failed(why) => self.refused(why),
            Look::Found(found) => show(self, found),
        }
    }

    fn refused(&mut self, why: &str) {
        let document = self.document.line(Margin::Indent(0));
        document.ours(Role::Caution, "? not to be had: ").theirs(Role::Plain, Untrusted::line(why));
    }

    fn examined<T>(&mut self, examined: &Examined<T>, show: impl Fn(&mut Self, &T)) {
        let relation = examined.relation.as_deref().unwrap_or_default();
        if let Some(found) = &examined.found {
            let document = self.document.line(Margin::Indent(0));
            document.theirs(Role::Plain, Untrusted::line(relation)).ours(Role::Plain, " ");
            show(self, found);
            for caveat in &examined.caveats {
                self.document.line(Margin::Indent(0)).theirs(Role::Faint, Untrusted::line(caveat));
            }
        } else {
            self.refused(examined.refused.as_deref().unwrap_or("no reason given"));
        }
    }

    fn sample(page: &mut Self, sample: &Sample) {
        let document = &mut page.document;
        if sample.rows.is_empty() {
            document.ours(Role::Plain, "no rows");
        }
        for row in &sample.rows {
            document.line(Margin::Quote);
            for (at, (column, cell)) in sample.columns.iter().zip(row).enumerate() {
                document.ours(Role::Faint, if at > 0 { "  " } else { "" });
                document.theirs(Role::Label, Untrusted::line(column)).ours(Role::Label, "=");
                cell_words(document, cell);
            }
        }
        if sample.more {
            document.line(Margin::Indent(0)).ours(Role::Faint, "and more");
        }
        if !sample.omitted.is_empty() {
            let names = sample.omitted.join(", ");
            document
                .line(Margin::Indent(0))
                .ours(Role::Faint, "not shown: ")
                .theirs(Role::Faint, Untrusted::line(&names));
        }
    }

    fn circumstances(&mut self, hold: &HoldView) {
        self.heading("Circumstances");
        self.label("session").theirs(Role::Plain, Untrusted::line(&hold.session));
        match &hold.search_path {
            Some(path) => self.label("path").theirs(Role::Plain, Untrusted::line(&path.join(", "))),
            None => self.label("path").ours(Role::Caution, "? not known where unqualified names resolve"),
        };
        self.label("since").theirs(Role::Plain, Untrusted::line(&hold.created_at));
        self.label("expires").theirs(Role::Plain, Untrusted::line(&hold.expires_at));
        let people = if hold.needs == 1 { "one person" } else { "people" };
        let needs = if hold.needs == 1 { String::new() } else { format!("{} ", hold.needs) };
        self.label("needs").ours(Role::Plain, &format!("{needs}{people}"));
        for approval in &hold.approvals {
            let document = self.label("approved");
            document.theirs(Role::Strong, Untrusted::line(&approval.by)).ours(Role::Plain, " at ");
            document.theirs(Role::Plain, Untrusted::line(&approval.at));
            if let Some(address) = &approval.remote {
                document.ours(Role::Plain, ", from ").theirs(Role::Plain, Untrusted::line(address));
            }
            if let Some(rows) = approval.max_rows {
                document.ours(Role::Plain, &format!(", for up to {} rows", number(rows)));
            }
            if let Some(reason) = &approval.reason {
                document.ours(Role::Plain, ": ").theirs(Role::Plain, Untrusted::line(reason));
            }
        }
        self.label("digest").theirs(Role::Faint, Untrusted::line(&hold.digest));
    }

    fn similar(&mut self, similar: &[&Entry]) {
        self.heading("Decided before, on statements that differ in literals only");
        if similar.is_empty() {
            self.document
                .line(Margin::Indent(0))
                .ours(Role::Faint, "none since the proxy started, as far as it remembers");
        }
        for entry in similar.iter().take(SIMILAR_MAX) {
            let document = self.document.line(Margin::Indent(0));
            document.ours(Role::Plain, &format!("{} ", entry.view.id));
            document.ours(Role::Strong, entry.view.state.as_str());
            if let Some(ended) = &entry.view.ended {
                if let Some(by) = &ended.by {
                    document.ours(Role::Plain, " by ").theirs(Role::Plain, Untrusted::line(by));
                }
                document.ours(Role::Plain, ", ").theirs(Role::Plain, Untrusted::line(&ended.at));
            }
            document.ours(Role::Plain, ", asked by ").theirs(Role::Plain, Untrusted::line(&entry.view.identity));
            let said = entry.view.ended.as_ref().and_then(|ended| ended.reason.as_ref());
            let said = said.or_else(|| entry.view.approvals.last().and_then(|approval| approval.reason.as_ref()));
            if let Some(reason) = said {
                document.ours(Role::Plain, ": ").theirs(Role::Plain, Untrusted::line(reason));
            }
        }
        if similar.len() > SIMILAR_MAX {
            let more = format!("and {} more", similar.len() - SIMILAR_MAX);
            self.document.line(Margin::Indent(0)).ours(Role::Faint, &more);
        }
    }
}

fn cell_words(document: &mut Document, cell: &Cell) {
    match (&cell.value, cell.bytes) {
        (Some(value), _) => document.theirs(Role::Plain, Untrusted::line(value)),
        (None, None) => document.ours(Role::Faint, "NULL"),
        (None, Some(bytes)) => document.ours(Role::Faint, &format!("({} bytes)", number(bytes))),
    };
}

fn qualified(document: &mut Document, role: Role, schema: Option<&str>, name: &str) {
    if let Some(schema) = schema {
        document.theirs(role, Untrusted::line(schema)).ours(role, ".");
    }
    document.theirs(role, Untrusted::line(name));
}

/// Adds a sentence to the last line.
fn say(document: &mut Document, sentence: &[Words<'_>]) {
    for words in sentence {
        let role = role(words.tone);
        match &words.said {
            Said::Ours(ours) => document.ours(role, ours),
            Said::Theirs(theirs) => document.theirs(role, Untrusted::line(theirs)),
            Said::Rows(rows) => document.ours(role, &rows_words(*rows)),
        };
    }
}

/// `= 12`, `~ 48,210`, `?`.
pub(super) fn rows_words(rows: Rows) -> String {
    match (rows.value, rows.basis) {
        (None, _) | (_, Basis::Unknown) => "?".to_owned(),
        (Some(value), Basis::Exact) => format!("= {}", number(value)),
        (Some(value), Basis::Planner | Basis::Statistics) => format!("~ {}", number(value)),
    }
}

const fn role(tone: Tone) -> Role {
    match tone {
        Tone::Plain => Role::Plain,
        Tone::Strong => Role::Strong,
        Tone::Faint => Role::Faint,
        Tone::Caution => Role::Caution,
    }
}
