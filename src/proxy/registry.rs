//! Who is here: the sessions of this proxy, for people who look.

use std::sync::Arc;

use dashmap::DashMap;
use jiff::Timestamp;
use serde::Serialize;

use super::login::LoggedIn;
use super::session::SessionIdentity;
use super::statistics::{Activity, LastStatement};

/// The sessions of a proxy. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Sessions {
    entries: Arc<DashMap<Arc<str>, Entry>>,
}

/// A session: what does not change of it, and what it does.
#[derive(Debug)]
struct Entry {
    view: SessionView,
    activity: Arc<Activity>,
}

/// One session as people see it.
#[derive(Debug, Clone, Serialize)]
pub struct SessionView {
    /// Its id.
    pub id: Arc<str>,
    /// Who asks.
    pub identity: String,
    /// What that is.
    pub kind: &'static str,
    /// The role that logged in.
    pub role: String,
    /// The database.
    pub database: String,
    /// Where the client is.
    pub client: String,
    /// What it calls itself.
    pub application_name: String,
    /// The TLS version towards the client; `None` without TLS.
    pub tls: Option<&'static str>,
    /// The backend's process id.
    pub pid: Option<i32>,
    /// When it logged in.
    pub since: Timestamp,
    /// How many statements it has sent.
    pub statements: u64,
    /// The last of them; `None` before the first.
    pub last: Option<LastStatement>,
}

impl SessionView {
    pub(super) fn of(who: &SessionIdentity, login: &LoggedIn) -> Self {
        Self {
            id: Arc::clone(&who.id),
            identity: who.identity.name.clone(),
            kind: who.identity.kind.as_str(),
            role: who.role.clone(),
            database: who.database.to_string(),
            client: who.client_address.clone(),
            application_name: who.application_name.clone(),
            tls: login.client.tls().map(|tls| tls.version),
            pid: login.pid(),
            since: Timestamp::now(),
            statements: 0,
            last: None,
        }
    }
}

impl Sessions {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    /// All of them, oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<SessionView> {
        let mut views: Vec<_> = self.entries.iter().map(|entry| entry.value().now()).collect();
        views.sort_by(|one, other| one.since.cmp(&other.since).then_with(|| one.id.cmp(&other.id)));
        views
    }

    /// The process id of a session's backend; `None` where there is no such session, or the server gave it none.
    #[must_use]
    pub fn pid(&self, id: &str) -> Option<i32> {
        self.entries.get(id).and_then(|entry| entry.view.pid)
    }

    /// Lists a session for as long as the guard lives.
    pub(super) fn enter(&self, view: SessionView, activity: Arc<Activity>) -> Listed {
        let id = Arc::clone(&view.id);
        self.entries.insert(Arc::clone(&id), Entry { view, activity });
        Listed { sessions: self.clone(), id }
    }
}

impl Entry {
    fn now(&self) -> SessionView {
        SessionView { statements: self.activity.statements(), last: self.activity.last(), ..self.view.clone() }
    }
}

/// A session's place in the list.
#[derive(Debug)]
pub(super) struct Listed {
    sessions: Sessions,
    id: Arc<str>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.sessions.entries.remove(&self.id);
    }
}
