//! What an approver asks for before deciding: some of the rows that a held statement would change, and how many
//! there are exactly.
//!
//! It runs with the side connection's own rights, which may be a superuser's, on a text that somebody else wrote. So:
//!
//! - the query is made of the statement's target and condition and understood anew, as our own connection reads it; it
//!   runs only where it is one statement that does nothing but read, and where all code that it may run (functions,
//!   operators, casts, what views and row security run) is the server's own and reviewed. That somebody has approved
//!   a function for a session does not count here;
//! - the server takes it as one statement, in a READ ONLY transaction that is rolled back, with `statement_timeout` and
//!   `lock_timeout`, on a connection of its own that is closed afterwards;
//! - only columns of the server's own types and of enumerations are shown: the output of any other type runs code.

mod target;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::database::Database;
use super::link::Link;
use super::{CatalogError, RadiusRequest};
use crate::blast::facts::{Facts, RelationKind};
use crate::blast::{NameContext, SearchPath, resolve, resolve_for_planning};
use crate::sql::parameters::Value;
use crate::sql::{self, Action, LexerSettings, ObjectKind};
use target::Target;

/// How many rows a sample has.
pub const SAMPLE_ROWS: usize = 10;
/// How many columns are shown.
const COLUMNS_MAX: usize = 24;
/// A value that takes more bytes, on disk or as text, is not shown.
const VALUE_BYTES_MAX: usize = 1_000;
/// How many statements of one message, or tables of one statement, are looked at.
const TARGETS_MAX: usize = 4;
/// How long one query may take.
const STATEMENT_TIME: Duration = Duration::from_secs(4);
/// How long all of it may take.
const WHOLE_TIME: Duration = Duration::from_secs(12);

/// What was found of one statement, or of one table of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Examined<T> {
    /// The relation, as `schema.name`; `None` where that is not clear.
    pub relation: Option<String>,
    /// What was found.
    pub found: Option<T>,
    /// Why nothing was.
    pub refused: Option<String>,
    /// What the reader must know.
    pub caveats: Vec<String>,
}

/// Some of the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The columns that are shown.
    pub columns: Vec<String>,
    /// The columns that are not.
    pub omitted: Vec<String>,
    /// The rows; a cell for each column.
    pub rows: Vec<Vec<Cell>>,
    /// Whether there are more.
    pub more: bool,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The value as text; `None` for NULL and where it is too large.
    pub value: Option<String>,
    /// How many bytes it takes; `None` for NULL.
    pub bytes: Option<u64>,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Sample,
    Count,
}

/// Some of the rows that the statements would change.
pub(super) async fn sample(database: &Database, requests: &[RadiusRequest]) -> Vec<Examined<Sample>> {
    all(database, requests, Question::Sample, sample_of).await
}

/// How many rows the statements would change, exactly.
pub(super) async fn count(database: &Database, requests: &[RadiusRequest]) -> Vec<Examined<u64>> {
    let number = |rows: &[SimpleQueryRow], _: Columns| rows.first().and_then(|row| row.get(0)?.parse().ok());
    all(database, requests, Question::Count, number).await
}

/// What is answered where the database cannot be asked at all.
pub(super) fn refused<T>(why: String) -> Vec<Examined<T>> {
    vec![Examined { relation: None, found: None, refused: Some(why), caveats: Vec::new() }]
}

async fn all<T>(
    database: &Database,
    requests: &[RadiusRequest],
    question: Question,
    read: impl Fn(&[SimpleQueryRow], Columns) -> Option<T>,
) -> Vec<Examined<T>> {
    let look = async {
        let facts = database.refresh().await?;
        let link = database.connect().await?;
        let mut examined = Vec::new();
        for request in requests {
            for place in places(request) {
                if examined.len() == TARGETS_MAX {
                    return Ok(examined);
                }
                examined.push(one(&link, &facts, request, place, question, &read).await);
            }
        }
        Ok::<_, CatalogError>(examined)
    };
    match tokio::time::timeout(WHOLE_TIME, look).await {
        Ok(Ok(examined)) if examined.is_empty() => refused("it changes no rows that could be looked at".to_owned()),
        Ok(Ok(examined)) => examined,
        Ok(Err(error)) => refused(error.to_string()),
        Err(_) => refused(CatalogError::Slow { seconds: WHOLE_TIME.as_secs_f32() }.to_string()),
    }
}

/// Where the rows of a statement are.
enum Place {
    /// Those of its target that meet its condition.
    Condition,
    /// All of a table.
    Whole { schema: String, name: String },
}

