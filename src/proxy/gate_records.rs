//! What happens at the gate, as records of the audit log.

use std::sync::Arc;

use crate::audit::{Log, Record, RecordKind, TryAppendError};
use crate::gate::functions::{ApprovedFunction, FunctionEvent, FunctionRecorder};
use crate::gate::{Approval, GateEvent, Hold, HoldState, Recorder, Unrecorded};

/// Records holds and decisions. Nothing is held and nothing is approved that the log cannot take.
#[must_use]
pub fn recorder(log: Log) -> Recorder {
    Arc::new(move |event| match event {
        GateEvent::Held(hold) => now_or_not_at_all(&log, held(&hold)),
        GateEvent::Approved(hold, approval) => now_or_not_at_all(&log, approved(&hold, &approval)),
        // The approval was the last word.
        GateEvent::Ended(hold) if hold.state == HoldState::Approved => Ok(()),
        GateEvent::Ended(hold) => {
            now_or_soon(&log, ended(&hold));
            Ok(())
        }
    })
}

/// Records what happens to the approvals of functions, durably.
#[must_use]
pub fn function_recorder(log: Log) -> FunctionRecorder {
    Arc::new(move |event| {
        let log = log.clone();
        Box::pin(async move {
            log.append_durable(of_function(event)).await.map(drop).map_err(|error| Unrecorded(error.to_string()))
        })
    })
}

fn of_function(event: FunctionEvent) -> Record {
    let (change, function, by, reason): (_, ApprovedFunction, _, _) = match event {
        FunctionEvent::Approved(function) => {
            let (by, reason) = (function.by.clone(), function.reason.clone());
            ("approved", function, Some(by), Some(reason))
        }
        FunctionEvent::NotKept(function, why) => ("not kept", function, None, Some(why)),
        FunctionEvent::Revoked { function, by, reason } => ("revoked", function, Some(by), reason),
        FunctionEvent::Outdated(function) => ("outdated", function, None, Some("its body has changed".to_owned())),
    };
    let mut record = Record::new(RecordKind::Config);
    record.database = Some(function.database.as_str().into());
    record.by = by.map(Into::into);
    record.reason = reason.map(Into::into);
    record.detail = Some(serde_json::json!({
        "function": {
            "change": change,
            "schema": function.schema,
            "name": function.name,
            "arguments": function.arguments,
            "oid": function.oid,
            "hash": function.hash,
        },
    }));
    record
}

fn now_or_not_at_all(log: &Log, record: Record) -> Result<(), Unrecorded> {
    log.try_append(record).map_err(|error| Unrecorded(error.to_string()))
}

/// A hold has ended whether or not the queue has room at this moment: the record waits for it.
fn now_or_soon(log: &Log, record: Record) {
    if let Err(TryAppendError::Full(record)) = log.try_append(record) {
        let log = log.clone();
        tokio::spawn(async move {
            if let Err(error) = log.append_encoded(record).await {
                tracing::error!(%error, "the end of a hold could not be recorded");
            }
        });
    }
}

fn about(hold: &Hold, kind: RecordKind) -> Record {
    let mut record = Record::new(kind);
    record.session = Some(hold.request.session.as_str().into());
    record.identity = Some(hold.request.identity.name.as_str().into());
    record.database = Some(hold.request.database.as_str().into());
    record.hold = Some(hold.id.to_string().into());
    record
}

fn held(hold: &Hold) -> Record {
    let mut record = about(hold, RecordKind::Hold);
    record.sql = Some(Arc::clone(&hold.request.sql));
    if !hold.request.params.is_empty() {
        record.params = Some(hold.request.params.iter().cloned().map(Some).collect());
    }
    record.actions = Some(hold.request.actions.as_slice().into());
    record.verdict = Some("hold".into());
    record.policy = Some(hold.request.verdict_policy.as_str().into());
    record.reason = Some(hold.request.reasons.join("; ").into());
    record.detail = Some(serde_json::json!({
        "needs": hold.needs,
        "in_transaction": hold.request.in_transaction,
        "wait": hold.request.wait.as_str(),
        "expires_at": hold.expires_at.to_string(),
        "claimed_reason": hold.request.reason,
    }));
    record
}

fn approved(hold: &Hold, approval: &Approval) -> Record {
    let mut record = about(hold, RecordKind::Decision);
    record.verdict = Some("approved".into());
    record.by = Some(approval.by.as_str().into());
    record.reason = approval.reason.as_deref().map(Into::into);
    record.detail = Some(serde_json::json!({
        "approvals": hold.approvals.len(),
        "needs": hold.needs,
        "max_rows": approval.max_rows,
        "remote": approval.remote,
    }));
    record
}

fn ended(hold: &Hold) -> Record {
    let mut record = about(hold, RecordKind::Decision);
    record.verdict = Some(hold.state.as_str().into());
    if let Some(ended) = &hold.ended {
        record.by = ended.by.as_deref().map(Into::into);
        record.reason = ended.reason.as_deref().map(Into::into);
        record.detail = ended.remote.as_ref().map(|address| serde_json::json!({ "remote": address }));
    }
    record
}
