//! Functions and operators that a statement names, or uses without naming them.

use super::{Resolver, written};
use crate::blast::facts::{Operands, UserOperator};
use crate::sql::functions::{builtin, is_builtin_with_effects, keyword_call};
use crate::sql::{Action, Certainty, Effect, FunctionUse, Name, Notation, Object, ObjectKind, Statement};

/// Operators that syntax uses without writing them: `IN`, `BETWEEN`, `LIKE`, `CASE x WHEN`, `NULLIF`, `USING (...)`.
pub(crate) const IMPLICIT_OPERATORS: [&str; 11] = ["=", "<>", "<", "<=", ">", ">=", "~~", "!~~", "~~*", "!~~*", "~"];

/// Commands that no query and no expression is part of.
const WITHOUT_EXPRESSIONS: [&str; 15] = [
    "BEGIN",
    "START TRANSACTION",
    "COMMIT",
    "END",
    "ROLLBACK",
    "ABORT",
    "SAVEPOINT",
    "RELEASE",
    "SET",
    "SET TRANSACTION",
    "RESET",
    "SHOW",
    "DISCARD",
    "DEALLOCATE",
    "CLOSE",
];

impl Resolver<'_> {
    /// A text alone takes each function that is not the server's own for code. Here it is looked up.
    pub(super) fn is_answered_below(effect: &Effect, statement: &Statement) -> bool {
        let object = &effect.object;
        effect.action == Action::Execute
            && matches!(object.kind, ObjectKind::Function | ObjectKind::Procedure)
            && builtin(&object.name).is_none()
            && statement.functions.iter().any(|function| {
                function.notation != Notation::Attribute
                    && function.name.name == object.name
                    && function.name.schema == object.schema
            })
    }

    pub(super) fn call(&mut self, function: &FunctionUse) {
        let name = &function.name;
        let builtin = match name.schema.as_deref() {
            None => {
                let syntax = keyword_call(&name.name).is_some_and(|since| since <= self.facts.server_version);
                syntax || builtin(&name.name).is_some()
            }
            Some("pg_catalog" | "information_schema") => builtin(&name.name).is_some(),
            Some(_) => false,
        };
        let candidates: Vec<_> = self.names.functions(name).collect();
        let certainty = if candidates.len() == 1 && !builtin { Certainty::Certain } else { Certainty::Possible };
        for candidate in &candidates {
            self.run(&candidate.code, certainty, || format!("{} may call", written(name)));
        }
        self.redefined_name(ObjectKind::Function, &name.name);
        self.redefined_name(ObjectKind::Type, &name.name);
        self.cast(&name.name);
        self.unwritten_casts(&name.name);
        self.bounds(&name.name);
        if !builtin && candidates.is_empty() {
            let kind =
                if function.notation == Notation::Procedure { ObjectKind::Procedure } else { ObjectKind::Function };
            let object = Object { kind, schema: name.schema.clone(), name: name.name.clone() };
            self.may_execute(object);
            self.reason(|| format!("no function is known that {}() calls", written(name)));
        }
    }

    pub(super) fn attribute(&mut self, name: &Name) {
        let candidates: Vec<_> = self.names.functions(name).filter(|candidate| candidate.attribute).collect();
        for candidate in candidates {
            self.run(&candidate.code, Certainty::Possible, || format!("attribute {} may call", name.name));
        }
        self.redefined_name(ObjectKind::Function, &name.name);
        self.cast(&name.name);
        if builtin(&name.name).is_some() || self.names.functions(name).next().is_some() {
            self.unwritten_casts(&name.name);
        }
        self.bounds(&name.name);
        if is_builtin_with_effects(&name.name) {
            let object = Object::in_schema(ObjectKind::Function, "pg_catalog", &name.name);
            self.may_execute(object);
            self.reason(|| format!("attribute {} may call pg_catalog.{}()", name.name, name.name));
        }
    }

    pub(super) fn operators(&mut self, statement: &Statement) {
        let is_temporary = |name: &&Name| name.schema.as_deref().is_some_and(|schema| schema.starts_with("pg_temp"));
        for name in statement.operators.iter().filter(is_temporary) {
            self.may_execute(Object {
                kind: ObjectKind::Operator,
                schema: name.schema.clone(),
                name: name.name.clone(),
            });
            self.reason(|| format!("no operator is known that {} means", written(name)));
        }
        if self.facts.operators.is_empty() || WITHOUT_EXPRESSIONS.contains(&statement.command.as_str()) {
            return;
        }
        let implicit = IMPLICIT_OPERATORS.map(|symbol| Name { schema: None, name: symbol.to_owned() });
        let makes_users = self.makes_values_of_users(statement);
        for name in statement.operators.iter().chain(&implicit) {
            let candidates = self.names.operators(name);
            let candidates: Vec<_> = candidates.filter(|operator| makes_users || self.has_operands(operator)).collect();
            for operator in candidates {
                self.run(&operator.code, Certainty::Possible, || format!("operator {} may call", written(name)));
            }
        }
    }

    /// Whether what is read or changed may hold values of the types of an operator's operands.
    fn has_operands(&self, operator: &UserOperator) -> bool {
        let Operands::Users(rows) = &operator.operands else { return true };
        self.followed.iter().any(|(oid, _)| {
            rows.contains(oid) || self.facts.relations.get(oid).is_none_or(|relation| relation.has_user_types)
        })
    }
}
