//! The page about what is selected: made once a change, not once a picture.

use std::collections::HashSet;

use super::State;
use crate::gate::HoldView;
use crate::tui::detail::{Detail, Looks, detail};
use crate::tui::document::{Document, Row};
use crate::tui::holds::{Entry, HoldKey};

/// The document of the selected hold, wrapped.
#[derive(Debug)]
pub(in crate::tui) struct Page {
    pub(in crate::tui) key: HoldKey,
    pub(in crate::tui) document: Document,
    pub(in crate::tui) rows: Vec<Row>,
    /// The row with the end of the statement; `None` where not all of it is shown.
    pub(in crate::tui) statement_end: Option<usize>,
    made_of: MadeOf,
}

impl Page {
    /// Whether the statement is too long to be shown whole, so that it cannot be approved here.
    pub(in crate::tui) fn is_too_long(&self) -> bool {
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

impl State {
    /// Makes what the next picture needs: once a change, not once a picture.
    pub(super) fn settle(&mut self) {
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
        let Detail { document, statement_end } = detail(entry, &made_of.looks, &similar, self.theme(), &self.proxy);
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
