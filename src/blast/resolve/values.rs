//! Code that runs because a value is made of a type, or becomes one of another: checks of domains, casts, and functions that
//! read values from text.

use std::collections::BTreeSet;

use super::{ApprovedUse, Resolver, name_of};
use crate::blast::casts::casts_to;
use crate::blast::facts::{CastTarget, CodeUse, FIRST_USER_OID, Relation};
use crate::blast::name_set::NameSet;
use crate::sql::functions::{builtin, keyword_call};
use crate::sql::{Action, Certainty, FunctionUse, Name, Notation, Object, ObjectKind, SessionChange, Statement};

/// Functions of the server that make values of a type which their argument brings, so that no type is named.
const MAKES_VALUES_OF_TYPES: [&str; 5] = [
    "json_populate_record",
    "json_populate_recordset",
    "jsonb_populate_record",
    "jsonb_populate_recordset",
    "jsonb_populate_record_valid",
];

impl<'a> Resolver<'a> {
    pub(super) fn types(&mut self, statement: &Statement) {
        for name in &statement.types {
            // Written in quotes, a word that stands for a type is a name like any other.
            let (written, canonical) = (name.name.as_str(), canonical_type(&name.name));
            self.redefined_name(ObjectKind::Type, written);
            self.cast(written);
            if canonical != written {
                self.redefined_name(ObjectKind::Type, canonical);
                self.cast(canonical);
            }
        }
        // Where a definition may name types, words are taken for those; it may name operator classes there as well.
        for code in statement.types.iter().filter_map(|name| self.facts.operator_classes.get(&name.name)).flatten() {
            self.run(code, Certainty::Possible, || "an operator class that is named may call".to_owned());
        }
        self.declared_types(&statement.declared_types);
        if self.facts.types.is_empty() {
            return;
        }
        let makes = |function: &FunctionUse| MAKES_VALUES_OF_TYPES.contains(&function.name.name.as_str());
        if statement.functions.iter().any(makes) {
            let code: BTreeSet<_> = self.facts.types.values().flatten().collect();
            for code in code {
                self.run(code, Certainty::Possible, || "making a value of a type may run".to_owned());
            }
        }
    }

    /// Code that stands nowhere in the statement.
    pub(super) fn unnamed_code(&mut self, statement: &Statement) {
        let facts = self.facts;
        let computes = !statement.functions.is_empty()
            || !statement.operators.is_empty()
            || !statement.types.is_empty()
            || statement.effects.iter().any(|effect| !matches!(effect.action, Action::Transaction | Action::Set));
        if computes {
            self.code_at_parse |= facts.parse_code.iter().any(|code| self.approval_of(code) == ApprovedUse::None);
            for code in &facts.implicit_code {
                self.run(code, Certainty::Possible, || "an implicit cast or comparison may call".to_owned());
            }
        }
        if !facts.assignment_casts.is_empty() && computes {
            self.assignment_casts(statement);
        }
    }

    /// Whether the statement may have values of types of users, of whichever: by casts and functions of users, from what
    /// the catalog does not tell of, or where a cast that nobody writes makes them.
    pub(super) fn makes_values_of_users(&self, statement: &Statement) -> bool {
        let facts = self.facts;
        let of_users = |name: &Name| {
            facts.type_names.contains(canonical_type(&name.name)) || self.names.functions(name).next().is_some()
        };
        let function = |function: &FunctionUse| {
            of_users(&function.name)
                || function.notation != Notation::Attribute
                    && builtin(&function.name.name).is_none()
                    && keyword_call(&function.name.name).is_none()
        };
        self.unknown_relations
            || !facts.implicit_code.is_empty()
            || statement.declared_types.iter().any(|oid| *oid >= FIRST_USER_OID)
            || statement.types.iter().any(of_users)
            || statement.functions.iter().any(function)
    }

    /// A string or parameter takes the type of what it is compared or united with: an array, range or composite of a
    /// domain, or the table's own row. The server reads a string so while it parses.
    pub(super) fn values(&mut self, relation: &'a Relation) {
        let stands_beside = match (&self.named_values, &relation.value_columns) {
            (Some(named), Some(columns)) => columns.iter().any(|column| named.contains(column.as_str())),
            _ => true,
        };
        if self.untyped_values && stands_beside {
            for code in &relation.runs_on_values {
                self.runs_at_parse(code);
                self.run(code, Certainty::Possible, || format!("a value read as one of {} runs", name_of(relation)));
            }
        }
    }

