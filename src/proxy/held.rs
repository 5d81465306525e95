//! What a hold is made of: what the approver is shown, and what the approval is bound to.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::admission::Held;
use super::client_side::Passage;
use super::decide::Decision;
use super::session::Session;
use super::values;
use crate::blast::SearchPath;
use crate::catalog::RadiusRequest;
use crate::gate::HoldRequest;
use crate::sql::risk::{Risk, assess_message};
use crate::sql::{Action, Effect, SessionChange, Statement};
use crate::wire::backend::TransactionStatus;

/// Of how many statements of one message the radius is computed.
const MOST_RADII: usize = 16;

/// Describes a statement that has to wait.
pub(super) fn hold_of(session: &Session, passage: &Passage<'_>, decision: &Arc<Decision>, needs: u32) -> Held {
    let in_transaction = session.transaction != TransactionStatus::Idle
        || session.unanswered.any_unit(|unit| unit.decision.changes.contains(&SessionChange::Begin));
    let sql = passage.sql.map_or_else(|| decision.command.clone(), values::text_of);
    let params = passage.bind.map(|bind| values::shown(bind, passage.types)).unwrap_or_default();
    let request = HoldRequest {
        sql: sql.into(),
        params,
        identity: (*session.who.identity).clone(),
        session: session.who.id.to_string(),
        database: session.who.database.to_string(),
        client: session.who.client_address.clone(),
        application_name: session.who.application_name.clone(),
        reason: session.claimed_reason.clone(),
        actions: decision.effects.to_vec(),
        reasons: decision.all_reasons(),
        risk: risk(session, passage, decision),
        verdict_policy: decision.verdict.policy.clone(),
        needs,
        in_transaction,
        search_path: match &session.names.search_path {
            SearchPath::Known(names) => Some(names.clone()),
            SearchPath::Unknown => None,
        },
        expiry_cap: session.hold_cap(),
        digest: digest(session, passage),
    };
    Held { request, radius: radius_requests(session, passage, decision) }
}

/// What it risks, by its text and by what its names stand for.
fn risk(session: &Session, passage: &Passage<'_>, decision: &Decision) -> Risk {
    let parts: Vec<(&Statement, &[Effect])> =
        decision.parts.iter().map(|part| (&part.statement, part.resolved.effects.as_slice())).collect();
    let settings = session.lexer.as_ref().copied().unwrap_or_default();
    assess_message(passage.sql.unwrap_or_default(), &settings, &parts, &decision.effects)
}

/// What the radius of a statement, or of the statements of one message, is computed from.
fn radius_requests(session: &Session, passage: &Passage<'_>, decision: &Decision) -> Vec<RadiusRequest> {
    let sql = passage.sql.unwrap_or_default();
    let parameters = passage.bind.map(|bind| values::parameters(bind, passage.types)).unwrap_or_default();
    let more_than_reads = decision.parts.iter().filter(|part| {
        part.resolved.effects.iter().any(|effect| !matches!(effect.action, Action::Read | Action::Transaction))
    });
    more_than_reads
        .take(MOST_RADII)
        .map(|part| RadiusRequest {
            database: session.who.database.to_string(),
            statement: part.statement.clone(),
            text: values::text_of(sql.get(part.statement.span.clone()).unwrap_or_default()),
            parameters: parameters.clone(),
            resolved: part.resolved.clone(),
            names: session.names.clone(),
        })
        .collect()
}

/// Binds an approval to these bytes, values, session, identity, database and search path.
fn digest(session: &Session, passage: &Passage<'_>) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(passage.sql.unwrap_or_default());
    part(passage.bind.unwrap_or_default());
    part(session.who.id.as_bytes());
    part(session.who.name.as_bytes());
    part(session.who.database.as_bytes());
    part(words(&session.names.search_path).as_bytes());
    hash.finalize().into()
}

/// A search path as a person writes it.
fn words(path: &SearchPath) -> String {
    match path {
        SearchPath::Known(names) => names.join(", "),
        SearchPath::Unknown => "unknown".to_owned(),
    }
}
