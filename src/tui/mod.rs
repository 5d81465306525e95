//! The terminal interface of approvers: a client of the control socket, so that its crash touches no traffic.
//!
//! Whoever looks at it may have been woken up. So it is made for not deciding by accident:
//!
//! - *Deciding*: `a` opens a dialog, `y` confirms in it; where much is at stake, or where that is not known, a name has
//!   to be typed first. Enter decides nothing, no shifted key does more than the plain one, a dialog takes no keys
//!   before it has been on the screen for half a second, and what is pasted goes only into reasons and filters. Nothing
//!   can be approved before the end of its statement has been on the screen. What is sent is bound by its digest to
//!   what was shown.
//! - *Calm*: what is new never moves the cursor or takes the focus; what is selected is selected by its id and stays on
//!   its row; what has ended stays until the cursor moves. A lost connection turns everything grey, says how old it is
//!   and allows no decision.
//! - *Safe text*: what others wrote gets on the screen only as [`Untrusted`](crate::text::Untrusted).
//!
//! [`State`] is the program as a value: [`Event`]s go in, [`Command`]s come out. [`draw()`] makes a picture of it. Both are
//! pure; [`run`] adds the terminal, the clock and the connection. The mouse is left to the terminal.

mod detail;
mod dialog;
mod document;
mod draw;
mod event;
mod figures;
mod holds;
mod layout;
mod link;
mod shell;
mod sql;
mod state;
mod terminal;
mod theme;

pub use draw::draw;
pub use event::{Alert, Bell, Command, Event, Message, Moment, Notify, Options, Shown, Tab};
pub use shell::{Ending, run};
pub use state::State;
pub use theme::{Characters, Colors, Theme};

#[cfg(test)]
mod tests;
