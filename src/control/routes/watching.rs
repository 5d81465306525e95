//! What people watch: the log, the numbers, the rows behind a hold, and who is in its way.

use axum::extract::State as Shared;
use axum::{Extension, Json};
use serde_json::Value;

use super::{Answer, PathId, Refusal};
use crate::audit::{Inspector, LogView};
use crate::blast::Blockers;
use crate::catalog::examine::{Examined, Sample};
use crate::control::caller::Caller;
use crate::control::server::{LookAtRows, State};
use crate::gate::Refused;

pub(super) async fn statistics(Shared(state): Shared<State>) -> Json<Value> {
    Json((state.statistics)())
}

pub(super) async fn audit(Shared(state): Shared<State>) -> Answer<LogView> {
    let inspector = inspector(state)?;
    look(move || inspector.view()).await
}

pub(super) async fn verify(Shared(state): Shared<State>) -> Answer<LogView> {
    let inspector = inspector(state)?;
    look(move || {
        inspector.verify();
        inspector.view()
    })
    .await
}

pub(super) async fn sample(
    Shared(state): Shared<State>,
    Extension(caller): Extension<Caller>,
    id: PathId,
) -> Answer<Vec<Examined<Sample>>> {
    let axum::extract::Path(id) = id?;
    let found = rows(&state)?.sample(id.clone(), caller.name).await.map_err(|why| Refusal::unavailable(&why))?;
    Ok(Json(found.ok_or(Refused::Unknown(id))?))
}

pub(super) async fn count(
    Shared(state): Shared<State>,
    Extension(caller): Extension<Caller>,
    id: PathId,
) -> Answer<Vec<Examined<u64>>> {
    let axum::extract::Path(id) = id?;
    let found = rows(&state)?.count(id.clone(), caller.name).await.map_err(|why| Refusal::unavailable(&why))?;
    Ok(Json(found.ok_or(Refused::Unknown(id))?))
}

pub(super) async fn blockers(Shared(state): Shared<State>, id: PathId) -> Answer<Blockers> {
    let axum::extract::Path(id) = id?;
    let found = rows(&state)?.blockers(id.clone()).await.map_err(|why| Refusal::unavailable(&why))?;
    Ok(Json(found.ok_or(Refused::Unknown(id))?))
}

fn inspector(state: State) -> Result<Inspector, Refusal> {
    state.inspector.ok_or_else(|| Refusal::unavailable("this proxy has no audit log"))
}

fn rows(state: &State) -> Result<&dyn LookAtRows, Refusal> {
    state.rows.as_deref().ok_or_else(|| Refusal::unavailable("this proxy has no database to ask"))
}

/// Reads files: not on the threads that serve.
async fn look(read: impl FnOnce() -> LogView + Send + 'static) -> Answer<LogView> {
    let read = tokio::task::spawn_blocking(read).await;
    read.map(Json).map_err(|_| Refusal::unavailable("looking at the log failed"))
}
