//! From the rows of the catalogs to [`Facts`].

mod casts;
mod late_bound;
mod stored;

use std::collections::{BTreeSet, HashMap, HashSet};

use tokio_postgres::{SimpleQueryMessage, SimpleQueryRow};

use super::extensions::reviewed;
use super::queries;
use crate::blast::SearchPath;
use crate::blast::casts::makes_json;
use crate::blast::facts::{
    CastTarget, CodeUse, ColumnNames, Events, FIRST_USER_OID, Facts, ForeignKey, Operands, Reference,
    ReferentialAction, Relation, RelationKind, Rule, Trigger, UserFunction, UserOperator,
};
use crate::sql::functions::builtin;

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

/// How many bytes of names of columns are kept of a database; those of the relations beyond are not known.
const MOST_COLUMN_NAMES: usize = 32 << 20;

/// All that is asked, in the order in which the answers come.
pub(super) fn batch() -> String {
    let queries = [
        queries::BEGIN,
        queries::FINGERPRINT,
        queries::COLUMNS_FINGERPRINT,
        queries::VERSION,
        queries::ROLE_SETTINGS,
        queries::SCHEMAS,
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

/// How much is asked to see whether anything changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Probe {
    /// All but the names of columns.
    Definitions,
    /// All.
    Columns,
}

impl Probe {
    /// What is asked.
    pub(super) fn text(self) -> String {
        match self {
            Self::Definitions => [queries::BEGIN, queries::FINGERPRINT, "commit"].join(";"),
            Self::Columns => [queries::BEGIN, queries::FINGERPRINT, queries::COLUMNS_FINGERPRINT, "commit"].join(";"),
        }
    }
}

/// What differs whenever the facts may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint {
    definitions: String,
    /// Of the names of columns.
    columns: String,
}

impl Fingerprint {
    /// From the answers to [`queries::OWN_SETTINGS`] and to a probe. What it did not ask is as in the last one.
    pub(super) fn of(
        probe: Probe,
        own: &[SimpleQueryMessage],
        messages: Vec<SimpleQueryMessage>,
        last: &Self,
    ) -> Result<Self, Malformed> {
        let own = OwnSettings::new(own)?;
        let mut answers = Answers::new(messages);
        let definitions = format!("{} {}", answers.line()?.text(0)?, own.fingerprint());
        let columns = match probe {
            Probe::Definitions => last.columns.clone(),
            Probe::Columns => answers.line()?.string(0)?,
        };
        Ok(Self { definitions, columns })
    }
}

/// The settings that we have by ourselves.
struct OwnSettings<'a> {
    path: OwnSetting<'a>,
    time_limits: Vec<OwnSetting<'a>>,
}

/// One of them.
struct OwnSetting<'a> {
    name: &'a str,
    value: &'a str,
    source: &'a str,
}

impl<'a> OwnSettings<'a> {
    fn new(messages: &'a [SimpleQueryMessage]) -> Result<Self, Malformed> {
        let mut path = None;
        let mut time_limits = Vec::new();
        for message in messages {
            let SimpleQueryMessage::Row(row) = message else { continue };
            let text = |column| row.try_get(column).ok().flatten();
            let (Some(name), Some(value), Some(source)) = (text(0), text(1), text(2)) else {
                return Err(Malformed("a setting without a value".to_owned()));
            };
            let setting = OwnSetting { name, value, source };
            if name == "search_path" {
                path = Some(setting);
            } else {
                time_limits.push(setting);
            }
        }
        let path = path.ok_or_else(|| Malformed("the setting search_path is not there".to_owned()))?;
        Ok(Self { path, time_limits })
    }

    fn fingerprint(&self) -> String {
        let limits: Vec<_> = self.time_limits.iter().map(|limit| limit.value).collect();
        format!("{} {}", self.path.value, limits.join(" "))
    }
}

/// The answers say something else than was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unexpected answer: {0}")]
pub(super) struct Malformed(String);

/// The rows of one query after the other.
struct Answers {
    sets: std::vec::IntoIter<Vec<SimpleQueryRow>>,
}

