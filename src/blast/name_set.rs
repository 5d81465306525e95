//! Many names of a session, of which a statement changes a few.

use std::collections::HashSet;
use std::sync::Arc;

/// A set of names. A copy shares what it has with what it is a copy of, and keeps its own changes beside: neither a copy
/// nor a change goes through all of them.
#[derive(Debug, Clone, Default)]
pub struct NameSet {
    shared: Arc<HashSet<String>>,
    /// None of these is shared.
    added: HashSet<String>,
    /// All of these are shared.
    removed: HashSet<String>,
}

impl NameSet {
    /// Whether a name is one of them.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.added.contains(name) || (self.shared.contains(name) && !self.removed.contains(name))
    }

    /// How many they are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len() - self.removed.len() + self.added.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a name. Whether it is a new one.
    pub fn insert(&mut self, name: &str) -> bool {
        if self.contains(name) {
            return false;
        }
        if let Some(own) = self.own() {
            own.insert(name.to_owned());
        } else if !self.removed.remove(name) {
            self.added.insert(name.to_owned());
        }
        true
    }

    /// Takes a name out. Whether it was one of them.
    pub fn remove(&mut self, name: &str) -> bool {
        if !self.contains(name) {
            return false;
        }
        if let Some(own) = self.own() {
            own.remove(name);
        } else if !self.added.remove(name) {
            self.removed.insert(name.to_owned());
        }
        true
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &String> {
        self.shared.iter().filter(|name| !self.removed.contains(*name)).chain(&self.added)
    }

    /// The set to change, where nobody else looks at it, with the changes so far in it.
    fn own(&mut self) -> Option<&mut HashSet<String>> {
        let shared = Arc::get_mut(&mut self.shared)?;
        for name in self.removed.drain() {
            shared.remove(&name);
        }
        shared.extend(self.added.drain());
        Some(shared)
    }
}

impl<T: Into<String>> FromIterator<T> for NameSet {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        Self { shared: Arc::new(names.into_iter().map(Into::into).collect()), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(set: &NameSet) -> Vec<&str> {
        let mut names: Vec<_> = set.iter().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names.len(), set.len());
        assert!(names.iter().all(|name| set.contains(name)));
        names
    }

    #[test]
    fn a_copy_changes_nothing_of_what_it_is_a_copy_of() {
        let mut set: NameSet = ["a", "b"].into_iter().collect();
        let mut copy = set.clone();
        assert!(copy.insert("c") && copy.remove("a") && !copy.remove("a") && !copy.insert("b"));
        assert!(copy.insert("a") && copy.remove("b") && copy.remove("c") && copy.insert("d"));
        assert_eq!(sorted(&set), ["a", "b"]);
        assert_eq!(sorted(&copy), ["a", "d"]);
        // Nobody else looks at it any more: the changes are taken in.
        assert!(set.insert("e"));
        drop(set);
        assert!(copy.insert("f"));
        assert!(copy.added.is_empty() && copy.removed.is_empty());
        assert_eq!(sorted(&copy), ["a", "d", "f"]);
        assert!(!copy.is_empty() && NameSet::default().is_empty());
    }
}
