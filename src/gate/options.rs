//! How the gate behaves.

use std::time::Duration;

/// How the gate behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long a hold waits outside of transactions.
    pub expiry: Duration,
    /// The same inside of one, whose locks the hold keeps.
    pub expiry_in_transaction: Duration,
    /// Holds that wait at the same time.
    pub live_max: usize,
    /// Bytes of all that waits: text and values.
    pub live_bytes_max: usize,
    /// Ended holds that can still be looked at.
    pub recent_max: usize,
    /// Bytes of those.
    pub recent_bytes_max: usize,
    /// How long a hold is not approved for want of its radius, which the session computes meanwhile.
    pub radius_patience: Duration,
    /// Who may approve and deny. Empty: everybody on the proxy's own machine.
    pub approvers: Vec<String>,
    /// Names that stand for no person, so that nobody counts as the requester by them.
    pub shared_roles: Vec<String>,
    /// Tickets of one identity that wait at the same time: who does not wait could open any number of holds, and
    /// leave no room for others.
    pub tickets_max_per_identity: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            expiry: Duration::from_secs(15 * 60),
            expiry_in_transaction: Duration::from_secs(60),
            live_max: 1_000,
            live_bytes_max: 256 << 20,
            recent_max: 1_000,
            recent_bytes_max: 16 << 20,
            radius_patience: Duration::from_secs(10),
            approvers: Vec::new(),
            shared_roles: vec!["postgres".to_owned()],
            tickets_max_per_identity: 32,
        }
    }
}
