//! Why a decision is not taken, or a statement not held.

use super::hold::{Hold, HoldState};
use super::{HoldId, Unrecorded};

/// Why a decision is not taken; the hold is as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such hold.
    #[error("there is no hold {0}")]
    Unknown(HoldId),
    /// It is decided.
    #[error("{id} is already decided by {by}: {}", state.as_str())]
    Decided {
        /// The hold.
        id: HoldId,
        /// Who was faster.
        by: String,
        /// What they decided.
        state: HoldState,
    },
    /// It ended without a decision.
    #[error("{id} does not wait any more: it is {}", state.as_str())]
    Over {
        /// The hold.
        id: HoldId,
        /// How it ended.
        state: HoldState,
    },
    /// The approver is the requester, or answers for it.
    #[error("{0} cannot approve a statement of their own")]
    OwnStatement(String),
    /// The caller is not among the approvers.
    #[error("{0} is not among the configured approvers")]
    NoApprover(String),
    /// One person counts once.
    #[error("you have approved {id} already; it needs {needs} different people")]
    ApprovedAlready {
        /// The hold.
        id: HoldId,
        /// How many people have to approve.
        needs: u32,
    },
    /// What it would touch is being computed.
    #[error("what {0} would touch is still being computed")]
    RadiusUnknownYet(HoldId),
    /// It would touch more rows than the approver allows.
    #[error(
        "{id} would touch {rows} rows by what is known, more than the {max_rows} that you allow: nothing is decided"
    )]
    TooMany {
        /// The hold.
        id: HoldId,
        /// How many rows it would touch, as shown.
        rows: u64,
        /// What the approver gave.
        max_rows: u64,
    },
    /// The hold is not what the approver has seen.
    #[error("{0} is not what you looked at any more")]
    Changed(HoldId),
    /// The audit log cannot record the decision.
    #[error("the audit log cannot record the decision, so it is not taken: {0}")]
    Unrecorded(#[from] Unrecorded),
}

/// Why a statement cannot be held; it is refused instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateFull {
    /// Too many statements wait.
    #[error("{0} statements wait for approval already, which is the limit")]
    Count(usize),
    /// What waits is too large.
    #[error("what waits for approval would be larger than {0} bytes")]
    Bytes(usize),
    /// Too many tickets of one identity wait.
    #[error("{limit} tickets of {identity} wait for approval already, which is the limit")]
    Tickets {
        /// The identity's name.
        identity: String,
        /// How many may wait.
        limit: usize,
    },
    /// The audit log cannot write it down.
    #[error("the audit log cannot record it: {0}")]
    Unrecorded(#[from] Unrecorded),
}

impl Refused {
    pub(super) fn ended(hold: &Hold) -> Self {
        let by = hold.ended.as_ref().and_then(|ended| ended.by.clone());
        match by {
            Some(by) => Self::Decided { id: hold.id.clone(), by, state: hold.state },
            None => Self::Over { id: hold.id.clone(), state: hold.state },
        }
    }

    /// A word for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown_hold",
            Self::Decided { state, .. } | Self::Over { state, .. } => state.as_str(),
            Self::OwnStatement(_) => "own_statement",
            Self::NoApprover(_) => "not_an_approver",
            Self::ApprovedAlready { .. } => "approved_already",
            Self::RadiusUnknownYet(_) => "radius_unknown_yet",
            Self::TooMany { .. } => "too_many_rows",
            Self::Changed(_) => "changed",
            Self::Unrecorded(_) => "unrecorded",
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Unknown(_) => Some("`pgsluice holds list --all` shows what waits and what ended lately"),
            Self::Decided { .. } | Self::Over { .. } => {
                Some("a hold is decided once; the statement has to be sent again")
            }
            Self::OwnStatement(_) => Some(
                "ask somebody else; or, where the login role stands for no person, list it under shared_roles in \
                 pgsluice.toml",
            ),
            Self::NoApprover(_) => Some("`approvers` in pgsluice.toml lists who may decide"),
            Self::ApprovedAlready { .. } => Some("ask somebody else to approve it as well"),
            Self::RadiusUnknownYet(_) => Some("try again in a moment"),
            Self::TooMany { .. } => Some("deny it, or allow as many rows as it touches"),
            Self::Changed(_) => Some("look at it again: `pgsluice holds show ID`"),
            Self::Unrecorded(_) => Some("see the proxy's own log; deny and withdraw still work"),
        }
    }
}
