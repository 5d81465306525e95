//! The Postgres wire protocol: frames and messages, read strictly inside their length. Pure.
//!
//! Nothing here re-encodes what somebody else said. Messages are decoded as borrowed views of the
//! received bytes, each field inside the length of its own frame, and bytes left over at the end of a body
//! are an error: that is how one side cannot be shown another message than the other side runs. What
//! pgsluice says itself is written by [`encode`] and [`report`].
//!
//! Source of the layouts: the chapter "Frontend/Backend Protocol" of the Postgres manual; of the limits and
//! of the words of errors: `src/backend/tcop/postgres.c`, `src/backend/tcop/backend_startup.c` and
//! `src/backend/libpq/pqcomm.c`.

pub mod auth;
pub mod backend;
pub mod encode;
pub mod frame;
pub mod frontend;
pub mod reader;
pub mod report;
pub mod scram;
pub mod startup;

pub use frame::{BackendTag, FrameError, FrontendTag, Header};
pub use reader::{DecodeError, Reader};
pub use report::{Report, ReportFields, Severity};
