//! The evaluation: (identity, effects) -> verdict.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    Request as CedarRequest, RestrictedExpression,
};
use sha2::{Digest, Sha256};

use super::error::{PolicyErrors, Problem};
use super::identity::Identity;
use super::request::{Carrier, Request};
use super::source::{self, Checked, PARSED_SCHEMA, Source};
use super::verdict::{Outcome, Verdict};
use crate::sql::{Action, Certainty, Effect, Extent, Object, ObjectKind};

/// More approvals than this are never asked for.
pub const APPROVALS_MAX: u32 = 3;

/// A verdict gives no more reasons than this; the rest are counted.
const REASONS_MAX: usize = 8;

/// Checked policies, ready to decide. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    authorizer: Authorizer,
    checked: Checked,
    /// The entity of each action, in the order of [`Action::ALL`]: it carries the groups.
    actions: Vec<Entity>,
    identity_type: EntityTypeName,
    object_type: EntityTypeName,
    version: u64,
    reads_transaction: bool,
}

impl Engine {
    /// The shipped policy.
    #[must_use]
    pub fn shipped() -> Self {
        Self::new(&[Source::shipped()]).expect("the shipped policy is tested")
    }

    /// Policies from texts. They replace the shipped policy.
    ///
    /// # Errors
    ///
    /// A text does not parse, or does not fit the schema; each problem names file, line and column.
    pub fn new(sources: &[Source]) -> Result<Self, PolicyErrors> {
        let checked = source::check(sources)?;
        let groups = PARSED_SCHEMA.action_entities().expect("the shipped schema is tested");
        let actions = Action::ALL
            .iter()
            .map(|action| {
                let id = uid(&name_of_type("Action"), action.as_str());
                groups.get(&id).cloned().expect("the shipped schema names every action; tested")
            })
            .collect();
        let mut hash = Sha256::new();
        for source in sources {
            hash.update((source.text.len() as u64).to_be_bytes());
            hash.update(&source.text);
        }
        let reads_transaction = checked.policies.policies().any(|policy| policy.to_string().contains("in_transaction"));
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Ok(Self {
            inner: Arc::new(Inner {
                authorizer: Authorizer::new(),
                checked,
                actions,
                identity_type: name_of_type("Identity"),
                object_type: name_of_type("Object"),
                version: u64::from_be_bytes(first),
                reads_transaction,
            }),
        })
    }

    /// A number that differs for policies that differ: the start of their SHA-256.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.inner.version
    }

    /// How many policies there are.
    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.inner.checked.order.len()
    }

    /// Whether any policy looks at whether a transaction block is open. Where none does, a verdict holds in
    /// and outside of one.
    #[must_use]
    pub fn reads_transaction(&self) -> bool {
        self.inner.reads_transaction
    }

    /// What is suspicious about the policies, but no error.
    #[must_use]
    pub fn warnings(&self) -> &[Problem] {
        &self.inner.checked.warnings
    }

    /// What the policies say: the worst of what they say of each effect. Whatever goes wrong is a denial.
    #[must_use]
    pub fn decide(&self, identity: &Identity, request: &Request<'_>) -> Verdict {
        let principal = self.inner.principal(identity);
        let mut seen = HashSet::new();
        let mut worst: Option<Judgement> = None;
        let mut reasons = Reasons::default();
        let read = read_of_database(request.database);
        let effects = if request.effects.is_empty() { std::slice::from_ref(&read) } else { request.effects };
        for effect in effects {
            if !seen.insert(effect) {
                continue;
            }
            let judgement = self.inner.judge(&principal, effect, request);
            reasons.add(effect, &judgement);
            if worst.as_ref().is_none_or(|worst| severity(judgement.outcome) > severity(worst.outcome)) {
                worst = Some(judgement);
            }
        }
        match worst {
            Some(worst) => Verdict { outcome: worst.outcome, policy: worst.policy, reasons: reasons.finish() },
            // Not reached, since there is at least one effect; but nothing may pass unasked.
            None => Verdict { outcome: Outcome::Deny, policy: "none".to_owned(), reasons: Vec::new() },
        }
    }
}

