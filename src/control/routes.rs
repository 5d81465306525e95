//! What is asked and answered.

mod watching;

use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use serde_json::Value;

use super::api::{ApproveBody, DenyBody, ErrorBody, ReasonBody};
use super::caller::{Caller, Nameless};
use super::server::State;
use crate::gate::{Approve, Deny, HoldId, HoldView, Refused, Watch, WatchEvent};

/// Requests are reasons and numbers.
const BODY_BYTES_MAX: usize = 64 << 10;

/// How long an answer waits for a blast radius that is being computed.
const RADIUS_PATIENCE: Duration = Duration::from_secs(3);

/// Lines a watcher may lag behind before the gate notices.
const WATCH_LINES: usize = 16;

/// A watcher hears an empty line this often, so that one that is gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) fn router(state: State) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/sessions", get(sessions))
        .route("/v1/holds", get(list))
        .route("/v1/holds/watch", get(watch))
        .route("/v1/holds/{id}", get(show))
        .route("/v1/holds/{id}/sample", get(watching::sample))
        .route("/v1/holds/{id}/count", get(watching::count))
        .route("/v1/holds/{id}/blockers", get(watching::blockers))
        .route("/v1/statistics", get(watching::statistics))
        .route("/v1/audit", get(watching::audit))
        .route("/v1/audit/verify", post(watching::verify))
        .route("/v1/holds/{id}/approve", post(approve))
        .route("/v1/holds/{id}/deny", post(deny))
        .route("/v1/holds/{id}/withdraw", post(withdraw))
        .merge(super::functions::router())
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_route)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(state)
}

/// Answers every request of a caller whom the list of approvers does not name.
pub(super) fn no_approver(name: &str) -> Router {
    refuse_all(Refusal::from(Refused::NoApprover(name.to_owned())))
}

/// Answers every request of a caller whose certificate names nobody.
pub(super) fn nameless(nameless: Nameless) -> Router {
    refuse_all(Refusal {
        status: StatusCode::FORBIDDEN,
        body: ErrorBody {
            error: format!("your certificate names nobody: {nameless}"),
            hint: Some("the subject's common name (CN) has to be your name as `approvers` lists it".to_owned()),
            code: "not_an_approver".to_owned(),
        },
    })
}

fn refuse_all(refusal: Refusal) -> Router {
    Router::new().fallback(move || async move { refusal })
}

/// Why a request is refused.
#[derive(Clone)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) body: ErrorBody,
}

impl Refusal {
    fn malformed(error: impl std::fmt::Display) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            body: ErrorBody { error: error.to_string(), hint: None, code: "malformed".to_owned() },
        }
    }

    fn unavailable(why: &str) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            body: ErrorBody { error: why.to_owned(), hint: None, code: "unavailable".to_owned() },
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Unknown(_) => StatusCode::NOT_FOUND,
            Refused::OwnStatement(_) | Refused::NoApprover(_) => StatusCode::FORBIDDEN,
            Refused::Decided { .. }
            | Refused::Over { .. }
            | Refused::ApprovedAlready { .. }
            | Refused::RadiusUnknownYet(_)
            | Refused::TooMany { .. }
            | Refused::Changed(_) => StatusCode::CONFLICT,
            Refused::Unrecorded(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let body = ErrorBody {
            error: refused.to_string(),
            hint: refused.hint().map(str::to_owned),
            code: refused.code().to_owned(),
        };
        Self { status, body }
    }
}

macro_rules! malformed_from {
    ($($rejection:ty),*) => {
        $(impl From<$rejection> for Refusal {
            fn from(rejection: $rejection) -> Self {
                Self::malformed(rejection.body_text())
            }
        })*
    };
}

malformed_from!(JsonRejection, PathRejection, QueryRejection);

