//! Text for the screen: lines with roles, wrapped to a width. What others wrote gets in only as [`Untrusted`].

use ratatui::text::Span;
use unicode_width::UnicodeWidthChar;

use super::theme::{Role, Theme};
use crate::text::Untrusted;
use crate::text::listed::{Listed, Rest};
use crate::text::untrusted::Piece;

/// How many columns a tab takes.
const TAB: &str = "    ";

/// What stands before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Margin {
    /// So many spaces; the rest of a long line gets two more.
    Indent(u8),
    /// A bar: what follows is somebody else's text with lines of its own.
    Quote,
}

impl Margin {
    fn width(self) -> usize {
        match self {
            Self::Indent(columns) => usize::from(columns),
            Self::Quote => 2,
        }
    }

    fn continued_width(self) -> usize {
        match self {
            Self::Indent(columns) => usize::from(columns) + 2,
            Self::Quote => 2,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Line {
    start: u32,
    margin: Margin,
}

/// Lines of text with roles.
#[derive(Debug, Clone, Default)]
pub(super) struct Document {
    text: String,
    /// From which byte on which role applies.
    runs: Vec<(u32, Role)>,
    lines: Vec<Line>,
}

/// A part of a line that fits into the width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    line: u32,
    start: u32,
    end: u32,
}

impl Document {
    /// How many lines there are.
    pub(super) fn lines(&self) -> usize {
        self.lines.len()
    }

    /// Begins a line.
    pub(super) fn line(&mut self, margin: Margin) -> &mut Self {
        self.lines.push(Line { start: offset(self.text.len()), margin });
        self
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.line(Margin::Indent(0));
    }

    /// Adds words of ours to the last line.
    pub(super) fn ours(&mut self, role: Role, text: &str) -> &mut Self {
        work::add(1);
        self.role(role);
        // Ours has no such characters; a mistake here must not become a hole.
        self.text.extend(text.chars().filter(|character| !character.is_control()));
        self
    }

    /// Adds words of others to the last line; the lines of a block become lines with the same margin.
    pub(super) fn theirs(&mut self, role: Role, text: Untrusted<'_>) -> &mut Self {
        for piece in text.pieces() {
            work::add(1);
            match piece {
                Piece::Text(text) => {
                    self.role(role);
                    self.text.push_str(text);
                }
                Piece::Hidden(character) => {
                    self.role(Role::Hidden);
                    self.text.push_str(&format!("<U+{:04X}>", u32::from(character)));
                }
                Piece::LineEnd => {
                    let margin = self.lines.last().map_or(Margin::Indent(0), |line| line.margin);
                    self.line(margin);
                }
                Piece::Tab => {
                    self.role(role);
                    self.text.push_str(TAB);
                }
            }
        }
        self
    }

    fn role(&mut self, role: Role) {
        if self.runs.last().is_none_or(|(_, last)| *last != role) {
            self.runs.push((offset(self.text.len()), role));
        }
    }

    /// Cuts the lines into rows of a width: after a space where one is not too far back, else anywhere.
    pub(super) fn rows(&self, width: u16) -> Vec<Row> {
        let width = usize::from(width);
        let mut rows = Vec::with_capacity(self.lines.len());
        for (index, line) in self.lines.iter().enumerate() {
            let end = self.lines.get(index + 1).map_or(self.text.len(), |next| next.start as usize);
            let mut start = line.start as usize;
            let mut room = width.saturating_sub(line.margin.width()).max(1);
            loop {
                let cut = self.cut(start, end, room);
                work::add(1);
                rows.push(Row { line: offset(index), start: offset(start), end: offset(cut) });
                if cut == end {
                    break;
                }
                start = cut;
                room = width.saturating_sub(line.margin.continued_width()).max(1);
            }
        }
        rows
    }

    /// Where a row that begins at `start` ends.
    fn cut(&self, start: usize, end: usize, room: usize) -> usize {
        let text = self.text.get(start..end).unwrap_or_default();
        let (mut width, mut after_space, mut after_word) = (0, None, false);
        for (at, character) in text.char_indices() {
            let columns = character.width().unwrap_or(0);
            if width + columns > room && at > 0 {
                let space = after_space.filter(|(_, width)| *width * 2 > room).map(|(space, _)| space);
                return start + space.unwrap_or(at);
            }
            width += columns;
            after_word |= character != ' ';
            if character == ' ' && after_word {
                after_space = Some((at + 1, width));
            }
        }
        end
    }

    /// The last row of a line.
    pub(super) fn last_row_of(rows: &[Row], line: usize) -> Option<usize> {
        rows.partition_point(|row| row.line as usize <= line).checked_sub(1)
    }

    /// A row as it is drawn.
    pub(super) fn spans<'a>(&'a self, row: Row, theme: &Theme) -> Vec<Span<'a>> {
        work::add(1);
        let mut spans = Vec::new();
        let line = self.lines.get(row.line as usize).copied().unwrap_or(Line { start: 0, margin: Margin::Indent(0) });
        let continued = row.start != line.start;
        match line.margin {
            Margin::Quote => {
                let bar = if continued { theme.glyphs().quote_continued } else { theme.glyphs().quote };
                spans.push(Span::styled(bar, theme.style(Role::Faint)));
            }
            Margin::Indent(_) => {
                let columns = if continued { line.margin.continued_width() } else { line.margin.width() };
                spans.push(Span::raw(" ".repeat(columns)));
            }
        }
        let mut run = self.runs.partition_point(|(at, _)| *at <= row.start).saturating_sub(1);
        let mut at = row.start;
        while at < row.end {
            let role = self.runs.get(run).map_or(Role::Plain, |(_, role)| *role);
            let next = self.runs.get(run + 1).map_or(row.end, |(at, _)| *at).min(row.end);
            let text = self.text.get(at as usize..next as usize).unwrap_or_default();
            if !text.is_empty() {
                spans.push(Span::styled(text, theme.style(role)));
            }
            // Runs may be empty; each is passed once.
            at = next;
            run += 1;
        }
        spans
    }
}

