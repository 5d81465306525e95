//! A hold as JSON: what `holds list --json` prints and the control socket speaks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::HoldId;
use super::hold::{Hold, HoldState, RadiusState};
use crate::blast::Radius;
use crate::policy::IdentityKind;
use crate::sql::{Action, Certainty, Effect};

/// A hold, as others read it. The names are a contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HoldView {
    /// Its id.
    pub id: HoldId,
    /// Where it stands.
    pub state: HoldState,
    /// The complete text.
    pub sql: String,
    /// The bind values, with their types.
    pub params: Vec<String>,
    /// Who asks.
    pub identity: String,
    /// The identity's kind.
    pub kind: IdentityKind,
    /// Who answers for it.
    pub owner: Option<String>,
    /// The session.
    pub session: String,
    /// The database.
    pub database: String,
    /// The client's address.
    pub client: String,
    /// What the client calls itself.
    pub application_name: String,
    /// Why, as the client claims.
    pub reason: Option<String>,
    /// What it does.
    pub actions: Vec<ActionView>,
    /// Why it waits.
    pub reasons: Vec<String>,
    /// What it would touch; `None` where that is not known.
    pub radius: Option<Radius>,
    /// Whether `radius` is still being computed.
    pub radius_pending: bool,
    /// Which policy decided.
    pub verdict_policy: String,
    /// When it began to wait.
    pub created_at: String,
    /// When it expires.
    pub expires_at: String,
    /// How many people have to approve.
    pub needs: u32,
    /// Who has.
    pub approvals: Vec<ApprovalView>,
    /// Whether it keeps a transaction's locks.
    pub in_transaction: bool,
    /// Where its names resolve.
    pub search_path: Option<Vec<String>>,
    /// SHA-256 of all that an approval is bound to, in hex.
    pub digest: String,
    /// How it ended.
    pub ended: Option<EndedView>,
}

/// One action on one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionView {
    /// What is done.
    pub action: Action,
    /// The object's kind.
    pub kind: String,
    /// Its schema.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Whether that is sure.
    pub certain: bool,
}

/// One person's approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalView {
    /// Who.
    pub by: String,
    /// When.
    pub at: String,
    /// Why.
    pub reason: Option<String>,
    /// More rows than this are not approved.
    pub max_rows: Option<u64>,
}

/// How a hold ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedView {
    /// Who ended it.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: String,
}

impl From<&Effect> for ActionView {
    fn from(effect: &Effect) -> Self {
        Self {
            action: effect.action,
            kind: effect.object.kind.as_str().to_owned(),
            schema: effect.object.schema.clone(),
            name: effect.object.name.clone(),
            certain: effect.certainty == Certainty::Certain,
        }
    }
}

impl From<&Hold> for HoldView {
    fn from(hold: &Hold) -> Self {
        let request = &hold.request;
        Self {
            id: hold.id.clone(),
            state: hold.state,
            sql: request.sql.to_string(),
            params: request.params.clone(),
            identity: request.identity.name.clone(),
            kind: request.identity.kind,
            owner: request.identity.owner.clone(),
            session: request.session.clone(),
            database: request.database.clone(),
            client: request.client.clone(),
            application_name: request.application_name.clone(),
            reason: request.reason.clone(),
            actions: request.actions.iter().map(ActionView::from).collect(),
            reasons: request.reasons.clone(),
            radius: match &hold.radius {
                RadiusState::Known(radius) => Some(Radius::clone(radius)),
                RadiusState::Computing | RadiusState::Unavailable => None,
            },
            radius_pending: hold.radius == RadiusState::Computing,
            verdict_policy: request.verdict_policy.clone(),
            created_at: rfc3339(hold.created_at),
            expires_at: rfc3339(hold.expires_at),
            needs: hold.needs,
            approvals: hold
                .approvals
                .iter()
                .map(|approval| ApprovalView {
                    by: approval.by.clone(),
                    at: rfc3339(approval.at),
                    reason: approval.reason.clone(),
                    max_rows: approval.max_rows,
                })
                .collect(),
            in_transaction: request.in_transaction,
            search_path: request.search_path.clone(),
            digest: digest(hold),
            ended: hold.ended.as_ref().map(|ended| EndedView {
                by: ended.by.clone(),
                reason: ended.reason.clone(),
                at: rfc3339(ended.at),
            }),
        }
    }
}

/// RFC 3339 with milliseconds, UTC.
fn rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// SHA-256, in hex, of what the session bound the hold to and of the radius shown.
pub(super) fn digest(hold: &Hold) -> String {
    let mut hash = Sha256::new();
    hash.update(b"pgsluice hold 1\n");
    hash.update(hold.request.digest);
    match &hold.radius {
        RadiusState::Computing => hash.update(b"computing"),
        RadiusState::Unavailable => hash.update(b"unavailable"),
        // Its fields stand in a fixed order, so equal radii are equal texts. A share that is no number, which JSON
        // cannot say, is of no radius that we make.
        RadiusState::Known(radius) => hash.update(serde_json::to_vec(radius.as_ref()).unwrap_or_default()),
    }
    hash.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
        hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
        hex
    })
}
