//! What the open transaction has defined: the facts are old there.

use super::Resolver;
use crate::sql::{Action, Effect, Object, ObjectKind, Statement};

impl Resolver<'_> {
    /// A relation of that name is used, and the open transaction has made or changed one.
    pub(super) fn may_be_new(&mut self, relation: Object) {
        self.reason(|| {
            format!("{relation} may have been made or changed in this transaction: what it runs cannot be seen yet")
        });
        self.may_execute(relation);
    }

    /// A function or type is used by its name.
    pub(super) fn redefined_name(&mut self, kind: ObjectKind, name: &str) {
        if self.context.definitions.concern_name(name) {
            self.may_execute(Object::new(kind, name));
            self.reason(|| {
                format!("{name} may have been made or changed in this transaction: what it runs cannot be seen yet")
            });
        }
    }

    /// Any statement may run something else by now. One that only defines runs nothing, unless it calls something.
    pub(super) fn redefined_everything(&mut self, statement: &Statement) {
        if !self.context.definitions.concern_everything() {
            return;
        }
        let only_defines = |effect: &Effect| {
            effect.object.kind == ObjectKind::Setting
                || matches!(
                    effect.action,
                    Action::Create
                        | Action::Alter
                        | Action::Drop
                        | Action::Grant
                        | Action::Lock
                        | Action::Set
                        | Action::Transaction
                )
        };
        let effects = &statement.effects;
        let computes = if effects.is_empty() {
            !statement.operators.is_empty() || !statement.types.is_empty()
        } else {
            !effects.iter().all(only_defines)
        };
        if computes || !statement.functions.is_empty() {
            self.may_execute(Object::new(ObjectKind::Other, ""));
            self.reason(|| {
                "this transaction has run or defined what may change what any statement runs: that cannot be seen yet"
                    .to_owned()
            });
        }
    }
}
