//! The bodies of requests and errors.

use serde::{Deserialize, Serialize};

use crate::catalog::{FunctionSource, FunctionSummary};
use crate::gate::functions::ApprovedFunction;

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

/// What somebody says who denies what they looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DenyBody {
    /// Why.
    pub reason: Option<String>,
    /// The digest of the hold that was looked at; denying anything else is refused.
    pub digest: Option<String>,
}

/// What is said on denying or withdrawing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReasonBody {
    /// Why.
    pub reason: Option<String>,
}

/// A function of a database, and whether it is approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionView {
    /// The function.
    #[serde(flatten)]
    pub function: FunctionSummary,
    /// Its approval; `None` where it is not approved as it is now.
    pub approval: Option<ApprovedFunction>,
}

/// All that an approver is shown of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownFunction {
    /// The function.
    #[serde(flatten)]
    pub source: FunctionSource,
    /// What is worse than it looks.
    pub warnings: Vec<String>,
}

/// What is said on approving a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApproveFunctionBody {
    /// The database.
    pub database: String,
    /// `pg_proc.oid`.
    pub oid: u32,
    /// The hash of what was looked at; approving anything else is refused.
    pub hash: String,
    /// Why.
    pub reason: String,
}

/// What is said on taking the approval of a function back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeFunctionBody {
    /// The database.
    pub database: String,
    /// `pg_proc.oid`.
    pub oid: u32,
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
