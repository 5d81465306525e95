//! From the rows of the catalogs to [`Facts`].

mod answers;
mod casts;
mod code;
mod fingerprint;
mod late_bound;
mod relations;
mod settings;
mod stored;

use std::collections::{BTreeSet, HashMap, HashSet};

use tokio_postgres::SimpleQueryMessage;

use super::queries;
use crate::blast::casts::makes_json;
use crate::blast::facts::{CodeUse, Facts, Relation};
use crate::sql::functions::builtin;
use answers::{Answers, Line};
use settings::OwnSettings;

pub(super) use answers::Malformed;
pub(super) use fingerprint::{Fingerprint, Probe};

// OIDs of catalogs: they are the same in every database and version.
const TYPE: u32 = 1247;
const FUNCTION: u32 = 1255;
const RELATION: u32 = 1259;
const CONSTRAINT: u32 = 2606;
const OPERATOR_CLASS: u32 = 2616;
const OPERATOR: u32 = 2617;
const RULE: u32 = 2618;
const TRIGGER: u32 = 2620;
const POLICY: u32 = 3256;
/// No catalog: the columns of a relation, without its checks and keys. A row type has those only.
const COLUMNS: u32 = 0;
/// No catalog: what makes the value of a column of a domain that is given none. A cast does not run it.
const DEFAULT: u32 = 1;

/// All that is asked, in the order in which the answers come.
pub(super) fn batch() -> String {
    let queries = [
        queries::BEGIN,
        queries::FINGERPRINT,
        queries::COLUMNS_FINGERPRINT,
        queries::VERSION,
        queries::ROLE_SETTINGS,
        queries::SCHEMAS,
        queries::SUPERUSERS,
        queries::RELATIONS,
        queries::COLUMN_NAMES,
        queries::BUILTINS,
        queries::FUNCTIONS,
        queries::OPERATORS,
        queries::TYPES,
        queries::RANGES,
        queries::CASTS,
        queries::ASSIGNMENTS,
        queries::COLUMNS,
        queries::CAST_PARTS,
        queries::OPERATOR_CLASSES,
        queries::RULES,
        queries::TRIGGERS,
        queries::CONSTRAINTS,
        queries::PARTS,
        queries::DEPENDENCIES,
        queries::EXPRESSIONS,
        queries::INHERITANCE,
        queries::EVENT_TRIGGERS,
        queries::WITHOUT_SECRETS,
        queries::STORED,
        queries::INLINED,
        queries::PARTITION_KEYS,
        "commit",
    ];
    queries.join(";")
}

/// The facts of a database, and the fingerprint of the snapshot they are from.
pub(super) fn facts(
    database: &str,
    own: &[SimpleQueryMessage],
    messages: Vec<SimpleQueryMessage>,
) -> Result<(Facts, Fingerprint), Malformed> {
    let own = OwnSettings::new(own)?;
    let mut answers = Answers::new(messages);
    let (fingerprint, seen) = Fingerprint::first(&own, &mut answers)?;
    let mut assembly = Assembly::default();
    assembly.facts.seen = seen;
    assembly.facts.database = database.to_owned();
    assembly.facts.server_version = answers.line()?.number(0)?;
    let role_settings = answers.rows()?;
    assembly.search_paths(&own.path, &role_settings)?;
    assembly.roles(&role_settings)?;
    assembly.time_limits(&own.time_limits, &role_settings)?;
    for line in answers.rows()? {
        let users = line.names(1)?.unwrap_or_default();
        assembly.facts.schema_users.insert(line.string(0)?, users.into_iter().collect());
        assembly.facts.schemas.insert(line.string(0)?);
    }
    for line in answers.rows()? {
        assembly.facts.superusers.insert(line.string(0)?);
    }
    assembly.relations(&answers.rows()?)?;
    assembly.column_names(&answers.rows()?)?;
    for line in answers.rows()? {
        assembly.builtins.insert(line.number(0)?, line.string(1)?);
    }
    let (functions, operators, types) = (answers.rows()?, answers.rows()?, answers.rows()?);
    assembly.functions(&functions)?;
    assembly.late_bound(&functions, &operators, &types)?;
    assembly.operators(&operators)?;
    assembly.types(&types)?;
    let (ranges, casts) = (answers.rows()?, answers.rows()?);
    let (assignments, columns) = (answers.rows()?, answers.rows()?);
    let (cast_parts, classes) = (answers.rows()?, answers.rows()?);
    let (rules, triggers, constraints) = (answers.rows()?, answers.rows()?, answers.rows()?);
    let parts = answers.rows()?;
    assembly.dependencies(&answers.rows()?)?;
    assembly.expressions(&answers.rows()?)?;
    assembly.operator_classes(&classes)?;
    assembly.ranges(&ranges)?;
    // From here on the edges are complete, but for the checks of domains.
    assembly.symbols(&operators)?;
    assembly.constraints(&constraints)?;
    assembly.casts(&casts, &assignments, &cast_parts)?;
    assembly.rules(&rules)?;
    assembly.triggers(&triggers)?;
    assembly.parts(&parts)?;
    assembly.columns(&columns)?;
    for line in answers.rows()? {
        let (parent, child) = (line.number(0)?, line.number(1)?);
        assembly.change(parent, |relation| relation.children.push(child));
        assembly.change(child, |relation| relation.parents.push(parent));
    }
    for line in answers.rows()? {
        let code = assembly.code(line.number(0)?);
        assembly.facts.event_triggers.push(code);
    }
    let without = answers.line()?;
    assembly.facts.without_subscriptions = without.truth(0)?;
    assembly.facts.without_user_mappings = without.truth(1)?;
    let (trees, bodies, keys) = (answers.rows()?, answers.rows()?, answers.rows()?);
    assembly.stored(&trees, &bodies, &keys)?;
    Ok((assembly.finish(), fingerprint))
}

