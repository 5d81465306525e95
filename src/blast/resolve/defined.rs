//! What the open transaction has defined: the facts are old there.

use super::Resolver;
use crate::sql::{Action, Effect, Object, ObjectKind, Statement};

impl Resolver<'_> {
    /// Something of that name is used, and the open transaction has made or changed one.
    pub(super) fn may_be_new(&mut self, object: Object) {
        if self.stores {
            return;
        }
        self.reason(|| {
            format!("{object} may have been made or changed in this transaction: what it runs cannot be seen yet")
        });
        self.may_execute(object);
    }

    /// A relation is found that may be gone with what it depended on: then the name means the next of the search path.
    pub(super) fn may_have_been_dropped(&mut self, effect: &Effect) {
        let name = &effect.object.name;
        let may_be_others = effect.object.schema.is_none() && self.facts.named(name).nth(1).is_some();
        if self.context.definitions.dropped_dependents() && may_be_others {
            self.may_be_new(effect.object.clone());
        }
    }

    /// A function or type is used by its name. In what only defines, a word that is taken for a type may be a relation.
    pub(super) fn redefined_name(&mut self, kind: ObjectKind, name: &str) {
        let definitions = &self.context.definitions;
        let concerns = definitions.concern_name(name)
            || !self.defines && kind == ObjectKind::Type && definitions.concern_type(name);
        if concerns {
            self.may_be_new(Object::new(kind, name));
        }
    }

    /// What ends the transaction, or says that its constraints are to be checked, runs what was put off.
    pub(super) fn runs_what_was_put_off(&mut self, command: &str) {
        let ends = ["COMMIT", "END", "PREPARE TRANSACTION", "SET CONSTRAINTS"].contains(&command);
        if ends && self.context.definitions.may_run_at_commit() {
            self.may_execute(Object::new(ObjectKind::Other, ""));
            self.reason(|| {
                "a function was made anew in this transaction after code of users was used: it may run now".to_owned()
            });
        }
    }

    /// Any statement may run something else by now, but for those that compute nothing.
    pub(super) fn redefined_everything(&mut self, statement: &Statement) {
        let computes_nothing = |effect: &Effect| {
            effect.object.kind == ObjectKind::Setting
                || matches!(effect.action, Action::Grant | Action::Lock | Action::Set | Action::Transaction)
        };
        let computes = !statement.operators.is_empty()
            || !statement.types.is_empty()
            || !statement.functions.is_empty()
            || !statement.effects.iter().all(computes_nothing);
        if computes && self.context.definitions.concern_everything() {
            self.may_execute(Object::new(ObjectKind::Other, ""));
            self.reason(|| {
                "this transaction has run or defined what may change what any statement runs: that cannot be seen yet"
                    .to_owned()
            });
        }
    }
}
