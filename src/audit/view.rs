//! Entries as they are read back: their fields, and a filter over them.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

/// The fields of an entry. Fields that are not known here, of a newer version, are passed over; those an entry does
/// not have are `None`.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "they are those of `Record`")]
pub struct EntryView<'a> {
    pub index: u64,
    #[serde(borrow)]
    pub time: Cow<'a, str>,
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub session: Option<Cow<'a, str>>,
    pub statement: Option<u64>,
    #[serde(borrow, default)]
    pub identity: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub database: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub sql: Option<Cow<'a, str>>,
    pub sql_bytes: Option<u64>,
    #[serde(borrow, default)]
    pub sql_sha256: Option<Cow<'a, str>>,
    pub params: Option<Vec<Option<String>>>,
    #[serde(borrow, default)]
    pub params_sha256: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub actions: Vec<ActionView<'a>>,
    pub actions_omitted: Option<u64>,
    #[serde(borrow, default)]
    pub verdict: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub policy: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub hold: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub by: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub reason: Option<Cow<'a, str>>,
    pub rows: Option<u64>,
    #[serde(borrow, default)]
    pub sqlstate: Option<Cow<'a, str>>,
    pub duration_us: Option<u64>,
    pub detail: Option<serde_json::Value>,
}

/// One action of an entry.
#[derive(Debug, Clone, Deserialize)]
#[expect(missing_docs, reason = "they are those of `Record`")]
pub struct ActionView<'a> {
    #[serde(borrow)]
    pub action: Cow<'a, str>,
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default)]
    pub schema: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    #[serde(default)]
    pub certain: bool,
}

impl<'a> EntryView<'a> {
    /// Reads an entry; `None` where it is not one.
    #[must_use]
    pub fn parse(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }
}

/// Which entries to show. An entry must pass every filter that is set.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The identity that asked, exactly.
    pub identity: Option<String>,
    /// The kind of record; one of them.
    pub kinds: Vec<String>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// A part of the statement's text, in whatever case.
    pub sql: Option<String>,
    /// An action that the statement does; one of them.
    pub actions: Vec<String>,
    /// The session, exactly.
    pub session: Option<String>,
    /// The database, exactly.
    pub database: Option<String>,
    /// The verdict, exactly.
    pub verdict: Option<String>,
    /// A name among the objects of the actions, alone or behind its schema and a dot.
    pub object: Option<String>,
    /// The hold's id, exactly.
    pub hold: Option<String>,
}

impl Filter {
    /// Whether the entry passes.
    #[must_use]
    pub fn passes(&self, entry: &EntryView<'_>) -> bool {
        is_exactly(&self.identity, &entry.identity)
            && is_exactly(&self.session, &entry.session)
            && is_exactly(&self.database, &entry.database)
            && is_exactly(&self.verdict, &entry.verdict)
            && is_exactly(&self.hold, &entry.hold)
            && is_any(&self.kinds, std::iter::once(&*entry.kind))
            && is_any(&self.actions, entry.actions.iter().map(|action| &*action.action))
            && self.object.as_ref().is_none_or(|object| entry.actions.iter().any(|action| is_named(action, object)))
            && self.sql.as_ref().is_none_or(|part| entry.sql.as_ref().is_some_and(|sql| contains(sql, part)))
            && self.passes_time(&entry.time)
    }

    fn passes_time(&self, time: &str) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        // A time we cannot read is shown: better one too many than one too few.
        let Ok(time) = time.parse::<Timestamp>() else {
            return true;
        };
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }
}

fn is_exactly(wanted: &Option<String>, found: &Option<Cow<'_, str>>) -> bool {
    wanted.as_deref().is_none_or(|wanted| found.as_deref() == Some(wanted))
}

fn is_any<'a>(wanted: &[String], mut found: impl Iterator<Item = &'a str>) -> bool {
    wanted.is_empty() || found.any(|found| wanted.iter().any(|wanted| wanted == found))
}

