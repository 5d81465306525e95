//! `pgsluice audit search` and `pgsluice audit show`.

use std::path::Path;

use clap::Args;
use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};

use super::render;
use crate::audit::view::{EntryView, Filter};
use crate::audit::{Continue, Reader};
use crate::cli::{CommandResult, Exit, Failure, Output};

/// `audit search`
#[derive(Debug, Args)]
pub struct Arguments {
    /// Who asked
    #[arg(long, value_name = "NAME")]
    identity: Option<String>,
    /// A kind of entry: intent, outcome, hold, decision, session_start, ...; may be repeated
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Not before this time: 2026-01-31T12:00:00Z, 2026-01-31 (UTC), or 2h, 30m, 7d ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<Timestamp>,
    /// A part of the statement, in upper or lower case
    #[arg(long, value_name = "TEXT")]
    sql: Option<String>,
    /// What the statement does: read, insert, delete, ...; may be repeated
    #[arg(long, value_name = "ACTION")]
    action: Vec<String>,
    /// What it does it to: a table's name, with or without its schema
    #[arg(long, value_name = "NAME")]
    object: Option<String>,
    /// The session
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The database
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// What was decided: pass, hold, deny, approved, ...
    #[arg(long, value_name = "VERDICT")]
    verdict: Option<String>,
    /// The hold's id
    #[arg(long, value_name = "ID")]
    hold: Option<String>,
    /// Stop after so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// One JSON object a line: the entries, byte for byte
    #[arg(long)]
    json: bool,
}

/// `audit show`
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The entry's index
    index: u64,
    /// The entry itself, byte for byte
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, directory: &Path) -> CommandResult {
    let filter = Filter {
        identity: arguments.identity.clone(),
        kinds: arguments.kind.clone(),
        since: arguments.since,
        until: arguments.until,
        sql: arguments.sql.clone(),
        actions: arguments.action.clone(),
        session: arguments.session.clone(),
        database: arguments.database.clone(),
        verdict: arguments.verdict.clone(),
        object: arguments.object.clone(),
        hold: arguments.hold.clone(),
    };
    let snapshot = Reader::open(directory).and_then(|reader| reader.snapshot()).map_err(super::failure)?;
    let mut left = arguments.limit.unwrap_or(u64::MAX);
    let mut output = Output::stdout();
    if left > 0 {
        super::for_each_sound(&snapshot, 0, |entry| {
            if EntryView::parse(entry.json).is_some_and(|view| filter.passes(&view)) {
                render::print(&mut output, entry, arguments.json)?;
                left -= 1;
            }
            Ok(if left > 0 { Continue::Yes } else { Continue::No })
        })?;
    }
    output.flush()?;
    Ok(Exit::Done)
}

pub(super) fn show(arguments: &ShowArguments, directory: &Path) -> CommandResult {
    let snapshot = Reader::open(directory).and_then(|reader| reader.snapshot()).map_err(super::failure)?;
    if arguments.index >= snapshot.size() {
        return Err(Failure::failed(format_args!(
            "there is no entry {}: the log has {}",
            arguments.index,
            snapshot.size()
        )));
    }
    let mut output = Output::stdout();
    super::for_each_sound(&snapshot, arguments.index, |entry| {
        if arguments.json {
            render::print(&mut output, entry, true)?;
        } else {
            output.line(render::whole(entry))?;
        }
        Ok(Continue::No)
    })?;
    output.flush()?;
    Ok(Exit::Done)
}

/// A point in time: RFC 3339, a day (its beginning, UTC), or how long ago.
fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let out_of_range = |error: jiff::Error| error.to_string();
    if let Ok(day) = text.parse::<civil::Date>() {
        return day.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()).map_err(out_of_range);
    }
    let ago = ago(text).ok_or("a time is 2026-01-31T12:00:00Z, 2026-01-31, or 2h, 30m, 7d ago")?;
    Timestamp::now().checked_sub(ago).map_err(out_of_range)
}

fn ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 24 * 3600,
        'w' => 7 * 24 * 3600,
        _ => return None,
    };
    let number: u32 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    Some(SignedDuration::from_secs(i64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_three_forms() {
        assert_eq!(time("2026-01-31T12:00:00+01:00").unwrap().to_string(), "2026-01-31T11:00:00Z");
        assert_eq!(time("2026-01-31").unwrap().to_string(), "2026-01-31T00:00:00Z");
        assert_eq!(ago("2h"), Some(SignedDuration::from_secs(7200)));
        assert_eq!(ago("7d"), Some(SignedDuration::from_secs(7 * 86_400)));
        assert!(time("1m").unwrap() < Timestamp::now());
    }

    #[test]
    fn other_times_are_refused() {
        for text in ["", "h", "-1h", "1.5h", "yesterday", "2026-13-01", "1ü", "4294967295w", "99999999999h"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
