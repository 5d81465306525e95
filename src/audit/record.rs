//! What is written down: one struct for every kind of record, whose JSON is a contract.
//!
//! A record's JSON, with the index it got and a salt, is the leaf of the Merkle tree, byte for byte (see
//! [`entry`](super::entry)). Fields a kind does not have are left out. The order of the fields is the order of
//! the struct.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::{SerializeSeq, SerializeStruct};
use serde::{Deserialize, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::sql::effect::{Certainty, Effect};
use crate::text::untrusted::is_deceptive;

/// Bytes of the statement's text that are kept, counted as JSON writes them.
const SQL_KEPT_BYTES: usize = 32 * 1024;
/// Bytes of all parameter values together that are kept, counted as JSON writes them.
const PARAMS_KEPT_BYTES: usize = 12 * 1024;
/// Bytes of the list of actions that are kept.
const ACTIONS_KEPT_BYTES: usize = 6 * 1024;
/// Bytes of the reason that are kept.
const REASON_KEPT_BYTES: usize = 2 * 1024;
/// Bytes of the detail that are kept.
const DETAIL_KEPT_BYTES: usize = 4 * 1024;
/// Bytes of every other text that are kept.
const TEXT_KEPT_BYTES: usize = 512;

/// One record. Made with [`Record::new`], completed field by field, given to [`Log`](super::Log).
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// When it happened; written as RFC 3339 with milliseconds, UTC.
    #[serde(serialize_with = "milliseconds")]
    pub time: Timestamp,
    /// What it tells of.
    pub kind: RecordKind,
    /// The session it happened in.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub session: Option<Arc<str>>,
    /// The number of the statement in its session: ties an outcome to its intent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<u64>,
    /// Who asked: the identity's name.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub identity: Option<Arc<str>>,
    /// The database.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub database: Option<Arc<str>>,
    /// The statement's text; only its beginning where `sql_bytes` says that it is longer.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub sql: Option<Arc<str>>,
    /// The whole text's length in bytes, where `sql` is not exactly that text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_bytes: Option<u64>,
    /// SHA-256 of the whole text in hex, where `sql` is not exactly that text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_sha256: Option<String>,
    /// The bind values as text, `null` for NULL; binary ones as Postgres writes `bytea`, `\x...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<Vec<Option<String>>>,
    /// SHA-256, in hex, of the JSON of all values, where `params` is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params_sha256: Option<String>,
    /// What the statement does.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "actions")]
    pub actions: Option<Arc<[Effect]>>,
    /// How many actions are not in the list because it would be too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions_omitted: Option<u64>,
    /// `pass`, `hold`, `deny`; for a decision `approved`, `denied`, `expired`, `withdrawn`, `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Cow<'static, str>>,
    /// Which policy decided.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub policy: Option<Arc<str>>,
    /// The hold's id.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub hold: Option<Arc<str>>,
    /// Who decided or did it, where that is not the identity that asked.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub by: Option<Arc<str>>,
    /// Why, in a person's words or ours.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "text")]
    pub reason: Option<Arc<str>>,
    /// Rows the server said it changed or returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// The SQLSTATE of the error that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<Cow<'static, str>>,
    /// How long it took, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// What else there is to say of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<serde_json::Value>,
}

/// What a record tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordKind {
    /// The proxy started.
    Start,
    /// The proxy stopped in good order.
    Stop,
    /// A client logged in.
    SessionStart,
    /// A session ended.
    SessionEnd,
    /// A statement, with what was decided, before it goes to the server.
    Intent,
    /// What became of it.
    Outcome,
    /// A statement is held.
    Hold,
    /// A hold was approved or ended.
    Decision,
    /// Just-in-time access was asked for, given, used up or taken back.
    Grant,
    /// Configuration, policies or identities changed.
    Config,
    /// Records may be missing here.
    Gap,
    /// The content of earlier records was erased; their hashes stay.
    Redaction,
}

impl RecordKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Start,
        Self::Stop,
        Self::SessionStart,
        Self::SessionEnd,
        Self::Intent,
        Self::Outcome,
        Self::Hold,
        Self::Decision,
        Self::Grant,
        Self::Config,
        Self::Gap,
        Self::Redaction,
    ];

    /// The contract's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::SessionStart => "session_start",
            Self::SessionEnd => "session_end",
            Self::Intent => "intent",
            Self::Outcome => "outcome",
            Self::Hold => "hold",
            Self::Decision => "decision",
            Self::Grant => "grant",
            Self::Config => "config",
            Self::Gap => "gap",
            Self::Redaction => "redaction",
        }
    }
}

