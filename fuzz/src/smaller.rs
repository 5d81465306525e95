//! Makes a counterexample smaller while it stays one.

use crate::check::{Text, check};
use crate::support::pieces::cut;

/// Tries that are made: enough for what the mutator makes.
const TRIES: usize = 4_000;

/// A smaller text that is a counterexample as well.
pub(crate) fn smaller(text: &Text) -> Text {
    let mut best = text.clone();
    let mut tries = 0;
    // Without whole pieces first, then without characters.
    let pieces = cut(&best.sql);
    if fails(&pieces.join(" "), &best, &mut tries) {
        best.sql = shrink(pieces, " ", &best, &mut tries);
    }
    let characters = best.sql.chars().map(String::from).collect();
    best.sql = shrink(characters, "", &best, &mut tries);
    best
}

fn fails(sql: &str, like: &Text, tries: &mut usize) -> bool {
    *tries += 1;
    *tries <= TRIES && check(&Text { sql: sql.to_owned(), ..like.clone() }).is_err()
}

/// Leaves out runs of parts, long ones first.
fn shrink(mut parts: Vec<String>, glue: &str, like: &Text, tries: &mut usize) -> String {
    let mut run = parts.len() / 2;
    while run > 0 {
        let mut at = 0;
        while at < parts.len() {
            let mut without = parts.clone();
            without.drain(at..(at + run).min(parts.len()));
            if fails(&without.join(glue), like, tries) {
                parts = without;
            } else {
                at += run;
            }
        }
        run /= 2;
    }
    parts.join(glue)
}
