//! Where names lead, as the server's `namespace.c` has it.

use super::facts::{Facts, Relation, UserFunction, UserOperator};
use super::resolve::{NameContext, SearchPath};
use crate::sql::Name;

const CATALOG: &str = "pg_catalog";
const TEMPORARY: &str = "pg_temp";

/// Looks names up in one database, for one session.
pub(super) struct Names<'a> {
    facts: &'a Facts,
    context: &'a NameContext,
    /// The schemas that are searched, in order, with what is searched implicitly; `None` where the path is unknown.
    path: Option<Vec<&'a str>>,
}

/// What a relation's name means.
pub(super) enum Found<'a> {
    /// A relation of this session's own.
    Temporary,
    /// One relation.
    One(&'a Relation),
    /// One of these: the search path is not known.
    Several(Vec<&'a Relation>),
    /// None that the catalog knows.
    Nothing,
}

impl<'a> Names<'a> {
    /// Prepares the search path: `$user` replaced, schemas that do not exist left out, `pg_temp` and `pg_catalog` in
    /// front where they are not listed (`recomputeNamespacePath`).
    pub(super) fn new(facts: &'a Facts, context: &'a NameContext) -> Self {
        let path = match &context.search_path {
            SearchPath::Unknown => None,
            SearchPath::Known(listed) if is_of_unknown_role(listed, context) => None,
            SearchPath::Known(listed) => {
                let mut path: Vec<&str> = listed
                    .iter()
                    .map(|schema| if schema == "$user" { context.role.as_str() } else { schema.as_str() })
                    .filter(|schema| *schema == TEMPORARY || facts.schemas.contains(*schema))
                    .collect();
                for implicit in [CATALOG, TEMPORARY] {
                    if !path.contains(&implicit) {
                        path.insert(0, implicit);
                    }
                }
                Some(path)
            }
        };
        Self { facts, context, path }
    }

    /// Where something new is made: the first schema that was listed. `None` where that is not known.
    pub(super) fn creation_schema(&self) -> Option<&'a str> {
        let SearchPath::Known(listed) = &self.context.search_path else { return None };
        if is_of_unknown_role(listed, self.context) {
            return None;
        }
        listed
            .iter()
            .map(|schema| if schema == "$user" { self.context.role.as_str() } else { schema.as_str() })
            .find(|schema| self.facts.schemas.contains(*schema))
    }

    /// The relation of that name.
    pub(super) fn relation(&self, schema: Option<&str>, name: &str) -> Found<'a> {
        if let Some(schema) = schema {
            // Which number this session's own schema has is not known: `pg_temp_3` may be another's.
            if schema == TEMPORARY {
                return Found::Temporary;
            }
            return self.facts.relation(schema, name).map_or(Found::Nothing, Found::One);
        }
        let temporary = self.context.temporary.contains(name);
        let Some(path) = &self.path else {
            let all: Vec<_> = self.facts.named(name).collect();
            return match (temporary, all.len()) {
                // pg_temp comes first unless a path says otherwise, and this path is not known.
                (true, 0) => Found::Temporary,
                (_, 0) => Found::Nothing,
                _ => Found::Several(all),
            };
        };
        // Those in schemas that the role may not be allowed to use, so that the server looks further.
        let mut doubtful = Vec::new();
        for schema in path {
            if *schema == TEMPORARY {
                if temporary && doubtful.is_empty() {
                    return Found::Temporary;
                }
            } else if let Some(relation) = self.facts.relation(schema, name) {
                if *schema != CATALOG && !self.facts.may_use(&self.context.role, schema) {
                    doubtful.push(relation);
                    continue;
                }
                if doubtful.is_empty() {
                    return Found::One(relation);
                }
                doubtful.push(relation);
                break;
            }
        }
        match doubtful.as_slice() {
            [] => Found::Nothing,
            [relation] => Found::One(relation),
            _ => Found::Several(doubtful),
        }
    }

    /// Why a relation's name may mean a temporary relation that runs code, if it may.
    pub(super) fn temporary_code(&self, schema: Option<&str>, name: &str) -> Option<&'static str> {
        match schema {
            Some(schema) if schema != TEMPORARY && !schema.starts_with("pg_temp_") => return None,
            // Those of the path before pg_temp hide it only where they are certainly there; that is not worth a look.
            _ => {}
        }
        if self.context.temporary_code.contains(name) {
            return Some("is, or was, a temporary relation that runs code");
        }
        let certain = self.context.temporary.contains(name);
        (self.context.unseen && !certain)
            .then_some("may be a temporary relation that code nobody saw through has made, and run code itself")
    }

    /// The functions that are not the server's own which a call of that name may mean. Which of them it is depends
    /// on the types of the arguments, and those we do not know.
    pub(super) fn functions(&self, name: &Name) -> impl Iterator<Item = &'a UserFunction> {
        let schema = name.schema.clone();
        let all = self.facts.functions.get(&name.name).into_iter().flatten();
        all.filter(move |function| self.visible(schema.as_deref(), &function.schema))
    }

    /// The operators that are not the server's own which a symbol may mean.
    pub(super) fn operators(&self, name: &Name) -> impl Iterator<Item = &'a UserOperator> {
        let schema = name.schema.clone();
        let all = self.facts.operators.get(&name.name).into_iter().flatten();
        all.filter(move |operator| self.visible(schema.as_deref(), &operator.schema))
    }

    /// Whether a function or operator of `schema` can be meant. Temporary schemas are never searched for those.
    fn visible(&self, written: Option<&str>, schema: &str) -> bool {
        match (written, &self.path) {
            (Some(written), _) => written == schema,
            (None, Some(path)) => path.contains(&schema),
            (None, None) => true,
        }
    }
}

/// Whether a search path has a role's own schema in it whose name cannot be read: at login a role's name is bytes in
/// whichever encoding (`InitPostgres`).
fn is_of_unknown_role(listed: &[String], context: &NameContext) -> bool {
    !context.role.is_ascii() && listed.iter().any(|schema| schema == "$user")
}
