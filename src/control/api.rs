//! The bodies of requests and errors.

use serde::{Deserialize, Serialize};

/// What an approver says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApproveBody {
    /// Why.
    pub reason: Option<String>,
    /// More rows than this are not approved.
    pub max_rows: Option<u64>,
    /// The digest of the hold that was looked at; approving anything else is refused.
    pub digest: Option<String>,
}

/// What is said on denying or withdrawing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReasonBody {
    /// Why.
    pub reason: Option<String>,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// A word for programs.
    pub code: String,
}