impl Answers {
    fn new(messages: Vec<SimpleQueryMessage>) -> Self {
        let mut sets = Vec::new();
        let mut rows = Vec::new();
        let mut has_rows = false;
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(_) => has_rows = true,
                SimpleQueryMessage::Row(row) => rows.push(row),
                // BEGIN, SET and COMMIT describe no rows.
                SimpleQueryMessage::CommandComplete(_) if has_rows => {
                    sets.push(std::mem::take(&mut rows));
                    has_rows = false;
                }
                _ => {}
            }
        }
        Self { sets: sets.into_iter() }
    }

    fn rows(&mut self) -> Result<Vec<Line>, Malformed> {
        let rows = self.sets.next().ok_or_else(|| Malformed("fewer results than queries".to_owned()))?;
        Ok(rows.into_iter().map(Line).collect())
    }

    fn line(&mut self) -> Result<Line, Malformed> {
        self.rows()?.into_iter().next().ok_or_else(|| Malformed("no row where there is always one".to_owned()))
    }
}

/// One row.
struct Line(SimpleQueryRow);

impl Line {
    fn optional(&self, column: usize) -> Result<Option<&str>, Malformed> {
        self.0.try_get(column).map_err(|error| Malformed(error.to_string()))
    }

    fn text(&self, column: usize) -> Result<&str, Malformed> {
        self.optional(column)?.ok_or_else(|| Malformed(format!("column {column} is null")))
    }

    fn string(&self, column: usize) -> Result<String, Malformed> {
        self.text(column).map(str::to_owned)
    }

    fn number<T: std::str::FromStr>(&self, column: usize) -> Result<T, Malformed> {
        let text = self.text(column)?;
        text.parse().map_err(|_| Malformed(format!("{text:?} is no number")))
    }

    fn truth(&self, column: usize) -> Result<bool, Malformed> {
        Ok(self.text(column)? == "t")
    }

    /// A column of type `"char"`; a space where it is empty.
    fn letter(&self, column: usize) -> Result<u8, Malformed> {
        Ok(self.text(column)?.bytes().next().unwrap_or(b' '))
    }
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

/// The facts of a database, and the fingerprint of the snapshot they are from.
pub(super) fn facts(
    database: &str,
    own: &[SimpleQueryMessage],
    messages: Vec<SimpleQueryMessage>,
) -> Result<(Facts, Fingerprint), Malformed> {
    let own = OwnSettings::new(own)?;
    let mut answers = Answers::new(messages);
    let definitions = format!("{} {}", answers.line()?.text(0)?, own.fingerprint());
    let fingerprint = Fingerprint { definitions, columns: answers.line()?.string(0)? };
    let mut assembly = Assembly::default();
    assembly.facts.database = database.to_owned();
    assembly.facts.server_version = answers.line()?.number(0)?;
    let role_settings = answers.rows()?;
    assembly.search_paths(&own.path, &role_settings)?;
    assembly.time_limits(&own.time_limits, &role_settings)?;
    for line in answers.rows()? {
        assembly.facts.schemas.insert(line.string(0)?);
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

    /// Our own search path is everybody's unless it was set for our role or database.
    fn search_paths(&mut self, own: &OwnSetting<'_>, settings: &[Line]) -> Result<(), Malformed> {
        let everybody =
            matches!(own.source, "default" | "environment variable" | "configuration file" | "command line");
        let mut general = if everybody { SearchPath::parse(own.value) } else { SearchPath::Unknown };
        // What is set for this database wins over what is set for all; a role's own wins over both.
        for here in [false, true] {
            for line in settings {
                if line.truth(1)? != here || line.text(2)? != "search_path" {
                    continue;
                }
                let path = SearchPath::parse(line.text(3)?);
                match line.text(0)? {
                    "" => general = path,
                    role => drop(self.facts.role_search_paths.insert(role.to_owned(), path)),
                }
            }
        }
        self.facts.search_path = general;
        Ok(())
    }

    /// Likewise; but as our own connection sets some of them, where a value comes from is told by what roles have set.
    fn time_limits(&mut self, own: &[OwnSetting<'_>], settings: &[Line]) -> Result<(), Malformed> {
        for limit in own {
            let mut of_ours = false;
            for line in settings {
                of_ours |= line.text(2)? == limit.name && line.truth(4)?;
            }
            if !of_ours {
                self.facts.time_limits.insert(limit.name.to_owned(), limit.value.to_owned());
            }
        }
        for here in [false, true] {
            for line in settings {
                let name = line.text(2)?;
                if line.truth(1)? != here || name == "search_path" {
                    continue;
                }
                let value = line.string(3)?;
                match line.text(0)? {
                    "" => drop(self.facts.time_limits.insert(name.to_owned(), value)),
                    role => drop(self.facts.role_time_limits.insert((role.to_owned(), name.to_owned()), value)),
                }
            }
        }
        Ok(())
    }

    fn relations(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let oid = line.number(0)?;
            let schema = line.string(1)?;
            let Some(kind) = relation_kind(line.letter(3)?) else { continue };
            // -1: never analyzed.
            let rows = u64::try_from(line.number::<i64>(4)?).ok();
            let bytes = rows.and(u64::try_from(line.number::<i64>(5)?).ok()).map(|pages| pages.saturating_mul(8192));
            if line.truth(6)? {
                self.secured.insert(oid);
            }
            let system = oid < FIRST_USER_OID && matches!(schema.as_str(), "pg_catalog" | "information_schema");
            let name = line.string(2)?;
            self.facts.add_relation(Relation { oid, schema, name, kind, rows, bytes, system, ..Relation::default() });
        }
        Ok(())
    }

    /// A relation without a line has no columns of its own.
    fn column_names(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for relation in self.facts.relations.values_mut().filter(|relation| relation.oid >= FIRST_USER_OID) {
            relation.columns = Some(ColumnNames::default());
        }
        let mut bytes = 0;
        for line in lines {
            let (relation, names) = (line.number(0)?, line.text(1)?);
            bytes += names.len();
            let names = (bytes <= MOST_COLUMN_NAMES).then(|| ColumnNames::new(names));
            self.change(relation, |relation| relation.columns = names);
        }
        Ok(())
    }

    fn functions(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (oid, schema, name): (u32, _, _) = (line.number(0)?, line.string(1)?, line.string(2)?);
            let (arguments, defaults): (i32, i32) = (line.number(5)?, line.number(6)?);
            let reviewed = match line.optional(9)? {
                Some(extension) => reviewed(extension, &name, line.letter(7)? == b'v', line.number(3)?),
                None => false,
            };
            let hash = line.string(8)?;
            let code = CodeUse { schema: Some(schema.clone()), name: name.clone(), oid, hash, reviewed };
            self.functions.insert(oid, code.clone());
            let attribute = line.letter(4)? != b'p' && arguments >= 1 && arguments - defaults <= 1;
            self.facts.functions.entry(name).or_default().push(UserFunction { schema, code, attribute });
        }
        Ok(())
    }

    fn operators(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let code = self.code(line.number(3)?);
            self.operators.insert(line.number(0)?, code);
        }
        Ok(())
    }