/// Counts what is made of text: pieces, rows, cells. All of it is made in this file, whether or not it gets onto the
/// screen, so that tests see what a picture costs.
#[cfg(test)]
pub(super) mod work {
    use std::cell::Cell;

    thread_local! {
        static DONE: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn add(count: usize) {
        DONE.set(DONE.get() + count);
    }

    /// What was done since this was asked last, by this thread.
    pub(in crate::tui) fn take() -> usize {
        DONE.take()
    }
}

#[cfg(not(test))]
mod work {
    pub(super) const fn add(_count: usize) {}
}

/// Documents are far smaller than this: see `detail`.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// One row of a list: cells of a fixed width.
#[derive(Debug)]
pub(super) struct Cells {
    theme: Theme,
    spans: Vec<Span<'static>>,
    room: usize,
}

impl Cells {
    /// For a row of so many columns.
    pub(super) fn new(theme: Theme, width: u16) -> Self {
        Self { theme, spans: Vec::new(), room: usize::from(width) }
    }

    /// Words of ours, cut and filled to a number of columns.
    pub(super) fn ours(mut self, role: Role, text: &str, columns: usize) -> Self {
        self.cell(columns, [(role, text.to_owned())], Rest::None);
        self
    }

    /// Words of others, on one line. Of a text with lines the ends are seen: what stands behind a comment must not look
    /// like more of it.
    pub(super) fn theirs(mut self, role: Role, text: &str, columns: usize) -> Self {
        // No more of it can be seen than there are columns, whatever its length: few characters take none.
        let listed = Listed::new(text, columns.min(self.room) * 4);
        let pieces = listed.pieces().map(|piece| match piece {
            Piece::Hidden(character) => (Role::Hidden, format!("<U+{:04X}>", u32::from(character))),
            Piece::Text(text) => (role, text.to_owned()),
            Piece::LineEnd => (Role::Strong, self.theme.glyphs().line_end.to_owned()),
            Piece::Tab => (role, " ".to_owned()),
        });
        let pieces: Vec<_> = pieces.collect();
        self.cell(columns, pieces, listed.rest);
        self
    }

    /// All the columns that are left.
    pub(super) fn rest(self, role: Role, text: &str) -> Self {
        let room = self.room;
        self.theirs(role, text, room)
    }

    /// Adds what fits, with one sign where something is left out.
    fn cell(&mut self, columns: usize, pieces: impl IntoIterator<Item = (Role, String)>, rest: Rest) {
        work::add(1);
        let columns = columns.min(self.room);
        self.room -= columns;
        let pieces: Vec<_> = pieces.into_iter().collect();
        let whole: usize = pieces.iter().map(|(_, text)| columns_of(text)).sum();
        let cut = whole > columns || rest == Rest::Cut;
        let mut left = if cut { columns.saturating_sub(1) } else { columns };
        let mut last = Role::Plain;
        for (role, text) in pieces {
            last = role;
            let (fits, width) = fitting(&text, left);
            left -= width;
            self.spans.push(Span::styled(fits.to_owned(), self.theme.style(role)));
            if fits.len() < text.len() {
                break;
            }
        }
        if cut && columns > 0 {
            self.spans.push(Span::styled(self.theme.glyphs().cut, self.theme.style(last)));
        }
        if left > 0 {
            self.spans.push(Span::raw(" ".repeat(left)));
        }
    }

