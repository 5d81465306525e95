//! `[[identity]]`: who logs in as what.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use crate::cli::Failure;
use crate::policy::{Identity, IdentityKind};

/// Login roles and the identities behind them.
#[derive(Debug, Clone, Default)]
pub struct Identities {
    by_role: HashMap<String, Identity>,
}

/// `[[identity]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityEntry {
    /// Its name.
    pub name: String,
    /// Its kind.
    #[serde(default)]
    pub kind: IdentityKind,
    /// The person who answers for it.
    pub owner: Option<String>,
    /// The login roles it uses; its own name where not given.
    pub roles: Option<Vec<String>>,
}

impl Identities {
    /// Those that a file describes.
    ///
    /// # Errors
    ///
    /// Two entries contradict each other.
    pub(super) fn new(entries: Vec<IdentityEntry>) -> Result<Self, Failure> {
        let mut names = HashSet::new();
        let mut by_role = HashMap::new();
        for entry in entries {
            if !names.insert(entry.name.clone()) {
                return Err(Failure::usage(format_args!("two [[identity]] entries are named `{}`", entry.name))
                    .hint("give one entry several login roles: roles = [\"a\", \"b\"]"));
            }
            let identity = Identity { name: entry.name.clone(), kind: entry.kind, owner: entry.owner };
            for role in entry.roles.unwrap_or_else(|| vec![entry.name]) {
                if let Some(other) = by_role.insert(role.clone(), identity.clone()) {
                    return Err(Failure::usage(format_args!(
                        "the login role `{role}` belongs to two identities: `{}` and `{}`",
                        other.name, identity.name
                    ))
                    .hint("one role can stand for one identity only"));
                }
            }
        }
        Ok(Self { by_role })
    }

    /// Who logs in with a role: the identity configured for it, else one of its name and the kind `service`.
    #[must_use]
    pub fn of_role(&self, role: &str) -> Identity {
        self.by_role.get(role).cloned().unwrap_or_else(|| Identity {
            name: role.to_owned(),
            kind: IdentityKind::default(),
            owner: None,
        })
    }

    /// The identity of a name, whatever it logs in with.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Identity> {
        self.by_role.values().find(|identity| identity.name == name)
    }

    /// A role that the identity of a name logs in with: the one called as it is, where it has several.
    #[must_use]
    pub fn role_of(&self, name: &str) -> Option<&str> {
        let own = self.by_role.iter().filter(|(_, identity)| identity.name == name).map(|(role, _)| role.as_str());
        own.min_by_key(|role| (*role != name, *role))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::config::File;

    fn parse(text: &str) -> Result<File, Failure> {
        File::parse(text, Path::new("pgsluice.toml"))
    }

    #[test]
    fn a_role_stands_for_one_identity() {
        let file = parse(include_str!("../../../testdata/config/full.toml")).expect("understood");
        let identities = Identities::new(file.identities).expect("distinct");
        let agent = identities.of_role("agent_login");
        assert_eq!((agent.name.as_str(), agent.kind), ("reporter", IdentityKind::Agent));
        assert_eq!(agent.owner.as_deref(), Some("alice"));
        assert_eq!(identities.of_role("alice").kind, IdentityKind::Human);
        assert_eq!(identities.of_role("who").kind, IdentityKind::Service);

        let twice =
            parse("[[identity]]\nname = \"a\"\n[[identity]]\nname = \"b\"\nroles = [\"a\"]").expect("understood");
        assert!(Identities::new(twice.identities).is_err());
        let twice = parse("[[identity]]\nname = \"a\"\n[[identity]]\nname = \"a\"").expect("understood");
        assert!(Identities::new(twice.identities).is_err());
    }
}
