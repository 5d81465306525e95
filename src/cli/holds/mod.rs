//! `pgsluice holds`: see what waits, and decide.

mod render;
mod review;
mod terminal;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::remote::RemoteArguments;
use super::{CommandResult, Exit, Failure, Globals, Output, output};
use crate::blast::Blockers;
use crate::control::api::{ApproveBody, ReasonBody};
use crate::control::{Client, ClientError};
use crate::gate::facts::DIGEST_CHARACTERS;
use crate::gate::{HoldId, HoldState, HoldView};

/// `pgsluice holds ...`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    remote: RemoteArguments,
    #[command(subcommand)]
    command: Command,
}

/// What to do with holds.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the statements that wait for approval, a line each
    List(ListArguments),
    /// Show one of them: text, values, who asks, what it would touch, whose locks are in its way now
    Show(ShowArguments),
    /// Print what waits, then every change, until interrupted
    Watch(WatchArguments),
    /// Go through what waits, question by question: plain lines, for every terminal and for screen readers
    Review,
    /// Let a statement run, once. Prints what it approves; with --digest it approves nothing else than what you saw
    Approve(ApproveArguments),
    /// Refuse a statement
    Deny(ReasonArguments),
    /// Take a statement back
    Withdraw(ReasonArguments),
}

/// `holds list`
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Also those that ended lately, with how they ended
    #[arg(long)]
    all: bool,
    /// Everything about each, as `holds show`, instead of a line
    #[arg(long, conflicts_with = "json")]
    full: bool,
    /// One JSON object a line, with everything about each
    #[arg(long)]
    json: bool,
}

/// `holds show`
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The hold's id, e.g. h-7k2m
    id: HoldId,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// `holds watch`
