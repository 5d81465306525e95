//! pgsluice: a Postgres-protocol proxy that lets reads flow and holds whatever destroys until a
//! person has seen what it would do and approved it.
//!
//! # The way of a statement
//!
//! ```text
//! client bytes -> wire: frames -> session: which statement is this, with which values?
//!     -> sql: what does it do?          (pure: text -> effects)
//!     -> catalog: what is that, here?   (names -> relations, functions, foreign keys, triggers)
//!     -> blast: how much?               (effects + catalog + planner -> blast radius)
//!     -> policy: may this identity?     (Cedar -> pass | hold | deny)
//!     -> gate: wait for a person        (only for hold)
//!     -> audit: record the intent       (durable before a write's commit leaves us)
//!     -> upstream -> relay the reply -> audit: record the outcome
//! ```
//!
//! It is one way, and each step hands the next a value. A read that passes never waits on disk, on
//! another task or on a lock that another session holds.
//!
//! # The floors
//!
//! A module imports only modules on floors below its own. Nothing on floors 0 and 1 does I/O or
//! knows a socket, a database or a clock: they are plain functions over values.
//!
//! | floor | module | owns |
//! |---|---|---|
//! | 4 | [`cli`], [`tui`] | faces; they talk to a running proxy only through [`control`] |
//! | 3 | [`control`] | the admin API over a Unix socket and over TLS, its client, who the caller is |
//! | 3 | [`proxy`] | listener, startup and TLS, session state machine, relay, cancel |
//! | 3 | [`notify`] | messages about holds: webhooks and chats |
//! | 2 | [`gate`] | holds: their state machine, expiry, who may decide |
//! | 2 | [`catalog`] | a snapshot of the upstream's relations, keys, triggers, functions, sizes |
//! | 2 | [`audit`] | records, the store, checkpoints, verification, search |
//! | 2 | [`tls`] | certificates, keys and trusted roots from files |
//! | 1 | [`policy`] | identities, Cedar schema and evaluation: (identity, effects) -> verdict |
//! | 1 | [`blast`] | effects + catalog facts -> blast radius |
//! | 0 | [`sql`] | text -> statements -> effects; risk rules; the function allow-list |
//! | 0 | [`wire`] | frames, messages, SCRAM, strictly inside their length |
//! | 0 | [`tlog`] | RFC 6962 tree, proofs, signed notes |
//! | 0 | [`latency`] | durations, counted: percentiles and buckets |
//! | 0 | [`text`] | what people are shown: untrusted text made safe, excerpts of sources |
//!
//! # What is deliberately absent
//!
//! Connection pooling, sharding and load balancing: other proxies do that well, in front or behind.
//! A second storage engine. A home-made hash chain.

pub mod audit;
pub mod blast;
pub mod catalog;
pub mod cli;
pub mod control;
pub mod gate;
pub mod latency;
pub mod notify;
pub mod policy;
pub mod proxy;
pub mod sql;
pub mod text;
pub mod tlog;
pub mod tls;
pub mod tui;
pub mod wire;
