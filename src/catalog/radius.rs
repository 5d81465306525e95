//! Finds out how much a statement would do: asks the planner and the statistics, within bounds.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;

use bytes::BytesMut;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type};

use super::database::Database;
use super::link::Link;
use super::{CatalogError, RadiusRequest, plan};
use crate::blast::facts::Facts;
use crate::blast::radius::Dependent;
use crate::blast::{Estimates, Measured, NameContext, Planned, Radius, SearchPath, measure, resolve_for_planning};
use crate::sql::parameters::Value;
use crate::sql::{self, Action, LexerSettings, Object, ObjectKind};

/// What EXPLAIN takes and what changes rows.
const PLANNED_COMMANDS: [&str; 6] = ["SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "WITH"];
/// How deep and how wide what depends on a dropped object is followed.
const DEPENDENTS: u32 = 201;

/// The radius with all that can be found out.
pub(super) async fn radius(database: &Database, request: &RadiusRequest) -> Radius {
    let limit = database.limits().radius;
    let facts = match database.current() {
        Some(facts) => Ok(facts),
        None => match tokio::time::timeout(limit, database.refresh()).await {
            Ok(answer) => answer,
            Err(_) => Err(CatalogError::Slow { seconds: limit.as_secs_f32() }),
        },
    };
    let facts = match facts {
        Ok(facts) => facts,
        Err(error) => return unknown(request, error.to_string()),
    };
    let mut estimates = match tokio::time::timeout(limit, estimates(database, request, &facts)).await {
        Ok(Ok(estimates)) => estimates,
        Ok(Err(error)) => warned(error.to_string()),
        Err(_) => warned(CatalogError::Slow { seconds: limit.as_secs_f32() }.to_string()),
    };
    estimates.warnings.sort_unstable();
    let measured = Measured {
        statement: &request.statement,
        text: &request.text,
        resolved: &request.resolved,
        names: &request.names,
        facts: &facts,
    };
    measure(&measured, &estimates)
}

/// The radius of a statement in a database that cannot be asked.
pub(super) fn unknown(request: &RadiusRequest, warning: String) -> Radius {
    let measured = Measured {
        statement: &request.statement,
        text: &request.text,
        resolved: &request.resolved,
        names: &request.names,
        facts: &Facts::default(),
    };
    measure(&measured, &warned(warning))
}

fn warned(warning: String) -> Estimates {
    Estimates { warnings: vec![warning], ..Estimates::default() }
}

/// Asks the server. One thing that fails is a warning; a lost connection is an error.
async fn estimates(database: &Database, request: &RadiusRequest, facts: &Facts) -> Result<Estimates, CatalogError> {
    let mut estimates = Estimates::default();
    let lent = database.measure().await?;
    let link = lent.link();
    match sizes(link, request, facts).await {
        Ok(sizes) => estimates.sizes = sizes,
        Err(error) => estimates.warnings.push(format!("sizes are those of the last look: {error}")),
    }
    if request.statement.effects.iter().any(|effect| effect.action == Action::Drop) {
        match dependents(link, request, facts).await {
            Ok(dependents) => estimates.dependents = dependents,
            Err(error) => estimates.warnings.push(format!("what depends on it is not known: {error}")),
        }
    }
    match may_plan(request, facts) {
        Ok(path) => match explain(link, request, &path).await {
            Ok(planned) => estimates.planned = Some(planned),
            Err(error) => estimates.warnings.push(format!("the planner could not be asked: {error}")),
        },
        Err(None) => {}
        Err(Some(why)) => estimates.warnings.push(format!("the planner was not asked: {why}")),
    }
    if link.is_open() {
        lent.done();
    }
    Ok(estimates)
}

/// Rows by the server's running statistics, where it has any.
async fn sizes(link: &Link, request: &RadiusRequest, facts: &Facts) -> Result<HashMap<u32, u64>, CatalogError> {
    let oids = measure::touched(&request.statement, facts, &request.names);
    if oids.is_empty() {
        return Ok(HashMap::new());
    }
    let list: Vec<String> = oids.iter().map(u32::to_string).collect();
    let query = format!(
        "select oid, case when reltuples > 0 or live = 0 then reltuples::bigint else live end
         from (select c.oid, c.reltuples, pg_stat_get_live_tuples(c.oid) live from pg_class c
               where c.oid = any ('{{{}}}'::oid[])) s
         where reltuples >= 0 or live > 0",
        list.join(",")
    );
    let mut sizes = HashMap::new();
    for message in ask_catalog(link, &query).await? {
        if let SimpleQueryMessage::Row(row) = message
            && let (Some(oid), Some(rows)) = (number(&row, 0), number(&row, 1))
        {
            sizes.insert(oid, rows);
        }
    }
    Ok(sizes)
}

/// Asks something of the catalogs, where names mean what `pg_catalog` says.
pub(super) async fn ask_catalog(link: &Link, query: &str) -> Result<Vec<SimpleQueryMessage>, CatalogError> {
    let begin = "begin read only; set local search_path = pg_catalog, pg_temp; set local statement_timeout = 2000";
    let answer = link.ask(&format!("{begin}; {query}; commit")).await;
    if answer.is_err() && link.is_open() {
        link.ask("rollback").await?;
    }
    answer
}

pub(super) fn number<T: std::str::FromStr>(row: &tokio_postgres::SimpleQueryRow, column: usize) -> Option<T> {
    row.try_get(column).ok().flatten()?.parse().ok()
}

/// What would go with a dropped object (`pg_depend`, followed as `DROP ... CASCADE` does).
async fn dependents(link: &Link, request: &RadiusRequest, facts: &Facts) -> Result<Vec<Dependent>, CatalogError> {
    let dropped = request.resolved.effects.iter().filter(|effect| effect.action == Action::Drop);
    let places: Vec<String> = dropped.filter_map(|effect| place(&effect.object, facts)).collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let query = format!(
        "with recursive first(class, object) as ({first}),
         found(class, object, part, depth) as (
           select class, object, 0, 0 from first
           union
           select case when r.rulename = '_RETURN' then 1259 else d.classid end,
                  case when r.rulename = '_RETURN' then r.ev_class else d.objid end,
                  d.objsubid, f.depth + 1
           from found f
           join pg_depend d on d.refclassid = f.class and d.refobjid = f.object
             and (f.part = 0 or d.refobjsubid = f.part)
           left join pg_rewrite r on d.classid = 2618 and r.oid = d.objid
           where d.deptype in ('n', 'a', 'i', 'P', 'S') and f.depth < 8),
         things(class, object, part) as (
           select class, object, part from found f
           where not exists (select from first where class = f.class and object = f.object))
         select o.type, coalesce(o.schema, (select relnamespace::regnamespace::text from pg_class where oid = case t.class
                  when 2618 then (select ev_class from pg_rewrite where oid = t.object)
                  when 2620 then (select tgrelid from pg_trigger where oid = t.object)
                  when 3256 then (select polrelid from pg_policy where oid = t.object) end), ''),
                case when o.type = 'table column' then substr(o.identity, length(quote_ident(o.schema)) + 2)
                     when o.type in ('table constraint', 'rule', 'trigger', 'policy') then o.identity
                     else coalesce(o.name, o.identity) end
         from (select distinct * from things limit 5000) t, pg_identify_object(t.class, t.object, t.part) o
         where o.type in ('table', 'view', 'materialized view', 'foreign table', 'sequence', 'function', 'procedure',
             'aggregate', 'table column', 'table constraint', 'trigger', 'policy', 'rule', 'operator')
             and not exists (select from pg_trigger g where t.class = 2620 and g.oid = t.object and g.tgisinternal)
           or o.type = 'type' and not exists (select from pg_type y where y.oid = t.object
             and (y.typrelid <> 0 and (select relkind from pg_class where oid = y.typrelid) <> 'c' or y.typelem <> 0))
         order by 1, 2, 3 limit {DEPENDENTS}",
        first = places.join(" union all "),
    );
    let mut dependents = Vec::new();
    for message in ask_catalog(link, &query).await? {
        if let SimpleQueryMessage::Row(row) = message {
            let text = |column| row.try_get(column).ok().flatten().unwrap_or_default().to_owned();
            let kind = text(0).replace(' ', "_");
            dependents.push(Dependent { kind, schema: text(1), name: text(2) });
        }
    }
    Ok(dependents)
}

/// A query that gives the address of an object.
fn place(object: &Object, facts: &Facts) -> Option<String> {
    let named = |catalog: u32, table: &str, prefix: &str, schema: &str| {
        let in_schema = object.schema.as_deref().map(|name| {
            format!(" and {prefix}namespace = (select oid from pg_namespace where nspname = {})", literal(name))
        });
        let condition = if schema.is_empty() { String::new() } else { in_schema.unwrap_or_default() };
        Some(format!(
            "select {catalog}::oid, oid from {table} where {prefix}name = {}{condition}",
            literal(&object.name)
        ))
    };
    match object.kind {
        ObjectKind::Schema => named(2615, "pg_namespace", "nsp", ""),
        ObjectKind::Type | ObjectKind::Domain => named(1247, "pg_type", "typ", "schema"),
        ObjectKind::Function | ObjectKind::Procedure | ObjectKind::Aggregate | ObjectKind::Routine => {
            named(1255, "pg_proc", "pro", "schema")
        }
        ObjectKind::Extension => named(3079, "pg_extension", "ext", ""),
        _ => {
            let relation = facts.relation(object.schema.as_deref()?, &object.name)?;
            Some(format!("select 1259::oid, {}::oid", relation.oid))
        }
    }
}

/// A string literal that is the same whatever `standard_conforming_strings` says.
pub(super) fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// The search path to plan with, if the statement may be planned at all: planning runs what is labelled immutable,
/// and here with our rights. So the text is understood once more, as our own connection reads it, and must again do
/// nothing but read and change rows. `None` as the reason: it has no plan.
fn may_plan(request: &RadiusRequest, facts: &Facts) -> Result<Vec<String>, Option<String>> {
    let command = request.statement.command.as_str();
    let changes = |action| matches!(action, Action::Insert | Action::Update | Action::Delete);
    if !PLANNED_COMMANDS.contains(&command) || !request.resolved.effects.iter().any(|effect| changes(effect.action)) {
        return Err(None);
    }
    request.reads_alike.map_err(|why| Some(why.to_owned()))?;
    let SearchPath::Known(path) = &request.names.search_path else {
        return Err(Some("the session's search path is not known".to_owned()));
    };
    if request.resolved.effects.iter().any(|effect| effect.temporary) {
        return Err(Some("it concerns temporary tables of the session, which only the session sees".to_owned()));
    }
    let script = sql::analyze(request.text.as_bytes(), &LexerSettings::default());
    let [statement] = script.statements.as_slice() else {
        return Err(Some("it is not one statement".to_owned()));
    };
    // What is approved is approved for those who call it, not for us.
    let names = NameContext { approved: Arc::default(), ..request.names.clone() };
    for read in [statement, &request.statement] {
        for effect in resolve_for_planning(read, facts, &names).effects {
            let plain = changes(effect.action) || matches!(effect.action, Action::Read | Action::Lock);
            if !plain {
                return Err(Some(format!("planning may run code: {} {}", effect.action, effect.object)));
            }
        }
    }
    let role = |schema: &String| if schema == "$user" { request.names.role.clone() } else { schema.clone() };
    Ok(path.iter().map(role).filter(|schema| facts.schemas.contains(schema)).collect())
}

/// Asks the planner, in a read-only transaction that is rolled back. The server takes one statement at most this way.
async fn explain(link: &Link, request: &RadiusRequest, path: &[String]) -> Result<Vec<Planned>, CatalogError> {
    let path: Vec<String> = path.iter().map(|schema| format!("\"{}\"", schema.replace('"', "\"\""))).collect();
    let path = if path.is_empty() { "''".to_owned() } else { path.join(", ") };
    link.ask(&format!(
        "begin read only; set local statement_timeout = 2000; set local lock_timeout = 200; \
         set local search_path = {path}; set local standard_conforming_strings = on"
    ))
    .await?;
    let any_values = request.parameters.contains(&Value::Unknown);
    let answer = if any_values { explain_any_values(link, request).await } else { explain_values(link, request).await };
    link.ask("rollback").await?;
    if any_values {
        // It fails where preparing did.
        let _ended = link.ask("deallocate pgsluice_radius").await;
    }
    plan::planned(&answer?).map_err(|error| link.failed(&error))
}

/// The plan for the values that are bound.
async fn explain_values(link: &Link, request: &RadiusRequest) -> Result<String, CatalogError> {
    let text = format!("explain (format json, verbose) {}", request.text);
    let values: Vec<AsText<'_>> = request.parameters.iter().map(AsText).collect();
    let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    link.ask_json(&text, &values).await
}

/// The plan that serves any values.
async fn explain_any_values(link: &Link, request: &RadiusRequest) -> Result<String, CatalogError> {
    link.ask("set local plan_cache_mode = force_generic_plan").await?;
    link.run(&format!("prepare pgsluice_radius as {}", request.text)).await?;
    let nulls = vec!["null"; request.parameters.len()].join(", ");
    let arguments = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    link.ask_json(&format!("explain (format json, verbose) execute pgsluice_radius{arguments}"), &[]).await
}

/// A value in text format, of whatever type the server takes it for.
#[derive(Debug)]
struct AsText<'a>(&'a Value);

impl ToSql for AsText<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self.0 {
            Value::Text(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            Value::Null | Value::Unknown => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}

/// A `json` value as the text that it is.
pub(super) struct JsonText(pub(super) String);

impl<'a> FromSql<'a> for JsonText {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(std::str::from_utf8(raw)?.to_owned()))
    }

    fn accepts(kind: &Type) -> bool {
        *kind == Type::JSON
    }
}
