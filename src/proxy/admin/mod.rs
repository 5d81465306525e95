//! The virtual database `pgsluice`: look and decide with `psql` or any driver.
//!
//! Who connects to it logs in upstream, to the database in the upstream's URL, with its own credentials: everything
//! that a login is held to (TLS, SCRAM, `pg_hba.conf`, limits on sessions, time-outs) is the same, and a password
//! never has a second meaning here. Once the server has let it in, its connection there is given back: nothing that
//! is said here is for the server.
//!
//! `command` reads what was said, `console` does it, `answer` says what it shows, `rights` who may.

mod answer;
mod command;
mod console;
mod rights;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use super::cancel::{CancelAnswer, CancelEntry};
use super::connection::{end_record, identity_of, start_record};
use super::login::LoggedIn;
use super::relay::Ended;
use super::startup::farewell;
use super::stream::Stream;
use super::{SessionView, Shared};
use crate::wire::{FrontendTag, Header, Report, encode};
use console::{Console, Flow};
use rights::Superuser;

/// The longest message that is taken.
const MESSAGE_BYTES: usize = 256 * 1024;
/// When so much waits to be said, it is said before the next message is dealt with.
const ANSWER_BYTES: usize = 64 * 1024;
/// How long the server may take to hear that its connection is not needed.
const GOODBYE: Duration = Duration::from_secs(1);

/// Runs a session of the virtual database until it ends.
pub async fn serve(shared: Arc<Shared>, mut login: Box<LoggedIn>, mut stop: watch::Receiver<bool>) {
    let who = identity_of(&shared, &login);
    let _listed = shared.sessions.enter(SessionView::of(&who, &login), Arc::default());
    if shared.log.append(start_record(&who, &login)).await.is_err() {
        // The first decision is refused with the reason.
        tracing::error!(session = %who.id, "the audit log cannot be written");
    }
    let is_superuser = login.parameters.get("is_superuser").is_some_and(|value| value == "on");
    let superuser = if is_superuser { Superuser::Yes } else { Superuser::No };
    let cancel = login.cancel.take();
    let LoggedIn { mut client, upstream, greeting, ready, permit, .. } = *login;
    tokio::spawn(give_back(upstream));
    let mut talk = Talk {
        console: Console::new(Arc::clone(&shared), who.clone(), superuser),
        input: BytesMut::new(),
        halfway: false,
    };
    talk.console.out = [greeting, ready].concat();
    let ended = tokio::select! {
        biased;
        () = stopped(&mut stop) => {
            let word = Report::fatal("57P01", "terminating connection due to administrator command").to_bytes();
            if !talk.halfway {
                farewell(&mut client, &word).await;
            }
            Ended::Proxy
        }
        ended = talk.run(&mut client) => ended,
        () = answer_cancels(cancel) => Ended::Proxy,
    };
    // Not being able to write that it ended changes nothing about it.
    let _ = shared.log.append(end_record(&who, ended)).await;
    drop(permit);
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone is a proxy that is gone.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Says good-bye to the server.
async fn give_back(mut upstream: Stream) {
    let mut goodbye = Vec::new();
    encode::terminate(&mut goodbye);
    let say = async {
        upstream.write_all(&goodbye).await?;
        upstream.shutdown().await
    };
    let _ = tokio::time::timeout(GOODBYE, say).await;
}

/// A cancel request finds nothing to cancel: no command waits for longer than seconds. It is not for the server.
async fn answer_cancels(cancel: Option<CancelEntry>) {
    match cancel {
        Some(mut cancel) => loop {
            cancel.asked().await.answer(CancelAnswer::Done);
        },
        None => std::future::pending().await,
    }
}

/// How far the input was dealt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dealt {
    /// To the last whole message.
    Whole,
    /// To where there is much to say already: pipelined questions do not make answers pile up.
    InPart,
    /// To the client's good-bye.
    Over,
}

struct Talk {
    console: Console,
    input: BytesMut,
    /// Whether a part of something was written whose rest was not.
    halfway: bool,
}

impl Talk {
    async fn run(&mut self, client: &mut Stream) -> Ended {
        loop {
            let dealt = match self.deal_with_input().await {
                Ok(Dealt::Over) => return Ended::Client,
                Ok(dealt) => dealt,
                Err(report) => {
                    self.console.out.extend_from_slice(&report.to_bytes());
                    let last = std::mem::take(&mut self.console.out);
                    farewell(client, &last).await;
                    return Ended::Proxy;
                }
            };
            if self.write(client).await.is_err() {
                return Ended::Client;
            }
            if dealt == Dealt::InPart {
                continue;
            }
            // At most a message is waited for, and a message has its limit.
            if !matches!(client.read_buf(&mut self.input).await, Ok(1..)) {
                return Ended::Client;
            }
        }
    }

    /// Deals with the whole messages that were read; what they answer goes out before more is read.
    async fn deal_with_input(&mut self) -> Result<Dealt, Report> {
        loop {
            if self.console.out.len() > ANSWER_BYTES {
                return Ok(Dealt::InPart);
            }
            let header = match Header::frontend(&self.input) {
                Ok(Some(header)) => header,
                Ok(None) => return Ok(Dealt::Whole),
                Err(error) => return Err(Report::fatal("08P01", error.to_string())),
            };
            if header.total() > MESSAGE_BYTES {
                return Err(Report::fatal("54000", "pgsluice: the message is too long for this database"));
            }
            let Some(body) = header.body(&self.input) else { return Ok(Dealt::Whole) };
            let Some(tag) = FrontendTag::from_byte(header.tag()) else { return Ok(Dealt::Whole) };
            let dealt = self.console.message(tag, body).await;
            self.input.advance(header.total());
            match dealt {
                Ok(Flow::On) => {}
                Ok(Flow::Over) => return Ok(Dealt::Over),
                Err(error) => {
                    return Err(Report::fatal("08P01", format!("invalid {} message: {error}", tag.name())));
                }
            }
        }
    }

    async fn write(&mut self, client: &mut Stream) -> std::io::Result<()> {
        if self.console.out.is_empty() {
            return Ok(());
        }
        self.halfway = true;
        client.write_all(&self.console.out).await?;
        client.flush().await?;
        self.halfway = false;
        // What a large answer took is given back.
        self.console.out = Vec::new();
        Ok(())
    }
}