fn places(request: &RadiusRequest) -> Vec<Place> {
    if !matches!(request.statement.command.as_str(), "TRUNCATE" | "DROP TABLE") {
        return vec![Place::Condition];
    }
    let lost = request.resolved.effects.iter().filter(|effect| {
        matches!(effect.action, Action::Truncate | Action::Drop) && effect.object.kind == ObjectKind::Table
    });
    lost.filter_map(|effect| {
        Some(Place::Whole { schema: effect.object.schema.clone()?, name: effect.object.name.clone() })
    })
    .collect()
}

/// A query that may run.
struct Approved {
    schema: String,
    name: String,
    oid: u32,
    from: String,
    path: String,
}

async fn one<T>(
    link: &Link,
    facts: &Facts,
    request: &RadiusRequest,
    place: Place,
    question: Question,
    read: &impl Fn(&[SimpleQueryRow], Columns) -> Option<T>,
) -> Examined<T> {
    let mut caveats = vec!["as the proxy's own user sees the committed rows now".to_owned()];
    let approved = match approve(request, facts, place) {
        Ok(approved) => approved,
        Err(why) => return Examined { relation: None, found: None, refused: Some(why), caveats: Vec::new() },
    };
    let relation = Some(format!("{}.{}", approved.schema, approved.name));
    match ask(link, request, &approved, question).await {
        Ok((rows, columns)) => match read(&rows, columns) {
            Some(found) => Examined { relation, found: Some(found), refused: None, caveats },
            None => {
                let refused = Some("the server answered something else than was asked".to_owned());
                Examined { relation, found: None, refused, caveats }
            }
        },
        Err(error) => {
            caveats.clear();
            Examined { relation, found: None, refused: Some(error.to_string()), caveats }
        }
    }
}

/// The query, if it may run: understood anew, it does nothing but read, and runs no code but the server's own.
fn approve(request: &RadiusRequest, facts: &Facts, place: Place) -> Result<Approved, String> {
    let SearchPath::Known(path) = &request.names.search_path else {
        return Err("the session's search path is not known".to_owned());
    };
    if !request.names.definitions.is_empty() || !request.names.temporary.is_empty() {
        return Err("the session has definitions of its own, which nobody else sees".to_owned());
    }
    let (schema, name, from) = match place {
        Place::Whole { schema, name } => {
            let from = format!("from {}.{}", quoted(&schema), quoted(&name));
            (schema, name, from)
        }
        Place::Condition => {
            request.reads_alike?;
            let Target { name, from } = target::target(&request.text).map_err(str::to_owned)?;
            (changed_schema(request, &name)?, name, from)
        }
    };
    let relation = facts.relation(&schema, &name).ok_or_else(|| format!("{schema}.{name} is not known"))?;
    if !matches!(
        relation.kind,
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::View | RelationKind::MaterializedView
    ) {
        return Err(format!("{schema}.{name} is no table or view"));
    }
    let oid = relation.oid;
    only_reads(&format!("select count(*) {from}"), facts, &request.names)?;
    let role = |schema: &String| if schema == "$user" { request.names.role.clone() } else { schema.clone() };
    let path: Vec<String> =
        path.iter().map(role).filter(|schema| facts.schemas.contains(schema)).map(|schema| quoted(&schema)).collect();
    let path = if path.is_empty() { "''".to_owned() } else { path.join(", ") };
    Ok(Approved { schema, name, oid, from, path })
}

/// The schema of the relation that the statement changes.
fn changed_schema(request: &RadiusRequest, name: &str) -> Result<String, String> {
    let changed = request.resolved.effects.iter().find(|effect| {
        matches!(effect.action, Action::Delete | Action::Update) && effect.object.name == name && !effect.temporary
    });
    let schema = changed.and_then(|effect| effect.object.schema.clone());
    schema.ok_or_else(|| format!("it is not clear which {name} it changes"))
}

/// Whether a query is one statement that does nothing but read, with no code of anybody's.
fn only_reads(query: &str, facts: &Facts, names: &NameContext) -> Result<(), String> {
    let script = sql::analyze(query.as_bytes(), &LexerSettings::default());
    let [statement] = script.statements.as_slice() else {
        return Err("it is not one statement".to_owned());
    };
    if statement.command != "SELECT" || !statement.session.is_empty() {
        return Err("the rows cannot be asked for by a plain SELECT".to_owned());
    }
    // Approved for a session is not approved for running with our rights.
    let names = NameContext { approved: std::sync::Arc::default(), ..names.clone() };
    for resolved in [resolve(statement, facts, &names), resolve_for_planning(statement, facts, &names)] {
        if let Some(code) = resolved.code.first() {
            return Err(format!("looking would run {code}"));
        }
        if let Some(effect) = resolved.effects.iter().find(|effect| effect.action != Action::Read) {
            return Err(format!("looking would do more than read: {} {}", effect.action, effect.object));
        }
    }
    Ok(())
}

