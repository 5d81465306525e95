//! Lets approvers look at the rows behind a hold, recorded first, and at who is in its way; then the database is asked.

use std::sync::Arc;

use crate::audit::{Record, RecordKind};
use crate::blast::Blockers;
use crate::catalog::RadiusRequest;
use crate::catalog::examine::{Examined, Sample};
use crate::control::{LookAtRows, Looking};
use crate::gate::{HoldId, RadiusState, Wait};
use crate::proxy::Shared;

/// The rows of what waits at this proxy.
pub(super) struct Rows(pub(super) Arc<Shared>);

impl LookAtRows for Rows {
    fn sample(&self, id: HoldId, by: String) -> Looking<Vec<Examined<Sample>>> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let Some(statements) = record(&shared, &id, &by, "looks at a sample of the rows").await? else {
                return Ok(None);
            };
            Ok(Some(shared.catalog.sample(&statements).await))
        })
    }

    fn count(&self, id: HoldId, by: String) -> Looking<Vec<Examined<u64>>> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let Some(statements) = record(&shared, &id, &by, "has the rows counted").await? else {
                return Ok(None);
            };
            Ok(Some(shared.catalog.count(&statements).await))
        })
    }

    // Nobody's data is shown, so nothing is recorded.
    fn blockers(&self, id: HoldId) -> Looking<Blockers> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let Some(hold) = shared.gate.show(&id) else { return Ok(None) };
            if !hold.is_pending() {
                return Err("it does not wait any more".to_owned());
            }
            let radius = match &hold.radius {
                RadiusState::Known(radius) => Arc::clone(radius),
                RadiusState::Computing => return Err("what it would touch is still being computed".to_owned()),
                RadiusState::Unavailable => return Err("what it would touch is not known".to_owned()),
            };
            // The session of a ticket has been answered: its next transaction would wait as anybody's.
            let waits = hold.request.wait == Wait::Inline;
            let own = waits.then(|| shared.sessions.pid(&hold.request.session)).flatten();
            Ok(Some(shared.catalog.blockers(&hold.request.database, &radius, own).await))
        })
    }
}

/// Writes down who looks at what. `None`: the hold does not wait.
async fn record(shared: &Shared, id: &HoldId, by: &str, what: &str) -> Result<Option<Arc<[RadiusRequest]>>, String> {
    let Some(hold) = shared.gate.show(id) else { return Ok(None) };
    let Some(statements) = shared.examinable.statements(id) else {
        return Err("its statement does not wait in flight, so its rows cannot be looked at".to_owned());
    };
    let mut record = Record::new(RecordKind::Intent);
    record.identity = Some(by.into());
    record.by = Some(by.into());
    record.database = Some(hold.request.database.as_str().into());
    record.hold = Some(id.to_string().into());
    record.verdict = Some("pass".into());
    record.reason = Some(format!("an approver {what} that this hold would change").into());
    shared.log.append(record).await.map_err(|error| error.to_string())?;
    Ok(Some(statements))
}
