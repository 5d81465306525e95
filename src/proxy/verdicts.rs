//! What the policy said of the effects of statements.
//!
//! Decisions are remembered by text; but many texts do the same, and those that rest on names of the session (`FETCH`, `EXECUTE`)
//! are decided each time. A verdict depends on nothing but the policy, who asks, and the [request](Request), which says so: what
//! one session was told, all others of the same identity would be. Each session keeps its own in front of those of all, so
//! that it takes no lock for what it was told before.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use dashmap::DashMap;
use foldhash::fast::RandomState;

use crate::policy::{Carrier, Engine, Identity, Request, Verdict};
use crate::sql::Effect;

/// How many verdicts a session remembers.
const MOST_OWN: usize = 256;
/// How many are remembered for all sessions.
const MOST_SHARED: usize = 1024;
/// Of statements with more effects none is.
const MOST_EFFECTS: usize = 32;

/// The verdicts of all sessions.
#[derive(Debug, Default)]
pub struct Verdicts(DashMap<Asked, Verdict, RandomState>);

/// The verdicts of one session: one identity and one database.
#[derive(Debug)]
pub(super) struct OwnVerdicts {
    own: RefCell<Remembered>,
    shared: Arc<Verdicts>,
}

#[derive(Debug, Default)]
struct Remembered {
    /// The version of the policy that said all this.
    policy: u64,
    by_request: HashMap<OwnAsked, Verdict, RandomState>,
}

/// Whom a session is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    /// Who asks.
    pub(super) identity: &'a Arc<Identity>,
    /// In which database.
    pub(super) database: &'a Arc<str>,
}

/// What of a request differs from statement to statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct OwnAsked {
    /// What it does.
    pub(super) effects: Arc<[Effect]>,
    /// Whether it runs inside a transaction block.
    pub(super) in_transaction: bool,
    /// How it reaches the server.
    pub(super) carrier: Carrier,
}

/// All that a verdict depends on.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    /// The version of the policy.
    policy: u64,
    identity: Arc<Identity>,
    database: Arc<str>,
    asked: OwnAsked,
}

impl Verdicts {
    /// The policy's verdict, from memory if it was asked the same before.
    pub(super) fn on(&self, engine: &Engine, asker: Asker<'_>, asked: OwnAsked) -> Verdict {
        if asked.effects.len() > MOST_EFFECTS {
            return ask(engine, asker, &asked);
        }
        let (identity, database) = (Arc::clone(asker.identity), Arc::clone(asker.database));
        let key = Asked { policy: engine.version(), identity, database, asked };
        if let Some(verdict) = self.0.get(&key) {
            return verdict.clone();
        }
        // Asked without the lock: whoever comes at the same time may ask too, and is told the same.
        let verdict = ask(engine, asker, &key.asked);
        if self.0.len() >= MOST_SHARED {
            self.0.clear();
        }
        self.0.insert(key, verdict.clone());
        verdict
    }
}

impl OwnVerdicts {
    /// Those of a session, none yet.
    pub(super) fn new(shared: &Arc<Verdicts>) -> Self {
        Self { own: RefCell::default(), shared: Arc::clone(shared) }
    }

    /// The policy's verdict, from memory if it was asked the same before.
    pub(super) fn on(&self, engine: &Engine, asker: Asker<'_>, asked: OwnAsked) -> Verdict {
        if asked.effects.len() > MOST_EFFECTS {
            return ask(engine, asker, &asked);
        }
        let mut own = self.own.borrow_mut();
        if own.policy != engine.version() || own.by_request.len() >= MOST_OWN {
            *own = Remembered { policy: engine.version(), by_request: HashMap::default() };
        }
        if let Some(verdict) = own.by_request.get(&asked) {
            return verdict.clone();
        }
        let verdict = self.shared.on(engine, asker, asked.clone());
        own.by_request.insert(asked, verdict.clone());
        verdict
    }
}

fn ask(engine: &Engine, Asker { identity, database }: Asker<'_>, asked: &OwnAsked) -> Verdict {
    let OwnAsked { effects, in_transaction, carrier } = asked;
    let (in_transaction, carrier) = (*in_transaction, *carrier);
    engine.decide(identity, &Request { database, effects, rows: None, in_transaction, carrier })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{IdentityKind, Outcome, Source};
    use crate::sql::{Action, Object, ObjectKind};

    fn effects(action: Action, table: &str) -> Arc<[Effect]> {
        [Effect::new(action, Object::in_schema(ObjectKind::Table, "public", table))].into()
    }

    fn identity(name: &str, kind: IdentityKind) -> Arc<Identity> {
        Arc::new(Identity { name: name.to_owned(), kind, owner: None })
    }

    /// Everything that a verdict may depend on, in all combinations, twice.
    #[test]
    fn what_is_remembered_is_what_the_policy_would_say_again() {
        let source = |text: &str| [Source { name: "own.cedar".to_owned(), text: text.to_owned() }];
        let engines = [
            Engine::shipped(),
            Engine::new(&source("permit(principal, action, resource);")).unwrap(),
            Engine::shipped(),
        ];
        let identities = [identity("app", IdentityKind::Service), identity("app", IdentityKind::Agent)];
        let databases: [Arc<str>; 2] = ["shop".into(), "other".into()];
        let shared = Arc::new(Verdicts::default());
        let mut seen = std::collections::HashSet::new();
        for identity in identities.iter().chain(&identities) {
            for database in &databases {
                let asker = Asker { identity, database };
                let own = OwnVerdicts::new(&shared);
                for engine in engines.iter().chain(&engines) {
                    for (action, table) in [(Action::Read, "a"), (Action::Delete, "a"), (Action::Drop, "b")] {
                        for in_transaction in [false, true] {
                            for carrier in [Carrier::Statement, Carrier::FunctionCall] {
                                let asked = OwnAsked { effects: effects(action, table), in_transaction, carrier };
                                let verdict = own.on(engine, asker, asked.clone());
                                assert_eq!(verdict, ask(engine, asker, &asked), "{asked:?}");
                                seen.insert(format!("{verdict:?}"));
                            }
                        }
                    }
                }
            }
        }
        assert!(seen.len() > 3, "verdicts that do not differ show nothing: {seen:?}");
    }

    #[test]
    fn not_more_than_so_many_are() {
        let (identity, database) = (identity("app", IdentityKind::Service), Arc::from("shop"));
        let asker = Asker { identity: &identity, database: &database };
        let (engine, shared) = (Engine::shipped(), Arc::new(Verdicts::default()));
        let own = OwnVerdicts::new(&shared);
        for number in 0..MOST_SHARED + 10 {
            let effects = effects(Action::Read, &format!("t{number}"));
            let asked = OwnAsked { effects, in_transaction: false, carrier: Carrier::Statement };
            assert_eq!(own.on(&engine, asker, asked).outcome, Outcome::Pass);
            assert!(own.own.borrow().by_request.len() <= MOST_OWN && shared.0.len() <= MOST_SHARED);
        }
    }
}