    /// What the symbols stand for, once it is known which types are made of which.
    fn symbols(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (schema, symbol) = (line.string(1)?, line.string(2)?);
            let code = self.code(line.number(3)?);
            let sides: [u32; 2] = [line.number(5)?, line.number(6)?];
            let sides = sides.into_iter().filter(|oid| *oid != 0);
            let operands = if sides.clone().all(|oid| oid >= FIRST_USER_OID) {
                Operands::Users(sides.flat_map(|oid| self.rows_within(oid)).collect())
            } else {
                Operands::Builtin
            };
            self.facts.operators.entry(symbol).or_default().push(UserOperator { schema, code, operands });
        }
        Ok(())
    }

    /// The relations whose rows are part of a value of a type, or the value itself.
    fn rows_within(&self, oid: u32) -> Vec<u32> {
        let mut rows = Vec::new();
        let mut seen = HashSet::from([(TYPE, oid)]);
        let mut open = vec![(TYPE, oid)];
        while let Some(place) = open.pop() {
            let columns = place.0 == COLUMNS;
            if columns {
                rows.push(place.1);
            }
            let edges = self.edges.get(&if columns { (RELATION, place.1) } else { place });
            let within = edges.into_iter().flatten().filter(|to| matches!(to.0, TYPE | COLUMNS));
            open.extend(within.filter(|to| seen.insert(**to)));
        }
        rows
    }

    fn types(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let oid = line.number(0)?;
            self.types.push((oid, line.string(1)?));
            self.facts.type_names.insert(line.string(1)?);
            if line.letter(2)? == b'd' {
                self.domains.insert(oid);
            }
            let edges = self.edges.entry((TYPE, oid)).or_default();
            for (column, catalog) in [(3, TYPE), (4, TYPE), (5, COLUMNS)] {
                let to: u32 = line.number(column)?;
                if to >= FIRST_USER_OID {
                    edges.push((catalog, to));
                }
            }
        }
        Ok(())
    }

    /// A type depends on the functions that read and print it. Those come with the type, from a superuser, in C. A
    /// domain has none of its own: what it depends on, its default calls.
    fn dependencies(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let from: Place = (line.number(0)?, line.number(1)?);
            let to: Place = (line.number(2)?, line.number(3)?);
            if !(from.0 == TYPE && to.0 == FUNCTION) {
                self.edges.entry(from).or_default().push(to);
            } else if self.domains.contains(&from.1) {
                self.edges.entry((DEFAULT, from.1)).or_default().push(to);
            }
        }
        Ok(())
    }

    fn expressions(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let place: Place = (line.number(0)?, line.number(1)?);
            let oid = line.number(3)?;
            if line.text(2)? == "r" {
                self.builtin_reads.entry(place).or_default().push(oid);
                continue;
            }
            let code = self.code(oid);
            if makes_json(&code.name) {
                self.json_calls.push(place);
            }
            if !code.reviewed {
                self.builtin_calls.entry(place).or_default().push(code);
            }
        }
        Ok(())
    }

    fn operator_classes(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (class, function) = (line.number(0)?, line.number(2)?);
            self.classes.entry(class).or_default().push(function);
            if line.truth(1)? {
                let code = self.code(function);
                self.facts.implicit_code.push(code);
            }
        }
        Ok(())
    }

    fn ranges(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let class: u32 = line.number(2)?;
            let functions = [line.number(0)?, line.number(1)?];
            let of_class = self.classes.get(&class).into_iter().flatten().copied();
            let functions: Vec<u32> = functions.into_iter().filter(|oid| *oid != 0).chain(of_class).collect();
            let code: Vec<_> = functions.into_iter().map(|oid| self.code(oid)).collect();
            self.facts.parse_code.extend(code.iter().filter(|code| !code.reviewed).cloned());
            self.facts.implicit_code.extend(code);
        }
        Ok(())
    }

    fn constraints(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        // The copies of a foreign key that partitions of the referencing table hold are the key itself.
        let mut referenced = HashMap::new();
        for line in lines {
            referenced.insert(line.number::<u32>(0)?, line.number::<u32>(5)?);
        }
        for line in lines {
            let (oid, table, domain): (u32, u32, u32) = (line.number(0)?, line.number(1)?, line.number(2)?);
            if domain != 0 {
                self.edges.entry((TYPE, domain)).or_default().push((CONSTRAINT, oid));
            }
            if table != 0 {
                self.edges.entry((RELATION, table)).or_default().push((CONSTRAINT, oid));
            }
            let (to, parent): (u32, u32) = (line.number(5)?, line.number(8)?);
            if let Some(columns) = line.optional(10)? {
                let columns = columns.split(ColumnNames::SEPARATOR).map(str::to_owned).collect();
                let reference = Reference { name: line.string(4)?, to, columns };
                self.change(table, |relation| relation.references.push(reference));
            }
            if line.letter(3)? == b'f' && referenced.get(&parent) != Some(&to) {
                let key = ForeignKey {
                    name: line.string(4)?,
                    from: table,
                    on_delete: referential_action(line.letter(6)?),
                    on_update: referential_action(line.letter(7)?),
                    columns: line
                        .optional(9)?
                        .map(|names| names.split(ColumnNames::SEPARATOR).map(str::to_owned).collect()),
                };
                self.change(to, |relation| relation.referenced_by.push(key));
            }
        }
        Ok(())
    }

    fn rules(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (oid, relation): (u32, u32) = (line.number(0)?, line.number(1)?);
            let (name, event, instead) = (line.string(2)?, line.letter(3)?, line.truth(4)?);
            if event != b'1' {
                let events =
                    Events { update: event == b'2', insert: event == b'3', delete: event == b'4', truncate: false };
                self.change(relation, |relation| relation.rules.push(Rule { name, events, instead }));
                continue;
            }
            let code = self.closure((RULE, oid));
            let reads = self.reads((RULE, oid), relation);
            for base in &reads {
                self.change(*base, |base| base.read_by.push(relation));
            }
            self.change(relation, |relation| {
                relation.runs_on_read.extend(code);
                relation.reads = reads;
            });
        }
        Ok(())
    }

    fn triggers(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (oid, relation, function): (u32, u32, u32) = (line.number(0)?, line.number(1)?, line.number(3)?);
            let kind: u16 = line.number(4)?;
            // `TRIGGER_TYPE_*` of src/include/catalog/pg_trigger.h.
            let events = Events {
                insert: kind & 4 != 0,
                delete: kind & 8 != 0,
                update: kind & 16 != 0,
                truncate: kind & 32 != 0,
            };
            let code = self.code(function);
            let trigger = Trigger { name: line.string(2)?, code, events, instead_of: kind & 64 != 0 };
            // Its condition runs whether or not the trigger does.
            let mut conditions = self.closure((TRIGGER, oid));
            conditions.remove(&trigger.code);
            self.change(relation, |relation| {
                relation.triggers.push(trigger);
                relation.runs_on_write.extend(conditions);
            });
        }
        Ok(())
    }

    fn parts(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        for line in lines {
            let (place, relation): (Place, u32) = ((line.number(0)?, line.number(1)?), line.number(2)?);
            let runs = line.letter(3)?;
            if place.0 == POLICY && !self.secured.contains(&relation) {
                continue;
            }
            let code = self.closure(place);
            let also = if place.0 == POLICY { self.reads(place, relation) } else { Vec::new() };
            // The operators of an index serve reads; its expressions are computed on writes, and named on reads.
            let on_read = if matches!(runs, b'p' | b'r') { code.clone() } else { BTreeSet::new() };
            let planned = if place.0 == RELATION { self.index_operators(place) } else { BTreeSet::new() };
            self.change(relation, |relation| {
                relation.runs_on_read.extend(on_read);
                relation.runs_when_planned.extend(planned);
                relation.runs_on_write.extend(code);
                relation.also_reads.extend(also);
            });
        }
        Ok(())
    }

    fn index_operators(&self, index: Place) -> BTreeSet<CodeUse> {
        let classes = self.edges.get(&index).into_iter().flatten().filter(|to| to.0 == OPERATOR_CLASS);
        classes.flat_map(|class| self.closure(*class)).collect()
    }

    /// The types of columns, checks, and the keys of partitions.
    fn columns(&mut self, lines: &[Line]) -> Result<(), Malformed> {
        let mut runs_code: HashMap<u32, bool> = HashMap::new();
        let mut value_columns: HashMap<u32, Vec<String>> = HashMap::new();
        for line in lines {
            let of: u32 = line.number(2)?;
            if *runs_code.entry(of).or_insert_with(|| !self.closure((TYPE, of)).is_empty()) {
                value_columns.entry(line.number(0)?).or_default().push(line.string(1)?);
            }
        }
        let tables: Vec<_> = self.edges.keys().filter(|place| place.0 == RELATION).map(|place| place.1).collect();
        for table in tables {
            let mut code = self.closure((RELATION, table));
            let of_values = self.closure((COLUMNS, table));
            let types = self.edges.get(&(RELATION, table)).into_iter().flatten().filter(|to| to.0 == TYPE);
            let has_user_types = types.clone().next().is_some();
            let defaults: BTreeSet<_> = types.flat_map(|to| self.closure((DEFAULT, to.1))).collect();
            code.extend(defaults.iter().cloned());
            self.change(table, |relation| {
                relation.runs_on_write.extend(code);
                relation.columns_run_code = !of_values.is_empty() || !defaults.is_empty();
                relation.runs_on_values.extend(of_values);
                relation.has_user_types = has_user_types;
                relation.value_columns = Some(value_columns.remove(&table).unwrap_or_default());
            });
        }
        for (oid, name) in std::mem::take(&mut self.types) {
            let mut code = self.closure((TYPE, oid));
            // A column of a temporary table may be of this type; a value alone needs no default.
            let values: Vec<_> = code.iter().cloned().collect();
            self.facts.types_by_oid.insert(oid, values);
            code.extend(self.closure((DEFAULT, oid)));
            if !code.is_empty() {
                self.facts.types.entry(name).or_default().extend(code);
            }
        }
        Ok(())
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

/// `pg_class.relkind`; `None` for TOAST tables.
const fn relation_kind(letter: u8) -> Option<RelationKind> {
    Some(match letter {
        b'r' => RelationKind::Table,
        b'p' => RelationKind::PartitionedTable,
        b'v' => RelationKind::View,
        b'm' => RelationKind::MaterializedView,
        b'f' => RelationKind::ForeignTable,
        b'S' => RelationKind::Sequence,
        b'i' | b'I' => RelationKind::Index,
        b'c' => RelationKind::CompositeType,
        _ => return None,
    })
}

/// What a cast to that type serves beside assignments.
const fn cast_target(oid: u32) -> CastTarget {
    match oid {
        FIRST_USER_OID.. => CastTarget::Assigned,
        // bool, int8, int2, int4, float4, float8, numeric
        16 | 20 | 21 | 23 | 700 | 701 | 1700 => CastTarget::Plain,
        _ => CastTarget::Other,
    }
}

/// `pg_constraint.confdeltype` and `confupdtype`; what is not known counts as the worst.
const fn referential_action(letter: u8) -> ReferentialAction {
    match letter {
        b'a' => ReferentialAction::NoAction,
        b'r' => ReferentialAction::Restrict,
        b'n' => ReferentialAction::SetNull,
        b'd' => ReferentialAction::SetDefault,
        _ => ReferentialAction::Cascade,
    }
}
