//! The statements that wait, as the catalog can ask the database about them: for approvers who want to see rows.

use std::sync::Arc;

use dashmap::DashMap;

use crate::catalog::RadiusRequest;
use crate::gate::HoldId;

/// What waits. Cheap to clone; bounded by the gate's own bound, since only what waits is in it.
#[derive(Debug, Clone, Default)]
pub struct Examinable {
    entries: Arc<DashMap<HoldId, Arc<[RadiusRequest]>>>,
}

impl Examinable {
    /// The statements of a hold that waits; `None` where it does not wait any more.
    #[must_use]
    pub fn statements(&self, id: &HoldId) -> Option<Arc<[RadiusRequest]>> {
        self.entries.get(id).map(|entry| Arc::clone(entry.value()))
    }

    /// Keeps the statements of a hold for as long as the guard lives.
    pub(super) fn enter(&self, id: &HoldId, statements: Arc<[RadiusRequest]>) -> Kept {
        self.entries.insert(id.clone(), statements);
        Kept { examinable: self.clone(), id: id.clone() }
    }
}

/// A hold's place among what can be examined.
#[derive(Debug)]
pub(super) struct Kept {
    examinable: Examinable,
    id: HoldId,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.examinable.entries.remove(&self.id);
    }
}
