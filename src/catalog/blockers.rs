//! Asks the server who is in the way of a statement now: `pg_locks`, with what `pg_stat_activity` shows of those
//! sessions. Without the rights of `pg_read_all_stats` that is their number, their role and what they call themselves,
//! and not what they do, nor for how long.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;
use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::CatalogError;
use super::database::Database;
use super::radius::{ask_catalog, number};
use crate::blast::locks::in_the_way;
use crate::blast::{Blocker, Blockers, Facts, Radius, Way};
use crate::text::rfc3339;

/// How many sessions are named.
const SESSIONS_MAX: usize = 10;
/// Of how many sessions that wait it is asked for whom: each asking looks at all locks of the server.
const WAITERS_MAX: usize = 50;

/// Who is in the way, and who waits for the statement's own session.
pub(super) async fn blockers(database: &Database, radius: &Radius, own: Option<i32>) -> Blockers {
    let limit = database.limits().radius;
    match tokio::time::timeout(limit, look(database, radius, own)).await {
        Ok(Ok(blockers)) => blockers,
        Ok(Err(error)) => unknown(error.to_string()),
        Err(_) => unknown(CatalogError::Slow { seconds: limit.as_secs_f32() }.to_string()),
    }
}

/// What is said where nobody can be asked.
pub(super) fn unknown(why: String) -> Blockers {
    Blockers::unknown(now(), why)
}

fn now() -> String {
    rfc3339(Timestamp::now())
}

async fn look(database: &Database, radius: &Radius, own: Option<i32>) -> Result<Blockers, CatalogError> {
    let facts = match database.current() {
        Some(facts) => facts,
        None => database.refresh().await?,
    };
    let (locks, mut unknown) = in_the_way(radius);
    // A lock that is in the way for certain is not in the way perhaps.
    let mut ways: BTreeMap<(u32, &str), bool> = BTreeMap::new();
    for lock in locks {
        match facts.relation(lock.schema, lock.name) {
            Some(relation) => *ways.entry((relation.oid, lock.mode)).or_default() |= lock.certain,
            None => unknown.push(format!("who uses {}.{}, which is not in the catalog", lock.schema, lock.name)),
        }
    }
    unknown.dedup();
    let lent = database.measure().await?;
    let at = now();
    let answer = ask_catalog(lent.link(), &query(&ways, own)).await;
    if lent.link().is_open() {
        lent.done();
    }
    let (sessions, more) = read(&answer?, &facts);
    Ok(Blockers { at, sessions: Some(sessions), more, unknown })
}

fn query(ways: &BTreeMap<(u32, &str), bool>, own: Option<i32>) -> String {
    // No backend has the number 0, and no relation.
    let own = own.unwrap_or(0);
    let mut values = "(0::oid, '', false)".to_owned();
    for ((oid, mode), certain) in ways {
        let _ = write!(values, ", ({oid}, '{mode}', {certain})");
    }
    format!(
        "with locks as materialized (
           select pid, locktype, database, relation, mode, granted, virtualtransaction from pg_locks
           where pid is distinct from pg_backend_pid() and pid is distinct from {own}),
         way (relation, mode, certain) as (values {values}),
         met as (
           select distinct on (l.virtualtransaction) l.pid, l.relation, l.mode,
                  case when not l.granted then 'queued' when w.certain then 'holds' else 'may_hold_rows' end as way
           from locks l join way w on w.relation = l.relation and w.mode = l.mode
           where l.locktype = 'relation' and (w.certain or l.granted)
             and l.database in (0, (select oid from pg_database where datname = current_database()))
           order by l.virtualtransaction, (w.certain and l.granted) desc, w.certain desc, l.relation, l.mode),
         behind as (
           select pid from (select distinct pid from locks where not granted limit {WAITERS_MAX}) waiting
           where {own} = any (pg_blocking_pids(pid))),
         found as (
           select pid, relation, mode, way from met
           union all select pid, null::oid, null::text, 'behind' from behind)
         select f.way, f.pid, f.relation, f.mode,
                exists (select from locks q where q.pid = f.pid and not q.granted),
                a.usename, a.application_name, a.backend_type, a.state,
                case when a.xact_start is not null
                  then greatest(0, extract(epoch from clock_timestamp() - a.xact_start))::bigint end,
                count(*) over ()
         from found f left join pg_stat_activity a on a.pid = f.pid
         order by case f.way when 'holds' then 0 when 'queued' then 1 when 'behind' then 2 else 3 end,
                  a.xact_start nulls last, f.pid
         limit {SESSIONS_MAX}"
    )
}

/// The sessions, and how many more there are.
fn read(answer: &[SimpleQueryMessage], facts: &Facts) -> (Vec<Blocker>, u64) {
    let mut sessions = Vec::new();
    let mut count: u64 = 0;
    for message in answer {
        if let SimpleQueryMessage::Row(row) = message
            && let Some(blocker) = blocker(row, facts)
        {
            sessions.push(blocker);
            count = number(row, 10).unwrap_or(count);
        }
    }
    let more = count.saturating_sub(sessions.len() as u64);
    (sessions, more)
}

fn blocker(row: &SimpleQueryRow, facts: &Facts) -> Option<Blocker> {
    let text = |column| row.try_get(column).ok().flatten();
    let owned = |column| text(column).filter(|text| !text.is_empty()).map(str::to_owned);
    let relation = number::<u32>(row, 2).and_then(|oid| facts.relations.get(&oid));
    Some(Blocker {
        way: match text(0)? {
            "holds" => Way::Holds,
            "queued" => Way::Queued,
            "behind" => Way::Behind,
            "may_hold_rows" => Way::MayHoldRows,
            _ => return None,
        },
        pid: number(row, 1),
        user: owned(5),
        application_name: owned(6),
        backend: owned(7),
        state: owned(8),
        transaction_seconds: number(row, 9),
        waits: text(4) == Some("t"),
        schema: relation.map(|relation| relation.schema.clone()),
        name: relation.map(|relation| relation.name.clone()),
        lock: owned(3),
    })
}
