//! What the policy said of the effects of one session's statements.
//!
//! Decisions are remembered by text; but many texts do the same, and those that rest on names of the session (`FETCH`, `EXECUTE`)
//! are decided each time. A verdict depends on nothing but the policy, who asks, and the [request](Request), which says so.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::policy::{Carrier, Engine, Identity, Request, Verdict};
use crate::sql::Effect;

/// How many verdicts a session remembers.
const MOST_REMEMBERED: usize = 256;
/// Of statements with more effects none is.
const MOST_EFFECTS: usize = 32;

/// The verdicts of one session: one identity and one database.
#[derive(Debug, Default)]
pub(super) struct Verdicts(RefCell<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// The version of the policy that said all this.
    policy: u64,
    by_request: HashMap<Asked, Verdict, RandomState>,
}

/// What of a request differs from statement to statement.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    effects: Arc<[Effect]>,
    in_transaction: bool,
    carrier: Carrier,
}

impl Verdicts {
    /// The policy's verdict, from memory if it was asked the same before.
    pub(super) fn on(
        &self,
        engine: &Engine,
        identity: &Identity,
        database: &str,
        effects: &Arc<[Effect]>,
        in_transaction: bool,
        carrier: Carrier,
    ) -> Verdict {
        let ask = || engine.decide(identity, &Request { database, effects, rows: None, in_transaction, carrier });
        if effects.len() > MOST_EFFECTS {
            return ask();
        }
        let mut remembered = self.0.borrow_mut();
        if remembered.policy != engine.version() || remembered.by_request.len() >= MOST_REMEMBERED {
            *remembered = Remembered { policy: engine.version(), by_request: HashMap::default() };
        }
        let asked = Asked { effects: Arc::clone(effects), in_transaction, carrier };
        remembered.by_request.entry(asked).or_insert_with(ask).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{IdentityKind, Outcome, Source};
    use crate::sql::{Action, Object, ObjectKind};

    fn effects(action: Action, table: &str) -> Arc<[Effect]> {
        [Effect::new(action, Object::in_schema(ObjectKind::Table, "public", table))].into()
    }

    #[test]
    fn what_is_remembered_is_what_the_policy_would_say_again() {
        let identity = Identity { name: "app".to_owned(), kind: IdentityKind::Service, owner: None };
        let allowing = "permit(principal, action, resource);".to_owned();
        let engines = [
            Engine::shipped(),
            Engine::new(&[Source { name: "own.cedar".to_owned(), text: allowing }]).unwrap(),
            Engine::shipped(),
        ];
        let verdicts = Verdicts::default();
        for engine in &engines {
            for _ in 0..2 {
                for (action, table) in [(Action::Read, "a"), (Action::Delete, "a"), (Action::Drop, "b")] {
                    for in_transaction in [false, true] {
                        for carrier in [Carrier::Statement, Carrier::FunctionCall] {
                            let effects = effects(action, table);
                            let request =
                                Request { database: "shop", effects: &effects, rows: None, in_transaction, carrier };
                            assert_eq!(
                                verdicts.on(engine, &identity, "shop", &effects, in_transaction, carrier),
                                engine.decide(&identity, &request),
                                "{request:?}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn not_more_than_so_many_are() {
        let identity = Identity { name: "app".to_owned(), kind: IdentityKind::Service, owner: None };
        let (engine, verdicts) = (Engine::shipped(), Verdicts::default());
        for number in 0..2 * MOST_REMEMBERED {
            let effects = effects(Action::Read, &format!("t{number}"));
            let verdict = verdicts.on(&engine, &identity, "shop", &effects, false, Carrier::Statement);
            assert_eq!(verdict.outcome, Outcome::Pass);
            assert!(verdicts.0.borrow().by_request.len() <= MOST_REMEMBERED);
        }
    }
}
