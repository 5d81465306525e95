//! What a hold is made of: what the approver is shown, and what the approval is bound to.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::admission::Held;
use super::decide::{Decision, Part};
use super::passage::{Carrier, Passage};
use super::session::{Batch, Role, Session};
use super::values;
use crate::blast::SearchPath;
use crate::catalog::RadiusRequest;
use crate::gate::{HoldRequest, Wait};
use crate::sql::parameters::Value;
use crate::sql::risk::{Risk, assess_message};
use crate::sql::{Action, Argument, Effect, Encoding, LexerSettings, SessionChange, Statement, statement_spans};
use crate::wire::backend::TransactionStatus;
use crate::wire::frontend::Bind;

/// Of how many statements of one message the radius is computed.
const MOST_RADII: usize = 16;

/// Describes a statement that has to wait.
pub(super) fn hold_of(session: &Session, passage: &Passage<'_>, decision: &Arc<Decision>, needs: u32) -> Held {
    // What was executed in the same batch keeps its locks until the Sync.
    let in_transaction = session.transaction != TransactionStatus::Idle
        || session.batch != Batch::Begun
        || session.unanswered.any_unit(|unit| unit.decision.changes.contains(&SessionChange::Begin));
    let sql = match (passage.sql, passage.settings) {
        (Some(sql), Some(settings)) => values::text_in(sql, settings.encoding),
        (Some(sql), None) => values::text_of(sql),
        (None, _) => decision.command.clone(),
    };
    let params = passage.bind.map(|bind| values::shown(bind, passage.types)).unwrap_or_default();
    let request = HoldRequest {
        sql: sql.into(),
        params,
        identity: (*session.who.identity).clone(),
        session: session.who.id.to_string(),
        database: session.who.database.to_string(),
        client: session.who.client_address.clone(),
        application_name: session.who.application_name.clone(),
        tls: session.who.tls.map(str::to_owned),
        reason: session.own.reason.clone(),
        actions: decision.effects.to_vec(),
        reasons: decision.all_reasons(),
        risk: risk(passage, decision),
        verdict_policy: decision.verdict.policy.clone(),
        needs,
        in_transaction,
        search_path: match &session.names.search_path {
            SearchPath::Known(names) => Some(names.clone()),
            SearchPath::Unknown => None,
        },
        expiry_cap: session.hold_cap(),
        wait: Wait::Inline,
        digest: digest(session, passage),
    };
    let Requests { first, more } = radius_requests(session, passage, decision);
    Held { request, radius: first.into(), unmeasured: more }
}

/// What it risks, by its text and by what its names stand for.
fn risk(passage: &Passage<'_>, decision: &Decision) -> Risk {
    let parts: Vec<(&Statement, &[Effect])> =
        decision.parts.iter().map(|part| (&part.statement, part.resolved.effects.as_slice())).collect();
    let settings = passage.settings.unwrap_or_default();
    assess_message(passage.sql.unwrap_or_default(), &settings, &parts, &decision.effects)
}

/// Describes a statement that has to be approved while its client does not wait; says why not, where what would come
/// back later cannot be known for the same.
pub(super) fn ticket_of(
    session: &Session,
    passage: &Passage<'_>,
    decision: &Arc<Decision>,
    needs: u32,
) -> Result<Held, &'static str> {
    let digest = ticket_digest(session, passage, decision)?;
    let Held { mut request, radius, unmeasured } = hold_of(session, passage, decision, needs);
    if session.role == Role::Unknown {
        request.reasons.push("the session may act as another role than the one that logged in".to_owned());
    }
    // The refusal ends the transaction, if there is one: no lock is kept, and what comes back is in another one.
    Ok(Held {
        request: HoldRequest { wait: Wait::Ticket, in_transaction: false, expiry_cap: None, digest, ..request },
        radius,
        unmeasured,
    })
}

