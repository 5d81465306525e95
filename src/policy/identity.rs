//! Who is asking.

use serde::{Deserialize, Serialize};

/// Who is asking: a name, a kind, an owner.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The name: that of the login role unless an identity is configured for it.
    pub name: String,
    /// The kind.
    pub kind: IdentityKind,
    /// The person who answers for it; counts as the requester too.
    pub owner: Option<String>,
}

/// What an identity is. A login role that nobody has described is a [`IdentityKind::Service`]: it may be
/// shared, so nothing is concluded from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdentityKind {
    /// A person.
    Human,
    /// A pipeline.
    Ci,
    /// A program, or a login role that nobody has described.
    #[default]
    Service,
    /// An AI agent.
    Agent,
}

impl IdentityKind {
    /// The name used in JSON and in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Ci => "ci",
            Self::Service => "service",
            Self::Agent => "agent",
        }
    }
}
