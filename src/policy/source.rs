//! Policy texts, and how they become one checked policy set.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::LazyLock;

use cedar_policy::{Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};

use super::error::{PolicyErrors, Problem};

/// The shipped schema.
pub const SCHEMA: &str = include_str!("../../policies/schema.cedarschema");

/// The shipped policy.
pub const DEFAULT: &str = include_str!("../../policies/default.cedar");

/// A text of policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file's name, as verdicts and errors show it.
    pub name: String,
    /// What it says.
    pub text: String,
}

impl Source {
    /// The shipped policy.
    #[must_use]
    pub fn shipped() -> Self {
        Self { name: "default.cedar".to_owned(), text: DEFAULT.to_owned() }
    }
}

/// The shipped schema, parsed.
pub(super) static PARSED_SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let (schema, _warnings) = Schema::from_cedarschema_str(SCHEMA).expect("the shipped schema is tested");
    schema
});

/// A policy set that was checked against the schema.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    /// The policies; the id of each is `file: id`.
    pub(super) policies: PolicySet,
    /// What is said of each, by its id.
    pub(super) rules: HashMap<PolicyId, Rule>,
    /// What is suspicious, but no error.
    pub(super) warnings: Vec<Problem>,
}

/// What is said of a policy.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// The order in which it was written.
    pub(super) order: usize,
    /// `file: id`.
    pub(super) name: String,
    /// Its `@reason`.
    pub(super) reason: Option<String>,
    /// Its `@hint`.
    pub(super) hint: Option<String>,
}

impl Rule {
    fn new(order: usize, policy: &Policy) -> Self {
        let annotation = |name: &str| policy.annotation(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Self { order, name: policy.id().to_string(), reason: annotation("reason"), hint: annotation("hint") }
    }
}

/// Parses and checks texts of policies as one set.
pub(super) fn check(sources: &[Source]) -> Result<Checked, PolicyErrors> {
    let mut problems = Vec::new();
    let mut policies = PolicySet::new();
    let mut rules = HashMap::new();
    let mut file_of = HashMap::new();
    for source in sources {
        match parse(source) {
            Ok(parsed) => {
                for policy in parsed {
                    let id = policy.id().clone();
                    rules.insert(id.clone(), Rule::new(rules.len(), &policy));
                    file_of.insert(id.clone(), source);
                    if policies.add(policy).is_err() {
                        problems.push(duplicate(source, &id));
                    }
                }
            }
            Err(mut found) => problems.append(&mut found),
        }
    }
    if problems.is_empty() && policies.is_empty() {
        problems.push(Problem {
            hint: Some("to let everything through, write: permit (principal, action, resource);".to_owned()),
            ..Problem::new("", "there is not one policy, so everything would be denied")
        });
    }
    if !problems.is_empty() {
        return Err(PolicyErrors(problems));
    }

    let result = Validator::new(PARSED_SCHEMA.clone()).validate(&policies, ValidationMode::Strict);
    let unnamed = Source { name: String::new(), text: String::new() };
    for error in result.validation_errors() {
        let source = file_of.get(error.policy_id()).copied().unwrap_or(&unnamed);
        problems.push(Problem::of(source, error, &error.to_string()));
    }
    problems.sort_by_key(Problem::place);
    problems.dedup();
    if !problems.is_empty() {
        return Err(PolicyErrors(problems));
    }
    let warnings = result
        .validation_warnings()
        .map(|warning| {
            let source = file_of.get(warning.policy_id()).copied().unwrap_or(&unnamed);
            Problem::of(source, warning, &warning.to_string())
        })
        .collect();
    Ok(Checked { policies, rules, warnings })
}

/// Parses one text. Each policy is named by its `@id`, or else by its number in the text, from 1.
fn parse(source: &Source) -> Result<Vec<Policy>, Vec<Problem>> {
    let parsed = PolicySet::from_str(&source.text).map_err(|errors| {
        errors.iter().map(|error| Problem::of(source, error, &error.to_string())).collect::<Vec<_>>()
    })?;
    if let Some(template) = parsed.templates().next() {
        let message = format!("`{}` is a template (it has ?principal or ?resource)", template.id());
        return Err(vec![Problem {
            hint: Some("nothing fills templates in here: write the principal out".to_owned()),
            ..Problem::new(&source.name, message)
        }]);
    }
    // Cedar numbers the policies of a text: policy0, policy1, ...
    let mut numbered: Vec<(usize, &Policy)> = parsed
        .policies()
        .map(|policy| {
            let number = policy.id().to_string().trim_start_matches("policy").parse().unwrap_or(usize::MAX);
            (number, policy)
        })
        .collect();
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered
        .into_iter()
        .enumerate()
        .map(|(at, (_, policy))| {
            let id = match policy.annotation("id") {
                Some(id) if !id.is_empty() => id.to_owned(),
                _ => format!("policy {}", at + 1),
            };
            policy.new_id(PolicyId::new(format!("{}: {id}", source.name)))
        })
        .collect())
}

fn duplicate(source: &Source, id: &PolicyId) -> Problem {
    let written = id.to_string();
    let id = written.rsplit(": ").next().unwrap_or_default();
    let quoted = format!("@id(\"{id}\")");
    let excerpt = source.text.rfind(&quoted).map(|at| crate::text::Excerpt::new(&source.text, at..at + quoted.len()));
    Problem {
        excerpt,
        hint: Some("each policy needs an @id of its own: it is what verdicts and the audit log name".to_owned()),
        ..Problem::new(&source.name, format!("two policies have the id `{id}`"))
    }
}
