//! What startup packets may ask for: the policy's word on each setting, as if it were set by a statement.

use std::fmt;
use std::sync::Arc;

use super::Shared;
use super::parameters::{Requester, StartupRules, StartupVerdict, StartupWish};
use super::settings::OwnSettings;
use super::verdicts::{Asker, OwnAsked};
use crate::policy::{Carrier, Outcome};
use crate::sql::setting::{self, OWN_PREFIX};
use crate::sql::{Action, Effect, Object, ObjectKind};

/// Judges startup packets by the policy in force.
pub struct PolicyRules {
    shared: Arc<Shared>,
}

impl PolicyRules {
    /// By the policy of this proxy.
    #[must_use]
    pub const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    fn ask(&self, requester: Requester<'_>, effect: Effect, what: &str) -> StartupVerdict {
        let identity = Arc::new((self.shared.options.identity_of)(requester.user));
        let asker = Asker { identity: &identity, database: &requester.database.into() };
        let asked = OwnAsked { effects: [effect].into(), in_transaction: false, carrier: Carrier::Statement };
        let verdict = self.shared.verdicts.on(&self.shared.engine.load(), asker, asked);
        if verdict.outcome == Outcome::Pass {
            return StartupVerdict::Forward;
        }
        let why = if verdict.reasons.is_empty() { String::new() } else { format!("{} ", verdict.reasons.join("; ")) };
        StartupVerdict::Refuse {
            message: format!("{what} is not allowed at login"),
            detail: format!("{why}(rule {})", verdict.policy),
            hint: "Leave it out of the connection string; what may be approved can be SET in a statement later."
                .to_owned(),
        }
    }
}

impl fmt::Debug for PolicyRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyRules").finish_non_exhaustive()
    }
}

impl StartupRules for PolicyRules {
    fn judge(&self, requester: Requester<'_>, wish: StartupWish<'_>) -> StartupVerdict {
        match wish {
            StartupWish::Setting { name, value } if name.starts_with(OWN_PREFIX) => {
                match OwnSettings::default().set(name, value) {
                    Ok(()) => StartupVerdict::Keep,
                    Err(_) => StartupVerdict::Refuse {
                        message: format!("{name} cannot be set so"),
                        detail: "It is one of the proxy's own settings by its name.".to_owned(),
                        hint: "Known are pgsluice.reason, and pgsluice.wait, which is inline or ticket.".to_owned(),
                    },
                }
            }
            StartupWish::Setting { name, value } => {
                let mut effect = Effect::new(Action::Set, Object::new(ObjectKind::Setting, name));
                effect.harmless = setting::is_harmless(name, Some(value));
                self.ask(requester, effect, &format!("the setting {name}"))
            }
            StartupWish::Replication { .. } => {
                let effect = Effect::new(Action::Replicate, Object::new(ObjectKind::Database, requester.database));
                self.ask(requester, effect, "a replication connection")
            }
            StartupWish::Switches { text } => {
                let effect = Effect::new(Action::Unknown, Object::new(ObjectKind::Setting, text)).possible();
                self.ask(requester, effect, "a server option other than -c NAME=VALUE")
            }
        }
    }
}
