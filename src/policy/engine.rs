//! The evaluation: (identity, effects) -> verdict.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicyId,
    PolicySet, Request as CedarRequest, RestrictedExpression,
};
use sha2::{Digest, Sha256};

use super::error::{PolicyErrors, Problem};
use super::identity::Identity;
use super::request::{Carrier, Request};
use super::source::{self, Checked, PARSED_SCHEMA, Rule, Source};
use super::verdict::{Outcome, Verdict};
use crate::sql::{Action, Certainty, Effect, Extent, Object, ObjectKind};

/// More approvals than this are never asked for.
pub const APPROVALS_MAX: u32 = 3;

/// What a verdict names where no policy decided.
const NO_RULE: &str = "none";

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
    /// In the order of [`Action::ALL`].
    actions: Vec<ActionRules>,
    rules: HashMap<PolicyId, Rule>,
    warnings: Vec<Problem>,
    identity_type: EntityTypeName,
    object_type: EntityTypeName,
    version: u64,
    reads_transaction: bool,
}

/// One action, and what is said of it.
#[derive(Debug)]
struct ActionRules {
    /// Carries the groups the action is in.
    entity: Entity,
    /// The policies whose head does not rule the action out. The others could say nothing, and evaluating them costs
    /// most of a decision.
    policies: PolicySet,
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
        let Checked { policies, rules, warnings } = source::check(sources)?;
        let groups = PARSED_SCHEMA.action_entities().expect("the shipped schema is tested");
        let actions = Action::ALL.iter().map(|action| ActionRules::new(*action, &policies, &groups)).collect();
        let mut hash = Sha256::new();
        for source in sources {
            hash.update((source.text.len() as u64).to_be_bytes());
            hash.update(&source.text);
        }
        let reads_transaction = policies.policies().any(|policy| policy.to_string().contains("in_transaction"));
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Ok(Self {
            inner: Arc::new(Inner {
                authorizer: Authorizer::new(),
                actions,
                rules,
                warnings,
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
        self.inner.rules.len()
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
        &self.inner.warnings
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
            None => Verdict { outcome: Outcome::Deny, policy: NO_RULE.to_owned(), reasons: Vec::new() },
        }
    }
}

impl ActionRules {
    fn new(action: Action, policies: &PolicySet, groups: &Entities) -> Self {
        let id = uid(&name_of_type("Action"), action.as_str());
        let entity = groups.get(&id).cloned().expect("the shipped schema names every action; tested");
        let concerns = |constraint: &ActionConstraint| match constraint {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(other) => *other == id,
            ActionConstraint::In(others) => {
                others.iter().any(|other| *other == id || groups.is_ancestor_of(other, &id))
            }
        };
        let concerned = policies.policies().filter(|policy| concerns(&policy.action_constraint())).cloned();
        let policies = PolicySet::from_policies(concerned).expect("a part of a set has no id twice");
        Self { entity, policies }
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

impl Judgement {
    fn new(outcome: Outcome, rule: Option<&Rule>) -> Self {
        match rule {
            Some(rule) => {
                Self { outcome, policy: rule.name.clone(), reason: rule.reason.clone(), hint: rule.hint.clone() }
            }
            None => Self::without_rule(outcome, "no policy permits it".to_owned()),
        }
    }

    fn without_rule(outcome: Outcome, reason: String) -> Self {
        Self { outcome, policy: NO_RULE.to_owned(), reason: Some(reason), hint: None }
    }
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
        self.try_judge(principal, effect, request).unwrap_or_else(|error| {
            Judgement::without_rule(Outcome::Deny, format!("the policies cannot be asked: {error}"))
        })
    }

    fn try_judge(
        &self,
        principal: &Result<Entity, String>,
        effect: &Effect,
        request: &Request<'_>,
    ) -> Result<Judgement, String> {
        let principal = principal.as_ref().map_err(Clone::clone)?;
        let resource = self.resource(effect, request.database)?;
        let action = &self.actions[action_index(effect.action)];
        let (principal_id, action_id, resource_id) = (principal.uid(), action.entity.uid(), resource.uid());
        let entities = Entities::from_entities([principal.clone(), action.entity.clone(), resource], None)
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
            let response = self.authorizer.is_authorized(&asked, &action.policies, &entities);
            let rule = self.first(response.diagnostics().reason());
            // Cedar leaves a policy that errors out of its answer: a `forbid` would be lost.
            if let Some(error) = response.diagnostics().errors().next() {
                return Ok(Judgement::without_rule(Outcome::Deny, format!("a policy failed: {error}")));
            }
            if response.decision() == Decision::Allow {
                let outcome = if approvals == 0 { Outcome::Pass } else { Outcome::Hold { needs: approvals } };
                return Ok(Judgement::new(outcome, rule));
            }
            refused = rule;
        }
        Ok(Judgement::new(Outcome::Deny, refused))
    }

    /// Of the policies that determined an answer, the one written first.
    fn first<'a>(&self, ids: impl Iterator<Item = &'a PolicyId>) -> Option<&Rule> {
        ids.filter_map(|id| self.rules.get(id)).min_by_key(|rule| rule.order)
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
