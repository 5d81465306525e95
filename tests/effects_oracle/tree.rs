//! What the server's own tree of a statement says, walked without regard to its shape.

use std::collections::{BTreeSet, HashSet};

use pg_query::protobuf::ParseResult;
use serde_json::{Map, Value};

/// What one statement says.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) tag: String,
    /// A query or change, or an EXPLAIN, PREPARE, DECLARE or COPY of one.
    pub(crate) is_query: bool,
    /// EXPLAIN without ANALYZE.
    pub(crate) only_planned: bool,
    pub(crate) reads: BTreeSet<String>,
    pub(crate) inserts: BTreeSet<String>,
    pub(crate) updates: BTreeSet<String>,
    pub(crate) deletes: BTreeSet<String>,
    pub(crate) makes_table: bool,
    pub(crate) locks: bool,
    pub(crate) functions: BTreeSet<String>,
    pub(crate) attributes: BTreeSet<String>,
    pub(crate) operators: BTreeSet<String>,
    pub(crate) types: BTreeSet<String>,
    /// The statement has a part that changes something: another tag inside.
    nested_change: bool,
}

impl Truth {
    /// Whether it does more than look.
    pub(crate) fn changes_something(&self) -> bool {
        !self.only_planned && self.tag != "PrepareStmt" && (self.nested_change || self.makes_table)
    }
}

/// The names of common table expressions that are visible.
type Visible = HashSet<String>;

pub(crate) fn statements(parsed: &ParseResult) -> Vec<Truth> {
    parsed.stmts.iter().filter_map(|raw| raw.stmt.as_ref()).map(|node| statement(node)).collect()
}

fn statement(node: &pg_query::protobuf::Node) -> Truth {
    let value = serde_json::to_value(node).expect("a tree is JSON");
    let mut truth = Truth::default();
    let Some((tag, body)) = tagged(&value) else { return truth };
    truth.tag = tag.to_owned();
    truth.is_query =
        matches!(tag, "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "ExplainStmt");
    if tag == "ExplainStmt" {
        truth.only_planned = !explain_runs(body);
        let inner = tagged(&body["query"]).map(|(tag, _)| tag).unwrap_or_default();
        truth.is_query = matches!(inner, "SelectStmt" | "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt");
    }
    walk(&value, &Visible::new(), &mut truth);
    truth
}

fn explain_runs(body: &Value) -> bool {
    let options = body["options"].as_array().into_iter().flatten();
    options.filter_map(tagged).any(|(_, option)| {
        option["defname"] == "analyze" && {
            let text = option["arg"].to_string().to_lowercase();
            !["\"off\"", "\"false\"", "\"ival\":0", "\"no\""].iter().any(|off| text.contains(off))
        }
    })
}

/// `{"node": {"Tag": body}}`
fn tagged(value: &Value) -> Option<(&str, &Value)> {
    let node = value.as_object()?.get("node")?.as_object()?;
    node.iter().next().map(|(tag, body)| (tag.as_str(), body))
}

fn walk(value: &Value, visible: &Visible, truth: &mut Truth) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, visible, truth)),
        Value::Object(fields) => match tagged(value) {
            Some((tag, body)) => node(tag, body, visible, truth),
            None => fields_of("", fields, visible, truth),
        },
        _ => {}
    }
}

fn node(tag: &str, body: &Value, visible: &Visible, truth: &mut Truth) {
    let Some(fields) = body.as_object() else { return };
    match tag {
        "RangeVar" => read(fields, visible, truth),
        "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" => change(tag, fields, truth),
        "FuncCall" => {
            truth.functions.extend(last_string(&fields["funcname"]));
        }
        "RangeTableSample" => truth.functions.extend(last_string(&fields["method"])),
        "AExpr" if is_between(fields) => {}
        "AExpr" => truth.operators.extend(last_string(&fields["name"])),
        "SubLink" => truth.operators.extend(last_string(&fields["oper_name"])),
        "SortBy" => truth.operators.extend(last_string(&fields["use_op"])),
        "TypeName" => truth.types.extend(last_string(&fields["names"])),
        "ColumnRef" => truth.attributes.extend(strings(&fields["fields"]).into_iter().skip(1)),
        "AIndirection" => truth.attributes.extend(strings(&fields["indirection"])),
        "LockingClause" => {
            // It names aliases, not relations.
            truth.locks = true;
            return;
        }
        _ if tag.ends_with("Stmt") && !matches!(tag, "SelectStmt" | "ExplainStmt") && tag != truth.tag => {
            truth.nested_change = true;
        }
        _ => {}
    }
    if matches!(tag, "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt" | "CreateTableAsStmt") {
        truth.nested_change = true;
    }
    fields_of(tag, fields, visible, truth);
}

