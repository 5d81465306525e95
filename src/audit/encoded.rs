//! Records as they wait to be written: encoded where they arise, so that what waits is bytes.
//!
//! A record that passed [`Record::bounded`](super::Record) goes through serde. The one or two records of each statement do
//! not: all but its text, its values and a few numbers is the same as in the statement before, so that a [`Scribe`]
//! copies those parts. Both ways give the same bytes, which a test holds them to.

use std::sync::Arc;

use jiff::Timestamp;

use super::record::{Record, RecordKind};
use crate::text;

/// Statements with more text than this take the way of all records, which cuts them.
const LONGEST_SQL_BYTES: usize = 5 * 1024;
/// Lines longer than this are not made: far from what an entry can hold.
const LONGEST_LINE_BYTES: usize = 40 * 1024;

/// A record: the JSON of its entry between the index and the salt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded(Vec<u8>);

impl Encoded {
    /// Encodes a record, cutting what is too long.
    #[must_use]
    pub fn of(record: Record) -> Self {
        let mut json = Vec::with_capacity(512);
        text::json::write(&mut json, &record.bounded())
            .expect("a record has only string keys and no value that fails to serialize");
        json.pop();
        json.remove(0);
        Self(json)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The buffer, to be used again.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        self.0
    }

    /// Adds why, at the end of a record that has no such field and none of those behind it.
    pub fn add_reason(&mut self, reason: &str) {
        self.0.extend_from_slice(b",\"reason\":");
        write_string(&mut self.0, reason);
    }

    /// Adds how a statement ended, at the end of a record that does not tell yet.
    pub fn add_end(&mut self, rows: Option<u64>, sqlstate: Option<&str>, duration_us: Option<u64>) {
        if let Some(rows) = rows {
            self.0.extend_from_slice(b",\"rows\":");
            write_number(&mut self.0, rows);
        }
        if let Some(sqlstate) = sqlstate {
            self.0.extend_from_slice(b",\"sqlstate\":");
            write_string(&mut self.0, sqlstate);
        }
        if let Some(duration) = duration_us {
            self.0.extend_from_slice(b",\"duration_us\":");
            write_number(&mut self.0, duration);
        }
    }
}

/// Writes the records of one session's statements.
#[derive(Debug)]
pub struct Scribe {
    /// From behind the time to the number of the statement, for an intent and for an outcome.
    intent: Box<[u8]>,
    outcome: Box<[u8]>,
    /// Identity and database.
    who: Box<[u8]>,
    clock: TimeText,
}

/// What a statement does and what was decided, as it stands in records: the same each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged(Box<[u8]>);

impl Judged {
    /// The fields of such a record behind text and values.
    #[must_use]
    pub fn of(record: Record) -> Self {
        let Encoded(json) = Encoded::of(Record { sql: None, params: None, ..record });
        // Only time and kind come before.
        let from = json.windows(2).position(|pair| pair == b",\"").map_or(json.len(), |kind| {
            json[kind + 1..].windows(2).position(|pair| pair == b",\"").map_or(json.len(), |at| kind + 1 + at)
        });
        Self(json[from..].into())
    }
}

impl Scribe {
    /// For a session.
    #[must_use]
    pub fn new(session: &str, identity: &str, database: &str) -> Self {
        let head = |kind: RecordKind| {
            let mut bytes = Vec::new();
            bytes.extend_from_slice(b"\"kind\":");
            write_string(&mut bytes, kind.as_str());
            bytes.extend_from_slice(b",\"session\":");
            write_string(&mut bytes, session);
            bytes.extend_from_slice(b",\"statement\":");
            bytes.into()
        };
        let mut who = Vec::new();
        who.extend_from_slice(b",\"identity\":");
        write_string(&mut who, identity);
        who.extend_from_slice(b",\"database\":");
        write_string(&mut who, database);
        Self {
            intent: head(RecordKind::Intent),
            outcome: head(RecordKind::Outcome),
            who: who.into(),
            clock: TimeText::default(),
        }
    }

    /// The record of a statement that is about to run. The values write themselves, as a list or not at all, and say
    /// whether they are short enough. `None`, with the buffer, where it has to go the way of all records.
    pub fn intent(
        &mut self,
        mut buffer: Vec<u8>,
        at: Microseconds,
        statement: u64,
        sql: &[u8],
        values: impl FnOnce(&mut Vec<u8>) -> bool,
        judged: &Judged,
    ) -> Result<Encoded, Vec<u8>> {
        buffer.clear();
        let Some(sql) = std::str::from_utf8(sql).ok().filter(|sql| sql.len() <= LONGEST_SQL_BYTES) else {
            return Err(buffer);
        };
        self.clock.write(&mut buffer, at);
        buffer.extend_from_slice(&self.intent);
        write_number(&mut buffer, statement);
        buffer.extend_from_slice(&self.who);
        buffer.extend_from_slice(b",\"sql\":");
        write_string(&mut buffer, sql);
        if !values(&mut buffer) {
            return Err(buffer);
        }
        buffer.extend_from_slice(&judged.0);
        if buffer.len() > LONGEST_LINE_BYTES { Err(buffer) } else { Ok(Encoded(buffer)) }
    }

    /// The record of what became of a statement.
    pub fn outcome(&mut self, mut buffer: Vec<u8>, at: Microseconds, statement: u64) -> Encoded {
        buffer.clear();
        self.clock.write(&mut buffer, at);
        buffer.extend_from_slice(&self.outcome);
        write_number(&mut buffer, statement);
        buffer.extend_from_slice(&self.who);
        Encoded(buffer)
    }
}

