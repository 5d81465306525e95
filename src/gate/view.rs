//! A hold as JSON: what `holds list --json` prints and the control socket speaks.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::HoldId;
use super::hold::{Hold, HoldState, RadiusState, Wait};
use crate::blast::Radius;
use crate::policy::IdentityKind;
use crate::sql::risk::radius::assess_reach;
use crate::sql::risk::{Level, Rule};
use crate::sql::{Action, Certainty, Effect};
use crate::text::rfc3339;

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
    /// The TLS version towards the client; `None` without TLS.
    pub tls: Option<String>,
    /// Why, as the client claims.
    pub reason: Option<String>,
    /// What it does.
    pub actions: Vec<ActionView>,
    /// Why it waits.
    pub reasons: Vec<String>,
    /// How bad the worst outcome is, by the text and by what is known of the radius.
    pub risk: Level,
    /// Whether what was there before can be had back without a backup, by another statement.
    pub reversible: bool,
    /// What that rests on, worst first.
    pub risks: Vec<RiskView>,
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
    /// Whether the client waits, or was refused and comes back.
    pub wait: Wait,
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

/// One rule by which a statement is a risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskView {
    /// The rule's name.
    pub rule: String,
    /// How bad it is.
    pub level: Level,
    /// Why: a sentence without a full stop.
    pub why: String,
    /// What to do instead, where there is something.
    pub instead: Option<String>,
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
    /// The address, where it came from another machine than the proxy's.
    #[serde(default)]
    pub remote: Option<String>,
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
    /// The address, where it was ended from another machine than the proxy's.
    #[serde(default)]
    pub remote: Option<String>,
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

impl From<&Rule> for RiskView {
    fn from(rule: &Rule) -> Self {
        Self {
            rule: rule.id.to_owned(),
            level: rule.level,
            why: rule.why.to_owned(),
            instead: rule.instead.map(str::to_owned),
        }
    }
}

impl From<&Hold> for HoldView {
    fn from(hold: &Hold) -> Self {
        let request = &hold.request;
        let mut risk = request.risk.clone();
        if let RadiusState::Known(radius) = &hold.radius {
            assess_reach(&mut risk, &radius.reach());
        }
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
            tls: request.tls.clone(),
            reason: request.reason.clone(),
            actions: request.actions.iter().map(ActionView::from).collect(),
            reasons: request.reasons.clone(),
            risk: risk.level(),
            reversible: risk.reversible(),
            risks: risk.rules.iter().map(|rule| RiskView::from(*rule)).collect(),
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
                    remote: approval.remote.clone(),
                })
                .collect(),
            in_transaction: request.in_transaction,
            wait: request.wait,
            search_path: request.search_path.clone(),
            digest: digest(hold),
            ended: hold.ended.as_ref().map(|ended| EndedView {
                by: ended.by.clone(),
                reason: ended.reason.clone(),
                at: rfc3339(ended.at),
                remote: ended.remote.clone(),
            }),
        }
    }
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

/// A hold that has a bit of everything, for tests of whatever shows holds.
#[cfg(test)]
pub(crate) mod sample {
    use super::*;
    use crate::blast::Rows;
    use crate::blast::radius::{Dependent, TouchedRelation, TouchedTrigger, TriggerEffects, Via};

    /// Ended, approved once of twice, with a radius.
    pub(crate) fn hold() -> HoldView {
        HoldView {
            id: "h-7k2m".parse().expect("an id"),
            state: HoldState::Denied,
            sql: "DELETE FROM orders\nWHERE id < $1".to_owned(),
            params: vec!["17::int4".to_owned()],
            identity: "reporter".to_owned(),
            kind: IdentityKind::Agent,
            owner: Some("alice".to_owned()),
            session: "s1".to_owned(),
            database: "shop".to_owned(),
            client: "127.0.0.1:5000".to_owned(),
            application_name: "psql".to_owned(),
            tls: Some("TLSv1.3".to_owned()),
            reason: Some("clean up".to_owned()),
            actions: vec![ActionView {
                action: Action::Delete,
                kind: "table".to_owned(),
                schema: Some("public".to_owned()),
                name: "orders".to_owned(),
                certain: true,
            }],
            reasons: vec!["deletes rows".to_owned()],
            risk: Level::High,
            reversible: false,
            risks: vec![RiskView {
                rule: "cascades".to_owned(),
                level: Level::High,
                why: "foreign keys carry it on".to_owned(),
                instead: Some("delete those first".to_owned()),
            }],
            radius: Some(radius()),
            radius_pending: false,
            verdict_policy: "default.cedar: destructive-waits".to_owned(),
            created_at: "2026-01-01T00:00:00.000Z".to_owned(),
            expires_at: "2026-01-01T00:15:00.000Z".to_owned(),
            needs: 2,
            approvals: vec![ApprovalView {
                by: "carol".to_owned(),
                at: "2026-01-01T00:01:00.000Z".to_owned(),
                reason: Some("ok".to_owned()),
                max_rows: Some(50_000),
                remote: Some("192.0.2.7:4000".to_owned()),
            }],
            in_transaction: true,
            wait: Wait::Ticket,
            search_path: Some(vec!["app".to_owned(), "public".to_owned()]),
            digest: "00ff".repeat(16),
            ended: Some(EndedView {
                by: Some("bob".to_owned()),
                reason: Some("not today".to_owned()),
                at: "2026-01-01T00:02:00.000Z".to_owned(),
                remote: Some("192.0.2.8:4000".to_owned()),
            }),
        }
    }

    /// Rows of a table and of another by cascade, a trigger, a view, a warning.
    pub(crate) fn radius() -> Radius {
        Radius {
            rows: Rows::planner(48_210),
            relations: vec![
                TouchedRelation {
                    schema: Some("public".to_owned()),
                    name: "orders".to_owned(),
                    kind: "table".to_owned(),
                    action: "delete".to_owned(),
                    via: Via::Statement,
                    rows: Rows::planner(48_210),
                    share: Some(0.314),
                    lock: Some("RowExclusiveLock".to_owned()),
                },
                TouchedRelation {
                    schema: Some("public".to_owned()),
                    name: "order_items".to_owned(),
                    kind: "table".to_owned(),
                    action: "delete".to_owned(),
                    via: Via::Cascade,
                    rows: Rows::UNKNOWN,
                    share: None,
                    lock: None,
                },
            ],
            triggers: vec![TouchedTrigger {
                name: "orders_audit".to_owned(),
                function: "public.log_it()".to_owned(),
                effects: TriggerEffects::Unknown,
            }],
            dependents: vec![Dependent {
                kind: "materialized_view".to_owned(),
                schema: "public".to_owned(),
                name: "totals".to_owned(),
            }],
            warnings: vec!["statistics are old".to_owned()],
        }
    }
}