/// What the policies say of one effect.
struct Judgement {
    outcome: Outcome,
    /// As `file: id`.
    policy: String,
    /// The policy's `@reason`, or what went wrong.
    reason: Option<String>,
    /// The policy's `@hint`.
    hint: Option<String>,
}

impl Inner {
    fn principal(&self, identity: &Identity) -> Result<Entity, String> {
        let mut attributes = HashMap::from([
            ("name".to_owned(), RestrictedExpression::new_string(identity.name.clone())),
            ("kind".to_owned(), RestrictedExpression::new_string(identity.kind.as_str().to_owned())),
        ]);
        if let Some(owner) = &identity.owner {
            attributes.insert("owner".to_owned(), RestrictedExpression::new_string(owner.clone()));
        }
        Entity::new(uid(&self.identity_type, &identity.name), attributes, HashSet::new())
            .map_err(|error| error.to_string())
    }

    fn resource(&self, effect: &Effect, database: &str) -> Result<Entity, String> {
        let object = &effect.object;
        let mut attributes = HashMap::from([
            ("kind".to_owned(), RestrictedExpression::new_string(object.kind.as_str().to_owned())),
            ("name".to_owned(), RestrictedExpression::new_string(object.name.clone())),
            ("database".to_owned(), RestrictedExpression::new_string(database.to_owned())),
            ("temporary".to_owned(), RestrictedExpression::new_bool(effect.temporary)),
            ("system".to_owned(), RestrictedExpression::new_bool(is_system(object))),
        ]);
        if let Some(schema) = &object.schema {
            attributes.insert("schema".to_owned(), RestrictedExpression::new_string(schema.clone()));
        }
        Entity::new(uid(&self.object_type, &object.to_string()), attributes, HashSet::new())
            .map_err(|error| error.to_string())
    }

    /// Asks without an approval, then with 1 to [`APPROVALS_MAX`].
    fn judge(&self, principal: &Result<Entity, String>, effect: &Effect, request: &Request<'_>) -> Judgement {
        self.try_judge(principal.as_ref().map_err(Clone::clone), effect, request).unwrap_or_else(|error| Judgement {
            outcome: Outcome::Deny,
            policy: "none".to_owned(),
            reason: Some(format!("the policies cannot be asked: {error}")),
            hint: None,
        })
    }

    fn try_judge(
        &self,
        principal: Result<&Entity, String>,
        effect: &Effect,
        request: &Request<'_>,
    ) -> Result<Judgement, String> {
        let principal = principal?;
        let resource = self.resource(effect, request.database)?;
        let action = &self.actions[action_index(effect.action)];
        let (principal_id, action_id, resource_id) = (principal.uid(), action.uid(), resource.uid());
        let entities = Entities::from_entities([principal.clone(), action.clone(), resource], None)
            .map_err(|error| error.to_string())?;
        let mut refused = None;
        for approvals in 0..=APPROVALS_MAX {
            let asked = CedarRequest::new(
                principal_id.clone(),
                action_id.clone(),
                resource_id.clone(),
                circumstances(approvals, effect, request)?,
                None,
            )
            .map_err(|error| error.to_string())?;
            let response = self.authorizer.is_authorized(&asked, &self.checked.policies, &entities);
            // Cedar leaves a policy that errors out of its answer: a `forbid` would be lost.
            if let Some(error) = response.diagnostics().errors().next() {
                return Ok(Judgement {
                    outcome: Outcome::Deny,
                    policy: self.first(response.diagnostics().reason()).unwrap_or_else(|| "none".to_owned()),
                    reason: Some(format!("a policy failed: {error}")),
                    hint: None,
                });
            }
            let policy = self.first(response.diagnostics().reason());
            if response.decision() == Decision::Allow {
                let outcome = if approvals == 0 { Outcome::Pass } else { Outcome::Hold { needs: approvals } };
                return Ok(self.judgement(outcome, policy));
            }
            refused = policy;
        }
        Ok(self.judgement(Outcome::Deny, refused))
    }