/// A time, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microseconds(pub i64);

impl From<Microseconds> for Timestamp {
    fn from(time: Microseconds) -> Self {
        Self::from_microsecond(time.0).unwrap_or(Self::UNIX_EPOCH)
    }
}

/// Writes times; remembers the second, of which there are many records.
#[derive(Debug, Default)]
struct TimeText {
    second: Option<i64>,
    text: String,
}

impl TimeText {
    /// `"time":"2026-01-02T03:04:05.678Z",`
    fn write(&mut self, out: &mut Vec<u8>, Microseconds(at): Microseconds) {
        let second = at.div_euclid(1_000_000);
        if self.second != Some(second) {
            let whole = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
            self.text = format!("\"time\":\"{whole:.0}");
            // The `Z`.
            self.text.pop();
            self.second = Some(second);
        }
        let millisecond = at.rem_euclid(1_000_000) / 1_000;
        out.extend_from_slice(self.text.as_bytes());
        out.push(b'.');
        let digit = |power: i64| b'0' + u8::try_from(millisecond / power % 10).unwrap_or(0);
        out.extend([digit(100), digit(10), digit(1)]);
        out.extend_from_slice(b"Z\",");
    }
}

/// Writes a JSON string, as [`text::json::write`] does.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        text::json::write(out, text).expect("a string is JSON");
    }
}

/// Whether a JSON string shows it as it is. Looks at a block of bytes at a time, without a branch for each.
fn is_plain(text: &[u8]) -> bool {
    const BLOCK: usize = 32;
    let special = |byte: u8| !matches!(byte, b' '..=b'~') | (byte == b'"') | (byte == b'\\');
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let any = |bytes: &[u8]| bytes.iter().fold(false, |found, byte| found | special(*byte));
    !blocks.iter().any(|block| any(block)) && !any(rest)
}

/// Writes a number.
pub(super) fn write_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A statement whose intent is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its number in its session.
    pub statement: Option<u64>,
    /// The hold it was approved by.
    pub hold: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::{Action, Effect, Object, ObjectKind};

    fn judged_record(name: &str) -> Record {
        let mut record = Record::at(Timestamp::UNIX_EPOCH, RecordKind::Intent);
        record.actions = Some([Effect::new(Action::Read, Object::in_schema(ObjectKind::Table, "public", name))].into());
        record.verdict = Some("pass".into());
        record
    }

    proptest! {
        /// The short way and the long way give the same bytes.
        #[test]
        fn a_scribe_writes_what_serde_writes(
            sql in any::<String>(), name in any::<String>(), who in any::<String>(), value in prop::option::of(any::<String>()),
            at in -62_000_000_000_000_000_i64..200_000_000_000_000_000, statement: u64, rows: Option<u64>, duration: Option<u64>,
            sqlstate in prop::option::of("[0-9A-Z]{5}"), has_values: bool,
        ) {
            let judged = Judged::of(judged_record(&name));
            let mut scribe = Scribe::new("s-1", &who, "shop");
            let values = |out: &mut Vec<u8>| {
                if has_values {
                    out.extend_from_slice(b",\"params\":[");
                    match &value {
                        Some(value) => write_string(out, value),
                        None => out.extend_from_slice(b"null"),
                    }
                    out.push(b']');
                }
                true
            };
            let mut short = scribe.intent(b"old".to_vec(), Microseconds(at), statement, sql.as_bytes(), values, &judged).unwrap();
            short.add_end(rows, sqlstate.as_deref(), duration);

            let mut record = Record { time: Microseconds(at).into(), ..judged_record(&name) };
            record.session = Some("s-1".into());
            record.statement = Some(statement);
            record.identity = Some(who.as_str().into());
            record.database = Some("shop".into());
            record.sql = Some(sql.as_str().into());
            record.params = has_values.then(|| vec![value.clone()]);
            record.rows = rows;
            record.sqlstate = sqlstate.clone().map(Into::into);
            record.duration_us = duration;
            let long = Encoded::of(record);
            prop_assert_eq!(String::from_utf8(short.0).unwrap(), String::from_utf8(long.0).unwrap());

            let mut outcome = scribe.outcome(Vec::new(), Microseconds(at), statement);
            outcome.add_reason("why");
            let mut record = Record::at(Microseconds(at).into(), RecordKind::Outcome);
            record.session = Some("s-1".into());
            record.statement = Some(statement);
            record.identity = Some(who.as_str().into());
            record.database = Some("shop".into());
            record.reason = Some("why".into());
            prop_assert_eq!(outcome, Encoded::of(record));
        }
    }

    #[test]
    fn what_is_long_or_not_utf8_goes_the_way_of_all_records() {
        let judged = Judged::of(judged_record("t"));
        let mut scribe = Scribe::new("s", "i", "d");
        let mut write = |sql: &[u8], fits: bool| scribe.intent(Vec::new(), Microseconds(0), 1, sql, |_| fits, &judged);
        assert!(write(b"SELECT 1", true).is_ok());
        assert!(write(b"SELECT 1", false).is_err());
        assert!(write(b"SELECT '\xff'", true).is_err());
        assert!(write(&vec![b' '; LONGEST_SQL_BYTES + 1], true).is_err());
    }
}
