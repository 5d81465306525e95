//! Messages of our own within a session, and their replies, of which the client sees nothing.
//!
//! They are of the extended protocol, with names that nobody can guess: a simple query would throw the client's unnamed
//! statement away, and in the extended protocol an error keeps all that stands behind it, up to the next Sync, from
//! running. What becomes of an error is told by what the message is for.

use super::pending::{Pending, Unanswered};
use super::session::{Failed, Session};
use crate::wire::{BackendTag, ReportFields, encode};

/// A message of ours that is unanswered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ours {
    /// What the server says when it has dealt with it.
    answer: Answer,
    /// What it is for.
    purpose: Purpose,
}

/// What the server says to one of our messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// `ParseComplete`.
    Parsed,
    /// `BindComplete`.
    Bound,
    /// Rows perhaps, then `CommandComplete`.
    Done,
    /// `CloseComplete`.
    Closed,
}

/// What a message of ours is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It asks the server something. An error is ours alone.
    Asks,
    /// It opens a guard around a read. An error keeps the read from running: it is the read's.
    Guards,
    /// It takes the guard away again. An error is the read's, unless that has failed already.
    Releases,
}

/// Who is told that the server is ready for a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    /// The client.
    Told,
    /// Nobody: the client has not asked for it, or is told later.
    Swallowed,
}

/// What becomes of a server's message that comes while one of ours is the first unanswered.
pub(super) enum Reply {
    /// The client gets it.
    Forward,
    /// The client never sees it.
    Swallow,
    /// It is no answer to ours: it says something of the session.
    NotOurs,
}

/// What our own statements, portals and savepoints are called, and nobody else's.
pub(super) fn token() -> String {
    let mut random = [0_u8; 16];
    // Without randomness it could be guessed, which gains nothing but an error.
    let _ = getrandom::fill(&mut random);
    format!("pgsluice_{:032x}", u128::from_be_bytes(random))
}

/// Appends a statement of ours: prepared, bound, executed and closed. Closed first as well: where one of them fails, the
/// server skips the closing behind it.
pub(super) fn run(out: &mut Vec<u8>, unanswered: &mut Unanswered, token: &str, sql: &str, purpose: Purpose) {
    let name = token.as_bytes();
    encode::close(out, b'P', name);
    encode::close(out, b'S', name);
    encode::parse(out, name, sql.as_bytes());
    encode::bind(out, name, name);
    encode::execute(out, name, 0);
    encode::close(out, b'P', name);
    encode::close(out, b'S', name);
    for answer in
        [Answer::Closed, Answer::Closed, Answer::Parsed, Answer::Bound, Answer::Done, Answer::Closed, Answer::Closed]
    {
        unanswered.push(Pending::Ours(Ours { answer, purpose }));
    }
}

/// Appends a Sync of ours.
pub(super) fn sync(out: &mut Vec<u8>, unanswered: &mut Unanswered, ready: Ready) {
    encode::sync(out);
    unanswered.push(Pending::Sync(ready));
}

impl Session {
    /// What becomes of a message of the server while one of ours is the first unanswered.
    pub(super) fn reply_to_ours(&mut self, ours: Ours, tag: BackendTag, body: &[u8]) -> Result<Reply, String> {
        let answer = match tag {
            // Whatever the server remarks on our messages is not for the client.
            BackendTag::NoticeResponse => return Ok(Reply::Swallow),
            BackendTag::ParameterStatus | BackendTag::NotificationResponse => return Ok(Reply::NotOurs),
            BackendTag::ErrorResponse => return Ok(self.error_of_ours(ours, body)),
            BackendTag::DataRow => {
                if let Some(asking) = &mut self.asking {
                    asking.row(body);
                }
                return Ok(Reply::Swallow);
            }
            BackendTag::ParseComplete => Answer::Parsed,
            BackendTag::BindComplete => Answer::Bound,
            BackendTag::CommandComplete => Answer::Done,
            BackendTag::CloseComplete => Answer::Closed,
            _ => return Err(format!("{} that answers nothing", tag.name())),
        };
        if answer != ours.answer {
            return Err(format!("{} that answers nothing", tag.name()));
        }
        drop(self.unanswered.pop());
        Ok(Reply::Swallow)
    }

    fn error_of_ours(&mut self, ours: Ours, body: &[u8]) -> Reply {
        let fields = ReportFields::decode(body).ok();
        if fields.as_ref().is_some_and(ReportFields::is_fatal) {
            return Reply::NotOurs;
        }
        let sqlstate = fields.as_ref().and_then(ReportFields::sqlstate).unwrap_or("XX000").to_owned();
        let hidden = match ours.purpose {
            Purpose::Asks => {
                if let Some(asking) = &mut self.asking {
                    asking.failed();
                }
                true
            }
            Purpose::Guards => false,
            Purpose::Releases => self.read_has_failed(),
        };
        if !hidden {
            self.failed = Failed::Yes;
        }
        self.skipped_up_to_sync(&sqlstate, false);
        if hidden { Reply::Swallow } else { Reply::Forward }
    }
}
