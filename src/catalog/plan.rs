//! Reads the plan that `EXPLAIN (FORMAT JSON, VERBOSE)` prints.

use serde::Deserialize;

use crate::blast::{Planned, Rows};
use crate::sql::Action;

/// One node of a plan, as far as it matters.
#[derive(Debug, Deserialize)]
struct Node {
    #[serde(rename = "Node Type")]
    kind: String,
    #[serde(rename = "Parent Relationship")]
    relationship: Option<String>,
    #[serde(rename = "Operation")]
    operation: Option<String>,
    #[serde(rename = "Schema")]
    schema: Option<String>,
    #[serde(rename = "Relation Name")]
    relation: Option<String>,
    #[serde(rename = "Conflict Resolution")]
    conflict: Option<String>,
    #[serde(rename = "Plan Rows")]
    rows: f64,
    #[serde(rename = "One-Time Filter")]
    one_time_filter: Option<String>,
    #[serde(rename = "Plans", default)]
    plans: Vec<Node>,
}

#[derive(Deserialize)]
struct Explained {
    #[serde(rename = "Plan")]
    plan: Node,
}

/// What each part of a statement that changes rows is expected to change. An error is for a warning: the plan is not
/// what we know.
pub(super) fn planned(json: &str) -> Result<Vec<Planned>, String> {
    // serde_json goes no deeper than 128 levels, so neither does the loop below.
    let explained: Vec<Explained> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let mut open: Vec<&Node> = explained.iter().map(|explained| &explained.plan).collect();
    let mut planned = Vec::new();
    while let Some(node) = open.pop() {
        open.extend(&node.plans);
        if node.kind == "ModifyTable" {
            planned.extend(part(node));
        }
    }
    Ok(planned)
}

/// A ModifyTable node. Its own number of rows is what RETURNING gives; what it changes is what it is fed.
fn part(node: &Node) -> Option<Planned> {
    let action = match node.operation.as_deref() {
        Some("Insert") => Some(Action::Insert),
        Some("Update") => Some(Action::Update),
        Some("Delete") => Some(Action::Delete),
        _ => None,
    };
    let fed = node.plans.iter().filter(|plan| plan.relationship.as_deref().is_none_or(|kind| kind != "InitPlan"));
    let mut value = 0.0;
    let mut exact = action == Some(Action::Insert) && node.conflict.is_none();
    for plan in fed {
        value += plan.rows;
        exact &= is_literal(plan);
    }
    // `as` saturates; the planner never says less than nothing.
    let value = value.max(0.0) as u64;
    let rows = if exact { Rows::exact(value) } else { Rows::planner(value) };
    Some(Planned { schema: node.schema.clone()?, name: node.relation.clone()?, action, rows })
}

/// `VALUES` of any number of rows: each of them is there.
fn is_literal(node: &Node) -> bool {
    match node.kind.as_str() {
        "Values Scan" => true,
        "Result" => node.one_time_filter.is_none() && node.plans.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(node: &str) -> Vec<(String, Option<Action>, Rows)> {
        let parts = planned(&format!("[{{\"Plan\":{node}}}]")).unwrap();
        parts.into_iter().map(|part| (format!("{}.{}", part.schema, part.name), part.action, part.rows)).collect()
    }

    fn modify(operation: &str, more: &str, plans: &str) -> String {
        format!(
            r#"{{"Node Type":"ModifyTable","Operation":"{operation}","Schema":"public","Relation Name":"orders",
                 "Plan Rows":0{more},"Plans":[{plans}]}}"#
        )
    }

    fn node(kind: &str, more: &str, rows: u64) -> String {
        format!(r#"{{"Node Type":"{kind}","Parent Relationship":"Outer","Plan Rows":{rows}{more}}}"#)
    }

    #[test]
    fn what_is_changed_is_what_the_node_is_fed() {
        let scan = node("Seq Scan", "", 51);
        let (values, result) = (node("Values Scan", "", 2), node("Result", "", 1));
        let never = node("Result", r#","One-Time Filter":"false""#, 0);
        let conflict = r#","Conflict Resolution":"UPDATE""#;
        let cases = [
            (modify("Delete", "", &scan), Some(Action::Delete), Rows::planner(51)),
            (modify("Merge", "", &scan), None, Rows::planner(51)),
            (modify("Insert", "", &values), Some(Action::Insert), Rows::exact(2)),
            (modify("Insert", "", &result), Some(Action::Insert), Rows::exact(1)),
            (modify("Insert", "", &never), Some(Action::Insert), Rows::planner(0)),
            (modify("Insert", conflict, &values), Some(Action::Insert), Rows::planner(2)),
            (modify("Update", "", &result), Some(Action::Update), Rows::planner(1)),
        ];
        for (json, action, rows) in cases {
            assert_eq!(plan(&json), [("public.orders".to_owned(), action, rows)], "{json}");
        }
        assert_eq!(plan(&scan), []);
    }

    #[test]
    fn parts_in_common_table_expressions_count_for_themselves() {
        let inner = modify("Delete", r#","Parent Relationship":"InitPlan""#, &node("Seq Scan", "", 100));
        let outer = modify("Insert", "", &format!("{inner},{}", node("CTE Scan", "", 7)));
        let parts = plan(&outer);
        assert_eq!(parts[0].2, Rows::planner(7));
        assert_eq!(parts[1].2, Rows::planner(100));
    }

    #[test]
    fn what_is_no_plan_is_an_error() {
        let deep = "{\"Plan\":".repeat(100_000);
        for json in ["", "[]x", "[{\"Plan\":{}}]", &deep] {
            assert!(planned(json).is_err());
        }
    }
}