impl Record {
    /// A record of something that happens now.
    #[must_use]
    pub fn new(kind: RecordKind) -> Self {
        Self::at(Timestamp::now(), kind)
    }

    /// A record of something that happened at that time.
    #[must_use]
    pub const fn at(time: Timestamp, kind: RecordKind) -> Self {
        Self {
            time,
            kind,
            session: None,
            statement: None,
            identity: None,
            database: None,
            sql: None,
            sql_bytes: None,
            sql_sha256: None,
            params: None,
            params_sha256: None,
            actions: None,
            actions_omitted: None,
            verdict: None,
            policy: None,
            hold: None,
            by: None,
            reason: None,
            rows: None,
            sqlstate: None,
            duration_us: None,
            detail: None,
        }
    }

    /// Sets the statement's text from the bytes the client sent. Where they are not UTF-8, the text is the
    /// nearest there is, and length and hash are those of the bytes.
    pub fn set_sql(&mut self, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.sql = Some(text.into()),
            Err(_) => {
                self.sql_bytes = Some(bytes.len() as u64);
                self.sql_sha256 = Some(sha256_hex(bytes));
                self.sql = Some(String::from_utf8_lossy(bytes).into());
            }
        }
    }

    /// Cuts what is too long to be a leaf, noting length and hash of the whole. After it, the JSON of the record
    /// fits [`entry::MAX_BYTES`](super::entry::MAX_BYTES) with room for index and salt.
    pub(super) fn bounded(mut self) -> Self {
        self.bound_sql();
        self.bound_params();
        self.bound_actions();
        for field in
            [&mut self.session, &mut self.identity, &mut self.database, &mut self.policy, &mut self.hold, &mut self.by]
        {
            bound_text(field, TEXT_KEPT_BYTES);
        }
        bound_text(&mut self.reason, REASON_KEPT_BYTES);
        for field in [&mut self.verdict, &mut self.sqlstate] {
            if let Some(text) = field
                && let Some(end) = cut(text, TEXT_KEPT_BYTES)
            {
                *field = Some(Cow::Owned(text[..end].to_owned()));
            }
        }
        if let Some(detail) = &self.detail {
            let mut json = Vec::new();
            crate::text::json::write(&mut json, detail).expect("a JSON value has only string keys");
            if json.len() > DETAIL_KEPT_BYTES {
                self.detail = Some(serde_json::json!({
                    "omitted_bytes": json.len(),
                    "omitted_sha256": sha256_hex(&json),
                }));
            }
        }
        self
    }

    fn bound_sql(&mut self) {
        if let Some(sql) = &self.sql
            && let Some(end) = cut(sql, SQL_KEPT_BYTES)
        {
            // Length and hash of the client's own bytes, where they were noted, stand.
            if self.sql_sha256.is_none() {
                self.sql_bytes = Some(sql.len() as u64);
                self.sql_sha256 = Some(sha256_hex(sql.as_bytes()));
            }
            self.sql = Some(sql[..end].into());
        }
    }

    fn bound_params(&mut self) {
        // `null` and the comma, or the quotes and the comma.
        const AROUND_VALUE_BYTES: usize = 5;
        let Some(params) = &mut self.params else {
            return;
        };
        let whole: usize =
            params.iter().map(|value| value.as_ref().map_or(0, |text| written_bytes(text)) + AROUND_VALUE_BYTES).sum();
        if whole <= PARAMS_KEPT_BYTES {
            return;
        }
        let json = serde_json::to_vec(params).expect("a list of strings is always JSON");
        self.params_sha256 = Some(sha256_hex(&json));
        let mut left = PARAMS_KEPT_BYTES;
        let mut kept = Vec::new();
        for value in params.drain(..) {
            if left <= AROUND_VALUE_BYTES {
                break;
            }
            left -= AROUND_VALUE_BYTES;
            let value = value.map(|mut text| {
                if let Some(end) = cut(&text, left) {
                    text.truncate(end);
                }
                text
            });
            left -= value.as_deref().map_or(0, written_bytes);
            kept.push(value);
        }
        *params = kept;
    }

    fn bound_actions(&mut self) {
        // The names of the fields, the longest action and the longest kind.
        const AROUND_ACTION_BYTES: usize = 128;
        let Some(effects) = &self.actions else {
            return;
        };
        let mut left = ACTIONS_KEPT_BYTES;
        let kept = effects
            .iter()
            .take_while(|effect| {
                let schema = effect.object.schema.as_deref().map_or(0, written_bytes);
                let bytes = AROUND_ACTION_BYTES + schema + written_bytes(&effect.object.name);
                let fits = bytes <= left;
                left = left.saturating_sub(bytes);
                fits
            })
            .count();
        if kept < effects.len() {
            self.actions_omitted = Some((effects.len() - kept) as u64);
            self.actions = Some(effects[..kept].into());
        }
    }
}

