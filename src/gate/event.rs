//! What the audit log has to know of a gate.

use std::sync::Arc;

use super::hold::{Approval, Hold};

/// Something the audit log has to know.
#[derive(Debug, Clone)]
pub enum GateEvent {
    /// A statement is held.
    Held(Arc<Hold>),
    /// Somebody approved; the hold may wait for more approvals.
    Approved(Arc<Hold>, Approval),
    /// A hold ended, as [`Hold::ended`] says. For `approved` this follows the last [`GateEvent::Approved`].
    Ended(Arc<Hold>),
}

/// The audit log cannot take a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unrecorded(pub String);

/// Takes what happens, in order. It is called with the gate locked: it must not wait, and must not call the gate.
/// Where it fails, nothing is held and nothing is approved.
pub type Recorder = Arc<dyn Fn(GateEvent) -> Result<(), Unrecorded> + Send + Sync>;
