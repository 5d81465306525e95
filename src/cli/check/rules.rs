//! `--list-rules`.

use serde::Serialize;

use super::Format;
use super::json::RuleJson;
use crate::cli::{Failure, Output};
use crate::sql::risk::rules;

#[derive(Debug, Serialize)]
struct List {
    version: u32,
    rules: Vec<RuleJson>,
}

/// Prints all rules, the worst first.
pub(super) fn print(format: Format, output: &mut Output) -> Result<(), Failure> {
    let mut all: Vec<_> = rules().collect();
    all.sort_by_key(|rule| std::cmp::Reverse(rule.level));
    if format != Format::Text {
        return output.json(&List { version: 1, rules: all.into_iter().map(RuleJson::of).collect() });
    }
    for rule in all {
        let lock = rule.lock.map_or("no table lock", crate::sql::risk::Lock::as_str);
        let undo = if rule.reversible { "can be undone" } else { "cannot be undone" };
        output.line(format_args!("{:<9} {} ({lock}; {undo})", rule.level, rule.id))?;
        output.line(format_args!("          {}", rule.why))?;
        if let Some(instead) = rule.instead {
            output.line(format_args!("          instead: {instead}"))?;
        }
    }
    Ok(())
}
