//! What the server's own tree of a statement says, walked without regard to its shape.

use std::collections::{BTreeSet, HashSet};

use pg_query::protobuf::{Node, ParseResult};

use super::Name;
use super::tree::Tree;

/// How much a statement may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Nature {
    /// It only looks.
    #[default]
    Read,
    /// It changes the session alone, or locks nobody out: settings, transactions, cursors, row locks, ANALYZE.
    Mild,
    /// It may change anything else.
    Change,
}

/// What one statement says.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// The kind of its node: `SelectStmt`.
    pub(crate) tag: &'static str,
    /// How much it may do, as far as its own text shows: functions and triggers may do more.
    pub(crate) nature: Nature,
    /// A query or change, or an EXPLAIN, PREPARE, DECLARE, COPY or CREATE TABLE AS of one.
    pub(crate) is_query: bool,
    /// EXPLAIN without ANALYZE.
    pub(crate) only_planned: bool,
    /// Relations that are read.
    pub(crate) reads: BTreeSet<Name>,
    /// Relations that rows are added to.
    pub(crate) inserts: BTreeSet<Name>,
    /// Relations whose rows are changed.
    pub(crate) updates: BTreeSet<Name>,
    /// Relations whose rows are removed.
    pub(crate) deletes: BTreeSet<Name>,
    /// It makes a table.
    pub(crate) makes_table: bool,
    /// It locks rows.
    pub(crate) locks: bool,
    /// Functions that are called.
    pub(crate) functions: BTreeSet<Name>,
    /// What stands behind a dot, and may be a function.
    pub(crate) attributes: BTreeSet<String>,
    /// Operators.
    pub(crate) operators: BTreeSet<Name>,
    /// Types that are named.
    pub(crate) types: BTreeSet<Name>,
}

/// The names of common table expressions that are visible.
type Visible = HashSet<String>;

