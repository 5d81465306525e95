//! The admin API of a running proxy over a Unix socket and, where asked for, over TLS; and its client.
//!
//! The socket is `control.sock` in the data directory, mode 0600: who may open it may decide. Who that is, the
//! kernel says (`SO_PEERCRED`). Over TLS it is the common name of a client certificate that an authority of
//! `control.client_ca` has signed, and `approvers` has to list it. Nobody names themselves. Both speak HTTP/1.1 with
//! JSON:
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/status` | what this proxy is and how it is |
//! | `GET /v1/sessions` | a list of sessions |
//! | `GET /v1/holds[?all=true]` | a list of [`HoldView`](crate::gate::HoldView): what waits, or also what ended lately |
//! | `GET /v1/holds/watch` | the same, one a line, now and whenever one changes |
//! | `GET /v1/holds/{id}[?settle=true]` | one hold, when asked after its radius is known |
//! | `GET /v1/holds/{id}/sample` | some of the rows it would change: a list of [`Examined`](crate::catalog::examine::Examined) |
//! | `GET /v1/holds/{id}/count` | how many they are exactly |
//! | `GET /v1/holds/{id}/blockers` | whom it would wait for now: [`Blockers`](crate::blast::Blockers) |
//! | `GET /v1/statistics` | what was counted and measured |
//! | `GET /v1/audit` | the log: a [`LogView`](crate::audit::LogView) |
//! | `POST /v1/audit/verify` | the same after all of the log was verified |
//! | `POST /v1/holds/{id}/approve` | [`ApproveBody`](api::ApproveBody); the hold as it is then |
//! | `GET /v1/functions?database=D` | [`FunctionView`](api::FunctionView)s: user code, and whether it is approved |
//! | `GET /v1/functions/show?database=D&oid=N` | [`ShownFunction`](api::ShownFunction): its source and settings |
//! | `POST /v1/functions/approve`, `.../revoke` | [`ApproveFunctionBody`](api::ApproveFunctionBody), [`RevokeFunctionBody`](api::RevokeFunctionBody) |
//! | `POST /v1/holds/{id}/deny` | [`DenyBody`](api::DenyBody); the hold as it is then |
//! | `POST /v1/holds/{id}/withdraw` | [`ReasonBody`](api::ReasonBody); the hold as it is then |
//!
//! Errors are [`ErrorBody`](api::ErrorBody).
//!
//! [`admin`] is apart from it: what monitoring asks over TCP, where nothing can be decided.

mod accept;
pub mod admin;
pub mod api;
pub mod caller;
pub mod client;
pub mod functions;
mod handshakes;
pub mod remote_client;
pub mod remote_server;
mod routes;
pub mod server;
pub mod socket;

pub use admin::{Admin, Monitored};
pub use caller::Caller;
pub use client::{Client, ClientError};
pub use remote_client::{Remote, RemoteOptions, RemoteSetupError};
pub use remote_server::{RemoteBindError, RemoteServer, RemoteServerOptions};
pub use server::{LookAtRows, Looking, Server, State};
pub use socket::BindError;

/// The socket's name in the data directory.
pub const SOCKET_NAME: &str = "control.sock";

/// The ALPN name of what is spoken (RFC 7301).
const ALPN: &[u8] = b"http/1.1";