/// The columns of a relation.
#[derive(Debug, Default)]
struct Columns {
    shown: Vec<String>,
    omitted: Vec<String>,
}

async fn ask(
    link: &Link,
    request: &RadiusRequest,
    approved: &Approved,
    question: Question,
) -> Result<(Vec<SimpleQueryRow>, Columns), CatalogError> {
    let millis = STATEMENT_TIME.as_millis();
    link.ask(&format!(
        "begin read only; set local statement_timeout = {millis}; set local lock_timeout = 200; set local jit = off; \
         set local search_path = pg_catalog, pg_temp; set local standard_conforming_strings = on"
    ))
    .await?;
    let answer = ask_within(link, request, approved, question).await;
    if link.is_open() {
        link.ask("rollback; deallocate all").await?;
    }
    answer
}

async fn ask_within(
    link: &Link,
    request: &RadiusRequest,
    approved: &Approved,
    question: Question,
) -> Result<(Vec<SimpleQueryRow>, Columns), CatalogError> {
    let (list, columns, limit) = match question {
        Question::Count => ("pg_catalog.count(*)".to_owned(), Columns::default(), 1),
        Question::Sample => {
            let columns = columns(link, approved.oid).await?;
            (list_of(&columns.shown), columns, SAMPLE_ROWS + 1)
        }
    };
    link.ask(&format!("set local search_path = {}", approved.path)).await?;
    // Prepared on its own, so that the server refuses a second statement.
    link.run(&format!("prepare pgsluice_look as select {list} {} limit {limit}", approved.from)).await?;
    let mut values = Vec::new();
    for parameter in &request.parameters {
        values.push(match parameter {
            Value::Null => "null".to_owned(),
            Value::Text(text) => super::radius::literal(text),
            Value::Unknown => return Err(link.failed(&"a value is not known in text form")),
        });
    }
    let values = if values.is_empty() { String::new() } else { format!("({})", values.join(", ")) };
    let messages = link.ask(&format!("execute pgsluice_look{values}")).await?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    Ok((rows.collect(), columns))
}

/// The columns of the server's own types and of enumerations, and of domains over them.
async fn columns(link: &Link, oid: u32) -> Result<Columns, CatalogError> {
    let query = format!(
        "select a.attname, (b.oid < 16384 and b.typtype in ('b', 'r', 'm') or b.typtype = 'e') and a.attgenerated <> 'v'
         from pg_attribute a join pg_type t on t.oid = a.atttypid
              join pg_type b on b.oid = case t.typtype when 'd' then t.typbasetype else t.oid end
         where a.attrelid = {oid} and a.attnum > 0 and not a.attisdropped order by a.attnum"
    );
    let mut columns = Columns::default();
    for message in link.ask(&query).await? {
        if let SimpleQueryMessage::Row(row) = message {
            let name = row.get(0).unwrap_or_default().to_owned();
            if row.get(1) == Some("t") && columns.shown.len() < COLUMNS_MAX {
                columns.shown.push(name);
            } else {
                columns.omitted.push(name);
            }
        }
    }
    Ok(columns)
}

/// Each column twice: its value if it is not too large, and its size.
fn list_of(columns: &[String]) -> String {
    let items: Vec<String> = columns
        .iter()
        .map(|column| {
            let column = quoted(column);
            let size = format!("pg_catalog.pg_column_size({column})");
            format!("case when {size} operator(pg_catalog.<=) {VALUE_BYTES_MAX} then {column} end, {size}")
        })
        .collect();
    items.join(", ")
}

fn sample_of(rows: &[SimpleQueryRow], columns: Columns) -> Option<Sample> {
    let width = columns.shown.len();
    let read = |row: &SimpleQueryRow| {
        let cell = |column: usize| {
            // What is small on disk may be compressed.
            let value = row.try_get(2 * column).ok()?.filter(|value| value.len() <= VALUE_BYTES_MAX);
            let value = value.map(str::to_owned);
            let bytes = row.try_get(2 * column + 1).ok()?.and_then(|bytes| bytes.parse().ok());
            Some(Cell { value, bytes })
        };
        (0..width).map(cell).collect::<Option<Vec<Cell>>>()
    };
    Some(Sample {
        rows: rows.iter().take(SAMPLE_ROWS).map(read).collect::<Option<_>>()?,
        more: rows.len() > SAMPLE_ROWS,
        columns: columns.shown,
        omitted: columns.omitted,
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