/// The fields of a node, those of its WITH first.
fn fields_of(tag: &str, fields: &Map<String, Value>, visible: &Visible, truth: &mut Truth) {
    let mut inside = visible.clone();
    if let Some(with) = fields.get("with_clause").and_then(Value::as_object) {
        let tables: Vec<&Value> =
            with["ctes"].as_array().into_iter().flatten().filter_map(tagged).map(|(_, table)| table).collect();
        if with["recursive"] == true {
            inside.extend(tables.iter().filter_map(|table| table["ctename"].as_str().map(str::to_owned)));
        }
        for table in tables {
            walk(table, &inside, truth);
            inside.extend(table["ctename"].as_str().map(str::to_owned));
        }
    }
    for (name, value) in fields {
        match name.as_str() {
            "with_clause" => {}
            "into_clause" if !value.is_null() => truth.makes_table = true,
            // The target, noted by `change`.
            "relation" if matches!(tag, "InsertStmt" | "UpdateStmt" | "DeleteStmt" | "MergeStmt") => {}
            "type_name" | "returning_type" if value.is_object() && tagged(value).is_none() => {
                truth.types.extend(last_string(&value["names"]));
                walk(value, &inside, truth);
            }
            "relation" if value.get("relname").is_some() => {
                if let Some(relation) = value.as_object() {
                    read(relation, &inside, truth);
                }
            }
            _ => walk(value, &inside, truth),
        }
    }
}

/// `BETWEEN` in its four forms has no operator of its own name.
fn is_between(fields: &Map<String, Value>) -> bool {
    matches!(kind(fields), Some("AexprBetween" | "AexprNotBetween" | "AexprBetweenSym" | "AexprNotBetweenSym"))
}

fn kind(fields: &Map<String, Value>) -> Option<&'static str> {
    // `AExprKind`: BETWEEN and its variants name no operator of their own.
    match fields.get("kind").and_then(Value::as_i64) {
        Some(11) => Some("AexprBetween"),
        Some(12) => Some("AexprNotBetween"),
        Some(13) => Some("AexprBetweenSym"),
        Some(14) => Some("AexprNotBetweenSym"),
        _ => None,
    }
}

fn shown(relation: &Map<String, Value>) -> String {
    let name = relation["relname"].as_str().unwrap_or_default();
    match relation["schemaname"].as_str() {
        None | Some("") => name.to_owned(),
        Some(schema) => format!("{schema}.{name}"),
    }
}

fn read(relation: &Map<String, Value>, visible: &Visible, truth: &mut Truth) {
    let name = shown(relation);
    let common = relation["schemaname"].as_str().unwrap_or_default().is_empty() && visible.contains(&name);
    if !common {
        truth.reads.insert(name);
    }
}

fn change(tag: &str, fields: &Map<String, Value>, truth: &mut Truth) {
    let Some(relation) = fields["relation"].as_object() else { return };
    let name = shown(relation);
    match tag {
        "InsertStmt" => {
            truth.inserts.insert(name.clone());
            if fields["on_conflict_clause"]["action"] == 3 {
                truth.updates.insert(name);
            }
        }
        "UpdateStmt" => drop(truth.updates.insert(name)),
        "DeleteStmt" => drop(truth.deletes.insert(name)),
        _ => {
            for (_, clause) in fields["merge_when_clauses"].as_array().into_iter().flatten().filter_map(tagged) {
                // `CmdType`: SELECT 2, UPDATE 3, INSERT 4, DELETE 5.
                match clause["command_type"].as_i64() {
                    Some(3) => drop(truth.updates.insert(name.clone())),
                    Some(4) => drop(truth.inserts.insert(name.clone())),
                    Some(5) => drop(truth.deletes.insert(name.clone())),
                    _ => {}
                }
            }
        }
    }
}

fn strings(list: &Value) -> Vec<String> {
    let nodes = list.as_array().into_iter().flatten().filter_map(tagged);
    nodes.filter(|(tag, _)| *tag == "String").filter_map(|(_, body)| body["sval"].as_str().map(str::to_owned)).collect()
}

fn last_string(list: &Value) -> Option<String> {
    strings(list).pop()
}
