//! Literals that a column is compared with: whether its values are on one side of them anyway.

/// Numbers from here on are above whatever a column holds that somebody counts with.
const LARGE: f64 = 2_147_483_647.0;

/// Years up to this one, with which the clocks of computers begin, are before whatever a column of times holds.
const FIRST_YEAR: f64 = 1970.0;

/// Years from this one on, with which the shorter of those clocks end, are after whatever a column of times holds.
const LAST_YEAR: f64 = 2038.0;

/// A bound that keys, times and names are above anyway.
pub(super) fn is_low(text: &str, negative: bool, least: f64) -> bool {
    let text = text.trim();
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("-infinity") || is("epoch") || (negative && is("infinity")) {
        return true;
    }
    match number(text) {
        Some(number) if negative => number >= 0.0,
        Some(number) => number <= least || is_date_with(text, |year| year <= FIRST_YEAR),
        None => {
            !text.chars().any(|c| c.is_alphanumeric() && c != '0')
                || text.to_ascii_lowercase().ends_with("bc")
                || year(text).is_some_and(|year| year <= FIRST_YEAR)
        }
    }
}

/// A bound that keys, times and names are below anyway.
pub(super) fn is_high(text: &str, negative: bool) -> bool {
    let text = text.trim();
    if negative {
        return false;
    }
    if text.eq_ignore_ascii_case("infinity") {
        return true;
    }
    match number(text) {
        Some(number) => number >= LARGE || number.is_nan() || is_date_with(text, |year| year >= LAST_YEAR),
        None => {
            year(text).is_some_and(|year| year >= LAST_YEAR)
                || text.chars().next().is_some_and(|first| first.to_ascii_lowercase() >= 'z')
                || (!text.is_empty() && text.chars().all(|c| matches!(c, 'f' | 'F' | '-')))
        }
    }
}

/// Whether an array, a range, a prefix or a document holds something: not every other holds nothing, and not every other
/// is within.
pub(super) fn is_some(text: &str) -> bool {
    let text = text.trim();
    let word = ["empty", "true", "false", "null"].iter().any(|word| text.eq_ignore_ascii_case(word));
    let written = text.chars().any(|c| c.is_alphanumeric() && c != '0');
    // What a query of texts denies, and what a path through a document says, may hold for every row.
    if word || !written || text.contains(['!', '$', '=']) {
        return false;
    }
    let inside = text.strip_prefix('{').and_then(|inside| inside.strip_suffix('}')).unwrap_or(text).trim();
    let one = inside.strip_prefix(['[', '(']).and_then(|inside| inside.strip_suffix([']', ')']));
    let Some(one) = one else { return true };
    let mut ends = one.split(',');
    match (ends.next(), ends.next(), ends.next()) {
        // A range is what is above one end and below the other.
        (Some(low), Some(high), None) => {
            let (low, high) = (low.trim().trim_matches('"'), high.trim().trim_matches('"'));
            (!low.is_empty() && !is_low(low, false, 1.0)) || (!high.is_empty() && !is_high(high, false))
        }
        // Several ranges may hold everything together.
        (_, _, Some(_)) => !text.starts_with('{'),
        _ => true,
    }
}

/// Whether a regular expression surely fails for some text: it has a letter or digit that must be there, and not just any
/// of the alphabet somewhere.
pub(super) fn must_have(pattern: &str) -> bool {
    let any_of_many = ["0-9", "a-z", "A-Z", "[:"].iter().any(|range| pattern.contains(range));
    let outside = match (pattern.split_once('['), pattern.rsplit_once(']')) {
        (Some((before, _)), Some((_, after))) if any_of_many && !pattern.ends_with('$') => [before, after],
        _ => [pattern, ""],
    };
    outside.iter().any(|part| part.chars().any(char::is_alphanumeric)) && !pattern.contains(['|', '*', '?', '{', '\\'])
}

/// The truth value that a string is where one is asked for. Words that are also something else, `no` and `on`, are left
/// out.
pub(super) fn truth(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let is = |word: &str| !text.is_empty() && word.starts_with(&text);
    (is("true") || is("false")).then(|| is("true"))
}

/// A number in any form that the server reads.
fn number(text: &str) -> Option<f64> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    let based = [("0x", 16), ("0o", 8), ("0b", 2)].into_iter().find_map(|(prefix, base)| {
        let (start, rest) = digits.split_at_checked(2)?;
        start.eq_ignore_ascii_case(prefix).then_some((rest, base))
    });
    match based {
        Some((rest, base)) if !rest.is_empty() && rest.chars().all(|c| c.is_digit(base)) => {
            Some(u64::from_str_radix(rest, base).map_or(f64::INFINITY, |number| number as f64))
        }
        _ => digits.parse().ok(),
    }
}

/// The year of a date: the first number of four digits or more. Digits among letters, and those of
/// a UUID, are none.
fn year(text: &str) -> Option<f64> {
    let is_uuid = text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4;
    let ends_number = |c: char| !c.is_ascii_alphanumeric() || matches!(c, 'T' | 't');
    text.split(ends_number)
        .find(|digits| digits.len() >= 4 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|_| !is_uuid)?
        .parse()
        .ok()
}

/// Whether a number is a date without dashes, `99991231`, whose year is so.
fn is_date_with(text: &str, is_so: impl Fn(f64) -> bool) -> bool {
    let part = |from: usize, to: usize| text.get(from..to).and_then(|digits| digits.parse::<u32>().ok());
    text.len() == 8
        && part(4, 6).is_some_and(|month| (1..=12).contains(&month))
        && part(6, 8).is_some_and(|day| (1..=31).contains(&day))
        && part(0, 4).is_some_and(|year| is_so(f64::from(year)))
}