#[derive(Debug, Args)]
pub struct WatchArguments {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// `holds approve`
#[derive(Debug, Args)]
pub struct ApproveArguments {
    /// The hold's id, e.g. h-7k2m
    id: HoldId,
    /// Why; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Approve only this: the digest that `holds show` printed, its first 12 characters or more
    #[arg(long, value_name = "HEX")]
    digest: Option<SeenDigest>,
    /// Do not run it where it would change more rows than this: counted before it runs, or estimated where that takes too
    /// long
    #[arg(long, value_name = "N")]
    max_rows: Option<u64>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// `holds deny`, `holds withdraw`
#[derive(Debug, Args)]
pub struct ReasonArguments {
    /// The hold's id, e.g. h-7k2m
    id: HoldId,
    /// Why; it is recorded, and the client is told
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
///
/// # Errors
///
/// No proxy runs, or it refuses.
pub fn run(arguments: &Arguments, globals: &Globals) -> CommandResult {
    let proxy = arguments.remote.flags(globals);
    arguments.remote.run(globals, async |client| match &arguments.command {
        Command::List(arguments) => list(client, arguments).await,
        Command::Show(arguments) => show(client, arguments, &proxy).await,
        Command::Watch(arguments) => watch(client, arguments).await,
        Command::Review => review::run(client).await,
        Command::Approve(arguments) => approve(client, arguments).await,
        Command::Deny(arguments) => {
            let body = ReasonBody { reason: arguments.reason.clone() };
            print_result(&client.deny(&arguments.id, &body).await.map_err(failure)?, None, arguments.json)?;
            Ok(Exit::Done)
        }
        Command::Withdraw(arguments) => {
            let body = ReasonBody { reason: arguments.reason.clone() };
            print_result(&client.withdraw(&arguments.id, &body).await.map_err(failure)?, None, arguments.json)?;
            Ok(Exit::Done)
        }
    })
}

async fn list(client: &Client, arguments: &ListArguments) -> CommandResult {
    let holds = if arguments.all { client.all_holds().await } else { client.holds().await }.map_err(failure)?;
    let mut output = Output::stdout();
    if arguments.json {
        for hold in &holds {
            output.json(hold)?;
        }
    } else if holds.is_empty() {
        // Not data: a script that counts lines must count none.
        output::note("nothing waits for approval");
    } else if arguments.full {
        for (at, hold) in holds.iter().enumerate() {
            if at > 0 {
                output.line("")?;
            }
            output.line(render::whole(hold))?;
        }
    } else {
        for line in render::table(&holds) {
            output.line(line)?;
        }
    }
    output.flush()?;
    Ok(Exit::Done)
}

async fn show(client: &Client, arguments: &ShowArguments, proxy: &str) -> CommandResult {
    let hold = client.hold(&arguments.id).await.map_err(failure)?;
    let blockers = blockers(client, &hold).await;
    let mut output = Output::stdout();
    if arguments.json {
        output.json(&Shown { hold: &hold, blockers: blockers.as_ref() })?;
    } else {
        output.line(render::whole_with(&hold, blockers.as_ref()))?;
        if let Some(how) = render::how_to_approve(&hold, proxy) {
            output.line(how)?;
        }
    }
    output.flush()?;
    Ok(Exit::Done)
}

/// What `holds show` prints: the hold, and what is true of it only now.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    hold: &'a HoldView,
    blockers: Option<&'a Blockers>,
}

/// Who is in the way of a hold that waits. That nobody could be asked is an answer too.
async fn blockers(client: &Client, hold: &HoldView) -> Option<Blockers> {
    if hold.state != HoldState::Pending {
        return None;
    }
    let unknown =
        |error: ClientError| Blockers::unknown(crate::text::rfc3339(jiff::Timestamp::now()), error.to_string());
    Some(client.blockers(&hold.id).await.unwrap_or_else(unknown))
}

async fn watch(client: &Client, arguments: &WatchArguments) -> CommandResult {
    let mut stream = client.watch().await.map_err(failure)?;
    while let Some(hold) = stream.next().await.map_err(failure)? {
        let mut output = Output::stdout();
        if arguments.json {
            output.json(&hold)?;
        } else {
            output.line(render::change(&hold))?;
        }
        output.flush()?;
    }
    Err(Failure::failed("the proxy has stopped"))
}

async fn approve(client: &Client, arguments: &ApproveArguments) -> CommandResult {
    // What is printed here is what is approved: its whole digest goes with the approval.
    let seen = client.hold(&arguments.id).await.map_err(failure)?;
    if let Some(digest) = &arguments.digest
        && seen.state == HoldState::Pending
        && !digest.names(&seen)
    {
        return Err(Failure::failed(format_args!("{} is not what you looked at any more", seen.id))
            .hint("look at it again: pgsluice holds show ID; what it would touch may have changed"));
    }
    if !arguments.json {
        let mut output = Output::stdout();
        output.line(render::whole(&seen))?;
        output.flush()?;
    }
    let digest = Some(seen.digest.clone());
    let body = ApproveBody { reason: arguments.reason.clone(), max_rows: arguments.max_rows, digest };
    let hold = client.approve(&arguments.id, &body).await.map_err(failure)?;
    print_result(&hold, Some(&seen), arguments.json)?;
    Ok(if hold.state == HoldState::Approved { Exit::Done } else { Exit::Pending })
}

/// The digest of what somebody has seen, or enough of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenDigest(String);

impl std::str::FromStr for SeenDigest {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digest = text.trim().to_ascii_lowercase();
        let fits = (DIGEST_CHARACTERS..=64).contains(&digest.len());
        if fits && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(digest))
        } else {
            Err(format!("a digest is {DIGEST_CHARACTERS} to 64 of the characters that `holds show` printed"))
        }
    }
}

impl SeenDigest {
    fn names(&self, hold: &HoldView) -> bool {
        hold.digest.starts_with(&self.0)
    }
}

/// Prints what became of a hold: all of it, or what is new to somebody who has just seen it.
fn print_result(hold: &HoldView, seen: Option<&HoldView>, json: bool) -> Result<(), Failure> {
    let mut output = Output::stdout();
    if json {
        output.json(hold)?;
    } else {
        match seen {
            None => output.line(render::whole(hold))?,
            Some(seen) => render::news(seen, hold).iter().try_for_each(|line| output.line(line))?,
        }
        output.line(render::result(hold))?;
    }
    output.flush()
}

#[expect(clippy::needless_pass_by_value, reason = "the signature of map_err")]
fn failure(error: ClientError) -> Failure {
    let exit = match &error {
        ClientError::Refused(body) => match body.code.as_str() {
            "denied" | "own_statement" | "not_an_approver" => Exit::Denied,
            "expired" | "approved_already" | "radius_unknown_yet" => Exit::Pending,
            _ => Exit::Failed,
        },
        _ => Exit::Failed,
    };
    let failure = Failure::with_exit(exit, &error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
