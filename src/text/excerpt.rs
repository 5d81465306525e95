//! The lines of a file around an error, with the place underlined.

use std::fmt;
use std::ops::Range;

use super::untrusted::Untrusted;

/// No more of a line is shown than this many characters before and after the place.
const CONTEXT_CHARACTERS: usize = 60;

/// A place in a text, with the line it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is shown of the line.
    shown: String,
    /// Where in `shown` the underline begins, in characters.
    underline_from: usize,
    /// How long it is, in characters; at least 1.
    underline_length: usize,
}

impl Excerpt {
    /// The place `span` (byte offsets) in `source`. Offsets outside of the text or inside a character are
    /// moved to the nearest place before.
    #[must_use]
    pub fn new(source: &str, span: Range<usize>) -> Self {
        let start = floor(source, span.start);
        let end = floor(source, span.end).max(start);
        let line_start = source[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = source[start..].find('\n').map_or(source.len(), |at| start + at);
        let before = &source[line_start..start];
        let marked = &source[start..end.min(line_end)];
        let after = &source[start + marked.len()..line_end];

        let before_shown = visible(last_characters(before, CONTEXT_CHARACTERS));
        let marked_shown = visible(first_characters(marked, CONTEXT_CHARACTERS));
        let after_shown = visible(first_characters(after, CONTEXT_CHARACTERS));
        Self {
            line: source[..start].matches('\n').count() + 1,
            column: before.chars().count() + 1,
            underline_from: before_shown.chars().count(),
            underline_length: marked_shown.chars().count().max(1),
            shown: format!("{before_shown}{marked_shown}{after_shown}"),
        }
    }
}

impl fmt::Display for Excerpt {
    /// Three lines: a margin, the source line with its number, the underline. No line end at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = number.len();
        writeln!(f, "{:margin$} |", "")?;
        writeln!(f, "{number} | {}", self.shown.trim_end())?;
        write!(f, "{:margin$} | {:from$}{}", "", "", "^".repeat(self.underline_length), from = self.underline_from)
    }
}

/// The nearest character boundary at or before `at`.
fn floor(source: &str, at: usize) -> usize {
    let mut at = at.min(source.len());
    while !source.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// As it is printed: tabs as one space so that the underline stands below its place.
fn visible(text: &str) -> String {
    Untrusted::line(&text.replace('\t', " ").replace('\r', "")).to_string()
}

fn first_characters(text: &str, count: usize) -> &str {
    text.char_indices().nth(count).map_or(text, |(at, _)| &text[..at])
}

fn last_characters(text: &str, count: usize) -> &str {
    let total = text.chars().count();
    text.char_indices().nth(total.saturating_sub(count)).map_or(text, |(at, _)| &text[at..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_place_is_underlined() {
        let source = "a = 1\nlisen = \"x\"\n";
        let excerpt = Excerpt::new(source, 6..11);
        assert_eq!((excerpt.line, excerpt.column), (2, 1));
        assert_eq!(excerpt.to_string(), "  |\n2 | lisen = \"x\"\n  | ^^^^^");
    }

    #[test]
    fn a_span_over_lines_is_underlined_on_its_first() {
        let excerpt = Excerpt::new("x (\n1\n)", 2..7);
        assert_eq!(excerpt.to_string(), "  |\n1 | x (\n  |   ^");
    }

    proptest! {
        #[test]
        fn any_span_of_any_text_is_shown(source in any::<String>(), start in 0usize..50, end in 0usize..50) {
            let excerpt = Excerpt::new(&source, start..end);
            prop_assert!(excerpt.line >= 1 && excerpt.column >= 1);
            prop_assert_eq!(excerpt.to_string().lines().count(), 3);
        }
    }
}
