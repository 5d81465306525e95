//! A shop with the proxy in front of it, and what a session there sends.

use pgsluice::cli::demo::throwaway::Throwaway;
use serde_json::Value;

use super::wire::{Reply, Wire, bind, execute, parse, query, sync};
use super::{Proxy, shop};

/// A statement that waits.
pub(crate) const DELETE: &str = "delete from orders where id = 1";

/// A shop and the proxy in front of it.
pub(crate) struct Place {
    // Dropped first: the proxy ends before its upstream.
    pub(crate) proxy: Proxy,
    pub(crate) postgres: Throwaway,
}

impl Place {
    pub(crate) fn open() -> Self {
        Self::open_with("", &[])
    }

    /// With something a superuser has run first, and further arguments of `serve`.
    pub(crate) fn open_with(setup: &str, arguments: &[&str]) -> Self {
        let postgres = shop();
        postgres.sql("shop", setup).unwrap();
        Self { proxy: Proxy::start_with(&postgres, arguments), postgres }
    }

    pub(crate) fn session(&self) -> Wire {
        self.session_with(&[])
    }

    pub(crate) fn session_with(&self, startup: &[(&str, &str)]) -> Wire {
        Wire::connect(self.proxy.port(), &[&[("user", "shop"), ("database", "shop")], startup].concat()).unwrap()
    }

    /// Sends a statement that must wait, denies it, and gives the hold.
    #[track_caller]
    pub(crate) fn waits(&self, session: &mut Wire, sql: &str) -> Value {
        session.raw(&query(sql));
        let hold = self.proxy.deny_next("no");
        let reply = session.reply();
        assert_eq!(reply.errors[0].code, "42501", "{sql}: {reply:?}");
        hold
    }

    /// Sends a statement that must wait, approves it, and gives the answer.
    #[track_caller]
    pub(crate) fn approved(&self, session: &mut Wire, sql: &str) -> Reply {
        session.raw(&query(sql));
        self.proxy.approve_next(&[]);
        let reply = session.reply();
        assert!(reply.errors.is_empty(), "{sql}: {reply:?}");
        reply
    }

    pub(crate) fn orders(&self) -> String {
        self.postgres.sql("shop", "select count(*) from orders").unwrap()
    }
}

/// Sends a statement that must run at once.
#[track_caller]
pub(crate) fn passes(session: &mut Wire, sql: &str) -> Reply {
    let reply = session.query(sql);
    assert!(reply.errors.is_empty() && reply.notices.iter().all(|notice| !notice.is_hold()), "{sql}: {reply:?}");
    reply
}

/// One batch of the extended protocol: each text parsed, bound and executed, one Sync behind them.
pub(crate) fn batch(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|sql| [parse(sql), bind(&[]), execute()].concat()).chain(sync()).collect()
}