/// How many bytes JSON needs for the text, without its quotes.
fn written_bytes(text: &str) -> usize {
    text.chars().map(written_character_bytes).sum()
}

/// How many bytes [`json::write`](crate::text::json::write) writes for a character of a string.
fn written_character_bytes(character: char) -> usize {
    const UNICODE_ESCAPE_BYTES: usize = r"\uXXXX".len();
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        _ if character.is_ascii_graphic() || character == ' ' => 1,
        _ if is_deceptive(character) => UNICODE_ESCAPE_BYTES * character.len_utf16(),
        _ => character.len_utf8(),
    }
}

/// Where to cut a text so that JSON needs at most `kept` bytes for it; `None` where it fits.
fn cut(text: &str, kept: usize) -> Option<usize> {
    // No byte is written as more than six: the common, short text is not looked at.
    if text.len() <= kept / 6 {
        return None;
    }
    let mut written = 0;
    text.char_indices().find_map(|(at, character)| {
        written += written_character_bytes(character);
        (written > kept).then_some(at)
    })
}

fn bound_text(field: &mut Option<Arc<str>>, kept: usize) {
    if let Some(text) = field
        && let Some(end) = cut(text, kept)
    {
        *field = Some(text[..end].into());
    }
}

fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn milliseconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

fn text<S: Serializer>(text: &Option<Arc<str>>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(serializer)
}

fn actions<S: Serializer>(effects: &Option<Arc<[Effect]>>, serializer: S) -> Result<S::Ok, S::Error> {
    let effects = effects.as_deref().unwrap_or_default();
    let mut list = serializer.serialize_seq(Some(effects.len()))?;
    for effect in effects {
        list.serialize_element(&ActionOnObject(effect))?;
    }
    list.end()
}

/// An effect in the form of the contract, the one `check --format json` has too.
struct ActionOnObject<'a>(&'a Effect);

