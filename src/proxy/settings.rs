//! What this session's own `SET`s have made of the settings that names and text are read with, and of the server's
//! time limits.
//!
//! The server reports `standard_conforming_strings` and `client_encoding` whenever they change, so those are
//! taken from its word. It does not report `search_path` (before version 18), the role nor the time limits, so these
//! are followed here; where that is not certain they are unknown, which is what the default of their type means.

use crate::blast::SearchPath;
use crate::gate::{NoWait, Wait};

/// How many characters of a claimed reason are kept.
const REASON_CHARACTERS: usize = 1_000;

/// The proxy's own settings, which the server never sees.
#[derive(Debug, Clone, Default)]
pub(super) struct OwnSettings {
    /// `pgsluice.reason`: why, as the client claims.
    pub(super) reason: Option<String>,
    /// `pgsluice.wait`: whether the client of a held statement waits.
    pub(super) wait: Wait,
}

impl OwnSettings {
    /// Sets one.
    ///
    /// # Errors
    ///
    /// There is none of that name, or it cannot have that value.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), NoWait> {
        match name {
            "pgsluice.reason" => {
                self.reason = (!value.is_empty()).then(|| value.chars().take(REASON_CHARACTERS).collect());
            }
            "pgsluice.wait" => self.wait = value.parse()?,
            _ => return Err(NoWait),
        }
        Ok(())
    }

    /// Makes one what it was at login. Whether there is one of that name.
    pub(super) fn reset(&mut self, name: &str, at_login: &Self) -> bool {
        match name {
            "pgsluice.reason" => self.reason.clone_from(&at_login.reason),
            "pgsluice.wait" => self.wait = at_login.wait,
            _ => return false,
        }
        true
    }
}

/// The search path as far as it is known. Unknown, it makes every candidate of a name count.
pub(super) type FollowedSearchPath = Followed<SearchPath>;

/// A setting as far as it is known, with what the end of a transaction makes of it (`src/backend/utils/misc/README`).
/// The default of `T` is "unknown".
#[derive(Debug, Clone)]
pub(super) struct Followed<T> {
    login: T,
    committed: T,
    /// Set in this transaction, to stay if it commits.
    set: Option<T>,
    /// `SET LOCAL`: until the transaction ends, whichever way.
    local: Option<T>,
}

impl<T: Clone + Default> Followed<T> {
    /// The value a session starts with.
    pub(super) fn new(login: T) -> Self {
        Self { committed: login.clone(), login, set: None, local: None }
    }

    /// Whether the end of the transaction may bring another value.
    pub(super) const fn is_uncommitted(&self) -> bool {
        self.set.is_some() || self.local.is_some()
    }

    /// The value now.
    pub(super) fn current(&self) -> &T {
        self.local.as_ref().or(self.set.as_ref()).unwrap_or(&self.committed)
    }

    /// `SET`, or `SET LOCAL`, to a value; the default for one that could not be read.
    pub(super) fn set(&mut self, value: T, local: bool) {
        if local {
            self.local = Some(value);
        } else {
            self.local = None;
            self.set = Some(value);
        }
    }

    /// The server said what it is now (version 18 and later do). What a rollback brings back, it will say too.
    pub(super) fn reported(&mut self, value: T) {
        (self.committed, self.set, self.local) = (value, None, None);
    }

    /// The server was asked what it is now. Within a transaction, it did not say what its end makes of it.
    pub(super) fn learned(&mut self, value: T, within_transaction: bool) {
        if within_transaction {
            self.forget();
            self.local = Some(value);
        } else {
            self.reported(value);
        }
    }

    /// `RESET`, `RESET ALL`, `DISCARD ALL`, `SET ... TO DEFAULT`.
    pub(super) fn reset(&mut self) {
        self.set(self.login.clone(), false);
    }

    /// Something unseen may have changed it.
    pub(super) fn forget(&mut self) {
        self.reported(T::default());
    }

    /// `ROLLBACK TO SAVEPOINT`: what was set since is undone, and we do not keep what came when.
    pub(super) fn rolled_back_in_part(&mut self) {
        for value in [&mut self.set, &mut self.local].into_iter().flatten() {
            *value = T::default();
        }
    }

    /// The transaction is over.
    pub(super) fn ended(&mut self, end: TransactionEnd) {
        self.local = None;
        if let Some(value) = self.set.take()
            && end == TransactionEnd::Committed
        {
            self.committed = value;
        }
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransactionEnd {
    Committed,
    RolledBack,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(names: &[&str]) -> SearchPath {
        SearchPath::Known(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn a_rollback_brings_the_old_path_back() {
        let mut path = FollowedSearchPath::new(known(&["public"]));
        path.set(SearchPath::parse("evil"), false);
        assert_eq!(*path.current(), known(&["evil"]));
        path.ended(TransactionEnd::RolledBack);
        assert_eq!(*path.current(), known(&["public"]));
        path.set(SearchPath::parse("evil"), false);
        path.ended(TransactionEnd::Committed);
        path.set(SearchPath::parse("other"), true);
        path.ended(TransactionEnd::Committed);
        assert_eq!(*path.current(), known(&["evil"]));
    }

    #[test]
    fn what_is_not_certain_is_unknown() {
        let mut path = FollowedSearchPath::new(known(&["public"]));
        path.set(SearchPath::parse("a"), false);
        path.rolled_back_in_part();
        assert_eq!(*path.current(), SearchPath::Unknown);
        path.ended(TransactionEnd::Committed);
        assert_eq!(*path.current(), SearchPath::Unknown);
        path.reset();
        path.ended(TransactionEnd::Committed);
        assert_eq!(*path.current(), known(&["public"]));
        path.forget();
        path.set(SearchPath::parse("a"), true);
        path.ended(TransactionEnd::Committed);
        assert_eq!(*path.current(), SearchPath::Unknown);
    }

    #[test]
    fn a_local_value_lies_over_the_sessions_own_until_the_transaction_ends() {
        let mut path = FollowedSearchPath::new(known(&["public"]));
        path.set(SearchPath::parse("a"), false);
        path.set(SearchPath::parse("b"), true);
        assert_eq!(*path.current(), known(&["b"]));
        let mut rolled_back = path.clone();
        path.ended(TransactionEnd::Committed);
        assert_eq!(*path.current(), known(&["a"]));
        rolled_back.ended(TransactionEnd::RolledBack);
        assert_eq!(*rolled_back.current(), known(&["public"]));
        path.set(SearchPath::parse("b"), true);
        path.set(SearchPath::parse("c"), false);
        path.ended(TransactionEnd::Committed);
        assert_eq!(*path.current(), known(&["c"]));
    }
}