fn is_named(action: &ActionView<'_>, object: &str) -> bool {
    action.name == object
        || object
            .split_once('.')
            .is_some_and(|(schema, name)| action.schema.as_deref() == Some(schema) && action.name == name)
}

fn contains(text: &str, part: &str) -> bool {
    text.contains(part) || text.to_lowercase().contains(&part.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = r#"{"index":4,"time":"2026-01-02T03:04:05.678Z","kind":"intent","session":"s-9","statement":2,"identity":"ada","database":"shop","sql":"DELETE FROM \"Orders\"","actions":[{"action":"delete","kind":"table","schema":"public","name":"Orders","certain":true}],"verdict":"hold","hold":"h-7k2m","future":[1],"salt":"x"}"#;

    fn passes(filter: &Filter) -> bool {
        filter.passes(&EntryView::parse(ENTRY.as_bytes()).unwrap())
    }

    #[test]
    fn every_filter_passes_what_it_names_and_nothing_else() {
        let some = |text: &str| Some(text.to_owned());
        let time = |text: &str| Some(text.parse().unwrap());
        let default = Filter::default;
        assert!(passes(&default()));
        for (passing, failing) in [
            (Filter { identity: some("ada"), ..default() }, Filter { identity: some("ad"), ..default() }),
            (Filter { session: some("s-9"), ..default() }, Filter { session: some("s-10"), ..default() }),
            (Filter { database: some("shop"), ..default() }, Filter { database: some("Shop"), ..default() }),
            (Filter { verdict: some("hold"), ..default() }, Filter { verdict: some("pass"), ..default() }),
            (Filter { hold: some("h-7k2m"), ..default() }, Filter { hold: some("h-7k2n"), ..default() }),
            (Filter { sql: some("from \"ORDERS"), ..default() }, Filter { sql: some("truncate"), ..default() }),
            (Filter { object: some("Orders"), ..default() }, Filter { object: some("orders"), ..default() }),
            (Filter { object: some("public.Orders"), ..default() }, Filter { object: some("x.Orders"), ..default() }),
            (
                Filter { kinds: vec!["gap".into(), "intent".into()], ..default() },
                Filter { kinds: vec!["outcome".into()], ..default() },
            ),
            (
                Filter { actions: vec!["delete".into()], ..default() },
                Filter { actions: vec!["read".into()], ..default() },
            ),
            (
                Filter { since: time("2026-01-02T03:04:05.678Z"), ..default() },
                Filter { since: time("2026-01-02T03:04:05.679Z"), ..default() },
            ),
            (
                Filter { until: time("2026-01-02T03:04:05.679Z"), ..default() },
                Filter { until: time("2026-01-02T03:04:05.678Z"), ..default() },
            ),
        ] {
            assert!(passes(&passing), "{passing:?}");
            assert!(!passes(&failing), "{failing:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut record = crate::audit::Record::new(crate::audit::RecordKind::Outcome);
        record.set_sql(b"SELECT '\x1b\xe2\x80\xae'");
        record.params = Some(vec![None, Some("1".into())]);
        record.rows = Some(3);
        let mut json = Vec::new();
        let encoded = crate::audit::Encoded::of(record.clone());
        crate::audit::entry::encode(5, encoded.as_bytes(), [1; 16], &mut json);
        let view = EntryView::parse(&json).unwrap();
        assert_eq!(view.index, 5);
        assert_eq!(view.kind, "outcome");
        assert_eq!(view.sql.as_deref(), record.sql.as_deref());
        assert_eq!(view.params, record.params);
        assert_eq!(view.rows, Some(3));
        assert!(view.actions.is_empty());
    }

    #[test]
    fn what_is_no_entry_is_told() {
        assert!(EntryView::parse(b"").is_none());
        assert!(EntryView::parse(b"{\"index\":1}").is_none());
    }
}
