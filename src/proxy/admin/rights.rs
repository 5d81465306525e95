//! Who may look and decide in the virtual database.
//!
//! On the control socket the operating system says which person calls. Here a login role does, so more is asked:
//!
//! - A hold is there so that a *person* commits to what it does. An agent or a pipeline never decides, whatever the
//!   list of approvers says: it would approve what it, or the next program like it, asks for.
//! - A login role that nobody has described counts as a service, which may be shared by many: nobody could tell who
//!   approved. It decides only where the list of approvers names it, which says that somebody stands behind it.
//! - A shared role stands for no person by its own definition: the same holds, and what it asked for itself it never
//!   approves, since nobody could tell the two apart.
//! - Texts and values of statements are other people's data. Who may not decide sees its own statements only, as in
//!   `pg_stat_activity`; and as there, a superuser sees all.

use crate::gate::{Gate, Hold};
use crate::policy::{Identity, IdentityKind};

use super::super::session::SessionIdentity;

/// Whether the login role is a superuser of the server (`is_superuser`, which the server reports).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Superuser {
    Yes,
    No,
}

/// What an identity may do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rights {
    /// It decides, and sees everything.
    Decides,
    /// It sees everything, as a superuser of the server; this is why it decides nothing.
    Sees(&'static str),
    /// It sees what it asked for itself, or answers for; this is why it decides nothing.
    Own(&'static str),
}

impl Rights {
    /// `superuser` is what the server says of the login role.
    pub(super) fn of(identity: &Identity, superuser: Superuser, gate: &Gate) -> Self {
        let named = gate.names_approver(&identity.name);
        let why = match identity.kind {
            IdentityKind::Agent | IdentityKind::Ci => "agents and pipelines ask; a person decides",
            IdentityKind::Human | IdentityKind::Service if named => return Self::Decides,
            _ if gate.is_shared_role(&identity.name) => {
                "this login role is shared (shared_roles): it stands for no person"
            }
            IdentityKind::Human if gate.everybody_decides() => return Self::Decides,
            IdentityKind::Human => "it is not among the configured approvers",
            IdentityKind::Service => {
                "nobody has said that this login role is a person, and the approvers do not name it"
            }
        };
        match superuser {
            Superuser::Yes => Self::Sees(why),
            Superuser::No => Self::Own(why),
        }
    }

    /// Why it decides nothing; `None` where it decides.
    pub(super) const fn why_not(self) -> Option<&'static str> {
        match self {
            Self::Decides => None,
            Self::Sees(why) | Self::Own(why) => Some(why),
        }
    }

    /// Whether it sees what others do.
    pub(super) const fn sees_all(self) -> bool {
        matches!(self, Self::Decides | Self::Sees(_))
    }

    /// Whether this hold may be looked at.
    pub(super) fn see(self, who: &SessionIdentity, hold: &Hold) -> bool {
        let asked_by = &hold.request.identity;
        self.sees_all() || asked_by.name == *who.name || asked_by.owner.as_deref() == Some(&*who.name)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::gate::Options;

    fn rights(approvers: &[&str], name: &str, kind: IdentityKind) -> Rights {
        let options = Options {
            approvers: approvers.iter().map(|name| (*name).to_owned()).collect(),
            shared_roles: vec!["app".to_owned()],
            ..Options::default()
        };
        let gate = Gate::new(options, Arc::new(|_| Ok(())));
        Rights::of(&Identity { name: name.to_owned(), kind, owner: None }, Superuser::No, &gate)
    }

    #[test]
    fn only_persons_and_named_services_decide() {
        use IdentityKind::{Agent, Ci, Human, Service};
        for (approvers, name, kind, decides) in [
            (&[][..], "alice", Human, true),
            (&["alice"], "alice", Human, true),
            (&["bob"], "alice", Human, false),
            (&[], "alice", Service, false),
            (&["alice"], "alice", Service, true),
            (&[], "robot", Agent, false),
            (&["robot"], "robot", Agent, false),
            (&["build"], "build", Ci, false),
            (&[], "app", Human, false),
            (&["app"], "app", Service, true),
            (&["bob"], "app", Service, false),
        ] {
            assert_eq!(rights(approvers, name, kind) == Rights::Decides, decides, "{approvers:?} {name} {kind:?}");
        }
    }
}
