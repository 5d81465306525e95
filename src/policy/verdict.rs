//! What the policy says.

/// The verdict on one statement or message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Pass, hold or deny.
    pub outcome: Outcome,
    /// Which policy decided, as `file: policy id`, e.g. `default.cedar: destructive-waits`.
    pub policy: String,
    /// Why, for a person: one sentence each.
    pub reasons: Vec<String>,
}

/// Pass, hold or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Runs at once.
    Pass,
    /// Waits for a person.
    Hold {
        /// How many approvals it needs.
        needs: u32,
    },
    /// Never runs.
    Deny,
}

impl Outcome {
    /// The contract's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Hold { .. } => "hold",
            Self::Deny => "deny",
        }
    }
}