/// An object: the OIDs of its catalog and of itself.
type Place = (u32, u32);

/// What is collected before the relations can be finished.
#[derive(Default)]
struct Assembly {
    facts: Facts,
    builtins: HashMap<u32, String>,
    /// Functions of users.
    functions: HashMap<u32, CodeUse>,
    /// Operators of users.
    operators: HashMap<u32, CodeUse>,
    /// The functions of operator classes of users.
    classes: HashMap<u32, Vec<u32>>,
    /// Types of users, and their names.
    types: Vec<(u32, String)>,
    /// Those of them that are domains.
    domains: HashSet<u32>,
    /// From each object to those whose code runs when its own does.
    edges: HashMap<Place, Vec<Place>>,
    /// The server's own functions that are not harmless, by the expression that calls them.
    builtin_calls: HashMap<Place, Vec<CodeUse>>,
    /// The server's own relations that a view or policy reads.
    builtin_reads: HashMap<Place, Vec<u32>>,
    /// Expressions that make JSON of values.
    json_calls: Vec<Place>,
    /// What making JSON of a value of a type of users may run.
    json_casts: Vec<CodeUse>,
    /// Tables with row security.
    secured: HashSet<u32>,
}

impl Assembly {
    fn finish(mut self) -> Facts {
        for relation in self.facts.relations.values_mut() {
            for code in [&mut relation.runs_on_read, &mut relation.runs_on_write, &mut relation.runs_when_planned] {
                code.sort_unstable();
                code.dedup();
            }
            for oids in [&mut relation.reads, &mut relation.also_reads, &mut relation.read_by] {
                oids.sort_unstable();
                oids.dedup();
            }
        }
        for code in [&mut self.facts.implicit_code, &mut self.facts.event_triggers] {
            code.retain(|code| !code.reviewed);
            code.sort_unstable();
            code.dedup();
        }
        self.facts
    }

    fn change(&mut self, relation: u32, change: impl FnOnce(&mut Relation)) {
        if let Some(relation) = self.facts.relations.get_mut(&relation) {
            change(relation);
        }
    }

    /// The relations an expression reads, but for the one it belongs to.
    fn reads(&self, place: Place, owner: u32) -> Vec<u32> {
        let users = self.edges.get(&place).into_iter().flatten().filter(|to| to.0 == RELATION).map(|to| to.1);
        let builtin = self.builtin_reads.get(&place).into_iter().flatten().copied();
        users.chain(builtin).filter(|oid| *oid != owner).collect()
    }

    /// The code, not reviewed, that runs when an object's expressions are computed: found along the edges, but not
    /// through the relations that are read, which stand for themselves.
    fn closure(&self, start: Place) -> BTreeSet<CodeUse> {
        let mut code = BTreeSet::new();
        let mut seen = HashSet::from([start]);
        let mut open = vec![start];
        while let Some(place) = open.pop() {
            code.extend(self.builtin_calls.get(&place).into_iter().flatten().cloned());
            match place {
                (FUNCTION, oid) => {
                    let function = self.code(oid);
                    if makes_json(&function.name) {
                        code.extend(self.json_casts.iter().cloned());
                    }
                    code.insert(function);
                }
                (OPERATOR, oid) => code.extend(self.operators.get(&oid).cloned()),
                (OPERATOR_CLASS, oid) => {
                    code.extend(self.classes.get(&oid).into_iter().flatten().map(|oid| self.code(*oid)));
                }
                _ => {}
            }
            let columns = place.0 == COLUMNS;
            let edges = self.edges.get(&if columns { (RELATION, place.1) } else { place });
            for next in edges.into_iter().flatten() {
                let read = next.0 == RELATION && matches!(place.0, RULE | POLICY);
                if !read && (!columns || next.0 == TYPE) && seen.insert(*next) {
                    open.push(*next);
                }
            }
        }
        code.retain(|code| !code.reviewed);
        code
    }

    /// What running a function is.
    fn code(&self, oid: u32) -> CodeUse {
        if let Some(code) = self.functions.get(&oid) {
            return code.clone();
        }
        let name = self.builtins.get(&oid).cloned();
        let reviewed = name.as_deref().and_then(builtin).is_some_and(|class| class.is_harmless());
        let name = name.unwrap_or_else(|| format!("function {oid}"));
        CodeUse { schema: Some("pg_catalog".to_owned()), name, oid, hash: String::new(), reviewed }
    }
}
