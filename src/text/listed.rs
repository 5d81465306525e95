//! The beginning of a text with lines, for one line of a list.

use super::untrusted::{Piece, Untrusted};

/// Stands for a line end. One in the text itself is named, so that it cannot pass for that.
pub const LINE_END: &str = "⏎";

/// No more of a text is looked at than this.
const LOOKED_AT_BYTES: usize = 64 << 10;

/// The beginning of a text: white space in it is a single space, and a line feed between two where there was a line
/// end, which may be the end of a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    text: String,
    /// Whether that is all.
    pub rest: Rest,
}

/// Whether there is more of a text than is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// No.
    None,
    /// Yes.
    Cut,
}

/// What stands between two words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Space,
    LineEnd,
}

impl Listed {
    /// At most so many characters of a text, blanks at its beginning and its end left out.
    #[must_use]
    pub fn new(text: &str, most: usize) -> Self {
        let bound = LOOKED_AT_BYTES.min(text.len());
        let end = (0..=bound).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let mut listed = Self { text: String::new(), rest: if end < text.len() { Rest::Cut } else { Rest::None } };
        let (mut gap, mut count) = (Gap::None, 0);
        for character in text[..end].chars() {
            match character {
                '\n' | '\r' => gap = Gap::LineEnd,
                character if character.is_ascii_whitespace() => gap = gap.max(Gap::Space),
                character => {
                    let before = match gap {
                        _ if count == 0 => "",
                        Gap::None => "",
                        Gap::Space => " ",
                        Gap::LineEnd => " \n ",
                    };
                    count += before.len() + 1;
                    if count > most {
                        listed.rest = Rest::Cut;
                        break;
                    }
                    listed.text.push_str(before);
                    if LINE_END.starts_with(character) {
                        listed.text.push_str(&format!("<U+{:04X}>", u32::from(character)));
                    } else {
                        listed.text.push(character);
                    }
                    gap = Gap::None;
                }
            }
        }
        listed
    }

    /// It in pieces; it has no tabs.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        Untrusted::block(&self.text, 0).pieces()
    }
}

impl std::fmt::Display for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Untrusted text has no other line feeds than these.
        f.write_str(&Untrusted::block(&self.text, 0).to_string().replace('\n', LINE_END))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::untrusted::is_deceptive;

    fn listed(text: &str) -> String {
        Listed::new(text, 80).to_string()
    }

    #[test]
    fn line_ends_are_seen() {
        for (text, shown) in [
            ("delete from t -- all\n or id < 5", "delete from t -- all ⏎ or id < 5"),
            ("-- a\rb", "-- a ⏎ b"),
            ("a\r\n\n  b\tc\n", "a ⏎ b c"),
            ("\n\n a  b ", "a b"),
            ("-- a ⏎ where", "-- a <U+23CE> where"),
            ("a\u{1b}b", "a<U+001B>b"),
            ("", ""),
        ] {
            assert_eq!(listed(text), shown, "{text:?}");
        }
    }

    #[test]
    fn what_is_left_out_is_told() {
        assert_eq!(Listed::new("abc", 3).rest, Rest::None);
        assert_eq!(Listed::new("abcd", 3), Listed { text: "abc".to_owned(), rest: Rest::Cut });
        let blank = " ".repeat(LOOKED_AT_BYTES + 1);
        assert_eq!(Listed::new(&blank, 3).rest, Rest::Cut);
    }

    proptest! {
        #[test]
        fn it_is_one_line_and_bounded(text in any::<String>(), most in 0_usize..40) {
            let listed = Listed::new(&text, most);
            prop_assert!(!listed.to_string().chars().any(is_deceptive));
            prop_assert!(listed.text.replace("<U+23CE>", "⏎").chars().count() <= most.max(text.chars().count()));
        }
    }
}
