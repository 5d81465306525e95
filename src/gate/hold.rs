//! One hold: what waits, for what, and how it ended.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Approver, HoldId};
use crate::blast::Radius;
use crate::policy::Identity;
use crate::sql::Effect;
use crate::sql::risk::Risk;

/// What a session asks to hold: everything an approver is shown, and what an approval is bound to.
#[derive(Debug, Clone)]
pub struct HoldRequest {
    /// The complete text of the statement or message.
    pub sql: Arc<str>,
    /// The bind values as text with their types, e.g. `17::int4`.
    pub params: Vec<String>,
    /// Who asks.
    pub identity: Identity,
    /// The session's id.
    pub session: String,
    /// The database.
    pub database: String,
    /// The client's address.
    pub client: String,
    /// What the client calls itself.
    pub application_name: String,
    /// The TLS version towards the client; `None` without TLS.
    pub tls: Option<String>,
    /// Why, as the client claims: `SET pgsluice.reason = '...'`.
    pub reason: Option<String>,
    /// What the statement does.
    pub actions: Vec<Effect>,
    /// Why it waits, one sentence each.
    pub reasons: Vec<String>,
    /// What it risks by its text alone; what the radius adds is in [`HoldView::risk`](super::HoldView::risk).
    pub risk: Risk,
    /// Which policy decided, as `file: id`.
    pub verdict_policy: String,
    /// How many people have to approve.
    pub needs: u32,
    /// Whether it runs inside a transaction, whose locks it keeps.
    pub in_transaction: bool,
    /// Where its unqualified names resolve; `None` where that is not known.
    pub search_path: Option<Vec<String>>,
    /// Expire sooner than usual, e.g. below `idle_in_transaction_session_timeout`.
    pub expiry_cap: Option<Duration>,
    /// Whether the client waits.
    pub wait: Wait,
    /// SHA-256 of what an approval is bound to: bytes, values, identity, database, search path and, where the client
    /// waits, the session. Of a ticket it says which statement may use the approval.
    pub digest: [u8; 32],
}

/// Whether the client of a held statement waits for the decision: `SET pgsluice.wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wait {
    /// It waits, in flight.
    #[default]
    Inline,
    /// It was refused at once. Once approved, the same statement passes once.
    Ticket,
}

impl Wait {
    /// The contract's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Ticket => "ticket",
        }
    }
}

/// A text names no way to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is inline or ticket")]
pub struct NoWait;

impl std::str::FromStr for Wait {
    type Err = NoWait;

    /// Reads the value of `pgsluice.wait`, in any case as Postgres reads the values of its own enumerations.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "inline" => Ok(Self::Inline),
            "ticket" => Ok(Self::Ticket),
            _ => Err(NoWait),
        }
    }
}

impl HoldRequest {
    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let params: usize = self.params.iter().map(|param| param.len() + size_of::<String>()).sum();
        let reasons: usize = self.reasons.iter().map(String::len).sum();
        let actions: usize = self
            .actions
            .iter()
            .map(|effect| {
                size_of::<Effect>() + effect.object.name.len() + effect.object.schema.as_ref().map_or(0, String::len)
            })
            .sum();
        size_of::<Self>() + self.sql.len() + params + reasons + actions
    }
}

/// One hold at one moment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Hold {
    /// Its id.
    pub id: HoldId,
    /// What waits.
    pub request: Arc<HoldRequest>,
    /// What it would touch.
    pub radius: RadiusState,
    /// Where it stands.
    pub state: HoldState,
    /// How many people have to approve; at least 1.
    pub needs: u32,
    /// Who has approved.
    pub approvals: Vec<Approval>,
    /// When it began to wait.
    pub created_at: Timestamp,
    /// When it expires undecided.
    pub expires_at: Timestamp,
    /// How it ended; `None` while pending.
    pub ended: Option<Ended>,
}

impl Hold {
    /// Whether it waits.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.state == HoldState::Pending
    }
}

/// What is known of a blast radius.
#[derive(Debug, Clone, PartialEq)]
pub enum RadiusState {
    /// It is being computed.
    Computing,
    /// This.
    Known(Arc<Radius>),
    /// It cannot be computed.
    Unavailable,
}

/// Where a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HoldState {
    /// It waits.
    Pending,
    /// Enough people approved.
    Approved,
    /// Somebody denied it.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// The client cancelled or went away, or somebody withdrew it.
    Withdrawn,
    /// The proxy or the upstream could not run it any more.
    Failed,
}

impl HoldState {
    /// The contract's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Withdrawn => "withdrawn",
            Self::Failed => "failed",
        }
    }
}

/// One person's approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<String>,
    /// More rows than this are not approved.
    pub max_rows: Option<u64>,
    /// The address, where it came from another machine than the proxy's.
    pub remote: Option<String>,
}

/// How a hold ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Who ended it; `None` where nobody did.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// The address, where it was ended from another machine than the proxy's.
    pub remote: Option<String>,
}

impl Ended {
    /// Somebody ends it now.
    pub(super) fn by(by: &Approver, reason: Option<String>) -> Self {
        let remote = by.origin.remote_address().map(str::to_owned);
        Self { by: Some(by.name.clone()), reason, at: Timestamp::now(), remote }
    }

    /// It ends now without anybody's doing.
    pub(super) fn by_itself(reason: Option<String>) -> Self {
        Self { by: None, reason, at: Timestamp::now(), remote: None }
    }
}