    fn judgement(&self, outcome: Outcome, policy: Option<String>) -> Judgement {
        let annotation = |name: &str| {
            let id = PolicyId::new(policy.as_deref()?);
            self.checked.policies.annotation(&id, name).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let (reason, hint) = (annotation("reason"), annotation("hint"));
        match policy {
            Some(policy) => Judgement { outcome, policy, reason, hint },
            None => {
                Judgement { outcome, policy: "none".to_owned(), reason: Some("no policy permits it".to_owned()), hint }
            }
        }
    }

    /// Of the policies that determined an answer, the one written first.
    fn first<'a>(&self, ids: impl Iterator<Item = &'a PolicyId>) -> Option<String> {
        ids.min_by_key(|id| self.checked.order.get(id).copied().unwrap_or(usize::MAX)).map(ToString::to_string)
    }
}

/// Reasons, one a line, at most [`REASONS_MAX`].
#[derive(Default)]
struct Reasons {
    lines: Vec<String>,
    left_out: usize,
}

impl Reasons {
    fn add(&mut self, effect: &Effect, judgement: &Judgement) {
        if judgement.outcome == Outcome::Pass {
            return;
        }
        if self.lines.len() == REASONS_MAX {
            self.left_out += 1;
            return;
        }
        let mut line = effect.to_string();
        if let Some(reason) = &judgement.reason {
            line.push_str(": ");
            line.push_str(reason);
        }
        if let Some(hint) = &judgement.hint {
            line.push_str("; ");
            line.push_str(hint);
        }
        self.lines.push(line);
    }

    fn finish(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.lines.push(format!("and {} more", self.left_out));
        }
        self.lines
    }
}

const fn severity(outcome: Outcome) -> u32 {
    match outcome {
        Outcome::Pass => 0,
        Outcome::Hold { needs } => needs,
        Outcome::Deny => u32::MAX,
    }
}

fn circumstances(approvals: u32, effect: &Effect, request: &Request<'_>) -> Result<Context, String> {
    let bounded = effect.extent == Extent::Bounded;
    let mut pairs = vec![
        ("approvals".to_owned(), RestrictedExpression::new_long(i64::from(approvals))),
        ("bounded".to_owned(), RestrictedExpression::new_bool(bounded)),
        ("harmless".to_owned(), RestrictedExpression::new_bool(effect.harmless)),
        ("certain".to_owned(), RestrictedExpression::new_bool(effect.certainty == Certainty::Certain)),
        ("in_transaction".to_owned(), RestrictedExpression::new_bool(request.in_transaction)),
        ("fastpath".to_owned(), RestrictedExpression::new_bool(request.carrier == Carrier::FunctionCall)),
    ];
    if let Some(rows) = request.rows {
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        pairs.push(("rows".to_owned(), RestrictedExpression::new_long(rows)));
    }
    Context::from_pairs(pairs).map_err(|error| error.to_string())
}

fn read_of_database(database: &str) -> Effect {
    Effect::new(Action::Read, Object::new(ObjectKind::Database, database))
}

/// Whether an object is one of the server's own. Without a schema, `pg_...` is: Postgres looks into
/// `pg_catalog` first.
fn is_system(object: &Object) -> bool {
    match object.schema.as_deref() {
        Some(schema) => matches!(schema, "pg_catalog" | "information_schema" | "pg_toast"),
        None => object.name.starts_with("pg_"),
    }
}

fn action_index(action: Action) -> usize {
    Action::ALL.iter().position(|other| *other == action).expect("ALL has every action; tested")
}

fn name_of_type(name: &str) -> EntityTypeName {
    EntityTypeName::from_str(name).expect("a plain word is a type name")
}

fn uid(of_type: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(of_type.clone(), EntityId::new(id))
}