pub(super) type Answer<T> = Result<Json<T>, Refusal>;
type PathId = Result<Path<HoldId>, PathRejection>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ListQuery {
    all: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ShowQuery {
    settle: bool,
}

async fn status(Shared(state): Shared<State>) -> Json<Value> {
    Json((state.status)())
}

async fn sessions(Shared(state): Shared<State>) -> Json<Vec<Value>> {
    Json((state.sessions)())
}

async fn list(Shared(state): Shared<State>, query: Result<Query<ListQuery>, QueryRejection>) -> Answer<Vec<HoldView>> {
    let Query(query) = query?;
    let mut holds = if query.all { state.gate.recent() } else { Vec::new() };
    holds.extend(state.gate.list());
    Ok(Json(holds.iter().map(|hold| HoldView::from(hold.as_ref())).collect()))
}

async fn show(
    Shared(state): Shared<State>,
    id: PathId,
    query: Result<Query<ShowQuery>, QueryRejection>,
) -> Answer<HoldView> {
    let (Path(id), Query(query)) = (id?, query?);
    if query.settle {
        state.gate.radius_settled(&id, RADIUS_PATIENCE).await;
    }
    let hold = state.gate.show(&id).ok_or(Refused::Unknown(id))?;
    Ok(Json(HoldView::from(hold.as_ref())))
}

async fn approve(
    Shared(state): Shared<State>,
    Extension(caller): Extension<Caller>,
    id: PathId,
    body: Result<Json<ApproveBody>, JsonRejection>,
) -> Answer<HoldView> {
    let (Path(id), Json(body)) = (id?, body?);
    state.gate.radius_settled(&id, RADIUS_PATIENCE).await;
    let approve = Approve { reason: body.reason, max_rows: body.max_rows, digest: body.digest };
    let hold = state.gate.approve(&id, &caller.into(), approve)?;
    Ok(Json(HoldView::from(hold.as_ref())))
}

async fn deny(
    Shared(state): Shared<State>,
    Extension(caller): Extension<Caller>,
    id: PathId,
    body: Result<Json<DenyBody>, JsonRejection>,
) -> Answer<HoldView> {
    let (Path(id), Json(body)) = (id?, body?);
    let deny = Deny { reason: body.reason, digest: body.digest };
    let hold = state.gate.deny_seen(&id, &caller.into(), deny)?;
    Ok(Json(HoldView::from(hold.as_ref())))
}

async fn withdraw(
    Shared(state): Shared<State>,
    Extension(caller): Extension<Caller>,
    id: PathId,
    body: Result<Json<ReasonBody>, JsonRejection>,
) -> Answer<HoldView> {
    let (Path(id), Json(body)) = (id?, body?);
    let hold = state.gate.withdraw(&id, &caller.into(), body.reason)?;
    Ok(Json(HoldView::from(hold.as_ref())))
}

async fn watch(Shared(state): Shared<State>) -> Response {
    let (sender, body) = Channel::<Bytes>::new(WATCH_LINES);
    tokio::spawn(send_changes(state.gate.watch(), sender));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], axum::body::Body::new(body)).into_response()
}

/// One line a change, until the watcher is gone.
async fn send_changes(mut watch: Watch, mut sender: Sender<Bytes>) {
    loop {
        let line = match tokio::time::timeout(HEARTBEAT, watch.next()).await {
            Ok(WatchEvent::Changed(hold)) => match serde_json::to_vec(&HoldView::from(hold.as_ref())) {
                Ok(mut line) => {
                    line.push(b'\n');
                    line
                }
                Err(error) => {
                    tracing::error!(%error, hold = %hold.id, "a hold cannot be written as JSON");
                    return;
                }
            },
            // What was missed is told by the next events: each hold as it is by then.
            Ok(WatchEvent::Resync) => continue,
            Err(_) => vec![b'\n'],
        };
        if sender.send_data(line.into()).await.is_err() {
            return;
        }
    }
}

async fn no_such_route() -> Refusal {
    Refusal {
        status: StatusCode::NOT_FOUND,
        body: ErrorBody {
            error: "this proxy knows no such request".to_owned(),
            hint: Some("the client and the proxy may be of different versions".to_owned()),
            code: "no_such_route".to_owned(),
        },
    }
}
