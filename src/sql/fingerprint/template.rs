//! A text that was read, for recognising those that differ from it only in literals: a program sends the same few texts again
//! and again, and to compare them takes a fraction of what it takes to read them.

use std::ops::Range;

use super::super::limits::Limits;
use super::super::settings::LexerSettings;
use super::{is_short_and_utf8, plain};

/// A plain text with literals.
#[derive(Debug)]
pub struct Template {
    text: Box<[u8]>,
    literals: Box<[Range<usize>]>,
    settings: LexerSettings,
    limits: Limits,
}

impl Template {
    /// Of a text that has literals and is plain; `None` of others.
    #[must_use]
    pub fn of(text: &[u8], settings: &LexerSettings, limits: &Limits) -> Option<Self> {
        if !is_short_and_utf8(text, settings, limits) {
            return None;
        }
        let mut literals = Vec::new();
        plain::write(&mut Vec::new(), text, |literal| literals.push(literal))?;
        let is_some = !literals.is_empty();
        is_some.then(|| Self { text: text.into(), literals: literals.into(), settings: *settings, limits: *limits })
    }

    /// Whether a text is the same but for the values of its literals, so that both have one
    /// [fingerprint](super::Fingerprinter). One that is written otherwise may have it, too.
    #[must_use]
    pub fn fits(&self, text: &[u8], settings: &LexerSettings) -> bool {
        let fits = *settings == self.settings
            && is_short_and_utf8(text, settings, &self.limits)
            && self.rest_behind_literals(text).is_some_and(|(theirs, ours)| theirs == ours);
        debug_assert!(!fits || self.has_same_fingerprint(text), "a template that fits another text");
        fits
    }

    /// What stands behind the last literal, in the text and in this one; `None` if they differ before.
    fn rest_behind_literals<'a>(&'a self, text: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (mut theirs, mut at) = (text, 0);
        for literal in &self.literals {
            theirs = theirs.strip_prefix(self.text.get(at..literal.start)?)?;
            let is_string = self.text.get(literal.start) == Some(&b'\'');
            let length = if is_string { plain::string(theirs)? } else { plain::number(theirs)? };
            theirs = theirs.get(length..)?;
            at = literal.end;
        }
        Some((theirs, self.text.get(at..)?))
    }

    fn has_same_fingerprint(&self, text: &[u8]) -> bool {
        let (mut one, mut two) = (super::Fingerprinter::default(), super::Fingerprinter::default());
        one.read_tokens(&self.text, &self.settings, &self.limits) == Some(true)
            && two.read_tokens(text, &self.settings, &self.limits) == Some(true)
            && one.bytes == two.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn template(text: &str) -> Option<Template> {
        Template::of(text.as_bytes(), &LexerSettings::default(), &Limits::INLINE)
    }

    fn fits(template: &Template, text: &str) -> bool {
        template.fits(text.as_bytes(), &LexerSettings::default())
    }

    #[test]
    fn the_same_text_with_other_literals_fits_and_nothing_else() {
        let update = template("UPDATE t SET a = a + -12, b = 'x' WHERE id = 7;").unwrap();
        for same in
            ["UPDATE t SET a = a + -0, b = '' WHERE id = 7.25;", "UPDATE t SET a = a + -12, b = 'y z' WHERE id = 7;"]
        {
            assert!(fits(&update, same), "{same}");
        }
        let others = [
            "UPDATE t SET a = a + -12, b = 'x' WHERE id = 7",
            "UPDATE t SET a = a + -12, b = 'x' WHERE id = 7; ",
            "UPDATE t SET a = a + -12, b = 'x' WHERE id = 7e1;",
            "UPDATE t SET a = a + -12, b = 'x' WHERE id = 7_0;",
            "UPDATE t SET a = a + -12, b = 'x' WHERE id = '7';",
            "UPDATE t SET a = a + -12, b = 'x''y' WHERE id = 7;",
            "UPDATE t SET a = a + -12, b = 'x\\' WHERE id = 7;",
            "UPDATE t SET a = a + -12, b = 'x' OR true --' WHERE id = 7;",
            "UPDATE t SET a = a + -12, b = 5 WHERE id = 7;",
            "UPDATE u SET a = a + -12, b = 'x' WHERE id = 7;",
            "",
        ];
        for other in others {
            assert!(!fits(&update, other), "{other}");
        }
        let settings = LexerSettings { standard_conforming_strings: false, ..LexerSettings::default() };
        assert!(!update.fits(&update.text, &settings), "read with other settings it is another text");
        assert!(template("select a from t").is_none(), "there is nothing to leave out");
        assert!(template("select 1 -- one").is_none(), "not plain");
    }

    const FIXED: [&str; 20] = [
        "select ", "a", " from t", ", ", " = ", "-", "(", ")", " ", "\n", "'", ".", "x", "_", "$1", ";", "--", "/*",
        "E", "",
    ];
    const LITERALS: [&str; 16] = [
        "1", "0", "12.5", "1.", ".5", "1e5", "1_0", "0x1", "7a", "''", "'a'", "'b c'", "'''", "'\\'", "'a' 'b'", "'é'",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        /// A text that fits has the fingerprint of the template, whatever stands where its literals were.
        #[test]
        fn what_fits_has_one_fingerprint(
            fixed in prop::collection::vec(prop::sample::select(&FIXED[..]), 1..8),
            ours in prop::collection::vec(prop::sample::select(&LITERALS[..]), 8),
            theirs in prop::collection::vec(prop::sample::select(&LITERALS[..]), 8),
        ) {
            let text = |literals: &[&str]| -> String {
                fixed.iter().zip(literals).flat_map(|(fixed, literal)| [*fixed, *literal]).collect()
            };
            if let Some(template) = template(&text(&ours)) {
                prop_assert!(fits(&template, &text(&ours)), "itself");
                if fits(&template, &text(&theirs)) {
                    prop_assert!(template.has_same_fingerprint(text(&theirs).as_bytes()));
                }
            }
        }
    }
}