/// Binds a ticket to everything that makes a statement the same one in another session: its bytes and how they are
/// read, the values with their types and formats, what all of it does here, who asks, the role, the database, the
/// search path, and the settings that values are read with. Names of prepared statements and portals are the
/// driver's, and differ. What rests on something that only this session has cannot be bound to.
fn ticket_digest(session: &Session, passage: &Passage<'_>, decision: &Decision) -> Result<[u8; 32], &'static str> {
    let sql = passage.sql.filter(|sql| !sql.is_empty()).ok_or("it comes without its SQL text")?;
    if decision.rests_on_names() {
        return Err("it runs what was prepared or opened in this session");
    }
    let mut parts = Parts::new("ticket");
    parts.add(sql);
    parts.add(format!("{:?}", passage.settings).as_bytes());
    parts.bound(passage)?;
    let mut effects: Vec<_> = decision.effects.iter().collect();
    effects.sort_unstable();
    parts.add(format!("{effects:?}").as_bytes());
    for text in [&*session.who.name, &session.who.role, &session.who.database] {
        parts.add(text.as_bytes());
    }
    // Where one of these is not known, what was shown is all that the names may mean, and the effects hold that.
    parts.add(format!("{:?} {:?}", session.names.search_path, session.role).as_bytes());
    parts.add(format!("{:?}", session.reported).as_bytes());
    Ok(parts.hash.finalize().into())
}

/// A hash of parts, each with its length, so that no two lists of parts are one.
struct Parts {
    hash: Sha256,
}

impl Parts {
    fn new(what: &str) -> Self {
        let mut parts = Self { hash: Sha256::new() };
        parts.add(what.as_bytes());
        parts
    }

    fn add(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }

    /// The values of a Bind, each with the type that the client declared and its format.
    fn bound(&mut self, passage: &Passage<'_>) -> Result<(), &'static str> {
        let Some(body) = passage.bind else {
            if matches!(passage.carrier, Carrier::Query) {
                return Ok(());
            }
            return Err("its values are not known");
        };
        let bind = Bind::decode(body).map_err(|_| "its values are not known")?;
        self.add(&(bind.values.len() as u64).to_be_bytes());
        for (index, value) in bind.values.iter().enumerate() {
            let declared = passage.declared_types.get(index).copied().unwrap_or(0);
            self.add(&declared.to_be_bytes());
            self.add(&bind.formats.of(index).unwrap_or(0).to_be_bytes());
            match value {
                Some(value) => self.add(value),
                None => self.add(b"NULL, and no value"),
            }
            self.add(&[u8::from(value.is_none())]);
        }
        Ok(())
    }
}

/// What the radius of a statement, or of the statements of one message, is computed from.
fn radius_requests(session: &Session, passage: &Passage<'_>, decision: &Decision) -> Requests {
    let sql = passage.sql.unwrap_or_default();
    let parameters = passage.bind.map(|bind| values::parameters(bind, passage.types)).unwrap_or_default();
    // The decision may have been made for another text, with other literals: where its statements stood says nothing
    // of this one.
    let spans = statement_spans(sql, &passage.settings.unwrap_or_default());
    let own = |index: usize| spans.get(index).filter(|_| spans.len() == decision.parts.len()).cloned();
    let mut requests = Requests::default();
    let mut prepared = HashMap::new();
    for (index, part) in decision.parts.iter().enumerate() {
        let text = sql.get(own(index).unwrap_or_else(|| part.statement.span.clone())).unwrap_or_default();
        requests.add(|| request(session, part, (text, passage.settings), parameters.clone()), more_than_reads(part));
        for change in &part.statement.session {
            match change {
                SessionChange::Prepare { name, body } => drop(prepared.insert(name.as_str(), &**body)),
                SessionChange::ExecutePrepared { name, arguments } => {
                    let here = prepared.get(name.as_str()).copied();
                    let arguments = || arguments.iter().map(parameter).collect();
                    requests.add(|| executed(session, here, sql, name, arguments()), true);
                }
                _ => {}
            }
        }
    }
    requests
}

/// The first requests of a message, and how many more there may be.
#[derive(Default)]
struct Requests {
    first: Vec<RadiusRequest>,
    more: usize,
}

impl Requests {
    /// Adds one, unless there are enough of them: then that it may be one is all that counts.
    fn add(&mut self, request: impl FnOnce() -> Option<RadiusRequest>, may_be_one: bool) {
        if self.first.len() < MOST_RADII {
            self.first.extend(request());
        } else {
            self.more += usize::from(may_be_one);
        }
    }
}

/// Whether a statement does more than read.
fn more_than_reads(part: &Part) -> bool {
    part.resolved.effects.iter().any(|effect| !matches!(effect.action, Action::Read | Action::Transaction))
}

/// What the radius of one statement is computed from, if it does more than read.
fn request(
    session: &Session,
    part: &Part,
    (text, settings): (&[u8], Option<LexerSettings>),
    parameters: Vec<Value>,
) -> Option<RadiusRequest> {
    more_than_reads(part).then(|| RadiusRequest {
        database: session.who.database.to_string(),
        statement: part.statement.clone(),
        text: values::text_of(text),
        reads_alike: reads_alike(text, settings.as_ref()),
        parameters,
        resolved: part.resolved.clone(),
        names: session.names.clone(),
    })
}

/// Whether a connection with the usual settings reads a text as the session's does: else its plan would be another
/// statement's.
fn reads_alike(text: &[u8], settings: Option<&LexerSettings>) -> Result<(), &'static str> {
    let Some(settings) = settings else { return Err("how the session reads its text is not known") };
    if !settings.standard_conforming_strings && text.contains(&b'\\') {
        return Err("the session reads backslashes in strings as escapes");
    }
    if text.is_ascii() || (settings.encoding == Encoding::Utf8 && std::str::from_utf8(text).is_ok()) {
        return Ok(());
    }
    Err("its text is in another encoding than UTF-8")
}

/// The same for what `EXECUTE name` runs: prepared in this message, or before.
fn executed(
    session: &Session,
    here: Option<&Statement>,
    sql: &[u8],
    name: &str,
    arguments: Vec<Value>,
) -> Option<RadiusRequest> {
    if let Some(body) = here {
        let facts = session.shared.catalog.current(&session.who.database)?;
        let resolved = crate::blast::resolve(body, &facts, &session.names);
        let part = Part { statement: body.clone(), resolved };
        return request(session, &part, (sql.get(body.span.clone())?, session.read_with()), arguments);
    }
    let prepared = session.statements.find(crate::wire::frontend::significant(name.as_bytes()))?;
    let decision = prepared.decision();
    request(session, decision.parts.first()?, (&prepared.body, prepared.settings), arguments)
}

fn parameter(argument: &Argument) -> Value {
    match argument {
        Argument::Null => Value::Null,
        Argument::Text(text) => Value::Text(text.clone()),
        Argument::Computed => Value::Unknown,
    }
}

/// Binds an approval to these bytes, values, session, identity, database and search path.
fn digest(session: &Session, passage: &Passage<'_>) -> [u8; 32] {
    let mut parts = Parts::new("inline");
    parts.add(passage.sql.unwrap_or_default());
    parts.add(passage.bind.unwrap_or_default());
    parts.add(session.who.id.as_bytes());
    parts.add(session.who.name.as_bytes());
    parts.add(session.who.database.as_bytes());
    parts.add(words(&session.names.search_path).as_bytes());
    parts.hash.finalize().into()
}

/// A search path as a person writes it.
fn words(path: &SearchPath) -> String {
    match path {
        SearchPath::Known(names) => names.join(", "),
        SearchPath::Unknown => "unknown".to_owned(),
    }
}
