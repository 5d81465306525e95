//! The tabs without holds: sessions and figures, and the log.

use ratatui::layout::Rect;

use super::Picture;
use crate::audit::LogView;
use crate::text::Untrusted;
use crate::tui::document::{Document, Margin};
use crate::tui::figures::{Histogram, Session, Statistics, number};
use crate::tui::theme::Role;

/// What is said where the proxy does not say.
const NOT_KNOWN: &str = "not known";

impl Picture<'_> {
    pub(super) fn live(&mut self, area: Rect) {
        let figures = self.figures(area.width);
        let rows = figures.rows(area.width).len();
        let height = u16::try_from(rows).unwrap_or(u16::MAX).min(area.height / 2);
        self.document(Rect { height, ..area }, &figures);
        self.sessions(Rect { y: area.y + height, height: area.height - height, ..area });
    }

    fn figures(&self, width: u16) -> Document {
        let state = self.state;
        let mut document = Document::default();
        let statistics = state.statistics.clone().unwrap_or_default();
        self.counts(&mut document, &statistics);
        for (label, histogram) in [
            ("proxy overhead", &statistics.overhead_us),
            ("upstream time ", &statistics.upstream_us),
            ("log, to disk  ", &statistics.audit.as_ref().and_then(|audit| audit.durable_lag_us.clone())),
        ] {
            self.histogram(&mut document, label, histogram.as_ref(), width);
        }
        let queued = statistics.audit.and_then(|audit| audit.queued);
        document.line(Margin::Indent(0)).ours(Role::Label, "log queue       ");
        document.ours(Role::Plain, &known(queued));
        document
    }

    fn counts(&self, document: &mut Document, statistics: &Statistics) {
        let verdicts = statistics.statements.unwrap_or_default();
        document.line(Margin::Indent(0)).ours(Role::Label, "statements      ");
        for (name, count) in [("pass", verdicts.pass), ("hold", verdicts.hold), ("deny", verdicts.deny)] {
            document.ours(Role::Plain, &format!("{name} ")).ours(Role::Strong, &known(count)).ours(Role::Plain, "  ");
        }
        let rate = self.state.per_second.map_or_else(|| NOT_KNOWN.to_owned(), |rate| format!("{rate:.1}"));
        document.ours(Role::Plain, "per second ").ours(Role::Strong, &rate);
        if let Some(since) = &statistics.since {
            document.ours(Role::Faint, "  since ").theirs(Role::Faint, Untrusted::line(since));
        }
    }

    fn histogram(&self, document: &mut Document, label: &str, histogram: Option<&Histogram>, width: u16) {
        let theme = self.state.theme();
        document.line(Margin::Indent(0)).ours(Role::Label, &format!("{label}  "));
        let Some(histogram) = histogram else {
            document.ours(Role::Faint, NOT_KNOWN);
            return;
        };
        document.ours(Role::Plain, &histogram.words(theme));
        let Some((least, most)) = histogram.range(theme) else { return };
        let columns = usize::from(width).saturating_sub(50).clamp(12, 48);
        document.line(Margin::Indent(16));
        document.ours(Role::Faint, &format!("{least} ")).ours(Role::Safe, &histogram.bars(columns, theme));
        document.ours(Role::Faint, &format!(" {most}"));
    }

    fn sessions(&mut self, area: Rect) {
        let state = self.state;
        let filter = state.filter();
        let height = usize::from(area.height.saturating_sub(2));
        let matching: Vec<&Session> = state.sessions.iter().filter(|session| session.matches(&filter)).collect();
        let top = state.sessions_top.min(matching.len().saturating_sub(1));
        let below = matching.len().saturating_sub(top + height);
        let glyphs = state.theme().glyphs();
        let mut title = format!("Sessions: {}, oldest first", state.sessions.len());
        if !filter.is_empty() {
            title.push_str(&format!(", {} match the filter", matching.len()));
        }
        if top > 0 {
            title.push_str(&format!("  {} {top} above", glyphs.above));
        }
        if below > 0 {
            title.push_str(&format!("  {} {below} below", glyphs.below));
        }
        let spans = self.cells(area.width).ours(Role::Title, &title, usize::from(area.width)).spans();
        self.line(area, 0, spans);
        let heads = ["WHO", "DATABASE", "FROM", "TLS", "COUNT", "VERDICT", "LAST STATEMENT"];
        let spans = self.session_cells(area.width, heads, Role::Label);
        self.line(area, 1, spans);
        for (row, session) in matching.into_iter().skip(top).take(height).enumerate() {
            let who = format!("{} ({})", session.identity, session.kind);
            let count = session.statements.map_or_else(|| "?".to_owned(), number);
            let (verdict, sql) =
                session.last.as_ref().map_or(("?", NOT_KNOWN), |last| (last.verdict.as_str(), last.sql.as_str()));
            let from = if session.application_name.is_empty() {
                session.client.clone()
            } else {
                format!("{} {}", session.client, session.application_name)
            };
            let tls = session.tls.as_deref().unwrap_or("none");
            let fields = [who.as_str(), &session.database, &from, tls, &count, verdict, sql];
            let spans = self.session_cells(area.width, fields, Role::Plain);
            self.line(area, u16::try_from(row + 2).unwrap_or(u16::MAX), spans);
        }
    }

    fn session_cells(&self, width: u16, fields: [&str; 7], role: Role) -> Vec<ratatui::text::Span<'static>> {
        let columns: [usize; 6] = match width {
            ..80 => [16, 9, 0, 0, 7, 8],
            80..110 => [18, 10, 18, 0, 7, 8],
            _ => [22, 12, 26, 8, 8, 8],
        };
        let mut cells = self.cells(width);
        for (field, columns) in fields.iter().zip(columns) {
            if columns > 0 {
                cells = cells.theirs(role, field, columns - 1).ours(role, " ", 1);
            }
        }
        cells.rest(role, fields[6]).spans()
    }

    pub(super) fn audit(&mut self, area: Rect) {
        let mut document = Document::default();
        match &self.state.audit {
            Some(log) => self.log(&mut document, log),
            None => {
                document.line(Margin::Indent(0)).ours(Role::Faint, "not known yet");
            }
        }
        self.document(area, &document);
    }

    fn log(&self, document: &mut Document, log: &LogView) {
        match &log.checkpoint {
            Some(checkpoint) => {
                label(document, "log").theirs(Role::Strong, Untrusted::line(&checkpoint.origin));
                label(document, "size")
                    .ours(Role::Strong, &number(checkpoint.size))
                    .ours(Role::Plain, " entries are signed");
                label(document, "root").theirs(Role::Plain, Untrusted::line(&checkpoint.root));
                let published = checkpoint.published_at.as_deref().unwrap_or(NOT_KNOWN);
                label(document, "checkpoint").theirs(Role::Plain, Untrusted::line(published));
            }
            None => {
                let why = log.checkpoint_error.as_deref().unwrap_or("there is none");
                label(document, "checkpoint")
                    .ours(Role::Danger, " ")
                    .theirs(Role::Danger, Untrusted::line(why))
                    .ours(Role::Danger, " ");
            }
        }
        label(document, "key").theirs(Role::Plain, Untrusted::line(&log.vkey));
        label(document, "anchors").ours(Role::Faint, "none: this proxy has no witnesses");
        match &log.failed {
            Some(why) => {
                label(document, "writing").ours(Role::Danger, " failed ").theirs(Role::Plain, Untrusted::line(why))
            }
            None => label(document, "writing").ours(Role::Safe, "works"),
        };
        let verified = label(document, "verified");
        match &log.verification {
            None => {
                verified.ours(Role::Faint, "not since the proxy started");
            }
            Some(last) => {
                match (&last.error, last.size) {
                    (Some(error), _) => {
                        verified.ours(Role::Danger, " does not verify ").theirs(Role::Plain, Untrusted::line(error));
                    }
                    (None, size) => {
                        verified.ours(Role::Safe, &format!("all {} entries", known(size)));
                    }
                }
                verified.ours(Role::Plain, ", at ").theirs(Role::Plain, Untrusted::line(&last.at));
            }
        }
        if log.verifying || self.state.verification_asked {
            label(document, "").ours(Role::Faint, "being verified now");
        }
    }
}

fn label<'a>(document: &'a mut Document, label: &str) -> &'a mut Document {
    document.line(Margin::Indent(0)).ours(Role::Label, &format!("{label:14}"))
}

fn known(value: Option<u64>) -> String {
    value.map_or_else(|| NOT_KNOWN.to_owned(), number)
}
