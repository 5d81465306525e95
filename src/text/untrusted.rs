//! Text that somebody else wrote, printed so that it cannot lie: an approver must read the statement that
//! runs, not what a terminal makes of its escape sequences, bidirectional overrides or invisible letters.

use std::fmt::{self, Write};

use unicode_width::UnicodeWidthChar;

/// Text from a client, printed with every character that is invisible or that steers the terminal as
/// `<U+XXXX>`.
#[derive(Debug, Clone, Copy)]
pub struct Untrusted<'a> {
    text: &'a str,
    layout: Layout,
}

/// What happens to line ends and tabs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// They are shown as characters: nothing in the text can begin a line of ours.
    Line,
    /// They keep their meaning; each line after the first begins with this many spaces.
    Block(usize),
}

impl<'a> Untrusted<'a> {
    /// Printed on one line.
    #[must_use]
    pub const fn line(text: &'a str) -> Self {
        Self { text, layout: Layout::Line }
    }

    /// Printed with its own line ends and tabs, the lines after the first indented by `indent` spaces so
    /// that they cannot be taken for lines of ours. A lone carriage return is named and ends the line too: to Postgres
    /// it ends a comment, and what stands behind it must not look like more of the comment.
    #[must_use]
    pub const fn block(text: &'a str, indent: usize) -> Self {
        Self { text, layout: Layout::Block(indent) }
    }
}

/// How many marks that combine with the character before them are shown as they are; a pile of more than these
/// reaches into other lines.
const COMBINING_MAX: usize = 3;

/// A part of a text that somebody else wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Characters that are what they look like.
    Text(&'a str),
    /// One that is not: shown as `<U+XXXX>`.
    Hidden(char),
    /// A line end of a block.
    LineEnd,
    /// A tab of a block.
    Tab,
}

impl<'a> Untrusted<'a> {
    /// The text in pieces, for those who style them. Nothing else gives the text out.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'a>> + use<'a> {
        Pieces { rest: self.text, layout: self.layout, combining: 0, next: None }
    }

    /// How many characters are not what they look like.
    #[must_use]
    pub fn hidden(&self) -> usize {
        self.pieces().filter(|piece| matches!(piece, Piece::Hidden(_))).count()
    }
}

struct Pieces<'a> {
    rest: &'a str,
    layout: Layout,
    combining: usize,
    /// What comes before the rest.
    next: Option<Piece<'a>>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        if let Some(piece) = self.next.take() {
            return Some(piece);
        }
        let block = matches!(self.layout, Layout::Block(_));
        for (at, character) in self.rest.char_indices() {
            let special = match character {
                '\n' if block => Some(Piece::LineEnd),
                '\t' if block => Some(Piece::Tab),
                // One before a line feed changes nothing.
                '\r' if block && self.rest[at + 1..].starts_with('\n') => Some(Piece::Text("")),
                other if is_deceptive(other) || self.is_piled(other) => Some(Piece::Hidden(other)),
                _ => None,
            };
            let Some(special) = special else { continue };
            let (before, rest) = self.rest.split_at(at);
            if before.is_empty() {
                self.rest = &rest[character.len_utf8()..];
                // What follows a named mark would combine with our own text.
                self.combining = if character.width() == Some(0) { COMBINING_MAX } else { 0 };
                if block && special == Piece::Hidden('\r') {
                    self.next = Some(Piece::LineEnd);
                }
                return Some(special);
            }
            self.rest = rest;
            return Some(Piece::Text(before));
        }
        let rest = std::mem::take(&mut self.rest);
        (!rest.is_empty()).then_some(Piece::Text(rest))
    }
}

impl Pieces<'_> {
    /// Whether a character combines with what stands before it, on top of too many that do.
    fn is_piled(&mut self, character: char) -> bool {
        if character.width() == Some(0) {
            self.combining += 1;
        } else {
            self.combining = 0;
        }
        self.combining > COMBINING_MAX
    }
}

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let indent = match self.layout {
            Layout::Line => 0,
            Layout::Block(indent) => indent,
        };
        self.pieces().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Hidden(character) => write!(f, "<U+{:04X}>", u32::from(character)),
            Piece::LineEnd => write!(f, "\n{:indent$}", ""),
            Piece::Tab => f.write_char('\t'),
        })
    }
}

/// Whether a character is invisible, moves the cursor, or changes the direction of others. An ordinary
/// space is not.
#[must_use]
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{00AD}'
            | '\u{034F}'
            | '\u{061C}'
            | '\u{115F}'..='\u{1160}'
            | '\u{17B4}'..='\u{17B5}'
            | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFB}'
            | '\u{1BCA0}'..='\u{1BCA3}'
            | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
            // Other spaces than U+0020: letters to Postgres, gaps to the eye.
            | '\u{00A0}'
            | '\u{1680}'
            | '\u{2000}'..='\u{200A}'
            | '\u{202F}'
            | '\u{205F}'
            | '\u{3000}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn deceptive_characters_are_named() {
        for (text, shown) in [
            ("plain", "plain"),
            ("a\u{1b}[2Kb", "a<U+001B>[2Kb"),
            ("a\u{202e}b", "a<U+202E>b"),
            ("a\u{200b}b", "a<U+200B>b"),
            ("a\nb", "a<U+000A>b"),
            ("a\tb", "a<U+0009>b"),
            ("a\u{a0}b", "a<U+00A0>b"),
            ("grüße 日本 🙂", "grüße 日本 🙂"),
            ("a\u{9b}31m", "a<U+009B>31m"),
            ("a\u{e0041}", "a<U+E0041>"),
        ] {
            assert_eq!(Untrusted::line(text).to_string(), shown);
        }
    }

    #[test]
    fn a_pile_of_combining_marks_is_named() {
        let pile = format!("e{}x", "\u{301}".repeat(6));
        let shown = Untrusted::line(&pile).to_string();
        assert_eq!(shown, "e\u{301}\u{301}\u{301}<U+0301><U+0301><U+0301>x");
        assert_eq!(Untrusted::line(&pile).hidden(), 3);
    }

    #[test]
    fn a_block_keeps_its_lines_and_indents_them() {
        assert_eq!(Untrusted::block("a\r\nb\rc\n\td", 2).to_string(), "a\n  b<U+000D>\n  c\n  \td");
    }

    proptest! {
        #[test]
        fn nothing_deceptive_is_left(text in any::<String>()) {
            let shown = Untrusted::line(&text).to_string();
            prop_assert!(!shown.chars().any(is_deceptive));
        }
    }
}
