//! What a bound rests on: that names are columns of the queries they stand in.

use super::{Resolver, written};
use crate::blast::facts::Relation;
use crate::blast::names::Found;
use crate::sql::{Action, Assumption, Effect};

impl Resolver<'_> {
    /// Whether a change is as bounded as the text says: what that takes for columns of a query are some, as far as is known.
    pub(super) fn is_bounded(&mut self, effect: &Effect, assumptions: &[Assumption]) -> bool {
        let mut of_effect =
            assumptions.iter().filter(|assumed| assumed.action == effect.action && assumed.object == effect.object);
        let Some(wrong) = of_effect.find(|assumed| !self.may_hold(assumed)) else { return true };
        let verb = if effect.action == Action::Delete { "deletes" } else { "updates" };
        let relations: Vec<_> = wrong.relations.iter().map(written).collect();
        self.reason(|| {
            format!(
                "{verb} possibly every row of {}: {} is no column of {}, so it is that of the row itself",
                effect.object,
                wrong.column,
                relations.join(" or ")
            )
        });
        false
    }

    fn may_hold(&self, assumed: &Assumption) -> bool {
        // One that was changed waits anyway.
        let may_have = |relation: &Relation| self.facts.has_column(relation, &assumed.column).unwrap_or(true);
        assumed.relations.iter().any(|name| match self.names.relation(name.schema.as_deref(), &name.name) {
            Found::One(relation) => may_have(relation),
            Found::Several(relations) => relations.into_iter().any(may_have),
            Found::Temporary | Found::Nothing => true,
        })
    }
}