impl Serialize for ActionOnObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object = &self.0.object;
        let mut fields = serializer.serialize_struct("Action", 5)?;
        fields.serialize_field("action", self.0.action.as_str())?;
        fields.serialize_field("kind", object.kind.as_str())?;
        fields.serialize_field("schema", &object.schema)?;
        fields.serialize_field("name", &object.name)?;
        fields.serialize_field("certain", &(self.0.certainty == Certainty::Certain))?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::effect::{Action, Object, ObjectKind};

    fn at_epoch(kind: RecordKind) -> Record {
        Record::at(Timestamp::from_millisecond(1_700_000_000_007).unwrap(), kind)
    }

    #[test]
    fn json_has_the_fields_of_the_contract_in_order() {
        let mut record = at_epoch(RecordKind::Intent);
        record.session = Some("s-1".into());
        record.statement = Some(3);
        record.identity = Some("ada".into());
        record.database = Some("shop".into());
        record.set_sql(b"DELETE FROM orders WHERE id = $1");
        record.params = Some(vec![Some("7".into()), None]);
        record.actions =
            Some([Effect::new(Action::Delete, Object::in_schema(ObjectKind::Table, "public", "orders"))].into());
        record.verdict = Some("hold".into());
        record.rows = Some(1);
        assert_eq!(
            serde_json::to_string(&record).unwrap(),
            r#"{"time":"2023-11-14T22:13:20.007Z","kind":"intent","session":"s-1","statement":3,"identity":"ada","database":"shop","sql":"DELETE FROM orders WHERE id = $1","params":["7",null],"actions":[{"action":"delete","kind":"table","schema":"public","name":"orders","certain":true}],"verdict":"hold","rows":1}"#
        );
    }

    #[test]
    fn time_always_has_three_decimals() {
        let record = Record::at(Timestamp::from_second(1).unwrap(), RecordKind::Gap);
        assert_eq!(serde_json::to_string(&record).unwrap(), r#"{"time":"1970-01-01T00:00:01.000Z","kind":"gap"}"#);
    }

    #[test]
    fn kinds_are_written_as_they_are_named() {
        for kind in RecordKind::ALL {
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.as_str()));
        }
    }

    #[test]
    fn a_long_text_is_cut_and_its_whole_is_told() {
        let whole = format!("SELECT '{}'", "ä".repeat(SQL_KEPT_BYTES));
        let mut record = at_epoch(RecordKind::Intent);
        record.set_sql(whole.as_bytes());
        let record = record.bounded();
        let kept = record.sql.unwrap();
        assert!(whole.starts_with(&*kept));
        assert!(kept.len() <= SQL_KEPT_BYTES && kept.len() >= SQL_KEPT_BYTES - 1);
        assert_eq!(record.sql_bytes, Some(whole.len() as u64));
        assert_eq!(record.sql_sha256, Some(sha256_hex(whole.as_bytes())));
    }

    #[test]
    fn bytes_that_are_not_utf8_keep_their_own_length_and_hash() {
        let mut record = at_epoch(RecordKind::Intent);
        record.set_sql(b"SELECT '\xe4'");
        assert_eq!(record.sql.as_deref(), Some("SELECT '\u{fffd}'"));
        assert_eq!(record.sql_bytes, Some(10));
        assert_eq!(record.sql_sha256, Some(sha256_hex(b"SELECT '\xe4'")));
    }

    #[test]
    fn values_and_actions_beyond_the_bound_are_told() {
        let mut record = at_epoch(RecordKind::Intent);
        record.params = Some(vec![Some("x".repeat(PARAMS_KEPT_BYTES)); 3]);
        record.actions = Some(vec![Effect::new(Action::Read, Object::new(ObjectKind::Table, "t")); 1000].into());
        let record = record.bounded();
        assert_eq!(record.params.as_ref().unwrap().len(), 1);
        assert!(record.params_sha256.is_some());
        let kept = record.actions.as_ref().unwrap().len() as u64;
        assert_eq!(record.actions_omitted, Some(1000 - kept));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn cut_measures_what_is_written(text in "\\PC{0,40}|[\\x00-\\x7f]{0,40}|[\u{80}-\u{b0}\u{200b}-\u{203f}\u{e0000}-\u{e0fff}]{0,9}", kept in 0usize..60) {
            let written = |text: &str| {
                let mut bytes = Vec::new();
                crate::text::json::write(&mut bytes, text).unwrap();
                bytes.len() - 2
            };
            prop_assert_eq!(written_bytes(&text), written(&text));
            match cut(&text, kept) {
                None => prop_assert!(written(&text) <= kept),
                Some(end) => {
                    prop_assert!(written(&text) > kept);
                    prop_assert!(written(&text[..end]) <= kept);
                }
            }
        }

        #[test]
        fn a_bounded_record_is_never_larger_than_a_leaf(
            byte in any::<char>(), sql in 0usize..40_000, value in 0usize..5_000, values in 0usize..3_000, names in 0usize..400,
        ) {
            let text = |n: usize| -> Arc<str> { byte.to_string().repeat(n).into() };
            let mut record = at_epoch(RecordKind::Outcome);
            for field in [&mut record.session, &mut record.identity, &mut record.database, &mut record.policy,
                &mut record.hold, &mut record.by, &mut record.reason] {
                *field = Some(text(value));
            }
            record.sql = Some(text(sql));
            record.params = Some(vec![Some(text(value / 100).to_string()); values]);
            record.actions = Some(vec![Effect::new(Action::Maintain,
                Object::in_schema(ObjectKind::ForeignDataWrapper, text(names).to_string(), text(names).to_string())); names].into());
            record.verdict = Some(text(value).to_string().into());
            record.sqlstate = Some(text(value).to_string().into());
            record.detail = Some(serde_json::json!({ "text": text(value).to_string() }));
            let mut json = Vec::new();
            crate::text::json::write(&mut json, &record.bounded()).unwrap();
            prop_assert!(json.len() + super::super::entry::AROUND_RECORD_BYTES <= super::super::entry::MAX_BYTES, "{}", json.len());
        }
    }
}