const QUERIES: [&str; 5] = ["SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];
const CHANGES: [&str; 4] = ["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];

/// What the statements of a text say; `None` where a tree cannot be looked at.
pub(crate) fn statements(parsed: &ParseResult) -> Option<Vec<Truth>> {
    parsed.stmts.iter().map(|raw| statement(raw.stmt.as_deref()?)).collect()
}

fn statement(node: &Node) -> Option<Truth> {
    let tree = Tree::of(node).ok()?;
    let mut truth = Truth { tag: tree.kind(), ..Truth::default() };
    let inner = tree.field("query").kind();
    truth.is_query = match tree.kind() {
        "ExplainStmt" | "PrepareStmt" | "DeclareCursorStmt" | "CreateTableAsStmt" => QUERIES.contains(&inner),
        "CopyStmt" => tree.field("is_from").is_nothing(),
        kind => QUERIES.contains(&kind),
    };
    truth.only_planned = tree.kind() == "ExplainStmt" && !explain_runs(&tree);
    walk(&tree, &Visible::new(), &mut truth);
    truth.nature = nature(&tree, &truth);
    Some(truth)
}

/// How much a statement may do, after the walk over all of it.
fn nature(tree: &Tree, truth: &Truth) -> Nature {
    let changes_rows = !(truth.inserts.is_empty() && truth.updates.is_empty() && truth.deletes.is_empty());
    let of_query = || match (changes_rows || truth.makes_table, truth.locks) {
        (true, _) => Nature::Change,
        (false, true) => Nature::Mild,
        (false, false) => Nature::Read,
    };
    match tree.kind() {
        "SelectStmt" => of_query(),
        "VariableShowStmt" => Nature::Read,
        "ExplainStmt" => explain_nature(tree, truth, of_query()),
        // The rows go to the client, or to the server's host.
        "CopyStmt" => {
            let to_client = tree.field("filename").is_nothing() && tree.field("is_program").is_nothing();
            if to_client && tree.field("is_from").is_nothing() { of_query() } else { Nature::Change }
        }
        // The query is kept for later; a cursor begins to run it.
        "PrepareStmt" => Nature::Mild,
        "DeclareCursorStmt" => of_query().max(Nature::Mild),
        "DeallocateStmt" | "ClosePortalStmt" | "DiscardStmt" | "ListenStmt" | "UnlistenStmt" | "VariableSetStmt"
        | "ConstraintsSetStmt" => Nature::Mild,
        "TransactionStmt" => {
            // `TransactionStmtKind`: PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED.
            if matches!(tree.field("kind").number(), 8..=10) { Nature::Change } else { Nature::Mild }
        }
        "LockStmt" => {
            // `lockdefs.h`: up to ROW EXCLUSIVE.
            if tree.field("mode").number() <= 3 { Nature::Mild } else { Nature::Change }
        }
        // Each branch does nothing.
        "MergeStmt" if !changes_rows => Nature::Mild,
        "VacuumStmt" => {
            if tree.field("is_vacuumcmd").is_nothing() {
                Nature::Mild
            } else {
                Nature::Change
            }
        }
        _ => Nature::Change,
    }
}

/// EXPLAIN of a query only plans it, and with ANALYZE runs it. What EXECUTE runs is not in the text, and a cursor or
/// a table is only made by what runs.
fn explain_nature(tree: &Tree, truth: &Truth, of_query: Nature) -> Nature {
    let inner = tree.field("query");
    let executes = [inner.kind(), inner.field("query").kind()].contains(&"ExecuteStmt");
    match (inner.kind(), truth.only_planned) {
        _ if executes => Nature::Change,
        (_, true) => Nature::Read,
        ("SelectStmt" | "DeclareCursorStmt", false) => of_query,
        ("MergeStmt", false) => of_query.max(Nature::Mild),
        (_, false) => Nature::Change,
    }
}

/// Whether EXPLAIN has ANALYZE. Given more than once, the last counts; any that may say so counts here.
fn explain_runs(tree: &Tree) -> bool {
    tree.field("options").items().iter().any(|option| {
        let value = option.field("arg");
        let off = match value.kind() {
            "" => false,
            "Integer" => value.field("ival").is_nothing(),
            "Boolean" => value.field("boolval").is_nothing(),
            _ => ["off", "false"].iter().any(|off| value.field("sval").text().eq_ignore_ascii_case(off)),
        };
        option.field("defname").text() == "analyze" && !off
    })
}

fn walk(tree: &Tree, visible: &Visible, truth: &mut Truth) {
    match tree {
        Tree::List(items) => items.iter().for_each(|item| walk(item, visible, truth)),
        Tree::Node(..) | Tree::Fields(_) => node(tree, visible, truth),
        Tree::Nothing | Tree::Number(_) | Tree::Text(_) => {}
    }
}

fn node(tree: &Tree, visible: &Visible, truth: &mut Truth) {
    match tree.kind() {
        kind if CHANGES.contains(&kind) => change(tree, truth),
        "FuncCall" => truth.functions.extend(name(tree.field("funcname"))),
        "RangeTableSample" => truth.functions.extend(name(tree.field("method"))),
        "AExpr" if !is_between(tree) => truth.operators.extend(name(tree.field("name"))),
        "SubLink" => truth.operators.extend(name(tree.field("oper_name"))),
        "SortBy" => truth.operators.extend(name(tree.field("use_op"))),
        "ColumnRef" => truth.attributes.extend(attributes(tree.field("fields"))),
        "AIndirection" => truth.attributes.extend(strings(tree.field("indirection"))),
        "LockingClause" => {
            // It names aliases, not relations.
            truth.locks = true;
            return;
        }
        _ => {}
    }
    // Wherever they stand, with or without their kind.
    if !tree.field("relname").is_nothing() {
        read(tree, visible, truth);
    }
    if !tree.field("names").is_nothing() && !tree.field("typemod").is_nothing() {
        truth.types.extend(name(tree.field("names")));
    }
    fields_of(tree, visible, truth);
}

/// The fields of a node, those of its WITH first.
fn fields_of(tree: &Tree, visible: &Visible, truth: &mut Truth) {
    let with = tree.field("with_clause");
    let inside = if with.is_nothing() { None } else { Some(with_clause(with, visible, truth)) };
    let inside = inside.as_ref().unwrap_or(visible);
    for (field, value) in tree.fields() {
        match *field {
            "with_clause" => {}
            "into_clause" => truth.makes_table = true,
            "into" if tree.kind() == "CreateTableAsStmt" => truth.makes_table = true,
            // The target, noted by `change`.
            "relation" if CHANGES.contains(&tree.kind()) => {}
            _ => walk(value, inside, truth),
        }
    }
}

/// What is visible behind a WITH.
fn with_clause(with: &Tree, visible: &Visible, truth: &mut Truth) -> Visible {
    let mut inside = visible.clone();
    let tables = with.field("ctes").items();
    let named = |table: &Tree| table.field("ctename").text().to_owned();
    if !with.field("recursive").is_nothing() {
        inside.extend(tables.iter().map(named));
    }
    for table in tables {
        walk(table, &inside, truth);
        inside.insert(named(table));
    }
    inside
}

/// `BETWEEN` in its four forms (`A_Expr_Kind`) has no operator of its own name.
fn is_between(tree: &Tree) -> bool {
    matches!(tree.field("kind").number(), 11..=14)
}

fn relation(tree: &Tree) -> Name {
    let schema = tree.field("schemaname").text();
    Name { schema: (!schema.is_empty()).then(|| schema.to_owned()), name: tree.field("relname").text().to_owned() }
}

fn read(tree: &Tree, visible: &Visible, truth: &mut Truth) {
    let name = relation(tree);
    if name.schema.is_some() || !visible.contains(&name.name) {
        truth.reads.insert(name);
    }
}

fn change(tree: &Tree, truth: &mut Truth) {
    let name = relation(tree.field("relation"));
    match tree.kind() {
        "InsertStmt" => {
            // `OnConflictAction`: UPDATE is 3.
            if tree.field("on_conflict_clause").field("action").number() == 3 {
                truth.updates.insert(name.clone());
            }
            truth.inserts.insert(name);
        }
        "UpdateStmt" => drop(truth.updates.insert(name)),
        "DeleteStmt" => drop(truth.deletes.insert(name)),
        _ => {
            for clause in tree.field("merge_when_clauses").items() {
                // `CmdType`: UPDATE 3, INSERT 4, DELETE 5.
                match clause.field("command_type").number() {
                    3 => drop(truth.updates.insert(name.clone())),
                    4 => drop(truth.inserts.insert(name.clone())),
                    5 => drop(truth.deletes.insert(name.clone())),
                    _ => {}
                }
            }
        }
    }
}

/// What a dotted name may call. `a.b.*` names a table, whose row it is (`transformColumnRef` of `parse_expr.c`).
fn attributes(fields: &Tree) -> Vec<String> {
    if fields.items().last().is_some_and(|last| last.kind() == "AStar") {
        return Vec::new();
    }
    strings(fields).into_iter().skip(1).collect()
}

fn strings(list: &Tree) -> Vec<String> {
    let strings = list.items().iter().filter(|item| item.kind() == "String");
    strings.map(|string| string.field("sval").text().to_owned()).collect()
}

/// The schema and name of a dotted name.
fn name(list: &Tree) -> Option<Name> {
    let mut parts = strings(list);
    let name = parts.pop()?;
    Some(Name { schema: parts.pop(), name })
}
