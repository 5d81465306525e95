//! What names mean in a database, and what runs there, without a server.

mod calls;
mod defined;
mod names;
mod relations;
mod secrets;
mod values;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::blast::facts::{
    AssignmentCast, CastTarget, ColumnNames, Events, ForeignKey, Operands, Reference, ReferentialAction, Relation,
    RelationKind, Rule, Trigger, UserFunction, UserOperator,
};
use crate::sql::{
    Action, Argument, Assumption, Certainty, Effect, Extent, FunctionUse, Name, Notation, Object, ObjectKind,
    SessionChange, Statement,
};

/// A database with the schemas `public` and `evil`, on Postgres 15.
fn facts() -> Facts {
    let mut facts = Facts { server_version: 150_018, ..Facts::default() };
    for schema in ["public", "evil", "pg_catalog", "information_schema"] {
        facts.schemas.insert(schema.to_owned());
        facts.schema_users.insert(schema.to_owned(), [String::new()].into());
    }
    facts.search_path = path(&["$user", "public"]);
    facts.add_relation(table(100, "public", "orders"));
    facts.add_relation(Relation { system: true, ..table(1259, "pg_catalog", "pg_class") });
    facts
}

fn table(oid: u32, schema: &str, name: &str) -> Relation {
    Relation { oid, schema: schema.to_owned(), name: name.to_owned(), ..Relation::default() }
}

fn path(schemas: &[&str]) -> SearchPath {
    SearchPath::Known(schemas.iter().map(|schema| (*schema).to_owned()).collect())
}

fn usual() -> NameContext {
    NameContext { search_path: path(&["$user", "public"]), role: "app".to_owned(), ..NameContext::default() }
}

/// What an open transaction has defined behind a script.
fn defined(script: &str) -> Definitions {
    let mut definitions = Definitions::default();
    for statement in analyzed(script) {
        let noted = definitions.note(Some(&statement), &statement.effects, ApprovedUse::None, Some(&facts()));
        assert!(noted, "{script}");
    }
    definitions
}

fn analyzed(script: &str) -> Vec<Statement> {
    crate::sql::analyze(script.as_bytes(), &crate::sql::LexerSettings::default()).statements
}

fn code(schema: &str, name: &str) -> CodeUse {
    CodeUse {
        schema: Some(schema.to_owned()),
        name: name.to_owned(),
        oid: 20_000,
        hash: "ab".to_owned(),
        reviewed: false,
    }
}

fn function(facts: &mut Facts, schema: &str, name: &str) {
    let entry = UserFunction { schema: schema.to_owned(), code: code(schema, name), attribute: true };
    facts.functions.entry(name.to_owned()).or_default().push(entry);
}

fn name(written: &str) -> Name {
    match written.split_once('.') {
        Some((schema, name)) if !schema.is_empty() => Name { schema: Some(schema.to_owned()), name: name.to_owned() },
        _ => Name { schema: None, name: written.to_owned() },
    }
}

fn blank() -> Statement {
    Statement { command: "SELECT".to_owned(), ..Statement::default() }
}

fn on(action: Action, written: &str) -> Statement {
    let Name { schema, name } = name(written);
    let effect = Effect::new(action, Object { kind: ObjectKind::Relation, schema, name });
    Statement { effects: vec![Effect { extent: Extent::Bounded, ..effect }], ..blank() }
}

fn calls(written: &str, notation: Notation) -> Statement {
    Statement { functions: vec![FunctionUse { name: name(written), notation }], ..blank() }
}

/// The effects as text: action, object, `?` where only possible.
fn shown(resolved: &Resolved) -> Vec<String> {
    let sure = |effect: &Effect| if effect.certainty == Certainty::Possible { "?" } else { "" };
    let show = |effect: &Effect| {
        format!("{} {} {}{}", effect.action, effect.object.kind.as_str(), effect.object, sure(effect))
    };
    resolved.effects.iter().map(show).collect()
}

#[track_caller]
fn expect(statement: &Statement, facts: &Facts, context: &NameContext, effects: &[&str]) {
    assert_eq!(shown(&resolve(statement, facts, context)), effects);
}