    /// A value is made of a type, by a cast or by calling the type's name as a function.
    pub(super) fn cast(&mut self, name: &str) {
        let facts = self.facts;
        // A temporary table is a type too, and one of arrays of it, with an underscore in front.
        let is_of = |tables: &NameSet| {
            tables.contains(name) || name.strip_prefix('_').is_some_and(|element| tables.contains(element))
        };
        if is_of(&self.context.temporary_code) {
            let object = Object::in_schema(ObjectKind::Type, "pg_temp", name);
            self.may_execute(object);
            self.reason(|| format!("{name} is, or was, a temporary type, or a relation whose columns run code"));
        }
        for code in facts.types.get(name).into_iter().flatten() {
            self.runs_at_parse(code);
            self.run(code, Certainty::Possible, || format!("a cast to {name} may call"));
        }
        // Which types the columns of a temporary relation have is not known.
        if is_of(&self.context.temporary) {
            for code in &facts.cast_code {
                self.run(code, Certainty::Possible, || format!("a cast to the row type {name} may call"));
            }
        }
    }

    /// A function casts what it is given.
    pub(super) fn unwritten_casts(&mut self, function: &str) {
        let facts = self.facts;
        for to in casts_to(function) {
            for code in facts.types.get(*to).into_iter().flatten() {
                self.run(code, Certainty::Possible, || format!("{function}() casts to {to} and may call"));
            }
        }
    }

    /// The server reads the values of parameters when they are bound, as what the client declared them to be.
    fn declared_types(&mut self, oids: &[u32]) {
        let facts = self.facts;
        for oid in oids.iter().filter(|oid| **oid >= FIRST_USER_OID) {
            let Some(code) = facts.types_by_oid.get(oid) else {
                let object = Object::new(ObjectKind::Type, oid.to_string());
                self.may_execute(object);
                self.reason(|| format!("a parameter is declared to be of type {oid}, of which nothing is known"));
                continue;
            };
            for code in code {
                self.run(code, Certainty::Possible, || format!("reading a parameter of type {oid} may call"));
            }
        }
    }

    /// Values are assigned to columns and to the parameters of EXECUTE; conditions, limits, subscripts and the like take
    /// what can be assigned to them.
    fn assignment_casts(&mut self, statement: &Statement) {
        let facts = self.facts;
        let makes_users = self.makes_values_of_users(statement);
        let gives = statement
            .session
            .iter()
            .any(|change| matches!(change, SessionChange::ExecutePrepared { arguments, .. } if !arguments.is_empty()));
        let documents = statement
            .functions
            .iter()
            .any(|function| ["xml", "json"].iter().any(|prefix| function.name.name.starts_with(prefix)));
        for cast in &facts.assignment_casts {
            let writes = self.followed.iter().any(|(oid, action)| {
                matches!(action, Action::Insert | Action::Update) && cast.target_relations.contains(oid)
            });
            let unknown = self.unknown_relations
                && statement.effects.iter().any(|effect| matches!(effect.action, Action::Insert | Action::Update));
            let takes = match cast.target {
                CastTarget::Assigned => false,
                CastTarget::Plain => true,
                CastTarget::Other => documents,
            };
            let has_source = cast
                .source_relations
                .as_ref()
                .is_none_or(|sources| makes_users || self.followed.iter().any(|(oid, _)| sources.contains(oid)));
            if has_source && (writes || unknown || gives || takes) {
                self.run(&cast.code, Certainty::Possible, || "an assignment cast may call".to_owned());
            }
        }
    }

    /// Code that runs when a value is read from text: of a string while the server parses.
    fn runs_at_parse(&mut self, code: &CodeUse) {
        self.code_at_parse |= self.strings && !code.reviewed && self.approval_of(code) == ApprovedUse::None;
    }
}

/// The catalog's name of a type as SQL writes it, without `[]` and `(...)` (`SystemTypeName`, `gram.y`).
fn canonical_type(written: &str) -> &str {
    let base = written.split(['(', '[']).next().unwrap_or(written).trim_end();
    match base {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "real" => "float4",
        "float" | "double precision" | "double" => "float8",
        "decimal" | "dec" => "numeric",
        "boolean" => "bool",
        "char" | "character" | "nchar" | "national character" | "national char" => "bpchar",
        "character varying" | "char varying" | "national character varying" => "varchar",
        "bit varying" => "varbit",
        "timestamp with time zone" => "timestamptz",
        "timestamp without time zone" => "timestamp",
        "time with time zone" => "timetz",
        "time without time zone" => "time",
        _ => base,
    }
}
