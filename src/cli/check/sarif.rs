//! The report as SARIF 2.1.0 (OASIS), for code scanning.

use serde_json::{Value, json};

use super::judge::{Checked, Report};
use crate::cli::{Failure, Output};
use crate::policy::Outcome;
use crate::sql::risk::{Level, rules};

/// The rule of results that no risk rule explains.
const VERDICT: &str = "verdict";

/// Prints it.
pub(super) fn print(report: &Report, output: &mut Output) -> Result<(), Failure> {
    output.json(&document(report))
}

fn document(report: &Report) -> Value {
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "pgsluice",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rule_list(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": report.statements.iter().flat_map(results).collect::<Vec<_>>(),
        }],
    })
}

fn rule_list() -> Vec<Value> {
    let verdict = json!({
        "id": VERDICT,
        "shortDescription": {"text": "the policy does not let it pass"},
        "defaultConfiguration": {"level": "error"},
    });
    let risks = rules().map(|rule| {
        let mut entry = json!({
            "id": rule.id,
            "shortDescription": {"text": rule.why},
            "defaultConfiguration": {"level": severity(rule.level)},
            "properties": {"risk": rule.level, "reversible": rule.reversible},
        });
        if let (Some(instead), Some(fields)) = (rule.instead, entry.as_object_mut()) {
            fields.insert("help".to_owned(), json!({"text": format!("Instead: {instead}")}));
        }
        entry
    });
    std::iter::once(verdict).chain(risks).collect()
}

/// One result for each rule that applies, and one for a verdict that no rule explains.
fn results(checked: &Checked) -> Vec<Value> {
    let reasons = checked.all_reasons().join("; ");
    let verdict = checked.verdict.outcome;
    let result = |rule: &str, level: &str, text: String| {
        json!({
            "ruleId": rule,
            "level": level,
            "message": {"text": text},
            "locations": locations(checked),
            "properties": {
                "verdict": verdict.as_str(),
                "policy": checked.verdict.policy,
                "risk": checked.risk.level(),
                "radius": checked.radius,
            },
        })
    };
    let told = |why: &str| if reasons.is_empty() { why.to_owned() } else { format!("{why} ({reasons})") };
    let mut results: Vec<Value> = checked
        .risk
        .rules
        .iter()
        .map(|rule| result(rule.id, severity(rule.level), format!("{}: {}", verdict.as_str(), told(rule.why))))
        .collect();
    if results.is_empty() && verdict != Outcome::Pass {
        results.push(result(VERDICT, "error", format!("{}: {}", verdict.as_str(), told(&checked.verdict.policy))));
    }
    results
}

fn locations(checked: &Checked) -> Vec<Value> {
    let Some(file) = checked.origin.file() else { return Vec::new() };
    vec![json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(&file)},
        "region": {
            "startLine": checked.place.line,
            "startColumn": checked.place.column,
            "endLine": checked.end.line,
            "endColumn": checked.end.column,
        },
    }})]
}

fn severity(level: Level) -> &'static str {
    match level {
        Level::Critical | Level::High => "error",
        Level::Medium => "warning",
        Level::None | Level::Low => "note",
    }
}

/// A path as a URI reference (RFC 3986): everything but unreserved characters and slashes is percent-encoded.
fn uri(path: &str) -> String {
    let mut encoded = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uri_references() {
        assert_eq!(uri("migrations/1 add:é.sql"), "migrations/1%20add%3A%C3%A9.sql");
    }
}
