//! `[enforce_reads]`: whose reads the server has to enforce.

use serde::Deserialize;

use crate::policy::IdentityKind;

/// `[enforce_reads]`: who makes sure, for each kind of identity, that what passes as a read only reads.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnforceReads {
    /// People.
    pub human: EnforcedBy,
    /// Pipelines.
    pub ci: EnforcedBy,
    /// Programs, and login roles that nobody has described.
    pub service: EnforcedBy,
    /// AI agents.
    pub agent: EnforcedBy,
}

/// Who makes sure that a read only reads, beside the proxy's own understanding of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EnforcedBy {
    /// Nobody.
    Off,
    /// The server: it runs in a read-only transaction or savepoint.
    Server,
}

impl Default for EnforceReads {
    fn default() -> Self {
        Self { human: EnforcedBy::Off, ci: EnforcedBy::Off, service: EnforcedBy::Off, agent: EnforcedBy::Server }
    }
}

impl EnforceReads {
    /// The kinds for which the server does.
    pub(super) fn kinds(self) -> Vec<IdentityKind> {
        let all = [
            (IdentityKind::Human, self.human),
            (IdentityKind::Ci, self.ci),
            (IdentityKind::Service, self.service),
            (IdentityKind::Agent, self.agent),
        ];
        all.into_iter().filter(|(_, by)| *by == EnforcedBy::Server).map(|(kind, _)| kind).collect()
    }
}