    pub(super) fn spans(self) -> Vec<Span<'static>> {
        self.spans
    }
}

/// How many columns a text takes.
pub(super) fn columns_of(text: &str) -> usize {
    text.chars().map(|character| character.width().unwrap_or(0)).sum()
}

/// The beginning of a text that fits, and its width.
fn fitting(text: &str, columns: usize) -> (&str, usize) {
    let mut width = 0;
    for (at, character) in text.char_indices() {
        let next = width + character.width().unwrap_or(0);
        if next > columns {
            return (&text[..at], width);
        }
        width = next;
    }
    (text, width)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::untrusted::is_deceptive;

    fn shown(document: &Document, width: u16) -> Vec<String> {
        let theme = Theme::default();
        let rows = document.rows(width);
        rows.iter().map(|row| document.spans(*row, &theme).iter().map(|span| span.content.as_ref()).collect()).collect()
    }

    #[test]
    fn lines_are_wrapped_after_spaces_and_quoted_lines_keep_their_bar() {
        let mut document = Document::default();
        document.line(Margin::Indent(0)).ours(Role::Plain, "one two three");
        document.line(Margin::Quote).theirs(Role::Plain, Untrusted::block("a\n\tbcdefghij\u{202e}", 0));
        assert_eq!(shown(&document, 8), ["one two ", "  three", "│ a", "│     bc", "┆ defghi", "┆ j<U+20", "┆ 2E>"]);
    }

    /// A cell of so many columns, and what stands behind it.
    fn cell(text: &str, columns: usize) -> String {
        let cells = Cells::new(Theme::default(), 20).theirs(Role::Plain, text, columns).ours(Role::Plain, "|", 1);
        cells.spans().iter().map(|span| span.content.as_ref()).collect()
    }

    #[test]
    fn a_cell_that_is_cut_says_so_once() {
        for (text, shown) in [
            ("abcdef", "abcdef|"),
            ("abcdefg", "abcde…|"),
            ("日本語", "日本語|"),
            ("日本語日", "日本… |"),
            ("日本\u{200b}x", "日本<…|"),
            ("a\u{200b}", "a<U+2…|"),
            ("a\nb", "a ⏎ b |"),
            (" a  b", "a b   |"),
        ] {
            let shown = shown.to_owned();
            let text_cell = cell(text, 6);
            assert_eq!(text_cell.replace(' ', ""), shown.replace(' ', ""), "{text:?}");
            assert_eq!(columns_of(&text_cell), 7, "{text_cell:?}");
        }
        // Also where what is left out is behind all that was looked at.
        assert!(cell(&" ".repeat(100_000), 6).starts_with('…'));
    }

    proptest! {
        #[test]
        fn every_row_fits_and_nothing_is_lost_or_deceptive(text in any::<String>(), width in 8_u16..40) {
            let mut document = Document::default();
            document.line(Margin::Quote).theirs(Role::Plain, Untrusted::block(&text, 0));
            let whole: String = document.text.clone();
            let mut seen = String::new();
            for row in document.rows(width) {
                let spans = document.spans(row, &Theme::default());
                let columns: usize = spans.iter().map(Span::width).sum();
                prop_assert!(columns <= usize::from(width), "{spans:?}");
                for span in &spans[1..] {
                    seen.push_str(&span.content);
                }
            }
            prop_assert_eq!(&seen, &whole);
            prop_assert!(!seen.chars().any(is_deceptive));
        }

        #[test]
        fn a_list_row_is_as_wide_as_it_should_be(text in any::<String>(), width in 4_u16..60) {
            let theme = Theme::default();
            let spans = Cells::new(theme, width).ours(Role::Plain, "x", 2).rest(Role::Plain, &text).spans();
            let columns: usize = spans.iter().map(Span::width).sum();
            prop_assert!(columns <= usize::from(width), "{columns} {spans:?}");
            prop_assert!(!spans.iter().any(|span| span.content.chars().any(is_deceptive)));
        }
    }
}
