//! What the catalog knows of a real server, and statements that are put together by hand.

use std::collections::BTreeSet;
use std::sync::Arc;

use pgsluice::blast::{Facts, NameContext, SearchPath, resolve};
use pgsluice::catalog::{Catalog, SideConnection};
use pgsluice::cli::demo::throwaway::Throwaway;
use pgsluice::sql::{Action, Effect, Extent, FunctionUse, Name, Notation, Object, ObjectKind, Statement};
use tokio::runtime::Runtime;

use super::postgres;

/// A server with the database `shop` that holds the corpus' fixture.
pub(crate) fn fixture() -> Throwaway {
    let postgres = postgres();
    postgres.sql("postgres", "create database shop").unwrap();
    postgres.sql("shop", include_str!("../../testdata/corpus/base.sql")).unwrap();
    postgres
}

pub(crate) fn side(postgres: &Throwaway) -> SideConnection {
    side_as(postgres, "postgres")
}

/// The same as another role.
pub(crate) fn side_as(postgres: &Throwaway, user: &str) -> SideConnection {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(postgres.port()).user(user);
    SideConnection::plain(config)
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// The facts of `shop` as they are now.
pub(crate) fn facts(postgres: &Throwaway) -> Arc<Facts> {
    runtime().block_on(Catalog::new(side(postgres)).refresh("shop")).unwrap()
}

/// The usual search path.
pub(crate) fn usual() -> NameContext {
    let path = ["$user", "public"].map(str::to_owned).to_vec();
    NameContext { search_path: SearchPath::Known(path), role: "ro".to_owned(), ..NameContext::default() }
}

pub(crate) fn name(written: &str) -> Name {
    match written.split_once('.') {
        Some((schema, name)) => Name { schema: Some(schema.to_owned()), name: name.to_owned() },
        None => Name { schema: None, name: written.to_owned() },
    }
}

/// A statement that does something to a relation.
pub(crate) fn on(action: Action, written: &str) -> Statement {
    let Name { schema, name } = name(written);
    let effect = Effect::new(action, Object { kind: ObjectKind::Relation, schema, name });
    Statement { effects: vec![Effect { extent: Extent::Bounded, ..effect }], ..Statement::default() }
}

/// A statement that calls a function.
pub(crate) fn call(written: &str) -> Statement {
    Statement { functions: vec![FunctionUse { name: name(written), notation: Notation::Call }], ..Statement::default() }
}

/// The same in attribute notation.
pub(crate) fn attribute(written: &str) -> Statement {
    Statement {
        functions: vec![FunctionUse { name: name(written), notation: Notation::Attribute }],
        ..Statement::default()
    }
}

/// A statement that uses an operator.
pub(crate) fn operator(symbol: &str) -> Statement {
    Statement { operators: vec![Name { schema: None, name: symbol.to_owned() }], ..Statement::default() }
}

/// A statement that casts to a type.
pub(crate) fn cast(written: &str) -> Statement {
    Statement { types: vec![name(written)], ..Statement::default() }
}

/// What the statement does beyond its own effects, as text.
pub(crate) fn beyond(statement: &Statement, facts: &Facts, names: &NameContext) -> BTreeSet<String> {
    let own = statement.effects.iter().map(|effect| effect.action).collect::<BTreeSet<_>>();
    let effects = resolve(statement, facts, names).effects;
    let more = effects.iter().filter(|effect| effect.action != Action::Read && !own.contains(&effect.action));
    more.map(|effect| format!("{} {}", effect.action, effect.object)).collect()
}

/// What the statement does beyond its own effects is this.
#[track_caller]
pub(crate) fn runs(statement: &Statement, facts: &Facts, expected: &[&str]) {
    let expected: BTreeSet<_> = expected.iter().map(|effect| (*effect).to_owned()).collect();
    assert_eq!(beyond(statement, facts, &usual()), expected, "{statement:?}");
}
