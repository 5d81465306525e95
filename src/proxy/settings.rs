//! What this session's own `SET`s have made of the settings that names and text are read with.
//!
//! The server reports `standard_conforming_strings` and `client_encoding` whenever they change, so those are
//! taken from its word. It does not report `search_path` (before version 18) nor the role, so these are followed
//! here; where that is not certain they are unknown, which makes every candidate of a name count.

use crate::blast::SearchPath;

/// The search path as far as it is known, with what a rollback brings back.
#[derive(Debug, Clone)]
pub(super) struct FollowedSearchPath {
    login: SearchPath,
    committed: SearchPath,
    current: SearchPath,
    touched: Touched,
}

/// What the current transaction did to the search path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Touched {
    No,
    Session,
    Local,
}

impl FollowedSearchPath {
    /// The path a session starts with.
    pub(super) fn new(login: SearchPath) -> Self {
        Self { committed: login.clone(), current: login.clone(), login, touched: Touched::No }
    }

    /// The path that names resolve with now.
    pub(super) const fn current(&self) -> &SearchPath {
        &self.current
    }

    /// `SET [LOCAL] search_path`; `None` for a value that could not be read.
    pub(super) fn set(&mut self, value: Option<&str>, local: bool) {
        self.current = value.map_or(SearchPath::Unknown, parse);
        self.touched = match (self.touched, local) {
            (Touched::Session, true) => {
                // Both happened: which of them survives the commit is the session's, which is gone by now.
                self.committed = SearchPath::Unknown;
                Touched::Local
            }
            (_, true) => Touched::Local,
            (_, false) => Touched::Session,
        };
    }

    /// The server said what it is now (version 18 and later do). What a rollback brings back, it will say too.
    pub(super) fn reported(&mut self, value: &str) {
        self.current = parse(value);
        self.committed = self.current.clone();
        self.touched = Touched::No;
    }

    /// `RESET search_path`, `RESET ALL`, `DISCARD ALL`, `SET search_path TO DEFAULT`.
    pub(super) fn reset(&mut self) {
        self.current = self.login.clone();
        self.touched = Touched::Session;
    }

    /// Something unseen may have changed it.
    pub(super) fn forget(&mut self) {
        self.current = SearchPath::Unknown;
        self.committed = SearchPath::Unknown;
        self.touched = Touched::No;
    }

    /// `ROLLBACK TO SAVEPOINT`: what was set since is undone, and we do not keep what came when.
    pub(super) fn rolled_back_in_part(&mut self) {
        if self.touched != Touched::No {
            self.current = SearchPath::Unknown;
        }
    }

    /// The transaction is over.
    pub(super) fn ended(&mut self, end: TransactionEnd) {
        match (self.touched, end) {
            (Touched::No, _) => return,
            (Touched::Session, TransactionEnd::Committed) => self.committed = self.current.clone(),
            (Touched::Local, _) | (Touched::Session, TransactionEnd::RolledBack) => {
                self.current = self.committed.clone();
            }
        }
        self.touched = Touched::No;
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransactionEnd {
    Committed,
    RolledBack,
}

/// Reads a search path as Postgres' `SplitIdentifierString` does: names folded unless quoted.
pub(super) fn parse(value: &str) -> SearchPath {
    let mut names = Vec::new();
    let mut rest = value.trim();
    if rest.is_empty() {
        return SearchPath::Known(names);
    }
    loop {
        let (name, after) = if let Some(quoted) = rest.strip_prefix('"') {
            let Some((name, after)) = quoted_name(quoted) else {
                return SearchPath::Unknown;
            };
            (name, after)
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            (rest[..end].trim().to_ascii_lowercase(), &rest[end..])
        };
        if name.is_empty() {
            return SearchPath::Unknown;
        }
        names.push(name);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() => return SearchPath::Known(names),
            None => return SearchPath::Unknown,
        }
    }
}

/// A quoted name up to its closing quote, and what stands behind it.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character != '"' {
            name.push(character);
        } else if matches!(characters.peek(), Some((_, '"'))) {
            characters.next();
            name.push('"');
        } else {
            return Some((name, &text[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(names: &[&str]) -> SearchPath {
        SearchPath::Known(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn a_path_is_read_as_the_server_reads_it() {
        assert_eq!(
            parse(r#"Evil, "Mixed ""x""", "$user" ,public"#),
            known(&["evil", "Mixed \"x\"", "$user", "public"])
        );
        assert_eq!(parse(""), known(&[]));
        for broken in ["a,,b", "\"open", "a,", "\"a\" b"] {
            assert_eq!(parse(broken), SearchPath::Unknown, "{broken}");
        }
    }

    #[test]
    fn a_rollback_brings_the_old_path_back() {
        let mut path = FollowedSearchPath::new(known(&["public"]));
        path.set(Some("evil"), false);
        assert_eq!(*path.current(), known(&["evil"]));
        path.ended(TransactionEnd::RolledBack);
        assert_eq!(*path.current(), known(&["public"]));
        path.set(Some("evil"), false);
        path.ended(TransactionEnd::Committed);
        path.set(Some("other"), true);
        path.ended(TransactionEnd::Committed);
        assert_eq!(*path.current(), known(&["evil"]));
    }

    #[test]
    fn what_is_not_certain_is_unknown() {
        let mut path = FollowedSearchPath::new(known(&["public"]));
        path.set(Some("a"), false);
        path.rolled_back_in_part();
        assert_eq!(*path.current(), SearchPath::Unknown);
        path.ended(TransactionEnd::Committed);
        assert_eq!(*path.current(), SearchPath::Unknown);
        let mut path = FollowedSearchPath::new(known(&["public"]));
        path.set(Some("a"), false);
        path.set(Some("b"), true);
        path.ended(TransactionEnd::Committed);
        assert_eq!(*path.current(), SearchPath::Unknown);
        path.reset();
        path.ended(TransactionEnd::Committed);
        assert_eq!(*path.current(), known(&["public"]));
    }
}
